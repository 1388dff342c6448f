"""The directory: what it answers after which events, now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.aggregate import Aggregate
from domain.catalogue import CATALOGUE
from domain.course import Course
from domain.institution import Act, Institution, Settings, SignOff, SignOffMode
from domain.person import Names, Person, Witness
from domain.private import Private
from domain.trainer import Authority, Role, Slot, Trainer
from projections import directory as view
from projections.directory import directory as projection
from projections.history import history
from projections.projection import PORTION
from provider.office import Office
from tests.conftest import START

BY: dict[str, Any] = {"by": UUID("00000000-0000-4000-8000-000000000001"), "at": START}
CSPO = next(each for each in CATALOGUE if each.credential == "SA/CSPO")


@pytest.fixture
def shelf(showing: Callable[..., Office]) -> Iterator[Office]:
    office = showing(projection, history)
    yield office
    office.close()


@pytest.fixture
def record(shelf: Office) -> Callable[..., int]:
    def save(*things: Aggregate) -> int:
        position = shelf.log.record(*things, asked={"id": "test", "channel": "test"}).position
        shelf.views.catch_up(position)
        assert position is not None
        return position

    return save


def named(given: str, family: str | None = None) -> Names:
    return Names(given=Private(given), family=None if family is None else Private(family))


def somebody(given: str = "given") -> Person:
    return Person.register(person=uuid4(), names=named(given), email=Private("mail"), source="test", **BY)


def founded() -> Institution:
    return Institution.found(institution=uuid4(), name="Academy", settings=Settings.usual(zone="Europe/Zurich"), **BY)


def test_before_the_founding_there_is_nothing(shelf: Office) -> None:
    with shelf.views.reading() as read:
        assert view.institution(read) is None
        assert view.people(read) == []
        assert view.policies(read) == CATALOGUE
        with pytest.raises(view.NotFoundedThen):
            view.settings(read)


def test_the_settings_come_back_as_they_were_said(shelf: Office, record: Callable[..., int]) -> None:
    institution = founded()
    before = record(institution)
    said = Settings(
        zone="America/New_York",
        tolerance_minutes=0,
        sign_off=(SignOff(Act.REVOCATION, SignOffMode.SOLO),),
        certificate_prefix="NY-",
        submission_due_days=5,
        holidays=(date(2026, 12, 25), date(2027, 1, 1)),
    )
    institution.change_settings(settings=said, reason="moved", **BY)
    institution.rename(name="Academy of New York", **BY)
    record(institution)
    with shelf.views.reading() as read:
        assert view.settings(read) == said
        assert view.settings(read, at=before) == Settings.usual(zone="Europe/Zurich")
        now, then = view.institution(read), view.institution(read, at=before)
        assert now is not None
        assert then is not None
        assert (now["name"], now["version"]) == ("Academy of New York", 3)
        assert (then["name"], then["version"]) == ("Academy", 1)


def test_registrations_are_kept_with_their_end(shelf: Office, record: Callable[..., int]) -> None:
    institution = founded()
    institution.register_with_body(
        body="SA", external_id="17", valid_from=date(2026, 1, 1), valid_until=date(2026, 12, 31), **BY
    )
    institution.register_with_body(body="PMI", external_id="P", valid_from=date(2026, 1, 1), valid_until=None, **BY)
    institution.end_registration(body="SA", on=date(2026, 6, 1), reason="left", **BY)
    record(institution)
    with shelf.views.reading() as read:
        known = view.institution(read)
    assert known is not None
    assert known["registrations"] == [
        {
            "number": 1,
            "body": "SA",
            "external_id": "17",
            "valid_from": "2026-01-01",
            "valid_until": "2026-12-31",
            "ended": "2026-06-01",
        },
        {
            "number": 2,
            "body": "PMI",
            "external_id": "P",
            "valid_from": "2026-01-01",
            "valid_until": None,
            "ended": None,
        },
    ]


def test_the_institutions_own_rules_come_first_the_latest_before_the_earlier(
    shelf: Office, record: Callable[..., int]
) -> None:
    institution = founded()
    first = replace(CSPO, version="own-1", contact_minutes=900, valid_until=date(2026, 6, 30))
    second = replace(CSPO, version="own-2", contact_minutes=930, valid_until=None)
    institution.override_credential(policy=first, reason="stricter", **BY)
    institution.override_credential(policy=second, reason="stricter", **BY)
    record(institution)
    with shelf.views.reading() as read:
        assert view.policies(read) == (second, first, *CATALOGUE)


def test_a_person_is_kept_with_handles_and_the_versions_that_set_them(
    shelf: Office, record: Callable[..., int]
) -> None:
    person = somebody()
    person.change_contact(email=Private("other"), phone=Private("phone"), **BY)
    person.state_body_email(body="SA", email=Private("old"), source=Witness.REGISTRAR, **BY)
    person.state_body_email(body="SA", email=Private("older"), source=Witness.PERSON, **BY)
    person.confirm_names(confirmed_by=Witness.PERSON, names_version=1, **BY)
    record(person)
    with shelf.views.reading() as read:
        assert view.person(read, person.id) == {
            "person": str(person.id),
            "registered": 1,
            "registered_at": "2026-05-04T06:00:00.000000Z",
            "source": "test",
            "given": "given",
            "family": None,
            "certificate_name": None,
            "latin_given": None,
            "latin_family": None,
            "names_version": 1,
            "names_confirmed": [{"by": "person", "at": "2026-05-04T06:00:00.000000Z", "recorded_by": str(BY["by"])}],
            "email": "other",
            "phone": "phone",
            "body_emails": {"SA": "older"},
            "body_email_versions": {"SA": 4},
            "body_email_sources": {"SA": "person"},
            "linked_to": None,
            "version": 5,
        }


@pytest.mark.parametrize("rename", [Person.correct_name, Person.change_name])
def test_new_names_replace_all_and_are_not_confirmed(
    shelf: Office, record: Callable[..., int], rename: Callable[..., None]
) -> None:
    person = somebody()
    person.confirm_names(confirmed_by=Witness.REGISTRAR, names_version=1, **BY)
    before = record(person)
    rename(person, names=Names(family=Private("family")), reason="typo", **BY)
    record(person)
    with shelf.views.reading() as read:
        now, then = view.person(read, person.id), view.person(read, person.id, at=before)
    assert now is not None
    assert then is not None
    assert (now["given"], now["family"], now["names_version"], now["names_confirmed"]) == (None, "family", 3, [])
    assert (then["given"], then["family"], then["names_version"]) == ("given", None, 1)
    assert [each["by"] for each in then["names_confirmed"]] == ["registrar"]


def test_a_merged_record_says_what_it_counts_as_until_that_is_undone(shelf: Office, record: Callable[..., int]) -> None:
    person, survivor = somebody(), somebody()
    person.link_to(survivor=survivor, present_together=(), reason="same", **BY)
    merged = record(person, survivor)
    person.unlink(reason="error", **BY)
    record(person)
    with shelf.views.reading() as read:
        now, then = view.person(read, person.id), view.person(read, person.id, at=merged)
    assert now is not None
    assert then is not None
    assert (then["linked_to"], now["linked_to"]) == (str(survivor.id), None)


def test_people_page_in_the_order_in_which_they_became_known(shelf: Office, record: Callable[..., int]) -> None:
    known = [somebody(f"given {n}") for n in range(5)]
    record(*known)
    with shelf.views.reading() as read:
        rows = view.people(read, limit=2)
        assert [row["given"] for row in rows] == ["given 0", "given 1", "given 2"]
        rest = view.people(read, after=rows[1]["registered"], limit=10)
        assert [row["given"] for row in rest] == ["given 2", "given 3", "given 4"]
        assert [row["given"] for row in view.people(read, at=2)] == ["given 0", "given 1"]


def test_many_people_are_found_by_their_ids_and_unknown_ones_left_out(
    shelf: Office, record: Callable[..., int]
) -> None:
    known = [somebody() for _ in range(PORTION + 2)]
    record(*known)
    with shelf.views.reading() as read:
        wanted = [uuid4(), *(each.id for each in known), known[0].id]
        found, names = view.people_by_ids(read, wanted), view.names_by_ids(read, wanted)
        assert view.names_by_ids(read, wanted, at=0) == view.people_by_ids(read, wanted, at=0) == {}
    assert set(found) == {str(each.id) for each in known}
    assert names == {person: {name: row[name] for name in view.NAMES} for person, row in found.items()}


def test_a_trainer_is_known_by_person_with_authorisations_past_and_present(
    shelf: Office, record: Callable[..., int]
) -> None:
    person = uuid4()
    trainer = Trainer.register(person=person, **BY)
    said: dict[str, Any] = {"body": "SA", "code": "CSPO", "valid_from": date(2026, 1, 1), "valid_until": None}
    trainer.authorise(role=Authority.CANDIDATE, evidence="letter", **said, **BY)
    trainer.authorise(role=Authority.LEAD, evidence="certificate", **said, **BY)
    trainer.end_authorisation(number=1, on=date(2026, 3, 1), reason="promoted", **BY)
    record(trainer)
    trainer.book(
        course=uuid4(),
        body="SA",
        code="CSPO",
        role=Role.LEAD,
        slots=[Slot(1, START, START + timedelta(hours=4))],
        zone="Europe/Zurich",
        **BY,
    )
    record(trainer)
    with shelf.views.reading() as read:
        found = view.trainer(read, person)
        assert found is not None
        assert [(each["number"], each["role"], each["ended"]) for each in found["authorisations"]] == [
            (1, "candidate", "2026-03-01"),
            (2, "lead", None),
        ]
        assert found["version"] == trainer.version
        assert view.trainers(read) == [found]
        assert view.trainer(read, uuid4()) is None


def a_course(lead: UUID) -> Course:
    course = Course.draft(course=uuid4(), title="CSPO in May", policy=CSPO, format="in_person", **BY)
    course.assign_trainer(trainer_person=lead, role=Role.LEAD, **BY)
    return course


def test_a_trainer_belongs_to_a_course_until_released(shelf: Office, record: Callable[..., int]) -> None:
    lead, other = uuid4(), uuid4()
    course, elsewhere = a_course(lead), a_course(uuid4())
    course.assign_trainer(trainer_person=other, role=Role.CO_TRAINER, **BY)
    before = record(course, elsewhere)
    course.release_trainer(trainer_person=other, reason="ill", **BY)
    record(course)
    with shelf.views.reading() as read:
        assert view.trainers_of(read, course.id) == {str(lead): "lead"}
        assert view.trainers_of(read, course.id, at=before) == {str(lead): "lead", str(other): "co_trainer"}
        assert view.is_trainer_of(read, lead, course.id)
        assert not view.is_trainer_of(read, lead, elsewhere.id)
        assert not view.is_trainer_of(read, other, course.id)
        assert view.is_trainer_of(read, other, course.id, before)
        assert view.lead_on(read, course.id) == str(lead)
        assert view.lead_on(read, course.id, at=0) is None


def test_who_taught_a_part_of_a_course_still_reaches_it(shelf: Office, record: Callable[..., int]) -> None:
    lead, other = uuid4(), uuid4()
    course = a_course(lead)
    record(course)
    course.trigger_event(Course.TrainerAssigned, trainer_person=other, role=Role.CO_TRAINER, since=None, **BY)
    course.trigger_event(Course.TrainerReleased, trainer_person=other, since=BY["at"], reason="ill", **BY)
    record(course)
    with shelf.views.reading() as read:
        assert view.is_trainer_of(read, other, course.id)
        assert view.trainers_of(read, course.id) == {str(lead): "lead"}


def test_rebuilt_it_is_the_same(shelf: Office, record: Callable[..., int]) -> None:
    institution, person = founded(), somebody()
    institution.override_credential(policy=replace(CSPO, version="own"), reason="stricter", **BY)
    trainer = Trainer.register(person=person.id, **BY)
    record(institution, person, trainer, a_course(person.id))
    person.state_body_email(body="SA", email=Private("old"), source=Witness.PERSON, **BY)
    person.correct_name(names=named("other"), reason="typo", **BY)
    institution.rename(name="Other", **BY)
    record(person, institution)
    assert shelf.views.verify() == []
