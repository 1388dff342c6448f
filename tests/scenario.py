"""Given, when, then: tests of the domain, said in events.

    given(course_opened).when(Course.request_seat, person=ADA, ...).then(Course.SeatTaken, person=ADA)
    given(course_opened).when(Course.request_seat, ...).then_refused(SeatAlreadyTaken)

`given` takes functions that make or advance an aggregate (`lambda c: c.open(...)`), or an aggregate. What was said
before is replayed from its events with the real `mutate`, so that a test fails where `apply` loses a fact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.aggregate import Aggregate
from domain.refusal import Refused


def replay(aggregate: Aggregate) -> Aggregate:
    """Return the aggregate as a repository would: made from its events alone."""
    events = list(aggregate.pending_events)
    again: Any = None
    for event in events:
        again = event.mutate(again)
    assert again is not None
    return again


def given(start: Aggregate | Callable[[], Aggregate], *steps: Callable[[Any], object]) -> Scenario:
    """Begin from an aggregate with its pending events, and advance it by each step."""
    aggregate = start() if callable(start) else start
    for step in steps:
        step(aggregate)
    return Scenario(replay(aggregate))


class Scenario:
    """An aggregate with a past, to which one thing happens."""

    def __init__(self, aggregate: Any) -> None:
        self.aggregate = aggregate
        self.answer: Any = None
        self.refusal: Refused | None = None

    def when(self, command: Callable[..., Any], **said: Any) -> Scenario:
        """Call a method of the aggregate's class."""
        try:
            self.answer = command(self.aggregate, **said)
        except Refused as refusal:
            self.refusal = refusal
        return self

    @property
    def events(self) -> list[Any]:
        return list(self.aggregate.pending_events)

    def then(self, *expected: Any, **fields: Any) -> Scenario:
        """Check which events were recorded, and fields of the last; `then()` means none."""
        assert self.refusal is None, f"refused: {self.refusal!r}"
        assert [type(event) for event in self.events] == list(expected)
        for name, value in fields.items():
            assert getattr(self.events[-1], name) == value, name
        return self

    def then_refused(self, kind: type[Refused], match: str | None = None) -> Scenario:
        """Check that the rule said no by that name, and recorded nothing."""
        assert self.refusal is not None, f"was not refused, but recorded {self.events}"
        assert type(self.refusal) is kind, repr(self.refusal)
        assert self.events == []
        if match is not None:
            assert match in str(self.refusal)
        return self

    def then_answers(self, answer: Any) -> Scenario:
        """Check what the method gave back."""
        assert self.refusal is None, f"refused: {self.refusal!r}"
        assert self.answer == answer
        return self

    def after(self) -> Any:
        """Return the aggregate as it would be loaded now."""
        return self.aggregate


__all__ = ["Scenario", "given", "replay"]
