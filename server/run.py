"""`fenghuo run` and `fenghuo demo`: the whole chain, to look at or to measure."""

import argparse
import asyncio
import contextlib
import json
import secrets
import shutil
import sys
import tempfile
import time
import zoneinfo
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from agent.event import EventError
from alerts.life import ledger
from alerts.people.sealing import Seal, SealError
from alerts.queries import Queries
from server import exercise
from server.accounts import links, people
from server.chain import ROLES, Chain, StartError, Step, chain, free, roles
from server.clock import SystemClock
from server.ingest.mapping import Mappings
from server.processes import together
from server.settings import Settings
from server.terminal import Terminal

_sql = Queries("server", "exercise.sql")

EVENT = Path(__file__).parents[1] / "deploy/events/beijing-2016-07"
"""The event that ships with Fenghuo."""

PACE = 2_400.0
"""Event seconds per second of `fenghuo run`: three days in under two minutes."""

HEADLESS = tuple(role for role in ROLES if role != "web")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``run`` and ``demo`` to the command line."""
    start = commands.add_parser("run", help="the whole chain on this machine, until Ctrl-C")
    start.add_argument("--event", type=Path, help="replay this event folder, as an exercise")
    start.add_argument("--pace", type=float, default=PACE, help="event seconds per second")
    start.set_defaults(work=run)
    show = commands.add_parser("demo", help="replay an event headless and print what came of it")
    show.add_argument("--event", type=Path, default=EVENT, help="event folder")
    show.add_argument("--fast", action="store_true", help="as fast as it goes")
    show.add_argument("--pace", type=float, default=PACE, help="event seconds per second")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(work=demo)


async def run(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Run until interrupted."""
    web, ingest = settings.web, settings.ingest
    terminal.say("starting")
    Mappings.load(ingest.mappings)  # a wrong file is told before anything is started
    free(web.port, host=web.host, what="web", variable="FENGHUO_WEB_PORT")
    if ingest.source == "listener":
        free(ingest.port, host=ingest.host, what="MQTT", variable="FENGHUO_INGEST_PORT")
    if arguments.event:
        settings = _for_stations_of_the_event(settings)
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(chain(settings))
        stack.callback(terminal.say, "stopping")
        if arguments.event:
            await _prepare(running, arguments.event)
        await running.start(roles(settings))
        address = web.public_url or f"http://{web.host}:{running.ports['web']}"
        terminal.say("ready", address=address)
        await first(running, address, terminal)
        terminal.say("stop_hint", folder=settings.folder)
        work = [running.keep()]
        if arguments.event:
            work.append(_replay(running, arguments, terminal))
        await together(*work)
    return 0


async def first(running: Chain, address: str, terminal: Terminal) -> None:
    """Print the way in for the first administrator, where there is nobody yet."""
    now = SystemClock().now()
    async with running.database.connection() as conn:
        if await people.exist(conn):
            return
        token = await links.first(conn, now=now)
    zone = zoneinfo.ZoneInfo(running.settings.zone)
    until = (now + links.LASTS).astimezone(zone).strftime("%Y-%m-%d %H:%M")
    terminal.error("account.first", until=until)
    terminal.write(links.address(address, token))


async def _replay(running: Chain, arguments: argparse.Namespace, terminal: Terminal) -> None:
    async with running.database.connection() as conn:
        event = await exercise.read(conn)
    if event is None:
        return
    title = event.zh if terminal.language == "zh" else event.en
    terminal.say("replaying", title=title)
    show = _progress(terminal, running.settings)
    sent = await running.replay(arguments.event, pace=arguments.pace, show=show)
    await running.settle()
    found = await summary(running, sent=sent, seconds=0)
    warnings, messages = len(found["warnings"]), sum(found["messages"].values())
    terminal.say("replayed", sent=sent, warnings=warnings, messages=messages)


async def demo(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Replay an event in a database of its own, print the summary, and leave nothing behind."""
    began = time.monotonic()
    pace = 0.0 if arguments.fast else arguments.pace
    show = _progress(terminal, settings)
    async with _apart(settings) as own, chain(own) as running:
        await _prepare(running, arguments.event)
        await running.start(HEADLESS)
        keeping = asyncio.create_task(running.keep())
        replaying = asyncio.create_task(running.replay(arguments.event, pace=pace, show=show))
        await asyncio.wait({keeping, replaying}, return_when=asyncio.FIRST_COMPLETED)
        if not replaying.done():
            replaying.cancel()
            keeping.result()
        sent = await replaying
        await running.settle()
        found = await summary(running, sent=sent, seconds=time.monotonic() - began)
        keeping.cancel()
    _print(found, as_json=arguments.json, terminal=terminal)
    return 0


def _progress(terminal: Terminal, settings: Settings) -> Callable[[Step], Awaitable[None]]:
    """Give what draws how far the replay is, in local time."""
    zone = zoneinfo.ZoneInfo(settings.zone)

    async def show(step: Step) -> None:
        local = step.time.astimezone(zone).strftime("%Y-%m-%d %H:%M")
        terminal.progress(time=local, step=step.step, steps=step.steps, sent=step.sent)

    return show


async def summary(running: Chain, *, sent: int, seconds: float) -> dict[str, Any]:
    """Give what came of the event, times in its own time."""
    async with running.database.connection() as conn:
        row = await (await conn.execute(_sql.stored)).fetchone()
        stored, quarantined = row or (0, 0)
        told = await ledger.summary(conn)
    readings = {"sent": sent, "stored": stored, "quarantined": quarantined}
    return {"readings": readings, **told, "seconds": round(seconds, 2)}


def _print(found: dict[str, Any], *, as_json: bool, terminal: Terminal) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        return
    for warning in found["warnings"]:
        levels = ", ".join(
            f"{terminal.text('warning.level.' + step['level'] + '.name')} {step['opened']}"
            for step in warning["levels"]
        )
        hazard = terminal.text("warning.hazard." + warning["hazard"])
        sys.stdout.write(f"{hazard}  {warning['region']}: {levels} … {warning['ended']}\n")
    sys.stdout.write(json.dumps(found["readings"]) + "\n")


@contextlib.asynccontextmanager
async def _apart(settings: Settings) -> AsyncIterator[Settings]:
    """Give settings that touch nothing else: a folder, a database and a port of their own."""
    folder = Path(tempfile.mkdtemp(prefix="fenghuo-demo-"))
    settings = _for_stations_of_the_event(settings)
    ingest = msgspec.structs.replace(settings.ingest, port=0)
    settings = msgspec.structs.replace(settings, data=str(folder), ingest=ingest)
    async with _database_apart(settings.store.url) as url:
        store = msgspec.structs.replace(settings.store, url=url)
        yield msgspec.structs.replace(settings, store=store)
    # Where it failed, the logs stay.
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def _database_apart(server: str) -> AsyncIterator[str]:
    """Give a database of the demo's own on the server; without a server the embedded one."""
    if not server:
        yield ""
        return
    name = sql.Identifier(f"fenghuo_demo_{secrets.token_hex(4)}")
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as conn:
        await conn.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield psycopg.conninfo.make_conninfo(server, dbname=name.as_string().strip('"'))
        finally:
            await conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


async def _prepare(running: Chain, folder: Path) -> None:
    try:
        seal = Seal.load(running.settings.key)
        await exercise.prepare(running.database, folder, seal=seal)
    except EventError as error:
        raise StartError("event", folder=folder, reason=error) from error
    except SealError as error:
        raise StartError("seal", reason=error) from error
    except exercise.OtherEventError as error:
        raise StartError("other_event", reason=error) from error


def _for_stations_of_the_event(settings: Settings) -> Settings:
    """Let the replayed stations in without keys; the listener is on loopback then.

    The event's clock waits for what is stored, so nothing may stand between.
    """
    ingest = msgspec.structs.replace(settings.ingest, sink="database")
    settings = msgspec.structs.replace(settings, ingest=ingest)
    if ingest.source == "broker":
        return settings
    if not settings.ingest.host.startswith("127."):
        raise StartError("event_host", host=settings.ingest.host)
    ingest = msgspec.structs.replace(settings.ingest, anonymous=True)
    return msgspec.structs.replace(settings, ingest=ingest)
