"""The web role: pages, interfaces and the stream of one centre."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.version import __version__
from alerts.people.sealing import Seal
from server import sealed
from server.accounts import people
from server.clock import Clock, SystemClock
from server.desk import words
from server.probing import Channels
from server.processes import ready
from server.settings import Settings
from server.store.database import Database
from server.web import (
    accounts,
    criteria,
    feeds,
    health,
    notices,
    observations,
    pages,
    problems,
    quarantine,
    receipts,
    signin,
    verification,
)
from server.web.context import Context
from server.web.desk import (
    acts,
    areas,
    fatigue,
    offices,
    policy,
    preview,
    proposals,
    screens,
    sending,
)
from server.web.faces import acknowledge, airtime, display, ivr, public, push, widget
from server.web.live import Live
from server.web.people import replies, signup, subscribers

_log = logging.getLogger(__name__)

GRACE = 5
"""Seconds that open requests get to finish at the end."""


class PortError(OSError):
    """The port cannot be had; the message says which and what to do."""


def create(
    database: Database,
    settings: Settings,
    clock: Clock,
    *,
    wall: Clock | None = None,
    seal: Seal | None = None,
) -> FastAPI:
    """Give the application; its lifespan keeps the stream up to date.

    clock: what is decided by, the event's in an exercise; wall: the real time, by which the age
    of what arrived is told; seal: of names and addresses, that of the settings without one.
    Raises SealError for a key that is none.
    """
    seal = seal or Seal.load(settings.key)
    live = Live(database, clock, wall or SystemClock(), seal)
    context = Context(
        database=database,
        settings=settings,
        clock=clock,
        wall=wall or SystemClock(),
        catalogue=words(settings),
        seal=seal,
        live=live,
        channels=Channels(settings, wall or SystemClock()),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(live.follow(), name="stream")
        try:
            yield
        finally:
            live.close()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await context.channels.close()

    app = FastAPI(
        title="Fenghuo",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        # The viewers would load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    problems.install(app)
    # Feeds stand before the documents, whose path takes any name; the preview before the acts.
    for each in (
        health,
        signin,
        accounts,
        observations,
        quarantine,
        criteria,
        feeds,
        notices,
        proposals,
        offices,
        preview,
        acts,
        policy,
        fatigue,
        areas,
        receipts,
        sending,
        verification,
        ivr,
        push,
        pages,
        public,
        acknowledge,
        signup,
        replies,
        subscribers,
        screens,
        display,
        airtime,
        widget,
    ):
        app.include_router(each.router(context))
    app.router.routes.append(Route("/stream", live.hub, include_in_schema=False))
    app.mount("/static", StaticFiles(directory=pages.STATIC, check_dir=False))
    app.add_middleware(Headers)
    return app


class Headers:
    """Puts the headers of safety on every answer, and lets hashed files be kept for good."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in pages.HEADERS.items():
                    headers.setdefault(name, value)  # a page that may be framed says so itself
                if message["status"] == 200 and scope["path"].startswith("/static/console/assets/"):
                    headers["cache-control"] = "public, max-age=31536000, immutable"
            await send(message)

        await self._app(scope, receive, with_headers)


async def serve(settings: Settings, *, clock: Clock) -> None:
    """Serve until cancelled.

    Raises PortError where the port cannot be had, StoreError where the database cannot be used,
    SealError for a key that is none or another database's.
    """
    web = settings.web
    with bound(web.host, web.port) as listening:
        async with await Database.open(settings.store.url, name="fenghuo web") as database:
            async with database.connection() as conn:
                if not await people.exist(conn):
                    _log.warning("nobody can sign in yet: fenghuo user link gives the address")
                seal = Seal.load(settings.key)
                await sealed.bind(conn, seal)
            app = create(database, settings, clock, seal=seal)
            await run(app, listening)


async def run(app: FastAPI, listening: socket.socket) -> None:
    """Serve the application on a bound socket until cancelled."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
        server_header=False,
    )
    server = _Server(config, started=lambda: _tell(listening))
    task = asyncio.create_task(server.serve(sockets=[listening]), name="uvicorn")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        # Streams never end by themselves: they are closed before the server waits for them.
        app.state.context.live.close()
        server.should_exit = True
        await task
        raise


class _Server(uvicorn.Server):
    """Says when it has started, and leaves the signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, *, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._tell()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _tell(listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    ready("web", host=host, port=port)


def bound(host: str, port: int) -> socket.socket:
    """Take a port; 0 for any that is free. Raises PortError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise PortError(
            error.errno,
            f"{host}:{port} cannot be had ({error.strerror}): end the program that has it, "
            "or set FENGHUO_WEB_PORT",
        ) from None
    return listening
