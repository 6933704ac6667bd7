"""`fenghuo verify`: on the bundled event, on a database, and on the archives where they lie."""

import asyncio
import datetime as dt
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forecast.criteria import Book, Criteria
from forecast.verification.card import HazardCard, LevelCard
from server import main
from server.archives import opening
from server.commands import verify
from server.commands.verify import Result, examine
from server.settings import Settings
from server.terminal import Terminal
from tests.scene import HOUR, START, Scene

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
EVENT = ROOT / "deploy" / "events" / "beijing-2016-07"
BEIJING, KNMI = DATA / "beijing_hourly", DATA / "knmi_10min"
CHINESE = re.compile(r"[㐀-鿿]")

needs_beijing = pytest.mark.skipif(
    not BEIJING.is_dir(), reason="the Beijing archive is not there: ../shared/data/beijing_hourly"
)
needs_knmi = pytest.mark.skipif(
    not KNMI.is_dir(), reason="the KNMI archive is not there: ../shared/data/knmi_10min"
)


async def command(*arguments: str, language: str = "en") -> int:
    """Run the command as the command line does."""
    given = main.parser().parse_args(["verify", *arguments])
    code: int = await given.work(given, Settings(), Terminal(language=language, out=sys.stderr))
    return code


async def test_the_event_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("--archive", str(EVENT), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"version", "source", "criteria", "seconds", "card"}
    assert told["source"]["readings"] == 864
    card = told["card"]
    # Whoever reads it relies on these names: add to them, rename none.
    assert card["schema"] == 1
    assert {"begin", "end", "days", "moments", "stations", "rules", "hazards"} <= set(card)
    hazard = card["hazards"][0]
    assert {"hazard", "moments", "score", "cases", "firm", "flip_flop", "levels"} <= set(hazard)
    assert set(hazard["levels"][0]) >= {
        "level", "days", "stations", "opened", "conditions", "score", "network", "cases",
        "chances", "months", "by_station", "by_region",
    }  # fmt: skip
    assert card["begin"] == "2016-07-18T16:00:00Z"
    assert card["moments"] == 72
    rain = next(hazard for hazard in card["hazards"] if hazard["hazard"] == "rainstorm")
    levels = {level["level"]: level for level in rain["levels"]}
    assert [levels[name]["stations"] for name in ("blue", "yellow", "orange", "red")] == [
        12, 12, 11, 0,
    ]  # fmt: skip
    assert levels["red"]["score"]["false_alarms"] == 0
    assert levels["orange"]["score"]["hits"] >= 8
    assert set(levels["blue"]["score"]) == {
        "events", "hits", "misses", "false_alarms", "pod", "far", "csi", "lead",
        "lead_announced", "early",
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_event_as_text(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--archive", str(EVENT), "--from", "2016-07-20", "--unchecked")
    assert await command(*arguments, language=language) == 0
    out = capsys.readouterr().out
    assert ("Rainstorm" if language == "en" else "暴雨") in out
    assert "Chen, S. (2017)" in out
    if language == "en":
        assert not CHINESE.search(out)


async def test_plots_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "plots"
    arguments = ("--archive", str(EVENT), "--plots", str(folder), "--unchecked")
    assert await command(*arguments, language="zh") == 0
    names = {path.name for path in folder.iterdir()}
    assert {"rainstorm-performance.png", "rainstorm-months.svg"} <= names
    assert all(path.stat().st_size > 2_000 for path in folder.iterdir())
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--archive DIR"),
        (["--database"], "--from and --to"),
        (["--archive", str(EVENT), "--from", "yesterday"], "write a date"),
        (["--archive", str(EVENT), "--from", "2016-07-20T08:00"], "write a date"),
        (["--archive", str(EVENT), "--from", "2016-07-21", "--to", "2016-07-19"], "after --to"),
        (["--archive", str(EVENT), "--from", "2017-01-01"], "no readings"),
        (["--archive", str(EVENT / "nowhere")], "no such folder"),
        (["--archive", str(EVENT), "--mapping", "bejing"], "beijing, knmi"),
    ],
)
async def test_what_cannot_be_verified(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command(*arguments) in {1, 2}
    captured = capsys.readouterr()
    assert said in captured.err
    assert not captured.out


async def test_a_database(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(database)
    await scene.open()
    await scene.storm(40)
    code = await command(
        "--database", database, "--from", "2016-07-19", "--to", "2016-07-20", "--json"
    )
    assert code == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["card"]["stations"]) == 12
    end = dt.datetime.fromisoformat(told["card"]["end"])
    assert end == START + 40 * HOUR
    (rain, *_) = told["card"]["hazards"]
    blue = rain["levels"][0]
    assert blue["stations"] > 0
    assert set(blue["by_region"]) == set(blue["by_station"])  # a sample region round each


def only(*hazards: str) -> Criteria:
    base = Book.shipped("national", units=verify.UNITS).base
    return replace(base, signals=tuple(s for s in base.signals if s.hazard in hazards))


def score(folder: Path, mapping: str, **given: Any) -> Result:
    return examine(opening.archive(folder, mapping), **given)


def card_of(result: Result, hazard: str) -> HazardCard:
    return next(card for card in result.card.hazards if card.hazard == hazard)


@pytest.fixture(scope="module")
def rain() -> HazardCard:
    result = score(BEIJING, "beijing", criteria=only("rainstorm"), checked=False)
    return card_of(result, "rainstorm")


def levels(card: HazardCard) -> dict[str, LevelCard]:
    return {level.level: level for level in card.levels}


@needs_beijing
def test_days_on_which_a_station_reaches_a_level(rain: HazardCard) -> None:
    days = {name: level.days for name, level in levels(rain).items()}
    assert days == {"blue": 11, "yellow": 9, "orange": 4, "red": 0}
    assert levels(rain)["red"].score.false_alarms == 0


@needs_beijing
def test_persistence_in_the_second_year_is_what_was_measured_elsewhere() -> None:
    since = int(dt.datetime(2016, 2, 29, 15, tzinfo=dt.UTC).timestamp())
    result = score(BEIJING, "beijing", criteria=only("rainstorm"), start=since, checked=False)
    card = card_of(result, "rainstorm")
    found = levels(card)
    figures = {}
    for name in ("blue", "yellow", "orange"):
        held = found[name].cases.persistence
        assert held is not None
        figures[name] = (round(held.csi.value or 0, 2), round(held.far.value or 0, 2))
    assert figures == {"blue": (0.14, 0.82), "yellow": (0.17, 0.78), "orange": (0.26, 0.61)}
    assert [found[name].cases.crossings for name in figures] == [13, 14, 18]
    # The rule: above persistence, with fewer false alarms, and most events an hour before.
    rule, held = card.cases.rule, card.cases.persistence
    assert held is not None
    assert (rule.csi.value or 0) > (held.csi.value or 0)
    assert (rule.far.value or 1) < (held.far.value or 0)
    assert card.cases.crossings_early >= 0.7 * card.cases.crossings


@needs_knmi
def test_the_gale_of_new_year_2023() -> None:
    criteria = only("gale", "rainstorm")
    result = score(KNMI, "knmi", criteria=criteria, checked=False)
    found = levels(card_of(result, "gale"))
    met = {
        (name, condition.element): condition.stations
        for name, level in found.items()
        for condition in level.conditions
    }
    assert met["blue", "wind_speed_of_gust"] == 52
    assert met["yellow", "wind_speed_of_gust"] == 26
    assert met["blue", "wind_speed"] == 44
    assert met["yellow", "wind_speed"] == 14
    assert found["blue"].opened >= 52
    assert found["yellow"].opened >= 26
    assert (found["orange"].stations, found["orange"].days) == (0, 0)
    assert found["orange"].opened == 0
    assert found["red"].opened == 0
    rain = card_of(result, "rainstorm")
    assert [level.opened for level in rain.levels] == [0, 0, 0, 0]
    assert result.seconds[0] < 60


async def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    task = asyncio.create_task(command("--archive", str(EVENT), "--plots", str(tmp_path / "p")))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (tmp_path / "p").exists()
