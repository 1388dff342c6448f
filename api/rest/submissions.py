"""Submissions: what a body is told about a course's completers, and what comes of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Response, g, request
from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from api.asked import Asked, act
from api.auth import sees_all_courses
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Day, Line, Moment, Uid, Whole, WithReason, Words
from api.here import office, reading
from api.private import opener
from domain.basis import Aspect
from domain.schedule import zone_named
from domain.submission import (
    EXCLUDED_FOR,
    LONGEST_PART,
    RESOLUTIONS,
    SOURCES,
    LineState,
    Outcome,
    PartStage,
    Rejection,
    Sighting,
    Stage,
)
from domain.submission_file import MESSAGES, ProblemCode
from projections import directory, history
from projections import submission as view
from provider.commands import submissions as commands
from provider.commands.submissions import SaidOutcome
from provider.log import NotFound, Receipt

blueprint = Blueprint("submissions", __name__, url_prefix="/v1", description=__doc__)

MOST_LINES = 1_000
"""Lines, or enrolments, that one command can name."""

HIGHEST_LINE = 2**31 - 1

NOTES = ("excluded_note", "outcome_note", "withdrawn_note")
OPENED = ("given", "family", "email", *NOTES)
"""The members of a line that are handles in the view."""


# What is asked


class Amount(fields.String):
    """An amount of money as text, such as "250" or "49.50": money is never a fraction of twos."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Regexp(r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,4})?\Z"), **kwargs)


class SubmissionDraft(Body):
    """Who is to be sent, where it isn't everybody who can be."""

    enrolments = fields.List(
        Uid(),
        validate=validate.Length(min=1, max=MOST_LINES),
        metadata={"description": f"Only these completers, {LONGEST_PART} at the most; by default all."},
    )


class SupplementaryDraft(Body):
    """Who is to be sent in a further part."""

    enrolments = fields.List(
        Uid(),
        validate=validate.Length(min=1, max=MOST_LINES),
        metadata={
            "description": "Only these; by default those who completed since, and those whom the body rejected and who "
            "are corrected. Who was left out or withdrawn has to be named."
        },
    )


class LineExclusion(WithReason):
    """Why a line is left out."""

    reason = Code(required=True, metadata={"description": f"Usually one of {', '.join(EXCLUDED_FOR)}."})


class LineWithdrawal(WithReason):
    """Why a line is given up, or under which case number the body has undone it."""

    case = Line(allow_none=True, longest=60)


class SentBody(Body):
    """What the body gave for it."""

    reference = Line(allow_none=True, metadata={"description": "The body's own reference, if it gave one."})


def _numbers() -> fields.List[Any]:
    return fields.List(Whole(low=1, high=HIGHEST_LINE), required=True, validate=validate.Length(min=1, max=MOST_LINES))


class LineNumbers(Body):
    """Which lines it is true of."""

    lines = _numbers()


class LinePayment(LineNumbers):
    """For which lines the fee was paid, and how much for all of them together."""

    amount = Amount(allow_none=True, metadata={"description": "For all of these lines together."})
    currency = fields.String(
        allow_none=True,
        validate=validate.Regexp(r"^[A-Z]{3}\Z"),
        metadata={"description": "Three letters, such as USD; needed with an amount."},
    )
    receipt = Line(allow_none=True, metadata={"description": "The number of the receipt."})

    @post_load
    def _decimal(self, said: dict[str, Any], **_: Any) -> dict[str, Any]:
        if said.get("amount") is not None:
            said["amount"] = Decimal(said["amount"])
        return said


class LineOutcomeBody(Schema):
    """What the body said to one line."""

    line = Whole(low=1, high=HIGHEST_LINE, required=True)
    outcome = fields.Enum(Outcome, by_value=True, required=True)
    code = fields.Enum(
        Rejection, by_value=True, allow_none=True, metadata={"description": "Why it was rejected; only then."}
    )
    note = Words(allow_none=True, metadata={"description": "What else the body wrote. Needed with the code OTHER."})

    @validates_schema
    def _says_why(self, said: dict[str, Any], **_: Any) -> None:
        code = said.get("code")
        if (code is not None) != (said["outcome"] is Outcome.REJECTED):
            raise ValidationError("A rejection has a code, and nothing else has.", "code")
        if code is Rejection.OTHER and said.get("note") is None:
            raise ValidationError("Say what the body wrote.", "note")

    @post_load
    def _said(self, said: dict[str, Any], **_: Any) -> SaidOutcome:
        return SaidOutcome(**said)


def _source() -> Code:
    return Code(required=True, metadata={"description": f"Where it was seen; usually one of {', '.join(SOURCES)}."})


class LineOutcomes(Body):
    """What the body said, line by line, and where that was seen."""

    outcomes = fields.List(
        fields.Nested(LineOutcomeBody), required=True, validate=validate.Length(min=1, max=MOST_LINES)
    )
    source = _source()


class AcceptedExcept(Body):
    """Which lines of a part the body didn't simply accept, and where that was seen."""

    exceptions = fields.List(
        fields.Nested(LineOutcomeBody), load_default=list, validate=validate.Length(max=MOST_LINES)
    )
    source = _source()


class LineObservation(Body):
    """What was seen of a line at the body: on which day, and where."""

    what = fields.Enum(Sighting, by_value=True, required=True)
    on = Day(required=True)
    source = _source()
    agreement_version = Line(
        allow_none=True, longest=60, metadata={"description": "With licence_accepted: of the licence agreement."}
    )
    valid_from = Day(allow_none=True, metadata={"description": "With credential_dates."})
    valid_until = Day(allow_none=True, metadata={"description": "With credential_dates, unless it never ends."})
    member_id = Line(allow_none=True, longest=60, metadata={"description": "With member_id. Kept in the vault."})


class LineDiscrepancyResolution(WithReason):
    """What came of it that a line rests on something that has changed since."""

    line = Whole(low=1, high=HIGHEST_LINE, required=True)
    stream = Uid(required=True, metadata={"description": "What has changed."})
    version = Whole(low=1, high=HIGHEST_LINE, required=True, metadata={"description": "The version it has moved to."})
    aspect = fields.Enum(Aspect, by_value=True, required=True)
    resolution = Code(required=True, metadata={"description": f"Usually one of {', '.join(RESOLUTIONS)}."})


class SubmissionEnd(Body):
    """Why it is given up."""

    reason = Code(required=True, metadata={"description": "Why, as a code."})


# What is answered


class LineProblemAnswer(Answer):
    """What is wrong with one value of a line."""

    code = fields.String(required=True, validate=validate.OneOf([code.value for code in ProblemCode]))
    field = fields.String(required=True, metadata={"description": "`given`, `family` or `email`."})
    blocking = fields.Boolean(required=True, metadata={"description": "Whether the line can't be sent like this."})
    message = fields.String(required=True, metadata={"description": "What is wrong, and what to do about it."})


class LineBasisAnswer(Answer):
    """What a line rests on: one side of a stream, as of a version."""

    stream = fields.String(required=True)
    version = fields.Integer(required=True)
    aspect = fields.String(required=True)


class ObservationAnswer(Answer):
    """What was seen of a line at the body."""

    what = fields.String(required=True, validate=validate.OneOf([each.value for each in Sighting]))
    on = fields.String(required=True)
    source = fields.String(required=True)
    agreement_version = fields.String(required=True, allow_none=True)
    valid_from = fields.String(required=True, allow_none=True)
    valid_until = fields.String(required=True, allow_none=True)
    member_id = fields.String(required=True, allow_none=True)
    recorded_by = fields.String(required=True)


class ResolutionAnswer(Answer):
    """What came of a discrepancy."""

    stream = fields.String(required=True)
    version = fields.Integer(required=True)
    aspect = fields.String(required=True)
    resolution = fields.String(required=True)
    reason = fields.String(required=True)
    note = fields.String(required=True, allow_none=True)
    resolved_by = fields.String(required=True)
    resolved_at = fields.String(required=True)


class SubmissionLineAnswer(Answer):
    """One completer in one part. Its number is never used again."""

    line = fields.Integer(required=True)
    part = fields.Integer(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf([state.value for state in LineState]),
        metadata={"description": "Where it is, in one word; the times below are kept apart."},
    )
    enrolment = fields.String(required=True)
    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    email = fields.String(required=True, allow_none=True)
    problems = fields.List(
        fields.Nested(LineProblemAnswer), required=True, metadata={"description": "Of the latest validation."}
    )
    outdated = fields.Boolean(
        required=True, metadata={"description": "Not sent yet, and the record says otherwise now: remake the line."}
    )
    excluded_reason = fields.String(required=True, allow_none=True)
    excluded_note = fields.String(required=True, allow_none=True)
    sent_at = fields.String(required=True, allow_none=True)
    loaded_at = fields.String(required=True, allow_none=True)
    selected_at = fields.String(required=True, allow_none=True)
    paid_at = fields.String(required=True, allow_none=True)
    activated_at = fields.String(required=True, allow_none=True)
    outcome = fields.String(
        required=True, allow_none=True, validate=validate.OneOf([outcome.value for outcome in Outcome])
    )
    code = fields.String(required=True, allow_none=True, metadata={"description": "Why the body rejected it."})
    outcome_note = fields.String(required=True, allow_none=True)
    outcome_source = fields.String(required=True, allow_none=True)
    outcome_at = fields.String(required=True, allow_none=True)
    withdrawn_reason = fields.String(required=True, allow_none=True)
    withdrawn_note = fields.String(required=True, allow_none=True)
    case = fields.String(required=True, allow_none=True, metadata={"description": "The body's case number."})
    observations = fields.List(fields.Nested(ObservationAnswer), required=True)
    do_not_activate = fields.Boolean(required=True)
    why = fields.List(
        fields.String(), required=True, metadata={"description": "Why it must not be activated, in sentences."}
    )
    resolutions = fields.List(fields.Nested(ResolutionAnswer), required=True)
    rests_on = fields.List(fields.Nested(LineBasisAnswer), required=True)


class SubmissionPartAnswer(Answer):
    """One file's worth of lines. Whatever follows drafting is null again once one of its lines changes."""

    part = fields.Integer(required=True)
    stage = fields.String(required=True, validate=validate.OneOf([stage.value for stage in PartStage]))
    drafted_by = fields.String(required=True)
    drafted_at = fields.String(required=True)
    changed_by = fields.String(required=True)
    changed_at = fields.String(required=True)
    template = fields.String(required=True, allow_none=True, metadata={"description": "The version of the template."})
    validated_by = fields.String(required=True, allow_none=True)
    validated_at = fields.String(required=True, allow_none=True)
    approved_by = fields.String(required=True, allow_none=True)
    approved_at = fields.String(required=True, allow_none=True)
    solo = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "Approved without a second pair of eyes."}
    )
    exported_by = fields.String(required=True, allow_none=True)
    exported_at = fields.String(required=True, allow_none=True)
    sha256 = fields.String(required=True, allow_none=True, metadata={"description": "Of the exported file, in hex."})
    rows = fields.Integer(required=True, allow_none=True, metadata={"description": "Of the file, without its header."})
    encoding = fields.String(required=True, allow_none=True)
    lines = fields.List(fields.Integer(), required=True, metadata={"description": "In the file, in their order."})
    sent_by = fields.String(required=True, allow_none=True)
    sent_at = fields.String(required=True, allow_none=True)
    reference = fields.String(required=True, allow_none=True)


class PaymentAnswer(Answer):
    """What was paid for lines together."""

    lines = fields.List(fields.Integer(), required=True)
    amount = fields.String(required=True, allow_none=True)
    currency = fields.String(required=True, allow_none=True)
    receipt = fields.String(required=True, allow_none=True)
    paid_at = fields.String(required=True)


class SubmissionAnswer(Answer):
    """What one body is told about one course."""

    submission = fields.String(
        required=True, allow_none=True, metadata={"description": "Its id; null until it is drafted."}
    )
    course = fields.String(required=True)
    body = fields.String(required=True)
    profile = fields.String(required=True, metadata={"description": "What kind of submission; `none` needs none."})
    stage = fields.String(required=True, validate=validate.OneOf([view.NOT_DRAFTED, *(stage.value for stage in Stage)]))
    due_on = fields.String(
        required=True, allow_none=True, metadata={"description": "The last day to send it, in the institution's zone."}
    )
    overdue = fields.Boolean(required=True)
    do_not_activate = fields.Boolean(
        required=True, metadata={"description": "What a line rests on has moved since, and nobody has dealt with that."}
    )
    why = fields.List(fields.String(), required=True)
    drafted_at = fields.String(required=True, allow_none=True)
    drafted_by = fields.String(required=True, allow_none=True)
    ended_at = fields.String(required=True, allow_none=True)
    abandoned_reason = fields.String(required=True, allow_none=True)
    unsubmitted = fields.List(
        fields.String(), required=True, metadata={"description": "Enrolments of completers who are on no line."}
    )
    payments = fields.List(fields.Nested(PaymentAnswer), required=True)
    summary = fields.Dict(
        keys=fields.String(validate=validate.OneOf(["all", *(state.value for state in LineState)])),
        values=fields.Integer(),
        required=True,
        metadata={"description": "How many lines there are, in `all` and in each state."},
    )
    parts = fields.List(fields.Nested(SubmissionPartAnswer), required=True)
    items = fields.List(
        fields.Nested(SubmissionLineAnswer), required=True, metadata={"description": "The lines of all parts."}
    )
    version = fields.Integer(required=True, allow_none=True)


@blueprint.query(
    "/courses/<uuid:course>/submission", permission="submissions:read", answer=SubmissionAnswer, table=True
)
def submission_of_course(asked: Asked, course: UUID) -> dict[str, Any]:
    """Show what the body is told about a course, also before that is drafted; its lines can be had as CSV.

    `overdue` means that the first part was not sent by the end of `due_on`, or, before there is a draft, that somebody
    completed the course or is still to be decided on.
    """
    found = view.view_of_course(reading(), course, today=_today(asked), at=asked.at)
    if found is None:
        raise NotFound(f"There is no course {course}.")
    return _opened(found)


@blueprint.query(
    "/submissions/<uuid:submission>",
    permission="submissions:read",
    answer=SubmissionAnswer,
    table=True,
    entity="submission",
)
def submission(asked: Asked, submission: UUID) -> dict[str, Any]:
    """Show one submission; its lines can be had as CSV."""
    found = view.view(reading(), submission, today=_today(asked), at=asked.at)
    if found is None:
        raise NotFound(f"There is no submission {submission}.")
    return _opened(found)


@blueprint.query(
    "/submissions/<uuid:submission>/parts/<int:part>/file",
    permission="submissions:read",
    answer=Answer,
    media="text/csv",
)
def file(asked: Asked, submission: UUID, part: int) -> Response:
    """Get the file of a part that was exported.

    It is made again from the template and the lines on record, and given out only when its SHA-256 is the one that was
    recorded; `Repr-Digest` says it. Values stand as they were approved, so a spreadsheet must not open it.
    """
    made = commands.remade(office(), reading(), submission=submission, part=part, at=asked.at)
    response = Response(made.content, mimetype="text/csv")
    response.headers["Content-Type"] = f"text/csv; charset={made.encoding}; header=present"
    response.headers["Content-Disposition"] = f'attachment; filename="submission-{submission}-{part}.csv"'
    response.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(made.sha256)).decode()}:"
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Position"] = str(office().views.position(reading()) if asked.at is None else asked.at)
    return response


# Drafting


@blueprint.command(
    "/courses/<uuid:course>/submission",
    permission="submissions:write",
    body=SubmissionDraft,
    creates=True,
    location="/v1/submissions/{id}",
)
def draft(said: dict[str, Any], course: UUID) -> Receipt:
    """Draft the submission: a line for everybody who completed the course.

    All registers must be sealed. Names are taken in Latin letters where the person gave them, and the e-mail is the one
    that the body knows, as somebody stated; else the contact's, unless somebody else on record uses that too.
    """
    return commands.draft(office(), act(), course=course, **said)


@blueprint.command(
    "/submissions/<uuid:submission>/parts",
    permission="submissions:write",
    body=SupplementaryDraft,
    creates=True,
    location="/v1/submissions/{id}",
)
def draft_part(said: dict[str, Any], submission: UUID) -> Receipt:
    """Draft a supplementary part; `ids` holds its number.

    Whoever was accepted is never sent again.
    """
    return commands.draft_part(office(), act(), submission=submission, **said)


@blueprint.command(
    "/submissions/<uuid:submission>/lines/<int:line>/exclude", permission="submissions:write", body=LineExclusion
)
def exclude_line(said: dict[str, Any], submission: UUID, line: int) -> Receipt:
    """Leave a line out of its part, with a reason; the part has to be validated and approved again."""
    return commands.exclude_line(office(), act(), submission=submission, line=line, **said)


@blueprint.command("/submissions/<uuid:submission>/lines/<int:line>/include", permission="submissions:write")
def include_line(said: dict[str, Any], submission: UUID, line: int) -> Receipt:
    """Take a line back in that was left out; the part has to be validated and approved again."""
    return commands.include_line(office(), act(), submission=submission, line=line, **said)


@blueprint.command("/submissions/<uuid:submission>/lines/<int:line>/remake", permission="submissions:write")
def remake_line(said: dict[str, Any], submission: UUID, line: int) -> Receipt:
    """Give a line the names and the e-mail that are on record now; the part has to be validated and approved again."""
    return commands.remake_line(office(), act(), submission=submission, line=line, **said)


# The way out


@blueprint.command("/submissions/<uuid:submission>/parts/<int:part>/validate", permission="submissions:write")
def validate_part(said: dict[str, Any], submission: UUID, part: int) -> Receipt:
    """Check the rows of a part.

    The outcome is `valid`, `flagged` (a human should look before approving) or `blocked`; `ids` holds the lines with
    problems, and the view says which these are.
    """
    return commands.validate(office(), act(), submission=submission, part=part, **said)


@blueprint.command("/submissions/<uuid:submission>/parts/<int:part>/approve", permission="submissions:write")
def approve(said: dict[str, Any], submission: UUID, part: int) -> Receipt:
    """Agree that the body be told this; by somebody else than who drafted or last changed it, unless that is solo."""
    return commands.approve(office(), act(), submission=submission, part=part, **said)


@blueprint.command("/submissions/<uuid:submission>/parts/<int:part>/export", permission="submissions:write")
def export(said: dict[str, Any], submission: UUID, part: int) -> Receipt:
    """Make the file of a part; get it from `file` beside this."""
    return commands.export(office(), act(), submission=submission, part=part, **said)


@blueprint.command(
    "/submissions/<uuid:submission>/parts/<int:part>/sent", permission="submissions:write", body=SentBody
)
def record_sent(said: dict[str, Any], submission: UUID, part: int) -> Receipt:
    """Record that the file was given to the body."""
    return commands.record_sent(office(), act(), submission=submission, part=part, **said)


# What happens at the body


@blueprint.command("/submissions/<uuid:submission>/loaded", permission="submissions:write", body=LineNumbers)
def record_loaded(said: dict[str, Any], submission: UUID) -> Receipt:
    """Record that lines stand on the course at the body."""
    return commands.record_loaded(office(), act(), submission=submission, **said)


@blueprint.command("/submissions/<uuid:submission>/selected", permission="submissions:write", body=LineNumbers)
def record_selected(said: dict[str, Any], submission: UUID) -> Receipt:
    """Record that lines were chosen for activation."""
    return commands.record_selected(office(), act(), submission=submission, **said)


@blueprint.command("/submissions/<uuid:submission>/paid", permission="submissions:write", body=LinePayment)
def record_paid(said: dict[str, Any], submission: UUID) -> Receipt:
    """Record that the body's fee for lines was paid."""
    return commands.record_paid(office(), act(), submission=submission, **said)


@blueprint.command("/submissions/<uuid:submission>/activated", permission="submissions:write", body=LineNumbers)
def record_activated(said: dict[str, Any], submission: UUID) -> Receipt:
    """Record that the body gave the lines' people access, which can't be undone."""
    return commands.record_activated(office(), act(), submission=submission, **said)


@blueprint.command("/submissions/<uuid:submission>/outcomes", permission="submissions:write", body=LineOutcomes)
def record_outcomes(said: dict[str, Any], submission: UUID) -> Receipt:
    """Record what the body said, line by line; all of it or nothing."""
    return commands.record_outcomes(office(), act(), submission=submission, **said)


@blueprint.command(
    "/submissions/<uuid:submission>/parts/<int:part>/accepted-except",
    permission="submissions:write",
    body=AcceptedExcept,
)
def record_accepted_except(said: dict[str, Any], submission: UUID, part: int) -> Receipt:
    """Record that the body accepted all lines of a part that wait for an answer, except these.

    `ids` holds all lines that an outcome was recorded for.
    """
    return commands.record_accepted_except(office(), act(), submission=submission, part=part, **said)


@blueprint.command(
    "/submissions/<uuid:submission>/lines/<int:line>/withdraw", permission="submissions:write", body=LineWithdrawal
)
def withdraw_line(said: dict[str, Any], submission: UUID, line: int) -> Receipt:
    """Give up a line that was sent, or record that the body has undone it under a case number."""
    return commands.withdraw_line(office(), act(), submission=submission, line=line, **said)


@blueprint.command(
    "/submissions/<uuid:submission>/lines/<int:line>/observe", permission="submissions:write", body=LineObservation
)
def observe(said: dict[str, Any], submission: UUID, line: int) -> Receipt:
    """Record what was seen of a line at the body.

    The welcome mail was sent again, the account activated, the licence accepted (with `agreement_version`), the
    credential's dates seen (with `valid_from`), or the member id (with `member_id`).
    """
    return commands.observe(office(), act(), submission=submission, line=line, **said)


@blueprint.command(
    "/submissions/<uuid:submission>/discrepancies/resolve",
    permission="discrepancies:write",
    body=LineDiscrepancyResolution,
)
def resolve_discrepancy(said: dict[str, Any], submission: UUID) -> Receipt:
    """Say what came of it that what a line rests on has moved."""
    return commands.resolve_discrepancy(office(), act(), submission=submission, **said)


# The end


@blueprint.command("/submissions/<uuid:submission>/abandon", permission="submissions:write", body=SubmissionEnd)
def abandon(said: dict[str, Any], submission: UUID) -> Receipt:
    """Give the submission up before anything was sent."""
    return commands.abandon(office(), act(), submission=submission, **said)


@blueprint.command("/submissions/<uuid:submission>/complete", permission="submissions:write")
def complete(said: dict[str, Any], submission: UUID) -> Receipt:
    """Say that nothing is left to do at the body."""
    return commands.complete(office(), act(), submission=submission, **said)


def _today(asked: Asked) -> date:
    """Return the institution's day now, or on the moment that is asked about."""
    zone = zone_named(directory.settings(reading(), at=asked.at).zone)
    return _moment(asked).astimezone(zone).date()


def _moment(asked: Asked) -> datetime:
    if asked.at is None:
        return office().clock()
    said = request.args.get("as_of", "")
    if not said.isdigit():
        moment: datetime = Moment().deserialize(said.replace(" ", "+"))
        return min(moment, office().clock())
    entry = history.entry(reading(), asked.at)
    return office().clock() if entry is None else datetime.fromisoformat(entry["recorded_at"])


def _opened(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a submission as the API shows it; notes are only for those who see all courses."""
    notes = sees_all_courses(g.principal, "submissions:read")
    members = list(SubmissionLineAnswer().fields)
    handles = [line[name] for line in found["items"] for name in OPENED if notes or name not in NOTES]
    handles += [seen["member_id"] for line in found["items"] for seen in line["observations"]]
    handles += [said["note"] for line in found["items"] for said in line["resolutions"] if notes]
    show = opener([*handles, *(part["digest"] for part in found["parts"])])
    sent_at = {part["part"]: part["sent_at"] for part in found["parts"]}
    items = [
        {
            **line,
            **{name: show(line[name]) if notes or name not in NOTES else None for name in OPENED},
            "problems": [{**each, "message": MESSAGES[ProblemCode(each["code"])]} for each in line["problems"]],
            "sent_at": sent_at[line["part"]] if line["sent"] else None,
            "observations": [{**seen, "member_id": show(seen["member_id"])} for seen in line["observations"]],
            "resolutions": [{**said, "note": show(said["note"]) if notes else None} for said in line["resolutions"]],
        }
        for line in found["items"]
    ]
    shown = SubmissionPartAnswer().fields
    parts = [{**part, "sha256": show(part["digest"])} for part in found["parts"]]
    return {
        **found,
        "parts": [{name: part[name] for name in shown} for part in parts],
        "items": [{name: line[name] for name in members} for line in items],
    }
