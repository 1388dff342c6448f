"""The way of a whole institution from SQLite's files to PostgreSQL, with the proof that nothing changed on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, cast
from uuid import UUID

import orjson
from psycopg.sql import SQL, Identifier
from sqlalchemy import MetaData, Table, insert, select

from projections.projection import Projection
from provider.desk import DESK_TABLES
from provider.durable import open_engine, upgrade, writing
from provider.keys import KEYS_TABLES
from provider.log import EventLog, Progress
from provider.postgres import PostgresRecorder
from provider.settings import Settings
from provider.sqlite import SqliteRecorder
from provider.vault import VAULT_TABLES
from provider.views import Views

PAGE = 2_000


class CannotMove(Exception):
    """What is there, or is not, forbids it. Nothing was written."""


class MovedBadly(Exception):
    """What arrived is not what was sent. The files that it came from are as they were; use them."""


@dataclass(frozen=True)
class Moved:
    """How much was moved: events, private values, keys, and rows of views that were compared."""

    events: int
    values: int
    keys: int
    rows: int


def move(settings: Settings, projections: Sequence[Projection], progress: Progress | None = None) -> Moved:
    """Copy the institution in the data directory into the database that the settings name; positions are kept.

    The keys go along where the settings name a database for them, and stay in their file otherwise. Nobody can record
    anything meanwhile; whoever serves the files must be stopped before, or goes on with them afterwards. What is in the
    files stays as it is.

    :raises CannotMove: when there is no institution in the files, or one in the database already, or keys of others.
    :raises MovedBadly: when the views there differ from those here.
    """
    if settings.database_url is None:
        raise CannotMove("Name the database that it should move to in PROVIDER_DATABASE_URL.")
    here = replace(settings, database_url=None, keys_url=None)
    if not here.store("events").exists():
        raise CannotMove(f"There is no institution in {here.data}. Name its directory in PROVIDER_DATA.")
    source, target = EventLog(here.place("events")), EventLog(settings.place("events"))
    try:
        if not source.position():
            raise CannotMove(f"There is no institution in {here.data}. Name its directory in PROVIDER_DATA.")
        if target.position():
            raise CannotMove("There is an institution in that database already. Give it a database of its own.")
        if settings.keys_url is not None:
            _must_keep_no_others(here, settings)
        with cast(SqliteRecorder, source.recorder).alone():
            values = _durable(here, settings, "vault", VAULT_TABLES)
            keys = _durable(here, settings, "keys", KEYS_TABLES) if settings.keys_url is not None else 0
            _durable(here, settings, "desk", DESK_TABLES)
            events = _events(source, target, progress)
            rows = _prove(here, settings, source, target, projections)
    finally:
        source.close()
        target.close()
    return Moved(events, values, keys, rows)


def _must_keep_no_others(here: Settings, there: Settings) -> None:
    """Refuse a database of keys with any that are not here: to replace them would erase what others sealed."""
    source, target = open_engine(here.place("keys")), open_engine(there.place("keys"))
    table = KEYS_TABLES.tables["keys"]
    try:
        upgrade(source, "keys")
        upgrade(target, "keys")
        with source.connect() as ours, target.connect() as theirs:
            if set(theirs.scalars(select(table.c.id))) - set(ours.scalars(select(table.c.id))):
                raise CannotMove(
                    "There are keys of others in the database for the keys. Give it a database of its own."
                )
    finally:
        source.dispose()
        target.dispose()


def _durable(here: Settings, there: Settings, store: str, tables: MetaData) -> int:
    """Copy the rows of a durable store, and return how many there are; what is there already is replaced."""
    source, target = open_engine(here.place(store)), open_engine(there.place(store))
    count = 0
    try:
        upgrade(source, store)
        upgrade(target, store)
        with source.connect() as reading, writing(target) as connection:
            for table in tables.sorted_tables:
                connection.execute(table.delete())
                for page in reading.execute(select(table)).partitions(PAGE):
                    connection.execute(insert(table), [dict(row._mapping) for row in page])
                    count += len(page)
    finally:
        source.dispose()
        target.dispose()
    return count


def _events(source: EventLog, target: EventLog, progress: Progress | None) -> int:
    """Copy all events with their positions, and the answers to idempotency keys, or nothing."""
    recorder = cast(PostgresRecorder, target.recorder)
    schema, table = recorder.datastore.schema, recorder.events_table_name
    end, place, count = source.position(), 0, 0
    with recorder.datastore.transaction(commit=True) as cursor:
        columns = "notification_id, originator_id, originator_version, topic, state"
        into = SQL("COPY {}.{} (" + columns + ") FROM STDIN").format(Identifier(schema), Identifier(table))
        with cursor.copy(into) as copy:
            copy.set_types(["int8", "uuid", "int8", "text", "bytea"])
            while page := source.entries.page(place, PAGE):
                for position, stream, version, topic, state in page:
                    copy.write_row((position, UUID(stream), version, topic, state))
                place, count = page[-1][0], count + len(page)
                if progress is not None:
                    progress(place, end)
        # What was drawn and given up stays given up.
        last = max(place, cast(SqliteRecorder, source.recorder).last_drawn())
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'notification_id'), %s)", (f'"{schema}"."{table}"', last)
        )
        keep = SQL(
            "INSERT INTO {}.idempotency (principal, key, fingerprint, receipt, position, recorded_at) "
            "VALUES (%s, %s, %s, %s, %s, %s)"
        ).format(Identifier(schema))
        cursor.executemany(keep, cast(SqliteRecorder, source.recorder).all_answers())
    return count


def _prove(
    here: Settings, there: Settings, source: EventLog, target: EventLog, projections: Sequence[Projection]
) -> int:
    """Build the views there, compare them with those here, and return how many rows there are."""
    old, new = Views(here.place("views"), source, projections), Views(there.place("views"), target, projections)
    try:
        old.open()
        old.catch_up()
        new.open()
        new.rebuild()
        differing = new.verify()
        if _digest(_all(source)) != _digest(_all(target)):
            differing.append("the events themselves")
        rows = 0
        with old.reading() as before, new.reading() as after:
            for table in old.tables:
                known, found = _rows(before, table), _rows(after, table)
                rows += len(known)
                if sorted(known) != sorted(found):
                    differing.append(f"the view {table.name}")
    finally:
        old.close()
        new.close()
    if differing:
        raise MovedBadly(f"What arrived differs: {'; '.join(differing[:10])}. Keep working with {here.data}.")
    return rows


def _all(log: EventLog) -> Iterator[tuple[Any, ...]]:
    place = 0
    while page := log.entries.page(place, PAGE):
        for position, stream, version, topic, state in page:
            yield position, UUID(stream).hex, version, topic, bytes(state).decode()
        place = page[-1][0]


def _digest(rows: Iterable[tuple[Any, ...]]) -> str:
    digest = blake2b()
    for row in rows:
        digest.update(orjson.dumps(row) + b"\n")
    return digest.hexdigest()


def _rows(reading: Any, table: Table) -> list[bytes]:
    """Return a digest of each row; the databases sort text each in its own way."""
    found = reading.execute(select(table))
    return [blake2b(orjson.dumps(list(row)), digest_size=16).digest() for row in found]
