"""The view of the registers: what it answers after which events, now and then."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.course import Role
from domain.register import AttendanceRegister, Marker
from domain.trainer import Authority
from projections import registers as view
from provider.commands import courses, enrolments, registers, trainers
from provider.office import Office
from tests.academy import SECOND, Acting, half_days
from tests.classroom import Classroom, seated
from tests.conftest import Clock
from tests.stage import Stage


@pytest.fixture
def stage() -> Stage[Classroom]:
    """Ada and Bob have a seat in a class that is about to begin."""
    return seated("Ada", "Bob")


def half(room: Classroom, person: UUID, session: int = 1) -> view.Half:
    with room.office.views.reading() as read:
        found = view.half(read, room.course, session, person)
    assert found is not None
    return found


class TestWhoMayMark:
    def test_follows_the_appointments_as_the_course_itself_does(self, room: Classroom, act: Acting) -> None:
        carl = room.academy.trainer("Carl")
        room.academy.assign(room.course, carl, Role.CO_TRAINER)
        room.clock.move(hours=1)
        nora = room.replace_lead("Nora")
        room.clock.move(hours=1)
        courses.release_trainer(room.office, act(), course=room.course, person=carl, reason="ill")
        course = room.office.log.get(courses.Course, room.course)
        for hours in range(-100, 100, 7):
            moment = room.starts(1) + timedelta(minutes=30 * hours)
            for person in (room.lead, carl, nora):
                role = course.role_of(person, on=moment)
                expected = {Role.LEAD: Marker.LEAD, Role.CO_TRAINER: Marker.CO_TRAINER, None: None}[role]
                assert half(room, person).marker_at(moment) is expected

    def test_needs_an_authorisation_on_the_local_date(self, room: Classroom, act: Acting) -> None:
        trainers.end_authorisation(room.office, act(), person=room.lead, number=1, on=SECOND, reason="lapsed")
        # Midnight in Zurich is 22:00 in UTC.
        last = datetime.fromisoformat("2026-06-01T21:59:59Z")
        assert half(room, room.lead).marker_at(last) is Marker.LEAD
        assert half(room, room.lead).marker_at(last + timedelta(seconds=1)) is None
        room.academy.authorise(room.lead, Authority.CANDIDATE)
        assert half(room, room.lead).marker_at(last + timedelta(seconds=1)) is Marker.CANDIDATE
        assert half(room, room.lead).marker_at(last) is Marker.LEAD

    def test_needs_one_for_this_credential(self, room: Classroom) -> None:
        other = room.academy.trainer("Cora", code="CSM")
        assert half(room, other).authorisations
        assert half(room, other).marker_at(room.clock()) is None

    def test_knows_nothing_of_a_session_that_was_never_planned(self, room: Classroom) -> None:
        with room.office.views.reading() as read:
            assert view.half(read, room.course, 5, room.lead) is None
            assert view.half(read, uuid4(), 1, room.lead) is None

    def test_reaches_to_the_actual_times_of_a_session(self, room: Classroom, act: Acting) -> None:
        starts = room.starts(1)
        planned = half(room, room.lead)
        courses.hold_session(
            room.office,
            act(by=room.lead, now=planned.ends + timedelta(hours=1)),
            course=room.course,
            session=1,
            started=starts + timedelta(minutes=10),
            ended=planned.ends + timedelta(minutes=20),
            trainers=[room.lead],
            contact_minutes=210,
        )
        held = half(room, room.lead)
        assert (held.starts, held.ends) == (starts, planned.ends + timedelta(minutes=20))


class TestClass:
    def test_tells_who_has_a_seat_from_who_has_none_now(self, room: Classroom, act: Acting) -> None:
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Bob"), reason="ill")
        ada, bob = room.people["Ada"], room.people["Bob"]
        with room.office.views.reading() as read:
            assert view.class_of(read, room.course) == ({ada}, {bob})

    def test_counts_a_seat_from_the_queue_and_one_taken_again(self, office: Office, act: Acting, clock: Clock) -> None:
        room = Classroom(office, act, clock, "Ada", "Bob", seats=1)
        with office.views.reading() as read:
            assert view.class_of(read, room.course)[0] == {room.people["Ada"]}
        enrolments.withdraw(office, act(), enrolment=room.enrolment("Ada"), reason="ill")
        enrolments.confirm(office, act(), enrolment=room.enrolment("Bob"))
        with office.views.reading() as read:
            assert view.class_of(read, room.course)[0] == {room.people["Bob"]}


class TestRegister:
    def test_is_there_before_anybody_opened_it(self, room: Classroom) -> None:
        found = room.register()
        assert found["register"] == str(AttendanceRegister.create_id(room.course, 1))
        assert (found["sealed_version"], found["cancelled"]) == (0, False)
        assert [row["person"] for row in found["learners"]] == [str(each) for each in room.people.values()]
        assert {row["status"] for row in found["learners"]} == {"unmarked"}

    def test_is_none_where_there_is_no_session(self, room: Classroom) -> None:
        with room.office.views.reading() as read:
            assert view.register(read, room.course, 5) is None
            assert view.register(read, uuid4(), 1) is None

    def test_shows_all_marks_of_a_learner_and_which_one_holds(self, room: Classroom) -> None:
        device = uuid4()
        early = room.said("Ada", "absent", device=device, seq=1)
        late = room.said("Ada", "late", late_minutes=9, device=device, seq=2)
        room.mark(late)
        room.mark(early)
        ada = room.register()["learners"][0]
        assert [each["mark"] for each in ada["marks"]] == [str(late.mark), str(early.mark)]
        assert (ada["mark"]["mark"], ada["status"], ada["conflict"]) == (str(late.mark), "late", False)

    def test_is_as_it_was_at_a_position(self, room: Classroom, act: Acting) -> None:
        opened = room.mark(room.said("Ada", "absent")).position
        room.all_present()
        room.seal()
        sealed = room.office.log.position()
        registers.request_amendment(
            room.office,
            act(),
            course=room.course,
            session=1,
            mark=room.said("Ada"),
            reason="sheet_misread",
            registrar=True,
        )
        registers.approve_amendment(room.office, act(by=room.lead), course=room.course, session=1, number=1)
        assert room.attendance(at=opened) == {"Ada": "absent", "Bob": "unmarked"}
        assert room.attendance(at=sealed) == {"Ada": "absent", "Bob": "present"}
        assert room.register(at=sealed)["amendments"] == []
        assert room.attendance() == {"Ada": "present", "Bob": "present"}
        assert [each["sealed_version"] for each in room.register()["sealed_versions"]] == [1, 2]

    def test_of_a_dropped_session_says_so(self, room: Classroom, act: Acting) -> None:
        moved = half_days(date(2026, 6, 8))
        courses.reschedule(
            room.office,
            act(),
            course=room.course,
            sessions=[type(each)(**{**vars(each), "number": n}) for n, each in enumerate(moved, start=1)],
            reason="strike",
            note="Two days less.",
        )
        assert [room.register(session)["cancelled"] for session in (1, 2, 3, 4)] == [False, False, True, True]
        assert room.register(1)["starts"] == "2026-06-08T07:00:00.000000Z"


def test_a_rebuild_gives_the_same_rows(room: Classroom, act: Acting) -> None:
    room.teach(("Bob", "absent", 2))
    enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Bob"), reason="ill")
    room.outcomes(room.said("Bob"))
    before = [room.register(session) for session in (1, 2, 3, 4)]
    room.office.views.rebuild()
    assert [room.register(session) for session in (1, 2, 3, 4)] == before
    assert room.office.views.verify() == []
