"""SQLite's files that lie where nothing can be written, such as on a disk that was mounted for nothing but reading."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

_NOT_WITHOUT_WRITING = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class NotAtRest(Exception):
    """A file can't be read where it lies; the sentence says why, and what to do."""


@contextmanager
def to_be_read(file: Path) -> Iterator[str]:
    """Give the address at which SQLite can read a file in a `with`, though nothing can be written where it lies.

    SQLite reads a file together with the files of its journal. Where these are missing and can't be made, nobody has
    it open, and it can be read without them as long as that stays so, which is looked at in the end.

    :raises NotAtRest: when what is in a journal would be left out, or somebody wrote meanwhile.
    """
    if not os.access(file, os.R_OK):
        raise NotAtRest(f"{file} can't be read. Give it to the user who runs this, or call this as its owner.")
    address = f"file:{quote(str(file))}?mode=ro"
    if _opens(address):
        yield address
        return
    journal = Path(f"{file}-wal")
    if journal.exists() and journal.stat().st_size:
        raise NotAtRest(
            f"{file} can't be read without its journal {journal.name}, and that not where nothing can be written. "
            "Mount its disk for writing; or copy the whole directory to another disk, and name that in PROVIDER_DATA "
            "and PROVIDER_KEYS_DIR."
        )
    before = _state(file)
    yield f"{address}&immutable=1"
    if _state(file) != before:
        raise NotAtRest(f"{file} was changed while it was read, by somebody who can write there. Call this there.")


def _opens(address: str) -> bool:
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=60)) as tried:
            tried.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in _NOT_WITHOUT_WRITING:
            return False
        raise
    return True


def _state(file: Path) -> list[tuple[int, int, int] | None]:
    """Return what tells whether anybody wrote to a file, or opened it."""
    found: list[tuple[int, int, int] | None] = []
    for end in ("", "-wal", "-shm"):
        try:
            said = Path(f"{file}{end}").stat()
            found.append((said.st_ino, said.st_size, said.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return found
