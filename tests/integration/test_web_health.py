"""Alive, ready and the numbers: green only with evidence."""

import datetime as dt

import psycopg
import pytest

from server.clock import SystemClock
from server.settings import Settings, Store, Web
from server.store.database import Database
from server.vitals import Sample, Sheet, write
from server.web import app, health
from tests.scene import HOUR, START, Scene
from tests.website import website

STATION = "beijing-dongsi"
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


async def test_ready_only_after_a_reading_and_not_for_ever(database: str) -> None:
    scene = Scene(database)
    await scene.open()
    async with website(database) as site:
        assert (await site.get("/healthz"))["status"] == "alive"
        found = await site.get("/readyz", 503)
        assert found["checks"]["arrivals"]["detail"] == "no reading has arrived yet"
        await scene.report({STATION: {"air_temperature": 20.0}}, time=START + HOUR)
        found = await site.get("/readyz", 200)
        assert found["status"] == "ready"
        assert found["checks"]["arrivals"]["age"] < 60
    old = SystemClock().now() - dt.timedelta(hours=3)
    await scene.execute("UPDATE arrival SET stored = %s", old)
    async with website(database) as site:
        found = await site.get("/readyz", 503)
        assert found["checks"]["database"]["ok"]
        assert "limit is 7200 s" in found["checks"]["arrivals"]["detail"]


async def test_not_ready_with_an_older_schema(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM migration WHERE number = 2")
    async with website(database) as site:
        found = await site.get("/readyz", 503)
        assert "0002" in found["checks"]["schema"]["detail"]


async def test_not_ready_without_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with website(database) as site:
        await site.get("/healthz")

        def away(*_: object) -> None:
            raise psycopg.OperationalError("the database is away")

        monkeypatch.setattr(Database, "connection", away)
        found = await site.get("/readyz", 503)
        assert found["checks"] == {"database": {"ok": False, "detail": "the database is away"}}
        assert 'fenghuo_database_up{role="web"} 0' in (await site.client.get("/metrics")).text
        assert (await site.client.get("/healthz")).status_code == 200


async def test_metrics_show_every_role_with_its_age(database: str) -> None:
    sheet = Sheet("ingest", SystemClock().now() - dt.timedelta(minutes=5), (Sample("stored", 7),))
    async with (
        await Database.open(database, name="test") as opened,
        opened.connection() as conn,
    ):
        await write(conn, sheet)
    async with website(database) as site:
        text = (await site.client.get("/metrics")).text
    assert 'fenghuo_stored{role="ingest"} 7' in text
    assert 'fenghuo_vitals_stale{role="ingest"} 1' in text
    assert 'fenghuo_arrival_age_seconds{role="web"} NaN' in text


def test_prometheus_groups_families_and_escapes() -> None:
    samples = (
        Sample("refused_total", 2, "counter", (("reason", 'a"b\\c\n'),)),
        Sample("commit_bucket", 3, "counter", (("le", "+Inf"),)),
        Sample("commit_sum", 0.25, "counter"),
        Sample("commit_count", 3, "counter"),
    )
    text = health.prometheus([Sheet("ingest", NOW, samples)], [], now=NOW)
    assert text.splitlines() == [
        "# TYPE fenghuo_vitals_age_seconds gauge",
        'fenghuo_vitals_age_seconds{role="ingest"} 0',
        "# TYPE fenghuo_vitals_stale gauge",
        'fenghuo_vitals_stale{role="ingest"} 0',
        "# TYPE fenghuo_refused_total counter",
        'fenghuo_refused_total{reason="a\\"b\\\\c\\n",role="ingest"} 2',
        "# TYPE fenghuo_commit histogram",
        'fenghuo_commit_bucket{le="+Inf",role="ingest"} 3',
        'fenghuo_commit_sum{role="ingest"} 0.25',
        'fenghuo_commit_count{role="ingest"} 3',
    ]


async def test_a_port_in_use_is_said_clearly(database: str) -> None:
    with app.bound("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(store=Store(url=database), web=Web(port=port))
        with pytest.raises(app.PortError, match=rf"127\.0\.0\.1:{port} cannot be had .*WEB_PORT"):
            await app.serve(settings, clock=SystemClock())
