"""What messages say: complete, short, and in the alphabet of their language."""

import itertools

import msgspec
import pytest

from agent.elements import ELEMENTS
from alerts import segments
from alerts.catalogue import Catalogue
from alerts.codes import CODES
from alerts.evidence import LEVELS, Door
from alerts.warning import PUBLISHING, Act
from alerts.wording import Writer
from forecast.criteria import HAZARDS, Criteria
from tests.samples import BUREAU, REGION, START, step

CATALOGUE = Catalogue.load()


def writer(
    language: str,
    *,
    hazard: str = "rainstorm",
    level: str = "orange",
    door: Door = "observed",
    act: Act = Act.ISSUE,
    exercise: bool = True,
    region: str = "海淀",
) -> Writer:
    warning = step(level, hazard=hazard, door=door, exercise=exercise).warning
    return Writer(
        warning,
        act=act,
        at=START,
        region=msgspec.structs.replace(REGION, zh=region),
        bureau=BUREAU,
        catalogue=CATALOGUE,
        language=language,
    )


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("door", ["observed", "expected"])
@pytest.mark.parametrize("hazard", list(CODES))
def test_every_text(hazard: str, door: Door, language: str) -> None:
    for level, act in itertools.product(LEVELS, sorted(PUBLISHING)):
        words = writer(language, hazard=hazard, level=level, door=door, act=act)
        sms = words.sms()
        assert sms.segments == segments.count(sms.body) == 1, sms.body
        bulletin = words.bulletin()
        for text in (sms.body, *msgspec.structs.asdict(bulletin).values()):
            assert text
            assert "{" not in text
        mark = {"zh": "【演练】", "en": "EXERCISE "}[language]
        for text in (sms.body, bulletin.headline, bulletin.description):
            assert text.startswith(mark)
            assert CATALOGUE.text(f"warning.level.{level}.name", language) in text
            assert CATALOGUE.text(f"warning.danger.{hazard}", language) in text
            assert {"zh": "海淀", "en": "Haidian"}[language] in text
        assert segments.is_gsm(sms.body) == (language == "en")


READ = {
    ("zh", "observed", Act.ISSUE): (
        "【演练】【示范气象台】海淀暴雨橙色预警：截至7月20日08:00海淀站3小时降雨62.5毫米。"
        "勿涉水行车，远离山洪沟和低洼处。"
    ),
    ("zh", "expected", Act.UPGRADE): (
        "【演练】【示范气象台】海淀暴雨预警升为橙色：预计3小时内降雨将达50毫米以上（可能性70%）。"
        "勿涉水行车，远离山洪沟和低洼处。"
    ),
    ("zh", "observed", Act.CANCEL): (
        "【演练】【示范气象台】7月20日08:00解除海淀暴雨橙色预警。"
        "积水、山洪和滑坡仍可能发生，请当心。"
    ),
    ("en", "observed", Act.ISSUE): (
        "EXERCISE Sample Weather Bureau: Orange rainstorm warning for Haidian: "
        "rain 62.5 mm in 3 h at Haidian by 08:00 on 20 Jul. Leave low ground; do not cross water."
    ),
}


@pytest.mark.parametrize(("kind", "body"), READ.items())
def test_texts_as_people_read_them(kind: tuple[str, Door, Act], body: str) -> None:
    language, door, act = kind
    assert writer(language, door=door, act=act).sms().body == body


def test_shortened_in_order_and_never_cut() -> None:
    long = "海淀" * 6
    assert "勿涉水" in writer("zh", region=long).sms().body
    assert "08:00" not in writer("zh", region=long).sms().body
    longer = writer("zh", region="海淀" * 14).sms()
    assert longer.segments == 1
    assert "勿涉水" not in longer.body
    longest = writer("zh", region="海淀" * 30).sms()
    assert longest.segments == 2
    assert "勿涉水" in longest.body


def test_only_an_exercise_is_marked() -> None:
    words = writer("zh", exercise=False)
    assert "演练" not in words.sms().body
    assert words.bulletin().note == ""


def test_compound_and_unknown_evidence() -> None:
    first = step("orange").warning
    (item,) = first.ground.evidence
    more = msgspec.structs.replace(item, zh="香山", value=81.9)
    unknown = msgspec.structs.replace(item, element="unheard_of", value=99.0)
    ground = msgspec.structs.replace(first.ground, evidence=(unknown, more, item))
    warning = msgspec.structs.replace(first, grounds={"orange": ground})
    words = Writer(
        warning, act="issue", at=START, region=REGION, bureau=BUREAU, catalogue=CATALOGUE,
        language="zh",
    )  # fmt: skip
    assert "香山站3小时降雨81.9毫米" in words.sms().body
    description = words.bulletin().description
    assert description.index("81.9") < description.index("62.5")


def test_there_are_words_for_all_that_the_criteria_look_at() -> None:
    criteria = Criteria.load(units={name: element.unit for name, element in ELEMENTS.items()})
    elements = {condition.element for condition in criteria.conditions}
    assert elements
    for name in elements:
        assert CATALOGUE.has(f"warning.measure.{name}", "zh"), name
        assert CATALOGUE.has(f"warning.unit.{name}", "zh"), name


def test_every_danger_has_a_name_and_a_code() -> None:
    assert set(CODES) == set(HAZARDS) == set(CATALOGUE.table("zh")["warning"]["hazard"])


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3),
        ("€" * 80, 1), ("€" * 81, 2), ("a" * 152 + "€" + "a" * 153, 3),
        ("雨" * 70, 1), ("雨" * 71, 2), ("雨" * 134, 2), ("雨" * 135, 3),
        ("😀" * 35, 1), ("😀" * 36, 2),
        ("雨" + "a" * 69, 1), ("雨" + "a" * 70, 2),
    ],
)  # fmt: skip
def test_segments(text: str, count: int) -> None:
    assert segments.count(text) == count
