"""The rows of tables that are written in their own ways: kept only as of now, and only added to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from projections.projection import FOREVER, Projection, Rows, json, number, uid, view_table
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
