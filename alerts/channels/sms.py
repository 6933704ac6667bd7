"""SMS through Twilio's official client; another base URL lets a stand-in answer."""

import datetime as dt
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from alerts.channels.port import (
    CallbackError,
    Delivery,
    ExerciseError,
    Probe,
    Receipt,
    Script,
    State,
)
from alerts.channels.twilio import Http, refused
from alerts.texts.wording import Said

NAME = "sms"

LONGEST = 36_000
"""Seconds that the provider keeps a message at most."""

SHORTEST = 6
"""Seconds below which its queue may drop a message at once."""

MOST = 50
"""Messages to one number that are looked through for one of ours."""

SKEW = dt.timedelta(minutes=5)
"""How far the provider's clock may be behind ours."""

_STATES: Mapping[str, State] = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "accepted",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

_Unclear = (TimeoutError, aiohttp.ClientError, ValueError, TypeError, KeyError)
"""No answer, or one that cannot be read."""


def render(said: Said) -> Script:
    """Give the text for a phone."""
    return Script(body=said.sms.body, segments=said.sms.segments)


class Sms:
    """Sends through one account; close it at the end. Make it inside the event loop.

    callback: public address under which receipts come back, without the delivery's id; empty:
    none. rate: messages per second that the account may send; 0: no limit.
    """

    name = NAME
    repeatable = False

    def __init__(
        self,
        *,
        account: str,
        token: str,
        sender: str,
        base_url: str = "",
        timeout: float = 10,
        callback: str = "",
        rate: float = 0,
        workers: int = 20,
    ) -> None:
        self.rate = rate
        self.workers = workers
        self._account = account
        self._sender = sender
        self._callback = callback.rstrip("/")
        self._http = Http(base_url=base_url, seconds=timeout)
        self._client = Client(account, token, http_client=self._http)
        self._validator = RequestValidator(token)

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Hand a message over.

        A refusal for too many requests was not processed and may be repeated; after a time-out or
        a failure of the provider only a receipt, or its list, can tell. Raises ExerciseError.
        """
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        left = int((delivery.expires - now).total_seconds())
        if left < SHORTEST:
            return _receipt(delivery, "failed", problem="too late to be sent")
        callback = {"status_callback": f"{self._callback}/{delivery.id}"} if self._callback else {}
        try:
            message = await self._client.messages.create_async(
                to=delivery.address,
                from_=self._sender,
                body=delivery.body,
                validity_period=min(left, LONGEST),
                **callback,
            )
        except TwilioException as error:
            return refused(delivery, error)
        except aiohttp.ClientConnectorError as error:
            return _receipt(delivery, "queued", problem=f"not reached: {error.strerror or error}")
        except _Unclear as error:
            return _receipt(delivery, "uncertain", problem=f"no clear answer: {error!r}")
        return _known(delivery, message)

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Ask by the provider's number, or look for the text among what went to the address.

        ``queued`` where the list is there and the text is not in it. The provider keeps no number
        of ours: a text that has left before counts for this one when it is the same and not older
        than the attempt. It does not promise that its list is complete at once.
        """
        try:
            if delivery.provider:
                message = await self._client.messages(delivery.provider).fetch_async()
                return _known(delivery, message)
            found = await self._client.messages.list_async(
                to=delivery.address, limit=MOST, page_size=MOST
            )
        except (TwilioException, *_Unclear):
            return None
        since = delivery.handed - SKEW if delivery.handed else None
        for message in found:
            made = message.date_created
            fresh = since is None or made is None or made >= since
            # A trial account puts a line of its own before the text.
            if fresh and (message.body or "").endswith(delivery.body):
                return _known(delivery, message)
        if len(found) >= MOST:
            return None
        return _receipt(delivery, "queued", problem="the provider does not have it")

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Read a receipt; ``url`` is the public address that the provider called.

        Raises CallbackError for a wrong signature, address or state.
        """
        del body
        if not self._validator.validate(url, dict(form), headers.get("x-twilio-signature", "")):
            raise CallbackError("the signature is wrong")
        try:
            delivery = uuid.UUID(urlsplit(url).path.rpartition("/")[2])
            state = _STATES[form["MessageStatus"]]
        except (KeyError, ValueError) as error:
            raise CallbackError(f"not understood: {error!r}") from None
        receipt = Receipt(
            delivery=delivery,
            state=state,
            provider=form.get("MessageSid"),
            problem=_problem(form.get("ErrorCode"), form.get("ErrorMessage")),
        )
        return [receipt]

    async def probe(self) -> Probe:
        """Ask for the account: whether it is there, and may send."""
        try:
            account = await self._client.api.accounts(self._account).fetch_async()
        except TwilioException as error:
            status = getattr(error, "status", None)
            return Probe(ok=False, detail=f"refused: status {status}")
        except _Unclear as error:
            return Probe(ok=False, detail=f"no clear answer: {error!r}")
        return Probe(ok=str(account.status) == "active", detail=f"account {account.status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()  # type: ignore[no-untyped-call]


def _known(delivery: Delivery, message: MessageInstance) -> Receipt:
    return Receipt(
        delivery=delivery.id,
        state=_STATES.get(str(message.status), "accepted"),
        provider=message.sid,
        problem=_problem(message.error_code, message.error_message),
    )


def _receipt(delivery: Delivery, state: State, *, problem: str) -> Receipt:
    return Receipt(delivery=delivery.id, state=state, problem=problem)


def _problem(code: object, text: object) -> str | None:
    return f"code {code}: {text or ''}".rstrip(": ") if code else None
