"""kill -9 of each role in the middle of the event: nothing lost, nothing double, same warnings."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.demo import Demo, outcome


@pytest.mark.parametrize("role", ["ingest", "watch", "alert", "agents"])
def test_a_killed_role_changes_nothing(usual: dict[str, Any], tmp_path: Path, role: str) -> None:
    with Demo(tmp_path, "--pace", "36000") as demo:
        for step in (34, 44):
            demo.reach(step)
            os.kill(demo.pid(role), signal.SIGKILL)
        summary = demo.finish()
        assert demo.said().count(f"restarting child={role}") == 2
    assert outcome(summary) == outcome(usual)
