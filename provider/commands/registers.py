"""What happens to the register of a session: marks, the seal, and what is amended after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from domain.course import Course
from domain.enrolment import Enrolment
from domain.institution import Act as Signed
from domain.private import Private
from domain.refusal import Forbidden, Refused
from domain.register import AttendanceRegister, Authority, Marker, MarkRequest, MarkResult
from domain.trainer import Trainer
from projections import directory
from projections import registers as view
from provider.locks import AdvisoryLock, Held
from provider.office import Office
from provider.outage import ViewsIncomplete
from provider.work import Act, NotFound, Receipt, Stale, Work, command, quick_command


class CandidateSealsNot(Forbidden):
    """A co-trainer who is still a candidate marks, and never makes a sealed version."""


class SessionDropped(Refused):
    """The session was cancelled, so that nobody can have been there."""


@dataclass(frozen=True)
class Marked(Receipt):
    """What became of each mark, in the order in which they were sent."""

    results: tuple[MarkResult, ...] = ()


def mark(
    office: Office,
    act: Act,
    *,
    course: UUID,
    session: int,
    marks: Sequence[MarkRequest],
    sent_at: datetime,
    registrar: bool = False,
) -> Marked:
    """Take a batch of marks in one transaction, and say of each what became of it.

    `sent_at` is the device's clock when it sent them; `registrar` says that the sender may mark as one where they
    don't teach the course. A known mark is answered again, so that a batch can be sent again without a key.

    :raises NotFound: there is no such session.
    :raises SessionDropped: the session was cancelled.
    """
    return cast(
        Marked,
        _mark(office, act, course=course, session=session, marks=marks, sent_at=sent_at, registrar=registrar),
    )


@quick_command
def _mark(
    work: Work, *, course: UUID, session: int, marks: Sequence[MarkRequest], sent_at: datetime, registrar: bool
) -> Receipt:
    stream, held = _alone(work, course, session)
    with held:
        half = _half(work, course, session)
        seated, others = _class(work, course, {each.person for each in marks})
        register = _opened(work, stream, course, session)
        results = register.mark(
            batch=marks,
            sent_at=sent_at,
            starts=half.starts,
            ends=half.ends,
            authority=_authority(half, registrar=registrar),
            enrolled=seated,
            withdrawn=others,
            by=work.act.by,
            at=work.act.now,
            on_behalf_of=work.act.on_behalf_of,
        )
        return _answer(work, register, results)


def mark_all_present(
    office: Office,
    act: Act,
    *,
    course: UUID,
    session: int,
    except_: Sequence[MarkRequest] = (),
    registrar: bool = False,
) -> Marked:
    """Mark everybody present who has a seat and no mark yet, except some, who get theirs; all or nothing.

    :raises NotFound, SessionDropped, AlreadySealed, MarkRefused, NotAuthorisedThen: as their names say.
    """
    return cast(
        Marked,
        _mark_all_present(office, act, course=course, session=session, except_=except_, registrar=registrar),
    )


@quick_command
def _mark_all_present(
    work: Work, *, course: UUID, session: int, except_: Sequence[MarkRequest], registrar: bool
) -> Receipt:
    stream, held = _alone(work, course, session)
    with held:
        half = _half(work, course, session)
        seats = work.get(Course, course).seats
        seated, others = _class(work, course, seats.union(each.person for each in except_))
        register = _opened(work, stream, course, session)
        results = register.mark_all_present(
            people=seated,
            except_=except_,
            starts=half.starts,
            ends=half.ends,
            authority=_authority(half, registrar=registrar),
            withdrawn=others,
            **work.by,
        )
        return _answer(work, register, results)


@command
def resolve_conflict(
    work: Work, *, course: UUID, session: int, person: UUID, mark: UUID, reason: str, note: str | None = None
) -> Receipt:
    """Choose, as the lead, which of the marks stands that disagree on somebody.

    :raises NotTheLead, NoConflict, NotInConflict, AlreadySealed: as their names say.
    """
    stream, held = _alone(work, course, session)
    with held:
        register = work.addressed(AttendanceRegister, stream)
        register.resolve_conflict(
            person=person,
            mark=mark,
            lead_on_date=_lead_of(work.get(Course, course), session),
            reason=reason,
            note=work.seal(person, note),
            **work.by,
        )
        return work.record(register)


@command
def admit_set_aside(
    work: Work, *, course: UUID, session: int, mark: UUID, reason: str, note: str | None = None
) -> Receipt:
    """Let a mark count that was set aside because its learner had no seat.

    :raises NotSetAside, AlreadySealed: as their names say.
    """
    stream, held = _alone(work, course, session)
    with held:
        register = work.addressed(AttendanceRegister, stream)
        register.admit_set_aside(mark=mark, reason=reason, note=_note(work, register, mark, note), **work.by)
        return work.record(register)


@command
def dismiss_set_aside(
    work: Work, *, course: UUID, session: int, mark: UUID, reason: str, note: str | None = None
) -> Receipt:
    """Leave a mark out of the register that was set aside; it stays on record.

    :raises NotSetAside: as its name says.
    """
    stream, held = _alone(work, course, session)
    with held:
        register = work.addressed(AttendanceRegister, stream)
        register.dismiss_set_aside(mark=mark, reason=reason, note=_note(work, register, mark, note), **work.by)
        return work.record(register)


@command
def seal(work: Work, *, course: UUID, session: int, attestation: str) -> Receipt:
    """Close the first version of the register, as the trainer who led the session; `attestation` is what they sign.

    :raises NotTheLead, AlreadySealed, SessionNotOver, Unmarked, OpenConflict, SessionDropped: as their names say.
    """
    stream, held = _alone(work, course, session)
    with held:
        # Whoever was enrolled a moment ago has to be marked too.
        work.office.views.catch_up()
        half = _half(work, course, session)
        taught = work.get(Course, course)
        lead = _lead_of(taught, session)
        seated, _ = _class(work, course, taught.seats)
        register = _addressed(work, stream, course, session)
        register.seal(enrolled=seated, lead_on_date=lead, over_at=half.over_at, attestation=attestation, **work.by)
        return work.record(register)


@command
def countersign(work: Work, *, course: UUID, session: int, sealed_version: int) -> Receipt:
    """Sign a sealed version as the second pair of eyes.

    :raises NotSealed, NoSuchVersion, AlreadyCountersigned, OwnCountersignature: as their names say.
    """
    stream, held = _alone(work, course, session)
    with held:
        register = work.addressed(AttendanceRegister, stream)
        register.countersign(sealed_version=sealed_version, **work.by)
        return work.record(register)


@command
def request_amendment(
    work: Work,
    *,
    course: UUID,
    session: int,
    mark: MarkRequest,
    reason: str,
    note: str | None = None,
    registrar: bool = False,
) -> Receipt:
    """Ask for another mark in the sealed register. The other id is the amendment's number.

    :raises NotSealed, MarkIdReused, MarkRefused, NotAuthorisedThen: as their names say.
    """
    stream, held = _alone(work, course, session)
    with held:
        half = _half(work, course, session)
        seated, _ = _class(work, course, {mark.person})
        register = _opened(work, stream, course, session)
        number = register.request_amendment(
            mark=mark,
            starts=half.starts,
            ends=half.ends,
            authority=_authority(half, registrar=registrar),
            enrolled=seated,
            reason=reason,
            note=work.seal(mark.person, note),
            **work.by,
        )
        return work.record(register, ids=[number])


@command
def approve_amendment(work: Work, *, course: UUID, session: int, number: int) -> Receipt:
    """Make a new sealed version in which the requested mark stands. The other id is that version.

    :raises CandidateSealsNot: the actor is a candidate on the course.
    :raises NoSuchAmendment, AmendmentDecided, OwnAmendment, LeadMustAttest: as their names say.
    """
    stream, held = _alone(work, course, session)
    with held:
        register = work.addressed(AttendanceRegister, stream)
        if _planned(work, course, session).marker_at(work.act.at) is Marker.CANDIDATE:
            raise CandidateSealsNot("A candidate marks, and never seals: another trainer or a registrar approves this.")
        solo = directory.settings(work.read).solo(Signed.AMENDMENT)
        register.approve_amendment(number=number, solo=solo, **work.by)
        return work.record(register, ids=[register.sealed_version])


@command
def reject_amendment(
    work: Work, *, course: UUID, session: int, number: int, reason: str, note: str | None = None
) -> Receipt:
    """Leave the sealed register as it is; the requester withdraws a request this way.

    :raises NoSuchAmendment, AmendmentDecided: as their names say.
    """
    stream, held = _alone(work, course, session)
    with held:
        register = work.addressed(AttendanceRegister, stream)
        sealed = work.seal(register.person_of_amendment(number), note)
        register.reject_amendment(number=number, reason=reason, note=sealed, **work.by)
        return work.record(register)


def _alone(work: Work, course: UUID, session: int) -> tuple[UUID, Held | AdvisoryLock]:
    """Return a register's id, and its lock to hold in a `with`."""
    stream = AttendanceRegister.create_id(course, session)
    return stream, work.alone(f"register/{stream}")


def _half(work: Work, course: UUID, session: int) -> view.Half:
    """Return the session as the actor stands to it.

    :raises NotFound: the course has no such session.
    :raises SessionDropped: it was cancelled.
    :raises ViewsIncomplete: the views lost it, or lost what the actor may teach.
    """
    half = _planned(work, course, session)
    if half.cancelled:
        raise SessionDropped(f"Session {session} was cancelled. If it took place, a registrar adds it again.")
    return half


def _planned(work: Work, course: UUID, session: int) -> view.Half:
    """Return the session as the actor stands to it, cancelled or not.

    Views whose file is damaged may miss rows without an error. So nobody is told that there is no such session, or is
    taken for no trainer, before the log was asked.
    """
    half = work.known(view.half, course, session, work.act.by)
    if _is_lost(work, half, course, session):
        _catch_up(work)
        half = work.known(view.half, course, session, work.act.by)
        if _is_lost(work, half, course, session):
            raise ViewsIncomplete(f"session {session} of course {course}, or who may teach it")
    if half is None:
        raise NotFound(f"There is no session {session} of a course {course}.")
    return half


def _is_lost(work: Work, half: view.Half | None, course: UUID, session: int) -> bool:
    """Say whether the log has the session, or the actor as a trainer, where the views have not."""
    if half is None:
        known = work.find(Course, course)
        return known is not None and 1 <= session <= known.last_number
    return half.authorisations is None and work.find(Trainer, Trainer.create_id(work.act.by)) is not None


def _class(work: Work, course: UUID, expected: Collection[UUID]) -> tuple[frozenset[UUID], frozenset[UUID]]:
    """Return who has a seat, and who has an enrolment but no seat now.

    :raises ViewsIncomplete: somebody who is expected has an enrolment, and the views lost it.
    """
    seated, others = work.known(view.class_of, course)
    lost = [
        person
        for person in expected
        if person not in seated
        and person not in others
        and work.find(Enrolment, Enrolment.create_id(course, person)) is not None
    ]
    if lost:
        _catch_up(work)
        seated, others = work.known(view.class_of, course)
        if not seated.union(others).issuperset(lost):
            raise ViewsIncomplete(f"an enrolment on course {course}")
    return seated, others


def _catch_up(work: Work) -> None:
    """Bring the views to the end of the log: what they do not know may have been recorded a moment ago."""
    work.office.views.catch_up(work.office.log.position())


def _authority(half: view.Half, *, registrar: bool) -> Authority:
    """Return the function that says as what the actor could mark at a moment."""
    known: dict[datetime, Marker | None] = {}

    def marker_at(moment: datetime) -> Marker | None:
        if moment not in known:
            known[moment] = half.marker_at(moment) or (Marker.REGISTRAR if registrar else None)
        return known[moment]

    return marker_at


def _opened(work: Work, stream: UUID, course: UUID, session: int) -> AttendanceRegister:
    """Return the register; its first use opens it."""
    found = work.find(AttendanceRegister, stream)
    return AttendanceRegister.open(course=course, session=session, **work.by) if found is None else found


def _addressed(work: Work, stream: UUID, course: UUID, session: int) -> AttendanceRegister:
    """Return the register that the command is about; nobody can have seen a version of one that was never opened."""
    found = work.find(AttendanceRegister, stream)
    if work.act.version not in (None, 0 if found is None else found.version):
        raise Stale(0 if found is None else found.version)
    return AttendanceRegister.open(course=course, session=session, **work.by) if found is None else found


def _answer(work: Work, register: AttendanceRegister, results: Sequence[MarkResult]) -> Marked:
    """Record what became of the marks; a register is not opened for marks that were all refused."""
    if len(register.pending_events) == 1 and register.version == 1:
        return Marked(register.id, 0, None, results=tuple(results))
    done = work.record(register)
    return Marked(done.id, done.version, done.position, results=tuple(results))


def _note(work: Work, register: AttendanceRegister, mark: UUID, note: str | None) -> Private | None:
    """Seal a note on a mark that was set aside, under the key of the learner whom it is about."""
    owner = next((each.person for each in register.set_aside if each.mark == mark), None)
    return work.note(note) if owner is None else work.seal(owner, note)


def _lead_of(course: Course, session: int) -> UUID:
    """Return who led a session, whose word its register needs.

    :raises NotFound: there is no such session, or nobody led it.
    """
    lead = course.lead_of(session) if session in course.planned else None
    if lead is None:
        raise NotFound(f"There is no session {session} of a course {course.id} that anybody led.")
    return lead
