"""The process group of one machine: children that are started, watched, restarted and ended.

A child says that it is ready with one line of JSON on its standard output,
``{"ready": "ingest", "port": 1883}``; every other line it prints there is handed on. What it
writes to standard error goes to a log file of its own.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from server.store.child import command as tied

_log = logging.getLogger(__name__)

READY_SECONDS = 60.0
"""Longest time from start to ready."""

STOP_SECONDS = 15.0
"""Longest time from the request to stop to the end; after it the child is killed."""

RESTARTS = 5
RESTART_WINDOW = 60.0
"""A child that dies more than RESTARTS times in this many seconds is given up."""


class ChildError(Exception):
    """A child did not become ready or died too often; the message has its last words."""


class Child:
    """One process of the group."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        say: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    ) -> None:
        """``say`` is handed every line of JSON that is not the ready line."""
        self.name = name
        self.ready: dict[str, Any] = {}
        self._command = list(command)
        self.environment = dict(environment)
        self._log = log
        self._say = say
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process number while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self, *, wait_ready: bool = True) -> None:
        """Start, and wait until the child says that it is ready.

        Raises ChildError when it ends before, or says nothing within `READY_SECONDS`.
        """
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *tied(self._command, identity="same", end=signal.SIGKILL),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        if not wait_ready:
            return
        try:
            async with asyncio.timeout(READY_SECONDS):
                async for line in self.lines():
                    if line.get("ready"):
                        self.ready = line
                        return
        except TimeoutError:
            await self.stop()
            raise ChildError(
                f"{self.name} was not ready within {READY_SECONDS:.0f} s: {self.last_words()}"
            ) from None
        code = await self._process.wait()
        raise ChildError(f"{self.name} ended with {code}: {self.last_words()}")

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """Give the JSON objects the child prints until it closes its output."""
        process = self._process
        if process is None or process.stdout is None:
            return
        async for raw in process.stdout:
            with contextlib.suppress(ValueError):
                line = json.loads(raw)
                if isinstance(line, dict):
                    yield line

    async def ended(self) -> int:
        """Hand on what the child prints until it ends, and give its exit code."""
        process = self._process
        if process is None:
            return 0
        async for line in self.lines():
            if self._say is not None:
                await self._say(line)
        return await process.wait()

    async def tell(self, line: str) -> None:
        """Write a line to the child's standard input; one that is gone hears nothing."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(f"{line}\n".encode())
                await process.stdin.drain()

    async def stop(self) -> None:
        """Ask the child to end; kill it when it does not within `STOP_SECONDS`."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            _log.warning("killed child=%s: it did not end when asked", self.name)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def last_words(self) -> str:
        """Give the last line of the child's log that says something, and where the log is."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - 4096))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return f"see {self._log}"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"{lines[-1]} ({self._log})" if lines else f"see {self._log}"


class Group:
    """Children in the order of their start; they end in the opposite order."""

    def __init__(self, folder: Path) -> None:
        """Let the logs go to ``folder``."""
        self._folder = folder
        self._children: list[Child] = []

    async def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        say: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
        wait_ready: bool = True,
    ) -> Child:
        """Start a child; raises ChildError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"{name}.log"
        child = Child(name, command, environment=environment, log=log, say=say)
        self._children.append(child)
        await child.start(wait_ready=wait_ready)
        _log.info("started child=%s pid=%s", name, child.pid)
        return child

    async def keep(self, child: Child, *, until_success: bool = False) -> None:
        """Restart the child whenever it ends; raises ChildError when that happens too often.

        With ``until_success`` an exit code of 0 is the end of its work.
        """
        deaths: list[float] = []
        while True:
            code = await child.ended()
            if code == 0 and until_success:
                return
            now = time.monotonic()
            deaths = [moment for moment in deaths if now - moment < RESTART_WINDOW] + [now]
            if len(deaths) > RESTARTS:
                raise ChildError(f"{child.name} ended {len(deaths)} times: {child.last_words()}")
            _log.warning("restarting child=%s code=%s deaths=%s", child.name, code, len(deaths))
            await asyncio.sleep(0.1 * 2 ** (len(deaths) - 1))
            await child.start(wait_ready=not until_success)
            _log.info("started child=%s pid=%s", child.name, child.pid)

    async def stop(self) -> None:
        """End all children, the last started first."""
        for child in reversed(self._children):
            await child.stop()


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of it at once; the first that fails ends the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for one in work:
                tasks.create_task(one)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def python(module: str, *arguments: str) -> list[str]:
    """Give the command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def ready(role: str, **facts: object) -> None:
    """Tell the supervisor, on standard output, that this process is ready."""
    sys.stdout.write(json.dumps({"ready": role, **facts}) + "\n")
    sys.stdout.flush()
