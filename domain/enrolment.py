"""One person's way through one course: from the request to the completion decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from uuid import UUID, uuid5

from domain.aggregate import Aggregate, AggregateCreated
from domain.basis import Aspect, Basis
from domain.completion import Because
from domain.course import SamePerson, Standing
from domain.credential import check_body
from domain.person import NothingChanged
from domain.private import Private
from domain.reason import must_say_why
from domain.refusal import Forbidden, Invalid, Refused
from domain.register import NotTheLead

__all__ = ["Decision", "Enrolment", "MakeUp", "MakeUpKind", "Source", "Stage", "Standing"]

ENROLMENTS = UUID("c4a7a0f5-4d0a-4d43-9f6c-6f2b1f0f3a8e")

LONGEST_MAKE_UP = 720
"""Minutes, as of the longest session."""


class EnrolmentStage(Refused):
    """The enrolment has not come so far yet, or is past that."""


class AlreadyEnrolled(Refused):
    """The person is on the course, or in its queue, or was a no-show."""


class WasPresent(Refused):
    """A register has the person present, so they are no no-show."""


class NoWalkIn(Refused):
    """The person didn't come as a walk-in, or that was settled before."""


class WalkInUnconfirmed(Refused):
    """A walk-in completes a course only after the registrar has confirmed their enrolment."""


class MakeUpUnsound(Invalid):
    """What was said of a make-up contradicts itself, or proves nothing."""


class UnknownMakeUp(Invalid):
    """The enrolment has no make-up of that number, or no longer."""


class EvidenceMissing(Invalid):
    """A declaration needs a reference to its evidence."""


class RegistersNotSealed(Refused):
    """Completion is decided once all registers of the course are sealed."""


class AlreadyDecided(Refused):
    """A decision on completion stands; it would have to be corrected first."""


class ReasonForDeviation(Refused):
    """The decision is another than the record proposes, and nobody said why."""


class ReasonForCorrection(Refused):
    """The decision replaces an earlier one, and nobody said why."""


class CorrectionNeedsApproval(Refused):
    """A corrected decision needs a second person, unless the institution works solo."""


class OwnCorrection(Forbidden):
    """Whoever corrects a decision doesn't approve it as well."""


class Stage(StrEnum):
    """Where somebody's enrolment stands. Completion is a state of its own."""

    CONFIRMED = "confirmed"
    QUEUED = "queued"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"
    SUBSTITUTED = "substituted"
    NO_SHOW = "no_show"


LIVE = (Stage.CONFIRMED, Stage.QUEUED, Stage.NO_SHOW)
"""The stages in which a second request makes no sense."""


class Source(StrEnum):
    """By which way a request came."""

    API = "api"
    IMPORT = "import"
    WALK_IN = "walk_in"
    SUBSTITUTION = "substitution"


class MakeUpKind(StrEnum):
    """How missed time was made up for."""

    SESSION = "session"
    TUTORIAL = "tutorial"


@dataclass(frozen=True)
class MakeUp:
    """Where missed time was made up: in a session of another course, by its register, or in a tutorial.

    A reference, never a copy: the other course's register remains where the attendance is recorded.
    """

    kind: MakeUpKind
    course: UUID | None = None
    session: int | None = None
    register: UUID | None = None


@dataclass(frozen=True)
class Decision:
    """The decision on completion that stands; `version` is that of its event."""

    version: int
    completed: bool
    because: Because


class Enrolment(Aggregate):
    """One person on one course. There is never a second for the same pair: they request again."""

    TOPIC = "enrolment"

    @staticmethod
    @lru_cache(maxsize=4_096)  # asked again and again for those who are just being marked
    def create_id(course: UUID, person: UUID) -> UUID:
        # `enrolment_of` in projections/roster.py makes the same of text.
        return uuid5(ENROLMENTS, f"{course}/{person}")

    def __init__(self, course: UUID, person: UUID) -> None:
        self.course = course
        self.person = person
        self.stage = Stage.CONFIRMED
        self.walk_in_open = False
        self.participation: bool | None = None
        self.made_up: dict[int, tuple[int, int]] = {}
        self.last_make_up = 0
        self.decision: Decision | None = None
        self.versions: dict[Aspect, int] = {}

    # What is known of it.

    @property
    def live(self) -> bool:
        """Whether the person is on the course, in its queue, or was a no-show."""
        return self.stage in LIVE

    @property
    def completed(self) -> bool | None:
        """What was decided on completion; None while nothing is."""
        return None if self.decision is None else self.decision.completed

    @property
    def make_ups(self) -> Mapping[int, int]:
        """The minutes credited, by the number of the session that they make up for."""
        minutes: dict[int, int] = {}
        for session, credited in self.made_up.values():
            minutes[session] = minutes.get(session, 0) + credited
        return minutes

    def basis(self, aspect: Aspect) -> Basis | None:
        """Return what a decision rests on that uses this aspect; None where it was never set."""
        version = self.versions.get(aspect)
        return None if version is None else Basis(self.id, version, aspect)

    # Its beginning and its end.

    @classmethod
    def request(
        cls,
        *,
        course: UUID,
        person: UUID,
        standing: Standing,
        source: Source = Source.API,
        order_reference: str | None = None,
        substitutes: UUID | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Enrolment:
        """Enrol somebody; `standing` is what the course gave them, a seat or a place in the queue.

        `order_reference` is the shop's key of the order line, `substitutes` the enrolment whose seat this takes.
        """
        return cls._create(
            cls.Requested,
            course=course,
            person=person,
            order_reference=order_reference,
            source=source,
            standing=standing,
            substitutes=substitutes,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def request_again(
        self,
        *,
        standing: Standing,
        source: Source = Source.API,
        order_reference: str | None = None,
        substitutes: UUID | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Enrol somebody who had left the course before.

        :raises AlreadyEnrolled: they haven't left.
        """
        if self.live:
            raise AlreadyEnrolled(f"This person is enrolled already: {_in_words(self.stage)}.", field="person")
        self.trigger_event(
            self.RequestedAgain,
            order_reference=order_reference,
            source=source,
            standing=standing,
            substitutes=substitutes,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def confirm(self, *, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Move from the queue to a seat, which the course has given."""
        self._must_be("confirm it", Stage.QUEUED)
        self.trigger_event(self.Confirmed, by=by, at=at, on_behalf_of=on_behalf_of)

    def withdraw(
        self, *, reason: str, note: Private | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """End the enrolment by the learner's wish.

        :raises AlreadyDecided: the learner was found to have completed the course.
        """
        self._must_be("withdraw it", Stage.CONFIRMED, Stage.QUEUED)
        must_say_why(reason)
        self._must_not_be_completed("withdrawn")
        self.trigger_event(self.Withdrawn, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    def cancel(
        self, *, reason: str, note: Private | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """End the enrolment by the institution's decision, also that of a walk-in who isn't confirmed.

        :raises AlreadyDecided: the learner was found to have completed the course.
        """
        self._must_be("cancel it", Stage.CONFIRMED, Stage.QUEUED)
        must_say_why(reason)
        self._must_not_be_completed("cancelled")
        self.trigger_event(self.Cancelled, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    def substitute(
        self,
        *,
        person: UUID,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> UUID:
        """Give way to another person, and return the id of their enrolment. Marks never move to them.

        :raises SamePerson: it is the same person, so perhaps a correction of the name.
        :raises AlreadyDecided: completion was decided, so that this person has attended.
        """
        self._must_be("substitute its learner", Stage.CONFIRMED)
        must_say_why(reason)
        if person == self.person:
            raise SamePerson("Somebody can't stand in for themselves. Is it a correction of the name?", field="person")
        if self.decision is not None:
            raise AlreadyDecided("Completion has been decided for this learner, so nobody can take their seat.")
        enrolment = self.create_id(self.course, person)
        self.trigger_event(
            self.SubstitutedBy,
            person=person,
            enrolment=enrolment,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return enrolment

    def admit_walk_in(
        self, *, session: int, override: str | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Record that the person came to a session without a seat, and was given one.

        For somebody new, request first, with the source walk_in. The registrar confirms the walk-in,
        or cancels the enrolment.
        """
        self._must_be("admit a walk-in", Stage.CONFIRMED, Stage.QUEUED)
        if override is not None:
            must_say_why(override, field="override")
        self.trigger_event(
            self.WalkInAdmitted, session=session, override=override, by=by, at=at, on_behalf_of=on_behalf_of
        )

    def confirm_walk_in(self, *, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Make a walk-in an enrolment like any other.

        :raises NoWalkIn: there is none to confirm.
        """
        self._must_be("confirm a walk-in", Stage.CONFIRMED)
        if not self.walk_in_open:
            raise NoWalkIn("This enrolment isn't that of a walk-in who waits to be confirmed.")
        self.trigger_event(self.WalkInConfirmed, by=by, at=at, on_behalf_of=on_behalf_of)

    def declare_no_show(
        self,
        *,
        attended: bool,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record that somebody with a seat never came. `attended`: some standing mark has them there.

        :raises WasPresent: they came.
        :raises AlreadyDecided: completion was decided, which is another outcome.
        """
        self._must_be("declare a no-show", Stage.CONFIRMED)
        must_say_why(reason)
        if attended:
            raise WasPresent("A register has this learner present. Decide on completion, or amend the register.")
        if self.decision is not None:
            raise AlreadyDecided("Completion has been decided for this learner, which is their outcome.")
        self.trigger_event(self.NoShowDeclared, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    def lift_no_show(
        self, *, reason: str, note: Private | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Take back that somebody never came."""
        self._must_be("lift a no-show", Stage.NO_SHOW)
        must_say_why(reason)
        self.trigger_event(self.NoShowLifted, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    # What is said of the learner.

    def ask_body_email(
        self, *, body: str, answered: bool, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Record that the learner was asked for the e-mail that they use with the body, and whether they answered."""
        self._must_be("ask for the e-mail", *LIVE)
        check_body(body)
        self.trigger_event(self.BodyEmailAsked, body=body, answered=answered, by=by, at=at, on_behalf_of=on_behalf_of)

    def declare_prerequisite(self, *, evidence: str, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Record that the learner declares to meet the credential's prerequisite; it never keeps anybody out."""
        self._must_be("declare a prerequisite", *LIVE)
        _must_be_proven(evidence)
        self.trigger_event(
            self.PrerequisiteDeclared, evidence=evidence.strip(), by=by, at=at, on_behalf_of=on_behalf_of
        )

    def attest_participation(
        self,
        *,
        attested: bool,
        lead: UUID,
        reason: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record the lead's word on whether the learner took part. Saying the same again records nothing.

        A no needs a reason, and so does another word than before.

        :raises NotTheLead: somebody else than `lead`, who leads the course, said so.
        """
        self._must_be("attest participation", Stage.CONFIRMED)
        _must_be_lead(by, lead, "attests participation")
        if attested == self.participation:
            return
        if reason is not None or not attested or self.participation is not None:
            must_say_why(reason or "")
        self.trigger_event(
            self.ParticipationAttested,
            attested=attested,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def credit_make_up(
        self,
        *,
        session: int,
        minutes: int,
        elsewhere: MakeUp,
        trainer: UUID,
        evidence: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> int:
        """Credit time spent elsewhere for time missed in a session, and return the credit's number.

        `trainer` is who taught it, `evidence` a reference to its proof.

        :raises MakeUpUnsound: no minutes, or it doesn't say where.
        :raises EvidenceMissing: there is no proof.
        """
        self._must_be("credit a make-up", Stage.CONFIRMED)
        _must_be_sound(elsewhere, missed_in=(self.course, session))
        _must_be_proven(evidence)
        if not 1 <= minutes <= LONGEST_MAKE_UP:
            raise MakeUpUnsound(
                f"A make-up has 1 to {LONGEST_MAKE_UP} minutes; {minutes} can't be right.", field="minutes"
            )
        number = self.last_make_up + 1
        self.trigger_event(
            self.MakeUpCredited,
            number=number,
            session=session,
            minutes=minutes,
            elsewhere=elsewhere,
            trainer=trainer,
            evidence=evidence.strip(),
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return number

    def withdraw_make_up(
        self,
        *,
        number: int,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Take back a credit.

        :raises UnknownMakeUp: there is none of that number, or no longer.
        """
        self._must_be("withdraw a make-up", Stage.CONFIRMED)
        must_say_why(reason)
        if number not in self.made_up:
            raise UnknownMakeUp(f"No make-up number {number} is credited to this learner.", field="number")
        self.trigger_event(
            self.MakeUpWithdrawn, number=number, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of
        )

    # Its outcome.

    def decide_completion(
        self,
        *,
        completed: bool,
        because: Because,
        lead: UUID,
        solo: bool,
        reason: str | None = None,
        note: Private | None = None,
        approved_by: UUID | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Decide whether the learner has completed the course, on what the record proposes.

        A second decision corrects the first: it needs a reason, and `approved_by` somebody else
        unless `solo`, the institution's setting for corrections of completion; the event says so.

        :raises NotTheLead: somebody else than `lead`, who leads the course, decides.
        :raises RegistersNotSealed: the proposal rests on open registers.
        :raises WalkInUnconfirmed: the learner came as a walk-in, and isn't confirmed.
        :raises ReasonForDeviation, ReasonForCorrection: the reason is missing.
        :raises CorrectionNeedsApproval, OwnCorrection: the second person is missing.
        :raises NothingChanged: the same was decided on the same grounds.
        """
        self._must_be("decide on completion", Stage.CONFIRMED)
        _must_be_lead(by, lead, "decides on completion")
        for clause in because.clauses:
            if clause.name == "all_registers_sealed" and not clause.met:
                raise RegistersNotSealed(f"Completion is decided on sealed registers. {clause.detail}")
        if completed and self.walk_in_open:
            raise WalkInUnconfirmed("The learner came as a walk-in. A registrar confirms the enrolment first.")
        if reason is not None:
            must_say_why(reason)
        deviates = completed != because.proposed
        if deviates and reason is None:
            raise ReasonForDeviation(f"{_against(because)} Give a reason for deciding otherwise.", field="reason")
        alone = self._correct(completed, because, reason, approved_by, by, solo)
        self.trigger_event(
            self.CompletionDecided,
            completed=completed,
            because=because,
            deviates=deviates,
            reason=reason,
            note=note,
            supersedes=None if self.decision is None else self.decision.version,
            approved_by=None if alone else approved_by,
            solo=alone,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def _correct(
        self, completed: bool, because: Because, reason: str | None, approved_by: UUID | None, by: UUID, solo: bool
    ) -> bool:
        """Return whether a decision corrects an earlier one on one person's word; refuse where it mustn't."""
        if self.decision is None:
            return False
        if (completed, because) == (self.decision.completed, self.decision.because):
            raise NothingChanged("This was decided already, on the same grounds.")
        if reason is None:
            raise ReasonForCorrection(
                "A decision on completion stands. Give a reason for deciding again.", field="reason"
            )
        alone = approved_by is None or approved_by == by
        if alone and not solo:
            if approved_by is None:
                raise CorrectionNeedsApproval(
                    "A corrected decision needs the approval of somebody else.", field="approved_by"
                )
            raise OwnCorrection("Whoever corrects a decision can't approve it as well.", field="approved_by")
        return alone

    def _must_be(self, doing: str, *stages: Stage) -> None:
        if self.stage not in stages:
            raise EnrolmentStage(
                f"To {doing}, the enrolment has to be {_any_of(stages)}; it is {_in_words(self.stage)}."
            )

    def _must_not_be_completed(self, becoming: str) -> None:
        if self.completed:
            raise AlreadyDecided(
                f"The learner has completed the course, so the enrolment can't be {becoming}. If that is wrong, "
                "correct the decision first."
            )

    class Event(Aggregate.Event):
        """Something happened to an enrolment."""

    class Requested(Event, AggregateCreated):
        """Somebody asked for a seat, and got it or a place in the queue; `substitutes` is whose seat it was."""

        TOPIC = "enrolment.requested"
        course: UUID
        person: UUID
        order_reference: str | None
        source: Source
        standing: Standing
        substitutes: UUID | None

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage(self.standing)
            enrolment.versions[Aspect.LEARNER] = self.originator_version

    class RequestedAgain(Event):
        """Somebody who had left asked again."""

        TOPIC = "enrolment.requested_again"
        order_reference: str | None
        source: Source
        standing: Standing
        substitutes: UUID | None

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage(self.standing)
            enrolment.walk_in_open = False
            enrolment.versions[Aspect.LEARNER] = self.originator_version

    class Confirmed(Event):
        """Somebody who waited has a seat."""

        TOPIC = "enrolment.confirmed"

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage.CONFIRMED

    class Withdrawn(Event):
        TOPIC = "enrolment.withdrawn"
        reason: str
        note: Private | None

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage.WITHDRAWN
            enrolment.versions[Aspect.LEARNER] = self.originator_version

    class Cancelled(Event):
        TOPIC = "enrolment.cancelled"
        reason: str
        note: Private | None

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage.CANCELLED
            enrolment.versions[Aspect.LEARNER] = self.originator_version

    class SubstitutedBy(Event):
        """Another person, with an enrolment of their own, took the seat."""

        TOPIC = "enrolment.substituted_by"
        person: UUID
        enrolment: UUID
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage.SUBSTITUTED
            enrolment.versions[Aspect.LEARNER] = self.originator_version

    class WalkInAdmitted(Event):
        """Somebody came to a session without a seat and got one; `override` is why, where the course was full."""

        TOPIC = "enrolment.walk_in_admitted"
        session: int
        override: str | None

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage.CONFIRMED
            enrolment.walk_in_open = True

    class WalkInConfirmed(Event):
        TOPIC = "enrolment.walk_in_confirmed"

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.walk_in_open = False

    class NoShowDeclared(Event):
        TOPIC = "enrolment.no_show_declared"
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage.NO_SHOW

    class NoShowLifted(Event):
        TOPIC = "enrolment.no_show_lifted"
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.stage = Stage.CONFIRMED

    class BodyEmailAsked(Event):
        """Somebody asked the learner which e-mail the body knows; the answer itself is the Person's."""

        TOPIC = "enrolment.body_email_asked"
        body: str
        answered: bool

    class PrerequisiteDeclared(Event):
        TOPIC = "enrolment.prerequisite_declared"
        evidence: str

    class ParticipationAttested(Event):
        """The lead's word on whether the learner took part, in place of an earlier one."""

        TOPIC = "enrolment.participation_attested"
        attested: bool
        reason: str | None
        note: Private | None

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.participation = self.attested
            enrolment.versions[Aspect.PARTICIPATION] = self.originator_version

    class MakeUpCredited(Event):
        """Time spent elsewhere counts for time missed in `session`."""

        TOPIC = "enrolment.make_up_credited"
        number: int
        session: int
        minutes: int
        elsewhere: MakeUp
        trainer: UUID
        evidence: str

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.made_up[self.number] = (self.session, self.minutes)
            enrolment.last_make_up = self.number
            enrolment.versions[Aspect.MAKE_UP] = self.originator_version

    class MakeUpWithdrawn(Event):
        TOPIC = "enrolment.make_up_withdrawn"
        number: int
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, enrolment: Enrolment) -> None:
            del enrolment.made_up[self.number]
            enrolment.versions[Aspect.MAKE_UP] = self.originator_version

    class CompletionDecided(Event):
        """The lead's decision, on what the record proposed.

        `supersedes` is the version of the decision that this one corrects; `solo` says that such a
        correction was made without a second person.
        """

        TOPIC = "enrolment.completion_decided"
        completed: bool
        because: Because
        deviates: bool
        reason: str | None
        note: Private | None
        supersedes: int | None
        approved_by: UUID | None
        solo: bool

        def apply(self, enrolment: Enrolment) -> None:
            enrolment.decision = Decision(self.originator_version, self.completed, self.because)
            enrolment.versions[Aspect.DECISION] = self.originator_version


def _against(because: Because) -> str:
    if because.proposed:
        return "The record proposes that the learner has completed the course."
    return f"The record proposes that the course is not completed: {' '.join(c.detail for c in because.unmet)}"


def _must_be_lead(by: UUID, lead: UUID, act: str) -> None:
    if by != lead:
        raise NotTheLead(f"Only the lead trainer {act}.")


def _must_be_proven(evidence: str) -> None:
    if not evidence.strip():
        raise EvidenceMissing("Name the evidence, for instance a document's number.", field="evidence")


def _must_be_sound(elsewhere: MakeUp, *, missed_in: tuple[UUID, int]) -> None:
    where = (elsewhere.course, elsewhere.session, elsewhere.register)
    if elsewhere.kind is MakeUpKind.TUTORIAL:
        if where != (None, None, None):
            raise MakeUpUnsound("A tutorial is no session of a course and has no register.", field="elsewhere")
    elif None in where:
        raise MakeUpUnsound(
            "A session made up elsewhere is named by its course, its number and its register.", field="elsewhere"
        )
    elif (elsewhere.course, elsewhere.session) == missed_in:
        raise MakeUpUnsound("A session can't make up for itself.", field="elsewhere")


def _in_words(stage: Stage) -> str:
    return stage.replace("_", " ")


def _any_of(stages: Iterable[Stage]) -> str:
    return " or ".join(map(_in_words, stages))
