"""What other sites put on their pages: a script that draws the warnings, and a framed page."""

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.faces import posters
from alerts.faces.posters import Language
from alerts.faces.shows import Show
from server.web.context import Context
from server.web.faces.public import MARKS, stage
from server.web.faces.rendering import language_of, page, tagged
from server.web.faces.shelf import Shelf
from server.web.pages import POLICY, STATIC

REGIONS = 20
"""Places of one widget."""

MOST = 20
"""Warnings in one widget."""

FRAMED = POLICY.replace("frame-ancestors 'none'", "frame-ancestors *")
"""Only this page may stand inside others': nothing can be done on it."""

EVERYBODY = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}


def router(context: Context) -> APIRouter:
    """Give the routes."""
    pages = APIRouter(tags=["widget"])
    shelf: Shelf[Show] = Shelf(context.live)

    @pages.get("/widget.json")
    async def data(request: Request, region: str = "", lang: Language = "zh") -> Response:
        """Give what is in force, with the words that a widget needs; for pages of any site."""
        show = await shelf.get((lang, region), lambda: _show(context, region, lang))
        words = {
            name: context.catalogue.text(f"screen.widget.{name}", lang, time="{time}")
            for name in ("title", "none", "link", "stale", "until")
        }
        # Without the moment it was made, so that it is the same until something changes.
        body = msgspec.json.encode(
            {
                "language": lang,
                "zone": context.settings.zone,
                "agency": show.agency,
                "mark": show.mark,
                "words": words,
                "warnings": show.warnings,
            }
        )
        return tagged(
            request,
            body,
            media_type="application/json",
            headers={
                **EVERYBODY,
                "cache-control": "no-cache",
                "access-control-expose-headers": "fenghuo-time",
                "fenghuo-time": context.live.now.isoformat(),
            },
        )

    @pages.get("/widget.js", include_in_schema=False)
    async def script(request: Request) -> Response:
        """Give the script."""
        return tagged(
            request,
            (STATIC / "widget.js").read_bytes(),
            media_type="text/javascript; charset=utf-8",
            headers={**EVERYBODY, "cache-control": "public, max-age=3600"},
        )

    @pages.get("/widget", include_in_schema=False)
    async def frame(request: Request, region: str = "") -> Response:
        """Give a small page to be put in a frame."""
        language = language_of(request)
        return page(
            request,
            context,
            "widget.html",
            language=language,
            headers={"content-security-policy": FRAMED},
            show=await shelf.get((language, region), lambda: _show(context, region, language)),
            stage=stage(context, language),
            marks=MARKS,
        )

    return pages


async def _show(context: Context, region: str, language: Language) -> Show:
    now, exercise = context.live.now, context.live.exercise
    wanted = [part for part in region.split(",") if part][:REGIONS] or None
    async with context.database.connection() as conn:
        found = await posters.in_force(conn, now=now, exercise=exercise, regions=wanted, limit=MOST)
    return stage(context, language).show("", found, now=now, exercise=exercise)
