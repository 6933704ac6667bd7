"""The embedded server: starts, recovers, refuses clearly, and never outlives its owner."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from server.store import embedded, programs
from server.store.child import IdentityError
from server.store.embedded import NEW_SPACE, OLD_SPACE, Embedded
from server.store.errors import EmbeddedError
from tests.support import eventually

FAST = {"fsync": "off"}
OWNER = """
import sys, time, psycopg
from pathlib import Path
from server.store.embedded import Embedded
server = Embedded(Path(sys.argv[1]))
with psycopg.connect(server.start(), autocommit=True) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS kept (n integer)")
    connection.execute("INSERT INTO kept VALUES (1)")
    print(server.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a server ran and was stopped; copied by those who spoil it."""
    folder = tmp_path_factory.mktemp("cluster") / "postgres"
    with Embedded(folder, options=FAST):
        pass
    return folder


@pytest.fixture
def folder(cluster: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "postgres"
    shutil.copytree(cluster, copy)
    return copy


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that runs a server in ``tmp_path / "owned"``, and the server's pid."""
    argv = [sys.executable, "-c", OWNER, str(tmp_path / "owned")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    return False


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row is not None
        return int(row[0])


def refusal(server: Embedded) -> EmbeddedError:
    with pytest.raises(EmbeddedError) as caught:
        server.start()
    assert server.pid is None
    return caught.value


def test_data_are_there_at_the_second_start(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with Embedded(folder, options=FAST) as server, psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
        connection.execute("INSERT INTO kept VALUES (1), (2)")
    with Embedded(folder, options=FAST) as server:
        assert count(server.url) == 2
        assert server.start() == server.url  # a second call changes nothing


def test_only_its_owner_can_reach_it(folder: Path) -> None:
    with Embedded(folder, options=FAST) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        wrong = server.url.replace("fenghuo:", "fenghuo:x")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(wrong)
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("password", "run")}
    assert modes == {"password": 0o600, "run": 0o700}


def test_settings_of_ones_own_win(folder: Path) -> None:
    (folder / "local.conf").write_text("work_mem = '17MB'\njit = on\n")
    with Embedded(folder, options=FAST) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("17MB",)
        assert connection.execute("SHOW jit").fetchone() == ("on",)
        assert connection.execute("SHOW max_wal_size").fetchone() == ("1GB",)


def test_a_long_path_gets_a_short_socket(cluster: Path, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "postgres"
    shutil.copytree(cluster, folder)
    server = Embedded(folder, options=FAST)
    with server, psycopg.connect(server.url) as connection:
        assert Embedded.url_if_running(folder) == server.url
        place = Path(connection.info.host)
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not place.exists()


def test_another_process_finds_it_and_cannot_start_it(
    owner: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    process, _ = owner
    url = Embedded.url_if_running(tmp_path / "owned")
    assert url is not None
    assert count(url) == 1
    error = refusal(Embedded(tmp_path / "owned"))
    assert (error.code, error.values["pid"]) == ("running", str(process.pid))
    assert count(url) == 1  # and the refusal disturbed nothing


def test_nobody_finds_a_stopped_one(folder: Path, tmp_path: Path) -> None:
    assert Embedded.url_if_running(folder) is None
    assert Embedded.url_if_running(tmp_path / "never") is None
    server = Embedded(folder)
    server.stop()
    with pytest.raises(EmbeddedError) as caught:
        _ = server.url
    assert caught.value.code == "stopped"


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told on Linux only")
def test_it_dies_with_its_owner_and_recovers(
    owner: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    process, server_pid = owner
    process.kill()
    process.wait()
    with Embedded(tmp_path / "owned") as server:  # at once: it waits for the former one's end
        assert server.pid != server_pid
        assert count(server.url) == 1
    eventually(lambda: not alive(server_pid))


def test_it_recovers_when_the_server_itself_is_killed(
    owner: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    process, server_pid = owner
    os.kill(server_pid, signal.SIGKILL)
    eventually(lambda: not alive(server_pid))
    assert Embedded.url_if_running(tmp_path / "owned") is None
    process.kill()
    process.wait()
    assert (tmp_path / "owned/data/postmaster.pid").exists()
    with Embedded(tmp_path / "owned") as server:
        assert count(server.url) == 1


def test_a_pid_that_another_program_has_now_is_no_server(folder: Path) -> None:
    (folder / "data/postmaster.pid").write_text(f"{os.getpid()}\n{folder / 'data'}\n0\n5432\n\n")
    assert Embedded.url_if_running(folder) is None
    with Embedded(folder, options=FAST) as server:
        assert server.pid is not None


def test_an_interrupted_first_start_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    rest = folder / "data.new-1"
    rest.mkdir(parents=True)
    (rest / "PG_VERSION").write_text("18\n")
    with Embedded(folder, options=FAST) as server:
        assert server.pid is not None
    assert not rest.exists()


def test_a_half_written_data_directory_is_explained(tmp_path: Path) -> None:
    data = tmp_path / "postgres/data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    error = refusal(Embedded(tmp_path / "postgres"))
    assert (error.code, error.values["data"]) == ("half", data)
    assert "remove it" in str(error)
    assert list(data.iterdir()) == [data / "PG_VERSION"]  # nothing was touched


def test_another_version_is_explained(folder: Path) -> None:
    (folder / "data/PG_VERSION").write_text("12\n")
    error = refusal(Embedded(folder))
    assert (error.code, error.values["found"]) == ("version", "12")


def test_a_missing_password_is_explained(folder: Path) -> None:
    (folder / "password").unlink()
    assert refusal(Embedded(folder)).code == "secret"


@pytest.mark.parametrize(("first", "needed"), [(True, NEW_SPACE), (False, OLD_SPACE)])
def test_a_nearly_full_disk_is_explained(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool, needed: int
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40, needed - 1))
    error = refusal(Embedded(tmp_path / "new" if first else folder))
    assert (error.code, error.values["needed"]) == ("disk", needed // 2**20)


def test_a_disk_that_fills_up_is_explained(tmp_path: Path) -> None:
    """A real one: a small memory disk in a namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    program = """
import sys
from pathlib import Path
from server.store import embedded, programs
embedded.NEW_SPACE = 0
try:
    embedded.Embedded(Path(sys.argv[1])).start()
except embedded.EmbeddedError as error:
    print(error.code, sorted(file.name for file in Path(sys.argv[1]).iterdir()))
"""
    mount = 'mount -t tmpfs -o size=20m none "$1" && shift && exec "$@"'
    argv = ["unshare", "-Urm", "sh", "-c", mount, "sh", str(disk)]
    argv += [sys.executable, "-c", program, str(disk / "postgres")]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr}")
    assert done.stdout.startswith("disk "), done.stderr
    assert "data" not in done.stdout.replace("data.new", "").split("'")


def test_wrong_settings_are_explained(folder: Path) -> None:
    (folder / "local.conf").write_text("no_such_setting = 1\n")
    error = refusal(Embedded(folder))
    assert error.code == "failed"
    assert "no_such_setting" in str(error) or "local.conf" in str(error)


def test_missing_programs_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "wheel", lambda: None)
    assert refusal(Embedded(tmp_path / "postgres")).code == "binaries"


def test_no_way_around_root_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(program: Path, folder: Path) -> str:
        raise IdentityError(f"{program.name} {folder.name}")

    monkeypatch.setattr(embedded, "identity", none)
    assert refusal(Embedded(tmp_path / "postgres")).code == "root"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_can_run_it_as_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way for machines without user namespaces."""

    def nobody(program: Path, folder: Path) -> str:
        assert program.name == "postgres"
        os.chown(folder, 65534, 65534)
        return "65534:65534"

    monkeypatch.setattr(embedded, "identity", nobody)
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        folder = Path(open_to_all) / "postgres"
        for _ in range(2):
            with Embedded(folder, options=FAST) as server, psycopg.connect(server.url) as found:
                assert found.execute("SELECT 1").fetchone() == (1,)
        assert (folder / "data").stat().st_uid == 65534
