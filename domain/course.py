"""One dated delivery of a credential's course: sessions, trainers, seats and queue, life cycle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain.aggregate import Aggregate, AggregateCreated
from domain.basis import Aspect, Basis
from domain.credential import FORMATS, CredentialPolicy, check_body
from domain.private import Private
from domain.reason import must_say_why
from domain.refusal import Invalid, Refused
from domain.schedule import (
    LONGEST,
    NEEDS_REASON,
    Caution,
    Session,
    SessionPlan,
    TimeWithoutZone,
    check,
    contact_minutes,
    in_order,
    moved,
    numbered,
    warnings,
)
from domain.trainer import Role, Slot

__all__ = ["Capacity", "Course", "Role", "Stage", "Standing"]

TITLE_LIMIT = 200
"""Characters in a course's title."""


class CourseStage(Refused):
    """The course has not come so far yet, or is past that."""


class TitleUnsound(Invalid):
    """A course has a title of one to 200 characters."""


class UnknownFormat(Invalid):
    """The course takes place in none of the known ways."""


class OtherCredential(Invalid):
    """The rules that were given are those of another credential, or another body is meant."""


class WarningNeedsReason(Refused):
    """The schedule is less than the policy asks for, and nobody said why; `codes` are the warnings."""

    def __init__(self, codes: Iterable[Caution]) -> None:
        self.codes = tuple(codes)
        super().__init__(
            f"The schedule is at odds with the credential's rules: {', '.join(self.codes)}. "
            "Change the schedule, or give a reason for keeping it.",
            field="reason",
        )


class UnknownSession(Invalid):
    """The course has no session of that number, or no longer."""


class SessionRepeated(Invalid):
    """The same session was named twice."""


class SessionAlreadyHeld(Refused):
    """The session has taken place, so that it can no longer be planned otherwise."""


class OnlySession(Refused):
    """Without this session the course would have none."""


class HeldImpossibly(Invalid):
    """What was said of a session that took place can't be right."""


class NotCurtailed(Refused):
    """The session has no more minutes than that anyway."""


class SessionsNotHeld(Refused):
    """Sessions have neither been held nor cancelled; `numbers` are theirs."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = tuple(numbers)
        super().__init__(
            f"Not yet held: session {', '.join(map(str, self.numbers))}. Record each as held, or cancel it, "
            "then the course is delivered."
        )


class LeadNeeded(Refused):
    """The course needs its lead trainer."""


class LeadAlreadyAssigned(Refused):
    """A course has one lead."""


class NotOnTheCourse(Refused):
    """The trainer isn't, or wasn't then, a trainer of the course."""


class LeadNotPresent(Refused):
    """A session is held by the lead, or by whoever replaced them."""


class ImpossibleCapacity(Invalid):
    """A capacity is a number of seats, or says that it is unlimited."""


class CapacityBelowSeats(Refused):
    """More seats are taken or held than would be left."""


class BelowMinimum(Refused):
    """Fewer seats are taken than the course needs to run."""


class EnrolmentIsClosed(Refused):
    """The course takes no more enrolments."""


class CourseFull(Refused):
    """Every seat is taken or held."""


class SeatAlreadyTaken(Refused):
    """The person has a seat on the course."""


class AlreadyQueued(Refused):
    """The person is in the queue."""


class NoSeat(Refused):
    """The person has no seat, and isn't in the queue either."""


class NoSeatHeld(Refused):
    """No seat is held for the person."""


class SamePerson(Invalid):
    """Somebody can't stand in for themselves."""


class CourseUnfinished(Refused):
    """Something is left to do before the course can be closed; `outstanding` are the codes."""

    def __init__(self, outstanding: Iterable[str]) -> None:
        self.outstanding = tuple(outstanding)
        super().__init__(
            f"Before the course can be closed, this is left: {', '.join(self.outstanding)}. "
            "Do it, or waive it with a reason."
        )


class Stage(StrEnum):
    """How far a course has come. Whether it takes enrolments is a flag of its own."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    OPEN = "open"
    DELIVERED = "delivered"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Standing(StrEnum):
    """What somebody gets who asks for a seat."""

    CONFIRMED = "confirmed"
    QUEUED = "queued"


@dataclass(frozen=True)
class Capacity:
    """How many seats a course has: `limit` of them, or `unlimited`; exactly one of the two is said."""

    limit: int | None
    unlimited: bool

    @classmethod
    def of(cls, limit: int) -> Capacity:
        return cls(limit=limit, unlimited=False)

    @classmethod
    def without_limit(cls) -> Capacity:
        return cls(limit=None, unlimited=True)

    def holds(self, people: int) -> bool:
        """Tell whether so many people have room."""
        return self.unlimited or (self.limit is not None and people <= self.limit)

    def __str__(self) -> str:
        return "unlimited" if self.unlimited else str(self.limit)


class Waiting(NamedTuple):
    """A place in the queue. Tickets are given once; the rank follows from those still waiting."""

    ticket: int
    enrolment: UUID


class Appointment(NamedTuple):
    """What somebody is on the course from a moment on; `since` None means from its beginning."""

    since: datetime | None
    trainer: UUID
    role: Role | None


class Course(Aggregate):
    """One course: when it takes place, who teaches, who has a seat and who waits for one.

    A seat that frees is held for the first in the queue, and the registrar confirms or skips them.
    A seat that is held counts as taken.
    """

    TOPIC = "course"

    def __init__(
        self,
        title: str,
        body: str,
        code: str,
        policy_version: str,
        format: str,  # noqa: A002 (the word that everybody uses for it)
        lo_edition: str | None,
        language: str | None,
    ) -> None:
        self.stage = Stage.DRAFT
        self.title = title
        self.body = body
        self.code = code
        self.policy_version = policy_version
        self.format = format
        self.lo_edition = lo_edition
        self.language = language

        self.planned: dict[int, Session] = {}
        self.offered: dict[int, int] = {}
        self.held_sessions: dict[int, UUID] = {}
        self.last_number = 0
        self.accepted_minutes: int | None = None
        self.schedule_version: int | None = None

        self.trainers: dict[UUID, Role] = {}
        self.appointments: list[Appointment] = []

        self.capacity: Capacity | None = None
        self.minimum: int | None = None
        self.enrolment_open = False
        self.confirmed = False
        self.seats: set[UUID] = set()
        self.queue: dict[UUID, Waiting] = {}
        self.held_seats: set[UUID] = set()
        self.passed_over: set[UUID] = set()
        self.last_ticket = 0

    # What is known of it.

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that were not cancelled, in order of time, with the contact minutes as held."""
        return in_order(
            replace(session, contact_minutes=self.offered.get(number, session.contact_minutes))
            for number, session in self.planned.items()
        )

    @property
    def contact_minutes(self) -> int:
        """The minutes of instruction that the course offers: as held, and as planned where not yet."""
        return contact_minutes(self.sessions)

    @property
    def days(self) -> tuple[date, ...]:
        """The local dates on which sessions start."""
        return tuple(sorted({session.day for session in self.planned.values()}))

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The time that the course takes from each of its trainers."""
        return tuple(Slot(session.number, session.starts, session.ends) for session in in_order(self.planned.values()))

    @property
    def zone(self) -> str | None:
        """The zone of the first session."""
        return next((session.zone for session in in_order(self.planned.values())), None)

    @property
    def shortfall_accepted(self) -> bool:
        """Whether a reason is on record for contact minutes as few as these."""
        return self.accepted_minutes is not None and self.contact_minutes >= self.accepted_minutes

    def basis(self, aspect: Aspect = Aspect.SCHEDULE) -> Basis | None:
        """Return what a decision that uses the sessions rests on."""
        if aspect is not Aspect.SCHEDULE or self.schedule_version is None:
            return None
        return Basis(self.id, self.schedule_version, aspect)

    @property
    def lead(self) -> UUID | None:
        return next((trainer for trainer, role in self.trainers.items() if role is Role.LEAD), None)

    def role_of(self, person: UUID, *, on: datetime | None = None) -> Role | None:
        """Return what somebody is on the course, or was at that moment."""
        if on is None:
            return self.trainers.get(person)
        return self._roles_on(on).get(person)

    def lead_on(self, moment: datetime) -> UUID | None:
        """Return who led at that moment."""
        return next((trainer for trainer, role in self._roles_on(moment).items() if role is Role.LEAD), None)

    def lead_of(self, session: int) -> UUID | None:
        """Return who led a session: as held, else by the plan. This is who seals its register."""
        if session in self.held_sessions:
            return self.held_sessions[session]
        return self.lead_on(self._session(session).starts)

    def _roles_on(self, moment: datetime) -> dict[UUID, Role]:
        roles: dict[UUID, Role] = {}
        for since, trainer, role in self.appointments:
            if since is not None and since > moment:
                continue
            if role is Role.LEAD:  # What was said later of the same time stands: there is one lead.
                roles = {other: theirs for other, theirs in roles.items() if theirs is not Role.LEAD}
            if role is None:
                roles.pop(trainer, None)
            else:
                roles[trainer] = role
        return roles

    @property
    def seats_free(self) -> int | None:
        """Seats neither taken nor held; None if they are unlimited, or the course was never opened."""
        if self.capacity is None or self.capacity.limit is None:
            return None
        return max(0, self.capacity.limit - len(self.seats) - len(self.held_seats))

    def has_seat(self, person: UUID) -> bool:
        return person in self.seats

    def seat_held_for(self, person: UUID) -> bool:
        return person in self.held_seats

    def rank_of(self, person: UUID) -> int | None:
        """Return the place in the queue, from 1; None for somebody who isn't waiting."""
        for rank, waiting in enumerate(self.queue, start=1):
            if waiting == person:
                return rank
        return None

    # Its plan.

    @classmethod
    def draft(
        cls,
        *,
        course: UUID,
        title: str,
        policy: CredentialPolicy,
        format: str,  # noqa: A002
        lo_edition: str | None = None,
        language: str | None = None,
        copied_from: UUID | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Course:
        """Begin a course for the credential of that policy, the one in force when it is to take place.

        :raises TitleUnsound, UnknownFormat:
        """
        check_body(policy.body)
        if not 1 <= len(title.strip()) <= TITLE_LIMIT:
            raise TitleUnsound(f"Give the course a title of 1 to {TITLE_LIMIT} characters.", field="title")
        if format not in FORMATS:
            raise UnknownFormat(
                f"{format[:40]!a} is no format of a course. Choose one of {', '.join(FORMATS)}.", field="format"
            )
        return cls._create(
            cls.Drafted,
            id=course,
            title=title.strip(),
            body=policy.body,
            code=policy.code,
            policy_version=policy.version,
            format=format,
            lo_edition=lo_edition,
            language=language,
            copied_from=copied_from,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def copy(
        self,
        *,
        course: UUID,
        first_day: date,
        policy: CredentialPolicy,
        title: str | None = None,
        fold: int | None = None,
        reason: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Course:
        """Make a new course with the same facts, its first session on `first_day`.

        The sessions move by whole days and keep their local times and their planned minutes;
        cancelled ones stay behind. Trainers, seats and the listing with the body do too. `policy`
        is the one in force on the new dates; `reason` as in `schedule`.
        """
        self._must_be_of(policy)
        sessions = moved([session.plan for session in self.planned.values()], first_day=first_day, fold=fold)
        copied = type(self).draft(
            course=course,
            title=self.title if title is None else title,
            policy=policy,
            format=self.format,
            lo_edition=self.lo_edition,
            language=self.language,
            copied_from=self.id,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        if sessions:
            copied.schedule(
                sessions=sessions, policy=policy, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of
            )
        return copied

    def schedule(
        self,
        *,
        sessions: Sequence[SessionPlan],
        policy: CredentialPolicy,
        reason: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> tuple[Caution, ...]:
        """Plan the sessions of a draft, numbered from 1 in order of time. Returns the warnings.

        :raises WarningNeedsReason: the policy asks for more, and there is no reason.
        :raises SessionsOverlap, ContactExceedsLength, ...: see `domain.schedule.check`.
        """
        self._must_be("schedule it", Stage.DRAFT)
        check(sessions)
        planned = tuple(numbered(plan, self.last_number + n) for n, plan in enumerate(in_order(sessions), start=1))
        cautions = self._cautions(planned, policy, reason)
        self.trigger_event(
            self.Scheduled,
            sessions=planned,
            policy_version=policy.version,
            warnings=cautions,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return cautions

    def reschedule(
        self,
        *,
        sessions: Sequence[SessionPlan | Session],
        policy: CredentialPolicy,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> tuple[Caution, ...]:
        """Plan the sessions anew. Returns the warnings.

        A session with its number moves; a plan without one is new; one that isn't named is dropped.
        Those that were held stay as they were, named or not. The reason also answers the warnings:
        the same plan again, after a session was curtailed, accepts the shortfall. Otherwise saying
        the same again records nothing.

        :raises SessionAlreadyHeld: a session that was held would move.
        :raises UnknownSession, SessionRepeated, SessionsOverlap, ...:
        """
        self._must_be("reschedule it", Stage.SCHEDULED, Stage.OPEN)
        must_say_why(reason)
        if sessions:
            check(sessions)
        kept = self._kept(sessions)
        check([*kept, *(plan for plan in sessions if isinstance(plan, SessionPlan))])
        new = in_order(plan for plan in sessions if isinstance(plan, SessionPlan))
        planned = in_order([*kept, *(numbered(plan, self.last_number + n) for n, plan in enumerate(new, start=1))])
        cautions = self._cautions(planned, policy, reason, keep_offered=True)
        if self._is_planned(planned, policy) and (
            Caution.CONTACT_BELOW_POLICY not in cautions or self.shortfall_accepted
        ):
            return cautions
        self.trigger_event(
            self.Rescheduled,
            sessions=planned,
            policy_version=policy.version,
            warnings=cautions,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return cautions

    def _is_planned(self, sessions: tuple[Session, ...], policy: CredentialPolicy) -> bool:
        """Tell whether this is the plan already, with nothing curtailed in advance."""
        return (
            sessions == in_order(self.planned.values())
            and self.offered.keys() == self.held_sessions.keys()
            and policy.version == self.policy_version
        )

    def _kept(self, sessions: Sequence[SessionPlan | Session]) -> list[Session]:
        """Return the sessions that keep their numbers: those that were named, and all that were held."""
        kept = {number: self.planned[number] for number in self.held_sessions}
        named: set[int] = set()
        for session in sessions:
            if isinstance(session, SessionPlan):
                continue
            number = session.number
            self._session(number)
            if number in named:
                raise SessionRepeated(f"Session {number} is named twice.", field="sessions")
            named.add(number)
            wanted = numbered(session.plan, number)
            stands = kept.setdefault(number, wanted)
            if wanted not in (stands, self._as_held(stands)):
                raise SessionAlreadyHeld(
                    f"Session {number} has been held and stays as it was. Plan only the others anew.", field="sessions"
                )
        return list(kept.values())

    def _cautions(
        self, sessions: Sequence[Session], policy: CredentialPolicy, reason: str | None, *, keep_offered: bool = False
    ) -> tuple[Caution, ...]:
        """Return what the policy holds against the sessions; refuse where that needs a reason and has none."""
        self._must_be_of(policy)
        if keep_offered:
            sessions = [self._as_held(session) for session in sessions]
        cautions = warnings(sessions, policy, format=self.format)
        serious = [caution for caution in cautions if caution in NEEDS_REASON]
        if reason is not None:
            must_say_why(reason)
        elif serious:
            raise WarningNeedsReason(serious)
        return cautions

    def _as_held(self, session: Session) -> Session:
        if session.number not in self.held_sessions:
            return session
        return replace(session, contact_minutes=self.offered[session.number])

    def _must_be_of(self, policy: CredentialPolicy) -> None:
        if (policy.body, policy.code) != (self.body, self.code):
            raise OtherCredential(
                f"The course is one for {self.body}/{self.code}; the rules of {policy.body}/{policy.code} "
                "say nothing about it."
            )

    # Its trainers.

    def assign_trainer(
        self, *, trainer_person: UUID, role: Role, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Put a trainer on the course, or give one of its trainers another role.

        Until the course is open, and for somebody new to it, that counts from its beginning; for a
        trainer whose role changes from `at`. Saying the same again records nothing. Their authority
        and their time are the Trainer's to guard.

        :raises LeadAlreadyAssigned: there is one lead at a time; see `replace_trainer`.
        :raises LeadNeeded: the lead of an open course would become a co-trainer.
        """
        self._must_be_taught("assign a trainer")
        if self.trainers.get(trainer_person) is role:
            return
        if role is Role.LEAD and self.lead is not None:
            raise LeadAlreadyAssigned("The course has a lead. Replace them, or assign a co-trainer.", field="role")
        if trainer_person == self.lead:
            self._must_do_without_lead()
        known = any(each.trainer == trainer_person for each in self.appointments)
        self.trigger_event(
            self.TrainerAssigned,
            trainer_person=trainer_person,
            role=role,
            since=self._from(at) if known else None,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def release_trainer(
        self,
        *,
        trainer_person: UUID,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Take a trainer off the course; once it is open, from `at` on, and what they led before remains theirs.

        :raises NotOnTheCourse: they aren't on it.
        :raises LeadNeeded: an open course would lose its lead; see `replace_trainer`.
        """
        self._must_be_taught("release a trainer")
        must_say_why(reason)
        self._must_be_on_course(trainer_person)
        if trainer_person == self.lead:
            self._must_do_without_lead()
        self.trigger_event(
            self.TrainerReleased,
            trainer_person=trainer_person,
            since=self._from(at),
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def replace_trainer(
        self,
        *,
        old: UUID,
        new: UUID,
        since: datetime | None = None,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Release one trainer and give their role to another, so that the course never lacks its lead.

        Once the course is open, that counts from `since`, or else from `at`.

        :raises NotOnTheCourse: the old one isn't on it.
        :raises LeadAlreadyAssigned: the new one is the lead, and can't become a co-trainer besides.
        """
        self._must_be_taught("replace a trainer")
        must_say_why(reason)
        role = self._must_be_on_course(old)
        if old == new:
            raise SamePerson("Somebody can't stand in for themselves. Choose another trainer.", field="new")
        if new == self.lead:
            raise LeadAlreadyAssigned("The new trainer leads the course already. Release the other one.", field="new")
        since = self._from(at if since is None else since)
        self.trigger_event(
            self.TrainerReleased,
            trainer_person=old,
            since=since,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        if self.trainers.get(new) is not role:
            self.trigger_event(
                self.TrainerAssigned,
                trainer_person=new,
                role=role,
                since=since,
                by=by,
                at=at,
                on_behalf_of=on_behalf_of,
            )

    def _from(self, moment: datetime) -> datetime | None:
        """Return from when a change of trainers counts: before the course is open, nobody has taught yet."""
        return None if self.stage in (Stage.DRAFT, Stage.SCHEDULED) else moment

    def _must_be_taught(self, doing: str) -> None:
        self._must_be(doing, Stage.DRAFT, Stage.SCHEDULED, Stage.OPEN, Stage.DELIVERED)

    def _must_be_on_course(self, trainer_person: UUID) -> Role:
        role = self.trainers.get(trainer_person)
        if role is None:
            raise NotOnTheCourse("This trainer isn't on the course.", field="trainer_person")
        return role

    def _must_do_without_lead(self) -> None:
        if self.stage not in (Stage.DRAFT, Stage.SCHEDULED):
            raise LeadNeeded("A course that is open needs its lead. Replace them by somebody else in one step.")

    # Its life.

    def open(
        self,
        *,
        capacity: Capacity,
        minimum: int | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Take enrolments, for so many seats; with fewer than `minimum` it runs only for a reason.

        :raises LeadNeeded: nobody leads it.
        :raises ImpossibleCapacity: no seats, or a minimum above them.
        """
        self._must_be("open it", Stage.SCHEDULED)
        _check_capacity(capacity)
        if minimum is not None and (minimum < 1 or not capacity.holds(minimum)):
            raise ImpossibleCapacity(
                f"A minimum of {minimum} doesn't go with a capacity of {capacity}.", field="minimum"
            )
        if self.lead is None:
            raise LeadNeeded("Assign a lead trainer, then open the course.")
        self.trigger_event(self.Opened, capacity=capacity, minimum=minimum, by=by, at=at, on_behalf_of=on_behalf_of)

    def change_capacity(
        self,
        *,
        capacity: Capacity,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Have more or fewer seats. Seats that come free are held for the first in the queue.

        :raises CapacityBelowSeats: more are taken or held.
        """
        self._must_be("change its capacity", Stage.OPEN)
        _check_capacity(capacity)
        must_say_why(reason)
        if capacity == self.capacity:
            return
        if not capacity.holds(len(self.seats) + len(self.held_seats)):
            raise CapacityBelowSeats(
                f"{len(self.seats)} seats are taken and {len(self.held_seats)} held; {capacity} are too few.",
                field="capacity",
            )
        self.trigger_event(
            self.CapacityChanged, capacity=capacity, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of
        )
        self._hold_free_seats(by, at, on_behalf_of)

    def close_enrolment(
        self, *, reason: str | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Take no more requests; who waits still moves up. Saying it again records nothing."""
        self._must_be("close its enrolment", Stage.OPEN)
        if self.enrolment_open:
            self.trigger_event(self.EnrolmentClosed, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    def reopen_enrolment(
        self, *, reason: str | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Take requests again. Saying it again records nothing."""
        self._must_be("reopen its enrolment", Stage.OPEN)
        if not self.enrolment_open:
            self.trigger_event(self.EnrolmentReopened, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    def confirm(
        self,
        *,
        reason: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Say that the course will run. Saying it again records nothing.

        :raises BelowMinimum: too few seats are taken, and there is no reason to run all the same.
        """
        self._must_be("confirm it", Stage.OPEN)
        if self.confirmed:
            return
        if self.minimum is not None and len(self.seats) < self.minimum:
            if reason is None:
                raise BelowMinimum(
                    f"{len(self.seats)} seats are taken, {self.minimum} are needed. Wait for more, or give a "
                    "reason to run all the same.",
                    field="reason",
                )
            must_say_why(reason)
        self.trigger_event(self.Confirmed, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    def list_with_body(
        self,
        *,
        body: str,
        external_id: str,
        address: str | None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record under which id, and at which address, the body lists the course; again if that changes."""
        self._must_be("list it", Stage.DRAFT, Stage.SCHEDULED, Stage.OPEN, Stage.DELIVERED)
        if body != self.body:
            raise OtherCredential(f"The course is one of {self.body}, not of {body[:40]!a}.", field="body")
        if not external_id.strip():
            raise OtherCredential(f"Say under which id {self.body} lists the course.", field="external_id")
        self.trigger_event(
            self.ListedWithBody,
            body=body,
            external_id=external_id.strip(),
            address=address,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def cancel(
        self, *, reason: str, note: Private | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Call the course off, for good; each enrolment is then cancelled and its seat freed."""
        self._must_be("cancel it", Stage.DRAFT, Stage.SCHEDULED, Stage.OPEN)
        must_say_why(reason)
        self.trigger_event(self.Cancelled, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    def deliver(self, *, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Say that the course has taken place.

        :raises SessionsNotHeld: a session was neither held nor cancelled.
        """
        self._must_be("deliver it", Stage.OPEN)
        if left := [session.number for session in self.sessions if session.number not in self.held_sessions]:
            raise SessionsNotHeld(left)
        self.trigger_event(self.Delivered, by=by, at=at, on_behalf_of=on_behalf_of)

    def close(
        self,
        *,
        outstanding: Collection[str],
        waived: Collection[str] = (),
        reason: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """End the work on a course. `outstanding` are the codes of what is left to do, as the views say.

        :raises CourseUnfinished: some of that isn't waived; names it.
        """
        self._must_be("close it", Stage.DELIVERED)
        if left := [code for code in outstanding if code not in waived]:
            raise CourseUnfinished(left)
        if outstanding:
            must_say_why(reason or "")
        self.trigger_event(
            self.Closed, waived=tuple(outstanding), reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of
        )

    def reopen(
        self, *, reason: str, note: Private | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Take up the work on a closed course again."""
        self._must_be("reopen it", Stage.CLOSED)
        must_say_why(reason)
        self.trigger_event(self.Reopened, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    # Its sessions, as they happen.

    def hold_session(
        self,
        *,
        session: int,
        started: datetime,
        ended: datetime,
        trainers: Collection[UUID],
        contact_minutes: int,
        reason: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record when a session really started and ended, who taught, and how many minutes.

        A second time it is a correction, and needs a reason.

        :raises HeldImpossibly: the times or minutes contradict each other, or the plan by half a day.
        :raises LeadNotPresent: the lead wasn't there, and nobody had replaced them.
        :raises NotOnTheCourse: somebody taught who was no trainer of the course then.
        :raises SessionAlreadyHeld: it is on record, and there is no reason for a correction.
        """
        self._must_be("hold a session", Stage.OPEN, Stage.DELIVERED)
        planned = self._session(session)
        if session in self.held_sessions and reason is None:
            raise SessionAlreadyHeld(
                f"Session {session} is on record as held. To correct that, give a reason.", field="reason"
            )
        if reason is not None:
            must_say_why(reason)
        _check_held(planned, started, ended, contact_minutes)
        roles = self._roles_on(started)
        present = tuple(dict.fromkeys(trainers))
        if any(trainer not in roles for trainer in present):
            raise NotOnTheCourse(
                "Somebody who taught is no trainer of the course. Assign them first.", field="trainers"
            )
        lead = next((trainer for trainer in present if roles[trainer] is Role.LEAD), None)
        if lead is None:
            raise LeadNotPresent(
                "The lead isn't among those who taught. Replace the lead first, if somebody else led.", field="trainers"
            )
        self.trigger_event(
            self.SessionHeld,
            session=session,
            started=started,
            ended=ended,
            trainers=present,
            lead=lead,
            contact_minutes=contact_minutes,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def curtail_session(
        self,
        *,
        session: int,
        contact_minutes: int,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Record that a session had fewer contact minutes than planned, or than was recorded.

        :raises NotCurtailed: it hasn't more anyway.
        """
        self._must_be("curtail a session", Stage.OPEN, Stage.DELIVERED)
        must_say_why(reason)
        now = self.offered.get(session, self._session(session).contact_minutes)
        if contact_minutes < 0:
            raise HeldImpossibly("A session can't have less than no contact minutes.", field="contact_minutes")
        if contact_minutes >= now:
            raise NotCurtailed(
                f"Session {session} has {now} contact minutes; {contact_minutes} are not fewer.",
                field="contact_minutes",
            )
        self.trigger_event(
            self.SessionCurtailed,
            session=session,
            contact_minutes=contact_minutes,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def add_session(
        self,
        *,
        plan: SessionPlan,
        policy: CredentialPolicy,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> int:
        """Add a session, for instance to make up for a curtailed one, and return its number.

        A delivered course is open again by it, though not for enrolments.
        """
        self._must_be("add a session", Stage.OPEN, Stage.DELIVERED)
        must_say_why(reason)
        check([plan])
        check([*self.planned.values(), plan])
        session = numbered(plan, self.last_number + 1)
        cautions = self._cautions([*self.sessions, session], policy, reason)
        self.trigger_event(
            self.SessionAdded,
            session=session,
            warnings=cautions,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return session.number

    def cancel_session(
        self,
        *,
        session: int,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Drop a session that won't take place; its number is never used again.

        :raises SessionAlreadyHeld: it took place.
        :raises OnlySession: it is the only one left.
        """
        self._must_be("cancel a session", Stage.OPEN)
        must_say_why(reason)
        self._session(session)
        if session in self.held_sessions:
            raise SessionAlreadyHeld(f"Session {session} has been held and can't be cancelled. Curtail it, if need be.")
        if len(self.planned) == 1:
            raise OnlySession(f"Session {session} is the only one left. Cancel the course instead.")
        self.trigger_event(
            self.SessionCancelled, session=session, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of
        )

    def _session(self, number: int) -> Session:
        session = self.planned.get(number)
        if session is None:
            known = ", ".join(map(str, sorted(self.planned))) or "none"
            raise UnknownSession(f"The course has no session {number}; its sessions are {known}.", field="session")
        return session

    # Its seats and its queue.

    def request_seat(
        self,
        *,
        person: UUID,
        enrolment: UUID,
        override: str | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Standing:
        """Give somebody a seat, or a place at the end of the queue.

        `override` is the registrar's reason to give a seat beyond the capacity, or after the end of
        enrolment; where a seat is free anyway, nothing is overridden and nothing said of it.

        :raises SeatAlreadyTaken, AlreadyQueued: one live enrolment per person.
        :raises EnrolmentIsClosed: the course takes no more.
        """
        self._must_be("enrol somebody", Stage.OPEN)
        if override is not None:
            must_say_why(override, field="override")
        self._must_be_new(person)
        if not self.enrolment_open and override is None:
            raise EnrolmentIsClosed("The course takes no more enrolments. Reopen its enrolment first.")
        free = self._seat_is_free()
        if not free and override is None:
            self.trigger_event(
                self.Queued,
                person=person,
                enrolment=enrolment,
                ticket=self.last_ticket + 1,
                by=by,
                at=at,
                on_behalf_of=on_behalf_of,
            )
            return Standing.QUEUED
        beyond = None if free and self.enrolment_open else override
        self._take_seat(person, enrolment, beyond, by, at, on_behalf_of)
        return Standing.CONFIRMED

    def confirm_held(
        self, *, person: UUID, override: str | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Give somebody who waits the seat that is held for them, or one that is free.

        With `override`, a reason, anybody who waits gets a seat beyond the capacity.

        :raises NoSeatHeld: somebody else comes first.
        """
        self._must_be("give somebody a seat", Stage.OPEN)
        if override is not None:
            must_say_why(override, field="override")
        waiting = self._waiting(person)
        entitled = person in self.held_seats or self._seat_is_free()
        if not entitled and override is None:
            raise NoSeatHeld(
                f"No seat is held for this person, who is number {self.rank_of(person)} in the queue. Wait until "
                "it is their turn, or give a reason for a seat beyond the capacity."
            )
        self._take_seat(person, waiting.enrolment, None if entitled else override, by, at, on_behalf_of)

    def skip(
        self,
        *,
        person: UUID,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Pass over somebody for whom a seat is held, and hold it for the next.

        They keep their ticket, and come first again when another seat frees.

        :raises NoSeatHeld: none is held for them.
        """
        self._must_be("skip somebody", Stage.OPEN)
        must_say_why(reason)
        self._waiting(person)
        if person not in self.held_seats:
            raise NoSeatHeld("No seat is held for this person, so there is nothing to skip.")
        self.trigger_event(
            self.SkippedInQueue, person=person, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of
        )
        self._hold_free_seats(by, at, on_behalf_of)

    def free_seat(self, *, person: UUID, reason: str, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Take back somebody's seat, or their place in the queue. A seat is held for the next.

        :raises NoSeat: they have neither.
        """
        self._must_be("free a seat", Stage.OPEN, Stage.DELIVERED, Stage.CANCELLED)
        must_say_why(reason)
        if person in self.seats:
            self.trigger_event(self.SeatFreed, person=person, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)
        else:
            self._waiting(person)
            self.trigger_event(self.QueueLeft, person=person, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)
        self._hold_free_seats(by, at, on_behalf_of)

    def substitute(
        self, *, old: UUID, new: UUID, new_enrolment: UUID, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Give the seat of one person to another, before anybody in the queue.

        :raises NoSeat: the old one has no seat.
        :raises SeatAlreadyTaken: the new one has one.
        """
        self._must_be("substitute somebody", Stage.OPEN)
        if old == new:
            raise SamePerson("Somebody can't stand in for themselves. Is it a correction of the name?", field="new")
        if old not in self.seats:
            raise NoSeat("The person to be replaced has no seat on the course.", field="old")
        if new in self.seats:
            raise SeatAlreadyTaken("The person to take the seat has one already.", field="new")
        self.trigger_event(self.SeatFreed, person=old, reason="substituted", by=by, at=at, on_behalf_of=on_behalf_of)
        self._take_seat(new, new_enrolment, None, by, at, on_behalf_of)
        self._hold_free_seats(by, at, on_behalf_of)

    def admit_walk_in(
        self,
        *,
        person: UUID,
        enrolment: UUID,
        override: str | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Give a seat to somebody who is there without one, whether or not enrolment is open.

        :raises CourseFull: no seat is free, and there is no `override`, the registrar's reason.
        :raises SeatAlreadyTaken: they have a seat.
        """
        self._must_be("admit a walk-in", Stage.OPEN, Stage.DELIVERED)
        if override is not None:
            must_say_why(override, field="override")
        self._must_have_no_seat(person)
        entitled = person in self.held_seats or self._seat_is_free()
        if not entitled and override is None:
            raise CourseFull(
                f"All {self.capacity} seats are taken or held. A registrar can give a reason for one more.",
                field="override",
            )
        self._take_seat(person, enrolment, None if entitled else override, by, at, on_behalf_of)

    def _must_have_no_seat(self, person: UUID) -> None:
        if person in self.seats:
            raise SeatAlreadyTaken("This person has a seat on the course already.", field="person")

    def _must_be_new(self, person: UUID) -> None:
        self._must_have_no_seat(person)
        if person in self.queue:
            raise AlreadyQueued(
                f"This person is waiting already, as number {self.rank_of(person)} in the queue.", field="person"
            )

    def _waiting(self, person: UUID) -> Waiting:
        waiting = self.queue.get(person)
        if waiting is None:
            raise NoSeat(
                "This person is not in the queue."
                if person in self.seats
                else "This person has no seat on the course, and is not in the queue.",
                field="person",
            )
        return waiting

    def _seat_is_free(self) -> bool:
        return self.capacity is not None and self.capacity.holds(len(self.seats) + len(self.held_seats) + 1)

    def _take_seat(
        self, person: UUID, enrolment: UUID, override: str | None, by: UUID, at: datetime, on_behalf_of: UUID | None
    ) -> None:
        self.trigger_event(
            self.SeatTaken,
            person=person,
            enrolment=enrolment,
            override=override,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def _hold_free_seats(self, by: UUID, at: datetime, on_behalf_of: UUID | None) -> None:
        """Hold each free seat for the first in the queue who has none held and wasn't passed over."""
        if self.stage is not Stage.OPEN:
            return
        for person, waiting in list(self.queue.items()):
            if not self._seat_is_free():
                return
            if person not in self.held_seats and person not in self.passed_over:
                self.trigger_event(
                    self.SeatHeld, person=person, ticket=waiting.ticket, by=by, at=at, on_behalf_of=on_behalf_of
                )

    def _must_be(self, doing: str, *stages: Stage) -> None:
        if self.stage not in stages:
            raise CourseStage(f"To {doing}, the course has to be {' or '.join(stages)}; it is {self.stage}.")

    class Event(Aggregate.Event):
        """Something happened to a course."""

    class Drafted(Event, AggregateCreated):
        TOPIC = "course.drafted"
        title: str
        body: str
        code: str
        policy_version: str
        format: str
        lo_edition: str | None
        language: str | None
        copied_from: UUID | None

    class Scheduled(Event):
        """The sessions were planned; `warnings` is what the policy held against them, `reason` why all the same."""

        TOPIC = "course.scheduled"
        sessions: tuple[Session, ...]
        policy_version: str
        warnings: tuple[str, ...]
        reason: str | None
        note: Private | None

        def apply(self, course: Course) -> None:
            course.stage = Stage.SCHEDULED
            _plan(course, self)

    class Rescheduled(Event):
        """The sessions were planned anew; `sessions` are all of them, moved or not."""

        TOPIC = "course.rescheduled"
        sessions: tuple[Session, ...]
        policy_version: str
        warnings: tuple[str, ...]
        reason: str
        note: Private | None

        def apply(self, course: Course) -> None:
            _plan(course, self)

    class TrainerAssigned(Event):
        """Somebody has this role on the course, in place of any other; `since` None is from its beginning."""

        TOPIC = "course.trainer_assigned"
        trainer_person: UUID
        role: Role
        since: datetime | None

        def apply(self, course: Course) -> None:
            course.appointments.append(Appointment(self.since, self.trainer_person, self.role))
            course.trainers[self.trainer_person] = self.role

    class TrainerReleased(Event):
        """Somebody is no trainer of the course from `since` on; None is from its beginning, so never was."""

        TOPIC = "course.trainer_released"
        trainer_person: UUID
        since: datetime | None
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.appointments.append(Appointment(self.since, self.trainer_person, None))
            del course.trainers[self.trainer_person]

    class Opened(Event):
        TOPIC = "course.opened"
        capacity: Capacity
        minimum: int | None

        def apply(self, course: Course) -> None:
            course.stage = Stage.OPEN
            course.enrolment_open = True
            course.capacity = self.capacity
            course.minimum = self.minimum

    class CapacityChanged(Event):
        TOPIC = "course.capacity_changed"
        capacity: Capacity
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.capacity = self.capacity
            course.passed_over.clear()

    class EnrolmentClosed(Event):
        TOPIC = "course.enrolment_closed"
        reason: str | None

        def apply(self, course: Course) -> None:
            course.enrolment_open = False

    class EnrolmentReopened(Event):
        TOPIC = "course.enrolment_reopened"
        reason: str | None

        def apply(self, course: Course) -> None:
            course.enrolment_open = True

    class Confirmed(Event):
        """The course will run."""

        TOPIC = "course.confirmed"
        reason: str | None
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.confirmed = True

    class ListedWithBody(Event):
        TOPIC = "course.listed_with_body"
        body: str
        external_id: str
        address: str | None

    class Cancelled(Event):
        TOPIC = "course.cancelled"
        reason: str
        note: Private | None

        def apply(self, course: Course) -> None:
            course.stage = Stage.CANCELLED
            course.enrolment_open = False

    class SessionHeld(Event):
        """A session took place, with these trainers; a second time it corrects the first."""

        TOPIC = "course.session_held"
        session: int
        started: datetime
        ended: datetime
        trainers: tuple[UUID, ...]
        lead: UUID
        contact_minutes: int
        reason: str | None = field(default=None, kw_only=True)
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.held_sessions[self.session] = self.lead
            course.offered[self.session] = self.contact_minutes
            course.schedule_version = self.originator_version

    class SessionCurtailed(Event):
        TOPIC = "course.session_curtailed"
        session: int
        contact_minutes: int
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.offered[self.session] = self.contact_minutes
            course.schedule_version = self.originator_version

    class SessionAdded(Event):
        TOPIC = "course.session_added"
        session: Session
        warnings: tuple[str, ...]
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.stage = Stage.OPEN
            course.planned[self.session.number] = self.session
            course.last_number = self.session.number
            course.schedule_version = self.originator_version

    class SessionCancelled(Event):
        TOPIC = "course.session_cancelled"
        session: int
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            del course.planned[self.session]
            course.offered.pop(self.session, None)
            course.schedule_version = self.originator_version

    class Delivered(Event):
        """All sessions have been held, or cancelled."""

        TOPIC = "course.delivered"

        def apply(self, course: Course) -> None:
            course.stage = Stage.DELIVERED
            course.enrolment_open = False

    class Closed(Event):
        """The work on the course is done; `waived` is what was left undone, by code."""

        TOPIC = "course.closed"
        waived: tuple[str, ...]
        reason: str | None
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.stage = Stage.CLOSED

    class Reopened(Event):
        TOPIC = "course.reopened"
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.stage = Stage.DELIVERED

    class SeatTaken(Event):
        """Somebody has a seat, and no longer waits for one; `override` is the reason for one beyond the capacity."""

        TOPIC = "course.seat_taken"
        person: UUID
        enrolment: UUID
        override: str | None

        def apply(self, course: Course) -> None:
            course.seats.add(self.person)
            _leave_queue(course, self.person)

    class Queued(Event):
        TOPIC = "course.queued"
        person: UUID
        enrolment: UUID
        ticket: int

        def apply(self, course: Course) -> None:
            course.queue[self.person] = Waiting(self.ticket, self.enrolment)
            course.last_ticket = self.ticket

    class SeatFreed(Event):
        """Somebody no longer has their seat. Who was passed over before comes first again."""

        TOPIC = "course.seat_freed"
        person: UUID
        reason: str

        def apply(self, course: Course) -> None:
            course.seats.remove(self.person)
            course.passed_over.clear()

    class SeatHeld(Event):
        """A free seat waits for this person, until the registrar confirms or skips them."""

        TOPIC = "course.seat_held"
        person: UUID
        ticket: int

        def apply(self, course: Course) -> None:
            course.held_seats.add(self.person)

    class QueueLeft(Event):
        TOPIC = "course.queue_left"
        person: UUID
        reason: str

        def apply(self, course: Course) -> None:
            _leave_queue(course, self.person)

    class SkippedInQueue(Event):
        """The held seat goes to the next; the person keeps their ticket and rank."""

        TOPIC = "course.skipped_in_queue"
        person: UUID
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, course: Course) -> None:
            course.held_seats.remove(self.person)
            course.passed_over.add(self.person)


def _plan(course: Course, event: Course.Scheduled | Course.Rescheduled) -> None:
    course.planned = {session.number: session for session in event.sessions}
    course.last_number = max(course.last_number, *course.planned)
    # What was curtailed before a session was held is planned anew; what was held stays as it was.
    course.offered = {number: course.offered[number] for number in course.held_sessions}
    course.policy_version = event.policy_version
    accepted = Caution.CONTACT_BELOW_POLICY in event.warnings
    course.accepted_minutes = course.contact_minutes if accepted else None
    course.schedule_version = event.originator_version


def _leave_queue(course: Course, person: UUID) -> None:
    course.queue.pop(person, None)
    course.held_seats.discard(person)
    course.passed_over.discard(person)


def _check_capacity(capacity: Capacity) -> None:
    if capacity.unlimited is (capacity.limit is not None):
        raise ImpossibleCapacity("Give a number of seats, or say that they are unlimited.", field="capacity")
    if capacity.limit is not None and capacity.limit < 1:
        raise ImpossibleCapacity("A course has at least one seat.", field="capacity")


def _check_held(planned: Session, started: datetime, ended: datetime, contact_minutes: int) -> None:
    for name, moment in (("started", started), ("ended", ended)):
        if moment.utcoffset() is None:
            raise TimeWithoutZone(f"{moment.isoformat()} has no offset from UTC.", field=name)
    if abs(started - planned.starts) > timedelta(hours=12):
        raise HeldImpossibly(
            f"Session {planned.number} is planned for {planned}. If it was on another day, reschedule it first.",
            field="started",
        )
    length = ended - started
    if not timedelta(minutes=1) <= length <= LONGEST:
        raise HeldImpossibly("A session lasts between one minute and 12 hours.", field="ended")
    if not 0 <= contact_minutes <= length // timedelta(minutes=1):
        raise HeldImpossibly(
            f"The session lasted {length // timedelta(minutes=1)} minutes; {contact_minutes} contact minutes "
            "can't be right.",
            field="contact_minutes",
        )
