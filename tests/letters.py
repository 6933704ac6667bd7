"""What is said and sent in tests of channels, and an HTTP server that remembers what it got."""

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import BodyPartReader, web
from multidict import CIMultiDict

from alerts.channels.port import Delivery
from alerts.texts.bulletin import Press
from alerts.texts.wording import ACK, Said, Sms
from tests.samples import START, later

PRESS = Press()
"""Shared, for it takes most of a second to open a font; the same sheet is printed once."""

AREA = {
    "type": "Polygon",
    "coordinates": [[[116.2, 39.9], [116.4, 39.9], [116.5, 40.1], [116.25, 40.05], [116.2, 39.9]]],
}


def said(**changes: object) -> Said:
    """Give an orange rainstorm warning, as the writer would; in Chinese and real."""
    given = Said(
        message=uuid.UUID("8a5e6c7d-0000-4000-8000-000000000001"),
        warning=uuid.UUID("8a5e6c7d-0000-4000-8000-000000000002"),
        act="issue",
        hazard="rainstorm",
        level="orange",
        door="observed",
        exercise=False,
        language="zh",
        mark="",
        agency="示范气象台",
        sender="示范气象台",
        region="海淀",
        event="橙色暴雨预警",
        headline="示范气象台发布海淀暴雨橙色预警",
        description="海淀站3小时降水量已达62.5毫米 <50>。",
        instruction="立即离开低洼地带。\n不要涉水。",
        guide="离开低洼地带，勿涉水。",
        sms=Sms(body="【示范气象台】海淀暴雨橙色预警", segments=1),
        spoken="示范气象台发布海淀暴雨橙色预警，请离开低洼地带。",
        note="",
        sent=START,
        onset=START,
        expires=later(6),
        sent_text="2016年7月20日08时00分",
        onset_text="2016年7月20日08时00分",
        expires_text="2016年7月20日14时00分",
        link="https://warn.example/w/8a5e6c7d",
        ends=False,
        colour="#f57c00",
        number=2,
        boundaries=(AREA,),
    )
    return msgspec.structs.replace(given, **changes)


def asking(**changes: object) -> Said:
    """Give one that asks for a confirmation."""
    return said(sms=Sms(body=f"x {ACK}", segments=1), **changes)


def delivery(**changes: object) -> Delivery:
    """Give a delivery that counts for six hours."""
    given = Delivery(
        id=uuid.uuid4(),
        channel="sms",
        exercise=False,
        address="+8619900000000",
        body="海淀暴雨橙色预警",
        subject="海淀暴雨橙色预警",
        language="zh",
        expires=later(6),
        message=uuid.UUID("8a5e6c7d-0000-4000-8000-000000000001"),
    )
    return msgspec.structs.replace(given, **changes)


@dataclass
class Got:
    """A request."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    form: dict[str, str | bytes]


@dataclass
class Receiver:
    """Answers on loopback. answers: used up one per request; a status, "lost" or "slow"."""

    url: str = ""
    answers: list[int | str] = field(default_factory=list)
    text: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Got] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, str | bytes] = {}
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                assert isinstance(part, BodyPartReader)
                data = bytes(await part.read())
                form[str(part.name)] = data if part.filename else data.decode()
            body = b""
        else:
            body = await request.read()
            if request.content_type == "application/x-www-form-urlencoded":
                form = {name: str(value) for name, value in (await request.post()).items()}
        self.got.append(Got(request.method, request.path, CIMultiDict(request.headers), body, form))
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "slow":
            await self.released.wait()
        if answer == "lost":
            assert request.transport is not None
            request.transport.abort()
        status = answer if isinstance(answer, int) else 200
        return web.Response(
            status=status, text=self.text, content_type="application/json", headers=self.headers
        )


@asynccontextmanager
async def receiver(
    *answers: int | str, text: str = "{}", **headers: str
) -> AsyncIterator[Receiver]:
    made = Receiver(answers=list(answers), text=text, headers=headers)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        made.released.set()
        await runner.cleanup()


def instant(seconds: float) -> dt.datetime:
    """Give so many seconds after the start."""
    return START + dt.timedelta(seconds=seconds)
