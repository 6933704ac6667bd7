"""Whether the channels in use could send just now: looked at on demand, kept for a short while."""

import asyncio
import datetime as dt
import time

import msgspec

from alerts.channels.port import Channel, Probe
from server.channels import build
from server.clock import Clock
from server.settings import Settings, SettingsError

KEEP = 60.0
"""Seconds that a result counts."""

PATIENCE = 10.0
"""Seconds that a channel gets to answer."""


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """A channel in use: whether it could send, what was seen, and when that was.

    fallback: it is used only where others failed.
    """

    name: str
    ok: bool
    detail: str
    at: dt.datetime
    fallback: bool


class Channels:
    """The channels of the settings, built when they are first needed. Use inside the event loop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Know the settings; a clock says when it was looked."""
        self._settings = settings
        self._clock = clock
        self._made: dict[str, Channel] = {}
        self._kept: tuple[Probed, ...] = ()
        self._looked = -KEEP
        self._lock = asyncio.Lock()

    def get(self, name: str) -> Channel:
        """Give a channel in use; raises SettingsError for one that is not, or lacks something."""
        if name not in self._settings.alerts.channels:
            raise SettingsError(f"the channel {name!r} is not in use")
        if name not in self._made:
            self._made[name] = build(name, self._settings)
        return self._made[name]

    async def probe(self) -> tuple[Probed, ...]:
        """Give the state of every channel in use, never from evidence older than `KEEP`."""
        async with self._lock:
            if time.monotonic() - self._looked >= KEEP:
                names = self._settings.alerts.channels
                self._kept = tuple(await asyncio.gather(*(self._look(name) for name in names)))
                self._looked = time.monotonic()
            return self._kept

    async def close(self) -> None:
        """Close what was built."""
        made, self._made = list(self._made.values()), {}
        await asyncio.gather(*(channel.close() for channel in made), return_exceptions=True)

    async def _look(self, name: str) -> Probed:
        at = self._clock.now()
        try:
            async with asyncio.timeout(PATIENCE):
                seen = await self.get(name).probe()
        except SettingsError as error:
            seen = Probe(ok=False, detail=str(error))
        except TimeoutError:
            seen = Probe(ok=False, detail=f"no answer within {PATIENCE:.0f} s")
        except Exception as error:  # noqa: BLE001 - what cannot be looked at is not green
            seen = Probe(ok=False, detail=repr(error))
        fallback = name in self._settings.alerts.fallback
        return Probed(name=name, ok=seen.ok, detail=seen.detail, at=at, fallback=fallback)
