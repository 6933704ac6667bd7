"""What the routes need, in one value."""

from dataclasses import dataclass

from alerts.catalogue import Catalogue
from alerts.people.sealing import Seal
from server.clock import Clock
from server.probing import Channels
from server.settings import Settings
from server.store.database import Database
from server.web.live import Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """clock: the time that is decided by, the event's in an exercise; wall: the real one."""

    database: Database
    settings: Settings
    clock: Clock
    wall: Clock
    catalogue: Catalogue
    seal: Seal
    live: Live
    channels: Channels
