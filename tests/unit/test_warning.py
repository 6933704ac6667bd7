"""The life of a warning: what each moment leads to, and what can never happen."""

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.life.course import advance
from alerts.life.evidence import LEVELS, rank
from alerts.life.message import compose
from alerts.life.warning import (
    ENDING,
    PUBLISHING,
    TRANSITIONS,
    Act,
    State,
    Step,
    Terms,
    TransitionError,
    Warning,  # noqa: A004
    after,
)
from tests.samples import case, later

TERMS = Terms()


def live(
    moments: Sequence[tuple[float, str]], *, terms: Terms = TERMS, complete: bool = True
) -> list[tuple[float, str, str]]:
    """Give (hour, act, level) of everything people hear, for (hour, level met or "")."""
    running: Warning | None = None
    heard = []
    for hour, level in moments:
        at = later(hour)
        step = advance(
            running,
            case(level, at=at) if level else None,
            at=at,
            complete=complete,
            terms=terms,
            exercise=True,
        )
        if step is None:
            continue
        running = None if step.warning.ended else step.warning
        if step.publishes:
            heard.append((hour, str(step.act), step.warning.level))
    return heard


CASES = [
    ("nothing", [(0, ""), (1, "")], []),
    ("rises at once", [(0, "blue"), (1, "orange"), (2, "red")],
     [(0, "issue", "blue"), (1, "upgrade", "orange"), (2, "upgrade", "red")]),
    ("a gap shorter than the hold is nothing", [(0, "blue"), (1, ""), (2, "blue"), (3, "")],
     [(0, "issue", "blue")]),
    ("ends after the hold", [(0, "blue"), (1, ""), (2, "")],
     [(0, "issue", "blue"), (2, "cancel", "blue")]),
    ("falls to what was met within the hold, not to the last",
     [(0, "orange"), (1, "yellow"), (2, "blue"), (3, "blue")],
     [(0, "issue", "orange"), (2, "downgrade", "yellow"), (3, "downgrade", "blue")]),
    ("never flaps", [(0, "orange"), (1, "blue"), (2, "orange"), (3, "blue"), (3.9, "orange")],
     [(0, "issue", "orange")]),
    ("rises again after a fall",
     [(0, "orange"), (1, "blue"), (2, "blue"), (3, "orange")],
     [(0, "issue", "orange"), (2, "downgrade", "blue"), (3, "upgrade", "orange")]),
    ("prolonged while it goes on", [(hour, "blue") for hour in range(10)],
     [(0, "issue", "blue"), (4, "update", "blue"), (8, "update", "blue")]),
    ("not prolonged for the last hour of its hold",
     [*((hour, "blue") for hour in range(4)), (4, ""), (5, "")],
     [(0, "issue", "blue"), (5, "cancel", "blue")]),
    ("prolonged when its hold outlives the message",
     [(0, "blue"), (5, "blue"), (6, "")],
     [(0, "issue", "blue"), (5, "update", "blue")]),
    ("a new event after the end", [(0, "blue"), (2, ""), (3, "yellow")],
     [(0, "issue", "blue"), (2, "cancel", "blue"), (3, "issue", "yellow")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("moments", "heard"), [row[1:] for row in CASES], ids=[r[0] for r in CASES]
)
def test_life(moments: list[tuple[float, str]], heard: list[tuple[float, str, str]]) -> None:
    assert live(moments) == heard


def test_nothing_falls_before_the_stations_have_reported() -> None:
    moments = [(0, "orange"), (2, "blue"), (3, ""), (5, "")]
    assert live(moments, complete=False) == [(0, "issue", "orange")]


def test_without_data_it_expires() -> None:
    moments: list[tuple[float, str]] = [(0, "orange"), *((hour, "") for hour in range(1, 8))]
    assert live(moments, complete=False)[1:] == [(6, "expire", "orange")]


def test_ends_later_than_it_falls_when_the_policy_says_so() -> None:
    terms = Terms(lower=dt.timedelta(hours=1), end=dt.timedelta(hours=3))
    moments = [(0, "orange"), (0.5, "blue"), (1, ""), (2, ""), (3.5, "")]
    assert live(moments, terms=terms) == [
        (0, "issue", "orange"), (1, "downgrade", "blue"), (3.5, "cancel", "blue"),
    ]  # fmt: skip


def test_deciding_twice_gives_the_same() -> None:
    def decide() -> Step | None:
        return advance(None, case(), at=later(0), complete=True, terms=TERMS, exercise=True)

    first, second = decide(), decide()
    assert first == second
    assert first is not None
    assert second is not None
    assert compose(first).id == compose(second).id


def test_late_news_changes_nothing() -> None:
    step = advance(None, case(), at=later(5), complete=True, terms=TERMS, exercise=True)
    assert step is not None
    late = case("red", at=later(4))
    assert (
        advance(step.warning, late, at=later(4), complete=True, terms=TERMS, exercise=True) is None
    )


def test_another_danger_is_refused() -> None:
    step = advance(None, case(), at=later(0), complete=True, terms=TERMS, exercise=True)
    assert step is not None
    other = case(hazard="gale")
    with pytest.raises(ValueError, match="gale"):
        advance(step.warning, other, at=later(1), complete=True, terms=TERMS, exercise=True)


def test_a_proposal_waits_for_a_person_and_goes_when_its_cause_goes() -> None:
    def then(running: Warning | None, level: str, hour: float) -> Step:
        step = advance(
            running,
            case(level) if level else None,
            at=later(hour),
            complete=True,
            terms=TERMS,
            exercise=False,
            automatic=(),
        )
        assert step is not None
        assert not step.publishes
        return step

    proposed = then(None, "yellow", 0)
    assert (proposed.act, proposed.warning.state) == (Act.PROPOSE, State.PROPOSED)
    raised = then(proposed.warning, "red", 1)
    assert (raised.act, raised.warning.level) == (Act.KEEP, "red")
    dismissed = then(raised.warning, "", 3)
    assert dismissed.warning.state is State.DISMISSED
    assert dismissed.warning.ended == later(3)
    with pytest.raises(ValueError, match="dismiss"):
        compose(dismissed)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("act", list(Act))
def test_what_is_not_in_the_table_is_refused(state: State, act: Act) -> None:
    if act in TRANSITIONS[state]:
        assert after(state, act) in State
        return
    with pytest.raises(TransitionError, match=f"{state} cannot {act}"):
        after(state, act)


def test_nobody_hears_of_what_was_not_approved() -> None:
    for state, acts in TRANSITIONS.items():
        for act in acts:
            if act in PUBLISHING:
                assert state in {State.APPROVED, State.ISSUED}


def test_every_state_can_be_reached_and_left() -> None:
    reached = {State.PROPOSED}
    for _ in State:
        reached |= {target for state in reached for target in TRANSITIONS[state].values()}
    assert reached == set(State)
    ends = {state for state, acts in TRANSITIONS.items() if not acts}
    assert ends == {State.CANCELLED, State.EXPIRED}


class Life(RuleBasedStateMachine):
    """Any weather, any gaps in the data: the invariants hold."""

    def __init__(self) -> None:
        super().__init__()
        self.at = later(0)
        self.running: Warning | None = None
        self.chain: list[Step] = []

    @rule(
        level=strategies.sampled_from(["", "", *LEVELS]),
        minutes=strategies.integers(0, 240),
        complete=strategies.booleans(),
    )
    def moment(self, level: str, minutes: int, complete: bool) -> None:
        self.at += dt.timedelta(minutes=minutes)
        before = self.running
        now = case(level, at=self.at) if level else None
        step = advance(before, now, at=self.at, complete=complete, terms=TERMS, exercise=True)
        if step is None:
            assert before is None
            return
        if before is not None:
            assert step.warning.exercise == before.exercise
            assert step.warning.state == after(before.state, step.act)
            if level:
                assert rank(step.warning.level) >= rank(level)
                assert step.act not in ENDING
            if step.act is Act.DOWNGRADE:
                assert complete or self.at >= before.expires
                assert self.at - before.grounds[before.level].seen >= TERMS.lower
            if step.act is Act.UPDATE:
                assert before.sent is not None
                assert self.at - before.sent >= TERMS.interval
        self.chain = [*self.chain, step] if step.publishes else self.chain
        self.running = None if step.warning.ended else step.warning
        if step.warning.ended:
            self.ended(self.chain)
            self.chain = []

    @staticmethod
    def ended(chain: list[Step]) -> None:
        acts = [step.act for step in chain]
        assert acts[0] is Act.ISSUE
        assert acts[-1] in ENDING
        assert not set(acts[1:-1]) & ({Act.ISSUE} | ENDING)
        messages = [compose(step) for step in chain]
        assert [message.number for message in messages] == list(range(1, len(chain) + 1))
        assert len({message.id for message in messages}) == len(messages)

    @invariant()
    def nothing_runs_out_unnoticed(self) -> None:
        if self.running is not None:
            assert self.running.state is State.ISSUED
            assert self.running.expires > self.at
            assert self.running.held <= self.at
            assert self.running.opened <= self.running.since <= self.at


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "warnings.md").read_text("utf-8")
    table = page.partition("## Who")[0]
    rows = dict(re.findall(r"^\| ([a-z, ]+) \| (.+) \|$", table, re.MULTILINE))
    told = {name: row for names, row in rows.items() for name in names.split(", ")}
    for state, acts in TRANSITIONS.items():
        row = told[state]
        assert set(re.findall(r"[a-z]+", re.sub(r"→ \w+", "", row))) & set(Act) == set(acts)
        for act, target in acts.items():
            part = next(part for part in row.split(" · ") if re.search(rf"\b{act}\b", part))
            assert f"→ {target}" in part if target is not state else "stays" in part
