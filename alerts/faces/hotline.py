"""What the warning line says and asks; every step is a value, so that it can be tried in a test.

The caller chooses a language, then all warnings or those of a district, hears them, and can hear
them again or go back. Lists are told in pages that end; whoever says nothing is asked twice more.
"""

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Mapping, Sequence

import msgspec

from alerts.catalogue import Catalogue
from alerts.faces.posters import Place, Poster

PLACES = 7
"""Districts on a page: the keys 1 to 7."""

WARNINGS = 4
"""Warnings on a page: about two minutes."""

TRIES = 3
"""Times that a question is asked."""

EARLIER, LATER, BACK, AGAIN = "8", "9", "0", "*"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is said, and where a key leads.

    lines: (language, sentence). keys: where each of them leads, path and parameters below that of
    the line; here: where this step itself is.
    """

    lines: tuple[tuple[str, str], ...]
    keys: Mapping[str, str]
    here: str = ""


class Hotline:
    """The steps, in the words of a catalogue.

    agencies: the bureau's name in each language; exercise: whether everything is one, and said so.
    """

    def __init__(
        self, *, words: Catalogue, agencies: Mapping[str, str], zone: str, exercise: bool
    ) -> None:
        self._words = words
        self._agencies = agencies
        self._zone = zoneinfo.ZoneInfo(zone)
        self._exercise = exercise

    def say(self, name: str, language: str, **values: object) -> tuple[str, str]:
        """Give a sentence with its language."""
        return language, self._words.text(f"channel.hotline.{name}", language, **values)

    def welcome(self) -> Step:
        """Greet in the first language, and let the caller choose."""
        languages = list(self._agencies)
        first = languages[0]
        lines = [self.say("welcome", first, agency=self._agencies[first])]
        if self._exercise:
            lines += [self.say("exercise", language) for language in languages]
        lines += [self.say("language", language) for language in languages]
        keys = {str(place): f"/menu?lang={name}" for place, name in enumerate(languages, start=1)}
        return Step(lines=tuple(lines), keys=keys)

    def menu(self, language: str) -> Step:
        """Ask what the caller wants to hear."""
        query = f"lang={language}"
        return Step(
            lines=(self.say("menu", language),),
            keys={"1": f"/all?{query}", "2": f"/regions?{query}", "9": ""},
            here=f"/menu?{query}",
        )

    def regions(self, language: str, places: Sequence[Place], page: int) -> Step:
        """Read out a page of the districts."""
        pages = max(1, -(-len(places) // PLACES))
        page = min(max(page, 1), pages)
        shown = places[(page - 1) * PLACES : page * PLACES]
        lines, query = [], f"lang={language}"
        if pages > 1:
            lines.append(self.say("regions", language, page=page, pages=pages))
        keys = {BACK: f"/menu?{query}"}
        for key, place in enumerate(shown, start=1):
            lines.append(self.say("region", language, region=place.name(language), digit=key))
            number = (page - 1) * PLACES + key
            keys[str(key)] = f"/region?{query}&number={number}"
        here = f"/regions?{query}&page={page}"
        self._turn(language, lines, keys, page, pages, path=f"/regions?{query}")
        return Step(lines=(*lines, self.say("back", language)), keys=keys, here=here)

    def region(
        self,
        language: str,
        place: Place,
        number: int,
        posters: Sequence[Poster],
        spoken: Mapping[uuid.UUID, str],
    ) -> Step:
        """Read out what is in force for a district."""
        page = (number - 1) // PLACES + 1
        lines = [self._said(poster, language, spoken) for poster in posters]
        if not lines:
            lines = [[self.say("none_here", language, region=place.name(language))]]
        here = f"/region?lang={language}&number={number}"
        return Step(
            lines=(
                *(line for part in lines for line in part),
                self.say("repeat", language),
                self.say("back", language),
            ),
            keys={AGAIN: here, BACK: f"/regions?lang={language}&page={page}"},
            here=here,
        )

    def all(
        self,
        language: str,
        posters: Sequence[Poster],
        spoken: Mapping[uuid.UUID, str],
        page: int,
    ) -> Step:
        """Read out a page of everything that is in force, the gravest first."""
        pages = max(1, -(-len(posters) // WARNINGS))
        page = min(max(page, 1), pages)
        query = f"lang={language}"
        lines = []
        if not posters:
            lines.append(self.say("none", language))
        elif page == 1:
            lines.append(self.say("count", language, number=len(posters)))
        if pages > 1:
            lines.append(self.say("part", language, page=page, pages=pages))
        for poster in posters[(page - 1) * WARNINGS : page * WARNINGS]:
            lines += self._said(poster, language, spoken)
        here = f"/all?{query}&page={page}"
        keys = {AGAIN: here, BACK: f"/menu?{query}"}
        self._turn(language, lines, keys, page, pages, path=f"/all?{query}")
        lines += [self.say("repeat", language), self.say("back", language)]
        return Step(lines=tuple(lines), keys=keys, here=here)

    def _turn(
        self,
        language: str,
        lines: list[tuple[str, str]],
        keys: dict[str, str],
        page: int,
        pages: int,
        *,
        path: str,
    ) -> None:
        """Offer the page before and the one after, where there is one."""
        for there, key, name, other in (
            (page > 1, EARLIER, "earlier", page - 1),
            (page < pages, LATER, "later", page + 1),
        ):
            if there:
                lines.append(self.say(name, language))
                keys[key] = f"{path}&page={other}"

    def _said(
        self, poster: Poster, language: str, spoken: Mapping[uuid.UUID, str]
    ) -> list[tuple[str, str]]:
        text = spoken.get(poster.message) or poster.text(language).description
        until = self.say("until", language, time=self._heard(poster.expires, language))
        return [(language, text), until]

    def _heard(self, moment: dt.datetime, language: str) -> str:
        """Write a time for the ear."""
        local = moment.astimezone(self._zone)
        form = "moment" if local.minute else "moment_hour"
        month = self._words.text(f"warning.ear.month.{local.month}", language)
        return self._words.text(
            f"warning.ear.time.{form}",
            language,
            month=month,
            day=local.day,
            hour=local.hour,
            minute=local.minute,
        )
