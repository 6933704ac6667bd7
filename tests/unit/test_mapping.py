"""Mapping files: foreign messages become our reports, or are refused with a reason that helps."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.elements import ELEMENTS
from agent.report import Refusal, Report
from server.ingest import units
from server.ingest.mapping import MappingError, Mappings, TopicMapping, load
from server.ingest.mappingfile import File
from server.ingest.source import Delivery

FOLDER = Path(__file__).parents[2] / "deploy/mappings"
RECEIVED = dt.datetime(2026, 7, 1, 4, 0, 30, tzinfo=dt.UTC)
FIELD = {"element": "air_temperature", "path": "t"}


def mapping(*, mending: bool = False, **table: Any) -> TopicMapping:
    table = {"topic": "weather/{station}/loop", "field": [FIELD]} | table
    return TopicMapping(msgspec.convert(table, File), name="test.toml", mending=mending)


def read(payload: Any, *, at: str = "weather/A/loop", **table: Any) -> tuple[str, Report | Refusal]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return mapping(**table).read(at, raw, received=RECEIVED)


# What the public descriptions of each of them show, cut to what matters.
SAMPLES = {
    "weewx": (
        "weather/A/loop",
        {
            "dateTime": "1782878400.0", "interval_minute": "5.0", "usUnits": "1.0",
            "outTemp_F": "68.0", "dewpoint_F": "50.0", "outHumidity": "52.0",
            "barometer_inHg": "29.92", "pressure_inHg": "29.53", "windSpeed_mph": "10.0",
            "windDir": "270.0", "windGust_mph": "20.0", "windGustDir": "280.0",
            "rain_in": "0.1", "radiation_Wpm2": "512.0", "UV": "4.5", "inTemp_F": "75.0",
        },
        "A", dt.datetime(2026, 7, 1, 4, 0, tzinfo=dt.UTC), 300,
        {
            "air_temperature": 20.0, "dew_point_temperature": 10.0, "relative_humidity": 52.0,
            "air_pressure": 1000.000672, "air_pressure_at_mean_sea_level": 1013.20759,
            "wind_speed": 4.4704, "wind_from_direction": 270.0, "wind_speed_of_gust": 8.9408,
            "wind_gust_from_direction": 280.0, "precipitation_amount": 2.54,
            "surface_downwelling_shortwave_flux_in_air": 512.0, "ultraviolet_index": 4.5,
        },
    ),
    "chirpstack": (
        "application/ae2012c2-75a1-407d-98ab-1520fb511edf/device/0101010101010101/event/up",
        {
            "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
            "time": "2026-07-01T04:00:00.823500726+00:00",
            "deviceInfo": {
                "applicationName": "weather", "deviceName": "garden",
                "devEui": "0101010101010101", "tags": {},
            },
            "dr": 1, "fPort": 1, "data": "qg==",
            "object": {"temperature": 19.25, "humidity": 61, "battery": 3600},
            "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -36}],
        },
        "garden-1", dt.datetime(2026, 7, 1, 4, 0, 0, 823500, dt.UTC), 600,
        {"air_temperature": 19.25, "relative_humidity": 61.0, "battery_voltage": 3.6},
    ),
    "tasmota": (
        "tele/A/SENSOR",
        {
            "Time": "2026-07-01T12:00:00",
            "BME280": {
                "Temperature": 22.1, "Humidity": 48.9, "DewPoint": 10.9, "Pressure": 1003.4,
            },
            "PressureUnit": "hPa", "TempUnit": "C",
        },
        "A", dt.datetime(2026, 7, 1, 4, 0, tzinfo=dt.UTC), 60,
        {
            "air_temperature": 22.1, "relative_humidity": 48.9, "dew_point_temperature": 10.9,
            "air_pressure": 1003.4,
        },
    ),
    "esphome": (
        "esphome/A/weather",
        {"time": 1782878400, "temperature": 21.5, "humidity": 55.1, "pressure": 1003.2},
        "A", dt.datetime(2026, 7, 1, 4, 0, tzinfo=dt.UTC), 60,
        {"air_temperature": 21.5, "relative_humidity": 55.1, "air_pressure": 1003.2},
    ),
}  # fmt: skip


def test_every_sample_has_its_message() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_shipped_mappings_read_what_their_loggers_send(name: str) -> None:
    topic, message, station, time, interval, values = SAMPLES[name]
    mappings = Mappings.load([str(FOLDER / f"{name}.toml")])
    found = mappings.read(topic, json.dumps(message).encode(), received=RECEIVED)
    assert found is not None
    assert found.station == station
    assert isinstance(found.item, Report), found.item
    assert (found.item.time, found.item.interval) == (time, interval)
    assert found.item.values == pytest.approx(values, rel=1e-8)


def test_the_shipped_mappings_stand_beside_each_other() -> None:
    Mappings.load(str(path) for path in FOLDER.glob("*.toml"))


TIMES = [
    ({"path": "when"}, "2026-07-01T12:00:00+08:00"),
    ({"path": "when", "zone": "Asia/Shanghai"}, "2026-07-01T12:00:00"),
    ({"path": "when", "zone": "Asia/Shanghai"}, "2026-07-01T04:00:00Z"),  # what it says wins
    ({"path": "when", "format": "unix"}, 1782878400),
    ({"path": "when", "format": "unix"}, "1782878400.0"),
    ({"path": "when", "format": "unix_ms"}, 1782878400000),
    ({"path": "when", "format": "%d.%m.%Y %H:%M", "zone": "Asia/Shanghai"}, "01.07.2026 12:00"),
    ({"path": "when", "format": "%Y%m%d%H%M%z"}, "202607011200+0800"),
]


@pytest.mark.parametrize(("table", "written"), TIMES)
def test_times(table: dict[str, str], written: Any) -> None:
    _, item = read({"when": written, "t": 1}, time=table)
    assert isinstance(item, Report), item
    assert item.time == dt.datetime(2026, 7, 1, 4, tzinfo=dt.UTC)


def test_without_a_time_it_is_when_it_came() -> None:
    _, item = read({"t": 1})
    assert isinstance(item, Report)
    assert item.time == RECEIVED


FIELDS = [
    ({}, 20, 20.0),
    ({}, "20.5", 20.5),
    ({"unit": "°F"}, 68, 20.0),
    ({"unit": "K"}, 293.15, 20.0),
    ({"scale": 0.1, "offset": -40}, 600, 20.0),
    ({"scale": 0.1, "unit": "°F"}, 680, 20.0),
    ({"missing": [-9999]}, -9999, None),
    ({"missing": [-9999]}, "-9999.0", None),
    ({"missing": ["NA", ""]}, "NA", None),
    ({}, None, None),
]


@pytest.mark.parametrize(("table", "written", "expected"), FIELDS)
def test_fields(table: dict[str, Any], written: Any, expected: float | None) -> None:
    _, item = read({"t": written}, field=[FIELD | table])
    assert isinstance(item, Report), item
    assert item.values == {"air_temperature": expected}


PATHS = [
    ("a.b", {"a": {"b": 1}}),
    ("list.1.t", {"list": [{"t": 9}, {"t": 1}]}),
    ("7", {"7": 1}),
    (["a.b", 0], {"a.b": [1]}),
    ([], 1),
]


@pytest.mark.parametrize(("path", "message"), PATHS)
def test_paths(path: Any, message: Any) -> None:
    _, item = read(message, field=[FIELD | {"path": path}])
    assert isinstance(item, Report), item
    assert item.values == {"air_temperature": 1.0}


CONVERSIONS = [
    ("kn", "m/s", 10, 5.144444), ("mph", "m/s", 10, 4.4704), ("km/h", "m/s", 36, 10),
    ("ft/s", "m/s", 10, 3.048), ("inHg", "hPa", 29.92, 1013.2076), ("Pa", "hPa", 101325, 1013.25),
    ("kPa", "hPa", 100, 1000), ("mmHg", "hPa", 760, 1013.25), ("in", "mm", 1, 25.4),
    ("cm", "mm", 1, 10), ("mm", "cm", 25, 2.5), ("mi", "m", 1, 1609.344), ("ft", "m", 100, 30.48),
    ("°F", "°C", -40, -40), ("K", "°C", 0, -273.15), ("mV", "V", 3600, 3.6), ("h", "s", 1, 3600),
    ("rad", "degree", 3.14159265, 180), ("mg/m3", "µg/m3", 1, 1000), ("kV/m", "V/m", 1, 1000),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "value", "expected"), CONVERSIONS)
def test_units(source: str, target: str, value: float, expected: float) -> None:
    line = units.convert(source, target)
    assert line is not None
    assert value * line.scale + line.offset == pytest.approx(expected, rel=1e-6)
    back = units.convert(target, source)
    assert back is not None
    assert expected * back.scale + back.offset == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_every_element_can_be_given_in_its_own_unit() -> None:
    assert all(units.convert(element.unit, element.unit) for element in ELEMENTS.values())
    assert units.convert("mm", "°C") is None


STATIONS = [
    ({"stations": {"A": "roof-1"}}, "weather/A/loop", "roof-1"),
    ({"station": "farm-{station}"}, "weather/A/loop", "farm-A"),
    ({"station": "only"}, "weather/A/loop", "only"),
    ({"station_path": "id"}, "weather/A/loop", "77"),
    ({"topic": "x/+/{a}/{b}/#", "station": "{a}-{b}"}, "x/1/k/m/any/thing", "k-m"),
    ({"topic": "x/{station}/#"}, "x/k", "k"),
]


@pytest.mark.parametrize(("table", "topic", "station"), STATIONS)
def test_stations(table: dict[str, Any], topic: str, station: str) -> None:
    found, item = read({"id": 77, "t": 1}, at=topic, **table)
    assert found == station
    assert isinstance(item, Report)


def test_the_interval_the_constants_and_the_first_field_that_is_there() -> None:
    several = [FIELD, FIELD | {"path": "u"}, {"element": "wind_speed", "path": "w"}]
    table: dict[str, Any] = {
        "field": several,
        "interval": {"path": "every", "unit": "min", "seconds": 30},
        "constants": {"battery_voltage": 12.5},
    }
    _, item = read({"u": 3, "every": 10}, **table)
    assert isinstance(item, Report)
    assert item.interval == 600
    assert item.values == {"air_temperature": 3.0, "battery_voltage": 12.5}
    _, item = read({"t": 2, "u": 3}, **table)
    assert isinstance(item, Report)
    assert (item.interval, item.values["air_temperature"]) == (30, 2.0)


REFUSED: list[tuple[Any, dict[str, Any], str, str]] = [
    (b"\xff", {}, "json", "not UTF-8 JSON"),
    (b"[" * 40_000, {}, "json", "not UTF-8 JSON"),
    (b" " * 70_000, {}, "size", "the limit is 65536"),
    ({"x": 1}, {}, "empty", "values is empty"),
    (5, {}, "empty", "values is empty"),
    ({"t": "warm"}, {}, "form", "'warm' at t is no number"),
    ({"t": True}, {}, "form", "is no number"),
    ({"t": "nan"}, {}, "form", "is no number"),
    ({"t": [1]}, {}, "form", "is no number"),
    ({"t": 300}, {}, "range", "outside -80 to 60"),
    ({"t": 1}, {"time": {"path": "when"}}, "time", "nothing at when is no time (iso)"),
    ({"t": 1, "w": "now"}, {"time": {"path": "w", "format": "unix"}}, "time", "is no time"),
    ({"t": 1, "w": 1e300}, {"time": {"path": "w", "format": "unix"}}, "time", "is no time"),
    ({"t": 1, "w": "2026-07-01T12:00"}, {"time": {"path": "w"}}, "time", "has no zone"),
    ({"t": 1, "i": 0}, {"interval": {"path": "i"}}, "time", "outside 1 to 86400"),
    ({"t": 1, "i": "x"}, {"interval": {"path": "i"}}, "time", "is no interval"),
    ({"t": 1}, {"station_path": "id"}, "station", "no station at id"),
    ({"t": 1, "id": "a b"}, {"station_path": "id"}, "station", "name it under [stations]"),
]


@pytest.mark.parametrize(("payload", "table", "reason", "detail"), REFUSED)
def test_what_cannot_be_used_is_refused_with_its_raw_bytes(
    payload: Any, table: dict[str, Any], reason: str, detail: str
) -> None:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    _, item = read(raw, **table)
    assert isinstance(item, Refusal)
    assert item.reason == reason
    assert item.detail.startswith("test.toml: ")
    assert detail in item.detail
    assert item.raw == raw


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"topic": "fenghuo/v1/{station}/obs"}, "takes in our own"),
    ({"topic": "#", "station": "A"}, "takes in our own"),
    ({"topic": "{station}/+/A/+"}, "takes in our own"),
    ({"topic": "weather/x{station}/loop"}, "must be a word"),
    ({"topic": "weather/#/loop"}, "must be a word"),
    ({"topic": "w/{a}/{a}"}, "twice"),
    ({"topic": "weather/loop"}, "names a level that the topic does not have"),
    ({"station": "{nobody}"}, "names a level that the topic does not have"),
    ({"stations": {"A": "no name"}}, "letters, digits, hyphens"),
    ({"field": [{"element": "temp", "path": "t"}]}, "unknown element 'temp'"),
    ({"constants": {"temp": 1}}, "unknown element 'temp'"),
    ({"field": [FIELD | {"unit": "mph"}]}, "'mph' does not become °C"),
    ({"field": []}, "at least one"),
    ({"time": {"path": "t", "zone": "Mars/Olympus"}}, "no time zone"),
    ({"time": {"path": "t", "format": "unxi"}}, "no format 'unxi'"),
    ({"wire": True}, "mending only"),
]


@pytest.mark.parametrize(("table", "detail"), WRONG)
def test_a_wrong_mapping_is_refused_before_anything_comes(
    table: dict[str, Any], detail: str
) -> None:
    with pytest.raises(MappingError, match=r"test\.toml") as caught:
        mapping(**table)
    assert detail in str(caught.value)


@pytest.mark.parametrize("text", ["topic = ", "topic = 5", "topc = 'x'", None])
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "my.toml"
    if text is not None:
        file.write_text(text, "utf-8")
    with pytest.raises(MappingError, match=r"my\.toml"):
        load(file)


OVERLAP = [
    ("a/{station}", "a/b", True), ("a/{station}", "b/{station}", False),
    ("a/{station}/#", "a/x", True), ("a/{station}/#", "a/x/y/z", True), ("a/{station}", "a", False),
    ("a/{station}/b", "a/+/c", False), ("a/#", "a", True),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "overlap"), OVERLAP)
def test_no_topic_belongs_to_two(one: str, other: str, overlap: bool) -> None:
    pair = [mapping(topic=topic, station="A") for topic in (one, other)]
    if overlap:
        with pytest.raises(MappingError, match="both topics"):
            Mappings(pair)
    else:
        assert Mappings(pair).filters == [item.filter for item in pair]


def test_what_is_ours_stays_ours_beside_mappings() -> None:
    mappings = Mappings([mapping()])
    raw = b'{"time":"2026-07-01T04:00:00Z","values":{"air_temperature":1},"seq":3}'
    (item,) = mappings.items(Delivery("A", "fenghuo/v1/A/obs", raw, RECEIVED))
    assert isinstance(item, Report)
    assert item.seq == 3
    (item,) = mappings.items(Delivery("A", "weather/A/loop", b'{"t":4}', RECEIVED))
    assert item.values == {"air_temperature": 4.0}  # type: ignore[union-attr]
    assert mappings.read("weather/A", b"{}", received=RECEIVED) is None


EVERYTHING = {
    "topic": "weather/{a}/loop",
    "station_path": "id",
    "time": {"path": "when"},
    "interval": {"path": "every", "unit": "h"},
    "field": [FIELD, {"element": "wind_speed", "path": "w.0", "unit": "mph", "missing": [1, "x"]}],
}
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["A", "2026-07-01T04:00:00Z", "9999-12-31T23:59:59-23:59", 10**400, 1e300])
)  # fmt: skip
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
messages = st.dictionaries(
    st.sampled_from(["id", "when", "every", "t", "w", "time", "values", "interval", "seq"]),
    anything | st.dictionaries(st.sampled_from(["t", "wind_speed"]), anything),
)


@given(messages, st.sampled_from(["iso", "unix", "unix_ms", "%Y"]), st.booleans())
def test_no_message_disturbs_the_reading(message: Any, form: str, wire: bool) -> None:
    table = EVERYTHING | {"time": {"path": "when", "format": form, "zone": "Asia/Shanghai"}}
    one = mapping(**table, wire=wire, mending=wire)
    found = one.read("weather/A/loop", json.dumps(message).encode(), received=RECEIVED)
    assert isinstance(found.item, Report | Refusal)


BOMBS = [b'{"t":' + b"9" * 5_000 + b"}", b'{"t":"\\ud800"}', b'{"i":1e30,"t":1}', b'{"i":NaN}']


@pytest.mark.parametrize("raw", BOMBS)
def test_bombs_are_refused(raw: bytes) -> None:
    _, item = read(raw, interval={"path": "i"}, station_path="t")
    assert isinstance(item, Refusal)
    assert len(item.detail) < 1_000


def test_mending_a_report_of_our_own_wire() -> None:
    sent = {
        "time": "2026-07-01T12:00:00",
        "values": {"temp": 68, "relative_humidity": 50, "temp2": 1},
        "seq": 8,
        "revision": 2,
        "interval": 600,
    }
    station, item = mapping(
        mending=True,
        topic="fenghuo/v1/{station}/obs",
        wire=True,
        stations={"A": "B"},
        time={"zone": "Asia/Shanghai"},
        field=[
            {"element": "air_temperature", "path": "values.temp", "unit": "°F"},
            {"element": "surface_temperature", "path": "values.temp2"},
        ],
    ).read("fenghuo/v1/A/obs", json.dumps(sent).encode(), received=RECEIVED)
    assert station == "B"
    assert item == Report(
        time=dt.datetime(2026, 7, 1, 4, tzinfo=dt.UTC),
        values={"relative_humidity": 50, "air_temperature": 20, "surface_temperature": 1},
        interval=600,
        seq=8,
        revision=2,
    )
