"""What a driver is: something that turns an instrument, a file or a dream into reports.

A driver is found by its name among the entry points of the group ``fenghuo.drivers``, so other
packages can bring their own. Drivers for serial lines, Modbus, TOA5 files and GPS receivers are
further modules beside this one.
"""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import msgspec

from agent.clock import Clock
from agent.report import Report

GROUP = "fenghuo.drivers"


class DriverError(Exception):
    """The driver cannot work; the message says why and what to do."""


class Batch(msgspec.Struct, frozen=True):
    """Reports that belong together, and where the driver stands after them.

    mark: anything the driver wants back at the next start. It is stored in the same transaction
        as the reports, so that none is read twice and none left out. Empty: nothing to remember.
    """

    reports: tuple[Report, ...]
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a driver works.

    station: the station's id.
    folder: relative paths in the options start here.
    clock: the station's clock.
    """

    station: str
    folder: Path
    clock: Clock


class Driver(Protocol):
    """A source of reports. It is made with its options and its site; it raises DriverError."""

    def read(self, *, mark: str, stop: threading.Event) -> Iterator[Batch]:
        """Give batches as they come, from where ``mark`` says, until ``stop`` is set.

        When the next batch is asked for, the one before is safe on disk. An iterator that ends by
        itself has nothing more to say for ever. Raises DriverError.
        """
        ...

    def probe(self) -> str:
        """Try once whether there is something to read; give one line about it for a person.

        Raises DriverError.
        """
        ...


def names() -> list[str]:
    """Give the names of all drivers that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def make(name: str, options: Mapping[str, Any], site: Site) -> Driver:
    """Make the driver of this name. Raises DriverError."""
    for point in entry_points(group=GROUP, name=name):
        try:
            driver: Driver = point.load()(options, site)
        except ImportError as error:
            raise DriverError(f"driver.name: {name!r} cannot be loaded: {error}") from None
        return driver
    raise DriverError(f"driver.name: no driver {name!r}; there are: {', '.join(names())}")
