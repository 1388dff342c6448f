"""What the commands of the command line share: the open office, who acts, tables, and how far long work is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID, uuid4

import click

if TYPE_CHECKING:
    from projections.projection import Reading
    from provider.log import Progress
    from provider.office import Office
    from provider.settings import Settings
    from provider.work import Act

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
acting = click.option("--as", "person", type=click.UUID, metavar="PERSON", help="Whose act this is: a person's id.")


def note(text: str) -> None:
    """Tell the person at the terminal something that is no result."""
    click.echo(text, err=True)


def settings(**given: object) -> Settings:
    """Read the settings from the environment, over which what was `given` as an option goes.

    :raises SettingsError: which names everything that is wrong.
    """
    from provider.settings import Settings

    return Settings.read(environment(**given))


def environment(**given: object) -> dict[str, str]:
    """Return the environment with the options that were given in it: `port=8001` is `PROVIDER_PORT`."""
    environ = dict(os.environ)
    for name, value in given.items():
        if value is not None:
            environ.pop(f"PROVIDER_{name.upper()}_FILE", None)
            environ[f"PROVIDER_{name.upper()}"] = str(value)
    return environ


def must_be_founded(known: Settings, *, to_write: bool = True) -> None:
    """Refuse places that hold no institution, before a mistyped path or address is filled with tables.

    Unless something is `to_write`, nothing need be writable there.

    :raises NotFounded: when they hold none.
    :raises Unusable: when they can't be used as they are.
    """
    from provider.beforehand import look, must_not_be_half_restored
    from provider.office import NotFounded

    must_not_be_half_restored(known)
    there = known.database_url is not None or known.store("events").exists()
    if there:
        there = look(known, to_write=to_write)
    if not there:
        where, variable = (
            (known.data, "PROVIDER_DATA") if known.database_url is None else ("the database", "PROVIDER_DATABASE_URL")
        )
        raise NotFounded(
            f"There is no institution in {where} yet. Run `provider init` first, "
            f"or say in {variable} where the data lie."
        )


@contextmanager
def opened(*, founded: bool = True) -> Iterator[Office]:
    """Open the back office for one command; it must have an institution unless `founded` is False."""
    known = settings()
    if founded:
        must_be_founded(known)
    else:
        from provider.beforehand import look

        look(known)
    with bootstrapped(known) as office:
        if founded:
            _ = office.institution
        yield office


def act(office: Office, person: UUID | None) -> Act:
    """Return the act of a command given here: by the person named, otherwise by the command line itself.

    :raises NotFound: when nobody has that id.
    """
    from domain.worker import COMMAND_LINE
    from projections import directory
    from provider.log import NotFound
    from provider.work import Act

    if person is not None:
        with office.views.reading() as read:
            if directory.person(read, person) is None:
                raise NotFound(f"There is no person {person}, so nobody can act as them.")
    now = office.clock()
    return Act(by=person or COMMAND_LINE, now=now, at=now, channel="cli", request=uuid4().hex)


def names(office: Office, read: Reading, people: Iterable[str | None]) -> dict[str | None, str]:
    """Return the names of people by their ids, as far as these are known and not erased."""
    from projections import directory

    known = directory.people_by_ids(read, [id_ for id_ in people if id_ is not None])
    parts = ("given", "family")
    opened = office.vault.open(person[part] for person in known.values() for part in parts)
    return {
        id_: " ".join(opened[person[part]] or "(erased)" for part in parts if person[part] is not None)
        for id_, person in known.items()
    }


def listing(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print rows: as JSON, as a table on a terminal, and otherwise with tabs between the columns, cut nowhere."""
    if as_json:
        document(rows)
        return
    cells = [[cell(row[name]) for name in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in [list(columns), *cells]:
            click.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(name.replace("_", " ") for name in columns), box=None, pad_edge=False)
    for line in cells:
        table.add_row(*map(Text, line))
    Console().print(table)


def document(said: object) -> None:
    """Print a value as JSON."""
    import orjson

    click.echo(orjson.dumps(said, default=str, option=orjson.OPT_INDENT_2))


def cell(value: object) -> str:
    """Return a value as text that neither breaks a line nor moves the cursor of a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "".join(sign if sign.isprintable() else " " for sign in str(value))


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM, as of a machine that is switched off, end what is in a `with` like an error: it clears up."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show how far long work is: a bar on a terminal, otherwise a line each 10 %; always on stderr."""
    if not sys.stderr.isatty():
        yield _tenths(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def bootstrapped(known: Settings) -> Iterator[Office]:
    """Open the back office that the settings name, and show how far the views are if they have to be made first."""
    from provider.bootstrap import bootstrap

    with ExitStack() as stack:
        told: list[Progress] = []

        def tell(done: int, of: int) -> None:
            # Mostly there is nothing to show, and then no bar.
            if not told:
                told.append(stack.enter_context(progress("Making the views")))
            told[0](done, of)

        office = bootstrap(known, progress=tell)
    try:
        yield office
    finally:
        office.close()


def _tenths(title: str) -> Callable[[int, int], None]:
    said = 0

    def tell(done: int, of: int) -> None:
        nonlocal said
        tenth = 10 if done >= of else done * 10 // of
        if tenth > said:
            said = tenth
            note(f"{title}: {tenth * 10} % ({done:,} of {of:,} events)")

    return tell
