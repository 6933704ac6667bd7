"""The `fenghuo` command: one parser, and the roles that the other processes of a chain run."""

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from agent.version import __version__
from alerts.bureau.policy import PolicyError
from alerts.people.sealing import SealError
from server import exercise
from server.chain import StartError, opened
from server.clock import SystemClock
from server.processes import ChildError
from server.settings import Settings, SettingsError, load
from server.store.database import Database
from server.store.errors import StoreError
from server.terminal import Terminal, language

_log = logging.getLogger(__name__)

_MODULES = {
    "ingest": "server.ingest.service",
    "write": "server.ingest.writer",
    "watch": "server.watch",
    "alert": "server.alerting",
    "keep": "server.store.housekeeping",
    "web": "server.web.app",
}


_COMMANDS = (
    "server.run",
    "server.commands.administration",
    "server.commands.radar",
    "server.commands.verify",
    "server.commands.cap",
    "server.commands.user",
    "server.commands.office",
    "server.commands.people",
    "server.screens",
)


def main() -> None:
    """Run the command line; exit code 0 done, 1 failed with a sentence why, 2 wrong call."""
    # A role carries only what it needs, for as long as it runs.
    arguments = parser(commands=sys.argv[1:2] not in [[role] for role in _MODULES]).parse_args()
    logging.basicConfig(
        level=os.environ.get("FENGHUO_LOG", "INFO" if arguments.command in _MODULES else "WARNING"),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    terminal = Terminal(language=language(os.environ.get("FENGHUO_LANGUAGE", "")))
    try:
        settings = load(arguments.config)
        terminal = Terminal(language=language(settings.language))
        work = _work(arguments, settings, terminal)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sys.exit(runner.run(_until_signal(work)))
    except SettingsError as error:
        terminal.error("command.error.settings", reason=error)
    except StartError as error:
        terminal.error(f"command.error.{error.key}", **error.values)
    except ChildError as error:
        terminal.error("command.error.child", reason=error)
    except (OSError, SealError, PolicyError) as error:
        terminal.error("command.error.refused", reason=error)
    except StoreError as error:
        terminal.error(f"store.{error.code}", **error.values)
    sys.exit(1)


def parser(*, commands: bool = True) -> argparse.ArgumentParser:
    """Give the parser of the whole command line, or of the roles alone."""
    top = argparse.ArgumentParser(
        prog="fenghuo", description="Watch a region's weather and warn people in time."
    )
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument("--config", type=Path, help="settings file (TOML); also FENGHUO_CONFIG")
    actions = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _COMMANDS if commands else ():
        importlib.import_module(name).add_commands(actions)
    for role in _MODULES:
        actions.add_parser(role, help=f"run the role {role} alone, for one process of many")
    return top


def _work(
    arguments: argparse.Namespace, settings: Settings, terminal: Terminal
) -> Coroutine[Any, Any, int]:
    if arguments.command in _MODULES:
        return _role(arguments.command, settings)
    work: Coroutine[Any, Any, int] = arguments.work(arguments, settings, terminal)
    return work


async def _role(name: str, settings: Settings) -> int:
    """Run one role until it is cancelled, by the clock of what the database holds."""
    module = importlib.import_module(_MODULES[name])
    async with opened(settings) as ready:
        database = await Database.open(ready.store.url, name=f"fenghuo {name} clock")
        try:
            async with exercise.clock(database) as clock:
                # Readings come in, and the store is kept, in real time even in an exercise.
                real = name in {"ingest", "write", "keep"}
                await module.serve(ready, clock=SystemClock() if real else clock)
        finally:
            await database.close()
    return 0


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Cancel the work at the first SIGTERM or SIGINT, and let it clean up."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return 0


if __name__ == "__main__":
    main()
