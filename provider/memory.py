"""What was read from the views, for as long as it is what they say."""

from __future__ import annotations

from typing import Any

MOST = 300
"""Answers that a process remembers; the greatest, a class with all who are on it, takes some 10 kB."""


class Memory:
    """Answers of functions that read tables only which are written rarely, by the function and what it was asked.

    They are good for as long as this `change` of such tables is the last one, and no longer; `find` and `keep` may be
    called by any thread.
    """

    def __init__(self, change: int) -> None:
        self.change = change
        self._kept: dict[tuple[Any, ...], Any] = {}

    def find(self, asked: tuple[Any, ...]) -> Any:
        """Return the answer; None where it is not known."""
        return self._kept.get(asked)

    def keep(self, asked: tuple[Any, ...], answer: Any) -> None:
        """Remember an answer."""
        if len(self._kept) >= MOST:
            self._kept.clear()
        self._kept[asked] = answer
