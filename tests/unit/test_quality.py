"""The quality code and the range check."""

import numpy as np
import pytest

from forecast import quality
from forecast.quality import Check

PASSED, FAILED = 0x0100, 0x0101
CASES = [
    ("air_temperature", 60.0, 60, PASSED),
    ("air_temperature", 60.1, 60, FAILED),
    ("air_temperature", -80.0, 60, PASSED),
    ("air_temperature", -80.1, 60, FAILED),
    ("air_temperature", float("nan"), 60, 0),
    ("air_temperature", float("inf"), 60, FAILED),
    ("relative_humidity", 100.5, 60, PASSED),  # a sensor in fog
    ("relative_humidity", 104.5, 60, FAILED),
    ("air_pressure", 499.0, 60, FAILED),
    ("wind_speed", 75.0, 600, PASSED),
    ("precipitation_amount", 40.0, 60, PASSED),
    ("precipitation_amount", 40.1, 60, FAILED),
    ("precipitation_amount", 40.1, 3_600, PASSED),
    ("precipitation_amount", 40.1, 0, FAILED),
    ("precipitation_amount", -0.1, 3_600, FAILED),
    ("battery_voltage", 5e9, 60, 0),
]


@pytest.mark.parametrize(("element", "value", "interval", "expected"), CASES)
def test_range(element: str, value: float, interval: int, expected: int) -> None:
    assert quality.range_code(element, value, interval) == expected
    codes = quality.range_codes(element, np.array([value]), np.array([interval]))
    assert codes.dtype == np.int16
    assert codes.tolist() == [expected]


def test_codes_join_and_fit_the_column() -> None:
    joined = 0
    for check in Check:
        joined |= quality.code(check, failed=check in (Check.STEP, Check.INNOVATION))
    assert quality.made(joined) == tuple(Check)
    assert quality.failed(joined) == (Check.STEP, Check.INNOVATION)
    everything = sum(quality.code(check, failed=True) for check in Check)
    assert everything <= np.iinfo(np.int16).max


def test_not_checked_is_neither_made_nor_failed() -> None:
    assert quality.made(quality.NOT_CHECKED) == ()
    codes = np.array([0, PASSED, FAILED], np.int16)
    assert quality.good(codes).tolist() == [True, True, False]
