"""How the centre is doing, for those who watch it: alive, ready, numbers. Green needs evidence."""

import datetime as dt
import math
from collections.abc import Iterable
from typing import Any

import psycopg
from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from alerts.queries import Queries
from server import vitals
from server.store.connection import Connection
from server.store.errors import StoreError
from server.store.migrations import history
from server.vitals import Sample, Sheet
from server.web.answers import Json
from server.web.context import Context

_sql = Queries("server.web", "queries.sql")
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_HISTOGRAM = ("_bucket", "_sum", "_count")


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(tags=["health"])

    @api.get("/healthz")
    async def alive() -> Response:
        """Answer; nothing more is claimed."""
        return Json({"status": "alive"})

    @api.get("/readyz")
    async def ready() -> Response:
        """Say whether the answers here can be relied on; if not, 503 and why."""
        checks = await _checks(context)
        good = all(check["ok"] for check in checks.values())
        status = {"status": "ready" if good else "not ready", "checks": checks}
        return Json(status, 200 if good else 503, headers={"cache-control": "no-store"})

    @api.get("/metrics")
    async def metrics() -> Response:
        """Give every role's numbers with their age, for Prometheus."""
        try:
            async with context.database.connection() as conn:
                sheets = await vitals.read(conn)
                age = await _age(conn, context.wall.now())
            up = 1
        except (psycopg.Error, StoreError):
            sheets, age, up = [], None, 0
        own = [
            Sample("database_up", up),
            Sample("stream_clients", len(context.live.hub)),
            Sample("stream_cuts_total", context.live.hub.cuts, "counter"),
            Sample("arrival_age_seconds", math.nan if age is None else age),
        ]
        text = prometheus(sheets, own, now=context.wall.now())
        return PlainTextResponse(text, media_type=_PROMETHEUS)

    return api


async def _checks(context: Context) -> dict[str, dict[str, Any]]:
    now = context.wall.now()
    try:
        async with context.database.connection() as conn:
            applied = {row[0] for row in await (await conn.execute(_sql.applied)).fetchall()}
            age = await _age(conn, now)
    except (psycopg.Error, StoreError) as error:
        return {"database": {"ok": False, "detail": f"{error}".strip()}}
    missing = [item.name for item in history() if item.number not in applied]
    limit = context.settings.watch.silence
    fresh = age is not None and age <= limit
    if age is None:
        said = "no reading has arrived yet"
    else:
        said = f"the last reading arrived {age:.0f} s ago, the limit is {limit:.0f} s"
    looked = context.live.looked
    behind = None if looked is None else (now - looked).total_seconds()
    return {
        "database": {"ok": True, "detail": "answers"},
        "schema": {
            "ok": not missing,
            "detail": f"not applied: {', '.join(missing)}" if missing else "up to date",
        },
        "arrivals": {"ok": fresh, "detail": said, "age": age},
        "stream": {
            "ok": behind is not None and behind < vitals.STALE,
            "detail": "has not begun"
            if behind is None
            else f"looked at the database {behind:.1f} s ago",
        },
    }


async def _age(conn: Connection, now: dt.datetime) -> float | None:
    row = await (await conn.execute(_sql.last_arrival)).fetchone()
    return None if row is None else max(0.0, (now - row[0]).total_seconds())


def prometheus(sheets: Iterable[Sheet], own: Iterable[Sample], *, now: dt.datetime) -> str:
    """Write numbers in Prometheus' text format.

    Each role's own numbers carry its name as a label; beside them stand their age in seconds and
    whether they are too old to be believed.
    """
    families: dict[str, tuple[str, list[str]]] = {}

    def add(sample: Sample, role: str) -> None:
        name = f"fenghuo_{sample.name}"
        family, kind = name, sample.kind
        for ending in _HISTOGRAM:
            base = name.removesuffix(ending)
            if base != name and (ending != "_count" or f"{base}_sum" in names):
                family, kind = base, "histogram"
        labels = {**dict(sample.labels), "role": role}
        written = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
        families.setdefault(family, (kind, []))[1].append(
            f"{name}{{{written}}} {_number(sample.value)}"
        )

    numbered = [("web", sample) for sample in own]
    for sheet in sheets:
        age = (now - sheet.time).total_seconds()
        numbered += [
            (sheet.role, Sample("vitals_age_seconds", age)),
            (sheet.role, Sample("vitals_stale", float(age > vitals.STALE))),
            *((sheet.role, sample) for sample in sheet.samples),
        ]
    names = {f"fenghuo_{sample.name}" for _, sample in numbered}
    for role, sample in numbered:
        add(sample, role)
    lines = []
    for family, (kind, rows) in families.items():
        lines += [f"# TYPE {family} {kind}", *rows]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return f"{int(value)}" if value == int(value) else repr(value)
