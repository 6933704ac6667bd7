"""How long does one cycle of the nowcast take, and how much memory does a station cost?

``python -m tests.bench.nowcast`` measures at 7,000 and 70,000 stations that report every hour,
every ten minutes and every minute: every station hands in one reading, which is judged and taken
into the windows and filters; then everything is decided, all live signals of the national
criteria by both doors. The weather is of a real size: showers at one station in fifty, a gale at
one in two hundred, a hot day at a quarter of them. Each measurement is a process of its own.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.elements import ELEMENTS
from forecast.criteria import Criteria
from forecast.nowcast import Nowcast
from forecast.quality import Checks, Judge
from forecast.readings import Readings
from tests.bench.ingest import Row_, row

ROOT = Path(__file__).parents[2]
NOON = 1_468_972_800
"""20 July 2016, 00 UTC."""
HOUR = 3_600
SIZES = (7_000, 70_000)
RHYTHMS = (("hourly", HOUR, 96), ("10 min", 600, 72), ("1 min", 60, 90))
"""Name, seconds between readings, and how many lie in the windows already."""
CYCLES = 12


def weather(stations: int, at: int, interval: int, rng: np.random.Generator) -> Readings:
    """Give one reading of every station."""
    number = np.arange(stations)
    hour = at / HOUR % 24
    air = 24 + 6 * np.sin((hour - 1) / 24 * 2 * np.pi) + number % 7 + rng.normal(0, 0.2, stations)
    wet = number % 50 == 0
    wind = np.abs(rng.normal(3, 1, stations)) + 8 * (number % 200 == 0)
    values = {
        "air_temperature": air,
        "relative_humidity": np.clip(70 - 2 * (air - 24) + rng.normal(0, 1, stations), 5, 100),
        "precipitation_amount": np.where(wet, rng.gamma(2, 3, stations) * interval / HOUR, 0),
        "lwe_thickness_of_snowfall_amount": np.zeros(stations),
        "wind_speed": wind,
        "wind_speed_of_gust": wind * 1.5 + np.abs(rng.normal(0, 0.5, stations)),
        "visibility_in_air": np.clip(rng.normal(15_000, 4_000, stations), 300, 50_000),
        "surface_temperature": air + 3,
        "road_surface_temperature": air + 2,
        "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air": 40 + number % 30,
    }
    return Readings(
        number,
        np.full(stations, at, np.int64),
        np.full(stations, interval, np.int64),
        {name: np.round(value.astype(float), 1) for name, value in values.items()},
    )


def build(stations: int) -> Nowcast:
    """Give a nowcast of stations that lie about 10 km apart."""
    units = {name: element.unit for name, element in ELEMENTS.items()}
    number = np.arange(stations)
    wide = int(np.sqrt(stations))
    judge = Judge(
        Checks.load(),
        stations=stations,
        longitude=80 + number % wide * 0.1,
        latitude=20 + number // wide * 0.08,
        elevation=np.zeros(stations),
    )
    criteria = Criteria.load(units=units)
    return Nowcast(criteria=criteria, stations=stations, judge=judge, collect=True)


def measure(stations: int, step: int, history: int) -> tuple[list[float], float]:
    """Give the seconds of each cycle, and the bytes of memory of a station."""
    rng = np.random.default_rng(7)
    before = resident()
    nowcast = build(stations)
    start = NOON - history * step
    for number in range(1, history + 1):
        nowcast.put(weather(stations, start + number * step, step, rng))
        nowcast.look(start + number * step)
        nowcast.codes()
    nowcast.evaluate(NOON)
    seconds = []
    for cycle in range(1, CYCLES + 1):
        fresh = weather(stations, NOON + cycle * step, step, rng)
        began = time.perf_counter()
        nowcast.put(fresh)
        nowcast.evaluate(NOON + cycle * step)
        seconds.append(time.perf_counter() - began)
        nowcast.codes()
    return seconds, (resident() - before) / stations


def resident() -> int:
    """Give the bytes of memory that this process holds now."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * resource.getpagesize()


def run() -> list[Row_]:
    """Measure every rhythm at both sizes."""
    return [each for name, step, history in RHYTHMS for each in _rhythm(name, step, history)]


def _rhythm(name: str, step: int, history: int) -> Iterator[Row_]:
    medians = []
    for stations in SIZES:
        command = [
            sys.executable,
            "-m",
            "tests.bench.nowcast",
            *map(str, (stations, step, history)),
        ]
        found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        seconds, memory = json.loads(found.stdout)
        medians.append(float(np.median(seconds)))
        title = f"nowcast cycle, {stations:,} stations, {name}"
        if stations == SIZES[0]:
            yield row(f"{title}, p50", medians[0] * 1_000, "ms")
        else:
            ratio = medians[-1] / (medians[0] * stations / SIZES[0])
            yield row(f"{title}, p50", medians[-1] * 1_000, "ms", ratio=ratio, to="linear")
        yield row(f"{title}, longest of {CYCLES}", max(seconds) * 1_000, "ms")
        yield row(f"the same, memory, {history} readings each", memory / 1_000, "kB/station")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(*map(int, sys.argv[1:]))))
    else:
        for found in run():
            print(f"{found['name']:60} {found['figure']:>12,.1f} {found['unit']}")
