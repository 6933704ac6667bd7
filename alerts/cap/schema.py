"""The schema of CAP 1.2, as OASIS published it (CAP-v1.2.xsd, with its notice)."""

from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import Any

from lxml import etree

_turn = Lock()

MOST = 20
"""Complaints told of one document."""


def check(alert: Any) -> list[str]:
    """Give what the schema says against an alert, with the line, one sentence each."""
    # Two threads that read a schema at once spoil libxml2's types for the whole process, and two
    # that validate mix up what is said against their alerts.
    with _turn:
        schema = _schema()
        if schema.validate(alert):
            return []
        log: Any = schema.error_log  # the stubs do not know that it is a sequence
        errors = list(log)[:MOST]
    return [f"line {error.line}: {_plain(str(error.message))}" for error in errors]


@lru_cache(1)
def _schema() -> etree.XMLSchema:
    text = files(__package__).joinpath("CAP-v1.2.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text))


def _plain(message: str) -> str:
    """Take the names' long prefix away."""
    return message.replace("{urn:oasis:names:tc:emergency:cap:1.2}", "")
