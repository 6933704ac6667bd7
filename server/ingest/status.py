"""What the stations say about themselves: the last word of each, in memory."""

import datetime as dt
import logging
from collections import OrderedDict

import msgspec

from server.vitals import Vitals

logger = logging.getLogger(__name__)

LARGEST = 4_096
STATIONS = 200_000


class Status(msgspec.Struct, frozen=True):
    """A station's status message; ``received`` is ours, the rest is what it said."""

    state: str
    time: dt.datetime | None = None
    received: dt.datetime | None = None


_decoder = msgspec.json.Decoder(Status)


class Board:
    """The last status of every station; the longest unchanged are forgotten beyond a limit."""

    def __init__(self, vitals: Vitals) -> None:
        """Begin with nobody."""
        self._vitals = vitals
        self._last: OrderedDict[str, Status] = OrderedDict()
        self._online = 0

    def get(self, station: str) -> Status | None:
        """Give the station's last status."""
        return self._last.get(station)

    def put(self, station: str, payload: bytes, received: dt.datetime) -> bool:
        """Keep a status message; False for one that cannot be read."""
        try:
            said = _decoder.decode(payload if len(payload) <= LARGEST else b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._vitals.add("status_refused")
            logger.info("status not understood: station=%s detail=%s", station, error)
            return False
        status = msgspec.structs.replace(said, received=received)
        before = self._last.pop(station, None)
        self._last[station] = status
        if before is None or before.state != status.state:
            self._online += (status.state == "online") - (
                before is not None and before.state == "online"
            )
            logger.debug("status: station=%s state=%.20s", station, status.state)
        if len(self._last) > STATIONS:
            _, oldest = self._last.popitem(last=False)
            self._online -= oldest.state == "online"
        self._vitals.set("stations_online", self._online)
        return True
