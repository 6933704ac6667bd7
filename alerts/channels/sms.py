"""SMS through Twilio's official client; another base URL lets a stand-in answer."""

import asyncio
import base64
import datetime as dt
import logging
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from alerts.channels.port import CallbackError, Delivery, ExerciseError, Receipt, State

LONGEST = 36_000
"""Seconds that the provider keeps a message at most."""

SHORTEST = 6
"""Seconds below which its queue may drop a message at once."""

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

# The client logs addresses of requests; whom we write to is nobody's business.
_silent = logging.getLogger(f"{__name__}.http")
_silent.setLevel(logging.ERROR)


class Sms:
    """Sends through one account; close it at the end. Make it inside the event loop.

    callback: public address under which receipts come back, without the delivery's id; empty:
    none. Without receipts an uncertain delivery stays uncertain.
    """

    name = "sms"
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
    ) -> None:
        self._sender = sender
        self._callback = callback.rstrip("/")
        self._http = _Http(base_url=base_url, seconds=timeout)
        self._client = Client(account, token, http_client=self._http)
        self._validator = RequestValidator(token)

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Hand a message over.

        A refusal for too many requests was not processed and may be repeated; after a time-out or
        a failure of the provider only a receipt can tell. Raises ExerciseError.
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
            return _refused(delivery, error)
        except aiohttp.ClientConnectorError as error:
            return _receipt(delivery, "queued", problem=f"not reached: {error.strerror or error}")
        except (TimeoutError, aiohttp.ClientError, ValueError, TypeError, KeyError) as error:
            # No answer, or one that cannot be read: it may have been taken.
            return _receipt(delivery, "uncertain", problem=f"no clear answer: {error!r}")
        state = _STATES.get(str(message.status), "accepted")
        return Receipt(
            delivery=delivery.id,
            state=state,
            provider=message.sid,
            problem=_problem(message.error_code, message.error_message),
        )

    def parse_callback(self, *, url: str, form: Mapping[str, str], signature: str) -> Receipt:
        """Read a receipt; ``url`` is the public address that the provider called.

        Raises CallbackError for a wrong signature, address or state.
        """
        if not self._validator.validate(url, dict(form), signature):
            raise CallbackError("the signature is wrong")
        try:
            delivery = uuid.UUID(urlsplit(url).path.rpartition("/")[2])
            state = _STATES[form["MessageStatus"]]
        except (KeyError, ValueError) as error:
            raise CallbackError(f"not understood: {error!r}") from None
        return Receipt(
            delivery=delivery,
            state=state,
            provider=form.get("MessageSid"),
            problem=_problem(form.get("ErrorCode"), form.get("ErrorMessage")),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()  # type: ignore[no-untyped-call]


class _Http(AsyncTwilioHttpClient):
    """The official transport, with a limit in time and, if wanted, another address."""

    def __init__(self, *, base_url: str, seconds: float) -> None:
        super().__init__(logger=_silent)
        self._base_url = base_url.rstrip("/")
        self._seconds = seconds

    async def request(self, method: str, url: str, **values: Any) -> Response:  # type: ignore[override]
        """Send; raises TimeoutError. The client calls it with these names and no others."""
        if self._base_url:
            url = self._base_url + urlsplit(url)._replace(scheme="", netloc="").geturl()
        # The client would use a class of aiohttp that is on its way out.
        account = values.pop("auth", None)
        if account is not None:
            key = base64.b64encode(":".join(account).encode()).decode()
            values["headers"] = {**(values.get("headers") or {}), "Authorization": f"Basic {key}"}
        async with asyncio.timeout(self._seconds):
            return await super().request(method, url, **values)


def _refused(delivery: Delivery, error: TwilioException) -> Receipt:
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    problem = f"refused: status {status}, code {code}"
    if status == 429 or code == 20429:
        return _receipt(delivery, "queued", problem=problem)
    if isinstance(status, int) and 400 <= status < 500:
        return _receipt(delivery, "failed", problem=problem)
    return _receipt(delivery, "uncertain", problem=problem)


def _receipt(delivery: Delivery, state: State, *, problem: str) -> Receipt:
    return Receipt(delivery=delivery.id, state=state, problem=problem)


def _problem(code: object, text: object) -> str | None:
    return f"code {code}: {text or ''}".rstrip(": ") if code else None
