"""When a closed notice goes out without a person."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from alerts.bureau import notice
from alerts.bureau.policy import Policy
from alerts.life.warning import Notice, State
from tests.samples import START, later, step


def due(
    *, level: str = "orange", door: Any = "expected", lead: float = 3, at: float = 0, **more: Any
) -> bool:
    """Decide about a proposal whose onset lies so many hours ahead."""
    warning = step(level, door=door).warning
    ground = msgspec.structs.replace(warning.ground, onset=START + dt.timedelta(hours=lead))
    proposed = msgspec.structs.replace(
        warning, **{"state": State.PROPOSED, "grounds": {level: ground}, **more}
    )
    return notice.due(proposed, policy=Policy.load(), at=later(at))


def told(level: str, *, withdrawn: bool = False) -> Notice:
    return Notice(number=1, level=level, at=START, withdrawn=withdrawn)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, True),
        ({"level": "red"}, True),
        ({"level": "yellow"}, False),
        ({"level": "blue"}, False),
        ({"door": "observed"}, False),
        ({"state": State.DRAFT}, True),
        ({"state": State.SUBMITTED}, True),
        ({"state": State.APPROVED}, True),
        ({"state": State.ISSUED}, False),
        ({"state": State.DISMISSED}, False),
        ({"lead": 12}, True),
        ({"lead": 12.1}, False),
        ({"lead": 0}, False),
        ({"at": 3}, False),
        ({"notices": (told("orange"),)}, False),
        ({"notices": (told("red"),)}, False),
        ({"notices": (told("yellow"),)}, True),
        ({"notices": (told("orange"),), "level": "red"}, True),
        ({"notices": (told("orange", withdrawn=True),)}, True),
    ],
)
def test_when_it_is_due(case: dict[str, Any], *, expected: bool) -> None:
    assert due(**case) is expected


@pytest.mark.parametrize(("probability", "expected"), [(0.29, False), (0.3, True), (None, True)])
def test_how_likely_it_must_be(probability: float | None, *, expected: bool) -> None:
    warning = step("orange", door="expected").warning
    (item,) = warning.ground.evidence
    ground = msgspec.structs.replace(
        warning.ground,
        onset=later(3),
        evidence=(msgspec.structs.replace(item, probability=probability),),
    )
    proposed = msgspec.structs.replace(warning, state=State.PROPOSED, grounds={"orange": ground})
    assert notice.due(proposed, policy=Policy.load(), at=START) is expected
