"""The ingest role as a process serves it: ready line, vitals, roster, tidy end."""

import asyncio
import contextlib
import datetime as dt
import json

import aiomqtt
import msgspec
import pytest

from server import vitals
from server.clock import SystemClock
from server.ingest.roster import Roster
from server.ingest.service import serve
from server.settings import Settings, Store
from server.store.database import Database
from tests.ingesting import add_stations, payload, report, rows, settings
from tests.support import eventually_async

NOW = dt.datetime.now(dt.UTC)


async def test_serve(
    plain_database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "EVERY", 0.05)
    await add_stations(plain_database, ["A"])
    options = Settings(store=Store(url=plain_database), ingest=settings(linger=0.5))
    role = asyncio.create_task(serve(options, clock=SystemClock()))
    said = await eventually_async(lambda: capsys.readouterr().out)
    line = json.loads(said)
    assert line["ready"] == "ingest"
    database = await Database.open(plain_database, name="test", size=1)

    async def sheet() -> vitals.Sheet | None:
        async with database.connection() as connection:
            for found in await vitals.read(connection):
                if any(sample.name == "connections" and sample.value for sample in found.samples):
                    return found
        return None

    async with database, aiomqtt.Client("127.0.0.1", line["port"]) as station:
        told = await eventually_async(sheet, about="the role to tell of its connection")
        sent = asyncio.create_task(station.publish("fenghuo/v1/A/obs", payload(report()), qos=1))
        await asyncio.sleep(0.1)
        role.cancel()  # while the reading waits for its batch
        await sent
        with contextlib.suppress(asyncio.CancelledError):
            await role
        found = await rows(plain_database, "SELECT count(*) FROM observation")
        assert found == [(1,)]
    assert told.role == "ingest"
    assert (NOW - told.time).total_seconds() < 60


async def test_roster_notices_who_was_removed(
    plain_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.ingest.roster.CHECK_SECONDS", 0.0)
    await add_stations(plain_database, ["A", "B"])
    roster = Roster(register=False)
    database = await Database.open(plain_database, name="test", size=1)
    async with database, database.connection() as connection:
        await roster.refresh(connection)
        assert set(roster.ids) == {"A", "B"}
        await connection.execute("DELETE FROM station WHERE name = 'A'")
        await roster.refresh(connection)
        assert set(roster.ids) == {"B"}
        await roster.find(connection, ["A", "C"], now=NOW)
        assert set(roster.ids) == {"B"}


def test_setting_of_source_is_checked() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"source": "pigeon"}, type(settings()))
