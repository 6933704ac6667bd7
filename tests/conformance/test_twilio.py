"""Prism, with Twilio's own description, accepts every request that we make of Twilio."""

import datetime as dt
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from alerts.channels.port import Delivery
from alerts.channels.sms import Sms
from alerts.channels.voice import Voice
from tests.servers import prepare
from tests.servers.trixie import PrepareError
from tests.standin import ACCOUNT, TOKEN
from tests.support import eventually, free_port

DESCRIPTION = (
    Path(__file__).parents[2].parent
    / "shared" / "conformance" / "twilio" / "twilio_api_v2010.json"
)  # fmt: skip
NOW = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)
PASSED = "The request passed the validation rules"

pytestmark = pytest.mark.skipif(
    not DESCRIPTION.is_file(), reason="Twilio's description is not here"
)


class Prism:
    """A running Prism: its address, and what it wrote."""

    def __init__(self, address: str, log: Path) -> None:
        self.address = address
        self._log = log

    def passed(self) -> int:
        """How many requests were found right; its own answers may be wrong, as its list's are."""
        return len(re.findall(PASSED, self._log.read_text("utf-8")))


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    try:
        command = prepare.prism()
    except PrepareError as error:
        pytest.skip(str(error))
    port, log = free_port(), tmp_path_factory.mktemp("prism") / "log"
    words = ["mock", "-h", "127.0.0.1", "-p", str(port), "--errors", str(DESCRIPTION)]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, *words], stdout=file, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: "Prism is listening" in log.read_text("utf-8"), timeout=60)
        yield Prism(f"http://127.0.0.1:{port}", log)
    finally:
        process.kill()
        process.wait()


def delivery(channel: str) -> Delivery:
    return Delivery(
        id=uuid.uuid4(), message=uuid.uuid4(), channel=channel, exercise=False,
        address="+8619900000000", body="海淀暴雨橙色预警", language="zh",
        expires=NOW + dt.timedelta(hours=6),
    )  # fmt: skip


def sms(prism: Prism, *, account: str = ACCOUNT) -> Sms:
    return Sms(
        account=account, token=TOKEN, sender="+15005550006", base_url=prism.address, timeout=30,
        callback="https://warn.example/api/v1/receipts/sms",
    )  # fmt: skip


async def test_every_request_about_messages(prism: Prism) -> None:
    channel, given, before = sms(prism), delivery("sms"), prism.passed()
    try:
        assert (await channel.send(given, now=NOW)).state == "accepted"
        assert await channel.find(msgspec.structs.replace(given, provider="SM" + "0" * 32))
        await channel.find(given)  # the list
        assert (await channel.probe()).ok
    finally:
        await channel.close()
    assert prism.passed() == before + 4


async def test_every_request_about_calls(prism: Prism) -> None:
    before = prism.passed()
    voice = Voice(
        account=ACCOUNT, token=TOKEN, sender="+15005550006", base_url=prism.address, timeout=30,
        callback="https://warn.example/api/v1/receipts/voice",
    )  # fmt: skip
    given = delivery("voice")
    try:
        receipt = await voice.send(given, now=NOW)
        assert receipt.state in {"accepted", "delivered"}, receipt
        await voice.find(msgspec.structs.replace(given, provider="CA" + "0" * 32))
        await voice.probe()
    finally:
        await voice.close()
    assert prism.passed() == before + 3


async def test_a_wrong_request_is_refused(prism: Prism) -> None:
    """Otherwise this would show nothing."""
    channel, before = sms(prism, account="no account at all"), prism.passed()
    try:
        assert (await channel.send(delivery("sms"), now=NOW)).state != "accepted"
    finally:
        await channel.close()
    assert prism.passed() == before
