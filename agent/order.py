"""Which reading goes next: the newest first, and beside it the backlog from new to old."""

from agent.spool import Spool
from agent.stored import Stored

_TOP = 2**62


class Order:
    """Takes every waiting reading of a spool once; made anew for each connection.

    What is not yet taken lies above `_high`, or in one of the gaps below it.
    """

    def __init__(self, spool: Spool) -> None:
        """Begin with everything that waits."""
        self._spool = spool
        self._high = 0
        self._gaps: list[tuple[int, int]] = []

    def newest(self) -> Stored | None:
        """Take the newest reading, if it came since this was asked last."""
        if self._spool.last <= self._high:
            return None
        found = self._spool.between(self._high, _TOP, 1)
        if not found:
            return None
        (stored,) = found
        if stored.seq > self._high + 1:
            self._gaps.append((self._high, stored.seq))
        self._high = stored.seq
        return stored

    def backlog(self, *, limit: int, size: int) -> list[Stored]:
        """Take up to ``limit`` older readings, at least one, of ``size`` bytes in all."""
        while self._gaps:
            low, high = self._gaps.pop()
            found = self._spool.between(low, high, limit)
            if not found:
                continue
            fitting = _fitting(found, size)
            if len(fitting) < len(found) or len(found) == limit:
                self._gaps.append((low, fitting[-1].seq))
            return fitting
        return []

    def again(self, low: int, high: int) -> None:
        """Take the readings from ``low`` to ``high`` once more: their message was lost."""
        self._gaps.append((low - 1, high + 1))


def _fitting(found: list[Stored], size: int) -> list[Stored]:
    """Give the readings from the first on that fit into ``size`` bytes together."""
    total = 0
    for index, stored in enumerate(found):
        total += len(stored.numbered) + 1
        if total > size and index:
            return found[:index]
    return found
