"""Dry runs of criteria over HTTP: begun here, run by a process of their own."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from alerts.rights import Role
from server.accounts.audit import audit
from server.commands import trial
from server.processes import python
from server.settings import variables
from server.store import trials
from server.store.child import command as tied
from server.store.criteria import CriteriaRefusedError
from server.web import permit
from server.web.answers import Json, moment
from server.web.context import Context
from server.web.problems import Problem

LONGEST = 65_536
"""Bytes of a request."""

START_SECONDS = 60.0
"""Longest time until the process of a trial has begun it."""

NOT_KEPT = {"cache-control": "no-store"}

WRITERS: tuple[Role, ...] = ("forecaster", "approver", "admin")
"""Who may write and try criteria."""

Note = Annotated[str, msgspec.Meta(max_length=4_000, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Path(ge=1, lt=2**31)]


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    start: str | None = None
    end: str | None = None
    step: Annotated[int, msgspec.Meta(ge=0, le=3_600)] | None = None


_question = msgspec.json.Decoder(_Question)


def add(api: APIRouter, context: Context) -> None:
    """Add the routes; who tried is shown to those who are signed in."""
    running: set[asyncio.Task[None]] = set()

    @api.get("/trials/{number}")
    async def one_trial(number: Number, request: Request) -> Response:
        """Give a trial: how far it is, and its result once it is done."""
        async with context.database.connection() as conn:
            found = await trials.one(conn, number)
        if found is None:
            raise Problem(404, f"no trial {number}")
        if await permit.person(request, context) is None:
            found = msgspec.structs.replace(found, author="")
        return Json(found, headers=NOT_KEPT)

    @api.post("/versions/{number}/trial")
    async def try_it(number: Number, request: Request) -> Response:
        """Begin a dry run ``{"start", "end", "step"}``; its address tells how it goes.

        Without times, of the last 30 days. One runs at a time.
        """
        by = await permit.need(request, context, *WRITERS)
        asked = await permit.read(request, _question, longest=LONGEST)
        end = moment(asked.end, name="end", default=context.clock.now())
        start = moment(asked.start, name="start", default=end - dt.timedelta(days=30))
        process = await _start(
            context,
            *("dry-run", str(number), "--announce", f"--author={by.name}"),
            *("--from", start.isoformat(), "--to", end.isoformat()),
            *(() if asked.step is None else ("--step", str(asked.step))),
        )
        begun = await _first(process)
        if "trial" not in begun:
            await _end(process)
            raise refused(context, CriteriaRefusedError(begun.pop("refused"), **begun))
        task = asyncio.create_task(_end(process), name=f"trial {begun['trial']}")
        running.add(task)
        task.add_done_callback(running.discard)
        async with context.database.connection() as conn:
            await audit(
                conn,
                person=by,
                act="criteria.tried",
                subject=f"criteria/{number}",
                detail={"trial": begun["trial"], "start": start, "end": end},
                at=context.wall.now(),
            )
        where = f"/api/v1/criteria/trials/{begun['trial']}"
        return Json(begun, 202, headers={"location": where})


_STATUS = {"missing": 404, "unsigned": 400, "span": 400}


def refused(context: Context, error: CriteriaRefusedError) -> Problem:
    """Give the answer to what was refused."""
    sentence = context.catalogue.text(f"criteria.refused.{error.key}", "en", **error.values)
    return Problem(_STATUS.get(error.key, 409), sentence, reason=error.key, **error.values)


async def _start(context: Context, *arguments: str) -> asyncio.subprocess.Process:
    """Start `fenghuo criteria …` as a process that ends with this one."""
    command = python("server.main", "criteria", *arguments)
    return await asyncio.create_subprocess_exec(
        *tied(command, identity="same", end=signal.SIGKILL),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            **variables(context.settings),
            "FENGHUO_STORE_URL": context.database.url,
        },
        start_new_session=True,
    )


async def _first(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """Give the first line of JSON that it says: the trial's number, or why there is none."""
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline() if process.stdout else b""
        found: dict[str, Any] = json.loads(line)
    except (TimeoutError, ValueError):
        await _kill(process)
        raise Problem(503, "the trial did not begin; the centre's log says why") from None
    return found


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait until it has ended, and end it where it does not by itself."""
    try:
        async with asyncio.timeout(trial.SECONDS + START_SECONDS):
            await process.communicate()
    except TimeoutError:
        pass
    finally:
        await _kill(process)


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
