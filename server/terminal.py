"""Talking to the person at the terminal, in their language."""

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from alerts.catalogue import Catalogue

BAR = 24
"""Characters of the progress bar."""


def language(chosen: str, environment: Mapping[str, str] = os.environ) -> str:
    """Give ``zh`` or ``en``: as chosen in the settings, or else as the environment says."""
    if chosen:
        return chosen
    names = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    said = next((name for name in names if name), "")
    return "zh" if said.startswith("zh") else "en"


class Terminal:
    """Lines of the catalogue's topic ``command``, and one line that is drawn again and again."""

    def __init__(self, *, language: str, out: TextIO = sys.stderr) -> None:
        """Write to ``out``; progress is redrawn in place only where it is a terminal."""
        self.language = language
        self._catalogue = Catalogue.load()
        self._out = out
        self._drawn = 0
        self._tenth = -1

    def text(self, key: str, **values: object) -> str:
        """Give the sentence of the catalogue."""
        return self._catalogue.text(key, self.language, **values)

    def say(self, key: str, **values: object) -> None:
        """Write a sentence of ``command`` on a line of its own."""
        self._clear()
        self._out.write(self.text(f"command.{key}", **values) + "\n")
        self._out.flush()

    def error(self, key: str, **values: object) -> None:
        """Write what went wrong and what to do, by its full key."""
        self._clear()
        self._out.write(self.text(key, **values) + "\n")
        self._out.flush()

    def write(self, line: str) -> None:
        """Write a line that is in no language, as an address."""
        self._clear()
        self._out.write(f"{line}\n")
        self._out.flush()

    def progress(self, *, step: int, steps: int, **values: object) -> None:
        """Draw how far the replay is; where nobody watches, a line each tenth."""
        filled = BAR * step // max(steps, 1)
        bar = "█" * filled + "·" * (BAR - filled)
        line = self.text("command.progress", bar=bar, step=step, steps=steps, **values)
        if self._out.isatty():
            self._out.write("\r" + line + " " * max(0, self._drawn - len(line)))
            self._drawn = len(line)
        elif (tenth := 10 * step // max(steps, 1)) != self._tenth:
            self._tenth = tenth
            self._out.write(line + "\n")
        self._out.flush()

    def _clear(self) -> None:
        if self._drawn:
            self._out.write("\n")
            self._drawn = 0
