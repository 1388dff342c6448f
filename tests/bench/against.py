"""A throughput against its floor: both sides in turns, so that a noisy machine is noisy for both."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from tests.bench.figure import Figure
from tests.bench.load import Result


def checked(result: Result) -> Result:
    """Return the result, if every answer was a good one."""
    if result.failures:
        raise RuntimeError(f"{len(result.failures)} requests failed, the first with {result.failures[0]}")
    return result


def turns(mine: Callable[[], Result], floor: Callable[[], Result], rounds: int) -> tuple[list[Result], list[Result]]:
    """Run both sides in turns, after one that does not count, so that a noisy machine is noisy for both."""
    mine(), floor()
    pairs = [(mine(), floor()) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def against(name: str, mine: list[Result], floors: list[Result], unit: str, goal: float) -> Figure:
    """Return the figure of a throughput against its floor, pair by pair."""
    ratio = median(m.rate / f.rate for m, f in zip(mine, floors, strict=True))
    value, floor = median(m.rate for m in mine), median(f.rate for f in floors)
    return Figure(
        name, round(value, 1), unit, round(floor, 1), round(ratio, 3), f">= {goal} of the floor", ratio >= goal
    )
