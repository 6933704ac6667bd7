"""Interface to how good the warnings were that this centre gave, by the readings it has."""

import asyncio
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query
from starlette.responses import Response

from alerts import regions
from alerts.life import inforce
from alerts.life.inforce import Spell
from alerts.queries import Queries
from forecast.criteria import LEVELS, Criteria
from forecast.verification import warned
from forecast.verification.card import Rules
from forecast.verification.events import Stretches, stretches
from forecast.verification.record import MET, Grade, Record
from forecast.verification.run import run, warm
from forecast.verification.warned import Tally, Warned
from server.archives.stored import StoredArchive
from server.store import criteria as standing
from server.web.answers import Json, moment
from server.web.context import Context
from server.web.problems import Problem

_sql = Queries("server.web", "queries.sql")

SPAN: Final = dt.timedelta(days=92)
"""Longest time of one answer."""

WEEK: Final = dt.timedelta(days=7)

READINGS: Final = 500_000
"""Readings that are looked at for one answer at most; `fenghuo verify` takes any number."""

SPELLS: Final = 10_000
"""Messages that are looked at at most."""

TOLD: Final = 500
"""Events, and warnings that nothing came of, in one answer; the newest."""


def router(context: Context) -> APIRouter:
    """Give the route."""
    api = APIRouter(prefix="/api/v1", tags=["verification"])
    turn = asyncio.Lock()

    @api.get("/verification")
    async def verification(
        start: Annotated[str | None, Query(description="ISO 8601 with zone; exclusive")] = None,
        end: Annotated[str | None, Query(description="ISO 8601 with zone; inclusive")] = None,
    ) -> Response:
        """Set the warnings that were given beside what the stored readings say came.

        Without a time, the last seven days. At most 92 days and half a million readings; the
        command ``fenghuo verify --database`` has no such bounds and says more.
        """
        until = moment(end, name="end", default=context.live.now)
        since = moment(start, name="start", default=until - WEEK)
        if since >= until:
            raise Problem(400, "start: must be before end", parameter="start")
        if until - since > SPAN:
            raise Problem(400, f"start: at most {SPAN.days} days at a time", parameter="start")
        # One at a time: it computes, and the stream has to go on.
        async with turn:
            return Json(await _answer(context, since, until))

    return api


async def _answer(context: Context, start: dt.datetime, end: dt.datetime) -> dict[str, Any]:
    async with context.database.connection() as conn:
        book = (await standing.in_force(conn, context.settings, at=end)).book
        criteria = book.base
        before = start - dt.timedelta(seconds=warm(criteria, None))
        bounds = {"start": before, "end": end, "limit": READINGS + 1}
        row = await (await conn.execute(_sql.readings_at_most, bounds)).fetchone()
        count = int(row[0]) if row else 0
        if count > READINGS:
            raise Problem(
                413,
                f"more than {READINGS:,} readings: choose a shorter time, or use the command "
                "fenghuo verify --database",
                parameter="start",
            )
        found = await inforce.spells(conn, start=start, end=end, limit=SPELLS + 1)
        if len(found) > SPELLS:
            raise Problem(413, "too many warnings: choose a shorter time", parameter="start")
        every = await regions.load(conn)
    archive = None
    if count:
        elements = frozenset(condition.element for condition in criteria.conditions)
        archive = await StoredArchive.open(context.database, elements=elements)
    names = {region.id: {"id": region.id, "zh": region.zh, "en": region.en} for region in every}
    levels = await asyncio.to_thread(
        _levels,
        archive,
        criteria,
        list(names),
        found,
        start=int(start.timestamp()),
        end=int(end.timestamp()),
    )
    return {
        "start": start,
        "end": end,
        "readings": count,
        "exercise": any(spell.exercise for spell in found),
        "gap": Rules().gap,
        **_described(levels, names),
    }


@dataclass(frozen=True, slots=True)
class _Level:
    grade: Grade
    within: int
    warned: Warned


def _levels(
    archive: StoredArchive | None,
    criteria: Criteria,
    names: Sequence[str],
    spells: Sequence[Spell],
    *,
    start: int,
    end: int,
) -> list[_Level]:
    """Find the events of every level and set the warnings beside them; in a thread."""
    record = None
    if archive is not None:
        batches = archive.readings(start=start - warm(criteria, None), end=end)
        record = run(batches, criteria=criteria, stations=len(archive.places), since=start)
    members = [
        [n for n, place in enumerate(archive.places) if name in place.regions] if archive else []
        for name in names
    ]
    number = {name: n for n, name in enumerate(names)}
    found = []
    for signal in criteria.signals:
        for level in signal.working:
            grade = Grade(signal.hazard, level.name)
            events = _events(record, grade, members)
            mine = [s for s in spells if s.hazard == signal.hazard and s.region in number]
            warnings = _warnings(mine, level.name, number, end=end)
            judged = warned.judge(events, warnings, ahead=level.within)
            if len(events) or len(warnings):
                found.append(_Level(grade, level.within, judged))
    return found


def _events(record: Record | None, grade: Grade, members: Sequence[Sequence[int]]) -> Stretches:
    if record is None or not len(record.times) or not members:
        nothing = np.zeros(0, np.int64)
        return Stretches(nothing, nothing, nothing)
    met = record.dense(grade, members=members).has(MET)
    return stretches(met, record.times, gap=Rules().gap)


def _warnings(
    spells: Iterable[Spell], level: str, number: Mapping[str, int], *, end: int
) -> Stretches:
    """Join the messages of each warning while it stands at a level or above it."""
    rows: list[list[int]] = []
    last: dict[Any, list[int]] = {}
    for spell in sorted(spells, key=lambda spell: (str(spell.warning), spell.sent)):
        if LEVELS.index(spell.level) < LEVELS.index(level):
            continue
        first = int(spell.sent.timestamp())
        until = int(spell.until.timestamp()) if spell.until else end
        before = last.get(spell.warning)
        if before is not None and before[2] >= first:
            before[2] = max(before[2], until)
            continue
        rows.append([number[spell.region], first, until])
        last[spell.warning] = rows[-1]
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Stretches(table[:, 0], table[:, 1], table[:, 2])


def _described(levels: Sequence[_Level], names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    places = list(names.values())
    events = [item for level in levels for item in _told(level, places)]
    false = [item for level in levels for item in _false(level, places)]
    return {
        "levels": [
            {
                "hazard": level.grade.hazard,
                "level": level.grade.level,
                "within": level.within,
                **_score(Tally.of(level.warned)),
            }
            for level in levels
        ],
        "events": sorted(events, key=lambda item: str(item["begin"]), reverse=True)[:TOLD],
        "false_alarms": sorted(false, key=lambda item: str(item["begin"]), reverse=True)[:TOLD],
    }


def _score(tally: Tally) -> dict[str, Any]:
    return {
        "events": tally.events,
        "before": tally.before,
        "during": tally.during,
        "missed": tally.events - tally.before - tally.during,
        "warnings": tally.warnings,
        "false_alarms": tally.false_alarms,
        "pod": _rounded(tally.pod, 4),
        "far": _rounded(tally.far, 4),
        "csi": _rounded(tally.csi, 4),
        "lead": _rounded(tally.minutes, 1),
    }


def _told(level: _Level, places: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    found = level.warned
    for place, first, last, since, lead in zip(
        found.events.place.tolist(),
        found.events.first.tolist(),
        found.events.last.tolist(),
        found.since.tolist(),
        found.lead.tolist(),
        strict=True,
    ):
        yield {
            "hazard": level.grade.hazard,
            "level": level.grade.level,
            "region": places[place],
            "begin": _time(first),
            "end": _time(last),
            "warned": _time(since) if since >= 0 else None,
            "lead": lead / 60,
        }


def _false(level: _Level, places: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    wrong = level.warned.warnings.where(~level.warned.true)
    for place, first, last in zip(
        wrong.place.tolist(), wrong.first.tolist(), wrong.last.tolist(), strict=True
    ):
        yield {
            "hazard": level.grade.hazard,
            "level": level.grade.level,
            "region": places[place],
            "begin": _time(first),
            "end": _time(last),
        }


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
