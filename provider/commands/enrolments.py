"""Who comes to a course: requests and the queue, walk-ins and substitutes, and what is said of each learner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Unpack
from uuid import UUID

from domain.aggregate import Aggregate
from domain.course import Course, SeatAlreadyTaken, Standing, UnknownSession
from domain.enrolment import Enrolment, MakeUp, MakeUpKind, Source, Stage
from domain.person import LinkedElsewhere, Person, Witness
from domain.refusal import Invalid, Refused
from domain.register import AttendanceRegister, Status
from domain.trainer import Trainer
from projections import roster
from provider.commands.people import Reached, newcomer
from provider.log import NotFound
from provider.work import Receipt, Work, command


class IdNotRandom(Invalid):
    """The id that a client gives a new person has to be drawn at random: a UUID of version 4."""


class IdTaken(Refused):
    """The id of a new person is that of somebody else, or of some other thing."""


class NotMarkedThere(Refused):
    """The register that is to prove a make-up doesn't have the learner as present."""


@command
def request(
    work: Work,
    *,
    course: UUID,
    person: UUID | None = None,
    order_reference: str | None = None,
    override: str | None = None,
    source: Source = Source.API,
    **names: Unpack[Reached],
) -> Receipt:
    """Enrol somebody known, or somebody new: a seat, or a place in the queue.

    `names` make a new person in the same record; `person` is then an id that the caller has drawn at random, or None.
    Who had left the course requests again. `override` is a reason for a seat beyond the capacity. The outcome is
    `confirmed` or `queued`, the other id that of the person.

    :raises NotFound: there is no such course; or no such person, and no names.
    :raises SeatAlreadyTaken, AlreadyQueued, EnrolmentIsClosed: as the course says.
    """
    learner = _learner(work, person, names, source)
    stream = Enrolment.create_id(course, learner.id)
    with work.alone(f"course/{course}"):
        seats = work.get(Course, course)
        standing = seats.request_seat(person=learner.id, enrolment=stream, override=override, **work.by)
        known = work.find(Enrolment, stream)
        if known is None:
            known = Enrolment.request(
                course=course,
                person=learner.id,
                standing=standing,
                source=source,
                order_reference=order_reference,
                **work.by,
            )
        else:
            known.request_again(standing=standing, source=source, order_reference=order_reference, **work.by)
        return work.record(known, seats, learner, outcome=standing.value, ids=[learner.id])


@command
def request_again(
    work: Work, *, enrolment: UUID, order_reference: str | None = None, override: str | None = None
) -> Receipt:
    """Enrol somebody again who had left the course. The outcome is `confirmed` or `queued`."""
    with _seats_of(work, enrolment) as (known, seats):
        standing = seats.request_seat(person=known.person, enrolment=enrolment, override=override, **work.by)
        known.request_again(standing=standing, order_reference=order_reference, **work.by)
        return work.record(known, seats, outcome=standing.value)


@command
def confirm(work: Work, *, enrolment: UUID, override: str | None = None) -> Receipt:
    """Give somebody who waits the seat that is held for them; with `override`, a reason, one beyond the capacity.

    :raises NoSeatHeld: somebody else comes first.
    """
    with _seats_of(work, enrolment) as (known, seats):
        seats.confirm_held(person=known.person, override=override, **work.by)
        known.confirm(**work.by)
        return work.record(known, seats, outcome=known.stage.value)


@command
def skip(work: Work, *, enrolment: UUID, reason: str, note: str | None = None) -> Receipt:
    """Pass over somebody for whom a seat is held; they keep their ticket, and the seat is held for the next.

    :raises NoSeatHeld: none is held for them.
    """
    with _seats_of(work, enrolment) as (known, seats):
        seats.skip(person=known.person, reason=reason, note=work.seal(known.person, note), **work.by)
        return work.record(known, seats, outcome=known.stage.value)


@command
def withdraw(work: Work, *, enrolment: UUID, reason: str, note: str | None = None) -> Receipt:
    """End an enrolment by the learner's wish. A seat that frees is held for the first in the queue."""
    with _seats_of(work, enrolment) as (known, seats):
        known.withdraw(reason=reason, note=work.seal(known.person, note), **work.by)
        seats.free_seat(person=known.person, reason=reason, **work.by)
        return work.record(known, seats, outcome=known.stage.value)


@command
def cancel(work: Work, *, enrolment: UUID, reason: str, note: str | None = None) -> Receipt:
    """End an enrolment by the institution's decision. A seat that frees is held for the first in the queue."""
    with _seats_of(work, enrolment) as (known, seats):
        known.cancel(reason=reason, note=work.seal(known.person, note), **work.by)
        seats.free_seat(person=known.person, reason=reason, **work.by)
        return work.record(known, seats, outcome=known.stage.value)


@command
def substitute(
    work: Work,
    *,
    enrolment: UUID,
    reason: str,
    note: str | None = None,
    person: UUID | None = None,
    **names: Unpack[Reached],
) -> Receipt:
    """Give somebody's seat to another human, known or new, before anybody in the queue. Marks never move.

    The other ids are those of the new enrolment and of the person who comes.

    :raises SamePerson, SeatAlreadyTaken: the one who comes is the one who goes, or has a seat.
    """
    learner = _learner(work, person, names, Source.SUBSTITUTION)
    with _seats_of(work, enrolment) as (known, seats):
        theirs = known.substitute(person=learner.id, reason=reason, note=work.seal(known.person, note), **work.by)
        if seats.has_seat(learner.id):
            raise SeatAlreadyTaken("The person to take the seat has one already.", field="person")
        seats.substitute(old=known.person, new=learner.id, new_enrolment=theirs, **work.by)
        coming = work.find(Enrolment, theirs)
        if coming is None:
            coming = Enrolment.request(
                course=known.course,
                person=learner.id,
                standing=Standing.CONFIRMED,
                source=Source.SUBSTITUTION,
                substitutes=enrolment,
                **work.by,
            )
        elif coming.stage is Stage.QUEUED:
            coming.confirm(**work.by)
        else:
            coming.request_again(
                standing=Standing.CONFIRMED, source=Source.SUBSTITUTION, substitutes=enrolment, **work.by
            )
        return work.record(known, coming, seats, learner, outcome=known.stage.value, ids=[theirs, learner.id])


@command
def admit_walk_in(
    work: Work,
    *,
    course: UUID,
    person: UUID,
    session: int,
    override: str | None = None,
    **names: Unpack[Reached],
) -> Receipt:
    """Give a seat to somebody who came to a session without one, known or new; a registrar confirms them later.

    A device draws a new person's id itself, so that marks can wait behind the walk-in while it is offline. The same
    walk-in again changes nothing and answers the same. `override` is the registrar's reason for a seat beyond the
    capacity. The other id is that of the person.

    :raises IdTaken, IdNotRandom: the id can't be that of this new person.
    :raises CourseFull: no seat is free, and there is no override.
    """
    learner = _learner(work, person, names, Source.WALK_IN)
    stream = Enrolment.create_id(course, learner.id)
    with work.alone(f"course/{course}"):
        seats = work.get(Course, course)
        _must_have(seats, session)
        known = work.find(Enrolment, stream)
        if known is not None and _came_before(work, stream, session):
            return work.record(known, outcome=known.stage.value, ids=[learner.id])
        entitled = seats.seat_held_for(learner.id) or seats.seats_free != 0
        seats.admit_walk_in(person=learner.id, enrolment=stream, override=override, **work.by)
        if known is None:
            known = Enrolment.request(
                course=course, person=learner.id, standing=Standing.CONFIRMED, source=Source.WALK_IN, **work.by
            )
        elif not known.live:
            known.request_again(standing=Standing.CONFIRMED, source=Source.WALK_IN, **work.by)
        known.admit_walk_in(session=session, override=None if entitled else override, **work.by)
        return work.record(known, seats, learner, outcome=known.stage.value, ids=[learner.id])


@command
def confirm_walk_in(work: Work, *, enrolment: UUID) -> Receipt:
    """Make a walk-in an enrolment like any other. To turn a walk-in away is to cancel their enrolment."""
    known = work.addressed(Enrolment, enrolment)
    known.confirm_walk_in(**work.by)
    return work.record(known, outcome=known.stage.value)


@command
def declare_no_show(work: Work, *, enrolment: UUID, reason: str, note: str | None = None) -> Receipt:
    """Record that somebody with a seat never came.

    :raises WasPresent: a mark that stands has them there.
    """
    # Whoever was marked a moment ago was there.
    work.office.views.catch_up()
    known = work.addressed(Enrolment, enrolment)
    row = roster.enrolment(work.read, enrolment)
    attended = row is not None and any(Status(mark["status"]).attended for mark in row["marks"].values())
    known.declare_no_show(attended=attended, reason=reason, note=work.seal(known.person, note), **work.by)
    return work.record(known, outcome=known.stage.value)


@command
def lift_no_show(work: Work, *, enrolment: UUID, reason: str, note: str | None = None) -> Receipt:
    """Take back that somebody never came."""
    known = work.addressed(Enrolment, enrolment)
    known.lift_no_show(reason=reason, note=work.seal(known.person, note), **work.by)
    return work.record(known, outcome=known.stage.value)


@command
def ask_body_email(work: Work, *, enrolment: UUID, body: str, answered: bool, email: str | None = None) -> Receipt:
    """Record that the learner was asked by which e-mail a body knows them, and the answer with the person."""
    known = work.addressed(Enrolment, enrolment)
    known.ask_body_email(body=body, answered=answered, **work.by)
    if email is None:
        return work.record(known)
    learner = work.get(Person, known.person)
    held = learner.body_email(body)
    if held is None or work.office.vault.open_one(held) != email:
        learner.state_body_email(body=body, email=work.seal(learner.id, email), source=Witness.PERSON, **work.by)
    return work.record(known, learner)


@command
def declare_prerequisite(work: Work, *, enrolment: UUID, evidence: str) -> Receipt:
    """Record that the learner declares to meet the credential's prerequisite; it never keeps anybody out."""
    known = work.addressed(Enrolment, enrolment)
    known.declare_prerequisite(evidence=evidence, **work.by)
    return work.record(known)


@command
def credit_make_up(
    work: Work,
    *,
    enrolment: UUID,
    session: int,
    minutes: int,
    kind: MakeUpKind,
    trainer: UUID,
    evidence: str,
    elsewhere_course: UUID | None = None,
    elsewhere_session: int | None = None,
) -> Receipt:
    """Credit time spent elsewhere for time missed in a session. The other id is the credit's number.

    Time in a session of another course is proven by its register, which must have the learner as present.

    :raises UnknownSession, NotMarkedThere, MakeUpUnsound, EvidenceMissing: as their names say.
    """
    known = work.addressed(Enrolment, enrolment)
    _must_have(work.get(Course, known.course), session)
    if work.find(Trainer, Trainer.create_id(trainer)) is None:
        raise NotFound(f"There is no trainer {trainer}.")
    number = known.credit_make_up(
        session=session,
        minutes=minutes,
        elsewhere=_elsewhere(work, kind, elsewhere_course, elsewhere_session, known.person),
        trainer=trainer,
        evidence=evidence,
        **work.by,
    )
    return work.record(known, ids=[number])


@command
def withdraw_make_up(work: Work, *, enrolment: UUID, number: int, reason: str, note: str | None = None) -> Receipt:
    """Take back a credit.

    :raises UnknownMakeUp: there is none of that number, or no longer.
    """
    known = work.addressed(Enrolment, enrolment)
    known.withdraw_make_up(number=number, reason=reason, note=work.seal(known.person, note), **work.by)
    return work.record(known, ids=[number])


@contextmanager
def _seats_of(work: Work, enrolment: UUID) -> Iterator[tuple[Enrolment, Course]]:
    """Give the addressed enrolment and its course, loaded while nobody else changes the course's seats."""
    course = work.get(Enrolment, enrolment).course
    with work.alone(f"course/{course}"):
        yield work.addressed(Enrolment, enrolment), work.get(Course, course)


def _learner(work: Work, said: UUID | None, names: Reached, source: Source) -> Person:
    """Return the person that is known by this id, or a new one of this name.

    :raises NotFound: nobody is known by this id, and no name was said.
    :raises LinkedElsewhere: the record was merged into another.
    """
    names = {name: value for name, value in names.items() if value is not None}  # type: ignore[assignment]
    if said is None:
        return newcomer(work, person=work.new_id(), source=source.value, **names)
    known = work.find(Aggregate, said)
    if known is None:
        if not names:
            raise NotFound(f"There is no person {said}.")
        if said.version != 4:
            # A derived id could be the one that some enrolment will have.
            raise IdNotRandom("Draw the id of a new person at random, as a UUID of version 4.", field="person")
        return newcomer(work, person=said, source=source.value, **names)
    if not isinstance(known, Person):
        if not names:
            raise NotFound(f"There is no person {said}.")
        raise IdTaken("This is the id of something else. Draw another one for the new person.", field="person")
    if known.linked_to is not None:
        raise LinkedElsewhere(f"This record was merged into {known.linked_to}. Enrol that one.", field="person")
    if names and not _is_called(work, known, names):
        raise IdTaken(
            "This is the id of somebody who is called otherwise. Draw another one for a new person, or leave the "
            "names out.",
            field="person",
        )
    return known


def _is_called(work: Work, known: Person, names: Reached) -> bool:
    """Tell whether these may be the names that a person came with; once they were corrected, nobody can tell."""
    if known.names_version > 1:
        return True
    held = vars(known.names)
    values = work.office.vault.open(held.values())
    return all(names.get(name) == (None if handle is None else values[handle]) for name, handle in held.items())


def _came_before(work: Work, enrolment: UUID, session: int) -> bool:
    """Tell whether this very walk-in is on record."""
    # Who recorded it let go of the lock before the views caught up.
    work.office.views.catch_up()
    row = roster.enrolment(work.read, enrolment)
    return row is not None and row["walk_in"] == session


def _must_have(course: Course, session: int) -> None:
    if session not in course.planned:
        numbers = ", ".join(map(str, sorted(course.planned))) or "none"
        raise UnknownSession(f"The course has no session {session}; its sessions are {numbers}.", field="session")


def _elsewhere(work: Work, kind: MakeUpKind, course: UUID | None, session: int | None, learner: UUID) -> MakeUp:
    """Return where time was made up; what is missing or too much in it is the domain's to refuse."""
    if kind is MakeUpKind.TUTORIAL or course is None or session is None:
        return MakeUp(kind, course, session)
    stream = AttendanceRegister.create_id(course, session)
    register = work.find(AttendanceRegister, stream)
    mark = None if register is None else register.mark_of(learner)
    if mark is None or not mark.status.attended:
        raise NotMarkedThere(
            f"The register of session {session} of that course doesn't have this learner as present. Record them "
            "there first, as a walk-in if need be.",
            field="elsewhere/session",
        )
    return MakeUp(kind, course, session, stream)
