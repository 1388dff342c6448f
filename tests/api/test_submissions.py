"""Submissions over HTTP."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from provider.office import Office
from tests.academy import Acting
from tests.conftest import Caller, Clock
from tests.graduates import ADA, BOB, Graduates, graduated
from tests.stage import Stage

FILE = (
    b"First Name,Last Name,Email\r\n"
    b"Ada,Lovelace,ada@example.org\r\n"
    b"Bob,Ross,bob@example.org\r\n"
    b"Cy,Twombly,cy@example.org\r\n"
)
ACCEPTED = {"source": "body_page"}


@pytest.fixture
def stage() -> Stage[Graduates]:
    """A class of three has completed its course."""
    return graduated()


@pytest.fixture
def sent(office: Office, act: Acting, clock: Clock, stage: Stage[Graduates]) -> Graduates:
    """Three learners who have completed their course; nothing was drafted yet."""
    return stage.played.at(office, act, clock)


@pytest.fixture
def approver(registrar_caller: Caller) -> Caller:
    """A registrar who has drafted nothing."""
    return registrar_caller


@pytest.fixture
def clerk(caller: Callable[[str | None], Caller], person: Callable[..., UUID], token_of: Callable[..., str]) -> Caller:
    """A registrar who drafts."""
    return caller(token_of(person("Carl", "Clerk"), Role.REGISTRAR))


@pytest.fixture
def lead(caller: Callable[[str | None], Caller], sent: Graduates, token_of: Callable[..., str]) -> Caller:
    return caller(token_of(sent.lead, Role.TRAINER))


@pytest.fixture
def stranger(caller: Callable[[str | None], Caller], sent: Graduates, token_of: Callable[..., str]) -> Caller:
    """A trainer of no course."""
    return caller(token_of(sent.room.academy.trainer("Otto"), Role.TRAINER))


@pytest.fixture
def of_course(sent: Graduates) -> str:
    return f"/v1/courses/{sent.course}/submission"


@pytest.fixture
def path(sent: Graduates) -> str:
    return f"/v1/submissions/{sent.submission}"


@pytest.fixture
def drafted(clerk: Caller, of_course: str, path: str) -> str:
    """The path of a submission that the clerk has drafted."""
    assert clerk.post(of_course).status_code == 201
    return path


@pytest.fixture
def exported(drafted: str, clerk: Caller, approver: Caller) -> str:
    for who, verb in ((clerk, "validate"), (approver, "approve"), (clerk, "export")):
        assert who.post(f"{drafted}/parts/1/{verb}").status_code == 200
    return drafted


@pytest.fixture
def told(exported: str, clerk: Caller) -> str:
    """The path of a submission whose first part was sent."""
    assert clerk.post(f"{exported}/parts/1/sent").status_code == 200
    return exported


def rows(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))


# The whole way


def test_a_submission_goes_all_the_way_to_the_accepted_licences(
    sent: Graduates, clerk: Caller, approver: Caller, clock: Clock, of_course: str, path: str
) -> None:
    before = clerk.get(of_course).json
    assert (before["submission"], before["stage"], before["due_on"]) == (None, "not_drafted", "2026-06-04")
    assert len(before["unsubmitted"]) == 3

    made = clerk.post(of_course)
    assert (made.status_code, made.headers["Location"], made.headers["ETag"]) == (201, path, '"1"')
    clerk.post(f"{path}/lines/3/exclude", {"reason": "unpaid", "note": "The invoice is open."}, version=1)
    checked = clerk.post(f"{path}/parts/1/validate", version=2)
    assert checked.json["outcome"] == "valid"
    assert approver.post(f"{path}/parts/1/approve", version=3).json["outcome"] == "approved"
    assert clerk.post(f"{path}/parts/1/export", version=4).json["outcome"] == "exported"
    file = clerk.get(f"{path}/parts/1/file")
    assert file.data == FILE.replace(b"Cy,Twombly,cy@example.org\r\n", b"")
    clerk.post(f"{path}/parts/1/sent", {"reference": "batch 7"}, version=5)

    clerk.post(f"{path}/loaded", {"lines": [1, 2]})
    clerk.post(
        f"{path}/outcomes",
        {"outcomes": [{"line": 2, "outcome": "rejected", "code": "EMAIL_INVALID"}], "source": "body_page"},
    )
    clerk.post(f"{path}/selected", {"lines": [1]})
    clerk.post(f"{path}/paid", {"lines": [1], "amount": "50.00", "currency": "USD", "receipt": "R-1"})
    clerk.post(f"{path}/activated", {"lines": [1]})
    person = f"/v1/people/{sent.person('Bob')}"
    clerk.post(f"{person}/body-email", {"body": "SA", "email": "robert@example.org", "source": "person"})

    part = clerk.post(f"{path}/parts")
    assert (part.status_code, part.json["ids"]) == (201, ["2"])
    for who, verb in ((clerk, "validate"), (approver, "approve"), (clerk, "export"), (clerk, "sent")):
        assert who.post(f"{path}/parts/2/{verb}").status_code == 200
    assert clerk.get(f"{path}/parts/2/file").data == b"First Name,Last Name,Email\r\nBob,Ross,robert@example.org\r\n"
    assert clerk.post(f"{path}/parts/2/accepted-except", ACCEPTED).json["ids"] == ["4"]
    clock.move(days=7)
    seen = {"on": "2026-06-08", "source": "body_page"}
    clerk.post(f"{path}/lines/1/observe", {"what": "licence_accepted", "agreement_version": "2026", **seen})
    clerk.post(
        f"{path}/lines/1/observe",
        {"what": "credential_dates", "valid_from": "2026-06-08", "valid_until": "2028-06-08", **seen},
    )
    clerk.post(f"{path}/lines/1/observe", {"what": "member_id", "member_id": "00123", **seen})
    assert clerk.post(f"{path}/complete").json["outcome"] == "completed"

    answer = clerk.get(of_course)
    shown = answer.json
    assert (shown["stage"], shown["overdue"], shown["do_not_activate"]) == ("completed", False, False)
    assert [(line["line"], line["part"], line["state"]) for line in shown["items"]] == [
        (1, 1, "activated"),
        (2, 1, "rejected"),
        (3, 1, "excluded"),
        (4, 2, "accepted"),
    ]
    assert {name: count for name, count in shown["summary"].items() if count} == {
        "all": 4,
        "activated": 1,
        "rejected": 1,
        "excluded": 1,
        "accepted": 1,
    }
    first = shown["items"][0]
    assert (first["given"], first["family"], first["email"]) == ADA
    assert all(first[name] for name in ("sent_at", "loaded_at", "selected_at", "paid_at", "activated_at"))
    assert [each["what"] for each in first["observations"]] == ["licence_accepted", "credential_dates", "member_id"]
    assert first["observations"][2]["member_id"] == "00123"
    assert shown["payments"][0] | {"paid_at": ""} == {
        "lines": [1],
        "amount": "50.00",
        "currency": "USD",
        "receipt": "R-1",
        "paid_at": "",
    }
    assert shown["items"][2]["excluded_note"] == "The invoice is open."
    assert [part["reference"] for part in shown["parts"]] == ["batch 7", None]
    assert [part["stage"] for part in shown["parts"]] == ["acknowledged", "acknowledged"]
    assert clerk.get(path).json == shown
    assert sent.office.views.verify() == []


def test_all_that_was_announced_is_answered(told: str, clerk: Caller) -> None:
    from api.rest.submissions import SubmissionAnswer, SubmissionLineAnswer, SubmissionPartAnswer

    shown = clerk.get(told).json
    assert shown.keys() == SubmissionAnswer().fields.keys()
    assert shown["parts"][0].keys() == SubmissionPartAnswer().fields.keys()
    assert shown["items"][0].keys() == SubmissionLineAnswer().fields.keys()


# The view


def test_the_submission_is_tagged_with_its_version(drafted: str, clerk: Caller) -> None:
    answer = clerk.get(drafted)
    assert (answer.headers["ETag"], answer.json["version"]) == ('"1"', 1)
    clerk.post(f"{drafted}/parts/1/validate", version=1)
    assert clerk.get(drafted).headers["ETag"] == '"2"'


def test_the_view_of_a_course_can_be_asked_for_again_cheaply(drafted: str, clerk: Caller, of_course: str) -> None:
    tag = clerk.get(of_course).headers["ETag"]
    assert clerk.get(of_course, headers={"If-None-Match": tag}).status_code == 304


def test_before_the_institution_was_founded_there_is_nothing_to_tell_a_body(of_course: str, clerk: Caller) -> None:
    answer = clerk.get(f"{of_course}?as_of=0")
    assert (answer.status_code, answer.json["code"]) == (404, "not_founded_then")
    assert clerk.client.get(answer.json["type"]).status_code == 200


def test_a_problem_says_what_is_wrong_and_what_to_do(office: Office, act: Acting, clock: Clock, clerk: Caller) -> None:
    shared = "front.desk@example.org"
    sent = Graduates(office, act, clock, ("Dora", "Desk", shared), ("Emil", "Desk", shared))
    clerk.post(f"/v1/courses/{sent.course}/submission")
    path = f"/v1/submissions/{sent.submission}"
    assert clerk.post(f"{path}/parts/1/validate").json["outcome"] == "blocked"
    for line in clerk.get(path).json["items"]:
        assert line["email"] is None
        missing, why = line["problems"]
        assert (missing["code"], why["code"], why["field"]) == ("missing_email", "email_shared", "email")
        assert "Ask which one they use with it" in missing["message"]
        assert "somebody else on record uses that too" in why["message"]


def test_the_lines_can_be_had_as_a_table(office: Office, act: Acting, clock: Clock, clerk: Caller) -> None:
    sent = Graduates(office, act, clock, ("=Ada", "Lovelace", "ada@example.org"), BOB)
    path = f"/v1/courses/{sent.course}/submission"
    clerk.post(path)
    answer = clerk.get(path, headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    table = rows(answer)
    assert [(row["line"], row["given"], row["family"], row["state"]) for row in table] == [
        ("1", "'=Ada", "Lovelace", "pending"),
        ("2", "Bob", "Ross", "pending"),
    ]
    assert list(table[0])[:3] == ["line", "part", "state"]


def test_an_empty_table_still_has_its_header(sent: Graduates, clerk: Caller, of_course: str) -> None:
    answer = clerk.get(of_course, headers={"Accept": "text/csv"})
    assert rows(answer) == []
    assert answer.get_data(as_text=True).startswith("\ufeffline,part,state,")


def test_it_is_overdue_in_the_institutions_zone(drafted: str, clerk: Caller, clock: Clock) -> None:
    late = []
    for hour in (21, 22):  # Midnight in Zurich is at 22:00 UTC.
        clock.set(clock().replace(month=6, day=4, hour=hour, minute=30))
        late.append(clerk.get(drafted).json["overdue"])
    assert late == [False, True]


def test_an_answer_as_of_a_position_never_changes(drafted: str, clerk: Caller, clock: Clock) -> None:
    position = clerk.get(drafted).headers["X-Position"]
    assert clerk.get(drafted).json["overdue"] is False
    then = clerk.get(f"{drafted}?as_of={position}").data
    clock.move(days=30)
    assert clerk.get(drafted).json["overdue"] is True
    assert clerk.get(f"{drafted}?as_of={position}").data == then


def test_as_of_a_time_before_the_draft_there_is_none(drafted: str, clerk: Caller, of_course: str) -> None:
    assert clerk.get(f"{drafted}?as_of=2020-01-01T00:00:00Z").status_code == 404
    assert clerk.get(f"{of_course}?as_of=2020-01-01T00:00:00%2B02:00").status_code == 404


def test_as_of_answers_what_was_known_then(exported: str, clerk: Caller, of_course: str) -> None:
    position = clerk.get(exported).headers["X-Position"]
    clerk.post(f"{exported}/lines/1/exclude", {"reason": "unpaid"})
    assert clerk.get(exported).json["parts"][0]["stage"] == "drafted"
    for path in (exported, of_course):
        then = clerk.get(f"{path}?as_of={position}")
        assert then.json["parts"][0]["stage"] == "exported"
        assert then.headers["X-Position"] == position
    assert clerk.get(f"{exported}/parts/1/file").status_code == 409
    assert clerk.get(f"{exported}/parts/1/file?as_of={position}").data == FILE


def test_a_name_that_was_erased_reads_so(told: str, sent: Graduates, clerk: Caller, office: Office) -> None:
    office.keys.forget(sent.person("Bob"))
    line = clerk.get(told).json["items"][1]
    assert (line["given"], line["family"], line["email"]) == ("(erased)", "(erased)", "(erased)")
    assert line["person"] == str(sent.person("Bob"))


# The file


def test_the_file_comes_with_its_digest_and_is_not_kept(exported: str, clerk: Caller) -> None:
    answer = clerk.get(f"{exported}/parts/1/file", headers={"Accept": "text/csv"})
    digest = hashlib.sha256(FILE)
    assert (answer.status_code, answer.data) == (200, FILE)
    assert answer.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert clerk.get(exported).json["parts"][0]["sha256"] == digest.hexdigest()


def test_a_file_with_an_erased_value_is_a_problem_not_another_file(
    told: str, sent: Graduates, clerk: Caller, office: Office
) -> None:
    office.keys.forget(sent.person("Cy"))
    answer = clerk.get(f"{told}/parts/1/file")
    assert (answer.status_code, answer.json["code"]) == (409, "values_erased")
    assert "line 3" in answer.json["detail"]


def test_a_file_that_was_not_exported_is_a_conflict_and_an_unknown_part_is_not_found(
    drafted: str, clerk: Caller
) -> None:
    assert clerk.get(f"{drafted}/parts/1/file").json["code"] == "not_exported"
    for part in ("2", "0", "99999999999999999999999"):
        assert clerk.get(f"{drafted}/parts/{part}/file").status_code == 404
    assert clerk.get(f"{drafted}/parts/1/file", headers={"Accept": "application/json"}).status_code == 406


# Discrepancies


def test_a_corrected_name_says_not_to_activate_until_somebody_has_dealt_with_it(
    told: str, sent: Graduates, clerk: Caller, of_course: str
) -> None:
    person = sent.person("Bob")
    clerk.post(f"/v1/people/{person}/name-corrections", {"given": "Robert", "family": "Ross", "reason": "typing_error"})
    shown = clerk.get(of_course).json
    assert shown["do_not_activate"] is True
    assert [line["do_not_activate"] for line in shown["items"]] == [False, True, False]
    assert shown["why"][0].startswith("Line 2: ")
    resolution = {
        "line": 2,
        "stream": str(person),
        "version": 2,
        "aspect": "names",
        "resolution": "corrected_at_body",
        "reason": "typing_error",
        "note": "Telephoned.",
    }
    assert clerk.post(f"{told}/discrepancies/resolve", resolution).json["outcome"] == "corrected_at_body"
    shown = clerk.get(of_course).json
    assert (shown["do_not_activate"], shown["why"]) == (False, [])
    assert shown["items"][1]["resolutions"][0]["note"] == "Telephoned."
    assert clerk.post(f"{told}/discrepancies/resolve", resolution).json["code"] == "discrepancy_unfounded"


def test_an_absence_found_after_the_export_says_not_to_activate(
    told: str, sent: Graduates, clerk: Caller, act: Acting
) -> None:
    from domain.institution import Act as Signed
    from provider.commands import registers

    sent.room.solo(Signed.AMENDMENT)
    mark = sent.room.said("Ada", "absent", 1)
    registers.request_amendment(
        sent.office, act(by=sent.lead), course=sent.course, session=1, mark=mark, reason="wrong_mark"
    )
    registers.approve_amendment(sent.office, act(by=sent.lead), course=sent.course, session=1, number=1)
    assert [line["do_not_activate"] for line in clerk.get(told).json["items"]] == [True, False, False]


# Who may, and what is refused


@pytest.mark.parametrize("who", ["lead", "auditor_caller", "admin_caller"])
def test_only_a_registrar_writes(request: pytest.FixtureRequest, told: str, of_course: str, who: str) -> None:
    caller: Caller = request.getfixturevalue(who)
    for path, body in WRITES.items():
        answer = caller.post(f"{told}{path}", body)
        assert (answer.status_code, answer.json["code"]) == (403, "not_permitted"), path
    assert caller.post(of_course).status_code == 403


WRITES: dict[str, dict[str, Any]] = {
    "/parts": {},
    "/lines/1/exclude": {"reason": "unpaid"},
    "/lines/1/include": {},
    "/lines/1/remake": {},
    "/lines/1/withdraw": {"reason": "unpaid"},
    "/lines/1/observe": {"what": "account_activated", "on": "2026-06-02", "source": "body_page"},
    "/parts/1/validate": {},
    "/parts/1/approve": {},
    "/parts/1/export": {},
    "/parts/1/sent": {},
    "/parts/1/accepted-except": ACCEPTED,
    "/loaded": {"lines": [1]},
    "/selected": {"lines": [1]},
    "/paid": {"lines": [1]},
    "/activated": {"lines": [1]},
    "/outcomes": {"outcomes": [{"line": 1, "outcome": "accepted"}], "source": "body_page"},
    "/discrepancies/resolve": {
        "line": 1,
        "stream": str(UUID(int=7)),
        "version": 2,
        "aspect": "names",
        "resolution": "stands",
        "reason": "same_person",
    },
    "/abandon": {"reason": "course_unlisted"},
    "/complete": {},
}


def test_a_trainer_looks_at_their_own_course_without_its_notes(
    told: str, of_course: str, clerk: Caller, lead: Caller, auditor_caller: Caller
) -> None:
    clerk.post(f"{told}/lines/1/withdraw", {"reason": "wrong_person", "note": "A private matter."})
    notes = [who.get(of_course).json["items"][0]["withdrawn_note"] for who in (clerk, auditor_caller, lead)]
    assert notes == ["A private matter.", "A private matter.", None]
    assert lead.get(told).json["items"][0]["given"] == "Ada"
    assert lead.get(f"{told}/parts/1/file").data == FILE


def test_another_trainers_course_is_not_found(told: str, of_course: str, stranger: Caller) -> None:
    for path in (told, of_course, f"{told}/parts/1/file"):
        assert stranger.get(path).status_code == 404


def test_nobody_looks_without_a_token(told: str, caller: Callable[[str | None], Caller], admin_caller: Caller) -> None:
    assert caller(None).get(told).status_code == 401
    assert admin_caller.get(told).status_code == 403


def test_what_there_is_none_of_is_not_found(told: str, clerk: Caller) -> None:
    nothing = f"/v1/submissions/{uuid4()}"
    assert clerk.get(nothing).status_code == 404
    assert clerk.get(f"/v1/courses/{uuid4()}/submission").status_code == 404
    assert clerk.post(f"/v1/courses/{uuid4()}/submission").status_code == 404
    for path, body in WRITES.items():
        assert clerk.post(f"{nothing}{path}", body).status_code == 404, path
    for verb in ("validate", "approve", "export", "sent"):
        assert clerk.post(f"{told}/parts/9/{verb}").status_code == 404
    assert clerk.post(f"{told}/parts/9/accepted-except", ACCEPTED).status_code == 404
    assert clerk.post(f"{told}/lines/9/exclude", {"reason": "unpaid"}).status_code == 404
    assert clerk.post(f"{told}/lines/{10**30}/exclude", {"reason": "unpaid"}).status_code == 404


def test_a_change_needs_the_version_that_was_seen(drafted: str, clerk: Caller) -> None:
    path = f"{drafted}/parts/1/validate"
    assert clerk.post(path, version=None).status_code == 428
    stale = clerk.post(path, version=7)
    assert (stale.status_code, stale.headers["ETag"]) == (412, '"1"')
    assert clerk.post(path, version=1).status_code == 200


def test_a_draft_needs_a_key_and_is_made_once(clerk: Caller, of_course: str, sent: Graduates) -> None:
    assert clerk.post(of_course, key=None).json["code"] == "key_required"
    first = clerk.post(of_course, key="my-own-key")
    again = clerk.post(of_course, key="my-own-key")
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    other = clerk.post(of_course, {"enrolments": [str(sent.enrolment("Ada"))]}, key="my-own-key")
    assert (other.status_code, other.json["code"]) == (422, "key_reused")
    assert clerk.post(of_course).json["code"] == "already_drafted"


def test_whoever_drafted_is_not_let_approve(drafted: str, clerk: Caller) -> None:
    clerk.post(f"{drafted}/parts/1/validate")
    answer = clerk.post(f"{drafted}/parts/1/approve")
    assert (answer.status_code, answer.json["code"]) == (403, "approval_needs_another")


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("/loaded", {"lines": []}, "#/lines"),
    ("/loaded", {"lines": "1"}, "#/lines"),
    ("/loaded", {"lines": [True]}, "#/lines/0"),
    ("/loaded", {"lines": [1.5]}, "#/lines/0"),
    ("/loaded", {"lines": [-1]}, "#/lines/0"),
    ("/loaded", {"lines": [2**62]}, "#/lines/0"),
    ("/loaded", {"lines": [99]}, "#/lines"),
    ("/loaded", {}, "#/lines"),
    ("/loaded", {"lines": [1], "surprise": 1}, "#/surprise"),
    ("/paid", {"lines": [1], "amount": 50, "currency": "USD"}, "#/amount"),
    ("/paid", {"lines": [1], "amount": "-5", "currency": "USD"}, "#/amount"),
    ("/paid", {"lines": [1], "amount": "NaN", "currency": "USD"}, "#/amount"),
    ("/paid", {"lines": [1], "amount": "1e9", "currency": "USD"}, "#/amount"),
    ("/paid", {"lines": [1], "amount": "50", "currency": "usd"}, "#/currency"),
    ("/paid", {"lines": [1], "receipt": "a\u0000b"}, "#/receipt"),
    ("/outcomes", {"outcomes": [{"line": 1, "outcome": "maybe"}], "source": "body_page"}, "#/outcomes/0/outcome"),
    (
        "/outcomes",
        {"outcomes": [{"line": 1, "outcome": "rejected", "code": "BAD"}], "source": "x"},
        "#/outcomes/0/code",
    ),
    ("/outcomes", {"outcomes": [{"line": 1, "outcome": "rejected"}], **ACCEPTED}, "#/outcomes/0/code"),
    (
        "/outcomes",
        {"outcomes": [{"line": 1, "outcome": "accepted", "code": "OTHER"}], **ACCEPTED},
        "#/outcomes/0/code",
    ),
    (
        "/parts/1/accepted-except",
        {"exceptions": [{"line": 1, "outcome": "rejected", "code": "OTHER"}], **ACCEPTED},
        "#/exceptions/0/note",
    ),
    ("/outcomes", {"outcomes": [{"line": 1}], **ACCEPTED}, "#/outcomes/0/outcome"),
    ("/outcomes", {"outcomes": [{"line": 99, "outcome": "accepted"}], "source": "body_page"}, "#/outcomes"),
    ("/outcomes", {"outcomes": [{"line": 1, "outcome": "accepted"}]}, "#/source"),
    ("/parts/1/accepted-except", {"exceptions": [{"line": 99, "outcome": "unknown"}], **ACCEPTED}, "#/exceptions"),
    ("/lines/1/withdraw", {"note": "no reason"}, "#/reason"),
    ("/lines/1/withdraw", {"reason": "other"}, "#/note"),
    ("/lines/1/withdraw", {"reason": "two words"}, "#/reason"),
    ("/lines/1/withdraw", {"reason": "x", "note": "\u202eevil"}, "#/note"),
    ("/lines/1/observe", {"what": "wings", "on": "2026-06-02", "source": "learner"}, "#/what"),
    ("/lines/1/observe", {"what": "account_activated", "on": "2026-02-30", "source": "learner"}, "#/on"),
    ("/lines/1/observe", {"what": "account_activated", "on": "2027-01-01", "source": "learner"}, "#/on"),
    ("/lines/1/observe", {"what": "licence_accepted", "on": "2026-06-02", "source": "x"}, "#/agreement_version"),
    ("/lines/1/observe", {"what": "member_id", "on": "2026-06-02", "source": "x", "member_id": 7}, "#/member_id"),
    ("/parts", {"enrolments": ["nobody"]}, "#/enrolments/0"),
    ("/parts", {"enrolments": [str(UUID(int=9))]}, "#/enrolments"),
    ("/discrepancies/resolve", {**WRITES["/discrepancies/resolve"], "line": 99}, "#/line"),
    ("/discrepancies/resolve", {**WRITES["/discrepancies/resolve"], "aspect": "mood"}, "#/aspect"),
]


def test_what_is_wrong_in_itself_is_pointed_at_and_nothing_is_recorded(
    told: str, clerk: Caller, office: Office
) -> None:
    before = office.log.position()
    for verb, body, pointer in WRONG:
        answer = clerk.post(f"{told}{verb}", body)
        assert (answer.status_code, answer.mimetype) == (422, "application/problem+json"), (verb, body, answer.json)
        assert pointer in [error["pointer"] for error in answer.json["errors"]], (verb, body, answer.json)
    assert office.log.position() == before


UNFIT: list[tuple[str, dict[str, Any], str]] = [
    ("/lines/1/exclude", {"reason": "unpaid"}, "part_sent"),
    ("/lines/1/include", {}, "part_sent"),
    ("/lines/1/remake", {}, "part_sent"),
    ("/parts/1/approve", {}, "part_not_ready"),
    ("/parts/1/export", {}, "part_not_ready"),
    ("/parts", {}, "nobody_to_submit"),
    ("/activated", {"lines": [1]}, "step_out_of_order"),
    ("/complete", {}, "submission_unsettled"),
    ("/abandon", {"reason": "course_unlisted"}, "submission_sent"),
    ("/discrepancies/resolve", WRITES["/discrepancies/resolve"], "discrepancy_unfounded"),
]


def test_what_does_not_fit_the_state_is_a_conflict_and_nothing_is_recorded(
    told: str, clerk: Caller, office: Office
) -> None:
    before = office.log.position()
    for verb, body, code in UNFIT:
        answer = clerk.post(f"{told}{verb}", body)
        assert (answer.status_code, answer.json["code"]) == (409, code), (verb, answer.json)
    assert office.log.position() == before


def test_a_thing_that_happened_earlier_keeps_its_time(told: str, clerk: Caller, clock: Clock) -> None:
    clock.move(days=1)
    earlier = "2026-06-02T18:00:00Z"
    assert clerk.post(f"{told}/loaded", {"lines": [1], "at": earlier}).status_code == 200
    assert clerk.get(told).json["items"][0]["loaded_at"] == "2026-06-02T18:00:00.000000Z"


def test_no_private_value_is_in_the_log_or_the_views(told: str, clerk: Caller, office: Office) -> None:
    clerk.post(f"{told}/lines/1/observe", {**MEMBER, "member_id": "M-0815-4711"})
    clerk.post(f"{told}/lines/2/withdraw", {"reason": "wrong_person", "note": "He has wandered off."})
    clerk.get(told)
    office.views.engine.dispose()
    secret = [
        b"Lovelace",
        b"ada@example.org",
        b"M-0815-4711",
        b"wandered off",
        hashlib.sha256(FILE).hexdigest().encode(),
    ]
    for name in ("events.", "views-"):
        for file in office.settings.data.glob(f"{name}*"):
            held = file.read_bytes()
            assert [value for value in secret if value in held] == [], file.name


MEMBER = {"what": "member_id", "on": "2026-06-02", "source": "body_page"}
