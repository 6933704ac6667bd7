"""The ways of sending that the part ``alerts`` compares, each in a process of its own.

``python -m tests.bench.senders ledger URL STANDIN`` is Fenghuo's dispatcher, until it is killed;
``bare ADDRESS COUNT`` is the official client with nothing around it; ``queue`` is procrastinate
with one job per message, whose outcome is written nowhere but in its own table.
"""

import asyncio
import sys
import time
import warnings
from urllib.parse import urlsplit

import psycopg_pool
import uvloop
from procrastinate import App, PsycopgConnector
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from alerts.channels.sms import Sms
from alerts.sending import dispatch
from server.clock import SystemClock
from server.store.database import Database
from tests.crowd import number
from tests.samples import SEAL
from tests.standin import ACCOUNT, TOKEN

SENDER = "+15005550006"
BODY = "【示范气象台】示范县暴雨蓝色预警：3 小时降雨量已达 62.5 mm，请注意防范。"
TOGETHER = 20
"""Messages on their way at once, the same for all."""


class Elsewhere(AsyncTwilioHttpClient):
    """The official transport; another address is all that is changed."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    async def request(self, method: str, url: str, **values: object) -> object:  # type: ignore[override]
        path = urlsplit(url)._replace(scheme="", netloc="").geturl()
        return await super().request(method, self._address + path, **values)  # type: ignore[arg-type]


async def ledger(url: str, address: str) -> None:
    sms = Sms(
        account=ACCOUNT, token=TOKEN, sender=SENDER, base_url=address, workers=TOGETHER,
        callback="https://warn.example/api/v1/receipts/sms",
    )  # fmt: skip
    async with await Database.open(url, name="fenghuo alert") as database:
        print("ready", flush=True)
        try:
            await dispatch.run(database.connection, [sms], clock=SystemClock(), seal=SEAL)
        finally:
            await sms.close()


async def bare(address: str, count: int) -> None:
    client = Client(ACCOUNT, TOKEN, http_client=Elsewhere(address))
    places = iter(range(count))

    async def send() -> None:
        for place in places:
            await client.messages.create_async(
                to=number(place), from_=SENDER, body=BODY, validity_period=21_600,
                status_callback=f"https://warn.example/api/v1/receipts/sms/{place}",
            )  # fmt: skip

    began = time.monotonic()
    await asyncio.gather(*(send() for _ in range(TOGETHER)))
    print(count / (time.monotonic() - began), flush=True)
    await client.http_client.close()


async def queue(url: str, address: str, count: int) -> None:
    app = App(
        connector=PsycopgConnector(conninfo=url, pool_factory=psycopg_pool.AsyncConnectionPool)
    )
    client = Client(ACCOUNT, TOKEN, http_client=Elsewhere(address))

    @app.task(name="send")
    async def send(to: str, body: str) -> None:
        await client.messages.create_async(
            to=to, from_=SENDER, body=body, validity_period=21_600,
            status_callback=f"https://warn.example/api/v1/receipts/sms/{to}",
        )  # fmt: skip

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        began = time.monotonic()
        for first in range(0, count, 5_000):
            jobs = [
                {"to": number(n), "body": BODY} for n in range(first, min(count, first + 5_000))
            ]
            await send.batch_defer_async(*jobs)
        queued = time.monotonic() - began
        began = time.monotonic()
        await app.run_worker_async(concurrency=TOGETHER, wait=False, install_signal_handlers=False)
        print(queued, count / (time.monotonic() - began), flush=True)
    await client.http_client.close()


if __name__ == "__main__":
    # The official client asks aiohttp for what is on its way out.
    warnings.simplefilter("ignore", DeprecationWarning)
    kind, *rest = sys.argv[1:]
    match kind:
        case "ledger":
            uvloop.run(ledger(*rest))
        case "bare":
            uvloop.run(bare(rest[0], int(rest[1])))
        case _:
            uvloop.run(queue(rest[0], rest[1], int(rest[2])))
