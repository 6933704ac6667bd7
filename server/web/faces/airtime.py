"""What stations come for: the script to read out, as text and SSML, and the lines of a TV crawl."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from alerts.faces import posters, screens
from alerts.faces.airtime import Airtime
from alerts.faces.posters import Language, Poster
from alerts.faces.screens import Screen
from alerts.faces.shows import Stage
from server.store.connection import Connection
from server.web.context import Context
from server.web.faces.rendering import agency, tagged
from server.web.permit import read
from server.web.problems import Problem

MOST = 50
"""Warnings in one script or crawl."""

LONGEST = 8_192
"""Bytes of a confirmation."""

Encoding = Annotated[Literal["utf-8", "gb18030"], Query()]


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """A station says that it has put messages on the air."""

    station: str
    key: str
    messages: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is wanted, and by which station."""

    language: Language | None
    region: str
    station: str
    key: str


def _asked(
    *, lang: Language | None = None, region: str = "", station: str = "", key: str = ""
) -> _Asked:
    return _Asked(language=lang, region=region, station=station, key=key)


_Asking = Annotated[_Asked, Depends(_asked)]
_confirmation = msgspec.json.Decoder(Confirmation)


def router(context: Context) -> APIRouter:
    """Give the routes; a station that names itself is noted to have come."""
    air = APIRouter(prefix="/air", tags=["broadcast"])

    @air.get("/script.txt")
    async def script(
        request: Request,
        asked: _Asking,
        encoding: Encoding = "utf-8",
    ) -> Response:
        """Give what is read out, as text."""
        said, changed = await _airtime(context, asked)
        return _plain(request, said.script(), encoding, changed)

    @air.get("/script.ssml")
    async def ssml(
        request: Request,
        asked: _Asking,
    ) -> Response:
        """Give the same for a machine that reads it, as SSML 1.1."""
        said, changed = await _airtime(context, asked)
        return _answer(request, said.ssml(), "application/ssml+xml", changed)

    @air.get("/crawl.txt")
    async def crawl_text(
        request: Request,
        asked: _Asking,
        encoding: Encoding = "utf-8",
    ) -> Response:
        """Give a line for each warning, the gravest first; nothing at all when there is none."""
        said, changed = await _airtime(context, asked)
        text = "".join(f"{line.text}\n" for line in said.crawl())
        return _plain(request, text, encoding, changed)

    @air.get("/crawl.json")
    async def crawl_json(
        request: Request,
        asked: _Asking,
    ) -> Response:
        """Give the same with level, priority and expiry for a character generator."""
        said, changed = await _airtime(context, asked)
        body = msgspec.json.encode({"changed": changed, "lines": said.crawl()})
        return _answer(request, body, "application/json", changed)

    @air.post("/confirm")
    async def confirm(request: Request) -> Response:
        """Take a station's word that messages were on the air: that acknowledges them."""
        given = await read(request, _confirmation, longest=LONGEST)
        async with context.database.connection() as conn:
            screen = await _station(conn, given.station, given.key)
            await screens.heard(
                conn,
                screen,
                at=context.wall.now(),
                decided=context.live.now,
                state="on",
                shown=given.messages,
            )
        return Response(status_code=204)

    return air


async def _airtime(context: Context, asked: _Asked) -> tuple[Airtime, dt.datetime | None]:
    """Give what is said now; of a station that names itself, of its places in its language."""
    now, exercise = context.live.now, context.live.exercise
    async with context.database.connection() as conn:
        screen = await _station(conn, asked.station, asked.key) if asked.station else None
        found = await _found(conn, context, screen, asked.region)
        said: Language = asked.language or (screen.language if screen else "zh")
        spoken = await posters.spoken(conn, [item.message for item in found], language=said)
        changed = await posters.changed(conn, now=now, exercise=exercise)
        if screen is not None:
            await screens.fetched(
                conn,
                screen,
                [item.message for item in found],
                at=context.wall.now(),
                decided=now,
            )
    stage = Stage(
        catalogue=context.catalogue,
        zone=context.settings.zone,
        agency=agency(context, said),
        language=said,
    )
    return Airtime(stage, found, spoken=spoken, exercise=exercise), changed


async def _found(
    conn: Connection, context: Context, screen: Screen | None, region: str
) -> list[Poster]:
    now, exercise = context.live.now, context.live.exercise
    if screen is not None:
        return (await screens.in_force(conn, screen, now=now, exercise=exercise))[:MOST]
    wanted = [part for part in region.split(",") if part][:MOST] or None
    return await posters.in_force(conn, now=now, exercise=exercise, regions=wanted, limit=MOST)


async def _station(conn: Connection, name: str, key: str) -> Screen:
    screen = await screens.find(conn, name)
    if screen is None or screen.kind != "broadcast" or not screen.opens(key):
        raise Problem(403, "this station is not known, or its key is wrong")
    return screen


def _plain(request: Request, text: str, encoding: str, changed: dt.datetime | None) -> Response:
    # What an old character set has no letter for is left out by none: GB18030 has all of Unicode.
    return _answer(request, text.encode(encoding), f"text/plain; charset={encoding}", changed)


def _answer(
    request: Request, body: bytes, media_type: str, changed: dt.datetime | None
) -> Response:
    return tagged(
        request,
        body,
        media_type=media_type,
        changed=changed,
        headers={"cache-control": "no-cache", "access-control-allow-origin": "*"},
    )
