"""How a command is carried out: tried again, answered again, sealed once, recorded whatever becomes of the views."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import select

from domain.refusal import Refused
from provider.log import IdempotencyKey, KeyReused, NotFound
from provider.office import Office
from provider.work import ATTEMPTS, Act, Busy, Receipt, Stale, Work, command
from tests.conftest import Clock
from tests.idempotency import key_of
from tests.postgres import looked_up
from tests.provider.conftest import done_to
from tests.provider.things import NOW, SOMEBODY, Thing, counting, things

Between = Callable[[int], None]
"""What happens between the loading and the recording of an attempt; it is given the number of the attempt."""


class Unwilling(Refused):
    """The thing doesn't want to."""


@pytest.fixture
def office(showing: Callable[..., Office]) -> Iterator[Office]:
    """A back office of things, in which nothing has happened."""
    office = showing(counting)
    yield office
    office.close()


@pytest.fixture
def thing(office: Office) -> UUID:
    return make(office, act()).id


def act(key: IdempotencyKey | None = None, version: int | None = None) -> Act:
    return Act(by=SOMEBODY, now=NOW, at=NOW, channel="test", request=uuid4().hex, key=key, version=version)


def key(*request: bytes) -> IdempotencyKey:
    return key_of(SOMEBODY, "the very same key", *request)


@command
def make(work: Work) -> Receipt:
    made = Thing.make(work.new_id())
    return work.record(made, outcome="made", ids=[made.id])


class Going:
    """The command that lets a thing go, with something that happens in the middle of it; it keeps what it has seen."""

    def __init__(self, between: Between = lambda _: None) -> None:
        self.between = between
        self.attempts = 0
        self.counts: list[int] = []
        self.in_view: list[int] = []
        self.ids: list[list[UUID]] = []
        self.handles: list[object] = []
        self.carry_out = command(self._go)

    def __call__(self, office: Office, act: Act, thing: UUID) -> Receipt:
        return self.carry_out(office, act, thing=thing)

    def _go(self, work: Work, *, thing: UUID) -> Receipt:
        self.attempts += 1
        found = work.addressed(Thing, thing)
        self.counts.append(found.count)
        self.in_view.append(work.read.execute(select(things.c.count).where(things.c.until > 2**60)).scalar_one())
        self.ids.append([work.new_id(), work.new_id()])
        self.handles.append((work.seal(thing, "a secret"), *work.seal_all(thing, "another", None, "a secret")))
        work.seal_many([(SOMEBODY, "of somebody else"), (thing, "a secret")])
        self.between(self.attempts)
        found.go()
        return work.record(found, outcome="gone", ids=self.ids[-1])


def rival(office: Office, thing: UUID, times: int = 1) -> Between:
    """Let somebody else be first, in a thread of their own, in so many attempts."""

    def be_first(attempt: int) -> None:
        if attempt <= times:
            with ThreadPoolExecutor(1) as other:
                other.submit(Going(), office, act(), thing).result()

    return be_first


def steps(office: Office) -> list[int]:
    """Return what the log holds of things that went."""
    asked = "SELECT state FROM stored_events WHERE topic LIKE '%gone' ORDER BY originator_version"
    gone = looked_up(office.settings, "events", asked)
    return [orjson.loads(bytes(state))["step"] for (state,) in gone]


def sealed(office: Office) -> int:
    return int(looked_up(office.settings, "vault", "SELECT count(*) FROM private_values")[0][0])


# Somebody else was first.


def test_a_command_that_came_second_decides_again_on_what_is_there_now(office: Office, thing: UUID) -> None:
    going = Going(rival(office, thing, times=3))
    done = going(office, act(), thing)
    assert going.attempts == 4
    assert going.counts == going.in_view == [0, 1, 2, 3]
    assert steps(office) == [1, 2, 3, 4]
    assert (done.version, done.position, done.outcome, done.replayed) == (5, office.log.position(), "gone", False)
    assert office.views.verify() == []


def test_private_values_are_sealed_and_ids_drawn_once_for_all_attempts(office: Office, thing: UUID) -> None:
    going = Going(rival(office, thing, times=3))
    before = sealed(office)
    going(office, act(), thing)
    of_each_command = 3
    assert sealed(office) - before == (1 + 3) * of_each_command
    assert len({tuple(each) for each in going.ids}) == 1
    assert len(set(going.ids[0])) == 2
    assert len(set(going.handles)) == 1


def test_who_is_second_each_time_is_told_to_come_back_and_nothing_of_it_is_recorded(
    office: Office, thing: UUID
) -> None:
    going = Going(rival(office, thing, times=ATTEMPTS))
    with pytest.raises(Busy, match="try again"):
        going(office, act(key=key(b"go")), thing)
    assert going.attempts == ATTEMPTS
    assert steps(office) == list(range(1, ATTEMPTS + 1))
    assert office.log.answered(key(b"go")) is None


def test_thirty_at_once_are_all_carried_out(office: Office, thing: UUID) -> None:
    @command
    def go(work: Work) -> Receipt:
        with work.alone(f"thing/{thing}"):
            found = work.get(Thing, thing)
            found.go()
            return work.record(found)

    with ThreadPoolExecutor(8) as several:
        done = list(several.map(lambda _: go(office, act()), range(30)))
    assert sorted(each.version for each in done) == list(range(2, 32))
    assert steps(office) == list(range(1, 31))
    assert office.views.verify() == []


# The version that the caller has seen.


def test_a_version_that_is_not_the_one_seen_is_refused_at_once(office: Office, thing: UUID) -> None:
    Going()(office, act(), thing)
    going = Going()
    with pytest.raises(Stale) as stale:
        going(office, act(version=1), thing)
    assert stale.value.version == 2
    assert going.attempts == 1
    assert steps(office) == [1]


def test_the_version_seen_beats_the_second_attempt(office: Office, thing: UUID) -> None:
    going = Going(rival(office, thing))
    with pytest.raises(Stale) as stale:
        going(office, act(version=1), thing)
    assert (stale.value.version, going.attempts) == (2, 2)
    assert steps(office) == [1]


def test_the_version_seen_is_enough(office: Office, thing: UUID) -> None:
    assert Going()(office, act(version=1), thing).version == 2


# The same request again.


def test_a_key_that_was_answered_is_answered_before_any_work(office: Office, thing: UUID) -> None:
    going = Going()
    first = going(office, act(key=key(b"go")), thing)
    again = going(office, act(key=key(b"go")), thing)
    assert going.attempts == 1
    assert steps(office) == [1]
    assert again.replayed
    assert (again.id, again.version, again.position, again.outcome, again.ids) == (
        first.id,
        first.version,
        first.position,
        first.outcome,
        first.ids,
    )


def test_a_key_is_answered_though_the_version_has_moved_since(office: Office, thing: UUID) -> None:
    Going()(office, act(key=key(b"go"), version=1), thing)
    Going()(office, act(), thing)
    assert Going()(office, act(key=key(b"go"), version=1), thing).version == 2


def test_a_key_with_another_request_is_refused_before_any_work(office: Office, thing: UUID) -> None:
    Going()(office, act(key=key(b"go")), thing)
    going = Going()
    with pytest.raises(KeyReused):
        going(office, act(key=key(b"go", b"")), thing)
    assert going.attempts == 0


def test_the_same_key_is_another_one_for_somebody_else(office: Office, thing: UUID) -> None:
    Going()(office, act(key=key(b"go")), thing)
    theirs = key_of(uuid4(), "the very same key", b"go")
    assert not Going()(office, act(key=theirs), thing).replayed
    assert steps(office) == [1, 2]


def test_a_request_sent_twice_at_once_is_carried_out_once_and_both_get_the_same_answer(
    office: Office, thing: UUID
) -> None:
    twin: list[Receipt] = []

    def send_again(attempt: int) -> None:
        with ThreadPoolExecutor(1) as other:
            twin.append(other.submit(Going(), office, act(key=key(b"go")), thing).result())

    going = Going(send_again)
    late = going(office, act(key=key(b"go")), thing)
    assert (going.attempts, len(twin)) == (1, 1)
    assert (late.replayed, twin[0].replayed) == (True, False)
    assert (late.id, late.version, late.position, late.ids) == (
        twin[0].id,
        twin[0].version,
        twin[0].position,
        twin[0].ids,
    )
    assert steps(office) == [1]


def test_a_key_alone_keeps_a_second_thing_from_being_made(office: Office) -> None:
    # Two new streams don't conflict with each other; only the key, which is in the same transaction, does.
    @command
    def make_slowly(work: Work) -> Receipt:
        made = Thing.make(work.new_id())
        if office.log.position() == 0:
            with ThreadPoolExecutor(1) as other:
                other.submit(make, office, act(key=key(b"make"))).result()
        return work.record(made)

    done = make_slowly(office, act(key=key(b"make")))
    assert done.replayed
    assert office.log.position() == 1


def test_a_refusal_is_not_an_answer_that_a_key_keeps(office: Office, thing: UUID) -> None:
    def refuse(_: int) -> None:
        raise Unwilling("not now")

    with pytest.raises(Unwilling):
        Going(refuse)(office, act(key=key(b"go")), thing)
    assert office.log.answered(key(b"go")) is None
    assert not Going()(office, act(key=key(b"go")), thing).replayed


# All or nothing.


def test_several_things_are_recorded_together_or_not_at_all(office: Office, thing: UUID) -> None:
    @command
    def go_with_another(work: Work) -> Receipt:
        found, other = work.get(Thing, thing), Thing.make(thing)
        found.go()
        return work.record(found, other)

    with pytest.raises(Busy):
        go_with_another(office, act(key=key(b"go")))
    assert office.log.position() == 1
    assert office.log.answered(key(b"go")) is None


def test_what_is_unknown_is_not_found(office: Office) -> None:
    with pytest.raises(NotFound):
        Going()(office, act(), uuid4())


@pytest.mark.sqlite
def test_a_refusal_leaves_no_transaction_open_behind_it(office: Office, thing: UUID) -> None:
    def refuse(_: int) -> None:
        raise Unwilling("not now")

    with pytest.raises(Unwilling):
        Going(refuse)(office, act(), thing)
    lent = office.views.lend()
    lent.end()
    # A reader that hangs about would keep the journal from being emptied.
    with sqlite3.connect(office.views.place) as views:
        assert views.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


# Views that fail.


@pytest.mark.sqlite
def test_what_is_recorded_stays_so_when_the_views_fail_and_the_next_command_heals_them(
    office: Office, thing: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    def rename(before: str, after: str) -> None:
        done_to(office.views.place, f"ALTER TABLE {before} RENAME TO {after}")

    going = Going(lambda _: rename("test_things", "elsewhere"))
    with caplog.at_level(logging.ERROR):
        done = going(office, act(key=key(b"go")), thing)
    assert (done.version, done.position) == (2, office.log.position())
    assert steps(office) == [1]
    assert "the views could not catch up" in caplog.text
    assert office.views.position() == done.position - 1
    rename("elsewhere", "test_things")
    Going()(office, act(), thing)
    assert office.views.position() == office.log.position() == 3
    assert office.views.verify() == []


@pytest.mark.sqlite
def test_what_is_recorded_stays_so_when_the_views_are_destroyed(
    office: Office, thing: UUID, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    live = cast(Path, office.views.place).resolve()
    files = [live.with_name(f"{live.name}{suffix}") for suffix in ("", "-wal", "-shm")]

    def destroy(_: int) -> None:
        for file in files:
            file.write_bytes(b"\xff" * file.stat().st_size)

    with caplog.at_level(logging.ERROR):
        done = Going(destroy)(office, act(), thing)
    assert (done.version, office.log.position()) == (2, 2)
    assert "the views could not catch up" in caplog.text
    office.close()
    for file in files:
        file.unlink(missing_ok=True)
    again = Office(office.settings, (counting,), clock)
    assert again.views.position() == 2
    assert again.views.verify() == []
    again.close()
