"""Every word exists in every language, with the same fields."""

from pathlib import Path

import pytest

from alerts.catalogue import Catalogue, CatalogueError


def test_all_languages_have_the_same_keys_and_fields() -> None:
    catalogue = Catalogue.load()
    chinese = catalogue.fields("zh")
    assert "warning.sms.warning.full" in chinese
    for language in catalogue.languages:
        other = catalogue.fields(language)
        missing = chinese.keys() ^ other.keys()
        assert not missing, f"in one of zh, {language} only: {sorted(missing)}"
        different = {key for key in chinese if chinese[key] != other[key]}
        assert not different, f"other fields in {language} than in zh: {sorted(different)}"


def test_text_fills_fields() -> None:
    text = Catalogue.load().text("warning.window.hours", "zh", number=3)
    assert text == "3小时"


@pytest.mark.parametrize(
    ("key", "language"),
    [("warning.nothing", "zh"), ("warning.level.red", "zh"), ("warning.hazard.hail", "fr")],
)
def test_missing_text_is_named(key: str, language: str) -> None:
    with pytest.raises(CatalogueError, match=key):
        Catalogue.load().text(key, language)


def test_missing_value_is_named() -> None:
    with pytest.raises(CatalogueError, match="number"):
        Catalogue.load().text("warning.window.hours", "en")


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.zh.toml", "a ="), ("nolanguage.toml", "a = 'b'"), ("number.en.toml", "a = 1")],
)
def test_bad_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(CatalogueError):
        Catalogue.load(tmp_path)
