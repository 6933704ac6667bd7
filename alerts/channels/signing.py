"""Signatures of what platforms tell each other, as standardwebhooks.com describes them.

``webhook-signature`` holds, apart by spaces, ``v1,`` and the base64 of the HMAC-SHA256 of the id,
the time and the body, joined by points.
"""

import base64
import hmac
from collections.abc import Mapping

ID = "webhook-id"
TIME = "webhook-timestamp"
SIGNATURE = "webhook-signature"


def derive(secret: str, host: str) -> bytes:
    """Give the key for one platform, so that none of them can sign for another."""
    return hmac.digest(secret.encode(), host.lower().encode(), "sha256")


def sign(key: bytes, *, number: str, seconds: int, body: bytes) -> dict[str, str]:
    """Give the three headers; number: by which a repetition is known, seconds: since 1970."""
    return {ID: number, TIME: str(seconds), SIGNATURE: f"v1,{_code(key, number, seconds, body)}"}


def signed(key: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether the headers (names in lower case) sign the body.

    How old the signature is, is the caller's affair: a receipt may be read twice.
    """
    number, seconds = headers.get(ID, ""), headers.get(TIME, "")
    if not key or not number or not (seconds.isascii() and seconds.isdigit()):
        return False
    true = _code(key, number, int(seconds), body).encode()
    given = (part.partition(",") for part in headers.get(SIGNATURE, "").split())
    return any(
        version == "v1" and hmac.compare_digest(code.encode(), true) for version, _, code in given
    )


def _code(key: bytes, number: str, seconds: int, body: bytes) -> str:
    content = b".".join((number.encode(), str(seconds).encode(), body))
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
