"""Destroying what was only to be kept for a day."""

from __future__ import annotations

import click

from provider.cli import console


@click.command("sweep")
def command() -> None:
    """Destroy what was only to be kept for a day.

    That are attendee files which nobody confirmed, the answers to idempotency keys, and values in the vault which no
    event names, left behind by commands that were refused. After an upgrade it also drops the views of the version
    before, once nobody uses them. The server may go on meanwhile. Let it be done each day.
    """
    with console.opened() as office, console.progress("Looking for values in use") as progress:
        swept = office.sweep(progress)
    click.echo(
        f"Destroyed {swept.files:,} attendee files that nobody confirmed, {swept.answers:,} answers to idempotency "
        f"keys, and {swept.values:,} values that no event names."
    )
    if swept.views:
        click.echo("Dropped the views of another version of the program, which nobody used any more.")
