"""The feeds, as a feed reader reads them."""

import calendar
import datetime as dt
from collections.abc import Callable, Sequence

import feedparser
import pytest

from alerts.cap.feed import Feed, Published, atom, rss
from alerts.life.message import compose
from tests.unit.test_cap import built, event

Write = Callable[[Feed, Sequence[Published]], bytes]


def published() -> list[Published]:
    """The documents of an event, the newest first."""
    steps = event()
    messages = [compose(step) for step in steps]
    texts = [built(step, *messages[:number]) for number, step in enumerate(steps)]
    return [
        Published(id=str(message.id), sent=message.sent, expires=message.expires, cap=text)
        for message, text in zip(messages, texts, strict=True)
    ][::-1]


def feed(language: str) -> Feed:
    return Feed(
        title="Weather & warnings",
        author="Sample Bureau",
        base="https://warn.example",
        path="/cap/feed.atom",
        language=language,
        updated=dt.datetime(2016, 7, 20, 3, tzinfo=dt.UTC),
    )


@pytest.mark.parametrize("write", [atom, rss])
@pytest.mark.parametrize(("language", "word"), [("zh", "暴雨"), ("en", "ainstorm")])
def test_a_reader_reads_every_document(write: Write, language: str, word: str) -> None:
    documents = published()
    found = feedparser.parse(write(feed(language), documents))
    assert not found.bozo, found.get("bozo_exception")
    assert found.feed.title == "Weather & warnings"
    assert found.feed.language == {"zh": "zh-CN", "en": "en-US"}[language]
    assert [entry.links[0].href for entry in found.entries] == [
        f"https://warn.example/cap/{one.id}.xml" for one in documents
    ]
    assert [entry.id for entry in found.entries] == [f"urn:uuid:{one.id}" for one in documents]
    assert all(word in entry.title and entry.summary for entry in found.entries)
    times = [calendar.timegm(entry.published_parsed) for entry in found.entries]
    assert times == [one.sent.timestamp() for one in documents]


@pytest.mark.parametrize("write", [atom, rss])
def test_a_feed_of_nothing_is_a_feed(write: Write) -> None:
    found = feedparser.parse(write(feed("zh"), []))
    assert not found.bozo
    assert found.entries == []
