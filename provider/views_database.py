"""What the views ask of a database, whichever it is: connections, transactions, and one writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from projections.projection import Reading
from provider.durable import look_into, make_private, patiently
from provider.locks import PATIENCE, OwnAdvisoryLock, Shared, Turn, unshared
from provider.schema import Place, Schema, is_set_of_views, lock_number

SERVING, FILLING, SORTING = 3_000, 12_000, 4_000
"""Kilobytes of pages that a connection keeps in memory: of each thread of a server, while tables are filled, and while
their indexes are made, for which as much again is sorted at a time."""

JOURNAL = 64 * 1024 * 1024
"""Bytes that a journal is cut down to when it begins anew; a rebuild or a VACUUM makes a much longer one."""


class Held(AbstractContextManager[None], Protocol):
    """A lock to hold in a `with`, and to close at last."""

    def close(self) -> None:
        """Let go of what it needs."""


class Brief(Held, Protocol):
    """A lock that a request may take, which does not wait for long."""

    def soon(self) -> AbstractContextManager[None]:
        """Hold it in a `with`, but not after a long wait."""

    def note(self, number: int) -> None:
        """Leave word how far the work is, where that saves others a look at the database."""

    def noted(self) -> int:
        """Return what was noted last; 0 where nothing was."""


class ViewsDatabase(Protocol):
    """`to_read` and `to_write` begin a transaction, `to_move` moves the place.

    `to_build` begins one that writes to tables beside the live ones only: where it is the same as `to_write`, there is
    one writer to all tables. `dropped_at_once` is how many tables are dropped in hardly longer than one.
    """

    @property
    def to_read(self) -> str: ...
    @property
    def to_write(self) -> str: ...
    @property
    def to_build(self) -> str: ...
    @property
    def to_move(self) -> str: ...
    @property
    def dropped_at_once(self) -> int: ...

    def engine(self) -> Engine:
        """Return an engine whose transactions are left to us."""

    def together(self, connection: Reading) -> AbstractContextManager[object]:
        """Let what is written in a `with` go to the database in one piece."""

    def keep_out(self, connection: Reading) -> bool:
        """Keep all readers out until the end of the transaction, and say whether that could be had soon."""

    def tables(self, connection: Reading) -> frozenset[str]:
        """Return the names of all tables that there are."""

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        """Run statements that define tables."""

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        """Let a connection keep so much in memory, where that is its own business."""

    def turn(self) -> Brief:
        """Return the right to write, as far as the transaction itself does not take it."""

    def alone(self, name: str) -> Held:
        """Return the right to do something that takes long, in one process of all at a time."""

    def in_use(self) -> Use:
        """Let others know that these views are in use, until that is closed."""

    def others(self) -> list[Self]:
        """Return the views of other versions that lie beside these."""

    def drop(self) -> bool:
        """Drop all that there is of these views, and say whether they could be: not while somebody uses them."""


class Use(Protocol):
    """What is closed by whoever no longer uses something."""

    def close(self) -> None:
        """Use it no longer."""


@dataclass(frozen=True)
class SqliteViews:
    """The views in a file."""

    path: Path
    to_read = "BEGIN"
    to_build = to_write = "BEGIN IMMEDIATE"
    to_move = "UPDATE places SET position = ? WHERE name = ?"
    dropped_at_once = 1

    def engine(self) -> Engine:
        make_private(self.path)
        engine = create_engine(
            f"sqlite:///{self.path}",
            poolclass=QueuePool,
            pool_size=0,
            isolation_level="AUTOCOMMIT",
            connect_args={"timeout": 10, "check_same_thread": False},
        )

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _: Any) -> None:
            patiently(lambda: connection.execute("PRAGMA journal_mode=WAL"))
            connection.execute("PRAGMA synchronous=NORMAL")
            # Nothing here is private; some builds write zeros over all that is deleted, page by page.
            connection.execute("PRAGMA secure_delete=OFF")
            # What is sorted for an index of a long log is too much for memory; little is sorted there all the same.
            connection.execute("PRAGMA temp_store=FILE")
            connection.execute(f"PRAGMA cache_size=-{SERVING}")
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            connection.execute(f"PRAGMA journal_size_limit={JOURNAL}")

        return engine

    def together(self, _: Reading) -> AbstractContextManager[object]:
        return nullcontext()

    def keep_out(self, _: Reading) -> bool:
        # Readers go on with the state that they have.
        return True

    def tables(self, connection: Reading) -> frozenset[str]:
        found = connection.driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return frozenset(name for (name,) in found)

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        for statement in statements:
            connection.driver.execute(statement)

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        connection.driver.execute(f"PRAGMA cache_size=-{int(kilobytes)}")

    def turn(self) -> Turn:
        return Turn(self.path.with_name(self.path.name + ".turn"))

    def alone(self, name: str) -> Turn:
        return Turn(self.path.with_name(f"{self.path.name}.{name}"))

    def in_use(self) -> Shared:
        return Shared(self._use)

    @property
    def _use(self) -> Path:
        return self.path.with_name(f"{self.path.name}.use")

    def others(self) -> list[SqliteViews]:
        found = sorted(self.path.parent.glob(f"*{self.path.suffix}"))
        return [
            SqliteViews(file) for file in found if is_set_of_views(file.stem) and file != self.path and file.is_file()
        ]

    def drop(self) -> bool:
        with unshared(self._use) as nobody_uses_it:
            if nobody_uses_it:
                # Its own file last: where this is cut short, the rest is found again by it.
                for end in ("-wal", "-shm", ".turn", ".making", ".apart", ".use", ""):
                    self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        return nobody_uses_it


class Queue:
    """The threads of one process, one at a time; those of others wait in the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def soon(self) -> Self:
        """Return the same: the server ends a wait that takes too long."""
        return self

    def note(self, number: int) -> None:
        """Nothing is noted: those of other hosts would not see it."""

    def noted(self) -> int:
        return 0

    def close(self) -> None:
        """There is nothing to let go of."""


@dataclass(frozen=True)
class PostgresViews:
    """The views in a schema.

    Whoever reads holds the places from before its state is taken until its end. So a swap waits for those who read, and
    who reads after it sees the new tables in a state that has their rows.
    """

    place: Schema
    to_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE places IN ACCESS SHARE MODE"
    to_build = "BEGIN; SET LOCAL synchronous_commit = off"
    to_move = "UPDATE places SET position = %s WHERE name = %s"
    dropped_at_once = 100

    @cached_property
    def to_write(self) -> str:
        writer = lock_number(f"writer of {self.place.name}")
        return f"{self.to_build}; SET LOCAL lock_timeout = '{PATIENCE:g}s'; SELECT pg_advisory_xact_lock({writer})"

    def engine(self) -> Engine:
        engine = create_engine(
            make_url(self.place.url).set(drivername="postgresql+psycopg"),
            poolclass=QueuePool,
            pool_size=0,
            pool_pre_ping=True,
            isolation_level="AUTOCOMMIT",
            paramstyle="format",
            hide_parameters=True,
            use_native_hstore=False,
        )

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _: Any) -> None:
            connection.autocommit = True
            # Held for as long as the connection lives: who has it uses these views.
            connection.execute("SELECT pg_advisory_lock_shared(%s)", (self._use,))
            look_into(connection, self.place.name)

        return engine

    def together(self, connection: Reading) -> AbstractContextManager[object]:
        pipeline: AbstractContextManager[object] = connection.driver.pipeline()
        return pipeline

    def keep_out(self, connection: Reading) -> bool:
        from psycopg.errors import LockNotAvailable

        try:
            # Not for long: whoever reads may be waiting for the lock that this transaction holds.
            connection.driver.execute(
                "SET LOCAL lock_timeout = '300ms'; LOCK TABLE places IN ACCESS EXCLUSIVE MODE; "
                "SET LOCAL lock_timeout = 0"
            )
        except LockNotAvailable:
            return False
        return True

    def tables(self, connection: Reading) -> frozenset[str]:
        found = connection.driver.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()")
        return frozenset(name for (name,) in found)

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        if statements:
            connection.driver.execute(";".join(statements))

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        """The server has its own."""

    def turn(self) -> Queue:
        return Queue()

    def alone(self, name: str) -> OwnAdvisoryLock:
        return OwnAdvisoryLock(self.place.url, lock_number(f"{name} of {self.place.name}"))

    @property
    def _use(self) -> int:
        return lock_number(f"use of {self.place.name}")

    def in_use(self) -> Use:
        return NoUse()

    def others(self) -> list[PostgresViews]:
        from psycopg import connect

        with connect(self.place.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, 'views') AND nspname <> %s "
                "AND pg_has_role(nspowner, 'USAGE') AND to_regclass(format('%%I.places', nspname)) IS NOT NULL "
                "ORDER BY nspname",
                (self.place.name,),
            )
            return [PostgresViews(Schema(self.place.url, name)) for (name,) in found if is_set_of_views(name)]

    def drop(self) -> bool:
        from psycopg import connect
        from psycopg.sql import SQL, Identifier

        with connect(self.place.url) as connection:
            locked = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (self._use,)).fetchone()
            if locked == (True,):
                connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(self.place.name)))
        return locked == (True,)


class NoUse:
    """Nothing to close: each connection says by itself that it uses what it reads."""

    def close(self) -> None:
        """There is nothing to let go of."""


def database_of(place: Place) -> ViewsDatabase:
    """Return what the views at this place need."""
    return PostgresViews(place) if isinstance(place, Schema) else SqliteViews(place)
