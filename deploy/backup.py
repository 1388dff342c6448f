#!/usr/bin/env python3
"""Copy the databases of a running office, and the keys apart from them, and let old copies go.

    backup.py DATA KEYS COPIES COPIES_OF_KEYS [--days 90] [--days-of-keys 30]

Needs nothing but Python. Each run makes COPIES/TIME and COPIES_OF_KEYS/TIME, complete or not at all. The views are left
out: they are made anew from the events.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

# A private value lies in the vault before an event names it, and its key before the value. So in this order every copy
# holds all that the copy before it needs.
ORDER = ("events", "vault", "desk", "keys")
STAMP = "%Y-%m-%dT%H%M%SZ"
LONGEST_KEYS = 30
"""Days after which a person who was erased must be gone from the last copy of the keys too."""


def copy(source: Path, target: Path) -> None:
    """Copy a database that may be in use, check the copy, and bring it to the disk."""
    with sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=60) as live:
        with sqlite3.connect(target) as made:
            live.backup(made, pages=-1)
            # The copy need not be a pair of files; opening it makes it one again.
            made.execute("PRAGMA journal_mode=DELETE")
            if (said := made.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(f"the copy of {source} is damaged: {said}")
        made.close()
    live.close()
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def forget(copies: Path, before: datetime) -> None:
    """Delete the copies made before a time; whatever is not named like one stays."""
    for each in copies.iterdir():
        try:
            made = datetime.strptime(each.name.removesuffix(".part"), STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
        if made < before:
            shutil.rmtree(each)


def main() -> int:
    parser = argparse.ArgumentParser(description="Copy the databases of a running office, the keys apart.")
    for name in ("data", "keys", "copies", "copies_of_keys"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--days", type=int, default=90, help="how long copies are kept (90)")
    parser.add_argument("--days-of-keys", type=int, default=LONGEST_KEYS, help="… and those of the keys (30, or less)")
    said = parser.parse_args()
    if not 1 <= said.days_of_keys <= LONGEST_KEYS:
        parser.error(f"copies of the keys are kept for 1 to {LONGEST_KEYS} days: an erased person must stay erased")
    if said.copies.resolve() == said.copies_of_keys.resolve():
        parser.error("the copies of the keys need a directory of their own, apart from what they open")
    os.umask(0o077)
    now = datetime.now(UTC)
    stamp = now.strftime(STAMP)
    for directory in (said.copies, said.copies_of_keys):
        (directory / f"{stamp}.part").mkdir(parents=True)
    for name in ORDER:
        source, target = (said.keys, said.copies_of_keys) if name == "keys" else (said.data, said.copies)
        copy(source / f"{name}.sqlite", target / f"{stamp}.part" / f"{name}.sqlite")
    for directory, days in ((said.copies_of_keys, said.days_of_keys), (said.copies, said.days)):
        (directory / f"{stamp}.part").rename(directory / stamp)
        forget(directory, now - timedelta(days=days))
    print(said.copies / stamp)
    print(said.copies_of_keys / stamp)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"No backup was made: {error}")
