"""Interface to areas drawn by hand: whom they would reach."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts import areas, regions
from alerts.regions import RegionError
from server.store import stations
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 262_144
"""Bytes of a request."""


class _Drawn(msgspec.Struct, forbid_unknown_fields=True):
    area: dict[str, Any]


_drawn = msgspec.json.Decoder(_Drawn)


def router(context: Context) -> APIRouter:
    """Give the route."""
    api = APIRouter(prefix="/api/v1/areas", tags=["warnings"])

    @api.post("/people")
    async def people(request: Request) -> Response:
        """Give the regions, stations and people inside a GeoJSON Polygon, ``{"area": …}``."""
        await permit.need(request, context, "forecaster", "approver", "admin")
        drawn = await permit.read(request, _drawn, longest=LONGEST)
        async with context.database.connection() as conn:
            known, places = await regions.load(conn), await stations.every(conn)
        try:
            return Json(areas.reach(drawn.area, regions=known, places=places))
        except RegionError as error:
            raise Problem(400, str(error)) from None

    return api
