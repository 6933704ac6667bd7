"""Agents through a bad network: whatever it does, each reading is stored once."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.faults.results import Row
from tests.faults.rig import LONG, Rig
from tests.proxy import Proxy
from tests.servers.broker import Broker

Record = Callable[[Row], None]
Bad = Callable[[Proxy], None]
TIMES = 2


def hold(seconds: float, *, long: float) -> None:
    time.sleep(long if LONG else seconds)


def cut(proxy: Proxy) -> None:
    for _ in range(3):
        proxy.cut()
        time.sleep(random.uniform(0.1, 0.4))


def refused(proxy: Proxy) -> None:
    proxy.refuse()
    hold(0.5, long=15)


def slow(proxy: Proxy) -> None:
    """A third of what the stations measure fits through."""
    proxy.slow(3_000)
    hold(1, long=10)


def late(proxy: Proxy) -> None:
    proxy.late(0.2, jitter=0.6)
    hold(1, long=10)


def half_open(proxy: Proxy) -> None:
    proxy.half_open()
    hold(1, long=10)


def in_a_packet(proxy: Proxy) -> None:
    """Every connection breaks a little later than its login, in the middle of some packet."""
    proxy.cut()
    end = time.monotonic() + (10 if LONG else 1)
    while time.monotonic() < end:
        proxy.drop_after(random.randrange(500, 3_000))
        time.sleep(0.1)


FAULTS: dict[str, Bad] = {
    "cut, three times": cut,
    "connections refused": refused,
    "slow": slow,
    "late and uneven": late,
    "half-open": half_open,
    "cut in the middle of packets": in_a_packet,
}


@pytest.fixture(params=["listener", "broker"] if LONG else ["listener"])
def rig(
    request: pytest.FixtureRequest,
    plain_database: str,
    tmp_path: Path,
    mosquitto: Callable[..., Broker],
) -> Iterator[tuple[str, Rig, Proxy]]:
    """What the agents talk to, through a proxy; behind a broker in the long run only."""
    broker = mosquitto() if request.param == "broker" else None
    with ExitStack() as stack:
        proxies: list[Proxy] = []

        def way(port: int) -> str:
            proxies.append(stack.enter_context(Proxy(port)))
            return proxies[0].url

        rig = stack.enter_context(Rig(tmp_path, url=plain_database, broker=broker, way=way))
        yield request.param, rig, proxies[0]


def test_network(rig: tuple[str, Rig, Proxy], record: Record) -> None:
    where, chain, proxy = rig

    def strike(fault: Bad) -> None:
        fault(proxy)
        proxy.clear()

    if not LONG:  # all in turn, and one look at the store
        turn = iter(FAULTS.values())
        name = "network, six kinds"
        record(chain.phase(name, lambda: strike(next(turn)), times=len(FAULTS), lasts=True))
    else:
        for name, fault in FAULTS.items():
            row = chain.phase(
                f"network to the {where}: {name}", partial(strike, fault), times=TIMES, lasts=True
            )
            record(row)
    assert proxy.dropped
    assert proxy.accepted > len(FAULTS) * len(chain.instruments)
