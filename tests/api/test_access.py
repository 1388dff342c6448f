"""Access over HTTP: roles, tokens, and what they open."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from provider.office import Office
from tests.conftest import Caller, Clock

Make = Callable[[str | None], Caller]


@pytest.fixture
def rita(person: Callable[..., UUID]) -> UUID:
    return person("Rita", "Registrar")


def test_a_role_and_a_token_open_the_door(admin_caller: Caller, caller: Make, rita: UUID) -> None:
    granted = admin_caller.post(f"/v1/access/{rita}/grant", {"role": "registrar", "reason": "hired"}, version=0)
    assert (granted.status_code, granted.json["version"]) == (200, 2)
    issued = admin_caller.post(f"/v1/access/{rita}/tokens", {"roles": ["registrar"], "label": "Rita’s laptop"})
    assert issued.status_code == 201
    assert issued.headers["Location"] == f"/v1/access/{rita}"
    assert issued.json["token"].startswith("prv_")
    assert caller(issued.json["token"]).get("/v1/people").status_code == 200
    shown = admin_caller.get(f"/v1/access/{rita}")
    assert shown.headers["ETag"] == issued.headers["ETag"] == '"3"'
    assert shown.json == {
        "person": str(rita),
        "roles": ["registrar"],
        "tokens": [
            {
                "token": issued.json["ids"][0],
                "label": "Rita’s laptop",
                "roles": ["registrar"],
                "issued_at": "2026-05-04T06:00:00.000000Z",
                "expires_at": None,
                "revoked": False,
            }
        ],
        "version": 3,
    }


def test_a_token_is_shown_once_and_never_again(admin_caller: Caller, admin: UUID, office: Office) -> None:
    path, said = f"/v1/access/{admin}/tokens", {"roles": ["admin"]}
    first = admin_caller.post(path, said, key="a-key-of-mine")
    before = office.log.position()
    again = admin_caller.post(path, said, key="a-key-of-mine")
    assert again.status_code == 201
    assert again.json == {**first.json, "token": None}
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert office.log.position() == before
    assert first.json["token"] not in admin_caller.get("/v1/access").get_data(as_text=True)
    assert admin_caller.post(path, said, key=None).status_code == 400
    other = admin_caller.post(path, {"roles": ["admin"], "label": "other"}, key="a-key-of-mine")
    assert (other.status_code, other.json["code"]) == (422, "key_reused")


def test_no_token_for_a_role_that_was_not_granted(admin_caller: Caller, admin: UUID, rita: UUID) -> None:
    answer = admin_caller.post(f"/v1/access/{admin}/tokens", {"roles": ["admin", "registrar"]})
    assert (answer.status_code, answer.json["code"]) == (409, "role_not_held")
    assert admin_caller.post(f"/v1/access/{rita}/tokens", {"roles": ["registrar"]}).status_code == 404
    for roles in ([], ["god"], "admin", None, ["admin"] * 5):
        assert admin_caller.post(f"/v1/access/{admin}/tokens", {"roles": roles}).status_code == 422, roles


def test_a_token_expires(admin_caller: Caller, caller: Make, admin: UUID, clock: Clock) -> None:
    path = f"/v1/access/{admin}/tokens"
    issued = admin_caller.post(path, {"roles": ["admin"], "expires_at": "2026-05-04T08:30:00+02:00"})
    temporary = caller(issued.json["token"])
    clock.move(minutes=29)
    assert temporary.get("/v1/access").status_code == 200
    clock.move(minutes=1)
    expired = temporary.get("/v1/access")
    assert (expired.status_code, expired.json["code"]) == (401, "not_signed_in")
    assert "expired" in expired.json["detail"]
    past = admin_caller.post(path, {"roles": ["admin"], "expires_at": "2026-05-04T06:00:00Z"})
    assert (past.status_code, past.json["code"]) == (422, "token_expired")


def test_a_revoked_token_opens_nothing(admin_caller: Caller, caller: Make, admin: UUID) -> None:
    issued = admin_caller.post(f"/v1/access/{admin}/tokens", {"roles": ["admin"]}).json
    path = f"/v1/access/{admin}/tokens/{issued['ids'][0]}/revoke"
    assert caller(issued["token"]).get("/v1/access").status_code == 200
    assert admin_caller.post(path, {"reason": "lost"}, version=issued["version"]).status_code == 200
    assert caller(issued["token"]).get("/v1/access").status_code == 401
    again = admin_caller.post(path, {"reason": "lost"})
    assert (again.status_code, again.json["code"]) == (409, "token_already_revoked")
    unknown = admin_caller.post(f"/v1/access/{admin}/tokens/{uuid4()}/revoke", {"reason": "lost"})
    assert (unknown.status_code, unknown.json["code"]) == (409, "unknown_token")


def test_a_role_withdrawn_closes_what_its_tokens_had_open(
    admin_caller: Caller, caller: Make, rita: UUID, token_of: Callable[..., str]
) -> None:
    token = token_of(rita, Role.REGISTRAR, Role.AUDITOR)
    assert caller(token).post("/v1/people", {"given": "Eve"}).status_code == 201
    answer = admin_caller.post(f"/v1/access/{rita}/withdraw", {"role": "registrar", "reason": "left"})
    assert answer.status_code == 200
    assert caller(token).post("/v1/people", {"given": "Eve"}).status_code == 403
    assert caller(token).get("/v1/people").status_code == 200
    assert admin_caller.post(f"/v1/access/{rita}/withdraw", {"role": "auditor", "reason": "left"}).status_code == 200
    assert caller(token).get("/v1/people").status_code == 403


def test_the_last_administrator_stays(admin_caller: Caller, admin: UUID, rita: UUID) -> None:
    path, said = f"/v1/access/{admin}/withdraw", {"role": "admin", "reason": "left"}
    refused = admin_caller.post(path, said)
    assert (refused.status_code, refused.json["code"]) == (409, "last_admin")
    assert refused.json["errors"][0]["pointer"] == "#/role"
    assert admin_caller.post(f"/v1/access/{rita}/grant", {"role": "admin"}).status_code == 200
    assert admin_caller.post(path, said).status_code == 200
    assert admin_caller.get("/v1/access").status_code == 403


def test_versions_are_heeded(admin_caller: Caller, rita: UUID) -> None:
    path, said = f"/v1/access/{rita}/grant", {"role": "auditor"}
    assert admin_caller.post(path, said, version=None).status_code == 428
    early = admin_caller.post(path, said, version=3)
    assert (early.status_code, early.headers["ETag"]) == (412, '"0"')
    assert admin_caller.post(path, said, version=0).status_code == 200
    late = admin_caller.post(path, {"role": "registrar"}, version=0)
    assert (late.status_code, late.headers["ETag"]) == (412, '"2"')


def test_nobody_unknown_is_given_a_role(admin_caller: Caller, rita: UUID, office: Office) -> None:
    for who in (uuid4(), office.institution):
        assert admin_caller.post(f"/v1/access/{who}/grant", {"role": "auditor"}).status_code == 404
    assert admin_caller.get(f"/v1/access/{rita}").status_code == 404
    assert admin_caller.post(f"/v1/access/{rita}/withdraw", {"role": "auditor", "reason": "left"}).status_code == 404
    for said in ({"role": "god"}, {"role": 1}, {}, {"role": "auditor", "reason": "a reason in words"}):
        assert admin_caller.post(f"/v1/access/{rita}/grant", said).status_code == 422


@pytest.mark.parametrize("stage", [None], ids=["unstaffed"])
def test_the_list_pages_and_shows_an_earlier_moment(
    admin_caller: Caller, admin: UUID, person: Callable[..., UUID], token_of: Callable[..., str]
) -> None:
    before = admin_caller.get("/v1/access").headers["X-Position"]
    people = [person(f"Person {n}", None) for n in range(4)]
    for who in people:
        token_of(who, Role.AUDITOR)
    first = admin_caller.get("/v1/access?limit=3")
    link = first.headers["Link"]
    rest = admin_caller.get(link[1 : link.index(">")])
    assert [each["person"] for each in first.json + rest.json] == [str(admin), *map(str, people)]
    assert "Link" not in rest.headers
    assert [each["person"] for each in admin_caller.get(f"/v1/access?as_of={before}").json] == [str(admin)]
