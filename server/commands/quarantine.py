"""`fenghuo quarantine …`: what was refused, looked at, mended and sent in again."""

import argparse
import sys
import zoneinfo
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from server.accounts.audit import audit
from server.chain import opened
from server.clock import SystemClock
from server.ingest import mapping
from server.ingest import quarantine as store
from server.ingest.quarantine import REASONS, Choice, Kept, plain
from server.ingest.replay import Replay
from server.settings import Settings
from server.store.connection import Connection
from server.store.database import Database
from server.store.partitions import Partitions
from server.terminal import Terminal
from server.when import checked, moment


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line."""
    actions = commands.add_parser(
        "quarantine", help="what was refused: look at it, mend it, send it in again"
    ).add_subparsers(required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="the newest messages, one in a line")
    _filters(listed)
    listed.add_argument("--limit", type=_positive, default=20, help="at most so many (20)")
    listed.set_defaults(work=_list)
    show = actions.add_parser("show", help="one message, with its bytes")
    show.add_argument("id", type=int)
    show.set_defaults(work=_show)
    replay = actions.add_parser("replay", help="send messages in again; what passes is stored")
    mend = actions.add_parser("mend", help="the same, read with a mapping file")
    mend.add_argument("--mapping", type=Path, required=True, help="TOML; docs/publishing.md")
    replay.set_defaults(mapping=None)
    for action in (replay, mend):
        action.add_argument("ids", type=int, nargs="*", metavar="ID")
        _filters(action)
        action.add_argument("--all", action="store_true", help="everything that waits")
        action.set_defaults(work=_replay)


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", choices=sorted(REASONS), metavar="REASON", help="its code")
    parser.add_argument("--station", help="name of the station it came from")
    parser.add_argument("--since", type=checked, help="a date, or 2026-07-01T08:00+08:00")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


@asynccontextmanager
async def _connection(settings: Settings) -> AsyncIterator[tuple[Connection, Database]]:
    """Give a connection in autocommit mode, and the database."""
    async with (
        opened(settings) as ready,
        await Database.open(ready.store.url, name="fenghuo", size=1) as database,
    ):
        connection = await database.listener(name="quarantine")
        try:
            yield connection, database
        finally:
            await connection.close()


async def _list(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    async with _connection(settings) as (connection, _):
        limit = arguments.limit
        rows = await store.newest(connection, _choice(arguments, settings), limit=limit + 1)
    for row in rows[:limit]:
        times = f"{row.times}×"
        when = f"{row.newest or row.received:%Y-%m-%dT%H:%M:%SZ}"
        passed = "✓" if row.replayed else " "
        detail = plain(row.detail).replace("\n", " ")
        sys.stdout.write(
            f"{row.id}\t{passed}\t{when}\t{row.station}\t{row.reason}\t{times}\t{detail:.100}\n"
        )
    if not rows:
        terminal.error("quarantine.none")
    elif len(rows) > limit:
        terminal.error("quarantine.more", limit=limit)
    return 0


async def _show(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    async with _connection(settings) as (connection, _):
        row = await store.one(connection, arguments.id)
    if row is None:
        terminal.error("quarantine.missing", number=arguments.id)
        return 1
    sys.stdout.write(_described(row, terminal))
    return 0


def _described(row: Kept, terminal: Terminal) -> str:
    words = {name: terminal.text(f"quarantine.field.{name}") for name in _FIELDS}
    often = terminal.text("quarantine.field.once")
    if row.times > 1:
        often = terminal.text("quarantine.field.often", times=row.times, newest=row.newest)
    said = {
        "id": str(row.id),
        "received": row.received.isoformat(),
        "station": row.station,
        "topic": row.topic,
        "reason": f"{row.reason} ({terminal.text(f'quarantine.reason.{row.reason}')})",
        "detail": row.detail,
        "times": often,
        "replayed": row.replayed.isoformat() if row.replayed else "",
        "payload": terminal.text("quarantine.field.bytes", bytes=len(row.payload)),
    }
    lines = [f"{words[name]}\t{plain(text)}" for name, text in said.items()]
    if row.reason == "size":
        lines.append(terminal.text("quarantine.excerpt"))
    return "\n".join([*lines, "", store.readable(row.payload), ""])


_FIELDS = (
    *("id", "received", "station", "topic", "reason", "detail"),
    *("times", "replayed", "payload"),
)


async def _replay(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    choice = _choice(arguments, settings)
    if choice == Choice() and not arguments.all:
        terminal.error("quarantine.nothing")
        return 2
    mend = None
    if arguments.mapping is not None:
        mend = mapping.load(arguments.mapping, mending=True)
    async with _connection(settings) as (connection, database):
        replay = Replay(
            connection,
            partitions=Partitions(database.kind, chunk_days=settings.store.chunk_days),
            settings=settings.ingest,
            clock=SystemClock(),
            mend=mend,
        )
        result = await replay.run(choice)
        async with connection.transaction():
            await audit(
                connection,
                person=None,
                act="quarantine.replay",
                subject="quarantine",
                detail={"asked": choice, "mapping": str(arguments.mapping or ""), "result": result},
                at=SystemClock().now(),
            )
    terminal.error(
        "quarantine.replayed",
        replayed=result.replayed,
        refused=sum(result.refused.values()),
        left=result.left,
    )
    for reason, count in sorted(result.refused.items()):
        what = terminal.text(f"quarantine.reason.{reason}")
        terminal.error("quarantine.stays", count=count, reason=reason, what=what)
    return 0


def _choice(arguments: argparse.Namespace, settings: Settings) -> Choice:
    ids = tuple(getattr(arguments, "ids", ()))
    since = arguments.since and moment(arguments.since, zoneinfo.ZoneInfo(settings.zone))
    return Choice(
        ids=ids or None,
        reason=arguments.reason,
        station=arguments.station,
        since=since,
    )
