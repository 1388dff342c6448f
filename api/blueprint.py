"""How a route is declared: a command or a query, with its permission, its body and its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import flask_smorest
import marshmallow as ma
from flask import Response, g, request

from api import auth
from api.answers import (
    COMMAND_HEADERS,
    LOCATION_HEADERS,
    PROBLEM,
    QUERY_HEADERS,
    page_answer,
    receipt,
    tag,
    whole_answer,
)
from api.asked import (
    LARGEST_PAGE,
    Asked,
    ListArguments,
    QueryArguments,
    act_of,
    as_of,
    body_of,
    content_of,
    negotiated,
    query_of,
    reached,
)
from api.fields import Answer, Body, ReceiptAnswer
from api.permissions import OF_A_ROLE
from api.problems import UnsupportedMediaType

View = TypeVar("View", bound=Callable[..., Any])


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
                said = body_of(taking)
                at, behalf = said.pop("at", None), said.pop("on_behalf_of", None)
                g.act = act_of(principal, at, behalf, versioned=versioned, needs_key=needs_key)
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
                response: Response = view(content_of(limit), **path)
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
                asked = query_of(taking) if request.query_string else dict(unasked)
                form = g.form = negotiated(table=table, media=media)
                position = reached(asked.pop("after", None))
                at, after = as_of(asked, position, listing=listing)
                said = view(Asked(position, at, asked.pop("limit", LARGEST_PAGE), after), **asked, **path)
                if isinstance(said, Response):
                    return said
                if listing:
                    response = page_answer(said, answer, form, at, position)
                else:
                    response = whole_answer(said, answer, form)
                response.headers.add("X-Position", str(position if at is None else at))
                tag(response, entity, path, at)
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


__all__ = ["Blueprint"]
