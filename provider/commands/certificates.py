"""The institution's certificates: issued under gapless numbers, replaced, revoked, and kept in line with the record."""

from __future__ import annotations

import secrets
from base64 import b32encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.basis import Aspect, Basis
from domain.certificate import Certificate, Facts
from domain.course import Course, LeadNeeded
from domain.enrolment import Enrolment
from domain.institution import Act, Institution
from domain.person import Person
from domain.private import Private
from domain.refusal import Invalid, Refused
from domain.register import AttendanceRegister
from domain.schedule import zone_named
from projections import certificates as view
from projections import directory, roster
from provider.commands.discrepancies import must_be_looked_at
from provider.log import NotFound
from provider.work import Receipt, Work, command

TEMPLATE_VERSION = "attendance-1"
"""The layout that the document will be made by, and its words: “attended and completed”, never “is certified”."""

CODE_BYTES = 15
"""Random bytes of a verification code: 24 letters and digits that can be typed from paper, 120 bits."""

NUMBERS = "certificates"
"""The lock under which the next number is taken."""


class NobodyToCertify(Refused):
    """Everybody who completed the course has a certificate, or had one that was revoked."""


class NotOfThisCourse(Invalid):
    """An enrolment is named that isn't one of the course."""


class NamedTwice(Invalid):
    """An enrolment is named twice in one command."""


class InNoRegister(Refused):
    """No sealed register has the learner, so that the certificate would rest on nothing."""


class NameErased(Refused):
    """The name to be printed was erased."""


@dataclass(frozen=True)
class Draft:
    """A certificate before it has its number."""

    facts: Facts
    rests_on: tuple[Basis, ...]
    completed: bool
    unsealed: tuple[int, ...]


@command
def issue(work: Work, *, course: UUID, enrolments: Sequence[UUID] | None = None) -> Receipt:
    """Issue certificates to those who completed the course, all in one record; `ids` are their numbers.

    Without `enrolments`, to everybody who never had one. Whose certificate was revoked gets another only by name, and
    it says which one it replaces. The receipt is about the first.

    :raises NobodyToCertify: nobody is left.
    :raises NotOfThisCourse, NamedTwice: an enrolment is not the course's, or is named twice.
    :raises NotCompleted, RegisterNotSealed, AlreadyCertified: as the domain says.
    :raises LeadNeeded, InNoRegister, NameErased: what the certificate has to say is not on record.
    """
    work.office.views.catch_up()
    taught = work.get(Course, course)
    if enrolments is None:
        had = view.of_enrolments(work.read, course)
        completers = [each["enrolment"] for each in roster.learners(work.read, course) if each["completed"]]
        learners = [work.get(Enrolment, UUID(each)) for each in completers if each not in had]
    else:
        learners = _named(work, taught, enrolments)
    drafts = _drafted(work, taught, learners)
    with work.alone(NUMBERS):
        numbers = _Numbers(work, course)
        issued = [
            numbers.issue(draft)
            for draft in drafts
            # Somebody else may have issued it since the completers were looked up.
            if enrolments is not None or str(draft.facts.enrolment) not in numbers.had
        ]
        if not issued:
            raise NobodyToCertify(
                "Everybody who completed this course has a certificate. To issue one in place of a revoked one, name "
                "the enrolment; to replace one that is wrong, supersede it."
                if numbers.had
                else "Nobody has completed this course yet. The lead trainer decides on completion first."
            )
        return work.record(issued[0], *issued[1:], ids=[each.number for each in issued])


@command
def supersede(work: Work, *, number: str, reason: str, note: str | None = None) -> Receipt:
    """Issue a certificate with what is on record now, in place of this one; `ids` holds its number.

    :raises CertificateNotLive, AlreadyCertified: this one was superseded or revoked before.
    :raises NotCompleted, RegisterNotSealed, LeadNeeded, InNoRegister, NameErased: as for `issue`.
    """
    work.office.views.catch_up()
    known = _addressed(work, number)
    learner = work.get(Enrolment, known.enrolment)
    draft = _drafted(work, work.get(Course, learner.course), [learner])[0]
    with work.alone(NUMBERS):
        replacement = _Numbers(work, learner.course).issue(draft, replaces=number)
        known.supersede(replacement=replacement, reason=reason, note=work.seal(learner.person, note), **work.by)
        return work.record(known, replacement, ids=[replacement.number])


@command
def request_revocation(work: Work, *, number: str, reason: str, note: str | None = None) -> Receipt:
    """Ask that a certificate be withdrawn without a replacement; somebody else agrees, or doesn't."""
    known = _addressed(work, number)
    known.request_revocation(reason=reason, note=_note(work, known, note), **work.by)
    return work.record(known)


@command
def revoke(work: Work, *, number: str, reason: str | None = None, note: str | None = None) -> Receipt:
    """Withdraw a certificate, for the reason in the request; an institution that works solo needs no request.

    :raises RevocationNotRequested, RevocationNeedsAnother: it takes two.
    """
    known = _addressed(work, number)
    known.revoke(
        solo_allowed=directory.settings(work.read).solo(Act.REVOCATION),
        reason=reason,
        note=_note(work, known, note),
        **work.by,
    )
    return work.record(known)


@command
def reject_revocation(work: Work, *, number: str, reason: str, note: str | None = None) -> Receipt:
    """Decline the request for a revocation, or take it back."""
    known = _addressed(work, number)
    known.reject_revocation(reason=reason, note=_note(work, known, note), **work.by)
    return work.record(known)


@command
def resolve_discrepancy(
    work: Work,
    *,
    number: str,
    stream: UUID,
    aspect: Aspect,
    version: int,
    resolution: str,
    reason: str,
    note: str | None = None,
) -> Receipt:
    """Say that a certificate stays, though what it rests on has moved to `version`, which is what was looked at.

    :raises DiscrepancyUnfounded: nothing of that is open.
    :raises MovedFurther: the record has moved beyond that version.
    """
    known = _addressed(work, number)
    if known.live:
        must_be_looked_at(work, known.id, stream=stream, aspect=aspect, version=version)
    known.resolve_discrepancy(
        stream=stream,
        version=version,
        aspect=aspect,
        resolution=resolution,
        reason=reason,
        note=_note(work, known, note),
        **work.by,
    )
    return work.record(known, outcome=resolution)


class _Numbers:
    """The numbers of the institution's year, from the next one on. Made and used under the lock."""

    def __init__(self, work: Work, course: UUID) -> None:
        self._work = work
        # What the last holder of the lock recorded may not be in the views yet.
        work.office.views.catch_up()
        with work.office.views.reading() as read:
            settings = directory.settings(read)
            self._year = work.act.now.astimezone(zone_named(settings.zone)).year
            self._prefix = settings.certificate_prefix
            self._last = view.last_serial(read, self._year)
            self.had = view.of_enrolments(read, course)

    def issue(self, draft: Draft, *, replaces: str | None = None) -> Certificate:
        """Make out a certificate under the next number; the one that it replaces is live, or was revoked."""
        had = self.had.get(str(draft.facts.enrolment))
        live = had["number"] if had is not None and had["state"] == "issued" else None
        revoked = had["number"] if had is not None and had["state"] == "revoked" else None
        issued = Certificate.issue(
            institution=self._work.office.institution,
            prefix=self._prefix,
            year=self._year,
            serial=self._last + 1,
            facts=draft.facts,
            rests_on=draft.rests_on,
            verification_code=b32encode(secrets.token_bytes(CODE_BYTES)).decode(),
            template_version=TEMPLATE_VERSION,
            completed=draft.completed,
            unsealed=draft.unsealed,
            live_number=live,
            replaces=revoked if replaces is None else replaces,
            **self._work.by,
        )
        self._last += 1
        return issued


def _addressed(work: Work, number: str) -> Certificate:
    """Return the certificate of that number, just as it is printed.

    :raises NotFound: there is none.
    """
    found = work.find(Certificate, Certificate.create_id(work.office.institution, number))
    if found is None or found.number != number:
        raise NotFound(f"There is no certificate {number}.")
    return work.addressed(Certificate, found.id)


def _note(work: Work, known: Certificate, note: str | None) -> Private | None:
    """Seal a note under the key of the person whose certificate it is."""
    return None if note is None else work.seal(work.get(Enrolment, known.enrolment).person, note)


def _named(work: Work, taught: Course, enrolments: Iterable[UUID]) -> list[Enrolment]:
    found: dict[UUID, Enrolment] = {}
    for enrolment in enrolments:
        known = work.find(Enrolment, enrolment)
        if known is None or known.course != taught.id:
            raise NotOfThisCourse(f"The course has no enrolment {enrolment}.", field="enrolments")
        if enrolment in found:
            raise NamedTwice(f"The enrolment {enrolment} is named twice.", field="enrolments")
        found[enrolment] = known
    return list(found.values())


def _drafted(work: Work, taught: Course, learners: Sequence[Enrolment]) -> list[Draft]:
    """Return what the learners' certificates say, as of now."""
    if not learners:
        return []
    if taught.lead is None or not taught.sessions:
        raise LeadNeeded("A certificate says when the course was and who led it. Assign the lead trainer first.")
    lead = _person(work, taught.lead)
    people = {learner.id: _person(work, learner.person) for learner in learners}
    institution = work.get(Institution, work.office.institution)
    opened = work.office.vault.open(name for each in (lead, *people.values()) for name in _names(each))
    unsealed = _unsealed(work, taught)
    schedule = taught.basis()
    places = dict.fromkeys(session.place for session in taught.sessions if session.place)
    drafts = []
    for learner in learners:
        person = people[learner.id]
        name = _printed(work, person, opened)
        if name is None:
            raise NameErased(f"The name on enrolment {learner.id} was erased, so that no certificate can bear it.")
        decision = learner.basis(Aspect.DECISION)
        facts = Facts(
            course=taught.id,
            enrolment=learner.id,
            person=learner.person,
            certificate_name=name,
            course_title=taught.title,
            body=taught.body,
            code=taught.code,
            first_day=taught.days[0],
            last_day=taught.days[-1],
            contact_minutes=taught.contact_minutes,
            trainer=taught.lead,
            trainer_name=_printed(work, lead, opened),
            institution_name=institution.name,
            place="; ".join(places) or None,
        )
        # The dates and minutes are those of today; all else was judged when completion was decided.
        judged = [] if learner.decision is None else learner.decision.because.rests_on
        rests_on = (
            *([] if decision is None else [decision]),
            Basis(person.id, person.names_version, Aspect.NAMES),
            *([] if schedule is None else [schedule]),
            *(basis for basis in judged if basis.aspect is not Aspect.SCHEDULE),
        )
        completed = learner.completed is True
        if completed and not unsealed and all(basis.aspect is not Aspect.REGISTER for basis in rests_on):
            raise InNoRegister(
                f"No sealed register has the learner of enrolment {learner.id}. Amend the registers and decide on "
                "completion anew, or issue to the others by naming their enrolments."
            )
        drafts.append(Draft(facts=facts, rests_on=rests_on, completed=completed, unsealed=unsealed))
    return drafts


def _person(work: Work, person: UUID) -> Person:
    """Return somebody's record, or the one that it counts as."""
    found = work.get(Person, person)
    while found.linked_to is not None:
        found = work.get(Person, found.linked_to)
    return found


def _names(person: Person) -> list[Private]:
    """Return the names of which a certificate bears one, or both joined: see `_printed`."""
    names = person.names
    said = (names.given, names.family) if names.certificate_name is None else (names.certificate_name,)
    return [name for name in said if name is not None]


def _printed(work: Work, person: Person, opened: Mapping[Private, str | None]) -> Private | None:
    """Return the name that a certificate bears; None where it was erased.

    That is the certificate name. Where none was given, it is the given and the family name in this order, as the person
    gave them, or the only one of the two.
    """
    names = _names(person)
    values = [value for name in names if (value := opened[name]) is not None]
    if len(values) < len(names):
        return None
    return names[0] if len(names) == 1 else work.seal(person.id, " ".join(values))


def _unsealed(work: Work, taught: Course) -> tuple[int, ...]:
    """Return the sessions whose registers aren't sealed."""
    registers = {
        session.number: work.find(AttendanceRegister, AttendanceRegister.create_id(taught.id, session.number))
        for session in taught.sessions
    }
    return tuple(number for number, found in registers.items() if found is None or not found.sealed_version)
