"""What may be said of a station, and lists of them."""

from pathlib import Path
from typing import Any

import pytest

from server.store.stations import Entry, StationError, hash_key, new_key, read


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"name": "a b"}, "letters, digits"),
        ({"name": ""}, "letters, digits"),
        ({"name": "x" * 65}, "letters, digits"),
        ({"name": "a", "longitude": 116.0}, "longitude and latitude"),
        ({"name": "a", "longitude": 39.0, "latitude": 116.0}, "latitude 116"),
        ({"name": "a", "longitude": float("nan"), "latitude": 1.0}, "longitude nan"),
        ({"name": "a", "elevation": 9_999.0}, "elevation"),
    ],
)
def test_a_wrong_station_is_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(StationError, match=complaint):
        Entry(**given)


def test_a_list_of_stations_is_read(tmp_path: Path) -> None:
    file = tmp_path / "stations.csv"
    file.write_text(
        "\ufeffid,zh,en,longitude,latitude,elevation,file\n"
        "0-20000-0-54511,北京,Beijing,116.47,39.81,31.3,a.csv\nX1,,,,,,\n",
        "utf-8",
    )
    assert read(file) == [
        Entry(
            name="0-20000-0-54511",
            zh="北京",
            en="Beijing",
            longitude=116.47,
            latitude=39.81,
            elevation=31.3,
        ),
        Entry(name="X1"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,zh\nx,y\n", "first line"),
        ("id,longitude,latitude\nA,1,1\nB,x,1\n", "line 3"),
        ("id,longitude,latitude\nA,1,\n", "line 2.*longitude and latitude"),
    ],
)
def test_a_wrong_list_names_the_line(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "stations.csv"
    file.write_text(text)
    with pytest.raises(StationError, match=complaint):
        read(file)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(StationError, match=r"none\.csv"):
        read(tmp_path / "none.csv")


def test_keys_are_different_and_only_their_hash_is_kept() -> None:
    key = new_key()
    assert key != new_key()
    assert len(hash_key(key)) == 32
    assert hash_key(key) == hash_key(key) != hash_key(key + "x")
