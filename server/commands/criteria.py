"""`fenghuo criteria …`: versions of the criteria, checked, tried and put in force."""

import argparse
import datetime as dt
import json
import sys
import zoneinfo
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from alerts import regions
from forecast.criteria import SHIPPED, Book, CriteriaError
from server import exercise
from server.accounts.audit import audit
from server.chain import opened
from server.clock import SystemClock
from server.commands import trial
from server.commands.trial import Question, Trial, TrialError
from server.settings import Settings
from server.store import criteria
from server.store.connection import Connection
from server.store.criteria import CriteriaRefusedError, Version
from server.store.database import Database
from server.terminal import Terminal
from server.when import checked, moment

MONTH = dt.timedelta(days=30)
"""What a dry run looks at when nothing else is said."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line."""
    actions = commands.add_parser(
        "criteria", help="the criteria of warnings: check, try, put in force"
    ).add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="read a file and name its mistakes")
    check.add_argument("file", type=Path, metavar="FILE")
    check.set_defaults(work=_check)
    listed = actions.add_parser("list", help="the newest versions, one in a line")
    listed.add_argument("--limit", type=int, default=20, help="at most so many (20)")
    listed.set_defaults(work=_list)
    audit = actions.add_parser("audit", help="who did what, and when")
    audit.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    audit.set_defaults(work=_audit)
    show = actions.add_parser("show", help="the text of a version, or of what is in force")
    show.add_argument("version", type=int, nargs="?", metavar="VERSION")
    show.set_defaults(work=_show)
    put = actions.add_parser("put", help="keep a file as a new version; it changes nothing yet")
    put.add_argument("file", metavar="FILE", help=f"a file, or one of {', '.join(SHIPPED)}")
    put.set_defaults(work=_put)
    dry = actions.add_parser("dry-run", help="what it would have done, beside what is in force")
    dry.add_argument("what", metavar="FILE|VERSION", help=f"also {', '.join(SHIPPED)}")
    dry.add_argument("--from", dest="start", type=checked, help="a month before --to")
    dry.add_argument("--to", dest="end", type=checked, help="a date, or a time with a zone; now")
    dry.add_argument("--step", type=int, help="seconds between decisions; as time allows")
    dry.add_argument("--seconds", type=float, default=trial.SECONDS, help="at most (900)")
    dry.add_argument("--json", action="store_true", help="print one JSON object")
    dry.add_argument("--announce", action="store_true", help=argparse.SUPPRESS)
    dry.set_defaults(work=_dry_run)
    force = actions.add_parser("in-force", help="put a version in force")
    force.add_argument("version", type=int, metavar="VERSION")
    force.add_argument("--since", type=checked, help="from this moment; without it, at once")
    force.add_argument("--force", action="store_true", help="untried; needs a --note")
    force.set_defaults(work=_enact)
    for action in (put, dry, force):
        action.add_argument("--author", required=action is not dry, default="-", help="who")
        action.add_argument("--note", default="", help="why")


@asynccontextmanager
async def _connection(settings: Settings) -> AsyncIterator[Connection]:
    """Give a connection in autocommit mode."""
    async with (
        opened(settings) as ready,
        await Database.open(ready.store.url, name="fenghuo", size=1) as database,
    ):
        connection = await database.listener(name="criteria")
        try:
            yield connection
        finally:
            await connection.close()


async def present(connection: Connection) -> dt.datetime:
    """Give the moment that is decided now: of the event in an exercise, else the real one."""
    event = await exercise.read(connection)
    return SystemClock().now() if event is None else event.time


async def _check(arguments: argparse.Namespace, _: Settings, terminal: Terminal) -> int:
    try:
        text = arguments.file.read_text("utf-8")
        book = Book(text, units=criteria.UNITS)
    except CriteriaError as error:
        for each in error.every:
            line = each.line(text)
            sys.stdout.write(f"{arguments.file}:{'' if line is None else line}: {each}\n")
        terminal.error("criteria.wrong", count=len(error.every))
        return 1
    live = sum(len(signal.working) for signal in book.base.signals)
    levels = sum(len(signal.levels) for signal in book.base.signals)
    terminal.error(
        "criteria.right",
        signals=len(book.base.signals),
        levels=levels,
        live=live,
        overrides=len(book.overrides),
    )
    return 0


async def _list(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    async with _connection(settings) as connection:
        found = await criteria.versions(connection, limit=max(1, arguments.limit))
        standing = await criteria.in_force(connection, settings, at=await present(connection))
    for each in found:
        mark = "●" if standing.version and standing.version.number == each.number else " "
        tried = "✓" if each.tried else " "
        sys.stdout.write(
            f"{each.number}\t{mark}{tried}\t{each.written:%Y-%m-%dT%H:%M:%SZ}\t"
            f"{each.digest[:12]}\t{_line(each.author)}\t{_line(each.note)}\n"
        )
    if standing.version is None:
        terminal.error("criteria.file", file=settings.watch.criteria or "national.toml")
    return 0


async def _audit(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    async with _connection(settings) as connection:
        found = await criteria.acts(connection, limit=max(1, arguments.limit))
    for act in found:
        since = f"{act.since:%Y-%m-%dT%H:%M:%SZ}" if act.since else ""
        sys.stdout.write(
            f"{act.at:%Y-%m-%dT%H:%M:%SZ}\t{act.version}\t"
            f"{terminal.text(f'criteria.act.{act.act}')}\t{since}\t"
            f"{_line(act.author)}\t{_line(act.note)}\n"
        )
    return 0


async def _show(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    async with _connection(settings) as connection:
        if arguments.version is None:
            standing = await criteria.in_force(connection, settings, at=await present(connection))
            text = standing.book.source
        else:
            version = await criteria.one(connection, arguments.version)
            if version is None:
                return refused(CriteriaRefusedError("missing", number=arguments.version), terminal)
            text = version.text
    sys.stdout.write(text)
    return 0


async def _put(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    try:
        async with _connection(settings) as connection, connection.transaction():
            version = await criteria.write(
                connection,
                text=_text(arguments.file),
                author=arguments.author,
                note=arguments.note,
                now=SystemClock().now(),
            )
            await _record(connection, "written", version, arguments)
    except (CriteriaError, CriteriaRefusedError) as error:
        return refused(error, terminal)
    sys.stdout.write(f"{version.number}\n")
    terminal.error("criteria.kept", number=version.number)
    return 0


async def _enact(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    zone = zoneinfo.ZoneInfo(settings.zone)
    try:
        async with _connection(settings) as connection, connection.transaction():
            at = await present(connection)
            since = moment(arguments.since, zone) if arguments.since else at
            version = await criteria.enact(
                connection,
                arguments.version,
                author=arguments.author,
                note=arguments.note,
                now=SystemClock().now(),
                since=since,
                present=at,
                force=arguments.force,
            )
            await _record(connection, "in_force", version, arguments, since=since)
    except (CriteriaError, CriteriaRefusedError) as error:
        return refused(error, terminal)
    terminal.error(
        "criteria.enacted",
        number=version.number,
        since=since.astimezone(zone).isoformat(),
    )
    return 0


async def _dry_run(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    trial.bound()
    try:
        async with _connection(settings) as connection:
            zone = zoneinfo.ZoneInfo(settings.zone)
            now = await present(connection)
            end = moment(arguments.end, zone, last=True) if arguments.end else now
            start = moment(arguments.start, zone) if arguments.start else end - MONTH
            version = await _version(connection, arguments.what)
            question = Question(
                text=version.text if version else _text(arguments.what),
                version=version.number if version else None,
                author=arguments.author,
                start=start,
                end=end,
                step=arguments.step,
            )
            standing = await criteria.in_force(connection, settings, at=now)
            run = Trial(
                connection,
                question,
                standing,
                now=SystemClock().now,
                seconds=arguments.seconds,
            )
            number = await run.begin()
            if arguments.announce:
                sys.stdout.write(json.dumps({"trial": number}) + "\n")
                sys.stdout.flush()
            result = await run.run()
            names = {region.id: region for region in await regions.load(connection)}
    except (CriteriaError, CriteriaRefusedError, TrialError) as error:
        if arguments.announce and isinstance(error, CriteriaRefusedError):
            sys.stdout.write(json.dumps({"refused": error.key, **error.values}) + "\n")
        return refused(error, terminal)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode({"trial": number, **result}).decode() + "\n")
    elif not arguments.announce:
        _print(result, names, terminal)
    return 0


async def _record(
    connection: Connection,
    act: str,
    version: Version,
    arguments: argparse.Namespace,
    **detail: Any,
) -> None:
    """Tell it in the audit, with whom the command line named."""
    await audit(
        connection,
        person=None,
        act=f"criteria.{act}",
        subject=f"criteria/{version.number}",
        detail={"author": arguments.author, "note": arguments.note, **detail},
        at=SystemClock().now(),
    )


async def _version(connection: Connection, what: str) -> Version | None:
    """Give the version of a number; None where it is a file. Raises CriteriaRefusedError."""
    if not what.isdecimal():
        return None
    version = await criteria.one(connection, int(what))
    if version is None:
        raise CriteriaRefusedError("missing", number=what)
    return version


def _text(name: str) -> str:
    """Give the text of a file, or of a set that ships; raises CriteriaError."""
    if name in SHIPPED and not Path(name).exists():
        return Book.shipped(name, units=criteria.UNITS).source
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CriteriaError(f"{name}: {error}") from None


def _print(
    result: Mapping[str, Any], names: Mapping[str, regions.Region], terminal: Terminal
) -> None:
    """Write both sides beside each other: each level in all, then by region and day."""

    def words(row: Mapping[str, Any]) -> str:
        hazard = terminal.text(f"warning.hazard.{row['hazard']}")
        return f"{hazard}\t{terminal.text('warning.level.' + row['level'] + '.name')}"

    def table(rows: Sequence[str]) -> None:
        sys.stdout.writelines(f"{row}\n" for row in rows)

    heads = [terminal.text(f"criteria.column.{name}") for name in ("hazard", "level")]
    sides = [terminal.text(f"criteria.column.{name}") for name in ("draft", "in_force", "both")]
    table(["\t".join([*heads, *sides])])
    table([f"{words(r)}\t{r['draft']}\t{r['in_force']}\t{r['both']}" for r in result["totals"]])
    where = [terminal.text(f"criteria.column.{name}") for name in ("region", "day")]
    table(["", "\t".join([*heads, *where, *sides[:2]])])
    table(
        [
            f"{words(row)}\t"
            + (names[row["region"]].name(terminal.language) if row["region"] in names else "")
            + f"\t{row['day']}\t{row['draft']}\t{row['in_force']}"
            for row in result["days"]
        ]
    )
    terminal.error("criteria.tried", readings=result["readings"], step=result["step"])
    if result["unknown_regions"]:
        terminal.error("criteria.regions", names=", ".join(result["unknown_regions"]))


def refused(error: CriteriaError | CriteriaRefusedError | TrialError, terminal: Terminal) -> int:
    """Say why it was not done, and give the exit code."""
    terminal.error("command.error.refused", reason=sentence(error, terminal))
    return 1


def sentence(error: CriteriaError | CriteriaRefusedError | TrialError, terminal: Terminal) -> str:
    """Give what went wrong in words."""
    match error:
        case CriteriaRefusedError():
            return terminal.text(f"criteria.refused.{error.key}", **error.values)
        case TrialError():
            return terminal.text(f"criteria.trial.{error.key}")
        case _:
            return "\n".join(str(each) for each in error.every)


def _line(text: str) -> str:
    return " ".join(c for c in text.split() if c.isprintable())
