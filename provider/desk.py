"""The desk: what lies about for a day, such as an attendee file that waits for its confirmation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    Uuid,
    delete,
    insert,
    select,
)

from provider.durable import wipe_journal, writing
from provider.keys import Keys, in_chunks

DESK_TABLES = MetaData()
_STAGED = Table(
    "staged_imports",
    DESK_TABLES,
    Column("id", Uuid, primary_key=True),
    Column("course", Uuid, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

_KEPT = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class StagedImport:
    """A file that was read for one course, and waits. Both times are seconds since 1970."""

    id: UUID
    course: UUID
    created_at: int
    expires_at: int
    content: bytes = field(repr=False)


class Desk:
    """Staged imports, each encrypted under a key of its own that is destroyed with it.

    Deleting the row would leave the file in every backup of the desk; without its key it is noise
    there too. `clock` gives seconds since 1970.
    """

    def __init__(self, engine: Engine, keys: Keys, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._keys = keys
        self._clock = clock

    def stage(self, *, course: UUID, content: bytes) -> StagedImport:
        """Keep a file for 24 hours."""
        now = int(self._clock())
        staged = StagedImport(
            id=uuid4(),
            course=course,
            created_at=now,
            expires_at=now + int(_KEPT.total_seconds()),
            content=content,
        )
        key = self._keys.of_many([staged.id], create=True)[staged.id]
        with writing(self._engine) as connection:
            connection.execute(
                insert(_STAGED).values(
                    id=staged.id,
                    course=course,
                    created_at=staged.created_at,
                    expires_at=staged.expires_at,
                    sealed=key.seal(content, _context(staged.id, course)),
                )
            )
        return staged

    def staged(self, id_: UUID) -> StagedImport | None:
        """Return a staged file, or None where it is unknown or its 24 hours are over.

        Raises Damaged where the row was changed from outside.
        """
        query = select(_STAGED).where(_STAGED.c.id == id_)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        key = self._keys.of(id_)
        if row is None or key is None or row.expires_at <= self._clock():
            return None
        return StagedImport(
            id=id_,
            course=row.course,
            created_at=row.created_at,
            expires_at=row.expires_at,
            content=key.open(row.sealed, _context(id_, row.course)),
        )

    def discard(self, *ids: UUID) -> None:
        """Destroy staged files, for good; those that are unknown are passed over.

        Raises JournalInUse where it must be done again.
        """
        if not ids:
            return
        # The key first: a crash in between leaves noise, which the sweep removes.
        self._keys.forget(*ids)
        for chunk in in_chunks(ids):
            with writing(self._engine) as connection:
                connection.execute(delete(_STAGED).where(_STAGED.c.id.in_(chunk)))
        wipe_journal(self._engine)

    def sweep(self) -> int:
        """Destroy the files whose 24 hours are over, and return how many there were."""
        query = select(_STAGED.c.id).where(_STAGED.c.expires_at <= int(self._clock()))
        with self._engine.connect() as connection:
            expired = list(connection.scalars(query))
        self.discard(*expired)
        return len(expired)


def _context(id_: UUID, course: UUID) -> bytes:
    return b"staged/v1" + id_.bytes + course.bytes
