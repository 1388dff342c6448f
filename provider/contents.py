"""What the stores of an institution hold: read in one state, put into another place, and summed up to be compared.

All of it goes by in pages, so it may be much longer than the memory is large.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, insert, select
from sqlalchemy.engine import URL

from provider.at_rest import to_be_read
from provider.desk import DESK_TABLES
from provider.durable import make_private, open_engine, upgrade
from provider.keys import KEYS_TABLES
from provider.log import EventLog, Progress
from provider.schema import Place, Schema
from provider.vault import VAULT_TABLES

PAGE = 2_000
STREAMED = {"stream_results": True, "max_row_buffer": PAGE}
"""The options of a statement whose rows are fetched as they are wanted, and not all at once."""

TABLES = {"vault": VAULT_TABLES, "desk": DESK_TABLES, "keys": KEYS_TABLES}
FILLED = {"events": "stored_events", "vault": "private_values", "desk": "staged_imports", "keys": "keys"}
"""The table of each store in which there is a row once it is used."""

# A log says the same on both databases only in these words: ids as digits, times in milliseconds of UTC.
_OF_THE_LOG: Mapping[str, Mapping[str, str]] = {
    "sqlite": {
        "end": "SELECT coalesce(max(rowid), 0) FROM stored_events",
        "drawn": "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'stored_events'",
        # Whoever changed one from outside may have left text.
        "events": "SELECT rowid, originator_id, originator_version, topic, CAST(state AS BLOB) "
        "FROM stored_events ORDER BY rowid",
        "answers": "SELECT principal, key, fingerprint, receipt, position, recorded_at FROM idempotency",
    },
    "postgresql": {
        "end": "SELECT coalesce(max(notification_id), 0) FROM stored_events",
        "drawn": "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM stored_events_notification_id_seq",
        "events": "SELECT notification_id, replace(originator_id::text, '-', ''), originator_version, topic, state "
        "FROM stored_events ORDER BY notification_id",
        "answers": "SELECT principal::text, key, fingerprint, receipt, position, "
        """to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM idempotency""",
    },
}

Row = Sequence[Any]


@dataclass(frozen=True)
class Sum:
    """How many rows a table has, and the digest of what they say; it is the same on both databases."""

    rows: int
    digest: str


@dataclass(frozen=True)
class Tally:
    """What a store holds, in figures by which two can be compared.

    Of a log also the position of its last event, and the last one that was ever drawn.
    """

    tables: Mapping[str, Sum]
    last: int | None = None
    drawn: int | None = None

    def differences(self, found: Tally) -> list[str]:
        """Return in what another tally differs from this one, a few words each."""
        said = []
        for name, known in self.tables.items():
            other = found.tables.get(name, Sum(0, ""))
            if known.rows != other.rows:
                said.append(f"{other.rows:,} {name.replace('_', ' ')} in place of {known.rows:,}")
            elif known != other:
                said.append(f"other {name.replace('_', ' ')}, though as many")
        if not said and self != found:
            said.append("other positions")
        return said


class _InOrder:
    """Adds up events: whoever changes one, leaves one out or puts one elsewhere has another digest."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=32)
        self._rows = 0

    def add(self, page: Sequence[Row]) -> None:
        for position, stream, version, topic, state in page:
            self._digest.update(orjson.dumps((position, stream, version, topic, len(state))) + b"\n" + state + b"\n")
        self._rows += len(page)

    def sum(self) -> Sum:
        return Sum(self._rows, self._digest.hexdigest())


@dataclass
class _InAnyOrder:
    """Adds up rows whose order is nothing: each database sorts text in its own way."""

    _rows: int = 0
    _total: int = field(default=0, repr=False)

    def add(self, page: Sequence[Row]) -> None:
        for row in page:
            said = orjson.dumps(list(row), default=bytes.hex)
            self._total += int.from_bytes(blake2b(said, digest_size=32).digest(), "big")
        self._rows += len(page)

    def sum(self) -> Sum:
        return Sum(self._rows, f"{self._total % 2**256:064x}")


@contextmanager
def reading(place: Place) -> Iterator[Connection]:
    """Open a store to be read in one state, from the first question to the end.

    Of a database that is the state of all its schemas. A file is opened for nothing but reading, so it may lie where
    nothing can be written.
    """
    if isinstance(place, Schema):
        engine = open_engine(place, threads=1)
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    else:
        engine = only_read(place)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def only_read(file: Path) -> Engine:
    """Make an engine on a file that is only read; each of its transactions sees one state."""
    address = f"file:{quote(str(file))}?mode=ro"
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        creator=lambda: sqlite3.connect(address, uri=True, timeout=60, isolation_level=None),
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def make(place: Place, store: str) -> None:
    """Make the tables of a store where there are none, as a server that starts does."""
    if store == "events":
        EventLog(place).close()
    else:
        upgrade({store: open_engine(place)})


def is_empty(connection: Connection, store: str) -> bool:
    """Say whether nothing was ever put into a store."""
    _turn_to(connection, store)
    return connection.exec_driver_sql(f"SELECT 1 FROM {FILLED[store]} LIMIT 1").first() is None


def tally(connection: Connection, store: str, progress: Progress | None = None) -> Tally:
    """Read all that a store holds, and sum it up."""
    return _passed(connection, store, progress, lambda _name, _page: None)


def copy(source: Connection, target: Connection, store: str, progress: Progress | None = None) -> Tally:
    """Put all that a store holds into another one, and sum up what was put.

    It is there, in place of what was, once the target's transaction is committed; a log must be empty before. Positions
    stay as they are, and those that were drawn and given up stay given up.
    """
    _turn_to(target, store)
    if store == "events":
        raw: Any = target.connection.driver_connection
        with closing(raw.cursor()) as cursor:
            into = _IntoPostgres(cursor) if target.dialect.name == "postgresql" else _IntoSqlite(cursor)
            passed = _passed(source, store, progress, into.put)
            into.end(passed.drawn or 0)
        return passed
    tables = TABLES[store].tables
    for table in tables.values():
        target.execute(table.delete())
    return _passed(
        source,
        store,
        progress,
        lambda name, page: target.execute(insert(tables[name]), [dict(row._mapping) for row in page]),
    )


def _turn_to(connection: Connection, store: str) -> None:
    """Let a connection to a database see the schema of a store until the end of its transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f'SET LOCAL search_path TO "{store}"')


def _passed(
    connection: Connection, store: str, progress: Progress | None, put: Callable[[str, Sequence[Any]], object]
) -> Tally:
    """Pass all that a store holds on, by table and page, and sum it up."""
    _turn_to(connection, store)
    if store != "events":
        sums = {}
        for table in TABLES[store].sorted_tables:
            adding = _InAnyOrder()
            for page in connection.execute(select(table), execution_options=STREAMED).partitions(PAGE):
                adding.add(page)
                put(table.name, page)
            sums[str(table.name)] = adding.sum()
        return Tally(sums)
    said = _OF_THE_LOG[connection.dialect.name]
    end: int = connection.exec_driver_sql(said["end"]).scalar_one()
    events, answers = _InOrder(), _InAnyOrder()
    for page in _pages(connection, said["events"]):
        events.add(page)
        put("events", page)
        if progress is not None:
            progress(page[-1][0], end)
    for page in _pages(connection, said["answers"]):
        answers.add(page)
        put("answers", page)
    # A sequence shows every state at once: what was drawn since is as good as given up.
    drawn: int = connection.exec_driver_sql(said["drawn"]).scalar_one()
    return Tally({"events": events.sum(), "answers": answers.sum()}, end, max(drawn, end))


def _pages(connection: Connection, statement: str) -> Iterable[Sequence[Any]]:
    return connection.exec_driver_sql(statement, execution_options=STREAMED).partitions(PAGE)


class _IntoSqlite:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def put(self, name: str, page: Sequence[Row]) -> None:
        into = {
            "events": "stored_events (rowid, originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?, ?)",
            "answers": "idempotency (principal, key, fingerprint, receipt, position, recorded_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
        }
        self._cursor.executemany(f"INSERT INTO {into[name]}", page)

    def end(self, drawn: int) -> None:
        self._cursor.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'stored_events'", (drawn,))


class _IntoPostgres:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def put(self, name: str, page: Sequence[Row]) -> None:
        if name == "answers":
            self._cursor.executemany(
                "INSERT INTO idempotency (principal, key, fingerprint, receipt, position, recorded_at) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                page,
            )
            return
        columns = "notification_id, originator_id, originator_version, topic, state"
        with self._cursor.copy(f"COPY stored_events ({columns}) FROM STDIN") as copied:
            copied.set_types(["int8", "uuid", "int8", "text", "bytea"])
            for position, stream, version, topic, state in page:
                copied.write_row((position, UUID(stream), version, topic, state))

    def end(self, drawn: int) -> None:
        self._cursor.execute("SELECT setval('stored_events_notification_id_seq', %s)", (drawn,))


def copy_file(source: Path, target: Path) -> None:
    """Copy a database file that may be in use, in one state; check the copy, and bring it to the disk.

    :raises NotAtRest: when it lies where nothing can be written, and can't be read there.
    """
    make_private(target)
    with (
        to_be_read(source) as address,
        closing(sqlite3.connect(address, uri=True, timeout=60)) as live,
        closing(sqlite3.connect(target)) as made,
    ):
        live.backup(made, pages=-1)
        if (said := made.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            error = sqlite3.DatabaseError(f"{source}: {said}")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
    settle(target)


def settle(file: Path) -> None:
    """Make a database a single file that is on the disk; nobody may have it open."""
    with closing(sqlite3.connect(file)) as made:
        # A copy need not be a pair of files; whoever opens it to work with it makes it one again.
        made.execute("PRAGMA journal_mode=DELETE")
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    number = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
