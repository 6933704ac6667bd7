"""Web Push (RFC 8030, 8291, 8292): a notice on whoever's browser asked for it."""

import base64
import contextlib
import datetime as dt
import json
import os
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02, VapidException
from pywebpush import WebPusher, WebPushException

from alerts.channels import reach
from alerts.channels.port import (
    GONE,
    CallbackError,
    Delivery,
    ExerciseError,
    Probe,
    Receipt,
    Script,
)
from alerts.life.warning import CLOSED
from alerts.texts.wording import Said

NAME = "push"

LARGEST = 3_000
"""Bytes of a notice at most; services take 4096 when it is encrypted."""

LONGEST = 28 * 86_400
"""Seconds that a service keeps a notice at most."""

TOKEN = dt.timedelta(hours=12)
"""How long we prove who we are with one signature; at most 24 hours."""

URGENCY: Mapping[str, str] = {"blue": "low", "yellow": "normal", "orange": "high", "red": "high"}
"""How far a telephone in its owner's pocket is woken for a level (RFC 8030)."""


class PushKeyError(Exception):
    """The key pair cannot be used; the message says why."""


def render(said: Said) -> Script:
    """Give what the service worker shows, as JSON; a long text is cut."""
    notice = {
        "title": said.headline,
        "body": said.guide,
        "warning": str(said.warning),
        "level": said.level,
        "ends": said.ends,
        "exercise": said.exercise,
        "language": said.language,
        "expires": int(said.expires.timestamp() * 1000),
        # The public page tells nothing of what is closed.
        "link": "" if said.act in CLOSED else f"/w/{said.warning}",
    }
    for name, text in (("body", said.guide), ("title", said.headline)):
        over = len(_encoded(notice)) - LARGEST
        if over > 0:
            kept = max(0, len(text.encode()) - over - len("…".encode()))
            notice[name] = text.encode()[:kept].decode(errors="ignore") + "…"
    return Script(subject=said.headline, body=_encoded(notice).decode())


class Keys:
    """The key pair by which push services know us, and browsers whom they subscribed to."""

    def __init__(self, private: Vapid02) -> None:
        self._private = private
        point = private.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = base64.urlsafe_b64encode(point).rstrip(b"=").decode()

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """Read the key, or make one where there is none; only its owner can read it then.

        Whoever loses it loses every subscription. Raises PushKeyError.
        """
        try:
            if not path.exists():
                _make(path)
            return cls(Vapid02.from_pem(path.read_bytes()))
        except (OSError, ValueError, VapidException) as error:
            raise PushKeyError(f"{path}: {error}") from None

    def authorization(self, endpoint: str, *, subject: str, now: dt.datetime) -> str:
        """Give the header that proves to the service of an endpoint who we are."""
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + TOKEN).timestamp()),
            "sub": subject,
        }
        return str(self._private.sign(claims)["Authorization"])


class Push:
    """Sends to browsers through their makers' services; close it. Make it inside the event loop.

    subject: where their makers can reach us, ``mailto:…`` or ``https://…``. private: services may
    be inside our own network.

    A repetition is harmless: the topic is the warning, and the newest notice of a topic takes the
    place of the one before, at the service and on the screen.
    """

    name = NAME
    repeatable = True

    def __init__(
        self,
        keys: Keys,
        *,
        subject: str,
        private: bool = False,
        timeout: float = 15,
        rate: float = 0,
        workers: int = 20,
    ) -> None:
        self.rate = rate
        self.workers = workers
        self._keys = keys
        self._subject = subject
        self._private = private
        self._session = reach.session(private=private, seconds=timeout, workers=workers)

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Hand the notice to the browser's service; raises ExerciseError.

        201 says that the service has it, not that somebody saw it. 404 and 410: the browser has
        left. 429, 5xx and silence: again later.
        """
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        left = int((delivery.expires - now).total_seconds())
        if left <= 0:
            return Receipt(delivery=delivery.id, state="failed", problem="too late to be sent")
        try:
            subscription = msgspec.json.decode(delivery.address, type=dict[str, object])
            endpoint = str(subscription["endpoint"])
            reach.check(endpoint, private=self._private)
            notice = msgspec.json.decode(delivery.body, type=_Notice)
            body = WebPusher(subscription).encode(delivery.body.encode())["body"]
            headers = {
                "Authorization": self._keys.authorization(endpoint, subject=self._subject, now=now),
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(min(left, LONGEST)),
                "Topic": _topic(notice.warning),
                "Urgency": URGENCY[notice.level],
            }
            # A redirect would lead past the check.
            async with self._session.post(
                endpoint, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return _receipt(delivery, answer.status, answer.headers.get("Location"))
        except (msgspec.DecodeError, WebPushException, KeyError, ValueError) as error:
            problem = f"no subscription that can be used: {type(error).__name__}"
            return Receipt(delivery=delivery.id, state="failed", problem=problem)
        except reach.ReachError as error:
            return Receipt(delivery=delivery.id, state="failed", problem=str(error))
        except (TimeoutError, aiohttp.ClientError) as error:
            problem = f"no answer: {type(error).__name__}"
            return Receipt(delivery=delivery.id, state="queued", problem=problem)

    async def find(self, delivery: Delivery) -> None:
        """Nothing is ever uncertain: it is sent again."""
        del delivery

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Refuse: services report nothing."""
        del form, headers, body
        raise CallbackError(f"push services have no callbacks: {url}")

    async def probe(self) -> Probe:
        """Say which key is in use; each browser's maker has a service of its own."""
        return Probe(ok=True, detail=f"key {self._keys.public[:12]}…")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class _Notice(msgspec.Struct):
    warning: uuid.UUID
    level: str


def _encoded(notice: Mapping[str, object]) -> bytes:
    return json.dumps(notice, ensure_ascii=False, separators=(",", ":")).encode()


def _topic(warning: uuid.UUID) -> str:
    """Give the warning in the 32 letters that a topic may have."""
    return base64.urlsafe_b64encode(warning.bytes).rstrip(b"=").decode()


def _receipt(delivery: Delivery, status: int, location: str | None) -> Receipt:
    if 200 <= status < 300:
        provider = location and location[-200:]
        return Receipt(delivery=delivery.id, state="accepted", provider=provider)
    if status in {404, 410}:
        problem = f"{GONE}the push service answers {status}"
        return Receipt(delivery=delivery.id, state="failed", problem=problem)
    if status in {408, 429} or status >= 500:
        return Receipt(delivery=delivery.id, state="queued", problem=f"status {status}")
    return Receipt(delivery=delivery.id, state="failed", problem=f"refused: status {status}")


def _make(path: Path) -> None:
    """Write a new key; of several who do so at once, one wins and all use its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = Vapid02()
    new.generate_keys()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new.private_pem())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
