"""The stream: a snapshot, then what is new; warnings never lost, slow readers no burden."""

import contextlib
import socket
from typing import Any

import psycopg
import pytest

from server.web import stream
from tests.scene import HOUR, START, Scene
from tests.support import eventually_async
from tests.website import website

STATION = "beijing-dongsi"


@pytest.fixture
async def scene(database: str) -> Scene:
    scene = Scene(database)
    await scene.open()
    return scene


def _field(data: dict[str, Any], station: str, field: str) -> Any:
    return data["stations"][station][data["fields"].index(field)]


async def test_snapshot_then_readings_clock_warning_and_phone(scene: Scene) -> None:
    await scene.report({STATION: {"precipitation_amount": 4.0}}, time=START + HOUR)
    async with website(scene.url) as site, site.stream() as events:
        name, snapshot = await events.next()
        assert name == "snapshot"
        assert stream.RETRY[0] <= events.retry <= stream.RETRY[1]
        assert events.headers["content-type"].startswith("text/event-stream")
        assert _field(snapshot["readings"], STATION, "precipitation_amount_1h") == 4.0
        assert snapshot["clock"]["event"]["time"] == "2016-07-19T01:00:00Z"

        row = {"precipitation_amount": 6.5, "air_temperature": 23.4}
        await scene.report({STATION: row}, time=START + 2 * HOUR)
        reading = await events.until("reading")
        assert list(reading["stations"]) == [STATION]
        assert _field(reading, STATION, "time") == int((START + 2 * HOUR).timestamp())
        assert _field(reading, STATION, "precipitation_amount_1h") == 6.5
        assert _field(reading, STATION, "precipitation_amount_3h") is None  # 2 of 3 hours are known
        assert _field(reading, STATION, "air_temperature") == 23.4

        message = await scene.warn(STATION, "blue", at=START + 2 * HOUR)
        assert message is not None
        warning = await events.until("warning")
        assert warning["message"]["id"] == str(message.id)
        assert warning["warning"]["level"] == "blue"
        assert events.last == str(site.live.serial)
        texts = await events.until("phone")
        assert {item["region"] for item in texts["messages"]} == {STATION}
        assert await events.until("vitals") == []


async def test_a_late_reading_corrects_the_sum_and_leaves_the_newest(scene: Scene) -> None:
    for hour in (1, 3):
        row = {"precipitation_amount": float(hour), "air_temperature": 20.0 + hour}
        await scene.report({STATION: row}, time=START + hour * HOUR)
    async with website(scene.url) as site, site.stream() as events:
        _, snapshot = await events.next()
        assert _field(snapshot["readings"], STATION, "precipitation_amount_3h") is None
        late = {"precipitation_amount": 2.0, "air_temperature": 99.0}
        await scene.report({STATION: late}, time=START + 2 * HOUR)
        reading = await events.until("reading")
        assert _field(reading, STATION, "precipitation_amount_3h") == 6.0
        assert _field(reading, STATION, "air_temperature") == 23.0


async def test_what_was_missed_is_replayed_in_order_and_once(scene: Scene) -> None:
    async with website(scene.url) as site:
        async with site.stream() as events:
            await events.next()
            await scene.warn(STATION, "blue", at=START + HOUR)
            await events.until("warning")
            last = events.last
        await scene.warn(STATION, "yellow", at=START + 2 * HOUR)
        await scene.warn("beijing-huairou", "blue", at=START + 2 * HOUR)
        await eventually_async(lambda: site.live.serial == int(last) + 2)
        async with site.stream(**{"last-event-id": last}) as events:
            replayed = [await events.next() for _ in range(2)]
            assert [(name, data["message"]["act"]) for name, data in replayed] == [
                ("warning", "upgrade"),
                ("warning", "issue"),
            ]
            assert (await events.next())[0] == "snapshot"
            assert int(events.last) == int(last) + 2
        for nonsense in ("x", "9" * 30, str(10**9)):
            async with site.stream(**{"last-event-id": nonsense}) as events:
                assert (await events.next())[0] == "snapshot"


async def test_replay_works_after_a_restart_of_the_server(scene: Scene) -> None:
    async with website(scene.url) as site, site.stream() as events:
        await events.next()
        await scene.warn(STATION, "blue", at=START + HOUR)
        await events.until("warning")
        last = events.last
    await scene.warn(STATION, "orange", at=START + 2 * HOUR)
    async with website(scene.url) as site:
        answer = site.client.stream("GET", f"/stream?last={last}")
        async with answer as found:
            lines = found.aiter_lines()
            names = [line async for line in _first(lines, "event: ", 2)]
    assert names == ["event: warning", "event: snapshot"]


async def _first(lines: Any, start: str, count: int) -> Any:
    async for line in lines:
        if line.startswith(start):
            yield line
            count -= 1
            if not count:
                return


async def test_a_reader_who_takes_nothing_is_cut_and_burdens_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "OUTBOX", 8)
    async with website(scene.url) as site, site.stream() as good:
        await good.next()
        host, port = site.address.removeprefix("http://").split(":")
        slow = socket.socket()
        with contextlib.closing(slow):
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect((host, int(port)))
            slow.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await eventually_async(lambda: len(site.live.hub) == 2)
            big = stream.frame("warning", {"filler": "x" * 400_000}, serial=1)
            taken = 0
            for _ in range(60):
                site.live.hub.keep(big)
                await good.until("warning")
                taken += 1
                if site.live.hub.cuts:
                    break
            await eventually_async(lambda: len(site.live.hub) == 1, about="the slow one is gone")
            assert site.live.hub.cuts == 1
            assert taken > 8


async def test_a_slow_reader_skips_readings_and_then_gets_the_whole() -> None:
    outbox = stream.Outbox(lambda name: f"whole {name}".encode())
    for number in range(3):
        outbox.offer("reading", b"delta %d" % number)
    outbox.offer("clock", b"tick")
    outbox.keep(b"warning 1")
    outbox.keep(b"warning 2")
    taken = [await outbox.take() for _ in range(3)]
    assert taken == [[b"warning 1"], [b"warning 2"], [b"whole reading", b"tick"]]
    outbox.offer("reading", b"delta 3")
    assert await outbox.take() == [b"delta 3"]


async def test_the_database_may_go_and_come_back(scene: Scene) -> None:
    await scene.report({STATION: {"air_temperature": 20.0}}, time=START + HOUR)
    async with website(scene.url) as site, site.stream() as events:
        await events.next()
        kill = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(scene.url, autocommit=True) as connection:
            connection.execute(kill)
        await scene.warn(STATION, "red", at=START + HOUR)
        warning = await events.until("warning")
        assert warning["message"]["level"] == "red"
        await scene.report({STATION: {"air_temperature": 21.0}}, time=START + 2 * HOUR)
        found = 20.0
        while found != 21.0:
            found = _field(await events.until("reading"), STATION, "air_temperature")


async def test_post_is_refused_and_head_answers(scene: Scene) -> None:
    async with website(scene.url) as site:
        assert (await site.client.post("/stream")).status_code == 405
        assert (await site.client.head("/stream")).status_code == 200
