"""Fax by an HTTP gateway: what it is handed, what its answers and its reports mean."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from alerts.channels import signing
from alerts.channels.fax import Fax, HttpGateway, render
from alerts.channels.port import CallbackError, Delivery, ExerciseError
from alerts.texts.bulletin import Press
from tests.letters import PRESS, delivery, instant, receiver, said
from tests.samples import START
from tests.support import free_port

CALLBACK = "https://warn.example/api/v1/receipts/fax"
SECRET = "secret-of-the-gateway"


@asynccontextmanager
async def channel(
    url: str, *, repeatable: bool = False, press: Press = PRESS, secret: str = SECRET
) -> AsyncIterator[Fax]:
    gateway = HttpGateway(
        f"{url}/send", token="key", fields=("nr", "doc", "ref"), callback=CALLBACK,
        repeatable=repeatable, timeout=0.5,
    )  # fmt: skip
    fax = Fax(gateway, press, secret=secret)
    try:
        yield fax
    finally:
        await fax.close()


def sheet(**changes: object) -> Delivery:
    script = render(said())
    number = "+861062000000"
    given = {"channel": "fax", "address": number, "subject": script.subject, "body": script.body}
    return delivery(**{**given, **changes})


async def test_the_gateway_gets_number_file_and_our_id() -> None:
    given = sheet()
    async with receiver(202, text='{"id": 77}') as stand, channel(stand.url) as fax:
        receipt = await fax.send(given, now=START)
    assert (receipt.delivery, receipt.state, receipt.provider) == (given.id, "accepted", "77")
    (got,) = stand.got
    assert got.path == "/send"
    assert got.headers["Authorization"] == "Bearer key"
    assert got.headers["Idempotency-Key"] == str(given.id)
    assert got.form["nr"] == given.address
    assert got.form["ref"] == str(given.id)
    assert got.form["callback"] == f"{CALLBACK}/{given.id}"
    assert bytes(got.form["doc"]).startswith(b"%PDF-")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "once", "known"),
    [
        (429, "queued", "queued"),
        (503, "queued", "queued"),
        (400, "failed", "failed"),
        (302, "uncertain", "queued"),
        (500, "uncertain", "queued"),
        ("lost", "uncertain", "queued"),
        ("slow", "uncertain", "queued"),
    ],
)
async def test_refusals(answer: int | str, once: str, known: str) -> None:
    for repeatable, state in ((False, once), (True, known)):
        async with receiver(answer) as stand, channel(stand.url, repeatable=repeatable) as fax:
            assert fax.repeatable == repeatable
            receipt = await fax.send(sheet(), now=START)
        assert receipt.state == state
        assert receipt.problem
        assert len(stand.got) == 1


async def test_nobody_there_may_be_asked_again() -> None:
    async with channel(f"http://127.0.0.1:{free_port()}") as fax:
        assert (await fax.send(sheet(), now=START)).state == "queued"
        assert not (await fax.probe()).ok


async def test_what_is_not_for_a_fax(tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(b"no font")
    async with receiver() as stand, channel(stand.url) as fax:
        with pytest.raises(ExerciseError):
            await fax.send(sheet(exercise=True), now=START)
        assert (await fax.send(sheet(expires=instant(30)), now=START)).state == "failed"
        assert (await fax.send(sheet(body="no bulletin"), now=START)).state == "failed"
        async with channel(stand.url, press=Press(str(font))) as broken:
            assert (await broken.send(sheet(), now=START)).state == "failed"
            assert not (await broken.probe()).ok
        assert not [got for got in stand.got if got.method == "POST"]


@pytest.mark.parametrize("kind", ["json", "form"])
@pytest.mark.parametrize(
    ("status", "state"), [("sent", "delivered"), ("busy", "failed"), ("SENDING", "accepted")]
)
async def test_reports(kind: str, status: str, state: str) -> None:
    number = str(uuid.uuid4())
    fields = {"status": status, "id": "77", "error": "line" if status == "busy" else ""}
    body = json.dumps(fields).encode() if kind == "json" else b"as sent"
    headers = signing.sign(SECRET.encode(), number=number, seconds=1, body=body)
    form = fields if kind == "form" else {}
    async with channel("http://127.0.0.1:9") as fax:
        (receipt,) = fax.parse_callback(
            url=f"{CALLBACK}/{number}", form=form, headers=headers, body=body
        )
    assert (str(receipt.delivery), receipt.state, receipt.provider) == (number, state, "77")
    assert receipt.problem == ("line" if status == "busy" else None)


async def test_forged_reports_are_refused() -> None:
    number, other = str(uuid.uuid4()), str(uuid.uuid4())
    body = b'{"status": "sent"}'
    headers = signing.sign(SECRET.encode(), number=number, seconds=1, body=body)
    async with channel("http://127.0.0.1:9") as fax, channel("http://x", secret="") as open_:
        for channel_, url, given, content in (
            (fax, f"{CALLBACK}/{other}", headers, body),  # of another delivery
            (fax, f"{CALLBACK}/{number}", headers, b'{"status": "busy"}'),
            (fax, f"{CALLBACK}/{number}", {**headers, signing.TIME: "2"}, body),
            (fax, f"{CALLBACK}/{number}", {}, body),
            (open_, f"{CALLBACK}/{number}", signing.sign(b"", number=number, seconds=1, body=body),
             body),
        ):  # fmt: skip
            with pytest.raises(CallbackError, match="signature"):
                channel_.parse_callback(url=url, form={}, headers=given, body=content)
        headers = signing.sign(SECRET.encode(), number=number, seconds=1, body=b"[]")
        with pytest.raises(CallbackError, match="not understood"):
            fax.parse_callback(url=f"{CALLBACK}/{number}", form={}, headers=headers, body=b"[]")


@pytest.mark.parametrize(("answer", "ok"), [(405, True), (200, True), (401, False), (500, False)])
async def test_the_probe(answer: int, ok: bool) -> None:
    if PRESS.font is None:
        pytest.skip("no Chinese font is installed")
    async with receiver(answer) as stand, channel(stand.url) as fax:
        assert (await fax.probe()).ok == ok
        assert stand.got[0].method == "HEAD"
