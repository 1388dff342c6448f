"""What a person is called, how they are reached, and which records are one human."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain.credential import UnknownBody
from domain.person import (
    BothPresent,
    LinkedElsewhere,
    Names,
    NamesMoved,
    NothingChanged,
    NotLinked,
    Person,
    PersonUnnamed,
    SelfLink,
    Witness,
)
from domain.private import Private
from domain.reason import ReasonMissing
from tests.scenario import given

ADA, ADA_AGAIN, THIRD, REGISTRAR = uuid4(), uuid4(), uuid4(), uuid4()
AT = datetime(2026, 1, 7, 9, tzinfo=UTC)
SAID: dict[str, Any] = {"by": REGISTRAR, "at": AT}
WRONG = Names(given=Private("Adda"), family=Private("Lovelace"))
RIGHT = replace(WRONG, given=Private("Ada"))
MAIL, OTHER_MAIL, PHONE, NOTE = Private("mail"), Private("other mail"), Private("phone"), Private("note")


def registered(person=ADA, names=WRONG) -> Person:
    return Person.register(person=person, names=names, email=MAIL, source="import", **SAID)


def corrected(names: Names = RIGHT) -> Callable[[Person], object]:
    return lambda person: person.correct_name(names=names, reason="typing_error", **SAID)


def confirmed(confirmed_by: Witness, version: int) -> Callable[[Person], object]:
    return lambda person: person.confirm_names(confirmed_by=confirmed_by, names_version=version, **SAID)


def stated(email: Private = MAIL, source: Witness = Witness.PERSON, body: str = "SA") -> Callable[[Person], object]:
    return lambda person: person.state_body_email(body=body, email=email, source=source, **SAID)


def merged(survivor: Person) -> Callable[[Person], object]:
    return lambda person: person.link_to(survivor=survivor, present_together=(), reason="duplicate", **SAID)


def unmerged(person: Person) -> None:
    person.unlink(reason="two_people", **SAID)


def test_a_person_is_registered_with_what_they_gave():
    person = registered()
    [event] = person.pending_events
    assert type(event) is Person.Registered
    assert (event.names, event.email, event.source, event.by, event.at) == (WRONG, MAIL, "import", REGISTRAR, AT)
    assert (person.id, person.names, person.names_version, person.email) == (ADA, WRONG, 1, MAIL)


def test_a_person_may_have_no_email():
    person = Person.register(person=ADA, names=WRONG, email=None, source="walk_in", **SAID)
    assert person.email is None


@pytest.mark.parametrize("field", ["given", "family", "certificate_name"])
def test_one_name_is_enough(field):
    assert registered(names=Names(**{field: Private("Suharto")})).names_version == 1


@pytest.mark.parametrize("names", [Names(), Names(latin_given=Private("Ada"), latin_family=Private("L."))])
def test_a_person_without_a_name_is_refused_even_with_a_latin_form(names):
    with pytest.raises(PersonUnnamed) as refused:
        registered(names=names)
    assert refused.value.field == "given"
    for rename in (Person.correct_name, Person.change_name):
        given(registered).when(rename, names=names, reason="typing_error", **SAID).then_refused(PersonUnnamed)


def test_a_correction_says_that_the_name_was_wrong_and_why():
    scenario = given(registered).when(Person.correct_name, names=RIGHT, reason="typing_error", note=NOTE, **SAID)
    scenario.then(Person.NameCorrected, names=RIGHT, reason="typing_error", note=NOTE)
    assert (scenario.after().names, scenario.after().names_version) == (RIGHT, 2)


def test_a_change_says_that_the_name_is_another_now_and_on_what_evidence():
    scenario = given(registered).when(
        Person.change_name, names=RIGHT, reason="marriage", evidence="passport seen", note=NOTE, **SAID
    )
    scenario.then(Person.NameChanged, names=RIGHT, reason="marriage", evidence="passport seen", note=NOTE)
    assert (scenario.after().names, scenario.after().names_version) == (RIGHT, 2)


@pytest.mark.parametrize("rename", [Person.correct_name, Person.change_name])
def test_the_very_same_names_are_no_news(rename):
    given(registered).when(rename, names=replace(WRONG), reason="typing_error", **SAID).then_refused(NothingChanged)


@pytest.mark.parametrize("rename", [Person.correct_name, Person.change_name])
@pytest.mark.parametrize("field", [each.name for each in fields(Names)])
def test_any_single_name_may_change(rename, field):
    names = replace(WRONG, **{field: Private("new")})
    scenario = given(registered).when(rename, names=names, reason="typing_error", **SAID)
    assert scenario.refusal is None
    assert scenario.after().names == names


@pytest.mark.parametrize("rename", [Person.correct_name, Person.change_name])
def test_a_new_name_needs_a_reason(rename):
    given(registered).when(rename, names=RIGHT, reason="  ", **SAID).then_refused(ReasonMissing)


def test_a_name_may_go_back_to_what_it_was():
    given(registered, corrected(RIGHT)).when(Person.correct_name, names=WRONG, reason="was_right", **SAID).then(
        Person.NameCorrected
    )


def test_names_are_confirmed_as_read():
    scenario = given(registered).when(Person.confirm_names, confirmed_by=Witness.PERSON, names_version=1, **SAID)
    scenario.then(Person.NamesConfirmed, confirmed_by=Witness.PERSON, names_version=1)
    assert scenario.after().confirmed_by == {Witness.PERSON}


@pytest.mark.parametrize("version", [1, 3])
def test_names_that_were_set_again_are_not_confirmed_unread(version):
    given(registered, corrected()).when(
        Person.confirm_names, confirmed_by=Witness.PERSON, names_version=version, **SAID
    ).then_refused(NamesMoved)


def test_what_is_no_name_does_not_make_the_names_move():
    given(
        registered,
        lambda person: person.change_contact(email=OTHER_MAIL, phone=None, **SAID),
        stated(),
        stated(OTHER_MAIL),
    ).when(Person.confirm_names, confirmed_by=Witness.PERSON, names_version=1, **SAID).then(Person.NamesConfirmed)


def test_one_witness_confirms_once_and_another_may_add_their_word():
    once = given(registered, confirmed(Witness.REGISTRAR, 1))
    once.when(Person.confirm_names, confirmed_by=Witness.REGISTRAR, names_version=1, **SAID).then_refused(
        NothingChanged
    )
    given(registered, confirmed(Witness.REGISTRAR, 1)).when(
        Person.confirm_names, confirmed_by=Witness.PERSON, names_version=1, **SAID
    ).then(Person.NamesConfirmed)


@pytest.mark.parametrize("rename", [Person.correct_name, Person.change_name])
def test_new_names_have_to_be_confirmed_again(rename):
    scenario = given(registered, confirmed(Witness.PERSON, 1)).when(rename, names=RIGHT, reason="typing_error", **SAID)
    assert scenario.after().confirmed_by == frozenset()
    version = scenario.after().names_version
    assert version == 3
    scenario.after().confirm_names(confirmed_by=Witness.PERSON, names_version=version, **SAID)
    assert scenario.after().confirmed_by == {Witness.PERSON}


def test_contact_is_replaced_as_a_whole():
    given(registered).when(Person.change_contact, email=None, phone=PHONE, **SAID).then(
        Person.ContactChanged, email=None, phone=PHONE
    )


def test_the_same_contact_is_no_news():
    given(registered).when(Person.change_contact, email=MAIL, phone=None, **SAID).then_refused(NothingChanged)
    given(registered, lambda person: person.change_contact(email=MAIL, phone=PHONE, **SAID)).when(
        Person.change_contact, email=MAIL, phone=PHONE, **SAID
    ).then_refused(NothingChanged)


def test_the_email_at_a_body_is_what_somebody_said():
    scenario = given(registered).when(
        Person.state_body_email, body="SA", email=OTHER_MAIL, source=Witness.PERSON, **SAID
    )
    scenario.then(Person.BodyEmailStated, body="SA", email=OTHER_MAIL, source=Witness.PERSON)
    assert (scenario.after().body_email("SA"), scenario.after().body_email_version("SA")) == (OTHER_MAIL, 2)


def test_the_email_at_a_body_is_never_taken_from_the_contact_or_from_another_body():
    person = given(registered, stated(body="SCRUMORG")).after()
    assert (person.body_email("SA"), person.body_email_version("SA")) == (None, None)


def test_a_new_phone_number_leaves_the_version_of_the_email():
    person = given(registered, lambda p: p.change_contact(email=MAIL, phone=PHONE, **SAID)).after()
    assert person.email_version == 1
    person.change_contact(email=OTHER_MAIL, phone=PHONE, **SAID)
    assert person.email_version == 3


def test_a_new_contact_leaves_the_email_at_the_body():
    person = given(registered, stated(), lambda p: p.change_contact(email=OTHER_MAIL, phone=None, **SAID)).after()
    assert person.body_email("SA") == MAIL


def test_the_latest_statement_stands():
    person = given(registered, stated(), stated(OTHER_MAIL, Witness.REGISTRAR)).after()
    assert (person.body_email("SA"), person.body_email_version("SA")) == (OTHER_MAIL, 3)


def test_the_same_statement_is_no_news_unless_another_witness_makes_it():
    again: dict[str, Any] = {"body": "SA", "email": MAIL, **SAID}
    given(registered, stated()).when(Person.state_body_email, source=Witness.PERSON, **again).then_refused(
        NothingChanged
    )
    given(registered, stated()).when(Person.state_body_email, source=Witness.REGISTRAR, **again).then(
        Person.BodyEmailStated
    )


def test_a_body_has_to_exist():
    given(registered).when(Person.state_body_email, body="XYZ", email=MAIL, source=Witness.PERSON, **SAID).then_refused(
        UnknownBody
    )


def survivor() -> Person:
    return registered(ADA_AGAIN, RIGHT)


def merge(into: Person, *, together: tuple[Any, ...] = (), reason: str = "duplicate") -> dict[str, Any]:
    return {"survivor": into, "present_together": together, "reason": reason, **SAID}


def test_two_records_of_one_human_are_linked_and_keep_their_streams():
    scenario = given(registered).when(Person.link_to, **merge(kept := survivor()))
    scenario.then(Person.LinkedTo, survivor=ADA_AGAIN, reason="duplicate")
    assert (scenario.after().linked_to, scenario.after().names) == (ADA_AGAIN, WRONG)
    assert len(kept.pending_events) == 1


def test_a_record_is_not_linked_to_itself():
    given(registered).when(Person.link_to, **merge(registered())).then_refused(SelfLink)


def test_who_were_present_together_are_two_people():
    given(registered).when(Person.link_to, **merge(survivor(), together=(uuid4(),))).then_refused(BothPresent)


def test_a_link_goes_to_a_record_that_stands_for_itself():
    gone = given(survivor, merged(registered(THIRD))).after()
    given(registered).when(Person.link_to, **merge(gone)).then_refused(LinkedElsewhere, str(THIRD))


def test_records_are_not_linked_in_a_circle():
    first = given(registered, merged(survivor())).after()
    given(survivor).when(Person.link_to, **merge(first)).then_refused(LinkedElsewhere)


def test_a_record_is_linked_to_one_other():
    given(registered, merged(survivor())).when(Person.link_to, **merge(registered(THIRD))).then_refused(LinkedElsewhere)


def test_a_record_that_others_are_linked_to_may_be_linked_onwards():
    kept = survivor()
    given(registered, merged(kept))
    given(lambda: kept).when(Person.link_to, **merge(registered(THIRD))).then(Person.LinkedTo, survivor=THIRD)


def test_a_link_and_its_undoing_need_a_reason():
    given(registered).when(Person.link_to, **merge(survivor(), reason="")).then_refused(ReasonMissing)
    given(registered, merged(survivor())).when(Person.unlink, reason="", **SAID).then_refused(ReasonMissing)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Person.correct_name, {"names": RIGHT, "reason": "typing_error"}),
        (Person.change_name, {"names": RIGHT, "reason": "marriage"}),
        (Person.confirm_names, {"confirmed_by": Witness.PERSON, "names_version": 1}),
        (Person.change_contact, {"email": OTHER_MAIL, "phone": None}),
        (Person.state_body_email, {"body": "SA", "email": MAIL, "source": Witness.PERSON}),
    ],
)
def test_changes_of_a_linked_record_belong_to_the_survivor_until_it_is_unlinked(change, said):
    given(registered, merged(survivor())).when(change, **said, **SAID).then_refused(LinkedElsewhere, str(ADA_AGAIN))
    again = given(registered, merged(survivor()), unmerged).when(change, **said, **SAID)
    assert again.refusal is None
    assert len(again.events) == 1


def test_a_link_is_undone_with_a_reason():
    scenario = given(registered, merged(survivor())).when(Person.unlink, reason="two_people", **SAID)
    scenario.then(Person.Unlinked, reason="two_people")
    assert scenario.after().linked_to is None


def test_only_a_linked_record_is_unlinked():
    given(registered).when(Person.unlink, reason="two_people", **SAID).then_refused(NotLinked)
    given(registered, merged(survivor()), unmerged).when(Person.unlink, reason="two_people", **SAID).then_refused(
        NotLinked
    )
