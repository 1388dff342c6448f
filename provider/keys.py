"""The keys: one for each owner of private values. Destroying a key is what erasing means."""

from __future__ import annotations

import hmac
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from itertools import islice
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4
from weakref import WeakSet

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Uuid,
    delete,
    select,
    update,
)

from provider.durable import file_of, wipe_journal, writing

KEYS_TABLES = MetaData()
_KEYS = Table(
    "keys",
    KEYS_TABLES,
    Column("id", Uuid, primary_key=True),
    Column("owner", Uuid, nullable=False, unique=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
_ERASURES = Table("erasures", KEYS_TABLES, Column("count", BigInteger, nullable=False))


@lru_cache
def _make(dialect: str) -> Any:
    """Return the statement that makes keys for those owners that have none."""
    # Both say it alike, and to load the dialect that is not there takes a tenth of a process' start.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(_KEYS).on_conflict_do_nothing()


_NONCE = 12  # bytes
_IN_ONE_STATEMENT = 500

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class Damaged(Exception):
    """Something sealed does not open under its own key: it or the key was changed from outside."""


def in_chunks(things: Collection[T]) -> Iterator[list[T]]:
    """Yield lists of at most 500, so that each fits into one statement."""
    left = iter(things)
    while chunk := list(islice(left, _IN_ONE_STATEMENT)):
        yield chunk


@dataclass(frozen=True, slots=True)
class Key:
    """A 256-bit key, for AES-256-GCM. Its id is random and never used again, unlike its owner."""

    id: UUID
    owner: UUID
    _cipher: AESGCM = field(repr=False)
    _tagger: bytes = field(repr=False)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return nonce and ciphertext; `context` must be said again to open it."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed. Raises Damaged."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], context)
        except (InvalidTag, ValueError) as error:
            # The library's error says nothing, and its arguments must not reach a log.
            raise Damaged("What was sealed does not open under its own key.") from error

    def tag(self, *parts: bytes, context: bytes) -> str:
        """Return the HMAC-SHA-256 of these parts, in hex: the same for the same parts and context.

        Nobody can tell from it what the parts were by trying what they may be, unless they have this key.
        """
        said = b"".join(len(part).to_bytes(8, "big") + part for part in (context, *parts))
        return hmac.digest(self._tagger, said, "sha256").hex()


class Remembered(Generic[K, V]):
    """What was opened lately, as of a count of erasures: a bounded map for many threads.

    It is kept in two halves. When the young one is full it becomes the old one, and what was not
    used meanwhile is dropped. Who reads from a database on behalf of the map must have taken the
    map before: then nothing that is erased can come into a newer map.
    """

    def __init__(self, *, size: int, erasures: int = -1) -> None:
        self.erasures = erasures
        self._size = size
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        self._young[key] = value
        if len(self._young) * 2 > self._size:
            self._old, self._young = self._young, {}

    def as_of(self, erasures: int) -> Remembered[K, V]:
        """Return this map, or an empty one where something was erased since."""
        if erasures <= self.erasures:
            return self
        return Remembered(size=self._size, erasures=erasures)


class _Watch:
    """One thread's own connection, which sees whether anybody else wrote."""

    def __init__(self, engine: Engine) -> None:
        self.connection = sqlite3.connect(file_of(engine), timeout=10, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA query_only=ON")
        self.version = -1
        self.erasures = -1

    def __del__(self) -> None:
        self.connection.close()


class Keys:
    """The keys of one institution's back office. Made after the fork, used by any thread.

    `clock` gives seconds since 1970. Keys are remembered in memory until any process erases.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._thread = threading.local()
        self._watches: WeakSet[_Watch] = WeakSet()
        self._by_owner: Remembered[UUID, Key] = Remembered(size=4_000)
        self._by_id: Remembered[UUID, Key] = Remembered(size=4_000)

    def of(self, owner: UUID, *, create: bool = False) -> Key | None:
        """Return the owner's key, or None where there is none (any more) and none is to be made."""
        return self.of_many([owner], create=create).get(owner)

    def of_many(self, owners: Collection[UUID], *, create: bool = False) -> dict[UUID, Key]:
        """Return the keys of those owners that have one; with `create` all have one then."""
        remembered = self._by_owner = self._by_owner.as_of(self.erasures())
        found = {owner: key for owner in owners if (key := remembered.get(owner))}
        for chunk in in_chunks({owner: None for owner in owners if owner not in found}):
            query = select(_KEYS).where(_KEYS.c.owner.in_(chunk))
            with self._engine.connect() as connection:
                rows = list(connection.execute(query))
            missing = set(chunk) - {row.owner for row in rows}
            if create and missing:
                now = int(self._clock())
                # Sorted, so that two who need keys for the same owners at once wait for each other one way only.
                made = [
                    {"id": uuid4(), "owner": owner, "secret": os.urandom(32), "created_at": now}
                    for owner in sorted(missing)
                ]
                with writing(self._engine) as connection:
                    # Another process may have made some of them meanwhile.
                    connection.execute(_make(connection.dialect.name), made)
                    rows = list(connection.execute(query))
            for key in map(_key, rows):
                found[key.owner] = key
                remembered.put(key.owner, key)
        return found

    def by_id(self, ids: Collection[UUID]) -> dict[UUID, Key]:
        """Return those of the keys that still exist."""
        remembered = self._by_id = self._by_id.as_of(self.erasures())
        found = {id_: key for id_ in ids if (key := remembered.get(id_))}
        for chunk in in_chunks({id_: None for id_ in ids if id_ not in found}):
            with self._engine.connect() as connection:
                rows = list(connection.execute(select(_KEYS).where(_KEYS.c.id.in_(chunk))))
            for key in map(_key, rows):
                found[key.id] = key
                remembered.put(key.id, key)
        return found

    def forget(self, *owners: UUID) -> None:
        """Destroy the keys of these owners: all that was sealed under them is erased for good.

        Also wipes their bytes from the file and its journal. Raises JournalInUse where that must
        be done again; forgetting twice is harmless.
        """
        for chunk in in_chunks(owners):
            with writing(self._engine) as connection:
                connection.execute(delete(_KEYS).where(_KEYS.c.owner.in_(chunk)))
                connection.execute(update(_ERASURES).values(count=_ERASURES.c.count + 1))
        wipe_journal(self._engine)

    def count_erasure(self) -> None:
        """Say that sealed values were deleted, so that every process drops what it remembers."""
        with writing(self._engine) as connection:
            connection.execute(update(_ERASURES).values(count=_ERASURES.c.count + 1))

    def erasures(self) -> int:
        """Return how often any process has erased; of a file, only asks when somebody wrote to it."""
        if self._engine.dialect.name != "sqlite":
            with self._engine.connect() as connection:
                return int(connection.scalar(select(_ERASURES.c.count)) or 0)
        watch: _Watch | None = getattr(self._thread, "watch", None)
        if watch is None:
            watch = self._thread.watch = _Watch(self._engine)
            self._watches.add(watch)
        version: int = watch.connection.execute("PRAGMA data_version").fetchone()[0]
        if version != watch.version:
            # The version was taken first: a write in between moves it, and is seen next time.
            row = watch.connection.execute("SELECT count FROM erasures").fetchone()
            watch.version, watch.erasures = version, row[0]
        return watch.erasures

    def close(self) -> None:
        """Let go of the connections of all threads."""
        self._thread = threading.local()
        for watch in tuple(self._watches):
            watch.connection.close()


def _key(row: Row[tuple[UUID, UUID, bytes, int]]) -> Key:
    # One secret is not used for two ciphers.
    return Key(row.id, row.owner, AESGCM(row.secret), hmac.digest(row.secret, b"tag/v1", "sha256"))
