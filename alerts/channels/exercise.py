"""The built-in exercise phone: what is sent to it is shown from the ledger and goes nowhere."""

import datetime as dt
from collections.abc import Mapping

from alerts.channels.port import CallbackError, Delivery, ExerciseError, Probe, Receipt


class ExercisePhone:
    """Takes exercises and nothing else; delivered at once."""

    name = "exercise"
    repeatable = True
    rate = 0.0

    def __init__(self, *, workers: int = 20) -> None:
        self.workers = workers

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:  # noqa: ARG002 - the port has it
        """Take the delivery; raises ExerciseError for a real one."""
        if not delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is no exercise")
        return Receipt(delivery=delivery.id, state="delivered")

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Know nothing: nothing of it is ever uncertain."""
        del delivery
        return None

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Refuse: nobody outside knows of this phone."""
        del form, headers, body
        raise CallbackError(f"the exercise phone has no callbacks: {url}")

    async def probe(self) -> Probe:
        """Say yes: it is part of this program."""
        return Probe(ok=True, detail="built in")

    async def close(self) -> None:
        """Hold nothing."""
