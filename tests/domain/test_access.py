"""What a person may do, and what their tokens may do for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.access import (
    Access,
    NoDigest,
    Role,
    RoleHeld,
    RoleNotHeld,
    TokenAlreadyRevoked,
    TokenExpired,
    TokenKnown,
    TokenWithoutRole,
    UnknownToken,
)
from domain.private import Private
from domain.reason import ReasonMissing
from tests.scenario import given, replay

MARIE, ADMIN = uuid4(), uuid4()
LAPTOP, PHONE = uuid4(), uuid4()
AT = datetime(2026, 1, 7, 9, tzinfo=UTC)
SAID: dict[str, Any] = {"by": ADMIN, "at": AT}


def digest(of: str) -> str:
    return sha256(of.encode()).hexdigest()


def opened() -> Access:
    return Access.open(person=MARIE, **SAID)


def granted(*roles: Role) -> Callable[[Access], object]:
    return lambda access: [access.grant_role(role=role, **SAID) for role in roles]


def withdrawn(role: Role) -> Callable[[Access], object]:
    return lambda access: access.withdraw_role(role=role, reason="left", **SAID)


def token(*roles: Role, token: UUID = LAPTOP, secret: str = "laptop", **but: Any) -> dict[str, Any]:
    return {
        "token": token,
        "digest": digest(secret),
        "label": Private("label"),
        "roles": roles,
        "expires_on": None,
        **SAID,
        **but,
    }


def issued(*roles: Role, **but: Any) -> Callable[[Access], object]:
    return lambda access: access.issue_token(**token(*roles, **but))


def revoked(of: UUID = LAPTOP) -> Callable[[Access], object]:
    return lambda access: access.revoke_token(token=of, reason="lost", **SAID)


def test_a_person_has_one_access_and_at_first_no_role():
    access = opened()
    [event] = access.pending_events
    assert (type(event), event.person, event.by, event.at) == (Access.Opened, MARIE, ADMIN, AT)
    assert access.id == Access.create_id(MARIE) == Access.create_id(person=MARIE) != Access.create_id(ADMIN)
    assert access.roles == frozenset()


def test_a_role_is_granted():
    scenario = given(opened).when(Access.grant_role, role=Role.REGISTRAR, reason="new_hire", **SAID)
    scenario.then(Access.RoleGranted, role=Role.REGISTRAR, reason="new_hire")
    assert scenario.after().roles == {Role.REGISTRAR}


def test_a_role_is_not_granted_twice():
    given(opened, granted(Role.ADMIN)).when(Access.grant_role, role=Role.ADMIN, **SAID).then_refused(RoleHeld, "admin")


def test_a_role_is_withdrawn_and_the_others_stay():
    scenario = given(opened, granted(Role.REGISTRAR, Role.ADMIN)).when(
        Access.withdraw_role, role=Role.ADMIN, reason="left", **SAID
    )
    scenario.then(Access.RoleWithdrawn, role=Role.ADMIN, reason="left")
    assert scenario.after().roles == {Role.REGISTRAR}


def test_only_a_held_role_is_withdrawn():
    given(opened, granted(Role.ADMIN)).when(
        Access.withdraw_role, role=Role.AUDITOR, reason="left", **SAID
    ).then_refused(RoleNotHeld, "auditor")


def test_a_withdrawal_needs_a_reason():
    given(opened, granted(Role.ADMIN)).when(Access.withdraw_role, role=Role.ADMIN, reason=" ", **SAID).then_refused(
        ReasonMissing
    )


def test_a_withdrawn_role_is_granted_again():
    given(opened, granted(Role.ADMIN), withdrawn(Role.ADMIN)).when(Access.grant_role, role=Role.ADMIN, **SAID).then(
        Access.RoleGranted, reason=None
    )


def test_a_token_is_issued_with_its_digest_only():
    expires = AT + timedelta(days=90)
    scenario = given(opened, granted(Role.TRAINER, Role.REGISTRAR)).when(
        Access.issue_token, **token(Role.TRAINER, expires_on=expires)
    )
    scenario.then(
        Access.TokenIssued,
        token=LAPTOP,
        digest=digest("laptop"),
        label=Private("label"),
        roles=(Role.TRAINER,),
        expires_on=expires,
    )
    assert scenario.after().token_roles(LAPTOP) == (Role.TRAINER,)


def test_the_roles_of_a_token_stand_in_one_order_and_once():
    given(opened, granted(Role.TRAINER, Role.REGISTRAR)).when(
        Access.issue_token, **token(Role.TRAINER, Role.REGISTRAR, Role.TRAINER)
    ).then(Access.TokenIssued, roles=(Role.REGISTRAR, Role.TRAINER))


def test_a_token_may_do_something():
    given(opened, granted(Role.ADMIN)).when(Access.issue_token, **token()).then_refused(TokenWithoutRole)


def test_a_token_may_do_nothing_that_its_owner_may_not():
    given(opened, granted(Role.REGISTRAR)).when(
        Access.issue_token, **token(Role.REGISTRAR, Role.AUDITOR, Role.ADMIN)
    ).then_refused(RoleNotHeld, "auditor, admin")


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "prv_secret",
        digest("laptop").upper(),
        digest("laptop")[:-1],
        digest("laptop") + "0",
        digest("laptop") + "\n",
    ],
)
def test_only_a_digest_is_recorded_and_nothing_else_is_repeated(nonsense):
    scenario = given(opened, granted(Role.ADMIN)).when(Access.issue_token, **token(Role.ADMIN, digest=nonsense))
    scenario.then_refused(NoDigest)
    assert not nonsense or nonsense not in scenario.refusal.message


@pytest.mark.parametrize("expires", [AT, AT - timedelta(seconds=1)])
def test_a_token_does_not_expire_before_it_is_issued(expires):
    given(opened, granted(Role.ADMIN)).when(Access.issue_token, **token(Role.ADMIN, expires_on=expires)).then_refused(
        TokenExpired
    )


def test_a_token_lasts_until_it_expires():
    expires = AT + timedelta(days=90)
    access = given(opened, granted(Role.ADMIN), issued(Role.ADMIN, expires_on=expires)).after()
    assert not access.has_expired(LAPTOP, at=expires - timedelta(microseconds=1))
    assert access.has_expired(LAPTOP, at=expires)


def test_a_token_without_expiry_lasts_and_an_unknown_one_never_does():
    access = given(opened, granted(Role.ADMIN), issued(Role.ADMIN)).after()
    assert not access.has_expired(LAPTOP, at=datetime.max.replace(tzinfo=UTC))
    assert access.has_expired(PHONE, at=AT)


@pytest.mark.parametrize("again", [{"secret": "other"}, {"token": PHONE}], ids=["same id", "same secret"])
@pytest.mark.parametrize("before", [[], [revoked()]], ids=["live", "revoked"])
def test_a_token_is_issued_once(again, before):
    given(opened, granted(Role.ADMIN), issued(Role.ADMIN), *before).when(
        Access.issue_token, **token(Role.ADMIN, **again)
    ).then_refused(TokenKnown)


def test_a_revoked_token_opens_nothing_and_others_go_on():
    scenario = given(
        opened, granted(Role.ADMIN), issued(Role.ADMIN), issued(Role.ADMIN, token=PHONE, secret="phone")
    ).when(Access.revoke_token, token=LAPTOP, reason="lost", **SAID)
    scenario.then(Access.TokenRevoked, token=LAPTOP, reason="lost")
    assert scenario.after().token_roles(LAPTOP) == ()
    assert scenario.after().token_roles(PHONE) == (Role.ADMIN,)


def test_a_token_is_revoked_once():
    given(opened, granted(Role.ADMIN), issued(Role.ADMIN), revoked()).when(
        Access.revoke_token, token=LAPTOP, reason="lost", **SAID
    ).then_refused(TokenAlreadyRevoked)


def test_only_an_issued_token_is_revoked():
    given(opened).when(Access.revoke_token, token=LAPTOP, reason="lost", **SAID).then_refused(UnknownToken)


def test_a_revocation_needs_a_reason():
    given(opened, granted(Role.ADMIN), issued(Role.ADMIN)).when(
        Access.revoke_token, token=LAPTOP, reason="", **SAID
    ).then_refused(ReasonMissing)


def test_an_unknown_token_opens_nothing():
    given(opened, granted(Role.ADMIN)).when(Access.token_roles, token=LAPTOP).then_answers(())


def test_a_withdrawn_role_is_withdrawn_from_every_token():
    access = given(
        opened,
        granted(Role.REGISTRAR, Role.ADMIN),
        issued(Role.REGISTRAR, Role.ADMIN),
        issued(Role.ADMIN, token=PHONE, secret="phone"),
        withdrawn(Role.ADMIN),
    ).after()
    assert access.token_roles(LAPTOP) == (Role.REGISTRAR,)
    assert access.token_roles(PHONE) == ()


def test_a_role_granted_again_comes_back_to_no_old_token():
    access = given(opened, granted(Role.ADMIN), issued(Role.ADMIN), withdrawn(Role.ADMIN), granted(Role.ADMIN)).after()
    assert access.roles == {Role.ADMIN}
    assert access.token_roles(LAPTOP) == ()


TOKENS = [uuid4() for _ in range(3)]
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.sampled_from(Role)),
        st.tuples(st.just("withdraw"), st.sampled_from(Role)),
        st.tuples(st.just("issue"), st.sampled_from(TOKENS), st.sets(st.sampled_from(Role))),
        st.tuples(st.just("revoke"), st.sampled_from(TOKENS)),
    ),
    max_size=30,
)


@for_all(DEEDS)
def test_whatever_happens_no_token_may_do_more_than_its_owner_or_than_it_could_before(deeds):
    access = opened()
    allowed: dict[UUID, set[Role]] = {}
    for deed, *what in deeds:
        match deed:
            case "grant" if what[0] not in access.roles:
                granted(what[0])(access)
            case "withdraw" if what[0] in access.roles:
                withdrawn(what[0])(access)
            case "issue" if what[0] not in allowed and what[1] and what[1] <= access.roles:
                issued(*what[1], token=what[0], secret=str(what[0]))(access)
                allowed[what[0]] = set(what[1])
            case "revoke" if allowed.get(what[0]) is not None and not access.tokens[what[0]].revoked:
                revoked(what[0])(access)
                assert access.token_roles(what[0]) == ()
        for each, before in allowed.items():
            now = set(access.token_roles(each))
            assert now <= access.roles
            assert now <= before
            allowed[each] = now
    again = replay(access)
    assert (again.roles, again.tokens) == (access.roles, access.tokens)
