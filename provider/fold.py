"""Rows of views in memory, while the events of a page are folded into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, Self

import orjson
from sqlalchemy import Dialect, Table
from sqlalchemy.types import Boolean

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

    In memory a row is a list of its values in the order of the columns, each as the table has it.
    """

    def __init__(self, table: Table, dialect: Dialect, suffix: str) -> None:
        self.name = table.name + suffix
        columns = list(table.columns)[:-2]
        self.columns = tuple(column.name for column in columns)
        self.places = {name: i for i, name in enumerate(self.columns)}
        self.key = tuple(table.info["key"])
        of_key = [self.places[name] for name in self.key]
        # Of one column, the function that gives several gives none.
        self.key_of: Callable[[Sequence[Any]], tuple[Any, ...]] = (
            itemgetter(*of_key) if len(of_key) > 1 else _only(of_key[0])
        )
        self.only_added: bool = table.info["only_added"]
        self.now_only: bool = table.info["now_only"]
        self.json = frozenset(column.name for column in columns if isinstance(column.type, JsonText))
        self.flags = [i for i, column in enumerate(columns) if isinstance(column.type, Boolean)]
        mark = "?" if dialect.paramstyle == "qmark" else "%s"
        quoted = [dialect.identifier_preparer.quote(name) for name in self.columns]
        where = " AND ".join(f"{dialect.identifier_preparer.quote(k)} = {mark}" for k in self.key)
        marks = ", ".join([mark] * (len(quoted) + 2))
        self.insert = f"INSERT INTO {self.name} ({', '.join(quoted)}, since, until) VALUES ({marks})"
        self.close = (
            f"DELETE FROM {self.name} WHERE {where} AND since = {mark}"
            if self.now_only
            else f"UPDATE {self.name} SET until = {mark} WHERE {where} AND since = {mark}"
        )
        self.select = f"SELECT {', '.join(quoted)}, since FROM {self.name} WHERE {where} AND until = {FOREVER}"

    def row(self, said: dict[str, Any]) -> list[Any]:
        """Return a row that says this, and nothing in the other columns. What is given is used up.

        :raises KeyError: one of the names is none of a column.
        """
        if not self.places.keys() >= said.keys():
            self._must_know(said)
        for name in self.json.intersection(said):
            said[name] = _text(said[name])
        row = list(map(said.get, self.columns))
        if AS_IS.issuperset(map(type, row)):
            return row
        return [v if type(v) in AS_IS else PLAIN[type(v)](v) for v in row]

    def changed(self, before: list[Any], said: Mapping[str, Any]) -> list[Any]:
        """Return a row that says this, and in the other columns what was before.

        :raises KeyError: one of the names is none of a column.
        """
        row = before.copy()
        json, places = self.json, self.places
        try:
            for name, v in said.items():
                row[places[name]] = _text(v) if name in json else v if type(v) in AS_IS else PLAIN[type(v)](v)
        except KeyError:
            self._must_know(said)
            raise
        return row

    def _must_know(self, said: Mapping[str, Any]) -> None:
        if unknown := said.keys() - self.places.keys():
            raise KeyError(f"{self.name} has no column {', '.join(unknown)}.") from None

    def read(self, stored: Sequence[Any]) -> list[Any]:
        """Return a stored row as it is kept in memory; JSON stays text."""
        row = list(stored[: len(self.columns)])
        for i in self.flags:
            if row[i] is not None:
                row[i] = bool(row[i])
        return row

    def seen(self, row: Sequence[Any]) -> Row:
        """Return a row as handlers see it: by the names of its columns, with its JSON values read."""
        seen = dict(zip(self.columns, row, strict=True))
        for name in self.json:
            if (text := seen[name]) is not None:
                seen[name] = orjson.loads(text)
        return seen


def _only(place: int) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    return lambda row: (row[place],)


def _text(value: object) -> str | None:
    return None if value is None else orjson.dumps(value, default=plain, option=AS_PLAIN).decode()


@lru_cache(maxsize=1024)
def shape_of(table: Table, dialect: Dialect, suffix: str) -> Shape:
    """Return the table's shape, made once: every command folds."""
    return Shape(table, dialect, suffix)


class Kept:
    """A row in memory: its values (None once deleted), where it begins, and whether that is in the table already.

    `seen` is the row as handlers see it, made when one looks.
    """

    __slots__ = ("seen", "since", "stored", "values")

    def __init__(self, values: list[Any] | None, since: int, *, stored: bool) -> None:
        self.values = values
        self.since = since
        self.stored = stored
        self.seen: Row | None = None


UNKNOWN = Kept(None, 0, stored=False)
"""What stands for a row that is not in memory; None is one that is not in the table either."""


class Sheet:
    """The rows of one table that a page touches.

    `kept` are those touched of late, `older` those of a while ago; what is older still is forgotten.
    """

    __slots__ = ("closed", "kept", "older", "past", "shape", "touched")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.kept: dict[tuple[Any, ...], Kept | None] = {}
        self.older: dict[tuple[Any, ...], Kept | None] = {}
        self.touched: dict[tuple[Any, ...], Kept] = {}
        self.closed: list[tuple[Any, ...]] = []
        self.past: list[list[Any]] = []

    def end(self, key: tuple[Any, ...], found: Kept, position: int) -> None:
        """Let a version of a row end; one that began at this very position never was."""
        if found.stored:
            ending = () if self.shape.now_only else (position,)
            self.closed.append((*ending, *key, found.since))
        elif found.values is not None and found.since != position and not self.shape.now_only:
            self.past.append([*found.values, found.since, position])

    def begin(self, key: tuple[Any, ...], row: list[Any], position: int) -> None:
        """Let a row begin."""
        self.kept[key] = self.touched[key] = Kept(row, position, stored=False)

    def flush(self, connection: Reading) -> None:
        """Write all that is new."""
        if self.closed:
            connection.driver.cursor().executemany(self.shape.close, self.closed)
            self.closed = []
        rows = self.past
        for kept in self.touched.values():
            if kept.values is not None:
                rows.append([*kept.values, kept.since, FOREVER])
                kept.stored = True
        if rows:
            connection.driver.cursor().executemany(self.shape.insert, rows)
            self.past = []
        self.touched = {}


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
        found = self._find(sheet, _plain_key(key))
        if found is None or found.values is None:
            return None
        if found.seen is None:
            found.seen = sheet.shape.seen(found.values)
        return found.seen

    def add(self, table: Table, **values: object) -> None:
        sheet = self.sheets[table]
        shape = sheet.shape
        row = shape.row(values)
        if shape.only_added:
            row += (self.position, FOREVER)
            sheet.past.append(row)
        else:
            sheet.begin(shape.key_of(row), row, self.position)

    def put(self, table: Table, **values: object) -> None:
        sheet = self.sheets[table]
        row = sheet.shape.row(values)
        key = sheet.shape.key_of(row)
        found = self._find(sheet, key)
        if found is not None:
            if found.values == row:
                return
            sheet.end(key, found, self.position)
        sheet.begin(key, row, self.position)

    def change(self, table: Table, *key: object, **values: object) -> None:
        sheet = self.sheets[table]
        plain_key = _plain_key(key)
        found = self._find(sheet, plain_key)
        if found is None or found.values is None:
            return
        row = sheet.shape.changed(found.values, values)
        if row == found.values:
            return
        sheet.end(plain_key, found, self.position)
        sheet.begin(plain_key, row, self.position)

    def delete(self, table: Table, *key: object) -> None:
        sheet = self.sheets[table]
        plain_key = _plain_key(key)
        found = self._find(sheet, plain_key)
        if found is not None and found.values is not None:
            sheet.end(plain_key, found, self.position)
            sheet.kept[plain_key] = None
            sheet.touched.pop(plain_key, None)

    def _find(self, sheet: Sheet, key: tuple[Any, ...]) -> Kept | None:
        found = sheet.kept.get(key, UNKNOWN)
        if found is not UNKNOWN:
            return found
        found = sheet.older.get(key, UNKNOWN)
        if found is not UNKNOWN:
            sheet.kept[key] = found
            return found
        if self.complete:
            return None
        # By the driver itself: a row is looked up for most events, and is quicker read than described.
        row = self.connection.driver.execute(sheet.shape.select, key).fetchone()
        found = None if row is None else Kept(sheet.shape.read(row), row[-1], stored=True)
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
                sheet.older, sheet.kept = sheet.kept, {}


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
    for part in key:
        if type(part) not in AS_IS:
            break
    else:
        return key
    return tuple([part if type(part) in AS_IS else PLAIN[type(part)](part) for part in key])
