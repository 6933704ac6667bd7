"""The life of a warning: its states, the acts that lead from one to the next, what is known of it.

One warning is one event: a danger at a place, through all its levels, from the first message to
the last. `alerts.life.course` decides what the watch does with it, `alerts.life.acts` what a
person does.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from alerts.life.evidence import Case, Door, Evidence, Standing
from alerts.rights import Person

Led: TypeAlias = Literal["watch", "hand"]

_PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
"""Words without control characters, but for tabs and ends of lines."""


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
    EDIT = "edit"
    SUBMIT = "submit"
    RETURN = "return"
    APPROVE = "approve"
    VETO = "veto"
    DISMISS = "dismiss"
    NOTICE = "notice"
    WITHDRAW = "withdraw"
    ISSUE = "issue"
    UPDATE = "update"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    KEEP = "keep"
    LEAD = "lead"
    REMIND = "remind"
    CANCEL = "cancel"
    EXPIRE = "expire"


BEGINNINGS: Mapping[Act, State] = MappingProxyType(
    {Act.PROPOSE: State.PROPOSED, Act.DRAFT: State.DRAFT}
)
"""How an event begins: proposed by the watch, or drafted by a person."""

TRANSITIONS: Mapping[State, Mapping[Act, State]] = MappingProxyType(
    {
        State.PROPOSED: {
            Act.KEEP: State.PROPOSED,
            Act.LEAD: State.PROPOSED,
            Act.NOTICE: State.PROPOSED,
            Act.WITHDRAW: State.PROPOSED,
            Act.DRAFT: State.DRAFT,
            Act.APPROVE: State.APPROVED,
            Act.DISMISS: State.DISMISSED,
        },
        State.DRAFT: {
            Act.KEEP: State.DRAFT,
            Act.EDIT: State.DRAFT,
            Act.NOTICE: State.DRAFT,
            Act.WITHDRAW: State.DRAFT,
            Act.SUBMIT: State.SUBMITTED,
            Act.DISMISS: State.DISMISSED,
        },
        State.SUBMITTED: {
            Act.KEEP: State.SUBMITTED,
            Act.NOTICE: State.SUBMITTED,
            Act.WITHDRAW: State.SUBMITTED,
            Act.RETURN: State.DRAFT,
            Act.APPROVE: State.APPROVED,
            Act.DISMISS: State.DISMISSED,
        },
        State.APPROVED: {
            Act.KEEP: State.APPROVED,
            Act.NOTICE: State.APPROVED,
            Act.WITHDRAW: State.APPROVED,
            Act.PROPOSE: State.PROPOSED,
            Act.VETO: State.PROPOSED,
            Act.RETURN: State.DRAFT,
            Act.ISSUE: State.ISSUED,
            Act.DISMISS: State.DISMISSED,
        },
        State.ISSUED: {
            Act.KEEP: State.ISSUED,
            Act.LEAD: State.ISSUED,
            Act.REMIND: State.ISSUED,
            Act.SUBMIT: State.ISSUED,
            Act.UPDATE: State.ISSUED,
            Act.UPGRADE: State.ISSUED,
            Act.DOWNGRADE: State.ISSUED,
            Act.CANCEL: State.CANCELLED,
            Act.EXPIRE: State.EXPIRED,
        },
        State.DISMISSED: {
            Act.KEEP: State.DISMISSED,
            Act.PROPOSE: State.PROPOSED,
            Act.DRAFT: State.DRAFT,
        },
        State.CANCELLED: {},
        State.EXPIRED: {},
    }
)
"""Every step a warning can take until it has ended; what is not here is refused."""

PUBLISHING = frozenset({Act.ISSUE, Act.UPDATE, Act.UPGRADE, Act.DOWNGRADE, Act.CANCEL, Act.EXPIRE})
"""The acts that people hear of."""

CLOSED = frozenset({Act.NOTICE, Act.WITHDRAW})
"""The acts that only those hear of whom the policy names: the heads-up before a warning."""

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
    """How long things last, for one danger; `alerts.bureau.policy` gives them.

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


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """A person's own wording in one language; what is empty is written by the templates."""

    headline: Annotated[str, Meta(max_length=160, pattern=_PLAIN)] = ""
    description: Annotated[str, Meta(max_length=4_000, pattern=_PLAIN)] = ""
    instruction: Annotated[str, Meta(max_length=2_000, pattern=_PLAIN)] = ""
    sms: Annotated[str, Meta(max_length=500, pattern=_PLAIN)] = ""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody else would do with an event; by: whoever asks for it, empty: the watch."""

    act: Act
    level: str
    since: dt.datetime
    by: str = ""
    note: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A heads-up that was sent; number: of its message in the chain; by: empty: the watch."""

    number: int
    level: str
    at: dt.datetime
    by: str = ""
    withdrawn: bool = False


class Warning(msgspec.Struct, frozen=True, kw_only=True):  # noqa: A001 - the domain's own word
    """The present state of one event.

    opened: when its first level was reached; since: when its present level was.
    held: when any criterion was last seen to be met; decided: the last moment that was looked at.
    sent: time of the newest message, `number` of them in all; expires: end of its validity.
    grounds: for each level that was met, the newest ground; none for what a person foresees.
    version: counts the changes that people see; what the watch merely notes is none.
    led: who decides what becomes of it. author: who wrote it, empty: the watch; approver: who let
    it out. veto_until: an automatic one waits until then. barred: the watch issues nothing up to
    this level, because a person stopped it; empty: no level.
    reminded: number of the message whose end the desk was reminded of.
    onset, until, text, area: what a person set: times, wording by language, a GeoJSON polygon.
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
    version: int = 1
    led: Led = "watch"
    author: str = ""
    approver: str = ""
    veto_until: dt.datetime | None = None
    barred: str = ""
    suggestion: Suggestion | None = None
    reminded: int = 0
    onset: dt.datetime | None = None
    until: dt.datetime | None = None
    text: Mapping[str, Own] = {}
    area: dict[str, Any] | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def ground(self) -> Ground:
        """Give what the present level rests on; no evidence where a person foresees it."""
        found = self.grounds.get(self.level)
        if found is not None:
            return found
        return Ground(seen=self.since, onset=self.onset or self.since, door=self.door, evidence=())

    @property
    def published(self) -> bool:
        """Whether it is in force."""
        return self.state is State.ISSUED

    @property
    def noticed(self) -> bool:
        """Whether somebody was told of it beforehand and not that it will not come."""
        return any(not notice.withdrawn for notice in self.notices)

    @property
    def supporters(self) -> frozenset[str]:
        """Names of the stations whose silence leaves the level undecided."""
        return frozenset(
            item.station for ground in self.grounds.values() for item in ground.evidence
        )


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided: the act, and the warning after it.

    before: the warning before it, None at the beginning. by: None for the watch.
    """

    act: Act
    warning: Warning
    before: Warning | None = None
    by: Person | None = None
    note: str = ""

    @property
    def publishes(self) -> bool:
        """Say whether people hear of it."""
        return self.act in PUBLISHING

    @property
    def closed(self) -> bool:
        """Say whether only those hear of it who are told beforehand."""
        return self.act in CLOSED

    @property
    def changes(self) -> bool:
        """Say whether it is more than a note of what was seen."""
        version = self.before.version if self.before else 0
        return self.act is not Act.KEEP or self.warning.version != version


_NAMESPACE = uuid.UUID("5d3ce0b5-2f6a-5f0b-9c7e-0d2a5a1b7f10")


def identifier(*parts: object) -> uuid.UUID:
    """Give the same id for the same parts, so that deciding twice cannot publish twice."""
    return uuid.uuid5(_NAMESPACE, "/".join(map(str, parts)))


def changed(warning: Warning, **values: Any) -> Warning:
    """Give the warning with other values, as its next version."""
    return msgspec.structs.replace(warning, version=warning.version + 1, **values)


def notice(
    warning: Warning, *, at: dt.datetime, terms: Terms, by: Person | None = None, note: str = ""
) -> Step:
    """Tell those whom the policy names before it is published; raises TransitionError."""
    number, until = warning.number + 1, warning.until
    name = by.name if by else ""
    told = changed(
        warning,
        state=after(warning.state, Act.NOTICE),
        sent=at,
        number=number,
        decided=max(warning.decided, at),
        expires=until if until and until > at else max(warning.expires, at + terms.validity),
        notices=(
            *warning.notices,
            Notice(number=number, level=warning.level, at=at, by=name),
        ),
    )
    return Step(act=Act.NOTICE, warning=told, before=warning, by=by, note=note)


def withdraw(
    warning: Warning, *, at: dt.datetime, by: Person | None = None, note: str = ""
) -> Step:
    """Tell those who had a notice that it will not come; raises TransitionError."""
    told = changed(
        warning,
        state=after(warning.state, Act.WITHDRAW),
        sent=at,
        number=warning.number + 1,
        decided=max(warning.decided, at),
        notices=tuple(
            msgspec.structs.replace(notice, withdrawn=True) for notice in warning.notices
        ),
    )
    return Step(act=Act.WITHDRAW, warning=told, before=warning, by=by, note=note)
