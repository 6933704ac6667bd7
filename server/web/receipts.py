"""What a provider tells us of a message it was handed."""

import uuid
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from alerts import ledger
from alerts.channels.port import CallbackError
from alerts.channels.sms import Sms
from server import alerting
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 16_384
"""Bytes of a receipt."""


def router(context: Context) -> APIRouter:
    """Give the routes; a receipt is believed only with the provider's signature."""
    api = APIRouter(prefix="/api/v1/receipts", include_in_schema=False)
    made: list[Sms] = []

    @api.post("/sms/{delivery}")
    async def sms(delivery: uuid.UUID, request: Request) -> Response:
        settings = context.settings
        public = settings.web.public_url.rstrip("/")
        if Sms.name not in settings.alerts.channels or not public:
            raise Problem(404, "the channel sms is not in use")
        if not made:
            made.append(alerting.sms(settings))
        form = dict(parse_qsl((await _body(request)).decode(errors="replace"), True))
        try:
            receipt = made[0].parse_callback(
                url=f"{public}/api/v1/receipts/sms/{delivery}",
                form=form,
                signature=request.headers.get("x-twilio-signature", ""),
            )
        except CallbackError as error:
            raise Problem(403, str(error)) from error
        async with context.database.connection() as conn:
            await ledger.settle(conn, receipt, changed=context.clock.now())
        return Response(status_code=204)

    return api


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST:
            raise Problem(413, f"a receipt has at most {LONGEST} bytes")
    return body
