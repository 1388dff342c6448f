"""One at a time, across threads and processes: of one machine by files, of all hosts of a database by the server."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2s
from math import inf
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Any

from provider.schema import lock_number

if TYPE_CHECKING:
    import psycopg

PATIENCE = 10.0
"""Seconds in a queue after which nobody begins to wait for the database itself; the waits of all would add up."""

_NOTE = struct.Struct("<Qd")
"""A number, and the time by the clock that all processes of a machine share and nobody sets."""
_CHANGE = 16
"""Where in the file the last change stands, behind the note."""
UNDER_WAY = -1
"""Stands for a change of which nobody knows whether it is over; it is odd, as all that are under way."""
_LOCK, _UNLOCK = "SELECT pg_advisory_lock(%s)", "SELECT pg_advisory_unlock(%s)"


def _must_be_soon(began: float, patience: float = PATIENCE) -> None:
    """Give up after a long wait: whoever asked is told, and can ask again.

    :raises TimeoutError: when it took longer than anybody is patient for.
    """
    if monotonic() - began > patience:
        raise TimeoutError("Somebody else has kept the database for too long")


class Locks:
    """Locks by name, as files in a directory; the system lets go of them when their holder dies.

    A lock only spares two commands the trouble of a version conflict: the event log stays the arbiter. The kernel
    queues those who wait, where a library that polls would let them sleep.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def hold(self, name: str) -> Held:
        """Wait for the lock and hold it, in a `with`. Names share 256 files, so never hold two at once."""
        return Held(os.path.join(self.directory, blake2s(name.encode(), digest_size=1).hexdigest()))  # noqa: PTH118

    def close(self) -> None:
        """There is nothing to let go of."""


class Held:
    """A lock by its file, held in a `with`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> None:
        began = monotonic()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            _must_be_soon(began)
        except BaseException:
            os.close(self._file)
            raise

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


class AdvisoryLocks:
    """Locks by name for all hosts of one PostgreSQL database; the server lets go of them when a connection ends.

    `lend` gives a thread its own connection, which commits by itself and does not wait for long.
    """

    def __init__(self, lend: Callable[[], psycopg.Connection[Any]]) -> None:
        self._lend = lend

    def hold(self, name: str) -> AdvisoryLock:
        """Wait for the lock and hold it, in a `with`. A thread never holds two at once."""
        return AdvisoryLock(self._lend, lock_number(name))

    def close(self) -> None:
        """There is nothing to let go of."""


class AdvisoryLock:
    """A lock by its number, held in a `with` on a connection that is lent for it."""

    def __init__(self, lend: Callable[[], psycopg.Connection[Any]], number: int) -> None:
        self._lend = lend
        self.number = number
        self._holds: psycopg.Connection[Any] | None = None

    def __enter__(self) -> None:
        import psycopg

        connection = self._lend()
        try:
            connection.execute(_LOCK, (self.number,))
        except psycopg.OperationalError:
            if not connection.closed:
                raise
            # The server was restarted.
            connection = self._lend()
            connection.execute(_LOCK, (self.number,))
        self._holds = connection

    def __exit__(self, *_: object) -> None:
        import psycopg

        if self._holds is not None:
            # A connection that was lost has let go of it.
            with suppress(psycopg.OperationalError):
                self._holds.execute(_UNLOCK, (self.number,))
            self._holds = None


class OwnAdvisoryLock:
    """A lock by its number, on a connection of its own, for work that takes long; who wants it waits for as long."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = AdvisoryLock(self._lend, number)
        # To the server, all threads of one connection are the same holder.
        self._threads = threading.Lock()

    def _lend(self) -> psycopg.Connection[Any]:
        import psycopg

        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(self._url, autocommit=True)
            # Whatever is set for the user or the database: this one is waited for.
            connection.execute("SET lock_timeout = 0")
            self._connection = connection
        return self._connection

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            self._lock.__enter__()
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._lock.__exit__()
        finally:
            self._threads.release()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Turn:
    """The right to write to one SQLite file: who waits is queued by the kernel, and woken at once.

    SQLite itself lets a waiting writer sleep for 1 to 100 ms and look again; under load that costs more than the write.
    """

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._threads = threading.Lock()
        # A second file would have a lock of its own.
        self._opening = threading.Lock()
        self._file = -1
        self._taken_away: list[int] = []

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            self._lock(fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()

    @contextmanager
    def soon(self) -> Iterator[None]:
        """Hold it as `with` does, but not after a long wait.

        :raises TimeoutError: when it took longer than anybody is patient for.
        """
        began = monotonic()
        with self:
            _must_be_soon(began, self._patience)
            yield

    @contextmanager
    def at_once(self) -> Iterator[bool]:
        """Hold it in a `with` if nobody does; False where somebody does."""
        alone = self._threads.acquire(blocking=False)
        if not alone:
            yield False
            return
        try:
            try:
                self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                alone = False
            try:
                yield alone
            finally:
                if alone:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def note(self, number: int) -> None:
        """Leave word for those who wait, or come later, how far the work is that each of them would do."""
        os.pwrite(self._opened(), _NOTE.pack(number, monotonic()), 0)

    def noted(self) -> int:
        """Return what was noted last, by whatever process; 0 where nothing was."""
        return int.from_bytes(os.pread(self._opened(), 8, 0), "little")

    def idle(self) -> float:
        """Return the seconds since something was noted last, by whatever process of this machine; many where nothing
        was."""
        note = os.pread(self._opened(), _NOTE.size, 0)
        if len(note) < _NOTE.size:
            return inf
        since = monotonic() - _NOTE.unpack(note)[1]
        # A clock that stands before it was started anew with the machine.
        return since if since >= 0 else inf

    def last_change(self) -> int:
        """Return a number that stands for the last change, by whatever process, and for no other; odd while it is under
        way, or was when somebody was killed."""
        file = self._opened()
        if os.fstat(file).st_nlink == 0:
            # The file was taken away, and others may have another by now.
            return UNDER_WAY
        return int.from_bytes(os.pread(file, 8, _CHANGE), "little")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change something in a `with`, while holding the turn: from its beginning on nobody takes for true what they
        read before, and until its end nobody remembers what they read."""
        # By the clock that nobody sets: it never comes again, whatever somebody does to the file.
        under_way = 2 * monotonic_ns() + 1
        self._leave(under_way)
        try:
            yield
        finally:
            self._leave(under_way + 1)

    def _leave(self, change: int) -> None:
        os.pwrite(self._opened(), change.to_bytes(8, "little"), _CHANGE)

    def _lock(self, how: int) -> None:
        """Lock the file that is there, which others lock too."""
        while True:
            fcntl.flock(self._opened(), how)
            if _is_there(self._file, self._path):
                return
            fcntl.flock(self._file, fcntl.LOCK_UN)
            # Another thread may be reading from it just now.
            with self._opening:
                self._taken_away.append(self._file)
                self._file = -1

    def _opened(self) -> int:
        if (file := self._file) < 0:
            with self._opening:
                if (file := self._file) < 0:
                    file = self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return file

    def close(self) -> None:
        """Let go of the file."""
        for file in (*self._taken_away, self._file):
            if file >= 0:
                os.close(file)
        self._taken_away, self._file = [], -1


class Shared:
    """A file that any number of processes hold at once, each until it closes it."""

    def __init__(self, path: Path) -> None:
        while True:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_SH)
            if _is_there(self._file, path):
                return
            # Whoever held it alone has deleted it.
            os.close(self._file)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


@contextmanager
def unshared(path: Path) -> Iterator[bool]:
    """Hold a file that others share alone, in a `with`; False where somebody else holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = _is_there(file, path)
        except BlockingIOError:
            alone = False
        yield alone
    finally:
        os.close(file)


def _is_there(file: int, path: Path) -> bool:
    """Say whether an open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
