"""Proposals that wait: what is lone, doubtful or fading, the budget, and the words for it."""

import datetime as dt
import zoneinfo
from collections.abc import Sequence

import msgspec
import pytest

from alerts.bureau.policy import Policy, Proposals, season
from alerts.catalogue import Catalogue
from alerts.life.course import advance
from alerts.life.evidence import Case, Standing
from alerts.life.warning import Act, State, Terms, Warning  # noqa: A004 - the domain's own word
from alerts.texts.wording import Writer
from tests.samples import BUREAU, REGION, START, case, later

CATALOGUE = Catalogue.load()


def given(
    level: str,
    standing: Standing = "sound",
    *,
    fading: bool = False,
    unsure: Case | None = None,
    used: int | None = None,
) -> Case:
    return msgspec.structs.replace(
        case(level), standing=standing, fading=fading, unsure=unsure, used=used
    )


def live(moments: Sequence[tuple[float, Case | None]]) -> list[tuple[float, str, str]]:
    """Give (hour, act, level) of everything but what is kept."""
    running: Warning | None = None
    found = []
    for hour, met in moments:
        step = advance(running, met, at=later(hour), complete=True, terms=Terms(), exercise=False)
        if step is None:
            continue
        running = None if step.warning.ended else step.warning
        if step.act is not Act.KEEP:
            found.append((hour, str(step.act), step.warning.level))
    return found


LONE, DOUBTFUL = given("red", "lone"), given("red", "doubtful")
CASES = [
    ("waits for the next reading", [(0, given("blue", "lone")), (1, given("blue"))],
     [(0, "propose", "blue"), (1, "issue", "blue")]),
    ("nothing confirms it", [(0, LONE), (1, None), (2, None)],
     [(0, "propose", "red"), (2, "dismiss", "red")]),
    ("what is sure goes out, not what was in doubt", [(0, DOUBTFUL), (1, given("blue"))],
     [(0, "propose", "red"), (1, "issue", "blue")]),
    ("raises nothing", [(0, given("blue")), (1, LONE), (1.5, DOUBTFUL)], [(0, "issue", "blue")]),
    ("lone holds, doubtful does not", [(0, given("blue")), (1.5, LONE), (3, None), (3.5, None)],
     [(0, "issue", "blue"), (3.5, "cancel", "blue")]),
    ("doubtful holds nothing", [(0, given("blue")), (1.5, DOUBTFUL), (2, None)],
     [(0, "issue", "blue"), (2, "cancel", "blue")]),
    ("fading opens nothing", [(0, given("blue", fading=True))], []),
    ("fading holds", [(0, given("blue")), *((n, given("blue", fading=True)) for n in (1, 2, 3))],
     [(0, "issue", "blue")]),
    ("a higher one that fades holds its level",
     [(0, given("orange")), *((n, given("blue", unsure=given("orange", fading=True)))
      for n in (1, 2, 3))], [(0, "issue", "orange")]),
    ("a higher one that is lone raises nothing",
     [(0, given("blue", unsure=LONE)), (1, given("yellow", unsure=LONE))],
     [(0, "issue", "blue"), (1, "upgrade", "yellow")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("moments", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_life(
    moments: list[tuple[float, Case | None]], expected: list[tuple[float, str, str]]
) -> None:
    assert live(moments) == expected


def test_a_bureau_that_issues_nothing_by_itself_keeps_what_is_confirmed_as_a_proposal() -> None:
    running: Warning | None = None
    for hour, met in ((0, given("blue", "lone")), (1, given("blue"))):
        step = advance(
            running,
            met,
            at=later(hour),
            complete=True,
            terms=Terms(),
            exercise=False,
            automatic=(),
        )
        assert step is not None
        running = step.warning
    assert running is not None
    assert (running.state, running.ground.standing) == (State.PROPOSED, "sound")


@pytest.mark.parametrize(
    ("month", "begins"), [(1, (2025, 12)), (2, (2025, 12)), (3, (2026, 3)), (11, (2026, 9)),
                          (12, (2026, 12))],
)  # fmt: skip
def test_seasons(month: int, begins: tuple[int, int]) -> None:
    zone = zoneinfo.ZoneInfo("Asia/Shanghai")
    found = season(dt.datetime(2026, month, 15, tzinfo=dt.UTC), zone)
    assert (found.year, found.month, found.day, found.hour) == (*begins, 1, 0)


@pytest.mark.parametrize(
    ("met", "used", "allowed"),
    [
        (given("blue"), 2, True),
        (given("blue"), 3, True),  # met already
        (given("blue", "lone"), 3, False),
        (case("blue", door="expected"), 2, True),
        (case("blue", door="expected"), 3, False),
        (case("yellow", door="expected"), 9, True),  # has no budget here
        (case("red", door="expected"), 9, True),
    ],
)
def test_the_budget(met: Case, used: int, *, allowed: bool) -> None:
    assert Proposals(blue=3).allows(met, used=used) == allowed
    assert Policy.load().proposals.allows(met, used=used)


WORDS = [
    (given("blue"), "", ""),
    (given("blue", "lone"), "single reading", "一次读数"),
    (given("blue", "doubtful"), "failed quality control", "未通过质量控制"),
    (given("blue", unsure=given("red", "doubtful")), "Red would depend", "红色级"),
    (given("blue", unsure=given("red", "lone")), "Red rests on", "红色级"),
    (given("blue", used=3), "had 3 of them", "已有3次"),
    (msgspec.structs.replace(case("blue", door="expected"), onset=later(1)),
     "expected at about 09:00", "09:00前后"),
    (msgspec.structs.replace(case("blue", door="expected"), radar=START), "radar", "雷达"),
]  # fmt: skip


@pytest.mark.parametrize(("met", "english", "chinese"), WORDS)
def test_the_reason_in_words(met: Case, english: str, chinese: str) -> None:
    step = advance(None, met, at=START, complete=True, terms=Terms(), exercise=False)
    assert step is not None
    for language, words in (("en", english), ("zh", chinese)):
        reason = Writer(
            step.warning,
            act=Act.ISSUE,
            at=START,
            region=REGION,
            bureau=BUREAU,
            catalogue=CATALOGUE,
            language=language,
        ).reason()
        assert words in reason
        assert reason[-1] in ".。"
        assert "{" not in reason
