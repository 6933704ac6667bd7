"""What SMS and calls through Twilio share: the transport, and what its refusals mean."""

import asyncio
import base64
import logging
from typing import Any
from urllib.parse import urlsplit

from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response

from alerts.channels.port import Delivery, Receipt

# The client logs addresses of requests; whom we write to is nobody's business.
_silent = logging.getLogger(f"{__name__}.http")
_silent.setLevel(logging.ERROR)


class Http(AsyncTwilioHttpClient):
    """The official transport, with a limit in time and, if wanted, another address."""

    def __init__(self, *, base_url: str, seconds: float) -> None:
        super().__init__(logger=_silent)
        self._base_url = base_url.rstrip("/")
        self._seconds = seconds

    async def request(self, method: str, url: str, **values: Any) -> Response:  # type: ignore[override]
        """Send; raises TimeoutError. The client calls it with these names and no others."""
        if self._base_url:
            url = self._base_url + urlsplit(url)._replace(scheme="", netloc="").geturl()
        # The client would use a class of aiohttp that is on its way out.
        account = values.pop("auth", None)
        if account is not None:
            key = base64.b64encode(":".join(account).encode()).decode()
            values["headers"] = {**(values.get("headers") or {}), "Authorization": f"Basic {key}"}
        async with asyncio.timeout(self._seconds):
            return await super().request(method, url, **values)


def refused(delivery: Delivery, error: TwilioException) -> Receipt:
    """Say what a refusal means.

    Too many requests: it was not processed and may be repeated. Another fault of ours: it never
    will be. A fault of the provider: it may have been processed.
    """
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    problem = f"refused: status {status}, code {code}"
    if status == 429 or code == 20429:
        return Receipt(delivery=delivery.id, state="queued", problem=problem)
    if isinstance(status, int) and 400 <= status < 500:
        return Receipt(delivery=delivery.id, state="failed", problem=problem)
    return Receipt(delivery=delivery.id, state="uncertain", problem=problem)
