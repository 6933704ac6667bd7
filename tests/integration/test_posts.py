"""Posts by apprise to a server on loopback: what its yes and no are worth."""

import logging
import uuid

import pytest

from alerts.channels.port import CallbackError, Delivery, ExerciseError
from alerts.channels.social import Social, render
from alerts.texts.wording import ACK
from tests.letters import asking, delivery, receiver, said
from tests.samples import START
from tests.support import free_port

# One of the services that are loaded with the others uses a module that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def post(url: str, **changes: object) -> Delivery:
    script = render(said())
    given = {"channel": "social", "address": url, "subject": script.subject, "body": script.body}
    return delivery(**{**given, **changes})


def account(url: str, scheme: str = "json") -> str:
    return f"{scheme}://{url.removeprefix('http://')}/post?rto=0.5&cto=0.5"


def test_a_post_is_short_and_leads_on() -> None:
    script = render(said())
    assert script.subject == said().headline
    assert script.body.splitlines() == [said().guide, said().link]
    assert ACK in render(asking()).body


async def test_accepted() -> None:
    async with receiver(200) as stand:
        receipt = await Social().send(post(account(stand.url)), now=START)
    assert receipt.state == "accepted"
    (got,) = stand.got
    assert b"title" in got.body


async def test_a_long_text_goes_out_in_parts() -> None:
    async with receiver() as stand:
        host = stand.url.removeprefix("http://")
        address = f"mastodon://{'t' * 32}@{host}"
        receipt = await Social().send(post(address, body="雨" * 900), now=START)
    assert receipt.state == "accepted"
    posts = [got for got in stand.got if got.path == "/api/v1/statuses"]
    assert len(posts) >= 2


@pytest.mark.parametrize(
    ("answer", "state"),
    [(400, "failed"), (403, "failed"), (429, "queued"), (500, "uncertain"), ("lost", "uncertain"),
     ("slow", "uncertain")],
)  # fmt: skip
async def test_no_can_mean_three_things(
    answer: int | str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[logging.LogRecord] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", noted.append)
    logging.getLogger().addHandler(handler)
    try:
        async with receiver(answer) as stand:
            receipt = await Social().send(post(account(stand.url)), now=START)
    finally:
        logging.getLogger().removeHandler(handler)
    assert receipt.state == state
    assert receipt.problem
    assert len(stand.got) == 1
    # What apprise notes holds the secrets of the account.
    assert not [record for record in noted if record.name.startswith("apprise")]


async def test_an_account_that_does_not_answer_in_time_is_uncertain() -> None:
    async with receiver("slow") as stand:
        address = f"json://{stand.url.removeprefix('http://')}/post?rto=30"
        social = Social(timeout=0.3)
        receipt = await social.send(post(address), now=START)
        stand.released.set()
    assert receipt.state == "uncertain"


async def test_nobody_there_may_be_asked_again() -> None:
    address = account(f"http://127.0.0.1:{free_port()}")
    assert (await Social().send(post(address), now=START)).state == "queued"


async def test_what_goes_nowhere() -> None:
    social = Social()
    assert (await social.send(post("nonsense://x"), now=START)).state == "failed"
    async with receiver() as stand:
        with pytest.raises(ExerciseError):
            await social.send(post(account(stand.url), exercise=True), now=START)
        stale = await social.send(post(account(stand.url), expires=START), now=START)
        assert stale.state == "failed"
        assert not stand.got
    assert await social.find(post("json://x")) is None
    assert (await social.probe()).ok
    with pytest.raises(CallbackError):
        social.parse_callback(url=f"https://x/{uuid.uuid4()}", form={}, headers={}, body=b"")
    await social.close()
