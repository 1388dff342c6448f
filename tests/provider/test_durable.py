"""The durable databases: private files, and tables that come to their newest form by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

import provider.durable
from provider.bootstrap import bootstrap
from provider.desk import DESK_TABLES
from provider.durable import newest, open_engine, upgrade, wipe_journal, writing
from provider.keys import KEYS_TABLES
from provider.schema import Place, Schema
from provider.settings import Settings
from provider.vault import VAULT_TABLES
from tests.provider.conftest import Places
from tests.stores import file_of

TABLES = {"vault": VAULT_TABLES, "keys": KEYS_TABLES, "desk": DESK_TABLES}


def upgraded(place: Place, name: str) -> str:
    """Upgrade as a starting process does."""
    upgrade({name: open_engine(place)})
    return "done"


@pytest.mark.parametrize("name", TABLES)
def test_the_migrations_make_exactly_the_tables_that_the_code_uses(place: Places, name):
    engine = open_engine(place("x"))

    upgrade({name: engine})
    upgrade({name: engine})

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), TABLES[name]) == []
    engine.dispose()


@pytest.mark.parametrize("name", TABLES)
def test_the_migrations_are_one_line_and_the_last_by_name_is_the_newest(name):
    config = Config()
    directory = Path(provider.durable.__file__).parent / "migrations"
    config.set_main_option("script_location", str(directory))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(directory / name))
    scripts = ScriptDirectory.from_config(config)

    revisions = list(scripts.walk_revisions())

    assert scripts.get_heads() == [newest(name)]
    assert len(revisions) == len(list((directory / name).glob("v*.py")))


@pytest.mark.slow
def test_four_processes_that_start_at_once_make_the_tables_once(place: Places):
    stores = [(place(f"x{number}"), name) for number, name in enumerate(list(TABLES) * 2)]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
        starts = [processes.submit(upgraded, where, name) for where, name in stores for _ in range(4)]
        assert [start.result() for start in starts] == ["done"] * 24
    for where, name in stores:
        engine = open_engine(where)
        with engine.connect() as connection:
            versions = list(connection.scalars(text("SELECT version_num FROM alembic_version")))
        engine.dispose()
        assert versions == [newest(name)]


def test_a_start_with_nothing_to_do_does_not_pay_for_alembic(place: Places):
    where = place("x")
    upgraded(where, "keys")
    said = ("Schema", where.url, where.name) if isinstance(where, Schema) else ("Path", str(where))
    program = (
        "import sys; from pathlib import Path; from provider.schema import Schema\n"
        "from provider.durable import open_engine, upgrade\n"
        "upgrade({'keys': open_engine({'Path': Path, 'Schema': Schema}[sys.argv[1]](*sys.argv[2:]))})\n"
        "sys.exit('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *said], check=False)
    assert done.returncode == 0


def test_a_migration_that_fails_leaves_nothing_behind(place: Places):
    engine = open_engine(place("x"))
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE erasures (x integer)")

    with pytest.raises((OperationalError, ProgrammingError)):
        upgrade({"keys": engine})

    tables = inspect(engine).get_table_names()
    engine.dispose()
    assert tables == ["erasures"]


def test_a_migration_that_failed_can_be_done_when_what_was_in_its_way_is_gone(place: Places):
    engine = open_engine(place("x"))
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE erasures (x integer)")
    with pytest.raises((OperationalError, ProgrammingError)):
        upgrade({"keys": engine})
    with writing(engine) as connection:
        connection.exec_driver_sql("DROP TABLE erasures")

    upgrade({"keys": engine})

    assert set(inspect(engine).get_table_names()) == {"alembic_version", *KEYS_TABLES.tables}
    engine.dispose()


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"this is a text, and not a database " * 100)
    with pytest.raises(Exception, match="not a database"):
        upgraded(tmp_path / "x.sqlite", "keys")


def test_files_and_directories_are_for_their_owner_only(tmp_path):
    file = tmp_path / "a" / "b" / "x.sqlite"
    engine = open_engine(file)
    upgrade({"desk": engine})
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM staged_imports")
        made = {each.name: each.stat().st_mode & 0o777 for each in file.parent.iterdir()}

    assert made == dict.fromkeys(("x.sqlite", "x.sqlite-wal", "x.sqlite-shm", "x.sqlite.lock"), 0o600)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    engine.dispose()


def test_all_that_an_office_keeps_is_for_its_owner_only(tmp_path):
    settings = Settings.read({"PROVIDER_DATA": str(tmp_path / "data")})
    mask = os.umask(0o022)
    try:
        office = bootstrap(settings)
    finally:
        os.umask(mask)
    modes = {each.name: each.stat().st_mode & 0o077 for each in settings.data.rglob("*.sqlite*")}
    office.close()
    assert {file_of(settings, name).name for name in ("events", "views", "vault", "keys", "desk")} <= modes.keys()
    assert not any(modes.values()), modes


def test_a_database_that_others_could_read_is_closed_to_them(tmp_path):
    file = tmp_path / "x.sqlite"
    file.touch(mode=0o644)
    file.chmod(0o644)
    open_engine(file)
    assert file.stat().st_mode & 0o777 == 0o600


def test_every_connection_is_durable_and_wipes_what_it_deletes(tmp_path):
    engine = open_engine(tmp_path / "x.sqlite")
    upgrade({"vault": engine})
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            found = {name: connection.scalar(text(f"PRAGMA {name}")) for name in expected}
            assert found == expected
    engine.dispose()


def test_a_transaction_that_reads_and_then_writes_never_finds_that_another_wrote(tmp_path):
    engine = open_engine(tmp_path / "x.sqlite")
    upgrade({"keys": engine})
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        jobs = [processes.submit(counted_up, tmp_path / "x.sqlite", 100) for _ in range(2)]
        for job in jobs:
            job.result()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count FROM erasures")) == 200
    engine.dispose()


def counted_up(file: Path, times: int) -> None:
    """Read and then write, in one transaction, so many times."""
    engine = open_engine(file)
    for _ in range(times):
        with writing(engine) as connection:
            count = connection.scalar(text("SELECT count FROM erasures"))
            connection.execute(text("UPDATE erasures SET count = :new"), {"new": count + 1})
    engine.dispose()


def test_an_emptied_journal_has_no_bytes(tmp_path):
    engine = open_engine(tmp_path / "x.sqlite")
    upgrade({"keys": engine})
    with engine.connect(), writing(engine) as connection:
        connection.exec_driver_sql("UPDATE erasures SET count = 5")
    journal = tmp_path / "x.sqlite-wal"
    assert journal.stat().st_size > 0
    wipe_journal(engine)
    assert journal.stat().st_size == 0
    engine.dispose()


def test_an_error_of_the_database_does_not_carry_the_values(place: Places):
    engine = open_engine(place("x"))
    upgrade({"vault": engine})
    insert = text("INSERT INTO private_values (commitment, sealed) VALUES ('c', :sealed)")
    with pytest.raises(IntegrityError) as raised, writing(engine) as connection:
        connection.execute(insert, {"sealed": b"Ada Lovelace"})
    said = str(raised.value)
    assert "Ada" not in said
    assert b"Ada".hex() not in said
    engine.dispose()


def test_a_connection_that_the_server_cut_is_made_anew(url: str):
    engine = open_engine(Schema(url, "keys"))
    upgrade({"keys": engine})
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count FROM erasures")) == 0
    engine.dispose()


def test_who_may_not_make_a_schema_uses_the_one_that_was_made(url: str):
    upgraded(Schema(url, "keys"), "keys")
    servant = f"servant_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute(f'CREATE ROLE "{servant}" LOGIN')
        administrator.execute(f'GRANT USAGE ON SCHEMA keys TO "{servant}"')
        administrator.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA keys TO "{servant}"')
    try:
        engine = open_engine(Schema(make_url(url).set(username=servant).render_as_string(False), "keys"))
        upgrade({"keys": engine})
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count FROM erasures")) == 0
        engine.dispose()
    finally:
        with psycopg.connect(url, autocommit=True) as administrator:
            administrator.execute(f'DROP OWNED BY "{servant}"')
            administrator.execute(f'DROP ROLE "{servant}"')


def test_who_makes_the_same_schema_at_the_same_time_has_it(url: str):
    made: list[int | None] = []

    def look() -> None:
        engine = open_engine(Schema(url, "keys"))
        with engine.connect() as connection:
            made.append(connection.scalar(text("SELECT 1")))
        engine.dispose()

    with psycopg.connect(url) as other:
        other.execute("CREATE SCHEMA keys")
        looking = Thread(target=look, daemon=True)
        looking.start()
        looking.join(0.1)
        assert made == []
        other.commit()
        looking.join(10)

    assert made == [1]
