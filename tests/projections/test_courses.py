"""Courses as the view shows them: now, at any moment before, and made anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from domain.course import Role
from projections import courses as view
from provider.commands import courses
from provider.commands.courses import LocalSession
from provider.office import Office
from provider.work import Act
from tests.academy import FIRST, SECOND, Academy, half_days
from tests.conftest import Clock

Acting = Callable[..., Act]


@pytest.fixture
def academy(office: Office, act: Acting) -> Academy:
    return Academy(office, act)


def test_a_course_has_its_sessions_its_trainers_and_its_totals(academy: Academy) -> None:
    lead, helper = academy.trainer("Lena"), academy.trainer("Hans")
    shown = academy.shown(academy.open(lead, helper))
    assert (shown["title"], shown["body"], shown["code"]) == ("CSPO in Zürich", "SA", "CSPO")
    assert (shown["stage"], shown["first_day"], shown["last_day"]) == ("open", "2026-06-01", "2026-06-02")
    assert (shown["contact_minutes"], shown["scheduled_minutes"]) == (840, 1020)
    assert (shown["lead"], shown["co_trainers"]) == (str(lead), [str(helper)])
    assert [each["number"] for each in shown["sessions"]] == [1, 2, 3, 4]
    assert shown["sessions"][1] == {
        "course": shown["course"],
        "number": 2,
        "starts": "2026-06-01T11:30:00.000000Z",
        "ends": "2026-06-01T15:30:00.000000Z",
        "zone": "Europe/Zurich",
        "local_day": "2026-06-01",
        "scheduled_minutes": 240,
        "planned_minutes": 210,
        "contact_minutes": 210,
        "place": "Zürich",
        "held": None,
        "curtailed": None,
        "cancelled": False,
        "cancelled_reason": None,
    }


def test_a_draft_has_no_sessions_yet(academy: Academy) -> None:
    shown = academy.shown(academy.draft())
    assert (shown["sessions"], shown["first_day"], shown["schedule_version"]) == ([], None, None)
    assert (shown["contact_minutes"], shown["scheduled_minutes"], shown["capacity"]) == (0, 0, None)


def test_nothing_is_found_under_an_unknown_id(academy: Academy, office: Office) -> None:
    course = academy.scheduled()
    with office.views.reading() as read:
        assert view.course(read, uuid4()) is None
        assert view.sessions(read, uuid4()) == []
        assert view.session(read, course, 5) is None
        assert view.session(read, course, 0) is None
        assert view.session(read, course, 10**30) is None


def test_a_local_day_is_that_of_the_session_s_own_zone(academy: Academy) -> None:
    night = LocalSession(day=FIRST, start="18:00", end="23:30", zone="America/Los_Angeles", contact_minutes=300)
    shown = academy.shown(academy.scheduled([night], reason="test"))
    assert shown["sessions"][0]["starts"] == "2026-06-02T01:00:00.000000Z"
    assert (shown["sessions"][0]["local_day"], shown["first_day"], shown["last_day"]) == ("2026-06-01",) * 3


def test_the_schedule_has_the_version_of_the_event_that_last_changed_it(
    academy: Academy, office: Office, act: Acting, clock: Clock
) -> None:
    course = academy.open(academy.trainer("Lena"))
    assert academy.shown(course)["schedule_version"] == 2
    receipt = courses.curtail_session(office, act(), course=course, session=1, contact_minutes=100, reason="fire_alarm")
    assert academy.shown(course)["schedule_version"] == receipt.version
    clock.set(datetime(2026, 6, 1, 18, 0, tzinfo=UTC))
    held = courses.hold_session(office, act(), course=course, session=2)
    assert academy.shown(course)["schedule_version"] == held.version
    courses.close_enrolment(office, act(), course=course)
    assert academy.shown(course)["schedule_version"] == held.version


def test_what_is_planned_anew_is_no_longer_curtailed_but_what_was_held_stays(
    academy: Academy, office: Office, act: Acting, clock: Clock
) -> None:
    course = academy.open(academy.trainer("Lena"))
    courses.curtail_session(office, act(), course=course, session=4, contact_minutes=100, reason="travel")
    clock.set(datetime(2026, 6, 1, 18, 0, tzinfo=UTC))
    courses.hold_session(office, act(), course=course, session=1, contact_minutes=150)
    courses.curtail_session(office, act(), course=course, session=1, contact_minutes=140, reason="counted_anew")
    again = [
        LocalSession(day=FIRST, start="13:30", end="17:30", contact_minutes=210, number=2),
        LocalSession(day=SECOND, start="09:00", end="12:30", contact_minutes=210, number=3),
        LocalSession(day=SECOND, start="13:30", end="17:30", contact_minutes=210, number=4),
    ]
    courses.reschedule(office, act(), course=course, sessions=again, reason="no_travel")
    first, *_, fourth = academy.shown(course)["sessions"]
    assert (fourth["contact_minutes"], fourth["curtailed"]) == (210, None)
    assert (first["contact_minutes"], first["cancelled"]) == (140, False)
    assert first["curtailed"] == {"contact_minutes": 140, "reason": "counted_anew"}
    courses.hold_session(office, act(), course=course, session=1, contact_minutes=210, reason="no_it_was_all")
    assert academy.shown(course)["sessions"][0]["curtailed"] is None


def test_an_earlier_position_shows_the_course_as_it_was(academy: Academy, office: Office, act: Acting) -> None:
    lead, successor = academy.trainer("Lena"), academy.trainer("Susi")
    course = academy.open(lead)
    then = office.log.position()
    courses.replace_trainer(office, act(), course=course, person=lead, new=successor, reason="ill")
    courses.cancel_session(office, act(), course=course, session=4, reason="strike")
    courses.cancel(office, act(), course=course, reason="strike")
    before, after = academy.shown(course, then), academy.shown(course)
    assert (before["stage"], before["lead"], before["contact_minutes"]) == ("open", str(lead), 840)
    assert (after["stage"], after["lead"], after["contact_minutes"]) == ("cancelled", str(successor), 630)
    assert (before["last_day"], len(before["numbers"]), len(after["numbers"])) == ("2026-06-02", 4, 3)
    with office.views.reading() as read:
        assert view.session(read, course, 4, then)["cancelled"] is False  # type: ignore[index]
        assert view.session(read, course, 4)["cancelled"] is True  # type: ignore[index]
        assert view.course(read, course, 1) is None


def test_courses_are_listed_in_pages_and_by_trainer_and_stage(academy: Academy, office: Office, act: Acting) -> None:
    lead, helper = academy.trainer("Lena"), academy.trainer("Hans")
    first = academy.open(lead, helper)
    drafts = [academy.draft(f"Draft {n}") for n in range(3)]
    last = academy.scheduled(half_days(date(2026, 7, 1), date(2026, 7, 2)))
    academy.assign(last, helper)
    then = office.log.position()
    courses.release_trainer(office, act(), course=last, person=helper, reason="ill")

    def ids(**said: object) -> list[str]:
        with office.views.reading() as read:
            return [each["course"] for each in view.listing(read, **said)]  # type: ignore[arg-type]

    everything = [str(each) for each in (first, *drafts, last)]
    assert ids() == everything
    assert ids(limit=2) == everything[:3]
    with office.views.reading() as read:
        place = view.listing(read, limit=1)[1]["drafted"]
    assert ids(after=place) == everything[2:]
    assert ids(stage="draft") == everything[1:4]
    assert ids(person=lead) == [str(first)]
    assert ids(person=helper) == [str(first)]
    # Who was released no longer sees the course, not even as it was.
    assert ids(person=helper, at=then) == [str(first)]
    assert ids(person=uuid4()) == []


def test_the_view_made_anew_is_the_same(academy: Academy, office: Office, act: Acting, clock: Clock) -> None:
    lead, helper, successor = (academy.trainer(name) for name in ("Lena", "Hans", "Susi"))
    course = academy.open(lead, helper)
    courses.list_with_body(office, act(), course=course, body="SA", external_id="4711")
    clock.set(datetime(2026, 6, 1, 18, 0, tzinfo=UTC))
    courses.hold_session(office, act(), course=course, session=1)
    courses.replace_trainer(office, act(), course=course, person=lead, new=successor, reason="ill")
    courses.reschedule(
        office, act(), course=course, sessions=half_days(date(2026, 6, 3), date(2026, 6, 4)), reason="moved"
    )
    courses.confirm(office, act(), course=course)
    courses.cancel(office, act(), course=courses.copy(office, act(), course=course, first_day=SECOND).id, reason="test")
    assert office.views.verify() == []
    now = academy.shown(course)
    office.views.rebuild()
    assert academy.shown(course) == now


def test_a_changed_role_is_one_row(academy: Academy, office: Office, act: Acting) -> None:
    lead = academy.trainer("Lena")
    course = academy.scheduled()
    academy.assign(course, lead, Role.CO_TRAINER)
    academy.assign(course, lead, Role.LEAD)
    shown = academy.shown(course)
    assert (shown["lead"], shown["co_trainers"]) == (str(lead), [])
