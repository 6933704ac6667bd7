"""The web role on a port of its own, as a browser finds it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from server.clock import Clock, SystemClock
from server.settings import Settings, Store, Watch
from server.store.database import Database
from server.web import app
from server.web.live import Live
from tests.samples import SEAL
from tests.support import eventually_async


@dataclass
class Website:
    """A running server: its address, a client for it, and the state behind its stream."""

    address: str
    client: httpx.AsyncClient
    live: Live

    async def get(self, path: str, status: int = 200, **parameters: Any) -> Any:
        answer = await self.client.get(path, params=parameters)
        assert answer.status_code == status, answer.text
        return answer.json()

    @contextlib.asynccontextmanager
    async def stream(self, **headers: str) -> AsyncIterator["Events"]:
        async with self.client.stream("GET", "/stream", headers=headers) as answer:
            assert answer.status_code == 200
            yield Events(answer)


class Events:
    """Events of one stream, one after the other."""

    def __init__(self, answer: httpx.Response) -> None:
        self.headers = answer.headers
        self.last = ""
        self.retry = 0
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """Give name and data of the next event."""
        name = ""
        async with asyncio.timeout(10):
            async for line in self._lines:
                field, _, value = line.partition(": ")
                match field:
                    case "event":
                        name = value
                    case "id":
                        self.last = value
                    case "retry":
                        self.retry = int(value)
                    case "data":
                        return name, json.loads(value)
        raise EOFError("the stream has ended")

    async def until(self, wanted: str) -> Any:
        """Give the data of the next event of this name."""
        while True:
            name, data = await self.next()
            if name == wanted:
                return data


@contextlib.asynccontextmanager
async def website(
    url: str,
    *,
    clock: Clock | None = None,
    wall: Clock | None = None,
    silence: float = 7200,
    port: int = 0,
    **sections: Any,
) -> AsyncIterator[Website]:
    """Run the web role over a database until the block ends; ``sections`` of the settings."""
    listening = app.bound("127.0.0.1", port)
    address = "http://{}:{}".format(*listening.getsockname())
    settings = Settings(store=Store(url=url), watch=Watch(silence=silence), **sections)
    async with await Database.open(url, name="test web", size=4) as database:
        application = app.create(database, settings, clock or SystemClock(), wall=wall, seal=SEAL)
        live = application.state.context.live
        task = asyncio.create_task(app.run(application, listening))
        async with httpx.AsyncClient(base_url=address, timeout=10) as client:
            try:
                await eventually_async(lambda: live.looked, about="the stream follows the database")
                yield Website(address, client, live)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
