"""The roster: who has a seat, who waits, and which marks stand, now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.aggregate import Aggregate
from domain.basis import Basis
from domain.catalogue import CATALOGUE
from domain.completion import Because
from domain.course import Capacity, Course, Standing
from domain.credential import policy_on
from domain.enrolment import Enrolment, MakeUp, MakeUpKind, Source
from domain.private import Private
from domain.register import AttendanceRegister, Marker, MarkRequest, Status
from domain.schedule import SessionPlan
from domain.trainer import Role
from projections import roster as view
from projections.projection import instant
from projections.roster import roster as projection
from provider.office import Office
from tests.conftest import START

LEAD, OTHER, REGISTRAR = uuid4(), uuid4(), uuid4()
BY: dict[str, Any] = {"by": REGISTRAR, "at": START}
STARTS = datetime(2026, 6, 1, 7, tzinfo=UTC)
ENDS = STARTS + timedelta(hours=4)


@pytest.fixture
def shelf(showing: Callable[..., Office]) -> Iterator[Office]:
    office = showing(projection)
    yield office
    assert office.views.verify() == []
    office.close()


class Class:
    """A course with seats, whose changes are recorded as the commands would."""

    def __init__(self, office: Office, seats: int = 2) -> None:
        self.office = office
        policy = policy_on(CATALOGUE, body="SA", code="CSPO", on=STARTS.date())
        self.course = Course.draft(course=uuid4(), title="CSPO", policy=policy, format="in_person", **BY)
        self.id = self.course.id
        self.course.schedule(
            sessions=[SessionPlan(STARTS + timedelta(days=n), ENDS + timedelta(days=n), "UTC", 240) for n in range(2)],
            policy=policy,
            reason="short",
            **BY,
        )
        self.course.assign_trainer(trainer_person=LEAD, role=Role.LEAD, **BY)
        self.course.open(capacity=Capacity.of(seats), **BY)
        self.record(self.course)

    def record(self, *things: Aggregate) -> int:
        position = self.office.log.record(*things, asked={"id": "test", "channel": "test"}).position
        self.office.views.catch_up()
        return 0 if position is None else position

    def request(self, person: UUID | None = None, **said: Any) -> Enrolment:
        person = person or uuid4()
        stream = Enrolment.create_id(self.id, person)
        standing = self.course.request_seat(person=person, enrolment=stream, **BY)
        made = Enrolment.request(course=self.id, person=person, standing=standing, **said, **BY)
        self.record(made, self.course)
        return made

    def leave(self, enrolment: Enrolment) -> int:
        enrolment.withdraw(reason="ill", note=Private("note"), **BY)
        self.course.free_seat(person=enrolment.person, reason="ill", **BY)
        return self.record(enrolment, self.course)

    def register(self, session: int = 1) -> AttendanceRegister:
        return AttendanceRegister.open(course=self.id, session=session, **BY)

    def row(self, enrolment: Enrolment, at: int | None = None) -> dict[str, Any]:
        with self.office.views.reading() as read:
            found = view.enrolment(read, enrolment.id, at)
        assert found is not None
        return found

    def learners(self, at: int | None = None) -> list[UUID]:
        with self.office.views.reading() as read:
            return [UUID(row["enrolment"]) for row in view.learners(read, self.id, at)]

    def listed(self, **said: Any) -> list[UUID]:
        with self.office.views.reading() as read:
            return [UUID(row["enrolment"]) for row in view.enrolments_of(read, self.id, **said)]

    def mark(self, register: AttendanceRegister, *batch: MarkRequest, **said: Any) -> int:
        said = {"authority": lambda _: Marker.LEAD, "by": LEAD, "withdrawn": (), **said}
        said.setdefault("enrolled", [mark.person for mark in batch])
        now = STARTS + timedelta(hours=3)
        register.mark(batch=batch, sent_at=now, starts=STARTS, ends=ENDS, at=now, **said)
        return self.record(register)


def a_mark(person: UUID, status: Status = Status.PRESENT, minute: int = 0, **said: Any) -> MarkRequest:
    said.setdefault("mark", uuid4())
    return MarkRequest(person=person, status=status, marked_at=STARTS + timedelta(minutes=minute), **said)


def test_a_course_without_enrolments_has_nobody(shelf: Office) -> None:
    course = Class(shelf)
    with shelf.views.reading() as read:
        assert view.learners(read, course.id) == []
        assert view.enrolled(read, course.id) == []
        assert view.withdrawn(read, course.id) == []
        assert view.enrolment(read, uuid4()) is None
        assert view.course_of(read, uuid4()) is None


def test_who_requests_has_a_seat_or_a_rank(shelf: Office) -> None:
    course = Class(shelf, seats=2)
    ada, bob = course.request(order_reference="1/1"), course.request(source=Source.IMPORT)
    eve, fay = course.request(), course.request()
    assert course.learners() == [ada.id, bob.id]
    assert [course.row(each)["rank"] for each in (ada, bob, eve, fay)] == [None, None, 1, 2]
    assert (course.row(ada)["standing"], course.row(eve)["standing"]) == ("confirmed", "queued")
    assert (course.row(ada)["order_reference"], course.row(bob)["source"]) == ("1/1", "import")
    with shelf.views.reading() as read:
        assert view.course_of(read, eve.id) == str(course.id)
        assert view.enrolled(read, course.id) == [str(ada.person), str(bob.person)]


def test_the_course_may_be_recorded_before_the_enrolment(shelf: Office) -> None:
    course = Class(shelf, seats=1)
    for person in (uuid4(), uuid4()):
        stream = Enrolment.create_id(course.id, person)
        standing = course.course.request_seat(person=person, enrolment=stream, **BY)
        made = Enrolment.request(course=course.id, person=person, standing=standing, **BY)
        course.record(course.course, made)
    seated, waiting = course.listed()
    with shelf.views.reading() as read:
        assert view.learners(read, course.id)[0]["enrolment"] == str(seated)
        assert view.ranks(read, course.id) == {str(waiting): 1}


def test_ranks_close_up_when_somebody_leaves_the_queue(shelf: Office) -> None:
    course = Class(shelf, seats=1)
    _, eve, fay = course.request(), course.request(), course.request()
    before = course.leave(eve) - 2
    assert course.row(fay)["rank"] == 1
    assert course.row(eve)["rank"] is None
    assert (course.row(fay, before)["rank"], course.row(eve, before)["rank"]) == (2, 1)


def test_a_freed_seat_is_a_task_until_it_is_confirmed(shelf: Office) -> None:
    course = Class(shelf, seats=1)
    ada, eve, fay = course.request(), course.request(), course.request()
    course.leave(ada)
    assert course.listed(task=view.CONFIRM_SEAT) == [eve.id]
    assert course.row(eve)["seat_held"] is True
    course.course.skip(person=eve.person, reason="no_answer", **BY)
    course.record(course.course)
    assert course.listed(task=view.CONFIRM_SEAT) == [fay.id]
    assert (course.row(eve)["skipped"], course.row(eve)["rank"], course.row(fay)["rank"]) == ("no_answer", 1, 2)
    course.course.confirm_held(person=fay.person, **BY)
    fay.confirm(**BY)
    course.record(fay, course.course)
    assert course.listed(task=view.CONFIRM_SEAT) == []
    assert course.learners() == [fay.id]
    assert (course.row(fay)["ticket"], course.row(fay)["seat_held"], course.row(eve)["rank"]) == (None, False, 1)


def test_who_left_is_listed_with_the_reason_and_comes_again_as_if_new(shelf: Office) -> None:
    course = Class(shelf, seats=1)
    ada, eve = course.request(), course.request()
    course.leave(ada)
    assert course.listed(standing="withdrawn") == [ada.id]
    assert (course.row(ada)["reason"], course.row(ada)["note"]) == ("ill", "note")
    with shelf.views.reading() as read:
        assert view.withdrawn(read, course.id) == [str(ada.person)]
    standing = course.course.request_seat(person=ada.person, enrolment=ada.id, **BY)
    ada.request_again(standing=standing, order_reference="2/1", **BY)
    course.record(ada, course.course)
    again = course.row(ada)
    assert (again["standing"], again["rank"], again["reason"], again["note"]) == ("queued", 2, None, None)
    assert again["order_reference"] == "2/1"
    assert course.listed() == [ada.id, eve.id]


def test_a_cancelled_enrolment_and_a_no_show_say_why(shelf: Office) -> None:
    course = Class(shelf, seats=2)
    ada, bob = course.request(), course.request()
    ada.cancel(reason="unpaid", **BY)
    course.course.free_seat(person=ada.person, reason="unpaid", **BY)
    bob.declare_no_show(attended=False, reason="never_came", note=Private("why"), **BY)
    course.record(ada, bob, course.course)
    assert (course.row(ada)["standing"], course.row(ada)["reason"]) == ("cancelled", "unpaid")
    assert (course.row(bob)["standing"], course.row(bob)["note"]) == ("no_show", "why")
    assert course.learners() == [bob.id]
    with shelf.views.reading() as read:
        assert view.enrolled(read, course.id) == []
        assert view.withdrawn(read, course.id) == [str(ada.person), str(bob.person)]
    bob.lift_no_show(reason="mistake", **BY)
    course.record(bob)
    assert (course.row(bob)["standing"], course.row(bob)["reason"]) == ("confirmed", None)


def test_a_walk_in_shows_at_once_and_is_a_task(shelf: Office) -> None:
    course = Class(shelf, seats=1)
    course.request()
    person = uuid4()
    stream = Enrolment.create_id(course.id, person)
    course.course.admit_walk_in(person=person, enrolment=stream, override="room_for_one", **BY)
    made = Enrolment.request(course=course.id, person=person, standing=Standing.CONFIRMED, source=Source.WALK_IN, **BY)
    made.admit_walk_in(session=2, override="room_for_one", **BY)
    course.record(made, course.course)
    row = course.row(made)
    assert (row["walk_in"], row["walk_in_confirmed"], row["override"]) == (2, False, "room_for_one")
    assert course.learners()[1] == made.id
    assert course.listed(task=view.CONFIRM_WALK_IN) == [made.id]
    made.confirm_walk_in(**BY)
    course.record(made)
    assert course.row(made)["walk_in_confirmed"] is True
    assert course.listed(task=view.CONFIRM_WALK_IN) == []


def test_a_walk_in_turned_away_is_no_task_any_more(shelf: Office) -> None:
    course = Class(shelf)
    person = uuid4()
    stream = Enrolment.create_id(course.id, person)
    course.course.admit_walk_in(person=person, enrolment=stream, **BY)
    made = Enrolment.request(course=course.id, person=person, standing=Standing.CONFIRMED, source=Source.WALK_IN, **BY)
    made.admit_walk_in(session=1, **BY)
    course.record(made, course.course)
    made.cancel(reason="not_paid", **BY)
    course.course.free_seat(person=person, reason="not_paid", **BY)
    course.record(made, course.course)
    assert course.listed(task=view.CONFIRM_WALK_IN) == []
    assert course.learners() == []


@pytest.mark.parametrize("waited", [False, True])
def test_a_substitute_takes_the_seat_and_both_rows_say_so(shelf: Office, waited: bool) -> None:
    course = Class(shelf, seats=1)
    ada = course.request()
    eve = course.request() if waited else None
    person = eve.person if eve else uuid4()
    stream = ada.substitute(person=person, reason="colleague", **BY)
    course.course.substitute(old=ada.person, new=person, new_enrolment=stream, **BY)
    if eve is None:
        eve = Enrolment.request(
            course=course.id,
            person=person,
            standing=Standing.CONFIRMED,
            source=Source.SUBSTITUTION,
            substitutes=ada.id,
            **BY,
        )
    else:
        eve.confirm(**BY)
    course.record(ada, eve, course.course)
    assert course.learners() == [eve.id]
    assert (course.row(ada)["standing"], course.row(ada)["substituted_by"]) == ("substituted", str(eve.id))
    assert (course.row(eve)["standing"], course.row(eve)["substitutes"]) == ("confirmed", str(ada.id))


def test_what_is_said_of_a_learner_is_kept_beside(shelf: Office) -> None:
    course = Class(shelf)
    ada = course.request()
    ada.ask_body_email(body="SA", answered=False, **BY)
    ada.ask_body_email(body="SA", answered=True, **BY)
    ada.declare_prerequisite(evidence="CSM 123", **BY)
    elsewhere = MakeUp(MakeUpKind.TUTORIAL)
    for minutes in (30, 40):
        ada.credit_make_up(session=1, minutes=minutes, elsewhere=elsewhere, trainer=LEAD, evidence="protocol", **BY)
    ada.withdraw_make_up(number=1, reason="wrong", **BY)
    ada.attest_participation(attested=True, lead=LEAD, by=LEAD, at=START)
    course.record(ada)
    row = course.row(ada)
    assert row["body_emails_asked"] == {"SA": True}
    assert row["prerequisites"] == [{"evidence": "CSM 123", "at": instant(START), "recorded_by": str(REGISTRAR)}]
    assert [(each["number"], each["minutes"], each["withdrawn"]) for each in row["make_ups"]] == [
        (1, 30, "wrong"),
        (2, 40, None),
    ]
    assert row["make_ups"][0]["elsewhere"]["kind"] == "tutorial"
    assert row["participation"] is True
    assert row["version"] == ada.version


def test_the_lead_s_decision_shows(shelf: Office) -> None:
    course = Class(shelf)
    ada = course.request()
    because = Because(True, (), (), (Basis(ada.id, 1, "learner"),), "2026-01", 0)
    ada.decide_completion(completed=True, because=because, lead=LEAD, solo=False, by=LEAD, at=START)
    course.record(ada)
    assert course.row(ada)["completed"] is True


def test_a_mark_is_in_the_learner_s_row(shelf: Office) -> None:
    course = Class(shelf)
    ada, bob = course.request(), course.request()
    mark = a_mark(
        ada.person, Status.LATE, late_minutes=10, left_early_minutes=5, signed_in=STARTS + timedelta(minutes=10)
    )
    before = course.mark(course.register(1), mark) - 2
    assert course.row(ada)["marks"] == {
        "1": {
            "status": "late",
            "late": 10,
            "left": 5,
            "in": instant(STARTS + timedelta(minutes=10)),
            "out": None,
            "mark": str(mark.mark),
            "conflict": False,
            "by": str(LEAD),
        }
    }
    assert course.row(bob)["marks"] == {}
    assert course.row(ada, before)["marks"] == {}
    course.mark(course.register(2), a_mark(ada.person, Status.ABSENT))
    assert {number: mark["status"] for number, mark in course.row(ada)["marks"].items()} == {
        "1": "late",
        "2": "absent",
    }


def test_an_earlier_mark_of_a_third_may_come_to_stand(shelf: Office) -> None:
    course = Class(shelf)
    ada = course.request()
    register = course.register()
    first, blind = a_mark(ada.person), a_mark(ada.person, Status.ABSENT, minute=5)
    course.mark(register, first)
    course.mark(register, blind, by=OTHER)
    standing = course.row(ada)["marks"]["1"]
    assert (standing["mark"], standing["conflict"], standing["by"]) == (str(first.mark), True, str(LEAD))
    course.mark(register, a_mark(ada.person, minute=10))
    standing = course.row(ada)["marks"]["1"]
    assert (standing["mark"], standing["status"], standing["by"]) == (str(blind.mark), "absent", str(OTHER))
    register.resolve_conflict(person=ada.person, mark=blind.mark, lead_on_date=LEAD, reason="seen", by=LEAD, at=START)
    course.record(register)
    standing = course.row(ada)["marks"]["1"]
    assert (standing["mark"], standing["conflict"]) == (str(blind.mark), False)


def test_a_mark_set_aside_counts_once_it_is_admitted(shelf: Office) -> None:
    course = Class(shelf)
    ada, bob = course.request(), course.request()
    register = course.register()
    late = a_mark(ada.person, Status.LATE, late_minutes=1)
    course.leave(ada)
    course.mark(register, late, a_mark(bob.person), enrolled=[bob.person], withdrawn=[ada.person])
    assert course.row(ada)["marks"] == {}
    register.admit_set_aside(mark=late.mark, reason="was_there", **BY)
    course.record(register)
    assert course.row(ada)["marks"]["1"]["status"] == "late"


def test_after_the_seal_only_an_approved_amendment_counts(shelf: Office) -> None:
    course = Class(shelf)
    ada = course.request()
    register = course.register()
    course.mark(register, a_mark(ada.person, Status.ABSENT))
    register.seal(enrolled=[ada.person], lead_on_date=LEAD, over_at=START, attestation="So it was.", by=LEAD, at=START)
    course.mark(register, a_mark(ada.person, Status.PRESENT, minute=2), enrolled=[ada.person])
    assert course.row(ada)["marks"]["1"]["status"] == "absent"
    register.approve_amendment(number=1, by=REGISTRAR, at=START)
    course.record(register)
    assert course.row(ada)["marks"]["1"]["status"] == "present"


@pytest.mark.parametrize("seed", range(6))
def test_the_row_says_what_the_register_says_whatever_is_marked(shelf: Office, seed: int) -> None:
    random = Random(seed)
    course = Class(shelf, seats=3)
    enrolments = [course.request() for _ in range(3)]
    people = [each.person for each in enrolments]
    devices = [uuid4(), uuid4(), None]
    register = course.register()
    sent: list[MarkRequest] = []
    for _ in range(60):
        device = random.choice(devices)
        status = random.choice([Status.PRESENT, Status.ABSENT, Status.EXCUSED])
        person = random.choice(people)
        seen = [mark.mark for mark in sent if mark.person == person]
        mark = a_mark(
            person,
            status,
            minute=random.randrange(60),
            device=device,
            seq=random.randrange(9) if device else None,
            corrects=random.choice(seen) if seen and random.random() < 0.3 else None,
        )
        sent.append(mark)
        gone = random.sample(people, random.randrange(2))
        course.mark(
            register,
            mark,
            by=random.choice([LEAD, OTHER, REGISTRAR]),
            enrolled=[each for each in people if each not in gone],
            withdrawn=gone,
        )
        if random.random() < 0.1 and register.conflicts:
            disputed = random.choice(register.conflicts)
            chosen = random.choice(register.standing_of(disputed).words).mark
            register.resolve_conflict(person=disputed, mark=chosen, lead_on_date=LEAD, reason="seen", by=LEAD, at=START)
        if random.random() < 0.3 and register.set_aside:
            register.admit_set_aside(mark=random.choice(register.set_aside).mark, reason="was_there", **BY)
        course.record(register)
        for each in enrolments:
            known = register.standing_of(each.person)
            said = course.row(each)["marks"].get("1")
            assert (said and said["mark"], said and said["conflict"]) == (
                known.mark and str(known.mark.mark),
                known.mark and known.conflict,
            )
            if said is not None and known.mark is not None:
                assert (said["status"], said["by"]) == (known.mark.status, str(known.mark.author))


def test_pages_go_on_after_the_last_and_ranks_count_everybody(shelf: Office) -> None:
    course = Class(shelf, seats=1)
    made = [course.request() for _ in range(5)]
    with shelf.views.reading() as read:
        first = view.enrolments_of(read, course.id, limit=2)
        assert [row["enrolment"] for row in first] == [str(each.id) for each in made[:3]]
        rest = view.enrolments_of(read, course.id, limit=2, after=first[1]["requested"])
        assert [row["rank"] for row in rest] == [2, 3, 4]


@pytest.mark.parametrize("seated", [True, False])
def test_as_of_any_position_the_roster_is_as_it_was(shelf: Office, seated: bool) -> None:
    course = Class(shelf, seats=2)
    past: list[tuple[int, list[UUID]]] = []
    recorded: Callable[[], None] = lambda: past.append((shelf.log.position(), course.learners()))  # noqa: E731
    ada, bob, eve = (course.request() for _ in range(3))
    recorded()
    course.leave(ada if seated else eve)
    recorded()
    bob.declare_no_show(attended=False, reason="never_came", **BY)
    course.record(bob)
    recorded()
    for position, then in past:
        assert course.learners(position) == then
    shelf.views.rebuild()
    for position, then in past:
        assert course.learners(position) == then


@given(st.uuids(), st.uuids())
def test_the_id_of_an_enrolment_is_the_same_from_text_to_text(course: UUID, person: UUID) -> None:
    assert view.enrolment_of(str(course), str(person)) == str(Enrolment.create_id(course, person))
