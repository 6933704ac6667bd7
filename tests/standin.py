"""A stand-in for Twilio's messages: keeps state, fails on demand, sends signed receipts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from twilio.request_validator import RequestValidator

ACCOUNT = "AC" + "0" * 32
TOKEN = "token"


@dataclass
class StandIn:
    """Answers on loopback; ``faults`` are used up one per request: a status, "lost" or "slow"."""

    url: str = ""
    faults: list[int | str] = field(default_factory=list)
    taken: list[dict[str, str]] = field(default_factory=list)
    requests: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if request.headers.get("Authorization") is None:
            return web.json_response({"code": 20003, "message": "no"}, status=401)
        form = {name: str(value) for name, value in (await request.post()).items()}
        fault = self.faults.pop(0) if self.faults else 201
        if fault in (400, 429, 500):
            code = {400: 21211, 429: 20429, 500: 20500}[int(fault)]
            return web.json_response({"code": code, "message": "no"}, status=int(fault))
        number = f"SM{len(self.taken):032}"
        self.taken.append({**form, "sid": number})
        if fault == "slow":
            await self.released.wait()
        if fault == "lost":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"sid": number, "status": "queued"}, status=201)

    def receipt(self, number: int, status: str) -> tuple[str, dict[str, str], str]:
        """Give url, form and signature of the callback about the message taken so-and-so-manyth."""
        message = self.taken[number]
        url = message["StatusCallback"]
        form = {"MessageSid": message["sid"], "MessageStatus": status}
        return url, form, RequestValidator(TOKEN).compute_signature(url, form)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def standin(*faults: int | str) -> AsyncIterator[StandIn]:
    stand = StandIn(faults=list(faults))
    app = web.Application()
    app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", stand.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stand.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand
    finally:
        stand.released.set()
        await runner.cleanup()
