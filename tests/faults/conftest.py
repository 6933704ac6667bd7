"""Collects what each fault did; in the long run the table goes into ``docs/faults.md``."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import results
from tests.faults.results import Row
from tests.faults.rig import LONG, Postgres

_rows: list[Row] = []


@pytest.fixture
def record() -> Iterator[Callable[[Row], None]]:
    """A function that takes a row down, and fails the test if anything went wrong in it."""
    taken: list[Row] = []

    def take(row: Row) -> None:
        _rows.append(row)
        taken.append(row)

    yield take
    for row in taken:
        assert row.clean, row


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """The embedded server, with fsync, and not shared with anybody."""
    server = Postgres(tmp_path / "pg")
    yield server
    server.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _rows:
        return
    terminalreporter.section("faults")
    for line in (*results.HEAD, *(row.line() for row in _rows)):
        terminalreporter.write_line(line)
    terminalreporter.write_line(
        f"{sum(row.times for row in _rows if not row.control)} faults in all"
    )
    if LONG and results.DOCUMENT.exists():
        text = results.DOCUMENT.read_text("utf-8")
        results.DOCUMENT.write_text(results.update(text, _rows), "utf-8")
