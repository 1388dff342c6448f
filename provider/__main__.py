"""The command `provider`: finds the commands in `provider/cli`, and says in a sentence what goes wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

COMMANDS = (
    "init",
    "serve",
    "demo",
    "config",
    "token",
    "course",
    "import_",
    "history",
    "views",
    "worker",
    "sweep",
    "backup",
    "restore",
    "move",
)
"""The modules of `provider/cli` in the order in which somebody meets them; each has its `command`."""

DONE, REFUSED, USAGE, CONFLICT, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class Commands(click.Group):
    """Commands that are imported when they are called, so that `--help` need not wait for a database library."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name.rstrip("_") for name in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for name in COMMANDS:
            if name.rstrip("_") == cmd_name:
                found: click.Command = import_module(f"provider.cli.{name}").command
                return found
        return None


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="training-provider", message="%(prog)s %(version)s")
def provider() -> None:
    """The back office of a registered training institution.

    Everything that happens is kept as an event in a history that is never rewritten; all lists are made from it.
    To begin, found the institution, and keep the token that this prints; it is shown only once:

    \b
      provider init --name "Agile Academy" --zone Europe/Zurich \\
                    --given Ada --family Example --email ada@academy.example
      provider serve

    The data lie in PROVIDER_DATA, by default ./data; `provider config` shows all settings and where they come from.

    \b
    Results go to stdout, all else to stderr. Listings take --json.
    Exit status: 0 done, 1 refused, 2 wrong usage, 3 somebody else was faster, 4 not available now.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command, and leave with its status."""
    # What it writes is nobody else's on this machine to read.
    os.umask(0o077)
    try:
        status = provider.main(args=arguments, prog_name="provider", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else DONE)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the results, such as `head`, has seen enough. Python would complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)
    except Exception as error:
        status, sentence = explained(error)
        click.echo(f"Error: {sentence}", err=True)
        if status == UNAVAILABLE and os.environ.get("PROVIDER_LOG_LEVEL", "").upper() == "DEBUG":
            raise
        sys.exit(status)


def explained(error: Exception) -> tuple[int, str]:
    """Return the exit status for an error, and what to tell the person who sees it."""
    # What follows is imported only once something has gone wrong.
    import sqlite3

    from eventsourcing.persistence import IntegrityError, PersistenceError
    from filelock import Timeout
    from psycopg import Error as PostgresError
    from sqlalchemy.exc import SQLAlchemyError

    from domain.refusal import Refused
    from provider.at_rest import NotAtRest
    from provider.backup import BadBackup, CannotBackUp
    from provider.beforehand import Unusable
    from provider.commands.imports import PlanMoved
    from provider.durable import JournalInUse, NewerTables
    from provider.keys import Damaged
    from provider.log import KeyReused, NotFound
    from provider.mapper import UnknownEvent
    from provider.move import CannotMove, MovedBadly
    from provider.office import NotFounded
    from provider.outage import damaged
    from provider.restore import CannotRestore, RestoredBadly, RestoredWithoutViews
    from provider.settings import SettingsError
    from provider.vault import NothingInUse
    from provider.views import Broken, NotMade
    from provider.work import Busy, Stale

    sentence = str(error) or type(error).__name__
    if isinstance(error, SettingsError):
        return USAGE, sentence.replace("\n", "\nError: ")
    if isinstance(error, (Stale, PlanMoved, KeyReused, IntegrityError)):
        return CONFLICT, sentence
    if isinstance(error, (Refused, NotFound, NotFounded, CannotMove, CannotBackUp, CannotRestore)):
        return REFUSED, sentence
    if isinstance(error, (BadBackup, RestoredBadly)):
        return REFUSED, sentence
    if isinstance(error, RestoredWithoutViews) and isinstance(error.__cause__, Exception):
        return UNAVAILABLE, f"{sentence}. What was wrong: {explained(error.__cause__)[1]}"
    if isinstance(error, (Unusable, NewerTables, Broken, NotMade, UnknownEvent, Damaged, NothingInUse, MovedBadly)):
        return UNAVAILABLE, sentence
    if isinstance(error, (Busy, JournalInUse, NotAtRest)):
        return UNAVAILABLE, sentence
    if isinstance(error, (SQLAlchemyError, PersistenceError, Timeout, sqlite3.Error, PostgresError)):
        # What follows the first line is the statement, or advice for somebody else.
        cause = str(getattr(error, "orig", None) or error.__cause__ or error).split("\n")[0].rstrip(".")
        if damaged(error):
            return UNAVAILABLE, (
                f"A database is damaged: {cause}. Stop the server. If it is that of the views, `provider views "
                "rebuild` makes it anew; otherwise restore the backup."
            )
        return UNAVAILABLE, f"The data can't be read or written just now: {cause}."
    if isinstance(error, TimeoutError) and error.errno is None:
        return UNAVAILABLE, f"{sentence}. Try again."
    if isinstance(error, OSError):
        return UNAVAILABLE, f"{error.filename or 'A file'} can't be used: {error.strerror or error}."
    return (
        UNAVAILABLE,
        f"This should not have happened, and is a mistake in the program ({type(error).__name__}: {sentence}). "
        "With PROVIDER_LOG_LEVEL=DEBUG it says where.",
    )


if __name__ == "__main__":
    main()
