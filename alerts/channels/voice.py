"""Calls through Twilio's official client: the text twice, and a key by which it is confirmed."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.voice_response import Gather, VoiceResponse

from alerts.catalogue import Catalogue
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

NAME = "voice"

TONGUES: Mapping[str, str] = {"zh": "zh-CN", "en": "en-US"}
"""How the provider names the languages that it can speak."""

CONFIRM = "/ivr/confirm"
"""Where a pressed key is told to, below the public address; the delivery's id comes after it."""

LONGEST = 4_000
"""Characters that the provider takes of a call's instructions."""

SHORTEST = 30
"""Seconds that a message must still count when a call is placed."""

RINGING = 40
"""Seconds that a telephone rings."""

HEARD = 6
"""Seconds below which nobody can have heard what it was about."""

_STATES: Mapping[str, State] = {
    "queued": "accepted",
    "initiated": "accepted",
    "ringing": "accepted",
    "in-progress": "accepted",
    "completed": "delivered",
    "busy": "failed",
    "no-answer": "failed",
    "canceled": "failed",
    "failed": "failed",
}


def render(said: Said) -> Script:
    """Give what is read aloud."""
    return Script(body=said.spoken)


class Voice:
    """Calls through one account; close it at the end. Make it inside the event loop.

    callback: public address of receipts, without the delivery's id; confirm: public address that
    a pressed key is told to, likewise; empty: nobody is asked to press one. voices: name of the
    provider's voice per language, none: its own choice. rate: calls per second that it places.
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
        confirm: str = "",
        voices: Mapping[str, str] | None = None,
        machines: bool = True,
        words: Catalogue | None = None,
        rate: float = 1,
        workers: int = 4,
    ) -> None:
        self.rate = rate
        self.workers = workers
        self._sender = sender
        self._callback = callback.rstrip("/")
        self._confirm = confirm.rstrip("/")
        self._voices = voices or {}
        self._machines = machines
        self._words = words or Catalogue.load()
        self._http = Http(base_url=base_url, seconds=timeout)
        self._client = Client(account, token, http_client=self._http)
        self._account = account
        self._validator = RequestValidator(token)

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Place a call; what a refusal means is as with SMS. Raises ExerciseError."""
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        if (delivery.expires - now).total_seconds() < SHORTEST:
            return Receipt(delivery=delivery.id, state="failed", problem="too late to call")
        more: dict[str, Any] = {}
        if self._callback:
            # Of itself it tells of the end of a call, and of nothing else.
            more["status_callback"] = f"{self._callback}/{delivery.id}"
        if self._machines:
            # A machine is spoken to after its beep; a person hears the text at once.
            more["machine_detection"] = "DetectMessageEnd"
        try:
            call = await self._client.calls.create_async(
                to=delivery.address,
                from_=self._sender,
                twiml=self.instructions(delivery),
                timeout=RINGING,
                **more,
            )
        except TwilioException as error:
            return refused(delivery, error)
        except aiohttp.ClientConnectorError as error:
            problem = f"not reached: {error.strerror or error}"
            return Receipt(delivery=delivery.id, state="queued", problem=problem)
        except (TimeoutError, aiohttp.ClientError, ValueError, TypeError, KeyError) as error:
            # No answer, or one that cannot be read: it may ring.
            problem = f"no clear answer: {error!r}"
            return Receipt(delivery=delivery.id, state="uncertain", problem=problem)
        return Receipt(
            delivery=delivery.id,
            state=_STATES.get(str(call.status), "accepted"),
            provider=call.sid,
        )

    def instructions(self, delivery: Delivery) -> str:
        """Give the TwiML of a call: the text twice, once where twice is too long."""
        for times in (2, 1):
            text = str(self._speech(delivery, times))
            if len(text) <= LONGEST:
                break
        return text

    def _speech(self, delivery: Delivery, times: int) -> VoiceResponse:
        language = delivery.language if delivery.language in TONGUES else "zh"
        answer = VoiceResponse()
        target: Any = answer
        if self._confirm:
            target = Gather(
                num_digits=1,
                timeout=8,
                action=f"{self._confirm}/{delivery.id}?lang={language}",
                action_on_empty_result=False,
            )
        for turn in range(times):
            if turn:
                target.pause(length=1)
            self._say(target, language, delivery.body)
        if isinstance(target, Gather):
            target.pause(length=1)
            self._say(target, language, self._words.text("channel.call.confirm", language))
            answer.append(target)
        self._say(answer, language, self._words.text("channel.call.goodbye", language))
        answer.hangup()
        return answer

    def _say(self, target: Any, language: str, text: str) -> None:
        voice = self._voices.get(language) or None
        target.say(text, language=TONGUES[language], voice=voice)

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Ask for a call by the provider's number; without one nobody can say which call it was."""
        if delivery.provider is None:
            return None
        try:
            call = await self._client.calls(delivery.provider).fetch_async()
        except (TwilioException, TimeoutError, aiohttp.ClientError, ValueError, TypeError):
            return None
        state = _STATES.get(str(call.status))
        if state is None:
            return None
        return _outcome(
            delivery.id, state, call.sid, answered=call.answered_by, seconds=call.duration
        )

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Read what became of a call; raises CallbackError."""
        del body
        signature = headers.get("x-twilio-signature", "")
        if not self._validator.validate(url, dict(form), signature):
            raise CallbackError("the signature is wrong")
        try:
            delivery = uuid.UUID(urlsplit(url).path.rpartition("/")[2])
            state = _STATES[form["CallStatus"]]
        except (KeyError, ValueError) as error:
            raise CallbackError(f"not understood: {error!r}") from None
        return [
            _outcome(
                delivery,
                state,
                form.get("CallSid"),
                answered=form.get("AnsweredBy"),
                seconds=form.get("CallDuration"),
                ended=form["CallStatus"],
            )
        ]

    async def probe(self) -> Probe:
        """Ask for the account: the key is right, and it is active."""
        try:
            account = await self._client.api.v2010.accounts(self._account).fetch_async()
        except (TwilioException, TimeoutError, aiohttp.ClientError, ValueError, TypeError) as error:
            return Probe(ok=False, detail=f"the account did not answer: {error!r}")
        status = str(account.status)
        return Probe(ok=status == "active", detail=f"the account is {status}")

    async def close(self) -> None:
        """Close the connections."""
        async with asyncio.timeout(5):
            await self._http.close()  # type: ignore[no-untyped-call]


def _outcome(
    delivery: uuid.UUID,
    state: State,
    provider: str | None,
    *,
    answered: object,
    seconds: object,
    ended: str = "",
) -> Receipt:
    """Give the receipt of a call.

    Left on an answering machine it is where the recipient will find it, as a text on a telephone
    is; that somebody heard it is known only when a key was pressed.
    """
    problem = None
    if state == "failed":
        problem = f"the call ended: {ended}" if ended else "nobody was reached"
    elif state == "delivered" and str(answered) == "fax":
        state, problem = "failed", "a fax machine answered"
    elif state == "delivered" and str(seconds).isdigit() and int(str(seconds)) < HEARD:
        state, problem = "failed", f"hung up after {seconds} s"
    elif state == "delivered" and str(answered).startswith("machine"):
        problem = "left on an answering machine"
    return Receipt(delivery=delivery, state=state, provider=provider, problem=problem)
