"""The views in PostgreSQL: those that are live and those that are made anew are tables of one schema."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, Self

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from projections.projection import Reading
from provider.durable import look_into
from provider.locks import PATIENCE, OwnAdvisoryLock
from provider.schema import Schema, is_set_of_views, lock_number
from provider.views_database import ALL, Use, Writing, places

BESIDE = "__beside"
"""What the name of a table ends with while it is made beside the live one."""
PAST = "__past"
"""What the name of a table ends with that was the live one, until it is dropped."""
AT_ONCE = 100
"""Tables that are dropped in one transaction, which takes hardly longer than for one."""


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

    @contextmanager
    def at_once(self) -> Iterator[bool]:
        """Tell of the threads of this process; those of others still wait in the server."""
        alone = self._lock.acquire(blocking=False)
        try:
            yield alone
        finally:
            if alone:
                self._lock.release()

    def note(self, number: int) -> None:
        """Nothing is noted: those of other hosts would not see it."""

    def noted(self) -> int:
        return 0

    def idle(self) -> float:
        return inf

    def last_change(self) -> None:
        """Nobody says: those of other hosts would not hear it."""

    def changing(self) -> AbstractContextManager[None]:
        return nullcontext()

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

    def is_live(self, _: Reading) -> bool:
        return True

    def shorten_journal(self, _: Reading) -> None:
        """The server looks after its own."""

    def edition(self, **_: bool) -> PostgresEdition:
        # Tables of different views are never in each other's way.
        return PostgresEdition(self)

    def tidy(self, live: Writing) -> None:
        self.drop_tables(live, PAST)

    def drop_tables(self, live: Writing, ending: str) -> None:
        """Drop the tables whose names end so."""
        found = sorted(name for name in _tables(live) if name.endswith(ending))
        while found:
            some, found = found[:AT_ONCE], found[AT_ONCE:]
            with live.transaction(self.to_build):
                live.driver.execute(";".join(f"DROP TABLE IF EXISTS {name}" for name in some))

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


@dataclass(frozen=True)
class PostgresEdition:
    """Tables beside the live ones, under other names."""

    views: PostgresViews
    ending = BESIDE
    to_build = PostgresViews.to_build

    def open(self, live: Engine) -> Writing:
        return Writing(live.connect())

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        """The server has its own."""

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        if statements:
            connection.driver.execute(";".join(statements))

    def clear(self, connection: Writing, projections: Sequence[str], tables: Sequence[str]) -> None:
        there = _tables(connection)
        if found := [f"{table}{BESIDE}" for table in tables if f"{table}{BESIDE}" in there]:
            connection.driver.execute(f"DROP TABLE {', '.join(found)}")
        connection.execute(places.delete().where(places.c.name.in_(projections)))

    def take_in(self, connection: Writing, apart: PostgresEdition, indexes: int) -> None:
        """Nothing has to be taken: what the other process made stands among the rest."""

    def settle(self, connection: Writing) -> None:
        """The server lets it outlive a power cut, as far as whoever reads it sees."""

    def go_live(self, live: Writing, _: Writing, tables: Sequence[str], position: int) -> bool:
        from psycopg.errors import LockNotAvailable

        try:
            # Not for long: whoever reads may be waiting for the lock that this transaction holds.
            live.driver.execute(
                "SET LOCAL lock_timeout = '300ms'; LOCK TABLE places IN ACCESS EXCLUSIVE MODE; "
                "SET LOCAL lock_timeout = 0"
            )
        except LockNotAvailable:
            return False
        there = _tables(live)
        renamed = [f"ALTER TABLE {table} RENAME TO {table}{PAST}" for table in tables if table in there]
        renamed += [f"ALTER TABLE {table}{BESIDE} RENAME TO {table}" for table in tables]
        live.driver.execute(";".join(renamed))
        live.execute(places.delete())
        live.execute(places.insert().values(name=ALL, position=position))
        return True

    def drop(self, live: Writing) -> None:
        # The word of how far they are goes first, so that nobody goes on with half of them.
        with live.transaction(self.to_build):
            live.execute(places.delete().where(places.c.name != ALL))
        self.views.drop_tables(live, BESIDE)

    @contextmanager
    def beside(self, _: Reading) -> Iterator[str]:
        yield ""


class NoUse:
    """Nothing to close: each connection says by itself that it uses what it reads."""

    def close(self) -> None:
        """There is nothing to let go of."""


def _tables(connection: Reading) -> frozenset[str]:
    found = connection.driver.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()")
    return frozenset(name for (name,) in found)
