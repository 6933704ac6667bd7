"""Children: ready, restarted, given up, ended, and never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from server import processes
from server.processes import Child, ChildError, Group
from tests.support import eventually, eventually_async

READY = 'print(\'{"ready": "child", "port": 7}\', flush=True)\n'


def command(body: str) -> list[str]:
    return [sys.executable, "-c", "import sys, time, signal\n" + textwrap.dedent(body)]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").split(") ")[1][0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_a_ready_child_gives_its_facts_and_ends_when_asked(tmp_path: Path) -> None:
    group = Group(tmp_path)
    child = await group.start("one", command(READY + "time.sleep(60)"), environment={})
    assert child.ready["port"] == 7
    pid = child.pid
    assert pid is not None
    await group.stop()
    assert not alive(pid)


async def test_a_child_that_ends_before_it_is_ready_leaves_its_last_words(tmp_path: Path) -> None:
    body = 'sys.stderr.write("port 1883 is in use\\n"); sys.exit(1)'
    with pytest.raises(ChildError, match="port 1883 is in use"):
        await Group(tmp_path).start("one", command(body), environment={})


async def test_a_silent_child_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "READY_SECONDS", 0.3)
    with pytest.raises(ChildError, match="not ready"):
        await Group(tmp_path).start("one", command("time.sleep(60)"), environment={})


async def test_a_deaf_child_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.3)
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "time.sleep(60)"
    group = Group(tmp_path)
    child = await group.start("one", command(body), environment={})
    await group.stop()
    assert child.pid is None


async def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    group = Group(tmp_path)
    child = await group.start("one", command(READY + "time.sleep(60)"), environment={})
    first = child.pid
    keeping = asyncio.create_task(group.keep(child))
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually_async(lambda: child.pid not in (None, first))
    keeping.cancel()
    await group.stop()


async def test_a_child_that_dies_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "RESTARTS", 2)
    group = Group(tmp_path)
    child = await group.start("one", command(READY), environment={})
    with pytest.raises(ChildError, match="3 times"):
        await group.keep(child)


async def test_what_a_child_says_is_handed_on_and_answered(tmp_path: Path) -> None:
    body = 'print(\'{"step": 1}\', flush=True)\nassert sys.stdin.readline() == "next\\n"'
    group, said = Group(tmp_path), []

    async def say(line: dict[str, Any]) -> None:
        said.append(line)
        await child.tell("next")

    child = Child("one", command(body), environment={}, log=tmp_path / "log", say=say)
    await child.start(wait_ready=False)
    await group.keep(child, until_success=True)
    assert said == [{"step": 1}]


def test_children_never_outlive_a_killed_parent(tmp_path: Path) -> None:
    """The parent is killed with -9, which it cannot see coming."""
    parent = """
        import asyncio, sys
        from pathlib import Path
        from server.processes import Group
        folder, body = sys.argv[1:]
        async def main():
            command = [sys.executable, "-c", body]
            child = await Group(Path(folder)).start("one", command, environment={})
            print(child.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    arguments = [str(tmp_path), READY + "import time; time.sleep(60)"]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(parent), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert alive(pid)
        process.kill()
    eventually(lambda: not alive(pid))


async def test_the_first_failure_ends_the_rest_and_is_raised_as_it_is() -> None:
    ended = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def fail() -> None:
        raise ChildError("one ended 6 times")

    with pytest.raises(ChildError, match="6 times"):
        await processes.together(long(), fail())
    assert ended.is_set()
