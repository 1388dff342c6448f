"""How much of everything a run of the drills is to do, and how it tells how far it is."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How many kills, how many seconds of load in every other fault, and the seed of what is left to chance."""

    kills: int
    seconds: float
    seed: int

    def say(self, words: str) -> None:
        """Tell on stderr how far it is: in place on a terminal, otherwise a line each."""
        if sys.stderr.isatty():
            print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)
        else:
            print(words, file=sys.stderr, flush=True)
