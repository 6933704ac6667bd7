"""The JSON Schema of the wire, for loggers' authors: ``python -m server.ingest.schema``.

It says what `agent.report.decode` checks. What only the centre can know (is the station in the
catalogue, is the time in the future, is another reading stored) no schema can say.
"""

import json
import sys
from typing import Any

from agent.elements import ELEMENTS
from agent.report import MAX_REPORTS

TITLE = "Fenghuo report"


def schema() -> dict[str, Any]:
    """Give the schema of a payload: one report, or many."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "description": "Payload of fenghuo/v1/{station}/obs: one report, or up to "
        f"{MAX_REPORTS} of them in reports.",
        "oneOf": [{"$ref": "#/$defs/report"}, {"$ref": "#/$defs/reports"}],
        "$defs": {"report": _report(), "reports": _reports()},
    }


def text() -> str:
    """Give the file ``docs/report.schema.json``."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"


def _reports() -> dict[str, Any]:
    reports = {"type": "array", "minItems": 1, "maxItems": MAX_REPORTS}
    return {
        "type": "object",
        "properties": {"reports": {**reports, "items": {"$ref": "#/$defs/report"}}},
        "required": ["reports"],
        "additionalProperties": False,
    }


def _report() -> dict[str, Any]:
    properties: dict[str, Any] = {
        "time": {
            "description": "End of the interval, ISO 8601 with a zone.",
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d(:?\d\d)?)$",
        },
        "values": {
            "description": "By element, in the unit of the vocabulary; null: nothing measured.",
            "type": "object",
            "properties": {name: _element(name) for name in ELEMENTS},
            "additionalProperties": False,
            "minProperties": 1,
        },
        "interval": _whole(1, 86_400, 60, "Seconds that sums, means and extremes cover."),
        "seq": {
            "description": "Your own running number; the centre confirms it.",
            "type": ["integer", "null"],
            "minimum": -(2**63),
            "maximum": 2**63 - 1,
            "default": None,
        },
        "position": {
            "description": "Degrees east, degrees north, metres: for what moves.",
            "type": ["array", "null"],
            "prefixItems": [_bounded(-180, 180), _bounded(-90, 90), _bounded(-500, 50_000)],
            "minItems": 3,
            "maxItems": 3,
            "default": None,
        },
        "revision": _whole(0, 32_767, 0, "A higher one than the stored corrects the reading."),
    }
    return {
        "type": "object",
        "properties": properties,
        "required": ["time", "values"],
        "additionalProperties": False,
    }


def _element(name: str) -> dict[str, Any]:
    element = ELEMENTS[name]
    lowest, highest = element.gross
    return {
        "description": f"{element.en} ({element.zh}), {element.unit}",
        "type": ["number", "null"],
        "minimum": lowest,
        "maximum": highest,
    }


def _whole(lowest: int, highest: int, default: int, description: str) -> dict[str, Any]:
    bounds = {"minimum": lowest, "maximum": highest, "default": default}
    return {"description": description, "type": "integer", **bounds}


def _bounded(lowest: float, highest: float) -> dict[str, Any]:
    return {"type": "number", "minimum": lowest, "maximum": highest}


if __name__ == "__main__":
    sys.stdout.write(text())
