"""What a feed names: addresses of alerts, in Atom (RFC 4287) or RSS 2.0."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import msgspec
from lxml import etree

from alerts.cap.alert import AlertError, tree
from alerts.cap.document import NAMESPACE
from alerts.cap.feed import ATOM, TYPE

LARGEST = 8 * 1_048_576
"""Bytes of a feed."""

MOST = 500
"""Alerts of a feed that are read, as they stand in it."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One that is named. stamp: by which a change shows; alert: the document where it is inside."""

    url: str
    stamp: str
    alert: bytes | None = None


def read(xml: bytes, *, base: str) -> list[Entry] | None:
    """Give what a feed names, each address once; None for a document that is an alert itself.

    base: the address of the feed. Raises AlertError: those of `alerts.cap.alert.tree`; ``feed``
    (neither of these).
    """
    root = tree(xml, largest=LARGEST)
    if root.tag == f"{{{NAMESPACE}}}alert":
        return None
    if root.tag == f"{{{ATOM}}}feed":
        found = list(_atom(root, base))
    elif root.tag == "rss":
        found = list(_rss(root, base))
    else:
        raise AlertError("feed", root=str(root.tag)[:200])
    return list({entry.url: entry for entry in reversed(found)}.values())[::-1][:MOST]


def _atom(root: Any, base: str) -> Iterator[Entry]:
    for entry in root.findall(f"{{{ATOM}}}entry"):
        links = entry.findall(f"{{{ATOM}}}link")
        usual = [link for link in links if link.get("rel", "alternate") == "alternate"]
        link = next((link for link in links if link.get("type") == TYPE), None)
        chosen = link if link is not None else (usual or [None])[0]
        address = "" if chosen is None else chosen.get("href", "")
        stamp = " ".join(_texts(entry, f"{{{ATOM}}}id", f"{{{ATOM}}}updated"))
        yield from _entry(entry, base, address, stamp)


def _rss(root: Any, base: str) -> Iterator[Entry]:
    for item in root.iterfind("channel/item"):
        enclosed = [each for each in item.findall("enclosure") if each.get("type") == TYPE]
        address = enclosed[0].get("url", "") if enclosed else item.findtext("link") or ""
        yield from _entry(item, base, address, " ".join(_texts(item, "guid", "pubDate")))


def _entry(entry: Any, base: str, address: str, stamp: str) -> Iterator[Entry]:
    inside = entry.find(f".//{{{NAMESPACE}}}alert")
    alert = None if inside is None else etree.tostring(inside, with_tail=False)
    if address.strip() or alert is not None:
        try:
            url = urljoin(base, address.strip())
        except ValueError:
            return  # no address at all, as http://[
        yield Entry(url=url if address.strip() else f"{base}#{stamp}", stamp=stamp, alert=alert)


def _texts(entry: Any, *names: str) -> list[str]:
    return [" ".join((entry.findtext(name) or "").split())[:500] for name in names]
