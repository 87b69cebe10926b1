"""Settings: four layers, one frozen struct, and errors that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config import Config, settings
from edge.errors import SettingError
from edge.settings import host_and_port, load


def test_defaults_are_good_enough_to_start_with() -> None:
    assert load() == Config()


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('port = 1\nworkers = 2\nchannel = "staging"\n')

    config = load(
        {"port": "3", "workers": None}, {"EDGEWISE_PORT": "2", "EDGEWISE_WORKERS": "4"}, file
    )

    assert (config.port, config.workers, config.channel) == (3, 4, "staging")


def test_text_becomes_numbers_truth_and_lists() -> None:
    environ = {
        "EDGEWISE_DEV": "true",
        "EDGEWISE_POLL_INTERVAL_S": "0.5",
        "EDGEWISE_ORIGINS": "https://a.example, https://b.example",
        "EDGEWISE_UNKNOWN_TO_US": "is for somebody else",
        "HOME": "/root",
    }

    config = load({}, environ)

    assert config.dev is True
    assert config.poll_interval_s == 0.5
    assert config.origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("flags", "environ", "message"),
    [
        ({}, {"EDGEWISE_PORT": "many"}, "at EDGEWISE_PORT"),
        ({"workers": "0"}, {}, "expected workers >= 1, got 0"),
        ({"poll_interval_s": "0"}, {}, "expected poll_interval_s > 0, got 0"),
        ({"log_file_s": "86401"}, {}, "expected log_file_s <= 86400, got 86401"),
        ({"log_bytes": "30000000"}, {}, "expected log_bytes >= 33554432, a file for each worker"),
        ({"mount": "ew/"}, {}, "expected mount to start with /"),
        ({"admin": "8081"}, {}, "expected HOST:PORT, got '8081'"),
        ({"opt_out_grants": "sensitive"}, {}, "expected some of functional, .*, got 'sensitive'"),
        ({"opt_out_grants": "analytics"}, {}, "expected consent_days >= 365, .* got 182"),
        ({"profile_days": "391"}, {}, "expected 0 < profile_days <= 390, got 391"),
        ({"profile_days": "0"}, {}, "expected 0 < profile_days <= 390, got 0"),
        ({"recognised_days": "-1"}, {}, "expected 0 <= recognised_days <= 390, got -1"),
        ({"gpc": "off"}, {}, "expected one of marketing, strict, got 'off' - at gpc"),
        ({"tcf_vendor": "65536"}, {}, "expected 0 <= tcf_vendor < 65536, got 65536"),
        ({"origins": "https://a.example/"}, {}, "expected an origin such as .* - at origins"),
        ({"origins": "https://a.example, *"}, {}, "got '\\*' - at origins"),
        ({"origins": "https://A.example"}, {}, "got 'https://A.example' - at origins"),
        ({"prot": "1"}, {}, "expected a setting, got 'prot' - at --prot"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(
    flags: dict[str, str], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        load(flags, environ)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = ", "expected TOML"),
        ("prot = 8080", "expected a setting, got 'prot' - at prot in"),
        ("port = [1]", "at port in"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(text)

    with pytest.raises(SettingError, match=message):
        load(file=file)


def test_a_settings_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="expected a settings file, got No such file"):
        load(file=tmp_path / "none.toml")


def test_every_setting_has_a_reason_and_two_spellings() -> None:
    for setting in settings():
        assert setting.reason, setting.name
        assert setting.flag.startswith("--")
        assert setting.variable == f"EDGEWISE_{setting.name.upper()}"


def test_paths_and_names_follow_from_the_settings() -> None:
    config = Config(cache="/c", node="edge-1/paris", mount="/x", cookie_path="")

    assert config.node_name == "edge_1_paris"
    assert config.cookies_at == "/x"
    assert (config.run_dir, config.event_dir) == (Path("/c/run"), Path("/c/events"))
    assert Config(cookie_path="/").cookies_at == "/"
    assert Config().node_name


def test_an_address_is_a_host_and_a_port() -> None:
    assert host_and_port("[::1]:9") == ("::1", 9)
