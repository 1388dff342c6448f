"""Who took part, and who has completed a course."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from marshmallow import Schema, fields, post_load, validate

from api.asked import Asked, act
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Line, Uid, Whole, Words, Yes
from api.here import office, reading
from api.private import opener
from domain.access import Role
from domain.completion import UNMARKED
from domain.enrolment import CorrectionNeedsApproval, OwnCorrection
from domain.refusal import Invalid
from domain.register import Status
from projections import access, directory, registers
from projections import completion as view
from projections.projection import instant, plain
from provider.commands import completion as commands
from provider.commands.completion import Lacking
from provider.log import NotFound, Receipt
from provider.token import digest

blueprint = Blueprint("completion", __name__, url_prefix="/v1", description=__doc__)

LARGEST_CLASS = 2_000
"""Exceptions that one command can name."""


class UnfitApprover(Invalid):
    """The second person's token is not in force, or its holder may not approve this."""


class ClauseAnswer(Answer):
    """One condition of completion."""

    name = fields.String(required=True)
    met = fields.Boolean(required=True)
    detail = fields.String(required=True, metadata={"description": "What it was judged on, in words."})


class HalfDayAnswer(Answer):
    """One session, in minutes of contact time."""

    session = fields.Integer(required=True)
    planned_minutes = fields.Integer(required=True)
    missed_minutes = fields.Integer(required=True, allow_none=True, metadata={"description": "Null while unmarked."})
    made_up_minutes = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf([*(each.value for each in Status), UNMARKED]))


class BasisAnswer(Answer):
    """What it rests on: one aspect of a stream, as of the event that last set it."""

    stream = fields.String(required=True)
    version = fields.Integer(required=True)
    aspect = fields.String(required=True)


class BecauseAnswer(Answer):
    """What the record proposes, and why."""

    proposed = fields.Boolean(required=True)
    clauses = fields.List(fields.Nested(ClauseAnswer), required=True)
    half_days = fields.List(fields.Nested(HalfDayAnswer), required=True)
    rests_on = fields.List(fields.Nested(BasisAnswer), required=True)
    policy_version = fields.String(required=True)
    tolerance_minutes = fields.Integer(required=True)


class DecisionAnswer(Answer):
    """What the lead decided, on what the record proposed then."""

    version = fields.Integer(required=True, metadata={"description": "The version of the event."})
    completed = fields.Boolean(required=True)
    deviates = fields.Boolean(required=True, metadata={"description": "The lead decided otherwise than proposed."})
    reason = fields.String(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    supersedes = fields.Integer(required=True, allow_none=True, metadata={"description": "The decision it corrects."})
    approved_by = fields.String(required=True, allow_none=True)
    solo = fields.Boolean(required=True, metadata={"description": "A correction without a second person."})
    decided_by = fields.String(required=True)
    decided_at = fields.String(required=True)
    because = fields.Nested(BecauseAnswer, required=True)


class ParticipationAnswer(Answer):
    """The lead's word on whether the learner took part."""

    attested = fields.Boolean(required=True, allow_none=True, metadata={"description": "Null: not yet attested."})
    reason = fields.String(required=True, allow_none=True)
    note = fields.String(required=True, allow_none=True)
    by = fields.String(required=True, allow_none=True)
    at = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True, allow_none=True)


class ElsewhereAnswer(Answer):
    """Where time was made up: in a session of another course, or in a tutorial."""

    kind = fields.String(required=True)
    course = fields.String(required=True, allow_none=True)
    session = fields.Integer(required=True, allow_none=True)
    register = fields.String(required=True, allow_none=True)


class MakeUpAnswer(Answer):
    """Time that was credited for time missed."""

    number = fields.Integer(required=True)
    session = fields.Integer(required=True)
    minutes = fields.Integer(required=True)
    elsewhere = fields.Nested(ElsewhereAnswer, required=True)
    trainer = fields.String(required=True)
    evidence = fields.String(required=True)
    withdrawn = fields.String(required=True, allow_none=True, metadata={"description": "Why it no longer counts."})


class LearnerAnswer(Answer):
    """A learner on the way to completion."""

    enrolment = fields.String(required=True)
    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    standing = fields.String(required=True)
    walk_in_open = fields.Boolean(required=True)
    version = fields.Integer(required=True, metadata={"description": "The enrolment's, for If-Match."})
    proposed = fields.Boolean(required=True, metadata={"description": "What the record proposes now."})
    unmet = fields.List(fields.String(), required=True, metadata={"description": "The clauses that are not met."})
    completed = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "What was decided; null while nothing is."}
    )
    deviates = fields.Boolean(required=True, allow_none=True)
    moved = fields.Boolean(
        required=True, metadata={"description": "The record proposes otherwise now than when it was decided."}
    )
    because = fields.Nested(BecauseAnswer, required=True)
    participation = fields.Nested(ParticipationAnswer, required=True)
    make_ups = fields.List(fields.Nested(MakeUpAnswer), required=True)
    decision = fields.Nested(DecisionAnswer, required=True, allow_none=True)


class ProgressAnswer(Answer):
    """How far a register is."""

    session = fields.Integer(required=True)
    register = fields.String(required=True)
    sealed_version = fields.Integer(required=True)
    countersigned = fields.Boolean(required=True, metadata={"description": "Whether its latest version is."})
    unmarked = fields.Integer(required=True)
    conflicts = fields.Integer(required=True)
    set_aside = fields.Integer(required=True)
    amendments = fields.Integer(required=True, metadata={"description": "Those that wait for a decision."})


class CompletionAnswer(Answer):
    """A class on its way to completion."""

    course = fields.String(required=True)
    body = fields.String(required=True)
    code = fields.String(required=True)
    policy_version = fields.String(required=True)
    tolerance_minutes = fields.Integer(
        required=True, metadata={"description": "What may be missed of each half-day; never of the course."}
    )
    contact_minutes = fields.Integer(required=True, metadata={"description": "What the course offered."})
    policy_contact_minutes = fields.Integer(required=True, allow_none=True)
    registers = fields.List(fields.Nested(ProgressAnswer), required=True)
    items = fields.List(fields.Nested(LearnerAnswer), required=True)


class DecisionsAnswer(Answer):
    """All decisions on one learner's completion, the first one first."""

    enrolment = fields.String(required=True)
    items = fields.List(fields.Nested(DecisionAnswer), required=True)


class Participation(Body):
    """Whether the learner took part; a no, and another word than before, need a reason."""

    attested = Yes(required=True)
    reason = Code(metadata={"description": "Why, as a code."})
    note = Words(metadata={"description": "Why, in words. Kept in the vault, never in the log."})


class LackingSaid(Schema):
    """Who did not take part as needed, and why."""

    enrolment = Uid(required=True)
    reason = Code(required=True)
    note = Words(load_default=None)

    @post_load
    def _lacking(self, said: dict[str, Any], **_: Any) -> Lacking:
        return Lacking(**said)


class ParticipationOfAll(Body):
    """Who did not take part; all others did."""

    except_ = fields.List(
        fields.Nested(LackingSaid),
        data_key="except",
        load_default=list,
        validate=validate.Length(max=LARGEST_CLASS),
    )


class Decision(Body):
    """What the lead decides."""

    completed = Yes(required=True)
    reason = Code(metadata={"description": "Needed to decide otherwise than proposed, and to correct a decision."})
    note = Words(metadata={"description": "Why, in words. Kept in the vault, never in the log."})
    approver_token = Line(
        metadata={
            "description": "The API token of the second person, a registrar or a trainer of the course, who thereby "
            "approves the correction of a decision. It is kept nowhere."
        }
    )


class DecisionOfAll(Body):
    """For whom the lead decides later, and what they have seen."""

    except_ = fields.List(
        Uid(),
        data_key="except",
        load_default=list,
        validate=validate.Length(max=LARGEST_CLASS),
        metadata={"description": "Enrolments that are left for later."},
    )
    position = Whole(
        low=0,
        high=2**62,
        metadata={"description": "The X-Position of the view: where a proposal has moved since, nothing is decided."},
    )


@blueprint.query("/courses/<uuid:course>/completion", permission="completion:read", answer=CompletionAnswer, table=True)
def completion(asked: Asked, course: UUID) -> dict[str, Any]:
    """Get who has completed a course.

    For each learner with a seat: what the record proposes and why, clause by clause and half-day by half-day, with the
    events that it rests on; and what the lead decided.
    """
    found = view.class_of(reading(), course, at=asked.at)
    if found is None:
        raise NotFound("There is no such course.")
    known = directory.people_by_ids(reading(), [each.person for each in found.learners], at=asked.at)
    show = opener(_handles(found.learners, known.values()))
    return {
        "course": found.course["course"],
        "body": found.course["body"],
        "code": found.course["code"],
        "policy_version": found.policy.version,
        "tolerance_minutes": found.tolerance_minutes,
        "contact_minutes": sum(each["contact_minutes"] for each in found.course["sessions"]),
        "policy_contact_minutes": found.policy.contact_minutes,
        "registers": found.registers,
        "items": [_learner(each, known[each.person], show) for each in found.learners],
    }


@blueprint.query("/enrolments/<uuid:enrolment>/completion", permission="completion:read", answer=DecisionsAnswer)
def decisions(asked: Asked, enrolment: UUID) -> dict[str, Any]:
    """Get all decisions on one learner's completion, those that were corrected too."""
    if registers.learner(reading(), enrolment, at=asked.at) is None:
        raise NotFound("There is no such enrolment.")
    found = view.decisions_of(reading(), enrolment, at=asked.at)
    show = opener(row["note"] for row in found)
    return {"enrolment": str(enrolment), "items": [_decision(row, show) for row in found]}


@blueprint.command("/enrolments/<uuid:enrolment>/participation", permission="completion:decide", body=Participation)
def attest_participation(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Attest, as the lead, whether a learner took part."""
    return commands.attest_participation(office(), act(), enrolment=enrolment, **said)


@blueprint.command(
    "/courses/<uuid:course>/completion/attest-participation",
    permission="completion:decide",
    body=ParticipationOfAll,
    versioned=False,
    keyed=True,
)
def attest_participation_of_class(said: dict[str, Any], course: UUID) -> Receipt:
    """Attest, as the lead, that everybody with a seat took part of whom nothing was said yet, except some.

    All or nothing. `ids` are the enrolments that were attested.
    """
    return commands.attest_participation_of_class(office(), act(), course=course, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/completion", permission="completion:decide", body=Decision)
def decide(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Decide, as the lead, whether a learner has completed the course.

    It is decided on what the record proposes now, once all registers are sealed. To decide otherwise needs a reason.
    A second decision corrects the first: it needs a reason, and the approval of a second person, unless the
    institution works solo for that.
    """
    token = said.pop("approver_token", None)
    approver = None if token is None else _approver(token, enrolment)
    try:
        return commands.decide(office(), act(), enrolment=enrolment, approved_by=approver, **said)
    except (CorrectionNeedsApproval, OwnCorrection) as refused:
        refused.field = "approver_token"
        raise


@blueprint.command(
    "/courses/<uuid:course>/completion/decide-as-proposed",
    permission="completion:decide",
    body=DecisionOfAll,
    versioned=False,
    keyed=True,
)
def decide_as_proposed(said: dict[str, Any], course: UUID) -> Receipt:
    """Decide, as the lead, for everybody with a seat who has no decision yet, as the record proposes.

    All or nothing. `ids` are the enrolments that were decided.
    """
    return commands.decide_as_proposed(office(), act(), course=course, **said)


def _approver(token: str, enrolment: UUID) -> UUID:
    """Return whose token this is, where they may approve a correction.

    :raises UnfitApprover: where they may not.
    """
    holder = access.holder(reading(), digest(token))
    learner = registers.learner(reading(), enrolment)
    if holder is not None and (holder.expires_at is None or holder.expires_at > instant(office().clock())):
        here = learner is not None and directory.is_trainer_of(reading(), holder.person, learner["course"])
        if Role.REGISTRAR in holder.roles or (Role.TRAINER in holder.roles and here):
            return UUID(holder.person)
    raise UnfitApprover(
        "The second person needs a token in force, as a registrar or as a trainer of this course.",
        field="approver_token",
    )


def _learner(
    learner: view.Learner, known: Mapping[str, Any], show: Callable[[str | None], str | None]
) -> dict[str, Any]:
    decision = learner.decision
    return {
        "enrolment": learner.enrolment,
        "person": learner.person,
        "given": show(known["given"]),
        "family": show(known["family"]),
        **{name: learner.of[name] for name in ("standing", "walk_in_open", "version")},
        "proposed": learner.because.proposed,
        "unmet": [clause.name for clause in learner.because.unmet],
        "completed": None if decision is None else decision["completed"],
        "deviates": None if decision is None else decision["deviates"],
        "moved": learner.moved,
        "because": plain(learner.because),
        "participation": {**learner.participation, "note": show(learner.participation["note"])},
        "make_ups": [
            {name: value for name, value in row.items() if name not in ("enrolment", "course")}
            for row in learner.make_ups
        ],
        "decision": None if decision is None else _decision(decision, show),
    }


def _decision(row: Mapping[str, Any], show: Callable[[str | None], str | None]) -> dict[str, Any]:
    return {
        **{name: value for name, value in row.items() if name not in ("enrolment", "course")},
        "note": show(row["note"]),
    }


def _handles(learners: Iterable[view.Learner], people: Iterable[Mapping[str, Any]]) -> Iterable[str | None]:
    for person in people:
        yield person["given"]
        yield person["family"]
    for learner in learners:
        yield learner.participation["note"]
        if learner.decision is not None:
            yield learner.decision["note"]
