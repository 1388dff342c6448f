"""Copying all that the institution has, while it is at work."""

from __future__ import annotations

from pathlib import Path

import click

from provider.cli import console

LONGEST_KEYS = 30
"""Days after which whoever was erased must be gone from the last copy of the keys."""

directory = click.Path(file_okay=False, path_type=Path)


@click.command("backup")
@click.argument("copies", metavar="TO", type=directory)
@click.option("--keys", "copies_of_keys", metavar="KEYS_TO", type=directory, required=True, help="Where the keys go.")
@click.option("--days", type=click.IntRange(min=1), default=90, show_default=True, help="How long copies are kept.")
@click.option(
    "--days-of-keys", type=int, default=LONGEST_KEYS, show_default=True, help="How long those of the keys, at most 30."
)
def command(copies: Path, copies_of_keys: Path, days: int, days_of_keys: int) -> None:
    """Copy all that the institution has, while the server goes on, into a directory in TO named for this moment.

    The keys go into one in KEYS_TO, apart from what they open, and are kept for 30 days at most: to erase somebody is
    to destroy their key, in all of its copies. Both directories are printed, and are there completely or not at all.
    Whatever the databases are, a copy has the same form, and says of itself what it holds; `provider restore` puts it
    into files or into PostgreSQL. The views are left out, for they are made from the events.

    \b
      provider backup /var/backups/provider --keys /var/backups/provider-keys
    """
    if not 1 <= days_of_keys <= LONGEST_KEYS:
        raise click.BadParameter(
            f"copies of the keys are kept for 1 to {LONGEST_KEYS} days, for an erased person must stay erased.",
            param_hint="'--days-of-keys'",
        )
    data, keys = copies.resolve(), copies_of_keys.resolve()
    if data.is_relative_to(keys) or keys.is_relative_to(data):
        raise click.UsageError("The copies of the keys need a directory of their own, apart from what they open.")
    known = console.settings()
    console.must_be_founded(known)
    from provider.backup import back_up
    from provider.office import utc_now

    made = back_up(known, data, keys, now=utc_now(), days=days, days_of_keys=days_of_keys, showing=console.progress)
    for each in made:
        click.echo(each)
