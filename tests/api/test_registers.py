"""Registers over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from time import sleep
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from flask import Flask
from hypothesis import given as for_any
from hypothesis import strategies as st
from marshmallow import ValidationError

from api.fields import Body
from api.rest.registers import Marks, MarkSaid, _plain_mark
from domain.access import Role
from domain.register import Status
from projections.registers import learners
from provider.commands import courses, enrolments
from provider.office import Office
from provider.views import A_MOMENT
from tests.academy import Acting
from tests.classroom import Classroom, seated
from tests.conftest import Caller, Clock
from tests.stage import Stage

NOTHING_RECORDED: dict[str, Any] = {"version": 0, "position": None}


@pytest.fixture
def stage() -> Stage[Classroom]:
    """Ada and Bob have a seat in a class that is about to begin."""
    return seated("Ada", "Bob")


@pytest.fixture
def lead_caller(caller: Callable[[str | None], Caller], room: Classroom, token_of: Callable[..., str]) -> Caller:
    return caller(token_of(room.lead, Role.TRAINER))


@pytest.fixture
def other_caller(caller: Callable[[str | None], Caller], room: Classroom, token_of: Callable[..., str]) -> Caller:
    """A trainer of no course."""
    return caller(token_of(room.academy.trainer("Otto"), Role.TRAINER))


@pytest.fixture
def path(room: Classroom) -> str:
    return f"/v1/courses/{room.course}/sessions/1/register"


def mark(room: Classroom, name: str = "Ada", status: str = "present", **more: Any) -> dict[str, Any]:
    return {
        "mark": str(uuid4()),
        "person": str(room.people[name]),
        "status": status,
        "marked_at": "2026-06-01T07:05:00Z",
        **more,
    }


def batch(*marks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"sent_at": "2026-06-01T07:05:00Z", "marks": list(marks), **more}


def test_a_mark_is_never_refused_because_the_views_lost_its_learner(
    lead_caller: Caller, room: Classroom, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = room.office.log.position()
    with room.office.views.engine.connect() as connection:
        connection.execute(learners.delete().where(learners.c.person == str(room.people["Ada"])))
    answer = lead_caller.post(f"{path}/marks", batch(mark(room), mark(room, "Bob")))
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["code"] == "views_incomplete"
    assert "views rebuild" in answer.json["detail"]
    assert room.office.log.position() == before
    assert [record.message for record in caplog.records] == ["the views do not say what the log says"]


def test_marks_are_answered_one_by_one_in_their_order(lead_caller: Caller, room: Classroom, path: str) -> None:
    known = mark(room)
    lead_caller.post(f"{path}/marks", batch(known))
    answer = lead_caller.post(
        f"{path}/marks",
        batch(
            mark(room, "Bob", "late", late_minutes=10),
            known,
            {**known, "status": "absent"},
            {**mark(room), "person": str(uuid4())},
        ),
        version=None,
        key=None,
    )
    assert answer.status_code == 200
    results = answer.json["results"]
    assert [each["outcome"] for each in results] == ["applied", "duplicate", "rejected", "rejected"]
    assert [each["code"] for each in results] == [None, None, "mark_id_reused", "not_enrolled"]
    assert results[3]["message"].startswith("This person is not enrolled")
    assert answer.headers["X-Position"] == str(answer.json["position"])
    assert answer.headers["ETag"] == f'"{answer.json["version"]}"'


def test_the_register_shows_who_was_there(lead_caller: Caller, room: Classroom, path: str) -> None:
    lead_caller.post(f"{path}/marks", batch(mark(room, status="late", late_minutes=10)))
    answer = lead_caller.get(path)
    assert answer.status_code == 200, answer.json
    assert answer.headers["ETag"] == '"2"'
    ada, bob = answer.json["items"]
    assert (ada["given"], ada["status"], ada["mark"]["late_minutes"]) == ("Ada", "late", 10)
    assert (ada["mark"]["authority"], ada["mark"]["author"]) == ("lead", str(room.lead))
    assert (bob["status"], bob["mark"], bob["marks"]) == ("unmarked", None, [])
    assert answer.json["lead"] == str(room.lead)


def test_a_registrar_enters_the_sheet_of_a_trainer_on_their_behalf(
    registrar_caller: Caller, registrar: UUID, room: Classroom, path: str, clock: Clock
) -> None:
    behalf = {"on_behalf_of": str(room.lead)}
    sheet = batch(mark(room, evidence="sheet 7"), **behalf)
    assert registrar_caller.post(f"{path}/marks", sheet).json["results"][0]["outcome"] == "applied"
    assert registrar_caller.post(f"{path}/mark-all-present", behalf).status_code == 200
    ada, bob = (learner["mark"] for learner in registrar_caller.get(path).json["items"])
    for made in (ada, bob):
        assert (made["author"], made["on_behalf_of"], made["authority"]) == (
            str(registrar),
            str(room.lead),
            "registrar",
        )
    entry = registrar_caller.get(f"/v1/history?course={room.course}&limit=1").json[0]
    assert entry["on_behalf_of"]["id"] == str(room.lead)
    assert "by Rita Registrar, on behalf of Lea Trainer" in entry["sentence"]
    clock.move(hours=12)
    held = registrar_caller.post(f"/v1/courses/{room.course}/sessions/1/held", behalf)
    assert held.status_code == 200, held.json
    entry = registrar_caller.get(f"/v1/history?course={room.course}&limit=1").json[0]
    assert "on behalf of Lea Trainer" in entry["sentence"]


def test_on_whose_behalf_is_for_registrars_to_say_and_must_be_somebody(
    registrar_caller: Caller, admin_caller: Caller, lead_caller: Caller, room: Classroom, path: str, office: Office
) -> None:
    before = office.log.position()
    answer = lead_caller.post(f"{path}/marks", batch(mark(room), on_behalf_of=str(room.people["Ada"])))
    assert (answer.status_code, answer.json["code"]) == (403, "not_permitted")
    for nobody in (uuid4(), room.course):
        answer = registrar_caller.post(f"{path}/marks", batch(mark(room), on_behalf_of=str(nobody)))
        assert (answer.status_code, answer.json["code"]) == (422, "unknown_behalf")
        assert answer.json["errors"][0]["pointer"] == "#/on_behalf_of"
    answer = registrar_caller.post(f"{path}/marks", batch({**mark(room), "on_behalf_of": str(room.lead)}))
    assert answer.status_code == 422
    assert office.log.position() == before
    rename = {"name": "Another Academy", "on_behalf_of": str(room.lead)}
    assert admin_caller.post("/v1/institution/rename", rename).status_code == 200


def test_a_register_that_nobody_opened_is_there_at_version_0(lead_caller: Caller, path: str) -> None:
    answer = lead_caller.get(path)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"0"'
    assert answer.json["version"] == 0


WRONG: list[tuple[str, Any]] = [
    ("mark", "1"),
    ("mark", 1),
    ("mark", None),
    ("mark", "x" * 36),
    ("person", ["a"]),
    ("status", "there"),
    ("status", None),
    ("status", {}),
    ("late_minutes", -1),
    ("late_minutes", 1.5),
    ("late_minutes", "5"),
    ("late_minutes", True),
    ("late_minutes", None),
    ("left_early_minutes", 1441),
    ("signed_in", "yesterday"),
    ("signed_in", 5),
    ("signed_out", "2026-06-01"),
    ("evidence", ""),
    ("evidence", "   "),
    ("evidence", "a\x00b"),
    ("evidence", "\u202eabc"),
    ("evidence", "x" * 201),
    ("evidence", 7),
    ("marked_at", "2026-06-01T07:05:00"),
    ("marked_at", "2026-06-31T07:05:00Z"),
    ("marked_at", "1999-06-01T07:05:00Z"),
    ("marked_at", ""),
    ("marked_at", None),
    ("marked_at", {}),
    ("device", "phone"),
    ("seq", -1),
    ("seq", 2**53),
    ("seq", "1"),
    ("corrects", "x"),
    ("color", "red"),
]
"""Members of a mark, each with a value that it can't have."""

NO_BATCH: list[Any] = [
    {"marks": []},
    {"sent_at": "2026-06-01T07:05:00Z"},
    {"sent_at": "2026-06-01T07:05:00Z", "marks": "all"},
    {"sent_at": "2026-06-01T07:05:00Z", "marks": {}},
    {"sent_at": "2026-06-01T07:05:00Z", "marks": [None]},
    {"sent_at": "2026-06-01T07:05:00Z", "marks": [[]]},
    [],
    "marks",
]


class TestBatches:
    def test_are_taken_without_conditions_and_whatever_the_key(
        self, lead_caller: Caller, room: Classroom, path: str
    ) -> None:
        sent = batch(mark(room))
        first = lead_caller.post(f"{path}/marks", sent, key="the same key")
        again = lead_caller.post(f"{path}/marks", sent, key="the same key")
        other = lead_caller.post(f"{path}/marks", batch(mark(room, "Bob")), key="the same key")
        assert [each.json["results"][0]["outcome"] for each in (first, again, other)] == [
            "applied",
            "duplicate",
            "applied",
        ]
        assert again.json["position"] is None
        assert "X-Position" not in again.headers

    def test_need_not_record_anything(self, lead_caller: Caller, room: Classroom, path: str) -> None:
        answer = lead_caller.post(f"{path}/marks", batch({**mark(room), "status": "late"}))
        assert answer.status_code == 200
        assert {name: answer.json[name] for name in NOTHING_RECORDED} == NOTHING_RECORDED
        assert answer.headers["ETag"] == '"0"'

    def test_of_a_registrar_are_marked_as_theirs(self, registrar_caller: Caller, room: Classroom, path: str) -> None:
        assert registrar_caller.post(f"{path}/marks", batch(mark(room))).json["results"][0]["outcome"] == "applied"
        assert registrar_caller.get(path).json["items"][0]["mark"]["authority"] == "registrar"

    def test_hold_up_to_200_marks(self, lead_caller: Caller, room: Classroom, path: str) -> None:
        marks = [mark(room, device=str(room.course), seq=n) for n in range(201)]
        assert lead_caller.post(f"{path}/marks", batch(*marks)).status_code == 422
        answer = lead_caller.post(f"{path}/marks", batch(*marks[1:]))
        assert [each["outcome"] for each in answer.json["results"]] == ["applied"] * 200
        assert lead_caller.post(f"{path}/marks", batch()).status_code == 422

    def test_say_which_member_of_a_mark_is_wrong(self, lead_caller: Caller, room: Classroom, path: str) -> None:
        for member, value in WRONG:
            answer = lead_caller.post(f"{path}/marks", batch(mark(room, "Bob"), {**mark(room), member: value}))
            assert answer.status_code == 422, (member, value)
            assert answer.mimetype == "application/problem+json"
            assert [each["pointer"] for each in answer.json["errors"]] == [f"#/marks/1/{member}"], (member, value)
        assert lead_caller.get(path).json["version"] == 0

    def test_say_which_member_of_a_mark_is_missing(self, lead_caller: Caller, room: Classroom, path: str) -> None:
        for member in ("mark", "person", "status", "marked_at"):
            sent = mark(room)
            del sent[member]
            answer = lead_caller.post(f"{path}/marks", batch(sent))
            assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, f"#/marks/0/{member}")

    def test_are_refused_when_they_are_no_batch(self, lead_caller: Caller, path: str) -> None:
        for sent in NO_BATCH:
            assert lead_caller.post(f"{path}/marks", sent).status_code == 422, sent

    def test_refuse_members_that_they_do_not_know(self, lead_caller: Caller, room: Classroom, path: str) -> None:
        sent = batch(mark(room), at="2026-06-01T07:05:00Z")
        assert lead_caller.post(f"{path}/marks", sent).status_code == 422

    def test_of_a_session_that_does_not_exist_are_not_found(self, lead_caller: Caller, room: Classroom) -> None:
        for session in ("5", "0", "-1", "1.5", str(10**30), "x"):
            path = f"/v1/courses/{room.course}/sessions/{session}/register"
            assert lead_caller.post(f"{path}/marks", batch(mark(room))).status_code == 404
            assert lead_caller.get(path).status_code == 404


MARKS_SAID = st.fixed_dictionaries(
    {"mark": st.uuids().map(str), "person": st.uuids().map(str), "status": st.sampled_from(list(Status))},
    optional={
        "late_minutes": st.integers(-1, 2000),
        "left_early_minutes": st.integers(0, 10),
        "signed_in": st.none() | st.sampled_from(["2026-06-01T07:00:00Z", "2026-06-01T09:00:00+02:00"]),
        "evidence": st.none() | st.text(max_size=5),
        "marked_at": st.sampled_from(
            [
                "2026-06-01T07:05:00Z",
                "2026-06-01T07:05:00.123Z",
                "2026-06-01T07:05:00.123456Z",
                "2026-06-01 07:05:00Z",
                "2026-06-01T07:05:00,5Z",
                "20260601T070500Z",
                "2026-06-01T07:05Z",
            ]
        ),
        "device": st.none() | st.uuids().map(str),
        "seq": st.none() | st.integers(-1, 2**54),
        "corrects": st.none() | st.uuids().map(str).map(str.upper),
    },
)


@for_any(MARKS_SAID)
def test_a_mark_that_is_read_at_once_is_what_the_schema_reads(said: dict[str, Any]) -> None:
    try:
        quick = _plain_mark(said)
    except (LookupError, TypeError, ValueError):
        return
    assert quick == MarkSaid().load(said)


class Slowly(io.BytesIO):
    """A body of which the last bytes come when something else has happened."""

    def __init__(self, said: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(said)
        self.meanwhile: Callable[[], object] | None = meanwhile

    def readinto(self, into: Any) -> int:
        if (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            other = Thread(target=meanwhile)
            other.start()
            other.join()
            sleep(A_MOMENT)
        return super().readinto(into)

    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("the library reads into a buffer")


def test_a_mark_whose_body_came_slowly_is_decided_by_what_is_so_when_it_is_there(
    app: Flask, office: Office, act: Acting, lead_caller: Caller, room: Classroom, path: str
) -> None:
    def cancel() -> None:
        courses.cancel_session(office, act(), course=room.course, session=1, reason="ill")

    answer = app.test_client().post(
        f"{path}/marks",
        input_stream=Slowly(orjson.dumps(batch(mark(room))), cancel),
        content_length=len(orjson.dumps(batch(mark(room)))),
        content_type="application/json",
        headers={"Authorization": f"Bearer {lead_caller.token}"},
    )
    assert (answer.status_code, answer.json["code"]) == (409, "session_dropped")


@for_any(
    st.fixed_dictionaries(
        {},
        optional={
            "sent_at": st.sampled_from(["2026-06-01T07:05:00Z", "2026-06-01T09:05:00+02:00", "today", 7, None]),
            "marks": st.lists(MARKS_SAID, max_size=3) | st.none() | st.just({}),
            "on_behalf_of": st.none() | st.uuids().map(str),
            "at": st.just("2026-06-01T07:05:00Z"),
        },
    )
    | st.lists(st.text(max_size=3), max_size=2)
    | st.none()
)
def test_a_batch_that_is_read_at_once_is_what_the_schema_reads(said: Any) -> None:
    def read(load: Callable[[Any], Any]) -> Any:
        try:
            return load(said)
        except ValidationError as error:
            return error.messages

    class Slowly(Marks):
        load = Body.load

    assert read(Marks().load) == read(Slowly().load)


def test_everybody_is_marked_present_but_some(lead_caller: Caller, room: Classroom, path: str) -> None:
    sent = {"except": [mark(room, "Bob", "absent")]}
    answer = lead_caller.post(f"{path}/mark-all-present", sent, version=None, key=None)
    assert [each["outcome"] for each in answer.json["results"]] == ["applied", "applied"]
    assert [row["status"] for row in lead_caller.get(path).json["items"]] == ["present", "absent"]
    assert lead_caller.post(f"{path}/mark-all-present", sent, version=None).json["position"] is None
    wrong = lead_caller.post(f"{path}/mark-all-present", {"except": [{**mark(room), "seq": "x"}]})
    assert wrong.json["errors"][0]["pointer"] == "#/except/0/seq"
    refused = lead_caller.post(f"{path}/mark-all-present", {"except": [mark(room, status="late")]})
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "#/except/0")


def test_a_register_is_sealed_countersigned_and_amended(
    lead_caller: Caller, registrar_caller: Caller, room: Classroom, path: str
) -> None:
    said = {"attestation": "I was there."}
    lead_caller.post(f"{path}/mark-all-present")
    early = lead_caller.post(f"{path}/seal", said)
    assert (early.status_code, early.json["code"]) == (409, "session_not_over")
    room.clock.set(room.starts(1) + timedelta(hours=4))
    assert lead_caller.post(f"{path}/seal", said, version=None).status_code == 428
    assert lead_caller.post(f"{path}/seal", said, version=1).status_code == 412
    assert lead_caller.post(f"{path}/seal", {}).status_code == 422
    sealed = lead_caller.post(f"{path}/seal", said, version=3)
    assert (sealed.status_code, sealed.headers["ETag"]) == (200, '"4"')
    assert lead_caller.post(f"{path}/seal", said).json["code"] == "already_sealed"
    assert lead_caller.post(f"{path}/mark-all-present").json["code"] == "already_sealed"
    assert registrar_caller.post(f"{path}/countersign", {"sealed_version": 2}).status_code == 422
    assert registrar_caller.post(f"{path}/countersign", {"sealed_version": 1}).status_code == 200

    amendment = {"mark": mark(room, "Bob", "absent"), "reason": "sheet_misread", "note": "Somebody signed for him."}
    assert registrar_caller.post(f"{path}/amendments", amendment, key=None).status_code == 400
    requested = registrar_caller.post(f"{path}/amendments", amendment, key="amend Bob")
    assert (requested.status_code, requested.json["ids"]) == (201, ["1"])
    again = registrar_caller.post(f"{path}/amendments", amendment, key="amend Bob")
    assert again.headers["Idempotent-Replayed"] == "true"
    other = registrar_caller.post(f"{path}/amendments", {**amendment, "reason": "other_sheet"}, key="amend Bob")
    assert (other.status_code, other.json["code"]) == (422, "key_reused")
    own = registrar_caller.post(f"{path}/amendments/1/approve")
    assert (own.status_code, own.json["code"]) == (403, "own_amendment")
    assert lead_caller.post(f"{path}/amendments/2/approve").status_code == 422
    assert lead_caller.post(f"{path}/amendments/1/approve").json["ids"] == ["2"]
    assert lead_caller.post(f"{path}/amendments/1/reject", {"reason": "late"}).status_code == 409

    shown = lead_caller.get(path).json
    assert [row["status"] for row in shown["items"]] == ["present", "absent"]
    assert shown["amendments"][0]["note"] == "Somebody signed for him."
    assert [each["countersigned_by"] is not None for each in shown["sealed_versions"]] == [True, False]
    before = lead_caller.get(f"{path}?as_of={sealed.headers['X-Position']}")
    assert [row["status"] for row in before.json["items"]] == ["present", "present"]
    assert before.headers["ETag"] == '"4"'


def test_a_register_with_somebody_unmarked_is_not_sealed(lead_caller: Caller, room: Classroom, path: str) -> None:
    room.clock.set(room.starts(1) + timedelta(hours=4))
    answer = lead_caller.post(f"{path}/seal", {"attestation": "I was there."})
    assert (answer.status_code, answer.json["code"]) == (409, "unmarked")
    assert str(room.people["Ada"]) in answer.json["detail"]
    assert {each["person"] for each in answer.json["errors"]} == {str(person) for person in room.people.values()}


def test_the_lead_resolves_a_conflict(
    lead_caller: Caller, registrar_caller: Caller, room: Classroom, path: str
) -> None:
    absent, present = mark(room, status="absent"), mark(room, marked_at="2026-06-01T07:05:01Z")
    lead_caller.post(f"{path}/marks", batch(absent))
    outcome = registrar_caller.post(f"{path}/marks", batch(present)).json["results"][0]["outcome"]
    assert outcome == "conflict"
    resolve = f"{path}/conflicts/{room.people['Ada']}/resolve"
    said = {"mark": present["mark"], "reason": "seen", "note": "I saw her."}
    assert registrar_caller.post(resolve, said).status_code == 403
    assert lead_caller.post(resolve, said).status_code == 200
    ada = lead_caller.get(path).json["items"][0]
    assert (ada["status"], ada["conflict"], len(ada["marks"])) == ("present", False, 2)


def test_the_registrar_deals_with_marks_that_were_set_aside(
    lead_caller: Caller, registrar_caller: Caller, room: Classroom, path: str, act: Acting
) -> None:
    for name in ("Ada", "Bob"):
        enrolments.withdraw(room.office, act(), enrolment=room.enrolment(name), reason="ill")
    ada, bob = mark(room), mark(room, "Bob")
    results = lead_caller.post(f"{path}/marks", batch(ada, bob)).json["results"]
    assert [each["outcome"] for each in results] == ["task", "task"]
    assert {each["mark"] for each in registrar_caller.get(path).json["set_aside"]} == {ada["mark"], bob["mark"]}
    assert lead_caller.post(f"{path}/set-aside/{ada['mark']}/admit", {"reason": "came"}).status_code == 403
    assert registrar_caller.post(f"{path}/set-aside/{ada['mark']}/admit", {"reason": "came"}).status_code == 200
    assert registrar_caller.post(f"{path}/set-aside/{bob['mark']}/dismiss", {"reason": "mistaken"}).status_code == 200
    shown = registrar_caller.get(path).json
    assert shown["set_aside"] == []
    assert [(row["given"], row["standing"], row["status"]) for row in shown["items"]] == [
        ("Ada", "withdrawn", "present")
    ]
    again = registrar_caller.post(f"{path}/set-aside/{ada['mark']}/admit", {"reason": "came"})
    assert (again.status_code, again.json["code"]) == (409, "not_set_aside")


class TestAccess:
    def test_nobody_without_a_token(self, caller: Callable[[str | None], Caller], room: Classroom, path: str) -> None:
        assert caller(None).get(path).status_code == 401
        assert caller(None).post(f"{path}/marks", batch(mark(room))).status_code == 401

    def test_an_auditor_reads(self, auditor_caller: Caller, room: Classroom, path: str) -> None:
        assert auditor_caller.get(path).status_code == 200
        for verb, said in (("marks", batch(mark(room))), ("seal", {"attestation": "x"}), ("mark-all-present", {})):
            assert auditor_caller.post(f"{path}/{verb}", said).status_code == 403

    def test_another_trainers_course_is_not_there(self, other_caller: Caller, room: Classroom, path: str) -> None:
        assert other_caller.get(path).status_code == 404
        for verb, said in (("marks", batch(mark(room))), ("seal", {"attestation": "x"}), ("mark-all-present", {})):
            assert other_caller.post(f"{path}/{verb}", said).status_code == 404

    def test_a_registrar_never_seals_and_a_trainer_never_countersigns(
        self, registrar_caller: Caller, lead_caller: Caller, path: str
    ) -> None:
        assert registrar_caller.post(f"{path}/seal", {"attestation": "x"}).status_code == 403
        assert lead_caller.post(f"{path}/countersign", {"sealed_version": 1}).status_code == 403

    def test_an_unknown_course_is_not_there(self, registrar_caller: Caller, room: Classroom) -> None:
        path = f"/v1/courses/{uuid4()}/sessions/1/register"
        assert registrar_caller.get(path).status_code == 404
        assert registrar_caller.post(f"{path}/marks", batch(mark(room))).status_code == 404


def test_the_register_as_a_table(lead_caller: Caller, path: str) -> None:
    answer = lead_caller.get(path, headers={"Accept": "text/csv"})
    head, ada, bob = answer.text.lstrip("\ufeff").splitlines()
    assert head.startswith("enrolment,person,given,family,standing")
    assert ",Ada," in ada
    assert ",Bob," in bob


def test_names_that_were_erased_say_so(lead_caller: Caller, room: Classroom, path: str) -> None:
    room.office.keys.forget(room.people["Ada"])
    assert [row["given"] for row in lead_caller.get(path).json["items"]] == ["(erased)", "Bob"]
