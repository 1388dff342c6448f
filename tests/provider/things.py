"""An aggregate with every kind of field, for tests of the log and the views."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid4

from domain.aggregate import Aggregate, AggregateCreated
from domain.private import Private
from projections.projection import Projection, Rows, json, number, text, uid, view_table

NOW = datetime(2026, 5, 4, 7, 30, 15, 123456, tzinfo=UTC)
SOMEBODY = UUID("11111111-1111-4111-8111-111111111111")


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    number: int
    since: datetime
    price: Decimal | None = None


class Thing(Aggregate):
    """A thing that counts."""

    TOPIC = "test_thing"

    def __init__(self) -> None:
        self.count = 0

    @classmethod
    def make(cls, thing: UUID | None = None) -> Thing:
        return cls._create(
            cls.Made,
            id=thing or uuid4(),
            by=SOMEBODY,
            at=NOW,
            name=Private("a" * 43),
            day=date(2026, 5, 4),
            colour=Colour.RED,
            parts=(Part(1, NOW, Decimal("9.90")), Part(2, NOW)),
            others=(uuid4(), uuid4()),
            nothing=None,
        )

    def go(self) -> None:
        self.trigger_event(self.Gone, by=SOMEBODY, at=NOW, step=self.count + 1)

    def end(self) -> None:
        self.trigger_event(self.Ended, by=SOMEBODY, at=NOW)

    class Event(Aggregate.Event):
        """Something happened to a thing."""

    class Made(Event, AggregateCreated):
        TOPIC = "test_thing.made"
        name: Private
        day: date
        colour: Colour
        parts: tuple[Part, ...]
        others: tuple[UUID, ...]
        nothing: int | None
        later: str | None = field(default=None, kw_only=True)

    class Gone(Event):
        TOPIC = "test_thing.gone"
        step: int

        def apply(self, thing: Thing) -> None:
            thing.count = self.step

    class Ended(Event):
        TOPIC = "test_thing.ended"


things = view_table(
    "test_things", uid("thing"), text("name"), number("count"), json("steps"), key=("thing",), indexes=[("name",)]
)
counting = Projection("test_counting", version=1, tables=(things,), half=1)


@counting.on(Thing.Made)
def made(rows: Rows, event: Thing.Made) -> None:
    rows.add(things, thing=event.originator_id, name=event.name, count=0, steps=[])


@counting.on(Thing.Gone)
def gone(rows: Rows, event: Thing.Gone) -> None:
    row = rows.get(things, event.originator_id)
    assert row is not None
    rows.change(things, event.originator_id, count=row["count"] + 1, steps=[*row["steps"], event.step])


@counting.on(Thing.Ended)
def ended(rows: Rows, event: Thing.Ended) -> None:
    rows.delete(things, event.originator_id)


listed = view_table("test_listed", uid("thing"), number("made"), key=("thing",))
listing = Projection("test_listing", version=1, tables=(listed,))
"""Another view of the same things; of two processes, the second makes the first one."""


@listing.on(Thing.Made)
def noted(rows: Rows, event: Thing.Made) -> None:
    rows.add(listed, thing=event.originator_id, made=rows.position)
