"""Files of criteria as tables: what ships, what one file takes over from another."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from forecast.criteria.errors import CriteriaError, Place
from forecast.criteria.signals import HAZARDS, LEVELS

SHIPPED: Final = ("national", "beijing")
"""Sets that ship with this package; a file may say ``base = "national"``."""

LARGEST: Final = 262_144
"""Characters of a file."""


def shipped(name: str) -> Traversable:
    """Give the file of a set that ships; raises CriteriaError."""
    if name not in SHIPPED:
        problem = f"base: no set {name!r} ships with Fenghuo; known are {', '.join(SHIPPED)}"
        raise CriteriaError(problem, place=Place((), ("base",)))
    return files(__package__).joinpath(f"{name}.toml")


@contextmanager
def named(file: Path | None) -> Iterator[Traversable]:
    """Give the file, or the national one, and name it in the errors."""
    path = file or shipped("national")
    try:
        yield path
    except CriteriaError as error:
        others = error.others
        raise CriteriaError(f"{path}: {error}", place=error.place, others=others) from None


def text(path: Traversable) -> str:
    """Read a file; raises CriteriaError."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CriteriaError(str(error)) from None


def parsed(source: str) -> dict[str, Any]:
    """Give the tables of a text; raises CriteriaError."""
    if len(source) > LARGEST:
        raise CriteriaError(f"the text has more than {LARGEST} characters")
    try:
        return tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CriteriaError(f"not TOML: {error}") from None


def whole(table: Mapping[str, Any]) -> dict[str, Any]:
    """Give a table on the base that it names, if it names one; raises CriteriaError."""
    if "base" not in table:
        return dict(table)
    rest = {key: value for key, value in table.items() if key != "base"}
    base = whole(parsed(text(shipped(str(table["base"])))))
    return laid(base, rest)


def laid(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changes over a table.

    A key of a signal or of a level replaces the same key; any and all replace each other, and
    what is made live needs no reason any more.
    """
    result = dict(base)
    for name, value in changes.items():
        result[name] = _laid(base.get(name), value, inner=LEVELS) if name in HAZARDS else value
    return result


def _laid(base: object, changes: object, *, inner: tuple[str, ...] = ()) -> object:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    kept = dict(base)
    if "any" in changes or "all" in changes:
        kept.pop("any", None)
        kept.pop("all", None)
    if changes.get("live") is True:
        kept.pop("reason_zh", None)
        kept.pop("reason_en", None)
    for name, value in changes.items():
        kept[name] = _laid(base.get(name), value) if name in inner else value
    return kept
