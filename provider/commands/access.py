"""Granting roles and issuing tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from domain.access import Access, Role
from domain.person import Person
from domain.refusal import Refused
from projections import access as view
from provider.office import Office
from provider.token import digest, new_token
from provider.work import Act, Receipt, Stale, Work, command


class LastAdmin(Refused):
    """Without this administrator nobody could grant a role any more."""


@command
def grant(work: Work, *, person: UUID, role: Role, reason: str | None = None) -> Receipt:
    """Give somebody a role. Whoever never had one has version 0 so far."""
    work.get(Person, person)
    access = work.find(Access, Access.create_id(person))
    if access is None:
        if work.act.version:
            raise Stale(0)
        access = Access.open(person=person, **work.by)
    elif work.act.version is not None and access.version != work.act.version:
        raise Stale(access.version)
    access.grant_role(role=role, reason=reason, **work.by)
    return work.record(access, ids=[person])


@command
def withdraw(work: Work, *, person: UUID, role: Role, reason: str) -> Receipt:
    """Take a role from somebody, and from all of their tokens.

    :raises LastAdmin: when nobody else could grant roles then.
    """
    with work.alone("administrators"):
        access = work.addressed(Access, Access.create_id(person))
        if role is Role.ADMIN and role in access.roles:
            # Whoever held the lock before may have recorded without having brought the views along.
            work.office.views.catch_up()
            if view.administrators(work.read) == [str(person)]:
                raise LastAdmin(
                    "This is the only administrator. Make somebody else one first: without any, nobody could grant "
                    "a role or issue a token any more.",
                    field="role",
                )
        access.withdraw_role(role=role, reason=reason, **work.by)
        return work.record(access, ids=[person])


def issue_token(
    office: Office,
    act: Act,
    *,
    person: UUID,
    roles: Iterable[Role],
    label: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[Receipt, str | None]:
    """Issue a token that may do some of what its owner may; `ids` holds its id, then the person's.

    Return the token with the receipt: nobody can ever see it again, so it is None where an idempotency key is answered
    as before.
    """
    token = new_token()
    receipt = _issue_token(
        office, act, person=person, roles=tuple(roles), label=label, expires_at=expires_at, digested=digest(token)
    )
    return receipt, None if receipt.replayed else token


@command
def _issue_token(
    work: Work,
    *,
    person: UUID,
    roles: tuple[Role, ...],
    label: str | None,
    expires_at: datetime | None,
    digested: str,
) -> Receipt:
    access = work.addressed(Access, Access.create_id(person))
    token = work.new_id()
    access.issue_token(
        token=token, digest=digested, label=work.seal(person, label), roles=roles, expires_on=expires_at, **work.by
    )
    return work.record(access, ids=[token, person])


@command
def revoke_token(work: Work, *, person: UUID, token: UUID, reason: str) -> Receipt:
    """End a token at once."""
    access = work.addressed(Access, Access.create_id(person))
    access.revoke_token(token=token, reason=reason, **work.by)
    return work.record(access, ids=[token, person])
