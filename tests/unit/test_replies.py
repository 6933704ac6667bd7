import pytest

from alerts.catalogue import Catalogue
from alerts.people import replies
from alerts.people.replies import Answer, Reply
from alerts.texts.segments import count


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("退订", Reply("leave")),
        (" td ", Reply("leave")),
        ("ＴＤ。", Reply("leave")),
        ("STOP", Reply("leave")),
        ("Unsub!", Reply("leave")),
        ("t", Reply("leave")),
        ("end of the road is flooded", Reply("help")),
        ("tomorrow", Reply("help")),
        ("订阅海淀", Reply("join", "海淀")),
        ("订阅 海淀区", Reply("join", "海淀区")),
        ("订阅：海淀", Reply("join", "海淀")),
        ("JOIN Haidian", Reply("join", "Haidian")),
        ("join: Haidian", Reply("join", "Haidian")),
        ("START", Reply("join")),
        ("joining", Reply("help")),
        ("收到", Reply("read")),
        ("收到，已转移12人", Reply("read", "已转移12人")),
        ("1", Reply("read")),
        ("１", Reply("read")),
        ("1 two houses flooded", Reply("read", "two houses flooded")),
        ("12", Reply("help")),
        ("Ack", Reply("read")),
        ("okay", Reply("help")),
        ("HELP", Reply("help")),
        ("?", Reply("help")),
        ("帮助", Reply("help")),
        ("", Reply("help")),
        ("你好", Reply("help")),
        ("a" * 10_000, Reply("help")),
    ],
)
def test_what_a_reply_means(text: str, reply: Reply) -> None:
    assert replies.parse(text) == reply


def test_every_answer_is_one_message() -> None:
    words = Catalogue.load()
    agencies = {"zh": "示范气象台", "en": "Sample Weather Bureau"}
    for key in words.table("zh")["people"]["reply"]:
        for language, place in (("zh", "海淀区"), ("en", "Haidian")):
            values = {"place": place, "places": place, "example": place}
            answer = Answer(key, values, language)
            text = replies.said(answer, catalogue=words, agencies=agencies)
            assert agencies[language] in text
            assert count(text) == 1, (len(text), text)


def test_a_code_is_one_message() -> None:
    words = Catalogue.load()
    for language, agency in (("zh", "示范气象台"), ("en", "Sample Weather Bureau")):
        text = words.text("people.code.sms", language, agency=agency, code="042042", minutes=10)
        assert count(text) == 1
