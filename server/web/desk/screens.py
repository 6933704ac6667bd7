"""Interface to the screens and stations, and to the groups of officers of which nobody answers."""

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.bureau import policies
from alerts.bureau.durations import duration
from alerts.faces import screens
from alerts.faces.screens import Screen, ScreenError, Wanted
from alerts.people import officers
from server import desk
from server.accounts.audit import audit
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 16_384
"""Bytes of a request."""

_wanted = msgspec.json.Decoder(Wanted)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1", tags=["screens"])

    @api.get("/screens")
    async def every(request: Request) -> Response:
        """Give each screen and station, and when it was last heard."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            found = await screens.every(conn)
        return Json({"screens": [_resource(screen, context) for screen in found]})

    @api.post("/screens")
    async def add(request: Request) -> Response:
        """Add a screen; its key is in the answer and nowhere else."""
        person = await permit.need(request, context, "admin")
        wanted = await permit.read(request, _wanted, longest=LONGEST)
        now = context.wall.now()
        async with context.database.connection() as conn:
            try:
                key = await screens.add(conn, wanted, seal=context.seal, at=now)
            except ScreenError as error:
                raise Problem(400, str(error)) from None
            await audit(
                conn,
                person=person,
                act="screen.add",
                subject=wanted.name,
                detail=msgspec.to_builtins(wanted),
                at=now,
            )
        public = context.settings.web.public_url.rstrip("/")
        path = (
            f"/display/{wanted.name}?key={key}"
            if wanted.kind == "display"
            else f"/air/script.txt?station={wanted.name}&key={key}"
        )
        answer = Json({"name": wanted.name, "key": key, "address": f"{public}{path}"})
        answer.status_code = 201
        return answer

    @api.delete("/screens/{name}")
    async def remove(name: str, request: Request) -> Response:
        """Take a screen away."""
        person = await permit.need(request, context, "admin")
        now = context.wall.now()
        async with context.database.connection() as conn:
            if not await screens.remove(conn, name, at=now):
                raise Problem(404, f"no screen {name!r}")
            await audit(conn, person=person, act="screen.remove", subject=name, detail={}, at=now)
        return Response(status_code=204)

    @api.get("/officers/silent")
    async def silent(request: Request) -> Response:
        """Give the groups that were told to their last officer and have not answered."""
        await permit.need(request, context)
        async with context.database.connection() as conn:
            policy = await policies.in_force(conn, desk.policy_file(context.settings))
            after = duration(policy.escalation.after)
            found = await officers.silent(conn, now=context.live.now, after=after)
        return Json({"time": context.live.now, "silent": found})

    return api


def _resource(screen: Screen, context: Context) -> dict[str, object]:
    now = context.wall.now()
    return {
        **{
            name: getattr(screen, name)
            for name in Screen.__struct_fields__
            if name not in {"key", "contact"}
        },
        "age": None if screen.seen is None else round((now - screen.seen).total_seconds()),
        "alive": screen.alive(now),
    }
