"""Radio and television: what is to be read out or crawled lies ready, and the station comes for it.

Sending puts nothing anywhere: what was published is there (``/air/…``). It is accepted from then
on, and delivered when the station has fetched it.
"""

import datetime as dt
from collections.abc import Mapping

from alerts.channels.port import (
    CallbackError,
    ChannelError,
    Delivery,
    ExerciseError,
    Probe,
    Receipt,
    Script,
)
from alerts.texts.wording import Said

NAME = "broadcast"


def render(said: Said) -> Script:
    """Give what is read out."""
    return Script(subject=said.headline, body=said.spoken)


class Broadcast:
    """Lays ready what stations come for."""

    name = NAME
    repeatable = True
    rate = 0.0

    def __init__(self, *, workers: int = 8) -> None:
        self.workers = workers

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Say that it lies ready; raises ExerciseError, and ChannelError for what is too late."""
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        if now >= delivery.expires:
            raise ChannelError("too late to be read out")
        return Receipt(delivery=delivery.id, state="accepted")

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Give nothing: the station comes, or it does not."""
        del delivery
        return None

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Refuse: stations confirm at ``/air/confirm``."""
        del form, headers, body
        raise CallbackError(f"stations have no callbacks: {url}")

    async def probe(self) -> Probe:
        """Say yes: there is nothing in between."""
        return Probe(ok=True, detail="stations come for it")

    async def close(self) -> None:
        """Hold nothing."""
