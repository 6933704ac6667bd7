"""Score the expected door of the gale: python -m tests.bench.gale_door FOLDER.

FOLDER holds KNMI 10-minute files (netCDF). Every ten minutes at every station the whole nowcast
decides by the national criteria. An event begins when a station meets a level (mean wind or gust)
after three hours without; its lead is the time from the first announcement in the two hours
before, and 0 where there is none. An announcement is false where the level is not met within two
hours.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from agent.elements import ELEMENTS
from forecast.criteria import LEVELS, Criteria
from forecast.nowcast import Nowcast
from forecast.readings import Readings

VARIABLES = {"wind_speed": "ff", "wind_speed_of_gust": "gff"}
QUIET, AHEAD = 18, 12
"""Steps of ten minutes: without before an event, and in which an announcement must come true."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Door:
    """One level: stations that met it, events, their leads (min), announcements, false ones."""

    stations: int
    leads: tuple[int, ...]
    alarms: int
    false: int

    @property
    def mean(self) -> float:
        """The mean lead in minutes, of unannounced events 0."""
        return float(np.mean(self.leads)) if self.leads else 0.0

    @property
    def far(self) -> float:
        """The part of the announcements that did not come true."""
        return self.false / max(self.alarms, 1)

    def __str__(self) -> str:
        """Give a line."""
        announced = sum(lead > 0 for lead in self.leads)
        early = sum(lead >= 30 for lead in self.leads)
        return (
            f"met at {self.stations} stations; events {len(self.leads)}, announced {announced},"
            f" 30 min ahead {early}, mean lead {self.mean:.0f} min;"
            f" announcements {self.alarms}, false {self.far:.0%}"
        )


def archive(folder: Path) -> Readings:
    """Read wind and gusts of all files in the folder."""
    parts = []
    for file in sorted(folder.glob("*.nc")):
        with xr.open_dataset(file, engine="h5netcdf", decode_timedelta=False) as data:
            time = data["time"].to_numpy().astype("M8[s]").astype(np.int64)
            stations = data.sizes["station"]
            values = {
                name: data[column].transpose("time", "station").to_numpy().astype(float).ravel()
                for name, column in VARIABLES.items()
            }
        rows = len(time) * stations
        station = np.tile(np.arange(stations), len(time))
        parts.append(Readings(station, np.repeat(time, stations), np.full(rows, 600), values))
    return Readings.joined(parts)


def decide(readings: Readings) -> tuple[Bools, Bools, NDArray[np.int64]]:
    """Run the nowcast: what is met and what is expected, [level, time, station], and the times."""
    units = {name: element.unit for name, element in ELEMENTS.items()}
    criteria = Criteria.load(units=units)
    stations = int(readings.station.max()) + 1
    nowcast = Nowcast(criteria=criteria, stations=stations)
    times = np.unique(readings.time)
    met, said = (np.zeros((len(LEVELS), len(times), stations), np.bool_) for _ in range(2))
    for row, time in enumerate(times.tolist()):
        nowcast.put(readings.where(readings.time == time))
        for finding in nowcast.evaluate(time):
            if finding.hazard == "gale":
                door = met if finding.door == "observed" else said
                door[: LEVELS.index(finding.level) + 1, row, finding.station] = True
    return met, said & ~met, times


def judge(met: Bools, said: Bools, part: slice = slice(None)) -> Door:
    """Score one level, [time, station], for the events and announcements of some of the times."""
    soon = np.zeros_like(met)
    for ahead in range(1, AHEAD + 1):
        soon[:-ahead] |= met[ahead:]
    inside = np.zeros_like(met)
    inside[part] = True
    inside[-AHEAD:] = False  # what comes of them is not known
    leads = []
    for row, station in np.argwhere(met & inside).tolist():
        if row < QUIET or met[row - QUIET : row, station].any():
            continue
        before = said[max(row - AHEAD, 0) : row, station]
        leads.append(10 * (len(before) - int(before.argmax())) if before.any() else 0)
    alarms = said & inside
    return Door(
        int(met[part].any(axis=0).sum()),
        tuple(leads),
        int(alarms.sum()),
        int((alarms & ~soon).sum()),
    )


def main(folder: Path) -> None:
    """Print a line for each level: both days, and each of them."""
    met, said, times = decide(archive(folder))
    half = len(times) // 2
    parts = {"all": slice(None), "first half": slice(half), "second half": slice(half, None)}
    for number, level in enumerate(LEVELS):
        for title, part in parts.items():
            print(f"{level}, {title}: {judge(met[number], said[number], part)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
