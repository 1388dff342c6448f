"""API tokens: issued, listed, revoked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from provider.cli import console

if TYPE_CHECKING:
    from provider.office import Office

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
ROLES = ("registrar", "trainer", "auditor", "admin")
COLUMNS = ("person", "name", "roles", "token", "label", "token_roles", "issued_at", "expires_at", "revoked")


@click.group("token")
def command() -> None:
    """Issue, list and revoke the tokens with which people and programs use the API."""


@command.command("issue")
@click.argument("person", type=click.UUID)
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="Once for each role.")
@click.option("--label", help="What the token is remembered by, such as the program that uses it.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The day (UTC) at whose begin it ends to work.")
@click.option("--as", "by", type=click.UUID, metavar="PERSON", help="Whose act this is: a person's id.")
def issue(person: UUID, roles: tuple[str, ...], label: str | None, expires: datetime | None, by: UUID | None) -> None:
    """Issue a token to PERSON for roles that they have, and print it, once.

    `provider token list` shows persons and their roles.
    """
    from domain.access import Role
    from provider.commands import access

    with console.opened() as office:
        receipt, token = access.issue_token(
            office,
            console.act(office, by),
            person=person,
            roles=[Role(role) for role in roles],
            label=label,
            expires_at=None if expires is None else expires.replace(tzinfo=UTC),
        )
        console.note(f"Issued the token {receipt.ids[0]}. It follows, and is shown only this once.")
        click.echo(token)


@command.command("list")
@console.as_json
def listed(as_json: bool) -> None:
    """List who has which roles, and the tokens issued to them."""
    with console.opened() as office:
        people = _people(office)
        handles = [token["label"] for person in people for token in person["tokens"]]
        with office.views.reading() as read:
            names = console.names(office, read, [person["person"] for person in people])
        labels = office.vault.open(handles)
    rows: list[dict[str, Any]] = []
    for person in people:
        who = {"person": person["person"], "name": names.get(person["person"]), "roles": person["roles"]}
        for token in person["tokens"] or [dict.fromkeys(("token", "label", "roles", "issued_at", "expires_at"))]:
            rows.append(
                who
                | {name: token[name] for name in ("token", "issued_at", "expires_at")}
                | {"label": labels.get(token["label"]), "token_roles": token["roles"], "revoked": token.get("revoked")}
            )
    console.listing(rows, COLUMNS, as_json=as_json)


@command.command("revoke")
@click.argument("token", type=click.UUID)
@click.option("--reason", required=True, help="Why, in one word: lost, stolen, replaced, …")
@click.option("--yes", is_flag=True, help="Don't ask.")
@console.acting
def revoke(token: UUID, reason: str, yes: bool, person: UUID | None) -> None:
    """End the token with the id TOKEN at once, for good."""
    from provider.commands import access
    from provider.log import NotFound

    if not CODE.fullmatch(reason):
        # It stands in the log in clear, for ever, and so must not be a sentence about somebody.
        raise click.BadParameter("Give one word; dots, dashes and underscores may join it.", param_hint="--reason")
    with console.opened() as office:
        of_whom = [each for each in _people(office) if str(token) in {issued["token"] for issued in each["tokens"]}]
        if not of_whom:
            raise NotFound(f"There is no token {token}. `provider token list` shows those there are.")
        if not yes:
            click.confirm("It can't be made valid again. Revoke it?", abort=True, err=True)
        access.revoke_token(
            office, console.act(office, person), person=UUID(of_whom[0]["person"]), token=token, reason=reason
        )
        console.note(f"Revoked the token {token}.")


def _people(office: Office) -> list[dict[str, Any]]:
    from projections import access

    found: list[dict[str, Any]] = []
    with office.views.reading() as read:
        while page := access.listing(read, after=found[-1]["opened"] if found else None, limit=200):
            found += page[:200]
            if len(page) <= 200:
                break
    return found
