"""Child processes that end with us, and run without root where a program refuses it."""

import os
import pwd
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_LAUNCH = Path(__file__).with_name("launch.py")


class IdentityError(Exception):
    """No way was found to run the program as anybody but root."""


def identity(program: Path, folder: Path) -> str:
    """Say as whom the program can run: ``same``, ``namespace``, or ``UID:GID``.

    A program such as PostgreSQL refuses to run as root. A user namespace is preferred: the files
    stay ours, below a closed home folder too. Otherwise another user is taken, who is given the
    folder and must be able to reach it and the program. Raises IdentityError when neither works.
    """
    if os.geteuid() != 0:
        return "same"
    found = []
    for candidate in ("namespace", _other(folder)):
        give(folder, candidate)
        test = ["/bin/sh", "-c", 'cd "$1" && exec "$0" --version', str(program), str(folder)]
        done = subprocess.run(command(test, identity=candidate), capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
        found.append(done.stderr.decode(errors="replace").strip())
    raise IdentityError("; ".join(found))


def give(path: Path, identity: str) -> None:
    """Let the path belong to another user, where ``identity`` is one."""
    if ":" in identity:
        uid, gid = map(int, identity.split(":"))
        os.chown(path, uid, gid)


def command(
    argv: Sequence[str | Path], *, identity: str, end: signal.Signals = signal.SIGINT
) -> list[str]:
    """Give the command that runs ``argv`` as ``identity``, ended by ``end`` when we die."""
    head = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(int(end)), identity]
    return [*head, *map(str, argv)]


def _other(folder: Path) -> str:
    """Give the owner of the folder, or a user that is there for such things."""
    status = folder.stat()
    if status.st_uid != 0:
        return f"{status.st_uid}:{status.st_gid}"
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return f"{user.pw_uid}:{user.pw_gid}"
    return "65534:65534"


class Child:
    """One running program.

    The system ties a child to the *thread* that started it, so each has a thread of its own that
    starts it and waits for its end. It leads a session of its own: Ctrl-C on the terminal does
    not reach it before we have ended what depends on it.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        identity: str,
        log: IO[bytes],
        end: signal.Signals = signal.SIGINT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the program; raises OSError when that is impossible."""
        self._argv = command(argv, identity=identity, end=end)
        self._log = log
        self._environment = environment
        self._started = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="child", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
                env=self._environment,
            )
        except OSError as error:
            self._error = error
        finally:
            self._started.set()
        if self._process is not None:
            self._process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running().pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return None if self._thread.is_alive() else self._running().returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.status is None:
            self._running().send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds for the end; say whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None  # noqa: S101 - the constructor has seen to it
        return self._process
