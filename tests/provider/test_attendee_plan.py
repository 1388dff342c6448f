"""What an attendee file means for a course: what would be done with each row, and what is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.course import Capacity
from domain.person import Names, Person, Witness
from provider import attendee_file
from provider.attendee_plan import MOST_ALIKE, PAGE, About, Option, Plan, Question, RowPlan, Step
from provider.commands import courses, enrolments, imports, people
from provider.office import Office
from tests.academy import Academy, Acting
from tests.stage import Stage
from tests.ticket_shop import Counter, about, asked, offers, opened, row_of, steps, ticket

SAMPLE = Path(attendee_file.__file__).parent / "samples" / "eventbrite-cspo.csv"
Register = Callable[..., UUID]

ADA, BEA, CLEO = ticket(1, "Ada"), ticket(2, "Bea"), ticket(3, "Cleo")


@pytest.fixture
def academy(office: Office, act: Acting) -> Academy:
    return Academy(office, act)


@pytest.fixture
def stage() -> Stage[Counter]:
    """A course with twelve seats is open."""
    return opened()


@pytest.fixture
def counter(office: Office, act: Acting, stage: Stage[Counter]) -> Counter:
    """The counter of that course."""
    return stage.played.at(office, act)


@pytest.fixture
def small(office: Office, act: Acting, academy: Academy) -> Counter:
    """The counter of a course with one seat."""
    return Counter(office, act, academy.open(academy.trainer("Lea"), seats=1))


def link(office: Office, act: Acting, person: UUID, survivor: UUID) -> None:
    """Let a record count as another one."""
    said: dict[str, Any] = {"by": uuid4(), "at": act().at}
    known = office.log.get(Person, person)
    known.link_to(survivor=office.log.get(Person, survivor), present_together=[], reason="same_human", **said)
    office.views.catch_up(office.log.record(known, asked={}).position)


def test_the_sample_comes_to_twelve_new_people_who_are_asked_nothing(counter: Counter) -> None:
    looked = imports.stage(counter.office, course=counter.course, content=SAMPLE.read_bytes())
    assert looked.plan.count() | {"unchanged": 0} == {
        **{step.value: 0 for step in Step},
        "rows": 13,
        "enrol_new": 12,
        "left_out": 1,
        "asked": 0,
    }
    assert [row.body_email for row in looked.plan.rows if row.body_email] == [
        "p.lewandowicz@example.net",
        "minori.sato@example.org",
        "sebnem@example.com",
        "joao.old@example.org",
    ]


def test_a_look_records_nothing(counter: Counter) -> None:
    before = counter.office.log.position()
    counter.look(ADA, BEA)
    assert counter.office.log.position() == before


def test_what_is_wrong_with_a_row_keeps_it_from_being_done(counter: Counter) -> None:
    plan = counter.plan(ADA, BEA | {"First Name": "=1+1"}, ticket(3, "Ada"))
    assert steps(plan) == ["enrol_new", "blocked", "blocked"]


# Who somebody is.


def test_somebody_on_record_is_linked_where_name_and_e_mail_agree_but_for_case(
    counter: Counter, person: Register
) -> None:
    ada = person("Ada", "Quantum", "Ada@Example.org")
    plan = counter.plan(ADA | {"First Name": "ADA", "Email": "ADA@EXAMPLE.ORG"})
    assert steps(plan) == ["enrol_known"]
    assert plan.rows[0].person == str(ada)


@pytest.mark.parametrize(
    ("given", "family", "email"),
    [
        ("Ada", "Quantum", "other@example.org"),
        ("Ada", "Quantum", None),
        ("Adelheid", "Quantum", "ada@example.org"),
        ("Quantum", "Ada", "ada@example.org"),
        (None, "Ada", "ada@example.org"),
    ],
)
def test_where_only_one_of_them_agrees_a_human_is_asked(
    counter: Counter, person: Register, given: str | None, family: str, email: str | None
) -> None:
    known = person(given, family, email)
    plan = counter.plan(ADA)
    assert (steps(plan), plan.rows[0].person) == (["enrol_new"], None)
    assert offers(plan.rows[0].questions[0]) == [f"is:{known}", "new", "leave"]


def test_a_row_without_e_mail_is_never_linked_by_its_name(counter: Counter, person: Register) -> None:
    ada = person("Ada", "Quantum")
    plan = counter.plan(ADA | {"Email": ""})
    assert offers(about(plan, 2, About.PERSON)) == [f"is:{ada}", "new", "leave"]


def test_two_on_record_with_the_same_name_and_e_mail_are_both_offered(counter: Counter, person: Register) -> None:
    both = [person("Ada", "Quantum", "ada@example.org") for _ in range(2)]
    assert offers(about(counter.plan(ADA), 2, About.PERSON)) == [*(f"is:{each}" for each in both), "new", "leave"]


def test_single_and_non_latin_names_are_linked_as_they_are(counter: Counter, person: Register) -> None:
    known = [person("ليلى", "المنصوري", "layla@example.org"), person(None, "Suryani", "suryani@example.net")]
    plan = counter.plan(
        ticket(1, "ليلى", "المنصوري", "layla@example.org"), ticket(2, "", "Suryani", "suryani@example.net")
    )
    assert [row.person for row in plan.rows] == list(map(str, known))


def test_a_merged_record_is_found_and_stands_for_the_one_it_counts_as(
    counter: Counter, person: Register, act: Acting
) -> None:
    old, kept = person("Ada", "Quantum", "ada@example.org"), person("Ada", "Quantum-Meyer", "adam@example.org")
    link(counter.office, act, old, kept)
    plan = counter.plan(ADA)
    assert (steps(plan), plan.rows[0].person) == (["enrol_known"], str(kept))
    twice = counter.plan(ADA, ticket(2, "Ada", "Quantum-Meyer", "adam@example.org"))
    assert steps(twice) == ["enrol_known", "enrol_new"]
    assert offers(about(twice, 3, About.PERSON)) == ["new", "leave"]


def test_the_seat_of_a_merged_record_is_that_of_the_one_it_counts_as(
    counter: Counter, person: Register, act: Acting
) -> None:
    counter.bring(ADA)
    kept = person("Ada", "Quantum-Meyer", "adam@example.org")
    link(counter.office, act, UUID(counter.of("Ada")["person"]), kept)
    counter.adds_nothing(ADA, ticket(2, "Ada", "Quantum-Meyer", "adam@example.org"))


def test_who_is_on_the_course_already_by_hand_is_unchanged(counter: Counter, act: Acting) -> None:
    held = enrolments.request(
        counter.office, act(), course=counter.course, given="Ada", family="Quantum", email="ada@example.org"
    )
    plan = counter.plan(ADA)
    assert (steps(plan), plan.rows[0].enrolment) == (["unchanged"], str(held.id))


def test_who_is_like_somebody_on_the_course_may_be_them_and_then_nothing_is_done(counter: Counter, act: Acting) -> None:
    held = enrolments.request(
        counter.office, act(), course=counter.course, given="Ada", family="Quantum", email="old@example.org"
    )
    first = about(counter.plan(ADA), 2, About.PERSON).options[0]
    assert (first.value, first.final) == (f"is:{held.ids[0]}", True)
    assert "nothing is done" in first.label


def test_two_new_rows_of_the_same_name_are_asked_about(counter: Counter) -> None:
    plan = counter.plan(ADA, ticket(2, "ada", "QUANTUM", "other@example.org"), ticket(3, "Ada", email=""))
    assert asked(plan) == ["3-person", "4-person"]
    assert offers(about(plan, 3, About.PERSON)) == ["new", "leave"]
    assert "row 2" in about(plan, 3, About.PERSON).text


def test_two_people_with_one_e_mail_are_two_people(counter: Counter) -> None:
    plan = counter.plan(ADA, ticket(2, "Bea", email="ada@example.org"))
    assert (steps(plan), asked(plan)) == (["enrol_new", "enrol_new"], [])


def test_of_an_office_mailbox_only_a_few_are_offered(counter: Counter, person: Register) -> None:
    for number in range(MOST_ALIKE + 3):
        person("Somebody", f"Number{number}", "ada@example.org")
    question = about(counter.plan(ADA), 2, About.PERSON)
    assert len(question.options) == MOST_ALIKE + 2
    assert "3 more" in question.text


def test_no_name_is_in_what_is_written_to_a_log(counter: Counter, person: Register) -> None:
    person("Ada", "Quantum")
    plan = counter.plan(ADA, ticket(2, "Bea", body_email="bea.old@example.org"))
    assert plan.questions
    for name in ("Ada", "Quantum", "Bea", "example.org"):
        assert name not in repr(plan)


# A newer export.


def test_the_same_file_again_is_unchanged(counter: Counter) -> None:
    counter.bring(ADA, BEA, ticket(3, "Cleo", status="Refunded"))
    plan = counter.plan(ADA, BEA, ticket(3, "Cleo", status="Refunded"))
    assert (steps(plan), asked(plan)) == (["unchanged", "unchanged", "left_out"], [])


def test_a_newer_export_has_new_changed_and_refunded_rows(counter: Counter) -> None:
    counter.bring(ADA, BEA)
    plan = counter.plan(ADA | {"Attendee Status": "Refunded"}, BEA | {"First Name": "Beata"}, CLEO)
    assert steps(plan) == ["refunded", "changed", "enrol_new"]
    assert asked(plan) == ["2-refund", "3-name"]
    assert offers(about(plan, 2, About.REFUND)) == ["withdraw", "keep"]
    assert offers(about(plan, 3, About.NAME)) == ["correction", "change", "substitution", "leave"]


@pytest.mark.parametrize(
    ("change", "questions"),
    [
        ({"First Name": "Adda"}, ["2-name"]),
        ({"First Name": "ADA"}, ["2-name"]),
        ({"First Name": "", "Last Name": "Ada Quantum"}, ["2-name"]),
        ({"Email": "ada@example.com"}, ["2-email"]),
        ({"First Name": "Adda", "Email": "adda@example.com"}, ["2-name", "2-email"]),
        ({"First Name": "Ada ", "Email": "ADA@EXAMPLE.ORG"}, []),
        ({"Email": ""}, []),
        ({"Company": "Another GmbH", "Order Date": "2026-01-14 09:00:00"}, []),
    ],
)
def test_what_changed_in_the_shop_is_asked(counter: Counter, change: dict[str, str], questions: list[str]) -> None:
    counter.bring(ADA)
    assert asked(counter.plan(ADA | change)) == questions


def test_letters_that_are_only_put_together_otherwise_are_no_change(counter: Counter) -> None:
    counter.bring(ticket(1, "Zo\u00eb", email="zoe@example.org"))
    counter.adds_nothing(ticket(1, "Zoe\u0308", email="zoe@example.org"))


def test_what_the_registrar_put_right_is_not_asked_again_because_the_shop_still_has_it_wrong(
    counter: Counter, act: Acting
) -> None:
    counter.bring(ADA)
    ada = UUID(counter.of("Ada")["person"])
    people.correct_names(counter.office, act(), person=ada, given="Adalbert", family="Quantum", reason="typo")
    people.change_contact(counter.office, act(), person=ada, email="adalbert@example.org")
    counter.adds_nothing(ADA)


def test_who_was_linked_though_written_otherwise_stays_so(counter: Counter, person: Register) -> None:
    person("Ada Maria", "Quantum", "ada@example.org")
    shouted = ticket(1, "ADA", "MARIA QUANTUM", "ada@example.org")
    counter.bring(shouted)
    counter.adds_nothing(shouted)


def test_a_refund_of_who_was_enrolled_by_hand_is_proposed_too(counter: Counter, act: Acting) -> None:
    enrolments.request(
        counter.office, act(), course=counter.course, given="Ada", family="Quantum", email="ada@example.org"
    )
    assert asked(counter.plan(ADA | {"Attendee Status": "Refunded"})) == ["2-refund"]
    assert asked(counter.plan(BEA | {"Attendee Status": "Refunded"})) == []


def test_who_bought_anew_is_not_withdrawn_because_the_first_ticket_was_refunded(counter: Counter) -> None:
    counter.bring(ADA)
    counter.adds_nothing(ADA | {"Attendee Status": "Refunded"}, ticket(2, "Ada"))


@pytest.mark.parametrize("status", ["Refunded", "Cancelled", "Transferred", "Deleted", "Unpaid"])
def test_who_left_is_not_asked_about_again(counter: Counter, status: str) -> None:
    gone = ADA | {"Attendee Status": status}
    counter.bring(ADA)
    counter.bring(gone, answers={"2-refund": "withdraw"})
    counter.adds_nothing(gone)


def test_who_left_and_attends_again_is_asked_about(counter: Counter) -> None:
    counter.bring(ADA)
    counter.bring(ADA | {"Attendee Status": "Refunded"}, answers={"2-refund": "withdraw"})
    assert asked(counter.plan(ADA)) == ["2-return"]
    assert steps(counter.plan(ADA)) == ["returned"]
    assert asked(counter.plan(ticket(7, "Ada"))) == ["2-return"]


def test_a_ticket_that_comes_back_under_another_name_is_not_silently_somebody(counter: Counter) -> None:
    counter.bring(ADA)
    ada = counter.of("Ada")["person"]
    counter.bring(ADA | {"Attendee Status": "Refunded"}, answers={"2-refund": "withdraw"})
    plan = counter.plan(ADA | {"First Name": "Zora", "Email": "zora@example.org"})
    assert offers(about(plan, 2, About.PERSON)) == [f"is:{ada}", "new", "leave"]


def test_who_never_came_is_not_offered_to_be_withdrawn_or_replaced(counter: Counter, act: Acting) -> None:
    counter.bring(ADA, BEA)
    for given in ("Ada", "Bea"):
        enrolments.declare_no_show(
            counter.office, act(), enrolment=UUID(counter.of(given)["enrolment"]), reason="absent"
        )
    plan = counter.plan(ADA | {"Attendee Status": "Refunded"}, BEA | {"First Name": "Zora"})
    assert (steps(plan), asked(plan)) == (["refunded", "changed"], ["3-name"])
    assert "substitution" not in offers(about(plan, 3, About.NAME))


def test_what_was_erased_is_not_compared_with_the_file(counter: Counter) -> None:
    counter.bring(ADA)
    counter.office.keys.forget(UUID(counter.of("Ada")["person"]))
    counter.adds_nothing(ADA)


def test_a_substitute_who_is_on_record_is_linked_where_name_and_e_mail_agree(
    counter: Counter, person: Register
) -> None:
    counter.bring(ADA, BEA)
    zora = person("Zora", "Quantum", "zora@example.org")
    plan = counter.plan(ADA | {"First Name": "Zora", "Email": "zora@example.org"}, BEA | {"First Name": "Zora"})
    assert offers(about(plan, 2, About.NAME)) == ["correction", "change", "substitution", "leave"]
    assert row_of(plan, 2).substitute == str(zora)
    assert offers(about(plan, 3, About.NAME)) == [
        "correction", "change", "substitution", f"substitution:{zora}", "leave",
    ]  # fmt: skip


def test_who_has_a_seat_already_takes_nobody_elses(counter: Counter) -> None:
    counter.bring(ADA, BEA)
    plan = counter.plan(ADA | {"First Name": "Bea", "Email": "bea@example.org"})
    assert offers(about(plan, 2, About.NAME)) == ["correction", "change", "leave"]


def test_who_is_asked_about_a_name_learns_that_the_certificate_name_stays(counter: Counter, act: Acting) -> None:
    counter.bring(ADA)
    people.correct_names(
        counter.office,
        act(),
        person=UUID(counter.of("Ada")["person"]),
        given="Ada",
        family="Quantum",
        certificate_name="Dr. Ada Quantum",
        reason="as_given",
    )
    question = about(counter.plan(ADA | {"First Name": "Adda"}), 2, About.NAME)
    assert "certificates" in question.options[0].label


# Seats.


def test_a_row_above_the_capacity_is_asked_about(small: Counter) -> None:
    plan = small.plan(ADA, BEA, CLEO)
    assert asked(plan) == ["3-seat", "4-seat"]
    assert offers(about(plan, 3, About.SEAT)) == ["override", "queue", "leave"]


def test_unlimited_seats_are_never_asked_about(counter: Counter, act: Acting) -> None:
    courses.change_capacity(
        counter.office, act(), course=counter.course, capacity=Capacity.without_limit(), reason="online"
    )
    assert asked(counter.plan(*(ticket(n, f"Guest{n}") for n in range(40)))) == []


def test_only_those_count_who_would_take_a_seat(small: Counter) -> None:
    plan = small.plan(
        ticket(1, "Ada", status="Refunded"), ticket(2, "Bea", status="Unpaid"), ticket(3, "=Cleo"), ticket(4, "Dora")
    )
    assert (steps(plan), asked(plan)) == (["left_out", "left_out", "blocked", "enrol_new"], [])


def test_a_row_may_be_asked_both_who_it_is_and_about_the_seat(small: Counter, person: Register) -> None:
    person("Bea", "Quantum")
    plan = small.plan(ADA, BEA)
    assert asked(plan) == ["3-person", "3-seat"]


def test_a_seat_that_is_held_for_the_queue_is_not_free(small: Counter, act: Acting) -> None:
    first = enrolments.request(small.office, act(), course=small.course, given="First").id
    enrolments.request(small.office, act(), course=small.course, given="Waiting")
    enrolments.withdraw(small.office, act(), enrolment=first, reason="ill")
    assert small.seats().seats_free == 0
    question = about(small.plan(ADA), 2, About.SEAT)
    assert "1 waits in the queue" in question.text


def test_who_waits_in_the_queue_and_has_bought_is_asked_about(small: Counter, act: Acting) -> None:
    first = enrolments.request(small.office, act(), course=small.course, given="First").id
    enrolments.request(small.office, act(), course=small.course, given="Ada", family="Quantum", email="ada@example.org")
    plan = small.plan(ADA)
    assert (steps(plan), offers(about(plan, 2, About.SEAT))) == (["waiting"], ["override", "queue"])
    enrolments.withdraw(small.office, act(), enrolment=first, reason="ill")
    assert "held for them" in about(small.plan(ADA), 2, About.SEAT).options[0].label


def test_who_returns_to_a_full_course_is_asked_about_the_seat(small: Counter) -> None:
    small.bring(ADA)
    small.bring(ADA | {"Attendee Status": "Refunded"}, answers={"2-refund": "withdraw"})
    small.bring(BEA)
    assert asked(small.plan(ADA, BEA)) == ["2-return", "2-seat"]


def test_after_the_end_of_enrolment_there_is_no_queue_to_be_put_into(counter: Counter, act: Acting) -> None:
    courses.close_enrolment(counter.office, act(), course=counter.course)
    question = about(counter.plan(ADA), 2, About.SEAT)
    assert offers(question) == ["override", "leave"]
    assert "no more enrolments" in question.text


# The e-mail used with the body.


def test_what_a_learner_says_they_use_with_the_body_is_planned(counter: Counter) -> None:
    plan = counter.plan(ticket(1, "Ada", body_email="ada.old@example.org"))
    assert plan.rows[0].body_email == "ada.old@example.org"
    assert plan.problems == ()


@pytest.mark.parametrize("answer", ["yes", "the same", "n/a", "ada.old@", "=ada.old@example.org", "ada old@x.org"])
def test_an_answer_that_is_no_address_is_not_taken_for_one(counter: Counter, answer: str) -> None:
    assert counter.plan(ticket(1, "Ada", body_email=answer)).rows[0].body_email is None


@pytest.mark.parametrize(
    "rows",
    [
        [ticket(1, "Ada", email="team@x.org", body_email="Team@x.org"), ticket(2, "Bea", email="team@x.org")],
        [ticket(1, "Ada", body_email="team@example.org"), ticket(2, "Bea", body_email="TEAM@example.org")],
        [ticket(1, "Ada", body_email="bea@example.org"), ticket(2, "Bea")],
        [ticket(1, "Ada", body_email="bea@example.org"), ticket(2, "Bea", status="Refunded")],
    ],
)  # fmt: skip
def test_an_e_mail_that_two_rows_share_is_nobodys_with_the_body(counter: Counter, rows: list[Any]) -> None:
    plan = counter.plan(*rows)
    assert [row.body_email for row in plan.rows] == [None, None]
    assert {problem.code for problem in plan.problems} == {"body_email_shared"}
    assert all("@" not in problem.message for problem in plan.problems)


def test_nor_is_one_that_somebody_else_on_record_uses(counter: Counter, person: Register, act: Acting) -> None:
    bea = person("Bea", "Other", "team@example.org")
    cleo = person("Cleo", "Other")
    people.state_body_email(
        counter.office, act(), person=cleo, body="SA", email="cleo.old@example.org", source=Witness.PERSON
    )
    plan = counter.plan(
        ticket(1, "Ada", body_email="team@example.org"), ticket(2, "Dora", body_email="cleo.old@example.org")
    )
    assert [row.body_email for row in plan.rows] == [None, None]
    assert bea


def test_another_one_than_is_on_record_is_asked_about(counter: Counter) -> None:
    counter.bring(ticket(1, "Ada", body_email="ada.old@example.org"))
    plan = counter.plan(ticket(1, "Ada", body_email="ada.new@example.org"))
    assert (steps(plan), asked(plan)) == (["changed"], ["2-body_email"])
    counter.adds_nothing(ticket(1, "Ada", body_email="ADA.old@example.org"))
    counter.adds_nothing(ADA)


def test_one_that_is_said_later_is_news(counter: Counter) -> None:
    counter.bring(ADA)
    plan = counter.plan(ticket(1, "Ada", body_email="ada.old@example.org"))
    assert (steps(plan), asked(plan), plan.rows[0].body_email) == (["changed"], [], "ada.old@example.org")


# The digest and the answers.


def test_the_plan_is_another_one_as_soon_as_somebody_in_it_changes(
    counter: Counter, person: Register, act: Acting
) -> None:
    ada = person("Ada", "Quantum", "old@example.org")
    before = counter.plan(ADA).digest
    assert counter.plan(ADA).digest == before
    people.change_contact(counter.office, act(), person=ada, email="newer@example.org")
    assert counter.plan(ADA).digest != before


def test_what_somebody_did_elsewhere_leaves_the_plan_as_it_is(counter: Counter, person: Register) -> None:
    before = counter.plan(ADA).digest
    person("Somebody", "Else", "else@example.org")
    assert counter.plan(ADA).digest == before


@pytest.mark.parametrize(
    ("answers", "faults"),
    [
        ({}, [("2-person", "unanswered"), ("2-seat", "unanswered")]),
        ({"2-person": "leave"}, []),
        ({"2-person": "leave", "2-seat": "queue"}, []),
        ({"2-person": "new"}, [("2-seat", "unanswered")]),
        ({"2-person": "new", "2-seat": "queue"}, []),
        ({"2-person": "new", "2-seat": "throne"}, [("2-seat", "no_option")]),
        ({"2-person": "leave", "2-seat": "throne"}, [("2-seat", "no_option")]),
        ({"2-person": "leave", "3-person": "new"}, [("3-person", "unknown_question")]),
    ],
)
def test_answers_must_be_to_what_is_asked_and_of_what_is_offered(
    counter: Counter, answers: dict[str, str], faults: list[tuple[str, str]]
) -> None:
    row = counter.plan(ADA).rows[0].row
    questions = (
        Question(2, About.PERSON, "Who?", (Option("new", "New."), Option("leave", "Leave.", final=True))),
        Question(2, About.SEAT, "A seat?", (Option("override", "Yes."), Option("queue", "No."))),
    )
    assert Plan((RowPlan(row, Step.ENROL_NEW, questions=questions),)).faults(answers) == faults


def test_everybody_is_found_among_more_people_than_are_read_at_once(counter: Counter, act: Acting) -> None:
    office = counter.office
    ids = [uuid4() for _ in range(2 * PAGE)]
    handles = office.vault.seal_many(
        [(id_, value) for n, id_ in enumerate(ids) for value in (f"Given{n}", f"Family{n}", f"p{n}@example.org")]
    )
    made = [
        Person.register(
            person=id_,
            names=Names(given=handles[3 * n], family=handles[3 * n + 1]),
            email=handles[3 * n + 2],
            source="test",
            by=act().by,
            at=act().at,
        )
        for n, id_ in enumerate(ids)
    ]
    office.views.catch_up(office.log.record(*made, asked={}).position)
    everywhere = range(0, 2 * PAGE, 97)
    plan = counter.plan(*(ticket(n, f"Given{n}", f"Family{n}", f"p{n}@example.org") for n in everywhere))
    assert [row.person for row in plan.rows] == [str(ids[n]) for n in everywhere]
