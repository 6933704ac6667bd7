"""`fenghuo office …`: where the alerts of other offices are read."""

import argparse
import sys
import zoneinfo
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from alerts import offices
from alerts.catalogue import Catalogue
from server.accounts.audit import audit
from server.chain import opened
from server.clock import SystemClock
from server.fetching import plain
from server.settings import Settings
from server.store.connection import Connection
from server.store.database import Database
from server.terminal import Terminal

EVERY = 60
"""Seconds between two looks at a source where nothing else is said."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line."""
    actions = commands.add_parser(
        "office", help="alerts (CAP) of other offices: where they are read"
    ).add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="read a source from now on")
    add.add_argument("url", help="a feed (Atom, RSS), an alert, or a folder of alerts")
    add.add_argument("--name", default="", help="how it is shown; its host")
    add.add_argument("--every", type=_seconds, default=EVERY, help=f"seconds ({EVERY})")
    add.add_argument("--trust", type=Path, metavar="PEM", help="only what these authorities signed")
    add.set_defaults(work=_add)
    actions.add_parser("list", help="all sources, and how fresh they are").set_defaults(work=_list)
    remove = actions.add_parser("remove", help="read a source no more")
    remove.add_argument("source", help="its address or number")
    remove.set_defaults(work=_remove)


@asynccontextmanager
async def _connection(settings: Settings) -> AsyncIterator[Connection]:
    async with (
        opened(settings) as ready,
        await Database.open(ready.store.url, name="fenghuo", size=1) as database,
        database.connection() as conn,
    ):
        yield conn


async def _add(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    url = _address(arguments.url)
    if url is None:
        terminal.error("office.address", url=plain(arguments.url))
        return 1
    trust = ""
    if arguments.trust is not None:
        try:
            # Of the certificates alone: a key may lie in the same file.
            found = x509.load_pem_x509_certificates(arguments.trust.read_bytes())
            trust = "".join(each.public_bytes(Encoding.PEM).decode() for each in found)
        except (OSError, ValueError):
            terminal.error("office.trust", file=arguments.trust)
            return 1
    name = arguments.name or urlsplit(url).hostname or Path(arguments.url).name
    now = SystemClock().now()
    async with _connection(settings) as conn:
        new = await offices.add_source(
            conn, url=url, name=name, trust=trust, every=arguments.every, now=now
        )
        if not new:
            terminal.error("office.known", url=plain(url))
            return 1
        detail = {"name": name, "every": arguments.every, "signed": bool(trust)}
        await _record(conn, "office.add", url, detail)
    terminal.error("office.added", name=name, seconds=arguments.every)
    return 0


async def _list(_: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    zone, catalogue = zoneinfo.ZoneInfo(settings.zone), Catalogue.load()
    async with _connection(settings) as conn:
        found = await offices.sources(conn)
    for each in found:
        fresh = terminal.text("office.never")
        if each.succeeded is not None:
            fresh = each.succeeded.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        problem = ""
        if each.problem is not None:
            problem = offices.sentence(each.problem, catalogue, terminal.language)
        sys.stdout.write(f"{each.id}\t{each.name}\t{plain(each.url)}\t{fresh}\t{problem}\n")
    if not found:
        terminal.error("office.none")
    return 0


async def _remove(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    async with _connection(settings) as conn:
        url = await offices.remove_source(conn, arguments.source)
        if url is None:
            terminal.error("office.missing", source=arguments.source)
            return 1
        await _record(conn, "office.remove", url, {})
    terminal.error("office.removed", url=plain(url))
    return 0


async def _record(conn: Connection, act: str, url: str, detail: dict[str, object]) -> None:
    at = SystemClock().now()
    await audit(conn, person=None, act=act, subject=f"office/{plain(url)}", detail=detail, at=at)


def _address(given: str) -> str | None:
    """Give the address of a source; None for what is none."""
    try:
        parts = urlsplit(given)
    except ValueError:
        return None
    if parts.scheme in {"http", "https"} and parts.hostname:
        return given
    if parts.scheme == "file" and parts.path.startswith("/"):
        return given
    return Path(given).as_uri() if given.startswith("/") else None


def _seconds(text: str) -> int:
    number = int(text)
    if not 5 <= number <= 86_400:
        raise ValueError(text)
    return number
