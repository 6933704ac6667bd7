"""A subscriber that takes every reading from a broker, acknowledges it and does nothing else.

``python -m tests.bench.reader PORT`` prints one line when it is subscribed, and one with the
messages a second it got, after a second without any.
"""

import json
import socket
import sys
import time

CONNECT = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06reader"
FILTER = b"fenghuo/v1/+/obs"


def main(port: int) -> None:
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(CONNECT)
    line.recv(4)
    line.sendall(bytes((0x82, len(FILTER) + 5)) + b"\x00\x01\x00\x10" + FILTER + b"\x01")
    line.recv(5)
    print(json.dumps({"ready": True}), flush=True)
    count, first, last, data = 0, 0.0, 0.0, b""
    line.settimeout(1)
    while True:
        try:
            data += line.recv(262_144)
        except TimeoutError:
            if count:
                break
            continue
        last = time.monotonic()
        first = first or last
        data, answers = parse(data)
        count += len(answers)
        line.settimeout(None)
        line.sendall(b"".join(answers))
        line.settimeout(1)
    print(json.dumps({"rate": count / max(last - first, 1e-9), "received": count}), flush=True)


def parse(data: bytes) -> tuple[bytes, list[bytes]]:
    """Give what is left over, and the PUBACKs for the whole messages."""
    at, end, answers = 0, len(data), []
    while at + 3 < end:
        size, body = data[at + 1], at + 2
        if size > 0x7F:
            size, body = size & 0x7F | data[at + 2] << 7, at + 3
        if body + size > end:
            break
        identifier = body + 2 + (data[body] << 8 | data[body + 1])
        answers.append(b"\x40\x02" + data[identifier : identifier + 2])
        at = body + size
    return data[at:], answers


if __name__ == "__main__":
    main(int(sys.argv[1]))
