"""A real cluster of three NATS servers with JetStream, on free loopback ports."""

import os
import shutil
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from server.store.child import Child
from tests.servers import trixie
from tests.servers.trixie import PrepareError
from tests.support import eventually, free_port

NODES = 3
ATTEMPTS = 5
HOST = "127.0.0.1"


def program() -> Path:
    """Give the nats-server program: the one of the cache, else the machine's."""
    try:
        return trixie.nats()
    except PrepareError:
        found = shutil.which("nats-server", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        if found is None:
            raise
        return Path(found)


class Node:
    """One server; it keeps its ports and its folder when it is killed and started again."""

    def __init__(self, name: str, folder: Path, extra: str = "") -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self.route = free_port()
        self.monitor = free_port()
        self._extra = extra
        self._child: Child | None = None

    @property
    def alive(self) -> bool:
        return self._child is not None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", errors="replace")

    def start(self, routes: list[int]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        others = ", ".join(f"nats://{HOST}:{port}" for port in routes if port != self.route)
        file = self.folder / "nats.conf"
        file.write_text(
            f"""
            server_name: {self.name}
            listen: {HOST}:{self.port}
            http: {HOST}:{self.monitor}
            jetstream {{
                store_dir: "{self.folder}/data", max_mem: 64M, max_file: 8G
                {self._extra}
            }}
            cluster {{
                name: fenghuo, listen: {HOST}:{self.route}, routes: [{others}], pool_size: -1
            }}
            """
        )
        with (self.folder / "log").open("ab") as log:
            self._child = Child(
                [program(), "-c", file], identity="same", log=log, end=signal.SIGKILL
            )

    def kill(self) -> None:
        """End it as a power cut of this machine would, but for what its kernel had in hand."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            assert self._child.wait(10), "nats-server did not end"
            self._child = None

    def ask(self, path: str) -> dict[str, Any]:
        """Ask its monitor; nothing while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.monitor}/{path}", timeout=2) as said:
                found: dict[str, Any] = msgspec.json.decode(said.read())
                return found
        except (urllib.error.URLError, OSError):
            return {}


class Cluster:
    """Three nodes."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.folder = folder
        self._extra = extra
        self._used = False
        self.nodes = self._make()

    @property
    def urls(self) -> list[str]:
        return [f"nats://{HOST}:{node.port}" for node in self.nodes]

    @property
    def setting(self) -> str:
        """Give the value of FENGHUO_INGEST_JETSTREAM."""
        return ",".join(self.urls)

    def start(self) -> None:
        """Start what does not run, and wait until streams can be made.

        Three servers that are new at once now and then do not find together, on a busy machine:
        they are made anew then.
        """
        for attempt in range(ATTEMPTS):
            routes = [node.route for node in self.nodes]
            for node in self.nodes:
                if not node.alive:
                    node.start(routes)
            seconds = 30 if self._used or attempt == ATTEMPTS - 1 else 8
            try:
                eventually(self.whole, timeout=seconds, every=0.05, about="three servers together")
            except AssertionError:
                if self._used or attempt == ATTEMPTS - 1:
                    raise
                self._anew()
            else:
                self._used = True
                return

    def _anew(self) -> None:
        self.kill()
        for node in self.nodes:
            shutil.rmtree(node.folder)
        self.nodes = self._make()

    def _make(self) -> list[Node]:
        return [Node(f"n{i}", self.folder / f"n{i}", self._extra) for i in range(NODES)]

    def whole(self) -> bool:
        """Say whether all run and follow one leader, who knows them all."""
        said = [node.ask("jsz").get("meta_cluster", {}) for node in self.nodes]
        leaders = {meta.get("leader", "") for meta in said}
        if len(leaders) != 1 or leaders == {""}:
            return False
        others = next((meta["replicas"] for meta in said if meta.get("replicas")), [])
        return len(others) == NODES - 1 and all(peer.get("current") for peer in others)

    def leader(self, stream: str) -> Node:
        """Give the node that leads a stream."""

        def find() -> Node | None:
            for node in self.nodes:
                for account in node.ask("jsz?streams=true").get("account_details", ()):
                    for found in account.get("stream_detail", ()):
                        name = found.get("cluster", {}).get("leader")
                        if found["name"] == stream and name:
                            return next(other for other in self.nodes if other.name == name)
            return None

        return eventually(find, timeout=20, every=0.05, about=f"a leader of {stream}")  # type: ignore[return-value]

    def count(self, stream: str) -> int:
        """Give how many messages lie in a stream, as its leader says."""
        for account in self.leader(stream).ask("jsz?streams=true").get("account_details", ()):
            for found in account.get("stream_detail", ()):
                if found["name"] == stream:
                    number: int = found["state"]["messages"]
                    return number
        return 0

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()
