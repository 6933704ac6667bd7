"""A load of stations in one process: raw sockets and packets made by hand, 1–2 µs a message.

``python -m tests.bench.publishers`` reads one JSON line (the plan) and writes one (the result).
"""

import json
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ELEMENTS = {
    "air_temperature": 24.3,
    "dew_point_temperature": 19.1,
    "relative_humidity": 72.5,
    "air_pressure": 1003.2,
    "wind_speed": 3.4,
    "wind_from_direction": 185.0,
    "wind_speed_of_gust": 7.8,
    "precipitation_amount": 1.2,
    "visibility_in_air": 12000.0,
    "surface_temperature": 26.1,
    "road_surface_temperature": 27.4,
    "battery_voltage": 12.8,
}
"""Twelve elements, all with a column of their own."""

BATCH = 150
"""Readings in one message of a backlog."""

CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05watch"
FILTER = b"fenghuo/v1/+/ack"
VALUES = b",".join(b'"%s":%g' % (name.encode(), value) for name, value in ELEMENTS.items())


def length(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def body(seq: int, start: int) -> bytes:
    """Give the payload of a station's reading number ``seq``: one a second from ``start``."""
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + seq)).encode()
    return b'{"time":"%s","interval":60,"seq":%09d,"values":{%s}}' % (
        when,
        100_000_000 + seq,
        VALUES,
    )


def backlog(seq: int, start: int) -> bytes:
    """Give a payload with `BATCH` readings of a station, older than those of `body`."""
    first = 500_000_000 + seq * BATCH
    begin = start - 510_000_000
    return b'{"reports":[%s]}' % b",".join(body(first + n, begin) for n in range(BATCH))


@dataclass(slots=True)
class Station:
    """One connection; several heads are several stations that publish on it in turn."""

    socket: socket.socket
    heads: list[bytes]
    names: list[str]
    seq: int = 0
    open: int = 0
    sent: dict[int, float] = field(default_factory=dict)
    rest: bytes = b""
    unsent: bytes = b""


class Load:
    """Many stations that publish with QoS 1 (MQTT 3.1.1) and count what is acknowledged."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        names: list[str],
        start: int,
        lines: int = 0,
        make: Callable[[int, int], bytes] = body,
    ) -> None:
        """Connect every station, or all of them over so many ``lines``."""
        self._make = make
        lines = lines or len(names)
        self._length = len(make(0, start))
        self._watch: socket.socket | None = None
        self._heard = b""
        self.acknowledged = 0
        self.published = 0
        self.latencies: list[float] = []
        self._start = start
        self._bodies: dict[int, bytes] = {}
        self._selector = selectors.EpollSelector()
        self.stations = [self._connect(host, port, names[n::lines]) for n in range(lines)]
        for station in self.stations:
            assert station.socket.recv(4) == b"\x20\x02\x00\x00"
            station.socket.setblocking(False)
            self._selector.register(station.socket, selectors.EVENT_READ, station)

    def watch(self, host: str, port: int) -> None:
        """Count as acknowledged what the centre confirms through the broker, not its PUBACK."""
        self._watch = socket.create_connection((host, port))
        self._watch.sendall(CONNECT)
        self._watch.recv(4)
        head = bytes((0x82, len(FILTER) + 5))
        self._watch.sendall(head + b"\x00\x01\x00\x10" + FILTER + b"\x00")
        self._watch.recv(5)
        self._watch.setblocking(False)
        self._selector.register(self._watch, selectors.EVENT_READ, None)
        self._by_name = {name: station for station in self.stations for name in station.names}

    def _confirmed(self) -> None:
        """Take the confirmations that have come."""
        heard = time.monotonic()
        self._heard += self._watch.recv(262_144) if self._watch else b""
        data, at = self._heard, 0
        while len(data) - at > 4:
            size, start = data[at + 1], at + 2
            if size > 0x7F:
                size, start = size & 0x7F | data[at + 2] << 7, at + 3
            if len(data) < start + size:
                break
            topic = start + 2 + (data[start] << 8 | data[start + 1])
            station = self._by_name[data[start + 2 : topic].split(b"/")[2].decode()]
            for seq in json.loads(data[topic : start + size])["seq"]:
                self.acknowledged += 1
                due = station.sent.pop(seq % 100_000_000 % 65_535 + 1, 0.0)
                if due:
                    self.latencies.append(heard - due)
            at = start + size
        self._heard = data[at:]

    def _connect(self, host: str, port: int, names: list[str]) -> Station:
        line = socket.create_connection((host, port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = names[0].encode()
        variable = b"\x00\x04MQTT\x04\x02\x02\x58" + struct.pack(">H", len(client)) + client
        line.sendall(b"\x10" + length(len(variable)) + variable)
        heads = []
        for name in names:
            topic = f"fenghuo/v1/{name}/obs".encode()
            size = length(2 + len(topic) + 2 + self._length)
            heads.append(b"\x32" + size + struct.pack(">H", len(topic)) + topic)
        return Station(line, heads, names)

    def _body(self, seq: int) -> bytes:
        found = self._bodies.get(seq)
        if found is None:
            found = self._bodies[seq] = self._make(seq, self._start)
            self._bodies.pop(seq - 5_000, None)
        return found

    def publish(self, station: Station, count: int = 1) -> None:
        parts = []
        for _ in range(count):
            station.seq += 1
            identifier = (station.seq % 65_535 + 1).to_bytes(2)
            parts += (
                station.heads[station.seq % len(station.heads)],
                identifier,
                self._body(station.seq),
            )
        station.open += count
        self.published += count
        self._write(station, b"".join(parts))

    def _write(self, station: Station, data: bytes) -> None:
        data = station.unsent + data
        try:
            done = station.socket.send(data)
        except BlockingIOError:
            done = 0
        station.unsent = data[done:]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if station.unsent else 0)
        if wanted != self._selector.get_key(station.socket).events:
            self._selector.modify(station.socket, wanted, station)

    def poll(self, timeout: float) -> Iterator[tuple[Station, bytes]]:
        """Give the PUBACKs that have come, by station."""
        for key, events in self._selector.select(timeout):
            station: Station | None = key.data
            if station is None:
                self._confirmed()
                continue
            if events & selectors.EVENT_WRITE:
                self._write(station, b"")
            if not events & selectors.EVENT_READ:
                continue
            data = station.socket.recv(65_536)
            if not data:
                raise ConnectionError("the server closed a connection")
            data = station.rest + data
            whole = len(data) // 4 * 4
            station.rest = data[whole:]
            station.open -= whole // 4
            if self._watch is None:
                self.acknowledged += whole // 4
            yield station, data[:whole]

    def flat_out(self, *, seconds: float, window: int) -> float:
        """Keep ``window`` messages of each station under way; give messages a second."""
        for station in self.stations:
            self.publish(station, window)
        warm = time.monotonic() + seconds * 0.25
        began, before = 0.0, 0
        end = warm + seconds
        while (now := time.monotonic()) < end:
            if not began and now >= warm:
                began, before = now, self.acknowledged
            for station, data in self.poll(0.05):
                self.publish(station, len(data) // 4)
        rate = (self.acknowledged - before) / (time.monotonic() - began)
        self.settle()
        return rate

    def steady(self, *, seconds: float, rate: float) -> None:
        """Publish ``rate`` messages a second, each station in turn, and keep the latencies."""
        begin = time.monotonic()
        total = int(seconds * rate)
        warm = int(min(1.0, seconds / 4) * rate)
        number = 0
        while number < total or self.acknowledged < self.published:
            now = time.monotonic()
            if now > begin + seconds + 10:
                break
            while number < total and begin + number / rate <= now:
                station = self.stations[number % len(self.stations)]
                self.publish(station)
                # From when it was due: a load that is late must not hide a server that is slow.
                station.sent[station.seq % 65_535 + 1] = (
                    begin + number / rate if number >= warm else 0.0
                )
                number += 1
            wait = begin + number / rate - time.monotonic() if number < total else 0.05
            for station, data in self.poll(max(wait, 0)):
                heard = time.monotonic()
                if self._watch is not None:
                    continue
                for at in range(2, len(data), 4):
                    due = station.sent.pop(data[at] << 8 | data[at + 1])
                    if due:
                        self.latencies.append(heard - due)

    def settle(self) -> None:
        """Wait until everything is acknowledged."""
        end = time.monotonic() + 60
        while self.acknowledged < self.published and time.monotonic() < end:
            for _ in self.poll(0.05):
                pass


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    load = Load(
        host=plan["host"],
        port=plan["port"],
        names=plan["names"],
        start=plan["start"],
        lines=plan.get("lines", 0),
        make=backlog if plan.get("backlog") else body,
    )
    if plan.get("confirmed"):
        load.watch(plan["host"], plan["port"])
    result: dict[str, object] = {}
    if plan["mode"] == "flat out":
        result["rate"] = load.flat_out(seconds=plan["seconds"], window=plan["window"])
    else:
        load.steady(seconds=plan["seconds"], rate=plan["rate"])
        found = sorted(load.latencies)
        for name, part in (("p50", 0.5), ("p99", 0.99)):
            result[name] = found[int(len(found) * part)] if found else float("nan")
    result |= {"published": load.published, "acknowledged": load.acknowledged}
    result["cpu"] = time.process_time()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
