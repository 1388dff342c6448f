"""The access view: what it answers after which events, now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Access, Role
from projections import access as view
from projections.access import access as projection
from projections.history import history
from provider.office import Office
from tests.conftest import START

BY: dict[str, Any] = {"by": uuid4(), "at": START}


@pytest.fixture
def shelf(showing: Callable[..., Office]) -> Iterator[Office]:
    office = showing(projection, history)
    yield office
    office.close()


@pytest.fixture
def record(shelf: Office) -> Callable[[Access], int]:
    def save(access: Access) -> int:
        position = shelf.log.record(access, asked={"id": "test", "channel": "test"}).position
        shelf.views.catch_up(position)
        assert position is not None
        return position

    return save


def somebody(*roles: Role, person: UUID | None = None) -> Access:
    access = Access.open(person=uuid4() if person is None else person, **BY)
    for role in roles:
        access.grant_role(role=role, **BY)
    return access


def token(access: Access, digest: str, *roles: Role, **said: Any) -> UUID:
    said = {"label": None, "expires_on": None, "token": uuid4(), **said}
    access.issue_token(digest=digest, roles=roles, **said, **BY)
    return UUID(str(said["token"]))


A, B = "a" * 64, "b" * 64


def test_a_token_is_found_by_its_digest_with_its_roles(shelf: Office, record: Callable[[Access], int]) -> None:
    access = somebody(Role.REGISTRAR, Role.AUDITOR)
    token_id = token(access, A, Role.AUDITOR, expires_on=START + timedelta(days=1))
    record(access)
    with shelf.views.reading() as read:
        holder = view.holder(read, A)
        assert holder == view.Holder(
            str(access.person), str(token_id), frozenset({"auditor"}), "2026-05-05T06:00:00.000000Z"
        )
        assert view.holder(read, B) is None


def test_a_revoked_token_holds_nothing(shelf: Office, record: Callable[[Access], int]) -> None:
    access = somebody(Role.AUDITOR)
    revoked = token(access, A, Role.AUDITOR)
    token(access, B, Role.AUDITOR)
    access.revoke_token(token=revoked, reason="lost", **BY)
    record(access)
    with shelf.views.reading() as read:
        assert view.holder(read, A) is None
        assert view.holder(read, B) is not None


def test_a_withdrawn_role_leaves_every_token_and_does_not_come_back(
    shelf: Office, record: Callable[[Access], int]
) -> None:
    access = somebody(Role.REGISTRAR, Role.AUDITOR)
    token(access, A, Role.REGISTRAR, Role.AUDITOR)
    token(access, B, Role.REGISTRAR)
    access.withdraw_role(role=Role.REGISTRAR, reason="left", **BY)
    access.grant_role(role=Role.REGISTRAR, **BY)
    record(access)
    with shelf.views.reading() as read:
        a, b = view.holder(read, A), view.holder(read, B)
        assert a is not None
        assert a.roles == {"auditor"}
        assert b is not None
        assert b.roles == frozenset()
        known = view.of_person(read, access.person)
        assert known is not None
        assert known["roles"] == ["auditor", "registrar"]


def test_the_administrators_are_those_who_hold_the_role_now(shelf: Office, record: Callable[[Access], int]) -> None:
    first, second = somebody(Role.ADMIN), somebody(Role.ADMIN, Role.AUDITOR)
    record(first)
    record(second)
    with shelf.views.reading() as read:
        assert view.administrators(read) == [str(first.person), str(second.person)]
    first.withdraw_role(role=Role.ADMIN, reason="left", **BY)
    record(first)
    with shelf.views.reading() as read:
        assert view.administrators(read) == [str(second.person)]


def test_the_listing_pages_in_the_order_of_the_first_grant(shelf: Office, record: Callable[[Access], int]) -> None:
    people = [somebody(Role.AUDITOR) for _ in range(5)]
    for each in people:
        token(each, each.person.hex * 2, Role.AUDITOR)
        record(each)
    with shelf.views.reading() as read:
        rows = view.listing(read, limit=2)
        assert [row["person"] for row in rows] == [str(each.person) for each in people[:3]]
        rest = view.listing(read, after=rows[1]["opened"], limit=50)
        assert [row["person"] for row in rest] == [str(each.person) for each in people[2:]]
        assert [len(row["tokens"]) for row in rest] == [1, 1, 1]


def test_as_of_an_earlier_position_the_role_was_not_withdrawn(shelf: Office, record: Callable[[Access], int]) -> None:
    access = somebody(Role.AUDITOR)
    token_id = token(access, A, Role.AUDITOR)
    before = record(access)
    access.withdraw_role(role=Role.AUDITOR, reason="left", **BY)
    access.revoke_token(token=token_id, reason="lost", **BY)
    record(access)
    with shelf.views.reading() as read:
        then, now = (view.of_person(read, access.person, at=at) for at in (before, None))
        assert then is not None
        assert now is not None
        assert (then["roles"], then["version"]) == (["auditor"], 3)
        assert [(each["roles"], each["revoked"]) for each in then["tokens"]] == [(["auditor"], False)]
        assert (now["roles"], now["version"]) == ([], 5)
        assert [(each["roles"], each["revoked"]) for each in now["tokens"]] == [([], True)]
        assert view.of_person(read, access.person, at=0) is None


def test_rebuilt_it_is_the_same(shelf: Office, record: Callable[[Access], int]) -> None:
    access = somebody(Role.REGISTRAR, Role.ADMIN)
    token(access, A, Role.REGISTRAR)
    record(access)
    access.withdraw_role(role=Role.REGISTRAR, reason="left", **BY)
    access.revoke_token(token=token(access, B, Role.ADMIN), reason="lost", **BY)
    record(access)
    assert shelf.views.verify() == []
    with shelf.views.reading() as read:
        before = view.listing(read)
    shelf.views.rebuild()
    with shelf.views.reading() as read:
        assert view.listing(read) == before
