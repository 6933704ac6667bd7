"""Screens and stations at the centre: `fenghuo screen …`, and what the display channel shows."""

import argparse
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psycopg

from alerts.catalogue import Catalogue
from alerts.channels.display import TOPIC, Display, Shown, WallError, Word
from alerts.faces import screens
from alerts.faces.screens import Screen, ScreenError, Wanted
from alerts.faces.shows import Show, Stage
from alerts.people.sealing import Seal
from server import desk, exercise
from server.chain import StartError, opened
from server.clock import SystemClock
from server.settings import Settings
from server.store.connection import Connection
from server.store.database import Database
from server.store.errors import StoreError
from server.terminal import Terminal


def display(settings: Settings) -> Display:
    """Give the display channel of the settings."""
    return Display(
        broker=settings.display.broker,
        authority=settings.display.authority,
        timeout=settings.display.timeout,
        workers=settings.alerts.workers,
        wall=Wall(settings),
    )


def stage(settings: Settings, catalogue: Catalogue, screen: Screen) -> Stage:
    """Give what it takes to make a show for a screen."""
    alerts = settings.alerts
    return Stage(
        catalogue=catalogue,
        zone=settings.zone,
        agency=alerts.agency_zh if screen.language == "zh" else alerts.agency_en,
        language=screen.language,
    )


class Wall:
    """The screens of a real database; it knows nothing of exercises, which go nowhere."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; the database is opened when it is needed."""
        self._settings = settings
        self._catalogue = desk.words(settings)
        self._clock = SystemClock()
        self._database: Database | None = None

    async def open(self) -> bool:
        """Say whether the database holds real readings."""
        async with self._connection() as conn:
            return await exercise.read(conn) is None

    async def show(self, name: str) -> Shown | None:
        """Give what a screen is to show now; None where there is no such screen."""
        async with self._connection() as conn:
            screen = await screens.find(conn, name)
            if screen is None:
                return None
            show = await self._show(conn, screen)
        left = None if show.until is None else show.until - show.made
        seconds = None if left is None else int(left.total_seconds())
        return Shown(body=msgspec.json.encode(show), seconds=seconds)

    async def heard(self, name: str, word: Word) -> bool:
        """Note a sign of life; say whether the screen shows something else than it should."""
        now = self._clock.now()
        shown = word.shown
        if shown is None and word.message is not None:
            shown = (word.message,)
        async with self._connection() as conn:
            screen = await screens.find(conn, name)
            if screen is None:
                return False
            state = word.state[:32]
            await screens.heard(conn, screen, at=now, decided=now, state=state, shown=shown)
            if word.shown is None:
                return False
            return set(word.shown) != (await self._show(conn, screen)).messages

    async def lost(self, name: str, state: str) -> None:
        """Note what was said of a screen in its absence."""
        async with self._connection() as conn:
            await screens.lost(conn, name, state=state)

    async def close(self) -> None:
        """Close the database."""
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    async def _show(self, conn: Connection, screen: Screen) -> Show:
        now = self._clock.now()
        found = await screens.in_force(conn, screen, now=now, exercise=False)
        made = stage(self._settings, self._catalogue, screen)
        return made.show(screen.name, found, now=now, exercise=False)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            if self._database is None:
                self._database = await Database.open(
                    self._settings.store.url, name="fenghuo screens", size=2
                )
            async with self._database.connection() as conn:
                yield conn
        except (psycopg.Error, StoreError, OSError) as error:
            raise WallError(f"the database is away: {error}") from error


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `fenghuo screen` to the command line."""
    top = commands.add_parser("screen", help="display screens, radio and TV stations")
    actions = top.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="all screens, and when each was last heard").set_defaults(
        work=_list
    )
    add = actions.add_parser("add", help="add a screen and print its key")
    add.add_argument("name", help="1 to 64 letters, digits, - and _")
    add.add_argument("--title", required=True, help="where it stands")
    add.add_argument("--region", required=True, action="append", help="of which it shows warnings")
    add.add_argument("--kind", choices=("display", "broadcast"), default="display")
    add.add_argument("--language", choices=("zh", "en"), default="zh")
    add.add_argument("--lowest", choices=("blue", "yellow", "orange", "red"), default="blue")
    add.add_argument("--hazard", action="append", default=[], help="only these dangers")
    add.set_defaults(work=_add)
    remove = actions.add_parser("remove", help="take a screen away")
    remove.add_argument("name")
    remove.set_defaults(work=_remove)


async def _list(_: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    now = SystemClock().now()
    async with opened(settings) as ready, await _base(ready) as base, base.connection() as conn:
        found = await screens.every(conn)
    _write(
        [_line(screen, now, terminal) for screen in found] or [terminal.text("screen.list.none")]
    )
    return 0


def _line(screen: Screen, now: Any, terminal: Terminal) -> str:
    if screen.seen is None:
        said = terminal.text("screen.list.never")
    elif screen.alive(now):
        said = terminal.text("screen.list.alive")
    else:
        silent = round((now - screen.seen).total_seconds())
        said = terminal.text("screen.list.silent", n=silent)
    places = ",".join(screen.regions)
    return f"{screen.name}\t{screen.kind}\t{screen.language}\t{places}\t{screen.title}\t{said}"


async def _add(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    wanted = Wanted(
        name=arguments.name,
        title=arguments.title,
        regions=tuple(arguments.region),
        kind=arguments.kind,
        language=arguments.language,
        lowest=arguments.lowest,
        hazards=tuple(arguments.hazard),
    )
    async with opened(settings) as ready, await _base(ready) as base, base.connection() as conn:
        try:
            seal = Seal.load(ready.key)
            key = await screens.add(conn, wanted, seal=seal, at=SystemClock().now())
        except ScreenError as error:
            raise StartError("refused", reason=error) from error
    lines = [terminal.text("screen.list.added", name=wanted.name, secret=key)]
    base_url = settings.web.public_url.rstrip("/")
    if wanted.kind == "display":
        lines.append(
            terminal.text(
                "screen.list.address", address=f"{base_url}/display/{wanted.name}?key={key}"
            )
        )
        lines.append(terminal.text("screen.list.topic", topic=TOPIC.format(wanted.name, "show")))
    else:
        address = f"{base_url}/air/script.txt?station={wanted.name}&key={key}"
        lines.append(terminal.text("screen.list.air", address=address))
    _write(lines)
    return 0


async def _remove(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    async with opened(settings) as ready, await _base(ready) as base, base.connection() as conn:
        gone = await screens.remove(conn, arguments.name, at=SystemClock().now())
    _write([terminal.text(f"screen.list.{'removed' if gone else 'unknown'}", name=arguments.name)])
    return 0 if gone else 1


async def _base(settings: Settings) -> Database:
    return await Database.open(settings.store.url, name="fenghuo", size=1)


def _write(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
