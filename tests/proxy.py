"""A TCP proxy that plays a bad network: cut, refused, slow, half-open, late, broken in a packet."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar

T = TypeVar("T")

_CHUNK = 4_096
_SLICES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What happens to bytes.

    rate: bytes/s of each direction; 0 for no limit. delay, jitter: seconds each piece waits,
    at least, and up to so many more. swallow: nothing goes through, and nobody is told.
    drop: a connection is reset when so many more bytes of the client have gone through; 0: never.
    """

    rate: int = 0
    delay: float = 0
    jitter: float = 0
    swallow: bool = False
    drop: int = 0


class Proxy:
    """Listens on a free loopback port and hands on to ``host:port``, from a thread of its own.

    A connection whose bytes were swallowed stays dead when the weather clears, as behind a
    router that has forgotten it: only a new one goes through.
    """

    host = "127.0.0.1"

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self._target = host, port
        self._weather = Weather()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pairs: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self.port = 0
        self.accepted = 0
        self.dropped = 0
        self.passed = 0

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What a test can do

    def clear(self) -> None:
        """Pass everything on, and accept connections."""
        self._weather = Weather()
        self._do(self._listen())

    def cut(self) -> None:
        """Reset every connection now; new ones are accepted."""
        self._do(self._reset())

    def refuse(self) -> None:
        """Reset every connection and refuse new ones."""
        self._do(self._deaf())

    def slow(self, rate: int) -> None:
        """Let so many bytes a second through, each way."""
        self._weather = Weather(rate=rate)

    def half_open(self) -> None:
        """Accept and read, but hand nothing on and close nothing."""
        self._weather = Weather(swallow=True)

    def late(self, delay: float, *, jitter: float = 0) -> None:
        """Hold every piece back for so many seconds, and up to ``jitter`` more."""
        self._weather = Weather(delay=delay, jitter=jitter)

    def drop_after(self, size: int) -> None:
        """Reset a connection when ``size`` more bytes of the client have gone through."""
        self._weather = Weather(drop=size)

    # The loop's side

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _deaf(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._reset()

    async def _reset(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _end(self) -> None:
        await self._deaf()
        for task in list(self._pairs):
            task.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        self._open.add(writer)
        try:
            await self._pair(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one of the two sides is gone, or the test is over
        finally:
            self._open.discard(writer)
            self._pairs.discard(task)
            writer.close()

    async def _pair(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._open.add(far_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer, writer, up=True)),
            asyncio.create_task(self._pump(far_reader, writer, far_writer, up=False)),
        ]
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._open.discard(far_writer)
            far_writer.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        *,
        up: bool,
    ) -> None:
        dead, since = False, 0
        while data := await reader.read(_CHUNK):
            weather = self._weather
            dead = dead or weather.swallow
            if dead:
                continue
            if weather.delay or weather.jitter:
                await asyncio.sleep(weather.delay + random.uniform(0, weather.jitter))
            if up and weather.drop:
                data = data[: weather.drop - since]  # the rest is never seen again
            await self._hand_on(writer, data, rate=weather.rate)
            self.passed += len(data)
            since = since + len(data) if weather.drop else 0
            if up and weather.drop and since >= weather.drop:
                self.dropped += 1
                # What was handed on shall arrive before the line breaks.
                await asyncio.sleep(0.01)
                _reset(writer)
                _reset(other)
                return

    async def _hand_on(self, writer: asyncio.StreamWriter, data: bytes, *, rate: int) -> None:
        size = max(1, rate // _SLICES) if rate else len(data)
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await writer.drain()
            if rate:
                await asyncio.sleep(size / rate)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, as a router does."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
