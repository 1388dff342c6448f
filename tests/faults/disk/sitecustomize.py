"""Makes a program note, beside each journal, how much of it the disk has been asked to keep.

Python runs this at the start of a program that has this folder in its PYTHONPATH. Nobody can tell from a file which
part of it would survive a power cut.
"""

from __future__ import annotations

import os
from pathlib import Path

SALT, COMMITTED = slice(32, 40), slice(16, 20)
"""Where the index of a journal says which journal it is of, and how many frames of that are committed."""

_fdatasync = os.fdatasync
_opened: dict[Path, int] = {}
"""The indexes of journals that were looked at."""


def fdatasync(file: int) -> None:
    """Bring a file to the disk, and note how far a journal was when that began."""
    journal = Path(f"/proc/self/fd/{file}").readlink()
    said = _committed(journal) if journal.name.endswith("-wal") else b""
    _fdatasync(file)
    if said:
        kept = os.open(f"{journal}.kept", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(kept, said)
        os.close(kept)


def _committed(journal: Path) -> bytes:
    """Return the salt of a journal, and the number of its committed frames."""
    index = Path(f"{str(journal).removesuffix('-wal')}-shm")
    if index not in _opened or not os.path.samestat(index.stat(), os.fstat(_opened[index])):
        # Never closed: SQLite has locks on this file, of which all end when any descriptor of it is closed.
        _opened[index] = os.open(index, os.O_RDONLY | os.O_CLOEXEC)
    while True:
        said = os.pread(_opened[index], 96, 0)
        # It is written twice, so that a reader can tell whether it was in the middle of being written.
        if said[:48] == said[48:]:
            return said[SALT] + said[COMMITTED]


os.fdatasync = fdatasync
