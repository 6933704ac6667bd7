"""Proposals that wait: events nobody has heard of yet, with what speaks for them, in words."""

from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.catalogue import Catalogue
from alerts.evidence import LEVELS
from alerts.queries import Queries
from alerts.regions import Region
from alerts.warning import Act, Warning  # noqa: A004 - the domain's own word
from alerts.wording import Bureau, Writer

_sql = Queries("alerts", "proposals.sql")

MOST = 1_000
"""Proposals in one answer."""


async def waiting(
    conn: psycopg.AsyncConnection[Any],
    *,
    catalogue: Catalogue,
    bureau: Bureau,
    hazard: str | None = None,
    region: str | None = None,
    limit: int = MOST,
) -> list[dict[str, Any]]:
    """Give the events that wait for a person or for another reading, the gravest first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        values = {"hazard": hazard, "region": region, "levels": list(LEVELS), "limit": limit}
        await cursor.execute(_sql.waiting, values)
        rows = await cursor.fetchall()
    return [
        _resource(
            msgspec.convert(row["warning"], Warning),
            msgspec.convert(row["region"], Region),
            catalogue=catalogue,
            bureau=bureau,
        )
        for row in rows
    ]


def _resource(
    warning: Warning, region: Region, *, catalogue: Catalogue, bureau: Bureau
) -> dict[str, Any]:
    """Give one as the interface shows it; lead: seconds to the onset, 0 when it has come."""
    ground = warning.ground
    chances = [item.probability for item in ground.evidence if item.probability is not None]
    return {
        "id": warning.id,
        "hazard": warning.hazard,
        "region": {"id": region.id, "zh": region.zh, "en": region.en, "sample": region.sample},
        "state": warning.state,
        "level": warning.level,
        "door": ground.door,
        "standing": ground.standing,
        "exercise": warning.exercise,
        "opened": warning.opened,
        "since": warning.since,
        "seen": ground.seen,
        "onset": ground.onset,
        "lead": max(0, round((ground.onset - ground.seen).total_seconds())),
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
                bureau=bureau,
                catalogue=catalogue,
                language=language,
            ).reason()
            for language in catalogue.languages
        },
    }
