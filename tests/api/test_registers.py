"""Registers over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from provider.office import Office
from tests.academy import Acting
from tests.classroom import Classroom
from tests.conftest import Caller, Clock

NOTHING_RECORDED: dict[str, Any] = {"version": 0, "position": None}


@pytest.fixture
def room(office: Office, act: Acting, clock: Clock) -> Classroom:
    return Classroom(office, act, clock, "Ada", "Bob")


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


def test_a_register_that_nobody_opened_is_there_at_version_0(lead_caller: Caller, path: str) -> None:
    answer = lead_caller.get(path)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"0"'
    assert answer.json["version"] == 0
