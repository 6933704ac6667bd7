"""Server-sent events: what is new goes to every open console, encoded once.

A bare ASGI application, since a page may be open in many hundreds of places. Each client has its
own small bounded outbox. A slow reader skips readings and gets the whole state later; a warning
is never skipped: a client that cannot take one is cut, and asks again with ``Last-Event-ID``.
"""

import asyncio
import collections
import contextlib
import logging
import random
import urllib.parse
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol

import msgspec
import psycopg
from starlette.types import Receive, Scope, Send

from server.store.errors import StoreError

_log = logging.getLogger(__name__)

OUTBOX = 256
"""Warnings that may wait for one client before it is cut."""

PATIENCE = 20.0
"""Seconds that one write to a client may take before it is cut."""

FAREWELL = 1.0
"""Seconds for the last word to a client that is cut."""

CLIENTS = 10_000
"""Open streams of one process."""

RETRY = (1_000, 4_000)
"""Bounds in ms of when a client comes back, drawn for each, so that not all come at once."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_encoder = msgspec.json.Encoder()


class Source(Protocol):
    """Where the hub gets what a new client must know."""

    def snapshot(self) -> bytes:
        """Give the whole state as one frame."""
        ...

    def whole(self, name: str) -> bytes:
        """Give the frame that stands for all events of this name so far."""
        ...

    @property
    def serial(self) -> int:
        """The number of the last warning event."""
        ...

    def replay(self, after: int, until: int) -> AsyncGenerator[bytes, None]:
        """Give the frames of the warning events with after < number <= until."""
        ...


def frame(name: str, data: Any, *, serial: int | None = None) -> bytes:
    """Encode one event; ``data`` becomes JSON, which has no line breaks."""
    number = b"" if serial is None else b"id: %d\n" % serial
    return b"%bevent: %b\ndata: %b\n\n" % (number, name.encode(), _encoder.encode(data))


class Outbox:
    """What waits for one client."""

    def __init__(self, whole: Callable[[str], bytes]) -> None:
        """``whole`` gives the frame for a name of which events were skipped."""
        self._whole = whole
        self._kept: collections.deque[bytes] = collections.deque()
        self._newest: dict[str, bytes | None] = {}
        self._wake = asyncio.Event()
        self.cut = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Warnings that were not taken yet."""
        return len(self._kept)

    def keep(self, data: bytes) -> None:
        """Add an event that must arrive; too many waiting cut the client."""
        if len(self._kept) >= OUTBOX:
            self.close()
        self._kept.append(data)
        self._wake.set()

    def offer(self, name: str, data: bytes) -> None:
        """Add an event that may be skipped when the next one comes first."""
        self._newest[name] = None if name in self._newest else data
        self._wake.set()

    def close(self) -> None:
        """Send nothing more."""
        self.cut.set()

    async def take(self) -> list[bytes]:
        """Wait for events and give them, warnings first."""
        while not (self._kept or self._newest):
            self._wake.clear()
            await self._wake.wait()
        if self._kept:
            return [self._kept.popleft()]
        newest, self._newest = self._newest, {}
        return [self._whole(name) if data is None else data for name, data in newest.items()]


class Hub:
    """All open streams."""

    def __init__(self, source: Source) -> None:
        """Take what new clients must know from ``source``."""
        self._source = source
        self._clients: set[Outbox] = set()
        self._closed = False
        self.cuts = 0

    def __len__(self) -> int:
        return len(self._clients)

    def keep(self, data: bytes) -> None:
        """Tell every client something that must arrive."""
        for client in self._clients:
            client.keep(data)

    def offer(self, name: str, data: bytes) -> None:
        """Tell every client something of which only the newest counts."""
        for client in self._clients:
            client.offer(name, data)

    def close(self) -> None:
        """End every stream; the clients come back by themselves."""
        self._closed = True
        for client in self._clients:
            client.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await _refuse(send, 405, [(b"allow", b"GET, HEAD")])
            return
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body"})
            return
        if self._closed or len(self._clients) >= CLIENTS:
            await _refuse(send, 503, [(b"retry-after", b"5")])
            return
        outbox = Outbox(self._source.whole)
        # From here on nothing is missed: what the source knows now, and what comes after it.
        until, first = self._source.serial, self._source.snapshot()
        self._clients.add(outbox)
        tasks = [
            asyncio.create_task(self._write(outbox, send, _last(scope), until, first)),
            asyncio.create_task(_gone(receive)),
            # A writer that waits for a reader who takes nothing would not see it.
            asyncio.create_task(outbox.cut.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if outbox.cut.is_set():
                await self._end(outbox, send)
        finally:
            self._clients.discard(outbox)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(
        self, outbox: Outbox, send: Send, last: int | None, until: int, first: bytes
    ) -> None:
        async def body(data: bytes) -> None:
            async with asyncio.timeout(PATIENCE):
                await send({"type": "http.response.body", "body": data, "more_body": True})

        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await body(b"retry: %d\n\n" % random.randint(*RETRY))  # noqa: S311 - spreads the load
            if last is not None and last < until:
                async with contextlib.aclosing(self._source.replay(last, until)) as frames:
                    async for data in frames:
                        await body(data)
            await body(first)
            while True:
                for data in await outbox.take():
                    await body(data)
        except (TimeoutError, StoreError, psycopg.Error) as error:
            _log.warning("a stream ends: %s", error or f"nothing was taken for {PATIENCE:.0f} s")
            outbox.close()
        except OSError:
            outbox.close()

    async def _end(self, outbox: Outbox, send: Send) -> None:
        """End a stream in order where the reader still takes something."""
        if not self._closed:
            self.cuts += 1
            _log.warning("cut a stream waiting=%s", outbox.waiting)
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(FAREWELL):
                await send({"type": "http.response.body"})


async def _refuse(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body"})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _last(scope: Scope) -> int | None:
    """Give the number of the last event the client has; None where it says none, or nonsense.

    The header is the browser's own; ``?last=`` is for a page that had to open the stream anew.
    """
    asked = urllib.parse.parse_qs(scope["query_string"]).get(b"last", [])
    said = [value for name, value in scope["headers"] if name == b"last-event-id"]
    for value in (*said, *asked):
        if value.isdigit() and len(value) < 19:
            return int(value)
    return None
