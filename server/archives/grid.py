"""An archive of netCDF files: CF timeSeries, a value for each station and time.

With a mapping it says itself which variable is which element; without one the standard names of
the files do (CF conventions, chapter 9 and appendix H: the orthogonal arrays, and single stations).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.elements import ELEMENTS
from agent.report import STATION
from forecast.readings import Readings
from server.archives.archive import ROWS, ArchiveError, Faults, Place
from server.archives.mapping import GridMapping, Source

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "degrees celsius": "°C", "degree_celsius": "°C", "degc": "°C", "celsius": "°C",
        "deg_c": "°C", "c": "°C", "kelvin": "K", "k": "K", "m s-1": "m/s", "m/s": "m/s",
        "m.s-1": "m/s", "knots": "kn", "knot": "kn", "km h-1": "km/h", "pa": "Pa", "hpa": "hPa",
        "mbar": "hPa", "mb": "hPa", "millibar": "hPa", "kpa": "kPa", "kg m-2": "mm", "mm": "mm",
        "m": "m", "km": "km", "cm": "cm", "%": "%", "percent": "%", "degree": "degree",
        "degrees": "degree", "ug m-3": "µg/m3", "µg m-3": "µg/m3", "w m-2": "W/m2",
    }
)  # fmt: skip
"""Units as files write them, in small letters, and as the vocabulary does."""

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "air_pressure_at_sea_level": "air_pressure_at_mean_sea_level",
        "surface_air_pressure": "air_pressure",
        "rainfall_amount": "precipitation_amount",
        "thickness_of_rainfall_amount": "precipitation_amount",
        "lwe_thickness_of_precipitation_amount": "precipitation_amount",
    }
)
"""Other standard names of elements."""

_LONGEST: Final = 86_400


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where everything stands in the files of one archive; names of variables."""

    time: str
    station: str
    sources: Mapping[str, Source]
    marks: str
    interval: int
    titles: Mapping[str, str]
    attribution: str
    described: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    first: int
    last: int
    stations: tuple[str, ...]


class GridArchive:
    """A folder of netCDF files."""

    def __init__(self, folder: Path, mapping: GridMapping | None) -> None:
        """Find files and stations; without a mapping by standard names. Raises ArchiveError."""
        self.faults = Faults()
        pattern = mapping.files if mapping else "*.nc"
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not paths:
            raise ArchiveError(f"{folder}: no file {pattern} in it")
        self._mapping = mapping
        with _opened(paths[0]) as data:
            self._layout = _mapped(mapping) if mapping else _found(paths[0], data)
            self._dropped = sorted(set(data.variables) - self._needed())
        plain = {"zh": folder.name, "en": folder.name}
        self.names: Mapping[str, str] = self._layout.titles or plain
        self.attribution = self._layout.attribution
        self.elements = frozenset(self._layout.sources)
        places: dict[str, Place] = {}
        self._files = sorted((self._look(path, places) for path in paths), key=lambda f: f.first)
        for early, late in zip(self._files, self._files[1:], strict=False):
            if late.first <= early.last:
                raise ArchiveError(
                    f"{late.path}: begins before {early.path.name} ends; give each time once"
                )
        self.places: tuple[Place, ...] = tuple(places[name] for name in sorted(places))
        self._number = {name: number for number, name in enumerate(sorted(places))}

    def readings(self, *, start: int | None, end: int | None) -> Iterator[Readings]:
        """Give the readings by time, with start < time <= end. Raises ArchiveError."""
        for file in self._files:
            if (start is not None and file.last <= start) or (end is not None and file.first > end):
                continue
            with _opened(file.path, self._dropped) as data:
                time = self._times(file.path, data)
                inside = np.ones(len(time), np.bool_)
                if start is not None:
                    inside &= time > start
                if end is not None:
                    inside &= time <= end
                rows = np.flatnonzero(inside)
                size = max(ROWS // max(len(file.stations), 1), 1)
                for first in range(0, len(rows), size):
                    part = rows[first : first + size]
                    yield self._batch(file, data, time[part], slice(part[0], part[-1] + 1))

    def _needed(self) -> set[str]:
        layout = self._layout
        named = {layout.time, layout.station, *layout.described.values()}
        return named | {source.variable for source in layout.sources.values()}

    def _look(self, path: Path, places: dict[str, Place]) -> _File:
        """Note the stations of a file and when it begins and ends."""
        with _opened(path, self._dropped) as data:
            names = self._names(path, data)
            time = self._times(path, data)
            lacking = [
                source.variable
                for source in self._layout.sources.values()
                if source.variable not in data and not source.optional
            ]
            if lacking:
                raise ArchiveError(f"{path}: no variable {', '.join(lacking)}")
            fresh = [name for name in names if name not in places]
            if fresh:
                said = {
                    key: _of_stations(data, variable, self._layout.time, len(names))
                    for key, variable in self._layout.described.items()
                    if variable in data
                }
                for name in fresh:
                    places[name] = self._place(name, names.index(name), said)
            return _File(path, int(time[0]), int(time[-1]), names)

    def _place(self, name: str, number: int, said: Mapping[str, NDArray[Any]]) -> Place:
        known: dict[str, Any] = {}
        for key in ("longitude", "latitude", "elevation"):
            if key in said and math.isfinite(value := float(said[key][number])):
                known[key] = value
        if "name" in said:
            known["en"] = str(said["name"][number]).strip()
        if self._mapping is not None:
            return self._mapping.place(name, **known)
        return Place(name=name, **known)

    def _names(self, path: Path, data: Any) -> tuple[str, ...]:
        station = self._layout.station
        if not station:
            return (_identifier(path.stem),)
        if station not in data.variables:
            raise ArchiveError(f"{path}: no variable {station} with the stations")
        names = tuple(_text(value) for value in np.atleast_1d(data[station].to_numpy()).tolist())
        if len(set(names)) < len(names):
            raise ArchiveError(f"{path}: a station stands twice in {station}")
        return names

    def _times(self, path: Path, data: Any) -> Ints:
        """Give the ends of the intervals, s since 1970."""
        if self._layout.time not in data.variables:
            raise ArchiveError(f"{path}: no variable {self._layout.time}")
        time = np.atleast_1d(data[self._layout.time].to_numpy())
        if time.ndim != 1 or not np.issubdtype(time.dtype, np.datetime64) or not len(time):
            raise ArchiveError(f"{path}: {self._layout.time} is no list of times")
        seconds = time.astype("M8[s]").astype(np.int64)
        if (np.diff(seconds) <= 0).any():
            raise ArchiveError(f"{path}: its times do not increase")
        return seconds + (self._layout.interval if self._layout.marks == "start" else 0)

    def _batch(self, file: _File, data: Any, time: Ints, part: slice) -> Readings:
        stations = len(file.stations)
        interval = self._layout.interval
        values = {}
        for element, source in self._layout.sources.items():
            shape = (len(time), stations)
            if source.variable in data:
                values[element] = self._values(file, data, element, part).reshape(shape)
            else:
                values[element] = np.full(shape, np.nan)
        number = np.array([self._number[name] for name in file.stations])
        # The files fill an array: a station without any value at a time has sent none.
        there = np.any([~np.isnan(value) for value in values.values()], axis=0).ravel()
        return Readings(
            np.tile(number, len(time)),
            np.repeat(time, stations),
            np.full(len(time) * stations, interval),
            {name: value.ravel() for name, value in values.items()},
        ).where(there)

    def _values(self, file: _File, data: Any, element: str, part: slice) -> Floats:
        source = self._layout.sources[element]
        variable = data[source.variable]
        others = [name for name in variable.dims if name != self._layout.time]
        if self._layout.time not in variable.dims or len(others) > 1:
            raise ArchiveError(
                f"{file.path}: {source.variable} is not by {self._layout.time} and station, "
                f"but by {', '.join(map(str, variable.dims))}"
            )
        unit = source.unit or _unit(variable)
        try:
            scale, offset = source.line(element, unit=unit, interval=self._layout.interval)
            cut = variable.isel({self._layout.time: part}).transpose(self._layout.time, *others)
            raw = cut.to_numpy().astype(np.float64)
        except ArchiveError as error:
            raise ArchiveError(f"{file.path}: {error}") from None
        except (ValueError, OSError) as error:
            raise ArchiveError(f"{file.path}: {source.variable}: {error}") from None
        for mark in source.missing:
            raw[raw == float(mark)] = np.nan
        values: Floats = np.round(raw * scale + offset, 12)
        low, high = ELEMENTS[element].gross
        wrong = (values < low) | (values > high)
        if wrong.any():
            text = f"{file.path.name}: {source.variable} cannot be {element}, as"
            self.faults.add(f"{text} {values[wrong][0]:g} {ELEMENTS[element].unit}", wrong.sum())
            values[wrong] = np.nan
        return values


def _opened(path: Path, dropped: list[str] | None = None) -> Any:
    """Open a file as a dataset. Raises ArchiveError, also where the extra is missing."""
    import xarray as xr  # noqa: PLC0415 - slow to load, needed for this alone

    if find_spec("h5netcdf") is None:
        raise ArchiveError("netCDF files need more: pip install 'fenghuo[verify]'")
    try:
        return xr.open_dataset(
            path, engine="h5netcdf", decode_timedelta=False, drop_variables=dropped or []
        )
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path}: {error}") from None


def _mapped(mapping: GridMapping) -> _Layout:
    described = {
        key: variable
        for key in ("name", "longitude", "latitude", "elevation")
        if (variable := getattr(mapping, key))
    }
    times = mapping.time
    return _Layout(
        time="time",
        station=mapping.station,
        sources=mapping.elements,
        marks=times.marks,
        interval=times.interval,
        titles={"zh": mapping.title.zh, "en": mapping.title.en},
        attribution=mapping.attribution,
        described=described,
    )


def _found(path: Path, data: Any) -> _Layout:
    """Find everything by CF's names. Raises ArchiveError where they do not say it."""
    time = next((n for n in data.variables if _standard(data, n) == "time"), "")
    if not time or data[time].ndim != 1:
        raise ArchiveError(f"{path}: no variable with the standard name time; write a mapping")
    identified = [n for n in data.variables if data[n].attrs.get("cf_role") == "timeseries_id"]
    sources: dict[str, Source] = {}
    for name in map(str, data.variables):
        element = NAMES.get(standard := _standard(data, name), standard)
        if element not in ELEMENTS or time not in data[name].dims:
            continue
        if element in sources:
            raise ArchiveError(
                f"{path}: {sources[element].variable} and {name} are both {standard}; "
                "write a mapping that chooses"
            )
        sources[element] = Source(variable=name, optional=True)
    if not sources:
        raise ArchiveError(f"{path}: no variable with the standard name of an element")
    steps = np.diff(data[time].to_numpy().astype("M8[s]").astype(np.int64))
    interval = int(np.median(steps)) if len(steps) else 0
    if not 1 <= interval <= _LONGEST:
        raise ArchiveError(f"{path}: no regular time step; write a mapping")
    title = str(data.attrs.get("title", "")).strip()
    described: dict[str, str] = {
        key: str(name)
        for key in ("longitude", "latitude")
        for name in data.variables
        if _standard(data, name) == key
    }
    return _Layout(
        time=str(time),
        station=str(identified[0]) if identified else "",
        sources=sources,
        marks="end",
        interval=interval,
        titles={"zh": title, "en": title} if title else {},
        attribution=str(data.attrs.get("institution", "")),
        described=described,
    )


def _standard(data: Any, name: Any) -> str:
    return str(data[name].attrs.get("standard_name", ""))


def _unit(variable: Any) -> str:
    said = str(variable.attrs.get("units", ""))
    return UNITS.get(said.strip().lower(), said)


def _of_stations(data: Any, variable: str, time: str, stations: int) -> NDArray[Any]:
    """Give a property of the stations; of one that is given for each time, the last."""
    found = data[variable]
    if time in found.dims:
        found = found.isel({time: -1})
    return np.broadcast_to(found.to_numpy().reshape(-1), (stations,))


def _text(value: Any) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _identifier(stem: str) -> str:
    """Make a station's name of a file's."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in stem)[:64]
    return name if STATION.fullmatch(name) else "station"
