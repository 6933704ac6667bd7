import datetime as dt
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.order import Order
from agent.report import Report, decode
from agent.spool import Spool, SpoolError
from agent.stored import LARGEST

NOON = dt.datetime(2026, 7, 20, 12, tzinfo=dt.UTC)
TOP = 2**62


class Noon:
    def now(self) -> dt.datetime:
        return NOON


def report(number: int = 0) -> Report:
    return Report(NOON + dt.timedelta(minutes=number), {"air_temperature": number % 50})


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "s.sqlite", clock=Noon()) as spool:
        yield spool


def test_readings_come_back_newest_first_with_their_numbers(spool: Spool) -> None:
    seqs = [spool.append(report(number)) for number in range(3)]
    assert seqs == list(range(seqs[0], seqs[0] + 3))
    stored = spool.between(0, TOP, 10)
    assert [s.seq for s in stored] == seqs[::-1]
    assert decode(stored[0].numbered) == [
        Report(report(2).time, {"air_temperature": 2}, seq=seqs[2])
    ]
    assert [s.seq for s in spool.between(seqs[0], seqs[2], 10)] == [seqs[1]]


def test_confirmed_readings_leave_once(spool: Spool) -> None:
    seqs = spool.extend([report(number) for number in range(5)])
    assert spool.confirm(seqs[:2]) == 2
    assert spool.confirm([*seqs[:2], 7, -1]) == 0
    assert spool.waiting == 3
    assert [s.seq for s in spool.between(0, TOP, 10)] == seqs[:1:-1]


def test_refused_readings_leave_and_are_counted(spool: Spool) -> None:
    seqs = spool.extend([report(0), report(1)])
    spool.refuse(seqs[:1], reason="range: too hot")
    tally = spool.tally
    assert (tally.waiting, tally.refused, tally.reason, tally.lost) == (1, 1, "range: too hot", 0)


def test_everything_is_there_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "s.sqlite"
    with Spool(path, clock=Noon()) as spool:
        seqs = spool.extend([report(0), report(1), report(2)], mark="here")
        spool.refuse(seqs[2:], reason="why")
        assert spool.mark == "here"
    with Spool(path, clock=Noon()) as spool:
        assert [s.seq for s in spool.between(0, TOP, 10)] == seqs[1::-1]
        assert (spool.mark, spool.waiting) == ("here", 2)
        assert (spool.tally.refused, spool.tally.reason) == (1, "why")
        assert spool.append(report(3)) == seqs[2] + 1


def test_numbers_are_never_used_twice_even_by_a_new_file(tmp_path: Path) -> None:
    with Spool(tmp_path / "a", clock=Noon()) as spool:
        seq = spool.append(report())
        spool.confirm([seq])
    with Spool(tmp_path / "a", clock=Noon()) as spool:
        assert spool.append(report()) == seq + 1
    assert seq > NOON.timestamp() * 1_000


def test_mark_alone_is_kept(spool: Spool) -> None:
    assert spool.extend([], mark="there") == []
    assert spool.mark == "there"


def test_too_large_a_reading_is_refused_at_the_door(spool: Spool) -> None:
    huge = Report(NOON, {f"element_{number}": 1.0 for number in range(LARGEST // 10)})
    with pytest.raises(ValueError, match="too large"):
        spool.append(huge)
    assert spool.waiting == 0


def test_second_process_is_refused(spool: Spool) -> None:
    with pytest.raises(SpoolError, match="another process has this spool open") as caught:
        Spool(spool.path, clock=Noon())
    assert caught.value.busy


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"file/s\.sqlite"):
        Spool(tmp_path / "file" / "s.sqlite", clock=Noon())


@pytest.mark.parametrize("damage", ["head", "middle", "text"])
def test_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = tmp_path / "s.sqlite"
    with Spool(path, clock=Noon()) as spool:
        spool.extend([report(number) for number in range(1_000)])
    content = bytearray(path.read_bytes())
    if damage == "text":
        content = bytearray(b"no database at all\n" * 400)
    else:
        start = 0 if damage == "head" else len(content) // 2
        content[start : start + 8_192] = b"\xa5" * 8_192
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR), Spool(path, clock=Noon()) as spool:
        assert spool.aside == tmp_path / "s.sqlite.damaged-20260720T120000Z"
        assert spool.aside.read_bytes() == bytes(content)
        assert spool.waiting == 0
        assert spool.append(report()) > 0
    assert "a new spool is begun" in caplog.text


def test_damage_found_while_running_keeps_the_new_readings(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Spool(path, clock=Noon()) as spool:
        first = spool.extend([report(number) for number in range(3_000)])
        spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        spool._db.execute("PRAGMA shrink_memory")
        with path.open("r+b") as file:
            file.seek(4_096)
            file.write(b"\xa5" * (path.stat().st_size - 4_096))
        found = spool.between(0, first[10], 200)
        seq = spool.append(report())
        assert not found
        assert seq == first[-1] + 1
        assert [s.seq for s in spool.between(0, TOP, 10)] == [seq]
        assert spool.aside is not None


def test_full_spool_gives_up_the_oldest_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR), Spool(tmp_path / "s", clock=Noon(), limit=1) as spool:
        seqs: list[int] = []
        while not spool.tally.lost and len(seqs) < 100_000:
            seqs += spool.extend([report(number) for number in range(100)])
        for number in range(20):
            seqs += spool.extend([report(number) for _ in range(100)])
        tally = spool.tally
        there = [s.seq for s in spool.between(0, TOP, 1_000_000)]
        assert tally.held == 0
        assert there == seqs[tally.lost :][::-1]
        assert tally.waiting == len(there) == len(seqs) - tally.lost
        assert len(there) > 5_000
    assert (tmp_path / "s").stat().st_size <= 1_048_576
    assert "the oldest readings are given up" in caplog.text
    with Spool(tmp_path / "s", clock=Noon(), limit=1) as spool:
        assert spool.tally == tally


class Unwritable(sqlite3.Connection):
    """A connection whose disk is full while ``full`` is set."""

    full = False

    def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:  # type: ignore[override]
        if self.full and sql.startswith("BEGIN"):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return super().execute(sql, *rest)  # type: ignore[arg-type]


def test_full_disk_keeps_the_newest_in_memory_until_it_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(
        "agent.spool.sqlite3.connect",
        lambda *a, **k: connect(*a, factory=Unwritable, **k),
    )
    monkeypatch.setattr("agent.spool.RING", 10)
    with Spool(tmp_path / "s", clock=Noon()) as spool:
        first = spool.extend([report(number) for number in range(5)])
        monkeypatch.setattr(Unwritable, "full", True)
        seqs = [spool.append(report(number)) for number in range(25)]
        spool.confirm([first[0], seqs[-1]])
        tally = spool.tally
        assert (tally.held, tally.lost, tally.waiting) == (9, 15, 4 + 9)
        assert [s.seq for s in spool.between(0, TOP, 100)] == seqs[15:24][::-1] + first[:0:-1]
        assert not spool.retry()
        monkeypatch.setattr(Unwritable, "full", False)
        assert spool.retry()
        assert spool.tally.held == 0
        there = [s.seq for s in spool.between(0, TOP, 100)]
    assert there == seqs[15:24][::-1] + first[:0:-1]
    assert caplog.text.count("wait in memory until it can be written") == 1
    assert "can be written again" in caplog.text
    with Spool(tmp_path / "s", clock=Noon()) as spool:
        assert [s.seq for s in spool.between(0, TOP, 100)] == there
        assert (spool.tally.lost, spool.waiting) == (15, len(there))


# Order


def test_newest_goes_alone_and_the_backlog_beside_it(spool: Spool) -> None:
    old = spool.extend([report(number) for number in range(7)])
    order = Order(spool)
    newest = order.newest()
    assert newest is not None
    assert newest.seq == old[6]
    assert order.newest() is None
    assert [s.seq for s in order.backlog(limit=4, size=10_000)] == old[5:1:-1]
    fresh = spool.extend([report(8), report(9)])
    newest = order.newest()
    assert newest is not None
    assert newest.seq == fresh[1]
    assert [s.seq for s in order.backlog(limit=4, size=10_000)] == [fresh[0]]
    assert [s.seq for s in order.backlog(limit=4, size=10_000)] == [old[1], old[0]]
    assert order.backlog(limit=4, size=10_000) == []
    assert order.newest() is None


def test_backlog_keeps_to_the_size_but_gives_at_least_one(spool: Spool) -> None:
    seqs = spool.extend([report(number) for number in range(10)])
    order = Order(spool)
    order.newest()
    each = len(spool.between(0, TOP, 1)[0].numbered) + 1
    assert len(order.backlog(limit=200, size=3 * each)) == 3
    assert len(order.backlog(limit=200, size=1)) == 1
    assert [s.seq for s in order.backlog(limit=200, size=10**6)] == seqs[4::-1]


def test_lost_message_is_taken_again_without_what_was_confirmed(spool: Spool) -> None:
    seqs = spool.extend([report(number) for number in range(6)])
    order = Order(spool)
    order.newest()
    taken = order.backlog(limit=3, size=10_000)
    spool.confirm([taken[1].seq])
    order.again(taken[-1].seq, taken[0].seq)
    assert [s.seq for s in order.backlog(limit=10, size=10_000)] == [seqs[4], seqs[2]]
    assert [s.seq for s in order.backlog(limit=10, size=10_000)] == [seqs[1], seqs[0]]
