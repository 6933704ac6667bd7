"""Every word that people read, in each language, from the files in ``words/``.

``words/{topic}.{language}.toml`` holds one topic in one language; ``warning.level.red.name`` is
``name`` in the table ``level.red`` of the topic ``warning``. A new language is a new set of files.
"""

import string
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

LANGUAGES = ("zh", "en")


class CatalogueError(LookupError):
    """A text is missing, or a value that it needs; the message names the key."""


class Catalogue:
    """The texts of all topics in all languages; read once, never changed."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]]) -> None:
        """Take one tree of tables per language, keyed by topic."""
        self._tables = tables
        self._texts = {language: dict(flat(tree, "")) for language, tree in tables.items()}

    @classmethod
    def load(cls, folder: Traversable | None = None) -> "Catalogue":
        """Read a folder of words; the one that ships with Fenghuo when none is given.

        Raises CatalogueError for a file that is not TOML or not named topic.language.toml.
        """
        return _shipped() if folder is None else cls(read(folder))

    def overlaid(self, tables: Mapping[str, Mapping[str, Any]]) -> "Catalogue":
        """Give the texts with others in the place of single ones; trees as from `read`."""
        return Catalogue(_merged(self._tables, tables))

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that there are files for."""
        return tuple(self._tables)

    def text(self, key: str, language: str, **values: object) -> str:
        """Give a text with its fields filled in.

        Raises CatalogueError where the key, the language or a value is missing.
        """
        try:
            template = self._texts[language][key]
        except KeyError:
            raise CatalogueError(f"no text {key!r} in {language!r}") from None
        try:
            return template.format(**values)
        except (KeyError, IndexError, ValueError) as error:
            raise CatalogueError(f"{key!r} in {language!r}: {error!r}") from None

    def has(self, key: str, language: str) -> bool:
        """Say whether there is such a text."""
        return key in self._texts.get(language, {})

    def table(self, language: str) -> Mapping[str, Any]:
        """Give the whole tree of a language, keyed by topic; raises CatalogueError."""
        try:
            return self._tables[language]
        except KeyError:
            raise CatalogueError(f"no words in {language!r}") from None

    def fields(self, language: str) -> dict[str, frozenset[str]]:
        """Give, for each key, the names of the values that its text needs.

        Raises CatalogueError for a text that is no template.
        """
        return {key: _fields(key, text) for key, text in self._texts[language].items()}


def _fields(key: str, text: str) -> frozenset[str]:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise CatalogueError(f"{key}: {error}") from None
    return frozenset(name for _, name, _, _ in parts if name is not None)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name, {})
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        merged[name] = _merged(under, value) if both else value
    return merged


def flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Give each text of a tree with its key; raises CatalogueError for what is no text."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from flat(value, f"{key}.")
        elif isinstance(value, str):
            yield key, value
        else:
            raise CatalogueError(f"{key}: a text is a string, not {type(value).__name__}")


def read(folder: Traversable) -> dict[str, dict[str, Any]]:
    """Read the files of a folder: by language and topic; raises CatalogueError."""
    tables: dict[str, dict[str, Any]] = {language: {} for language in LANGUAGES}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".toml"):
            continue
        topic, _, language = file.name.removesuffix(".toml").partition(".")
        if not topic or not language:
            raise CatalogueError(f"{file.name}: name it topic.language.toml")
        try:
            tables.setdefault(language, {})[topic] = tomllib.loads(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CatalogueError(f"{file.name}: {error}") from None
    return tables


@cache
def _shipped() -> Catalogue:
    return Catalogue(read(files(__package__).joinpath("words")))
