"""A disk that is full, at the centre and at the station."""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.results import Row
from tests.faults.rig import LONG, Postgres, Rig
from tests.support import eventually

Record = Callable[[Row], None]
SIZE = "340m"
SMALL = 65_536
"""Bytes; the spool's log of changes passes them within a second, what the agent says does not."""
TIMES = 2 if LONG else 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take the last byte of a file system."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def test_centre(small_disk: Path, tmp_path: Path, record: Record) -> None:
    server = Postgres(small_disk / "pg", options={"max_wal_size": "64MB", "min_wal_size": "32MB"})
    try:
        with Rig(tmp_path, url=server.url) as rig:
            rig.add_crowd(rate=400)

            def strike() -> None:
                said = rig.ingest.size
                filler = fill(small_disk)
                eventually(
                    lambda: "does not take readings" in rig.ingest.said(after=said),
                    timeout=60,
                    about="the disk to be felt",
                )
                time.sleep(10 if LONG else 1)
                filler.unlink()
                if server.embedded.pid is None:  # it could not even write its log of changes
                    server.embedded.stop()
                    server.start()

            record(rig.phase("centre's disk full", strike, times=TIMES, lasts=True))
    finally:
        server.close()


def test_station(plain_database: str, tmp_path: Path, record: Record) -> None:
    """The spool cannot grow: readings wait in memory, and the agent may even be killed then."""
    with Rig(tmp_path, url=plain_database) as rig:
        victim = rig.instruments[0].agent

        def limit(size: int) -> None:
            assert victim.process is not None
            resource.prlimit(victim.process.pid, resource.RLIMIT_FSIZE, (size, _NONE))

        def full() -> None:
            said = victim.size
            limit(SMALL)
            eventually(lambda: "wait in memory" in victim.said(after=said))
            time.sleep(10 if LONG else 1)
            limit(_NONE)

        def killed() -> None:
            said = victim.size
            limit(SMALL)
            eventually(lambda: "wait in memory" in victim.said(after=said))
            victim.end()
            victim.start()

        if LONG:
            record(rig.phase("station's disk full", full, times=TIMES, lasts=True))
        record(rig.phase("station's disk full, agent killed", killed, times=TIMES))


_NONE = resource.RLIM_INFINITY
