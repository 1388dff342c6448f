"""What the views ask of a database, whichever it is: connections, transactions, and one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, Self

from sqlalchemy import BigInteger, Column, Dialect, Engine, Integer, MetaData, String, Table, Text
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import quoted_name

from projections.projection import Reading

SERVING, FILLING, SORTING = 3_000, 12_000, 4_000
"""Kilobytes of pages that a connection keeps in memory: of each thread of a server, while tables are filled, and while
their indexes are made, for which as much again is sorted at a time."""

A_NAME = "its_own"
"""What stands in the definition of an index for the part of its name that no other has."""

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


class Writing(Reading):
    """A connection that writes to the views, in one transaction that takes the lock at its beginning."""

    @contextmanager
    def transaction(self, opening: str) -> Iterator[None]:
        """Begin by the statement `opening`, and let what was written in a `with` be seen at its end."""
        self.begin(opening)
        try:
            yield
        except BaseException:
            self.end()
            raise
        self.commit()

    def commit(self) -> None:
        """Let what was written be seen."""
        self.begun = False
        self.driver.commit()

    def discard(self) -> None:
        """Close it for good: nobody is given it again."""
        if not self._connection.closed:
            self._connection.invalidate()
        self._connection.close()


class Held(AbstractContextManager[None], Protocol):
    """A lock to hold in a `with`, and to close at last."""

    def close(self) -> None:
        """Let go of what it needs."""


class Brief(Held, Protocol):
    """A lock that a request may take, which does not wait for long."""

    def soon(self) -> AbstractContextManager[None]:
        """Hold it in a `with`, but not after a long wait."""

    def at_once(self) -> AbstractContextManager[bool]:
        """Hold it in a `with` if nobody does, as far as this machine knows; False where somebody does."""

    def note(self, number: int) -> None:
        """Leave word how far the work is, where that saves others a look at the database."""

    def noted(self) -> int:
        """Return what was noted last; 0 where nothing was."""

    def idle(self) -> float:
        """Return the seconds since something was noted last; many where that is not known."""

    def last_change(self) -> int | None:
        """Return a number that stands for the last change and for no other, odd while it is under way; None where
        nobody says."""

    def changing(self) -> AbstractContextManager[None]:
        """Change something in a `with`, while holding it."""


class Use(Protocol):
    """What is closed by whoever no longer uses something."""

    def close(self) -> None:
        """Use it no longer."""


class Edition(Protocol):
    """Where views are made anew, beside the live ones.

    The names of its tables end with `ending`; `to_build` begins a transaction that writes to them, which nobody else
    waits for.
    """

    @property
    def ending(self) -> str: ...
    @property
    def to_build(self) -> str: ...

    def open(self, live: Engine) -> Writing:
        """Return a connection to it, which one process has at a time; it is made where it is missing."""

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        """Let a connection keep so much in memory, where that is its own business."""

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        """Run statements that define tables and indexes."""

    def clear(self, connection: Writing, projections: Sequence[str], tables: Sequence[str]) -> None:
        """Drop tables of some projections, and the word of how far they are, in the transaction of the caller."""

    def take_in(self, connection: Writing, apart: Self, indexes: int) -> None:
        """Take over all that another process has made apart, which has so many indexes together with what is here."""

    def settle(self, connection: Writing) -> None:
        """Let all that was written so far outlive a power cut, which nobody waits for before it is live."""

    def go_live(self, live: Writing, connection: Writing, tables: Sequence[str], position: int) -> bool:
        """Let it be the live one, at this position, and say whether those who read let that be soon.

        `live` is in a transaction that writes to the live tables, `connection` in none, and nobody's afterwards.
        """

    def drop(self, live: Writing) -> None:
        """Drop all of it, which nobody may have open; `live` is in no transaction."""

    def beside(self, live: Reading) -> AbstractContextManager[str]:
        """Let a connection to the live tables see these too in a `with`: under their names after what is given."""


class ViewsDatabase(Protocol):
    """`to_read` and `to_write` begin a transaction, `to_move` moves the place."""

    @property
    def to_read(self) -> str: ...
    @property
    def to_write(self) -> str: ...
    @property
    def to_move(self) -> str: ...

    def engine(self) -> Engine:
        """Return an engine whose transactions are left to us, for the live tables."""

    def is_live(self, connection: Reading) -> bool:
        """Say whether a connection leads to the live tables still, and not to those that were live before a swap."""

    def together(self, connection: Reading) -> AbstractContextManager[object]:
        """Let what is written in a `with` go to the database in one piece."""

    def shorten_journal(self, connection: Reading) -> None:
        """Let the journal begin anew where it became too long; whoever has the right to write does it, between two
        transactions."""

    def edition(self, *, apart: bool = False) -> Edition:
        """Return where views are made anew, beside the live ones; `apart` is where a second process makes some."""

    def tidy(self, live: Writing) -> None:
        """Drop what swaps have left behind; `live` is in no transaction."""

    def turn(self) -> Brief:
        """Return the right to write, as far as the transaction itself does not take it."""

    def alone(self, name: str) -> Held:
        """Return the right to do something that takes long, in one process of all at a time."""

    def in_use(self) -> Use:
        """Let others know that these views are in use, until that is closed."""

    def others(self) -> Sequence[Self]:
        """Return the views of other versions that lie beside these."""

    def drop(self) -> bool:
        """Drop all that there is of these views, and say whether they could be: not while somebody uses them."""


_DEFINITIONS: dict[tuple[str, str, str], tuple[str, tuple[str, ...]]] = {}


def definition(table: Table, ending: str, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """Return the statements that make a table, and its indexes; each is composed once."""
    key = (table.name, ending, dialect.name)
    if key not in _DEFINITIONS:
        copy = table.to_metadata(MetaData(), name=table.name + ending)
        for index in copy.indexes:
            index.name = quoted_name(f"{index.name}_{A_NAME}", None)
        indexes = tuple(str(CreateIndex(index).compile(dialect=dialect)) for index in copy.indexes)
        made = CreateTable(copy, if_not_exists=table is places)
        _DEFINITIONS[key] = (str(made.compile(dialect=dialect)), indexes)
    return _DEFINITIONS[key]
