"""What the views ask of a database, whichever it is: connections, transactions, and one writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from projections.projection import Reading
from provider.durable import look_into, make_private
from provider.locks import PATIENCE, AdvisoryLock, Turn
from provider.schema import Place, Schema, lock_number

SERVING, FILLING = 3_000, 64_000
"""Kilobytes of pages that a connection keeps in memory; each thread of a server has two."""

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


class ViewsDatabase(Protocol):
    """`to_read` and `to_write` begin a transaction, `to_move` moves the place.

    `to_build` begins one that writes to tables beside the live ones only: where it is the same as `to_write`, there is
    one writer to all tables.
    """

    @property
    def to_read(self) -> str: ...
    @property
    def to_write(self) -> str: ...
    @property
    def to_build(self) -> str: ...
    @property
    def to_move(self) -> str: ...

    def engine(self) -> Engine:
        """Return an engine whose transactions are left to us."""

    def together(self, connection: Reading) -> AbstractContextManager[object]:
        """Let what is written in a `with` go to the database in one piece."""

    def keep_out(self, connection: Reading) -> bool:
        """Keep all readers out until the end of the transaction, and say whether that could be had soon."""

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        """Run statements that define tables."""

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        """Let a connection keep so much in memory, where that is its own business."""

    def turn(self) -> Brief:
        """Return the right to write, as far as the transaction itself does not take it."""

    def alone(self, name: str) -> Held:
        """Return the right to do something that takes long, in one process of all at a time."""


@dataclass(frozen=True)
class SqliteViews:
    """The views in a file."""

    path: Path
    to_read = "BEGIN"
    to_build = to_write = "BEGIN IMMEDIATE"
    to_move = "UPDATE places SET position = ? WHERE name = ?"

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
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(f"PRAGMA cache_size=-{SERVING}")
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            connection.execute(f"PRAGMA journal_size_limit={JOURNAL}")

        return engine

    def together(self, _: Reading) -> AbstractContextManager[object]:
        return nullcontext()

    def keep_out(self, _: Reading) -> bool:
        # Readers go on with the state that they have.
        return True

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        for statement in statements:
            connection.driver.execute(statement)

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        connection.driver.execute(f"PRAGMA cache_size=-{int(kilobytes)}")

    def turn(self) -> Turn:
        return Turn(self.path.with_name(self.path.name + ".turn"))

    def alone(self, name: str) -> Turn:
        return Turn(self.path.with_name(f"{self.path.name}.{name}"))


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

    def close(self) -> None:
        """There is nothing to let go of."""


WRITER = lock_number("views writer")


@dataclass(frozen=True)
class PostgresViews:
    """The views in a schema.

    Whoever reads holds the places from before its state is taken until its end. So a swap waits for those who read, and
    who reads after it sees the new tables in a state that has their rows.
    """

    place: Schema
    to_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE places IN ACCESS SHARE MODE"
    to_build = "BEGIN; SET LOCAL synchronous_commit = off"
    to_write = f"{to_build}; SET LOCAL lock_timeout = '{PATIENCE:g}s'; SELECT pg_advisory_xact_lock({WRITER})"
    to_move = "UPDATE places SET position = %s WHERE name = %s"

    def engine(self) -> Engine:
        engine = create_engine(
            make_url(self.place.url).set(drivername="postgresql+psycopg"),
            poolclass=QueuePool,
            pool_size=0,
            pool_pre_ping=True,
            isolation_level="AUTOCOMMIT",
            paramstyle="format",
            hide_parameters=True,
        )

        @event.listens_for(engine, "connect")
        def set_up(connection: Any, _: Any) -> None:
            connection.autocommit = True
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

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        if statements:
            connection.driver.execute(";".join(statements))

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        """The server has its own."""

    def turn(self) -> Queue:
        return Queue()

    def alone(self, name: str) -> AdvisoryLock:
        return AdvisoryLock(self.place.url, lock_number(f"views {name}"))


def database_of(place: Place) -> ViewsDatabase:
    """Return what the views at this place need."""
    return PostgresViews(place) if isinstance(place, Schema) else SqliteViews(place)
