"""Interface to how much each person was sent."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from alerts.bureau import fatigue
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

Days = Annotated[int, Query(ge=1, le=366)]


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1/fatigue", tags=["policy"])

    @api.get("")
    async def spread(request: Request, days: Days = 30) -> Response:
        """Give the distribution of messages per person, by tier, and who was sent the most."""
        await permit.need(request, context)
        until = context.live.now
        async with context.database.connection() as conn:
            found = await fatigue.spread(conn, since=until - dt.timedelta(days=days), until=until)
        return Json(found, headers={"cache-control": "no-store"})

    @api.get("/{subscriber}")
    async def person(
        request: Request,
        subscriber: Annotated[int, Path(ge=1, lt=2**63)],
        days: Days = 30,
    ) -> Response:
        """Give what one person was sent, and what was kept back, by danger and level."""
        await permit.need(request, context)
        until = context.live.now
        async with context.database.connection() as conn:
            since = until - dt.timedelta(days=days)
            found = await fatigue.person(conn, subscriber, since=since, until=until)
        if found is None:
            raise Problem(404, f"no recipient {subscriber}")
        body = {"since": since, "until": until, "messages": found}
        return Json(body, headers={"cache-control": "no-store"})

    return api
