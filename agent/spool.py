"""The spool: readings on the station's disk until the centre has confirmed them.

One SQLite file in WAL mode. `Spool.extend` returns when the readings are on the disk. A reading
leaves when it is confirmed, or when the spool is full: then the oldest give way to the newest,
counted and logged. While the disk cannot be written, readings wait in a small ring in memory.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from agent.clock import Clock
from agent.report import Report
from agent.stored import Stored, Tally, body

RING = 2_000
"""Readings kept in memory while the disk cannot be written."""

MEGABYTE = 1_048_576
_PAGE = 4_096
_SPARE = 16
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reading (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice: the centre confirms by it
    body BLOB NOT NULL                       -- the report as JSON, without its seq
);
CREATE TABLE IF NOT EXISTS note (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
"""

log = logging.getLogger(__name__)


class SpoolError(Exception):
    """The spool cannot be opened; the message says why and what to do.

    busy: because another process has it open.
    """

    def __init__(self, message: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.busy = busy


class Spool:
    """A spool; it can be used from several threads. One process at a time can have it open."""

    def __init__(self, path: Path, *, clock: Clock, limit: int = 256) -> None:
        """Open or make the file; ``limit`` is in MB.

        A damaged file is set aside under another name and a new one is begun. Raises SpoolError.
        """
        self.path = path
        self.aside: Path | None = None
        self._clock = clock
        self._limit = limit * MEGABYTE // _PAGE
        self._lock = threading.RLock()
        self._ring: deque[Stored] = deque()
        self._gone: set[int] = set()
        self._notes: dict[str, str] = {}
        self._last = 0
        self._waiting = 0
        self._ready = False
        self._troubled = False
        try:
            self._open()
        except (sqlite3.DatabaseError, OSError) as error:
            raise _refusal(path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing

    def append(self, report: Report) -> int:
        """Store one reading; see `extend`."""
        return self.extend([report])[0]

    def extend(self, reports: Sequence[Report], *, mark: str = "") -> list[int]:
        """Store readings and the driver's mark at once; give their numbers, rising.

        When it returns they are on the disk, or, while the disk cannot be written, in memory
        (`Tally.held`). Raises ValueError for a reading too large to be sent.
        """
        bodies = [body(report) for report in reports]
        with self._lock:
            taken = [Stored(self._last + 1 + i, text) for i, text in enumerate(bodies)]
            if taken:
                self._last = taken[-1].seq
            if mark:
                self._notes["mark"] = mark
            self._ring.extend(taken)
            self._waiting += len(taken)
            self._flush()
            return [stored.seq for stored in taken]

    def confirm(self, seqs: Iterable[int]) -> int:
        """Let readings go that the centre has; give how many were here. Repeating is harmless."""
        with self._lock:
            wanted = {seq for seq in seqs if seq not in self._gone}
            before = self._waiting
            kept = [stored for stored in self._ring if stored.seq not in wanted]
            self._waiting -= len(self._ring) - len(kept)
            self._ring = deque(kept)
            found = wanted & self._present(wanted)
            self._gone |= found
            self._waiting -= len(found)
            self._flush()
            return before - self._waiting

    def refuse(self, seqs: Iterable[int], *, reason: str) -> None:
        """Let readings go that the centre keeps in quarantine, and remember why."""
        with self._lock:
            refused = list(seqs)
            self._count("refused", len(refused))
            self._notes["reason"] = reason
            self.confirm(refused)

    # Reading

    def between(self, low: int, high: int, limit: int) -> list[Stored]:
        """Give readings with low < seq < high, the newest first."""
        with self._lock:
            found = [s for s in reversed(self._ring) if low < s.seq < high][:limit]
            edge = min(high, self._ring[0].seq) if self._ring else high
            try:
                rows = self._db.execute(
                    "SELECT seq, body FROM reading WHERE seq > ? AND seq < ?"
                    " ORDER BY seq DESC LIMIT ?",
                    (low, edge, limit - len(found) + len(self._gone)),
                ).fetchall()
            except sqlite3.Error as error:
                self._trouble(error)
                return found
            found += [Stored(*row) for row in rows if row[0] not in self._gone]
            return found[:limit]

    @property
    def last(self) -> int:
        """The highest number given so far."""
        return self._last

    @property
    def waiting(self) -> int:
        """How many readings are not yet confirmed."""
        return self._waiting

    @property
    def mark(self) -> str:
        """What the driver left with its last readings that were stored; empty at first."""
        with self._lock:
            return self._notes.get("mark") or self._note("mark")

    @property
    def tally(self) -> Tally:
        """How it stands."""
        with self._lock:
            return Tally(
                waiting=self._waiting,
                held=len(self._ring),
                lost=int(self._notes.get("lost") or self._note("lost") or 0),
                refused=int(self._notes.get("refused") or self._note("refused") or 0),
                reason=self._notes.get("reason") or self._note("reason"),
            )

    def retry(self) -> bool:
        """Write what waits in memory, if the disk lets us; say whether nothing waits any more."""
        with self._lock:
            self._flush()
            return not (self._ring or self._gone or self._notes)

    def close(self) -> None:
        """Close the file; what waits in memory is written first if possible."""
        with self._lock:
            self._flush()
            if self._ring:
                log.error(
                    "spool.closed path=%s lost=%d: the disk could not be written",
                    self.path, len(self._ring),
                )  # fmt: skip
            with suppress(sqlite3.Error):
                self._db.close()

    # The file

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connect()
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                self._set_aside(error)
                self._connect()
            elif _is_full(error):
                self._last = self._beginning()
                self._trouble(error)
            else:
                raise

    def _connect(self) -> None:
        """Open the file, make its tables, and count what is in it."""
        self._ready = False
        self._db = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=1
        )
        try:
            # One process alone has the file: a second agent of the same station is a mistake.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(f"PRAGMA max_page_count = {self._limit}")
            self._inspect()
            self._db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._last = max(self._last, self._seed())
            self._db.execute("COMMIT")
            (count,) = self._db.execute("SELECT count(*) FROM reading").fetchone()
        except sqlite3.DatabaseError:
            self._db.close()
            raise
        self._waiting = count + len(self._ring)
        self._ready = True

    def _inspect(self) -> None:
        if self._db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its contents do not hold together")

    def _seed(self) -> int:
        """Give the highest number used; a new file begins at the time in ms.

        So its numbers lie above those of any file before it, and a confirmation that was meant
        for an older spool can never meet a new reading.
        """
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'reading'").fetchone()
        if row is None:
            row = (max(self._last, self._beginning()),)
            self._db.execute("INSERT INTO sqlite_sequence VALUES ('reading', ?)", row)
        return int(row[0])

    def _beginning(self) -> int:
        return max(0, int(self._clock.now().timestamp() * 1_000))

    def _set_aside(self, error: sqlite3.Error) -> None:
        stamp = self._clock.now().strftime("%Y%m%dT%H%M%SZ")
        self.aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        self.path.rename(self.aside)
        for end in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + end).rename(f"{self.aside}{end}")
        log.error(
            "spool.damaged path=%s kept_as=%s: %s; a new spool is begun, what was not yet sent is "
            "in the old file", self.path, self.aside, error,
        )  # fmt: skip

    def _trouble(self, error: sqlite3.Error) -> None:
        """Go on after an error of the file: with a new one if this one is damaged."""
        with suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        if _is_damage(error):
            self._ready = False
            with suppress(sqlite3.Error):
                self._db.close()
            with suppress(OSError, sqlite3.Error):
                self._set_aside(error)
                self._gone.clear()
                self._connect()
        elif not self._troubled:
            log.error(
                "spool.disk path=%s: %s; up to %d readings wait in memory until it can be written",
                self.path, error, RING,
            )  # fmt: skip
        self._troubled = True

    # Inside

    def _flush(self) -> None:
        """Write what is only in memory: new readings, confirmations, counts."""
        if not (self._ring or self._gone or self._notes):
            return
        try:
            self._write()
        except sqlite3.Error as error:
            self._trouble(error)
            over = len(self._ring) > RING
            if self._ring and (over or (_is_full(error) and self._at_limit())) and self._squeeze():
                return
            self._bound()
            return
        if self._troubled:
            log.warning("spool.disk path=%s: can be written again", self.path)
            self._troubled = False

    def _write(self) -> None:
        if not self._ready:
            self._connect()
        # A confirmation that is forgotten costs a repetition only: no need to wait for the disk.
        self._db.execute(f"PRAGMA synchronous = {'FULL' if self._ring else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM reading WHERE seq = ?", [(seq,) for seq in self._gone])
        self._db.executemany(
            "INSERT INTO reading VALUES (?, ?)", [(s.seq, s.body) for s in self._ring]
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO note VALUES (?, ?)",
            list(self._notes.items()),
        )
        self._db.execute("COMMIT")
        self._ring.clear()
        self._gone.clear()
        self._notes.clear()

    def _at_limit(self) -> bool:
        try:
            pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        except sqlite3.Error:
            return False
        return pages >= self._limit - _SPARE

    def _squeeze(self) -> bool:
        """Write the new readings in the place of the oldest; say whether that went well."""
        try:
            # On a full disk the log can at least be written over from its beginning.
            self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            self._make_room()
            self._write()
        except sqlite3.Error as error:
            self._trouble(error)
            return False
        self._troubled = False
        return True

    def _make_room(self) -> None:
        """Give up the oldest readings of the file: twice the room that the new ones need."""
        need = 2 * sum(len(s.body) + 64 for s in self._ring) + _SPARE * _PAGE
        gone, freed = [], 0
        for seq, size in self._db.execute("SELECT seq, length(body) FROM reading ORDER BY seq"):
            gone.append((seq,))
            freed += size
            if freed >= need:
                break
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM reading WHERE seq = ?", gone)
        self._db.execute("COMMIT")
        lost = {seq for (seq,) in gone} - self._gone
        self._waiting -= len(lost)
        if lost:
            self._lose(len(lost), "the spool is full")

    def _bound(self) -> None:
        """Keep the ring small: the oldest in it give way."""
        lost = 0
        while len(self._ring) > RING:
            self._ring.popleft()
            lost += 1
        if lost:
            self._waiting -= lost
            self._lose(lost, "the disk cannot be written and the memory is full")

    def _lose(self, number: int, why: str) -> None:
        self._count("lost", number)
        log.error(
            "spool.lost readings=%d total=%s path=%s: %s, the oldest readings are given up",
            number, self._notes["lost"], self.path, why,
        )  # fmt: skip

    def _count(self, name: str, number: int) -> None:
        self._notes[name] = str(int(self._notes.get(name) or self._note(name) or 0) + number)

    def _note(self, name: str) -> str:
        try:
            row = self._db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error:
            return ""
        return str(row[0]) if row else ""

    def _present(self, seqs: set[int]) -> set[int]:
        found: set[int] = set()
        try:
            for seq in seqs:
                if self._db.execute("SELECT 1 FROM reading WHERE seq = ?", (seq,)).fetchone():
                    found.add(seq)
        except sqlite3.Error as error:
            self._trouble(error)
        return found


def _code(error: Exception) -> int | None:
    """Give SQLite's primary result code; None where the error is not from SQLite itself."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_full(error: Exception) -> bool:
    return _code(error) == sqlite3.SQLITE_FULL


def _is_damage(error: Exception) -> bool:
    code = _code(error)
    ours = type(error) is sqlite3.DatabaseError and code is None
    return ours or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _refusal(path: Path, error: Exception) -> SpoolError:
    if _code(error) == sqlite3.SQLITE_BUSY:
        why = "another process has this spool open; one agent for one station"
        return SpoolError(f"{path}: {why}", busy=True)
    return SpoolError(f"{path}: cannot be opened: {error}; check the folder and its rights")
