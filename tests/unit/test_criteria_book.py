"""What counts where and when, and how a mistake is told."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.elements import ELEMENTS
from forecast.criteria import SHIPPED, Book, CriteriaError, files

UNITS = {name: element.unit for name, element in ELEMENTS.items()}
ZONE = ZoneInfo("Asia/Shanghai")
HOUR = 3_600

TEXT = """\
base = "national"

[gale]
probability = 0.7

[[override]]
regions = ["hills", "pass"]
valid_from = 2026-06-01
valid_to = 2026-09-15
source = "letter of 20 May"
[override.rainstorm]
months = [6, 7, 8, 9]
[override.rainstorm.blue]
any = [{ all = [ # written over several lines
  { element = "precipitation_amount", statistic = "sum", window = "1h", comparison = ">=",\
 threshold = 30, unit = "mm" },
]}]
[override.heavy_fog]
live = false
reason_zh = "山区另有规定"
reason_en = "The hills have rules of their own."

[[override]]
regions = "all"
valid_from = 2026-07-01
source = "order of 25 June"
[override.rainstorm]
probability = 0.2
[override.rainstorm.yellow]
live = false
reason_zh = "停用"
reason_en = "Not in use."
"""


def at(*moment: int) -> int:
    return int(dt.datetime(*moment, tzinfo=ZONE).timestamp())  # type: ignore[misc,arg-type] # parts


def rain(book: Book, region: str, moment: int) -> tuple[float, list[tuple[int, float]], list[str]]:
    """Give probability, the windows and thresholds of blue, and the working levels."""
    signal = book.resolved(region, moment).signal("rainstorm")
    blue = signal.levels[0]
    return (
        signal.probability,
        [(c.window // HOUR, c.threshold) for group in blue.alternatives for c in group],
        [level.name for level in signal.working],
    )


EVERY = ["blue", "yellow", "orange", "red"]
FEWER = ["blue", "orange", "red"]


@pytest.mark.parametrize(
    ("region", "moment", "wanted"),
    [
        ("hills", at(2026, 5, 31, 23, 59), (0.3, [(12, 50)], EVERY)),
        ("hills", at(2026, 6, 1), (0.3, [(1, 30)], EVERY)),
        ("plain", at(2026, 6, 1), (0.3, [(12, 50)], EVERY)),
        ("pass", at(2026, 7, 1), (0.2, [(1, 30)], FEWER)),
        ("plain", at(2026, 7, 1), (0.2, [(12, 50)], FEWER)),
        ("hills", at(2026, 9, 15, 23, 59), (0.2, [(1, 30)], FEWER)),
        ("hills", at(2026, 9, 16), (0.2, [(12, 50)], FEWER)),
        ("hills", at(2050, 1, 1), (0.2, [(12, 50)], FEWER)),
    ],
)
def test_by_region_and_day(
    region: str, moment: int, wanted: tuple[float, list[tuple[int, float]], list[str]]
) -> None:
    assert rain(Book(TEXT, units=UNITS), region, moment) == wanted


def test_regions_with_the_same_criteria_stand_together() -> None:
    book = Book(TEXT, units=UNITS)
    regions = ["plain", "hills", "pass", "coast"]
    assert book.sets(regions, at(2026, 1, 1)) == [(book.base, frozenset(regions))]
    (first, where), (second, elsewhere) = book.sets(regions, at(2026, 6, 15))
    assert (where, elsewhere) == ({"plain", "coast"}, {"hills", "pass"})
    assert first is book.base
    assert second is book.resolved("pass", at(2026, 8, 1)) or len(book.every) > 3
    assert book.sets(regions, at(2026, 6, 20))[1][0] is second
    assert not second.signal("heavy_fog").live
    assert second.signal("rainstorm").months == {6, 7, 8, 9}
    assert book.base.signal("gale").probability == 0.7
    assert book.regions == {"hills", "pass"}
    assert len(book.every) == 4
    assert book.conditions > book.base.conditions
    assert Book.load(units=UNITS).sets(regions, 0) == [(Book.load(units=UNITS).base, set(regions))]


def test_what_comes_to_the_same_is_the_same() -> None:
    same = TEXT + "[override.gale]\nprobability = 0.7\n"
    again = '\n[[override]]\nregions = ["coast"]\nvalid_from = 2026-01-01\nsource = "x"\n'
    book = Book(same + again + "[override.gale]\nprobability = 0.7\n", units=UNITS)
    assert book.resolved("coast", at(2026, 3, 1)) is book.base


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_can_be_a_base(name: str) -> None:
    book = Book(f'base = "{name}"\n', units=UNITS)
    assert book.base == Book.shipped(name, units=UNITS).base


LATE = """
[[override]]
regions = ["hills"]
valid_from = 2026-06-01
source = "x"
"""


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ('base = "peking"\n', "base: no set 'peking' ships with Fenghuo; known are national", 1),
        ('base = "national"\n[gail]\n', r"\[gail\]: no such signal; known are typhoon", 2),
        ('base = "national"\nday_ends = "24:00"\n', "day_ends: write 20:00, not '24:00'", 2),
        ("a = \n", "not TOML: .*line 1", 1),
        (
            'base = "national"\n\n[gale.blue]\n# words\nwithin = "soon"\n',
            r"\[gale.blue\] within: write 10min, 12h or 7d, not 'soon'",
            5,
        ),
        (
            TEXT.replace('statistic = "sum", window = "1h"', 'statistic = "sum"'),
            r"\[override 1: rainstorm.blue\] precipitation_amount sum: needs a window",
            15,
        ),
        (TEXT.replace("2026-06-01", "2026-10-01"), r"\[override 1\] valid_to: is before", 9),
        (TEXT.replace('"all"', '"hills"'), r'\[override 2\] regions: write .* or "all"', 23),
        (TEXT.replace('["hills", "pass"]', "[]"), r"\[override 1\] regions: must not be empty", 7),
        (TEXT.replace("2026-07-01", '"July"'), r"\[override 2\].*valid_from", 24),
        (TEXT.replace("2026-07-01", "2026-07-01T08:00:00"), r"\[override 2\].*valid_from", 24),
        (TEXT.replace('source = "order of 25 June"\n', ""), r"\[override 2\].*source", 22),
        (TEXT.replace("months = [6,", "months = [13,"), r"\[override 1: rainstorm\] months", 12),
        (TEXT.replace("[override.gale", "[override.rain") + LATE, "changes nothing", 33),
        (
            'base = "national"\n' + LATE + "[override.wire_icing]\nlive = false\n",
            r"\[override 1: wire_icing\]: no such signal to change; there are typhoon, rainstorm",
            7,
        ),
        (
            'base = "national"\n' + LATE + '[override.gale]\ncode = "1"\n',
            r"\[override 1: gale\] code: cannot be changed; live, reason_zh",
            8,
        ),
        (
            'base = "national"\n' + LATE + "[override.heavy_fog.blue]\nany = []\n",
            r"\[override 1: heavy_fog.blue\]: .*within",
            7,
        ),
        ("override = 3\n" + 'base = "national"\n', r"write each one as \[\[override\]\]", 1),
        (
            'base = "national"\n' + (LATE + "[override.gale]\nprobability = 0.5\n") * 101,
            "more than 100 overrides",
            None,
        ),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, problem: str, line: int | None) -> None:
    with pytest.raises(CriteriaError, match=problem) as caught:
        Book(text, units=UNITS)
    if line is not None:
        assert caught.value.line(text) == line


def test_conditions_as_tables_of_their_own() -> None:
    text = f"""{TEXT}
[[override.gale.blue.any]]
element = "wind_speed"
statistic = "value"
comparison = ">="
threshold = 12
unit = "km/h"
"""
    with pytest.raises(CriteriaError, match=r"\[override 2: gale.blue\] wind_speed") as caught:
        Book(text, units=UNITS)
    line = caught.value.line(text)
    assert line is not None
    assert text.splitlines()[line - 1] == 'element = "wind_speed"'
    right = text.replace("km/h", "m/s")
    ((condition,),) = (
        Book(right, units=UNITS).resolved("x", at(2027, 1, 1)).signal("gale").levels[0].alternatives
    )
    assert condition.threshold == 12


def test_all_mistakes_at_once() -> None:
    wrong = TEXT.replace("[6, 7, 8, 9]", "[0]").replace("probability = 0.2", "probability = 2")
    with pytest.raises(CriteriaError) as caught:
        Book(wrong, units=UNITS)
    assert [each.line(wrong) for each in caught.value.every] == [12, 27]
    twice = '[gale.blue]\nwithin = "x"\n[gale.red]\nwithin = "y"\n[frost]\nlive = 1\n'
    twice = f'base = "national"\n{twice}'
    with pytest.raises(CriteriaError) as caught:
        Book(twice, units=UNITS)
    assert [each.line(twice) for each in caught.value.every] == [3, 5, 7]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_text_breaks_the_reader(data: st.DataObject) -> None:
    """A line of a good text that is changed gives a book or a CriteriaError, nothing else."""
    lines = TEXT.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    value = data.draw(
        st.sampled_from(["1", "'x'", "[]", "{}", "true", "1.5", "[1]", "[{}]", "nan"])
    )
    key = lines[number].partition(" = ")[0]
    lines[number] = f"{key} = {value}" if " = " in lines[number] else value
    text = "\n".join(lines)
    try:
        Book(text, units=UNITS)
    except CriteriaError as error:
        found = {each.line(text) for each in error.every}
        if not found <= {None, *range(1, len(lines) + 1)}:
            pytest.fail(f"{found} of {len(lines)} lines")


_REGIONS = ("a", "b", "c")
_days = st.integers(0, 12).map(lambda n: dt.date(2026, 3, 1) + dt.timedelta(days=n))
_override = st.tuples(
    st.one_of(st.none(), st.sets(st.sampled_from(_REGIONS), min_size=1)),
    _days,
    st.one_of(st.none(), st.integers(0, 5)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_override, max_size=6), st.sampled_from((*_REGIONS, "d")), st.integers(-50, 500))
def test_the_last_override_that_counts_decides(
    overrides: list[tuple[set[str] | None, dt.date, int | None]], region: str, hours: int
) -> None:
    """Whatever overlaps: every mixture was read, and the later in the text wins."""
    text, wanted = 'base = "national"\n', 0.6
    at = dt.datetime(2026, 3, 1, tzinfo=ZONE) + dt.timedelta(hours=hours)
    for number, (regions, first, days) in enumerate(overrides):
        last = None if days is None else first + dt.timedelta(days=days)
        text += "[[override]]\nsource = 'x'\n"
        text += f"regions = {['all', sorted(regions or ())][regions is not None]!r}\n"
        text += f"valid_from = {first}\n" + ("" if last is None else f"valid_to = {last}\n")
        text += f"[override.gale]\nprobability = {(number + 1) / 10}\n"
        here = regions is None or region in regions
        if here and first <= at.date() and (last is None or at.date() <= last):
            wanted = (number + 1) / 10
    book = Book(text, units=UNITS)
    moment = int(at.timestamp())
    assert book.resolved(region, moment).signal("gale").probability == wanted
    (found,) = (c for c, where in book.sets([*_REGIONS, "d"], moment) if region in where)
    assert found is book.resolved(region, moment)


def test_too_long_a_text() -> None:
    with pytest.raises(CriteriaError, match="more than"):
        Book("#" * (files.LARGEST + 1), units=UNITS)
