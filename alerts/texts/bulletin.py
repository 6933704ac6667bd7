"""The bulletin: what fax and e-mail say, as a sheet of words, a text to read, and a PDF.

The PDF is made for a fax machine: black on white, the level told by shape and word as well as by
colour, every glyph in the file.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import shapely
from shapely.geometry import shape

from alerts.catalogue import Catalogue
from alerts.life.warning import CLOSED
from alerts.texts import typeface
from alerts.texts.wording import ACK, Said

Ring: TypeAlias = tuple[tuple[float, float], ...]

SEPARATOR = "\n-- \n"
"""Between the text for people and the same as data, in what is kept of a bulletin."""

POINTS = 400
"""Corners of an area at most; a map of six centimetres shows no more."""

STEPS = 7
"""Times that an outline is made coarser by half, from a 500th of its size on."""

MOST = 100
"""Rings of an area at most, the longest."""

KEPT = 16
"""PDFs that are kept: the same sheet goes to many."""


class BulletinError(Exception):
    """This is no bulletin."""


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that stands in a bulletin, in one language.

    sign: the roman number of the level; word: its name. mark: set large across an exercise,
    mark_line: says the same in a sentence. facts: (label, value); texts: (heading, text).
    area: outer rings (longitude, latitude) of the places.
    """

    language: str
    level: str
    sign: str
    word: str
    colour: str
    kind: str
    agency: str
    title: str
    facts: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    mark: str = ""
    mark_line: str = ""
    area: tuple[Ring, ...] = ()
    ends: bool = False

    @classmethod
    def of(cls, said: Said) -> "Sheet":
        """Give the sheet of what is said."""
        words, language = Catalogue.load(), said.language

        def text(key: str, **values: object) -> str:
            return words.text(f"channel.bulletin.{key}", language, **values)

        level = {
            name: words.text(f"warning.level.{said.level}.{name}", language)
            for name in ("name", "grade", "class")
        }
        grade = text(
            "grade", level=level["name"], grade=level["grade"], **{"class": level["class"]}
        )
        number = text("number_value", warning=str(said.warning)[:8], number=said.number)
        facts = [
            (text("region"), said.region),
            (text("level"), grade),
            (text("sent"), said.sent_text),
        ]
        if not said.ends:
            facts += [(text("onset"), said.onset_text), (text("expires"), said.expires_text)]
        facts.append((text("number"), number))
        # Where a telephone is asked to confirm, paper is too.
        confirm = text("confirm", ack=ACK) if ACK in said.sms.body else ""
        link = text("link", link=said.link) if said.link else ""
        closed = "_closed" if said.act in CLOSED else ""
        kind = f"kind{closed or ('_end' if said.ends else '')}"
        return cls(
            language=language,
            level=said.level,
            sign=level["grade"],
            word=level["name"],
            colour=said.colour,
            kind=text(kind),
            agency=said.agency,
            title=said.headline,
            facts=tuple(facts),
            texts=(
                (text(f"content{closed}"), said.description),
                (text(f"guide{closed}"), said.instruction),
            ),
            notes=tuple(line for line in (confirm, link, said.note) if line),
            mark=text("exercise") if said.exercise else "",
            mark_line=text("exercise_line") if said.exercise else "",
            area=outline(said.boundaries),
            ends=said.ends,
        )

    def text(self) -> str:
        """Give it as plain text."""
        lines = [self.mark_line] if self.mark_line else []
        lines += [f"{self.agency} · {self.kind}", self.title, ""]
        colon = "：" if self.language == "zh" else ": "
        lines += [f"{name}{colon}{value}" for name, value in self.facts]
        for heading, text in self.texts:
            lines += ["", heading, text]
        if self.notes:
            lines += ["", *self.notes]
        return "\n".join(lines)


def join(sheet: Sheet) -> str:
    """Give what is kept of a bulletin: its text, a separator, and the sheet as JSON."""
    return sheet.text() + SEPARATOR + msgspec.json.encode(sheet).decode()


def divide(body: str) -> tuple[str, Sheet]:
    """Give the text and the sheet of what was joined; raises BulletinError."""
    text, _, data = body.rpartition(SEPARATOR)
    try:
        return text, msgspec.json.decode(data, type=Sheet)
    except msgspec.DecodeError as error:
        raise BulletinError(f"not a bulletin: {error}") from None


def readable(body: str) -> str:
    """Give the part for people of what is kept; all of it where it is no bulletin."""
    try:
        return divide(body)[0]
    except BulletinError:
        return body


def outline(boundaries: Sequence[Any]) -> tuple[Ring, ...]:
    """Give the outer rings of GeoJSON geometries together, with few enough corners to draw."""
    parts = [part for boundary in boundaries for part in shapely.get_parts(shape(boundary))]
    # As lines: what is only drawn need not be valid, and finding out takes longer than drawing.
    rings = [shapely.LineString(part.exterior.coords) for part in parts if not part.is_empty]
    if not rings:
        return ()
    west, south, east, north = shapely.total_bounds(rings)
    size = max(east - west, north - south)
    for step in range(STEPS):
        simple = [ring.simplify(size * 2.0**step / 500, preserve_topology=False) for ring in rings]
        if shapely.get_num_coordinates(simple).sum() <= POINTS:
            break
    large = sorted(simple, key=lambda ring: -ring.length)[:MOST]
    return tuple(tuple((round(x, 4), round(y, 4)) for x, y in ring.coords) for ring in large)


class Press:
    """Prints sheets; the same sheet once for all who get it.

    font: TrueType or OpenType file; empty: the best that is installed.
    """

    def __init__(self, font: str = "", *, words: Catalogue | None = None) -> None:
        self.font = typeface.find(font)
        self._words = words or Catalogue.load()
        self._kept: OrderedDict[Sheet, bytes] = OrderedDict()
        self._lock = asyncio.Lock()

    async def print(self, sheet: Sheet) -> bytes:
        """Give the PDF; raises typeface.TypefaceError where the font cannot be used."""
        from alerts.texts import page  # noqa: PLC0415 - half a second of imports, for who prints

        async with self._lock:
            if sheet not in self._kept:
                self._kept[sheet] = await asyncio.to_thread(
                    page.typeset, sheet, self.font, self._words
                )
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return self._kept[sheet]

    async def complaint(self) -> str:
        """Say what is wrong with the font; empty: nothing."""
        if self.font is None:
            return (
                "no Chinese font is installed: name one in fax.font, or gateways guess the glyphs"
            )
        from alerts.texts import outlines  # noqa: PLC0415 - as above

        try:
            lacking = await asyncio.to_thread(outlines.lacks, self.font, typeface.PROBE)
        except typeface.TypefaceError as error:
            return str(error)
        return f"{self.font} has no {lacking}" if lacking else ""
