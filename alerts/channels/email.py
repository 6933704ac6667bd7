"""E-mail by SMTP: the bulletin as text, as a page, and for those on duty as a PDF beside it."""

import datetime as dt
import html
import logging
from collections.abc import Callable, Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from alerts.catalogue import Catalogue
from alerts.channels.mail import Server
from alerts.channels.port import CallbackError, Delivery, ExerciseError, Probe, Receipt, Script
from alerts.texts.bulletin import BulletinError, Press, Sheet, divide, join
from alerts.texts.typeface import TypefaceError
from alerts.texts.wording import Said

_log = logging.getLogger(__name__)

NAME = "email"


def render(said: Said) -> Script:
    """Give the bulletin as people read it, and behind a line all that a page of it needs."""
    sheet = Sheet.of(said)
    return Script(subject=said.headline, body=join(sheet))


class Email:
    """Sends through one server.

    sender: address in From; title: the name beside it. domain: what Message-IDs end in.
    leave: gives the link by which the recipient of a delivery gets no more, where there is one.
    press: prints the PDF for the tiers of ``attach``; None: nobody gets one.

    A repetition is harmless: it has the same Message-ID, by which mailboxes show it once, and
    where one does not, the recipient reads the same mail twice.
    """

    name = NAME
    repeatable = True

    def __init__(
        self,
        server: Server,
        *,
        sender: str,
        title: str = "",
        leave: Callable[[Delivery], str] | None = None,
        press: Press | None = None,
        attach: tuple[str, ...] = ("official", "officer"),
        words: Catalogue | None = None,
        rate: float = 0,
        workers: int = 4,
    ) -> None:
        self.rate = rate
        self.workers = workers
        self._server = server
        self._from = Address(display_name=title, addr_spec=sender)
        self._leave = leave
        self._press = press
        self._attach = attach
        self._words = words or Catalogue.load()

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Hand the mail to the server; raises ExerciseError."""
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        if now >= delivery.expires:
            return Receipt(delivery=delivery.id, state="failed", problem="too late to be sent")
        try:
            mail = self.compose(delivery, now=now)
        except ValueError as error:
            return Receipt(delivery=delivery.id, state="failed", problem=f"no mail: {error}")
        _, sheet = _parts(delivery.body)
        if sheet is not None and self._press is not None and delivery.tier in self._attach:
            try:
                pdf = await self._press.print(sheet)
            except TypefaceError as error:
                _log.warning("the mail goes without its PDF error=%s", error)
            else:
                mail.add_attachment(
                    pdf, maintype="application", subtype="pdf", filename=f"{delivery.message}.pdf"
                )
        return await self._server.submit(mail, delivery)

    def compose(self, delivery: Delivery, *, now: dt.datetime) -> EmailMessage:
        """Give the mail without the PDF; raises ValueError for what cannot stand in a header."""
        text, sheet = _parts(delivery.body)
        language = delivery.language if delivery.language in self._words.languages else "zh"
        link = self._leave(delivery) if sheet and self._leave is not None else ""
        last = self._words.text("channel.bulletin.leave", language, link=link) if link else ""
        mail = EmailMessage()
        mail["From"] = self._from
        mail["To"] = Address(addr_spec=delivery.address)
        mail["Subject"] = " ".join(delivery.subject.split())
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<{delivery.id}@{self._from.domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["Content-Language"] = language
        if sheet is not None and sheet.level in {"orange", "red"}:
            mail["X-Priority"] = "1"
            mail["Importance"] = "high"
        if link:
            mail["List-Unsubscribe"] = f"<{link}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(text + (f"\n\n{last}" if last else "") + "\n", cte="base64")
        if sheet is not None:
            mail.add_alternative(_page(sheet, last), subtype="html", cte="base64")
        return mail

    async def find(self, delivery: Delivery) -> None:
        """SMTP tells nothing of a mail afterwards."""
        del delivery

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Refuse: SMTP reports nothing by HTTP."""
        del form, headers, body
        raise CallbackError(f"e-mail has no callbacks: {url}")

    async def probe(self) -> Probe:
        """Greet the server."""
        return await self._server.probe()

    async def close(self) -> None:
        """Every mail has closed its own connection."""


def _parts(body: str) -> tuple[str, Sheet | None]:
    """Give the text, and the sheet where it is a bulletin; a code to sign up is none."""
    try:
        return divide(body)
    except BulletinError:
        return body, None


_TABLE = "border-collapse:collapse;margin:0 0 16px"
_TITLE = "font-size:22px;padding-left:10px;border-left:12px solid"
_CELL = "padding:2px 12px 2px 0;vertical-align:top"


def _page(sheet: Sheet, last: str) -> str:
    """Give the page; mailboxes know only styles that stand at the element."""
    parts = []
    if sheet.mark:
        parts.append(
            '<p style="border:2px solid #000;padding:8px;font-weight:bold">'
            f"{_safe(sheet.mark)} · {_safe(sheet.mark_line)}</p>"
        )
    parts += [
        f'<p style="margin:0">{_safe(sheet.agency)} · {_safe(sheet.kind)}</p>',
        f'<h1 style="{_TITLE} {_safe(sheet.colour)}">{_safe(sheet.title)}</h1>',
        f'<table role="presentation" style="{_TABLE}">',
    ]
    parts += [
        f'<tr><td style="{_CELL};color:#555">{_safe(name)}</td>'
        f'<td style="{_CELL}">{_safe(value)}</td></tr>'
        for name, value in sheet.facts
    ]
    parts.append("</table>")
    for heading, text in sheet.texts:
        if heading:
            parts.append(f'<h2 style="font-size:16px;margin-bottom:4px">{_safe(heading)}</h2>')
        parts.append(f'<p style="margin-top:0">{_safe(text)}</p>')
    parts += [f"<p>{_safe(line)}</p>" for line in (*sheet.notes, last) if line]
    language = "zh-CN" if sheet.language == "zh" else sheet.language
    return (
        f'<!doctype html><html lang="{_safe(language)}"><head><meta charset="utf-8">'
        f"<title>{_safe(sheet.title)}</title></head>"
        '<body style="font-family:sans-serif;max-width:42em;color:#111">'
        f"{''.join(parts)}</body></html>"
    )


def _safe(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")
