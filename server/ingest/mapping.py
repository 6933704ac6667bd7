"""Foreign messages as ours: a TOML file says which topic, which field is which element, and when.

Pure: a topic and bytes in, a station and one report out. ``docs/publishing.md`` explains the file
to those who write one; the samples are in ``deploy/mappings``.
"""

import datetime as dt
import math
import re
import tomllib
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agent.elements import ELEMENTS
from agent.report import MAX_PAYLOAD, STATION, Refusal, Report, decode
from server.ingest import paths, topics, units
from server.ingest.mappingfile import Field, File
from server.ingest.paths import Steps
from server.ingest.source import Delivery
from server.ingest.units import Line
from server.settings import SettingsError

_FORMATS = frozenset({"iso", "unix", "unix_ms"})
_OURS = ("fenghuo", "v1", "+", "+")
_PART = re.compile(r"\{([a-z_]+)\}")


class MappingError(SettingsError):
    """A mapping file cannot be used; the message says which, why, and what to do."""


class _Refused(Exception):  # noqa: N818 - becomes a Refusal
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Reading(NamedTuple):
    """A message that was read: the station (empty where none could be told), and its report."""

    station: str
    item: Report | Refusal


class _Source(NamedTuple):
    element: str
    path: Steps
    line: Line
    missing: frozenset[float | str]


class TopicMapping:
    """One mapping, checked and ready."""

    def __init__(self, file: File, *, name: str, mending: bool = False) -> None:
        """Check everything that can be wrong before a message comes; raises MappingError.

        mending: for what is in the quarantine already, where our own topics may be mapped too.
        """
        self.name = name
        self.topic = file.topic
        self._file = file
        levels = file.topic.split("/")
        if not mending and _overlap(self.filter.split("/"), _OURS):
            raise self._error(f"topic {file.topic!r} takes in our own, fenghuo/v1/…")
        if file.wire and not mending:
            raise self._error("wire = true is for mending only")
        self._pattern = re.compile(self._expression(levels))
        self._check_station()
        self._zone = self._read_zone(file.time.zone)
        if file.time.format not in _FORMATS and "%" not in file.time.format:
            raise self._error(f"[time]: no format {file.time.format!r}: iso, unix, unix_ms, %Y…")
        self._time = _optional(file.time.path)
        self._interval = _optional(file.interval.path)
        self._station_path = _optional(file.station_path)
        if not (file.field or file.constants or file.wire):
            raise self._error("there is no [[field]]: name at least one")
        self._sources = [self._source(field) for field in file.field]
        for element in file.constants:
            self._known(element)

    @property
    def filter(self) -> str:
        """The topic as one subscribes to it."""
        return _PART.sub("+", self.topic)

    def match(self, topic: str) -> Mapping[str, str] | None:
        """Give the named levels of a topic, None where it is not of this mapping."""
        found = self._pattern.fullmatch(topic)
        return found.groupdict() if found else None

    def read(self, topic: str, payload: bytes, *, received: dt.datetime) -> Reading:
        """Read a message of a topic that matches."""
        reading = self._read(topic, payload, received)
        item = reading.item
        if isinstance(item, Refusal):
            # What is kept is what came, and whose fault it may be.
            item = Refusal(item.reason, f"{self.name}: {item.detail}", payload, item.seq)
        return Reading(reading.station, item)

    # Reading.

    def _read(self, topic: str, payload: bytes, received: dt.datetime) -> Reading:
        station = ""
        try:
            if self._station_path is None:
                station = self._named(self._file.station.format_map(self.match(topic) or {}))
            message = _json(payload)
            if self._station_path is not None:
                station = self._named(self._where(message, self._station_path))
            return Reading(station, self._report(message, received))
        except _Refused as refused:
            return Reading(station, Refusal(refused.reason, str(refused), payload))
        except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
            # Numbers of a thousand digits, half characters, a tower of brackets.
            return Reading(station, Refusal("form", f"cannot be read: {error!s:.200}", payload))

    def _where(self, message: object, path: Steps) -> str:
        name = paths.at(message, path)
        if not isinstance(name, str | int):
            raise _Refused("station", f"no station at {paths.text(path)}")
        return str(name)

    def _named(self, name: str) -> str:
        ours = self._file.stations.get(name, name)
        if not STATION.fullmatch(ours):
            raise _Refused("station", f"{ours[:80]!r} is no station: name it under [stations]")
        return ours

    def _report(self, message: object, received: dt.datetime) -> Report | Refusal:
        report: dict[str, Any] = {}
        values: dict[str, Any] = {}
        if self._file.wire:
            if not isinstance(message, dict) or not isinstance(message.get("values"), dict):
                raise _Refused("form", "it is no report of the wire: leave wire out")
            report = dict(message)
            values = dict(message["values"])
            for source in self._sources:
                if source.path[:1] == ("values",) and len(source.path) == 2:
                    values.pop(str(source.path[1]), None)
        if self._time is not None or not self._file.wire:
            report["time"] = self._when(message, received)
        elif self._zone is not None:
            report["time"] = self._moment(message, ("time",))
        if not (self._file.wire and self._interval is None and "interval" in report):
            report["interval"] = self._covers(message)
        for source in self._sources:
            value = paths.at(message, source.path)
            if value is not paths.NOTHING and values.get(source.element) is None:
                values[source.element] = _number(value, source)
        values |= self._file.constants
        report["values"] = values
        return decode(msgspec.json.encode(report))[0]

    def _when(self, message: object, received: dt.datetime) -> dt.datetime:
        return received if self._time is None else self._moment(message, self._time)

    def _moment(self, message: object, path: Steps) -> dt.datetime:
        value = paths.at(message, path)
        try:
            match self._file.time.format:
                case "unix":
                    time = _past(float(value))  # type: ignore[arg-type] # that is the question
                case "unix_ms":
                    time = _past(float(value) / 1_000)  # type: ignore[arg-type]
                case "iso":
                    time = dt.datetime.fromisoformat(str(value))
                case pattern:
                    time = dt.datetime.strptime(str(value), pattern)  # noqa: DTZ007 - see below
        except (TypeError, ValueError, OverflowError):
            what = "nothing" if value is paths.NOTHING else repr(value)[:80]
            form = self._file.time.format
            raise _Refused("time", f"{what} at {paths.text(path)} is no time ({form})") from None
        if time.tzinfo is None and self._zone is not None:
            time = time.replace(tzinfo=self._zone)
        if time.tzinfo is None:
            raise _Refused("time", f"{time} has no zone: set zone under [time]")
        try:
            return time.astimezone(dt.UTC)
        except OverflowError:
            raise _Refused("time", f"{time} is outside the years 1 to 9999") from None

    def _covers(self, message: object) -> int:
        if self._interval is None:
            return self._file.interval.seconds
        value = paths.at(message, self._interval)
        if value is paths.NOTHING or value is None:
            return self._file.interval.seconds
        line = units.convert(self._file.interval.unit, "s") or Line(1)
        try:
            return round(float(value) * line.scale)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            detail = f"{value!r:.80} at {paths.text(self._interval)} is no interval"
            raise _Refused("time", detail) from None

    # Checking.

    def _error(self, text: str) -> MappingError:
        return MappingError(f"{self.name}: {text}")

    def _expression(self, levels: Sequence[str]) -> str:
        parts: list[str] = []
        names: set[str] = set()
        for index, level in enumerate(levels):
            named = _PART.fullmatch(level)
            if named:
                if named[1] in names:
                    raise self._error(f"topic {self.topic!r} has {level} twice")
                names.add(named[1])
                parts.append(f"(?P<{named[1]}>[^/]+)")
            elif level == "+":
                parts.append("[^/]+")
            elif level == "#" and index == len(levels) - 1:
                return "/".join(parts) + "(?:/.*)?"
            elif set(level) & set("+#{}"):
                detail = f"topic {self.topic!r}: {level!r} must be a word, {{name}}, + or a last #"
                raise self._error(detail)
            else:
                parts.append(re.escape(level))
        return "/".join(parts)

    def _check_station(self) -> None:
        if self._file.station_path is not None:
            return
        named = dict.fromkeys(_PART.findall(self.topic), "x")
        try:
            self._file.station.format_map(named)
        except (KeyError, ValueError, IndexError, AttributeError):
            detail = f"station {self._file.station!r} names a level that the topic does not have"
            raise self._error(f"{detail}: set station, or station_path") from None
        for ours in self._file.stations.values():
            if not STATION.fullmatch(ours):
                raise self._error(f"[stations]: {ours!r} is no station: letters, digits, hyphens")

    def _read_zone(self, name: str) -> zoneinfo.ZoneInfo | None:
        try:
            return zoneinfo.ZoneInfo(name) if name else None
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise self._error(f"[time]: no time zone {name!r}") from None

    def _known(self, element: str) -> str:
        if element not in ELEMENTS:
            raise self._error(f"unknown element {element!r}: use a name of the vocabulary")
        return ELEMENTS[element].unit

    def _source(self, field: Field) -> _Source:
        unit = self._known(field.element)
        line = units.convert(field.unit or unit, unit)
        if line is None:
            known = ", ".join(units.KNOWN)
            detail = f"{field.element}: {field.unit!r} does not become {unit}; known are {known}"
            raise self._error(f"{detail}; or give scale and offset")
        whole = Line(field.scale * line.scale, field.offset * line.scale + line.offset)
        path = paths.steps(field.path)
        return _Source(field.element, path, whole, frozenset(field.missing))


class Mappings:
    """All mappings of a centre; no topic belongs to two."""

    def __init__(self, mappings: Iterable[TopicMapping] = ()) -> None:
        """Take them; raises MappingError where two topics overlap."""
        self._all = list(mappings)
        for index, one in enumerate(self._all):
            for other in self._all[:index]:
                if _overlap(one.filter.split("/"), other.filter.split("/")):
                    raise MappingError(
                        f"{one.name} and {other.name}: a message could belong to both topics, "
                        f"{one.topic!r} and {other.topic!r}"
                    )

    @classmethod
    def load(cls, files: Iterable[str]) -> "Mappings":
        """Read the files; raises MappingError."""
        return cls(load(Path(file)) for file in files)

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self._all)

    @property
    def filters(self) -> list[str]:
        """What to subscribe to."""
        return [mapping.filter for mapping in self._all]

    def read(self, topic: str, payload: bytes, *, received: dt.datetime) -> Reading | None:
        """Read a message; None where its topic is in no mapping."""
        for mapping in self._all:
            if mapping.match(topic) is not None:
                return mapping.read(topic, payload, received=received)
        return None

    def items(self, delivery: Delivery) -> list[Report | Refusal]:
        """Give the reports of a message on our wire, or of one that is mapped."""
        if self._all and not topics.read(delivery.topic):
            reading = self.read(delivery.topic, delivery.payload, received=delivery.received)
            if reading is not None:
                return [reading.item]
        return decode(delivery.payload)


def load(path: Path, *, mending: bool = False) -> TopicMapping:
    """Read one file; raises MappingError."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        file = msgspec.convert(table, File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingError(f"{path}: {error}") from None
    except msgspec.ValidationError as error:
        raise MappingError(f"{path}: {error}") from None
    return TopicMapping(file, name=path.name, mending=mending)


def read(
    topic: str, payload: bytes, *, received: dt.datetime, mappings: Mappings
) -> tuple[str, list[Report | Refusal]] | None:
    """Give station and reports of a message on our wire or a mapped one; else None."""
    ours = topics.read(topic)
    if ours is not None:
        return (ours.station, decode(payload)) if ours.kind == "obs" else None
    reading = mappings.read(topic, payload, received=received)
    return None if reading is None else (reading.station, [reading.item])


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    for mine, theirs in zip(one, other, strict=False):
        if "#" in {mine, theirs}:
            return True
        if mine != theirs and "+" not in {mine, theirs}:
            return False
    # "a/#" takes in "a" too.
    longer, short = (one, other) if len(one) > len(other) else (other, one)
    return len(one) == len(other) or longer[len(short)] == "#"


def _optional(path: paths.Path | None) -> Steps | None:
    return None if path is None else paths.steps(path)


def _number(value: object, source: _Source) -> float | None:
    """Give a value in the element's unit; loggers write numbers as text, too."""
    if value is None:
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        if value in source.missing:
            return None
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            if number in source.missing:
                return None
            # Without the noise of the conversion's last digits.
            return float(f"{number * source.line.scale + source.line.offset:.9g}")
    detail = f"{value!r:.80} at {paths.text(source.path)} is no number: name it under missing"
    raise _Refused("form", detail)


def _json(payload: bytes) -> object:
    if len(payload) > MAX_PAYLOAD:
        detail = f"the payload has {len(payload)} bytes, the limit is {MAX_PAYLOAD}: send less"
        raise _Refused("size", detail)
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Refused("json", f"not UTF-8 JSON: {error}") from None


def _past(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
