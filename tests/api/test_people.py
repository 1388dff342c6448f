"""People over HTTP."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from provider.office import Office
from tests.conftest import Caller


@pytest.fixture
def grace(person: Callable[..., UUID]) -> UUID:
    return person("Grace", "Hopper", "Grace@Example.org", phone="+41 44 123 45 67")


def test_somebody_becomes_known_and_is_found_at_the_location(registrar_caller: Caller) -> None:
    said = {"given": "Ada", "family": "Lovelace", "email": "ada@example.org", "phone": "1"}
    answer = registrar_caller.post("/v1/people", said)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/people/{answer.json['id']}"
    assert int(answer.headers["X-Position"]) == answer.json["position"]
    found = registrar_caller.get(answer.headers["Location"])
    assert found.headers["ETag"] == answer.headers["ETag"] == '"2"'
    assert {name: found.json[name] for name in said} == said
    assert found.json["source"] == "registrar"


def test_names_of_any_script_are_kept_as_they_are(registrar_caller: Caller) -> None:
    for given, family in (("محمد", "صلاح"), ("李", "小龍"), ("Zoë", "O’Hara-Łuczak"), ("Sukarno", None), (None, "🜁")):
        answer = registrar_caller.post("/v1/people", {"given": given, "family": family})
        found = registrar_caller.get(answer.headers["Location"]).json
        assert (found["given"], found["family"]) == (given, family)


def test_the_same_key_registers_once_and_with_another_body_not_at_all(registrar_caller: Caller, office: Office) -> None:
    first = registrar_caller.post("/v1/people", {"given": "Ann"}, key="a-key-of-mine")
    before = office.log.position()
    again = registrar_caller.post("/v1/people", {"given": "Ann"}, key="a-key-of-mine")
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    other = registrar_caller.post("/v1/people", {"given": "Bob"}, key="a-key-of-mine")
    assert (other.status_code, other.json["code"]) == (422, "key_reused")
    assert office.log.position() == before


def test_a_key_is_needed_and_has_a_length(registrar_caller: Caller) -> None:
    assert registrar_caller.post("/v1/people", {"given": "Ann"}, key=None).json["code"] == "key_required"
    for key in ("short", "x" * 256):
        assert registrar_caller.post("/v1/people", {"given": "Ann"}, key=key).status_code == 400


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"given": "A" * 201}, "#/given"),
        ({"given": "A" * 10_000}, "#/given"),
        ({"given": ""}, "#/given"),
        ({"given": "   "}, "#/given"),
        ({"given": "Eve\u202eadA"}, "#/given"),
        ({"given": "Eve\u0000"}, "#/given"),
        ({"given": "Eve\nAdams"}, "#/given"),
        ({"given": 7}, "#/given"),
        ({"given": ["Eve"]}, "#/given"),
        ({"given": {"first": "Eve"}}, "#/given"),
        ({"family": "\u2028"}, "#/family"),
        ({"given": "Eve", "email": "nobody"}, "#/email"),
        ({"given": "Eve", "email": "a b@example.org"}, "#/email"),
        ({"given": "Eve", "email": "a@b@example.org"}, "#/email"),
        ({"given": "Eve", "email": "a@" + "b" * 260}, "#/email"),
        ({"given": "Eve", "phone": "1" * 61}, "#/phone"),
        ({"given": "Eve", "admin": True}, "#/admin"),
        ({"given": "Eve", "person": str(uuid4())}, "#/person"),
        ({"given": "Eve", "source": "me"}, "#/source"),
        ({"given": "Eve", "at": "2026-05-04"}, "#/at"),
        ({"given": "Eve", "at": "2026-05-04T07:00:00"}, "#/at"),
        ({"given": "Eve", "at": "9999-12-31T23:59:59Z"}, "#/at"),
        ({"email": "eve@example.org"}, "#/given"),
        ({}, "#/given"),
    ],
)
def test_what_is_wrong_is_pointed_at_and_nothing_is_recorded(
    registrar_caller: Caller, office: Office, said: dict[str, Any], pointer: str
) -> None:
    before = office.log.position()
    answer = registrar_caller.post("/v1/people", said)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert [each["pointer"] for each in answer.json["errors"]] == [pointer]
    assert office.log.position() == before


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"given": "Eve', b"[]", b'"Eve"', b"null", b"\xff", b'{"given": "\\ud800"}', b"[" * 100_000]
)
def test_a_body_that_cannot_be_read_is_refused(registrar_caller: Caller, office: Office, body: bytes) -> None:
    before = office.log.position()
    answer = registrar_caller.client.post(
        "/v1/people",
        data=body,
        headers={
            "Authorization": f"Bearer {registrar_caller.token}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid4().hex,
        },
    )
    assert answer.status_code in (400, 422)
    assert answer.mimetype == "application/problem+json"
    assert office.log.position() == before


def test_a_body_in_another_form_is_refused(registrar_caller: Caller) -> None:
    answer = registrar_caller.client.post(
        "/v1/people", data="given=Eve", headers={"Authorization": f"Bearer {registrar_caller.token}"}
    )
    assert answer.status_code == 415


def test_unknown_people_are_not_there(registrar_caller: Caller, office: Office) -> None:
    for path in (f"/v1/people/{uuid4()}", f"/v1/people/{office.institution}", "/v1/people/1", "/v1/people/SEARCH"):
        assert registrar_caller.get(path).status_code == 404
    answer = registrar_caller.post(f"/v1/people/{uuid4()}/contact", {"email": "a@example.org"})
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    answer = registrar_caller.post(f"/v1/people/{office.institution}/contact", {"email": "a@example.org"})
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("stage", [None], ids=["unstaffed"])
def test_people_page_in_the_order_in_which_they_became_known(
    registrar_caller: Caller, person: Callable[..., UUID]
) -> None:
    for n in range(5):
        person(f"Given {n}", "=cmd()")
    path = "/v1/people?limit=3"
    rows: list[dict[str, Any]] = []
    while path:
        answer = registrar_caller.get(path)
        rows += answer.json
        link = answer.headers.get("Link")
        path = link[1 : link.index(">")] if link else ""
        # Whoever comes while somebody turns the pages is not on them.
        person("Late", None)
    assert [each["given"] for each in rows] == ["Ada", "Rita", *(f"Given {n}" for n in range(5))]


def test_the_list_is_a_table_too_and_a_name_is_no_formula(
    registrar_caller: Caller, person: Callable[..., UUID]
) -> None:
    person("=cmd|' /C calc'!A0", "@SUM(1)")
    answer = registrar_caller.get("/v1/people", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"))))
    assert (rows[-1]["given"], rows[-1]["family"]) == ("'=cmd|' /C calc'!A0", "'@SUM(1)")


def test_no_personal_value_is_taken_from_an_address(registrar_caller: Caller) -> None:
    assert registrar_caller.get("/v1/people?email=grace@example.org").status_code == 422
    assert registrar_caller.get("/v1/people?name=Grace").status_code == 422


@pytest.mark.parametrize(
    "said",
    [
        {"email": "grace@example.org"},
        {"email": "GRACE@EXAMPLE.ORG"},
        {"email": "old@example.org"},
        {"name": "grace"},
        {"name": "hopper GRA"},
        {"name": "HOPPER", "email": "grace@example.org"},
    ],
)
def test_somebody_is_found_by_name_or_mail_in_any_case(
    registrar_caller: Caller, grace: UUID, person: Callable[..., UUID], said: dict[str, str]
) -> None:
    person("Igrace", "Chopper", "not-grace@example.org")
    registrar_caller.post(
        f"/v1/people/{grace}/body-email", {"body": "SA", "email": "old@example.org", "source": "registrar"}
    )
    answer = registrar_caller.post("/v1/people/search", said)
    assert answer.status_code == 200
    assert ([each["person"] for each in answer.json["items"]], answer.json["more"]) == ([str(grace)], False)


@pytest.mark.parametrize("said", [{"email": "grace@example"}, {"name": "Grace Kelly"}, {"name": "race"}])
def test_nobody_else_is_found(registrar_caller: Caller, grace: UUID, said: dict[str, str]) -> None:
    assert registrar_caller.post("/v1/people/search", said).json == {"items": [], "more": False}


def test_a_name_is_found_however_its_accents_are_put_together(
    registrar_caller: Caller, person: Callable[..., UUID]
) -> None:
    who = person("Zoe\u0308", "STRASSE")
    for name in ("Zo\u00eb", "zoe\u0308", "straße"):
        found = registrar_caller.post("/v1/people/search", {"name": name}).json["items"]
        assert [each["person"] for each in found] == [str(who)]


def test_a_search_records_nothing_and_needs_no_key(registrar_caller: Caller, office: Office, grace: UUID) -> None:
    before = office.log.position()
    answer = registrar_caller.post("/v1/people/search", {"name": "Grace"}, key=None, version=None)
    assert (answer.status_code, len(answer.json["items"])) == (200, 1)
    assert office.log.position() == before
    assert registrar_caller.post("/v1/people/search", {}).status_code == 422
    assert registrar_caller.post("/v1/people/search", {"phone": "1"}).status_code == 422


def test_an_auditor_may_search(auditor_caller: Caller, grace: UUID) -> None:
    assert len(auditor_caller.post("/v1/people/search", {"name": "Grace"}).json["items"]) == 1


def test_a_search_goes_through_everybody_and_shows_a_hundred(
    registrar_caller: Caller, person: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.rest import people

    monkeypatch.setattr(people, "AT_ONCE", 5)
    monkeypatch.setattr(people, "MOST_FOUND", 10)
    for n in range(12):
        person(f"Same {n}", "Person")
    answer = registrar_caller.post("/v1/people/search", {"name": "person"}).json
    assert ([each["given"] for each in answer["items"]], answer["more"]) == ([f"Same {n}" for n in range(10)], True)
    answer = registrar_caller.post("/v1/people/search", {"name": "11 person"}).json
    assert ([each["given"] for each in answer["items"]], answer["more"]) == (["Same 11"], False)


def test_a_name_is_corrected_and_the_old_view_keeps_the_old_one(registrar_caller: Caller, grace: UUID) -> None:
    before = registrar_caller.get(f"/v1/people/{grace}").headers["X-Position"]
    said = {"given": "Grace Brewster", "family": "Hopper", "reason": "typo", "note": "She wrote:\nit is Brewster."}
    answer = registrar_caller.post(f"/v1/people/{grace}/name-corrections", said, version=2)
    assert (answer.status_code, answer.json["version"]) == (200, 3)
    now = registrar_caller.get(f"/v1/people/{grace}").json
    then = registrar_caller.get(f"/v1/people/{grace}?as_of={before}").json
    assert (now["given"], now["names_version"]) == ("Grace Brewster", 3)
    assert (then["given"], then["names_version"], then["version"]) == ("Grace", 1, 2)
    again = registrar_caller.post(f"/v1/people/{grace}/name-corrections", said)
    assert (again.status_code, again.json["code"]) == (409, "nothing_changed")


def test_a_name_changes_with_evidence_and_replaces_all(registrar_caller: Caller, grace: UUID) -> None:
    said = {"certificate_name": "Grace Hopper", "reason": "marriage", "evidence": "File 17"}
    assert registrar_caller.post(f"/v1/people/{grace}/name-changes", said, version=2).status_code == 200
    now = registrar_caller.get(f"/v1/people/{grace}").json
    assert (now["given"], now["family"], now["certificate_name"]) == (None, None, "Grace Hopper")
    nobody = registrar_caller.post(f"/v1/people/{grace}/name-changes", {"reason": "other"})
    assert (nobody.status_code, nobody.json["code"]) == (422, "person_unnamed")
    silent = registrar_caller.post(f"/v1/people/{grace}/name-changes", {"given": "Eve"})
    assert (silent.status_code, silent.json["errors"][0]["pointer"]) == (422, "#/reason")


def test_names_are_confirmed_as_they_were_read(registrar_caller: Caller, grace: UUID, registrar: UUID) -> None:
    said = {"confirmed_by": "person", "names_version": 1}
    assert registrar_caller.post(f"/v1/people/{grace}/names-confirmed", said, version=2).status_code == 200
    shown = registrar_caller.get(f"/v1/people/{grace}").json["names_confirmed"]
    assert shown == [{"by": "person", "at": "2026-05-04T06:00:00.000000Z", "recorded_by": str(registrar)}]
    twice = registrar_caller.post(f"/v1/people/{grace}/names-confirmed", said)
    assert (twice.status_code, twice.json["code"]) == (409, "nothing_changed")
    other = registrar_caller.post(f"/v1/people/{grace}/names-confirmed", {**said, "names_version": 2})
    assert (other.status_code, other.json["code"]) == (409, "names_moved")
    wrong = registrar_caller.post(f"/v1/people/{grace}/names-confirmed", {**said, "confirmed_by": "mother"})
    assert wrong.status_code == 422


def test_contact_and_the_bodys_email_are_two_things(registrar_caller: Caller, grace: UUID) -> None:
    said = {"body": "SA", "email": "Grace@Example.org", "source": "person"}
    assert registrar_caller.post(f"/v1/people/{grace}/body-email", said, version=2).status_code == 200
    assert (
        registrar_caller.post(f"/v1/people/{grace}/contact", {"email": "new@example.org"}, version=3).status_code == 200
    )
    now = registrar_caller.get(f"/v1/people/{grace}").json
    assert (now["email"], now["phone"], now["body_emails"]) == ("new@example.org", None, [said])
    unknown = registrar_caller.post(f"/v1/people/{grace}/body-email", {**said, "body": "ACME"})
    assert (unknown.status_code, unknown.json["errors"][0]["pointer"]) == (422, "#/body")


def test_a_command_needs_the_version_seen(registrar_caller: Caller, grace: UUID) -> None:
    path, said = f"/v1/people/{grace}/contact", {"email": "new@example.org"}
    assert registrar_caller.post(path, said, version=None).status_code == 428
    stale = registrar_caller.post(path, said, version=1)
    assert (stale.status_code, stale.headers["ETag"]) == (412, '"2"')
    assert registrar_caller.post(path, said, version=2).status_code == 200


def test_what_was_erased_reads_so_and_what_was_never_said_is_null(
    registrar_caller: Caller, office: Office, grace: UUID
) -> None:
    registrar_caller.post(
        f"/v1/people/{grace}/body-email", {"body": "SA", "email": "old@example.org", "source": "person"}
    )
    office.keys.forget(grace)
    shown = registrar_caller.get(f"/v1/people/{grace}").json
    assert (shown["given"], shown["email"], shown["latin_given"]) == ("(erased)", "(erased)", None)
    assert shown["body_emails"] == [{"body": "SA", "email": "(erased)", "source": "person"}]
    assert registrar_caller.post("/v1/people/search", {"name": "Hopper"}).json["items"] == []
    assert registrar_caller.post("/v1/people/search", {"name": "erased"}).json["items"] == []


def test_a_list_that_has_not_changed_is_not_sent_again_until_somebody_is_erased(
    registrar_caller: Caller, office: Office, grace: UUID
) -> None:
    tag = registrar_caller.get("/v1/people").headers["ETag"]
    assert registrar_caller.get("/v1/people", headers={"If-None-Match": tag}).status_code == 304
    office.keys.forget(grace)
    assert registrar_caller.get("/v1/people", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("name", ["\u200b", "\u3164", "\u2800 \u200d", "a\U000e0041"])
def test_a_name_of_which_nothing_is_to_be_seen_is_refused(registrar_caller: Caller, name: str) -> None:
    answer = registrar_caller.post("/v1/people", {"given": name})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "#/given")


def test_a_reason_in_words_is_told_to_be_a_note(registrar_caller: Caller, grace: UUID) -> None:
    answer = registrar_caller.post(f"/v1/people/{grace}/name-corrections", {"given": "G", "reason": "a typing error"})
    assert answer.status_code == 422
    assert "the note" in answer.json["errors"][0]["detail"]
