import json

import pytest

from alerts.people import contacts
from alerts.people.contacts import ContactError

POINT = "B" + "A" * 86
SECRET = "A" * 22


@pytest.mark.parametrize(
    ("text", "number", "hint"),
    [
        ("19900000042", "+8619900000042", "…0042"),
        ("+86 199 0000 0042", "+8619900000042", "…0042"),
        ("0086-199-0000-0042", "+8619900000042", "…0042"),
        ("8619900000042", "+8619900000042", "…0042"),
        ("１９９ ００００ ００４２", "+8619900000042", "…0042"),
        ("(+86)19900000042", "+8619900000042", "…0042"),
        ("019900000042", "+8619900000042", "…0042"),
        ("+852 5123 4567", "+85251234567", "…4567"),
        ("+447700900123", "+447700900123", "…0123"),
    ],
)
def test_mobile_numbers_are_written_one_way(text: str, number: str, hint: str) -> None:
    found = contacts.read("sms", text)
    assert (found.text, found.key, found.hint) == (number, number, hint)


@pytest.mark.parametrize(
    ("text", "number"),
    [("010-6840 0000", "+861068400000"), ("(0315) 2820000", "+863152820000")],
)
def test_a_fixed_line_is_called_and_gets_no_sms(text: str, number: str) -> None:
    assert contacts.read("voice", text).text == contacts.read("fax", text).text == number
    with pytest.raises(ContactError) as wrong:
        contacts.read("sms", text)
    assert wrong.value.code == "landline"


@pytest.mark.parametrize(
    ("channel", "text", "code"),
    [
        ("sms", "  ", "empty"),
        ("sms", "1990000004", "mobile"),
        ("sms", "199000000421", "mobile"),
        ("sms", "68400000", "country"),
        ("sms", "1.99E+10", "rounded"),
        ("sms", "19900000042 / 19900000043", "several"),
        ("voice", "0315-2820000转801", "several"),
        ("sms", "王芳", "number"),
        ("sms", "+8612345", "mobile"),
        ("sms", "+86682000", "country"),
        ("sms", "+0123456789", "length"),
        ("sms", "+12345", "length"),
        ("sms", "199\x0000000042", "control"),
        ("email", "nobody", "email"),
        ("email", "a@b", "email"),
        ("email", "a b@example.cn", "email"),
        ("email", "a@-example.cn", "email"),
        ("email", "a..b@example.cn", "email"),
        ("email", "a@example.cn\r\nBcc: b@example.cn", "control"),
        ("email", f"a@{'b' * 2000}.cn", "long"),
        ("push", "{}", "push"),
        ("webhook", "http://example.cn/hook", "url"),
        ("webhook", "https://user:word@example.cn/", "url"),
        ("webhook", "ftp://example.cn", "url"),
        ("social", "nothing", "social"),
        ("display", "a screen", "screen"),
        ("pigeon", "coo", "channel"),
    ],
)
def test_what_is_no_address_says_why_and_not_what(channel: str, text: str, code: str) -> None:
    with pytest.raises(ContactError) as wrong:
        contacts.read(channel, text)
    assert wrong.value.code == code
    assert not text.strip() or text.strip() not in str(wrong.value) or channel == "pigeon"


def test_an_e_mail_address_is_known_however_it_is_typed() -> None:
    found = contacts.read("email", " Wang.Fang@Example.CN ")
    assert (found.text, found.hint) == ("wang.fang@example.cn", "w…@example.cn")
    assert contacts.read("email", "wang@气象.中国").text == "wang@xn--4qw020e.xn--fiqs8s"


def test_a_browser_is_one_contact_whatever_its_keys() -> None:
    def given(secret: str) -> str:
        keys = {"p256dh": POINT, "auth": secret}
        return json.dumps({"expirationTime": None, "endpoint": "https://p.example/1", "keys": keys})

    first, second = contacts.read("push", given(SECRET)), contacts.read("push", given("B" * 22))
    assert first.key == second.key == "https://p.example/1"
    assert json.loads(first.text)["keys"] == {"p256dh": POINT, "auth": SECRET}
    assert first.hint == "p.example"


def test_other_channels_show_no_secret() -> None:
    assert contacts.read("webhook", "https://example.cn/hook?key=s3cret").hint == "example.cn"
    assert contacts.read("webhook", "http://127.0.0.1:8000/hook").hint == "127.0.0.1"
    assert contacts.read("social", "wecom://s3cret").hint == "wecom://…"
    assert contacts.read("display", "square-1").hint == "square-1"


def test_what_a_person_types_is_a_number_or_an_e_mail_address() -> None:
    assert contacts.anyhow("19900000042").channel == "sms"
    assert contacts.anyhow("wang＠example.cn").channel == "email"
