"""Discrepancies over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from domain.institution import Act as Signed
from provider.commands import certificates
from provider.office import Office
from provider.work import Act
from tests.conftest import Caller, Clock
from tests.graduates import ADA, BOB, Graduates, graduated
from tests.stage import Stage

Acting = Callable[..., Act]
FIRST = "/v1/certificates/2026-000001"


@pytest.fixture
def stage() -> Stage[Graduates]:
    """Ada and Bob have completed their course."""
    return graduated(ADA, BOB)


@pytest.fixture
def graduates(office: Office, act: Acting, clock: Clock, stage: Stage[Graduates]) -> Graduates:
    """Ada has certificate 1, Bob 2."""
    found = stage.played.at(office, act, clock)
    certificates.issue(office, act(), course=found.course)
    return found


@pytest.fixture
def lead_caller(caller: Callable[[str | None], Caller], graduates: Graduates, token_of: Callable[..., str]) -> Caller:
    return caller(token_of(graduates.lead, Role.TRAINER))


def numbers(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json
    return [item["number"] for item in answer.json]


def test_a_line_is_shown_with_its_submission_and_learner(
    auditor_caller: Caller, graduates: Graduates, admin: UUID
) -> None:
    graduates.room.solo(*Signed)
    graduates.draft()
    graduates.send(admin)
    graduates.rename("Bob", "Robert", "Ross")
    line = next(each for each in auditor_caller.get("/v1/discrepancies").json if each["kind"] == "line")
    assert (line["document"], line["line"], line["number"]) == (str(graduates.submission), 2, None)
    assert (line["given"], line["family"], line["aspect"]) == ("Robert", "Ross", "names")
    assert "line 2 rests on what was on record before" in line["sentence"]


def test_they_are_filtered_paged_and_as_of(
    registrar_caller: Caller, auditor_caller: Caller, graduates: Graduates, office: Office
) -> None:
    before = office.log.position()
    graduates.rename("Ada", "Augusta", "Lovelace")
    graduates.rename("Bob", "Robert", "Ross")
    then = office.log.position()
    registrar_caller.post(f"{FIRST}/supersede", {"reason": "name"})
    listed = auditor_caller.get("/v1/discrepancies").json
    assert [(each["number"], each["state"]) for each in listed] == [
        ("2026-000001", "closed"),
        ("2026-000002", "open"),
    ]
    assert numbers(auditor_caller.get("/v1/discrepancies?state=open")) == ["2026-000002"]
    assert numbers(auditor_caller.get(f"/v1/discrepancies?course={graduates.course}&state=closed")) == ["2026-000001"]
    assert auditor_caller.get(f"/v1/discrepancies?course={uuid4()}").json == []
    assert auditor_caller.get(f"/v1/discrepancies?as_of={before}").json == []
    assert [each["state"] for each in auditor_caller.get(f"/v1/discrepancies?as_of={then}").json] == ["open", "open"]
    page = auditor_caller.get("/v1/discrepancies?limit=1")
    following = page.headers["Link"].partition(">")[0].lstrip("<")
    assert numbers(page) + numbers(auditor_caller.get(following)) == ["2026-000001", "2026-000002"]
    table = auditor_caller.get("/v1/discrepancies", headers={"Accept": "text/csv"}).get_data(as_text=True)
    assert table.count("\r\n") == 3


def test_they_are_the_office_s_to_see(lead_caller: Caller, admin_caller: Caller, auditor_caller: Caller) -> None:
    for who in (lead_caller, admin_caller):
        assert who.get("/v1/discrepancies").status_code == 403
    assert auditor_caller.get(f"/v1/discrepancies/{uuid4()}").status_code == 404
    assert auditor_caller.get("/v1/discrepancies?state=lost").status_code == 422


def test_an_open_discrepancy_stands_against_closing_a_course(
    registrar_caller: Caller, graduates: Graduates, clock: Clock
) -> None:
    graduates.room.solo(*Signed)
    graduates.rename("Ada", "Augusta", "Lovelace")
    clock.move(days=1)
    course = f"/v1/courses/{graduates.course}"
    for session in range(1, 5):
        assert registrar_caller.post(f"{course}/sessions/{session}/held").status_code == 200
    assert registrar_caller.post(f"{course}/deliver").status_code == 200
    answer = registrar_caller.post(f"{course}/close")
    assert answer.status_code == 409
    assert "discrepancies_open" in answer.json["detail"]
