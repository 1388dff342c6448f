"""What is at odds with the record after which events: of certificates, and of the lines that a body is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.basis import Aspect
from domain.certificate import Certificate
from domain.institution import Act as Signed
from domain.person import Witness
from domain.submission import Outcome, Rejection
from projections import certificates as certificate_view
from projections import discrepancies as view
from provider.commands import certificates, completion, courses, people, registers, submissions
from provider.commands.submissions import SaidOutcome
from provider.office import Office
from provider.work import Act
from tests.conftest import Clock
from tests.graduates import ADA, BOB, Graduates, graduated
from tests.stage import Stage

Acting = Callable[..., Act]
Brief = tuple[str, str | int, str, str]


@pytest.fixture
def stage() -> Stage[Graduates]:
    """Ada and Bob have completed their course."""
    return graduated(ADA, BOB)


@pytest.fixture
def class_(office: Office, act: Acting, clock: Clock, stage: Stage[Graduates]) -> Graduates:
    """Ada and Bob, who completed the course; the institution works solo in everything."""
    found = stage.played.at(office, act, clock)
    found.room.solo(*Signed)
    return found


@pytest.fixture
def certified(class_: Graduates) -> Graduates:
    """Ada has certificate 1, Bob 2."""
    certificates.issue(class_.office, class_.act(), course=class_.course)
    return class_


@pytest.fixture
def sent(certified: Graduates, admin: UUID) -> Graduates:
    """Besides, Ada is on line 1 and Bob on line 2 of what was sent to the body."""
    certified.draft()
    certified.send(admin)
    return certified


def found(class_: Graduates, **said: Any) -> list[dict[str, Any]]:
    with class_.office.views.reading() as read:
        return view.listing(read, course=class_.course, **said)


def briefly(class_: Graduates, **said: Any) -> list[Brief]:
    """Return kind, number or line, aspect and state of each, in an order of their own."""
    return sorted(
        (row["kind"], row["number"] or row["line"], row["aspect"], row["state"]) for row in found(class_, **said)
    )


def amend(class_: Graduates, name: str, session: int = 2) -> None:
    """Amend a sealed register: somebody was five minutes late."""
    number = len(class_.room.register(session)["amendments"]) + 1
    mark = class_.room.said(name, "late", session, late_minutes=5)
    lead = class_.act(by=class_.lead)
    said: dict[str, Any] = {"course": class_.course, "session": session}
    registers.request_amendment(class_.office, lead, mark=mark, reason="sign_in_sheet", **said)
    registers.approve_amendment(class_.office, lead, number=number, **said)


def certificate(class_: Graduates, number: str) -> UUID:
    with class_.office.views.reading() as read:
        row = certificate_view.certificate(read, number)
    assert row is not None
    return UUID(row["certificate"])


# What moves


def test_before_anything_moves_nothing_is_at_odds(sent: Graduates) -> None:
    assert found(sent) == []
    with sent.office.views.reading() as read:
        assert view.outstanding(read, sent.course) == []


def test_an_amendment_is_at_odds_with_the_certificate_and_with_the_line_of_that_learner_alone(sent: Graduates) -> None:
    amend(sent, "Ada")
    assert briefly(sent) == [
        ("certificate", "2026-000001", "register", "open"),
        ("line", 1, "register", "open"),
    ]
    row, line = sorted(found(sent), key=lambda each: each["kind"])
    assert (row["document"], row["line"]) == (str(certificate(sent, "2026-000001")), None)
    assert (line["document"], line["number"]) == (str(sent.submission), None)
    assert (row["enrolment"], row["person"]) == (str(sent.enrolment("Ada")), str(sent.person("Ada")))
    assert row["rests_on"] < row["version"]
    assert row["moved_by"] == "register.amendment_approved"
    assert row["moved"] == row["opened"] == sent.office.log.position()
    assert row["sentence"] == (
        "The register of session 2 was amended for this learner, and certificate 2026-000001 rests on what was on "
        "record before. The lead trainer looks whether the decision on completion still holds. Supersede the "
        "certificate or revoke it, or say why it stands."
    )
    assert "don't activate it" in line["sentence"]
    with sent.office.views.reading() as read:
        assert view.outstanding(read, sent.course) == ["discrepancies_open"]
        assert view.outstanding(read, uuid4()) == []


def test_until_activation_the_submission_says_not_to_activate(sent: Graduates) -> None:
    assert sent.shown()["do_not_activate"] is False
    amend(sent, "Bob")
    assert [line["do_not_activate"] for line in sent.shown()["items"]] == [False, True]


def test_a_name_corrected_after_it_was_sent_is_at_odds_with_both(sent: Graduates) -> None:
    sent.rename("Ada", "Augusta", "Lovelace")
    assert briefly(sent) == [("certificate", "2026-000001", "names", "open"), ("line", 1, "names", "open")]
    assert found(sent)[0]["sentence"].startswith("The person's name was corrected, and ")


def test_a_name_that_changed_is_told_apart_from_one_that_was_corrected(sent: Graduates, act: Acting) -> None:
    people.change_names(
        sent.office, act(), person=sent.person("Ada"), given="Ada", family="King", reason="marriage", evidence="file 7"
    )
    assert {row["moved_by"] for row in found(sent)} == {"person.name_changed"}
    assert all(row["sentence"].startswith("The person's name has changed") for row in found(sent))


def test_another_e_mail_is_at_odds_with_the_line_alone(sent: Graduates, act: Acting) -> None:
    people.change_contact(sent.office, act(), person=sent.person("Ada"), email="ada@new.example", phone=None)
    assert briefly(sent) == [("line", 1, "body_email", "open")]
    assert found(sent)[0]["moved_by"] == "person.contact_changed"


def test_the_same_e_mail_with_a_phone_number_is_no_other(sent: Graduates, act: Acting) -> None:
    people.change_contact(sent.office, act(), person=sent.person("Ada"), email="ada@example.org", phone="+41 44 1")
    assert found(sent) == []


def test_an_e_mail_at_this_body_counts_and_one_at_another_does_not(sent: Graduates, act: Acting) -> None:
    def state(body: str, email: str, source: Witness = Witness.PERSON) -> None:
        people.state_body_email(sent.office, act(), person=sent.person("Ada"), body=body, email=email, source=source)

    state("PMI", "ada@pmi.example")
    assert found(sent) == []
    state("SA", "ada@old.example")
    assert briefly(sent) == [("line", 1, "body_email", "open")]
    first = found(sent)[0]
    people.change_contact(sent.office, act(), person=sent.person("Ada"), email="ada@new.example", phone=None)
    assert found(sent) == [first]
    state("SA", "ada@older.example", Witness.REGISTRAR)
    (again,) = found(sent)
    assert (again["discrepancy"], again["opened"]) == (first["discrepancy"], first["opened"])
    assert again["version"] > first["version"]


def test_a_contact_means_nothing_where_the_body_s_e_mail_is_known(class_: Graduates, act: Acting, admin: UUID) -> None:
    said: dict[str, Any] = {"person": class_.person("Ada"), "body": "SA", "email": "ada@old.example"}
    people.state_body_email(class_.office, act(), source=Witness.REGISTRAR, **said)
    class_.draft()
    class_.send(admin)
    people.change_contact(class_.office, act(), person=class_.person("Ada"), email="ada@new.example", phone=None)
    people.state_body_email(class_.office, act(), source=Witness.PERSON, **said)
    assert found(class_) == []


def test_what_is_said_of_a_session_anew_is_at_odds_with_all_documents_of_the_course(
    sent: Graduates, act: Acting
) -> None:
    courses.curtail_session(
        sent.office, act(), course=sent.course, session=1, contact_minutes=200, reason="counted_anew"
    )
    assert briefly(sent) == [
        ("certificate", "2026-000001", "schedule", "open"),
        ("certificate", "2026-000002", "schedule", "open"),
        ("line", 1, "schedule", "open"),
        ("line", 2, "schedule", "open"),
    ]


def test_what_does_not_concern_the_sessions_changes_nothing(sent: Graduates, act: Acting) -> None:
    courses.list_with_body(sent.office, act(), course=sent.course, body="SA", external_id="4711")
    courses.close_enrolment(sent.office, act(), course=sent.course)
    assert found(sent) == []


def test_a_decision_made_anew_is_at_odds_with_what_rests_on_the_old_one(sent: Graduates) -> None:
    sent.room.decide("Ada", completed=False, reason="was_somebody_else")
    assert briefly(sent) == [("certificate", "2026-000001", "decision", "open"), ("line", 1, "decision", "open")]


def test_another_word_on_participation_is_at_odds_with_what_rests_on_the_first(sent: Graduates, act: Acting) -> None:
    completion.attest_participation(
        sent.office, act(by=sent.lead), enrolment=sent.enrolment("Ada"), attested=False, reason="was_on_the_phone"
    )
    assert ("certificate", "2026-000001", "participation", "open") in briefly(sent)
    assert {row["enrolment"] for row in found(sent)} == {str(sent.enrolment("Ada"))}


# Since when, and how far


def test_a_second_move_is_the_same_discrepancy_which_goes_further(certified: Graduates) -> None:
    certified.rename("Ada", "Augusta", "Lovelace")
    (first,) = found(certified)
    certified.rename("Ada", "Augusta Ada", "Lovelace")
    (second,) = found(certified)
    assert (first["rests_on"], first["version"], second["rests_on"], second["version"]) == (1, 2, 1, 3)
    assert second["discrepancy"] == first["discrepancy"]
    assert second["opened"] == first["opened"] == first["moved"] < second["moved"]


def test_what_moved_before_it_was_issued_but_after_the_decision_is_at_odds_at_once(class_: Graduates) -> None:
    amend(class_, "Ada")
    certificates.issue(class_.office, class_.act(), course=class_.course)
    (row,) = found(class_)
    assert (row["number"], row["aspect"]) == ("2026-000001", "register")
    assert row["moved"] < row["opened"]


def test_a_line_counts_from_the_export_of_its_part(class_: Graduates, admin: UUID) -> None:
    class_.draft()
    class_.do("validate", part=1)
    class_.do("approve", part=1)
    amend(class_, "Ada")
    assert found(class_) == []
    exported = class_.do("export", part=1)
    assert briefly(class_) == [("line", 1, "register", "open")]
    assert found(class_)[0]["opened"] == exported.position


# What becomes of it


def resolve_certificate(class_: Graduates, row: dict[str, Any]) -> None:
    certificates.resolve_discrepancy(
        class_.office,
        class_.act(),
        number=row["number"],
        stream=UUID(row["stream"]),
        aspect=Aspect(row["aspect"]),
        version=row["version"],
        resolution="stands",
        reason="looked_at_it",
    )


def resolve_line(class_: Graduates, row: dict[str, Any]) -> None:
    submissions.resolve_discrepancy(
        class_.office,
        class_.act(),
        submission=class_.submission,
        line=row["line"],
        stream=UUID(row["stream"]),
        aspect=Aspect(row["aspect"]),
        version=row["version"],
        resolution="corrected_at_body",
        reason="told_support",
        note="Case 4711.",
    )


def test_each_document_is_resolved_for_itself(sent: Graduates) -> None:
    amend(sent, "Ada")
    row, line = sorted(found(sent), key=lambda each: each["kind"])
    resolve_line(sent, line)
    assert briefly(sent) == [
        ("certificate", "2026-000001", "register", "open"),
        ("line", 1, "register", "resolved"),
    ]
    assert sent.shown()["do_not_activate"] is False
    resolve_certificate(sent, row)
    assert briefly(sent, state="open") == []
    settled = next(each for each in found(sent, state="resolved") if each["kind"] == "line")
    assert (settled["resolution"], settled["ended_reason"]) == ("corrected_at_body", "told_support")
    assert sent.office.vault.open_one(settled["ended_note"]) == "Case 4711."


def test_what_moves_after_it_was_resolved_is_a_discrepancy_of_its_own(certified: Graduates) -> None:
    certified.rename("Ada", "Augusta", "Lovelace")
    (first,) = found(certified)
    resolve_certificate(certified, first)
    certified.rename("Ada", "Augusta Ada", "Lovelace")
    resolved, opened = found(certified)
    assert (resolved["discrepancy"], resolved["state"]) == (first["discrepancy"], "resolved")
    assert (opened["state"], opened["rests_on"], opened["version"]) == ("open", 2, 3)
    assert opened["discrepancy"] != first["discrepancy"]


def test_what_moved_while_somebody_resolved_it_is_open_again_at_once(certified: Graduates) -> None:
    certified.rename("Ada", "Augusta", "Lovelace")
    certified.rename("Ada", "Augusta Ada", "Lovelace")
    known = certified.office.log.get(Certificate, certificate(certified, "2026-000001"))
    # Decided by who saw version 2, and recorded after version 3.
    known.resolve_discrepancy(
        stream=certified.person("Ada"),
        version=2,
        aspect=Aspect.NAMES,
        resolution="stands",
        reason="same_person",
        by=certified.lead,
        at=datetime(2026, 6, 3, tzinfo=UTC),
    )
    certified.office.log.record(known, asked={"id": "test", "channel": "test"})
    certified.office.views.catch_up()
    assert [(row["rests_on"], row["state"]) for row in found(certified)] == [(1, "resolved"), (2, "open")]


@pytest.mark.parametrize("how", ["superseded", "revoked"])
def test_nobody_relies_on_a_certificate_that_is_over(certified: Graduates, how: str) -> None:
    certified.rename("Ada", "Augusta", "Lovelace")
    if how == "superseded":
        certificates.supersede(certified.office, certified.act(), number="2026-000001", reason="name")
    else:
        certificates.revoke(certified.office, certified.act(), number="2026-000001", reason="issued_in_error")
    (row,) = found(certified)
    assert (row["state"], row["ended_reason"]) == ("closed", how)
    certified.room.decide("Ada", completed=False, reason="was_somebody_else")
    assert [each["number"] for each in found(certified, state="open")] == (
        ["2026-000003"] if how == "superseded" else []
    )


@pytest.mark.parametrize("how", ["excluded", "remade", "abandoned"])
def test_a_line_that_is_changed_before_it_is_sent_is_no_longer_at_odds(
    class_: Graduates, admin: UUID, how: str
) -> None:
    class_.draft()
    class_.export(admin)
    class_.rename("Ada", "Augusta", "Lovelace")
    assert briefly(class_) == [("line", 1, "names", "open")]
    if how == "excluded":
        class_.do("exclude_line", line=1, reason="no_consent")
    elif how == "remade":
        class_.do("remake_line", line=1)
    else:
        class_.do("abandon", reason="wrong_course")
    assert briefly(class_) == [("line", 1, "names", "closed")]
    if how != "abandoned":
        class_.export(admin)
        assert briefly(class_, state="open") == []


def test_a_line_left_as_it_was_is_at_odds_again_once_its_part_is_exported_again(class_: Graduates, admin: UUID) -> None:
    class_.draft()
    class_.export(admin)
    amend(class_, "Ada")
    first = found(class_)
    class_.do("exclude_line", line=2, reason="no_consent")
    (closed,) = found(class_)
    assert (closed["state"], closed["ended_reason"]) == ("closed", "drafted_anew")
    assert closed["ended_by"] is not None
    class_.export(admin)
    (again,) = found(class_)
    assert (again["state"], again["ended_reason"], again["ended_by"]) == ("open", None, None)
    assert again["discrepancy"] == first[0]["discrepancy"]
    assert again["opened"] > first[0]["opened"]


def test_what_the_body_rejected_counts_no_more_unless_it_took_the_person_after_all(sent: Graduates) -> None:
    sent.rename("Ada", "Augusta", "Lovelace")
    rejected = SaidOutcome(1, Outcome.REJECTED, Rejection.NAME_INVALID_CHARS)
    sent.do("record_outcomes", outcomes=[rejected], source="body_page")
    assert [row["state"] for row in found(sent) if row["kind"] == "line"] == ["closed"]
    sent.rename("Ada", "Augusta Ada", "Lovelace")
    assert [row["state"] for row in found(sent) if row["kind"] == "line"] == ["closed"]
    sent.do("record_outcomes", outcomes=[SaidOutcome(1, Outcome.ACCEPTED)], source="body_page")
    (line,) = [row for row in found(sent) if row["kind"] == "line"]
    assert (line["state"], line["version"]) == ("open", 3)


def test_an_accepted_line_still_counts_and_a_withdrawn_one_does_not(sent: Graduates) -> None:
    sent.do("record_accepted_except", part=1, exceptions=[], source="body_page")
    sent.rename("Ada", "Augusta", "Lovelace")
    sent.rename("Bob", "Robert", "Ross")
    assert [row["line"] for row in found(sent, state="open") if row["kind"] == "line"] == [1, 2]
    sent.do("withdraw_line", line=1, reason="somebody_else", case="4711")
    assert [row["line"] for row in found(sent, state="open") if row["kind"] == "line"] == [2]


# What is asked


def test_open_of_a_document_names_its_lines(sent: Graduates) -> None:
    sent.rename("Ada", "Augusta", "Lovelace")
    amend(sent, "Bob")
    with sent.office.views.reading() as read:
        lines = view.open_of(read, sent.submission)
        mine = view.open_of(read, certificate(sent, "2026-000001"))
        assert view.open_of(read, uuid4()) == []
        assert view.open_counts(read, [str(sent.submission), mine[0]["document"], str(uuid4())]) == {
            str(sent.submission): 2,
            mine[0]["document"]: 1,
        }
        one = view.open_one(read, sent.submission, sent.person("Ada"), Aspect.NAMES, line=1)
        assert one == lines[0]
        assert view.open_one(read, sent.submission, sent.person("Ada"), Aspect.NAMES, line=2) is None
    assert [(each["line"], each["aspect"]) for each in lines] == [(1, "names"), (2, "register")]
    assert [(each["line"], each["aspect"]) for each in mine] == [(None, "names")]


def test_the_list_goes_on_where_a_page_ends(sent: Graduates, act: Acting) -> None:
    courses.curtail_session(
        sent.office, act(), course=sent.course, session=1, contact_minutes=200, reason="counted_anew"
    )
    everything = found(sent)
    page = found(sent, limit=2)
    assert page == everything[:3]
    last = page[1]
    assert found(sent, limit=2, after=(last["opened"], last["discrepancy"])) == everything[2:]
    with sent.office.views.reading() as read:
        assert view.discrepancy(read, last["discrepancy"]) == last
        assert view.discrepancy(read, uuid4()) is None


def test_an_earlier_position_shows_what_was_at_odds_then(sent: Graduates) -> None:
    before = sent.office.log.position()
    sent.rename("Ada", "Augusta", "Lovelace")
    moved = sent.office.log.position()
    for row in found(sent):
        (resolve_certificate if row["kind"] == "certificate" else resolve_line)(sent, row)
    assert found(sent, at=before) == []
    assert [row["state"] for row in found(sent, at=moved)] == ["open", "open"]
    assert [row["state"] for row in found(sent)] == ["resolved", "resolved"]


def test_made_anew_the_view_is_the_same(sent: Graduates, act: Acting) -> None:
    sent.rename("Ada", "Augusta", "Lovelace")
    amend(sent, "Ada")
    amend(sent, "Bob", 3)
    for row in found(sent)[:2]:
        (resolve_certificate if row["kind"] == "certificate" else resolve_line)(sent, row)
    courses.curtail_session(
        sent.office, act(), course=sent.course, session=1, contact_minutes=200, reason="counted_anew"
    )
    certificates.supersede(sent.office, act(), number="2026-000002", reason="hours")
    live = found(sent)
    assert sent.office.views.verify() == []
    sent.office.views.rebuild()
    assert found(sent) == live
