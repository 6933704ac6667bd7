import csv
import datetime as dt
from pathlib import Path

import pytest

from agent import event
from agent.drivers.columns import Fault
from agent.event import EventError, Timeline

BUNDLED = Path(__file__).parents[2] / "deploy/events/beijing-2016-07"
DATA = Path(__file__).parents[3] / "shared/data/beijing_hourly"

TOML = """
title = { zh = "试验", en = "Trial" }
licence = "CC0"
attribution = "nobody"
source = "here"
[time]
column = "time"
zone = "UTC"
marks = "end"
interval = 3600
[elements.air_temperature]
column = "T"
[elements.precipitation_amount]
column = "R"
"""
STATIONS = "id,zh,en,longitude,latitude,elevation,file\n"


def folder(path: Path, *, toml: str = TOML, stations: str = "", **files: list[str]) -> Path:
    path.mkdir(exist_ok=True)
    (path / "event.toml").write_text(toml, "utf-8")
    lines = [f"{name},甲,A,116.4,39.9,50,{name}.csv" for name in files]
    (path / "stations.csv").write_text(STATIONS + (stations or "\n".join(lines)), "utf-8")
    for name, rows in files.items():
        text = "\n".join(["time,T,R", *rows, ""])
        (path / f"{name}.csv").write_text(text, "utf-8")
    return path


def hour(hour: int, rest: str) -> str:
    return f"2016-07-20T{hour:02}:00,{rest}"


def timeline(path: Path, faults: list[Fault] | None = None) -> Timeline:
    return Timeline(event.load(path), fault=(faults if faults is not None else []).append)


def test_bundled_event_is_whole() -> None:
    faults: list[Fault] = []
    found = timeline(BUNDLED, faults)
    assert (len(found), found.readings, faults) == (72, 864, [])
    assert found.time(0) == dt.datetime(2016, 7, 18, 16, tzinfo=dt.UTC)
    assert found.time(71) == dt.datetime(2016, 7, 21, 15, tzinfo=dt.UTC)
    rain = [r.values["precipitation_amount"] or 0 for r in found.of("beijing-gucheng")]
    assert max(sum(rain[i : i + 3]) for i in range(70)) == pytest.approx(81.9)
    found.close()


@pytest.mark.skipif(not DATA.is_dir(), reason="the whole data set is not beside the project")
def test_bundled_event_is_cut_by_days_only() -> None:
    for path in sorted(BUNDLED.glob("*.csv")):
        if path.name == "stations.csv":
            continue
        lines = (DATA / path.name).read_bytes().splitlines(keepends=True)
        days = [
            line
            for line in lines
            if line.split(b",")[1:4] in ([b"2016", b"7", d] for d in (b"19", b"20", b"21"))
        ]
        assert path.read_bytes() == b"".join([lines[0], *days])


def test_bundled_stations_have_chinese_names_and_a_note_on_their_places() -> None:
    with (BUNDLED / "stations.csv").open(encoding="utf-8") as file:
        names = [row["zh"] for row in csv.DictReader(file)]
    assert "".join(names) == "奥体中心昌平定陵东四官园古城怀柔农展馆顺义天坛万柳万寿西宫"
    assert "approximate" in (BUNDLED / "README.md").read_text("utf-8")


def test_steps_are_the_distinct_times_of_all_stations(tmp_path: Path) -> None:
    a = [hour(3, "20,0"), hour(1, "21,0"), hour(2, "NA,NA")]
    b = [hour(2, "19,NA"), hour(5, "18,1")]
    found = timeline(folder(tmp_path / "e", a=a, b=b))
    assert [found.time(step).hour for step in range(len(found))] == [1, 2, 3, 5]
    assert [sorted(found.at(step)) for step in range(4)] == [["a"], ["b"], ["a"], ["b"]]
    assert found.at(1)["b"].values == {"air_temperature": 19}
    assert [found.until(step) for step in range(4)] == [1, 2, 3, 4]
    assert [report.time.hour for report in found.of("a")] == [1, 3]
    found.close()


def test_after_finds_where_a_station_goes_on(tmp_path: Path) -> None:
    found = timeline(folder(tmp_path / "e", a=[hour(1, "1,0"), hour(4, "1,0")], b=[hour(2, "1,0")]))
    one = found.time(0)
    assert [found.after("a", None), found.after("a", one), found.after("b", one)] == [0, 2, 1]
    assert found.after("b", found.time(1)) == 3
    found.close()


def test_start_and_end_belong_to_the_event(tmp_path: Path) -> None:
    toml = "start = 2016-07-20T02:00:00\nend = 2016-07-20T12:00:00+08:00\n" + TOML
    rows = [hour(h, "20,0") for h in range(8)]
    found = timeline(folder(tmp_path / "e", toml=toml, a=rows))
    assert [found.time(step).hour for step in range(len(found))] == [2, 3, 4]
    found.close()


def test_faults_are_told_once_and_a_repeated_time_is_one(tmp_path: Path) -> None:
    faults: list[Fault] = []
    rows = [hour(1, "20,x"), hour(2, "20,0"), hour(2, "99,0"), "nonsense", hour(3, "500,0")]
    found = timeline(folder(tmp_path / "e", a=rows), faults)
    list(found.of("a"))
    assert [(fault.line, fault.column) for fault in faults] == [
        (2, "R"), (4, "T"), (4, ""), (5, "time"), (6, "T"),
    ]  # fmt: skip
    assert [found.at(1)["a"].values["air_temperature"], len(found)] == [20, 3]
    found.close()


def test_chosen_stations_alone(tmp_path: Path) -> None:
    found = event.load(folder(tmp_path / "e", a=[hour(1, "1,0")], b=[hour(2, "1,0")]))
    assert [station.id for station in found.choose(["b"]).stations] == ["b"]
    with pytest.raises(EventError, match="no station c; there are: a, b"):
        found.choose(["a", "c"])


@pytest.mark.parametrize(
    ("toml", "stations", "message"),
    [
        ("title = 3", "", "title"),
        (TOML.replace("licence", "license"), "", "license"),
        (TOML.replace("air_temperature", "air_temprature"), "", "near to it: air_temperature"),
        (TOML.replace('"T"', '"TEMP"'), "", r"a\.csv: no column 'TEMP'; it has: time, T, R"),
        ("start = 2030-01-01T00:00:00\n" + TOML, "", "no reading in any file"),
        ("title = ", "", "Invalid value"),
        (TOML, "a,甲,A,116.4,39.9,50,b.csv", "line 2: the file b.csv is not there"),
        (TOML, "a,甲,A,116.4,39.9,50,../a.csv", "name a file inside the folder"),
        (TOML, "a,甲,A,116.4,39.9,50,", "name a file inside the folder"),
        (TOML, "a b,甲,A,116.4,39.9,50,a.csv", "letters, digits and hyphens"),
        (TOML, "a,甲,A,39.9,116.4,50,a.csv", "out of bounds"),
        (TOML, "a,甲,A,east,39.9,50,a.csv", "longitude"),
        (TOML, "a,甲,A,1,1,,a.csv\na,乙,B,1,1,,a.csv", "station a stands there twice"),
        (TOML, "\n", "no station in it"),
    ],
)
def test_wrong_folder_says_what_is_wrong(
    tmp_path: Path, toml: str, stations: str, message: str
) -> None:
    path = folder(tmp_path / "e", toml=toml, stations=stations, a=[hour(1, "20,0")])
    with pytest.raises(EventError, match=message):
        timeline(path)


@pytest.mark.parametrize("missing", ["event.toml", "stations.csv"])
def test_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    path = folder(tmp_path / "e", a=[])
    (path / missing).unlink()
    with pytest.raises(EventError, match=f"{missing}: not there"):
        event.load(path)


def test_file_that_ends_before_its_header_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "e", a=[])
    (path / "a.csv").write_bytes(b"")
    with pytest.raises(EventError, match="ends before its header"):
        timeline(path)
