"""A load of stations in one process: raw sockets and packets made by hand, 1–2 µs a message.

``python -m tests.bench.publishers`` reads one JSON line (the plan) and writes one (the result).
"""

import json
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator
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

DAY = 86_400
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


@dataclass(slots=True)
class Station:
    """One connection."""

    socket: socket.socket
    head: bytes
    seq: int = 0
    open: int = 0
    sent: dict[int, float] = field(default_factory=dict)
    rest: bytes = b""
    unsent: bytes = b""


class Load:
    """Many stations that publish with QoS 1 (MQTT 3.1.1) and count what is acknowledged."""

    def __init__(self, *, host: str, port: int, names: list[str], start: int) -> None:
        self.acknowledged = 0
        self.published = 0
        self.latencies: list[float] = []
        self._start = start
        self._bodies: dict[int, bytes] = {}
        self._selector = selectors.EpollSelector()
        self.stations = [self._connect(host, port, name) for name in names]
        for station in self.stations:
            assert station.socket.recv(4) == b"\x20\x02\x00\x00"
            station.socket.setblocking(False)
            self._selector.register(station.socket, selectors.EVENT_READ, station)

    def _connect(self, host: str, port: int, name: str) -> Station:
        line = socket.create_connection((host, port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = name.encode()
        variable = b"\x00\x04MQTT\x04\x02\x02\x58" + struct.pack(">H", len(client)) + client
        line.sendall(b"\x10" + length(len(variable)) + variable)
        topic = f"fenghuo/v1/{name}/obs".encode()
        remaining = 2 + len(topic) + 2 + len(body(0, 0))
        return Station(line, b"\x32" + length(remaining) + struct.pack(">H", len(topic)) + topic)

    def _body(self, seq: int) -> bytes:
        found = self._bodies.get(seq)
        if found is None:
            found = self._bodies[seq] = body(seq, self._start)
            self._bodies.pop(seq - 5_000, None)
        return found

    def publish(self, station: Station, count: int = 1) -> None:
        parts = []
        for _ in range(count):
            station.seq += 1
            identifier = (station.seq % 65_535 + 1).to_bytes(2)
            parts += (station.head, identifier, self._body(station.seq))
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
            station: Station = key.data
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
                for at in range(2, len(data), 4):
                    due = station.sent.pop(data[at] << 8 | data[at + 1])
                    if due:
                        self.latencies.append(heard - due)

    def settle(self) -> None:
        """Wait until everything is acknowledged."""
        end = time.monotonic() + 30
        while self.acknowledged < self.published and time.monotonic() < end:
            for _ in self.poll(0.05):
                pass


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    load = Load(host=plan["host"], port=plan["port"], names=plan["names"], start=plan["start"])
    result: dict[str, object] = {}
    if plan["mode"] == "flat out":
        result["rate"] = load.flat_out(seconds=plan["seconds"], window=plan["window"])
    else:
        load.steady(seconds=plan["seconds"], rate=plan["rate"])
        found = sorted(load.latencies)
        for name, part in (("p50", 0.5), ("p99", 0.99)):
            result[name] = found[int(len(found) * part)]
    result |= {"published": load.published, "acknowledged": load.acknowledged}
    result["cpu"] = time.process_time()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
