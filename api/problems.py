"""What goes wrong, as problem documents (RFC 9457); the one table that maps errors to HTTP."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast

import orjson
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from domain.refusal import Forbidden, Invalid, Refused
from projections.directory import NotFoundedThen
from provider.log import KeyReused, NotFound
from provider.mapper import EntryTooLarge, UnknownEvent
from provider.outage import StoreUnavailable, ViewsIncomplete, outage
from provider.views import Broken
from provider.work import Busy, Stale

LOGGER = logging.getLogger(__name__)


class NotSignedIn(Exception):
    """The request carries no token, or one that is unknown, expired or revoked."""


class NotPermitted(Exception):
    """The token's roles do not allow this."""


class PreconditionRequired(Exception):
    """A command on an existing thing came without If-Match."""


class KeyRequired(Exception):
    """A request that makes something came without an Idempotency-Key."""


class BadRequest(Exception):
    """The request can't be read; `field` points to what is to blame."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotAcceptable(Exception):
    """The answer can't be had in the asked form."""


class UnsupportedMediaType(Exception):
    """The body is not in a form that this route reads."""


class Invalidated(Exception):
    """Members of the request are wrong; `errors` has a pointer, a detail and a code for each."""

    def __init__(self, messages: Any) -> None:
        super().__init__("Some of what was sent is not right; `errors` says what.")
        self.errors = [{"pointer": p, "detail": d, "code": "invalid"} for p, d in pointers(messages)]


class NotReady(Exception):
    """The back office can't answer now: its log or its views can't be read, or the views are too far behind."""


STATUS: dict[type[Exception], HTTPStatus] = {
    BadRequest: HTTPStatus.BAD_REQUEST,
    KeyRequired: HTTPStatus.BAD_REQUEST,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    NotPermitted: HTTPStatus.FORBIDDEN,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    NotFoundedThen: HTTPStatus.NOT_FOUND,
    NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    Refused: HTTPStatus.CONFLICT,
    Stale: HTTPStatus.PRECONDITION_FAILED,
    EntryTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Invalidated: HTTPStatus.UNPROCESSABLE_ENTITY,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
    Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Broken: HTTPStatus.SERVICE_UNAVAILABLE,
    UnknownEvent: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status of each kind of error; a subclass needs no entry of its own."""

AGAIN: dict[type[Exception], int] = {Busy: 1, Broken: 60, UnknownEvent: 60}
"""Seconds after which something may be asked again that can't be answered now, unless the error knows better."""


def pointers(messages: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Turn marshmallow's messages into JSON pointers and details."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            part = str(name).replace("~", "~0").replace("/", "~1")
            yield from pointers(inner, path if name == "_schema" else f"{path}/{part}")
    elif isinstance(messages, (list, tuple)):
        for inner in messages:
            yield from pointers(inner, path)
    else:
        yield "#" + path, str(messages)


def slug(kind: type[Exception]) -> str:
    """Return the name of an error in kebab case; it is the last part of the problem's type."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind.__name__).lower()


def kinds() -> dict[str, tuple[int, str]]:
    """Return every problem that the API can answer with: slug → status and what it means."""
    found: dict[str, tuple[int, str]] = {}

    def walk(kind: type[Exception], status: HTTPStatus) -> None:
        status = STATUS.get(kind, status)
        found[slug(kind)] = (status.value, (kind.__doc__ or "").strip().split("\n\n")[0])
        for inner in kind.__subclasses__():
            walk(inner, status)

    for kind, status in STATUS.items():
        walk(kind, status)
    for code in (400, 404, 405, 408, 411, 413, 414, 415, 431, 500):
        status = HTTPStatus(code)
        found.setdefault(status.phrase.lower().replace(" ", "-"), (code, status.description or status.phrase))
    return found


def problem(
    name: str,
    status: int,
    detail: str,
    *,
    title: str | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a problem document as the answer."""
    said: dict[str, Any] = {
        "type": f"/problems/{name}",
        "title": title or name.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": name.replace("-", "_"),
        "request_id": g.get("request_id", ""),
    }
    if errors:
        said["errors"] = errors
    response = Response(orjson.dumps(said), status=status, mimetype="application/problem+json")
    response.headers.update(headers or {})
    return response


def from_error(error: Exception) -> Response:
    """Return the problem for one of our errors."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if isinstance(error, (Broken, ViewsIncomplete)):
        LOGGER.error(
            "the views do not say what the log says", exc_info=error, extra={"request_id": g.get("request_id", "")}
        )
    headers = {}
    errors = getattr(error, "errors", None)
    if (field := getattr(error, "field", None)) is not None:
        errors = [
            {"pointer": f"#/{field.lstrip('/')}", "detail": str(error), "code": slug(type(error)).replace("-", "_")}
        ]
    elif people := getattr(error, "people", None):
        # An error holds no name; whoever shows it knows the people by their ids.
        code = slug(type(error)).replace("-", "_")
        errors = [
            {"pointer": "#", "detail": "It is about this person.", "code": code, "person": str(p)} for p in people
        ]
    if isinstance(error, Stale):
        headers["ETag"] = f'"{error.version}"'
    elif isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = "Bearer"
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(AGAIN.get(type(error), getattr(error, "again", 10)))
    elif isinstance(error, KeyReused):
        headers["Link"] = '</problems/key-reused>; rel="describedby"'
    return problem(slug(type(error)), status.value, str(error), errors=errors, headers=headers)


def from_http(error: HTTPException) -> Response:
    """Return the problem for an error of the web framework's; redirects pass through."""
    code = error.code or 500
    if code < 400:
        # A class method of ours gives one of ours, though its annotation names the class that it was inherited from.
        return cast(Response, Response.force_type(error.get_response(request.environ), request.environ))
    status = HTTPStatus(code)
    kept = {
        name: value
        for name, value in error.get_headers()
        if name.lower() in ("allow", "www-authenticate", "retry-after")
    }
    detail = {
        404: "There is nothing at this address.",
        405: f"{request.method} can't be done here; {kept.get('Allow', 'nothing')} can.",
        413: "The body is larger than this route takes.",
        500: "Something failed on our side. Nothing was recorded unless it says so in the history. "
        "Tell the operator the request_id.",
    }.get(code, str(error.description or status.phrase))
    return problem(status.phrase.lower().replace(" ", "-"), code, detail, title=status.phrase, headers=kept)


def from_anything(error: Exception) -> Response:
    """Return a problem for a store that has failed, or for what nobody foresaw.

    Either is logged, without any value of the request.
    """
    if (unavailable := outage(error)) is not None:
        LOGGER.error("a store has failed", exc_info=error, extra={"request_id": g.get("request_id", "")})
        return from_error(unavailable)
    LOGGER.exception("unforeseen error", extra={"request_id": g.get("request_id", "")})
    if current_app.testing and current_app.config.get("PROPAGATE_EXCEPTIONS"):
        raise error
    return from_http(HTTPException(response=None, description=None))


def register(app: Flask) -> None:
    """Let the app answer every error with a problem."""
    for kind in STATUS:
        app.register_error_handler(kind, from_error)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, from_anything)
