"""Where a value stands in a JSON message: names and numbers, one below the other."""

from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

Path: TypeAlias = Annotated[str, Meta(min_length=1)] | tuple[str | int, ...]
"""As it is written: with dots between, or one by one where a name has a dot in it."""

Steps: TypeAlias = tuple[str | int, ...]

NOTHING: Final = object()


def steps(path: Path) -> Steps:
    """Give the steps of a path."""
    if isinstance(path, tuple):
        return path
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))


def at(message: object, path: Steps) -> object:
    """Give what stands at a path; `NOTHING` where there is nothing."""
    for step in path:
        if isinstance(message, dict):
            message = message.get(str(step), NOTHING)
        elif isinstance(message, list) and isinstance(step, int) and step < len(message):
            message = message[step]
        else:
            return NOTHING
    return message


def text(path: Iterable[str | int]) -> str:
    """Give a path as it is read in a sentence."""
    return ".".join(map(str, path)) or "the top"
