"""Replays one station of an event as if it were measuring now, in the event's own time."""

import datetime as dt
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent import event
from agent.clock import text
from agent.drivers.columns import Fault, Faults
from agent.drivers.port import Batch, DriverError, Site

log = logging.getLogger(__name__)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the driver.

    event: the event's folder. station: which of its stations; empty for the one of this id.
    pace: seconds of the event in one second; 0 for as fast as possible.
    """

    event: str
    station: str = ""
    pace: Annotated[float, Meta(ge=0)] = 60


class Replay:
    """The driver ``replay``."""

    def __init__(self, options: Mapping[str, Any], site: Site) -> None:
        """Read the event. Raises DriverError."""
        try:
            self._options = msgspec.convert(options, Options)
            found = event.load(Path(site.folder, self._options.event))
            self._event = found.choose([self._options.station or site.station])
        except msgspec.ValidationError as error:
            raise DriverError(f"driver.options: {error}") from None
        except event.EventError as error:
            raise DriverError(str(error)) from None

    def read(self, *, mark: str, stop: threading.Event) -> Iterator[Batch]:
        """Give the readings after the one that ``mark`` names, at the pace that was asked for."""
        timeline = self._timeline()
        try:
            after = dt.datetime.fromisoformat(mark) if mark else None
            before = after
            for report in timeline.of(self._event.stations[0].id):
                if after is not None and report.time <= after:
                    continue
                if before is not None and self._options.pace:
                    pause = (report.time - before).total_seconds() / self._options.pace
                    stop.wait(pause)
                if stop.is_set():
                    return
                before = report.time
                yield Batch((report,), mark=text(report.time))
        finally:
            timeline.close()

    def probe(self) -> str:
        """Read the files through."""
        timeline = self._timeline()
        timeline.close()
        first, last = timeline.time(0), timeline.time(len(timeline) - 1)
        return f"{timeline.readings} × {text(first)} … {text(last)}"

    def _timeline(self) -> event.Timeline:
        faults = Faults(_log)
        try:
            return event.Timeline(self._event, fault=faults)
        except event.EventError as error:
            raise DriverError(str(error)) from None


def _log(fault: Fault) -> None:
    log.warning("table.fault %s", fault)
