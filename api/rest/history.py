"""The history: everything that was ever recorded, each event with the sentence that a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import g
from marshmallow import fields, validate

from api.answers import Page
from api.asked import Asked, ListArguments
from api.blueprint import Blueprint
from api.fields import Answer, Moment, Uid
from api.here import office, reading
from domain.access import Role
from projections import history
from projections.projection import FOREVER
from provider.history import Told, tell
from provider.log import NotFound

blueprint = Blueprint("history", __name__, url_prefix="/v1/history", description=__doc__)

NOTE_READERS = frozenset({Role.REGISTRAR, Role.AUDITOR})
"""The roles to which private notes are opened."""


class QueryMoment(Moment):
    """A time in an address, where a plus sign arrives as a space."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        said = value.replace(" ", "+") if isinstance(value, str) else value
        return super()._deserialize(said, attr, data, **kwargs)


def _position(description: str) -> fields.Integer:
    return fields.Integer(validate=validate.Range(min=0, max=2**62), metadata={"description": description})


class HistoryArguments(ListArguments):
    """Which events are wanted: all that fit everything that is said here."""

    subject = Uid(metadata={"description": "Anything or anybody, by its id, that an event is about or names."})
    course = Uid(metadata={"description": "A course, with its enrolments, registers, certificates and submissions."})
    actor = Uid(metadata={"description": "The person who did it."})
    kind = fields.String(
        validate=validate.Regexp(r"^[a-z_]{1,40}(\.[a-z_]{1,60})?\Z"),
        metadata={"description": "A kind of event (`enrolment.withdrawn`), or all of a noun's (`enrolment`)."},
    )
    recorded_from = QueryMoment(metadata={"description": "Recorded at this time or later."})
    recorded_to = QueryMoment(metadata={"description": "Recorded before this time."})
    position_from = _position("At this position or later.")
    position_to = _position("At this position or before.")
    late = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Whether it was recorded more than 24 hours after it happened."},
    )
    order = fields.String(
        load_default="newest",
        validate=validate.OneOf(["newest", "oldest"]),
        metadata={"description": "Which come first, by position."},
    )


class Actor(Answer):
    """Who did it."""

    id = fields.String(required=True)
    name = fields.String(required=True, metadata={"description": "“(erased)” when their name was erased."})


class EntryAnswer(Answer):
    """One event of the history. Names are those of now, or of the moment asked for."""

    position = fields.Integer(required=True)
    stream = fields.String(required=True, metadata={"description": "The id of the thing that it happened to."})
    version = fields.Integer(required=True, metadata={"description": "That thing's version since."})
    kind = fields.String(required=True, metadata={"description": "What kind of event, such as `register.sealed`."})
    sentence = fields.String(required=True, metadata={"description": "What happened, for a person to read."})
    actor = fields.Nested(Actor, required=True)
    on_behalf_of = fields.Nested(Actor, required=True, allow_none=True)
    course = fields.String(required=True, allow_none=True, metadata={"description": "The course it belongs to."})
    person = fields.String(required=True, allow_none=True, metadata={"description": "The person it is about."})
    at = fields.String(required=True, metadata={"description": "When it happened."})
    recorded_at = fields.String(required=True, metadata={"description": "When it was recorded."})
    late = fields.Boolean(required=True, metadata={"description": "Recorded more than 24 hours after it happened."})
    reason = fields.String(required=True, allow_none=True, metadata={"description": "Why, as a code."})
    note = fields.String(
        required=True, allow_none=True, metadata={"description": "Why, in words; null for roles that may not read it."}
    )
    policy_version = fields.String(
        required=True, allow_none=True, metadata={"description": "The version of the rules that it was decided under."}
    )
    request = fields.String(required=True, allow_none=True, metadata={"description": "The X-Request-Id it came with."})
    channel = fields.String(required=True, allow_none=True, metadata={"description": "By which way it came."})


class Stored(Answer):
    """An event as it lies in the log."""

    topic = fields.String(required=True)
    stream = fields.String(required=True)
    version = fields.Integer(required=True)
    state = fields.Dict(
        required=True, metadata={"description": "The stored JSON. Private values are only commitments here."}
    )


class EventAnswer(EntryAnswer):
    """One event, with all that the log holds of it."""

    stored = fields.Nested(Stored, required=True)


@blueprint.query("", permission="history:read", answer=EntryAnswer, arguments=HistoryArguments, table=True)
def entries(asked: Asked, *, order: str, **wanted: Any) -> Page:
    """Search the history, newest first unless said otherwise."""
    after = None if asked.after is None else int(asked.after[0])
    rows = history.listing(
        reading(), **wanted, newest_first=order == "newest", after=after, limit=asked.limit, at=asked.at
    )
    page = Page.of(rows, asked.limit, "position")
    told = tell(office(), reading(), [row["position"] for row in page.items], at=asked.at)
    return Page([_shown(row, told[row["position"]]) for row in page.items], page.next)


@blueprint.query("/<int:position>", permission="history:read", answer=EventAnswer)
def event(asked: Asked, position: int) -> dict[str, Any]:
    """Show one event, as it is stored and as a person reads it."""
    row = history.entry(reading(), position, at=asked.at) if position < FOREVER else None
    if row is None:
        raise NotFound(f"The history has no position {position}.")
    told = tell(office(), reading(), [position], at=asked.at)[position]
    stored = {
        "topic": row["topic"],
        "stream": row["stream"],
        "version": row["version"],
        "state": orjson.Fragment(told.state),
    }
    return {**_shown(row, told), "stored": stored}


def _shown(row: Mapping[str, Any], told: Told) -> dict[str, Any]:
    behalf = told.event.on_behalf_of
    request = told.request or {}
    return {
        "position": row["position"],
        "stream": row["stream"],
        "version": row["version"],
        "kind": row["topic"],
        "sentence": told.sentence,
        "actor": {"id": row["actor"], "name": told.actor},
        "on_behalf_of": None if behalf is None else {"id": str(behalf), "name": told.on_behalf_of},
        "course": row["course"],
        "person": row["person"],
        "at": row["at"],
        "recorded_at": row["recorded_at"],
        "late": row["late"],
        "reason": getattr(told.event, "reason", None),
        "note": told.note if g.principal.roles & NOTE_READERS else None,
        "policy_version": _policy_version(told.event),
        "request": request.get("id"),
        "channel": request.get("channel"),
    }


def _policy_version(event: Any) -> str | None:
    """Return the version of the rules that an event names, itself or in the because of its decision."""
    because = getattr(event, "because", None)
    found: str | None = getattr(event, "policy_version", None) or getattr(because, "policy_version", None)
    return found
