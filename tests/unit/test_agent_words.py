import string

import pytest

from agent.doctor import LAYERS
from agent.words import LANGUAGES, Words, language


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same() -> None:
    zh, en = (Words(name).texts for name in LANGUAGES)
    assert zh.keys() == en.keys()
    for key in zh:
        assert fields(zh[key]) == fields(en[key]), key
        assert zh[key] != en[key] or key in {
            "doctor.tls.title",
            "doctor.protocol.title",
            "doctor.clock.ok",
        }


def test_every_layer_of_the_doctor_has_its_words() -> None:
    for layer in LAYERS:
        assert {f"doctor.{layer}.title", f"doctor.{layer}.advice"} <= Words("en").texts.keys()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "FENGHUO_LANGUAGE": "zh"}, "zh"),
    ],
)
def test_language_is_that_of_the_environment(environment: dict[str, str], expected: str) -> None:
    assert language(environment) == expected
