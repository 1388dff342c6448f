"""What a certifying body is told about a course's completers, part by part and line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid5

from domain.aggregate import Aggregate, AggregateCreated
from domain.basis import Aspect, Basis, DiscrepancyUnfounded
from domain.private import Private
from domain.reason import must_explain
from domain.refusal import Forbidden, Invalid, Refused
from domain.submission_file import TEMPLATES, LineProblem, ProblemCode, SubmissionTemplate

SUBMISSIONS = UUID("67808c6d-143b-47b1-87be-0b632f75ec57")

EXCLUDED_FOR = ("prerequisite_pending", "no_consent", "email_doubtful", "unpaid", "other")
"""The reasons offered for leaving a line out of a part; "other" needs a note."""

RESOLUTIONS = ("stands", "reported_to_body", "corrected_at_body", "withdrawn_at_body", "other")
"""What may come of a discrepancy between a line and the record; "other" needs a note."""

SOURCES = ("body_page", "body_mail", "body_support", "learner", "api")
"""Where a registrar may have seen what a body says."""

LONGEST_PART = 75
"""Lines in a part. An entry of the verifiable log has 64 KiB, and a line with six bases some 800 bytes."""

_FURTHEST_ZONE = timedelta(hours=14)


class NoSubmission(Refused):
    """The body takes no submission; learners show it their certificate."""


class RegistersOpen(Refused):
    """A session's register is open, so that who completed may still change."""


class NobodyToSubmit(Refused):
    """There is no line to draft, to approve or to send."""


class PartTooLong(Refused):
    """More lines than one part takes; there can be several parts at a time."""


class AlreadyAccepted(Refused):
    """The body accepted this enrolment before; nobody is sent twice."""


class LineStillOpen(Refused):
    """The enrolment is on another line that wasn't settled yet."""


class LineNotCorrected(Refused):
    """The body rejected these very values; the same again would be rejected again."""


class SubmissionOver(Refused):
    """The submission was completed or abandoned; only a new part opens it again."""


class SubmissionUnsettled(Refused):
    """Some lines have no outcome yet, or were rejected and not corrected."""


class SubmissionSent(Refused):
    """A part was sent, so that the submission can't be abandoned any more."""


class PartSent(Refused):
    """The part was sent, and what was sent never changes."""


class PartNotReady(Refused):
    """A part is validated, approved, exported and sent, in that order."""


class PartBlocked(Refused):
    """Lines of the part have problems that the body wouldn't take."""


class ApprovalNeedsAnother(Forbidden):
    """Whoever drafted or last changed the part can't also approve it."""


class LineIsExcluded(Refused):
    """The line is left out already."""


class LineNotExcluded(Refused):
    """The line isn't left out."""


class LineUnchanged(Refused):
    """The line says this already."""


class LineNotSent(Refused):
    """The body hasn't been told of the line, so it can't have answered."""


class LineRejected(Refused):
    """The body rejected the line, so that nothing more happens to it there."""


class LineGone(Refused):
    """The line was withdrawn."""


class OutcomeFinal(Refused):
    """The body accepted or activated the line, and that can't be taken back here."""


class StepOutOfOrder(Refused):
    """At the body one step follows the other; the one before wasn't recorded."""


class StepRecorded(Refused):
    """The step is on record for the line."""


class StepUnknownToBody(Refused):
    """The body's intake has no such step."""


class UnknownPart(Invalid):
    """The submission has no part of that number."""


class UnknownLine(Invalid):
    """The submission, or the part, has no line of that number."""


class UnknownProfile(Invalid):
    """There is no such kind of submission."""


class TemplateDiffers(Invalid):
    """The file isn't made by the template that the part was validated for."""


class RowsDiffer(Invalid):
    """The file doesn't have one row for each line."""


class SaidTwice(Invalid):
    """An enrolment or a line is named twice in one command."""


class LineUnfounded(Invalid):
    """A line doesn't name the completion decision that it rests on."""


class OutcomeUnclear(Invalid):
    """An outcome lacks its code or its source, or has a code where none belongs."""


class PaymentUnclear(Invalid):
    """An amount without a currency, a currency without an amount, or either misspelt."""


class ObservationUnclear(Invalid):
    """An observation lacks what it is about, or says something else besides."""


# Lines and parts


class LineState(StrEnum):
    """Where a line is, said in one word; `Submission.state_of` says which word wins."""

    PENDING = "pending"
    EXCLUDED = "excluded"
    SENT = "sent"
    LOADED = "loaded"
    SELECTED = "selected"
    PAID = "paid"
    ACTIVATED = "activated"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"


class PartStage(StrEnum):
    """How far a part is. Any change of a line takes it back to drafted, until it is sent."""

    DRAFTED = "drafted"
    VALIDATED = "validated"
    APPROVED = "approved"
    EXPORTED = "exported"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"


class Step(StrEnum):
    """What the institution does at the body after sending. Activation can't be undone."""

    LOADED = "loaded"
    SELECTED = "selected"
    PAID = "paid"
    ACTIVATED = "activated"


STEPS = {
    "sa_load": (Step.LOADED, Step.SELECTED, Step.PAID, Step.ACTIVATED),
    "safe_roster": (Step.LOADED, Step.ACTIVATED),
    "scrumorg": (Step.LOADED, Step.ACTIVATED),
    "voucher": (Step.PAID, Step.ACTIVATED),
    "custom": (Step.LOADED, Step.SELECTED, Step.PAID, Step.ACTIVATED),
}
"""The steps of each profile in their order: the roster at Scaled Agile is activated by marking
people attended, at Scrum.org by the password's mail, a voucher by assigning it."""


class Outcome(StrEnum):
    """What the body said to a line; unknown where it is silent or can't be understood."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Rejection(StrEnum):
    """Why a body rejected a line."""

    EMAIL_INVALID = "EMAIL_INVALID"
    EMAIL_DUPLICATE_IN_FILE = "EMAIL_DUPLICATE_IN_FILE"
    ALREADY_MEMBER_OTHER_EMAIL = "ALREADY_MEMBER_OTHER_EMAIL"
    ALREADY_CERTIFIED = "ALREADY_CERTIFIED"
    NAME_INVALID_CHARS = "NAME_INVALID_CHARS"
    HEADER_MISMATCH = "HEADER_MISMATCH"
    ENCODING = "ENCODING"
    PREREQUISITE_MISSING = "PREREQUISITE_MISSING"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    COURSE_NOT_FOUND = "COURSE_NOT_FOUND"
    COURSE_LOCKED = "COURSE_LOCKED"
    NO_LICENCES = "NO_LICENCES"
    OTHER = "OTHER"

    @property
    def of_values(self) -> bool:
        """Tell whether the same name and e-mail would be rejected again."""
        return self in {
            Rejection.EMAIL_INVALID,
            Rejection.EMAIL_DUPLICATE_IN_FILE,
            Rejection.ALREADY_MEMBER_OTHER_EMAIL,
            Rejection.NAME_INVALID_CHARS,
        }


class Sighting(StrEnum):
    """What a registrar may have seen of a line at the body, after it was sent."""

    WELCOME_MAIL_RESENT = "welcome_mail_resent"
    ACCOUNT_ACTIVATED = "account_activated"
    LICENCE_ACCEPTED = "licence_accepted"
    CREDENTIAL_DATES = "credential_dates"
    MEMBER_ID = "member_id"


@dataclass(frozen=True)
class Completer:
    """Somebody who completed the course, with the names and the e-mail that the body is to get.

    Names are in Latin letters where the person gave them (`names_for_body`). `rests_on` names the
    completion decision, and where names and e-mail come from.
    """

    enrolment: UUID
    person: UUID
    given: Private | None
    family: Private | None
    email: Private | None
    rests_on: tuple[Basis, ...]


@dataclass(frozen=True)
class Line:
    """One completer in one part. Its number belongs to the submission and is never used again."""

    line: int
    enrolment: UUID
    person: UUID
    given: Private | None
    family: Private | None
    email: Private | None
    rests_on: tuple[Basis, ...]

    @property
    def values(self) -> tuple[Private | None, Private | None, Private | None]:
        return self.given, self.family, self.email


@dataclass(frozen=True)
class LineOutcome:
    """What the body said to one line; a rejection has a code, whatever else was said is a note."""

    line: int
    outcome: Outcome
    code: Rejection | None = None
    note: Private | None = None


@dataclass(frozen=True)
class LineStanding:
    """A line and what became of it; outcome and steps are apart, since either may come first."""

    line: Line
    part: int
    excluded: bool = False
    sent: bool = False
    withdrawn: bool = False
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None
    rejection: Rejection | None = None

    @property
    def succeeded(self) -> bool:
        """Tell whether the body has taken the person, so that they are never sent again."""
        return self.outcome is Outcome.ACCEPTED or Step.ACTIVATED in self.steps

    @property
    def open(self) -> bool:
        """Tell whether the line still is on its way, so that another would double it."""
        return not (self.excluded or self.withdrawn or self.succeeded or self.outcome is Outcome.REJECTED)

    @property
    def state(self) -> LineState:
        if self.withdrawn:
            return LineState.WITHDRAWN
        if self.excluded:
            return LineState.EXCLUDED
        if not self.sent:
            return LineState.PENDING
        if self.outcome is Outcome.REJECTED:
            return LineState.REJECTED
        if self.outcome is Outcome.UNKNOWN and Step.ACTIVATED not in self.steps:
            return LineState.UNKNOWN
        if self.steps:
            return LineState(self.steps[-1].value)
        return LineState.ACCEPTED if self.outcome is Outcome.ACCEPTED else LineState.SENT


@dataclass(frozen=True)
class Part:
    """One file's worth of lines: how far it is, and who drafted and last changed it."""

    stage: PartStage
    drafted_by: UUID
    changed_by: UUID
    template: str | None = None
    blocked: tuple[int, ...] = ()
    exported: tuple[int, ...] = ()


class Stage(StrEnum):
    """Where the whole submission is. A new part opens it again, months later if need be."""

    OPEN = "open"
    COMPLETED = "completed"
    ABANDONED = "abandoned"


class Submission(Aggregate):
    """All that one body is told about one course, so that nobody is ever sent twice.

    Lines are sent in parts. The first holds all completers; a later one those whom the body
    rejected and who were corrected, who had been left out, or who completed later.
    """

    TOPIC = "submission"

    @staticmethod
    def create_id(course: UUID, body: str) -> UUID:
        return uuid5(SUBMISSIONS, f"{course}/{body}")

    def __init__(self, profile: str) -> None:
        self.profile = profile
        self.stage = Stage.OPEN
        self.parts: dict[int, Part] = {}
        self.lines: dict[int, LineStanding] = {}
        self.accepted: set[UUID] = set()
        self.rests_on: dict[tuple[int, UUID, Aspect], int] = {}

    # What can be asked

    def lines_of(self, part: int) -> tuple[Line, ...]:
        """Return the lines of a part's file in their order; those left out aren't among them.

        :raises UnknownPart: there is no such part.
        """
        known = self._part(part)
        if known.stage is PartStage.SENT:
            return tuple(self.lines[number].line for number in known.exported)
        return tuple(self.lines[number].line for number in self._included(part))

    def state_of(self, line: int) -> LineState:
        """Return where a line is, in one word.

        Withdrawn goes before excluded, that before rejected, that before unknown, and unknown
        before the last step taken; only where no step is on record, it is accepted or sent.

        :raises UnknownLine: there is no such line.
        """
        return self._line(line).state

    def stage_of(self, part: int) -> PartStage:
        """Return how far a part is; acknowledged once the body has answered to all that was sent.

        :raises UnknownPart: there is no such part.
        """
        known = self._part(part)
        if known.stage is PartStage.SENT and not any(self.lines[number].open for number in known.exported):
            return PartStage.ACKNOWLEDGED
        return known.stage

    # Drafting

    @classmethod
    def draft(
        cls,
        *,
        course: UUID,
        body: str,
        profile: str,
        due_on: date,
        completers: Sequence[Completer],
        unsealed: tuple[int, ...] = (),
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Submission:
        """Draft the first part, one line for each completer in the order given.

        `due_on` is the last day to send it, where the course took place; `unsealed` are the
        sessions whose registers are open.

        :raises NoSubmission: the profile is "none".
        :raises UnknownProfile: there is no template for the profile.
        :raises RegistersOpen: a register isn't sealed.
        :raises NobodyToSubmit: there are no completers.
        :raises PartTooLong: there are more than 75.
        :raises SaidTwice: an enrolment is given twice.
        :raises LineUnfounded: a completer comes without the decision.
        """
        if profile == "none":
            raise NoSubmission(
                f"{body} takes no submission from the institution. Learners show it their certificate of attendance."
            )
        if profile not in TEMPLATES:
            raise UnknownProfile(
                f"There is no kind of submission {profile!r}; there are {', '.join(sorted(TEMPLATES))}.",
                field="profile",
            )
        _check_completers(completers, unsealed)
        return cls._create(
            cls.Drafted,
            id=cls.create_id(course, body),
            course=course,
            body=body,
            profile=profile,
            due_on=due_on,
            part=1,
            lines=_numbered(completers, after=0),
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def draft_part(
        self,
        *,
        completers: Sequence[Completer],
        unsealed: tuple[int, ...] = (),
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> int:
        """Draft a supplementary part, and return its number.

        It takes who was rejected and is corrected now, who was left out before, and who completed
        since. A submission that was completed or abandoned is open again with it.

        :raises AlreadyAccepted: the body has taken one of them.
        :raises LineStillOpen: one of them is on a line that waits for its part or for an answer.
        :raises LineNotCorrected: one of them has the very values that were rejected.
        """
        _check_completers(completers, unsealed)
        for completer in completers:
            self._must_be_sendable(completer)
        part = max(self.parts) + 1
        self.trigger_event(
            self.PartDrafted,
            part=part,
            lines=_numbered(completers, after=max(self.lines)),
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return part

    def exclude_line(
        self,
        *,
        line: int,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Leave a line out of its part, openly.

        :raises LineIsExcluded: it is left out already.
        :raises PartSent: it was sent.
        """
        known = self._editable(line)
        if known.excluded:
            raise LineIsExcluded(f"Line {line} is left out already.")
        must_explain(reason, note)
        self.trigger_event(
            self.LineExcluded,
            part=known.part,
            line=line,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def include_line(self, *, line: int, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Take a line back in that was left out.

        :raises LineNotExcluded: it isn't left out.
        :raises PartSent: its part was sent without it; it goes into a new part.
        :raises AlreadyAccepted: the body has taken the person by another line.
        :raises LineStillOpen: the person is on another line by now.
        """
        known = self._editable(line)
        if not known.excluded:
            raise LineNotExcluded(f"Line {line} isn't left out.")
        self._must_be_alone(known.line.enrolment)
        self.trigger_event(self.LineIncluded, part=known.part, line=line, by=by, at=at, on_behalf_of=on_behalf_of)

    def remake_line(
        self,
        *,
        line: int,
        given: Private | None,
        family: Private | None,
        email: Private | None,
        rests_on: tuple[Basis, ...],
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Give a line the names and the e-mail that are on record now.

        :raises LineUnchanged: it has them already, by the same versions.
        :raises LineUnfounded: the decision is missing in what it rests on.
        :raises PartSent: it was sent; a correction goes to the body, or into a new part.
        """
        known = self._editable(line)
        _check_basis(rests_on)
        remade = replace(known.line, given=given, family=family, email=email, rests_on=rests_on)
        if remade == known.line:
            raise LineUnchanged(f"Line {line} says this already.")
        self.trigger_event(
            self.LineRemade,
            part=known.part,
            line=line,
            given=given,
            family=family,
            email=email,
            rests_on=rests_on,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    # The way out

    def validate(
        self,
        *,
        part: int,
        template: SubmissionTemplate,
        problems: Sequence[LineProblem],
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> tuple[LineProblem, ...]:
        """Record what `check_rows` found in the part's opened lines, and return all problems.

        Whatever the command found, a line without a given name, a family name or an e-mail is
        blocked. A part with problems is validated too: what blocks it is left out or remade, and
        then it is validated again. Until it is sent, that may be done at any time, and takes back
        an approval.

        :raises NobodyToSubmit: all of its lines are left out.
        :raises UnknownLine: a problem is about a line that isn't in the part's file.
        :raises PartSent: the part was sent.
        """
        self._must_be_open()
        self._must_be_unsent(part)
        lines = self._must_have_lines(part)
        numbers = {line.line for line in lines}
        for problem in problems:
            if problem.line not in numbers:
                raise UnknownLine(f"Part {part} doesn't send a line {problem.line}.")
        found = tuple(dict.fromkeys((*problems, *_missing(lines))))
        self.trigger_event(
            self.Validated,
            part=part,
            template=template.version,
            problems=found,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return found

    def approve(
        self, *, part: int, solo_allowed: bool, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Agree that the body be told this, with whatever was flagged for a human to see.

        `solo_allowed` is the institution's setting for submission approvals. With it whoever
        drafted the part may approve it, and the event says that there was no second pair of eyes.

        :raises PartNotReady: it wasn't validated since its last change, or is approved already.
        :raises PartBlocked: lines have problems that block them.
        :raises ApprovalNeedsAnother: the same person drafted or last changed it.
        :raises AlreadyAccepted: the body took one of its people since.
        """
        self._must_be_open()
        known = self._must_be_at(part, PartStage.VALIDATED)
        if known.blocked:
            raise PartBlocked(
                f"Line {_listed(known.blocked)} of part {part} can't be sent like this. Correct"
                " the person's names or e-mail and remake the line, or leave it out with a reason."
            )
        self._must_not_repeat(self.lines_of(part))
        solo = by in (known.drafted_by, known.changed_by)
        if solo and not solo_allowed:
            raise ApprovalNeedsAnother(f"You drafted part {part} or changed it last. Somebody else has to approve it.")
        self.trigger_event(self.Approved, part=part, solo=solo, by=by, at=at, on_behalf_of=on_behalf_of)

    def export(
        self,
        *,
        part: int,
        template: SubmissionTemplate,
        digest: Private,
        rows: int,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record the file that was rendered from `lines_of(part)`.

        `digest` is the salted commitment of its SHA-256, `rows` their number without the header.
        The file can be made again from the lines as long as nobody changes them; it is exported
        once for each approval.

        :raises PartNotReady: the part isn't approved, or was exported already.
        :raises TemplateDiffers: another template than the part was validated for.
        :raises RowsDiffer: the file has more or fewer rows than the part has lines.
        :raises AlreadyAccepted: the body took one of its people since.
        """
        self._must_be_open()
        known = self._must_be_at(part, PartStage.APPROVED)
        lines = self.lines_of(part)
        if template.version != known.template:
            raise TemplateDiffers(
                f"Part {part} was validated for the template {known.template}, and this file is"
                f" made by {template.version}."
            )
        if rows != len(lines):
            raise RowsDiffer(f"Part {part} has {len(lines)} lines, and the file {rows} rows.")
        self._must_not_repeat(lines)
        self.trigger_event(
            self.Exported,
            part=part,
            template=template.version,
            digest=digest,
            rows=rows,
            encoding=template.encoding,
            lines=tuple(line.line for line in lines),
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def record_sent(
        self, *, part: int, reference: str | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Record that the exported file was uploaded, with the body's own reference if it gave one.

        :raises PartNotReady: the part isn't exported, or was sent already.
        :raises AlreadyAccepted: the body took one of its people since.
        """
        self._must_be_open()
        self._must_be_at(part, PartStage.EXPORTED)
        self._must_not_repeat(self.lines_of(part))
        self.trigger_event(self.Sent, part=part, reference=reference, by=by, at=at, on_behalf_of=on_behalf_of)

    # What happens at the body

    def record_loaded(self, *, lines: Sequence[int], by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Record that the lines stand on the course at the body.

        :raises LineNotSent: one of them wasn't sent.
        :raises LineRejected: one of them was rejected.
        :raises StepOutOfOrder: an earlier step isn't on record.
        :raises StepRecorded: this one is.
        :raises StepUnknownToBody: the body's intake has no such step.
        """
        self._may_take(Step.LOADED, lines)
        self.trigger_event(self.Loaded, lines=tuple(lines), by=by, at=at, on_behalf_of=on_behalf_of)

    def record_selected(
        self, *, lines: Sequence[int], by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Record that the lines were chosen for activation; refuses as `record_loaded` does."""
        self._may_take(Step.SELECTED, lines)
        self.trigger_event(self.Selected, lines=tuple(lines), by=by, at=at, on_behalf_of=on_behalf_of)

    def record_paid(
        self,
        *,
        lines: Sequence[int],
        amount: Decimal | None = None,
        currency: str | None = None,
        receipt: str | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record that the body's fee for the lines was paid; refuses as `record_loaded` does.

        `amount` is the sum for all of them, `currency` three capital letters, `receipt` its number.

        :raises PaymentUnclear: one of amount and currency without the other, or impossible.
        """
        self._may_take(Step.PAID, lines)
        if (amount is None) != (currency is None):
            raise PaymentUnclear("Say the amount and its currency, or neither.", field="currency")
        if amount is not None and not (amount.is_finite() and amount >= 0):
            raise PaymentUnclear("The amount is a number, 0 or more.", field="amount")
        if currency is not None and not re.fullmatch("[A-Z]{3}", currency):
            raise PaymentUnclear("Write the currency as in USD or EUR.", field="currency")
        self.trigger_event(
            self.Paid,
            lines=tuple(lines),
            amount=amount,
            currency=currency,
            receipt=receipt,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def record_activated(
        self, *, lines: Sequence[int], by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Record that the body gave the lines' people access; refuses as `record_loaded` does."""
        self._may_take(Step.ACTIVATED, lines)
        self.trigger_event(self.Activated, lines=tuple(lines), by=by, at=at, on_behalf_of=on_behalf_of)

    def record_outcomes(
        self, *, outcomes: Sequence[LineOutcome], source: str, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Record what the body said, line by line; all of it or nothing.

        A rejection may turn out as an acceptance or to have another cause, and unknown as either. An
        acceptance stands: what the body undoes later is `withdraw_line`.

        :raises LineNotSent: one of the lines wasn't sent.
        :raises LineGone: one of them was withdrawn.
        :raises OutcomeFinal: one of them was accepted or activated.
        :raises LineRejected: one of them is called unknown, and its rejection is on record.
        :raises LineUnchanged: this very outcome is on record.
        :raises OutcomeUnclear: a rejection without a code, "OTHER" without a note, a code without
            a rejection, or no source.
        :raises SaidTwice: a line is named twice.
        """
        if not outcomes:
            raise OutcomeUnclear("Name one line or more, and what the body said.", field="outcomes")
        if not source.strip():
            raise OutcomeUnclear("Say where the outcome was seen.", field="source")
        _must_be_distinct(said.line for said in outcomes)
        for said in outcomes:
            self._may_turn_out(said)
        for said in outcomes:
            self.trigger_event(
                self.OutcomeRecorded,
                line=said.line,
                outcome=said.outcome,
                code=said.code,
                note=said.note,
                source=source,
                by=by,
                at=at,
                on_behalf_of=on_behalf_of,
            )

    def record_accepted_except(
        self,
        *,
        part: int,
        exceptions: Sequence[LineOutcome] = (),
        source: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record that the body accepted all lines of a part that wait for an answer, except some.

        Lines whose outcome is on record keep it, unless they are among the exceptions; an outcome
        that was unknown counts as waiting. Refuses as `record_outcomes` does.

        :raises PartNotReady: the part wasn't sent.
        :raises UnknownLine: an exception wasn't sent with the part.
        :raises LineUnchanged: nothing waits for an answer.
        """
        known = self._must_be_at(part, PartStage.SENT)
        named = {said.line for said in exceptions}
        for line in sorted(named - set(known.exported)):
            raise UnknownLine(f"Line {line} wasn't sent with part {part}.", field="exceptions")
        waiting = [
            number
            for number in known.exported
            if number not in named
            and not self.lines[number].withdrawn
            and self.lines[number].outcome in (None, Outcome.UNKNOWN)
        ]
        if not waiting and not exceptions:
            raise LineUnchanged(f"The body has answered to all lines of part {part}.")
        accepted = [LineOutcome(number, Outcome.ACCEPTED) for number in waiting]
        self.record_outcomes(
            outcomes=sorted([*accepted, *exceptions], key=lambda said: said.line),
            source=source,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def withdraw_line(
        self,
        *,
        line: int,
        reason: str,
        note: Private | None = None,
        case: str | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record that a sent line is given up, or was undone at the body under a `case` number.

        Nobody whom the body once accepted is sent again, even so.

        :raises LineNotSent: it wasn't sent; leave it out instead.
        :raises LineGone: it was withdrawn before.
        """
        known = self._sent(line)
        if known.withdrawn:
            raise LineGone(f"Line {line} was withdrawn before.")
        must_explain(reason, note)
        self.trigger_event(
            self.LineWithdrawn, line=line, reason=reason, note=note, case=case, by=by, at=at, on_behalf_of=on_behalf_of
        )

    def observe(
        self,
        *,
        line: int,
        what: Sighting,
        on: date,
        source: str,
        agreement_version: str | None = None,
        valid_from: date | None = None,
        valid_until: date | None = None,
        member_id: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record what was seen of a line at the body, `on` which date and where (`source`).

        An accepted licence comes with the agreement's version, credential dates with `valid_from`
        (and `valid_until`, unless it never ends), a member id with the id; nothing else does.

        :raises LineNotSent: the body wasn't told of the line.
        :raises ObservationUnclear: something is missing, doesn't belong, or lies in the future.
        """
        self._sent(line)
        if not source.strip():
            raise ObservationUnclear("Say where this was seen.", field="source")
        if on > (at + _FURTHEST_ZONE).date():
            raise ObservationUnclear(f"{on} is still to come.", field="on")
        _check_details(what, agreement_version, valid_from, valid_until, member_id)
        self.trigger_event(
            self.Observed,
            line=line,
            what=what,
            on=on,
            source=source,
            agreement_version=agreement_version,
            valid_from=valid_from,
            valid_until=valid_until,
            member_id=member_id,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def resolve_discrepancy(
        self,
        *,
        line: int,
        stream: UUID,
        version: int,
        aspect: Aspect,
        resolution: str,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Say what came of it that the line's basis has moved to `version`.

        :raises DiscrepancyUnfounded: the line doesn't rest on that aspect of the stream, or the
            version isn't later than the one it rests on, or the last one that was resolved.
        """
        self._line(line)
        known = self.rests_on.get((line, stream, aspect))
        if known is None:
            raise DiscrepancyUnfounded(f"Line {line} doesn't rest on the {aspect.value} of {stream}.", field="stream")
        if version <= known:
            raise DiscrepancyUnfounded(
                f"For line {line} version {known} was taken into account; version {version} isn't later.",
                field="version",
            )
        must_explain(resolution, note, field="resolution")
        must_explain(reason, note)
        self.trigger_event(
            self.DiscrepancyResolved,
            line=line,
            stream=stream,
            version=version,
            aspect=aspect,
            resolution=resolution,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    # The end

    def unsettled(self) -> tuple[int, ...]:
        """Return the lines that the body still has to answer, or that a new part has to correct."""
        last = {standing.line.enrolment: number for number, standing in self.lines.items()}
        return tuple(
            number
            for number, standing in self.lines.items()
            if standing.line.enrolment not in self.accepted
            and not (standing.excluded or standing.withdrawn)
            and (standing.open or last[standing.line.enrolment] == number)
        )

    def abandon(self, *, reason: str, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Give the submission up before anything was sent.

        :raises SubmissionSent: a part was sent.
        :raises SubmissionOver: it was completed or abandoned before.
        """
        self._must_be_open()
        for number, part in self.parts.items():
            if part.stage is PartStage.SENT:
                raise SubmissionSent(
                    f"Part {number} was sent. What the body has been told can't be abandoned;"
                    " record its outcomes, or withdraw lines."
                )
        must_explain(reason, None)
        self.trigger_event(self.Abandoned, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    def complete(self, *, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Say that nothing is left to do at the body.

        :raises SubmissionUnsettled: lines wait for an outcome or for a correction.
        :raises SubmissionOver: it was completed or abandoned before.
        """
        self._must_be_open()
        unsettled = self.unsettled()
        if unsettled:
            raise SubmissionUnsettled(
                f"Line {_listed(unsettled)} isn't settled. Record the body's answer, correct it in"
                " a new part, leave it out or withdraw it."
            )
        self.trigger_event(self.Completed, by=by, at=at, on_behalf_of=on_behalf_of)

    # Rules that several of these share

    def _part(self, part: int) -> Part:
        if part not in self.parts:
            raise UnknownPart(f"The submission has no part {part}.", field="part")
        return self.parts[part]

    def _line(self, line: int) -> LineStanding:
        if line not in self.lines:
            raise UnknownLine(f"The submission has no line {line}.", field="line")
        return self.lines[line]

    def _included(self, part: int) -> list[int]:
        return [
            number
            for number, standing in self.lines.items()
            if standing.part == part and not standing.excluded and not standing.withdrawn
        ]

    def _must_be_open(self) -> None:
        if self.stage is not Stage.OPEN:
            raise SubmissionOver(
                f"This submission was {self.stage.value}. If somebody is to be sent all the same, draft a new part."
            )

    def _must_be_unsent(self, part: int) -> None:
        if self._part(part).stage is PartStage.SENT:
            raise PartSent(f"Part {part} was sent, and what was sent never changes. Corrections go into a new part.")

    def _must_be_at(self, part: int, stage: PartStage) -> Part:
        known = self._part(part)
        if known.stage is not stage:
            raise PartNotReady(
                f"Part {part} must be {stage.value} for that, and it is {known.stage.value}. A"
                " part is drafted, validated, approved, exported and sent; a changed line takes it"
                " back to drafted."
            )
        return known

    def _must_have_lines(self, part: int) -> tuple[Line, ...]:
        lines = self.lines_of(part)
        if not lines:
            raise NobodyToSubmit(f"All lines of part {part} are left out.")
        return lines

    def _editable(self, line: int) -> LineStanding:
        known = self._line(line)
        self._must_be_open()
        self._must_be_unsent(known.part)
        if known.withdrawn:
            raise LineGone(f"Line {line} was given up with its part.")
        return known

    def _sent(self, line: int) -> LineStanding:
        known = self._line(line)
        if not known.sent:
            raise LineNotSent(f"Line {line} wasn't sent yet, so the body knows nothing of it.")
        return known

    def _must_be_alone(self, enrolment: UUID) -> None:
        """Refuse where the body has taken the enrolment, or where another line may yet lead to it."""
        if enrolment in self.accepted:
            raise AlreadyAccepted(f"The body accepted enrolment {enrolment} before; nobody is sent twice.")
        for number, standing in self.lines.items():
            if standing.line.enrolment == enrolment and standing.open:
                raise LineStillOpen(
                    f"Enrolment {enrolment} is on line {number} of part {standing.part}, which is"
                    f" {standing.state.value}. Settle that line first."
                )

    def _must_be_sendable(self, completer: Completer) -> None:
        self._must_be_alone(completer.enrolment)
        values = (completer.given, completer.family, completer.email)
        for number, standing in self.lines.items():
            rejection = standing.rejection
            if (
                standing.line.enrolment == completer.enrolment
                and standing.line.values == values
                and rejection is not None
                and rejection.of_values
            ):
                raise LineNotCorrected(
                    f"The body rejected line {number} with {rejection.value}, and its"
                    " names and e-mail are still the same. Correct the person first."
                )

    def _must_not_repeat(self, lines: Iterable[Line]) -> None:
        again = tuple(line.line for line in lines if line.enrolment in self.accepted)
        if again:
            raise AlreadyAccepted(
                f"The body accepted the person on line {_listed(again)} in the meantime; nobody is"
                " sent twice. Leave that line out."
            )

    def _may_take(self, step: Step, lines: Sequence[int]) -> None:
        order = STEPS[self.profile]
        if step not in order:
            raise StepUnknownToBody(
                f"Nothing is {step.value} in a submission of the kind {self.profile}; its steps are {', '.join(order)}."
            )
        if not lines:
            raise NobodyToSubmit(f"Name the lines that were {step.value}.", field="lines")
        _must_be_distinct(lines)
        for line in lines:
            known = self._sent(line)
            if known.withdrawn:
                raise LineGone(f"Line {line} was withdrawn.")
            if known.outcome is Outcome.REJECTED:
                raise LineRejected(
                    f"The body rejected line {line}. If it took the person after all, record that outcome first."
                )
            if step in known.steps:
                raise StepRecorded(f"Line {line} was {step.value} before.")
            before = order[: order.index(step)]
            if known.steps != before:
                raise StepOutOfOrder(
                    f"Line {line} must be {before[len(known.steps)].value} before it can be {step.value}."
                )

    def _may_turn_out(self, said: LineOutcome) -> None:
        known = self._sent(said.line)
        if known.withdrawn:
            raise LineGone(f"Line {said.line} was withdrawn.")
        if (said.code is not None) != (said.outcome is Outcome.REJECTED):
            raise OutcomeUnclear(f"A rejection has a code, and nothing else has: see line {said.line}.", field="code")
        if said.code is Rejection.OTHER and said.note is None:
            raise OutcomeUnclear(f"Say in the note what the body wrote about line {said.line}.", field="note")
        if known.outcome is Outcome.ACCEPTED:
            raise OutcomeFinal(
                f"The body accepted line {said.line}. If it has undone that, withdraw the line with the case number."
            )
        if said.outcome is not Outcome.ACCEPTED and known.succeeded:
            raise OutcomeFinal(f"Line {said.line} was activated, so the body took it.")
        if said.outcome is Outcome.UNKNOWN and known.outcome is Outcome.REJECTED:
            raise LineRejected(
                f"The body rejected line {said.line}, and its correction may be on its way. It can"
                " only turn out as accepted, or as rejected for another cause."
            )
        if (known.outcome, known.rejection) == (said.outcome, said.code):
            raise LineUnchanged(f"Line {said.line} is on record as {said.outcome.value} already.")

    # How events change the state

    def _add(self, part: int, lines: tuple[Line, ...], by: UUID) -> None:
        self.stage = Stage.OPEN
        self.parts[part] = Part(PartStage.DRAFTED, drafted_by=by, changed_by=by)
        for line in lines:
            self.lines[line.line] = LineStanding(line, part)
            self._found(line)

    def _found(self, line: Line) -> None:
        for basis in line.rests_on:
            self.rests_on[line.line, basis.stream, basis.aspect] = basis.version

    def _edit(self, part: int, by: UUID) -> None:
        self.parts[part] = Part(PartStage.DRAFTED, self.parts[part].drafted_by, changed_by=by)

    def _take(self, step: Step, lines: tuple[int, ...]) -> None:
        for line in lines:
            known = self.lines[line]
            self.lines[line] = replace(known, steps=(*known.steps, step))

    class Event(Aggregate.Event):
        """Something happened to a submission."""

    class Drafted(Event, AggregateCreated):
        """The first part was drafted, to be sent by the end of `due_on`."""

        TOPIC = "submission.drafted"
        course: UUID
        body: str
        profile: str
        due_on: date
        part: int
        lines: tuple[Line, ...]

        def apply(self, submission: Submission) -> None:
            submission._add(self.part, self.lines, self.by)

    class PartDrafted(Event):
        """A supplementary part was drafted; a submission that was over is open again."""

        TOPIC = "submission.part_drafted"
        part: int
        lines: tuple[Line, ...]

        def apply(self, submission: Submission) -> None:
            submission._add(self.part, self.lines, self.by)

    class LineExcluded(Event):
        """A line was left out, and its part is drafted anew."""

        TOPIC = "submission.line_excluded"
        part: int
        line: int
        reason: str
        note: Private | None

        def apply(self, submission: Submission) -> None:
            submission.lines[self.line] = replace(submission.lines[self.line], excluded=True)
            submission._edit(self.part, self.by)

    class LineIncluded(Event):
        """A line that was left out was taken back in, and its part is drafted anew."""

        TOPIC = "submission.line_included"
        part: int
        line: int

        def apply(self, submission: Submission) -> None:
            submission.lines[self.line] = replace(submission.lines[self.line], excluded=False)
            submission._edit(self.part, self.by)

    class LineRemade(Event):
        """A line has other names, another e-mail or a newer basis; its part is drafted anew."""

        TOPIC = "submission.line_remade"
        part: int
        line: int
        given: Private | None
        family: Private | None
        email: Private | None
        rests_on: tuple[Basis, ...]

        def apply(self, submission: Submission) -> None:
            known = submission.lines[self.line]
            line = replace(known.line, given=self.given, family=self.family, email=self.email, rests_on=self.rests_on)
            submission.lines[self.line] = replace(known, line=line)
            for key in [key for key in submission.rests_on if key[0] == self.line]:
                del submission.rests_on[key]
            submission._found(line)
            submission._edit(self.part, self.by)

    class Validated(Event):
        """The part's rows were checked for a template; the problems are codes, never values."""

        TOPIC = "submission.validated"
        part: int
        template: str
        problems: tuple[LineProblem, ...]

        def apply(self, submission: Submission) -> None:
            submission.parts[self.part] = replace(
                submission.parts[self.part],
                stage=PartStage.VALIDATED,
                template=self.template,
                blocked=tuple(sorted({problem.line for problem in self.problems if problem.blocking})),
            )

    class Approved(Event):
        """Somebody agreed to the part; `solo` if they had drafted or last changed it themselves."""

        TOPIC = "submission.approved"
        part: int
        solo: bool

        def apply(self, submission: Submission) -> None:
            submission.parts[self.part] = replace(submission.parts[self.part], stage=PartStage.APPROVED)

    class Exported(Event):
        """The part's file was made of these lines, in this order."""

        TOPIC = "submission.exported"
        part: int
        template: str
        digest: Private
        rows: int
        encoding: str
        lines: tuple[int, ...]

        def apply(self, submission: Submission) -> None:
            submission.parts[self.part] = replace(
                submission.parts[self.part], stage=PartStage.EXPORTED, exported=self.lines
            )

    class Sent(Event):
        """The file was given to the body."""

        TOPIC = "submission.sent"
        part: int
        reference: str | None

        def apply(self, submission: Submission) -> None:
            part = submission.parts[self.part]
            submission.parts[self.part] = replace(part, stage=PartStage.SENT)
            for line in part.exported:
                submission.lines[line] = replace(submission.lines[line], sent=True)

    class Loaded(Event):
        """The lines stand on the course at the body."""

        TOPIC = "submission.loaded"
        lines: tuple[int, ...]

        def apply(self, submission: Submission) -> None:
            submission._take(Step.LOADED, self.lines)

    class Selected(Event):
        """The lines were chosen for activation."""

        TOPIC = "submission.selected"
        lines: tuple[int, ...]

        def apply(self, submission: Submission) -> None:
            submission._take(Step.SELECTED, self.lines)

    class Paid(Event):
        """The body's fee was paid for the lines; the amount is the sum for all of them."""

        TOPIC = "submission.paid"
        lines: tuple[int, ...]
        amount: Decimal | None
        currency: str | None
        receipt: str | None

        def apply(self, submission: Submission) -> None:
            submission._take(Step.PAID, self.lines)

    class Activated(Event):
        """The body gave the lines' people access, which can't be undone."""

        TOPIC = "submission.activated"
        lines: tuple[int, ...]

        def apply(self, submission: Submission) -> None:
            submission._take(Step.ACTIVATED, self.lines)
            submission.accepted.update(submission.lines[line].line.enrolment for line in self.lines)

    class OutcomeRecorded(Event):
        """The body said something to one line, as seen at the source."""

        TOPIC = "submission.outcome_recorded"
        line: int
        outcome: Outcome
        code: Rejection | None
        note: Private | None
        source: str

        def apply(self, submission: Submission) -> None:
            known = replace(submission.lines[self.line], outcome=self.outcome, rejection=self.code)
            submission.lines[self.line] = known
            if known.succeeded:
                submission.accepted.add(known.line.enrolment)

    class LineWithdrawn(Event):
        """A sent line was given up, or undone at the body under a case number."""

        TOPIC = "submission.line_withdrawn"
        line: int
        reason: str
        note: Private | None
        case: str | None

        def apply(self, submission: Submission) -> None:
            submission.lines[self.line] = replace(submission.lines[self.line], withdrawn=True)

    class Observed(Event):
        """Something was seen at the body, on that date and at that source."""

        TOPIC = "submission.observed"
        line: int
        what: Sighting
        on: date
        source: str
        agreement_version: str | None
        valid_from: date | None
        valid_until: date | None
        member_id: Private | None

    class DiscrepancyResolved(Event):
        """Somebody dealt with it that a stream which the line rests on has moved to `version`."""

        TOPIC = "submission.discrepancy_resolved"
        line: int
        stream: UUID
        version: int
        aspect: Aspect
        resolution: str
        reason: str
        note: Private | None

        def apply(self, submission: Submission) -> None:
            submission.rests_on[self.line, self.stream, self.aspect] = self.version

    class Abandoned(Event):
        """The submission was given up before anything was sent, and its lines with it."""

        TOPIC = "submission.abandoned"
        reason: str

        def apply(self, submission: Submission) -> None:
            submission.stage = Stage.ABANDONED
            for number, known in submission.lines.items():
                submission.lines[number] = replace(known, withdrawn=True)
            for part in submission.parts:
                submission._edit(part, self.by)

    class Completed(Event):
        """Nothing is left to do at the body."""

        TOPIC = "submission.completed"

        def apply(self, submission: Submission) -> None:
            submission.stage = Stage.COMPLETED


def _numbered(completers: Sequence[Completer], *, after: int) -> tuple[Line, ...]:
    return tuple(
        Line(
            number,
            completer.enrolment,
            completer.person,
            completer.given,
            completer.family,
            completer.email,
            completer.rests_on,
        )
        for number, completer in enumerate(completers, start=after + 1)
    )


def _check_completers(completers: Sequence[Completer], unsealed: tuple[int, ...]) -> None:
    if unsealed:
        raise RegistersOpen(
            f"The register of session {_listed(unsealed)} isn't sealed yet. The lead trainer seals"
            " it; then the submission can be drafted."
        )
    if not completers:
        raise NobodyToSubmit(
            "Nobody is left to submit: the lead trainer decides who completed, and who was accepted isn't sent again."
        )
    if len(completers) > LONGEST_PART:
        raise PartTooLong(
            f"A part takes {LONGEST_PART} lines, and these are {len(completers)}. Draft some of them, and the others"
            " in a further part; both can be sent on the same day.",
            field="completers",
        )
    _must_be_distinct((completer.enrolment for completer in completers), kind="enrolment")
    for completer in completers:
        _check_basis(completer.rests_on)


def _check_basis(rests_on: tuple[Basis, ...]) -> None:
    if all(basis.aspect is not Aspect.DECISION for basis in rests_on):
        raise LineUnfounded("A line names the completion decision that it rests on; it is missing.", field="rests_on")


def _missing(lines: Iterable[Line]) -> Iterable[LineProblem]:
    for line in lines:
        for name, value, code in (
            ("given", line.given, ProblemCode.MISSING_GIVEN),
            ("family", line.family, ProblemCode.MISSING_FAMILY),
            ("email", line.email, ProblemCode.MISSING_EMAIL),
        ):
            if value is None:
                yield LineProblem(line.line, code, name, code.blocking)


def _check_details(
    what: Sighting,
    agreement_version: str | None,
    valid_from: date | None,
    valid_until: date | None,
    member_id: Private | None,
) -> None:
    details = {
        "agreement_version": (Sighting.LICENCE_ACCEPTED, agreement_version),
        "valid_from": (Sighting.CREDENTIAL_DATES, valid_from),
        "valid_until": (Sighting.CREDENTIAL_DATES, valid_until),
        "member_id": (Sighting.MEMBER_ID, member_id),
    }
    for name, (about, value) in details.items():
        words = name.replace("_", " ")
        if about is not what and value is not None:
            raise ObservationUnclear(f"The {words} has nothing to do with {what.value}.", field=name)
        # A credential may be without an end; whatever else belongs to it must be said.
        if about is what and not value and name != "valid_until":
            raise ObservationUnclear(f"Say the {words}.", field=name)
    if valid_from and valid_until and valid_until < valid_from:
        raise ObservationUnclear(
            f"A credential can't end on {valid_until}, before it begins on {valid_from}.", field="valid_until"
        )


def _must_be_distinct(named: Iterable[object], *, kind: str = "line") -> None:
    seen = set()
    for one in named:
        if one in seen:
            raise SaidTwice(f"The {kind} {one} is named twice.")
        seen.add(one)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
