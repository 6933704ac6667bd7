"""An event's folder, as `fenghuo-agent replay` reads it, as an archive."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from agent import event
from forecast.readings import Readings
from server.archives.archive import ROWS, ArchiveError, Faults, Place


class EventArchive:
    """The readings of an event."""

    def __init__(self, folder: Path) -> None:
        """Read its description. Raises ArchiveError."""
        self.faults = Faults()
        try:
            self._event = event.load(folder)
        except event.EventError as error:
            raise ArchiveError(f"{error}") from None
        title = self._event.description.title
        self.names: Mapping[str, str] = {"zh": title.zh, "en": title.en}
        self.attribution = self._event.description.attribution
        self.elements = frozenset(self._event.description.elements)
        self.places: tuple[Place, ...] = tuple(
            Place(
                name=station.id,
                zh=station.zh,
                en=station.en,
                longitude=station.longitude,
                latitude=station.latitude,
                elevation=station.elevation,
            )
            for station in self._event.stations
        )

    def readings(self, *, start: int | None, end: int | None) -> Iterator[Readings]:
        """Give the readings by time, with start < time <= end. Raises ArchiveError."""
        number = {place.name: row for row, place in enumerate(self.places)}
        try:
            timeline = event.Timeline(self._event, fault=lambda fault: self.faults.add(f"{fault}"))
        except event.EventError as error:
            raise ArchiveError(f"{error}") from None
        try:
            times = (int(timeline.time(step).timestamp()) for step in range(len(timeline)))
            steps = iter([
                step
                for step, time in enumerate(times)
                if (start is None or time > start) and (end is None or time <= end)
            ])  # fmt: skip
            size = max(ROWS // len(self.places), 1)
            while part := list(islice(steps, size)):
                found = [
                    (number[name], report)
                    for step in part
                    for name, report in timeline.at(step).items()
                ]
                yield Readings(
                    np.array([station for station, _ in found], np.int64),
                    np.array([int(report.time.timestamp()) for _, report in found], np.int64),
                    np.array([report.interval for _, report in found], np.int64),
                    {
                        name: np.array(
                            [_number(report.values.get(name)) for _, report in found], np.float64
                        )
                        for name in self.elements
                    },
                )
        finally:
            timeline.close()


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
