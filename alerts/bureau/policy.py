"""What a bureau has decided: how long, how automatic, to whom. ``policy.toml`` explains itself."""

import datetime as dt
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from alerts.bureau.durations import Duration, duration
from alerts.bureau.noise import Digest, Inhibition, Merge, Quiet, Rules, Updates
from alerts.codes import CODES
from alerts.life.evidence import Case
from alerts.life.warning import Terms

Level: TypeAlias = Literal["blue", "yellow", "orange", "red"]
Tier: TypeAlias = Literal["official", "officer", "outlet", "public"]

TIERS: tuple[Tier, ...] = ("official", "officer", "outlet", "public")
"""In the order in which they are told; an outlet is a screen, a radio, an account or a platform."""

PEOPLE: tuple[Tier, ...] = ("official", "officer", "public")
"""The tiers that are people."""


class PolicyError(Exception):
    """The policy is wrong; the message says where and why."""


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tier hears of, and when.

    lead: head start before the tiers with the shortest one. before: of what is only expected, told
    so long before its onset at the earliest; empty: as soon as the others.
    """

    levels: tuple[Level, ...]
    lead: Duration = "0m"
    before: Duration | Literal[""] = ""


class Automatic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is issued without a person; no hazards: every one.

    veto: so long it waits for somebody to stop it. exercise: in an exercise everything goes out at
    once; otherwise an exercise is like the real thing, for people to practise on.
    """

    levels: tuple[Level, ...] = ()
    hazards: tuple[str, ...] = ()
    veto: Duration = "0m"
    exercise: bool = True


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """two: the levels that need an approver who is not the author."""

    two: tuple[Level, ...] = ()


class Remind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """before: so long before its end the desk is reminded of a warning."""

    before: Duration = "30m"


class Escalation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """after: so long a group's next officer waits for the one before to answer."""

    after: Duration = "5m"


class Heads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The closed notice that goes before a warning.

    levels: sent without a person for these, when expected with ``probability`` (0 to 1) or more
    and no further ahead than ``lead``; none: by hand only. tiers, groups: who gets it.
    """

    levels: tuple[Level, ...] = ()
    tiers: tuple[Literal["official", "officer"], ...] = ("official", "officer")
    groups: tuple[str, ...] = ()
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    lead: Duration = "12h"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """When a tier is told: its place in the order, its delay, and how long before the onset."""

    tier: Tier
    order: int
    delay: dt.timedelta
    before: dt.timedelta | None = None

    def due(self, *, sent: dt.datetime, onset: dt.datetime) -> dt.datetime:
        """Give the moment, for a message and the onset it speaks of."""
        due = sent + self.delay
        return due if self.before is None else max(due, onset - self.before)


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
    approval: Approval = Approval()
    remind: Remind = Remind()
    escalation: Escalation = Escalation()
    notice: Mapping[str, Heads] = {}
    noise: Rules = Rules()

    @classmethod
    def load(cls, file: Path | None = None) -> "Policy":
        """Read a policy, the one that ships with Fenghuo when no file is given.

        Raises PolicyError for a file that cannot be read, an unknown name or a wrong value.
        """
        name = str(file) if file is not None else "policy.toml"
        try:
            text = shipped() if file is None else file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"{name}: {error}") from None
        return cls.read(text, name=name)

    @classmethod
    def read(cls, text: str, *, name: str = "policy") -> "Policy":
        """Read a policy from its text; raises PolicyError, which begins with the name."""
        try:
            return _read(tomllib.loads(text))
        except (PolicyError, msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
            raise PolicyError(f"{name}: {error}") from None

    def terms(self, hazard: str) -> Terms:
        """Give how long things last for a danger."""
        return self.special.get(hazard, self.default)

    def heads(self, hazard: str) -> Heads:
        """Give who gets a notice of a danger beforehand, and when."""
        return self.notice.get(hazard) or self.notice.get("", Heads())

    def issues(self, *, hazard: str, level: str, exercise: bool) -> bool:
        """Say whether a proposal goes out without a person."""
        if exercise and self.automatic.exercise:
            return True
        among = not self.automatic.hazards or hazard in self.automatic.hazards
        return among and level in self.automatic.levels

    def veto(self, *, exercise: bool) -> dt.timedelta:
        """Give how long what goes out without a person waits for somebody to stop it."""
        if exercise and self.automatic.exercise:
            return dt.timedelta()
        return duration(self.automatic.veto)

    def turns(self, level: str) -> list[Turn]:
        """Give who is told of a level, the first first."""
        told = [tier for tier in TIERS if tier in self.tiers and level in self.tiers[tier].levels]
        leads = {tier: duration(self.tiers[tier].lead) for tier in told}
        longest = max(leads.values(), default=dt.timedelta())
        return [
            Turn(
                tier=tier,
                order=TIERS.index(tier),
                delay=longest - leads[tier],
                before=duration(before) if (before := self.tiers[tier].before) else None,
            )
            for tier in told
        ]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    terms: dict[str, Any]
    automatic: Automatic = Automatic()
    proposals: Proposals = Proposals()
    tiers: dict[Tier, Told]
    approval: Approval = Approval()
    remind: Remind = Remind()
    escalation: Escalation = Escalation()
    notice: dict[str, Any] = {}
    quiet: Quiet = Quiet()
    digest: Digest = Digest()
    updates: Updates = Updates()
    merge: Merge = Merge()
    inhibit: tuple[Inhibition, ...] = ()


def shipped() -> str:
    """Give the text of the policy that ships with Fenghuo."""
    return files(__package__).joinpath("policy.toml").read_text("utf-8")


def _read(table: Mapping[str, Any]) -> Policy:
    file = msgspec.convert(table, _File)
    plain = {name: value for name, value in file.terms.items() if not isinstance(value, dict)}
    special = {name: value for name, value in file.terms.items() if isinstance(value, dict)}
    notice = _notice(file.notice)
    named = special.keys() | set(file.automatic.hazards) | (notice.keys() - {""})
    for rule in file.inhibit:
        named |= {*rule.hazards, *rule.mutes.hazards}
    unknown = named - CODES.keys()
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
        approval=file.approval,
        remind=file.remind,
        escalation=file.escalation,
        notice=notice,
        noise=Rules(
            quiet=file.quiet,
            digest=file.digest,
            updates=file.updates,
            merge=file.merge,
            inhibit=file.inhibit,
        ),
    )


def _notice(table: Mapping[str, Any]) -> dict[str, Heads]:
    """Read the notices: the general one under the empty name, and those of single dangers."""
    plain = {name: value for name, value in table.items() if not isinstance(value, dict)}
    special = {name: value for name, value in table.items() if isinstance(value, dict)}
    return {
        name: msgspec.convert({**plain, **changed}, Heads)
        for name, changed in {"": {}, **special}.items()
    }


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
    except ValueError as error:
        raise PolicyError(f"{where}: {error}") from None
