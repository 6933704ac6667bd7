"""The built-in exercise phone: what is sent to it is shown from the ledger and goes nowhere."""

import datetime as dt
from collections.abc import Mapping

from alerts.channels.port import CallbackError, Delivery, ExerciseError, Receipt


class ExercisePhone:
    """Takes exercises and nothing else; delivered at once."""

    name = "exercise"
    repeatable = True

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:  # noqa: ARG002 - the port has it
        """Take the delivery; raises ExerciseError for a real one."""
        if not delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is no exercise")
        return Receipt(delivery=delivery.id, state="delivered")

    def parse_callback(self, *, url: str, form: Mapping[str, str], signature: str) -> Receipt:
        """Refuse: nobody outside knows of this phone."""
        del form, signature
        raise CallbackError(f"the exercise phone has no callbacks: {url}")
