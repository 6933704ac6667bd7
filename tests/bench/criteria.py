"""How dear are criteria: reading a book, asking what counts where, and a dry run?

``python -m tests.bench.criteria`` reads the set of Beijing with twenty overrides, asks for three
hundred regions, and runs that set beside the national one over made-up readings of some days; the
figure of a dry run is for a month, in seconds.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from agent.elements import ELEMENTS
from forecast.criteria import Book
from forecast.rerun import Rerun
from tests.bench.ingest import Row_, row
from tests.bench.nowcast import NOON, weather

Made = TypeVar("Made")
UNITS = {name: element.unit for name, element in ELEMENTS.items()}
REGIONS = tuple(f"region-{number}" for number in range(300))
MONTH = 30 * 86_400
RHYTHMS = ((12, "hourly", 3_600, 120), (12, "10 min", 600, 288), (12, "1 min", 60, 720))
NETWORKS = (*RHYTHMS, (300, "10 min", 600, 144))
"""Stations, name of the rhythm, its seconds, and how many times are decided."""


def run() -> list[Row_]:
    """Measure all."""
    text = Book.shipped("beijing", units=UNITS).source + "".join(map(override, range(20)))
    book, reading = timed(lambda: Book(text, units=UNITS), 10)
    _, asking = timed(lambda: book.sets(REGIONS, NOON), 100)
    rows = [
        row("criteria, reading 20 overrides and every mixture", reading * 1e3, "ms"),
        row("criteria, what counts in 300 regions", asking * 1e6, "µs"),
    ]
    for stations, name, interval, times in NETWORKS:
        seconds = dry_run(stations, interval, times) * MONTH / interval
        label = f"criteria, dry run of a month, two sets, {stations} stations, {name}"
        rows.append(row(label, seconds, "s"))
    return rows


def override(number: int) -> str:
    """Give an override of two regions that overlaps with its neighbours."""
    return f"""
[[override]]
regions = ["region-{number}", "region-{number + 1}"]
valid_from = 2016-07-01
source = "bench"
[override.gale]
probability = 0.{51 + number}
"""


def timed(work: Callable[[], Made], times: int) -> tuple[Made, float]:
    """Give the result and the seconds of one."""
    began = time.perf_counter()
    for _ in range(times):
        found = work()
    return found, (time.perf_counter() - began) / times


def dry_run(stations: int, interval: int, times: int) -> float:
    """Give the seconds that one moment takes, once the windows are full."""
    generator = np.random.default_rng(7)
    run = Rerun(
        [Book.shipped(name, units=UNITS) for name in ("beijing", "national")],
        stations=stations,
        membership={str(number): [number] for number in range(stations)},
        since=NOON,
    )
    warm = run.span // interval
    for number in range(-warm, 1):
        run.put(weather(stations, NOON + number * interval, interval, generator))
    began = 0.0
    for number in range(1, times + 1):
        run.put(weather(stations, NOON + number * interval, interval, generator))
        if number == 1:  # the first takes all that came before
            began = time.perf_counter()
    return (time.perf_counter() - began) / (times - 1)


if __name__ == "__main__":
    run()
