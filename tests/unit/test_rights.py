"""Who may do what: one table of cases, and what holds for every act."""

from typing import TypeAlias

import pytest

from alerts.rights import ANSWERING, DECIDING, SECOND, WRITING, Person, RightsError, Role, may


def person(*roles: Role, regions: tuple[str, ...] = ()) -> Person:
    return Person(id=1, name="chen", title="Chen Yu", roles=frozenset(roles), regions=regions)


Case: TypeAlias = tuple[tuple[Role, ...], tuple[str, ...], str, str | None, bool, str | None]
"""roles, regions, act, author, two, and the code of the refusal"""

CASES: list[Case] = [
    (("forecaster",), (), "draft", None, True, None),
    (("forecaster",), (), "edit", "wang", True, None),
    (("forecaster",), (), "submit", "chen", True, None),
    (("forecaster",), (), "notice", None, True, None),
    (("forecaster",), (), "lead", None, True, None),
    (("forecaster",), (), "return", "chen", True, None),
    (("forecaster",), (), "return", "wang", True, "role"),
    (("forecaster",), (), "approve", "wang", True, "role"),
    (("forecaster",), (), "approve", "chen", False, None),
    (("forecaster",), (), "cancel", None, False, None),
    (("forecaster",), (), "cancel", None, True, "role"),
    (("approver",), (), "draft", None, True, None),
    (("approver",), (), "approve", "wang", True, None),
    (("approver",), (), "approve", None, True, None),
    (("approver",), (), "approve", "chen", True, "own"),
    (("approver",), (), "approve", "chen", False, None),
    (("approver",), (), "upgrade", "chen", True, "own"),
    (("approver",), (), "cancel", "chen", True, None),
    (("approver",), (), "veto", "chen", True, None),
    (("forecaster", "approver"), (), "issue", "chen", True, "own"),
    (("officer",), (), "acknowledge", None, True, None),
    (("forecaster",), (), "acknowledge", None, True, None),
    (("officer",), (), "draft", None, False, "role"),
    (("officer",), (), "cancel", None, False, "role"),
    (("admin",), (), "draft", None, False, "role"),
    (("admin",), (), "approve", None, False, "role"),
    (("admin",), (), "acknowledge", None, False, "role"),
    ((), (), "draft", None, False, "role"),
    (("forecaster",), ("haidian",), "draft", None, True, "region"),
    (("forecaster",), ("haidian", "changping"), "draft", None, True, None),
    (("approver",), ("haidian",), "approve", "wang", True, "region"),
    (("officer",), ("haidian",), "acknowledge", None, True, "region"),
    (("approver",), (), "shout", None, True, "act"),
]


@pytest.mark.parametrize("case", CASES)
def test_table(case: Case) -> None:
    roles, regions, act, author, two, code = case
    asked = person(*roles, regions=regions)
    if code is None:
        may(asked, act, region="changping", author=author, two=two)
        return
    with pytest.raises(RightsError) as refused:
        may(asked, act, region="changping", author=author, two=two)
    assert refused.value.code == code
    assert str(refused.value)


@pytest.mark.parametrize("act", sorted(WRITING | DECIDING | ANSWERING))
def test_nobody_may_do_nothing(act: str) -> None:
    with pytest.raises(RightsError) as refused:
        may(None, act, region="changping", author=None, two=False)
    assert refused.value.code == "signin"


@pytest.mark.parametrize("act", sorted(WRITING | DECIDING | ANSWERING))
def test_the_region_counts_for_every_act(act: str) -> None:
    every = person("forecaster", "approver", "officer", "admin", regions=("haidian",))
    with pytest.raises(RightsError) as refused:
        may(every, act, region="changping", author=None, two=True)
    assert refused.value.code == "region"


@pytest.mark.parametrize("act", sorted(DECIDING))
def test_where_two_are_asked_for_a_forecaster_alone_decides_nothing(act: str) -> None:
    with pytest.raises(RightsError):
        may(person("forecaster"), act, region="changping", author="wang", two=True)


@pytest.mark.parametrize("act", sorted(SECOND))
def test_no_role_makes_the_author_the_second(act: str) -> None:
    every = person("forecaster", "approver", "officer", "admin")
    with pytest.raises(RightsError) as refused:
        may(every, act, region="changping", author="chen", two=True)
    assert refused.value.code == "own"
