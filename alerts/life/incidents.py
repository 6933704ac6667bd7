"""An event as the desk sees it: what speaks for it, what was written, and what may be done now."""

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.catalogue import Catalogue
from alerts.life.acts import allowed
from alerts.life.evidence import LEVELS
from alerts.life.warning import Act, Suggestion, Warning  # noqa: A004 - the domain's own word
from alerts.queries import Queries
from alerts.regions import Region
from alerts.rights import Person
from alerts.texts.facts import Facts
from alerts.texts.wording import Bureau, Writer

_sql = Queries("alerts.life", "incidents.sql")

MOST = 1_000
"""Events in one answer."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks, when, and by which words; two: levels that need a second person.

    Nobody signed in sees what speaks for an event, not what was written or by whom.
    """

    catalogue: Catalogue
    bureau: Bureau
    now: dt.datetime
    person: Person | None = None
    two: Collection[str] = ()


async def waiting(
    conn: psycopg.AsyncConnection[Any],
    *,
    view: View,
    hazard: str | None = None,
    region: str | None = None,
    limit: int = MOST,
) -> list[dict[str, Any]]:
    """Give the events that wait for a person or for another reading, the gravest first."""
    values = {"hazard": hazard, "region": region, "levels": list(LEVELS), "limit": limit}
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.waiting, values)
        return [resource(*_read(row), view=view) for row in await cursor.fetchall()]


async def find(
    conn: psycopg.AsyncConnection[Any], ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, tuple[Warning, Region]]:
    """Give events with their places, by id."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.find, {"ids": list(ids)})
        rows = [_read(row) for row in await cursor.fetchall()]
    return {warning.id: (warning, region) for warning, region in rows}


async def place(conn: psycopg.AsyncConnection[Any], region: str) -> Region | None:
    """Give a place by its id."""
    row = await (await conn.execute(_sql.place, {"id": region})).fetchone()
    return None if row is None else msgspec.convert(row[0], Region)


def _read(row: dict[str, Any]) -> tuple[Warning, Region]:
    return msgspec.convert(row["warning"], Warning), msgspec.convert(row["region"], Region)


def resource(warning: Warning, region: Region, *, view: View) -> dict[str, Any]:
    """Give an event as the interface shows it; lead: seconds to the onset, 0 when it has come."""
    ground = warning.ground
    onset = warning.onset or ground.onset
    chances = [item.probability for item in ground.evidence if item.probability is not None]
    return {
        "id": warning.id,
        "hazard": warning.hazard,
        "region": {"id": region.id, "zh": region.zh, "en": region.en, "sample": region.sample},
        "state": warning.state,
        "level": warning.level,
        "door": warning.door,
        "standing": ground.standing,
        "exercise": warning.exercise,
        "opened": warning.opened,
        "since": warning.since,
        "seen": ground.seen,
        "onset": onset,
        "expires": warning.expires,
        "sent": warning.sent,
        "ended": warning.ended,
        "lead": max(0, round((onset - max(ground.seen, warning.decided)).total_seconds())),
        "probability": max(chances, default=None),
        "stations": len({item.station for item in ground.evidence}),
        "radar": ground.radar,
        "evidence": msgspec.to_builtins(ground.evidence),
        "unsure": {
            "level": ground.higher,
            "standing": ground.doubt,
            "evidence": msgspec.to_builtins(ground.unsure),
        }
        if ground.higher
        else None,
        "reason": {
            language: Writer(
                warning,
                act=Act.ISSUE,
                at=warning.decided,
                region=region,
                bureau=view.bureau,
                catalogue=view.catalogue,
                language=language,
            ).reason()
            for language in view.catalogue.languages
        },
        **life(warning, view=view),
    }


def life(warning: Warning, *, view: View) -> dict[str, Any]:
    """Give who leads an event, what was written, and what may be done with it now.

    remaining: seconds until it runs out, None where it is not in force.
    """
    left = max(0, round((warning.expires - view.now).total_seconds()))
    seen = {
        "version": warning.version,
        "led": warning.led,
        "veto_until": warning.veto_until,
        "remaining": left if warning.published else None,
        "may": allowed(warning, view.person, two=view.two),
    }
    if view.person is None:
        return seen
    return {
        **seen,
        "author": warning.author or None,
        "approver": warning.approver or None,
        "barred": warning.barred or None,
        "reminded": 0 < warning.reminded == warning.number,
        "until": warning.until,
        "text": msgspec.to_builtins(warning.text),
        "area": warning.area,
        "notices": warning.notices,
        "suggestion": _advice(warning, warning.suggestion, view),
    }


def _advice(warning: Warning, asked: Suggestion | None, view: View) -> dict[str, Any] | None:
    """Give a suggestion with its reason in words."""
    if asked is None:
        return None
    return {
        **msgspec.structs.asdict(asked),
        "reason": {
            language: _sentence(warning, asked, view, language)
            for language in view.catalogue.languages
        },
    }


def _sentence(warning: Warning, asked: Suggestion, view: View, language: str) -> str:
    words = view.catalogue
    level = words.text(f"warning.level.{asked.level}.name", language)
    if asked.by:
        return words.text(f"act.asked.{asked.act}", language, name=asked.by, level=level)
    facts = Facts(warning, catalogue=words, language=language, zone=view.bureau.local, sense="eye")
    time = facts.moment(asked.since)
    return words.text(f"act.suggest.{asked.act}", language, level=level, time=time)
