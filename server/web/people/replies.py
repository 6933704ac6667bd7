"""SMS that people send to us, as the provider hands them on; the answer goes back the same way.

Twilio signs what it sends. Any other gateway's messages are handed on as JSON by whoever holds a
token of an account.

A database that holds an event answers nobody and changes nothing: what comes in comes from real
people, and an answer would go to them.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from alerts.channels import sms
from alerts.people import contacts, replies
from alerts.people.contacts import ContactError
from alerts.people.sealing import Seal
from server import exercise
from server.clock import Clock
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 16_384
"""Bytes of what the provider hands on."""

PATH = "/api/v1/replies/sms"
"""Where Twilio sends what comes in."""

OFTEN = 10
"""Answers to one number in an hour; whoever sends more is a machine that answers our answers."""

PEOPLE = 10_000
"""Numbers whose answers are counted at once."""


class Count:
    """Counts the answers to each number, in this process, hour by hour."""

    def __init__(self, clock: Clock, seal: Seal) -> None:
        """Count by the real time."""
        self._clock = clock
        self._seal = seal
        self._hour = -1
        self._given: dict[bytes, int] = {}

    def may(self, address: contacts.Address) -> bool:
        """Say whether one more may be given, and count it."""
        hour = int(self._clock.now().timestamp() // 3600)
        if hour != self._hour or len(self._given) >= PEOPLE:
            self._hour, self._given = hour, {}
        key = address.digest(self._seal)
        self._given[key] = self._given.get(key, 0) + 1
        return self._given[key] <= OFTEN


class Received(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message as any gateway's is handed on; sender: a telephone number."""

    sender: str
    text: str


_received = msgspec.json.Decoder(Received)


def router(context: Context) -> APIRouter:
    """Give the routes; only the provider may call the first."""
    api = APIRouter(tags=["people"])
    count = Count(context.wall, context.seal)

    @api.post("/api/v1/replies")
    async def hand_on(request: Request) -> Response:
        """Take a message ``{"sender", "text"}``; send the sender what the answer says, if any."""
        await permit.need(request, context, "admin")
        given = await permit.read(request, _received, longest=LONGEST)
        return Json({"answer": await _answer(context, count, given.sender, given.text)})

    @api.post(PATH, include_in_schema=False)
    async def reply(request: Request) -> Response:
        """Take a message and answer it, as TwiML."""
        form = await _form(request)
        _signed(request, context, form)
        answer = await _answer(context, count, form.get("From", ""), form.get("Body", ""))
        twiml = MessagingResponse()
        # Twilio answers some words itself, and delivers nothing more to such a number.
        if answer and not form.get("OptOutType"):
            twiml.message(answer)
        return Response(str(twiml), media_type="application/xml")

    return api


def _signed(request: Request, context: Context, form: Mapping[str, str]) -> None:
    """Raise Problem unless the provider has sent it."""
    settings = context.settings
    public = settings.web.public_url.rstrip("/")
    if sms.NAME not in settings.alerts.channels or not settings.twilio.token or not public:
        raise Problem(404, "replies need the channel sms, twilio.token and web.public_url")
    signature = request.headers.get("x-twilio-signature", "")
    query = f"?{request.url.query}" if request.url.query else ""
    validator = RequestValidator(settings.twilio.token)
    if not validator.validate(f"{public}{PATH}{query}", dict(form), signature):
        raise Problem(403, "the signature is wrong")


async def _answer(context: Context, count: Count, sender: str, text: str) -> str:
    """Do what is asked for and give the answer; empty where none is to be given."""
    try:
        address = contacts.read(sms.NAME, sender)
    except ContactError:
        return ""  # a service number, or somebody who hides theirs
    async with context.database.connection() as conn:
        if await exercise.read(conn) is not None:
            raise Problem(404, "this is an exercise: it hears and answers nobody")
        done = await replies.answer(conn, address, text, seal=context.seal, at=context.clock.now())
    if not count.may(address):
        return ""
    alerts = context.settings.alerts
    agencies = {"zh": alerts.agency_zh, "en": alerts.agency_en}
    return replies.said(done, catalogue=context.catalogue, agencies=agencies)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise Problem(413, f"a message has at most {LONGEST} bytes")
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
