"""How good is what the nowcast expects? ``python -m tests.bench expectation``.

On the archives beside the project: rain of Beijing (the second year; the numbers are fitted on
the first), the Kalman filters on KNMI's second day (fitted on the first), the gale's expected
door on both days, and the correction of a model (fitted on the first half of the days). What is
not there is skipped.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from forecast.expectation import Expectation
from tests.bench import fit_correction, fit_kalman, gale_door, rain_rule
from tests.bench.ingest import Row_, row

DATA = Path(__file__).parents[3] / "shared/data"
CHECKED = ("air_temperature", "wind_speed", "relative_humidity")


def run() -> list[Row_]:
    """Measure everything there is data for."""
    parts: dict[str, tuple[str, Callable[[Path], Iterator[Row_]]]] = {
        "rain rule": ("beijing_hourly", rain),
        "Kalman filters": ("knmi_10min", kalman),
        "gale, expected door": ("knmi_10min", gale),
        "model correction": ("nwp_t2m", correction),
    }
    found: list[Row_] = []
    for name, (folder, measure) in parts.items():
        if (DATA / folder).is_dir():
            found += measure(DATA / folder)
        else:
            skipped = f"no archive ../shared/data/{folder}"
            found.append({"part": "expectation", "name": name, "skipped": skipped})
    return found


def rain(folder: Path) -> Iterator[Row_]:
    """Score the rule beside persistence in the second year, with intervals by day."""
    archive = rain_rule.Archive(rain_rule.rain(folder))
    rule = Expectation.load().rain["precipitation_amount"]
    year = rain_rule.YEARS[rain_rule.SECOND]
    rules = {"rule": rule, "persistence": rain_rule.PERSISTENCE}
    ours, held = (rain_rule.scores(archive, each, year) for each in rules.values())
    inside = rain_rule.intervals(archive, rules, year)
    for level in (*rain_rule.POOLED, "pooled"):
        key = "csi" if level == "pooled" else level
        low, high = inside["rule", key]
        name = f"rain rule, {level}: CSI (90 % {low:.2f} to {high:.2f})"
        yield row(name, ours[level].csi, "", *_beside(ours[level].csi, held[level].csi))
    pooled, other = ours["pooled"], held["pooled"]
    low, high = inside["rule", "far"]
    name = f"rain rule, pooled: FAR (90 % {low:.2f} to {high:.2f})"
    yield row(name, pooled.far, "", *_beside(pooled.far, other.far))
    yield row("rain rule, pooled: POD", pooled.pod, "", *_beside(pooled.pod, other.pod))
    yield row("rain rule: events announced an hour ahead or more", 100 * pooled.share, "%")


def kalman(folder: Path) -> Iterator[Row_]:
    """Give the mean absolute error on the second day in parts of persistence's."""
    models = Expectation.load().kalman
    for element in (*CHECKED, "air_pressure_at_mean_sea_level"):
        data = fit_kalman.archive(folder, fit_kalman.ELEMENTS[element][0])
        data = data.part(len(data.values) // 2)
        ways = {"": False, ", no neighbours": True} if models[element].pool else {"": True}
        for title, alone in ways.items():
            found = fit_kalman.errors(models[element], data, alone=alone)
            for step, each in zip(fit_kalman.STEPS, found, strict=True):
                inside = f"{each.inside(0.6745):.0%} in 50 %, {each.inside(1.6449):.0%} in 90 %"
                name = f"Kalman {element}{title}, {step * 10} min: MAE ({inside})"
                yield row(name, each.own.mean(), "", each.ratio, "persistence")


def gale(folder: Path) -> Iterator[Row_]:
    """Give lead time and false alarms of the expected door, both days."""
    met, said, _ = gale_door.decide(gale_door.archive(folder))
    for number, level in enumerate(("blue", "yellow", "orange")):
        door = gale_door.judge(met[number], said[number])
        announced = sum(lead > 0 for lead in door.leads)
        name = f"gale {level}: mean lead, {announced} of {len(door.leads)} events announced"
        yield row(name, door.mean, "min")
        yield row(f"gale {level}: {door.alarms} announcements, false", 100 * door.far, "%")


def correction(folder: Path) -> Iterator[Row_]:
    """Give the error beside the reference filter's, of all days and of the second half."""
    raw = fit_correction.Archive.read(folder / "raw.txt")
    reference = fit_correction.Archive.read(folder / "kf.txt")
    mean, _ = fit_correction.corrected(Expectation.load().correction["air_temperature"], raw)
    half = slice(len(raw.issued) // 2, None)
    for title, part in (("all days", slice(None)), ("second half", half)):
        own = fit_correction.error(raw, mean, part)
        other = fit_correction.error(reference, reference.forecast, part)
        yield row(f"model temperature, {title}: MAE", own, "°C", own / other, "reference filter")


def _beside(own: float, other: float) -> tuple[float, str]:
    return own / other if other else 0.0, "persistence"


if __name__ == "__main__":
    print(len(run()), file=sys.stderr)
