"""How often do the checks flag what is right, and how much of what is wrong do they find?

``python -m tests.bench.flags`` reads the archives under ``../shared/data``, which are real and
mostly sound: what a check flags there counts as a false flag, unless looking at it says that the
archive is wrong. Then errors of known kinds are put into the second half of each archive, and it
counts which of them are found. The limits were set on the first halves.
"""

import csv
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.io import netcdf_file

from forecast.quality import Check, Checks, Judge, Judged
from forecast.readings import Readings
from forecast.windows import Windows

DATA = Path(__file__).parents[3] / "shared/data"
HOUR = 3_600
ALWAYS = 10 * 366 * 24 * HOUR

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Archive:
    """Readings and where their stations are."""

    name: str
    readings: Readings
    longitude: Floats
    latitude: Floats
    elevation: Floats

    def part(self, begin: float, end: float) -> "Archive":
        """Give a part of it by time, as shares of the whole."""
        time = self.readings.time
        first, final = int(time.min()), int(time.max()) + 1
        low, high = (first + int(share * (final - first)) for share in (begin, end))
        return self.of(self.readings.where((time >= low) & (time < high)))

    def of(self, readings: Readings) -> "Archive":
        """Give other readings of the same stations."""
        return Archive(self.name, readings, self.longitude, self.latitude, self.elevation)


def knmi() -> Archive:
    """Give two days of 55 Dutch stations, every ten minutes."""
    names = {
        "air_temperature": "ta",
        "dew_point_temperature": "td",
        "relative_humidity": "rh",
        "air_pressure_at_mean_sea_level": "pp",
        "wind_speed": "ff",
        "wind_speed_of_gust": "gff",
        "wind_from_direction": "dd",
        "precipitation_amount": "rg",
        "surface_temperature": "tgn",
        "surface_downwelling_shortwave_flux_in_air": "qg",
    }
    parts = []
    for file in sorted((DATA / "knmi_10min").glob("*.nc")):
        with xr.open_dataset(file) as day:
            time = day.time.values.astype("M8[s]").astype(np.int64)
            stations = len(day.station)
            values = {
                name: day[column].transpose("station", "time").values.astype(float).ravel()
                for name, column in names.items()
            }
            values["precipitation_amount"] /= 6  # mm/h over ten minutes
            station = np.repeat(np.arange(stations), len(time))
            count = len(station)
            every = Readings(station, np.tile(time, stations), np.full(count, 600), values)
            parts.append(every)
            place = [
                np.nanmax(day[n].values, axis=0).astype(float) for n in ("lon", "lat", "height")
            ]
    readings = Readings.joined(parts)
    there = ~np.all([np.isnan(column) for column in readings.values.values()], axis=0)
    return Archive("KNMI, 10 min", readings.where(there), *place)


def arm() -> Archive:
    """Give the day of a storm at three sites in Alabama, every minute."""
    names = {
        "air_temperature": ("temp_mean", 1),
        "relative_humidity": ("rh_mean", 1),
        "air_pressure": ("atmos_pressure", 10),
        "wind_speed": ("wspd_arith_mean", 1),
        "wind_from_direction": ("wdir_vec_mean", 1),
        "precipitation_amount": ("tbrg_precip_total", 1),
    }
    parts, places = [], []
    for number, file in enumerate(sorted((DATA / "arm_1min").glob("bnfmet*.cdf"))):
        with netcdf_file(file, mmap=False) as site:
            time = int(site.variables["base_time"].data) + site.variables["time_offset"][:]
            values = {n: site.variables[v][:].astype(float) * f for n, (v, f) in names.items()}
            values = {n: np.where(v < -9_000, np.nan, v) for n, v in values.items()}
            count = len(time)
            moments = time.astype(np.int64) + 60  # the time of the file begins the minute
            every = Readings(np.full(count, number), moments, np.full(count, 60), values)
            parts.append(every)
            places.append([float(site.variables[v].data) for v in ("lon", "lat", "alt")])
    return Archive("ARM, 1 min", Readings.joined(parts), *np.array(places).T)


SITES = {
    "Aotizhongxin": (116.397, 39.982),
    "Changping": (116.230, 40.217),
    "Dingling": (116.220, 40.292),
    "Dongsi": (116.417, 39.929),
    "Guanyuan": (116.339, 39.929),
    "Gucheng": (116.184, 39.914),
    "Huairou": (116.628, 40.328),
    "Nongzhanguan": (116.461, 39.937),
    "Shunyi": (116.655, 40.127),
    "Tiantan": (116.407, 39.886),
    "Wanliu": (116.287, 39.987),
    "Wanshouxigong": (116.352, 39.878),
}


def _day(line: str) -> str:
    _, year, month, day, _ = line.split(",", 4)
    return f"{year}-{month:0>2}-{day:0>2}"


def beijing(*, only: tuple[str, str] = ("2013", "2018")) -> Archive:
    """Give two years of twelve sites, every hour; heights are not known, so set alike.

    only: days, the first and the one after the last.
    """
    names = {
        "air_temperature": "TEMP",
        "dew_point_temperature": "DEWP",
        "air_pressure": "PRES",
        "wind_speed": "WSPM",
        "precipitation_amount": "RAIN",
    }
    zone = ZoneInfo("Asia/Shanghai")
    parts = []
    for number, site in enumerate(SITES):
        path = DATA / f"beijing_hourly/{site}.csv"
        with path.open(encoding="utf-8", newline="") as text:
            head = next(text).replace('"', "").split(",")
            wanted = (line for line in text if only[0] <= _day(line) < only[1])
            rows = list(csv.DictReader(wanted, head))
        first = rows[0]
        start = dt.datetime(*(int(first[n]) for n in ("year", "month", "day", "hour")), tzinfo=zone)
        count = len(rows)
        values = {
            n: np.array([float(row[column].replace("NA", "nan")) for row in rows])
            for n, column in names.items()
        }
        time = int(start.timestamp()) + HOUR * np.arange(count)
        parts.append(Readings(np.full(count, number), time, np.full(count, HOUR), values))
    places = np.array(list(SITES.values())).T
    return Archive("Beijing, 1 h", Readings.joined(parts), *places, np.full(len(SITES), 50.0))


def judged(archive: Archive, checks: Checks | None = None) -> Judged:
    """Judge all of it at once."""
    checks = msgspec.structs.replace(checks or Checks.load(), late=ALWAYS)
    stations = len(archive.longitude)
    windows = Windows(stations=stations, elements=checks.elements, resolution=24 * HOUR)
    windows.put(archive.readings)
    judge = Judge(
        checks,
        stations=stations,
        longitude=archive.longitude,
        latitude=archive.latitude,
        elevation=archive.elevation,
    )
    return judge.judge(windows, archive.readings, at=int(archive.readings.time.max()))


def rates(found: Judged) -> Iterator[tuple[str, str, int, int]]:
    """Give element, check, values checked, values failed."""
    for name, codes in found.codes.items():
        for check in Check:
            made = int(np.count_nonzero(codes >> (8 + check) & 1))
            if made:
                yield name, check.name.lower(), made, int(np.count_nonzero(codes >> check & 1))


@dataclass(frozen=True, slots=True)
class Error:
    """A kind of error: how many readings it lasts, and what it makes of values."""

    name: str
    element: str
    length: int
    change: Callable[[Floats, Any], Floats]


def _of(size: float) -> Callable[[Floats, Any], Floats]:
    return lambda value, draw: value + size * draw.choice([-1.0, 1.0])


def errors(spacing: int) -> list[Error]:
    """Give the errors that are tried at stations that report every so many seconds."""
    hours = lambda count: max(int(count * HOUR / spacing), 1)  # noqa: E731
    temperature, pressure = "air_temperature", "air_pressure"
    return [
        Error("spike of 6 K", temperature, 1, _of(6.0)),
        Error("spike of 12 K", temperature, 1, _of(12.0)),
        Error(
            "spike of 30 %", "relative_humidity", 1, lambda v, _: np.where(v > 50, v - 30, v + 30)
        ),
        Error("spike of 8 hPa", pressure, 1, _of(8.0)),
        Error("stuck for 12 h", temperature, hours(12), lambda v, _: np.full(len(v), v[0])),
        Error("stuck for 12 h", pressure, hours(12), lambda v, _: np.full(len(v), v[0])),
        Error("stuck for 12 h", "wind_speed", hours(12), lambda v, _: np.full(len(v), v[0])),
        Error("bias of 10 K", temperature, hours(6), _of(10.0)),
        Error("bias of 6 hPa", pressure, hours(6), _of(6.0)),
        Error("°F as °C", temperature, hours(6), lambda v, _: v * 1.8 + 32),
        Error("knots as m/s", "wind_speed", hours(6), lambda v, _: v * 1.944),
        Error("frozen at 0", "wind_speed", hours(6), lambda v, _: v * 0),
        Error("100 mm from nothing", "precipitation_amount", 1, lambda v, _: v + 100),
    ]


@dataclass(frozen=True, slots=True)
class Hits:
    """Errors put in, those of which a value failed, values in error, those that failed."""

    events: int
    found: int
    values: int
    failed: int
    others: int
    """Values of the same element that fail because of it, elsewhere or later."""

    def plus(self, other: "Hits") -> "Hits":
        """Add up."""
        mine, its = msgspec.to_builtins(self).values(), msgspec.to_builtins(other).values()
        return Hits(*(a + b for a, b in zip(mine, its, strict=True)))


def seeded(archive: Archive, error: Error, *, times: int = 60, rounds: int = 12) -> Hits | None:
    """Put one kind of error in at random places, few at a time, and count."""
    sums: Hits | None = None
    for seed in range(rounds):
        hits = _seeded(archive, error, times=times, seed=seed)
        if hits is None:
            return sums
        sums = hits if sums is None else sums.plus(hits)
        if sums.events >= times:
            break
    return sums


SHARE = 0.02
"""Part of the values that are made wrong together: most of a network is right."""


def _seeded(archive: Archive, error: Error, *, times: int, seed: int) -> Hits | None:
    draw = np.random.default_rng(seed)
    every = archive.readings
    name = error.element
    if name == "air_pressure" and name not in every.values:
        name = "air_pressure_at_mean_sea_level"
    if name not in every.values:
        return None
    column = every.values[name].copy()
    wrong = np.zeros(len(column), np.bool_)
    order = np.lexsort((every.time, every.station))
    station = every.station[order]
    events: list[Any] = []
    times = min(times, max(int(SHARE * len(column) / error.length), 1))
    apart = 2 * HOUR
    free = np.ones(len(column), np.bool_)
    for _ in range(20 * times):
        if len(events) == times:
            break
        begin = int(draw.integers(0, len(order) - error.length))
        rows = order[begin : begin + error.length]
        same = station[begin] == station[begin + error.length - 1]
        if not same or not free[rows].all() or np.isnan(column[rows]).any():
            continue
        if error.name == "frozen at 0" and column[rows].mean() < 4:
            continue  # it might be calm
        column[rows] = error.change(column[rows], draw)
        wrong[rows] = True
        if error.length == 1:  # no neighbour has the like at the same time
            free &= np.abs(every.time - every.time[rows[0]]) > apart
        free[order[max(begin - 40, 0) : begin + error.length + 40]] = False
        events.append(rows)
    if not events:
        return None
    readings = Readings(every.station, every.time, every.interval, {**every.values, name: column})
    before, after = (_failed(judged(archive.of(each)), name) for each in (every, readings))
    # The judge gives them in the order in which they came.
    return Hits(
        len(events),
        sum(bool(after[rows].any()) for rows in events),
        int(wrong.sum()),
        int((after & wrong).sum()),
        int((after & ~wrong & ~before).sum()),
    )


def _failed(found: Judged, element: str) -> Bools:
    return (found.codes[element][found.fresh] & 0xFF) != 0


def main() -> None:
    """Print both tables."""
    archives = [(read(), spacing) for read, spacing in ((arm, 60), (knmi, 600), (beijing, HOUR))]
    for archive, _ in archives:
        for part, name in ((archive.part(0, 0.5), "first half"), (archive.part(0.5, 1), "second")):
            for element, check, made, failed in rates(judged(part)):
                share = f"{failed / made:.5f}"
                print(f"{archive.name:13} {name:10} {element:42} {check:12}", end="")
                print(f"{made:8} {failed:6} {share}")
    for archive, spacing in archives:
        half = archive.part(0.5, 1)
        if archive.name.startswith("Beijing"):
            half = archive.part(0.9, 1)
        for error in errors(spacing):
            hits = seeded(half, error)
            if hits is not None:
                print(
                    f"{archive.name:13} {error.element:26} {error.name:20} events {hits.events:3}"
                    f" found {hits.found / hits.events:.2f}"
                    f" values {hits.failed / hits.values:.2f} others {hits.others}"
                )


if __name__ == "__main__":
    main()
