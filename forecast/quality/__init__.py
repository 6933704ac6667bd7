"""Quality control: codes beside the values, never over them."""

from forecast.quality.checks import Checks
from forecast.quality.codes import (
    FAILED,
    LIMITS,
    LIMITS_PER_MINUTE,
    NOT_CHECKED,
    Check,
    code,
    codes,
    failed,
    good,
    made,
    range_code,
    range_codes,
)
from forecast.quality.judge import Judge
from forecast.quality.judged import Judged

__all__ = [
    "FAILED",
    "LIMITS",
    "LIMITS_PER_MINUTE",
    "NOT_CHECKED",
    "Check",
    "Checks",
    "Judge",
    "Judged",
    "code",
    "codes",
    "failed",
    "good",
    "made",
    "range_code",
    "range_codes",
]
