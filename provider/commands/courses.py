"""When a course takes place, who teaches it, and how far it has come."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.course import Capacity, Course, Role
from domain.credential import CredentialPolicy, policy_named, policy_on
from domain.enrolment import Enrolment
from domain.enrolment import Stage as EnrolmentStage
from domain.institution import Institution
from domain.refusal import Invalid, Refused
from domain.register import AttendanceRegister
from domain.schedule import Caution, Session, SessionPlan, first_date, from_local, numbered, zone_named
from domain.trainer import NotAuthorised, Trainer
from projections import completion, directory, discrepancies, submission
from provider.work import NotFound, Receipt, Work, command

COURSE_CANCELLED = "course_cancelled"
"""Why a trainer is released and an enrolment cancelled, where the course is."""


class UnknownTrainer(Invalid):
    """The person is not on record as a trainer."""


class NumbersTooEarly(Invalid):
    """The first plan of a course can't name sessions by number."""


class HeldInFuture(Invalid):
    """A session can't be recorded as held before it is over."""


class SessionSealed(Refused):
    """The register of the session is sealed: it took place when it did."""


@dataclass(frozen=True)
class LocalSession:
    """A session as it is asked for: a day, and what the clock on the wall shows, as "HH:MM".

    `zone` None is the institution's. `number` names a session of the course that moves; None is a new one. `fold`
    says which of two equal times is meant where the clocks go back, `end_fold` that of the end where it is another.
    """

    day: date
    start: str
    end: str
    zone: str | None = None
    contact_minutes: int | None = None
    place: str | None = None
    fold: int | None = None
    end_fold: int | None = None
    number: int | None = None


@command
def draft(
    work: Work,
    *,
    title: str,
    body: str,
    code: str,
    format: str,  # noqa: A002 (the word that everybody uses for it)
    lo_edition: str | None = None,
    language: str | None = None,
    first_day: date | None = None,
) -> Receipt:
    """Begin a course for a credential, by the rules in force on its first day, or today where that is not known."""
    policy = policy_on(directory.policies(work.read), body=body, code=code, on=first_day or _today(work))
    drafted = Course.draft(
        course=work.new_id(),
        title=title,
        policy=policy,
        format=format,
        lo_edition=lo_edition,
        language=language,
        **work.by,
    )
    return work.record(drafted)


@command
def copy(
    work: Work,
    *,
    course: UUID,
    first_day: date,
    title: str | None = None,
    fold: int | None = None,
    reason: str | None = None,
    note: str | None = None,
) -> Receipt:
    """Make a new course with the same facts, moved by whole days so that it begins on `first_day`.

    Trainers, seats and the listing stay behind; the receipt is about the new course.
    """
    original = work.get(Course, course)
    policy = policy_on(directory.policies(work.read), body=original.body, code=original.code, on=first_day)
    try:
        copied = original.copy(
            course=work.new_id(),
            first_day=first_day,
            policy=policy,
            title=title,
            fold=fold,
            reason=reason,
            note=work.note(note),
            **work.by,
        )
    except Invalid as error:
        if error.field is not None and error.field.startswith("sessions"):
            error.field = "first_day"  # It is the day that makes an hour too many or too few of a session.
        raise
    _must_be_registered(work, copied)
    return work.record(copied)


@command
def schedule(
    work: Work,
    *,
    course: UUID,
    sessions: Sequence[LocalSession],
    reason: str | None = None,
    note: str | None = None,
) -> Receipt:
    """Plan the sessions of a draft; its trainers are booked for them.

    The reason answers what the credential's rules hold against the plan. The outcome is `warned` where they do.
    """
    with work.alone(f"course/{course}"):
        planned = work.addressed(Course, course)
        plans = [plan for plan in _planned(work, sessions) if isinstance(plan, SessionPlan)]
        if len(plans) < len(sessions):
            raise NumbersTooEarly("A draft has no sessions yet, so leave their numbers out.", field="sessions")
        cautions = planned.schedule(
            sessions=plans,
            policy=_policy_for(work, planned, plans),
            reason=reason,
            note=work.note(note),
            **work.by,
        )
        return _record_schedule(work, planned, cautions)


@command
def reschedule(
    work: Work, *, course: UUID, sessions: Sequence[LocalSession], reason: str, note: str | None = None
) -> Receipt:
    """Plan all sessions anew; its trainers are booked anew.

    A session with its number moves, one without is new, one that is not named is dropped. Those that were held stay.

    :raises SessionSealed: one whose register is sealed would move or be dropped.
    """
    with work.alone(f"course/{course}"):
        planned = work.addressed(Course, course)
        before = dict(planned.planned)
        wanted = _planned(work, sessions)
        cautions = planned.reschedule(
            sessions=wanted,
            policy=_policy_for(work, planned, wanted),
            reason=reason,
            note=work.note(note),
            **work.by,
        )
        now = {number: (session.starts, session.ends) for number, session in planned.planned.items()}
        moved = (number for number, was in before.items() if now.get(number) != (was.starts, was.ends))
        _must_not_be_sealed(work, course, moved)
        return _record_schedule(work, planned, cautions)


@command
def assign_trainer(work: Work, *, course: UUID, person: UUID, role: Role) -> Receipt:
    """Put a trainer on the course, or give one of its trainers another role; their time is booked."""
    with work.alone(f"course/{course}"):
        taught = work.addressed(Course, course)
        _must_be_trainer(work, person, field="person")
        taught.assign_trainer(trainer_person=person, role=role, **work.by)
        return work.record(taught, *_booked(work, taught, [person]), ids=[person])


@command
def release_trainer(work: Work, *, course: UUID, person: UUID, reason: str, note: str | None = None) -> Receipt:
    """Take a trainer off the course; the time that they have not taught yet is theirs again."""
    with work.alone(f"course/{course}"):
        taught = work.addressed(Course, course)
        taught.release_trainer(trainer_person=person, reason=reason, note=work.note(note), **work.by)
        return work.record(taught, *_booked(work, taught, [person], reason=reason), ids=[person])


@command
def replace_trainer(
    work: Work,
    *,
    course: UUID,
    person: UUID,
    new: UUID,
    since: datetime | None = None,
    reason: str,
    note: str | None = None,
) -> Receipt:
    """Give a trainer's role to another, once the course is open from `since` on, so that it never lacks its lead."""
    with work.alone(f"course/{course}"):
        taught = work.addressed(Course, course)
        _must_be_trainer(work, new, field="new")
        taught.replace_trainer(old=person, new=new, since=since, reason=reason, note=work.note(note), **work.by)
        return work.record(taught, *_booked(work, taught, [person, new], reason=reason), ids=[person, new])


@command
def open(work: Work, *, course: UUID, capacity: Capacity, minimum: int | None = None) -> Receipt:  # noqa: A001
    """Take enrolments; the institution must be registered with the body on each day of the course."""
    with work.alone(f"course/{course}"):
        opened = work.addressed(Course, course)
        opened.open(capacity=capacity, minimum=minimum, **work.by)
        _must_be_registered(work, opened)
        return work.record(opened, *_booked(work, opened))


@command
def change_capacity(work: Work, *, course: UUID, capacity: Capacity, reason: str, note: str | None = None) -> Receipt:
    """Have more or fewer seats; those that come free are held for the first in the queue."""
    with work.alone(f"course/{course}"):
        changed = work.addressed(Course, course)
        changed.change_capacity(capacity=capacity, reason=reason, note=work.note(note), **work.by)
        return work.record(changed)


@command
def close_enrolment(work: Work, *, course: UUID, reason: str | None = None) -> Receipt:
    """Take no more enrolments; who waits still moves up."""
    with work.alone(f"course/{course}"):
        closed = work.addressed(Course, course)
        closed.close_enrolment(reason=reason, **work.by)
        return work.record(closed)


@command
def reopen_enrolment(work: Work, *, course: UUID, reason: str | None = None) -> Receipt:
    """Take enrolments again."""
    with work.alone(f"course/{course}"):
        reopened = work.addressed(Course, course)
        reopened.reopen_enrolment(reason=reason, **work.by)
        return work.record(reopened)


@command
def confirm(work: Work, *, course: UUID, reason: str | None = None, note: str | None = None) -> Receipt:
    """Say that the course will run; with fewer seats taken than its minimum, for a reason."""
    with work.alone(f"course/{course}"):
        confirmed = work.addressed(Course, course)
        confirmed.confirm(reason=reason, note=work.note(note), **work.by)
        return work.record(confirmed)


@command
def list_with_body(work: Work, *, course: UUID, body: str, external_id: str, address: str | None = None) -> Receipt:
    """Record under which id, and at which address, the body lists the course."""
    with work.alone(f"course/{course}"):
        listed = work.addressed(Course, course)
        listed.list_with_body(body=body, external_id=external_id, address=address, **work.by)
        return work.record(listed)


@command
def cancel(work: Work, *, course: UUID, reason: str, note: str | None = None) -> Receipt:
    """Call the course off for good: every enrolment is cancelled with it, and its trainers have their time again.

    `ids` are the enrolments.
    """
    with work.alone(f"course/{course}"):
        cancelled = work.addressed(Course, course)
        cancelled.cancel(reason=reason, note=work.note(note), **work.by)
        trainers = []
        for person in _taught_by(cancelled):
            trainer = work.get(Trainer, Trainer.create_id(person))
            if course in trainer.bookings:
                trainer.release(course=course, reason=COURSE_CANCELLED, **work.by)
                trainers.append(trainer)
        enrolments = []
        for person in sorted({*cancelled.seats, *cancelled.queue}):
            enrolment = work.get(Enrolment, Enrolment.create_id(course, person))
            if enrolment.stage is not EnrolmentStage.NO_SHOW:
                enrolment.cancel(reason=COURSE_CANCELLED, **work.by)
                enrolments.append(enrolment)
            cancelled.free_seat(person=person, reason=COURSE_CANCELLED, **work.by)
        return work.record(cancelled, *trainers, *enrolments, ids=[each.id for each in enrolments])


@command
def hold_session(
    work: Work,
    *,
    course: UUID,
    session: int,
    started: datetime | None = None,
    ended: datetime | None = None,
    trainers: Collection[UUID] | None = None,
    contact_minutes: int | None = None,
    reason: str | None = None,
    note: str | None = None,
) -> Receipt:
    """Record that a session took place. What is not said was as planned; a second time it corrects the first."""
    with work.alone(f"course/{course}"):
        held = work.addressed(Course, course)
        planned = _session_of(held, session)
        started = started or planned.starts
        ended = ended or planned.ends
        if ended > work.act.now:
            raise HeldInFuture(
                f"Session {session} would have ended at {ended:%Y-%m-%d %H:%M} UTC, which is not yet. Record it when "
                "it is over, or say when it ended.",
                field="ended",
            )
        held.hold_session(
            session=session,
            started=started,
            ended=ended,
            trainers=_on_course(held, started) if trainers is None else trainers,
            contact_minutes=planned.contact_minutes if contact_minutes is None else contact_minutes,
            reason=reason,
            note=work.note(note),
            **work.by,
        )
        return work.record(held)


@command
def curtail_session(
    work: Work, *, course: UUID, session: int, contact_minutes: int, reason: str, note: str | None = None
) -> Receipt:
    """Record that a session had fewer contact minutes than planned."""
    with work.alone(f"course/{course}"):
        curtailed = work.addressed(Course, course)
        _session_of(curtailed, session)
        curtailed.curtail_session(
            session=session, contact_minutes=contact_minutes, reason=reason, note=work.note(note), **work.by
        )
        return work.record(curtailed)


@command
def add_session(work: Work, *, course: UUID, session: LocalSession, reason: str, note: str | None = None) -> Receipt:
    """Add a session to an open or delivered course; `ids` holds its number, and its trainers are booked for it."""
    with work.alone(f"course/{course}"):
        added = work.addressed(Course, course)
        policy = policy_named(
            directory.policies(work.read), body=added.body, code=added.code, version=added.policy_version
        )
        try:
            number = added.add_session(
                plan=_plan(session, _zone(work)), policy=policy, reason=reason, note=work.note(note), **work.by
            )
        except Invalid as error:
            if error.field is not None:
                # Two sessions that overlap are nobody's fault but of when the new one is.
                error.field = "start" if error.field == "sessions" else error.field.removeprefix("sessions/0/")
            raise
        _must_be_registered(work, added)
        return work.record(added, *_booked(work, added), ids=[number])


@command
def cancel_session(work: Work, *, course: UUID, session: int, reason: str, note: str | None = None) -> Receipt:
    """Drop a session that won't take place; its trainers have that time again."""
    with work.alone(f"course/{course}"):
        shortened = work.addressed(Course, course)
        _session_of(shortened, session)
        shortened.cancel_session(session=session, reason=reason, note=work.note(note), **work.by)
        _must_not_be_sealed(work, course, [session])
        return work.record(shortened, *_booked(work, shortened))


@command
def deliver(work: Work, *, course: UUID) -> Receipt:
    """Say that the course has taken place: each session was held or cancelled."""
    with work.alone(f"course/{course}"):
        delivered = work.addressed(Course, course)
        delivered.deliver(**work.by)
        return work.record(delivered)


@command
def close(
    work: Work,
    *,
    course: UUID,
    waived: Collection[str] = (),
    reason: str | None = None,
    note: str | None = None,
) -> Receipt:
    """End the work on a course. What the views say is outstanding must be done, or waived with a reason."""
    work.office.views.catch_up()
    with work.alone(f"course/{course}"):
        closed = work.addressed(Course, course)
        closed.close(
            outstanding=outstanding(work, course), waived=waived, reason=reason, note=work.note(note), **work.by
        )
        return work.record(closed)


@command
def reopen(work: Work, *, course: UUID, reason: str, note: str | None = None) -> Receipt:
    """Take up the work on a closed course again."""
    with work.alone(f"course/{course}"):
        reopened = work.addressed(Course, course)
        reopened.reopen(reason=reason, note=work.note(note), **work.by)
        return work.record(reopened)


def outstanding(work: Work, course: UUID) -> tuple[str, ...]:
    """Return the codes of what is left to do on a course: registers, outcomes, submission, discrepancies."""
    codes = [
        *completion.outstanding(work.read, course),
        *submission.outstanding(work.read, course),
        *discrepancies.outstanding(work.read, course),
    ]
    return tuple(dict.fromkeys(codes))


def _today(work: Work) -> date:
    return work.act.at.astimezone(zone_named(_zone(work))).date()


def _zone(work: Work) -> str:
    return directory.settings(work.read).zone


def _planned(work: Work, sessions: Sequence[LocalSession]) -> list[SessionPlan | Session]:
    """Return the sessions in UTC; those with a number keep it. A refusal names which of them is to blame."""
    zone = _zone(work)
    planned: list[SessionPlan | Session] = []
    for index, session in enumerate(sessions):
        try:
            plan = _plan(session, zone)
        except Invalid as error:
            error.field = f"sessions/{index}/{error.field}" if error.field else f"sessions/{index}"
            raise
        planned.append(plan if session.number is None else numbered(plan, session.number))
    return planned


def _plan(session: LocalSession, zone: str) -> SessionPlan:
    return from_local(
        day=session.day,
        start=session.start,
        end=session.end,
        zone=session.zone or zone,
        contact_minutes=session.contact_minutes,
        place=session.place,
        fold=session.fold,
        end_fold=session.end_fold,
    )


def _session_of(course: Course, number: int) -> Session:
    """Return the session that the command's address names."""
    for session in course.sessions:
        if session.number == number:
            return session
    raise NotFound(f"The course has no session {number}, or it was cancelled.")


def _policy_for(work: Work, course: Course, sessions: Sequence[SessionPlan | Session]) -> CredentialPolicy:
    """Return the rules in force on the first day of these sessions and of those that were held."""
    held = [session for session in course.sessions if session.number in course.held_sessions]
    every = [*sessions, *held]
    policies = directory.policies(work.read)
    if not every:
        return policy_named(policies, body=course.body, code=course.code, version=course.policy_version)
    return policy_on(policies, body=course.body, code=course.code, on=first_date(every))


def _record_schedule(work: Work, course: Course, cautions: Collection[Caution]) -> Receipt:
    _must_be_registered(work, course)
    return work.record(course, *_booked(work, course), outcome="warned" if cautions else None)


def _must_be_registered(work: Work, course: Course) -> None:
    """Refuse a course on a day on which the body doesn't list the institution."""
    institution = work.get(Institution, work.office.institution)
    for day in course.days:
        institution.must_be_registered_with(course.body, day)


def _must_be_trainer(work: Work, person: UUID, *, field: str) -> None:
    if work.find(Trainer, Trainer.create_id(person)) is None:
        raise UnknownTrainer(f"{person} is not on record as a trainer. Register them first.", field=field)


def _taught_by(course: Course) -> list[UUID]:
    """Return everybody who is, or was, a trainer of the course."""
    return list(dict.fromkeys(each.trainer for each in course.appointments))


def _on_course(course: Course, moment: datetime) -> list[UUID]:
    return [person for person in _taught_by(course) if course.role_of(person, on=moment) is not None]


def _booked(
    work: Work, course: Course, people: Iterable[UUID] | None = None, *, reason: str = "rescheduled"
) -> list[Trainer]:
    """Return the trainers of the course, or these of them, booked for the sessions that are theirs.

    Who is no longer on the course keeps the sessions before they left it, so that nobody books them elsewhere then.
    """
    trainers = []
    for person in _taught_by(course) if people is None else people:
        trainer = work.get(Trainer, Trainer.create_id(person))
        _book(work, course, person, trainer, reason)
        trainers.append(trainer)
    return trainers


def _book(work: Work, course: Course, person: UUID, trainer: Trainer, reason: str) -> None:
    stays = course.role_of(person)
    slots = tuple(slot for slot in course.slots if course.role_of(person, on=slot.starts) is not None)
    role = course.role_of(person, on=slots[0].starts) if stays is None and slots else stays
    if role is not None:
        try:
            trainer.book(
                course=course.id,
                body=course.body,
                code=course.code,
                role=role,
                slots=slots,
                zone=course.zone or _zone(work),
                **work.by,
            )
        except NotAuthorised:
            # Who has left the course gives back all their time where they lost the authority for it too.
            if stays is not None:
                raise
        else:
            return
    if course.id in trainer.bookings:
        trainer.release(course=course.id, reason=reason, **work.by)


def _must_not_be_sealed(work: Work, course: UUID, sessions: Iterable[int]) -> None:
    for session in sessions:
        register = work.find(AttendanceRegister, AttendanceRegister.create_id(course, session))
        if register is not None and register.sealed_version:
            raise SessionSealed(
                f"The register of session {session} is sealed, so it took place then. Record it as held, and leave it "
                "where it is."
            )
