"""Learners request, wait, come without asking, give way to others, and leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from domain.course import (
    AlreadyQueued,
    Capacity,
    Course,
    CourseFull,
    CourseStage,
    EnrolmentIsClosed,
    NoSeatHeld,
    SamePerson,
    SeatAlreadyTaken,
    UnknownSession,
)
from domain.enrolment import (
    Enrolment,
    EnrolmentStage,
    MakeUpKind,
    MakeUpUnsound,
    NoWalkIn,
    UnknownMakeUp,
    WasPresent,
)
from domain.person import LinkedElsewhere, Person, PersonUnnamed, Witness
from domain.register import AttendanceRegister, Marker, MarkRequest, Status
from projections import directory, roster
from provider.commands import courses, enrolments, people
from provider.commands.enrolments import IdNotRandom, IdTaken, NotMarkedThere
from provider.log import NotFound
from provider.office import Office
from provider.work import Act, Receipt, Stale
from tests.academy import Academy
from tests.idempotency import key_of

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


class Desk:
    """What a registrar does in one line, and sees."""

    def __init__(self, office: Office, act: Acting, course: UUID) -> None:
        self.office = office
        self.act = act
        self.course = course

    def enrol(self, given: str = "Ada", **said: Any) -> UUID:
        """Enrol somebody new, and return the enrolment."""
        return enrolments.request(self.office, self.act(), course=self.course, given=given, **said).id

    def walk_in(self, person: UUID | None = None, session: int = 1, **said: Any) -> Receipt:
        said.setdefault("given", "Wally")
        return enrolments.admit_walk_in(
            self.office, self.act(), course=self.course, person=person or uuid4(), session=session, **said
        )

    def withdraw(self, enrolment: UUID) -> Receipt:
        return enrolments.withdraw(self.office, self.act(), enrolment=enrolment, reason="ill")

    def row(self, enrolment: UUID | str) -> dict[str, Any]:
        with self.office.views.reading() as read:
            found = roster.enrolment(read, enrolment)
        assert found is not None
        return found

    def standing(self, enrolment: UUID) -> tuple[str, int | None, bool]:
        row = self.row(enrolment)
        return row["standing"], row["rank"], row["seat_held"]

    def names(self) -> list[str | None]:
        """Return the given names of those who have a seat."""
        with self.office.views.reading() as read:
            rows = roster.learners(read, self.course)
            known = directory.people_by_ids(read, [row["person"] for row in rows])
        opened = self.office.vault.open([known[row["person"]]["given"] for row in rows])
        return [opened[known[row["person"]]["given"]] for row in rows]

    def mark(self, enrolment: UUID, status: Status = Status.PRESENT, session: int = 1) -> None:
        """Let the lead mark a learner, as if the session were under way."""
        known = self.office.log.get(Enrolment, enrolment)
        planned = self.office.log.get(Course, known.course).planned[session]
        stream = AttendanceRegister.create_id(known.course, session)
        by: dict[str, Any] = {"by": uuid4(), "at": planned.starts}
        register = self.office.log.find(AttendanceRegister, stream) or AttendanceRegister.open(
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
        self.office.views.catch_up(self.office.log.record(register, asked={}).position)


@pytest.fixture
def desk(office: Office, act: Acting, course: UUID) -> Desk:
    return Desk(office, act, course)


def test_somebody_on_record_gets_a_seat(office: Office, act: Acting, desk: Desk, person: Callable[..., UUID]) -> None:
    ada = person("Ada", "Lovelace")
    receipt = enrolments.request(office, act(), course=desk.course, person=ada, order_reference="7/1")
    assert (receipt.outcome, receipt.ids) == ("confirmed", (str(ada),))
    assert receipt.id == Enrolment.create_id(desk.course, ada)
    assert desk.row(receipt.id)["order_reference"] == "7/1"


def test_somebody_new_is_made_known_in_the_same_record(office: Office, act: Acting, desk: Desk) -> None:
    before = office.log.position()
    receipt = enrolments.request(
        office, act(), course=desk.course, given="Ada", family="Lovelace", email="ada@example.org"
    )
    with office.views.reading() as read:
        known = directory.person(read, receipt.ids[0])
    assert known is not None
    assert office.vault.open_one(known["email"]) == "ada@example.org"
    assert known["source"] == "api"
    assert receipt.position == office.log.position() == before + 3


def test_beyond_the_seats_people_wait_in_order(desk: Desk) -> None:
    made = [desk.enrol() for _ in range(4)]
    assert [desk.standing(each) for each in made] == [
        ("confirmed", None, False),
        ("confirmed", None, False),
        ("queued", 1, False),
        ("queued", 2, False),
    ]


def test_a_registrar_gives_a_seat_beyond_the_capacity_for_a_reason(desk: Desk) -> None:
    made = [desk.enrol(override="sponsor") for _ in range(3)]
    assert [desk.row(each)["override"] for each in made] == [None, None, "sponsor"]
    assert desk.standing(made[2])[0] == "confirmed"


def test_nobody_is_enrolled_twice(office: Office, act: Acting, desk: Desk) -> None:
    people_of = [desk.row(desk.enrol())["person"] for _ in range(3)]
    for person, refusal in zip(people_of, (SeatAlreadyTaken, SeatAlreadyTaken, AlreadyQueued), strict=True):
        with pytest.raises(refusal):
            enrolments.request(office, act(), course=desk.course, person=UUID(person))


def test_who_left_may_request_again(office: Office, act: Acting, desk: Desk) -> None:
    ada, bob = desk.enrol("Ada"), desk.enrol("Bob")
    desk.withdraw(ada)
    receipt = enrolments.request_again(office, act(), enrolment=ada, order_reference="8/1")
    assert (receipt.id, receipt.outcome) == (ada, "confirmed")
    desk.withdraw(bob)
    receipt = enrolments.request(office, act(), course=desk.course, person=UUID(desk.row(bob)["person"]))
    assert (receipt.id, receipt.outcome) == (bob, "confirmed")
    with pytest.raises(SeatAlreadyTaken):
        enrolments.request_again(office, act(), enrolment=ada)


def test_a_closed_enrolment_takes_nobody_but_for_a_reason(office: Office, act: Acting, desk: Desk) -> None:
    courses.close_enrolment(office, act(), course=desk.course)
    with pytest.raises(EnrolmentIsClosed):
        desk.enrol()
    assert desk.standing(desk.enrol(override="promised"))[0] == "confirmed"


def test_a_draft_takes_nobody_and_nobody_is_made_known(office: Office, act: Acting, academy: Academy) -> None:
    draft = academy.draft()
    before = office.log.position()
    with pytest.raises(CourseStage):
        enrolments.request(office, act(), course=draft, given="Ada")
    assert office.log.position() == before


def test_what_is_not_there_is_not_found(office: Office, act: Acting, desk: Desk, person: Callable[..., UUID]) -> None:
    ada = person("Ada", None)
    with pytest.raises(NotFound):
        enrolments.request(office, act(), course=uuid4(), person=ada)
    with pytest.raises(NotFound):
        enrolments.request(office, act(), course=desk.course, person=uuid4())
    with pytest.raises(NotFound):
        enrolments.request(office, act(), course=desk.course, person=desk.course)
    with pytest.raises(NotFound):
        enrolments.withdraw(office, act(), enrolment=uuid4(), reason="ill")
    with pytest.raises(NotFound):
        enrolments.withdraw(office, act(), enrolment=desk.course, reason="ill")


def test_nobody_comes_without_a_name(desk: Desk) -> None:
    with pytest.raises(PersonUnnamed):
        desk.enrol(given=None)
    with pytest.raises(PersonUnnamed):
        desk.enrol(given=None, email="ada@example.org")


def test_a_record_that_was_merged_is_not_enrolled(
    office: Office, act: Acting, desk: Desk, person: Callable[..., UUID]
) -> None:
    ada, again = person("Ada", None), person("Ada", None)
    merged = office.log.get(Person, again)
    merged.link_to(survivor=office.log.get(Person, ada), present_together=(), reason="same", by=uuid4(), at=act().at)
    office.log.record(merged, asked={})
    with pytest.raises(LinkedElsewhere):
        enrolments.request(office, act(), course=desk.course, person=again)


def test_the_same_key_enrols_once(office: Office, act: Acting, desk: Desk, admin: UUID) -> None:
    key = key_of(admin, "one-and-only", b"body")
    first = enrolments.request(office, act(key=key), course=desk.course, given="Ada")
    second = enrolments.request(office, act(key=key), course=desk.course, given="Ada")
    assert (second.id, second.ids, second.outcome, second.replayed) == (first.id, first.ids, "confirmed", True)
    assert desk.names() == ["Ada"]


def test_a_freed_seat_is_held_and_confirmed(office: Office, act: Acting, desk: Desk) -> None:
    ada, _, eve, fay = (desk.enrol() for _ in range(4))
    with pytest.raises(NoSeatHeld):
        enrolments.confirm(office, act(), enrolment=eve)
    assert desk.withdraw(ada).outcome == "withdrawn"
    assert desk.standing(eve) == ("queued", 1, True)
    with pytest.raises(NoSeatHeld):
        enrolments.confirm(office, act(), enrolment=fay)
    assert enrolments.confirm(office, act(), enrolment=eve).outcome == "confirmed"
    assert desk.standing(eve) == ("confirmed", None, False)
    assert desk.standing(fay) == ("queued", 1, False)
    assert enrolments.confirm(office, act(), enrolment=fay, override="sponsor").outcome == "confirmed"


def test_who_is_skipped_keeps_the_rank(office: Office, act: Acting, desk: Desk) -> None:
    ada, _, eve, fay = (desk.enrol() for _ in range(4))
    desk.withdraw(ada)
    receipt = enrolments.skip(office, act(), enrolment=eve, reason="no_answer", note="Called twice.")
    assert (receipt.id, receipt.outcome) == (eve, "queued")
    assert desk.standing(eve) == ("queued", 1, False)
    assert desk.standing(fay) == ("queued", 2, True)
    with pytest.raises(NoSeatHeld):
        enrolments.skip(office, act(), enrolment=eve, reason="no_answer")


def test_who_leaves_the_queue_frees_no_seat(desk: Desk) -> None:
    _, _, eve, fay = (desk.enrol() for _ in range(4))
    desk.withdraw(eve)
    assert desk.standing(eve) == ("withdrawn", None, False)
    assert desk.standing(fay) == ("queued", 1, False)
    with pytest.raises(EnrolmentStage):
        desk.withdraw(eve)


def test_a_note_is_in_the_vault_only(office: Office, act: Acting, desk: Desk) -> None:
    ada = desk.enrol()
    enrolments.cancel(office, act(), enrolment=ada, reason="unpaid", note="The card was refused.")
    row = desk.row(ada)
    assert (row["standing"], row["reason"]) == ("cancelled", "unpaid")
    assert office.vault.open_one(row["note"]) == "The card was refused."
    assert b"card" not in b"".join(entry[4] for entry in office.log.entries.page(0, 10_000))


def test_a_change_of_what_somebody_else_changed_is_stale(office: Office, act: Acting, desk: Desk) -> None:
    ada = desk.enrol()
    enrolments.declare_prerequisite(office, act(version=1), enrolment=ada, evidence="CSM 1")
    with pytest.raises(Stale):
        enrolments.withdraw(office, act(version=1), enrolment=ada, reason="ill")
    assert desk.standing(ada)[0] == "confirmed"


def test_a_substitute_comes_before_the_queue(office: Office, act: Acting, desk: Desk) -> None:
    ada, _, eve = desk.enrol("Ada"), desk.enrol("Bob"), desk.enrol("Eve")
    receipt = enrolments.substitute(office, act(), enrolment=ada, reason="colleague", given="Carl", note="On leave.")
    coming, person = receipt.ids
    assert (receipt.id, receipt.outcome) == (ada, "substituted")
    assert coming == str(Enrolment.create_id(desk.course, UUID(person)))
    assert desk.row(coming)["substitutes"] == str(ada)
    assert desk.row(ada)["substituted_by"] == coming
    assert desk.names() == ["Bob", "Carl"]
    assert desk.standing(eve) == ("queued", 1, False)


def test_a_substitute_may_come_from_the_queue_or_back(office: Office, act: Acting, desk: Desk) -> None:
    ada, bob, eve = desk.enrol("Ada"), desk.enrol("Bob"), desk.enrol("Eve")
    person = {name: UUID(desk.row(each)["person"]) for name, each in (("ada", ada), ("bob", bob), ("eve", eve))}
    receipt = enrolments.substitute(office, act(), enrolment=ada, reason="colleague", person=person["eve"])
    assert receipt.ids == (str(eve), str(person["eve"]))
    assert desk.standing(eve) == ("confirmed", None, False)
    receipt = enrolments.substitute(office, act(), enrolment=bob, reason="colleague", person=person["ada"])
    assert desk.standing(ada)[0] == "confirmed"
    assert (desk.row(ada)["substitutes"], desk.row(ada)["substituted_by"]) == (str(bob), None)
    assert desk.names() == ["Ada", "Eve"]


def test_nobody_substitutes_themselves_or_takes_a_second_seat(office: Office, act: Acting, desk: Desk) -> None:
    ada, bob, eve = desk.enrol("Ada"), desk.enrol("Bob"), desk.enrol("Eve")
    with pytest.raises(SamePerson):
        enrolments.substitute(office, act(), enrolment=ada, reason="colleague", person=UUID(desk.row(ada)["person"]))
    with pytest.raises(SeatAlreadyTaken) as refused:
        enrolments.substitute(office, act(), enrolment=ada, reason="colleague", person=UUID(desk.row(bob)["person"]))
    assert refused.value.field == "person"
    with pytest.raises(EnrolmentStage):
        enrolments.substitute(office, act(), enrolment=eve, reason="colleague", given="Carl")
    assert desk.names() == ["Ada", "Bob"]


def test_a_walk_in_gets_a_free_seat_and_is_confirmed_later(office: Office, act: Acting, desk: Desk) -> None:
    person = uuid4()
    receipt = desk.walk_in(person, session=2, given="Wally", email="wally@example.org")
    assert (receipt.outcome, receipt.ids) == ("confirmed", (str(person),))
    row = desk.row(receipt.id)
    assert (row["source"], row["walk_in"], row["walk_in_confirmed"]) == ("walk_in", 2, False)
    assert desk.names() == ["Wally"]
    with office.views.reading() as read:
        assert roster.enrolled(read, desk.course) == [str(person)]
    enrolments.confirm_walk_in(office, act(), enrolment=receipt.id)
    assert desk.row(receipt.id)["walk_in_confirmed"] is True
    with pytest.raises(NoWalkIn):
        enrolments.confirm_walk_in(office, act(), enrolment=receipt.id)


def test_the_same_walk_in_again_changes_nothing(office: Office, act: Acting, desk: Desk) -> None:
    person = uuid4()
    first = desk.walk_in(person)
    again = desk.walk_in(person)
    assert (again.id, again.version, again.outcome, again.ids) == (first.id, first.version, first.outcome, first.ids)
    assert again.position is None
    enrolments.confirm_walk_in(office, act(), enrolment=first.id)
    people.correct_names(office, act(), person=person, given="Walter", reason="typing_error")
    assert desk.walk_in(person).position is None
    enrolments.cancel(office, act(), enrolment=first.id, reason="not_paid")
    late = desk.walk_in(person)
    assert (late.position, late.outcome) == (None, "cancelled")


def test_who_was_turned_away_may_walk_in_to_another_session(office: Office, act: Acting, desk: Desk) -> None:
    person = uuid4()
    first = desk.walk_in(person, session=1)
    enrolments.cancel(office, act(), enrolment=first.id, reason="not_paid")
    again = desk.walk_in(person, session=3)
    assert (again.id, again.outcome) == (first.id, "confirmed")
    assert desk.row(first.id)["walk_in"] == 3


def test_a_full_course_takes_a_walk_in_only_with_an_override(desk: Desk) -> None:
    desk.enrol(), desk.enrol()
    before = desk.office.log.position()
    with pytest.raises(CourseFull):
        desk.walk_in()
    assert desk.office.log.position() == before
    receipt = desk.walk_in(override="room_for_one")
    assert desk.row(receipt.id)["override"] == "room_for_one"
    events = [event for event in desk.office.log.events.get(receipt.id) if type(event) is Enrolment.WalkInAdmitted]
    assert [event.override for event in events] == ["room_for_one"]


def test_an_override_that_was_not_needed_is_not_recorded(desk: Desk) -> None:
    receipt = desk.walk_in(override="room_for_one")
    assert desk.row(receipt.id)["override"] is None
    events = [event for event in desk.office.log.events.get(receipt.id) if type(event) is Enrolment.WalkInAdmitted]
    assert [event.override for event in events] == [None]


def test_who_waits_may_walk_in_where_a_seat_is_held_for_them(desk: Desk) -> None:
    ada, _, eve = desk.enrol("Ada"), desk.enrol("Bob"), desk.enrol("Eve")
    person = UUID(desk.row(eve)["person"])
    with pytest.raises(CourseFull):
        desk.walk_in(person, given="Eve")
    desk.withdraw(ada)
    receipt = desk.walk_in(person, given=None)
    assert (receipt.id, receipt.outcome) == (eve, "confirmed")
    assert desk.names() == ["Bob", "Eve"]


def test_who_has_a_seat_walks_in_nowhere(desk: Desk) -> None:
    ada = desk.enrol("Ada")
    with pytest.raises(SeatAlreadyTaken):
        desk.walk_in(UUID(desk.row(ada)["person"]), given=None)


def test_a_walk_in_comes_to_a_session_that_there_is(desk: Desk) -> None:
    with pytest.raises(UnknownSession):
        desk.walk_in(session=9)


def test_an_id_that_is_not_a_new_person_s_is_refused(desk: Desk, person: Callable[..., UUID]) -> None:
    ada = person("Ada", "Lovelace")
    before = desk.office.log.position()
    with pytest.raises(IdTaken):
        desk.walk_in(ada, given="Wally")
    with pytest.raises(IdTaken):
        desk.walk_in(desk.course)
    with pytest.raises(IdNotRandom):
        desk.walk_in(uuid5(uuid4(), "derived"))
    with pytest.raises(NotFound):
        desk.walk_in(given=None)
    assert desk.office.log.position() == before
    assert desk.walk_in(ada, given="Ada", family="Lovelace").outcome == "confirmed"


def test_who_never_came_is_a_no_show_until_that_is_lifted(office: Office, act: Acting, desk: Desk) -> None:
    ada = desk.enrol()
    desk.mark(ada, Status.ABSENT)
    assert enrolments.declare_no_show(office, act(), enrolment=ada, reason="never_came").outcome == "no_show"
    with pytest.raises(SeatAlreadyTaken):
        enrolments.request_again(office, act(), enrolment=ada)
    assert enrolments.lift_no_show(office, act(), enrolment=ada, reason="mistake").outcome == "confirmed"


def test_who_was_there_is_no_no_show(office: Office, act: Acting, desk: Desk) -> None:
    ada = desk.enrol()
    desk.mark(ada, Status.ABSENT, session=1)
    desk.mark(ada, Status.PRESENT, session=2)
    with pytest.raises(WasPresent):
        enrolments.declare_no_show(office, act(), enrolment=ada, reason="never_came")


def test_an_answered_question_for_the_body_s_email_is_the_person_s(office: Office, act: Acting, desk: Desk) -> None:
    ada = desk.enrol()
    enrolments.ask_body_email(office, act(), enrolment=ada, body="SA", answered=False)
    assert desk.row(ada)["body_emails_asked"] == {"SA": False}
    enrolments.ask_body_email(office, act(), enrolment=ada, body="SA", answered=True, email="ada@example.org")
    assert desk.row(ada)["body_emails_asked"] == {"SA": True}
    with office.views.reading() as read:
        known = directory.person(read, desk.row(ada)["person"])
    assert known is not None
    assert office.vault.open_one(known["body_emails"]["SA"]) == "ada@example.org"
    assert known["body_email_sources"] == {"SA": Witness.PERSON}
    enrolments.ask_body_email(office, act(), enrolment=ada, body="SA", answered=True, email="ada@example.org")
    with office.views.reading() as read:
        again = directory.person(read, desk.row(ada)["person"])
    assert again == known


def test_a_tutorial_makes_up_for_missed_time(office: Office, act: Acting, desk: Desk, lead: UUID) -> None:
    ada = desk.enrol()
    said: dict[str, Any] = {"enrolment": ada, "minutes": 60, "trainer": lead, "evidence": "protocol 7"}
    receipt = enrolments.credit_make_up(office, act(), session=1, kind=MakeUpKind.TUTORIAL, **said)
    assert receipt.ids == ("1",)
    receipt = enrolments.credit_make_up(office, act(), session=2, kind=MakeUpKind.TUTORIAL, **said)
    assert receipt.ids == ("2",)
    enrolments.withdraw_make_up(office, act(), enrolment=ada, number=1, reason="wrong_session")
    assert [each["withdrawn"] for each in desk.row(ada)["make_ups"]] == ["wrong_session", None]
    with pytest.raises(UnknownMakeUp):
        enrolments.withdraw_make_up(office, act(), enrolment=ada, number=1, reason="wrong_session")
    with pytest.raises(UnknownSession):
        enrolments.credit_make_up(office, act(), session=9, kind=MakeUpKind.TUTORIAL, **said)
    with pytest.raises(NotFound):
        enrolments.credit_make_up(office, act(), session=1, kind=MakeUpKind.TUTORIAL, **{**said, "trainer": uuid4()})
    with pytest.raises(MakeUpUnsound):
        enrolments.credit_make_up(
            office, act(), session=1, kind=MakeUpKind.TUTORIAL, elsewhere_course=desk.course, **said
        )


def test_a_session_elsewhere_is_proven_by_its_register(
    office: Office, act: Acting, academy: Academy, desk: Desk, lead: UUID
) -> None:
    ada = desk.enrol("Ada")
    person = UUID(desk.row(ada)["person"])
    other = academy.open(academy.trainer("Leo"))
    said: dict[str, Any] = {
        "enrolment": ada,
        "session": 1,
        "minutes": 60,
        "trainer": lead,
        "evidence": "register",
        "kind": MakeUpKind.SESSION,
        "elsewhere_course": other,
        "elsewhere_session": 2,
    }
    with pytest.raises(NotMarkedThere):
        enrolments.credit_make_up(office, act(), **said)
    there = enrolments.admit_walk_in(office, act(), course=other, person=person, session=2)
    desk.mark(there.id, Status.ABSENT, session=2)
    with pytest.raises(NotMarkedThere):
        enrolments.credit_make_up(office, act(), **{**said, "elsewhere_session": 1})
    with pytest.raises(NotMarkedThere):
        enrolments.credit_make_up(office, act(), **said)
    desk.mark(there.id, Status.PRESENT, session=1)
    receipt = enrolments.credit_make_up(office, act(), **{**said, "elsewhere_session": 1})
    assert receipt.ids == ("1",)
    assert desk.row(ada)["make_ups"][0]["elsewhere"] == {
        "kind": "session",
        "course": str(other),
        "session": 1,
        "register": str(AttendanceRegister.create_id(other, 1)),
    }
    with pytest.raises(MakeUpUnsound):
        enrolments.credit_make_up(office, act(), **{**said, "elsewhere_course": None})


def test_more_seats_go_to_the_queue(office: Office, act: Acting, desk: Desk) -> None:
    made = [desk.enrol() for _ in range(4)]
    courses.change_capacity(office, act(), course=desk.course, capacity=Capacity.of(3), reason="larger_room")
    assert [desk.standing(each) for each in made[2:]] == [("queued", 1, True), ("queued", 2, False)]


def test_the_views_agree_with_the_log_after_all_of_it(office: Office, act: Acting, desk: Desk) -> None:
    ada, _, eve = desk.enrol("Ada"), desk.enrol("Bob"), desk.enrol("Eve")
    desk.withdraw(ada)
    enrolments.confirm(office, act(), enrolment=eve)
    desk.walk_in(override="room_for_one")
    enrolments.substitute(office, act(), enrolment=eve, reason="colleague", given="Carl")
    assert office.views.verify() == []
