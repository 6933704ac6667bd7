"""Passwords, where attempts come from, and which requests a browser may have been made to send."""

import asyncio

import pytest
from argon2 import PasswordHasher
from fastapi import Request

from alerts.catalogue import Catalogue
from server.accounts import passwords, throttle
from server.accounts.errors import AccountError
from server.accounts.passwords import Passwords
from server.clock import SystemClock
from server.settings import Settings, Web
from server.web import permit
from server.web.context import Context
from server.web.problems import Problem

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.mark.parametrize(
    ("password", "key"),
    [
        ("ninechars", "short"),
        ("烽火台上望远方", "short"),
        ("x" * 201, "long"),
        ("my-Chen.Yu-1234", "named"),
        ("aaaaaaaaaaaa", "plain"),
        ("", "short"),
    ],
)
def test_a_password_that_is_refused(password: str, key: str) -> None:
    with pytest.raises(AccountError) as refused:
        passwords.check(password, name="chen.yu")
    assert refused.value.key == key


@pytest.mark.parametrize("password", ["ten chars!", "烽火台上望远方有狼烟起", "x" * 199 + "y"])
def test_a_password_that_will_do(password: str) -> None:
    assert passwords.check(password, name="chen.yu") == password


async def test_hashed_and_verified() -> None:
    cheap = Passwords(CHEAP)
    stored = await cheap.hash("ｆｅｎｇｈｕｏ-１２３")  # as an input method writes it
    assert "fenghuo" not in stored
    assert stored.startswith("$argon2id$")
    assert await cheap.verify(stored, "fenghuo-123")
    assert not await cheap.verify(stored, "fenghuo-124")
    assert not await cheap.verify(stored, "fenghuo-123" + "x" * 1_000_000)
    assert not await cheap.verify(None, "fenghuo-123")
    assert not await cheap.verify("nothing like a hash", "fenghuo-123")
    assert not cheap.outdated(stored)
    assert Passwords().outdated(stored)


async def test_more_than_a_few_at_once_are_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "WAITING", 3)
    cheap = Passwords(CHEAP)
    done = await asyncio.gather(
        *(cheap.verify(None, "x") for _ in range(5)), return_exceptions=True
    )
    busy = [each for each in done if isinstance(each, AccountError)]
    assert [each.key for each in busy] == ["busy", "busy"]
    assert done.count(False) == 3
    assert not await cheap.verify(None, "x")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_address(address: str, place: str) -> None:
    assert throttle.place(address) == place


def request(host: str, scheme: str = "http", method: str = "POST", **headers: str) -> Request:
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request(
        {
            "type": "http",
            "method": method,
            "scheme": scheme,
            "path": "/",
            "query_string": b"",
            "server": ("127.0.0.1", 8000),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
    )


def context(public: str = "") -> Context:
    class Bare(Context):
        """The settings are all that is looked at here."""

        def __init__(self) -> None:
            object.__setattr__(self, "settings", Settings(web=Web(public_url=public)))
            object.__setattr__(self, "wall", SystemClock())

    return Bare()


@pytest.mark.parametrize(
    ("headers", "public", "good"),
    [
        ({}, "", True),  # no browser
        ({"sec_fetch_site": "same-origin"}, "", True),
        ({"sec_fetch_site": "none"}, "", True),
        ({"sec_fetch_site": "same-site", "origin": "http://127.0.0.1:8000"}, "", False),
        ({"sec_fetch_site": "cross-site"}, "", False),
        ({"origin": "http://127.0.0.1:8000"}, "", True),
        ({"origin": "https://127.0.0.1:8000"}, "", False),
        ({"origin": "http://127.0.0.1:9000"}, "", False),
        ({"origin": "null"}, "", False),
        ({"origin": "https://weather.example"}, "", False),
        ({"origin": "https://weather.example"}, "https://weather.example/", True),
        ({"origin": "https://weather.example.evil.example"}, "https://weather.example", False),
        (
            {"sec_fetch_site": "cross-site", "origin": "https://w.example"},
            "https://w.example",
            False,
        ),
    ],
)
def test_where_a_request_may_come_from(headers: dict[str, str], public: str, good: bool) -> None:
    asked = request("127.0.0.1:8000", **headers)
    if good:
        permit.same_origin(asked, context(public))
        return
    with pytest.raises(Problem) as refused:
        permit.same_origin(asked, context(public))
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("host", "scheme", "public", "good"),
    [
        ("127.0.0.1:8000", "http", "", True),
        ("localhost:8000", "http", "", True),
        ("[::1]:8000", "http", "", True),
        ("192.0.2.7:8000", "http", "", False),
        ("192.0.2.7:8000", "https", "", True),
        ("192.0.2.7:8000", "http", "https://weather.example", True),  # a proxy has the TLS
        ("127.0.0.1.example", "http", "", False),
    ],
)
def test_where_a_password_may_be_sent(host: str, scheme: str, public: str, good: bool) -> None:
    asked = request(host, scheme)
    if good:
        permit.protected(asked, context(public))
        return
    with pytest.raises(Problem) as refused:
        permit.protected(asked, context(public))
    assert refused.value.status == 403


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_role_has_a_name(language: str) -> None:
    names = Catalogue.load().table(language)["account"]["role"]
    assert set(names) == {"forecaster", "approver", "officer", "admin"}
