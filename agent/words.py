"""What the agent says to people, in Chinese and English: ``words.zh.toml``, ``words.en.toml``."""

import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, TypeAlias

Language: TypeAlias = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

_VARIABLES = ("FENGHUO_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def language(environment: Mapping[str, str] = os.environ) -> Language:
    """Give the language that the environment asks for; English where it asks for none of ours."""
    for name in _VARIABLES:
        wanted = environment.get(name, "")
        if wanted:
            return "zh" if wanted.lower().startswith("zh") else "en"
    return "en"


class Words:
    """The texts of one language, by keys with points: ``doctor.clock.failed``."""

    def __init__(self, language: Language) -> None:
        """Read the texts."""
        text = files(__package__).joinpath(f"words.{language}.toml").read_text("utf-8")
        self.texts: Mapping[str, str] = dict(_flat(tomllib.loads(text)))

    def __call__(self, key: str, **values: object) -> str:
        """Give a text with its fields filled in. Raises KeyError."""
        return self.texts[key].format(**values)


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, str(value)))
    return found
