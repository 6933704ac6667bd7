"""Internal consistency: what the values of one reading say of each other.

not_above: the first is at most the second and the tolerance (dew point and temperature, mean and
gust). calm: direction 0 means calm (WMO-No. 306, FM 12: north is 360), so it does not go with a
wind above the tolerance, and no other direction goes with no wind. humidity: humidity is what
temperature and dew point make of it, by the formula of Magnus with the numbers of O. A. Alduchov
and R. E. Eskridge, J. Appl. Meteorol. 35, 601 (1996).
"""

import numpy as np
from numpy.typing import NDArray

from forecast.quality.checks import Rule

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def broken(rule: Rule, values: list[Floats]) -> tuple[Bools, Bools]:
    """Tell where a rule was made (all values there), and where it is broken."""
    made = ~np.isnan(values[0])
    for value in values[1:]:
        made &= ~np.isnan(value)
    match rule.rule:
        case "not_above":
            wrong = values[0] > values[1] + rule.tolerance
        case "calm":
            speed, direction = values
            wrong = np.where(direction == 0, speed > rule.tolerance, speed == 0)
        case "humidity":
            humidity, temperature, dew = values
            wrong = np.abs(humidity - relative(temperature, dew)) > rule.tolerance
    return made, made & wrong


def relative(temperature: Floats, dew_point: Floats) -> Floats:
    """Give the relative humidity over water (%), of °C."""
    humidity: Floats = 100 * np.exp(_magnus(dew_point) - _magnus(temperature))
    return humidity


def _magnus(temperature: Floats) -> Floats:
    exponent: Floats = 17.625 * temperature / (243.04 + np.maximum(temperature, -200.0))
    return exponent
