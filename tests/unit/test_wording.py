"""What messages say: complete, short, and in the alphabet of their language."""

import datetime as dt
import itertools
import re

import msgspec
import pytest

from agent.elements import ELEMENTS
from alerts.catalogue import Catalogue
from alerts.channels import RENDERERS
from alerts.codes import CODES
from alerts.life.evidence import LEVELS, Door
from alerts.life.warning import CLOSED, PUBLISHING, Act, Own
from alerts.texts import segments
from alerts.texts.wording import ACK, Writer
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


@pytest.mark.parametrize("language", CATALOGUE.languages)
@pytest.mark.parametrize("door", ["observed", "expected"])
@pytest.mark.parametrize("hazard", list(CODES))
def test_every_text(hazard: str, door: Door, language: str) -> None:
    for level, act in itertools.product(LEVELS, sorted(PUBLISHING)):
        words = writer(language, hazard=hazard, level=level, door=door, act=act)
        sms = words.sms()
        assert sms.segments == segments.count(sms.body) == 1, sms.body
        bulletin = words.bulletin()
        assert bulletin.restriction == ""
        long = [text for text in msgspec.structs.asdict(bulletin).values() if text]
        assert len(long) == 6
        for text in (sms.body, *long):
            assert "{" not in text
        mark = {"zh": "【演练】", "en": "EXERCISE "}[language]
        for text in (sms.body, bulletin.headline, bulletin.description):
            assert text.startswith(mark)
            assert CATALOGUE.text(f"warning.level.{level}.name", language) in text
            assert CATALOGUE.text(f"warning.danger.{hazard}", language) in text
            assert {"zh": "海淀", "en": "Haidian"}[language] in text
        assert segments.is_gsm(sms.body) == (language == "en")


@pytest.mark.parametrize("exercise", [True, False])
@pytest.mark.parametrize("language", CATALOGUE.languages)
@pytest.mark.parametrize("hazard", list(CODES))
def test_every_channel_has_words_for_everything(
    hazard: str, language: str, *, exercise: bool
) -> None:
    doors: tuple[Door, ...] = ("observed", "expected")
    for level, act, door in itertools.product(LEVELS, sorted(PUBLISHING | CLOSED), doors):
        said = writer(
            language, hazard=hazard, level=level, door=door, act=act, exercise=exercise
        ).said()
        assert said.act == act
        for channel, render in RENDERERS.items():
            script = render(said)
            assert script.body.strip(), channel
            left = script.body.replace(ACK, "")
            assert ACK not in script.subject, channel
            assert not FIELD.search(left), (channel, left)


FIELD = re.compile(r"\{[a-z_]+(:[^}]*)?\}")
"""What a template looks like where a value was not put in."""


@pytest.mark.parametrize("language", CATALOGUE.languages)
@pytest.mark.parametrize("hazard", list(CODES))
def test_what_is_spoken_has_no_signs(hazard: str, language: str) -> None:
    doors: tuple[Door, ...] = ("observed", "expected")
    for act, door in itertools.product(sorted(PUBLISHING | CLOSED), doors):
        spoken = writer(language, hazard=hazard, act=act, door=door).said().spoken
        assert spoken.startswith({"zh": "这是演练。", "en": "This is an exercise. "}[language])
        assert not set(spoken) & set("【】[]()（）{}%℃/…"), spoken
        if language == "en":
            assert not re.search(r"\d (mm|cm|m|s|h|min|C)\b", spoken), spoken


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


def notice(language: str, *, door: Door = "expected", act: Act = Act.NOTICE) -> Writer:
    warning = step("orange", door=door).warning
    ground = msgspec.structs.replace(warning.ground, onset=START + dt.timedelta(hours=3))
    return Writer(
        msgspec.structs.replace(warning, grounds={"orange": ground}), act=act, at=START,
        region=REGION, bureau=BUREAU, catalogue=CATALOGUE, language=language,
    )  # fmt: skip


def test_a_notice_has_probability_onset_and_a_link() -> None:
    said = notice("zh").said()
    assert said.sms.body == (
        "【演练】【示范气象台】早通气：海淀可能出现暴雨，拟发橙色预警。"
        "预计3小时内降雨将达50毫米以上（可能性70%），约7月20日11:00起。请确认{ack}"
    )
    assert said.sms.segments == 2
    assert "70%" in said.description
    assert said.link == ""
    assert "勿外传" in said.instruction
    assert "可能性百分之70" in said.spoken
    assert notice("en").said().sms.body == (
        "EXERCISE Sample Weather Bureau heads-up: Orange rainstorm warning likely for Haidian. "
        "rain 50 mm or more expected in 3 h (likelihood 70%), from about 11:00 on 20 Jul. "
        "Acknowledge: {ack}"
    )
    gone = notice("zh", act=Act.WITHDRAW).said()
    assert ACK not in gone.sms.body
    assert "撤回海淀暴雨橙色早通气" in gone.sms.body


def test_own_wording_goes_before_the_templates_and_keeps_the_mark() -> None:
    own = Own(headline="山洪沟撤离", description="请沿河住户撤离。", sms="请沿河住户立即撤离。")
    warning = msgspec.structs.replace(step("orange").warning, text={"zh": own})
    said = {
        language: Writer(
            warning, act=Act.ISSUE, at=START, region=REGION, bureau=BUREAU,
            catalogue=CATALOGUE, language=language,
        ).said()
        for language in ("zh", "en")
    }  # fmt: skip
    assert said["zh"].sms.body == "【演练】【示范气象台】请沿河住户立即撤离。"
    assert said["zh"].headline.startswith("【演练】示范气象台：山洪沟撤离")
    assert said["zh"].description.endswith("请沿河住户撤离。")
    assert said["zh"].spoken.startswith("这是演练。")
    assert "请沿河住户撤离。" in said["zh"].spoken
    assert said["zh"].instruction == writer("zh").said().instruction
    assert said["en"].sms.body == writer("en").said().sms.body


def test_several_regions_in_one_text() -> None:
    def several(number: int) -> str:
        beside = [
            msgspec.structs.replace(REGION, id=str(each), zh=f"区{each}") for each in range(number)
        ]
        return Writer(
            step("orange").warning, act=Act.ISSUE, at=START, region=REGION, bureau=BUREAU,
            catalogue=CATALOGUE, language="zh", beside=beside,
        ).head()  # fmt: skip

    assert several(1) == "海淀、区0暴雨橙色预警"
    assert several(6) == "海淀、区0、区1、区2等7地暴雨橙色预警"


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
