"""What the columns of a list are, by how offices head them (``headers.toml``)."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias, get_args

import msgspec

from alerts.bureau.policy import Level, Tier
from alerts.people.places import plain
from alerts.people.tables import Row, TableError

Field: TypeAlias = Literal[
    "name", "phone", "voice", "fax", "email", "unit", "post", "region", "town", "village",
    "group", "tier", "turn", "language", "lowest", "hazards", "quiet", "ignore",
]  # fmt: skip

FIELDS: tuple[Field, ...] = get_args(Field)
"""What a column can hold."""

HEAD = 10
"""Rows among which the headers are looked for: a title often stands above them."""

Columns: TypeAlias = tuple[tuple[str, Field | None], ...]
"""Each header with what it was taken for; None: not known, and not read."""

_LEVELS: Mapping[Level, str] = {
    "blue": "blue 蓝 蓝色 iv 四级 4级 4",
    "yellow": "yellow 黄 黄色 iii 三级 3级 3",
    "orange": "orange 橙 橙色 ii 二级 2级 2",
    "red": "red 红 红色 i 一级 1级 1",
}


class _Book(msgspec.Struct):
    """What headers and the cells of a tier may say."""

    headers: dict[str, Field]
    tiers: dict[str, Tier]


@cache
def _book() -> _Book:
    text = tomllib.loads(files("alerts.people").joinpath("headers.toml").read_text("utf-8"))
    words = msgspec.convert(text.pop("tiers"), dict[Tier, list[str]])
    tiers = {plain(word): tier for tier, names in words.items() for word in (tier, *names)}
    headers: dict[str, Field] = {}
    for field, names in msgspec.convert(text, dict[Field, list[str]]).items():
        for name in names:
            headers.setdefault(header(name), field)
    return _Book(headers, tiers)


def header(text: str) -> str:
    """Give a header as it is compared."""
    name = unicodedata.normalize("NFKC", text)
    return re.sub(r"[(\[【{].*?[)\]】}]|[*:_\-.\s]", "", name).casefold()


def guess(text: str) -> Field | None:
    """Give what a header means: as it is, or by its end, which in Chinese is what it is about."""
    known, name = _book().headers, header(text)
    if name in known:
        return known[name]
    ends = [word for word in known if len(word) > 1 and name.endswith(word) and not word.isascii()]
    return known[max(ends, key=len)] if ends else None


def tier(text: str) -> Tier | None:
    """Give the tier of what is written of somebody; None where that says none."""
    return _book().tiers.get(plain(text))


def level(text: str) -> Level | None:
    """Give the level that a cell names: 橙色, II, orange, 橙色及以上."""
    said = plain(text).removesuffix("及以上").removesuffix("以上")
    return next((level for level, names in _LEVELS.items() if said in names.split()), None)


def columns(table: Sequence[Row], mapping: Mapping[str, Field]) -> tuple[int, Columns]:
    """Give the place of the row of headers, and what each of them means.

    mapping: what a header means here, whatever it would be taken for. Raises TableError where
    there are none, or not one that the mapping names.
    """
    given = {header(name): field for name, field in mapping.items()}
    place, best = 0, Columns()
    for number, row in enumerate(table[:HEAD]):
        found = tuple((cell, given.get(header(cell), guess(cell))) for cell in row.cells)
        if _known(found) > _known(best):
            place, best = number, found
    there = {header(name) for name, _ in best}
    for name in mapping:
        if header(name) not in there:
            raise TableError("no_column", column=name, headers=joined(best))
    if not best:
        raise TableError("no_headers", lines=HEAD)
    return place, _levels_or_tiers(best, table[place + 1 :], given)


def joined(columns: Columns) -> str:
    """Give the headers in a sentence."""
    return "、".join(name for name, _ in columns if name)


def _known(columns: Columns) -> int:
    return sum(field is not None for _, field in columns)


def _levels_or_tiers(columns: Columns, body: Sequence[Row], given: Mapping[str, Field]) -> Columns:
    """Tell the 级别 of a warning from the 级别 of a person by what is written below it."""
    found = list(columns)
    for place, (name, field) in enumerate(columns):
        cells = [row.cells[place] for row in body[:200] if len(row.cells) > place]
        filled = [cell for cell in cells if cell]
        levels = sum(level(cell) is not None for cell in filled)
        if field == "tier" and header(name) not in given and levels * 2 > len(filled):
            found[place] = (name, "lowest")
    return tuple(found)
