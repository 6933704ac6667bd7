"""Addresses: how each channel's are written, checked, shown in part, and told apart.

Telephone numbers are E.164; a number without a country is one of mainland China. What is wrong
with an address is told by a code (``people.address.{code}`` of the catalogue) and never by the
address itself, which would end up in logs.
"""

import base64
import binascii
import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from alerts.people.sealing import Seal

LONGEST = 2_000
"""Characters of an address, of whichever channel."""

_PHONE = re.compile(r"\+[1-9]\d{6,14}")
_MOBILE = re.compile(r"1[3-9]\d{9}")
_LANDLINE = re.compile(r"(?:10|2\d|[3-9]\d{2})\d{7,8}")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SCREEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BETWEEN = re.compile(r"[\s\-.()/_·]+")


class ContactError(ValueError):
    """This is no address of the channel; ``code`` says why, the message in English."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """An address in the one form in which it is stored.

    key: by what it is told from others: two subscriptions of one browser are one.
    hint: what pages may show of it.
    """

    channel: str
    text: str
    key: str
    hint: str

    def digest(self, seal: Seal) -> bytes:
        """Give the bytes by which its row is found."""
        return seal.digest(self.channel, self.key)


def read(channel: str, text: str) -> Address:
    """Give the address as the channel writes it; raises ContactError."""
    try:
        reader = _READERS[channel]
    except KeyError:
        raise ContactError("channel", f"there is no channel {channel!r}") from None
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain:
        raise ContactError("empty", "there is no address")
    if len(plain) > LONGEST:
        raise ContactError("long", f"an address has at most {LONGEST} characters")
    if any(unicodedata.category(letter) == "Cc" for letter in plain):
        raise ContactError("control", "there are control characters in the address")
    return reader(channel, plain)


def anyhow(text: str) -> Address:
    """Give what a person typed as an e-mail address or a mobile number; raises ContactError."""
    return read("email" if "@" in unicodedata.normalize("NFKC", text) else "sms", text)


def _sms(channel: str, text: str) -> Address:
    number = _number(text)
    if number.startswith("+86") and not _MOBILE.fullmatch(number[3:]):
        raise ContactError("landline", "a line without a mobile telephone gets no SMS")
    return _phone(channel, number)


def _voice(channel: str, text: str) -> Address:
    return _phone(channel, _number(text))


def _phone(channel: str, number: str) -> Address:
    return Address(channel=channel, text=number, key=number, hint=f"…{number[-4:]}")


def _number(text: str) -> str:
    """Give a number as E.164; raises ContactError."""
    if re.fullmatch(r"[\d.,]+[eE]\+?\d+", text):
        raise ContactError("rounded", "a table has rounded the number: make the column text")
    if re.search(r"[;、,/]|转|(?i:ext)|#|x\d", text) and len(re.sub(r"\D", "", text)) > 8:
        raise ContactError("several", "write one number, without an extension")
    digits = _BETWEEN.sub("", text)
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if not re.fullmatch(r"\+?\d+", digits):
        raise ContactError("number", "a telephone number has digits and nothing else")
    if not digits.startswith("+"):
        digits = f"+86{_mainland(digits)}"
    if digits.startswith("+86"):
        digits = f"+86{_mainland(digits[3:])}"
    if not _PHONE.fullmatch(digits):
        raise ContactError("length", "a telephone number has 7 to 15 digits with its country")
    return digits


def _mainland(digits: str) -> str:
    """Give a number of mainland China without country and trunk prefix."""
    national = digits
    if len(national) == 13 and national.startswith("86"):
        national = national[2:]
    national = national.removeprefix("0")
    if _MOBILE.fullmatch(national) or _LANDLINE.fullmatch(national):
        return national
    if national.startswith("1") and not national.startswith("10"):
        raise ContactError("mobile", "a mobile number of mainland China has 11 digits")
    raise ContactError(
        "country", "not a number of mainland China: write the country, as +852…, or the area code"
    )


def _email(channel: str, text: str) -> Address:
    local, _, domain = text.rpartition("@")
    if not _LOCAL.fullmatch(local) or len(local) > 64:
        raise ContactError("email", "an e-mail address looks like name@example.cn")
    try:
        host = domain.encode("idna").decode().lower()
    except UnicodeError:
        host = ""
    labels = host.split(".")
    if len(labels) < 2 or len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ContactError("email", "an e-mail address looks like name@example.cn")
    # No mailbox in use tells its letters' case, and people do not either.
    address = f"{local.lower()}@{host}"
    return Address(channel=channel, text=address, key=address, hint=f"{address[0]}…@{host}")


class _Keys(msgspec.Struct):
    p256dh: str
    auth: str


class _Subscription(msgspec.Struct):
    """What a browser gives when somebody allows it to show notices (W3C Push API)."""

    endpoint: str
    keys: _Keys


def _push(channel: str, text: str) -> Address:
    try:
        given = msgspec.json.decode(text, type=_Subscription)
        point, secret = _base64(given.keys.p256dh), _base64(given.keys.auth)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise ContactError("push", "not a browser's subscription to notices") from None
    parts = _url(given.endpoint)
    if parts.scheme != "https" or len(point) != 65 or len(secret) != 16:
        raise ContactError("push", "not a browser's subscription to notices")
    whole = {
        "endpoint": given.endpoint,
        "keys": {"auth": given.keys.auth, "p256dh": given.keys.p256dh},
    }
    return Address(
        channel=channel,
        text=json.dumps(whole, sort_keys=True, separators=(",", ":")),
        key=given.endpoint,
        hint=str(parts.hostname),
    )


def _base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _webhook(channel: str, text: str) -> Address:
    parts = _url(text)
    host = str(parts.hostname)
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(host)):
        raise ContactError("url", "a webhook is reached by https://")
    return Address(channel=channel, text=text, key=text, hint=host)


def _social(channel: str, text: str) -> Address:
    scheme, found, rest = text.partition("://")
    if not found or not rest or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ContactError("social", "an account is an address as wecom://…, its secrets in it")
    return Address(channel=channel, text=text, key=text, hint=f"{scheme}://…")


def _screen(channel: str, text: str) -> Address:
    if not _SCREEN.fullmatch(text):
        raise ContactError("screen", "a name has 1 to 64 letters, digits, - and _")
    return Address(channel=channel, text=text, key=text, hint=text)


def _url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.fragment or " " in text:
        raise ContactError("url", "not a web address as https://example.cn/path")
    return parts


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_READERS: Mapping[str, Callable[[str, str], Address]] = {
    "sms": _sms,
    "voice": _voice,
    "fax": _voice,
    "email": _email,
    "push": _push,
    "social": _social,
    "webhook": _webhook,
    "display": _screen,
    "broadcast": _screen,
}

CHANNELS: tuple[str, ...] = tuple(_READERS)
"""Ways by which somebody can be reached."""


def fields(address: Address, seal: Seal) -> dict[str, Any]:
    """Give what the row of a contact holds of its address."""
    return {
        "channel": address.channel,
        "address": seal.seal(address.text),
        "digest": address.digest(seal),
        "hint": address.hint,
    }
