"""Trainers: who may teach what, from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from marshmallow import fields, validate

from api.answers import Page
from api.asked import Asked, ListArguments, act
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Day, Line, Uid
from api.here import office, reading
from api.private import opener
from domain.credential import BODIES
from domain.trainer import Authority, Trainer
from projections import directory
from provider.commands import trainers as commands
from provider.log import NotFound, Receipt

blueprint = Blueprint("trainers", __name__, url_prefix="/v1/trainers", description=__doc__)


class TrainerAuthorisationAnswer(Answer):
    """What a body allows a trainer."""

    number = fields.Integer(required=True)
    body = fields.String(required=True)
    code = fields.String(required=True)
    role = fields.String(required=True, metadata={"description": "`lead`, or `candidate` who may co-train."})
    valid_from = fields.String(required=True)
    valid_until = fields.String(
        required=True, allow_none=True, metadata={"description": "The last day; null for no end."}
    )
    evidence = fields.String(required=True)
    ended = fields.String(
        required=True, allow_none=True, metadata={"description": "The first day without it, where it was ended."}
    )


class TrainerAnswer(Answer):
    """A trainer, known by their person id."""

    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    authorisations = fields.List(fields.Nested(TrainerAuthorisationAnswer), required=True)
    version = fields.Integer(required=True)


class TrainerBody(Body):
    """Who becomes a trainer."""

    person = Uid(required=True)


@blueprint.command("", permission="trainers:write", body=TrainerBody, creates=True, location="/v1/trainers/{ids[0]}")
def register(said: dict[str, Any]) -> Receipt:
    """Let somebody be authorised to teach. What they may teach is said separately."""
    return commands.register(office(), act(), **said)


@blueprint.query("", permission="trainers:read", answer=TrainerAnswer, arguments=ListArguments, table=True)
def trainers(asked: Asked) -> Page:
    """List trainers in the order in which they were registered, each with all authorisations."""
    after = None if asked.after is None else int(asked.after[0])
    page = Page.of(
        directory.trainers(reading(), after=after, limit=asked.limit, at=asked.at), asked.limit, "registered"
    )
    return Page(_shown(page.items, asked.at), page.next)


@blueprint.query("/<uuid:person>", permission="trainers:read", answer=TrainerAnswer, entity=Trainer.create_id)
def trainer(asked: Asked, person: UUID) -> dict[str, Any]:
    """Show one trainer with all authorisations, past ones too."""
    found = directory.trainer(reading(), person, at=asked.at)
    if found is None:
        raise NotFound(f"There is no trainer {person}.")
    return _shown([found], asked.at)[0]


class TrainerAuthorisation(Body):
    """What a body allows the trainer."""

    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    code = Code(required=True)
    role = fields.Enum(Authority, by_value=True, required=True)
    valid_from = Day(required=True)
    valid_until = Day(allow_none=True, metadata={"description": "The last day; left out or null for no end."})
    evidence = Line(required=True, metadata={"description": "Where it can be looked up."})


@blueprint.command("/<uuid:person>/authorisations", permission="trainers:write", body=TrainerAuthorisation)
def authorise(said: dict[str, Any], person: UUID) -> Receipt:
    """Record what a body allows the trainer. `ids` holds the authorisation's number."""
    return commands.authorise(office(), act(), person=person, **said)


class TrainerAuthorisationEnd(Body):
    """From when on an authorisation no longer holds, and why."""

    on = Day(required=True, metadata={"description": "The first day on which it no longer holds."})
    reason = Code(required=True)


@blueprint.command(
    "/<uuid:person>/authorisations/<int:authorisation>/end", permission="trainers:write", body=TrainerAuthorisationEnd
)
def end_authorisation(said: dict[str, Any], person: UUID, authorisation: int) -> Receipt:
    """End an authorisation.

    One that was recorded in error ends on the day it began. `ids` are the courses for which the trainer is booked
    without authority now; somebody has to replace them there.
    """
    return commands.end_authorisation(office(), act(), person=person, number=authorisation, **said)


def _shown(rows: Iterable[Mapping[str, Any]], at: int | None) -> list[dict[str, Any]]:
    rows = list(rows)
    people = directory.people_by_ids(reading(), [row["person"] for row in rows], at=at)
    name = opener(people[row["person"]][part] for row in rows for part in ("given", "family"))
    return [
        {
            "person": row["person"],
            "given": name(people[row["person"]]["given"]),
            "family": name(people[row["person"]]["family"]),
            "authorisations": row["authorisations"],
            "version": row["version"],
        }
        for row in rows
    ]
