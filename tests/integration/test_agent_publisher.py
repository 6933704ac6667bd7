import datetime as dt
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from agent.clock import SystemClock
from agent.config import Broker as Way
from agent.publisher import Publisher
from agent.report import Report
from agent.spool import Spool
from tests.servers.broker import Broker
from tests.servers.centre import BehindBroker, Listening
from tests.support import eventually, free_port

START = dt.datetime(2026, 7, 20, tzinfo=dt.UTC)
Start = Callable[..., Broker]


def reports(number: int, first: int = 0) -> list[Report]:
    return [
        Report(START + dt.timedelta(minutes=first + i), {"air_temperature": 20.0})
        for i in range(number)
    ]


@contextmanager
def publishing(
    spool: Spool, url: str, *, station: str = "a", confirm: float = 5, **options: object
) -> Iterator[Publisher]:
    way = Way(url=url, confirm=confirm, retry=0.5, **options)  # type: ignore[arg-type]
    publisher = Publisher(station=station, broker=way, spool=spool, clock=SystemClock())
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "s.sqlite", clock=SystemClock()) as spool:
        yield spool


# The product's own listener: PUBACK means that the database has it.


def test_listener_confirms_by_puback(spool: Spool) -> None:
    seqs = spool.extend(reports(3))
    with Listening() as centre, publishing(spool, centre.url) as publisher:
        assert publisher.drained(10)
        seqs.append(spool.append(reports(1, 3)[0]))
        publisher.wake()
        assert publisher.drained(10)
        assert publisher.settled(5)
        assert centre.books.seqs("a") == set(seqs)


def test_nothing_leaves_while_the_database_is_away(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    spool.extend(reports(500))
    with Listening() as centre:
        centre.away = True
        with publishing(spool, centre.url, confirm=0.2) as publisher:
            with caplog.at_level(logging.WARNING):
                eventually(lambda: "its database is not working" in caplog.text)
            assert spool.waiting == 500
            centre.away = False
            assert publisher.drained(20)
            assert len(centre.books.seqs("a")) == 500


def test_newest_comes_first_and_the_backlog_in_large_payloads(spool: Spool) -> None:
    spool.extend(reports(1_000))
    with Listening() as centre, publishing(spool, centre.url) as publisher:
        assert publisher.drained(20)
        times = centre.books.times("a")
        assert len(times) == len(set(times)) == 1_000
        assert times == sorted(times, reverse=True)
        assert centre.books.sizes == [1, 200, 200, 200, 200, 199]


def test_reading_of_now_overtakes_the_backlog(spool: Spool) -> None:
    spool.extend(reports(3_000))
    with Listening() as centre:
        centre.away = True
        with publishing(spool, centre.url, confirm=60, inflight=3) as publisher:
            eventually(lambda: centre.offered == 3)
            centre.away = False
            new = spool.append(reports(1, 5_000)[0])
        # The connection ended before anything was confirmed; the next one begins with the newest.
        assert spool.waiting == 3_001
        with publishing(spool, centre.url, inflight=3) as publisher:
            assert publisher.drained(20)
        assert centre.books.reports["a"][0].seq == new


def test_readings_survive_a_centre_that_dies_again_and_again(spool: Spool) -> None:
    centre = Listening()
    with centre:
        pass  # it has a port now
    stop = threading.Event()
    seqs: list[int] = []
    with publishing(spool, centre.url) as publisher:
        for round_ in range(4):
            with centre:
                before = len(seqs)
                for report in reports(50, 50 * round_):
                    seqs.append(spool.append(report))
                    publisher.wake()
                eventually(lambda b=before: len(centre.books.seqs("a")) > b)
            stop.wait(0.01)
        with centre:
            assert publisher.drained(20)
    assert centre.books.seqs("a") == set(seqs)


def test_refused_readings_leave_and_are_counted_on_the_listener(spool: Spool) -> None:
    good = reports(2)
    bad = Report(START, {"air_temperature": 500.0})
    spool.extend([good[0], bad, good[1]])
    with Listening() as centre, publishing(spool, centre.url) as publisher:
        assert publisher.drained(10)
        assert publisher.settled(5)
    tally = spool.tally
    assert (tally.waiting, tally.refused) == (0, 1)
    assert tally.reason.startswith("range: air_temperature 500")
    assert len(centre.books.seqs("a")) == 2


# A broker in between: the centre confirms on /ack.


@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
def test_broker_acknowledgement_alone_confirms_nothing(
    spool: Spool, mosquitto: Start, version: str
) -> None:
    broker = mosquitto()
    seqs = spool.extend(reports(30))
    with BehindBroker(broker) as centre:
        centre.silent = True
        with publishing(spool, broker.url, confirm=0.3, version=version) as publisher:
            eventually(lambda: publisher.condition.connected)
            assert not publisher.drained(0.5)
            assert spool.waiting == 30
            centre.silent = False
            assert publisher.drained(20)
        assert centre.books.seqs("a") == set(seqs)


def test_refused_readings_leave_and_are_counted_behind_a_broker(
    spool: Spool, mosquitto: Start
) -> None:
    broker = mosquitto()
    spool.extend(reports(10))
    odd = BehindBroker(broker, refuse=lambda report: report.time.minute % 2 == 1)
    with odd as centre, publishing(spool, broker.url) as publisher:
        assert publisher.drained(10)
    tally = spool.tally
    assert (tally.waiting, tally.refused, tally.reason) == (0, 5, "range: out of range")
    assert len(centre.books.seqs("a")) == 5


def test_status_tells_online_then_offline(spool: Spool, mosquitto: Start) -> None:
    broker = mosquitto()
    with BehindBroker(broker) as centre:
        with publishing(spool, broker.url):
            eventually(lambda: centre.status.get("a"))
        eventually(lambda: len(centre.status["a"]) == 2)
        online, offline = centre.status["a"]
        assert (online["state"], offline["state"]) == ("online", "offline")
        assert {"time", "version", "waiting", "lost", "refused"} <= online.keys()


def test_broker_that_is_killed_comes_back(spool: Spool, mosquitto: Start) -> None:
    broker = mosquitto()
    with publishing(spool, broker.url) as publisher:
        with BehindBroker(broker):
            spool.append(reports(1)[0])
            publisher.wake()
            assert publisher.drained(10)
        broker.kill()
        eventually(lambda: not publisher.condition.connected)
        assert publisher.condition.problem
        spool.append(reports(1, 1)[0])
        publisher.wake()
        broker.start()
        with BehindBroker(broker):
            assert publisher.drained(20)


def test_unknown_command_and_unreadable_ack_are_logged(
    spool: Spool, mosquitto: Start, caplog: pytest.LogCaptureFixture
) -> None:
    broker = mosquitto()
    with (
        caplog.at_level(logging.WARNING),
        BehindBroker(broker) as centre,
        publishing(spool, broker.url) as publisher,
    ):
        eventually(lambda: publisher.condition.connected)
        centre.command("a", b'{"restart": true}')
        centre._client.publish("fenghuo/v1/a/ack", b"\xff{", qos=1)
        eventually(lambda: "mqtt.ignored station=a kind=cmd" in caplog.text)
        eventually(lambda: "mqtt.ack station=a: cannot be read" in caplog.text)
        assert publisher.condition.connected


ACL = """
allow_anonymous true
acl_file {acl}
"""


def test_broker_that_hides_ack_is_told(spool: Spool, mosquitto: Start, tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic write fenghuo/v1/a/obs\ntopic write fenghuo/v1/a/status\n")
    acl.chmod(0o600)
    broker = mosquitto(ACL.format(acl=acl))
    spool.append(reports(1)[0])
    with publishing(spool, broker.url, confirm=0.2) as publisher:
        eventually(lambda: "may the station read it?" in publisher.condition.problem)
        assert publisher.condition.connected
    assert spool.waiting == 1


def test_broker_that_refuses_observations_is_told(
    spool: Spool, mosquitto: Start, tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic write fenghuo/v1/a/status\ntopic read fenghuo/v1/a/ack\n")
    acl.chmod(0o600)
    broker = mosquitto(ACL.format(acl=acl))
    spool.append(reports(1)[0])
    with publishing(spool, broker.url) as publisher:
        eventually(lambda: "readings are not taken: Not authorized" in publisher.condition.problem)
    assert spool.waiting == 1


# What stands in the way


def test_nobody_listens(spool: Spool) -> None:
    with publishing(spool, f"mqtt://127.0.0.1:{free_port()}") as publisher:
        eventually(lambda: publisher.condition.problem.startswith("tcp: "))


def test_name_that_does_not_exist(spool: Spool) -> None:
    with publishing(spool, "mqtt://nowhere.invalid:1883") as publisher:
        eventually(lambda: publisher.condition.problem.startswith("name: "))


TLS = """
certfile {folder}/server.pem
keyfile {folder}/server.key
"""


@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls_with_a_known_and_an_unknown_authority(
    spool: Spool, mosquitto: Start, tmp_path: Path
) -> None:
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    broker = mosquitto(TLS.format(folder=tmp_path))
    url = f"mqtts://127.0.0.1:{broker.port}"
    with publishing(spool, url) as publisher:
        eventually(lambda: publisher.condition.problem.startswith("tls: "))
    gc.collect()  # paho leaves the socket of a failed handshake to the collector
    with publishing(spool, url, authority=str(tmp_path / "ca.pem")) as publisher:
        eventually(lambda: publisher.condition.connected)
