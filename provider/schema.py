"""Where a store is: in a file of its own, or in a schema of a PostgreSQL database."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path


@dataclass(frozen=True)
class Schema:
    """A schema of a PostgreSQL database, by the database's address (`postgresql://…`) and its own name."""

    url: str = field(repr=False)
    name: str


Place = Path | Schema
"""An SQLite file, or a schema."""


_SET_OF_VIEWS = re.compile(r"views([-_][0-9a-f]{8})?")


def is_set_of_views(name: str) -> bool:
    """Say whether a file, without its ending, or a schema is named as views of some version of the program are.

    Those of before there were versions had no more than the name.
    """
    return _SET_OF_VIEWS.fullmatch(name) is not None


def lock_number(name: str) -> int:
    """Return the number of an advisory lock; it never begins as those of the event log do (`provider.postgres`)."""
    return -int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big") - 1
