import datetime as dt
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.drivers import port
from agent.drivers.port import Batch, DriverError, Site
from agent.drivers.simulator import Options, Weather
from agent.elements import ELEMENTS
from agent.report import Report, decode, encode
from tests.unit.test_agent_event import folder, hour

LAYOUT: dict[str, Any] = {
    "path": "log.csv",
    "poll": 0.01,
    "time": {"column": "time", "zone": "UTC", "marks": "end", "interval": 60},
    "elements": {"air_temperature": {"column": "T"}},
}


class Fixed:
    """A clock that goes on by what the driver waits for."""

    def __init__(self, time: str = "2026-07-20T08:00:30+00:00") -> None:
        self.time = dt.datetime.fromisoformat(time)

    def now(self) -> dt.datetime:
        return self.time


class Patience(threading.Event):
    """A stop event whose waiting moves the clock instead of taking time."""

    def __init__(self, clock: Fixed) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.time += dt.timedelta(seconds=timeout or 0)
        return self.is_set()


def site(folder: Path, clock: Fixed | None = None, station: str = "a") -> Site:
    return Site(station=station, folder=folder, clock=clock or Fixed())


class Following:
    """A table driver whose batches are taken one at a time."""

    def __init__(self, path: Path, mark: str = "") -> None:
        self.mark = mark
        self._stop = threading.Event()
        self._driver = port.make("table", LAYOUT, site(path))
        self._batches: Iterator[Batch] = self._driver.read(mark=mark, stop=self._stop)

    def values(self, *, number: int) -> list[float | None]:
        """Take batches until this many readings have come."""
        found: list[float | None] = []
        while len(found) < number:
            batch = next(self._batches)
            self.mark = batch.mark
            found += [report.values["air_temperature"] for report in batch.reports]
        return found

    def end(self) -> str:
        """Stop, and give the mark of what was taken."""
        self._stop.set()
        assert [batch.reports for batch in self._batches] == []
        return self.mark


def row(minute: int, value: str = "") -> str:
    return f"2026-07-20T08:{minute:02}:00Z,{value or minute}\n"


def test_drivers_are_entry_points_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    assert {"replay", "simulator", "table"} <= set(port.names())
    with pytest.raises(DriverError, match=r"no driver 'modbus'; there are: .*simulator"):
        port.make("modbus", {}, site(tmp_path))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("simulator", {"interval": 0}, "driver.options: .*`\\$.interval`"),
        ("simulator", {"speed": 1}, "unknown field `speed`"),
        ("table", {**LAYOUT, "poll": 0}, "poll"),
        ("table", {**LAYOUT, "elements": {"rain": {"column": "R"}}}, "elements.rain: no such"),
        ("replay", {"event": "none"}, "event.toml: not there"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DriverError, match=message):
        port.make(name, options, site(tmp_path))


# Simulator


def year(seed: int, interval: int = 3_600) -> list[Report]:
    weather = Weather(Options(interval=interval), seed=seed)
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    step = dt.timedelta(seconds=interval)
    return [weather.step(start + i * step) for i in range(365 * 86_400 // interval)]


def test_imagined_weather_is_plausible_for_a_year() -> None:
    reports = year(1)
    for name in reports[0].values:
        low, high = ELEMENTS[name].gross
        values = [report.values[name] for report in reports]
        assert all(v is not None and low <= v <= high for v in values), name
    for report in reports:
        v = {name: value or 0.0 for name, value in report.values.items()}
        assert v["wind_speed_of_gust"] >= v["wind_speed"]
        assert v["dew_point_temperature"] <= v["air_temperature"]
    rain = sum(report.values["precipitation_amount"] or 0 for report in reports)
    assert 100 < rain < 10_000


def test_afternoons_are_warm_and_summers_are_warmer() -> None:
    reports = year(2)

    def mean(month: int, hour: int) -> float:
        found = [
            report.values["air_temperature"] or 0
            for report in reports
            if report.time.month == month and report.time.hour == hour
        ]
        return sum(found) / len(found)

    assert mean(7, 7) - mean(7, 20) > 5  # 15 and 4 h of local time
    assert mean(7, 7) - mean(1, 7) > 15


def test_same_seed_same_weather() -> None:
    assert year(3, 86_400) == year(3, 86_400)
    assert year(3, 86_400) != year(4, 86_400)


def test_simulator_speaks_at_full_intervals(tmp_path: Path) -> None:
    clock = Fixed()
    driver = port.make("simulator", {"interval": 60}, site(tmp_path, clock))
    batches = driver.read(mark="", stop=Patience(clock))
    reports = [next(batches).reports[0] for _ in range(3)]
    assert [f"{report.time:%H:%M:%S}" for report in reports] == ["08:01:00", "08:02:00", "08:03:00"]
    clock.time += dt.timedelta(hours=1)
    assert f"{next(batches).reports[0].time:%H:%M:%S}" == "09:03:00"
    clock.time -= dt.timedelta(hours=2)
    assert f"{next(batches).reports[0].time:%H:%M:%S}" == "09:04:00"
    assert decode(encode(reports)) == reports
    assert "air_temperature" in driver.probe()


# Replay


def test_replay_goes_on_after_its_mark(tmp_path: Path) -> None:
    path = folder(tmp_path / "e", a=[hour(h, f"{h},0") for h in (1, 2, 3)])
    driver = port.make("replay", {"event": str(path), "pace": 0}, site(tmp_path))
    batches = list(driver.read(mark="", stop=threading.Event()))
    assert [b.reports[0].values["air_temperature"] for b in batches] == [1, 2, 3]
    rest = list(driver.read(mark=batches[0].mark, stop=threading.Event()))
    assert rest == batches[1:]
    assert driver.probe().startswith("3 × 2016-07-20T01:00:00Z")


def test_replay_keeps_its_pace(tmp_path: Path) -> None:
    clock = Fixed()
    began = clock.time
    path = folder(tmp_path / "e", a=[hour(h, "1,0") for h in (1, 2, 4)])
    driver = port.make("replay", {"event": str(path), "pace": 3_600}, site(tmp_path, clock))
    assert len(list(driver.read(mark="", stop=Patience(clock)))) == 3
    assert (clock.time - began).total_seconds() == pytest.approx(3)


# Table


def test_table_follows_a_growing_file_and_waits_for_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with path.open("w") as file:
        file.write("time,T\n" + row(1) + row(2)[:-3])
        file.flush()
        table = Following(tmp_path)
        assert table.values(number=1) == [1]
        file.write(row(2)[-3:] + row(3))
        file.flush()
        assert table.values(number=2) == [2, 3]
    table.end()


def test_table_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("time,T\n" + row(1) + row(2))
    table = Following(tmp_path)
    assert table.values(number=2) == [1, 2]
    mark = table.end()
    with path.open("a") as file:
        file.write("nonsense\n" + row(3))
    again = Following(tmp_path, mark)
    assert again.values(number=1) == [3]
    again.end()


def test_table_waits_for_a_file_and_a_header(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    table = Following(tmp_path)
    threading.Timer(0.05, lambda: path.write_text("time,")).start()
    threading.Timer(0.1, lambda: path.write_text("time,T\n" + row(1))).start()
    assert table.values(number=1) == [1]
    table.end()


def test_table_survives_renaming(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("time,T\n" + row(1))
    table = Following(tmp_path)
    assert table.values(number=1) == [1]
    with path.open("a") as file:
        file.write(row(2) + "2026-07-20T08:03")
    path.rename(tmp_path / "log.csv.1")
    path.write_text("time,T\n" + row(4))
    assert table.values(number=2) == [2, 4]
    table.end()


def test_table_finds_the_renamed_file_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("time,T\n" + row(1))
    table = Following(tmp_path)
    table.values(number=1)
    mark = table.end()
    with path.open("a") as file:
        file.write(row(2))
    path.rename(tmp_path / "log.csv.1")
    path.write_text("time,T\n" + row(3))
    again = Following(tmp_path, mark)
    assert again.values(number=2) == [2, 3]
    again.end()


@pytest.mark.parametrize("rows", [[7], [7, 8, 9]], ids=["shorter", "longer"])
def test_table_notices_a_file_written_anew(tmp_path: Path, rows: list[int]) -> None:
    path = tmp_path / "log.csv"
    path.write_text("time,T\n" + row(1) + row(2))
    table = Following(tmp_path)
    table.values(number=2)
    inode = path.stat().st_ino
    path.write_text("time,T\n" + "".join(row(minute) for minute in rows))
    assert path.stat().st_ino == inode
    assert table.values(number=len(rows)) == rows
    mark = table.end()
    path.write_text("time,T\n" + row(11) + row(12) + row(13) + row(14))
    again = Following(tmp_path, mark)
    assert again.values(number=4) == [11, 12, 13, 14]
    again.end()


def test_table_counts_bad_lines_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(
        b"time,T\n" + row(1).encode() + b"\x00\xff\n" + b"x" * 200_000 + b"\n" + row(2).encode()
    )
    driver = port.make("table", LAYOUT, site(tmp_path))
    stop = threading.Event()
    batches = driver.read(mark="", stop=stop)
    assert [report.values["air_temperature"] for report in next(batches).reports] == [1, 2]
    assert driver.faults.count == 2  # type: ignore[attr-defined]
    stop.set()
    assert list(batches) == []


def test_table_gives_many_lines_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    lines = [f"{(start + dt.timedelta(minutes=i)).isoformat()},{i % 50}\n" for i in range(1_200)]
    path.write_text("time,T\n" + "".join(lines))
    stop = threading.Event()
    batches = port.make("table", LAYOUT, site(tmp_path)).read(mark="", stop=stop)
    assert [len(next(batches).reports) for _ in range(3)] == [500, 500, 200]
    stop.set()
    assert list(batches) == []


def test_table_probe_reads_the_last_reading(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    driver = port.make("table", LAYOUT, site(tmp_path))
    with pytest.raises(DriverError, match=r"log\.csv: No such file"):
        driver.probe()
    path.write_text("time,T\n")
    with pytest.raises(DriverError, match="no line with a reading"):
        driver.probe()
    path.write_text("time,T\n" + row(1) + row(2))
    assert driver.probe() == "2026-07-20T08:02:00Z: air_temperature 2.0"
    os.truncate(path, 0)
    path.write_text("time,W\n" + row(1))
    with pytest.raises(DriverError, match="no column 'T'"):
        driver.probe()
