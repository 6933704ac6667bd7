import stat
import threading
from pathlib import Path

import pytest

from alerts.people.sealing import Seal, SealError

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def test_what_was_sealed_opens_again_and_shows_nothing() -> None:
    seal = Seal(KEY)
    for text in ("+8619900000042", "王芳", ""):
        sealed = seal.seal(text)
        assert seal.open(sealed) == text
        assert not text or text.encode() not in sealed


def test_two_seals_of_one_text_differ_and_its_digests_do_not() -> None:
    seal = Seal(KEY)
    assert seal.seal("+8619900000042") != seal.seal("+8619900000042")
    assert seal.digest("sms", "+8619900000042") == seal.digest("sms", "+8619900000042")
    others = [
        seal.digest("sms", "+8619900000043"),
        seal.digest("voice", "+8619900000042"),
        Seal(OTHER).digest("sms", "+8619900000042"),
    ]
    assert seal.digest("sms", "+8619900000042") not in others


def test_a_row_of_an_old_database_is_read_as_it_is() -> None:
    assert Seal(KEY).open(b"\0" + "王芳".encode()) == "王芳"


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (Seal(OTHER).seal("a"), "another key"),
        (_flipped(Seal(KEY).seal("a")), "another key, or changed"),
        (Seal(KEY).seal("a")[:9], "another key, or changed"),
        (b"\x01", "another key, or changed"),
        (b"\x07abc", "no sealed text"),
        (b"", "no sealed text"),
    ],
    ids=["another key", "changed", "cut", "nothing in it", "another version", "empty"],
)
def test_what_cannot_be_opened_is_an_error(data: bytes, says: str) -> None:
    with pytest.raises(SealError, match=says):
        Seal(KEY).open(data)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "people.key"
    sealed = Seal.load(path).seal("a")
    assert Seal.load(path).open(sealed) == "a"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["people.key"]


def test_processes_that_start_together_get_one_key(tmp_path: Path) -> None:
    path, found = tmp_path / "people.key", []
    start = threading.Barrier(8)

    def load() -> None:
        start.wait()
        found.append(Seal.load(path).fingerprint)

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    with pytest.raises(SealError, match="32 bytes, this file 5"):
        Seal.load(path)
    path.write_bytes(KEY)
    path.chmod(0o604)
    with pytest.raises(SealError, match="chmod 600"):
        Seal.load(path)
    with pytest.raises(SealError, match="directory"):
        Seal.load(tmp_path)


def test_a_token_and_a_fingerprint_belong_to_their_key() -> None:
    assert Seal(KEY).fingerprint == Seal(KEY).fingerprint != Seal(OTHER).fingerprint
    assert Seal(KEY).token("leave", "7") != Seal(KEY).token("confirm", "7")
    assert len(Seal(KEY).token("leave", "7")) == 32
