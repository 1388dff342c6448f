"""Courses are planned, staffed, run, called off and closed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.course import (
    Capacity,
    Course,
    CourseStage,
    CourseUnfinished,
    LeadAlreadyAssigned,
    LeadNeeded,
    NotOnTheCourse,
    Role,
    SessionAlreadyHeld,
    SessionsNotHeld,
    Stage,
    WarningNeedsReason,
)
from domain.credential import NoPolicyInForce, UnknownCredential
from domain.enrolment import Enrolment
from domain.institution import NotRegistered
from domain.schedule import AmbiguousTime, NonexistentTime, SessionLength, SessionsOverlap, UnknownZone
from domain.trainer import Authority, DoubleBooked, NotAuthorised, Trainer
from provider.commands import courses, enrolments, trainers
from provider.commands.courses import HeldInFuture, LocalSession, UnknownTrainer
from provider.log import NotFound
from provider.office import Office
from provider.work import Act, Stale
from tests.academy import FIRST, SECOND, Academy, half_days
from tests.conftest import Clock

Acting = Callable[..., Act]
THIRD = date(2026, 6, 3)


@pytest.fixture
def academy(office: Office, act: Acting) -> Academy:
    return Academy(office, act)


def slots_of(office: Office, person: UUID, course: UUID) -> list[int]:
    booking = office.log.get(Trainer, Trainer.create_id(person)).bookings.get(course)
    return [] if booking is None else [slot.session for slot in booking.slots]


def test_a_course_is_drafted_by_the_rules_of_its_first_day(academy: Academy, office: Office, act: Acting) -> None:
    said: dict[str, Any] = {"title": "CSPO", "body": "SA", "code": "CSPO", "format": "in_person"}
    now = courses.draft(office, act(), **said).id
    then = courses.draft(office, act(), first_day=date(2025, 11, 3), **said).id
    assert academy.shown(now)["policy_version"] == "2026-01"
    assert academy.shown(then)["policy_version"] == "2025-01"
    with pytest.raises(NoPolicyInForce):
        courses.draft(office, act(), first_day=date(2001, 1, 1), **said)
    with pytest.raises(UnknownCredential):
        courses.draft(office, act(), **{**said, "code": "NONE"})


def test_local_times_become_utc_in_the_zone_of_the_institution_or_their_own(academy: Academy) -> None:
    course = academy.scheduled(
        [
            *half_days(FIRST),
            LocalSession(day=SECOND, start="09:00", end="12:30", zone="America/New_York", contact_minutes=210),
            LocalSession(day=THIRD, start="09:00", end="12:30"),
        ]
    )
    sessions = academy.shown(course)["sessions"]
    assert [(each["starts"][:16], each["zone"]) for each in sessions] == [
        ("2026-06-01T07:00", "Europe/Zurich"),
        ("2026-06-01T11:30", "Europe/Zurich"),
        ("2026-06-02T13:00", "America/New_York"),
        ("2026-06-03T07:00", "Europe/Zurich"),
    ]
    assert sessions[3]["contact_minutes"] == 210


def test_a_plan_that_warns_needs_a_reason(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.draft()
    short = half_days(FIRST)
    with pytest.raises(WarningNeedsReason) as refused:
        courses.schedule(office, act(), course=course, sessions=short)
    assert "contact_minutes_below_policy" in str(refused.value)
    receipt = courses.schedule(office, act(), course=course, sessions=short, reason="third_day_online", note="See mail")
    assert receipt.outcome == "warned"
    shown = academy.shown(course)
    assert shown["warnings"] == ["contact_minutes_below_policy", "scheduled_minutes_below_policy"]
    assert shown["warnings_reason"] == "third_day_online"


def test_the_clocks_may_skip_or_repeat_a_time(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.draft()

    def planned(day: date, start: str, end: str, **said: Any) -> list[LocalSession]:
        return [*half_days(date(2026, 10, 5), date(2026, 10, 6)), LocalSession(day=day, start=start, end=end, **said)]

    def schedule(sessions: list[LocalSession]) -> None:
        courses.schedule(office, act(), course=course, sessions=sessions, reason="test")

    with pytest.raises(NonexistentTime) as skipped:
        schedule(planned(date(2026, 3, 29), "02:30", "05:00"))
    assert skipped.value.field == "sessions/4/start"
    with pytest.raises(AmbiguousTime):
        schedule(planned(date(2026, 10, 25), "02:30", "05:00"))
    schedule(planned(date(2026, 10, 25), "02:30", "05:00", fold=1))
    last = academy.shown(course)["sessions"][-1]
    assert (last["starts"][:16], last["ends"][:16]) == ("2026-10-25T01:30", "2026-10-25T04:00")
    assert last["scheduled_minutes"] == 150


def test_nonsense_is_refused_and_says_which_session(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.draft()
    good = half_days(FIRST)
    for bad, refusal, field in (
        (LocalSession(day=SECOND, start="09:00", end="12:00", zone="Mars/Olympus"), UnknownZone, "sessions/2/zone"),
        (LocalSession(day=SECOND, start="12:00", end="09:00"), SessionLength, "sessions/2/end"),
        (LocalSession(day=FIRST, start="12:00", end="13:00"), SessionsOverlap, "sessions"),
    ):
        with pytest.raises(refusal) as refused:
            courses.schedule(office, act(), course=course, sessions=[*good, bad], reason="test")
        assert refused.value.field == field
    assert office.log.get(Course, course).stage is Stage.DRAFT


def test_a_draft_has_no_numbers_to_name(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.draft()
    with pytest.raises(courses.NumbersTooEarly):
        courses.schedule(office, act(), course=course, sessions=half_days(FIRST, number=1))


def test_the_institution_must_be_registered_on_each_day(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.draft()
    with pytest.raises(NotRegistered, match="2027-01-01"):
        courses.schedule(office, act(), course=course, sessions=half_days(date(2026, 12, 31), date(2027, 1, 1)))
    lead = academy.trainer("Lena")
    open_course = academy.open(lead)
    late = [*half_days(date(2026, 12, 30)), *half_days(date(2027, 1, 4))]
    with pytest.raises(NotRegistered):
        courses.reschedule(office, act(), course=open_course, sessions=late, reason="moved")
    with pytest.raises(NotRegistered):
        courses.copy(office, act(), course=open_course, first_day=date(2027, 2, 1))


def test_a_trainer_is_authorised_on_each_day_and_booked_with_the_course(
    academy: Academy, office: Office, act: Acting
) -> None:
    lead, expiring = academy.trainer("Lena"), academy.trainer("Eva", until=FIRST)
    candidate, nobody = academy.trainer("Carl", Authority.CANDIDATE), academy.trainer("Noah", None)
    course = academy.scheduled()
    with pytest.raises(NotAuthorised, match="2026-06-02"):
        academy.assign(course, expiring)
    with pytest.raises(NotAuthorised, match="candidate"):
        academy.assign(course, candidate)
    with pytest.raises(NotAuthorised):
        academy.assign(course, nobody, Role.CO_TRAINER)
    academy.assign(course, lead)
    academy.assign(course, candidate, Role.CO_TRAINER)
    assert slots_of(office, lead, course) == [1, 2, 3, 4]
    shown = academy.shown(course)
    assert (shown["lead"], shown["co_trainers"]) == (str(lead), [str(candidate)])
    with pytest.raises(LeadAlreadyAssigned):
        academy.assign(course, academy.trainer("Otto"))


def test_nobody_teaches_two_courses_at_once(academy: Academy, office: Office, act: Acting) -> None:
    lead = academy.trainer("Lena")
    academy.open(lead)
    other = academy.scheduled()
    position = office.log.position()
    with pytest.raises(DoubleBooked):
        academy.assign(other, lead)
    assert office.log.position() == position
    unplanned = academy.draft()
    academy.assign(unplanned, lead)
    with pytest.raises(DoubleBooked):
        courses.schedule(office, act(), course=unplanned, sessions=half_days(FIRST, SECOND))
    courses.schedule(office, act(), course=unplanned, sessions=half_days(THIRD, date(2026, 6, 4)))
    assert slots_of(office, lead, unplanned) == [1, 2, 3, 4]


def test_of_courses_that_want_the_same_trainer_at_once_one_succeeds(academy: Academy) -> None:
    lead = academy.trainer("Lena")
    wanting = [academy.scheduled() for _ in range(6)]

    def assigned(course: UUID) -> bool:
        try:
            academy.assign(course, lead)
        except DoubleBooked:
            return False
        return True

    with ThreadPoolExecutor(len(wanting)) as at_once:
        assert sorted(at_once.map(assigned, wanting)) == [False] * 5 + [True]
    assert sorted(academy.shown(course)["lead"] is not None for course in wanting) == [False] * 5 + [True]


def test_who_is_no_trainer_is_not_assigned(
    academy: Academy, office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    course = academy.scheduled()
    for stranger in (uuid4(), person("Nora", "Nobody")):
        with pytest.raises(UnknownTrainer):
            academy.assign(course, stranger)


def test_rescheduling_moves_the_bookings_with_the_course(academy: Academy, office: Office, act: Acting) -> None:
    lead, busy = academy.trainer("Lena"), academy.trainer("Bea")
    course = academy.open(lead, busy)
    elsewhere = academy.scheduled(half_days(date(2026, 6, 8), date(2026, 6, 9)))
    academy.assign(elsewhere, busy)
    with pytest.raises(DoubleBooked):
        courses.reschedule(
            office, act(), course=course, sessions=half_days(date(2026, 6, 8), date(2026, 6, 9)), reason="moved"
        )
    assert academy.shown(course)["first_day"] == "2026-06-01"
    moved = [LocalSession(day=SECOND, start="08:00", end="12:30", contact_minutes=210, number=3)]
    courses.reschedule(
        office,
        act(),
        course=course,
        sessions=[*half_days(THIRD, date(2026, 6, 4)), *moved],
        reason="room_double_booked",
    )
    assert slots_of(office, lead, course) == [3, 5, 6, 7, 8]
    shown = academy.shown(course)
    assert [(each["number"], each["cancelled"]) for each in shown["sessions"]] == [
        (1, True),
        (2, True),
        (3, False),
        (4, True),
        (5, False),
        (6, False),
        (7, False),
        (8, False),
    ]
    assert shown["sessions"][0]["cancelled_reason"] == "room_double_booked"
    assert (shown["first_day"], shown["last_day"], shown["numbers"]) == ("2026-06-02", "2026-06-04", [3, 5, 6, 7, 8])


def test_rescheduling_asks_again_whether_the_trainers_may_teach(academy: Academy, office: Office, act: Acting) -> None:
    lead = academy.trainer("Lena", until=SECOND)
    course = academy.open(lead)
    with pytest.raises(NotAuthorised, match="2026-06-03"):
        courses.reschedule(office, act(), course=course, sessions=half_days(SECOND, THIRD), reason="moved")
    trainers.end_authorisation(office, act(), person=lead, number=1, on=SECOND, reason="left_the_body")
    with pytest.raises(NotAuthorised):
        courses.cancel_session(office, act(), course=course, session=1, reason="short")


def test_a_lead_without_authority_is_replaced_all_the_same(academy: Academy, office: Office, act: Acting) -> None:
    lead, successor = academy.trainer("Lena"), academy.trainer("Susi")
    course = academy.open(lead)
    trainers.end_authorisation(office, act(), person=lead, number=1, on=date(2026, 1, 1), reason="recorded_in_error")
    courses.replace_trainer(
        office,
        act(),
        course=course,
        person=lead,
        new=successor,
        since=datetime(2026, 6, 2, 0, 0, tzinfo=UTC),
        reason="left",
    )
    assert slots_of(office, lead, course) == []
    assert academy.shown(course)["lead"] == str(successor)


def test_who_hands_over_in_the_middle_keeps_what_they_taught(academy: Academy, office: Office, act: Acting) -> None:
    lead, successor = academy.trainer("Lena"), academy.trainer("Susi")
    course = academy.open(lead)
    courses.replace_trainer(
        office,
        act(),
        course=course,
        person=lead,
        new=successor,
        since=datetime(2026, 6, 2, 0, 0, tzinfo=UTC),
        reason="ill",
    )
    assert slots_of(office, lead, course) == [1, 2]
    assert slots_of(office, successor, course) == [3, 4]
    other = academy.scheduled()
    with pytest.raises(DoubleBooked):
        academy.assign(other, lead)
    with pytest.raises(LeadNeeded):
        courses.release_trainer(office, act(), course=course, person=successor, reason="ill")


def test_a_trainer_who_is_released_is_free_again(academy: Academy, office: Office, act: Acting) -> None:
    lead, helper = academy.trainer("Lena"), academy.trainer("Hans")
    course = academy.scheduled()
    academy.assign(course, lead)
    academy.assign(course, helper, Role.CO_TRAINER)
    courses.release_trainer(office, act(), course=course, person=lead, reason="ill", note="Broken leg")
    assert slots_of(office, lead, course) == []
    other = academy.scheduled()
    academy.assign(other, lead)
    with pytest.raises(NotOnTheCourse):
        courses.release_trainer(office, act(), course=course, person=lead, reason="ill")


def test_a_course_opens_with_its_lead_only(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.scheduled()
    with pytest.raises(LeadNeeded):
        courses.open(office, act(), course=course, capacity=Capacity.of(12))
    lead = academy.trainer("Lena")
    academy.assign(course, lead)
    trainers.end_authorisation(office, act(), person=lead, number=1, on=SECOND, reason="left_the_body")
    with pytest.raises(NotAuthorised):
        courses.open(office, act(), course=course, capacity=Capacity.of(12))
    academy.authorise(lead, Authority.LEAD)
    courses.open(office, act(), course=course, capacity=Capacity.of(12), minimum=4)
    shown = academy.shown(course)
    assert (shown["stage"], shown["enrolment_open"], shown["minimum"]) == ("open", True, 4)
    assert shown["capacity"] == {"limit": 12, "unlimited": False}
    with pytest.raises(CourseStage):
        courses.schedule(office, act(), course=course, sessions=half_days(FIRST, SECOND))


def test_seats_change_and_enrolment_closes_and_opens(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.open(academy.trainer("Lena"))
    courses.change_capacity(office, act(), course=course, capacity=Capacity.without_limit(), reason="larger_room")
    assert academy.shown(course)["capacity"] == {"limit": None, "unlimited": True}
    courses.close_enrolment(office, act(), course=course)
    assert academy.shown(course)["enrolment_open"] is False
    assert courses.close_enrolment(office, act(), course=course).position is None
    courses.reopen_enrolment(office, act(), course=course)
    assert academy.shown(course)["enrolment_open"] is True
    courses.confirm(office, act(), course=course)
    assert academy.shown(course)["confirmed"] is True


def test_a_body_lists_the_course(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.open(academy.trainer("Lena"))
    courses.list_with_body(
        office, act(), course=course, body="SA", external_id="4711", address="https://sa.example/4711"
    )
    courses.list_with_body(office, act(), course=course, body="SA", external_id="4712")
    assert academy.shown(course)["listings"] == {"SA": {"external_id": "4712", "address": None}}


def test_a_cancelled_course_lets_everybody_go(
    academy: Academy, office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    lead = academy.trainer("Lena")
    course = academy.open(lead, seats=1)
    seated, waiting = (
        enrolments.request(office, act(), course=course, person=person(name, "Learner")).id for name in ("Ada", "Bob")
    )
    receipt = courses.cancel(office, act(), course=course, reason="too_few", note="Sorry")
    assert set(receipt.ids) == {str(seated), str(waiting)}
    assert {office.log.get(Enrolment, each).stage.value for each in (seated, waiting)} == {"cancelled"}
    assert office.log.get(Course, course).seats == set()
    assert slots_of(office, lead, course) == []
    shown = academy.shown(course)
    assert (shown["stage"], shown["cancelled_reason"], shown["enrolment_open"]) == ("cancelled", "too_few", False)
    academy.open(lead)
    with pytest.raises(CourseStage):
        courses.cancel(office, act(), course=course, reason="too_few")


def test_a_session_is_held_as_planned_or_as_said(academy: Academy, office: Office, act: Acting, clock: Clock) -> None:
    lead, helper = academy.trainer("Lena"), academy.trainer("Hans")
    course = academy.open(lead, helper)
    with pytest.raises(HeldInFuture):
        courses.hold_session(office, act(), course=course, session=1)
    clock.set(datetime(2026, 6, 1, 18, 0, tzinfo=UTC))
    courses.hold_session(office, act(), course=course, session=1)
    courses.hold_session(
        office,
        act(),
        course=course,
        session=2,
        started=datetime(2026, 6, 1, 11, 45, tzinfo=UTC),
        ended=datetime(2026, 6, 1, 15, 0, tzinfo=UTC),
        trainers=[lead],
        contact_minutes=180,
    )
    first, second, *_ = academy.shown(course)["sessions"]
    assert first["held"]["started"] == first["starts"]
    assert sorted(first["held"]["trainers"]) == sorted([str(lead), str(helper)])
    assert (first["contact_minutes"], first["held"]["lead"]) == (210, str(lead))
    assert (second["contact_minutes"], second["planned_minutes"]) == (180, 210)
    assert academy.shown(course)["contact_minutes"] == 810
    with pytest.raises(SessionAlreadyHeld):
        courses.hold_session(office, act(), course=course, session=2)
    courses.hold_session(office, act(), course=course, session=2, contact_minutes=200, reason="typing_error")
    assert academy.shown(course)["contact_minutes"] == 830
    with pytest.raises(NotFound):
        courses.hold_session(office, act(), course=course, session=9)
    with pytest.raises(NotOnTheCourse):
        courses.hold_session(office, act(), course=course, session=1, trainers=[lead, uuid4()], reason="test")


def test_sessions_are_curtailed_added_and_cancelled(
    academy: Academy, office: Office, act: Acting, clock: Clock
) -> None:
    lead = academy.trainer("Lena", until=THIRD)
    course = academy.open(lead)
    courses.curtail_session(office, act(), course=course, session=4, contact_minutes=120, reason="fire_alarm")
    extra = LocalSession(day=THIRD, start="09:00", end="10:30", contact_minutes=90)
    receipt = courses.add_session(office, act(), course=course, session=extra, reason="made_up")
    assert receipt.ids == ("5",)
    assert slots_of(office, lead, course) == [1, 2, 3, 4, 5]
    shown = academy.shown(course)
    assert (shown["contact_minutes"], shown["last_day"], shown["warnings"]) == (840, "2026-06-03", [])
    assert shown["sessions"][3]["curtailed"] == {"contact_minutes": 120, "reason": "fire_alarm"}
    with pytest.raises(NotAuthorised, match="2026-06-04"):
        later = LocalSession(day=date(2026, 6, 4), start="09:00", end="10:30")
        courses.add_session(office, act(), course=course, session=later, reason="made_up")
    with pytest.raises(UnknownZone) as refused:
        nowhere = LocalSession(day=THIRD, start="14:00", end="15:30", zone="Mars/Olympus")
        courses.add_session(office, act(), course=course, session=nowhere, reason="made_up")
    assert refused.value.field == "zone"
    courses.cancel_session(office, act(), course=course, session=5, reason="not_needed")
    assert slots_of(office, lead, course) == [1, 2, 3, 4]
    assert academy.shown(course)["last_day"] == "2026-06-02"
    with pytest.raises(NotFound):
        courses.cancel_session(office, act(), course=course, session=5, reason="not_needed")


def test_a_course_is_delivered_once_all_is_held_and_closed_once_nothing_is_left(
    academy: Academy, office: Office, act: Acting, clock: Clock, person: Callable[..., UUID]
) -> None:
    course = academy.open(academy.trainer("Lena"))
    enrolments.request(office, act(), course=course, person=person("Ada", "Learner"))
    clock.set(datetime(2026, 6, 2, 18, 0, tzinfo=UTC))
    for number in (1, 2, 3):
        courses.hold_session(office, act(), course=course, session=number)
    with pytest.raises(SessionsNotHeld):
        courses.deliver(office, act(), course=course)
    courses.hold_session(office, act(), course=course, session=4)
    courses.deliver(office, act(), course=course)
    with pytest.raises(CourseUnfinished) as refused:
        courses.close(office, act(), course=course)
    left = refused.value.outstanding
    assert left
    with pytest.raises(CourseUnfinished):
        courses.close(office, act(), course=course, waived=left[1:], reason="paper_registers")
    courses.close(office, act(), course=course, waived=left, reason="paper_registers")
    shown = academy.shown(course)
    assert (shown["stage"], shown["waived"]) == ("closed", list(left))
    courses.reopen(office, act(), course=course, reason="complaint")
    assert academy.shown(course)["stage"] == "delivered"


def test_a_copy_keeps_the_local_times_across_the_change_of_clocks(
    academy: Academy, office: Office, act: Acting
) -> None:
    course = academy.open(academy.trainer("Lena"))
    copied = courses.copy(office, act(), course=course, first_day=date(2026, 11, 2), title="CSPO in winter").id
    shown = academy.shown(copied)
    assert shown["sessions"][0]["starts"][:16] == "2026-11-02T08:00"
    assert (shown["stage"], shown["title"], shown["lead"]) == ("scheduled", "CSPO in winter", None)
    assert (shown["copied_from"], shown["capacity"]) == (str(course), None)


def test_a_stale_version_is_refused(academy: Academy, office: Office, act: Acting) -> None:
    course = academy.scheduled()
    with pytest.raises(Stale):
        courses.cancel(office, act(version=1), course=course, reason="too_few")
    courses.cancel(office, act(version=2), course=course, reason="too_few")


def test_an_unknown_course_is_not_found(academy: Academy, office: Office, act: Acting) -> None:
    with pytest.raises(NotFound):
        courses.cancel(office, act(), course=uuid4(), reason="too_few")
    with pytest.raises(NotFound):
        courses.copy(office, act(), course=uuid4(), first_day=FIRST)
    with pytest.raises(NotFound):
        courses.cancel(office, act(), course=office.institution, reason="too_few")
