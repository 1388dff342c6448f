"""What is answered: receipts, pages and files, with the headers that they have."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import marshmallow as ma
from flask import Response, request

from api.as_json import json_of
from api.cursor import closed
from api.fields import Answer
from api.here import header, reading
from projections import history
from provider.log import NotFound, Receipt


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

COMMAND_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "The version now."},
    "X-Position": {"schema": {"type": "integer"}, "description": "The last event recorded."},
}

LOCATION_HEADERS = {"Location": {"schema": {"type": "string"}, "description": "Where it can be had."}}

QUERY_HEADERS = {
    "ETag": {"schema": {"type": "string"}},
    "X-Position": {"schema": {"type": "integer"}, "description": "The position that the answer is as of."},
}


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
    response = Ready(json_of(said), status=201 if creates else 200, mimetype="application/json")
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
    response = Ready(json_of(said), status=status, mimetype="application/json")
    if position is not None:
        response.headers["X-Position"] = str(position)
    return response


def page_answer(page: Page, answer: type[ma.Schema], form: str, at: int | None, position: int) -> Response:
    """Return a page of a list as JSON or CSV; its Link leads to the next, pinned to the position of this one."""
    response = _table(page.items, answer) if form == "text/csv" else json_answer(page.items)
    response.headers["Vary"] = "Accept"
    if page.next is not None:
        cursor = closed(position if at is None else at, page.next)
        said = request.args.to_dict()
        said.pop("as_of", None)
        said["cursor"] = cursor
        response.headers["Link"] = f'<{request.path}?{urlencode(said)}>; rel="next"'
    return response


def whole_answer(said: Mapping[str, Any], answer: type[ma.Schema], form: str) -> Response:
    """Return what a query found, as JSON, or its items as CSV."""
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
    said = value if isinstance(value, str) else str(value) if isinstance(value, UUID) else json_of(value).decode()
    return "'" + said if said[:1] in ("=", "+", "-", "@", "\t", "\r") else said


def tag(response: Response, entity: str | Callable[..., UUID] | None, path: dict[str, Any], at: int | None) -> None:
    """Give an answer its ETag: the version of the stream that it is about, or a mark of what it says.

    :raises NotFound: when the stream that the path names had not begun.
    """
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
    if header("HTTP_IF_NONE_MATCH") is not None and request.if_none_match.contains_weak(digest):
        response.status_code = HTTPStatus.NOT_MODIFIED
        response.set_data(b"")


__all__ = [
    "COMMAND_HEADERS", "LOCATION_HEADERS", "PROBLEM", "QUERY_HEADERS", "Page", "Problem", "cell", "json_answer",
    "page_answer", "receipt", "tag", "whole_answer",
]  # fmt: skip
