"""The warning line: what a telephone hears and which keys it may press, as TwiML."""

import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import psycopg
from fastapi import APIRouter, Request
from starlette.responses import Response
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Gather, VoiceResponse

from alerts.channels.voice import TONGUES
from alerts.faces import posters
from alerts.faces.hotline import TRIES, Hotline, Step
from alerts.people import acknowledge
from server.store.connection import Connection
from server.store.errors import StoreError
from server.web.context import Context
from server.web.problems import Problem

_log = logging.getLogger(__name__)

LONGEST = 16_384
"""Bytes of what the provider tells of a call."""

PATIENCE = 6
"""Seconds in which a key is pressed."""

SAID = 3_000
"""Characters of one sentence at most; the provider takes 4096."""


def router(context: Context) -> APIRouter:
    """Give the routes; only the provider may call them."""
    api = APIRouter(prefix="/ivr", include_in_schema=False)
    phone, steps = _Telephone(context), _Steps(context)
    for path, step in (
        ("", steps.welcome),
        ("/menu", steps.menu),
        ("/regions", steps.regions),
        ("/region", steps.region),
        ("/all", steps.everything),
    ):
        api.add_api_route(path, phone.route(step), methods=["POST"])

    @api.post("/confirm/{delivery}")
    async def confirm(delivery: uuid.UUID, request: Request) -> Response:
        """Take the key by which somebody says that they have heard a warning."""
        return await phone.confirm(request, delivery)

    return api


class _Asked:
    """What came with a call: the form, and what the address says."""

    def __init__(self, form: dict[str, str], query: dict[str, str]) -> None:
        self.form = form
        self._query = query
        self.language = query.get("lang", "") if query.get("lang") in TONGUES else "zh"

    def number(self, name: str) -> int:
        """Give a number from the address; 1 where there is none."""
        text = self._query.get(name, "")
        return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1


class _Steps:
    """Looks up what a step tells of."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def welcome(self, line: Hotline, asked: _Asked) -> Step:
        """Greet whoever calls, and let them choose a language."""
        del asked
        return line.welcome()

    async def menu(self, line: Hotline, asked: _Asked) -> Step:
        """Ask what they want to hear."""
        return line.menu(asked.language)

    async def regions(self, line: Hotline, asked: _Asked) -> Step:
        """Read out the districts."""
        async with self._context.database.connection() as conn:
            places = await posters.places(conn)
        return line.regions(asked.language, places, asked.number("page"))

    async def region(self, line: Hotline, asked: _Asked) -> Step:
        """Read out what is in force for one."""
        number = asked.number("number")
        async with self._context.database.connection() as conn:
            places = await posters.places(conn)
            if number > len(places):
                return line.regions(asked.language, places, 1)
            place = places[number - 1]
            found, spoken = await self._in_force(conn, asked.language, [place.id])
        return line.region(asked.language, place, number, found, spoken)

    async def everything(self, line: Hotline, asked: _Asked) -> Step:
        """Read out everything that is in force."""
        async with self._context.database.connection() as conn:
            found, spoken = await self._in_force(conn, asked.language, None)
        return line.all(asked.language, found, spoken, asked.number("page"))

    async def _in_force(
        self, conn: Connection, language: str, regions: list[str] | None
    ) -> tuple[list[posters.Poster], dict[uuid.UUID, str]]:
        """Give what is in force, and the words for the ear where some were written."""
        live = self._context.live
        found = await posters.in_force(conn, now=live.now, exercise=live.exercise, regions=regions)
        messages = [poster.message for poster in found]
        return found, await posters.spoken(conn, messages, language=language)


class _Telephone:
    """Writes steps as TwiML, after making sure who asks."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._words = context.catalogue
        self._public = context.settings.web.public_url.rstrip("/")
        self._validator = RequestValidator(context.settings.twilio.token)

    def route(
        self, step: Callable[[Hotline, _Asked], Awaitable[Step]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Give the route of a step."""

        async def answer(request: Request) -> Response:
            asked = await self._asked(request)
            line = self._line()
            try:
                return self._next(line, await step(line, asked), asked)
            except (StoreError, psycopg.Error) as error:
                _log.warning("the warning line cannot look up what is in force error=%s", error)
                return self._end(*line.say("sorry", asked.language))

        return answer

    def _line(self) -> Hotline:
        alerts = self._context.settings.alerts
        return Hotline(
            words=self._words,
            agencies={"zh": alerts.agency_zh, "en": alerts.agency_en},
            zone=self._context.settings.zone,
            exercise=self._context.live.exercise,
        )

    def _next(self, line: Hotline, step: Step, asked: _Asked) -> Response:
        """Go where a pressed key leads; without one, say the step and wait, but not for ever."""
        pressed, tries, lead = asked.form.get("Digits", ""), asked.number("tries"), []
        if pressed in step.keys:
            spoken = VoiceResponse()
            spoken.redirect(self._url(step.keys[pressed]))
            return _twiml(spoken)
        if pressed:
            tries, lead = tries + 1, [line.say("wrong", asked.language)]
        if tries > TRIES:
            return self._end(*line.say("goodbye", asked.language))
        spoken = VoiceResponse()
        again = f"{self._url(step.here)}{'&' if step.here else '?'}tries="
        gather = Gather(
            num_digits=1,
            timeout=PATIENCE,
            finish_on_key="",  # the hash is a key like others, and no end
            action=f"{again}{tries}",
            action_on_empty_result=False,
        )
        for language, text in (*lead, *step.lines):
            self._say(gather, language, text)
        spoken.append(gather)
        self._say(spoken, *line.say("silent", asked.language))
        spoken.redirect(f"{again}{tries + 1}")
        return _twiml(spoken)

    def _end(self, language: str, text: str) -> Response:
        spoken = VoiceResponse()
        self._say(spoken, language, text)
        spoken.hangup()
        return _twiml(spoken)

    async def confirm(self, request: Request, delivery: uuid.UUID) -> Response:
        """Acknowledge, or ask again for the right key."""
        asked = await self._asked(request)
        tries = asked.number("tries")
        spoken = VoiceResponse()
        if asked.form.get("Digits") == "1":
            name = await self._acknowledged(delivery)
            self._say(spoken, asked.language, self._text(f"call.{name}", asked))
        elif tries < TRIES:
            path = f"/confirm/{delivery}?lang={asked.language}&tries={tries + 1}"
            gather = Gather(
                num_digits=1, timeout=PATIENCE, action=self._url(path), action_on_empty_result=False
            )
            self._say(gather, asked.language, self._text("call.again", asked))
            spoken.append(gather)
        self._say(spoken, asked.language, self._text("call.goodbye", asked))
        spoken.hangup()
        return _twiml(spoken)

    async def _acknowledged(self, delivery: uuid.UUID) -> str:
        """Acknowledge; give the name of what to say then."""
        now, note = self._context.live.now, self._words.text("channel.call.by", "zh")
        try:
            async with self._context.database.connection() as conn:
                known = await acknowledge.find(conn, delivery)
                if known is not None and known.at is not None:
                    return "known"
                found = await acknowledge.by_delivery(conn, delivery=delivery, at=now, note=note)
        except (StoreError, psycopg.Error) as error:
            _log.warning("a key was not noted delivery=%s error=%s", delivery, error)
            return "failed"
        return "thanks" if found is not None and found.at is not None else "failed"

    async def _asked(self, request: Request) -> _Asked:
        """Give what came; raises Problem where it is not the provider who calls."""
        if not self._public or not self._context.settings.twilio.token:
            raise Problem(404, "the line is not set up: it needs web.public_url and twilio.token")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST:
                raise Problem(413, f"a call is told of in at most {LONGEST} bytes")
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        query = request.url.query
        # Signed is the address that the world uses, whatever stands in front of us.
        url = f"{self._public}{request.url.path}{f'?{query}' if query else ''}"
        signature = request.headers.get("x-twilio-signature", "")
        if not self._validator.validate(url, form, signature):
            raise Problem(403, "the signature is wrong")
        return _Asked(form, dict(parse_qsl(query)))

    def _text(self, key: str, asked: _Asked) -> str:
        return self._words.text(f"channel.{key}", asked.language)

    def _say(self, target: Any, language: str, text: str) -> None:
        voice = getattr(self._context.settings.voice, language, "") or None
        target.say(text[:SAID], language=TONGUES[language], voice=voice)

    def _url(self, path: str) -> str:
        return f"{self._public}/ivr{path}"


def _twiml(spoken: VoiceResponse) -> Response:
    return Response(str(spoken), media_type="application/xml")
