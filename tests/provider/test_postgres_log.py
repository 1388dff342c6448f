"""The event log in PostgreSQL: order without a table lock, and answers to keys that are recorded once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent

from provider.log import EventLog
from provider.postgres import IN_FLIGHT, PostgresRecorder
from provider.receipt import Receipt
from provider.schema import Schema
from tests.idempotency import key_of
from tests.provider.things import SOMEBODY

SOON = 10
"""Seconds after which a test gives up; nothing here takes that long."""


@pytest.fixture
def log(url: str) -> Iterator[EventLog]:
    log = EventLog(Schema(url, "events"))
    yield log
    log.close()


@pytest.fixture
def recorder(log: EventLog) -> PostgresRecorder:
    assert isinstance(log.recorder, PostgresRecorder)
    return log.recorder


def event(stream: UUID | None = None, version: int = 1) -> StoredEvent:
    return StoredEvent(originator_id=stream or uuid4(), originator_version=version, topic="t", state=b"{}")


def key() -> Any:
    return key_of(SOMEBODY, "a key of mine", b"POST", b"/v1/things", b"{}")


@contextmanager
def slow(url: str, recorder: PostgresRecorder, *events: StoredEvent) -> Iterator[tuple[psycopg.Connection, list[int]]]:
    """Record as the recorder does, by its own statement, but leave the transaction open."""
    with closing(psycopg.connect(url)) as connection:
        columns = [[getattr(each, name) for each in events] for name in ("originator_id", "originator_version")]
        columns += [[each.topic for each in events], [each.state for each in events]]
        yield connection, [row[0] for row in connection.execute(recorder._insert, columns)]


def seen(recorder: PostgresRecorder, after: int = 0, upto: int | None = None) -> list[int]:
    return [entry[0] for entry in recorder.page(after, 1_000, upto)]


def test_nobody_reads_past_an_event_that_is_committed_late(url: str, recorder: PostgresRecorder):
    recorder.insert_events([event()])
    with slow(url, recorder, event(), event()) as (late, drawn):
        assert recorder.insert_events([event()]) == [4]

        assert drawn == [2, 3]
        assert seen(recorder) == [1]
        assert seen(recorder, after=1) == []
        assert recorder.max_notification_id() == 1

        late.commit()
        assert seen(recorder) == [1, 2, 3, 4]
        assert recorder.max_notification_id() == 4


def test_of_several_open_transactions_the_earliest_is_waited_for(url: str, recorder: PostgresRecorder):
    with slow(url, recorder, event()) as (first, _), slow(url, recorder, event()) as (second, _):
        recorder.insert_events([event()])

        second.commit()
        assert seen(recorder) == []
        assert not recorder.max_notification_id()

        first.commit()
        assert seen(recorder) == [1, 2, 3]


def test_what_was_recorded_before_is_read_while_somebody_records(url: str, recorder: PostgresRecorder):
    recorder.insert_events([event() for _ in range(5)])
    with slow(url, recorder, event()):
        assert seen(recorder) == [1, 2, 3, 4, 5]
        assert seen(recorder, after=2, upto=4) == [3, 4]
        assert recorder.max_notification_id() == 5


def test_who_asks_for_all_up_to_a_position_waits_for_those_before_it(url: str, recorder: PostgresRecorder):
    found: list[int] = []
    with slow(url, recorder, event()) as (late, _):
        assert recorder.insert_events([event()]) == [2]
        reader = Thread(target=lambda: found.extend(seen(recorder, upto=2)), daemon=True)
        reader.start()
        reader.join(0.1)
        assert found == []

        late.commit()
        reader.join(SOON)
    assert found == [1, 2]


def test_who_asks_for_more_than_there_is_waits_for_nobody(url: str, recorder: PostgresRecorder):
    recorder.insert_events([event()])
    with slow(url, recorder, event()):
        assert seen(recorder, upto=99) == [1]


def test_nobody_waits_for_ever(url: str, recorder: PostgresRecorder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("provider.postgres.WAIT", 0.05)
    with slow(url, recorder, event()):
        recorder.insert_events([event()])

        with pytest.raises(TimeoutError):
            seen(recorder, upto=2)


def test_a_writer_who_looked_long_ago_sets_back_only_those_who_do_not_know_better(url: str, recorder: PostgresRecorder):
    recorder.insert_events([event() for _ in range(3)])
    with psycopg.connect(url) as asleep:
        # It looked when one position was drawn, and took its lock when three were.
        asleep.execute("SELECT pg_advisory_xact_lock_shared(%s)", ((IN_FLIGHT << 44) | 1,))

        assert seen(recorder, after=3) == []
        assert recorder.max_notification_id() == 1
        assert recorder.at([3])


def test_a_gap_that_was_rolled_back_stalls_nobody(url: str, recorder: PostgresRecorder):
    with slow(url, recorder, event(), event()) as (given_up, _):
        recorder.insert_events([event()])
        given_up.rollback()

        assert seen(recorder) == [3]
        assert recorder.max_notification_id() == 3


def test_a_writer_whose_connection_is_cut_stalls_nobody(url: str, recorder: PostgresRecorder):
    with slow(url, recorder, event()) as (cut, _):
        recorder.insert_events([event()])
        with psycopg.connect(url) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (cut.info.backend_pid,))

        assert seen(recorder) == [2]


def test_a_conflict_leaves_a_gap_and_no_lock(url: str, recorder: PostgresRecorder):
    stream = uuid4()
    recorder.insert_events([event(stream)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(), event(stream)])

    (position,) = recorder.insert_events([event()]) or ()
    assert position > 2
    assert seen(recorder) == [1, position]
    with psycopg.connect(url) as other:
        assert other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


def test_writers_of_different_streams_do_not_wait_for_each_other(url: str, recorder: PostgresRecorder):
    done = Event()

    def write() -> None:
        recorder.insert_events([event()])
        done.set()

    with slow(url, recorder, event()):
        writer = Thread(target=write, daemon=True)
        writer.start()
        assert done.wait(SOON)
    writer.join(SOON)


def test_who_writes_the_same_version_waits_and_is_told_of_the_conflict(url: str, recorder: PostgresRecorder):
    stream = uuid4()
    told: list[str] = []

    def write() -> None:
        try:
            recorder.insert_events([event(stream)])
        except IntegrityError:
            told.append("conflict")

    with slow(url, recorder, event(stream)) as (first, _):
        writer = Thread(target=write, daemon=True)
        writer.start()
        writer.join(0.1)
        assert told == []
        first.commit()
        writer.join(SOON)

    assert told == ["conflict"]
    assert len(seen(recorder)) == 1


def test_a_writer_of_another_log_holds_up_nobody(url: str, recorder: PostgresRecorder, postgres_server):
    elsewhere = postgres_server.make()
    other = EventLog(Schema(postgres_server.at(elsewhere), "events"))
    try:
        assert isinstance(other.recorder, PostgresRecorder)
        recorder.insert_events([event(), event()])
        with slow(postgres_server.at(elsewhere), other.recorder, event()):
            assert seen(recorder) == [1, 2]
    finally:
        other.close()
        postgres_server.drop(elsewhere)


def test_locks_of_the_log_are_told_from_all_others(url: str, recorder: PostgresRecorder):
    recorder.insert_events([event()])
    with psycopg.connect(url) as other:
        for number in (0, 1, -1, 2**62, -(2**63), (IN_FLIGHT - 1) << 44, (IN_FLIGHT + 1) << 44):
            other.execute("SELECT pg_advisory_lock(%s)", (number,))
        other.execute("SELECT pg_advisory_lock(%s, 0)", (IN_FLIGHT << 12,))

        assert seen(recorder) == [1]


def test_a_position_beyond_two_to_the_thirty_two_is_locked_as_it_is(url: str, recorder: PostgresRecorder):
    with psycopg.connect(url) as other:
        other.execute("SELECT setval('events.stored_events_notification_id_seq', %s)", (2**40,))
    recorder.insert_events([event()])
    with slow(url, recorder, event()):
        recorder.insert_events([event()])

        assert seen(recorder) == [2**40 + 1]
        assert recorder.max_notification_id() == 2**40 + 1


def test_a_follower_sees_all_that_eight_threads_record_once_and_in_order(url: str, log: EventLog, recorder):
    finished = Event()
    followed: list[int] = []
    recorded: list[int] = []
    streams = [uuid4() for _ in range(8)]

    def write(stream: UUID) -> None:
        for version in range(1, 121):
            try:
                recorded.extend(recorder.insert_events([event(stream, version), event(), event()]))
                # Every so often somebody is late, and leaves a gap.
                if version % 10 == 0:
                    recorder.insert_events([event(), event(stream, version)])
            except IntegrityError:
                continue

    def follow() -> None:
        while True:
            last = finished.is_set()
            while page := recorder.page(followed[-1] if followed else 0, 50):
                followed.extend(entry[0] for entry in page)
            if last:
                return

    follower = Thread(target=follow, daemon=True)
    writers = [Thread(target=write, args=(stream,), daemon=True) for stream in streams]
    for thread in (follower, *writers):
        thread.start()
    for thread in writers:
        thread.join(SOON)
    finished.set()
    follower.join(SOON)

    assert len(recorded) == 8 * 120 * 3
    assert followed == sorted(recorded)


def test_events_of_one_writer_are_in_the_order_in_which_they_were_given(recorder: PostgresRecorder):
    events = [event() for _ in range(500)]
    positions = recorder.insert_events(events)

    assert positions == list(range(1, 501))
    assert [UUID(entry[1]) for entry in recorder.page(0, 500)] == [each.originator_id for each in events]


def test_the_same_key_twice_records_nothing_of_either(recorder: PostgresRecorder):
    receipt = Receipt(uuid4(), 1, None, "made")
    recorder.insert_events([event()], answer=(key(), receipt))

    for events in ([event()], []):
        with pytest.raises(IntegrityError):
            recorder.insert_events(events, answer=(key(), Receipt(uuid4(), 7, None, "other")))

    assert seen(recorder) == [1]
    again = recorder.answered(key())
    assert again is not None
    assert (again.id, again.version, again.position, again.outcome) == (receipt.id, 1, 1, "made")


def test_a_conflict_of_the_events_leaves_no_answer(recorder: PostgresRecorder):
    stream = uuid4()
    recorder.insert_events([event(stream)])

    with pytest.raises(IntegrityError):
        recorder.insert_events([event(stream)], answer=(key(), Receipt(stream, 1, None)))

    assert recorder.answered(key()) is None


def test_an_answer_needs_no_event(recorder: PostgresRecorder):
    assert recorder.insert_events([], answer=(key(), Receipt(uuid4(), 3, None))) == []

    again = recorder.answered(key())
    assert again is not None
    assert again.position is None


def test_two_who_send_the_same_key_at_once_record_once(recorder: PostgresRecorder):
    outcomes: list[str] = []

    def send() -> None:
        try:
            recorder.insert_events([event()], answer=(key(), Receipt(uuid4(), 1, None)))
            outcomes.append("recorded")
        except IntegrityError:
            outcomes.append("refused")

    threads = [Thread(target=send, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)

    assert sorted(outcomes) == ["recorded"] + ["refused"] * 7
    assert len(seen(recorder)) == 1


def test_processes_that_start_at_once_make_one_log(url: str):
    logs: list[EventLog] = []
    threads = [Thread(target=lambda: logs.append(EventLog(Schema(url, "events"))), daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)

    assert len(logs) == 6
    for log in logs:
        log.recorder.insert_events([event()])
        log.close()


def test_a_connection_that_was_cut_is_made_anew(url: str, recorder: PostgresRecorder):
    recorder.insert_events([event()])
    with psycopg.connect(url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    assert seen(recorder) == [1]
    assert recorder.insert_events([event()]) == [2]
