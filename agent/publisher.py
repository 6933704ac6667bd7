"""The publisher: brings the spool's readings to the centre and lets go what is confirmed.

A reading leaves the spool only when the database has it. Where the other side's greeting says
that it acknowledges after the commit, its PUBACK is the confirmation; where a broker stands in
between, the centre names the readings on the station's ``ack`` topic. Whatever is not confirmed
in time is sent again; the centre keeps one of several equal readings.
"""

import logging
import random
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agent.clock import Clock, text
from agent.config import Broker
from agent.link import Acknowledged, Link, LinkError, Received, Version
from agent.order import Order
from agent.report import MAX_PAYLOAD
from agent.spool import Spool
from agent.stored import Stored
from agent.version import __version__

MANY = 200
"""Readings in one message at most."""

_ENVELOPE = len(b'{"reports":[]}')
_HEADER = 256
_FIRST_DELAY = 0.5
_LONGEST = 4
_STATUS_EVERY = 60.0
_REMEMBERED = 10_000

log = logging.getLogger(__name__)


class _Refused(msgspec.Struct, frozen=True):
    seq: int
    reason: str = ""
    detail: str = ""


class _Ack(msgspec.Struct, frozen=True):
    seq: list[int] = []
    refused: list[_Refused] = []


_ack = msgspec.json.Decoder(_Ack)


@dataclass(slots=True)
class _Flight:
    """A message on its way: the readings in it that are not yet confirmed, lowest and highest."""

    seqs: set[int]
    low: int
    high: int
    sent: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Condition:
    """How the publisher is doing: connected, or the last problem."""

    connected: bool
    problem: str


class Publisher:
    """Publishes one station's spool from a thread of its own, until it is closed."""

    def __init__(self, *, station: str, broker: Broker, spool: Spool, clock: Clock) -> None:
        """Prepare; `start` begins."""
        self._station = station
        self._broker = broker
        self._spool = spool
        self._clock = clock
        self._version: Version = "3.1.1" if broker.version == "3.1.1" else "5"
        self._attempt = 0
        self._patience = broker.confirm
        self._condition = Condition(connected=False, problem="")
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._unsettled: OrderedDict[int, None] = OrderedDict()
        self._thread = threading.Thread(target=self._run, name=f"publisher {station}", daemon=True)
        self._begin()

    def start(self) -> None:
        """Begin to connect and publish."""
        self._thread.start()

    def wake(self) -> None:
        """Say that the spool has something new."""
        try:
            self._button.send(b"!")
        except BlockingIOError:
            return  # it rings already

    def stop(self) -> None:
        """Ask the thread to end, without waiting for it."""
        self._stop.set()
        self.wake()

    def close(self) -> None:
        """Leave word that the station is offline, disconnect and end the thread."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join()
        self._bell.close()
        self._button.close()

    @property
    def condition(self) -> Condition:
        """How it is doing."""
        return self._condition

    def drained(self, timeout: float) -> bool:
        """Wait until the spool is empty; say whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._spool.waiting == 0, timeout)

    def settled(self, timeout: float) -> bool:
        """Wait until the centre has named all that it acknowledged: only so refusals are known."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._unsettled, timeout)

    # The thread

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._session()
            except LinkError as error:
                self._failed(error)
            except OSError as error:
                self._failed(LinkError("lost", str(error)))
            if time.monotonic() - began > _STATUS_EVERY:
                self._attempt = 0
            self._stop.wait(self._delay())

    def _delay(self) -> float:
        """Give the seconds until the next attempt: full jitter under a rising bound.

        Method: Brooker, Exponential Backoff and Jitter, AWS Architecture Blog 2015.
        """
        bound = min(self._broker.retry, _FIRST_DELAY * 2 ** min(self._attempt, 20))
        self._attempt += 1
        return random.SystemRandom().uniform(0, bound)

    def _failed(self, error: LinkError) -> None:
        if error.layer == "protocol" and self._broker.version == "auto":
            self._version = "3.1.1" if self._version == "5" else "5"
            log.warning("mqtt.version station=%s next=%s: %s", self._station, self._version, error)
        problem = f"{error.layer}: {error}"
        if problem != self._condition.problem or self._condition.connected:
            log.warning("mqtt.down station=%s layer=%s: %s", self._station, error.layer, error)
        self._tell(Condition(connected=False, problem=problem))

    def _tell(self, condition: Condition) -> None:
        with self._changed:
            self._condition = condition
            self._changed.notify_all()

    def _begin(self) -> None:
        self._order = Order(self._spool)
        self._flights: dict[int, _Flight] = {}
        self._message_of: dict[int, int] = {}
        self._status: tuple[int, int] = (-1, -1)
        self._status_due = 0.0

    def _session(self) -> None:
        """Live through one connection. Raises LinkError when it is lost."""
        self._begin()
        will = self._words("offline", will=True)
        with Link(
            station=self._station, broker=self._broker, version=self._version, will=will
        ) as link:
            greeting = link.greeting
            if not greeting.commits and "ack" not in greeting.granted:
                raise LinkError(
                    "rights",
                    f"the broker does not let us read fenghuo/v1/{self._station}/ack, so nothing "
                    "could ever be confirmed; give the station that right",
                )
            log.info(
                "mqtt.up station=%s version=%s confirmation=%s waiting=%d",
                self._station, self._version, "puback" if greeting.commits else "ack",
                self._spool.waiting,
            )  # fmt: skip
            self._tell(Condition(connected=True, problem=""))
            while not self._stop.is_set():
                self._report(link)
                self._fill(link)
                self._take(link, link.poll(1.0, self._bell))
                self._silence()
                self._overdue(link)
            self._leave(link)

    def _leave(self, link: Link) -> None:
        farewell = link.send("status", self._words("offline"), retain=True)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            events = link.poll(0.2)
            self._take(link, events)
            if any(isinstance(e, Acknowledged) and e.message == farewell for e in events):
                return

    def _silence(self) -> None:
        try:
            while self._bell.recv(1_024):
                pass
        except BlockingIOError:
            return

    # Sending

    def _fill(self, link: Link) -> None:
        """Send while there is room: the newest alone, the backlog in large payloads beside it."""
        size = min(MAX_PAYLOAD, link.greeting.packet - _HEADER) - _ENVELOPE
        while len(self._flights) < link.greeting.inflight:
            newest = self._order.newest()
            if newest is not None:
                self._send(link, [newest])
                continue
            backlog = self._order.backlog(limit=MANY, size=size)
            if not backlog:
                return
            self._send(link, backlog)

    def _send(self, link: Link, readings: list[Stored]) -> None:
        bodies = [stored.numbered for stored in readings]
        payload = bodies[0] if len(bodies) == 1 else b'{"reports":[%b]}' % b",".join(bodies)
        message = link.send("obs", payload)
        seqs = {stored.seq for stored in readings}
        self._flights[message] = _Flight(seqs, low=min(seqs), high=max(seqs))
        self._message_of |= dict.fromkeys(seqs, message)

    def _report(self, link: Link) -> None:
        """Publish the status: at once, and when readings were lost or refused since."""
        now = time.monotonic()
        if now < self._status_due:
            return
        self._status_due = now + _STATUS_EVERY
        self._spool.retry()
        tally = self._spool.tally
        if (tally.lost, tally.refused) != self._status:
            self._status = tally.lost, tally.refused
            link.send("status", self._words("online"), retain=True)

    def _words(self, state: str, *, will: bool = False) -> bytes:
        said: dict[str, Any] = {"state": state, "time": text(self._clock.now())}
        if will:
            return msgspec.json.encode(said)
        tally = self._spool.tally
        said |= {"version": __version__, "waiting": tally.waiting}
        said |= {"lost": tally.lost, "refused": tally.refused}
        return msgspec.json.encode(said)

    # Confirming

    def _take(self, link: Link, events: Iterable[Acknowledged | Received]) -> None:
        for event in events:
            match event:
                case Acknowledged(message, problem) if message in self._flights:
                    self._acknowledged(link, message, problem)
                case Acknowledged():
                    pass  # the status
                case Received("ack", payload):
                    self._named(payload)
                case Received(kind, payload):
                    log.warning(
                        "mqtt.ignored station=%s kind=%s bytes=%d: not known to this version",
                        self._station, kind, len(payload),
                    )  # fmt: skip

    def _acknowledged(self, link: Link, message: int, problem: str) -> None:
        if problem:
            raise LinkError("rights", f"readings are not taken: {problem}")
        if link.greeting.commits:
            seqs = set(self._flights[message].seqs)
            if "ack" in link.greeting.granted:
                self._unsettled |= dict.fromkeys(seqs)
                while len(self._unsettled) > _REMEMBERED:
                    self._unsettled.popitem(last=False)
            self._confirmed(seqs)

    def _named(self, payload: bytes) -> None:
        """Take the centre's word on single readings."""
        try:
            said = _ack.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("mqtt.ack station=%s: cannot be read: %s", self._station, error)
            return
        for refused in said.refused:
            if refused.seq in self._message_of or refused.seq in self._unsettled:
                reason = f"{refused.reason}: {refused.detail}"
                log.warning(
                    "reading.refused station=%s seq=%d reason=%s",
                    self._station,
                    refused.seq,
                    reason,
                )
                self._spool.refuse([refused.seq], reason=reason)
        seqs = {*said.seq, *(refused.seq for refused in said.refused)}
        for seq in seqs:
            self._unsettled.pop(seq, None)
        self._confirmed(seqs)

    def _confirmed(self, seqs: set[int]) -> None:
        self._spool.confirm(seqs)
        for seq in seqs:
            message = self._message_of.pop(seq, None)
            if message is not None and (flight := self._flights.get(message)) is not None:
                flight.seqs.discard(seq)
                if not flight.seqs:
                    del self._flights[message]
        self._attempt = 0
        self._patience = self._broker.confirm
        self._tell(Condition(connected=True, problem=""))

    def _overdue(self, link: Link) -> None:
        """Send again what was not confirmed in time, each time more patiently."""
        now = time.monotonic()
        late = [m for m, flight in self._flights.items() if now - flight.sent > self._patience]
        if not late:
            return
        log.warning(
            "mqtt.overdue station=%s messages=%d seconds=%g: not confirmed, will be sent again",
            self._station, len(late), self._patience,
        )  # fmt: skip
        self._patience = min(_LONGEST * self._broker.confirm, self._patience * 2)
        if link.greeting.commits:
            # The protocol forbids to repeat a message within a connection.
            raise LinkError("lost", "no confirmation: the centre or its database is not working")
        topic = f"fenghuo/v1/{self._station}/ack"
        problem = f"no confirmation on {topic}: is the centre working, may the station read it?"
        self._tell(Condition(connected=True, problem=problem))
        for message in late:
            flight = self._flights.pop(message)
            for seq in flight.seqs:
                self._message_of.pop(seq, None)
            self._order.again(flight.low, flight.high)
