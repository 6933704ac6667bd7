"""The write role: from the stream to the database; as many processes as one likes."""

from server.clock import Clock
from server.ingest import service
from server.settings import Settings


async def serve(settings: Settings, *, clock: Clock) -> None:
    """Store what the stream brings until cancelled."""
    await service.serve(settings, clock=clock, role="write")
