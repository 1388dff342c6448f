"""Settings that lead nowhere, or to what is not ours: one clear sentence, and nothing is written."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from provider.at_rest import NotAtRest, to_be_read
from provider.beforehand import Unusable, look
from provider.contents import copy_file
from provider.office import Office
from provider.schema import Schema
from provider.settings import Settings
from provider.views import place_of_views
from tests.postgres import Server, looked_up
from tests.provider.conftest import Call, Said, done_to
from tests.provider.pooler import pooled
from tests.stores import file_of

SECRET = "correct-horse"
COMMANDS = [("views", "verify"), ("course", "list"), ("serve",)]
STORES = ("events", "vault", "keys", "desk")

each_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)


Run = Callable[..., Said]


class Served(Exception):
    """It would have served."""


@pytest.fixture
def run(provider: Call, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with these settings: `run(("course", "list"), PROVIDER_DATA=…)`."""

    def served(*_: Any) -> None:
        raise Served

    monkeypatch.setattr(os, "execve", served)

    def call(command: tuple[str, ...], **environ: str | Path | None) -> Said:
        return provider(*command, *(("--port", str(free_port())) if command == ("serve",) else ()), **environ)

    return call


@pytest.fixture
def closed(office: Office) -> Settings:
    """The settings of an institution that nobody has opened."""
    office.close()
    return office.settings


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def environ(settings: Settings, **more: str | Path) -> dict[str, str | Path | None]:
    return {"PROVIDER_DATA": settings.data, "PROVIDER_DATABASE_URL": settings.database_url, **more}


def is_one_sentence(said: Said, status: int, *words: str) -> None:
    """Check that a command was refused with this status, in a line that says what is wrong and what to do."""
    assert (said.status, said.out) == (status, ""), said
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1, said.err
    assert said.err.endswith(".\n")
    assert "mistake in the program" not in said.err
    assert SECRET not in said.err
    for word in words:
        assert word in said.err


def contents(settings: Settings) -> dict[str, Any]:
    """Return all that an institution's durable stores hold."""
    said: dict[str, Any] = {}
    for store, tables in {
        "events": ("stored_events", "idempotency"),
        "vault": ("private_values", "alembic_version"),
        "keys": ("keys", "erasures", "alembic_version"),
        "desk": ("alembic_version",),
    }.items():
        place = settings.place(store)
        if isinstance(place, Path) and not place.exists():
            continue
        for table in tables:
            said[f"{store}.{table}"] = sorted(looked_up(settings, store, f"SELECT * FROM {table}"))
    return said


def with_password(url: str, user: str = "postgres") -> str:
    """Return the address with a password in it, which the server does not ask for."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{SECRET}@{parts.netloc.rpartition('@')[2]}"))


# Addresses.


@each_command
@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{SECRET}@localhost/provider",
        f"postgresql://user:{SECRET}@localhost",
        f"postgresql://user:{SECRET}@localhost:0/provider",
        f"postgresql://user:{SECRET}@localhost:port/provider",
        f"postgresql://user:{SECRET}@localhost/provider?colour=red",
        f"postgresql://user:%zz{SECRET}@localhost/provider",
        f"postgresql://user:at@{SECRET}@localhost/provider",
        f"postgresql://user:12/{SECRET}@localhost/provider",
        f"postgresql://user:12#{SECRET}@localhost/provider",
        f"postgresql://user:12?{SECRET}@localhost/provider",
        f"{SECRET}",
    ],
)
@pytest.mark.parametrize("variable", ["PROVIDER_DATABASE_URL", "PROVIDER_KEYS_URL"])
def test_what_is_no_address_of_a_database_is_wrong_usage(
    run: Run, tmp_path: Path, command: tuple[str, ...], url: str, variable: str
) -> None:
    said = run(command, PROVIDER_DATA=tmp_path / "data", **{variable: url})

    is_one_sentence(said, 2, variable)
    assert not (tmp_path / "data").exists()


@each_command
@pytest.mark.parametrize("variable", ["PROVIDER_DATABASE_URL", "PROVIDER_KEYS_URL"])
def test_a_server_that_does_not_answer_is_named_without_the_password(
    run: Run, tmp_path: Path, command: tuple[str, ...], variable: str, sqlite_templates: Any
) -> None:
    shutil.copytree(sqlite_templates.founded, tmp_path / "data", symlinks=True)
    port = free_port()
    said = run(command, PROVIDER_DATA=tmp_path / "data", **{variable: f"postgresql://u:{SECRET}@127.0.0.1:{port}/x"})

    is_one_sentence(said, 4, variable, f"127.0.0.1:{port}", "Connection refused")


@each_command
def test_a_database_that_there_is_not_is_named(
    run: Run, tmp_path: Path, postgres_server: Server, command: tuple[str, ...]
) -> None:
    url = with_password(postgres_server.at("nowhere"))
    said = run(command, PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=url)

    is_one_sentence(said, 4, "PROVIDER_DATABASE_URL", "“nowhere”", "does not exist")
    assert not (tmp_path / "data").exists()


@each_command
def test_a_user_that_there_is_not_is_told(
    run: Run, tmp_path: Path, postgres_server: Server, command: tuple[str, ...]
) -> None:
    url = with_password(postgres_server.at("postgres"), "nobody-we-know")
    said = run(command, PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=url)

    is_one_sentence(said, 4, "nobody-we-know", "PROVIDER_DATABASE_URL")


@each_command
def test_a_host_that_there_is_not_is_named(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    url = f"postgresql://u:{SECRET}@nowhere.invalid/x"
    said = run(command, PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=url)

    is_one_sentence(said, 4, "nowhere.invalid", "PROVIDER_DATABASE_URL")


# Places in which nothing is, or cannot be.


@each_command
def test_an_empty_database_is_left_empty_by_who_only_looks(
    run: Run, tmp_path: Path, postgres_server: Server, command: tuple[str, ...]
) -> None:
    url = postgres_server.at(postgres_server.make())
    said = run(command, PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=with_password(url))

    if command == ("serve",):
        assert "There is no institution in the database yet" in said.err
        return
    is_one_sentence(said, 1, "PROVIDER_DATABASE_URL", "provider init")
    assert schemas(url) == []
    assert not (tmp_path / "data").exists()


def schemas(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'"
        )
        return sorted(name for (name,) in found)


@each_command
def test_a_data_directory_that_is_a_file_is_wrong_usage(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "data").write_text("a file")
    is_one_sentence(run(command, PROVIDER_DATA=tmp_path / "data"), 2, "PROVIDER_DATA", "not a directory")


@pytest.mark.sqlite
@pytest.mark.parametrize("command", [("views", "verify"), ("serve",)])
def test_a_disk_that_can_only_be_read_is_said_to_be_one(closed: Settings, command: tuple[str, ...]) -> None:
    before = contents(closed)
    said = on_a_read_only_disk(closed.data, command)

    is_one_sentence(said, 4, "can't be written", str(closed.data))
    assert contents(closed) == before


@pytest.mark.sqlite
def test_what_lies_on_a_disk_that_can_only_be_read_is_backed_up_all_the_same(closed: Settings, tmp_path: Path) -> None:
    for store in STORES:
        assert not Path(f"{file_of(closed, store)}-wal").exists()
    before = contents(closed)

    said = on_a_read_only_disk(closed.data, ("backup", str(tmp_path / "copies"), "--keys", str(tmp_path / "keys")))

    assert said.status == 0, said
    data, keys = map(Path, said.out.split())
    assert contents(replace(closed, data=data, keys_dir=keys)) == before


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A file beside which SQLite can't make an index of its journal, not even as root."""
    file = tmp_path / "alone.sqlite"
    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE numbers AS SELECT 7 AS number")
    (tmp_path / "alone.sqlite-shm").symlink_to("nowhere/at-all")
    return file


def test_a_file_that_nobody_has_open_is_copied_without_its_journal(alone: Path, tmp_path: Path) -> None:
    copy_file(alone, tmp_path / "copy.sqlite")

    assert done_to(tmp_path / "copy.sqlite", "SELECT number FROM numbers") == [(7,)]


def test_what_is_in_a_journal_is_not_left_out(alone: Path, tmp_path: Path) -> None:
    Path(f"{alone}-wal").write_bytes(b"what was recorded last")

    with pytest.raises(NotAtRest, match=r"alone\.sqlite can't be read without its journal alone\.sqlite-wal"):
        copy_file(alone, tmp_path / "copy.sqlite")


def test_what_was_written_while_it_was_read_is_not_taken_for_one_state(alone: Path) -> None:
    with pytest.raises(NotAtRest, match=r"alone\.sqlite was changed while it was read"), to_be_read(alone):
        Path(f"{alone}-wal").write_bytes(b"what was recorded last")


@pytest.mark.postgresql
def test_a_server_that_can_only_be_read_can_be_backed_up(run: Run, tmp_path: Path, closed: Settings) -> None:
    assert closed.database_url is not None
    with psycopg.connect(closed.database_url, autocommit=True) as connection:
        name = urlsplit(closed.database_url).path[1:]
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    said = run(("backup", str(tmp_path / "copies"), "--keys", str(tmp_path / "keys")), **environ(closed))

    assert said.status == 0, said


def on_a_read_only_disk(data: Path, command: tuple[str, ...]) -> Said:
    """Run a command where nothing can be written to the data: by a mount for root, by the modes of files otherwise."""
    run = [sys.executable, "-m", "provider", *command]
    if os.geteuid() == 0:
        mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 77; exec "$@"'
        run = ["unshare", "--mount", "sh", "-c", mount, str(data), *run]
    else:
        for each in (data, *data.rglob("*")):
            each.chmod(0o500 if each.is_dir() else 0o400)
    try:
        done = subprocess.run(
            run,
            env={**os.environ, "PROVIDER_DATA": str(data), "PROVIDER_PORT": str(free_port())},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    finally:
        for each in (data, *data.rglob("*")):
            each.chmod(0o700 if each.is_dir() else 0o600)
    if done.returncode == 77:
        pytest.skip("this machine lets nobody mount")
    return Said(done.returncode, done.stdout, done.stderr)


@each_command
def test_a_server_that_can_only_be_read_is_said_to_be_one(
    run: Run, tmp_path: Path, postgres_server: Server, command: tuple[str, ...]
) -> None:
    url = postgres_server.at(name := postgres_server.make())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    said = run(command, PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=with_password(url))

    is_one_sentence(said, 4, "can only be read")
    assert schemas(url) == []


@each_command
def test_a_user_who_may_make_nothing_is_told_what_to_ask_for(
    run: Run, tmp_path: Path, postgres_server: Server, command: tuple[str, ...]
) -> None:
    url = postgres_server.at(name := postgres_server.make())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE USER "u_{name}"')
    try:
        said = run(command, PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=with_password(url, f"u_{name}"))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP USER "u_{name}"')

    is_one_sentence(said, 4, "GRANT CREATE ON DATABASE")


def test_who_may_only_use_what_is_there_may_do_so(closed: Settings, postgres_server: Server) -> None:
    if closed.database_url is None:
        pytest.skip("files have no users")
    name = urlsplit(closed.database_url).path[1:]
    with psycopg.connect(closed.database_url, autocommit=True) as connection:
        connection.execute(f'CREATE USER "u_{name}"')
        for schema in ("events", "vault", "desk", place_of_views(closed).name):
            connection.execute(f'GRANT USAGE ON SCHEMA {schema} TO "u_{name}"')
            connection.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO "u_{name}"')
        try:
            assert look(replace(closed, database_url=with_password(closed.database_url, f"u_{name}")))
        finally:
            connection.execute(f'DROP OWNED BY "u_{name}"; DROP USER "u_{name}"')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("synchronous_commit", "off"),
        ("synchronous_commit", "local"),
        ("default_transaction_isolation", "repeatable read"),
        ("statement_timeout", "30s"),
        ("transaction_timeout", "30s"),
        ("idle_session_timeout", "1h"),
    ],
)
def test_a_setting_that_breaks_a_promise_is_named_with_the_statement_that_mends_it(
    run: Run, tmp_path: Path, url: str, name: str, value: str
) -> None:
    database = urlsplit(url).path[1:]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
        connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {name} = '{value}'")
    said = run(("views", "verify"), PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=url)

    is_one_sentence(said, 4, database, name, "ALTER ROLE")
    assert schemas(url) == []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(said.err.rpartition("Say: ")[2].strip().removesuffix("."))
    is_one_sentence(
        run(("views", "verify"), PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=url), 1, "provider init"
    )


def test_a_setting_in_the_address_is_said_to_be_there(run: Run, tmp_path: Path, url: str) -> None:
    there = f"{url}&options=-cstatement_timeout%3D5s"

    is_one_sentence(
        run(("views", "verify"), PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=there), 4, "in the address"
    )


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_names_of_all_languages_come_through_whatever_encoding_is_set(
    run: Run, tmp_path: Path, url: str, encoding: str
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {urlsplit(url).path[1:]} SET client_encoding = '{encoding}'")
    there = {"PROVIDER_DATA": tmp_path / "data", "PROVIDER_DATABASE_URL": url}

    said = run(("init", "--name", "漢字", "--zone", "UTC", "--given", "Žluťa", "--family", "مريم"), **there)

    assert (said.status, said.err.split("\n")[0]) == (0, "Founded 漢字 in the database.")
    assert "漢字" in run(("history",), **there).out


def test_who_may_not_use_a_schema_is_told_what_to_ask_for(run: Run, closed: Settings) -> None:
    if closed.database_url is None:
        pytest.skip("files have no users")
    name = urlsplit(closed.database_url).path[1:]
    with psycopg.connect(closed.database_url, autocommit=True) as connection:
        connection.execute(f'CREATE USER "u_{name}"; GRANT CREATE ON DATABASE "{name}" TO "u_{name}"')
        try:
            as_user = environ(closed, PROVIDER_DATABASE_URL=with_password(closed.database_url, f"u_{name}"))
            is_one_sentence(run(("views", "verify"), **as_user), 4, "may not use the schema", "GRANT USAGE, CREATE")
        finally:
            connection.execute(f'DROP OWNED BY "u_{name}"; DROP USER "u_{name}"')


def test_a_pooler_that_gives_each_transaction_another_connection_is_refused(run: Run, tmp_path: Path, url: str) -> None:
    with pooled(url) as between:
        said = run(("views", "verify"), PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=between)

    is_one_sentence(said, 4, "pooler", "by session")
    assert schemas(url) == []


def test_who_serves_is_told_what_a_power_cut_would_do(run: Run, tmp_path: Path, url: str) -> None:
    said = run(("serve",), PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=url)

    names = ("fsync", "full_page_writes")
    with psycopg.connect(url) as connection:
        off = [name for name in names if connection.execute(f"SHOW {name}").fetchone() == ("off",)]
    assert [name for name in names if f"Beware: The database server runs with {name} = off" in said.err] == off


@each_command
def test_a_database_in_another_encoding_is_refused(
    run: Run, tmp_path: Path, postgres_server: Server, command: tuple[str, ...]
) -> None:
    url = postgres_server.at(name := f"test_latin_{os.getpid()}_{command[0]}")
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        is_one_sentence(run(command, PROVIDER_DATA=tmp_path / "data", PROVIDER_DATABASE_URL=url), 4, "UTF8")
    finally:
        postgres_server.drop(name)


# What is there is not ours, or newer than we are.


@each_command
@pytest.mark.parametrize("store", ["vault", "keys", "desk"])
def test_a_durable_table_that_is_newer_than_the_program_is_left_to_a_newer_one(
    run: Run, closed: Settings, command: tuple[str, ...], store: str
) -> None:
    looked_up(closed, store, "UPDATE alembic_version SET version_num = 'v9999_to_come'")
    before = contents(closed)

    is_one_sentence(run(command, **environ(closed)), 4, store, "v9999_to_come", "newer version")
    assert contents(closed) == before


@pytest.mark.parametrize("store", ["vault", "keys", "desk"])
def test_who_opens_a_newer_durable_table_without_the_command_line_is_refused_too(closed: Settings, store: str) -> None:
    from provider.bootstrap import bootstrap
    from provider.durable import NewerTables

    looked_up(closed, store, "UPDATE alembic_version SET version_num = 'v9999_to_come'")

    with pytest.raises(NewerTables, match="v9999_to_come"):
        bootstrap(closed)


@each_command
def test_an_event_that_is_still_to_come_is_left_to_a_newer_program(
    run: Run, closed: Settings, command: tuple[str, ...]
) -> None:
    number = "notification_id" if closed.database_url else "rowid"
    last = f"(SELECT max({number}) FROM stored_events)"
    looked_up(closed, "events", f"UPDATE stored_events SET topic = 'invoice.sent' WHERE {number} = {last}")
    before = contents(closed)

    is_one_sentence(run(command, **environ(closed)), 4, "“invoice.sent”")
    assert contents(closed) == before


@each_command
def test_a_log_of_another_program_is_refused_by_its_first_event(
    run: Run, closed: Settings, command: tuple[str, ...]
) -> None:
    looked_up(closed, "events", "UPDATE stored_events SET topic = 'bankaccounts.domainmodel:BankAccount.Opened'")
    before = contents(closed)

    is_one_sentence(run(command, **environ(closed)), 4, "another program", "bankaccounts")
    assert contents(closed) == before


@each_command
def test_tables_of_another_program_are_left_alone(run: Run, closed: Settings, command: tuple[str, ...]) -> None:
    for table in ("stored_events", "idempotency"):
        looked_up(closed, "events", f"DROP TABLE {table}")
    looked_up(closed, "events", "CREATE TABLE wp_posts (id integer)")
    named = "PROVIDER_DATABASE_URL" if closed.database_url else "PROVIDER_DATA"

    is_one_sentence(run(command, **environ(closed)), 4, "wp_posts", named)
    with pytest.raises((sqlite3.Error, psycopg.Error)):
        looked_up(closed, "events", "SELECT * FROM stored_events")


@pytest.mark.sqlite
@each_command
@pytest.mark.parametrize("store", STORES)
def test_a_file_that_is_no_database_is_named(run: Run, closed: Settings, command: tuple[str, ...], store: str) -> None:
    file = file_of(closed, store)
    for each in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        each.unlink(missing_ok=True)
    file.write_bytes(b"a letter to somebody, and no database at all" * 100)

    is_one_sentence(run(command, **environ(closed)), 4, str(file))
    assert file.read_bytes().startswith(b"a letter")


@each_command
def test_views_of_another_version_are_left_alone_and_those_of_this_one_are_made(
    run: Run, closed: Settings, command: tuple[str, ...]
) -> None:
    mine = place_of_views(closed)
    if isinstance(mine, Path):
        theirs = mine.with_name("views-00000000.sqlite")
        mine.resolve().rename(theirs)
        mine.unlink()
    else:
        theirs = Schema(mine.url, "views_00000000")
        looked_up(closed, "events", f"ALTER SCHEMA {mine.name} RENAME TO {theirs.name}")
    before, places = contents(closed), done_to(theirs, "SELECT * FROM places")

    if command == ("serve",):
        assert "mistake in the program (Served" in run(command, **environ(closed)).err
    else:
        assert run(command, **environ(closed)).status == 0
    assert contents(closed) == before
    assert looked_up(closed, "views", "SELECT * FROM places") == done_to(theirs, "SELECT * FROM places") == places


# Keys.


@each_command
def test_a_vault_without_its_keys_is_not_opened_with_new_ones(
    run: Run, closed: Settings, command: tuple[str, ...], tmp_path: Path
) -> None:
    if closed.database_url is None:
        before = contents(closed)
    said = run(command, **environ(closed, PROVIDER_KEYS_DIR=tmp_path / "elsewhere"))

    is_one_sentence(said, 4, "PROVIDER_KEYS_DIR", "no keys", str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()
    if closed.database_url is None:
        assert contents(closed) == before


@each_command
def test_keys_of_another_institution_are_none_of_ours(
    run: Run, closed: Settings, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "keys.sqlite"
    with closing(sqlite3.connect(closed.store("keys"))) as here, closing(sqlite3.connect(other)) as there:
        here.backup(there)
        there.execute("UPDATE keys SET id = lower(hex(randomblob(16)))")
        there.commit()
    said = run(command, **environ(closed, PROVIDER_KEYS_DIR=tmp_path / "elsewhere"))

    is_one_sentence(said, 4, "PROVIDER_KEYS_DIR", "other keys")


def erase_the_first(settings: Settings, many: int = 250) -> None:
    """Let the vault begin with values of people who were erased."""
    columns = "commitment, owner, key, created_at, sealed"
    looked_up(settings, "vault", f"CREATE TABLE kept AS SELECT {columns} FROM private_values")
    looked_up(settings, "vault", "DELETE FROM private_values")
    rows = ", ".join(f"('{number}', '{number:032x}', '{number:032x}', 0, '')" for number in range(many))
    looked_up(settings, "vault", f"INSERT INTO private_values ({columns}) VALUES {rows}")
    looked_up(settings, "vault", f"INSERT INTO private_values SELECT {columns} FROM kept")
    looked_up(settings, "vault", "DROP TABLE kept")


def test_an_office_opens_however_many_were_erased(closed: Settings) -> None:
    erase_the_first(closed)

    assert look(closed)

    # A file that waits has a key of its own, which opens nothing in the vault.
    looked_up(closed, "keys", f"UPDATE keys SET id = '{uuid4().hex}', owner = '{(waits := uuid4()).hex}'")
    with pytest.raises(Unusable, match="other keys"):
        look(closed)
    looked_up(closed, "keys", "UPDATE erasures SET count = 250")
    with pytest.raises(Unusable, match="other keys"):
        look(closed)
    looked_up(closed, "desk", f"INSERT INTO staged_imports VALUES ('{waits.hex}', '{waits.hex}', 0, 0, '')")
    assert look(closed)

    looked_up(closed, "keys", "DELETE FROM keys")
    assert look(closed)
    looked_up(closed, "keys", "UPDATE erasures SET count = 0")
    with pytest.raises(Unusable, match="no keys"):
        look(closed)


@each_command
def test_keys_that_should_be_in_a_database_and_are_not_are_missed(
    run: Run, closed: Settings, command: tuple[str, ...], postgres_server: Server
) -> None:
    url = postgres_server.at(postgres_server.make())
    said = run(command, **environ(closed, PROVIDER_KEYS_URL=with_password(url)))

    is_one_sentence(said, 4, "PROVIDER_KEYS_URL", "no keys")
    assert schemas(url) == []


def test_moving_to_a_place_that_can_not_be_reached_writes_nothing(
    run: Run, tmp_path: Path, sqlite_templates: Any
) -> None:
    data = tmp_path / "data"
    shutil.copytree(sqlite_templates.founded, data, symlinks=True)
    before = contents(Settings.read({"PROVIDER_DATA": str(data)}))
    url = f"postgresql://u:{SECRET}@127.0.0.1:{free_port()}/x"
    said = run(("move",), PROVIDER_DATA=data, PROVIDER_DATABASE_URL=url)

    is_one_sentence(said, 4, "PROVIDER_DATABASE_URL")
    assert contents(Settings.read({"PROVIDER_DATA": str(data)})) == before
