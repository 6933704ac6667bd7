"""Replays all stations of an event together: a step is done when every reading is confirmed.

A step is all readings of one time. Each station has a spool and a connection of its own. How far
a station has come is stored with its readings, so after any interruption nothing is left out and
nothing confirmed is repeated.
"""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from agent.clock import Clock, text
from agent.config import Broker
from agent.event import Timeline
from agent.publisher import Publisher
from agent.report import Report
from agent.spool import Spool

_SPOOL = "{station}.sqlite"
_EVENT = "event.json"
_LOOK = 0.5
_TELL_EVERY = 10.0

log = logging.getLogger(__name__)


class Progress(msgspec.Struct, frozen=True):
    """After a step: its time, its number from 1, and all readings confirmed so far."""

    time: str
    step: int
    steps: int
    sent: int
    refused: int


class Stuck(msgspec.Struct, frozen=True):
    """Waiting for confirmations: how many, since when (s), and what the connection says."""

    waiting: int
    seconds: int
    problem: str
    connected: bool


class AnotherEvent(Exception):  # noqa: N818 - it is what it says
    """The state folder belongs to another event or to other stations."""


class GaveUp(Exception):  # noqa: N818 - it is what it says
    """Nothing was confirmed for too long."""

    def __init__(self, stuck: Stuck) -> None:
        super().__init__(stuck.problem)
        self.stuck = stuck


class _Player:
    """One station."""

    def __init__(
        self, *, station: str, broker: Broker, state: Path, clock: Clock, open_: ExitStack
    ) -> None:
        self.station = station
        path = state / _SPOOL.format(station=station)
        self.spool = open_.enter_context(Spool(path, clock=clock))
        self.publisher = Publisher(station=station, broker=broker, spool=self.spool, clock=clock)
        open_.callback(self.publisher.close)

    @property
    def reached(self) -> dt.datetime | None:
        """The time of the last reading that is in the spool or confirmed."""
        mark = self.spool.mark
        return dt.datetime.fromisoformat(mark) if mark else None

    def take(self, report: Report) -> None:
        reached = self.reached
        if reached is None or report.time > reached:
            self.spool.extend([report], mark=text(report.time))
            self.publisher.wake()


def _stop(players: list[_Player]) -> None:
    """Ask all to end at once, before each is waited for in turn."""
    for player in players:
        player.publisher.stop()


class Lockstep:
    """The replay of one event."""

    def __init__(
        self,
        timeline: Timeline,
        *,
        broker: Callable[[str], Broker],
        state: Path,
        clock: Clock,
        pace: float,
        patience: float,
        tell: Callable[[Progress | Stuck], None],
    ) -> None:
        """Prepare; ``broker`` gives the way of a station, ``tell`` hears of each step.

        pace: seconds of the event in one second, 0 for as fast as possible. patience: seconds
        without any confirmation after which `run` gives up.
        """
        self._timeline = timeline
        self._broker = broker
        self._state = state
        self._clock = clock
        self._pace = pace
        self._patience = patience
        self._tell = tell

    def run(self, stop: threading.Event) -> Progress | None:
        """Replay to the end, from where the state says; give how it ended.

        None: it was stopped before. Raises AnotherEvent, GaveUp and SpoolError.
        """
        self._same_event()
        timeline = self._timeline
        with ExitStack() as open_:
            players = {
                station.id: _Player(
                    station=station.id,
                    broker=self._broker(station.id),
                    state=self._state,
                    clock=self._clock,
                    open_=open_,
                )
                for station in timeline.event.stations
            }
            open_.callback(_stop, list(players.values()))
            first = min(timeline.after(name, player.reached) for name, player in players.items())
            for player in players.values():
                player.publisher.start()
            if not self._confirmed(players, stop):
                return None
            if first:
                self._tell(self._progress(first - 1, players))
            due = time.monotonic()
            for step in range(first, len(timeline)):
                if self._pace and step > first:
                    gap = timeline.time(step) - timeline.time(step - 1)
                    due = max(time.monotonic(), due + gap.total_seconds() / self._pace)
                    stop.wait(due - time.monotonic())
                for name, report in timeline.at(step).items():
                    players[name].take(report)
                if stop.is_set() or not self._confirmed(players, stop):
                    return None
                self._tell(self._progress(step, players))
            for player in players.values():
                player.publisher.settled(1.0)
            return self._progress(len(timeline) - 1, players)

    def _confirmed(self, players: dict[str, _Player], stop: threading.Event) -> bool:
        """Wait until every spool is empty; False when stopped. Raises GaveUp."""
        began = told = time.monotonic()
        before = sum(player.spool.waiting for player in players.values())
        for player in players.values():
            while not player.publisher.drained(_LOOK):
                now = time.monotonic()
                waiting = sum(player.spool.waiting for player in players.values())
                if waiting < before:
                    began, before = now, waiting
                condition = player.publisher.condition
                seconds = int(now - began)
                stuck = Stuck(waiting, seconds, condition.problem, condition.connected)
                if stop.is_set():
                    return False
                if now - began > self._patience:
                    raise GaveUp(stuck)
                if now - told > _TELL_EVERY:
                    told = now
                    self._tell(stuck)
        return True

    def _progress(self, step: int, players: dict[str, _Player]) -> Progress:
        timeline = self._timeline
        return Progress(
            time=text(timeline.time(step)),
            step=step + 1,
            steps=len(timeline),
            sent=timeline.until(step),
            refused=sum(player.spool.tally.refused for player in players.values()),
        )

    def _same_event(self) -> None:
        """Make sure that the state is of this event, or begin it."""
        timeline = self._timeline
        description = {
            "title": timeline.event.description.title.en,
            "first": text(timeline.time(0)),
            "last": text(timeline.time(len(timeline) - 1)),
            "steps": len(timeline),
            "readings": timeline.readings,
            "stations": sorted(station.id for station in timeline.event.stations),
        }
        self._state.mkdir(parents=True, exist_ok=True)
        path = self._state / _EVENT
        try:
            known = msgspec.json.decode(path.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            known = None
        if known is None:
            path.write_bytes(msgspec.json.encode(description))
        elif known != description:
            raise AnotherEvent(str(self._state))
