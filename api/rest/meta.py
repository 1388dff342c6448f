"""What the back office says of itself: whether it is well, what its problems mean, and how its API is used."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from mimetypes import guess_type
from pathlib import Path
from typing import Any, TypeVar

import flask
from flask import Response, current_app, render_template, request
from markupsafe import Markup, escape
from marshmallow import fields

from api import figures, problems
from api.answers import Problem, json_answer
from api.blueprint import Blueprint
from api.document import document
from api.fields import Answer
from api.here import office
from api.problems import NotAcceptable, NotReady
from provider.log import NotFound
from provider.views import Broken

LOGGER = logging.getLogger(__name__)

blueprint = Blueprint("meta", __name__, description=__doc__)

FURTHEST_BEHIND = 1_000
"""How many events the views may lag behind the log before the back office is not ready."""

FILES = {file.name: file.read_bytes() for file in (Path(__file__).parent.parent / "static").iterdir()}
"""What pages load, by name."""

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a page may load: our own style sheet, and no script at all."""

METHODS = ("get", "post")
PROBLEM = "application/problem+json"


class Health(Answer):
    """That the process is alive."""

    status = fields.String(required=True)


class Readiness(Answer):
    """That requests can be answered, and how far log and views are."""

    status = fields.String(required=True)
    log = fields.Integer(required=True, metadata={"description": "The position of the last event."})
    views = fields.Integer(required=True, metadata={"description": "The position that the views have reached."})


class ProblemKind(Answer):
    """One kind of problem that the API can answer with."""

    type = fields.String(required=True, metadata={"description": "Its address, as in the `type` of a problem."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    meaning = fields.String(required=True)


class ProblemKinds(Answer):
    """All kinds of problems."""

    items = fields.List(fields.Nested(ProblemKind), required=True)


View = Callable[..., Response]
Result = TypeVar("Result")


def public(
    rule: str, *, answer: type[Answer], page: bool = False, problems: Iterable[int] = ()
) -> Callable[[View], View]:
    """Declare a GET that anybody may use without a token, with an HTML page beside the JSON where there is one."""

    def declare(view: View) -> View:
        documented: Any = blueprint.doc(summary=_first_line(view), security=[])(view)
        documented = blueprint.alt_response(200, schema=answer)(documented)
        if page:
            documented = blueprint.alt_response(200, schema={"type": "string"}, content_type="text/html")(documented)
        for status in problems:
            documented = blueprint.alt_response(status, schema=Problem, content_type=PROBLEM)(documented)
        documented.permission = None
        blueprint.route(rule, methods=["GET"])(documented)
        return view

    return declare


def undocumented(rule: str) -> Callable[[View], View]:
    """Declare a GET that is for people with a browser, and no part of the API."""

    def declare(view: View) -> View:
        view.__dict__["permission"] = None
        # Past the library's own method, which would document it.
        flask.Blueprint.add_url_rule(blueprint, rule, view.__name__, view, methods=["GET"])
        return view

    return declare


def _first_line(view: View) -> str:
    return (view.__doc__ or "").strip().split("\n")[0]


@public("/livez", answer=Health)
def livez() -> Response:
    """Tell whether the process is alive."""
    return json_answer({"status": "alive"})


@public("/readyz", answer=Readiness, problems=(503,))
def readyz() -> Response:
    """Tell whether requests can be answered: log and views can be read, the views are not far behind, the disk works.

    Views that are behind catch up here first, as they would with any other request.
    """
    here = office()
    # The log last, since it may go on meanwhile.
    reached = _can("The views can't be read", here.views.position)
    end = _can("The log can't be read", here.log.position)
    if reached != end:
        _can("The views can't catch up with the log", here.views.catch_up)
        reached = _can("The views can't be read", here.views.position)
        end = _can("The log can't be read", here.log.position)
    # Only what is new is waited for: anybody may ask this, and as often as they like.
    _can("The disk of the log failed", lambda: here.log.entries.settle(end))
    if end - reached > FURTHEST_BEHIND:
        raise NotReady(f"The views are {end - reached} events behind the log, and may be {FURTHEST_BEHIND}.")
    return json_answer({"status": "ready", "log": end, "views": reached})


def _can(otherwise: str, read: Callable[[], Result]) -> Result:
    """Return what is read.

    :raises NotReady: when it can't be; whatever the reason is, requests would meet it as well.
    """
    try:
        return read()
    except Broken as error:
        raise NotReady(str(error)) from error
    except Exception as error:
        LOGGER.exception("not ready")
        raise NotReady(f"{otherwise} ({type(error).__name__}); the log of the server says more.") from error


@undocumented("/metrics")
def metrics() -> Response:
    """Tell Prometheus what was counted, in whichever process, and how far log and views are."""
    return Response(figures.written(office()), content_type="text/plain; version=0.0.4; charset=utf-8")


@public("/problems", answer=ProblemKinds, page=True, problems=(406,))
def kinds() -> Response:
    """List every problem that the API can answer with."""
    found = [_kind(slug, *said) for slug, said in sorted(problems.kinds().items())]
    if _as_page():
        return _page("problems.html", problems=found)
    return json_answer({"items": found})


@public("/problems/<slug>", answer=ProblemKind, page=True, problems=(404, 406))
def kind(slug: str) -> Response:
    """Say what a problem means; its `type` is the address of this page."""
    known = problems.kinds().get(slug)
    if known is None:
        raise NotFound(f"There is no problem of the name {slug!r} here.")
    said = _kind(slug, *known)
    return _page("problem.html", problem=said) if _as_page() else json_answer(said)


@undocumented("/openapi.json")
def openapi() -> Response:
    """Give the OpenAPI document."""
    return _kept("openapi", lambda: json_answer(document(current_app)))


@undocumented("/docs")
def docs() -> Response:
    """Show how the API is used, on one page without a script."""
    return _kept("docs", lambda: _page("docs.html", **_reference(document(current_app))))


@undocumented("/")
def index() -> Response:
    """Point to what there is."""
    return _page("index.html")


@undocumented("/static/<name>")
def static(name: str) -> Response:
    """Give a file of our own, such as the style sheet."""
    if name not in FILES:
        raise NotFound("There is no such file here.")
    response = Response(FILES[name], mimetype=guess_type(name)[0])
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.add_etag()
    response.make_conditional(request)
    return response


def _as_page() -> bool:
    """Return whether the answer shall be a page; JSON is for who has no preference.

    :raises NotAcceptable: when it shall be neither.
    """
    if not request.accept_mimetypes:
        return False
    chosen = request.accept_mimetypes.best_match(["application/json", "text/html"])
    if chosen is None:
        raise NotAcceptable("This can be had as application/json or text/html.")
    return chosen == "text/html"


def _page(template: str, **said: Any) -> Response:
    response = Response(render_template(template, **said), mimetype="text/html")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["Vary"] = "Accept"
    return response


def _kept(name: str, make: Callable[[], Response]) -> Response:
    """Return an answer that is the same as long as the process lives."""
    kept: dict[str, Response] = current_app.extensions.setdefault("meta", {})
    if name not in kept:
        kept[name] = make()
        kept[name].add_etag()
    made = kept[name]
    response = Response(made.get_data(), headers=made.headers.items(), mimetype=made.mimetype)
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def _kind(slug: str, status: int, meaning: str) -> dict[str, Any]:
    return {
        "type": f"/problems/{slug}",
        "title": slug.replace("-", " ").capitalize(),
        "status": status,
        "meaning": " ".join(meaning.split()).rstrip(".") + ".",
    }


def _reference(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the reference page shows: nouns with their operations, then the forms of what is sent."""
    nouns: dict[str, dict[str, Any]] = {
        tag["name"]: {"name": tag["name"], "description": tag.get("description", ""), "operations": []}
        for tag in spec["tags"]
    }
    for path, item in spec["paths"].items():
        shared = item.get("parameters", [])
        for method in METHODS:
            if (operation := item.get(method)) is not None:
                nouns[operation["tags"][0]]["operations"].append(_operation(method, path, operation, shared))
    return {
        "info": spec["info"],
        "nouns": [noun for noun in nouns.values() if noun["operations"]],
        "schemas": [_schema(name, said) for name, said in sorted(spec["components"]["schemas"].items())],
    }


def _operation(method: str, path: str, said: Mapping[str, Any], shared: list[dict[str, Any]]) -> dict[str, Any]:
    summary = said.get("summary", "")
    body = said.get("requestBody", {}).get("content", {})
    return {
        "id": _anchor(f"{method} {path}"),
        "method": method.upper(),
        "path": path,
        "summary": _prose(summary),
        "description": _prose(said.get("description", "").removeprefix(summary).strip()),
        "parameters": [
            {
                "name": each["name"],
                "in": each["in"],
                "required": each.get("required", False),
                "type": _type(each.get("schema", {})),
                "description": _prose(each.get("description", "")),
            }
            for each in [*shared, *said.get("parameters", [])]
        ],
        "body": [{"media": media, "type": _type(form.get("schema", {}))} for media, form in body.items()],
        "answers": [
            {
                "status": status,
                "description": _prose(answer.get("description", "")),
                "forms": [
                    {"media": media, "type": _type(form.get("schema", {}))}
                    for media, form in answer.get("content", {}).items()
                ],
            }
            for status, answer in sorted(said["responses"].items())
            if PROBLEM not in answer.get("content", {})
        ],
        "problems": [
            status for status, answer in sorted(said["responses"].items()) if PROBLEM in answer.get("content", {})
        ],
    }


def _schema(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    required = said.get("required", [])
    return {
        "id": _anchor(f"schema {name}"),
        "name": name,
        "members": [
            {
                "name": member,
                "required": member in required,
                "type": _type(form),
                "description": _prose(form.get("description", "")),
            }
            for member, form in said.get("properties", {}).items()
        ],
    }


def _type(schema: Mapping[str, Any]) -> Markup:
    """Return a schema in a few words, with a link where it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{}">{}</a>').format(_anchor(f"schema {name}"), name)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return Markup(" or ").join(_type(each) for each in schema[word])
    if "enum" in schema:
        return Markup(", ").join(Markup("<code>{}</code>").format(_plain(each)) for each in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return Markup("list of ") + _type(schema.get("items", {}))
    kinds = kind if isinstance(kind, list) else [kind]
    said = " or ".join(kinds)
    return escape(f"{said} ({schema['format']})" if "format" in schema else said)


def _plain(value: object) -> str:
    return "null" if value is None else str(value)


def _prose(said: str) -> Markup:
    """Return text with its `code` set as such, and its paragraphs apart."""
    paragraphs = [
        Markup("").join(
            Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
            for i, part in enumerate(" ".join(paragraph.split()).split("`"))
        )
        for paragraph in said.split("\n\n")
    ]
    return Markup("<br>").join(paragraphs)


def _anchor(said: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", said.lower()).strip("-")
