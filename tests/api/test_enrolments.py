"""Enrolments and the roster, asked for over HTTP."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from domain.access import Role
from domain.course import Course
from domain.enrolment import Enrolment
from domain.register import AttendanceRegister, Marker, MarkRequest, Status
from provider.commands import courses
from provider.office import Office
from provider.work import Act
from tests.academy import Academy
from tests.conftest import Caller, Clock

Acting = Callable[..., Act]


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


@pytest.fixture
def lead_caller(caller: Callable[[str | None], Caller], lead: UUID, token_of: Callable[..., str]) -> Caller:
    return caller(token_of(lead, Role.TRAINER))


@pytest.fixture
def other_caller(caller: Callable[[str | None], Caller], academy: Academy, token_of: Callable[..., str]) -> Caller:
    """A trainer of no course."""
    return caller(token_of(academy.trainer("Otto"), Role.TRAINER))


@pytest.fixture
def enrol(registrar_caller: Caller, course: UUID) -> Callable[..., str]:
    """Enrol somebody new: `enrol("Ada", family="Lovelace")` returns the enrolment's id."""

    def request(given: str = "Ada", **said: Any) -> str:
        answer = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"given": given, **said})
        assert answer.status_code == 201, answer.json
        return str(answer.json["id"])

    return request


def mark(office: Office, enrolment: str, lead: UUID, status: Status = Status.PRESENT, session: int = 1) -> None:
    """Let the lead mark a learner, as if the session were under way."""
    known = office.log.get(Enrolment, UUID(enrolment))
    planned = office.log.get(Course, known.course).planned[session]
    by: dict[str, Any] = {"by": lead, "at": planned.starts}
    stream = AttendanceRegister.create_id(known.course, session)
    register = office.log.find(AttendanceRegister, stream) or AttendanceRegister.open(
        course=known.course, session=session, **by
    )
    register.mark(
        batch=[MarkRequest(mark=uuid4(), person=known.person, status=status, marked_at=planned.starts)],
        sent_at=planned.starts,
        starts=planned.starts,
        ends=planned.ends,
        authority=lambda _: Marker.LEAD,
        enrolled=[known.person],
        **by,
    )
    office.views.catch_up(office.log.record(register, asked={}).position)


def the_problem(answer: Any) -> tuple[int, str, list[str]]:
    """Return the status and the code of a problem, and the pointers of its errors."""
    assert answer.mimetype == "application/problem+json"
    return answer.status_code, answer.json["code"], [each["pointer"] for each in answer.json.get("errors", [])]


def test_somebody_new_is_enrolled_and_shown(registrar_caller: Caller, course: UUID) -> None:
    answer = registrar_caller.post(
        f"/v1/courses/{course}/enrolments",
        {"given": "Ada", "family": "Lovelace", "email": "ada@example.org", "order_reference": "4711/1"},
    )
    assert answer.status_code == 201
    assert answer.json["outcome"] == "confirmed"
    assert answer.headers["Location"] == f"/v1/enrolments/{answer.json['id']}"
    assert answer.headers["ETag"] == '"1"'
    shown = registrar_caller.get(answer.headers["Location"])
    assert shown.headers["ETag"] == '"1"'
    assert {name: shown.json[name] for name in ("given", "family", "standing", "rank", "source", "course")} == {
        "given": "Ada",
        "family": "Lovelace",
        "standing": "confirmed",
        "rank": None,
        "source": "api",
        "course": str(course),
    }
    assert [shown.json["person"]] == answer.json["ids"]
    assert registrar_caller.get(f"/v1/people/{shown.json['person']}").json["email"] == "ada@example.org"


def test_somebody_on_record_is_enrolled(registrar_caller: Caller, course: UUID, person: Callable[..., UUID]) -> None:
    ada = person("Ada", "Lovelace")
    answer = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"person": str(ada)})
    assert (answer.status_code, answer.json["ids"]) == (201, [str(ada)])
    again = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"person": str(ada)})
    assert the_problem(again) == (409, "seat_already_taken", ["#/person"])


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#"]),
        ({"person": str(uuid4()), "given": "Ada"}, ["#"]),
        ({"person": None}, ["#/person"]),
        ({"person": "ada"}, ["#/person"]),
        ({"person": 7}, ["#/person"]),
        ({"given": ""}, ["#/given"]),
        ({"given": 7}, ["#/given"]),
        ({"given": "A\u0000da"}, ["#/given"]),
        ({"given": "Ada\u202e"}, ["#/given"]),
        ({"given": "A" * 10_000}, ["#/given"]),
        ({"email": "ada@example.org"}, ["#/given"]),
        ({"given": "Ada", "email": "nowhere"}, ["#/email"]),
        ({"given": "Ada", "override": "a reason"}, ["#/override"]),
        ({"given": "Ada", "order_reference": "x" * 201}, ["#/order_reference"]),
        ({"given": "Ada", "nonsense": 1}, ["#/nonsense"]),
        ({"given": "Ada", "at": "tomorrow"}, ["#/at"]),
        ({"given": "Ada", "at": "2027-01-01T00:00:00Z"}, ["#/at"]),
    ],
)
def test_what_can_t_be_right_is_refused_with_a_pointer(
    registrar_caller: Caller, office: Office, course: UUID, body: dict[str, Any], pointers: list[str]
) -> None:
    before = office.log.position()
    answer = registrar_caller.post(f"/v1/courses/{course}/enrolments", body)
    assert (answer.status_code, office.log.position()) == (422, before)
    assert the_problem(answer)[2] == pointers


def test_the_same_key_enrols_once_and_no_other_request(registrar_caller: Caller, course: UUID, office: Office) -> None:
    said: dict[str, Any] = {"key": "enrol-ada-1"}
    first = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"given": "Ada"}, **said)
    position = office.log.position()
    again = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"given": "Ada"}, **said)
    assert (again.status_code, again.json, again.headers["Idempotent-Replayed"]) == (201, first.json, "true")
    other = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"given": "Bob"}, **said)
    assert the_problem(other)[:2] == (422, "key_reused")
    without = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"given": "Bob"}, key=None)
    assert the_problem(without)[:2] == (400, "key_required")
    assert office.log.position() == position


def test_unknown_things_are_not_found(registrar_caller: Caller, course: UUID, person: Callable[..., UUID]) -> None:
    ada = person("Ada", None)
    for answer in (
        registrar_caller.post(f"/v1/courses/{uuid4()}/enrolments", {"given": "Ada"}),
        registrar_caller.post(f"/v1/courses/{ada}/enrolments", {"given": "Ada"}),
        registrar_caller.post(f"/v1/courses/{course}/enrolments", {"person": str(uuid4())}),
        registrar_caller.post(f"/v1/courses/{uuid4()}/walk-ins", {"person": str(ada), "session": 1}),
        registrar_caller.get(f"/v1/courses/{uuid4()}/enrolments"),
        registrar_caller.get(f"/v1/courses/{uuid4()}/roster"),
        registrar_caller.get(f"/v1/courses/{ada}/roster"),
        registrar_caller.get(f"/v1/enrolments/{uuid4()}"),
        registrar_caller.get(f"/v1/enrolments/{course}"),
        registrar_caller.post(f"/v1/enrolments/{uuid4()}/withdraw", {"reason": "ill"}),
        registrar_caller.post(f"/v1/enrolments/{ada}/confirm"),
    ):
        assert the_problem(answer)[:2] == (404, "not_found")


def test_only_a_registrar_enrols(
    lead_caller: Caller, auditor_caller: Caller, admin_caller: Caller, course: UUID, enrol: Callable[..., str]
) -> None:
    ada = enrol()
    for caller in (lead_caller, auditor_caller, admin_caller):
        answer = caller.post(f"/v1/courses/{course}/enrolments", {"given": "Bob"})
        assert the_problem(answer)[:2] == (403, "not_permitted")
        for verb in ("confirm", "skip", "withdraw", "cancel", "substitute", "request-again", "confirm-walk-in"):
            answer = caller.post(f"/v1/enrolments/{ada}/{verb}", {"reason": "ill"})
            assert the_problem(answer)[:2] == (403, "not_permitted"), verb
    assert auditor_caller.get(f"/v1/enrolments/{ada}").json["standing"] == "confirmed"
    assert admin_caller.get(f"/v1/courses/{course}/roster").status_code == 403


def test_a_trainer_sees_their_own_course_only(
    lead_caller: Caller, other_caller: Caller, course: UUID, enrol: Callable[..., str]
) -> None:
    ada = enrol("Ada")
    for path in (f"/v1/courses/{course}/roster", f"/v1/courses/{course}/enrolments", f"/v1/enrolments/{ada}"):
        assert lead_caller.get(path).status_code == 200
        assert the_problem(other_caller.get(path))[:2] == (404, "not_found")
    body = {"person": str(uuid4()), "given": "Wally", "session": 1}
    assert the_problem(other_caller.post(f"/v1/courses/{course}/walk-ins", body))[:2] == (404, "not_found")
    assert lead_caller.post(f"/v1/courses/{course}/walk-ins", body).status_code == 201


def test_a_command_names_the_version_it_has_seen(registrar_caller: Caller, enrol: Callable[..., str]) -> None:
    ada = enrol()
    path = f"/v1/enrolments/{ada}/withdraw"
    assert the_problem(registrar_caller.post(path, {"reason": "ill"}, version=None))[0] == 428
    stale = registrar_caller.post(path, {"reason": "ill"}, version=7)
    assert (the_problem(stale)[:2], stale.headers["ETag"]) == ((412, "stale"), '"1"')
    assert registrar_caller.post(path, {"reason": "ill"}, version=1).json["outcome"] == "withdrawn"
    assert the_problem(registrar_caller.post(path, {"reason": "ill"}, version=2))[:2] == (409, "enrolment_stage")


def test_the_queue_from_the_request_to_the_seat(
    registrar_caller: Caller, course: UUID, enrol: Callable[..., str]
) -> None:
    ada, _, eve, fay = (enrol(name) for name in ("Ada", "Bob", "Eve", "Fay"))
    queued = registrar_caller.get(f"/v1/courses/{course}/enrolments?standing=queued").json
    assert [(each["given"], each["rank"], each["tasks"]) for each in queued] == [("Eve", 1, []), ("Fay", 2, [])]
    early = registrar_caller.post(f"/v1/enrolments/{eve}/confirm")
    assert the_problem(early)[:2] == (409, "no_seat_held")
    registrar_caller.post(f"/v1/enrolments/{ada}/withdraw", {"reason": "ill"})
    tasks = registrar_caller.get(f"/v1/courses/{course}/enrolments?task=confirm_seat").json
    assert [(each["enrolment"], each["tasks"]) for each in tasks] == [(eve, ["confirm_seat"])]
    skipped = registrar_caller.post(f"/v1/enrolments/{eve}/skip", {"reason": "no_answer", "note": "Called."})
    assert (skipped.status_code, skipped.json["id"]) == (200, eve)
    answer = registrar_caller.post(f"/v1/enrolments/{fay}/confirm", version=1)
    assert answer.json["outcome"] == "confirmed"
    assert registrar_caller.get(f"/v1/enrolments/{fay}").json["rank"] is None
    assert registrar_caller.get(f"/v1/enrolments/{eve}").json["skipped"] == "no_answer"
    again = registrar_caller.post(f"/v1/enrolments/{ada}/request-again")
    assert again.json["outcome"] == "queued"
    assert registrar_caller.get(f"/v1/enrolments/{ada}").json["rank"] == 2


def test_why_somebody_left_is_told_to_who_sees_all_courses(
    registrar_caller: Caller, auditor_caller: Caller, lead_caller: Caller, enrol: Callable[..., str]
) -> None:
    ada = enrol()
    registrar_caller.post(f"/v1/enrolments/{ada}/cancel", {"reason": "unpaid", "note": "The card was refused."})
    for caller, note in (
        (registrar_caller, "The card was refused."),
        (auditor_caller, "The card was refused."),
        (lead_caller, None),
    ):
        shown = caller.get(f"/v1/enrolments/{ada}").json
        assert (shown["standing"], shown["reason"], shown["note"]) == ("cancelled", "unpaid", note)


def test_a_colleague_takes_the_seat(registrar_caller: Caller, course: UUID, enrol: Callable[..., str]) -> None:
    ada, bob = enrol("Ada"), enrol("Bob")
    answer = registrar_caller.post(f"/v1/enrolments/{ada}/substitute", {"given": "Carl", "reason": "colleague"})
    assert (answer.status_code, answer.json["outcome"]) == (200, "substituted")
    roster = registrar_caller.get(f"/v1/courses/{course}/roster").json["items"]
    assert [(each["given"], each["source"], each["substitutes"]) for each in roster] == [
        ("Bob", "api", None),
        ("Carl", "substitution", ada),
    ]
    nobody = registrar_caller.post(f"/v1/enrolments/{bob}/substitute", {"reason": "colleague"})
    assert the_problem(nobody)[0] == 422
    himself = registrar_caller.post(
        f"/v1/enrolments/{bob}/substitute", {"reason": "colleague", "person": roster[0]["person"]}
    )
    assert the_problem(himself) == (422, "same_person", ["#/person"])


def test_a_walk_in_needs_no_key_and_may_be_sent_again(
    lead_caller: Caller, registrar_caller: Caller, course: UUID, office: Office
) -> None:
    body = {"person": str(uuid4()), "given": "Wally", "session": 1}
    first = lead_caller.post(f"/v1/courses/{course}/walk-ins", body, key=None)
    assert (first.status_code, first.json["outcome"], first.json["ids"]) == (201, "confirmed", [body["person"]])
    position = office.log.position()
    again = lead_caller.post(f"/v1/courses/{course}/walk-ins", body, key=None)
    assert (again.status_code, again.json) == (201, {**first.json, "position": None})
    assert office.log.position() == position
    tasks = registrar_caller.get(f"/v1/courses/{course}/enrolments?task=confirm_walk_in").json
    assert [(each["given"], each["tasks"], each["walk_in"]) for each in tasks] == [("Wally", ["confirm_walk_in"], 1)]
    registrar_caller.post(f"/v1/enrolments/{first.json['id']}/confirm-walk-in")
    (line,) = lead_caller.get(f"/v1/courses/{course}/roster").json["items"]
    assert (line["given"], line["walk_in"], line["walk_in_confirmed"]) == ("Wally", 1, True)


def test_only_a_registrar_gives_a_walk_in_a_seat_beyond_the_capacity(
    lead_caller: Caller, registrar_caller: Caller, course: UUID, enrol: Callable[..., str]
) -> None:
    enrol("Ada"), enrol("Bob")
    body = {"person": str(uuid4()), "given": "Wally", "session": 1}
    assert the_problem(lead_caller.post(f"/v1/courses/{course}/walk-ins", body)) == (
        409,
        "course_full",
        ["#/override"],
    )
    body["override"] = "room_for_one"
    assert the_problem(lead_caller.post(f"/v1/courses/{course}/walk-ins", body))[:2] == (403, "not_permitted")
    assert registrar_caller.post(f"/v1/courses/{course}/walk-ins", body).status_code == 201
    assert len(lead_caller.get(f"/v1/courses/{course}/roster").json["items"]) == 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"session": 9}, (422, "unknown_session", ["#/session"])),
        ({"session": 0}, (422, "invalidated", ["#/session"])),
        ({"session": "1"}, (422, "invalidated", ["#/session"])),
        ({"session": 1.5}, (422, "invalidated", ["#/session"])),
        ({"person": "11111111-1111-5111-8111-111111111111"}, (422, "id_not_random", ["#/person"])),
        ({"given": None}, (404, "not_found", [])),
    ],
)
def test_a_walk_in_that_can_t_be_right_is_refused(
    lead_caller: Caller, course: UUID, change: dict[str, Any], expected: tuple[int, str, list[str]]
) -> None:
    body = {"person": str(uuid4()), "given": "Wally", "session": 1, **change}
    assert the_problem(lead_caller.post(f"/v1/courses/{course}/walk-ins", body)) == expected


def test_two_people_never_share_an_id(lead_caller: Caller, course: UUID) -> None:
    body = {"person": str(uuid4()), "given": "Wally", "session": 1}
    lead_caller.post(f"/v1/courses/{course}/walk-ins", body)
    other = lead_caller.post(f"/v1/courses/{course}/walk-ins", {**body, "given": "Willy"})
    assert the_problem(other) == (409, "id_taken", ["#/person"])
    thing = lead_caller.post(f"/v1/courses/{course}/walk-ins", {**body, "person": str(course)})
    assert the_problem(thing) == (409, "id_taken", ["#/person"])


def test_no_shows_questions_and_make_ups(
    registrar_caller: Caller, office: Office, lead: UUID, enrol: Callable[..., str]
) -> None:
    ada, bob = enrol("Ada"), enrol("Bob")
    mark(office, ada, lead)
    there = registrar_caller.post(f"/v1/enrolments/{ada}/no-show", {"reason": "never_came"})
    assert the_problem(there)[:2] == (409, "was_present")
    assert registrar_caller.post(f"/v1/enrolments/{bob}/no-show", {"reason": "never_came"}).status_code == 200
    assert registrar_caller.post(f"/v1/enrolments/{bob}/lift-no-show", {"reason": "mistake"}).status_code == 200
    path = f"/v1/enrolments/{ada}"
    asked = {"body": "SA", "answered": True, "email": "ada@old.example"}
    assert registrar_caller.post(f"{path}/body-email-asked", asked).status_code == 200
    silent = registrar_caller.post(f"{path}/body-email-asked", {**asked, "answered": False})
    assert the_problem(silent) == (422, "invalidated", ["#/answered"])
    assert registrar_caller.post(f"{path}/prerequisites", {"evidence": "CSM 123"}).status_code == 200
    credit = {"session": 2, "minutes": 30, "kind": "tutorial", "trainer": str(lead), "evidence": "protocol 7"}
    assert registrar_caller.post(f"{path}/make-ups", credit).json["ids"] == ["1"]
    assert the_problem(registrar_caller.post(f"{path}/make-ups", credit, key=None))[:2] == (400, "key_required")
    half = registrar_caller.post(f"{path}/make-ups", {**credit, "kind": "session"})
    assert the_problem(half) == (422, "make_up_unsound", ["#/elsewhere"])
    assert registrar_caller.post(f"{path}/make-ups/1/withdraw", {"reason": "wrong"}).status_code == 200
    gone = registrar_caller.post(f"{path}/make-ups/1/withdraw", {"reason": "wrong"})
    assert the_problem(gone)[:2] == (422, "unknown_make_up")
    shown = registrar_caller.get(path).json
    assert shown["body_emails_asked"] == {"SA": True}
    assert [each["evidence"] for each in shown["prerequisites"]] == ["CSM 123"]
    assert [(each["minutes"], each["withdrawn"]) for each in shown["make_ups"]] == [(30, "wrong")]
    assert shown["marks"]["1"]["status"] == "present"


def test_the_roster_is_by_family_name_with_what_was_marked(
    registrar_caller: Caller, office: Office, course: UUID, lead: UUID, enrol: Callable[..., str]
) -> None:
    zoe, ada = enrol("Zoë", family="Ångström"), enrol("Ada", family="lovelace")
    enrol("Bob")
    mark(office, ada, lead, Status.ABSENT, session=2)
    answer = registrar_caller.get(f"/v1/courses/{course}/roster")
    assert answer.json["course"] == str(course)
    assert [(each["enrolment"], each["given"]) for each in answer.json["items"]] == [(ada, "Ada"), (zoe, "Zoë")]
    (standing,) = answer.json["items"][0]["marks"].items()
    assert (standing[0], standing[1]["status"], standing[1]["by"], standing[1]["conflict"]) == (
        "2",
        "absent",
        str(lead),
        False,
    )
    assert answer.json["items"][1]["marks"] == {}
    same = registrar_caller.get(f"/v1/courses/{course}/roster", headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304


def test_the_roster_can_be_had_as_it_was(
    registrar_caller: Caller, course: UUID, enrol: Callable[..., str], clock: Clock
) -> None:
    ada = enrol("Ada")
    person = registrar_caller.get(f"/v1/enrolments/{ada}").json["person"]
    then = registrar_caller.get(f"/v1/courses/{course}/roster")
    registrar_caller.post(f"/v1/people/{person}/name-corrections", {"given": "Adele", "reason": "typing_error"})
    registrar_caller.post(f"/v1/enrolments/{ada}/withdraw", {"reason": "ill"})
    enrol("Bob")
    now = registrar_caller.get(f"/v1/courses/{course}/roster")
    assert [each["given"] for each in now.json["items"]] == ["Bob"]
    past = registrar_caller.get(f"/v1/courses/{course}/roster?as_of={then.headers['X-Position']}")
    assert past.data == then.data
    shown = registrar_caller.get(f"/v1/enrolments/{ada}?as_of={then.headers['X-Position']}").json
    assert (shown["given"], shown["standing"], shown["version"]) == ("Ada", "confirmed", 1)
    assert registrar_caller.get(f"/v1/courses/{course}/roster?as_of=1").status_code == 404


def test_an_empty_course_has_an_empty_roster(registrar_caller: Caller, course: UUID) -> None:
    assert registrar_caller.get(f"/v1/courses/{course}/roster").json == {"course": str(course), "items": []}
    assert registrar_caller.get(f"/v1/courses/{course}/enrolments").json == []


def test_the_roster_as_a_table_keeps_formulas_harmless(
    registrar_caller: Caller, course: UUID, enrol: Callable[..., str]
) -> None:
    enrol("=cmd|' /C calc'!A0", family="Lovelace")
    answer = registrar_caller.get(f"/v1/courses/{course}/roster", headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [(row["given"], row["family"], row["standing"]) for row in rows] == [
        ("'=cmd|' /C calc'!A0", "Lovelace", "confirmed")
    ]
    listed = registrar_caller.get(f"/v1/courses/{course}/enrolments", headers={"Accept": "text/csv"})
    assert len(listed.data.splitlines()) == 2


def test_an_erased_name_shows_as_erased(
    registrar_caller: Caller, office: Office, course: UUID, enrol: Callable[..., str]
) -> None:
    ada = enrol("Ada")
    office.keys.forget(UUID(registrar_caller.get(f"/v1/enrolments/{ada}").json["person"]))
    (line,) = registrar_caller.get(f"/v1/courses/{course}/roster").json["items"]
    assert (line["given"], line["family"]) == ("(erased)", None)


def test_the_list_is_paged_and_a_page_stays_as_it_was(
    registrar_caller: Caller, course: UUID, enrol: Callable[..., str]
) -> None:
    made = [enrol(f"Person {number}") for number in range(5)]
    first = registrar_caller.get(f"/v1/courses/{course}/enrolments?limit=2")
    registrar_caller.post(f"/v1/enrolments/{made[0]}/withdraw", {"reason": "ill"})
    seen, answer = list(first.json), first
    while "Link" in answer.headers:
        answer = registrar_caller.get(answer.headers["Link"].split(">")[0][1:])
        seen += answer.json
    assert [each["enrolment"] for each in seen] == made
    assert [each["rank"] for each in seen] == [None, None, 1, 2, 3]
    assert [each["seat_held"] for each in seen] == [False] * 5
    unknown = registrar_caller.get(f"/v1/courses/{course}/enrolments?standing=sleeping")
    assert the_problem(unknown) == (422, "invalidated", ["#/standing"])


def test_a_cancelled_course_takes_nobody(registrar_caller: Caller, office: Office, act: Acting, course: UUID) -> None:
    courses.cancel(office, act(), course=course, reason="too_few")
    answer = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"given": "Ada"})
    assert the_problem(answer)[:2] == (409, "course_stage")


def test_two_hundred_at_once_for_twelve_seats(
    app: Flask, registrar_caller: Caller, academy: Academy, lead: UUID, office: Office
) -> None:
    course = academy.open(lead, seats=12)
    path = f"/v1/courses/{course}/enrolments"

    def request(number: int) -> tuple[int, str | None]:
        caller = Caller(app.test_client(), registrar_caller.token)
        answer = caller.post(path, {"given": f"Person {number}"})
        return answer.status_code, answer.json.get("outcome")

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(request, range(200)))
    assert answers.count((201, "confirmed")) == 12
    assert answers.count((201, "queued")) == 188
    queued = registrar_caller.get(f"{path}?standing=queued&limit=200").json
    assert sorted(each["rank"] for each in queued) == list(range(1, 189))
    assert len(registrar_caller.get(f"/v1/courses/{course}/roster").json["items"]) == 12
    assert len({each["person"] for each in queued}) == 188
    assert office.views.verify() == []
