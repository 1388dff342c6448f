"""What a bench finds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One figure: its value, its floor in the same run, their ratio, the goal, and whether it is met."""

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    goal: str
    met: bool


__all__ = ["Figure"]
