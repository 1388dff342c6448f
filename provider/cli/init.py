"""Founding the institution."""

from __future__ import annotations

import click

from provider.cli import console


@click.command("init")
@click.option("--name", required=True, help="What the institution is called, as on its certificates.")
@click.option("--zone", required=True, metavar="ZONE", help="Where it is at home, such as Europe/Zurich.")
@click.option("--given", metavar="NAME", help="The first administrator's given name.")
@click.option("--family", metavar="NAME", help="The first administrator's family name.")
@click.option("--email", metavar="ADDRESS", help="The first administrator's e-mail address.")
@click.option("--label", default="first token", show_default=True, help="What the token is remembered by.")
def command(name: str, zone: str, given: str | None, family: str | None, email: str | None, label: str) -> None:
    """Found the institution, with its first administrator.

    The administrator's API token is printed on stdout, and never again: only its SHA-256 is kept. A data directory
    holds one institution, so this can be done once.
    """
    from provider.commands import institution

    if not (given or family):
        raise click.UsageError("Give the first administrator's name: --given, --family, or both.")
    with console.opened(founded=False) as office:
        receipt, token = institution.found(
            office, name=name, zone=zone, given=given, family=family, email=email, label=label
        )
        where = office.settings.data if office.settings.database_url is None else "the database"
        console.note(f"Founded {name} in {where}.")
        console.note(f"The first administrator is the person {receipt.ids[0]}.")
        console.note("Their API token follows. Keep it now: it is shown only this once.")
        click.echo(token)
        console.note(f"Keys lie in {office.settings.keys_dir}: back them up apart from the rest, for 30 days at most.")
