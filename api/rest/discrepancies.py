"""Discrepancies: certificates and lines of submissions that rest on something which has changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from marshmallow import fields, validate

from api.answers import Page
from api.asked import Asked, ListArguments
from api.blueprint import Blueprint
from api.fields import Answer
from api.here import reading
from api.private import opener
from domain.basis import Aspect
from projections import directory
from projections import discrepancies as view
from projections.discrepancies import Kind, State
from provider.log import NotFound

blueprint = Blueprint("discrepancies", __name__, url_prefix="/v1/discrepancies", description=__doc__)


class DiscrepancyAnswer(Answer):
    """A document that says otherwise than the record, in one aspect."""

    discrepancy = fields.String(required=True)
    kind = fields.String(required=True, validate=validate.OneOf([kind.value for kind in Kind]))
    document = fields.String(required=True, metadata={"description": "The id of the certificate or the submission."})
    number = fields.String(required=True, allow_none=True, metadata={"description": "Of the certificate."})
    line = fields.Integer(required=True, allow_none=True, metadata={"description": "Of the submission."})
    course = fields.String(required=True)
    enrolment = fields.String(required=True)
    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    sentence = fields.String(required=True, metadata={"description": "What has changed, and what can be done."})
    aspect = fields.String(required=True, validate=validate.OneOf([aspect.value for aspect in Aspect]))
    stream = fields.String(required=True, metadata={"description": "What the document rests on in this aspect."})
    rests_on = fields.Integer(required=True, metadata={"description": "The version of it that the document rests on."})
    version = fields.Integer(required=True, metadata={"description": "The version that has set the aspect since."})
    moved = fields.Integer(required=True, metadata={"description": "The position of that event."})
    moved_at = fields.String(required=True, metadata={"description": "When it happened."})
    moved_by = fields.String(required=True, metadata={"description": "The kind of event, such as person.name_changed."})
    opened = fields.Integer(required=True, metadata={"description": "The position since which the two are at odds."})
    opened_at = fields.String(required=True, metadata={"description": "When that was recorded."})
    state = fields.String(
        required=True,
        validate=validate.OneOf([state.value for state in State]),
        metadata={"description": "`closed` where nobody relies on the document any more."},
    )
    resolution = fields.String(required=True, allow_none=True)
    ended_at = fields.String(required=True, allow_none=True)
    ended_by = fields.String(required=True, allow_none=True)
    ended_reason = fields.String(required=True, allow_none=True)
    ended_note = fields.String(required=True, allow_none=True)


class DiscrepancyArguments(ListArguments):
    """Which discrepancies are listed."""

    course = fields.UUID(metadata={"description": "Only those of one course's documents."})
    state = fields.Enum(State, by_value=True, metadata={"description": "Only those of which this came."})


@blueprint.query(
    "", permission="discrepancies:read", answer=DiscrepancyAnswer, arguments=DiscrepancyArguments, table=True
)
def discrepancies(asked: Asked, course: UUID | None = None, state: State | None = None) -> Page:
    """List discrepancies in the order in which they came up, also those that were resolved or closed.

    They are resolved at the certificate, or at the submission.
    """
    page = Page.of(
        view.listing(
            reading(),
            course=course,
            state=None if state is None else state.value,
            after=None if asked.after is None else (int(asked.after[0]), str(asked.after[1])),
            limit=asked.limit,
            at=asked.at,
        ),
        asked.limit,
        "opened",
        "discrepancy",
    )
    return Page(shown(page.items, asked.at), page.next)


@blueprint.query("/<uuid:discrepancy>", permission="discrepancies:read", answer=DiscrepancyAnswer)
def discrepancy(asked: Asked, discrepancy: UUID) -> dict[str, Any]:
    """Show one discrepancy, whatever became of it."""
    found = view.discrepancy(reading(), discrepancy, at=asked.at)
    if found is None:
        raise NotFound(f"There is no discrepancy {discrepancy}.")
    return shown([found], asked.at)[0]


def shown(rows: Iterable[Mapping[str, Any]], at: int | None) -> list[dict[str, Any]]:
    """Return discrepancies as the API shows them, with all values opened in one go."""
    rows = list(rows)
    people = directory.people_by_ids(reading(), [row["person"] for row in rows], at=at)
    handles = [person[name] for person in people.values() for name in ("given", "family")]
    value = opener([*handles, *(row["ended_note"] for row in rows)])
    return [
        {
            **row,
            "given": value(people[row["person"]]["given"]),
            "family": value(people[row["person"]]["family"]),
            "ended_note": value(row["ended_note"]),
        }
        for row in rows
    ]
