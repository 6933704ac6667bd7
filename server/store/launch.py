"""Become a process that ends with its parent and is not root, then run the program.

Run as a script with nothing but the standard library:
``launch.py PARENT SIGNAL IDENTITY PROGRAM ARGUMENT…``. IDENTITY is ``same`` (stay who we are),
``namespace`` (our user looks like an ordinary one, through a user namespace), or ``UID:GID``.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
FAILED = 125
ORDINARY = 1000


def main(parent: int, signal: int, identity: str, program: list[str]) -> None:
    """Change identity, tie this process to its parent, and become the program."""
    if identity == "namespace":
        _enter_namespace()
    elif identity != "same":
        uid, gid = map(int, identity.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After the change of identity, which would clear it.
        _libc().prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit(FAILED)  # the parent died before we were tied to it
    os.execv(program[0], program)  # noqa: S606 - a program by its path, no shell


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc().unshare(CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text(f"{ORDINARY} {uid} 1", "ascii")
    Path("/proc/self/gid_map").write_text(f"{ORDINARY} {gid} 1", "ascii")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except OSError as error:
        sys.stderr.write(f"cannot run {sys.argv[4]} as {sys.argv[3]}: {error}\n")
        raise SystemExit(FAILED) from None
