"""The life of a warning, and the decision what to say next. Pure: no clock, no database.

One warning is one event: a danger at a place, through all its levels, from the first message to
the last. Every time here is the readings' own.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec

from alerts.evidence import LEVELS, Case, Door, Evidence, Standing, rank


class State(StrEnum):
    """Where a warning stands."""

    PROPOSED = "proposed"
    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    ISSUED = "issued"
    DISMISSED = "dismissed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Act(StrEnum):
    """What is done with a warning."""

    PROPOSE = "propose"
    DRAFT = "draft"
    SUBMIT = "submit"
    RETURN = "return"
    APPROVE = "approve"
    DISMISS = "dismiss"
    ISSUE = "issue"
    UPDATE = "update"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    KEEP = "keep"
    CANCEL = "cancel"
    EXPIRE = "expire"


TRANSITIONS: Mapping[State, Mapping[Act, State]] = MappingProxyType(
    {
        State.PROPOSED: {
            Act.KEEP: State.PROPOSED,
            Act.DRAFT: State.DRAFT,
            Act.APPROVE: State.APPROVED,
            Act.DISMISS: State.DISMISSED,
        },
        State.DRAFT: {
            Act.KEEP: State.DRAFT,
            Act.SUBMIT: State.SUBMITTED,
            Act.DISMISS: State.DISMISSED,
        },
        State.SUBMITTED: {
            Act.KEEP: State.SUBMITTED,
            Act.RETURN: State.DRAFT,
            Act.APPROVE: State.APPROVED,
            Act.DISMISS: State.DISMISSED,
        },
        State.APPROVED: {
            Act.KEEP: State.APPROVED,
            Act.RETURN: State.DRAFT,
            Act.ISSUE: State.ISSUED,
            Act.DISMISS: State.DISMISSED,
        },
        State.ISSUED: {
            Act.KEEP: State.ISSUED,
            Act.UPDATE: State.ISSUED,
            Act.UPGRADE: State.ISSUED,
            Act.DOWNGRADE: State.ISSUED,
            Act.CANCEL: State.CANCELLED,
            Act.EXPIRE: State.EXPIRED,
        },
        State.DISMISSED: {},
        State.CANCELLED: {},
        State.EXPIRED: {},
    }
)
"""Every step a warning can take; what is not here is refused."""

PUBLISHING = frozenset({Act.ISSUE, Act.UPDATE, Act.UPGRADE, Act.DOWNGRADE, Act.CANCEL, Act.EXPIRE})
"""The acts that people hear of."""

ENDING = frozenset({Act.CANCEL, Act.EXPIRE})
"""The acts that tell people it is over."""


class TransitionError(Exception):
    """The warning cannot take this step."""

    def __init__(self, state: State, act: Act) -> None:
        super().__init__(f"a warning that is {state} cannot {act}")
        self.state = state
        self.act = act


def after(state: State, act: Act) -> State:
    """Give the state that an act leads to; raises TransitionError."""
    try:
        return TRANSITIONS[state][act]
    except KeyError:
        raise TransitionError(state, act) from None


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """When a level was last seen to be met, and by what.

    onset: when the condition was met, or is expected to be; seen: the moment it was decided on.
    unsure: what speaks for the level ``higher``, which is lone or doubtful as ``doubt`` says.
    used, radar: as in `Case`.
    """

    seen: dt.datetime
    onset: dt.datetime
    door: Door
    evidence: tuple[Evidence, ...]
    standing: Standing = "sound"
    higher: str = ""
    doubt: Standing = "sound"
    unsure: tuple[Evidence, ...] = ()
    used: int | None = None
    radar: dt.datetime | None = None

    @classmethod
    def of(cls, case: Case, *, at: dt.datetime) -> "Ground":
        """Make it of what is known at a moment."""
        unsure = case.unsure if case.unsure and not case.unsure.fading else None
        return cls(
            seen=at,
            onset=case.begins,
            door=case.door,
            evidence=case.evidence,
            standing=case.standing,
            higher=unsure.level if unsure else "",
            doubt=unsure.standing if unsure else "sound",
            unsure=unsure.evidence if unsure else (),
            used=case.used,
            radar=case.radar,
        )


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How long things last, for one danger; `alerts.policy` gives them.

    lower: a level stands this long after it was last met.
    end: with nothing met at all for this long, the warning ends.
    validity: how long a message counts.
    margin: a message is renewed when no more than this is left of its validity.
    interval: least time between messages that bring no new level.
    """

    lower: dt.timedelta = dt.timedelta(hours=2)
    end: dt.timedelta = dt.timedelta(hours=2)
    validity: dt.timedelta = dt.timedelta(hours=6)
    margin: dt.timedelta = dt.timedelta(hours=2)
    interval: dt.timedelta = dt.timedelta(hours=3)


class Warning(msgspec.Struct, frozen=True, kw_only=True):  # noqa: A001 - the domain's own word
    """The present state of one event.

    opened: when its first level was reached; since: when its present level was.
    held: when any criterion was last seen to be met; decided: the last moment that was looked at.
    sent: time of the newest message, `number` of them in all; expires: end of its validity.
    grounds: for each level that was met, the newest ground.
    """

    id: uuid.UUID
    hazard: str
    region: str
    state: State
    level: str
    door: Door
    exercise: bool
    opened: dt.datetime
    since: dt.datetime
    held: dt.datetime
    decided: dt.datetime
    expires: dt.datetime
    sent: dt.datetime | None = None
    ended: dt.datetime | None = None
    number: int = 0
    grounds: Mapping[str, Ground]

    @property
    def ground(self) -> Ground:
        """Give what the present level rests on."""
        return self.grounds[self.level]

    @property
    def supporters(self) -> frozenset[str]:
        """Names of the stations whose silence leaves the level undecided."""
        return frozenset(
            item.station for ground in self.grounds.values() for item in ground.evidence
        )


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided: the act, and the warning after it."""

    act: Act
    warning: Warning

    @property
    def publishes(self) -> bool:
        """Say whether people hear of it."""
        return self.act in PUBLISHING


_NAMESPACE = uuid.UUID("5d3ce0b5-2f6a-5f0b-9c7e-0d2a5a1b7f10")


def identifier(*parts: object) -> uuid.UUID:
    """Give the same id for the same parts, so that deciding twice cannot publish twice."""
    return uuid.uuid5(_NAMESPACE, "/".join(map(str, parts)))


def advance(
    running: Warning | None,
    case: Case | None,
    *,
    at: dt.datetime,
    complete: bool,
    terms: Terms,
    exercise: bool,
    automatic: bool = True,
) -> Step | None:
    """Decide what follows from what is known at ``at``; None when nothing does.

    running: the event of this danger and place that has not ended.
    case: the highest level that is met or expected now.
    complete: the stations that supported the event have reported up to ``at``, or have been
        silent for too long to be waited for. Until then no level falls.
    automatic: issue without a person; otherwise it remains a proposal.

    What is lone or doubtful opens a proposal at most, and raises nothing that people have heard
    of; confirmed by the next reading or a second station it goes out, where it is automatic.
    What fades opens nothing, but holds what stands.

    A level rises at once. It falls when it was not met for ``terms.lower``, to the highest level
    that was met within that time; the event ends when nothing was met for ``terms.end``. A message
    is renewed when it would expire before its level falls; without data it is not, and expires.
    Raises ValueError where the case and the event are not of the same danger and place.
    """
    if running is None:
        if case is None or case.fading:
            return None
        return _open(case, at, terms, exercise=exercise, automatic=automatic and case.firm)
    if case is not None and (case.hazard, case.region) != (running.hazard, running.region):
        raise ValueError(f"{case.hazard} at {case.region} is not this warning")
    if at < running.decided:
        return None  # late news of a moment that has been decided changes nothing
    if case is not None and case.firm and automatic and running.state is State.PROPOSED:
        return _confirm(running, case, at, terms)
    return _follow(_note(running, _believed(running, case), at), at, terms, complete=complete)


def _follow(known: Warning, at: dt.datetime, terms: Terms, *, complete: bool) -> Step:
    """Let what is known take its course."""
    level = _standing(known, at, terms)
    if rank(level) > rank(known.level):
        return _move(known, Act.UPGRADE, level, at, terms)
    if complete and at - known.held >= terms.end:
        return _end(known, Act.CANCEL, at)
    # What is waited for in vain holds a level no longer than its last message said.
    if level != known.level and (complete or at >= known.expires):
        return _move(known, Act.DOWNGRADE, level, at, terms)
    if _published(known):
        if _renewal_due(known, at, terms):
            return _say(known, Act.UPDATE, at, terms)
        if at >= known.expires:
            return _end(known, Act.EXPIRE, at)
    return Step(act=Act.KEEP, warning=known)


def _open(case: Case, at: dt.datetime, terms: Terms, *, exercise: bool, automatic: bool) -> Step:
    ground = Ground.of(case, at=at)
    proposed = Warning(
        id=identifier("warning", exercise, case.hazard, case.region, at.isoformat()),
        hazard=case.hazard,
        region=case.region,
        state=State.PROPOSED,
        level=case.level,
        door=case.door,
        exercise=exercise,
        opened=at,
        since=at,
        held=at,
        decided=at,
        expires=at + terms.validity,
        grounds={case.level: ground},
    )
    if not automatic:
        return Step(act=Act.PROPOSE, warning=proposed)
    approved = msgspec.structs.replace(proposed, state=after(proposed.state, Act.APPROVE))
    return _say(approved, Act.ISSUE, at, terms)


def _confirm(running: Warning, case: Case, at: dt.datetime, terms: Terms) -> Step:
    """Issue what has waited, at the level that is sound; what was in doubt is left behind."""
    approved = msgspec.structs.replace(
        running,
        state=after(running.state, Act.APPROVE),
        level=case.level,
        door=case.door,
        since=at,
        held=at,
        decided=at,
        grounds={case.level: Ground.of(case, at=at)},
    )
    return _say(approved, Act.ISSUE, at, terms)


def _believed(running: Warning, case: Case | None) -> Case | None:
    """Give what counts for an event: what is not firm raises nothing that people have heard of.

    What is lone or fades holds the level that stands, what is doubtful holds nothing.
    """
    if case is None or (case.firm and case.unsure is None):
        return case
    if not _published(running):
        return case if case.firm or not case.fading else _capped(case, running.level)
    unsure = case.unsure if case.firm else case
    if unsure is None or unsure.standing == "doubtful":
        return case if case.firm else None
    held = _capped(unsure, running.level)
    # What holds a level above the one that is sure stands for both.
    return held if not case.firm or rank(held.level) > rank(case.level) else case


def _capped(case: Case, level: str) -> Case:
    lower = min(case.level, level, key=rank)
    return msgspec.structs.replace(case, level=lower)


def _note(running: Warning, case: Case | None, at: dt.datetime) -> Warning:
    """Remember what is met now."""
    if case is None:
        return msgspec.structs.replace(running, decided=at)
    ground = Ground.of(case, at=at)
    grounds = {**running.grounds, case.level: ground}
    door = case.door if case.level == running.level else running.door
    return msgspec.structs.replace(running, grounds=grounds, held=at, decided=at, door=door)


def _standing(warning: Warning, at: dt.datetime, terms: Terms) -> str:
    """Give the highest level met within ``terms.lower``; the present one when there is none."""
    standing = [
        level
        for level in LEVELS
        if level in warning.grounds and at - warning.grounds[level].seen < terms.lower
    ]
    return standing[-1] if standing else warning.level


def _published(warning: Warning) -> bool:
    return warning.state is State.ISSUED


def _renewal_due(warning: Warning, at: dt.datetime, terms: Terms) -> bool:
    """Say whether the newest message ends soon, and before the level that it speaks of."""
    rested = warning.sent is None or at - warning.sent >= terms.interval
    until = warning.ground.seen + max(terms.lower, terms.end)
    return rested and warning.expires - at <= terms.margin and at < until >= warning.expires


def _move(warning: Warning, act: Act, level: str, at: dt.datetime, terms: Terms) -> Step:
    """Go to another level, with what it rests on."""
    door = warning.grounds[level].door
    moved = msgspec.structs.replace(warning, level=level, door=door, since=at)
    if not _published(warning):
        return Step(act=Act.KEEP, warning=moved)
    return _say(moved, act, at, terms)


def _say(warning: Warning, act: Act, at: dt.datetime, terms: Terms) -> Step:
    said = msgspec.structs.replace(
        warning,
        state=after(warning.state, act),
        sent=at,
        number=warning.number + 1,
        expires=at + terms.validity,
    )
    return Step(act=act, warning=said)


def _end(warning: Warning, act: Act, at: dt.datetime) -> Step:
    if not _published(warning):
        state = after(warning.state, Act.DISMISS)
        return Step(
            act=Act.DISMISS, warning=msgspec.structs.replace(warning, state=state, ended=at)
        )
    ended = msgspec.structs.replace(
        warning, state=after(warning.state, act), sent=at, ended=at, number=warning.number + 1
    )
    return Step(act=act, warning=ended)
