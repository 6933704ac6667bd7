"""Fax: the bulletin as a PDF, by an HTTP gateway or by a gateway that takes e-mail."""

import datetime as dt
import uuid
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import msgspec

from alerts.channels import signing
from alerts.channels.mail import Server
from alerts.channels.port import (
    CallbackError,
    Delivery,
    ExerciseError,
    Probe,
    Receipt,
    Script,
    State,
)
from alerts.texts.bulletin import BulletinError, Press, Sheet, divide, join
from alerts.texts.typeface import TypefaceError
from alerts.texts.wording import Said

NAME = "fax"

SHORTEST = 60
"""Seconds that a message must still count: a page takes about that long."""

LONGEST = 4_096
"""Bytes of a gateway's answer that are read."""

_STATES: Mapping[str, State] = {
    "accepted": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "delivered": "delivered",
    "sent": "delivered",
    "success": "delivered",
    "failed": "failed",
    "busy": "failed",
    "no-answer": "failed",
    "cancelled": "failed",
}


def render(said: Said) -> Script:
    """Give the bulletin as people read it, and behind a line what the PDF is made from."""
    sheet = Sheet.of(said)
    return Script(subject=said.headline, body=join(sheet))


class Gateway(Protocol):
    """What turns a PDF into a call."""

    repeatable: bool

    async def submit(self, delivery: Delivery, pdf: bytes, *, now: dt.datetime) -> Receipt:
        """Hand a PDF over."""
        ...

    async def probe(self) -> Probe:
        """Look whether it is there."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


class Fax:
    """Sends through a gateway; close it at the end. Make it inside the event loop.

    secret: the key by which the gateway signs its reports, see `signing`, with the delivery's id
    as theirs; empty: no report is believed.
    """

    name = NAME

    def __init__(
        self,
        gateway: Gateway,
        press: Press,
        *,
        secret: str = "",
        rate: float = 0,
        workers: int = 2,
    ) -> None:
        self.rate = rate
        self.workers = workers
        self._gateway = gateway
        self._press = press
        self._secret = secret.encode()

    @property
    def repeatable(self) -> bool:
        """Whether the gateway knows a delivery again; then a repetition is harmless."""
        return self._gateway.repeatable

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Print the bulletin and hand it over; raises ExerciseError."""
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        if (delivery.expires - now).total_seconds() < SHORTEST:
            return _receipt(delivery, "failed", "too late to be sent")
        try:
            pdf = await self._press.print(divide(delivery.body)[1])
        except (BulletinError, TypefaceError) as error:
            return _receipt(delivery, "failed", f"nothing to send: {error}")
        return await self._gateway.submit(delivery, pdf, now=now)

    async def find(self, delivery: Delivery) -> None:
        """No common interface of gateways tells by our number."""
        del delivery

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Read a report: ``status`` and, if known, ``id`` and ``error``, as a form or as JSON.

        Raises CallbackError.
        """
        number = urlsplit(url).path.rpartition("/")[2]
        if headers.get(signing.ID) != number or not signing.signed(self._secret, headers, body):
            raise CallbackError("the signature is wrong")
        try:
            fields = dict(form) or msgspec.json.decode(body, type=dict[str, object])
            delivery = uuid.UUID(number)
            state = _STATES[str(fields["status"]).lower()]
        except (KeyError, ValueError) as error:
            raise CallbackError(f"not understood: {error!r}") from None
        known = {name: str(fields[name])[:200] for name in ("id", "error") if fields.get(name)}
        return [
            Receipt(
                delivery=delivery,
                state=state,
                provider=known.get("id"),
                problem=known.get("error"),
            )
        ]

    async def probe(self) -> Probe:
        """Look whether the gateway is there, and whether Chinese can be printed."""
        found, complaint = await self._gateway.probe(), await self._press.complaint()
        if not complaint:
            return found
        return Probe(ok=False, detail=f"{found.detail}; {complaint}")

    async def close(self) -> None:
        """Close the gateway."""
        await self._gateway.close()


class HttpGateway:
    """A gateway that takes a POST of multipart/form-data: the number, the file and our id.

    token: sent as ``Authorization: Bearer``. fields: their names; the id also stands in
    ``Idempotency-Key``. callback: public address of reports, without the id, sent in
    the field ``callback``. repeatable: whether the gateway honours that key.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        fields: tuple[str, str, str] = ("to", "file", "id"),
        callback: str = "",
        repeatable: bool = False,
        timeout: float = 30,
    ) -> None:
        self.repeatable = repeatable
        self._url = url
        self._fields = fields
        self._callback = callback.rstrip("/")
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=aiohttp.ClientTimeout(total=timeout),
        )

    async def submit(self, delivery: Delivery, pdf: bytes, *, now: dt.datetime) -> Receipt:
        """Hand a PDF over.

        429 and 503 were not processed; another 4xx never will be; whatever else is not 2xx, and
        silence, may have been.
        """
        del now
        number, file, name = self._fields
        form = aiohttp.FormData({number: delivery.address, name: str(delivery.id)})
        if self._callback:
            form.add_field("callback", f"{self._callback}/{delivery.id}")
        form.add_field(
            file, pdf, content_type="application/pdf", filename=f"{delivery.message}.pdf"
        )
        headers = {"Idempotency-Key": str(delivery.id)}
        try:
            async with self._session.post(
                self._url, data=form, headers=headers, allow_redirects=False
            ) as answer:
                text = await answer.content.read(LONGEST)
                status = answer.status
        except aiohttp.ClientConnectorError as error:
            return _receipt(delivery, "queued", f"not reached: {error.strerror or error}")
        except (TimeoutError, aiohttp.ClientError) as error:
            unclear: State = "queued" if self.repeatable else "uncertain"
            return _receipt(delivery, unclear, f"no clear answer: {error!r}")
        if 200 <= status < 300:
            return Receipt(delivery=delivery.id, state="accepted", provider=_number(text))
        if status in {429, 503}:
            return _receipt(delivery, "queued", f"refused: status {status}")
        if 400 <= status < 500:
            return _receipt(delivery, "failed", f"refused: status {status}")
        return _receipt(delivery, "queued" if self.repeatable else "uncertain", f"status {status}")

    async def probe(self) -> Probe:
        """Ask with HEAD: any answer that is not a fault of the server shows that it is there."""
        try:
            async with self._session.head(self._url, allow_redirects=False) as answer:
                status = answer.status
        except (TimeoutError, aiohttp.ClientError) as error:
            return Probe(ok=False, detail=f"the gateway does not answer: {error!r}")
        wrong = status >= 500 or status in {401, 403}
        return Probe(ok=not wrong, detail=f"the gateway answers {status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class MailGateway:
    """A gateway that takes e-mail to ``number@its.domain``; it knows a Message-ID again.

    pattern: the address, with ``{number}`` where the digits of the number stand.
    """

    repeatable = True

    def __init__(self, server: Server, *, sender: str, pattern: str) -> None:
        self._server = server
        self._from = Address(addr_spec=sender)
        self._pattern = pattern

    async def submit(self, delivery: Delivery, pdf: bytes, *, now: dt.datetime) -> Receipt:
        """Hand the PDF to the mail server; what its answers mean is as with e-mail."""
        digits = "".join(letter for letter in delivery.address if letter.isdigit())
        mail = EmailMessage()
        mail["From"] = self._from
        mail["To"] = Address(addr_spec=self._pattern.format(number=digits))
        mail["Subject"] = " ".join(delivery.subject.split())
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<{delivery.id}@{self._from.domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n")
        mail.add_attachment(
            pdf, maintype="application", subtype="pdf", filename=f"{delivery.message}.pdf"
        )
        return await self._server.submit(mail, delivery)

    async def probe(self) -> Probe:
        """Greet the mail server."""
        return await self._server.probe()

    async def close(self) -> None:
        """Every mail has closed its own connection."""


def _number(text: bytes) -> str | None:
    """Give the gateway's number of a fax, where its answer is JSON with ``id``."""
    try:
        answer = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    found = answer.get("id") if isinstance(answer, dict) else None
    return None if found is None else str(found)[:200]


def _receipt(delivery: Delivery, state: State, problem: str) -> Receipt:
    return Receipt(delivery=delivery.id, state=state, problem=problem)
