"""What is put in for each recipient at the last moment: the address, and the own link."""

import logging
import uuid

from alerts.people import acknowledge
from alerts.people.sealing import Seal, SealError
from alerts.texts.wording import ACK

_log = logging.getLogger(__name__)


class Opener:
    """Opens sealed addresses; ``public`` is the address that links begin with, empty: no links."""

    def __init__(self, seal: Seal, *, public: str = "") -> None:
        """Use a seal."""
        self._seal = seal
        self._public = public.rstrip("/")

    def address(self, sealed: bytes | None, delivery: uuid.UUID) -> str:
        """Give the address; empty for one that was erased or sealed with another key."""
        try:
            return self._seal.open(sealed) if sealed else ""
        except SealError as error:
            _log.error("address not opened delivery=%s error=%s", delivery, error)
            return ""

    def text(self, body: str, delivery: uuid.UUID) -> str:
        """Put the recipient's own link into a body that asks for one."""
        if ACK not in body:
            return body
        link = self._public + acknowledge.link(delivery, self._seal) if self._public else ""
        return body.replace(ACK, link).rstrip()
