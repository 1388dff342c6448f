"""What a view is made of: tables whose rows have a since and an until, and a handler per event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cached_property
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

import orjson
from eventsourcing.utils import get_topic
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    select,
)
from sqlalchemy.types import TypeDecorator

FOREVER = 2**63 - 1
"""The `until` of a row that still holds."""

Row = Mapping[str, Any]
Event = TypeVar("Event")
T = TypeVar("T")
Handler = Callable[["Rows", Any], None]

METADATA = MetaData()
"""All tables of all views."""


class Reading:
    """A connection to the views on which all queries see one state, from `begin()` to `end()`.

    `driver` is the driver's own, for what is prepared; `execute` takes a statement that is composed. SQLAlchemy is told
    to leave transactions alone: to keep account of one costs it as much as a query.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.begun = False
        """Whether all queries see one state now."""
        self.position: int | None = None
        """How far the views are in that state, once somebody has looked."""
        self.change: int | None = None
        """Stands for the last change, before it began, of tables that are written rarely; None where nobody says."""
        self._since = 0.0
        self.dialect = connection.dialect
        self.execute = connection.execute
        self.driver: Any = connection.connection.dbapi_connection

    @property
    def age(self) -> float:
        """The seconds since it began to see this state."""
        return monotonic() - self._since

    @property
    def closed(self) -> bool:
        """Whether nothing can be read here any more; a server may have closed it."""
        return self._connection.closed or getattr(self.driver, "closed", False)

    def begin(self, opening: str = "BEGIN") -> None:
        """Begin anew, by the statement `opening`: what is read from now on stands in the newest state."""
        if self.begun:
            self.end()
        self.position = None
        self._since = monotonic()
        self.begun = True
        try:
            self.driver.execute(opening)
        except BaseException:
            # It may have begun all the same, and failed then.
            self.end()
            raise

    def end(self) -> None:
        """Let go of the state that was read; nothing is written."""
        self.begun = False
        try:
            self.driver.rollback()
        except Exception:
            # Where the server closed it, there is nothing left to let go of.
            if not self.closed:
                raise

    def close(self) -> None:
        """Give the connection back; one that the server closed is thrown away."""
        if not self.closed:
            self.end()
        elif not self._connection.closed:
            self._connection.invalidate()
        self._connection.close()


class Rows(Protocol):
    """All that a handler may do: get, add, put, change and delete rows of its own tables, by their key.

    Rows hold plain values: ids as text, dates and times as ISO text (UTC, with Z), numbers, flags, and JSON. What is
    given as UUID, datetime, date, Decimal or tuple is made plain on the way in. A row must never be changed in place.
    """

    position: int
    request: Mapping[str, str] | None

    def get(self, table: Table, *key: object) -> Row | None:
        """Return the row as of now, or None."""

    def add(self, table: Table, **values: object) -> None:
        """Write a row whose key was never used before; saves the look whether it was."""

    def put(self, table: Table, **values: object) -> None:
        """Write a row, in place of any with the same key."""

    def change(self, table: Table, *key: object, **values: object) -> None:
        """Change some columns of a row; nothing happens where there is none."""

    def delete(self, table: Table, *key: object) -> None:
        """End a row; it stays readable as of earlier positions."""


class Stored(NamedTuple):
    """An event as it is stored: what it says as JSON values, without what is absent; times end with Z."""

    stream: str
    version: int
    topic: str
    said: Mapping[str, Any]


class Projection:
    """One view: its name, its version, its tables, and what each event does to them.

    The version is raised by hand whenever a handler or a table changes; the view is then rebuilt beside the old one.
    A rebuild of a long log makes those of either `half` (0 or 1) in a process of its own: the halves take about as
    long, and views that read the same events are in the same one, where each event is read once for all of them.
    """

    def __init__(self, name: str, *, version: int, tables: tuple[Table, ...], half: int = 0) -> None:
        self.name = name
        self.half = half
        self.version = version
        self.tables = tables
        self.handlers: dict[str, Handler] = {}
        self.every: Callable[[Rows, Stored], None] | None = None

    def on(self, *kinds: type[Any]) -> Callable[[Callable[[Rows, Event], None]], Callable[[Rows, Event], None]]:
        """Call the function for events of these kinds."""

        def register(handler: Callable[[Rows, Event], None]) -> Callable[[Rows, Event], None]:
            for kind in kinds:
                topic = get_topic(kind)
                if topic in self.handlers:
                    raise ValueError(f"{self.name} handles {topic} twice.")
                self.handlers[topic] = handler
            return handler

        return register

    def on_every(self, handler: Callable[[Rows, Stored], None]) -> Callable[[Rows, Stored], None]:
        """Call the function for all events, whatever their kind: before others, and with the event as it is stored.

        To make an event of it takes as long as to note it.
        """
        self.every = handler
        return handler


def view_table(
    name: str,
    *columns: Column[Any],
    key: tuple[str, ...],
    indexes: Iterable[tuple[str, ...]] = (),
    only_added: bool = False,
    now_only: bool = False,
    rarely: bool = False,
) -> Table:
    """Return a table whose rows hold from the position `since` up to, not including, `until`.

    `only_added` says that a handler never looks at a row again; a fold then lets go of it when it is written.
    `now_only` says that nobody asks how a row was: a table that handlers alone read keeps what holds now.
    `rarely` says that it is written rarely, and read by nearly every request: what was read there is remembered for as
    long as no such table is written.
    """
    every = (*columns, Column("since", BigInteger, nullable=False), Column("until", BigInteger, nullable=False))
    for column in every:
        # The library makes a class of its own of each name, and JSON wants the keys of a row to be text and no more.
        column.name = column.key = str(column.name)
    # Of rows that are never written anew, or only in place of each other, there is one of each key.
    from_to = () if only_added or now_only else ("since", "until")
    # SQLite keeps rows without a number in the tree of their keys, and of one longer than a quarter of a page it
    # puts the rest on a page of its own: with JSON, a row of 1.1 kB took 4.7. A key may also be such a number itself.
    by_number = only_added and all(isinstance(c.type, BigInteger) for c in columns if c.name in key) and len(key) == 1
    numbered = by_number or any(isinstance(column.type, JsonText) for column in columns)
    return Table(
        name,
        METADATA,
        *every,
        PrimaryKeyConstraint(*key, *from_to[:1]),
        *(Index(f"{name}_by_{'_'.join(index)}", *index, *from_to[1:]) for index in indexes),
        info={"key": key, "only_added": only_added, "now_only": now_only, "rarely": rarely},
        sqlite_with_rowid=numbered,
    )


def uid(name: str) -> Column[Any]:
    """Return a column for an id, as text of 36 characters."""
    return Column(name, String(36))


def text(name: str) -> Column[Any]:
    """Return a column for text; also for `Private` handles, and for dates and times in ISO form."""
    return Column(name, Text)


def number(name: str) -> Column[Any]:
    """Return a column for a whole number, which no database counts up by itself."""
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), autoincrement=False)


def flag(name: str) -> Column[Any]:
    """Return a column for yes or no."""
    return Column(name, Boolean)


def json(name: str) -> Column[Any]:
    """Return a column for a JSON value; it is compared as a whole and never queried into."""
    return Column(name, JsonText)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text, on every database: a view is compared by its bytes, and reads them by itself."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _: Any) -> Any:
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: Any, _: Any) -> Any:
        return None if value is None else orjson.loads(value)


PORTION = 500
"""How many ids are asked for in one statement."""


class RowMissing(LookupError):
    """A row is not there that an earlier event made: the view was damaged, or a handler forgot it."""


def expected(rows: Rows, table: Table, *key: object) -> Row:
    """Return a row that must be there, since an earlier event made it.

    :raises RowMissing: it is not.
    """
    row = rows.get(table, *key)
    if row is None:
        raise RowMissing(f"{table.name} has no row for {', '.join(map(str, key))}.")
    return row


def contents(row: Any) -> dict[str, Any]:
    """Return what a row of a query says, without the positions between which it holds."""
    said = dict(row._mapping)
    del said["since"], said["until"]
    return said


def portions(ids: Iterable[T]) -> Iterator[list[T]]:
    """Give so many ids at a time as one statement is asked for."""
    wanted = list(ids)
    for i in range(0, len(wanted), PORTION):
        yield wanted[i : i + PORTION]


def holds(table: Table, at: int | BindParameter[int] | None) -> ColumnElement[bool]:
    """Return the condition for rows as of a position, or as of now where it is None; `THEN` is given at each use."""
    if at is None:
        return table.c.until == FOREVER
    return and_(table.c.since <= at, table.c.until > at)


THEN: BindParameter[int] = bindparam("at", type_=BigInteger)
"""A position that a prepared statement is given as `at`."""


class Prepared:
    """A statement that is compiled once, and run by the driver itself; its rows are plain tuples.

    To make, compile, execute and describe a statement that finds a row or two costs several times the search, so those
    that many requests run are prepared.
    """

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement
        columns = list(statement.selected_columns)
        self._read: list[tuple[int, Callable[[Any], Any]]] = [
            (i, bool if isinstance(column.type, Boolean) else orjson.loads)
            for i, column in enumerate(columns)
            if isinstance(column.type, (Boolean, JsonText))
        ]
        self._made: dict[str, tuple[str, tuple[str, ...], dict[str, Any], int]] = {}

    def all(self, read: Reading, **values: object) -> list[tuple[Any, ...]]:
        """Return all rows for these values of the statement's parameters.

        :raises TypeError, KeyError: when they have other names.
        """
        sql, names, constants, asked = self._made.get(read.dialect.name) or self._make(read)
        if len(values) != asked:
            raise TypeError(f"{asked} values are needed, and {len(values)} are given: {', '.join(values)}.")
        said = {**constants, **values}
        rows: list[tuple[Any, ...]] = read.driver.execute(sql, tuple(map(said.__getitem__, names))).fetchall()
        return [self._as_typed(row) for row in rows] if self._read else rows

    def first(self, read: Reading, **values: object) -> tuple[Any, ...] | None:
        """Return the first row, or None where there is none."""
        rows = self.all(read, **values)
        return rows[0] if rows else None

    def _as_typed(self, row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        for i, read in self._read:
            if values[i] is not None:
                values[i] = read(values[i])
        return tuple(values)

    def _make(self, read: Reading) -> tuple[str, tuple[str, ...], dict[str, Any], int]:
        compiled = self.statement.compile(dialect=read.dialect)
        # What has no value of its own is None there, which would find nothing and tell nobody.
        constants = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
        asked = len(compiled.params) - len(constants)
        made = (str(compiled), tuple(compiled.positiontup or ()), constants, asked)
        self._made[read.dialect.name] = made
        return made


class Lookup:
    """The rows of a table that say something in these columns, as of now or as of a position, prepared for both."""

    def __init__(
        self, table: Table, *named: str, order: Sequence[str] = (), only: ColumnElement[bool] | None = None
    ) -> None:
        """Look rows up by these columns, `only` of some kind; they come in this order, or in that of keys."""
        self._table = table
        self._named = named
        self._only = () if only is None else (only,)
        self._order = order or table.info["key"]
        self._columns = [column for column in table.columns if column.name not in ("since", "until")]
        self._names = [column.name for column in self._columns]

    def all(self, read: Reading, at: int | None, **said: object) -> list[dict[str, Any]]:
        """Return the rows that say this: each by the names of its columns, without the positions between which it
        holds."""
        rows = self._now.all(read, **said) if at is None else self._then.all(read, at=at, **said)
        return [dict(zip(self._names, row, strict=True)) for row in rows]

    def first(self, read: Reading, at: int | None, **said: object) -> dict[str, Any] | None:
        """Return the first such row, or None where there is none."""
        rows = self.all(read, at, **said)
        return rows[0] if rows else None

    # To compose a statement takes longer than a program that asks for something else should wait for it.

    @cached_property
    def _now(self) -> Prepared:
        return self._prepared(holds(self._table, None))

    @cached_property
    def _then(self) -> Prepared:
        return self._prepared(holds(self._table, THEN))

    def _prepared(self, held: ColumnElement[bool]) -> Prepared:
        wanted = (self._table.c[name] == bindparam(name) for name in self._named)
        found = select(*self._columns).where(*wanted, *self._only, held)
        return Prepared(found.order_by(*(self._table.c[name] for name in self._order)))


def instant(moment: datetime) -> str:
    """Return an aware datetime as text that sorts by time: 2026-05-04T07:00:00.000000Z.

    One in another zone is said in UTC.

    :raises ValueError: it is in no zone.
    """
    # Three times as quick as the datetime's own `isoformat`.
    said = orjson.dumps(moment, None, orjson.OPT_UTC_Z)[1:-1].decode()
    if said[-1] != "Z":
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no zone.")
        return instant(moment.astimezone(UTC))
    # Whole seconds come without their zeros.
    return said if len(said) == len("2026-05-04T07:00:00.000000Z") else f"{said[:-1]}.000000Z"


def _same(value: Any) -> Any:
    return value


def _each(values: Any) -> list[Any]:
    return [plain(value) for value in values]


def _named(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(plain(name)): plain(value) for name, value in values.items()}


def _members(value: Any) -> dict[str, Any]:
    return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}


class Plain(dict[type[Any], Callable[[Any], Any]]):
    """How a value of each type is made plain; kinds of text, enumerations and value objects are added as they come."""

    def __missing__(self, kind: type[Any]) -> Callable[[Any], Any]:
        convert = self[kind] = _converter(kind)
        return convert


AS_IS = frozenset({str, int, bool, type(None)})
"""The types whose values are plain; to call a function on each would be felt."""

PLAIN = Plain(
    {
        str: _same,
        int: _same,
        bool: _same,
        type(None): _same,
        UUID: str,
        datetime: instant,
        date: date.isoformat,
        Decimal: str,
        tuple: _each,
        list: _each,
        set: _each,
        frozenset: _each,
        dict: _named,
    }
)


def plain(value: Any) -> Any:
    """Return the value as a row holds it."""
    return PLAIN[type(value)](value)


def _converter(kind: type[Any]) -> Callable[[Any], Any]:
    if issubclass(kind, Enum):
        return {member: member.value for member in kind}.__getitem__
    if issubclass(kind, (str, UUID)):
        return str
    if hasattr(kind, "__dataclass_fields__"):
        return _members
    raise TypeError(f"A row can't hold a {kind.__name__}.")
