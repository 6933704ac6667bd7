"""How far the sending is, and whether the channels could send: for whoever is signed in."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from server import probing
from server.clock import SystemClock
from server.settings import load
from server.store.database import Database
from server.web.app import create
from tests.accounts import bearer
from tests.samples import SEAL, announce, prepare
from tests.standin import ACCOUNT, TOKEN, standin
from tests.support import free_port


@asynccontextmanager
async def site(url: str, **more: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = load(
        environment={
            "FENGHUO_STORE_URL": url,
            "FENGHUO_TWILIO_ACCOUNT": ACCOUNT,
            "FENGHUO_TWILIO_TOKEN": TOKEN,
            "FENGHUO_TWILIO_SENDER": "+15005550006",
            **more,
        }
    )
    async with await Database.open(url, name="test", size=2) as opened:
        app = create(opened, settings, SystemClock(), seal=SEAL)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as made:
            made.headers.update(await bearer(url, "forecaster"))
            yield made
        await app.state.context.channels.close()


async def test_progress_is_for_those_who_are_signed_in(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        given = await announce(conn, exercise=False, channels=("sms",))
    path = f"/api/v1/warnings/{given.warning.id}/progress"
    async with site(plain_database) as client:
        ((message),) = (await client.get(path)).json()["messages"]
        assert message["channels"] == {"sms": {"queued": 3}}
        assert (message["number"], message["act"]) == (1, "issue")
        unknown = await client.get(f"/api/v1/warnings/{uuid.uuid4()}/progress")
        assert unknown.status_code == 404
        del client.headers["authorization"]
        assert (await client.get(path)).status_code == 401
        assert (await client.get("/api/v1/channels")).status_code == 401


async def test_a_channel_is_green_only_with_fresh_evidence(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with standin() as stand:
        more = {"FENGHUO_ALERTS_CHANNELS": "sms", "FENGHUO_TWILIO_BASE_URL": stand.url}
        async with site(plain_database, **more) as client:
            ((sms),) = (await client.get("/api/v1/channels")).json()["channels"]
            assert (sms["name"], sms["ok"], sms["fallback"]) == ("sms", True, False)
            again = (await client.get("/api/v1/channels")).json()["channels"]
            assert again[0]["at"] == sms["at"]  # kept for a while
            monkeypatch.setattr(probing, "KEEP", 0.0)
            assert (await client.get("/api/v1/channels")).json()["channels"][0]["at"] > sms["at"]


async def test_what_cannot_be_reached_or_built_is_not_green(plain_database: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    more = {"FENGHUO_ALERTS_CHANNELS": "sms,pigeon", "FENGHUO_TWILIO_BASE_URL": nowhere}
    async with site(plain_database, **more) as client:
        sms, pigeon = (await client.get("/api/v1/channels")).json()["channels"]
        assert not sms["ok"]
        assert not pigeon["ok"]
        assert "pigeon" in pigeon["detail"]
