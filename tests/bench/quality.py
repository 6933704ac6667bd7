"""How many values a second are checked, on one core, and does it stay so with more stations?

``python -m tests.bench.quality`` makes networks on a grid of ten kilometres. Each has an hour of
readings, one a minute; then the newest reading of every station is judged, as the nowcast does
it, all checks together and by kind.
"""

import time
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from forecast.quality import Checks, Judge
from forecast.quality.neighbours import Neighbours
from forecast.readings import Readings
from forecast.windows import Windows
from tests.bench.ingest import Row_, row

Floats = NDArray[np.float64]

SIZES = (7_000, 70_000)
NOON = 1_400_000_400 // 3_600 * 3_600
MINUTES = 20
"""Readings of each station before the one that is judged."""

CYCLES = 3

LEVELS = {
    "air_temperature": (25.0, 0.3),
    "relative_humidity": (70.0, 2.0),
    "air_pressure": (1_000.0, 0.1),
    "wind_speed": (4.0, 0.5),
    "wind_speed_of_gust": (7.0, 0.8),
    "precipitation_amount": (0.0, 0.0),
}


Kind = Literal["single-station", "spatial", "all"]


def pipelines(kind: Kind) -> Checks:
    """Give the checks of a kind."""
    checks = Checks.load()
    if kind == "all":
        return checks
    names = ["spatial"] if kind == "single-station" else ["step", "persistence", "range"]
    chosen = {
        name: msgspec.structs.replace(each, **dict.fromkeys(names))
        for name, each in checks.pipelines.items()
    }
    rules = checks.rules if kind == "single-station" else ()
    return msgspec.structs.replace(checks, pipelines=chosen, rules=rules)


def places(stations: int) -> tuple[Floats, Floats]:
    """Give longitude and latitude of a grid of ten kilometres."""
    wide = int(np.ceil(np.sqrt(stations)))
    number = np.arange(stations)
    return 90 + 0.12 * (number % wide), 20 + 0.09 * (number // wide)


def network(stations: int, kind: Kind = "all") -> tuple[Judge, Windows, list[Readings]]:
    """Give a judge, windows that hold the past, and the readings of the next minutes."""
    number = np.arange(stations)
    longitude, latitude = places(stations)
    judge = Judge(
        pipelines(kind),
        stations=stations,
        longitude=longitude,
        latitude=latitude,
        elevation=np.full(stations, 50.0),
    )
    windows = Windows(stations=stations, elements=LEVELS)
    draw = np.random.default_rng(1)
    batches = []
    for minute in range(MINUTES + CYCLES):
        values = {
            name: level + spread * draw.standard_normal(stations)
            for name, (level, spread) in LEVELS.items()
        }
        moment = np.full(stations, NOON + 60 * minute)
        batches.append(Readings(number, moment, np.full(stations, 60), values))
    for batch in batches[:MINUTES]:
        windows.put(batch)
    judge.judge(windows, batches[MINUTES - 1], at=NOON + 60 * (MINUTES - 1))
    return judge, windows, batches[MINUTES:]


def measure(stations: int, kind: Kind) -> float:
    """Give the seconds that it takes to judge one reading of every station, the best of three."""
    judge, windows, batches = network(stations, kind)
    best = np.inf
    for batch in batches:
        windows.put(batch)
        began = time.perf_counter()
        judge.judge(windows, batch, at=int(batch.time[0]))
        best = min(best, time.perf_counter() - began)
    return best


def run() -> list[Row_]:
    """Measure each kind at both sizes."""
    rows = []
    for kind in get_args(Kind):
        small, large = (measure(stations, kind) for stations in SIZES)
        figure = SIZES[1] * len(LEVELS) / large
        rows.append(row(f"quality: {kind} checks, {SIZES[1]:,} stations", figure, "values/s"))
        label = f"quality: {kind} checks, a value at {SIZES[1]:,} / {SIZES[0]:,} stations"
        rows.append(row(label, large / small * SIZES[0] / SIZES[1], "times"))
    longitude, latitude = places(SIZES[1])
    began = time.perf_counter()
    network = Checks.load().network
    Neighbours.of(network, longitude=longitude, latitude=latitude, elevation=longitude * 0)
    took = time.perf_counter() - began
    rows.append(row(f"quality: neighbours of {SIZES[1]:,} stations found in", took, "s"))
    return [{**each, "part": "quality"} for each in rows]


if __name__ == "__main__":
    for each in run():
        print(each)
