"""Alerts of other offices: where they are read, what is kept of them, and which of them stand."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
import psycopg
import shapely
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from shapely.geometry import shape as geometry
from shapely.geometry.base import BaseGeometry

from alerts.cap.alert import Alert, Info, Kind, Scope, Status
from alerts.cap.area import shape
from alerts.cap.examination import Examination
from alerts.cap.signature import Signature
from alerts.catalogue import LANGUAGES, Catalogue
from alerts.codes import SEVERITY
from alerts.queries import Queries
from alerts.regions import Region, geojson

_sql = Queries("alerts", "offices.sql")

Connection = psycopg.AsyncConnection[Any]

LASTS = dt.timedelta(hours=24)
"""How long an alert counts that does not say until when."""

KEPT = dt.timedelta(days=7)
"""How long an alert is kept after its end."""

MOST = 500
"""Alerts that are shown, the newest."""

_LEVEL = {severity: level for level, severity in SEVERITY.items()}
_HIGHEST_FIRST = tuple(SEVERITY.values())[::-1]


class Problem(msgspec.Struct, frozen=True):
    """Why something is missing: a key of the catalogue's ``office``, and its values."""

    key: str
    values: dict[str, Any] = {}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts are read.

    url: a feed (Atom, RSS), one alert, or ``file:///…`` of a folder. trust: PEM of the authorities
    of which one must have vouched for the signature; empty: none need sign.
    looked: the last time; succeeded: the last time nothing was missing; problem: of the last time.
    """

    id: int
    url: str
    name: str
    trust: str
    every: int
    added: dt.datetime
    looked: dt.datetime | None
    succeeded: dt.datetime | None
    problem: dict[str, Any] | None
    etag: str
    modified: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that was not replaced and has not expired.

    accepted: its signature is as the source's should be. problems: by language and part of the
    examination. level: ours of the highest severity, None where it names none. area: GeoJSON.
    regions: ids of those of ours that it touches.
    """

    id: int
    source: int
    source_name: str
    identifier: str
    sender: str
    sent: dt.datetime
    status: Status
    kind: Kind
    scope: Scope
    until: dt.datetime
    received: dt.datetime
    accepted: bool
    problems: dict[str, dict[str, list[str]]]
    signed: dict[str, Any] | None
    infos: list[dict[str, Any]]
    level: str | None
    area: dict[str, Any] | None
    regions: list[str]


_AS_STORED = tuple(
    name for name in Standing.__struct_fields__ if name not in {"infos", "level", "area", "regions"}
)


async def add_source(
    conn: Connection, *, url: str, name: str, trust: str = "", every: int = 60, now: dt.datetime
) -> bool:
    """Add a source, which is looked at next; say whether it is new. every: s between looks."""
    values = {"url": url, "name": name, "trust": trust, "every": every, "now": now}
    return await (await conn.execute(_sql.add_source, values)).fetchone() is not None


async def sources(conn: Connection) -> list[Source]:
    """Give all sources."""
    async with conn.cursor(row_factory=class_row(Source)) as cursor:
        await cursor.execute(_sql.sources)
        return await cursor.fetchall()


async def remove_source(conn: Connection, source: str) -> str | None:
    """Remove a source by its address or number, with its alerts; give the address it had."""
    row = await (await conn.execute(_sql.remove_source, {"source": source})).fetchone()
    return row[0] if row else None


async def claim(conn: Connection, *, now: dt.datetime) -> Source | None:
    """Give a source that is due, to one of those who ask; None where none is."""
    async with conn.cursor(row_factory=class_row(Source)) as cursor:
        await cursor.execute(_sql.claim, {"now": now})
        return await cursor.fetchone()


async def looked(
    conn: Connection,
    source: Source,
    *,
    now: dt.datetime,
    problem: Problem | None,
    etag: str,
    modified: str,
) -> None:
    """Note how a look at a source ended. etag, modified: as the server named its answer's state."""
    values = {
        "id": source.id,
        "problem": None if problem is None else Jsonb(msgspec.to_builtins(problem)),
        "etag": etag,
        "modified": modified,
        "now": now,
    }
    await conn.execute(_sql.looked, values)


async def documents(conn: Connection, source: Source) -> dict[str, str]:
    """Give the documents of a feed that were read, each with what the feed said of its state."""
    rows = await (await conn.execute(_sql.documents, {"source": source.id})).fetchall()
    return dict(rows)


async def read_document(
    conn: Connection, source: Source, url: str, *, stamp: str, now: dt.datetime
) -> None:
    """Note that a document of a feed was read."""
    values = {"source": source.id, "url": url, "stamp": stamp, "now": now}
    await conn.execute(_sql.put_document, values)


async def prune(
    conn: Connection, source: Source, *, named: Sequence[str], now: dt.datetime
) -> None:
    """Forget alerts that ended long ago, and documents that the feed names no more."""
    before = now - KEPT
    values = {"source": source.id, "urls": list(named), "before": before}
    await conn.execute(_sql.prune_documents, values)
    await conn.execute(_sql.prune, {"before": before})


async def put(
    conn: Connection,
    source: Source,
    alert: Alert,
    found: Examination,
    *,
    xml: bytes,
    now: dt.datetime,
) -> bool:
    """Keep an alert and let it take the place of those it refers to; say whether it is new.

    It takes the place of alerts of its own source only, and of none where its signature is not as
    it should be. Which came first does not matter.
    """
    await conn.execute(_sql.alone, {"source": source.id})
    wrong = [*found.signature]
    if source.trust and found.signed is None and not wrong:
        wrong.append("it is not signed, and alerts of this source are")
    area = shape(area for info in alert.infos for area in info.areas)
    values = {
        "source": source.id,
        "identifier": alert.identifier,
        "sender": alert.sender,
        "sent": alert.sent,
        "status": alert.status,
        "kind": alert.kind,
        "scope": alert.scope,
        "until": until(alert),
        "received": now,
        "accepted": not wrong,
        "problems": Jsonb(
            {language: {**found.problems(language), "signature": wrong} for language in LANGUAGES}
        ),
        "signed": _signed(found.signed),
        "content": Jsonb([_said(info) for info in alert.infos]),
        "area": None if area is None else Jsonb(geojson(area)),
        "geocodes": _geocodes(alert),
        "xml": xml,
    }
    row = await (await conn.execute(_sql.add, values)).fetchone()
    if row is None:
        return False
    references = {
        "alert": row[0],
        "senders": [reference.sender for reference in alert.references],
        "identifiers": [reference.identifier for reference in alert.references],
    }
    await conn.execute(_sql.refer, references)
    if not wrong and alert.kind != "Alert":
        await conn.execute(_sql.replace, {"id": row[0]})
    await conn.execute(_sql.replaced_already, {"id": row[0]})
    return True


def until(alert: Alert) -> dt.datetime:
    """Say when the last of its info blocks expires; where none says, a day after it was sent."""
    ends = [info.expires for info in alert.infos if info.expires is not None]
    return max(ends) if ends else alert.sent + LASTS


async def standing(conn: Connection, *, now: dt.datetime) -> list[dict[str, Any]]:
    """Give the rows of the alerts that stand, the newest first; `touching` makes alerts of them."""
    cursor = await conn.execute(_sql.standing, {"now": now, "limit": MOST})
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


def touching(rows: Sequence[dict[str, Any]], regions: Sequence[Region]) -> list[Standing]:
    """Give the alerts, each with those of our regions that it names by code or overlaps.

    One that names regions only by code has their boundaries as its area. Busy with many: not for
    an event loop.
    """
    outlines = [region.geometry for region in regions]
    tree = shapely.STRtree(outlines)
    return [_standing(row, regions, outlines, tree) for row in rows]


def _standing(
    row: dict[str, Any],
    regions: Sequence[Region],
    outlines: Sequence[BaseGeometry],
    tree: shapely.STRtree,
) -> Standing:
    codes = set(row["geocodes"])
    met = {n for n, region in enumerate(regions) if region.id in codes}
    area = row["area"]
    if area is not None:
        drawn = geometry(area)
        near = (int(n) for n in tree.query(drawn, predicate="intersects"))
        met |= {n for n in near if not drawn.touches(outlines[n])}
    elif met:
        area = geojson(shapely.union_all([outlines[n] for n in sorted(met)]))
    infos: list[dict[str, Any]] = row["content"]
    severities = {info["severity"] for info in infos}
    return Standing(
        **{name: row[name] for name in _AS_STORED},
        infos=infos,
        level=next((_LEVEL[word] for word in _HIGHEST_FIRST if word in severities), None),
        area=area,
        regions=[regions[n].id for n in sorted(met)],
    )


async def document(conn: Connection, number: int, *, every: bool) -> bytes | None:
    """Give an alert as it came. every: also one that is not for the public."""
    row = await (await conn.execute(_sql.document, {"id": number, "every": every})).fetchone()
    return row[0] if row else None


def sentence(problem: Mapping[str, Any], catalogue: Catalogue, language: str) -> str:
    """Give why something is missing, in words."""
    values = dict(problem["values"])
    if isinstance(values.get("first"), Mapping):
        values["first"] = sentence(values["first"], catalogue, language)
    return catalogue.text(f"office.{problem['key']}", language, **values)


def _signed(signature: Signature | None) -> Jsonb | None:
    return None if signature is None else Jsonb(asdict(signature))


def _said(info: Info) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(info)
    said["areas"] = [area.description for area in info.areas]
    return said


def _geocodes(alert: Alert) -> list[str]:
    codes = (code for info in alert.infos for area in info.areas for code in area.geocodes)
    return list(dict.fromkeys(value for _, value in codes if value))
