"""What people do with a warning: who may, when, and what becomes of it. Pure.

The table of `alerts.life.warning` says which act is possible in which state, `alerts.rights` who
may do it, and the times that a person sets are checked against each other and against the sending.
"""

import datetime as dt
import uuid
from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import UNSET

from alerts.life.changes import NOTHING, ActError, Changes, check, known, write
from alerts.life.evidence import LEVELS, rank
from alerts.life.warning import (
    BEGINNINGS,
    TRANSITIONS,
    Act,
    Led,
    State,
    Step,
    Suggestion,
    Terms,
    TransitionError,
    Warning,  # noqa: A004 - the domain's own word
    after,
    changed,
    notice,
    withdraw,
)
from alerts.rights import Person, RightsError, may

HANDS = (
    Act.DRAFT,
    Act.EDIT,
    Act.SUBMIT,
    Act.RETURN,
    Act.APPROVE,
    Act.VETO,
    Act.DISMISS,
    Act.NOTICE,
    Act.UPDATE,
    Act.UPGRADE,
    Act.DOWNGRADE,
    Act.CANCEL,
    Act.LEAD,
)
"""What a person may ask for; the rest is the watch's, or follows from these."""

WRITTEN = frozenset(
    {Act.DRAFT, Act.EDIT, Act.UPDATE, Act.UPGRADE, Act.DOWNGRADE, Act.CANCEL, Act.SUBMIT}
)
"""The acts that may carry changes of level, times, words or area."""


class StaleError(ActError):
    """Somebody else, or the watch, has changed the warning meanwhile."""

    def __init__(self, warning: Warning, version: int) -> None:
        super().__init__(
            f"this was written for version {version}; the warning is at version "
            f"{warning.version} and is {warning.state}: look at it again"
        )
        self.warning = warning


def begin(
    *,
    id: uuid.UUID,  # noqa: A002 - as the warning calls it
    hazard: str,
    region: str,
    level: str,
    exercise: bool,
    by: Person,
    at: dt.datetime,
    terms: Terms,
    changes: Changes = NOTHING,
    note: str = "",
) -> Step:
    """Draft an event that nothing was proposed for.

    exercise: said once, here, and never changed. Raises RightsError and ActError.
    """
    may(by, Act.DRAFT, region=region, author=None, two=False)
    blank = Warning(
        id=id,
        hazard=hazard,
        region=region,
        state=BEGINNINGS[Act.DRAFT],
        level=known(level),
        door="expected",
        exercise=exercise,
        opened=at,
        since=at,
        held=at,
        decided=at,
        expires=at + terms.validity,
        grounds={},
        version=0,
        led="hand",
    )
    written = write(blank, changes, author=by.name, at=at, terms=terms)
    return Step(act=Act.DRAFT, warning=changed(written), by=by, note=note)


def perform(
    warning: Warning,
    act: Act,
    *,
    version: int,
    by: Person | None,
    at: dt.datetime,
    terms: Terms,
    two: Collection[str] = (),
    changes: Changes = NOTHING,
    led: Led | None = None,
    note: str = "",
) -> tuple[Step, ...]:
    """Do what a person asks for; give the steps that follow, to be recorded together.

    version: of the warning as the person saw it. two: levels that are let out by another person
    than their author. led: who leads from now on, for the act ``lead``.

    What is approved is issued at once. Whoever was given notice of what is dismissed hears that it
    will not come. Raises StaleError, TransitionError, RightsError, and ActError where the times,
    the level or the changes do not fit.
    """
    if version != warning.version:
        raise StaleError(warning, version)
    if act not in HANDS:
        raise ActError(f"{act} is not done by hand")
    if not _possible(warning, act):
        raise TransitionError(warning.state, act)
    if changes.named and act not in WRITTEN:
        raise ActError(f"{act} takes no {', '.join(changes.named)}: edit the draft first")
    level = changes.goal(warning)
    _allow(warning, act, level, by=by, two=two)
    if by is None:  # what `_allow` has refused
        raise RightsError("signin", "sign in to do this")
    now = max(at, warning.decided)
    steps = _steps(warning, act, by=by, at=now, terms=terms, changes=changes, led=led)
    return tuple(
        msgspec.structs.replace(
            step, warning=msgspec.structs.replace(step.warning, decided=now), by=by, note=note
        )
        for step in steps
    )


def allowed(warning: Warning, person: Person | None, *, two: Collection[str] = ()) -> list[str]:
    """Give the acts that a person may do with a warning now."""
    return [
        str(act)
        for act in HANDS
        if _possible(warning, act)
        and any(
            _permitted(warning, act, level, by=person, two=two) for level in _goals(warning, act)
        )
    ]


def _goals(warning: Warning, act: Act) -> Collection[str]:
    """Give the levels that an act may lead to."""
    if act is Act.UPGRADE:
        return LEVELS[rank(warning.level) + 1 :]
    if act is Act.DOWNGRADE:
        return LEVELS[: rank(warning.level)]
    return (warning.level,)


def _permitted(
    warning: Warning, act: Act, level: str, *, by: Person | None, two: Collection[str]
) -> bool:
    try:
        _allow(warning, act, level, by=by, two=two)
    except RightsError:
        return False
    return True


def _possible(warning: Warning, act: Act) -> bool:
    """Say whether the table has the act; what waits for its veto time may be let out at once."""
    if warning.ended is not None:
        return False
    if warning.state is State.APPROVED and act is Act.APPROVE:
        return True
    return act in TRANSITIONS[warning.state]


def _allow(
    warning: Warning, act: Act, level: str, *, by: Person | None, two: Collection[str]
) -> None:
    """Raise RightsError where the person may not."""
    author: str | None = warning.author or None
    if act is Act.UPGRADE:
        asked = warning.suggestion
        fits = asked is not None and (asked.act, asked.level) == (act, level)
        # A higher level is a new statement: its author is whoever asked for it, else whoever does.
        own = by.name if by else None
        author = (asked.by or None) if asked and fits else own
    second = level in two
    if act is Act.DISMISS and warning.state is State.DRAFT and by and author == by.name:
        second = False  # nobody else has seen it yet
    may(by, act, region=warning.region, author=author, two=second)


def _steps(
    warning: Warning,
    act: Act,
    *,
    by: Person,
    at: dt.datetime,
    terms: Terms,
    changes: Changes,
    led: Led | None,
) -> tuple[Step, ...]:
    match act:
        case Act.DRAFT | Act.EDIT:
            written = write(warning, changes, author=by.name, at=at, terms=terms)
            return (_step(warning, act, written),)
        case Act.SUBMIT:
            return (_submit(warning, changes, by=by, at=at, terms=terms),)
        case Act.RETURN:
            author = warning.author or by.name
            return (_step(warning, act, warning, led="hand", author=author, veto_until=None),)
        case Act.APPROVE:
            return _approve(warning, by=by, at=at, terms=terms)
        case Act.VETO:
            return (_step(warning, act, warning, barred=warning.level, veto_until=None),)
        case Act.DISMISS:
            return _dismiss(warning, at=at)
        case Act.NOTICE:
            check(warning.onset, warning.until, at=at, terms=terms)
            return (notice(warning, at=at, terms=terms, by=by),)
        case Act.LEAD:
            return (_lead(warning, led),)
        case _:
            return (_tell(warning, act, changes, by=by, at=at, terms=terms),)


def _step(before: Warning, act: Act, written: Warning, **values: Any) -> Step:
    """Take a step by the table."""
    state = after(before.state, act)
    return Step(act=act, warning=changed(written, state=state, **values), before=before)


def _approve(warning: Warning, *, by: Person, at: dt.datetime, terms: Terms) -> tuple[Step, ...]:
    check(warning.onset, warning.until, at=at, terms=terms)
    steps: tuple[Step, ...] = ()
    if warning.state is not State.APPROVED:
        steps = (_step(warning, Act.APPROVE, warning, approver=by.name, decided=at),)
        warning = steps[0].warning
    issued = _step(
        warning,
        Act.ISSUE,
        warning,
        led="hand",
        approver=by.name,
        veto_until=None,
        barred="",
        suggestion=None,
        decided=at,
        sent=at,
        number=warning.number + 1,
        expires=warning.until or at + terms.validity,
    )
    return (*steps, issued)


def _dismiss(warning: Warning, *, at: dt.datetime) -> tuple[Step, ...]:
    """Put it away; where stations speak for it, it stays down until they no longer do."""
    steps: tuple[Step, ...] = ()
    if warning.noticed:
        steps = (withdraw(warning, at=at),)
        warning = steps[0].warning
    dismissed = _step(
        warning,
        Act.DISMISS,
        warning,
        decided=at,
        barred=warning.level,
        veto_until=None,
        suggestion=None,
        ended=None if warning.grounds else at,
    )
    return (*steps, dismissed)


def _submit(
    warning: Warning, changes: Changes, *, by: Person, at: dt.datetime, terms: Terms
) -> Step:
    """Hand on a draft; or ask that another person change the level of what is in force."""
    if not warning.published:
        if changes.named:
            raise ActError(f"submit takes no {', '.join(changes.named)}: edit the draft first")
        check(warning.onset, warning.until, at=at, terms=terms)
        return _step(warning, Act.SUBMIT, warning)
    if changes.level is UNSET or changes.named != ["level"]:
        raise ActError("to ask for a change of what is in force, say the level and nothing else")
    steps = rank(known(changes.level)) - rank(warning.level)
    act = Act.UPGRADE if steps > 0 else Act.DOWNGRADE if steps < 0 else Act.UPDATE
    asked = Suggestion(act=act, level=changes.level, since=at, by=by.name)
    return _step(warning, Act.SUBMIT, warning, suggestion=asked)


def _lead(warning: Warning, led: Led | None) -> Step:
    if led is None:
        raise ActError('say who leads from now on: {"led": "watch"} or {"led": "hand"}')
    if led == "watch" and not warning.grounds:
        raise ActError("no station speaks for it: the watch would end it at once")
    return _step(warning, Act.LEAD, warning, led=led, suggestion=None)


def _tell(
    warning: Warning, act: Act, changes: Changes, *, by: Person, at: dt.datetime, terms: Terms
) -> Step:
    """Publish what becomes of a warning in force."""
    if act is Act.CANCEL:
        return _cancel(warning, changes, by=by, at=at)
    return _say(warning, act, changes, by=by, at=at, terms=terms)


def _cancel(warning: Warning, changes: Changes, *, by: Person, at: dt.datetime) -> Step:
    wrong = [name for name in changes.named if name != "text"]
    if wrong:
        raise ActError(f"the end of a warning takes no {', '.join(wrong)}")
    return _step(
        warning,
        Act.CANCEL,
        warning,
        text=changes.words({}),
        led="hand",
        approver=by.name,
        suggestion=None,
        decided=at,
        sent=at,
        ended=at,
        number=warning.number + 1,
    )


def _say(
    warning: Warning, act: Act, changes: Changes, *, by: Person, at: dt.datetime, terms: Terms
) -> Step:
    """Publish a change of what is in force."""
    level = changes.goal(warning)
    steps = rank(level) - rank(warning.level)
    if act is Act.UPGRADE and steps <= 0:
        raise ActError(f"an upgrade rises: {level} is not above {warning.level}")
    if act is Act.DOWNGRADE and steps >= 0:
        raise ActError(f"a downgrade falls: {level} is not below {warning.level}")
    if act is Act.UPDATE and steps:
        raise ActError(f"an update keeps the level: use upgrade or downgrade for {level}")
    written = write(warning, changes, author=by.name, at=at, terms=terms)
    return _step(
        warning,
        act,
        written,
        # What was written for another level is not said again.
        text=changes.words(warning.text if act is Act.UPDATE else {}),
        approver=by.name,
        suggestion=None,
        decided=at,
        sent=at,
        number=warning.number + 1,
    )
