"""Access: who may do what, and the tokens of their programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import fields, validate

from api.answers import Page, receipt
from api.asked import Asked, ListArguments, act
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Line, Moment, ReceiptAnswer
from api.here import office, reading
from api.private import opener
from domain.access import Access, Role
from projections import access as view
from provider.commands import access as commands
from provider.log import NotFound, Receipt

blueprint = Blueprint("access", __name__, url_prefix="/v1/access", description=__doc__)


class TokenAnswer(Answer):
    """A token, without its secret."""

    token = fields.String(required=True)
    label = fields.String(required=True, allow_none=True)
    roles = fields.List(
        fields.String(), required=True, metadata={"description": "What it may do now; a role withdrawn is gone."}
    )
    issued_at = fields.String(required=True)
    expires_at = fields.String(required=True, allow_none=True)
    revoked = fields.Boolean(required=True)


class AccessAnswer(Answer):
    """What a person may do, and their tokens."""

    person = fields.String(required=True)
    roles = fields.List(fields.String(), required=True)
    tokens = fields.List(fields.Nested(TokenAnswer), required=True)
    version = fields.Integer(required=True)


@blueprint.query("", permission="access:read", answer=AccessAnswer, arguments=ListArguments, table=True)
def access(asked: Asked) -> Page:
    """List everybody who was ever given a role, with what they may do and their tokens."""
    after = None if asked.after is None else int(asked.after[0])
    rows = view.listing(reading(), after=after, limit=asked.limit, at=asked.at)
    page = Page.of(rows, asked.limit, "opened")
    return Page(_shown(page.items), page.next)


@blueprint.query("/<uuid:person>", permission="access:read", answer=AccessAnswer, entity=Access.create_id)
def access_of(asked: Asked, person: UUID) -> dict[str, Any]:
    """Show what one person may do, and their tokens."""
    found = view.of_person(reading(), person, at=asked.at)
    if found is None:
        raise NotFound(f"The person {person} was never given a role.")
    return _shown([found])[0]


class RoleGrant(Body):
    """A role, and why somebody gets it."""

    role = fields.Enum(Role, by_value=True, required=True)
    reason = Code()


@blueprint.command("/<uuid:person>/grant", permission="access:write", body=RoleGrant)
def grant(said: dict[str, Any], person: UUID) -> Receipt:
    """Give somebody a role.

    Tokens that they have already stay as they are. For somebody's first role, If-Match is "0" or *.
    """
    return commands.grant(office(), act(), person=person, **said)


class RoleWithdrawal(Body):
    """A role, and why somebody loses it."""

    role = fields.Enum(Role, by_value=True, required=True)
    reason = Code(required=True)


@blueprint.command("/<uuid:person>/withdraw", permission="access:write", body=RoleWithdrawal)
def withdraw(said: dict[str, Any], person: UUID) -> Receipt:
    """Take a role from somebody, and for good from each of their tokens.

    The last administrator keeps theirs.
    """
    return commands.withdraw(office(), act(), person=person, **said)


class TokenBody(Body):
    """What a token may do, and until when."""

    roles = fields.List(fields.Enum(Role, by_value=True), required=True, validate=validate.Length(min=1, max=len(Role)))
    label = Line(allow_none=True, metadata={"description": "What it is for. Kept private."})
    expires_at = Moment(allow_none=True, metadata={"description": "Left out or null for one that does not expire."})


class TokenIssued(ReceiptAnswer):
    """A receipt, whose `ids` are the token's and the person's, and the token itself."""

    token = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Shown here and never again: null where an Idempotency-Key is answered once more."},
    )


@blueprint.command(
    "/<uuid:person>/tokens",
    permission="access:write",
    body=TokenBody,
    creates=True,
    answer=TokenIssued,
    location="/v1/access/{ids[1]}",
)
def issue_token(said: dict[str, Any], person: UUID) -> Response:
    """Issue a token for some or all of the roles that somebody has.

    Write it down at once: only its digest is kept.
    """
    done, token = commands.issue_token(office(), act(), person=person, **said)
    return receipt(done, creates=True, location="/v1/access/{ids[1]}", beside={"token": token})


class TokenRevocation(Body):
    """Why a token ends."""

    reason = Code(required=True)


@blueprint.command("/<uuid:person>/tokens/<uuid:token>/revoke", permission="access:write", body=TokenRevocation)
def revoke_token(said: dict[str, Any], person: UUID, token: UUID) -> Receipt:
    """End a token at once; there is no way back."""
    return commands.revoke_token(office(), act(), person=person, token=token, **said)


def _shown(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = list(rows)
    label = opener(token["label"] for row in rows for token in row["tokens"])
    return [
        {
            "person": row["person"],
            "roles": row["roles"],
            "tokens": [{**token, "label": label(token["label"])} for token in row["tokens"]],
            "version": row["version"],
        }
        for row in rows
    ]
