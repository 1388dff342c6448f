"""The vault: private values, each sealed under its owner's key, and the handles that stand for them."""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
    delete,
    insert,
    select,
)

from domain.private import Private
from domain.refusal import Invalid
from provider.durable import wipe_journal, writing
from provider.keys import Damaged, Key, Keys, Remembered, in_chunks

VAULT_TABLES = MetaData()
_VALUES = Table(
    "private_values",
    VAULT_TABLES,
    Column("commitment", String(43), primary_key=True),
    Column("owner", Uuid, nullable=False, index=True),
    Column("key", Uuid, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

_SALT = 32  # bytes
_A_DAY = timedelta(days=1)
# A value longer than this is a note; to remember notes would push the names out of memory.
_REMEMBER_UP_TO = 1_000


class NotText(Invalid):
    """A text holds half of a surrogate pair, which no Unicode text does."""


class NothingInUse(Exception):
    """A sweep was told that no handle is in use at all, which is true of no back office."""


class Fate(Enum):
    """What became of a private value that an event names."""

    OPENS = "opens"
    ERASED = "erased"
    MISSING = "missing"
    DAMAGED = "damaged"


class Opening(NamedTuple):
    """What a commitment was made of: enough to prove a value to somebody who has the handle."""

    salt: bytes
    json: bytes


class Vault:
    """Private values by their handles. Made after the fork, used by any thread.

    `clock` gives seconds since 1970. Values are remembered in memory until any process erases.
    """

    def __init__(self, engine: Engine, keys: Keys, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._keys = keys
        self._clock = clock
        self._values: Remembered[Private, str] = Remembered(size=40_000)

    def seal(self, owner: UUID, value: str) -> Private:
        """Keep one value, durably, and return the handle for it. Raises NotText."""
        return self.seal_many([(owner, value)])[0]

    def seal_many(self, items: Sequence[tuple[UUID, str]]) -> list[Private]:
        """Keep values, all or none, and return their handles in the same order. Raises NotText.

        The same value twice has two handles that nobody can tell to be the same.
        """
        if not items:
            return []
        openings = [_make_opening(value) for _, value in items]
        handles = [commitment(each) for each in openings]
        remembered = self._fresh()
        keys = self._keys.of_many([owner for owner, _ in items], create=True)
        now = int(self._clock())
        rows = [
            {
                "commitment": str(handle),
                "owner": owner,
                "key": keys[owner].id,
                "created_at": now,
                "sealed": keys[owner].seal(b"".join(opening), _context(owner, handle)),
            }
            for (owner, _), opening, handle in zip(items, openings, handles, strict=True)
        ]
        with writing(self._engine) as connection:
            connection.execute(insert(_VALUES), rows)
        for handle, (_, value) in zip(handles, items, strict=True):
            _remember(remembered, handle, value)
        return handles

    def open(self, handles: Iterable[Private | None]) -> dict[Private, str | None]:
        """Return the values of all handles that are not None; None where erased or unknown.

        Raises Damaged where a row was changed from outside.
        """
        remembered = self._fresh()
        opened = {handle: remembered.get(handle) for handle in handles if handle is not None}
        closed = [handle for handle, value in opened.items() if value is None]
        for handle, opening in self._openings(closed):
            value: str = orjson.loads(opening.json)
            opened[handle] = value
            _remember(remembered, handle, value)
        return opened

    def open_one(self, handle: Private | None) -> str | None:
        """Return the value of a handle; None where there is none, or it was erased."""
        return None if handle is None else self.open([handle])[handle]

    def opening(self, handle: Private) -> Opening | None:
        """Return what proves the value behind a handle, or None where it was erased."""
        return next((opening for _, opening in self._openings([handle])), None)

    def verify(self, handle: Private, opening: tuple[bytes, bytes]) -> bool:
        """Tell whether an opening is that of the handle."""
        return commitment(Opening(*opening)) == handle

    def fates(self, handles: Collection[Private]) -> dict[Private, Fate]:
        """Try to open all of these, and say what became of each; nothing that was opened is remembered."""
        fates = dict.fromkeys(handles, Fate.MISSING)
        for chunk in in_chunks(handles):
            with self._engine.connect() as connection:
                rows = list(connection.execute(select(_VALUES).where(_VALUES.c.commitment.in_(chunk))))
            keys = self._keys.by_id({row.key for row in rows})
            for row in rows:
                handle = Private(row.commitment)
                fates[handle] = Fate.ERASED
                if row.key in keys:
                    try:
                        _unseal(handle, row.owner, keys[row.key], row.sealed)
                        fates[handle] = Fate.OPENS
                    except Damaged:
                        fates[handle] = Fate.DAMAGED
        return fates

    def sweep(self, used: Iterable[Private], *, older_than: timedelta = _A_DAY) -> int:
        """Delete the values that no event names, and return how many.

        `used` are all handles of the whole log; it is read after the candidates are known, so a
        command that records meanwhile loses nothing. Values younger than `older_than` stay.
        """
        limit = int(self._clock() - older_than.total_seconds())
        with self._engine.connect() as connection:
            query = select(_VALUES.c.commitment).where(_VALUES.c.created_at < limit)
            orphans = set(connection.scalars(query))
        if not orphans:
            return 0
        nothing = True
        for handle in used:
            nothing = False
            orphans.discard(handle)
        if nothing:
            # An empty or wrong log would otherwise cost every name there is.
            raise NothingInUse("The log names no private value at all; is it the right log?")
        if orphans:
            for chunk in in_chunks(orphans):
                with writing(self._engine) as connection:
                    connection.execute(delete(_VALUES).where(_VALUES.c.commitment.in_(chunk)))
            self._keys.count_erasure()
            wipe_journal(self._engine)
        return len(orphans)

    def _fresh(self) -> Remembered[Private, str]:
        self._values = self._values.as_of(self._keys.erasures())
        return self._values

    def _openings(self, handles: list[Private]) -> Iterable[tuple[Private, Opening]]:
        for chunk in in_chunks(handles):
            query = select(_VALUES).where(_VALUES.c.commitment.in_(chunk))
            with self._engine.connect() as connection:
                rows = list(connection.execute(query))
            keys = self._keys.by_id({row.key for row in rows})
            for row in rows:
                # A value whose key is gone is erased, even where its owner has a new key.
                if row.key in keys:
                    handle = Private(row.commitment)
                    yield handle, _unseal(handle, row.owner, keys[row.key], row.sealed)


def commitment(opening: Opening) -> Private:
    """Return the handle that belongs to an opening."""
    digest = sha256(b"sealed/v1\0" + opening.salt + opening.json).digest()
    return Private(urlsafe_b64encode(digest).rstrip(b"=").decode())


def _make_opening(value: str) -> Opening:
    try:
        return Opening(os.urandom(_SALT), orjson.dumps(value))
    except TypeError as error:
        raise NotText(
            "A text holds characters that are not valid Unicode (half of a pair). Type it again, or remove them."
        ) from error


def _unseal(handle: Private, owner: UUID, key: Key, sealed: bytes) -> Opening:
    plain = key.open(sealed, _context(owner, handle))
    opening = Opening(plain[:_SALT], plain[_SALT:])
    # The cipher alone would let who has the key put another value behind the same handle.
    if commitment(opening) != handle:
        raise Damaged(f"The value behind {handle} is not the one that was sealed.")
    return opening


def _context(owner: UUID, handle: Private) -> bytes:
    return b"sealed/v1" + owner.bytes + handle.encode()


def _remember(remembered: Remembered[Private, str], handle: Private, value: str) -> None:
    if len(value) <= _REMEMBER_UP_TO:
        remembered.put(handle, value)
