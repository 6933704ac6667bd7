"""What criteria would have done: the nowcast run again over readings of the past."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import HAZARDS, LEVELS, Book, Criteria, Signal
from forecast.nowcast import Door, Evidence, Finding, Look, Nowcast
from forecast.proposal import Proposal, propose
from forecast.readings import Readings

_Places: TypeAlias = tuple[NDArray[np.bool_], list[Sequence[int]]]

HOLD: Final = 3_600
"""A level that comes back within this many seconds never ended."""

SHOWN: Final = 5
"""Numbers kept of what an opening rests on."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A stretch of time in which a region stands at a level or above it.

    door: by which it opened. begin: when it was first proposed, end: when it was last, met: when
    it was first observed (None: it was only expected); in seconds since 1970 UTC. evidence: what
    spoke for it at the beginning, the strongest first.
    """

    hazard: str
    region: str
    level: str
    door: Door
    begin: int
    end: int
    met: int | None
    evidence: tuple[Evidence, ...]


class Rerun:
    """A nowcast that is fed with the past, in the order of time, and remembers what opened.

    Several books look at the same readings at the same moments, at little more than the cost of
    one. step: least seconds between two decisions, 0: at every time of a reading; it may be
    changed between two batches.
    """

    def __init__(
        self,
        books: Sequence[Book],
        *,
        stations: int,
        membership: Mapping[str, Sequence[int]],
        hold: int = HOLD,
        step: int = 0,
        since: int | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        """Know the books, how many stations there are, and the stations of each region.

        since: nothing is decided up to then, the readings only fill the windows. tick: told each
        moment (s) that was decided; what it raises ends the run. Raises ValueError for books
        whose local days differ.
        """
        self.step = step
        self._since = since
        self._tick = tick
        every = [criteria for book in books for criteria in book.every]
        if len({(each.offset, each.day_ends) for each in every}) > 1:
            raise ValueError("the books have different local days")
        # All that any of them looks at.
        signals = tuple(signal for each in every for signal in each.signals)
        union = Criteria(signals, every[0].offset, every[0].day_ends)
        self._nowcast = Nowcast(criteria=union, stations=stations)
        self._shared = _Shared(self._nowcast, every)
        self._records = [
            _Record(book, stations=stations, membership=membership, hold=hold) for book in books
        ]

    @property
    def span(self) -> int:
        """Seconds of readings before the first decision that it needs."""
        return self._nowcast.span

    @property
    def elements(self) -> frozenset[str]:
        """The elements that it needs."""
        return self._nowcast.elements

    def put(self, readings: Readings) -> None:
        """Take readings that are later than those before, and decide at their times."""
        for at, part in moments(readings, step=self.step):
            self._nowcast.put(part)
            if self._since is None or at > self._since:
                self._shared.look = self._nowcast.look(at)
                for record in self._records:
                    record.decide(self._shared, at)
                if self._tick is not None:
                    self._tick(at)

    def openings(self) -> list[list[Opening]]:
        """Give what has opened so far by each book, sorted by hazard, region, level and time."""
        return [record.openings() for record in self._records]


class _Shared:
    """What is found at one moment: once for each signal, however many books have it."""

    def __init__(self, nowcast: Nowcast, every: Sequence[Criteria]) -> None:
        self._nowcast = nowcast
        alone: dict[Signal, Criteria] = {}
        self._parts: dict[int, list[Criteria]] = {
            id(criteria): [
                alone.setdefault(signal, replace(criteria, signals=(signal,)))
                for signal in criteria.signals
                if signal.working
            ]
            for criteria in every
        }

    @property
    def look(self) -> Look:
        """What is seen at the moment."""
        return self._look

    @look.setter
    def look(self, look: Look) -> None:
        self._look = look
        self._found: dict[tuple[int, frozenset[str]], list[Finding]] = {}

    def findings(
        self, criteria: Criteria, regions: frozenset[str], among: NDArray[np.bool_]
    ) -> list[Finding]:
        """Give what these criteria find at the stations of these regions."""
        found: list[Finding] = []
        for part in self._parts[id(criteria)]:
            key = (id(part), regions)
            if key not in self._found:
                self._found[key] = self._nowcast.findings(self._look, criteria=part, among=among)
            found += self._found[key]
        return found


class _Record:
    """What one book opens."""

    def __init__(
        self, book: Book, *, stations: int, membership: Mapping[str, Sequence[int]], hold: int
    ) -> None:
        self._book = book
        self._stations = stations
        self._regions = list(membership)
        self._members = membership
        self._hold = hold
        self._places: dict[tuple[int, frozenset[str]], _Places] = {}
        self._open: dict[tuple[str, str, str], Opening] = {}
        self._closed: list[Opening] = []
        self._before = 0

    def openings(self) -> list[Opening]:
        return sorted(
            [*self._closed, *self._open.values()],
            key=lambda o: (HAZARDS.index(o.hazard), o.region, LEVELS.index(o.level), o.begin),
        )

    def decide(self, shared: _Shared, at: int) -> None:
        for criteria, regions in self._book.sets(self._regions, at):
            among, membership = self._where(criteria, regions)
            findings = shared.findings(criteria, regions, among)
            for proposal in propose(findings, membership):
                self._note(proposal, criteria, at)
            # What is expected may stand above what is met already.
            seen = [finding for finding in findings if finding.door == "observed"]
            for proposal in propose(seen, membership):
                self._note(proposal, criteria, at)
        self._before = at

    def _where(self, criteria: Criteria, regions: frozenset[str]) -> "_Places":
        """Give the stations where a set counts, and those of each region; elsewhere none."""
        key = (id(criteria), regions)
        if key not in self._places:
            membership = [
                self._members[region] if region in regions else () for region in self._regions
            ]
            among = np.zeros(self._stations, np.bool_)
            among[[station for stations in membership for station in stations]] = True
            self._places[key] = among, membership
        return self._places[key]

    def _note(self, proposal: Proposal, criteria: Criteria, at: int) -> None:
        """Extend or begin every level that stands: while it or a higher one is proposed."""
        region = self._regions[proposal.region]
        reached = LEVELS.index(proposal.level)
        met = at if proposal.door == "observed" else None
        for level in criteria.signal(proposal.hazard).working:
            if LEVELS.index(level.name) > reached:
                break
            key = (proposal.hazard, region, level.name)
            standing = self._open.get(key)
            if standing is None or self._over(standing, at):
                if standing is not None:
                    self._closed.append(standing)
                evidence = proposal.evidence[:SHOWN]
                self._open[key] = Opening(*key, proposal.door, at, at, met, evidence)
            else:
                first = met if standing.met is None else standing.met
                self._open[key] = replace(standing, end=at, met=first)

    def _over(self, opening: Opening, at: int) -> bool:
        """Say whether it had ended when it is proposed again."""
        return opening.end < self._before and at - opening.end > self._hold


def rerun(
    batches: Iterable[Readings],
    *,
    book: Book,
    stations: int,
    membership: Mapping[str, Sequence[int]],
    hold: int = HOLD,
    step: int = 0,
    tick: Callable[[int], None] | None = None,
) -> list[Opening]:
    """Give what would have opened, had these readings come in when they were made.

    batches: in the order of time, whatever the order inside. stations: how many, numbered from 0;
    membership: the stations of each region. hold: a level that comes back within so many seconds
    never ended. step, tick: see `Rerun`.
    """
    run = Rerun([book], stations=stations, membership=membership, hold=hold, step=step, tick=tick)
    for batch in batches:
        run.put(batch)
    return run.openings()[0]


def moments(readings: Readings, *, step: int = 0) -> Iterator[tuple[int, Readings]]:
    """Cut readings by time: each moment to decide at, with what is new at it."""
    if not len(readings):
        return
    order = np.argsort(readings.time, kind="stable")
    sorted_ = readings.where(order)
    bins: NDArray[np.int64] = -(-sorted_.time // step) if step else sorted_.time
    starts = np.append(np.flatnonzero(np.diff(bins)) + 1, len(bins))
    first = 0
    for last in starts.tolist():
        yield int(sorted_.time[last - 1]), sorted_.where(np.arange(first, last))
        first = last
