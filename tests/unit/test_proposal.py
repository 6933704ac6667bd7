"""Findings of stations, gathered by region."""

import pytest

from forecast.nowcast import Door, Evidence, Finding
from forecast.proposal import propose


def finding(
    station: int,
    level: str,
    door: Door = "observed",
    *,
    hazard: str = "gale",
    value: float = 30.0,
    time: int = 600,
    probability: float | None = None,
) -> Finding:
    element = "wind_speed_of_gust"
    evidence = Evidence(station, element, "value", 0, value, 13.9, ">=", probability, time)
    return Finding(station, hazard, level, door, (evidence,), time)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], []),
        ([finding(0, "blue")], [(0, "gale", "blue", "observed", [0])]),
        (
            [finding(3, "blue")],
            [(0, "gale", "blue", "observed", [3]), (1, "gale", "blue", "observed", [3])],
        ),
        (
            [finding(0, "blue"), finding(1, "yellow", "expected", probability=0.7)],
            [(0, "gale", "yellow", "expected", [1])],
        ),
        (
            [finding(0, "blue", "expected", probability=0.9), finding(1, "blue")],
            [(0, "gale", "blue", "observed", [1])],
        ),
        (
            [finding(0, "blue", value=15.0), finding(1, "blue", value=17.0)],
            [(0, "gale", "blue", "observed", [1, 0])],
        ),
        (
            [finding(2, "red"), finding(0, "blue", hazard="rainstorm")],
            [(0, "rainstorm", "blue", "observed", [0]), (1, "gale", "red", "observed", [2])],
        ),
        ([finding(9, "red")], []),
    ],
)
def test_highest_level_by_region(
    findings: list[Finding], expected: list[tuple[int, str, str, str, list[int]]]
) -> None:
    for order in (findings, findings[::-1]):
        proposals = propose(order, [[0, 1, 3], [2, 3], []])
        assert [
            (p.region, p.hazard, p.level, p.door, [e.station for e in p.evidence])
            for p in proposals
        ] == expected


def test_the_time_is_that_of_the_first_station() -> None:
    (proposal,) = propose([finding(0, "blue", time=1_200), finding(1, "blue", time=600)], [[0, 1]])
    assert proposal.time == 600
