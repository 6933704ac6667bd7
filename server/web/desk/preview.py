"""Interface to what a message would say, and whom it would reach, before anybody decides."""

import datetime as dt
import uuid
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from msgspec import UNSET, UnsetType
from starlette.responses import Response

from alerts.areas import draw
from alerts.bureau import policies
from alerts.bureau.policy import Policy
from alerts.life import incidents
from alerts.life.acts import begin
from alerts.life.changes import ActError, Changes
from alerts.life.warning import CLOSED, PUBLISHING, Act, Own, Warning  # noqa: A004 - the domain's own word
from alerts.regions import Region, RegionError
from alerts.rights import Person, RightsError
from alerts.texts import preview
from forecast.criteria import HAZARDS
from server import exercise
from server.desk import desk, policy_file
from server.store.connection import Connection
from server.web import permit
from server.web.answers import Json, one_of
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 262_144
"""Bytes of a request."""

_Name = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[^\x00]*$")]


class _Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be changed; act: what would be published, empty: what comes next."""

    act: str = ""
    level: _Name | UnsetType = UNSET
    onset: dt.datetime | UnsetType | None = UNSET
    expires: dt.datetime | UnsetType | None = UNSET
    text: dict[_Name, Own] | UnsetType | None = UNSET
    area: dict[str, Any] | UnsetType | None = UNSET
    version: int | None = None
    note: str = ""

    @property
    def changes(self) -> Changes:
        """Give them as the acts take them."""
        return Changes(
            level=self.level,
            onset=self.onset,
            expires=self.expires,
            text=self.text,
            area=self.area,
        )


class _Draft(_Given, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hazard: _Name
    region: _Name
    exercise: bool = False


_given = msgspec.json.Decoder(_Given)
_draft = msgspec.json.Decoder(_Draft)


def router(context: Context) -> APIRouter:
    """Give the routes; they stand before those of the acts."""
    api = APIRouter(prefix="/api/v1/warnings", tags=["warnings"])

    @api.post("/preview")
    async def draft(request: Request) -> Response:
        """Show what would be said of an event that is not there yet; nothing is kept."""
        by = await permit.need(request, context)
        given = await permit.read(request, _draft, longest=LONGEST)
        one_of(given.hazard, name="hazard", allowed=HAZARDS)
        async with context.database.connection() as conn:
            region = await incidents.place(conn, given.region)
            if region is None:
                raise Problem(400, f"region: there is no region {given.region!r}")
            policy = await policies.in_force(conn, policy_file(context.settings))
            now, replayed = await _now(conn, context)
            warning = _begun(given, by=by, at=now, policy=policy, practice=replayed)
            return await _answer(conn, context, warning, region, given, by=by, policy=policy)

    @api.post("/{identifier}/preview")
    async def one(identifier: uuid.UUID, request: Request) -> Response:
        """Show what would be said of an event with these changes; nothing is kept."""
        by = await permit.need(request, context)
        given = await permit.read(request, _given, longest=LONGEST)
        async with context.database.connection() as conn:
            known = await incidents.find(conn, [identifier])
            if identifier not in known:
                raise Problem(404, f"no warning {identifier}")
            warning, region = known[identifier]
            policy = await policies.in_force(conn, policy_file(context.settings))
            return await _answer(conn, context, warning, region, given, by=by, policy=policy)

    return api


def _begun(
    given: _Draft, *, by: Person, at: dt.datetime, policy: Policy, practice: bool
) -> Warning:
    """Give the event as it would begin; raises Problem."""
    if given.level is UNSET:
        raise Problem(400, "level: say which", parameter="level")
    try:
        return begin(
            id=uuid.uuid4(),
            hazard=given.hazard,
            region=given.region,
            level=given.level,
            exercise=given.exercise or practice,
            by=by,
            at=at,
            terms=policy.terms(given.hazard),
        ).warning
    except RightsError as error:
        raise Problem(403, f"{error}", reason=error.code) from None
    except ActError as error:
        raise Problem(422, f"{error}") from None


async def _answer(
    conn: Connection,
    context: Context,
    warning: Warning,
    region: Region,
    given: _Given,
    *,
    by: Person,
    policy: Policy,
) -> Response:
    act = _act(given.act) if given.act else preview.likely(warning)
    now, _ = await _now(conn, context)
    try:
        if isinstance(given.area, dict):
            draw(given.area)
        step = preview.imagined(
            warning,
            act,
            given.changes,
            author=by.name,
            at=max(now, warning.decided),
            terms=policy.terms(warning.hazard),
        )
    except (ActError, RegionError) as error:
        raise Problem(422, f"{error}") from None
    words = desk(context.settings, policy, context.catalogue)
    found = await preview.preview(conn, step, region, desk=words)
    return Json(found, headers={"cache-control": "no-store"})


def _act(name: str) -> Act:
    """Read an act that somebody hears of; raises Problem."""
    known = sorted(PUBLISHING | CLOSED)
    if name not in known:
        raise Problem(400, f"act: {name!r} is not one of {', '.join(known)}", parameter="act")
    return Act(name)


async def _now(conn: Connection, context: Context) -> tuple[dt.datetime, bool]:
    event = await exercise.read(conn)
    now = context.clock.now() if event is None else event.time
    return now.replace(microsecond=0), event is not None
