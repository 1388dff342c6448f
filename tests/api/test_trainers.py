"""Trainers over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Caller

LEAD = {"body": "SA", "code": "CSPO", "role": "lead", "valid_from": "2026-01-01", "evidence": "Letter of 2025-12-01"}


@pytest.fixture
def tina(registrar_caller: Caller, person: Callable[..., UUID]) -> UUID:
    who = person("Tina", "Trainer", "tina@academy.example")
    answer = registrar_caller.post("/v1/trainers", {"person": str(who)})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/trainers/{who}"
    return who


def test_a_trainer_is_shown_by_person_with_authorisations(registrar_caller: Caller, tina: UUID) -> None:
    answer = registrar_caller.post(f"/v1/trainers/{tina}/authorisations", LEAD, version=1)
    assert (answer.status_code, answer.json["ids"]) == (200, ["1"])
    shown = registrar_caller.get(f"/v1/trainers/{tina}")
    assert shown.headers["ETag"] == '"2"'
    assert shown.json == {
        "person": str(tina),
        "given": "Tina",
        "family": "Trainer",
        "authorisations": [{**LEAD, "number": 1, "valid_until": None, "ended": None}],
        "version": 2,
    }
    assert registrar_caller.get("/v1/trainers").json == [shown.json]


def test_nobody_becomes_a_trainer_twice_or_without_being_known(registrar_caller: Caller, tina: UUID) -> None:
    again = registrar_caller.post("/v1/trainers", {"person": str(tina)})
    assert (again.status_code, again.json["code"]) == (409, "already_trainer")
    unknown = registrar_caller.post("/v1/trainers", {"person": str(uuid4())})
    assert (unknown.status_code, unknown.json["code"]) == (404, "not_found")


def test_an_authorisation_ends(registrar_caller: Caller, tina: UUID) -> None:
    registrar_caller.post(f"/v1/trainers/{tina}/authorisations", LEAD)
    path = f"/v1/trainers/{tina}/authorisations/1/end"
    answer = registrar_caller.post(path, {"on": "2026-06-01", "reason": "left"}, version=2)
    assert (answer.status_code, answer.json["outcome"], answer.json["ids"]) == (200, None, [])
    assert registrar_caller.get(f"/v1/trainers/{tina}").json["authorisations"][0]["ended"] == "2026-06-01"
    for number, said, status in (
        (1, {"on": "2026-07-01", "reason": "left"}, 409),
        (1, {"on": "2025-07-01", "reason": "left"}, 422),
        (1, {"on": "2026-07-01"}, 422),
        (2, {"on": "2026-07-01", "reason": "left"}, 409),
        (10**30, {"on": "2026-07-01", "reason": "left"}, 409),
    ):
        answer = registrar_caller.post(f"/v1/trainers/{tina}/authorisations/{number}/end", said)
        assert answer.status_code == status, (number, said)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"body": "ACME"}, "#/body"),
        ({"role": "assistant"}, "#/role"),
        ({"valid_from": "2026-02-30"}, "#/valid_from"),
        ({"valid_until": "2025-12-31"}, "#/valid_until"),
        ({"evidence": ""}, "#/evidence"),
        ({"code": "C S P O"}, "#/code"),
    ],
)
def test_a_wrong_authorisation_is_pointed_at(
    registrar_caller: Caller, tina: UUID, change: dict[str, Any], pointer: str
) -> None:
    answer = registrar_caller.post(f"/v1/trainers/{tina}/authorisations", {**LEAD, **change})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_who_is_no_trainer_is_not_there(registrar_caller: Caller, registrar: UUID) -> None:
    assert registrar_caller.get(f"/v1/trainers/{registrar}").status_code == 404
    assert registrar_caller.post(f"/v1/trainers/{registrar}/authorisations", LEAD).status_code == 404


def test_an_earlier_moment_shows_what_held_then(registrar_caller: Caller, tina: UUID) -> None:
    before = registrar_caller.get(f"/v1/trainers/{tina}").headers["X-Position"]
    registrar_caller.post(f"/v1/trainers/{tina}/authorisations", LEAD)
    then = registrar_caller.get(f"/v1/trainers/{tina}?as_of={before}")
    assert (then.json["authorisations"], then.headers["ETag"]) == ([], '"1"')
    assert registrar_caller.get(f"/v1/trainers/{tina}?as_of=1").status_code == 404
    assert registrar_caller.get("/v1/trainers?as_of=1").json == []


def test_a_stale_version_is_refused(registrar_caller: Caller, tina: UUID) -> None:
    assert registrar_caller.post(f"/v1/trainers/{tina}/authorisations", LEAD, version=7).status_code == 412
    assert registrar_caller.post(f"/v1/trainers/{tina}/authorisations", LEAD, version=None).status_code == 428
