"""What all aggregates and their events have in common."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.domain import AggregateCreated, AggregateEvent, BaseAggregate

__all__ = ["Aggregate", "AggregateCreated"]


class Aggregate(BaseAggregate[UUID]):
    """A thing with an identity, whose state is nothing but the sum of its events.

    Methods decide and may refuse; `apply` of an event evolves and never refuses.
    """

    @staticmethod
    def create_id(*_: Any, **__: Any) -> UUID:
        return uuid4()

    class Event(AggregateEvent):
        """A fact: what happened to what, who did it, for whom, and when.

        `at` is when it happened, in UTC; `timestamp`, the library's, is when it was recorded.
        """

        by: UUID
        at: datetime
        on_behalf_of: UUID | None = field(default=None, kw_only=True)
