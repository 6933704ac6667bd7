"""Webhooks: the warning as JSON, signed, for other platforms to pass on."""

import datetime as dt
import json
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

import aiohttp

from alerts.channels import reach, signing
from alerts.channels.port import (
    GONE,
    CallbackError,
    Delivery,
    ExerciseError,
    Probe,
    Receipt,
    Script,
)
from alerts.texts.wording import Said

NAME = "webhook"


def render(said: Said) -> Script:
    """Give the message as JSON: what it says, what it is about, and where its CAP document is."""
    cap = f"/cap/{said.message}.xml"
    content = {
        "type": "warning.message",
        "message": str(said.message),
        "warning": str(said.warning),
        "number": said.number,
        "act": said.act,
        "ends": said.ends,
        "exercise": said.exercise,
        "hazard": said.hazard,
        "level": said.level,
        "door": said.door,
        "colour": said.colour,
        "language": said.language,
        "agency": said.agency,
        "region": said.region,
        "event": said.event,
        "headline": said.headline,
        "description": said.description,
        "instruction": said.instruction,
        "sent": _iso(said.sent),
        "onset": _iso(said.onset),
        "expires": _iso(said.expires),
        "geometry": {
            "type": "GeometryCollection",
            "geometries": [dict(boundary) for boundary in said.boundaries],
        },
        "link": said.link or None,
        "cap": urljoin(said.link, cap) if said.link else cap,
    }
    return Script(subject=said.headline, body=json.dumps(content, ensure_ascii=False))


class Webhook:
    """Posts to other platforms; close it at the end. Make it inside the event loop.

    secret: what the platforms' keys are derived from, see `signing.derive`. private: platforms
    may be inside our own network.

    A repetition is harmless: it has the same ``webhook-id``, by which the platform knows it.
    """

    name = NAME
    repeatable = True

    def __init__(
        self,
        *,
        secret: str,
        private: bool = False,
        timeout: float = 10,
        rate: float = 0,
        workers: int = 8,
    ) -> None:
        self.rate = rate
        self.workers = workers
        self._secret = secret
        self._private = private
        self._session = reach.session(private=private, seconds=timeout, workers=workers)

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Post it; raises ExerciseError.

        2xx: delivered, for the platform has it. 410: it is no more. 429, 408, 5xx and silence:
        again later. Another 4xx, and a redirect: never.
        """
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        if now >= delivery.expires:
            return Receipt(delivery=delivery.id, state="failed", problem="too late to be sent")
        body = delivery.body.encode()
        try:
            reach.check(delivery.address, private=self._private)
            key = signing.derive(self._secret, urlsplit(delivery.address).hostname or "")
            headers = signing.sign(
                key, number=str(delivery.id), seconds=int(now.timestamp()), body=body
            )
            headers |= {
                "Content-Type": "application/json",
                "Idempotency-Key": str(delivery.id),
                "User-Agent": "fenghuo",
            }
            # A redirect would lead past the check, and to whom nobody agreed.
            async with self._session.post(
                delivery.address, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except reach.ReachError as error:
            return Receipt(delivery=delivery.id, state="failed", problem=str(error))
        except (TimeoutError, aiohttp.ClientError) as error:
            return Receipt(delivery=delivery.id, state="queued", problem=f"no answer: {error!r}")
        return _receipt(delivery, status)

    async def find(self, delivery: Delivery) -> None:
        """Nothing is ever uncertain: it is sent again."""
        del delivery

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Refuse: the answer to a webhook says all."""
        del form, headers, body
        raise CallbackError(f"a webhook has no callbacks: {url}")

    async def probe(self) -> Probe:
        """Nobody can be asked without being told something; the settings are complete."""
        return Probe(ok=bool(self._secret), detail="ready; each platform answers for itself")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _receipt(delivery: Delivery, status: int) -> Receipt:
    if 200 <= status < 300:
        return Receipt(delivery=delivery.id, state="delivered")
    if status == 410:
        problem = f"{GONE}the platform answers 410"
        return Receipt(delivery=delivery.id, state="failed", problem=problem)
    if status in {408, 425, 429} or status >= 500:
        return Receipt(delivery=delivery.id, state="queued", problem=f"status {status}")
    return Receipt(delivery=delivery.id, state="failed", problem=f"refused: status {status}")


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
