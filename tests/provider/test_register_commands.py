"""Registers as commands on a real office: marks, the seal, amendments."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Table

from domain.course import Course, Role
from domain.credential import policy_named
from domain.enrolment import Enrolment, Standing
from domain.institution import Act as Signed
from domain.register import (
    AlreadyCountersigned,
    AlreadySealed,
    AttendanceRegister,
    LeadMustAttest,
    Marker,
    MarkRefused,
    NoConflict,
    NotAuthorisedThen,
    NotInConflict,
    NotSealed,
    NotSetAside,
    NotTheLead,
    OpenConflict,
    OwnAmendment,
    OwnCountersignature,
    SessionNotOver,
    Unmarked,
)
from domain.schedule import SessionPlan
from domain.trainer import Authority
from projections import directory, roster
from projections import registers as view
from provider.commands import courses, enrolments, registers, trainers
from provider.commands.courses import LocalSession, SessionSealed
from provider.commands.registers import SessionDropped
from provider.log import NotFound
from provider.office import Office
from provider.outage import ViewsIncomplete
from provider.views import Broken
from provider.work import Receipt, Stale
from tests.academy import SECOND, Acting, half_days
from tests.classroom import Classroom, seated
from tests.conftest import Clock
from tests.stage import Stage


@pytest.fixture
def stage() -> Stage[Classroom]:
    """Ada and Bob have a seat in a class that is about to begin."""
    return seated("Ada", "Bob")


def dispute(room: Classroom) -> tuple[UUID, UUID]:
    """Let the lead and the registrar disagree on Ada; return the marks, the standing one first."""
    first, second = room.said("Ada", "absent"), room.said("Ada", marked_at=room.clock() + timedelta(minutes=1))
    room.clock.move(minutes=2)
    room.mark(first)
    assert room.outcomes(second, by=room.act().by, registrar=True) == ["conflict"]
    return first.mark, second.mark


def amend(room: Classroom, name: str, status: str, by: UUID | None = None, **said: Any) -> Receipt:
    return registers.request_amendment(
        room.office,
        room.act(by=by) if by else room.act(),
        course=room.course,
        session=1,
        mark=room.said(name, status),
        reason="sheet_misread",
        registrar=by is None,
        **said,
    )


def approve(room: Classroom, number: int, by: UUID | None = None) -> Receipt:
    act = room.act(by=by) if by else room.act()
    return registers.approve_amendment(room.office, act, course=room.course, session=1, number=number)


class TestMarks:
    def test_the_first_mark_opens_the_register(self, room: Classroom) -> None:
        done = room.mark(room.said("Ada"))
        assert [each.outcome for each in done.results] == ["applied"]
        assert done.id == AttendanceRegister.create_id(room.course, 1)
        assert done.version == 2
        assert room.attendance() == {"Ada": "present", "Bob": "unmarked"}

    def test_a_known_mark_is_answered_again_and_recorded_once(self, room: Classroom) -> None:
        mark = room.said("Ada")
        first = room.mark(mark)
        again = room.mark(mark)
        assert [each.outcome for each in again.results] == ["duplicate"]
        assert (again.version, again.position) == (first.version, None)

    def test_a_register_is_not_opened_for_marks_that_are_all_refused(self, room: Classroom) -> None:
        before = room.office.log.position()
        done = room.mark(room.said("Ada", "late"))
        assert [each.code for each in done.results] == ["late_needs_minutes"]
        assert (done.version, done.position) == (0, None)
        assert room.office.log.position() == before

    def test_a_refused_mark_does_not_hold_up_the_others(self, room: Classroom) -> None:
        assert room.outcomes(room.said("Ada", "late"), room.said("Bob")) == ["rejected", "applied"]
        assert room.attendance() == {"Ada": "unmarked", "Bob": "present"}

    def test_who_was_never_enrolled_is_refused_and_can_be_sent_again_once_they_are(
        self, room: Classroom, act: Acting
    ) -> None:
        room.people["Wally"] = uuid4()
        mark = room.said("Wally")
        (result,) = room.mark(mark).results
        assert (result.outcome, result.code) == ("rejected", "not_enrolled")
        enrolments.admit_walk_in(
            room.office, act(by=room.lead), course=room.course, person=mark.person, session=1, given="Wally"
        )
        assert room.outcomes(mark) == ["applied"]

    def test_the_mark_of_somebody_who_withdrew_waits_for_the_registrar(self, room: Classroom, act: Acting) -> None:
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Ada"), reason="ill")
        mark = room.said("Ada")
        assert room.outcomes(mark, room.said("Bob")) == ["task", "applied"]
        waiting = room.register()["set_aside"]
        assert [(each["mark"], each["person"]) for each in waiting] == [(str(mark.mark), str(mark.person))]

        said: dict[str, Any] = {"course": room.course, "session": 1, "mark": mark.mark, "reason": "was_there"}
        registers.admit_set_aside(room.office, act(), **said, note="She came after all.")
        assert room.attendance()["Ada"] == "present"
        assert room.register()["set_aside"] == []
        with pytest.raises(NotSetAside):
            registers.dismiss_set_aside(room.office, act(), **said)

    def test_a_mark_that_was_set_aside_can_be_left_out(self, room: Classroom, act: Acting) -> None:
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Ada"), reason="ill")
        mark = room.said("Ada")
        room.mark(mark)
        registers.dismiss_set_aside(
            room.office, act(), course=room.course, session=1, mark=mark.mark, reason="mistaken"
        )
        assert room.register()["set_aside"] == []
        assert "Ada" not in room.attendance()

    def test_the_note_on_a_mark_is_under_the_learners_key(self, room: Classroom, act: Acting) -> None:
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Ada"), reason="ill")
        mark = room.said("Ada")
        room.mark(mark)
        registers.dismiss_set_aside(
            room.office, act(), course=room.course, session=1, mark=mark.mark, reason="mistaken", note="Not her."
        )
        room.office.keys.forget(room.people["Ada"])
        last = room.office.log.entries.page(room.office.log.position() - 1, 1)[0]
        event, _ = room.office.log.mapper.read(*last[1:])
        assert room.office.vault.open_one(event.note) is None

    def test_there_is_no_register_of_a_session_that_was_never_planned(self, room: Classroom) -> None:
        for session in (0, 5):
            with pytest.raises(NotFound):
                room.mark(room.said("Ada"), session=session)

    def test_nobody_can_have_been_at_a_session_that_was_cancelled(self, room: Classroom, act: Acting) -> None:
        courses.cancel_session(room.office, act(), course=room.course, session=4, reason="strike")
        with pytest.raises(SessionDropped):
            room.mark(room.said("Ada"), session=4)

    def test_batches_of_two_devices_in_any_order_and_number_give_the_same_register(
        self, office: Office, act: Acting, clock: Clock
    ) -> None:
        room = Classroom(office, act, clock, *"ABCDE")
        co_trainer = room.academy.trainer("Carl")
        room.academy.assign(room.course, co_trainer, Role.CO_TRAINER)
        devices = {room.lead: uuid4(), co_trainer: uuid4()}
        chance = random.Random(7)
        sent = []
        for session in (1, 2):
            for author, device in devices.items():
                marks = [
                    room.said(name, chance.choice(["present", "absent"]), session, device=device, seq=seq)
                    for seq, name in enumerate(chance.choices("ABCDE", k=12))
                ]
                sent += [(session, author, marks[i : i + 4]) for i in range(0, 12, 4)]
        clock.set(room.starts(2) + timedelta(minutes=5))
        seen = []
        for session in (1, 2):
            mine = [each for each in sent if each[0] == session] * 3
            chance.shuffle(mine)
            with ThreadPoolExecutor(4) as threads:
                list(threads.map(lambda each: room.mark(*each[2], session=each[0], by=each[1]), mine))
            seen.append(room.attendance(session))
            register = office.log.get(AttendanceRegister, AttendanceRegister.create_id(room.course, session))
            assert register.version == 1 + 24
            expected = {n: register.standing_of(p) for n, p in room.people.items()}
            assert seen[-1] == {n: s.mark.status if s.mark else "unmarked" for n, s in expected.items()}
            disputed = {row["person"] for row in room.register(session)["learners"] if row["conflict"]}
            assert disputed == {str(room.people[n]) for n, s in expected.items() if s.conflict}
        assert office.views.verify() == []


def test_a_candidate_approves_no_amendment(room: Classroom) -> None:
    candidate = room.academy.trainer("Cora", Authority.CANDIDATE)
    room.academy.assign(room.course, candidate, Role.CO_TRAINER)
    room.mark(*(room.said(name) for name in room.people))
    room.seal()
    amend(room, "Ada", "absent")
    with pytest.raises(registers.CandidateSealsNot):
        registers.approve_amendment(room.office, room.act(by=candidate), course=room.course, session=1, number=1)


class TestAuthority:
    def authority(self, room: Classroom, by: UUID, **said: Any) -> str | None:
        """Return as what somebody's mark was recorded, or why it was not."""
        mark = room.said("Ada", **said)
        (result,) = room.mark(mark, by=by).results
        if result.code:
            return result.code
        register = room.office.log.get(AttendanceRegister, AttendanceRegister.create_id(room.course, 1))
        return register._known[mark.mark].authority.value

    def test_a_trainer_marks_as_what_they_are_on_the_course(self, room: Classroom) -> None:
        co_trainer, candidate = room.academy.trainer("Carl"), room.academy.trainer("Cora", Authority.CANDIDATE)
        for each in (co_trainer, candidate):
            room.academy.assign(room.course, each, Role.CO_TRAINER)
        said = [self.authority(room, each) for each in (room.lead, co_trainer, candidate)]
        assert said == [Marker.LEAD, Marker.CO_TRAINER, Marker.CANDIDATE]

    def test_a_trainer_of_another_course_has_none(self, room: Classroom) -> None:
        assert self.authority(room, room.academy.trainer("Otto")) == "not_authorised_then"

    def test_a_registrar_marks_where_they_may(self, room: Classroom) -> None:
        by = room.act().by
        assert room.outcomes(room.said("Ada"), by=by) == ["rejected"]
        assert room.outcomes(room.said("Ada"), by=by, registrar=True) == ["applied"]

    def test_it_is_judged_when_the_mark_was_made(self, room: Classroom, act: Acting) -> None:
        room.clock.set(room.starts(1) + timedelta(hours=1))
        room.replace_lead("Nora")
        before = room.starts(1) + timedelta(minutes=59)
        assert self.authority(room, room.lead, marked_at=before) == "lead"
        room.clock.move(hours=1)
        assert self.authority(room, room.lead, marked_at=before + timedelta(minutes=30)) == "not_authorised_then"

    def test_an_authorisation_that_has_ended_by_the_local_date_gives_none(
        self, room: Classroom, act: Acting, clock: Clock
    ) -> None:
        trainers.end_authorisation(room.office, act(), person=room.lead, number=1, on=SECOND, reason="lapsed")
        assert self.authority(room, room.lead) == "lead"
        clock.set(room.starts(3))
        assert self.authority(room, room.lead, marked_at=clock()) == "not_authorised_then"

    def test_a_clock_that_is_off_is_flagged(self, room: Classroom) -> None:
        ahead = room.clock() + timedelta(minutes=20)
        room.mark(room.said("Ada", marked_at=ahead), sent_at=ahead)
        assert room.register()["learners"][0]["mark"]["skewed"] is True


class TestAllPresent:
    def test_marks_those_with_a_seat_who_have_no_mark_yet(self, room: Classroom) -> None:
        room.mark(room.said("Bob", "absent"))
        room.people["Cyd"] = room.enrol("Cyd")
        done = room.all_present(room.said("Cyd", "late", late_minutes=5))
        assert [each.outcome for each in done.results] == ["applied", "applied"]
        assert room.attendance() == {"Ada": "present", "Bob": "absent", "Cyd": "late"}

    def test_said_again_changes_nothing(self, room: Classroom) -> None:
        exception = room.said("Bob", "absent")
        done = room.all_present(exception)
        room.clock.move(minutes=1)
        again = room.all_present(exception)
        assert (again.version, again.position) == (done.version, None)

    def test_is_all_or_nothing(self, room: Classroom) -> None:
        with pytest.raises(MarkRefused) as refusal:
            room.all_present(room.said("Bob", "late"))
        assert refusal.value.field == "except/0"
        assert room.attendance() == {"Ada": "unmarked", "Bob": "unmarked"}

    def test_needs_authority(self, room: Classroom, act: Acting) -> None:
        with pytest.raises(NotAuthorisedThen):
            registers.mark_all_present(room.office, act(by=room.academy.trainer("Otto")), course=room.course, session=1)

    def test_is_an_amendment_after_the_seal(self, room: Classroom) -> None:
        room.all_present()
        room.seal()
        with pytest.raises(AlreadySealed):
            room.all_present()


class TestConflict:
    def test_the_lead_chooses_which_mark_stands(self, room: Classroom, act: Acting) -> None:
        first, second = dispute(room)
        assert room.attendance()["Ada"] == "absent"
        said: dict[str, Any] = {"course": room.course, "session": 1, "person": room.people["Ada"], "reason": "seen"}
        with pytest.raises(NotTheLead):
            registers.resolve_conflict(room.office, act(), mark=second, **said)
        with pytest.raises(NotInConflict):
            registers.resolve_conflict(room.office, act(by=room.lead), mark=uuid4(), **said)
        registers.resolve_conflict(room.office, act(by=room.lead), mark=second, note="I saw her.", **said)
        assert room.attendance()["Ada"] == "present"
        assert not room.register()["learners"][0]["conflict"]
        with pytest.raises(NoConflict):
            registers.resolve_conflict(room.office, act(by=room.lead), mark=first, **said)
        assert room.office.views.verify() == []

    def test_blocks_the_seal(self, room: Classroom) -> None:
        dispute(room)
        room.mark(room.said("Bob"))
        with pytest.raises(OpenConflict) as refusal:
            room.seal()
        assert refusal.value.people == (room.people["Ada"],)


class TestSeal:
    def test_waits_for_the_end_of_the_session_as_it_was_held(self, room: Classroom) -> None:
        ended = room.starts(1) + timedelta(hours=2)
        room.clock.set(ended)
        room.all_present()
        sealing = {"course": room.course, "session": 1, "attestation": "I was there."}
        with pytest.raises(SessionNotOver, match="record first how it was held"):
            registers.seal(room.office, room.act(by=room.lead), **sealing)
        courses.hold_session(
            room.office,
            room.act(),
            course=room.course,
            session=1,
            ended=ended,
            contact_minutes=100,
            reason="fire_alarm",
        )
        assert registers.seal(room.office, room.act(by=room.lead), **sealing).version

    def test_needs_a_mark_of_everybody_with_a_seat(self, room: Classroom) -> None:
        with pytest.raises(Unmarked) as refusal:
            room.seal()
        assert set(refusal.value.people) == set(room.people.values())

    def test_whoever_left_needs_none(self, room: Classroom, act: Acting) -> None:
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Ada"), reason="ill")
        room.mark(room.said("Bob"))
        room.seal()
        (version,) = room.register()["sealed_versions"]
        assert [each["person"] for each in version["marks"]] == [str(room.people["Bob"])]

    def test_is_the_leads(self, room: Classroom, act: Acting) -> None:
        room.all_present()
        co_trainer = room.academy.trainer("Carl")
        room.academy.assign(room.course, co_trainer, Role.CO_TRAINER)
        for by in (co_trainer, act().by):
            with pytest.raises(NotTheLead):
                room.seal(by=by)

    def test_is_that_of_whoever_led_then(self, room: Classroom, act: Acting) -> None:
        room.all_present()
        room.clock.set(room.starts(2))
        other = room.replace_lead("Nora")
        with pytest.raises(NotTheLead):
            room.seal(by=other)
        room.seal()
        assert room.register()["lead"] == str(room.lead)
        assert room.register(3)["lead"] == str(other)

    def test_if_match_names_the_version_that_the_lead_has_seen(self, room: Classroom) -> None:
        with pytest.raises(Stale):
            room.seal(version=1)
        with pytest.raises(Unmarked):
            room.seal(version=0)
        seen = room.all_present()
        with pytest.raises(Stale):
            room.seal(version=0)
        room.seal(version=seen.version)

    def test_a_version_has_a_second_signature_by_somebody_else(self, room: Classroom, act: Acting) -> None:
        said: dict[str, Any] = {"course": room.course, "session": 1, "sealed_version": 1}
        room.all_present()
        with pytest.raises(NotSealed):
            registers.countersign(room.office, act(), **said)
        room.seal()
        with pytest.raises(OwnCountersignature):
            registers.countersign(room.office, act(by=room.lead), **said)
        registers.countersign(room.office, act(), **said)
        with pytest.raises(AlreadyCountersigned):
            registers.countersign(room.office, act(), **said)
        (version,) = room.register()["sealed_versions"]
        assert version["countersigned_by"] == str(act().by)


class TestAmendments:
    @pytest.fixture
    def sealed(self, room: Classroom) -> Classroom:
        room.all_present(room.said("Bob", "absent"))
        room.seal()
        return room

    def test_only_of_what_is_sealed(self, room: Classroom) -> None:
        with pytest.raises(NotSealed):
            amend(room, "Ada", "absent")

    def test_takes_two_and_makes_a_new_version(self, sealed: Classroom) -> None:
        done = amend(sealed, "Ada", "absent", note="Signed by her neighbour.")
        assert done.ids == ("1",)
        with pytest.raises(OwnAmendment):
            approve(sealed, 1)
        assert sealed.attendance()["Ada"] == "present"
        approved = approve(sealed, 1, by=sealed.lead)
        assert approved.ids == ("2",)
        assert sealed.attendance() == {"Ada": "absent", "Bob": "absent"}
        first, second = sealed.register()["sealed_versions"]
        assert [each["status"] for each in first["marks"] if each["person"] == str(sealed.people["Ada"])] == ["present"]
        assert (second["amendment"], second["solo"], second["sealed_by"]) == (1, False, str(sealed.lead))
        assert sealed.office.views.verify() == []

    def test_one_is_enough_where_the_institution_works_solo(self, sealed: Classroom) -> None:
        sealed.solo(Signed.AMENDMENT)
        amend(sealed, "Ada", "absent")
        approve(sealed, 1)
        assert sealed.register()["sealed_versions"][1]["solo"] is True

    def test_to_become_present_takes_the_lead(self, sealed: Classroom, person: Callable[..., UUID]) -> None:
        amend(sealed, "Bob", "present")
        with pytest.raises(LeadMustAttest):
            approve(sealed, 1, by=person("Rita", "Registrar"))
        approve(sealed, 1, by=sealed.lead)
        assert sealed.attendance()["Bob"] == "present"

    def test_a_mark_after_the_seal_becomes_one_flagged_late(self, sealed: Classroom) -> None:
        assert sealed.outcomes(sealed.said("Bob")) == ["amendment_requested"]
        (request,) = sealed.register()["amendments"]
        assert (request["late"], request["state"], request["mark"]["status"]) == (True, "pending", "present")

    def test_can_be_rejected(self, sealed: Classroom, act: Acting) -> None:
        amend(sealed, "Ada", "absent")
        registers.reject_amendment(
            sealed.office, act(), course=sealed.course, session=1, number=1, reason="unproven", note="No sheet."
        )
        (request,) = sealed.register()["amendments"]
        assert (request["state"], request["decision_reason"]) == ("rejected", "unproven")
        assert sealed.office.vault.open_one(request["decision_note"]) == "No sheet."
        assert sealed.attendance()["Ada"] == "present"


def test_every_command_names_the_session_it_misses(room: Classroom, act: Acting) -> None:
    said: dict[str, Any] = {"course": uuid4(), "session": 1}
    with pytest.raises(NotFound):
        registers.seal(room.office, act(), attestation="I was there.", **said)
    with pytest.raises(NotFound):
        registers.countersign(room.office, act(), sealed_version=1, **said)
    with pytest.raises(NotFound):
        registers.approve_amendment(room.office, act(), number=1, **said)
    with pytest.raises(NotFound):
        registers.mark_all_present(room.office, act(), **said)


def test_marks_never_follow_the_seat_to_a_substitute(room: Classroom, act: Acting) -> None:
    room.all_present()
    done = enrolments.substitute(
        room.office, act(), enrolment=room.enrolment("Ada"), reason="ill", given="Eve", family="Else"
    )
    room.people["Eve"] = UUID(done.ids[1])
    assert UUID(done.ids[0]) == Enrolment.create_id(room.course, room.people["Eve"])
    assert room.attendance() == {"Ada": "present", "Bob": "present", "Eve": "unmarked"}


def test_a_session_that_moves_is_marked_at_its_new_time(room: Classroom, act: Acting) -> None:
    moved = half_days(date(2026, 6, 8), date(2026, 6, 9))
    courses.reschedule(
        room.office,
        act(),
        course=room.course,
        sessions=[type(each)(**{**vars(each), "number": n}) for n, each in enumerate(moved, start=1)],
        reason="strike",
    )
    (result,) = room.mark(room.said("Ada", marked_at=room.clock())).results
    assert result.code == "too_early"
    room.clock.set(room.starts(1) + timedelta(minutes=5))
    assert room.outcomes(room.said("Ada")) == ["applied"]


def test_a_session_stays_where_its_register_was_sealed(room: Classroom, office: Office, act: Acting) -> None:
    room.all_present()
    room.seal()
    before = office.log.position()
    moved = [LocalSession(day=date(2026, 7, 1), start="09:00", end="17:00", number=1)]
    for sessions in (moved, half_days(date(2026, 7, 1), date(2026, 7, 2))):
        with pytest.raises(SessionSealed, match="session 1"):
            courses.reschedule(office, act(), course=room.course, sessions=sessions, reason="moved")
    with pytest.raises(SessionSealed):
        courses.cancel_session(office, act(), course=room.course, session=1, reason="moved")
    assert office.log.position() == before
    courses.cancel_session(office, act(), course=room.course, session=4, reason="ill")


Losing = Callable[[Table, str], None]


class TestViewsWithHoles:
    """A damaged file of the views may miss rows without an error; the log has them, and nobody is refused for it."""

    @pytest.fixture
    def lost(self, room: Classroom) -> Losing:
        def lose(table: Table, name: str) -> None:
            person = room.lead if name == "the lead" else room.people[name]
            with room.office.views.engine.connect() as connection:
                assert connection.execute(table.delete().where(table.c.person == str(person))).rowcount > 0
            # What this process had read before, it knows.
            room.office.views.close()

        return lose

    @contextmanager
    def undecided(self, room: Classroom) -> Iterator[None]:
        before = room.office.log.position()
        with pytest.raises(ViewsIncomplete, match="views rebuild"):
            yield
        assert room.office.log.position() == before

    @pytest.fixture(autouse=True)
    def they_are_at_the_end_afterwards(self, room: Classroom) -> Iterator[None]:
        yield
        with room.reading() as read:
            assert room.office.views.position(read) == room.office.log.position()

    @pytest.mark.parametrize("names", [("Bob",), ("Ada", "Bob")])
    def test_whoever_they_lost_is_not_refused(self, room: Classroom, lost: Losing, names: tuple[str, ...]) -> None:
        lost(view.learners, "Bob")
        with self.undecided(room):
            room.mark(*(room.said(name) for name in names))
        room.office.views.rebuild()
        assert room.outcomes(*(room.said(name) for name in names)) == ["applied" for _ in names]

    @pytest.mark.sqlite
    def test_who_had_read_of_them_before_goes_on(self, room: Classroom) -> None:
        room.mark(room.said("Ada"))
        with room.office.views.engine.connect() as connection:
            connection.execute(view.learners.delete())
        assert room.outcomes(room.said("Bob")) == ["applied"]
        room.office.views.rebuild()
        assert room.attendance() == {"Ada": "present", "Bob": "present"}

    def test_all_are_all(self, room: Classroom, act: Acting, lost: Losing) -> None:
        lost(view.learners, "Bob")
        with self.undecided(room):
            room.all_present()
        room.office.views.rebuild()
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Bob"), reason="ill")
        lost(view.learners, "Bob")
        with self.undecided(room):
            room.all_present(room.said("Bob"))

    def test_a_register_is_not_sealed_without_them(self, room: Classroom, lost: Losing) -> None:
        room.mark(room.said("Ada"))
        lost(view.learners, "Bob")
        with self.undecided(room):
            room.seal()

    def test_an_amendment_is_about_them(self, room: Classroom, lost: Losing) -> None:
        room.all_present()
        room.seal()
        room.people["Cleo"] = room.enrol("Cleo")
        lost(view.learners, "Cleo")
        with self.undecided(room):
            amend(room, "Cleo", "absent")

    def test_a_trainer_whom_they_lost_still_has_authority(self, room: Classroom, lost: Losing) -> None:
        room.all_present()
        room.seal()
        amend(room, "Ada", "absent")
        lost(view.trainers, "the lead")
        with self.undecided(room):
            room.mark(room.said("Ada"))
        with self.undecided(room):
            approve(room, 1, by=room.lead)
        room.office.views.rebuild()
        approve(room, 1, by=room.lead)

    def test_nobody_is_told_that_a_session_they_lost_is_none(self, room: Classroom, act: Acting) -> None:
        courses.cancel_session(room.office, act(), course=room.course, session=4, reason="strike")
        with room.office.views.engine.connect() as connection:
            connection.execute(view.sessions.delete())
        room.office.views.close()
        for session in (1, 4):
            with self.undecided(room):
                room.mark(room.said("Ada"), session=session)
        with pytest.raises(NotFound):
            room.mark(room.said("Ada"), session=5)

    def test_views_that_cannot_follow_say_so(self, room: Classroom, lost: Losing) -> None:
        lost(roster.enrolments, "Ada")
        assert room.outcomes(room.said("Ada")) == ["applied"]
        with pytest.raises(Broken, match="roster_enrolments has no row for"):
            room.office.views.catch_up()
        room.office.views.rebuild()
        assert room.attendance() == {"Ada": "present", "Bob": "unmarked"}

    def test_views_that_are_only_behind_catch_up(self, room: Classroom) -> None:
        longer = room.office.log.get(Course, room.course)
        last = longer.planned[4]
        plan = SessionPlan(
            starts=last.starts + timedelta(hours=5),
            ends=last.ends + timedelta(hours=5),
            zone=last.zone,
            contact_minutes=180,
        )
        with room.reading() as read:
            policy = policy_named(
                directory.policies(read), body=longer.body, code=longer.code, version=longer.policy_version
            )
        number = longer.add_session(plan=plan, policy=policy, reason="ill", by=room.lead, at=room.clock())
        room.office.log.record(longer, asked={})
        mark = room.said("Ada", session=number)
        room.clock.set(mark.marked_at)
        assert room.outcomes(mark, session=number) == ["applied"]

    def test_whoever_was_enrolled_a_moment_ago_is_marked(self, room: Classroom) -> None:
        room.people["Cleo"] = uuid4()
        said: Any = {"by": room.lead, "at": room.clock()}
        enrolment = Enrolment.request(
            course=room.course, person=room.people["Cleo"], standing=Standing.CONFIRMED, **said
        )
        room.office.log.record(enrolment, asked={})
        assert room.outcomes(room.said("Cleo")) == ["applied"]
