"""How the back office is opened, also where it can't be just now."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Thread
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from provider.bootstrap import bootstrap, bootstrap_when_it_can
from provider.office import Office
from provider.outage import passing
from provider.settings import Settings
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
