"""Putting a backup into a new place, and proving that all of it is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provider.cli import console

if TYPE_CHECKING:
    from provider.restore import Restored

directory = click.Path(path_type=Path)


@click.command("restore")
@click.argument("data", metavar="FROM", type=directory)
@click.option("--keys", metavar="KEYS_FROM", type=directory, help="The copy of the keys; without it those in place.")
@click.option("--check", is_flag=True, help="Replay all events, open all values, and verify the views.")
@click.option("--older-keys", is_flag=True, help="Take keys that are older than the data, for want of others.")
def command(data: Path, keys: Path | None, check: bool, older_keys: bool) -> int:
    """Put a backup, made by `provider backup`, into the place that the settings name, in which nothing may be.

    That may be files or PostgreSQL, wherever the backup was made. What arrives is compared with what the backup says
    of itself, and nothing is there before all of it is. Give the newest copy of the keys, whichever of the data; where
    the keys were not lost, leave --keys out.

    With --check every aggregate is loaded from its events and every private value opened before anything is written,
    and afterwards the views are made and verified. What is wrong is a line each; then the exit status is 1.

    Whoever is interrupted calls it again as before. Where all is there already, just as the backup holds it, that is
    said, and nothing is written but views that are missing.

    \b
      PROVIDER_DATA=… PROVIDER_KEYS_DIR=… provider restore --check \\
        /var/backups/provider/TIME --keys /var/backups/provider-keys/TIME
    """
    settings = console.settings()
    from projections.all import PROJECTIONS
    from provider.restore import restore, views_differ

    with console.ended_in_order():
        done = restore(settings, data, keys, check=check, older_keys=older_keys, showing=console.progress)
        if done.replayed is not None and done.replayed.wrong:
            return _tell_wrong(done, done.replayed.wrong)
        # Before the views, for these can be made at any time: whoever is interrupted then knows that all else is there.
        _tell(done)
        differing = views_differ(settings, PROJECTIONS, console.progress) if check else []
    for line in differing:
        click.echo(line)
    if differing:
        console.note("All is restored, but the views say something else than the log: `provider views rebuild`.")
        return 1
    if check:
        click.echo("All views agree with the log.")
    elif done.already:
        console.note(
            "Nothing is to be done. `provider views verify` makes the views if they are missing, and compares them."
        )
    return 0


def _tell_wrong(done: Restored, wrong: Sequence[str]) -> int:
    for line in wrong:
        click.echo(line)
    console.note(
        "The backup is whole, and all of it is there already, but this is wrong with it. Try an older one elsewhere."
        if done.already
        else "The backup is whole, but this is wrong with it. Nothing was restored; try an older one, or restore it as "
        "it is, without --check."
    )
    return 1


def _tell(done: Restored) -> None:
    keys = "the keys are those in place" if done.keys is None else f"{done.keys:,} keys"
    click.echo(
        ("What is there is what this backup holds, as of " if done.already else "Restored as of ")
        + f"{done.made:%Y-%m-%dT%H:%M:%SZ}: {done.events:,} events up to position {done.last}, "
        f"{done.values:,} private values"
        + ("; " if done.keys is None else ", ")
        + keys
        + (". Nothing was written." if done.already else ". What arrived is what was copied.")
    )
    if done.replayed is not None:
        click.echo(
            f"Replayed: {done.replayed.aggregates:,} aggregates load; of the private values that events name "
            f"{done.replayed.opened:,} open and {done.replayed.erased:,} are erased."
        )
