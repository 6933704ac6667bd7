"""Small helpers for tests."""

import asyncio
import inspect
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    predicate: Callable[[], T], *, timeout: float = 10, every: float = 0.01, about: str = ""
) -> T:
    """Wait until the predicate gives something true, and give it; else fail with ``about``."""
    end = time.monotonic() + timeout
    while not (found := predicate()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {about or _source(predicate)}")
        time.sleep(every)
    return found


async def eventually_async(
    predicate: Callable[[], Awaitable[T] | T],
    *,
    timeout: float = 10,  # noqa: ASYNC109 - a failing test says what it waited for
    every: float = 0.01,
    about: str = "",
) -> T:
    """Do the same without holding up the event loop; the predicate may be async."""
    end = time.monotonic() + timeout
    while True:
        given = predicate()
        found: T = await given if inspect.isawaitable(given) else given
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {about or _source(predicate)}")
        await asyncio.sleep(every)


def free_port(host: str = "127.0.0.1") -> int:
    """Give a TCP port that is free just now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def listening(host: str, port: int) -> bool:
    """Say whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _source(predicate: Callable[[], object]) -> str:
    try:
        return inspect.getsource(predicate).strip()
    except (OSError, TypeError):
        return repr(predicate)
