"""The views in SQLite: each edition a file of its own, and a link to the one that is live."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any
from zlib import crc32

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import NullPool, QueuePool

from projections.projection import Reading
from provider.durable import make_private, make_private_directory, patiently
from provider.locks import Shared, Turn, unshared
from provider.schema import is_set_of_views
from provider.views_database import ALL, FILLING, SERVING, Writing

PATIENCE = 10
"""Seconds that a connection waits for whoever has locked the file."""
PAGES = 4_000
"""Pages of a journal after which SQLite brings home what is in it, and lets it begin anew if nobody reads it just then.
"""
JOURNAL = 16 * 1024 * 1024
"""Bytes that a journal is cut down to when it begins anew, which is as much as those pages take."""
TOO_LONG, LONGER = JOURNAL + 4 * 1024 * 1024, 4 * 1024 * 1024
"""Bytes of a journal that did not begin anew by itself, and bytes more after which that is tried again."""
BRIEFLY = 20
"""Milliseconds in which everybody who reads now has read, but for who reads for long."""
ATTEMPTS = 20
"""How often a file is looked for again that a swap has just taken away."""

_JOURNALS = ("-wal", "-shm", "-journal")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Connection(sqlite3.Connection):
    """A connection that knows which file it has open, whatever that is called by now."""

    identity: tuple[int, int]
    journal: Path


@dataclass
class Allowance:
    """Bytes of a journal up to which this process lets it alone."""

    bytes: int = TOO_LONG


@dataclass(frozen=True)
class SqliteViews:
    """The views behind a link, which leads to the file of the live edition.

    A swap puts another link in its place: who has the old file open reads what it says, and opens the new one for the
    next transaction. A file that stands where the link should be is as good.
    """

    path: Path
    journal: Allowance = field(default_factory=Allowance, init=False, compare=False, repr=False)
    to_read = "BEGIN"
    to_write = "BEGIN IMMEDIATE"
    to_move = "UPDATE places SET position = ? WHERE name = ?"

    def engine(self) -> Engine:
        make_private_directory(self.path.parent)
        # Nothing is made here: a swap may be taking away just now what is looked at.
        with suppress(FileNotFoundError):
            if self.path.stat().st_mode & 0o077:
                self.path.resolve().chmod(0o600)
        engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=0, isolation_level="AUTOCOMMIT"
        )

        @event.listens_for(engine, "checkout")
        def look(connection: Any, *_: object) -> None:
            if not self._is_live(connection):
                raise DisconnectionError("The views were made anew.")

        return engine

    def _connect(self) -> Connection:
        for _ in range(ATTEMPTS):
            self._make_sure()
            file = self.path.resolve()
            connection = None
            try:
                connection = _connected(file)
                self._set_up(connection)
                if self._is_live(connection, where_there_is_none=False):
                    live, connection = connection, None
                    return live
            except (FileNotFoundError, sqlite3.DatabaseError):
                # What a swap has just taken away may be in any state.
                if file.exists():
                    raise
            finally:
                if connection is not None:
                    connection.close()
        raise sqlite3.OperationalError(f"{self.path} leads to another file whenever it is opened")

    def _set_up(self, connection: Connection) -> None:
        # From here on its journal is open too: if the file is still live afterwards, that was not taken away before.
        patiently(lambda: connection.execute("PRAGMA journal_mode=WAL"))
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{SERVING}")
        connection.execute(f"PRAGMA wal_autocheckpoint={PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={JOURNAL}")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()

    def _make_sure(self) -> None:
        """Let there be a file, with nothing in it where there was none."""
        if self.path.exists():
            return
        empty = self._named(f"{token_hex(4)}-empty")
        _make(empty)
        try:
            # Never in place of a link that somebody else has made meanwhile.
            self.path.symlink_to(empty.name)
        except FileExistsError:
            if self.path.exists():
                _delete(empty)
            else:
                # It leads to a file that is gone.
                self.lead_to(empty)

    def is_live(self, connection: Reading) -> bool:
        return self._is_live(connection.driver)

    def _is_live(self, connection: Connection, *, where_there_is_none: bool = True) -> bool:
        try:
            found = os.stat(self.path)  # noqa: PTH116  (before each transaction)
        except FileNotFoundError:
            # Somebody has taken it away. What is open is good until there is another.
            return where_there_is_none
        if connection.identity == (found.st_dev, found.st_ino):
            return True
        return where_there_is_none and self.path.resolve().stem.endswith("-empty")

    def together(self, _: Reading) -> AbstractContextManager[object]:
        return nullcontext()

    def shorten_journal(self, connection: Reading) -> None:
        # SQLite itself never waits for those who read. Where they follow each other closely, somebody reads at any
        # moment; and once a journal is long, each of them takes longer. Who reads for minutes is not waited for at each
        # step. As the file is cut down when its journal begins anew, it tells how long that is.
        driver: Connection = connection.driver
        # Somebody may have taken the files away. And as with SQLite's own tries, what is wrong with them is told to
        # whoever needs them next: what was to be written is written.
        with suppress(OSError, sqlite3.DatabaseError):
            length = driver.journal.stat().st_size
            if length > self.journal.bytes:
                # All threads of this process leave it alone from here on, until it is longer still.
                self.journal.bytes = length + LONGER
                driver.execute(f"PRAGMA busy_timeout={BRIEFLY}")
                try:
                    driver.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                finally:
                    driver.execute(f"PRAGMA busy_timeout={PATIENCE * 1_000}")
            elif length <= TOO_LONG:
                self.journal.bytes = TOO_LONG

    def edition(self, *, apart: bool = False) -> SqliteEdition:
        # Nothing waits for the disk while it is made. So what was made before a power cut is not gone on with, nor
        # what was copied from another directory.
        directory = self.path.parent.stat()
        try:
            boot = _BOOT.read_text()
        except FileNotFoundError:
            boot = str(os.getpid())
        mark = crc32(f"{boot} {directory.st_dev} {directory.st_ino}".encode())
        return SqliteEdition(self, self._named(f"{mark:08x}{'-apart' if apart else '-new'}"))

    def new(self) -> Path:
        """Return a name that no edition had."""
        return self._named(token_hex(4))

    def _named(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.{name}{self.path.suffix}")

    def lead_to(self, file: Path) -> None:
        """Let this be the live file from now on, also after a power cut."""
        link = file.with_name(f"{file.name}.link")
        # Whoever copies the directory has a link to the copy.
        link.symlink_to(file.name)
        link.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def tidy(self, _: Writing) -> None:
        if self.path.is_symlink():
            # Left by a file that stood where the link is now.
            for end in _JOURNALS:
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        kept = {self.path.resolve(), self.edition().path, self.edition(apart=True).path}
        for file in self._editions():
            if file not in kept:
                _delete(file)

    def _editions(self) -> list[Path]:
        """Return the files of all editions, and of those that were never finished."""
        ours = re.compile(
            rf"({re.escape(self.path.stem)}\.[0-9a-f]{{8}}(-new|-apart|-empty)?{re.escape(self.path.suffix)})"
            rf"({'|'.join(_JOURNALS)}|\.link)?"
        )
        found = {match[1] for file in self.path.parent.iterdir() if (match := ours.fullmatch(file.name))}
        return [self.path.with_name(name) for name in sorted(found)]

    def turn(self) -> Turn:
        return Turn(self.path.with_name(self.path.name + ".turn"))

    def alone(self, name: str) -> Turn:
        return Turn(self.path.with_name(f"{self.path.name}.{name}"))

    def in_use(self) -> Shared:
        return Shared(self._use)

    @property
    def _use(self) -> Path:
        return self.path.with_name(f"{self.path.name}.use")

    def others(self) -> list[SqliteViews]:
        found = sorted(self.path.parent.glob(f"*{self.path.suffix}"))
        return [
            SqliteViews(file)
            for file in found
            if is_set_of_views(file.stem) and file != self.path and (file.is_file() or file.is_symlink())
        ]

    def drop(self) -> bool:
        with unshared(self._use) as nobody_uses_it:
            if nobody_uses_it:
                for file in self._editions():
                    _delete(file)
                # Its own name last: where this is cut short, the rest is found again by it.
                for end in (*_JOURNALS, ".turn", ".making", ".apart", ".use", ""):
                    self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        return nobody_uses_it

    def delete_damaged(self) -> bool:
        """Delete the files that are damaged, also of an edition that is not finished, and say whether any was."""
        deleted = False
        with closing(self.alone("making")) as making, making:
            for file in (self.path.resolve(), *self._editions()):
                if file.is_file() and _is_damaged(file):
                    _delete(file)
                    deleted = True
        return deleted


@dataclass(frozen=True)
class SqliteEdition:
    """A file in which views are made anew.

    Its journal lets whoever goes on with it after a kill find whole pages of events; it does not wait for the disk.
    """

    views: SqliteViews
    path: Path
    ending = ""
    to_build = "BEGIN IMMEDIATE"

    def open(self, _: Engine) -> Writing:
        if not self.path.exists():
            # The journal of another file that had this name would be taken for its own.
            _delete(self.path)
        _make(self.path)
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        return Writing(engine.connect())

    def _connect(self) -> Connection:
        connection = _connected(self.path)
        connection.execute("PRAGMA journal_mode=PERSIST")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"PRAGMA cache_size=-{FILLING}")
        return connection

    def give_room(self, connection: Reading, kilobytes: int) -> None:
        connection.driver.execute(f"PRAGMA cache_size=-{int(kilobytes)}")

    def define(self, connection: Reading, statements: Sequence[str]) -> None:
        for statement in statements:
            connection.driver.execute(statement)

    def clear(self, connection: Writing, *_: object) -> None:
        # Not only those: the file may have been begun with others.
        found = connection.driver.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'places'")
        for (name,) in found.fetchall():
            connection.driver.execute(f"DROP TABLE {name}")
        connection.driver.execute("DELETE FROM places")

    def take_in(self, connection: Writing, apart: SqliteEdition, indexes: int) -> None:
        driver = connection.driver
        driver.execute("ATTACH ? AS apart", (str(apart.path),))
        try:
            with connection.transaction(self.to_build):
                made = driver.execute(
                    "SELECT type, name, sql FROM apart.sqlite_master "
                    "WHERE sql IS NOT NULL AND name <> 'places' ORDER BY type = 'index'"
                ).fetchall()
                for _, _, statement in made:
                    driver.execute(statement)
                # With the same indexes, and none of its own rows, a table takes over whole pages.
                for kind, name, _ in made:
                    if kind == "table":
                        driver.execute(f"INSERT INTO main.{name} SELECT * FROM apart.{name}")
                driver.execute("INSERT INTO places SELECT * FROM apart.places")
                driver.execute("UPDATE places SET indexes = ?", (indexes,))
        finally:
            driver.execute("DETACH apart")

    def settle(self, connection: Writing) -> None:
        connection.driver.execute("PRAGMA synchronous=FULL")
        # A transaction that changes nothing would not wait for the disk; one of a single page waits for all before it.
        with connection.transaction(self.to_build):
            connection.driver.execute("PRAGMA user_version = 1")

    def go_live(self, _: Writing, connection: Writing, _tables: object, position: int) -> bool:
        with connection.transaction(self.to_build):
            connection.driver.execute("DELETE FROM places")
            connection.driver.execute("INSERT INTO places (name, position) VALUES (?, ?)", (ALL, position))
        # Closed by the last who has it open, a file is whole without its journal.
        connection.driver.execute("PRAGMA journal_mode=WAL")
        connection.close()
        new = self.views.new()
        self.path.rename(new)
        _delete(self.path)
        self.views.lead_to(new)
        return True

    def drop(self, _: Writing) -> None:
        _delete(self.path)

    @contextmanager
    def beside(self, live: Reading) -> Iterator[str]:
        live.end()
        live.driver.execute("ATTACH ? AS beside", (str(self.path),))
        try:
            yield "beside."
        finally:
            live.end()
            live.driver.execute("DETACH beside")


def _connected(file: Path) -> Connection:
    """Open a file that is there.

    :raises FileNotFoundError: when it is not.
    """
    found = file.stat()
    connection = sqlite3.connect(
        f"{file.as_uri()}?mode=rw",
        uri=True,
        factory=Connection,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.identity = (found.st_dev, found.st_ino)
    connection.journal = file.with_name(f"{file.name}-wal")
    # Nothing here is private; some builds write zeros over all that is deleted, page by page.
    connection.execute("PRAGMA secure_delete=OFF")
    # What is sorted for an index of a long log is too much for memory; little is sorted there all the same.
    connection.execute("PRAGMA temp_store=FILE")
    return connection


def _make(file: Path) -> None:
    """Make a file that is missing, of whoever owns the directory: an administrator may be doing this for a service."""
    make_private(file)
    if os.geteuid() == 0:
        owner = file.parent.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def _delete(file: Path) -> None:
    # The file first: without its journal it would be taken for whole.
    for end in ("", *_JOURNALS, ".link"):
        file.with_name(file.name + end).unlink(missing_ok=True)


def _is_damaged(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True)) as raw:
            said = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        # One that is only locked, or can't be opened, is another matter.
        return not isinstance(error, sqlite3.OperationalError)
    return bool(said != "ok")
