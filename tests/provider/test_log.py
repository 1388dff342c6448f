"""The event log: the library's own tests of recorders, SQLite's traps, keys, and the stored form."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread, Timer
from uuid import UUID, uuid4

import orjson
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.tests.persistence import ApplicationRecorderTestCase

from domain.person import Person
from provider.log import EventLog, IdempotencyKey, KeyReused, NotFound
from provider.mapper import EntryTooLarge, EventMapper, UnknownEvent
from provider.postgres import Datastore as PostgresDatastore
from provider.postgres import PostgresRecorder
from provider.schema import Schema
from provider.sqlite import Datastore, SqliteRecorder
from provider.views import Views, place_of
from tests.idempotency import key_of
from tests.postgres import Server
from tests.provider.conftest import Places
from tests.provider.things import SOMEBODY, Thing, counting


class TestSqliteRecorder(ApplicationRecorderTestCase[SqliteRecorder]):
    """The library's own tests, on our recorder and a file."""

    def setUp(self) -> None:
        self.folder = TemporaryDirectory()
        self.store = Datastore(str(Path(self.folder.name) / "events.sqlite"))

    def tearDown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def create_recorder(self) -> SqliteRecorder:
        recorder = SqliteRecorder(self.store)
        recorder.create_table()
        return recorder

    def test_performance(self) -> None:
        """Timings have no place in a suite; see tests/bench."""

    def test_concurrent_throughput(self) -> None:
        """Timings have no place in a suite; see tests/bench."""

    def test_concurrent_no_conflicts(self, initial_position: int = 0) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            super().test_concurrent_no_conflicts(initial_position)


class TestPostgresRecorder(ApplicationRecorderTestCase[PostgresRecorder]):
    """The library's own tests, on our recorder and a database of its own."""

    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = False

    @pytest.fixture(autouse=True)
    def database_of_its_own(self, postgres_server: Server) -> Iterator[None]:
        name = postgres_server.make()
        self.store = PostgresDatastore(Schema(postgres_server.at(name), "events"))
        yield
        self.store.close()
        postgres_server.drop(name)

    def create_recorder(self) -> PostgresRecorder:
        recorder = PostgresRecorder(self.store)
        recorder.create_table()
        return recorder

    def test_performance(self) -> None:
        """Timings have no place in a suite; see tests/bench."""

    def test_concurrent_throughput(self) -> None:
        """Timings have no place in a suite; see tests/bench."""


del ApplicationRecorderTestCase


@pytest.fixture
def log(place: Places) -> Iterator[EventLog]:
    log = EventLog(place("events"))
    yield log
    log.close()


def recorded(log: EventLog, steps: int = 0) -> Thing:
    thing = Thing.make()
    for _ in range(steps):
        thing.go()
    log.record(thing, asked={})
    return thing


def test_an_event_comes_back_as_it_was(log: EventLog):
    thing = Thing.make()
    thing.go()
    said = list(thing.pending_events)
    log.record(thing, asked={"id": "r-1", "channel": "test"})

    assert list(log.events.get(thing.id)) == said
    assert log.get(Thing, thing.id).count == 1


def test_the_stored_form_is_plain_json_without_absent_values(log: EventLog):
    recorded(log)

    state = orjson.loads(log.entries.page(0, 1)[0][4])

    assert state["day"] == "2026-05-04"
    assert state["at"] == "2026-05-04T07:30:15.123456Z"
    assert state["parts"][0] == {"number": 1, "since": "2026-05-04T07:30:15.123456Z", "price": "9.90"}
    assert "nothing" not in state
    assert "originator_id" not in state


def test_the_request_is_stored_with_the_event_and_hidden_from_it(log: EventLog):
    thing = Thing.make()
    log.record(thing, asked={"id": "r-1", "channel": "test"})

    _, stream, version, topic, state = log.entries.page(0, 1)[0]
    event, asked = log.mapper.read(stream, version, topic, state)

    assert asked == {"id": "r-1", "channel": "test"}
    assert not hasattr(event, "_request")


def test_an_older_version_of_an_event_is_brought_up_to_date():
    mapper = EventMapper()
    state = mapper.to_stored_event(Thing.make().pending_events[0]).state

    event, _ = mapper.read(uuid4().hex, 1, "test_thing.made", state)

    assert event.later is None


def test_an_event_of_a_newer_program_is_refused_with_advice():
    stored = StoredEvent(originator_id=uuid4(), originator_version=1, topic="test_thing.flown", state=b"{}")

    with pytest.raises(UnknownEvent, match="newer version"):
        EventMapper().to_domain_event(stored)


def test_an_event_longer_than_an_entry_of_the_verifiable_log_is_refused():
    thing = Thing.make()
    event = thing.pending_events[0]
    object.__setattr__(event, "later", "x" * 70_000)

    with pytest.raises(EntryTooLarge):
        EventMapper().to_stored_event(event)


def test_another_kind_under_the_id_is_not_found(log: EventLog):
    thing = recorded(log)

    with pytest.raises(NotFound):
        log.get(Person, thing.id)
    with pytest.raises(NotFound):
        log.get(Thing, uuid4())


def test_two_who_decided_on_the_same_version_conflict(log: EventLog):
    thing = recorded(log)
    one, other = log.get(Thing, thing.id), log.get(Thing, thing.id)
    one.go()
    other.go()
    log.record(one, asked={})

    with pytest.raises(IntegrityError):
        log.record(other, asked={})
    assert log.get(Thing, thing.id).version == 2


def test_several_aggregates_are_saved_together_or_not_at_all(log: EventLog):
    known = recorded(log)
    stale = log.get(Thing, known.id)
    fresh = log.get(Thing, known.id)
    fresh.go()
    log.record(fresh, asked={})
    stale.go()
    other = Thing.make()

    with pytest.raises(IntegrityError):
        log.record(other, stale, asked={})
    assert log.find(Thing, other.id) is None


@pytest.mark.sqlite
def test_vacuum_and_a_tail_delete_renumber_nothing(log: EventLog, tmp_path: Path):
    for _ in range(5):
        recorded(log)
    last = recorded(log)
    with sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None) as raw:
        raw.execute("DELETE FROM stored_events WHERE rowid IN (2, 6)")
        raw.execute("VACUUM")
    raw.close()

    assert [entry[0] for entry in log.entries.page(0, 10)] == [1, 3, 4, 5]
    recorded(log)
    assert log.position() == 7, "the position of a deleted event is never given again"
    assert last.id not in {UUID(entry[1]) for entry in log.entries.page(0, 10)}


def key(text: str = "a key of mine", body: bytes = b"{}", by: UUID = SOMEBODY) -> IdempotencyKey:
    return key_of(by, text, b"POST", b"/v1/things", body)


def test_a_used_key_gives_the_same_receipt(log: EventLog):
    thing = Thing.make()
    first = log.record(thing, asked={}, key=key(), outcome="made", ids=("x",))

    again = log.answered(key())

    assert again is not None
    assert (again.id, again.version, again.position, again.outcome, again.ids) == (thing.id, 1, 1, "made", ("x",))
    assert again.replayed
    assert not first.replayed


def test_a_key_is_remembered_where_nothing_needed_recording(log: EventLog):
    thing = log.get(Thing, recorded(log).id)

    log.record(thing, asked={}, key=key(), outcome="nothing_to_do")

    assert log.answered(key()).position is None


def test_a_key_with_another_request_is_refused(log: EventLog):
    log.record(Thing.make(), asked={}, key=key())

    with pytest.raises(KeyReused):
        log.answered(key(body=b'{"other": 1}'))


def test_keys_of_different_people_are_different_keys(log: EventLog):
    log.record(Thing.make(), asked={}, key=key())

    assert log.answered(key(by=uuid4())) is None


def test_the_answer_and_the_events_are_saved_together(log: EventLog):
    log.record(Thing.make(), asked={}, key=key())
    other = Thing.make()

    with pytest.raises(IntegrityError):
        log.record(other, asked={}, key=key())
    assert log.find(Thing, other.id) is None
    assert [entry[0] for entry in log.entries.page(0, 10)] == [1]


def test_answers_are_forgotten_after_a_while(log: EventLog):
    log.record(Thing.make(), asked={}, key=key())

    assert log.entries.forget_keys("2000-01-01T00:00:00Z") == 0
    assert log.entries.forget_keys("2999-01-01T00:00:00Z") == 1
    assert log.answered(key()) is None


def test_sixteen_threads_lose_nothing(log: EventLog):
    def write() -> None:
        for _ in range(10):
            recorded(log, steps=1)

    threads = [Thread(target=write) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    positions = [entry[0] for entry in log.entries.page(0, 1_000)]
    assert positions == list(range(1, 321))


def test_an_aggregate_left_warm_knows_what_others_recorded_since(log: EventLog):
    thing = recorded(log)
    other = EventLog(log.place)
    theirs = other.get(Thing, thing.id)
    theirs.go()
    other.record(theirs, asked={})
    other.close()

    assert log.get(Thing, thing.id).count == 1


def test_no_two_hold_the_same_warm_aggregate(log: EventLog):
    thing = recorded(log)

    one, other = log.get(Thing, thing.id), log.get(Thing, thing.id)
    one.go()

    assert other.count == 0


def test_an_aggregate_whose_events_were_not_recorded_is_forgotten(log: EventLog):
    thing = recorded(log)
    stale = log.get(Thing, thing.id)
    winner = log.get(Thing, thing.id)
    winner.go()
    log.record(winner, asked={})
    stale.go()
    stale.go()
    with pytest.raises(IntegrityError):
        log.record(stale, asked={})

    assert log.get(Thing, thing.id).count == 1


@pytest.mark.parametrize("store", ["events", "views"])
def test_whoever_opens_a_new_file_waits_for_who_is_just_making_it(tmp_path: Path, store: str):
    file = place_of(tmp_path / "views.sqlite", [counting]) if store == "views" else tmp_path / "events.sqlite"
    assert isinstance(file, Path)
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as maker:
        maker.execute("BEGIN IMMEDIATE")
        done = Timer(0.1, maker.execute, ["ROLLBACK"])
        done.start()
        log = EventLog(tmp_path / "events.sqlite")
        views = Views(tmp_path / "views.sqlite", log, [counting])
        views.open()
        done.join()

    assert views.catch_up(log.record(Thing.make(), asked={}).position) == 1
    views.close()
    log.close()
