"""Three releases of a small program, which run as processes of their own beside each other on one log."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Table, select

from domain.aggregate import Aggregate, AggregateCreated
from projections.projection import Projection, Rows, holds, text, uid, view_table
from provider.log import EventLog
from provider.schema import Place
from provider.views import Views
from tests.provider.things import NOW, SOMEBODY

PATIENCE = 20
"""Seconds after which a process no longer waits for what another was to record."""


@dataclass(frozen=True)
class Told:
    """What a process saw: every price in its view by ticket, how that differs from the log, and where it lies."""

    prices: dict[str, str]
    differences: list[str]
    place: Place
    made_anew: bool


class Seat(Aggregate):
    """What a seat costs, in each release."""

    TOPIC = "test_seat"

    class Event(Aggregate.Event):
        """Something happened to a seat."""

    class Offered(Event, AggregateCreated):
        TOPIC = "test_seat.offered"


def priced(release: int) -> type[Aggregate.Event]:
    """Return the event of a release: the first knows a fee in euros, those after it an amount in a currency.

    The second reads both and stores the first, which is all that the first can read; the third stores what it means.
    """
    if release == 1:

        class Priced(Seat.Event):
            TOPIC = "test_seat.priced"
            fee: Decimal

        return Priced

    class PricedInCurrency(Seat.Event):
        TOPIC = "test_seat.priced"
        class_version = 2
        stored_as = release - 1
        amount: Decimal
        currency: str

        @staticmethod
        def upcast_v1_v2(state: dict[str, Any]) -> None:
            state["amount"] = state.pop("fee")
            state["currency"] = "EUR"

        @staticmethod
        def downcast_v2_v1(state: dict[str, Any]) -> None:
            state["fee"] = state.pop("amount")
            del state["currency"]

    return PricedInCurrency


def seen_by(release: int, event: type[Aggregate.Event]) -> tuple[Projection, Table]:
    """Return the view of a release, which says what it knows of a price."""
    table = view_table("test_seats", uid("seat"), text("price"), key=("seat",))
    projection = Projection("test_seats", version=1 if release == 1 else 2, tables=(table,))

    @projection.on(event)
    def changed(rows: Rows, said: Any) -> None:
        price = str(said.fee) if release == 1 else f"{said.amount} {said.currency}"
        rows.put(table, seat=said.originator_id, price=price)

    return projection, table


def run(release: int, events: Place, views: Place, seats: int, upto: int) -> Told:
    """Open the office of a release, price so many seats, read each price back, and follow the log to a position."""
    event = priced(release)
    projection, table = seen_by(release, event)
    log = EventLog(events)
    seen = Views(views, log, [projection])
    made_anew = seen.open()
    price = {"fee": Decimal("590.00")} if release == 1 else {"amount": Decimal("590.00"), "currency": "EUR"}

    def prices() -> dict[str, str]:
        with seen.reading() as read:
            return {row.seat: row.price for row in read.execute(select(table).where(holds(table, None)))}

    for _ in range(seats):
        seat = Seat._create(Seat.Offered, id=uuid4(), by=SOMEBODY, at=NOW)
        seat.trigger_event(event, by=SOMEBODY, at=NOW, **price)
        done = log.record(seat, asked={})
        seen.catch_up(done.position)
        if str(seat.id) not in prices():
            raise AssertionError("What was recorded can't be read.")
    until = monotonic() + PATIENCE
    while (reached := seen.catch_up()) < upto:
        if monotonic() > until:
            raise AssertionError(f"The others have recorded up to position {reached}, and not {upto}.")
        sleep(0.005)
    told = Told(prices(), seen.verify(), seen.place, made_anew)
    seen.close()
    log.close()
    return told


def shapes(events: Place, topic: str = "test_seat.priced") -> list[int]:
    """Return the versions in which prices were stored, in the order of their positions."""
    log = EventLog(events)
    found = [orjson.loads(state) for *_, kind, state in log.entries.page(0, 10_000) if kind == topic]
    log.close()
    return [said.get("class_version", 1) for said in found]
