"""Feeds of what was published: Atom and RSS of real warnings, and apart from them of exercises."""

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.cap.feed import KEPT, MOST, Feed, Published, atom, rss
from alerts.life import board
from server.web.context import Context

_Write: TypeAlias = Callable[[Feed, Sequence[Published]], bytes]
Language: TypeAlias = Literal["zh", "en"]

_KINDS: dict[str, tuple[_Write, str]] = {
    "atom": (atom, "application/atom+xml"),
    "xml": (rss, "application/rss+xml"),
}


def router(context: Context) -> APIRouter:
    """Give the routes."""
    feeds = APIRouter(tags=["warnings"])

    async def feed(request: Request, kind: str, language: Language, *, exercise: bool) -> Response:
        write, media_type = _KINDS[kind]
        now = context.live.now
        async with context.database.connection() as conn:
            found = await board.lately(conn, since=now - KEPT, exercise=exercise, limit=MOST)
        settings = context.settings
        agency = {"zh": settings.alerts.agency_zh, "en": settings.alerts.agency_en}[language]
        title = "cap.feed.exercise" if exercise else "cap.feed.title"
        # An empty feed has not changed since its last entry left it; nobody knows when that was.
        updated = found[0].sent if found else dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        about = Feed(
            title=context.catalogue.text(title, language, agency=agency),
            author=agency,
            base=settings.web.public_url or str(request.base_url).rstrip("/"),
            path=request.url.path,
            language=language,
            updated=updated.astimezone(dt.UTC),
        )
        body = write(about, found)
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"etag": tag, "cache-control": "public, max-age=15"}
        known = {name.strip() for name in request.headers.get("if-none-match", "").split(",")}
        if known & {tag, f"W/{tag}", "*"}:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    @feeds.get("/cap/feed.atom")
    async def atom_feed(request: Request, lang: Language = "zh") -> Response:
        """Give what is in force or ended in the last 48 hours, as Atom; never an exercise."""
        return await feed(request, "atom", lang, exercise=False)

    @feeds.get("/cap/rss.xml")
    async def rss_feed(request: Request, lang: Language = "zh") -> Response:
        """Give the same as RSS 2.0."""
        return await feed(request, "xml", lang, exercise=False)

    @feeds.get("/cap/exercise.atom")
    async def atom_of_exercises(request: Request, lang: Language = "zh") -> Response:
        """Give exercises, which no other feed shows, as Atom."""
        return await feed(request, "atom", lang, exercise=True)

    return feeds
