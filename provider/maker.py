"""Makes views anew from the first event, beside the live ones."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context, parent_process
from os import cpu_count
from secrets import token_hex
from typing import Any

from sqlalchemy import Engine, select

from projections.projection import Projection
from provider.fold import Fold, Handlers
from provider.log import Entry, EventLog, Progress
from provider.schema import Place
from provider.views_database import A_NAME, FILLING, SORTING, Edition, ViewsDatabase, Writing, definition, places

PAGE = 12_000
"""Events that are folded at a time."""
WORTH_TWO = 50_000
"""Events from which on it is worth a second process, which takes a moment to begin."""


class NotMade(Exception):
    """Views could not be made; what there was before is there still."""


class Maker:
    """Makes an edition of some views from the log, in one process of all at a time.

    How far it is stands in the edition with each page, and with which event that ended. So what was killed is gone on
    with, and never with another log.
    """

    page = PAGE
    worth_two = WORTH_TWO

    def __init__(
        self,
        database: ViewsDatabase,
        log: EventLog,
        projections: Sequence[Projection],
        *,
        engine: Callable[[], Engine],
        edition: Edition | None = None,
    ) -> None:
        self.log = log
        self.projections = tuple(projections)
        self.place = 0
        """The position of the last event that is in it."""
        self._database = database
        self._making = database.alone("making")
        # Who makes some of them for another process lives on for a moment when that one is killed.
        self._apart = database.alone("apart")
        self._engine = engine
        self._edition = edition
        self._connection: Writing | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else make anything in a `with`, in whatever process."""
        with self._making:
            try:
                yield
            finally:
                # What it leads to may be another process's from here on.
                self.let_go()

    @property
    def edition(self) -> Edition:
        """What is made, or was made last."""
        if self._edition is None:
            self._edition = self._database.edition()
        return self._edition

    @property
    def connection(self) -> Writing:
        """The one connection to the edition."""
        if self._connection is None or self._connection.closed:
            self._connection = self.edition.open(self._engine())
        return self._connection

    def make(self, progress: Progress | None = None, *, indexed: bool = True) -> None:
        """Make the edition from the whole log as of now, in two processes if that is worth it.

        `indexed` says that it will be live, and needs its indexes.

        :raises NotMade: when one of the processes was ended.
        """
        with self._apart:
            end = self.log.position()
        mine, theirs = ([each for each in self.projections if each.half == half] for half in (0, 1))
        worth_two = end >= self.worth_two and (cpu_count() or 1) > 1 and bool(mine) and bool(theirs)
        # One that was killed may have had all of them together.
        if worth_two and self._standing(self.projections, end) is None:
            self._fill_with_another(mine, theirs, end, progress, indexed=indexed)
        else:
            self._fill(self.projections, end, progress, indexed=indexed)
        self.edition.settle(self.connection)

    def _fill_with_another(
        self,
        mine: Sequence[Projection],
        theirs: Sequence[Projection],
        end: int,
        progress: Progress | None,
        *,
        indexed: bool,
    ) -> None:
        apart = self._database.edition(apart=True)
        # A fresh interpreter, since threads and open SQLite files don't survive a fork.
        whereabouts = [_whereabouts(each) for each in theirs]
        other = get_context("spawn").Process(
            target=_as_a_process, args=(self._database, apart, self.log.place, whereabouts, end, indexed), daemon=True
        )
        other.start()
        try:
            self._fill(mine, end, progress, indexed=indexed)
        except BaseException:
            other.terminate()
            raise
        finally:
            other.join()
        if other.exitcode != 0:
            raise NotMade(
                f"A second process, which was to make the views {', '.join(each.name for each in theirs)}, was ended. "
                "Perhaps there is too little memory. The same command goes on from where it was."
            )
        self.edition.take_in(self.connection, apart, len(self._indexes(self.projections)) if indexed else 0)

    def _fill(self, projections: Sequence[Projection], end: int, progress: Progress | None, *, indexed: bool) -> None:
        """Apply the log up to a position to some of the tables, in large pages, and index them then."""
        # What is folded is no garbage, and there is a lot of it: looking for cycles in it takes a tenth of the time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            self.place, indexes = self._standing(projections, end) or self._begin(projections)
            self._fold_all(projections, end, progress)
        finally:
            if collecting:
                gc.enable()
        if indexed:
            self._index(projections, indexes)

    def _standing(self, projections: Sequence[Projection], end: int) -> tuple[int, int] | None:
        """Return up to which position these tables are filled, and how many indexes they have.

        None where they aren't all at one place, or the log says something else now than when they were filled.
        """
        self.edition.define(self.connection, [definition(places, "", self.connection.dialect)[0]])
        with self.connection.transaction(self.edition.to_build):
            named = places.c.name.in_([each.name for each in projections])
            found = self.connection.execute(select(places).where(named)).all()
        stands = {(row.position, row.event, row.indexes) for row in found}
        if len(found) == len(projections) and len(stands) == 1:
            position, event, indexes = stands.pop()
            if position <= end and event == self._event_at(position):
                return position, indexes
        return None

    def _event_at(self, position: int) -> str | None:
        """Return which event stands at a position; None for the beginning, before any."""
        found = self.log.entries.at([position]) if position else []
        return f"{found[0][1]}/{found[0][2]}" if found else None

    def _begin(self, projections: Sequence[Projection]) -> tuple[int, int]:
        """Make the tables anew, empty."""
        tables = [table for projection in projections for table in projection.tables]
        names = [each.name for each in projections]
        connection, edition = self.connection, self.edition
        with connection.transaction(edition.to_build):
            edition.clear(connection, names, [table.name for table in tables])
            edition.define(connection, [definition(table, edition.ending, connection.dialect)[0] for table in tables])
            connection.execute(places.insert(), [{"name": name, "position": 0, "indexes": 0} for name in names])
        return 0, 0

    def _fold_all(self, projections: Sequence[Projection], end: int, progress: Progress | None) -> None:
        # Nobody else writes these tables, so what is in memory stays true from page to page.
        fold = Fold(self.connection, self.edition.ending, complete=self.place == 0)
        handlers = Handlers.of(projections)
        self.edition.give_room(self.connection, FILLING)
        if progress is not None and self.place:
            progress(self.place, end)
        while self._fold_page(fold, handlers, projections, end):
            if progress is not None:
                progress(self.place, end)

    def _fold_page(self, fold: Fold, handlers: Handlers, projections: Sequence[Projection], end: int) -> bool:
        """Apply a page of events, and say whether there was any."""
        page = self.log.entries.page(self.place, self.page, end) if self.place < end else []
        if page:
            with self.connection.transaction(self.edition.to_build):
                fold.apply(page, handlers, self.log.form)
                fold.flush()
                self._stand_at(projections, page[-1])
            self.place = page[-1][0]
        return bool(page)

    def _stand_at(self, projections: Sequence[Projection], last: Entry) -> None:
        """Note with which event the tables end.

        Whoever goes on after a kill has to know how far they went, and with which log.
        """
        position, stream, version, *_ = last
        # Nobody would find out later that the log lost it and has another one there.
        self.log.entries.settle(position)
        reached = places.update().where(places.c.name.in_([each.name for each in projections]))
        self.connection.execute(reached.values(position=position, event=f"{stream}/{version}"))

    def go_on(self, to: int) -> None:
        """Bring what was made to a later position."""
        fold = Fold(self.connection, self.edition.ending)
        handlers = Handlers.of(self.projections)
        while self._fold_page(fold, handlers, self.projections, to):
            """Nobody is told how far it is."""

    def _index(self, projections: Sequence[Projection], made: int) -> None:
        """Make the indexes but for the first few: to fill tables without is much quicker."""
        self.edition.give_room(self.connection, SORTING)
        names = [each.name for each in projections]
        for count, statement in enumerate(self._indexes(projections)[made:], made + 1):
            with self.connection.transaction(self.edition.to_build):
                # In one schema, those of the live tables are there still, under other names.
                self.edition.define(self.connection, [statement.replace(A_NAME, token_hex(4))])
                self.connection.execute(places.update().where(places.c.name.in_(names)).values(indexes=count))

    def _indexes(self, projections: Sequence[Projection]) -> list[str]:
        tables = [table for projection in projections for table in projection.tables]
        dialect = self.connection.dialect
        return [each for table in tables for each in definition(table, self.edition.ending, dialect)[1]]

    def drop(self, live: Writing) -> None:
        """Drop what was made, whoever made it; `live` is a connection that is in no transaction."""
        self.let_go()
        # In a schema they are one and the same.
        for edition in {self._database.edition(apart=True), self.edition}:
            edition.drop(live)

    def let_go(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Let go of the connection, and of the locks."""
        self.let_go()
        self._making.close()
        self._apart.close()


def _whereabouts(projection: Projection) -> tuple[str, str]:
    """Return the module in which a projection is, and its name: how another process finds it."""
    handler = projection.every or next(iter(projection.handlers.values()))
    return handler.__module__, projection.name


def fill_apart(
    database: ViewsDatabase,
    apart: Edition,
    log: Place,
    whereabouts: Sequence[tuple[str, str]],
    end: int,
    indexed: bool,
) -> None:
    """Fill the tables of some views, as another process."""
    projections = [
        found
        for module, name in whereabouts
        for found in vars(import_module(module)).values()
        if isinstance(found, Projection) and found.name == name
    ]
    events = EventLog(log)
    engine = database.engine()
    maker = Maker(database, events, projections, engine=lambda: engine, edition=apart)
    with maker._apart:
        maker._fill(projections, end, None, indexed=indexed)
    maker.close()
    engine.dispose()
    events.close()


def _as_a_process(*what: Any) -> None:
    if (parent := parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    fill_apart(*what)
    # To give back what was folded, piece by piece, takes longer than to end.
    os._exit(0)


def _end_with(parent: Any) -> None:
    """End this process with the one that it works for, whose locks are gone then and may be somebody else's."""
    parent.join()
    os._exit(1)
