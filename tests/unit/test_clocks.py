"""Clocks of stations: which readings speak of them, and when one is named."""

import datetime as dt
import logging
from collections.abc import Iterable

import pytest

from agent.report import Report
from server.ingest.clocks import Clocks
from server.ingest.source import Delivery
from server.vitals import Vitals

T0 = dt.datetime(2026, 7, 20, 8, tzinfo=dt.UTC)
DAY = 86_400.0


def second(seconds: float) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


def hear(
    clocks: Clocks, received: float, *times: float, interval: int = 60, station: int = 7
) -> None:
    """Let a message with readings of these times come."""
    reports = [Report(time=second(t), values={"wind_speed": 1.0}, interval=interval) for t in times]
    items = list(reports)
    clocks.note(station, Delivery("A", "t", b"", second(received), items=items))


def judge(messages: Iterable[tuple[float, float]], *, limit: float = 120) -> Clocks:
    """Give the clocks after messages of one reading each: (received, time)."""
    clocks = Clocks(limit=limit, size=9, vitals=Vitals())
    for received, time in messages:
        hear(clocks, received, time)
    return clocks


def live(count: int, offset: float, *, start: float = 0) -> list[tuple[float, float]]:
    return [(start + 60 * n, start + 60 * n - offset) for n in range(count)]


@pytest.mark.parametrize(
    ("offset", "suspect"),
    [(2, False), (100, False), (3_600, True), (8 * 3_600, True), (-90, False), (-400, True)],
)
def test_a_steady_offset_is_found(offset: float, suspect: bool) -> None:
    found = judge(live(20, offset)).get(7)
    assert found is not None
    assert (found.offset, found.suspect) == (offset, suspect)


def test_nothing_is_said_by_few_readings() -> None:
    assert judge(live(5, 3_600)).get(7) is None
    assert judge(live(6, 3_600)).get(7) is not None


def test_single_delays_do_not_count() -> None:
    times = live(20, 2)
    times[10] = (times[10][0] + 50, times[10][1])
    times[15] = (times[15][0], times[15][1] - 30_000)
    found = judge(times).get(7)
    assert found is not None
    assert found.offset == 2


def test_a_backlog_oldest_first_before_the_live_readings_does_not_count() -> None:
    backlog = [(n / 1_000, -3 * DAY + 60 * n) for n in range(4_320)]
    found = judge([*live(10, 2, start=-4 * DAY), *backlog, *live(3, 2, start=5)]).get(7)
    assert found is not None
    assert (found.offset, found.suspect) == (2, False)


def test_a_backlog_beside_live_readings_does_not_count() -> None:
    clocks = Clocks(limit=120, size=9, vitals=Vitals())
    for n in range(30):
        hear(clocks, 60 * n + 1, 60 * n)
        hear(clocks, 60 * n + 2, *(-3 * DAY + 60 * (100 * n + m) for m in range(100)))
    found = clocks.get(7)
    assert found is not None
    assert (found.offset, found.suspect) == (1, False)


def test_of_an_hourly_message_only_the_newest_reading_counts() -> None:
    clocks = Clocks(limit=120, size=9, vitals=Vitals())
    for hour in range(10):
        hear(clocks, 3_600 * hour + 20, *(3_600 * hour - 60 * m for m in range(60)))
    found = clocks.get(7)
    assert found is not None
    assert (found.offset, found.suspect) == (20, False)


def test_a_clock_is_named_once_and_once_again_when_it_is_right(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    vitals = Vitals()
    clocks = Clocks(limit=120, size=9, vitals=vitals)
    for received, time in live(20, 3_600):
        hear(clocks, received, time)
    clocks.tell()
    assert vitals.get("clocks_suspect") == 1
    for received, time in live(20, 1, start=2_000):
        hear(clocks, received, time)
    clocks.tell()
    clocks.tell()
    assert vitals.get("clocks_suspect") == 0
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "clock slow, or the line",
        "clock right again",
    ]
    assert "station=A" in caplog.text


def test_many_clocks_that_go_wrong_together_are_counted_not_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clocks = Clocks(limit=120, size=9, vitals=Vitals())
    for station in range(1, 101):
        for received, time in live(20, 3_600):
            hear(clocks, received, time, station=station)
    clocks.tell()
    assert len(caplog.records) == 6
    assert "stations=95 wrong=100" in caplog.records[-1].message


def test_a_clock_set_back_from_far_ahead_is_believed_after_a_while() -> None:
    times = [*live(10, -40 * DAY), *live(60, 1, start=700)]
    found = judge(times).get(7)
    assert found is not None
    assert (found.offset, found.suspect) == (1, False)


def test_what_is_written_is_not_written_again_until_it_moves() -> None:
    clocks = judge(live(20, 300))
    (first,) = clocks.changed()
    clocks.wrote([first])
    assert clocks.changed() == []
    hear(clocks, 20 * 60 + 0.4, 20 * 60 - 300)
    assert clocks.changed() == []
    for received, time in live(9, 700, start=2_000):
        hear(clocks, received, time)
    (second_,) = clocks.changed()
    assert second_.offset == 700
