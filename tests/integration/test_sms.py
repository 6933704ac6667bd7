"""SMS by the official client against the stand-in: every answer has its one meaning."""

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from alerts.channels.port import CallbackError, Delivery, ExerciseError, Receipt
from alerts.channels.sms import Sms
from tests.samples import START, later
from tests.standin import ACCOUNT, TOKEN, standin
from tests.support import free_port

CALLBACK = "https://warn.example/callbacks/sms"
DESCRIPTION = (
    Path(__file__).parents[2].parent
    / "shared" / "conformance" / "twilio" / "twilio_api_v2010.json"
)  # fmt: skip


def delivery(**changes: object) -> Delivery:
    given = Delivery(
        id=uuid.uuid4(),
        message=uuid.uuid4(),
        channel="sms",
        exercise=False,
        address="+8619900000000",
        body="【示范气象台】海淀暴雨橙色预警",
        expires=later(6),
    )
    return msgspec.structs.replace(given, **changes)


def parsed(sms: Sms, url: str, form: dict[str, str], signature: str) -> Receipt:
    (receipt,) = sms.parse_callback(
        url=url, form=form, headers={"x-twilio-signature": signature}, body=b""
    )
    return receipt


@asynccontextmanager
async def channel(url: str, *, patience: float = 5) -> AsyncIterator[Sms]:
    sms = Sms(
        account=ACCOUNT, token=TOKEN, sender="+15005550006", base_url=url, timeout=patience,
        callback=CALLBACK,
    )  # fmt: skip
    try:
        yield sms
    finally:
        await sms.close()


async def test_accepted() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        given = delivery()
        receipt = await sms.send(given, now=START)
        assert (receipt.delivery, receipt.state) == (given.id, "accepted")
        (taken,) = stand.taken
        assert receipt.provider == taken["sid"]
        assert taken["To"] == given.address
        assert taken["Body"] == given.body
        assert taken["StatusCallback"] == f"{CALLBACK}/{given.id}"
        assert taken["ValidityPeriod"] == "21600"


@pytest.mark.skipif(not DESCRIPTION.is_file(), reason="Twilio's description is not here")
async def test_we_send_only_what_the_description_knows() -> None:
    description = json.loads(DESCRIPTION.read_text("utf-8"))
    post = description["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]
    (content,) = post["requestBody"]["content"].values()
    async with standin() as stand, channel(stand.url) as sms:
        await sms.send(delivery(), now=START)
        ours = stand.taken[0].keys() - {"sid", "status", "date_created", "second"}
        assert ours <= content["schema"]["properties"].keys()


@pytest.mark.parametrize(
    ("fault", "state", "taken"),
    [
        (429, "queued", 0),  # was not processed: may be repeated
        (400, "failed", 0),
        (500, "uncertain", 0),  # may have been processed
        ("lost", "uncertain", 1),
        ("slow", "uncertain", 1),
        ("broken", "uncertain", 1),
    ],
)
async def test_faults(fault: int | str, state: str, taken: int) -> None:
    async with standin(fault) as stand, channel(stand.url, patience=0.3) as sms:
        receipt = await sms.send(delivery(), now=START)
        assert receipt.state == state
        assert receipt.problem
        assert len(stand.taken) == taken
        assert stand.requests == 1


async def test_nobody_there_may_be_repeated() -> None:
    async with channel(f"http://127.0.0.1:{free_port()}") as sms:
        assert (await sms.send(delivery(), now=START)).state == "queued"


async def test_an_exercise_is_refused_before_anything_else() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        with pytest.raises(ExerciseError):
            await sms.send(delivery(exercise=True), now=START)
        assert stand.requests == 0


async def test_what_is_stale_is_not_sent() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        late = START + dt.timedelta(seconds=5)
        assert (await sms.send(delivery(expires=late), now=START)).state == "failed"
        assert stand.requests == 0


async def test_receipts() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        given = delivery()
        await sms.send(given, now=START)
        for status, state in [("sent", "accepted"), ("delivered", "delivered"),
                              ("undelivered", "failed")]:  # fmt: skip
            url, form, signature = stand.receipt(0, status)
            receipt = parsed(sms, url, form, signature)
            assert (receipt.delivery, receipt.state) == (given.id, state)
            assert receipt.provider == stand.taken[0]["sid"]


async def test_forged_receipts_are_refused() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        await sms.send(delivery(), now=START)
        url, form, signature = stand.receipt(0, "delivered")
        with pytest.raises(CallbackError, match="signature"):
            parsed(sms, url, {**form, "MessageStatus": "failed"}, signature)
        with pytest.raises(CallbackError, match="signature"):
            parsed(sms, f"{CALLBACK}/{uuid.uuid4()}", form, signature)
        url, form, signature = stand.receipt(0, "unheard of")
        with pytest.raises(CallbackError, match="not understood"):
            parsed(sms, url, form, signature)


@pytest.mark.parametrize(
    ("fault", "state"), [("lost", "accepted"), ("broken", "accepted"), (500, "queued")]
)
async def test_what_is_uncertain_is_found_in_the_list(fault: int | str, state: str) -> None:
    async with standin(fault) as stand, channel(stand.url) as sms:
        given = delivery()
        assert (await sms.send(given, now=START)).state == "uncertain"
        found = await sms.find(given)
        assert found is not None
        assert (found.delivery, found.state) == (given.id, state)
        assert found.provider == (stand.taken[0]["sid"] if stand.taken else None)


async def test_another_text_to_the_same_number_is_not_ours() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        await sms.send(delivery(body="yesterday's"), now=START)
        found = await sms.find(delivery())
        assert found is not None
        assert found.state == "queued"
        long_after = delivery(body="yesterday's", handed=dt.datetime.now(dt.UTC) + dt.timedelta(1))
        found = await sms.find(long_after)
        assert found is not None
        assert found.state == "queued"


async def test_asked_by_its_own_number() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        receipt = await sms.send(delivery(), now=START)
        stand.taken[0]["status"] = "delivered"
        found = await sms.find(delivery(provider=receipt.provider))
        assert found is not None
        assert found.state == "delivered"
        assert await sms.find(delivery(provider="SM-unheard-of")) is None


async def test_a_provider_that_is_away_tells_nothing() -> None:
    async with channel(f"http://127.0.0.1:{free_port()}") as sms:
        assert await sms.find(delivery()) is None
        assert not (await sms.probe()).ok


async def test_the_probe_asks_for_the_account() -> None:
    async with standin() as stand, channel(stand.url) as sms:
        assert (await sms.probe()).ok
        assert not stand.taken
