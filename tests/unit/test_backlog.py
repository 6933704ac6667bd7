"""Readings that wait: the newest first, each once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.backlog import HOUR, Backlog
from server.store.pairs import Pairs

batches = st.lists(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5 * HOUR)), max_size=30), max_size=5
)


def pairs(batch: list[tuple[int, int]]) -> Pairs:
    return Pairs(
        np.array([s for s, _ in batch], np.int64), np.array([t for _, t in batch], np.int64)
    )


@given(batches=batches, limit=st.integers(1, 20))
def test_all_come_out_once_and_the_newest_first(
    batches: list[list[tuple[int, int]]], limit: int
) -> None:
    backlog = Backlog()
    for batch in batches:
        backlog.put(pairs(batch))
    sent = sorted(pair for batch in batches for pair in batch)
    assert len(backlog) == len(sent)
    found: list[tuple[int, int]] = []
    while backlog:
        parts = backlog.take(limit)
        times = np.concatenate([part.times for part in parts])
        assert 0 < len(times) <= limit
        assert all(np.ptp(part.times // HOUR) == 0 for part in parts)
        if found:
            assert times.max() <= min(time for _, time in found)
        for part in parts:
            found += zip(part.stations.tolist(), part.times.tolist(), strict=True)
    assert sorted(found) == sent
    assert backlog.take(limit) == []


def test_what_is_too_old_is_forgotten() -> None:
    backlog = Backlog()
    backlog.put(pairs([(1, 10), (1, HOUR - 1), (1, HOUR), (2, 2 * HOUR + 5)]))
    backlog.forget(HOUR)
    assert len(backlog) == 2
    backlog.forget(2 * HOUR + 6)
    assert len(backlog) == 1
