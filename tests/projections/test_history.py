"""The history: which events are found by whom, what, when and where they are about."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.aggregate import Aggregate
from domain.catalogue import CATALOGUE
from domain.course import Course, Standing
from domain.credential import policy_on
from domain.enrolment import Enrolment, Source
from domain.institution import Institution
from domain.institution import Settings as Rules
from domain.person import Names, Person
from domain.private import Private
from domain.register import AttendanceRegister
from domain.submission import Submission
from domain.trainer import Authority, Role, Trainer
from projections import history as view
from projections.history import history, listing, position_at, things_by_ids, version_of, versions_of
from provider.office import Office
from tests.golden import STREAM, event_classes, sample

RITA, TINA, GRACE, ALAN = (uuid4() for _ in range(4))
NOW = datetime.now(UTC)
BY: dict[str, Any] = {"by": RITA, "at": NOW}


@pytest.fixture
def shelf(showing: Callable[..., Office]) -> Iterator[Office]:
    office = showing(history)
    yield office
    assert office.views.verify() == []
    office.close()


class Shelf:
    """A log to which aggregates are recorded, and what the history says of it."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def record(self, *things: Aggregate) -> int:
        position = self.office.log.record(*things, asked={"id": "a-request", "channel": "test"}).position
        self.office.views.catch_up()
        assert position is not None
        return position

    def found(self, **wanted: Any) -> list[int]:
        with self.office.views.reading() as read:
            return [row["position"] for row in listing(read, **wanted)]

    def topics(self, **wanted: Any) -> list[str]:
        with self.office.views.reading() as read:
            return [row["topic"] for row in listing(read, **wanted)]

    def row(self, position: int) -> dict[str, Any]:
        with self.office.views.reading() as read:
            found = view.entry(read, position)
        assert found is not None
        return found


@pytest.fixture
def log(shelf: Office) -> Shelf:
    return Shelf(shelf)


def course() -> Course:
    return Course.draft(
        course=uuid4(),
        title="CSPO in Zürich",
        policy=policy_on(CATALOGUE, body="SA", code="CSPO", on=NOW.date()),
        format="in_person",
        **BY,
    )


def enrolment(of: Course, person: UUID) -> Enrolment:
    return Enrolment.request(
        course=of.id, person=person, standing=Standing.CONFIRMED, source=Source.API, order_reference=None, **BY
    )


def test_an_entry_says_where_and_when_and_by_whom(log: Shelf) -> None:
    made = course()
    position = log.record(made)

    row = log.row(position)

    assert row.pop("recorded_at") >= row["at"]
    assert row == {
        "position": 1,
        "stream": str(made.id),
        "version": 1,
        "topic": "course.drafted",
        "actor": str(RITA),
        "course": str(made.id),
        "person": None,
        "at": NOW.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "late": False,
        "request": "a-request",
    }


def test_what_belongs_to_a_course_is_found_by_it_though_its_events_do_not_name_it(log: Shelf) -> None:
    here, elsewhere = course(), course()
    log.record(here)
    log.record(elsewhere)
    seat = enrolment(here, GRACE)
    log.record(seat)
    seat.withdraw(reason="illness", note=None, **BY)
    log.record(seat)
    log.record(enrolment(elsewhere, GRACE))

    assert log.topics(course=here.id) == ["course.drafted", "enrolment.requested", "enrolment.withdrawn"]
    assert log.topics(course=str(elsewhere.id)) == ["course.drafted", "enrolment.requested"]


def test_a_person_is_found_wherever_they_appear(log: Shelf) -> None:
    grace = Person.register(person=GRACE, names=Names(given=Private("g" * 43)), email=None, source="api", **BY)
    log.record(grace)
    here = course()
    log.record(here)
    seat = enrolment(here, GRACE)
    log.record(seat)
    seat.withdraw(reason="illness", note=None, **BY)
    log.record(seat)
    trainer = Trainer.register(person=GRACE, **BY)
    log.record(trainer)
    trainer.authorise(
        body="SA",
        code="CSPO",
        role=Authority.LEAD,
        valid_from=NOW.date(),
        valid_until=None,
        evidence="letter",
        **BY,
    )
    log.record(trainer)
    here.assign_trainer(trainer_person=GRACE, role=Role.LEAD, **BY)
    log.record(here)

    assert log.topics(subject=GRACE) == [
        "person.registered",
        "enrolment.requested",
        "enrolment.withdrawn",
        "trainer.registered",
        "trainer.authorised",
        "course.trainer_assigned",
    ]


def test_both_people_of_a_substitution_are_found(log: Shelf) -> None:
    here = course()
    log.record(here)
    seat = enrolment(here, GRACE)
    log.record(seat)
    event = replace(
        sample(Enrolment.SubstitutedBy, full=False),
        originator_id=seat.id,
        originator_version=2,
        person=ALAN,
        enrolment=Enrolment.create_id(here.id, ALAN),
    )
    log.office.log.recorder.insert_events([log.office.log.mapper.to_stored_event(event)])
    log.office.views.catch_up()

    assert log.found(subject=GRACE) == [2, 3]
    assert log.found(subject=ALAN) == [3]
    assert log.found(subject=Enrolment.create_id(here.id, ALAN)) == [3]


def test_lines_of_a_submission_stand_for_their_learners(log: Shelf) -> None:
    drafted = sample(Submission.Drafted, full=True)
    first, second = drafted.lines
    drafted = replace(
        drafted,
        originator_version=1,
        lines=(replace(first, line=1, person=GRACE), replace(second, line=2, person=ALAN)),
    )
    accepted = replace(sample(Submission.OutcomeRecorded, full=True), originator_version=2, line=2)
    activated = replace(sample(Submission.Activated, full=True), originator_version=3, lines=(1, 2))
    mapper = log.office.log.mapper
    log.office.log.recorder.insert_events([mapper.to_stored_event(e) for e in (drafted, accepted, activated)])
    log.office.views.catch_up()

    assert log.found(subject=GRACE) == [1, 3]
    assert log.found(subject=ALAN) == [1, 2, 3]
    assert log.found(course=drafted.course) == [1, 2, 3]
    with log.office.views.reading() as read:
        assert things_by_ids(read, [f"{STREAM}/2"])[f"{STREAM}/2"]["person"] == str(ALAN)


def test_kinds_are_found_whole_or_by_their_noun(log: Shelf) -> None:
    here = course()
    log.record(here)
    seat = enrolment(here, GRACE)
    log.record(seat)
    seat.withdraw(reason="illness", note=None, **BY)
    log.record(seat)

    assert log.found(kind="enrolment") == [2, 3]
    assert log.found(kind="enrolment.withdrawn") == [3]
    assert log.found(kind="enrol") == []
    assert log.found(kind="course") == [1]


def test_filters_hold_together_and_pages_follow_each_other_both_ways(log: Shelf) -> None:
    here = course()
    log.record(here)
    for _ in range(7):
        log.record(enrolment(here, uuid4()))

    assert log.found(course=here.id, kind="enrolment", position_from=3, position_to=6) == [3, 4, 5, 6]
    assert log.found(kind="enrolment", limit=2) == [2, 3, 4]
    assert log.found(kind="enrolment", limit=2, after=3) == [4, 5, 6]
    assert log.found(newest_first=True, limit=2) == [8, 7, 6]
    assert log.found(newest_first=True, limit=2, after=7) == [6, 5, 4]
    assert log.found(at=3, newest_first=True) == [3, 2, 1]
    assert log.found(actor=RITA, limit=1) == [1, 2]
    assert log.found(actor=TINA) == []


def test_recorded_time_is_a_range_whose_end_does_not_count(log: Shelf) -> None:
    for _ in range(3):
        log.record(course())
    first, second = (datetime.fromisoformat(log.row(position)["recorded_at"]) for position in (1, 2))

    assert log.found(recorded_from=second) == [2, 3]
    assert log.found(recorded_to=second) == [1]
    assert log.found(recorded_from=first, recorded_to=second) == [1]
    with log.office.views.reading() as read:
        assert position_at(read, second) == 2
        assert position_at(read, first - timedelta(seconds=1)) == 0
        assert position_at(read, NOW + timedelta(days=1)) == 3


@pytest.mark.parametrize(
    ("step", "fall"), [(20, 0), (20, 30), (20, 300), (20, 30_000), (0.003, 0), (0.003, 0.02), (0.003, 7)]
)
def test_what_was_recorded_by_a_moment_is_found_though_stamps_fall(
    monkeypatch: pytest.MonkeyPatch, log: Shelf, step: float, fall: float
) -> None:
    monkeypatch.setattr(view, "EVERY", 7)  # Until the shelf is verified, which was asked for later.
    chance = random.Random(fall)
    first = NOW - timedelta(days=1)
    falls = [chance.choice((0, 0, 0, chance.uniform(0, fall))) for _ in range(90)]
    stamps = [first + timedelta(seconds=step * i - falls[i]) for i in range(90)]
    opened = replace(sample(AttendanceRegister.Opened, full=False), originator_version=1)
    events = [replace(opened, originator_id=uuid4(), timestamp=stamp) for stamp in stamps]
    for part in (events[:40], events[40:41], events[41:]):
        log.office.log.recorder.insert_events([log.office.log.mapper.to_stored_event(event) for event in part])
        log.office.views.catch_up()

    moments = [*chance.sample(stamps, 25), first - timedelta(days=1), NOW]
    moments += [moment + timedelta(seconds=chance.uniform(-step, step)) for moment in moments]
    with log.office.views.reading() as read:
        for moment in moments:
            assert position_at(read, moment) == next((i for i, s in enumerate(stamps) if s > moment), len(stamps))
            for newest_first in (False, True):
                since = listing(read, recorded_from=moment, newest_first=newest_first, limit=100)
                until = listing(read, recorded_to=moment, newest_first=newest_first, limit=100)
                numbered = list(enumerate(stamps, 1))[:: -1 if newest_first else 1]
                assert [row["position"] for row in since] == [i for i, stamp in numbered if stamp >= moment]
                assert [row["position"] for row in until] == [i for i, stamp in numbered if stamp < moment]


@pytest.mark.parametrize(("hours", "late"), [(23, False), (25, True)])
def test_what_is_recorded_a_day_after_it_happened_is_late(log: Shelf, hours: int, late: bool) -> None:
    made = Course.draft(
        course=uuid4(),
        title="CSPO",
        policy=policy_on(CATALOGUE, body="SA", code="CSPO", on=NOW.date()),
        format="in_person",
        by=RITA,
        at=datetime.now(UTC) - timedelta(hours=hours),
    )
    log.record(made)

    assert log.row(1)["late"] is late
    assert log.found(late=late) == [1]
    assert log.found(late=not late) == []


def test_the_version_of_a_stream_is_known_as_of_any_position(log: Shelf) -> None:
    here = course()
    log.record(here)
    seat = enrolment(here, GRACE)
    log.record(seat)
    seat.withdraw(reason="illness", note=None, **BY)
    log.record(seat)

    with log.office.views.reading() as read:
        assert version_of(read, seat.id) == 2
        assert version_of(read, str(seat.id), at=2) == 1
        assert version_of(read, seat.id, at=1) is None
        assert versions_of(read, [str(seat.id), str(here.id), str(uuid4())]) == {str(seat.id): 2, str(here.id): 1}
        assert versions_of(read, [str(seat.id), str(here.id)], at=1) == {str(here.id): 1}


def test_an_id_is_known_for_what_it_is(log: Shelf) -> None:
    office = Institution.found(institution=uuid4(), name="Old", settings=Rules.usual(zone="Europe/Zurich"), **BY)
    log.record(office)
    office.rename(name="New", **BY)
    log.record(office)
    here = course()
    log.record(here)
    register = AttendanceRegister.create_id(here.id, 2)
    opened = replace(
        sample(AttendanceRegister.Opened, full=False),
        originator_id=register,
        originator_version=1,
        course=here.id,
        session=2,
    )
    log.office.log.recorder.insert_events([log.office.log.mapper.to_stored_event(opened)])
    log.office.views.catch_up()

    with log.office.views.reading() as read:
        found = things_by_ids(read, [str(office.id), str(here.id), str(register), str(uuid4())])
        before = things_by_ids(read, [str(office.id)], at=1)

    assert {each: (row["kind"], row["label"], row["number"]) for each, row in found.items()} == {
        str(office.id): ("institution", "New", None),
        str(here.id): ("course", "CSPO in Zürich", None),
        str(register): ("register", None, 2),
    }
    assert before[str(office.id)]["label"] == "Old"


def test_every_event_has_its_entry_whatever_it_holds(log: Shelf) -> None:
    mapper = log.office.log.mapper
    events = []
    for kind in event_classes():
        for full in (True, False):
            first = "originator_topic" in kind.__annotations__ or hasattr(kind, "originator_topic")
            event = sample(kind, full=full)
            events.append(replace(event, originator_id=uuid4(), originator_version=1 if first else 2))
    log.office.log.recorder.insert_events([mapper.to_stored_event(event) for event in events])
    log.office.views.catch_up()

    with log.office.views.reading() as read:
        rows = listing(read, limit=1_000)

    assert [row["topic"] for row in rows] == [event.TOPIC for event in events]
