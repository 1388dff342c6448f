"""The submission view: what a body was told about a course's completers, and what became of each line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, select

from domain.submission import PartStage, Stage, Step, Submission
from projections.projection import Projection, Row, Rows, flag, json, number, plain, text, uid, view_table

submissions = view_table(
    "submission_submissions",
    uid("submission"),
    uid("course"),
    text("body"),
    text("profile"),
    text("stage"),
    text("due_on"),
    text("drafted_at"),
    uid("drafted_by"),
    text("ended_at"),
    text("abandoned_reason"),
    json("payments"),
    number("version"),
    key=("submission",),
    indexes=[("course",)],
)
"""One row per submission. `payments` are lists of lines with what was paid for them together."""

parts = view_table(
    "submission_parts",
    uid("submission"),
    number("part"),
    text("stage"),
    uid("drafted_by"),
    text("drafted_at"),
    uid("changed_by"),
    text("changed_at"),
    text("template"),
    json("problems"),
    uid("validated_by"),
    text("validated_at"),
    uid("approved_by"),
    text("approved_at"),
    flag("solo"),
    uid("exported_by"),
    text("exported_at"),
    text("digest"),
    number("rows"),
    text("encoding"),
    json("lines"),
    uid("sent_by"),
    text("sent_at"),
    text("reference"),
    key=("submission", "part"),
)
"""One row per part. Whatever comes after drafting is empty again once one of its lines changes; `digest` is a handle.

`lines` are those of the exported file in their order, and their rows are what that file was made of.
"""

lines = view_table(
    "submission_lines",
    uid("submission"),
    number("line"),
    number("part"),
    uid("enrolment"),
    uid("person"),
    text("given"),
    text("family"),
    text("email"),
    json("rests_on"),
    flag("excluded"),
    text("excluded_reason"),
    text("excluded_note"),
    flag("sent"),
    *(text(f"{step.value}_at") for step in Step),
    text("outcome"),
    text("code"),
    text("outcome_note"),
    text("outcome_source"),
    text("outcome_at"),
    flag("withdrawn"),
    text("withdrawn_reason"),
    text("withdrawn_note"),
    text("case"),
    json("observations"),
    json("resolutions"),
    key=("submission", "line"),
)
"""One row per line. Names, the e-mail and notes are handles."""

submission = Projection("submission", version=1, tables=(submissions, parts, lines))


@submission.on(Submission.Drafted)
def _drafted(rows: Rows, event: Submission.Drafted) -> None:
    rows.add(
        submissions,
        submission=event.originator_id,
        course=event.course,
        body=event.body,
        profile=event.profile,
        stage=Stage.OPEN,
        due_on=event.due_on,
        drafted_at=event.at,
        drafted_by=event.by,
        payments=[],
        version=event.originator_version,
    )
    _add_part(rows, event)


@submission.on(Submission.PartDrafted)
def _part_drafted(rows: Rows, event: Submission.PartDrafted) -> None:
    _moved(rows, event, stage=Stage.OPEN, ended_at=None, abandoned_reason=None)
    _add_part(rows, event)


def _add_part(rows: Rows, event: Submission.Drafted | Submission.PartDrafted) -> None:
    _put_draft(rows.add, event, event.part, drafted_by=event.by, drafted_at=event.at)
    for line in event.lines:
        rows.add(
            lines,
            submission=event.originator_id,
            line=line.line,
            part=event.part,
            enrolment=line.enrolment,
            person=line.person,
            given=line.given,
            family=line.family,
            email=line.email,
            rests_on=line.rests_on,
            excluded=False,
            sent=False,
            withdrawn=False,
            observations=[],
            resolutions=[],
        )


def _put_draft(write: Callable[..., None], event: Submission.Event, part: int, **drafted: object) -> None:
    """Write a part as it is with nothing but its lines."""
    write(
        parts,
        submission=event.originator_id,
        part=part,
        stage=PartStage.DRAFTED,
        changed_by=event.by,
        changed_at=event.at,
        problems=[],
        lines=[],
        **drafted,
    )


def _edited(rows: Rows, event: Submission.Event, part: int) -> None:
    known = _held(rows, parts, event.originator_id, part)
    _put_draft(rows.put, event, part, drafted_by=known["drafted_by"], drafted_at=known["drafted_at"])


@submission.on(Submission.LineExcluded)
def _line_excluded(rows: Rows, event: Submission.LineExcluded) -> None:
    rows.change(
        lines,
        event.originator_id,
        event.line,
        excluded=True,
        excluded_reason=event.reason,
        excluded_note=event.note,
    )
    _edited(rows, event, event.part)
    _moved(rows, event)


@submission.on(Submission.LineIncluded)
def _line_included(rows: Rows, event: Submission.LineIncluded) -> None:
    rows.change(lines, event.originator_id, event.line, excluded=False, excluded_reason=None, excluded_note=None)
    _edited(rows, event, event.part)
    _moved(rows, event)


@submission.on(Submission.LineRemade)
def _line_remade(rows: Rows, event: Submission.LineRemade) -> None:
    rows.change(
        lines,
        event.originator_id,
        event.line,
        given=event.given,
        family=event.family,
        email=event.email,
        rests_on=event.rests_on,
    )
    _edited(rows, event, event.part)
    _moved(rows, event)


@submission.on(Submission.Validated)
def _validated(rows: Rows, event: Submission.Validated) -> None:
    known = _held(rows, parts, event.originator_id, event.part)
    _edited(rows, event, event.part)
    rows.change(
        parts,
        event.originator_id,
        event.part,
        stage=PartStage.VALIDATED,
        changed_by=known["changed_by"],
        changed_at=known["changed_at"],
        template=event.template,
        problems=event.problems,
        validated_by=event.by,
        validated_at=event.at,
    )
    _moved(rows, event)


@submission.on(Submission.Approved)
def _approved(rows: Rows, event: Submission.Approved) -> None:
    rows.change(
        parts,
        event.originator_id,
        event.part,
        stage=PartStage.APPROVED,
        approved_by=event.by,
        approved_at=event.at,
        solo=event.solo,
    )
    _moved(rows, event)


@submission.on(Submission.Exported)
def _exported(rows: Rows, event: Submission.Exported) -> None:
    rows.change(
        parts,
        event.originator_id,
        event.part,
        stage=PartStage.EXPORTED,
        template=event.template,
        exported_by=event.by,
        exported_at=event.at,
        digest=event.digest,
        rows=event.rows,
        encoding=event.encoding,
        lines=event.lines,
    )
    _moved(rows, event)


@submission.on(Submission.Sent)
def _sent(rows: Rows, event: Submission.Sent) -> None:
    rows.change(
        parts,
        event.originator_id,
        event.part,
        stage=PartStage.SENT,
        sent_by=event.by,
        sent_at=event.at,
        reference=event.reference,
    )
    for line in _held(rows, parts, event.originator_id, event.part)["lines"]:
        rows.change(lines, event.originator_id, line, sent=True)
    _moved(rows, event)


@submission.on(Submission.Loaded)
def _loaded(rows: Rows, event: Submission.Loaded) -> None:
    _stepped(rows, event, loaded_at=event.at)


@submission.on(Submission.Selected)
def _selected(rows: Rows, event: Submission.Selected) -> None:
    _stepped(rows, event, selected_at=event.at)


@submission.on(Submission.Paid)
def _paid(rows: Rows, event: Submission.Paid) -> None:
    known = _held(rows, submissions, event.originator_id)["payments"]
    payment = {
        "lines": event.lines,
        "amount": event.amount,
        "currency": event.currency,
        "receipt": event.receipt,
        "paid_at": event.at,
    }
    _stepped(rows, event, paid_at=event.at)
    _moved(rows, event, payments=[*known, plain(payment)])


@submission.on(Submission.Activated)
def _activated(rows: Rows, event: Submission.Activated) -> None:
    _stepped(rows, event, activated_at=event.at)


def _stepped(
    rows: Rows,
    event: Submission.Loaded | Submission.Selected | Submission.Paid | Submission.Activated,
    **said: object,
) -> None:
    for line in event.lines:
        rows.change(lines, event.originator_id, line, **said)
    _moved(rows, event)


@submission.on(Submission.OutcomeRecorded)
def _outcome_recorded(rows: Rows, event: Submission.OutcomeRecorded) -> None:
    rows.change(
        lines,
        event.originator_id,
        event.line,
        outcome=event.outcome,
        code=event.code,
        outcome_note=event.note,
        outcome_source=event.source,
        outcome_at=event.at,
    )
    _moved(rows, event)


@submission.on(Submission.LineWithdrawn)
def _line_withdrawn(rows: Rows, event: Submission.LineWithdrawn) -> None:
    rows.change(
        lines,
        event.originator_id,
        event.line,
        withdrawn=True,
        withdrawn_reason=event.reason,
        withdrawn_note=event.note,
        case=event.case,
    )
    _moved(rows, event)


@submission.on(Submission.Observed)
def _observed(rows: Rows, event: Submission.Observed) -> None:
    seen = {
        "what": event.what,
        "on": event.on,
        "source": event.source,
        "agreement_version": event.agreement_version,
        "valid_from": event.valid_from,
        "valid_until": event.valid_until,
        "member_id": event.member_id,
        "recorded_by": event.by,
    }
    known = _held(rows, lines, event.originator_id, event.line)["observations"]
    rows.change(lines, event.originator_id, event.line, observations=[*known, plain(seen)])
    _moved(rows, event)


@submission.on(Submission.DiscrepancyResolved)
def _discrepancy_resolved(rows: Rows, event: Submission.DiscrepancyResolved) -> None:
    resolved = {
        "stream": event.stream,
        "version": event.version,
        "aspect": event.aspect,
        "resolution": event.resolution,
        "reason": event.reason,
        "note": event.note,
        "resolved_by": event.by,
        "resolved_at": event.at,
    }
    known = _held(rows, lines, event.originator_id, event.line)["resolutions"]
    rows.change(lines, event.originator_id, event.line, resolutions=[*known, plain(resolved)])
    _moved(rows, event)


@submission.on(Submission.Abandoned)
def _abandoned(rows: Rows, event: Submission.Abandoned) -> None:
    # Parts and lines are numbered without gaps.
    for part in takewhile(lambda part: rows.get(parts, event.originator_id, part) is not None, count(1)):
        _edited(rows, event, part)
    for line in takewhile(lambda line: rows.get(lines, event.originator_id, line) is not None, count(1)):
        rows.change(lines, event.originator_id, line, withdrawn=True)
    _moved(rows, event, stage=Stage.ABANDONED, ended_at=event.at, abandoned_reason=event.reason)


@submission.on(Submission.Completed)
def _completed(rows: Rows, event: Submission.Completed) -> None:
    _moved(rows, event, stage=Stage.COMPLETED, ended_at=event.at)


def _moved(rows: Rows, event: Submission.Event, **said: object) -> None:
    rows.change(submissions, event.originator_id, version=event.originator_version, **said)


def _held(rows: Rows, table: Table, *key: object) -> Row:
    row = rows.get(table, *key)
    if row is None:
        raise LookupError(f"{table.name} has no row for {key}.")
    return row


def course_of(read: Connection, submission: UUID | str) -> str | None:
    """Return the course that a submission is about, None where there is no such submission."""
    found = select(submissions.c.course).where(submissions.c.submission == str(submission)).limit(1)
    return read.execute(found).scalar()
