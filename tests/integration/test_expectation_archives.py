"""What the shipped numbers reach on real archives, where they lie beside the project."""

from pathlib import Path

import pytest

from forecast.expectation import Expectation
from tests.bench import fit_correction, fit_kalman, rain_rule

DATA = Path(__file__).parents[3] / "shared/data"
BEIJING, KNMI, MODEL = DATA / "beijing_hourly", DATA / "knmi_10min", DATA / "nwp_t2m"


@pytest.mark.skipif(not KNMI.is_dir(), reason="no archive ../shared/data/knmi_10min")
@pytest.mark.parametrize(
    ("element", "most"),
    [
        ("air_temperature", (1.0, 1.0, 1.0)),
        ("relative_humidity", (1.0, 1.0, 1.0)),
        ("wind_speed", (1.0, 1.0, 1.0)),
        ("air_pressure_at_mean_sea_level", (0.9, 0.75, 0.75)),
    ],
)
def test_the_filters_on_the_day_that_was_not_fitted(
    element: str, most: tuple[float, float, float]
) -> None:
    model = Expectation.load().kalman[element]
    data = fit_kalman.archive(KNMI, fit_kalman.ELEMENTS[element][0])
    second = data.part(len(data.values) // 2)
    for alone in (False, True):
        for limit, found in zip(most, fit_kalman.errors(model, second, alone=alone), strict=True):
            assert found.ratio <= limit + 1e-4
            assert 0.45 <= found.inside(0.6745) <= 0.6
            assert 0.82 <= found.inside(1.6449) <= 0.95


@pytest.mark.skipif(not MODEL.is_dir(), reason="no archive ../shared/data/nwp_t2m")
def test_the_correction_on_the_days_that_were_not_fitted() -> None:
    raw = fit_correction.Archive.read(MODEL / "raw.txt")
    mean, _ = fit_correction.corrected(Expectation.load().correction["air_temperature"], raw)
    assert raw.observed.size == 1_525
    assert fit_correction.error(raw, mean) <= 0.65
    assert fit_correction.error(raw, mean, slice(30, None)) <= 0.65


@pytest.mark.skipif(not MODEL.is_dir(), reason="no archive ../shared/data/nwp_t2m")
def test_a_forecast_does_not_know_what_comes_after_it() -> None:
    raw = fit_correction.Archive.read(MODEL / "raw.txt")
    numbers = Expectation.load().correction["air_temperature"]
    mean, spread = fit_correction.corrected(numbers, raw)
    later = raw.observed.copy()
    later[20:] += 30.0
    changed = fit_correction.Archive(raw.issued, later, raw.forecast)
    other, wider = fit_correction.corrected(numbers, changed)
    # The run of the twentieth day is the first that could not know it, not even its first hour.
    assert (other[:21] == mean[:21]).all()
    assert (wider[:21] == spread[:21]).all()
    assert (other[21] != mean[21]).all()


@pytest.mark.skipif(not BEIJING.is_dir(), reason="no archive ../shared/data/beijing_hourly")
def test_the_rain_rule_is_what_the_first_year_gives() -> None:
    archive = rain_rule.Archive(rain_rule.rain(BEIJING))
    rule = Expectation.load().rain["precipitation_amount"]
    fitted = rain_rule.fit(archive, rule, rain_rule.YEARS[rain_rule.FIRST])
    assert fitted == rule
    second = rain_rule.YEARS[rain_rule.SECOND]
    held = rain_rule.scores(archive, rain_rule.PERSISTENCE, second)
    # The reference: what the last hour brought goes on.
    figures = [round(held[level].csi, 2) for level in rain_rule.POOLED]
    assert figures == [0.14, 0.17, 0.26]
    ours = rain_rule.scores(archive, rule, second)["pooled"]
    assert ours.csi > held["pooled"].csi
    assert ours.far < held["pooled"].far
    assert ours.share >= 0.7
    rules = {"rule": rule, "persistence": rain_rule.PERSISTENCE}
    inside = rain_rule.intervals(archive, rules, second, draws=50)
    low, high = inside["rule", "csi"]
    assert 0 <= low <= ours.csi <= high <= 1
