"""Small parts of the ingest: status board, sessions, topics, doubles, vitals."""

import datetime as dt
import logging
import resource

import pytest

from server.ingest import topics
from server.ingest.access import common_name
from server.ingest.doubles import Doubles
from server.ingest.service import more_files
from server.ingest.session import Sessions
from server.ingest.status import Board
from server.vitals import BOUNDS, Vitals

NOON = dt.datetime(2016, 7, 20, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fenghuo/v1/0-20000-0-54534/obs", ("0-20000-0-54534", "obs")),
        ("fenghuo/v1/A/ack", ("A", "ack")),
        ("fenghuo/v1/A/other", None),
        ("fenghuo/v1/A/obs/more", None),
        ("fenghuo/v1/A B/obs", None),
        ("fenghuo/v1/+/obs", None),
        (f"fenghuo/v1/{'A' * 65}/obs", None),
        ("fenghuo/v1/A/obs\n", None),
    ],
)
def test_topics(name: str, expected: tuple[str, str] | None) -> None:
    assert topics.read(name) == expected
    if expected:
        assert topics.write(*expected) == name


def test_board_counts_who_is_online() -> None:
    vitals = Vitals()
    board = Board(vitals)
    assert board.put("A", b'{"state":"online"}', NOON)
    assert board.put("A", b'{"state":"online","time":"2016-07-20T12:00:00Z"}', NOON)
    assert board.put("B", b'{"state":"online"}', NOON)
    assert vitals.get("stations_online") == 2
    assert board.put("A", b'{"state":"offline"}', NOON)
    assert vitals.get("stations_online") == 1
    for wrong in (b"online", b"{}", b'{"state":1}', b'{"state":"' + b"x" * 5_000 + b'"}'):
        assert not board.put("B", wrong, NOON)
    status = board.get("B")
    assert status is not None
    assert (status.state, status.received) == ("online", NOON)
    assert vitals.get("status_refused") == 4


def test_sessions_end_when_they_expire_and_are_bounded() -> None:
    sessions = Sessions(2)
    one, present = sessions.open(("A", "one"), clean=False)
    assert not present
    one.expiry = 60
    sessions.close(one, now=0)
    assert sessions.open(("A", "one"), clean=False) == (one, True)
    sessions.close(one, now=100)
    assert sessions.sweep(159) == []
    assert sessions.sweep(161) == [one]
    two, _ = sessions.open(("A", "two"), clean=True)
    sessions.close(two, now=0)
    assert len(sessions) == 0
    for name in ("1", "2", "3"):
        session, _ = sessions.open(("A", name), clean=True)
        session.expiry = 60
        sessions.close(session, now=0)
    assert len(sessions) == 2
    assert sessions.get(("A", "1")) is None


def test_doubles_are_named_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    vitals = Vitals()
    doubles = Doubles(vitals)
    with caplog.at_level(logging.WARNING):
        doubles.note(("A", "c"), "x:1", "y:1", now=0)
        doubles.note(("A", "c"), "y:1", "x:2", now=61)
        doubles.note(("A", "c"), "x:2", "y:2", now=62)
        assert not caplog.records
        for second in range(63, 70):
            doubles.note(("A", "c"), "y:2", "x:3", now=second)
    assert caplog.records[0].getMessage().startswith("two clients with one name")
    assert vitals.get("doubles") == len(caplog.records) == 1


def test_common_name() -> None:
    subject = {"subject": ((("organizationName", "x"),), (("commonName", "A"),))}
    assert common_name(subject) == "A"
    assert common_name(None) == ""


def test_vitals_add_up() -> None:
    vitals = Vitals()
    vitals.add("refused", reason="a")
    vitals.add("refused", 2, reason="b")
    vitals.set("queue", 7)
    for seconds in (0.0005, 0.3, 99):
        vitals.observe("seconds", seconds)
    assert vitals.get("refused") == 3
    assert vitals.get("refused", reason="b") == 2
    found = {(s.name, s.labels): s.value for s in vitals.samples()}
    assert found["queue", ()] == 7
    assert found["seconds_bucket", (("le", str(BOUNDS[0])),)] == 1
    assert found["seconds_bucket", (("le", "+Inf"),)] == found["seconds_count", ()] == 3
    assert found["seconds_sum", ()] == pytest.approx(99.3005)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((1_024, 4_096), (2_000, 4_096)),
        ((1_024, 1_500), (1_500, 1_500)),
        ((1_024, resource.RLIM_INFINITY), (2_000, resource.RLIM_INFINITY)),
        ((3_000, 4_096), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(
    limits: tuple[int, int], expected: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: done.append(pair))
    more_files(2_000)
    assert done == ([expected] if expected else [])
