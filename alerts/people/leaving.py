"""The link in a mail by which its recipient gets no more; it needs no account and no code."""

import base64
import binascii
import hmac
import uuid
from typing import Any

import psycopg

from alerts.people.sealing import Seal
from alerts.queries import Queries

_sql = Queries("alerts.people", "signup.sql")

PATH = "/leave/"
"""Where such links lead, below the public address."""

_PURPOSE = "leave"
_PROOF = 12
"""Bytes of the proof that we made the link."""


def link(delivery: uuid.UUID, seal: Seal) -> str:
    """Give the path for whoever gets this delivery."""
    token = base64.urlsafe_b64encode(delivery.bytes + _proof(delivery, seal))
    return PATH + token.decode().rstrip("=")


def read(token: str, seal: Seal) -> uuid.UUID | None:
    """Give the delivery of a link; None for one that we did not make."""
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) != 16 + _PROOF:
        return None
    delivery = uuid.UUID(bytes=data[:16])
    return delivery if hmac.compare_digest(data[16:], _proof(delivery, seal)) else None


async def recipient(conn: psycopg.AsyncConnection[Any], delivery: uuid.UUID) -> int | None:
    """Give the id of whoever a delivery is for; None where there is no such delivery."""
    row = await (await conn.execute(_sql.recipient, {"delivery": delivery})).fetchone()
    return int(row[0]) if row else None


def _proof(delivery: uuid.UUID, seal: Seal) -> bytes:
    return seal.token(_PURPOSE, str(delivery))[:_PROOF]
