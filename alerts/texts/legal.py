"""The bureau's own words: single texts in the place of those that ship with Fenghuo.

A folder with files ``topic.language.toml`` that hold only what is different. What a law prescribes,
the guides above all, goes there: ``[guide.rainstorm]`` with ``red = "…"`` in ``legal.zh.toml``.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path

from alerts.catalogue import Catalogue, CatalogueError, flat, read
from alerts.codes import CODES
from alerts.life.evidence import LEVELS

KEPT = frozenset({"mark", "ack"})
"""Fields that no text may lose: what marks an exercise, and the link to acknowledge."""

GUIDES = frozenset(f"legal.guide.{hazard}.{level}" for hazard in CODES for level in LEVELS)
"""Texts that nothing ships for: a guide for one danger and level."""


def words(folder: str) -> Catalogue:
    """Give the shipped words with those of a folder over them; without a folder, as they are.

    Raises CatalogueError, which names every mistake: an unknown topic or key, a field that the
    text is not given, a mark that is lost, a language that is not complete.
    """
    shipped = Catalogue.load()
    if not folder:
        return shipped
    path = Path(folder)
    if not path.is_dir():
        raise CatalogueError(f"alerts.words: {folder} is no folder")
    own = read(path)
    found = shipped.overlaid(own)
    mistakes = [
        mistake
        for language, topics in own.items()
        if topics
        for mistake in _mistakes(dict(flat(topics, "")), language, shipped, found)
    ]
    if mistakes:
        raise CatalogueError(f"alerts.words, {folder}: " + "; ".join(mistakes))
    return found


def _mistakes(
    texts: dict[str, str], language: str, shipped: Catalogue, found: Catalogue
) -> Iterator[str]:
    # A language that does not ship is measured by the first that does.
    model = language if language in shipped.languages else shipped.languages[0]
    given, needed = found.fields(language), shipped.fields(model)
    for key in texts:
        name = f"{key} in {language}"
        if key not in needed:
            if key not in GUIDES:
                near = difflib.get_close_matches(key, needed, 1)
                yield f"{name}: there is no such text" + (f", is it {near[0]}?" if near else "")
            continue
        wrong = sorted(given[key] - needed[key])
        if wrong:
            allowed = ", ".join(sorted(needed[key])) or "none"
            yield f"{name}: it has no field {', '.join(wrong)}; it has: {allowed}"
        lost = sorted((needed[key] - given[key]) & KEPT)
        if lost:
            yield f"{name}: {{{', '.join(lost)}}} must stay in it"
    missing = sorted(needed.keys() - given.keys())
    if missing:
        yield f"{language} lacks {len(missing)} texts, {missing[0]} among them"
