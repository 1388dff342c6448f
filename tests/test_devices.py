"""Two devices send what they have, several times and in any order: the register is the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from domain.access import Role as AccessRole
from domain.course import Role
from domain.enrolment import Enrolment
from domain.register import AttendanceRegister
from projections.projection import instant
from provider.commands import access, enrolments
from provider.office import Office
from tests.academy import Academy, Acting
from tests.conftest import Caller, Clock

LEARNERS = 10
TIMES = 3
"""How often each batch is sent."""
OF_ARRIVAL = {"version", "recorded_at", "position"}
"""What says how something came, and not what it is."""

Mark = dict[str, Any]


@dataclass
class Run:
    """One course with two trainers, a device each, and the same ten learners as any other.

    All ids of its own are called by what they stand for, so that two runs can be compared.
    """

    office: Office
    act: Acting
    clock: Clock
    app: Flask
    people: list[UUID]
    marks: list[str]
    course: UUID = field(init=False)
    trainers: list[UUID] = field(init=False)
    callers: list[Caller] = field(init=False)
    devices: list[str] = field(default_factory=lambda: [str(uuid4()), str(uuid4())])

    def __post_init__(self) -> None:
        academy = Academy.__new__(Academy)
        academy.office, academy.act = self.office, self.act
        self.trainers = [academy.trainer(name) for name in ("Lea", "Cosmo")]
        self.course = academy.open(self.trainers[0])
        academy.assign(self.course, self.trainers[1], Role.CO_TRAINER)
        for person in self.people:
            enrolments.request(self.office, self.act(), course=self.course, person=person)
        tokens = []
        for trainer in self.trainers:
            access.grant(self.office, self.act(), person=trainer, role=AccessRole.TRAINER)
            issued = access.issue_token(self.office, self.act(), person=trainer, roles=(AccessRole.TRAINER,))
            tokens.append(issued[1])
        self.callers = [Caller(self.app.test_client(), token) for token in tokens]

    @property
    def path(self) -> str:
        return f"/v1/courses/{self.course}/sessions/1/register"

    def batches(self) -> list[tuple[int, list[Mark]]]:
        """Return what the devices have to send: to each batch, by whom."""
        said = random.Random(7)
        starts = self.clock.now
        ids = iter(self.marks)
        made: list[list[Mark]] = [[], []]
        for seq in range(3 * LEARNERS):
            for device in (0, 1):
                known = made[0] + made[1]
                # Most of what the second device says agrees with the first; now and then it doesn't, or corrects it.
                person = str(self.people[seq % LEARNERS])
                theirs = [mark for mark in known if mark["person"] == person]
                status = said.choice(["present", "present", "present", "late", "absent", "left_early", "excused"])
                mark: Mark = {
                    "mark": next(ids),
                    "person": person,
                    "status": status,
                    "marked_at": instant(starts + timedelta(seconds=said.choice([10, 20, 20, 30]) * (seq + 1))),
                }
                if status == "late":
                    mark["late_minutes"] = said.randint(1, 40)
                if status == "left_early":
                    mark["left_early_minutes"] = said.randint(1, 40)
                if said.random() < 0.8:
                    mark |= {"device": self.devices[device], "seq": said.randint(1, 60)}
                if theirs and said.random() < 0.3:
                    mark["corrects"] = said.choice(theirs)["mark"]
                made[device].append(mark)
        return [(device, made[device][i : i + 6]) for device in (0, 1) for i in range(0, len(made[device]), 6)]

    def send(self, seed: int) -> list[Any]:
        """Send every batch three times, in random order, by four threads, each mark of a batch in random order too."""
        order = random.Random(seed)
        requests = [(device, order.sample(marks, len(marks))) for device, marks in self.batches() * TIMES]
        order.shuffle(requests)
        with ThreadPoolExecutor(4) as threads:
            return list(threads.map(lambda asked: self._post(*asked), requests))

    def _post(self, device: int, marks: list[Mark]) -> Any:
        caller = Caller(self.app.test_client(), self.callers[device].token)
        body = {"sent_at": instant(self.clock.now + timedelta(hours=1)), "marks": marks}
        return caller.post(f"{self.path}/marks", body, version=None, key=None)

    def seen(self) -> Any:
        """Return the register as it is shown, with all that is this run's alone called by a name."""
        shown = self.callers[0].get(self.path)
        assert shown.status_code == 200
        called = {
            str(self.course): "course",
            str(AttendanceRegister.create_id(self.course, 1)): "register",
            **{str(trainer): f"trainer {number}" for number, trainer in enumerate(self.trainers)},
            **{str(Enrolment.create_id(self.course, each)): f"enrolment of {each}" for each in self.people},
            **{device: f"device {number}" for number, device in enumerate(self.devices)},
        }
        return _called(shown.json, called)

    def recorded(self) -> list[str]:
        """Return the ids of the marks that the log holds of this register, one for each event."""
        stream = AttendanceRegister.create_id(self.course, 1)
        found = self.office.log.events.get(stream)
        return [str(event.mark) for event in found if isinstance(event, AttendanceRegister.Marked)]


def _called(said: Any, names: dict[str, str]) -> Any:
    """Return what was said with names in place of ids, and without what says only how it arrived."""
    if isinstance(said, dict):
        return {name: _called(inner, names) for name, inner in said.items() if name not in OF_ARRIVAL}
    if isinstance(said, list):
        inner = [_called(each, names) for each in said]
        # Marks are listed as they came.
        return sorted(inner, key=lambda each: str(each["mark"])) if inner and "marked_at" in inner[0] else inner
    return names.get(said, said) if isinstance(said, str) else said


@pytest.fixture
def begin(office: Office, act: Acting, clock: Clock, app: Flask, person: Callable[..., UUID]) -> Callable[[], Run]:
    Academy(office, act)
    people = [person(f"Learner {number}", "Of the class") for number in range(LEARNERS)]
    marks = sorted(str(uuid4()) for _ in range(2 * 3 * LEARNERS))
    random.Random(3).shuffle(marks)

    def start() -> Run:
        # The same learners and the same ids of marks in each run; only course and trainers are other ones.
        clock.set(clock.now.replace(month=5, day=4, hour=6, minute=0))
        run = Run(office, act, clock, app, people, marks)
        clock.set(clock.now.replace(month=6, day=1, hour=7, minute=0))
        return run

    return start


def test_the_register_is_the_same_in_whatever_order_two_devices_send(office: Office, begin: Callable[[], Run]) -> None:
    registers = []
    for seed in range(4):
        run = begin()
        run.clock.move(hours=1)
        answers = run.send(seed)
        assert {answer.status_code for answer in answers} == {200}
        outcomes = [result["outcome"] for answer in answers for result in answer.json["results"]]
        assert "rejected" not in outcomes
        assert outcomes.count("duplicate") == (TIMES - 1) * len(run.marks)
        assert sorted(run.recorded()) == sorted(run.marks)
        registers.append(run.seen())
    first = registers[0]
    assert {learner["status"] for learner in first["items"]} >= {"present", "late", "absent"}
    assert {learner["conflict"] for learner in first["items"]} == {True, False}
    assert sum(len(learner["marks"]) for learner in first["items"]) == 2 * 3 * LEARNERS
    for register in registers[1:]:
        assert register == first
    assert office.views.verify() == []
