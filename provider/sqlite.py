"""The event log in an SQLite file: the library's recorder, with the traps of SQLite closed."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID
from weakref import finalize

from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteFactory,
    SQLiteTransaction,
)
from eventsourcing.utils import Environment

from provider.durable import make_private, patiently
from provider.locks import Turn
from provider.outage import DiskFailed
from provider.receipt import IdempotencyKey, Receipt
from provider.recorder import Entry

LOGGER = logging.getLogger(__name__)

to_disk = getattr(os, "fdatasync", os.fsync)
"""Brings what was written to a file onto the disk, with its length, but without its times, which nobody needs."""


class SqliteRecorder(SQLiteApplicationRecorder):
    """The library's recorder, with positions that VACUUM and deletes at the tail can't renumber, and with keys.

    An implicit rowid is given anew by VACUUM, and again after its row was deleted; AUTOINCREMENT on a column of that
    very name prevents both.
    """

    def __init__(self, datastore: SQLiteDatastore, events_table_name: str = "stored_events"):
        super().__init__(datastore, events_table_name)
        self.lend = self._datastore.lend
        self._on_disk_upto = 0
        self.insert_events_statement = (
            f"INSERT INTO {events_table_name} (originator_id, originator_version, topic, state) VALUES (?,?,?,?)"
        )

    def construct_create_table_statements(self) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {self.events_table_name} ("
            "rowid INTEGER PRIMARY KEY AUTOINCREMENT, "
            "originator_id TEXT NOT NULL, "
            "originator_version INTEGER NOT NULL, "
            "topic TEXT NOT NULL, "
            "state BLOB NOT NULL, "
            "UNIQUE (originator_id, originator_version))",
            "CREATE TABLE IF NOT EXISTS idempotency ("
            "principal TEXT NOT NULL, "
            "key TEXT NOT NULL, "
            "fingerprint TEXT NOT NULL, "
            "receipt BLOB NOT NULL, "
            "position INTEGER, "
            "recorded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), "
            "PRIMARY KEY (principal, key)) WITHOUT ROWID",
        ]

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        answer: tuple[IdempotencyKey, Receipt] | None = None,
        **_: Any,
    ) -> Sequence[int]:
        cursor = c.sqlite_cursor
        rows = [
            (
                e.originator_id.hex if isinstance(e.originator_id, UUID) else e.originator_id,
                e.originator_version,
                e.topic,
                e.state,
            )
            for e in stored_events
        ]
        positions: list[int] = []
        if rows:
            if len(rows) > 1:
                cursor.executemany(self.insert_events_statement, rows[:-1])
            cursor.execute(self.insert_events_statement, rows[-1])
            # One writer at a time, and AUTOINCREMENT: the positions of one transaction are a row without gaps.
            last = cast(int, cursor.lastrowid)
            positions = list(range(last - len(rows) + 1, last + 1))
        if answer is not None:
            key, receipt = answer
            c.execute(
                "INSERT INTO idempotency (principal, key, fingerprint, receipt, position) VALUES (?,?,?,?,?)",
                (
                    str(key.principal),
                    key.key,
                    key.fingerprint,
                    receipt.stored(),
                    positions[-1] if positions else None,
                ),
            )
        return positions

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        positions = super().insert_events(stored_events, **kwargs)
        self._datastore.settle()
        if positions:
            self._on_disk_upto = max(self._on_disk_upto, positions[-1])
        return positions

    def settle(self, upto: int | None = None) -> None:
        """Wait until everything that was recorded so far, or up to a position, is on the disk."""
        if upto is None or upto > self._on_disk_upto:
            self._datastore.settle()
        if upto is not None:
            self._on_disk_upto = max(self._on_disk_upto, upto)

    @property
    def _datastore(self) -> Datastore:
        return cast(Datastore, self.datastore)

    def answered(self, key: IdempotencyKey) -> Receipt | None:
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT fingerprint, receipt, position FROM idempotency WHERE principal=? AND key=?",
                (str(key.principal), key.key),
            )
            row = c.fetchone()
        if row is None:
            return None
        return Receipt.again(key, row["fingerprint"], row["receipt"], row["position"])

    def forget_keys(self, before: str) -> int:
        """Delete the answers recorded before this time (RFC 3339, UTC), and return how many."""
        with self.datastore.transaction(commit=True) as c:
            c.execute("DELETE FROM idempotency WHERE recorded_at < ?", (before,))
            return int(c.sqlite_cursor.rowcount)

    def max_notification_id(self) -> int:
        # The library says None where there is no event yet, against its own annotation.
        last: int = self._read(self.select_max_notification_id_statement, ())[0][0]
        return last

    def last(self) -> int:
        return self.max_notification_id() or 0

    def since(self, stream: UUID, version: int) -> list[tuple[str, int, str, bytes]]:
        """Return the events of a stream after a version: stream, version, topic and state of each."""
        return self._read(
            f"SELECT originator_id, originator_version, topic, state FROM {self.events_table_name} "
            "WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version",
            (stream.hex, version),
        )

    def page(self, after: int, limit: int, upto: int | None = None) -> list[Entry]:
        """Return up to `limit` entries after a position, in order; none beyond `upto`."""
        return self._read(
            f"SELECT rowid, originator_id, originator_version, topic, state FROM {self.events_table_name} "
            "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?",
            (after, upto if upto is not None else 2**63 - 1, limit),
        )

    def at(self, positions: Sequence[int]) -> list[Entry]:
        """Return the entries at these positions, in order; those that there are none at are left out."""
        return self._read(
            f"SELECT rowid, originator_id, originator_version, topic, state FROM {self.events_table_name} "
            f"WHERE rowid IN ({', '.join('?' * len(positions))}) ORDER BY rowid",
            tuple(positions),
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody record anything until the end of a `with`."""
        with self._datastore._turn:
            yield

    def _read(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Return what one statement finds, which sees one state without a transaction."""
        cursor = self.lend()._sqlite_conn.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, values).fetchall()


class Connection(SQLiteConnection):
    """A connection whose commits only write to the journal; None where there is none, and they go to the disk.

    To wait for the disk it has the journal open itself, from before its first commit on: the system tells of a failure
    those who had a file open, and hardly anybody who opens it later. As long as a connection is open, nobody takes the
    journal away; and SQLite has no locks on it that would end when we close it.
    """

    def __init__(self, sqlite_conn: sqlite3.Connection, journal: str | None):
        super().__init__(sqlite_conn, None)
        self.journal: int | None = None
        """The descriptor of the journal."""
        if journal is not None:
            self.journal = os.open(journal, os.O_RDONLY | os.O_CLOEXEC)
            self._let_go = finalize(self, os.close, self.journal)

    def _close(self) -> None:
        super()._close()
        if self.journal is not None:
            self._let_go()
            self.journal = -1


class Pool(SQLiteConnectionPool):
    """Connections on which a commit writes to the journal, to be brought to the disk after it.

    Where there can be no such journal, as on some file systems of a network, a commit is on the disk by itself.
    """

    def _create_connection(self) -> Connection:
        made = patiently(super()._create_connection)._sqlite_conn
        journalled = made.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        made.execute(f"PRAGMA synchronous={'NORMAL' if journalled else 'FULL'}")
        made.execute("PRAGMA busy_timeout=10000")
        made.execute("PRAGMA journal_size_limit=67108864")
        if not journalled:
            return Connection(made, None)
        # The journal is opened when something is read, beside the file that a link leads to.
        made.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        file = made.execute("PRAGMA database_list").fetchone()["file"]
        return Connection(made, f"{file}-wal")


class Datastore(SQLiteDatastore):
    """The library's datastore with a connection for each thread, and writers that take turns.

    Lending a connection from a pool for each statement costs more than the statement.
    """

    def __init__(self, db_name: str, **kwargs: Any) -> None:
        super().__init__(db_name, **kwargs)
        self.pool.close()
        self.pool = self._connections = Pool(db_name=db_name, lock_timeout=10, pool_size=64, max_overflow=64)
        self._local = threading.local()
        self._turn = Turn(Path(db_name + ".turn"))
        self._failed = False

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        lent = self.lend()
        if not commit:
            # Every reading of the recorders is one statement, which sees one state without a transaction.
            cursor = lent.cursor()
            try:
                yield cursor
            finally:
                cursor.sqlite_cursor.close()
            return
        self._must_be_well()
        with self._turn.soon(), SQLiteTransaction(lent, commit=True) as cursor:
            yield cursor

    def settle(self) -> None:
        """Wait until everything that was committed so far is on the disk.

        This is done after the turn, so that those who write at the same time wait for the disk at the same time too.

        :raises DiskFailed: when the disk fails, and each time from then on: the system forgets what it could not write,
            and would say the next time that all is well.
        """
        self._must_be_well()
        journal = self.lend().journal
        if journal is None:
            return
        try:
            to_disk(journal)
        except OSError:
            self._failed = True
            LOGGER.critical("the disk failed; nothing is recorded until the program is started again", exc_info=True)
        self._must_be_well()

    def _must_be_well(self) -> None:
        if self._failed:
            raise DiskFailed(errno.EIO, os.strerror(errno.EIO), self._connections.db_name)

    def bring_home(self) -> None:
        """Bring what is in the journal into the database, as far as nobody who reads is in the way.

        After a failure of the disk a journal may be whole in the memory of the system and nowhere else, and nobody is
        told again. What is written anew is on the disk, or fails.
        """
        self.lend()._sqlite_conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def lend(self) -> Connection:
        """Give this thread's own connection."""
        lent: Connection | None = getattr(self._local, "connection", None)
        if lent is None:
            lent = self._local.connection = self._connections._create_connection()
        return lent

    def close(self) -> None:
        super().close()
        if (lent := self.__dict__.pop("_local", None)) is not None and hasattr(lent, "connection"):
            lent.connection.close()
        if (turn := self.__dict__.get("_turn")) is not None:
            turn.close()


class SqliteLog(SQLiteFactory):
    """Makes the recorder of a log in a file."""

    def __init__(self, env: Environment, path: Path) -> None:
        make_private(path)
        InfrastructureFactory.__init__(self, env)
        self.datastore = Datastore(str(path))

    def application_recorder(self) -> ApplicationRecorder:
        recorder = SqliteRecorder(self.datastore)
        recorder.create_table()
        recorder._datastore.bring_home()
        return recorder
