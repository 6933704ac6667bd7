"""Random bytes against the packet reader and the payload decoder.

``python -m tests.fuzz --inputs 1000000 --seed 1``: half of them packets, half payloads, most of
them good ones with a few things wrong. Whatever raises what it should not, or breaks an invariant,
is written to ``tests/corpus`` and replayed by ``tests/unit/test_fuzz.py`` ever after. Exit 1 then.
"""

import argparse
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent.elements import ELEMENTS
from agent.report import MAX_REPORTS, Refusal, Report, decode
from server.ingest.columns import Row, arrange
from server.ingest.packets import Packet, Reader
from server.ingest.properties import MalformedPacketError
from server.store import sink

CORPUS = Path(__file__).with_name("corpus")
LIMIT = 4_096

_TOPIC = b"\x00\x10fenghuo/v1/A/obs"
_CONNECT_3 = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c"
_CONNECT_5 = b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x05\x11\x00\x00\x00\x3c\x00\x01c"
PACKETS: tuple[bytes, ...] = (
    _CONNECT_3,
    _CONNECT_5,
    b"\x10\x2e\x00\x04MQTT\x04\xee\x00\x3c\x00\x01c\x00\x13fenghuo/v1/A/status\x00\x03off\x00\x01A\x00\x03key",
    b"\x32\x17" + _TOPIC + b"\x00\x01{}x",
    b"\x32\x18" + _TOPIC + b"\x00\x01\x00{}x",
    b"\x34\x1f" + _TOPIC + b"\x00\x02\x07\x26\x00\x01a\x00\x01b{}x",
    b"\x30\xc2\x01" + _TOPIC + bytes(176),
    b"\x40\x02\x00\x01",
    b"\x62\x04\x00\x01\x92\x00",
    b"\x82\x15\x00\x01" + _TOPIC + b"\x01",
    b"\x82\x16\x00\x01\x00" + _TOPIC + b"\x2d",
    b"\xa2\x14\x00\x01" + _TOPIC,
    b"\xc0\x00",
    b"\xe0\x00",
    b"\xe0\x07\x04\x05\x11\x00\x00\x00\x00",
    b"\xf0\x00",
)
_TIME = b'"time":"2016-07-20T08:05:00Z"'
PAYLOADS: tuple[bytes, ...] = (
    b"{" + _TIME + b',"values":{"air_temperature":24.3,"precipitation_amount":null}}',
    b"{" + _TIME + b',"interval":600,"seq":7,"revision":1,"values":{"wind_speed":3.4}}',
    b"{" + _TIME + b',"position":[116.4,39.9,43],"values":{"air_pressure":1003.2}}',
    b'{"reports":[{' + _TIME + b',"values":{"relative_humidity":72}},{}]}',
    b"{" + _TIME + b',"values":{%s}}' % b",".join(b'"%s":1' % name.encode() for name in ELEMENTS),
)
WORDS = (
    *(
        b"\x00",
        b"\xff\xff",
        b"\x80\x80\x80\x80\x01",
        b"\xc0\x00",
        b"\x26",
        b"\x1f",
        b"\x23\x00\x01",
    ),
    *(
        b'"',
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"NaN",
        b"1e999",
        b"-0.0",
        b"-",
        b"\xed\xa0\x80",
    ),
    *(
        b"9" * 30,
        b"0001-01-01T00:00:00+23:59",
        b"9999-12-31T23:59:60-23:59",
        b"\\ud800",
        b"\\u0000",
    ),
    *(b'"reports":', b'"values":{}', b'"seq":-1', b'"revision":32768', b"true", b"[" * 200),
)


def mutate(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Give one to three seeds in a row with some bytes changed, cut, doubled or put in."""
    data = bytearray().join(chance.choices(seeds, k=chance.randint(1, 3)))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        at = chance.randint(0, len(data))
        match chance.randrange(6):
            case 0 if at < len(data):
                data[at] = chance.randrange(256)
            case 1 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.randint(1, 9)]
            case 3:
                data[at:at] = data[at : at + chance.randint(1, 20)]
            case 4:
                data[at:at] = chance.choice(WORDS)
            case _:
                data[at:at] = chance.randbytes(chance.randint(1, 9))
    return bytes(data)


def check_packets(data: bytes) -> None:
    """Read the bytes in one piece, in crumbs, and held back; all must say the same."""
    for version in (0, 4, 5):
        whole = list(_read(version, [data]))
        crumbs = [data[at : at + 3] for at in range(0, len(data), 3)]
        assert list(_read(version, crumbs)) == whole, "crumbs are read otherwise"
        held = Reader(LIMIT)
        held.version = version
        pings = [held.ahead(crumb) for crumb in crumbs]
        assert pings == sorted(pings), "a PINGREQ is counted away"
        assert list(_taken(held, [b""])) == whole, "what was read ahead is read otherwise"


def _read(version: int, pieces: Sequence[bytes]) -> Iterator[Packet | str]:
    reader = Reader(LIMIT)
    reader.version = version
    yield from _taken(reader, pieces)


def _taken(reader: Reader, pieces: Sequence[bytes]) -> Iterator[Packet | str]:
    try:
        for piece in pieces:
            reader.feed(piece)
            while (packet := reader.next()) is not None:
                yield packet
            assert reader.buffered <= LIMIT, "more is kept than the limit"
    except MalformedPacketError as error:
        yield error.reason.name


def check_payload(data: bytes) -> None:
    """Decode; what is accepted must go into columns and their binary form."""
    items = decode(data)
    assert 1 <= len(items) <= MAX_REPORTS, "no answer, or too many"
    rows = []
    for item in items:
        if isinstance(item, Refusal):
            assert item.detail, "a refusal that says nothing"
            assert item.raw, "a refusal without its bytes" if data else ""
            continue
        assert isinstance(item, Report)
        rows.append(Row(1, sink.moment(item.time), item))
    blocks = arrange(rows)
    if blocks:
        assert sink.pack(blocks).count == len(rows), "a report was lost"


CHECKS: dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "packets": (check_packets, PACKETS),
    "payloads": (check_payload, PAYLOADS),
}


def replay() -> Iterator[tuple[str, Path]]:
    """Give the inputs that once crashed something."""
    for kind in CHECKS:
        for path in sorted((CORPUS / kind).glob("*.bin")):
            yield kind, path


def run(*, inputs: int, seed: int, corpus: Path = CORPUS) -> int:
    """Try so many inputs; give how many crashed something, each kept in the corpus."""
    chance = random.Random(seed)
    crashes = 0
    for number in range(inputs):
        kind = ("packets", "payloads")[number % 2]
        check, seeds = CHECKS[kind]
        data = mutate(chance, seeds)
        try:
            check(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
            traceback.print_exc()
            folder = corpus / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin").write_bytes(data)
            crashes += 1
            if crashes >= 20:
                break
    return crashes


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    crashes = run(inputs=given.inputs, seed=given.seed)
    print(f"{given.inputs} inputs, {crashes} crashes, {time.monotonic() - began:.0f} s")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
