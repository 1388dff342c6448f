"""What a fold writes, compared with a plain model, and the tables that are kept in ways of their own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, StaticPool, Table, create_engine, select
from sqlalchemy.schema import CreateTable

from projections.projection import (
    FOREVER,
    Projection,
    Reading,
    Rows,
    flag,
    instant,
    json,
    number,
    text,
    uid,
    view_table,
)
from provider import fold as folding
from provider.fold import Fold
from provider.log import EventLog
from provider.views import Views
from tests.provider.conftest import Places
from tests.provider.things import Thing

counts = view_table("test_counts", uid("thing"), number("count"), json("steps"), key=("thing",), now_only=True)
steps = view_table("test_steps", uid("thing"), number("step"), key=("thing", "step"), only_added=True)
keeping = Projection("test_keeping", version=1, tables=(counts, steps))


@keeping.on(Thing.Made)
def made(rows: Rows, event: Thing.Made) -> None:
    rows.put(counts, thing=event.originator_id, count=0, steps=[])


@keeping.on(Thing.Gone)
def gone(rows: Rows, event: Thing.Gone) -> None:
    known = rows.get(counts, event.originator_id)
    assert known is not None
    rows.change(counts, event.originator_id, count=known["count"] + 1, steps=[*known["steps"], event.step])
    rows.add(steps, thing=event.originator_id, step=event.step)


@keeping.on(Thing.Ended)
def ended(rows: Rows, event: Thing.Ended) -> None:
    rows.delete(counts, event.originator_id)


@pytest.fixture
def views(log: EventLog, place: Places) -> Iterator[Views]:
    views = Views(place("views"), log, [keeping])
    views.open()
    yield views
    assert views.verify() == []
    views.close()


def test_of_a_table_that_is_kept_as_of_now_the_rows_before_are_gone(log: EventLog, views: Views):
    one, other = Thing.make(), Thing.make()
    log.record(one, other, asked={})
    views.catch_up()
    for _ in range(2):  # A page each, and two changes in one page.
        one.go()
        one.go()
        log.record(one, asked={})
        views.catch_up()
    other.end()
    log.record(other, asked={})
    views.catch_up()

    with views.reading() as read:
        assert [tuple(row) for row in read.execute(select(counts))] == [(str(one.id), 4, [1, 2, 3, 4], 6, FOREVER)]
        assert [row.step for row in read.execute(select(steps).order_by(steps.c.since))] == [1, 2, 3, 4]


single = view_table("test_single", uid("thing"), number("count"), json("said"), flag("done"), key=("thing",))
paired = view_table("test_paired", text("word"), uid("thing"), number("count"), json("said"), key=("thing", "count"))
kept = view_table("test_kept", number("count"), uid("thing"), flag("done"), key=("thing",), now_only=True)
TABLES = (single, paired, kept)
THINGS = [UUID(int=i) for i in range(3)]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "thing": st.sampled_from(THINGS),
    "count": st.integers(0, 2),
    "word": st.sampled_from([None, "a", datetime(2026, 5, 4, 7, tzinfo=UTC)]),
    "said": st.sampled_from([None, [], [None], {"a": None}, {"of": THINGS[0]}, "null", [1, 2]]),
    "done": st.sampled_from([None, True, False]),
}


@st.composite
def doings(draw: st.DrawFn) -> tuple[Any, ...]:
    """Something that is done to a row, in the same place as what was done before or in a later one."""
    table = draw(st.sampled_from(TABLES))
    names = [column.name for column in table.columns][:-2]
    said = {name: draw(VALUES[name]) for name in names if name in table.info["key"] or draw(st.booleans())}
    kind = draw(st.sampled_from(["put", "put", "change", "change", "delete", "get"]))
    return draw(st.integers(0, 1)), kind, table, said


class Model:
    """What a fold should have written: all versions of each row, as a plain dict with the row as handlers see it."""

    def __init__(self) -> None:
        self.now: dict[tuple[str, tuple[Any, ...]], tuple[dict[str, Any], int]] = {}
        self.past: list[tuple[str, dict[str, Any], int, int]] = []

    def do(self, kind: str, table: Table, key: tuple[Any, ...], said: dict[str, Any], position: int) -> None:
        where = (table.name, key)
        before = self.now.get(where)
        if kind == "delete":
            row = None
        elif kind == "change":
            if before is None:
                return
            row = {**before[0], **said}
        else:
            row = {**dict.fromkeys(column.name for column in list(table.columns)[:-2]), **said}
        if before is not None and before[0] == row:
            return
        if before is not None:
            del self.now[where]
            if before[1] != position and not table.info["now_only"]:
                self.past.append((table.name, before[0], before[1], position))
        if row is not None:
            self.now[where] = (row, position)

    def rows(self, table: Table) -> list[str]:
        of_now = [(name, row, since, FOREVER) for (name, _), (row, since) in self.now.items()]
        return sorted(str((row, since, until)) for name, row, since, until in of_now + self.past if name == table.name)


def plainly(said: dict[str, Any]) -> dict[str, Any]:
    """Return values as a row holds them."""

    def kept(name: str, value: Any) -> Any:
        if name == "said":
            return orjson.loads(orjson.dumps(value))
        if isinstance(value, datetime):
            return instant(value)
        return str(value) if isinstance(value, UUID) else value

    return {name: kept(name, value) for name, value in said.items()}


@pytest.fixture(scope="module")
def memory() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for table in TABLES:
            connection.execute(CreateTable(table))
    yield engine
    engine.dispose()


FULL: dict[str, Any] = {"thing": THINGS[0], "count": 1, "said": [1, 2], "done": True}
EMPTY: dict[str, Any] = {"thing": THINGS[0]}
NOTHING: dict[str, Any] = {**EMPTY, "count": None, "said": None, "done": None}


# What chance comes by too seldom: rows that say nothing, read back and changed, and one that was looked at and is gone.
@example(done=[(1, "put", single, EMPTY), "another", (1, "get", single, EMPTY)], complete=False)
@example(done=[(1, "put", single, FULL), (1, "change", single, NOTHING), (1, "get", single, EMPTY)], complete=True)
@example(done=[(1, kind, single, FULL) for kind in ("put", "get", "delete", "get")], complete=True)
@given(st.lists(st.one_of(doings(), st.sampled_from(["flush", "another"])), max_size=40), st.booleans())
def test_a_fold_writes_every_version_of_a_row_once(memory: Engine, done: list[Any], complete: bool):
    room, folding.KEPT_ROWS = folding.KEPT_ROWS, 3  # So that some are forgotten and looked for.
    try:
        with memory.connect() as connection:
            for table in TABLES:
                connection.execute(table.delete())
            fold, model, position, seen = Fold(Reading(connection), complete=complete), Model(), 1, []
            for doing in done:
                if isinstance(doing, str):
                    fold.flush()
                    # All that an event does is written at once.
                    position += 1
                    if doing == "another":
                        fold = Fold(Reading(connection))
                    continue
                later, kind, table, said = doing
                position += later
                fold.position = position
                key = tuple(said[name] for name in table.info["key"])
                if kind == "get":
                    row = fold.get(table, *key)
                    known = model.now.get((table.name, tuple(map(str, key))))
                    # By what they look like: a flag is no number.
                    assert repr(row) == repr(None if known is None else known[0])
                    seen.append((row, repr(row)))
                    continue
                if kind == "put":
                    fold.put(table, **said)
                elif kind == "delete":
                    fold.delete(table, *key)
                else:
                    fold.change(table, *key, **said)
                model.do(kind, table, tuple(map(str, key)), plainly(said), position)
            fold.flush()
            for row, as_it_was in seen:
                assert repr(row) == as_it_was
            for table in TABLES:
                found = [dict(row._mapping) for row in connection.execute(select(table))]
                written = sorted(str((row, row.pop("since"), row.pop("until"))) for row in found)
                assert written == model.rows(table)
    finally:
        folding.KEPT_ROWS = room


@pytest.mark.parametrize("doing", ["add", "put", "change"])
def test_a_column_that_a_table_has_not_is_said_to_be_none(memory: Engine, doing: str):
    with memory.connect() as connection:
        fold = Fold(Reading(connection))
        fold.put(single, thing=THINGS[0])
        key = (THINGS[0],) if doing == "change" else ()
        with pytest.raises((KeyError, TypeError), match=r"test_single.*nope"):
            getattr(fold, doing)(single, *key, **({} if key else {"thing": THINGS[1]}), nope=1)


def test_a_moment_is_text_that_sorts_by_time():
    whole = datetime(2026, 5, 4, 7, 0, tzinfo=UTC)
    assert instant(whole) == "2026-05-04T07:00:00.000000Z"
    assert instant(whole + timedelta(microseconds=1)) == "2026-05-04T07:00:00.000001Z"
    assert instant(whole.replace(year=999)) == "0999-05-04T07:00:00.000000Z"
    assert instant(whole.astimezone(timezone(timedelta(hours=2)))) == "2026-05-04T07:00:00.000000Z"
    with pytest.raises(ValueError, match="has no zone"):
        instant(whole.replace(tzinfo=None))
