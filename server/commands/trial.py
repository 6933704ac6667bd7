"""The dry run of criteria: what they would have done with the readings in the store.

The draft and what is in force look at the same readings, in the order of their time, as if each
had come in when it was made. Time and memory are bounded, and one trial runs at a time.
"""

import datetime as dt
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from alerts import regions
from forecast.criteria import HAZARDS, LEVELS, Book
from forecast.nowcast import Evidence
from forecast.readings import Readings
from forecast.rerun import Opening, Rerun
from server.store import criteria, observations, stations, trials
from server.store.connection import Connection
from server.store.criteria import CriteriaRefusedError, Standing
from server.store.stations import Station

LONGEST: Final = dt.timedelta(days=92)
"""Of a trial, from start to end."""

SECONDS: Final = 900.0
"""A trial that takes longer is given up."""

MEMORY: Final = 3 << 30
"""Bytes that the process of a trial may take."""

ROWS: Final = 500_000
"""Readings that are read at once, as far as can be told beforehand: a minute's rhythm."""

WIDEST: Final = 600
"""Seconds between two decisions that a trial goes to by itself."""

CAUTION: Final = 0.7
"""Part of the time left that what is left may take."""

MOST: Final = 1_000
"""Openings of each side in a result."""


class TrialError(Exception):
    """A trial was given up; the key of the catalogue's ``criteria.trial`` says why."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is tried: a text (and its version, if it is one) from start to end.

    step: least seconds between two decisions, 0: at every time of a reading; None: as few as the
    time allows, at most `WIDEST`. Raises CriteriaRefusedError for times that make no sense.
    """

    text: str
    version: int | None
    author: str
    start: dt.datetime
    end: dt.datetime
    step: int | None = None

    def __post_init__(self) -> None:
        if not self.start < self.end <= self.start + LONGEST:
            raise CriteriaRefusedError("span", days=LONGEST.days)


class Trial:
    """One dry run on a connection of its own, in autocommit mode."""

    def __init__(
        self,
        connection: Connection,
        question: Question,
        standing: Standing,
        *,
        now: Callable[[], dt.datetime],
        seconds: float = SECONDS,
    ) -> None:
        """Take the question and what is in force; now: the real time."""
        self._connection = connection
        self._question = question
        self._standing = standing
        self._now = now
        self._limit = seconds
        self.number = 0

    async def begin(self) -> int:
        """Begin, and give the number of the trial.

        Raises CriteriaError for a text that is none, CriteriaRefusedError where one runs already.
        """
        asked = self._question
        self._draft = Book(asked.text, units=criteria.UNITS)
        version = self._standing.version
        self.number = await trials.begin(
            self._connection,
            version=asked.version,
            digest=criteria.digest(asked.text),
            beside=None if version is None else version.number,
            author=asked.author,
            start=asked.start,
            end=asked.end,
            step=asked.step,
            now=self._now(),
        )
        return self.number

    async def run(self) -> dict[str, Any]:
        """Do it, and give the result that is kept.

        Raises TrialError where it took too much time or memory.
        """
        problem = "broken"
        try:
            result = await self._compare()
        except TimeoutError:
            problem = "time"
            raise TrialError(problem) from None
        except MemoryError:
            problem = "memory"
            raise TrialError(problem) from None
        else:
            problem = ""
            await trials.finish(self._connection, self.number, now=self._now(), result=result)
            return result
        finally:
            if problem:
                await trials.finish(self._connection, self.number, now=self._now(), problem=problem)

    async def _compare(self) -> dict[str, Any]:
        asked = self._question
        places = await stations.every(self._connection)
        index = {place.id: number for number, place in enumerate(places)}
        members = {
            region: [index[station] for station in ids if station in index]
            for region, ids in (await regions.membership(self._connection)).items()
        }
        self._end = time.monotonic() + self._limit
        books = (self._draft, self._standing.book)
        # Where their local days differ, each looks by itself.
        days = {(book.base.offset, book.base.day_ends) for book in books}
        runs = [
            Rerun(
                group,
                stations=len(places),
                membership=members,
                step=asked.step or 0,
                since=int(asked.start.timestamp()),
                tick=self._tick,
            )
            for group in ([books] if len(days) == 1 else [books[:1], books[1:]])
        ]
        count = 0
        async for until, readings in self._readings(runs, index):
            began = time.monotonic()
            for run in runs:
                run.put(readings)
            count += len(readings)
            if asked.step is None:
                self._pace(runs, took=time.monotonic() - began, until=until)
        return self._result(runs, places, members, count)

    def _pace(self, runs: Sequence[Rerun], *, took: float, until: dt.datetime) -> None:
        """Decide less often from now on, where the rest would take too long like this."""
        rest = (self._question.end - until) / self._piece
        if took * rest > CAUTION * (self._end - time.monotonic()):
            for run in runs:
                run.step = min(WIDEST, max(60, 2 * run.step))

    async def _readings(
        self, runs: Sequence[Rerun], index: Mapping[int, int]
    ) -> AsyncIterator[tuple[dt.datetime, Readings]]:
        """Give what the windows need before the start, and then all of it, piece by piece."""
        asked = self._question
        elements = frozenset().union(*(run.elements for run in runs))
        at = asked.start - dt.timedelta(seconds=max(run.span for run in runs))
        seconds = min(86_400, max(600, 60 * ROWS // max(1, len(index))))
        self._piece = dt.timedelta(seconds=seconds)
        whole = (asked.end - at).total_seconds()
        began = at
        while at < asked.end:
            until = min(at + self._piece, asked.end)
            columns = await observations.window(
                self._connection, start=at, end=until, elements=elements
            )
            station = np.array([index.get(s, -1) for s in columns.station.tolist()], np.int64)
            readings = Readings(station, columns.time, columns.interval, columns.values)
            yield until, readings.where(station >= 0)
            at = until
            share = (at - began).total_seconds() / whole
            await trials.progress(self._connection, self.number, min(share, 0.999))
            self._tick(0)

    def _tick(self, _: int) -> None:
        if time.monotonic() > self._end:
            raise TimeoutError

    def _result(
        self,
        runs: Sequence[Rerun],
        places: Sequence[Station],
        members: Mapping[str, Sequence[int]],
        count: int,
    ) -> dict[str, Any]:
        asked, version = self._question, self._standing.version
        draft, standing = (openings for run in runs for openings in run.openings())
        offset = self._standing.book.base.offset
        return {
            "start": _iso(int(asked.start.timestamp())),
            "end": _iso(int(asked.end.timestamp())),
            "step": max(run.step for run in runs),
            "readings": count,
            "draft": {"version": asked.version, "digest": criteria.digest(asked.text)},
            "in_force": {
                "version": None if version is None else version.number,
                "digest": self._standing.digest,
            },
            "unknown_regions": sorted(self._draft.regions - members.keys()),
            "totals": totals(draft, standing),
            "days": days(draft, standing, offset=offset),
            "openings": {
                "draft": [described(each, places) for each in draft[:MOST]],
                "in_force": [described(each, places) for each in standing[:MOST]],
            },
            "left_off": max(0, len(draft) - MOST) + max(0, len(standing) - MOST),
        }


def bound() -> None:
    """Keep this process within its memory, and behind what is more urgent."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    os.nice(10)


def totals(draft: Sequence[Opening], standing: Sequence[Opening]) -> list[dict[str, Any]]:
    """Count the openings of each level on both sides.

    met: those at which the level was also observed. both: those of the draft that overlap one of
    the other side; later, met_later: seconds that they open, and are met, after it on average;
    below zero: before it.
    """
    found = []
    for hazard, level in _levels(draft, standing):
        mine = [o for o in draft if (o.hazard, o.level) == (hazard, level)]
        theirs = [o for o in standing if (o.hazard, o.level) == (hazard, level)]
        pairs = [(a, b) for a in mine if (b := _match(a, theirs)) is not None]
        found.append(
            {
                "hazard": hazard,
                "level": level,
                "draft": len(mine),
                "in_force": len(theirs),
                "draft_met": sum(o.met is not None for o in mine),
                "in_force_met": sum(o.met is not None for o in theirs),
                "both": len(pairs),
                "later": _mean([a.begin - b.begin for a, b in pairs]),
                "met_later": _mean(
                    [a.met - b.met for a, b in pairs if a.met is not None and b.met is not None]
                ),
            }
        )
    return found


def _mean(seconds: Sequence[int]) -> int | None:
    return round(sum(seconds) / len(seconds)) if seconds else None


def days(
    draft: Sequence[Opening], standing: Sequence[Opening], *, offset: int
) -> list[dict[str, Any]]:
    """Count the openings of each level by region and the local day on which they began."""
    counts: dict[tuple[str, str, str, str], list[int]] = {}
    for side, openings in enumerate((draft, standing)):
        for each in openings:
            day = _iso(each.begin + offset)[:10]
            counts.setdefault((each.hazard, each.level, each.region, day), [0, 0])[side] += 1
    order = sorted(counts, key=lambda k: (HAZARDS.index(k[0]), LEVELS.index(k[1]), k[2], k[3]))
    return [
        {
            **dict(zip(("hazard", "level", "region", "day"), key, strict=True)),
            "draft": counts[key][0],
            "in_force": counts[key][1],
        }
        for key in order
    ]


def described(opening: Opening, places: Sequence[Station]) -> dict[str, Any]:
    """Give an opening with names and times that people read."""
    return {
        "hazard": opening.hazard,
        "level": opening.level,
        "region": opening.region,
        "door": opening.door,
        "begin": _iso(opening.begin),
        "end": _iso(opening.end),
        "met": None if opening.met is None else _iso(opening.met),
        "evidence": [_evidence(item, places[item.station]) for item in opening.evidence],
    }


def _evidence(item: Evidence, place: Station) -> dict[str, Any]:
    return {
        "station": place.name,
        "zh": place.zh,
        "en": place.en,
        "element": item.element,
        "statistic": item.statistic,
        "window": item.window,
        "value": None if np.isnan(item.value) else item.value,
        "comparison": item.comparison,
        "threshold": item.threshold,
        "probability": item.probability,
        "time": _iso(item.time),
    }


def _levels(draft: Sequence[Opening], standing: Sequence[Opening]) -> list[tuple[str, str]]:
    found = {(each.hazard, each.level) for each in (*draft, *standing)}
    return sorted(found, key=lambda pair: (HAZARDS.index(pair[0]), LEVELS.index(pair[1])))


def _match(opening: Opening, others: Sequence[Opening]) -> Opening | None:
    """Give the first of the others in the same region that overlaps in time."""
    return next(
        (
            other
            for other in others
            if other.region == opening.region
            and other.begin <= opening.end
            and opening.begin <= other.end
        ),
        None,
    )


def _iso(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
