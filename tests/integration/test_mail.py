"""E-mail, and fax by e-mail, by SMTP to a server on loopback."""

import ssl
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from alerts.channels.email import Email, render
from alerts.channels.fax import Fax, MailGateway
from alerts.channels.mail import Encryption, Server
from alerts.channels.port import CallbackError, Delivery, ExerciseError
from alerts.texts.bulletin import Press
from tests.letters import PRESS, delivery, instant, said
from tests.samples import START
from tests.support import free_port


class Box:
    """Takes mail; ``recipient`` and ``text`` are what it answers to those."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipient = "250 OK"
        self.text = "250 OK queued as 4711"

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if self.recipient.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        if self.text == "lost":
            assert server.transport is not None
            server.transport.abort()
        return self.text


@contextmanager
def mailbox(box: Box, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    def known(
        _server: object, _s: object, _e: object, _mechanism: str, given: object
    ) -> AuthResult:
        right = isinstance(given, LoginPassword) and given == LoginPassword(b"us", b"secret")
        return AuthResult(success=right)

    port = free_port()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=tls,
        require_starttls=tls is not None,
        authenticator=known,
        auth_required=tls is not None,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def port(box: Box) -> Iterator[int]:
    with mailbox(box) as port:
        yield port


def server(port: int, encryption: Encryption = "none", **more: str) -> Server:
    return Server(host="127.0.0.1", port=port, encryption=encryption, timeout=3, **more)


def mail(**changes: object) -> Delivery:
    script = render(said())
    return delivery(
        **{
            "channel": "email",
            "address": "li@county.example",
            "subject": script.subject,
            "body": script.body,
            **changes,
        }
    )


def channel(port: int, **more: object) -> Email:
    return Email(server(port), sender="warn@bureau.example", title="示范气象台", **more)  # type: ignore[arg-type]


async def test_a_mail_has_the_bulletin_as_text_and_as_a_page(box: Box, port: int) -> None:
    given = mail()
    receipt = await channel(port).send(given, now=START)
    assert (receipt.delivery, receipt.state) == (given.id, "accepted")
    assert "4711" in str(receipt.provider)
    (got,) = box.mails
    assert got["Message-ID"] == f"<{given.id}@bureau.example>"
    assert got["Subject"] == said().headline
    assert got["To"] == "li@county.example"
    assert got["From"] == "示范气象台 <warn@bureau.example>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["Importance"] == "high"
    assert "List-Unsubscribe" not in got
    text, page = (part.get_content() for part in got.iter_parts())
    for part in (text, page):
        for words in (said().description.replace("<50>", ""), "有效至", "2016年7月20日14时00分"):
            assert words.strip("。 ") in part.replace("&lt;50&gt;", "")
    assert "{" not in text  # the data behind the text is for us
    assert "&lt;50&gt;" in page
    assert "#f57c00" in page
    assert "<script" not in page


async def test_the_same_delivery_is_the_same_mail(box: Box, port: int) -> None:
    given = mail()
    email = channel(port)
    await email.send(given, now=START)
    await email.send(given, now=instant(60))
    assert len({got["Message-ID"] for got in box.mails}) == 1
    assert email.repeatable


async def test_those_on_duty_get_the_pdf_too(box: Box, port: int) -> None:
    email = channel(port, press=PRESS)
    await email.send(mail(tier="official"), now=START)
    await email.send(mail(tier="public"), now=START)
    official, public = box.mails
    (pdf,) = official.iter_attachments()
    assert pdf.get_content_type() == "application/pdf"
    assert pdf.get_content().startswith(b"%PDF-")
    assert not list(public.iter_attachments())


async def test_a_font_that_is_none_does_not_hold_up_the_mail(
    box: Box, port: int, tmp_path: Path
) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(b"no font")
    receipt = await channel(port, press=Press(str(font))).send(mail(tier="official"), now=START)
    assert receipt.state == "accepted"
    assert not list(box.mails[0].iter_attachments())


async def test_a_way_out_stands_in_the_head_and_at_the_end(box: Box, port: int) -> None:
    email = channel(port, leave=lambda given: f"https://warn.example/leave/{given.id}")
    given = mail(language="en")
    await email.send(given, now=START)
    (got,) = box.mails
    assert got["List-Unsubscribe"].strip() == f"<https://warn.example/leave/{given.id}>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for part in got.iter_parts():
        assert f"/leave/{given.id}" in part.get_content()


async def test_a_code_is_a_mail_too(box: Box, port: int) -> None:
    await channel(port).send(mail(body="123456 is your code", subject="Your code"), now=START)
    assert box.mails[0].get_content_type() == "text/plain"
    assert box.mails[0].get_content().strip() == "123456 is your code"


async def test_nobody_adds_headers(box: Box, port: int) -> None:
    receipt = await channel(port).send(mail(subject="a\r\nBcc: eve@evil.example"), now=START)
    assert receipt.state == "accepted"
    assert box.mails[0]["Bcc"] is None
    bad = await channel(port).send(mail(address="li@x.example\r\nBcc: eve@evil.example"), now=START)
    assert bad.state == "failed"


@pytest.mark.parametrize(
    ("recipient", "text", "state"),
    [
        ("550 no such mailbox", "250 OK", "failed"),
        ("450 mailbox busy", "250 OK", "queued"),
        ("250 OK", "554 refused", "failed"),
        ("250 OK", "451 try again later", "queued"),
        ("250 OK", "lost", "queued"),  # the same mail with the same id
    ],
)
async def test_refusals(box: Box, port: int, recipient: str, text: str, state: str) -> None:
    box.recipient, box.text = recipient, text
    receipt = await channel(port).send(mail(), now=START)
    assert receipt.state == state
    assert receipt.problem


async def test_nobody_there() -> None:
    email = channel(free_port())
    assert (await email.send(mail(), now=START)).state == "queued"
    assert not (await email.probe()).ok


async def test_an_exercise_and_what_is_stale_are_not_sent(box: Box, port: int) -> None:
    email = channel(port)
    with pytest.raises(ExerciseError):
        await email.send(mail(exercise=True), now=START)
    assert (await email.send(mail(expires=START), now=START)).state == "failed"
    assert not box.mails
    assert await email.find(mail()) is None
    with pytest.raises(CallbackError):
        email.parse_callback(url=f"https://x/{uuid.uuid4()}", form={}, headers={}, body=b"")


@pytest.fixture
async def safe(box: Box, tmp_path: Path) -> AsyncIterator[tuple[int, str]]:
    """Give the port of a server that wants TLS and a password, and the file of its authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with mailbox(box, context) as port:
        yield port, str(tmp_path / "ca.pem")


async def test_passwords_go_over_tls_to_whom_we_trust(box: Box, safe: tuple[int, str]) -> None:
    port, authority = safe
    known = {"user": "us", "password": "secret"}
    sender = "warn@bureau.example"
    good = Email(server(port, "starttls", authority=authority, **known), sender=sender)
    assert (await good.probe()).ok
    assert (await good.send(mail(), now=START)).state == "accepted"
    for wrong in (
        server(port, "starttls", **known),  # nobody we know signed this
        server(port, "starttls", authority=authority, user="us", password="guessed"),
        server(port, "none", **known),
        server(port, "tls", authority=authority, **known),
    ):
        email = Email(msgspec.structs.replace(wrong, timeout=0.4), sender=sender)
        assert not (await email.probe()).ok
        # The fault is ours, or somebody's in between: never the recipient's.
        assert (await email.send(mail(), now=START)).state == "queued"
    assert len(box.mails) == 1


async def test_without_tls_nothing_is_sent_where_tls_is_asked_for(box: Box, port: int) -> None:
    email = Email(server(port, "starttls"), sender="warn@bureau.example")
    assert (await email.send(mail(), now=START)).state == "queued"
    assert not box.mails


async def test_a_fax_by_mail(box: Box, port: int) -> None:
    gateway = MailGateway(
        server(port), sender="warn@bureau.example", pattern="{number}@fax.example"
    )
    fax = Fax(gateway, PRESS)
    assert fax.repeatable
    given = mail(channel="fax", address="+861062000000")
    assert (await fax.send(given, now=START)).state == "accepted"
    (got,) = box.mails
    assert got["To"] == "861062000000@fax.example"
    assert got["Message-ID"] == f"<{given.id}@bureau.example>"
    (pdf,) = got.iter_attachments()
    assert pdf.get_content().startswith(b"%PDF-")
    assert (await fax.probe()).ok == (PRESS.font is not None)
    await fax.close()
