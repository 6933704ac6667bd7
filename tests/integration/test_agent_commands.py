"""The command itself, as a process, against the product's listener and a real broker."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.report import Report
from tests.servers.broker import Broker
from tests.servers.centre import BehindBroker, Listening
from tests.support import eventually, free_port
from tests.unit.test_agent_event import folder, hour

ROOT = Path(__file__).parents[2]
BUNDLED = ROOT / "deploy/events/beijing-2016-07"
Start = Callable[..., Broker]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "en_GB.UTF-8", **more}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "agent.main", *map(str, arguments)]


def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(**more),
        check=False,
        timeout=60,
    )


def replay(url: str, state: Path, *more: object, event: Path = BUNDLED) -> list[str]:
    return command(
        "replay", "--event", event, "--broker", url, "--state", state, "--pace", 0, "--json", *more
    )


def played(url: str, state: Path, *more: object, event: Path = BUNDLED) -> list[dict[str, object]]:
    done = subprocess.run(
        replay(url, state, *more, event=event),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def keys(reports: dict[str, list[Report]]) -> set[tuple[str, str]]:
    return {(name, f"{r.time:%d %H}") for name, found in reports.items() for r in found}


def count(reports: dict[str, list[Report]]) -> int:
    return sum(len(found) for found in reports.values())


def test_replay_plays_the_bundled_event_in_lockstep(tmp_path: Path) -> None:
    with Listening() as centre:
        lines = played(centre.url, tmp_path / "state")
        assert len(lines) == 73
        assert lines[0] == {
            "time": "2016-07-18T16:00:00Z", "step": 1, "steps": 72, "sent": 12, "refused": 0,
        }  # fmt: skip
        assert lines[-2]["step"] == 72
        assert lines[-1] == {"done": True, "sent": 864, "refused": 0}
        assert count(centre.books.reports) == len(keys(centre.books.reports)) == 864
        again = played(centre.url, tmp_path / "state")
        assert again == lines[-2:]
        assert count(centre.books.reports) == 864


def test_replay_of_some_stations_through_a_broker(tmp_path: Path, mosquitto: Start) -> None:
    with BehindBroker(broker := mosquitto()) as centre:
        lines = played(broker.url, tmp_path / "s", "--stations", "beijing-gucheng,beijing-shunyi")
        assert lines[-1] == {"done": True, "sent": 144, "refused": 0}
        assert set(centre.books.reports) == {"beijing-gucheng", "beijing-shunyi"}


def test_replay_killed_again_and_again_loses_and_repeats_nothing(tmp_path: Path) -> None:
    with Listening() as centre:
        sent: list[int] = []
        for lines in (1, 9, 25):
            process = subprocess.Popen(
                replay(centre.url, tmp_path / "s"),
                stdout=subprocess.PIPE,
                text=True,
                env=environment(),
            )
            assert process.stdout is not None
            sent += [json.loads(process.stdout.readline())["sent"] for _ in range(lines)]
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
        rest = played(centre.url, tmp_path / "s")
        sent += [int(str(line["sent"])) for line in rest]
        assert sent == sorted(sent)
        assert sent[-1] == 864
        assert keys(centre.books.reports) == {
            (name, moment)
            for name in centre.books.reports
            for _, moment in keys(centre.books.reports)
        }
        # What was confirmed and not yet noted when the process was killed may come twice.
        assert 864 <= count(centre.books.reports) <= 864 + 3 * 12


def test_replay_goes_on_when_the_centre_is_killed(tmp_path: Path) -> None:
    centre = Listening()
    with centre:
        process = subprocess.Popen(
            replay(centre.url, tmp_path / "s"), stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert process.stdout is not None
        for _ in range(10):
            process.stdout.readline()
    with centre:
        last = process.stdout.read().splitlines()[-1]
        assert process.wait(30) == 0
        process.stdout.close()
    assert json.loads(last) == {"done": True, "sent": 864, "refused": 0}
    assert len(keys(centre.books.reports)) == 864


def test_replay_counts_refused_readings_as_confirmed(tmp_path: Path, mosquitto: Start) -> None:
    broker = mosquitto()
    path = folder(tmp_path / "e", a=[hour(h, f"{h},0") for h in range(6)])
    with BehindBroker(broker, refuse=lambda report: report.time.hour >= 4) as centre:
        lines = played(broker.url, tmp_path / "s", event=path)
    assert lines[-1] == {"done": True, "sent": 6, "refused": 2}
    assert [line["refused"] for line in lines[:6]] == [0, 0, 0, 0, 1, 2]
    assert count(centre.books.reports) == 4


def test_replay_gives_up_with_a_clear_message(tmp_path: Path) -> None:
    url = f"mqtt://127.0.0.1:{free_port()}"
    path = folder(tmp_path / "e", a=[hour(1, "1,0")])
    done = run(
        "replay", "--event", path, "--broker", url, "--state", tmp_path / "s", "--patience", 1
    )
    assert done.returncode == 1
    assert "Gave up: for 1 s no reading was confirmed, 1 are waiting (tcp: " in done.stderr
    assert done.stdout == ""


def test_replay_refuses_the_state_of_another_event(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", a=[hour(1, "1,0")])
    two = folder(tmp_path / "two", a=[hour(2, "1,0")])
    with Listening() as centre:
        played(centre.url, tmp_path / "s", event=one)
        options = ("--broker", centre.url, "--state", tmp_path / "s")
        done = run("replay", "--event", two, *options)
    assert done.returncode == 1
    assert "holds the progress of another event" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_replay_cleanly(tmp_path: Path, mosquitto: Start, number: int) -> None:
    broker = mosquitto()
    with BehindBroker(broker) as centre:
        process = subprocess.Popen(
            [*replay(broker.url, tmp_path / "s", "--stations", "beijing-gucheng"), "--pace", "60"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["step"] == 1
        process.send_signal(number)
        assert process.wait(10) == 130
        process.stdout.close()
        eventually(lambda: centre.status["beijing-gucheng"][-1]["state"] == "offline")
    assert not list((tmp_path / "s").glob("*-wal"))


def test_simulate_sends_as_many_as_asked(tmp_path: Path) -> None:
    with Listening() as centre:
        done = run(
            "simulate", "--station", "sim-1", "--broker", centre.url, "--interval", 1,
            "--count", 2, "--state", tmp_path, LC_ALL="zh_CN.UTF-8",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "完成：已确认 2 条观测" in done.stderr
        assert len(centre.books.reports["sim-1"]) == 2


STATION = """
station = "a"
[broker]
url = "{url}"
[driver]
name = "table"
[driver.options]
path = "log.csv"
poll = 0.05
[driver.options.time]
column = "time"
zone = "UTC"
marks = "end"
interval = 60
[driver.options.elements.air_temperature]
column = "T"
"""


def test_run_follows_a_table_until_it_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("time,T\n2026-07-20T08:01Z,1\n")
    with Listening() as centre:
        (tmp_path / "station.toml").write_text(STATION.format(url=centre.url))
        for round_ in (1, 2):
            process = subprocess.Popen(
                command("run", "--config", tmp_path / "station.toml"), env=environment()
            )
            with log.open("a") as file:
                file.write(f"2026-07-20T08:1{round_}Z,{round_}\n")
            eventually(lambda n=round_ + 1: len(centre.books.reports.get("a", [])) == n)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        times = [time[11:16] for time in centre.books.times("a")]
        assert sorted(times) == ["08:01", "08:11", "08:12"]


def test_run_with_a_wrong_configuration_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(STATION.format(url="http://x"))
    done = run("run", "--config", tmp_path / "station.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert "broker.url: 'http://x' is no address" in done.stderr


def lines(text: str) -> dict[str, str]:
    """Give the state of each layer by its title."""
    found = [line.partition(": ") for line in text.splitlines() if not line.startswith(" ")]
    return {title: rest.partition(" · ")[0] for title, _, rest in found if rest}


def test_doctor_finds_all_well(tmp_path: Path, mosquitto: Start) -> None:
    (tmp_path / "log.csv").write_text("time,T\n2026-07-20T08:01Z,1\n")
    with Listening() as centre:
        (tmp_path / "station.toml").write_text(STATION.format(url=centre.url))
        done = run("doctor", "--config", tmp_path / "station.toml")
        assert done.returncode == 0, done.stdout
        assert set(lines(done.stdout).values()) == {"ok"}
        assert len(lines(done.stdout)) == 11
        assert "means that the database has it" in done.stdout
        assert not centre.books.reports
    broker = mosquitto()
    (tmp_path / "station.toml").write_text(STATION.format(url=broker.url))
    done = run("doctor", "--config", tmp_path / "station.toml")
    assert done.returncode == 0, done.stdout
    assert "the centre confirms on fenghuo/v1/a/ack" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "failed", "advice"),
    [
        ('station = "a"', 'station = "a b"', "Configuration", "Correct the key"),
        ("log.csv", "none.csv", "Driver", "Check the instrument"),
        ("mqtt://127.0.0.1", "mqtt://nowhere.invalid", "Name", "DNS"),
        ("PORT", "FREE", "Connection", "firewall"),
        ("mqtt://", "mqtts://", "TLS", "authority"),
    ],
)
def test_doctor_names_the_layer_that_fails(
    tmp_path: Path, mosquitto: Start, *, old: str, new: str, failed: str, advice: str
) -> None:
    broker = mosquitto()
    (tmp_path / "log.csv").write_text("time,T\n2026-07-20T08:01Z,1\n")
    text = STATION.format(url="mqtt://127.0.0.1:PORT").replace(old, new)
    text = text.replace("PORT", str(broker.port)).replace("FREE", str(free_port()))
    (tmp_path / "station.toml").write_text(text)
    done = run("doctor", "--config", tmp_path / "station.toml")
    assert done.returncode == 1
    states = lines(done.stdout)
    assert [title for title, state in states.items() if state == "FAILED"] == [failed]
    assert advice in done.stdout
    assert f"1 of {len(states)} checks failed." in done.stdout


def test_doctor_names_a_wrong_password_in_chinese(tmp_path: Path, mosquitto: Start) -> None:
    broker = mosquitto("allow_anonymous false")
    (tmp_path / "log.csv").write_text("time,T\n2026-07-20T08:01Z,1\n")
    (tmp_path / "station.toml").write_text(STATION.format(url=broker.url))
    done = run(
        "doctor", "--config", tmp_path / "station.toml",
        LC_ALL="zh_CN.UTF-8", FENGHUO_AGENT_PASSWORD="wrong",
    )  # fmt: skip
    assert done.returncode == 1
    assert "登录: 失败" in done.stdout
    assert "请检查用户名和密码" in done.stdout


def test_doctor_looks_while_the_agent_runs(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("time,T\n2026-07-20T08:01Z,1\n")
    with Listening() as centre:
        (tmp_path / "station.toml").write_text(STATION.format(url=centre.url))
        process = subprocess.Popen(
            command("run", "--config", tmp_path / "station.toml"), env=environment()
        )
        eventually(lambda: centre.books.reports.get("a"))
        done = run("doctor", "--config", tmp_path / "station.toml")
        assert done.returncode == 0, done.stdout
        assert "in use by the running agent" in done.stdout
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
