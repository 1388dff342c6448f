"""Attendee files are looked at, confirmed, and confirmed again: what is recorded, and what never is."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.course import Course
from domain.person import Person
from provider import attendee_file
from provider.attendee_file import EmptyFile, FileTooLarge, NotCsv
from provider.attendee_plan import About
from provider.commands import courses, enrolments, imports, people
from provider.commands.imports import MOST_ROWS, CourseNotOpen, PersonTwice, PlanMoved, TooManyRows, Unanswered
from provider.log import KeyReused, NotFound
from provider.office import Office
from tests.academy import Academy, Acting
from tests.conftest import Clock
from tests.idempotency import key_of
from tests.stage import Stage
from tests.ticket_shop import Counter, about, asked, opened, report, steps, ticket

SAMPLE = Path(attendee_file.__file__).parent / "samples" / "eventbrite-cspo.csv"
Register = Callable[..., UUID]

ADA, BEA, CLEO = ticket(1, "Ada"), ticket(2, "Bea"), ticket(3, "Cleo")
REFUNDED = {"Attendee Status": "Refunded"}


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
    """The counter of a course with two seats."""
    return Counter(office, act, academy.open(academy.trainer("Lea"), seats=2))


@pytest.fixture(autouse=True)
def views_agree(office: Office) -> Iterator[None]:
    """Whatever was imported, the views rebuilt from the log are those that are live."""
    yield
    assert office.views.verify() == []


def files_of(office: Office) -> bytes:
    """Return the bytes of all files but the vault and the keys."""
    kept = {"vault.sqlite", "keys.sqlite"}
    found = [file for file in office.settings.data.rglob("*") if file.is_file()]
    return b"".join(file.read_bytes() for file in found if not any(file.name.startswith(name) for name in kept))


# What is confirmed.


def test_the_sample_enrols_twelve_people_as_they_call_themselves(counter: Counter) -> None:
    looked = imports.stage(counter.office, course=counter.course, content=SAMPLE.read_bytes())
    receipt = counter.confirm(looked)
    assert (receipt.outcome, len(receipt.ids), receipt.id) == ("imported", 12, counter.course)
    assert counter.seats().seats_free == 0
    rows = {row["email"]: row for row in counter.enrolments()}
    assert {row["standing"] for row in rows.values()} == {"confirmed"}
    assert {row["source"] for row in rows.values()} == {"import"}
    assert sorted(receipt.ids) == sorted(row["enrolment"] for row in rows.values())
    minori = rows["minori.sato@example.org"]
    assert (minori["given"], minori["family"]) == ("みのり", "佐藤")
    assert minori["order_reference"] == "10488340076/18441611904"
    assert minori["body_emails"] == {"SA": "minori.sato@example.org"}
    suryani = rows["suryani@example.net"]
    assert (suryani["given"], suryani["family"], suryani["body_emails"]) == (None, "Suryani", {})
    again = imports.stage(counter.office, course=counter.course, content=SAMPLE.read_bytes())
    before = counter.office.log.position()
    assert (asked(again.plan), counter.confirm(again).outcome) == ([], "unchanged")
    assert counter.office.log.position() == before


@pytest.mark.parametrize(
    "written",
    [
        {"encoding": "utf-8-sig"},
        {"delimiter": ";"},
        {"delimiter": "\t", "encoding": "utf-16"},
        {"delimiter": ";", "encoding": "cp1252"},
        {"end": "\n"},
    ],
)
def test_the_same_attendees_come_from_whatever_a_spreadsheet_made_of_the_file(
    counter: Counter, written: dict[str, str]
) -> None:
    rows = [ticket(1, "Zoë", "Müller-Łoś" if written.get("encoding") != "cp1252" else "Müller", "ZOE@example.org"), BEA]
    looked = imports.stage(counter.office, course=counter.course, content=report(*rows, **written))
    counter.confirm(looked)
    counter.adds_nothing(*rows)
    assert counter.of("Zoë")["email"] == "ZOE@example.org"


def test_somebody_known_is_enrolled_and_stays_as_they_are(counter: Counter, person: Register) -> None:
    ada = person("Ada", "Quantum", "ada@example.org", certificate_name="Dr. Ada Quantum")
    before = counter.office.log.get(Person, ada).version
    counter.bring(ticket(1, "ADA", "QUANTUM", "ADA@example.org"))
    assert counter.of("Ada")["person"] == str(ada)
    assert counter.office.log.get(Person, ada).version == before


@pytest.mark.parametrize("answer", ["is", "new", "leave"])
def test_who_is_asked_about_is_who_the_human_says(counter: Counter, person: Register, answer: str) -> None:
    ada = person("Ada", "Quantum", "other@example.org")
    looked = counter.look(ADA)
    receipt = counter.confirm(looked, {"2-person": f"is:{ada}" if answer == "is" else answer})
    held = counter.enrolments()
    if answer == "leave":
        assert (held, receipt.outcome) == ([], "unchanged")
    else:
        assert (held[0]["person"] == str(ada)) == (answer == "is")
        assert held[0]["email"] == ("other@example.org" if answer == "is" else "ada@example.org")


def test_two_rows_are_never_the_same_person(counter: Counter, person: Register) -> None:
    ada = person("Ada", "Quantum", "other@example.org")
    looked = counter.look(ADA, ticket(2, "Adele", email="other@example.org"))
    before = counter.office.log.position()
    with pytest.raises(PersonTwice, match="Rows 2 and 3") as refused:
        counter.confirm(looked, {"2-person": f"is:{ada}", "3-person": f"is:{ada}"})
    assert [each["pointer"] for each in refused.value.errors] == ["#/answers/2-person", "#/answers/3-person"]
    assert counter.office.log.position() == before
    counter.confirm(looked, {"2-person": f"is:{ada}", "3-person": "new"})
    assert len(counter.enrolments()) == 2


def test_nor_a_row_that_was_linked_by_itself_and_one_that_was_answered(counter: Counter, person: Register) -> None:
    ada = person("Ada", "Quantum", "ada@example.org")
    looked = counter.look(ticket(2, "Adele", email="ada@example.org"), ADA)
    with pytest.raises(PersonTwice) as refused:
        counter.confirm(looked, {"2-person": f"is:{ada}"})
    assert [each["pointer"] for each in refused.value.errors] == ["#/answers/2-person"]


def test_who_is_said_to_be_on_the_course_already_is_not_enrolled_again(counter: Counter) -> None:
    counter.bring(ADA)
    row = ticket(9, "Ada", email="other@example.org")
    before = counter.office.log.position()
    value = about(counter.plan(row), 2, About.PERSON).options[0].value
    assert counter.bring(row, answers={"2-person": value}).outcome == "unchanged"
    assert counter.office.log.position() == before


# All or nothing, and only what was seen.


def test_a_look_records_nothing_and_keeps_the_file_for_a_day(counter: Counter, clock: Clock) -> None:
    before = counter.office.log.position()
    looked = counter.look(ADA)
    again = imports.preview(counter.office, course=counter.course, staged=looked.staged.id)
    assert (again.plan, again.staged) == (looked.plan, looked.staged)
    assert counter.office.log.position() == before
    clock.move(hours=24)
    with pytest.raises(NotFound):
        imports.preview(counter.office, course=counter.course, staged=looked.staged.id)
    with pytest.raises(NotFound):
        counter.confirm(looked)


def test_files_whose_day_is_over_are_destroyed_when_the_next_one_comes(counter: Counter, clock: Clock) -> None:
    old = counter.look(ADA)
    clock.move(hours=25)
    counter.look(BEA)
    assert counter.office.keys.of(old.staged.id) is None


def test_a_file_of_another_course_is_not_there(counter: Counter, academy: Academy) -> None:
    other = Counter(counter.office, counter.act, academy.scheduled())
    looked = counter.look(ADA)
    with pytest.raises(NotFound):
        imports.preview(counter.office, course=other.course, staged=looked.staged.id)
    with pytest.raises(NotFound):
        other.confirm(looked)
    with pytest.raises(NotFound):
        imports.preview(counter.office, course=counter.course, staged=uuid4())


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", EmptyFile),
        (b"PK\x03\x04" + bytes(100), NotCsv),
        (b"x" * (attendee_file.MAX_BYTES + 1), FileTooLarge),
    ],
)
def test_what_is_no_report_is_not_even_kept(counter: Counter, content: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        imports.stage(counter.office, course=counter.course, content=content)
    assert counter.office.desk.sweep() == 0
    assert b"staged/v1" not in files_of(counter.office)


def test_a_course_that_is_not_open_takes_no_file(counter: Counter, academy: Academy, act: Acting) -> None:
    with pytest.raises(CourseNotOpen, match="scheduled"):
        imports.stage(counter.office, course=academy.scheduled(), content=report(ADA))
    with pytest.raises(NotFound):
        imports.stage(counter.office, course=uuid4(), content=report(ADA))
    looked = counter.look(ADA)
    courses.cancel(counter.office, act(), course=counter.course, reason="too_few")
    with pytest.raises(CourseNotOpen, match="cancelled"):
        counter.confirm(looked)


def test_what_was_not_seen_is_not_confirmed(counter: Counter, act: Acting) -> None:
    looked = counter.look(ADA, BEA)
    enrolments.request(
        counter.office, act(), course=counter.course, given="Ada", family="Quantum", email="ada@example.org"
    )
    before = counter.office.log.position()
    with pytest.raises(PlanMoved):
        counter.confirm(looked)
    assert counter.office.log.position() == before
    seen = imports.preview(counter.office, course=counter.course, staged=looked.staged.id)
    assert steps(seen.plan) == ["unchanged", "enrol_new"]
    counter.confirm(seen)


def test_a_seat_that_somebody_else_took_meanwhile_moves_the_plan(small: Counter, act: Acting) -> None:
    looked = small.look(ADA, BEA)
    enrolments.request(small.office, act(), course=small.course, given="Quick")
    with pytest.raises(PlanMoved):
        small.confirm(looked)
    assert small.standings() == {"Quick": "confirmed"}


def test_without_all_the_answers_nothing_is_done(small: Counter, person: Register) -> None:
    person("Ada", "Quantum")
    looked = small.look(ADA, BEA, CLEO)
    before = small.office.log.position()
    with pytest.raises(Unanswered) as refused:
        small.confirm(looked, {"4-seat": "throne", "7-name": "correction"})
    assert refused.value.errors == [
        {"pointer": "#/answers/7-name", "detail": "The dry run asks no such question.", "code": "unknown_question"},
        {"pointer": "#/answers/4-seat", "detail": "This is none of the options of this question.", "code": "no_option"},
        {"pointer": "#/answers/2-person", "detail": "This question has no answer yet.", "code": "unanswered"},
    ]
    assert small.office.log.position() == before


def test_where_the_last_row_is_refused_no_row_is_done(counter: Counter, person: Register) -> None:
    counter.bring(ADA)
    zora = person("Zora", "Quantum", "zora@example.org")
    looked = counter.look(
        ADA | REFUNDED, BEA, CLEO, ticket(4, "Zora", email="x@example.org"), ticket(5, "Z", email="zora@example.org")
    )
    before, files = counter.office.log.position(), counter.office.desk.staged(looked.staged.id)
    with pytest.raises(PersonTwice):
        counter.confirm(looked, {"2-refund": "withdraw", "5-person": f"is:{zora}", "6-person": f"is:{zora}"})
    assert counter.office.log.position() == before
    assert counter.office.desk.staged(looked.staged.id) == files
    assert counter.standings() == {"Ada Quantum": "confirmed"}


def test_more_rows_than_any_course_has_are_refused(office: Office, act: Acting, academy: Academy) -> None:
    counter = Counter(office, act, academy.open(academy.trainer("Lea"), seats=None))
    looked = counter.look(*(ticket(n, f"Guest{n}") for n in range(MOST_ROWS + 1)))
    with pytest.raises(TooManyRows, match="has 1,001"):
        counter.confirm(looked)


def test_the_same_key_gets_the_same_receipt_and_nothing_twice(counter: Counter) -> None:
    key = key_of(uuid4(), "import-of-today", b"body")
    looked = counter.look(ADA)
    receipt = counter.confirm(looked, key=key)
    again = counter.confirm(looked, key=key)
    assert again.replayed
    assert (again.ids, again.position, again.version) == (receipt.ids, receipt.position, receipt.version)
    with pytest.raises(KeyReused):
        counter.confirm(looked, key=key_of(key.principal, key.key, b"other"))
    with pytest.raises(NotFound):
        counter.confirm(looked)
    assert len(counter.enrolments()) == 1


def test_the_same_key_gets_the_same_receipt_also_where_nothing_was_to_be_done(counter: Counter) -> None:
    counter.bring(ADA)
    key = key_of(uuid4(), "import-of-today", b"body")
    looked = counter.look(ADA)
    receipt = counter.confirm(looked, key=key)
    again = counter.confirm(looked, key=key)
    assert (again.outcome, again.ids, again.version) == (receipt.outcome, receipt.ids, receipt.version)


@pytest.mark.sqlite
def test_that_a_file_can_not_be_destroyed_just_now_undoes_nothing(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    looked = counter.look(ADA)
    desk = sqlite3.connect(counter.office.settings.store("desk"))
    desk.execute(
        "CREATE TRIGGER broken BEFORE DELETE ON staged_imports BEGIN SELECT RAISE(ABORT, 'The disk is worn out.'); END"
    )
    desk.close()
    assert counter.confirm(looked).outcome == "imported"
    assert "could not be destroyed" in caplog.text
    assert "Quantum" not in caplog.text
    with pytest.raises(NotFound):
        counter.confirm(looked)


def test_confirmed_by_two_at_once_everybody_has_one_seat(counter: Counter) -> None:
    looks = [counter.look(ADA, BEA, CLEO) for _ in range(4)]

    def confirm(number: int) -> str:
        try:
            return str(counter.confirm(looks[number]).outcome)
        except PlanMoved:
            return "moved"

    with ThreadPoolExecutor(4) as threads:
        outcomes = sorted(threads.map(confirm, range(4)))
    assert outcomes == ["imported", "moved", "moved", "moved"]
    assert len(counter.enrolments()) == 3


# Names that changed.


def test_a_correction_keeps_the_person_and_what_they_gave_beside_their_name(counter: Counter, act: Acting) -> None:
    counter.bring(ADA)
    held = counter.of("Ada")
    ada = UUID(held["person"])
    people.correct_names(
        counter.office, act(), person=ada, reason="as_given",
        given="Ada", family="Quantum", certificate_name="Dr. A. Quantum", latin_given="Ada", latin_family="Kvantum",
    )  # fmt: skip
    before = counter.office.log.get(Person, ada).names
    looked = counter.look(ADA | {"First Name": "Adda"})
    receipt = counter.confirm(looked, {"2-name": "correction"})
    after = counter.of("Adda")
    assert (after["person"], after["enrolment"]) == (held["person"], held["enrolment"])
    assert receipt.ids == (held["enrolment"],)
    assert (after["certificate_name"], after["latin_given"], after["latin_family"]) == (
        "Dr. A. Quantum", "Ada", "Kvantum",
    )  # fmt: skip
    names = counter.office.log.get(Person, ada).names
    assert (names.family, names.certificate_name, names.latin_family) == (
        before.family, before.certificate_name, before.latin_family,
    )  # fmt: skip
    assert names.given != before.given
    events = [type(event).TOPIC for event in counter.office.log.events.get(ada)]
    assert events[-1] == "person.name_corrected"
    counter.adds_nothing(ADA | {"First Name": "Adda"})


def test_a_change_is_another_event_and_names_the_order_as_evidence(counter: Counter) -> None:
    counter.bring(ADA)
    ada = UUID(counter.of("Ada")["person"])
    counter.bring(ADA | {"Last Name": "Meyer"}, answers={"2-name": "change"})
    event: Any = list(counter.office.log.events.get(ada))[-1]
    assert (type(event).TOPIC, event.evidence) == ("person.name_changed", "4711001/9000001")


def test_a_name_that_is_now_a_single_one_leaves_nothing_behind(counter: Counter) -> None:
    counter.bring(ADA)
    counter.bring(ADA | {"First Name": "", "Last Name": "Suryani"}, answers={"2-name": "correction"})
    assert counter.standings() == {"Suryani": "confirmed"}


def test_to_leave_it_changes_nothing(counter: Counter) -> None:
    counter.bring(ADA)
    before = counter.office.log.position()
    changed = ADA | {"First Name": "Adda", "Email": "adda@example.org"}
    assert counter.bring(changed, answers={"2-name": "leave", "2-email": "leave"}).outcome == "unchanged"
    assert counter.office.log.position() == before


def test_a_new_e_mail_is_taken_as_contact_and_the_phone_and_the_one_of_the_body_stay(
    counter: Counter, act: Acting
) -> None:
    counter.bring(ticket(1, "Ada", body_email="ada.old@example.org"))
    held = counter.of("Ada")
    people.change_contact(
        counter.office, act(), person=UUID(held["person"]), email="ada@example.org", phone="+41 44 000 00 00"
    )
    receipt = counter.bring(ADA | {"Email": "ada@example.com"}, answers={"2-email": "change"})
    after = counter.of("Ada")
    assert receipt.ids == (held["enrolment"],)
    assert (after["email"], after["phone"], after["body_emails"]) == (
        "ada@example.com", "+41 44 000 00 00", {"SA": "ada.old@example.org"},
    )  # fmt: skip


def test_a_substitute_is_a_new_person_who_takes_the_seat_before_the_queue(small: Counter, act: Acting) -> None:
    small.bring(ADA, BEA)
    enrolments.request(small.office, act(), course=small.course, given="Waiting")
    ada = small.of("Ada")
    looked = small.look(ADA | {"First Name": "Zora", "Email": "zora@example.org"}, BEA)
    assert asked(looked.plan) == ["2-name", "2-email"]
    receipt = small.confirm(looked, {"2-name": "substitution"})
    zora = small.of("Zora")
    assert small.standings() == {
        "Ada Quantum": "substituted",
        "Bea Quantum": "confirmed",
        "Waiting": "queued",
        "Zora Quantum": "confirmed",
    }
    assert zora["person"] != ada["person"]
    assert (zora["substitutes"], zora["source"], zora["email"]) == (
        ada["enrolment"], "substitution", "zora@example.org",
    )  # fmt: skip
    assert small.of("Ada")["email"] == "ada@example.org"
    assert receipt.ids == (ada["enrolment"], zora["enrolment"])
    assert small.of("Waiting")["seat_held"] is False
    small.adds_nothing(ADA | {"First Name": "Zora", "Email": "zora@example.org"}, BEA)


def test_a_substitute_may_be_somebody_on_record(counter: Counter, person: Register) -> None:
    zora = person("Zora", "Quantum", "zora@example.org")
    dora = person("Dora", "Quantum", "dora@example.org")
    counter.bring(ADA, BEA)
    rows = [ADA | {"First Name": "Zora", "Email": "zora@example.org"}, BEA | {"First Name": "Dora"}]
    counter.bring(*rows, answers={"2-name": "substitution", "3-name": f"substitution:{dora}"})
    assert {row["person"] for row in counter.enrolments() if row["standing"] == "confirmed"} == {str(zora), str(dora)}
    assert len([each for each in counter.everybody() if each["given"] in ("Zora", "Dora")]) == 2


def test_who_left_before_may_come_back_as_a_substitute(counter: Counter) -> None:
    counter.bring(ADA, BEA)
    ada = counter.of("Ada")
    counter.bring(ADA | REFUNDED, BEA, answers={"2-refund": "withdraw"})
    counter.bring(
        ADA | REFUNDED,
        BEA | {"First Name": "Ada", "Email": "ada@example.org"},
        answers={"3-name": "substitution"},
    )
    assert counter.of("Ada")["enrolment"] == ada["enrolment"]
    assert counter.standings() == {"Ada Quantum": "confirmed", "Bea Quantum": "substituted"}


def test_one_person_can_not_be_the_substitute_of_two(counter: Counter, person: Register) -> None:
    zora = person("Zora", "Quantum", "zora@example.org")
    counter.bring(ADA, BEA)
    looked = counter.look(ADA | {"First Name": "Zora"}, BEA | {"First Name": "Zora"})
    with pytest.raises(PersonTwice) as refused:
        counter.confirm(looked, {"2-name": f"substitution:{zora}", "3-name": f"substitution:{zora}"})
    assert [each["pointer"] for each in refused.value.errors] == ["#/answers/2-name", "#/answers/3-name"]


def test_who_replaces_somebody_in_the_queue_joins_its_end(small: Counter, act: Acting) -> None:
    small.bring(ADA, BEA, CLEO, answers={"4-seat": "queue"})
    enrolments.request(small.office, act(), course=small.course, given="Waiting")
    small.bring(ADA, BEA, CLEO | {"First Name": "Zora"}, answers={"4-name": "substitution"})
    assert small.of("Cleo")["standing"] == "withdrawn"
    assert {given: small.of(given)["rank"] for given in ("Waiting", "Zora")} == {"Waiting": 1, "Zora": 2}


# Refunds and returns.


def test_a_refund_withdraws_and_the_seat_is_held_for_the_queue(small: Counter, act: Acting) -> None:
    small.bring(ADA, BEA)
    enrolments.request(small.office, act(), course=small.course, given="Waiting")
    held = small.of("Ada")
    receipt = small.bring(ADA | REFUNDED, BEA, CLEO, answers={"2-refund": "withdraw", "4-seat": "queue"})
    assert small.standings() == {
        "Ada Quantum": "withdrawn", "Bea Quantum": "confirmed", "Waiting": "queued", "Cleo Quantum": "queued",
    }  # fmt: skip
    assert small.of("Ada")["reason"] == "refunded_in_shop"
    assert small.of("Waiting")["seat_held"] is True
    assert receipt.ids == (held["enrolment"], small.of("Cleo")["enrolment"])


def test_a_refund_that_is_kept_changes_nothing(counter: Counter) -> None:
    counter.bring(ADA)
    assert counter.bring(ADA | REFUNDED, answers={"2-refund": "keep"}).outcome == "unchanged"
    assert counter.standings() == {"Ada Quantum": "confirmed"}


def test_a_seat_that_a_refund_frees_goes_to_the_row_that_asked_for_one_in_the_same_file(small: Counter) -> None:
    small.bring(ADA, BEA)
    small.bring(CLEO, ADA | REFUNDED, BEA, answers={"2-seat": "override", "3-refund": "withdraw"})
    assert small.of("Cleo")["standing"] == "confirmed"
    assert small.of("Cleo")["override"] is None


def test_who_returns_has_the_same_enrolment_as_before(counter: Counter) -> None:
    counter.bring(ADA)
    held = counter.of("Ada")["enrolment"]
    counter.bring(ADA | REFUNDED, answers={"2-refund": "withdraw"})
    assert counter.bring(ADA, answers={"2-return": "leave"}).outcome == "unchanged"
    assert counter.bring(ADA, answers={"2-return": "enrol"}).ids == (held,)
    assert counter.of("Ada")["standing"] == "confirmed"
    counter.adds_nothing(ADA)


# Seats.


@pytest.mark.parametrize(("answer", "standing"), [("override", "confirmed"), ("queue", "queued"), ("leave", None)])
def test_above_the_capacity_it_is_as_the_human_says(small: Counter, answer: str, standing: str | None) -> None:
    looked = small.look(ADA, BEA, CLEO)
    assert asked(looked.plan) == ["4-seat"]
    small.confirm(looked, {"4-seat": answer})
    assert small.standings().get("Cleo Quantum") == standing
    if answer == "override":
        assert small.of("Cleo")["override"] == "import_over_capacity"
        assert len(small.seats().seats) == 3
    if answer != "leave":
        small.adds_nothing(ADA, BEA, CLEO)


@pytest.mark.parametrize("answer", ["override", "queue"])
def test_a_row_is_asked_who_it_is_and_about_the_seat_and_both_answers_count(
    small: Counter, person: Register, answer: str
) -> None:
    cleo = person("Cleo", "Quantum", "other@example.org")
    looked = small.look(ADA, BEA, CLEO)
    assert asked(looked.plan) == ["4-person", "4-seat"]
    with pytest.raises(Unanswered):
        small.confirm(looked, {"4-person": f"is:{cleo}"})
    small.confirm(looked, {"4-person": f"is:{cleo}", "4-seat": answer})
    held = small.of("Cleo")
    assert (held["person"], held["standing"]) == (str(cleo), "confirmed" if answer == "override" else "queued")


def test_a_row_that_is_left_out_leaves_its_seat_to_the_next(small: Counter, person: Register) -> None:
    person("Ada", "Quantum")
    small.bring(ADA, BEA, CLEO, answers={"2-person": "leave", "4-seat": "queue"})
    assert small.standings() == {"Bea Quantum": "confirmed", "Cleo Quantum": "confirmed"}


def test_who_waits_and_has_bought_gets_a_seat_only_if_the_human_says_so(small: Counter, act: Acting) -> None:
    small.bring(ADA, BEA)
    enrolments.request(
        small.office, act(), course=small.course, given="Cleo", family="Quantum", email="cleo@example.org"
    )
    assert small.bring(CLEO, answers={"2-seat": "queue"}).outcome == "unchanged"
    assert small.of("Cleo")["standing"] == "queued"
    receipt = small.bring(CLEO, answers={"2-seat": "override"})
    assert receipt.ids == (small.of("Cleo")["enrolment"],)
    assert (small.of("Cleo")["standing"], small.of("Cleo")["override"]) == ("confirmed", "import_over_capacity")


def test_who_waits_gets_the_seat_that_is_held_for_them_without_an_override(small: Counter, act: Acting) -> None:
    small.bring(ADA, BEA)
    enrolments.request(
        small.office, act(), course=small.course, given="Cleo", family="Quantum", email="cleo@example.org"
    )
    enrolments.withdraw(small.office, act(), enrolment=UUID(small.of("Ada")["enrolment"]), reason="ill")
    small.bring(CLEO, answers={"2-seat": "override"})
    assert (small.of("Cleo")["standing"], small.of("Cleo")["override"]) == ("confirmed", None)


def test_unlimited_seats_take_everybody(office: Office, act: Acting, academy: Academy) -> None:
    counter = Counter(office, act, academy.open(academy.trainer("Lea"), seats=None))
    counter.bring(*(ticket(n, f"Guest{n}") for n in range(60)))
    assert len(counter.seats().seats) == 60


def test_after_the_end_of_enrolment_a_seat_needs_the_humans_word(counter: Counter, act: Acting) -> None:
    courses.close_enrolment(counter.office, act(), course=counter.course)
    counter.bring(ADA, BEA, answers={"2-seat": "override", "3-seat": "leave"})
    assert counter.standings() == {"Ada Quantum": "confirmed"}


# The e-mail used with the body.


def test_a_shared_e_mail_is_a_contact_and_never_that_of_the_body(counter: Counter) -> None:
    counter.bring(
        ticket(1, "Ada", email="team@example.org", body_email="team@example.org"),
        ticket(2, "Bea", email="team@example.org", body_email="team@example.org"),
    )
    assert [(row["email"], row["body_emails"]) for row in counter.enrolments()] == [("team@example.org", {})] * 2


@pytest.mark.parametrize("is_them", [True, False])
def test_what_somebody_on_record_uses_is_theirs_and_nobody_elses(
    counter: Counter, person: Register, is_them: bool
) -> None:
    ada = person("Ada", "Quantum", "old@example.org")
    looked = counter.look(ticket(1, "Ada", body_email="old@example.org"))
    counter.confirm(looked, {"2-person": f"is:{ada}" if is_them else "new"})
    assert counter.of("Ada")["body_emails"] == ({"SA": "old@example.org"} if is_them else {})


def test_one_that_is_on_record_is_replaced_only_if_the_human_says_so(counter: Counter) -> None:
    counter.bring(ticket(1, "Ada", body_email="ada.old@example.org"))
    newer = ticket(1, "Ada", body_email="ada.new@example.org")
    counter.bring(newer, answers={"2-body_email": "leave"})
    assert counter.of("Ada")["body_emails"] == {"SA": "ada.old@example.org"}
    counter.bring(newer, answers={"2-body_email": "change"})
    assert counter.of("Ada")["body_emails"] == {"SA": "ada.new@example.org"}
    counter.adds_nothing(newer)


def test_one_that_is_said_later_is_recorded_with_the_enrolment_as_changed(counter: Counter) -> None:
    counter.bring(ADA)
    receipt = counter.bring(ticket(1, "Ada", body_email="ada.old@example.org"))
    assert receipt.ids == (counter.of("Ada")["enrolment"],)
    assert counter.of("Ada")["body_emails"] == {"SA": "ada.old@example.org"}


# Nothing personal where it does not belong.


@pytest.mark.sqlite
def test_no_file_but_the_vault_has_anything_personal_in_clear(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    row = ticket(1, "Quillfeather", "Wintergreen", body_email="quill.old@example.org", company="Nightjar & Sons")
    kept = counter.look(row | {"Order #": "77"})
    counter.bring(row)
    counter.bring(row | {"First Name": "Quillan"}, answers={"2-name": "correction"})
    counter.look(row | {"First Name": "Quillon"})
    there = files_of(counter.office)
    assert kept.staged.id.hex.encode() in there
    for value in ("Quillfeather", "Quillan", "Quillon", "Wintergreen", "quill", "Nightjar"):
        assert value.encode() not in there
        assert value not in caplog.text


def test_a_confirmed_file_is_destroyed_with_its_key(counter: Counter) -> None:
    looked = counter.look(ADA)
    counter.confirm(looked)
    assert counter.office.desk.staged(looked.staged.id) is None
    assert counter.office.keys.of(looked.staged.id) is None


def test_many_rows_are_recorded_together(office: Office, act: Acting, academy: Academy) -> None:
    counter = Counter(office, act, academy.open(academy.trainer("Lea"), seats=None))
    before = office.log.get(Course, counter.course).version
    receipt = counter.bring(*(ticket(n, f"Guest{n}") for n in range(300)))
    assert len(receipt.ids) == 300
    assert receipt.version == before + 300
