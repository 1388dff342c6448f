"""Who somebody is, what they are called, and how they are reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.person import NamesMoved, NothingChanged, Person, PersonUnnamed, Witness
from projections import directory
from provider.commands import people
from provider.log import KeyReused, NotFound
from provider.office import Office
from provider.work import Act, Stale
from tests.idempotency import key_of

Acting = Callable[..., Act]


def opened(office: Office, person: UUID) -> dict[str, Any]:
    with office.views.reading() as read:
        row = directory.person(read, person)
    assert row is not None
    private = (*directory.NAMES, "email", "phone")
    return {name: office.vault.open_one(value) if name in private else value for name, value in row.items()}


def test_somebody_becomes_known_with_all_that_they_say(office: Office, act: Acting) -> None:
    receipt = people.register(
        office,
        act(),
        given="李",
        family="小龍",
        certificate_name="李小龍",
        latin_given="Xiaolong",
        latin_family="Li",
        email="li@example.org",
        phone="+41 44 123 45 67",
    )
    said = opened(office, receipt.id)
    assert {name: said[name] for name in (*directory.NAMES, "email", "phone")} == {
        "given": "李",
        "family": "小龍",
        "certificate_name": "李小龍",
        "latin_given": "Xiaolong",
        "latin_family": "Li",
        "email": "li@example.org",
        "phone": "+41 44 123 45 67",
    }


def test_nobody_is_registered_without_a_name(office: Office, act: Acting) -> None:
    before = office.log.position()
    with pytest.raises(PersonUnnamed):
        people.register(office, act(), latin_given="Li", email="li@example.org")
    assert office.log.position() == before


def test_two_people_of_one_name_and_one_mailbox_stay_two(office: Office, act: Acting) -> None:
    said = {"given": "Ann", "family": "Lee", "email": "lee@example.org"}
    assert people.register(office, act(), **said).id != people.register(office, act(), **said).id


def test_the_same_key_registers_once(office: Office, act: Acting) -> None:
    key = key_of(uuid4(), "key-of-mine", b"body")
    first = people.register(office, act(key=key), given="Ann")
    again = people.register(office, act(key=key), given="Ann")
    assert (again.id, again.position, again.replayed) == (first.id, first.position, True)
    with pytest.raises(KeyReused):
        people.register(office, act(key=key_of(key.principal, key.key, b"other")), given="Bob")


def test_a_correction_replaces_all_names_and_keeps_the_handles_of_those_that_stay(
    office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    who = person("Grcae", "Hopper", certificate_name="Grcae Hopper")
    before = office.log.get(Person, who).names
    receipt = people.correct_names(
        office, act(version=1), person=who, given="Grace", family="Hopper", reason="typo", note="She wrote to us."
    )
    after = office.log.get(Person, who)
    assert after.names.family == before.family
    assert after.names.given != before.given
    assert after.names.certificate_name is None
    assert after.names_version == receipt.version == 2
    assert opened(office, who)["given"] == "Grace"


def test_the_same_names_again_change_nothing(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Grace", "Hopper")
    for rename in (people.correct_names, people.change_names):
        with pytest.raises(NothingChanged):
            rename(office, act(), person=who, given="Grace", family="Hopper", reason="typo")


def test_names_that_change_places_keep_their_handles(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Hopper", "Grace")
    before = office.log.get(Person, who).names
    people.correct_names(office, act(), person=who, given="Grace", family="Hopper", reason="swapped")
    after = office.log.get(Person, who).names
    assert (after.given, after.family) == (before.family, before.given)


def test_an_old_view_still_shows_the_old_name(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Grace", "Murray")
    before = office.views.position()
    people.change_names(office, act(), person=who, given="Grace", family="Hopper", reason="marriage", evidence="A-17")
    with office.views.reading() as read:
        then = directory.person(read, who, at=before)
    assert then is not None
    assert office.vault.open_one(then["family"]) == "Murray"


def test_names_are_confirmed_only_as_they_were_read(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Grace", "Hopper")
    people.correct_names(office, act(), person=who, given="Grace B.", family="Hopper", reason="typo")
    with pytest.raises(NamesMoved):
        people.confirm_names(office, act(), person=who, confirmed_by=Witness.PERSON, names_version=1)
    people.confirm_names(office, act(), person=who, confirmed_by=Witness.PERSON, names_version=2)
    assert [each["by"] for each in opened(office, who)["names_confirmed"]] == ["person"]


def test_contact_is_replaced_as_a_whole_and_the_same_again_is_noticed(
    office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    who = person("Grace", "Hopper", "old@example.org", phone="1")
    with pytest.raises(NothingChanged):
        people.change_contact(office, act(), person=who, email="old@example.org", phone="1")
    people.change_contact(office, act(), person=who, email="new@example.org")
    said = opened(office, who)
    assert (said["email"], said["phone"]) == ("new@example.org", None)


def test_the_bodys_email_is_stated_and_the_same_statement_is_noticed(
    office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    who = person("Grace", "Hopper", "new@example.org")
    said: dict[str, Any] = {"person": who, "body": "SA", "email": "old@example.org"}
    people.state_body_email(office, act(), source=Witness.REGISTRAR, **said)
    with pytest.raises(NothingChanged):
        people.state_body_email(office, act(), source=Witness.REGISTRAR, **said)
    receipt = people.state_body_email(office, act(), source=Witness.PERSON, **said)
    row = opened(office, who)
    assert row["body_email_versions"] == {"SA": receipt.version}
    assert office.vault.open_one(row["body_emails"]["SA"]) == "old@example.org"
    assert row["email"] == "new@example.org"


def test_a_stale_version_and_an_unknown_person_are_refused(
    office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    who = person("Grace", "Hopper")
    with pytest.raises(Stale):
        people.change_contact(office, act(version=7), person=who, email="a@example.org")
    with pytest.raises(NotFound):
        people.change_contact(office, act(), person=uuid4(), email="a@example.org")
    with pytest.raises(NotFound):
        people.change_contact(office, act(), person=office.institution, email="a@example.org")


def test_no_value_reaches_the_log_or_the_views(
    office: Office, act: Acting, person: Callable[..., UUID], settings: Any
) -> None:
    who = person("Wilhelmina", "Unverwechselbar", "wilhelmina@example.org", phone="+41441234567")
    people.correct_names(
        office, act(), person=who, given="Wilhelmine", family="Unverwechselbar", reason="typo", note="Geheimnisvoll"
    )
    for file in settings.data.rglob("*"):
        if file.is_file():
            stored = file.read_bytes()
            for value in (b"Wilhelmin", b"Unverwechselbar", b"wilhelmina@", b"441234567", b"Geheimnisvoll"):
                assert value not in stored, file
