"""Every way to reach people: a renderer, a builder, the settings it needs, and no exercise."""

import datetime as dt
from pathlib import Path

import pytest

from alerts.channels import RENDERERS
from alerts.channels.port import ExerciseError, Script
from alerts.texts.wording import ACK
from server import channels
from server.settings import SettingsError, load
from tests.letters import asking, delivery, said

NEEDS = {
    "voice": {"TWILIO_ACCOUNT": "AC1", "TWILIO_TOKEN": "t", "TWILIO_SENDER": "+15005550006"},
    "email": {"EMAIL_HOST": "127.0.0.1"},
    "fax": {"FAX_URL": "http://127.0.0.1:9"},
    "push": {},
    "social": {},
    "webhook": {"WEBHOOK_SECRET": "secret-of-the-bureau"},
}
NOW = dt.datetime(2016, 7, 20, tzinfo=dt.UTC)


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    given = {"DATA": str(tmp_path), "WEB_PUBLIC_URL": "https://warn.example", **more}
    return {f"FENGHUO_{name}": value for name, value in given.items()}


def test_every_channel_has_both() -> None:
    assert RENDERERS.keys() == channels.BUILDERS.keys()


@pytest.mark.parametrize("name", sorted(RENDERERS))
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_text_for_every_message(name: str, language: str) -> None:
    for one in (said(language=language), said(act="cancel", ends=True), asking(act="notice")):
        script = RENDERERS[name](one)
        assert isinstance(script, Script)
        assert script.body
        assert script == RENDERERS[name](one)  # the same every time
    assert ACK not in RENDERERS[name](said()).body


@pytest.mark.parametrize("name", sorted(NEEDS))
async def test_what_is_built_takes_no_exercise_and_says_what_it_is(
    tmp_path: Path, name: str
) -> None:
    settings = load(environment=environment(tmp_path, **NEEDS[name]))
    channel = channels.build(name, settings)
    try:
        assert channel.name == name
        assert channel.workers > 0
        assert channel.rate >= 0
        with pytest.raises(ExerciseError):
            await channel.send(delivery(channel=name, exercise=True), now=NOW)
    finally:
        await channel.close()


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("voice", {"TWILIO_ACCOUNT": "AC1", "TWILIO_TOKEN": "t"}, "sender"),
        ("email", {}, "email.host"),
        ("email", {"EMAIL_HOST": "x", "EMAIL_SENDER": "nobody"}, "email.sender"),
        ("fax", {}, "fax.url or fax.mail"),
        ("fax", {"FAX_MAIL": "{number}@fax.example"}, "email.host"),
        ("push", {"PUSH_SUBJECT": "somebody"}, "push.subject"),
        ("webhook", {}, "webhook.secret"),
    ],
)
async def test_what_is_missing_is_named(
    tmp_path: Path, name: str, given: dict[str, str], says: str
) -> None:
    settings = load(environment=environment(tmp_path, **given))
    with pytest.raises(SettingsError, match=says.replace(".", r"\.")):
        channels.build(name, settings)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"WEBHOOK_SECRET": "short"}, "16 characters"), ({"FAX_MAIL": "fax@x.example"}, "{number}")],
)
def test_a_setting_that_cannot_work_is_refused(
    tmp_path: Path, given: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environment=environment(tmp_path, **given))
    assert says in str(caught.value)
