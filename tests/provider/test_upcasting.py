"""An event whose shape changed twice: whatever version lies in the log, it is read as one of today."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from eventsourcing.persistence import StoredEvent
from sqlalchemy import select

from domain.aggregate import Aggregate, AggregateCreated
from projections.projection import Projection, Rows, holds, text, uid, view_table
from provider.log import EventLog
from provider.mapper import EventMapper, UnknownEvent
from provider.views import Views
from tests.provider.things import NOW, SOMEBODY

TICKET = UUID("5a8f0c1e-3f0a-4a57-9a5e-1c7e7b1f4d02")


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str


class Ticket(Aggregate):
    """What a seat costs.

    Its price was first `fee`, in euros as everything was; then `amount` with a `currency`; now it is one value, and
    may be reduced for a reason.
    """

    TOPIC = "test_ticket"

    def __init__(self) -> None:
        self.price: Money | None = None

    @classmethod
    def issue(cls, ticket: UUID) -> Ticket:
        return cls._create(cls.Issued, id=ticket, by=SOMEBODY, at=NOW)

    def set_price(self, price: Money, *, reduced: str | None = None) -> None:
        self.trigger_event(self.Priced, price=price, reduced=reduced, by=SOMEBODY, at=NOW)

    class Event(Aggregate.Event):
        """Something happened to a ticket."""

    class Issued(Event, AggregateCreated):
        TOPIC = "test_ticket.issued"

    class Priced(Event):
        TOPIC = "test_ticket.priced"
        class_version = 3
        price: Money
        reduced: str | None = field(default=None, kw_only=True)

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state["amount"] = state.pop("fee")
            state["currency"] = "EUR"

        @staticmethod
        def upcast_v2_v3(state: dict[str, Any]) -> None:
            state["price"] = {"amount": state.pop("amount"), "currency": state.pop("currency")}

        def apply(self, ticket: Ticket) -> None:
            ticket.price = self.price


tickets = view_table("test_tickets", uid("ticket"), text("price"), text("currency"), text("reduced"), key=("ticket",))
pricing = Projection("test_pricing", version=1, tables=(tickets,))


@pricing.on(Ticket.Priced)
def priced(rows: Rows, event: Ticket.Priced) -> None:
    rows.put(
        tickets,
        ticket=event.originator_id,
        price=event.price.amount,
        currency=event.price.currency,
        reduced=event.reduced,
    )


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog(tmp_path / "events.sqlite")
    yield log
    log.close()


@pytest.fixture
def views(log: EventLog, tmp_path: Path) -> Iterator[Views]:
    views = Views(tmp_path / "views.sqlite", log, [pricing])
    views.open()
    yield views
    views.close()


def stored(version: int, topic: str = "test_ticket.priced", **said: object) -> StoredEvent:
    """Return an event as a past version of the program has stored it."""
    common = {"by": str(SOMEBODY), "at": "2026-05-04T07:30:15.123456Z", "timestamp": "2026-05-04T07:30:16Z"}
    return StoredEvent(TICKET, version, topic, orjson.dumps({**common, **said}))


FIRST = stored(2, fee="590.00", _request={"id": "r-1", "channel": "api"})
SECOND = stored(3, amount="640.00", currency="CHF", class_version=2)
ROWS = [[], [("590.00", "EUR", None)], [("640.00", "CHF", None)], [("480.00", "CHF", "early")]]
"""The ticket as it was sold, and after each of its prices."""


def years(log: EventLog) -> None:
    """Record a ticket as three versions of the program did, one after the other."""
    log.record(Ticket.issue(TICKET), asked={})
    log.recorder.insert_events([FIRST])
    log.recorder.insert_events([SECOND])
    ticket = log.get(Ticket, TICKET)
    ticket.set_price(Money(Decimal("480.00"), "CHF"), reduced="early")
    log.record(ticket, asked={})


def rows(views: Views, at: int | None = None) -> list[tuple[str, str, str | None]]:
    with views.reading() as read:
        found = read.execute(select(tickets).where(holds(tickets, at)))
        return [(row.price, row.currency, row.reduced) for row in found]


def test_an_aggregate_is_loaded_from_events_of_every_version(log: EventLog, tmp_path: Path):
    years(log)

    # Another process has nothing in memory, and reads all of it.
    other = EventLog(tmp_path / "events.sqlite")
    ticket = other.get(Ticket, TICKET)
    other.close()

    assert ticket.version == 4
    assert ticket.price == Money(Decimal("480.00"), "CHF")


def test_each_event_is_read_as_one_of_today(log: EventLog):
    years(log)

    events = [log.reads(*entry[1:]) for entry in log.entries.page(1, 10)]

    prices = [event.price for event, _ in events]
    assert prices == [Money(Decimal(amount), code) for ((amount, code, _),) in ROWS[1:]]
    assert [event.reduced for event, _ in events] == [None, None, "early"]
    # Nothing of an old shape is left in it, and the request that it came with is as it was.
    assert {frozenset(vars(event)) for event, _ in events} == {frozenset(vars(events[-1][0]))}
    assert events[0][1] == {"id": "r-1", "channel": "api"}


def test_a_view_that_caught_up_through_the_years_is_the_one_that_a_rebuild_makes(log: EventLog, views: Views):
    log.record(Ticket.issue(TICKET), asked={})
    seen = []
    for event in (FIRST, SECOND):
        views.catch_up()
        log.recorder.insert_events([event])
        seen.append(rows(views))
    views.catch_up()
    seen.append(rows(views))

    assert seen == ROWS[:3]
    assert views.verify() == []
    views.rebuild()
    assert [rows(views, at) for at in (1, 2, 3)] == ROWS[:3]


def test_every_earlier_moment_reads_the_same_whatever_was_stored_then(log: EventLog, views: Views):
    years(log)
    views.catch_up()

    assert [rows(views, at) for at in (1, 2, 3, 4)] == ROWS
    views.rebuild()
    assert [rows(views, at) for at in (1, 2, 3, 4)] == ROWS


def test_what_is_recorded_today_is_stored_in_the_shape_of_today_and_the_past_stays_as_it_was(log: EventLog):
    years(log)

    states = [state for *_, state in log.entries.page(1, 10)]

    assert states[:2] == [FIRST.state, SECOND.state]
    newest = orjson.loads(states[2])
    assert newest["class_version"] == 3
    assert newest["price"] == {"amount": "480.00", "currency": "CHF"}
    assert not {"fee", "amount", "currency"} & set(newest)


def test_an_event_that_a_newer_version_has_stored_is_refused_in_a_sentence(log: EventLog, views: Views):
    years(log)
    log.recorder.insert_events([stored(5, price={"net": "400.00"}, class_version=4)])
    says = "“test_ticket.priced” in version 4, and .* up to version 3. It was written by a newer version: install"

    with pytest.raises(UnknownEvent, match=says):
        views.catch_up()
    with pytest.raises(UnknownEvent, match=says):
        log.get(Ticket, TICKET)

    # Nothing was guessed of it: the views are where they were.
    assert views.position() == 0


def test_so_is_one_whose_class_has_only_one_version_here(log: EventLog):
    newer = stored(1, "test_ticket.issued", originator_topic="test_ticket", seat="A1", class_version=2)

    with pytest.raises(UnknownEvent, match=r"“test_ticket\.issued” in version 2"):
        EventMapper().to_domain_event(newer)


def test_an_upcast_is_given_what_was_stored_and_nothing_more(monkeypatch: pytest.MonkeyPatch):
    given: list[set[str]] = []
    step = Ticket.Priced.upcast_v2_v3

    def noted(state: dict[str, Any]) -> None:
        given.append(set(state))
        step(state)

    monkeypatch.setattr(Ticket.Priced, "upcast_v2_v3", staticmethod(noted))
    EventMapper().to_domain_event(SECOND)

    # What was absent then is absent, rather than there with the default of today.
    assert given == [{"by", "at", "timestamp", "amount", "currency"}]
