"""What it means to whoever asked when a store fails: it is locked, full, or damaged, and when to ask again."""

from __future__ import annotations

import errno
import sqlite3
import sys
from collections.abc import Iterator

from eventsourcing.persistence import InterfaceError
from eventsourcing.persistence import OperationalError as LogError
from filelock import Timeout
from sqlalchemy import exc

SAFE = "Send the very same request again: what was recorded already is not recorded twice."


class StoreUnavailable(Exception):
    """A database can't be read or written just now. To send the very same request again later is safe."""

    def __init__(self, message: str, *, again: int) -> None:
        super().__init__(f"{message} {SAFE}")
        self.again = again
        """Seconds after which it may be tried again."""


class ViewsIncomplete(StoreUnavailable):
    """The views miss what the log has, so that nothing can be decided by them."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The views do not know {what}, which is in the log: their database may be damaged. Tell the operator, who "
            "runs `provider views rebuild`.",
            again=60,
        )


class DiskFailed(OSError):
    """The disk did not take what was written. This process can't tell any more what is on it, and records nothing."""


LOCKED = ("A database is locked by another program.", 5)
FULL = ("The disk is full, or can't be written. Tell the operator.", 30)
FAILED = ("The disk failed. Tell the operator: the server has to be started again once the disk is well.", 60)
DAMAGED = ("A database is damaged, or was taken away. Tell the operator.", 60)
AWAY = ("A database does not answer.", 5)

_OF_SQLITE = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_PROTOCOL: LOCKED,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: FULL,
    sqlite3.SQLITE_READONLY: FULL,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_CANTOPEN: DAMAGED,
}
_OF_THE_SYSTEM = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EROFS: FULL,
    errno.EIO: FULL,
    errno.EMFILE: AWAY,
    errno.ENFILE: AWAY,
}
_OF_POSTGRESQL = {
    "53100": FULL,
    "25006": FULL,
    "58030": FULL,
    "42P01": DAMAGED,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
    "40001": LOCKED,
    "40P01": LOCKED,
    "55P03": LOCKED,
}
"""By the codes of PostgreSQL's documentation; any other operational error is a server that does not answer."""


def outage(error: BaseException) -> StoreUnavailable | None:
    """Return what to tell whoever asked when a store has failed; None where the error is another, such as a mistake."""
    said = _first_known(error)
    return None if said is None else StoreUnavailable(said[0], again=said[1])


def passing(error: BaseException) -> bool:
    """Say whether a store has failed in a way that may pass while it is tried again: it is locked, full or away."""
    return _first_known(error) in (LOCKED, FULL, AWAY)


def damaged(error: BaseException) -> bool:
    """Say whether the file of a database is no database any more, or one with mistakes in it."""
    codes = [getattr(each, "sqlite_errorcode", 0) & 0xFF for each in _what_led_to(error)]
    return sqlite3.SQLITE_CORRUPT in codes or sqlite3.SQLITE_NOTADB in codes


def _first_known(error: BaseException) -> tuple[str, int] | None:
    return next((said for each in _what_led_to(error) if (said := _known(each)) is not None), None)


def _what_led_to(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, the first cause first: it knows best."""
    if error is not None:
        yield from _what_led_to(getattr(error, "orig", None) or error.__cause__)
        yield error


def _known(error: BaseException) -> tuple[str, int] | None:
    if isinstance(error, sqlite3.Error):
        # A database that was replaced by an empty one has none of the tables.
        missing = "no such table" in str(error)
        return DAMAGED if missing else _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    # Its driver is only loaded where it is used.
    if (psycopg := sys.modules.get("psycopg")) is not None and isinstance(error, psycopg.Error):
        away = AWAY if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) else None
        return _OF_POSTGRESQL.get(error.sqlstate or "", away)
    if isinstance(error, (Timeout, TimeoutError, exc.TimeoutError)):
        return LOCKED
    if isinstance(error, DiskFailed):
        return FAILED
    if isinstance(error, OSError):
        return _OF_THE_SYSTEM.get(error.errno or 0)
    if isinstance(error, (exc.OperationalError, LogError, InterfaceError)) and not _wraps(error):
        return AWAY
    return None


def _wraps(error: BaseException) -> bool:
    """Say whether this only wraps an error of SQLite's driver, which was looked at already."""
    return isinstance(getattr(error, "orig", None) or error.__cause__, sqlite3.Error)


__all__ = ["DiskFailed", "StoreUnavailable", "ViewsIncomplete", "damaged", "outage", "passing"]
