"""The quality control on real archives, read where they lie: what is right must not fail."""

from collections.abc import Callable

import numpy as np
import pytest

from forecast.quality import FAILED, Check, failed
from forecast.readings import Readings
from tests.bench import flags
from tests.bench.flags import Archive, errors, judged, rates, seeded

MINUTE, TEN = 60, 600
ARCHIVES: dict[str, tuple[Callable[[], Archive], int]] = {
    "arm_1min": (flags.arm, MINUTE),
    "knmi_10min": (flags.knmi, TEN),
}


def archive(name: str) -> Archive:
    if not (flags.DATA / name).is_dir():
        pytest.skip(f"the archive is not there: ../shared/data/{name}")
    return ARCHIVES[name][0]()


def test_a_storm_in_alabama_passes() -> None:
    storm = archive("arm_1min")
    found = judged(storm)
    assert sum(wrong for _, _, _, wrong in rates(found)) == 0
    # It was one: the pool of cold air at the first site, with its wind and its rain.
    values, here = storm.readings.values, storm.readings.station == 0
    fall = max(
        values["air_temperature"][here][n] - values["air_temperature"][here][n + 60]
        for n in range(here.sum() - 60)
    )
    assert fall > 2.5
    assert values["precipitation_amount"][here].sum() > 15


def test_a_gale_in_the_netherlands_passes() -> None:
    found = judged(archive("knmi_10min"))
    wrong = {(name, check): number for name, check, _, number in rates(found) if number}
    # One reading of the grass thermometer is 68 K off; nothing else is wrong.
    assert wrong == {("surface_temperature", "step"): 1}
    codes = found.codes["surface_temperature"]
    row = int(np.flatnonzero(codes & FAILED)[0])
    assert failed(int(codes[row])) == (Check.STEP,)
    assert abs(found.readings.values["surface_temperature"][row]) > 38
    assert np.nanmax(found.readings.values["wind_speed_of_gust"]) > 28


@pytest.mark.parametrize("name", ARCHIVES)
def test_errors_are_found(name: str) -> None:
    half = archive(name).part(0.5, 1)
    for error in errors(ARCHIVES[name][1])[:4]:
        hits = seeded(half, error, times=40)
        assert hits is None or hits.found >= 0.9 * hits.events, error.name
        assert hits is None or hits.others <= 0.1 * hits.events, error.name


def test_the_rainstorm_of_the_demo_passes() -> None:
    """Six hours with more than 140 mm are no error."""
    if not (flags.DATA / "beijing_hourly").is_dir():
        pytest.skip("the archive is not there: ../shared/data/beijing_hourly")
    storm = flags.beijing(only=("2016-07-17", "2016-07-22"))
    found = judged(storm)
    assert storm.readings.values["precipitation_amount"].max() > 30
    assert not (found.codes["precipitation_amount"] & FAILED).any()


def test_a_stronger_storm_passes_too() -> None:
    """The same front with three times the fall of temperature and pressure, as it might come."""
    storm = archive("arm_1min")
    values = dict(storm.readings.values)
    for name, factor in (("air_temperature", 3.0), ("air_pressure", 2.0), ("wind_speed", 2.0)):
        values[name] = values[name].copy()
        for station in range(len(storm.longitude)):
            here = storm.readings.station == station
            level = np.nanmedian(values[name][here])
            values[name][here] = level + factor * (values[name][here] - level)
    values["wind_speed"] = np.maximum(values["wind_speed"], 0)
    every = storm.readings
    found = judged(storm.of(Readings(every.station, every.time, every.interval, values)))
    for name in ("air_temperature", "air_pressure", "wind_speed"):
        assert not (found.codes[name] & (1 << Check.STEP)).any(), name
