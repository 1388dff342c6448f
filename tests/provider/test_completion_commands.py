"""Participation and completion as commands on a real office."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.enrolment import (
    CorrectionNeedsApproval,
    Enrolment,
    EnrolmentStage,
    MakeUpKind,
    OwnCorrection,
    ReasonForCorrection,
    ReasonForDeviation,
    RegistersNotSealed,
    WalkInUnconfirmed,
)
from domain.institution import Act as Signed
from domain.person import NothingChanged
from domain.reason import ReasonMissing
from domain.register import NotTheLead
from projections.completion import outstanding
from provider.commands import completion, courses, enrolments, registers
from provider.commands.completion import Lacking, NotInClass, ParticipationNotAttested, ProposalsMoved
from provider.log import NotFound
from provider.office import Office
from provider.work import Stale
from tests.academy import Acting
from tests.classroom import Classroom, seated
from tests.idempotency import key_of
from tests.stage import Stage


@pytest.fixture
def stage() -> Stage[Classroom]:
    """Ada and Bob have a seat in a class that is about to begin."""
    return seated("Ada", "Bob")


@pytest.fixture
def taught(room: Classroom) -> Classroom:
    """All registers are sealed: Ada was there, Bob missed the second session. Participation is attested."""
    room.teach(("Bob", "absent", 2))
    room.attest()
    return room


def decided(room: Classroom, name: str) -> bool | None:
    decision = room.learner(name).decision
    return None if decision is None else decision["completed"]


class TestParticipation:
    def test_is_the_leads_word(self, room: Classroom, act: Acting) -> None:
        said: dict[str, Any] = {"enrolment": room.enrolment("Ada"), "attested": True}
        with pytest.raises(NotTheLead):
            completion.attest_participation(room.office, act(), **said)
        completion.attest_participation(room.office, act(by=room.lead), **said)
        assert room.learner("Ada").participation["attested"] is True
        assert room.learner("Bob").participation["attested"] is None

    def test_a_no_needs_a_reason(self, room: Classroom, act: Acting) -> None:
        said: dict[str, Any] = {"enrolment": room.enrolment("Ada"), "attested": False}
        with pytest.raises(ReasonMissing):
            completion.attest_participation(room.office, act(by=room.lead), **said)
        completion.attest_participation(room.office, act(by=room.lead), **said, reason="asleep", note="All day.")
        known = room.learner("Ada").participation
        assert (known["attested"], known["reason"]) == (False, "asleep")
        assert room.office.vault.open_one(known["note"]) == "All day."

    def test_of_the_class_leaves_out_whom_something_was_said_of(self, room: Classroom, act: Acting) -> None:
        completion.attest_participation(
            room.office, act(by=room.lead), enrolment=room.enrolment("Ada"), attested=False, reason="asleep"
        )
        done = room.attest()
        assert done.ids == (str(room.enrolment("Bob")),)
        assert [each.participation["attested"] for each in room.completion().learners] == [False, True]
        assert room.attest().position is None

    def test_of_the_class_takes_exceptions(self, room: Classroom) -> None:
        room.attest(except_=[Lacking(room.enrolment("Bob"), reason="asleep", note="All day.")])
        assert [each.participation["attested"] for each in room.completion().learners] == [True, False]
        assert not room.learner("Bob").because.proposed

    def test_of_the_class_is_all_or_nothing(self, room: Classroom) -> None:
        with pytest.raises(NotInClass):
            room.attest(except_=[Lacking(uuid4(), reason="asleep")])
        assert room.learner("Ada").participation["attested"] is None


class TestDecision:
    def test_is_taken_on_sealed_registers(self, room: Classroom) -> None:
        with pytest.raises(RegistersNotSealed):
            room.decide("Ada")

    def test_is_the_leads(self, taught: Classroom, act: Acting) -> None:
        with pytest.raises(NotTheLead):
            taught.decide("Ada", by=act().by)

    def test_says_what_it_rests_on(self, taught: Classroom) -> None:
        done = taught.decide("Ada")
        assert done.outcome == "completed"
        decision = taught.learner("Ada").decision
        assert decision is not None
        assert (decision["completed"], decision["deviates"], decision["decided_by"]) == (True, False, str(taught.lead))
        aspects = [each["aspect"] for each in decision["because"]["rests_on"]]
        assert aspects == ["schedule", *["register"] * 4, "participation"]

    def test_otherwise_than_proposed_needs_a_reason(self, taught: Classroom) -> None:
        with pytest.raises(ReasonForDeviation):
            taught.decide("Bob", completed=True)
        taught.decide("Bob", completed=True, reason="made_up_in_the_evening", note="With me.")
        decision = taught.learner("Bob").decision
        assert decision is not None
        assert (decision["completed"], decision["deviates"]) == (True, True)
        assert taught.office.vault.open_one(decision["note"]) == "With me."

    def test_needs_a_seat(self, room: Classroom, act: Acting) -> None:
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment("Bob"), reason="ill")
        room.teach()
        with pytest.raises(EnrolmentStage):
            room.decide("Bob")

    def test_if_match_names_the_enrolments_version(self, taught: Classroom, act: Acting) -> None:
        version = taught.learner("Ada").of["version"]
        said: dict[str, Any] = {"enrolment": taught.enrolment("Ada"), "completed": True}
        with pytest.raises(Stale):
            completion.decide(taught.office, act(by=taught.lead, version=version - 1), **said)
        completion.decide(taught.office, act(by=taught.lead, version=version), **said)

    def test_after_a_make_up_is_proposed_otherwise(self, taught: Classroom, act: Acting) -> None:
        assert not taught.learner("Bob").because.proposed
        enrolments.credit_make_up(
            taught.office,
            act(),
            enrolment=taught.enrolment("Bob"),
            session=2,
            minutes=210,
            kind=MakeUpKind.TUTORIAL,
            trainer=taught.lead,
            evidence="log 7",
        )
        because = taught.learner("Bob").because
        assert because.proposed
        assert [each.made_up_minutes for each in because.half_days] == [0, 210, 0, 0]
        assert because.rests_on[-1].aspect == "make_up"
        taught.decide("Bob")


class TestCorrection:
    @pytest.fixture
    def second(self, person: Callable[..., UUID]) -> UUID:
        return person("Rita", "Registrar")

    def test_needs_a_reason_and_a_second_person(self, taught: Classroom, second: UUID) -> None:
        taught.decide("Ada")
        with pytest.raises(NothingChanged):
            taught.decide("Ada")
        amend(taught)
        with pytest.raises(ReasonForCorrection):
            taught.decide("Ada")
        with pytest.raises(CorrectionNeedsApproval):
            taught.decide("Ada", completed=False, reason="mistaken")
        with pytest.raises(OwnCorrection):
            taught.decide("Ada", completed=False, reason="mistaken", approved_by=taught.lead)
        taught.decide("Ada", completed=False, reason="mistaken", approved_by=second)
        first, correction = taught.learner("Ada").decisions
        assert (correction["supersedes"], correction["approved_by"]) == (first["version"], str(second))
        assert correction["solo"] is False
        assert decided(taught, "Ada") is False

    def test_needs_one_person_where_the_institution_works_solo(self, taught: Classroom) -> None:
        taught.solo(Signed.COMPLETION_CORRECTION)
        taught.decide("Ada")
        taught.decide("Ada", completed=False, reason="mistaken")
        assert taught.learner("Ada").decisions[-1]["solo"] is True

    def test_of_the_class_never_happens_by_the_way(self, taught: Classroom) -> None:
        taught.decide("Ada", completed=False, reason="asleep")
        done = taught.decide_all()
        assert done.ids == (str(taught.enrolment("Bob")),)
        assert decided(taught, "Ada") is False


def amend(room: Classroom) -> None:
    """Amend Ada's mark, so that the record has moved and the same decision would be a correction."""
    registers.request_amendment(
        room.office,
        room.act(),
        course=room.course,
        session=1,
        mark=room.said("Ada", "late", late_minutes=10),
        reason="sheet_misread",
        registrar=True,
    )
    registers.approve_amendment(room.office, room.act(by=room.lead), course=room.course, session=1, number=1)


class TestClass:
    def test_is_decided_as_proposed_in_one_record(self, taught: Classroom, act: Acting) -> None:
        before = taught.office.log.position()
        done = taught.decide_all()
        assert done.position == before + 2
        assert done.id == taught.course
        assert set(done.ids) == {str(taught.enrolment("Ada")), str(taught.enrolment("Bob"))}
        assert (decided(taught, "Ada"), decided(taught, "Bob")) == (True, False)
        assert not any(each.decision and each.decision["deviates"] for each in taught.completion().learners)
        assert taught.office.views.verify() == []

    def test_is_decided_once(self, taught: Classroom) -> None:
        taught.decide_all()
        assert taught.decide_all().position is None

    def test_the_same_key_again_gives_the_same_receipt(self, taught: Classroom, act: Acting) -> None:
        key = key_of(taught.lead, "as proposed 1", b"")
        first = completion.decide_as_proposed(taught.office, act(by=taught.lead, key=key), course=taught.course)
        again = completion.decide_as_proposed(taught.office, act(by=taught.lead, key=key), course=taught.course)
        assert (again.ids, again.position, again.replayed) == (first.ids, first.position, True)

    def test_fails_nobody_for_want_of_the_leads_own_word(self, room: Classroom) -> None:
        room.teach(("Bob", "absent", 2))
        with pytest.raises(ParticipationNotAttested, match=str(room.enrolment("Ada"))) as refused:
            room.decide_all()
        assert str(room.enrolment("Bob")) not in refused.value.message
        assert (decided(room, "Ada"), decided(room, "Bob")) == (None, None)
        room.decide_all(except_={room.enrolment("Ada")})
        assert (decided(room, "Ada"), decided(room, "Bob")) == (None, False)
        room.attest()
        room.decide_all()
        assert decided(room, "Ada") is True

    def test_leaves_some_for_later(self, taught: Classroom) -> None:
        taught.decide_all(except_={taught.enrolment("Bob")})
        assert (decided(taught, "Ada"), decided(taught, "Bob")) == (True, None)
        with pytest.raises(NotInClass):
            taught.decide_all(except_={uuid4()})

    def test_is_not_decided_where_the_record_has_moved_since_the_lead_looked(self, taught: Classroom) -> None:
        seen = taught.office.log.position()
        amend(taught)
        with pytest.raises(ProposalsMoved, match=str(taught.enrolment("Ada"))):
            taught.decide_all(position=seen)
        assert decided(taught, "Bob") is None
        taught.decide_all(position=taught.office.log.position())

    def test_waits_for_walk_ins_to_be_confirmed(self, room: Classroom, act: Acting) -> None:
        person = uuid4()
        walk_in = enrolments.admit_walk_in(
            room.office, act(by=room.lead), course=room.course, person=person, session=1, given="Wally"
        )
        room.teach()
        room.attest()
        with pytest.raises(WalkInUnconfirmed, match=str(walk_in.id)):
            room.decide_all()
        assert decided(room, "Ada") is None
        enrolments.confirm_walk_in(room.office, act(), enrolment=walk_in.id)
        room.decide_all()
        assert room.office.log.get(Enrolment, walk_in.id).completed is True

    def test_is_the_leads(self, taught: Classroom, act: Acting) -> None:
        with pytest.raises(NotTheLead):
            taught.decide_all(by=act().by)

    def test_is_decided_by_whoever_leads_now(self, taught: Classroom) -> None:
        taught.clock.move(hours=1)
        other = taught.replace_lead("Nora")
        with pytest.raises(NotTheLead):
            taught.decide_all()
        taught.decide_all(by=other)


def test_a_course_can_be_closed_once_nothing_is_left(room: Classroom, act: Acting) -> None:
    def left() -> tuple[str, ...]:
        with room.reading() as read:
            return outstanding(read, room.course)

    assert left() == ("registers_unsealed", "completion_undecided")
    room.teach()
    assert left() == ("completion_undecided",)
    room.attest()
    room.decide_all()
    assert left() == ()
    room.outcomes(room.said("Ada", "absent"))
    assert left() == ("amendments_undecided",)


def test_what_does_not_exist_is_not_found(office: Office, act: Acting, room: Classroom) -> None:
    with pytest.raises(NotFound):
        completion.decide(office, act(), enrolment=uuid4(), completed=True)
    with pytest.raises(NotFound):
        completion.decide_as_proposed(office, act(), course=uuid4())
    with pytest.raises(NotFound):
        completion.attest_participation_of_class(office, act(), course=uuid4())


def test_a_curtailed_session_counts_with_the_minutes_that_were_held(taught: Classroom, act: Acting) -> None:
    session = taught.office.log.get(courses.Course, taught.course).planned[1]
    courses.hold_session(
        taught.office,
        act(by=taught.lead),
        course=taught.course,
        session=1,
        started=session.starts,
        ended=session.ends - timedelta(minutes=30),
        trainers=[taught.lead],
        contact_minutes=180,
    )
    because = taught.learner("Ada").because
    assert [each.planned_minutes for each in because.half_days] == [180, 210, 210, 210]
    assert [clause.name for clause in because.unmet] == ["contact_minutes_offered"]
