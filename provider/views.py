"""The store of the views, and how they follow the log: catch up, rebuild, verify."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from time import sleep
from typing import TypeVar, TypeVarTuple, Unpack, cast
from zlib import crc32

from sqlalchemy import Engine, Table, bindparam, select

from projections.all import PROJECTIONS
from projections.projection import Prepared, Projection, Reading, RowMissing
from provider.fold import Fold, Handlers
from provider.log import Entry, EventLog, Progress
from provider.maker import Maker, NotMade
from provider.memory import Memory
from provider.schema import Place, Schema
from provider.settings import Settings
from provider.views_database import ALL, ViewsDatabase, Writing, definition, places
from provider.views_in_files import SqliteViews
from provider.views_in_schema import PostgresViews

LOGGER = logging.getLogger(__name__)
PAGE = 1_000
A_MOMENT = 0.05
"""Seconds: what was read since is as good as new, and what could not be had may be there."""

MANNER = 2
"""Raised when all who write the views have to heed something new: those who don't know it have views of their own.

1: the tables. 2: they leave word of each change of tables that are written rarely.
"""

Asked = TypeVarTuple("Asked")
Answer = TypeVar("Answer")

_PLACE = Prepared(select(places.c.position).where(places.c.name == bindparam("name")))


class Broken(Exception):
    """The views say something else than the log, miss what it says, or stand further than it goes."""


def place_of(place: Place, projections: Sequence[Projection]) -> Place:
    """Return where views of these very versions are: beside those of other versions, of which others have others.

    So an older and a newer version of the program work side by side on one log, each with views of its own.
    """
    versions = repr([MANNER, *sorted((each.name, each.version) for each in projections)])
    mark = f"{crc32(versions.encode()):08x}"
    if isinstance(place, Schema):
        return Schema(place.url, f"{place.name}_{mark}")
    return place.with_name(f"{place.stem}-{mark}{place.suffix}")


def database_of(place: Place) -> ViewsDatabase:
    """Return what the views at this place need."""
    return PostgresViews(place) if isinstance(place, Schema) else SqliteViews(place)


def place_of_views(settings: Settings) -> Place:
    """Return where the views of this very version of the program are."""
    return place_of(settings.place("views"), PROJECTIONS)


class Views:
    """All views of one institution, in one database."""

    def __init__(self, place: Place, log: EventLog, projections: Sequence[Projection]) -> None:
        self.place = place_of(place, projections)
        self.log = log
        self.projections = tuple(projections)
        self.tables = [table for projection in projections for table in projection.tables]
        self._database = database_of(self.place)
        self._turn = self._database.turn()
        self._seen = 0
        self.maker = Maker(self._database, log, projections, engine=lambda: self.engine)
        self._lent: set[Writing] = set()
        self._local = threading.local()
        self._memory = Memory(0)

    @cached_property
    def engine(self) -> Engine:
        """The database; opened at first use, which must be after a fork."""
        use = self._database.in_use()
        try:
            engine = self._database.engine()
        except BaseException:
            use.close()
            raise
        self._use = use
        return engine

    def drop_others(self) -> int:
        """Drop the views of other versions that nobody uses any more, and return of how many sets of versions."""
        return sum(each.drop() for each in self._database.others())

    def lend(self, *, as_it_is: bool = False) -> Reading:
        """Give this thread's own connection, begun so that it sees one state of all views: the newest.

        Whoever borrows it ends it with `end()`, and borrows it again for the next time; to catch up ends it too. With
        `as_it_is`, what this thread has borrowed a moment ago goes on seeing what it saw.

        Views that were put back to an older copy are brought to the end of the log first: nobody is let in, or refused
        anything, by what they said then.
        """
        if as_it_is and (mine := self._mine) is not None and mine.begun and mine.age < A_MOMENT:
            return mine
        noted = self._turn.noted()
        read = self._lend(self._database.to_read)
        if noted and self.position(read) < noted:
            self.catch_up()
            read = self._lend(self._database.to_read)
        return read

    def known(
        self, lent: Callable[[], Reading], ask: Callable[[Reading, Unpack[Asked]], Answer], *said: *Asked
    ) -> Answer:
        """Return what a function reads from tables that are written rarely, and from no others, as of now.

        What it has found stays in memory until such a table is written, by whichever process; else it reads on the
        connection that this thread is `lent`. What it has not found is not kept: whoever makes up names of things would
        have the rest forgotten.
        """
        change = self._turn.last_change()
        if change is None:
            return ask(lent(), *said)
        memory = self._memory
        if memory.change != change:
            memory = self._memory = Memory(change)
        asked = (ask, *said)
        answer = memory.find(asked)
        if answer is None:
            read = lent()
            if read.change != change:
                # It was begun before the last change.
                read = self.lend()
            answer = ask(read, *said)
            # Where a change is under way nobody can tell whether that was read before it or after it.
            if answer and read.change == change and change % 2 == 0:
                memory.keep(asked, answer)
        return cast(Answer, answer)

    def _lend(self, opening: str) -> Writing:
        # One for reading and writing: what it wrote is in its memory then, and a server has half as many to keep.
        if (mine := self._mine) is not None:
            try:
                if not mine.closed and self._database.is_live(mine):
                    mine.change = self._turn.last_change()
                    mine.begin(opening)
                    return mine
            except Exception:
                if not mine.closed:
                    raise
            # The server was restarted, or another edition went live; there may be no other connection yet.
            self._local.connection = None
            self._lent.discard(mine)
            mine.discard()
        lent = self._local.connection = Writing(self.engine.connect())
        self._lent.add(lent)
        lent.change = self._turn.last_change()
        lent.begin(opening)
        return lent

    def let_go(self) -> None:
        """End what this thread has borrowed, should it have anything."""
        if (mine := self._mine) is not None and mine.begun:
            mine.end()

    @property
    def _mine(self) -> Writing | None:
        """This thread's own connection, if it has had one."""
        return getattr(self._local, "connection", None)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Give a connection that sees one state of all views from its first query to the end."""
        reading = Reading(self.engine.connect())
        try:
            reading.begin(self._database.to_read)
            yield reading
        finally:
            reading.close()

    @contextmanager
    def _writing(self) -> Iterator[Writing]:
        connection = self._lend(self._database.to_write)
        while not self._database.is_live(connection):
            # A swap was waited for. It holds the right to write to what was live, so nothing moves from here on.
            connection = self._lend(self._database.to_write)
        try:
            yield connection
        except BaseException:
            connection.end()
            raise
        connection.commit()

    def open(self, progress: Progress | None = None) -> bool:
        """Make the views from the first event where there are none of these versions, and say whether that was so."""
        if self._are_made():
            return False
        with self.maker.alone():
            if self._are_made():  # Another process has made them while this one waited.
                return False
            LOGGER.info("making the views", extra={"views": [p.name for p in self.projections]})
            self._make_anew(progress)
        return True

    def _are_made(self) -> bool:
        with self._writing() as connection:
            connection.driver.execute(definition(places, "", connection.dialect)[0])
            return _PLACE.first(connection, name=ALL) is not None

    def position(self, connection: Reading | None = None) -> int:
        """Return how far the views are."""
        if connection is None:
            with self.reading() as connection:
                return self.position(connection)
        if connection.position is None:
            row = _PLACE.first(connection, name=ALL)
            connection.position = 0 if row is None else int(row[0])
        return connection.position

    def catch_up(self, to: int | None = None, *, patient: bool = False) -> int:
        """Bring the views to the end of the log, or at least to a position, and return where they are.

        Any number of threads and processes may call this at once: the first claims the place, which locks out the
        others, and works for all of them. Who is `patient` waits for as long as it takes, which a request may not.

        :raises TimeoutError: when others kept the place for too long.
        """
        if to is not None and self._is_there(to):
            return self._seen
        # Who read on here would not see what is written now, and in a schema would keep a swap waiting.
        self.let_go()
        with self._turn if patient else self._turn.soon():
            self._work(to)
        return self._seen

    def keep_up(self, to: int, pause: float) -> bool:
        """Bring the views to a position for which nobody waits, and say whether they are there, if the log is.

        Of all processes of a machine that follow one does it for all, and not more often than each `pause`, in seconds:
        somebody who does it now, or did a moment ago, is left alone. In a schema each does it by itself.
        """
        if self._is_there(to):
            return True
        if self._turn.idle() < pause:
            return False
        self.let_go()
        with self._turn.at_once() as alone:
            if alone:
                self._work(to)
        return alone

    def _work(self, to: int | None) -> None:
        # Whoever had the turn before may have worked for this one too.
        while to is None or not self._is_there(to):
            if not self._step(to):
                break

    def _is_there(self, to: int) -> bool:
        """Say whether the views are known to be at a position: this process has seen it, or another has noted it."""
        if self._seen < to:
            self._seen = max(self._seen, self._turn.noted())
        return self._seen >= to

    def _step(self, to: int | None) -> bool:
        """Apply one page, and say whether there may be more."""
        with ExitStack() as until_written, self._writing() as connection:
            place = self.position(connection)
            if to is not None and place >= to:
                self._seen = place
                return False
            page = self.log.entries.page(place, PAGE)
            if not page and to is not None:
                # Somebody drew an earlier position and is about to commit, whom this waits for.
                page = self.log.entries.page(place, PAGE, to)
            if not page:
                if place > (end := self.log.entries.last()):
                    raise Broken(
                        f"The views stand at position {place}, but the log ends at {end}. The log was replaced by an "
                        "older copy. Restore the newest one, or run `provider views rebuild` if this one is right."
                    )
                self._seen = place
                if self._turn.noted() > place:
                    # The log itself is an older one.
                    self._turn.note(place)
                return False
            fold = Fold(connection)
            self._apply(fold, page)
            # What the views say must not be lost in the log afterwards.
            self.log.entries.settle(page[-1][0])
            if fold.changes_what_is_remembered() or self._is_cut_short():
                until_written.enter_context(self._turn.changing())
            with self._database.together(connection):
                fold.flush()
                self._move(connection, page[-1][0])
        self._seen = page[-1][0]
        # Of views that were put back to an older copy, nobody takes the first page for the end.
        if self._seen > self._turn.noted():
            self._turn.note(self._seen)
        self._database.shorten_journal(connection)
        return len(page) == PAGE or (to is not None and self._seen < to)

    def _is_cut_short(self) -> bool:
        """Say whether a process was killed while it changed what others remember; they remember nothing since."""
        return (self._turn.last_change() or 0) % 2 == 1

    @cached_property
    def _handlers(self) -> Handlers:
        return Handlers.of(self.projections)

    def _apply(self, fold: Fold, page: Sequence[Entry]) -> None:
        try:
            fold.apply(page, self._handlers, self.log.form)
        except RowMissing as error:
            raise Broken(f"The views are damaged: {error} Run `provider views rebuild`.") from error

    def rebuild(self, progress: Progress | None = None) -> int:
        """Make all views anew from the first event, beside the live ones, and swap them in; return the position.

        Readers see the old ones until the swap and are never blocked. Where an earlier rebuild was killed, this one
        goes on.
        """
        with self.maker.alone():
            return self._make_anew(progress)

    def _make_anew(self, progress: Progress | None) -> int:
        # A process that was killed may have left something behind, or nothing was ever made.
        self._are_made()
        self._database.tidy(self._idle())
        self.maker.make(progress)
        while (end := self.log.position()) - self.maker.place > PAGE:
            # What was recorded meanwhile, so that little is left for when nobody else may write.
            self.maker.go_on(end)
        while not self._swap_in():
            # Somebody reads for long, and may be waiting for the right to write.
            sleep(A_MOMENT)
        live = self._idle()
        self.maker.drop(live)
        self._database.tidy(live)
        return self._seen

    def _swap_in(self) -> bool:
        """Bring what was made to where the live views are and swap it in; say whether nobody read on."""
        # What is made may say something else than what was damaged.
        with self._turn, self._turn.changing(), self._writing() as live:
            # A log may have been replaced by an older copy, of which this is made then.
            self.maker.go_on(min(self.position(live), self.log.entries.last()))
            reached = self.maker.place
            self.log.entries.settle(reached)
            if not self.maker.edition.go_live(live, self.maker.connection, self._names, reached):
                live.end()
                return False
            self._seen = reached
            self._turn.note(reached)
        return True

    @property
    def _names(self) -> list[str]:
        return [table.name for table in self.tables]

    def _idle(self) -> Writing:
        """Give this thread's own connection, in no transaction."""
        connection = self._lend(self._database.to_read)
        connection.end()
        return connection

    def verify(self, progress: Progress | None = None) -> list[str]:
        """Build all views anew beside the live ones, compare them row by row, and return what differs, a line each."""
        with self.maker.alone():
            return self._verify(progress)

    def _verify(self, progress: Progress | None) -> list[str]:
        # What is to prove the live views is made from the first event by itself.
        self.maker.drop(self._idle())
        # They are compared and thrown away: nobody looks anything up in them but by its key.
        self.maker.make(progress, indexed=False)
        self.catch_up(patient=True)
        edition = self.maker.edition
        with self.reading() as reading, edition.beside(reading) as before:
            reading.begin(self._database.to_read)
            while self.position(reading) != self.maker.place:
                # Somebody has recorded something since the tables beside the live ones were made.
                self._meet(reading)
            differences = [
                line
                for table in self.tables
                for line in _compare(reading, table, f"{before}{table.name}{edition.ending}")
            ]
        self.maker.drop(self._idle())
        return differences

    def _meet(self, reading: Reading) -> None:
        """Bring what was made to where the live views are, and read both from then on.

        They are compared while others write again, which takes many seconds for a long log.
        """
        with self._turn, self._writing() as live:
            self.maker.go_on(self.position(live))
            reading.begin(self._database.to_read)
            # A file takes its state when something is read from it.
            self.position(reading)

    def _move(self, connection: Writing, to: int) -> None:
        connection.driver.execute(self._database.to_move, (to, ALL))

    def close(self) -> None:
        """Let go of all that is open, and forget what was read; whatever is asked afterwards opens it anew."""
        self._memory = Memory(0)
        self.maker.close()
        while self._lent:
            self._lent.pop().close()
        if (engine := self.__dict__.pop("engine", None)) is not None:
            engine.dispose()
            self._use.close()
        self._turn.close()


def _compare(connection: Reading, table: Table, anew: str) -> list[str]:
    """Return how the rows of a live table differ from those of the table made anew, at most twenty lines."""
    names = [column.name for column in table.columns]
    columns = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    lines = []
    for here, there, word in (
        (table.name, anew, "is in the view but not in the log"),
        (anew, table.name, "is missing in the view"),
    ):
        rows = connection.driver.execute(f"SELECT {columns} FROM {here} EXCEPT SELECT {columns} FROM {there} LIMIT 10")
        for row in rows:
            said = dict(zip(names, row, strict=True))
            key = {name: said[name] for name in (*table.info["key"], "since", "until")}
            lines.append(f"{table.name}: {key} {word}")
    return lines


__all__ = ["Broken", "Fold", "NotMade", "Progress", "Views"]
