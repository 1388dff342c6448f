"""The event log: the truth, and beside it the answers already given to idempotency keys."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import orjson
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import ApplicationRecorder, Mapper, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteFactory,
    SQLiteTransaction,
)
from eventsourcing.utils import Environment

from domain.aggregate import Aggregate
from domain.private import Private
from provider.durable import make_private
from provider.keys import Key
from provider.locks import Turn
from provider.mapper import EventMapper, request

Kind = TypeVar("Kind", bound=Aggregate)

PAGE = 5_000
LIKE_A_HANDLE = re.compile(rb'"([A-Za-z0-9_-]{43})"')
Progress = Callable[[int, int], None]
"""Told how many events are done, of how many."""

Entry = tuple[int, str, int, str, bytes]
"""Position, stream, version, topic and state of one recorded event."""


class NotFound(Exception):
    """There is no such thing here, or it is not this person's to see."""


class KeyReused(Exception):
    """An idempotency key came again with another request."""


@dataclass(frozen=True)
class IdempotencyKey:
    """An idempotency key: who said it, what it is, and the fingerprint of the request it came with."""

    principal: UUID
    key: str
    fingerprint: str

    @classmethod
    def of(cls, principal: UUID, key: str, *request: bytes, secret: Key) -> IdempotencyKey:
        """Return the key with the fingerprint of its request (method, path, body), made with a secret.

        A plain hash of a request that holds names would be as good as the names: they can be tried.
        """
        return cls(principal, key, secret.tag(*request, context=b"idempotency/v1"))


@dataclass(frozen=True)
class Receipt:
    """What a command did: to what, which version it has now, and the position of the last event recorded.

    `position` is None where nothing needed recording. `outcome` is a code; `ids` are the things made or touched.
    """

    id: UUID
    version: int
    position: int | None
    outcome: str | None = None
    ids: tuple[str, ...] = ()
    replayed: bool = False


class EventLog(Application[UUID]):
    """All events of one institution, in the order in which they were recorded."""

    name = "events"

    def __init__(self, path: Path) -> None:
        make_private(path)
        self.path = path
        self._warm = Warm()
        super().__init__({"SQLITE_DBNAME": str(path)})

    def construct_env(self, name: str, env: Any = None) -> Environment:
        # The library would mix in os.environ, where a stray variable could turn on a cipher or another database.
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> Any:
        return Factory(env)

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper()

    @property
    def entries(self) -> Recorder:
        """The recorder, with its reading by pages."""
        return cast(Recorder, self.recorder)

    @cached_property
    def reads(self) -> Callable[[str, int, str, bytes], tuple[Any, Mapping[str, str] | None]]:
        """The function that makes an event, and the request it came with, of a recorded one."""
        return cast(EventMapper, self.mapper).read

    def get(self, kind: type[Kind], stream: UUID) -> Kind:
        """Return the aggregate as its events left it.

        :raises NotFound: when there is none of this kind under that id.
        """
        warm = self._warm.take(stream)
        if warm is not None:
            found: object = _evolved(warm, self._since(stream, warm.version))
        else:
            try:
                found = self.repository.get(stream, projector_func=_evolved)
            except AggregateNotFoundError:
                raise NotFound(f"There is no {kind.__name__.lower()} {stream}.") from None
        if not isinstance(found, kind):
            raise NotFound(f"There is no {kind.__name__.lower()} {stream}.")
        return found

    def find(self, kind: type[Kind], stream: UUID) -> Kind | None:
        """Return the aggregate, or None where it does not exist yet."""
        try:
            return self.get(kind, stream)
        except NotFound:
            return None

    def record(
        self,
        addressed: Aggregate,
        *others: Aggregate,
        asked: Mapping[str, str],
        key: IdempotencyKey | None = None,
        outcome: str | None = None,
        ids: Sequence[str] = (),
    ) -> Receipt:
        """Save what happened to all of these together, with the answer to the key, or nothing at all."""
        # The library's `save` does the same and tells followers in this process, of which there are none.
        aggregates = (addressed, *others)
        with request(asked):
            stored = [self._stored(event) for aggregate in aggregates for event in aggregate.collect_events()]
        receipt = Receipt(addressed.id, addressed.version, None, outcome, tuple(ids))
        answer = (key, receipt) if key else None
        positions = self.recorder.insert_events(stored, answer=answer) if stored or answer else None
        for aggregate in aggregates:
            self._warm.leave(aggregate)
        if not positions:
            return receipt
        return Receipt(addressed.id, addressed.version, positions[-1], outcome, tuple(ids))

    @cached_property
    def _stored(self) -> Callable[[Any], StoredEvent]:
        return self.mapper.to_stored_event

    def _since(self, stream: UUID, version: int) -> list[Any]:
        """Return what happened to an aggregate after a version."""
        read = self.reads
        return [read(*entry)[0] for entry in self.entries.since(stream, version)]

    def answered(self, key: IdempotencyKey) -> Receipt | None:
        """Return the receipt that this key was answered with.

        :raises KeyReused: when the key came with another request then.
        """
        return self.entries.answered(key)

    def handles(self, progress: Progress | None = None) -> Iterator[Private]:
        """Yield whatever may be the handle of a private value in any event, as far as the log goes by then.

        Events are not read for it: what an event of another version of this program holds counts too, and a text that
        only looks like a handle does no harm.
        """
        place, end = 0, self.position()
        while place < end and (page := self.entries.page(place, PAGE)):
            for *_, state in page:
                for found in LIKE_A_HANDLE.findall(state):
                    yield Private(found.decode())
            place = page[-1][0]
            end = max(end, place)
            if progress is not None:
                progress(place, end)
            if place == end:
                end = self.position()

    def position(self) -> int:
        """Return the position of the last event, 0 when there is none."""
        return self.recorder.max_notification_id() or 0


class Warm:
    """Aggregates that were just recorded, for whoever needs them next; a class is marked learner by learner.

    One that is taken is gone from here, so no two commands ever hold the same, and one that a command spoilt by failing
    half-way is never left. What others have recorded since is read when it is taken; the version check stays the
    arbiter.
    """

    SIZE = 256

    def __init__(self) -> None:
        self._kept: OrderedDict[UUID, Aggregate] = OrderedDict()
        self._guard = threading.Lock()

    def take(self, stream: UUID) -> Aggregate | None:
        """Return the aggregate, which the caller now has for themselves, or None."""
        with self._guard:
            return self._kept.pop(stream, None)

    def leave(self, aggregate: Aggregate) -> None:
        """Leave an aggregate as it was recorded."""
        with self._guard:
            self._kept[aggregate.id] = aggregate
            if len(self._kept) > self.SIZE:
                self._kept.popitem(last=False)


def _evolved(aggregate: Any, events: Iterable[Any]) -> Any:
    """Return the aggregate after these events. The library's own asks each event whether it is one, which takes longer
    than to apply it."""
    for event in events:
        aggregate = event.mutate(aggregate)
    return aggregate


class Recorder(SQLiteApplicationRecorder):
    """The library's recorder, with positions that VACUUM and deletes at the tail can't renumber, and with keys.

    An implicit rowid is given anew by VACUUM, and again after its row was deleted; AUTOINCREMENT on a column of that
    very name prevents both.
    """

    def __init__(self, datastore: SQLiteDatastore, events_table_name: str = "stored_events"):
        super().__init__(datastore, events_table_name)
        self.lend = cast(Datastore, datastore).lend
        self.insert_events_statement = (
            f"INSERT INTO {events_table_name} (originator_id, originator_version, topic, state) VALUES (?,?,?,?)"
        )

    def construct_create_table_statements(self) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {self.events_table_name} ("
            "rowid INTEGER PRIMARY KEY AUTOINCREMENT, "
            "originator_id TEXT NOT NULL, "
            "originator_version INTEGER NOT NULL, "
            "topic TEXT NOT NULL, "
            "state BLOB NOT NULL, "
            "UNIQUE (originator_id, originator_version))",
            "CREATE TABLE IF NOT EXISTS idempotency ("
            "principal TEXT NOT NULL, "
            "key TEXT NOT NULL, "
            "fingerprint TEXT NOT NULL, "
            "receipt BLOB NOT NULL, "
            "position INTEGER, "
            "recorded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), "
            "PRIMARY KEY (principal, key)) WITHOUT ROWID",
        ]

    def _insert_events(
        self,
        c: SQLiteCursor,
        stored_events: Sequence[StoredEvent],
        *,
        answer: tuple[IdempotencyKey, Receipt] | None = None,
        **_: Any,
    ) -> Sequence[int]:
        cursor = c.sqlite_cursor
        cursor.executemany(
            self.insert_events_statement,
            [
                (
                    e.originator_id.hex if isinstance(e.originator_id, UUID) else e.originator_id,
                    e.originator_version,
                    e.topic,
                    e.state,
                )
                for e in stored_events
            ],
        )
        # One writer at a time, and AUTOINCREMENT: the positions of one transaction are a row without gaps.
        last = cursor.execute("SELECT last_insert_rowid()").fetchone()[0] if stored_events else 0
        positions = list(range(last - len(stored_events) + 1, last + 1))
        if answer is not None:
            key, receipt = answer
            c.execute(
                "INSERT INTO idempotency (principal, key, fingerprint, receipt, position) VALUES (?,?,?,?,?)",
                (
                    str(key.principal),
                    key.key,
                    key.fingerprint,
                    orjson.dumps([str(receipt.id), receipt.version, receipt.outcome, receipt.ids]),
                    positions[-1] if positions else None,
                ),
            )
        return positions

    def answered(self, key: IdempotencyKey) -> Receipt | None:
        """Return the receipt given to this key before.

        :raises KeyReused: when it was given to another request.
        """
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT fingerprint, receipt, position FROM idempotency WHERE principal=? AND key=?",
                (str(key.principal), key.key),
            )
            row = c.fetchone()
        if row is None:
            return None
        if row["fingerprint"] != key.fingerprint:
            raise KeyReused(
                "This Idempotency-Key was used for another request. Use a new key for a new request, "
                "and the same key only to send the very same request again."
            )
        stream, version, outcome, ids = orjson.loads(row["receipt"])
        return Receipt(UUID(stream), version, row["position"], outcome, tuple(ids), replayed=True)

    def forget_keys(self, before: str) -> int:
        """Delete the answers recorded before this time (RFC 3339, UTC), and return how many."""
        with self.datastore.transaction(commit=True) as c:
            c.execute("DELETE FROM idempotency WHERE recorded_at < ?", (before,))
            return int(c.sqlite_cursor.rowcount)

    def max_notification_id(self) -> int:
        # The library says None where there is no event yet, against its own annotation.
        last: int = self._read(self.select_max_notification_id_statement, ())[0][0]
        return last

    def since(self, stream: UUID, version: int) -> list[tuple[str, int, str, bytes]]:
        """Return the events of a stream after a version: stream, version, topic and state of each."""
        return self._read(
            f"SELECT originator_id, originator_version, topic, state FROM {self.events_table_name} "
            "WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version",
            (stream.hex, version),
        )

    def page(self, after: int, limit: int, upto: int | None = None) -> list[Entry]:
        """Return up to `limit` entries after a position, in order; none beyond `upto`."""
        return self._read(
            f"SELECT rowid, originator_id, originator_version, topic, state FROM {self.events_table_name} "
            "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?",
            (after, upto if upto is not None else 2**63 - 1, limit),
        )

    def at(self, positions: Sequence[int]) -> list[Entry]:
        """Return the entries at these positions, in order; those that there are none at are left out."""
        return self._read(
            f"SELECT rowid, originator_id, originator_version, topic, state FROM {self.events_table_name} "
            f"WHERE rowid IN ({', '.join('?' * len(positions))}) ORDER BY rowid",
            tuple(positions),
        )

    def _read(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Return what one statement finds, which sees one state without a transaction."""
        cursor = self.lend()._sqlite_conn.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, values).fetchall()


class Pool(SQLiteConnectionPool):
    """Connections on which a commit is on the disk before it is acknowledged."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA busy_timeout=10000")
        return connection


class Datastore(SQLiteDatastore):
    """The library's datastore with a connection for each thread, and writers that take turns.

    Lending a connection from a pool for each statement costs more than the statement.
    """

    def __init__(self, db_name: str, **kwargs: Any) -> None:
        super().__init__(db_name, **kwargs)
        self.pool.close()
        self.pool = Pool(db_name=db_name, lock_timeout=10, pool_size=64, max_overflow=64)
        self._local = threading.local()
        self._turn = Turn(Path(db_name + ".turn"))

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        lent = self.lend()
        if not commit:
            # Every reading of the recorders is one statement, which sees one state without a transaction.
            cursor = lent.cursor()
            try:
                yield cursor
            finally:
                cursor.sqlite_cursor.close()
            return
        with self._turn, SQLiteTransaction(lent, commit=True) as cursor:
            yield cursor

    def lend(self) -> SQLiteConnection:
        """Give this thread's own connection."""
        lent: SQLiteConnection | None = getattr(self._local, "connection", None)
        if lent is None:
            lent = self._local.connection = self.pool._create_connection()
        return lent

    def close(self) -> None:
        super().close()
        if (lent := self.__dict__.pop("_local", None)) is not None and hasattr(lent, "connection"):
            lent.connection.close()
        if (turn := self.__dict__.get("_turn")) is not None:
            turn.close()


class Factory(SQLiteFactory):
    """Makes the recorder."""

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self.datastore.close()
        self.datastore = Datastore(cast(str, env.get(self.SQLITE_DBNAME)))

    def application_recorder(self) -> ApplicationRecorder:
        recorder = Recorder(self.datastore)
        recorder.create_table()
        return recorder


__all__ = ["Entry", "EventLog", "IdempotencyKey", "KeyReused", "NotFound", "Receipt", "Recorder"]
