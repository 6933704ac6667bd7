"""Handing one e-mail to a server, and what its answers mean; for e-mail and fax by e-mail."""

import asyncio
import ssl
from email.message import EmailMessage
from typing import Literal, TypeAlias

import aiosmtplib
import msgspec

from alerts.channels.port import Delivery, Probe, Receipt

Encryption: TypeAlias = Literal["tls", "starttls", "none"]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """An SMTP server.

    encryption: ``tls`` from the first byte, ``starttls`` or nothing at all; authority: PEM file
    to trust instead of what the system trusts. timeout: seconds for each step.
    """

    host: str
    port: int
    encryption: Encryption = "starttls"
    user: str = ""
    password: str = ""
    authority: str = ""
    timeout: float = 20

    async def submit(self, mail: EmailMessage, delivery: Delivery) -> Receipt:
        """Hand it over for its one recipient.

        A permanent refusal (5xx) is failed, a temporary one (4xx) may be tried again. When the
        line breaks after the text was sent, the server may have it: that may be tried again too,
        because the same delivery is the same mail with the same Message-ID.
        """
        client = self._client()
        try:
            async with asyncio.timeout(3 * self.timeout), client:
                _, answer = await client.send_message(mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            return _refused(delivery, first.code, first.message)
        except aiosmtplib.SMTPDataError as error:
            return _refused(delivery, error.code, error.message)
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            # Also where the server will not have us: the fault is not the recipient's.
            problem = f"no clear answer: {type(error).__name__}: {error}"
            return Receipt(delivery=delivery.id, state="queued", problem=problem)
        except (ValueError, UnicodeError) as error:
            return Receipt(delivery=delivery.id, state="failed", problem=f"no address: {error}")
        return Receipt(delivery=delivery.id, state="accepted", provider=answer[:200] or None)

    async def probe(self) -> Probe:
        """Greet it, encrypted and signed in as for a mail, and go."""
        client = self._client()
        try:
            async with asyncio.timeout(2 * self.timeout), client:
                answer = await client.noop()
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            return Probe(ok=False, detail=f"{self.host}: {type(error).__name__}: {error}")
        return Probe(ok=True, detail=f"{self.host} answers {answer.code}")

    def _client(self) -> aiosmtplib.SMTP:
        trusted = None
        if self.authority:
            trusted = ssl.create_default_context(cafile=self.authority)
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user or None,
            password=self.password or None,
            timeout=self.timeout,
            use_tls=self.encryption == "tls",
            # Never "if the server offers it": who stands between could take the offer out.
            start_tls=self.encryption == "starttls",
            tls_context=trusted,
        )


def _refused(delivery: Delivery, code: int, message: str) -> Receipt:
    problem = f"refused: {code} {message}"[:300]
    state: Literal["failed", "queued"] = "failed" if code >= 500 else "queued"
    return Receipt(delivery=delivery.id, state=state, problem=problem)
