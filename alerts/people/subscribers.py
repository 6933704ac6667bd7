"""Who is told: the people and outlets that asked for a danger at a place from some level on.

Names and addresses are sealed and found by digest (`alerts.people.sealing`); what a page may show
of an address is its hint. Everything here runs in its caller's transaction.
"""

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import msgspec
import psycopg
from psycopg.rows import dict_row

from alerts.bureau.policy import PEOPLE, Level, Tier
from alerts.catalogue import LANGUAGES, Catalogue
from alerts.people import contacts
from alerts.people.contacts import Address
from alerts.people.sealing import Seal
from alerts.queries import Queries
from alerts.regions import Region

_sql = Queries("alerts.people", "subscribers.sql")

Source: TypeAlias = Literal["import", "self", "sample", "outlet"]

LEVELS: tuple[Level, ...] = get_args(Level)

SAMPLE_PHONE = "+861990000{:04}"
"""The range of sample numbers; the exercise phone answers for all of them."""

SAMPLES = 10_000
"""Numbers in that range."""

BATCH = 1_000
"""People written together."""

MOST = 1_000
"""People in one answer."""


_Key: TypeAlias = tuple[str, bytes]
_Holder: TypeAlias = tuple[int, str]


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to hear.

    lowest: the lowest level wanted; no hazards: every one; quiet_from, quiet_until: local times
    between which nothing but red comes; digest: what is not urgent comes once a day.
    """

    language: str = LANGUAGES[0]
    lowest: Level = "blue"
    hazards: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    quiet_from: dt.time | None = None
    quiet_until: dt.time | None = None
    digest: bool = False


class Subscriber(Wishes, frozen=True, kw_only=True):
    """A recipient.

    addresses: where they are reached, the one they are known by first. post: office and position.
    turn: place in the order in which a group is called, 1 first; 0: none.
    """

    name: str
    tier: Tier
    addresses: tuple[Address, ...]
    post: str = ""
    groups: tuple[str, ...] = ()
    turn: int = 0
    source: Source = "import"


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """What may be seen of an address. confirmed: by a code sent to it, or by a bureau's list."""

    channel: str
    hint: str
    confirmed: bool


class Known(Wishes, frozen=True, kw_only=True):
    """A recipient as stored; the name is opened, the addresses are not."""

    id: int
    tier: Tier
    name: str
    post: str
    groups: tuple[str, ...]
    turn: int
    source: Source
    added: dt.datetime
    left_at: dt.datetime | None
    erased: dt.datetime | None
    contacts: tuple[Contact, ...]

    @property
    def listed(self) -> bool:
        """Whether the bureau keeps this entry, and not the person."""
        return self.source == "import" and self.tier in {"official", "officer"}


class Saved(NamedTuple):
    """ids: of the people, in their order; added: how many of them are new."""

    ids: list[int]
    added: int


def sample(regions: Sequence[Region], *, catalogue: Catalogue | None = None) -> list[Subscriber]:
    """Give each region an official, an information officer and a member of the public.

    The public of every second region reads English. Raises ValueError for more regions than
    there are sample numbers.
    """
    words = catalogue or Catalogue.load()
    people = [(place, region, tier) for place, region in enumerate(regions) for tier in PEOPLE]
    if len(people) > SAMPLES:
        raise ValueError(f"{len(regions)} regions are too many for sample subscribers")
    found = []
    for number, (place, region, tier) in enumerate(people):
        language = LANGUAGES[place % 2] if tier == "public" else LANGUAGES[0]
        found.append(
            Subscriber(
                name=words.text(f"warning.sample.{tier}", language, region=region.name(language)),
                addresses=(contacts.read("sms", SAMPLE_PHONE.format(number)),),
                language=language,
                tier=tier,
                regions=(region.id,),
                source="sample",
            )
        )
    return found


async def save(
    conn: psycopg.AsyncConnection[Any],
    people: Iterable[Subscriber],
    *,
    seal: Seal,
    at: dt.datetime,
    rejoin: bool = False,
) -> Saved:
    """Add people, or change those who are known: by the first address, or another and the name.

    Addresses take the place of the known ones of the same channel; one that somebody else has
    stays with them. rejoin: whoever had left hears again; otherwise they stay away.
    """
    await conn.execute(_sql.alone)
    ids: list[int] = []
    added = 0
    rest = iter(people)
    while batch := list(itertools.islice(rest, BATCH)):
        numbers, new = await _save(conn, batch, seal=seal, at=at, rejoin=rejoin)
        ids += numbers
        added += new
    return Saved(ids, added)


async def _save(
    conn: psycopg.AsyncConnection[Any],
    people: Sequence[Subscriber],
    *,
    seal: Seal,
    at: dt.datetime,
    rejoin: bool,
) -> tuple[list[int], int]:
    """Save a batch; give the ids, and how many of them are new."""
    keys = [[(one.channel, one.digest(seal)) for one in person.addresses] for person in people]
    holders = await _holders(conn, [key for own in keys for key in own], seal=seal)
    fresh = iter(await _numbers(conn, len(people)))
    ids: list[int] = []
    new: list[dict[str, Any]] = []
    old: list[dict[str, Any]] = []
    reached: list[dict[str, Any]] = []
    retired: list[dict[str, Any]] = []
    for person, own in zip(people, keys, strict=True):
        known = _same(person, own, holders)
        number = next(fresh) if known is None else known
        # Within a batch, too, the first to name an address keeps it.
        kept = [holders.setdefault(key, (number, person.name))[0] == number for key in own]
        ids.append(number)
        (new if known is None else old).append(_row(person, number, seal=seal, at=at))
        if known is not None:
            channels = list({channel for channel, _ in own})
            digests = [digest for _, digest in own]
            retired.append({"id": number, "channels": channels, "digests": digests})
        reached += [
            {"id": number, "at": at, "confirmed": at, **contacts.fields(address, seal)}
            for address, mine in zip(person.addresses, kept, strict=True)
            if mine
        ]
    async with conn.cursor() as cursor:
        await cursor.executemany(_sql.add, new)
        await cursor.executemany(_sql.replace, [{**row, "rejoin": rejoin} for row in old])
        await cursor.executemany(_sql.retire, retired)
        await cursor.executemany(_sql.reach, reached)
    return ids, len(new)


def _same(person: Subscriber, keys: Sequence[_Key], holders: Mapping[_Key, _Holder]) -> int | None:
    """Give who this is already: by the first address, or by another one and the same name.

    A mailbox or a line is often that of an office, and shared by people of different names.
    """
    for place, key in enumerate(keys):
        if key in holders and (place == 0 or holders[key][1] == person.name):
            return holders[key][0]
    return None


async def _holders(
    conn: psycopg.AsyncConnection[Any], keys: Sequence[_Key], *, seal: Seal
) -> dict[_Key, _Holder]:
    """Give id and name of whoever has each of the addresses."""
    values = {"channels": [channel for channel, _ in keys], "digests": [key for _, key in keys]}
    rows = await (await conn.execute(_sql.known, values)).fetchall()
    return {
        (channel, bytes(digest)): (number, seal.open(name) if name else "")
        for channel, digest, number, name in rows
    }


async def _numbers(conn: psycopg.AsyncConnection[Any], count: int) -> list[int]:
    rows = await (await conn.execute(_sql.numbers, {"count": count})).fetchall()
    return [number for (number,) in rows]


def _row(person: Subscriber, number: int, *, seal: Seal, at: dt.datetime) -> dict[str, Any]:
    return {
        **_wishes(person),
        "id": number,
        "tier": person.tier,
        "name": seal.seal(person.name),
        "post": seal.seal(person.post) if person.post else None,
        "groups": list(person.groups),
        "turn": person.turn,
        "source": person.source,
        "at": at,
    }


def _wishes(wishes: Wishes) -> dict[str, Any]:
    return {
        "language": wishes.language,
        "lowest": wishes.lowest,
        "hazards": list(wishes.hazards),
        "regions": list(wishes.regions),
        "quiet_from": wishes.quiet_from,
        "quiet_until": wishes.quiet_until,
        "digest": wishes.digest,
    }


class Found(NamedTuple):
    """Row of an address, and of whoever has it."""

    contact: int
    subscriber: int


async def find(conn: psycopg.AsyncConnection[Any], address: Address, *, seal: Seal) -> Found | None:
    """Give who has the address; None when nobody does."""
    values = {"channel": address.channel, "digest": address.digest(seal)}
    row = await (await conn.execute(_sql.find, values)).fetchone()
    return Found(*row) if row else None


async def get(conn: psycopg.AsyncConnection[Any], number: int, *, seal: Seal) -> Known | None:
    """Give one recipient, even one who left or was erased; None where there is none."""
    found = await _people(conn, seal, {"ids": [number], "limit": 1})
    return found[0] if found else None


async def listing(
    conn: psycopg.AsyncConnection[Any],
    *,
    seal: Seal,
    tier: Tier | None = None,
    group: str | None = None,
    region: str | None = None,
    after: int = 0,
    limit: int = MOST,
) -> list[Known]:
    """Give those not erased, by id; ``after`` the last of the page before."""
    chosen = {"tier": tier, "group": group, "region": region}
    return await _people(conn, seal, {**chosen, "after": after, "limit": min(limit, MOST)})


async def _people(
    conn: psycopg.AsyncConnection[Any], seal: Seal, values: Mapping[str, Any]
) -> list[Known]:
    empty = {"ids": None, "tier": None, "group": None, "region": None, "after": 0}
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.people, {**empty, **values})
        rows = await cursor.fetchall()
    for row in rows:
        for sealed in ("name", "post"):
            row[sealed] = seal.open(row[sealed]) if row[sealed] else ""
    return [msgspec.convert(row, Known) for row in rows]


async def groups(conn: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    """Give how many are in each group."""
    return dict(await (await conn.execute(_sql.groups)).fetchall())


async def change(conn: psycopg.AsyncConnection[Any], number: int, wishes: Wishes) -> bool:
    """Note what somebody wants to hear from now on; False where there is nobody."""
    cursor = await conn.execute(_sql.change, {"id": number, **_wishes(wishes)})
    return cursor.rowcount > 0


async def leave(conn: psycopg.AsyncConnection[Any], number: int, *, at: dt.datetime) -> bool:
    """Note that somebody wants no more; False where they had left before."""
    cursor = await conn.execute(_sql.leave, {"id": number, "at": at})
    return cursor.rowcount > 0


async def count(
    conn: psycopg.AsyncConnection[Any], *, hazard: str, region: str, level: str
) -> dict[str, int]:
    """Give how many of each tier asked for this."""
    values = {"hazard": hazard, "region": region, "level": level}
    return dict(await (await conn.execute(_sql.count, values)).fetchall())
