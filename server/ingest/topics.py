"""The topics of the wire: which there are, and who may use which."""

import re
from typing import NamedTuple

_TOPIC = re.compile(r"fenghuo/v1/([A-Za-z0-9-]{1,64})/(obs|status|cmd|ack)")

INWARD = frozenset({"obs", "status"})
OUTWARD = frozenset({"cmd", "ack"})


class Topic(NamedTuple):
    """A topic of one station; ``kind`` is obs, status, cmd or ack."""

    station: str
    kind: str


def read(name: str) -> Topic | None:
    """Give the topic of this name; None for what is none of ours."""
    found = _TOPIC.fullmatch(name)
    return Topic(found[1], found[2]) if found else None


def write(station: str, kind: str) -> str:
    """Give the name of a topic."""
    return f"fenghuo/v1/{station}/{kind}"
