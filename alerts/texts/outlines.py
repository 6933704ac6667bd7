"""A font cut to the characters that are used, as a PDF can carry it.

A fax gateway has no fonts, least of all Chinese ones, so every glyph goes along. What is usually
installed holds cubic outlines (CFF), which the PDF writer does not take; they are turned into
quadratic ones, true to a thousandth of the letter's height.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, TTLibError, newTable
from fontTools.ttLib.sfnt import readTTCHeader

from alerts.texts.typeface import TypefaceError

MEMBERS = 32
"""Fonts of a collection that are looked at."""

_DROPPED = ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx", "DSIG", "kern", "STAT", "meta"]
_NAMES = (1, 4, 6)  # family, full, PostScript
_ERROR = 0.001
"""Of the em: how far a turned outline may be off."""


def cut(file: Path, text: str, *, name: str) -> bytes:
    """Give a TrueType font of this name with the glyphs of a text; raises TypefaceError."""
    try:
        with _opened(file) as font:
            options = subset.Options(
                layout_features=[], hinting=False, notdef_outline=True, glyph_names=False
            )
            options.drop_tables += _DROPPED
            cutter = subset.Subsetter(options)
            cutter.populate(text=text)
            cutter.subset(font)
            if "glyf" not in font:
                _turn(font)
            font["name"].names = []
            for number in _NAMES:
                font["name"].setName(name, number, 3, 1, 0x409)
            data = io.BytesIO()
            font.save(data)
    except (
        OSError,
        TTLibError,
        KeyError,
        AttributeError,
        subset.Subsetter.SubsettingError,
    ) as error:
        raise TypefaceError(f"{file}: {error}") from None
    return data.getvalue()


def lacks(file: Path, text: str) -> str:
    """Give the characters that a font does not have; raises TypefaceError."""
    try:
        with _opened(file) as font:
            known = font.getBestCmap() or {}
    except (OSError, TTLibError) as error:
        raise TypefaceError(f"{file}: {error}") from None
    return "".join(sorted({letter for letter in text if ord(letter) not in known} - {"\n"}))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[TTFont]:
    """Open a font; of a collection the one drawn for simplified Chinese, else the first."""
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(file.open("rb"))  # it does not close what it cannot read
        if file.suffix.lower() != ".ttc":
            yield stack.enter_context(TTFont(data, lazy=True))
            return
        count = min(readTTCHeader(data).numFonts, MEMBERS)
        fonts = [
            stack.enter_context(TTFont(data, fontNumber=number, lazy=True))
            for number in range(count)
        ]
        simplified = (font for font in fonts if " SC" in str(font["name"].getDebugName(4)))
        yield next(simplified, fonts[0])


def _turn(font: TTFont) -> None:
    """Put quadratic outlines in the place of cubic ones."""
    order, drawn = font.getGlyphOrder(), font.getGlyphSet()
    error = _ERROR * font["head"].unitsPerEm
    glyphs = {}
    for name in order:
        pen = TTGlyphPen(None)
        drawn[name].draw(Cu2QuPen(pen, error, reverse_direction=True))
        glyphs[name] = pen.glyph()
    outlines = newTable("glyf")
    outlines.glyphOrder, outlines.glyphs = order, glyphs
    font["loca"], font["glyf"] = newTable("loca"), outlines
    limits = font["maxp"]
    limits.tableVersion = 0x00010000
    for name in (
        "maxTwilightPoints",
        "maxStorage",
        "maxFunctionDefs",
        "maxInstructionDefs",
        "maxStackElements",
        "maxSizeOfInstructions",
        "maxComponentElements",
        "maxPoints",
        "maxContours",
        "maxCompositePoints",
        "maxCompositeContours",
        "maxComponentDepth",
    ):
        setattr(limits, name, 0)  # counted anew when it is saved
    limits.maxZones = 1
    font["post"].formatType = 3.0
    del font["CFF "]
    font.sfntVersion = "\x00\x01\x00\x00"
