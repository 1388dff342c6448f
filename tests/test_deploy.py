"""The files with which an institution runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provider.settings import Settings

DEPLOY = Path(__file__).parent.parent / "deploy"


def settings_of_the_service() -> Settings:
    lines = [line for line in (DEPLOY / "provider.env").read_text().splitlines() if not line.startswith("#")]
    return Settings.read(dict(line.split("=", 1) for line in lines))


def said_by(unit: str, setting: str) -> str:
    """Return the value of a setting in a unit."""
    return re.search(rf"^{setting}=(.*)$", unit, re.MULTILINE)[1]


def test_the_settings_of_the_service_are_accepted_and_fit_its_unit() -> None:
    settings = settings_of_the_service()
    unit = (DEPLOY / "provider.service").read_text()

    assert settings.proxies == 1
    assert said_by(unit, "StateDirectory").split() == [settings.data.name, settings.keys_dir.name]
    for proxy in ("nginx.conf", "Caddyfile"):
        assert f"{settings.host}:{settings.port}" in (DEPLOY / proxy).read_text()


@pytest.mark.parametrize("name", ["backup", "sweep"])
def test_what_a_timer_calls_may_write_where_it_must_and_reach_what_the_service_may(name: str) -> None:
    settings = settings_of_the_service()
    unit = (DEPLOY / f"provider-{name}.service").read_text()
    called = set(re.findall(r" (/var/\S+)", said_by(unit, "ExecStart")))

    assert set(said_by(unit, "ReadWritePaths").split()) == {str(settings.data), str(settings.keys_dir), *called}
    for setting in ("IPAddressDeny", "IPAddressAllow", "RestrictAddressFamilies", "User", "EnvironmentFile"):
        assert said_by(unit, setting) == said_by((DEPLOY / "provider.service").read_text(), setting)


def test_the_proxy_does_not_log_what_the_program_does_not_log() -> None:
    formats = re.findall(r"log_format .*", (DEPLOY / "nginx.conf").read_text())

    assert formats
    for each in formats:
        assert not re.search(r"\$(request|request_uri|args|query_string|remote_addr|http_\w+)\b", each)
