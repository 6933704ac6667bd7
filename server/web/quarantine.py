"""One message of the quarantine, and sending messages in again."""

import base64
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from server.accounts.audit import audit
from server.ingest import quarantine
from server.ingest.mapping import MappingError
from server.ingest.quarantine import Choice, Kept
from server.ingest.replay import Replay
from server.store.partitions import Partitions
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 65_536
"""Bytes of a request."""

MOST = 1_000
"""Messages in one request."""


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    ids: Annotated[tuple[int, ...], msgspec.Meta(max_length=MOST)] | None = None
    reason: str | None = None
    station: str | None = None


_wanted = msgspec.json.Decoder(_Wanted)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1/quarantine", tags=["observations"])

    @api.get("/{number}")
    async def one(number: Annotated[int, Path(ge=1, lt=2**63)]) -> Response:
        """Give one message that was refused, with its bytes."""
        async with context.database.connection() as conn:
            row = await quarantine.one(conn, number)
        if row is None:
            raise Problem(404, f"no message {number} in the quarantine")
        return Json(_described(row))

    @api.post("/replay")
    async def replay(request: Request) -> Response:
        """Send messages in again: ``{"ids": […]}``, ``{"reason": …}`` or ``{"station": …}``.

        At most 1,000 in one request; ``more`` says that there are others. An administrator's.
        """
        by = await permit.need(request, context, "admin")
        choice = await _read(request)
        settings = context.settings
        connection = await context.database.listener(name="quarantine")
        try:
            replay = Replay(
                connection,
                partitions=Partitions(context.database.kind, chunk_days=settings.store.chunk_days),
                settings=settings.ingest,
                clock=context.wall,
            )
            result = await replay.run(choice, limit=MOST)
        except MappingError as error:
            raise Problem(503, f"the mappings of the settings: {error}") from error
        finally:
            await connection.close()
        async with context.database.connection() as conn:
            await audit(
                conn,
                person=by,
                act="quarantine.replay",
                subject="quarantine",
                detail={"asked": choice, "result": result},
                at=context.wall.now(),
            )
        return Json(result, headers={"cache-control": "no-store"})

    return api


async def _read(request: Request) -> Choice:
    wanted = await permit.read(request, _wanted, longest=LONGEST)
    choice = Choice(ids=wanted.ids, reason=wanted.reason, station=wanted.station)
    if choice == Choice():
        raise Problem(400, "say which: ids, reason or station")
    return choice


def _described(row: Kept) -> dict[str, Any]:
    described = msgspec.structs.asdict(row)
    described["payload"] = quarantine.readable(row.payload)
    described["base64"] = base64.b64encode(row.payload).decode()
    return described
