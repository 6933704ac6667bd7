"""What every way to reach people offers, and a twin in memory for tests."""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec

State: TypeAlias = Literal["queued", "accepted", "delivered", "failed", "uncertain"]


GONE = "gone: "
"""How the problem of a failure begins where the address is no more: it is not used again."""


class ChannelError(Exception):
    """A channel will not do this; the message says why."""


class ExerciseError(ChannelError):
    """An exercise was about to reach a real person, or a real warning the exercise phone."""


class CallbackError(ChannelError):
    """A callback is not the provider's, or cannot be understood."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says on one channel in one language; the same for every recipient.

    subject: of what has one, as an e-mail. ``{ack}`` in the body becomes the recipient's own link.
    """

    body: str
    subject: str = ""
    segments: int = 1


def where(error: Exception) -> str:
    """Give the kind of a fault and the line it comes from.

    Never its text: that may hold an address, and faults are logged and shown.
    """
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    place = "" if last is None else f" at {last.tb_frame.f_code.co_name}:{last.tb_lineno}"
    return f"{type(error).__name__}{place}"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one recipient by one channel; the address is opened.

    way: what an exercise stands for, otherwise the channel. provider: its own number of it, handed:
    when it was given it; both as far as they are known.
    """

    id: uuid.UUID
    channel: str
    exercise: bool
    address: str
    body: str
    expires: dt.datetime
    message: uuid.UUID
    way: str = ""
    subject: str = ""
    language: str = ""
    tier: str = "public"
    attempts: int = 1
    provider: str | None = None
    handed: dt.datetime | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery.

    state: ``queued`` was certainly not sent and may be tried again; ``uncertain`` may have been
    sent, and only the provider knows. provider: its own number of it.
    """

    delivery: uuid.UUID
    state: State
    provider: str | None = None
    problem: str | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a channel could send just now, from fresh evidence, and what was seen."""

    ok: bool
    detail: str


class Channel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """Name in the ledger."""

    @property
    def repeatable(self) -> bool:
        """Whether sending the same delivery twice still reaches the recipient once."""

    @property
    def rate(self) -> float:
        """Deliveries per second at most, for all dispatchers together; 0: no limit."""

    @property
    def workers(self) -> int:
        """Deliveries under way at once at most, in one dispatcher."""

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Send, and say what is known then; raises ExerciseError for what is not for it."""
        ...

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Ask the provider what became of it; None where it cannot tell."""
        ...

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Read what the provider reports later; raises CallbackError.

        url: the public address that was called, its last part the delivery's id. headers: names
        in lower case. form: of the body, where it is one.
        """
        ...

    async def probe(self) -> Probe:
        """Look whether it could send, without sending; raises nothing."""
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...


class Memory:
    """A channel that remembers; ``answer`` decides what it says, ``found`` what it finds."""

    def __init__(
        self,
        *,
        name: str = "sms",
        repeatable: bool = False,
        rate: float = 0,
        workers: int = 20,
        answer: Callable[[Delivery], Receipt] | None = None,
        found: Callable[[Delivery], Receipt | None] | None = None,
    ) -> None:
        self.name = name
        self.repeatable = repeatable
        self.rate = rate
        self.workers = workers
        self.sent: list[Delivery] = []
        self.asked: list[Delivery] = []
        self._answer = answer or _accept
        self._found = found or _unknown

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Remember the delivery; raises ExerciseError as a real channel does."""
        if delivery.exercise or now >= delivery.expires:
            raise ExerciseError(f"delivery {delivery.id} is not for {self.name}")
        self.sent.append(delivery)
        return self._answer(delivery)

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Remember that it was asked for, and give what ``found`` gives; None without."""
        self.asked.append(delivery)
        return self._found(delivery)

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Read a form with ``state``; the header ``x-signature`` must be ``memory``."""
        del body
        if headers.get("x-signature") != "memory":
            raise CallbackError("the signature is wrong")
        return [msgspec.convert({"delivery": url.rpartition("/")[2], **form}, Receipt)]

    async def probe(self) -> Probe:
        """Say yes: it is here."""
        return Probe(ok=True, detail=f"{len(self.sent)} remembered")

    async def close(self) -> None:
        """Hold on to everything: a test looks at it afterwards."""


def _accept(delivery: Delivery) -> Receipt:
    return Receipt(delivery=delivery.id, state="accepted", provider=f"memory-{delivery.id}")


def _unknown(_: Delivery) -> None:
    return None
