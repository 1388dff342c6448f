"""The environment is read once, checked as a whole, and told apart from typing errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.settings import Settings, SettingsError


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.read(environ)
    return raised.value.problems


def test_without_any_variable_everything_has_a_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    settings = Settings.read({"PATH": "/bin", "HOME": "/root"})

    assert settings.data == tmp_path / "data"
    assert settings.keys_dir == tmp_path / "data" / "keys"
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.workers, settings.threads, settings.proxies) == (4, 4, 0)
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.log_level == "INFO"
    assert not settings.data.exists()


def test_every_variable_is_taken(tmp_path):
    settings = Settings.read(
        {
            "PROVIDER_DATA": str(tmp_path / "d"),
            "PROVIDER_KEYS_DIR": str(tmp_path / "k"),
            "PROVIDER_BIND": "::1",
            "PROVIDER_PORT": "81",
            "PROVIDER_WORKERS": "3",
            "PROVIDER_THREADS": "4",
            "PROVIDER_BASE_URL": "https://training.example.org/office/",
            "PROVIDER_PROXIES": "1",
            "PROVIDER_LOG_LEVEL": "debug",
        }
    )

    assert settings.store("vault") == tmp_path / "d" / "vault.sqlite"
    assert settings.store("keys") == tmp_path / "k" / "keys.sqlite"
    assert (settings.host, settings.port, settings.workers, settings.threads) == ("::1", 81, 3, 4)
    assert settings.base_url == "https://training.example.org/office"
    assert (settings.proxies, settings.log_level) == (1, "DEBUG")


def test_the_address_is_made_from_host_and_port_where_none_is_given():
    assert Settings.read({"PROVIDER_PORT": "99"}).base_url == "http://127.0.0.1:99"
    assert Settings.read({"PROVIDER_BIND": "::1"}).base_url == "http://[::1]:8000"


def test_all_errors_are_told_at_once(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")

    lines = problems(
        {
            "PROVIDER_DATA": str(file),
            "PROVIDER_PORT": "70000",
            "PROVIDER_WORKERS": "two",
            "PROVIDER_BASE_URL": "sqlite:///x",
            "PROVIDER_THREADS": " ",
            "PROVIDER_PROT": "8000",
        }
    )

    assert [line.split()[0] for line in lines] == [
        "PROVIDER_PROT",
        "PROVIDER_THREADS",
        "PROVIDER_DATA",
        "PROVIDER_PORT",
        "PROVIDER_WORKERS",
        "PROVIDER_BASE_URL",
    ]
    assert all(line.endswith((".", "?")) and "\n" not in line for line in lines)


def test_an_unknown_variable_is_an_error_and_a_near_one_is_named():
    assert problems({"PROVIDER_PROT": "1"}) == ["PROVIDER_PROT is not a setting; did you mean PROVIDER_PORT?"]
    assert problems({"PROVIDER_": "1"})
    assert problems({"PROVIDER_COLOUR_OF_THE_WALLS_FILE": "1"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROVIDER_PORT", "0"),
        ("PROVIDER_PORT", "-1"),
        ("PROVIDER_PORT", "8_0"),
        ("PROVIDER_PORT", "²"),
        ("PROVIDER_PORT", "9" * 5000),
        ("PROVIDER_WORKERS", "0"),
        ("PROVIDER_BIND", "127.0.0.1:8000"),
        ("PROVIDER_BIND", "300.1.1.1"),
        ("PROVIDER_BIND", "a b"),
        ("PROVIDER_BASE_URL", "training.example.org"),
        ("PROVIDER_BASE_URL", "https://"),
        ("PROVIDER_BASE_URL", "https://host:99999"),
        ("PROVIDER_BASE_URL", "https://ada:secret@host"),
        ("PROVIDER_BASE_URL", "https://host/?a=b"),
        ("PROVIDER_BASE_URL", "https://ho st"),
        ("PROVIDER_BASE_URL", "https://[::1"),
        ("PROVIDER_LOG_LEVEL", "LOUD"),
        ("PROVIDER_DATA", "a\0b"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(variable, value):
    [line] = problems({variable: value})
    assert line.startswith(variable)
    assert "secret" not in line


def test_a_value_may_lie_in_a_file_and_is_then_masked(tmp_path):
    file = tmp_path / "address"
    file.write_text("https://hidden.example.org\n")

    settings = Settings.read({"PROVIDER_BASE_URL_FILE": str(file), "PROVIDER_PORT": "81"})

    assert settings.base_url == "https://hidden.example.org"
    lines = {line.variable: line for line in settings.describe()}
    assert lines["PROVIDER_BASE_URL"].value == "********"
    assert lines["PROVIDER_BASE_URL"].source == str(file)
    assert (lines["PROVIDER_PORT"].value, lines["PROVIDER_PORT"].source) == ("81", "environment")
    assert (lines["PROVIDER_WORKERS"].value, lines["PROVIDER_WORKERS"].source) == ("4", "default")
    assert len(lines) == 11


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x80")

    for file in (tmp_path / "absent", tmp_path, binary):
        [line] = problems({"PROVIDER_PORT_FILE": str(file)})
        assert line.startswith("PROVIDER_PORT_FILE names")


def test_a_value_and_its_file_together_are_an_error(tmp_path):
    file = tmp_path / "port"
    file.write_text("81")
    assert problems({"PROVIDER_PORT": "82", "PROVIDER_PORT_FILE": str(file)}) == [
        "PROVIDER_PORT and PROVIDER_PORT_FILE are both given; give one of them."
    ]


def test_keys_never_lie_beside_what_they_open(tmp_path):
    [line] = problems({"PROVIDER_DATA": str(tmp_path), "PROVIDER_KEYS_DIR": str(tmp_path / "x" / "..")})
    assert "PROVIDER_KEYS_DIR" in line


def test_settings_never_change():
    settings = Settings.read({})
    with pytest.raises(AttributeError):
        settings.port = 1
    assert Path(settings.data).is_absolute()
