"""The whole chain on the bundled rainstorm: the same outcome by every way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.demo import Demo, outcome
from tests.servers.broker import Broker
from tests.servers.databases import Server

LEVELS = ("blue", "yellow", "orange", "red")
READINGS = 864


def test_every_reading_sent_is_stored_once(usual: dict[str, Any]) -> None:
    assert usual["readings"] == {"sent": READINGS, "stored": READINGS, "quarantined": 0}


def test_rain_is_warned_of_up_to_orange_and_nothing_else(usual: dict[str, Any]) -> None:
    assert {warning["hazard"] for warning in usual["warnings"]} == {"rainstorm"}
    reached = {step["level"] for warning in usual["warnings"] for step in warning["levels"]}
    assert reached == {"blue", "yellow", "orange"}


def test_levels_of_an_event_only_rise_and_every_event_ends(usual: dict[str, Any]) -> None:
    for warning in usual["warnings"]:
        ranks = [LEVELS.index(step["level"]) for step in warning["levels"]]
        times = [step["opened"] for step in warning["levels"]]
        assert ranks == sorted(set(ranks))
        assert times == sorted(times)
        assert warning["ended"] > times[-1]


# First hour, by the data themselves, that 50 mm are reached within 3 hours: (place, time).
ORANGE = [
    ("beijing-gucheng", "2016-07-20T03:00:00Z"),
    ("beijing-aotizhongxin", "2016-07-20T03:00:00Z"),
    ("beijing-huairou", "2016-07-20T09:00:00Z"),
    ("beijing-changping", "2016-07-20T13:00:00Z"),
]


@pytest.mark.parametrize(("region", "reached"), ORANGE)
def test_orange_is_open_when_it_is_reached(
    usual: dict[str, Any], region: str, reached: str
) -> None:
    opened = [
        step["opened"]
        for warning in usual["warnings"]
        if warning["region"] == region
        for step in warning["levels"]
        if step["level"] == "orange"
    ]
    assert opened
    assert min(opened) <= reached


def test_where_orange_is_never_reached_it_is_not_observed(usual: dict[str, Any]) -> None:
    doors = {
        step["door"]
        for warning in usual["warnings"]
        if warning["region"] == "beijing-shunyi"
        for step in warning["levels"]
        if step["level"] == "orange"
    }
    assert "observed" not in doors


def test_messages_went_to_the_exercise_phone(usual: dict[str, Any]) -> None:
    assert usual["messages"]["sms"] > len(usual["warnings"])
    assert set(usual["messages"]) == {"sms"}


def test_again_it_is_the_same(usual: dict[str, Any], tmp_path: Path) -> None:
    assert outcome(Demo(tmp_path, "--fast").finish()) == outcome(usual)


def test_timescaledb_as_store_gives_the_same(
    usual: dict[str, Any], tmp_path: Path, timescale_server: Server
) -> None:
    there = Demo(tmp_path, "--fast", FENGHUO_STORE_URL=timescale_server.url).finish()
    assert outcome(there) == outcome(usual)


def test_mosquitto_as_source_gives_the_same(
    usual: dict[str, Any], tmp_path: Path, mosquitto: Callable[..., Broker]
) -> None:
    broker = mosquitto()
    there = Demo(
        tmp_path, "--fast", FENGHUO_INGEST_SOURCE="broker", FENGHUO_INGEST_BROKER=broker.url
    ).finish()
    assert outcome(there) == outcome(usual)


def test_a_folder_that_is_no_event_is_refused_in_words(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--fast", "--event", str(tmp_path))
    with pytest.raises(AssertionError, match="is not an event folder"):
        demo.finish()
