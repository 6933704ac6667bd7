"""What a running PostgreSQL server says of itself in its data folder."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A live server: its process, the folder of its socket, and whether it takes connections."""

    pid: int
    socket: Path
    ready: bool


def read(data: Path) -> Postmaster | None:
    """Read ``postmaster.pid``; None when there is no server, or only the file of a dead one."""
    try:
        lines = (data / "postmaster.pid").read_text("utf-8").splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    if not _serves(pid, data):
        return None
    socket = Path(lines[4]) if len(lines) > 4 else data
    return Postmaster(pid, socket, ready=len(lines) > 7 and lines[7].strip() == "ready")


def _serves(pid: int, data: Path) -> bool:
    """Say whether that process lives and is a server of this folder, not a later namesake."""
    if sys.platform == "linux":
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(data) in arguments
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
