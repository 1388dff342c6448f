"""The durable tables: how their databases are opened, and brought to the newest form."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext, make_url

from provider.schema import Place, Schema, lock_number

_MIGRATIONS = Path(__file__).parent / "migrations"
_WAIT = 10  # seconds, for a lock that somebody else holds
A_MOMENT = 0.01

Switched = TypeVar("Switched")


class JournalInUse(Exception):
    """What was deleted is gone from the tables, but its bytes are still in the journal.

    Somebody was reading for longer than ten seconds. Doing the same again is harmless, and wipes it.
    """


class NewerTables(Exception):
    """A durable table is in a form that this program does not know yet; it is left as it is."""


def open_engine(place: Place, *, threads: int = 8) -> Engine:
    """Make an engine for one SQLite file or schema, for this process and so many threads.

    A file and its missing directories are made for their owner's eyes only. No connection is
    opened before the first use, so that an engine may be made before a fork and used after it.
    """
    if isinstance(place, Schema):
        return _postgres_engine(place, threads)
    path = place
    make_private(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _WAIT},
        pool_size=threads,
        max_overflow=threads,
        pool_timeout=_WAIT,
        hide_parameters=True,  # or an error would carry keys and ciphertexts into the log
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _postgres_engine(place: Schema, threads: int) -> Engine:
    engine = create_engine(
        make_url(place.url).set(drivername="postgresql+psycopg"),
        pool_size=threads,
        max_overflow=threads,
        pool_timeout=_WAIT,
        pool_pre_ping=True,
        hide_parameters=True,
        use_native_hstore=False,  # it would be looked for in each engine's first connection, and nobody has any
        execution_options={"schema": place.name},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.autocommit = True
        look_into(connection, place.name)
        connection.autocommit = False

    event.listen(engine, "handle_error", _withhold_rows)
    return engine


def _withhold_rows(context: ExceptionContext) -> None:
    # The server tells a row that it refuses in full: keys and ciphertexts would be carried into the log.
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (str(error.args[0]).partition("\nDETAIL:")[0], *error.args[1:])


def look_into(connection: Any, schema: str) -> None:
    """Let a connection that commits by itself see this schema and no other; it is made where it is missing."""
    make_schema(connection, schema)
    connection.execute(f'SET search_path TO "{schema}"')


def make_schema(connection: Any, schema: str) -> None:
    """Make a schema where it is missing, on a connection that commits by itself."""
    from psycopg.errors import DuplicateSchema, UniqueViolation

    # To say IF NOT EXISTS takes the right to make one even where it exists, which who only serves needs not to have.
    if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone() is None:
        # Another process may be making it just now.
        with suppress(DuplicateSchema, UniqueViolation):
            connection.execute(f'CREATE SCHEMA "{schema}"')


def file_of(engine: Engine) -> Path:
    """Return the file that an engine was opened on."""
    return Path(str(engine.url.database))


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that writes; it commits at its end, and rolls back if that is an error."""
    with engine.execution_options(writing=True).begin() as connection:
        yield connection


def wipe_journal(engine: Engine) -> None:
    """Empty the journal file, which keeps deleted bytes. Raises JournalInUse.

    On PostgreSQL nothing can be done here: what is deleted stays in the pages until a vacuum, and in the write-ahead
    log and its archive until they are removed. docs/operations.md says what that means for keys.
    """
    if engine.dialect.name != "sqlite":
        return
    raw = engine.raw_connection()
    try:
        busy = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        raw.close()
    if busy:
        raise JournalInUse(f"The journal of {file_of(engine).name} could not be emptied; try again.")


def upgrade(engines: Mapping[str, Engine]) -> None:
    """Bring the tables of `vault`, `keys` and `desk`, or of some of them, to the newest form; quick if they have it.

    Any number of processes may start at once. No connection stays open, so a fork may follow.
    """
    with Looking() as looking:
        for name, engine in engines.items():
            sqlite = engine.dialect.name == "sqlite"
            if _is_current_file(file_of(engine), name) if sqlite else _is_current_schema(engine, name, looking):
                continue
            try:
                if sqlite:
                    _upgrade_file(engine, name)
                else:
                    _upgrade_schema(engine, name)
            finally:
                engine.dispose()


def _upgrade_file(engine: Engine, name: str) -> None:
    # Switching to WAL ignores the busy timeout, so the lock must cover that too.
    with FileLock(f"{file_of(engine)}.lock", timeout=60, mode=0o600):
        raw = engine.raw_connection()
        raw.cursor().execute("PRAGMA journal_mode=WAL")
        raw.close()
        _migrate(engine, name)


def _upgrade_schema(engine: Engine, name: str) -> None:
    with engine.connect() as one:
        # The lock outlives the transactions of the migration.
        one.execute(text("SELECT pg_advisory_lock(:number)"), {"number": lock_number(f"migrate {name}")})
        try:
            _migrate(engine, name)
        finally:
            one.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": lock_number(f"migrate {name}")})


class Looking(ExitStack):
    """Connections on which is only looked, one to each database, until the end of a `with`."""

    def __init__(self) -> None:
        super().__init__()
        self._at: dict[str, Any] = {}

    def at(self, engine: Engine) -> Any:
        """Return the driver's own connection: the first one of an engine asks the server for more than is asked here,
        and most find nothing to do."""
        import psycopg

        url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        if url not in self._at:
            self._at[url] = self.enter_context(psycopg.connect(url, autocommit=True))
        return self._at[url]


def _is_current_schema(engine: Engine, name: str, looking: Looking) -> bool:
    import psycopg

    schema = psycopg.sql.Identifier(engine.get_execution_options()["schema"], "alembic_version")
    connection = looking.at(engine)
    # Where the schema is missing, so is the table.
    found = connection.execute("SELECT to_regclass(%s)", (schema.as_string(),)).fetchone()
    row = None
    if found != (None,):
        row = connection.execute(psycopg.sql.SQL("SELECT version_num FROM {}").format(schema)).fetchone()
    return _is_newest(name, row)


def newest(name: str) -> str:
    """Return the last version of a database's tables: the migrations are a line, sorted by name."""
    return max(file.stem for file in (_MIGRATIONS / name).glob("v*.py"))


def must_be_known(name: str, version: str | None) -> None:
    """Refuse tables of a version that is still to come; None is that of tables which are not there yet.

    :raises NewerTables: when this program has no such version.
    """
    if version is not None and not (_MIGRATIONS / name / f"{version}.py").exists():
        raise NewerTables(
            f"The tables of the {name} are of version “{version}”, which this version of the program does not know. "
            "They were made by a newer version: install that one."
        )


def _is_current_file(path: Path, name: str) -> bool:
    # By the driver itself: most find nothing to do.
    with closing(sqlite3.connect(path, timeout=_WAIT)) as connection:
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            return False
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall():
            return False
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return _is_newest(name, row)


def _is_newest(name: str, row: tuple[str] | None) -> bool:
    version = row[0] if row else None
    must_be_known(name, version)
    return version == newest(name)


def _migrate(engine: Engine, name: str) -> None:
    # Importing these costs a quarter of a second, which a start with nothing to do needn't pay.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(_MIGRATIONS / name).replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def patiently(switch: Callable[[], Switched]) -> Switched:
    """Return what a function returns that switches a file to the write-ahead journal.

    SQLite waits for whoever else uses the file, but not while the journal is switched: of two processes that open a new
    file at once, one would fail.
    """
    until = monotonic() + _WAIT
    while True:
        try:
            return switch()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
        sleep(A_MOMENT)


def make_private(path: Path) -> None:
    """Make a database's file and its missing directories for their owner's eyes only; close the file to all others."""
    make_private_directory(path.parent)
    # A file that is there is left alone: to close it would let go of the locks that other connections of this process
    # hold on it, and who opens it then takes it for unused and removes its journal. SQLite gives its journal files the
    # mode of the database.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def make_private_directory(path: Path) -> None:
    """Make a directory and those above it, as far as they are missing, for their owner's eyes only."""
    for directory in reversed([path, *path.parents]):
        if not directory.exists():
            directory.mkdir(mode=0o700, exist_ok=True)


def _prepare(connection: Any, _record: object) -> None:
    # Python would begin transactions only at the first write; `_begin` does it instead.
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # Who reads first and writes then would be refused if another wrote in between.
    immediate = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
