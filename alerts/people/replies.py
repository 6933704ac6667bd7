"""What people send back by SMS: to subscribe, to leave, to say that they have read it."""

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import psycopg

from alerts import regions
from alerts.bureau.policy import Level
from alerts.catalogue import Catalogue
from alerts.people import acknowledge, subscribers
from alerts.people.contacts import Address
from alerts.people.places import Places
from alerts.people.sealing import Seal
from alerts.people.subscribers import Known, Subscriber, Wishes
from alerts.regions import Region

Kind: TypeAlias = Literal["join", "leave", "read", "help"]

LOWEST: Level = "yellow"
"""Lowest level of whoever subscribes by a word."""

LONGEST = 480
"""Characters of a reply that are looked at."""

_SEVERAL = 4
"""Places named to somebody who must choose."""

_WORDS: Mapping[Kind, str] = {
    "leave": "退订 取消订阅 td t stop stopall unsub unsubscribe cancel end quit",
    "join": "订阅 定阅 dy join start unstop subscribe",
    "read": "收到 已收到 知道了 已知晓 已阅 1 ack ok yes y received",
    "help": "帮助 bz help info ? ？",
}


class Reply(NamedTuple):
    """What a reply means. rest: what stands behind the word: a place, or a note."""

    kind: Kind
    rest: str = ""


class Answer(NamedTuple):
    """What is answered: a key of ``people.reply``, its values, and the language."""

    key: str
    values: dict[str, str]
    language: str


def parse(text: str) -> Reply:
    """Give what a reply means; what nobody can tell asks for help."""
    plain = unicodedata.normalize("NFKC", text[:LONGEST]).strip(" \t\r\n.。!！,，;；:：\"'“”")
    for kind, words in _WORDS.items():
        for word in words.split():
            rest = _behind(plain, unicodedata.normalize("NFKC", word))
            if rest is None:
                continue
            # "1 person missing" may be an answer; "end of the road is flooded" ends nothing.
            if kind == "leave" and rest:
                continue
            return Reply(kind, rest)
    return Reply("help")


def _behind(text: str, word: str) -> str | None:
    """Give what stands behind the word; None where the text does not begin with it."""
    if not text.casefold().startswith(word):
        return None
    rest = text[len(word) :]
    # Chinese needs no space between a word and what follows it.
    if rest and word.isascii() and not re.match(r"[\s,，.。:：;；+!！-]", rest):
        return None
    return rest.strip(" \t\r\n,，.。:：;；+!！-")


async def answer(
    conn: psycopg.AsyncConnection[Any],
    address: Address,
    text: str,
    *,
    seal: Seal,
    at: dt.datetime,
) -> Answer:
    """Do what a reply asks for, and give what is answered.

    Whoever could send it has the number: no code is asked for.
    """
    reply = parse(text)
    found = await subscribers.find(conn, address, seal=seal)
    known = found and await subscribers.get(conn, found.subscriber, seal=seal)
    language = known.language if known else _language(text)
    if reply.kind == "help":
        return Answer("help", {}, language)
    if reply.kind == "join":
        return await _join(conn, address, reply.rest, known or None, seal=seal, at=at, text=text)
    if found is None or not known:
        example = await _example(conn, language)
        return Answer("stranger", {"example": example}, language)
    if reply.kind == "leave":
        # Even somebody on an official list: providers stop sending whoever says so.
        await subscribers.leave(conn, known.id, at=at)
        return Answer("left", {}, language)
    marked = await acknowledge.by_contact(conn, contact=found.contact, at=at, note=reply.rest)
    return Answer("thanks" if marked else "nothing", {}, language)


async def _join(
    conn: psycopg.AsyncConnection[Any],
    address: Address,
    name: str,
    known: Known | None,
    *,
    seal: Seal,
    at: dt.datetime,
    text: str,
) -> Answer:
    language = known.language if known else _language(text)
    if known and known.listed and not known.left_at:
        return Answer("listed", {}, language)
    places = Places(await regions.load(conn))
    meant = places.named(name) or places.search(name) if name else _same(places, known)
    if not meant:
        example = places.regions[0].name(language) if places.regions else ""
        return Answer("where", {"example": example}, language)
    if name and len(meant) > 1:
        return Answer("which", {"places": _listed(meant[:_SEVERAL], language)}, language)
    await _subscribe(conn, address, meant, known, language, seal=seal, at=at)
    return Answer("joined", {"place": _listed(meant, language)}, language)


async def _subscribe(
    conn: psycopg.AsyncConnection[Any],
    address: Address,
    meant: list[Region],
    known: Known | None,
    language: str,
    *,
    seal: Seal,
    at: dt.datetime,
) -> None:
    """Add the places to what somebody hears, or make them somebody who hears of them."""
    before = known.regions if known and not known.left_at else ()
    wanted = tuple(dict.fromkeys((*before, *(region.id for region in meant))))
    if known and not known.left_at:
        names = Wishes.__struct_fields__
        wishes = {name: getattr(known, name) for name in names} | {"regions": wanted}
        await subscribers.change(conn, known.id, Wishes(**wishes))
        return
    person = Subscriber(
        name=known.name if known else address.hint,
        tier=known.tier if known else "public",
        groups=known.groups if known else (),
        turn=known.turn if known else 0,
        post=known.post if known else "",
        source=known.source if known else "self",
        addresses=(address,),
        language=language,
        lowest=LOWEST,
        regions=wanted,
    )
    await subscribers.save(conn, [person], seal=seal, at=at, rejoin=True)


def _same(places: Places, known: Known | None) -> list[Region]:
    """Give the places of somebody who left and comes back without naming one."""
    return [one for one in places.regions if known and one.id in known.regions]


def _listed(found: list[Region], language: str) -> str:
    return ("、" if language == "zh" else ", ").join(region.name(language) for region in found)


async def _example(conn: psycopg.AsyncConnection[Any], language: str) -> str:
    places = await regions.load(conn)
    return places[0].name(language) if places else ""


def _language(text: str) -> str:
    """Give the language of whoever writes to us for the first time."""
    return "zh" if re.search(r"[\u4e00-\u9fff]", text) or not text.strip().isascii() else "en"


def said(answer: Answer, *, catalogue: Catalogue, agencies: Mapping[str, str]) -> str:
    """Give the text that is answered."""
    language = answer.language if answer.language in agencies else next(iter(agencies))
    values = {"agency": agencies[language], **answer.values}
    return catalogue.text(f"people.reply.{answer.key}", language, **values)
