"""What a bureau has decided: how long, how automatic, to whom. ``policy.toml`` explains itself."""

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from alerts.codes import CODES
from alerts.evidence import Case
from alerts.warning import Terms

Level: TypeAlias = Literal["blue", "yellow", "orange", "red"]
Tier: TypeAlias = Literal["official", "officer", "public"]

TIERS: tuple[Tier, ...] = ("official", "officer", "public")
"""In the order in which they are told."""

_DURATION = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Duration: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}[mhd]$")]


class PolicyError(Exception):
    """The policy is wrong; the message says where and why."""


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tier hears of, and its head start."""

    levels: tuple[Level, ...]
    lead: Duration = "0m"


class Automatic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is issued without a person; no hazards: every one."""

    levels: tuple[Level, ...] = ()
    hazards: tuple[str, ...] = ()


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """When a tier is told: its place in the order, and its delay."""

    tier: Tier
    order: int
    delay: dt.timedelta


class Proposals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is proposed. keep: an expected level stays open down to so much of its probability.

    blue, yellow: low levels that a place is given in a season; 0: as many as there are. stations:
    beyond that, so many must carry the level where it is not met already.
    """

    keep: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.7
    blue: Annotated[int, msgspec.Meta(ge=0)] = 0
    yellow: Annotated[int, msgspec.Meta(ge=0)] = 0
    stations: Annotated[int, msgspec.Meta(ge=2)] = 2

    def limit(self, level: str) -> int:
        """Give the budget of a level; 0: it has none."""
        return {"blue": self.blue, "yellow": self.yellow}.get(level, 0)

    def allows(self, case: Case, *, used: int) -> bool:
        """Say whether an event may open where ``used`` have opened in this season."""
        limit = self.limit(case.level)
        enough = case.door == "observed" or len(case.stations) >= self.stations
        return not limit or used < limit or (case.standing == "sound" and enough)


def season(at: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Give when the season of a moment began: December, March, June or September, local time."""
    local = at.astimezone(zone)
    month = local.month // 3 * 3 or 12
    year = local.year - (local.month < 3)
    return dt.datetime(year, month, 1, tzinfo=zone)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions, checked."""

    default: Terms
    special: Mapping[str, Terms]
    automatic: Automatic
    tiers: Mapping[Tier, Told]
    proposals: Proposals = Proposals()

    @classmethod
    def load(cls, file: Path | None = None) -> "Policy":
        """Read a policy, the one that ships with Fenghuo when no file is given.

        Raises PolicyError for a file that cannot be read, an unknown name or a wrong value.
        """
        name = str(file) if file is not None else "policy.toml"
        try:
            text = (
                file.read_text("utf-8")
                if file is not None
                else files(__package__).joinpath(name).read_text("utf-8")
            )
            table = tomllib.loads(text)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PolicyError(f"{name}: {error}") from None
        try:
            return _read(table)
        except (PolicyError, msgspec.ValidationError) as error:
            raise PolicyError(f"{name}: {error}") from None

    def terms(self, hazard: str) -> Terms:
        """Give how long things last for a danger."""
        return self.special.get(hazard, self.default)

    def issues(self, *, hazard: str, level: str, exercise: bool) -> bool:
        """Say whether a proposal goes out without a person."""
        if exercise:
            return True
        among = not self.automatic.hazards or hazard in self.automatic.hazards
        return among and level in self.automatic.levels

    def turns(self, level: str) -> list[Turn]:
        """Give who is told of a level, the first first."""
        told = [tier for tier in TIERS if tier in self.tiers and level in self.tiers[tier].levels]
        leads = {tier: duration(self.tiers[tier].lead) for tier in told}
        longest = max(leads.values(), default=dt.timedelta())
        return [
            Turn(tier=tier, order=TIERS.index(tier), delay=longest - leads[tier]) for tier in told
        ]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    terms: dict[str, Any]
    automatic: Automatic = Automatic()
    proposals: Proposals = Proposals()
    tiers: dict[Tier, Told]


def duration(text: str) -> dt.timedelta:
    """Read ``30m``, ``2h`` or ``1d``; raises PolicyError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise PolicyError(f"{text!r} is no duration: write 30m, 2h or 1d")
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


def _read(table: Mapping[str, Any]) -> Policy:
    file = msgspec.convert(table, _File)
    plain = {name: value for name, value in file.terms.items() if not isinstance(value, dict)}
    special = {name: value for name, value in file.terms.items() if isinstance(value, dict)}
    unknown = (special.keys() | set(file.automatic.hazards)) - CODES.keys()
    if unknown:
        raise PolicyError(f"unknown danger {', '.join(sorted(unknown))}")
    return Policy(
        default=_terms(plain, where="terms"),
        special={
            hazard: _terms({**plain, **changed}, where=f"terms.{hazard}")
            for hazard, changed in special.items()
        },
        automatic=file.automatic,
        tiers=file.tiers,
        proposals=file.proposals,
    )


def _terms(lines: Mapping[str, Any], *, where: str) -> Terms:
    names = set(Terms.__struct_fields__)
    if lines.keys() != names:
        wrong = ", ".join(sorted(lines.keys() ^ names))
        raise PolicyError(f"{where}: missing or unknown: {wrong}")
    terms = Terms(**{name: _line(value, f"{where}.{name}") for name, value in lines.items()})
    if not terms.validity:
        raise PolicyError(f"{where}.validity must be longer than 0")
    if not terms.margin or terms.margin >= terms.validity:
        raise PolicyError(f"{where}.margin must lie between 0 and validity")
    if terms.interval >= terms.validity:
        raise PolicyError(f"{where}.interval must be shorter than validity, or messages run out")
    return terms


def _line(value: object, where: str) -> dt.timedelta:
    try:
        return duration(str(value))
    except PolicyError as error:
        raise PolicyError(f"{where}: {error}") from None
