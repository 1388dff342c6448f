"""Copying all that the institution has, while it is at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from provider.cli import console

if TYPE_CHECKING:
    from provider.settings import Settings

LONGEST_KEYS = 30
"""Days after which whoever was erased must be gone from the last copy of the keys."""

LONGEST = 36_500
"""A hundred years of days. Some such end there must be: years have four digits."""

directory = click.Path(file_okay=False, path_type=Path)


@click.command("backup")
@click.argument("copies", metavar="TO", type=directory)
@click.option("--keys", "copies_of_keys", metavar="KEYS_TO", type=directory, required=True, help="Where the keys go.")
@click.option(
    "--days", type=click.IntRange(1, LONGEST), default=90, show_default=True, help="How long copies are kept."
)
@click.option(
    "--days-of-keys", type=int, default=LONGEST_KEYS, show_default=True, help="How long those of the keys, at most 30."
)
def command(copies: Path, copies_of_keys: Path, days: int, days_of_keys: int) -> int:
    """Copy all that the institution has, while the server goes on, into a directory in TO named for this moment.

    The keys go into one in KEYS_TO, apart from what they open, and are kept for 30 days at most: to erase somebody is
    to destroy their key, in all of its copies. Both directories are printed, and are there completely or not at all.
    Whatever the databases are, a copy has the same form, and says of itself what it holds; `provider restore` puts it
    into files or into PostgreSQL. The views are left out, for they are made from the events.

    If an older copy could not be deleted, that is said with its path, and the exit status is 1; the new one is made.

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
    _must_be_elsewhere(known, data, keys)
    console.must_be_founded(known, to_write=False)
    from provider.backup import back_up
    from provider.office import utc_now

    with console.ended_in_order():
        made = back_up(known, data, keys, now=utc_now(), days=days, days_of_keys=days_of_keys, showing=console.progress)
    for each in (made.data, made.keys):
        click.echo(each)
    if not made.left:
        return 0
    console.note("The backup is made. But these are older than they may be, and could not be deleted:")
    for line in made.left:
        console.note(f"  {line}")
    console.note("Delete them by hand: an old copy of the keys undoes the erasures that came after it.")
    return 1


def _must_be_elsewhere(known: Settings, *copies: Path) -> None:
    """Refuse to put copies where the data are: whoever loses them, or puts them aside, loses both.

    :raises UsageError: which says where not.
    """
    for variable, place in (("PROVIDER_DATA", known.data), ("PROVIDER_KEYS_DIR", known.keys_dir)):
        for each in copies:
            if each.is_relative_to(place.resolve()):
                raise click.UsageError(
                    f"{each} lies in {place} ({variable}), and would be lost with it. Name a directory elsewhere, best "
                    "on another disk."
                )
