"""Less noise: quiet hours, rest, digest, inhibition and silences, as tables."""

import datetime as dt
import zoneinfo
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from alerts.bureau.noise import (
    Digest,
    Fate,
    Hours,
    Inhibition,
    Kind,
    Manner,
    News,
    Quiet,
    Rules,
    Running,
    Silence,
    Updates,
    fate,
    following,
    inhibitors,
    quiet_until,
)
from alerts.life.evidence import LEVELS
from alerts.life.warning import identifier

BEIJING = zoneinfo.ZoneInfo("Asia/Shanghai")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def at(text: str, zone: dt.tzinfo = BEIJING) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-{text}").replace(tzinfo=zone)


def hours(since: str, until: str, *levels: str) -> Hours:
    raw = {"since": f"{since}:00", "until": f"{until}:00", "levels": levels}
    return msgspec.convert(raw, Hours)


@pytest.mark.parametrize(
    ("since", "until", "moment", "end"),
    [
        ("22:00", "07:00", "07-20T22:00", "07-21T07:00"),
        ("22:00", "07:00", "07-20T23:59", "07-21T07:00"),
        ("22:00", "07:00", "07-21T00:00", "07-21T07:00"),
        ("22:00", "07:00", "07-21T06:59:59", "07-21T07:00"),
        ("22:00", "07:00", "07-21T07:00", None),
        ("22:00", "07:00", "07-20T21:59", None),
        ("12:30", "14:00", "07-20T13:00", "07-20T14:00"),
        ("12:30", "14:00", "07-20T14:00", None),
        ("00:00", "06:00", "07-20T00:00", "07-20T06:00"),
        ("22:00", "00:00", "07-20T23:00", "07-21T00:00"),
        ("08:00", "08:00", "07-20T08:00", None),
    ],
)
def test_quiet_hours(since: str, until: str, moment: str, end: str | None) -> None:
    found = quiet_until(at(moment).astimezone(dt.UTC), hours(since, until), BEIJING)
    assert found == (None if end is None else at(end))


def test_quiet_hours_are_local_where_the_clocks_change() -> None:
    # On 29 March 2026 Berlin leaves out the hour from two to three.
    found = quiet_until(at("03-28T23:00", BERLIN), hours("22:00", "07:00"), BERLIN)
    assert found == dt.datetime(2026, 3, 29, 5, tzinfo=dt.UTC)
    afternoon = at("07-20T13:00")  # which is the night of Greenwich
    assert quiet_until(afternoon, hours("22:00", "07:00"), BEIJING) is None
    assert quiet_until(afternoon, hours("22:00", "07:00"), dt.UTC) is not None


@pytest.mark.parametrize(
    ("moment", "next_one"),
    [
        ("07-20T07:00", "07-20T08:00"), ("07-20T08:00", "07-20T08:00"),
        ("07-20T08:01", "07-20T18:00"), ("07-20T18:01", "07-21T08:00"),
    ],
)  # fmt: skip
def test_the_next_digest(moment: str, next_one: str) -> None:
    assert following(at(moment), Digest().hours, BEIJING) == at(next_one)
    assert following(at(moment), (), BEIJING) == at(moment)


def news(
    level: str = "blue", act: str = "issue", sent: str = "07-20T23:00", **more: object
) -> News:
    moment = at(sent)
    values = {"expires": moment + dt.timedelta(hours=9), **more}
    return News(act=act, level=level, sent=moment, **values)  # type: ignore[arg-type]


NIGHT = Quiet(public=hours("22:00", "07:00", "blue"))
OWN = Manner(tier="public", quiet_from=dt.time(23), quiet_until=dt.time(6))
SHORT: dict[str, Any] = {"expires": at("07-21T05:00")}


@pytest.mark.parametrize(
    ("given", "manner", "rules", "expected"),
    [
        # Nothing said: at once.
        (news(), Manner(tier="public"), Rules(), ("07-20T23:00", "", False)),
        # The bureau's hours of the tier, for the level they name.
        (news(), Manner(tier="public"), Rules(quiet=NIGHT), ("07-21T07:00", "quiet", False)),
        (news("yellow"), Manner(tier="public"), Rules(quiet=NIGHT), ("07-20T23:00", "", False)),
        (news(), Manner(tier="official"), Rules(quiet=NIGHT), ("07-20T23:00", "", False)),
        # The own hours hold everything but red.
        (news("orange"), OWN, Rules(), ("07-21T06:00", "quiet", False)),
        (news("red"), OWN, Rules(quiet=NIGHT), ("07-20T23:00", "", False)),
        # Both: the end of one may lie within the other.
        (news(), OWN, Rules(quiet=NIGHT), ("07-21T07:00", "quiet", False)),
        # What does not count any more in the morning is kept back for good.
        (news(**SHORT), OWN, Rules(), ("07-21T06:00", "quiet", True)),
        # But not the end of what somebody heard of.
        (news(act="cancel", ends=True, **SHORT), OWN, Rules(), ("07-21T06:00", "quiet", False)),
        # A closed notice is for people on duty.
        (news("orange", "notice", closed=True), OWN, Rules(), ("07-20T23:00", "", False)),
        # Least time between messages, but for what is worse.
        (
            news("yellow", "update", last=at("07-20T22:30")),
            Manner(tier="public"),
            Rules(updates=Updates(rest="1h")),
            ("07-20T23:30", "rest", False),
        ),
        (
            news("yellow", "upgrade", last=at("07-20T22:30")),
            Manner(tier="public"),
            Rules(updates=Updates(rest="1h")),
            ("07-20T23:00", "", False),
        ),
        (
            news("yellow", "update", last=at("07-20T22:30")),
            Manner(tier="outlet", digest=True),
            Rules(updates=Updates(rest="1h"), digest=Digest(levels=("yellow",))),
            ("07-20T23:00", "", False),
        ),
        # The digest of low levels.
        (news(), Manner(tier="public", digest=True), Rules(), ("07-21T08:00", "digest", True)),
        (
            news(sent="07-20T13:00"),
            Manner(tier="public", digest=True),
            Rules(),
            ("07-20T18:00", "digest", False),
        ),
        (
            news(act="cancel", ends=True, **SHORT),
            Manner(tier="public", digest=True),
            Rules(),
            ("07-21T08:00", "digest", False),
        ),
        (
            news("yellow", sent="07-20T13:00"),
            Manner(tier="public", digest=True),
            Rules(),
            ("07-20T13:00", "", False),
        ),
    ],
)
def test_when_somebody_is_told(
    given: News, manner: Manner, rules: Rules, expected: tuple[str, str, bool]
) -> None:
    found = fate(given, manner, due=given.sent, rules=rules, zone=BEIJING)
    due, reason, muted = expected
    assert (found.due, found.reason, found.muted) == (at(due), reason, muted)
    assert found.muted or found.due < found.expires


@given(
    level=some.sampled_from(LEVELS),
    act=some.sampled_from(["issue", "update", "upgrade", "downgrade", "cancel"]),
    hour=some.integers(0, 47),
    quiet=some.tuples(some.times(), some.times()),
    digest=some.booleans(),
    rest=some.sampled_from(["0m", "3h"]),
)
def test_red_and_the_end_are_never_kept_back(
    *, level: str, act: str, hour: int, quiet: tuple[dt.time, dt.time], digest: bool, rest: str
) -> None:
    sent = dt.datetime(2026, 7, 20, tzinfo=dt.UTC) + dt.timedelta(hours=hour)
    given_news = News(
        act=act, level=level, sent=sent, expires=sent + dt.timedelta(hours=2),
        ends=act == "cancel", last=sent - dt.timedelta(minutes=5),
    )  # fmt: skip
    manner = Manner(tier="public", quiet_from=quiet[0], quiet_until=quiet[1], digest=digest)
    rules = Rules(quiet=NIGHT, updates=Updates(rest=rest))
    found = fate(given_news, manner, due=sent, rules=rules, zone=BEIJING)
    assert found.due >= sent
    if level == "red":
        assert found == Fate(due=sent, expires=given_news.expires)
    if act == "cancel":
        assert not found.muted
    assert found.muted == (found.due >= found.expires)


RED = Inhibition(
    hazards=("rainstorm",),
    levels=("red",),
    mutes=Kind(hazards=("rainstorm", "lightning"), levels=("blue", "yellow")),
)
EVENT = Running(id=identifier("x"), hazard="rainstorm", level="red", region="a")


@pytest.mark.parametrize(
    ("given", "hazard", "event", "mutes"),
    [
        (news("blue"), "rainstorm", EVENT, True),
        (news("yellow"), "lightning", EVENT, True),
        (news("orange"), "lightning", EVENT, False),
        (news("red"), "lightning", EVENT, False),
        (news("yellow"), "gale", EVENT, False),
        (news("yellow", ends=True), "lightning", EVENT, False),
        (news("yellow", closed=True), "lightning", EVENT, False),
        (news("blue"), "rainstorm", msgspec.structs.replace(EVENT, level="orange"), False),
        (news("blue"), "rainstorm", msgspec.structs.replace(EVENT, hazard="gale"), False),
    ],
)
def test_inhibition(given: News, hazard: str, event: Running, *, mutes: bool) -> None:
    found = inhibitors(given, hazard=hazard, among=[event], rules=Rules(inhibit=(RED,)))
    assert found == ([event] if mutes else [])
    assert inhibitors(given, hazard=hazard, among=[event], rules=Rules()) == []


@pytest.mark.parametrize(
    ("given", "changes", "holds"),
    [
        (news("blue"), {}, True),
        (news("orange"), {}, True),
        (news("red"), {}, False),
        (news("blue", ends=True), {}, False),
        (news("blue", closed=True), {}, False),
        (news("blue"), {"hazards": ("gale",)}, True),
        (news("blue"), {"hazards": ("hail",)}, False),
        (news("blue"), {"regions": ("x",)}, False),
        (news("yellow"), {"levels": ("blue",)}, False),
        (news("blue"), {"since": at("07-20T23:01")}, False),
        (news("blue"), {"until": at("07-20T23:00")}, False),
    ],
)
def test_silences(given: News, changes: dict[str, Any], *, holds: bool) -> None:
    silence = Silence(
        id=1, hazards=(), regions=(), levels=(), tiers=(), owner="li", reason="drill",
        since=at("07-20T00:00"), until=at("07-21T00:00"),
    )  # fmt: skip
    found = msgspec.structs.replace(silence, **changes)
    assert found.holds(given, hazard="gale", region="54399") is holds
