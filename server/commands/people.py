"""`fenghuo people …`: official lists, and what anybody may ask of us: all we know, to be erased."""

import argparse
import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args

import msgspec

from alerts import regions
from alerts.bureau.policy import Tier
from alerts.catalogue import Catalogue
from alerts.people import contacts, importing, privacy, roster, subscribers, tables
from alerts.people.contacts import ContactError
from alerts.people.headers import FIELDS, Field
from alerts.people.importing import Defaults, Fault, Plan
from alerts.people.places import Places
from alerts.people.sealing import Seal, SealError
from alerts.people.subscribers import Saved
from alerts.people.tables import TableError
from server import sealed
from server.accounts.audit import audit
from server.chain import StartError, opened
from server.clock import SystemClock
from server.settings import Settings
from server.store.connection import Connection
from server.store.database import Database
from server.terminal import Terminal

_Work: TypeAlias = Callable[[argparse.Namespace, Settings, Terminal], Coroutine[Any, Any, int]]


class _DryError(Exception):
    """Ends a transaction that was only tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What a command works with."""

    conn: Connection
    seal: Seal
    settings: Settings
    terminal: Terminal

    def say(self, key: str, **values: object) -> str:
        return self.terminal.text(f"people.{key}", **values)

    async def note(self, act: str, subject: str, **detail: object) -> None:
        at = SystemClock().now()
        await audit(self.conn, person=None, act=act, subject=subject, detail=detail, at=at)


_Act: TypeAlias = Callable[[_Desk, argparse.Namespace], Awaitable[int]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line."""
    people = commands.add_parser(
        "people", help="who is told: lists, what is known of a person, erasing"
    ).add_subparsers(required=True, metavar="ACTION")
    taken = people.add_parser("import", help="add or change the people of a list")
    taken.add_argument("file", type=Path, help="CSV (UTF-8, GBK) or Excel (.xlsx)")
    taken.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    taken.add_argument(
        "--map", type=_mapping, action="append", default=[], metavar="HEADER=FIELD",
        help=f"what a column holds; fields: {', '.join(FIELDS)}",
    )  # fmt: skip
    taken.add_argument("--tier", choices=get_args(Tier), help="of those whose line says none")
    taken.add_argument("--group", default="", help="one more group of everybody in the list")
    taken.add_argument("--region", default="", help="of those whose line says none")
    taken.add_argument(
        "--call", action="store_true", help="whoever has no other number is called at the mobile"
    )
    taken.add_argument("--sheet", help="of an Excel file; its first")
    taken.set_defaults(work=_import)
    listed = people.add_parser("list", help="everybody, with the end of each address")
    listed.add_argument("--tier", choices=get_args(Tier))
    listed.add_argument("--group")
    listed.add_argument("--region")
    listed.add_argument(
        "--csv", action="store_true", help="all people, with whole addresses, to be imported again"
    )
    listed.set_defaults(work=_list)
    given = people.add_parser("export", help="everything known of a person, as JSON")
    given.set_defaults(work=_export)
    erased = people.add_parser("erase", help="forget who somebody is")
    erased.add_argument("--yes", action="store_true", help="it cannot be undone")
    erased.set_defaults(work=_erase)
    for action in (given, erased):
        action.add_argument("who", metavar="ID|PHONE|E-MAIL")
    anew = people.add_parser("reseal", help="seal everything with another key")
    anew.add_argument("--new-key", type=Path, required=True, metavar="FILE")
    anew.set_defaults(work=_reseal)


def _mapping(text: str) -> tuple[str, Field]:
    name, _, field = text.rpartition("=")
    if not name or field not in FIELDS:
        raise argparse.ArgumentTypeError(f"write HEADER=FIELD, a field is: {', '.join(FIELDS)}")
    return name, msgspec.convert(field, Field)


def _at_desk(act: _Act) -> _Work:
    """Give the work that does ``act`` in one transaction."""

    @functools.wraps(act)
    async def work(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
        async with (
            opened(settings) as ready,
            await Database.open(ready.store.url, name="fenghuo", size=1) as database,
        ):
            try:
                seal = Seal.load(settings.key)
                await sealed.prepare(database, seal)
                async with database.connection() as conn:
                    desk = _Desk(conn=conn, seal=seal, settings=settings, terminal=terminal)
                    return await act(desk, arguments)
            except TableError as error:
                reason = terminal.text(f"people.table.{error.code}", **error.values)
                raise StartError("refused", reason=reason) from None
            except SealError as error:
                raise StartError("refused", reason=error) from None
            except _DryError:
                return 0

    return work


@_at_desk
async def _import(desk: _Desk, arguments: argparse.Namespace) -> int:
    file: Path = arguments.file
    with file.open("rb") as stream:
        data = stream.read(tables.LONGEST + 1)
    plan, saved = await take(
        desk.conn,
        data,
        name=file.name,
        seal=desk.seal,
        sheet=arguments.sheet,
        mapping=dict(arguments.map),
        defaults=Defaults(
            tier=arguments.tier,
            group=arguments.group,
            region=arguments.region,
            call=arguments.call,
        ),
    )
    sys.stdout.writelines(f"{line}\n" for line in _told(desk, plan))
    refused = len({fault.line for fault in plan.faults})
    counts = {"added": saved.added, "changed": len(set(saved.ids)) - saved.added}
    if arguments.dry_run:
        desk.terminal.error("people.import.dry", **counts, refused=refused)
        raise _DryError
    desk.terminal.error("people.import.done", **counts, refused=refused)
    await desk.note("people.import", file.name, **counts, refused=refused)
    return 0


async def take(
    conn: Connection,
    data: bytes,
    *,
    name: str,
    seal: Seal,
    sheet: str | None = None,
    mapping: Mapping[str, Field] | None = None,
    defaults: Defaults | None = None,
) -> tuple[Plan, Saved]:
    """Save the people of a list; roll back for a trial. Raises TableError."""
    places = Places(await regions.load(conn))
    if not places.regions:
        raise TableError("no_regions")

    def planned() -> Plan:
        rows = tables.read(data, name=name, sheet=sheet)
        return importing.plan(rows, places=places, mapping=mapping, defaults=defaults)

    # A long list takes seconds, in which a server has others to serve.
    plan = await asyncio.to_thread(planned)
    saved = await subscribers.save(conn, plan.people, seal=seal, at=SystemClock().now())
    return plan, saved


def _told(desk: _Desk, plan: Plan) -> list[str]:
    lines = [desk.say("import.columns")]
    for name, field in plan.columns:
        if name:
            meaning = desk.say(f"field.{field or 'unknown'}")
            lines.append(desk.say("import.column", header=name, field=meaning))
    for title, faults in (("remarks", plan.remarks), ("faults", plan.faults)):
        if faults:
            lines.append(desk.say(f"import.{title}", count=len(faults)))
            lines += [f"  {_sentence(desk, fault)}" for fault in faults]
    return lines


def _sentence(desk: _Desk, fault: Fault) -> str:
    reason = desk.say(f"fault.{fault.code}", **fault.values)
    return desk.say("fault.line", line=fault.line, column=fault.column, reason=reason)


@_at_desk
async def _list(desk: _Desk, arguments: argparse.Namespace) -> int:
    if arguments.csv:
        language, catalogue = desk.terminal.language, Catalogue.load()
        found = roster.rows(desk.conn, seal=desk.seal, catalogue=catalogue, language=language)
        rows = [row async for row in found]
        sys.stdout.write(tables.write(rows))
        await desk.note("people.list", "csv", people=len(rows) - 1)
        return 0
    after = 0
    chosen = {"tier": arguments.tier, "group": arguments.group, "region": arguments.region}
    while page := await subscribers.listing(desk.conn, seal=desk.seal, after=after, **chosen):
        for person in page:
            reached = " ".join(f"{one.channel}:{one.hint}" for one in person.contacts)
            left = desk.say("command.left") if person.left_at else ""
            words = (str(person.id), person.tier, person.name, reached, left)
            places = (",".join(person.regions), ",".join(person.groups))
            sys.stdout.write("\t".join((*words, *places)).rstrip() + os.linesep)
        after = page[-1].id
    return 0


@_at_desk
async def _export(desk: _Desk, arguments: argparse.Namespace) -> int:
    number = await _who(desk, arguments.who)
    found = await privacy.export(desk.conn, number, seal=desk.seal)
    if found is None:
        raise _nobody(desk, arguments.who)
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    await desk.note("people.export", f"subscriber/{number}")
    return 0


@_at_desk
async def _erase(desk: _Desk, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        raise StartError("refused", reason=desk.say("command.confirm"))
    number = await _who(desk, arguments.who)
    if not await privacy.erase(desk.conn, number, at=SystemClock().now()):
        raise _nobody(desk, arguments.who)
    desk.terminal.error("people.command.erased", id=number)
    await desk.note("people.erase", f"subscriber/{number}")
    return 0


@_at_desk
async def _reseal(desk: _Desk, arguments: argparse.Namespace) -> int:
    new = Seal.load(arguments.new_key)
    count = await privacy.reseal(desk.conn, old=desk.seal, new=new)
    await sealed.rebind(desk.conn, new)
    file = desk.settings.key
    desk.terminal.error("people.command.resealed", count=count, file=file)
    await desk.note("people.reseal", "key", people=count, fingerprint=new.fingerprint.hex())
    return 0


async def _who(desk: _Desk, text: str) -> int:
    """Give the id of whoever is meant by an id, a telephone number or a mailbox."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    for channel in ("email",) if "@" in text else ("sms", "voice", "fax"):
        try:
            address = contacts.read(channel, text)
        except ContactError:
            continue
        if found := await subscribers.find(desk.conn, address, seal=desk.seal):
            return found.subscriber
    raise _nobody(desk, text)


def _nobody(desk: _Desk, text: str) -> StartError:
    return StartError("refused", reason=desk.say("command.unknown", who=text))
