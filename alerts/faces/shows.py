"""What a screen shows, as one value that a page, an LED controller or a TV computer can read.

A show stands for itself: it holds everything that is in force for the screen, and until when each
of it counts, so that a screen that is cut off blanks itself in time.
"""

import datetime as dt
import unicodedata
import uuid
import zoneinfo
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from alerts.catalogue import Catalogue
from alerts.faces.posters import Language, Poster

VERSION: Final = 1
"""Of the form below; what is added to it does not change it."""

INKS: Final = MappingProxyType(
    {"blue": "#ffffff", "yellow": "#1d1800", "orange": "#1d0f00", "red": "#ffffff"}
)
"""Letters that can be read on the colour of a level."""

COLOURS: Final = MappingProxyType(
    {"blue": "#1c69c9", "yellow": "#f2c500", "orange": "#f08a12", "red": "#d6202e"}
)
"""The colours of the levels on what is ours to paint."""

SHAPES: Final = MappingProxyType(
    {"blue": "circle", "yellow": "diamond", "orange": "hexagon", "red": "octagon"}
)
"""A level is told by its shape as well, for those who see no colours."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One warning. lines: short ones, for a matrix of letters; scroll: all of it on one line.

    columns: width of ``scroll`` in half-width cells, a Chinese character having two. expires: from
    then on it must not be shown any more.
    """

    message: uuid.UUID
    warning: uuid.UUID
    act: str
    hazard: str
    level: str
    colour: str
    ink: str
    shape: str
    title: str
    place: str
    guide: str
    lines: tuple[str, ...]
    scroll: str
    columns: int
    since: dt.datetime
    sent: dt.datetime
    onset: dt.datetime
    expires: dt.datetime
    exercise: bool


class Show(msgspec.Struct, frozen=True, kw_only=True):
    """All that a screen shows. until: the last expiry, null with no warnings.

    made: when it was put together; nothing: what to show instead of warnings; mark: stands on
    every picture where all there is is an exercise.
    """

    version: int
    screen: str
    language: str
    made: dt.datetime
    until: dt.datetime | None
    mark: str
    nothing: str
    agency: str
    warnings: tuple[Item, ...]

    @property
    def messages(self) -> frozenset[uuid.UUID]:
        """The messages that a screen shows which shows this."""
        return frozenset(item.message for item in self.warnings)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to make a show: words, the zone that people read, the bureau's name."""

    catalogue: Catalogue
    zone: str
    agency: str
    language: Language

    def word(self, key: str, **values: object) -> str:
        """Give a text of the topic ``screen``."""
        return self.catalogue.text(f"screen.{key}", self.language, **values)

    def title(self, poster: Poster) -> str:
        """Name danger and level, as ``Orange rainstorm warning``."""
        return self.word(
            "title",
            danger=self.catalogue.text(f"warning.danger.{poster.hazard}", self.language),
            level=self.catalogue.text(f"warning.level.{poster.level}.name", self.language),
        )

    def time(self, moment: dt.datetime) -> str:
        """Write a time as people here read it."""
        local = moment.astimezone(zoneinfo.ZoneInfo(self.zone))
        month = self.catalogue.text(f"warning.month.{local.month}", self.language)
        return self.catalogue.text(
            "warning.time.moment",
            self.language,
            month=month,
            day=local.day,
            hour=local.hour,
            minute=local.minute,
        )

    def show(
        self, name: str, posters: Sequence[Poster], *, now: dt.datetime, exercise: bool
    ) -> Show:
        """Give the show of a screen."""
        return Show(
            version=VERSION,
            screen=name,
            language=self.language,
            made=now,
            until=max((poster.expires for poster in posters), default=None),
            mark=self.word("exercise") if exercise else "",
            nothing=self.word("nothing"),
            agency=self.agency,
            warnings=tuple(self._item(poster) for poster in posters),
        )

    def _item(self, poster: Poster) -> Item:
        text, title = poster.text(self.language), self.title(poster)
        place = poster.place(self.language)
        mark = self.word("exercise") if poster.exercise else ""
        lines = (
            title,
            place,
            self.word("since", time=self.time(poster.since)),
            self.word("until", time=self.time(poster.expires)),
        )
        scrolled = self.word(
            "scroll",
            description=text.description,
            instruction=text.instruction,
            until=self.time(poster.expires),
        )
        scroll = " ".join(scrolled.split())  # one line, whatever somebody has written
        return Item(
            message=poster.message,
            warning=poster.warning,
            act=poster.act,
            hazard=poster.hazard,
            level=poster.level,
            colour=COLOURS[poster.level],
            ink=INKS[poster.level],
            shape=SHAPES[poster.level],
            title=title,
            place=place,
            guide=text.instruction,
            lines=(mark, *lines) if mark else lines,
            scroll=scroll,
            columns=columns(scroll),
            since=poster.since,
            sent=poster.sent,
            onset=poster.onset,
            expires=poster.expires,
            exercise=poster.exercise,
        )


def columns(text: str) -> int:
    """Give the width of a text in half-width cells, as UAX 11 counts them."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
