"""Microblogs and staff chat: one post per account, by apprise."""

import asyncio
import datetime as dt
import logging
import re
from collections.abc import Mapping

from apprise import Apprise, AppriseResult, AppriseResultStatus, NotifyBase, OverflowMode

from alerts.channels.port import (
    CallbackError,
    Delivery,
    ExerciseError,
    Probe,
    Receipt,
    Script,
)
from alerts.texts.wording import ACK, Said

NAME = "social"

_REFUSED = re.compile(r"error=(\d{3})\b")
_NOT_REACHED = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeoutError")

# What it logs holds the account's secrets. We read there, in memory, whether a request ever left;
# it goes to no log of ours.
_source = logging.getLogger("apprise")
_source.setLevel(logging.DEBUG)
_source.propagate = False


def render(said: Said) -> Script:
    """Give a post: the headline, what to do, until when, and where there is more."""
    confirm = [ACK] if ACK in said.sms.body else []
    lines = [said.guide, *confirm, *([said.link] if said.link else [])]
    return Script(subject=said.headline, body="\n".join(line for line in lines if line))


class Social:
    """Posts to accounts, each an address of apprise with its secrets in it.

    timeout: seconds for one post. A text longer than the service takes goes out in several posts.

    Services do not know a repetition, so none is made: what may have been posted is uncertain.
    Refused by the service (4xx) is failed; too many (429), or never reached, is tried again.
    """

    name = NAME
    repeatable = False

    def __init__(self, *, timeout: float = 20, rate: float = 0, workers: int = 4) -> None:
        self.rate = rate
        self.workers = workers
        self._timeout = timeout

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Post it; raises ExerciseError."""
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        if now >= delivery.expires:
            return Receipt(delivery=delivery.id, state="failed", problem="too late to be sent")
        service = Apprise.instantiate(delivery.address)
        if not isinstance(service, NotifyBase):
            problem = "the account's address is not understood"
            return Receipt(delivery=delivery.id, state="failed", problem=problem)
        try:
            # The thread ends by itself: apprise stops at its own limit.
            async with asyncio.timeout(self._timeout + 5):
                result = await asyncio.to_thread(self._post, service, delivery)
        except TimeoutError:
            problem = f"no answer within {self._timeout:g} s"
            return Receipt(delivery=delivery.id, state="uncertain", problem=problem)
        return _receipt(delivery, result)

    def _post(self, service: NotifyBase, delivery: Delivery) -> AppriseResult:
        service.overflow_mode = OverflowMode.SPLIT
        courier = Apprise()
        courier.add(service)
        return courier.notify(
            body=delivery.body,
            title=delivery.subject,
            timeout=self._timeout,
            log_level=logging.DEBUG,
        )

    async def find(self, delivery: Delivery) -> None:
        """Services do not tell by our number."""
        del delivery

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Refuse: no service reports by HTTP."""
        del form, headers, body
        raise CallbackError(f"posts have no callbacks: {url}")

    async def probe(self) -> Probe:
        """No account can be tried without posting."""
        return Probe(ok=True, detail="ready; each account answers for itself")

    async def close(self) -> None:
        """Every post has closed its own connection."""


def _receipt(delivery: Delivery, result: AppriseResult) -> Receipt:
    """Say what apprise's yes or no means, by what it noted on the way; unclear is uncertain."""
    if result.status == AppriseResultStatus.SUCCESS:
        return Receipt(delivery=delivery.id, state="accepted")
    notes = [entry.message for one in result.results for entry in one.logs()]
    for note in notes:
        if found := _REFUSED.search(note):
            status = int(found[1])
            problem = f"refused: status {status}"
            if status == 429:
                return Receipt(delivery=delivery.id, state="queued", problem=problem)
            if 400 <= status < 500:
                return Receipt(delivery=delivery.id, state="failed", problem=problem)
    if notes and any(_NOT_REACHED.search(note) for note in notes):
        return Receipt(delivery=delivery.id, state="queued", problem="not reached")
    late = result.status == AppriseResultStatus.TIMEOUT
    problem = "no answer in time" if late else "no clear answer"
    return Receipt(delivery=delivery.id, state="uncertain", problem=problem)
