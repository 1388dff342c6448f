"""What a body is told, what it isn't told twice, and what comes of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.basis import Aspect, Basis, DiscrepancyUnfounded
from domain.credential import SUBMISSION_PROFILES
from domain.person import Names
from domain.private import Private
from domain.reason import ReasonMissing
from domain.refusal import Forbidden, Refused
from domain.submission import (
    LONGEST_PART,
    STEPS,
    AlreadyAccepted,
    ApprovalNeedsAnother,
    Completer,
    Line,
    LineGone,
    LineIsExcluded,
    LineNotCorrected,
    LineNotExcluded,
    LineNotSent,
    LineOutcome,
    LineRejected,
    LineState,
    LineStillOpen,
    LineUnchanged,
    LineUnfounded,
    NobodyToSubmit,
    NoSubmission,
    ObservationUnclear,
    Outcome,
    OutcomeFinal,
    OutcomeUnclear,
    PartBlocked,
    PartNotReady,
    PartSent,
    PartStage,
    PartTooLong,
    PaymentUnclear,
    RegistersOpen,
    Rejection,
    RowsDiffer,
    SaidTwice,
    Sighting,
    StepOutOfOrder,
    StepRecorded,
    StepUnknownToBody,
    Submission,
    SubmissionOver,
    SubmissionSent,
    SubmissionUnsettled,
    TemplateDiffers,
    UnknownLine,
    UnknownPart,
    UnknownProfile,
)
from domain.submission_file import (
    MESSAGES,
    SA_LOAD,
    TEMPLATES,
    Column,
    LineProblem,
    Problem,
    ProblemCode,
    Row,
    Script,
    SubmissionTemplate,
    TemplateUnsound,
    UnknownTemplate,
    Unwritable,
    Value,
    check_row,
    check_rows,
    names_for_body,
    render,
    template_named,
)
from tests.scenario import given, replay

COURSE = UUID(int=1)
CLERK = UUID(int=2)
BOSS = UUID(int=3)
AT = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
DUE = date(2026, 3, 20)
NOTE = Private("n" * 43)
DIGEST = Private("d" * 43)
SAID = {"by": CLERK, "at": AT}

Step = Callable[[Submission], object]


def handle(text: str) -> Private:
    return Private(text.ljust(43, "_"))


def basis_of(enrolment: UUID, version: int = 4) -> tuple[Basis, ...]:
    return (Basis(enrolment, version, Aspect.DECISION), Basis(UUID(int=enrolment.int + 1000), 2, Aspect.NAMES))


def completer(number: int, **otherwise: Any) -> Completer:
    enrolment = UUID(int=100 + number)
    said: dict[str, Any] = {
        "enrolment": enrolment,
        "person": UUID(int=200 + number),
        "given": handle(f"given {number}"),
        "family": handle(f"family {number}"),
        "email": handle(f"email {number}"),
        "rests_on": basis_of(enrolment),
    }
    return Completer(**(said | otherwise))


ADA, BOB, CY = completer(1), completer(2), completer(3)


def draft(**otherwise: Any) -> Submission:
    said: dict[str, Any] = {
        "course": COURSE,
        "body": "SA",
        "profile": "sa_load",
        "due_on": DUE,
        "completers": (ADA, BOB),
        **SAID,
    }
    return Submission.draft(**(said | otherwise))


def validated(submission: Submission, part: int = 1, *problems: LineProblem) -> None:
    submission.validate(part=part, template=SA_LOAD, problems=problems, **SAID)


def approved(submission: Submission, part: int = 1) -> None:
    validated(submission, part)
    submission.approve(part=part, solo_allowed=False, by=BOSS, at=AT)


def exported(submission: Submission, part: int = 1) -> None:
    approved(submission, part)
    submission.export(part=part, template=SA_LOAD, digest=DIGEST, rows=len(submission.lines_of(part)), **SAID)


def sent(submission: Submission, part: int = 1) -> None:
    exported(submission, part)
    submission.record_sent(part=part, **SAID)


def excluded(line: int) -> Step:
    return lambda s: s.exclude_line(line=line, reason="unpaid", **SAID)


def supplemented(*completers: Completer) -> Step:
    return lambda s: s.draft_part(completers=completers, **SAID)


def answered(line: int, outcome: Outcome, code: Rejection | None = None) -> Step:
    return lambda s: s.record_outcomes(outcomes=[LineOutcome(line, outcome, code)], source="body_page", **SAID)


def accepted(line: int) -> Step:
    return answered(line, Outcome.ACCEPTED)


def rejected(line: int, code: Rejection = Rejection.EMAIL_INVALID) -> Step:
    return answered(line, Outcome.REJECTED, code)


def withdrawn(line: int) -> Step:
    return lambda s: s.withdraw_line(line=line, reason="completion_corrected", **SAID)


def loaded(*lines: int) -> Step:
    return lambda s: s.record_loaded(lines=lines, **SAID)


def selected(*lines: int) -> Step:
    return lambda s: s.record_selected(lines=lines, **SAID)


def paid(*lines: int) -> Step:
    return lambda s: s.record_paid(lines=lines, **SAID)


def activated(*lines: int) -> Step:
    return lambda s: s.record_activated(lines=lines, **SAID)


def abandoned(submission: Submission) -> None:
    submission.abandon(reason="wrong_course", **SAID)


def completed(submission: Submission) -> None:
    submission.complete(**SAID)


# Drafting


def test_a_submission_is_drafted_with_a_line_for_each_completer():
    (event,) = draft().pending_events
    assert isinstance(event, Submission.Drafted)
    assert (event.course, event.body, event.profile, event.due_on) == (COURSE, "SA", "sa_load", DUE)
    assert event.part == 1
    assert event.lines == (
        Line(1, ADA.enrolment, ADA.person, ADA.given, ADA.family, ADA.email, ADA.rests_on),
        Line(2, BOB.enrolment, BOB.person, BOB.given, BOB.family, BOB.email, BOB.rests_on),
    )
    submission = given(draft).after()
    assert submission.lines_of(1) == event.lines
    assert submission.stage_of(1) is PartStage.DRAFTED
    assert submission.state_of(1) is LineState.PENDING


def test_a_long_class_goes_in_several_parts_at_a_time():
    many = [completer(number) for number in range(LONGEST_PART + 1)]
    given(lambda: draft(completers=many[:-1])).when(Submission.draft_part, completers=many[-1:], **SAID).then(
        Submission.PartDrafted, part=2
    )


def test_there_is_one_submission_for_a_course_and_a_body():
    assert draft().id == draft(completers=(CY,)).id == Submission.create_id(COURSE, "SA")
    assert draft(body="SAFE").id != draft().id
    assert draft(course=UUID(int=9)).id != draft().id


@pytest.mark.parametrize(
    ("refusal", "match", "otherwise"),
    [
        (NoSubmission, "PMI takes no submission", {"body": "PMI", "profile": "none"}),
        (UnknownProfile, "sa_load", {"profile": "pigeon"}),
        (RegistersOpen, "session 2, 4", {"unsealed": (4, 2)}),
        (NobodyToSubmit, "Nobody is left", {"completers": ()}),
        (PartTooLong, "these are 76", {"completers": tuple(completer(number) for number in range(76))}),
        (SaidTwice, "twice", {"completers": (ADA, BOB, ADA)}),
        (LineUnfounded, "decision", {"completers": (replace(ADA, rests_on=()),)}),
        (LineUnfounded, "decision", {"completers": (replace(ADA, rests_on=ADA.rests_on[1:]),)}),
    ],
)
def test_a_submission_is_not_drafted_without_its_grounds(refusal, match, otherwise):
    with pytest.raises(Refused, match=match) as refused:
        draft(**otherwise)
    assert type(refused.value) is refusal


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Submission.validate, {"template": SA_LOAD, "problems": ()}),
        (Submission.approve, {"solo_allowed": True}),
        (Submission.export, {"template": SA_LOAD, "digest": DIGEST, "rows": 2}),
        (Submission.record_sent, {}),
        (Submission.record_accepted_except, {"source": "body_page"}),
    ],
)
def test_there_is_no_part_of_that_number(command, said):
    given(draft).when(command, part=2, **said, **SAID).then_refused(UnknownPart)


# Leaving out, taking back, remaking


def test_a_line_is_left_out_openly():
    scenario = given(draft).when(Submission.exclude_line, line=1, reason="no_consent", note=NOTE, **SAID)
    scenario.then(Submission.LineExcluded, part=1, line=1, reason="no_consent", note=NOTE)
    assert scenario.after().state_of(1) is LineState.EXCLUDED
    assert [line.line for line in scenario.after().lines_of(1)] == [2]


@pytest.mark.parametrize(("reason", "note"), [("", None), (" ", NOTE), ("other", None)])
def test_a_line_is_not_left_out_without_a_reason(reason, note):
    given(draft).when(Submission.exclude_line, line=1, reason=reason, note=note, **SAID).then_refused(ReasonMissing)


def test_a_line_is_left_out_once():
    given(draft, excluded(1)).when(Submission.exclude_line, line=1, reason="unpaid", **SAID).then_refused(
        LineIsExcluded
    )


def test_a_line_that_was_left_out_is_taken_back():
    scenario = given(draft, excluded(1)).when(Submission.include_line, line=1, **SAID)
    scenario.then(Submission.LineIncluded, part=1, line=1)
    assert [line.line for line in scenario.after().lines_of(1)] == [1, 2]


def test_only_what_was_left_out_is_taken_back():
    given(draft).when(Submission.include_line, line=1, **SAID).then_refused(LineNotExcluded)


def test_a_line_is_not_taken_back_while_the_person_is_on_another():
    given(draft, excluded(1), supplemented(ADA)).when(Submission.include_line, line=1, **SAID).then_refused(
        LineStillOpen, "line 3 of part 2"
    )


def test_a_line_is_not_taken_back_after_the_person_was_accepted_by_another():
    given(draft, excluded(1), supplemented(ADA), lambda s: sent(s, 2), accepted(3)).when(
        Submission.include_line, line=1, **SAID
    ).then_refused(AlreadyAccepted)


def remade(**otherwise: Any) -> dict[str, Any]:
    return {
        "line": 1,
        "given": ADA.given,
        "family": handle("family new"),
        "email": ADA.email,
        "rests_on": ADA.rests_on,
        **SAID,
    } | otherwise


def test_a_line_is_remade_from_the_record():
    scenario = given(draft).when(Submission.remake_line, **remade())
    scenario.then(Submission.LineRemade, part=1, line=1, family=handle("family new"))
    assert scenario.after().lines_of(1)[0].family == handle("family new")


def test_a_line_is_remade_for_a_newer_basis_alone():
    newer = basis_of(ADA.enrolment, version=7)
    given(draft).when(Submission.remake_line, **remade(family=ADA.family, rests_on=newer)).then(
        Submission.LineRemade, rests_on=newer
    )


def test_a_line_is_not_remade_as_it_is():
    given(draft).when(Submission.remake_line, **remade(family=ADA.family)).then_refused(LineUnchanged)


def test_a_line_is_not_remade_without_the_decision():
    given(draft).when(Submission.remake_line, **remade(rests_on=())).then_refused(LineUnfounded)


EDITS = [
    (Submission.exclude_line, {"line": 1, "reason": "unpaid", **SAID}),
    (Submission.include_line, {"line": 2, **SAID}),
    (Submission.remake_line, remade()),
]


@pytest.mark.parametrize("far", [validated, approved, exported])
@pytest.mark.parametrize(("command", "said"), EDITS)
def test_any_change_takes_a_part_back_to_drafted(far, command, said):
    submission = given(draft, excluded(2), far).when(command, **said).after()
    assert submission.stage_of(1) is PartStage.DRAFTED
    with pytest.raises(PartNotReady):
        submission.approve(part=1, solo_allowed=True, by=BOSS, at=AT)


@pytest.mark.parametrize(("command", "said"), EDITS)
def test_what_was_sent_never_changes(command, said):
    given(draft, excluded(2), sent).when(command, **said).then_refused(PartSent)


def test_a_sent_part_is_not_validated_again():
    given(draft, sent).when(Submission.validate, part=1, template=SA_LOAD, problems=(), **SAID).then_refused(PartSent)


@pytest.mark.parametrize(("command", "said"), EDITS)
def test_there_is_no_line_of_that_number(command, said):
    given(draft).when(command, **(said | {"line": 9})).then_refused(UnknownLine)


# Validating, approving, exporting, sending

FLAGGED = LineProblem(1, ProblemCode.LEADING_FORMULA_CHARACTER, "given", blocking=False)
BLOCKING = LineProblem(2, ProblemCode.EMAIL_INVALID, "email", blocking=True)


def test_what_was_found_is_recorded_as_codes():
    scenario = given(draft).when(Submission.validate, part=1, template=SA_LOAD, problems=(FLAGGED, BLOCKING), **SAID)
    scenario.then(Submission.Validated, part=1, template="sa-load-1", problems=(FLAGGED, BLOCKING)).then_answers(
        (FLAGGED, BLOCKING)
    )
    assert scenario.after().stage_of(1) is PartStage.VALIDATED


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("given", ProblemCode.MISSING_GIVEN),
        ("family", ProblemCode.MISSING_FAMILY),
        ("email", ProblemCode.MISSING_EMAIL),
    ],
)
def test_a_missing_value_blocks_its_line_whatever_the_command_found(name, code):
    single = replace(BOB, **{name: None})
    missing = LineProblem(2, code, name, blocking=True)
    given(lambda: draft(completers=(ADA, single))).when(
        Submission.validate, part=1, template=SA_LOAD, problems=(), **SAID
    ).then(Submission.Validated, problems=(missing,))
    given(lambda: draft(completers=(ADA, single))).when(
        Submission.validate, part=1, template=SA_LOAD, problems=(missing,), **SAID
    ).then(Submission.Validated, problems=(missing,))


def test_lines_that_are_left_out_are_not_validated():
    given(lambda: draft(completers=(ADA, replace(BOB, family=None))), excluded(2)).when(
        Submission.validate, part=1, template=SA_LOAD, problems=(), **SAID
    ).then(Submission.Validated, problems=())


def test_problems_are_of_lines_in_the_part():
    given(draft, excluded(2)).when(
        Submission.validate, part=1, template=SA_LOAD, problems=(BLOCKING,), **SAID
    ).then_refused(UnknownLine)


def test_a_part_without_lines_is_not_validated():
    given(draft, excluded(1), excluded(2)).when(
        Submission.validate, part=1, template=SA_LOAD, problems=(), **SAID
    ).then_refused(NobodyToSubmit)


def approve(**otherwise: Any) -> dict[str, Any]:
    return {"part": 1, "solo_allowed": False, "by": BOSS, "at": AT} | otherwise


def test_another_approves_what_one_has_drafted():
    scenario = given(draft, validated).when(Submission.approve, **approve())
    scenario.then(Submission.Approved, part=1, solo=False, by=BOSS)
    assert scenario.after().stage_of(1) is PartStage.APPROVED


def test_nobody_approves_what_they_drafted():
    given(draft, validated).when(Submission.approve, **approve(by=CLERK)).then_refused(ApprovalNeedsAnother)
    assert issubclass(ApprovalNeedsAnother, Forbidden)


def boss_leaves_out(submission: Submission) -> None:
    submission.exclude_line(line=1, reason="unpaid", by=BOSS, at=AT)


def test_nobody_approves_what_they_changed_last():
    given(draft, boss_leaves_out, validated).when(Submission.approve, **approve()).then_refused(ApprovalNeedsAnother)


def test_nobody_approves_what_they_drafted_though_another_changed_it():
    given(draft, boss_leaves_out, validated).when(Submission.approve, **approve(by=CLERK)).then_refused(
        ApprovalNeedsAnother
    )


def test_a_supplementary_part_is_drafted_by_its_own_drafter():
    def boss_drafts(submission: Submission) -> None:
        submission.draft_part(completers=(CY,), by=BOSS, at=AT)

    given(draft, boss_drafts, lambda s: validated(s, 2)).when(Submission.approve, **approve(part=2)).then_refused(
        ApprovalNeedsAnother
    )
    given(draft, boss_drafts, lambda s: validated(s, 2)).when(Submission.approve, **approve(part=2, by=CLERK)).then(
        Submission.Approved, solo=False
    )


def test_a_solo_institution_approves_its_own_and_the_event_says_so():
    given(draft, validated).when(Submission.approve, **approve(by=CLERK, solo_allowed=True)).then(
        Submission.Approved, solo=True
    )


def test_where_another_approved_it_is_not_solo_though_it_might_have_been():
    given(draft, validated).when(Submission.approve, **approve(solo_allowed=True)).then(Submission.Approved, solo=False)


def test_what_the_body_would_not_take_is_not_approved():
    given(draft, lambda s: validated(s, 1, BLOCKING)).when(Submission.approve, **approve()).then_refused(
        PartBlocked, "Line 2"
    )


def test_what_was_flagged_for_a_human_may_be_approved():
    given(draft, lambda s: validated(s, 1, FLAGGED)).when(Submission.approve, **approve()).then(Submission.Approved)


def test_a_blocked_part_is_approved_after_its_line_was_left_out():
    given(draft, lambda s: validated(s, 1, BLOCKING), excluded(2), validated).when(
        Submission.approve, **approve()
    ).then(Submission.Approved)


@pytest.mark.parametrize("far", [lambda s: None, approved, exported, sent])
def test_a_part_is_approved_once_and_only_when_validated(far):
    given(draft, far).when(Submission.approve, **approve()).then_refused(PartNotReady)


def test_validating_again_takes_an_approval_back():
    given(draft, approved, validated).when(
        Submission.export, part=1, template=SA_LOAD, digest=DIGEST, rows=2, **SAID
    ).then_refused(PartNotReady)


def export(**otherwise: Any) -> dict[str, Any]:
    return {"part": 1, "template": SA_LOAD, "digest": DIGEST, "rows": 2, **SAID} | otherwise


def test_an_approved_part_is_exported():
    scenario = given(draft, approved).when(Submission.export, **export())
    scenario.then(
        Submission.Exported, part=1, template="sa-load-1", digest=DIGEST, rows=2, encoding="utf-8", lines=(1, 2)
    )
    assert scenario.after().stage_of(1) is PartStage.EXPORTED


@pytest.mark.parametrize("far", [lambda s: None, validated, exported, sent])
def test_nothing_is_exported_that_was_not_approved(far):
    given(draft, far).when(Submission.export, **export()).then_refused(PartNotReady)


def test_the_file_is_made_by_the_template_that_was_validated():
    given(draft, approved).when(Submission.export, **export(template=TEMPLATES["scrumorg"])).then_refused(
        TemplateDiffers, "scrumorg-1"
    )


@pytest.mark.parametrize("rows", [1, 3])
def test_the_file_has_a_row_for_each_line(rows):
    given(draft, approved).when(Submission.export, **export(rows=rows)).then_refused(RowsDiffer)


def test_a_line_that_is_left_out_is_not_exported():
    given(draft, excluded(1), approved).when(Submission.export, **export(rows=1)).then(Submission.Exported, lines=(2,))


def test_an_exported_part_is_sent():
    scenario = given(draft, exported).when(Submission.record_sent, part=1, reference="upload 7", **SAID)
    scenario.then(Submission.Sent, part=1, reference="upload 7")
    assert scenario.after().stage_of(1) is PartStage.SENT
    assert scenario.after().state_of(1) is LineState.SENT


@pytest.mark.parametrize("far", [lambda s: None, validated, approved, sent])
def test_nothing_is_sent_that_was_not_exported(far):
    given(draft, far).when(Submission.record_sent, part=1, **SAID).then_refused(PartNotReady)


def test_the_lines_of_a_sent_file_stay_those_of_the_file():
    submission = given(draft, sent, withdrawn(1)).after()
    assert [line.line for line in submission.lines_of(1)] == [1, 2]


# Steps at the body


def test_the_steps_are_kept_apart_and_follow_each_other():
    submission = given(draft, sent).after()
    for take, state in (
        (loaded, LineState.LOADED),
        (selected, LineState.SELECTED),
        (paid, LineState.PAID),
        (activated, LineState.ACTIVATED),
    ):
        take(1)(submission)
        assert submission.state_of(1) is state
        assert submission.state_of(2) is LineState.SENT


@pytest.mark.parametrize(
    ("before", "command", "match"),
    [
        ([], Submission.record_selected, "must be loaded"),
        ([], Submission.record_paid, "must be loaded"),
        ([loaded(1)], Submission.record_paid, "must be selected"),
        ([loaded(1)], Submission.record_activated, "must be selected"),
        ([loaded(1), selected(1)], Submission.record_activated, "must be paid"),
    ],
)
def test_no_step_is_left_out(before, command, match):
    given(draft, sent, *before).when(command, lines=[1], **SAID).then_refused(StepOutOfOrder, match)


STEP_COMMANDS = [
    (Submission.record_loaded, Submission.Loaded, []),
    (Submission.record_selected, Submission.Selected, [loaded(1, 2)]),
    (Submission.record_paid, Submission.Paid, [loaded(1, 2), selected(1, 2)]),
    (Submission.record_activated, Submission.Activated, [loaded(1, 2), selected(1, 2), paid(1, 2)]),
]


@pytest.mark.parametrize(("command", "event", "before"), STEP_COMMANDS)
def test_a_step_is_recorded_for_many_lines_at_once(command, event, before):
    given(draft, sent, *before).when(command, lines=[1, 2], **SAID).then(event, lines=(1, 2))


@pytest.mark.parametrize(("command", "event", "before"), STEP_COMMANDS)
def test_a_step_is_recorded_once(command, event, before):
    def once(submission: Submission) -> None:
        command(submission, lines=[2], **SAID)

    given(draft, sent, *before, once).when(command, lines=[1, 2], **SAID).then_refused(StepRecorded, "Line 2")


@pytest.mark.parametrize(("command", "event", "before"), STEP_COMMANDS)
def test_nothing_happens_at_the_body_to_what_it_rejected_or_gave_up(command, event, before):
    given(draft, sent, *before, rejected(2)).when(command, lines=[1, 2], **SAID).then_refused(LineRejected)
    given(draft, sent, *before, withdrawn(2)).when(command, lines=[1, 2], **SAID).then_refused(LineGone)


@pytest.mark.parametrize(("command", "event", "before"), STEP_COMMANDS)
def test_nothing_happens_at_the_body_to_what_was_not_sent(command, event, before):
    given(draft, exported).when(command, lines=[1], **SAID).then_refused(LineNotSent)
    given(draft, sent).when(command, lines=[9], **SAID).then_refused(UnknownLine)
    given(draft, sent).when(command, lines=[], **SAID).then_refused(NobodyToSubmit)
    given(draft, sent, *before).when(command, lines=[1, 1], **SAID).then_refused(SaidTwice)


def test_a_line_that_was_accepted_after_all_goes_on():
    given(draft, sent, rejected(1), accepted(1)).when(Submission.record_loaded, lines=[1], **SAID).then(
        Submission.Loaded
    )


def test_each_body_has_its_own_steps():
    def voucher() -> Submission:
        return draft(profile="voucher", body="SCRUMSTUDY")

    given(voucher, sent).when(Submission.record_loaded, lines=[1], **SAID).then_refused(
        StepUnknownToBody, "paid, activated"
    )
    given(voucher, sent).when(Submission.record_paid, lines=[1], **SAID).then(Submission.Paid)


PAYABLE = [draft, sent, loaded(1, 2), selected(1, 2)]


def test_a_payment_has_its_sum_and_receipt():
    given(*PAYABLE).when(
        Submission.record_paid, lines=[1, 2], amount=Decimal("100.00"), currency="USD", receipt="R-1", **SAID
    ).then(Submission.Paid, amount=Decimal("100.00"), currency="USD", receipt="R-1")


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (Decimal(1), None),
        (None, "USD"),
        (Decimal(-1), "USD"),
        (Decimal("NaN"), "USD"),
        (Decimal("Infinity"), "USD"),
        (Decimal(1), "usd"),
        (Decimal(1), "DOLLAR"),
    ],
)
def test_an_unclear_payment_is_refused(amount, currency):
    given(*PAYABLE).when(Submission.record_paid, lines=[1], amount=amount, currency=currency, **SAID).then_refused(
        PaymentUnclear
    )


# Outcomes


def test_outcomes_are_recorded_line_by_line():
    scenario = given(draft, sent).when(
        Submission.record_outcomes,
        outcomes=[
            LineOutcome(1, Outcome.ACCEPTED),
            LineOutcome(2, Outcome.REJECTED, Rejection.NAME_INVALID_CHARS, NOTE),
        ],
        source="body_page",
        **SAID,
    )
    scenario.then(
        Submission.OutcomeRecorded,
        Submission.OutcomeRecorded,
        line=2,
        outcome=Outcome.REJECTED,
        code=Rejection.NAME_INVALID_CHARS,
        note=NOTE,
        source="body_page",
    )
    assert scenario.after().state_of(1) is LineState.ACCEPTED
    assert scenario.after().state_of(2) is LineState.REJECTED
    assert scenario.after().stage_of(1) is PartStage.ACKNOWLEDGED


def test_a_part_is_not_acknowledged_while_an_outcome_is_unknown():
    submission = given(draft, sent, accepted(1), answered(2, Outcome.UNKNOWN)).after()
    assert submission.state_of(2) is LineState.UNKNOWN
    assert submission.stage_of(1) is PartStage.SENT


def test_one_wrong_outcome_refuses_them_all():
    given(draft, sent).when(
        Submission.record_outcomes,
        outcomes=[LineOutcome(1, Outcome.ACCEPTED), LineOutcome(2, Outcome.REJECTED)],
        source="body_page",
        **SAID,
    ).then_refused(OutcomeUnclear, "line 2")


@pytest.mark.parametrize(
    ("outcomes", "source", "refusal"),
    [
        ([], "body_page", OutcomeUnclear),
        ([LineOutcome(1, Outcome.ACCEPTED)], " ", OutcomeUnclear),
        ([LineOutcome(1, Outcome.REJECTED)], "body_page", OutcomeUnclear),
        ([LineOutcome(1, Outcome.REJECTED, Rejection.OTHER)], "body_page", OutcomeUnclear),
        ([LineOutcome(1, Outcome.ACCEPTED, Rejection.ENCODING)], "body_page", OutcomeUnclear),
        ([LineOutcome(1, Outcome.UNKNOWN, Rejection.ENCODING)], "body_page", OutcomeUnclear),
        ([LineOutcome(1, Outcome.ACCEPTED)] * 2, "body_page", SaidTwice),
        ([LineOutcome(9, Outcome.ACCEPTED)], "body_page", UnknownLine),
    ],
)
def test_an_unclear_outcome_is_refused(outcomes, source, refusal):
    given(draft, sent).when(Submission.record_outcomes, outcomes=outcomes, source=source, **SAID).then_refused(refusal)


@pytest.mark.parametrize("steps", [[exported], [excluded(1), sent]], ids=["exported", "left out"])
def test_the_body_says_nothing_to_what_it_was_not_sent(steps):
    given(draft, *steps).when(
        Submission.record_outcomes, outcomes=[LineOutcome(1, Outcome.ACCEPTED)], source="body_page", **SAID
    ).then_refused(LineNotSent)


@pytest.mark.parametrize("first", [[], [answered(1, Outcome.UNKNOWN)], [rejected(1)]])
@pytest.mark.parametrize(
    "then", [LineOutcome(1, Outcome.ACCEPTED), LineOutcome(1, Outcome.REJECTED, Rejection.NO_LICENCES)]
)
def test_what_was_unknown_or_rejected_may_turn_out_otherwise(first, then):
    given(draft, sent, *first).when(Submission.record_outcomes, outcomes=[then], source="body_mail", **SAID).then(
        Submission.OutcomeRecorded, outcome=then.outcome, code=then.code
    )


@pytest.mark.parametrize(
    "then",
    [
        LineOutcome(1, Outcome.ACCEPTED),
        LineOutcome(1, Outcome.UNKNOWN),
        LineOutcome(1, Outcome.REJECTED, Rejection.COURSE_LOCKED),
    ],
)
def test_an_acceptance_stands(then):
    given(draft, sent, accepted(1)).when(
        Submission.record_outcomes, outcomes=[then], source="body_page", **SAID
    ).then_refused(OutcomeFinal)


ACTIVE = [draft, sent, loaded(1), selected(1), paid(1), activated(1)]


def test_what_was_activated_was_not_rejected_but_may_be_said_accepted():
    given(*ACTIVE).when(
        Submission.record_outcomes,
        outcomes=[LineOutcome(1, Outcome.REJECTED, Rejection.PAYMENT_DECLINED)],
        source="body_page",
        **SAID,
    ).then_refused(OutcomeFinal)
    given(*ACTIVE).when(
        Submission.record_outcomes, outcomes=[LineOutcome(1, Outcome.ACCEPTED)], source="body_page", **SAID
    ).then(Submission.OutcomeRecorded)


def test_a_payment_may_be_declined_after_the_line_was_selected():
    scenario = given(draft, sent, loaded(1), selected(1)).when(
        Submission.record_outcomes,
        outcomes=[LineOutcome(1, Outcome.REJECTED, Rejection.PAYMENT_DECLINED)],
        source="body_page",
        **SAID,
    )
    scenario.then(Submission.OutcomeRecorded)
    assert scenario.after().state_of(1) is LineState.REJECTED


def test_a_rejection_does_not_become_unknown_while_its_correction_may_be_on_its_way():
    given(draft, sent, rejected(1)).when(
        Submission.record_outcomes, outcomes=[LineOutcome(1, Outcome.UNKNOWN)], source="body_page", **SAID
    ).then_refused(LineRejected)


def test_the_same_outcome_is_recorded_once():
    given(draft, sent, rejected(1)).when(
        Submission.record_outcomes,
        outcomes=[LineOutcome(1, Outcome.REJECTED, Rejection.EMAIL_INVALID)],
        source="body_page",
        **SAID,
    ).then_refused(LineUnchanged)


def test_nothing_turns_out_for_a_withdrawn_line():
    given(draft, sent, withdrawn(1)).when(
        Submission.record_outcomes, outcomes=[LineOutcome(1, Outcome.ACCEPTED)], source="body_page", **SAID
    ).then_refused(LineGone)


def three() -> Submission:
    return draft(completers=(ADA, BOB, CY))


def except_(*outcomes: LineOutcome) -> dict[str, Any]:
    return {"part": 1, "exceptions": outcomes, "source": "body_page", **SAID}


def test_all_lines_are_accepted_except_some():
    scenario = given(three, sent).when(
        Submission.record_accepted_except, **except_(LineOutcome(2, Outcome.REJECTED, Rejection.EMAIL_INVALID))
    )
    assert [(event.line, event.outcome) for event in scenario.events] == [
        (1, Outcome.ACCEPTED),
        (2, Outcome.REJECTED),
        (3, Outcome.ACCEPTED),
    ]


def test_outcomes_on_record_stay_when_the_rest_is_accepted():
    scenario = given(three, sent, accepted(1), rejected(2), answered(3, Outcome.UNKNOWN)).when(
        Submission.record_accepted_except, **except_()
    )
    scenario.then(Submission.OutcomeRecorded, line=3, outcome=Outcome.ACCEPTED)
    given(three, sent, withdrawn(1), rejected(2)).when(Submission.record_accepted_except, **except_()).then(
        Submission.OutcomeRecorded, line=3, outcome=Outcome.ACCEPTED
    )


def test_lines_that_were_left_out_are_not_accepted_with_the_rest():
    given(three, excluded(1), excluded(2), sent).when(Submission.record_accepted_except, **except_()).then(
        Submission.OutcomeRecorded, line=3
    )


def test_there_is_something_to_accept():
    given(draft, sent, accepted(1), rejected(2)).when(Submission.record_accepted_except, **except_()).then_refused(
        LineUnchanged
    )
    given(draft, exported).when(Submission.record_accepted_except, **except_()).then_refused(PartNotReady)


def test_an_exception_was_sent_with_the_part():
    given(three, excluded(1), sent).when(
        Submission.record_accepted_except, **except_(LineOutcome(1, Outcome.UNKNOWN))
    ).then_refused(UnknownLine, "Line 1")


# Never twice


@pytest.mark.parametrize("far", [[accepted(1)], [accepted(1), withdrawn(1)], ACTIVE[2:]], ids=["acc", "undone", "act"])
def test_nobody_is_sent_again_whom_the_body_took(far):
    given(draft, sent, *far).when(
        Submission.draft_part, completers=[replace(ADA, email=handle("other"))], **SAID
    ).then_refused(AlreadyAccepted)


@pytest.mark.parametrize(
    "far",
    [
        [],
        [sent],
        [sent, answered(1, Outcome.UNKNOWN)],
        [sent, loaded(1)],
        [sent, rejected(1), supplemented(replace(ADA, email=handle("other")))],
    ],
    ids=["pending", "sent", "unknown", "loaded", "corrected"],
)
def test_nobody_is_on_two_lines_that_may_both_lead_to_acceptance(far):
    given(draft, *far).when(
        Submission.draft_part, completers=[replace(ADA, email=handle("third"))], **SAID
    ).then_refused(LineStillOpen)


def test_a_corrected_line_goes_into_a_supplementary_part_under_a_new_number():
    corrected = replace(ADA, email=handle("other"))
    scenario = given(draft, sent, rejected(1), accepted(2)).when(Submission.draft_part, completers=[corrected], **SAID)
    scenario.then(
        Submission.PartDrafted,
        part=2,
        lines=(Line(3, ADA.enrolment, ADA.person, ADA.given, ADA.family, corrected.email, ADA.rests_on),),
    ).then_answers(2)
    assert scenario.after().stage_of(1) is PartStage.ACKNOWLEDGED
    assert scenario.after().stage_of(2) is PartStage.DRAFTED


@pytest.mark.parametrize(
    "code",
    [
        Rejection.EMAIL_INVALID,
        Rejection.EMAIL_DUPLICATE_IN_FILE,
        Rejection.ALREADY_MEMBER_OTHER_EMAIL,
        Rejection.NAME_INVALID_CHARS,
    ],
)
def test_rejected_values_are_not_sent_again(code):
    given(draft, sent, rejected(1, code)).when(Submission.draft_part, completers=[ADA], **SAID).then_refused(
        LineNotCorrected, code.value
    )


@pytest.mark.parametrize("code", [Rejection.PREREQUISITE_MISSING, Rejection.NO_LICENCES])
def test_what_was_rejected_for_another_cause_is_sent_again_as_it_is(code):
    given(draft, sent, rejected(1, code)).when(Submission.draft_part, completers=[ADA], **SAID).then(
        Submission.PartDrafted
    )


def test_who_was_left_out_or_completed_later_comes_in_a_supplementary_part():
    given(draft, excluded(1), sent).when(Submission.draft_part, completers=[ADA, CY], **SAID).then(
        Submission.PartDrafted, part=2
    )


def test_a_supplementary_part_has_the_grounds_of_the_first():
    for refusal, said in (
        (RegistersOpen, {"completers": [CY], "unsealed": (1,)}),
        (NobodyToSubmit, {"completers": []}),
        (SaidTwice, {"completers": [CY, CY]}),
        (LineUnfounded, {"completers": [replace(CY, rests_on=())]}),
    ):
        given(draft).when(Submission.draft_part, **said, **SAID).then_refused(refusal)


CORRECTED = [draft, sent, rejected(1), supplemented(replace(ADA, email=handle("other")))]


@pytest.mark.parametrize(
    ("far", "command", "said"),
    [
        (validated, Submission.approve, approve(part=2)),
        (approved, Submission.export, export(part=2, rows=1)),
        (exported, Submission.record_sent, {"part": 2, **SAID}),
    ],
)
def test_a_part_stops_when_the_body_took_one_of_its_people_after_all(far, command, said):
    given(*CORRECTED, lambda s: far(s, 2), accepted(1)).when(command, **said).then_refused(AlreadyAccepted, "line 3")


# Withdrawals


def test_a_sent_line_is_withdrawn_under_the_case_number_of_the_body():
    scenario = given(draft, sent, accepted(1)).when(
        Submission.withdraw_line, line=1, reason="completion_corrected", note=NOTE, case="SA-77", **SAID
    )
    scenario.then(Submission.LineWithdrawn, line=1, reason="completion_corrected", note=NOTE, case="SA-77")
    assert scenario.after().state_of(1) is LineState.WITHDRAWN


def test_only_what_was_sent_is_withdrawn_once_with_a_reason():
    said = {"line": 1, "reason": "completion_corrected", **SAID}
    given(draft).when(Submission.withdraw_line, **said).then_refused(LineNotSent)
    given(draft, sent, withdrawn(1)).when(Submission.withdraw_line, **said).then_refused(LineGone)
    given(draft, sent).when(Submission.withdraw_line, **(said | {"reason": ""})).then_refused(ReasonMissing)


# Observations


def observe(what: Sighting, **otherwise: Any) -> dict[str, Any]:
    return {"line": 1, "what": what, "on": date(2026, 3, 20), "source": "learner", **SAID} | otherwise


@pytest.mark.parametrize(
    ("what", "details"),
    [
        (Sighting.WELCOME_MAIL_RESENT, {}),
        (Sighting.ACCOUNT_ACTIVATED, {}),
        (Sighting.LICENCE_ACCEPTED, {"agreement_version": "2026"}),
        (Sighting.CREDENTIAL_DATES, {"valid_from": date(2026, 3, 20), "valid_until": date(2028, 3, 20)}),
        (Sighting.CREDENTIAL_DATES, {"valid_from": date(2026, 3, 20)}),
        (Sighting.MEMBER_ID, {"member_id": handle("member")}),
    ],
)
def test_what_is_seen_at_the_body_is_recorded_with_source_and_date(what, details):
    given(draft, sent).when(Submission.observe, **observe(what, **details)).then(
        Submission.Observed, line=1, what=what, on=date(2026, 3, 20), source="learner", **details
    )


@pytest.mark.parametrize(
    ("what", "details", "field"),
    [
        (Sighting.LICENCE_ACCEPTED, {}, "agreement_version"),
        (Sighting.LICENCE_ACCEPTED, {"agreement_version": ""}, "agreement_version"),
        (Sighting.CREDENTIAL_DATES, {}, "valid_from"),
        (Sighting.CREDENTIAL_DATES, {"valid_until": date(2028, 3, 20)}, "valid_from"),
        (Sighting.CREDENTIAL_DATES, {"valid_from": date(2026, 3, 20), "valid_until": date(2026, 3, 19)}, "valid_until"),
        (Sighting.MEMBER_ID, {}, "member_id"),
        (Sighting.ACCOUNT_ACTIVATED, {"member_id": handle("member")}, "member_id"),
        (Sighting.ACCOUNT_ACTIVATED, {"valid_until": date(2028, 3, 20)}, "valid_until"),
        (Sighting.WELCOME_MAIL_RESENT, {"agreement_version": "2026"}, "agreement_version"),
        (Sighting.ACCOUNT_ACTIVATED, {"source": " "}, "source"),
        (Sighting.ACCOUNT_ACTIVATED, {"on": date(2026, 3, 21)}, "on"),
    ],
)
def test_an_unclear_observation_is_refused(what, details, field):
    scenario = given(draft, sent).when(Submission.observe, **observe(what, **details))
    scenario.then_refused(ObservationUnclear)
    assert scenario.refusal is not None
    assert scenario.refusal.field == field


def test_east_of_us_it_may_be_tomorrow():
    tonight = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
    given(draft, sent).when(
        Submission.observe, **observe(Sighting.ACCOUNT_ACTIVATED, on=date(2026, 3, 21), at=tonight)
    ).then(Submission.Observed)


def test_nothing_is_seen_of_a_line_that_was_not_sent():
    given(draft, exported).when(Submission.observe, **observe(Sighting.ACCOUNT_ACTIVATED)).then_refused(LineNotSent)


# Discrepancies

NAMES_OF_ADA = ADA.rests_on[1].stream


def resolve(version: int, **otherwise: Any) -> dict[str, Any]:
    return {
        "line": 1,
        "stream": NAMES_OF_ADA,
        "version": version,
        "aspect": Aspect.NAMES,
        "resolution": "reported_to_body",
        "reason": "name_corrected",
        **SAID,
    } | otherwise


def resolved(version: int) -> Step:
    return lambda s: s.resolve_discrepancy(**resolve(version))


def test_a_discrepancy_is_resolved_with_what_came_of_it():
    given(draft, sent).when(Submission.resolve_discrepancy, **resolve(3, note=NOTE)).then(
        Submission.DiscrepancyResolved,
        line=1,
        stream=NAMES_OF_ADA,
        version=3,
        aspect=Aspect.NAMES,
        resolution="reported_to_body",
        reason="name_corrected",
        note=NOTE,
    )


@pytest.mark.parametrize(
    ("otherwise", "refusal"),
    [
        ({"version": 2}, DiscrepancyUnfounded),
        ({"version": 1}, DiscrepancyUnfounded),
        ({"stream": COURSE}, DiscrepancyUnfounded),
        ({"aspect": Aspect.BODY_EMAIL}, DiscrepancyUnfounded),
        ({"line": 2}, DiscrepancyUnfounded),
        ({"line": 9}, UnknownLine),
        ({"resolution": ""}, ReasonMissing),
        ({"reason": ""}, ReasonMissing),
        ({"reason": "other"}, ReasonMissing),
    ],
)
def test_what_is_no_discrepancy_is_not_resolved(otherwise, refusal):
    given(draft, sent).when(Submission.resolve_discrepancy, **(resolve(3) | otherwise)).then_refused(refusal)


def test_a_later_version_is_a_new_discrepancy():
    given(draft, sent, resolved(3)).when(Submission.resolve_discrepancy, **resolve(3)).then_refused(
        DiscrepancyUnfounded
    )
    given(draft, sent, resolved(3)).when(Submission.resolve_discrepancy, **resolve(4)).then(
        Submission.DiscrepancyResolved
    )


def test_a_remade_line_rests_on_its_new_basis():
    newer = (*basis_of(ADA.enrolment)[:1], Basis(NAMES_OF_ADA, 5, Aspect.NAMES))
    given(draft, lambda s: s.remake_line(**remade(rests_on=newer))).when(
        Submission.resolve_discrepancy, **resolve(5)
    ).then_refused(DiscrepancyUnfounded)


def test_a_remade_line_no_longer_rests_on_its_old_basis():
    fewer = basis_of(ADA.enrolment)[:1]
    given(draft, lambda s: s.remake_line(**remade(rests_on=fewer))).when(
        Submission.resolve_discrepancy, **resolve(5)
    ).then_refused(DiscrepancyUnfounded, "doesn't rest on")


# The end


def test_a_submission_is_abandoned_before_anything_was_sent():
    scenario = given(draft, excluded(2), exported).when(Submission.abandon, reason="wrong_course", **SAID)
    scenario.then(Submission.Abandoned, reason="wrong_course")
    assert scenario.after().state_of(1) is LineState.WITHDRAWN


def test_what_was_sent_is_not_abandoned():
    given(draft, sent).when(Submission.abandon, reason="wrong_course", **SAID).then_refused(SubmissionSent, "Part 1")
    given(draft).when(Submission.abandon, reason="", **SAID).then_refused(ReasonMissing)


def test_an_abandoned_submission_is_opened_again_by_a_new_part():
    submission = given(draft, exported, abandoned, supplemented(ADA)).after()
    sent(submission, 2)
    assert submission.state_of(3) is LineState.SENT
    with pytest.raises(PartNotReady):
        submission.record_sent(part=1, **SAID)
    with pytest.raises(NobodyToSubmit):
        validated(submission, 1)
    with pytest.raises(LineGone):
        excluded(1)(submission)


@pytest.mark.parametrize(
    "far",
    [
        [draft, sent, accepted(1), accepted(2)],
        [draft, sent, accepted(1), rejected(2), withdrawn(2)],
        [draft, excluded(2), *ACTIVE[1:]],
        [*CORRECTED, lambda s: sent(s, 2), accepted(3), accepted(2)],
        [*CORRECTED, accepted(1), excluded(3), accepted(2)],
    ],
    ids=["accepted", "given up", "activated", "corrected", "accepted after all"],
)
def test_a_settled_submission_is_completed(far):
    given(*far).when(Submission.complete, **SAID).then(Submission.Completed)


@pytest.mark.parametrize(
    ("far", "lines"),
    [
        ([draft], "1, 2"),
        ([draft, sent, accepted(1)], "2"),
        ([draft, sent, accepted(1), answered(2, Outcome.UNKNOWN)], "2"),
        ([draft, sent, accepted(1), rejected(2)], "2"),
        ([*CORRECTED, accepted(2)], "3"),
    ],
    ids=["pending", "sent", "unknown", "rejected", "correction pending"],
)
def test_an_unsettled_submission_is_not_completed(far, lines):
    given(*far).when(Submission.complete, **SAID).then_refused(SubmissionUnsettled, f"Line {lines} ")


OVER = [[draft, abandoned], [lambda: draft(completers=(ADA,)), excluded(1), completed]]


@pytest.mark.parametrize("far", OVER, ids=["abandoned", "completed"])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        *((command, said | {"line": 1}) for command, said in EDITS),
        (Submission.validate, {"part": 1, "template": SA_LOAD, "problems": (), **SAID}),
        (Submission.approve, approve()),
        (Submission.export, export()),
        (Submission.record_sent, {"part": 1, **SAID}),
        (Submission.abandon, {"reason": "wrong_course", **SAID}),
        (Submission.complete, SAID),
    ],
)
def test_a_submission_that_is_over_needs_a_new_part(far, command, said):
    given(*far).when(command, **said).then_refused(SubmissionOver, "new part")


def test_who_was_left_out_may_come_months_after_completion():
    given(draft, excluded(1), sent, accepted(2), completed).when(Submission.draft_part, completers=[ADA], **SAID).then(
        Submission.PartDrafted, part=2
    )


def test_a_licence_is_observed_after_completion():
    given(draft, sent, accepted(1), accepted(2), completed).when(
        Submission.observe, **observe(Sighting.LICENCE_ACCEPTED, agreement_version="2026")
    ).then(Submission.Observed)


# Rows


def codes(*row: str | None, **otherwise: Any) -> list[str]:
    return [f"{problem.field}: {problem.code}" for problem in check_row(*row, **otherwise)]


GOOD = ("Ada", "Lovelace", "ada@example.org")


def test_a_good_row_has_no_problems():
    assert codes(*GOOD) == []


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_missing_values_are_found(empty):
    assert codes(empty, empty, empty) == ["given: missing_given", "family: missing_family", "email: missing_email"]


@pytest.mark.parametrize("formula", ["=1+1", "+49", "-Ada", "@SUM(A1)"])
def test_a_leading_formula_character_is_flagged_but_does_not_block(formula):
    assert codes(formula, "Lovelace", GOOD[2]) == ["given: leading_formula_character"]
    assert not check_row(formula, *GOOD[1:])[0].blocking
    assert codes("Ada", formula, GOOD[2]) == ["family: leading_formula_character"]


def test_an_address_may_begin_like_a_formula_and_is_flagged():
    assert codes("Ada", "Lovelace", "+ada@example.org") == ["email: leading_formula_character"]


@pytest.mark.parametrize("character", ["\t", "\r"])
def test_a_leading_tab_or_return_is_flagged_for_all_that_it_is(character):
    assert codes(f"{character}Ada", *GOOD[1:]) == [
        "given: control_characters",
        "given: leading_formula_character",
        "given: surrounding_space",
    ]


@pytest.mark.parametrize("name", [" Ada", "Ada ", "Ada\u00a0", "\u3000Ada"])
def test_surrounding_space_is_found(name):
    assert codes(name, *GOOD[1:]) == ["given: surrounding_space"]
    assert codes("Ada", "Lovelace", " ada@example.org ") == ["email: surrounding_space"]


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff"])
def test_control_characters_and_overrides_are_found(character):
    assert "given: control_characters" in codes(f"A{character}da", *GOOD[1:])


def test_a_lone_surrogate_can_not_be_written():
    assert codes("A\ud800da", *GOOD[1:]) == ["given: control_characters", "given: not_in_charset"]


@pytest.mark.parametrize("name", ["Zoë", "Ştefan", "O'Brien", "Nguyễn", "Anne-Marie", "Ka\u02bbala"])
def test_latin_names_are_read_by_a_body_that_reads_latin(name):
    assert codes(name, name, GOOD[2]) == []


@pytest.mark.parametrize("name", ["Ада", "Αda", "李", "آدا"])
def test_a_name_in_another_script_needs_its_latin_form(name):
    assert codes(name, *GOOD[1:]) == ["given: not_in_charset"]
    assert codes(name, *GOOD[1:], template=replace(SA_LOAD, script=Script.ANY)) == []


def test_invisible_joiners_are_part_of_some_scripts():
    joined = "علی\u200cرضا"
    assert codes(joined, *GOOD[1:], template=replace(SA_LOAD, script=Script.ANY)) == []


def test_what_the_encoding_lacks_is_found():
    cp1252 = replace(SA_LOAD, encoding="cp1252")
    assert codes("Zoë", *GOOD[1:], template=cp1252) == []
    assert codes("Ştefan", *GOOD[1:], template=cp1252) == ["given: not_in_charset"]


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "ada@",
        "ada@example",
        "ada@@example.org",
        "ada@example..org",
        ".ada@example.org",
        "ada.@example.org",
        "a..da@example.org",
        "ada@-example.org",
        "ada@example.1",
        "ada lovelace@example.org",
        "ada@exam ple.org",
        "ada@example.org, bob@example.org",
        "Ada <ada@example.org>",
        "adä@example.org",
        "a" * 65 + "@example.org",
        "ada@" + "a" * 64 + ".org",
        "ada@" + "a.b" * 83 + ".org",
    ],
)
def test_malformed_addresses_are_found(email):
    assert codes("Ada", "Lovelace", email) == ["email: email_invalid"]


@pytest.mark.parametrize(
    "email",
    [
        "Ada.Lovelace+cspo@Example.ORG",
        "o'brien@sub.example.co.uk",
        "a" * 64 + "@example.org",
        "ada@xn--bcher-kva.example",
    ],
)
def test_well_formed_addresses_are_taken(email):
    assert codes("Ada", "Lovelace", email) == []


def test_one_address_for_two_people_is_found_whatever_its_case():
    problems = check_rows(
        SA_LOAD,
        [
            Row(4, "Ada", "Lovelace", "office@example.org"),
            Row(5, "Bob", "Builder", "bob@example.org"),
            Row(6, "Cy", "Twombly", "Office@Example.org"),
            Row(7, "Di", "Prince", None),
            Row(8, "Ed", "King", None),
        ],
    )
    assert problems == (
        LineProblem(4, ProblemCode.EMAIL_DUPLICATE_IN_PART, "email", blocking=True),
        LineProblem(6, ProblemCode.EMAIL_DUPLICATE_IN_PART, "email", blocking=True),
        LineProblem(7, ProblemCode.MISSING_EMAIL, "email", blocking=True),
        LineProblem(8, ProblemCode.MISSING_EMAIL, "email", blocking=True),
    )


def test_all_problems_block_but_the_formula():
    assert [code for code in ProblemCode if not code.blocking] == [ProblemCode.LEADING_FORMULA_CHARACTER]
    assert MESSAGES.keys() == set(ProblemCode)
    assert Problem(ProblemCode.SURROUNDING_SPACE, "given").blocking


def test_a_body_gets_latin_letters_where_they_are_given():
    names = Names(given=handle("Ада"), family=handle("Лавлейс"))
    assert names_for_body(names) == (names.given, names.family)
    both = replace(names, latin_given=handle("Ada"), latin_family=handle("Lovelace"))
    assert names_for_body(both) == (handle("Ada"), handle("Lovelace"))
    one = replace(names, latin_given=handle("Ada"))
    assert names_for_body(one) == (handle("Ada"), names.family)


def test_a_single_name_is_never_split_or_doubled():
    assert names_for_body(Names(given=handle("Suharto"))) == (handle("Suharto"), None)
    assert names_for_body(Names(certificate_name=handle("Ada Lovelace"))) == (None, None)


# Files


def test_the_file_for_the_scrum_alliance():
    rows = [Row(1, "Zoë", 'van "der" Berg', "zoe@example.org"), Row(2, "Bob", "A, B", "b@e.org")]
    assert (
        render(SA_LOAD, rows)
        == ('First Name,Last Name,Email\r\nZoë,"van ""der"" Berg",zoe@example.org\r\nBob,"A, B",b@e.org\r\n').encode()
    )


def test_the_roster_for_scaled_agile_has_its_own_columns_and_plus():
    assert render(TEMPLATES["safe_roster"], [Row(1, "Ada", "Lovelace", "ada@example.org")]) == (
        b"username,first name,last name,email,attendance,account\r\nada@example.org,Ada,Lovelace,ada@example.org,+,\r\n"
    )


def test_a_formula_is_written_as_it_is():
    assert b'\r\n"=HYPERLINK(""x"")",Lovelace,ada@example.org\r\n' in render(
        SA_LOAD, [Row(1, '=HYPERLINK("x")', "Lovelace", "ada@example.org")]
    )


def test_the_template_decides_encoding_newline_and_delimiter():
    template = replace(SA_LOAD, encoding="cp1252", newline="\n", delimiter=";")
    assert render(template, [Row(1, "Zoë", "A;B", "a,b@e.org")]) == (
        b'First Name;Last Name;Email\nZo\xeb;"A;B";a,b@e.org\n'
    )


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (Row(7, None, "Lovelace", "a@e.org"), "Line 7 has no value for First Name"),
        (Row(7, "Ştefan", "Lovelace", "a@e.org"), "First Name of line 7 has characters"),
    ],
)
def test_what_can_not_be_written_is_refused(row, match):
    with pytest.raises(Unwritable, match=match):
        render(replace(SA_LOAD, encoding="cp1252"), [row])


CELLS = st.text(st.characters(exclude_categories=["Cs"]))


@forall(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5),
    st.sampled_from(["\r\n", "\n", "\r"]),
    st.sampled_from([",", ";", "\t"]),
)
def test_a_reader_of_rfc_4180_gets_the_very_values_back(values, newline, delimiter):
    template = replace(SA_LOAD, newline=newline, delimiter=delimiter)
    rows = [Row(number, *row) for number, row in enumerate(values, 1)]
    written = render(template, rows)
    assert written == render(template, list(rows))
    reader = csv.reader(io.StringIO(written.decode("utf-8"), newline=""), delimiter=delimiter, strict=True)
    assert list(reader) == [["First Name", "Last Name", "Email"], *map(list, values)]


@pytest.mark.parametrize(
    "otherwise",
    [
        {"columns": ()},
        {"columns": (Column("Email", Value.EMAIL), Column("Email", Value.GIVEN))},
        {"encoding": "utf-9"},
        {"newline": ""},
        {"newline": "\x0b"},
        {"delimiter": ""},
        {"delimiter": ";;"},
        {"delimiter": '"'},
        {"delimiter": "\n"},
    ],
)
def test_a_template_makes_sense(otherwise):
    with pytest.raises(TemplateUnsound):
        replace(SA_LOAD, **otherwise)


def test_a_template_is_found_by_its_version():
    for template in TEMPLATES.values():
        assert template_named(template.version) is template
    with pytest.raises(UnknownTemplate, match="sa-load-1"):
        template_named("sa-load-0")


def test_every_profile_of_the_catalogue_has_a_template_and_steps_or_no_submission():
    assert set(TEMPLATES) == set(STEPS) == set(SUBMISSION_PROFILES) - {"none"}


def test_a_template_is_data_of_its_own():
    own = SubmissionTemplate("own-1", (Column("Mail", Value.EMAIL), Column("X", Value.FIXED, "y")))
    assert render(own, [Row(1, None, None, "a@e.org")]) == b"Mail,X\r\na@e.org,y\r\n"


# Whatever happens

ALLOWED = {
    LineState.PENDING: {LineState.EXCLUDED, LineState.SENT, LineState.WITHDRAWN},
    LineState.EXCLUDED: {LineState.PENDING, LineState.WITHDRAWN},
    LineState.SENT: {LineState.LOADED, LineState.ACCEPTED, LineState.REJECTED, LineState.UNKNOWN, LineState.WITHDRAWN},
    LineState.ACCEPTED: {LineState.LOADED, LineState.WITHDRAWN},
    LineState.LOADED: {LineState.SELECTED, LineState.REJECTED, LineState.UNKNOWN, LineState.WITHDRAWN},
    LineState.SELECTED: {LineState.PAID, LineState.REJECTED, LineState.UNKNOWN, LineState.WITHDRAWN},
    LineState.PAID: {LineState.ACTIVATED, LineState.REJECTED, LineState.UNKNOWN, LineState.WITHDRAWN},
    LineState.ACTIVATED: {LineState.WITHDRAWN},
    LineState.REJECTED: {LineState.ACCEPTED, LineState.LOADED, LineState.SELECTED, LineState.PAID, LineState.WITHDRAWN},
    # While the body is silent, steps may be taken; the line says so once one knows more.
    LineState.UNKNOWN: {
        LineState.ACCEPTED,
        LineState.LOADED,
        LineState.SELECTED,
        LineState.PAID,
        LineState.ACTIVATED,
        LineState.REJECTED,
        LineState.WITHDRAWN,
    },
    LineState.WITHDRAWN: set(),
}

PEOPLE = st.sets(st.integers(1, 4), min_size=1)
ACTORS = st.sampled_from([CLERK, BOSS])
NEXT_STEP = (
    Submission.record_loaded,
    Submission.record_selected,
    Submission.record_paid,
    Submission.record_activated,
)


def state(submission: Submission) -> dict[str, object]:
    return {name: value for name, value in vars(submission).items() if not name.startswith("_")}


class SubmissionLife(RuleBasedStateMachine):
    """A registrar, a colleague and a body do whatever they like, in whatever order.

    Lines and parts are mostly drawn from those that exist, so that the walk gets far; commands that
    come too early or too late, or aren't allowed, are refused and must leave no trace.
    """

    @initialize(people=PEOPLE, by=ACTORS, part_sent=st.booleans())
    def begin(self, people, by, part_sent):
        self.submission = draft(completers=[completer(number) for number in sorted(people)], by=by)
        self.states = self.line_states()
        if part_sent:
            self.go(1, 4, by)

    def line_states(self):
        return {line: self.submission.state_of(line) for line in self.submission.lines}

    def attempt(self, command, **said):
        """Do it or be refused, which must leave no trace; return whether it was done."""
        before = self.submission.version
        refusal: Refused | None = None
        try:
            command(self.submission, at=AT, **said)
        except Refused as no:
            refusal = no
        assert refusal is None or self.submission.version == before, refusal
        now = self.line_states()
        for line, was in self.states.items():
            assert now[line] is was or now[line] in ALLOWED[was], (line, was, now[line])
        assert all(now[line] is LineState.PENDING for line in now.keys() - self.states.keys())
        self.states = now
        return refusal is None

    def a_line(self, data):
        return data.draw(st.sampled_from([*self.submission.lines]), label="line")

    def a_part(self, data):
        return data.draw(st.sampled_from([*self.submission.parts]), label="part")

    @rule(people=PEOPLE, email=st.integers(1, 3), by=ACTORS)
    def draft_part(self, people, email, by):
        """Draft whoever may be drafted of these; the others are refused one by one."""
        for number in sorted(people):
            said = completer(number, email=handle(f"email {number} {email}"))
            self.attempt(Submission.draft_part, completers=[said], by=by)

    @rule(data=st.data(), command=st.sampled_from(["leave out", "take back", "remake"]), by=ACTORS)
    def edit(self, data, command, by):
        line = self.a_line(data)
        if command == "leave out":
            self.attempt(Submission.exclude_line, line=line, reason="unpaid", by=by)
        elif command == "take back":
            self.attempt(Submission.include_line, line=line, by=by)
        else:
            version = data.draw(st.integers(1, 9), label="version")
            self.attempt(
                Submission.remake_line,
                line=line,
                given=handle("given"),
                family=handle("family"),
                email=handle(f"remade {version}"),
                rests_on=basis_of(UUID(int=101), version),
                by=by,
            )

    def check(self, part, problems, by):
        return self.attempt(Submission.validate, part=part, template=SA_LOAD, problems=problems, by=by)

    def export(self, part, by):
        rows = len(self.submission.lines_of(part))
        return self.attempt(Submission.export, part=part, template=SA_LOAD, digest=DIGEST, rows=rows, by=by)

    @rule(data=st.data(), solo=st.booleans(), by=ACTORS)
    def one_stage(self, data, solo, by):
        part = self.a_part(data)
        match data.draw(st.integers(1, 5), label="stage"):
            case 1:
                self.check(part, [], by)
            case 2:
                first = [replace(BLOCKING, line=line.line) for line in self.submission.lines_of(part)[:1]]
                self.check(part, first, by)
            case 3:
                self.attempt(Submission.approve, part=part, solo_allowed=solo, by=by)
            case 4:
                self.export(part, by)
            case 5:
                self.attempt(Submission.record_sent, part=part, by=by)

    @rule(data=st.data(), stages=st.integers(2, 4), by=ACTORS)
    def many_stages(self, data, stages, by):
        self.go(self.a_part(data), stages, by)

    def go(self, part, stages, by):
        """A random walk seldom gets a part out; this one does, where nothing is in its way."""
        self.check(part, [], by)
        self.attempt(Submission.approve, part=part, solo_allowed=True, by=by)
        if stages > 2:
            self.export(part, by)
        if stages > 3:
            self.attempt(Submission.record_sent, part=part, by=by)

    @rule(data=st.data(), command=st.sampled_from(NEXT_STEP), by=ACTORS)
    def any_step(self, data, command, by):
        lines = data.draw(st.lists(st.sampled_from([*self.submission.lines]), max_size=3))
        self.attempt(command, lines=lines, by=by)

    @rule(data=st.data(), steps=st.integers(1, 4), by=ACTORS)
    def next_steps(self, data, steps, by):
        line = self.a_line(data)
        for command in NEXT_STEP[:steps]:
            self.attempt(command, lines=[line], by=by)

    @rule(
        data=st.data(),
        outcome=st.sampled_from(
            [
                (Outcome.ACCEPTED, None),
                (Outcome.UNKNOWN, None),
                (Outcome.REJECTED, Rejection.EMAIL_INVALID),
                (Outcome.REJECTED, Rejection.NO_LICENCES),
                (Outcome.REJECTED, None),
            ]
        ),
        by=ACTORS,
    )
    def answer(self, data, outcome, by):
        self.attempt(
            Submission.record_outcomes,
            outcomes=[LineOutcome(self.a_line(data), *outcome)],
            source="body_page",
            by=by,
        )

    @rule(data=st.data(), one_refused=st.booleans(), by=ACTORS)
    def accept(self, data, one_refused, by):
        exceptions = [LineOutcome(self.a_line(data), Outcome.REJECTED, Rejection.NO_LICENCES)]
        self.attempt(
            Submission.record_accepted_except,
            part=self.a_part(data),
            exceptions=exceptions if one_refused else (),
            source="body_page",
            by=by,
        )

    @rule(data=st.data(), by=ACTORS, version=st.integers(1, 9))
    def correct_afterwards(self, data, by, version):
        line = self.a_line(data)
        if version < 4:
            self.attempt(Submission.withdraw_line, line=line, reason="completion_corrected", by=by)
        else:
            self.attempt(
                Submission.resolve_discrepancy,
                line=line,
                stream=UUID(int=101),
                version=version,
                aspect=Aspect.DECISION,
                resolution="stands",
                reason="spelling",
                by=by,
            )

    @rule(by=ACTORS, how=st.integers(1, 6))
    def end(self, by, how):
        if how == 6:
            self.attempt(Submission.abandon, reason="wrong_course", by=by)
        elif self.attempt(Submission.complete, by=by):
            assert self.submission.unsettled() == ()

    @invariant()
    def nobody_is_exported_or_sent_after_the_body_took_them(self):
        enrolments: dict[int, UUID] = {}
        exports: dict[int, tuple[int, ...]] = {}
        taken: set[UUID] = set()
        for event in self.submission.pending_events:
            if isinstance(event, Submission.Drafted | Submission.PartDrafted):
                enrolments |= {line.line: line.enrolment for line in event.lines}
                assert taken.isdisjoint(line.enrolment for line in event.lines)
            elif isinstance(event, Submission.Exported):
                exports[event.part] = event.lines
                assert taken.isdisjoint(enrolments[line] for line in event.lines)
            elif isinstance(event, Submission.Sent):
                assert taken.isdisjoint(enrolments[line] for line in exports[event.part])
            elif isinstance(event, Submission.Activated):
                taken |= {enrolments[line] for line in event.lines}
            elif isinstance(event, Submission.OutcomeRecorded) and event.outcome == "accepted":
                taken.add(enrolments[event.line])
        assert taken == self.submission.accepted

    @invariant()
    def nobody_is_on_two_lines_that_wait(self):
        waiting = [
            standing.line.enrolment
            for standing in self.submission.lines.values()
            if standing.state in (LineState.PENDING, LineState.UNKNOWN, LineState.SENT)
            and standing.line.enrolment not in self.submission.accepted
        ]
        assert len(set(waiting)) == len(waiting)

    @invariant()
    def nothing_goes_out_that_was_not_approved_by_two_or_openly_by_one(self):
        drafted_by: dict[int, UUID] = {}
        changed_by: dict[int, UUID] = {}
        approved_as: set[int] = set()
        for event in self.submission.pending_events:
            if isinstance(event, Submission.Drafted | Submission.PartDrafted):
                drafted_by[event.part] = changed_by[event.part] = event.by
            elif isinstance(event, Submission.LineExcluded | Submission.LineIncluded | Submission.LineRemade):
                changed_by[event.part] = event.by
                approved_as.discard(event.part)
            elif isinstance(event, Submission.Validated):
                approved_as.discard(event.part)
            elif isinstance(event, Submission.Approved):
                assert event.solo == (event.by in (drafted_by[event.part], changed_by[event.part]))
                approved_as.add(event.part)
            elif isinstance(event, Submission.Exported | Submission.Sent):
                assert event.part in approved_as

    @invariant()
    def no_step_is_left_out(self):
        for standing in self.submission.lines.values():
            assert standing.steps == STEPS["sa_load"][: len(standing.steps)]
            assert standing.sent or not (standing.steps or standing.outcome)

    @invariant()
    def what_blocks_is_never_sent(self):
        for part in self.submission.parts.values():
            assert not part.blocked or part.stage is PartStage.VALIDATED

    @invariant()
    def the_events_alone_give_the_same_state(self):
        assert state(replay(self.submission)) == state(self.submission)


SubmissionLife.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSubmissionLife = SubmissionLife.TestCase
