"""Hours and days: where a reading belongs, also where clocks change."""

import datetime as dt

import numpy as np
import pytest

from server.store.calendar import days, distinct, hours


def seconds(*moments: str) -> np.ndarray:
    return np.array([int(dt.datetime.fromisoformat(moment).timestamp()) for moment in moments])


def test_an_hour_is_closed_at_its_end() -> None:
    start, end = hours(seconds("2016-07-20T08:00:00Z", "2016-07-20T08:00:01Z"))
    assert end.tolist() == seconds("2016-07-20T08:00Z", "2016-07-20T09:00Z").tolist()
    assert (end - start).tolist() == [3600, 3600]


@pytest.mark.parametrize(
    ("zone", "ends", "time", "start", "end"),
    [
        ("Asia/Shanghai", "20:00", "2016-07-20T20:00+08:00", "2016-07-19T20:00+08:00", None),
        ("Asia/Shanghai", "20:00", "2016-07-20T20:01+08:00", None, "2016-07-21T20:00+08:00"),
        ("Asia/Shanghai", "08:00", "2016-07-20T20:00+08:00", None, "2016-07-21T08:00+08:00"),
        ("Asia/Kolkata", "08:30", "2016-07-20T03:00:01+00:00", None, "2016-07-21T03:00+00:00"),
        # The clocks go forward on 27 March 2016 and back on 30 October.
        ("Europe/Berlin", "20:00", "2016-03-27T12:00+02:00", "2016-03-26T20:00+01:00", None),
        ("Europe/Berlin", "20:00", "2016-03-27T12:00+02:00", None, "2016-03-27T20:00+02:00"),
        ("Europe/Berlin", "08:00", "2016-10-30T08:00+01:00", "2016-10-29T08:00+02:00", None),
    ],
)
def test_a_day_ends_at_its_local_time(
    zone: str, ends: str, time: str, start: str | None, end: str | None
) -> None:
    found_start, found_end = days(seconds(time), zone=zone, ends=ends)
    if start is not None:
        assert found_start.tolist() == seconds(start).tolist()
    if end is not None:
        assert found_end.tolist() == seconds(end).tolist()


@pytest.mark.parametrize(("date", "length"), [("03-27", 23), ("06-01", 24), ("10-30", 25)])
def test_a_day_is_as_long_as_the_clocks_say(date: str, length: int) -> None:
    start, end = days(seconds(f"2016-{date}T12:00Z"), zone="Europe/Berlin", ends="20:00")
    assert (end - start).tolist() == [length * 3600]


def test_every_time_is_in_its_own_day() -> None:
    times = np.arange(*seconds("2016-03-01T00:00Z", "2016-04-05T00:00Z"), 1800)
    start, end = days(times, zone="Europe/Berlin", ends="08:00")
    assert (start < times).all()
    assert (times <= end).all()


def test_no_times_have_no_days() -> None:
    start, end = days(np.empty(0, np.int64), zone="Asia/Shanghai", ends="20:00")
    assert start.size == end.size == 0


def test_distinct_names_each_span_once() -> None:
    times = seconds("2016-07-20T08:00:00Z", "2016-07-20T07:30Z", "2016-07-20T08:30Z")
    spans = distinct(np.array([1, 1, 2]), [hours(times)])
    assert spans[:, 2].tolist() == [1, 2]
