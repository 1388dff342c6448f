"""The institution's own numbered document: who attended and completed what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from domain.aggregate import Aggregate, AggregateCreated
from domain.basis import Aspect, Basis, DiscrepancyUnfounded
from domain.private import Private
from domain.reason import must_explain
from domain.refusal import Forbidden, Invalid, Refused

CERTIFICATES = UUID("e04d918c-bb56-4be4-8b63-ec64e6b30594")

SUPERSEDED_FOR = ("name", "dates", "hours", "facts", "layout", "other")
"""The reasons offered for replacing a certificate; "other" needs a note."""

REVOKED_FOR = ("issued_in_error", "completion_corrected", "misconduct", "other")
"""The reasons offered for revoking a certificate; "other" needs a note."""

RESOLUTIONS = ("stands", "learner_informed", "other")
"""What may come of a discrepancy, where the certificate is neither superseded nor revoked."""

_NEEDED = (Aspect.DECISION, Aspect.REGISTER, Aspect.NAMES)
_SHORTEST_CODE = 16
_FURTHEST_ZONE = timedelta(hours=14)


class NotCompleted(Refused):
    """No decision stands that the learner completed the course."""


class RegisterNotSealed(Refused):
    """A session's register is still open, so what the certificate would say may still change."""


class AlreadyCertified(Refused):
    """The enrolment has a live certificate; it can be replaced, never doubled."""


class CertificateNotLive(Refused):
    """The certificate was superseded or revoked before, and that is final."""


class NotTheReplacement(Refused):
    """The other certificate wasn't issued in place of this one."""


class RevocationAlreadyRequested(Refused):
    """Somebody has already asked for the revocation; it waits for an answer."""


class RevocationNotRequested(Refused):
    """Nobody has asked for the revocation, and here two people must agree on it."""


class RevocationNeedsAnother(Forbidden):
    """Whoever asked for the revocation can't also decide it."""


class NumberImpossible(Invalid):
    """The number's year or serial can't be right."""


class FactsImpossible(Invalid):
    """The facts to be certified contradict each other, or one is missing."""


class BasisMissing(Invalid):
    """The certificate doesn't name the versions that it rests on."""


class CodeGuessable(Invalid):
    """The verification code is so short that one could try them all."""


class Stage(StrEnum):
    """Where a certificate is in its life. Nothing leads back to issued."""

    ISSUED = "issued"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Facts:
    """What the document says, frozen when it was issued.

    `first_day` and `last_day` are dates where the sessions took place. `trainer_name` is None where
    the institution prints no name; `place` where the course was online.
    """

    course: UUID
    enrolment: UUID
    person: UUID
    certificate_name: Private
    course_title: str
    body: str
    code: str
    first_day: date
    last_day: date
    contact_minutes: int
    trainer: UUID
    trainer_name: Private | None
    institution_name: str
    place: str | None


def certificate_number(*, prefix: str, year: int, serial: int) -> str:
    """Return the number as it is printed: "2026-000123", after the prefix and a hyphen if any."""
    number = f"{year:04}-{serial:06}"
    return f"{prefix.rstrip('-')}-{number}" if prefix.rstrip("-") else number


class Certificate(Aggregate):
    """A numbered statement that a person attended and completed a course.

    It says nothing about the credential, which the body grants and we only observe. Its facts never
    change: what was wrong is replaced by another certificate, or revoked.
    """

    TOPIC = "certificate"

    @staticmethod
    def create_id(institution: UUID, number: str) -> UUID:
        """Return the id of the certificate with that number, with or without its prefix.

        The prefix is no part of the id: an institution that changes it within a year must still
        not issue one serial twice.
        """
        return uuid5(CERTIFICATES, f"{institution}/{'-'.join(number.rsplit('-', 2)[-2:])}")

    def __init__(self, number: str, facts: Facts, rests_on: tuple[Basis, ...], replaces: str | None) -> None:
        self.number = number
        self.enrolment = facts.enrolment
        self.replaces = replaces
        self.stage = Stage.ISSUED
        self.revocation: RevocationRequest | None = None
        self.rests_on = {(basis.stream, basis.aspect): basis.version for basis in rests_on}

    @property
    def live(self) -> bool:
        return self.stage is Stage.ISSUED

    @classmethod
    def issue(
        cls,
        *,
        institution: UUID,
        prefix: str,
        year: int,
        serial: int,
        facts: Facts,
        rests_on: tuple[Basis, ...],
        verification_code: str,
        template_version: str,
        completed: bool,
        unsealed: tuple[int, ...],
        live_number: str | None,
        replaces: str | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Certificate:
        """Issue the certificate of one enrolment under the next serial of the year.

        `completed` tells whether the decision that stands is that the learner completed, `unsealed`
        the sessions whose registers are open, `live_number` the enrolment's live certificate.
        `replaces` is the number of the certificate that this one comes in place of: the live one,
        which is superseded in the same transaction, or one that was revoked.

        :raises NotCompleted: no decision that the learner completed stands.
        :raises RegisterNotSealed: a register is open.
        :raises AlreadyCertified: there is a live certificate, and this one doesn't replace it.
        :raises NumberImpossible: the serial is below 1, or the year isn't that of `at` anywhere.
        :raises FactsImpossible: the dates or minutes can't be right, or a text is blank.
        :raises BasisMissing: decision, registers or names are missing in what it rests on.
        :raises CodeGuessable: the verification code has fewer than 16 characters.
        """
        if not completed:
            raise NotCompleted(
                "No decision stands that this learner completed the course. The lead trainer"
                " decides on completion; then the certificate can be issued."
            )
        if unsealed:
            raise RegisterNotSealed(
                f"The register of session {_listed(unsealed)} isn't sealed yet. The lead trainer"
                " seals it; then the certificate can be issued."
            )
        if live_number is not None and live_number != replaces:
            raise AlreadyCertified(
                f"Certificate {live_number} of this enrolment is in force. Supersede it if it is wrong."
            )
        _check_number(year, serial, at)
        number = certificate_number(prefix=prefix, year=year, serial=serial)
        if number == replaces:
            raise NumberImpossible(
                f"Certificate {number} can't replace itself; a new one gets a new number.", field="replaces"
            )
        _check_facts(facts)
        missing = [aspect for aspect in _NEEDED if all(aspect != b.aspect for b in rests_on)]
        if missing:
            raise BasisMissing(
                "A certificate names the versions that it rests on; missing:"
                f" {', '.join(aspect.value for aspect in missing)}."
            )
        if len(verification_code.strip()) < _SHORTEST_CODE:
            raise CodeGuessable(
                f"A verification code needs {_SHORTEST_CODE} random characters or more.", field="verification_code"
            )
        return cls._create(
            cls.Issued,
            id=cls.create_id(institution, number),
            number=number,
            year=year,
            serial=serial,
            facts=facts,
            rests_on=rests_on,
            verification_code=verification_code,
            template_version=template_version,
            replaces=replaces,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def supersede(
        self,
        *,
        replacement: Certificate,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Give way to a certificate that was issued in place of this one.

        :raises CertificateNotLive: this one was superseded or revoked before.
        :raises NotTheReplacement: the other doesn't replace this number for this enrolment.
        """
        self._must_be_live()
        must_explain(reason, note)
        if (replacement.replaces, replacement.enrolment) != (self.number, self.enrolment):
            raise NotTheReplacement(
                f"Certificate {replacement.number} wasn't issued in place of {self.number} for the same enrolment."
            )
        self.trigger_event(
            self.Superseded,
            by_number=replacement.number,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def request_revocation(
        self, *, reason: str, note: Private | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Ask that the certificate be withdrawn without a replacement.

        :raises CertificateNotLive: it was superseded or revoked before.
        :raises RevocationAlreadyRequested: a request is waiting.
        """
        self._must_be_live()
        if self.revocation is not None:
            raise RevocationAlreadyRequested(
                f"The revocation of certificate {self.number} was requested before. Somebody else"
                " revokes it now, or rejects the request."
            )
        must_explain(reason, note)
        self.trigger_event(self.RevocationRequested, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    def revoke(
        self,
        *,
        solo_allowed: bool,
        reason: str | None = None,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Withdraw the certificate, for the reason that was given in the request.

        `solo_allowed` is the institution's setting for revocations. With it one person may do both,
        with a request or without, and the event says that there was no second pair of eyes.
        `reason` is needed only where nothing was requested; given all the same, it replaces the
        requested one.

        :raises CertificateNotLive: it was superseded or revoked before.
        :raises RevocationNotRequested: nobody asked, and the institution wants four eyes.
        :raises RevocationNeedsAnother: the same person asked, and the institution wants four eyes.
        """
        self._must_be_live()
        request = self.revocation
        if request is None and not solo_allowed:
            raise RevocationNotRequested(
                "Two people revoke a certificate: one requests it with a reason, another agrees."
                f" Request the revocation of certificate {self.number} first."
            )
        solo = request is None or request.by == by
        if solo and not solo_allowed:
            raise RevocationNeedsAnother(
                f"You requested the revocation of certificate {self.number} yourself. Somebody else has to agree."
            )
        if reason is not None or request is None:
            must_explain(reason or "", note)
        self.trigger_event(
            self.Revoked,
            reason=reason or (request.reason if request else ""),
            note=note or (request.note if request else None),
            requested_by=request.by if request else by,
            solo=solo,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def reject_revocation(
        self, *, reason: str, note: Private | None = None, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Decline the request, or take it back: the certificate stays in force.

        :raises RevocationNotRequested: there is no request.
        """
        self._must_be_live()
        if self.revocation is None:
            raise RevocationNotRequested(f"Nobody has requested the revocation of certificate {self.number}.")
        must_explain(reason, note)
        self.trigger_event(self.RevocationRejected, reason=reason, note=note, by=by, at=at, on_behalf_of=on_behalf_of)

    def resolve_discrepancy(
        self,
        *,
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
        """Say that the certificate stays, though what it rests on has moved to `version`.

        A certificate that is wrong now is superseded or revoked instead.

        :raises CertificateNotLive: nobody relies on it any more.
        :raises DiscrepancyUnfounded: it doesn't rest on that aspect of the stream, or the version
            isn't later than the one it rests on, or the last one that was resolved.
        """
        self._must_be_live()
        known = self.rests_on.get((stream, aspect))
        if known is None:
            raise DiscrepancyUnfounded(
                f"Certificate {self.number} doesn't rest on the {aspect.value} of {stream}.", field="stream"
            )
        if version <= known:
            raise DiscrepancyUnfounded(
                f"For certificate {self.number} version {known} was taken into account; version {version} isn't later.",
                field="version",
            )
        must_explain(resolution, note, field="resolution")
        must_explain(reason, note)
        self.trigger_event(
            self.DiscrepancyResolved,
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

    def _must_be_live(self) -> None:
        if not self.live:
            raise CertificateNotLive(f"Certificate {self.number} was {self.stage.value} before; that is final.")

    class Event(Aggregate.Event):
        """Something happened to a certificate."""

    class Issued(Event, AggregateCreated):
        """The certificate was made out under the next number of the year."""

        TOPIC = "certificate.issued"
        number: str
        year: int
        serial: int
        facts: Facts
        rests_on: tuple[Basis, ...]
        verification_code: str
        template_version: str
        replaces: str | None

    class Superseded(Event):
        """Another certificate took this one's place."""

        TOPIC = "certificate.superseded"
        by_number: str
        reason: str
        note: Private | None

        def apply(self, certificate: Certificate) -> None:
            certificate.stage = Stage.SUPERSEDED

    class RevocationRequested(Event):
        """Somebody asked that the certificate be withdrawn."""

        TOPIC = "certificate.revocation_requested"
        reason: str
        note: Private | None

        def apply(self, certificate: Certificate) -> None:
            certificate.revocation = RevocationRequest(self.by, self.reason, self.note)

    class RevocationRejected(Event):
        """The request was declined or taken back."""

        TOPIC = "certificate.revocation_rejected"
        reason: str
        note: Private | None

        def apply(self, certificate: Certificate) -> None:
            certificate.revocation = None

    class Revoked(Event):
        """The certificate was withdrawn; `solo` if one person both requested and decided it."""

        TOPIC = "certificate.revoked"
        reason: str
        note: Private | None
        requested_by: UUID
        solo: bool

        def apply(self, certificate: Certificate) -> None:
            certificate.stage = Stage.REVOKED

    class DiscrepancyResolved(Event):
        """The certificate stays, though a stream that it rests on has moved to `version`."""

        TOPIC = "certificate.discrepancy_resolved"
        stream: UUID
        version: int
        aspect: Aspect
        resolution: str
        reason: str
        note: Private | None

        def apply(self, certificate: Certificate) -> None:
            certificate.rests_on[self.stream, self.aspect] = self.version


@dataclass(frozen=True)
class RevocationRequest:
    """Who asked for a revocation, and why."""

    by: UUID
    reason: str
    note: Private | None


def _check_number(year: int, serial: int, at: datetime) -> None:
    # The institution's zone isn't known here, so that on New Year's Eve two years are possible.
    if year not in {(at - _FURTHEST_ZONE).year, (at + _FURTHEST_ZONE).year}:
        raise NumberImpossible(f"A certificate issued on {at.date()} isn't numbered in {year}.", field="year")
    if serial < 1:
        raise NumberImpossible("Serial numbers begin with 1.", field="serial")


def _check_facts(facts: Facts) -> None:
    for name in ("course_title", "body", "code", "institution_name"):
        if not getattr(facts, name).strip():
            raise FactsImpossible(f"The certificate needs the {name.replace('_', ' ')}.", field=f"facts/{name}")
    if facts.last_day < facts.first_day:
        raise FactsImpossible(
            f"The course can't end on {facts.last_day}, before it begins on {facts.first_day}.", field="facts/last_day"
        )
    if facts.contact_minutes < 1:
        raise FactsImpossible("A certificate states the contact minutes, at least 1.", field="facts/contact_minutes")


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in sorted(numbers))
