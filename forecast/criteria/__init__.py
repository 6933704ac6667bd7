"""Criteria of warnings, read strictly from TOML files that a forecaster can write.

``national.toml`` is the default and explains every key; ``beijing.toml`` is a local set.
"""

from forecast.criteria.book import Book, Override
from forecast.criteria.errors import CriteriaError
from forecast.criteria.files import SHIPPED
from forecast.criteria.resolved import Criteria
from forecast.criteria.signals import (
    DAY,
    HAZARDS,
    LEVELS,
    Comparison,
    Condition,
    Level,
    Signal,
    Statistic,
)

__all__ = [
    "DAY",
    "HAZARDS",
    "LEVELS",
    "SHIPPED",
    "Book",
    "Comparison",
    "Condition",
    "Criteria",
    "CriteriaError",
    "Level",
    "Override",
    "Signal",
    "Statistic",
]
