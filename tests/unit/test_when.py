"""Times at the command line."""

import argparse
import datetime as dt
import zoneinfo

import pytest

from server.when import checked, moment

BEIJING = zoneinfo.ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("text", "last", "utc"),
    [
        ("2016-07-20", False, "2016-07-19T16:00:00+00:00"),
        ("2016-07-20", True, "2016-07-20T16:00:00+00:00"),
        ("2016-07-20T08:00+08:00", False, "2016-07-20T00:00:00+00:00"),
        ("2016-07-20T08:00:00Z", True, "2016-07-20T08:00:00+00:00"),
    ],
)
def test_a_date_is_local_and_a_time_has_its_zone(text: str, last: bool, utc: str) -> None:
    assert moment(text, BEIJING, last=last).astimezone(dt.UTC).isoformat() == utc
    assert checked(text) == text


@pytest.mark.parametrize("text", ["never", "yesterday", "2016-07-20T08:00", "2016-13-01"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        moment(text, BEIJING)
    with pytest.raises(argparse.ArgumentTypeError, match="write a date as"):
        checked(text)
