"""Putting a backup into a new place, and proving that all of it is there."""

from __future__ import annotations

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

    \b
      PROVIDER_DATA=… PROVIDER_KEYS_DIR=… provider restore --check \\
        /var/backups/provider/TIME --keys /var/backups/provider-keys/TIME
    """
    settings = console.settings()
    from provider.bootstrap import PROJECTIONS
    from provider.restore import restore

    done = restore(settings, data, keys, PROJECTIONS, check=check, older_keys=older_keys, showing=console.progress)
    if done.replayed is not None and done.replayed.wrong:
        for line in done.replayed.wrong:
            click.echo(line)
        console.note(
            "The backup is whole, but this is wrong with it. Nothing was restored; try an older one, or restore it as "
            "it is, without --check."
        )
        return 1
    _tell(done)
    for line in done.differing:
        click.echo(line)
    if done.differing:
        console.note("All is restored, but the views say something else than the log: `provider views rebuild`.")
        return 1
    return 0


def _tell(done: Restored) -> None:
    click.echo(
        f"Restored as of {done.made:%Y-%m-%dT%H:%M:%SZ}: {done.events:,} events up to position {done.last}, "
        f"{done.values:,} private values"
        + ("; the keys are those in place" if done.keys is None else f", {done.keys:,} keys")
        + ". What arrived is what was copied."
    )
    if done.replayed is not None:
        click.echo(
            f"Replayed: {done.replayed.aggregates:,} aggregates load; of the private values that events name "
            f"{done.replayed.opened:,} open and {done.replayed.erased:,} are erased."
        )
        if not done.differing:
            click.echo("All views agree with the log.")
