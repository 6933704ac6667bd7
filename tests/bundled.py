"""The rain of the event that ships with Fenghuo, as columns."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.event import Timeline, load
from forecast.readings import Readings

EVENT = Path(__file__).parents[1] / "deploy/events/beijing-2016-07"
RAIN = "precipitation_amount"


def event() -> tuple[Readings, list[str]]:
    """Read the readings of the event and the names of its stations."""
    found = load(EVENT)
    timeline = Timeline(found, fault=lambda _: None)

    def rows() -> Iterator[tuple[int, int, float]]:
        for number, station in enumerate(found.stations):
            for report in timeline.of(station.id):
                value = report.values.get(RAIN)
                yield number, int(report.time.timestamp()), np.nan if value is None else value

    table: list[tuple[int, int, float]] = list(rows())
    timeline.close()
    station: NDArray[np.int64] = np.array([row[0] for row in table])
    return (
        Readings(
            station,
            np.array([row[1] for row in table]),
            np.full(len(table), 3_600),
            {RAIN: np.array([row[2] for row in table])},
        ),
        [station.en for station in found.stations],
    )
