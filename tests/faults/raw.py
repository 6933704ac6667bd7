"""Publishers of the barest kind, in the test's own process: they remember what was acknowledged."""

import asyncio
import datetime as dt
import threading
from collections.abc import Sequence
from typing import Self

from tests.ingesting import NOW, payload, report

INFLIGHT = 100
_TICK = 0.02


class Raw:
    """MQTT 3.1.1 by hand: publishes until told to stop, and again whatever was not acknowledged.

    name: one letter and one figure. rate: readings/s; 0 for as fast as they are acknowledged.
    """

    def __init__(self, name: str, port: int, *, rate: int = 0) -> None:
        self.name = name
        self.port = port
        self.acknowledged: set[int] = set()
        self.number = 0
        self.open: dict[int, int] = {}
        self.quiet = False
        self._rate = rate

    def packet(self, identifier: int, number: int) -> bytes:
        time = NOW - dt.timedelta(seconds=number)
        values = {"air_temperature": float(number % 50), "wind_speed": float(int(self.name[1:]))}
        topic = f"fenghuo/v1/{self.name}/obs".encode()
        body = len(topic).to_bytes(2) + topic + identifier.to_bytes(2)
        body += payload(report(time, values=values))
        return b"\x32" + bytes((len(body) & 0x7F | 0x80, len(body) >> 7)) + body

    async def run(self) -> None:
        while True:
            try:
                await self._connection()
            except (OSError, EOFError):
                await asyncio.sleep(0.02)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answers = None
        try:
            writer.write(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02" + self.name.encode())
            await reader.readexactly(4)
            # Everything not acknowledged goes again: the spool of a real station.
            waiting = sorted(self.open.values())
            self.open.clear()
            answers = asyncio.create_task(self._answers(reader))
            while not answers.done():
                for _ in range(max(1, int(self._rate * _TICK)) if self._rate else INFLIGHT):
                    if len(self.open) >= INFLIGHT or not (waiting or not self.quiet):
                        break
                    if waiting:
                        number = waiting.pop()
                    else:
                        self.number += 1
                        number = self.number
                    identifier = number % 65_535 + 1
                    self.open[identifier] = number
                    writer.write(self.packet(identifier, number))
                await writer.drain()
                await asyncio.sleep(_TICK if self._rate else 0.002)
            await answers
        finally:
            if answers is not None:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
            writer.close()

    async def _answers(self, reader: asyncio.StreamReader) -> None:
        while True:
            answer = await reader.readexactly(4)
            self.acknowledged.add(self.open.pop(int.from_bytes(answer[2:])))


class Crowd:
    """Several of them, in a thread of their own."""

    def __init__(self, names: Sequence[str], port: int, *, rate: int) -> None:
        self.members = [Raw(name, port, rate=rate) for name in names]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="crowd")
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    def quiet(self, value: bool) -> None:
        """Stop making new readings, or begin again."""
        for member in self.members:
            member.quiet = value

    @property
    def settled(self) -> bool:
        """Whether all that was made is acknowledged."""
        return all(len(m.acknowledged) == m.number for m in self.members)

    @property
    def acknowledged(self) -> int:
        return sum(len(member.acknowledged) for member in self.members)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        tasks = [asyncio.create_task(member.run()) for member in self.members]
        self._ready.set()
        await self._over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
