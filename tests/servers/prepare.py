"""Have the real servers ready that tests need: ``python -m tests.servers.prepare``.

TimescaleDB, Mosquitto, NATS, Chromium and Prism. ``FENGHUO_TEST_DATABASE_URL`` in the environment
wins over the first. Safe to run many times and by many at once.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers import nats, trixie
from tests.servers.trixie import PrepareError


def timescale() -> Path:
    """Give the folder with the programs of a PostgreSQL that has TimescaleDB."""
    return trixie.postgres(trixie.tree())


def mosquitto() -> Path:
    """Give the Mosquitto program: the one of the cache, else the machine's."""
    try:
        return trixie.tree() / "usr/sbin/mosquitto"
    except PrepareError:
        found = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        if found is None:
            raise
        return Path(found)


def mosquitto_pub() -> Path:
    """Give mosquitto_pub: the machine's, else the one of the cache."""
    found = shutil.which("mosquitto_pub")
    return Path(found) if found else trixie.clients() / "mosquitto_pub"


def chromium() -> Path:
    """Give a Chromium, installing Debian's package where that is permitted."""
    found = _chromium()
    if found is None:
        trixie.cache().mkdir(parents=True, exist_ok=True)
        with trixie.locked(trixie.cache() / "chromium.lock"):
            found = _chromium() or _install_chromium()
    return found


def _chromium() -> Path | None:
    named = os.environ.get("FENGHUO_TEST_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    return Path(found) if found else None


def _install_chromium() -> Path:
    apt = ["apt-get"]
    if os.geteuid() != 0:
        if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode:
            raise PrepareError("Chromium is missing: sudo apt-get install chromium fonts-noto-cjk")
        apt = ["sudo", "apt-get"]
    print("tests: installing Chromium with apt", file=sys.stderr, flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [*apt, "install", "-y", "--no-install-recommends", "chromium", "fonts-noto-cjk"]
    for argv in (install, [*apt, "update"], install):  # lists may be missing, or old
        done = subprocess.run(argv, capture_output=True, text=True, env=quiet, check=False)
        if argv is install and done.returncode == 0:
            break
    found = _chromium()
    if found is None:
        raise PrepareError(f"Chromium could not be installed: {done.stderr.strip()[-1000:]}")
    return found


def prism() -> list[str]:
    """Give the command that serves a description; installs it, pinned, where that was not done.

    Raises PrepareError without Node.js or npm.
    """
    folder = Path(__file__).parents[1] / "conformance" / "prism"
    script = folder / "node_modules/@stoplight/prism-cli/dist/index.js"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise PrepareError("Prism needs Node.js and npm")
    trixie.cache().mkdir(parents=True, exist_ok=True)
    with trixie.locked(trixie.cache() / "prism.lock"):
        if not script.is_file():
            install = [npm, "ci", "--ignore-scripts"]
            try:
                subprocess.run(install, cwd=folder, capture_output=True, timeout=180, check=True)
            except subprocess.SubprocessError as error:
                raise PrepareError(f"Prism could not be installed: {error}") from error
    return [node, str(script)]


def main() -> int:
    """Prepare everything; give the exit status."""
    try:
        if not os.environ.get("FENGHUO_TEST_DATABASE_URL"):
            print(f"tests: TimescaleDB in {timescale()}", file=sys.stderr)
        print(f"tests: Mosquitto {mosquitto()}", file=sys.stderr)
        print(f"tests: mosquitto_pub {mosquitto_pub()}", file=sys.stderr)
        print(f"tests: NATS {nats.program()}", file=sys.stderr)
        print(f"tests: Chromium {chromium()}", file=sys.stderr)
    except PrepareError as error:
        print(f"tests: {error}", file=sys.stderr)
        return 1
    try:
        print(f"tests: Prism {prism()[-1]}", file=sys.stderr)
    except PrepareError as error:  # one test is left out without it
        print(f"tests: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
