"""What people do with a warning: who may, when, what comes of it, and what is refused."""

import datetime as dt
import uuid
from typing import Any

import msgspec
import pytest

from alerts.life.acts import HANDS, StaleError, allowed, begin, perform
from alerts.life.changes import LONGEST, SHORTEST, ActError, Changes
from alerts.life.course import advance, tend
from alerts.life.evidence import LEVELS
from alerts.life.message import compose
from alerts.life.warning import (
    PUBLISHING,
    TRANSITIONS,
    Act,
    Own,
    State,
    Step,
    Suggestion,
    Terms,
    TransitionError,
    Warning,  # noqa: A004
    notice,
)
from alerts.rights import Person, RightsError
from tests.samples import REGION, case, later, step

TERMS = Terms()
CHEN = Person(id=1, name="chen", title="Chen", roles=frozenset({"forecaster"}))
WANG = Person(id=2, name="wang", title="Wang", roles=frozenset({"approver"}))
BOTH = Person(id=3, name="both", title="Both", roles=frozenset({"forecaster", "approver"}))
DUTY = Person(id=4, name="duty", title="Duty", roles=frozenset({"officer", "admin"}))
FAR = msgspec.structs.replace(WANG, id=5, name="far", regions=("elsewhere",))

GREEN = {"zh": Own(sms="请注意"), "en": Own(headline="Look out")}
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[116.2, 39.9], [116.3, 39.9], [116.3, 40.0], [116.2, 39.9]]],
}


def draft(level: str = "orange", *, by: Person = CHEN, exercise: bool = False, **set_: Any) -> Step:
    return begin(
        id=uuid.UUID(int=7),
        hazard="rainstorm",
        region=REGION.id,
        level=level,
        exercise=exercise,
        by=by,
        at=later(0),
        terms=TERMS,
        changes=Changes(**set_),
    )


def proposed(level: str = "yellow") -> Warning:
    found = advance(
        None, case(level), at=later(0), complete=True, terms=TERMS, exercise=False, automatic=()
    )
    assert found is not None
    return found.warning


def do(
    warning: Warning, act: Act, *, by: Person | None = BOTH, hour: float = 1, **more: Any
) -> tuple[Step, ...]:
    known = {"version": warning.version, **more}
    return perform(warning, act, by=by, at=later(hour), terms=TERMS, **known)


def then(warning: Warning, act: Act, **more: Any) -> Warning:
    return do(warning, act, **more)[-1].warning


def in_state(state: State) -> Warning:
    """An event with evidence, and one that waits for its veto time where it is approved."""
    waiting = proposed()
    match state:
        case State.PROPOSED:
            return waiting
        case State.DRAFT:
            return then(waiting, Act.DRAFT)
        case State.SUBMITTED:
            return then(in_state(State.DRAFT), Act.SUBMIT)
        case State.APPROVED:
            found = advance(
                waiting, case("yellow"), at=later(0.5), complete=True, terms=TERMS,
                exercise=False, veto=dt.timedelta(hours=1),
            )  # fmt: skip
            assert found is not None
            return found.warning
        case State.ISSUED:
            return then(in_state(State.SUBMITTED), Act.APPROVE)
        case State.DISMISSED:
            return then(waiting, Act.DISMISS)
        case State.CANCELLED:
            return then(in_state(State.ISSUED), Act.CANCEL, hour=2)
        case State.EXPIRED:
            found = tend(in_state(State.ISSUED), at=later(9), terms=TERMS)
            assert found is not None
            return found.warning


NEEDED: dict[Act, dict[str, Any]] = {
    Act.UPGRADE: {"changes": Changes(level="red")},
    Act.DOWNGRADE: {"changes": Changes(level="blue")},
    Act.LEAD: {"led": "watch"},
}
"""What an act must carry to make sense."""


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("act", list(Act))
def test_a_person_may_do_what_the_table_has_and_nothing_else(state: State, act: Act) -> None:
    warning = in_state(state)
    assert warning.state is state
    given = NEEDED.get(act, {})
    if act is Act.SUBMIT and state is State.ISSUED:
        given = {"changes": Changes(level="red")}
    let_out = state is State.APPROVED and act is Act.APPROVE
    if act in HANDS and (act in TRANSITIONS[state] or let_out) and warning.ended is None:
        steps = do(warning, act, hour=3, **given)
        present = warning.state
        for each in steps:
            assert TRANSITIONS[present][each.act] is each.warning.state
            present = each.warning.state
        assert steps[-1].warning.version == warning.version + len(steps)
        assert steps[-1].warning.decided == later(3)
        assert str(act) in allowed(warning, BOTH)
        return
    assert str(act) not in allowed(warning, BOTH)
    with pytest.raises((TransitionError, ActError)):
        do(warning, act, hour=3, **given)


def test_the_whole_way_of_a_draft() -> None:
    first = draft(text=GREEN, area=SQUARE, onset=later(3), expires=later(8))
    assert (first.act, first.warning.state, first.warning.version) == (Act.DRAFT, "draft", 1)
    assert (first.warning.led, first.warning.author, first.warning.door) == (
        "hand", "chen", "expected",
    )  # fmt: skip
    submitted = then(first.warning, Act.SUBMIT, by=CHEN)
    approve, issue = do(submitted, Act.APPROVE, by=WANG, hour=2)
    assert (approve.act, issue.act) == (Act.APPROVE, Act.ISSUE)
    assert approve.by == issue.by == WANG
    assert not approve.publishes
    warning = issue.warning
    assert (warning.approver, warning.author, warning.number) == ("wang", "chen", 1)
    message = compose(issue)
    assert (message.sent, message.onset, message.expires) == (later(2), later(3), later(8))
    assert (message.door, message.evidence) == ("expected", ())
    assert warning.text == GREEN
    assert warning.area == SQUARE


TIMES = [
    ({"expires": later(-1)}, "2016-07-19T23:00:00Z has passed"),
    ({"expires": later(0) + SHORTEST / 2}, "less than 10 minutes"),
    ({"onset": later(4), "expires": later(3)}, "onset: 2016-07-20T04:00:00Z is not before the end"),
    ({"onset": later(7)}, "is not before the end, 2016-07-20T06:00:00Z; set expires"),
    ({"expires": later(0) + LONGEST * 2}, "more than 15 days"),
    ({"onset": later(0) - LONGEST * 2}, "more than 15 days"),
    ({"expires": dt.datetime(2016, 7, 20, 9)}, "no zone"),  # noqa: DTZ001 - that is the mistake
    ({"level": "purple"}, "not one of blue"),
    ({"area": {"type": "Point", "coordinates": [1, 2]}}, "Polygon or MultiPolygon"),
    ({"area": {"type": "Polygon", "coordinates": []}}, "area"),
    ({"area": {"type": "Polygon", "coordinates": [[[1, 2]]]}}, "cannot be read"),
    ({"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}},
     "Self-intersection"),
    ({"area": {"type": "Polygon", "coordinates": [[[0, 0], [0, 99], [1, 0], [0, 0]]]}},
     "longitude first"),
    ({"area": {"type": "Polygon", "coordinates": [[[0, n / 1e4] for n in range(2_000)]]}},
     "corners"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "sentence"), TIMES, ids=[row[1][:30] for row in TIMES])
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    edited = draft().warning
    with pytest.raises(ActError, match=sentence):
        do(edited, Act.EDIT, hour=0, changes=Changes(**wrong))


def test_an_end_that_passed_while_it_waited_is_refused() -> None:
    submitted = then(draft(expires=later(2)).warning, Act.SUBMIT, by=CHEN)
    with pytest.raises(ActError, match="has passed"):
        do(submitted, Act.APPROVE, by=WANG, hour=3)


@pytest.mark.parametrize(
    ("act", "changes", "sentence"),
    [
        (Act.UPGRADE, Changes(level="yellow"), "not above"),
        (Act.UPGRADE, Changes(), "not above"),
        (Act.DOWNGRADE, Changes(level="red"), "not below"),
        (Act.UPDATE, Changes(level="red"), "keeps the level"),
        (Act.CANCEL, Changes(level="blue"), "takes no level"),
        (Act.LEAD, Changes(), "say who leads"),
        (Act.LEAD, Changes(level="red"), "takes no level"),
        (Act.SUBMIT, Changes(), "say the level"),
        (Act.SUBMIT, Changes(level="red", onset=None), "nothing else"),
    ],
)
def test_what_an_act_does_not_take(act: Act, changes: Changes, sentence: str) -> None:
    with pytest.raises(ActError, match=sentence):
        do(in_state(State.ISSUED), act, changes=changes)


def test_an_old_version_is_refused_with_the_present_one() -> None:
    waiting = proposed()
    drafted = then(waiting, Act.DRAFT)
    with pytest.raises(StaleError, match="version 1; the warning is at version 2") as caught:
        do(drafted, Act.SUBMIT, version=waiting.version)
    assert caught.value.warning is drafted


RIGHTS = [
    (None, State.PROPOSED, Act.DRAFT, (), "signin"),
    (DUTY, State.PROPOSED, Act.DRAFT, (), "role"),
    (FAR, State.PROPOSED, Act.DRAFT, (), "region"),
    (CHEN, State.SUBMITTED, Act.APPROVE, (), None),
    (CHEN, State.SUBMITTED, Act.APPROVE, ("yellow",), "role"),
    (CHEN, State.SUBMITTED, Act.APPROVE, ("red",), None),
    (BOTH, State.SUBMITTED, Act.APPROVE, ("yellow",), "own"),
    (WANG, State.SUBMITTED, Act.APPROVE, ("yellow",), None),
    (WANG, State.PROPOSED, Act.APPROVE, ("yellow",), None),
    (CHEN, State.ISSUED, Act.CANCEL, ("yellow",), "role"),
    (WANG, State.ISSUED, Act.CANCEL, ("yellow",), None),
    (CHEN, State.APPROVED, Act.VETO, ("yellow",), "role"),
    (CHEN, State.APPROVED, Act.VETO, (), None),
    (DUTY, State.ISSUED, Act.LEAD, (), "role"),
]


@pytest.mark.parametrize(("by", "state", "act", "two", "code"), RIGHTS)
def test_rights(
    by: Person | None, state: State, act: Act, two: tuple[str, ...], code: str | None
) -> None:
    warning = in_state(state)
    given = NEEDED.get(act, {})
    assert (str(act) in allowed(warning, by, two=two)) == (code is None)
    if code is None:
        assert do(warning, act, by=by, two=two, **given)
        return
    with pytest.raises(RightsError) as caught:
        do(warning, act, by=by, two=two, **given)
    assert caught.value.code == code


def test_a_higher_level_needs_two_as_well() -> None:
    warning = in_state(State.ISSUED)
    red = Changes(level="red")
    with pytest.raises(RightsError, match="somebody else"):
        do(warning, Act.UPGRADE, by=WANG, two=("red",), changes=red)
    assert "upgrade" in allowed(warning, WANG, two=("red",))  # to orange
    asked = then(warning, Act.SUBMIT, by=WANG, two=("red",), changes=red)
    assert asked.suggestion == Suggestion(act=Act.UPGRADE, level="red", since=later(1), by="wang")
    with pytest.raises(RightsError, match="somebody else than wang"):
        do(asked, Act.UPGRADE, by=WANG, two=("red",), changes=red)
    raised = then(asked, Act.UPGRADE, by=BOTH, two=("red",), changes=red)
    assert (raised.level, raised.suggestion) == ("red", None)
    # What the stations support was seen by two already.
    seen = msgspec.structs.replace(
        warning, suggestion=Suggestion(act=Act.UPGRADE, level="red", since=later(1))
    )
    assert then(seen, Act.UPGRADE, by=WANG, two=("red",), changes=red).level == "red"


def test_own_words_are_said_once() -> None:
    warning = then(draft(text=GREEN).warning, Act.SUBMIT, by=CHEN)
    warning = then(warning, Act.APPROVE, by=WANG)
    assert warning.text == GREEN
    assert then(warning, Act.UPDATE).text == GREEN
    assert then(warning, Act.UPGRADE, changes=Changes(level="red")).text == {}
    said = {"zh": Own(sms="red")}
    assert then(warning, Act.UPGRADE, changes=Changes(level="red", text=said)).text == said
    assert then(warning, Act.CANCEL).text == {}
    assert then(warning, Act.UPDATE, changes=Changes(text={"zh": Own()})).text == {}


def test_an_update_shortens_nothing_unsaid() -> None:
    warning = then(then(draft(expires=later(20)).warning, Act.SUBMIT), Act.APPROVE)
    assert then(warning, Act.UPDATE, hour=2).expires == later(20)
    assert then(warning, Act.UPDATE, hour=2, changes=Changes(expires=None)).expires == later(8)
    assert then(warning, Act.UPDATE, hour=16).expires == later(22)


def test_what_was_noticed_is_taken_back() -> None:
    told = notice(proposed(), at=later(0.5), terms=TERMS).warning
    assert (told.number, told.noticed, told.state) == (1, True, "proposed")
    withdrawn, dismissed = do(told, Act.DISMISS)
    assert (withdrawn.act, withdrawn.closed, withdrawn.publishes) == (Act.WITHDRAW, True, False)
    assert compose(withdrawn).number == 2
    assert dismissed.warning.state is State.DISMISSED
    assert not dismissed.warning.noticed
    # What comes out is heard of by them in its own chain.
    (_, issued) = do(told, Act.APPROVE)
    assert compose(issued).number == 2
    assert [each.act for each in do(issued.warning, Act.CANCEL, hour=2)] == [Act.CANCEL]


def test_an_exercise_stays_one() -> None:
    warning = draft(exercise=True).warning
    for act, more in [
        (Act.EDIT, {"changes": Changes(level="red")}), (Act.SUBMIT, {}), (Act.RETURN, {}),
        (Act.SUBMIT, {}), (Act.APPROVE, {}), (Act.UPDATE, {}), (Act.CANCEL, {}),
    ]:  # fmt: skip
        steps = do(warning, act, **more)
        warning = steps[-1].warning
        assert warning.exercise
        assert all(compose(each).exercise for each in steps if each.act in PUBLISHING)
    assert "exercise" not in Changes.__struct_fields__


# What the watch does with what people lead.


def watched(warning: Warning, level: str, hour: float, **more: Any) -> Step:
    found = advance(
        warning, case(level, at=later(hour)) if level else None, at=later(hour), complete=True,
        terms=TERMS, exercise=False, **more,
    )  # fmt: skip
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("level", "hour", "suggested"),
    [
        ("red", 2, (Act.UPGRADE, "red")),
        ("", 3.5, (Act.CANCEL, "yellow")),
        ("blue", 4, (Act.DOWNGRADE, "blue")),
        ("yellow", 6, (Act.UPDATE, "yellow")),
        ("yellow", 2, None),
    ],
)
def test_the_watch_suggests_and_changes_nothing(
    level: str, hour: float, suggested: tuple[Act, str] | None
) -> None:
    warning = in_state(State.ISSUED)
    found = watched(warning, level, hour)
    assert (found.act, found.changes) == (Act.KEEP, False)
    same = ("state", "level", "version", "number", "expires", "text", "led", "door")
    assert [getattr(found.warning, name) for name in same] == [
        getattr(warning, name) for name in same
    ]
    advice = found.warning.suggestion
    assert (advice and (advice.act, advice.level)) == suggested
    if suggested:
        assert advice is not None
        assert watched(found.warning, level, hour).warning.suggestion == advice
        assert do(found.warning, Act.UPDATE, hour=hour)[0].warning.suggestion is None


def test_a_person_is_not_overruled_by_less() -> None:
    asked = then(in_state(State.ISSUED), Act.SUBMIT, by=CHEN, changes=Changes(level="orange"))
    kept = watched(asked, "yellow", 2).warning.suggestion
    assert kept is not None
    assert kept.by == "chen"
    higher = watched(asked, "red", 2).warning.suggestion
    assert higher is not None
    assert (higher.by, higher.level) == ("", "red")


def test_reminded_once_and_ended() -> None:
    warning = then(then(draft(expires=later(6)).warning, Act.SUBMIT), Act.APPROVE)
    assert tend(warning, at=later(5), terms=TERMS).act is Act.KEEP  # type: ignore[union-attr]
    reminded = tend(warning, at=later(5.6), terms=TERMS)
    assert reminded is not None
    assert (reminded.act, reminded.publishes) == (Act.REMIND, False)
    again = tend(reminded.warning, at=later(5.7), terms=TERMS)
    assert again is not None
    assert again.act is Act.KEEP
    ended = tend(again.warning, at=later(6), terms=TERMS)
    assert ended is not None
    assert (ended.act, ended.publishes, ended.warning.ended) == (Act.EXPIRE, True, later(6))
    prolonged = then(reminded.warning, Act.UPDATE, hour=5.8, changes=Changes(expires=later(12)))
    soon = tend(prolonged, at=later(11.9), terms=TERMS)
    assert soon is not None
    assert soon.act is Act.REMIND


def test_a_draft_nobody_finishes_goes_with_its_time() -> None:
    warning = draft(expires=later(3)).warning
    assert watched(warning, "", 2.9).act is Act.KEEP
    gone = watched(warning, "", 3)
    assert (gone.act, gone.warning.ended) == (Act.DISMISS, later(3))
    # While stations speak for it, it stays.
    assert watched(watched(warning, "blue", 2).warning, "blue", 3).act is Act.KEEP


def test_the_watch_takes_back_the_lead() -> None:
    handed = then(in_state(State.ISSUED), Act.LEAD, led="watch")
    assert watched(handed, "", 3.5).act is Act.CANCEL
    with pytest.raises(ActError, match="no station"):
        do(then(then(draft().warning, Act.SUBMIT), Act.APPROVE), Act.LEAD, led="watch")


# Automatic, and stopped.


def test_an_automatic_one_waits_for_a_veto() -> None:
    hour = dt.timedelta(hours=1)
    opened = advance(
        None, case("orange"), at=later(0), complete=True, terms=TERMS, exercise=False, veto=hour
    )
    assert opened is not None
    assert opened.act is Act.PROPOSE
    approved = watched(opened.warning, "orange", 0.1, veto=hour)
    assert (approved.act, approved.warning.veto_until) == (Act.APPROVE, later(1.1))
    assert watched(approved.warning, "orange", 1, veto=hour).act is Act.KEEP
    issued = watched(approved.warning, "", 1.1, veto=hour)
    assert (issued.act, issued.warning.level, issued.warning.led) == (Act.ISSUE, "orange", "watch")
    assert issued.warning.veto_until is None
    at_once = do(approved.warning, Act.APPROVE, hour=0.2)
    assert [each.act for each in at_once] == [Act.ISSUE]


@pytest.mark.parametrize("act", [Act.VETO, Act.DISMISS])
def test_what_was_stopped_stays_down(act: Act) -> None:
    hour = dt.timedelta(hours=1)
    warning = then(in_state(State.APPROVED), act, hour=0.6)
    assert (warning.barred, warning.ended) == ("yellow", None)
    for later_on in (0.7, 1.0, 2.0, 3.0):
        found = watched(warning, "yellow", later_on, veto=hour)
        assert not found.publishes
        assert found.warning.state is (State.PROPOSED if act is Act.VETO else State.DISMISSED)
        warning = found.warning
    # It rises above what was stopped: that was not decided on.
    risen = watched(warning, "orange", 3.1, veto=hour).warning
    if act is Act.DISMISS:
        assert (risen.state, risen.level) == (State.PROPOSED, "orange")
        risen = watched(risen, "orange", 3.2, veto=hour).warning
    assert (risen.state, risen.level) == (State.APPROVED, "orange")
    # Its cause goes away: the next one is a new event.
    over = watched(warning, "", 5.0, veto=hour).warning
    assert (over.state, over.ended) == (State.DISMISSED, later(5))


def test_a_level_that_is_not_automatic_needs_a_person() -> None:
    low = ("blue", "yellow")
    warning = step("blue", exercise=False).warning
    kept = watched(warning, "red", 1, automatic=low)
    assert kept.act is Act.KEEP
    assert kept.warning.level == "blue"
    assert kept.warning.suggestion == Suggestion(act=Act.UPGRADE, level="red", since=later(1))
    # It is kept alive at its level meanwhile.
    on = watched(watched(kept.warning, "red", 3, automatic=low).warning, "red", 5, automatic=low)
    assert (on.act, on.warning.level) == (Act.UPDATE, "blue")
    waiting = in_state(State.APPROVED)
    back = watched(waiting, "red", 0.8, automatic=low, veto=dt.timedelta(hours=1))
    assert (back.act, back.warning.state, back.warning.level) == (Act.PROPOSE, "proposed", "red")
    assert back.warning.veto_until is None


def test_levels_that_an_act_may_lead_to() -> None:
    red = then(in_state(State.ISSUED), Act.UPGRADE, changes=Changes(level="red"))
    assert "upgrade" not in allowed(red, BOTH, two=LEVELS)
    assert "downgrade" in allowed(red, BOTH)
    assert allowed(red, None) == []
