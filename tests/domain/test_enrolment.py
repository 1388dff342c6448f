"""One person's way through one course: seat, participation, make-ups, and the decision on completion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.basis import Aspect, Basis
from domain.completion import Because, Clause
from domain.course import SamePerson, Standing
from domain.credential import UnknownBody
from domain.enrolment import (
    AlreadyDecided,
    AlreadyEnrolled,
    CorrectionNeedsApproval,
    Enrolment,
    EnrolmentStage,
    EvidenceMissing,
    MakeUp,
    MakeUpKind,
    MakeUpUnsound,
    NoWalkIn,
    OwnCorrection,
    ReasonForCorrection,
    ReasonForDeviation,
    RegistersNotSealed,
    Source,
    Stage,
    UnknownMakeUp,
    WalkInUnconfirmed,
    WasPresent,
)
from domain.person import NothingChanged
from domain.private import Private
from domain.reason import ReasonMissing
from domain.refusal import Refused
from domain.register import NotTheLead
from tests.scenario import given, replay

REGISTRAR, LEAD, ADA, EVE, COURSE, OTHER_COURSE, REGISTER = (UUID(int=n) for n in range(1, 8))
AT = datetime(2026, 6, 2, 16, tzinfo=UTC)
SAID = {"by": REGISTRAR, "at": AT}
BY_LEAD = {"by": LEAD, "at": AT, "lead": LEAD}
NOTE = Private("n" * 43)

Step = Callable[[Enrolment], object]


def confirmed() -> Enrolment:
    return Enrolment.request(course=COURSE, person=ADA, standing=Standing.CONFIRMED, **SAID)


def queued() -> Enrolment:
    return Enrolment.request(course=COURSE, person=ADA, standing=Standing.QUEUED, **SAID)


def walk_in() -> Enrolment:
    came = Enrolment.request(course=COURSE, person=ADA, standing=Standing.CONFIRMED, source=Source.WALK_IN, **SAID)
    came.admit_walk_in(session=1, **SAID)
    return came


def withdrawn(enrolment: Enrolment) -> None:
    enrolment.withdraw(reason="ill", **SAID)


def cancelled(enrolment: Enrolment) -> None:
    enrolment.cancel(reason="course_cancelled", **SAID)


def substituted(enrolment: Enrolment) -> None:
    enrolment.substitute(person=EVE, reason="colleague", **SAID)


def no_show(enrolment: Enrolment) -> None:
    enrolment.declare_no_show(attended=False, reason="never_came", **SAID)


def took_part(enrolment: Enrolment) -> None:
    enrolment.attest_participation(attested=True, **BY_LEAD)


def made_up(enrolment: Enrolment) -> None:
    enrolment.credit_make_up(**CREDIT)


TUTORIAL = MakeUp(MakeUpKind.TUTORIAL)
CREDIT: dict[str, Any] = {
    "session": 2,
    "minutes": 90,
    "elsewhere": TUTORIAL,
    "trainer": LEAD,
    "evidence": "T-17",
    **SAID,
}


def because(*, proposed: bool = True, sealed: bool = True, tolerance: int = 15) -> Because:
    clauses = (
        Clause(
            "all_registers_sealed", sealed, "Sealed: session 1 in version 1." if sealed else "Not sealed: session 1."
        ),
        Clause("half_day_1", proposed, "Missed 0 of 210 minutes." if proposed else "Missed 30 of 210 minutes."),
    )
    basis = Basis(REGISTER, 4, Aspect.REGISTER)
    return Because(proposed and sealed, clauses, (), (basis,), "2024-10", tolerance)


def deciding(completed: bool = True, **said: Any) -> dict[str, Any]:
    return {"completed": completed, "because": because(), "solo": False, **BY_LEAD, **said}


def decided(completed: bool = True) -> Step:
    reason = None if completed else "left_unseen"
    return lambda enrolment: enrolment.decide_completion(**deciding(completed, reason=reason))


# Requested.


def test_an_enrolment_is_known_by_course_and_person():
    enrolment = confirmed()
    assert enrolment.id == Enrolment.create_id(COURSE, ADA)
    assert Enrolment.create_id(COURSE, ADA) != Enrolment.create_id(ADA, COURSE)
    assert (enrolment.course, enrolment.person) == (COURSE, ADA)


def test_a_request_says_where_it_came_from_and_what_it_got():
    [requested] = Enrolment.request(
        course=COURSE,
        person=ADA,
        standing=Standing.QUEUED,
        source=Source.IMPORT,
        order_reference="1001/2",
        on_behalf_of=ADA,
        **SAID,
    ).pending_events
    assert (requested.source, requested.order_reference, requested.standing) == ("import", "1001/2", "queued")
    assert (requested.substitutes, requested.on_behalf_of) == (None, ADA)


def test_who_waits_and_who_has_a_seat_are_both_on_the_course():
    assert (confirmed().stage, confirmed().live) == (Stage.CONFIRMED, True)
    assert (queued().stage, queued().live) == (Stage.QUEUED, True)


def test_who_waited_gets_a_seat():
    scenario = given(queued).when(Enrolment.confirm, **SAID).then(Enrolment.Confirmed)
    assert scenario.after().stage is Stage.CONFIRMED
    given(confirmed).when(Enrolment.confirm, **SAID).then_refused(
        EnrolmentStage, "To confirm it, the enrolment has to be queued; it is confirmed."
    )


@pytest.mark.parametrize("start", [confirmed, queued])
def test_a_learner_withdraws_from_a_seat_or_from_the_queue(start: Callable[[], Enrolment]):
    scenario = given(start).when(Enrolment.withdraw, reason="ill", note=NOTE, **SAID)
    scenario.then(Enrolment.Withdrawn, reason="ill", note=NOTE)
    assert (scenario.after().stage, scenario.after().live) == (Stage.WITHDRAWN, False)


def test_the_institution_cancels_an_enrolment():
    scenario = given(confirmed).when(Enrolment.cancel, reason="course_cancelled", **SAID)
    scenario.then(Enrolment.Cancelled, reason="course_cancelled", note=None)
    assert scenario.after().stage is Stage.CANCELLED


@pytest.mark.parametrize("command", [Enrolment.withdraw, Enrolment.cancel])
@pytest.mark.parametrize("left", [withdrawn, cancelled, substituted])
def test_who_has_left_cannot_leave_again(command: Callable[..., object], left: Step):
    given(confirmed, left).when(command, reason="ill", **SAID).then_refused(EnrolmentStage)


@pytest.mark.parametrize("left", [withdrawn, cancelled, substituted])
def test_who_has_left_may_request_again(left: Step):
    scenario = given(confirmed, left).when(
        Enrolment.request_again, standing=Standing.QUEUED, source=Source.IMPORT, order_reference="1002/1", **SAID
    )
    scenario.then(Enrolment.RequestedAgain, standing=Standing.QUEUED, source=Source.IMPORT, order_reference="1002/1")
    assert scenario.after().stage is Stage.QUEUED


@pytest.mark.parametrize("steps", [(), (no_show,)])
def test_who_has_not_left_may_not_request_again(steps: tuple[Step, ...]):
    given(confirmed, *steps).when(Enrolment.request_again, standing=Standing.CONFIRMED, **SAID).then_refused(
        AlreadyEnrolled
    )


def test_leaving_needs_a_reason():
    for command in (Enrolment.withdraw, Enrolment.cancel):
        given(confirmed).when(command, reason=" ", **SAID).then_refused(ReasonMissing)


def test_who_has_completed_the_course_cannot_leave_it():
    for command in (Enrolment.withdraw, Enrolment.cancel):
        given(confirmed, decided()).when(command, reason="ill", **SAID).then_refused(AlreadyDecided)
        given(confirmed, decided(completed=False)).when(command, reason="ill", **SAID).then(
            Enrolment.Withdrawn if command is Enrolment.withdraw else Enrolment.Cancelled
        )


# Substituted.


def test_a_substitute_gets_an_enrolment_of_their_own():
    scenario = given(confirmed).when(Enrolment.substitute, person=EVE, reason="colleague", **SAID)
    scenario.then(Enrolment.SubstitutedBy, person=EVE, enrolment=Enrolment.create_id(COURSE, EVE))
    scenario.then_answers(Enrolment.create_id(COURSE, EVE))
    assert scenario.after().stage is Stage.SUBSTITUTED


def test_nobody_stands_in_for_themselves():
    given(confirmed).when(Enrolment.substitute, person=ADA, reason="name", **SAID).then_refused(
        SamePerson, "correction of the name"
    )


def test_only_a_seat_is_given_to_a_substitute():
    given(queued).when(Enrolment.substitute, person=EVE, reason="colleague", **SAID).then_refused(EnrolmentStage)


def test_nobody_stands_in_for_a_learner_whose_completion_was_decided():
    given(confirmed, decided(completed=False)).when(
        Enrolment.substitute, person=EVE, reason="colleague", **SAID
    ).then_refused(AlreadyDecided)


# Walk-ins and no-shows.


def test_a_walk_in_is_admitted_to_a_session():
    came = Enrolment.request(course=COURSE, person=ADA, standing=Standing.CONFIRMED, source=Source.WALK_IN, **SAID)
    given(came).when(Enrolment.admit_walk_in, session=1, override="empty_chair", **SAID).then(
        Enrolment.WalkInAdmitted, session=1, override="empty_chair"
    )


def test_a_walk_in_out_of_the_queue_has_a_seat():
    scenario = given(queued).when(Enrolment.admit_walk_in, session=1, **SAID).then(Enrolment.WalkInAdmitted)
    assert scenario.after().stage is Stage.CONFIRMED


def test_an_override_says_why():
    given(queued).when(Enrolment.admit_walk_in, session=1, override=" ", **SAID).then_refused(ReasonMissing)


def test_a_walk_in_completes_the_course_only_once_confirmed():
    given(walk_in).when(Enrolment.decide_completion, **deciding()).then_refused(WalkInUnconfirmed)
    scenario = given(walk_in).when(Enrolment.confirm_walk_in, **SAID).then(Enrolment.WalkInConfirmed)
    scenario.when(Enrolment.decide_completion, **deciding()).then(
        Enrolment.WalkInConfirmed, Enrolment.CompletionDecided
    )


def test_only_a_walk_in_is_confirmed_as_one_and_once():
    given(confirmed).when(Enrolment.confirm_walk_in, **SAID).then_refused(NoWalkIn)
    given(walk_in, lambda enrolment: enrolment.confirm_walk_in(**SAID)).when(
        Enrolment.confirm_walk_in, **SAID
    ).then_refused(NoWalkIn)


def test_a_walk_in_who_left_and_requests_again_is_one_no_longer():
    def again(enrolment: Enrolment) -> None:
        enrolment.request_again(standing=Standing.CONFIRMED, **SAID)

    given(walk_in, cancelled, again).when(Enrolment.decide_completion, **deciding()).then(Enrolment.CompletionDecided)


def test_who_never_came_is_a_no_show_until_that_is_lifted():
    scenario = given(confirmed).when(Enrolment.declare_no_show, attended=False, reason="never_came", **SAID)
    scenario.then(Enrolment.NoShowDeclared, reason="never_came")
    assert (scenario.after().stage, scenario.after().live) == (Stage.NO_SHOW, True)
    lifted = given(confirmed, no_show).when(Enrolment.lift_no_show, reason="wrong_person", **SAID)
    lifted.then(Enrolment.NoShowLifted, reason="wrong_person")
    assert lifted.after().stage is Stage.CONFIRMED


def test_who_came_is_no_no_show():
    given(confirmed).when(Enrolment.declare_no_show, attended=True, reason="never_came", **SAID).then_refused(
        WasPresent
    )


def test_who_has_an_outcome_is_no_no_show():
    given(confirmed, decided(completed=False)).when(
        Enrolment.declare_no_show, attended=False, reason="never_came", **SAID
    ).then_refused(AlreadyDecided)


def test_a_no_show_is_declared_of_a_seat_and_lifted_for_a_reason():
    given(queued).when(Enrolment.declare_no_show, attended=False, reason="never_came", **SAID).then_refused(
        EnrolmentStage
    )
    given(confirmed).when(Enrolment.lift_no_show, reason="wrong_person", **SAID).then_refused(EnrolmentStage)
    given(confirmed, no_show).when(Enrolment.lift_no_show, reason="", **SAID).then_refused(ReasonMissing)


# Said of the learner.


def test_it_is_on_record_that_the_learner_was_asked_for_the_bodys_email():
    given(queued).when(Enrolment.ask_body_email, body="SA", answered=False, **SAID).then(
        Enrolment.BodyEmailAsked, body="SA", answered=False
    )
    given(queued).when(Enrolment.ask_body_email, body="NASA", answered=True, **SAID).then_refused(UnknownBody)


def test_a_prerequisite_is_declared_with_evidence():
    given(confirmed).when(Enrolment.declare_prerequisite, evidence=" CSM 000123 ", **SAID).then(
        Enrolment.PrerequisiteDeclared, evidence="CSM 000123"
    )
    given(confirmed).when(Enrolment.declare_prerequisite, evidence=" ", **SAID).then_refused(EvidenceMissing)


def test_the_lead_attests_participation():
    scenario = given(confirmed).when(Enrolment.attest_participation, attested=True, **BY_LEAD)
    scenario.then(Enrolment.ParticipationAttested, attested=True, reason=None)
    assert scenario.after().participation is True


def test_nobody_but_the_lead_attests_participation():
    given(confirmed).when(Enrolment.attest_participation, attested=True, lead=LEAD, **SAID).then_refused(NotTheLead)


def test_lacking_participation_needs_a_reason():
    given(confirmed).when(Enrolment.attest_participation, attested=False, **BY_LEAD).then_refused(ReasonMissing)
    given(confirmed).when(
        Enrolment.attest_participation, attested=False, reason="on_the_phone", note=NOTE, **BY_LEAD
    ).then(Enrolment.ParticipationAttested, attested=False, reason="on_the_phone", note=NOTE)


def test_the_lead_changes_their_word_for_a_reason_only():
    def lacked(enrolment: Enrolment) -> None:
        enrolment.attest_participation(attested=False, reason="on_the_phone", **BY_LEAD)

    given(confirmed, lacked).when(Enrolment.attest_participation, attested=True, **BY_LEAD).then_refused(ReasonMissing)
    given(confirmed, lacked).when(Enrolment.attest_participation, attested=True, reason="mixed_up", **BY_LEAD).then(
        Enrolment.ParticipationAttested
    )


def test_the_same_word_again_records_nothing():
    given(confirmed, took_part).when(Enrolment.attest_participation, attested=True, **BY_LEAD).then()


# Made up.


def test_a_make_up_is_credited_by_reference():
    elsewhere = MakeUp(MakeUpKind.SESSION, OTHER_COURSE, 3, REGISTER)
    scenario = given(confirmed).when(Enrolment.credit_make_up, **{**CREDIT, "elsewhere": elsewhere})
    scenario.then(Enrolment.MakeUpCredited, number=1, session=2, minutes=90, elsewhere=elsewhere, evidence="T-17")
    scenario.then_answers(1)
    assert scenario.after().make_ups == {2: 90}


def test_credits_for_one_session_add_up():
    assert given(confirmed, made_up, made_up).aggregate.make_ups == {2: 180}


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"minutes": 0}, MakeUpUnsound),
        ({"minutes": 721}, MakeUpUnsound),
        ({"evidence": " "}, EvidenceMissing),
        ({"elsewhere": MakeUp(MakeUpKind.SESSION, OTHER_COURSE, 3)}, MakeUpUnsound),
        ({"elsewhere": MakeUp(MakeUpKind.SESSION, session=3, register=REGISTER)}, MakeUpUnsound),
        ({"elsewhere": MakeUp(MakeUpKind.SESSION, COURSE, 2, REGISTER)}, MakeUpUnsound),
        ({"elsewhere": MakeUp(MakeUpKind.TUTORIAL, OTHER_COURSE)}, MakeUpUnsound),
    ],
)
def test_a_make_up_that_proves_nothing_is_refused(wrong: dict[str, Any], kind: type[Refused]):
    given(confirmed).when(Enrolment.credit_make_up, **{**CREDIT, **wrong}).then_refused(kind)


def test_a_credit_is_taken_back_and_its_number_never_used_again():
    scenario = given(confirmed, made_up).when(Enrolment.withdraw_make_up, number=1, reason="not_held", **SAID)
    scenario.then(Enrolment.MakeUpWithdrawn, number=1)
    assert scenario.after().make_ups == {}
    scenario.when(Enrolment.credit_make_up, **CREDIT).then_answers(2)


def test_only_a_credit_that_stands_is_taken_back():
    given(confirmed, made_up).when(Enrolment.withdraw_make_up, number=2, reason="not_held", **SAID).then_refused(
        UnknownMakeUp
    )
    given(confirmed, made_up).when(Enrolment.withdraw_make_up, number=1, reason="", **SAID).then_refused(ReasonMissing)


# Decided.


def test_the_lead_decides_as_proposed():
    scenario = given(confirmed).when(Enrolment.decide_completion, **deciding())
    scenario.then(
        Enrolment.CompletionDecided,
        completed=True,
        because=because(),
        deviates=False,
        supersedes=None,
        approved_by=None,
        solo=False,
    )
    assert scenario.after().completed is True


def test_nothing_is_decided_until_it_is():
    assert confirmed().completed is None


def test_nobody_but_the_lead_decides():
    given(confirmed).when(Enrolment.decide_completion, **deciding(by=REGISTRAR)).then_refused(NotTheLead)


@pytest.mark.parametrize("completed", [True, False])
def test_nothing_is_decided_on_open_registers(completed: bool):
    given(confirmed).when(
        Enrolment.decide_completion, **deciding(completed, because=because(sealed=False), reason="in_a_hurry")
    ).then_refused(RegistersNotSealed, "Not sealed: session 1.")


def test_completion_is_decided_of_somebody_with_a_seat_who_came():
    given(queued).when(Enrolment.decide_completion, **deciding()).then_refused(EnrolmentStage)
    given(confirmed, no_show).when(Enrolment.decide_completion, **deciding()).then_refused(EnrolmentStage, "no show")


def test_a_deviation_in_either_direction_needs_a_reason_and_says_so():
    missed = because(proposed=False)
    given(confirmed).when(Enrolment.decide_completion, **deciding(because=missed)).then_refused(
        ReasonForDeviation, "Missed 30 of 210 minutes."
    )
    given(confirmed).when(Enrolment.decide_completion, **deciding(completed=False)).then_refused(ReasonForDeviation)
    given(confirmed).when(
        Enrolment.decide_completion, **deciding(because=missed, reason="assignment_done", note=NOTE)
    ).then(Enrolment.CompletionDecided, deviates=True, reason="assignment_done", note=NOTE)
    given(confirmed).when(Enrolment.decide_completion, **deciding(completed=False, reason=" ")).then_refused(
        ReasonMissing
    )


def correcting(**said: Any) -> dict[str, Any]:
    return deciding(completed=False, **{"reason": "marks_were_wrong", "approved_by": REGISTRAR, **said})


def test_a_correction_is_a_new_decision_that_refers_to_the_old():
    scenario = given(confirmed, decided()).when(Enrolment.decide_completion, **correcting())
    scenario.then(Enrolment.CompletionDecided, completed=False, supersedes=2, approved_by=REGISTRAR, solo=False)
    assert scenario.after().completed is False


def test_a_correction_needs_a_reason_even_if_it_is_as_proposed():
    given(confirmed, decided()).when(
        Enrolment.decide_completion, **correcting(because=because(proposed=False), reason=None)
    ).then_refused(ReasonForCorrection)


def test_a_correction_needs_four_eyes():
    given(confirmed, decided()).when(Enrolment.decide_completion, **correcting(approved_by=None)).then_refused(
        CorrectionNeedsApproval
    )
    given(confirmed, decided()).when(Enrolment.decide_completion, **correcting(approved_by=LEAD)).then_refused(
        OwnCorrection
    )


@pytest.mark.parametrize("approved_by", [None, LEAD])
def test_who_works_solo_corrects_alone_and_the_event_says_so(approved_by: UUID | None):
    given(confirmed, decided()).when(
        Enrolment.decide_completion, **correcting(approved_by=approved_by, solo=True)
    ).then(Enrolment.CompletionDecided, approved_by=None, solo=True)


def test_who_may_work_solo_and_asks_somebody_else_is_not_alone():
    given(confirmed, decided()).when(Enrolment.decide_completion, **correcting(solo=True)).then(
        Enrolment.CompletionDecided, approved_by=REGISTRAR, solo=False
    )


def test_a_first_decision_is_nobodys_correction():
    given(confirmed).when(Enrolment.decide_completion, **deciding(solo=True)).then(
        Enrolment.CompletionDecided, solo=False
    )


def test_the_same_decision_on_other_grounds_is_a_new_one_and_on_the_same_is_none():
    given(confirmed, decided()).when(Enrolment.decide_completion, **deciding(reason="again")).then_refused(
        NothingChanged
    )
    moved = replace(because(), rests_on=(Basis(REGISTER, 9, Aspect.REGISTER),))
    given(confirmed, decided()).when(
        Enrolment.decide_completion, **deciding(because=moved, reason="amended", approved_by=REGISTRAR)
    ).then(Enrolment.CompletionDecided, completed=True, supersedes=2)


# What rests on it.


def test_each_aspect_is_a_basis_as_of_the_event_that_last_set_it():
    enrolment = given(confirmed, took_part, made_up, made_up, decided()).aggregate
    assert enrolment.basis(Aspect.LEARNER) == Basis(enrolment.id, 1, Aspect.LEARNER)
    assert enrolment.basis(Aspect.PARTICIPATION) == Basis(enrolment.id, 2, Aspect.PARTICIPATION)
    assert enrolment.basis(Aspect.MAKE_UP) == Basis(enrolment.id, 4, Aspect.MAKE_UP)
    assert enrolment.basis(Aspect.DECISION) == Basis(enrolment.id, 5, Aspect.DECISION)
    assert enrolment.basis(Aspect.NAMES) is None
    assert confirmed().basis(Aspect.DECISION) is None


@pytest.mark.parametrize("left", [withdrawn, cancelled, substituted])
def test_leaving_moves_the_learner(left: Step):
    basis = given(confirmed, left).aggregate.basis(Aspect.LEARNER)
    assert basis is not None
    assert basis.version == 2


# Whatever happens.


class Ways(RuleBasedStateMachine):
    """Everything that can happen to an enrolment, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.enrolment = confirmed()

    def do(self, command: Callable[..., object], **said: Any) -> None:
        before = self.enrolment.version
        try:
            command(**{**SAID, **said})
        except Refused:
            assert self.enrolment.version == before

    @rule(name=st.sampled_from(["withdraw", "cancel", "lift_no_show"]))
    def leave(self, name: str) -> None:
        self.do(getattr(self.enrolment, name), reason="any")

    @rule(standing=st.sampled_from(list(Standing)))
    def request_again(self, standing: Standing) -> None:
        self.do(self.enrolment.request_again, standing=standing)

    @rule(name=st.sampled_from(["confirm", "confirm_walk_in"]))
    def confirm(self, name: str) -> None:
        self.do(getattr(self.enrolment, name))

    @rule()
    def admit(self) -> None:
        self.do(self.enrolment.admit_walk_in, session=1)

    @rule(attended=st.booleans())
    def no_show(self, attended: bool) -> None:
        self.do(self.enrolment.declare_no_show, attended=attended, reason="any")

    @rule(attested=st.booleans())
    def attest(self, attested: bool) -> None:
        self.do(self.enrolment.attest_participation, attested=attested, reason="any", **BY_LEAD)

    @rule(minutes=st.integers(0, 100), session=st.integers(1, 2))
    def make_up(self, minutes: int, session: int) -> None:
        self.do(self.enrolment.credit_make_up, **{**CREDIT, "minutes": minutes, "session": session})

    @rule(number=st.integers(1, 4))
    def withdraw_make_up(self, number: int) -> None:
        self.do(self.enrolment.withdraw_make_up, number=number, reason="any")

    @rule(
        completed=st.booleans(),
        proposed=st.booleans(),
        reason=st.sampled_from(["any", None]),
        approved_by=st.sampled_from([None, LEAD, REGISTRAR]),
        solo=st.booleans(),
    )
    def decide(self, completed: bool, proposed: bool, **said: Any) -> None:
        before = self.enrolment.version
        self.do(self.enrolment.decide_completion, **deciding(completed, because=because(proposed=proposed), **said))
        for event in self.enrolment.pending_events[before:]:
            assert said["solo"] or not event.solo

    @rule(completed=st.booleans())
    def decide_on_open_registers(self, completed: bool) -> None:
        self.do(self.enrolment.decide_completion, **deciding(completed, because=because(sealed=False), reason="any"))

    @precondition(lambda self: not self.enrolment.live)
    @rule()
    def come_back(self) -> None:
        self.enrolment.request_again(standing=Standing.CONFIRMED, **SAID)

    @invariant()
    def who_has_completed_the_course_is_on_it(self) -> None:
        assert not self.enrolment.completed or self.enrolment.stage is Stage.CONFIRMED

    @invariant()
    def decisions_follow_from_each_other_and_deviations_say_why(self) -> None:
        before = None
        for event in self.enrolment.pending_events:
            if not isinstance(event, Enrolment.CompletionDecided):
                continue
            assert event.supersedes == before
            assert event.deviates == (event.completed != event.because.proposed)
            assert event.reason is not None or not (event.deviates or before)
            assert before is None or event.solo or event.approved_by not in (None, event.by)
            before = event.originator_version

    @invariant()
    def the_minutes_credited_are_those_not_taken_back(self) -> None:
        credited: dict[int, tuple[int, int]] = {}
        for event in self.enrolment.pending_events:
            if isinstance(event, Enrolment.MakeUpCredited):
                assert event.number not in credited
                credited[event.number] = (event.session, event.minutes)
            elif isinstance(event, Enrolment.MakeUpWithdrawn):
                credited[event.number] = (0, 0)
        for session in (1, 2):
            minutes = sum(minutes for of, minutes in credited.values() if of == session)
            assert self.enrolment.make_ups.get(session, 0) == minutes

    @invariant()
    def the_events_give_the_same_state(self) -> None:
        again, now = vars(replay(self.enrolment)), vars(self.enrolment)
        assert {name: again[name] for name in again if name != "_pending_events"} == {
            name: now[name] for name in now if name != "_pending_events"
        }


TestWays = Ways.TestCase
TestWays.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
