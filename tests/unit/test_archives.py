"""Archives: how they are written, and what is read of them."""

import copy
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from agent.event import Timeline, load
from forecast.readings import Readings
from server.archives import mapping, opening
from server.archives.archive import Archive, ArchiveError
from server.archives.mapping import GridMapping, TableMapping
from server.archives.table import TableArchive

ROOT = Path(__file__).parents[2]
EVENT = ROOT / "deploy" / "events" / "beijing-2016-07"
SAMPLE = tomllib.loads(
    """
kind = "csv"
title = { zh = "样例", en = "Sample" }
licence = "CC0"
attribution = "nobody"
source = "nowhere"
files = "*.csv"
station = "site"
missing = ["", "-999"]
[time]
column = "when"
format = "iso"
zone = "Asia/Shanghai"
marks = "end"
interval = 3600
[elements.air_temperature]
column = "t"
[elements.precipitation_amount]
column = "r"
"""
)


def changed(path: str, value: Any) -> dict[str, Any]:
    """Give the sample with one value in place of another; None takes it away."""
    table = copy.deepcopy(SAMPLE)
    *way, last = path.split("/")
    part = table
    for name in way:
        part = part.setdefault(name, {})
    if value is None:
        del part[last]
    else:
        part[last] = value
    return table


@pytest.mark.parametrize("name", mapping.shipped())
def test_the_mappings_that_ship_can_be_read(name: str) -> None:
    found = mapping.load(name)
    assert found.elements
    assert found.attribution


def test_both_kinds_ship() -> None:
    kinds = {type(mapping.load(name)) for name in mapping.shipped()}
    assert kinds == {TableMapping, GridMapping}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("kind", "xml", "kind"),
        ("files", None, "files"),
        ("elements/air_temperatur", {"column": "t"}, "near to it: air_temperature"),
        ("elements/air_temperature/colum", "t", "elements.air_temperature"),
        ("elements/air_temperature/unit", "furlong", "no way from the unit 'furlong'"),
        ("elements/air_temperature/unit", "mm", "no way from the unit 'mm'"),
        ("elements/air_temperature/variable", "ta", "name its column, and no variable"),
        ("elements/air_temperature/per", "year", "elements.air_temperature"),
        ("time/zone", "Asia/Bejing", "no time zone"),
        ("time/year", "y", "name either column"),
        ("time/interval", 0, "interval"),
        ("time/marks", "middle", "marks"),
        ("stations/a", {"longitude": 190.0}, "stations.a"),
        ("stations/a", {"name": "a b"}, "letters, digits and hyphens"),
    ],
)
def test_a_wrong_mapping_says_where(path: str, value: Any, said: str) -> None:
    with pytest.raises(ArchiveError, match=said):
        mapping.read(changed(path, value))


def test_an_unknown_mapping_names_the_known_ones() -> None:
    with pytest.raises(ArchiveError, match="beijing, knmi"):
        mapping.load("bejing")


def lines(folder: Path, name: str, *rows: str) -> None:
    (folder / name).write_text("site,when,t,r\n" + "\n".join(rows) + "\n", "utf-8")


def table(folder: Path, given: dict[str, Any] | None = None) -> TableArchive:
    found = mapping.read(given or SAMPLE)
    assert isinstance(found, TableMapping)
    return TableArchive(folder, found)


def whole(archive: Archive, **bounds: int) -> Readings:
    return Readings.joined([*archive.readings(**({"start": None, "end": None} | bounds))])


def test_tables_are_merged_by_time(tmp_path: Path) -> None:
    lines(tmp_path, "one.csv", "b,2016-07-20T02:00,21.5,-999", "a,2016-07-20T02:00,20,1.2",
          "a,2016-07-20T04:00,,0")  # fmt: skip
    lines(tmp_path, "two.csv", "c,2016-07-20T01:00,19,0", "c,2016-07-20T03:00+00:00,18,3")
    archive = table(tmp_path)
    assert [place.name for place in archive.places] == ["a", "b", "c"]
    found = whole(archive)
    start = 1468951200  # 2016-07-20 02:00 in Beijing
    assert (found.time - start).tolist() == [-3_600, 0, 0, 7_200, 9 * 3_600]
    assert found.station.tolist() == [2, 1, 0, 0, 2]
    rain = found.values["precipitation_amount"].tolist()
    assert rain[2] == 1.2
    assert np.isnan(rain[1])
    assert set(found.interval.tolist()) == {3_600}
    part = whole(archive, start=start, end=start + 7_200)
    assert (part.time - start).tolist() == [7_200]
    assert archive.faults.count == 0


def test_units_rates_codes_and_marks(tmp_path: Path) -> None:
    given = changed(
        "elements",
        {
            "air_temperature": {"column": "t", "unit": "K", "scale": 0.1},
            "precipitation_amount": {"column": "r", "unit": "in", "per": "h", "missing": ["9"],
                                     "codes": {"trace": 0.0}},
        },
    )  # fmt: skip
    given["time"]["interval"] = 600
    given["time"]["marks"] = "start"
    lines(tmp_path, "a.csv", "a,2016-07-20T02:00,2931.5,6", "a,2016-07-20T02:10,,trace",
          "a,2016-07-20T02:20,2941.5,9")  # fmt: skip
    found = whole(table(tmp_path, given))
    assert found.time[0] == 1468951200 + 600
    assert found.values["air_temperature"].tolist()[::2] == pytest.approx([20, 21])
    assert found.values["precipitation_amount"].tolist() == pytest.approx(
        [25.4, 0, np.nan], nan_ok=True
    )


def test_what_is_wrong_in_a_line_loses_that_alone(tmp_path: Path) -> None:
    lines(tmp_path, "a.csv", "a,2016-07-20T02:00,warm,1", "a,no time,20,1", "a,2016-07-20T03:00",
          "a,2016-07-20T04:00,999,2", "", "a,2016-07-20T05:00,20,2")  # fmt: skip
    archive = table(tmp_path)
    found = whole(archive)
    assert len(found) == 3
    assert np.isnan(found.values["air_temperature"]).tolist() == [True, True, False]
    assert found.values["precipitation_amount"].tolist() == [1, 2, 2]
    assert archive.faults.count == 4
    assert any("'warm' is no number" in text for text in archive.faults.first)


@pytest.mark.parametrize(
    ("header", "said"), [("site,when,t", "no column r"), ("", "names no columns")]
)
def test_a_file_without_a_column_is_refused(tmp_path: Path, header: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\na,2016-07-20T02:00,1\n", "utf-8")
    with pytest.raises(ArchiveError, match=said):
        whole(table(tmp_path))


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"no file \*\.csv"):
        table(tmp_path)


@pytest.fixture
def beijing(tmp_path: Path) -> Path:
    """Lend a folder with the event's tables alone."""
    for station in load(EVENT).stations:
        (tmp_path / station.file).symlink_to(EVENT / station.file)
    return tmp_path


def test_a_small_memory_gives_the_same(beijing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = whole(opening.archive(beijing, "beijing"))
    monkeypatch.setattr("server.archives.table.ROWS", 12)
    monkeypatch.setattr("server.archives.table.LEAST", 7)
    archive = opening.archive(beijing, "beijing")
    batches = [*archive.readings(start=None, end=None)]
    assert len(batches) > 5
    for early, late in pairwise(batches):
        assert early.time.max() < late.time.min()
    found = Readings.joined(batches)
    order, other = (np.lexsort((r.station, r.time)) for r in (plain, found))
    for name, column in plain.values.items():
        assert np.array_equal(column[order], found.values[name][other], equal_nan=True)


def test_a_file_that_goes_back_in_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.archives.table.ROWS", 2)
    monkeypatch.setattr("server.archives.table.LEAST", 2)
    rows = [f"a,2016-07-20T{hour:02}:00,1,0" for hour in (2, 3, 4, 5, 1, 6)]
    lines(tmp_path, "a.csv", *rows)
    with pytest.raises(ArchiveError, match="goes back in time"):
        whole(table(tmp_path))


def test_the_mapping_reads_what_the_event_reads(beijing: Path) -> None:
    """The same files by both ways: the columns here, line by line there."""
    archive = opening.archive(beijing, "beijing")
    found = Readings.joined([*archive.readings(start=None, end=None)])
    timeline = Timeline(load(EVENT), fault=lambda fault: pytest.fail(str(fault)))
    names = {place.zh: row for row, place in enumerate(archive.places)}
    own = {station.id: names[station.zh] for station in timeline.event.stations}
    rows = {
        (int(t), int(s)): row
        for row, (t, s) in enumerate(zip(found.time, found.station, strict=True))
    }
    seen = 0
    for step in range(len(timeline)):
        for name, report in timeline.at(step).items():
            row = rows[int(report.time.timestamp()), own[name]]
            for element in archive.elements:
                value, other = found.values[element][row], report.values.get(element)
                assert np.isnan(value) if other is None else value == other
            seen += 1
    timeline.close()
    assert seen == len(found)


def test_an_event_is_an_archive_without_a_mapping() -> None:
    archive = opening.archive(EVENT, "")
    found = Readings.joined([*archive.readings(start=None, end=None)])
    assert len(archive.places) == 12
    assert archive.places[0].zh == "奥体中心"
    assert len(found) == 864
    middle = int(np.median(found.time))
    late = Readings.joined([*archive.readings(start=middle, end=None)])
    assert late.time.min() > middle


def grid(path: Path, *, first: str = "2023-01-01T00:10", names: tuple[str, ...] = ("06201", "x"),
         **more: Any) -> None:  # fmt: skip
    """Write a small file as KNMI does."""
    time = np.array([first], "M8[ns]") + np.arange(3) * np.timedelta64(10, "m")
    shape = (len(names), 3)
    data = xr.Dataset(
        {
            "ff": (("station", "time"), np.full(shape, 7.0), {"units": "m s-1",
                   "standard_name": "wind_speed"}),
            "gff": (("station", "time"), np.full(shape, 12.0), {"units": "m s-1",
                    "standard_name": "wind_speed_of_gust"}),
            "rg": (("station", "time"), np.full(shape, 6.0), {"units": "mm/h"}),
            "ta": (("station", "time"), np.full(shape, 285.15), {"units": "K",
                   "standard_name": "air_temperature"}),
            "lat": (("time", "station"), np.full(shape[::-1], 52.0),
                    {"standard_name": "latitude"}),
            "lon": (("time", "station"), np.full(shape[::-1], 4.0),
                    {"standard_name": "longitude"}),
        },
        coords={
            "time": ("time", time, {"standard_name": "time"}),
            "station": ("station", np.array(names), {"cf_role": "timeseries_id"}),
        },
    )  # fmt: skip
    data["ff"].values[0, 1] = np.nan
    data["gff"].values[0, 1] = np.nan
    data["ta"].values[0, 1] = np.nan
    data["rg"].values[0, 1] = np.nan
    for name, value in more.items():
        data[name] = value
    data.to_netcdf(path, engine="h5netcdf")


def test_netcdf_by_its_mapping(tmp_path: Path) -> None:
    grid(tmp_path / "b.nc", first="2023-01-01T00:40", names=("06201", "y"))
    grid(tmp_path / "a.nc")
    archive = opening.archive(tmp_path, "knmi")
    assert [place.name for place in archive.places] == ["06201", "x", "y"]
    assert archive.places[0].longitude == 4.0
    batches = [*archive.readings(start=None, end=None)]
    found = Readings.joined(batches)
    assert len(found) == 2 * (2 * 3 - 1)  # of one station and time nothing is there
    assert (np.diff(found.time) >= 0).all()
    assert set(found.interval.tolist()) == {600}
    assert set(found.values["precipitation_amount"].tolist()) == {1.0}
    assert found.values["air_temperature"].tolist() == pytest.approx([12.0] * len(found))
    assert np.isnan(found.values["relative_humidity"]).all()


def test_netcdf_by_its_standard_names(tmp_path: Path) -> None:
    grid(tmp_path / "a.nc")
    archive = opening.archive(tmp_path, "")
    assert archive.elements == {"wind_speed", "wind_speed_of_gust", "air_temperature"}
    found = Readings.joined([*archive.readings(start=None, end=None)])
    assert set(found.interval.tolist()) == {600}
    assert set(found.values["wind_speed"].tolist()) == {7.0}


def test_netcdf_that_overlaps_or_is_ambiguous_is_refused(tmp_path: Path) -> None:
    grid(tmp_path / "a.nc")
    grid(tmp_path / "b.nc", first="2023-01-01T00:20")
    with pytest.raises(ArchiveError, match="begins before"):
        opening.archive(tmp_path, "knmi")
    (tmp_path / "b.nc").unlink()
    more = xr.DataArray(np.zeros((2, 3)), dims=("station", "time"),
                        attrs={"standard_name": "air_temperature"})  # fmt: skip
    grid(tmp_path / "a.nc", tx=more)
    with pytest.raises(ArchiveError, match="both air_temperature"):
        opening.archive(tmp_path, "")
    (tmp_path / "a.nc").write_bytes(b"no netCDF")
    with pytest.raises(ArchiveError, match=r"a\.nc"):
        opening.archive(tmp_path, "knmi")


def test_a_folder_without_a_mapping_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="--mapping"):
        opening.archive(tmp_path, "")
    with pytest.raises(ArchiveError, match="no such folder"):
        opening.archive(tmp_path / "nowhere", "beijing")
