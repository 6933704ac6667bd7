"""The vocabulary of elements, read from ``elements.toml`` beside this file."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

Aggregate: TypeAlias = Literal["mean", "sum", "max", "min", "last", "vector"]


class Element(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is fixed about one element; ``elements.toml`` explains each field."""

    name: str
    id: int
    unit: str
    ucum: str
    zh: str
    en: str
    gross: tuple[float, float]
    aggregate: Aggregate
    cf: bool = True
    speed: str | None = None
    wide: bool = False


def _load() -> Mapping[str, Element]:
    table = tomllib.loads(files(__package__).joinpath("elements.toml").read_text("utf-8"))
    return MappingProxyType(
        {name: msgspec.convert({"name": name, **row}, Element) for name, row in table.items()}
    )


ELEMENTS: Mapping[str, Element] = _load()
"""Every element by name, in the order of the file."""

WIDE: tuple[str, ...] = tuple(name for name, element in ELEMENTS.items() if element.wide)
"""Names of the elements that have a column of their own in the store, in column order."""

BY_ID: Mapping[int, Element] = MappingProxyType(
    {element.id: element for element in ELEMENTS.values()}
)
