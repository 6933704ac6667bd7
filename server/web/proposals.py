"""Interface to what is proposed and waits."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from alerts import proposals
from alerts.wording import Bureau
from forecast.criteria import HAZARDS
from server.web.answers import Json, one_of
from server.web.context import Context


def router(context: Context) -> APIRouter:
    """Give the route."""
    api = APIRouter(tags=["warnings"])
    alerts = context.settings.alerts
    bureau = Bureau(
        agency={"zh": alerts.agency_zh, "en": alerts.agency_en},
        sender=alerts.sender,
        zone=context.settings.zone,
    )

    @api.get("/api/v1/proposals")
    async def waiting(
        *,
        hazard: str | None = None,
        region: str | None = None,
        limit: Annotated[int, Query(ge=1, le=proposals.MOST)] = 200,
    ) -> Response:
        """Give the events that wait for a person, the next reading or a second station."""
        one_of(hazard, name="hazard", allowed=HAZARDS)
        async with context.database.connection() as conn:
            found = await proposals.waiting(
                conn,
                catalogue=context.catalogue,
                bureau=bureau,
                hazard=hazard,
                region=region,
                limit=limit,
            )
        return Json({"time": context.live.now, "proposals": found})

    return api
