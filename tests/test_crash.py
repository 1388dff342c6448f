"""The server is killed under load: what it acknowledged is there, once, and what it didn't can be sent again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from domain.access import Role as AccessRole
from domain.course import Capacity
from domain.course import Course as Seats
from domain.course import Role as OnCourse
from domain.enrolment import Enrolment
from domain.person import Person
from domain.register import AttendanceRegister
from domain.schedule import zone_named
from provider.bootstrap import bootstrap
from provider.commands import access, courses, enrolments, institution
from provider.commands.courses import LocalSession
from provider.office import Office
from provider.settings import Settings
from provider.work import Act
from tests.academy import Academy
from tests.stores import file_of

ROOT = Path(__file__).parents[1]
ROUNDS = 2
LEARNERS = 12
SEATS = 5
UNDER_LOAD = 0.8
"""Seconds of load before each kill."""


@dataclass
class Request:
    """A command that was sent, under which key, and its answer: None where none came."""

    path: str
    body: dict[str, Any]
    key: str | None = None
    marks: tuple[str, ...] = ()
    answer: dict[str, Any] | None = None


@dataclass
class Course:
    """An office on the disk with a course whose first session is on, and who may do anything there."""

    data: Path
    token: str
    course: UUID
    learners: list[UUID]
    trainer: UUID
    sent: list[Request] = field(default_factory=list)

    def marks(self, number: int) -> Request:
        """Return a batch of marks of some of the learners."""
        now = datetime.now(UTC).isoformat()
        ids = tuple(str(uuid4()) for _ in range(3))
        said = [
            {
                "mark": mark,
                "person": str(self.learners[(number + place) % LEARNERS]),
                "status": "late" if number % 3 else "present",
                "late_minutes": number % 3,
                "marked_at": now,
            }
            for place, mark in enumerate(ids)
        ]
        path = f"/v1/courses/{self.course}/sessions/1/register/marks"
        return Request(path, {"sent_at": now, "marks": said}, marks=ids)

    def enrolment(self, number: int) -> Request:
        """Return an enrolment of somebody new."""
        body = {"given": f"New {number}", "family": "Learner", "email": f"new.{number}@example.org"}
        return Request(f"/v1/courses/{self.course}/enrolments", body, key=uuid4().hex)


@contextmanager
def opened(data: Path) -> Iterator[Office]:
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}))
    try:
        yield office
    finally:
        office.close()


@pytest.fixture
def course(tmp_path: Path) -> Course:
    data = tmp_path / "data"
    with opened(data) as office:
        receipt, _ = institution.found(
            office, name="Academy", zone="Etc/UTC", given="Ada", family="Admin", email="ada@academy.example"
        )

        def act() -> Act:
            now = datetime.now(UTC)
            return Act(by=UUID(receipt.ids[0]), now=now, at=now, channel="test", request=uuid4().hex)

        academy = Academy(office, act)
        lead = academy.trainer("Lea", until=None)
        # A session that began an hour ago, in a place where it is day now.
        began = datetime.now(UTC) - timedelta(hours=1)
        zone = next(name for name in ZONES if 6 <= began.astimezone(zone_named(name)).hour < 16)
        local = began.astimezone(zone_named(zone))
        ends = local + timedelta(hours=4)
        session = LocalSession(day=local.date(), start=f"{local:%H:%M}", end=f"{ends:%H:%M}", zone=zone)
        made = courses.draft(office, act(), title="CSPO", body="SA", code="CSPO", format="in_person").id
        courses.schedule(office, act(), course=made, sessions=[session], reason="agreed")
        courses.assign_trainer(office, act(), course=made, person=lead, role=OnCourse.LEAD)
        courses.open(office, act(), course=made, capacity=Capacity.of(LEARNERS + SEATS))
        learners = [
            UUID(enrolments.request(office, act(), course=made, given=f"Learner {n}", family="Known").ids[0])
            for n in range(LEARNERS)
        ]
        roles = (AccessRole.TRAINER, AccessRole.REGISTRAR)
        for role in roles:
            access.grant(office, act(), person=lead, role=role)
        _, token = access.issue_token(office, act(), person=lead, roles=roles)
    assert token is not None
    return Course(data, token, made, learners, lead)


ZONES = ("Etc/UTC", "Etc/GMT+8", "Etc/GMT-8")
"""At any moment it is day in one of these."""


class Server:
    """gunicorn as the product runs it, in a process group of its own."""

    def __init__(self, data: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PROVIDER_")}
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--config", "python:provider.server"),
                    *("--bind", f"127.0.0.1:{self.port}", "--workers", "2", "--threads", "8", "wsgi:app"),
                ],
                cwd=ROOT,
                env={**environment, "PROVIDER_DATA": str(data)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_until_live(self) -> None:
        for _ in range(600):
            assert self.process.poll() is None, "the server did not start"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=60):
                    return
            except (urllib.error.URLError, ConnectionError, HTTPException):
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End the server and all of its workers at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def get(self, course: Course, path: str) -> Any:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {course.token}"}
        )
        with urllib.request.urlopen(asked, timeout=30) as response:
            return orjson.loads(response.read())

    def send(self, course: Course, request: Request) -> bool:
        """Send a request, keep its answer, and say whether there was one."""
        headers = {"Authorization": f"Bearer {course.token}", "Content-Type": "application/json"}
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{request.path}", data=orjson.dumps(request.body), headers=headers
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as response:
                request.answer = orjson.loads(response.read())
        except urllib.error.HTTPError as error:
            raise AssertionError((error.code, error.read())) from None
        except (urllib.error.URLError, ConnectionError, HTTPException, TimeoutError):
            return False
        return True


@contextmanager
def serving(course: Course, log: Path) -> Iterator[Server]:
    server = Server(course.data, log)
    try:
        server.wait_until_live()
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def load(server: Server, course: Course, begin: int) -> None:
    """Let four clients mark and enrol, two each, until the server is killed in the middle of it."""
    faults: list[BaseException] = []

    def client(number: int, make: Callable[[int], Request]) -> None:
        try:
            for count in range(100_000):
                request = make(begin + number * 100_000 + count)
                course.sent.append(request)
                if not server.send(course, request):
                    return
        except BaseException as error:
            faults.append(error)

    threads = [
        threading.Thread(target=client, args=(number, make))
        for number, make in enumerate((course.marks, course.marks, course.enrolment, course.enrolment))
    ]
    for thread in threads:
        thread.start()
    time.sleep(UNDER_LOAD)
    server.kill()
    for thread in threads:
        thread.join(30)
    assert faults == []


def recorded(office: Office, course: Course) -> tuple[Counter[str], Counter[UUID]]:
    """Return how often the log holds each mark, and each person that was made."""
    marks: Counter[str] = Counter()
    people: Counter[UUID] = Counter()
    for _, stream, _, topic, state in office.log.entries.page(0, 1_000_000):
        if topic == AttendanceRegister.Marked.TOPIC:
            marks[orjson.loads(state)["mark"]] += 1
        elif topic == Person.Registered.TOPIC:
            people[UUID(stream)] += 1
    return marks, people


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_a_kill_and_what_was_not_can_be_sent_again(
    course: Course, tmp_path: Path
) -> None:
    unanswered = 0
    for round_ in range(ROUNDS):
        with serving(course, tmp_path / "server.log") as server:
            load(server, course, begin=round_ * 1_000_000)
        lost = [request for request in course.sent if request.answer is None]
        kept = [request for request in course.sent if request.answer is not None]
        assert sum(bool(request.marks) for request in kept) > 3
        assert sum(request.key is not None for request in kept) > SEATS
        unanswered += len(lost)
        with serving(course, tmp_path / "server.log") as server:
            check_views(server, course, kept)
            for request in (*lost, *kept[-10:]):
                before = request.answer
                assert server.send(course, request)
                if before is not None and request.key is not None:
                    assert request.answer == before
                elif before is not None:
                    assert request.answer is not None
                    assert {each["outcome"] for each in request.answer["results"]} == {"duplicate"}
            check_views(server, course, course.sent)
        with opened(course.data) as office:
            check_log(office, course)
            assert office.views.verify() == []
    assert unanswered > 0


def check_views(server: Server, course: Course, acknowledged: list[Request]) -> None:
    """See that the views have what was acknowledged, by ids."""
    register = server.get(course, f"/v1/courses/{course.course}/sessions/1/register")
    marks = {mark["mark"] for learner in register["items"] for mark in learner["marks"]}
    assert {mark for request in acknowledged for mark in request.marks} <= marks
    shown = server.get(course, f"/v1/courses/{course.course}/enrolments?limit=200&standing=confirmed")
    answers = [request.answer for request in acknowledged if request.answer is not None]
    confirmed = {answer["id"] for answer in answers if answer.get("outcome") == "confirmed"}
    assert confirmed <= {each["enrolment"] for each in shown}
    # There were more requests than seats.
    assert len(shown) == LEARNERS + SEATS


def check_log(office: Office, course: Course) -> None:
    """See that the log has everything that was sent, once, and no seat too many."""
    marks, people = recorded(office, course)
    assert marks == Counter(mark for request in course.sent for mark in request.marks)
    assert set(people.values()) == {1}
    enrolled = [request.answer for request in course.sent if request.key is not None]
    persons = [UUID(answer["ids"][0]) for answer in enrolled if answer]
    assert len(set(persons)) == len(enrolled)
    assert set(persons) <= set(people)
    # Two more are the administrator and the trainer.
    assert len(people) == len(enrolled) + LEARNERS + 2
    for answer, person in zip(enrolled, persons, strict=True):
        assert answer is not None
        assert answer["id"] == str(Enrolment.create_id(course.course, person))
        ((position, stream, *_),) = office.log.entries.at([answer["position"]])
        assert position == answer["position"]
        assert UUID(stream) in {UUID(answer["id"]), person, course.course}
    seats = office.log.get(Seats, course.course)
    assert len(seats.seats) == LEARNERS + min(SEATS, len(enrolled))
    assert len(seats.queue) == len(enrolled) - (len(seats.seats) - LEARNERS)


@pytest.mark.parametrize("store", ["vault", "keys", "desk", "events", "views"])
def test_to_open_an_office_again_leaves_the_locks_of_the_one_that_is_open(course: Course, store: str) -> None:
    file = file_of(Settings.read({"PROVIDER_DATA": str(course.data)}), store)
    look = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone())"
    with opened(course.data) as office:
        handle = office.vault.seal(course.trainer, "before")
        office.desk.stage(course=course.course, content=b"before")
        with opened(course.data):
            # Without the locks this process would take itself for the only one, and remove the journal at its end.
            looked = subprocess.run([sys.executable, "-c", look, file], capture_output=True, text=True, check=True)
            assert looked.stdout == "ok\n"
            assert Path(f"{file}-wal").exists()
        assert office.vault.open_one(handle) == "before"


def test_a_closed_office_keeps_no_connection(course: Course) -> None:
    with opened(course.data) as office:
        assert office.vault.seal(course.trainer, "something")
    # Whoever closes a database last brings its journal home.
    assert [*course.data.rglob("*-wal"), *course.data.rglob("*-shm")] == []
