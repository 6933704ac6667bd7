"""Calls by the official client against a stand-in: what is spoken, and what each answer means."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from twilio.request_validator import RequestValidator

from alerts.channels.port import CallbackError, Delivery, ExerciseError
from alerts.channels.voice import LONGEST, Voice, render
from tests.letters import delivery, instant, receiver, said
from tests.samples import START
from tests.support import free_port

ACCOUNT, TOKEN = "AC" + "0" * 32, "token"
CALLBACK = "https://warn.example/api/v1/receipts/voice"
CONFIRM = "https://warn.example/ivr/confirm"
TAKEN = json.dumps({"sid": "CA1", "status": "queued"})
DESCRIPTION = (
    Path(__file__).parents[2].parent
    / "shared" / "conformance" / "twilio" / "twilio_api_v2010.json"
)  # fmt: skip


@asynccontextmanager
async def channel(url: str, *, patience: float = 5, confirm: str = CONFIRM) -> AsyncIterator[Voice]:
    voice = Voice(
        account=ACCOUNT, token=TOKEN, sender="+15005550006", base_url=url, timeout=patience,
        callback=CALLBACK, confirm=confirm, voices={"zh": "Polly.Zhiyu", "en": ""},
    )  # fmt: skip
    try:
        yield voice
    finally:
        await voice.close()


def call(**changes: object) -> Delivery:
    return delivery(**{"channel": "voice", "body": render(said()).body, **changes})


async def test_a_call_says_it_twice_and_asks_for_a_key() -> None:
    given = call()
    async with receiver(201, text=TAKEN) as stand, channel(stand.url) as voice:
        receipt = await voice.send(given, now=START)
    assert (receipt.delivery, receipt.state, receipt.provider) == (given.id, "accepted", "CA1")
    (got,) = stand.got
    assert got.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    assert got.form["To"] == given.address
    assert got.form["StatusCallback"] == f"{CALLBACK}/{given.id}"
    assert got.form["MachineDetection"] == "DetectMessageEnd"
    spoken = ET.fromstring(str(got.form["Twiml"]))  # noqa: S314 - our own
    gather = spoken.find("Gather")
    assert gather is not None
    assert gather.get("action") == f"{CONFIRM}/{given.id}?lang=zh"
    lines = [say.text for say in gather.findall("Say")]
    assert lines[:2] == [said().spoken, said().spoken]
    assert "按1" in str(lines[2])
    assert {say.get("language") for say in spoken.iter("Say")} == {"zh-CN"}
    assert {say.get("voice") for say in spoken.iter("Say")} == {"Polly.Zhiyu"}
    assert spoken[-1].tag == "Hangup"


@pytest.mark.skipif(not DESCRIPTION.is_file(), reason="Twilio's description is not here")
async def test_we_send_only_what_the_description_knows() -> None:
    description = json.loads(DESCRIPTION.read_text("utf-8"))
    post = description["paths"]["/2010-04-01/Accounts/{AccountSid}/Calls.json"]["post"]
    (content,) = post["requestBody"]["content"].values()
    async with receiver(201, text=TAKEN) as stand, channel(stand.url) as voice:
        await voice.send(call(), now=START)
    assert stand.got[0].form.keys() <= content["schema"]["properties"].keys()


async def test_without_a_public_address_nobody_is_asked() -> None:
    async with channel("http://127.0.0.1:9", confirm="") as voice:
        text = voice.instructions(call(language="en", body="Orange rainstorm warning"))
    assert "Gather" not in text
    assert text.count("Orange rainstorm warning") == 2
    assert 'language="en-US"' in text


async def test_a_long_text_is_said_once() -> None:
    async with channel("http://127.0.0.1:9") as voice:
        text = voice.instructions(call(body="雨" * (LONGEST // 2)))
    assert text.count("雨") == LONGEST // 2


@pytest.mark.parametrize(
    ("fault", "state"),
    [(429, "queued"), (400, "failed"), (500, "uncertain"), ("lost", "uncertain"),
     ("slow", "uncertain")],
)  # fmt: skip
async def test_faults(fault: int | str, state: str) -> None:
    async with receiver(fault) as stand, channel(stand.url, patience=0.3) as voice:
        receipt = await voice.send(call(), now=START)
    assert receipt.state == state
    assert receipt.problem
    assert len(stand.got) == 1


async def test_nobody_there_may_be_called_again() -> None:
    async with channel(f"http://127.0.0.1:{free_port()}") as voice:
        assert (await voice.send(call(), now=START)).state == "queued"


async def test_an_exercise_and_what_is_stale_ring_nowhere() -> None:
    async with receiver() as stand, channel(stand.url) as voice:
        with pytest.raises(ExerciseError):
            await voice.send(call(exercise=True), now=START)
        assert (await voice.send(call(expires=instant(20)), now=START)).state == "failed"
        assert not stand.got


@pytest.mark.parametrize(
    ("form", "state", "problem"),
    [
        ({"CallStatus": "completed", "CallDuration": "31", "AnsweredBy": "human"},
         "delivered", None),
        ({"CallStatus": "completed", "CallDuration": "31"}, "delivered", None),
        ({"CallStatus": "completed", "CallDuration": "40", "AnsweredBy": "machine_end_beep"},
         "delivered", "left on an answering machine"),
        ({"CallStatus": "completed", "CallDuration": "40", "AnsweredBy": "fax"},
         "failed", "a fax machine answered"),
        ({"CallStatus": "completed", "CallDuration": "2"}, "failed", "hung up after 2 s"),
        ({"CallStatus": "busy"}, "failed", "the call ended: busy"),
        ({"CallStatus": "no-answer"}, "failed", "the call ended: no-answer"),
        ({"CallStatus": "in-progress"}, "accepted", None),
    ],
)  # fmt: skip
async def test_receipts(form: dict[str, str], state: str, problem: str | None) -> None:
    url, form = f"{CALLBACK}/{uuid.uuid4()}", {"CallSid": "CA1", **form}
    signature = RequestValidator(TOKEN).compute_signature(url, form)
    async with channel("http://127.0.0.1:9") as voice:
        (receipt,) = voice.parse_callback(
            url=url, form=form, headers={"x-twilio-signature": signature}, body=b""
        )
        assert (receipt.state, receipt.provider) == (state, "CA1")
        assert receipt.problem == problem
        assert url.endswith(str(receipt.delivery))
        for wrong in ({"x-twilio-signature": "no"}, {}):
            with pytest.raises(CallbackError, match="signature"):
                voice.parse_callback(url=url, form=form, headers=wrong, body=b"")


async def test_what_cannot_be_read_is_refused() -> None:
    url, form = f"{CALLBACK}/{uuid.uuid4()}", {"CallStatus": "unheard of"}
    signature = RequestValidator(TOKEN).compute_signature(url, form)
    async with channel("http://127.0.0.1:9") as voice:
        with pytest.raises(CallbackError, match="not understood"):
            voice.parse_callback(
                url=url, form=form, headers={"x-twilio-signature": signature}, body=b""
            )


async def test_a_call_is_found_by_the_providers_number_alone() -> None:
    text = json.dumps(
        {"sid": "CA1", "status": "completed", "duration": "30", "answered_by": "human"}
    )
    async with receiver(text=text) as stand, channel(stand.url) as voice:
        assert await voice.find(call()) is None
        assert not stand.got
        known = msgspec.structs.replace(call(), provider="CA1", handed=START)
        receipt = await voice.find(known)
        assert receipt is not None
        assert receipt.state == "delivered"
        assert stand.got[0].path.endswith("/Calls/CA1.json")
        stand.answers = [500]
        assert await voice.find(known) is None


async def test_the_probe_asks_for_the_account() -> None:
    async with (
        receiver(text=json.dumps({"status": "active"})) as stand,
        channel(stand.url) as voice,
    ):
        assert (await voice.probe()).ok
        stand.text = json.dumps({"status": "suspended"})
        assert not (await voice.probe()).ok
        stand.answers = [401]
        probe = await voice.probe()
        assert not probe.ok
        assert "did not answer" in probe.detail
