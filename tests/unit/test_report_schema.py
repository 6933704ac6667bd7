"""The JSON Schema says the same as the code that reads the wire."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.elements import ELEMENTS
from agent.report import MAX_REPORTS, Report, decode
from server.ingest import schema

FILE = Path(__file__).parents[2] / "docs/report.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(schema.schema())
GOOD: dict[str, Any] = {"time": "2025-07-01T08:05:00Z", "values": {"air_temperature": 21.5}}


def test_the_file_is_current() -> None:
    current = FILE.read_text("utf-8") == schema.text()
    assert current, "run: python -m server.ingest.schema > docs/report.schema.json"


def test_the_schema_is_one_and_names_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.schema())
    report = schema.schema()["$defs"]["report"]
    fields = msgspec.structs.fields(Report)
    assert set(report["properties"]) == {field.name for field in fields}
    assert set(report["required"]) == {field.name for field in fields if field.required}
    for field in fields:
        if not field.required:
            assert report["properties"][field.name]["default"] == field.default
    assert set(report["properties"]["values"]["properties"]) == set(ELEMENTS)


MANY = {"reports": [GOOD | {"values": {"wind_speed": 1}}] * MAX_REPORTS}
CASES: list[tuple[Any, bool]] = [
    (GOOD, True),
    (GOOD | {"time": "2025-07-01T16:05:00+08:00"}, True),
    (GOOD | {"time": "2025-07-01T08:05:00.25Z"}, True),
    (GOOD | {"time": "2025-07-01T08:05:00"}, False),
    (GOOD | {"time": "2025-07-01T08:05Z"}, False),
    (GOOD | {"time": 1751357100}, False),
    (GOOD | {"values": {}}, False),
    (GOOD | {"values": {"air_temperature": None}}, True),
    (GOOD | {"values": {"air_temperature": "21"}}, False),
    (GOOD | {"values": {"temperature": 21}}, False),
    (GOOD | {"values": {"air_temperature": 60}}, True),
    (GOOD | {"values": {"air_temperature": 60.1}}, False),
    (GOOD | {"interval": 86_400}, True),
    (GOOD | {"interval": 0}, False),
    (GOOD | {"interval": None}, False),
    (GOOD | {"seq": 0, "revision": 32_767}, True),
    (GOOD | {"seq": None, "position": None}, True),
    (GOOD | {"seq": 2**63 - 1}, True),
    (GOOD | {"seq": "1"}, False),
    (GOOD | {"revision": -1}, False),
    (GOOD | {"position": [116.4, 39.9, 44]}, True),
    (GOOD | {"position": [116.4, 39.9]}, False),
    (GOOD | {"position": [39.9, 116.4, 44]}, False),
    (GOOD | {"extra": 1}, False),
    ({"values": {"air_temperature": 1}}, False),
    ({"reports": [GOOD, GOOD]}, True),
    ({"reports": []}, False),
    (MANY, True),
    ([GOOD], False),
    (5, False),
]


@pytest.mark.parametrize(("document", "good"), CASES)
def test_schema_and_code_agree(document: Any, good: bool) -> None:
    assert VALIDATOR.is_valid(document) == good
    assert reads(document) == good


def reads(document: Any) -> bool:
    payload = json.dumps(document, separators=(",", ":")).encode()
    return all(isinstance(item, Report) for item in decode(payload))


numbers = st.none() | st.integers(-200, 2_000) | st.floats(-200, 2_000)
documents = st.fixed_dictionaries(
    {"time": st.sampled_from(["2025-07-01T08:05:00Z", "2025-07-01T08:05:00", "x"])},
    optional={
        "values": st.dictionaries(st.sampled_from([*list(ELEMENTS)[:9], "none"]), numbers),
        "interval": numbers,
        "seq": numbers,
        "revision": numbers,
        "position": st.lists(numbers, max_size=4),
    },
)


@given(documents)
def test_schema_and_code_agree_on_anything(document: Any) -> None:
    assert VALIDATOR.is_valid(document) == reads(document)
