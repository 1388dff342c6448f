"""Attendee files, sent, looked at and confirmed over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from api.document import document
from api.rest.imports import LARGEST, MEDIA
from domain.access import Role
from provider import attendee_file
from provider.commands import courses, enrolments
from provider.office import Office
from tests.academy import Academy, Acting
from tests.conftest import Caller, Clock
from tests.ticket_shop import report, ticket

SAMPLE = Path(attendee_file.__file__).parent / "samples" / "eventbrite-cspo.csv"
ADA, BEA, CLEO = ticket(1, "Ada"), ticket(2, "Bea"), ticket(3, "Cleo")


@pytest.fixture
def academy(office: Office, act: Acting) -> Academy:
    return Academy(office, act)


@pytest.fixture
def lead(academy: Academy) -> UUID:
    return academy.trainer("Lea")


@pytest.fixture
def course(academy: Academy, lead: UUID) -> UUID:
    """A course with two seats."""
    return academy.open(lead, seats=2)


def send(caller: Caller, course: UUID, content: bytes, media: str | None = "text/csv") -> Any:
    """Send a file as the body of the request."""
    headers = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
    return caller.client.post(f"/v1/courses/{course}/imports", data=content, headers=headers, content_type=media)


@pytest.fixture
def look(registrar_caller: Caller, course: UUID) -> Callable[..., Any]:
    """Send a file of these rows, and return the dry run."""

    def stage(*rows: dict[str, str]) -> Any:
        answer = send(registrar_caller, course, report(*rows))
        assert answer.status_code == 201, answer.json
        return answer.json

    return stage


@pytest.fixture
def confirm(registrar_caller: Caller, course: UUID) -> Callable[..., Any]:
    """Confirm a dry run with these answers."""

    def post(looked: Any, answers: dict[str, str] | None = None, **said: Any) -> Any:
        body = {"plan": looked["plan"]} | ({} if answers is None else {"answers": answers})
        said.setdefault("key", None)
        path = f"/v1/courses/{course}/imports/{looked['id']}/confirm"
        return registrar_caller.post(path, body, version=None, **said)

    return post


def the_problem(answer: Any) -> tuple[int, str, list[str]]:
    """Return the status and the code of a problem, and the pointers of its errors."""
    assert answer.mimetype == "application/problem+json", answer.data
    return answer.status_code, answer.json["code"], [each["pointer"] for each in answer.json.get("errors", [])]


@pytest.mark.parametrize("media", MEDIA)
def test_a_file_is_sent_as_it_is_and_answered_by_a_dry_run(
    registrar_caller: Caller, course: UUID, office: Office, media: str
) -> None:
    before = office.log.position()
    answer = send(registrar_caller, course, report(ADA, BEA | {"First Name": "=cmd()"}), media)
    assert answer.status_code == 201
    said = answer.json
    assert answer.headers["Location"] == f"/v1/courses/{course}/imports/{said['id']}"
    assert said["expires_at"] == "2026-05-05T06:00:00Z"
    assert (said["encoding"], said["delimiter"], said["columns"][0]) == ("utf-8", ",", "Order #")
    assert said["counts"] == {
        "rows": 2, "enrol_new": 1, "blocked": 1, "asked": 0, "problems": 1, "blocking": 1,
        **dict.fromkeys(("enrol_known", "returned", "waiting", "unchanged", "changed", "refunded", "left_out"), 0),
    }  # fmt: skip
    assert said["problems"] == [
        {
            "row": 3,
            "column": "First Name",
            "value": "=cmd()",
            "code": "formula",
            "message": attendee_file.MESSAGES["formula"],
            "blocking": True,
        }
    ]
    assert said["rows"][0] == {
        "row": 2,
        "step": "enrol_new",
        "given": "Ada",
        "family": "Quantum",
        "email": "ada@example.org",
        "status": "attending",
        "order_reference": "4711001/9000001",
        "person": None,
        "enrolment": None,
        "body_email": None,
        "questions": [],
    }
    assert office.log.position() == before


def test_a_dry_run_can_be_had_again_until_its_day_is_over(
    registrar_caller: Caller, look: Callable[..., Any], course: UUID, clock: Clock
) -> None:
    looked = look(ADA)
    path = f"/v1/courses/{course}/imports/{looked['id']}"
    assert registrar_caller.get(path).json == looked
    clock.move(hours=24)
    assert the_problem(registrar_caller.get(path)) == (404, "not_found", [])


def test_it_is_always_of_now(registrar_caller: Caller, look: Callable[..., Any], course: UUID) -> None:
    path = f"/v1/courses/{course}/imports/{look(ADA)['id']}"
    registrar_caller.post(
        f"/v1/courses/{course}/enrolments", {"given": "Ada", "family": "Quantum", "email": "ada@example.org"}
    )
    assert registrar_caller.get(path).json["rows"][0]["step"] == "unchanged"
    assert registrar_caller.get(f"{path}?as_of=1").status_code == 422


def test_the_sample_is_imported_and_the_same_file_again_adds_nothing(
    registrar_caller: Caller, academy: Academy, office: Office
) -> None:
    course = academy.open(academy.trainer("Otto"))
    first = send(registrar_caller, course, SAMPLE.read_bytes()).json
    assert (first["counts"]["enrol_new"], first["counts"]["left_out"], first["counts"]["asked"]) == (12, 1, 0)
    path = f"/v1/courses/{course}/imports"
    answer = registrar_caller.post(f"{path}/{first['id']}/confirm", {"plan": first["plan"]}, version=None)
    assert (answer.status_code, answer.json["outcome"], len(answer.json["ids"])) == (200, "imported", 12)
    assert answer.json["id"] == str(course)
    assert len(registrar_caller.get(f"/v1/courses/{course}/roster").json["items"]) == 12
    before = office.log.position()
    again = send(registrar_caller, course, SAMPLE.read_bytes()).json
    assert (again["counts"]["unchanged"], again["counts"]["left_out"]) == (12, 1)
    answer = registrar_caller.post(f"{path}/{again['id']}/confirm", {"plan": again["plan"]}, version=None)
    assert (answer.json["outcome"], answer.json["ids"], answer.json["position"]) == ("unchanged", [], None)
    assert office.log.position() == before


def test_what_is_asked_is_answered_by_the_options(
    registrar_caller: Caller, look: Callable[..., Any], confirm: Callable[..., Any], course: UUID
) -> None:
    assert confirm(look(ADA, BEA)).status_code == 200
    looked = look(ADA | {"First Name": "Adda"}, BEA | {"Attendee Status": "Refunded"}, CLEO)
    questions = {each["id"]: each for row in looked["rows"] for each in row["questions"]}
    assert list(questions) == ["2-name", "3-refund", "4-seat"]
    assert [option["value"] for option in questions["2-name"]["options"]] == [
        "correction", "change", "substitution", "leave",
    ]  # fmt: skip
    assert "Ada Quantum" in questions["2-name"]["text"]
    assert questions["4-seat"]["about"] == "seat"
    assert questions["4-seat"]["options"][-1] == {"value": "leave", "label": "Leave the row out.", "final": True}
    done = confirm(looked, {"2-name": "correction", "3-refund": "withdraw", "4-seat": "queue"})
    assert len(done.json["ids"]) == 3
    names = [each["given"] for each in registrar_caller.get(f"/v1/courses/{course}/roster").json["items"]]
    assert sorted(names) == ["Adda", "Cleo"]


def test_wrong_answers_are_pointed_at_and_nothing_is_done(
    look: Callable[..., Any], confirm: Callable[..., Any], office: Office
) -> None:
    looked = look(ADA, BEA, CLEO)
    before = office.log.position()
    for answers, pointers in (
        (None, ["#/answers/4-seat"]),
        ({"4-seat": "throne"}, ["#/answers/4-seat"]),
        ({"4-seat": "queue", "9-name": "correction"}, ["#/answers/9-name"]),
    ):
        assert the_problem(confirm(looked, answers)) == (422, "unanswered", pointers)
    assert office.log.position() == before


def test_the_same_person_twice_is_refused_with_both_questions(
    look: Callable[..., Any], confirm: Callable[..., Any], person: Callable[..., UUID]
) -> None:
    ada = person("Ada", "Quantum", "other@example.org")
    looked = look(ADA, ticket(2, "Adele", email="other@example.org"))
    answers = {"2-person": f"is:{ada}", "3-person": f"is:{ada}"}
    assert the_problem(confirm(looked, answers)) == (
        422, "person_twice", ["#/answers/2-person", "#/answers/3-person"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#/plan"]),
        ({"plan": 7}, ["#/plan"]),
        ({"plan": None}, ["#/plan"]),
        ({"plan": ""}, ["#/plan"]),
        ({"plan": "x" * 101}, ["#/plan"]),
        ({"plan": "x", "answers": []}, ["#/answers"]),
        ({"plan": "x", "answers": None}, ["#/answers"]),
        ({"plan": "x", "answers": {"2-name": 7}}, ["#/answers/2-name/value"]),
        ({"plan": "x", "answers": {"2-name": None}}, ["#/answers/2-name/value"]),
        ({"plan": "x", "answers": {"2-name": "x" * 101}}, ["#/answers/2-name/value"]),
        ({"plan": "x", "answers": {"Ada": "new"}}, ["#/answers/Ada/key"]),
        ({"plan": "x", "nonsense": 1}, ["#/nonsense"]),
        ({"plan": "x", "at": "2027-01-01T00:00:00Z"}, ["#/at"]),
        ([], ["#"]),
    ],
)
def test_what_can_t_be_right_is_refused_with_a_pointer(
    registrar_caller: Caller, look: Callable[..., Any], course: UUID, body: Any, pointers: list[str]
) -> None:
    path = f"/v1/courses/{course}/imports/{look(ADA)['id']}/confirm"
    answer = registrar_caller.post(path, body, version=None)
    status, _, found = the_problem(answer)
    assert (status, found) == (422, pointers)


def test_a_plan_that_has_moved_is_a_conflict(
    look: Callable[..., Any], confirm: Callable[..., Any], office: Office, act: Acting, course: UUID
) -> None:
    looked = look(ADA, BEA)
    enrolments.request(office, act(), course=course, given="Quick")
    assert the_problem(confirm(looked))[:2] == (409, "plan_moved")
    assert the_problem(confirm({**looked, "plan": "0" * 32}))[:2] == (409, "plan_moved")


def test_a_file_is_confirmed_once_and_the_same_key_gets_the_same_receipt(
    look: Callable[..., Any], confirm: Callable[..., Any]
) -> None:
    looked = look(ADA)
    first = confirm(looked, key="import-of-today")
    again = confirm(looked, key="import-of-today")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.json) == (200, first.json)
    assert the_problem(confirm(looked))[:2] == (404, "not_found")
    assert the_problem(confirm(looked, {"2-name": "leave"}, key="import-of-today"))[:2] == (422, "key_reused")


def test_an_import_of_another_course_or_of_none_is_not_there(
    registrar_caller: Caller, look: Callable[..., Any], academy: Academy, course: UUID
) -> None:
    looked = look(ADA)
    other = academy.open(academy.trainer("Otto"))
    for path in (f"/v1/courses/{other}/imports/{looked['id']}", f"/v1/courses/{course}/imports/{uuid4()}"):
        assert the_problem(registrar_caller.get(path))[:2] == (404, "not_found")
        answer = registrar_caller.post(f"{path}/confirm", {"plan": looked["plan"]}, version=None)
        assert the_problem(answer)[:2] == (404, "not_found")
    assert the_problem(send(registrar_caller, uuid4(), report(ADA)))[:2] == (404, "not_found")


def test_a_course_that_is_not_open_is_a_conflict(
    registrar_caller: Caller, look: Callable[..., Any], confirm: Callable[..., Any], academy: Academy, course: UUID
) -> None:
    assert the_problem(send(registrar_caller, academy.draft(), report(ADA)))[:2] == (409, "course_not_open")
    looked = look(ADA)
    courses.cancel(academy.office, academy.act(), course=course, reason="too_few")
    assert the_problem(confirm(looked))[:2] == (409, "course_not_open")
    assert registrar_caller.get(f"/v1/courses/{course}/imports/{looked['id']}").status_code == 200


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b" \r\n ", "empty_file"),
        (b"PK\x03\x04" + bytes(50), "not_csv"),
        (b"<!doctype html><p>Sign in</p>", "not_csv"),
        (b"\x00\x01\x02\x03", "not_text_file"),
        (b'Order #,First Name\r\n1,"Ada', "broken_quotes"),
        (b",".join([b"x"] * 600), "file_too_large"),
        (b"a\r\n" * 20_002, "file_too_large"),
    ],
)
def test_what_is_no_report_is_refused_by_name(
    registrar_caller: Caller, course: UUID, content: bytes, code: str
) -> None:
    assert the_problem(send(registrar_caller, course, content))[:2] == (422, code)


def test_a_header_of_something_else_is_a_problem_with_its_row(registrar_caller: Caller, course: UUID) -> None:
    said = send(registrar_caller, course, b"Name,Mail\r\nAda,ada@example.org\r\n").json
    assert [(each["row"], each["code"], each["blocking"]) for each in said["problems"]] == [
        (1, "columns_missing", True)
    ]
    assert said["rows"] == []


def test_ten_megabytes_are_read_and_more_is_too_much(registrar_caller: Caller, course: UUID) -> None:
    text = report(ADA, BEA | {"Company": "x" * 3_000})
    filled = text + b"," * 40 + b"\r\n"
    filled += (b" " * 999 + b"\n") * ((attendee_file.MAX_BYTES - len(filled)) // 1_000)
    answer = send(registrar_caller, course, filled)
    assert (answer.status_code, answer.json["counts"]["enrol_new"]) == (201, 2)
    answer = send(registrar_caller, course, b"x" * (LARGEST + 1))
    assert the_problem(answer)[0] == 413


def test_a_file_that_is_too_large_is_refused_also_when_it_comes_in_chunks(
    registrar_caller: Caller, course: UUID
) -> None:
    answer = registrar_caller.client.post(
        f"/v1/courses/{course}/imports",
        input_stream=io.BytesIO(b"x" * (LARGEST + 1_000_000)),
        headers={"Authorization": f"Bearer {registrar_caller.token}"},
        content_type="text/csv",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert the_problem(answer)[0] == 413


def test_the_room_of_a_file_is_no_other_bodys(registrar_caller: Caller, look: Callable[..., Any], course: UUID) -> None:
    path = f"/v1/courses/{course}/imports/{look(ADA)['id']}/confirm"
    answer = registrar_caller.post(path, {"plan": "x" * (2 * 1024 * 1024)}, version=None)
    assert the_problem(answer)[0] == 413


@pytest.mark.parametrize("media", ["application/json", "multipart/form-data; boundary=x", "text/plain", None])
def test_another_media_type_is_refused_before_the_file_is_read(
    registrar_caller: Caller, course: UUID, media: str | None
) -> None:
    answer = send(registrar_caller, course, report(ADA), media)
    assert the_problem(answer)[:2] == (415, "unsupported_media_type")
    assert "text/csv" in answer.json["detail"]


def test_a_file_is_no_other_commands_body(registrar_caller: Caller, course: UUID) -> None:
    headers = {"Authorization": f"Bearer {registrar_caller.token}"}
    answer = registrar_caller.client.post(
        f"/v1/courses/{course}/enrolments", data=report(ADA), headers=headers, content_type="text/csv"
    )
    assert the_problem(answer)[:2] == (415, "unsupported_media_type")


def test_only_a_registrar_imports(
    caller: Callable[[str | None], Caller],
    admin_caller: Caller,
    auditor_caller: Caller,
    lead: UUID,
    token_of: Callable[..., str],
    look: Callable[..., Any],
    course: UUID,
) -> None:
    looked = look(ADA)
    path = f"/v1/courses/{course}/imports/{looked['id']}"
    trainer = caller(token_of(lead, Role.TRAINER))
    for somebody in (admin_caller, auditor_caller, trainer):
        assert the_problem(send(somebody, course, report(ADA)))[:2] == (403, "not_permitted")
        answer = somebody.post(f"{path}/confirm", {"plan": looked["plan"]}, version=None)
        assert the_problem(answer)[:2] == (403, "not_permitted")
    assert [each.get(path).status_code for each in (admin_caller, trainer, caller(None))] == [403, 403, 401]
    assert auditor_caller.get(path).status_code == 200
    assert the_problem(send(caller(None), course, report(ADA)))[:2] == (401, "not_signed_in")


def test_names_in_any_script_come_back_as_they_were_sent(look: Callable[..., Any]) -> None:
    rows = [ticket(1, "みのり", "佐藤", "minori@example.org"), ticket(2, "", "المنصوري", "layla@example.org")]
    assert [(row["given"], row["family"]) for row in look(*rows)["rows"]] == [("みのり", "佐藤"), ("", "المنصوري")]


def test_what_a_file_hides_is_shown_and_not_taken(registrar_caller: Caller, course: UUID) -> None:
    rows = [
        ticket(1, "A\u0000da", "One", email="ada@example.org"),
        ticket(2, "Be\u202ea", "Two", email="bea@example.org"),
        ticket(3, "C" * 10_000, "Three", email="cleo@example.org"),
        ticket(4, "Dora", email="dora@example.org\u200b"),
    ]
    half = report(ticket(5, "Ede", "Five")).splitlines()[1].replace(b"Ede", b"E\xed\xa0\x80de")
    said = send(registrar_caller, course, report(*rows) + half + b"\r\n").json
    assert [each["code"] for each in said["problems"]] == [
        "control_character", "bidi_override", "too_long", "email_invalid", "lone_surrogate",
    ]  # fmt: skip
    assert [row["step"] for row in said["rows"]] == [*["blocked"] * 3, "enrol_new", "blocked"]
    assert (said["rows"][3]["email"], said["problems"][0]["value"]) == ("", "A\\u0000da")


def test_the_document_says_what_kind_of_body_a_file_is(app: Flask) -> None:
    described = document(app)["paths"]["/v1/courses/{course}/imports"]["post"]
    assert described["requestBody"] == {
        "required": True,
        "content": {media: {"schema": {"type": "string"}} for media in MEDIA},
    }
    assert set(described["responses"]) == {"201", "401", "403", "404", "409", "413", "415", "422", "503"}
