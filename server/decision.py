"""One moment's decision: which warnings begin, change or end, by what the stations propose.

Runs in its caller's transaction; the rows of the running warnings are held until it ends, so that
a person and the watch never decide on one event at once.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from alerts.bureau import notice
from alerts.bureau.durations import duration
from alerts.bureau.policy import Policy, season
from alerts.life import ledger
from alerts.life.course import advance, tend
from alerts.life.evidence import LEVELS, Case
from alerts.life.warning import Act, Step, Warning  # noqa: A004 - the domain's own word
from alerts.life.warning import notice as tell
from server.store.connection import Connection

STEPS = 3
"""Steps that an event takes in one moment at most."""

NOTE = dt.timedelta(minutes=1)
"""A warning that nothing changes in is written down again after this time."""

Key = tuple[str, str]
"""A danger and a place."""


async def decide(
    conn: Connection,
    cases: Mapping[Key, Case],
    *,
    at: dt.datetime,
    as_exercise: bool,
    desk: ledger.Desk,
    heard: Callable[[Collection[str]], bool],
) -> None:
    """Decide on every event that runs or is proposed, and record what follows.

    as_exercise: whether all that is decided on is an exercise. heard: whether these stations have
    reported up to ``at``, or are not waited for.
    """
    running: dict[Key, Warning] = {}
    steps: list[Step] = []
    for warning in await ledger.running(conn):
        if warning.exercise == as_exercise:
            running[warning.hazard, warning.region] = warning
        elif warning.exercise:
            steps += _tend(warning, at=at, policy=desk.policy)
    for key in sorted(running.keys() | cases.keys()):
        known, case = running.get(key), cases.get(key)
        if known is None and case is not None:
            case = await _within_budget(conn, case, at, desk=desk, as_exercise=as_exercise)
        complete = known is None or heard(known.supporters)
        steps += _settle(
            known, case, at=at, complete=complete, policy=desk.policy, as_exercise=as_exercise
        )
    await ledger.record_all(conn, steps, desk=desk)


def _settle(
    warning: Warning | None,
    case: Case | None,
    *,
    at: dt.datetime,
    complete: bool,
    policy: Policy,
    as_exercise: bool,
) -> Iterator[Step]:
    """Give the steps that follow for one event, and the notice that goes before it."""
    hazard = warning.hazard if warning else case.hazard if case else ""
    terms = policy.terms(hazard)
    for _ in range(STEPS):
        step = advance(
            warning,
            case,
            at=at,
            complete=complete,
            terms=terms,
            exercise=as_exercise,
            automatic=[
                level
                for level in LEVELS
                if policy.issues(hazard=hazard, level=level, exercise=as_exercise)
            ],
            veto=policy.veto(exercise=as_exercise),
            remind=duration(policy.remind.before),
        )
        if step is None:
            return
        if not _idle(step):
            yield step
        warning = step.warning
        # The time for a veto begins with the proposal, not with the next reading.
        if step.act not in {Act.WITHDRAW, Act.PROPOSE}:
            break
    if warning is not None and notice.due(warning, policy=policy, at=at):
        yield tell(warning, at=at, terms=terms)


def _tend(warning: Warning, *, at: dt.datetime, policy: Policy) -> Iterator[Step]:
    """Bring to its end what no readings speak for: an exercise in a real centre."""
    terms, before = policy.terms(warning.hazard), duration(policy.remind.before)
    for _ in range(STEPS):
        step = tend(warning, at=at, terms=terms, remind=before)
        if step is None:
            return
        if not _idle(step):
            yield step
        warning = step.warning
        if step.act is not Act.WITHDRAW:
            return


def _idle(step: Step) -> bool:
    """Say whether nothing has changed but what was seen, and that was written down just now."""
    before = step.before
    return (
        before is not None
        and not step.changes
        and step.warning.ended is None
        and step.warning.suggestion == before.suggestion
        and step.warning.decided - before.decided < NOTE
    )


async def _within_budget(
    conn: Connection, case: Case, at: dt.datetime, *, desk: ledger.Desk, as_exercise: bool
) -> Case | None:
    """Give the case as far as the season's budget of low levels lets it open."""
    proposals = desk.policy.proposals
    if not proposals.limit(case.level):
        return case
    since = season(at, desk.bureau.local)
    used = await ledger.used(conn, case, exercise=as_exercise, since=since)
    if not proposals.allows(case, used=used):
        return None
    beyond = used >= proposals.limit(case.level)
    return msgspec.structs.replace(case, used=used) if beyond else case
