"""Marks are answered once they are recorded; the views of a server come after them, and nobody notices.

The office of the tests has a follower that comes only when it is told to end.
"""

from __future__ import annotations

import threading
from time import sleep
from typing import Any

import pytest
from sqlalchemy import text

from domain.enrolment import WasPresent
from provider.bootstrap import bootstrap
from provider.commands import enrolments, registers
from provider.follower import Follower
from provider.office import Office
from provider.work import ENOUGH, Receipt, Work, command, quick_command
from tests.academy import Acting
from tests.classroom import Classroom, seated
from tests.conftest import Clock
from tests.provider.test_worker import caught_up, until
from tests.stage import Stage


@pytest.fixture
def stage() -> Stage[Classroom]:
    """Ada and Bob have a seat in a class that is about to begin."""
    return seated("Ada", "Bob")


def test_a_server_s_office_has_a_follower_and_another_catches_up_before_it_answers(
    office: Office, room: Classroom, clock: Clock
) -> None:
    serving = bootstrap(office.settings, clock, serving=True)
    assert isinstance(serving.follower, Follower)
    serving.close()
    office.follower = None
    room.mark(room.said("Ada"))
    assert caught_up(office)


def test_a_mark_is_answered_before_the_views_have_it(office: Office, room: Classroom) -> None:
    marked = room.mark(room.said("Ada"))
    assert marked.position == office.log.position()
    assert not caught_up(office)
    assert room.attendance()["Ada"] == "present"


@pytest.mark.parametrize(("kind", "fresh"), [(quick_command, False), (command, True)])
def test_a_mark_is_decided_by_the_views_that_let_its_request_in_and_all_else_by_the_newest(
    office: Office, room: Classroom, act: Acting, clock: Clock, monkeypatch: pytest.MonkeyPatch, kind: Any, fresh: bool
) -> None:
    seen: list[int] = []
    # However long the other takes on a busy machine: it is all one request.
    monkeypatch.setattr("provider.views.A_MOMENT", 60.0)

    def look(work: Work) -> Receipt:
        seen.append(work.office.views.position(work.read))
        return Receipt(work.office.institution, 1, None)

    let_in = office.views.lend()
    before = office.views.position(let_in)
    other = bootstrap(office.settings, clock)
    enrolments.withdraw(other, act(), enrolment=room.enrolment("Ada"), reason="ill")
    other.close()

    kind(look)(office, act())

    assert seen == [office.log.position() if fresh else before]
    assert not let_in.begun


def test_all_present_is_answered_before_the_views_have_it(office: Office, room: Classroom) -> None:
    room.all_present()
    assert not caught_up(office)


def test_the_views_have_a_whole_class_when_it_is_answered(office: Office, room: Classroom) -> None:
    for number in range(ENOUGH):
        room.people[f"Learner {number}"] = room.enrol(f"Learner {number}")
    room.mark(*(room.said(name) for name in room.people))
    assert caught_up(office)


def test_the_views_come_after_a_mark_by_themselves(office: Office, room: Classroom) -> None:
    office.follower = Follower(office.views)
    for name in ("Ada", "Bob"):
        room.mark(room.said(name))
        until(lambda: caught_up(office))
    assert set(room.attendance().values()) == {"present"}


def test_any_other_command_brings_the_views_to_the_marks_before_it(
    office: Office, room: Classroom, act: Acting
) -> None:
    room.mark(room.said("Ada"))
    enrolments.request(office, act(), course=room.course, given="Eve", family="Learner")
    assert caught_up(office)


def test_who_was_marked_a_moment_ago_is_no_no_show(office: Office, room: Classroom, act: Acting) -> None:
    room.mark(room.said("Ada"))
    with pytest.raises(WasPresent):
        enrolments.declare_no_show(office, act(), enrolment=room.enrolment("Ada"), reason="never_came")


def test_a_register_is_sealed_with_the_marks_of_a_moment_ago(office: Office, room: Classroom) -> None:
    room.all_present()
    assert not caught_up(office)
    room.clock.set(room.starts(1).replace(hour=20))
    room.seal()
    assert room.register()["sealed_version"] == 1


def test_a_note_on_an_amendment_of_a_moment_ago_is_under_the_learner_s_key(
    office: Office, room: Classroom, act: Acting
) -> None:
    room.all_present()
    room.clock.set(room.starts(1).replace(hour=20))
    room.seal()
    assert room.outcomes(room.said("Ada", "absent")) == ["amendment_requested"]
    assert not caught_up(office)
    registers.reject_amendment(
        office, act(), course=room.course, session=1, number=1, reason="unproven", note="She was ill."
    )
    (request,) = room.register()["amendments"]
    assert office.vault.open_one(request["decision_note"]) == "She was ill."
    office.keys.forget(room.people["Ada"])
    assert office.vault.open_one(request["decision_note"]) is None


@pytest.mark.sqlite
def test_whose_views_were_brought_on_by_another_server_a_moment_ago_gathers_on(
    office: Office, room: Classroom, clock: Clock
) -> None:
    room.mark(room.said("Ada"))
    other = bootstrap(office.settings, clock)
    room.mark(room.said("Bob"))
    assert not office.views.keep_up(office.log.position(), 60.0)
    assert not caught_up(office)
    other.views.catch_up()
    assert office.views.keep_up(office.log.position(), 60.0)
    other.close()


def test_who_gathers_follows_when_nobody_did_for_a_while(office: Office, room: Classroom) -> None:
    room.mark(room.said("Ada"))
    assert office.views.keep_up(office.log.position(), 0.0)
    assert caught_up(office)


def test_who_follows_leaves_those_alone_who_write_to_the_views(office: Office, room: Classroom) -> None:
    room.mark(room.said("Ada"))
    with office.views._turn:
        assert not office.views.keep_up(office.log.position(), 0.0)
    assert office.views.keep_up(office.log.position(), 0.0)
    assert caught_up(office)


def test_what_the_log_lost_is_not_waited_for(office: Office, room: Classroom) -> None:
    room.mark(room.said("Ada"))
    assert office.views.keep_up(office.log.position() + 1, 0.0)
    assert caught_up(office)


def test_the_views_come_to_the_marks_of_several_servers(office: Office, room: Classroom, clock: Clock) -> None:
    office.follower = Follower(office.views)
    other = bootstrap(office.settings, clock)
    follower = Follower(other.views)
    for _ in range(20):
        room.all_present()
        office.follower.tell(office.log.position())
        follower.tell(office.log.position())
        until(lambda: caught_up(office))
    follower.close()
    other.close()


def test_a_follower_can_be_closed_at_any_moment(office: Office, room: Classroom) -> None:
    for wait in range(200):
        follower = Follower(office.views, 0.001)
        follower.tell(office.log.position())
        # As long as the pause, so that it is closed when it begins or ends.
        sleep(0.0008 + wait * 0.000002)
        closing = threading.Thread(target=follower.close, daemon=True)
        closing.start()
        closing.join(10)
        assert not closing.is_alive()


def test_an_office_that_closes_leaves_the_views_at_the_marks(office: Office, room: Classroom) -> None:
    assert office.follower is not None
    room.mark(room.said("Ada"))
    office.follower.close()
    assert caught_up(office)


def test_a_follower_that_was_never_told_anything_ends(office: Office) -> None:
    Follower(office.views).close()


class NoThreads(Follower):
    """The follower of a system that starts no more threads."""

    def tell(self, position: int) -> None:
        raise RuntimeError("can't start new thread")


def test_a_mark_is_recorded_whatever_becomes_of_the_follower(
    office: Office, room: Classroom, caplog: pytest.LogCaptureFixture
) -> None:
    office.follower = NoThreads(office.views)
    assert room.mark(room.said("Ada")).position == office.log.position()
    assert "the views could not catch up" in caplog.text
    assert room.attendance()["Ada"] == "present"


def test_what_failed_is_logged_and_tried_again(
    office: Office, room: Classroom, caplog: pytest.LogCaptureFixture
) -> None:
    office.follower = Follower(office.views, again=0.05)
    with office.views.engine.connect() as connection:
        connection.execute(text("ALTER TABLE history_entries RENAME TO elsewhere"))
    room.mark(room.said("Ada"))
    until(lambda: "the views could not catch up" in caplog.text)
    with office.views.engine.connect() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO history_entries"))
    until(lambda: caught_up(office))
    assert room.attendance()["Ada"] == "present"
