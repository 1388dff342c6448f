"""The store of the views: folds, catch-up, rebuild, verify, as-of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from projections.projection import Projection, holds
from provider.log import EventLog
from provider.views import BESIDE, Broken, Views, _fill_apart, _halves, _whereabouts
from tests.provider.conftest import Places
from tests.provider.things import Thing, counting, things


@pytest.fixture
def log(place: Places) -> Iterator[EventLog]:
    log = EventLog(place("events"))
    yield log
    log.close()


@pytest.fixture
def views(log: EventLog, place: Places) -> Iterator[Views]:
    views = Views(place("views"), log, [counting])
    views.open()
    yield views
    views.close()


def made(log: EventLog, steps: int = 0, *, ended: bool = False) -> Thing:
    thing = Thing.make()
    for _ in range(steps):
        thing.go()
    if ended:
        thing.end()
    log.record(thing, asked={})
    return thing


def rows(views: Views, at: int | None = None) -> list[tuple[int, list[int]]]:
    with views.reading() as read:
        found = read.execute(select(things).where(holds(things, at)).order_by(things.c.since))
        return [(row.count, row.steps) for row in found]


def test_views_follow_the_log(log: EventLog, views: Views):
    made(log, steps=3)
    made(log)

    assert views.catch_up() == 5
    assert sorted(rows(views)) == [(0, []), (3, [1, 2, 3])]


def test_every_earlier_moment_can_be_read(log: EventLog, views: Views):
    made(log, steps=2, ended=True)
    views.catch_up()

    assert [rows(views, at) for at in range(5)] == [[], [(0, [])], [(1, [1])], [(2, [1, 2])], []]
    assert rows(views) == []


def test_a_row_changed_page_by_page_reads_the_same(log: EventLog, views: Views):
    thing = made(log)
    for _ in range(3):
        views.catch_up()
        thing.go()
        log.record(thing, asked={})
    views.catch_up()

    assert [rows(views, at) for at in range(1, 5)] == [[(0, [])], [(1, [1])], [(2, [1, 2])], [(3, [1, 2, 3])]]
    assert views.verify() == []


def test_catching_up_by_several_at_once_applies_each_event_once(log: EventLog, place: Places):
    several = [Views(place("views"), log, [counting]) for _ in range(4)]
    several[0].open()
    thing = made(log)

    def follow(views: Views) -> None:
        for _ in range(30):
            views.catch_up()

    threads = [Thread(target=follow, args=(views,)) for views in several]
    for thread in threads:
        thread.start()
    for _ in range(100):
        thing.go()
        log.record(thing, asked={})
    for thread in threads:
        thread.join()
    several[0].catch_up()

    assert rows(several[0]) == [(100, list(range(1, 101)))]
    assert several[0].verify() == []
    for views in several:
        views.close()


def test_a_rebuild_gives_the_same_rows(log: EventLog, views: Views):
    made(log, steps=5)
    made(log, steps=2, ended=True)
    views.catch_up()
    before = [rows(views, at) for at in range(10)]

    assert views.rebuild() == 10

    assert [rows(views, at) for at in range(10)] == before
    assert views.verify() == []


def test_a_rebuild_tells_how_far_it_is(log: EventLog, views: Views):
    made(log, steps=9)
    told: list[tuple[int, int]] = []

    views.rebuild(progress=lambda done, of: told.append((done, of)))

    assert told[-1] == (10, 10)


def test_verify_names_the_rows_that_differ(log: EventLog, views: Views):
    thing = made(log, steps=1)
    views.catch_up()
    with views._writing() as connection:
        connection.driver.execute("UPDATE test_things SET count = 7 WHERE since = 2")

    differences = views.verify()

    assert len(differences) == 2
    assert all(str(thing.id) in line for line in differences)


def test_a_new_version_of_a_view_is_built_when_it_is_opened(log: EventLog, views: Views):
    made(log, steps=2)
    views.catch_up()
    newer = Projection("test_counting", version=2, tables=(things,))
    newer.handlers = {Thing.Made.TOPIC: counting.handlers[Thing.Made.TOPIC]}

    again = Views(views.place, log, [newer])
    again.open()

    assert rows(again) == [(0, [])]
    assert again.verify() == []
    again.close()


@pytest.mark.sqlite
def test_lost_views_are_made_again(log: EventLog, views: Views, tmp_path: Path):
    made(log, steps=2)
    views.catch_up()
    views.close()
    for file in tmp_path.glob("views.sqlite*"):
        file.unlink()

    again = Views(tmp_path / "views.sqlite", log, [counting])
    again.open()
    again.catch_up()

    assert rows(again) == [(2, [1, 2])]
    again.close()


def test_views_beyond_the_end_of_the_log_are_an_alarm(log: EventLog, views: Views):
    made(log)
    views.catch_up()
    with views._writing() as connection:
        connection.driver.execute("UPDATE places SET position = 9 WHERE name = 'all'")

    with pytest.raises(Broken, match="older copy"):
        views.catch_up()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["go", "end", "catch up"])), max_size=40))
def test_whenever_the_views_caught_up_a_rebuild_agrees(log: EventLog, views: Views, story):
    # Things of earlier stories are there still; what one of them broke must not spoil the search for the shortest.
    views.rebuild()
    alive = [made(log) for _ in range(4)]
    for which, what in story:
        if what == "catch up":
            views.catch_up()
        elif (thing := alive[which]) is not None:
            thing.go() if what == "go" else thing.end()
            log.record(thing, asked={})
            if what == "end":
                alive[which] = None
    views.catch_up()

    assert views.verify() == []


def test_two_processes_rebuild_what_one_would(log: EventLog, views: Views):
    for steps in range(5):
        made(log, steps=steps)
    views.catch_up()
    before = rows(views)
    # The second process finds its views by their module and name, as another interpreter has to.
    _fill_apart(views.place, log.place, [], 0)
    with views._writing() as connection:
        views._create(connection, counting, BESIDE)
    _fill_apart(views.place, log.place, [_whereabouts(counting)], log.position())
    with views._writing() as connection:
        views._swap(connection, counting)

    assert rows(views) == before
    assert views.verify() == []


def test_views_are_shared_out_by_weight():
    light, heavy, middle = (Projection(n, version=1, tables=(), weight=w) for n, w in (("a", 1), ("b", 5), ("c", 3)))

    assert _halves([light, heavy, middle]) == ([heavy], [middle, light])


def test_a_fold_that_forgets_rows_finds_them_again(log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch):
    thing = made(log)
    for _ in range(30):
        made(log)
    thing.go()
    log.record(thing, asked={})
    monkeypatch.setattr("provider.fold.KEPT_ROWS", 3)
    monkeypatch.setattr("provider.views.REBUILD_PAGE", 4)

    views.rebuild()

    assert sorted(rows(views))[-1] == (1, [1])
    assert views.verify() == []
