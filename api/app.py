"""The web application, made around a finished back office."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from secrets import token_hex
from time import perf_counter
from typing import Any

import flask_smorest
import orjson
from flask import Flask, Request, Response, g, request
from flask.json.provider import JSONProvider
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter, Rule

from api import figures, here, problems, rest
from api.answers import Problem
from api.asked import require_json
from provider.log import NotFound
from provider.office import Office

BODY_LIMIT = 1024 * 1024
"""Bytes of a JSON body; attendee files have a limit of their own."""
ADDRESSES = 2_000
"""How many addresses are remembered with their routes."""
LONG_ADDRESS = 200
"""Characters of the longest address that is remembered."""
OF_ALL = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"))
"""Headers of every answer."""
UNLESS_SAID = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
"""Headers of every answer that does not say something else there."""
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


class NoSessions(SessionInterface):
    """No cookie of ours says who somebody is."""

    NONE = NullSession()

    def open_session(self, *_: object) -> NullSession:
        return self.NONE

    def save_session(self, *_: object) -> None:
        """Keep nothing."""


class Adapter(MapAdapter):
    """Finds the route of an address, and remembers those of late: a class is asked for, and marked, again and again."""

    routes: dict[tuple[str, str], tuple[Rule, Mapping[str, Any]]]

    def match(self, *said: Any, **more: Any) -> Any:
        if said or more != {"return_rule": True}:
            return super().match(*said, **more)
        key = (self.path_info, self.default_method)
        known = self.routes.get(key)
        if known is None:
            known = super().match(return_rule=True)
            if len(self.routes) >= ADDRESSES:
                self.routes.clear()
            if len(self.path_info) <= LONG_ADDRESS:
                self.routes[key] = known
        rule, arguments = known
        return rule, dict(arguments)


class App(Flask):
    """Flask without what none of our routes has: sessions, hosts, coroutines, and hooks that blueprints may add.

    To look for each of them took a third of the time of a short answer.
    """

    session_interface = NoSessions()

    def __init__(self, *said: Any, **more: Any) -> None:
        super().__init__(*said, **more)
        self.routes: dict[tuple[str, str], tuple[Rule, Mapping[str, Any]]] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        environ = request.environ
        adapter = Adapter(
            self.url_map,
            server_name=environ.get("HTTP_HOST", "localhost"),
            script_name=environ.get("SCRIPT_NAME") or "/",
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
            query_args=environ.get("QUERY_STRING", ""),
        )
        adapter.routes = self.routes
        return adapter

    def preprocess_request(self) -> None:
        g.began = perf_counter()
        asked = here.header("HTTP_X_REQUEST_ID") or ""
        g.request_id = asked if REQUEST_ID.fullmatch(asked) else token_hex(16)
        if "\0" in request.path:
            # A database may refuse even to look for it.
            raise NotFound("There is no such thing here.")
        require_json()

    def process_response(self, response: Response) -> Response:
        headers = response.headers
        # The library looks for each by itself, and makes an error of each that it does not find.
        said = {name.lower() for name, _ in headers}
        headers.add("X-Request-Id", g.get("request_id", ""))
        for name, value in OF_ALL:
            headers.add(name, value)
        for name, value in UNLESS_SAID:
            if name.lower() not in said:
                headers.add(name, value)
        rule = request.url_rule
        now = perf_counter()
        figures.count(
            None if rule is None else rule.rule, request.method, response.status_code, now - g.get("began", now)
        )
        return response

    def do_teardown_request(self, _: BaseException | None = None) -> None:
        here.read_no_more()


def create_app(office: Office) -> Flask:
    """Return the application that serves this back office."""
    app = copy(routed())
    app.config = copy(app.config)
    app.extensions = {**app.extensions, "office": office}
    app.routes = {}
    return app


@cache
def routed() -> App:
    """Return an application with all routes and no office, which takes a third of a second to make, once."""
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
    api = Api(app)
    api.ma_plugin.converter.add_attribute_function(_pattern)
    api.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer", "bearerFormat": "prv_…"})
    for module in sorted(iter_modules([str(Path(rest.__file__).parent)]), key=lambda m: m.name):
        api.register_blueprint(import_module(f"api.rest.{module.name}").blueprint)
    return app


def _pattern(_: Any, __: Any, *, ret: dict[str, Any], **___: Any) -> dict[str, Any]:
    r"""Say \Z as $, which in the regular expressions of JSON Schema is the very end."""
    return {"pattern": ret["pattern"].replace(r"\Z", "$")} if "pattern" in ret else {}
