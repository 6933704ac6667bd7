"""The channels of this centre, built from its settings. Do it inside the event loop."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from alerts.channels import (
    broadcast,
    display,
    email,
    fax,
    gateway,
    push,
    sms,
    social,
    voice,
    webhook,
)
from alerts.channels.mail import Server
from alerts.channels.port import Channel, Delivery
from alerts.people import leaving
from alerts.people.sealing import Seal, SealError
from alerts.texts.bulletin import Press
from server import desk, screens
from server.clock import SystemClock
from server.settings import Settings, SettingsError


def build(name: str, settings: Settings) -> Channel:
    """Give a channel, to be closed at the end; raises SettingsError where something is missing."""
    if name not in BUILDERS:
        known = ", ".join(BUILDERS)
        raise SettingsError(f"alerts.channels: no channel {name!r}, there is: {known}")
    return BUILDERS[name](settings)


def callback(settings: Settings, name: str) -> str:
    """Give the public address under which receipts of a channel come back; empty: none can."""
    public = settings.web.public_url.rstrip("/")
    return f"{public}/api/v1/receipts/{name}" if public else ""


def _sms(settings: Settings) -> Channel:
    if settings.gateway.description:
        return _gateway(settings)
    twilio = settings.twilio
    for name in ("account", "token", "sender"):
        if not getattr(twilio, name):
            raise SettingsError(f"twilio.{name} is needed for the channel sms")
    return sms.Sms(
        account=twilio.account,
        token=twilio.token,
        sender=twilio.sender,
        base_url=twilio.base_url,
        timeout=twilio.timeout,
        callback=callback(settings, sms.NAME),
        rate=twilio.rate,
        workers=settings.alerts.workers,
    )


def _gateway(settings: Settings) -> Channel:
    given = settings.gateway
    try:
        return gateway.Gateway(
            gateway.Description.load(Path(given.description), secret=given.secret),
            now=SystemClock().now,
            callback=callback(settings, gateway.NAME),
            workers=settings.alerts.workers,
        )
    except gateway.GatewayError as error:
        raise SettingsError(f"gateway.description: {error}") from None


def _voice(settings: Settings) -> Channel:
    twilio, public = settings.twilio, settings.web.public_url.rstrip("/")
    sender = settings.voice.sender or twilio.sender
    for name, given in (("account", twilio.account), ("token", twilio.token), ("sender", sender)):
        if not given:
            raise SettingsError(f"twilio.{name} is needed for the channel voice")
    return voice.Voice(
        account=twilio.account,
        token=twilio.token,
        sender=sender,
        base_url=twilio.base_url,
        timeout=twilio.timeout,
        callback=callback(settings, voice.NAME),
        confirm=f"{public}{voice.CONFIRM}" if public else "",
        voices={"zh": settings.voice.zh, "en": settings.voice.en},
        machines=settings.voice.machines,
        words=desk.words(settings),
        rate=settings.voice.rate,
        workers=settings.alerts.workers,
    )


def _server(settings: Settings, *, channel: str) -> Server:
    given = settings.email
    if not given.host:
        raise SettingsError(f"email.host is needed for the channel {channel}")
    return Server(
        host=given.host,
        port=given.port,
        encryption=given.encryption,
        user=given.user,
        password=given.password,
        authority=given.authority,
        timeout=given.timeout,
    )


def _sender(settings: Settings, *, channel: str) -> str:
    sender = settings.email.sender or settings.alerts.sender
    if "@" not in sender:
        raise SettingsError(f"email.sender: write an address for the channel {channel}")
    return sender


def _leave(settings: Settings) -> Callable[[Delivery], str] | None:
    """Give what makes the link by which a member of the public gets no more; None: none can be."""
    public = settings.web.public_url.rstrip("/")
    if not public:
        return None
    try:
        seal = Seal.load(settings.key)
    except SealError as error:
        raise SettingsError(f"alerts.key: {error}") from None
    return lambda given: public + leaving.link(given.id, seal) if given.tier == "public" else ""


def _email(settings: Settings) -> Channel:
    return email.Email(
        _server(settings, channel=email.NAME),
        sender=_sender(settings, channel=email.NAME),
        title=settings.alerts.agency_zh,
        leave=_leave(settings),
        press=Press(settings.fax.font, words=desk.words(settings)),
        attach=settings.email.attach,
        words=desk.words(settings),
        rate=settings.email.rate,
        workers=settings.alerts.workers,
    )


def _fax(settings: Settings) -> Channel:
    given = settings.fax
    gateway: fax.Gateway
    if given.url:
        gateway = fax.HttpGateway(
            given.url,
            token=given.token,
            fields=(given.number, given.file, given.id),
            callback=callback(settings, fax.NAME) if given.secret else "",
            repeatable=given.repeatable,
            timeout=given.timeout,
        )
    elif given.mail:
        gateway = fax.MailGateway(
            _server(settings, channel=fax.NAME),
            sender=_sender(settings, channel=fax.NAME),
            pattern=given.mail,
        )
    else:
        raise SettingsError("fax.url or fax.mail is needed for the channel fax")
    return fax.Fax(
        gateway,
        Press(given.font, words=desk.words(settings)),
        secret=given.secret,
        rate=given.rate,
        workers=settings.alerts.workers,
    )


def push_keys(settings: Settings) -> push.Keys:
    """Give the key pair of Web Push, made at first use; raises SettingsError."""
    try:
        return push.Keys.load(settings.folder / "push.pem")
    except push.PushKeyError as error:
        raise SettingsError(str(error)) from None


def _push(settings: Settings) -> Channel:
    sender = settings.push.subject or f"mailto:{settings.alerts.sender}"
    if not re.fullmatch(r"https://.+|mailto:[^@]+@[^@]+", sender):
        raise SettingsError("push.subject: write mailto:name@example.cn or https://…")
    return push.Push(
        push_keys(settings),
        subject=sender,
        private=settings.push.private,
        timeout=settings.push.timeout,
        workers=settings.alerts.workers,
    )


def _social(settings: Settings) -> Channel:
    return social.Social(timeout=settings.social.timeout, workers=settings.alerts.workers)


def _webhook(settings: Settings) -> Channel:
    given = settings.webhook
    if not given.secret:
        raise SettingsError("webhook.secret is needed for the channel webhook")
    return webhook.Webhook(
        secret=given.secret,
        private=given.private,
        timeout=given.timeout,
        workers=settings.alerts.workers,
    )


def _broadcast(settings: Settings) -> Channel:
    return broadcast.Broadcast(workers=settings.alerts.workers)


BUILDERS: Mapping[str, Callable[[Settings], Channel]] = MappingProxyType(
    {
        sms.NAME: _sms,
        voice.NAME: _voice,
        email.NAME: _email,
        fax.NAME: _fax,
        push.NAME: _push,
        social.NAME: _social,
        webhook.NAME: _webhook,
        display.NAME: screens.display,
        broadcast.NAME: _broadcast,
    }
)
"""By the name of a channel, what builds it."""
