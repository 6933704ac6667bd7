"""One station at work: the driver's readings go into the spool, the publisher takes them out."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from agent.clock import Clock, plausible, text
from agent.config import Config
from agent.drivers import port
from agent.publisher import Publisher
from agent.spool import Spool
from agent.stored import Tally

_LONGEST_PAUSE = 60.0

log = logging.getLogger(__name__)


def run(
    config: Config, *, clock: Clock, stop: threading.Event, count: int = 0, patience: float = 0
) -> Tally:
    """Run a station until ``stop`` is set, or its driver ends and all is confirmed.

    count: readings after which the driver is ended; 0 for no end. patience: seconds to wait for
    confirmations after that; 0 for ever. Gives how the spool stood at the end.
    Raises DriverError and SpoolError before anything has started.
    """
    site = port.Site(station=config.station, folder=Path(config.folder), clock=clock)
    driver = port.make(config.driver.name, config.driver.options, site)
    now = clock.now()
    if not plausible(now):
        log.error("clock.unset now=%s: readings will carry a wrong time; set the clock", text(now))
    with ExitStack() as open_:
        spool = open_.enter_context(Spool(config.spool_path, clock=clock, limit=config.spool.limit))
        publisher = Publisher(
            station=config.station, broker=config.broker, spool=spool, clock=clock
        )
        open_.callback(publisher.close)
        publisher.start()
        _drive(driver, spool, publisher.wake, stop=stop, count=count)
        waited = 0.0
        while not stop.is_set() and not publisher.drained(0.2):
            waited += 0.2
            if patience and waited > patience:
                break
        if not stop.is_set():
            publisher.settled(1.0)
        return spool.tally


def _drive(
    driver: port.Driver,
    spool: Spool,
    wake: Callable[[], None],
    *,
    stop: threading.Event,
    count: int,
) -> None:
    """Spool what the driver gives; begin it again, after a pause, when it fails."""
    left, pause = count, 1.0
    while not stop.is_set():
        try:
            for batch in driver.read(mark=spool.mark, stop=stop):
                spool.extend(batch.reports, mark=batch.mark)
                wake()
                pause = 1.0
                left -= len(batch.reports)
                if count and left <= 0:
                    return
        except port.DriverError as error:
            log.warning("driver.failed pause=%g: %s", pause, error)
        except Exception:  # a driver may be anybody's; the station goes on
            log.exception("driver.failed pause=%g", pause)
        else:
            return
        stop.wait(pause)
        pause = min(_LONGEST_PAUSE, pause * 2)
