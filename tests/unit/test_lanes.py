"""The two lanes before the database: live readings do not wait for backlogs."""

from server.clock import SystemClock
from server.ingest.lanes import SLICE, Lanes
from server.ingest.source import Delivery
from tests.ingesting import payload, report


def delivery(station: str, readings: int) -> Delivery:
    found = Delivery(station, "", payload(report()), SystemClock().now())
    found.items = [None] * readings  # type: ignore[list-item] # only counted here
    return found


def stations(taken: list[Delivery]) -> str:
    return "".join(one.station for one in taken)


def test_live_readings_pass_a_backlog_and_it_still_moves() -> None:
    lanes = Lanes(batch=1_000, queue=5_000, apart=True)
    for _ in range(8):
        lanes.put(delivery("b", SLICE // 2))
    lanes.put(delivery("l", 1))
    assert stations(lanes.take()) == "lbb"
    assert stations(lanes.take()) == "bb"  # another live one is expected at any time
    assert lanes


def test_every_other_batch_is_of_live_readings_alone() -> None:
    lanes = Lanes(batch=1_000, queue=5_000, apart=True)
    for _ in range(8):
        lanes.put(delivery("b", SLICE))
    found = []
    for _ in range(4):
        lanes.put(delivery("l", 1))
        found.append(stations(lanes.take()))
    assert found == ["lb", "l", "lb", "l"]


def test_a_backlog_alone_has_the_whole_batch() -> None:
    lanes = Lanes(batch=1_000, queue=5_000, apart=True)
    for _ in range(8):
        lanes.put(delivery("b", 250))
    assert stations(lanes.take()) == "bbbb"


def test_each_lane_is_full_for_itself() -> None:
    lanes = Lanes(batch=100, queue=300, apart=True)
    assert lanes.put(delivery("b", 99))
    assert not lanes.put(delivery("b", 2))
    assert all(lanes.put(delivery("l", 1)) for _ in range(299))
    assert not lanes.put(delivery("l", 1))
    assert lanes.plenty
    assert lanes.reports == 401


def test_without_lanes_the_order_stays_and_what_is_put_back_comes_first() -> None:
    lanes = Lanes(batch=3, queue=100, apart=False)
    for name, readings in (("a", 2), ("b", 1), ("c", 2)):
        lanes.put(delivery(name, readings))
    taken = lanes.take()
    assert stations(taken) == "ab"
    lanes.back(taken)
    taken = lanes.take()
    lanes.settle(taken)
    assert (stations(taken), lanes.reports) == ("ab", 2)
    assert stations(lanes.take()) == "c"
    assert not lanes
