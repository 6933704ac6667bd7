"""Webhooks: signed, the same when repeated, and never to where they must not go."""

import base64
import hmac
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from alerts.channels import reach, signing
from alerts.channels.port import GONE, CallbackError, Delivery, ExerciseError
from alerts.channels.webhook import Webhook, render
from tests.letters import AREA, delivery, receiver, said
from tests.samples import START
from tests.support import free_port

SECRET = "secret-of-the-bureau"


@asynccontextmanager
async def channel(*, private: bool = True, patience: float = 2) -> AsyncIterator[Webhook]:
    webhook = Webhook(secret=SECRET, private=private, timeout=patience)
    try:
        yield webhook
    finally:
        await webhook.close()


def post(url: str, **changes: object) -> Delivery:
    body = render(said()).body
    return delivery(**{"channel": "webhook", "address": url, "body": body, **changes})


def test_it_says_what_the_message_is() -> None:
    content = json.loads(render(said()).body)
    assert content["hazard"] == "rainstorm"
    assert content["expires"] == "2016-07-20T06:00:00Z"
    assert content["geometry"]["geometries"] == [AREA]
    assert content["exercise"] is False
    assert content["cap"] == f"https://warn.example/cap/{said().message}.xml"
    assert json.loads(render(said(link="")).body)["cap"] == f"/cap/{said().message}.xml"


async def test_the_platform_can_prove_who_sends() -> None:
    async with receiver(200) as stand, channel() as webhook:
        given = post(f"{stand.url}/hook?a=1")
        receipt = await webhook.send(given, now=START)
        await webhook.send(given, now=START)
    assert receipt.state == "delivered"
    first, again = stand.got
    assert first.body == again.body == given.body.encode()
    headers = {name.lower(): value for name, value in first.headers.items()}
    assert headers["webhook-id"] == headers["idempotency-key"] == str(given.id)
    assert again.headers["webhook-id"] == str(given.id)
    # As the documentation tells platforms to, and not with our own function.
    key = hmac.digest(SECRET.encode(), b"127.0.0.1", "sha256")
    signed = f"{given.id}.{int(START.timestamp())}.".encode() + first.body
    code = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{code}"
    assert signing.signed(key, headers, first.body)
    assert not signing.signed(key, headers, first.body + b" ")
    assert not signing.signed(signing.derive(SECRET, "other.example"), headers, first.body)


@pytest.mark.parametrize(
    ("answer", "state"),
    [(204, "delivered"), (410, "failed"), (400, "failed"), (302, "failed"), (429, "queued"),
     (503, "queued"), ("lost", "queued"), ("slow", "queued")],
)  # fmt: skip
async def test_answers(answer: int | str, state: str) -> None:
    async with (
        receiver(answer, Location="http://127.0.0.1:9/") as stand,
        channel(patience=0.4) as webhook,
    ):
        receipt = await webhook.send(post(stand.url), now=START)
    assert receipt.state == state
    assert str(receipt.problem).startswith(GONE) == (answer == 410)
    assert len(stand.got) == 1


async def test_nobody_there_is_asked_again() -> None:
    async with channel() as webhook:
        receipt = await webhook.send(post(f"http://127.0.0.1:{free_port()}"), now=START)
    assert receipt.state == "queued"


@pytest.mark.parametrize(
    "url",
    [
        "http://platform.example/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "ftp://platform.example/",
        "https://",
        "nonsense",
    ],
)
async def test_nothing_goes_inside(url: str) -> None:
    async with channel(private=False) as webhook:
        receipt = await webhook.send(post(url), now=START)
    assert receipt.state == "failed"
    assert receipt.problem


async def test_a_name_that_leads_inside_is_found_when_it_is_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def inside(_host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", inside)
    async with channel(private=False) as webhook:
        receipt = await webhook.send(post("https://platform.example/"), now=START)
    assert receipt.state == "failed"
    assert "public internet" in str(receipt.problem)
    reach.check("https://93.184.216.34/", private=False)


async def test_an_exercise_and_what_is_stale_go_nowhere() -> None:
    async with receiver() as stand, channel() as webhook:
        with pytest.raises(ExerciseError):
            await webhook.send(post(stand.url, exercise=True), now=START)
        assert (await webhook.send(post(stand.url, expires=START), now=START)).state == "failed"
        assert not stand.got
        assert await webhook.find(post(stand.url)) is None
        with pytest.raises(CallbackError):
            webhook.parse_callback(url=f"https://x/{uuid.uuid4()}", form={}, headers={}, body=b"")
        assert (await webhook.probe()).ok
