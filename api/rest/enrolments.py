"""Enrolments: who comes to a course, and who waits for a seat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import g
from marshmallow import ValidationError, fields, validate, validates_schema

from api.answers import Page
from api.asked import Asked, ListArguments, act
from api.auth import sees_all_courses
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Email, Line, Uid, Whole, WithReason, Yes
from api.here import office, reading
from api.private import opener
from api.problems import NotPermitted
from api.rest.people import PersonBody
from api.rest.roster import RosterMark
from domain.credential import BODIES
from domain.enrolment import LONGEST_MAKE_UP, MakeUpKind, Stage
from projections import courses, directory, roster
from projections.roster import TASKS
from provider.commands import enrolments as commands
from provider.log import NotFound, Receipt

blueprint = Blueprint("enrolments", __name__, url_prefix="/v1", description=__doc__)

NAMES = ("given", "family", "certificate_name")
PERSONAL = ("given", "family", "certificate_name", "latin_given", "latin_family", "email", "phone")
HIGHEST = 2**31 - 1

OVERRIDE = "Why there is a seat beyond the capacity, as a code. Nothing is overridden while a seat is free."


class KnownOrNew(PersonBody):
    """A person on record, or the names of a new one."""

    person = Uid(metadata={"description": "Somebody on record."})

    @validates_schema
    def _one_of_both(self, said: dict[str, Any], **_: Any) -> None:
        named = any(said.get(name) is not None for name in PERSONAL)
        if ("person" in said) == named:
            raise ValidationError("Say either which person on record it is, or what the new one is called.")
        _must_be_named(said)


def _must_be_named(said: Mapping[str, Any]) -> None:
    """Refuse an e-mail or a phone number of somebody who has no name."""
    if any(said.get(name) is not None for name in PERSONAL) and not any(said.get(name) for name in NAMES):
        raise ValidationError("Say what the person is called: the given or family name, or both.", field_name="given")


class EnrolmentBody(KnownOrNew):
    """Who is to be enrolled."""

    order_reference = Line(metadata={"description": "The shop's key of the order line. Never a name or an e-mail."})
    override = Code(metadata={"description": f"{OVERRIDE} Also where the course takes no more enrolments."})


class AgainBody(Body):
    """By which order somebody comes again."""

    order_reference = Line()
    override = Code(metadata={"description": OVERRIDE})


class SeatBody(Body):
    """Why somebody who waits gets a seat out of turn, where they do."""

    override = Code(metadata={"description": OVERRIDE})


class SubstitutionBody(KnownOrNew, WithReason):
    """Who comes instead, and why."""


class WalkInBody(PersonBody):
    """Who came to which session."""

    person = Uid(
        required=True,
        metadata={
            "description": "Somebody on record, or an id drawn at random (UUID version 4) for somebody new, whose name "
            "then has to be said."
        },
    )
    session = Whole(low=1, high=HIGHEST, required=True)
    override = Code(metadata={"description": f"{OVERRIDE} Only a registrar can say so."})

    @validates_schema
    def _named(self, said: dict[str, Any], **_: Any) -> None:
        _must_be_named(said)


class BodyEmailAskedBody(Body):
    """Which body's e-mail was asked for, and what the learner answered."""

    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    answered = Yes(required=True)
    email = Email(metadata={"description": "The answer, where it is an e-mail; kept with the person."})

    @validates_schema
    def _no_silent_answer(self, said: dict[str, Any], **_: Any) -> None:
        if "email" in said and said.get("answered") is False:
            raise ValidationError("Who gave an e-mail has answered.", field_name="answered")


class PrerequisiteBody(Body):
    """What the learner declares to have."""

    evidence = Line(required=True, metadata={"description": "A reference to the evidence. Never a name."})


class MakeUpBody(Body):
    """What was missed, and where that was made up for."""

    session = Whole(low=1, high=HIGHEST, required=True, metadata={"description": "The session that was missed."})
    minutes = Whole(low=1, high=LONGEST_MAKE_UP, required=True)
    kind = fields.Enum(MakeUpKind, by_value=True, required=True)
    elsewhere_course = Uid(metadata={"description": "Of a session: the other course."})
    elsewhere_session = Whole(low=1, high=HIGHEST, metadata={"description": "Of a session: its number there."})
    trainer = Uid(required=True, metadata={"description": "Who taught it."})
    evidence = Line(required=True, metadata={"description": "A reference to the evidence. Never a name."})


class EnrolmentSummary(Answer):
    """An enrolment, and what a registrar has to do about it."""

    enrolment = fields.String(required=True)
    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    certificate_name = fields.String(required=True, allow_none=True)
    standing = fields.String(required=True, validate=validate.OneOf([stage.value for stage in Stage]))
    rank = fields.Integer(required=True, allow_none=True, metadata={"description": "In the queue, from 1."})
    tasks = fields.List(fields.String(validate=validate.OneOf(TASKS)), required=True)
    seat_held = fields.Boolean(required=True, metadata={"description": "Whether a free seat waits for them."})
    skipped = fields.String(required=True, allow_none=True, metadata={"description": "Why they were passed over."})
    override = fields.String(required=True, allow_none=True, metadata={"description": OVERRIDE})
    source = fields.String(required=True)
    order_reference = fields.String(required=True, allow_none=True)
    requested_at = fields.String(required=True)
    walk_in = fields.Integer(required=True, allow_none=True)
    walk_in_confirmed = fields.Boolean(required=True, allow_none=True)
    substitutes = fields.String(required=True, allow_none=True)
    substituted_by = fields.String(required=True, allow_none=True, metadata={"description": "The enrolment."})
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "Why it ended, or they are a no-show, as a code."}
    )
    participation = fields.Boolean(required=True, allow_none=True)
    completed = fields.Boolean(required=True, allow_none=True)
    version = fields.Integer(required=True)


class PrerequisiteAnswer(Answer):
    """What a learner declared to have."""

    evidence = fields.String(required=True)
    at = fields.String(required=True)
    recorded_by = fields.String(required=True)


class MakeUpPlace(Answer):
    """Where time was made up for: a tutorial, or a session of another course, by its register."""

    kind = fields.String(required=True)
    course = fields.String(required=True, allow_none=True)
    session = fields.Integer(required=True, allow_none=True)
    register = fields.String(required=True, allow_none=True)


class CreditedMakeUp(Answer):
    """Time that counts for time missed."""

    number = fields.Integer(required=True)
    session = fields.Integer(required=True)
    minutes = fields.Integer(required=True)
    elsewhere = fields.Nested(MakeUpPlace, required=True)
    trainer = fields.String(required=True)
    evidence = fields.String(required=True)
    withdrawn = fields.String(required=True, allow_none=True, metadata={"description": "Why it no longer counts."})


class EnrolmentAnswer(EnrolmentSummary):
    """All about one enrolment."""

    course = fields.String(required=True)
    note = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it ended, in words. Null for who sees only their own courses."},
    )
    body_emails_asked = fields.Dict(
        keys=fields.String(),
        values=fields.Boolean(),
        required=True,
        metadata={"description": "The bodies whose e-mail was asked for, and whether the learner answered."},
    )
    prerequisites = fields.List(fields.Nested(PrerequisiteAnswer), required=True)
    make_ups = fields.List(fields.Nested(CreditedMakeUp), required=True)
    marks = fields.Dict(keys=fields.String(), values=fields.Nested(RosterMark), required=True)


class EnrolmentArguments(ListArguments):
    """Which enrolments are listed."""

    standing = fields.Enum(Stage, by_value=True)
    task = fields.String(
        validate=validate.OneOf(TASKS),
        metadata={"description": "Only those that wait for a registrar to do this."},
    )


@blueprint.command(
    "/courses/<uuid:course>/enrolments",
    permission="enrolments:write",
    body=EnrolmentBody,
    creates=True,
    location="/v1/enrolments/{id}",
)
def request(said: dict[str, Any], course: UUID) -> Receipt:
    """Enrol somebody known or new, who at once gets a seat or a place in the queue.

    The outcome is `confirmed` or `queued`; the first of `ids` is the person. Who had left the course requests again.
    Nobody is looked up by name: two people may share one.
    """
    return commands.request(office(), act(), course=course, **said)


@blueprint.query(
    "/courses/<uuid:course>/enrolments",
    permission="enrolments:read",
    answer=EnrolmentSummary,
    arguments=EnrolmentArguments,
    table=True,
)
def enrolments(asked: Asked, course: UUID, standing: Stage | None = None, task: str | None = None) -> Page:
    """List a course's enrolments in the order of their requests, ended ones too, with their ranks in the queue.

    With `task=confirm_seat` those for whom a seat is held, with `task=confirm_walk_in` the walk-ins to be confirmed.
    """
    page = Page.of(
        roster.enrolments_of(
            reading(),
            course,
            standing=None if standing is None else standing.value,
            task=task,
            after=None if asked.after is None else int(asked.after[0]),
            limit=asked.limit,
            at=asked.at,
        ),
        asked.limit,
        "requested",
    )
    if not page.items:
        _must_exist(course, asked.at)
    return Page([_summary(row) for row in _named(page.items, asked.at)], page.next)


@blueprint.query(
    "/enrolments/<uuid:enrolment>", permission="enrolments:read", answer=EnrolmentAnswer, entity="enrolment"
)
def enrolment(asked: Asked, enrolment: UUID) -> dict[str, Any]:
    """Show one enrolment with all that is known of it."""
    row = roster.enrolment(reading(), enrolment, asked.at)
    if row is None:
        raise NotFound(f"There is no enrolment {enrolment}.")
    note = row["note"] if sees_all_courses(g.principal, "enrolments:read") else None
    return {
        **_summary(_named([row], asked.at)[0]),
        "course": row["course"],
        "note": opener([note])(note),
        "body_emails_asked": row["body_emails_asked"],
        "prerequisites": row["prerequisites"],
        "make_ups": row["make_ups"],
        "marks": row["marks"],
    }


@blueprint.command(
    "/courses/<uuid:course>/walk-ins",
    permission="walk_ins:write",
    body=WalkInBody,
    creates=True,
    keyed=False,
    location="/v1/enrolments/{id}",
)
def admit_walk_in(said: dict[str, Any], course: UUID) -> Receipt:
    """Give a seat to somebody who came to a session without one.

    A device draws the id of a new person itself, so that marks can wait behind the walk-in while it is offline. The
    same walk-in again answers the same, so that no Idempotency-Key is needed. A registrar confirms the walk-in later,
    or cancels the enrolment.
    """
    if "override" in said and "enrolments:write" not in g.principal.permissions:
        raise NotPermitted("All seats are taken unless a registrar gives one more. Ask them to admit the walk-in.")
    return commands.admit_walk_in(office(), act(), course=course, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/confirm", permission="enrolments:write", body=SeatBody)
def confirm(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Give somebody who waits the seat that is held for them."""
    return commands.confirm(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/skip", permission="enrolments:write", body=WithReason)
def skip(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Pass over somebody for whom a seat is held.

    The seat is held for the next. They keep their rank, and come first again when another seat frees.
    """
    return commands.skip(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/withdraw", permission="enrolments:write", body=WithReason)
def withdraw(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Withdraw a learner, by their wish. A seat that frees is held for the first in the queue."""
    return commands.withdraw(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/cancel", permission="enrolments:write", body=WithReason)
def cancel(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Cancel an enrolment, by the institution's decision; also that of a walk-in who isn't confirmed."""
    return commands.cancel(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/request-again", permission="enrolments:write", body=AgainBody)
def request_again(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Enrol somebody again who had left the course; the outcome is `confirmed` or `queued`."""
    return commands.request_again(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/substitute", permission="enrolments:write", body=SubstitutionBody)
def substitute(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Give a learner's seat to another human, before anybody in the queue.

    Marks stay with who was there. The first of `ids` is the new enrolment, the second the person who comes. If it is
    the same human under another name, correct or change the name instead.
    """
    return commands.substitute(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/confirm-walk-in", permission="enrolments:write")
def confirm_walk_in(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Make a walk-in an enrolment like any other."""
    return commands.confirm_walk_in(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/no-show", permission="enrolments:write", body=WithReason)
def declare_no_show(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Record that somebody with a seat never came."""
    return commands.declare_no_show(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/lift-no-show", permission="enrolments:write", body=WithReason)
def lift_no_show(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Take back that somebody never came."""
    return commands.lift_no_show(office(), act(), enrolment=enrolment, **said)


@blueprint.command(
    "/enrolments/<uuid:enrolment>/body-email-asked", permission="enrolments:write", body=BodyEmailAskedBody
)
def ask_body_email(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Record that the learner was asked by which e-mail a body knows them, and what they answered."""
    return commands.ask_body_email(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/prerequisites", permission="enrolments:write", body=PrerequisiteBody)
def declare_prerequisite(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Record that the learner declares to meet the credential's prerequisite. It never keeps anybody out."""
    return commands.declare_prerequisite(office(), act(), enrolment=enrolment, **said)


@blueprint.command("/enrolments/<uuid:enrolment>/make-ups", permission="enrolments:write", body=MakeUpBody, keyed=True)
def credit_make_up(said: dict[str, Any], enrolment: UUID) -> Receipt:
    """Credit time spent elsewhere for time missed in a session; the first of `ids` is the credit's number.

    A session of another course is proven by its register, which must have the learner as present. It is referred to,
    never copied.
    """
    return commands.credit_make_up(office(), act(), enrolment=enrolment, **said)


@blueprint.command(
    "/enrolments/<uuid:enrolment>/make-ups/<int:credit>/withdraw", permission="enrolments:write", body=WithReason
)
def withdraw_make_up(said: dict[str, Any], enrolment: UUID, credit: int) -> Receipt:
    """Take back the credit of this number."""
    return commands.withdraw_make_up(office(), act(), enrolment=enrolment, number=credit, **said)


def _flag(said: int | None) -> bool | None:
    return None if said is None else bool(said)


def _must_exist(course: UUID, at: int | None) -> None:
    if courses.course(reading(), course, at) is None:
        raise NotFound(f"There is no course {course}.")


def _named(rows: Sequence[Mapping[str, Any]], at: int | None) -> list[dict[str, Any]]:
    """Return the rows with the names of their people, all opened in one go."""
    people = directory.people_by_ids(reading(), [row["person"] for row in rows], at=at)
    show = opener([each[name] for each in people.values() for name in NAMES])
    return [{**row, **{name: show(people[row["person"]][name]) for name in NAMES}} for row in rows]


def _summary(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "enrolment": row["enrolment"],
        "person": row["person"],
        "given": row["given"],
        "family": row["family"],
        "certificate_name": row["certificate_name"],
        "standing": row["standing"],
        "rank": row["rank"],
        "tasks": roster.tasks(row),
        "seat_held": row["seat_held"],
        "skipped": row["skipped"],
        "override": row["override"],
        "source": row["source"],
        "order_reference": row["order_reference"],
        "requested_at": row["requested_at"],
        "walk_in": row["walk_in"],
        "walk_in_confirmed": row["walk_in_confirmed"],
        "substitutes": row["substitutes"],
        "substituted_by": row["substituted_by"],
        "reason": row["reason"],
        "participation": row["participation"],
        "completed": row["completed"],
        "version": row["version"],
    }
