"""Any weather, any people, any order, any kill: what can never happen to a warning.

``FENGHUO_LIVES`` says how many lives are lived, 250 without it.
"""

import datetime as dt
import os
import uuid
from typing import Any

import msgspec
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alerts.life.acts import HANDS, allowed, begin, perform
from alerts.life.changes import ActError, Changes
from alerts.life.course import advance, tend
from alerts.life.evidence import LEVELS, Case, rank
from alerts.life.message import compose
from alerts.life.warning import (
    BEGINNINGS,
    ENDING,
    Act,
    Own,
    State,
    Step,
    Terms,
    TransitionError,
    Warning,  # noqa: A004
    after,
    notice,
)
from alerts.rights import Person, RightsError
from tests.samples import REGION, case, later

LIVES = int(os.environ.get("FENGHUO_LIVES", "250"))
TERMS = Terms()
TWO = ("orange", "red")
UNPUBLISHED = {State.PROPOSED, State.DRAFT, State.SUBMITTED, State.APPROVED}

PEOPLE = [
    Person(id=1, name="chen", title="Chen", roles=frozenset({"forecaster"})),
    Person(id=2, name="liu", title="Liu", roles=frozenset({"forecaster"}), regions=(REGION.id,)),
    Person(id=3, name="wang", title="Wang", roles=frozenset({"approver"})),
    Person(id=4, name="zhao", title="Zhao", roles=frozenset({"forecaster", "approver"})),
    Person(id=5, name="far", title="Far", roles=frozenset({"approver"}), regions=("elsewhere",)),
    Person(id=6, name="duty", title="Duty", roles=frozenset({"officer", "admin"})),
    None,
]

levels = st.sampled_from(LEVELS)
people = st.sampled_from(PEOPLE)
hours = st.floats(-1, 24, allow_nan=False)


@st.composite
def cases(draw: st.DrawFn) -> Case | None:
    """What the stations propose: nothing, something sure, something lone, doubtful or fading."""
    if draw(st.booleans()):
        return None
    sure = case(draw(levels), door=draw(st.sampled_from(["observed", "expected"])))
    standing = draw(st.sampled_from(["sound", "sound", "sound", "lone", "doubtful"]))
    return msgspec.structs.replace(sure, standing=standing, fading=draw(st.integers(0, 4)) == 0)


class Lives(RuleBasedStateMachine):
    """One danger at one place, for real and as an exercise, under a policy that is drawn once."""

    def __init__(self) -> None:
        super().__init__()
        self.at = later(0)
        self.running: dict[bool, Warning] = {}
        self.chains: dict[uuid.UUID, list[Step]] = {}
        self.said: set[uuid.UUID] = set()
        self.flags: dict[uuid.UUID, bool] = {}
        self.births = 0

    @initialize(
        automatic=st.sampled_from([(), ("blue", "yellow"), LEVELS]),
        veto=st.sampled_from([0, 0, 30]),
    )
    def policy(self, automatic: tuple[str, ...], veto: int) -> None:
        self.automatic = automatic
        self.veto = dt.timedelta(minutes=veto)

    # What happens.

    @rule(
        found=cases(),
        minutes=st.integers(0, 240),
        complete=st.booleans(),
        killed=st.integers(0, 5).map(lambda n: n == 0),
    )
    def moment(self, found: Case | None, minutes: int, complete: bool, killed: bool) -> None:
        """The watch decides, and a kill in the middle makes it decide once more."""
        self.at += dt.timedelta(minutes=minutes)
        now = found and msgspec.structs.replace(
            found,
            time=self.at,
            onset=self.at + dt.timedelta(hours=2) if found.door == "expected" else None,
        )
        step = self.watch(now, complete=complete)
        if killed:
            again = self.watch(now, complete=complete)
            assert again == step
        if step is not None:
            self.keep(step)
        for warning in [each for each in self.running.values() if each.exercise]:
            ending = tend(warning, at=self.at, terms=TERMS)
            if ending is not None:
                self.keep(ending)

    def watch(self, now: Case | None, *, complete: bool) -> Step | None:
        return advance(
            self.running.get(False), now, at=self.at, complete=complete, terms=TERMS,
            exercise=False, automatic=self.automatic, veto=self.veto,
        )  # fmt: skip

    @rule(by=people, level=levels, exercise=st.booleans(), expires=st.none() | hours)
    def draft(self, by: Person | None, level: str, exercise: bool, expires: float | None) -> None:
        if exercise in self.running or by is None:
            return
        self.births += 1
        end = None if expires is None else self.at + dt.timedelta(hours=expires)
        try:
            step = begin(
                id=uuid.UUID(int=self.births), hazard="rainstorm", region=REGION.id, level=level,
                exercise=exercise, by=by, at=self.at, terms=TERMS, changes=Changes(expires=end),
            )  # fmt: skip
        except (RightsError, ActError) as error:
            note(f"{error}")
            return
        self.keep(step)

    @rule(
        by=people,
        act=st.sampled_from(HANDS),
        exercise=st.booleans(),
        level=st.none() | levels,
        words=st.booleans(),
        expires=st.none() | hours,
        old=st.integers(0, 9).map(lambda n: n == 0),
        killed=st.integers(0, 9).map(lambda n: n == 0),
    )
    def hand(
        self, *, by: Person | None, act: Act, exercise: bool, level: str | None, words: bool,
        expires: float | None, old: bool, killed: bool,
    ) -> None:  # fmt: skip
        """A person tries something, allowed or not."""
        warning = self.running.get(exercise)
        if warning is None:
            return
        given: dict[str, Any] = {}
        if level is not None:
            given["level"] = level
        if words:
            given["text"] = {"zh": Own(sms=f"{level}")}
        if expires is not None:
            given["expires"] = self.at + dt.timedelta(hours=expires)
        try:
            steps = perform(
                warning, act, version=warning.version - old, by=by, at=self.at, terms=TERMS,
                two=TWO, changes=Changes(**given),
                led="watch" if words else "hand",
            )  # fmt: skip
        except (TransitionError, RightsError, ActError) as error:
            note(f"{error}")
            return
        assert not old
        assert str(act) in allowed(warning, by, two=TWO)
        if not killed:
            for step in steps:
                self.keep(step)

    @rule(minutes=st.integers(1, 60))
    def heads_up(self, minutes: int) -> None:
        """The watch sends a notice where the policy says so."""
        self.at += dt.timedelta(minutes=minutes)
        warning = self.running.get(False)
        if warning is not None and warning.state in UNPUBLISHED and not warning.noticed:
            self.keep(notice(warning, at=self.at, terms=TERMS))

    # What can never happen.

    def keep(self, step: Step) -> None:
        """Take a step as committed, and check it."""
        before, now = step.before, step.warning
        state = before.state if before else None
        if before is None:
            automatic_at_once = step.act is Act.ISSUE and step.by is None
            assert automatic_at_once or BEGINNINGS[step.act] is now.state
            assert now.exercise not in self.running, "two events at once"
            self.flags[now.id] = now.exercise
        elif step.act is Act.ISSUE and state is State.PROPOSED:
            assert step.by is None
            assert after(after(state, Act.APPROVE), Act.ISSUE) is now.state
        else:
            assert state is not None
            assert after(state, step.act) is now.state
            assert before.ended is None, "it had ended"
            assert now.version >= before.version
            assert (now.version > before.version) == (step.changes and step.act is not Act.REMIND)
        assert now.exercise is self.flags[now.id]
        self.within_rights(step)
        if step.publishes or step.closed:
            self.said_once(step)
        if before is not None and before.led == "hand" and step.by is None:
            self.left_alone(before, step)
        if now.ended is None:
            self.running[now.exercise] = now
        else:
            self.running.pop(now.exercise, None)
            self.ended(now)

    def within_rights(self, step: Step) -> None:
        """Nothing goes out that nobody with the right to it let out."""
        warning, by = step.warning, step.by
        if step.act in {Act.ISSUE, Act.UPGRADE} and by is None:
            assert not warning.exercise
            assert warning.level in self.automatic
            if step.act is Act.ISSUE and self.veto:
                assert step.before is not None
                assert step.before.veto_until is not None
                assert step.before.veto_until <= self.at
        if by is None or not step.publishes:
            return
        assert not by.regions or REGION.id in by.regions
        if warning.level in TWO:
            assert "approver" in by.roles
        else:
            assert by.roles & {"approver", "forecaster"}
        if warning.level in TWO and step.act is Act.ISSUE:
            assert warning.author != by.name
        if warning.level in TWO and step.act is Act.UPGRADE:
            assert step.before is not None
            asked = step.before.suggestion
            assert asked is not None
            assert asked.by != by.name

    def said_once(self, step: Step) -> None:
        message, chain = compose(step), self.chains.setdefault(step.warning.id, [])
        assert message.id not in self.said, "published twice"
        self.said.add(message.id)
        assert message.number == len(chain) + 1
        assert message.exercise is step.warning.exercise
        assert message.sent < message.expires
        assert message.onset < message.expires
        if chain:
            last = chain[-1].warning
            assert last.sent is not None
            assert last.sent <= message.sent
            self.monotone(chain, step)
        chain.append(step)

    @staticmethod
    def monotone(chain: list[Step], step: Step) -> None:
        """A level rises and falls only where the act says so."""
        if chain[-1].closed:
            return
        moved = rank(step.warning.level) - rank(chain[-1].warning.level)
        match step.act:
            case Act.UPGRADE:
                assert moved > 0
            case Act.DOWNGRADE:
                assert moved < 0
            case _:
                assert moved == 0

    @staticmethod
    def left_alone(before: Warning, step: Step) -> None:
        """What a person leads, the watch only notes, reminds of and ends."""
        assert step.act in {
            Act.KEEP, Act.REMIND, Act.EXPIRE, Act.DISMISS, Act.WITHDRAW, Act.PROPOSE, Act.NOTICE,
        }  # fmt: skip
        if step.act in {Act.KEEP, Act.REMIND}:
            for name in ("level", "state", "expires", "number", "text", "area", "until", "door"):
                assert getattr(step.warning, name) == getattr(before, name)
        if step.act is Act.PROPOSE:
            assert before.state is State.DISMISSED
            assert rank(step.warning.level) > rank(before.barred)

    def ended(self, warning: Warning) -> None:
        """Whoever heard the beginning hears the end, and of nothing in between twice."""
        chain = self.chains.get(warning.id, [])
        acts = [step.act for step in chain]
        if Act.ISSUE in acts:
            first = acts.index(Act.ISSUE)
            assert set(acts[:first]) <= {Act.NOTICE, Act.WITHDRAW}
            assert acts[-1] in ENDING
            assert not set(acts[first + 1 : -1]) & {Act.ISSUE, Act.NOTICE, Act.WITHDRAW, *ENDING}
        elif acts:
            assert acts[-1] is Act.WITHDRAW
            assert not warning.noticed

    @invariant()
    def nothing_runs_out_unnoticed(self) -> None:
        for warning in self.running.values():
            if warning.state is State.ISSUED and warning.decided == self.at:
                assert warning.expires > self.at

    def teardown(self) -> None:
        """With no more weather and nobody at the desk, everything comes to its end."""
        for _ in range(40):
            self.at += dt.timedelta(hours=1)
            for exercise, warning in list(self.running.items()):
                while exercise in self.running:
                    known = warning.led == "watch" or warning.state is State.DISMISSED
                    step = (
                        tend(self.running[exercise], at=self.at, terms=TERMS)
                        if exercise
                        else self.watch(None, complete=known)
                    )
                    if step is None:
                        break
                    self.keep(step)
                    if step.act is not Act.WITHDRAW:
                        break
        assert not self.running


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=LIVES, stateful_step_count=40, deadline=None)
