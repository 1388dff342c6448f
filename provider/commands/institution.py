"""Founding the institution, and saying how it works."""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid4

from domain.access import Access, Role
from domain.credential import CredentialPolicy
from domain.institution import Institution, Settings
from domain.refusal import Refused
from provider.commands import people
from provider.office import Office
from provider.token import digest, new_token
from provider.work import Act, Receipt, Work, command


class AlreadyFounded(Refused):
    """The data directory holds an institution already."""


def found(
    office: Office,
    *,
    name: str,
    zone: str,
    given: str | None,
    family: str | None,
    email: str | None,
    label: str = "first token",
) -> tuple[Receipt, str]:
    """Begin the history of an institution: itself, its first administrator, and that person's token.

    Return the receipt, whose id is the institution's and whose first of `ids` is the administrator's, and the token.
    It is shown here and never again.

    :raises AlreadyFounded: when the office has an institution.
    """
    person, token = uuid4(), new_token()
    now = office.clock()
    act = Act(by=person, now=now, at=now, channel="cli", request=uuid4().hex)
    with office.locks.hold("institution"):
        if office.founded:
            raise AlreadyFounded(
                "There is an institution here already. One back office serves one institution: "
                "choose another data directory for a second one."
            )
        receipt = _found(
            office,
            act,
            person=person,
            name=name,
            settings=Settings.usual(zone=zone),
            given=given,
            family=family,
            email=email,
            label=label,
            token=token,
        )
    return receipt, token


@command
def _found(
    work: Work,
    *,
    person: UUID,
    name: str,
    settings: Settings,
    given: str | None,
    family: str | None,
    email: str | None,
    label: str,
    token: str,
) -> Receipt:
    # The first event of the log is the institution's: that is how an office knows whose it is.
    institution = Institution.found(institution=work.new_id(), name=name, settings=settings, **work.by)
    administrator = people.newcomer(work, person=person, given=given, family=family, email=email, source="founding")
    access = Access.open(person=person, **work.by)
    access.grant_role(role=Role.ADMIN, reason="founding", **work.by)
    access.issue_token(
        token=work.new_id(),
        digest=digest(token),
        label=work.seal(person, label),
        roles=(Role.ADMIN,),
        expires_on=None,
        **work.by,
    )
    return work.record(institution, administrator, access, ids=[person])


@command
def rename(work: Work, *, name: str) -> Receipt:
    """Let the institution go by another name; documents already issued keep the old one."""
    institution = _addressed(work)
    institution.rename(name=name, **work.by)
    return work.record(institution)


@command
def change_settings(work: Work, *, settings: Settings, reason: str, note: str | None = None) -> Receipt:
    """Replace all settings."""
    institution = _addressed(work)
    institution.change_settings(settings=settings, reason=reason, note=work.note(note), **work.by)
    return work.record(institution)


@command
def register_with_body(
    work: Work, *, body: str, external_id: str, valid_from: date, valid_until: date | None = None
) -> Receipt:
    """Record that a body lists the institution; `ids` holds the registration's number."""
    institution = _addressed(work)
    number = institution.register_with_body(
        body=body, external_id=external_id, valid_from=valid_from, valid_until=valid_until, **work.by
    )
    return work.record(institution, ids=[number])


@command
def end_registration(work: Work, *, body: str, on: date, reason: str, note: str | None = None) -> Receipt:
    """End the registration with a body that holds on a day: from that day on it no longer does."""
    institution = _addressed(work)
    institution.end_registration(body=body, on=on, reason=reason, note=work.note(note), **work.by)
    return work.record(institution)


@command
def override_credential(work: Work, *, policy: CredentialPolicy, reason: str, note: str | None = None) -> Receipt:
    """Put the institution's own rules for a credential before those of the catalogue."""
    institution = _addressed(work)
    institution.override_credential(policy=policy, reason=reason, note=work.note(note), **work.by)
    return work.record(institution)


def _addressed(work: Work) -> Institution:
    return work.addressed(Institution, work.office.institution)
