"""The completion view: what it proposes after which events, now and then."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest

from domain.basis import Aspect
from domain.enrolment import MakeUpKind
from domain.institution import Settings
from projections import completion as view
from projections import directory
from provider.commands import enrolments, institution
from provider.office import Office
from tests.academy import Acting, half_days
from tests.classroom import SESSIONS, Classroom, seated
from tests.conftest import Clock
from tests.stage import Stage


@pytest.fixture
def stage() -> Stage[Classroom]:
    """Ada and Bob have a seat in a class that is about to begin."""
    return seated("Ada", "Bob")


def unmet(room: Classroom, name: str, at: int | None = None) -> list[str]:
    return [clause.name for clause in room.learner(name, at).because.unmet]


def test_before_anything_happened_nothing_is_met_but_the_contact_minutes(room: Classroom) -> None:
    assert unmet(room, "Ada") == ["all_registers_sealed", *(f"half_day_{n}" for n in SESSIONS), "participation"]
    half_days_ = room.learner("Ada").because.half_days
    assert [(each.status, each.missed_minutes, each.planned_minutes) for each in half_days_] == [
        ("unmarked", None, 210)
    ] * 4


def test_follows_marks_seals_and_participation_as_they_come(room: Classroom) -> None:
    positions = []
    for session in SESSIONS:
        room.all_present(session=session)
        positions.append(room.office.log.position())
        room.seal(session)
    room.attest()
    assert unmet(room, "Ada") == []
    assert room.learner("Ada").because.proposed
    assert unmet(room, "Ada", at=positions[1]) == ["all_registers_sealed", "half_day_3", "half_day_4", "participation"]
    assert room.learner("Ada", at=positions[1]).because.clauses[0].detail == "Not sealed: session 2, 3, 4."


def test_compares_each_half_day_with_the_tolerance(room: Classroom, act: Acting) -> None:
    room.teach(("Ada", "late", 1), ("Bob", "left_early", 3))
    room.attest()
    assert (unmet(room, "Ada"), unmet(room, "Bob")) == (["half_day_1"], ["half_day_3"])
    before = room.office.log.position()
    with room.office.views.reading() as read:
        settings: Settings = directory.settings(read)
    institution.change_settings(room.office, act(), settings=replace(settings, tolerance_minutes=60), reason="agreed")
    assert (unmet(room, "Ada"), unmet(room, "Bob")) == ([], [])
    assert unmet(room, "Ada", at=before) == ["half_day_1"]


def test_rests_on_the_events_that_set_it(room: Classroom, act: Acting) -> None:
    room.teach()
    room.attest()
    bases = {(each.stream, each.aspect): each.version for each in room.learner("Ada").because.rests_on}
    for session in SESSIONS:
        register = UUID(room.register(session)["register"])
        assert bases.pop((register, Aspect.REGISTER)) == room.register(session)["sealed_versions"][0]["version"]
    enrolment = room.enrolment("Ada")
    assert bases.pop((enrolment, Aspect.PARTICIPATION)) == room.learner("Ada").of["version"]
    assert list(bases) == [(room.course, Aspect.SCHEDULE)]


def test_credits_time_made_up_in_another_course_by_its_register(room: Classroom, act: Acting) -> None:
    room.teach(("Bob", "absent", 2))
    room.attest()
    other = room.academy.open(room.lead, sessions=half_days(date(2026, 6, 8), date(2026, 6, 9)))
    bob = room.people["Bob"]
    enrolments.request(room.office, act(), course=other, person=bob)
    elsewhere = Classroom.__new__(Classroom)
    vars(elsewhere).update({**vars(room), "course": other, "people": {"Bob": bob}})
    elsewhere.all_present(session=2)
    elsewhere.seal(2)
    enrolments.credit_make_up(
        room.office,
        act(),
        enrolment=room.enrolment("Bob"),
        session=2,
        minutes=210,
        kind=MakeUpKind.SESSION,
        trainer=room.lead,
        evidence="register",
        elsewhere_course=other,
        elsewhere_session=2,
    )
    because = room.learner("Bob").because
    assert because.proposed
    there = elsewhere.register(2)
    assert (UUID(there["register"]), there["sealed_versions"][0]["version"]) in [
        (each.stream, each.version) for each in because.rests_on
    ]
    enrolments.withdraw_make_up(room.office, act(), enrolment=room.enrolment("Bob"), number=1, reason="mistaken")
    assert unmet(room, "Bob") == ["half_day_2"]
    assert room.learner("Bob").make_ups[0]["withdrawn"] == "mistaken"


def test_less_contact_than_the_policy_asks_is_met_where_the_institution_gave_its_reason(
    office: Office, act: Acting, clock: Clock
) -> None:
    short = half_days(date(2026, 6, 1), date(2026, 6, 2), minutes=150)
    room = Classroom(office, act, clock, "Ada", sessions=short, reason="agreed")
    with office.views.reading() as read:
        assert view.class_of(read, room.course) is not None
    clause = room.learner("Ada").because.clauses[-1]
    assert (clause.name, clause.met) == ("contact_minutes_offered", True)
    assert "accepted" in clause.detail


def test_says_how_far_each_register_is(room: Classroom, act: Acting) -> None:
    room.mark(room.said("Ada"))
    room.all_present(session=2)
    room.seal(2)
    room.outcomes(room.said("Bob", "absent", 2), session=2)
    first, second, *_ = room.completion().registers
    assert (first["sealed_version"], first["unmarked"], first["amendments"]) == (0, 1, 0)
    assert (second["sealed_version"], second["unmarked"], second["amendments"]) == (1, 0, 1)


def test_counts_whoever_came_after_the_seal_as_unmarked(room: Classroom) -> None:
    room.all_present()
    room.seal()
    room.people["Cyd"] = room.enrol("Cyd")
    assert room.completion().registers[0]["unmarked"] == 1
    assert "half_day_1" in unmet(room, "Cyd")


def test_whoever_left_without_a_decision_is_not_listed(room: Classroom, act: Acting) -> None:
    room.teach()
    enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Bob"), reason="ill")
    assert [each.person for each in room.completion().learners] == [str(room.people["Ada"])]


def test_says_where_the_record_moved_after_the_decision(room: Classroom, act: Acting) -> None:
    room.teach()
    room.attest()
    room.decide_all()
    assert not room.learner("Ada").moved
    room.attest_again("Ada", attested=False)
    assert room.learner("Ada").moved
    assert not room.learner("Bob").moved


def test_is_none_where_there_is_no_course(office: Office) -> None:
    with office.views.reading() as read:
        assert view.class_of(read, uuid4()) is None
        assert view.outstanding(read, uuid4()) == ()


def test_a_rebuild_gives_the_same_rows(room: Classroom) -> None:
    room.teach(("Bob", "absent", 2))
    room.attest()
    room.decide_all()
    before = room.completion()
    room.office.views.rebuild()
    assert room.completion() == before
    assert room.office.views.verify() == []
