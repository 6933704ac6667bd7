"""Run the ingest role alone, with the settings of the environment: ``python -m server.ingest``."""

import asyncio
import logging
import signal

import uvloop

from server.clock import SystemClock
from server.ingest.service import serve
from server.settings import load


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    task = asyncio.create_task(serve(load(), clock=SystemClock()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        logging.getLogger(__name__).info("stopped")


logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
uvloop.run(main())
