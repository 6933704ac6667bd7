"""Reports become columns, flagged as the quality module says, in PostgreSQL's own bytes."""

import datetime as dt

import numpy as np
import pytest

from agent.elements import ELEMENTS, WIDE
from agent.report import Refusal, Report
from forecast.quality import range_codes
from server.ingest.columns import Row, arrange
from server.ingest.quarantine import EXCERPT, keep
from server.ingest.source import Delivery, confirmation
from server.store import sink

NOON = dt.datetime(2016, 7, 20, 12, tzinfo=dt.UTC)


def row(station: int = 1, interval: int = 60, **values: float | None) -> Row:
    return Row(station, sink.moment(NOON), Report(NOON, values, interval))


def test_moment_counts_from_2000() -> None:
    assert sink.moment(dt.datetime(2000, 1, 2, 0, 0, 1, 5, dt.UTC)) == 86_401_000_005
    assert sink.moment(dt.datetime(1999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)) == -1_000_000


def test_one_block_a_shape_and_none_is_as_if_not_named() -> None:
    blocks = arrange(
        [
            row(1, air_temperature=1.0, wind_speed=2.0),
            row(2, air_temperature=1.5),
            row(3, air_temperature=3.0, wind_speed=None),
            row(4, air_temperature=4.0, wind_speed=5.0),
            row(5, air_temperature=None),
        ]
    )
    found = sorted((b.names, b.station.tolist(), b.values.tolist()) for b in blocks)
    assert found == [
        ((), [5], [[]]),
        (("air_temperature",), [2], [[1.5]]),
        (("air_temperature",), [3], [[3.0]]),
        (("air_temperature", "wind_speed"), [1, 4], [[1.0, 2.0], [4.0, 5.0]]),
    ]


@pytest.mark.parametrize("interval", [1, 60, 600, 3_600])
def test_flags_are_those_of_the_quality_module(interval: int) -> None:
    for name, element in ELEMENTS.items():
        values = np.linspace(*element.gross, 23)
        blocks = arrange([row(n, interval, **{name: float(v)}) for n, v in enumerate(values)])
        expected = range_codes(name, values, interval)
        assert blocks[0].quality[:, 0].tolist() == expected.tolist(), name


def test_empty_columns_cost_a_length_and_no_more() -> None:
    blocks = arrange([row(1, air_temperature=1.0), row(2, wind_speed=2.0)])
    columns = sink.columns_of(blocks)
    assert columns == (
        *("station", "time", "interval", "revision"),
        *("air_temperature", "wind_speed", "air_temperature_q", "wind_speed_q"),
    )
    data = sink.encode(blocks, columns)
    assert len(data) == 19 + 2 * (2 + 8 * 4 + 4 + 8 + 4 + 2 + 4 + 2) + 2
    assert data.endswith(b"\xff\xff")


def test_every_element_has_its_place() -> None:
    everything = {name: element.gross[1] for name, element in ELEMENTS.items()}
    blocks = arrange([row(1, **everything)])
    assert set(WIDE) <= set(sink.columns_of(blocks))
    assert sink.encode_rare(blocks).count(b"\x00\x05\x00\x00\x00\x04") >= len(ELEMENTS) - len(WIDE)


def test_quarantine_keeps_the_bytes_but_an_excerpt_of_what_is_too_large() -> None:
    delivery = Delivery("A", "fenghuo/v1/A/obs", b"", NOON)
    assert keep(delivery, Refusal("json", "no\x00", b"{")).payload == b"{"
    assert keep(delivery, Refusal("json", "no\x00", b"{")).detail == "no\\0"
    assert len(keep(delivery, Refusal("size", "large", bytes(100_000))).payload) == EXCERPT


def test_confirmation_names_what_is_safe_and_why_something_was_refused() -> None:
    good = Delivery("A", "t", b"", NOON, items=[Report(NOON, {}, seq=1), Report(NOON, {})])
    bad = Delivery("A", "t", b"", NOON, items=[Refusal("range", "too hot", b"", 2)])
    assert confirmation([good]) == b'{"seq":[1]}'
    assert confirmation([good, bad]) == (
        b'{"seq":[1],"refused":[{"seq":2,"reason":"range","detail":"too hot"}]}'
    )
    assert confirmation([]) is None
