"""One answer for everybody who asks in the same moment, and never an old one."""

import asyncio
import datetime as dt

import pytest

from server.web.faces import shelf
from server.web.faces.shelf import Shelf
from tests.samples import START


class Course:
    serial = 1
    now = START


async def test_it_is_made_once_until_something_is_said_or_time_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course, made = Course(), 0

    async def make() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return made

    kept: Shelf[int] = Shelf(course)
    assert await asyncio.gather(*(kept.get("a", make) for _ in range(5))) == [1] * 5
    assert await kept.get("b", make) == 2
    course.serial = 2
    assert await kept.get("a", make) == 3
    course.now += dt.timedelta(seconds=1)
    assert await kept.get("a", make) == 4
    assert await kept.get("a", make) == 4
    monkeypatch.setattr(shelf, "MOST", 1)
    for key in "cdefg":
        await kept.get(key, make)
        assert len(kept._slots) == 1


async def test_a_failure_is_not_kept_and_who_leaves_takes_nothing_away() -> None:
    kept: Shelf[str] = Shelf(Course())

    async def fail() -> str:
        raise OSError("away")

    async def make() -> str:
        await asyncio.sleep(0.01)
        return "made"

    with pytest.raises(OSError, match="away"):
        await kept.get("a", fail)
    first = asyncio.create_task(kept.get("a", make))
    second = asyncio.create_task(kept.get("a", make))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "made"
