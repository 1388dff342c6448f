"""The web application, made around a finished back office."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from uuid import uuid4

import flask_smorest
import orjson
from flask import Flask, Response, g, request
from flask.json.provider import JSONProvider

from api import kit, problems, rest
from api.kit import Problem
from provider.office import Office

BODY_LIMIT = 1024 * 1024
"""Bytes of a JSON body; attendee files have a limit of their own."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class Json(JSONProvider):
    """JSON by orjson: quick, and strict about halves of characters, NaN and depth."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj, default=str).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)


class Api(flask_smorest.Api):
    """flask-smorest's API with our errors."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = None
    """None, so that an answer which a route doesn't name counts as undocumented."""

    def _register_error_handlers(self) -> None:
        problems.register(self._app)

    def _register_responses(self) -> None:
        """Leave out the library's default responses; each route names its own."""


class App(Flask):
    """Flask, spared the question whether each function that it calls is a coroutine: none is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(office: Office) -> Flask:
    """Return the application that serves this back office."""
    app = App("api", static_folder=None)
    app.json = Json(app)
    app.config.update(
        API_TITLE="Training provider back office",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.1",
        OPENAPI_URL_PREFIX=None,
        MAX_CONTENT_LENGTH=BODY_LIMIT,
        MAX_FORM_MEMORY_SIZE=BODY_LIMIT,
        MAX_FORM_PARTS=10,
    )
    app.extensions["office"] = office
    app.before_request(_begin)
    app.before_request(kit.require_json)
    app.after_request(_finish)
    app.teardown_request(_end)
    api = Api(app)
    api.ma_plugin.converter.add_attribute_function(_pattern)
    api.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer", "bearerFormat": "prv_…"})
    for module in sorted(iter_modules([str(Path(rest.__file__).parent)]), key=lambda m: m.name):
        api.register_blueprint(import_module(f"api.rest.{module.name}").blueprint)
    return app


def _pattern(_: Any, __: Any, *, ret: dict[str, Any], **___: Any) -> dict[str, Any]:
    r"""Say \Z as $, which in the regular expressions of JSON Schema is the very end."""
    return {"pattern": ret["pattern"].replace(r"\Z", "$")} if "pattern" in ret else {}


def _begin() -> None:
    asked = request.headers.get("X-Request-Id", "")
    g.request_id = asked if REQUEST_ID.fullmatch(asked) else uuid4().hex


def _finish(response: Response) -> Response:
    headers = response.headers
    headers.add("X-Request-Id", g.get("request_id", ""))
    headers.add("X-Content-Type-Options", "nosniff")
    headers.add("Referrer-Policy", "same-origin")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("Cache-Control", "no-store")
    return response


def _end(_: BaseException | None) -> None:
    kit.read_no_more()
