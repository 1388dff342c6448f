"""Who may teach what from when to when, and when they are already teaching."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from domain.aggregate import Aggregate, AggregateCreated
from domain.credential import check_body
from domain.reason import must_say_why
from domain.refusal import Invalid, Refused
from domain.schedule import zone_named

TRAINERS = UUID("9e10c905-0e89-4691-88a5-d922055e566e")


class NotAuthorised(Refused):
    """The trainer's authorisation doesn't cover what they are to do on that date."""


class DoubleBooked(Refused):
    """The trainer is already teaching at that time."""


class NotBooked(Refused):
    """The trainer isn't booked for that course."""


class AlreadyAuthorised(Refused):
    """The very same authorisation is on record and in force."""


class UnknownAuthorisation(Refused):
    """The trainer has no authorisation of that number."""


class AuthorisationOver(Refused):
    """The authorisation has ended by that day anyway."""


class AuthorisationUnproven(Invalid):
    """An authorisation lacks its credential or its evidence."""


class AuthorisationDates(Invalid):
    """The dates of an authorisation contradict each other."""


class ImpossibleSlot(Invalid):
    """A slot ends before it starts, has no zone, or repeats the number of another."""


class Authority(StrEnum):
    """What an authorisation allows: to lead a course, or to co-train on the way to leading."""

    LEAD = "lead"
    CANDIDATE = "candidate"


class Role(StrEnum):
    """What a trainer is on a course. The lead attests and seals; a co-trainer marks."""

    LEAD = "lead"
    CO_TRAINER = "co_trainer"

    def allowed_by(self, authority: Authority | None) -> bool:
        """Tell whether somebody of this authority (or of none) may have this role."""
        return authority is Authority.LEAD or (self is Role.CO_TRAINER and authority is Authority.CANDIDATE)


@dataclass(frozen=True)
class Slot:
    """The time that one session takes: from `starts` up to but not including `ends`, in UTC."""

    session: int
    starts: datetime
    ends: datetime

    def overlaps(self, other: Slot) -> bool:
        """Tell whether nobody could be at both; one may begin in the moment the other ends."""
        return self.starts < other.ends and other.starts < self.ends

    def day(self, zone: str) -> date:
        """Return the date on which the session starts, where it takes place."""
        return self.starts.astimezone(ZoneInfo(zone)).date()


@dataclass(frozen=True)
class Authorisation:
    """That a trainer may teach a credential.

    `valid_until` is the last day on which it holds, `ended` the first on which it no longer does.
    """

    number: int
    body: str
    code: str
    role: Authority
    valid_from: date
    valid_until: date | None
    evidence: str
    ended: date | None = None

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and not self.over_by(day)

    def over_by(self, day: date) -> bool:
        """Tell whether the day lies after the last one on which this held."""
        return (self.valid_until is not None and self.valid_until < day) or (
            self.ended is not None and self.ended <= day
        )


@dataclass(frozen=True)
class Booking:
    """What a trainer is booked for on one course; dates are judged in the zone."""

    body: str
    code: str
    role: Role
    slots: tuple[Slot, ...]
    zone: str


class Trainer(Aggregate):
    """A person who teaches: their dated authorisations, and the times they are taken.

    A booking is saved together with the course that makes it, so that of two courses that want the
    same trainer at the same time only one can succeed.
    """

    TOPIC = "trainer"

    @staticmethod
    @lru_cache(maxsize=4_096)  # Asked for with each mark that a trainer takes.
    def create_id(person: UUID) -> UUID:
        return uuid5(TRAINERS, str(person))

    def __init__(self, person: UUID) -> None:
        self.person = person
        self.authorisations: dict[int, Authorisation] = {}
        self.bookings: dict[UUID, Booking] = {}

    @classmethod
    def register(cls, *, person: UUID, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> Trainer:
        return cls._create(cls.Registered, person=person, by=by, at=at, on_behalf_of=on_behalf_of)

    def authority_on(self, body: str, code: str, on: date) -> Authority | None:
        """Return the highest authority for a credential on a date where the course takes place."""
        held = {
            authorisation.role
            for authorisation in self.authorisations.values()
            if (authorisation.body, authorisation.code) == (body, code) and authorisation.holds_on(on)
        }
        return next((authority for authority in Authority if authority in held), None)

    def courses_without_authority(self) -> tuple[UUID, ...]:
        """Return the booked courses that the trainer may not teach on every date, as things stand.

        A booking is made with authority; a body may take it away later, which no rule of ours can
        refuse. Then somebody has to replace the trainer.
        """
        return tuple(course for course, booking in self.bookings.items() if self._days_without(booking))

    def authorise(
        self,
        *,
        body: str,
        code: str,
        role: Authority,
        valid_from: date,
        valid_until: date | None,
        evidence: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> int:
        """Record an authorisation as the body gave it, and return its number.

        :raises UnknownBody: there is no such body.
        :raises AuthorisationUnproven: no credential or no evidence is named.
        :raises AuthorisationDates: it ends before it begins.
        :raises AlreadyAuthorised: the same is on record and wasn't ended.
        """
        check_body(body)
        for field, value in (("code", code), ("evidence", evidence)):
            if not value.strip():
                raise AuthorisationUnproven(
                    f"An authorisation needs the code of a credential and a reference to its"
                    f" evidence; the {field} is empty.",
                    field=field,
                )
        if valid_until is not None and valid_until < valid_from:
            raise AuthorisationDates(
                f"The authorisation would end on {valid_until}, before it begins on {valid_from}.",
                field="valid_until",
            )
        number = len(self.authorisations) + 1
        said = Authorisation(number, body, code, role, valid_from, valid_until, evidence)
        for known in self.authorisations.values():
            if replace(known, number=number) == said:
                raise AlreadyAuthorised(f"This authorisation is already on record, as number {known.number}.")
        self.trigger_event(
            self.Authorised,
            number=number,
            body=body,
            code=code,
            role=role,
            valid_from=valid_from,
            valid_until=valid_until,
            evidence=evidence,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return number

    def end_authorisation(
        self,
        *,
        number: int,
        on: date,
        reason: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> tuple[UUID, ...]:
        """End an authorisation so that it no longer holds on that day, nor later.

        An end may move to an earlier day, never to a later one. An authorisation recorded in error
        ends on the day it began. Returns the courses that the trainer is booked for without
        authority now.

        :raises UnknownAuthorisation: there is none of that number.
        :raises AuthorisationDates: the day lies before the first one.
        :raises AuthorisationOver: it doesn't hold on that day anyway.
        """
        must_say_why(reason)
        known = self.authorisations.get(number)
        if known is None:
            raise UnknownAuthorisation(f"This trainer has no authorisation number {number}.")
        if on < known.valid_from:
            raise AuthorisationDates(
                f"Authorisation {number} began on {known.valid_from} and can't end on {on}. If it"
                " never held, end it on the day it began.",
                field="on",
            )
        if known.over_by(on):
            raise AuthorisationOver(
                f"Authorisation {number} is already over by {on}. If it holds longer, record what"
                " the body says as a new authorisation."
            )
        self.trigger_event(
            self.AuthorisationEnded,
            number=number,
            on=on,
            reason=reason,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return self.courses_without_authority()

    def book(
        self,
        *,
        course: UUID,
        body: str,
        code: str,
        role: Role,
        slots: Iterable[Slot],
        zone: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Take the trainer's time for all sessions of a course, in place of an earlier booking.

        A course that has no dates yet is booked without slots, and judged when it is booked again
        with them. Saying the same again records nothing.

        :raises NotAuthorised: the role isn't allowed on a session's local date; names the dates.
        :raises DoubleBooked: a slot overlaps one of another course, or of this.
        :raises ImpossibleSlot, UnknownZone: the slots make no sense.
        """
        wanted = Booking(body, code, role, _in_order(slots), zone)
        zone_named(zone)
        self._must_be_authorised(wanted)
        self._must_be_free(course, wanted)
        if self.bookings.get(course) == wanted:
            return
        self.trigger_event(
            self.Booked,
            course=course,
            body=body,
            code=code,
            role=role,
            slots=wanted.slots,
            zone=zone,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def release(
        self,
        *,
        course: UUID,
        reason: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Give back the time that a course had taken.

        :raises NotBooked: it has taken none.
        """
        must_say_why(reason)
        if course not in self.bookings:
            raise NotBooked("This trainer isn't booked for the course, so nothing is released.")
        self.trigger_event(self.Released, course=course, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    def _days_without(self, booking: Booking) -> list[date]:
        days = sorted({slot.day(booking.zone) for slot in booking.slots})
        return [day for day in days if not booking.role.allowed_by(self.authority_on(booking.body, booking.code, day))]

    def _must_be_authorised(self, wanted: Booking) -> None:
        days = self._days_without(wanted)
        if not days:
            return
        dates = ", ".join(map(str, days))
        credential = f"{wanted.body}/{wanted.code}"
        if wanted.role is Role.LEAD and all(self.authority_on(wanted.body, wanted.code, day) for day in days):
            raise NotAuthorised(
                f"On {dates} this trainer is only a candidate for {credential}: a candidate may"
                " co-train, not lead. Choose another lead, or record the authorisation to lead."
            )
        raise NotAuthorised(
            f"This trainer isn't authorised for {credential} on {dates}. Choose another trainer or"
            " other dates, or record the authorisation with its evidence."
        )

    def _must_be_free(self, course: UUID, wanted: Booking) -> None:
        zone = ZoneInfo(wanted.zone)
        for one, other in combinations(wanted.slots, 2):
            if one.overlaps(other):
                raise DoubleBooked(
                    f"Sessions {one.session} and {other.session} of the course overlap; nobody can teach both."
                )
        for other_course, booking in self.bookings.items():
            if other_course == course:
                continue
            for slot in wanted.slots:
                for taken in booking.slots:
                    if slot.overlaps(taken):
                        starts, ends = (moment.astimezone(zone) for moment in (taken.starts, taken.ends))
                        raise DoubleBooked(
                            f"For session {slot.session} this trainer is not free: from"
                            f" {starts:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} ({wanted.zone})"
                            f" they teach session {taken.session} of course {other_course}. Choose"
                            " another trainer or another time."
                        )

    class Event(Aggregate.Event):
        """Something happened to a trainer."""

    class Registered(Event, AggregateCreated):
        """A person became known as a trainer; what they may teach is said separately."""

        TOPIC = "trainer.registered"
        person: UUID

    class Authorised(Event):
        """A body was seen to authorise the trainer for a credential, `valid_until` included."""

        TOPIC = "trainer.authorised"
        number: int
        body: str
        code: str
        role: Authority
        valid_from: date
        valid_until: date | None
        evidence: str

        def apply(self, trainer: Trainer) -> None:
            trainer.authorisations[self.number] = Authorisation(
                number=self.number,
                body=self.body,
                code=self.code,
                role=self.role,
                valid_from=self.valid_from,
                valid_until=self.valid_until,
                evidence=self.evidence,
            )

    class AuthorisationEnded(Event):
        """An authorisation holds no longer; `on` is the first day without it."""

        TOPIC = "trainer.authorisation_ended"
        number: int
        on: date
        reason: str

        def apply(self, trainer: Trainer) -> None:
            known = trainer.authorisations[self.number]
            trainer.authorisations[self.number] = replace(known, ended=self.on)

    class Booked(Event):
        """The trainer's time was taken for a course, in place of what the course had before."""

        TOPIC = "trainer.booked"
        course: UUID
        body: str
        code: str
        role: Role
        slots: tuple[Slot, ...]
        zone: str

        def apply(self, trainer: Trainer) -> None:
            trainer.bookings[self.course] = Booking(self.body, self.code, self.role, self.slots, self.zone)

    class Released(Event):
        """The course gave the trainer's time back."""

        TOPIC = "trainer.released"
        course: UUID
        reason: str

        def apply(self, trainer: Trainer) -> None:
            del trainer.bookings[self.course]


def _in_order(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """Return the slots by time, once each makes sense and no number comes twice."""
    ordered = tuple(slots)
    for slot in ordered:
        if slot.starts.utcoffset() is None or slot.ends.utcoffset() is None:
            raise ImpossibleSlot(f"The times of session {slot.session} have no zone.")
        if slot.ends <= slot.starts:
            raise ImpossibleSlot(f"Session {slot.session} ends before it has begun.")
    if len({slot.session for slot in ordered}) < len(ordered):
        raise ImpossibleSlot("Two of the sessions have the same number.")
    return tuple(sorted(ordered, key=lambda slot: (slot.starts, slot.session)))
