import datetime as dt
from typing import Any

import pytest

from agent.drivers.columns import Fault, Faults, Layout, LayoutError, Reader
from agent.drivers.columns import read as checked
from agent.report import Report

BEIJING = {"year": "year", "month": "month", "day": "day", "hour": "hour"}


def layout(**changes: Any) -> dict[str, Any]:
    time = {"column": "time", "zone": "UTC", "marks": "end", "interval": 600}
    table: dict[str, Any] = {"time": time, "elements": {"air_temperature": {"column": "T"}}}
    table["time"] = {**time, **changes.pop("time", {})}
    return {**table, **changes}


def read(table: dict[str, Any], *lines: str | bytes) -> tuple[list[Report], list[Fault]]:
    faults: list[Fault] = []
    reader = Reader(checked(table, Layout), file="a.csv", fault=faults.append)
    raw = [line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines]
    return [report for line in raw if (report := reader.read(line))], faults


def one(table: dict[str, Any], *lines: str) -> Report:
    reports, faults = read(table, *lines)
    assert not faults
    assert len(reports) == 1
    return reports[0]


@pytest.mark.parametrize(
    ("time", "header", "cells", "expected"),
    [
        ({}, "time", "2016-07-20T08:05:00Z", "2016-07-20T08:05"),
        ({}, "time", "2016-07-20 08:05", "2016-07-20T08:05"),
        ({"zone": "Asia/Shanghai"}, "time", "2016-07-20 08:05", "2016-07-20T00:05"),
        ({"zone": "Asia/Shanghai"}, "time", "2016-07-20T08:05+01:00", "2016-07-20T07:05"),
        ({"marks": "start"}, "time", "2016-07-20 08:05", "2016-07-20T08:15"),
        ({"format": "unix"}, "time", "1469001900", "2016-07-20T08:05"),
        ({"format": "%d.%m.%Y %H:%M"}, "time", "20.07.2016 08:05", "2016-07-20T08:05"),
        (
            {"column": ["date", "clock"], "format": "%Y%m%d %H%M"},
            "date,clock",
            "20160720,0805",
            "2016-07-20T08:05",
        ),
        (
            {"column": "date", "format": "%Y%m%d", "hour": "HH"},
            "date,HH",
            "20160720,24",
            "2016-07-21T00:00",
        ),
        (
            {"column": "", **BEIJING, "zone": "Asia/Shanghai"},
            "year,month,day,hour",
            "2016,7,20,0",
            "2016-07-19T16:00",
        ),
    ],
)
def test_time_is_read_as_the_layout_says(
    time: dict[str, Any], header: str, cells: str, expected: str
) -> None:
    report = one(layout(time=time), f"{header},T", f"{cells},21.5")
    assert report.time == dt.datetime.fromisoformat(expected).replace(tzinfo=dt.UTC)
    assert report.interval == 600
    assert report.values == {"air_temperature": 21.5}


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ({}, "21.5", 21.5),
        ({}, " 21.5 ", 21.5),
        ({"scale": 0.1}, "215", 21.5),
        ({"offset": -273.15}, "294.65", 21.5),
        ({"scale": 0.1, "offset": -10}, "315", 21.5),
        ({"codes": {"warm": 30}}, "warm", 30),
        ({"codes": {"warm": 30}, "scale": 2}, "warm", 30),
        ({"codes": {"warm": 30}}, "21.5", 21.5),
    ],
)
def test_value_is_scaled_shifted_or_looked_up(
    column: dict[str, Any], cell: str, expected: float
) -> None:
    table = layout(elements={"air_temperature": {"column": "T", **column}})
    report = one(table, "time,T", f"2016-07-20T08:05Z,{cell}")
    assert report.values["air_temperature"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("cell", ["", "NA", "-999", "///"])
def test_missing_value_is_left_out_without_a_fault(cell: str) -> None:
    elements = {
        "air_temperature": {"column": "T", "missing": ["///"]},
        "wind_speed": {"column": "W"},
    }
    table = layout(elements=elements, missing=["", "NA", "-999"])
    assert one(table, "time,T,W", f"2016-07-20T08:05Z,{cell},3").values == {"wind_speed": 3}


def test_row_without_any_value_is_a_gap() -> None:
    assert read(layout(), "time,T", "2016-07-20T08:05Z,NA", "") == ([], [])


@pytest.mark.parametrize(
    ("cells", "column", "why"),
    [
        ("2016-07-20T08:05Z,warm", "T", "could not convert"),
        ("2016-07-20T08:05Z,nan", "T", "cannot be air_temperature"),
        ("2016-07-20T08:05Z,inf", "T", "cannot be air_temperature"),
        ("2016-07-20T08:05Z,215", "T", "cannot be air_temperature"),
        ("2016-07-20T08:05Z", "T", "ends after 1 columns"),
        ("yesterday,21.5", "time", "no time"),
        (",21.5", "time", "no time"),
        ("9999-12-31T23:59,21.5", "time", "no time"),
    ],
)
def test_bad_cell_is_named_and_the_next_line_is_read(cells: str, column: str, why: str) -> None:
    table = layout(time={"marks": "start"})
    reports, faults = read(table, "time,T", cells, "2016-07-20T08:15Z,20")
    assert [report.values for report in reports] == [{"air_temperature": 20}]
    assert [(f.file, f.line, f.column) for f in faults] == [("a.csv", 2, column)]
    assert why in faults[0].why
    assert str(faults[0]).startswith(f"a.csv, line 2, column {column}: ")


def test_bad_cell_does_not_cost_the_other_values_of_the_line() -> None:
    elements = {"air_temperature": {"column": "T"}, "wind_speed": {"column": "W"}}
    reports, faults = read(layout(elements=elements), "time,T,W", "2016-07-20T08:05Z,x,3")
    assert [report.values for report in reports] == [{"wind_speed": 3}]
    assert len(faults) == 1


def test_bytes_of_another_encoding_are_a_fault() -> None:
    reports, faults = read(layout(), "time,T", b"2016-07-20T08:05Z,\xff\n", "2016-07-20T08:15Z,20")
    assert len(reports) == 1
    assert faults[0].line == 2


def test_chinese_header_in_gbk() -> None:
    table = layout(encoding="gbk", elements={"air_temperature": {"column": "气温"}})
    lines = ["time,气温\n".encode("gbk"), b"2016-07-20T08:05Z,20\r\n"]
    assert read(table, *lines)[0][0].values == {"air_temperature": 20}


def test_byte_order_mark_comments_units_blanks_and_no_header() -> None:
    assert one(layout(), b"\xef\xbb\xbftime,T\n", "2016-07-20T08:05Z,20")  # type: ignore[arg-type]
    table = layout(skip=1, skip_after=1, comment="#")
    assert one(table, "made by a logger", "time,T", "UTC,Cel", "# night", "2016-07-20T08:05Z,20")
    table = layout(
        header=False,
        delimiter="blank",
        time={"column": "", "year": 1, "month": 2, "day": 3, "hour": 4, "minute": 5},
        elements={"air_temperature": {"column": 6}},
    )
    assert one(table, "2016 07  20 08 05   20.5").values == {"air_temperature": 20.5}


def test_optional_column_may_be_absent_and_others_may_not() -> None:
    elements = {"wind_speed": {"column": "W", "optional": True}, "air_temperature": {"column": "T"}}
    assert one(layout(elements=elements), "time,T", "2016-07-20T08:05Z,20")
    with pytest.raises(LayoutError, match=r"a\.csv: no column 'T'; it has: time, W"):
        read(layout(elements=elements), "time,W")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": {}}, "none named"),
        ({"elements": {"temperature": {"column": "T"}}}, "near to it: air_temperature"),
        (
            {"elements": {"air_temperature": {"col": "T"}}},
            "unknown field `col` - at `elements.air_temperature`",
        ),
        ({"delimiter": ";;"}, "delimiter: write one character"),
        ({"encoding": "utf-16"}, "not readable line by line"),
        ({"encoding": "klingon"}, "unknown"),
        ({"time": {"zone": "Beijing"}}, "no time zone 'Beijing'"),
        ({"time": {"column": ""}}, "name either column"),
        ({"time": {"column": "", "year": "y", "hour": "h"}}, "name either column"),
        ({"time": {"year": "y", "month": "m", "day": "d"}}, "name either column"),
        ({"time": {"marks": "middle"}}, "marks"),
        ({"time": {"interval": 0}}, "interval"),
        ({"separator": ";"}, "unknown field `separator`"),
    ],
)
def test_wrong_layout_says_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        checked(layout(**changes), Layout)


def test_faults_are_all_counted_and_the_first_told() -> None:
    told: list[Fault] = []
    faults = Faults(told.append, keep=2)
    for line in range(5):
        faults(Fault("a.csv", line, "", "broken"))
    assert faults.count == 5
    assert [fault.line for fault in told] == [0, 1]
