"""The stores in PostgreSQL: a schema for each, and the event log with the library's recorder."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    InterfaceError,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from eventsourcing.utils import Environment, retry
from psycopg import Connection
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.sql import SQL, Identifier

from provider.durable import make_schema
from provider.locks import PATIENCE
from provider.receipt import IdempotencyKey, Receipt
from provider.recorder import Entry
from provider.schema import Schema, lock_number

WAIT = 10
"""Seconds for those who record to commit."""

PAUSE = 0.001
"""Seconds between two looks whether those who record have committed, which they are about to."""

IN_FLIGHT = 0x5052
"""What the numbers of the locks begin with by which a writer says from where on it may record."""


class PostgresRecorder(PostgresApplicationRecorder):
    """The library's recorder, without its table lock, and with the answers given to idempotency keys.

    Positions are drawn before a transaction commits, so one may be seen before a lower one is. The library lets
    writers queue for the table. Here each says instead, before it draws, which position was the last one drawn: by a
    shared lock on that number, which ends with its transaction. All of what it records lies beyond. A reader looks
    first how far positions are drawn, then which locks are held, and then reads no further than the lowest of them:
    whoever drew before it looked either holds a lock still or has committed, and whoever draws later lies beyond.
    """

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.lend = cast(Datastore, datastore).connections.lend
        names = {
            "schema": Identifier(datastore.schema),
            "table": Identifier(events_table_name),
            "sequence": Identifier(datastore.schema, f"{events_table_name}_notification_id_seq"),
            "horizon": Identifier(datastore.schema, f"{events_table_name}_horizon"),
            "keys": Identifier(datastore.schema, "idempotency"),
            "prefix": SQL(str(IN_FLIGHT)),
            "id_type": SQL(datastore.originator_id_type),
        }
        self.sql_create_statements += [
            SQL(
                "CREATE TABLE IF NOT EXISTS {keys} ("
                "principal uuid NOT NULL, key text NOT NULL, fingerprint text NOT NULL, receipt bytea NOT NULL, "
                "position bigint, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), "
                "PRIMARY KEY (principal, key))"
            ).format(**names),
            SQL(
                "CREATE OR REPLACE FUNCTION {horizon}() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ "
                "DECLARE drawn bigint; lowest bigint; "
                "BEGIN "
                "SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO drawn FROM {sequence}; "
                "SELECT min(((classid::bigint & 4095) << 32) | objid::bigint) INTO lowest FROM pg_locks "
                "WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint >> 12) = {prefix} "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()); "
                "RETURN least(drawn, coalesce(lowest, drawn)); "
                "END $$"
            ).format(**names),
        ]
        # One statement, which is a transaction of its own: it takes the lock, draws, and records.
        insert = SQL(
            "WITH guard AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared("
            "({prefix}::bigint << 44) | CASE WHEN is_called THEN last_value ELSE 0 END) FROM {sequence}), "
            "recorded AS (INSERT INTO {schema}.{table} (originator_id, originator_version, topic, state) "
            "SELECT stream, version, topic, state FROM guard, "
            "unnest(%s::{id_type}[], %s::bigint[], %s::text[], %s::bytea[]) "
            "WITH ORDINALITY AS each (stream, version, topic, state, number) ORDER BY number "
            "RETURNING notification_id)"
        ).format(**names)
        positions = SQL(" SELECT notification_id FROM recorded ORDER BY notification_id")
        self._insert = insert + positions
        self._insert_and_keep = (
            insert
            + SQL(
                ", kept AS (INSERT INTO {keys} (principal, key, fingerprint, receipt, position) "
                "SELECT %s::uuid, %s::text, %s::text, %s::bytea, (SELECT max(notification_id) FROM recorded))"
            ).format(**names)
            + positions
        )
        self._tell = SQL("NOTIFY {}").format(Identifier(self.channel_name))
        self.max_notification_id_statement = SQL(
            "SELECT max(notification_id) FROM {schema}.{table} WHERE notification_id <= (SELECT {horizon}())"
        ).format(**names)
        self._horizon = SQL("SELECT {horizon}()").format(**names)
        self._last = SQL("SELECT coalesce(max(notification_id), 0) FROM {schema}.{table}").format(**names)
        self._columns = SQL(
            "SELECT notification_id, originator_id::text, originator_version, topic, state FROM {schema}.{table} "
        ).format(**names)
        self._since = SQL(
            "SELECT originator_id::text, originator_version, topic, state FROM {schema}.{table} "
            "WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version"
        ).format(**names)
        self._kept = SQL("SELECT fingerprint, receipt, position FROM {keys} WHERE principal = %s AND key = %s").format(
            **names
        )
        self._forget = SQL("DELETE FROM {keys} WHERE recorded_at < %s").format(**names)

    def create_table(self) -> None:
        """Make what is missing; any number of processes may do so at once, and who may not make tables needs not to."""
        with self.datastore.get_connection() as connection:
            found = connection.execute(
                "SELECT to_regclass(%s) AS at", (f'"{self.datastore.schema}"."{self.events_table_name}"',)
            ).fetchone()
            if found and found["at"] is not None:
                self.datastore.register_type_adapters()
                return
            number = lock_number(f"make {self.datastore.schema}.{self.events_table_name}")
            connection.execute("SELECT pg_advisory_lock(%s)", (number,))
            try:
                make_schema(connection, self.datastore.schema)
                super().create_table()
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", (number,))

    def settle(self, upto: int | None = None) -> None:
        """Nothing is waited for: the server shows nobody what is not on its disk."""

    @retry((InterfaceError, OperationalError), max_attempts=10, wait=0.2)
    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        answer: tuple[IdempotencyKey, Receipt] | None = None,
        **_: Any,
    ) -> Sequence[int] | None:
        if not stored_events and answer is None:
            return []
        events = (
            [e.originator_id for e in stored_events],
            [e.originator_version for e in stored_events],
            [e.topic for e in stored_events],
            [e.state for e in stored_events],
        )
        with self.datastore.get_connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
            if answer is None:
                cursor.execute(self._insert, events)
            else:
                key, receipt = answer
                kept = (key.principal, key.key, key.fingerprint, receipt.stored())
                cursor.execute(self._insert_and_keep, (*events, *kept))
            positions: list[int] = [row[0] for row in cursor.fetchall()]
            if positions:
                # In the transaction, a notice would let all commits of the server queue for one lock.
                cursor.execute(self._tell)
        return positions

    def last(self) -> int:
        ((last,),) = self._read(self._last, ())
        return int(last)

    def since(self, stream: UUID, version: int) -> list[tuple[str, int, str, bytes]]:
        found: list[tuple[str, int, str, bytes]] = self._read(self._since, (stream, version))
        return found

    def page(self, after: int, limit: int, upto: int | None = None) -> list[Entry]:
        # Looked up before the rows are, and by a statement of its own, which sees an earlier state than theirs.
        ((end,),) = self._read(self._horizon, ())
        if upto is not None:
            end = upto if end >= upto else self._settled(upto)
        if end <= after:
            return []
        statement = (
            self._columns
            + SQL("WHERE notification_id > %s AND notification_id <= %s ")
            + SQL("ORDER BY notification_id LIMIT %s")
        )
        found: list[Entry] = self._read(statement, (after, end, limit))
        return found

    def _settled(self, upto: int) -> int:
        """Wait until nothing can come any more before a position, or before the last one recorded; return which it was.

        Who draws early and commits late is waited for: a position that somebody was told of is read with all before it.
        And a writer who falls asleep between its look and its lock sets the horizon back for a moment.

        :raises TimeoutError: when it takes longer than anybody is patient for.
        """
        end = min(upto, self.last())
        until = monotonic() + WAIT
        while self._read(self._horizon, ())[0][0] < end:
            if monotonic() > until:
                raise TimeoutError("Somebody else has been recording for too long")
            sleep(PAUSE)
        return end

    def at(self, positions: Sequence[int]) -> list[Entry]:
        statement = self._columns + SQL("WHERE notification_id = ANY(%s) ORDER BY notification_id")
        found: list[Entry] = self._read(statement, (list(positions),))
        return found

    def answered(self, key: IdempotencyKey) -> Receipt | None:
        rows = self._read(self._kept, (key.principal, key.key))
        return Receipt.again(key, *rows[0]) if rows else None

    @retry((InterfaceError, OperationalError), max_attempts=10, wait=0.2)
    def forget_keys(self, before: str) -> int:
        with self.datastore.get_connection() as connection:
            return connection.execute(self._forget, (before,)).rowcount

    @retry((InterfaceError, OperationalError), max_attempts=10, wait=0.2)
    def _read(self, statement: Any, values: Sequence[Any]) -> list[Any]:
        with self.datastore.get_connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
            rows: list[Any] = cursor.execute(statement, values).fetchall()
            return rows


class Connections:
    """A connection for each thread, in place of the library's pool: to lend one for each statement takes longer.

    What is done on them commits by itself, and nobody waits for a lock for longer than anybody is patient for.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._local = threading.local()
        self._lent: set[Connection[DictRow]] = set()

    def lend(self) -> Connection[DictRow]:
        """Give this thread's own connection, or another where the server has closed it."""
        mine: Connection[DictRow] | None = getattr(self._local, "connection", None)
        if mine is not None:
            if not mine.closed:
                return mine
            # There may be no other yet.
            self._local.connection = None
            self._lent.discard(mine)
        lent = Connection[DictRow].connect(self._url, autocommit=True, row_factory=dict_row)
        try:
            lent.execute("SELECT set_config('lock_timeout', %s, false)", (f"{self._patience:g}s",))
        except BaseException:
            # On one that has not heard of it, somebody would wait for ever.
            lent.close()
            raise
        self._local.connection = lent
        self._lent.add(lent)
        return lent

    def open(self, wait: bool = False, timeout: float = 0) -> None:
        """Do nothing: each is opened when it is needed."""

    @contextmanager
    def connection(self) -> Iterator[Connection[DictRow]]:
        """Lend one in a `with`, as the library does."""
        yield self.lend()

    def close(self) -> None:
        """Close those of all threads."""
        while self._lent:
            self._lent.pop().close()


class Datastore(PostgresDatastore):
    """The library's datastore, on whatever a connection string may say."""

    def __init__(self, place: Schema) -> None:
        super().__init__(dbname="", host="", port="", user="", password="", schema=place.name)
        self.connections = Connections(place.url)
        self.pool = cast(Any, self.connections)

    def register_type_adapters(self) -> None:
        """Look nothing up: the library's composite types are those of its own way to record, which is not ours."""


class PostgresLog(PostgresFactory):
    """Makes the recorder of a log in a schema."""

    def __init__(self, env: Environment, place: Schema) -> None:
        InfrastructureFactory.__init__(self, env)
        self.datastore: Datastore = Datastore(place)

    def application_recorder(self) -> ApplicationRecorder:
        recorder = PostgresRecorder(self.datastore)
        recorder.create_table()
        return recorder

    def close(self) -> None:
        self.datastore.close()
