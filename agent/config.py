"""A station's configuration: one TOML file, checked completely before anything starts.

Relative paths in it start at the file's own folder.
"""

import os
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Meta

from agent.report import STATION

VARIABLE = "FENGHUO_AGENT_PASSWORD"
"""The environment variable that holds the password; it wins over the file."""

PORTS = {"mqtt": 1883, "mqtts": 8883}

Positive: TypeAlias = Annotated[float, Meta(gt=0)]


class ConfigError(Exception):
    """The configuration is wrong; the message says which key, why, and what to do."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the tables: closed, so that a misspelt name is an error."""


class Broker(Table, frozen=True):
    """Where the readings go.

    url: ``mqtt://host:port`` or ``mqtts://host:port`` (TLS).
    username: empty for the station's id.
    password, password_file: the station's key; better in a file or in ``FENGHUO_AGENT_PASSWORD``.
    authority: PEM file of the authority that signed the centre's certificate; empty: the system's.
    certificate, key: PEM files of the station's own certificate.
    version: of MQTT; ``auto`` takes 5, and 3.1.1 where the other side does not know 5.
    keepalive: seconds after which a silent connection counts as broken.
    inflight: messages on their way at once.
    confirm: seconds a confirmation may take before a reading is sent again.
    retry: seconds between attempts to connect at most.
    """

    url: str
    username: str = ""
    password: str = ""
    password_file: str = ""
    authority: str = ""
    certificate: str = ""
    key: str = ""
    version: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive: Annotated[int, Meta(ge=5, le=65_535)] = 60
    inflight: Annotated[int, Meta(ge=1, le=1_000)] = 20
    confirm: Positive = 30
    retry: Positive = 60

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or PORTS[parts.scheme]

    @property
    def encrypted(self) -> bool:
        """Whether TLS is used."""
        return urlsplit(self.url).scheme == "mqtts"

    def context(self) -> ssl.SSLContext | None:
        """Give the TLS context; None without TLS. Raises ConfigError."""
        if not self.encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.authority or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"broker.authority: {self.authority}: {error}") from None
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"broker.certificate: {self.certificate} with key {self.key}: {error}"
                ) from None
        return context


class Storage(Table, frozen=True):
    """The spool: ``limit`` is its size in MB at most; the oldest readings give way beyond it."""

    path: str = "spool.sqlite"
    limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 256


class Source(Table, frozen=True):
    """The driver, and its own options."""

    name: str
    options: dict[str, Any] = {}


class Config(Table, frozen=True):
    """All of it. ``folder`` is where relative paths start."""

    station: str
    broker: Broker
    driver: Source
    spool: Storage = Storage()
    folder: str = ""

    @property
    def spool_path(self) -> Path:
        """The spool's file."""
        return Path(self.folder, self.spool.path)


def load(file: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read and check a station's configuration. Raises ConfigError."""
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: not there; name the station's file with --config") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from None
    if "folder" in table:
        raise ConfigError(f"{file}: folder: no such key; paths start at the file's folder anyway")
    try:
        config = msgspec.convert(table, Config)
        return msgspec.structs.replace(
            config,
            station=station(config.station),
            broker=complete(config.broker, config.station, file.parent, environment),
            folder=str(file.parent),
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {_readable(error)}") from None
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def station(name: str) -> str:
    """Check a station's id and give it back. Raises ConfigError."""
    if not STATION.fullmatch(name):
        raise ConfigError(
            f"station: {name!r} cannot be an id; use 1 to 64 letters, digits and hyphens, "
            "as 0-20000-0-54534"
        )
    return name


def complete(
    broker: Broker,
    name: str,
    folder: Path,
    environment: Mapping[str, str] = os.environ,
) -> Broker:
    """Check the broker's table, find its files from ``folder`` and read the station's password.

    Raises ConfigError.
    """
    parts = _address(broker.url)
    password = environment.get(VARIABLE, broker.password)
    if not password and broker.password_file:
        password = _password(folder / broker.password_file, name)
    if bool(broker.certificate) != bool(broker.key):
        raise ConfigError("broker.certificate and broker.key go together: give both or none")
    if parts.scheme == "mqtt" and (broker.authority or broker.certificate):
        raise ConfigError("broker.url: certificates are for TLS: write mqtts:// instead of mqtt://")
    for key, path in (
        ("authority", broker.authority),
        ("certificate", broker.certificate),
        ("key", broker.key),
    ):
        if path and not (folder / path).is_file():
            raise ConfigError(f"broker.{key}: the file {folder / path} is not there")
    return msgspec.structs.replace(
        broker,
        username=broker.username or (name if password else ""),
        password=password,
        authority=str(folder / broker.authority) if broker.authority else "",
        certificate=str(folder / broker.certificate) if broker.certificate else "",
        key=str(folder / broker.key) if broker.key else "",
    )


def _address(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        good = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query:
        raise ConfigError(
            f"broker.url: {url!r} is no address of a broker; write mqtt://host:1883, "
            "or mqtts://host:8883 for TLS"
        )
    if parts.username or parts.password:
        raise ConfigError(
            "broker.url: keep the password out of the address; use username and password_file"
        )
    return parts


def _password(path: Path, name: str) -> str:
    """Read a password: the only line of the file, or the line ``station:password`` of many."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"broker.password_file: {path}: {error}") from None
    for line in lines:
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    if len(lines) == 1:
        return lines[0]
    raise ConfigError(
        f"broker.password_file: {path} has no password for {name}; write it alone in the file, "
        "or one line STATION:PASSWORD for each station"
    )


def _readable(error: msgspec.ValidationError) -> str:
    """Give msgspec's message with the key as a person writes it."""
    return str(error).replace("`$.", "`").replace("`$`", "the file")
