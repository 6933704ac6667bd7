"""Who is told: the people who asked for a danger at a place from some level on."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from alerts.catalogue import LANGUAGES, Catalogue
from alerts.policy import TIERS, Tier
from alerts.queries import Queries
from alerts.regions import Region

_sql = Queries("alerts", "audience.sql")

SAMPLE_PHONE = "+861990000{:04}"
"""The range of sample numbers; the exercise phone answers for all of them."""

SAMPLES = 10_000
"""Numbers in that range."""


class Subscriber(msgspec.Struct, frozen=True, kw_only=True):
    """A person. lowest: the lowest level wanted; no hazards: every one."""

    name: str
    phone: str
    language: str
    tier: Tier
    lowest: str = "blue"
    hazards: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


def sample(regions: Sequence[Region], *, catalogue: Catalogue | None = None) -> list[Subscriber]:
    """Give each region an official, an information officer and a member of the public.

    The public of every second region reads English. Raises ValueError for more regions than
    there are sample numbers.
    """
    words = catalogue or Catalogue.load()
    people = [(place, region, tier) for place, region in enumerate(regions) for tier in TIERS]
    if len(people) > SAMPLES:
        raise ValueError(f"{len(regions)} regions are too many for sample subscribers")
    found = []
    for number, (place, region, tier) in enumerate(people):
        language = LANGUAGES[place % 2] if tier == "public" else LANGUAGES[0]
        found.append(
            Subscriber(
                name=words.text(f"warning.sample.{tier}", language, region=region.name(language)),
                phone=SAMPLE_PHONE.format(number),
                language=language,
                tier=tier,
                regions=(region.id,),
            )
        )
    return found


async def save(conn: psycopg.AsyncConnection[Any], subscribers: Sequence[Subscriber]) -> None:
    """Add people, or change those whose number is there."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            _sql.save,
            [
                {
                    **msgspec.structs.asdict(person),
                    "hazards": list(person.hazards),
                    "regions": list(person.regions),
                }
                for person in subscribers
            ],
        )


async def count(
    conn: psycopg.AsyncConnection[Any], *, hazard: str, region: str, level: str
) -> dict[str, int]:
    """Give how many people of each tier asked for this."""
    values = {"hazard": hazard, "region": region, "level": level}
    rows = await (await conn.execute(_sql.count, values)).fetchall()
    return dict(rows)
