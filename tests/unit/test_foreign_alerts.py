"""Alerts and feeds of other offices, as they are read; nothing of this asks a network."""

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from shapely.geometry import shape as geometry

from alerts.cap import alert as documents
from alerts.cap import listing, schema
from alerts.cap.alert import AlertError, Area
from alerts.cap.area import shape
from alerts.cap.examination import examine
from alerts.cap.feed import atom, rss
from alerts.catalogue import Catalogue
from alerts.offices import sentence, until
from alerts.regions import geojson
from server.fetching import Fetcher, FetchError, plain
from tests.foreign import HOUR, SENDER, SENT, written
from tests.unit.test_cap_feed import feed, published

SHARED = Path(__file__).parents[2].parent / "shared"
BASE = "https://warn.example/feeds/all.xml"


def test_what_an_alert_says() -> None:
    text = written("a-2", kind="Update", references="a-1")
    assert examine(text.encode()).valid
    found = documents.read(text.encode())
    assert (found.identifier, found.sender, found.sent) == ("a-2", SENDER, SENT)
    assert (found.status, found.kind, found.scope) == ("Actual", "Update", "Public")
    (reference,) = found.references
    assert (reference.sender, reference.identifier) == (SENDER, "a-1")
    assert [info.language for info in found.infos] == ["zh-CN", "en-US"]
    assert [info.headline for info in found.infos] == ["大风 a-2", "Gale a-2"]
    assert until(found) == SENT + 6 * HOUR
    assert until(documents.read(written(expires=None).encode())) == SENT + 24 * HOUR


BOMB = (
    '<!DOCTYPE alert [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    + written().replace("Binhai", "&b;")
)
SECRET = '<!DOCTYPE alert [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + written().replace(
    "Binhai", "&f;"
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "xml"),
        ("<alert>", "xml"),
        ("<alert/>", "root"),
        (BOMB, "entities"),
        (SECRET, "entities"),
        (written(kind="Ack", references="a-1"), "answer"),
        (written(kind="Error", references="a-1"), "answer"),
        (written(kind="Alarm"), "unknown"),
        (written(kind="alert"), "unknown"),
        (written(status="Real"), "unknown"),
        (written(scope="All"), "unknown"),
        (written().replace("<msgType>Alert</msgType>", ""), "missing"),
        (written(""), "missing"),
        (written().replace("-00:00</sent>", "</sent>"), "time"),
        (written() + " " * documents.LARGEST, "large"),
    ],
)
def test_what_is_taken_for_no_alert(text: str, key: str) -> None:
    with pytest.raises(AlertError) as refused:
        documents.read(text.encode())
    assert refused.value.key == key
    if key != "answer":
        problem = {"key": f"refused.{key}", "values": refused.value.values}
        for language in ("zh", "en"):
            assert sentence(problem, Catalogue.load(), language)


def test_other_encodings_hide_no_document_type() -> None:
    with pytest.raises(AlertError) as refused:
        documents.read(f'<?xml version="1.0" encoding="UTF-16"?>{BOMB}'.encode("utf-16"))
    assert refused.value.key == "entities"


def area(*, polygons: tuple[str, ...] = (), circles: tuple[str, ...] = ()) -> Area:
    return Area(description="", polygons=polygons, circles=circles, geocodes=())


SQUARE = "39.0,117.0 39.0,118.0 40.0,118.0 40.0,117.0 39.0,117.0"


@pytest.mark.parametrize(
    ("place", "bounds"),
    [
        (area(polygons=(SQUARE,)), (117, 39, 118, 40)),
        (area(polygons=(SQUARE, "0,0 0,1 1,1 0,0")), (0, 0, 118, 40)),
        # It crosses itself: the surfaces that it does enclose.
        (area(polygons=("0,0 1,1 1,0 0,1 0,0",)), (0, 0, 1, 1)),
        (area(circles=("60.0,10.0 111.195",)), (8, 59, 12, 61)),
        (area(circles=("60.0,10.0 0",)), (10, 60, 10, 60)),
        (area(circles=("60.0,10.0 -5", "60.0,10.0", "x 5", "60,10 nan")), None),
        (area(polygons=("95,0 95,1 96,1 95,0",)), None),
        (area(polygons=("nan,0 1,1 2,0 nan,0", "1;2 3;4", "", "1,1 2,2")), None),
        (area(polygons=("1,1 2,2 3,3 1,1",)), None),
        (area(), None),
    ],
)
def test_where_it_counts(place: Area, bounds: tuple[float, ...] | None) -> None:
    found = shape([place])
    if bounds is None:
        assert found is None
        return
    assert found is not None
    assert found.is_valid
    assert found.bounds == pytest.approx(bounds, abs=0.01)


@pytest.mark.parametrize("write", [atom, rss])
def test_our_own_feeds_are_read(write: object) -> None:
    documents_ = published()
    assert callable(write)
    entries = listing.read(write(feed("zh"), documents_), base=BASE)
    assert entries is not None
    assert [entry.url for entry in entries] == [
        f"https://warn.example/cap/{one.id}.xml" for one in documents_
    ]
    assert len({entry.stamp for entry in entries}) == len(documents_)


ATOM = '<feed xmlns="http://www.w3.org/2005/Atom">{}</feed>'
RSS = (
    "<rss><channel><item><link>/a</link>{}</item>"
    "<item><link> /c </link></item><item/></channel></rss>"
)
ENTRY = "<entry><id>1</id><updated>2026-11-01T00:00:00Z</updated>{}</entry>"


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        (ATOM.format(""), []),
        (ATOM.format(ENTRY.format('<link href="a.xml"/>')), ["https://warn.example/feeds/a.xml"]),
        (
            ATOM.format(
                ENTRY.format(
                    '<link href="/page"/><link type="application/cap+xml" href="/a?x=1&amp;y=2"/>'
                )
            ),
            ["https://warn.example/a?x=1&y=2"],
        ),
        (ATOM.format(2 * ENTRY.format('<link href="/a"/>')), ["https://warn.example/a"]),
        (ATOM.format(ENTRY.format('<link rel="self" href="/a"/>')), []),
        (ATOM.format(ENTRY.format('<link href="http://[/"/>')), []),
        (
            RSS.format('<enclosure type="application/cap+xml" url="/b"/>'),
            ["https://warn.example/b", "https://warn.example/c"],
        ),
    ],
)
def test_what_a_feed_names(text: str, urls: list[str]) -> None:
    entries = listing.read(text.encode(), base=BASE)
    assert entries is not None
    assert [entry.url for entry in entries] == urls


def test_an_alert_inside_a_feed_is_read_from_it() -> None:
    text = ATOM.format(ENTRY.format(f"<content>{written()}</content>"))
    entries = listing.read(text.encode(), base=BASE)
    assert entries is not None
    assert entries[0].alert is not None
    assert documents.read(entries[0].alert).identifier == "a-1"
    assert listing.read(written().encode(), base=BASE) is None
    with pytest.raises(AlertError):
        listing.read(b"<html/>", base=BASE)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://10.1.2.3/x",
        "http://[::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/x",
        "http://127.1/x",
        "file:///etc/passwd",
        "gopher://warn.example/x",
        "http:///x",
        "http://[/x",
    ],
)
async def test_a_feed_does_not_lead_to_machines_of_this_network(url: str) -> None:
    async with Fetcher("https://warn.example/feed.atom") as fetcher:
        with pytest.raises(FetchError) as refused:
            await fetcher.get(url, largest=1_000)
    assert refused.value.key in {"private", "scheme", "away"}
    problem = {"key": f"problem.{refused.value.key}", "values": refused.value.values}
    assert sentence(problem, Catalogue.load(), "zh")


def test_a_password_in_an_address_is_not_shown() -> None:
    assert plain("https://me:secret@warn.example:8443/a?b") == "https://warn.example:8443/a?b"
    assert plain("http://[") == ""


@pytest.mark.skipif(not SHARED.is_dir(), reason="the samples of others are not beside the project")
def test_samples_of_others() -> None:
    found = [
        documents.read(file.read_bytes())
        for folder in ("data/cap", "conformance/cap")
        for file in sorted((SHARED / folder).glob("*.xml"))
    ]
    assert len(found) == 5
    assert all(one.sent.tzinfo is dt.UTC and one.infos for one in found)
    assert all(shape(area for info in one.infos for area in info.areas) for one in found)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(written())), st.integers(0, 60), st.text(max_size=20))
def test_a_damaged_alert_is_read_or_refused(start: int, length: int, put: str) -> None:
    text = written()
    damaged = text[:start] + put + text[start + length :]
    try:
        found = documents.read(damaged.encode("utf-8", "surrogatepass"))
    except AlertError:
        return
    assert found.sent.tzinfo is dt.UTC
    shape(place for info in found.infos for place in info.areas)


NUMBERS = st.one_of(
    st.integers(-200, 200),
    st.floats(-91, 91).map(lambda value: round(value, 3)),
    st.floats(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=9), NUMBERS)
def test_any_drawing_is_a_valid_shape_or_none(
    points: list[tuple[float, float]], radius: float
) -> None:
    ring = " ".join(f"{a},{b}" for a, b in points)
    circle = f"{ring.partition(' ')[0]} {radius}"
    found = shape([area(polygons=(ring,), circles=(circle,))])
    if found is not None:
        assert found.is_valid
        stored = geometry(geojson(found))
        assert stored.area == pytest.approx(found.area, rel=0.2)


def test_one_alert_after_the_other_is_held_against_the_schema(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two threads that read a schema at once spoil libxml2 for the whole process."""
    real = schema._schema()
    inside: list[int] = []
    most: list[int] = []

    def slow() -> etree.XMLSchema:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return real

    monkeypatch.setattr(schema, "_schema", slow)
    alert = written().encode()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: schema.check(etree.fromstring(alert)), range(8)))
    assert found == [[]] * 8
    assert set(most) == {1}
