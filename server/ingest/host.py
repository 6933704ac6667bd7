"""What connections share: the side of the listener that they see."""

import datetime as dt
from typing import TYPE_CHECKING, Protocol

from server.clock import Clock
from server.ingest import topics
from server.ingest.access import Access
from server.ingest.packets import Connect, Subscribe, Unsubscribe
from server.ingest.session import Session
from server.ingest.source import Delivery
from server.settings import Ingest
from server.vitals import Vitals

if TYPE_CHECKING:
    from server.ingest.connection import Connection


class Host(Protocol):
    """What all connections share.

    buffer: they read into it, one after the other.
    moment: when the bytes came that are read now.
    ahead: bytes that are read ahead of connections held back.
    """

    settings: Ingest
    access: Access
    vitals: Vitals
    clock: Clock
    buffer: memoryview
    moment: dt.datetime
    ahead: int

    def time(self) -> float:
        """Give the event loop's time."""
        ...

    def welcome(self, connection: "Connection") -> bool:
        """Take a new connection in; False when there are too many."""
        ...

    def leave(self, connection: "Connection") -> None:
        """Forget a connection."""
        ...

    def deliver(self, delivery: Delivery, connection: "Connection") -> None:
        """Hand a message on, and hold the connection back if there is no room."""
        ...

    def foreign(self, topic: str, payload: bytes, station: str) -> topics.Topic | None:
        """Give ours for a mapped topic."""
        ...

    def status(self, station: str, payload: bytes) -> None:
        """Take a status message."""
        ...

    def admit(self, connection: "Connection", packet: Connect) -> float:
        """Give a client its session and answer CONNECT; give how long it may be silent."""
        ...

    def limit_expiry(self, session: Session, seconds: float) -> None:
        """Let the session outlive its connection for so long."""
        ...

    def subscribe(self, connection: "Connection", packet: Subscribe) -> None:
        """Answer SUBSCRIBE."""
        ...

    def unsubscribe(self, connection: "Connection", packet: Unsubscribe) -> None:
        """Answer UNSUBSCRIBE."""
        ...
