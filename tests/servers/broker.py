"""A real Mosquitto on a free loopback port."""

import signal
from pathlib import Path

from server.store.child import Child
from tests.servers import prepare
from tests.support import eventually, free_port, listening


class Broker:
    """One broker; it keeps its port and its folder when it is stopped and started again."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self._config = config
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", errors="replace")

    def start(self) -> None:
        for _ in range(3):
            self._child = self._run()
            child = self._child
            eventually(
                lambda c=child: c.status is not None or listening(self.host, self.port),
                about="mosquitto to listen",
            )
            if child.status is None:
                return
            if "Address already in use" not in self.log:
                break
            self.port = free_port()
        raise AssertionError(f"mosquitto did not start:\n{self.log}")

    def stop(self) -> None:
        """End it tidily: it saves what it has to save."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.signal(number)
            assert self._child.wait(10), "mosquitto did not end"
            self._child = None

    def _run(self) -> Child:
        # One listener, nobody needs a password, and it stays who started it.
        lines = [f"listener {self.port} {self.host}", "user root"]
        if "allow_anonymous" not in self._config:
            lines.append("allow_anonymous true")
        if "persistence " in self._config:
            lines.append(f"persistence_location {self.folder}/")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, self._config, ""]), "utf-8")
        argv = [prepare.mosquitto(), "-c", config]
        with (self.folder / "log").open("ab") as log:
            return Child(argv, identity="same", log=log, end=signal.SIGKILL)
