"""Attendee files of a ticket shop: a dry run that says what a file would come to, and its confirmation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import marshmallow as ma
from flask import Response
from marshmallow import fields, validate

from api.answers import json_answer
from api.asked import Asked, act
from api.blueprint import Blueprint
from api.fields import Answer, Body
from api.here import office
from provider.attendee_file import MAX_BYTES
from provider.attendee_plan import About, RowPlan, Step
from provider.commands import imports as commands
from provider.commands.imports import Preview
from provider.log import Receipt

blueprint = Blueprint("imports", __name__, url_prefix="/v1", description=__doc__)

MEDIA = ("text/csv", "application/octet-stream", "application/vnd.ms-excel")
"""What browsers and ticket shops call a CSV file."""
LARGEST = MAX_BYTES + 1024
MOST_SHOWN = 10_000


class ImportProblem(Answer):
    """Something in a file that a person should look at, and where."""

    row = fields.Integer(
        required=True, metadata={"description": "As a spreadsheet counts, where the header is 1 and lines in a cell 0."}
    )
    column = fields.String(required=True, metadata={"description": "The header's text; empty for the whole row."})
    value = fields.String(required=True, metadata={"description": "What the cell says, cut to 200 characters."})
    code = fields.String(required=True)
    message = fields.String(required=True)
    blocking = fields.Boolean(
        required=True, metadata={"description": "Whether the row is not imported until this is settled in the shop."}
    )


class ImportOption(Answer):
    """An answer that may be given."""

    value = fields.String(required=True)
    label = fields.String(required=True, metadata={"description": "What it does."})
    final = fields.Boolean(
        required=True, metadata={"description": "Whether the row's other questions need no answer then."}
    )


class ImportQuestion(Answer):
    """What a person has to decide about a row."""

    id = fields.String(required=True, metadata={"description": "Its name in the answers, such as `5-name`."})
    about = fields.String(required=True, validate=validate.OneOf([about.value for about in About]))
    text = fields.String(required=True)
    options = fields.List(fields.Nested(ImportOption), required=True)


class ImportRow(Answer):
    """What one row of the file would come to."""

    row = fields.Integer(required=True)
    step = fields.String(required=True, validate=validate.OneOf([step.value for step in Step]))
    given = fields.String(required=True)
    family = fields.String(required=True)
    email = fields.String(required=True)
    status = fields.String(required=True, metadata={"description": "What the ticket shop says of it."})
    order_reference = fields.String(
        required=True, metadata={"description": "By which the row is known again in the next export."}
    )
    person = fields.String(required=True, allow_none=True, metadata={"description": "Who it is on record, if anybody."})
    enrolment = fields.String(required=True, allow_none=True, metadata={"description": "The one on record, if any."})
    body_email = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What would be recorded as the e-mail that the body knows; never a shared one."},
    )
    questions = fields.List(fields.Nested(ImportQuestion), required=True)


class DryRun(Answer):
    """What a file would come to. Nothing is recorded yet, and the file is destroyed after 24 hours."""

    id = fields.String(required=True)
    expires_at = fields.String(required=True)
    plan = fields.String(
        required=True, metadata={"description": "What the confirmation must name: it is of exactly this."}
    )
    encoding = fields.String(required=True)
    delimiter = fields.String(required=True)
    columns = fields.List(fields.String(), required=True)
    counts = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={
            "description": "How many `rows` there are, how many come to each step, how many are `asked` about, and how "
            "many `problems` there are, `blocking` among them."
        },
    )
    problems = fields.List(
        fields.Nested(ImportProblem),
        required=True,
        metadata={"description": f"All of them, up to {MOST_SHOWN:,}, by row."},
    )
    rows = fields.List(fields.Nested(ImportRow), required=True)


class ImportConfirmation(Body):
    """Which dry run was looked at, and the answers to its questions."""

    plan = fields.String(
        required=True, validate=validate.Length(min=1, max=100), metadata={"description": "The dry run's `plan`."}
    )
    answers = fields.Dict(
        keys=fields.String(validate=validate.Regexp(r"^[0-9]{1,6}-[a-z_]{1,20}\Z")),
        values=fields.String(validate=validate.Length(max=100)),
        load_default=dict,
        metadata={"description": 'By question, the value of an option, such as {"5-name": "correction"}.'},
    )


class ImportArguments(ma.Schema):
    """What a dry run can be asked: it is always of the record as it is now."""

    after = fields.Integer(
        validate=validate.Range(min=0, max=2**62),
        metadata={"description": "A position that the answer must have reached, such as a command's X-Position."},
    )


@blueprint.upload(
    "/courses/<uuid:course>/imports", permission="imports:write", media=MEDIA, limit=LARGEST, answer=DryRun
)
def stage(content: bytes, course: UUID) -> Response:
    """Read the attendee report of a ticket shop, and say what it would come to.

    The body is the CSV file itself, as the shop exports it: of any usual encoding and delimiter, up to 10 MiB. Nothing
    is recorded; the file is kept for 24 hours, encrypted, so that it can be confirmed. The same file again, or a newer
    export, shows what is new, changed or refunded since.
    """
    preview = commands.stage(office(), course=course, content=content)
    response = json_answer(_shown(preview), status=201)
    response.headers["Location"] = f"/v1/courses/{course}/imports/{preview.staged.id}"
    return response


@blueprint.query(
    "/courses/<uuid:course>/imports/<uuid:staged>",
    permission="imports:read",
    answer=DryRun,
    arguments=ImportArguments,
)
def dry_run(_: Asked, course: UUID, staged: UUID) -> dict[str, Any]:
    """Say again what a file would come to, by the record as it is now.

    It is gone once it was confirmed, or its 24 hours are over.
    """
    return _shown(commands.preview(office(), course=course, staged=staged))


@blueprint.command(
    "/courses/<uuid:course>/imports/<uuid:staged>/confirm",
    permission="imports:write",
    body=ImportConfirmation,
    versioned=False,
)
def confirm(said: dict[str, Any], course: UUID, staged: UUID) -> Receipt:
    """Do what the dry run said, by the answers: all of it or nothing.

    The outcome is `imported`, or `unchanged` where nothing needed doing; `ids` are the enrolments that were made or
    changed. Then the file is destroyed. Nothing is done where the record has moved since the dry run.
    """
    return commands.confirm(office(), act(), course=course, staged=staged, **said)


def _shown(preview: Preview) -> dict[str, Any]:
    problems = preview.problems
    blocking = sum(problem.blocking for problem in problems)
    expires = datetime.fromtimestamp(preview.staged.expires_at, UTC)
    return {
        "id": str(preview.staged.id),
        "expires_at": expires.isoformat().replace("+00:00", "Z"),
        "plan": preview.plan.digest,
        "encoding": preview.file.encoding,
        "delimiter": preview.file.delimiter,
        "columns": preview.file.columns,
        "counts": {**preview.plan.count(), "problems": len(problems), "blocking": blocking},
        "problems": [
            {
                "row": problem.row,
                "column": problem.column,
                "value": problem.value,
                "code": problem.code,
                "message": problem.message,
                "blocking": problem.blocking,
            }
            for problem in problems[:MOST_SHOWN]
        ],
        "rows": [_row(row) for row in preview.plan.rows],
    }


def _row(planned: RowPlan) -> dict[str, Any]:
    row = planned.row
    return {
        "row": row.row,
        "step": planned.step.value,
        "given": row.given,
        "family": row.family,
        "email": row.email,
        "status": row.status.value,
        "order_reference": planned.reference,
        "person": planned.person,
        "enrolment": planned.enrolment,
        "body_email": planned.body_email,
        "questions": [
            {
                "id": question.id,
                "about": question.about.value,
                "text": question.text,
                "options": [
                    {"value": option.value, "label": option.label, "final": option.final} for option in question.options
                ],
            }
            for question in planned.questions
        ],
    }
