"""`fenghuo verify`: how good the warnings would have been, on any archive, without a server."""

import argparse
import asyncio
import contextlib
import datetime as dt
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from agent.elements import ELEMENTS
from agent.version import __version__
from alerts.catalogue import Catalogue
from forecast.criteria import SHIPPED, Book, Criteria, CriteriaError
from forecast.readings import Readings
from forecast.verification import grading
from forecast.verification.card import Card
from forecast.verification.lanes import Sites
from forecast.verification.run import run, usable, warm
from forecast.verification.scoring import ScoresMissingError
from server import plots
from server.archives import opening
from server.archives.archive import Archive, ArchiveError, Place
from server.archives.stored import StoredArchive
from server.chain import StartError, opened
from server.scoreboard import Scoreboard
from server.settings import Settings
from server.store.database import Database
from server.terminal import Terminal
from server.when import moment

UNITS = {name: element.unit for name, element in ELEMENTS.items()}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The archive; name: empty for a database. faults: values and lines that could not be used."""

    name: str
    attribution: str
    elements: tuple[str, ...]
    readings: int
    faults: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints; seconds: reading and deciding, and scoring."""

    version: str
    source: Source
    criteria: str
    seconds: tuple[float, float]
    card: Card


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    verify = commands.add_parser("verify", help="score the warnings on an archive")
    verify.add_argument("--archive", type=Path, metavar="DIR", help="folder of files")
    verify.add_argument(
        "--mapping", default="", help="how they are written: beijing, knmi, or a TOML file"
    )
    verify.add_argument(
        "--database",
        nargs="?",
        const="",
        metavar="URL",
        help="stored readings instead; without a URL those of the settings",
    )
    verify.add_argument("--from", dest="start", metavar="TIME", help="date, or time with a zone")
    verify.add_argument("--to", dest="end", metavar="TIME", help="the same; a date to its end")
    verify.add_argument("--criteria", default="", help=f"{', '.join(SHIPPED)}, or a TOML file")
    verify.add_argument(
        "--unchecked", action="store_true", help="without quality control: every value is good"
    )
    verify.add_argument("--json", action="store_true", help="one JSON object, for machines")
    verify.add_argument("--plots", type=Path, metavar="DIR", help="write PNG and SVG there")
    verify.set_defaults(work=_verify)


async def _verify(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    if (arguments.archive is None) == (arguments.database is None):
        terminal.error("verify.neither")
        return 2
    try:
        criteria = _criteria(arguments.criteria or settings.watch.criteria)
        start = _moment(arguments.start, criteria, last=False)
        end = _moment(arguments.end, criteria, last=True)
    except ValueError as error:
        terminal.error("verify.time", text=error)
        return 2
    except CriteriaError as error:
        raise StartError("refused", reason=error) from error
    if start is not None and end is not None and start >= end:
        terminal.error("verify.order")
        return 2
    if arguments.database is not None and (start is None or end is None):
        terminal.error("verify.bounds")
        return 2
    try:
        async with _archive(arguments, settings, criteria) as archive:
            result = await _off_the_loop(
                lambda stop: examine(
                    archive,
                    criteria=criteria,
                    start=start,
                    end=end,
                    checked=not arguments.unchecked,
                    stop=stop,
                )
            )
    except ArchiveError as error:
        terminal.error("verify.archive", reason=error)
        return 1
    except ScoresMissingError:
        terminal.error("verify.missing")
        return 1
    if not result.card.moments:
        terminal.error("verify.nothing")
        return 1
    _tell(arguments, archive, result, criteria, terminal)
    return 0


def examine(
    archive: Archive,
    *,
    criteria: Criteria,
    start: int | None = None,
    end: int | None = None,
    checked: bool = True,
    stop: threading.Event | None = None,
) -> Result:
    """Run the nowcast over an archive and score it; times in s since 1970, start exclusive.

    checked: with quality control; what is true goes by the values as they were measured.

    Raises ArchiveError, ScoresMissingError.
    """
    begun = time.monotonic()
    named = criteria
    criteria = usable(criteria, archive.elements)
    counted = _Counted(archive, stop)
    sites = _sites(archive.places) if checked else None
    before = None if start is None else start - warm(criteria, sites)
    record = run(
        counted.batches(before, end),
        criteria=criteria,
        stations=len(archive.places),
        sites=sites,
        since=start,
    )
    ran = time.monotonic()
    regions: dict[str, list[int]] = {}
    for number, place in enumerate(archive.places):
        for region in place.regions:
            regions.setdefault(region, []).append(number)
    card = grading.grade(record, names=[place.name for place in archive.places], regions=regions)
    return Result(
        version=__version__,
        source=Source(
            name=archive.names.get("en", ""),
            attribution=archive.attribution,
            elements=tuple(sorted(archive.elements)),
            readings=counted.count,
            faults=archive.faults.count,
        ),
        criteria=", ".join(dict.fromkeys(signal.source for signal in named.signals)),
        seconds=(round(ran - begun, 2), round(time.monotonic() - ran, 2)),
        card=card,
    )


def _sites(places: Sequence[Place]) -> Sites:
    longitude, latitude, elevation = (
        np.array([getattr(place, key) for place in places], np.float64)  # None becomes nan
        for key in ("longitude", "latitude", "elevation")
    )
    return Sites(longitude, latitude, elevation)


class _Counted:
    """The batches of an archive: counted, and ended when nobody waits for them any more."""

    def __init__(self, archive: Archive, stop: threading.Event | None) -> None:
        self._archive = archive
        self._stop = stop
        self.count = 0

    def batches(self, start: int | None, end: int | None) -> Iterator[Readings]:
        for batch in self._archive.readings(start=start, end=end):
            if self._stop is not None and self._stop.is_set():
                raise ArchiveError("stopped")
            self.count += len(batch)
            yield batch


async def _off_the_loop(work: Callable[[threading.Event], Result]) -> Result:
    """Compute in a thread, so that Ctrl-C is heard at the next batch."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(work, stop)
    except asyncio.CancelledError:
        stop.set()
        raise


@contextlib.asynccontextmanager
async def _archive(
    arguments: argparse.Namespace, settings: Settings, criteria: Criteria
) -> AsyncIterator[Archive]:
    if arguments.archive is not None:
        yield await asyncio.to_thread(opening.archive, arguments.archive, arguments.mapping)
        return
    elements = frozenset(condition.element for condition in criteria.conditions)
    async with contextlib.AsyncExitStack() as stack:
        url = arguments.database
        if not url:
            url = (await stack.enter_async_context(opened(settings))).store.url
        database = await stack.enter_async_context(
            await Database.open(url, name="fenghuo verify", size=1)
        )
        yield await StoredArchive.open(database, elements=elements)


def _criteria(name: str) -> Criteria:
    if name in SHIPPED:
        return Book.shipped(name, units=UNITS).base
    return Book.load(Path(name) if name else None, units=UNITS).base


def _moment(text: str | None, criteria: Criteria, *, last: bool) -> int | None:
    """Read a date, or a time with a zone; the end of a last date belongs to it."""
    if text is None:
        return None
    zone = dt.timezone(dt.timedelta(seconds=criteria.offset))
    return int(moment(text, zone, last=last).timestamp())


def _tell(
    arguments: argparse.Namespace,
    archive: Archive,
    result: Result,
    criteria: Criteria,
    terminal: Terminal,
) -> None:
    board = Scoreboard(
        Catalogue.load(),
        language=terminal.language,
        zone=dt.timezone(dt.timedelta(seconds=criteria.offset)),
    )
    card = result.card
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(result), indent=1).decode())
        sys.stdout.write("\n")
    else:
        title = board.word(
            "head.title",
            name=archive.names.get(terminal.language) or board.word("head.database"),
            stations=len(card.stations),
            days=card.days,
            moments=f"{card.moments:,}",
        )
        lines = [title, *board.lines(card), ""]
        if result.source.attribution:
            lines.append(board.word("head.source", attribution=archive.attribution))
        seconds = sum(result.seconds)
        lines.append(board.word("head.seconds", seconds=f"{seconds:.1f}"))
        sys.stdout.writelines(f"{line}\n" for line in lines)
    if archive.faults.count:
        terminal.error("verify.faults", count=archive.faults.count)
        for fault in archive.faults.first:
            terminal.error("verify.archive", reason=fault)
    if arguments.plots is not None:
        plots.write(card, arguments.plots, board=board)
        terminal.error("verify.plotted", folder=arguments.plots)
