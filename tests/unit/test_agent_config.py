import ssl
from pathlib import Path

import pytest

from agent import config
from agent.config import VARIABLE, ConfigError

GOOD = """
station = "0-20000-0-54511"
[broker]
url = "mqtt://centre.example:1884"
[driver]
name = "simulator"
[driver.options]
interval = 10
"""


def write(tmp_path: Path, text: str = GOOD) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_and_paths_beside_the_file(tmp_path: Path) -> None:
    found = config.load(write(tmp_path), {})
    assert found.broker.address == ("centre.example", 1884)
    assert (found.broker.username, found.broker.password) == ("", "")
    assert found.broker.context() is None
    assert found.spool_path == tmp_path / "spool.sqlite"
    assert (found.driver.name, found.driver.options) == ("simulator", {"interval": 10})


@pytest.mark.parametrize(
    ("url", "address"),
    [("mqtt://h", ("h", 1883)), ("mqtts://h", ("h", 8883)), ("mqtt://[::1]:9", ("::1", 9))],
)
def test_ports_go_without_saying(tmp_path: Path, url: str, address: tuple[str, int]) -> None:
    text = GOOD.replace("mqtt://centre.example:1884", url)
    assert config.load(write(tmp_path, text), {}).broker.address == address


@pytest.mark.parametrize(
    ("content", "environment", "password"),
    [
        ("secret\n", {}, "secret"),
        ("x:other\n0-20000-0-54511: secret\n", {}, "secret"),
        ("a:b\n", {}, "a:b"),
        ("secret\n", {VARIABLE: "stronger"}, "stronger"),
    ],
)
def test_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, content: str, environment: dict[str, str], password: str
) -> None:
    (tmp_path / "key").write_text(content)
    text = GOOD.replace("[driver]", 'password_file = "key"\n[driver]')
    found = config.load(write(tmp_path, text), environment)
    assert (found.broker.username, found.broker.password) == ("0-20000-0-54511", password)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('station = "0-20000-0-54511"\n', "", "missing required field `station`"),
        ("0-20000-0-54511", "a b", "station: 'a b' cannot be an id"),
        ("mqtt://centre.example:1884", "centre.example", "broker.url: .* write mqtt://host:1883"),
        ("mqtt://centre.example:1884", "http://centre", "broker.url"),
        ("mqtt://centre.example:1884", "mqtt://h:99999", "broker.url"),
        ("mqtt://centre.example:1884", "mqtt://h/topic", "broker.url"),
        ("mqtt://centre.example:1884", "mqtt://u:p@h", "keep the password out"),
        ("[driver]", "keepalive = 1\n[driver]", "`broker.keepalive`"),
        ("[driver]", "versoin = 5\n[driver]", "unknown field `versoin` - at `broker`"),
        ("[driver]", 'version = "4"\n[driver]', "'4' - at `broker.version`"),
        ("[driver]", 'authority = "ca.pem"\n[driver]', "write mqtts://"),
        ("[driver]", 'password_file = "none"\n[driver]', "broker.password_file: .*none"),
        ("[driver]", 'certificate = "c.pem"\n[driver]', "go together"),
        ("[driver]", "[spool]\nlimit = 0\n[driver]", "`spool.limit`"),
        ('name = "simulator"', "", "missing required field `name` - at `driver`"),
        ("[driver.options]", "[driver.options", "line "),
        ("[broker]", 'folder = "x"\n[broker]', "folder: no such key"),
    ],
)
def test_wrong_configuration_names_the_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        config.load(path, {})
    assert str(caught.value).startswith(str(path))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"station\.toml: not there"):
        config.load(tmp_path / "station.toml", {})
    text = GOOD.replace("mqtt://", "mqtts://").replace("[driver]", 'authority = "ca.pem"\n[driver]')
    with pytest.raises(ConfigError, match=r"broker\.authority: the file .*ca\.pem is not there"):
        config.load(write(tmp_path, text), {})


def test_password_of_another_station_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a:one\nb:two\n")
    text = GOOD.replace("[driver]", 'password_file = "key"\n[driver]')
    with pytest.raises(ConfigError, match="no password for 0-20000-0-54511"):
        config.load(write(tmp_path, text), {})


def test_tls_context_checks_the_centre(tmp_path: Path) -> None:
    found = config.load(write(tmp_path, GOOD.replace("mqtt://", "mqtts://")), {})
    context = found.broker.context()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    (tmp_path / "ca.pem").write_text("no certificate")
    text = GOOD.replace("mqtt://", "mqtts://").replace("[driver]", 'authority = "ca.pem"\n[driver]')
    with pytest.raises(ConfigError, match=r"broker\.authority"):
        config.load(write(tmp_path, text), {}).broker.context()
