"""The spool under kill -9 and on a disk that is really full, each in a process of its own."""

import datetime as dt
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.report import Report
from agent.spool import Spool

ROOT = Path(__file__).parents[2]
TOP = 2**62

WRITER = """
import datetime as dt, sys
from pathlib import Path
from agent.clock import SystemClock
from agent.report import Report
from agent.spool import Spool

spool = Spool(Path(sys.argv[1]), clock=SystemClock())
time = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)
number = 0
print("ready", flush=True)
while True:
    number += 1
    reports = [Report(time, {"air_temperature": 20.0})] * (1 + number % 3)
    seqs = spool.extend(reports, mark=str(number))
    print("in", number, *seqs, flush=True)
    if number % 4 == 0:
        spool.confirm(seqs)
        print("out", number, *seqs, flush=True)
"""

FULL = """
import datetime as dt, json, logging, resource, sys
from pathlib import Path
from agent import spool as module
from agent.clock import SystemClock
from agent.report import Report
from agent.spool import Spool

module.RING = 50
path, size = Path(sys.argv[1]), int(sys.argv[2])
spool = Spool(path, clock=SystemClock())
time = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
seqs = [spool.append(Report(time, {"air_temperature": 20.0})) for _ in range(6_000)]
during = spool.tally
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
healed = spool.retry()
after = spool.tally
spool.close()
print(json.dumps({"seqs": seqs, "held": during.held, "lost": after.lost, "healed": healed,
                  "left": after.held, "waiting": after.waiting}))
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("after", [1, 2, 7, 40, 41, 150])
def test_what_was_spooled_is_there_after_kill_9(tmp_path: Path, after: int) -> None:
    """Kill at different moments, over and over on the same file, and count after each."""
    path = tmp_path / "s.sqlite"
    inside: set[int] = set()
    outside: set[int] = set()
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        lines = [process.stdout.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        process.wait()
        process.stdout.close()
        whole = [line for line in [*lines, *rest.splitlines(keepends=True)] if line.endswith("\n")]
        marks = []
        for kind, number, *seqs in (line.split() for line in whole):
            (inside if kind == "in" else outside).update(map(int, seqs))
            marks.append(int(number))
        with Spool(path, clock=SystemClock()) as spool:
            assert spool.aside is None
            there = {stored.seq for stored in spool.between(0, TOP, 1_000_000)}
            lost = inside - outside - there
            # The last confirmation may have been carried out and not yet printed.
            assert len(lost) <= 3
            assert all(seq > max(inside) - 3 for seq in lost)
            assert not lost or max(marks) % 4 == 0
            assert not there & outside
            assert int(spool.mark) in {max(marks), max(marks) + 1}
            assert spool.waiting == len(there)
        inside, outside = there, set()


@pytest.mark.parametrize("size", [60_000, 250_000])
def test_full_disk_loses_only_the_oldest_and_counts_them(tmp_path: Path, size: int) -> None:
    """No file may grow beyond ``size``: writing fails as it does on a full disk."""
    path = tmp_path / "s.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(size)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["held"] > 0 or said["lost"] > 0, "the limit had no effect"
    assert said["healed"]
    assert said["left"] == 0
    assert said["waiting"] == len(said["seqs"]) - said["lost"]
    assert "wait in memory" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    with Spool(path, clock=SystemClock()) as spool:
        there = [stored.seq for stored in spool.between(0, TOP, 1_000_000)]
        assert spool.tally.lost == said["lost"]
    assert len(there) == said["waiting"]
    assert there[:50] == said["seqs"][: -50 - 1 : -1]


@pytest.mark.parametrize("tail", ["cut", "zeros", "noise"])
def test_moment_of_power_loss_leaves_a_state_that_was(tmp_path: Path, tail: str) -> None:
    """Break the write-ahead log at any byte: what remains is as it was after some write.

    A disk may have lengthened the file and not yet written it (zeros), or have old bytes there.
    """
    path = tmp_path / "s.sqlite"
    script = WRITER.replace("while True", "while number < 12")
    script += "\nimport os; os._exit(9)\n"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    states: dict[str, list[set[int]]] = {"": [set()]}
    there: set[int] = set()
    for kind, number, *seqs in (line.split() for line in done.stdout.splitlines()[1:]):
        there = there | set(map(int, seqs)) if kind == "in" else there - set(map(int, seqs))
        states.setdefault(number, []).append(there)
    assert len(states) == 13
    log = (tmp_path / "s.sqlite-wal").read_bytes()
    main = path.read_bytes()
    assert len(log) > 10_000
    found: set[str] = set()
    for cut in range(0, len(log), len(log) // 16):
        rest = {"cut": b"", "zeros": bytes(len(log) - cut), "noise": os.urandom(len(log) - cut)}
        copy = tmp_path / f"{cut}.sqlite"
        copy.write_bytes(main)
        (tmp_path / f"{cut}.sqlite-wal").write_bytes(log[:cut] + rest[tail])
        with Spool(copy, clock=SystemClock()) as spool:
            assert spool.aside is None
            stored = {s.seq for s in spool.between(0, TOP, 100)}
            assert spool.waiting == len(stored)
            assert stored in states[spool.mark], "readings and the driver's place do not agree"
            found.add(spool.mark)
            fresh = spool.append(Report(dt.datetime(2026, 7, 21, tzinfo=dt.UTC), {"wind_speed": 1}))
            assert not stored or fresh > max(stored)
    assert len(found) > 4
