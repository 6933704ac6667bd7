"""Every interface of the web role over a real database, with good and with bad parameters."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator

import feedparser
import msgspec
import pytest
from lxml import etree

from agent.elements import ELEMENTS
from server.ingest import clocks
from server.store import stations as catalogue
from server.store.connection import connect
from tests.scene import HOUR, START, Scene
from tests.website import Website, website

STATION = "beijing-dongsi"


@pytest.fixture
async def scene(database: str) -> Scene:
    scene = Scene(database)
    await scene.open()
    return scene


@pytest.fixture
async def site(scene: Scene) -> AsyncIterator[Website]:
    async with website(scene.url) as site:
        yield site


async def test_stations_and_elements(site: Website, scene: Scene) -> None:
    stations = (await site.get("/api/v1/stations"))["stations"]
    assert [item["name"] for item in stations] == scene.names
    assert stations[0]["zh"] == "奥体中心"
    assert stations[0]["longitude"] == pytest.approx(116.397)
    elements = (await site.get("/api/v1/elements"))["elements"]
    assert [item["name"] for item in elements] == list(ELEMENTS)
    assert all(item["ucum"] and item["zh"] and item["en"] for item in elements)


async def test_a_clock_that_is_off_is_named(site: Website, scene: Scene) -> None:
    async with await connect(scene.url, name="test", autocommit=True) as conn:
        known = await catalogue.by_name(conn, scene.names[0])
        assert known is not None
        reading = clocks.Reading(station=known.id, offset=-400.04, suspect=True, seen=START)
        await clocks.write(conn, [reading], now=START)
    found = (await site.get("/api/v1/stations"))["stations"]
    assert [(item["clock_offset"], item["clock_suspect"]) for item in found[:2]] == [
        (-400.0, True),
        (None, None),
    ]


async def test_series_has_columns_with_gaps_and_units(site: Website, scene: Scene) -> None:
    for hour, rain in ((1, 0.4), (2, 3.5), (5, 7.25)):
        row = {"precipitation_amount": rain} | ({"air_temperature": 21.3} if hour != 2 else {})
        await scene.report({STATION: row}, time=START + hour * HOUR)
    found = await site.get(
        f"/api/v1/stations/{STATION}/series",
        elements="precipitation_amount,air_temperature,soil_temperature_at_5cm",
        start="2016-07-19T08:30:00+08:00",
        end="2016-07-19T05:00:00Z",
    )
    assert found["station"]["name"] == STATION
    assert found["times"] == [f"2016-07-19T0{hour}:00:00Z" for hour in (1, 2, 5)]
    assert found["intervals"] == [3600, 3600, 3600]
    assert found["values"]["precipitation_amount"] == [0.4, 3.5, 7.25]
    assert found["values"]["air_temperature"] == [21.3, None, 21.3]
    assert found["values"]["soil_temperature_at_5cm"] == [None, None, None]
    assert found["quality"]["precipitation_amount"] == [0, 0, 0]
    assert found["elements"]["air_temperature"] == {"unit": "°C", "ucum": "Cel"}


async def test_series_ends_with_the_event_when_no_end_is_given(site: Website, scene: Scene) -> None:
    await scene.report({STATION: {"air_temperature": 20.0}}, time=START + HOUR)
    await site.client.get("/healthz")
    found = {"times": []}
    async with site.stream() as events:
        while not found["times"]:
            found = await site.get(f"/api/v1/stations/{STATION}/series")
            if not found["times"]:
                await events.next()
    assert found["times"] == ["2016-07-19T01:00:00Z"]


WRONG = [
    ("/api/v1/stations/nowhere/series", 404, "no station 'nowhere'"),
    (f"/api/v1/stations/{STATION}/series?elements=warmth", 400, "unknown warmth"),
    (f"/api/v1/stations/{STATION}/series?elements=,", 400, "at least one"),
    (f"/api/v1/stations/{STATION}/series?start=yesterday", 400, "write a time as"),
    (f"/api/v1/stations/{STATION}/series?end=2016-07-19T00:00:00", 400, "has no zone"),
    (f"/api/v1/stations/{STATION}/series?end=0001-01-01T00:00:00%2B14:00", 400, "years"),
    (
        f"/api/v1/stations/{STATION}/series?start=2016-07-20T00:00:00Z&end=2016-07-19T00:00:00Z",
        400,
        "before end",
    ),
    (
        f"/api/v1/stations/{STATION}/series?start=2014-07-20T00:00:00Z&end=2016-07-19T00:00:00Z",
        400,
        "366 days",
    ),
    ("/api/v1/warnings?state=lost", 400, "running, ended"),
    ("/api/v1/warnings?hazard=dragon", 400, "'dragon' is not one of"),
    ("/api/v1/warnings?level=purple", 400, "blue, yellow, orange, red"),
    ("/api/v1/warnings?limit=many", 400, "limit"),
    ("/api/v1/warnings?limit=0", 400, "limit"),
    ("/api/v1/warnings/no-uuid", 404, "no warning"),
    (f"/api/v1/warnings/{uuid.UUID(int=7)}", 404, "no warning"),
    ("/api/v1/phone?subscriber=me", 400, "subscriber"),
    ("/api/v1/quarantine?since=2016", 400, "since"),
    ("/cap/no-uuid.xml", 404, "no message"),
    (f"/cap/{uuid.UUID(int=7)}.xml", 404, "no message"),
    ("/api/v1/everything", 404, "Not Found"),
]


async def test_bad_requests_get_a_problem_that_helps(
    site: Website, subtests: pytest.Subtests
) -> None:
    for path, status, said in WRONG:
        with subtests.test(path):
            answer = await site.client.get(path)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == status
            assert said in problem["detail"]


async def test_other_methods_are_refused(site: Website) -> None:
    answer = await site.client.post("/api/v1/regions")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_warning_is_one_resource_with_its_chain(site: Website, scene: Scene) -> None:
    await scene.warn(STATION, "blue", at=START + HOUR)
    await scene.warn(STATION, "orange", at=START + 2 * HOUR, value=77.7)
    await scene.warn("beijing-huairou", "blue", at=START + HOUR)
    await scene.warn("beijing-huairou", None, at=START + 5 * HOUR)

    every = (await site.get("/api/v1/warnings"))["warnings"]
    assert [(item["region"]["id"], item["ended"]) for item in every] == [
        (STATION, None),
        ("beijing-huairou", "2016-07-19T05:00:00Z"),
    ]
    first = every[0]
    assert (first["level"], first["door"], first["exercise"]) == ("orange", "observed", True)
    assert first["evidence"][0]["value"] == pytest.approx(77.7)
    assert [(item["act"], item["level"]) for item in first["messages"]] == [
        ("issue", "blue"),
        ("upgrade", "orange"),
    ]
    assert await site.get(f"/api/v1/warnings/{first['id']}") == first

    async def names(**parameters: str) -> list[str]:
        found = (await site.get("/api/v1/warnings", **parameters))["warnings"]
        return [item["region"]["id"] for item in found]

    assert await names(state="running") == [STATION]
    assert await names(state="ended") == ["beijing-huairou"]
    assert await names(level="red") == []
    assert await names(region="beijing-huairou") == ["beijing-huairou"]
    assert await names(ended_after="2016-07-19T05:00:00Z") == [STATION]


async def test_cap_is_what_was_stored_byte_for_byte(site: Website, scene: Scene) -> None:
    message = await scene.warn(STATION, "yellow", at=START + HOUR)
    assert message is not None
    answer = await site.client.get(f"/cap/{message.id}.xml")
    assert answer.headers["content-type"] == "application/cap+xml"
    ((stored,),) = await scene.execute("SELECT cap FROM message WHERE id = %s", message.id)
    assert answer.content == stored.encode()
    root = etree.fromstring(answer.content)
    assert root.findtext("{urn:oasis:names:tc:emergency:cap:1.2}status") == "Exercise"


async def test_feeds_keep_exercises_apart_and_spare_who_asks_again(
    site: Website, scene: Scene
) -> None:
    message = await scene.warn(STATION, "yellow", at=START + HOUR)
    assert message is not None
    for path in ("/cap/feed.atom", "/cap/rss.xml"):
        answer = await site.client.get(path)
        assert answer.status_code == 200
        assert feedparser.parse(answer.content).entries == []  # there are only exercises
    answer = await site.client.get("/cap/exercise.atom", params={"lang": "en"})
    assert answer.headers["content-type"] == "application/atom+xml"
    found = feedparser.parse(answer.content)
    (entry,) = found.entries
    assert "EXERCISE" in found.feed.title
    assert entry.title.startswith("EXERCISE")
    assert (await site.client.get(entry.links[0].href)).headers[
        "content-type"
    ] == "application/cap+xml"
    again = {"if-none-match": answer.headers["etag"]}
    known = await site.client.get("/cap/exercise.atom", params={"lang": "en"}, headers=again)
    assert (known.status_code, known.content) == (304, b"")
    await scene.warn(STATION, "orange", at=START + 2 * HOUR)
    news = await site.client.get("/cap/exercise.atom", params={"lang": "en"}, headers=again)
    assert len(feedparser.parse(news.content).entries) == 2


async def test_the_phone_shows_exercises_and_hides_numbers(site: Website, scene: Scene) -> None:
    await scene.warn(STATION, "yellow", at=START + HOUR)
    await scene.warn("beijing-huairou", "blue", at=START + 2 * HOUR)
    found = (await site.get("/api/v1/phone"))["messages"]
    assert {item["region"] for item in found} == {STATION, "beijing-huairou"}
    assert all(item["body"] and item["segments"] >= 1 for item in found)
    assert all(len(item["address"]) <= 5 for item in found)
    assert [item["sent"] for item in found] == sorted(item["sent"] for item in found)
    one = found[0]["recipient"]
    mine = (await site.get("/api/v1/phone", subscriber=one))["messages"]
    assert {item["recipient"] for item in mine} == {one}
    only = (await site.get("/api/v1/phone", region=STATION))["messages"]
    assert {item["region"] for item in only} == {STATION}


async def test_regions_are_geojson(site: Website, scene: Scene) -> None:
    answer = await site.client.get("/api/v1/regions")
    assert answer.headers["content-type"] == "application/geo+json"
    found = answer.json()
    assert {feature["id"] for feature in found["features"]} == set(scene.names)
    assert found["features"][0]["properties"]["sample"] is True
    assert found["features"][0]["geometry"]["type"] in {"Polygon", "MultiPolygon"}


async def test_criteria_and_catalogue(site: Website) -> None:
    criteria = await site.get("/api/v1/criteria")
    assert "rainstorm" in {signal["hazard"] for signal in criteria["signals"]}
    catalogue = await site.get("/api/v1/catalogue")
    assert catalogue["zone"] == "Asia/Shanghai"
    assert set(catalogue["words"]) == {"zh", "en"}
    assert catalogue["words"]["en"]["console"]["link"]["live"] == "Live"


async def test_quarantine_is_counted_by_reason(site: Website, scene: Scene) -> None:
    now = dt.datetime.now(dt.UTC)
    for number, reason in enumerate(("range", "json", "json")):
        await scene.execute(
            "INSERT INTO quarantine (received, topic, payload, reason, detail)"
            " VALUES (%s, 'fenghuo/v1/x/obs', %s, %s, 'why')",
            now - dt.timedelta(minutes=number),
            b"\xff{" + b"x" * 500,
            reason,
        )
    found = await site.get("/api/v1/quarantine", limit=2)
    assert found["total"] == 3
    assert {item["reason"]: item["count"] for item in found["reasons"]} == {"json": 2, "range": 1}
    assert [item["reason"] for item in found["newest"]] == ["range", "json"]
    assert found["newest"][0]["bytes"] == 502
    assert len(found["newest"][0]["head"]) == 240
    assert (await site.get("/api/v1/quarantine", reason="range"))["newest"][0]["reason"] == "range"


async def test_the_description_of_the_interface_names_every_path(site: Website) -> None:
    found = msgspec.json.decode((await site.client.get("/api/v1/openapi.json")).content)
    assert {"/api/v1/warnings", "/api/v1/stations/{name}/series", "/readyz"} <= set(found["paths"])


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh-CN,zh;q=0.9,en;q=0.5", "暴雨橙色预警"), ("en-GB,en;q=0.9,zh;q=0.3", "Orange rainstorm")],
)
async def test_public_page_in_the_language_of_the_browser(
    site: Website, scene: Scene, language: str, words: str
) -> None:
    await scene.warn(STATION, "orange", at=START + HOUR)
    answer = await site.client.get("/", headers={"accept-language": language})
    assert words in answer.text
    assert answer.text.count("<script") == answer.text.count('<script type="module" src=') == 1
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_public_page_never_calms_without_evidence(site: Website, scene: Scene) -> None:
    answer = await site.client.get("/?lang=en")
    assert "No warning signal is in force" in answer.text
    assert "cannot say that there is no danger" in answer.text
    assert "EXERCISE" in answer.text
    await scene.report({STATION: {"air_temperature": 20.0}}, time=START + HOUR)
    async with site.stream() as events:
        while site.live.newest is None:
            await events.next()
    assert "cannot say" not in (await site.client.get("/?lang=en")).text
