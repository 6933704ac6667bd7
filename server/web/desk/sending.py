"""Interfaces to the sending: how far a message is, and whether the channels could send."""

import uuid

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.sending import progress
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(tags=["sending"])

    @api.get("/api/v1/warnings/{identifier}/progress")
    async def how_far(identifier: uuid.UUID, request: Request) -> Response:
        """Give each message: deliveries by channel, tier and state, the rate, the time it takes."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            found = await progress.of(conn, identifier, now=context.clock.now())
        if not found:
            raise Problem(404, f"no message of a warning {str(identifier)!r}")
        return Json({"messages": found})

    @api.get("/api/v1/channels")
    async def channels(request: Request) -> Response:
        """Give each channel in use: whether it could send just now, and what waits for it."""
        await permit.need(request, context)
        probed = await context.channels.probe()
        async with context.database.connection() as conn:
            routes = await progress.routes(conn, now=context.clock.now())
        found = [{**msgspec.structs.asdict(one), **routes.get(one.name, {})} for one in probed]
        return Json({"channels": found, "exercise": routes.get("exercise")})

    return api
