"""The sample files in ``deploy/config`` are true: they load, and tell the present defaults."""

import shutil
import tomllib
from pathlib import Path

import msgspec
import trustme

from agent import config
from agent.drivers.table import Options
from server.settings import Settings, load

FOLDER = Path(__file__).parents[2] / "deploy/config"


def test_the_sample_of_the_centre_names_every_setting_with_its_default() -> None:
    file = FOLDER / "fenghuo.toml"
    assert load(file, {}) == Settings()
    table = tomllib.loads(file.read_text("utf-8"))
    assert table == msgspec.json.decode(msgspec.json.encode(Settings()))


def test_the_sample_of_a_station_is_understood(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "centre.pem")
    (tmp_path / "station.key").write_text("key\n", "ascii")
    shutil.copy(FOLDER / "station.toml", tmp_path)
    found = config.load(tmp_path / "station.toml", {})
    assert found.broker.encrypted
    assert msgspec.convert(found.driver.options, Options).elements
