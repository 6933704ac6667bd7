"""The page of a display screen: very large, works unattended, and honest when it is cut off."""

import uuid
from pathlib import Path

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.faces import screens
from alerts.faces.screens import SHOWN, Screen
from alerts.faces.shows import Show
from server import screens as screening
from server.store.connection import Connection
from server.web.answers import Json
from server.web.context import Context
from server.web.faces.rendering import language_of, page
from server.web.permit import read
from server.web.problems import Problem

LONGEST = 8_192
"""Bytes of what a screen says."""

STATIC = Path(__file__).parents[1] / "static"


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """A screen says that it lives, and which messages it shows."""

    key: str
    shown: tuple[uuid.UUID, ...] = ()


_beat = msgspec.json.Decoder(Beat)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/display/{name}")
    async def show_page(name: str, request: Request, key: str = "") -> Response:
        """Show the screen; whatever it shows comes with its heartbeats."""
        async with context.database.connection() as conn:
            screen = await _known(conn, name, key)
            show = None if screen is None else await _show(conn, context, screen)
        language = language_of(request) if screen is None else screen.language
        return page(
            request,
            context,
            "display.html",
            language=language,
            status=200 if screen is not None else 403,
            headers={"cache-control": "no-store", "x-robots-tag": "noindex"},
            screen=screen,
            show=show,
            zone=context.settings.zone,
        )

    @pages.post("/display/{name}/beat")
    async def beat(name: str, request: Request) -> Response:
        """Take a heartbeat, and give what is to be shown."""
        said = await read(request, _beat, longest=LONGEST)
        async with context.database.connection() as conn:
            screen = await _known(conn, name, said.key)
            if screen is None:
                raise Problem(403, "this screen is not known, or its key is wrong")
            show = await _show(conn, context, screen)
            # What it shows and should not show is not acknowledged by it.
            shown = sorted(set(said.shown[:SHOWN]) & show.messages)
            await screens.heard(
                conn,
                screen,
                at=context.wall.now(),
                decided=context.live.now,
                state="on",
                shown=shown,
            )
        answer = Json(show)
        answer.headers["cache-control"] = "no-store"
        return answer

    return pages


async def _known(conn: Connection, name: str, key: str) -> Screen | None:
    screen = await screens.find(conn, name)
    if screen is None or screen.kind != "display" or not screen.opens(key):
        return None
    return screen


async def _show(conn: Connection, context: Context, screen: Screen) -> Show:
    now, exercise = context.live.now, context.live.exercise
    found = await screens.in_force(conn, screen, now=now, exercise=exercise)
    made = screening.stage(context.settings, context.catalogue, screen)
    return made.show(screen.name, found, now=now, exercise=exercise)
