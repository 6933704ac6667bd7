"""A reading in the spool, and how the spool stands, as values."""

import msgspec

from agent.report import Report

LARGEST = 60_000
"""Bytes of a single reading at most; it has to fit into one payload."""

_encoder = msgspec.json.Encoder()


class Stored(msgspec.Struct, frozen=True):
    """A reading in the spool: its number, and the report as JSON without it."""

    seq: int
    body: bytes

    @property
    def numbered(self) -> bytes:
        """The report as JSON, with its number."""
        return b'{"seq":%d,%b' % (self.seq, self.body[1:])


class Tally(msgspec.Struct, frozen=True):
    """How the spool stands.

    waiting: readings not yet confirmed. held: those of them that are in memory only.
    lost: given up because the spool or the memory was full, since the spool was made.
    refused: kept by the centre in quarantine; reason is that of the last.
    """

    waiting: int
    held: int
    lost: int
    refused: int
    reason: str


def body(report: Report) -> bytes:
    """Write a report as it is kept, without a number. Raises ValueError for one too large."""
    body = _encoder.encode(msgspec.structs.replace(report, seq=None))
    if len(body) > LARGEST:
        raise ValueError(f"a reading of {len(body)} bytes is too large to be sent ({LARGEST})")
    return body
