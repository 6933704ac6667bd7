"""People made in the database itself, with the wishes that a test wants."""

from typing import Any

import psycopg

PERSON = """
WITH made AS (
    INSERT INTO subscriber (
        name, tier, language, lowest, hazards, regions, groups, turn, quiet_from, quiet_until,
        digest
    )
    SELECT '\\x0078'::bytea, %(tier)s, %(language)s, %(lowest)s, %(hazards)s, %(regions)s,
        %(groups)s, %(turn)s, %(quiet_from)s, %(quiet_until)s, %(digest)s
    FROM generate_series(1, %(number)s)
    RETURNING id
), reached AS (
    INSERT INTO contact (subscriber, channel, address, digest, confirmed)
    SELECT id, channel, '\\x00'::bytea || convert_to('+8619900' || id, 'UTF8'),
        convert_to(channel || id, 'UTF8'), now()
    FROM made CROSS JOIN unnest(%(channels)s::text[]) AS channel
)
SELECT array_agg(id ORDER BY id) FROM made
"""


async def people(
    conn: psycopg.AsyncConnection[Any], regions: list[str], *, number: int = 1, **more: Any
) -> list[int]:
    """Add people who want all of some regions; more: columns of theirs, and ``channels``."""
    values = {
        "tier": "public", "language": "zh", "lowest": "blue", "hazards": [], "groups": [],
        "turn": 0, "quiet_from": None, "quiet_until": None, "digest": False, "channels": ["sms"],
        **more,
    }  # fmt: skip
    cursor = await conn.execute(PERSON, {**values, "regions": regions, "number": number})
    row = await cursor.fetchone()
    assert row is not None
    return list(row[0])
