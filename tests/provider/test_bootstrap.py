"""How the back office is opened, also where it can't be just now."""

from __future__ import annotations

import gc
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from time import sleep
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, OperationalError

from provider.bootstrap import bootstrap, bootstrap_when_it_can, destroy_what_expired
from provider.durable import writing
from provider.office import Office
from provider.outage import passing
from provider.settings import Settings
from tests.conftest import Clock
from tests.faults.office import outsider
from tests.postgres import Server
from tests.provider.test_worker import until
from tests.stores import file_of


def test_a_server_s_process_waits_for_a_database_that_is_away(
    postgres_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"away_{uuid4().hex}"
    settings = Settings.read({"PROVIDER_DATA": str(tmp_path), "PROVIDER_DATABASE_URL": postgres_server.at(name)})
    opened: list[Office] = []
    opening = Thread(target=lambda: opened.append(bootstrap_when_it_can(settings, pause=0.05)), daemon=True)
    opening.start()

    def told() -> list[bool]:
        return [bool(record.exc_info) for record in caplog.records if "begins when it can" in record.message]

    until(lambda: bool(told()))
    sleep(0.3)
    assert not opened
    # It is tried twenty times a second, and said once, and then once a minute.
    assert told() == [True]
    monkeypatch.setattr("provider.bootstrap.A_MINUTE", 0.0)
    until(lambda: len(told()) > 1)
    assert set(told()[1:]) == {False}

    postgres_server.make(name=name)
    opening.join(20)
    assert opened[0].log.position() == 0
    opened[0].close()
    postgres_server.drop(name)


def test_a_server_s_process_does_not_wait_for_what_never_comes(tmp_path: Path) -> None:
    with closing(bootstrap(settings := Settings.read({"PROVIDER_DATA": str(tmp_path)}))):
        pass
    settings.store("events").write_bytes(b"This was a database once. " * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        bootstrap_when_it_can(settings)


@pytest.mark.sqlite
def test_a_server_s_process_that_waits_for_a_disk_has_no_more_files_open_each_time(
    office: Office, clock: Clock
) -> None:
    office.close()
    file_of(office.settings, "views").unlink()
    with no_file_longer_than(100_000):
        opened = []
        for _ in range(4):
            with pytest.raises((sqlite3.OperationalError, OperationalError)) as full:
                bootstrap(office.settings, clock)
            assert passing(full.value)
            del full
            gc.collect()
            opened.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
    assert opened[1:] == opened[:1] * 3
    bootstrap(office.settings, clock).close()


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let this process write no longer files in a `with`, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_may_pass_is_told_from_what_does_not_though_its_error_is_wrapped() -> None:
    full, away, gone = psycopg.errors.DiskFull(), psycopg.OperationalError(), psycopg.errors.UndefinedTable()
    for wrapped in (lambda error: error, lambda error: OperationalError("INSERT", {}, error)):
        assert [passing(wrapped(error)) for error in (full, away, gone)] == [True, True, False]


@pytest.mark.sqlite
def test_a_server_s_process_begins_though_what_expired_cannot_be_destroyed(
    office: Office, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    staged = office.desk.stage(course=uuid4(), content=b"Ada")
    clock.move(hours=25)
    with office._engines["desk"].connect() as connection:
        # The one connection of its pool takes no writes from here on, as on a disk that does not.
        connection.exec_driver_sql("PRAGMA query_only=ON")
    destroy_what_expired(office)
    assert "files that have expired could not be destroyed" in caplog.text
    with office._engines["desk"].connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
    assert office.desk.sweep() == 1
    assert office.desk.staged(staged.id) is None


@pytest.mark.sqlite
def test_a_server_s_process_begins_though_somebody_reads_what_expired(
    settings: Settings, founded: object, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("provider.durable._WAIT", 0.05)
    caplog.set_level("INFO")
    with closing(bootstrap(settings, clock)) as office:
        office.desk.stage(course=uuid4(), content=b"Ada")
        clock.move(hours=25)
        with outsider(settings.store("desk"), "BEGIN", "SELECT count(*) FROM staged_imports"):
            destroy_what_expired(office)
        assert "somebody reads for long" in caplog.text


def test_damage_to_the_files_on_the_desk_is_no_reason_to_begin(office: Office) -> None:
    with writing(office._engines["desk"]) as connection:
        connection.execute(text("ALTER TABLE staged_imports RENAME TO elsewhere"))
    with pytest.raises(DatabaseError):
        destroy_what_expired(office)
