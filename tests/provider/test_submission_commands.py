"""From those who completed a course to what the body said about each of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from domain.basis import Aspect, DiscrepancyUnfounded
from domain.institution import Act as Signed
from domain.person import Person, Witness
from domain.submission import (
    AlreadyAccepted,
    ApprovalNeedsAnother,
    LineGone,
    LineNotSent,
    LineStillOpen,
    LineUnchanged,
    NobodyToSubmit,
    ObservationUnclear,
    Outcome,
    OutcomeUnclear,
    PartBlocked,
    PartNotReady,
    PartSent,
    PartTooLong,
    RegistersOpen,
    Rejection,
    Sighting,
    StepOutOfOrder,
    Submission,
    SubmissionOver,
    SubmissionSent,
    SubmissionUnsettled,
    UnknownLine,
)
from provider.commands import people, submissions
from provider.commands.discrepancies import MovedFurther
from provider.commands.submissions import (
    AlreadyDrafted,
    FileDiffers,
    LineOutdated,
    NotACompleter,
    NotExported,
    SaidOutcome,
    ValuesErased,
)
from provider.log import KeyReused, NotFound
from provider.office import Office
from provider.work import Act, Stale
from tests.conftest import Clock
from tests.graduates import ADA, BOB, CY, DUE, Graduates, graduated
from tests.idempotency import key_of
from tests.stage import Stage

Acting = Callable[..., Act]
Class = Callable[..., Graduates]

FILE = (
    b"First Name,Last Name,Email\r\n"
    b"Ada,Lovelace,ada@example.org\r\n"
    b"Bob,Ross,bob@example.org\r\n"
    b"Cy,Twombly,cy@example.org\r\n"
)


@pytest.fixture
def stage() -> Stage[Graduates]:
    """A class of three has completed its course."""
    return graduated()


@pytest.fixture
def graduates(office: Office, act: Acting, clock: Clock, stage: Stage[Graduates]) -> Class:
    """Make a class that has completed its course: Ada, Bob and Cy, unless others are named."""

    def make(*learners: tuple[str, str | None, str | None], **said: Any) -> Graduates:
        if not learners:
            return stage.played.at(office, act, clock)
        for before in stage.played.room.people.values():
            if office.log.get(Person, before).email is not None:
                # Those who are called the same are others, and e-mails that two people use are told to no body.
                people.change_contact(office, act(), person=before, email=None)
        return Graduates(office, act, clock, *learners, **said)

    return make


def recorded(office: Office, since: int) -> list[str]:
    """Return the topics recorded after a position."""
    return [entry[3] for entry in office.log.entries.page(since, 100)]


# Drafting


def test_everybody_who_completed_is_drafted_with_what_the_body_is_to_know(graduates: Class) -> None:
    sent = graduates(ADA, BOB, CY, absent=("Bob",))
    receipt = sent.draft()
    assert (receipt.id, receipt.ids, receipt.version) == (sent.submission, ("1",), 1)
    assert [sent.opened(line) for line in (1, 2)] == [ADA, CY]
    shown = sent.shown()
    assert [line["enrolment"] for line in shown["items"]] == [str(sent.enrolment("Ada")), str(sent.enrolment("Cy"))]
    assert (shown["body"], shown["profile"], shown["stage"], shown["due_on"]) == ("SA", "sa_load", "open", "2026-06-04")


def test_a_line_names_the_versions_that_it_rests_on(graduates: Class, office: Office) -> None:
    sent = graduates(ADA)
    sent.draft()
    person = office.log.get(Person, sent.person("Ada"))
    judged = sent.room.learner("Ada").decision["because"]["rests_on"]
    assert {each["aspect"] for each in judged} == {"schedule", "register", "participation"}
    assert sent.line(1)["rests_on"] == [
        {"stream": str(sent.enrolment("Ada")), "version": 3, "aspect": "decision"},
        {"stream": str(person.id), "version": 1, "aspect": "names"},
        {"stream": str(person.id), "version": 1, "aspect": "body_email"},
        *judged,
    ]


def test_the_body_gets_the_latin_form_and_the_email_that_it_knows(
    graduates: Class, office: Office, act: Acting
) -> None:
    sent = graduates(ADA)
    sent.rename("Ada", "Αδα", "Λάβλεϊς", latin_given="Ada", latin_family="Lovelace")
    people.state_body_email(
        office, act(), person=sent.person("Ada"), body="SA", email="countess@example.org", source=Witness.PERSON
    )
    sent.draft()
    assert sent.opened(1) == ("Ada", "Lovelace", "countess@example.org")
    versions = {each["aspect"]: each["version"] for each in sent.line(1)["rests_on"]}
    assert (versions["names"], versions["body_email"]) == (2, 3)


def test_the_email_used_with_another_body_is_not_told(graduates: Class, office: Office, act: Acting) -> None:
    sent = graduates(ADA)
    people.state_body_email(
        office, act(), person=sent.person("Ada"), body="SCRUMORG", email="other@example.org", source=Witness.PERSON
    )
    sent.draft()
    assert sent.opened(1) == ADA


def test_a_record_that_counts_as_another_has_its_names_there(graduates: Class, office: Office, act: Acting) -> None:
    sent = graduates(ADA)
    kept = people.register(office, act(), given="Augusta", family="King", email="king@example.org").id
    between = people.register(office, act(), given="A. A.", family="King").id
    for double, survivor in ((sent.person("Ada"), between), (between, kept)):
        merged = office.log.get(Person, double)
        merged.link_to(
            survivor=office.log.get(Person, survivor),
            present_together=(),
            reason="duplicate",
            by=act().by,
            at=act().at,
        )
        office.log.record(merged, asked={"id": "test", "channel": "test"})
    sent.draft()
    assert sent.opened(1) == ("Augusta", "King", "king@example.org")
    line = sent.line(1)
    assert (line["person"], line["outdated"]) == (str(sent.person("Ada")), False)
    assert {each["stream"] for each in line["rests_on"] if each["aspect"] == "names"} == {str(kept)}


def test_nothing_is_drafted_before_the_registers_are_sealed(graduates: Class, office: Office) -> None:
    sent = graduates(ADA, taught=False)
    sent.room.all_present(session=1)
    sent.room.seal(1)
    before = office.log.position()
    with pytest.raises(RegistersOpen, match="2, 3, 4"):
        sent.draft()
    assert office.log.position() == before


def test_nothing_is_drafted_before_anybody_completed(graduates: Class) -> None:
    with pytest.raises(NobodyToSubmit):
        graduates(ADA, decided=False).draft()


def test_a_course_without_sessions_has_nobody_to_submit(graduates: Class, office: Office, act: Acting) -> None:
    with pytest.raises(NobodyToSubmit):
        submissions.draft(office, act(), course=graduates().room.academy.draft())


def test_there_is_one_submission_for_a_course(graduates: Class) -> None:
    sent = graduates()
    sent.draft()
    with pytest.raises(AlreadyDrafted):
        sent.draft()


def test_the_same_key_drafts_once(graduates: Class) -> None:
    sent = graduates(ADA)
    key = key_of(uuid4(), "key-of-mine", b"body")
    first, again = sent.draft(act={"key": key}), sent.draft(act={"key": key})
    assert (again.id, again.position, again.replayed) == (first.id, first.position, True)
    with pytest.raises(KeyReused):
        sent.draft(act={"key": key_of(key.principal, key.key, b"other")})


def test_a_few_can_be_drafted_and_the_others_later(graduates: Class) -> None:
    sent = graduates()
    sent.draft(enrolments=[sent.enrolment("Bob")])
    assert sent.shown()["unsubmitted"] == [str(sent.enrolment("Ada")), str(sent.enrolment("Cy"))]
    assert sent.do("draft_part").ids == ("2",)
    assert [(line["line"], line["part"]) for line in sent.shown()["items"]] == [(1, 1), (2, 2), (3, 2)]
    assert sent.shown()["unsubmitted"] == []


def test_a_part_takes_what_an_entry_of_the_log_holds_and_says_how_much_that_is(graduates: Class) -> None:
    sent = graduates(*((f"Ada{number}", "Lovelace", f"ada{number}@example.org") for number in range(64)))
    with pytest.raises(PartTooLong) as refusal:
        sent.draft()
    said = re.search(r"takes (\d+) of these lines, and they are 64", str(refusal.value))
    assert said is not None
    fit = int(said[1])
    everybody = [sent.room.enrolment(name) for name in sent.room.people]
    with pytest.raises(PartTooLong):
        sent.draft(enrolments=everybody[: fit + 1])
    sent.draft(enrolments=everybody[:fit])
    assert (len(sent.shown()["items"]), sent.do("draft_part").ids) == (fit, ("2",))
    assert len(sent.shown()["items"]) == 64


def test_only_completers_of_the_course_can_be_named(graduates: Class) -> None:
    sent = graduates(ADA, BOB, absent=("Bob",))
    for stranger in (sent.enrolment("Bob"), uuid4(), sent.course):
        with pytest.raises(NotACompleter) as refusal:
            sent.draft(enrolments=[sent.enrolment("Ada"), stranger])
        assert refusal.value.field == "enrolments"


def test_an_unknown_course_and_an_unknown_submission_are_not_found(office: Office, act: Acting) -> None:
    with pytest.raises(NotFound):
        submissions.draft(office, act(), course=uuid4())
    with pytest.raises(NotFound):
        submissions.validate(office, act(), submission=uuid4(), part=1)


@pytest.mark.parametrize(
    ("holidays", "days", "due"),
    [
        ((), 2, date(2026, 6, 4)),
        ((date(2026, 6, 3),), 2, date(2026, 6, 5)),
        ((), 4, date(2026, 6, 8)),
        ((), 0, date(2026, 6, 2)),
    ],
)
def test_it_is_due_some_business_days_after_the_last_session(
    graduates: Class, office: Office, act: Acting, holidays: tuple[date, ...], days: int, due: date
) -> None:
    from projections import directory
    from provider.commands import institution

    sent = graduates(ADA)
    with office.views.reading() as read:
        settings = directory.settings(read)
    institution.change_settings(
        office, act(), settings=replace(settings, submission_due_days=days, holidays=holidays), reason="calendar"
    )
    sent.draft()
    assert sent.shown()["due_on"] == due.isoformat()


# Lines


def test_a_line_is_left_out_with_a_reason_and_taken_back_in(graduates: Class, office: Office) -> None:
    sent = graduates()
    sent.draft()
    before = office.log.position()
    assert sent.do("exclude_line", line=2, reason="no_consent", note="He asked by telephone.").outcome == "excluded"
    line = sent.line(2)
    assert (line["state"], line["excluded_reason"]) == ("excluded", "no_consent")
    assert office.vault.open_one(line["excluded_note"]) == "He asked by telephone."
    sent.do("include_line", line=2)
    assert (sent.line(2)["state"], sent.line(2)["excluded_reason"]) == ("pending", None)
    assert recorded(office, before) == ["submission.line_excluded", "submission.line_included"]


def test_a_note_about_a_line_is_under_its_persons_key(graduates: Class, office: Office) -> None:
    sent = graduates()
    sent.draft()
    sent.do("exclude_line", line=1, reason="other", note="Wants to think about it.")
    office.keys.forget(sent.person("Ada"))
    assert office.vault.open_one(sent.line(1)["excluded_note"]) is None


def test_a_line_that_there_is_none_of_is_not_found(graduates: Class) -> None:
    sent = graduates(ADA)
    sent.draft()
    for verb, said in {
        "exclude_line": {"reason": "unpaid"},
        "include_line": {},
        "remake_line": {},
        "withdraw_line": {"reason": "unpaid"},
        "observe": {"what": Sighting.ACCOUNT_ACTIVATED, "on": DUE, "source": "body_page"},
    }.items():
        with pytest.raises(NotFound):
            sent.do(verb, line=2, **said)


def test_a_line_is_remade_after_a_correction_and_not_without_one(graduates: Class, office: Office, act: Acting) -> None:
    sent = graduates()
    sent.draft()
    with pytest.raises(LineUnchanged):
        sent.do("remake_line", line=1)
    sent.rename("Ada", "Augusta Ada", "Lovelace")
    people.change_contact(office, act(), person=sent.person("Ada"), email="augusta@example.org")
    assert [line["outdated"] for line in sent.shown()["items"]] == [True, False, False]
    sent.do("remake_line", line=1)
    assert sent.opened(1) == ("Augusta Ada", "Lovelace", "augusta@example.org")
    assert [line["outdated"] for line in sent.shown()["items"]] == [False, False, False]


def test_who_did_not_complete_after_all_is_left_out_not_remade(graduates: Class) -> None:
    sent = graduates()
    sent.room.solo(Signed.COMPLETION_CORRECTION)
    sent.draft()
    sent.room.decide("Bob", completed=False, reason="left_before_the_end")
    assert [line["outdated"] for line in sent.shown()["items"]] == [False, True, False]
    with pytest.raises(NotACompleter):
        sent.do("remake_line", line=2)


# The way out


def test_a_part_goes_out_step_by_step(graduates: Class, office: Office, registrar: UUID) -> None:
    sent = graduates()
    before = sent.draft().position
    assert before is not None
    outcomes = [
        sent.do("validate", part=1).outcome,
        sent.do("approve", part=1, by=registrar).outcome,
        sent.do("export", part=1).outcome,
        sent.do("record_sent", part=1, reference="SA-77").outcome,
    ]
    assert outcomes == ["valid", "approved", "exported", "sent"]
    assert recorded(office, before) == [
        "submission.validated",
        "submission.approved",
        "submission.exported",
        "submission.sent",
    ]
    [part] = sent.shown()["parts"]
    assert (part["stage"], part["solo"], part["rows"], part["encoding"]) == ("sent", False, 3, "utf-8")
    assert (part["template"], part["lines"], part["reference"]) == ("sa-load-1", [1, 2, 3], "SA-77")
    assert part["approved_by"] == str(registrar)


def test_the_steps_can_not_be_skipped(graduates: Class, registrar: UUID) -> None:
    sent = graduates(ADA)
    sent.draft()
    for verb in ("approve", "export", "record_sent"):
        with pytest.raises(PartNotReady):
            sent.do(verb, part=1, by=registrar)
    sent.do("validate", part=1)
    for verb in ("export", "record_sent"):
        with pytest.raises(PartNotReady):
            sent.do(verb, part=1)
    for verb in ("validate", "approve", "export", "record_sent"):
        with pytest.raises(NotFound):
            sent.do(verb, part=2)


def test_a_missing_name_blocks_the_line_until_it_is_corrected_or_left_out(graduates: Class, registrar: UUID) -> None:
    sent = graduates(ADA, ("Sukarno", None, "sukarno@example.org"))
    sent.draft()
    receipt = sent.do("validate", part=1)
    assert (receipt.outcome, receipt.ids) == ("blocked", ("2",))
    assert sent.line(2)["problems"] == [{"code": "missing_family", "field": "family", "blocking": True}]
    with pytest.raises(PartBlocked):
        sent.do("approve", part=1, by=registrar)
    sent.rename("Sukarno", "Sukarno", "Sukarno")
    sent.do("remake_line", line=2)
    assert sent.line(2)["problems"] == []
    assert sent.do("validate", part=1).outcome == "valid"


def test_two_people_who_say_the_same_email_block_each_other(graduates: Class, office: Office, act: Acting) -> None:
    sent = graduates(("Ada", "Lovelace", None), ("Bob", "Ross", None))
    for name, email in (("Ada", "office@example.org"), ("Bob", "OFFICE@example.org")):
        people.state_body_email(
            office, act(), person=sent.person(name), body="SA", email=email, source=Witness.REGISTRAR
        )
    sent.draft()
    assert sent.do("validate", part=1).ids == ("1", "2")
    assert {problem["code"] for line in (1, 2) for problem in sent.line(line)["problems"]} == {
        "email_duplicate_in_part"
    }


def test_a_contact_that_others_use_too_is_never_taken_as_the_one_that_the_body_knows(
    graduates: Class, office: Office, act: Acting, registrar: UUID
) -> None:
    sent = graduates(ADA, ("Bob", "Ross", "office@example.org"), ("Cy", "Twombly", "OFFICE@Example.org "))
    sent.draft()
    assert [sent.opened(line)[2] for line in (1, 2, 3)] == ["ada@example.org", None, None]
    assert sent.do("validate", part=1).ids == ("2", "3")
    assert [(problem["code"], problem["blocking"]) for problem in sent.line(2)["problems"]] == [
        ("missing_email", True),
        ("email_shared", True),
    ]
    assert [line["outdated"] for line in sent.shown()["items"]] == [False, False, False]
    with pytest.raises(PartBlocked):
        sent.do("approve", part=1, by=registrar)
    # Whoever says which one the body knows is told by that; the other has the contact alone then.
    people.state_body_email(
        office, act(), person=sent.person("Bob"), body="SA", email="bob@example.org", source=Witness.PERSON
    )
    people.change_contact(office, act(), person=sent.person("Bob"), email="bob@example.org")
    assert [line["outdated"] for line in sent.shown()["items"]] == [False, True, False]
    for line in (2, 3):
        sent.do("remake_line", line=line)
    assert [sent.opened(line)[2] for line in (2, 3)] == ["bob@example.org", "OFFICE@Example.org "]


@pytest.mark.parametrize("body", [None, "PMI", "SA"])
def test_a_contact_that_somebody_else_begins_to_use_stops_the_part(
    graduates: Class, office: Office, act: Acting, registrar: UUID, body: str | None
) -> None:
    sent = graduates(ADA)
    sent.draft()
    sent.do("validate", part=1)
    other = people.register(office, act(), given="Grace", email=None if body else "ADA@example.org").id
    if body is not None:
        said = {"body": body, "email": "ADA@example.org", "source": Witness.REGISTRAR}
        people.state_body_email(office, act(), person=other, **said)
    with pytest.raises(LineOutdated):
        sent.do("approve", part=1, by=registrar)
    sent.do("remake_line", line=1)
    assert sent.opened(1)[2] is None
    assert (sent.do("validate", part=1).outcome, len(sent.line(1)["problems"])) == ("blocked", 2)


def test_a_record_that_counts_as_the_same_person_shares_nothing(graduates: Class, office: Office, act: Acting) -> None:
    sent = graduates(ADA)
    double = people.register(office, act(), given="Ada", family="L.", email="ada@example.org").id
    merged = office.log.get(Person, double)
    merged.link_to(
        survivor=office.log.get(Person, sent.person("Ada")),
        present_together=(),
        reason="duplicate",
        by=act().by,
        at=act().at,
    )
    office.log.record(merged, asked={"id": "test", "channel": "test"})
    sent.draft()
    assert sent.opened(1) == ADA


def test_who_uses_which_email_is_looked_up_once_for_a_command_and_only_if_need_be(
    graduates: Class, office: Office, act: Acting
) -> None:
    looked: list[str] = []

    @event.listens_for(office.views.engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "directory_people" in statement and "ORDER BY" in statement:
            looked.append(statement)

    sent = graduates()
    for name in ("Ada", "Bob"):
        people.state_body_email(
            office, act(), person=sent.person(name), body="SA", email=f"{name}@example.org", source=Witness.PERSON
        )
    sent.draft(enrolments=[sent.enrolment("Ada"), sent.enrolment("Bob")])
    assert looked == []
    sent.do("draft_part")
    # A page with everybody in it, and the empty one behind it.
    assert len(looked) == 2


def test_what_a_human_should_look_at_is_flagged_and_blocks_nothing(graduates: Class, registrar: UUID) -> None:
    sent = graduates(("=Ada", "Lovelace", "ada@example.org"))
    sent.draft()
    assert sent.do("validate", part=1).outcome == "flagged"
    sent.do("approve", part=1, by=registrar)
    sent.do("export", part=1)
    assert b"\r\n=Ada,Lovelace," in sent.file()


def test_names_that_the_body_can_not_read_block_the_line(graduates: Class) -> None:
    sent = graduates(("李", "小龍", "li@example.org"))
    sent.draft()
    assert sent.do("validate", part=1).outcome == "blocked"
    assert {problem["code"] for problem in sent.line(1)["problems"]} == {"not_in_charset"}


def test_whoever_drafted_does_not_approve(graduates: Class, registrar: UUID) -> None:
    sent = graduates(ADA)
    sent.draft()
    sent.do("validate", part=1)
    with pytest.raises(ApprovalNeedsAnother):
        sent.do("approve", part=1)
    assert sent.do("approve", part=1, by=registrar).outcome == "approved"


def test_alone_whoever_drafted_approves_and_it_is_said(graduates: Class) -> None:
    sent = graduates(ADA)
    sent.room.solo(Signed.SUBMISSION_APPROVAL)
    sent.draft()
    sent.do("validate", part=1)
    sent.do("approve", part=1)
    assert sent.shown()["parts"][0]["solo"] is True


def test_a_changed_line_takes_the_part_back(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.export(registrar)
    assert sent.file() == FILE
    sent.do("exclude_line", line=1, reason="unpaid")
    [part] = sent.shown()["parts"]
    assert part["stage"] == "drafted"
    cleared = ("template", "approved_by", "exported_at", "digest", "rows", "solo", "validated_at")
    assert {part[name] for name in cleared} == {None}
    assert (part["problems"], part["lines"]) == ([], [])
    with pytest.raises(NotExported):
        sent.file()


def test_a_correction_between_draft_and_export_is_not_told_wrongly(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.do("validate", part=1)
    sent.rename("Cy", "Cyrus", "Twombly")
    with pytest.raises(LineOutdated, match="Line 3"):
        sent.do("approve", part=1, by=registrar)
    sent.do("remake_line", line=3)
    sent.do("validate", part=1)
    sent.do("approve", part=1, by=registrar)
    sent.room.solo(Signed.COMPLETION_CORRECTION)
    sent.room.decide("Ada", completed=False, reason="left_before_the_end")
    with pytest.raises(LineOutdated, match="Line 1"):
        sent.do("export", part=1)


def test_a_sent_part_never_changes(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.send(registrar)
    sent.rename("Ada", "Augusta", "Lovelace")
    for verb, said in {"exclude_line": {"line": 1, "reason": "unpaid"}, "remake_line": {"line": 1}}.items():
        with pytest.raises(PartSent):
            sent.do(verb, **said)
    with pytest.raises(PartSent):
        sent.do("validate", part=1)
    assert sent.file() == FILE
    assert sent.line(1)["outdated"] is False


def test_a_stale_version_is_refused(graduates: Class, office: Office, act: Acting) -> None:
    sent = graduates(ADA)
    sent.draft()
    sent.do("validate", part=1)
    with pytest.raises(Stale):
        submissions.exclude_line(office, act(version=1), submission=sent.submission, line=1, reason="unpaid")


# The file


def test_the_file_is_made_again_as_it_was(graduates: Class, office: Office, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.export(registrar)
    with office.views.reading() as read:
        made = submissions.remade(office, read, submission=sent.submission, part=1)
    assert made.content == FILE
    assert made.sha256 == hashlib.sha256(FILE).hexdigest()
    assert (made.template, made.encoding, made.lines) == ("sa-load-1", "utf-8", (1, 2, 3))


def test_the_log_holds_no_hash_of_the_file_but_a_commitment(graduates: Class, office: Office, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.export(registrar)
    digest = hashlib.sha256(FILE)
    states = b"".join(entry[4] for entry in office.log.entries.page(0, 1_000))
    assert digest.hexdigest().encode() not in states
    assert digest.digest() not in states
    assert office.vault.open_one(sent.shown()["parts"][0]["digest"]) == digest.hexdigest()


def test_only_included_lines_are_in_the_file(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.do("exclude_line", line=2, reason="unpaid")
    sent.export(registrar)
    assert sent.file() == FILE.replace(b"Bob,Ross,bob@example.org\r\n", b"")


def test_the_file_of_then_can_be_had_after_the_part_was_changed(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.export(registrar)
    then = sent.office.log.position()
    sent.rename("Ada", "Augusta", "Lovelace")
    sent.do("remake_line", line=1)
    sent.export(registrar)
    assert sent.file() == FILE.replace(b"Ada,", b"Augusta,")
    assert sent.file(at=then) == FILE


def test_there_is_no_file_before_the_export_nor_of_an_unknown_part(graduates: Class) -> None:
    sent = graduates(ADA)
    sent.draft()
    with pytest.raises(NotExported):
        sent.file()
    for part in (0, 2, 2**70):
        with pytest.raises(NotFound):
            sent.file(part)


def test_a_file_with_an_erased_value_is_refused_never_given_otherwise(
    graduates: Class, office: Office, registrar: UUID
) -> None:
    sent = graduates()
    sent.draft()
    sent.export(registrar)
    office.keys.forget(sent.person("Bob"))
    with pytest.raises(ValuesErased, match="line 2"):
        sent.file()


def test_a_value_erased_before_the_export_stops_it(graduates: Class, office: Office, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.do("validate", part=1)
    sent.do("approve", part=1, by=registrar)
    office.keys.forget(sent.person("Bob"))
    before = office.log.position()
    with pytest.raises(ValuesErased):
        sent.do("export", part=1)
    assert office.log.position() == before
    assert sent.do("validate", part=1).outcome == "blocked"


def test_a_file_that_differs_from_the_exported_one_is_not_given_out(
    graduates: Class, office: Office, registrar: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = graduates()
    sent.draft()
    sent.export(registrar)
    from domain.submission_file import _BY_VERSION, SA_LOAD

    # A template that was changed instead of given a new version.
    monkeypatch.setitem(_BY_VERSION, "sa-load-1", replace(SA_LOAD, newline="\n"))
    with pytest.raises(FileDiffers):
        sent.file()


# What happens at the body


def test_the_steps_at_the_body_are_kept_apart(graduates: Class, clock: Clock, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.send(registrar)
    times = {}
    for step, said in {
        "loaded": {"lines": [1, 2, 3]},
        "selected": {"lines": [1, 2]},
        "paid": {"lines": [1, 2], "amount": Decimal("100.00"), "currency": "USD", "receipt": "R-9"},
        "activated": {"lines": [1]},
    }.items():
        clock.move(hours=1)
        times[step] = clock().isoformat(timespec="microseconds").replace("+00:00", "Z")
        sent.do(f"record_{step}", **said)
    line = sent.line(1)
    assert {step: line[f"{step}_at"] for step in times} == times
    assert [each["state"] for each in sent.shown()["items"]] == ["activated", "paid", "loaded"]
    assert sent.shown()["payments"] == [
        {"lines": [1, 2], "amount": "100.00", "currency": "USD", "receipt": "R-9", "paid_at": times["paid"]}
    ]
    with pytest.raises(StepOutOfOrder):
        sent.do("record_activated", lines=[3])
    with pytest.raises(UnknownLine) as refusal:
        sent.do("record_selected", lines=[3, 4])
    assert refusal.value.field == "lines"


def test_nothing_happens_at_the_body_before_it_was_told(graduates: Class) -> None:
    sent = graduates(ADA)
    sent.draft()
    with pytest.raises(LineNotSent):
        sent.do("record_loaded", lines=[1])
    with pytest.raises(LineNotSent):
        sent.do("record_outcomes", outcomes=[SaidOutcome(1, Outcome.ACCEPTED)], source="body_page")


def test_all_are_accepted_except_some(graduates: Class, office: Office, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.send(registrar)
    receipt = sent.do(
        "record_accepted_except",
        part=1,
        exceptions=[SaidOutcome(2, Outcome.REJECTED, Rejection.OTHER, "They say that he is known as Robert.")],
        source="body_mail",
    )
    assert receipt.ids == ("1", "2", "3")
    assert [each["state"] for each in sent.shown()["items"]] == ["accepted", "rejected", "accepted"]
    line = sent.line(2)
    assert (line["outcome"], line["code"], line["outcome_source"]) == ("rejected", "OTHER", "body_mail")
    assert office.vault.open_one(line["outcome_note"]) == "They say that he is known as Robert."
    with pytest.raises(UnknownLine):
        sent.do(
            "record_accepted_except",
            part=1,
            exceptions=[SaidOutcome(9, Outcome.UNKNOWN)],
            source="body_mail",
        )


def test_outcomes_are_recorded_all_or_not_at_all(graduates: Class, office: Office, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.send(registrar)
    before = office.log.position()
    with pytest.raises(OutcomeUnclear):
        sent.do(
            "record_outcomes",
            outcomes=[SaidOutcome(1, Outcome.ACCEPTED), SaidOutcome(2, Outcome.REJECTED)],
            source="body_page",
        )
    with pytest.raises(UnknownLine):
        sent.do(
            "record_outcomes",
            outcomes=[SaidOutcome(1, Outcome.ACCEPTED), SaidOutcome(7, Outcome.ACCEPTED)],
            source="body_page",
        )
    assert office.log.position() == before


def test_a_corrected_line_goes_into_a_supplementary_part_and_nobody_accepted_does(
    graduates: Class, office: Office, act: Acting, registrar: UUID
) -> None:
    sent = graduates()
    sent.draft()
    sent.send(registrar)
    sent.do(
        "record_accepted_except",
        part=1,
        exceptions=[SaidOutcome(2, Outcome.REJECTED, Rejection.EMAIL_INVALID)],
        source="body_page",
    )
    assert sent.shown()["parts"][0]["stage"] == "acknowledged"
    with pytest.raises(NobodyToSubmit):
        sent.do("draft_part")  # Bob's e-mail is still what was rejected.
    with pytest.raises(AlreadyAccepted):
        sent.do("draft_part", enrolments=[sent.enrolment("Ada")])
    people.change_contact(office, act(), person=sent.person("Bob"), email="robert@example.org")
    assert sent.do("draft_part").ids == ("2",)
    with pytest.raises(LineStillOpen):
        sent.do("draft_part", enrolments=[sent.enrolment("Bob")])
    sent.send(registrar, part=2)
    assert sent.file(2) == b"First Name,Last Name,Email\r\nBob,Ross,robert@example.org\r\n"
    assert sent.file(1) == FILE
    with pytest.raises(SubmissionUnsettled):
        sent.do("complete")
    sent.do("record_outcomes", outcomes=[SaidOutcome(4, Outcome.ACCEPTED)], source="body_page")
    assert sent.do("complete").outcome == "completed"
    assert sent.shown()["stage"] == "completed"


def test_who_was_left_out_comes_back_only_by_name(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.do("exclude_line", line=1, reason="prerequisite_pending")
    sent.send(registrar)
    with pytest.raises(NobodyToSubmit):
        sent.do("draft_part")
    sent.do("draft_part", enrolments=[sent.enrolment("Ada")])
    assert (sent.line(4)["part"], sent.line(4)["enrolment"]) == (2, str(sent.enrolment("Ada")))


def test_who_completes_later_goes_into_a_part_of_their_own(graduates: Class, registrar: UUID) -> None:
    sent = graduates(ADA, BOB, absent=("Bob",))
    sent.room.solo(Signed.COMPLETION_CORRECTION)
    sent.draft()
    sent.send(registrar)
    sent.do("record_accepted_except", part=1, source="body_page")
    sent.do("complete")
    sent.room.decide("Bob", completed=True, reason="made_up_since")
    assert sent.shown()["unsubmitted"] == [str(sent.enrolment("Bob"))]
    sent.do("draft_part")
    assert (sent.shown()["stage"], sent.opened(2)) == ("open", BOB)


def test_a_line_is_withdrawn_with_the_case_number(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    with pytest.raises(LineNotSent):
        sent.do("withdraw_line", line=3, reason="wrong_person")
    sent.send(registrar)
    assert sent.do("withdraw_line", line=3, reason="wrong_person", case="SA-4711").outcome == "withdrawn"
    line = sent.line(3)
    assert (line["state"], line["withdrawn_reason"], line["case"]) == ("withdrawn", "wrong_person", "SA-4711")
    with pytest.raises(LineGone):
        sent.do("record_loaded", lines=[3])
    with pytest.raises(NobodyToSubmit):
        sent.do("draft_part")


def test_what_is_seen_at_the_body_is_kept_with_its_day_and_source(
    graduates: Class, office: Office, clock: Clock, registrar: UUID
) -> None:
    sent = graduates(ADA)
    sent.draft()
    sent.send(registrar)
    clock.move(days=10)
    seen = {"line": 1, "on": date(2026, 6, 9), "source": "body_page"}
    sent.do("observe", what=Sighting.WELCOME_MAIL_RESENT, **seen)
    sent.do("observe", what=Sighting.ACCOUNT_ACTIVATED, **seen)
    sent.do("observe", what=Sighting.LICENCE_ACCEPTED, agreement_version="2026", **seen)
    sent.do(
        "observe",
        what=Sighting.CREDENTIAL_DATES,
        valid_from=date(2026, 6, 9),
        valid_until=date(2028, 6, 9),
        **seen,
    )
    sent.do("observe", what=Sighting.MEMBER_ID, member_id="001234", **seen)
    observations = sent.line(1)["observations"]
    assert [each["what"] for each in observations] == [
        "welcome_mail_resent",
        "account_activated",
        "licence_accepted",
        "credential_dates",
        "member_id",
    ]
    assert {(each["on"], each["source"]) for each in observations} == {("2026-06-09", "body_page")}
    assert observations[2]["agreement_version"] == "2026"
    assert (observations[3]["valid_from"], observations[3]["valid_until"]) == ("2026-06-09", "2028-06-09")
    assert office.vault.open_one(observations[4]["member_id"]) == "001234"
    office.keys.forget(sent.person("Ada"))
    assert office.vault.open_one(observations[4]["member_id"]) is None
    with pytest.raises(ObservationUnclear):
        sent.do("observe", what=Sighting.LICENCE_ACCEPTED, **seen)
    with pytest.raises(ObservationUnclear):
        sent.do("observe", line=1, what=Sighting.ACCOUNT_ACTIVATED, on=date(2026, 7, 9), source="body_page")


def test_a_discrepancy_is_resolved_once_and_only_where_there_is_one(
    graduates: Class, office: Office, registrar: UUID
) -> None:
    sent = graduates()
    sent.draft()
    sent.send(registrar)
    sent.rename("Ada", "Augusta", "Lovelace")
    said = {"stream": sent.person("Ada"), "aspect": Aspect.NAMES, "resolution": "stands", "reason": "same_person"}
    with pytest.raises(MovedFurther, match="version 2"):
        sent.do("resolve_discrepancy", line=1, version=2**31 - 1, **said)
    sent.do("resolve_discrepancy", line=1, version=2, note="She agrees.", **said)
    [resolved] = sent.line(1)["resolutions"]
    assert (resolved["version"], resolved["aspect"], resolved["resolution"]) == (2, "names", "stands")
    assert office.vault.open_one(resolved["note"]) == "She agrees."
    for otherwise in ({"line": 1, "version": 2}, {"line": 2, "version": 2}):
        with pytest.raises(DiscrepancyUnfounded):
            sent.do("resolve_discrepancy", **{**said, **otherwise})
    with pytest.raises(UnknownLine):
        sent.do("resolve_discrepancy", line=9, version=3, **said)


# The end


def test_it_is_abandoned_before_anything_was_sent(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.export(registrar)
    assert sent.do("abandon", reason="course_unlisted").outcome == "abandoned"
    shown = sent.shown()
    assert (shown["stage"], shown["abandoned_reason"], shown["summary"]["withdrawn"]) == (
        "abandoned",
        "course_unlisted",
        3,
    )
    assert shown["parts"][0]["stage"] == "drafted"
    with pytest.raises(SubmissionOver):
        sent.do("exclude_line", line=1, reason="unpaid")
    assert sent.do("draft_part").ids == ("2",)
    assert sent.shown()["summary"]["pending"] == 3


def test_what_was_sent_is_not_abandoned(graduates: Class, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.send(registrar)
    with pytest.raises(SubmissionSent):
        sent.do("abandon", reason="course_unlisted")


def test_the_aggregate_and_the_view_say_the_same(graduates: Class, office: Office, registrar: UUID) -> None:
    sent = graduates()
    sent.draft()
    sent.do("exclude_line", line=3, reason="unpaid")
    sent.send(registrar)
    sent.do("record_loaded", lines=[1, 2])
    sent.do("record_outcomes", outcomes=[SaidOutcome(2, Outcome.UNKNOWN)], source="body_page")
    known = office.log.get(Submission, sent.submission)
    shown = sent.shown()
    assert {line["line"]: line["state"] for line in shown["items"]} == {
        line: known.state_of(line).value for line in known.lines
    }
    assert {part["part"]: part["stage"] for part in shown["parts"]} == {
        part: known.stage_of(part).value for part in known.parts
    }
    assert shown["version"] == known.version
    assert office.views.verify() == []
