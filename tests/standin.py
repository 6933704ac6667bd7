"""A stand-in for Twilio's messages: keeps a book, fails on demand or by chance, signs receipts.

As a process of its own: ``python -m tests.standin '{"busy": 0.1}'`` prints its address; ``/book``
tells in what order which number was sent a message.
"""

import asyncio
import datetime as dt
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

import msgspec
import uvloop
from aiohttp import web
from twilio.request_validator import RequestValidator

ACCOUNT = "AC" + "0" * 32
TOKEN = "token"
FOLDER = f"/2010-04-01/Accounts/{ACCOUNT}"

_ERRORS = {400: 21211, 404: 20404, 429: 20429, 500: 20500}


class Chances(msgspec.Struct, frozen=True, kw_only=True):
    """How often it is busy (429, nothing taken), silent after taking, broken (500).

    Of the broken, every second one has taken the message. delay: seconds until it answers.
    """

    busy: float = 0.0
    silent: float = 0.0
    broken: float = 0.0
    seed: int = 1
    delay: float = 0.0


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What it took: number and second of each, in order; requests: how often it was called.

    answers: how often each way of answering came up.
    """

    taken: list[tuple[str, float]]
    requests: int
    answers: dict[str, int]


@dataclass
class StandIn:
    """Answers on loopback.

    ``faults`` are used up one per message: a status, "lost" (taken, then cut off), "slow" (taken,
    never answered) or "broken" (taken, then 500). After them ``chances`` decide.
    """

    url: str = ""
    faults: list[int | str] = field(default_factory=list)
    chances: Chances = field(default_factory=Chances)
    taken: list[dict[str, str]] = field(default_factory=list)
    requests: int = 0
    listed: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._random = random.Random(self.chances.seed)
        self._by_sid: dict[str, dict[str, str]] = {}
        self._by_number: dict[str, list[dict[str, str]]] = {}

    def routes(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"{FOLDER}.json", self.account)
        app.router.add_post(f"{FOLDER}/Messages.json", self.answer)
        app.router.add_get(f"{FOLDER}/Messages.json", self.list)
        app.router.add_get(f"{FOLDER}/Messages/{{sid}}.json", self.fetch)
        app.router.add_get("/book", self.book)
        app.router.add_get("/count", self.count)
        return app

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if request.headers.get("Authorization") is None:
            return _error(401, code=20003)
        form = {name: str(value) for name, value in (await request.post()).items()}
        fault = self.faults.pop(0) if self.faults else self._chance()
        self.answers[str(fault)] = self.answers.get(str(fault), 0) + 1
        if isinstance(fault, int) and fault in _ERRORS:
            return _error(fault)
        message = self._take(form)
        if self.chances.delay:
            await asyncio.sleep(self.chances.delay)
        if fault == "broken":
            return _error(500)
        if fault == "slow":
            await self.released.wait()
        if fault == "lost":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(_resource(message), status=201)

    async def account(self, _: web.Request) -> web.Response:
        return web.json_response({"sid": ACCOUNT, "status": "active", "type": "Full"})

    async def fetch(self, request: web.Request) -> web.Response:
        self.listed += 1
        message = self._by_sid.get(request.match_info["sid"])
        return _error(404) if message is None else web.json_response(_resource(message))

    async def list(self, request: web.Request) -> web.Response:
        """Give a page of what went to a number, the newest first."""
        self.listed += 1
        found = self._by_number.get(request.query.get("To", ""), [])[::-1]
        size, page = int(request.query.get("PageSize", 50)), int(request.query.get("Page", 0))
        shown = found[page * size : (page + 1) * size]
        more = (page + 1) * size < len(found)
        query = {**request.query, "Page": str(page + 1)}
        following = str(request.rel_url.with_query(query)) if more else None
        return web.json_response(
            {
                "messages": [_resource(message) for message in shown],
                "page": page,
                "page_size": size,
                "next_page_uri": following,
                "uri": str(request.rel_url),
            }
        )

    async def book(self, _: web.Request) -> web.Response:
        book = Book(
            taken=[(one["To"], float(one["second"])) for one in self.taken],
            requests=self.requests,
            answers=self.answers,
        )
        return web.Response(body=msgspec.json.encode(book), content_type="application/json")

    async def count(self, _: web.Request) -> web.Response:
        return web.Response(text=str(len(self.taken)))

    def receipt(self, number: int, status: str) -> tuple[str, dict[str, str], str]:
        """Give url, form and signature of the callback about the message taken so-and-so-manyth."""
        message = self.taken[number]
        message["status"] = status
        url = message["StatusCallback"]
        form = {"MessageSid": message["sid"], "MessageStatus": status}
        return url, form, RequestValidator(TOKEN).compute_signature(url, form)  # type: ignore[no-untyped-call]

    def _chance(self) -> int | str:
        drawn, chances = self._random.random(), self.chances
        if drawn < chances.busy:
            return 429
        if drawn < chances.busy + chances.silent:
            return "slow"
        if drawn < chances.busy + chances.silent + chances.broken:
            return self._random.choice([500, "broken"])
        return 201

    def _take(self, form: dict[str, str]) -> dict[str, str]:
        now = dt.datetime.now(dt.UTC)
        message = {
            **form,
            "sid": f"SM{len(self.taken):032}",
            "status": "queued",
            "date_created": format_datetime(now),
            "second": f"{now.timestamp():.6f}",
        }
        self.taken.append(message)
        self._by_sid[message["sid"]] = message
        self._by_number.setdefault(form.get("To", ""), []).append(message)
        return message


def _resource(message: dict[str, str]) -> dict[str, Any]:
    return {
        "sid": message["sid"],
        "status": message["status"],
        "to": message.get("To"),
        "from": message.get("From"),
        "body": message.get("Body"),
        "date_created": message["date_created"],
        "error_code": None,
        "error_message": None,
    }


def _error(status: int, *, code: int = 0) -> web.Response:
    body = {"code": code or _ERRORS[status], "message": "no", "status": status}
    return web.json_response(body, status=status)


@asynccontextmanager
async def standin(*faults: int | str, chances: Chances | None = None) -> AsyncIterator[StandIn]:
    stand = StandIn(faults=list(faults), chances=chances or Chances())
    runner = web.AppRunner(stand.routes(), shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    stand.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand
    finally:
        stand.released.set()
        await runner.cleanup()


@contextmanager
def apart(chances: Chances) -> Iterator[str]:
    """Run one in a process of its own until the block ends, and give its address."""
    command = [sys.executable, "-m", "tests.standin", msgspec.json.encode(chances).decode()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _serve(chances: Chances) -> None:
    async with standin(chances=chances) as stand:
        print(stand.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(msgspec.json.decode(sys.argv[1], type=Chances)))
