"""A bulletin on paper: A4, as a fax machine can print it."""

import hashlib
import io
import math
import threading
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor, black, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from alerts.catalogue import Catalogue
from alerts.regions import KM_PER_DEGREE
from alerts.texts import outlines
from alerts.texts.bulletin import Sheet
from alerts.texts.typeface import TypefaceError

GUESSED = "STSong-Light"
"""A font that readers are expected to have: the last resort, for it is not in the file."""

MAP = 62 * mm
WIDTH = A4[0] - 40 * mm

PADDING = 6
"""Points that the frame of a page keeps inside its margins."""

TOPICS = ("warning", "legal", "channel")
"""Words that sheets are made of."""

_GREY = Color(0.55, 0.55, 0.55)
_SIDES = {"blue": 0, "yellow": 4, "orange": 6, "red": 8}
"""Corners of the level's sign; 0: a circle."""

_writing = threading.Lock()
_cuts: dict[Path, tuple[str, frozenset[str]]] = {}


def typeset(sheet: Sheet, font: Path | None, words: Catalogue) -> bytes:
    """Give the PDF; raises TypefaceError."""
    # The writer lets nobody else use a font meanwhile: one sheet at a time.
    with _writing:
        name = _register(sheet, font, words)
        total = _build(sheet, name, words, total=0)[1]
        return _build(sheet, name, words, total=total)[0]


def _register(sheet: Sheet, font: Path | None, words: Catalogue) -> str:
    """Give the name by which the PDF writer knows a font with all that the sheet needs.

    The writer keeps every font for good. So one is cut with all letters of the catalogue, which
    nearly all sheets do with, and a wider one only when a sheet has a letter beyond.
    """
    if font is None:
        pdfmetrics.registerFont(UnicodeCIDFont(GUESSED))
        return GUESSED
    needed = frozenset(sheet.text() + sheet.mark + sheet.sign + sheet.word)
    name, letters = _cuts.get(font, ("", frozenset()))
    if name and needed <= letters:
        return name
    letters |= needed | set(map(chr, range(32, 127))) | {"…", "□"}
    for language in words.languages:
        for topic in TOPICS:
            letters |= _letters(words.table(language).get(topic, {}))
    chosen = "".join(sorted(letters))
    name = f"bulletin-{hashlib.sha256(f'{font} {chosen}'.encode()).hexdigest()[:16]}"
    try:
        data = outlines.cut(font, chosen, name=name)
        pdfmetrics.registerFont(TTFont(name, io.BytesIO(data)))
    except TTFError as error:
        raise TypefaceError(f"{font}: {error}") from None
    _cuts[font] = (name, letters)
    return name


def _letters(tree: Any) -> frozenset[str]:
    if isinstance(tree, str):
        return frozenset(tree)
    return frozenset[str]().union(*(_letters(part) for part in tree.values()))


def _build(sheet: Sheet, font: str, words: Catalogue, *, total: int) -> tuple[bytes, int]:
    """Give the PDF and its number of pages; total: that number, as the foot tells it."""

    def foot(canvas: Canvas, document: Any) -> None:
        page = words.text("channel.bulletin.page", sheet.language, page=document.page, pages=total)
        canvas.saveState()
        canvas.setFont(font, 9)
        canvas.line(20 * mm, 17 * mm, A4[0] - 20 * mm, 17 * mm)
        canvas.drawString(20 * mm, 12 * mm, f"{sheet.agency}  {sheet.facts[-1][1]}")
        canvas.drawRightString(A4[0] - 20 * mm, 12 * mm, page)
        canvas.restoreState()
        if sheet.mark:
            _mark(canvas, sheet, font)

    data = io.BytesIO()
    document = SimpleDocTemplate(
        data,
        pagesize=A4,
        leftMargin=20 * mm - PADDING,
        rightMargin=20 * mm - PADDING,
        topMargin=18 * mm,
        bottomMargin=22 * mm,
        title=sheet.title,
        author=sheet.agency,
        lang="zh-CN" if sheet.language == "zh" else sheet.language,
        invariant=1,
    )
    document.build(list(_story(sheet, font, words)), onFirstPage=foot, onLaterPages=foot)
    return data.getvalue(), document.page


def _story(sheet: Sheet, font: str, words: Catalogue) -> list[Flowable]:
    wrap = {"wordWrap": "CJK"} if sheet.language == "zh" else {}
    plain = ParagraphStyle("plain", fontName=font, fontSize=12, leading=18, **wrap)
    small = ParagraphStyle("small", parent=plain, fontSize=10.5, leading=15)
    head = ParagraphStyle(
        "head", parent=plain, fontSize=14, leading=20, spaceBefore=10, spaceAfter=2
    )
    story: list[Flowable] = []
    if sheet.mark_line:
        warned = ParagraphStyle("mark", parent=head, alignment=1, borderWidth=2, borderPadding=6)
        warned.borderColor = black
        story += [Paragraph(escape(sheet.mark_line), warned), Spacer(0, 10)]
    story += [_Head(sheet, font), Spacer(0, 6), _Title(sheet, font, wrap), Spacer(0, 8)]
    rows = [
        [Paragraph(escape(name), small), Paragraph(escape(value), small)]
        for name, value in sheet.facts
    ]
    side = MAP + 6 * mm if sheet.area else 0
    facts = Table(rows, colWidths=[24 * mm, WIDTH - side - 24 * mm])
    facts.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.5, black),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ]
        )
    )
    if sheet.area:
        beside = Table([[facts, _Map(sheet, font, words)]], colWidths=[WIDTH - side, side])
        beside.setStyle(
            TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LEFTPADDING", (0, 0), (0, 0), 0),
                    ("RIGHTPADDING", (1, 0), (1, 0), 0),
                ]
            )
        )
        story.append(beside)
    else:
        story.append(facts)
    for heading, text in sheet.texts:
        story += [Paragraph(escape(heading), head), Paragraph(_lines(text), plain)]
    if sheet.notes:
        story.append(Spacer(0, 12))
        story += [Paragraph(_lines(line), small) for line in sheet.notes]
    return story


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br/>")


def _mark(canvas: Canvas, sheet: Sheet, font: str) -> None:
    """Set the mark large across the page, in outline, so that the text stays readable."""
    canvas.saveState()
    canvas.translate(A4[0] / 2, A4[1] / 2)
    canvas.rotate(45)
    canvas.setStrokeColor(_GREY)
    canvas.setLineWidth(1.5)
    size = min(180.0, 180.0 * 620 / max(pdfmetrics.stringWidth(sheet.mark, font, 180), 1))
    text = canvas.beginText()
    text.setFont(font, size)
    text.setTextRenderMode(1)
    text.setTextOrigin(-pdfmetrics.stringWidth(sheet.mark, font, size) / 2, -size / 3)
    text.textOut(sheet.mark)
    canvas.drawText(text)
    canvas.restoreState()


class _Head(Flowable):
    """Who speaks, over a double line."""

    def __init__(self, sheet: Sheet, font: str) -> None:
        super().__init__()
        self._sheet, self._font = sheet, font
        self.width, self.height = WIDTH, 52

    def draw(self) -> None:
        canvas = self.canv
        size = 22.0
        while size > 10 and pdfmetrics.stringWidth(self._sheet.agency, self._font, size) > WIDTH:
            size -= 1
        canvas.setFont(self._font, size)
        canvas.drawCentredString(WIDTH / 2, 30, self._sheet.agency)
        canvas.setFont(self._font, 12)
        canvas.drawCentredString(WIDTH / 2, 10, self._sheet.kind)
        canvas.setLineWidth(2)
        canvas.line(0, 3, WIDTH, 3)
        canvas.setLineWidth(0.5)
        canvas.line(0, 0, WIDTH, 0)


class _Title(Flowable):
    """The sign of the level, and the headline beside it."""

    SIGN = 72

    def __init__(self, sheet: Sheet, font: str, wrap: dict[str, str]) -> None:
        super().__init__()
        self._sheet, self._font = sheet, font
        style = ParagraphStyle("title", fontName=font, fontSize=18, leading=25, **wrap)
        self._text = Paragraph(escape(sheet.title), style)

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        self._beside = width - self.SIGN - 14
        _, self._tall = self._text.wrap(self._beside, height)
        self.width, self.height = width, max(self.SIGN, self._tall)
        return self.width, self.height

    def draw(self) -> None:
        canvas, sheet = self.canv, self._sheet
        radius, middle = self.SIGN / 2, self.height / 2
        canvas.saveState()
        canvas.setLineWidth(1.5)
        canvas.setStrokeColor(black)
        canvas.setFillColor(HexColor(sheet.colour))
        _sign(canvas, sheet.level, radius, middle, radius - 1)
        canvas.setFillColor(white)
        _sign(canvas, sheet.level, radius, middle, radius - 9)
        canvas.setFillColor(black)
        canvas.setFont(self._font, 19)
        canvas.drawCentredString(radius, middle - 1, sheet.sign)
        canvas.setFont(self._font, 10)
        canvas.drawCentredString(radius, middle - 15, sheet.word)
        canvas.restoreState()
        self._text.drawOn(canvas, self.SIGN + 14, middle - self._tall / 2)


def _sign(canvas: Canvas, level: str, x: float, y: float, radius: float) -> None:
    sides = _SIDES.get(level, 0)
    if not sides:
        canvas.circle(x, y, radius, stroke=1, fill=1)
        return
    turn = math.pi / 2 if sides == 4 else math.pi / sides if sides == 8 else math.pi / 2
    path = canvas.beginPath()
    for corner in range(sides):
        angle = turn + 2 * math.pi * corner / sides
        point = (x + radius * math.cos(angle), y + radius * math.sin(angle))
        if corner:
            path.lineTo(*point)
        else:
            path.moveTo(*point)
    path.close()
    canvas.drawPath(path, stroke=1, fill=1)


class _Map(Flowable):
    """The area, hatched, in a frame with north up and a scale; a flat map, true in its middle."""

    def __init__(self, sheet: Sheet, font: str, words: Catalogue) -> None:
        super().__init__()
        self._sheet, self._font, self._words = sheet, font, words
        self.width = self.height = MAP

    def _text(self, key: str, **values: object) -> str:
        return self._words.text(f"channel.bulletin.{key}", self._sheet.language, **values)

    def draw(self) -> None:
        canvas, rings = self.canv, self._sheet.area
        east = [x for ring in rings for x, _ in ring]
        north = [y for ring in rings for _, y in ring]
        stretch = math.cos(math.radians((min(north) + max(north)) / 2))
        wide, high = (max(east) - min(east)) * stretch, max(north) - min(north)
        scale = (MAP - 60) / max(wide, high, 1e-6)
        left = MAP / 2 - scale * wide / 2
        low = MAP / 2 + 6 - scale * high / 2

        def place(point: tuple[float, float]) -> tuple[float, float]:
            x = left + (point[0] - min(east)) * stretch * scale
            return x, low + (point[1] - min(north)) * scale

        canvas.saveState()
        canvas.setLineWidth(0.8)
        canvas.rect(0, 0, MAP, MAP)
        path = canvas.beginPath()
        for ring in rings:
            path.moveTo(*place(ring[0]))
            for point in ring[1:]:
                path.lineTo(*place(point))
            path.close()
        canvas.saveState()
        canvas.clipPath(path, stroke=0, fill=0)
        canvas.setLineWidth(0.6)
        for step in range(-int(MAP), int(MAP), 6):  # hatched: a fax machine has no grey
            canvas.line(step, 0, step + MAP, MAP)
        canvas.restoreState()
        canvas.setLineWidth(1.6)
        canvas.drawPath(path, stroke=1, fill=0)
        self._legend(scale / KM_PER_DEGREE)
        canvas.restoreState()

    def _legend(self, points_per_km: float) -> None:
        canvas = self.canv
        canvas.setFillColor(black)
        canvas.setFont(self._font, 9)
        canvas.drawString(5, MAP - 13, self._text("map"))
        canvas.drawCentredString(MAP - 12, MAP - 24, self._text("north"))
        arrow = canvas.beginPath()
        arrow.moveTo(MAP - 12, MAP - 3)
        arrow.lineTo(MAP - 16, MAP - 14)
        arrow.lineTo(MAP - 8, MAP - 14)
        arrow.close()
        canvas.drawPath(arrow, stroke=0, fill=1)
        km = _round(MAP * 0.4 / points_per_km)
        canvas.setLineWidth(1.6)
        canvas.line(6, 8, 6 + km * points_per_km, 8)
        canvas.drawString(10 + km * points_per_km, 5, self._text("scale", number=f"{km:g}"))


def _round(value: float) -> float:
    """Give the greatest of 1, 2, 5 times a power of ten that is not above."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-3)))
    return max(factor for factor in (1, 2, 5) if factor * power <= value * 1.0001) * power
