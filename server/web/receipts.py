"""What a provider tells us of a delivery it was handed."""

import uuid
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from alerts.channels.port import CallbackError, Channel
from alerts.sending import receipts
from server.channels import callback
from server.settings import SettingsError
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 65_536
"""Bytes of a callback; some providers put many receipts into one."""


def router(context: Context) -> APIRouter:
    """Give the routes; a receipt is believed only as far as its channel can prove it."""
    api = APIRouter(prefix="/api/v1/receipts", include_in_schema=False)

    def channel_of(name: str) -> Channel:
        try:
            channel = context.channels.get(name)
        except SettingsError as error:
            raise Problem(404, str(error)) from error
        if not callback(context.settings, name):
            raise Problem(404, "receipts need web.public_url: what is signed is this address")
        return channel

    async def take(name: str, path: str, request: Request) -> Response:
        channel, body = channel_of(name), await _body(request)
        form: dict[str, str] = {}
        if "urlencoded" in request.headers.get("content-type", "urlencoded"):
            form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        query = f"?{request.url.query}" if request.url.query else ""
        try:
            found = channel.parse_callback(
                url=f"{callback(context.settings, name)}{path}{query}",
                form=form,
                headers={key.lower(): value for key, value in request.headers.items()},
                body=body,
            )
        except CallbackError as error:
            raise Problem(403, str(error)) from error
        async with context.database.connection() as conn:
            for one in found:
                await receipts.settle(conn, one, changed=context.clock.now())
        return Response(status_code=204)

    @api.post("/{name}/{delivery}")
    async def of_one(name: str, delivery: uuid.UUID, request: Request) -> Response:
        return await take(name, f"/{delivery}", request)

    @api.post("/{name}")
    async def of_many(name: str, request: Request) -> Response:
        return await take(name, "", request)

    return api


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise Problem(413, f"a receipt has at most {LONGEST} bytes")
    return body
