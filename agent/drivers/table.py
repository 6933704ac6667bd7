"""Follows a text table that grows, as loggers and other programs write them.

The file may be renamed and begun anew, or emptied and filled again; its last line may be half
written. The place that was reached is stored with the readings, so nothing is read twice.
"""

import logging
import os
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from agent.clock import text
from agent.drivers.columns import Fault, Faults, Layout, LayoutError, Reader, read
from agent.drivers.port import Batch, DriverError, Site
from agent.report import Report

log = logging.getLogger(__name__)

_AT_ONCE = 500
_LONGEST_LINE = 65_536
_FINGERPRINT = 256


class Options(Layout, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the driver: those of a `Layout`, the file, and when to look at it.

    path: the file. poll: seconds between looks.
    """

    path: str
    poll: float = 1.0


class _Place(msgspec.Struct, frozen=True):
    """How far a file has been read.

    inode: which file. offset: bytes. line: lines. check: a checksum of the last bytes before the
    offset, by which a file that was begun anew is known.
    """

    inode: int = 0
    offset: int = 0
    line: int = 0
    check: int = 0


class Table:
    """The driver ``table``."""

    def __init__(self, options: Mapping[str, Any], site: Site) -> None:
        """Take the options. Raises DriverError."""
        try:
            self._options = read(options, Options)
        except LayoutError as error:
            raise DriverError(f"driver.options: {error}") from None
        if self._options.poll <= 0:
            raise DriverError("driver.options.poll: give a number of seconds above 0")
        self._path = Path(site.folder, self._options.path)
        self._missed = False
        self.faults = Faults(_log)

    def read(self, *, mark: str, stop: threading.Event) -> Iterator[Batch]:
        """Give the readings of new lines, several in a batch when many came at once."""
        place = _Place()
        if mark:
            try:
                place = msgspec.json.decode(mark, type=_Place)
            except msgspec.MsgspecError:
                log.warning("table.place path=%s: forgotten, read from the beginning", self._path)
        while not stop.is_set():
            opened = self._open(place)
            if opened is None:
                stop.wait(self._options.poll)
                continue
            with opened as file:
                follower = self._follow(file, place)
                over = False
                while not stop.is_set():
                    try:
                        batch = follower.batch()
                    except LayoutError as error:
                        raise DriverError(str(error)) from None
                    if batch is not None:
                        yield batch
                        continue
                    if over:
                        follower.finish()
                        break
                    # What was written just before the renaming is still to be read.
                    over = follower.replaced(self._path)
                    if not over:
                        stop.wait(self._options.poll)
            place = _Place()

    def probe(self) -> str:
        """Read the file's last lines once."""
        try:
            with self._path.open("rb") as file:
                reader = Reader(self._options, file=self._path.name, fault=self.faults)
                last: Report | None = None
                for raw in file:
                    last = reader.read(raw) or last
        except OSError as error:
            raise DriverError(f"{self._path}: {error.strerror}") from None
        except LayoutError as error:
            raise DriverError(str(error)) from None
        if last is None:
            raise DriverError(f"{self._path}: no line with a reading ({self.faults.count} faults)")
        values = ", ".join(f"{name} {value}" for name, value in last.values.items())
        return f"{text(last.time)}: {values}"

    def _open(self, place: _Place) -> BinaryIO | None:
        """Open the file that was being read, under its new name if it was renamed, or the file."""
        try:
            if place.inode:
                for path in (self._path, *sorted(self._path.parent.iterdir())):
                    if path.is_file() and path.stat().st_ino == place.inode:
                        return path.open("rb")
            file = self._path.open("rb")
        except OSError as error:
            if not self._missed:
                log.warning("table.absent path=%s: %s; waiting", self._path, error.strerror)
            self._missed = True
            return None
        self._missed = False
        return file

    def _follow(self, file: BinaryIO, place: _Place) -> "_Follower":
        return _Follower(self._options, file, place, name=self._path.name, faults=self.faults)


class _Follower:
    """Reads one file to its end, again and again."""

    def __init__(
        self, options: Options, file: BinaryIO, place: _Place, *, name: str, faults: Faults
    ) -> None:
        self._options = options
        self._file = file
        self._name = name
        self._faults = faults
        self._inode = os.fstat(file.fileno()).st_ino
        self._restart()
        if place.inode == self._inode and place.offset and self._print(place.offset) == place.check:
            self._resume(place)

    def _restart(self) -> None:
        self._reader = Reader(self._options, file=self._name, fault=self._faults)
        self._offset = 0
        self._check = zlib.crc32(b"")
        self._skipping = False

    def _resume(self, place: _Place) -> None:
        """Read the header again, then go to the place."""
        self._file.seek(0)
        while not self._reader.started and self._reader.line < place.line:
            self._reader.read(self._file.readline(_LONGEST_LINE))
        self._reader.line = place.line
        self._offset, self._check = place.offset, place.check

    def batch(self) -> Batch | None:
        """Give the next readings; None at the end of the file. Raises LayoutError."""
        if self._print(self._offset) != self._check:
            log.warning("table.anew path=%s: was emptied or written anew", self._name)
            self._restart()
        self._file.seek(self._offset)
        reports: list[Report] = []
        began = self._offset
        while len(reports) < _AT_ONCE:
            raw = self._file.readline(_LONGEST_LINE)
            if not raw.endswith(b"\n") and len(raw) < _LONGEST_LINE:
                break
            self._offset += len(raw)
            report = self._line(raw)
            if report is not None:
                reports.append(report)
        if self._offset == began:
            return None
        self._check = self._print(self._offset)
        place = _Place(self._inode, self._offset, self._reader.line, self._check)
        return Batch(tuple(reports), mark=msgspec.json.encode(place).decode())

    def _line(self, raw: bytes) -> Report | None:
        """Read a line; one without an end is passed over whole, to its end."""
        if not raw.endswith(b"\n"):
            if not self._skipping:
                self._fault(self._reader.line + 1, f"the line is longer than {_LONGEST_LINE} bytes")
            self._skipping = True
            return None
        if self._skipping:
            self._skipping = False
            self._reader.line += 1
            return None
        return self._reader.read(raw)

    def replaced(self, path: Path) -> bool:
        """Say whether another file has the name now, and this one will not grow any more."""
        try:
            return path.stat().st_ino != self._inode
        except OSError:
            return False

    def finish(self) -> None:
        """Name the half line that the file ends with, if it does."""
        self._file.seek(self._offset)
        if self._file.readline(_LONGEST_LINE):
            self._fault(self._reader.line + 1, "the file was replaced before this line was whole")

    def _print(self, offset: int) -> int:
        start = max(0, offset - _FINGERPRINT)
        self._file.seek(start)
        return zlib.crc32(self._file.read(offset - start))

    def _fault(self, line: int, why: str) -> None:
        self._faults(Fault(self._name, line, "", why))


def _log(fault: Fault) -> None:
    log.warning("table.fault %s", fault)
