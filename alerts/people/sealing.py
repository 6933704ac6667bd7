"""Names and addresses at rest: sealed for those who must read them, digested to be found.

A sealed text is AES-256-GCM under a random nonce: two seals of one text differ. A digest is an
HMAC-SHA256, the same for the same address: one row of a hundred thousand is found by it, and
without the key nobody can try out all telephone numbers. Both keys come from one file by HKDF
(RFC 5869), so that neither tells of the other.
"""

import contextlib
import hmac
import os
import secrets
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
"""Length of the key file."""

PLAIN = 0
"""Version byte of a text that an older version stored as it was."""

SEALED = 1
"""Version byte of a sealed text."""

_NONCE = 12


class SealError(Exception):
    """A key cannot be used, or a text not be opened; the message says why."""


class Seal:
    """Seals and opens texts, and digests addresses, with the key of one file."""

    def __init__(self, key: bytes) -> None:
        """Take the 32 bytes of a key; raises SealError for another number."""
        if len(key) != KEY_BYTES:
            raise SealError(f"a key has {KEY_BYTES} bytes, this one {len(key)}")
        self._cipher = AESGCM(_derived(key, b"fenghuo seal"))
        self._digest = _derived(key, b"fenghuo digest")
        self._token = _derived(key, b"fenghuo token")

    @classmethod
    def load(cls, path: Path) -> "Seal":
        """Read the key, or make one where there is none; only its owner can read it then.

        Raises SealError for a file that is no key, cannot be read, or is open to everybody.
        """
        try:
            if not path.exists():
                _make(path)
            mode, key = path.stat().st_mode, path.read_bytes()
        except OSError as error:
            raise SealError(f"{path}: {error.strerror or error}") from None
        if stat.S_IMODE(mode) & stat.S_IRWXO:
            raise SealError(f"{path}: everybody can read this key: chmod 600 {path}")
        if len(key) != KEY_BYTES:
            raise SealError(f"{path}: a key has {KEY_BYTES} bytes, this file {len(key)}")
        return cls(key)

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that name the key and do not tell it."""
        return self.token("fingerprint", "")[:16]

    def seal(self, text: str) -> bytes:
        """Give the sealed text; never twice the same."""
        nonce = secrets.token_bytes(_NONCE)
        version = bytes((SEALED,))
        return version + nonce + self._cipher.encrypt(nonce, text.encode(), version)

    def open(self, data: bytes) -> str:
        """Give the text; raises SealError for one that was changed or sealed with another key."""
        version = data[:1]
        if version == bytes((PLAIN,)):
            return data[1:].decode()
        if version != bytes((SEALED,)):
            raise SealError("this is no sealed text")
        try:
            opened = self._cipher.decrypt(data[1 : 1 + _NONCE], data[1 + _NONCE :], version)
        except (InvalidTag, ValueError):
            raise SealError("sealed with another key, or changed since") from None
        return opened.decode()

    def digest(self, channel: str, address: str) -> bytes:
        """Give 32 bytes that stand for a normalised address of a channel."""
        return hmac.digest(self._digest, f"{channel}\0{address}".encode(), "sha256")

    def token(self, purpose: str, text: str) -> bytes:
        """Give 32 bytes that only this key can make, by which a link proves where it is from."""
        return hmac.digest(self._token, f"{purpose}\0{text}".encode(), "sha256")


def _derived(key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=use).derive(key)


def _make(path: Path) -> None:
    """Write a new key; of several who do so at once, one wins and all use its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
