"""The bureau's own words: what takes the place of what, and how a mistake is told."""

from pathlib import Path

import pytest

from alerts import catalogue
from alerts.catalogue import Catalogue, CatalogueError
from alerts.life.warning import Act
from alerts.texts import legal
from alerts.texts.wording import Writer
from tests.samples import BUREAU, REGION, START, step


def own(folder: Path, name: str, text: str) -> Catalogue:
    (folder / name).write_text(text, "utf-8")
    return legal.words(str(folder))


def said(words: Catalogue, level: str, language: str = "zh") -> str:
    warning = step(level).warning
    return Writer(
        warning, act=Act.ISSUE, at=START, region=REGION, bureau=BUREAU, catalogue=words,
        language=language,
    ).said().instruction  # fmt: skip


def test_nothing_own() -> None:
    assert legal.words("") is Catalogue.load()


def test_a_guide_for_one_level_takes_the_place_of_our_advice(tmp_path: Path) -> None:
    words = own(tmp_path, "legal.zh.toml", '[guide.rainstorm]\norange = "三小时内停课。"\n')
    assert said(words, "orange") == "三小时内停课。"
    assert said(words, "red") == said(Catalogue.load(), "red") != "三小时内停课。"
    assert said(words, "orange", "en") == said(Catalogue.load(), "orange", "en")


def test_a_single_text_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    words = own(tmp_path, "warning.en.toml", '[guide.rainstorm]\nhigh = "Stay upstairs."\n')
    assert words.text("warning.guide.rainstorm.high", "en") == "Stay upstairs."
    shipped = Catalogue.load()
    assert words.fields("zh") == shipped.fields("zh")
    assert words.fields("en").keys() == shipped.fields("en").keys()


def test_a_text_may_leave_fields_out(tmp_path: Path) -> None:
    words = own(tmp_path, "warning.zh.toml", '[sms.warning]\nfull = "{mark}{head}！"\n')
    assert words.text("warning.sms.warning.full", "zh", mark="", head="x") == "x！"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("legal.zh.toml", "[guide.rainstrom]\nred = 'x'", "legal.guide.rainstrom.red in zh"),
        ("legal.zh.toml", "[guide.rainstorm]\ngreen = 'x'", "there is no such text"),
        ("legal.zh.toml", "sendr = 'x'", "is it legal.sender"),
        ("laws.zh.toml", "a = 'x'", "laws.a in zh: there is no such text"),
        ("legal.zh.toml", "sender = '{agent}'", "no field agent; it has: agency"),
        ("legal.zh.toml", "sender = '{agency'", "legal.sender"),
        ("legal.zh.toml", "sender = 1", "a text is a string"),
        ("legal.zh.toml", "sender =", "legal.zh.toml"),
        ("legal.toml", "sender = 'x'", "topic.language.toml"),
        ("warning.zh.toml", "[sms.warning]\nfull = '{head}'", "{mark} must stay"),
        ("warning.zh.toml", "[sms.notice]\nfull = '{mark}{head}'", "{ack} must stay"),
        ("legal.fr.toml", "sender = '{agency}'", "fr lacks .* texts"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(CatalogueError, match=reason):
        own(tmp_path, name, text)


def test_a_folder_that_is_none() -> None:
    with pytest.raises(CatalogueError, match=r"alerts\.words: /nowhere is no folder"):
        legal.words("/nowhere")


def test_another_language_needs_files_only(tmp_path: Path) -> None:
    for file in (Path(catalogue.__file__).parent / "words").glob("*.en.toml"):
        (tmp_path / file.name.replace(".en.", ".fr.")).write_text(
            file.read_text("utf-8").replace("Orange", "Orange vif"), "utf-8"
        )
    words = legal.words(str(tmp_path))
    assert words.languages[-1] == "fr"
    warning = step("orange").warning
    text = Writer(
        warning, act=Act.ISSUE, at=START, region=REGION, bureau=BUREAU, catalogue=words,
        language="fr",
    ).said()  # fmt: skip
    assert "Orange vif rainstorm warning for Haidian" in text.sms.body
