"""An area drawn by hand: whether it can be used, and whom it reaches."""

from typing import Any

import pytest

from alerts import areas
from alerts.regions import Region, RegionError
from tests.samples import Station


def square(west: float, south: float, side: float) -> dict[str, Any]:
    east, north = west + side, south + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def region(name: str, west: float, population: int | None) -> Region:
    boundary = square(west, 39.0, 1.0)
    return Region(id=name, zh=name, en=name, boundary=boundary, population=population)


PLACES = [
    Station(1, "in", 117.1, 39.1),
    Station(2, "out", 119.0, 39.1),
    Station(3, "nowhere", None, None),
]


def test_people_live_evenly() -> None:
    known = [region("west", 117.0, 1_000), region("east", 118.0, 500), region("far", 130.0, 9)]
    found = areas.reach(square(117.5, 39.0, 1.0), regions=known, places=PLACES)
    assert [(part.region, part.share, part.people) for part in found.parts] == [
        ("east", 0.5, 250),
        ("west", 0.5, 500),
    ]
    assert (found.people, found.counted) == (750, True)


@pytest.mark.parametrize(
    ("populations", "people", "counted"),
    [((1_000, None), 500, False), ((None, None), None, False), ((0, 0), 0, True)],
)
def test_what_is_not_known_is_not_invented(
    populations: tuple[int | None, int | None], people: int | None, counted: bool
) -> None:
    known = [region("west", 117.0, populations[0]), region("east", 118.0, populations[1])]
    found = areas.reach(square(117.5, 39.0, 1.0), regions=known, places=[])
    assert (found.people, found.counted) == (people, counted)


def test_stations_inside_and_regions_that_are_only_touched() -> None:
    known = [region("inside", 117.0, 10), region("touched", 118.0, 10)]
    found = areas.reach(square(117.0, 39.0, 1.0), regions=known, places=PLACES)
    assert found.stations == ("in",)
    assert [part.region for part in found.parts] == ["inside"]


def test_an_area_in_the_sea_reaches_nobody() -> None:
    found = areas.reach(square(150.0, 10.0, 1.0), regions=[region("a", 117.0, 5)], places=PLACES)
    assert (found.parts, found.stations, found.people, found.counted) == ((), (), None, False)


@pytest.mark.parametrize(
    ("area", "reason"),
    [
        ({}, "GeoJSON Polygon"),
        ({"type": "Point", "coordinates": [117, 39]}, "Polygon or MultiPolygon"),
        ({"type": "Polygon", "coordinates": []}, "Polygon or MultiPolygon"),
        ({"type": "Polygon", "coordinates": [[[117, 39], [118, 39]]]}, "GeoJSON Polygon"),
        (square(39.0, 117.0, 1.0), "swapped"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [2, 0], [0, 0]]]},
            "encloses nothing",
        ),
        (
            {
                "type": "Polygon",
                "coordinates": [[[i / 1e3, i % 2] for i in range(1_200)] + [[0, 0]]],
            },
            "too many",
        ),
    ],
)
def test_what_is_no_area_is_refused(area: dict[str, Any], reason: str) -> None:
    with pytest.raises(RegionError, match=reason):
        areas.draw(area)


def test_a_loop_that_crosses_itself_is_mended() -> None:
    bow = [[117.0, 39.0], [118.0, 40.0], [118.0, 39.0], [117.0, 40.0], [117.0, 39.0]]
    found = areas.draw({"type": "Polygon", "coordinates": [bow]})
    assert found["type"] == "MultiPolygon"
