"""What a trainer may teach, and when they are free."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.credential import UnknownBody
from domain.reason import ReasonMissing
from domain.schedule import UnknownZone
from domain.trainer import (
    AlreadyAuthorised,
    AuthorisationDates,
    AuthorisationOver,
    AuthorisationUnproven,
    Authority,
    DoubleBooked,
    ImpossibleSlot,
    NotAuthorised,
    NotBooked,
    Role,
    Slot,
    Trainer,
    UnknownAuthorisation,
)
from tests.scenario import given, replay

MARIE, REGISTRAR, DESK = uuid4(), uuid4(), uuid4()
SPRING, SUMMER = uuid4(), uuid4()
AT = datetime(2026, 1, 7, 9, tzinfo=UTC)
SAID: dict[str, Any] = {"by": REGISTRAR, "at": AT}
BERLIN = "Europe/Berlin"
LEADS_2026: dict[str, Any] = {
    "body": "SA",
    "code": "CSPO",
    "role": Authority.LEAD,
    "valid_from": date(2026, 1, 1),
    "valid_until": date(2026, 12, 31),
    "evidence": "SA listing of 2026-01-05",
}


def registered() -> Trainer:
    return Trainer.register(person=MARIE, **SAID)


def authorised(**but: Any) -> Callable[[Trainer], object]:
    return lambda trainer: trainer.authorise(**(LEADS_2026 | but), **SAID)


def ended(number: int, on: date) -> Callable[[Trainer], object]:
    return lambda trainer: trainer.end_authorisation(number=number, on=on, reason="withdrawn_by_body", **SAID)


def slot(session: int, starts: datetime, hours: float = 3) -> Slot:
    return Slot(session, starts, starts + timedelta(hours=hours))


def on(month: int, day: int, hour: int = 8, minute: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def wish(*slots: Slot, course: UUID = SPRING, **but: Any) -> dict[str, Any]:
    return {
        "course": course,
        "body": "SA",
        "code": "CSPO",
        "role": Role.LEAD,
        "slots": slots,
        "zone": BERLIN,
        **SAID,
        **but,
    }


def booked(*slots: Slot, **but: Any) -> Callable[[Trainer], object]:
    return lambda trainer: trainer.book(**wish(*slots, **but))


MORNING, AFTERNOON = slot(1, on(3, 12, 8)), slot(2, on(3, 12, 12))


def test_a_person_is_a_trainer_once():
    trainer = registered()
    [event] = trainer.pending_events
    assert (type(event), event.person, event.by, event.at) == (Trainer.Registered, MARIE, REGISTRAR, AT)
    assert trainer.id == Trainer.create_id(MARIE) == Trainer.create_id(person=MARIE)
    assert trainer.id not in (MARIE, Trainer.create_id(REGISTRAR))


def test_an_authorisation_is_recorded_as_the_body_gave_it():
    given(registered).when(Trainer.authorise, **LEADS_2026, **SAID).then(
        Trainer.Authorised, number=1, **LEADS_2026
    ).then_answers(1)


def test_numbers_of_authorisations_go_on_and_are_not_used_again():
    given(registered, authorised(), ended(1, date(2026, 2, 1))).when(Trainer.authorise, **LEADS_2026, **SAID).then(
        Trainer.Authorised, number=2
    )


def test_one_records_on_behalf_of_another():
    given(registered).when(Trainer.authorise, **LEADS_2026, **SAID, on_behalf_of=DESK).then(
        Trainer.Authorised, by=REGISTRAR, on_behalf_of=DESK
    )


@pytest.mark.parametrize(
    ("day", "authority"),
    [
        (date(2025, 12, 31), None),
        (date(2026, 1, 1), Authority.LEAD),
        (date(2026, 12, 31), Authority.LEAD),
        (date(2027, 1, 1), None),
    ],
)
def test_an_authorisation_holds_from_its_first_day_through_its_last(day, authority):
    given(registered, authorised()).when(Trainer.authority_on, body="SA", code="CSPO", on=day).then_answers(authority)


def test_an_authorisation_without_last_day_goes_on():
    given(registered, authorised(valid_until=None)).when(
        Trainer.authority_on, body="SA", code="CSPO", on=date(2099, 1, 1)
    ).then_answers(Authority.LEAD)


@pytest.mark.parametrize(("body", "code"), [("SA", "CSM"), ("OTHER", "CSPO")])
def test_an_authorisation_is_for_one_credential_of_one_body(body, code):
    given(registered, authorised()).when(Trainer.authority_on, body=body, code=code, on=date(2026, 3, 1)).then_answers(
        None
    )


@pytest.mark.parametrize("order", [(Authority.LEAD, Authority.CANDIDATE), (Authority.CANDIDATE, Authority.LEAD)])
def test_of_two_authorities_the_higher_counts(order):
    given(registered, *(authorised(role=role) for role in order)).when(
        Trainer.authority_on, body="SA", code="CSPO", on=date(2026, 3, 1)
    ).then_answers(Authority.LEAD)


@pytest.mark.parametrize("field", ["code", "evidence"])
@pytest.mark.parametrize("blank", ["", "  \t"])
def test_an_authorisation_needs_its_credential_and_its_evidence(field, blank):
    scenario = given(registered).when(Trainer.authorise, **(LEADS_2026 | {field: blank}), **SAID)
    scenario.then_refused(AuthorisationUnproven, field)
    assert scenario.refusal.field == field


def test_an_authorisation_is_by_a_body_that_exists():
    given(registered).when(Trainer.authorise, **(LEADS_2026 | {"body": "XYZ"}), **SAID).then_refused(UnknownBody, "XYZ")


def test_an_authorisation_does_not_end_before_it_begins():
    given(registered).when(
        Trainer.authorise, **(LEADS_2026 | {"valid_until": date(2025, 12, 31)}), **SAID
    ).then_refused(AuthorisationDates, "2025-12-31")


def test_an_authorisation_may_hold_for_one_day():
    given(registered).when(Trainer.authorise, **(LEADS_2026 | {"valid_until": date(2026, 1, 1)}), **SAID).then(
        Trainer.Authorised
    )


def test_the_same_authorisation_is_not_recorded_twice():
    given(registered, authorised()).when(Trainer.authorise, **LEADS_2026, **SAID).then_refused(
        AlreadyAuthorised, "number 1"
    )


def test_a_renewal_may_overlap_what_it_renews():
    given(registered, authorised()).when(
        Trainer.authorise, **(LEADS_2026 | {"valid_until": date(2027, 12, 31)}), **SAID
    ).then(Trainer.Authorised, number=2)


def test_an_ended_authorisation_holds_until_the_day_before():
    trainer = given(registered, authorised(), ended(1, date(2026, 6, 1))).after()
    assert trainer.authority_on("SA", "CSPO", date(2026, 5, 31)) is Authority.LEAD
    assert trainer.authority_on("SA", "CSPO", date(2026, 6, 1)) is None


def test_an_end_says_its_day_and_its_reason():
    given(registered, authorised()).when(
        Trainer.end_authorisation, number=1, on=date(2026, 6, 1), reason="withdrawn_by_body", **SAID
    ).then(Trainer.AuthorisationEnded, number=1, on=date(2026, 6, 1), reason="withdrawn_by_body")


def test_an_authorisation_recorded_in_error_ends_on_its_first_day_and_never_held():
    trainer = given(registered, authorised(), ended(1, date(2026, 1, 1))).after()
    assert trainer.authority_on("SA", "CSPO", date(2026, 1, 1)) is None


def end(on: date, *, number: int = 1, reason: str = "lapsed") -> dict[str, Any]:
    return {"number": number, "on": on, "reason": reason, **SAID}


def test_an_end_needs_a_reason():
    given(registered, authorised()).when(Trainer.end_authorisation, **end(date(2026, 6, 1), reason=" ")).then_refused(
        ReasonMissing
    )


def test_only_a_recorded_authorisation_ends():
    given(registered, authorised()).when(Trainer.end_authorisation, **end(date(2026, 6, 1), number=2)).then_refused(
        UnknownAuthorisation, "number 2"
    )


def test_an_end_lies_not_before_the_beginning():
    given(registered, authorised()).when(Trainer.end_authorisation, **end(date(2025, 12, 31))).then_refused(
        AuthorisationDates
    )


def test_an_authorisation_that_has_run_out_does_not_end_again():
    given(registered, authorised()).when(Trainer.end_authorisation, **end(date(2027, 1, 1))).then_refused(
        AuthorisationOver
    )


def test_an_authorisation_may_end_on_what_would_have_been_its_last_day():
    given(registered, authorised()).when(Trainer.end_authorisation, **end(date(2026, 12, 31))).then(
        Trainer.AuthorisationEnded
    )


def test_an_end_moves_to_an_earlier_day_but_never_to_a_later_one():
    once = [registered, authorised(), ended(1, date(2026, 6, 1))]
    given(*once).when(Trainer.end_authorisation, **end(date(2026, 5, 31))).then(Trainer.AuthorisationEnded)
    given(*once).when(Trainer.end_authorisation, **end(date(2026, 6, 1))).then_refused(AuthorisationOver)
    given(*once).when(Trainer.end_authorisation, **end(date(2026, 6, 2))).then_refused(AuthorisationOver)


def test_an_end_is_recorded_though_courses_rest_on_it_and_names_them():
    given(
        registered,
        authorised(),
        booked(MORNING),
        booked(slot(1, on(7, 1)), course=SUMMER),
    ).when(Trainer.end_authorisation, **end(date(2026, 6, 1))).then(Trainer.AuthorisationEnded).then_answers((SUMMER,))


def test_another_authorisation_still_covers_the_courses_when_one_ends():
    given(registered, authorised(), authorised(valid_until=None), booked(MORNING)).when(
        Trainer.end_authorisation, **end(date(2026, 2, 1))
    ).then_answers(())


def test_a_lead_is_booked_for_all_sessions_in_their_order():
    given(registered, authorised()).when(Trainer.book, **wish(AFTERNOON, MORNING)).then(
        Trainer.Booked,
        course=SPRING,
        body="SA",
        code="CSPO",
        role=Role.LEAD,
        slots=(MORNING, AFTERNOON),
        zone=BERLIN,
    )


def test_nobody_leads_without_authority():
    given(registered).when(Trainer.book, **wish(MORNING)).then_refused(NotAuthorised, "SA/CSPO on 2026-03-12")


def test_authority_is_asked_on_every_date_and_the_refusal_names_those_without():
    given(registered, authorised()).when(
        Trainer.book, **wish(slot(1, on(12, 31)), slot(2, on(1, 1, year=2027)), slot(3, on(1, 2, year=2027)))
    ).then_refused(NotAuthorised, "on 2027-01-01, 2027-01-02.")


def test_two_authorisations_cover_a_course_together():
    given(registered, authorised(), authorised(valid_from=date(2027, 1, 1), valid_until=None)).when(
        Trainer.book, **wish(slot(1, on(12, 31)), slot(2, on(1, 1, year=2027)))
    ).then(Trainer.Booked)


@pytest.mark.parametrize(
    ("zone", "starts", "local"),
    [
        ("Pacific/Auckland", on(12, 31, 20), "2027-01-01"),
        ("America/Los_Angeles", on(1, 1, 4), "2025-12-31"),
    ],
)
def test_the_date_is_the_one_where_the_session_takes_place(zone, starts, local):
    given(registered, authorised()).when(Trainer.book, **wish(slot(1, starts), zone=zone)).then_refused(
        NotAuthorised, local
    )
    given(registered, authorised()).when(Trainer.book, **wish(slot(1, starts), zone="UTC")).then(Trainer.Booked)


def test_a_session_past_midnight_counts_for_the_day_it_began():
    given(registered, authorised()).when(Trainer.book, **wish(slot(1, on(12, 31, 22), hours=4), zone="UTC")).then(
        Trainer.Booked
    )


def test_an_authorisation_for_another_credential_does_not_help():
    given(registered, authorised()).when(Trainer.book, **wish(MORNING, code="CSM")).then_refused(
        NotAuthorised, "SA/CSM"
    )


def test_a_candidate_co_trains():
    given(registered, authorised(role=Authority.CANDIDATE)).when(
        Trainer.book, **wish(MORNING, role=Role.CO_TRAINER)
    ).then(Trainer.Booked, role=Role.CO_TRAINER)


def test_a_candidate_does_not_lead():
    given(registered, authorised(role=Authority.CANDIDATE)).when(Trainer.book, **wish(MORNING)).then_refused(
        NotAuthorised, "On 2026-03-12 this trainer is only a candidate for SA/CSPO"
    )


def test_who_may_lead_may_co_train():
    given(registered, authorised()).when(Trainer.book, **wish(MORNING, role=Role.CO_TRAINER)).then(Trainer.Booked)


def test_nobody_co_trains_without_authority():
    given(registered).when(Trainer.book, **wish(MORNING, role=Role.CO_TRAINER)).then_refused(NotAuthorised)


def test_a_course_that_has_no_dates_yet_is_booked_and_judged_later():
    given(registered).when(Trainer.book, **wish()).then(Trainer.Booked, slots=())
    given(registered, booked()).when(Trainer.book, **wish(MORNING)).then_refused(NotAuthorised)


def test_nothing_hangs_on_authority_that_ended_before_another_booking_is_judged():
    given(registered, authorised(), booked(MORNING), ended(1, date(2026, 2, 1))).when(
        Trainer.book, **wish(MORNING)
    ).then_refused(NotAuthorised)


@pytest.mark.parametrize(
    ("starts", "hours"),
    [
        (on(3, 12, 8), 3.0),
        (on(3, 12, 7), 1.5),
        (on(3, 12, 10, 59), 1.0),
        (on(3, 12, 9), 1.0),
        (on(3, 12, 7), 6.0),
    ],
    ids=["same", "reaches in", "begins in", "within", "around"],
)
def test_nobody_teaches_two_courses_at_once(starts, hours):
    scenario = given(registered, authorised(), booked(MORNING)).when(
        Trainer.book, **wish(slot(4, starts, hours), course=SUMMER)
    )
    scenario.then_refused(DoubleBooked, f"session 1 of course {SPRING}")
    assert "from 2026-03-12 09:00 to 2026-03-12 12:00 (Europe/Berlin)" in scenario.refusal.message


@pytest.mark.parametrize("starts", [on(3, 12, 5), on(3, 12, 11), on(3, 13, 8)], ids=["before", "after", "next day"])
def test_one_course_may_begin_when_another_ends(starts):
    given(registered, authorised(), booked(MORNING)).when(Trainer.book, **wish(slot(1, starts), course=SUMMER)).then(
        Trainer.Booked
    )


def test_a_co_trainer_is_taken_as_well():
    given(registered, authorised(), booked(MORNING, role=Role.CO_TRAINER)).when(
        Trainer.book, **wish(MORNING, course=SUMMER)
    ).then_refused(DoubleBooked)


def test_nobody_teaches_two_sessions_of_one_course_at_once():
    given(registered, authorised()).when(Trainer.book, **wish(MORNING, slot(2, on(3, 12, 10)))).then_refused(
        DoubleBooked, "Sessions 1 and 2"
    )


def test_booking_a_course_again_replaces_its_times():
    moved = slot(1, on(3, 12, 9))
    given(registered, authorised(), booked(MORNING)).when(Trainer.book, **wish(moved)).then(
        Trainer.Booked, slots=(moved,)
    )
    given(registered, authorised(), booked(MORNING), booked(slot(1, on(4, 1)))).when(
        Trainer.book, **wish(MORNING, course=SUMMER)
    ).then(Trainer.Booked)


def test_a_replacement_that_collides_leaves_the_booking_as_it_was():
    scenario = given(registered, authorised(), booked(MORNING), booked(slot(1, on(4, 1)), course=SUMMER)).when(
        Trainer.book, **wish(slot(1, on(4, 1)))
    )
    scenario.then_refused(DoubleBooked)
    assert scenario.after().bookings[SPRING].slots == (MORNING,)


def test_a_co_trainer_becomes_the_lead_by_booking_again():
    given(registered, authorised(), booked(MORNING, role=Role.CO_TRAINER)).when(Trainer.book, **wish(MORNING)).then(
        Trainer.Booked, role=Role.LEAD
    )


def test_booking_the_same_again_records_nothing():
    given(registered, authorised(), booked(MORNING, AFTERNOON)).when(Trainer.book, **wish(AFTERNOON, MORNING)).then()


def test_a_released_time_is_free():
    given(
        registered,
        authorised(),
        booked(MORNING),
        lambda trainer: trainer.release(course=SPRING, reason="course_cancelled", **SAID),
    ).when(Trainer.book, **wish(MORNING, course=SUMMER)).then(Trainer.Booked)


def test_a_release_says_the_course_and_the_reason():
    given(registered, authorised(), booked(MORNING)).when(Trainer.release, course=SPRING, reason="ill", **SAID).then(
        Trainer.Released, course=SPRING, reason="ill"
    )


def test_a_release_needs_a_reason():
    given(registered, authorised(), booked(MORNING)).when(
        Trainer.release, course=SPRING, reason="", **SAID
    ).then_refused(ReasonMissing)


def test_only_a_booked_course_is_released():
    given(registered, authorised(), booked(MORNING)).when(
        Trainer.release, course=SUMMER, reason="ill", **SAID
    ).then_refused(NotBooked)


def test_a_released_course_no_longer_lacks_authority():
    trainer = given(
        registered,
        authorised(),
        booked(MORNING),
        ended(1, date(2026, 2, 1)),
    ).after()
    assert trainer.courses_without_authority() == (SPRING,)
    trainer.release(course=SPRING, reason="replaced", **SAID)
    assert trainer.courses_without_authority() == ()


@pytest.mark.parametrize(
    ("slots", "match"),
    [
        ([Slot(1, on(3, 12, 9), on(3, 12, 8))], "Session 1 ends"),
        ([Slot(1, on(3, 12, 9), on(3, 12, 9))], "Session 1 ends"),
        ([Slot(3, on(3, 12, 9).replace(tzinfo=None), on(3, 12, 10).replace(tzinfo=None))], "session 3"),
        ([MORNING, slot(1, on(3, 13))], "same number"),
    ],
    ids=["backwards", "empty", "no zone", "number twice"],
)
def test_slots_have_to_make_sense(slots, match):
    given(registered, authorised()).when(Trainer.book, **wish(*slots)).then_refused(ImpossibleSlot, match)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "Europe", "UTC\0"])
def test_the_zone_has_to_exist(zone):
    given(registered, authorised()).when(Trainer.book, **wish(MORNING, zone=zone)).then_refused(UnknownZone)


COURSES = [uuid4() for _ in range(4)]
HOURS = st.integers(min_value=0, max_value=20)
PLANS = st.lists(st.tuples(HOURS, st.integers(min_value=1, max_value=4)), max_size=3)
MOVES = st.lists(st.tuples(st.sampled_from(COURSES), st.none() | PLANS), max_size=25)


def planned(plan: list[tuple[int, int]]) -> tuple[Slot, ...]:
    return tuple(
        slot(number, on(3, 12, 0) + timedelta(hours=begins), hours) for number, (begins, hours) in enumerate(plan, 1)
    )


def clash(one: Slot, other: Slot) -> bool:
    """Say it in another way than the code does: some hour belongs to both."""
    return not hours_of(one).isdisjoint(hours_of(other))


def hours_of(one: Slot) -> set[datetime]:
    return {one.starts + timedelta(hours=n) for n in range(int((one.ends - one.starts) / timedelta(hours=1)))}


@for_all(MOVES)
def test_no_two_live_bookings_overlap_and_nothing_free_is_refused(moves):
    trainer = registered()
    authorised()(trainer)
    expected: dict[UUID, tuple[Slot, ...]] = {}
    for course, plan in moves:
        if plan is None:
            try:
                trainer.release(course=course, reason="moved", **SAID)
            except NotBooked:
                assert course not in expected
            else:
                del expected[course]
        else:
            slots = planned(plan)
            elsewhere = [taken for other, all_ in expected.items() if other != course for taken in all_]
            free = not any(clash(*pair) for pair in combinations(slots, 2)) and not any(
                clash(mine, taken) for mine in slots for taken in elsewhere
            )
            try:
                trainer.book(**wish(*slots, course=course))
            except DoubleBooked:
                assert not free
            else:
                assert free
                expected[course] = slots
        live = [taken for booking in trainer.bookings.values() for taken in booking.slots]
        assert not any(clash(*pair) for pair in combinations(live, 2))
    assert {course: set(booking.slots) for course, booking in trainer.bookings.items()} == {
        course: set(slots) for course, slots in expected.items()
    }
    assert replay(trainer).bookings == trainer.bookings
