"""The wire: what a station says, as JSON, and how it is read and checked.

A payload is one report, or ``{"reports": [...]}`` with many. A report is all-or-nothing, and a
bad one never takes its neighbours along: `decode` gives one `Report` or `Refusal` for each.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping

import msgspec

from agent.elements import ELEMENTS

MAX_PAYLOAD = 65_536
"""Largest payload in bytes."""

MAX_REPORTS = 1_000
"""Most reports in one payload."""

STATION = re.compile(r"[A-Za-z0-9-]{1,64}")
"""A WIGOS station identifier, or a local one."""


class Report(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One set of values of one station.

    time: end of the interval, aware.
    values: by element name, in the unit of the vocabulary; null where the sensor gave nothing.
    interval: seconds that sums, means and extremes cover.
    seq: the station's own running number, confirmed by the centre.
    position: longitude (degrees east), latitude (degrees north), altitude (m), for what moves.
    revision: above the stored one corrects a reading; equal or lower changes nothing.
    """

    time: dt.datetime
    values: dict[str, float | None]
    interval: int = 60
    seq: int | None = None
    position: tuple[float, float, float] | None = None
    revision: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """Why a report cannot be stored.

    reason: a short code that is counted: ``json``, ``form``, ``size``, ``time``, ``element``,
        ``range``, ``position`` or ``empty`` here; the centre has more.
    detail: one sentence that says what was wrong and what to do.
    raw: the bytes of the report alone.
    seq: the station's number of it, where it could be read.
    """

    reason: str
    detail: str
    raw: bytes
    seq: int | None = None


class _Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reports: list[msgspec.Raw]


class _Numbered(msgspec.Struct, frozen=True):
    seq: int | None = None


_one = msgspec.json.Decoder(Report)
_many = msgspec.json.Decoder(_Many)
_numbered = msgspec.json.Decoder(_Numbered)
_encoder = msgspec.json.Encoder()
_GROSS: Mapping[str, tuple[float, float]] = {name: e.gross for name, e in ELEMENTS.items()}


def encode(reports: Iterable[Report]) -> bytes:
    """Give the payload for one or more reports."""
    several = list(reports)
    return _encoder.encode(several[0] if len(several) == 1 else {"reports": several})


def decode(payload: bytes) -> list[Report | Refusal]:
    """Read a payload; a report that cannot be used becomes a `Refusal`, in its place."""
    if len(payload) > MAX_PAYLOAD:
        detail = f"the payload has {len(payload)} bytes, the limit is {MAX_PAYLOAD}: send less"
        return [Refusal("size", detail, payload)]
    if b'"reports"' not in payload[:64]:
        return [_read(payload)]
    try:
        parts = _many.decode(payload).reports
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [Refusal("json", f"not a JSON list of reports: {error}", payload)]
    if not parts:
        return [Refusal("empty", "the list of reports is empty", payload)]
    if len(parts) > MAX_REPORTS:
        detail = f"{len(parts)} reports in one payload, the limit is {MAX_REPORTS}: send fewer"
        return [Refusal("size", detail, payload)]
    return [_read(bytes(part)) for part in parts]


def _read(raw: bytes) -> Report | Refusal:
    try:
        report = _one.decode(raw)
    except msgspec.ValidationError as error:
        return Refusal("form", f"{error}", raw, _seq(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refusal("json", f"not UTF-8 JSON: {error}", raw)
    wrong = _fault(report)
    return Refusal(*wrong, raw, report.seq) if wrong else report


def _fault(report: Report) -> tuple[str, str] | None:
    """Give reason and detail of the first fault that the report itself shows."""
    if report.time.tzinfo is None:
        return "time", "time has no zone: write UTC with a Z, as in 2016-07-20T08:05:00Z"
    if not 1 <= report.interval <= 86_400:
        return "time", f"interval {report.interval} s is outside 1 to 86400"
    if not 0 <= report.revision <= 32_767:
        return "form", f"revision {report.revision} is outside 0 to 32767"
    if not report.values:
        return "empty", "values is empty: send at least one element"
    for name, value in report.values.items():
        gross = _GROSS.get(name)
        if gross is None:
            return "element", f"unknown element {name!r}: use a name of the vocabulary"
        if value is not None and not gross[0] <= value <= gross[1]:
            unit = ELEMENTS[name].unit
            return "range", (
                f"{name} {value:g} {unit} is outside {gross[0]:g} to {gross[1]:g} {unit}: "
                "check the unit and the sensor"
            )
    if report.position is not None:
        longitude, latitude, altitude = report.position
        if not (abs(longitude) <= 180 and abs(latitude) <= 90 and -500 <= altitude <= 50_000):
            return "position", "position is longitude, latitude, altitude in m, in this order"
    return None


def _seq(raw: bytes) -> int | None:
    try:
        return _numbered.decode(raw).seq
    except (msgspec.MsgspecError, RecursionError):
        return None
