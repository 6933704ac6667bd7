"""Interface to what is proposed, drafted and submitted, and waits."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from alerts.life import incidents
from forecast.criteria import HAZARDS
from server.web import permit
from server.web.answers import Json, one_of
from server.web.context import Context
from server.web.desk.views import view


def router(context: Context) -> APIRouter:
    """Give the route."""
    api = APIRouter(tags=["warnings"])

    @api.get("/api/v1/proposals")
    async def waiting(
        request: Request,
        *,
        hazard: str | None = None,
        region: str | None = None,
        limit: Annotated[int, Query(ge=1, le=incidents.MOST)] = 200,
    ) -> Response:
        """Give the events that nobody has heard of yet, and what may be done with each.

        What is not public yet is for those who are signed in; a replayed event is for everybody.
        """
        known = await permit.person(request, context)
        if known is None and not context.live.exercise:
            known = await permit.need(request, context)
        one_of(hazard, name="hazard", allowed=HAZARDS)
        async with context.database.connection() as conn:
            found = await incidents.waiting(
                conn,
                view=await view(conn, context, known),
                hazard=hazard,
                region=region,
                limit=limit,
            )
        kept = {"cache-control": "no-store"}
        return Json({"time": context.live.now, "proposals": found}, headers=kept)

    return api
