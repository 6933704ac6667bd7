"""A small stream for everybody's pages: it says that something has changed, and no more.

Such a page fetches itself anew then; the console's stream would bring it every station's readings.
"""

from collections.abc import AsyncGenerator
from typing import Protocol

from server.web.stream import frame

NAME = "change"


class Numbered(Protocol):
    """What counts the messages."""

    serial: int


class Pulse:
    """What a `Hub` for such pages gives to new and to slow clients."""

    def __init__(self, source: Numbered) -> None:
        """Count as ``source`` does."""
        self._source = source

    @property
    def serial(self) -> int:
        """Number of the newest message."""
        return self._source.serial

    def snapshot(self) -> bytes:
        """Give the present number."""
        return frame(NAME, {"serial": self.serial}, serial=self.serial)

    def whole(self, name: str) -> bytes:
        """Give the same: who knows the newest has missed nothing."""
        del name
        return self.snapshot()

    async def replay(self, after: int, until: int) -> AsyncGenerator[bytes, None]:
        """Give nothing: the snapshot says it all."""
        del after, until
        for data in list[bytes]():
            yield data
