"""A course from its draft to its end: sessions, trainers, seats and the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.basis import Aspect, Basis
from domain.catalogue import CATALOGUE
from domain.course import (
    AlreadyQueued,
    BelowMinimum,
    Capacity,
    CapacityBelowSeats,
    Course,
    CourseFull,
    CourseStage,
    CourseUnfinished,
    EnrolmentIsClosed,
    HeldImpossibly,
    ImpossibleCapacity,
    LeadAlreadyAssigned,
    LeadNeeded,
    LeadNotPresent,
    NoSeat,
    NoSeatHeld,
    NotCurtailed,
    NotOnTheCourse,
    OnlySession,
    OtherCredential,
    Role,
    SamePerson,
    SeatAlreadyTaken,
    SessionAlreadyHeld,
    SessionRepeated,
    SessionsNotHeld,
    Stage,
    Standing,
    TitleUnsound,
    UnknownFormat,
    UnknownSession,
    WarningNeedsReason,
)
from domain.credential import policy_on
from domain.private import Private
from domain.reason import ReasonMissing
from domain.refusal import Refused
from domain.schedule import (
    AmbiguousTime,
    NoSessions,
    Session,
    SessionPlan,
    SessionsOverlap,
    TimeWithoutZone,
    from_local,
)
from domain.trainer import Slot
from tests.scenario import given, replay

REGISTRAR, KEN, KIM, TIM, ADA, BEA, CYD, DAN, EVE = (UUID(int=n) for n in range(1, 10))
COURSE = UUID(int=100)
AT = datetime(2026, 5, 1, 9, tzinfo=UTC)
SAID = {"by": REGISTRAR, "at": AT}
MONDAY = date(2026, 6, 1)
TUESDAY = date(2026, 6, 2)
ON_MONDAY = datetime(2026, 6, 1, 18, tzinfo=UTC)

CSPO = replace(
    policy_on(CATALOGUE, body="SA", code="CSPO", on=MONDAY),
    version="test-1",
    contact_minutes=840,
    scheduled_minutes=960,
    max_span_months=3,
    formats=("in_person", "live_online"),
)
CSM = replace(CSPO, code="CSM")

Step = Callable[[Course], object]


def plan(day: date, start: str = "09:00", end: str = "12:30", contact: int | None = None) -> SessionPlan:
    return from_local(day=day, start=start, end=end, zone="Europe/Berlin", contact_minutes=contact)


MORNING, AFTERNOON = plan(MONDAY), plan(MONDAY, "13:30", "17:00")
TWO_DAYS = (MORNING, AFTERNOON, plan(TUESDAY), plan(TUESDAY, "13:30", "17:00"))
THREE_HALVES = TWO_DAYS[:3]


def enrolment(person: UUID) -> UUID:
    return UUID(int=person.int + 1000)


def draft(**said: Any) -> Course:
    facts = {"course": COURSE, "title": "Product Owner", "policy": CSPO, "format": "in_person"}
    return Course.draft(**{**facts, **SAID, **said})


def scheduled(course: Course) -> None:
    course.schedule(sessions=TWO_DAYS, policy=CSPO, **SAID)


def led(course: Course) -> None:
    course.assign_trainer(trainer_person=KEN, role=Role.LEAD, **SAID)


def co_trained(course: Course) -> None:
    course.assign_trainer(trainer_person=KIM, role=Role.CO_TRAINER, **SAID)


def opened(capacity: int | None = 2, minimum: int | None = None) -> Step:
    seats = Capacity.without_limit() if capacity is None else Capacity.of(capacity)
    return lambda course: course.open(capacity=seats, minimum=minimum, **SAID)


def asked(*people: UUID) -> Step:
    def ask(course: Course) -> None:
        for person in people:
            course.request_seat(person=person, enrolment=enrolment(person), **SAID)

    return ask


def freed(person: UUID) -> Step:
    return lambda course: course.free_seat(person=person, reason="withdrawn", **SAID)


def skipped(person: UUID) -> Step:
    return lambda course: course.skip(person=person, reason="unreachable", **SAID)


def held(number: int, *, lead: UUID = KEN) -> Step:
    def hold(course: Course) -> None:
        session = course.planned[number]
        course.hold_session(
            session=number,
            started=session.starts,
            ended=session.ends,
            trainers=(lead,),
            contact_minutes=session.contact_minutes,
            **SAID,
        )

    return hold


def curtailed(number: int, minutes: int) -> Step:
    return lambda course: course.curtail_session(session=number, contact_minutes=minutes, reason="fire_alarm", **SAID)


def enrolment_closed(course: Course) -> None:
    course.close_enrolment(**SAID)


def delivered(course: Course) -> None:
    for number in course.planned:
        held(number)(course)
    course.deliver(**SAID)


def closed(course: Course) -> None:
    course.close(outstanding=(), **SAID)


def cancelled(course: Course) -> None:
    course.cancel(reason="too_few", **SAID)


OPEN = (scheduled, led, opened())
FULL = (*OPEN, asked(ADA, BEA))
QUEUE = (*FULL, asked(CYD, DAN))


# Drafted and copied.


def test_a_course_is_drafted_for_a_credential_under_a_version_of_its_rules():
    [drafted] = draft(lo_edition="2022", language="de").pending_events
    assert (drafted.title, drafted.body, drafted.code, drafted.policy_version) == (
        "Product Owner",
        "SA",
        "CSPO",
        "test-1",
    )
    assert (drafted.format, drafted.lo_edition, drafted.language, drafted.copied_from) == (
        "in_person",
        "2022",
        "de",
        None,
    )
    assert (drafted.originator_id, drafted.by, drafted.at) == (COURSE, REGISTRAR, AT)


@pytest.mark.parametrize("title", ["", "  ", "x" * 201])
def test_a_course_has_a_title(title: str):
    with pytest.raises(TitleUnsound):
        draft(title=title)


def test_a_course_takes_place_in_a_known_format():
    with pytest.raises(UnknownFormat, match="in_person, live_online"):
        draft(format="by_letter")


def test_a_copy_has_the_same_facts_and_local_times_on_other_dates():
    source = given(draft(title="PO", lo_edition="2022", language="de"), scheduled).aggregate
    copy = source.copy(course=UUID(int=101), first_day=date(2026, 11, 2), policy=CSPO, **SAID)
    drafted, planned = copy.pending_events
    assert isinstance(drafted, Course.Drafted)
    assert (drafted.copied_from, drafted.title, drafted.lo_edition, drafted.language) == (COURSE, "PO", "2022", "de")
    assert [str(session) for session in planned.sessions] == [
        "2026-11-02 09:00 to 12:30 (Europe/Berlin)",
        "2026-11-02 13:30 to 17:00 (Europe/Berlin)",
        "2026-11-03 09:00 to 12:30 (Europe/Berlin)",
        "2026-11-03 13:30 to 17:00 (Europe/Berlin)",
    ]
    assert planned.sessions[0].starts.hour == MORNING.starts.hour + 1
    assert copy.stage is Stage.SCHEDULED
    assert source.pending_events == []


def test_a_copy_leaves_trainers_seats_cancelled_sessions_and_curtailments_behind():
    def cancel_last(course: Course) -> None:
        course.cancel_session(session=4, reason="room_lost", **SAID)

    source = given(draft(), *FULL, cancel_last, curtailed(1, 100)).aggregate
    copy = source.copy(course=UUID(int=101), first_day=MONDAY, policy=CSPO, reason="agreed", **SAID)
    assert [session.number for session in copy.sessions] == [1, 2, 3]
    assert copy.contact_minutes == 630
    assert (copy.lead, copy.seats) == (None, set())


def test_a_copy_of_a_draft_is_a_draft():
    copy = draft().copy(course=UUID(int=101), first_day=MONDAY, policy=CSPO, title="Another", **SAID)
    assert (copy.stage, copy.title) == (Stage.DRAFT, "Another")


def test_a_copy_onto_a_night_of_two_equal_hours_needs_to_know_which():
    def at_night(course: Course) -> None:
        course.schedule(sessions=[plan(MONDAY, "02:15", "05:00")], policy=CSPO, reason="night_class", **SAID)

    source = given(draft(), at_night).aggregate
    to = {"course": UUID(int=101), "first_day": date(2026, 10, 25), "policy": CSPO, "reason": "night_class", **SAID}
    with pytest.raises(AmbiguousTime):
        source.copy(**to)
    assert source.copy(fold=1, **to).sessions[0].starts == datetime(2026, 10, 25, 1, 15, tzinfo=UTC)


def test_a_copy_is_judged_by_the_rules_of_its_own_credential():
    with pytest.raises(OtherCredential):
        draft().copy(course=UUID(int=101), first_day=MONDAY, policy=CSM, **SAID)


# Scheduled.


def test_sessions_get_their_numbers_in_order_of_time():
    given(draft()).when(Course.schedule, sessions=TWO_DAYS[::-1], policy=CSPO, **SAID).then(
        Course.Scheduled,
        sessions=tuple(
            Session(n, plan.starts, plan.ends, plan.zone, plan.contact_minutes, plan.place)
            for n, plan in enumerate(TWO_DAYS, start=1)
        ),
        warnings=(),
        policy_version="test-1",
        reason=None,
    ).then_answers(())


def test_sessions_that_overlap_are_not_scheduled():
    given(draft()).when(Course.schedule, sessions=(MORNING, MORNING), policy=CSPO, **SAID).then_refused(SessionsOverlap)


def test_a_schedule_is_judged_by_the_rules_of_the_courses_credential():
    given(draft()).when(Course.schedule, sessions=TWO_DAYS, policy=CSM, **SAID).then_refused(OtherCredential)


def test_less_contact_time_than_the_policy_asks_for_needs_a_reason():
    scenario = given(draft()).when(Course.schedule, sessions=THREE_HALVES, policy=CSPO, **SAID)
    scenario.then_refused(WarningNeedsReason, "contact_minutes_below_policy")
    assert scenario.refusal.codes == ("contact_minutes_below_policy",)


def test_a_reason_lets_a_schedule_be_less_than_the_policy_asks_for_and_the_warnings_stay():
    note = Private("n" * 43)
    warned = ("contact_minutes_below_policy", "scheduled_minutes_below_policy")
    scenario = given(draft()).when(
        Course.schedule, sessions=THREE_HALVES, policy=CSPO, reason="body_agreed", note=note, **SAID
    )
    scenario.then(Course.Scheduled, warnings=warned, reason="body_agreed", note=note).then_answers(warned)
    assert scenario.after().shortfall_accepted


def test_a_span_above_the_policys_months_needs_a_reason():
    late = (*THREE_HALVES, plan(date(2026, 9, 2)))
    given(draft()).when(Course.schedule, sessions=late, policy=CSPO, **SAID).then_refused(
        WarningNeedsReason, "span_above_policy"
    )


def test_a_format_that_the_policy_lacks_needs_a_reason():
    given(draft(format="live_online_self_paced")).when(
        Course.schedule, sessions=TWO_DAYS, policy=CSPO, **SAID
    ).then_refused(WarningNeedsReason, "format_not_in_policy")


def test_short_days_warn_without_needing_a_reason():
    tight = (plan(MONDAY, "09:00", "16:00"), plan(TUESDAY, "09:00", "16:00"))
    given(draft()).when(Course.schedule, sessions=tight, policy=CSPO, **SAID).then(
        Course.Scheduled, warnings=("scheduled_minutes_below_policy",)
    )


def test_a_blank_reason_is_none():
    given(draft()).when(Course.schedule, sessions=THREE_HALVES, policy=CSPO, reason=" ", **SAID).then_refused(
        ReasonMissing
    )


def test_a_course_is_scheduled_once():
    given(draft(), scheduled).when(Course.schedule, sessions=TWO_DAYS, policy=CSPO, **SAID).then_refused(
        CourseStage, "To schedule it, the course has to be draft; it is scheduled."
    )


def test_a_session_that_moves_keeps_its_number_and_a_new_one_gets_the_next():
    def moves(course: Course) -> None:
        first = course.planned[1]
        later = replace(first, starts=first.starts + timedelta(days=2), ends=first.ends + timedelta(days=2))
        sessions = [plan(date(2026, 6, 4)), course.planned[2], later]
        course.reschedule(sessions=sessions, policy=CSPO, reason="trainer_ill", **SAID)

    course = given(draft(), scheduled, moves).aggregate
    assert [(session.number, session.day.day) for session in course.sessions] == [(2, 1), (1, 3), (5, 4)]


def test_the_number_of_a_dropped_session_is_never_used_again():
    def dropped(course: Course) -> None:
        course.reschedule(sessions=TWO_DAYS[:1], policy=CSPO, reason="room_lost", **SAID)
        course.reschedule(sessions=TWO_DAYS, policy=CSPO, reason="room_found", **SAID)

    assert [session.number for session in given(draft(), scheduled, dropped).aggregate.sessions] == [6, 7, 8, 9]


def test_rescheduling_needs_a_reason_which_also_answers_the_warnings():
    given(draft(), scheduled).when(Course.reschedule, sessions=TWO_DAYS, policy=CSPO, reason="", **SAID).then_refused(
        ReasonMissing
    )
    given(draft(), scheduled).when(
        Course.reschedule, sessions=THREE_HALVES, policy=CSPO, reason="room_lost", **SAID
    ).then(
        Course.Rescheduled,
        reason="room_lost",
        warnings=("contact_minutes_below_policy", "scheduled_minutes_below_policy"),
    )


def test_the_same_plan_again_records_nothing():
    scenario = given(draft(), scheduled)
    scenario.when(
        Course.reschedule, sessions=scenario.aggregate.sessions, policy=CSPO, reason="room_lost", **SAID
    ).then()


def test_the_same_plan_again_accepts_what_was_curtailed():
    scenario = given(draft(), *OPEN, held(1), curtailed(1, 60))
    assert not scenario.aggregate.shortfall_accepted
    scenario.when(
        Course.reschedule, sessions=scenario.aggregate.sessions, policy=CSPO, reason="body_agreed", **SAID
    ).then(Course.Rescheduled)
    assert scenario.after().shortfall_accepted
    assert scenario.after().contact_minutes == 690


def test_a_session_that_was_held_does_not_move():
    scenario = given(draft(), *OPEN, held(1))
    first = scenario.aggregate.planned[1]
    scenario.when(
        Course.reschedule,
        sessions=[replace(first, ends=first.ends - timedelta(minutes=30), contact_minutes=180)],
        policy=CSPO,
        reason="room_lost",
        **SAID,
    ).then_refused(SessionAlreadyHeld, "Session 1 has been held")


def test_a_session_that_was_held_stays_without_being_named():
    scenario = given(draft(), *OPEN, held(1)).when(
        Course.reschedule, sessions=[plan(TUESDAY)], policy=CSPO, reason="room_lost", **SAID
    )
    scenario.then(Course.Rescheduled)
    assert [session.number for session in scenario.after().sessions] == [1, 5]


def test_a_new_session_may_not_overlap_one_that_was_held():
    given(draft(), *OPEN, held(1)).when(
        Course.reschedule, sessions=[MORNING], policy=CSPO, reason="room_lost", **SAID
    ).then_refused(SessionsOverlap)


def test_a_session_is_named_once_and_has_to_exist():
    scenario = given(draft(), scheduled)
    first, second = scenario.aggregate.planned[1], scenario.aggregate.planned[2]
    scenario.when(
        Course.reschedule, sessions=[first, replace(second, number=1)], policy=CSPO, reason="mixed_up", **SAID
    ).then_refused(SessionRepeated)
    given(draft(), scheduled).when(
        Course.reschedule, sessions=[replace(first, number=9)], policy=CSPO, reason="mixed_up", **SAID
    ).then_refused(UnknownSession, "its sessions are 1, 2, 3, 4")


def test_a_plan_has_a_session():
    given(draft(), scheduled).when(
        Course.reschedule, sessions=[], policy=CSPO, reason="room_lost", **SAID
    ).then_refused(NoSessions)


def test_a_delivered_course_is_not_rescheduled():
    given(draft(), *OPEN, delivered).when(
        Course.reschedule, sessions=TWO_DAYS, policy=CSPO, reason="room_lost", **SAID
    ).then_refused(CourseStage)


def test_the_schedule_is_a_basis_as_of_the_event_that_last_changed_it():
    assert draft().basis() is None
    course = given(draft(), *OPEN).aggregate
    assert course.basis() == Basis(COURSE, 2, Aspect.SCHEDULE)
    assert given(draft(), *OPEN, held(1)).aggregate.basis() == Basis(COURSE, 5, Aspect.SCHEDULE)
    assert course.basis(Aspect.NAMES) is None


def test_a_course_tells_its_days_and_the_time_it_takes_from_a_trainer():
    course = given(draft(), scheduled).aggregate
    assert course.days == (MONDAY, TUESDAY)
    assert course.zone == "Europe/Berlin"
    assert course.slots[0] == Slot(1, MORNING.starts, MORNING.ends)
    assert len(course.slots) == 4
    assert (draft().days, draft().zone, draft().slots) == ((), None, ())


# Taught.


def test_a_course_has_one_lead():
    given(draft(), led).when(Course.assign_trainer, trainer_person=KIM, role=Role.LEAD, **SAID).then_refused(
        LeadAlreadyAssigned
    )


def test_a_trainer_of_a_course_may_get_another_role():
    scenario = given(draft(), co_trained).when(Course.assign_trainer, trainer_person=KIM, role=Role.LEAD, **SAID)
    scenario.then(Course.TrainerAssigned, role=Role.LEAD)
    assert scenario.after().lead == KIM


def test_assigning_the_same_trainer_again_records_nothing():
    given(draft(), led).when(Course.assign_trainer, trainer_person=KEN, role=Role.LEAD, **SAID).then()


def test_only_a_trainer_of_the_course_is_released():
    given(draft(), led).when(Course.release_trainer, trainer_person=KIM, reason="ill", **SAID).then_refused(
        NotOnTheCourse
    )


def test_a_course_that_is_not_open_can_be_without_a_lead():
    scenario = given(draft(), scheduled, led).when(Course.release_trainer, trainer_person=KEN, reason="ill", **SAID)
    scenario.then(Course.TrainerReleased, trainer_person=KEN, since=None)
    assert scenario.after().lead is None


def test_an_open_course_never_lacks_its_lead():
    given(draft(), *OPEN).when(Course.release_trainer, trainer_person=KEN, reason="ill", **SAID).then_refused(
        LeadNeeded
    )
    given(draft(), *OPEN).when(Course.assign_trainer, trainer_person=KEN, role=Role.CO_TRAINER, **SAID).then_refused(
        LeadNeeded
    )


def test_a_lead_is_replaced_in_one_step():
    scenario = given(draft(), *OPEN).when(
        Course.replace_trainer, old=KEN, new=KIM, reason="ill", by=REGISTRAR, at=ON_MONDAY
    )
    scenario.then(Course.TrainerReleased, Course.TrainerAssigned, trainer_person=KIM, role=Role.LEAD, since=ON_MONDAY)
    course = scenario.after()
    assert course.trainers == {KIM: Role.LEAD}
    assert course.lead_on(ON_MONDAY - timedelta(seconds=1)) == KEN
    assert course.lead_on(ON_MONDAY) == KIM
    assert [course.lead_of(number) for number in (1, 2, 3, 4)] == [KEN, KEN, KIM, KIM]
    assert course.role_of(KEN) is None
    assert course.role_of(KEN, on=MORNING.starts) is Role.LEAD
    assert course.role_of(KIM, on=MORNING.starts) is None


def test_a_co_trainer_takes_over_as_lead():
    scenario = given(draft(), scheduled, led, co_trained, opened()).when(
        Course.replace_trainer, old=KEN, new=KIM, reason="ill", by=REGISTRAR, at=ON_MONDAY
    )
    scenario.then(Course.TrainerReleased, Course.TrainerAssigned)
    assert scenario.after().role_of(KIM, on=MORNING.starts) is Role.CO_TRAINER
    assert scenario.after().role_of(KIM) is Role.LEAD


def test_a_replacement_may_count_from_an_earlier_moment_than_it_is_recorded():
    course = (
        given(draft(), *OPEN)
        .when(Course.replace_trainer, old=KEN, new=KIM, since=MORNING.starts, reason="ill", by=KEN, at=ON_MONDAY)
        .after()
    )
    assert course.lead_of(1) == KIM


def test_at_any_moment_one_trainer_leads_whatever_was_said_in_which_order():
    def wednesday_then_tuesday(course: Course) -> None:
        for old, new, since in ((KEN, KIM, 3), (KIM, TIM, 2)):
            moment = datetime(2026, 6, since, tzinfo=UTC)
            course.replace_trainer(old=old, new=new, since=moment, reason="ill", **SAID)

    course = given(draft(), *OPEN, wednesday_then_tuesday).aggregate
    assert course.lead_on(datetime(2026, 6, 1, tzinfo=UTC)) == KEN
    assert course.lead_on(datetime(2026, 6, 2, tzinfo=UTC)) == TIM
    assert course.lead_on(datetime(2026, 6, 4, tzinfo=UTC)) == TIM


def test_who_was_replaced_before_the_course_opened_never_led_it():
    def replaced(course: Course) -> None:
        course.replace_trainer(old=KEN, new=KIM, reason="wrong_person", **SAID)

    course = given(draft(), scheduled, led, replaced).aggregate
    assert course.lead_on(datetime(2020, 1, 1, tzinfo=UTC)) == KIM


def test_a_trainer_is_replaced_by_somebody_else():
    given(draft(), *OPEN).when(Course.replace_trainer, old=KEN, new=KEN, reason="ill", **SAID).then_refused(SamePerson)
    given(draft(), scheduled, led, co_trained).when(
        Course.replace_trainer, old=KIM, new=KEN, reason="ill", **SAID
    ).then_refused(LeadAlreadyAssigned)
    given(draft(), *OPEN).when(Course.replace_trainer, old=TIM, new=KIM, reason="ill", **SAID).then_refused(
        NotOnTheCourse
    )


# Opened, confirmed, listed, cancelled.


def test_a_course_opens_with_a_capacity():
    scenario = given(draft(), scheduled, led).when(Course.open, capacity=Capacity.of(12), minimum=4, **SAID)
    scenario.then(Course.Opened, capacity=Capacity(limit=12, unlimited=False), minimum=4)
    assert (scenario.after().stage, scenario.after().enrolment_open) == (Stage.OPEN, True)


def test_a_course_opens_with_a_lead_and_a_schedule():
    given(draft(), scheduled, co_trained).when(Course.open, capacity=Capacity.of(12), **SAID).then_refused(LeadNeeded)
    given(draft(), led).when(Course.open, capacity=Capacity.of(12), **SAID).then_refused(CourseStage)


@pytest.mark.parametrize("capacity", [Capacity.of(0), Capacity.of(-1), Capacity(None, False), Capacity(12, True)])
def test_a_capacity_is_a_number_of_seats_or_unlimited_never_both_or_neither(capacity: Capacity):
    given(draft(), scheduled, led).when(Course.open, capacity=capacity, **SAID).then_refused(ImpossibleCapacity)
    given(draft(), *OPEN).when(Course.change_capacity, capacity=capacity, reason="room", **SAID).then_refused(
        ImpossibleCapacity
    )


@pytest.mark.parametrize("minimum", [0, 13])
def test_a_minimum_lies_between_one_and_the_capacity(minimum: int):
    given(draft(), scheduled, led).when(Course.open, capacity=Capacity.of(12), minimum=minimum, **SAID).then_refused(
        ImpossibleCapacity
    )


def test_a_course_with_enough_seats_taken_is_confirmed():
    given(draft(), scheduled, led, opened(2, minimum=1), asked(ADA)).when(Course.confirm, **SAID).then(
        Course.Confirmed, reason=None
    )


def test_a_course_below_its_minimum_is_confirmed_for_a_reason_only():
    below = (scheduled, led, opened(2, minimum=2), asked(ADA))
    given(draft(), *below).when(Course.confirm, **SAID).then_refused(BelowMinimum, "1 seats are taken, 2 are needed")
    given(draft(), *below).when(Course.confirm, reason="", **SAID).then_refused(ReasonMissing)
    given(draft(), *below).when(Course.confirm, reason="key_client", **SAID).then(Course.Confirmed, reason="key_client")


def test_confirming_again_records_nothing():
    given(draft(), *OPEN, lambda course: course.confirm(**SAID)).when(Course.confirm, **SAID).then()


def test_a_course_is_listed_with_its_body():
    listed = {"body": "SA", "external_id": " 4711 ", "address": "https://example.org/4711"}
    given(draft()).when(Course.list_with_body, **listed, **SAID).then(Course.ListedWithBody, external_id="4711")
    given(draft()).when(Course.list_with_body, **{**listed, "body": "PMI"}, **SAID).then_refused(OtherCredential)
    given(draft()).when(Course.list_with_body, **{**listed, "external_id": " "}, **SAID).then_refused(OtherCredential)


@pytest.mark.parametrize("steps", [(), (scheduled,), OPEN, (*QUEUE, held(1))])
def test_a_course_is_cancelled_for_a_reason_until_it_is_delivered(steps: tuple[Step, ...]):
    given(draft(), *steps).when(Course.cancel, reason="", **SAID).then_refused(ReasonMissing)
    scenario = given(draft(), *steps).when(Course.cancel, reason="too_few", **SAID).then(Course.Cancelled)
    assert scenario.after().stage is Stage.CANCELLED


def test_a_cancelled_course_stays_so():
    for command in (Course.cancel, Course.reopen):
        given(draft(), *OPEN, cancelled).when(command, reason="again", **SAID).then_refused(CourseStage)
    given(draft(), *OPEN, delivered).when(Course.cancel, reason="late", **SAID).then_refused(CourseStage)


def test_seats_of_a_cancelled_course_are_freed_and_held_for_nobody():
    given(draft(), *QUEUE, cancelled).when(Course.free_seat, person=ADA, reason="course_cancelled", **SAID).then(
        Course.SeatFreed
    )


# Held.


def hold(**said: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "session": 1,
        "started": MORNING.starts + timedelta(minutes=5),
        "ended": MORNING.ends,
        "trainers": (KEN,),
        "contact_minutes": 195,
    }
    return {**facts, **SAID, **said}


def test_a_session_is_held_with_its_real_times_and_trainers():
    scenario = given(draft(), scheduled, led, co_trained, opened()).when(
        Course.hold_session, **hold(trainers=[KIM, KEN, KIM])
    )
    scenario.then(Course.SessionHeld, trainers=(KIM, KEN), lead=KEN, contact_minutes=195, reason=None)
    assert scenario.after().contact_minutes == 3 * 210 + 195
    assert scenario.after().lead_of(1) == KEN


def test_a_session_is_held_in_the_presence_of_the_lead():
    steps = (scheduled, led, co_trained, opened())
    given(draft(), *steps).when(Course.hold_session, **hold(trainers=(KIM,))).then_refused(LeadNotPresent)
    given(draft(), *steps).when(Course.hold_session, **hold(trainers=())).then_refused(LeadNotPresent)


def test_a_session_is_held_by_trainers_of_the_course():
    given(draft(), *OPEN).when(Course.hold_session, **hold(trainers=(KEN, KIM))).then_refused(NotOnTheCourse)


def test_a_session_was_led_by_who_was_the_lead_then():
    def replaced(course: Course) -> None:
        course.replace_trainer(old=KEN, new=KIM, reason="ill", by=REGISTRAR, at=ON_MONDAY)

    given(draft(), *OPEN, replaced).when(Course.hold_session, **hold()).then(Course.SessionHeld, lead=KEN)
    given(draft(), *OPEN, replaced).when(Course.hold_session, **hold(trainers=(KIM,))).then_refused(NotOnTheCourse)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"contact_minutes": 206}, HeldImpossibly),
        ({"contact_minutes": -1}, HeldImpossibly),
        ({"ended": MORNING.starts}, HeldImpossibly),
        ({"ended": MORNING.starts + timedelta(hours=13)}, HeldImpossibly),
        ({"started": MORNING.starts + timedelta(days=1), "ended": MORNING.ends + timedelta(days=1)}, HeldImpossibly),
        ({"started": MORNING.starts.replace(tzinfo=None)}, TimeWithoutZone),
        ({"session": 9}, UnknownSession),
    ],
)
def test_a_session_that_cannot_have_been_held_so_is_refused(wrong: dict[str, Any], kind: type[Refused]):
    given(draft(), *OPEN).when(Course.hold_session, **hold(**wrong)).then_refused(kind)


def test_what_was_recorded_of_a_session_is_corrected_for_a_reason():
    given(draft(), *OPEN, held(1)).when(Course.hold_session, **hold()).then_refused(SessionAlreadyHeld)
    given(draft(), *OPEN, held(1)).when(Course.hold_session, **hold(reason=" ")).then_refused(ReasonMissing)
    scenario = given(draft(), *OPEN, held(1)).when(Course.hold_session, **hold(reason="typing_error"))
    scenario.then(Course.SessionHeld, reason="typing_error")
    assert scenario.after().sessions[0].contact_minutes == 195


def test_a_curtailed_session_has_fewer_minutes_and_the_shortfall_is_not_accepted():
    scenario = given(draft(), *OPEN, held(1)).when(
        Course.curtail_session, session=1, contact_minutes=120, reason="fire_alarm", **SAID
    )
    scenario.then(Course.SessionCurtailed, contact_minutes=120)
    course = scenario.after()
    assert (course.contact_minutes, course.shortfall_accepted) == (750, False)


def test_a_shortfall_is_accepted_as_far_as_its_reason_went():
    def short(course: Course) -> None:
        course.schedule(sessions=THREE_HALVES, policy=CSPO, reason="body_agreed", **SAID)

    assert given(draft(), short, led, opened()).aggregate.shortfall_accepted
    assert not given(draft(), short, led, opened(), curtailed(1, 200)).aggregate.shortfall_accepted


@pytest.mark.parametrize(("minutes", "kind"), [(210, NotCurtailed), (300, NotCurtailed), (-1, HeldImpossibly)])
def test_a_session_is_curtailed_to_fewer_minutes(minutes: int, kind: type[Refused]):
    given(draft(), *OPEN).when(
        Course.curtail_session, session=1, contact_minutes=minutes, reason="ill", **SAID
    ).then_refused(kind)


def test_an_added_session_gets_a_fresh_number_and_its_minutes_count():
    def dropped(course: Course) -> None:
        course.cancel_session(session=4, reason="room_lost", **SAID)

    scenario = given(draft(), *OPEN, dropped).when(
        Course.add_session, plan=plan(date(2026, 6, 8)), policy=CSPO, reason="make_up", **SAID
    )
    scenario.then(Course.SessionAdded, reason="make_up").then_answers(5)
    assert scenario.after().contact_minutes == 840


def test_an_added_session_keeps_its_warnings():
    given(draft(), *OPEN).when(
        Course.add_session, plan=plan(date(2026, 12, 8)), policy=CSPO, reason="make_up", **SAID
    ).then(Course.SessionAdded, warnings=("span_above_policy",))


def test_an_added_session_overlaps_none():
    given(draft(), *OPEN).when(Course.add_session, plan=MORNING, policy=CSPO, reason="make_up", **SAID).then_refused(
        SessionsOverlap
    )


def test_a_session_added_to_a_delivered_course_has_to_be_held_before_it_is_delivered_again():
    def added(course: Course) -> None:
        course.add_session(plan=plan(date(2026, 6, 8)), policy=CSPO, reason="make_up", **SAID)

    scenario = given(draft(), *OPEN, delivered, added)
    assert (scenario.aggregate.stage, scenario.aggregate.enrolment_open) == (Stage.OPEN, False)
    scenario.when(Course.deliver, **SAID).then_refused(SessionsNotHeld, "Not yet held: session 5.")


def test_a_session_that_was_held_is_not_cancelled():
    given(draft(), *OPEN, held(1)).when(Course.cancel_session, session=1, reason="ill", **SAID).then_refused(
        SessionAlreadyHeld
    )
    given(draft(), *OPEN).when(Course.cancel_session, session=7, reason="ill", **SAID).then_refused(UnknownSession)


def test_the_only_session_is_not_cancelled():
    def one(course: Course) -> None:
        course.schedule(sessions=[MORNING], policy=CSPO, reason="body_agreed", **SAID)

    given(draft(), one, led, opened()).when(Course.cancel_session, session=1, reason="ill", **SAID).then_refused(
        OnlySession
    )


# Delivered and closed.


def test_a_course_is_delivered_when_each_session_was_held_or_cancelled():
    steps = (*OPEN, held(1), held(2))
    scenario = given(draft(), *steps).when(Course.deliver, **SAID).then_refused(SessionsNotHeld, "session 3, 4")
    assert scenario.refusal.numbers == (3, 4)

    def drop(course: Course) -> None:
        for number in (3, 4):
            course.cancel_session(session=number, reason="room_lost", **SAID)

    given(draft(), *steps, drop).when(Course.deliver, **SAID).then(Course.Delivered)


def test_a_course_with_something_left_to_do_is_not_closed():
    left = ("submission_not_sent", "register_2_not_sealed")
    scenario = given(draft(), *OPEN, delivered).when(
        Course.close, outstanding=left, waived=("submission_not_sent",), reason="no_submission", **SAID
    )
    scenario.then_refused(CourseUnfinished, "register_2_not_sealed")
    assert scenario.refusal.outstanding == ("register_2_not_sealed",)


def test_what_is_waived_needs_a_reason_and_is_recorded():
    said = {"outstanding": ("submission_not_sent",), "waived": ("submission_not_sent", "not_there"), **SAID}
    given(draft(), *OPEN, delivered).when(Course.close, **said).then_refused(ReasonMissing)
    given(draft(), *OPEN, delivered).when(Course.close, reason="in_house", **said).then(
        Course.Closed, waived=("submission_not_sent",), reason="in_house"
    )


def test_a_closed_course_is_reopened_for_a_reason():
    given(draft(), *OPEN, delivered, closed).when(Course.reopen, reason="", **SAID).then_refused(ReasonMissing)
    scenario = given(draft(), *OPEN, delivered, closed).when(Course.reopen, reason="appeal", **SAID)
    scenario.then(Course.Reopened, reason="appeal")
    assert scenario.after().stage is Stage.DELIVERED


# Seats.


def ask(person: UUID, **said: Any) -> dict[str, Any]:
    return {"person": person, "enrolment": enrolment(person), **SAID, **said}


def test_a_request_takes_a_free_seat():
    given(draft(), *OPEN).when(Course.request_seat, **ask(ADA)).then(
        Course.SeatTaken, person=ADA, enrolment=enrolment(ADA), override=None
    ).then_answers(Standing.CONFIRMED)


def test_a_request_for_a_full_course_gets_a_ticket():
    scenario = given(draft(), *FULL).when(Course.request_seat, **ask(CYD))
    scenario.then(Course.Queued, person=CYD, ticket=1).then_answers(Standing.QUEUED)
    assert scenario.after().rank_of(CYD) == 1


def test_an_unlimited_course_is_never_full():
    course = given(draft(), scheduled, led, opened(None), asked(ADA, BEA, CYD)).aggregate
    assert len(course.seats) == 3
    assert course.seats_free is None


def test_one_person_has_one_seat_or_one_place_in_the_queue():
    given(draft(), *QUEUE).when(Course.request_seat, **ask(ADA)).then_refused(SeatAlreadyTaken)
    given(draft(), *QUEUE).when(Course.request_seat, **ask(DAN)).then_refused(AlreadyQueued, "number 2 in the queue")


def test_a_registrars_reason_makes_a_seat_beyond_the_capacity():
    scenario = given(draft(), *FULL).when(Course.request_seat, **ask(CYD, override="paid_twice"))
    scenario.then(Course.SeatTaken, override="paid_twice").then_answers(Standing.CONFIRMED)
    assert scenario.after().seats_free == 0
    given(draft(), *FULL).when(Course.request_seat, **ask(CYD, override=" ")).then_refused(ReasonMissing)


def test_nothing_is_overridden_where_a_seat_is_free():
    given(draft(), *OPEN).when(Course.request_seat, **ask(ADA, override="paid_twice")).then(
        Course.SeatTaken, override=None
    )


def test_a_seat_beyond_the_capacity_frees_none_for_the_queue():
    def beyond(course: Course) -> None:
        course.request_seat(**ask(EVE, override="paid_twice"))

    given(draft(), *QUEUE, beyond).when(Course.free_seat, person=ADA, reason="withdrawn", **SAID).then(Course.SeatFreed)


def test_a_closed_enrolment_takes_nobody_but_for_a_registrars_reason():
    steps = (*OPEN, enrolment_closed)
    given(draft(), *steps).when(Course.request_seat, **ask(ADA)).then_refused(EnrolmentIsClosed)
    given(draft(), *steps).when(Course.request_seat, **ask(ADA, override="late_order")).then(
        Course.SeatTaken, override="late_order"
    )


def test_enrolment_closes_and_reopens_and_says_so_once():
    given(draft(), *OPEN).when(Course.close_enrolment, reason="started", **SAID).then(
        Course.EnrolmentClosed, reason="started"
    )
    given(draft(), *OPEN, enrolment_closed).when(Course.close_enrolment, **SAID).then()
    given(draft(), *OPEN).when(Course.reopen_enrolment, **SAID).then()
    scenario = given(draft(), *OPEN, enrolment_closed).when(Course.reopen_enrolment, **SAID)
    scenario.then(Course.EnrolmentReopened)
    assert scenario.after().enrolment_open


@pytest.mark.parametrize("steps", [(), (scheduled, led), (*OPEN, delivered), (*OPEN, cancelled)])
def test_only_an_open_course_enrols(steps: tuple[Step, ...]):
    given(draft(), *steps).when(Course.request_seat, **ask(ADA)).then_refused(CourseStage)


def test_a_freed_seat_is_held_for_the_first_in_the_queue():
    scenario = given(draft(), *QUEUE).when(Course.free_seat, person=ADA, reason="withdrawn", **SAID)
    scenario.then(Course.SeatFreed, Course.SeatHeld, person=CYD, ticket=1)
    assert scenario.after().seat_held_for(CYD)
    assert scenario.after().rank_of(CYD) == 1


def test_a_held_seat_is_not_free_for_others():
    given(draft(), *QUEUE, freed(ADA)).when(Course.request_seat, **ask(EVE)).then(Course.Queued, ticket=3)


def test_the_registrar_confirms_a_held_seat():
    scenario = given(draft(), *QUEUE, freed(ADA)).when(Course.confirm_held, person=CYD, **SAID)
    scenario.then(Course.SeatTaken, person=CYD, enrolment=enrolment(CYD), override=None)
    course = scenario.after()
    assert (course.rank_of(CYD), course.rank_of(DAN), course.has_seat(CYD)) == (None, 1, True)


def test_nobody_gets_a_seat_out_of_turn_but_for_a_registrars_reason():
    steps = (*QUEUE, freed(ADA))
    given(draft(), *steps).when(Course.confirm_held, person=DAN, **SAID).then_refused(NoSeatHeld, "number 2")
    given(draft(), *steps).when(Course.confirm_held, person=DAN, override="key_client", **SAID).then(
        Course.SeatTaken, person=DAN, override="key_client"
    )
    given(draft(), *steps).when(Course.confirm_held, person=EVE, **SAID).then_refused(NoSeat)


def test_who_is_skipped_keeps_their_ticket_while_the_seat_is_held_for_the_next():
    scenario = given(draft(), *QUEUE, freed(ADA)).when(Course.skip, person=CYD, reason="unreachable", **SAID)
    scenario.then(Course.SkippedInQueue, Course.SeatHeld, person=DAN, ticket=2)
    assert scenario.after().rank_of(CYD) == 1


def test_who_was_skipped_comes_first_again_when_another_seat_frees():
    given(draft(), *QUEUE, freed(ADA), skipped(CYD)).when(
        Course.free_seat, person=BEA, reason="withdrawn", **SAID
    ).then(Course.SeatFreed, Course.SeatHeld, person=CYD)


def test_a_seat_that_all_were_passed_over_for_is_free():
    steps = (*QUEUE, freed(ADA), skipped(CYD), skipped(DAN))
    assert given(draft(), *steps).aggregate.seats_free == 1
    given(draft(), *steps).when(Course.request_seat, **ask(EVE)).then(Course.SeatTaken)
    given(draft(), *steps).when(Course.confirm_held, person=DAN, **SAID).then(Course.SeatTaken, override=None)


def test_only_somebody_with_a_held_seat_is_skipped_and_for_a_reason():
    steps = (*QUEUE, freed(ADA))
    given(draft(), *steps).when(Course.skip, person=DAN, reason="unreachable", **SAID).then_refused(NoSeatHeld)
    given(draft(), *steps).when(Course.skip, person=BEA, reason="unreachable", **SAID).then_refused(NoSeat)
    given(draft(), *steps).when(Course.skip, person=CYD, reason="", **SAID).then_refused(ReasonMissing)


def test_who_leaves_the_queue_gives_their_held_seat_to_the_next():
    given(draft(), *QUEUE, freed(ADA)).when(Course.free_seat, person=CYD, reason="withdrawn", **SAID).then(
        Course.QueueLeft, Course.SeatHeld, person=DAN
    )


def test_a_ticket_is_never_given_twice():
    given(draft(), *FULL, asked(CYD), freed(CYD)).when(Course.request_seat, **ask(DAN)).then(Course.Queued, ticket=2)


def test_somebody_without_a_seat_frees_none():
    given(draft(), *FULL).when(Course.free_seat, person=EVE, reason="withdrawn", **SAID).then_refused(NoSeat)


def test_a_seat_freed_after_delivery_is_held_for_nobody():
    given(draft(), *QUEUE, delivered).when(Course.free_seat, person=ADA, reason="withdrawn", **SAID).then(
        Course.SeatFreed
    )


def test_more_seats_are_held_for_the_first_in_the_queue():
    given(draft(), *QUEUE).when(Course.change_capacity, capacity=Capacity.of(3), reason="larger_room", **SAID).then(
        Course.CapacityChanged, Course.SeatHeld, person=CYD
    )
    given(draft(), *QUEUE).when(
        Course.change_capacity, capacity=Capacity.without_limit(), reason="online_now", **SAID
    ).then(Course.CapacityChanged, Course.SeatHeld, Course.SeatHeld, person=DAN)


def test_fewer_seats_than_are_taken_or_held_are_refused():
    given(draft(), *QUEUE, freed(ADA)).when(
        Course.change_capacity, capacity=Capacity.of(1), reason="smaller_room", **SAID
    ).then_refused(CapacityBelowSeats, "1 seats are taken and 1 held; 1 are too few")


def test_the_same_capacity_again_records_nothing():
    given(draft(), *QUEUE).when(Course.change_capacity, capacity=Capacity.of(2), reason="same", **SAID).then()


def test_a_substitute_takes_the_seat_before_the_queue():
    scenario = given(draft(), *QUEUE).when(Course.substitute, old=ADA, new=EVE, new_enrolment=enrolment(EVE), **SAID)
    scenario.then(Course.SeatFreed, Course.SeatTaken, person=EVE, enrolment=enrolment(EVE), override=None)
    assert scenario.after().seats == {BEA, EVE}


def test_a_substitute_out_of_the_queue_leaves_it():
    scenario = given(draft(), *QUEUE, freed(ADA)).when(
        Course.substitute, old=BEA, new=CYD, new_enrolment=enrolment(CYD), **SAID
    )
    scenario.then(Course.SeatFreed, Course.SeatTaken, Course.SeatHeld, person=DAN)
    assert scenario.after().rank_of(CYD) is None


def test_a_substitution_needs_a_seat_and_another_person():
    said = {"new_enrolment": enrolment(EVE), **SAID}
    given(draft(), *QUEUE).when(Course.substitute, old=ADA, new=ADA, **said).then_refused(SamePerson)
    given(draft(), *QUEUE).when(Course.substitute, old=CYD, new=EVE, **said).then_refused(NoSeat)
    given(draft(), *QUEUE).when(Course.substitute, old=ADA, new=BEA, **said).then_refused(SeatAlreadyTaken)


def test_a_walk_in_takes_a_free_seat_even_after_the_end_of_enrolment_or_delivery():
    for steps in ((*OPEN, enrolment_closed), (*OPEN, delivered)):
        given(draft(), *steps).when(Course.admit_walk_in, **ask(ADA)).then(Course.SeatTaken, override=None)


def test_a_walk_in_into_a_full_course_needs_a_registrars_reason():
    given(draft(), *QUEUE).when(Course.admit_walk_in, **ask(EVE)).then_refused(CourseFull)
    given(draft(), *QUEUE).when(Course.admit_walk_in, **ask(EVE, override="empty_chair")).then(
        Course.SeatTaken, override="empty_chair"
    )


def test_a_walk_in_out_of_the_queue_takes_the_seat_that_is_held_for_them():
    steps = (*QUEUE, freed(ADA))
    given(draft(), *steps).when(Course.admit_walk_in, **ask(CYD)).then(Course.SeatTaken, person=CYD, override=None)
    given(draft(), *steps).when(Course.admit_walk_in, **ask(DAN)).then_refused(CourseFull)


def test_a_walk_in_has_no_seat_yet():
    given(draft(), *FULL).when(Course.admit_walk_in, **ask(ADA)).then_refused(SeatAlreadyTaken)


def test_free_seats_are_neither_taken_nor_held():
    assert draft().seats_free is None
    assert given(draft(), *OPEN, asked(ADA)).aggregate.seats_free == 1
    assert given(draft(), *QUEUE, freed(ADA)).aggregate.seats_free == 0


def test_it_is_on_record_on_whose_behalf_somebody_asked():
    given(draft(), *OPEN).when(Course.request_seat, **ask(ADA, on_behalf_of=ADA)).then(
        Course.SeatTaken, on_behalf_of=ADA
    )


# Whatever happens.


PEOPLE = st.integers(1, 9).map(lambda n: UUID(int=n))
REASONS = st.sampled_from([None, "override"])


class Seats(RuleBasedStateMachine):
    """Requests, withdrawals, holds, skips, substitutions and new capacities in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.course = draft(course=uuid4())
        for step in (scheduled, led, opened(2)):
            step(self.course)
        self.excess = 0

    def do(self, command: Callable[..., object], **said: Any) -> None:
        """Do what may be refused; a refusal records nothing."""
        before = self.course.version
        try:
            command(**said, **SAID)
        except Refused:
            assert self.course.version == before
        new = self.course.pending_events[before:]
        overridden = sum(1 for event in new if isinstance(event, Course.SeatTaken) and event.override is not None)
        excess = self.now_in_excess()
        assert excess <= self.excess + overridden
        self.excess = excess

    def now_in_excess(self) -> int:
        limit = self.course.capacity.limit
        return 0 if limit is None else max(0, len(self.course.seats) + len(self.course.held_seats) - limit)

    @rule(person=PEOPLE, override=REASONS)
    def request(self, person: UUID, override: str | None) -> None:
        self.do(self.course.request_seat, person=person, enrolment=enrolment(person), override=override)

    @rule(person=PEOPLE, override=REASONS)
    def walk_in(self, person: UUID, override: str | None) -> None:
        self.do(self.course.admit_walk_in, person=person, enrolment=enrolment(person), override=override)

    @rule(person=PEOPLE)
    def free(self, person: UUID) -> None:
        self.do(self.course.free_seat, person=person, reason="withdrawn")

    @precondition(lambda self: self.course.queue)
    @rule(data=st.data())
    def leave_queue(self, data: st.DataObject) -> None:
        self.course.free_seat(person=data.draw(st.sampled_from(list(self.course.queue))), reason="withdrawn", **SAID)

    @rule(data=st.data())
    def request_anew(self, data: st.DataObject) -> None:
        """Somebody asks who is neither on the course nor in its queue; so that it is crowded soon."""
        others = [UUID(int=n) for n in range(1, 10)]
        others = [one for one in others if one not in self.course.seats and one not in self.course.queue]
        if others:
            person = data.draw(st.sampled_from(others))
            self.do(self.course.request_seat, person=person, enrolment=enrolment(person))

    @rule(person=PEOPLE, override=REASONS)
    def confirm(self, person: UUID, override: str | None) -> None:
        self.do(self.course.confirm_held, person=person, override=override)

    @precondition(lambda self: self.course.held_seats)
    @rule(data=st.data())
    def confirm_whose_turn_it_is(self, data: st.DataObject) -> None:
        person = data.draw(st.sampled_from(sorted(self.course.held_seats)))
        self.course.confirm_held(person=person, **SAID)

    @precondition(lambda self: self.course.held_seats)
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        person = data.draw(st.sampled_from(sorted(self.course.held_seats)))
        self.course.skip(person=person, reason="unreachable", **SAID)

    @rule(old=PEOPLE, new=PEOPLE)
    def substitute(self, old: UUID, new: UUID) -> None:
        self.do(self.course.substitute, old=old, new=new, new_enrolment=enrolment(new))

    @rule(limit=st.sampled_from([1, 2, 3, 4, 5, None]))
    def change_capacity(self, limit: int | None) -> None:
        capacity = Capacity.without_limit() if limit is None else Capacity.of(limit)
        was_over = self.excess
        self.do(self.course.change_capacity, capacity=capacity, reason="other_room")
        assert self.excess <= was_over

    @rule()
    def toggle_enrolment(self) -> None:
        self.do(self.course.close_enrolment if self.course.enrolment_open else self.course.reopen_enrolment)

    @invariant()
    def each_person_is_on_the_course_once(self) -> None:
        live: dict[UUID, str] = {}
        for event in self.course.pending_events:
            match event:
                case Course.SeatTaken(person=person):
                    assert live.get(person) != "seat"
                    live[person] = "seat"
                case Course.Queued(person=person):
                    assert person not in live
                    live[person] = "queue"
                case Course.SeatFreed(person=person):
                    assert live.pop(person) == "seat"
                case Course.QueueLeft(person=person):
                    assert live.pop(person) == "queue"
        assert {person for person, where in live.items() if where == "seat"} == self.course.seats
        assert {person for person, where in live.items() if where == "queue"} == set(self.course.queue)

    @invariant()
    def ranks_count_from_one_in_the_order_of_tickets(self) -> None:
        by_ticket = sorted(self.course.queue, key=lambda person: self.course.queue[person].ticket)
        assert [self.course.rank_of(person) for person in by_ticket] == list(range(1, len(by_ticket) + 1))

    @invariant()
    def tickets_are_given_once(self) -> None:
        tickets = [event.ticket for event in self.course.pending_events if isinstance(event, Course.Queued)]
        assert tickets == list(range(1, len(tickets) + 1))

    @invariant()
    def seats_are_held_for_people_who_wait(self) -> None:
        assert self.course.held_seats <= self.course.queue.keys()
        assert self.course.passed_over <= self.course.queue.keys() - self.course.held_seats

    @invariant()
    def no_seat_is_free_while_somebody_waits_who_was_not_passed_over(self) -> None:
        waiting = self.course.queue.keys() - self.course.held_seats - self.course.passed_over
        free = self.course.seats_free
        assert not waiting or free == 0

    @invariant()
    def the_events_give_the_same_state(self) -> None:
        again = vars(replay(self.course))
        now = vars(self.course)
        assert {name: again[name] for name in again if name != "_pending_events"} == {
            name: now[name] for name in now if name != "_pending_events"
        }


TestSeats = Seats.TestCase
TestSeats.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
