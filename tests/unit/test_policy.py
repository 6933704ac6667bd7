"""The policy: what it decides, and how it says that it is wrong."""

import datetime as dt
from importlib.resources import files
from pathlib import Path

import pytest

from alerts.bureau.policy import Policy, PolicyError

SHIPPED = files("alerts.bureau").joinpath("policy.toml").read_text("utf-8")


def changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = SHIPPED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = tmp_path / "policy.toml"
    file.write_text(text, "utf-8")
    return file


def test_a_danger_has_its_own_terms_or_the_general_ones() -> None:
    policy = Policy.load()
    assert policy.terms("rainstorm").lower == dt.timedelta(hours=2)
    assert policy.terms("hail").validity == dt.timedelta(hours=2)
    assert policy.terms("drought").validity == dt.timedelta(days=7)


def test_everything_goes_out_in_an_exercise_only() -> None:
    policy = Policy.load()
    assert policy.issues(hazard="rainstorm", level="red", exercise=True)
    assert not policy.issues(hazard="rainstorm", level="red", exercise=False)


def test_automatic_levels_and_dangers(tmp_path: Path) -> None:
    file = changed(
        tmp_path, ("levels = []", 'levels = ["red"]'), ("hazards = []", 'hazards = ["hail"]')
    )
    policy = Policy.load(file)
    assert policy.issues(hazard="hail", level="red", exercise=False)
    assert not policy.issues(hazard="hail", level="orange", exercise=False)
    assert not policy.issues(hazard="gale", level="red", exercise=False)


def test_who_is_told_and_when(tmp_path: Path) -> None:
    every = ["official", "officer", "outlet", "public"]
    assert [turn.tier for turn in Policy.load().turns("blue")] == every
    file = changed(
        tmp_path,
        ('lead = "0m"', 'lead = "30m"'),
        ('[tiers.public]\nlevels = ["blue", ', "[tiers.public]\nlevels = ["),
    )
    policy = Policy.load(file)
    assert [turn.tier for turn in policy.turns("blue")] == ["official", "officer", "outlet"]
    delays = {turn.tier: turn.delay for turn in policy.turns("red")}
    half = dt.timedelta(minutes=30)
    assert delays == {
        "official": dt.timedelta(),
        "officer": half,
        "outlet": half,
        "public": half,
    }


PUBLIC = '[tiers.public]\nlevels = ["blue", "yellow", "orange", "red"]\nlead = "0m"'


@pytest.mark.parametrize(
    ("onset", "due"),
    [
        (6.0, 5.0),  # hours ahead: an hour before
        (1.5, 0.5),
        (0.5, 0.0),  # nearer than that: at once
        (0.0, 0.0),
        (-3.0, 0.0),  # it has come
    ],
)
def test_the_public_is_told_shortly_before_the_onset(
    tmp_path: Path, onset: float, due: float
) -> None:
    file = changed(tmp_path, (PUBLIC, PUBLIC + '\nbefore = "1h"'))
    *others, public = Policy.load(file).turns("orange")
    sent = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)
    begins = sent + dt.timedelta(hours=onset)
    assert public.due(sent=sent, onset=begins) == sent + dt.timedelta(hours=due)
    assert {turn.due(sent=sent, onset=begins) for turn in others} == {sent}


def test_a_head_start_counts_beside_the_onset(tmp_path: Path) -> None:
    file = changed(tmp_path, ('lead = "0m"', 'lead = "30m"'), (PUBLIC, PUBLIC + '\nbefore = "1h"'))
    *_, public = Policy.load(file).turns("orange")
    sent = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)
    half, hour = dt.timedelta(minutes=30), dt.timedelta(hours=1)
    assert public.due(sent=sent, onset=sent) == sent + half
    assert public.due(sent=sent, onset=sent + 3 * hour) == sent + 2 * hour


def test_notices_of_single_dangers(tmp_path: Path) -> None:
    file = changed(
        tmp_path,
        ('lead = "12h"', 'lead = "12h"\n[notice.gale]\nlead = "3h"'),
    )
    policy = Policy.load(file)
    assert policy.heads("gale").lead == "3h"
    assert policy.heads("gale").levels == policy.heads("hail").levels == ("orange", "red")
    assert policy.heads("hail").lead == "12h"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('levels = ["blue", "yellow", "orange"]', 'levels = ["red"]', r"quiet.levels"),
        ('hours = ["08:00:00", "18:00:00"]', 'hours = ["8"]', r"digest.hours"),
        ('rest = "0m"', 'rest = "no"', r"updates.rest"),
        ('mutes = {hazards = ["gale"', 'mutes = {hazards = ["gael"', "unknown danger gael"),
        ('levels = ["blue", "yellow"]}', 'levels = ["red"]}', "mutes.levels"),
        ("[[inhibit]]", "[[inhibits]]", "inhibits"),
        ('tiers = ["official", "officer"]', 'tiers = ["public"]', "public"),
        ("probability = 0.3", "probability = 50", "probability"),
        ('lead = "12h"', 'lead = "12h"\n[notice.snow]\nlead = "1h"', "unknown danger snow"),
        ('veto = "0m"', 'veto = "now"', "automatic.veto"),
        ("two = []", 'two = ["green"]', "approval.two"),
        ('lower = "2h"', 'lower = "two hours"', "terms.lower.*30m, 2h or 1d"),
        ('lower = "2h"', "lower = 2", "terms.lower"),
        ('lower = "2h"', 'lowers = "2h"', "terms: missing or unknown: lower, lowers"),
        ('validity = "6h"', 'validity = "0h"', "longer than 0"),
        ('margin = "2h"', 'margin = "6h"', "margin must lie"),
        ('interval = "3h"', 'interval = "6h"', "interval must be shorter"),
        ("[terms.hail]", "[terms.hale]", "unknown danger hale"),
        ("hazards = []", 'hazards = ["snow"]', "unknown danger snow"),
        ("levels = []", 'levels = ["green"]', "green"),
        ("[tiers.public]", "[tiers.everybody]", "everybody"),
        ('lead = "0m"', 'lead = "soon"', "lead"),
        ("[automatic]", "[automatic", "policy.toml"),
        ("[automatic]", "[automatically]", "automatically"),
    ],
)
def test_errors_are_clear(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason):
        Policy.load(changed(tmp_path, (old, new)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="nowhere"):
        Policy.load(tmp_path / "nowhere.toml")
