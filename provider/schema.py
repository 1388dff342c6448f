"""Where a store is: in a file of its own, or in a schema of a PostgreSQL database."""

from __future__ import annotations

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


def lock_number(name: str) -> int:
    """Return the number of an advisory lock; it never begins as those of the event log do (`provider.postgres`)."""
    return -int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big") - 1
