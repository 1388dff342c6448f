"""How a table of a view looks in memory, and the statements that read and write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Boolean, Column, Dialect, Integer, Table

from projections.projection import FOREVER, PLAIN, JsonText, Row, plain

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
        composing = Composing(dialect)
        self.null = composing.null
        self.value = {column.name: composing.value(column) for column in columns}
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
        for name, v in said.items():
            if name not in self.places:
                raise KeyError(f"{self.name} has no column {name}.")
            row[self.places[name]] = self.value[name](v)
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

    def value(self, column: Column[Any]) -> Callable[[Any], Any]:
        """Return a function that makes a value of this column of what is said."""
        made: Callable[[Any], Any] = self._function(column.name, self._made(column))
        return made

    def seen(self, columns: Sequence[Column[Any]]) -> Callable[[list[Any]], Row]:
        """Return a function that gives a row as handlers see it: by the names of its columns, with its JSON read."""
        values = ", ".join(f"{column.name!r}: {self._seen(column, f'row[{i}]')}" for i, column in enumerate(columns))
        made: Callable[[list[Any]], Row] = self._function("row", f"{{{values}}}")
        return made

    def _function(self, of: str, gives: str) -> Any:
        # Of the names of columns, which are ours: nothing that comes from outside is ever composed.
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
