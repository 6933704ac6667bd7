"""From a line of a table to a report: which column is which element, and when it was.

A `Layout` is written by people, in ``event.toml`` or a station's configuration; `Reader` applies
it to the lines of one file. A cell that cannot be read loses its value, a line without a time
loses the line; either becomes a `Fault` that names the place, and nothing else stops.
"""

import codecs
import csv
import datetime as dt
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from agent.elements import ELEMENTS
from agent.report import Report

Name: TypeAlias = str | Annotated[int, Meta(ge=1)]
"""A column: its name in the header line, or its number, counted from 1."""


class LayoutError(Exception):
    """The layout is wrong, or does not fit the file; the message says where and what to do."""


class Fault(msgspec.Struct, frozen=True):
    """What was wrong in one place of a file."""

    file: str
    line: int
    column: str
    why: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}"
        return (
            f"{place}, column {self.column}: {self.why}" if self.column else f"{place}: {self.why}"
        )


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an element stands and how it is read: ``value = number * scale + offset``.

    missing: texts that mean no value here, besides those of the whole table.
    codes: texts that stand for a value, as ``N = 0`` for a wind direction.
    optional: a file without this column is all right.
    """

    column: Name
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[str, ...] = ()
    codes: dict[str, float] = {}
    optional: bool = False


class Times(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the time stands: ``column`` with a ``format``, or year, month, day, and the rest.

    column: one column, or several whose texts are joined with a blank.
    format: ``iso``, ``unix`` (seconds since 1970), or as Python's strptime has it.
    year, month, day: columns, instead of ``column``.
    hour, minute, second: columns added to the date; hour may be 24.
    zone: IANA name of the zone of these times; UTC where the file has UTC.
    marks: the time stands for the end or the start of the interval.
    interval: seconds that a line covers.
    """

    column: Name | tuple[Name, ...] = ""
    format: str = "iso"
    year: Name = ""
    month: Name = ""
    day: Name = ""
    hour: Name = ""
    minute: Name = ""
    second: Name = ""
    zone: str
    marks: Literal["end", "start"]
    interval: Annotated[int, Meta(ge=1, le=86_400)]

    @property
    def parts(self) -> dict[str, Name]:
        """The columns that hold one part of the time each, by the part's name."""
        return {part: column for part in _PARTS if (column := getattr(self, part)) != ""}

    @property
    def joined(self) -> tuple[Name, ...]:
        """The columns whose joined text is read with the format."""
        column = self.column if isinstance(self.column, tuple) else (self.column,)
        return () if column == ("",) else column


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the files of one origin are written.

    delimiter: one character, or ``blank`` for any run of blanks.
    header: the file has a line with the columns' names; without it columns go by number.
    skip: lines before the header; skip_after: lines between header and data, as units.
    comment: lines that begin so are passed over.
    missing: texts that mean no value, in any column.
    """

    time: Times
    elements: dict[str, Column]
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = True
    skip: Annotated[int, Meta(ge=0)] = 0
    skip_after: Annotated[int, Meta(ge=0)] = 0
    comment: str = ""
    missing: tuple[str, ...] = ("", "NA", "NaN")


_PARTS = ("year", "month", "day", "hour", "minute", "second")
_DATE = {"year", "month", "day"}
_DIGITS = 12


L = TypeVar("L", bound=Layout)


def read(table: Mapping[str, Any], kind: type[L]) -> L:
    """Give the layout of a TOML table, checked. Raises LayoutError."""
    try:
        layout = msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise LayoutError(_explain(table, error)) from None
    _check(layout)
    return layout


def _explain(table: Mapping[str, Any], error: msgspec.ValidationError) -> str:
    """Say which element a message of msgspec is about, where it is about one."""
    message = str(error).replace("`$.", "`")
    elements = table.get("elements")
    if "elements[...]" in message and isinstance(elements, dict):
        for name, column in elements.items():
            try:
                msgspec.convert(column, Column)
            except msgspec.ValidationError:
                return message.replace("elements[...]", f"elements.{name}")
    return message


def _check(layout: Layout) -> None:
    """Check what the types cannot say."""
    if not layout.elements:
        raise LayoutError("elements: none named; write one table [elements.NAME] for each")
    for name in layout.elements:
        if name not in ELEMENTS:
            raise LayoutError(f"elements.{name}: no such element{_nearest(name)}")
    if layout.delimiter != "blank" and len(layout.delimiter) != 1:
        raise LayoutError('delimiter: write one character, or "blank" for any run of blanks')
    try:
        plain = "\n,".encode(layout.encoding) == b"\n,"
    except LookupError:
        plain = False
    if not plain:
        raise LayoutError(f"encoding: {layout.encoding!r} is unknown or not readable line by line")
    times = layout.time
    date = _DATE & times.parts.keys()
    if bool(times.joined) == bool(date) or (date and date != _DATE):
        raise LayoutError("time: name either column (with its format), or year, month and day")
    try:
        zoneinfo.ZoneInfo(times.zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise LayoutError(
            f"time.zone: no time zone {times.zone!r}; write UTC or a name as Asia/Shanghai"
        ) from None


def _nearest(name: str) -> str:
    import difflib  # noqa: PLC0415 - needed for a message only, and the station's memory is small

    near = difflib.get_close_matches(name, ELEMENTS, n=3, cutoff=0.4)
    return f"; near to it: {', '.join(near)}" if near else "; see agent/elements.toml"


class Reader:
    """Reads the lines of one file, in their order.

    Lines come as bytes with their line end; `line` counts them from 1.
    """

    def __init__(self, layout: Layout, *, file: str, fault: Callable[[Fault], None]) -> None:
        """Read by ``layout``; ``file`` names the file in faults, which go to ``fault``."""
        self.line = 0
        self._layout = layout
        self._file = file
        self._fault = fault
        self._zone = zoneinfo.ZoneInfo(layout.time.zone)
        self._codec = codecs.lookup(layout.encoding)
        self._missing = frozenset(layout.missing)
        self._parts: dict[str, int] = {}
        self._joined: list[int] = []
        self._columns: list[tuple[str, Column, int, frozenset[str]]] = []
        self._names: dict[int, str] = {}
        self._ahead = layout.skip + layout.header + layout.skip_after
        if not layout.header:
            self._find(None)

    def read(self, raw: bytes) -> Report | None:
        """Give the report of the next line; None where there is none.

        Raises LayoutError where the header lacks a column.
        """
        self.line += 1
        if self.line <= self._ahead:
            if self._layout.header and self.line == self._layout.skip + 1:
                self._find([cell.strip() for cell in self._split(self._decode(raw))])
            return None
        return self.parse(raw, line=self.line)

    @property
    def started(self) -> bool:
        """The lines before the data have all been read."""
        return self.line >= self._ahead

    def quiet(self) -> None:
        """Keep faults to itself from now on."""
        self._fault = lambda _: None

    def parse(self, raw: bytes, *, line: int) -> Report | None:
        """Give the report of a line of data, after the header has been read."""
        self.line = line
        try:
            text = self._decode(raw)
            if not text.strip() or (self._layout.comment and text.startswith(self._layout.comment)):
                return None
            cells = self._split(text)
        except (UnicodeDecodeError, csv.Error) as error:
            self._report("", f"cannot be read: {error}")
            return None
        time = self._time(cells)
        if time is None:
            return None
        values: dict[str, float | None] = {
            name: value
            for name, column, index, missing in self._columns
            if (value := self._value(name, column, cells, index, missing)) is not None
        }
        if not values:
            return None
        return Report(time=time, values=values, interval=self._layout.time.interval)

    def _decode(self, raw: bytes) -> str:
        if self.line == 1 and raw.startswith(codecs.BOM_UTF8):
            raw = raw[len(codecs.BOM_UTF8) :]
        return self._codec.decode(raw)[0].rstrip("\r\n")

    def _split(self, text: str) -> list[str]:
        if self._layout.delimiter == "blank":
            return text.split()
        return next(csv.reader([text], delimiter=self._layout.delimiter, strict=True), [])

    def _find(self, header: list[str] | None) -> None:
        """Find the places of the columns in the header; None: there is none."""
        times = self._layout.time
        self._parts = {part: self._place(name, header) for part, name in times.parts.items()}
        self._joined = [self._place(name, header) for name in times.joined]
        self._columns = []
        for element, column in self._layout.elements.items():
            if column.optional and header is not None and column.column not in header:
                continue
            index = self._place(column.column, header)
            missing = self._missing | frozenset(column.missing)
            self._columns.append((element, column, index, missing))

    def _place(self, name: Name, header: list[str] | None) -> int:
        if isinstance(name, int):
            index = name - 1
        elif header is None:
            raise LayoutError(f"column {name!r}: the file has no header, give the column's number")
        elif name in header:
            index = header.index(name)
        else:
            raise LayoutError(
                f"{self._file}: no column {name!r}; it has: {', '.join(header) or 'none'}"
            )
        self._names[index] = str(name)
        return index

    def _cell(self, cells: Sequence[str], index: int) -> str:
        if index >= len(cells):
            raise ValueError(f"the line ends after {len(cells)} columns")
        return cells[index].strip()

    def _time(self, cells: Sequence[str]) -> dt.datetime | None:
        times = self._layout.time
        index = next(iter([*self._joined, *self._parts.values()]))
        try:
            moment = self._date(cells)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            moment = moment.astimezone(dt.UTC)
            if times.marks == "start":
                moment += dt.timedelta(seconds=times.interval)
        except (ValueError, OverflowError, OSError) as error:
            self._report(self._names[index], f"no time: {error}")
            return None
        return moment

    def _date(self, cells: Sequence[str]) -> dt.datetime:
        """Give the time as it is written, without a zone unless the text has one."""
        parts = {part: int(self._cell(cells, index)) for part, index in self._parts.items()}
        past = dt.timedelta(
            hours=parts.get("hour", 0),
            minutes=parts.get("minute", 0),
            seconds=parts.get("second", 0),
        )
        if not dt.timedelta() <= past <= dt.timedelta(days=1):
            raise ValueError(f"{past} is no time of the day")
        if not self._joined:
            return dt.datetime(parts["year"], parts["month"], parts["day"]) + past  # noqa: DTZ001 - the zone follows
        text = " ".join(self._cell(cells, index) for index in self._joined)
        match self._layout.time.format:
            case "iso":
                return dt.datetime.fromisoformat(text) + past
            case "unix":
                return dt.datetime.fromtimestamp(float(text), dt.UTC) + past
            case form:
                return dt.datetime.strptime(text, form) + past  # noqa: DTZ007 - the zone follows

    def _value(
        self,
        name: str,
        column: Column,
        cells: Sequence[str],
        index: int,
        missing: frozenset[str],
    ) -> float | None:
        try:
            text = self._cell(cells, index)
            if text in missing:
                return None
            value = column.codes.get(text)
            if value is None:
                value = float(text) * column.scale + column.offset
        except ValueError as error:
            self._report(self._names[index], str(error))
            return None
        low, high = ELEMENTS[name].gross
        if not low <= value <= high:
            # Sent on, it would cost the whole report its way into the store.
            unit = ELEMENTS[name].unit
            why = (
                f"{value:g} {unit} cannot be {name} ({low:g} to {high:g} {unit}): "
                "check the unit, the missing-value mark and the sensor"
            )
            self._report(self._names[index], why)
            return None
        return round(value, _DIGITS)

    def _report(self, column: str, why: str) -> None:
        self._fault(Fault(self._file, self.line, column, why))


class Faults:
    """Counts faults and keeps the first of them, so that a broken file cannot fill the log."""

    def __init__(self, told: Callable[[Fault], None], *, keep: int = 20) -> None:
        """Hand the first ``keep`` faults on to ``told``."""
        self.count = 0
        self._told = told
        self._keep = keep

    def __call__(self, fault: Fault) -> None:
        """Take one."""
        self.count += 1
        if self.count <= self._keep:
            self._told(fault)
