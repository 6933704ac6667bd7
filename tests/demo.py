"""Running ``fenghuo demo`` as a user would, for the tests that compare its summaries."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.support import eventually

SECONDS = 180
_STARTED = re.compile(r"started child=(\w+) pid=(\d+)")
_STEP = re.compile(r"(\d+)/\d+ ")


class Demo:
    """A running demo."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if "FENGHUO" not in name}
        self._err = folder / "stderr"
        with self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server.main", "demo", "--json", *arguments],
                stdout=subprocess.PIPE,
                stderr=err,
                env={
                    **clean,
                    **settings,
                    "TMPDIR": str(folder),
                    "FENGHUO_LOG": "INFO",
                    "FENGHUO_LANGUAGE": "en",
                },
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def said(self) -> str:
        return self._err.read_text("utf-8", "replace")

    def step(self) -> int:
        """The newest step that was shown."""
        steps = _STEP.findall(self.said())
        return int(steps[-1]) if steps else 0

    def reach(self, step: int) -> None:
        eventually(lambda: self.step() >= step or self._process.poll() is not None, timeout=SECONDS)
        assert self._process.poll() is None, self.said()

    def pid(self, role: str) -> int:
        """The process number of a role's newest process."""
        return [int(pid) for name, pid in _STARTED.findall(self.said()) if name == role][-1]

    def finish(self) -> dict[str, Any]:
        with self:
            out, _ = self._process.communicate(timeout=SECONDS)
        assert self._process.returncode == 0, self.said()
        summary: dict[str, Any] = json.loads(out)
        return summary


def outcome(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary without what may differ: how long it took."""
    return {name: value for name, value in summary.items() if name != "seconds"}
