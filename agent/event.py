"""An event: a folder of real readings that can be replayed.

``event.toml`` says what it is and how its files are written, ``stations.csv`` names the stations,
and beside them lie the CSV files as their origin published them.
"""

import csv
import datetime as dt
import tomllib
import zoneinfo
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from agent.drivers.columns import Fault, Layout, LayoutError, Reader, read
from agent.report import STATION, Report

DESCRIPTION = "event.toml"
STATIONS = "stations.csv"
COLUMNS = ("id", "zh", "en", "longitude", "latitude", "elevation", "file")


class EventError(Exception):
    """The folder cannot be used; the message says which file, why, and what to do."""


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The event's name in both languages."""

    zh: str
    en: str


class Description(Layout, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``event.toml`` holds: a `Layout`, and what the event is.

    start, end: readings outside are left out; both belong to the event. Times without an offset
        are in ``time.zone``.
    """

    title: Title
    licence: str
    attribution: str
    source: str
    start: dt.datetime | None = None
    end: dt.datetime | None = None


class Station(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of ``stations.csv``: degrees east and north, metres; ``file`` lies in the folder."""

    id: str
    zh: str
    en: str
    longitude: float
    latitude: float
    elevation: float | None
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A folder that has been read and checked, but for its CSV files."""

    folder: Path
    description: Description
    stations: tuple[Station, ...]

    def choose(self, ids: Sequence[str]) -> "Event":
        """Give the event with these stations alone. Raises EventError for an unknown id."""
        known = {station.id: station for station in self.stations}
        unknown = [name for name in ids if name not in known]
        if unknown:
            raise EventError(
                f"{self.folder / STATIONS}: no station {', '.join(unknown)}; "
                f"there are: {', '.join(known)}"
            )
        return Event(
            folder=self.folder,
            description=self.description,
            stations=tuple(station for station in self.stations if station.id in ids),
        )


def load(folder: Path) -> Event:
    """Read an event's folder. Raises EventError."""
    path = folder / DESCRIPTION
    table = _toml(path)
    try:
        description = read(table, Description)
    except LayoutError as error:
        raise EventError(f"{path}: {error}") from None
    return Event(folder=folder, description=description, stations=_stations(folder))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise EventError(
            f"{path}: not there; an event is a folder with {DESCRIPTION}, {STATIONS} and CSV files"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EventError(f"{path}: {error}") from None


def _stations(folder: Path) -> tuple[Station, ...]:
    path = folder / STATIONS
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            lacking = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if lacking:
                raise EventError(f"{path}: no column {', '.join(lacking)} in the first line")
            found = [_station(path, table.line_num, row) for row in table]
    except FileNotFoundError:
        raise EventError(f"{path}: not there; its columns are {','.join(COLUMNS)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EventError(f"{path}: {error}") from None
    if not found:
        raise EventError(f"{path}: no station in it")
    ids = [station.id for station in found]
    for name in ids:
        if ids.count(name) > 1:
            raise EventError(f"{path}: station {name} stands there twice; give each its own id")
    return tuple(found)


def _station(path: Path, line: int, row: Mapping[str, str | None]) -> Station:
    place = f"{path}, line {line}"
    cells = {name: (row[name] or "").strip() for name in COLUMNS}
    try:
        station = msgspec.convert(
            {**cells, "elevation": cells["elevation"] or None}, Station, strict=False
        )
    except msgspec.ValidationError as error:
        raise EventError(f"{place}: {error}") from None
    if not STATION.fullmatch(station.id):
        raise EventError(f"{place}: id {station.id!r}: use 1 to 64 letters, digits and hyphens")
    if not (abs(station.longitude) <= 180 and abs(station.latitude) <= 90):
        raise EventError(
            f"{place}: longitude or latitude is out of bounds: degrees, east and north"
        )
    relative = PurePosixPath(station.file)
    if not station.file or relative.is_absolute() or ".." in relative.parts:
        raise EventError(f"{place}: file {station.file!r}: name a file inside the folder")
    if not (path.parent / relative).is_file():
        raise EventError(f"{place}: the file {station.file} is not there")
    return station


class Timeline:
    """The readings of an event by time, without holding them in memory.

    The files are read once to find each reading's time and place in the file, in any order, and
    a second time step by step. `times` are the distinct times of all stations.
    """

    def __init__(self, event: Event, *, fault: Callable[[Fault], None]) -> None:
        """Read the files; what is wrong in them goes to ``fault``. Raises EventError."""
        self.event = event
        with ExitStack() as files:
            self._tracks = [_Track(event, station, fault, files) for station in event.stations]
            self._count()
            self._files = files.pop_all()

    def _count(self) -> None:
        """Find the steps, and how many readings there are up to each."""
        counts: dict[int, int] = {}
        for track in self._tracks:
            for time in track.times:
                counts[time] = counts.get(time, 0) + 1
        self._times = sorted(counts)
        if not self._times:
            raise EventError(
                f"{self.event.folder}: no reading in any file; check start and end, the format of "
                "the time and the missing values"
            )
        self._sums = array("q")
        for time in self._times:
            self._sums.append(counts[time] + (self._sums[-1] if self._sums else 0))

    def __len__(self) -> int:
        return len(self._times)

    @property
    def readings(self) -> int:
        """How many readings there are in all."""
        return self._sums[-1]

    def time(self, step: int) -> dt.datetime:
        """Give the time of a step, counted from 0."""
        return dt.datetime.fromtimestamp(self._times[step], dt.UTC)

    def after(self, station: str, moment: dt.datetime | None) -> int:
        """Give the first step after a moment at which a station has a reading.

        Without a moment the very first; where there is none, the number of steps.
        """
        track = self._track(station)
        index = bisect_right(track.times, int(moment.timestamp())) if moment else 0
        if index == len(track.times):
            return len(self._times)
        return bisect_left(self._times, track.times[index])

    def until(self, step: int) -> int:
        """Give the number of readings up to and with a step."""
        return self._sums[step]

    def at(self, step: int) -> dict[str, Report]:
        """Give the readings of a step by the station's id."""
        time = self._times[step]
        return {
            track.station: report
            for track in self._tracks
            if (report := track.at(time)) is not None
        }

    def of(self, station: str) -> Iterator[Report]:
        """Give the readings of one station in the order of their times."""
        track = self._track(station)
        for time in track.times:
            report = track.at(time)
            if report is not None:
                yield report

    def _track(self, station: str) -> "_Track":
        return next(track for track in self._tracks if track.station == station)

    def close(self) -> None:
        """Close the files."""
        self._files.close()


class _Track:
    """Where the readings of one station lie in its file."""

    def __init__(
        self, event: Event, station: Station, fault: Callable[[Fault], None], files: ExitStack
    ) -> None:
        self.station = station.id
        description = event.description
        zone = zoneinfo.ZoneInfo(description.time.zone)
        first, last = _second(description.start, zone), _second(description.end, zone)
        places: dict[int, tuple[int, int]] = {}
        offset = 0
        try:
            self._file = files.enter_context((event.folder / station.file).open("rb"))
            self._reader = Reader(description, file=station.file, fault=fault)
            for raw in self._file:
                report = self._reader.read(raw)
                place, offset = offset, offset + len(raw)
                if report is None:
                    continue
                time = int(report.time.timestamp())
                if (first is not None and time < first) or (last is not None and time > last):
                    continue
                if time in places:
                    line = self._reader.line
                    why = f"{report.time:%Y-%m-%dT%H:%M:%SZ} comes a second time; the first is kept"
                    fault(Fault(station.file, line, "", why))
                    continue
                places[time] = place, self._reader.line
        except OSError as error:
            raise EventError(f"{event.folder / station.file}: {error}") from None
        except LayoutError as error:
            raise EventError(f"{event.folder}: {error}") from None
        if not self._reader.started:
            raise EventError(f"{event.folder / station.file}: the file ends before its header")
        self.times = array("q", sorted(places))
        self._offsets = array("q", (places[time][0] for time in self.times))
        self._lines = array("q", (places[time][1] for time in self.times))
        # The first reading of the file has told its faults.
        self._reader.quiet()

    def at(self, time: int) -> Report | None:
        index = bisect_left(self.times, time)
        if index == len(self.times) or self.times[index] != time:
            return None
        self._file.seek(self._offsets[index])
        return self._reader.parse(self._file.readline(), line=self._lines[index])


def _second(moment: dt.datetime | None, zone: zoneinfo.ZoneInfo) -> int | None:
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
