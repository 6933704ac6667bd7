"""How an archive is written: a TOML file that is read strictly.

``deploy/archives`` has the ones that ship, which explain every key.
"""

import difflib
import tomllib
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from agent.elements import ELEMENTS
from agent.report import STATION
from server.archives.archive import ArchiveError, Place
from server.ingest import units

SHIPPED: Final = Path(__file__).parents[2] / "deploy" / "archives"
_HOURS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Title(_Table, frozen=True, kw_only=True):
    """A name in both languages."""

    zh: str
    en: str


class Site(_Table, frozen=True, kw_only=True):
    """What is known of a station besides the files; region: the one it belongs to."""

    name: str = ""
    zh: str = ""
    en: str = ""
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    elevation: float | None = None
    region: str = ""


class Source(_Table, frozen=True, kw_only=True):
    """Where an element stands, and how: ``(number * scale + offset)`` in ``unit``.

    column: of a table; variable: of a netCDF file. unit: empty for the element's own, or for
    what a netCDF file says. per: the number is a rate, an amount in each s, min, h or d. missing:
    further marks of nothing. codes: texts that stand for a number. optional: may be lacking.
    """

    column: str = ""
    variable: str = ""
    unit: str = ""
    per: Literal["", "s", "min", "h", "d"] = ""
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[str | float, ...] = ()
    codes: dict[str, float] = {}
    optional: bool = False

    def line(self, element: str, *, unit: str, interval: int) -> tuple[float, float]:
        """Give ``scale, offset`` to the element's unit from what the file has in ``unit``.

        Raises ArchiveError where there is no way from the one to the other.
        """
        wanted = ELEMENTS[element].unit
        way = units.convert(unit or wanted, wanted)
        if way is None:
            raise ArchiveError(
                f"elements.{element}: there is no way from the unit {unit!r} to {wanted!r}; "
                f"known are: {', '.join(units.KNOWN)}"
            )
        amount = interval / _HOURS[self.per] if self.per else 1.0
        scale = self.scale * way.scale * amount
        return scale, (self.offset * way.scale + way.offset) * amount


class TableTimes(_Table, frozen=True, kw_only=True):
    """When, in a table: ``column`` with a ``format``, or year, month, day and the rest.

    format: ``iso``, ``unix`` (s), or as strptime has it. zone: IANA name, of times without an
    offset. marks: the time stands for the end or the start of what it covers. interval: seconds.
    """

    column: str = ""
    format: str = "iso"
    year: str = ""
    month: str = ""
    day: str = ""
    hour: str = ""
    minute: str = ""
    zone: str
    marks: Literal["end", "start"]
    interval: Annotated[int, Meta(ge=1, le=86_400)]

    @property
    def parts(self) -> dict[str, str]:
        """The columns that hold one part of the time each."""
        names = ("year", "month", "day", "hour", "minute")
        return {name: column for name in names if (column := getattr(self, name))}


class GridTimes(_Table, frozen=True, kw_only=True):
    """When, in a netCDF file: its own times; what they mark, and the seconds they cover."""

    marks: Literal["end", "start"]
    interval: Annotated[int, Meta(ge=1, le=86_400)]


class _Mapping(_Table, frozen=True, kw_only=True):
    title: Title
    licence: str
    attribution: str
    source: str
    files: str
    elements: dict[str, Source]
    stations: dict[str, Site] = {}

    def place(self, name: str, **known: Any) -> Place:
        """Give a station by its name in the files; what the mapping says wins."""
        site = self.stations.get(name, Site())
        said = {
            key: value
            for key in ("zh", "en", "longitude", "latitude", "elevation")
            if (value := getattr(site, key)) not in ("", None)
        }
        regions = (site.region,) if site.region else ()
        return Place(name=site.name or name, regions=regions, **{**known, **said})


class TableMapping(_Mapping, frozen=True, kw_only=True, tag="csv", tag_field="kind"):
    """A folder of tables. station: the column with its name; empty: each file is a station."""

    time: TableTimes
    station: str = ""
    encoding: str = "utf-8-sig"
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    missing: tuple[str, ...] = ("", "NA", "NaN")


class GridMapping(_Mapping, frozen=True, kw_only=True, tag="netcdf", tag_field="kind"):
    """A folder of netCDF files (CF timeSeries): a variable has a value by station and time.

    station: the variable with their identifiers. longitude, latitude, elevation, name: variables,
    where there are.
    """

    time: GridTimes
    station: str
    name: str = ""
    longitude: str = ""
    latitude: str = ""
    elevation: str = ""


Mapping: TypeAlias = TableMapping | GridMapping


def shipped() -> tuple[str, ...]:
    """Name the mappings that ship."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load(name: str) -> Mapping:
    """Read a mapping: the name of one that ships, or a file. Raises ArchiveError."""
    path = SHIPPED / f"{name}.toml" if name in shipped() else Path(name)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ArchiveError(
            f"{name}: no such mapping; write a file's path, or one of {', '.join(shipped())}"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArchiveError(f"{path}: {error}") from None
    try:
        return read(table)
    except ArchiveError as error:
        raise ArchiveError(f"{path}: {error}") from None


def read(table: dict[str, Any]) -> Mapping:
    """Make a mapping of a table, as TOML gives it. Raises ArchiveError."""
    try:
        mapping: Mapping = msgspec.convert(table, Mapping)
    except msgspec.ValidationError as error:
        raise ArchiveError(_plain(table, str(error))) from None
    _elements(mapping)
    if isinstance(mapping, TableMapping):
        _times(mapping.time)
    for name, site in mapping.stations.items():
        if site.name and not STATION.fullmatch(site.name):
            raise ArchiveError(f"stations.{name}.name: use 1 to 64 letters, digits and hyphens")
    return mapping


def _plain(table: dict[str, Any], message: str) -> str:
    """Say which element a message of msgspec is about, where it is about one."""
    message = message.replace("`$.", "`")
    for kind, made in (("elements", Source), ("stations", Site)):
        given = table.get(kind)
        if f"{kind}[...]" not in message or not isinstance(given, dict):
            continue
        for name, row in given.items():
            try:
                msgspec.convert(row, made)
            except msgspec.ValidationError:
                return message.replace(f"{kind}[...]", f"{kind}.{name}")
    return message


def _elements(mapping: Mapping) -> None:
    if not mapping.elements:
        raise ArchiveError("elements: none named; write a table [elements.NAME] for each")
    wanted = "column" if isinstance(mapping, TableMapping) else "variable"
    other = "variable" if wanted == "column" else "column"
    for name, source in mapping.elements.items():
        if name not in ELEMENTS:
            near = difflib.get_close_matches(name, ELEMENTS, n=3, cutoff=0.4)
            hint = f"near to it: {', '.join(near)}" if near else "see agent/elements.toml"
            raise ArchiveError(f"elements.{name}: no such element; {hint}")
        if not getattr(source, wanted) or getattr(source, other):
            raise ArchiveError(f"elements.{name}: name its {wanted}, and no {other}")
        source.line(name, unit=source.unit, interval=mapping.time.interval)


def _times(times: TableTimes) -> None:
    date = {"year", "month", "day"} & times.parts.keys()
    if bool(times.column) == bool(times.parts) or (times.parts and len(date) < 3):
        raise ArchiveError("time: name either column (with its format), or year, month and day")
    try:
        zoneinfo.ZoneInfo(times.zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ArchiveError(
            f"time.zone: no time zone {times.zone!r}; write UTC or a name as Asia/Shanghai"
        ) from None
