"""How a route is declared: a command or a query, with its permission, its body and its answer."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import flask_smorest
import marshmallow as ma
import orjson
from flask import Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from api import auth
from api.fields import Answer, Body, Moment, ReceiptAnswer, Whole
from api.permissions import OF_A_ROLE
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
from projections.projection import Reading
from provider.keys import Damaged, Key
from provider.log import IdempotencyKey, NotFound, Receipt
from provider.office import Office
from provider.work import Act

View = TypeVar("View", bound=Callable[..., Any])
LARGEST_PAGE = 200
SKEW = timedelta(minutes=5)


STAND_IN = frozenset({Role.REGISTRAR, Role.ADMIN})
"""The roles that may do something on behalf of somebody else, and say so."""


class FutureTime(Invalid):
    """`at` lies in the future."""


class UnknownBehalf(Invalid):
    """Nobody is on record under the id of the person on whose behalf something is done."""


def office() -> Office:
    """Return the back office that this process serves."""
    here: Office = current_app.extensions["office"]
    return here


def reading() -> Reading:
    """Return this request's connection to the views; all of its queries see one state."""
    held: Reading | None = g.get("reading")
    if held is None or not held.begun:
        # A command of this request may have used it in between.
        held = g.reading = office().views.lend()
    return held


def read_no_more() -> None:
    """Let go of this request's connection to the views, should it have one; what is read later sees a later state."""
    if (connection := g.pop("reading", None)) is not None:
        connection.end()


def act() -> Act:
    """Return who asks, when it happened, and under which conditions, for the command under way."""
    said: Act = g.act
    return said


@dataclass(frozen=True)
class Asked:
    """What a query is asked beside its path: as of which position (None: now), and which page of a list.

    `position` is how far the views are that it is answered from.
    """

    position: int
    at: int | None
    limit: int
    after: tuple[Any, ...] | None


@dataclass(frozen=True)
class Page:
    """A page of a list; `next` is the key after which the next page begins, None on the last."""

    items: Sequence[Mapping[str, Any]]
    next: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], limit: int, *key: str) -> Page:
        """Return the page from `limit + 1` rows at most, with the columns that the list is sorted by."""
        if len(rows) <= limit:
            return cls(rows)
        last = rows[limit - 1]
        return cls(rows[:limit], tuple(last[name] for name in key))


class Ready(Response):
    """An answer that is all there: it goes out without what the library does for streams and half-written headers."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if self.status_code >= HTTPStatus.MULTIPLE_CHOICES or environ["REQUEST_METHOD"] == "HEAD":
            # The library leaves out what these must not have.
            return super().__call__(environ, start_response)
        content = self.get_data()
        self.headers["Content-Length"] = str(len(content))
        start_response(self.status, self.headers.to_wsgi_list())
        return [content]


class Problem(Answer):
    """What goes wrong, as in RFC 9457."""

    type = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    detail = ma.fields.String(required=True)
    code = ma.fields.String(required=True)
    request_id = ma.fields.String(required=True)
    errors = ma.fields.List(ma.fields.Dict())


PROBLEM = {"schema": Problem(), "content_type": "application/problem+json"}


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


class Blueprint(flask_smorest.Blueprint):
    """A noun's routes. Each names its permission, and what it takes and gives.

    The library's decorators only document a route; what runs is one function, for each would wrap it once more.
    """

    def command(
        self,
        rule: str,
        *,
        permission: str,
        body: type[Body] = Body,
        creates: bool = False,
        versioned: bool = True,
        keyed: bool | None = None,
        answer: type[Answer] = ReceiptAnswer,
        location: str | None = None,
    ) -> Callable[[View], View]:
        """Declare a POST that changes something and answers with a receipt.

        A command on an existing thing needs If-Match (`versioned`); one that makes something needs an
        Idempotency-Key (`creates`, or `keyed` for another that must not happen twice) and answers 201 with the
        `location` of what it made, where `{id}` stands for its id and `{ids[0]}` for the first of the others.
        """
        versioned = versioned and not creates
        needs_key = creates if keyed is None else keyed

        taking = body()

        def declare(view: View) -> View:
            @wraps(view)
            def carry_out(**path: Any) -> Response:
                principal = auth.admit(permission, path)
                said = _body(taking)
                at, behalf = said.pop("at", None), said.pop("on_behalf_of", None)
                g.act = _act(principal, at, behalf, versioned=versioned, needs_key=needs_key)
                # A reader that hangs about while the views are written keeps their journal from beginning anew.
                read_no_more()
                done = view(said, **path)
                return done if isinstance(done, Response) else receipt(done, creates=creates, location=location)

            parameters = [_header("If-Match", "The version that you have seen, or *.", versioned)] if versioned else []
            parameters.append(_header("Idempotency-Key", "8 to 255 characters; the same for a retry.", needs_key))
            statuses = [400, 401, 403, 404, 409, 413, 415, 422, 503, *([412, 428] if versioned else [])]
            documented = [
                self.doc(parameters=parameters, security=[{"token": []}], **_permitted(permission, view)),
                self.arguments(body, required=_needs_a_body(body)),
                self.alt_response(201 if creates else 200, schema=answer, headers=COMMAND_HEADERS),
            ]
            self._declare(rule, "POST", carry_out, permission, documented, statuses)
            return view

        return declare

    def upload(
        self, rule: str, *, permission: str, media: Sequence[str], limit: int, answer: type[Answer]
    ) -> Callable[[View], View]:
        """Declare a POST whose body is a file of one of these types, of up to `limit` bytes, and that records nothing.

        The view takes the bytes and returns the whole response: 201, with the Location of what was made of them.
        """

        def declare(view: View) -> View:
            @wraps(view)
            def take(**path: Any) -> Response:
                auth.admit(permission, path)
                if request.mimetype not in media:
                    raise UnsupportedMediaType(f"Send {' or '.join(media)}.")
                response: Response = view(_content(limit), **path)
                return response

            take.__dict__["media_types"] = tuple(media)
            taken = {"required": True, "content": {each: {"schema": {"type": "string"}} for each in media}}
            documented = [
                self.doc(requestBody=taken, security=[{"token": []}], **_permitted(permission, view)),
                self.alt_response(201, schema=answer, headers=LOCATION_HEADERS),
            ]
            self._declare(rule, "POST", take, permission, documented, (401, 403, 404, 409, 413, 415, 422, 503))
            return view

        return declare

    def query(
        self,
        rule: str,
        *,
        permission: str | None,
        answer: type[ma.Schema],
        arguments: type[ma.Schema] = QueryArguments,
        table: bool = False,
        entity: str | Callable[..., UUID] | None = None,
        media: str | None = None,
    ) -> Callable[[View], View]:
        """Declare a GET that answers from the views, as of now or of any moment before.

        A list's view returns a `Page`; with `table` it can be had as CSV too. `entity` names the path argument whose
        stream's version is the ETag, or makes the stream's id from the path arguments where it is a derived one;
        otherwise the ETag stands for what is answered, and a client that has it is told so (304). A stream's version
        can't tell that: what is shown beside the stream may have moved. With `media` it is a file of that type: the
        view returns the whole response, and may refuse.
        """
        listing = issubclass(arguments, ListArguments)

        taking = arguments()
        unasked = taking.load({})

        def declare(view: View) -> View:
            @wraps(view)
            def look(**path: Any) -> Response:
                if permission is not None:
                    auth.admit(permission, path)
                asked = _query(taking) if request.query_string else dict(unasked)
                form = g.form = _negotiated(table=table, media=media)
                position = _reached(asked.pop("after", None))
                at, after = _as_of(asked, position, listing=listing)
                said = view(Asked(position, at, asked.pop("limit", LARGEST_PAGE), after), **asked, **path)
                if isinstance(said, Response):
                    return said
                response = _page(said, answer, form, at, position) if listing else _whole(said, answer, form)
                response.headers["X-Position"] = str(position if at is None else at)
                _tag(response, entity, path, at)
                return response

            schema: Any = answer(many=True) if listing else answer
            described = (
                {"security": [{"token": []}], **_permitted(permission, view)} if permission else {"security": []}
            )
            statuses = (400, 401, 403, 404, 406, 422, 503) if permission else (400, 404, 406, 422, 503)
            if media is not None:
                statuses = (*statuses, 409)
            documented = [
                self.doc(**described),
                self.arguments(arguments, location="query"),
                self.alt_response(200, schema=schema, headers=QUERY_HEADERS)
                if media is None
                else self.alt_response(200, schema={"type": "string", "format": "binary"}, content_type=media),
            ]
            if entity is None and media is None:
                documented.append(self.alt_response(304, description="It is as you know it.", success=True))
            if table:
                documented.append(
                    self.alt_response(200, schema={"type": "string"}, content_type="text/csv", headers=QUERY_HEADERS)
                )
            self._declare(rule, "GET", look, permission, documented, statuses)
            return view

        return declare

    def _declare(
        self,
        rule: str,
        method: str,
        view: Callable[..., Response],
        permission: str | None,
        documented: Sequence[Callable[[Any], Any]],
        problems: Sequence[int],
    ) -> None:
        """Register a view with the documentation that the library's decorators make, and with its problems.

        A decorator copies all that the others made, schemas too; with one for each problem a start took a second more.
        """
        described: Any = lambda: None  # noqa: E731
        for decorate in documented:
            described = decorate(described)
        responses = described._apidoc["response"]["responses"]
        for status in problems:
            responses.setdefault(status, []).append({**PROBLEM, "description": HTTPStatus(status).phrase})
        view.__dict__.update(_apidoc=described._apidoc, permission=permission)
        self.route(rule, methods=[method])(view)


def _body(schema: ma.Schema) -> dict[str, Any]:
    """Return what a command is told.

    :raises RequestEntityTooLarge: when it is more than the app takes.
    :raises UnsupportedMediaType: when it does not say that it is JSON.
    :raises BadRequest: when it is not JSON.
    :raises Invalidated: when members are wrong, missing or unknown.
    """
    data = _content(current_app.config["MAX_CONTENT_LENGTH"])
    if data and not request.is_json:
        # One that comes in chunks has no length, so that nobody could tell before whether there is a body.
        raise UnsupportedMediaType("Send application/json.")
    try:
        said = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError:
        raise BadRequest("The body is not JSON: it is cut off, or not in UTF-8, or holds half a character.") from None
    return _loaded(schema, said)


def _content(limit: int) -> bytes:
    """Return the body of this request.

    :raises RequestEntityTooLarge: when it has more bytes than that.
    """
    # A body sent in chunks is cut off at the library's limit in silence, so that limit is one more.
    request.max_content_length = limit + 1
    content = request.get_data(cache=True)
    if len(content) > limit:
        raise RequestEntityTooLarge
    return content


def _query(schema: ma.Schema) -> dict[str, Any]:
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


def receipt(
    done: Receipt, *, creates: bool = False, location: str | None = None, beside: Mapping[str, Any] | None = None
) -> Response:
    """Return the answer to a command; `beside` are members of its own."""
    said = {
        "id": str(done.id),
        "version": done.version,
        "position": done.position,
        "outcome": done.outcome,
        "ids": done.ids,
        **(beside or {}),
    }
    response = Ready(_json(said), status=201 if creates else 200, mimetype="application/json")
    response.headers["ETag"] = f'"{done.version}"'
    if done.position is not None:
        response.headers["X-Position"] = str(done.position)
    if done.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if location is not None:
        response.headers["Location"] = location.format(id=done.id, ids=done.ids)
    return response


def json_answer(said: Any, *, status: int = 200, position: int | None = None) -> Response:
    """Return any other answer as JSON."""
    response = Ready(_json(said), status=status, mimetype="application/json")
    if position is not None:
        response.headers["X-Position"] = str(position)
    return response


def _json(said: Any) -> bytes:
    """Return an answer as JSON; ids that come from events are of a class that the encoder doesn't know as text."""
    return orjson.dumps(said, default=_as_text)


def _as_text(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _act(
    principal: auth.Principal, at: datetime | None, behalf: UUID | None, *, versioned: bool, needs_key: bool
) -> Act:
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
    said = request.headers.get("If-Match")
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
    said = request.headers.get("Idempotency-Key")
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
    return IdempotencyKey.of(principal.person, key, *said_with, secret=_own_key())


def _negotiated(*, table: bool, media: str | None = None) -> str:
    offered = [media] if media is not None else ["application/json", "text/csv"] if table else ["application/json"]
    said = request.headers.get("Accept")
    if said is None or said in ("*/*", offered[0]):
        return offered[0]
    chosen = request.accept_mimetypes.best_match(offered)
    if chosen is None:
        raise NotAcceptable(f"This can be had as {' or '.join(offered)}.")
    return chosen


def _reached(after: int | None) -> int:
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


def _as_of(asked: dict[str, Any], position: int, *, listing: bool) -> tuple[int | None, tuple[Any, ...] | None]:
    """Return the position that the answer is as of, and where the page begins."""
    said = asked.pop("as_of", None)
    at = None if said is None else _position_of(said, position)
    cursor = asked.pop("cursor", None)
    if not listing or cursor is None:
        return at, None
    pinned, after = _opened(cursor)
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


def _opened(cursor: str) -> tuple[int | None, tuple[Any, ...]]:
    try:
        sealed = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        pinned, after = orjson.loads(_own_key().open(sealed, request.path.encode()))
    except (Damaged, ValueError):
        raise BadRequest("This cursor is not one of this list's; begin again without it.", field="cursor") from None
    return pinned, tuple(after)


def _closed(pinned: int | None, after: tuple[Any, ...]) -> str:
    sealed = _own_key().seal(_json([pinned, list(after)]), request.path.encode())
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _own_key() -> Key:
    """Return the institution's key.

    It seals cursors: nobody can make one up, so a list may trust the kinds of its parts. And it makes the fingerprints
    of requests, from which nobody else can tell what was in them.
    """
    here = office()
    return here.keys.of_many([here.institution], create=True)[here.institution]


def _page(page: Page, answer: type[ma.Schema], form: str, at: int | None, position: int) -> Response:
    response = _table(page.items, answer) if form == "text/csv" else json_answer(page.items)
    response.headers["Vary"] = "Accept"
    if page.next is not None:
        cursor = _closed(position if at is None else at, page.next)
        said = request.args.to_dict()
        said.pop("as_of", None)
        said["cursor"] = cursor
        response.headers["Link"] = f'<{request.path}?{urlencode(said)}>; rel="next"'
    return response


def _whole(said: Mapping[str, Any], answer: type[ma.Schema], form: str) -> Response:
    if form == "text/csv":
        response = _table(said["items"], _items_schema(answer))
        response.headers["Vary"] = "Accept"
        return response
    return json_answer(said)


def _items_schema(answer: type[ma.Schema]) -> type[ma.Schema]:
    inner: Any = answer().fields["items"]
    return type(inner.inner.schema)


def _table(items: Sequence[Mapping[str, Any]], answer: type[ma.Schema]) -> Response:
    """Return the items as CSV; text that a spreadsheet would take for a formula gets an apostrophe."""
    columns = list(answer().fields)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for item in items:
        writer.writerow([cell(item.get(name)) for name in columns])
    response = Response("\ufeff" + out.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = "attachment"
    return response


def cell(value: Any) -> str | int:
    """Return a value as a cell of a table; a text that begins like a formula is neutralised."""
    if value is None:
        return ""
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    said = value if isinstance(value, str) else str(value) if isinstance(value, UUID) else _json(value).decode()
    return "'" + said if said[:1] in ("=", "+", "-", "@", "\t", "\r") else said


def _tag(response: Response, entity: str | Callable[..., UUID] | None, path: dict[str, Any], at: int | None) -> None:
    response.headers.add("Cache-Control", "private, no-cache")
    if entity is not None:
        stream = path[entity] if isinstance(entity, str) else entity(**path)
        version = history.version_of(reading(), stream, at=at)
        if version is None:
            if isinstance(entity, str):
                raise NotFound("There is no such thing here.")
            # What a derived stream is about may be there before its first event, as a register that nobody opened.
            version = 0
        response.headers["ETag"] = f'"{version}"'
        return
    # Processors have an instruction for this one, which makes it three times quicker than those made to be quick.
    digest = hashlib.sha256(response.get_data()).hexdigest()[:24]
    response.headers.add("ETag", f'W/"{digest}"')
    # The library's own way would also hold an If-Match against it, which is for commands.
    if "If-None-Match" in request.headers and request.if_none_match.contains_weak(digest):
        response.status_code = HTTPStatus.NOT_MODIFIED
        response.set_data(b"")


COMMAND_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "The version now."},
    "X-Position": {"schema": {"type": "integer"}, "description": "The last event recorded."},
}
LOCATION_HEADERS = {"Location": {"schema": {"type": "string"}, "description": "Where it can be had."}}
QUERY_HEADERS = {
    "ETag": {"schema": {"type": "string"}},
    "X-Position": {"schema": {"type": "integer"}, "description": "The position that the answer is as of."},
}


def _header(name: str, description: str, required: bool) -> dict[str, Any]:
    return {
        "in": "header",
        "name": name,
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


def _permitted(permission: str, view: Callable[..., Any]) -> dict[str, str]:
    roles = ", ".join(role.value for role in OF_A_ROLE[permission])
    summary = (view.__doc__ or "").strip().split("\n")[0]
    return {
        "summary": summary,
        "description": f"{(view.__doc__ or '').strip()}\n\nPermission: `{permission}` ({roles}).",
    }


def _needs_a_body(body: type[Body]) -> bool:
    return any(field.required for field in body().fields.values())


def require_json() -> None:
    """Refuse a body that is not JSON, before it is taken for an empty one.

    :raises UnsupportedMediaType: for any other type of body.
    """
    if request.method == "POST" and (request.content_length or 0) > 0 and not request.is_json:
        allowed = getattr(current_app.view_functions.get(request.endpoint or ""), "media_types", ())
        if request.mimetype not in allowed:
            raise UnsupportedMediaType(f"Send {' or '.join(allowed or ('application/json',))}.")


__all__ = [
    "Asked", "Blueprint", "ListArguments", "Page", "Problem", "QueryArguments", "Whole", "act", "json_answer", "office",
    "read_no_more", "reading", "receipt", "require_json",
]  # fmt: skip
