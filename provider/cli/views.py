"""The views: made anew from the log, and compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provider.cli import console

if TYPE_CHECKING:
    from provider.views import Views


@click.group("views")
def command() -> None:
    """Prepare or rebuild the views, or verify that they say what the events say."""


@command.command("prepare")
def prepare() -> None:
    """Make the views of this version of the program, if there are none yet.

    Each version has views of its own, so the version before goes on serving meanwhile. Do it before you restart the
    server with a new version; otherwise that makes them itself before it listens. `provider sweep` drops the old ones
    once nobody uses them.
    """
    with _views() as views:
        with console.progress("Making the views") as progress:
            made = views.open(progress)
        position = views.catch_up(patient=True)
    click.echo(f"The views {'are made' if made else 'were there'}, up to position {position}.")


@command.command("rebuild")
def rebuild() -> None:
    """Make all views anew from the first event.

    Readers see the old ones until the new ones are complete. Nothing is sent to anybody again. A file that is damaged
    is deleted, and the views are made in a new one, with which a server that runs goes on.
    """
    try:
        _rebuild()
    except Exception as error:
        if not _delete_damaged(error):
            raise
        console.note("The views' database was damaged. It is made anew.")
        _rebuild()


def _rebuild() -> None:
    with _views() as views:
        with console.progress("Rebuilding views") as progress:
            # Where there were none at all, all are new by then.
            position = views.position() if views.open(progress) else views.rebuild(progress)
        click.echo(f"All views rebuilt up to position {position}.")


@command.command("verify")
def verify() -> int:
    """Make all views anew beside the live ones, and compare them row by row.

    Every difference is a line; then the exit status is 1. `provider views rebuild` mends them.
    """
    with _views() as views:
        with console.progress("Verifying views") as progress:
            views.open(progress)
            differences = views.verify(progress)
        for line in differences:
            click.echo(line)
        if differences:
            console.note("The views say something else than the log. `provider views rebuild` mends them.")
            return 1
        click.echo(f"All views agree with the log up to position {views.position()}.")
        return 0


def _delete_damaged(error: Exception) -> bool:
    """Delete the files of the views that are damaged, and say whether any was; the damage may also be in the log."""
    from provider.outage import damaged
    from provider.views import place_of_views
    from provider.views_in_files import SqliteViews

    place = place_of_views(console.settings())
    return damaged(error) and isinstance(place, Path) and SqliteViews(place).delete_damaged()


@contextmanager
def _views() -> Iterator[Views]:
    """Open the log and the views alone: to mend them must work though the office would not open with them."""
    settings = console.settings()
    console.must_be_founded(settings)
    from projections.all import PROJECTIONS
    from provider.log import EventLog
    from provider.views import Views

    log = EventLog(settings.place("events"))
    views = Views(settings.place("views"), log, PROJECTIONS)
    try:
        yield views
    finally:
        views.close()
        log.close()
