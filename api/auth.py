"""Who asks, and whether they may: bearer tokens, roles, and a trainer's own courses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from flask import g

from api.here import header, office, read_no_more, reading
from api.permissions import OF_A_ROLE, PERMISSIONS, allowed
from api.problems import NotPermitted, NotSignedIn
from domain.access import Role
from projections import access, certificates, directory, roster, submission
from projections.projection import instant
from provider.log import NotFound
from provider.mapper import uuid
from provider.token import digest, has_the_form, looks_like_a_token


@dataclass(frozen=True)
class Principal:
    """Who is asking: the person, the token, its roles, and what those may do."""

    person: UUID
    token: UUID
    roles: frozenset[Role]
    permissions: frozenset[str]


CourseOf = Callable[[Any], str | None]

COURSE_OF: Mapping[str, CourseOf] = {
    "course": str,
    "enrolment": lambda enrolment: roster.course_of(reading(), enrolment),
    "number": lambda number: certificates.course_of(reading(), number),
    "submission": lambda submitted: submission.course_of(reading(), submitted),
}
"""How the course is found to which the thing in a path argument belongs; a trainer reaches only their own."""


def admit(permission: str | None, path: Mapping[str, Any]) -> Principal:
    """Return who asks, when they may do this here.

    :raises NotSignedIn: without a token that is known and in force.
    :raises NotPermitted: when none of its roles may do this.
    :raises NotFound: when a trainer asks for something of a course that is not theirs.
    """
    principal = _identified()
    if permission is not None and permission not in principal.permissions:
        roles = " or ".join(role.value for role in OF_A_ROLE[permission])
        raise NotPermitted(f"This needs the role of a {roles}. Ask an administrator to grant it.")
    if permission is not None and not sees_all_courses(principal, permission):
        for name, course_of in COURSE_OF.items():
            if name in path:
                _must_be_theirs(principal, course_of(path[name]))
    g.principal = principal
    return principal


NOT_OURS = "This is not a token of ours; it may have been cut off when it was copied."
UNKNOWN = "This token is unknown or was revoked. Ask an administrator for a new one."


def _identified() -> Principal:
    """Return whose token the request carries.

    :raises NotSignedIn: when it carries none, or one that is unknown, expired or revoked.
    """
    said = header("HTTP_AUTHORIZATION") or ""
    kind, _, token = said.partition(" ")
    token = token.strip()
    if kind.lower() != "bearer" or not token:
        raise NotSignedIn("Send your API token: `Authorization: Bearer prv_…`.")
    if not has_the_form(token):
        raise NotSignedIn(NOT_OURS)
    views = office().views
    holder = views.known(reading, access.holder, digest(token))
    if holder is None and views.position(reading()) < office().log.position():
        # The views may only not know it yet, such as after they were put back to an older copy.
        read_no_more()
        views.catch_up()
        holder = views.known(reading, access.holder, digest(token))
    if holder is None:
        # The checksum costs as much as to look for one, so only those are asked for it that were not found.
        raise NotSignedIn(UNKNOWN if looks_like_a_token(token) else NOT_OURS)
    if holder.expires_at is not None and holder.expires_at <= instant(office().clock()):
        raise NotSignedIn("This token has expired. Ask an administrator for a new one.")
    return _principal(holder)


@lru_cache(maxsize=1_024)
def _principal(holder: access.Holder) -> Principal:
    """Return who it is, and what that person may do."""
    roles, permissions = _may(holder.roles)
    return Principal(uuid(holder.person), uuid(holder.token), roles, permissions)


@cache
def _may(roles: frozenset[str]) -> tuple[frozenset[Role], frozenset[str]]:
    """Return the roles of these names, and what they permit."""
    held = frozenset(Role(role) for role in roles)
    return held, allowed(held)


def sees_all_courses(principal: Principal, permission: str) -> bool:
    """Say whether a role other than trainer gives this permission."""
    return _beyond_their_own(principal.roles, permission)


@cache
def _beyond_their_own(roles: frozenset[Role], permission: str) -> bool:
    return any(permission in PERMISSIONS[role] for role in roles - {Role.TRAINER})


def _must_be_theirs(principal: Principal, course: str | None) -> None:
    # Whether it exists is nothing that another trainer learns here.
    if course is None or not office().views.known(reading, directory.is_trainer_of, principal.person, course):
        raise NotFound("There is no such thing here.")
