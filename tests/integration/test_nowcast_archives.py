"""The nowcast on real archives, which are read where they lie and not part of the project."""

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import xarray as xr

from agent.elements import ELEMENTS
from forecast.criteria import Criteria
from forecast.expectation import Expectation
from forecast.nowcast import Finding, Nowcast
from forecast.proposal import propose
from forecast.quality import Checks, Judge
from forecast.readings import Readings
from tests.bench import rain_rule

DATA = Path(__file__).parents[3] / "shared/data"
BEIJING, KNMI = DATA / "beijing_hourly", DATA / "knmi_10min"
ZONE = ZoneInfo("Asia/Shanghai")
COLUMNS = {
    "air_temperature": "TEMP",
    "dew_point_temperature": "DEWP",
    "precipitation_amount": "RAIN",
    "wind_speed": "WSPM",
    "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air": "PM2.5",
}
VARIABLES = {
    "wind_speed": ("ff", 1.0),
    "wind_speed_of_gust": ("gff", 1.0),
    "air_temperature": ("ta", 1.0),
    "relative_humidity": ("rh", 1.0),
    "visibility_in_air": ("zm", 1.0),
    "surface_temperature": ("tgn", 1.0),
    "precipitation_amount": ("rg", 1 / 6),  # mm/h over ten minutes
}

needs_beijing = pytest.mark.skipif(
    not BEIJING.is_dir(), reason="the Beijing archive is not there: ../shared/data/beijing_hourly"
)
needs_knmi = pytest.mark.skipif(
    not KNMI.is_dir(), reason="the KNMI archive is not there: ../shared/data/knmi_10min"
)


def beijing(first: dt.date, days: int) -> Readings:
    """Read some days of the twelve stations; the hour marks the end of the interval."""
    start = dt.datetime.combine(first, dt.time(), ZONE)
    rows: list[tuple[int, int, list[float]]] = []
    for station, file in enumerate(sorted(BEIJING.glob("*.csv"))):
        with file.open(encoding="utf-8", newline="") as text:
            for row in csv.DictReader(text):
                date = (int(row["year"]), int(row["month"]), int(row["day"]))
                if not first <= dt.date(*date) < first + dt.timedelta(days):
                    continue
                time = dt.datetime(*date, int(row["hour"]), tzinfo=ZONE)
                values = [float(row[c].replace("NA", "nan")) for c in COLUMNS.values()]
                rows.append((station, int(time.timestamp()), values))
    assert min(time for _, time, _ in rows) == start.timestamp()
    return Readings(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.full(len(rows), 3_600),
        {name: np.array([row[2][i] for row in rows]) for i, name in enumerate(COLUMNS)},
    )


def knmi() -> Readings:
    parts: list[Readings] = []
    for file in sorted(KNMI.glob("*.nc")):
        with xr.open_dataset(file, engine="h5netcdf", decode_timedelta=False) as data:
            time = data["time"].to_numpy().astype("M8[s]").astype(np.int64)
            stations = data.sizes["station"]
            values = {
                name: data[column].transpose("time", "station").to_numpy().astype(float).ravel()
                * factor
                for name, (column, factor) in VARIABLES.items()
            }
        parts.append(
            Readings(
                np.tile(np.arange(stations), len(time)),
                np.repeat(time, stations),
                np.full(stations * len(time), 600),
                values,
            )
        )
    return Readings.joined(parts)


def run(readings: Readings, stations: int) -> dict[int, list[Finding]]:
    """Decide every time of a reading, in order."""
    units = {name: element.unit for name, element in ELEMENTS.items()}
    nowcast = Nowcast(criteria=Criteria.load(units=units), stations=stations)
    found: dict[int, list[Finding]] = {}
    for time in np.unique(readings.time).tolist():
        nowcast.put(readings.where(readings.time == time))
        found[time] = nowcast.evaluate(time)
    return found


def stations_by_level(
    findings: Iterable[Finding],
) -> dict[tuple[str, str, str], set[int]]:
    places: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for finding in findings:
        places[finding.hazard, finding.level, finding.door].add(finding.station)
    return places


@needs_beijing
def test_the_rainstorm_of_july_2016() -> None:
    found = run(beijing(dt.date(2016, 7, 19), 3), 12)
    places = stations_by_level(f for findings in found.values() for f in findings)
    assert {hazard for hazard, _, _ in places} == {"rainstorm"}
    assert "red" not in {level for _, level, _ in places}
    assert len(places["rainstorm", "orange", "observed"]) == 11  # all but Shunyi
    assert len(places["rainstorm", "yellow", "observed"]) == 12
    assert len(places["rainstorm", "blue", "observed"]) == 12
    assert len(places["rainstorm", "orange", "expected"]) == 12
    # Expected an hour or more before it is met, wherever it is met.
    first: dict[tuple[int, str], int] = {}
    for time, findings in found.items():
        for finding in findings:
            if finding.level == "orange":
                first.setdefault((finding.station, finding.door), time)
    for station in places["rainstorm", "orange", "observed"]:
        assert first[station, "observed"] - first[station, "expected"] >= 3_600
    # Gucheng, 20 July 10 to 13 o'clock.
    gucheng = 5
    most = max(
        evidence.value
        for findings in found.values()
        for finding in findings
        for evidence in finding.evidence
        if finding.station == gucheng and evidence.window == 3 * 3_600
    )
    assert most == pytest.approx(81.9)
    levels = {
        proposal.level
        for findings in found.values()
        for proposal in propose(findings, [[station] for station in range(12)])
    }
    assert levels == {"blue", "yellow", "orange"}


@needs_beijing
def test_the_heat_of_july_2015_and_no_gale() -> None:
    found = run(beijing(dt.date(2015, 7, 9), 6), 12)
    places = stations_by_level(f for findings in found.values() for f in findings)
    assert len(places["high_temperature", "orange", "observed"]) >= 10
    assert {hazard for hazard, _, _ in places} <= {"high_temperature", "rainstorm"}


@needs_beijing
def test_the_rain_rule_beats_persistence_in_the_second_year() -> None:
    archive = rain_rule.Archive(rain_rule.rain(BEIJING))
    rule = Expectation.load().rain["precipitation_amount"]
    year = rain_rule.YEARS["2016-03 to 2017-02"]
    for level, (hours, threshold) in rain_rule.LEVELS.items():
        met = archive.met(hours, threshold)
        said = archive.said(rule, hours, threshold)
        if level == "red":
            assert not met.any()
            assert not said.any()
            continue
        ours = rain_rule.score(said, met, year)
        persistence = archive.said(rain_rule.PERSISTENCE, hours, threshold)
        held = rain_rule.score(persistence, met, year)
        assert ours.events == {"blue": 13, "yellow": 14, "orange": 18}[level]
        assert ours.announced >= 0.7 * ours.events
        assert ours.false < held.false / 2
        assert ours.hits >= held.hits


@needs_knmi
def test_the_gale_of_new_year_2023() -> None:
    readings = knmi()
    found = run(readings, int(readings.station.max()) + 1)
    places = stations_by_level(f for findings in found.values() for f in findings)
    assert {hazard for hazard, _, _ in places} == {"gale"}
    assert {level for _, level, _ in places} == {"blue", "yellow"}
    gust = {
        limit: len(set(readings.station[readings.values["wind_speed_of_gust"] >= limit].tolist()))
        for limit in (13.9, 20.8)
    }
    assert gust == {13.9: 52, 20.8: 26}
    assert len(places["gale", "yellow", "observed"]) == 26
    assert len(places["gale", "blue", "observed"]) == 52


@needs_knmi
def test_the_gale_with_quality_control_and_regions() -> None:
    """Nothing real is doubted, and a station alone at sea waits for its next reading."""
    readings = knmi()
    with xr.open_dataset(min(KNMI.glob("*.nc")), engine="h5netcdf", decode_timedelta=False) as data:
        place = {
            name: np.nanmax(data[name].transpose("station", ...).to_numpy(), axis=-1).astype(float)
            if data[name].ndim > 1
            else data[name].to_numpy().astype(float)
            for name in ("lon", "lat", "height")
        }
    stations = int(readings.station.max()) + 1
    judge = Judge(
        Checks.load(),
        stations=stations,
        longitude=place["lon"],
        latitude=place["lat"],
        elevation=place["height"],
    )
    units = {name: element.unit for name, element in ELEMENTS.items()}
    nowcast = Nowcast(criteria=Criteria.load(units=units), stations=stations, judge=judge)
    standings: Counter[tuple[str, str]] = Counter()
    proposed: set[tuple[str, str]] = set()
    for time in np.unique(readings.time).tolist():
        nowcast.put(readings.where(readings.time == time))
        findings = nowcast.evaluate(time)
        standings.update((f.level, f.standing) for f in findings if f.door == "observed")
        country = propose(findings, [range(stations)])
        proposed |= {(p.level, p.standing) for p in country}
    assert {level for level, _ in standings} == {"blue", "yellow"}
    assert {standing for _, standing in standings} == {"sound", "lone"}
    for level in ("blue", "yellow"):
        assert standings[level, "lone"] < 0.15 * standings[level, "sound"]
    assert {level for level, standing in proposed if standing == "sound"} == {"blue", "yellow"}
