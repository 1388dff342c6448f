"""The store of the views: folds, catch-up, rebuild, verify, as-of."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from threading import Thread
from time import sleep
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

import provider.views
from projections.projection import Projection, holds
from provider import maker
from provider.log import EventLog
from provider.maker import fill_apart
from provider.schema import Place
from provider.views import PAGE, Broken, Views
from provider.views import _compare as compare
from provider.views_in_files import SqliteEdition
from tests.provider.conftest import Places, done_to
from tests.provider.things import Thing, counting, listing, things


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


def walked(steps: int) -> Thing:
    """Return a thing that nobody has recorded yet."""
    thing = Thing.make()
    for _ in range(steps):
        thing.go()
    return thing


def fill(views: Views, log: EventLog) -> None:
    """Make another edition, as another process would, and leave it at that.

    It finds its views by their module and name, as another interpreter has to.
    """
    where = [maker._whereabouts(counting)]
    fill_apart(views._database, views.maker.edition, log.place, where, log.position(), indexed=True)


def beside(views: Views, *, apart: bool = False) -> Place:
    """Return where the edition is that is being made."""
    edition = views._database.edition(apart=apart)
    return edition.path if isinstance(edition, SqliteEdition) else views.place


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


def rebuild_by_two(events: Place, views: Place) -> None:
    """Rebuild the views as a process of its own, which has another make half of them and may be killed."""
    making = Views(views, EventLog(events), [counting, listing])
    making.maker.worth_two = 0
    making.rebuild()


@pytest.mark.slow
def test_a_rebuild_that_was_killed_is_gone_on_with(log: EventLog, place: Places):
    views = Views(place("views"), log, [counting, listing])
    views.open()
    log.record(*(walked(99) for _ in range(maker.PAGE * 3 // 100)), asked={})
    views.catch_up()
    before, end = rows(views), log.position()
    other = get_context("spawn").Process(target=rebuild_by_two, args=(place("events"), place("views")))
    other.start()
    # The process that makes the other half for it is in the middle of it, and lives on for a while. It goes in small
    # steps until then, or it could be at the end before anybody looks.
    orphan = child_of(other.pid)
    while (begun := far(views, apart=True)) is None:
        os.kill(orphan, SIGCONT)
        sleep(0.02)
        os.kill(orphan, SIGSTOP)
    other.kill()
    other.join()
    made(log, steps=1)
    told: list[tuple[int, int]] = []
    again = Thread(target=views.rebuild, kwargs={"progress": lambda done, of: told.append((done, of))})
    again.start()
    again.join(0.2)

    assert again.is_alive()
    assert told == []
    assert begun <= (far(views, apart=True) or 0) < end
    os.kill(orphan, SIGCONT)
    again.join()
    assert told[-1] == (end + 2, end + 2)
    assert rows(views) == [*before, (1, [1])]
    assert views.verify() == []
    views.close()


def child_of(process: int | None) -> int:
    """Return the process that another begins to work for it."""
    while True:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for each in children:
            if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes():
                return int(each)
        sleep(0.001)


def test_a_rebuild_that_was_ended_is_gone_on_with(log: EventLog, views: Views):
    log.record(walked(99), asked={})
    views.maker.page = 30
    told: list[tuple[int, int]] = []

    def end(done: int, of: int) -> None:
        told.append((done, of))
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        views.rebuild(progress=end)
    views.rebuild(progress=end)

    assert [done for done, _ in told] == [30, 60, 60, 90, 100]
    views.catch_up()
    assert views.verify() == []


def far(views: Views, *, apart: bool = False) -> int | None:
    """Return how far the first view is where it is just being made; None before that was begun."""
    place = beside(views, apart=apart)
    if isinstance(place, Path) and not place.exists():
        return None
    try:
        found = done_to(place, "SELECT position FROM places WHERE name = 'test_counting'")
    except sqlite3.OperationalError:
        # It was stopped just when it made the file, or wrote to it.
        return None
    return found[0][0] if found else None


@pytest.mark.parametrize("spoilt", ["another log", "another beginning", "a shorter log"])
def test_what_was_begun_with_another_log_is_not_gone_on_with(log: EventLog, views: Views, place: Places, spoilt: str):
    log.record(walked(9), asked={})
    views.catch_up()
    fill(views, log)
    statement = {
        "another log": "UPDATE places SET event = 'x/1' WHERE name = 'test_counting'",
        "another beginning": "UPDATE places SET position = 3 WHERE name = 'test_counting'",
        "a shorter log": "UPDATE places SET position = 99 WHERE name = 'test_counting'",
    }[spoilt]
    done_to(beside(views), f"UPDATE test_things{views.maker.edition.ending} SET count = 77")
    done_to(beside(views), statement)

    views.rebuild()

    assert rows(views) == [(9, list(range(1, 10)))]
    assert views.verify() == []


def tables(place: Place) -> set[str]:
    """Return the names of all tables."""
    asked = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if isinstance(place, Path)
        else "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
    )
    return {name for (name,) in done_to(place, asked)}


def editions(views: Views) -> set[str]:
    """Return all that there is of tables: their names in a schema, or the files in which they are."""
    if isinstance(views.place, Path):
        return {file.name for file in views.place.parent.iterdir() if file.suffix == ".sqlite" and "views" in file.name}
    return tables(views.place)


def test_nothing_is_left_of_a_rebuild_nor_of_a_verification(log: EventLog, views: Views):
    made(log, steps=3)
    views.catch_up()
    before = len(editions(views))

    views.rebuild()
    assert len(editions(views)) == before
    assert views.verify() == []
    assert len(editions(views)) == before
    assert rows(views) == [(3, [1, 2, 3])]


def test_what_a_rebuild_left_behind_that_was_killed_after_its_swap_goes_with_the_next(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
):
    made(log, steps=3)
    views.catch_up()
    before = len(editions(views))
    with monkeypatch.context() as killed:
        killed.setattr(type(views._database), "tidy", lambda *_: None)
        views.rebuild()

    # A swap drops nothing.
    assert len(editions(views)) > before
    views.rebuild()
    assert len(editions(views)) == before
    assert rows(views) == [(3, [1, 2, 3])]


def test_a_rebuild_after_a_verification_that_was_ended_applies_nothing_twice(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
):
    thing = made(log, steps=3)
    views.catch_up()

    def record(done: int, of: int) -> None:
        if done == of == 4:
            thing.go()
            log.record(thing, asked={})

    def end(*_: Any) -> list[str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as ended:
        ended.setattr(provider.views, "_compare", end)
        with pytest.raises(KeyboardInterrupt):
            views.verify(record)
    assert views._mine is not None
    assert not views._mine.begun

    views.rebuild()
    assert rows(views) == [(4, [1, 2, 3, 4])]
    assert views.verify() == []


def test_a_rebuild_that_was_ended_before_the_swap_is_gone_on_with_from_where_it_had_come(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
):
    made(log, steps=3)

    def record(done: int, of: int) -> None:
        if done == of == 4:
            log.record(*(walked(99) for _ in range(2 * PAGE // 100)), asked={})

    def end(*_: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as ended:
        ended.setattr(views, "_swap_in", end)
        with pytest.raises(KeyboardInterrupt):
            views.rebuild(progress=record)
    assert far(views) == log.position() == 4 + 2 * PAGE

    views.rebuild()
    views.catch_up()
    assert views.verify() == []


def test_what_is_recorded_while_views_are_rebuilt_is_in_them(log: EventLog, views: Views):
    made(log, steps=3)
    late = 2 * PAGE + 10

    def record(done: int, of: int) -> None:
        if done == of == 4:
            log.record(*(walked(99) for _ in range(late // 100)), asked={})

    assert views.rebuild(progress=record) > PAGE
    assert views.catch_up() > 2 * PAGE
    assert rows(views)[1:] == [(99, list(range(1, 100)))] * (late // 100)
    assert views.verify() == []


def test_others_go_on_while_rows_are_compared(
    log: EventLog, views: Views, place: Places, monkeypatch: pytest.MonkeyPatch
):
    thing = made(log, steps=2)
    views.catch_up()
    other = Views(place("views"), log, [counting])
    reached: list[int] = []

    def compared(*said: Any) -> list[str]:
        # In a thread of its own, as those who wait for the right to write would be.
        def go_on() -> None:
            thing.go()
            log.record(thing, asked={})
            reached.append(other.catch_up(log.position()))

        going = Thread(target=go_on, daemon=True)
        going.start()
        going.join(5)
        assert reached == [4]
        return compare(*said)

    monkeypatch.setattr(provider.views, "_compare", compared)

    assert views.verify() == []
    assert rows(views) == [(3, [1, 2, 3])]
    other.close()


def indexes(place: Place) -> list[tuple[str]]:
    """Return the indexes of the first view's table, but for that of its key."""
    return done_to(
        place,
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'test_things' AND sql IS NOT NULL"
        if isinstance(place, Path)
        else "SELECT indexname FROM pg_indexes WHERE tablename = 'test_things' AND position('_by_' IN indexname) > 0",
    )


def test_a_rebuild_killed_before_the_swap_makes_no_index_twice(log: EventLog, views: Views, place: Places):
    log.record(walked(9), asked={})
    views.catch_up()
    fill(views, log)

    views.rebuild()

    assert len(indexes(views.place)) == 1
    assert views.verify() == []


def test_a_rebuild_that_goes_on_from_a_verification_that_was_ended_has_its_indexes(log: EventLog, views: Views):
    log.record(walked(99), asked={})
    views.catch_up()
    views.maker.page = 30

    def end(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        views.verify(end)
    told: list[tuple[int, int]] = []
    views.rebuild(progress=lambda done, of: told.append((done, of)))

    assert told[0] == (30, 100)
    assert len(indexes(views.place)) == 1
    assert views.verify() == []


def test_verify_proves_the_views_by_rows_that_it_made_itself(log: EventLog, views: Views, place: Places):
    log.record(walked(9), asked={})
    views.catch_up()
    fill(views, log)
    for place, table in ((views.place, "test_things"), (beside(views), f"test_things{views.maker.edition.ending}")):
        done_to(place, f"UPDATE {table} SET count = 77 WHERE since = 10")

    assert len(views.verify()) == 2


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
    for file in tmp_path.glob("views-*"):
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


@pytest.mark.sqlite
def test_views_that_were_put_back_to_an_older_copy_are_not_at_the_end_before_they_are(
    log: EventLog, views: Views, place: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(provider.views, "PAGE", 2)
    made(log)
    views.catch_up()
    other = Views(place("views"), log, [counting])
    with closing(sqlite3.connect(cast(Path, views.place))) as now, closing(sqlite3.connect(tmp_path / "old")) as old:
        now.backup(old)
        made(log, steps=9)
        views.catch_up()
        old.backup(now)
    with views._turn:
        views._step(None)
    assert views.position() == 3

    assert other.position(other.lend()) == 11
    other.close()


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


def test_two_processes_rebuild_what_one_would(log: EventLog, views: Views, place: Places):
    for steps in range(5):
        made(log, steps=steps)
    views.catch_up()
    before = rows(views)
    fill(views, log)
    views.rebuild()

    assert rows(views) == before
    assert views.verify() == []


def test_a_fold_that_forgets_rows_finds_them_again(log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch):
    thing = made(log)
    for _ in range(30):
        made(log)
    thing.go()
    log.record(thing, asked={})
    monkeypatch.setattr("provider.fold.KEPT_ROWS", 3)
    views.maker.page = 4

    views.rebuild()

    assert sorted(rows(views))[-1] == (1, [1])
    assert views.verify() == []


@pytest.mark.sqlite
def test_what_another_process_has_brought_into_the_views_is_not_looked_for_again(
    log: EventLog, views: Views, place: Places
):
    other = Views(place("views"), log, [counting])
    done = log.record(walked(3), asked={})
    views.catch_up(done.position)

    # Who would write could not: somebody else keeps the file.
    with closing(sqlite3.connect(cast(Path, views.place))) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert other.catch_up(done.position) == 4

    assert rows(other) == [(3, [1, 2, 3])]
    other.close()
