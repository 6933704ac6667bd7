"""Answers that a whole town asks for in the same second: made once, and handed to everybody."""

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_Made = TypeVar("_Made")

KEPT = 1.0
"""Seconds that an answer is kept where the time that is decided by stands still."""

MOST = 512
"""Answers that are kept at once."""


class Course(Protocol):
    """How things go on: the newest message, and the time that is decided by."""

    serial: int

    @property
    def now(self) -> dt.datetime:
        """Give the time."""
        ...


@dataclass(frozen=True, slots=True)
class _Slot(Generic[_Made]):
    state: tuple[int, int]
    until: float
    answer: "asyncio.Task[_Made]"


class Shelf(Generic[_Made]):
    """Keeps answers for a second; none outlives the next message, so nobody sees what is over."""

    def __init__(self, course: Course) -> None:
        """Count messages and seconds as ``course`` does."""
        self._course = course
        self._slots: dict[Hashable, _Slot[_Made]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[_Made]]) -> _Made:
        """Give the answer of a key, made by ``make`` where there is none; raises what that raises.

        Whoever comes while it is being made waits for the same one.
        """
        slot, now = self._slots.get(key), time.monotonic()
        state = self._course.serial, int(self._course.now.timestamp())
        if slot is None or slot.state != state or now >= slot.until:
            if len(self._slots) >= MOST:
                self._slots.clear()
            task = asyncio.ensure_future(make())
            slot = _Slot(state, now + KEPT, task)
            self._slots[key] = slot
            task.add_done_callback(lambda done: self._drop(key, done))
        # One who goes away does not take the answer from the others.
        return await asyncio.shield(slot.answer)

    def _drop(self, key: Hashable, done: "asyncio.Task[_Made]") -> None:
        """Keep no failure: the next one who asks tries again."""
        failed = done.cancelled() or done.exception() is not None
        slot = self._slots.get(key)
        if failed and slot is not None and slot.answer is done:
            del self._slots[key]
