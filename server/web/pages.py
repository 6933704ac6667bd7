"""Pages: the public one, written here, and the console, a bundle that runs in the browser."""

import datetime as dt
import zoneinfo
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import FileResponse, HTMLResponse, Response

from alerts import board
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

STATIC = Path(__file__).parent / "static"
"""What is served as it lies there."""

BUNDLE = STATIC / "console" / "index.html"

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Content security policy of every page: nothing from elsewhere."""

HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

TOPICS = ("console", "proposal", "warning")
"""Words that the console needs."""


def router(context: Context) -> APIRouter:
    """Give the routes."""
    pages = APIRouter(include_in_schema=False)
    templates = Environment(
        loader=PackageLoader("server.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    @pages.get("/")
    async def public(request: Request) -> Response:
        """Show the warnings in force to everybody; works without JavaScript."""
        language = _language(request)
        async with context.database.connection() as conn:
            found = await board.find(conn, running=True)
        text = templates.get_template("public.html").render(
            _public(context, found, language=language)
        )
        headers = {
            "cache-control": "no-cache",
            "content-language": language,
            "vary": "accept-language",
        }
        return HTMLResponse(text, headers=headers)

    @pages.get("/console")
    async def console() -> Response:
        """Give the forecasters' console."""
        if not BUNDLE.exists():
            raise Problem(503, "the console is not built: run make install, or read CONTRIBUTING")
        return FileResponse(BUNDLE, headers={"cache-control": "no-cache"})

    @pages.get("/api/v1/catalogue", include_in_schema=True)
    async def catalogue() -> Response:
        """Give the words of the console in every language, and how times are shown."""
        alerts = context.settings.alerts
        words = {
            language: {topic: context.catalogue.table(language)[topic] for topic in TOPICS}
            for language in context.catalogue.languages
        }
        return Json(
            {
                "zone": context.settings.zone,
                "agency": {"zh": alerts.agency_zh, "en": alerts.agency_en},
                "words": words,
            }
        )

    return pages


def _language(request: Request) -> str:
    """Give zh or en: as the address says, or as the browser asks; Chinese when neither does."""
    asked = request.query_params.get("lang")
    if asked is not None:
        return "en" if asked.lower().startswith("en") else "zh"
    best, weight = "zh", 0.0
    for part in request.headers.get("accept-language", "").split(","):
        name, _, parameters = part.strip().partition(";")
        language = name.lower()[:2]
        try:
            value = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in {"zh", "en"} and value > weight:
            best, weight = language, value
    return best


def _public(context: Context, found: list[dict[str, Any]], *, language: str) -> dict[str, Any]:
    zone = zoneinfo.ZoneInfo(context.settings.zone)

    def words(key: str, **values: object) -> str:
        return context.catalogue.text(key, language, **values)

    def local(moment: dt.datetime) -> str:
        return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")

    now = context.live.now
    newest = context.live.newest
    if newest is None:
        note = words("console.public.nothing_arrived")
    else:
        silent = (now - newest).total_seconds()
        limit = context.settings.watch.silence
        hours = words("console.age.hours", n=round(silent / 3600))
        note = words("console.public.silent", age=hours) if silent > limit else ""
    order = ("red", "orange", "yellow", "blue")
    return {
        "t": words,
        "local": local,
        "language": language,
        "other": "en" if language == "zh" else "zh",
        "warnings": sorted(found, key=lambda item: order.index(item["level"])),
        "now": now,
        "note": note,
        "exercise": context.live.exercise or any(item["exercise"] for item in found),
        "agency": getattr(context.settings.alerts, f"agency_{language}"),
    }
