"""What a body is told about a course's completers: drafted, checked, approved, exported, sent, and what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from domain.basis import Aspect, Basis
from domain.course import Course
from domain.credential import policy_named
from domain.enrolment import Enrolment
from domain.institution import Act
from domain.person import Person
from domain.private import Private
from domain.refusal import Invalid, Refused
from domain.register import AttendanceRegister
from domain.submission import (
    LONGEST_PART,
    Completer,
    Line,
    LineOutcome,
    NobodyToSubmit,
    Outcome,
    PartNotReady,
    PartStage,
    PartTooLong,
    Rejection,
    Sighting,
    Submission,
    UnknownLine,
)
from domain.submission_file import (
    TEMPLATES,
    LineProblem,
    ProblemCode,
    Row,
    check_rows,
    names_for_body,
    render,
    template_named,
)
from projections import courses, directory
from projections import submission as view
from projections.projection import Reading
from provider.commands.discrepancies import must_be_looked_at
from provider.log import NotFound
from provider.mailboxes import Mailboxes
from provider.work import Receipt, Work, command

if TYPE_CHECKING:
    from provider.office import Office


_ROOM = 64_000
"""Bytes for the lines of one part: an entry of the log has 65,535, and little else is in it."""


class AlreadyDrafted(Refused):
    """The body's submission for the course exists; who is still to be sent goes into a supplementary part."""


class NotACompleter(Invalid):
    """An enrolment isn't one of the course, or nobody has decided that its learner completed it."""


class LineOutdated(Refused):
    """A line isn't what is on record now: the names, the e-mail or the completion decision were corrected."""


class NotExported(Refused):
    """The part has no file: it wasn't exported yet, or was changed since."""


class ValuesErased(Refused):
    """The file can't be made, because a name or an e-mail in it was erased."""


class FileDiffers(Refused):
    """The file made again isn't the one that was exported, so that it isn't given out."""


@dataclass(frozen=True)
class SaidOutcome:
    """What the body said to one line; the note is plain text still."""

    line: int
    outcome: Outcome
    code: Rejection | None = None
    note: str | None = None


@dataclass(frozen=True)
class RemadeFile:
    """An exported file, made again and found to be the same; `sha256` in hex, `lines` in the order of its rows."""

    content: bytes
    sha256: str
    template: str
    encoding: str
    lines: tuple[int, ...]


# Drafting


@command
def draft(work: Work, *, course: UUID, enrolments: Sequence[UUID] | None = None) -> Receipt:
    """Draft the first part: a line for everybody who completed the course, or only for these enrolments of theirs.

    :raises AlreadyDrafted: there is a submission; `draft_part` adds to it.
    :raises NotACompleter: one of the enrolments isn't a completer's.
    :raises NoSubmission, RegistersOpen, NobodyToSubmit, PartTooLong: as the domain says.
    """
    work.office.views.catch_up()
    taught = work.get(Course, course)
    if work.find(Submission, Submission.create_id(course, taught.body)) is not None:
        raise AlreadyDrafted(
            f"The submission to {taught.body} was drafted before. Who completed since, or is corrected now, goes into "
            "a supplementary part."
        )
    policy = policy_named(
        directory.policies(work.read), body=taught.body, code=taught.code, version=taught.policy_version
    )
    completers = _named(work, taught, enrolments) if enrolments is not None else _completers(work, taught)
    _must_fit(completers)
    due = view.due_on(courses.sessions(work.read, course), directory.settings(work.read))
    if due is None:
        raise NobodyToSubmit("The course has no sessions, so nobody can have completed it.")
    drafted = Submission.draft(
        course=course,
        body=taught.body,
        profile=policy.submission_profile,
        due_on=due,
        completers=completers,
        unsealed=_unsealed(work, taught),
        **work.by,
    )
    return work.record(drafted, ids=["1"])


@command
def draft_part(work: Work, *, submission: UUID, enrolments: Sequence[UUID] | None = None) -> Receipt:
    """Draft a supplementary part; `ids` holds its number.

    Without `enrolments` it takes who completed since, and whom the body rejected and who are corrected now. Who was
    left out or withdrawn comes back only by name.

    :raises NotACompleter: one of the enrolments isn't a completer's.
    :raises AlreadyAccepted, LineStillOpen, LineNotCorrected, NobodyToSubmit: as the domain says.
    """
    work.office.views.catch_up()
    known = work.addressed(Submission, submission)
    taught = _taught(work, known)
    completers = (
        _named(work, taught, enrolments)
        if enrolments is not None
        else [each for each in _completers(work, taught) if _is_to_be_sent(known, each)]
    )
    _must_fit(completers)
    part = known.draft_part(completers=completers, unsealed=_unsealed(work, taught), **work.by)
    return work.record(known, ids=[part])


@command
def exclude_line(work: Work, *, submission: UUID, line: int, reason: str, note: str | None = None) -> Receipt:
    """Leave a line out of its part, openly; the part is drafted anew."""
    known = work.addressed(Submission, submission)
    person = _line(known, line).person
    known.exclude_line(line=line, reason=reason, note=work.seal(person, note), **work.by)
    return work.record(known, outcome=known.state_of(line).value)


@command
def include_line(work: Work, *, submission: UUID, line: int) -> Receipt:
    """Take a line back in that was left out; the part is drafted anew."""
    known = work.addressed(Submission, submission)
    _line(known, line)
    known.include_line(line=line, **work.by)
    return work.record(known, outcome=known.state_of(line).value)


@command
def remake_line(work: Work, *, submission: UUID, line: int) -> Receipt:
    """Give a line the names and the e-mail that are on record now; the part is drafted anew.

    :raises NotACompleter: the learner no longer counts as having completed the course. Leave the line out instead.
    """
    work.office.views.catch_up()
    known = work.addressed(Submission, submission)
    made = _line(known, line)
    decided = work.get(Enrolment, made.enrolment)
    if not decided.completed:
        raise NotACompleter(
            f"The learner of line {line} no longer counts as having completed the course. Leave the line out."
        )
    body = _taught(work, known).body
    now = _completer(work, decided, body, _Emails(work, body))
    known.remake_line(line=line, given=now.given, family=now.family, email=now.email, rests_on=now.rests_on, **work.by)
    return work.record(known)


# The way out


@command
def validate(work: Work, *, submission: UUID, part: int) -> Receipt:
    """Check the rows of a part: the outcome is `valid`, `flagged` (a human should look), or `blocked`.

    `ids` holds the numbers of the lines that have problems; the view says which. What was erased is missing.
    """
    work.office.views.catch_up()
    known = work.addressed(Submission, submission)
    _must_have(known, part)
    template = TEMPLATES[known.profile]
    lines = known.lines_of(part)
    found = (*check_rows(template, _rows(work.office, lines)), *_shared(work, known, lines))
    problems = known.validate(part=part, template=template, problems=found, **work.by)
    outcome = "blocked" if any(each.blocking for each in problems) else "flagged" if problems else "valid"
    return work.record(known, outcome=outcome, ids=sorted({each.line for each in problems}))


@command
def approve(work: Work, *, submission: UUID, part: int) -> Receipt:
    """Agree that the body be told this: by another person than the one who drafted it, unless that act is done solo.

    :raises LineOutdated: a line isn't what is on record now.
    :raises PartNotReady, PartBlocked, ApprovalNeedsAnother, AlreadyAccepted: as the domain says.
    """
    work.office.views.catch_up()
    known = work.addressed(Submission, submission)
    _must_have(known, part)
    solo_allowed = directory.settings(work.read).solo(Act.SUBMISSION_APPROVAL)
    known.approve(part=part, solo_allowed=solo_allowed, **work.by)
    _must_be_current(work, known, part)
    return work.record(known, outcome=known.stage_of(part).value)


@command
def export(work: Work, *, submission: UUID, part: int) -> Receipt:
    """Make the file of a part, and keep a salted commitment of its SHA-256; the file itself is made again when asked.

    :raises ValuesErased: a name or an e-mail was erased since the part was validated.
    :raises LineOutdated: a line isn't what is on record now.
    :raises PartNotReady, AlreadyAccepted: as the domain says.
    """
    work.office.views.catch_up()
    known = work.addressed(Submission, submission)
    _must_have(known, part)
    if (version := known.parts[part].template) is None or known.stage_of(part) is not PartStage.APPROVED:
        raise PartNotReady(f"Part {part} is exported once it is approved, and it is {known.stage_of(part).value}.")
    template = template_named(version)
    rows = _rows(work.office, known.lines_of(part))
    content = render(template, _whole(rows))
    digest = work.seal(work.office.institution, hashlib.sha256(content).hexdigest())
    known.export(part=part, template=template, digest=digest, rows=len(rows), **work.by)
    _must_be_current(work, known, part)
    return work.record(known, outcome=known.stage_of(part).value)


@command
def record_sent(work: Work, *, submission: UUID, part: int, reference: str | None = None) -> Receipt:
    """Record that the file was given to the body, with the body's own reference if it gave one."""
    known = work.addressed(Submission, submission)
    _must_have(known, part)
    known.record_sent(part=part, reference=reference, **work.by)
    return work.record(known, outcome=known.stage_of(part).value)


# What happens at the body


@command
def record_loaded(work: Work, *, submission: UUID, lines: Sequence[int]) -> Receipt:
    """Record that the lines stand on the course at the body."""
    return _stepped(work, submission, lines, lambda known: known.record_loaded(lines=lines, **work.by))


@command
def record_selected(work: Work, *, submission: UUID, lines: Sequence[int]) -> Receipt:
    """Record that the lines were chosen for activation."""
    return _stepped(work, submission, lines, lambda known: known.record_selected(lines=lines, **work.by))


@command
def record_paid(
    work: Work,
    *,
    submission: UUID,
    lines: Sequence[int],
    amount: Decimal | None = None,
    currency: str | None = None,
    receipt: str | None = None,
) -> Receipt:
    """Record that the body's fee was paid; the amount is the sum for all these lines."""
    return _stepped(
        work,
        submission,
        lines,
        lambda known: known.record_paid(lines=lines, amount=amount, currency=currency, receipt=receipt, **work.by),
    )


@command
def record_activated(work: Work, *, submission: UUID, lines: Sequence[int]) -> Receipt:
    """Record that the body gave the lines' people access, which can't be undone."""
    return _stepped(work, submission, lines, lambda known: known.record_activated(lines=lines, **work.by))


@command
def record_outcomes(work: Work, *, submission: UUID, outcomes: Sequence[SaidOutcome], source: str) -> Receipt:
    """Record what the body said, line by line; all of it or nothing."""
    known = work.addressed(Submission, submission)
    _must_know(known, [said.line for said in outcomes], field="outcomes")
    known.record_outcomes(outcomes=_sealed(work, known, outcomes), source=source, **work.by)
    return work.record(known, ids=[said.line for said in outcomes])


@command
def record_accepted_except(
    work: Work, *, submission: UUID, part: int, exceptions: Sequence[SaidOutcome] = (), source: str
) -> Receipt:
    """Record that the body accepted all lines of a part that wait for an answer, except these.

    `ids` holds the numbers of all lines that an outcome was recorded for.
    """
    known = work.addressed(Submission, submission)
    _must_have(known, part)
    _must_know(known, [said.line for said in exceptions], field="exceptions")
    before = {line: standing.outcome for line, standing in known.lines.items()}
    known.record_accepted_except(part=part, exceptions=_sealed(work, known, exceptions), source=source, **work.by)
    named = {said.line for said in exceptions}
    answered = [line for line, was in before.items() if line in named or known.lines[line].outcome is not was]
    return work.record(known, outcome=known.stage_of(part).value, ids=answered)


@command
def withdraw_line(
    work: Work, *, submission: UUID, line: int, reason: str, note: str | None = None, case: str | None = None
) -> Receipt:
    """Record that a sent line is given up, or was undone at the body under a case number."""
    known = work.addressed(Submission, submission)
    person = _line(known, line).person
    known.withdraw_line(line=line, reason=reason, note=work.seal(person, note), case=case, **work.by)
    return work.record(known, outcome=known.state_of(line).value)


@command
def observe(
    work: Work,
    *,
    submission: UUID,
    line: int,
    what: Sighting,
    on: date,
    source: str,
    agreement_version: str | None = None,
    valid_from: date | None = None,
    valid_until: date | None = None,
    member_id: str | None = None,
) -> Receipt:
    """Record what was seen of a line at the body: on which day, and where."""
    known = work.addressed(Submission, submission)
    person = _line(known, line).person
    known.observe(
        line=line,
        what=what,
        on=on,
        source=source,
        agreement_version=agreement_version,
        valid_from=valid_from,
        valid_until=valid_until,
        member_id=work.seal(person, member_id),
        **work.by,
    )
    return work.record(known)


@command
def resolve_discrepancy(
    work: Work,
    *,
    submission: UUID,
    line: int,
    stream: UUID,
    version: int,
    aspect: Aspect,
    resolution: str,
    reason: str,
    note: str | None = None,
) -> Receipt:
    """Say what came of it that what a line rests on has moved to `version`, which is what was looked at.

    :raises DiscrepancyUnfounded: nothing of that is open.
    :raises MovedFurther: the record has moved beyond that version.
    """
    known = work.addressed(Submission, submission)
    _must_know(known, [line], field="line")
    must_be_looked_at(work, known.id, stream=stream, aspect=aspect, version=version, line=line)
    known.resolve_discrepancy(
        line=line,
        stream=stream,
        version=version,
        aspect=aspect,
        resolution=resolution,
        reason=reason,
        note=work.seal(known.lines[line].line.person, note),
        **work.by,
    )
    return work.record(known, outcome=resolution)


# The end


@command
def abandon(work: Work, *, submission: UUID, reason: str) -> Receipt:
    """Give the submission up before anything was sent."""
    known = work.addressed(Submission, submission)
    known.abandon(reason=reason, **work.by)
    return work.record(known, outcome=known.stage.value)


@command
def complete(work: Work, *, submission: UUID) -> Receipt:
    """Say that nothing is left to do at the body."""
    known = work.addressed(Submission, submission)
    known.complete(**work.by)
    return work.record(known, outcome=known.stage.value)


# The file, once it was exported


def remade(office: Office, read: Reading, *, submission: UUID, part: int, at: int | None = None) -> RemadeFile:
    """Make an exported file again, from the template and the lines on record, and prove that it is the same.

    :raises NotFound: there is no such part.
    :raises NotExported: it has no file as of then.
    :raises ValuesErased: a value in it can't be opened any more.
    :raises FileDiffers: it isn't the file that was exported.
    """
    found = view.file_of(read, submission, part, at=at)
    if found is None:
        raise NotFound(f"There is no part {part} of a submission {submission}.")
    exported, lines = found
    if exported["digest"] is None:
        raise NotExported(
            f"Part {part} is {exported['stage']}. Its file can be had once it is exported, and until a line changes."
        )
    digest = Private(exported["digest"])
    handles = [tuple(_handle(line[name]) for name in ("given", "family", "email")) for line in lines]
    opened = office.vault.open([digest, *(each for values in handles for each in values)])
    rows = [
        Row(line["line"], *(None if each is None else opened[each] for each in values))
        for line, values in zip(lines, handles, strict=True)
    ]
    content = render(template_named(exported["template"]), _whole(rows))
    said = hashlib.sha256(content).hexdigest()
    if opened[digest] is None:
        raise ValuesErased("What the file is compared with was erased, so that nobody can say whether it is the same.")
    if opened[digest] != said:
        raise FileDiffers(
            f"The file of part {part}, made again, isn't the one that was exported. The vault or this program was "
            "changed; tell the operator. The file that was sent may be at the body still."
        )
    return RemadeFile(
        content=content,
        sha256=said,
        template=exported["template"],
        encoding=exported["encoding"],
        lines=tuple(exported["lines"]),
    )


# Who is to be sent, and as what


def _completers(work: Work, course: Course) -> list[Completer]:
    """Return everybody who completed the course, in the order of their requests."""
    decided = [work.get(Enrolment, UUID(each["enrolment"])) for each in view.completers(work.read, course.id)]
    emails = _Emails(work, course.body)
    return [_completer(work, each, course.body, emails) for each in decided if each.completed]


def _named(work: Work, course: Course, enrolments: Iterable[UUID]) -> list[Completer]:
    completers, emails = [], _Emails(work, course.body)
    for enrolment in enrolments:
        decided = work.find(Enrolment, enrolment)
        if decided is None or decided.course != course.id:
            raise NotACompleter(f"The course has no enrolment {enrolment}.", field="enrolments")
        if not decided.completed:
            raise NotACompleter(
                f"Nobody has decided that the learner of enrolment {enrolment} completed the course.",
                field="enrolments",
            )
        completers.append(_completer(work, decided, course.body, emails))
    return completers


class _Emails:
    """By which e-mail a body is told of people: the one that was stated, else the contact's if nobody else uses that.

    Who uses which is looked up once for a whole command, and only where somebody needs it.
    """

    def __init__(self, work: Work, body: str) -> None:
        self._work = work
        self._body = body

    def of(self, person: Person) -> Private | None:
        """Return the e-mail for a line, None where there is none or it is shared."""
        stated = person.body_email(self._body)
        if stated is not None or person.email is None:
            return stated
        return None if self.shared(person) else person.email

    def shared(self, person: Person) -> bool:
        """Tell whether the contact e-mail is all there is, and somebody else uses it too."""
        if person.email is None or person.body_email(self._body) is not None:
            return False
        value = self._work.office.vault.open_one(person.email)
        return value is not None and bool(self._mailboxes.users(value) - {str(person.id)})

    @cached_property
    def _mailboxes(self) -> Mailboxes:
        return Mailboxes(self._work.read, self._work.office.vault.open)


def _survivor(work: Work, person: UUID) -> Person:
    """Return the record that somebody's counts as: mostly their own."""
    found = work.get(Person, person)
    while found.linked_to is not None:
        found = work.get(Person, found.linked_to)
    return found


def _completer(work: Work, decided: Enrolment, body: str, emails: _Emails) -> Completer:
    """Return what the body would be told of somebody who completed the course, as of now.

    A record that counts as another one's has its names there. It rests on the decision and on all that this rests on:
    whoever is found to have been absent must not be activated, also before the lead has decided anew.
    """
    person = _survivor(work, decided.person)
    given, family = names_for_body(person.names)
    decision = decided.basis(Aspect.DECISION)
    judged = () if decided.decision is None else decided.decision.because.rests_on
    version = person.body_email_version(body) or person.email_version
    return Completer(
        enrolment=decided.id,
        person=decided.person,
        given=given,
        family=family,
        email=emails.of(person),
        rests_on=(
            *([] if decision is None else [decision]),
            Basis(person.id, person.names_version, Aspect.NAMES),
            Basis(person.id, version, Aspect.BODY_EMAIL),
            *judged,
        ),
    )


def _is_to_be_sent(known: Submission, completer: Completer) -> bool:
    """Tell whether a completer goes into a supplementary part without being named."""
    theirs = [each for each in known.lines.values() if each.line.enrolment == completer.enrolment]
    if completer.enrolment in known.accepted or any(each.open for each in theirs):
        return False
    if not theirs:
        return True
    last = theirs[-1]
    if last.excluded or (last.withdrawn and last.sent):
        return False
    # The same values would only be rejected again.
    values = (completer.given, completer.family, completer.email)
    return last.rejection is None or not last.rejection.of_values or last.line.values != values


def _must_fit(completers: Sequence[Completer]) -> None:
    """Refuse more lines than one entry of the log holds, and say how many it does."""
    fit, room = 0, _ROOM
    for each in completers[:LONGEST_PART]:
        room -= len(orjson.dumps(each, default=str)) + len(',"line":99,')
        fit += room >= 0
    if fit < len(completers):
        raise PartTooLong(
            f"A part takes {fit} of these lines, and they are {len(completers)}. Name some of the enrolments, and "
            "draft the others in a further part; both can be sent on the same day.",
            field="enrolments",
        )


def _unsealed(work: Work, course: Course) -> tuple[int, ...]:
    """Return the sessions whose registers aren't sealed."""
    numbers = []
    for session in course.sessions:
        register = work.find(AttendanceRegister, AttendanceRegister.create_id(course.id, session.number))
        if register is None or not register.sealed_version:
            numbers.append(session.number)
    return tuple(numbers)


def _shared(work: Work, known: Submission, lines: Iterable[Line]) -> Iterator[LineProblem]:
    """Yield a problem for each line that has no e-mail because its person shares the only one on record."""
    emails = _Emails(work, _taught(work, known).body)
    for line in lines:
        if line.email is None and emails.shared(_survivor(work, line.person)):
            code = ProblemCode.EMAIL_SHARED
            yield LineProblem(line.line, code, "email", code.blocking)


def _must_be_current(work: Work, known: Submission, part: int) -> None:
    """Refuse to tell the body what was corrected in the meantime."""
    body = _taught(work, known).body
    emails = _Emails(work, body)
    outdated = [str(line.line) for line in known.lines_of(part) if not _is_current(work, line, body, emails)]
    if outdated:
        raise LineOutdated(
            f"Line {', '.join(outdated)} isn't what is on record now: the names, the e-mail or the completion decision "
            "changed. Remake the line, or leave it out with a reason."
        )


def _is_current(work: Work, line: Line, body: str, emails: _Emails) -> bool:
    decided = work.get(Enrolment, line.enrolment)
    if not decided.completed or decided.basis(Aspect.DECISION) not in line.rests_on:
        return False
    now = _completer(work, decided, body, emails)
    return (now.given, now.family, now.email) == line.values


# Lines, parts and rows


def _taught(work: Work, known: Submission) -> Course:
    """Return the course that a submission is about; each of its lines, of which it has one at least, is of that."""
    first = next(iter(known.lines.values()))
    return work.get(Course, work.get(Enrolment, first.line.enrolment).course)


def _line(known: Submission, line: int) -> Line:
    """Return the line that the command's address names."""
    if line not in known.lines:
        raise NotFound(f"The submission has no line {line}.")
    return known.lines[line].line


def _must_have(known: Submission, part: int) -> None:
    """Refuse an address that names no part."""
    if part not in known.parts:
        raise NotFound(f"The submission has no part {part}.")


def _must_know(known: Submission, lines: Iterable[int], *, field: str) -> None:
    for line in lines:
        if line not in known.lines:
            raise UnknownLine(f"The submission has no line {line}.", field=field)


def _stepped(work: Work, submission: UUID, lines: Sequence[int], step: Callable[[Submission], None]) -> Receipt:
    known = work.addressed(Submission, submission)
    _must_know(known, lines, field="lines")
    step(known)
    return work.record(known, ids=lines)


def _sealed(work: Work, known: Submission, outcomes: Iterable[SaidOutcome]) -> list[LineOutcome]:
    """Return the outcomes with their notes sealed, each under the key of the person it is about."""
    return [
        LineOutcome(said.line, said.outcome, said.code, work.seal(known.lines[said.line].line.person, said.note))
        for said in outcomes
    ]


def _rows(office: Office, lines: Sequence[Line]) -> list[Row]:
    """Return the lines with their values opened; what was never said, or was erased, is None."""
    opened = office.vault.open([value for line in lines for value in line.values])
    return [Row(line.line, *(None if value is None else opened[value] for value in line.values)) for line in lines]


def _whole(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows, when all of their values are there."""
    missing = [str(row.line) for row in rows if None in (row.given, row.family, row.email)]
    if missing:
        raise ValuesErased(
            f"A name or an e-mail of line {', '.join(missing)} was erased, so that the file can't be made any more."
        )
    return rows


def _handle(value: str | None) -> Private | None:
    return None if value is None else Private(value)
