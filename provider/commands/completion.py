"""Who took part, and who has completed a course."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.completion import Because
from domain.course import Course, LeadNeeded
from domain.enrolment import Enrolment, EnrolmentStage, WalkInUnconfirmed
from domain.institution import Act
from domain.refusal import Invalid, Refused
from projections import completion as view
from projections import directory
from provider.work import NotFound, Receipt, Work, command


class NotInClass(Invalid):
    """An exception names somebody who has no seat on the course."""


class ParticipationNotAttested(Refused):
    """Nothing but the lead's word on their participation keeps the record from proposing that somebody completes."""


class ProposalsMoved(Refused):
    """The record proposes otherwise for somebody than it did when the lead looked."""


@dataclass(frozen=True)
class Lacking:
    """That a learner did not take part as needed, and why."""

    enrolment: UUID
    reason: str
    note: str | None = None


@command
def attest_participation(
    work: Work, *, enrolment: UUID, attested: bool, reason: str | None = None, note: str | None = None
) -> Receipt:
    """Record the lead's word on whether a learner took part; a no, and another word than before, need a reason.

    :raises NotTheLead, ReasonMissing, EnrolmentStage: as their names say.
    """
    learner = work.addressed(Enrolment, enrolment)
    learner.attest_participation(
        attested=attested,
        lead=_lead(work.get(Course, learner.course)),
        reason=reason,
        note=work.seal(learner.person, note),
        **work.by,
    )
    return work.record(learner)


@command
def attest_participation_of_class(work: Work, *, course: UUID, except_: Collection[Lacking] = ()) -> Receipt:
    """Record the lead's word that everybody with a seat took part who has none yet, except some, who did not.

    All or nothing. The other ids are the enrolments that were attested.

    :raises NotTheLead, NotInClass, ReasonMissing: as their names say.
    """
    taught = work.get(Course, course)
    lead = _lead(taught)
    seated = _seated(work, course)
    lacking = {each.enrolment: each for each in except_}
    _must_be_in_class(lacking, seated)
    attested = []
    for enrolment, known in seated.items():
        if enrolment not in lacking and known.participation["attested"] is not None:
            continue
        learner = work.get(Enrolment, enrolment)
        said = lacking.get(enrolment)
        learner.attest_participation(
            attested=said is None,
            lead=lead,
            reason=None if said is None else said.reason,
            note=None if said is None else work.seal(learner.person, said.note),
            **work.by,
        )
        if learner.pending_events:
            attested.append(learner)
    return work.record(taught, *attested, ids=[each.id for each in attested])


@command
def decide(
    work: Work,
    *,
    enrolment: UUID,
    completed: bool,
    reason: str | None = None,
    note: str | None = None,
    approved_by: UUID | None = None,
) -> Receipt:
    """Decide, as the lead, whether a learner has completed the course, on what the record proposes now.

    Another decision than is proposed needs a reason; so does a correction, with the approval of somebody else unless
    the institution works solo. The outcome is `completed` or `not_completed`.

    :raises NotTheLead, RegistersNotSealed, ReasonForDeviation, CorrectionNeedsApproval, ...: see the domain.
    """
    learner = work.addressed(Enrolment, enrolment)
    work.office.views.catch_up()
    learner.decide_completion(
        completed=completed,
        because=_proposal(work, learner),
        lead=_lead(work.get(Course, learner.course)),
        solo=directory.settings(work.read).solo(Act.COMPLETION_CORRECTION),
        reason=reason,
        note=work.seal(learner.person, note),
        approved_by=approved_by,
        **work.by,
    )
    return work.record(learner, outcome="completed" if completed else "not_completed")


@command
def decide_as_proposed(
    work: Work, *, course: UUID, except_: Collection[UUID] = (), position: int | None = None
) -> Receipt:
    """Decide, as the lead, for everybody with a seat who has no decision yet, as the record proposes; all or nothing.

    `except_` are enrolments left for later; `position` is that of the view on which the lead decides: nothing is
    decided where a proposal has moved since. The other ids are the enrolments that were decided.

    Who would complete but for a word on their participation is not decided against for want of it.

    :raises NotTheLead, RegistersNotSealed, ParticipationNotAttested, WalkInUnconfirmed, NotInClass, ProposalsMoved: as
        their names say.
    """
    work.office.views.catch_up()
    taught = work.get(Course, course)
    seated = _seated(work, course)
    _must_be_in_class(except_, seated)
    waiting = {
        enrolment: known for enrolment, known in seated.items() if known.decision is None and enrolment not in except_
    }
    if position is not None:
        _must_not_have_moved(waiting, _seated(work, course, at=position))
    if silent := [str(enrolment) for enrolment, known in waiting.items() if _only_attestation_lacks(known)]:
        raise ParticipationNotAttested(
            f"Nothing was said yet on the participation of {', '.join(silent)}. Attest it, or say that it was lacking, "
            "then decide; or leave them for later."
        )
    if walk_ins := [
        str(enrolment) for enrolment, known in waiting.items() if known.because.proposed and known.of["walk_in_open"]
    ]:
        raise WalkInUnconfirmed(
            f"These came as walk-ins: {', '.join(walk_ins)}. A registrar confirms their enrolments first, or leave "
            "them for later."
        )
    solo = directory.settings(work.read).solo(Act.COMPLETION_CORRECTION)
    decided = []
    for enrolment, known in waiting.items():
        learner = work.get(Enrolment, enrolment)
        if learner.decision is not None:
            continue
        learner.decide_completion(
            completed=known.because.proposed, because=known.because, lead=_lead(taught), solo=solo, **work.by
        )
        decided.append(learner)
    return work.record(taught, *decided, ids=[each.id for each in decided])


def _lead(course: Course) -> UUID:
    if course.lead is None:
        raise LeadNeeded("The course has no lead trainer, whose word this needs. Assign one first.")
    return course.lead


def _seated(work: Work, course: UUID, *, at: int | None = None) -> dict[UUID, view.Learner]:
    """Return those with a seat by their enrolments, in the order of their requests."""
    found = view.class_of(work.read, course, at=at)
    if found is None:
        raise NotFound(f"There is no course {course}.")
    return {UUID(each.enrolment): each for each in found.learners if each.of["standing"] == "confirmed"}


def _only_attestation_lacks(known: view.Learner) -> bool:
    return known.participation["attested"] is None and [each.name for each in known.because.unmet] == ["participation"]


def _proposal(work: Work, learner: Enrolment) -> Because:
    found = view.class_of(work.read, learner.course)
    for each in found.learners if found else ():
        if each.enrolment == str(learner.id):
            return each.because
    raise EnrolmentStage(
        f"To decide on completion, the enrolment has to be confirmed; it is {learner.stage.replace('_', ' ')}."
    )


def _must_be_in_class(named: Collection[UUID], seated: Mapping[UUID, object]) -> None:
    if strangers := [str(each) for each in named if each not in seated]:
        raise NotInClass(f"These have no seat on the course: {', '.join(strangers)}.", field="except")


def _must_not_have_moved(now: Mapping[UUID, view.Learner], then: Mapping[UUID, view.Learner]) -> None:
    moved = [
        str(enrolment)
        for enrolment, known in now.items()
        if enrolment not in then or then[enrolment].because != known.because
    ]
    if moved:
        raise ProposalsMoved(
            f"The record has moved since you looked, for {', '.join(moved)}. Look at the proposals again, then decide."
        )
