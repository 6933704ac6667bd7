"""What the centre says of its own warnings: over a real database, by HTTP."""

import datetime as dt
from collections.abc import AsyncIterator

import pytest

from server.web import verification
from tests.scene import HOUR, START, Scene
from tests.website import Website, website

PATH = "/api/v1/verification"
STATION = "beijing-aotizhongxin"


@pytest.fixture
async def scene(database: str) -> Scene:
    scene = Scene(database)
    await scene.open()
    return scene


@pytest.fixture
async def site(scene: Scene) -> AsyncIterator[Website]:
    async with website(scene.url) as site:
        yield site


def iso(moment: dt.datetime) -> str:
    return moment.isoformat()


async def test_without_anything_there_is_nothing_to_say(site: Website) -> None:
    answer = await site.get(PATH)
    assert answer["levels"] == []
    assert answer["events"] == []
    assert answer["false_alarms"] == []
    assert answer["exercise"] is False


async def test_warnings_beside_what_came(scene: Scene, site: Website) -> None:
    # 10 mm an hour from hour 11 on: 50 mm in 6 h and 12 h are met at hour 15, 50 mm in 3 h never.
    for hour in range(1, 25):
        rain = 10.0 if 11 <= hour <= 16 else 0.0
        await scene.report(
            {STATION: {"precipitation_amount": rain}, "beijing-huairou": {"air_temperature": 20.0}},
            time=START + hour * HOUR,
        )
    await scene.warn(STATION, "blue", at=START + 12 * HOUR)
    await scene.warn(STATION, "yellow", at=START + 16 * HOUR)
    await scene.warn(STATION, None, at=START + 20 * HOUR)
    await scene.warn("beijing-huairou", "orange", at=START + 12 * HOUR)
    await scene.warn("beijing-huairou", None, at=START + 15 * HOUR)
    answer = await site.get(PATH, start=iso(START), end=iso(START + 30 * HOUR))
    assert answer["exercise"] is True
    assert answer["readings"] == 48
    rows = {row["level"]: row for row in answer["levels"]}
    assert {row["hazard"] for row in answer["levels"]} == {"rainstorm"}
    # Blue was warned of at hour 12, three hours before; the other one was for nothing.
    blue = rows["blue"]
    assert (blue["events"], blue["before"], blue["during"], blue["missed"]) == (1, 1, 0, 0)
    assert (blue["warnings"], blue["false_alarms"], blue["lead"]) == (2, 1, 180.0)
    assert (blue["pod"], blue["far"], blue["csi"]) == (1.0, 0.5, 0.5)
    # Yellow came at hour 15 and was said at 16.
    yellow = rows["yellow"]
    assert (yellow["events"], yellow["before"], yellow["during"]) == (1, 0, 1)
    assert (yellow["lead"], yellow["pod"]) == (0.0, 0.0)
    assert rows["orange"]["events"] == 0
    assert rows["orange"]["pod"] is None
    assert rows["orange"]["false_alarms"] == 1
    assert "red" not in rows
    first = next(event for event in answer["events"] if event["level"] == "blue")
    assert first["region"]["id"] == STATION
    assert first["lead"] == 180.0
    assert dt.datetime.fromisoformat(first["begin"]) == START + 15 * HOUR
    assert {item["region"]["id"] for item in answer["false_alarms"]} == {"beijing-huairou"}
    # A time before all this knows nothing of it.
    before = await site.get(PATH, start=iso(START - 30 * HOUR), end=iso(START))
    assert before["levels"] == []


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"start": "2016-07-20T00:00:00Z", "end": "2016-07-20T00:00:00Z"}, "before end"),
        ({"start": "2016-01-01T00:00:00Z", "end": "2016-07-20T00:00:00Z"}, "92 days"),
        ({"start": "2016-07-20"}, "no zone"),
        ({"end": "yesterday"}, "write a time"),
    ],
)
async def test_what_cannot_be_asked(site: Website, parameters: dict[str, str], said: str) -> None:
    answer = await site.get(PATH, status=400, **parameters)
    assert said in answer["detail"]


async def test_too_much_is_refused(
    scene: Scene, site: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "READINGS", 3)
    for hour in range(1, 6):
        await scene.report({STATION: {"air_temperature": 20.0}}, time=START + hour * HOUR)
    answer = await site.get(PATH, status=413, start=iso(START), end=iso(START + 9 * HOUR))
    assert "fenghuo verify" in answer["detail"]
