"""Certificates over HTTP."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from provider.office import Office
from provider.work import Act
from tests.conftest import Caller, Clock
from tests.graduates import ADA, BOB, CY, Graduates, graduated
from tests.stage import Stage

Acting = Callable[..., Act]
FIRST = "/v1/certificates/2026-000001"


@pytest.fixture
def stage() -> Stage[Graduates]:
    """Ada and Bob completed their course; Cy missed its first session, and did not."""
    return graduated(ADA, BOB, CY, absent=("Cy",))


@pytest.fixture
def graduates(office: Office, act: Acting, clock: Clock, stage: Stage[Graduates]) -> Graduates:
    return stage.played.at(office, act, clock)


@pytest.fixture
def path(graduates: Graduates) -> str:
    return f"/v1/courses/{graduates.course}/certificates"


@pytest.fixture
def issued(registrar_caller: Caller, path: str) -> str:
    """Issue both certificates, and return the path of the course's list."""
    assert registrar_caller.post(f"{path}/issue", version=None).status_code == 201
    return path


@pytest.fixture
def lead_caller(caller: Callable[[str | None], Caller], graduates: Graduates, token_of: Callable[..., str]) -> Caller:
    return caller(token_of(graduates.lead, Role.TRAINER))


@pytest.fixture
def other_caller(caller: Callable[[str | None], Caller], graduates: Graduates, token_of: Callable[..., str]) -> Caller:
    """A trainer of no course."""
    return caller(token_of(graduates.room.academy.trainer("Otto"), Role.TRAINER))


def numbers(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json
    return [item["number"] for item in answer.json]


# Issuing


def test_a_class_is_issued_at_once(registrar_caller: Caller, path: str, graduates: Graduates) -> None:
    answer = registrar_caller.post(f"{path}/issue", version=None)
    assert (answer.status_code, answer.json["ids"]) == (201, ["2026-000001", "2026-000002"])
    assert answer.headers["Location"] == FIRST
    shown = registrar_caller.get(FIRST)
    assert shown.status_code == 200
    assert shown.headers["ETag"] == '"1"'
    said = shown.json
    assert (said["certificate_name"], said["trainer_name"]) == ("Ada Lovelace", "Lea Trainer")
    assert (said["state"], said["contact_minutes"], said["person"]) == ("issued", 840, str(graduates.person("Ada")))
    assert (said["open_discrepancies"], said["discrepancies"]) == (0, [])
    assert {each["aspect"] for each in said["rests_on"]} >= {"decision", "names", "register", "schedule"}
    assert len(said["verification_code"]) == 24


def test_some_are_issued_by_name(registrar_caller: Caller, path: str, graduates: Graduates) -> None:
    answer = registrar_caller.post(f"{path}/issue", {"enrolments": [str(graduates.enrolment("Bob"))]}, version=None)
    assert answer.json["ids"] == ["2026-000001"]
    assert registrar_caller.get(FIRST).json["certificate_name"] == "Bob Ross"


def test_the_same_key_twice_is_one_issue_and_another_body_under_it_is_refused(
    registrar_caller: Caller, path: str, office: Office, graduates: Graduates
) -> None:
    first = registrar_caller.post(f"{path}/issue", version=None, key="issue-all-1")
    end = office.log.position()
    again = registrar_caller.post(f"{path}/issue", version=None, key="issue-all-1")
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    body = {"enrolments": [str(graduates.enrolment("Ada"))]}
    other = registrar_caller.post(f"{path}/issue", body, version=None, key="issue-all-1")
    assert (other.status_code, other.json["code"]) == (422, "key_reused")
    assert office.log.position() == end


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"enrolments": "all"}, 422, "invalidated"),
        ({"enrolments": []}, 422, "invalidated"),
        ({"enrolments": ["Ada"]}, 422, "invalidated"),
        ({"enrolments": [str(UUID(int=5))] * 501}, 422, "invalidated"),
        ({"enrolments": [str(UUID(int=5))]}, 422, "not_of_this_course"),
        ({"enrolment": str(UUID(int=5))}, 422, "invalidated"),
        ([], 422, "invalidated"),
    ],
)
def test_what_can_t_be_issued_is_refused_with_its_reason(
    registrar_caller: Caller, path: str, office: Office, body: Any, status: int, code: str
) -> None:
    before = office.log.position()
    answer = registrar_caller.client.post(
        f"{path}/issue",
        json=body,
        headers={"Authorization": f"Bearer {registrar_caller.token}", "Idempotency-Key": uuid4().hex},
    )
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert office.log.position() == before


def test_state_speaks_against_it_by_name(registrar_caller: Caller, issued: str, graduates: Graduates) -> None:
    nobody = registrar_caller.post(f"{issued}/issue", version=None)
    assert (nobody.status_code, nobody.json["code"]) == (409, "nobody_to_certify")
    for name, code in (("Ada", "already_certified"), ("Cy", "not_completed")):
        answer = registrar_caller.post(
            f"{issued}/issue", {"enrolments": [str(graduates.enrolment(name))]}, version=None
        )
        assert (answer.status_code, answer.json["code"]) == (409, code)


def test_without_a_key_nothing_is_issued(registrar_caller: Caller, path: str) -> None:
    answer = registrar_caller.post(f"{path}/issue", version=None, key=None)
    assert (answer.status_code, answer.json["code"]) == (400, "key_required")


def test_who_may_not_issue_does_not(
    auditor_caller: Caller, lead_caller: Caller, admin_caller: Caller, path: str, office: Office
) -> None:
    before = office.log.position()
    for who in (auditor_caller, lead_caller, admin_caller):
        assert who.post(f"{path}/issue", version=None).status_code == 403
        for verb in ("supersede", "request-revocation", "revoke", "reject-revocation", "discrepancies/resolve"):
            assert who.post(f"{FIRST}/{verb}", {"reason": "layout"}).status_code == 403
    assert office.log.position() == before


# Looking


def test_the_register_is_paged_filtered_and_as_of(
    registrar_caller: Caller, auditor_caller: Caller, issued: str, office: Office
) -> None:
    then = office.log.position()
    assert registrar_caller.post(f"{FIRST}/supersede", {"reason": "layout"}).status_code == 200
    assert numbers(auditor_caller.get("/v1/certificates")) == ["2026-000001", "2026-000002", "2026-000003"]
    assert numbers(auditor_caller.get("/v1/certificates?state=superseded")) == ["2026-000001"]
    assert numbers(auditor_caller.get("/v1/certificates?year=2025")) == []
    assert numbers(auditor_caller.get(f"{issued}?state=issued")) == ["2026-000002", "2026-000003"]
    assert numbers(auditor_caller.get(f"/v1/certificates?as_of={then}")) == ["2026-000001", "2026-000002"]
    page = auditor_caller.get("/v1/certificates?limit=2")
    assert numbers(page) == ["2026-000001", "2026-000002"]
    following = page.headers["Link"].partition(">")[0].lstrip("<")
    assert numbers(auditor_caller.get(following)) == ["2026-000003"]
    shown = auditor_caller.get("/v1/certificates").json[0]
    assert (shown["state"], shown["replaced_by"], shown["ended_reason"]) == ("superseded", "2026-000003", "layout")
    assert not {"verification_code", "rests_on", "ended_note"} & set(shown)
    before = auditor_caller.get(f"{FIRST}?as_of={then}")
    assert (before.json["state"], before.headers["ETag"]) == ("issued", '"1"')


@pytest.mark.parametrize("query", ["year=1", "year=x", "state=lost", "limit=0", "course=1", "as_of=x"])
def test_what_can_t_be_asked_is_refused(auditor_caller: Caller, issued: str, query: str) -> None:
    assert auditor_caller.get(f"/v1/certificates?{query}").status_code in (400, 422)


def test_the_register_can_be_had_as_a_table(auditor_caller: Caller, issued: str, graduates: Graduates) -> None:
    answer = auditor_caller.get("/v1/certificates", headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    ada, bob = csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff")))
    assert (ada["number"], ada["certificate_name"], ada["contact_minutes"]) == ("2026-000001", "Ada Lovelace", "840")
    assert (bob["number"], bob["state"], bob["replaces"]) == ("2026-000002", "issued", "")


def test_a_formula_in_a_name_does_nothing_in_a_table(registrar_caller: Caller, path: str, graduates: Graduates) -> None:
    graduates.rename("Ada", "=1+1", "Lovelace")
    registrar_caller.post(f"{path}/issue", version=None)
    answer = registrar_caller.get("/v1/certificates", headers={"Accept": "text/csv"})
    assert "'=1+1 Lovelace" in answer.get_data(as_text=True)


def test_numbers_have_no_gaps(auditor_caller: Caller, other_caller: Caller, issued: str) -> None:
    answer = auditor_caller.get("/v1/certificates/numbering")
    assert answer.json == {
        "items": [{"year": 2026, "last_serial": 2, "issued": 2, "superseded": 0, "revoked": 0, "gaps": []}]
    }
    assert other_caller.get("/v1/certificates/numbering").status_code == 404


def test_a_trainer_sees_the_certificates_of_their_own_courses(
    lead_caller: Caller, other_caller: Caller, issued: str
) -> None:
    assert numbers(lead_caller.get("/v1/certificates")) == numbers(lead_caller.get(issued))
    assert lead_caller.get(FIRST).json["certificate_name"] == "Ada Lovelace"
    assert numbers(other_caller.get("/v1/certificates")) == []
    elsewhere = [other_caller.get(each) for each in (issued, FIRST, "/v1/certificates/2026-000009")]
    assert [each.status_code for each in elsewhere] == [404, 404, 404]
    assert len({each.json["detail"] for each in elsewhere}) == 1


def test_what_does_not_exist_is_not_found(registrar_caller: Caller, issued: str) -> None:
    for path in (
        "/v1/certificates/2026-000009",
        "/v1/certificates/AAZ-2026-000001",
        f"/v1/courses/{uuid4()}/certificates",
    ):
        assert registrar_caller.get(path).status_code == 404
    for verb in ("supersede", "request-revocation", "reject-revocation", "revoke"):
        body = {"reason": "layout"}
        assert registrar_caller.post(f"/v1/certificates/AAZ-2026-000001/{verb}", body).status_code == 404
    assert registrar_caller.post(f"/v1/courses/{uuid4()}/certificates/issue", version=None).status_code == 404


def test_an_erased_name_is_shown_as_erased(
    registrar_caller: Caller, issued: str, office: Office, graduates: Graduates
) -> None:
    office.keys.forget(graduates.person("Ada"))
    assert registrar_caller.get(FIRST).json["certificate_name"] == "(erased)"
    assert registrar_caller.get(issued).json[1]["certificate_name"] == "Bob Ross"


# Replacing and revoking


def test_a_certificate_is_replaced_by_the_version_that_was_seen(
    registrar_caller: Caller, issued: str, graduates: Graduates
) -> None:
    body = {"reason": "name", "note": "By letter of 3 June."}
    graduates.rename("Ada", "Augusta", "Lovelace")
    missing = registrar_caller.post(f"{FIRST}/supersede", body, version=None)
    assert (missing.status_code, missing.json["code"]) == (428, "precondition_required")
    assert registrar_caller.post(f"{FIRST}/supersede", body, version=7).status_code == 412
    assert registrar_caller.post(f"{FIRST}/supersede", {}, version=1).status_code == 422
    answer = registrar_caller.post(f"{FIRST}/supersede", body, version=1)
    assert (answer.status_code, answer.json["ids"], answer.headers["ETag"]) == (200, ["2026-000003"], '"2"')
    new = registrar_caller.get("/v1/certificates/2026-000003").json
    assert (new["certificate_name"], new["replaces"]) == ("Augusta Lovelace", "2026-000001")
    old = registrar_caller.get(FIRST).json
    assert (old["certificate_name"], old["ended_note"]) == ("Ada Lovelace", "By letter of 3 June.")


def test_two_people_revoke(
    registrar_caller: Caller,
    lead_caller: Caller,
    issued: str,
    caller: Callable[[str | None], Caller],
    person: Callable[..., UUID],
    token_of: Callable[..., str],
) -> None:
    unasked = registrar_caller.post(f"{FIRST}/revoke", {"reason": "misconduct"})
    assert (unasked.status_code, unasked.json["code"]) == (409, "revocation_not_requested")
    said = {"reason": "issued_in_error", "note": "She was in another class."}
    assert registrar_caller.post(f"{FIRST}/request-revocation", said, version=1).status_code == 200
    waiting = registrar_caller.get(FIRST).json
    assert (waiting["revocation_requested"], waiting["revocation_note"]) == (True, "She was in another class.")
    assert lead_caller.get(FIRST).json["revocation_note"] is None
    alone = registrar_caller.post(f"{FIRST}/revoke", version=2)
    assert (alone.status_code, alone.json["code"]) == (403, "revocation_needs_another")
    colleague = caller(token_of(person("Rolf", "Registrar"), Role.REGISTRAR))
    assert colleague.post(f"{FIRST}/reject-revocation", {"reason": "right_class"}, version=2).status_code == 200
    assert registrar_caller.post(f"{FIRST}/request-revocation", said, version=3).status_code == 200
    assert colleague.post(f"{FIRST}/revoke", version=4).status_code == 200
    shown = registrar_caller.get(FIRST).json
    assert (shown["state"], shown["ended_reason"], shown["solo"]) == ("revoked", "issued_in_error", False)
    assert shown["revocation_requested"] is False
    again = colleague.post(f"{FIRST}/revoke", {"reason": "misconduct"})
    assert (again.status_code, again.json["code"]) == (409, "certificate_not_live")


# Discrepancies


def test_a_discrepancy_is_seen_where_it_matters_and_resolved(
    registrar_caller: Caller, auditor_caller: Caller, lead_caller: Caller, issued: str, graduates: Graduates
) -> None:
    graduates.rename("Ada", "Augusta", "Lovelace")
    (found,) = auditor_caller.get("/v1/discrepancies").json
    assert (found["kind"], found["number"], found["line"]) == ("certificate", "2026-000001", None)
    assert (found["aspect"], found["state"], found["given"]) == ("names", "open", "Augusta")
    assert (found["rests_on"], found["version"]) == (1, 2)
    assert "Supersede the certificate" in found["sentence"]
    one = auditor_caller.get(f"/v1/discrepancies/{found['discrepancy']}")
    assert one.json == found
    shown = lead_caller.get(FIRST).json
    assert (shown["open_discrepancies"], shown["discrepancies"]) == (1, [found])
    assert [item["open_discrepancies"] for item in auditor_caller.get(issued).json] == [1, 0]
    said = {name: found[name] for name in ("stream", "aspect", "version")}
    said |= {"resolution": "stands", "reason": "same_person", "note": "She keeps the old one."}
    resolve = f"{FIRST}/discrepancies/resolve"
    assert registrar_caller.post(resolve, said, version=None).status_code == 428
    assert registrar_caller.post(resolve, said, version=9).status_code == 412
    further = registrar_caller.post(resolve, {**said, "version": 3}, version=1)
    assert (further.status_code, further.json["code"]) == (409, "moved_further")
    for wrong in ({"version": "2"}, {"aspect": "colour"}, {"stream": "x"}, {"resolution": ""}, {"what": 1}):
        assert registrar_caller.post(resolve, said | wrong, version=1).status_code == 422, wrong
    answer = registrar_caller.post(resolve, said, version=1)
    assert (answer.status_code, answer.json["outcome"], answer.headers["ETag"]) == (200, "stands", '"2"')
    settled = auditor_caller.get(f"/v1/discrepancies/{found['discrepancy']}").json
    assert (settled["state"], settled["ended_note"]) == ("resolved", "She keeps the old one.")
    again = registrar_caller.post(resolve, said)
    assert (again.status_code, again.json["code"]) == (409, "discrepancy_unfounded")
