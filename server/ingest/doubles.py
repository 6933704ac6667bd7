"""Two stations with one name: each throws the other out, again and again."""

import logging
from collections import deque

from server.ingest.session import ClientKey
from server.vitals import Vitals

logger = logging.getLogger(__name__)

OFTEN = 3
WITHIN = 60.0
"""So many takeovers in so many seconds are two clients, not one that comes back."""


class Doubles:
    """Notices clients that take over from each other, names them and counts them."""

    def __init__(self, vitals: Vitals) -> None:
        """Begin with none."""
        self._vitals = vitals
        self._seen: dict[ClientKey, deque[tuple[float, str]]] = {}
        self._told: dict[ClientKey, float] = {}

    def note(self, key: ClientKey, old: str, new: str, *, now: float) -> None:
        """Note that ``new`` (an address) took over from ``old``; warn once a minute at most."""
        seen = self._seen.setdefault(key, deque(maxlen=OFTEN))
        seen.append((now, f"{old} -> {new}"))
        if len(seen) < OFTEN or now - seen[0][0] > WITHIN:
            return
        if now - self._told.get(key, -WITHIN) < WITHIN:
            return
        self._told[key] = now
        self._vitals.add("doubles")
        logger.warning(
            "two clients with one name: station=%s client=%.64s takeovers=%s",
            key[0] or "?",
            key[1],
            ", ".join(how for _, how in seen),
        )

    def sweep(self, now: float) -> None:
        """Forget what is long ago."""
        for key in [k for k, seen in self._seen.items() if now - seen[-1][0] > WITHIN]:
            del self._seen[key]
            self._told.pop(key, None)
