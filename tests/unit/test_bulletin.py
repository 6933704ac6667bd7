"""The bulletin: what stands in it, and that the PDF holds its own glyphs."""

import asyncio
import io
import math
import re
import zlib
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from alerts.texts import outlines, typeface
from alerts.texts.bulletin import (
    POINTS,
    BulletinError,
    Press,
    Sheet,
    divide,
    join,
    outline,
    readable,
)
from alerts.texts.wording import ACK
from tests.letters import AREA, PRESS, asking, said

LATIN = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")


def test_what_is_kept_is_text_and_sheet() -> None:
    sheet = Sheet.of(said())
    text, found = divide(join(sheet))
    assert found == sheet
    assert text == sheet.text()
    for words in ("示范气象台", "海淀", "橙色", "2016年7月20日14时00分", "8a5e6c7d", "第2号"):
        assert words in text
    assert readable(join(sheet)) == text
    with pytest.raises(BulletinError):
        divide("123456 is your code")
    assert readable("123456 is your code") == "123456 is your code"


def test_a_text_of_ones_own_may_look_like_the_separator() -> None:
    sheet = Sheet.of(said(description="one\n-- \ntwo"))
    assert divide(join(sheet))[1] == sheet


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_exercise_says_so_in_words_and_across_the_page(language: str) -> None:
    real, drill = (
        Sheet.of(said(language=language)),
        Sheet.of(said(language=language, exercise=True)),
    )
    assert not real.mark
    assert drill.mark == {"zh": "演练", "en": "EXERCISE"}[language]
    assert drill.text().splitlines()[0] == drill.mark_line


def test_an_end_counts_no_further_and_a_closed_notice_is_called_so() -> None:
    end = Sheet.of(said(act="cancel", ends=True))
    assert end.kind == "预警信号解除通知"
    assert "有效至" not in dict(end.facts)
    assert "发布时间" in dict(end.facts)
    assert "不对外" in Sheet.of(said(act="notice", link="")).kind


def test_paper_asks_for_confirmation_where_a_telephone_does() -> None:
    assert not any(ACK in line for line in Sheet.of(said()).notes)
    (line,) = (line for line in Sheet.of(asking()).notes if ACK in line)
    assert line.endswith(ACK)


def test_an_area_has_few_corners_and_keeps_its_place() -> None:
    ring = [
        [116 + math.cos(a / 500) * (1 + 0.1 * math.sin(a / 7)), 40 + math.sin(a / 500)]
        for a in range(3142)
    ]
    coast = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    rings = outline([coast, AREA])
    assert 50 < sum(len(ring) for ring in rings) <= POINTS
    east = [x for ring in rings for x, _ in ring]
    assert min(east) == pytest.approx(114.9, abs=0.1)
    assert max(east) == pytest.approx(117.1, abs=0.1)
    assert outline([]) == ()


def _press() -> Press:
    if PRESS.font is None:
        pytest.skip("no Chinese font is installed")
    return PRESS


def _drawn(pdf: bytes) -> int:
    """Count the glyphs that are in the file and not empty."""
    count = 0
    for part in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        if not part.startswith(b"x\x9c"):
            continue  # a page, written in letters
        data = zlib.decompress(part)
        if data.startswith(b"\x00\x01\x00\x00"):
            with TTFont(io.BytesIO(data)) as font:
                count += sum(
                    font["glyf"][name].numberOfContours != 0 for name in font.getGlyphOrder()[1:]
                )
    return count


async def test_every_glyph_goes_along_in_every_sheet_of_a_process() -> None:
    press = _press()
    # The second has letters that the first has not, and that no catalogue has.
    for words in ("暴雨", "龘靐齉爩", "暴雨"):
        sheet = Sheet.of(said(exercise=True, headline=words))
        pdf = await press.print(sheet)
        assert pdf.startswith(b"%PDF-")
        assert b"STSong" not in pdf
        assert len(pdf) < 200_000
        assert _drawn(pdf) >= len(set(sheet.text()) - set(" \n"))
        assert await press.print(sheet) is pdf


async def test_a_long_text_goes_on_to_another_page() -> None:
    press = _press()
    short, long = await asyncio.gather(
        press.print(Sheet.of(said())),
        press.print(Sheet.of(said(instruction="离开低洼地带。" * 400))),
    )
    assert short.count(b"/Type /Page\n") == 1
    assert long.count(b"/Type /Page\n") == 3


async def test_every_level_and_language_can_be_printed() -> None:
    press = _press()
    for level, language in (("blue", "zh"), ("yellow", "en"), ("red", "zh")):
        sheet = Sheet.of(said(level=level, language=language, boundaries=()))
        assert (await press.print(sheet)).startswith(b"%PDF-")


async def test_without_a_font_it_is_printed_and_complained_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(typeface, "FOLDERS", ())
    press = Press()
    assert press.font is None
    assert b"STSong-Light" in await press.print(Sheet.of(said()))
    assert "fax.font" in await press.complaint()


def test_a_font_without_chinese_is_complained_of(tmp_path: Path) -> None:
    if LATIN.exists():
        assert "has no" in asyncio.run(Press(str(LATIN)).complaint())
    broken = tmp_path / "font.otf"
    broken.write_bytes(b"no font")
    assert str(broken) in asyncio.run(Press(str(broken)).complaint())
    with pytest.raises(typeface.TypefaceError):
        outlines.cut(broken, "雨", name="x")
    with pytest.raises(typeface.TypefaceError):
        outlines.cut(tmp_path / "nowhere.ttf", "雨", name="x")


def test_outlines_are_turned_without_loss_of_a_character() -> None:
    font = _press().font
    assert font is not None
    text = "暴雨橙色预警Ⅱ级 ABC 123，。【】"
    data = outlines.cut(font, text, name="some")
    assert data[:4] == b"\x00\x01\x00\x00"
    assert len(data) < 60_000
