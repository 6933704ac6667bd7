"""Less noise: when somebody is told, and what is kept back. Pure: no clock, no database.

What is red is never kept back, and neither is the end of what somebody heard of.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from alerts.bureau.durations import Duration, duration

Low: TypeAlias = Literal["blue", "yellow", "orange"]
"""The levels that can be kept back."""

LATE = dt.timedelta(hours=2)
"""How long the news of an end counts that has waited for the morning."""

CALM = frozenset({"update", "downgrade"})
"""The acts that bring nothing worse."""


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Quiet hours by local time, over midnight where ``until`` is not later than ``since``."""

    since: dt.time
    until: dt.time
    levels: tuple[Low, ...]


class Quiet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """levels: what waits for the end of the hours that a recipient chose; by tier: the bureau's."""

    levels: tuple[Low, ...] = ("blue", "yellow", "orange")
    official: Hours | None = None
    officer: Hours | None = None
    outlet: Hours | None = None
    public: Hours | None = None

    def hours(self, tier: str) -> Hours | None:
        """Give the hours of a tier."""
        found: Hours | None = getattr(self, tier)
        return found


class Digest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is gathered into one message, for whoever wants that, and when (local time)."""

    levels: tuple[Low, ...] = ("blue",)
    hours: tuple[dt.time, ...] = (dt.time(8), dt.time(18))


class Updates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """rest: least time between a message and one that brings nothing worse."""

    rest: Duration = "0m"


class Merge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """regions: what is decided for several regions at once is said once to each person."""

    regions: bool = True


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dangers at levels."""

    hazards: tuple[str, ...]
    levels: tuple[Low, ...]


class Inhibition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes lower news of the same place needless to whoever heard of it."""

    hazards: tuple[str, ...]
    levels: tuple[Literal["yellow", "orange", "red"], ...]
    mutes: Kind


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    quiet: Quiet = Quiet()
    digest: Digest = Digest()
    updates: Updates = Updates()
    merge: Merge = Merge()
    inhibit: tuple[Inhibition, ...] = ()


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a recipient wants to be told; quiet hours by local time."""

    tier: str
    quiet_from: dt.time | None = None
    quiet_until: dt.time | None = None
    digest: bool = False


class News(msgspec.Struct, frozen=True, kw_only=True):
    """A message as far as it matters here.

    closed: a notice that not everybody gets; last: when the event's message before was sent.
    """

    act: str
    level: str
    sent: dt.datetime
    expires: dt.datetime
    ends: bool = False
    closed: bool = False
    last: dt.datetime | None = None


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a message for one manner; reason: why it waits or is muted."""

    due: dt.datetime
    expires: dt.datetime
    muted: bool = False
    reason: str = ""


def fate(news: News, manner: Manner, *, due: dt.datetime, rules: Rules, zone: dt.tzinfo) -> Fate:
    """Decide when a recipient is told, of what would be due at ``due`` by the tier alone.

    What waits is told if it still counts then, and muted otherwise; the end counts for ``LATE``
    after the wait. News red or closed waits for nothing.
    """
    if news.level == "red" or news.closed:
        return Fate(due=due, expires=news.expires)
    reason = ""
    person = manner.tier != "outlet"  # screens and platforms show what stands at any time
    if person and news.act in CALM and news.last is not None:
        rested = news.last + duration(rules.updates.rest)
        if rested > due:
            due, reason = rested, "rest"
    if person and manner.digest and news.level in rules.digest.levels:
        due, reason = following(due, rules.digest.hours, zone), "digest"
    for hours in _hours(manner, rules.quiet):
        waits = news.level in hours.levels and quiet_until(due, hours, zone)
        if waits:
            due, reason = waits, reason or "quiet"
    if due < news.expires:
        return Fate(due=due, expires=news.expires, reason=reason)
    if news.ends:
        return Fate(due=due, expires=due + LATE, reason=reason)
    return Fate(due=due, expires=news.expires, muted=True, reason=reason)


def _hours(manner: Manner, quiet: Quiet) -> list[Hours]:
    found = [quiet.hours(manner.tier)]
    if manner.quiet_from is not None and manner.quiet_until is not None:
        own = Hours(since=manner.quiet_from, until=manner.quiet_until, levels=quiet.levels)
        found.append(own)
    # The end of one may lie within the other.
    return [hours for hours in found if hours is not None] * 2


def quiet_until(at: dt.datetime, hours: Hours, zone: dt.tzinfo) -> dt.datetime | None:
    """Give when the quiet hours that hold ``at`` end; None outside of them.

    Hours that end when they begin are none.
    """
    if hours.since == hours.until:
        return None
    local = at.astimezone(zone)
    for day in (local.date() - dt.timedelta(days=1), local.date()):
        start = dt.datetime.combine(day, hours.since, zone)
        over = hours.until <= hours.since
        end = dt.datetime.combine(day + dt.timedelta(days=over), hours.until, zone)
        if start <= local < end:
            return end.astimezone(dt.UTC)
    return None


def following(at: dt.datetime, hours: Sequence[dt.time], zone: dt.tzinfo) -> dt.datetime:
    """Give the first of these local times that is not before ``at``; without any, ``at``."""
    local = at.astimezone(zone)
    days = (local.date(), local.date() + dt.timedelta(days=1))
    moments = [dt.datetime.combine(day, hour, zone) for day in days for hour in hours]
    return min((one for one in moments if one >= local), default=local).astimezone(dt.UTC)


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """An event in force, as far as it can make other news needless."""

    id: uuid.UUID
    hazard: str
    level: str
    region: str


def inhibitors(news: News, *, hazard: str, among: Sequence[Running], rules: Rules) -> list[Running]:
    """Give the events that make this news needless, if they are of the same place."""
    if news.level == "red" or news.ends or news.closed:
        return []
    return [
        event
        for event in among
        if any(
            event.hazard in rule.hazards
            and event.level in rule.levels
            and hazard in rule.mutes.hazards
            and news.level in rule.mutes.levels
            for rule in rules.inhibit
        )
    ]


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody does not want said for a while; empty: every danger, region, tier.

    Red cannot be silenced, whatever stands in ``levels``.
    """

    id: int
    hazards: tuple[str, ...]
    regions: tuple[str, ...]
    levels: tuple[str, ...]
    tiers: tuple[str, ...]
    owner: str
    reason: str
    since: dt.datetime
    until: dt.datetime

    def holds(self, news: News, *, hazard: str, region: str) -> bool:
        """Say whether it holds a message back: never what is red, an end, or a closed notice."""
        if news.level == "red" or news.ends or news.closed:
            return False
        return (
            self.since <= news.sent < self.until
            and (not self.hazards or hazard in self.hazards)
            and (not self.regions or region in self.regions)
            and (not self.levels or news.level in self.levels)
        )
