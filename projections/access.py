"""The access view: who may do what, and the tokens with which they do it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from domain.access import Access
from projections.projection import (
    FOREVER,
    Prepared,
    Projection,
    Reading,
    Rows,
    expected,
    flag,
    holds,
    json,
    number,
    text,
    uid,
    view_table,
)

people = view_table(
    "access_people",
    uid("access"),
    uid("person"),
    number("opened"),
    json("roles"),
    json("tokens"),
    number("version"),
    key=("access",),
    indexes=[("person",), ("opened",)],
)
"""One row per person who was ever given a role; `opened` is the position, `tokens` are their digests by token id."""

roles = view_table("access_roles", text("role"), uid("person"), number("granted"), key=("role", "person"))
"""One row per role held: so that the administrators are found without reading everybody."""

tokens = view_table(
    "access_tokens",
    text("digest"),
    uid("token"),
    uid("person"),
    text("label"),
    text("roles"),
    text("issued_at"),
    text("expires_at"),
    flag("revoked"),
    key=("digest",),
    indexes=[("person",)],
    rarely=True,
)
"""One row per token; `roles` are those it still has, with a space between."""

access = Projection("access", version=2, tables=(people, roles, tokens))


@dataclass(frozen=True)
class Holder:
    """Whose token it is, and what it may do now. `expires_at` is ISO text in UTC, None for a token that stays."""

    person: str
    token: str
    roles: frozenset[str]
    expires_at: str | None


@access.on(Access.Opened)
def _opened(rows: Rows, event: Access.Opened) -> None:
    rows.add(
        people,
        access=event.originator_id,
        person=event.person,
        opened=rows.position,
        roles=[],
        tokens={},
        version=event.originator_version,
    )


@access.on(Access.RoleGranted)
def _role_granted(rows: Rows, event: Access.RoleGranted) -> None:
    row = expected(rows, people, event.originator_id)
    rows.change(
        people,
        event.originator_id,
        roles=sorted({*row["roles"], event.role.value}),
        version=event.originator_version,
    )
    rows.put(roles, role=event.role, person=row["person"], granted=rows.position)


@access.on(Access.RoleWithdrawn)
def _role_withdrawn(rows: Rows, event: Access.RoleWithdrawn) -> None:
    row = expected(rows, people, event.originator_id)
    rows.change(
        people,
        event.originator_id,
        roles=[each for each in row["roles"] if each != event.role.value],
        version=event.originator_version,
    )
    rows.delete(roles, event.role, row["person"])
    for digest in row["tokens"].values():
        token = rows.get(tokens, digest)
        if token is not None:
            kept = [each for each in token["roles"].split() if each != event.role.value]
            rows.change(tokens, digest, roles=" ".join(kept))


@access.on(Access.TokenIssued)
def _token_issued(rows: Rows, event: Access.TokenIssued) -> None:
    row = expected(rows, people, event.originator_id)
    rows.change(
        people,
        event.originator_id,
        tokens={**row["tokens"], str(event.token): event.digest},
        version=event.originator_version,
    )
    rows.add(
        tokens,
        digest=event.digest,
        token=event.token,
        person=row["person"],
        label=event.label,
        roles=" ".join(event.roles),
        issued_at=event.at,
        expires_at=event.expires_on,
        revoked=False,
    )


@access.on(Access.TokenRevoked)
def _token_revoked(rows: Rows, event: Access.TokenRevoked) -> None:
    row = expected(rows, people, event.originator_id)
    rows.change(people, event.originator_id, version=event.originator_version)
    rows.change(tokens, row["tokens"][str(event.token)], revoked=True)


_HOLDER = Prepared(
    select(tokens.c.person, tokens.c.token, tokens.c.roles, tokens.c.expires_at, tokens.c.revoked).where(
        tokens.c.digest == bindparam("digest"), tokens.c.until == FOREVER
    )
)


def holder(read: Reading, digest: str) -> Holder | None:
    """Return who holds the token with this digest, or None where it is unknown or revoked.

    Whether it has expired is for the caller's clock to say.
    """
    row = _HOLDER.first(read, digest=digest)
    return None if row is None else _holder_of(*row)


@lru_cache(maxsize=1_024)  # Whoever asks once asks again.
def _holder_of(person: str, token: str, roles: str, expires_at: str | None, revoked: bool) -> Holder | None:
    return None if revoked else Holder(person, token, frozenset(roles.split()), expires_at)


def listing(read: Reading, *, after: int | None = None, limit: int = 50, at: int | None = None) -> list[dict[str, Any]]:
    """Return those who were ever given a role, in that order, up to `limit + 1` of them, each with their tokens.

    Each is a dict of `person`, `opened` (the position; the key to go on after), `roles`, `version`, and `tokens`: dicts
    of `token`, `label` (a handle or None), `roles`, `issued_at`, `expires_at` and `revoked`.
    """
    found = select(people).where(holds(people, at)).order_by(people.c.opened).limit(limit + 1)
    if after is not None:
        found = found.where(people.c.opened > after)
    return _with_tokens(read, [dict(row._mapping) for row in read.execute(found)], at)


def of_person(read: Reading, person: UUID | str, *, at: int | None = None) -> dict[str, Any] | None:
    """Return one person's roles and tokens, as `listing` does; None where they were never given any."""
    found = select(people).where(people.c.person == str(person), holds(people, at))
    rows = [dict(row._mapping) for row in read.execute(found)]
    return next(iter(_with_tokens(read, rows, at)), None)


def administrators(read: Reading) -> list[str]:
    """Return the persons who may grant roles."""
    found = select(roles.c.person).where(roles.c.role == "admin", holds(roles, None)).order_by(roles.c.granted)
    return list(read.execute(found).scalars())


def _with_tokens(read: Reading, rows: list[dict[str, Any]], at: int | None) -> list[dict[str, Any]]:
    issued: dict[str, list[dict[str, Any]]] = {row["person"]: [] for row in rows}
    found = select(tokens).where(tokens.c.person.in_(issued), holds(tokens, at))
    for token in read.execute(found.order_by(tokens.c.issued_at, tokens.c.token)):
        issued[token.person].append(
            {
                "token": token.token,
                "label": token.label,
                "roles": token.roles.split(),
                "issued_at": token.issued_at,
                "expires_at": token.expires_at,
                "revoked": token.revoked,
            }
        )
    return [
        {
            "person": row["person"],
            "opened": row["opened"],
            "roles": row["roles"],
            "version": row["version"],
            "tokens": issued[row["person"]],
        }
        for row in rows
    ]
