"""What every way to reach people offers, and a twin in memory for tests."""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec

State: TypeAlias = Literal["queued", "accepted", "delivered", "failed", "uncertain"]


class ChannelError(Exception):
    """A channel will not do this; the message says why."""


class ExerciseError(ChannelError):
    """An exercise was about to reach a real person, or a real warning the exercise phone."""


class CallbackError(ChannelError):
    """A callback is not the provider's, or cannot be understood."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one person by one channel."""

    id: uuid.UUID
    channel: str
    exercise: bool
    address: str
    body: str
    expires: dt.datetime
    attempts: int = 1


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery.

    state: ``queued`` was certainly not sent and may be tried again; ``uncertain`` may have been
    sent, and only the provider knows. provider: its own number of it.
    """

    delivery: uuid.UUID
    state: State
    provider: str | None = None
    problem: str | None = None


class Channel(Protocol):
    """A way to reach people.

    name: as it stands in the ledger.
    repeatable: sending the same delivery twice still reaches the person once.
    """

    @property
    def name(self) -> str:
        """Name in the ledger."""

    @property
    def repeatable(self) -> bool:
        """Whether a repetition is harmless."""

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Send, and say what is known then; raises ExerciseError for what is not for it."""
        ...

    def parse_callback(self, *, url: str, form: Mapping[str, str], signature: str) -> Receipt:
        """Read what the provider reports later; raises CallbackError."""
        ...


class Memory:
    """A channel that remembers; ``answer`` decides what it says."""

    def __init__(
        self,
        *,
        name: str = "sms",
        repeatable: bool = False,
        answer: Callable[[Delivery], Receipt] | None = None,
    ) -> None:
        self.name = name
        self.repeatable = repeatable
        self.sent: list[Delivery] = []
        self._answer = answer or _accept

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Remember the delivery; raises ExerciseError as a real channel does."""
        if delivery.exercise or now >= delivery.expires:
            raise ExerciseError(f"delivery {delivery.id} is not for {self.name}")
        self.sent.append(delivery)
        return self._answer(delivery)

    def parse_callback(self, *, url: str, form: Mapping[str, str], signature: str) -> Receipt:
        """Read a form with ``state``; the signature must be ``memory``."""
        if signature != "memory":
            raise CallbackError("the signature is wrong")
        return msgspec.convert({"delivery": url.rpartition("/")[2], **form}, Receipt)


def _accept(delivery: Delivery) -> Receipt:
    return Receipt(delivery=delivery.id, state="accepted", provider=f"memory-{delivery.id}")
