"""A database that one test hands on to the next, and its connections: a new one costs as much as a dozen commands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal

MOST = 12
"""Connections of one kind that wait for the next test; more are needed by a few tests only."""
ENOUGH = 100
"""Tests after which the database is made anew: rows that were deleted stay in its files."""

_TOUCHED = " UNION ALL ".join(
    f"SELECT '{catalog}', count(*), coalesce(max(xmin::text::bigint), 0) FROM {catalog} WHERE oid >= 16384"
    for catalog in ("pg_namespace", "pg_class", "pg_proc", "pg_trigger", "pg_constraint", "pg_attrdef")
) + (
    " UNION ALL SELECT 'pg_attribute', count(*), max(xmin::text::bigint) FROM pg_attribute WHERE attrelid >= 16384"
    " UNION ALL SELECT 'pg_db_role_setting', count(*), 0 FROM pg_db_role_setting"
)
"""What changes whenever a table is made, altered, dropped or granted, and when a setting is; quick to ask."""

_SHAPE = """
SELECT format('%s.%s %s %s', nspname, relname, relkind, relacl),
    (SELECT array_agg(format('%s %s %s', attname, atttypid, attnotnull) ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped),
    (SELECT array_agg(format('%s %s %s', indisunique, indkey, indisprimary) ORDER BY indkey::text, indisunique)
        FROM pg_index WHERE indrelid = pg_class.oid)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'S', 'v') AND pg_class.oid >= 16384
UNION ALL SELECT nspname, NULL, array[nspacl::text] FROM pg_namespace WHERE oid >= 16384
UNION ALL SELECT proname, NULL, array[prosrc] FROM pg_proc WHERE oid >= 16384
UNION ALL SELECT tgname, NULL, NULL FROM pg_trigger WHERE oid >= 16384
UNION ALL SELECT NULL, setconfig, NULL FROM pg_db_role_setting ORDER BY 1
"""
"""How all tables are made. One that was rebuilt is as it was."""

_TABLES = (
    "SELECT nspname, relname, relkind::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE relkind IN ('r', 'S') AND pg_class.oid >= 16384 ORDER BY 1, 2"
)


@dataclass
class Pristine:
    """What a template holds: its tables and sequences, and what brings a database that has the same to its state."""

    tables: list[tuple[str, ...]]
    statements: str

    @classmethod
    def of(cls, url: str) -> Pristine:
        with psycopg.connect(url) as connection:
            tables = connection.execute(_TABLES).fetchall()
            said = []
            for *table, kind in tables:
                name = Identifier(*table)
                if kind == "S":
                    found = connection.execute(SQL("SELECT last_value, is_called FROM {}").format(name)).fetchone()
                    last, called = found or (1, False)
                    said.append(SQL("SELECT setval({}, {}, {})").format(name.as_string(), last, called))
                    continue
                said.append(SQL("DELETE FROM {}").format(name))
                for (row,) in connection.execute(SQL("SELECT row::text FROM {} AS row").format(name)):
                    said.append(SQL("INSERT INTO {} SELECT ({}::{}).*").format(name, Literal(row), name))
            return cls(tables, SQL("; ").join(said).as_string(connection))


@dataclass
class Warm:
    """A database that has the state of a template again and again, as long as no test changes its tables.

    `at` gives the address of a database by its name, `make` makes one as a copy of a template, and `drop` drops one.
    """

    name: str
    at: Callable[[str], str]
    make: Callable[[str, str], object]
    drop: Callable[[str], object]
    _idle: dict[Any, list[pq.abc.PGconn]] = field(default_factory=lambda: defaultdict(list))
    _pristine: dict[str, Pristine] = field(default_factory=dict)
    _tables: list[tuple[str, ...]] = field(default_factory=list)
    _touched: list[tuple[Any, ...]] = field(default_factory=list)
    _shape: list[tuple[Any, ...]] = field(default_factory=list)
    _used: int = ENOUGH
    _administer: psycopg.Connection[Any] | None = None

    def become(self, template: str) -> None:
        """Bring the database to the state of a template: by its rows, or as a new copy where its tables differ."""
        pristine = self._pristine.get(template)
        if pristine is None:
            pristine = self._pristine[template] = Pristine.of(self.at(template))
        self._used += 1
        if self._used > ENOUGH or self._tables != pristine.tables or self._administer is None:
            self._make_anew(template, pristine)
            return
        try:
            done = self._bring_to(pristine, self._administer)
        except psycopg.OperationalError:  # A test has cut all connections.
            done = False
        if not done:
            self._make_anew(template, pristine)

    def _bring_to(self, pristine: Pristine, administer: psycopg.Connection[Any]) -> bool:
        """Bring the rows to a state, unless the tables have changed; say which it was."""
        idle = [each.backend_pid for kept in self._idle.values() for each in kept]
        # Who should have gone with its test may still write.
        administer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND usename = current_user AND pid <> ALL(%s) AND pid <> pg_backend_pid()",
            (idle,),
        )
        if (touched := administer.execute(_TOUCHED).fetchall()) != self._touched:
            if administer.execute(_SHAPE).fetchall() != self._shape:
                return False
            self._touched = touched
        administer.execute(pristine.statements.encode())
        return True

    def _make_anew(self, template: str, pristine: Pristine) -> None:
        self.close()
        self.drop(self.name)
        self.make(template, self.name)
        self._administer = psycopg.connect(self.at(self.name), autocommit=True, application_name="warm")
        self._tables, self._used = pristine.tables, 0
        self._touched = self._administer.execute(_TOUCHED).fetchall()
        self._shape = self._administer.execute(_SHAPE).fetchall()

    def close(self) -> None:
        """Close all connections."""
        for kept in self._idle.values():
            while kept:
                kept.pop().finish()
        if self._administer is not None:
            self._administer.close()
            self._administer = None

    @contextmanager
    def handing_on(self) -> Iterator[None]:
        """Let connections to the database be handed on in a `with`, as new as a pooler of sessions makes them.

        The server forgets what a session did to it, and keeps in memory what it has learnt of the tables.
        """
        connection = psycopg.Connection
        connect, close = connection.__dict__["connect"], connection.close
        nowhere = pq.PGconn.connect(b"host=/nowhere/at/all")

        def connect_or_take(cls: Any, conninfo: str = "", **said: Any) -> Any:
            ours = {
                n: said[n] for n in ("autocommit", "prepare_threshold", "row_factory", "cursor_factory") if n in said
            }
            theirs = {name: value for name, value in said.items() if name not in ours and name != "context"}
            params = conninfo_to_dict(conninfo, **theirs)
            if params.get("dbname") != self.name or params.get("application_name") == "warm":
                return connect.__get__(None, cls)(conninfo, **said)
            kind = tuple(sorted((name, str(value)) for name, value in params.items()))
            while self._idle[kind]:
                taken = self._idle[kind].pop()
                if taken.exec_(b"").status == pq.ExecStatus.EMPTY_QUERY:
                    made = cls(taken)
                    break
                taken.finish()
            else:
                made = connect.__get__(None, cls)(conninfo, **theirs)
            made.kind = kind
            made._autocommit = bool(ours.get("autocommit"))
            made.prepare_threshold = ours.get("prepare_threshold", 5)
            for name in ("row_factory", "cursor_factory"):
                if ours.get(name) is not None:
                    setattr(made, name, ours[name])
            return made

        def close_or_keep(self_: Any) -> None:
            kind = getattr(self_, "kind", None)
            if kind is None or self_.closed or len(self._idle[kind]) >= MOST or not _is_as_new(self_.pgconn):
                close(self_)
                return
            kept, self_.pgconn, self_._closed = self_.pgconn, nowhere, True
            kept.notice_handler = kept.notify_handler = None
            self._idle[kind].append(kept)

        connection.connect = classmethod(connect_or_take)
        connection.close = close_or_keep
        taken = psycopg.connect
        psycopg.connect = connection.connect
        try:
            yield
        finally:
            connection.connect, connection.close, psycopg.connect = connect, close, taken
            self.close()


def _is_as_new(server: pq.abc.PGconn) -> bool:
    """Let the server forget what happened in a session, and say whether it could."""
    if server.pipeline_status != pq.PipelineStatus.OFF:
        return False
    if server.transaction_status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
        server.exec_(b"ROLLBACK")
    if server.transaction_status != pq.TransactionStatus.IDLE:
        return False
    if server.exec_(b"DISCARD ALL").status != pq.ExecStatus.COMMAND_OK:
        return False
    while server.notifies() is not None:
        pass
    return True
