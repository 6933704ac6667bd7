"""Regions: generated round stations, read from a file, and which stations lie in them."""

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from alerts import regions
from alerts.regions import RegionError
from tests.samples import Station

TANGSHAN = Path(__file__).parents[2].parent / "shared" / "data" / "geo" / "130200.json"


STATIONS = [
    Station(1, "A", 116.3, 39.9, "甲", "Alpha"),
    Station(2, "B", 116.4, 39.9, "乙", "Beta"),
    Station(3, "C", 117.5, 40.5),
    Station(4, "D", None, None),
]


def square(west: float, south: float, side: float = 1.0) -> list[list[list[float]]]:
    east, north = west + side, south + side
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def written(tmp_path: Path, *features: dict[str, Any], **more: Any) -> Path:
    file = tmp_path / "map.geojson"
    document = {"type": "FeatureCollection", "features": list(features), **more}
    file.write_text(json.dumps(document), "utf-8")
    return file


def feature(coordinates: Any, *, kind: str = "Polygon", **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"id": "1", "name": "甲", **properties},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def test_samples_are_round_their_stations_and_apart() -> None:
    found = regions.sample(STATIONS, radius_km=10)
    assert [(region.id, region.zh, region.en) for region in found] == [
        ("A", "甲", "Alpha"), ("B", "乙", "Beta"), ("C", "C", "C"),
    ]  # fmt: skip
    assert all(region.sample and region.geometry.is_valid for region in found)
    assert regions.within(found, STATIONS) == {"A": [1], "B": [2], "C": [3]}
    first, second, alone = (region.geometry for region in found)
    assert first.intersection(second).area == pytest.approx(0, abs=1e-8)
    assert first.area < alone.area
    south, north = alone.bounds[1], alone.bounds[3]
    assert (north - south) * regions.KM_PER_DEGREE == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_stations(count: int) -> None:
    assert len(regions.sample(STATIONS[:count])) == count


def test_stations_at_one_spot_share_a_region() -> None:
    twins = [STATIONS[0], STATIONS[0]._replace(id=9, name="Z"), STATIONS[1]]
    found = regions.sample(twins)
    assert regions.within(found, twins) == {"A": [1, 9], "B": [2]}


def test_stations_in_a_row() -> None:
    row = [Station(number, str(number), 116 + number / 10, 40.0) for number in range(5)]
    assert regions.within(regions.sample(row), row) == {str(n): [n] for n in range(5)}


def test_read(tmp_path: Path) -> None:
    file = written(tmp_path, feature(square(116, 39), name_en="Alpha", population=7))
    (region,) = regions.read(file)
    assert (region.id, region.zh, region.en, region.population) == ("1", "甲", "Alpha", 7)
    assert not region.sample
    assert shapely.get_num_coordinates(region.geometry) == 5


def test_properties_can_be_named(tmp_path: Path) -> None:
    file = written(tmp_path, feature(square(116, 39), adcode=110108, mingzi="海淀区"))
    (region,) = regions.read(file, id_property="adcode", zh_property="mingzi")
    assert (region.id, region.zh, region.en) == ("110108", "海淀区", "海淀区")


def test_swapped_can_be_said(tmp_path: Path) -> None:
    file = written(tmp_path, feature(square(39, 116)))
    (region,) = regions.read(file, swapped=True)
    assert region.geometry.bounds == (116, 39, 117, 40)


def test_a_boundary_that_crosses_itself_is_repaired(tmp_path: Path) -> None:
    bow = [[[116, 39], [117, 40], [117, 39], [116, 40], [116, 39]]]
    (region,) = regions.read(written(tmp_path, feature(bow)))
    assert region.geometry.is_valid
    assert region.geometry.area == pytest.approx(0.5, rel=1e-3)


def test_common_borders_stay_common(tmp_path: Path) -> None:
    wavy = [[117 + (number % 2) / 1000, 39 + number / 20] for number in range(21)]
    west = [[[116, 39], *wavy, [116, 40], [116, 39]]]
    east = [[[118, 40], *wavy[::-1], [118, 39], [118, 40]]]
    file = written(tmp_path, feature(west), feature(east, id="2"))
    left, right = (region.geometry for region in regions.read(file, tolerance_m=1000))
    assert shapely.get_num_coordinates(left) < 15
    assert left.intersection(right).area == pytest.approx(0, abs=1e-6)
    assert left.union(right).area == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (feature(square(39, 116)), "swapped"),
        (feature(square(450_000, 4_400_000)), "not degrees"),
        (feature([116.0, 39.0], kind="Point"), "Polygon or MultiPolygon"),
        (feature([[[116, 39], [117, 39], [116, 39], [116, 39]]]), "encloses nothing"),
        (feature("nonsense"), "no geometry"),
        (feature(square(116, 39), id=None), "no property 'id'; it has id, name"),
        (feature(square(116, 39), name=""), "no property 'name'"),
        (feature(square(116, 39), population=-1), "not a number of people"),
        ({"type": "Feature"}, "no properties"),
    ],
)
def test_errors_name_the_feature(tmp_path: Path, bad: dict[str, Any], reason: str) -> None:
    good = feature(square(110, 39), id="good")
    with pytest.raises(RegionError, match=f"feature 2.*{reason}"):
        regions.read(written(tmp_path, good, bad))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RegionError, match="a second time"):
        regions.read(written(tmp_path, feature(square(116, 39)), feature(square(118, 39))))
    crs = {"properties": {"name": "EPSG:3857"}}
    with pytest.raises(RegionError, match="WGS 84"):
        regions.read(written(tmp_path, feature(square(116, 39)), crs=crs))
    with pytest.raises(RegionError, match="no features"):
        regions.read(written(tmp_path))
    with pytest.raises(RegionError, match="nowhere"):
        regions.read(tmp_path / "nowhere")
    (tmp_path / "list").write_text("[]")
    with pytest.raises(RegionError, match="FeatureCollection"):
        regions.read(tmp_path / "list")


@pytest.mark.skipif(not TANGSHAN.is_file(), reason="no real boundaries beside the project")
def test_real_boundaries() -> None:
    found = regions.read(TANGSHAN, id_property="adcode")
    assert len(found) == 14
    assert all(region.geometry.is_valid for region in found)
    station = Station(1, "T", 118.18, 39.63)
    inside = [name for name, ids in regions.within(found, [station]).items() if ids]
    assert inside == ["130203"]


def test_populations_are_read_from_two_columns(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("region,people\n丰润区, 798600\nA,12\n\n", "utf-8-sig")
    assert regions.populations(file) == {"丰润区": 798_600, "A": 12}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("region,people\nA,many\n", "line 2: no number of people: 'many'"),
        ("region,people\nA,79.86\n", "line 2: no number"),
        ("region,people\n", "no line"),
        ("", "no line"),
    ],
)
def test_populations_that_cannot_be_read_are_told(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(RegionError, match=reason):
        regions.populations(file)
