"""Participation and completion over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from domain.course import Role as OnCourse
from domain.institution import Act as Signed
from provider.commands import enrolments
from tests.academy import Acting
from tests.classroom import Classroom, seated
from tests.conftest import Caller
from tests.stage import Stage


@pytest.fixture
def stage() -> Stage[Classroom]:
    """Ada and Bob have a seat in a class that is about to begin."""
    return seated("Ada", "Bob")


@pytest.fixture
def taught(room: Classroom) -> Classroom:
    """All registers are sealed: Ada was there, Bob missed the second session. Participation is attested."""
    room.teach(("Bob", "absent", 2))
    room.attest()
    return room


@pytest.fixture
def lead_caller(caller: Callable[[str | None], Caller], room: Classroom, token_of: Callable[..., str]) -> Caller:
    return caller(token_of(room.lead, Role.TRAINER))


@pytest.fixture
def other_caller(caller: Callable[[str | None], Caller], room: Classroom, token_of: Callable[..., str]) -> Caller:
    """A trainer of no course."""
    return caller(token_of(room.academy.trainer("Otto"), Role.TRAINER))


@pytest.fixture
def path(room: Classroom) -> str:
    return f"/v1/courses/{room.course}/completion"


def of(room: Classroom, name: str, verb: str = "completion") -> str:
    return f"/v1/enrolments/{room.enrolment(name)}/{verb}"


def learners(caller: Caller, path: str) -> dict[str, dict[str, Any]]:
    return {row["given"]: row for row in caller.get(path).json["items"]}


def test_the_view_says_what_is_proposed_and_why(auditor_caller: Caller, taught: Classroom, path: str) -> None:
    answer = auditor_caller.get(path)
    assert answer.status_code == 200, answer.json
    said = answer.json
    assert (said["code"], said["policy_version"], said["tolerance_minutes"]) == ("CSPO", "2026-01", 15)
    assert (said["contact_minutes"], said["policy_contact_minutes"]) == (840, 840)
    assert [each["sealed_version"] for each in said["registers"]] == [1, 1, 1, 1]
    ada, bob = said["items"]
    assert (ada["given"], ada["proposed"], ada["unmet"], ada["completed"]) == ("Ada", True, [], None)
    assert (bob["proposed"], bob["unmet"]) == (False, ["half_day_2"])
    assert [each["missed_minutes"] for each in bob["because"]["half_days"]] == [0, 210, 0, 0]
    assert bob["participation"]["attested"] is True
    assert {each["aspect"] for each in bob["because"]["rests_on"]} == {"schedule", "register", "participation"}


def test_the_view_is_as_it_was(lead_caller: Caller, taught: Classroom, path: str) -> None:
    before = lead_caller.get(path)
    taught.decide_all()
    then = lead_caller.get(f"{path}?as_of={before.headers['X-Position']}")
    assert then.data == before.data
    assert lead_caller.get(path).json["items"][0]["completed"] is True


def test_the_view_as_a_table(lead_caller: Caller, taught: Classroom, path: str) -> None:
    answer = lead_caller.get(path, headers={"Accept": "text/csv"})
    head, ada, bob = answer.text.lstrip("\ufeff").splitlines()
    assert head.startswith("enrolment,person,given,family,standing")
    assert ",Ada,Learner,confirmed," in ada
    assert ",Bob,Learner,confirmed," in bob


def test_the_lead_attests_participation(lead_caller: Caller, room: Classroom, path: str) -> None:
    one = of(room, "Ada", "participation")
    assert lead_caller.post(one, {"attested": True}, version=None).status_code == 428
    assert lead_caller.post(one, {"attested": True}, version=7).status_code == 412
    for wrong in ({}, {"attested": "yes"}, {"attested": 1}, {"attested": True, "so": 1}):
        assert lead_caller.post(one, wrong).status_code == 422
    lacking = lead_caller.post(one, {"attested": False})
    assert (lacking.status_code, lacking.json["code"]) == (422, "reason_missing")
    assert (
        lead_caller.post(one, {"attested": False, "reason": "asleep", "note": "All day."}, version=1).status_code == 200
    )
    done = lead_caller.post(f"{path}/attest-participation", key="attest all")
    assert done.json["ids"] == [str(room.enrolment("Bob"))]
    again = lead_caller.post(f"{path}/attest-participation", key="attest all")
    assert (again.json, again.headers["Idempotent-Replayed"]) == (done.json, "true")
    said = learners(lead_caller, path)
    assert [said[name]["participation"]["attested"] for name in ("Ada", "Bob")] == [False, True]
    assert said["Ada"]["participation"]["note"] == "All day."


def test_participation_of_the_class_takes_exceptions(lead_caller: Caller, room: Classroom, path: str) -> None:
    bob = {"enrolment": str(room.enrolment("Bob")), "reason": "asleep", "note": "All day."}
    verb = f"{path}/attest-participation"
    assert lead_caller.post(verb, {"except": [bob]}, key=None).status_code == 400
    assert lead_caller.post(verb, {"except": [{**bob, "reason": ""}]}).status_code == 422
    assert lead_caller.post(verb, {"except": [{"enrolment": bob["enrolment"]}]}).status_code == 422
    stranger = lead_caller.post(verb, {"except": [{**bob, "enrolment": str(uuid4())}]})
    assert (stranger.status_code, stranger.json["errors"][0]["pointer"]) == (422, "#/except")
    assert lead_caller.post(verb, {"except": [bob]}).status_code == 200
    said = learners(lead_caller, path)
    assert [said[name]["participation"]["attested"] for name in ("Ada", "Bob")] == [True, False]


def test_the_lead_decides_one_by_one(lead_caller: Caller, taught: Classroom, path: str) -> None:
    version = learners(lead_caller, path)["Ada"]["version"]
    assert lead_caller.post(of(taught, "Ada"), {"completed": True}, version=None).status_code == 428
    assert lead_caller.post(of(taught, "Ada"), {"completed": True}, version=version - 1).status_code == 412
    done = lead_caller.post(of(taught, "Ada"), {"completed": True}, version=version)
    assert (done.status_code, done.json["outcome"], done.headers["ETag"]) == (200, "completed", f'"{version + 1}"')
    refused = lead_caller.post(of(taught, "Bob"), {"completed": True})
    assert (refused.status_code, refused.json["code"]) == (409, "reason_for_deviation")
    assert "Missed 210 of 210 minutes" in refused.json["detail"]
    deviation = {"completed": True, "reason": "made_up_in_the_evening", "note": "With me."}
    assert lead_caller.post(of(taught, "Bob"), deviation).status_code == 200
    decision = learners(lead_caller, path)["Bob"]["decision"]
    assert (decision["deviates"], decision["note"], decision["because"]["proposed"]) == (True, "With me.", False)


def test_nothing_is_decided_on_open_registers(lead_caller: Caller, room: Classroom, path: str) -> None:
    for verb, said in ((of(room, "Ada"), {"completed": True}), (f"{path}/decide-as-proposed", {})):
        answer = lead_caller.post(verb, said)
        assert (answer.status_code, answer.json["code"]) == (409, "registers_not_sealed")


def test_the_class_is_decided_as_proposed(lead_caller: Caller, taught: Classroom, path: str) -> None:
    verb = f"{path}/decide-as-proposed"
    seen = int(lead_caller.get(path).headers["X-Position"])
    assert lead_caller.post(verb, key=None).status_code == 400
    assert lead_caller.post(verb, {"position": -1}).status_code == 422
    assert lead_caller.post(verb, {"except": ["x"]}).status_code == 422
    stranger = lead_caller.post(verb, {"except": [str(uuid4())]})
    assert (stranger.status_code, stranger.json["errors"][0]["pointer"]) == (422, "#/except")
    taught.attest_again("Ada", attested=False)
    moved = lead_caller.post(verb, {"position": seen})
    assert (moved.status_code, moved.json["code"]) == (409, "proposals_moved")
    done = lead_caller.post(verb, {"position": int(lead_caller.get(path).headers["X-Position"])}, key="decide all")
    assert (done.status_code, done.json["id"], len(done.json["ids"])) == (200, str(taught.course), 2)
    said = learners(lead_caller, path)
    assert [said[name]["completed"] for name in ("Ada", "Bob")] == [False, False]


class TestCorrection:
    @pytest.fixture
    def decided(self, taught: Classroom) -> Classroom:
        taught.decide_all()
        return taught

    def test_takes_the_token_of_a_second_person(
        self, lead_caller: Caller, registrar_caller: Caller, registrar: UUID, decided: Classroom, path: str
    ) -> None:
        said: dict[str, Any] = {"completed": False, "reason": "mistaken"}
        alone = lead_caller.post(of(decided, "Ada"), said)
        assert (alone.status_code, alone.json["code"]) == (409, "correction_needs_approval")
        assert alone.json["errors"][0]["pointer"] == "#/approver_token"
        own = lead_caller.post(of(decided, "Ada"), {**said, "approver_token": lead_caller.token})
        assert (own.status_code, own.json["code"]) == (403, "own_correction")
        assert own.json["errors"][0]["pointer"] == "#/approver_token"
        done = lead_caller.post(of(decided, "Ada"), {**said, "approver_token": registrar_caller.token})
        assert done.status_code == 200, done.json
        first, second = lead_caller.get(of(decided, "Ada")).json["items"]
        assert (second["completed"], second["supersedes"], second["approved_by"]) == (
            False,
            first["version"],
            str(registrar),
        )

    def test_takes_no_token_that_may_not_approve(
        self,
        lead_caller: Caller,
        auditor_caller: Caller,
        other_caller: Caller,
        admin_caller: Caller,
        decided: Classroom,
    ) -> None:
        said: dict[str, Any] = {"completed": False, "reason": "mistaken"}
        for token in (auditor_caller.token, other_caller.token, admin_caller.token, "prv_nonsense"):
            answer = lead_caller.post(of(decided, "Ada"), {**said, "approver_token": token})
            assert (answer.status_code, answer.json["code"]) == (422, "unfit_approver")
            assert answer.json["errors"][0]["pointer"] == "#/approver_token"
            assert token not in answer.text
        assert len(lead_caller.get(of(decided, "Ada")).json["items"]) == 1

    def test_needs_nobody_else_where_the_institution_works_solo(
        self, lead_caller: Caller, decided: Classroom, path: str
    ) -> None:
        decided.solo(Signed.COMPLETION_CORRECTION)
        assert lead_caller.post(of(decided, "Ada"), {"completed": False, "reason": "mistaken"}).status_code == 200
        assert learners(lead_caller, path)["Ada"]["decision"]["solo"] is True


class TestAccess:
    def test_others_than_trainers_only_look(
        self, auditor_caller: Caller, registrar_caller: Caller, taught: Classroom, path: str
    ) -> None:
        for caller in (auditor_caller, registrar_caller):
            assert caller.get(path).status_code == 200
            assert caller.get(of(taught, "Ada")).status_code == 200
            assert caller.post(of(taught, "Ada"), {"completed": True}).status_code == 403
            assert caller.post(of(taught, "Ada", "participation"), {"attested": True}).status_code == 403
            assert caller.post(f"{path}/decide-as-proposed").status_code == 403
            assert caller.post(f"{path}/attest-participation").status_code == 403

    def test_another_trainers_course_is_not_there(self, other_caller: Caller, taught: Classroom, path: str) -> None:
        assert other_caller.get(path).status_code == 404
        assert other_caller.get(of(taught, "Ada")).status_code == 404
        assert other_caller.post(of(taught, "Ada"), {"completed": True}).status_code == 404
        assert other_caller.post(of(taught, "Ada", "participation"), {"attested": True}).status_code == 404
        assert other_caller.post(f"{path}/decide-as-proposed").status_code == 404
        assert other_caller.post(f"{path}/attest-participation").status_code == 404

    def test_a_co_trainer_does_not_decide(
        self, caller: Callable[[str | None], Caller], token_of: Callable[..., str], taught: Classroom, path: str
    ) -> None:
        co_trainer = taught.academy.trainer("Carl")
        taught.academy.assign(taught.course, co_trainer, OnCourse.CO_TRAINER)
        theirs = caller(token_of(co_trainer, Role.TRAINER))
        assert theirs.get(path).status_code == 200
        answer = theirs.post(f"{path}/decide-as-proposed")
        assert (answer.status_code, answer.json["code"]) == (403, "not_the_lead")

    def test_what_nobody_knows_is_not_there(self, registrar_caller: Caller, lead_caller: Caller) -> None:
        assert registrar_caller.get(f"/v1/courses/{uuid4()}/completion").status_code == 404
        assert registrar_caller.get(f"/v1/enrolments/{uuid4()}/completion").status_code == 404
        assert lead_caller.post(f"/v1/enrolments/{uuid4()}/completion", {"completed": True}).status_code == 404


def test_a_learner_without_a_seat_is_not_decided(lead_caller: Caller, taught: Classroom, act: Acting) -> None:
    enrolments.withdraw(taught.office, act(), enrolment=taught.enrolment("Bob"), reason="ill")
    answer = lead_caller.post(of(taught, "Bob"), {"completed": True})
    assert (answer.status_code, answer.json["code"]) == (409, "enrolment_stage")


def test_names_that_were_erased_say_so(lead_caller: Caller, room: Classroom, path: str) -> None:
    room.office.keys.forget(room.people["Ada"])
    assert [row["given"] for row in lead_caller.get(path).json["items"]] == ["(erased)", "Bob"]
