"""A short run of the fuzzer, and every input that once crashed something."""

from pathlib import Path

import pytest

from tests import fuzz


def test_random_input_crashes_nothing(tmp_path: Path) -> None:
    assert fuzz.run(inputs=4_000, seed=2, corpus=tmp_path) == 0


@pytest.mark.parametrize(("kind", "path"), list(fuzz.replay()), ids=lambda v: str(v)[-20:])
def test_what_once_crashed_does_so_no_more(kind: str, path: Path) -> None:
    fuzz.CHECKS[kind][0](path.read_bytes())


def test_a_crash_is_kept_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> None:
        if b"\xff" in data:
            raise ValueError("as a test")

    monkeypatch.setitem(fuzz.CHECKS, "packets", (broken, fuzz.PACKETS))
    assert fuzz.run(inputs=2_000, seed=3, corpus=tmp_path) > 0
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)
    kinds = {kind for kind, path in fuzz.replay() if b"\xff" in path.read_bytes()}
    assert kinds == {"packets"}
