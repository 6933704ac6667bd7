from pathlib import Path

import pytest

from server.settings import Settings, SettingsError, load, variables


def test_without_anything_the_defaults_hold() -> None:
    assert load(environment={}) == Settings()


def test_the_file_is_read_and_a_variable_wins_over_it(tmp_path: Path) -> None:
    file = tmp_path / "fenghuo.toml"
    file.write_text('zone = "Europe/Berlin"\n[web]\nport = 9000\nhost = "127.0.0.2"\n', "utf-8")
    found = load(file, {"FENGHUO_WEB_PORT": "9001", "FENGHUO_ALERTS_CHANNELS": "sms, voice"})
    assert (found.zone, found.web.port, found.web.host) == ("Europe/Berlin", 9001, "127.0.0.2")
    assert found.alerts.channels == ("sms", "voice")


def test_fenghuo_config_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fenghuo.toml"
    file.write_text("[ingest]\nbatch = 7\n", "utf-8")
    assert load(environment={"FENGHUO_CONFIG": str(file)}).ingest.batch == 7


def test_a_child_gets_exactly_the_same_settings() -> None:
    settings = load(
        environment={
            "FENGHUO_INGEST_ANONYMOUS": "true",
            "FENGHUO_INGEST_LINGER": "0.02",
            "FENGHUO_ALERTS_AGENCY_ZH": "唐山市气象台",
            "FENGHUO_STORE_DAY_ENDS": "20:00",
        }
    )
    assert load(environment=variables(settings)) == settings


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[web]\nprot = 1\n", "prot"),
        ("[web]\nport = 70000\n", "65535"),
        ("web = 1\n", "[web]"),
        ('zone = "Mars/Olympus"\n', "Mars/Olympus"),
        ('[ingest]\nearliest = "soon"\n', "2001-01-01"),
        ('[store]\nday_ends = ["eight"]\n', "20:00"),
        ('[ingest]\nanonymous = true\nhost = "0.0.0.0"\n', "loopback"),
        ('[ingest]\ntls_key = "key.pem"\n', "go together"),
        ("[web\n", "fenghuo.toml"),
        ('[ingest]\nsource = "pigeon"\n', "pigeon"),
    ],
)
def test_a_wrong_setting_says_what_is_wrong(tmp_path: Path, toml: str, says: str) -> None:
    file = tmp_path / "fenghuo.toml"
    file.write_text(toml, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file, {})
    assert says in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load(tmp_path / "nowhere.toml", {})
