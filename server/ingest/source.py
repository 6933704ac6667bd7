"""Where deliveries come from: a port of two methods, and its twin in memory."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from agent.report import Refusal, Report


class Delivery(msgspec.Struct, gc=False, eq=False):
    """A message of a station on its way to the store.

    received: when it came, aware.
    origin, token: the source's own, so that it finds the way back.
    items: its reports in order; what was refused stands there as a `Refusal`. Filled by the
        pipeline, final when the delivery is acknowledged.
    """

    station: str
    topic: str
    payload: bytes
    received: dt.datetime
    origin: Any = None
    token: int = 0
    items: list[Report | Refusal] = []


Deliver: TypeAlias = Callable[[Delivery], bool]
"""Takes a delivery, always. False asks the source to hold back until it hears `acknowledge`."""


class Source(Protocol):
    """Brings deliveries and tells their senders what is safe."""

    async def run(self, deliver: Deliver) -> None:
        """Bring deliveries until cancelled; then bring no more, but still acknowledge."""
        ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the senders that these are committed: as readings, or in the quarantine."""
        ...


class _Refused(msgspec.Struct):
    seq: int
    reason: str
    detail: str


class _Confirmation(msgspec.Struct, omit_defaults=True):
    seq: list[int]
    refused: list[_Refused] = []


_encoder = msgspec.json.Encoder()


def confirmation(deliveries: Iterable[Delivery]) -> bytes | None:
    """Give the payload for ``…/ack`` that names the numbers of these; None where none has one."""
    confirmed = _Confirmation([])
    for delivery in deliveries:
        for item in delivery.items:
            if item.seq is None:
                continue
            if isinstance(item, Refusal):
                confirmed.refused.append(_Refused(item.seq, item.reason, item.detail))
            else:
                confirmed.seq.append(item.seq)
    if not confirmed.seq and not confirmed.refused:
        return None
    return _encoder.encode(confirmed)


class MemorySource:
    """A source for tests: ``put`` messages in, see what was ``acknowledged``."""

    def __init__(self) -> None:
        """Begin empty."""
        self.acknowledged: list[Delivery] = []
        self.held = False
        self._waiting: list[Delivery] = []
        self._changed = asyncio.Event()

    def put(self, delivery: Delivery) -> None:
        """Hand a message in, to be delivered in turn."""
        self._waiting.append(delivery)
        self._changed.set()

    async def run(self, deliver: Deliver) -> None:
        """Deliver what was put in, and hold back when asked to."""
        while True:
            while self._waiting and not self.held:
                self.held = not deliver(self._waiting.pop(0))
            self._changed.clear()
            await self._changed.wait()

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Keep them in ``acknowledged``."""
        self.acknowledged.extend(deliveries)
        self.held = False
        self._changed.set()
