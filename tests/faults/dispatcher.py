"""A dispatcher to be killed: it writes down each delivery as it is sent, and then may hang."""

import asyncio
import datetime as dt
import sys
from pathlib import Path

from alerts.channels.exercise import ExercisePhone
from alerts.channels.port import Delivery, Memory, Receipt
from alerts.sending import dispatch
from tests.samples import SEAL, Fixed, connector


class Written:
    """Wraps a channel; hangs between sending and reporting once ``hang_after`` were sent."""

    def __init__(self, channel: ExercisePhone | Memory, log: Path, hang_after: int) -> None:
        self.name = channel.name
        self.repeatable = channel.repeatable
        self.rate = channel.rate
        self.workers = channel.workers
        self.find = channel.find
        self.parse_callback = channel.parse_callback
        self.probe = channel.probe
        self.close = channel.close
        self._channel = channel
        self._log = log
        self._left = hang_after

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        receipt = await self._channel.send(delivery, now=now)
        with self._log.open("a") as log:
            log.write(f"{delivery.id}\n")
        self._left -= 1
        if self._left < 0:
            await asyncio.Event().wait()
        return receipt


if __name__ == "__main__":
    url, name, file, count = sys.argv[1:]
    real = ExercisePhone() if name == "exercise" else Memory()
    channel = Written(real, Path(file), int(count))
    asyncio.run(dispatch.run(connector(url), [channel], clock=Fixed(), seal=SEAL, poll=0.05))
