"""Stations that connect and say almost nothing: ``python -m tests.bench.idle PORT COUNT``.

Writes one line with how many are connected, and holds them until its input ends.
"""

import json
import resource
import socket
import sys


def main(port: int, count: int) -> None:
    """Connect and wait."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for number in range(min(count, hard - 100) if hard > 0 else count):
        line = socket.create_connection(("127.0.0.1", port))
        client = b"idle-%06d" % number
        line.sendall(b"\x10\x17\x00\x04MQTT\x04\x02\x00\x00\x00\x0b" + client)
        held.append(line)
    for line in held:
        if line.recv(4) != b"\x20\x02\x00\x00":
            raise ConnectionError("a connection was refused")
    print(json.dumps({"held": len(held)}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
