"""Completion is proposed from half-days, seals and participation, and never from a sum of minutes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from domain.basis import Aspect, Basis
from domain.catalogue import CATALOGUE
from domain.completion import Because, Clause, HalfDay, propose
from domain.credential import policy_on
from domain.register import Mark, Marker, Status
from domain.schedule import Session

CSPO = policy_on(CATALOGUE, body="SA", code="CSPO", on=date(2026, 5, 4))
MORNING = datetime(2026, 5, 4, 7, 0, tzinfo=UTC)
SESSIONS = tuple(
    Session(number, start, start + timedelta(minutes=225), "Europe/Berlin", 210)
    for number, start in enumerate((MORNING + timedelta(hours=hours) for hours in (0, 5, 24, 29)), start=1)
)
RESTS_ON = (Basis(UUID(int=1), 31, Aspect.REGISTER), Basis(UUID(int=2), 3, Aspect.PARTICIPATION))


def mark(status: str = "present", late: int = 0, early: int = 0) -> Mark:
    return Mark(
        mark=UUID(int=1),
        person=UUID(int=2),
        status=Status(status),
        late_minutes=late,
        left_early_minutes=early,
        marked_at=MORNING,
        author=UUID(int=3),
        authority=Marker.LEAD,
        skewed=False,
    )


def proposal(**other) -> Because:
    """What is proposed for somebody who was there all the time, but for what `other` says."""
    told = {
        "sessions": SESSIONS,
        "marks": {session.number: mark() for session in SESSIONS},
        "sealed": {session.number: 1 for session in SESSIONS},
        "make_ups": {},
        "participation": True,
        "tolerance_minutes": 15,
        "policy": CSPO,
        "rests_on": RESTS_ON,
    }
    return propose(**{**told, **other})


def with_marks(**by_session: Mark | None) -> dict[int, Mark | None]:
    marks = {session.number: mark() for session in SESSIONS}
    return {**marks, **{int(name.removeprefix("on_")): each for name, each in by_session.items()}}


def unmet(because: Because) -> list[str]:
    assert because.proposed == (because.unmet == ())
    return [clause.name for clause in because.unmet]


def clause(because: Because, name: str) -> Clause:
    (found,) = (each for each in because.clauses if each.name == name)
    return found


def test_who_was_there_and_took_part_completes():
    because = proposal()
    assert because.proposed
    assert [each.name for each in because.clauses] == [
        "all_registers_sealed",
        "half_day_1",
        "half_day_2",
        "half_day_3",
        "half_day_4",
        "participation",
        "contact_minutes_offered",
    ]
    assert because.half_days[0] == HalfDay(1, 210, 0, 0, "present")
    assert because.rests_on == RESTS_ON
    assert because.policy_version == CSPO.version
    assert because.tolerance_minutes == 15


@pytest.mark.parametrize(
    ("late", "early", "met"), [(15, 0, True), (16, 0, False), (0, 15, True), (8, 7, True), (8, 8, False)]
)
def test_missed_minutes_of_a_half_day_are_compared_with_the_tolerance(late, early, met):
    because = proposal(marks=with_marks(on_2=mark("late", late, early)))
    assert unmet(because) == ([] if met else ["half_day_2"])
    assert because.half_days[1].missed_minutes == late + early


def test_the_tolerance_is_for_each_half_day_and_never_saved_up():
    every_time = {session.number: mark("late", 15) for session in SESSIONS}
    assert proposal(marks=every_time).proposed
    assert unmet(proposal(marks=with_marks(on_3=mark("late", 16)))) == ["half_day_3"]


@pytest.mark.parametrize("status", ["absent", "excused"])
def test_who_was_not_there_missed_the_half_day_excused_or_not(status):
    because = proposal(marks=with_marks(on_4=mark(status)))
    assert unmet(because) == ["half_day_4"]
    assert because.half_days[3] == HalfDay(4, 210, 210, 0, status)
    assert clause(because, "half_day_4").detail == "Missed 210 of 210 minutes; up to 15 are tolerated."


@pytest.mark.parametrize("marks", [{1: mark(), 2: mark(), 3: mark()}, with_marks(on_4=None)])
def test_unmarked_is_neither_absent_nor_present(marks):
    because = proposal(marks=marks)
    assert unmet(because) == ["half_day_4"]
    assert because.half_days[3] == HalfDay(4, 210, None, 0, "unmarked")
    assert clause(because, "half_day_4").detail == "Unmarked: neither present nor absent."


def test_unmarked_is_not_made_up_for():
    assert unmet(proposal(marks=with_marks(on_4=None), make_ups={4: 210})) == ["half_day_4"]


def test_nobody_misses_more_than_was_taught():
    because = proposal(marks=with_marks(on_1=mark("late", 200, 20)))
    assert because.half_days[0].missed_minutes == 210


@pytest.mark.parametrize(("made_up", "met"), [(194, False), (195, True), (210, True), (300, True)])
def test_what_was_made_up_counts_against_what_was_missed(made_up, met):
    because = proposal(marks=with_marks(on_1=mark("absent")), make_ups={1: made_up})
    assert unmet(because) == ([] if met else ["half_day_1"])
    assert because.half_days[0].made_up_minutes == made_up
    assert f", {made_up} made up;" in clause(because, "half_day_1").detail


def test_a_make_up_counts_for_its_own_half_day_only():
    assert unmet(proposal(marks=with_marks(on_1=mark("absent")), make_ups={2: 210})) == ["half_day_1"]


@pytest.mark.parametrize("sealed", [{1: 1, 2: 1, 4: 2}, {1: 1, 2: 1, 3: None, 4: 2}])
def test_the_register_is_sealed_when_all_sessions_are(sealed):
    because = proposal(sealed=sealed)
    assert unmet(because) == ["all_registers_sealed"]
    assert clause(because, "all_registers_sealed").detail == "Not sealed: session 3."


def test_the_sealed_versions_used_are_named():
    detail = clause(proposal(sealed={1: 1, 2: 3, 3: 1, 4: 1}), "all_registers_sealed").detail
    assert "session 2 in version 3" in detail


def test_a_course_without_sessions_is_completed_by_nobody():
    assert "all_registers_sealed" in unmet(proposal(sessions=()))


@pytest.mark.parametrize("participation", [None, False])
def test_presence_alone_does_not_complete(participation):
    assert unmet(proposal(participation=participation)) == ["participation"]


def test_participation_is_not_asked_for_where_the_credential_does_not():
    assert proposal(participation=None, policy=replace(CSPO, participation_required=False)).proposed


def test_a_course_with_too_little_contact_time_needs_the_institutions_reason():
    short = tuple(replace(session, contact_minutes=200) for session in SESSIONS)
    because = proposal(sessions=short)
    assert unmet(because) == ["contact_minutes_offered"]
    assert "offered 800 of 840 minutes" in clause(because, "contact_minutes_offered").detail
    accepted = proposal(sessions=short, shortfall_accepted=True)
    assert accepted.proposed
    assert "offered 800 of 840 minutes" in clause(accepted, "contact_minutes_offered").detail


def test_where_no_contact_time_is_prescribed_any_will_do():
    assert proposal(policy=replace(CSPO, contact_minutes=None), sessions=SESSIONS[:1]).proposed


attended = st.one_of(
    st.none(),
    st.sampled_from([mark(), mark("absent"), mark("excused")]),
    st.builds(mark, st.sampled_from(["late", "left_early"]), st.integers(0, 225), st.integers(0, 225)),
)
learners = st.fixed_dictionaries(
    {
        "marks": st.fixed_dictionaries({session.number: attended for session in SESSIONS}),
        "make_ups": st.dictionaries(st.integers(1, 4), st.integers(0, 240)),
        "participation": st.sampled_from([True, False, None]),
        "tolerance_minutes": st.integers(0, 240),
        "sealed": st.fixed_dictionaries({session.number: st.none() | st.integers(1, 3) for session in SESSIONS}),
    }
)


@settings(deadline=None)
@for_any(learners)
def test_what_is_proposed_is_what_all_clauses_say_and_each_half_day_has_one(told):
    because = proposal(**told)
    assert because.proposed == all(each.met for each in because.clauses)
    names = [each.name for each in because.clauses]
    assert len(set(names)) == len(names)
    for half_day in because.half_days:
        left = None if half_day.missed_minutes is None else half_day.missed_minutes - half_day.made_up_minutes
        assert clause(because, f"half_day_{half_day.session}").met == (
            left is not None and left <= told["tolerance_minutes"]
        )
        assert half_day.missed_minutes is None or 0 <= half_day.missed_minutes <= half_day.planned_minutes


@settings(deadline=None)
@for_any(learners, st.integers(1, 4), st.integers(1, 60))
def test_more_made_up_or_more_tolerated_never_speaks_against_anybody(told, session, minutes):
    before = {each.name for each in proposal(**told).clauses if each.met}
    made_up = {**told["make_ups"], session: told["make_ups"].get(session, 0) + minutes}
    tolerated = told["tolerance_minutes"] + minutes
    assert before <= {each.name for each in proposal(**{**told, "make_ups": made_up}).clauses if each.met}
    assert before <= {each.name for each in proposal(**{**told, "tolerance_minutes": tolerated}).clauses if each.met}


@settings(deadline=None)
@for_any(learners, st.integers(1, 4))
def test_another_half_day_never_changes_what_is_said_of_this_one(told, session):
    there = proposal(**{**told, "marks": {**told["marks"], session: mark()}})
    gone = proposal(**{**told, "marks": {**told["marks"], session: mark("absent")}})
    others = [f"half_day_{each.number}" for each in SESSIONS if each.number != session]
    assert [clause(there, name) for name in others] == [clause(gone, name) for name in others]


@settings(deadline=None)
@for_any(learners, st.permutations(SESSIONS))
def test_the_order_of_sessions_changes_no_clause(told, sessions):
    shuffled = {each.name: each.met for each in proposal(**told, sessions=tuple(sessions)).clauses}
    assert shuffled == {each.name: each.met for each in proposal(**told).clauses}
