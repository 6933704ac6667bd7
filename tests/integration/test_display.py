"""Screens at a real broker: the whole show retained, read back, healed, and forgotten in time."""

import asyncio
import contextlib
import datetime as dt
import json
import re
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import psycopg

from alerts.channels.display import TOPIC, Display
from alerts.channels.port import Delivery
from alerts.faces import screens
from alerts.faces.screens import Wanted
from alerts.life import ledger
from alerts.life.course import advance
from alerts.life.warning import Step, Terms
from alerts.people.sealing import KEY_BYTES
from server import alerting, exercise
from server import screens as screening
from server.clock import SystemClock
from server.settings import Alerts, Settings, Store
from server.settings import Display as DisplaySettings
from tests.samples import REGION, SEAL, case, desk, prepare
from tests.scene import Scene
from tests.servers.broker import Broker
from tests.support import eventually_async, free_port

PAGE = Path(__file__).parents[2] / "docs/screens.md"
NOW = dt.datetime.now(dt.UTC)


def warn(level: str | None, running: Any = None, *, at: dt.datetime = NOW) -> Step:
    found = advance(
        running, None if level is None else case(level, at=at), at=at, complete=True,
        terms=Terms(), exercise=False,
    )  # fmt: skip
    assert found is not None
    return found


@asynccontextmanager
async def shown(url: str, broker: str) -> AsyncIterator[Display]:
    """The display channel as the role runs it."""
    settings = Settings(store=Store(url=url), display=DisplaySettings(broker=broker, timeout=5))
    channel = screening.display(settings)
    running = asyncio.create_task(channel.run())
    try:
        yield channel
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await channel.close()


async def delivery(conn: psycopg.AsyncConnection[Any], address: str = "hall") -> Delivery:
    """The newest delivery to the screen, as the dispatcher takes it."""
    cursor = await conn.execute(
        "UPDATE delivery SET state = 'sending' FROM message WHERE message.id = message"
        " AND number = (SELECT max(number) FROM message)"
        " RETURNING delivery.id, delivery.expires, message.id"
    )
    row = await cursor.fetchone()
    await conn.commit()
    assert row is not None
    return Delivery(
        id=row[0], channel="display", exercise=False, address=address, body="", expires=row[1],
        message=row[2],
    )  # fmt: skip


async def state(conn: psycopg.AsyncConnection[Any]) -> tuple[Any, ...]:
    cursor = await conn.execute(
        "SELECT state, acknowledged_by FROM delivery JOIN message ON message.id = message"
        " ORDER BY number DESC LIMIT 1"
    )
    row = await cursor.fetchone()
    await conn.commit()
    assert row is not None
    return row


class Listener:
    """A screen's controller: what it was told, and what it says."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._messages = aiter(client.messages)

    async def next(self) -> tuple[dict[str, Any], aiomqtt.Message]:
        async with asyncio.timeout(10):
            message = await anext(self._messages)
        assert isinstance(message.payload, bytes)
        return json.loads(message.payload), message

    async def say(self, kind: str, value: Any, *, retain: bool = False) -> None:
        payload = value if isinstance(value, bytes) else json.dumps(value)
        await self._client.publish(TOPIC.format("hall", kind), payload, qos=1, retain=retain)


@asynccontextmanager
async def listener(broker: Broker, name: str = "hall") -> AsyncIterator[Listener]:
    async with aiomqtt.Client(
        broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5
    ) as client:
        await client.subscribe(TOPIC.format(name, "show"), qos=1)
        yield Listener(client)


async def test_a_screen_shows_says_so_and_is_healed(
    plain_database: str, mosquitto: Callable[..., Broker]
) -> None:
    broker = mosquitto()
    async with await prepare(plain_database) as conn:
        await screens.add(
            conn, Wanted(name="hall", title="大厅", regions=(REGION.id,)), seal=SEAL, at=NOW
        )
        step = warn("orange")
        await ledger.record(conn, step, desk=desk("display"))
        await conn.commit()
        async with shown(plain_database, broker.url) as channel:
            assert (await channel.send(await delivery(conn), now=NOW)).state == "accepted"
            assert (await channel.probe()).ok
            async with listener(broker) as screen:
                show, message = await screen.next()
                assert message.retain  # it was there before the screen was
                expiry = getattr(message.properties, "MessageExpiryInterval", 0)
                left = step.warning.expires - dt.datetime.now(dt.UTC)
                assert abs(expiry - left.total_seconds()) < 30
                (item,) = show["warnings"]
                assert (item["level"], item["lines"][0]) == ("orange", "暴雨橙色预警")
                await screen.say("status", b"not json")
                await screen.say("status", {"shown": "x"})
                await screen.say("ack", {"message": item["message"]})
                await eventually_async(lambda: _is(conn, ("delivered", "大厅")))
                # What it should show, and does not, it is sent again.
                await screen.say("status", {"state": "on", "shown": []})
                again, _ = await screen.next()
                assert again["warnings"] == show["warnings"]
                assert (await screens.every(conn))[0].state == "on"
                await screen.say("status", {"state": "off"}, retain=True)
                await eventually_async(lambda: _off(conn))

                over = warn(None, step.warning, at=NOW + dt.timedelta(hours=3))
                await ledger.record(conn, over, desk=desk("display"))
                await conn.commit()
                await channel.send(await delivery(conn), now=NOW)
                show, _ = await screen.next()
                assert (show["warnings"], show["until"]) == ([], None)
                assert show["nothing"]
        async with listener(broker) as late:
            show, message = await late.next()
            assert message.retain
            assert show["warnings"] == []


async def _is(conn: psycopg.AsyncConnection[Any], wanted: tuple[Any, ...]) -> bool:
    return await state(conn) == wanted


async def _off(conn: psycopg.AsyncConnection[Any]) -> bool:
    (known,) = await screens.every(conn)
    await conn.commit()
    return known.state == "off" and not known.alive(dt.datetime.now(dt.UTC))


async def test_a_broker_that_is_away_is_waited_for(
    plain_database: str, mosquitto: Callable[..., Broker]
) -> None:
    broker = mosquitto()
    async with await prepare(plain_database) as conn:
        await screens.add(
            conn, Wanted(name="hall", title="大厅", regions=(REGION.id,)), seal=SEAL, at=NOW
        )
        await ledger.record(conn, warn("red"), desk=desk("display"))
        await conn.commit()
        async with shown(plain_database, broker.url) as channel:
            given = await delivery(conn)
            assert (await channel.send(given, now=NOW)).state == "accepted"
            broker.kill()
            channel._timeout = 0.3
            answer = await channel.send(given, now=NOW)
            assert answer.state == "queued"  # it may be tried again: a screen shows it once
            assert not (await channel.probe()).ok
            broker.start()
            channel._timeout = 10
            assert (await channel.send(given, now=NOW)).state == "accepted"
            async with listener(broker) as screen:
                assert (await screen.next())[0]["warnings"]
            nobody = Delivery(
                id=given.id, channel="display", exercise=False, address="nobody", body="",
                expires=given.expires, message=given.message,
            )  # fmt: skip
            assert (await channel.send(nobody, now=NOW)).state == "failed"


async def test_without_a_broker_screens_come_by_themselves(plain_database: str) -> None:
    async with await prepare(plain_database) as conn:
        await screens.add(
            conn, Wanted(name="hall", title="大厅", regions=(REGION.id,)), seal=SEAL, at=NOW
        )
        await ledger.record(conn, warn("red"), desk=desk("display"))
        await conn.commit()
        async with shown(plain_database, "") as channel:
            assert (await channel.send(await delivery(conn), now=NOW)).state == "accepted"


async def test_an_exercise_never_touches_the_broker_of_the_screens(
    plain_database: str, mosquitto: Callable[..., Broker]
) -> None:
    broker = mosquitto()
    scene = Scene(plain_database)
    await scene.open()
    async with await psycopg.AsyncConnection.connect(plain_database) as conn:
        assert await exercise.read(conn) is not None
    settings = Settings(store=Store(url=plain_database), display=DisplaySettings(broker=broker.url))
    channel = screening.display(settings)
    async with asyncio.timeout(10):
        await channel.run()  # it ends by itself: there is nothing real to show
    await channel.close()
    assert "fenghuo-display" not in broker.log


async def test_screens_wait_while_the_database_is_away(
    mosquitto: Callable[..., Broker],
) -> None:
    nowhere = f"postgresql://127.0.0.1:{free_port()}/x"
    async with shown(nowhere, mosquitto().url) as channel:
        given = Delivery(
            id=uuid.uuid4(), channel="display", exercise=False, address="hall", body="",
            expires=NOW + dt.timedelta(hours=1), message=uuid.uuid4(),
        )  # fmt: skip
        assert (await channel.send(given, now=NOW)).state == "queued"


async def test_the_controller_of_the_documentation(
    plain_database: str, mosquitto: Callable[..., Broker]
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    broker = mosquitto()
    for name, value in (("broker.example", broker.host), ("1883", str(broker.port))):
        assert name in program
        program = program.replace(name, value)
    async with await prepare(plain_database) as conn:
        await screens.add(
            conn, Wanted(name="town-hall", title="大厅", regions=(REGION.id,)), seal=SEAL, at=NOW
        )
        await ledger.record(conn, warn("yellow"), desk=desk("display"))
        await conn.commit()
        async with shown(plain_database, broker.url) as channel:
            await channel.send(await delivery(conn, "town-hall"), now=NOW)
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-W", "error", "-c", program, stdout=asyncio.subprocess.DEVNULL
            )
            try:
                await eventually_async(lambda: _is(conn, ("delivered", "大厅")))
                assert (await screens.every(conn))[0].shown
            finally:
                child.kill()
                await child.wait()


async def test_the_role_shows_what_the_ledger_holds(
    plain_database: str, mosquitto: Callable[..., Broker], tmp_path: Path
) -> None:
    key = tmp_path / "people.key"
    key.write_bytes(bytes(KEY_BYTES))
    key.chmod(0o600)
    broker = mosquitto()
    settings = Settings(
        data=str(tmp_path),
        store=Store(url=plain_database),
        alerts=Alerts(channels=("display", "broadcast")),
        display=DisplaySettings(broker=broker.url),
    )
    async with await prepare(plain_database) as conn:
        for name, kind in (("hall", "display"), ("radio", "broadcast")):
            wanted = Wanted(name=name, kind=kind, title="大厅", regions=(REGION.id,))
            await screens.add(conn, wanted, seal=SEAL, at=NOW)
        await ledger.record(conn, warn("red"), desk=desk("display", "broadcast"))
        await conn.commit()
        role = asyncio.create_task(alerting.serve(settings, clock=SystemClock()))
        try:
            async with listener(broker) as screen:
                show, _ = await screen.next()
                await screen.say("ack", {"message": show["warnings"][0]["message"]})
                states = "SELECT channel, state FROM delivery ORDER BY channel"

                async def done() -> bool:
                    found = await (await conn.execute(states)).fetchall()
                    await conn.commit()
                    return found == [("broadcast", "accepted"), ("display", "delivered")]

                await eventually_async(done)
        finally:
            role.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await role
