"""Interface to what people do with warnings: begin one, and take every step of its life."""

import datetime as dt
import functools
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import psycopg
from fastapi import APIRouter, Request
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from alerts.bureau import policies
from alerts.bureau.policy import Policy
from alerts.life import diary, incidents, ledger
from alerts.life.acts import HANDS, StaleError, begin, perform
from alerts.life.changes import ActError, Changes, covers
from alerts.life.warning import Act, Led, Own, State, Step, TransitionError, Warning  # noqa: A004 - the domain's own word
from alerts.regions import Region
from alerts.rights import Person, RightsError
from forecast.criteria import HAZARDS, LEVELS, CriteriaError
from server import exercise
from server.accounts.audit import audit
from server.desk import desk, policy_file
from server.store import criteria
from server.store.connection import Connection
from server.web import permit
from server.web.answers import Json, one_of
from server.web.context import Context
from server.web.desk import views
from server.web.problems import Problem

LONGEST = 262_144
"""Bytes of a request, mostly the area's corners."""

NOT_KEPT = {"cache-control": "no-store"}

_Note = Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^[^\x00]*$")]
_Name = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[^\x00]*$")]


class _Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every act may carry."""

    note: _Note = ""
    onset: dt.datetime | UnsetType | None = UNSET
    expires: dt.datetime | UnsetType | None = UNSET
    text: dict[_Name, Own] | UnsetType | None = UNSET
    area: dict[str, Any] | UnsetType | None = UNSET


class _Begin(_Given, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hazard: _Name
    region: _Name
    level: _Name
    exercise: bool = False


class _Do(_Given, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    level: _Name | UnsetType = UNSET
    led: Led | None = None


_begin = msgspec.json.Decoder(_Begin)
_do = msgspec.json.Decoder(_Do)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1/warnings", tags=["warnings"])
    hands = _Hands(context)

    @api.post("")
    async def draft(request: Request) -> Response:
        """Begin a draft; an exercise is one from here on, whatever becomes of it."""
        by = await permit.need(request, context)
        given = await permit.read(request, _begin, longest=LONGEST)
        return Json(await hands.begin(by, given), 201, headers=NOT_KEPT)

    @api.get("/{identifier}/acts")
    async def history(identifier: uuid.UUID, request: Request) -> Response:
        """Give who did what when, the first first."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            found = await diary.acts(conn, identifier)
        if not found:
            raise Problem(404, f"no warning {identifier}")
        return Json({"acts": found}, headers=NOT_KEPT)

    for act in HANDS:
        _offer(api, context, hands, act)
    return api


def _offer(api: APIRouter, context: Context, hands: "_Hands", act: Act) -> None:
    """Add the route of one act."""

    @api.post(f"/{{identifier}}/{act}", name=f"{act} a warning")
    async def do(identifier: uuid.UUID, request: Request) -> Response:
        """Take this step with the version that was seen; 409 where it is not that any more."""
        by = await permit.need(request, context)
        given = await permit.read(request, _do, longest=LONGEST)
        return Json(await hands.do(by, identifier, act, given), headers=NOT_KEPT)


class _Hands:
    """Does what is asked for, each in one transaction."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @functools.cached_property
    def _desk(self) -> ledger.Desk:
        """The desk with the policy that ships with Fenghuo; each act puts the present one there."""
        return desk(self._context.settings, Policy.load(), self._context.catalogue)

    async def begin(self, by: Person, given: _Begin) -> dict[str, Any]:
        """Begin a draft and give it; raises Problem."""
        one_of(given.hazard, name="hazard", allowed=HAZARDS)
        try:
            async with self._context.database.connection() as conn:
                return await self._begin(conn, by, given)
        except psycopg.errors.UniqueViolation:
            raise Problem(
                409, "somebody, or the watch, has begun this very event just now: look again"
            ) from None

    async def _begin(self, conn: Connection, by: Person, given: _Begin) -> dict[str, Any]:
        now, replayed = await _now(conn, self._context)
        region = await incidents.place(conn, given.region)
        if region is None:
            raise Problem(400, f"region: there is no region {given.region!r}", parameter="region")
        await _has(conn, self._context, given.hazard, region, given.level, at=now)
        policy = await policies.in_force(conn, policy_file(self._context.settings))
        # In the database of a replayed event everything is an exercise.
        practice = given.exercise or replayed
        there = await diary.standing(
            conn, hazard=given.hazard, region=given.region, exercise=practice
        )
        view = views.of(self._context, person=by, policy=policy)
        if there is not None and there.state is not State.DISMISSED:
            raise Problem(
                409,
                f"there is such an event already, and it is {there.state}: go on with that one",
                warning=incidents.resource(there, region, view=view),
            )
        changes, terms = _changes(given, self._context), policy.terms(given.hazard)
        _lies_in(region, changes)
        with _Answers(there, region, view):
            if there is None:
                step = begin(
                    id=uuid.uuid4(),
                    hazard=given.hazard,
                    region=given.region,
                    level=given.level,
                    exercise=practice,
                    by=by,
                    at=now,
                    terms=terms,
                    changes=changes,
                    note=given.note,
                )
                steps: tuple[Step, ...] = (step,)
            else:
                steps = perform(
                    there,
                    Act.DRAFT,
                    version=there.version,
                    by=by,
                    at=now,
                    terms=terms,
                    changes=msgspec.structs.replace(changes, level=given.level),
                    note=given.note,
                )
        return await self._record(conn, steps, region, policy=policy, view=view)

    async def do(self, by: Person, identifier: uuid.UUID, act: Act, given: _Do) -> dict[str, Any]:
        """Take a step and give the event after it; raises Problem."""
        context = self._context
        async with context.database.connection() as conn:
            now, _ = await _now(conn, context)
            warning = await diary.hold(conn, identifier)
            region = None if warning is None else await incidents.place(conn, warning.region)
            if warning is None or region is None:
                raise Problem(404, f"no warning {identifier}")
            if given.level is not UNSET:
                await _has(conn, context, warning.hazard, region, given.level, at=now)
            policy = await policies.in_force(conn, policy_file(context.settings))
            view = views.of(context, person=by, policy=policy)
            changes = msgspec.structs.replace(_changes(given, context), level=given.level)
            _lies_in(region, changes)
            with _Answers(warning, region, view):
                steps = perform(
                    warning,
                    act,
                    version=given.version,
                    by=by,
                    at=now,
                    terms=policy.terms(warning.hazard),
                    two=policy.approval.two,
                    changes=changes,
                    led=given.led,
                    note=given.note,
                )
            return await self._record(conn, steps, region, policy=policy, view=view)

    async def _record(
        self,
        conn: Connection,
        steps: Sequence[Step],
        region: Region,
        *,
        policy: Policy,
        view: incidents.View,
    ) -> dict[str, Any]:
        with_policy = msgspec.structs.replace(self._desk, policy=policy)
        await ledger.record_all(conn, steps, desk=with_policy)
        last = steps[-1]
        await audit(
            conn,
            person=view.person,
            act=f"warning.{steps[0].act}",
            subject=f"warning/{last.warning.id}",
            detail=_detail(last),
            at=self._context.wall.now(),
        )
        return incidents.resource(last.warning, region, view=view)


def _detail(step: Step) -> dict[str, Any]:
    """Say what the audit keeps of an act."""
    warning = step.warning
    return {
        "hazard": warning.hazard,
        "region": warning.region,
        "level": warning.level,
        "exercise": warning.exercise,
        "state": warning.state,
        "version": warning.version,
        "at": warning.decided,
        "note": step.note,
    }


async def _now(conn: Connection, context: Context) -> tuple[dt.datetime, bool]:
    """Give the moment that is decided by, in whole seconds, and whether an event is replayed."""
    event = await exercise.read(conn)
    now = context.clock.now() if event is None else event.time
    return now.replace(microsecond=0), event is not None


async def _has(
    conn: Connection, context: Context, hazard: str, region: Region, level: str, *, at: dt.datetime
) -> None:
    """Raise Problem where the criteria in force know the danger, but not at this level."""
    try:
        standing = await criteria.in_force(conn, context.settings, at=at)
    except CriteriaError:
        return  # what cannot be read keeps nobody from warning
    signals = standing.book.resolved(region.id, int(at.timestamp())).signals
    levels = [each.name for signal in signals if signal.hazard == hazard for each in signal.levels]
    if levels and level in LEVELS and level not in levels:
        there = ", ".join(levels)
        raise Problem(422, f"level: {hazard} has no level {level!r} here, but {there}")


def _changes(given: _Given, context: Context) -> Changes:
    """Give what a person sets; raises Problem for words in a language that nobody is written to."""
    if given.text is not UNSET and given.text is not None:
        unknown = given.text.keys() - set(context.catalogue.languages)
        if unknown:
            known = ", ".join(context.catalogue.languages)
            raise Problem(422, f"text: messages are written in {known}, not in {min(unknown)!r}")
    return Changes(onset=given.onset, expires=given.expires, text=given.text, area=given.area)


def _lies_in(region: Region, changes: Changes) -> None:
    """Raise Problem where the area that was drawn is somewhere else than the region."""
    if changes.area is UNSET or changes.area is None:
        return
    try:
        there = covers(region, changes.area)
    except ActError as error:
        raise Problem(422, f"{error}") from None
    if not there:
        raise Problem(422, f"area: it does not touch the region {region.id!r}")


class _Answers:
    """Turns what an act raises into the answer: 401, 403, 409 with the present state, 422."""

    def __init__(self, warning: Warning | None, region: Region, view: incidents.View) -> None:
        self._warning, self._region, self._view = warning, region, view

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case RightsError():
                status = 401 if error.code == "signin" else 403
                raise Problem(status, f"{error}", reason=error.code) from None
            case StaleError() | TransitionError():
                raise Problem(409, f"{error}", **self._present()) from None
            case ActError():
                raise Problem(422, f"{error}") from None

    def _present(self) -> Mapping[str, Any]:
        if self._warning is None:
            return {}
        return {"warning": incidents.resource(self._warning, self._region, view=self._view)}
