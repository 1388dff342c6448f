"""How the back office is opened, also where it can't be just now."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Thread
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
from tests.postgres import Server
from tests.provider.test_worker import until


def test_a_server_s_process_waits_for_a_database_that_is_away(
    postgres_server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"away_{uuid4().hex}"
    settings = Settings.read({"PROVIDER_DATA": str(tmp_path), "PROVIDER_DATABASE_URL": postgres_server.at(name)})
    opened: list[Office] = []
    opening = Thread(target=lambda: opened.append(bootstrap_when_it_can(settings, pause=0.05)), daemon=True)
    opening.start()
    until(lambda: "a database is away, locked or full" in caplog.text)
    assert not opened

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


def test_damage_to_the_files_on_the_desk_is_no_reason_to_begin(office: Office) -> None:
    with writing(office._engines["desk"]) as connection:
        connection.execute(text("ALTER TABLE staged_imports RENAME TO elsewhere"))
    with pytest.raises(DatabaseError):
        destroy_what_expired(office)
