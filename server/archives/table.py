"""An archive of text tables: read in blocks of columns, merged by time."""

import csv
import datetime as dt
import math
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.elements import ELEMENTS
from forecast.readings import Readings
from server.archives.archive import ROWS, ArchiveError, Faults, Place
from server.archives.mapping import Source, TableMapping, TableTimes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LEAST = 500
"""Lines of a block, even where many files share the memory."""

QUARTER = 900
"""Seconds in which the zone's offset from UTC does not change."""


class TableArchive:
    """A folder of tables, one or many stations in each."""

    def __init__(self, folder: Path, mapping: TableMapping) -> None:
        """Find the files and the stations in them. Raises ArchiveError."""
        self.faults = Faults()
        self.names: Mapping[str, str] = {"zh": mapping.title.zh, "en": mapping.title.en}
        self.attribution = mapping.attribution
        self.elements = frozenset(mapping.elements)
        self._mapping = mapping
        self._files = sorted(path for path in folder.glob(mapping.files) if path.is_file())
        if not self._files:
            raise ArchiveError(f"{folder}: no file {mapping.files} in it")
        names = sorted({name for file in self._files for name in self._stations(file)})
        if not names:
            raise ArchiveError(f"{folder}: no station in the files {mapping.files}")
        self._number = {name: number for number, name in enumerate(names)}
        self.places: tuple[Place, ...] = tuple(mapping.place(name) for name in names)

    def readings(self, *, start: int | None, end: int | None) -> Iterator[Readings]:
        """Give the readings by time, with start < time <= end. Raises ArchiveError."""
        clock = _Clock(self._mapping.time)
        size = max(ROWS // len(self._files), LEAST)
        sources = [
            _Track(self._blocks(file, size, clock), file, start=start, end=end)
            for file in self._files
        ]
        done = None
        while sources:
            for source in sources:
                source.fill(beyond=done)
            sources = [source for source in sources if len(source.held) or not source.ended]
            open_ = [source.last for source in sources if not source.ended]
            until = min(open_, default=None)
            parts = [source.take(until) for source in sources]
            parts = [part for part in parts if len(part)]
            if parts:
                batch = Readings.joined(parts)
                batch = batch.where(np.argsort(batch.time, kind="stable"))
                done = int(batch.time[-1])
                yield batch

    def _stations(self, file: Path) -> set[str]:
        column = self._mapping.station
        if not column:
            return {file.stem}
        with self._opened(file) as text:
            lines = self._lines(text)
            place = _places(file, _header(file, lines), [column])[0]
            return {row[place].strip() for row in lines if len(row) > place}

    def _blocks(self, file: Path, size: int, clock: "_Clock") -> Iterator[Readings]:
        mapping = self._mapping
        with self._opened(file) as text:
            lines = self._lines(text)
            header = _header(file, lines)
            wanted = {
                name: source
                for name, source in mapping.elements.items()
                if not source.optional or source.column in header
            }
            times = mapping.time
            names = [times.column] if times.column else list(times.parts.values())
            time_places = _places(file, header, names)
            value_places = _places(file, header, [source.column for source in wanted.values()])
            station = _places(file, header, [mapping.station])[0] if mapping.station else None
            try:
                while rows := list(islice(lines, size)):
                    columns = self._columns(file, rows, len(header))
                    if not columns:
                        continue
                    time, good = clock.read([columns[place] for place in time_places])
                    if not good.all():
                        self.faults.add(f"{file.name}: lines without a time", int((~good).sum()))
                    yield Readings(
                        self._numbers(file, columns, station),
                        time,
                        np.full(len(time), times.interval),
                        {
                            name: self._values(file, name, columns[place], wanted[name])
                            for name, place in zip(wanted, value_places, strict=True)
                        }
                        | {
                            name: np.full(len(time), np.nan)
                            for name in mapping.elements.keys() - wanted.keys()
                        },
                    ).where(good)
            except (csv.Error, UnicodeDecodeError, OSError) as error:
                raise ArchiveError(f"{file}: {error}") from None

    def _opened(self, file: Path) -> Any:
        try:
            return file.open(encoding=self._mapping.encoding, newline="")
        except (OSError, LookupError) as error:
            raise ArchiveError(f"{file}: {error}") from None

    def _lines(self, text: Any) -> Iterator[list[str]]:
        return csv.reader(text, delimiter=self._mapping.delimiter)

    def _columns(self, file: Path, rows: list[list[str]], width: int) -> list[tuple[str, ...]]:
        whole = [row for row in rows if len(row) == width]
        if len(whole) < len(rows):
            blank = sum(not row for row in rows)
            odd = len(rows) - len(whole) - blank
            if odd:
                self.faults.add(f"{file.name}: lines that have not {width} columns", odd)
        return list(zip(*whole, strict=True))

    def _numbers(self, file: Path, columns: Sequence[Sequence[str]], place: int | None) -> Ints:
        if place is None:
            return np.full(len(columns[0]), self._number[file.stem])
        return np.array([self._number[name.strip()] for name in columns[place]])

    def _values(self, file: Path, element: str, texts: Sequence[str], source: Source) -> Floats:
        missing = {*self._mapping.missing, *map(str, source.missing)}
        codes = source.codes
        nothing = math.nan
        try:
            if codes:
                raw = [codes[t] if t in codes else nothing if t in missing else float(t)
                       for t in texts]  # fmt: skip
            else:
                raw = [nothing if t in missing else float(t) for t in texts]
        except ValueError:
            raw = [self._cell(file, t.strip(), source, missing) for t in texts]
        scale, offset = source.line(element, unit=source.unit, interval=self._mapping.time.interval)
        values = np.array(raw) * scale + offset
        low, high = ELEMENTS[element].gross
        wrong = (values < low) | (values > high)
        if wrong.any():
            self.faults.add(
                f"{file.name}, column {source.column}: cannot be {element}, as "
                f"{values[wrong][0]:g} {ELEMENTS[element].unit}",
                int(wrong.sum()),
            )
            values[wrong] = math.nan
        return np.round(values, 12)

    def _cell(self, file: Path, text: str, source: Source, missing: set[str]) -> float:
        if text in source.codes:
            return source.codes[text]
        if text in missing:
            return math.nan
        try:
            return float(text)
        except ValueError:
            self.faults.add(f"{file.name}, column {source.column}: {text!r} is no number")
            return math.nan


class _Track:
    """The blocks of one file, of which some is held until its time has come."""

    def __init__(
        self, blocks: Iterator[Readings], file: Path, *, start: int | None, end: int | None
    ) -> None:
        self._blocks = blocks
        self._file = file
        self._start, self._end = start, end
        self.held = _NOTHING
        self.last = -1
        self.ended = False

    def fill(self, *, beyond: int | None) -> None:
        """Hold something later than ``beyond``, which was given out, unless the file ends."""
        while not self.ended and (not len(self.held) or self.last == self.held.time[0]):
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
                return
            if not len(block):
                continue
            self.last = int(block.time.max())
            block = block.where(self._inside(block.time))
            if not len(block):
                continue
            if beyond is not None and block.time.min() <= beyond:
                raise ArchiveError(
                    f"{self._file}: goes back in time; sort its lines by time, then try again"
                )
            held = Readings.joined((self.held, block)) if len(self.held) else block
            self.held = held.where(np.argsort(held.time, kind="stable"))
            self.last = max(self.last, int(self.held.time[-1]))

    def take(self, until: int | None) -> Readings:
        """Give out what is earlier than ``until``, or everything."""
        if until is None:
            taken, self.held = self.held, _NOTHING
            return taken
        cut = int(np.searchsorted(self.held.time, until))
        taken = self.held.where(np.arange(cut))
        self.held = self.held.where(np.arange(cut, len(self.held)))
        return taken

    def _inside(self, time: Ints) -> NDArray[np.bool_]:
        inside = np.ones(len(time), np.bool_)
        if self._start is not None:
            inside &= time > self._start
        if self._end is not None:
            inside &= time <= self._end
        return inside


_NOTHING = Readings(*(np.zeros(0, np.int64),) * 3, {})


class _Clock:
    """Turns the texts of times into seconds since 1970 UTC."""

    def __init__(self, times: TableTimes) -> None:
        self._times = times
        self._zone = zoneinfo.ZoneInfo(times.zone)
        self._later = times.interval if times.marks == "start" else 0
        self._offsets: dict[int, int] = {}
        self._known: dict[str, int | None] = {}

    def read(self, columns: Sequence[Sequence[str]]) -> tuple[Ints, NDArray[np.bool_]]:
        """Give the times, and which of them could be read."""
        if self._times.column:
            found = [self._one(text) for text in columns[0]]
            good = np.array([time is not None for time in found], np.bool_)
            return np.array([time or 0 for time in found], np.int64) + self._later, good
        parts = dict(zip(self._times.parts, map(_whole, columns), strict=True))
        local, good = _local(parts)
        quarters, inverse = np.unique(local // QUARTER, return_inverse=True)
        offsets = np.array([self._offset(quarter) for quarter in quarters.tolist()], np.int64)
        return local - offsets[inverse] + self._later, good

    def _offset(self, quarter: int) -> int:
        if quarter not in self._offsets:
            naive = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=quarter * QUARTER)  # noqa: DTZ001 - the zone follows
            offset = naive.replace(tzinfo=self._zone).utcoffset() or dt.timedelta()
            self._offsets[quarter] = int(offset.total_seconds())
        return self._offsets[quarter]

    def _one(self, text: str) -> int | None:
        if text not in self._known:
            if len(self._known) > ROWS:
                self._known.clear()
            self._known[text] = self._parsed(text.strip())
        return self._known[text]

    def _parsed(self, text: str) -> int | None:
        try:
            match self._times.format:
                case "unix":
                    return int(float(text))
                case "iso":
                    moment = dt.datetime.fromisoformat(text)
                case form:
                    moment = dt.datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            return int(moment.timestamp())
        except (ValueError, OverflowError):
            return None


def _whole(texts: Sequence[str]) -> Ints:
    """Read whole numbers; -1 where there is none."""
    try:
        return np.array(list(map(int, texts)), np.int64)
    except ValueError:
        return np.array([int(t) if t.strip().isdecimal() else -1 for t in texts], np.int64)


def _local(parts: dict[str, Ints]) -> tuple[Ints, NDArray[np.bool_]]:
    """Give local seconds since 1970 of the parts of times, and which of them are times."""
    year, month, day = parts["year"], parts["month"], parts["day"]
    hour, minute = parts.get("hour", np.zeros_like(day)), parts.get("minute", np.zeros_like(day))
    good = (year >= 1) & (year <= 9_998) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    good &= (minute >= 0) & (minute < 60) & (hour >= 0) & (hour * 60 + minute <= 1_440)
    first = (np.where(good, year, 1970) - 1970).astype("M8[Y]").astype("M8[M]")
    first = first + np.where(good, month - 1, 0)
    date = first.astype("M8[D]") + np.where(good, day - 1, 0)
    good &= date.astype("M8[M]") == first  # not the 30th of February
    local = date.astype("M8[s]").astype(np.int64) + np.where(good, hour * 3_600 + minute * 60, 0)
    return local, good


def _header(file: Path, lines: Iterator[list[str]]) -> list[str]:
    try:
        found = next(lines, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ArchiveError(f"{file}: {error}") from None
    if not found:
        raise ArchiveError(f"{file}: the first line names no columns")
    return [cell.strip() for cell in found]


def _places(file: Path, header: Sequence[str], names: Sequence[str]) -> list[int]:
    lacking = [name for name in names if name not in header]
    if lacking:
        raise ArchiveError(f"{file}: no column {', '.join(lacking)}; it has: {', '.join(header)}")
    return [header.index(name) for name in names]
