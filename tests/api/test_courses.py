"""Courses over HTTP: what is asked for, what is refused, and who may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from provider.office import Office
from provider.work import Act
from tests.academy import Academy
from tests.conftest import Caller, Clock

CSPO = {"title": "CSPO in Zürich", "body": "SA", "code": "CSPO", "format": "in_person"}
TWO_DAYS = [
    {"day": day, "start": start, "end": end, "contact_minutes": 210, "place": "Zürich"}
    for day in ("2026-06-01", "2026-06-02")
    for start, end in (("09:00", "12:30"), ("13:30", "17:30"))
]


@pytest.fixture
def academy(office: Office, act: Callable[..., Act]) -> Academy:
    return Academy(office, act)


@pytest.fixture
def trainer_caller(caller: Callable[[str], Caller], token_of: Callable[..., str]) -> Callable[[UUID], Caller]:
    return lambda person: caller(token_of(person, Role.TRAINER))


def drafted(by: Caller) -> str:
    made = by.post("/v1/courses", CSPO, version=None)
    assert made.status_code == 201, made.json
    return str(made.json["id"])


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.json
    assert answer.mimetype == "application/problem+json"
    return dict(answer.json)


def test_a_course_from_draft_to_reopened(academy: Academy, registrar_caller: Caller, clock: Clock) -> None:
    lead, helper = academy.trainer("Lena"), academy.trainer("Hans")
    made = registrar_caller.post("/v1/courses", CSPO, version=None)
    course = made.headers["Location"]
    assert course == f"/v1/courses/{made.json['id']}"

    def post(verb: str, body: Any = None, **said: Any) -> Any:
        answer = registrar_caller.post(f"{course}/{verb}", body, **said)
        assert answer.status_code in (200, 201), answer.json
        return answer

    assert post("schedule", {"sessions": TWO_DAYS}, version=1).json["outcome"] is None
    post("trainers", {"person": str(lead), "role": "lead"}, version=2)
    post("trainers", {"person": str(helper), "role": "co_trainer"})
    post("open", {"capacity": {"limit": 12}, "minimum": 4})
    post("capacity", {"capacity": {"limit": None, "unlimited": True}, "reason": "larger_room", "note": "Room 7"})
    post("listing", {"body": "SA", "external_id": "4711", "address": "https://sa.example/4711"})
    post("close-enrolment")
    post("reopen-enrolment", {"reason": "late_group"})
    refused(registrar_caller.post(f"{course}/confirm"), 409, "below_minimum")
    post("confirm", {"reason": "in_house"})
    post("sessions/4/curtail", {"contact_minutes": 120, "reason": "fire_alarm"})
    added = post("sessions", {"day": "2026-06-03", "start": "09:00", "end": "10:30", "reason": "made_up"}, version=None)
    assert added.headers["Location"] == f"{course}/sessions/5"
    assert registrar_caller.get(added.headers["Location"]).json["contact_minutes"] == 90
    post("sessions/5/cancel", {"reason": "not_needed"})
    post(f"trainers/{helper}/release", {"reason": "ill"})
    clock.set(datetime(2026, 6, 2, 18, 0, tzinfo=UTC))
    post("sessions/1/held", {"started": "2026-06-01T09:05:00+02:00", "contact_minutes": 205})
    for number in (2, 3, 4):
        post(f"sessions/{number}/held")
    shown = registrar_caller.get(course)
    version = int(shown.headers["ETag"].strip('"'))
    assert version == shown.json["version"]
    post("deliver", version=version)
    problem = refused(registrar_caller.post(f"{course}/close"), 409, "course_unfinished")
    left = problem["detail"].partition("this is left: ")[2].partition(". ")[0].split(", ")
    post("close", {"waived": left, "reason": "paper_registers"})
    post("reopen", {"reason": "complaint"})

    shown = registrar_caller.get(course).json
    assert (shown["stage"], shown["confirmed"], shown["contact_minutes"]) == ("delivered", True, 205 + 210 + 210 + 120)
    assert shown["capacity"] == {"limit": None, "unlimited": True}
    assert shown["listings"] == [{"body": "SA", "external_id": "4711", "address": "https://sa.example/4711"}]
    assert shown["trainers"] == [{"person": str(lead), "role": "lead", "given": "Lena", "family": "Trainer"}]
    assert [each["cancelled"] for each in shown["sessions"]] == [False] * 4 + [True]
    assert shown["sessions"][0]["held"]["started"] == "2026-06-01T07:05:00.000000Z"


def test_a_plan_that_warns_is_refused_without_a_reason(academy: Academy, registrar_caller: Caller) -> None:
    course = f"/v1/courses/{drafted(registrar_caller)}"
    problem = refused(
        registrar_caller.post(f"{course}/schedule", {"sessions": TWO_DAYS[:2]}), 409, "warning_needs_reason"
    )
    assert "contact_minutes_below_policy" in problem["detail"]
    assert problem["errors"][0]["pointer"] == "#/reason"
    answer = registrar_caller.post(f"{course}/schedule", {"sessions": TWO_DAYS[:2], "reason": "third_day_online"})
    assert (answer.status_code, answer.json["outcome"]) == (200, "warned")
    assert registrar_caller.get(course).json["warnings_reason"] == "third_day_online"


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"zone": "Mars/Olympus"}, "unknown_zone", "#/sessions/0/zone"),
        ({"zone": "../../etc/passwd"}, "unknown_zone", "#/sessions/0/zone"),
        ({"zone": 7}, "invalidated", "#/sessions/0/zone"),
        ({"day": "2026-03-29", "start": "02:30"}, "nonexistent_time", "#/sessions/0/start"),
        ({"day": "2026-10-25", "start": "02:30"}, "ambiguous_time", "#/sessions/0/start"),
        ({"day": "1999-12-31"}, "invalidated", "#/sessions/0/day"),
        ({"day": "9999-12-31"}, "invalidated", "#/sessions/0/day"),
        ({"day": "2026-02-30"}, "invalidated", "#/sessions/0/day"),
        ({"day": 20260601}, "invalidated", "#/sessions/0/day"),
        ({"day": None}, "invalidated", "#/sessions/0/day"),
        ({"start": "25:00"}, "bad_time", "#/sessions/0/start"),
        ({"start": "9"}, "bad_time", "#/sessions/0/start"),
        ({"start": 900}, "invalidated", "#/sessions/0/start"),
        ({"end": "09:00"}, "session_length", "#/sessions/0/end"),
        ({"start": "00:00", "end": "23:59"}, "session_length", "#/sessions/0/end"),
        ({"contact_minutes": 211}, "contact_exceeds_length", "#/sessions/0/contact_minutes"),
        ({"contact_minutes": -1}, "invalidated", "#/sessions/0/contact_minutes"),
        ({"contact_minutes": "210"}, "invalidated", "#/sessions/0/contact_minutes"),
        ({"contact_minutes": 2**63}, "invalidated", "#/sessions/0/contact_minutes"),
        ({"fold": 2}, "invalidated", "#/sessions/0/fold"),
        ({"fold": True}, "invalidated", "#/sessions/0/fold"),
        ({"place": "Z\u202eürich"}, "invalidated", "#/sessions/0/place"),
        ({"number": 1}, "numbers_too_early", "#/sessions"),
        ({"number": 2**63}, "invalidated", "#/sessions/0/number"),
        ({"colour": "red"}, "invalidated", "#/sessions/0/colour"),
        ({"day": "2026-06-02"}, "sessions_overlap", "#/sessions"),
    ],
)
def test_a_session_that_can_t_be_is_unprocessable(
    academy: Academy, registrar_caller: Caller, change: dict[str, Any], code: str, pointer: str
) -> None:
    course = f"/v1/courses/{drafted(registrar_caller)}"
    sessions = [{**TWO_DAYS[0], **change}, *TWO_DAYS[1:]]
    answer = registrar_caller.post(f"{course}/schedule", {"sessions": sessions, "reason": "test"})
    problem = refused(answer, 422, code)
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("sessions", [[], None, {}, "all", [None], [TWO_DAYS[0]] * 101])
def test_a_plan_that_is_no_plan_is_unprocessable(academy: Academy, registrar_caller: Caller, sessions: Any) -> None:
    course = f"/v1/courses/{drafted(registrar_caller)}"
    answer = registrar_caller.post(f"{course}/schedule", {"sessions": sessions, "reason": "test"})
    refused(answer, 422, "invalidated")


def test_the_second_of_two_equal_times_can_be_meant(academy: Academy, registrar_caller: Caller) -> None:
    course = f"/v1/courses/{drafted(registrar_caller)}"
    night = {"day": "2026-10-25", "start": "02:30", "end": "05:00", "fold": 1}
    answer = registrar_caller.post(f"{course}/schedule", {"sessions": [night], "reason": "test"})
    assert answer.status_code == 200
    (session,) = registrar_caller.get(f"{course}/sessions").json["items"]
    assert (session["starts"], session["scheduled_minutes"]) == ("2026-10-25T01:30:00.000000Z", 150)


@pytest.mark.parametrize(
    ("capacity", "code"),
    [
        ({"limit": 0}, "invalidated"),
        ({"limit": -1}, "invalidated"),
        ({"limit": "12"}, "invalidated"),
        ({"limit": 12.5}, "invalidated"),
        ({"limit": True}, "invalidated"),
        ({"limit": 2**63}, "invalidated"),
        ({"limit": None}, "impossible_capacity"),
        ({}, "impossible_capacity"),
        ({"unlimited": False}, "impossible_capacity"),
        ({"limit": 12, "unlimited": True}, "impossible_capacity"),
        ({"unlimited": "yes"}, "invalidated"),
        (None, "invalidated"),
        (12, "invalidated"),
    ],
)
def test_a_capacity_is_a_number_of_seats_or_unlimited(
    academy: Academy, registrar_caller: Caller, capacity: Any, code: str
) -> None:
    course = academy.scheduled()
    academy.assign(course, academy.trainer("Lena"))
    refused(registrar_caller.post(f"/v1/courses/{course}/open", {"capacity": capacity}), 422, code)
    assert registrar_caller.get(f"/v1/courses/{course}").json["stage"] == "scheduled"


def test_a_minimum_fits_the_capacity(academy: Academy, registrar_caller: Caller) -> None:
    course = academy.scheduled()
    academy.assign(course, academy.trainer("Lena"))
    for minimum in (0, "4"):
        answer = registrar_caller.post(f"/v1/courses/{course}/open", {"capacity": {"limit": 12}, "minimum": minimum})
        refused(answer, 422, "invalidated")
    answer = registrar_caller.post(f"/v1/courses/{course}/open", {"capacity": {"limit": 12}, "minimum": 13})
    refused(answer, 422, "impossible_capacity")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"title": ""}, "invalidated"),
        ({"title": "x" * 201}, "invalidated"),
        ({"title": "a\x00b"}, "invalidated"),
        ({"title": None}, "invalidated"),
        ({"body": "NONE"}, "invalidated"),
        ({"code": "NONE"}, "unknown_credential"),
        ({"code": "CSPO\n"}, "invalidated"),
        ({"format": "by_post"}, "invalidated"),
        ({"first_day": "2001-01-01"}, "no_policy_in_force"),
        ({"first_day": "1066-10-14"}, "invalidated"),
        ({"course": str(uuid4())}, "invalidated"),
        ({"at": "2026-05-05T06:00:00Z"}, "future_time"),
    ],
)
def test_a_draft_that_can_t_be_is_unprocessable(
    academy: Academy, registrar_caller: Caller, change: dict[str, Any], code: str
) -> None:
    refused(registrar_caller.post("/v1/courses", {**CSPO, **change}, version=None), 422, code)


def test_trainers_who_are_unknown_or_may_not_are_refused(
    academy: Academy, registrar_caller: Caller, registrar: UUID
) -> None:
    course = academy.scheduled()
    address = f"/v1/courses/{course}/trainers"
    for stranger in (uuid4(), registrar):
        answer = registrar_caller.post(address, {"person": str(stranger), "role": "lead"})
        assert refused(answer, 422, "unknown_trainer")["errors"][0]["pointer"] == "#/person"
    nobody = academy.trainer("Noah", None)
    refused(registrar_caller.post(address, {"person": str(nobody), "role": "lead"}), 409, "not_authorised")
    for wrong in ({"person": "Lena", "role": "lead"}, {"person": str(nobody), "role": "boss"}, {"role": "lead"}):
        refused(registrar_caller.post(address, wrong), 422, "invalidated")
    refused(registrar_caller.post(f"{address}/{nobody}/release", {"reason": "ill"}), 409, "not_on_the_course")
    busy = academy.trainer("Bea")
    academy.open(busy)
    refused(registrar_caller.post(address, {"person": str(busy), "role": "lead"}), 409, "double_booked")


def test_a_trainer_is_replaced_in_one_step(academy: Academy, registrar_caller: Caller) -> None:
    lead, successor = academy.trainer("Lena"), academy.trainer("Susi")
    course = f"/v1/courses/{academy.open(lead)}"
    refused(registrar_caller.post(f"{course}/trainers/{lead}/release", {"reason": "ill"}), 409, "lead_needed")
    answer = registrar_caller.post(f"{course}/trainers/{lead}/replace", {"new": str(successor), "reason": "ill"})
    assert (answer.status_code, answer.json["ids"]) == (200, [str(lead), str(successor)])
    assert registrar_caller.get(course).json["lead"] == str(successor)


def test_the_institution_must_be_registered_with_the_body(registrar_caller: Caller) -> None:
    course = f"/v1/courses/{drafted(registrar_caller)}"
    refused(registrar_caller.post(f"{course}/schedule", {"sessions": TWO_DAYS}), 409, "not_registered")


def test_a_session_is_held_when_it_is_over(academy: Academy, registrar_caller: Caller, clock: Clock) -> None:
    address = f"/v1/courses/{academy.open(academy.trainer('Lena'))}/sessions"
    refused(registrar_caller.post(f"{address}/1/held"), 422, "held_in_future")
    clock.set(datetime(2026, 6, 1, 18, 0, tzinfo=UTC))
    wrong = {"started": "2026-06-01T09:00:00+02:00", "ended": "2026-06-01T08:00:00+02:00"}
    refused(registrar_caller.post(f"{address}/1/held", wrong), 422, "held_impossibly")
    refused(registrar_caller.post(f"{address}/1/held", {"started": "2026-06-01T09:00:00"}), 422, "invalidated")
    refused(registrar_caller.post(f"{address}/1/held", {"contact_minutes": 300}), 422, "held_impossibly")
    refused(registrar_caller.post(f"{address}/1/held", {"trainers": []}), 422, "invalidated")
    refused(registrar_caller.post(f"{address}/1/held", {"trainers": [str(uuid4())]}), 409, "not_on_the_course")
    for number in (0, 5, 10**30):
        refused(registrar_caller.post(f"{address}/{number}/held"), 404, "not_found")
        assert registrar_caller.get(f"{address}/{number}").status_code == 404
    assert registrar_caller.post(f"{address}/1/held").status_code == 200
    refused(registrar_caller.post(f"{address}/1/held"), 409, "session_already_held")
    refused(
        registrar_caller.post(f"{address}/1/curtail", {"contact_minutes": 210, "reason": "x"}), 409, "not_curtailed"
    )


def test_a_trainer_sees_and_runs_their_own_courses_only(
    academy: Academy, registrar_caller: Caller, trainer_caller: Callable[[UUID], Caller], clock: Clock
) -> None:
    lead, other = academy.trainer("Lena"), academy.trainer("Otto")
    mine, theirs = academy.open(lead), academy.open(other)
    me = trainer_caller(lead)
    assert [each["course"] for each in me.get("/v1/courses").json] == [str(mine)]
    assert len(registrar_caller.get("/v1/courses").json) == 2
    assert me.get(f"/v1/courses/{mine}").status_code == 200
    for path in ("", "/sessions", "/sessions/1"):
        refused(me.get(f"/v1/courses/{theirs}{path}"), 404, "not_found")
    clock.set(datetime(2026, 6, 1, 18, 0, tzinfo=UTC))
    assert me.post(f"/v1/courses/{mine}/sessions/1/held").status_code == 200
    refused(me.post(f"/v1/courses/{theirs}/sessions/1/held"), 404, "not_found")
    refused(
        me.post(f"/v1/courses/{theirs}/sessions/1/curtail", {"contact_minutes": 1, "reason": "x"}), 404, "not_found"
    )
    refused(me.post(f"/v1/courses/{mine}/cancel", {"reason": "tired"}), 403, "not_permitted")
    refused(me.post("/v1/courses", CSPO, version=None), 403, "not_permitted")
    refused(me.post(f"/v1/courses/{mine}/trainers", {"person": str(lead), "role": "lead"}), 403, "not_permitted")


def test_who_has_not_the_role_is_refused(
    academy: Academy, auditor_caller: Caller, admin_caller: Caller, caller: Callable[[str | None], Caller]
) -> None:
    course = academy.scheduled()
    assert auditor_caller.get(f"/v1/courses/{course}").status_code == 200
    refused(auditor_caller.post("/v1/courses", CSPO, version=None), 403, "not_permitted")
    for verb in ("schedule", "open", "cancel", "deliver", "close", "sessions/1/held", "sessions/1/cancel"):
        refused(auditor_caller.post(f"/v1/courses/{course}/{verb}", {**WHOLE.get(verb, {})}), 403, "not_permitted")
    refused(admin_caller.get("/v1/courses"), 403, "not_permitted")
    refused(caller(None).get("/v1/courses"), 401, "not_signed_in")


WHOLE: dict[str, dict[str, Any]] = {
    "schedule": {"sessions": TWO_DAYS},
    "open": {"capacity": {"limit": 12}},
    "cancel": {"reason": "too_few"},
    "sessions/1/cancel": {"reason": "too_few"},
}
"""Bodies that are right, so that nothing but the role is to blame."""


def test_an_unknown_course_is_not_found(academy: Academy, registrar_caller: Caller, office: Office) -> None:
    for stream in (uuid4(), office.institution):
        course = f"/v1/courses/{stream}"
        refused(registrar_caller.get(course), 404, "not_found")
        refused(registrar_caller.get(f"{course}/sessions/1"), 404, "not_found")
        refused(registrar_caller.post(f"{course}/cancel", {"reason": "too_few"}), 404, "not_found")
        refused(registrar_caller.post(f"{course}/copy", {"first_day": "2026-09-01"}, version=None), 404, "not_found")
    refused(registrar_caller.get(f"/v1/courses/{uuid4()}/sessions"), 404, "not_found")
    assert registrar_caller.get("/v1/courses/nonsense").status_code == 404


@pytest.mark.parametrize("address", ["javascript:alert(1)", "ftp://sa.example/1", "sa.example", "", 7])
def test_a_listing_has_a_web_address(academy: Academy, registrar_caller: Caller, address: Any) -> None:
    course = f"/v1/courses/{academy.scheduled()}"
    listing = {"body": "SA", "external_id": "4711", "address": address}
    refused(registrar_caller.post(f"{course}/listing", listing), 422, "invalidated")
    refused(registrar_caller.post(f"{course}/listing", {"body": "PMI", "external_id": "1"}), 422, "other_credential")
    assert registrar_caller.get(course).json["listings"] == []


def test_a_version_is_needed_and_must_be_the_present_one(academy: Academy, registrar_caller: Caller) -> None:
    course = f"/v1/courses/{academy.scheduled()}"
    refused(registrar_caller.post(f"{course}/cancel", {"reason": "x"}, version=None), 428, "precondition_required")
    answer = registrar_caller.post(f"{course}/cancel", {"reason": "x"}, version=1)
    refused(answer, 412, "stale")
    assert answer.headers["ETag"] == '"2"'
    assert registrar_caller.post(f"{course}/cancel", {"reason": "x"}, version=2).status_code == 200


def test_a_key_is_answered_once_and_never_for_another_request(
    academy: Academy, registrar_caller: Caller, office: Office
) -> None:
    refused(registrar_caller.post("/v1/courses", CSPO, version=None, key=None), 400, "key_required")
    first = registrar_caller.post("/v1/courses", CSPO, version=None, key="draft-0001")
    position = office.log.position()
    again = registrar_caller.post("/v1/courses", CSPO, version=None, key="draft-0001")
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert office.log.position() == position
    other = registrar_caller.post("/v1/courses", {**CSPO, "title": "Other"}, version=None, key="draft-0001")
    refused(other, 422, "key_reused")


def test_a_course_is_copied_to_another_day(academy: Academy, registrar_caller: Caller) -> None:
    course = academy.open(academy.trainer("Lena"))
    made = registrar_caller.post(
        f"/v1/courses/{course}/copy", {"first_day": "2026-11-02", "title": "CSPO in winter"}, version=None
    )
    assert made.status_code == 201
    copied = registrar_caller.get(made.headers["Location"]).json
    assert (copied["title"], copied["copied_from"], copied["first_day"]) == (
        "CSPO in winter",
        str(course),
        "2026-11-02",
    )
    assert copied["sessions"][0]["starts"] == "2026-11-02T08:00:00.000000Z"
    refused(
        registrar_caller.post(f"/v1/courses/{course}/copy", {"first_day": "2027-02-01"}, version=None),
        409,
        "not_registered",
    )


def test_what_is_wrong_with_one_session_or_a_copy_points_to_what_was_asked(
    academy: Academy, registrar_caller: Caller
) -> None:
    course = f"/v1/courses/{academy.open(academy.trainer('Lena'))}"
    for change, code, pointer in (
        ({"day": "2026-06-02"}, "sessions_overlap", "#/start"),
        ({"start": "00:00", "end": "23:59"}, "session_length", "#/end"),
        ({"contact_minutes": 211}, "contact_exceeds_length", "#/contact_minutes"),
    ):
        said = {"day": "2026-06-04", "start": "09:00", "end": "12:30", "reason": "made_up", **change}
        problem = refused(registrar_caller.post(f"{course}/sessions", said, version=None), 422, code)
        assert problem["errors"][0]["pointer"] == pointer
    # Where the clocks go back in that night, its twelve hours would be thirteen.
    night = {"day": "2026-09-06", "start": "00:30", "end": "12:30"}
    drafted_course = f"/v1/courses/{drafted(registrar_caller)}"
    registrar_caller.post(f"{drafted_course}/schedule", {"sessions": [night], "reason": "test"})
    answer = registrar_caller.post(f"{drafted_course}/copy", {"first_day": "2026-10-25", "reason": "x"}, version=None)
    assert refused(answer, 422, "session_length")["errors"][0]["pointer"] == "#/first_day"


def test_lists_have_pages_that_stand_still(academy: Academy, registrar_caller: Caller) -> None:
    made = [drafted(registrar_caller) for _ in range(3)]
    page = registrar_caller.get("/v1/courses?limit=2&stage=draft")
    drafted(registrar_caller)
    following = page.headers["Link"].partition(">")[0].removeprefix("<")
    rest = registrar_caller.get(following)
    assert [each["course"] for each in (*page.json, *rest.json)] == made
    assert "Link" not in rest.headers
    refused(registrar_caller.get("/v1/courses?stage=lost"), 422, "invalidated")
    refused(registrar_caller.get("/v1/courses?limit=0"), 422, "invalidated")


def test_a_course_can_be_seen_as_it_was(academy: Academy, registrar_caller: Caller, office: Office) -> None:
    course = academy.open(academy.trainer("Lena"))
    then = office.log.position()
    registrar_caller.post(f"/v1/courses/{course}/cancel", {"reason": "strike"})
    before = registrar_caller.get(f"/v1/courses/{course}?as_of={then}")
    assert (before.json["stage"], before.headers["X-Position"]) == ("open", str(then))
    assert before.headers["ETag"] == f'"{before.json["version"]}"'
    assert registrar_caller.get(f"/v1/courses/{course}").json["stage"] == "cancelled"
    refused(registrar_caller.get(f"/v1/courses/{course}?as_of=1"), 404, "not_found")


def test_courses_can_be_had_as_a_table(academy: Academy, registrar_caller: Caller) -> None:
    academy.draft("=1+1")
    table = registrar_caller.get("/v1/courses", headers={"Accept": "text/csv"})
    header, row = table.get_data(as_text=True).removeprefix("\ufeff").splitlines()
    assert table.mimetype == "text/csv"
    assert header.startswith("course,title,body,code,")
    assert ",'=1+1,SA,CSPO," in row
    sessions = registrar_caller.get(f"/v1/courses/{academy.scheduled()}/sessions", headers={"Accept": "text/csv"})
    assert len(sessions.get_data(as_text=True).splitlines()) == 5


def test_an_erased_trainer_stays_on_the_course_without_a_name(
    academy: Academy, registrar_caller: Caller, office: Office
) -> None:
    lead = academy.trainer("Lena")
    course = academy.open(lead)
    office.keys.forget(lead)
    (shown,) = registrar_caller.get(f"/v1/courses/{course}").json["trainers"]
    assert shown == {"person": str(lead), "role": "lead", "given": "(erased)", "family": "(erased)"}
