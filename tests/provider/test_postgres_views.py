"""The views in PostgreSQL: swaps beside open readings, several processes, and connections that were cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from threading import Event, Thread
from typing import cast
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy
from psycopg.sql import SQL, Identifier
from sqlalchemy import func, select

from projections.projection import Projection, Reading, holds
from provider.locks import AdvisoryLock, OwnAdvisoryLock
from provider.log import EventLog
from provider.outage import outage
from provider.postgres import IN_FLIGHT, Connections, PostgresRecorder
from provider.schema import Schema
from provider.views import Broken, Views
from tests.postgres import Server
from tests.provider.things import Thing, counting, things

SOON = 10
"""Seconds after which a test gives up; nothing here takes that long."""


@pytest.fixture
def log(url: str) -> Iterator[EventLog]:
    log = EventLog(Schema(url, "events"))
    yield log
    log.close()


@pytest.fixture
def views(log: EventLog, url: str) -> Iterator[Views]:
    views = Views(Schema(url, "views"), log, [counting])
    views.open()
    yield views
    views.close()


@pytest.fixture
def other(log: EventLog, url: str) -> Iterator[Views]:
    """The views as another process has them."""
    views = Views(Schema(url, "views"), log, [counting])
    yield views
    views.close()


def made(log: EventLog, steps: int = 0) -> Thing:
    thing = Thing.make()
    for _ in range(steps):
        thing.go()
    log.record(thing, asked={})
    return thing


def counts(read: Reading) -> list[int]:
    return [row.count for row in read.execute(select(things.c.count).where(holds(things, None)).order_by("count"))]


def in_a_thread(function: Callable[[], object]) -> Thread:
    thread = Thread(target=function, daemon=True)
    thread.start()
    return thread


def waits_for_a_lock(url: str) -> bool:
    """Tell whether somebody waits for a lock, as soon as anybody does."""
    until = time.monotonic() + SOON
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < until:
            found = connection.execute(
                "SELECT 1 FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
                "WHERE NOT granted AND relname = 'places'"
            )
            if found.fetchone():
                return True
            time.sleep(0.005)
    return False


def cut_all_others(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_swap_waits_for_who_reads_and_they_keep_the_state_in_which_they_began(
    log: EventLog, views: Views, other: Views, url: str
):
    made(log, steps=2)
    views.catch_up()
    # Whoever swaps makes other rows, so that it shows which ones are read.
    different = Projection("test_counting", version=1, tables=(things,))
    different.handlers = {Thing.Made.TOPIC: counting.handlers[Thing.Made.TOPIC]}
    another = Views(Schema(url, "views"), log, [different])
    with other.reading() as read:
        assert counts(read) == [2]
        swap = in_a_thread(another.rebuild)
        assert waits_for_a_lock(url)

        assert counts(read) == [2]
        assert read.execute(select(func.count()).select_from(things)).scalar() == 3

    swap.join(SOON)
    assert not swap.is_alive()
    with other.reading() as read:
        assert counts(read) == [0]
    another.close()


def test_a_reading_that_began_and_has_not_read_yet_holds_its_state_too(
    log: EventLog, views: Views, other: Views, url: str
):
    made(log, steps=2)
    views.catch_up()
    read = other.lend()
    swap = in_a_thread(views.rebuild)
    assert waits_for_a_lock(url)

    assert counts(read) == [2]
    read.end()
    swap.join(SOON)
    assert counts(other.lend()) == [2]


def test_a_reader_who_comes_while_a_swap_waits_sees_the_new_tables_with_their_rows(
    log: EventLog, views: Views, other: Views, url: str
):
    made(log, steps=2)
    views.catch_up()
    found: list[list[int]] = []

    def look() -> None:
        with other.reading() as read:
            found.append(counts(read))

    first = other.lend()
    swap = in_a_thread(views.rebuild)
    assert waits_for_a_lock(url)
    late = in_a_thread(look)
    first.end()
    swap.join(SOON)
    late.join(SOON)

    assert found == [[2]]


def test_no_reader_ever_sees_an_empty_table_or_an_error_while_views_are_rebuilt(
    log: EventLog, views: Views, other: Views
):
    for steps in range(5):
        made(log, steps=steps)
    views.catch_up()
    stop = Event()
    found: set[tuple[int, ...]] = set()
    failed: list[BaseException] = []

    def look() -> None:
        try:
            while not stop.is_set():
                read = other.lend()
                found.add(tuple(counts(read)))
                read.end()
        except BaseException as error:
            failed.append(error)

    readers = [in_a_thread(look) for _ in range(3)]
    for _ in range(12):
        views.rebuild()
    stop.set()
    for reader in readers:
        reader.join(SOON)

    assert failed == []
    assert found == {(0, 1, 2, 3, 4)}


def test_a_rebuild_beside_commands_loses_none_of_what_they_record(log: EventLog, views: Views, other: Views):
    thing = made(log)
    stop = Event()
    failed: list[BaseException] = []

    def record() -> None:
        try:
            while not stop.is_set():
                thing.go()
                receipt = log.record(thing, asked={})
                other.catch_up(receipt.position)
        except BaseException as error:
            failed.append(error)

    commands = in_a_thread(record)
    for _ in range(8):
        views.rebuild()
    stop.set()
    commands.join(SOON)
    views.catch_up()

    assert failed == []
    with views.reading() as read:
        assert counts(read) == [thing.count]
    assert thing.count > 8
    assert views.verify() == []


def test_an_open_reading_does_not_hold_up_who_catches_up(log: EventLog, views: Views, other: Views):
    made(log)
    with other.reading() as read:
        assert counts(read) == []

        catching_up = in_a_thread(views.catch_up)
        catching_up.join(SOON)
        assert not catching_up.is_alive()

        assert counts(read) == []
    with other.reading() as read:
        assert counts(read) == [0]


def test_who_catches_up_in_the_middle_of_a_reading_and_a_swap_do_not_wait_for_each_other(
    log: EventLog, views: Views, other: Views, url: str
):
    made(log)
    views.catch_up()
    began, waited, done = Event(), Event(), Event()

    def read_and_catch_up() -> None:
        with suppress(psycopg.Error):
            other.lend()
            began.set()
            waited.wait(SOON)
            other.catch_up()
            done.set()

    def rebuild() -> None:
        with suppress(psycopg.Error):
            views.rebuild()

    reader = in_a_thread(read_and_catch_up)
    assert began.wait(SOON)
    swap = in_a_thread(rebuild)
    assert waits_for_a_lock(url)
    waited.set()
    caught_up = done.wait(1)
    if not caught_up:
        cut_all_others(url)
    reader.join(SOON)
    swap.join(SOON)

    assert caught_up


def followed(url: str, upto: int) -> int:
    """Follow the log as a process of its own, and return how often it looked."""
    log = EventLog(Schema(url, "events"))
    views = Views(Schema(url, "views"), log, [counting])
    views.open()
    looks = 0
    while views.catch_up() < upto:
        looks += 1
    views.close()
    log.close()
    return looks


def test_processes_that_catch_up_at_once_apply_each_event_once(log: EventLog, views: Views, url: str):
    thing = made(log)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        following = [processes.submit(followed, url, 201) for _ in range(2)]
        for _ in range(200):
            thing.go()
            log.record(thing, asked={})
        looks = [each.result(30) for each in following]

    assert len(looks) == 2
    with views.reading() as read:
        assert counts(read) == [200]
        assert views.position(read) == 201
    assert views.verify() == []


def test_processes_that_open_the_views_at_once_make_them_once(log: EventLog, url: str):
    made(log, steps=3)
    several = [Views(Schema(url, "views"), log, [counting]) for _ in range(6)]
    failed: list[BaseException] = []

    def open_and_follow(views: Views) -> None:
        try:
            views.open()
            views.catch_up()
        except BaseException as error:
            failed.append(error)

    threads = [in_a_thread(lambda views=views: open_and_follow(views)) for views in several]
    for thread in threads:
        thread.join(SOON)

    assert failed == []
    with several[0].reading() as read:
        assert counts(read) == [3]
    for views in several:
        views.close()


def test_a_connection_that_was_cut_is_made_anew_at_the_next_loan(log: EventLog, views: Views, url: str):
    made(log, steps=1)
    views.catch_up()
    views.lend().end()
    cut_all_others(url)

    read = views.lend()
    assert counts(read) == [1]
    read.end()


def test_a_connection_that_was_cut_in_the_middle_of_a_reading_is_made_anew_too(log: EventLog, views: Views, url: str):
    made(log, steps=1)
    views.catch_up()
    views.lend()
    cut_all_others(url)

    assert counts(views.lend()) == [1]
    views.lend().end()


def test_who_finds_the_server_away_finds_it_again_when_it_is_back(
    log: EventLog, views: Views, url: str, postgres_server: Server
):
    made(log, steps=1)
    views.catch_up()
    name = urlsplit(url).path[1:]
    with psycopg.connect(postgres_server.url, autocommit=True) as administrator:
        administrator.execute(SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(Identifier(name)))
        administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        for _ in range(2):
            with pytest.raises(sqlalchemy.exc.OperationalError):
                views.lend()
            with pytest.raises(psycopg.OperationalError):
                cast(PostgresRecorder, log.recorder).lend().execute("SELECT 1")
        administrator.execute(SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true").format(Identifier(name)))

    read = views.lend()
    assert counts(read) == [1]
    read.end()
    made(log)
    assert views.catch_up() == 3


def test_who_catches_up_after_a_cut_does_so_on_a_new_connection(log: EventLog, views: Views, url: str):
    made(log)
    views.catch_up()
    cut_all_others(url)
    made(log)

    assert views.catch_up() == 2
    assert views.rebuild() == 2


def test_a_page_whose_connection_is_cut_is_applied_again_as_a_whole(log: EventLog, views: Views, url: str):
    thing = made(log, steps=3)
    with pytest.raises(psycopg.OperationalError), views._writing() as connection:
        connection.driver.execute("UPDATE places SET position = 99 WHERE name = 'all'")
        cut_all_others(url)

    assert views.catch_up() == thing.version
    assert views.verify() == []


def test_a_loan_that_was_cancelled_spoils_none_after_it(log: EventLog, views: Views, other: Views, url: str):
    made(log)
    views.catch_up()
    told: list[str] = []
    with psycopg.connect(url) as holder:
        holder.execute(f"LOCK TABLE {views.place.name}.places IN ACCESS EXCLUSIVE MODE")

        def borrow_twice() -> None:
            try:
                other.lend()
            except psycopg.errors.QueryCanceled:
                told.append("cancelled")
            holder.rollback()
            try:
                read = other.lend()
                told.append(str(counts(read)))
                read.end()
            except psycopg.Error as error:
                told.append(str(error))

        borrower = in_a_thread(borrow_twice)
        assert waits_for_a_lock(url)
        with psycopg.connect(url) as administrator:
            administrator.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '^BEGIN ISOLATION'"
            )
        borrower.join(SOON)

    assert told == ["cancelled", "[0]"]


def test_views_that_are_ahead_of_a_writer_who_fell_asleep_are_no_alarm(log: EventLog, views: Views, url: str):
    for _ in range(3):
        made(log)
    views.catch_up()
    with psycopg.connect(url) as asleep:
        # It looked when one position was drawn, and took its lock when three were.
        asleep.execute("SELECT pg_advisory_xact_lock_shared(%s)", ((IN_FLIGHT << 44) | 1,))

        assert views.catch_up() == 3
        assert views.catch_up(to=3) == 3


def test_whoever_recorded_finds_it_in_the_views_though_another_is_late(log: EventLog, views: Views, url: str):
    made(log)
    with psycopg.connect(url) as late:
        late.execute("SELECT pg_advisory_xact_lock_shared(%s)", ((IN_FLIGHT << 44) | 1,))
        receipt = log.record(Thing.make(), asked={})
        reached: list[int] = []
        mine = in_a_thread(lambda: reached.append(views.catch_up(receipt.position)))
        mine.join(0.1)
        late.rollback()
        mine.join(SOON)

    assert reached == [2]


def test_views_beyond_the_end_of_the_log_are_an_alarm(log: EventLog, views: Views):
    made(log)
    views.catch_up()
    with views._writing() as connection:
        connection.driver.execute("UPDATE places SET position = 9 WHERE name = 'all'")

    with pytest.raises(Broken, match="older copy"):
        views.catch_up()


def test_who_waits_for_a_lock_for_long_gives_up_and_has_it_afterwards(url: str):
    patient, hasty = Connections(url), Connections(url, patience=0.1)
    held, other = AdvisoryLock(patient.lend, 7), AdvisoryLock(hasty.lend, 7)
    for _ in range(2):
        with held, pytest.raises(psycopg.errors.LockNotAvailable) as told, other:
            pass
        assert "locked" in str(outage(told.value))
        with other:
            pass
    patient.close()
    hasty.close()


def test_a_lock_is_taken_on_a_new_connection_where_the_old_one_was_cut(url: str):
    connections = Connections(url)
    lock = AdvisoryLock(connections.lend, 7)
    for _ in range(2):
        with lock:
            cut_all_others(url)
        connections.lend().execute("SELECT 1")
        cut_all_others(url)
    connections.close()


def test_a_connection_that_cannot_be_told_how_long_to_wait_is_lent_to_nobody(url: str):
    connections = Connections(url, patience=-1)
    for _ in range(2):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connections.lend()
    connections.close()


def test_who_does_what_takes_long_is_waited_for_whatever_the_database_says(url: str):
    name = urlsplit(url).path[1:]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("ALTER DATABASE {} SET lock_timeout = '50ms'").format(Identifier(name)))
    held, other = OwnAdvisoryLock(url, 7), OwnAdvisoryLock(url, 7)
    had: list[bool] = []

    def wait() -> None:
        with other:
            had.append(True)

    with held:
        waiting = in_a_thread(wait)
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join(SOON)
    assert had == [True]
    held.close()
    other.close()


def test_tables_beside_the_live_ones_are_written_while_somebody_writes_to_those(views: Views, other: Views):
    beside, opening = other.maker.connection, other.maker.edition.to_build
    with views._writing() as live, beside.transaction(opening):
        live.driver.execute("UPDATE places SET position = position")
        beside.driver.execute("CREATE TABLE things__aside (thing text)")
        beside.driver.execute("DROP TABLE things__aside")
