"""Pages for everybody: what is in force, place by place, and each warning from beginning to end."""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route

from alerts.faces import posters
from alerts.faces.posters import Poster
from alerts.faces.shows import SHAPES, Stage
from server.web.context import Context
from server.web.faces.rendering import Language, agency, answer, language_of, page, written
from server.web.faces.shelf import Shelf

MARKS = {"blue": "IV", "yellow": "III", "orange": "II", "red": "I"}
"""What stands in the shape of a level."""


def router(context: Context) -> APIRouter:
    """Give the routes."""
    pages = APIRouter(include_in_schema=False)
    shelf: Shelf[str] = Shelf(context.live)

    @pages.get("/")
    async def public(request: Request, place: str = "") -> Response:
        """Show the warnings in force to everybody; works without JavaScript."""
        language = language_of(request)
        key = (language, request.url.query, _note(context, language))
        text = await shelf.get(key, lambda: _public(request, context, language, place))
        return answer(request, text, language=language)

    @pages.get("/w/{identifier}")
    async def warning(request: Request, identifier: str) -> Response:
        """Show one warning: how it stands now, and all that was said of it."""
        language = language_of(request)
        try:
            wanted: uuid.UUID | None = uuid.UUID(identifier)
        except ValueError:
            wanted = None
        chain: Sequence[Poster] = []
        if wanted is not None:
            async with context.database.connection() as conn:
                chain = await posters.chain(conn, wanted, exercise=context.live.exercise)
        return page(
            request,
            context,
            "warning.html",
            language=language,
            status=200 if chain else 404,
            stage=stage(context, language),
            chain=chain,
            now=context.live.now,
            shapes=SHAPES,
            marks=MARKS,
        )

    pages.routes.append(Route("/pulse", context.live.pulse, include_in_schema=False))
    return pages


async def _public(request: Request, context: Context, language: Language, place: str) -> str:
    async with context.database.connection() as conn:
        known = await posters.places(conn)
        chosen = next((item for item in known if item.id == place), None)
        found = await posters.in_force(
            conn,
            now=context.live.now,
            exercise=context.live.exercise,
            regions=None if chosen is None else [chosen.id],
        )
    return written(
        request,
        context,
        "public.html",
        language=language,
        stage=stage(context, language),
        warnings=found,
        places=sorted(known, key=lambda item: item.name(language)),
        chosen=chosen,
        unknown=place if place and chosen is None else "",
        now=context.live.now,
        note=_note(context, language),
        push="push" in context.settings.alerts.channels,
        shapes=SHAPES,
        marks=MARKS,
    )


def stage(context: Context, language: Language) -> Stage:
    """Give the words of a page."""
    return Stage(
        catalogue=context.catalogue,
        zone=context.settings.zone,
        agency=agency(context, language),
        language=language,
    )


def _note(context: Context, language: Language) -> str:
    """Say what the page cannot know: without readings it must not calm anybody."""

    def words(key: str, **values: Any) -> str:
        return context.catalogue.text(key, language, **values)

    newest = context.live.newest
    if newest is None:
        return words("console.public.nothing_arrived")
    silent = context.live.now - newest
    if silent <= dt.timedelta(seconds=context.settings.watch.silence):
        return ""
    hours = words("console.age.hours", n=round(silent.total_seconds() / 3600))
    return words("console.public.silent", age=hours)
