"""The registered institution whose back office this is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from domain.aggregate import Aggregate, AggregateCreated
from domain.catalogue import CATALOGUE
from domain.credential import BODIES, CredentialPolicy, check_body, check_policy
from domain.private import Private
from domain.reason import must_say_why
from domain.refusal import Invalid, Refused
from domain.schedule import zone_named

MAX_TOLERANCE_MINUTES = 240
"""A half-day; whoever may miss all of it needs no register."""

MAX_SUBMISSION_DUE_DAYS = 60

_PREFIX = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,11})?")


class NameMissing(Invalid):
    """The institution needs a name; it is printed on every certificate."""


class UnsoundSettings(Invalid):
    """A setting is out of its range, or is said twice."""


class RegistrationDates(Invalid):
    """The dates of a registration contradict each other."""


class RegistrationUnproven(Invalid):
    """A registration lacks the number under which the body knows the institution."""


class RegistrationsOverlap(Refused):
    """The institution is already registered with the body on some of these days."""


class NotRegistered(Refused):
    """The institution isn't registered with the body on that day."""


class PolicyVersionTaken(Refused):
    """Rules of that name exist already, and decisions may have named them."""


class Act(StrEnum):
    """What one person asks for and another has to approve, unless the institution works solo."""

    AMENDMENT = "amendment"
    REVOCATION = "revocation"
    SUBMISSION_APPROVAL = "submission_approval"
    COMPLETION_CORRECTION = "completion_correction"


class SignOffMode(StrEnum):
    """Whether the one who asks may approve as well."""

    FOUR_EYES = "four_eyes"
    SOLO = "solo"


@dataclass(frozen=True)
class SignOff:
    """How one act is approved."""

    act: Act
    mode: SignOffMode


@dataclass(frozen=True)
class Settings:
    """How the institution works.

    `zone` is the IANA name of the zone in which its days begin and end. `tolerance_minutes` is how
    much of one half-day a learner may miss. `submission_due_days` counts business days after the
    last session; `holidays` are no business days. `certificate_prefix` begins the number of every
    certificate, and may be empty. An act that `sign_off` doesn't name needs four eyes.
    """

    zone: str
    tolerance_minutes: int
    sign_off: tuple[SignOff, ...]
    certificate_prefix: str
    submission_due_days: int
    holidays: tuple[date, ...]

    @classmethod
    def usual(cls, *, zone: str) -> Settings:
        """Return what most institutions begin with: 15 minutes, four eyes, two business days."""
        return cls(
            zone=zone,
            tolerance_minutes=15,
            sign_off=tuple(SignOff(act, SignOffMode.FOUR_EYES) for act in Act),
            certificate_prefix="",
            submission_due_days=2,
            holidays=(),
        )

    def solo(self, act: Act | str) -> bool:
        """Tell whether the one who asked for the act may approve it; ValueError if no such act."""
        wanted = Act(act)
        return any(each.act == wanted and each.mode == SignOffMode.SOLO for each in self.sign_off)


@dataclass(frozen=True)
class Registration:
    """That a body lists the institution as a provider.

    `valid_until` is the last day on which it holds, `ended` the first on which it no longer does.
    """

    number: int
    body: str
    external_id: str
    valid_from: date
    valid_until: date | None
    ended: date | None = None

    def holds_on(self, day: date) -> bool:
        return (
            self.valid_from <= day
            and (self.valid_until is None or day <= self.valid_until)
            and (self.ended is None or day < self.ended)
        )

    def overlaps(self, other: Registration) -> bool:
        """Tell whether both hold on some day; the later of the two first days decides."""
        later = max(self.valid_from, other.valid_from)
        return self.holds_on(later) and other.holds_on(later)


class Institution(Aggregate):
    """The provider: with whom it is registered, how it works, and where it knows rules better.

    There is one, and its settings are read by nearly every decision; each decision says what it
    used, so that a change never reaches back.
    """

    TOPIC = "institution"

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.registrations: dict[int, Registration] = {}
        self.overrides: tuple[CredentialPolicy, ...] = ()

    @classmethod
    def found(
        cls,
        *,
        institution: UUID,
        name: str,
        settings: Settings,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> Institution:
        """Begin the institution's history.

        :raises NameMissing, UnknownZone, UnsoundSettings:
        """
        _check_settings(settings)
        return cls._create(
            cls.Founded,
            id=institution,
            name=_named(name),
            settings=settings,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def registered_with(self, body: str, on: date) -> bool:
        return any(
            registration.body == body and registration.holds_on(on) for registration in self.registrations.values()
        )

    def must_be_registered_with(self, body: str, on: date) -> None:
        """Refuse a day on which the body doesn't list the institution; NotRegistered names it."""
        if not self.registered_with(body, on):
            raise NotRegistered(
                f"The institution is not registered with {BODIES.get(body, body)} on {on}. Choose"
                " another date, or record the registration."
            )

    def policies(self) -> tuple[CredentialPolicy, ...]:
        """Return all rules for credentials: the latest override first, the catalogue last."""
        return (*self.overrides, *CATALOGUE)

    def rename(self, *, name: str, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Go by another name from now on; saying the same again records nothing.

        :raises NameMissing:
        """
        name = _named(name)
        if name == self.name:
            return
        self.trigger_event(self.Renamed, name=name, by=by, at=at, on_behalf_of=on_behalf_of)

    def register_with_body(
        self,
        *,
        body: str,
        external_id: str,
        valid_from: date,
        valid_until: date | None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> int:
        """Record that a body lists the institution, and return the registration's number.

        :raises UnknownBody: no body has that code.
        :raises RegistrationUnproven: the body's number for the institution is empty.
        :raises RegistrationDates: it ends before it begins.
        :raises RegistrationsOverlap: another registration with the body holds on some of the days.
        """
        check_body(body)
        external_id = external_id.strip()
        if not external_id:
            raise RegistrationUnproven(
                f"Say under which number {BODIES[body]} knows the institution.",
                field="external_id",
            )
        if valid_until is not None and valid_until < valid_from:
            raise RegistrationDates(
                f"The registration would end on {valid_until}, before it begins on {valid_from}.",
                field="valid_until",
            )
        number = len(self.registrations) + 1
        wanted = Registration(number, body, external_id, valid_from, valid_until)
        for known in self.registrations.values():
            if known.body == body and known.overlaps(wanted):
                raise RegistrationsOverlap(
                    f"Registration {known.number} with {BODIES[body]}, {_span(known)}, covers some"
                    " of these days. End it first, or record only the days after it."
                )
        self.trigger_event(
            self.RegisteredWithBody,
            number=number,
            body=body,
            external_id=external_id,
            valid_from=valid_from,
            valid_until=valid_until,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )
        return number

    def end_registration(
        self,
        *,
        body: str,
        on: date,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """End the registration that holds on that day, so that it no longer does, nor later.

        An end may move to an earlier day, never to a later one. A registration recorded in error
        ends on the day it began. Courses already scheduled keep their dates; each command that
        needs the registration asks for it again.

        :raises NotRegistered: none with that body holds on that day.
        """
        check_body(body)
        must_say_why(reason)
        for known in self.registrations.values():
            if known.body == body and known.holds_on(on):
                self.trigger_event(
                    self.RegistrationEnded,
                    number=known.number,
                    body=body,
                    on=on,
                    reason=reason,
                    note=note,
                    by=by,
                    at=at,
                    on_behalf_of=on_behalf_of,
                )
                return
        raise NotRegistered(
            f"The institution is not registered with {BODIES[body]} on {on}, so that nothing ends on that day.",
            field="on",
        )

    def change_settings(
        self,
        *,
        settings: Settings,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Work by other settings from now on; saying the same again records nothing.

        :raises ReasonMissing, UnknownZone, UnsoundSettings:
        """
        must_say_why(reason)
        _check_settings(settings)
        if settings == self.settings:
            return
        self.trigger_event(
            self.SettingsChanged,
            settings=settings,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def override_credential(
        self,
        *,
        policy: CredentialPolicy,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Put the institution's own rules for a credential before those known so far.

        They hold from their first day to their last; before and after, what was known still holds.
        The credential need not be in the catalogue. Saying the same again records nothing.

        :raises UnknownBody, UnsoundPolicy: the rules make no sense.
        :raises PolicyVersionTaken: the credential has rules of that version; a decision names the
            version that it used, so that one name never stands for two texts.
        """
        must_say_why(reason)
        check_policy(policy)
        if policy in self.overrides:
            return
        taken = [known.version for known in self.policies() if (known.body, known.code) == (policy.body, policy.code)]
        if policy.version in taken:
            raise PolicyVersionTaken(
                f"{policy.credential} has rules called {policy.version} already. Give these a name"
                f" of their own, other than {', '.join(sorted(taken))}.",
                field="version",
            )
        self.trigger_event(
            self.CredentialOverridden,
            policy=policy,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    class Event(Aggregate.Event):
        """Something happened to the institution."""

    class Founded(Event, AggregateCreated):
        """The history begins."""

        TOPIC = "institution.founded"
        name: str
        settings: Settings

    class Renamed(Event):
        TOPIC = "institution.renamed"
        name: str

        def apply(self, institution: Institution) -> None:
            institution.name = self.name

    class RegisteredWithBody(Event):
        """A body was seen to list the institution, `valid_until` included."""

        TOPIC = "institution.registered_with_body"
        number: int
        body: str
        external_id: str
        valid_from: date
        valid_until: date | None

        def apply(self, institution: Institution) -> None:
            institution.registrations[self.number] = Registration(
                number=self.number,
                body=self.body,
                external_id=self.external_id,
                valid_from=self.valid_from,
                valid_until=self.valid_until,
            )

    class RegistrationEnded(Event):
        """A registration holds no longer; `on` is the first day without it."""

        TOPIC = "institution.registration_ended"
        number: int
        body: str
        on: date
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, institution: Institution) -> None:
            known = institution.registrations[self.number]
            institution.registrations[self.number] = replace(known, ended=self.on)

    class SettingsChanged(Event):
        """All settings as they are from now on, changed or not."""

        TOPIC = "institution.settings_changed"
        settings: Settings
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, institution: Institution) -> None:
            institution.settings = self.settings

    class CredentialOverridden(Event):
        """The institution's own rules for a credential, before all that were known."""

        TOPIC = "institution.credential_overridden"
        policy: CredentialPolicy
        reason: str
        note: Private | None = field(default=None, kw_only=True)

        def apply(self, institution: Institution) -> None:
            institution.overrides = (self.policy, *institution.overrides)


def _named(name: str) -> str:
    name = name.strip()
    if not name:
        raise NameMissing("Give the institution's name as its certificates show it.", field="name")
    return name


def _check_settings(settings: Settings) -> None:
    zone_named(settings.zone)
    if not 0 <= settings.tolerance_minutes <= MAX_TOLERANCE_MINUTES:
        raise UnsoundSettings(
            f"Of a half-day 0 to {MAX_TOLERANCE_MINUTES} minutes may be missed, not {settings.tolerance_minutes}.",
            field="tolerance_minutes",
        )
    if not 0 <= settings.submission_due_days <= MAX_SUBMISSION_DUE_DAYS:
        raise UnsoundSettings(
            f"A submission is due 0 to {MAX_SUBMISSION_DUE_DAYS} business days after the last"
            f" session, not {settings.submission_due_days}.",
            field="submission_due_days",
        )
    if not _PREFIX.fullmatch(settings.certificate_prefix):
        raise UnsoundSettings(
            f"{settings.certificate_prefix!r} can't begin a certificate's number: use up to 12"
            " letters, digits and hyphens, or nothing.",
            field="certificate_prefix",
        )
    acts = [each.act for each in settings.sign_off]
    if set(acts) - set(Act) or {each.mode for each in settings.sign_off} - set(SignOffMode):
        raise UnsoundSettings(
            f"What can be signed off is {', '.join(Act)}; each with {' or '.join(SignOffMode)}.",
            field="sign_off",
        )
    if len(set(acts)) < len(acts):
        raise UnsoundSettings("Say once for each act how it is signed off.", field="sign_off")
    if len(set(settings.holidays)) < len(settings.holidays):
        raise UnsoundSettings("Name each holiday once.", field="holidays")


def _span(registration: Registration) -> str:
    until = registration.ended or registration.valid_until
    if until is None:
        return f"from {registration.valid_from} on"
    return f"from {registration.valid_from} {'until' if registration.ended else 'to'} {until}"
