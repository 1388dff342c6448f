"""Backup and the files with which an institution runs it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from projections import directory
from provider.bootstrap import bootstrap
from provider.office import Office
from provider.settings import Settings

DEPLOY = Path(__file__).parent.parent / "deploy"


@pytest.fixture
def backup(tmp_path: Path, office: Office) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Back the test's office up, with further arguments."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, DEPLOY / "backup.py", office.settings.data, office.settings.keys_dir),
                *(tmp_path / "copies", tmp_path / "copies-of-keys", *arguments),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


Backup = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.sqlite
def test_copies_of_a_running_office_make_an_office_with_the_same_history_and_names(
    backup: Backup, office: Office, person: Callable[..., UUID], tmp_path: Path
) -> None:
    grace = person("Grace", "Hopper")
    done = backup()
    assert done.returncode == 0, done.stderr
    person("Too", "Late")
    copies, copies_of_keys = map(Path, done.stdout.split())

    restored = bootstrap(
        Settings.read({"PROVIDER_DATA": str(copies), "PROVIDER_KEYS_DIR": str(copies_of_keys)}), office.clock
    )
    try:
        end = restored.log.position()
        assert end == office.log.position() - 1
        assert restored.log.entries.page(0, 1000) == office.log.entries.page(0, 1000)[:end]
        with restored.views.reading() as read:
            shown = directory.person(read, grace)
        assert shown is not None
        assert restored.vault.open_one(shown["given"]) == "Grace"
        assert restored.views.verify() == []
    finally:
        restored.close()


@pytest.mark.sqlite
def test_the_keys_are_nowhere_in_the_other_copies(backup: Backup, office: Office, tmp_path: Path) -> None:
    assert backup().returncode == 0

    assert {each.name for each in (tmp_path / "copies").rglob("*.sqlite")} == {
        "events.sqlite",
        "vault.sqlite",
        "desk.sqlite",
    }
    assert [each.name for each in (tmp_path / "copies-of-keys").rglob("*.sqlite")] == ["keys.sqlite"]
    with sqlite3.connect(office.settings.store("keys")) as keys:
        secrets = [row[0] for row in keys.execute("SELECT secret FROM keys")]
    keys.close()
    assert secrets
    for copy in (tmp_path / "copies").rglob("*.sqlite"):
        assert not any(secret in copy.read_bytes() for secret in secrets)


def test_nobody_else_can_read_the_copies(backup: Backup, tmp_path: Path) -> None:
    backup()

    for made in (*(tmp_path / "copies").rglob("*"), *(tmp_path / "copies-of-keys").rglob("*")):
        assert made.stat().st_mode & 0o077 == 0


@pytest.mark.sqlite
def test_old_copies_go_those_of_keys_after_thirty_days_and_strangers_stay(backup: Backup, tmp_path: Path) -> None:
    for name, days in (("copies", 89), ("copies", 91), ("copies-of-keys", 29), ("copies-of-keys", 31)):
        made = datetime.now(UTC) - timedelta(days=days)
        (tmp_path / name / made.strftime("%Y-%m-%dT%H%M%SZ")).mkdir(parents=True)
    (tmp_path / "copies" / "readme").mkdir()
    done = backup()

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "copies").iterdir())) == 3
    assert (tmp_path / "copies" / "readme").is_dir()
    assert len(list((tmp_path / "copies-of-keys").iterdir())) == 2


@pytest.mark.parametrize("days", ["31", "0"])
def test_keys_are_not_kept_for_longer_than_erasure_allows(backup: Backup, tmp_path: Path, days: str) -> None:
    assert backup("--days-of-keys", days).returncode == 2
    assert not (tmp_path / "copies").exists()


def test_a_backup_that_fails_leaves_no_copy_that_looks_complete(backup: Backup, office: Office, tmp_path: Path) -> None:
    office.close()
    office.settings.store("vault").write_bytes(b"damaged" * 1000)
    done = backup()

    assert done.returncode == 1
    assert done.stderr.startswith("No backup was made: ")
    assert all(each.name.endswith(".part") for each in (tmp_path / "copies").iterdir())


def test_the_settings_of_the_service_are_accepted_and_fit_its_unit() -> None:
    lines = [line for line in (DEPLOY / "provider.env").read_text().splitlines() if not line.startswith("#")]
    settings = Settings.read(dict(line.split("=", 1) for line in lines))
    unit = (DEPLOY / "provider.service").read_text()
    backup = (DEPLOY / "provider-backup.service").read_text()

    assert settings.proxies == 1
    assert re.search(r"^StateDirectory=(.*)$", unit, re.MULTILINE)[1].split() == [
        settings.data.name,
        settings.keys_dir.name,
    ]
    assert f"{settings.data} {settings.keys_dir} " in backup
    for proxy in ("nginx.conf", "Caddyfile"):
        assert f"{settings.host}:{settings.port}" in (DEPLOY / proxy).read_text()


def test_the_proxy_does_not_log_what_the_program_does_not_log() -> None:
    formats = re.findall(r"log_format .*", (DEPLOY / "nginx.conf").read_text())

    assert formats
    for each in formats:
        assert not re.search(r"\$(request|request_uri|args|query_string|remote_addr|http_\w+)\b", each)
