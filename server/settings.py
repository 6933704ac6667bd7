"""Every setting of the centre, in one place: a TOML file, then ``FENGHUO_*`` variables.

``FENGHUO_WEB_PORT=9000`` sets ``port`` of ``[web]``; the variable wins over the file.
"""

import datetime as dt
import os
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

Port: TypeAlias = Annotated[int, Meta(ge=0, le=65_535)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]


class SettingsError(Exception):
    """A setting is wrong; the message says which, why, and what to do."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections: closed, so that a misspelt name is an error."""


class Store(Section, frozen=True):
    """The database.

    url: a PostgreSQL URL; empty for the embedded server under ``data``.
    chunk_days: days in one partition of the readings.
    keep_days: days that raw readings are kept; 0 for ever.
    keep_quarantine_days: days that refused messages are kept.
    day_ends: local times at which a day ends, for the daily rollups.
    """

    url: str = ""
    chunk_days: Count = 7
    keep_days: Annotated[int, Meta(ge=0)] = 0
    keep_quarantine_days: Count = 90
    day_ends: tuple[str, ...] = ("20:00", "08:00")


class Ingest(Section, frozen=True):
    """The way in.

    source: ``listener`` (stations connect to us) or ``broker`` (we subscribe at ``broker``).
    host, port: where the listener listens; port 0 takes a free one.
    tls_certificate, tls_key: PEM files; TLS when both are given.
    tls_authority: PEM file; client certificates are required and their common name is the station.
    anonymous: stations need no password; refused unless the listener is on loopback.
    broker: ``mqtt://user:password@host:port`` or ``mqtts://…``.
    batch: readings in one transaction at most.
    linger: seconds the first reading of a batch waits for more.
    queue: readings waiting for the database before connections are paused.
    unknown: what becomes of readings of a station not in the catalogue.
    earliest: readings before this date come from a clock that was never set.
    ahead: seconds a reading may lie in the future.
    mappings: TOML files that make foreign topics and fields ours (docs/publishing.md).
    clock: seconds that a station's clock may be off before it is named; with a slow line more.
    clock_readings: live readings of a station by which its clock is judged.
    sink: ``database``, or ``jetstream``: a replicated stream in between, which writers empty.
    jetstream: addresses of the NATS servers, ``nats://user:password@host:port`` or ``tls://…``.
    replicas: copies of the stream when it is made; three stand the loss of one server.
    connections, packet, inflight, connect_timeout: limits of the listener
        (count, bytes, messages of one connection not yet acknowledged, seconds).
    """

    source: Literal["listener", "broker"] = "listener"
    host: str = "127.0.0.1"
    port: Port = 1883
    tls_certificate: str = ""
    tls_key: str = ""
    tls_authority: str = ""
    anonymous: bool = False
    broker: str = "mqtt://127.0.0.1:1883"
    batch: Count = 5_000
    linger: Annotated[float, Meta(ge=0, le=10)] = 0.003
    queue: Count = 50_000
    unknown: Literal["quarantine", "register"] = "quarantine"
    earliest: str = "2001-01-01"
    ahead: Positive = 600
    mappings: tuple[str, ...] = ()
    clock: Positive = 120
    clock_readings: Annotated[int, Meta(ge=5, le=1_000)] = 9
    sink: Literal["database", "jetstream"] = "database"
    jetstream: Annotated[tuple[str, ...], Meta(min_length=1)] = ("nats://127.0.0.1:4222",)
    replicas: Literal[1, 3, 5] = 3
    connections: Count = 20_000
    packet: Count = 262_144
    inflight: Count = 1_000
    connect_timeout: Positive = 10


class Watch(Section, frozen=True):
    """Deciding.

    criteria: TOML file that counts until a version is put in force (docs/methods/criteria.md);
        empty for the national signals that ship with Fenghuo.
    poll: seconds after which the store is looked at even without a notification.
    silence: seconds without a new reading after which a station supports nothing any more.
    """

    criteria: str = ""
    poll: Positive = 1.0
    silence: Positive = 7_200


class Alerts(Section, frozen=True):
    """Telling.

    policy: TOML file; empty for the one that ships with Fenghuo.
    sender: identifies the bureau in CAP, a domain or e-mail address.
    agency_zh, agency_en: the bureau's name in messages.
    words: folder of topic.language.toml files whose texts take the place of those that ship with
        Fenghuo, such as the guides that a law prescribes; empty: none.
    channels: real channels in use, besides the exercise phone.
    fallback: those of the channels that are used only where the others failed, in this order.
    workers: messages on their way at once, on each channel.
    signature: PEM file with a private key and its certificate, by which CAP documents are
        signed; empty: they are not.
    key: file with the 32 bytes by which names and addresses are sealed, made where it is
        missing; empty: people.key in the data folder. Without it nobody can be reached.
    countries: beginnings of the telephone numbers that may sign up by themselves, as a code to
        a far country costs much; empty: any.
    """

    policy: str = ""
    sender: str = "warnings@fenghuo.example"
    agency_zh: str = "示范气象台"
    agency_en: str = "Sample Weather Bureau"
    words: str = ""
    channels: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    workers: Count = 20
    signature: str = ""
    key: str = ""
    countries: tuple[str, ...] = ("+86",)


class Twilio(Section, frozen=True):
    """SMS through Twilio; ``base_url`` sends the requests to a stand-in instead.

    rate: messages per second that the account may send, of all dispatchers together; 0: no limit.
    """

    account: str = ""
    token: str = ""
    sender: str = ""
    base_url: str = ""
    timeout: Positive = 10
    rate: Annotated[float, Meta(ge=0)] = 0


class Voice(Section, frozen=True):
    """Calls, through the account of [twilio] (docs/channels.md).

    sender: number that calls; empty: that of [twilio].
    zh, en: name of the provider's voice for a language; empty: its own choice.
    machines: wait for the beep of an answering machine; a person then hears a pause first.
    rate: calls per second that the account may place, of all dispatchers together; 0: no limit.
    """

    sender: str = ""
    zh: str = ""
    en: str = ""
    machines: bool = True
    rate: Annotated[float, Meta(ge=0)] = 1


class Email(Section, frozen=True):
    """E-mail by SMTP, also for fax gateways that take e-mail.

    host, port: the server that takes our mail.
    encryption: ``tls`` (from the first byte, usual port 465), ``starttls`` (usual port 587) or
        ``none`` (a server on this machine).
    authority: PEM file of those who sign the server's certificate; empty: the system's.
    user, password: as the server asks for them; empty: it does not.
    sender: address in From; empty: alerts.sender.
    attach: tiers that get the bulletin as a PDF too.
    timeout: seconds that the server has for an answer.
    rate: mails per second, of all dispatchers together; 0: no limit.
    """

    host: str = ""
    port: Port = 587
    encryption: Literal["tls", "starttls", "none"] = "starttls"
    authority: str = ""
    user: str = ""
    password: str = ""
    sender: str = ""
    attach: tuple[str, ...] = ("official", "officer")
    timeout: Positive = 20
    rate: Annotated[float, Meta(ge=0)] = 0


class Fax(Section, frozen=True):
    """Fax, as a PDF by a gateway: one that takes HTTP, or one that takes e-mail.

    url: where an HTTP gateway takes multipart/form-data; empty: there is none.
    token: sent to it as ``Authorization: Bearer …``; empty: nothing.
    number, file, id: names of its fields for the number, the PDF and our id.
    repeatable: it knows an ``Idempotency-Key`` again, so that asking twice sends once.
    secret: key of the signature under its reports (docs/channels.md); empty: none is believed.
    mail: address of an e-mail gateway, as ``{number}@fax.example``; sent through [email].
    font: TrueType or OpenType file with Chinese glyphs; empty: the best that is installed.
    timeout: seconds that an HTTP gateway has for an answer.
    rate: faxes per second, of all dispatchers together; 0: no limit.
    """

    url: str = ""
    token: str = ""
    number: str = "to"
    file: str = "file"
    id: str = "id"
    repeatable: bool = False
    secret: str = ""
    mail: str = ""
    font: str = ""
    timeout: Positive = 30
    rate: Annotated[float, Meta(ge=0)] = 0


class Push(Section, frozen=True):
    """Notices in browsers (Web Push). The key pair is push.pem in the data folder.

    subject: where the makers of browsers can reach the bureau, ``mailto:…`` or ``https://…``;
        empty: alerts.sender.
    private: push services may be inside our own network.
    timeout: seconds that a push service has for an answer.
    """

    subject: str = ""
    private: bool = False
    timeout: Positive = 15


class Social(Section, frozen=True):
    """Microblogs and staff chat; each account is a contact of its own (docs/channels.md).

    timeout: seconds that a service has for an answer.
    """

    timeout: Positive = 20


class Webhook(Section, frozen=True):
    """Other platforms, told by HTTP; each is a contact of its own (docs/channels.md).

    secret: 16 characters or more, from which the key of each platform is derived.
    private: platforms may be inside our own network.
    timeout: seconds that a platform has for an answer.
    """

    secret: str = ""
    private: bool = False
    timeout: Positive = 10


class Display(Section, frozen=True):
    """Display screens (docs/screens.md).

    broker: where they are shown, ``mqtt://user:password@host:port`` or ``mqtts://…``; empty: they
        come to their own pages.
    authority: PEM file of those who sign the broker's certificate; empty: the system's.
    timeout: seconds that the broker has for an answer.
    """

    broker: str = ""
    authority: str = ""
    timeout: Positive = 10


class Gateway(Section, frozen=True):
    """SMS through another gateway than Twilio.

    description: TOML file with its address, fields and answers (docs/delivery.md); empty: Twilio.
    secret: key or password that the description's signatures use.
    """

    description: str = ""
    secret: str = ""


class Web(Section, frozen=True):
    """Pages and interfaces.

    public_url: how the world reaches them, ``https://…``; people sign in over TLS only, but for
        this machine itself (docs/accounts.md).
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    public_url: str = ""


class Settings(Section, frozen=True):
    """All of it.

    data: folder of the embedded database and of the agents' spools.
    zone: time zone in which people here read times.
    language: of the command line, ``zh`` or ``en``; empty: as the environment says.
    """

    data: str = ".fenghuo"
    zone: str = "Asia/Shanghai"
    language: Literal["", "zh", "en"] = ""
    store: Store = Store()
    ingest: Ingest = Ingest()
    watch: Watch = Watch()
    alerts: Alerts = Alerts()
    twilio: Twilio = Twilio()
    gateway: Gateway = Gateway()
    voice: Voice = Voice()
    email: Email = Email()
    fax: Fax = Fax()
    push: Push = Push()
    social: Social = Social()
    webhook: Webhook = Webhook()
    display: Display = Display()
    web: Web = Web()

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data).resolve()

    @property
    def key(self) -> Path:
        """The file by which names and addresses are sealed."""
        return Path(self.alerts.key).resolve() if self.alerts.key else self.folder / "people.key"


def load(file: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the file (or the one ``FENGHUO_CONFIG`` names), then the variables, and check all.

    Raises SettingsError for a file that cannot be read, an unknown name or a value out of bounds.
    """
    named = environment.get("FENGHUO_CONFIG", "")
    path = file or (Path(named) if named else None)
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path}: {error}") from None
    _merge(table, environment)
    try:
        settings = msgspec.convert(table, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path or 'settings'}: {error}") from None
    _check(settings)
    return settings


def variables(settings: Settings) -> dict[str, str]:
    """Give the settings as ``FENGHUO_*`` variables, for a child process."""
    found: dict[str, str] = {}
    for name, value in msgspec.to_builtins(settings).items():
        if isinstance(value, dict):
            found |= {f"FENGHUO_{name}_{key}".upper(): _text(v) for key, v in value.items()}
        else:
            found[f"FENGHUO_{name}".upper()] = _text(value)
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _merge(table: dict[str, Any], environment: Mapping[str, str]) -> None:
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.default, Section):
            section = table.setdefault(field.name, {})
            if not isinstance(section, dict):
                raise SettingsError(f"{field.name}: write it as a table, [{field.name}]")
            for inner in msgspec.structs.fields(type(field.default)):
                key = f"FENGHUO_{field.name}_{inner.name}".upper()
                if key in environment:
                    section[inner.name] = _value(environment[key], inner.default)
        elif f"FENGHUO_{field.name}".upper() in environment:
            table[field.name] = environment[f"FENGHUO_{field.name}".upper()]


def _value(text: str, default: object) -> object:
    """Give the text as a list where the setting is one: JSON, or with commas."""
    if not isinstance(default, tuple):
        return text
    if text.startswith("["):
        return msgspec.json.decode(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _check(settings: Settings) -> None:
    try:
        zoneinfo.ZoneInfo(settings.zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise SettingsError(f"zone: no time zone {settings.zone!r}") from None
    try:
        dt.date.fromisoformat(settings.ingest.earliest)
    except ValueError:
        raise SettingsError("ingest.earliest: write a date, as 2001-01-01") from None
    try:
        for end in settings.store.day_ends:
            dt.time.fromisoformat(end)
    except ValueError:
        raise SettingsError("store.day_ends: write local times, as 20:00") from None
    if 0 < len(settings.webhook.secret) < 16:
        raise SettingsError("webhook.secret is too short: use 16 characters or more")
    if settings.fax.mail and settings.fax.mail.count("{number}") != 1:
        raise SettingsError("fax.mail: write the address with {number}, as {number}@fax.example")
    ingest = settings.ingest
    if ingest.anonymous and ingest.source == "listener" and not ingest.host.startswith("127."):
        raise SettingsError("ingest.anonymous is for loopback only: give the stations keys")
    if bool(ingest.tls_certificate) != bool(ingest.tls_key):
        raise SettingsError("ingest: tls_certificate and tls_key go together")
