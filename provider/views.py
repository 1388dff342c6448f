"""The store of the views, and how they follow the log: catch up, rebuild, verify."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from importlib import import_module
from multiprocessing import get_context, parent_process
from os import cpu_count
from secrets import token_hex
from time import monotonic, sleep
from typing import Any
from zlib import crc32

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    select,
)
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import quoted_name

from projections.all import PROJECTIONS
from projections.projection import Prepared, Projection, Reading, RowMissing, Stored
from provider.fold import Fold
from provider.log import Entry, EventLog, Progress
from provider.mapper import uuid
from provider.schema import Place, Schema
from provider.settings import Settings
from provider.views_database import FILLING, SERVING, SORTING, database_of

LOGGER = logging.getLogger(__name__)
PAGE = 1_000
REBUILD_PAGE = 5_000
A_MOMENT = 0.05
"""Seconds: what was read since is as good as new, and what could not be had may be there."""
WORTH_TWO = 50_000
"""Events from which on a rebuild is worth a second process, which takes a second to begin."""

BESIDE = "__beside"
"""What the name of a table ends with while it is rebuilt beside the live one."""
PAST = "__past"
"""What the name of a table ends with that was the live one, until it is dropped."""

PLACES = MetaData()
places = Table(
    "places",
    PLACES,
    Column("name", String(60), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("event", Text),
    Column("indexes", Integer),
)
"""How far the views are: all together, and beside them each that is being made anew.

Of one that is being made, `event` says which one stood at its position, and `indexes` how many of its group are there.
"""
ALL = "all"
"""The name under which the place of all views together is kept; without it they were never made."""


_PLACE = Prepared(select(places.c.position).where(places.c.name == bindparam("name")))


class NotMade(Exception):
    """Views could not be made; what there was before is there still."""


class Broken(Exception):
    """The views say something else than the log, miss what it says, or stand further than it goes."""


class Writing(Reading):
    """A connection that writes to the views, in one transaction that takes the lock at its beginning."""

    def commit(self) -> None:
        """Let what was written be seen."""
        self.begun = False
        self.driver.commit()


def place_of(place: Place, projections: Sequence[Projection]) -> Place:
    """Return where views of these very versions are: beside those of other versions, of which others have others.

    So an older and a newer version of the program work side by side on one log, each with views of its own.
    """
    versions = repr(sorted((each.name, each.version) for each in projections))
    mark = f"{crc32(versions.encode()):08x}"
    if isinstance(place, Schema):
        return Schema(place.url, f"{place.name}_{mark}")
    return place.with_name(f"{place.stem}-{mark}{place.suffix}")


def place_of_views(settings: Settings) -> Place:
    """Return where the views of this very version of the program are."""
    return place_of(settings.place("views"), PROJECTIONS)


class Views:
    """All views of one institution, in one database."""

    rebuild_page = REBUILD_PAGE
    worth_two = WORTH_TWO

    def __init__(self, place: Place, log: EventLog, projections: Sequence[Projection]) -> None:
        self._given = place
        self.place = place = place_of(place, projections)
        self.log = log
        self.projections = tuple(projections)
        self.tables = [table for projection in projections for table in projection.tables]
        self._database = database_of(place)
        self._turn = self._database.turn()
        self._seen = 0
        # Tables beside the live ones have one maker at a time, in whatever process.
        self._making = self._database.alone("making")
        # Who makes some of them for another process lives on for a moment when that one is killed.
        self._apart = self._database.alone("apart")
        self._lent: set[Writing] = set()
        self._local = threading.local()

    @cached_property
    def engine(self) -> Engine:
        """The database; opened at first use, which must be after a fork."""
        self._use = self._database.in_use()
        return self._database.engine()

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

    def _lend(self, opening: str) -> Writing:
        # One for reading and writing: what it wrote is in its memory then, and a server has half as many to keep.
        if (mine := self._mine) is not None:
            try:
                if not mine.closed:
                    mine.begin(opening)
                    return mine
            except Exception:
                if not mine.closed:
                    raise
            # The server was restarted; there may be no other connection yet.
            self._local.connection = None
            self._lent.discard(mine)
            mine.close()
        lent = self._local.connection = Writing(self.engine.connect())
        self._lent.add(lent)
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
    def _building(self) -> Iterator[Writing]:
        """Write to tables beside the live ones, which nobody else has; commands go on meanwhile where that can be."""
        opening = self._database.to_build
        with self._turn if opening == self._database.to_write else nullcontext(), self._writing(opening) as connection:
            yield connection

    @contextmanager
    def _writing(self, opening: str | None = None) -> Iterator[Writing]:
        connection = self._lend(opening or self._database.to_write)
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
        with self._making:
            if self._are_made():  # Another process has made them while this one waited.
                return False
            LOGGER.info("making the views", extra={"views": [p.name for p in self.projections]})
            self._rebuild(self.projections, progress)
        return True

    def _are_made(self) -> bool:
        with self._writing() as connection:
            connection.driver.execute(_definition(places, "", connection.dialect)[0])
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

    def catch_up(self, to: int | None = None) -> int:
        """Bring the views to the end of the log, or at least to a position, and return where they are.

        Any number of threads and processes may call this at once: the first claims the place, which locks out the
        others, and works for all of them.
        """
        if to is not None and self._is_there(to):
            return self._seen
        # Who read on here would keep a swap waiting, and with it whoever writes, and would not see what is written now.
        self.let_go()
        # Who starts an office may wait for long; a request may not.
        with self._turn if to is None else self._turn.soon():
            # Whoever had the turn before may have worked for this one too.
            while to is None or not self._is_there(to):
                if not self._step(to):
                    break
        return self._seen

    def _is_there(self, to: int) -> bool:
        """Say whether the views are known to be at a position: this process has seen it, or another has noted it."""
        if self._seen < to:
            self._seen = max(self._seen, self._turn.noted())
        return self._seen >= to

    def _step(self, to: int | None) -> bool:
        """Apply one page, and say whether there may be more."""
        with self._writing() as connection:
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
            self._apply_to_live(fold, page, self.projections)
            # What the views say must not be lost in the log afterwards.
            self.log.entries.settle(page[-1][0])
            with self._database.together(connection):
                fold.flush()
                self._move(connection, page[-1][0])
        self._seen = page[-1][0]
        # Of views that were put back to an older copy, nobody takes the first page for the end.
        if self._seen > self._turn.noted():
            self._turn.note(self._seen)
        return len(page) == PAGE or (to is not None and self._seen < to)

    @cached_property
    def _handlers(self) -> Handlers:
        return _handlers(self.projections)

    def _apply_to_live(self, fold: Fold, page: Sequence[Any], projections: Sequence[Projection]) -> None:
        try:
            self._apply(fold, page, projections)
        except RowMissing as error:
            raise Broken(f"The views are damaged: {error} Run `provider views rebuild`.") from error

    def _apply(self, fold: Fold, page: Sequence[Any], projections: Sequence[Projection]) -> None:
        handlers, every = self._handlers if projections is self.projections else _handlers(projections)
        form = self.log.form
        for position, stream, version, topic, state in page:
            concerned = handlers.get(topic, ())
            if not concerned and not every:
                continue
            fold.position = position
            said, fold.request = form.stored(topic, state)
            for handler in every:
                handler(fold, Stored(str(uuid(stream)), version, topic, said))
            if concerned:
                event = form.made(stream, version, topic, said)
                for handler in concerned:
                    handler(fold, event)

    def rebuild(self, projections: Sequence[Projection] = (), progress: Progress | None = None) -> int:
        """Make views anew from the first event, beside the live ones, and swap them in; return the position reached.

        Readers see the old tables until the swap and are never blocked. Where an earlier rebuild was killed, this one
        goes on.
        """
        with self._making:
            return self._rebuild(projections or self.projections, progress)

    def _rebuild(self, chosen: Sequence[Projection], progress: Progress | None) -> int:
        # A process that was killed may have left them behind.
        self._drop_bit_by_bit(PAST)
        with self._writing() as connection:
            # What others have begun would never be gone on with.
            self._drop_beside(connection, [each for each in self.projections if each not in chosen])
        place = self._make(chosen, progress)
        while (end := self.log.position()) - place > PAGE:
            # What was recorded meanwhile, so that little is left for when nobody else may write.
            place = self._come_closer(chosen, place, end)
        while not self._swap_in(chosen, place):
            # Somebody reads for long, and may be waiting for the right to write.
            sleep(A_MOMENT)
        self._drop_bit_by_bit(PAST)
        return self._seen

    def _come_closer(self, chosen: Sequence[Projection], place: int, end: int) -> int:
        """Bring the tables beside the live ones some way on, and return where they are."""
        page = self.log.entries.page(place, PAGE, end)
        with self._building() as connection:
            fold = Fold(connection, BESIDE)
            self._apply(fold, page, chosen)
            fold.flush()
            self._stand_at(connection, chosen, page[-1])
        return page[-1][0]

    def _drop_bit_by_bit(self, ending: str) -> None:
        """Drop the tables whose names end so, in transactions of a moment each.

        Nobody may write meanwhile, and some hundred megabytes take a second.
        """
        reading = self._lend(self._database.to_read)
        found = [name for name in self._database.tables(reading) if name.endswith(ending)]
        reading.end()
        at_once = self._database.dropped_at_once
        while found:
            with self._turn, self._writing() as connection:
                until = monotonic() + A_MOMENT
                while found and monotonic() < until:
                    some, found = found[:at_once], found[at_once:]
                    self._database.define(connection, [f"DROP TABLE IF EXISTS {name}" for name in some])

    def _swap_in(self, chosen: Sequence[Projection], place: int) -> bool:
        """Bring the tables beside the live ones to the same position and swap them in; say whether nobody read on."""
        with self._turn, self._writing() as connection:
            live = self.position(connection)
            if live > (end := self.log.entries.last()):
                if len(chosen) < len(self.projections):
                    raise Broken("The log was replaced by an older copy; only all views together can be rebuilt.")
                live = end
            self._follow_on(connection, chosen, place, upto=max(live, place))
            if place > live:
                self._bring_others(connection, chosen, live, place)
            if not self._database.keep_out(connection):
                connection.end()
                return False
            self.log.entries.settle(max(live, place))
            self._swap(connection, chosen)
            connection.execute(places.delete().where(places.c.name.in_([ALL, *(each.name for each in chosen)])))
            connection.execute(places.insert().values(name=ALL, position=max(live, place)))
            self._seen = max(live, place)
        self._turn.note(self._seen)
        return True

    def _bring_others(self, connection: Writing, chosen: Sequence[Projection], after: int, upto: int) -> None:
        """Bring the views that were not rebuilt to where the rebuilt ones are."""
        others = [p for p in self.projections if p not in chosen]
        if not others:
            return
        fold = Fold(connection)
        while page := self.log.entries.page(after, PAGE, upto):
            self._apply_to_live(fold, page, others)
            after = page[-1][0]
        fold.flush()

    def _make(self, projections: Sequence[Projection], progress: Progress | None, *, indexed: bool = True) -> int:
        """Fill the tables beside the live ones from the whole log as of now, in two processes if that is worth it.

        Return the position reached. `indexed` says that they will be live, and need their indexes.
        """
        with self._apart:
            end = self.log.position()
        mine, theirs = _halves(projections) if end >= self.worth_two and (cpu_count() or 1) > 1 else (projections, [])
        if not theirs:
            return self._fill(mine, end, progress, indexed=indexed)
        # A fresh interpreter, since threads and open SQLite files don't survive a fork.
        context = get_context("spawn")
        everything = [_whereabouts(each) for each in self.projections]
        names = [each.name for each in theirs]
        other = context.Process(
            target=_fill_apart, args=(self._given, self.log.place, everything, names, end, indexed), daemon=True
        )
        other.start()
        try:
            place = self._fill(mine, end, progress, indexed=indexed)
        except BaseException:
            other.terminate()
            raise
        finally:
            other.join()
        if other.exitcode != 0:
            raise NotMade(
                f"A second process, which was to make the views {', '.join(names)}, was ended. Perhaps there is too "
                "little memory. The same command goes on from where it was."
            )
        return place

    def _fill(self, projections: Sequence[Projection], end: int, progress: Progress | None, *, indexed: bool) -> int:
        """Apply the log up to a position to tables beside the live ones, in large pages, and index them then."""
        # What is folded is no garbage, and there is a lot of it: looking for cycles in it takes a tenth of the time.
        collecting = gc.isenabled()
        gc.disable()
        with self._building() as connection:
            self._database.give_room(connection, FILLING)
        try:
            place, indexes = self._begin(projections, end)
            place = self._fold_all(projections, place, end, progress)
        finally:
            if collecting:
                gc.enable()
        if indexed:
            self._index(projections, indexes)
        with self._building() as connection:
            self._database.give_room(connection, SERVING)
        return place

    def _begin(self, projections: Sequence[Projection], end: int) -> tuple[int, int]:
        """Return up to which position tables beside the live ones are filled, and how many indexes they have.

        Where they aren't all at one place, or the log says something else now than when they were filled, they are made
        anew and are empty.
        """
        with self._building() as connection:
            names = [each.name for each in projections]
            found = connection.execute(select(places).where(places.c.name.in_(names))).all()
            stands = {(row.position, row.event, row.indexes) for row in found}
            if len(found) == len(projections) and len(stands) == 1:
                position, event, indexes = stands.pop()
                if position <= end and event == self._event_at(position):
                    return position, indexes
            self._drop_beside(connection, projections)
            for projection in projections:
                tables = [_definition(table, BESIDE, connection.dialect)[0] for table in projection.tables]
                self._database.define(connection, tables)
            connection.execute(places.insert(), [{"name": name, "position": 0, "indexes": 0} for name in names])
        return 0, 0

    def _event_at(self, position: int) -> str | None:
        """Return which event stands at a position; None for the beginning, before any."""
        found = self.log.entries.at([position]) if position else []
        return f"{found[0][1]}/{found[0][2]}" if found else None

    def _fold_all(self, projections: Sequence[Projection], place: int, end: int, progress: Progress | None) -> int:
        fold: Fold | None = None
        if progress is not None and place:
            progress(place, end)
        while place < end and (page := self.log.entries.page(place, self.rebuild_page, end)):
            # Nobody else writes these tables, so what is in memory stays true from page to page. The lock is held only
            # to write, so that the live views catch up in between.
            reading = self._lend(self._database.to_read)
            if fold is None:
                fold = Fold(reading, BESIDE, complete=place == 0)
            fold.connection = reading
            self._apply(fold, page, projections)
            reading.end()
            place = page[-1][0]
            with self._building() as connection:
                fold.connection = connection
                fold.flush()
                self._stand_at(connection, projections, page[-1])
            if progress is not None:
                progress(place, end)
        return place

    def _stand_at(self, connection: Writing, projections: Sequence[Projection], last: Entry) -> None:
        """Note with which event the tables beside the live ones end.

        Whoever goes on after a kill has to know how far they went, and with which log.
        """
        position, stream, version, *_ = last
        # Nobody would find out later that the log lost it and has another one there.
        self.log.entries.settle(position)
        reached = places.update().where(places.c.name.in_([each.name for each in projections]))
        connection.execute(reached.values(position=position, event=f"{stream}/{version}"))

    def _follow_on(self, connection: Writing, projections: Sequence[Projection], place: int, upto: int) -> None:
        fold = Fold(connection, BESIDE)
        while page := self.log.entries.page(place, self.rebuild_page, upto):
            self._apply(fold, page, projections)
            place = page[-1][0]
            self._stand_at(connection, projections, page[-1])
        fold.flush()

    def verify(self, progress: Progress | None = None) -> list[str]:
        """Build all views anew beside the live ones, compare them row by row, and return what differs, a line each."""
        with self._making:
            return self._verify(progress)

    def _verify(self, progress: Progress | None) -> list[str]:
        # What is to prove the live views is made from the first event by itself.
        self._forget_beside()
        # They are compared and thrown away: nobody looks anything up in them but by its key.
        place = self._make(self.projections, progress, indexed=False)
        self.catch_up()
        reading = self._lend(self._database.to_read)
        try:
            while self.position(reading) != place:
                # Somebody has recorded something since the tables beside the live ones were made.
                place = self._meet(place)
            differences = [line for table in self.tables for line in _compare(reading, table)]
        finally:
            # In PostgreSQL a swap would wait for it.
            reading.end()
        self._forget_beside()
        return differences

    def _meet(self, place: int) -> int:
        """Bring the tables beside the live ones to where these are, and read both from then on.

        They are compared while others write again, which takes many seconds for a long log.
        """
        with self._turn:
            with self._writing() as connection:
                live = self.position(connection)
                self._follow_on(connection, self.projections, place, live)
            # A file takes its state when something is read from it.
            self.position(self._lend(self._database.to_read))
        return live

    def _forget_beside(self) -> None:
        """Drop what is beside the live tables.

        The word of how far they are goes first, so that nobody goes on with half of them.
        """
        with self._writing() as connection:
            connection.execute(places.delete().where(places.c.name != ALL))
        self._drop_bit_by_bit(BESIDE)

    def _index(self, projections: Sequence[Projection], made: int) -> None:
        """Make the indexes of tables beside the live ones but for the first few: to fill those without is much quicker.

        Each has a transaction of its own, so that whoever waits for the one writer waits for one of them at most.
        """
        with self._building() as connection:
            self._database.give_room(connection, SORTING)
        names = [each.name for each in projections]
        tables = [table for projection in projections for table in projection.tables]
        indexes = [each for table in tables for each in _definition(table, BESIDE, self.engine.dialect)[1]]
        for count, statement in enumerate(indexes[made:], made + 1):
            with self._building() as connection:
                # Those of the live tables are there still, under other names.
                self._database.define(connection, [statement.replace(A_NAME, token_hex(4))])
                connection.execute(places.update().where(places.c.name.in_(names)).values(indexes=count))

    def _drop_beside(self, connection: Writing, projections: Sequence[Projection]) -> None:
        """Drop the tables of some views that are beside the live ones, in the transaction of the caller."""
        tables = [table for projection in projections for table in projection.tables]
        self._database.define(connection, [f"DROP TABLE IF EXISTS {table.name}{BESIDE}" for table in tables])
        connection.execute(places.delete().where(places.c.name.in_([each.name for each in projections])))

    def _swap(self, connection: Writing, projections: Sequence[Projection]) -> None:
        there = self._database.tables(connection)
        for table in [table.name for projection in projections for table in projection.tables]:
            if table in there:
                connection.driver.execute(f"ALTER TABLE {table} RENAME TO {table}{PAST}")
            connection.driver.execute(f"ALTER TABLE {table}{BESIDE} RENAME TO {table}")

    def _move(self, connection: Writing, to: int) -> None:
        connection.driver.execute(self._database.to_move, (to, ALL))

    def close(self) -> None:
        while self._lent:
            self._lent.pop().close()
        if (engine := self.__dict__.pop("engine", None)) is not None:
            engine.dispose()
            self._use.close()
        self._turn.close()
        self._making.close()
        self._apart.close()


A_NAME = "its_own"
"""What stands in the definition of an index for the part of its name that no other has."""

_DEFINITIONS: dict[tuple[str, str, str], tuple[str, tuple[str, ...]]] = {}


def _definition(table: Table, suffix: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """Return the statements that make a table, and its indexes; each is composed once."""
    key = (table.name, suffix, dialect.name)
    if key not in _DEFINITIONS:
        copy = table.to_metadata(MetaData(), name=table.name + suffix)
        for index in copy.indexes:
            index.name = quoted_name(f"{index.name}_{A_NAME}", None)
        indexes = tuple(str(CreateIndex(index).compile(dialect=dialect)) for index in copy.indexes)
        made = CreateTable(copy, if_not_exists=table is places)
        _DEFINITIONS[key] = (str(made.compile(dialect=dialect)), indexes)
    return _DEFINITIONS[key]


def _halves(projections: Sequence[Projection]) -> tuple[list[Projection], list[Projection]]:
    """Return two groups of about the same weight."""
    groups: tuple[list[Projection], list[Projection]] = ([], [])
    for projection in sorted(projections, key=lambda each: -each.weight):
        min(groups, key=lambda group: sum(each.weight for each in group)).append(projection)
    return groups


def _whereabouts(projection: Projection) -> tuple[str, str]:
    """Return the module in which a projection is, and its name: how another process finds it."""
    handler = projection.every or next(iter(projection.handlers.values()))
    return handler.__module__, projection.name


def _fill_apart(
    place: Place, log: Place, whereabouts: Sequence[tuple[str, str]], names: Sequence[str], end: int, indexed: bool
) -> None:
    """Fill the tables of some views beside the live ones, as another process; `whereabouts` are those of all."""
    projections = [
        found
        for module, name in whereabouts
        for found in vars(import_module(module)).values()
        if isinstance(found, Projection) and found.name == name
    ]
    if (parent := parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    events = EventLog(log)
    views = Views(place, events, projections)
    with views._apart:
        views._fill([each for each in projections if each.name in names], end, None, indexed=indexed)
    views.close()
    events.close()


def _end_with(parent: Any) -> None:
    """End this process with the one that it works for, whose locks are gone then and may be somebody else's."""
    parent.join()
    os._exit(1)


Handlers = tuple[dict[str, tuple[Any, ...]], tuple[Any, ...]]


def _handlers(projections: Sequence[Projection]) -> Handlers:
    """Return the handlers by topic, and those for every event."""
    topics = {topic for projection in projections for topic in projection.handlers}
    by_topic = {topic: tuple(p.handlers[topic] for p in projections if topic in p.handlers) for topic in topics}
    return by_topic, tuple(p.every for p in projections if p.every is not None)


def _compare(connection: Reading, table: Table) -> list[str]:
    """Return how the rows of a live table differ from those made anew, at most ten lines."""
    names = [column.name for column in table.columns]
    columns = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    lines = []
    for here, there, word in (
        ("", BESIDE, "is in the view but not in the log"),
        (BESIDE, "", "is missing in the view"),
    ):
        rows = connection.driver.execute(
            f"SELECT {columns} FROM {table.name}{here} EXCEPT SELECT {columns} FROM {table.name}{there} LIMIT 10"
        )
        for row in rows:
            said = dict(zip(names, row, strict=True))
            key = {name: said[name] for name in (*table.info["key"], "since", "until")}
            lines.append(f"{table.name}: {key} {word}")
    return lines


__all__ = ["Broken", "Fold", "NotMade", "Progress", "Views"]
