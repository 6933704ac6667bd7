"""The schema's files say the same as the vocabulary."""

import re

import pytest

from agent.elements import WIDE
from server.store.connection import Kind
from server.store.migrations import history
from server.store.partitions import TABLES, fill


def test_columns_are_the_wide_elements_and_then_their_quality() -> None:
    text = history()[0].text
    table = text[
        text.index("CREATE TABLE observation (") : text.index("PRIMARY KEY (station, time)")
    ]
    columns = re.findall(
        r"^ +\"?(\w+)\"? +(?:real|smallint|integer|timestamptz)", table, re.MULTILINE
    )
    assert columns[columns.index("altitude") + 1 :] == [*WIDE, *(f"{name}_q" for name in WIDE)]


def test_column_names_fit_into_postgresql() -> None:
    assert all(len(f"{name}_q") <= 63 for name in WIDE)


def test_migrations_are_numbered_without_gap() -> None:
    assert [migration.number for migration in history()] == list(range(1, len(history()) + 1))


@pytest.mark.parametrize("kind", list(Kind))
def test_only_the_partition_clause_depends_on_the_kind(kind: Kind) -> None:
    text = fill(history()[0].text, kind, chunk_days=3)
    assert "{partition}" not in text
    assert "{hypertables}" not in text
    assert text.count("PARTITION BY RANGE (time)") == (len(TABLES) if kind is Kind.PLAIN else 0)
    hypertables = [line for line in text.splitlines() if "create_hypertable" in line]
    assert len(hypertables) == (0 if kind is Kind.PLAIN else len(TABLES))
    assert all(
        "3 days" in line and "create_default_indexes => false" in line for line in hypertables
    )
