"""Every route: who may use it, and that nobody else does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.routing import Rule

from api.permissions import OF_A_ROLE, PERMISSIONS, READS
from domain.access import Role
from domain.trainer import Role as OnCourse
from provider.commands import courses, trainers
from provider.office import Office
from provider.token import new_token
from provider.work import Act
from tests.conftest import Caller

PUBLIC = re.compile(r"/(|openapi\.json|docs(/.*)?|problems(/.*)?|livez|readyz|metrics|static/.*)")
"""What anybody may ask for without a token."""

SEARCHES = {"/v1/people/search"}
"""The POSTs that only look: what they are asked may not stand in an address."""

MADE_UP: dict[str, Callable[[], Any]] = {
    "UUIDConverter": uuid4,
    "IntegerConverter": lambda: 1,
    "UnicodeConverter": lambda: "SA",
    "PathConverter": lambda: "SA",
}


def guarded(app: Flask) -> Iterator[tuple[Rule, Any]]:
    for rule in app.url_map.iter_rules():
        if not PUBLIC.fullmatch(rule.rule):
            yield rule, app.view_functions[rule.endpoint]


def address(app: Flask, rule: Rule) -> str:
    """Return an address of this route, with ids that nothing has."""
    values = {name: MADE_UP[type(converter).__name__]() for name, converter in rule._converters.items()}
    with app.test_request_context():
        built = app.url_map.bind("localhost").build(rule.endpoint, values)
    return str(built)


def of_method(app: Flask, method: str) -> list[tuple[str, str]]:
    """Return an address and its permission for each route of this method."""
    return [(address(app, rule), str(view.permission)) for rule, view in guarded(app) if method in (rule.methods or ())]


@pytest.fixture
def trainer_caller(
    caller: Callable[[str | None], Caller], person: Callable[..., UUID], token_of: Callable[..., str]
) -> Caller:
    return caller(token_of(person("Tina", "Trainer"), Role.TRAINER))


def test_every_route_names_a_permission_that_some_role_has(app: Flask) -> None:
    without = [rule.rule for rule, view in guarded(app) if getattr(view, "permission", None) not in OF_A_ROLE]
    assert without == []


def test_there_are_routes_to_guard(app: Flask) -> None:
    assert len(list(guarded(app))) > 20


def test_what_is_public_asks_for_no_permission(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if PUBLIC.fullmatch(rule.rule):
            assert getattr(app.view_functions[rule.endpoint], "permission", None) is None, rule


def test_what_is_public_answers_without_a_token(app: Flask, caller: Callable[[str | None], Caller]) -> None:
    nobody = caller(None)
    for rule in app.url_map.iter_rules():
        if PUBLIC.fullmatch(rule.rule):
            assert nobody.get(address(app, rule)).status_code in (200, 302, 308, 404), rule


def test_every_view_says_what_it_does_in_one_sentence_first(app: Flask) -> None:
    for rule, view in guarded(app):
        first = (view.__doc__ or "").strip().split("\n")[0]
        assert first.endswith("."), (rule, first)


def test_a_route_that_changes_something_is_a_post_and_no_other_method_is_used(app: Flask) -> None:
    for rule, view in guarded(app):
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        assert methods in ({"GET"}, {"POST"}), rule
        if methods == {"GET"}:
            assert view.permission in READS, rule
        else:
            assert (view.permission in READS) == (rule.rule in SEARCHES), rule


def test_without_a_token_nothing_is_answered(app: Flask, caller: Callable[[str | None], Caller]) -> None:
    nobody = caller(None)
    for path, _ in of_method(app, "GET"):
        answer = nobody.get(path)
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in"), path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    for path, _ in of_method(app, "POST"):
        answer = nobody.post(path)
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in"), path


@pytest.mark.parametrize("said", ["Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "prv_", "Bearer prv_é"])
def test_nor_with_something_that_is_no_token(app: Flask, said: str) -> None:
    client = app.test_client()
    answer = client.get("/v1/institution", headers={"Authorization": said})
    assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in")


def test_whoever_mistyped_a_token_is_told_so_and_not_that_it_was_revoked(
    caller: Callable[[str | None], Caller],
) -> None:
    token = new_token()
    mistyped = token[:-8] + ("x" if token[-8] != "x" else "y") + token[-7:]
    assert "unknown or was revoked" in caller(token).get("/v1/institution").json["detail"]
    assert "not a token of ours" in caller(mistyped).get("/v1/institution").json["detail"]
    assert "not a token of ours" in caller(token[:-1]).get("/v1/institution").json["detail"]


def test_an_auditor_changes_nothing(app: Flask, auditor_caller: Caller) -> None:
    for path, permission in of_method(app, "POST"):
        if permission not in READS:
            answer = auditor_caller.post(path)
            assert (answer.status_code, answer.json["code"]) == (403, "not_permitted"), path


def test_an_auditor_may_look_everywhere(app: Flask, auditor_caller: Caller) -> None:
    for path, _ in of_method(app, "GET"):
        assert auditor_caller.get(path).status_code not in (401, 403), path


@pytest.mark.parametrize("role", [Role.ADMIN, Role.REGISTRAR, Role.TRAINER])
def test_a_role_is_refused_just_what_it_may_not_do(
    app: Flask,
    role: Role,
    caller: Callable[[str | None], Caller],
    person: Callable[..., UUID],
    token_of: Callable[..., str],
) -> None:
    somebody = caller(token_of(person("Some", "Body"), role))
    for path, permission in of_method(app, "GET"):
        refused = somebody.get(path).status_code == 403
        assert refused == (permission not in PERMISSIONS[role]), (role, path)
    for path, permission in of_method(app, "POST"):
        refused = somebody.post(path).status_code == 403
        assert refused == (permission not in PERMISSIONS[role]), (role, path)


def test_an_administrator_grants_and_does_not_meddle(admin_caller: Caller) -> None:
    assert admin_caller.get("/v1/access").status_code == 200
    assert admin_caller.get("/v1/institution").status_code == 200
    assert admin_caller.get("/v1/people").status_code == 403
    assert admin_caller.post("/v1/people", {"given": "Eve"}).status_code == 403
    assert admin_caller.post("/v1/trainers", {"person": str(uuid4())}).status_code == 403


def test_a_registrar_runs_the_office_and_grants_nothing(registrar_caller: Caller, registrar: UUID) -> None:
    assert registrar_caller.post("/v1/people", {"given": "Eve"}).status_code == 201
    assert registrar_caller.get("/v1/access").status_code == 200
    assert registrar_caller.post(f"/v1/access/{registrar}/grant", {"role": "admin"}).status_code == 403
    answer = registrar_caller.post(f"/v1/access/{registrar}/tokens", {"roles": ["registrar"]})
    assert answer.status_code == 403
    assert registrar_caller.post("/v1/institution/rename", {"name": "Mine"}).status_code == 403


def test_a_trainer_sees_nobodys_address_and_no_history(trainer_caller: Caller, registrar: UUID) -> None:
    assert trainer_caller.get("/v1/people").status_code == 403
    assert trainer_caller.get(f"/v1/people/{registrar}").status_code == 403
    assert trainer_caller.post("/v1/people/search", {"name": "Rita"}).status_code == 403
    assert trainer_caller.get("/v1/access").status_code == 403
    assert trainer_caller.get("/v1/credentials").status_code == 200


def test_what_belongs_to_no_course_of_theirs_is_not_there_for_a_trainer(app: Flask, trainer_caller: Caller) -> None:
    for rule, view in guarded(app):
        if (
            rule.arguments & {"course", "enrolment", "number", "submission"}
            and view.permission in PERMISSIONS[Role.TRAINER]
        ):
            path = address(app, rule)
            answer = trainer_caller.get(path) if "GET" in (rule.methods or ()) else trainer_caller.post(path)
            assert (answer.status_code, answer.json["code"]) == (404, "not_found"), path


def test_a_trainer_reaches_their_own_course_until_they_are_released_and_no_other(
    office: Office,
    act: Callable[..., Act],
    caller: Callable[[str | None], Caller],
    person: Callable[..., UUID],
    token_of: Callable[..., str],
) -> None:
    tina, theo = person("Tina", "Trainer"), person("Theo", "Trainer")
    mine, other = (
        courses.draft(office, act(), title="Product Owner", body="SA", code="CSPO", format="in_person").id
        for _ in range(2)
    )
    for who, course in ((tina, mine), (theo, other)):
        trainers.register(office, act(), person=who)
        courses.assign_trainer(office, act(), course=course, person=who, role=OnCourse.LEAD)
    of_tina = caller(token_of(tina, Role.TRAINER))
    assert of_tina.get(f"/v1/courses/{mine}").status_code == 200
    elsewhere, nowhere = of_tina.get(f"/v1/courses/{other}"), of_tina.get(f"/v1/courses/{uuid4()}")
    assert elsewhere.status_code == nowhere.status_code == 404
    assert elsewhere.json["detail"] == nowhere.json["detail"]
    both = caller(token_of(tina, Role.AUDITOR))
    assert both.get(f"/v1/courses/{other}").status_code == 200
    courses.release_trainer(office, act(), course=mine, person=tina, reason="ill")
    assert of_tina.get(f"/v1/courses/{mine}").status_code == 404


def test_the_refusal_names_who_may(auditor_caller: Caller) -> None:
    answer = auditor_caller.post("/v1/people", {"given": "Eve"})
    assert answer.mimetype == "application/problem+json"
    assert answer.json["type"] == "/problems/not-permitted"
    assert "registrar" in answer.json["detail"]


def test_who_is_refused_learns_nothing_of_what_is_wrong_with_the_request(auditor_caller: Caller) -> None:
    answer = auditor_caller.post("/v1/people", {"nonsense": 1}, key=None)
    assert answer.status_code == 403
