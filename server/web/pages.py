"""The console, a bundle that runs in the browser, and what every page is sent with."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

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

TOPICS = ("account", "console", "desk", "people", "proposal", "warning")
"""Words that the console needs."""


def router(context: Context) -> APIRouter:
    """Give the routes."""
    pages = APIRouter(include_in_schema=False)

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
