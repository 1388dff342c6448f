"""Courses: when they take place, who teaches them, and how far they have come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from flask import g
from marshmallow import Schema, fields, post_load, validate

from api.answers import Page
from api.asked import Asked, ListArguments, act
from api.auth import sees_all_courses
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Day, Line, Moment, Uid, Whole, WithReason, Words, Yes
from api.here import office, reading
from api.private import opener
from domain.course import Capacity, Stage
from domain.credential import BODIES, FORMATS
from domain.trainer import Role
from projections import courses as view
from projections import directory, history
from provider.commands import courses as commands
from provider.commands.courses import LocalSession
from provider.log import NotFound, Receipt

blueprint = Blueprint("courses", __name__, url_prefix="/v1/courses", description=__doc__)

MOST_SESSIONS = 100
MOST_SEATS = 100_000
MOST_MINUTES = 12 * 60
OWN_PARTS = ("numbers", "drafted", "sessions")
"""What a course of the view has that its answer has not, or has otherwise."""


class HeldAnswer(Answer):
    """How a session really was."""

    started = fields.String(required=True)
    ended = fields.String(required=True)
    trainers = fields.List(fields.String(), required=True)
    lead = fields.String(required=True, metadata={"description": "Who led it, and seals its register."})


class CurtailedAnswer(Answer):
    """That a session had fewer minutes than planned."""

    contact_minutes = fields.Integer(required=True)
    reason = fields.String(required=True)


class SessionAnswer(Answer):
    """A session, which is a half-day. Its number is never used again."""

    number = fields.Integer(required=True)
    starts = fields.String(required=True, metadata={"description": "In UTC."})
    ends = fields.String(required=True, metadata={"description": "In UTC."})
    zone = fields.String(required=True)
    local_day = fields.String(required=True)
    scheduled_minutes = fields.Integer(required=True, metadata={"description": "From start to end, breaks included."})
    planned_minutes = fields.Integer(required=True, metadata={"description": "Contact minutes as planned."})
    contact_minutes = fields.Integer(
        required=True, metadata={"description": "Contact minutes as held or curtailed, else as planned."}
    )
    place = fields.String(required=True, allow_none=True)
    held = fields.Nested(HeldAnswer, required=True, allow_none=True)
    curtailed = fields.Nested(CurtailedAnswer, required=True, allow_none=True)
    cancelled = fields.Boolean(required=True)
    cancelled_reason = fields.String(required=True, allow_none=True)


class SessionsAnswer(Answer):
    """All sessions of a course in order of time, cancelled ones too."""

    items = fields.List(fields.Nested(SessionAnswer), required=True)


class CapacityAnswer(Answer):
    """How many seats there are; exactly one of the two is said."""

    limit = fields.Integer(required=True, allow_none=True)
    unlimited = fields.Boolean(required=True)


class CourseTrainerAnswer(Answer):
    """Who teaches the course."""

    person = fields.String(required=True)
    role = fields.String(required=True, metadata={"description": "`lead` or `co_trainer`."})
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)


class ListingAnswer(Answer):
    """Where a body lists the course."""

    body = fields.String(required=True)
    external_id = fields.String(required=True)
    address = fields.String(required=True, allow_none=True)


class CourseSummary(Answer):
    """A course, without its sessions one by one."""

    course = fields.String(required=True)
    title = fields.String(required=True)
    body = fields.String(required=True)
    code = fields.String(required=True)
    policy_version = fields.String(required=True, metadata={"description": "The rules that the plan was judged by."})
    format = fields.String(required=True)
    lo_edition = fields.String(required=True, allow_none=True)
    language = fields.String(required=True, allow_none=True)
    copied_from = fields.String(required=True, allow_none=True)
    drafted_at = fields.String(required=True)
    stage = fields.String(required=True, validate=validate.OneOf([stage.value for stage in Stage]))
    enrolment_open = fields.Boolean(required=True)
    first_day = fields.String(required=True, allow_none=True)
    last_day = fields.String(required=True, allow_none=True)
    session_count = fields.Integer(required=True)
    contact_minutes = fields.Integer(
        required=True, metadata={"description": "Instruction in all: as held, and as planned where not yet."}
    )
    scheduled_minutes = fields.Integer(
        required=True, metadata={"description": "From each day's first start to its last end, in all."}
    )
    warnings = fields.List(
        fields.String(), required=True, metadata={"description": "What the rules hold against the plan."}
    )
    warnings_reason = fields.String(required=True, allow_none=True)
    capacity = fields.Nested(CapacityAnswer, required=True, allow_none=True)
    minimum = fields.Integer(required=True, allow_none=True)
    confirmed = fields.Boolean(required=True, metadata={"description": "Whether it is certain that it will run."})
    lead = fields.String(required=True, allow_none=True)
    co_trainers = fields.List(fields.String(), required=True)
    trainers = fields.List(fields.Nested(CourseTrainerAnswer), required=True)
    listings = fields.List(fields.Nested(ListingAnswer), required=True)
    cancelled_reason = fields.String(required=True, allow_none=True)
    waived = fields.List(fields.String(), required=True, metadata={"description": "What was left undone at its end."})
    schedule_version = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The version that last changed its sessions."}
    )


class CourseAnswer(CourseSummary):
    """A course with its sessions."""

    sessions = fields.List(fields.Nested(SessionAnswer), required=True)
    version = fields.Integer(required=True)


class NewCourse(Body):
    """A course that begins."""

    title = Line(required=True)
    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    code = Code(required=True)
    format = fields.String(required=True, validate=validate.OneOf(FORMATS))
    lo_edition = Line(allow_none=True, longest=60, metadata={"description": "The edition of the learning objectives."})
    language = Line(allow_none=True, longest=35)
    first_day = Day(
        allow_none=True,
        metadata={"description": "When it is to begin, as far as known; the rules in force then count."},
    )


class CourseArguments(ListArguments):
    """Which courses are listed."""

    stage = fields.Enum(Stage, by_value=True, metadata={"description": "Only those that have come so far."})


class SessionFields(Schema):
    """When a session is, as the clock on its wall shows."""

    day = Day(required=True)
    start = fields.String(required=True, validate=validate.Length(max=5), metadata={"description": "As 09:00."})
    end = fields.String(required=True, validate=validate.Length(max=5), metadata={"description": "As 12:30."})
    zone = Line(allow_none=True, longest=60, metadata={"description": "An IANA zone; by default the institution's."})
    contact_minutes = Whole(
        low=0,
        high=MOST_MINUTES,
        allow_none=True,
        metadata={"description": "Instruction without listed breaks; by default all of it."},
    )
    place = Line(allow_none=True)
    fold = Whole(
        low=0,
        high=1,
        allow_none=True,
        metadata={"description": "Where the clocks go back: 0 is the first of two equal times, 1 the second."},
    )
    end_fold = Whole(low=0, high=1, allow_none=True, metadata={"description": "The same for the end, by default fold."})


class SessionPlanned(SessionFields):
    """A session of a plan."""

    number = Whole(
        low=1, high=2**31 - 1, allow_none=True, metadata={"description": "Which session moves; none for a new one."}
    )

    @post_load
    def _local(self, said: dict[str, Any], **_: Any) -> LocalSession:
        return LocalSession(**said)


class Schedule(Body):
    """The sessions, and why in spite of what the rules hold against them."""

    sessions = fields.List(
        fields.Nested(SessionPlanned), required=True, validate=validate.Length(min=1, max=MOST_SESSIONS)
    )
    reason = Code(metadata={"description": "Needed where the credential's rules warn."})
    note = Words(metadata={"description": "Why, in words. Kept in the vault, never in the log."})


class Rescheduling(WithReason):
    """All sessions as they shall be now."""

    sessions = fields.List(
        fields.Nested(SessionPlanned), required=True, validate=validate.Length(min=1, max=MOST_SESSIONS)
    )


class Copy(Body):
    """When the copy begins, and what it is called."""

    first_day = Day(required=True)
    title = Line(allow_none=True)
    fold = Whole(low=0, high=1, allow_none=True)
    reason = Code(metadata={"description": "Needed where the credential's rules warn."})
    note = Words()


class Assignment(Body):
    """Who teaches, and as what."""

    person = Uid(required=True)
    role = fields.Enum(Role, by_value=True, required=True)


class Replacement(WithReason):
    """Who takes over, from when, and why."""

    new = Uid(required=True)
    since = Moment(allow_none=True, metadata={"description": "From when it counts; by default, from now."})


class Seats(Schema):
    """How many seats: a `limit`, or `unlimited`; exactly one of the two."""

    limit = Whole(low=1, high=MOST_SEATS, allow_none=True, load_default=None)
    unlimited = Yes(load_default=False)

    @post_load
    def _capacity(self, said: dict[str, Any], **_: Any) -> Capacity:
        return Capacity(**said)


class Opening(Body):
    """How many seats there are, and how many must be taken so that the course runs."""

    capacity = fields.Nested(Seats, required=True)
    minimum = Whole(low=1, high=MOST_SEATS, allow_none=True)


class CapacityChange(WithReason):
    """How many seats there are from now on."""

    capacity = fields.Nested(Seats, required=True)


class MayHaveReason(Body):
    """Why, where that has to be said."""

    reason = Code(metadata={"description": "Why, as a code."})


class Confirmation(MayHaveReason):
    """Why it runs with fewer than its minimum, where it does."""

    note = Words()


class Listing(Body):
    """Where a body lists the course."""

    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    external_id = Line(required=True)
    address = fields.Url(
        allow_none=True,
        schemes={"http", "https"},
        validate=validate.Length(max=2_000),
        metadata={"description": "A web address, since somebody will follow it."},
    )


class SessionAdded(SessionFields, WithReason):
    """One more session, and why."""


class SessionHeld(Body):
    """How a session really was. What is left out was as planned."""

    started = Moment()
    ended = Moment()
    trainers = fields.List(Uid(), validate=validate.Length(min=1, max=50))
    contact_minutes = Whole(low=0, high=MOST_MINUTES)
    reason = Code(metadata={"description": "Needed to correct what is on record."})
    note = Words()


class Curtailment(WithReason):
    """How many contact minutes a session really had, and why."""

    contact_minutes = Whole(low=0, high=MOST_MINUTES, required=True)


class Closing(Body):
    """What may stay undone, and why."""

    waived = fields.List(Line(), validate=validate.Length(max=1_000), load_default=list)
    reason = Code()
    note = Words()


@blueprint.command("", permission="courses:write", body=NewCourse, creates=True, location="/v1/courses/{id}")
def draft(said: dict[str, Any]) -> Receipt:
    """Begin a course for a credential.

    The rules in force on its first day count, or today's where that is not known yet.
    """
    return commands.draft(office(), act(), **said)


@blueprint.query("", permission="courses:read", answer=CourseSummary, arguments=CourseArguments, table=True)
def courses(asked: Asked, stage: Stage | None = None) -> Page:
    """List courses in the order in which they were drafted; a trainer sees only their own."""
    principal = g.principal
    page = Page.of(
        view.listing(
            reading(),
            after=None if asked.after is None else int(asked.after[0]),
            limit=asked.limit,
            at=asked.at,
            person=None if sees_all_courses(principal, "courses:read") else principal.person,
            stage=None if stage is None else stage.value,
        ),
        asked.limit,
        "drafted",
    )
    return Page(_shown(page.items, asked.at), page.next)


@blueprint.query("/<uuid:course>", permission="courses:read", answer=CourseAnswer, entity="course")
def course(asked: Asked, course: UUID) -> dict[str, Any]:
    """Show one course with its sessions."""
    found = view.course(reading(), course, asked.at)
    if found is None:
        raise NotFound(f"There is no course {course}.")
    return {
        **_shown([found], asked.at)[0],
        "sessions": found["sessions"],
        "version": history.version_of(reading(), course, at=asked.at),
    }


@blueprint.command(
    "/<uuid:course>/copy", permission="courses:write", body=Copy, creates=True, location="/v1/courses/{id}"
)
def copy(said: dict[str, Any], course: UUID) -> Receipt:
    """Make a new course with the same facts, its first session on another day.

    The sessions move by whole days and keep their local times. Trainers, seats and the listing stay behind.
    """
    return commands.copy(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/schedule", permission="courses:write", body=Schedule)
def schedule(said: dict[str, Any], course: UUID) -> Receipt:
    """Plan the sessions of a draft.

    The trainers already assigned are booked for them. Where the credential's rules warn, a reason is needed, and the
    outcome is `warned`.
    """
    return commands.schedule(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/reschedule", permission="courses:write", body=Rescheduling)
def reschedule(said: dict[str, Any], course: UUID) -> Receipt:
    """Plan all sessions anew.

    A session with its number moves, one without is new, one that is left out is dropped. Those that were held stay.
    The trainers are booked anew; whoever can't be there, or may not teach then, has to be replaced first.
    """
    return commands.reschedule(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/trainers", permission="courses:write", body=Assignment)
def assign_trainer(said: dict[str, Any], course: UUID) -> Receipt:
    """Put a trainer on the course, or give one of its trainers another role.

    They must be authorised for the credential on each day, and free.
    """
    return commands.assign_trainer(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/trainers/<uuid:trainer>/release", permission="courses:write", body=WithReason)
def release_trainer(said: dict[str, Any], course: UUID, trainer: UUID) -> Receipt:
    """Take a trainer off the course."""
    return commands.release_trainer(office(), act(), course=course, person=trainer, **said)


@blueprint.command("/<uuid:course>/trainers/<uuid:trainer>/replace", permission="courses:write", body=Replacement)
def replace_trainer(said: dict[str, Any], course: UUID, trainer: UUID) -> Receipt:
    """Give a trainer's role to another in one step, so that an open course never lacks its lead."""
    return commands.replace_trainer(office(), act(), course=course, person=trainer, **said)


@blueprint.command("/<uuid:course>/open", permission="courses:write", body=Opening)
def open_course(said: dict[str, Any], course: UUID) -> Receipt:
    """Take enrolments.

    It needs its sessions and its lead, and the institution must be registered with the body on each day.
    """
    return commands.open(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/capacity", permission="courses:write", body=CapacityChange)
def change_capacity(said: dict[str, Any], course: UUID) -> Receipt:
    """Have more or fewer seats, never fewer than are taken or held."""
    return commands.change_capacity(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/close-enrolment", permission="courses:write", body=MayHaveReason)
def close_enrolment(said: dict[str, Any], course: UUID) -> Receipt:
    """Take no more enrolments. Who waits still moves up."""
    return commands.close_enrolment(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/reopen-enrolment", permission="courses:write", body=MayHaveReason)
def reopen_enrolment(said: dict[str, Any], course: UUID) -> Receipt:
    """Take enrolments again."""
    return commands.reopen_enrolment(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/confirm", permission="courses:write", body=Confirmation)
def confirm(said: dict[str, Any], course: UUID) -> Receipt:
    """Say that the course will run; with fewer seats taken than its minimum, give a reason."""
    return commands.confirm(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/listing", permission="courses:write", body=Listing)
def list_with_body(said: dict[str, Any], course: UUID) -> Receipt:
    """Record under which id, and at which address, the body lists the course."""
    return commands.list_with_body(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/cancel", permission="courses:write", body=WithReason)
def cancel(said: dict[str, Any], course: UUID) -> Receipt:
    """Call the course off, for good. Its trainers have their time again."""
    return commands.cancel(office(), act(), course=course, **said)


@blueprint.query(
    "/<uuid:course>/sessions", permission="courses:read", answer=SessionsAnswer, entity="course", table=True
)
def sessions(asked: Asked, course: UUID) -> dict[str, Any]:
    """Show the sessions of a course in order of time, cancelled ones too."""
    found = view.sessions(reading(), course, asked.at)
    if not found and view.course(reading(), course, asked.at) is None:
        raise NotFound(f"There is no course {course}.")
    return {"items": found}


@blueprint.query("/<uuid:course>/sessions/<int:session>", permission="courses:read", answer=SessionAnswer)
def session(asked: Asked, course: UUID, session: int) -> dict[str, Any]:
    """Show one session."""
    found = view.session(reading(), course, session, asked.at)
    if found is None:
        raise NotFound(f"The course has no session {session}.")
    return _without_course(found)


@blueprint.command(
    "/<uuid:course>/sessions",
    permission="courses:write",
    body=SessionAdded,
    creates=True,
    location="/v1/courses/{id}/sessions/{ids[0]}",
)
def add_session(said: dict[str, Any], course: UUID) -> Receipt:
    """Add a session, for instance to make up for a curtailed one. `ids` holds its number.

    A delivered course is open again by it, though not for enrolments.
    """
    why = {name: said.pop(name) for name in ("reason", "note") if name in said}
    return commands.add_session(office(), act(), course=course, session=LocalSession(**said), **why)


@blueprint.command("/<uuid:course>/sessions/<int:session>/held", permission="sessions:write", body=SessionHeld)
def hold_session(said: dict[str, Any], course: UUID, session: int) -> Receipt:
    """Record that a session took place: when, with whom, and how many contact minutes.

    What is left out was as planned. A second time it is a correction, and needs a reason.
    """
    return commands.hold_session(office(), act(), course=course, session=session, **said)


@blueprint.command("/<uuid:course>/sessions/<int:session>/curtail", permission="sessions:write", body=Curtailment)
def curtail_session(said: dict[str, Any], course: UUID, session: int) -> Receipt:
    """Record that a session had fewer contact minutes than planned."""
    return commands.curtail_session(office(), act(), course=course, session=session, **said)


@blueprint.command("/<uuid:course>/sessions/<int:session>/cancel", permission="courses:write", body=WithReason)
def cancel_session(said: dict[str, Any], course: UUID, session: int) -> Receipt:
    """Drop a session that won't take place. Its number is never used again."""
    return commands.cancel_session(office(), act(), course=course, session=session, **said)


@blueprint.command("/<uuid:course>/deliver", permission="courses:write")
def deliver(said: dict[str, Any], course: UUID) -> Receipt:
    """Say that the course has taken place: each session was held or cancelled."""
    return commands.deliver(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/close", permission="courses:write", body=Closing)
def close(said: dict[str, Any], course: UUID) -> Receipt:
    """End the work on a course.

    Unsealed registers, learners without an outcome, an unfinished submission and open discrepancies stand against it;
    the refusal names their codes, which can be waived with a reason.
    """
    return commands.close(office(), act(), course=course, **said)


@blueprint.command("/<uuid:course>/reopen", permission="courses:write", body=WithReason)
def reopen(said: dict[str, Any], course: UUID) -> Receipt:
    """Take up the work on a closed course again."""
    return commands.reopen(office(), act(), course=course, **said)


def _shown(rows: Iterable[Mapping[str, Any]], at: int | None) -> list[dict[str, Any]]:
    """Return courses as the API shows them, with the names of their trainers opened in one go."""
    rows = list(rows)
    people = directory.people_by_ids(
        reading(),
        [person for row in rows for person in (row["lead"], *row["co_trainers"]) if person is not None],
        at=at,
    )
    name = opener(people[person][part] for person in people for part in ("given", "family"))

    def trainer(person: str, role: Role) -> dict[str, Any]:
        known = people[person]
        return {
            "person": person,
            "role": role.value,
            "given": name(known["given"]),
            "family": name(known["family"]),
        }

    return [
        {
            **{column: value for column, value in row.items() if column not in OWN_PARTS},
            "session_count": len(row["numbers"]),
            "trainers": [
                *([trainer(row["lead"], Role.LEAD)] if row["lead"] is not None else []),
                *(trainer(person, Role.CO_TRAINER) for person in row["co_trainers"]),
            ],
            "listings": [{"body": body, **listing} for body, listing in row["listings"].items()],
        }
        for row in rows
    ]


def _without_course(session: Mapping[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in session.items() if column != "course"}
