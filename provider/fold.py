"""Rows of views in memory, while the events of a page are folded into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Self

import orjson
from sqlalchemy import Boolean, Column, Dialect, Integer, Table

from projections.projection import (
    AS_IS,
    FOREVER,
    PLAIN,
    Handler,
    JsonText,
    Projection,
    Reading,
    Row,
    Rows,
    Stored,
    plain,
)
from provider.log import Entry
from provider.mapper import EventMapper, uuid

KEPT_ROWS = 10_000
"""Rows touched of late that a rebuild keeps in memory, and as many of a while ago: about 20 MB together."""

AS_PLAIN = orjson.OPT_PASSTHROUGH_DATETIME
"""How a JSON value is written: ids, enumerations and value objects by the serializer, times as `plain` makes them."""


class Shape:
    """The statements that read and write one table, ready for the driver, and how its rows are kept in memory.

    In memory a row is a list of its values in the order of the columns, with since and until, each as the driver takes
    it: nothing is made of it when it is written.
    """

    def __init__(self, table: Table, dialect: Dialect, suffix: str) -> None:
        self.name = table.name + suffix
        columns = list(table.columns)[:-2]
        self.places = {column.name: i for i, column in enumerate(columns)}
        self.key = tuple(table.info["key"])
        of_key = [self.places[name] for name in self.key]
        # Of one column, the function that gives several gives none.
        self.key_of: Callable[[Sequence[Any]], tuple[Any, ...]] = (
            itemgetter(*of_key) if len(of_key) > 1 else _only(of_key[0])
        )
        self.only_added: bool = table.info["only_added"]
        self.now_only: bool = table.info["now_only"]
        self.json = frozenset(column.name for column in columns if isinstance(column.type, JsonText))
        composing = Composing(dialect)
        self.null = composing.null
        self.row = composing.row(self.name, columns)
        self.seen = composing.seen(columns)
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        quoted = [dialect.identifier_preparer.quote(name) for name in self.places]
        where = " AND ".join(f"{dialect.identifier_preparer.quote(k)} = {mark}" for k in self.key)
        marks = ", ".join([mark] * (len(quoted) + 2))
        self.insert = f"INSERT INTO {self.name} ({', '.join(quoted)}, since, until) VALUES ({marks})"
        self.close = (
            f"DELETE FROM {self.name} WHERE {where} AND since = {mark}"
            if self.now_only
            else f"UPDATE {self.name} SET until = {mark} WHERE {where} AND since = {mark}"
        )
        self.select = f"SELECT {', '.join(quoted)}, since FROM {self.name} WHERE {where} AND until = {FOREVER}"

    def changed(self, before: list[Any], said: Mapping[str, Any]) -> list[Any]:
        """Return a row that says this, and in the other columns what was before.

        :raises KeyError: one of the names is none of a column.
        """
        row = before.copy()
        json, places, null = self.json, self.places, self.null
        try:
            for name, v in said.items():
                if v is None:
                    row[places[name]] = null
                else:
                    row[places[name]] = _text(v) if name in json else v if type(v) in AS_IS else PLAIN[type(v)](v)
        except KeyError:
            if unknown := said.keys() - places.keys():
                raise KeyError(f"{self.name} has no column {', '.join(unknown)}.") from None
            raise
        return row

    def read(self, stored: Sequence[Any]) -> list[Any]:
        """Return a row that still holds, of what `select` found, as it is kept in memory; JSON stays text."""
        row = [self.null if v is None else v for v in stored]
        row.append(FOREVER)
        return row


class Composing:
    """Composes the functions that make rows of one table, as those of a named tuple are composed.

    One for all tables, which looks at names and types as it goes, takes more than twice as long, and there is nothing
    that a rebuild does as often.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.in_sqlite = dialect.name == "sqlite"
        # Python's driver looks for an adapter of None and of flags, which takes several times as long as to write
        # another value; SQLite writes NULL where it is given what is not a number.
        self.null = float("nan") if self.in_sqlite else None
        self._names = {"_null": self.null, "_ever": FOREVER, "_plain": PLAIN, "_text": _text, "_read": orjson.loads}

    def row(self, name: str, columns: Sequence[Column[Any]]) -> Callable[..., list[Any]]:
        """Return a function that makes a row of a position, since when it holds, and of named values.

        Nothing is in the columns that are not named. It raises a TypeError for a name that is none of a column.
        """
        names = ", ".join(f"{column.name}=None" for column in columns)
        values = ", ".join(self._made(column) for column in columns)
        made: Callable[..., list[Any]] = self._function(f"_since, /, *, {names}", f"[{values}, _since, _ever]")
        made.__qualname__ = name
        return made

    def seen(self, columns: Sequence[Column[Any]]) -> Callable[[list[Any]], Row]:
        """Return a function that gives a row as handlers see it: by the names of its columns, with its JSON read."""
        values = ", ".join(f"{column.name!r}: {self._seen(column, f'row[{i}]')}" for i, column in enumerate(columns))
        made: Callable[[list[Any]], Row] = self._function("row", f"{{{values}}}")
        return made

    def _function(self, of: str, gives: str) -> Any:
        return eval(f"lambda {of}: {gives}", self._names)  # noqa: S307

    def _made(self, column: Column[Any]) -> str:
        """Return the expression that makes a value of this column of what was named."""
        name, kind = column.name, type(column.type)
        if kind is JsonText:
            plain = f"_text({name})"
        elif kind is Boolean:
            plain = f"+{name}" if self.in_sqlite else name
        else:
            usual = "int" if issubclass(kind, Integer) else "str"
            plain = f"{name} if {name}.__class__ is {usual} else _plain[{name}.__class__]({name})"
        return f"_null if {name} is None else {plain}"

    def _seen(self, column: Column[Any], value: str) -> str:
        """Return the expression that gives what handlers see of a value of this column."""
        kind = type(column.type)
        seen = f"_read({value})" if kind is JsonText else f"{value} == 1" if kind is Boolean else value
        return f"None if {value} is _null else {seen}"


def _only(place: int) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    return lambda row: (row[place],)


def _text(value: object) -> str:
    return orjson.dumps(value, default=plain, option=AS_PLAIN).decode()


_SHAPES: dict[tuple[Table, str, str], Shape] = {}


def shape_of(table: Table, dialect: Dialect, suffix: str) -> Shape:
    """Return the table's shape, made once for all databases of a kind: every command folds."""
    known = table, dialect.name, suffix
    if (shape := _SHAPES.get(known)) is None:
        shape = _SHAPES[known] = Shape(table, dialect, suffix)
    return shape


UNKNOWN: list[Any] = []
"""What stands for a row that is not in memory; None is one that is not in the table either."""


class Sheet:
    """The rows of one table that a page touches.

    `kept` are those touched of late, `older` those of a while ago; what is older still is forgotten. `seen` are those
    of `kept` that a handler looked at, as it saw them. `touched` are those that are not in the table yet.
    """

    __slots__ = ("closed", "kept", "older", "past", "seen", "shape", "touched")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.kept: dict[tuple[Any, ...], list[Any] | None] = {}
        self.older: dict[tuple[Any, ...], list[Any] | None] = {}
        self.seen: dict[tuple[Any, ...], Row] = {}
        self.touched: dict[tuple[Any, ...], list[Any]] = {}
        self.closed: list[tuple[Any, ...]] = []
        self.past: list[list[Any]] = []

    def end(self, key: tuple[Any, ...], row: list[Any], position: int) -> None:
        """Let a version of a row end; one that began at this very position never was."""
        since = row[-2]
        if key not in self.touched:
            ending = () if self.shape.now_only else (position,)
            self.closed.append((*ending, *key, since))
        elif since != position and not self.shape.now_only:
            row[-1] = position
            self.past.append(row)

    def begin(self, key: tuple[Any, ...], row: list[Any]) -> None:
        """Let a row begin."""
        self.kept[key] = self.touched[key] = row
        self.seen.pop(key, None)

    def gone(self, key: tuple[Any, ...]) -> None:
        """Let there be no row any more."""
        self.kept[key] = None
        self.touched.pop(key, None)
        self.seen.pop(key, None)

    def flush(self, connection: Reading) -> None:
        """Write all that is new."""
        if self.closed:
            connection.driver.cursor().executemany(self.shape.close, self.closed)
            self.closed = []
        self.past += self.touched.values()
        if self.past:
            connection.driver.cursor().executemany(self.shape.insert, self.past)
            self.past = []
        self.touched = {}

    def forget(self) -> None:
        """Forget what was not touched of late."""
        self.older, self.kept, self.seen = self.kept, {}, {}


class Sheets(dict[Table, Sheet]):
    """The sheets of a fold, each made when it is first asked for."""

    def __init__(self, dialect: Dialect, suffix: str) -> None:
        self.dialect = dialect
        self.suffix = suffix

    def __missing__(self, table: Table) -> Sheet:
        sheet = self[table] = Sheet(shape_of(table, self.dialect, self.suffix))
        return sheet


class Fold:
    """The rows that the events of a page touch, kept in memory and written in bulk at its end."""

    def __init__(self, connection: Reading, suffix: str = "", *, complete: bool = False) -> None:
        """Begin with no row in memory; `complete` says that there is none in the tables either."""
        self.connection = connection
        self.complete = complete
        self.position = 0
        self.request: Mapping[str, str] | None = None
        self.sheets = Sheets(connection.dialect, suffix)

    def get(self, table: Table, *key: object) -> Row | None:
        sheet = self.sheets[table]
        plain_key = _plain_key(key)
        seen = sheet.seen.get(plain_key)
        if seen is None:
            row = self._find(sheet, plain_key)
            if row is not None:
                seen = sheet.seen[plain_key] = sheet.shape.seen(row)
        return seen

    def add(self, table: Table, **values: object) -> None:
        sheet = self.sheets[table]
        shape = sheet.shape
        row = shape.row(self.position, **values)
        if shape.only_added:
            sheet.past.append(row)
        else:
            sheet.begin(shape.key_of(row), row)

    def put(self, table: Table, **values: object) -> None:
        sheet = self.sheets[table]
        row = sheet.shape.row(self.position, **values)
        key = sheet.shape.key_of(row)
        before = self._find(sheet, key)
        if before is not None:
            if before[:-2] == row[:-2]:
                return
            sheet.end(key, before, self.position)
        sheet.begin(key, row)

    def change(self, table: Table, *key: object, **values: object) -> None:
        sheet = self.sheets[table]
        plain_key = _plain_key(key)
        before = self._find(sheet, plain_key)
        if before is None:
            return
        row = sheet.shape.changed(before, values)
        if row != before:
            sheet.end(plain_key, before, self.position)
            row[-2] = self.position
            sheet.begin(plain_key, row)

    def delete(self, table: Table, *key: object) -> None:
        sheet = self.sheets[table]
        plain_key = _plain_key(key)
        before = self._find(sheet, plain_key)
        if before is not None:
            sheet.end(plain_key, before, self.position)
            sheet.gone(plain_key)

    def _find(self, sheet: Sheet, key: tuple[Any, ...]) -> list[Any] | None:
        found = sheet.kept.get(key, UNKNOWN)
        if found is not UNKNOWN:
            return found
        found = sheet.older.get(key, UNKNOWN)
        if found is UNKNOWN:
            if self.complete:
                return None
            # By the driver itself: a row is looked up for most events, and is quicker read than described.
            row = self.connection.driver.execute(sheet.shape.select, key).fetchone()
            found = None if row is None else sheet.shape.read(row)
        sheet.kept[key] = found
        return found

    def apply(self, page: Sequence[Entry], handlers: Handlers, form: EventMapper) -> None:
        """Let the handlers do what the events of a page do to their rows."""
        by_topic, every = handlers
        for position, stream, version, topic, state in page:
            concerned = by_topic.get(topic, ())
            if not concerned and not every:
                continue
            self.position = position
            said, self.request = form.stored(topic, state)
            for handler in every:
                handler(self, Stored(str(uuid(stream)), version, topic, said))
            if concerned:
                event = form.made(stream, version, topic, said)
                for handler in concerned:
                    handler(self, event)

    def flush(self) -> None:
        """Write all that is new, in a few statements."""
        for sheet in self.sheets.values():
            sheet.flush(self.connection)
        if sum(len(sheet.kept) for sheet in self.sheets.values()) > KEPT_ROWS:
            for sheet in self.sheets.values():
                self.complete = self.complete and not sheet.older
                sheet.forget()


class Handlers(NamedTuple):
    """The handlers of some views by the topic of their event, and those for every event."""

    by_topic: Mapping[str, tuple[Handler, ...]]
    every: tuple[Callable[[Rows, Stored], None], ...]

    @classmethod
    def of(cls, projections: Sequence[Projection]) -> Self:
        topics = {topic for projection in projections for topic in projection.handlers}
        by_topic = {topic: tuple(p.handlers[topic] for p in projections if topic in p.handlers) for topic in topics}
        return cls(by_topic, tuple(p.every for p in projections if p.every is not None))


def _plain_key(key: tuple[object, ...]) -> tuple[Any, ...]:
    if len(key) == 1:
        # Nearly all have one part; to go through it as through several is felt.
        kind = type(key[0])
        return key if kind in AS_IS else (PLAIN[kind](key[0]),)
    return tuple([part if type(part) in AS_IS else PLAIN[type(part)](part) for part in key])
