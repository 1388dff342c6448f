"""What a person may do here, and the tokens with which their programs do it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from domain.aggregate import Aggregate, AggregateCreated
from domain.private import Private
from domain.reason import must_say_why
from domain.refusal import Invalid, Refused

ACCESS = UUID("6a9e4e40-0bc1-49d4-8b0b-e9bbcd87fbd9")

_SHA_256 = re.compile(r"[0-9a-f]{64}")


class RoleHeld(Refused):
    """The person has the role already."""


class RoleNotHeld(Refused):
    """The person doesn't have the role."""


class TokenWithoutRole(Invalid):
    """A token that may do nothing is of no use."""


class TokenExpired(Invalid):
    """A token would have expired before it is issued."""


class TokenKnown(Refused):
    """A token of this id, or of this secret, was issued before."""


class UnknownToken(Refused):
    """The person has no token of that id."""


class TokenAlreadyRevoked(Refused):
    """The token was revoked before."""


class NoDigest(Invalid):
    """What was given isn't the SHA-256 of a token."""


class Role(StrEnum):
    """What somebody may do: run the office, teach their own courses, read all of it, grant roles.

    Whether a trainer may teach a credential is no role but an authorisation.
    """

    REGISTRAR = "registrar"
    TRAINER = "trainer"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True)
class Token:
    """An issued token, as far as later decisions need it; the token itself is kept nowhere."""

    digest: str
    roles: tuple[Role, ...]
    expires_on: datetime | None
    revoked: bool = False


class Access(Aggregate):
    """The roles of one person, and their tokens.

    That an institution keeps at least one admin is a rule over many of these; the command keeps it.
    """

    TOPIC = "access"

    @staticmethod
    def create_id(person: UUID) -> UUID:
        return uuid5(ACCESS, str(person))

    def __init__(self, person: UUID) -> None:
        self.person = person
        self.roles: frozenset[Role] = frozenset()
        self.tokens: dict[UUID, Token] = {}

    @classmethod
    def open(cls, *, person: UUID, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> Access:
        """Let a person be given roles; so far they have none."""
        return cls._create(cls.Opened, person=person, by=by, at=at, on_behalf_of=on_behalf_of)

    def token_roles(self, token: UUID) -> tuple[Role, ...]:
        """Return what a token may do while it lasts; nothing, if it was revoked or never issued."""
        known = self.tokens.get(token)
        return () if known is None or known.revoked else known.roles

    def has_expired(self, token: UUID, *, at: datetime) -> bool:
        """Tell whether a token's time is over at that moment; an unknown one has none.

        The moment of expiry itself is over.
        """
        known = self.tokens.get(token)
        return known is None or (known.expires_on is not None and known.expires_on <= at)

    def grant_role(
        self,
        *,
        role: Role,
        reason: str | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Give the person a role. Tokens that exist stay as they are.

        :raises RoleHeld: they have it.
        """
        if role in self.roles:
            raise RoleHeld(f"This person already has the role {role}.", field="role")
        self.trigger_event(self.RoleGranted, role=role, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    def withdraw_role(
        self,
        *,
        role: Role,
        reason: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Take a role from the person, and for good from each of their tokens.

        :raises RoleNotHeld: they don't have it.
        """
        must_say_why(reason)
        if role not in self.roles:
            raise RoleNotHeld(f"This person doesn't have the role {role}, so it can't be withdrawn.", field="role")
        self.trigger_event(self.RoleWithdrawn, role=role, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    def issue_token(
        self,
        *,
        token: UUID,
        digest: str,
        label: Private | None,
        roles: Iterable[Role],
        expires_on: datetime | None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Issue a token that may do some of what the person may.

        `digest` is the SHA-256 of the token, 64 small hexadecimal digits; the token itself is shown
        once and never kept. `expires_on` is an aware moment, or None for a token that stays valid.

        :raises NoDigest: the digest is something else.
        :raises TokenWithoutRole: no role is named.
        :raises RoleNotHeld: a role is named that the person doesn't have.
        :raises TokenExpired: it would expire before it is issued.
        :raises TokenKnown: the id or the digest was used before.
        """
        wanted = frozenset(roles)
        if not _SHA_256.fullmatch(digest):
            # The value is left out of the message: it might be the token itself.
            raise NoDigest("Give the token's SHA-256 as 64 small hexadecimal digits.")
        if not wanted:
            raise TokenWithoutRole("Name at least one role for the token.", field="roles")
        missing = [role for role in Role if role in wanted - self.roles]
        if missing:
            raise RoleNotHeld(
                "A token may only do what its owner may, and they don't have the role"
                f" {', '.join(missing)}. Grant it first, or leave it out.",
                field="roles",
            )
        if expires_on is not None and expires_on <= at:
            raise TokenExpired("The token would have expired already. Choose a later moment.", field="expires_on")
        if token in self.tokens or digest in {known.digest for known in self.tokens.values()}:
            raise TokenKnown("This token was issued before. Make a new one.")
        self.trigger_event(
            self.TokenIssued,
            token=token,
            digest=digest,
            label=label,
            roles=tuple(role for role in Role if role in wanted),
            expires_on=expires_on,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def revoke_token(
        self,
        *,
        token: UUID,
        reason: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """End a token at once; there is no way back.

        :raises UnknownToken: it was never issued to this person.
        :raises TokenAlreadyRevoked: it is ended.
        """
        must_say_why(reason)
        known = self.tokens.get(token)
        if known is None:
            raise UnknownToken("This person has no such token.", field="token")
        if known.revoked:
            raise TokenAlreadyRevoked("This token has already been revoked.", field="token")
        self.trigger_event(self.TokenRevoked, token=token, reason=reason, by=by, at=at, on_behalf_of=on_behalf_of)

    class Event(Aggregate.Event):
        """Something happened to what a person may do."""

    class Opened(Event, AggregateCreated):
        """A person can be given roles from here on."""

        TOPIC = "access.opened"
        person: UUID

    class RoleGranted(Event):
        """The person has the role; tokens issued before don't."""

        TOPIC = "access.role_granted"
        role: Role
        reason: str | None

        def apply(self, access: Access) -> None:
            access.roles |= {self.role}

    class RoleWithdrawn(Event):
        """The person has the role no longer, nor has any token of theirs.

        A role granted again doesn't come back to old tokens: whoever found one while it was
        harmless shall not profit.
        """

        TOPIC = "access.role_withdrawn"
        role: Role
        reason: str

        def apply(self, access: Access) -> None:
            access.roles -= {self.role}
            access.tokens = {
                token: replace(known, roles=tuple(r for r in known.roles if r != self.role))
                for token, known in access.tokens.items()
            }

    class TokenIssued(Event):
        """A token was made; whoever shows the text of this digest may act in these roles."""

        TOPIC = "access.token_issued"
        token: UUID
        digest: str
        label: Private | None
        roles: tuple[Role, ...]
        expires_on: datetime | None

        def apply(self, access: Access) -> None:
            access.tokens[self.token] = Token(self.digest, self.roles, self.expires_on)

    class TokenRevoked(Event):
        """The token opens nothing any more."""

        TOPIC = "access.token_revoked"
        token: UUID
        reason: str

        def apply(self, access: Access) -> None:
            access.tokens[self.token] = replace(access.tokens[self.token], revoked=True)
