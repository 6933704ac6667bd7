"""What screens scroll and stations read out, from a published message."""

import datetime as dt
import uuid

import pytest
from lxml import etree

from alerts.catalogue import Catalogue
from alerts.channels import broadcast, display
from alerts.channels.port import ChannelError, Delivery, ExerciseError
from alerts.faces import posters
from alerts.faces.airtime import SSML, Airtime
from alerts.faces.posters import Poster
from alerts.faces.shows import Stage, columns
from alerts.texts.wording import Writer
from tests.samples import BUREAU, REGION, START, later, step

CAP = """<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<info><language>zh-CN</language><event>暴雨橙色预警</event><headline>示范气象台发布海淀暴雨橙色预警</headline>
<description>示范气象台发布：海淀暴雨橙色预警。
3小时降雨62.5毫米。</description><instruction>勿涉水&lt;行车&gt;。</instruction>
<area><areaDesc>海淀</areaDesc></area></info>
<info><language>en-US</language><event>Orange rainstorm</event><headline>Orange rainstorm</headline>
<description>Orange rainstorm warning for Haidian.</description>
<instruction>Do not wade.</instruction>
<area><areaDesc>Haidian</areaDesc></area></info></alert>"""


def poster(*, level: str = "orange", exercise: bool = False) -> Poster:
    return Poster(
        warning=uuid.UUID(int=1), message=uuid.UUID(int=2), number=1, act="issue",
        hazard="rainstorm", level=level, door="observed", region="54399", zh="海淀", en="Haidian",
        exercise=exercise, since=START, sent=START, onset=START, expires=later(6), ended=None,
        cap=CAP,
    )  # fmt: skip


def stage(language: posters.Language = "zh") -> Stage:
    return Stage(
        catalogue=Catalogue.load(),
        zone="Asia/Shanghai",
        agency=BUREAU.agency[language],
        language=language,
    )


def airtime(*items: Poster, language: posters.Language = "zh", **values: bool) -> Airtime:
    return Airtime(stage(language), items, spoken={}, exercise=values.get("exercise", False))


def test_a_show_stands_for_itself() -> None:
    show = stage().show("hall", [poster()], now=START, exercise=False)
    (item,) = show.warnings
    assert (item.title, item.place, item.colour, item.shape) == (
        "暴雨橙色预警", "海淀", "#f08a12", "hexagon",
    )  # fmt: skip
    assert show.until == item.expires == later(6)
    assert item.lines == ("暴雨橙色预警", "海淀", "7月20日08:00起", "有效至7月20日14:00")
    assert "62.5毫米" in item.scroll
    assert "\n" not in item.scroll
    assert item.columns == columns(item.scroll) > len(item.scroll)
    assert show.mark == ""


def test_nothing_in_force_is_said_and_not_left_empty() -> None:
    show = stage("en").show("hall", [], now=START, exercise=False)
    assert (show.until, show.nothing, show.warnings) == (None, "No warning in force", ())


def test_every_picture_of_an_exercise_bears_the_mark() -> None:
    show = stage().show("hall", [poster(exercise=True)], now=START, exercise=True)
    assert show.mark == show.warnings[0].lines[0] == "演练"
    assert airtime(poster(exercise=True), exercise=True).crawl()[0].text.startswith("【演练 暴雨")
    assert "这是演练" in airtime(poster(exercise=True), exercise=True).script()


def test_widths_are_counted_as_matrices_have_them() -> None:
    assert columns("暴雨 12mm，") == 4 + 1 + 4 + 2


def test_a_crawl_has_one_line_for_each_warning() -> None:
    lines = airtime(poster(), poster(level="blue"), language="zh").crawl()
    assert [line.priority for line in lines] == [2, 4]
    assert lines[0].text == (
        "【暴雨橙色预警】示范气象台发布：海淀暴雨橙色预警。 3小时降雨62.5毫米。"
        "勿涉水<行车>。有效至7月20日14:00。"
    )
    assert not any("\n" in line.text for line in lines)


def test_the_script_is_for_reading_out() -> None:
    script = airtime(poster(), language="en").script()
    assert script.splitlines()[0] == "A message from the Sample Weather Bureau."
    assert "valid until 14 o'clock on July 20" in script
    spoken = {uuid.UUID(int=2): "海淀，暴雨橙色预警，三小时雨量六十二点五毫米。"}
    said = Airtime(stage(), [poster()], spoken=spoken, exercise=False).script()
    assert "六十二点五" in said
    assert "62.5" not in said


def test_with_nothing_in_force_the_station_says_so() -> None:
    assert airtime().script() == "示范气象台目前没有发布预警信号。\n"
    assert airtime().crawl() == []


@pytest.mark.parametrize(("language", "code"), [("zh", "zh-CN"), ("en", "en-US")])
def test_ssml_says_the_same_and_is_well_formed(language: posters.Language, code: str) -> None:
    said = airtime(poster(), language=language)
    root = etree.fromstring(said.ssml())
    assert root.tag == f"{{{SSML}}}speak"
    assert root.get("version") == "1.1"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == code
    spoken = " ".join("".join(root.itertext()).split())
    assert spoken.replace(" ", "") == said.script().replace(" ", "").replace("\n", "")
    assert {etree.QName(node).localname for node in root.iter()} == {
        "speak", "p", "s", "prosody", "break",
    }  # fmt: skip
    # What SSML 1.1 allows where: breaks and paragraphs in speak, sentences in p.
    assert {etree.QName(node).localname for node in root} == {"p", "break"}


@pytest.mark.parametrize("kind", ["display", "broadcast"])
async def test_no_exercise_and_nothing_late_goes_out(kind: str) -> None:
    class Nowhere:
        async def open(self) -> bool:
            return True

        async def show(self, name: str) -> display.Shown | None:
            raise AssertionError(name)

        async def heard(self, name: str, word: display.Word) -> bool:
            raise AssertionError(name, word)

        async def lost(self, name: str, state: str) -> None:
            raise AssertionError(name, state)

        async def close(self) -> None:
            pass

    channel = (
        display.Display(broker="", wall=Nowhere()) if kind == "display" else broadcast.Broadcast()
    )
    given = Delivery(
        id=uuid.uuid4(), channel=kind, exercise=True, address="hall", body="", expires=later(1),
        message=uuid.uuid4(),
    )  # fmt: skip
    with pytest.raises(ExerciseError):
        await channel.send(given, now=START)
    with pytest.raises(ChannelError):
        await channel.send(
            Delivery(
                id=uuid.uuid4(), channel=kind, exercise=False, address="hall", body="",
                expires=START, message=uuid.uuid4(),
            ),
            now=START + dt.timedelta(seconds=1),
        )  # fmt: skip


def test_the_ledger_holds_what_the_screen_scrolls() -> None:
    given = step()
    said = Writer(
        given.warning, act="issue", at=START, region=REGION, bureau=BUREAU,
        catalogue=Catalogue.load(), language="zh",
    ).said()  # fmt: skip
    assert display.render(said).body == said.description + said.instruction
    assert broadcast.render(said).body == said.spoken
