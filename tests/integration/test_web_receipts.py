"""Receipts of the SMS provider: believed with its signature only, and written to the ledger."""

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from twilio.request_validator import RequestValidator

from server.clock import SystemClock
from server.settings import load
from server.store.database import Database
from server.web.app import create

TOKEN = "secret-of-the-test"
PUBLIC = "https://warn.example"


@pytest.fixture
async def client(database: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = load(
        environment={
            "FENGHUO_STORE_URL": database,
            "FENGHUO_ALERTS_CHANNELS": "sms",
            "FENGHUO_TWILIO_ACCOUNT": "AC" + "0" * 32,
            "FENGHUO_TWILIO_TOKEN": TOKEN,
            "FENGHUO_TWILIO_SENDER": "+15005550006",
            "FENGHUO_WEB_PUBLIC_URL": PUBLIC,
        }
    )
    async with await Database.open(database, name="test", size=2) as opened:
        app = create(opened, settings, SystemClock())
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as made:
            yield made


def signed(path: str, form: dict[str, str]) -> dict[str, str]:
    signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
    return {"x-twilio-signature": signature}


async def test_a_signed_receipt_is_taken_behind_a_proxy(client: httpx.AsyncClient) -> None:
    path = f"/api/v1/receipts/sms/{uuid.uuid4()}"
    form = {"MessageStatus": "delivered", "MessageSid": "SM1", "ErrorCode": ""}
    answer = await client.post(path, data=form, headers=signed(path, form))
    assert answer.status_code == 204


async def test_a_receipt_without_its_signature_is_refused(client: httpx.AsyncClient) -> None:
    path = f"/api/v1/receipts/sms/{uuid.uuid4()}"
    form = {"MessageStatus": "delivered"}
    answer = await client.post(path, data=form, headers={"x-twilio-signature": "wrong"})
    assert answer.status_code == 403
    assert "signature" in answer.json()["detail"]


async def test_a_receipt_for_another_address_is_refused(client: httpx.AsyncClient) -> None:
    """The signature covers the address, and with it the delivery."""
    form = {"MessageStatus": "delivered"}
    headers = signed(f"/api/v1/receipts/sms/{uuid.uuid4()}", form)
    answer = await client.post(f"/api/v1/receipts/sms/{uuid.uuid4()}", data=form, headers=headers)
    assert answer.status_code == 403


async def test_a_long_receipt_is_refused(client: httpx.AsyncClient) -> None:
    path = f"/api/v1/receipts/sms/{uuid.uuid4()}"
    answer = await client.post(path, content=b"a=" + b"x" * 70_000)
    assert answer.status_code == 413
