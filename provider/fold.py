"""Rows of views in memory, while the events of a page are folded into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Dialect, Table

from projections.projection import (
    AS_IS,
    PLAIN,
    Handler,
    Projection,
    Reading,
    Row,
    Rows,
    Stored,
)
from provider.log import Entry
from provider.mapper import EventMapper, uuid
from provider.shape import Shape, shape_of

KEPT_ROWS = 10_000
"""Rows touched of late that a rebuild keeps in memory, and as many of a while ago: about 20 MB together."""


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

    def changes_what_is_remembered(self) -> bool:
        """Say whether it will write to a table of which it is remembered what was read."""
        return any(
            table.info["rarely"] and (sheet.touched or sheet.closed or sheet.past)
            for table, sheet in self.sheets.items()
        )

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
