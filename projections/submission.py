"""The submission view: what a body was told about a course's completers, and what became of each line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import count, takewhile
from typing import Any
from uuid import UUID

from sqlalchemy import select

from domain.course import Stage as CourseStage
from domain.credential import CredentialPolicy, policy_named
from domain.enrolment import Enrolment
from domain.enrolment import Stage as Standing
from domain.institution import Settings
from domain.schedule import add_business_days, zone_named
from domain.submission import Line, LineStanding, LineState, Outcome, PartStage, Rejection, Stage, Step, Submission
from projections import courses, directory, discrepancies, history, roster
from projections.projection import (
    Lookup,
    Projection,
    Reading,
    Rows,
    contents,
    expected,
    flag,
    holds,
    json,
    number,
    plain,
    text,
    uid,
    view_table,
)

NOT_DRAFTED = "not_drafted"
"""The stage of a submission that nobody has drafted yet."""

NO_SUBMISSION = "none"
"""The submission profile of a credential whose body takes none."""

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
    key=("submission", "line"),
)
"""One row per line, as it was drafted. Names and the e-mail are handles."""

standings = view_table(
    "submission_standings",
    uid("submission"),
    number("line"),
    flag("excluded"),
    text("excluded_reason"),
    text("excluded_note"),
    text("outcome"),
    text("code"),
    text("outcome_note"),
    text("outcome_source"),
    text("outcome_at"),
    flag("withdrawn"),
    text("withdrawn_reason"),
    text("withdrawn_note"),
    text("case"),
    key=("submission", "line"),
)
"""One row per line of which something was said by itself, apart from what was drafted, which is long. Notes are
handles."""

steps = view_table(
    "submission_steps",
    uid("submission"),
    number("version"),
    text("step"),
    text("at"),
    json("lines"),
    key=("submission", "version"),
    only_added=True,
)
"""What happened to many lines at once, by the version of the event that says so: they were sent, loaded and so on."""

SENT = "sent"

observations = view_table(
    "submission_observations",
    uid("submission"),
    number("version"),
    number("line"),
    text("what"),
    text("on"),
    text("source"),
    text("agreement_version"),
    text("valid_from"),
    text("valid_until"),
    text("member_id"),
    uid("recorded_by"),
    key=("submission", "version"),
    only_added=True,
)
"""What was seen of a line at the body, by the version of the event that says so; `member_id` is a handle."""

resolutions = view_table(
    "submission_resolutions",
    uid("submission"),
    number("resolved"),
    number("line"),
    uid("stream"),
    number("version"),
    text("aspect"),
    text("resolution"),
    text("reason"),
    text("note"),
    uid("resolved_by"),
    text("resolved_at"),
    key=("submission", "resolved"),
    only_added=True,
)
"""How a discrepancy of a line was dealt with: `resolved` is the version of the event that says so, `version` that of
the stream. `note` is a handle."""

learners = view_table(
    "submission_learners",
    uid("enrolment"),
    uid("course"),
    uid("person"),
    number("requested"),
    flag("completed"),
    number("decision"),
    key=("enrolment",),
    indexes=[("course",)],
)
"""One row per enrolment: whether the latest decision says completed (none: undecided), and the decision's version."""

submission = Projection(
    "submission",
    version=3,
    tables=(submissions, parts, lines, standings, steps, observations, resolutions, learners),
    half=1,
)


@submission.on(Enrolment.Requested)
def _requested(rows: Rows, event: Enrolment.Requested) -> None:
    rows.add(
        learners,
        enrolment=event.originator_id,
        course=event.course,
        person=event.person,
        requested=rows.position,
    )


@submission.on(Enrolment.CompletionDecided)
def _decided(rows: Rows, event: Enrolment.CompletionDecided) -> None:
    rows.change(learners, event.originator_id, completed=event.completed, decision=event.originator_version)


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
    known = expected(rows, parts, event.originator_id, part)
    _put_draft(rows.put, event, part, drafted_by=known["drafted_by"], drafted_at=known["drafted_at"])


@submission.on(Submission.LineExcluded)
def _line_excluded(rows: Rows, event: Submission.LineExcluded) -> None:
    _stands(rows, event, event.line, excluded=True, excluded_reason=event.reason, excluded_note=event.note)
    _edited(rows, event, event.part)


@submission.on(Submission.LineIncluded)
def _line_included(rows: Rows, event: Submission.LineIncluded) -> None:
    _stands(rows, event, event.line, excluded=False, excluded_reason=None, excluded_note=None)
    _edited(rows, event, event.part)


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


@submission.on(Submission.Validated)
def _validated(rows: Rows, event: Submission.Validated) -> None:
    known = expected(rows, parts, event.originator_id, event.part)
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
    _stepped(rows, event, SENT, expected(rows, parts, event.originator_id, event.part)["lines"])


@submission.on(Submission.Loaded)
def _loaded(rows: Rows, event: Submission.Loaded) -> None:
    _stepped(rows, event, Step.LOADED, event.lines)


@submission.on(Submission.Selected)
def _selected(rows: Rows, event: Submission.Selected) -> None:
    _stepped(rows, event, Step.SELECTED, event.lines)


@submission.on(Submission.Paid)
def _paid(rows: Rows, event: Submission.Paid) -> None:
    known = expected(rows, submissions, event.originator_id)["payments"]
    payment = {
        "lines": event.lines,
        "amount": event.amount,
        "currency": event.currency,
        "receipt": event.receipt,
        "paid_at": event.at,
    }
    _stepped(rows, event, Step.PAID, event.lines)
    _moved(rows, event, payments=[*known, plain(payment)])


@submission.on(Submission.Activated)
def _activated(rows: Rows, event: Submission.Activated) -> None:
    _stepped(rows, event, Step.ACTIVATED, event.lines)


def _stepped(rows: Rows, event: Submission.Event, step: str, of: Iterable[int]) -> None:
    rows.add(
        steps,
        submission=event.originator_id,
        version=event.originator_version,
        step=step,
        at=event.at,
        lines=tuple(of),
    )


def _stands(rows: Rows, event: Submission.Event, line: int, **said: object) -> None:
    """Say something of a line by itself."""
    if rows.get(standings, event.originator_id, line) is None:
        said = {"excluded": False, "withdrawn": False, **said}
        rows.put(standings, submission=event.originator_id, line=line, **said)
    else:
        rows.change(standings, event.originator_id, line, **said)


@submission.on(Submission.OutcomeRecorded)
def _outcome_recorded(rows: Rows, event: Submission.OutcomeRecorded) -> None:
    _stands(
        rows,
        event,
        event.line,
        outcome=event.outcome,
        code=event.code,
        outcome_note=event.note,
        outcome_source=event.source,
        outcome_at=event.at,
    )


@submission.on(Submission.LineWithdrawn)
def _line_withdrawn(rows: Rows, event: Submission.LineWithdrawn) -> None:
    _stands(
        rows,
        event,
        event.line,
        withdrawn=True,
        withdrawn_reason=event.reason,
        withdrawn_note=event.note,
        case=event.case,
    )


@submission.on(Submission.Observed)
def _observed(rows: Rows, event: Submission.Observed) -> None:
    rows.add(
        observations,
        submission=event.originator_id,
        version=event.originator_version,
        line=event.line,
        what=event.what,
        on=event.on,
        source=event.source,
        agreement_version=event.agreement_version,
        valid_from=event.valid_from,
        valid_until=event.valid_until,
        member_id=event.member_id,
        recorded_by=event.by,
    )


@submission.on(Submission.DiscrepancyResolved)
def _discrepancy_resolved(rows: Rows, event: Submission.DiscrepancyResolved) -> None:
    rows.add(
        resolutions,
        submission=event.originator_id,
        resolved=event.originator_version,
        line=event.line,
        stream=event.stream,
        version=event.version,
        aspect=event.aspect,
        resolution=event.resolution,
        reason=event.reason,
        note=event.note,
        resolved_by=event.by,
        resolved_at=event.at,
    )


@submission.on(Submission.Abandoned)
def _abandoned(rows: Rows, event: Submission.Abandoned) -> None:
    # Parts and lines are numbered without gaps.
    for part in takewhile(lambda part: rows.get(parts, event.originator_id, part) is not None, count(1)):
        _edited(rows, event, part)
    for line in takewhile(lambda line: rows.get(lines, event.originator_id, line) is not None, count(1)):
        _stands(rows, event, line, withdrawn=True)
    _moved(rows, event, stage=Stage.ABANDONED, ended_at=event.at, abandoned_reason=event.reason)


@submission.on(Submission.Completed)
def _completed(rows: Rows, event: Submission.Completed) -> None:
    _moved(rows, event, stage=Stage.COMPLETED, ended_at=event.at)


def _moved(rows: Rows, event: Submission.Event, **said: object) -> None:
    rows.change(submissions, event.originator_id, **said)


def course_of(read: Reading, submission: UUID | str) -> str | None:
    """Return the course that a submission is about, None where there is no such submission."""
    found = select(submissions.c.course).where(submissions.c.submission == str(submission)).limit(1)
    return read.execute(found).scalar()


def of_course(read: Reading, course: UUID | str, *, at: int | None = None) -> str | None:
    """Return the submission of a course, None where none was drafted."""
    found = _OF_COURSE.first(read, at, course=str(course))
    return None if found is None else found["submission"]


def completers(read: Reading, course: UUID | str, *, at: int | None = None) -> list[dict[str, Any]]:
    """Return who completed a course, in the order of their requests.

    Each has `enrolment`, `person`, and `decision`, which is the version of that event.
    """
    found = select(learners).where(
        learners.c.course == str(course), learners.c.completed.is_(True), holds(learners, at)
    )
    return [contents(row) for row in read.execute(found.order_by(learners.c.requested))]


_SUBMISSION = Lookup(submissions, "submission")
_OF_COURSE = Lookup(submissions, "course")
_PARTS = Lookup(parts, "submission")
_PART = Lookup(parts, "submission", "part")
_LINES = Lookup(lines, "submission")
_STANDINGS = Lookup(standings, "submission")
_STEPS = Lookup(steps, "submission")
_OBSERVATIONS = Lookup(observations, "submission")
_RESOLUTIONS = Lookup(resolutions, "submission")


def view(read: Reading, submission: UUID | str, *, today: date, at: int | None = None) -> dict[str, Any] | None:
    """Return a submission with its parts and its lines; None where there is none.

    Beside the columns of its row it has `overdue`: the first part wasn't sent, and `today`, the institution's, is later
    than `due_on`; `parts`; `items`, which are the lines; `summary`: how many lines there are in `all` and in each
    state; `unsubmitted`: the enrolments of completers on no line; `do_not_activate` and `why`.

    A part has the columns of its row; it is acknowledged once the body has answered to all that was sent. A line has
    those of its row and `state`; `problems` of the latest validation; `outdated`: it wasn't sent yet, and the names,
    the e-mail or the decision on record are others by now; `do_not_activate` and `why`: it isn't activated yet, and
    nobody has dealt with it that what it rests on has moved. Names, e-mails and notes are handles.
    """
    known = _SUBMISSION.first(read, at, submission=str(submission))
    if known is None:
        return None
    known["version"] = history.version_of(read, known["submission"], at=at)
    found = _PARTS.all(read, at, submission=str(submission))
    rows = _lines(read, submission, at)
    standing_of = {each["line"]: standing(each) for each in rows}
    problems = _by_line(problem for part in found for problem in part["problems"])
    moved = _by_line(discrepancies.open_of(read, submission, at))
    outdated = _outdated(read, known, [each for each in rows if _waits(standing_of[each["line"]])], at)
    items = []
    for each in rows:
        state = standing_of[each["line"]].state
        why = [] if state in _PAST_ACTIVATION else [said["sentence"] for said in moved.get(each["line"], ())]
        items.append(
            {
                **each,
                "state": state.value,
                "problems": problems.get(each["line"], []),
                "outdated": each["line"] in outdated,
                "do_not_activate": bool(why),
                "why": why,
            }
        )
    on_lines = {each["enrolment"] for each in rows}
    left = [each["enrolment"] for each in completers(read, known["course"], at=at) if each["enrolment"] not in on_lines]
    unsent = any(_waits(standing_of[each["line"]]) for each in rows if each["part"] == 1)
    return {
        **known,
        "overdue": known["stage"] == Stage.OPEN and unsent and today.isoformat() > known["due_on"],
        "parts": [{**part, "stage": _stage(part, standing_of).value} for part in found],
        "items": items,
        "summary": _summary(items),
        "unsubmitted": left,
        "do_not_activate": any(each["do_not_activate"] for each in items),
        "why": [f"Line {each['line']}: {said}" for each in items for said in each["why"]],
    }


def view_of_course(read: Reading, course: UUID | str, *, today: date, at: int | None = None) -> dict[str, Any] | None:
    """Return the submission of a course as `view` does, also before it was drafted; None where there is no such course.

    Until then its `submission` is None, its `stage` not_drafted and its `items` are none; it is `overdue` where
    somebody completed the course, or is still to be decided on.
    """
    known = of_course(read, course, at=at)
    if known is not None:
        return view(read, known, today=today, at=at)
    planned = courses.course(read, course, at)
    if planned is None:
        return None
    profile = _policy(read, planned, at).submission_profile
    due = None if profile == NO_SUBMISSION else due_on(planned["sessions"], directory.settings(read, at=at))
    done = completers(read, course, at=at)
    undecided = (
        each["completed"] is None and each["standing"] == Standing.CONFIRMED
        for each in roster.learners(read, course, at)
    )
    late = due is not None and today > due and planned["stage"] != CourseStage.CANCELLED
    blank = dict.fromkeys(column.name for column in submissions.columns if column.name not in ("since", "until"))
    return {
        **blank,
        "version": None,
        "course": str(course),
        "body": planned["body"],
        "profile": profile,
        "stage": NOT_DRAFTED,
        "due_on": None if due is None else due.isoformat(),
        "payments": [],
        "overdue": late and (bool(done) or any(undecided)),
        "parts": [],
        "items": [],
        "summary": _summary([]),
        "unsubmitted": [each["enrolment"] for each in done],
        "do_not_activate": False,
        "why": [],
    }


def outstanding(read: Reading, course: UUID | str, *, at: int | None = None) -> tuple[str, ...]:
    """Return, as codes, what is left to tell the body before a course can be closed.

    That is submission_missing (nobody drafted it, or it was abandoned), submission_open (it isn't completed), and
    completers_unsubmitted (somebody completed the course and is on no line).
    """
    left = {each["enrolment"] for each in completers(read, course, at=at)}
    known = of_course(read, course, at=at)
    if known is None:
        planned = courses.course(read, course, at)
        takes = planned is not None and _policy(read, planned, at).submission_profile != NO_SUBMISSION
        return ("submission_missing",) if left and takes else ()
    (found,) = _SUBMISSION.all(read, at, submission=known)
    stage = found["stage"]
    if stage == Stage.ABANDONED:
        return ("submission_missing",) if left else ()
    left -= {each["enrolment"] for each in _LINES.all(read, at, submission=known)}
    codes = {"submission_open": stage == Stage.OPEN, "completers_unsubmitted": bool(left)}
    return tuple(code for code, true in codes.items() if true)


def file_of(
    read: Reading, submission: UUID | str, part: int, *, at: int | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Return a part, and the lines of the file that was exported of it, in their order: none while it wasn't.

    None where there is no such part. Both are rows as in `view`, without what that adds.
    """
    if not 0 < part < 2**31:
        return None
    found = _PART.first(read, at, submission=str(submission), part=part)
    if found is None:
        return None
    rows = {each["line"]: each for each in _lines(read, submission, at)}
    return found, [rows[number] for number in found["lines"]]


def due_on(sessions: Iterable[Mapping[str, Any]], settings: Settings) -> date | None:
    """Return the last day to send a submission, counted from the day in the institution's zone on which the last
    session ended; None without sessions. `sessions` are those of `courses.sessions`.
    """
    ends = [
        each["held"]["ended"] if each["held"] is not None else each["ends"]
        for each in sessions
        if not each["cancelled"]
    ]
    if not ends:
        return None
    last = datetime.fromisoformat(max(ends)).astimezone(zone_named(settings.zone)).date()
    return add_business_days(last, settings.submission_due_days, settings.holidays)


def standing(row: Mapping[str, Any]) -> LineStanding:
    """Return how a line stands, from its row; of the line itself only its numbers and ids."""
    enrolment, person = UUID(row["enrolment"]), UUID(row["person"])
    return LineStanding(
        line=Line(row["line"], enrolment, person, given=None, family=None, email=None, rests_on=()),
        part=row["part"],
        excluded=bool(row["excluded"]),
        sent=bool(row["sent"]),
        withdrawn=bool(row["withdrawn"]),
        steps=tuple(step for step in Step if row[f"{step.value}_at"] is not None),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        rejection=None if row["code"] is None else Rejection(row["code"]),
    )


_PAST_ACTIVATION = (LineState.ACTIVATED, LineState.EXCLUDED, LineState.WITHDRAWN, LineState.REJECTED)
"""The states of lines that nobody is going to activate."""


def _waits(known: LineStanding) -> bool:
    return known.state is LineState.PENDING


def _stage(part: Mapping[str, Any], standings: Mapping[int, LineStanding]) -> PartStage:
    """Return how far a part is, as `Submission.stage_of` does."""
    stage = PartStage(part["stage"])
    if stage is PartStage.SENT and not any(standings[line].open for line in part["lines"]):
        return PartStage.ACKNOWLEDGED
    return stage


def _summary(items: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {
        "all": len(items),
        **{state.value: sum(1 for each in items if each["state"] == state.value) for state in LineState},
    }


def _outdated(
    read: Reading, known: Mapping[str, Any], waiting: Sequence[Mapping[str, Any]], at: int | None
) -> set[int]:
    """Return the lines, of those that wait, that aren't what would be drafted now."""
    if not waiting:
        return set()
    decided = {each["enrolment"]: each["decision"] for each in completers(read, known["course"], at=at)}
    people = directory.people_by_ids(read, [each["person"] for each in waiting], at=at)
    while merged := {row["linked_to"] for row in people.values()} - {None, *people}:
        people.update(directory.people_by_ids(read, merged, at=at))
    return {each["line"] for each in waiting if not _is_current(each, known["body"], decided, people)}


def _is_current(
    line: Mapping[str, Any], body: str, decided: Mapping[str, int], people: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Tell whether a line is what would be drafted now, as far as handles can tell."""
    used = [each["version"] for each in line["rests_on"] if each["aspect"] == "decision"]
    person = people[line["person"]]
    while person["linked_to"] is not None:
        person = people[person["linked_to"]]
    now = (person["latin_given"] or person["given"], person["latin_family"] or person["family"])
    stated = person["body_emails"].get(body)
    # A contact that others use too is left out, and nothing here can tell which are: that takes the values. The command
    # does, before a part is approved or exported.
    emails = (stated,) if stated is not None else (person["email"], None)
    return (
        used == [decided.get(line["enrolment"])] and now == (line["given"], line["family"]) and line["email"] in emails
    )


def _by_line(said: Iterable[Mapping[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for each in said:
        found.setdefault(each["line"], []).append({name: value for name, value in each.items() if name != "line"})
    return found


def _policy(read: Reading, planned: Mapping[str, Any], at: int | None) -> CredentialPolicy:
    return policy_named(
        directory.policies(read, at=at), body=planned["body"], code=planned["code"], version=planned["policy_version"]
    )


_BLANK: Mapping[str, Any] = {
    "excluded": False,
    "excluded_reason": None,
    "excluded_note": None,
    "sent": False,
    **{f"{step.value}_at": None for step in Step},
    **dict.fromkeys(("outcome", "code", "outcome_note", "outcome_source", "outcome_at")),
    "withdrawn": False,
    **dict.fromkeys(("withdrawn_reason", "withdrawn_note", "case")),
}
"""How a line stands of which nothing was said since it was drafted."""


def _lines(read: Reading, submission: UUID | str, at: int | None) -> list[dict[str, Any]]:
    """Return the lines of a submission, each as it was drafted, how it stands, and what was said of it since."""
    of = str(submission)
    found = {each["line"]: {**each, **_BLANK} for each in _LINES.all(read, at, submission=of)}
    for each in _STANDINGS.all(read, at, submission=of):
        found[each["line"]].update(each)
    for each in _STEPS.all(read, at, submission=of):
        said = {"sent": True} if each["step"] == SENT else {f"{each['step']}_at": each["at"]}
        for line in each["lines"]:
            found[line].update(said)
    for each in found.values():
        each.update(observations=[], resolutions=[])
    for table, known, member in (
        (observations, _OBSERVATIONS, "observations"),
        (resolutions, _RESOLUTIONS, "resolutions"),
    ):
        for each in known.all(read, at, submission=of):
            del each["submission"], each[table.info["key"][1]]
            found[each.pop("line")][member].append(each)
    return list(found.values())
