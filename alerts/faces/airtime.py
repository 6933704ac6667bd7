"""What radio and television read out and crawl, made of the warnings in force."""

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from lxml import etree

from alerts.faces.posters import Poster
from alerts.faces.shows import Stage

SSML: Final = "http://www.w3.org/2001/10/synthesis"
_XML: Final = "http://www.w3.org/XML/1998/namespace"

PAUSE: Final = "700ms"
"""Between two warnings."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a TV crawl; priority 1 is the gravest. expires: then it leaves the picture."""

    message: uuid.UUID
    warning: uuid.UUID
    level: str
    priority: int
    place: str
    text: str
    expires: dt.datetime
    exercise: bool


class Airtime:
    """What is said of the warnings in force, in one language.

    spoken: by message, the words that were written for the ear; for a message without, the
    published description is read out.
    """

    def __init__(
        self,
        stage: Stage,
        posters: Sequence[Poster],
        *,
        spoken: Mapping[uuid.UUID, str],
        exercise: bool,
    ) -> None:
        self._stage = stage
        self._posters = posters
        self._spoken = spoken
        self._exercise = exercise

    def crawl(self) -> list[Line]:
        """Give a line for each warning, the gravest first."""
        order = ("red", "orange", "yellow", "blue")
        return [
            Line(
                message=poster.message,
                warning=poster.warning,
                level=poster.level,
                priority=order.index(poster.level) + 1,
                place=poster.place(self._stage.language),
                text=self._line(poster),
                expires=poster.expires,
                exercise=poster.exercise,
            )
            for poster in self._posters
        ]

    def script(self) -> str:
        """Give what is read out, a paragraph for each warning."""
        return (
            "\n\n".join(
                " ".join(part for part in paragraph if part) for paragraph in self._paragraphs()
            )
            + "\n"
        )

    def ssml(self) -> bytes:
        """Give the same for a machine that reads it: SSML 1.1 (W3C)."""
        code = "zh-CN" if self._stage.language == "zh" else "en-US"
        speak: Any = etree.fromstring(f'<speak xmlns="{SSML}" version="1.1"/>')
        speak.set(f"{{{_XML}}}lang", code)
        for number, paragraph in enumerate(self._paragraphs()):
            if number:
                etree.SubElement(speak, f"{{{SSML}}}break", time=PAUSE)
            self._paragraph(speak, paragraph)
        return etree.tostring(speak, encoding="utf-8", xml_declaration=True, pretty_print=True)

    def _paragraph(self, speak: Any, sentences: Sequence[str]) -> None:
        paragraph = etree.SubElement(speak, f"{{{SSML}}}p")
        for sentence in sentences:
            # A little slower than a machine would: it is heard once.
            spoken = etree.SubElement(paragraph, f"{{{SSML}}}s")
            etree.SubElement(spoken, f"{{{SSML}}}prosody", rate="90%").text = sentence

    def _paragraphs(self) -> list[list[str]]:
        agency = self._stage.agency
        mark = [self._stage.word("air.exercise")] if self._exercise else []
        if not self._posters:
            return [[*mark, self._stage.word("air.none", agency=agency)]]
        return [
            [*mark, self._stage.word("air.opening", agency=agency)],
            *(self._said(poster) for poster in self._posters),
            [self._stage.word("air.closing", agency=agency), *mark],
        ]

    def _said(self, poster: Poster) -> list[str]:
        text = poster.text(self._stage.language)
        spoken = self._spoken.get(poster.message)
        said = [" ".join((spoken or text.description).split())]
        if text.instruction and text.instruction not in said[0]:
            said.append(self._stage.word("air.advice", text=text.instruction))
        said.append(self._stage.word("air.validity", time=self._heard(poster.expires)))
        return said

    def _line(self, poster: Poster) -> str:
        text = poster.text(self._stage.language)
        mark = self._stage.word("exercise") if poster.exercise else ""
        title = self._stage.title(poster)
        line = self._stage.word(
            "air.crawl",
            title=f"{mark} {title}".strip(),
            description=text.description,
            instruction=text.instruction,
            until=self._stage.time(poster.expires),
        )
        # One line each, whatever somebody has written.
        return " ".join(line.split())

    def _heard(self, moment: dt.datetime) -> str:
        """Write a time for the ear."""
        local = moment.astimezone(zoneinfo.ZoneInfo(self._stage.zone))
        catalogue, language = self._stage.catalogue, self._stage.language
        return catalogue.text(
            "warning.ear.time.moment" if local.minute else "warning.ear.time.moment_hour",
            language,
            month=catalogue.text(f"warning.ear.month.{local.month}", language),
            day=local.day,
            hour=local.hour,
            minute=local.minute,
        )
