"""The event log: the truth, and beside it the answers already given to idempotency keys."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import Mapper, StoredEvent
from eventsourcing.utils import Environment

from domain.aggregate import Aggregate
from domain.private import Private
from provider.mapper import EventMapper, request
from provider.receipt import IdempotencyKey, KeyReused, Receipt
from provider.recorder import Entry, Recorder
from provider.schema import Place, Schema

Kind = TypeVar("Kind", bound=Aggregate)

PAGE = 5_000
LIKE_A_HANDLE = re.compile(rb'"([A-Za-z0-9_-]{43})"')
Progress = Callable[[int, int], None]
"""Told how many events are done, of how many."""


class NotFound(Exception):
    """There is no such thing here, or it is not this person's to see."""


class EventLog(Application[UUID]):
    """All events of one institution, in the order in which they were recorded."""

    name = "events"

    def __init__(self, place: Place) -> None:
        self.place = place
        self._warm = Warm()
        super().__init__()

    def construct_env(self, name: str, env: Any = None) -> Environment:
        # The library would mix in os.environ, where a stray variable could turn on a cipher or another database.
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> Any:
        if isinstance(self.place, Schema):
            from provider.postgres import PostgresLog

            return PostgresLog(env, self.place)
        from provider.sqlite import SqliteLog

        return SqliteLog(env, self.place)

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper()

    @property
    def entries(self) -> Recorder:
        """The recorder, with its reading by pages."""
        return cast(Recorder, self.recorder)

    @cached_property
    def reads(self) -> Callable[[str, int, str, bytes], tuple[Any, Mapping[str, str] | None]]:
        """The function that makes an event, and the request it came with, of a recorded one."""
        return self.form.read

    @cached_property
    def form(self) -> EventMapper:
        """How events are stored."""
        return cast(EventMapper, self.mapper)

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
        receipt = self.entries.answered(key)
        if receipt is not None:
            self.entries.settle(receipt.position)
        return receipt

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


__all__ = ["Entry", "EventLog", "IdempotencyKey", "KeyReused", "NotFound", "Receipt", "Recorder"]
