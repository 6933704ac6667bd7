"""Alerts of other offices, from their server to our console."""

import asyncio
import datetime as dt
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from lxml import etree
from shapely.geometry import shape

from alerts import offices, regions
from alerts.cap.examination import examine
from alerts.cap.feed import atom
from alerts.cap.signature import Signer
from alerts.regions import Region
from server import main
from server import offices as reading
from server.accounts import audit
from server.clock import EventClock
from server.offices import Look, look
from server.settings import Settings, Store
from server.store.connection import Connection, connect
from server.store.database import Database
from server.terminal import Terminal
from server.web import app
from server.web.desk import offices as shelf
from tests.accounts import bearer
from tests.foreign import HOUR, SENT, Site, serving, written
from tests.samples import SEAL
from tests.support import eventually_async
from tests.unit.test_cap_feed import feed, published
from tests.unit.test_cap_signature import pem

NOW = SENT + HOUR
MINUTE = dt.timedelta(minutes=1)
SHARED = Path(__file__).parents[2].parent / "shared"


def _box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


BINHAI = Region(
    id="120116",
    zh="滨海",
    en="Binhai",
    boundary={
        "type": "Polygon",
        "coordinates": [_box(117.4, 38.6, 118.1, 39.4)],
    },
)
BESIDE = Region(
    id="130200",
    zh="邻区",
    en="Beside",
    boundary={
        "type": "Polygon",
        "coordinates": [_box(118.0, 39.4, 119.0, 40.0)],
    },
)


class Centre:
    """A centre that reads other offices, and its clock."""

    def __init__(self, url: str, database: Database, site: Site) -> None:
        self.url = url
        self.database = database
        self.site = site
        self.clock = EventClock(NOW)

    async def add(self, path: str = "/feed.atom", *, trust: str = "") -> None:
        url = path if "://" in path else self.site.base + path
        async with self.database.connection() as conn:
            await offices.add_source(
                conn, url=url, name="Tianjin", trust=trust, now=self.clock.now()
            )

    async def look(self) -> Look:
        """Look at the source that is due."""
        self.clock.move(self.clock.now() + MINUTE)
        async with self.database.connection() as conn:
            source = await offices.claim(conn, now=self.clock.now())
        assert source is not None
        return await look(self.database, source, self.clock)

    async def shown(self, **headers: str) -> Any:
        application = app.create(self.database, Settings(), self.clock, wall=self.clock, seal=SEAL)
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.get("/api/v1/offices", headers=headers)
            assert answer.status_code == 200, answer.text
            return answer.json()

    async def standing(self) -> list[str]:
        return sorted(each["identifier"] for each in (await self.shown())["alerts"])


@pytest.fixture
async def centre(plain_database: str) -> AsyncIterator[Centre]:
    async with (
        await Database.open(plain_database, name="test", size=4) as database,
        serving() as site,
    ):
        async with database.connection() as conn:
            await regions.save(conn, [BINHAI, BESIDE])
        yield Centre(plain_database, database, site)


async def test_a_feed_is_read_and_shown_with_its_place(centre: Centre) -> None:
    site = centre.site
    site.put("/1.xml", written("a-1"))
    site.put("/2.xml", written("a-2", severity="Extreme", area=_code("120116")))
    site.feed("/1.xml", "/2.xml")
    await centre.add()
    assert (await centre.look()).new == 2
    shown = await centre.shown()
    assert set(shown) == {"alerts", "sources"}
    second, first = sorted(shown["alerts"], key=lambda each: each["identifier"], reverse=True)
    assert (first["level"], second["level"]) == ("orange", "red")
    # It overlaps one region and only borders on the other.
    assert first["regions"] == second["regions"] == ["120116"]
    assert first["area"]["type"] == "Polygon"
    assert shape(second["area"]).equals(BINHAI.geometry)
    assert [info["headline"] for info in first["infos"]] == ["大风 a-1", "Gale a-1"]
    nothing: dict[str, list[str]] = {"form": [], "schema": [], "rules": [], "signature": []}
    assert first["problems"] == {"zh": nothing, "en": nothing}
    (source,) = shown["sources"]
    assert (source["name"], source["late"], source["problem"]) == ("Tianjin", False, None)
    assert "url" not in source

    site.asked.clear()
    found = await centre.look()
    assert (found.new, found.problem) == (0, None)
    assert set(found.named) == {f"{site.base}/1.xml", f"{site.base}/2.xml"}
    assert site.asked == ["/feed.atom"]  # and that was answered with 304
    centre.clock.move(SENT + 6 * HOUR)
    assert await centre.standing() == []


async def test_only_what_is_new_is_fetched(centre: Centre) -> None:
    site = centre.site
    site.put("/1.xml", written("a-1"))
    site.feed("/1.xml")
    await centre.add()
    await centre.look()
    site.put("/2.xml", written("a-2"))
    site.feed("/2.xml", "/1.xml")
    site.asked.clear()
    assert (await centre.look()).new == 1
    assert site.asked == ["/feed.atom", "/2.xml"]
    assert await centre.standing() == ["a-1", "a-2"]


def _code(value: str) -> str:
    return f"<geocode><valueName>adcode</valueName><value>{value}</value></geocode>"


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "the end first"])
async def test_updates_and_cancels_take_the_place_of_what_they_refer_to(
    centre: Centre, backwards: bool
) -> None:
    chain = [
        written("a-1"),
        written("a-2", kind="Update", references="a-1", sent=SENT + MINUTE),
        written("b-1", sender="other@tianjin.example"),
        written("a-3", kind="Cancel", references="a-2", sent=SENT + 2 * MINUTE),
    ]
    expected = [["a-1"], ["a-2"], ["a-2", "b-1"], ["b-1"]]
    if backwards:
        chain.reverse()
        expected = [[], ["b-1"], ["b-1"], ["b-1"]]
    await centre.add()
    names = []
    for number, text in enumerate(chain):
        centre.site.put(f"/{number}.xml", text)
        names.append(f"/{number}.xml")
        centre.site.feed(*names)
        assert (await centre.look()).new == 1
        assert await centre.standing() == expected[number]


async def test_one_source_ends_nothing_of_another(centre: Centre) -> None:
    site = centre.site
    site.put("/1.xml", written("a-1"))
    site.put("/forged.xml", written("a-9", kind="Cancel", references="a-1", sent=NOW))
    await centre.add("/1.xml")
    await centre.look()
    await centre.add("/forged.xml")
    await centre.look()
    await centre.look()
    assert await centre.standing() == ["a-1"]
    # Nor does an exercise end what is real.
    site.put("/drill.xml", written("a-8", kind="Cancel", references="a-1", status="Exercise"))
    site.feed("/1.xml", "/drill.xml")
    await centre.add()
    for _ in range(3):
        await centre.look()
    assert await centre.standing() == ["a-1", "a-1"]  # from two sources


async def test_what_is_not_for_everybody_is_kept_apart(centre: Centre) -> None:
    texts = {
        "real": written("real"),
        "drill": written("drill", status="Exercise"),
        "test": written("test", status="Test"),
        "closed": written("closed", scope="Restricted"),
    }
    for name, text in texts.items():
        centre.site.put(f"/{name}", text)
    centre.site.feed(*(f"/{name}" for name in texts))
    await centre.add()
    assert (await centre.look()).new == 4
    assert await centre.standing() == ["real"]
    centre.clock.move(dt.datetime.now(dt.UTC))
    headers = await bearer(centre.url, "forecaster")
    async with centre.database.connection() as conn:
        await conn.execute("UPDATE office_alert SET until = now() + interval '1 day'")
    shown = await centre.shown(**headers)
    names = {name: sorted(each["identifier"] for each in shown[name]) for name in shelf._EVERY}
    assert names == {
        "alerts": ["real"],
        "exercises": ["drill", "test"],
        "closed": ["closed"],
        "refused": [],
    }
    assert shown["sources"][0]["url"].endswith("/feed.atom")


async def test_what_cannot_be_read_is_said_and_stops_nothing(centre: Centre) -> None:
    site = centre.site
    site.put("/good.xml", written("good"))
    site.put("/kind.xml", written("kind", kind="Alarm"))
    site.put("/ack.xml", written("ack", kind="Ack", references="good"))
    site.put("/bomb.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]>" + written("bomb"))
    site.put("/large.xml", written("large") + " " * 1_100_000)
    site.feed("/kind.xml", "/ack.xml", "/bomb.xml", "/large.xml", "/gone.xml", "/good.xml")
    await centre.add()
    found = await centre.look()
    assert found.new == 1
    assert await centre.standing() == ["good"]
    (source,) = (await centre.shown())["sources"]
    assert (source["succeeded"], source["problem"]["key"]) == (None, "problem.documents")
    assert source["problem"]["en"].startswith("4 of 6 documents cannot be read")
    assert "msgType Alarm" in source["problem"]["en"]
    assert "6 个文件中有 4 个" in source["problem"]["zh"]
    assert (await centre.look()).problem is not None  # it does not go away by itself
    site.feed("/good.xml", "/ack.xml")
    assert await centre.look() == Look(
        named=(f"{site.base}/good.xml", f"{site.base}/ack.xml"),
        etag=f'"{hash(site.pages["/feed.atom"])}"',
    )


async def test_a_document_that_surprises_a_library_stops_nothing(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprised(xml: bytes, **given: Any) -> Any:
        if b"odd" in xml:
            raise etree.XMLSchemaParseError("surprised")
        return examine(xml, **given)

    monkeypatch.setattr(reading, "examine", surprised)
    for name in ("odd", "good"):
        centre.site.put(f"/{name}.xml", written(name))
    centre.site.feed("/odd.xml", "/good.xml")
    await centre.add()
    found = await centre.look()
    assert found.problem is not None
    assert (found.new, found.problem.values["first"].key) == (1, "problem.examined")
    (source,) = (await centre.shown())["sources"]
    assert "surprised" in source["problem"]["zh"]
    assert await centre.standing() == ["good"]


async def test_a_source_that_is_away_is_said_to_be(centre: Centre) -> None:
    site = centre.site
    site.put("/1.xml", written("a-1"))
    site.feed("/1.xml")
    await centre.add()
    await centre.look()
    site.broken.add("/feed.atom")
    for _ in range(2):
        found = await centre.look()
        assert found.problem is not None
        assert found.problem.key == "problem.status"
    (source,) = (await centre.shown())["sources"]
    assert (source["late"], source["problem"]["en"]) == (
        False,
        f"{site.base}/feed.atom answered 503",
    )
    assert await centre.standing() == ["a-1"]  # what it said before still counts
    centre.clock.move(centre.clock.now() + shelf.LATE * MINUTE)
    assert (await centre.shown())["sources"][0]["late"]
    site.broken.clear()
    assert (await centre.look()).problem is None
    (source,) = (await centre.shown())["sources"]
    assert (source["late"], source["problem"]) == (False, None)
    site.moved["/feed.atom"] = "/feed.atom"
    found = await centre.look()
    assert found.problem is not None
    assert found.problem.key == "problem.moved"
    site.moved["/feed.atom"] = "http://10.0.0.1/feed.atom"
    found = await centre.look()
    assert found.problem is not None
    assert found.problem.key == "problem.private"


async def test_what_is_not_signed_as_it_should_be_counts_nothing(
    centre: Centre, tmp_path: Path
) -> None:
    since, until = SENT - 365 * 24 * HOUR, SENT + 365 * 24 * HOUR
    ours = pem(tmp_path, name="tianjin", since=since, until=until)
    foreign = pem(tmp_path, name="forger", since=since, until=until)
    signer, forger = Signer.load(ours), Signer.load(foreign)
    certificates = x509.load_pem_x509_certificates(ours.read_bytes())
    trust = certificates[0].public_bytes(serialization.Encoding.PEM).decode()
    site = centre.site
    good = signer.sign(written("a-1"))
    cancel = written("a-2", kind="Cancel", references="a-1", sent=NOW)
    site.put("/1.xml", good)
    site.put("/plain.xml", cancel)
    site.put("/forged.xml", forger.sign(cancel.replace("a-2", "a-3")))
    changed = signer.sign(cancel.replace("a-2", "a-4")).replace("Binhai", "Tanggu")
    site.put("/changed.xml", changed)
    site.feed("/1.xml", "/plain.xml", "/forged.xml", "/changed.xml")
    await centre.add(trust=trust)
    assert (await centre.look()).new == 4
    shown = await centre.shown()
    (alert,) = shown["alerts"]
    assert alert["identifier"] == "a-1"
    assert (alert["signed"]["trusted"], alert["signed"]["subject"]) == (True, "CN=tianjin.example")
    site.put("/end.xml", signer.sign(cancel.replace("a-2", "a-5")))
    site.feed("/1.xml", "/end.xml")
    await centre.look()
    assert await centre.standing() == []


async def test_our_own_feed_and_the_samples_of_others_are_read(
    centre: Centre, tmp_path: Path
) -> None:
    ours = published()
    site = centre.site
    for one in ours:
        site.put(f"/cap/{one.id}.xml", one.cap)
    head = feed("zh")
    site.put("/feed.atom", atom(_at(head, site.base), ours))
    await centre.add()
    found = await centre.look()
    assert (found.new, found.problem) == (len(ours), None)
    for number, text in enumerate((written("f-1"), written("f-2"))):
        (tmp_path / f"{number}.xml").write_text(text, "utf-8")
    await centre.add(tmp_path.as_uri())
    assert (await centre.look()).new == 2
    (tmp_path / "0.xml").write_text(
        written("f-3", kind="Cancel", references="f-2", sent=NOW), "utf-8"
    )
    if (SHARED / "data/cap").is_dir():
        await centre.add((SHARED / "data/cap").as_uri())
        async with centre.database.connection() as conn:
            (source,) = [each for each in await offices.sources(conn) if "shared" in each.url]
        # Two files, one alert.
        assert (await look(centre.database, source, centre.clock)).new == 1
    for _ in range(3):
        await centre.look()
    assert await centre.standing() == ["f-1"]


def _at(head: Any, base: str) -> Any:
    return type(head)(
        **{name: getattr(head, name) for name in head.__struct_fields__} | {"base": base}
    )


async def test_each_source_is_read_when_it_is_due(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "REST", 0.05)
    site = centre.site
    site.put("/1.xml", written("a-1"))
    site.feed("/1.xml")
    await centre.add()
    task = asyncio.create_task(reading.run(centre.database, centre.clock))
    try:
        await eventually_async(lambda: site.asked == ["/feed.atom", "/1.xml"])
        centre.clock.move(centre.clock.now() + MINUTE)
        await eventually_async(lambda: site.asked == ["/feed.atom", "/1.xml", "/feed.atom"])
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_ended_long_ago_is_forgotten_and_does_not_come_back(centre: Centre) -> None:
    site = centre.site
    long = SENT + 30 * 24 * HOUR
    site.put("/1.xml", written("a-1", expires=long))
    site.put("/2.xml", written("a-2", kind="Cancel", references="a-1", sent=NOW))
    site.feed("/1.xml", "/2.xml")
    await centre.add()
    await centre.look()
    site.put("/feed.atom", '<feed xmlns="http://www.w3.org/2005/Atom"/>')
    centre.clock.move(SENT + 10 * 24 * HOUR)
    await centre.look()
    async with centre.database.connection() as conn:
        rows = await (await conn.execute("SELECT identifier FROM office_alert")).fetchall()
    assert rows == [("a-1",)]
    site.feed("/1.xml")
    await centre.look()
    assert await centre.standing() == []


async def test_the_document_itself(centre: Centre) -> None:
    centre.site.put("/1.xml", written("a-1", scope="Private").replace("Binhai", "<b/>"))
    centre.site.put("/2.xml", written("a-2"))
    await centre.add("/2.xml")
    await centre.look()
    application = app.create(
        centre.database, Settings(), centre.clock, wall=centre.clock, seal=SEAL
    )
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/api/v1/offices/1.xml")
        assert answer.content == centre.site.pages["/2.xml"]
        assert "attachment" in answer.headers["content-disposition"]
        assert (await client.get("/api/v1/offices/2.xml")).status_code == 404


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    conn = await connect(url, name="test", autocommit=True)
    try:
        yield conn
    finally:
        await conn.close()


async def run(
    url: str, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[str, str]:
    parsed = main.parser().parse_args(["office", *arguments])
    said = io.StringIO()
    settings = Settings(store=Store(url=url))
    assert await parsed.work(parsed, settings, Terminal(language="en", out=said)) == code
    return capsys.readouterr().out, said.getvalue()


async def test_the_command(
    plain_database: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = plain_database
    assert "fenghuo office add" in (await run(url, capsys, "list"))[1]
    feed_ = "https://me:secret@warn.example/feed.atom"
    assert "read every 60 s" in (await run(url, capsys, "add", feed_))[1]
    assert "already" in (await run(url, capsys, "add", feed_, code=1))[1]
    for wrong in ("ftp://warn.example/x", "relative/folder", "http:///x"):
        assert "is no http" in (await run(url, capsys, "add", wrong, code=1))[1]
    (tmp_path / "no.pem").write_text("nothing")
    trust = ("--trust", str(tmp_path / "no.pem"))
    said = (await run(url, capsys, "add", "https://a.example/", *trust, code=1))[1]
    assert "no certificate" in said
    pem(tmp_path)
    own = ("--trust", str(tmp_path / "bureau.pem"), "--every", "300", "--name", "A")
    await run(url, capsys, "add", "https://a.example/", *own)
    await run(url, capsys, "add", str(tmp_path))
    out = (await run(url, capsys, "list"))[0]
    assert "secret" not in out
    assert [line.split("\t")[1] for line in out.splitlines()] == [
        *("warn.example", "A", tmp_path.name),
    ]
    number = out.splitlines()[1].split("\t")[0]
    assert "read no more" in (await run(url, capsys, "remove", number))[1]
    assert "no such source" in (await run(url, capsys, "remove", number, code=1))[1]
    await run(url, capsys, "remove", feed_)
    async with connected(url) as conn:
        assert not any("PRIVATE" in each.trust for each in await offices.sources(conn))
        rows = await audit.page(conn)
        assert (await audit.verify(conn)).broken is None
    assert [row.act for row in rows] == [
        *("office.remove", "office.remove", "office.add", "office.add", "office.add"),
    ]
    assert not any("secret" in row.subject + row.detail for row in rows)
