"""What a request says: its body, its conditions, and as of when and which page it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import marshmallow as ma
import orjson
from flask import current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from api import auth
from api.cursor import opened
from api.fields import Moment
from api.here import header, office, own_key, read_no_more, reading
from api.problems import (
    BadRequest,
    Invalidated,
    KeyRequired,
    NotAcceptable,
    NotPermitted,
    PreconditionRequired,
    UnsupportedMediaType,
)
from domain.access import Role
from domain.person import Person
from domain.refusal import Invalid
from projections import history
from provider.log import IdempotencyKey
from provider.work import Act

LARGEST_PAGE = 200
"""Items of a page at most."""
SKEW = timedelta(minutes=5)
"""How far the clock of whoever asks may be ahead."""
STAND_IN = frozenset({Role.REGISTRAR, Role.ADMIN})
"""The roles that may do something on behalf of somebody else, and say so."""


class FutureTime(Invalid):
    """`at` lies in the future."""


class UnknownBehalf(Invalid):
    """Nobody is on record under the id of the person on whose behalf something is done."""


@dataclass(frozen=True)
class Asked:
    """What a query is asked beside its path: as of which position (None: now), and which page of a list.

    `position` is how far the views are that it is answered from.
    """

    position: int
    at: int | None
    limit: int
    after: tuple[Any, ...] | None


class QueryArguments(ma.Schema):
    """What every view can be asked."""

    as_of = ma.fields.String(
        validate=ma.validate.Length(max=40),
        metadata={"description": "A position, or a time (RFC 3339): the answer is as it was then, in recorded time."},
    )
    after = ma.fields.Integer(
        validate=ma.validate.Range(min=0, max=2**62),
        metadata={"description": "A position that the answer must have reached, such as a command's X-Position."},
    )


class ListArguments(QueryArguments):
    """What every list can be asked."""

    limit = ma.fields.Integer(
        load_default=50,
        validate=ma.validate.Range(min=1, max=LARGEST_PAGE),
        metadata={"description": "How many items a page has at the most."},
    )
    cursor = ma.fields.String(
        validate=ma.validate.Length(max=1_000), metadata={"description": "The next page's, from the Link header."}
    )


def act() -> Act:
    """Return who asks, when it happened, and under which conditions, for the command under way."""
    said: Act = g.act
    return said


def act_of(
    principal: auth.Principal, at: datetime | None, behalf: UUID | None, *, versioned: bool, needs_key: bool
) -> Act:
    """Return who asks for a command, when it happened, and under which conditions.

    :raises FutureTime, UnknownBehalf, NotPermitted, PreconditionRequired, KeyRequired, BadRequest: as their names say.
    """
    now = office().clock()
    if behalf is not None:
        _must_stand_in(principal, behalf)
    if at is not None and at > now + SKEW:
        raise FutureTime("This time lies in the future; say when it happened, or leave it out for now.", field="at")
    return Act(
        by=principal.person,
        now=now,
        at=now if at is None else min(at, now),
        channel="api",
        request=g.request_id,
        on_behalf_of=behalf,
        version=_if_match(required=versioned),
        key=_idempotency_key(principal, required=needs_key),
    )


def _must_stand_in(principal: auth.Principal, behalf: UUID) -> None:
    """Refuse to do something for somebody else, unless it is part of one's work to keep records for others."""
    if not principal.roles & STAND_IN:
        raise NotPermitted("Only a registrar or an administrator records something on behalf of somebody else.")
    if office().log.find(Person, behalf) is None:
        raise UnknownBehalf(f"There is no person {behalf} on whose behalf this could be.", field="on_behalf_of")


def _if_match(*, required: bool) -> int | None:
    if not required:
        return None
    said = header("HTTP_IF_MATCH")
    if said is None:
        raise PreconditionRequired(
            "Say in If-Match which version you have seen (the ETag of the last answer), or * to go ahead anyway."
        )
    said = said.strip()
    if said == "*":
        return None
    number = said.strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 12 and said == f'"{number}"'):
        raise BadRequest('If-Match must be a version in quotes, such as "3", or *.')
    return int(number)


def _idempotency_key(principal: auth.Principal, *, required: bool) -> IdempotencyKey | None:
    said = header("HTTP_IDEMPOTENCY_KEY")
    if said is None:
        if required:
            raise KeyRequired(
                "Send an Idempotency-Key of 8 to 255 characters, the same one when you send the same request again."
            )
        return None
    key = said.strip().strip('"')
    if not (8 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise BadRequest("The Idempotency-Key must have 8 to 255 printable ASCII characters.")
    said_with = (request.method.encode(), request.path.encode(), request.get_data(cache=True))
    return IdempotencyKey.of(principal.person, key, *said_with, secret=own_key())


def require_json() -> None:
    """Refuse a body that is not JSON, before it is taken for an empty one.

    :raises UnsupportedMediaType: for any other type of body.
    """
    if request.method == "POST" and (request.content_length or 0) > 0 and not request.is_json:
        allowed = getattr(current_app.view_functions.get(request.endpoint or ""), "media_types", ())
        if request.mimetype not in allowed:
            raise UnsupportedMediaType(f"Send {' or '.join(allowed or ('application/json',))}.")


def body_of(schema: ma.Schema) -> dict[str, Any]:
    """Return what a command is told.

    :raises RequestEntityTooLarge: when it is more than the app takes.
    :raises UnsupportedMediaType: when it does not say that it is JSON.
    :raises BadRequest: when it is not JSON.
    :raises Invalidated: when members are wrong, missing or unknown.
    """
    data = content_of(current_app.config["MAX_CONTENT_LENGTH"])
    if data and not request.is_json:
        # One that comes in chunks has no length, so that nobody could tell before whether there is a body.
        raise UnsupportedMediaType("Send application/json.")
    try:
        said = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not JSON: it is cut off, or not in UTF-8, or holds half a character.") from None
    return _loaded(schema, said)


def content_of(limit: int) -> bytes:
    """Return the body of this request.

    :raises RequestEntityTooLarge: when it has more bytes than that.
    """
    # A body sent in chunks is cut off at the library's limit in silence, so that limit is one more.
    request.max_content_length = limit + 1
    content = request.get_data(cache=True)
    if len(content) > limit:
        raise RequestEntityTooLarge
    return content


def query_of(schema: ma.Schema) -> dict[str, Any]:
    """Return what a query is asked.

    :raises Invalidated: when arguments are wrong or unknown.
    """
    said = {
        name: values if isinstance(schema.fields.get(name), ma.fields.List) else values[-1]
        for name, values in request.args.lists()
    }
    return _loaded(schema, said)


def _loaded(schema: ma.Schema, said: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(said)
    except ma.ValidationError as error:
        raise Invalidated(error.messages) from None
    return loaded


def negotiated(*, table: bool, media: str | None = None) -> str:
    """Return the media type to answer in: of those that there are, the one that is liked best.

    :raises NotAcceptable: when it can be had in none of those that are asked for.
    """
    offered = [media] if media is not None else ["application/json", "text/csv"] if table else ["application/json"]
    said = header("HTTP_ACCEPT")
    if said is None or said in ("*/*", offered[0]):
        return offered[0]
    chosen = request.accept_mimetypes.best_match(offered)
    if chosen is None:
        raise NotAcceptable(f"This can be had as {' or '.join(offered)}.")
    return chosen


def reached(after: int | None) -> int:
    """Bring the views to the end of the log, which heals an earlier crash, and return the position of this reading.

    :raises BadRequest: when `after` names a position that the log has not reached.
    """
    here = office()
    end = here.log.position()
    if after is not None and after > end:
        # Somebody who drew an earlier position may be about to commit, and what lies beyond does not count until then.
        if after > here.log.entries.last():
            raise BadRequest(f"`after` names position {after}, but the log ends at {end}.", field="after")
        end = after
    position = here.views.position(reading())
    if position < end:
        read_no_more()
        here.views.catch_up(end)
        position = here.views.position(reading())
    if position < end:
        # They have been there before, and were put back to an older copy since.
        read_no_more()
        here.views.catch_up()
        position = here.views.position(reading())
    return position


def as_of(asked: dict[str, Any], position: int, *, listing: bool) -> tuple[int | None, tuple[Any, ...] | None]:
    """Return the position that the answer is as of, and where the page begins."""
    said = asked.pop("as_of", None)
    at = None if said is None else _position_of(said, position)
    cursor = asked.pop("cursor", None)
    if not listing or cursor is None:
        return at, None
    pinned, after = opened(cursor)
    return pinned, after


def _position_of(said: str, position: int) -> int:
    if said.isascii() and said.isdigit() and len(said) < 19:
        if int(said) > position:
            raise BadRequest(f"as_of names position {said}, but the history ends at {position}.", field="as_of")
        return int(said)
    try:
        # A plus sign in a query arrives as a space.
        moment = Moment().deserialize(said.replace(" ", "+"))
    except ma.ValidationError:
        raise BadRequest("as_of must be a position or a time such as 2026-05-04T09:00:00Z.", field="as_of") from None
    return history.position_at(reading(), moment)


__all__ = [
    "LARGEST_PAGE", "Asked", "ListArguments", "QueryArguments", "act", "act_of", "as_of", "body_of", "content_of",
    "negotiated", "query_of", "reached", "require_json",
]  # fmt: skip
