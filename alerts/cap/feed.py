"""What was published lately, as Atom (RFC 4287) and RSS 2.0 feeds of CAP documents."""

import datetime as dt
from collections.abc import Sequence
from email.utils import format_datetime
from typing import Any, Final

import msgspec
from lxml import etree

from alerts.cap.document import LANGUAGES, NAMESPACE

ATOM: Final = "http://www.w3.org/2005/Atom"
TYPE: Final = "application/cap+xml"
KEPT: Final = dt.timedelta(hours=48)
"""How long an alert stays in the feed after its end."""

MOST: Final = 500
"""Documents in a feed, the newest."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A published document. expires: when it stops to count. cap: its text."""

    id: str
    sent: dt.datetime
    expires: dt.datetime
    cap: str


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """What stands above the entries. base: the address of the site; path: of the feed below it."""

    title: str
    author: str
    base: str
    path: str
    language: str
    updated: dt.datetime


def atom(feed: Feed, published: Sequence[Published]) -> bytes:
    """Give the Atom feed."""
    root: Any = etree.fromstring(f'<feed xmlns="{ATOM}"/>')
    root.set("{http://www.w3.org/XML/1998/namespace}lang", LANGUAGES[feed.language])
    own = f"{feed.base}{feed.path}"
    _put(root, "id", own)
    _put(root, "title", feed.title)
    _put(root, "updated", feed.updated.isoformat())
    _put(_put(root, "author"), "name", feed.author)
    _put(root, "link", rel="self", href=own, type="application/atom+xml")
    for one in published:
        said = _said(one.cap, feed.language)
        entry = _put(root, "entry")
        _put(entry, "id", f"urn:uuid:{one.id}")
        _put(entry, "title", said["headline"])
        _put(entry, "updated", one.sent.isoformat())
        _put(entry, "published", one.sent.isoformat())
        _put(entry, "summary", said["description"])
        _put(entry, "category", term=said["event"])
        _put(entry, "link", rel="alternate", href=f"{feed.base}/cap/{one.id}.xml", type=TYPE)
    return _text(root)


def rss(feed: Feed, published: Sequence[Published]) -> bytes:
    """Give the RSS feed."""
    root: Any = etree.Element("rss", version="2.0", nsmap={"atom": ATOM})
    channel = etree.SubElement(root, "channel")
    _plain(channel, "title", feed.title)
    _plain(channel, "link", f"{feed.base}/")
    _plain(channel, "description", feed.author)
    _plain(channel, "language", LANGUAGES[feed.language])
    _plain(channel, "lastBuildDate", format_datetime(feed.updated))
    own = f"{feed.base}{feed.path}"
    _put(channel, "link", rel="self", href=own, type="application/rss+xml")
    for one in published:
        said = _said(one.cap, feed.language)
        item = etree.SubElement(channel, "item")
        _plain(item, "title", said["headline"])
        _plain(item, "description", said["description"])
        _plain(item, "link", f"{feed.base}/cap/{one.id}.xml")
        _plain(item, "category", said["event"])
        _plain(item, "pubDate", format_datetime(one.sent))
        etree.SubElement(item, "guid", isPermaLink="false").text = f"urn:uuid:{one.id}"
    return _text(root)


def _said(cap: str, language: str) -> dict[str, str]:
    """Give headline, description and event in a language, or in the first that there is."""
    alert = etree.fromstring(cap)
    infos = alert.findall(f"{{{NAMESPACE}}}info")
    wanted = LANGUAGES[language]
    mine = next((i for i in infos if i.findtext(f"{{{NAMESPACE}}}language") == wanted), infos[0])
    return {
        name: mine.findtext(f"{{{NAMESPACE}}}{name}") or ""
        for name in ("headline", "description", "event")
    }


def _put(parent: Any, name: str, text: str | None = None, **attributes: str) -> Any:
    child = etree.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    child.text = text
    return child


def _plain(parent: Any, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text


def _text(root: Any) -> bytes:
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)
