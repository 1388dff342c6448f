"""Whatever is wrong with a request, the answer is a problem that says so, and nothing happens."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import uuid4

import orjson
import pytest
from flask import Flask

from api.app import BODY_LIMIT
from api.document import document
from domain.access import Role
from provider.commands import access, certificates, enrolments
from provider.office import Office
from provider.settings import Settings
from provider.work import Act
from tests.academy import Academy, half_days
from tests.conftest import Caller, Clock, app_of
from tests.graduates import graduated

DOCUMENT = document(app_of(None))


@dataclass(frozen=True)
class Route:
    """One operation, as the document has it."""

    path: str
    method: str
    said: dict[str, Any]

    @property
    def schema(self) -> dict[str, Any] | None:
        """The schema of its JSON body; None where it takes a file or nothing."""
        content = self.said.get("requestBody", {}).get("content", {})
        return resolved(content["application/json"]["schema"]) if "application/json" in content else None

    def needs(self, header: str) -> bool:
        return any(
            each["name"] == header and each.get("required")
            for each in self.said.get("parameters", [])
            if each["in"] == "header"
        )

    @property
    def arguments(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def address(self, values: dict[str, str]) -> str:
        return self.path.format(**values)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


ROUTES = [
    Route(path, method, said)
    for path, operations in DOCUMENT["paths"].items()
    for method, said in operations.items()
    if method in ("get", "post")
]
POSTS = [route for route in ROUTES if route.method == "post" and route.schema is not None]
GETS = [route for route in ROUTES if route.method == "get"]
TABLES = [
    route
    for route in GETS
    if {"application/json", "text/csv"} <= set(route.said["responses"]["200"].get("content", {}))
]
"""What can be had as CSV too. The file for a body is not among them: its cells are what the body reads."""
each_post = pytest.mark.parametrize("route", POSTS, ids=lambda route: route.path)
each_get = pytest.mark.parametrize("route", GETS, ids=lambda route: route.path)

MARK = {
    "mark": "0b1f4dc5-5a0e-4f5e-9d0d-1f2f6a3c7e11",
    "person": "0b1f4dc5-5a0e-4f5e-9d0d-1f2f6a3c7e12",
    "status": "present",
    "marked_at": "2026-06-01T07:05:00Z",
}
SOUND: dict[str, Any] = {
    "amount": "10.00",
    "attestation": "I was there.",
    "body": "SA",
    "capacity": {"limit": 12},
    "code": "CSPO",
    "day": "2026-06-08",
    "email": "grace@example.org",
    "end": "12:30",
    "evidence": "letter",
    "family": "Hopper",
    "first_day": "2026-06-15",
    "given": "Grace",
    "mark": MARK,
    "marks": [MARK],
    "on": "2026-06-02",
    "sent_at": "2026-06-01T07:06:00Z",
    "sessions": [{"day": "2026-06-08", "start": "09:00", "end": "12:30"}],
    "start": "09:00",
    "valid_from": "2026-01-01",
    "version": 1,
    "zone": "Europe/Zurich",
}
"""What is said where a member has this name; else the first thing that its schema allows."""
OF_A_ROUTE: dict[str, dict[str, Any]] = {
    "/v1/courses/{course}/enrolments": {"given": "Grace"},
    "/v1/courses/{course}/walk-ins": {"given": "Grace"},
    "/v1/enrolments/{enrolment}/substitute": {"given": "Grace"},
    "/v1/people": {"given": "Grace"},
    "/v1/people/{person}/name-corrections": {"given": "Grace"},
    "/v1/people/{person}/name-changes": {"given": "Grace"},
    "/v1/people/search": {"name": "Grace"},
    "/v1/institution/overrides": {
        "version": "2027",
        "formats": ["in_person"],
        "attendance_rule": "all_sessions",
        "submission_profile": "sa_load",
    },
    "/v1/courses/{course}/sessions/{session}/register/conflicts/{person}/resolve": {"mark": MARK["mark"]},
}
"""What else a route has to be told, which its schema can't say."""


def sound(schema: dict[str, Any], name: str = "") -> Any:
    """Return something that the schema takes, with what is required only."""
    if (
        name in SOUND
        and (name != "mark" or "properties" in resolved(schema))
        and (name != "version" or schema.get("type") == "integer")
    ):
        return SOUND[name]
    schema = resolved(schema)
    if "enum" in schema:
        return next(each for each in schema["enum"] if each is not None)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {each: sound(schema["properties"][each], each) for each in schema.get("required", [])}
    if kind == "array":
        return [sound(schema["items"], name)] * max(1, schema.get("minItems", 0))
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return True
    return {"uuid": str(uuid4()), "date": "2026-06-08", "date-time": "2026-06-01T07:05:00Z"}.get(
        schema.get("format", ""), "other"
    )


def body_of(route: Route) -> dict[str, Any]:
    assert route.schema is not None
    return {**sound(route.schema), **OF_A_ROUTE.get(route.path, {})}


class Lab:
    """An office in which a course was taught, a caller who may do anything, and ids of all that is there."""

    def __init__(self, office: Office, clock: Clock) -> None:
        self.office = office
        self.clock = clock
        class_ = graduated().played.at(office, self.act, clock)
        everything = (Role.REGISTRAR, Role.TRAINER, Role.ADMIN)
        for role in everything:
            access.grant(office, self.act(), person=class_.lead, role=role)
        issued, token = access.issue_token(office, self.act(), person=class_.lead, roles=everything)
        academy: Academy = class_.room.academy
        tina = academy.trainer("Tina")
        self.upcoming = academy.open(tina, sessions=half_days(date(2026, 6, 15), date(2026, 6, 16)))
        self.formulas = ["=cmd|' /C calc'!A0", "+41 79 000 00 00", "-2+3", "@SUM(A1)"]
        for given, family in zip(self.formulas[::2], self.formulas[1::2], strict=True):
            enrolments.request(office, self.act(), course=self.upcoming, given=given, family=family)
            class_.rename("Ada" if given.startswith("=") else "Bob", given, family, certificate_name=given)
        certificates.issue(office, self.act(), course=class_.course)
        class_.rename("Cy", "Cy", "Twombly the Younger")
        class_.draft()
        clock.move(hours=1)
        self.app: Flask = app_of(office)
        self.app.config["PROPAGATE_EXCEPTIONS"] = False
        self.caller = Caller(self.app.test_client(), token)
        self.token = token
        self.known = {
            "amendment": "1",
            "authorisation": "1",
            "body": "SA",
            "code": "CSPO",
            "course": str(class_.course),
            "credit": "1",
            "discrepancy": self.caller.get("/v1/discrepancies").json[0]["discrepancy"],
            "enrolment": str(class_.enrolment("Ada")),
            "line": "1",
            "mark": str(uuid4()),
            "number": "2026-000001",
            "part": "1",
            "person": str(class_.person("Ada")),
            "position": "1",
            "session": "1",
            "slug": "stale",
            "staged": str(uuid4()),
            "submission": str(class_.submission),
            "token": issued.ids[0],
            "trainer": str(class_.lead),
        }

    def act(self, **said: Any) -> Act:
        said = {"by": graduated().admin, "now": self.clock(), "at": self.clock(), **said}
        return Act(channel="test", request=uuid4().hex, **said)

    def address(self, route: Route, **values: str) -> str:
        # Those who have access, and those who teach, are people too.
        if route.path.startswith(("/v1/access", "/v1/trainers")):
            values = {"person": self.known["trainer"], **values}
        return route.address(self.known | values)

    def send(self, route: Route, body: bytes, **headers: str | None) -> Any:
        """Send bytes as they are, with all headers that a sound request has."""
        said = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "If-Match": "*",
            "Idempotency-Key": uuid4().hex,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.caller.client.open(
            self.address(route),
            method=route.method.upper(),
            data=body,
            headers={name: value for name, value in said.items() if value is not None},
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One office for all tests of the module: none of them may change anything, or it says what."""
    data = tmp_path_factory.mktemp("lab") / "data"
    clock = Clock()
    office = graduated().copied(Settings.read({"PROVIDER_DATA": str(data)}), clock)
    yield Lab(office, clock)
    office.close()
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture
def unmoved(lab: Lab) -> Iterator[None]:
    """Nothing is recorded by what the test does."""
    before = lab.office.log.position()
    yield
    assert lab.office.log.position() == before


def is_problem(answer: Any, *statuses: int) -> dict[str, Any]:
    """See that this is a refusal in the form of all refusals, with one of these statuses, and return it."""
    assert answer.status_code in statuses, (answer.status_code, answer.get_data()[:500])
    assert answer.mimetype == "application/problem+json"
    said: dict[str, Any] = answer.get_json()
    assert said["status"] == answer.status_code
    assert said["type"] == f"/problems/{said['code'].replace('_', '-')}"
    assert said["title"]
    assert said["detail"]
    assert said["request_id"] == answer.headers["X-Request-Id"]
    for error in said.get("errors", []):
        assert error["pointer"].startswith("#")
        assert error["detail"]
        assert error["code"]
    return said


# What is no JSON, or not an object of ours.

NOT_JSON = {
    "malformed": b"{'a': 1}",
    "truncated": b'{"reason": "oth',
    "truncated in the middle of a character": b'{"reason": "\xc3',
    "two documents": b"{}{}",
    "no UTF-8": b'{"reason": "\xff\xfe"}',
    "UTF-16": '{"reason": "other"}'.encode("utf-16"),
    "half a character": b'{"reason": "\\ud800"}',
    "the other half": b'{"reason": "\\udc00\\ud800"}',
    "NaN": b'{"reason": NaN}',
    "Infinity": b'{"reason": -Infinity}',
    "a control character as it is": b'{"reason": "a\x01b"}',
    "NUL as it is": b'{"reason": "a\x00b"}',
    "NUL alone": b"\x00",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a comma too many": b'{"reason": "other",}',
    "a comment": b'{"reason": "other" /* because */}',
}
OTHER_JSON = {
    "a list": b"[]",
    "a text": b'"reason"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "a huge number": b"1" + b"0" * 400,
    "unknown members": b'{"nonsense": 1}',
    "the same unknown member twice": b'{"nonsense": 1, "nonsense": 2}',
    "a member with no name": b'{"": 1}',
    "a member from elsewhere": b'{"__class__": "x"}',
    "a name with NUL": b'{"a\\u0000": 1}',
    "deep in an unknown member": b'{"nonsense":' + b"[" * 500 + b"]" * 500 + b"}",
}


@each_post
@pytest.mark.usefixtures("unmoved")
def test_a_body_that_is_not_one_of_ours_is_refused(lab: Lab, route: Route) -> None:
    for name, body in NOT_JSON.items():
        assert is_problem(lab.send(route, body), 400)["code"] == "bad_request", name
    for name, body in OTHER_JSON.items():
        # A number that is too large for any integer is a fault of JSON to some parsers.
        assert is_problem(lab.send(route, body), 422, 400)["code"] in ("invalidated", "bad_request"), name
    said = is_problem(lab.send(route, b'{"nonsense": 1}'), 422)
    assert "#/nonsense" in {error["pointer"] for error in said["errors"]}


@each_post
@pytest.mark.usefixtures("unmoved")
def test_a_body_that_is_too_large_or_of_another_type_is_refused(lab: Lab, route: Route) -> None:
    large = b'{"reason": "' + b"a" * (2 * BODY_LIMIT) + b'"}'
    assert is_problem(lab.send(route, large), 413)["code"] == "request_entity_too_large"
    body = orjson.dumps(body_of(route))
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert is_problem(lab.send(route, body, Content_Type=kind), 415)["code"] == "unsupported_media_type", kind


# Members.


def unsound(schema: dict[str, Any]) -> list[Any]:
    """Return what a member of this schema must refuse."""
    schema = resolved(schema)
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "enum" in schema:
        return ["no such thing", "", 1, True, ["x"], {"x": 1}]
    if "integer" in kinds:
        return [True, "1", 1.5, -1, -(2**62), 2**70, 1e300, [1], {"a": 1}]
    if "boolean" in kinds:
        return ["true", "yes", 1, 0, 2**70, ["x"], {}]
    if "array" in kinds:
        return ["x", 1, True, {"a": 1}]
    if "object" in kinds:
        return ["x", 1, True, ["x"]]
    if schema.get("format") == "uuid":
        return ["x", "", 5, True, 2**70, "0" * 36, "a" * 10_000, "{" + str(uuid4()) + "}", uuid4().hex, ["x"], {"a": 1}]
    if schema.get("format") == "date":
        return [
            *("0000-01-01", "0001-01-01", "1999-12-31", "2100-01-01", "9999-12-31", "2026-02-30", "2026-13-01"),
            *("2026-W01-1", "20260101", "2026-01-01T00:00:00Z", "today", "", 20260101, 2**70, True, ["x"], {"a": 1}),
        ]
    if schema.get("format") == "date-time":
        return [
            *("0000-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"),
            *(
                "2026-01-01",
                "2026-01-01T00:00:00",
                "2026-01-01T25:00:00Z",
                "2026-W01-1T00:00:00Z",
                "now",
                "",
                1767225600,
                2**70,
                True,
                ["x"],
            ),
            {"a": 1},
        ]
    if "string" in kinds:
        # No format: a name, a code, a time of the day, a sentence, free text.
        pattern = schema.get("pattern")
        empty = [""] if schema.get("minLength") or (pattern and not re.fullmatch(pattern, "")) else []
        texts = ["a\x00b", "a\x1bb", "a\x85b", "a\u202eb", "a\u2066b", "a" * 10_000]
        return [*texts, *empty, 5, True, 2**70, ["x"], {"a": 1}]
    return []


def members(schema: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Give the path and the schema of each member, also of those in lists and objects."""
    for name, inner in schema.get("properties", {}).items():
        here = (*path, name)
        yield here, inner
        whole = resolved(inner)
        if whole.get("type") == "array":
            items = resolved(whole["items"])
            yield from members(items, (*here, 0)) if "properties" in items else [((*here, 0), items)]
        elif "properties" in whole:
            yield from members(whole, here)


def put(said: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return what was said with something else at a path; what is missing on the way is made."""
    if not path:
        return value
    part, *rest = path
    if isinstance(part, int):
        first = said[0] if isinstance(said, list) and said else {}
        return [put(first, tuple(rest), value)]
    said = dict(said) if isinstance(said, dict) else {}
    return {**said, part: put(said.get(part), tuple(rest), value)}


@each_post
@pytest.mark.usefixtures("unmoved")
def test_each_member_refuses_what_it_does_not_take_and_is_pointed_to(lab: Lab, route: Route) -> None:
    assert route.schema is not None
    body = body_of(route)
    for path, schema in members(route.schema):
        pointer = "#/" + "/".join(map(str, path))
        for value in unsound(schema):
            answer = lab.send(route, json.dumps(put(body, path, value)).encode())
            assert answer.status_code >= 400, (path, value)
            if path == ("plan",):
                # It is only compared, once the file is found.
                is_problem(answer, 422, 404)
                continue
            # So large a number is a fault of JSON already.
            said = is_problem(answer, *((400, 422) if value == 2**70 else (422,)))
            if answer.status_code == 422:
                pointers = {error["pointer"] for error in said.get("errors", [])}
                # What is wrong with one of a list may be said of the list.
                lists = pointer.removesuffix("/0")
                assert any(each.startswith(lists) for each in pointers), (path, value, pointers)


# Addresses.

INNER = {"trainer", "credit", "mark", "amendment", "authorisation", "token", "person"}
"""What names something within the thing that an address is about; what is not there may be a refusal of that thing."""


@pytest.mark.parametrize("route", [r for r in (*POSTS, *GETS) if r.arguments], ids=lambda r: f"{r.method} {r.path}")
@pytest.mark.usefixtures("unmoved")
def test_an_id_in_an_address_that_names_nothing_or_something_else_is_not_found(lab: Lab, route: Route) -> None:
    body = orjson.dumps(body_of(route)) if route.method == "post" else b""
    for name in route.arguments:
        ids = {lab.known[other] for other in ("course", "person", "enrolment", "submission")} - {lab.known[name]}
        if name == "trainer" or name == "person":
            ids -= {lab.known["person"], lab.known["trainer"]}
        strange = [str(uuid4()), *ids, "0", "-1", "999999", str(2**70), "x", "%00", "%ff", "a" * 500, "..", "'--"]
        for value in strange:
            answer = lab.caller.client.open(
                lab.address(route, **{name: value}),
                method=route.method.upper(),
                data=body,
                headers={
                    "Authorization": f"Bearer {lab.token}",
                    "If-Match": "*",
                    "Idempotency-Key": uuid4().hex,
                    **({"Content-Type": "application/json"} if body else {}),
                },
            )
            within = name in INNER and name != route.arguments[0]
            is_problem(answer, 404, *((403, 409, 422) if within else ()))


# Headers.


@pytest.mark.parametrize("route", [r for r in POSTS if r.needs("If-Match")], ids=lambda route: route.path)
@pytest.mark.usefixtures("unmoved")
def test_what_changes_a_thing_needs_the_version_that_was_seen(lab: Lab, route: Route) -> None:
    body = orjson.dumps(body_of(route))
    said = is_problem(lab.send(route, body, If_Match=None), 428)
    assert said["code"] == "precondition_required"
    for wrong in ("7", 'W/"7"', '"seven"', '"-1"', '"1", "2"', "", '"' + "9" * 400 + '"', '"²"'):
        is_problem(lab.send(route, body, If_Match=wrong), 400)
    answer = lab.send(route, body, If_Match='"99999"')
    assert is_problem(answer, 412)["code"] == "stale"
    assert answer.headers["ETag"] != '"99999"'


@pytest.mark.parametrize("route", [r for r in POSTS if r.needs("Idempotency-Key")], ids=lambda route: route.path)
@pytest.mark.usefixtures("unmoved")
def test_what_makes_a_thing_needs_a_key(lab: Lab, route: Route) -> None:
    body = orjson.dumps(body_of(route))
    assert is_problem(lab.send(route, body, Idempotency_Key=None), 400)["code"] == "key_required"
    for wrong in ("", "short", "a" * 256, "with a\ttab", "Zürich 1234"):
        is_problem(lab.send(route, body, Idempotency_Key=wrong), 400)


@each_get
@pytest.mark.usefixtures("unmoved")
def test_what_can_not_be_had_in_the_asked_form_is_refused(lab: Lab, route: Route) -> None:
    answer = lab.caller.get(lab.address(route), headers={"Accept": "image/png"})
    if route.path.startswith("/v1/"):
        assert is_problem(answer, 406)["code"] == "not_acceptable"
    else:
        assert answer.status_code in (200, 302, 404, 406)


@each_get
@pytest.mark.usefixtures("unmoved")
def test_arguments_that_make_no_sense_are_refused(lab: Lab, route: Route) -> None:
    if not route.path.startswith("/v1/"):
        return
    for asked in ("nonsense=1", "as_of=yesterday", "as_of=99999999", f"as_of={2**70}", "as_of=-1", "after=99999999",
                  f"after={2**70}", "after=x", "as_of=0000-01-01T00:00:00Z", "as_of=%00", "as_of=%ff"):  # fmt: skip
        is_problem(lab.caller.get(f"{lab.address(route)}?{asked}"), 400, 422)


@pytest.mark.usefixtures("unmoved")
def test_a_path_or_a_method_that_is_not_there_is_a_problem_too(lab: Lab) -> None:
    for path in ("/v1/nonsense", "/v1/courses/x", "/v1/%ff", "/v1/courses/%00", "/" + "a" * 5_000):
        is_problem(lab.caller.get(path), 404)
    for method in ("PUT", "PATCH", "DELETE"):
        answer = lab.caller.client.open("/v1/courses", method=method)
        assert is_problem(answer, 405)["code"] == "method_not_allowed"
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


# What makes sense by itself, and not here.


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        ("/v1/people", {"given": "Grace"}, {"given": "Grace "}),
        ("/v1/courses", {"title": "A", "body": "SA", "code": "CSPO", "format": "in_person"}, {"title": "B"}),
        ("/v1/courses/{upcoming}/enrolments", {"given": "Alan"}, {"given": "Alan", "family": "Turing"}),
    ],
)
def test_a_key_that_comes_again_with_another_request_is_refused(
    lab: Lab, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    path = path.format(upcoming=lab.upcoming)
    key = uuid4().hex
    first = lab.caller.post(path, body, key=key)
    assert first.status_code == 201
    before = lab.office.log.position()
    again = lab.caller.post(path, body, key=key)
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    answer = lab.caller.post(path, {**body, **other}, key=key)
    assert is_problem(answer, 422)["code"] == "key_reused"
    assert is_problem(lab.caller.post("/v1/people", {"given": "Eve"}, key=key), 422) if path != "/v1/people" else True
    assert lab.office.log.position() == before


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"day": "2026-03-29", "start": "02:30", "end": "06:00"}, "#/sessions/0/start"),
        ({"day": "2026-03-29", "start": "00:30", "end": "02:30"}, "#/sessions/0/end"),
        ({"day": "2026-10-25", "start": "02:30", "end": "06:00"}, "#/sessions/0/start"),
        ({"day": "2026-10-25", "start": "00:30", "end": "02:30"}, "#/sessions/0/end"),
        ({"day": "2026-10-25", "start": "09:00", "end": "09:00"}, "#/sessions/0"),
        ({"day": "2026-10-25", "start": "24:00", "end": "25:00"}, "#/sessions/0/start"),
        ({"day": "2026-10-25", "start": "09:00", "end": "12:00", "zone": "Europe/Atlantis"}, "#/sessions/0/zone"),
        ({"day": "2026-10-25", "start": "09:00", "end": "12:00", "zone": "../../etc/passwd"}, "#/sessions/0/zone"),
    ],
)
def test_a_time_that_there_is_twice_or_never_is_refused(lab: Lab, said: dict[str, Any], pointer: str) -> None:
    drafted = drafted_course(lab)
    before = lab.office.log.position()
    answer = lab.caller.post(f"/v1/courses/{drafted}/schedule", {"sessions": [said], "reason": "agreed"})
    pointers = [error["pointer"] for error in is_problem(answer, 422)["errors"]]
    assert any(each.startswith(pointer) for each in pointers), pointers
    assert lab.office.log.position() == before


@pytest.mark.parametrize(
    ("day", "more", "minutes"),
    [
        ("2026-10-25", {"start": "01:30", "end": "05:30"}, 300),
        ("2026-03-29", {"start": "01:30", "end": "05:30"}, 180),
        ("2026-10-25", {"start": "02:30", "end": "06:00", "fold": 0}, 270),
        ("2026-10-25", {"start": "02:30", "end": "06:00", "fold": 1}, 210),
    ],
)
def test_a_session_over_the_change_of_the_clocks_lasts_as_long_as_it_does(
    lab: Lab, day: str, more: dict[str, Any], minutes: int
) -> None:
    drafted = drafted_course(lab)
    said = {"sessions": [{"day": day, **more}], "reason": "agreed"}
    answer = lab.caller.post(f"/v1/courses/{drafted}/schedule", said)
    assert answer.status_code == 200, answer.json
    (session,) = lab.caller.get(f"/v1/courses/{drafted}/sessions").json["items"]
    assert session["scheduled_minutes"] == minutes


def drafted_course(lab: Lab) -> str:
    body = {"title": "At night", "body": "SA", "code": "CSPO", "format": "in_person"}
    return str(lab.caller.post("/v1/courses", body).json["id"])


# What a spreadsheet would take for a formula.


@pytest.mark.parametrize(
    "route",
    TABLES,
    ids=lambda route: route.path,
)
def test_no_cell_of_a_table_begins_like_a_formula(lab: Lab, route: Route) -> None:
    said = set()
    for course in (lab.known["course"], str(lab.upcoming)):
        answer = lab.caller.get(lab.address(route, course=course), headers={"Accept": "text/csv"})
        assert (answer.status_code, answer.mimetype) == (200, "text/csv")
        assert answer.headers["Content-Disposition"].startswith("attachment")
        table = list(csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
        assert {len(row) for row in table} == {len(table[0])}
        for row in table:
            for cell in row:
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
                said.add(cell)
    if route.path in WITH_NAMES:
        assert {f"'{each}" for each in lab.formulas[::2]} <= said


WITH_NAMES = {
    "/v1/people",
    "/v1/courses/{course}/enrolments",
    "/v1/courses/{course}/roster",
    "/v1/courses/{course}/completion",
    "/v1/courses/{course}/submission",
    "/v1/courses/{course}/certificates",
}
"""Tables in which people stand by name."""


def test_the_tables_with_names_are_there() -> None:
    assert {route.path for route in TABLES} >= WITH_NAMES
