"""What is remembered of a client between its connections, and what waits to be sent to it."""

from collections import deque
from typing import Protocol, TypeAlias

from server.ingest import answers
from server.ingest.packets import Will
from server.ingest.properties import Reason

ClientKey: TypeAlias = tuple[str, str]
"""Station ("" for an anonymous client) and client id: no one can take over a stranger."""

WINDOW = 16
"""Messages to a client that it has not confirmed yet, at most."""

BACKLOG = 100
"""Messages that wait for a client; beyond it the oldest is dropped."""


class Line(Protocol):
    """What a session and those who hold it need of a connection."""

    address: str
    session: "Session | None"
    version: int
    will: Will | None

    def send(self, data: bytes | bytearray) -> None:
        """Write, unless the connection is closing."""
        ...

    def end(self, reason: Reason, text: str = "") -> None:
        """Say why, as far as the protocol can, and close."""
        ...


class Session:
    """State of one client id.

    received: identifiers of QoS 2 messages that are committed and not yet released.
    coming: those that are not committed yet.
    filters: subscribed topics with the QoS that was granted.
    """

    __slots__ = (
        "_backlog",
        "_last",
        "_sent",
        "coming",
        "connection",
        "expires",
        "expiry",
        "filters",
        "key",
        "largest",
        "received",
        "window",
    )

    def __init__(self, key: ClientKey) -> None:
        self.key = key
        self.connection: Line | None = None
        self.received: set[int] = set()
        self.coming: set[int] = set()
        self.filters: dict[str, int] = {}
        self.window = WINDOW
        self.largest = 268_435_460
        self.expiry = 0.0
        self.expires = 0.0
        self._sent: dict[int, tuple[str, bytes]] = {}
        self._backlog: deque[tuple[str, bytes]] = deque(maxlen=BACKLOG)
        self._last = 0

    def post(self, topic: str, payload: bytes) -> bool:
        """Send a message, now or when there is room; False if it, or one before it, is dropped."""
        if len(topic) + len(payload) + 16 > self.largest:
            return False
        if not self.filters.get(topic, 0):
            if self.connection is not None:
                self.connection.send(answers.publish(self.connection.version, topic, payload))
            return True
        room = len(self._backlog) < BACKLOG
        self._backlog.append((topic, payload))
        self._flush()
        return room

    def confirmed(self, identifier: int) -> None:
        """Forget a message that the client has."""
        if self._sent.pop(identifier, None) is not None:
            self._flush()

    def resume(self) -> None:
        """Send again what the client did not confirm, then what waits."""
        if self.connection is None:
            return
        for identifier, (topic, payload) in self._sent.items():
            self.connection.send(
                answers.publish(
                    self.connection.version,
                    topic,
                    payload,
                    identifier=identifier,
                    duplicate=True,
                )
            )
        self._flush()

    def _flush(self) -> None:
        while self.connection is not None and self._backlog and len(self._sent) < self.window:
            topic, payload = self._backlog.popleft()
            self._last = self._last % 65_535 + 1
            while self._last in self._sent:
                self._last = self._last % 65_535 + 1
            self._sent[self._last] = (topic, payload)
            self.connection.send(
                answers.publish(self.connection.version, topic, payload, identifier=self._last)
            )


class Sessions:
    """All sessions, connected or waiting for their client to come back."""

    def __init__(self, limit: int) -> None:
        """Keep at most ``limit``; the oldest that is not connected gives way."""
        self._limit = limit
        self._ended: list[Session] = []
        self._all: dict[ClientKey, Session] = {}

    def __len__(self) -> int:
        return len(self._all)

    def get(self, key: ClientKey) -> Session | None:
        """Give a client's session."""
        return self._all.get(key)

    def open(self, key: ClientKey, *, clean: bool) -> tuple[Session, bool]:
        """Give the client's session, and whether it was there already."""
        found = self._all.get(key)
        if found is not None and not clean:
            return found, True
        if found is None and len(self._all) >= self._limit:
            self._give_way()
        session = Session(key)
        self._all[key] = session
        return session, False

    def close(self, session: Session, *, now: float) -> None:
        """Take leave of a connection: the session ends, or waits until it expires."""
        session.connection = None
        session.expires = now + session.expiry
        if not session.expiry and self._all.get(session.key) is session:
            del self._all[session.key]

    def sweep(self, now: float) -> list[Session]:
        """Forget those that have expired, and give them."""
        expired = [s for s in self._all.values() if s.connection is None and s.expires < now]
        for session in expired:
            del self._all[session.key]
        given_way, self._ended = self._ended, []
        return expired + given_way

    def _give_way(self) -> None:
        oldest = next((s for s in self._all.values() if s.connection is None), None)
        if oldest is not None:
            del self._all[oldest.key]
            self._ended.append(oldest)
