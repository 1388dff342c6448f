"""What was read from tables that are written rarely is remembered, and never for longer than it is true."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from projections import access as access_view
from projections import directory, registers
from projections.projection import METADATA, Reading
from provider import memory
from provider.bootstrap import bootstrap
from provider.commands import access, enrolments
from provider.locks import Turn
from provider.memory import Memory
from provider.office import Office
from provider.token import digest
from tests.academy import Acting
from tests.classroom import Classroom, seated
from tests.conftest import Clock
from tests.stage import Stage

ROOT = Path(__file__).parents[2]
ASKED: dict[str, Callable[..., Any]] = {
    "access.holder": access_view.holder,
    "directory.is_trainer_of": directory.is_trainer_of,
    "view.half": registers.half,
    "view.class_of": registers.class_of,
}
"""The functions whose answers are remembered, by what they are called where they are asked."""


@pytest.fixture
def stage() -> Stage[Classroom]:
    return seated("Ada", "Bob")


@pytest.fixture
def other(office: Office, clock: Clock) -> Iterator[Office]:
    """The same office in another process, as far as files and databases can tell."""
    other = bootstrap(office.settings, clock)
    yield other
    other.close()


class Counting:
    """A function that is asked for a class, and how often it was."""

    def __init__(self, office: Office, course: UUID) -> None:
        self.office = office
        self.course = course
        self.read = 0

    def __call__(self, read: Reading, course: UUID) -> Any:
        self.read += 1
        return registers.class_of(read, course)

    def ask(self) -> Any:
        try:
            return self.office.views.known(self.office.views.lend, self, self.course)
        finally:
            self.office.views.let_go()


@pytest.fixture
def counting(room: Classroom) -> Counting:
    return Counting(room.office, room.course)


@pytest.mark.sqlite
def test_a_class_is_read_once_while_nothing_but_marks_comes(room: Classroom, counting: Counting) -> None:
    for _ in range(3):
        room.mark(room.said("Ada"), room.said("Bob"))
        room.office.views.catch_up()
        counting.ask()
    assert counting.read == 1


@pytest.mark.sqlite
def test_it_is_read_again_when_somebody_was_enrolled(room: Classroom, counting: Counting) -> None:
    assert counting.ask() == (set(room.people.values()), set())
    room.people["Cleo"] = room.enrol("Cleo")
    for _ in range(2):
        assert counting.ask() == (set(room.people.values()), set())
    assert counting.read == 2


def test_what_another_process_records_is_known_at_once(
    room: Classroom, counting: Counting, act: Acting, other: Office
) -> None:
    assert counting.ask()[0] == set(room.people.values())
    enrolments.withdraw(other, act(), enrolment=room.enrolment("Bob"), reason="ill")
    assert counting.ask() == ({room.people["Ada"]}, {room.people["Bob"]})


def test_a_token_that_another_process_revoked_lets_nobody_in(
    office: Office, act: Acting, other: Office, person: Callable[..., UUID]
) -> None:
    who = person("Rita", "Registrar")
    access.grant(office, act(), person=who, role=Role.REGISTRAR)
    receipt, token = access.issue_token(office, act(), person=who, roles=[Role.REGISTRAR], label="laptop")

    def held() -> frozenset[str] | None:
        holder = office.views.known(office.views.lend, access_view.holder, digest(token))
        office.views.let_go()
        return None if holder is None else holder.roles

    assert held() == {"registrar"}
    access.revoke_token(other, act(), person=who, token=UUID(receipt.ids[0]), reason="lost")
    assert held() is None


def test_what_changes_while_it_is_read_is_not_remembered(room: Classroom, act: Acting, other: Office) -> None:
    bob = room.enrolment("Bob")

    def slow(read: Reading, course: UUID) -> Any:
        said = registers.class_of(read, course)
        if not interrupted:
            interrupted.append(True)
            enrolments.withdraw(other, act(), enrolment=bob, reason="ill")
        return said

    interrupted: list[bool] = []
    views = room.office.views
    assert views.known(views.lend, slow, room.course)[0] == set(room.people.values())
    views.let_go()
    assert views.known(views.lend, slow, room.course)[0] == {room.people["Ada"]}
    views.let_go()


def test_what_was_begun_to_be_read_before_a_change_is_read_anew(room: Classroom, act: Acting, other: Office) -> None:
    views = room.office.views
    old = views.lend()
    assert registers.class_of(old, room.course)[0] == set(room.people.values())
    enrolments.withdraw(other, act(), enrolment=room.enrolment("Bob"), reason="ill")
    said = views.known(lambda: old, registers.class_of, room.course)
    views.let_go()
    # Hosts of a database do not tell each other what changed: there a request goes on seeing what it saw.
    counted = room.office.settings.database_url is None
    assert said[0] == ({room.people["Ada"]} if counted else set(room.people.values()))


def test_what_is_not_found_is_not_kept(room: Classroom) -> None:
    views = room.office.views
    course = uuid4()
    assert views.known(views.lend, directory.is_trainer_of, room.lead, course) is False
    assert views.known(views.lend, registers.half, course, 1, room.lead) is None
    views.let_go()
    assert views._memory.find((directory.is_trainer_of, room.lead, course)) is None


@pytest.mark.sqlite
def test_after_a_kill_in_the_midst_of_a_change_nothing_is_remembered_until_the_next_event(
    room: Classroom, counting: Counting
) -> None:
    counting.ask()
    changing = get_context("spawn").Process(target=change_and_die, args=(room.office.views.place,))
    changing.start()
    changing.join()
    assert changing.exitcode == 9

    for _ in range(3):
        counting.ask()
    assert counting.read == 4
    room.mark(room.said("Ada"))
    room.office.views.catch_up()
    for _ in range(3):
        counting.ask()
    assert counting.read == 5


def change_and_die(views: Path) -> None:
    """Begin to change what others remember, as another process, and be killed."""
    turn = Turn(views.with_name(f"{views.name}.turn"))
    with turn, turn.changing():
        os._exit(9)


@pytest.mark.sqlite
@pytest.mark.parametrize("tamper", [Path.unlink, lambda file: file.write_bytes(b""), lambda file: replace(file)])
def test_what_changes_is_known_though_somebody_took_away_the_file_that_says_so(
    room: Classroom, counting: Counting, act: Acting, other: Office, clock: Clock, tamper: Callable[[Path], object]
) -> None:
    assert counting.ask()[0] == set(room.people.values())
    views = room.office.views.place
    assert isinstance(views, Path)
    tamper(views.with_name(f"{views.name}.turn"))
    later = bootstrap(room.office.settings, clock)
    newer = Counting(later, room.course)
    assert newer.ask()[0] == set(room.people.values())
    # By one that had the old file open, and by one that has only ever seen the new one.
    for name, by in (("Bob", other), ("Ada", later)):
        left = counting.ask()[0]
        enrolments.withdraw(by, act(), enrolment=room.enrolment(name), reason="ill")
        assert counting.ask()[0] == newer.ask()[0] == left - {room.people[name]}
    later.close()


def replace(file: Path) -> None:
    """Lay a copy of a file in its place."""
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    copy.replace(file)


@pytest.mark.sqlite
def test_views_that_were_made_anew_are_read_anew(room: Classroom, counting: Counting, other: Office) -> None:
    with other.views.engine.connect() as connection:
        connection.execute(registers.learners.delete())
    assert counting.ask() == (set(), set())
    other.views.rebuild()
    assert counting.ask()[0] == set(room.people.values())


@pytest.mark.sqlite
def test_a_mark_reads_nothing_of_the_views_that_is_remembered(room: Classroom) -> None:
    room.mark(room.said("Ada"))
    read: list[str] = []
    room.office.views.lend().driver.set_trace_callback(read.append)
    room.office.views.let_go()
    read.clear()
    assert room.outcomes(room.said("Bob")) == ["applied"]
    assert read == []


@pytest.mark.sqlite
@pytest.mark.parametrize("name", ASKED)
def test_what_is_remembered_was_read_from_tables_that_are_written_rarely(room: Classroom, name: str) -> None:
    rarely = {table.name for table in METADATA.tables.values() if table.info.get("rarely")}
    said: dict[str, tuple[Any, ...]] = {
        "access.holder": ("0" * 64,),
        "directory.is_trainer_of": (room.lead, room.course),
        "view.half": (room.course, 1, room.lead),
        "view.class_of": (room.course,),
    }
    read: set[str] = set()
    with room.office.views.reading() as reading:

        def note(action: int, table: str | None, *_: object) -> int:
            if action == 20:  # SQLITE_READ
                read.add(str(table))
            return 0

        reading.driver.set_authorizer(note)
        # What is prepared already may be read without another look at what it reads.
        reading.driver.execute("CREATE TEMP TABLE other (name)")
        ASKED[name](reading, *said[name])
        reading.driver.set_authorizer(None)
    assert read - {"sqlite_temp_master", "sqlite_master", ""}
    assert read - {"sqlite_temp_master", "sqlite_master", ""} <= rarely


def test_nothing_else_is_remembered() -> None:
    asked = set()
    for package in ("api", "provider"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "known":
                    asked |= {ast.unparse(each) for each in node.args}
    assert set(ASKED) <= asked
    functions = {name for name in asked if name.partition(".")[0] in {"access", "directory", "view"}}
    assert functions == set(ASKED)
    passed_on = {"reading", "ask", "*said", "lambda: self.read", "digest(token)", "principal.person"}
    assert asked - functions <= {*passed_on, "course", "session", "work.act.by"}


def test_it_holds_no_more_than_it_should() -> None:
    kept = Memory(0)
    for number in range(memory.MOST + 1):
        kept.keep((number,), "said")
    assert kept.find((memory.MOST,)) == "said"
    assert kept.find((0,)) is None
