"""The policy: what it decides, and how it says that it is wrong."""

import datetime as dt
from importlib.resources import files
from pathlib import Path

import pytest

from alerts.policy import Policy, PolicyError

SHIPPED = files("alerts").joinpath("policy.toml").read_text("utf-8")


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
    assert [turn.tier for turn in Policy.load().turns("blue")] == ["official", "officer", "public"]
    file = changed(
        tmp_path,
        ('lead = "0m"', 'lead = "30m"'),
        ('[tiers.public]\nlevels = ["blue", ', "[tiers.public]\nlevels = ["),
    )
    policy = Policy.load(file)
    assert [turn.tier for turn in policy.turns("blue")] == ["official", "officer"]
    delays = {turn.tier: turn.delay for turn in policy.turns("red")}
    half = dt.timedelta(minutes=30)
    assert delays == {"official": dt.timedelta(), "officer": half, "public": half}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
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
