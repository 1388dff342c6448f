"""Moving the whole institution to PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import click

from provider.cli import console


@click.command("move")
def command() -> None:
    """Move the institution from its files to the PostgreSQL database in PROVIDER_DATABASE_URL.

    Stop the server first: what is recorded in the files afterwards is not in the database. All events keep their
    positions. The keys go along only where PROVIDER_KEYS_URL names a database of their own. At the end the views are
    made anew there and compared with those here, row by row. The files stay as they are.

    \b
      PROVIDER_DATABASE_URL=postgresql://provider@db.example.org/provider provider move
    """
    settings = console.settings()
    from projections.all import PROJECTIONS
    from provider.beforehand import look, reach
    from provider.move import move

    look(replace(settings, database_url=None, keys_url=None))
    reach(settings)
    with console.progress("Moving the events") as progress:
        moved = move(settings, PROJECTIONS, progress)
    click.echo(
        f"Moved {moved.events:,} events and {moved.values:,} private values"
        + (f", and {moved.keys:,} keys" if settings.keys_url else "; the keys stay in their file")
        + f". The views there are the same as here: {moved.rows:,} rows."
    )
    console.note("Serve with the same PROVIDER_DATABASE_URL from now on, and keep the files until you are content.")
