"""What the watch does with a warning, moment by moment. Pure: no clock, no database.

Every time here is the readings' own. An event that a person leads is never changed here: what the
watch would do with it is suggested, and at its end it expires.
"""

import datetime as dt
from collections.abc import Collection
from typing import Any

import msgspec

from alerts.life.evidence import LEVELS, Case, rank
from alerts.life.warning import (
    Act,
    Ground,
    State,
    Step,
    Suggestion,
    Terms,
    Warning,  # noqa: A004 - the domain's own word
    after,
    changed,
    identifier,
    withdraw,
)

REMIND = dt.timedelta(minutes=30)
"""So long before its end the desk is reminded of a warning, unless the policy says otherwise."""

_NONE = dt.timedelta()


def advance(
    running: Warning | None,
    case: Case | None,
    *,
    at: dt.datetime,
    complete: bool,
    terms: Terms,
    exercise: bool,
    automatic: Collection[str] = LEVELS,
    veto: dt.timedelta = _NONE,
    remind: dt.timedelta = REMIND,
) -> Step | None:
    """Decide what follows from what is known at ``at``; None when nothing does.

    running: the event of this danger and place that has not ended.
    case: the highest level that is met or expected now.
    complete: the stations that supported the event have reported up to ``at``, or have been
        silent for too long to be waited for. Until then no level falls.
    automatic: the levels that are issued without a person; the others remain proposals.
    veto: so long an automatic one waits for somebody to stop it.
    remind: so long before its end the desk is reminded of what nobody prolongs.

    What is lone or doubtful opens a proposal at most, and raises nothing that people have heard
    of; confirmed by the next reading or a second station it goes out, where it is automatic.
    What fades opens nothing, but holds what stands.

    A level rises at once, where it is automatic. It falls when it was not met for ``terms.lower``,
    to the highest level that was met within that time; the event ends when nothing was met for
    ``terms.end``. A message is renewed when it would expire before its level falls; without data
    it is not, and expires. What a person stopped stays down until its cause has gone away, or has
    risen above the level that was stopped.
    Raises ValueError where the case and the event are not of the same danger and place.
    """
    if running is None:
        if case is None or case.fading:
            return None
        return _open(case, at, terms, exercise=exercise, automatic=automatic, veto=veto)
    if case is not None and (case.hazard, case.region) != (running.hazard, running.region):
        raise ValueError(f"{case.hazard} at {case.region} is not this warning")
    if at < running.decided:
        return None  # late news of a moment that has been decided changes nothing
    if running.state is State.DISMISSED:
        step = _rest(running, case, at, terms, complete=complete)
    elif running.led == "hand":
        known = _note(running, _believed(running, case), at)
        step = _tend(known, at, terms, complete=complete, remind=remind)
    elif (due := _due(running, case, automatic)) is not None:
        step = _release(running, due, at, terms, veto=veto)
    else:
        known = _note(running, _believed(running, case), at)
        step = _follow(known, at, terms, complete=complete, automatic=automatic, remind=remind)
    return msgspec.structs.replace(step, before=running)


def tend(
    running: Warning, *, at: dt.datetime, terms: Terms, remind: dt.timedelta = REMIND
) -> Step | None:
    """Bring an event to its end that no readings speak for, such as an exercise written by hand."""
    if at < running.decided:
        return None
    noted = msgspec.structs.replace(running, decided=at)
    if running.state is State.DISMISSED:
        return Step(act=Act.KEEP, warning=msgspec.structs.replace(noted, ended=at), before=running)
    step = _tend(noted, at, terms, complete=False, remind=remind)
    return msgspec.structs.replace(step, before=running)


def _open(
    case: Case,
    at: dt.datetime,
    terms: Terms,
    *,
    exercise: bool,
    automatic: Collection[str],
    veto: dt.timedelta,
) -> Step:
    """Propose it; where it is automatic and nobody is waited for, issue it at once."""
    proposed = Warning(
        id=identifier("warning", exercise, case.hazard, case.region, at.isoformat()),
        hazard=case.hazard,
        region=case.region,
        state=State.PROPOSED,
        exercise=exercise,
        opened=at,
        expires=at + terms.validity,
        **_seen(case, at),
    )
    if not (case.firm and case.level in automatic) or veto:
        return Step(act=Act.PROPOSE, warning=proposed)
    approved = msgspec.structs.replace(proposed, state=after(proposed.state, Act.APPROVE))
    return _say(approved, Act.ISSUE, at, terms)


def _seen(case: Case, at: dt.datetime) -> dict[str, Any]:
    """Give what an event is that rests on this alone."""
    return {
        "level": case.level,
        "door": case.door,
        "since": at,
        "held": at,
        "decided": at,
        "grounds": {case.level: Ground.of(case, at=at)},
    }


def _due(running: Warning, case: Case | None, automatic: Collection[str]) -> Case | None:
    """Give what the watch issues of an event that has waited."""
    if running.state is not State.PROPOSED or case is None or not case.firm:
        return None
    return case if case.level in automatic and _above(case.level, running.barred) else None


def _release(
    running: Warning, case: Case, at: dt.datetime, terms: Terms, *, veto: dt.timedelta
) -> Step:
    """Approve it at the level that is sound; what was in doubt is left behind."""
    approved = changed(
        running,
        state=after(running.state, Act.APPROVE),
        barred="",
        **_seen(case, at),
    )
    if veto:
        waiting = msgspec.structs.replace(approved, veto_until=at + veto)
        return Step(act=Act.APPROVE, warning=waiting)
    return _say(approved, Act.ISSUE, at, terms)


def _follow(
    known: Warning,
    at: dt.datetime,
    terms: Terms,
    *,
    complete: bool,
    automatic: Collection[str],
    remind: dt.timedelta,
) -> Step:
    """Let what is known take its course."""
    level = _standing(known, at, terms)
    rises = rank(level) > rank(known.level)
    if rises and (not known.published or level in automatic):
        return _move(known, Act.UPGRADE, level, at, terms, automatic=automatic)
    if rises:
        known, level = _suggest(known, Act.UPGRADE, level, at), known.level
    else:
        known = _unadvised(known)
    if complete and at - known.held >= terms.end:
        return _end(known, Act.CANCEL, at)
    # What is waited for in vain holds a level no longer than its last message said.
    if level != known.level and (complete or at >= known.expires):
        return _move(known, Act.DOWNGRADE, level, at, terms, automatic=automatic)
    if known.published:
        return _continue(known, at, terms, complete=complete, remind=remind)
    if known.state is State.APPROVED and (known.veto_until is None or at >= known.veto_until):
        return _say(known, Act.ISSUE, at, terms)
    return Step(act=Act.KEEP, warning=known)


def _continue(
    known: Warning, at: dt.datetime, terms: Terms, *, complete: bool, remind: dt.timedelta
) -> Step:
    """Say again what still counts, and end what nothing is known of."""
    if _renewal_due(known, at, terms):
        return _say(known, Act.UPDATE, at, terms)
    if at >= known.expires:
        return _end(known, Act.EXPIRE, at)
    if not complete and _reminder_due(known, at, remind):
        return _remind(known)
    return Step(act=Act.KEEP, warning=known)


def _tend(
    known: Warning, at: dt.datetime, terms: Terms, *, complete: bool, remind: dt.timedelta
) -> Step:
    """Watch over what a person leads: suggest, remind, and end it when its time is over."""
    if at >= known.expires and (known.published or at - known.held >= terms.end):
        return _end(known, Act.EXPIRE, at)
    advised = _advise(known, at, terms, complete=complete)
    if advised.published and _reminder_due(advised, at, remind):
        return _remind(advised)
    return Step(act=Act.KEEP, warning=advised)


def _rest(
    running: Warning, case: Case | None, at: dt.datetime, terms: Terms, *, complete: bool
) -> Step:
    """Leave down what a person dismissed, until its cause has gone away or has risen."""
    if case is not None and case.firm and _above(case.level, running.barred):
        again = changed(
            running,
            state=after(running.state, Act.PROPOSE),
            led="watch",
            author="",
            onset=None,
            until=None,
            text={},
            expires=at + terms.validity,
            **_seen(case, at),
        )
        return Step(act=Act.PROPOSE, warning=again)
    held = at if case is not None else running.held
    gone = complete and at - held >= terms.end
    return Step(
        act=Act.KEEP,
        warning=msgspec.structs.replace(running, held=held, decided=at, ended=at if gone else None),
    )


def _above(level: str, barred: str) -> bool:
    return not barred or rank(level) > rank(barred)


def _advise(known: Warning, at: dt.datetime, terms: Terms, *, complete: bool) -> Warning:
    """Note what the watch would do if it led the event; who asked before is not overruled."""
    level = _standing(known, at, terms)
    gone = complete and bool(known.grounds) and at - known.held >= terms.end
    met = any(rank(each) >= rank(known.level) for each in known.grounds)
    if rank(level) > rank(known.level):
        return _suggest(known, Act.UPGRADE, level, at)
    if gone:
        return _suggest(known, Act.CANCEL if known.published else Act.DISMISS, known.level, at)
    if level != known.level and complete and met:
        return _suggest(known, Act.DOWNGRADE, level, at)
    if known.published and _renewal_due(known, at, terms):
        return _suggest(known, Act.UPDATE, known.level, at)
    return _unadvised(known)


def _suggest(known: Warning, act: Act, level: str, at: dt.datetime) -> Warning:
    there = known.suggestion
    if there is not None:
        same = (there.act, there.level) == (act, level)
        lower = rank(level) <= rank(there.level)
        if same or (there.by and lower):
            return known
    return msgspec.structs.replace(known, suggestion=Suggestion(act=act, level=level, since=at))


def _unadvised(known: Warning) -> Warning:
    """Take back what the watch suggested; what a person asked for stays."""
    if known.suggestion is None or known.suggestion.by:
        return known
    return msgspec.structs.replace(known, suggestion=None)


def _believed(running: Warning, case: Case | None) -> Case | None:
    """Give what counts for an event: what is not firm raises nothing that people have heard of.

    What is lone or fades holds the level that stands, what is doubtful holds nothing.
    """
    if case is None or (case.firm and case.unsure is None):
        return case
    if not running.published and running.state is not State.APPROVED:
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
    grounds = {**running.grounds, case.level: Ground.of(case, at=at)}
    follows = case.level == running.level and running.led == "watch"
    return msgspec.structs.replace(
        running,
        grounds=grounds,
        held=at,
        decided=at,
        door=case.door if follows else running.door,
    )


def _standing(warning: Warning, at: dt.datetime, terms: Terms) -> str:
    """Give the highest level met within ``terms.lower``; the present one when there is none."""
    standing = [
        level
        for level in LEVELS
        if level in warning.grounds and at - warning.grounds[level].seen < terms.lower
    ]
    return standing[-1] if standing else warning.level


def _renewal_due(warning: Warning, at: dt.datetime, terms: Terms) -> bool:
    """Say whether the newest message ends soon, and before the level that it speaks of."""
    rested = warning.sent is None or at - warning.sent >= terms.interval
    # What meets a higher level meets this one as well.
    seen = [
        ground.seen
        for level, ground in warning.grounds.items()
        if rank(level) >= rank(warning.level)
    ]
    if not seen:
        return False
    until = max(seen) + max(terms.lower, terms.end)
    return rested and warning.expires - at <= terms.margin and at < until >= warning.expires


def _reminder_due(warning: Warning, at: dt.datetime, remind: dt.timedelta) -> bool:
    return warning.reminded < warning.number and at >= warning.expires - remind


def _remind(warning: Warning) -> Step:
    reminded = msgspec.structs.replace(
        warning, state=after(warning.state, Act.REMIND), reminded=warning.number
    )
    return Step(act=Act.REMIND, warning=reminded)


def _move(
    warning: Warning,
    act: Act,
    level: str,
    at: dt.datetime,
    terms: Terms,
    *,
    automatic: Collection[str],
) -> Step:
    """Go to another level, with what it rests on."""
    door = warning.grounds[level].door
    moved = msgspec.structs.replace(warning, level=level, door=door, since=at)
    if warning.published:
        return _say(moved, act, at, terms)
    if warning.state is State.APPROVED and level not in automatic:
        # It was approved for another level: this one needs a person.
        back = changed(moved, state=after(moved.state, Act.PROPOSE), veto_until=None)
        return Step(act=Act.PROPOSE, warning=back)
    return Step(act=Act.KEEP, warning=changed(moved))


def _say(warning: Warning, act: Act, at: dt.datetime, terms: Terms) -> Step:
    """Publish it in the words of the templates: a person's own were written for another message."""
    said = changed(
        warning,
        state=after(warning.state, act),
        sent=at,
        number=warning.number + 1,
        expires=at + terms.validity,
        veto_until=None,
        onset=None,
        until=None,
        text={},
    )
    return Step(act=act, warning=said)


def _end(warning: Warning, act: Act, at: dt.datetime) -> Step:
    if not warning.published:
        if warning.noticed:
            return withdraw(warning, at=at)
        state = after(warning.state, Act.DISMISS)
        ended = changed(warning, state=state, ended=at, veto_until=None)
        return Step(act=Act.DISMISS, warning=ended)
    ended = changed(
        warning,
        state=after(warning.state, act),
        sent=at,
        ended=at,
        number=warning.number + 1,
        text={},
    )
    return Step(act=act, warning=ended)
