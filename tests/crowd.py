"""Many people with a telephone, sealed as they always are; one in a hundred is an official."""

import datetime as dt

import psycopg

from tests.samples import REGION, SEAL, START

OFFICIALS = 100
"""Every so-manyth is one."""


def number(place: int) -> str:
    return f"+86199{place:08}"


def official(phone: str) -> bool:
    return int(phone[-8:]) % OFFICIALS == 0


def fill(url: str, count: int, *, at: dt.datetime = START) -> None:
    """Add so many to a database that has none."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO subscriber (name, language, tier, lowest, regions, added)"
            " SELECT %s, 'zh', CASE WHEN n %% %s = 0 THEN 'official' ELSE 'public' END,"
            " 'blue', ARRAY[%s], %s FROM generate_series(1, %s) AS n",
            (SEAL.seal("某人"), OFFICIALS, REGION.id, at, count),
        )
        ids = [key for (key,) in conn.execute("SELECT id FROM subscriber ORDER BY id")]
        columns = "subscriber, channel, address, digest, hint, confirmed, added"
        with conn.cursor().copy(f"COPY contact ({columns}) FROM STDIN") as copy:
            for place, key in enumerate(ids, start=1):
                phone = number(place)
                sealed, digest = SEAL.seal(phone), SEAL.digest("sms", phone)
                copy.write_row((key, "sms", sealed, digest, f"…{phone[-4:]}", at, at))
        conn.commit()
        conn.execute("ANALYZE subscriber")
        conn.execute("ANALYZE contact")
