"""Signing up by browser: a number, a code, then `server.web.people.mine`. Works without JavaScript.

Whether a number is known is told to nobody but its owner: every step before the code looks and
takes the same for all.
"""

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.people import contacts, signup
from alerts.people.contacts import Address, ContactError
from alerts.people.signup import LimitError
from server import exercise
from server.web import permit
from server.web.context import Context
from server.web.faces.rendering import agency, language_of, page
from server.web.people import leaving, mine, places, visitor

_WRONG = {"way": "signup.wrong_way", "abroad": "signup.abroad"}
"""What is wrong with an address here, and nowhere else."""


def router(context: Context) -> APIRouter:
    """Give the routes, with those of what follows: the settings, the way out, the places."""
    whole = APIRouter()
    for part in (mine, leaving, places):
        whole.include_router(part.router(context))
    pages = APIRouter(include_in_schema=False)

    @pages.get("/signup")
    async def begin(request: Request) -> Response:
        """Ask for a number or a mailbox."""
        return await _begin(request, context)

    @pages.post("/signup")
    async def send(request: Request) -> Response:
        """Send a code there, known or not."""
        permit.same_origin(request, context)
        form = await visitor.form(request)
        return await _send(request, context, form.get("address", [""])[-1])

    @pages.get("/signup/code")
    async def code(request: Request, id: str = "") -> Response:  # noqa: A002 - its name in the address
        """Ask for the code."""
        return await _code(request, context, id)

    @pages.post("/signup/code")
    async def confirm(request: Request) -> Response:
        """Look at the code; the right one opens the settings."""
        permit.same_origin(request, context)
        form = await visitor.form(request)
        return await _confirm(
            request, context, form.get("id", [""])[-1], form.get("code", [""])[-1]
        )

    @pages.post("/signup/out")
    async def out(request: Request) -> Response:
        """Forget the browser."""
        permit.same_origin(request, context)
        answer = visitor.moved(f"/signup?lang={language_of(request)}")
        async with context.database.connection() as conn:
            await visitor.forget(answer, request, conn)
        return answer

    whole.include_router(pages)
    return whole


async def _begin(
    request: Request, context: Context, *, text: str = "", error: str = "", minutes: int = 0
) -> Response:
    async with context.database.connection() as conn:
        practice = await exercise.read(conn) is not None
    ways, language = _ways(context, practice=practice), language_of(request)
    words = context.catalogue
    named = "、".join(words.text(f"people.signup.way_{way}", language) for way in ways)
    countries = ", ".join(context.settings.alerts.countries)
    values = {"ways": named, "minutes": minutes, "countries": countries}
    return page(
        request,
        context,
        "signup.html",
        language=language,
        status=429 if minutes else 400 if error else 200,
        headers=visitor.HEADERS,
        ways=ways,
        text=text[:200],
        error=words.text(f"people.{error}", language, **values) if error else "",
    )


async def _send(request: Request, context: Context, text: str) -> Response:
    language = language_of(request)
    try:
        async with context.database.connection() as conn:
            practice = await exercise.read(conn) is not None
            number = await signup.ask(
                conn,
                _reachable(context, contacts.anyhow(text), practice=practice),
                seal=context.seal,
                origin=visitor.origin(request),
                at=context.wall.now(),
                exercise=practice,
                language=language,
                agency=agency(context, language),
                catalogue=context.catalogue,
            )
    except ContactError as error:
        key = _WRONG.get(error.code, f"fault.address_{error.code}")
        return await _begin(request, context, text=text, error=key)
    except LimitError as error:
        minutes = error.minutes
        return await _begin(request, context, text=text, error="signup.often", minutes=minutes)
    return visitor.moved(f"/signup/code?id={number}&lang={language}")


async def _code(request: Request, context: Context, text: str, *, left: int = 0) -> Response:
    number = _uuid(text)
    found = None
    if number is not None:
        async with context.database.connection() as conn:
            found = await signup.waiting(conn, number, seal=context.seal, at=context.wall.now())
    return page(
        request,
        context,
        "signup_code.html",
        language=language_of(request),
        status=410 if found is None else 400 if left else 200,
        headers=visitor.HEADERS,
        found=found,
        number=text,
        left=left,
        minutes=round(signup.HOLDS.total_seconds() / 60),
    )


async def _confirm(request: Request, context: Context, text: str, said: str) -> Response:
    number = _uuid(text)
    if number is None:
        return await _code(request, context, text)
    digits = "".join(letter for letter in said if letter.isdecimal())
    async with context.database.connection() as conn:
        found = await signup.answer(conn, number, digits, seal=context.seal, at=context.wall.now())
    if found.refusal is not None:
        return await _code(request, context, text, left=found.left)
    answer = visitor.moved(f"/signup/settings?lang={language_of(request)}")
    visitor.keep(answer, request, context, found.secret)
    return answer


def _ways(context: Context, *, practice: bool) -> list[str]:
    """Give the channels by which a code can be sent; an exercise sends none, and shows all."""
    used = context.settings.alerts.channels
    return [way for way in signup.WAYS if practice or way in used]


def _reachable(context: Context, address: Address, *, practice: bool) -> Address:
    """Give an address that codes are sent to; raises ContactError."""
    if address.channel not in _ways(context, practice=practice):
        raise ContactError("way", f"no codes are sent by {address.channel}")
    countries = context.settings.alerts.countries
    if address.channel == "sms" and countries and not address.text.startswith(countries):
        raise ContactError("abroad", f"codes are sent to {', '.join(countries)} only")
    return address


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
