"""Granting roles and issuing tokens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.access import Role, RoleHeld, RoleNotHeld, TokenAlreadyRevoked, TokenExpired, UnknownToken
from projections import access as view
from provider.commands import access
from provider.commands.access import LastAdmin
from provider.log import NotFound
from provider.office import Office
from provider.token import digest, looks_like_a_token
from provider.work import Act, Stale
from tests.conftest import Clock
from tests.idempotency import key_of

Acting = Callable[..., Act]


def roles_of(office: Office, token: str) -> frozenset[str] | None:
    with office.views.reading() as read:
        holder = view.holder(read, digest(token))
    return None if holder is None else holder.roles


def test_a_role_is_granted_to_somebody_known_and_only_once(
    office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    who = person("Rita", "Registrar")
    access.grant(office, act(version=0), person=who, role=Role.REGISTRAR)
    with pytest.raises(RoleHeld):
        access.grant(office, act(), person=who, role=Role.REGISTRAR)
    with pytest.raises(NotFound):
        access.grant(office, act(), person=uuid4(), role=Role.REGISTRAR)


def test_a_grant_heeds_the_version_seen_and_that_of_nobody_is_0(
    office: Office, act: Acting, person: Callable[..., UUID]
) -> None:
    who = person("Rita", "Registrar")
    with pytest.raises(Stale) as stale:
        access.grant(office, act(version=1), person=who, role=Role.REGISTRAR)
    assert stale.value.version == 0
    access.grant(office, act(version=0), person=who, role=Role.REGISTRAR)
    with pytest.raises(Stale) as stale:
        access.grant(office, act(version=0), person=who, role=Role.AUDITOR)
    assert stale.value.version == 2


def test_a_token_does_what_it_was_issued_for(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Rita", "Registrar")
    access.grant(office, act(), person=who, role=Role.REGISTRAR)
    access.grant(office, act(), person=who, role=Role.AUDITOR)
    receipt, token = access.issue_token(office, act(), person=who, roles=[Role.AUDITOR], label="laptop")
    assert token is not None
    assert looks_like_a_token(token)
    assert receipt.ids[1] == str(who)
    assert roles_of(office, token) == {"auditor"}


def test_no_token_is_issued_for_a_role_that_its_owner_does_not_have(
    office: Office, act: Acting, person: Callable[..., UUID], admin: UUID
) -> None:
    with pytest.raises(RoleNotHeld):
        access.issue_token(office, act(), person=admin, roles=[Role.ADMIN, Role.REGISTRAR])
    with pytest.raises(NotFound):
        access.issue_token(office, act(), person=person("Rita", "Registrar"), roles=[Role.REGISTRAR])


def test_a_token_can_not_expire_before_it_is_issued(office: Office, act: Acting, admin: UUID, clock: Clock) -> None:
    with pytest.raises(TokenExpired):
        access.issue_token(office, act(), person=admin, roles=[Role.ADMIN], expires_at=clock())
    _, token = access.issue_token(
        office, act(), person=admin, roles=[Role.ADMIN], expires_at=clock() + timedelta(hours=1)
    )
    assert token is not None
    with office.views.reading() as read:
        holder = view.holder(read, digest(token))
    assert holder is not None
    assert holder.expires_at == "2026-05-04T07:00:00.000000Z"


def test_the_same_key_issues_one_token_and_shows_it_once(office: Office, act: Acting, admin: UUID) -> None:
    key = key_of(admin, "key-of-mine", b"body")
    first, token = access.issue_token(office, act(key=key), person=admin, roles=[Role.ADMIN])
    again, nothing = access.issue_token(office, act(key=key), person=admin, roles=[Role.ADMIN])
    assert token is not None
    assert nothing is None
    assert (again.ids, again.version, again.position) == (first.ids, first.version, first.position)
    assert roles_of(office, token) == {"admin"}


def test_a_role_withdrawn_is_gone_from_every_token(
    office: Office, act: Acting, person: Callable[..., UUID], token_of: Callable[..., str]
) -> None:
    who = person("Rita", "Registrar")
    token = token_of(who, Role.REGISTRAR, Role.AUDITOR)
    access.withdraw(office, act(), person=who, role=Role.REGISTRAR, reason="left")
    assert roles_of(office, token) == {"auditor"}
    with pytest.raises(RoleNotHeld):
        access.withdraw(office, act(), person=who, role=Role.REGISTRAR, reason="left")


def test_a_revoked_token_is_nobodys(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Rita", "Registrar")
    access.grant(office, act(), person=who, role=Role.REGISTRAR)
    receipt, token = access.issue_token(office, act(), person=who, roles=[Role.REGISTRAR])
    assert token is not None
    access.revoke_token(office, act(), person=who, token=UUID(receipt.ids[0]), reason="lost")
    assert roles_of(office, token) is None
    with pytest.raises(TokenAlreadyRevoked):
        access.revoke_token(office, act(), person=who, token=UUID(receipt.ids[0]), reason="lost")
    with pytest.raises(UnknownToken):
        access.revoke_token(office, act(), person=who, token=uuid4(), reason="lost")


def test_the_last_administrator_stays(office: Office, act: Acting, person: Callable[..., UUID], admin: UUID) -> None:
    with pytest.raises(LastAdmin):
        access.withdraw(office, act(), person=admin, role=Role.ADMIN, reason="left")
    other = person("Otto", "Other")
    access.grant(office, act(), person=other, role=Role.ADMIN)
    access.withdraw(office, act(), person=admin, role=Role.ADMIN, reason="left")
    with pytest.raises(LastAdmin):
        access.withdraw(office, act(), person=other, role=Role.ADMIN, reason="left")


def test_two_administrators_who_withdraw_each_other_at_once_leave_one(
    office: Office, act: Acting, person: Callable[..., UUID], admin: UUID
) -> None:
    other = person("Otto", "Other")
    access.grant(office, act(), person=other, role=Role.ADMIN)

    def withdraw(who: UUID) -> bool:
        try:
            access.withdraw(office, act(), person=who, role=Role.ADMIN, reason="left")
        except LastAdmin:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(withdraw, [admin, other]))
    assert sorted(done) == [False, True]
    with office.views.reading() as read:
        assert len(view.administrators(read)) == 1
