"""Alerts as another office might write them, and a server that has them."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from alerts.cap import NAMESPACE, moment

SENT = dt.datetime(2026, 11, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SENDER = "warn@tianjin.example"


def written(
    identifier: str = "a-1",
    *,
    kind: str = "Alert",
    sent: dt.datetime = SENT,
    expires: dt.datetime | None = SENT + 6 * HOUR,
    references: str = "",
    status: str = "Actual",
    scope: str = "Public",
    sender: str = SENDER,
    severity: str = "Severe",
    area: str = "<polygon>39.0,117.0 39.0,118.0 40.0,118.0 40.0,117.0 39.0,117.0</polygon>",
) -> str:
    """Give an alert with two info blocks; references: an identifier of the same sender."""
    said = {"Exercise": "<note>exercise</note>"}.get(status, "")
    said += f"<references>{sender},{references},{moment(SENT, dt.UTC)}</references>" * bool(
        references
    )
    restriction = "<restriction>officials</restriction>" * (scope == "Restricted")
    infos = "".join(
        f"""<info><language>{language}</language><category>Met</category><event>{event}</event>
        <urgency>Immediate</urgency><severity>{severity}</severity><certainty>Likely</certainty>
        {f"<expires>{moment(expires, dt.UTC)}</expires>" if expires else ""}
        <senderName>{event} office</senderName>
        <headline>{event} {identifier}</headline><description>{event} …</description>
        <area><areaDesc>Binhai</areaDesc>{area}</area></info>"""
        for language, event in (("zh-CN", "大风"), ("en-US", "Gale"))
    )
    return (
        f'<alert xmlns="{NAMESPACE}"><identifier>{identifier}</identifier>'
        f"<sender>{sender}</sender><sent>{moment(sent, dt.UTC)}</sent><status>{status}</status>"
        f"<msgType>{kind}</msgType><scope>{scope}</scope>{restriction}{said}{infos}</alert>"
    )


@dataclass
class Site:
    """What the other office's server has, and what was asked of it."""

    pages: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    base: str = ""

    def put(self, path: str, text: str | bytes) -> None:
        self.pages[path] = text.encode() if isinstance(text, str) else text

    def feed(self, *names: str, path: str = "/feed.atom") -> None:
        """Write a feed that names these documents; their text is their stamp."""
        entries = "".join(
            f"<entry><id>{name}</id><updated>{hash(self.pages.get(name))}</updated>"
            f'<link type="application/cap+xml" href="{name}"/></entry>'
            for name in names
        )
        self.put(path, f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>')

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path in self.broken:
            raise web.HTTPServiceUnavailable
        if request.path in self.moved:
            raise web.HTTPFound(self.moved[request.path])
        if request.path not in self.pages:
            raise web.HTTPNotFound
        body = self.pages[request.path]
        etag = f'"{hash(body)}"'
        if request.headers.get("if-none-match") == etag:
            return web.Response(status=304, headers={"etag": etag})
        return web.Response(body=body, headers={"etag": etag})


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    """Serve a site on a free port of loopback."""
    site = Site()
    app = web.Application()
    app.router.add_get("/{tail:.*}", site.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0)
    await listening.start()
    host, port = runner.addresses[0][:2]
    site.base = f"http://{host}:{port}"
    try:
        yield site
    finally:
        await runner.cleanup()
