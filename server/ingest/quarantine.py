"""What cannot be stored is kept, with the reason, the raw bytes and the topic."""

from agent.report import MAX_PAYLOAD, Refusal
from server.ingest.source import Delivery
from server.store.sink import Refused

REASONS = frozenset(
    {
        *("json", "form", "size", "time", "element", "range", "position", "empty"),
        *("station", "conflict", "store"),
    }
)
"""Every reason: the wire's own first, then those that only the centre can find."""

EXCERPT = 1_024
"""Bytes that are kept of a payload that is too large."""

DETAIL = 1_000


def keep(delivery: Delivery, refusal: Refusal) -> Refused:
    """Give the row of the quarantine for a report that was refused."""
    whole = refusal.reason != "size" and len(refusal.raw) <= MAX_PAYLOAD
    return Refused(
        received=delivery.received,
        topic=delivery.topic,
        payload=refusal.raw if whole else refusal.raw[:EXCERPT],
        reason=refusal.reason,
        detail=_plain(refusal.detail)[:DETAIL],
    )


def _plain(text: str) -> str:
    """Give text that PostgreSQL takes: no NUL, no half characters."""
    return text.replace("\x00", "\\0").encode("utf-8", "replace").decode()
