"""What is wrong with a file of criteria, and where."""

import re
from dataclasses import dataclass
from typing import Final

_QUOTED: Final = re.compile(r"['`\"]\$?\.?([\w.\[\]]+)['`\"]")
_WORD: Final = re.compile(r"\w+")
_HEADING: Final = re.compile(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]\]?\s*(?:#.*)?$")
_INNER: Final = ("any", "all", "continues")
_TOML: Final = re.compile(r"at line (\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file: its tables, and words that name it there.

    override: number of the ``[[override]]``, from 1; 0: outside of them.
    """

    tables: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    override: int = 0

    def __str__(self) -> str:
        name = ".".join(self.tables)
        if self.override:
            name = f"override {self.override}" + (f": {name}" if name else "")
        return " ".join([f"[{name}]" if name else "at the top of the file", *self.words])

    def table(self, name: str) -> "Place":
        """Give the place of a table inside."""
        return Place((*self.tables, name), (), self.override)

    def at(self, *words: str) -> "Place":
        """Give the place of something inside that these words name."""
        return Place(self.tables, (*self.words, *words), self.override)


class CriteriaError(ValueError):
    """The file cannot be used; the text says where and what to do.

    place: of the first mistake; others: the further mistakes.
    """

    def __init__(
        self, text: str, *, place: Place | None = None, others: tuple["CriteriaError", ...] = ()
    ) -> None:
        super().__init__(text)
        self.place = place
        self.others = others

    @property
    def every(self) -> tuple["CriteriaError", ...]:
        """All mistakes that were found, in the order of the file."""
        return (self, *self.others)

    @classmethod
    def joined(cls, found: list["CriteriaError"]) -> "CriteriaError":
        """Make one of several."""
        return cls(str(found[0]), place=found[0].place, others=tuple(found[1:]))

    def line(self, text: str) -> int | None:
        """Find the line (from 1) of the mistake in the text of the file; None: it is not there."""
        if self.place is None:
            found = _TOML.search(str(self))
            return int(found[1]) if found else None
        sections = [
            lines
            for override, tables, lines in _sections(text)
            if override == self.place.override and tables == self.place.tables
        ]
        if not sections:
            return None
        wanted = {*self.place.words, *(w for q in _QUOTED.findall(str(self)) for w in q.split("."))}
        lines = [pair for section in sections for pair in section]
        # The line that names most of it; the heading where none names anything.
        return max(lines, key=lambda pair: len(wanted & set(_WORD.findall(pair[1]))))[0]


def _sections(text: str) -> list[tuple[int, tuple[str, ...], list[tuple[int, str]]]]:
    """Cut a text at its headings: number of the override, names of the tables, numbered lines."""
    override = 0
    found: list[tuple[int, tuple[str, ...], list[tuple[int, str]]]] = [(0, (), [])]
    for number, line in enumerate(text.splitlines(), start=1):
        heading = _HEADING.fullmatch(line)
        if heading:
            first, *names = (part.strip(" \"'") for part in heading[2].split("."))
            while names and names[-1] in _INNER:
                names.pop()
            if first == "override":
                override += heading[1] == "[[" and not heading[2].partition(".")[1]
                found.append((override, tuple(names), []))
            else:
                found.append((0, (first, *names), []))
        found[-1][2].append((number, line))
    return [section for section in found if section[2]]
