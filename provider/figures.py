"""What is counted while commands are carried out, and how the figures of all processes of a server come together.

No label holds anything that somebody sent: each is one of a set that the code names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Metric, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which the library is told where the processes of a server count."""

# When a counter was made can't be said over several processes, so it is not said of one either.
disable_created_metrics()
REGISTRY = CollectorRegistry()

EVENTS = Counter("provider_events_recorded", "Events recorded by commands, by noun.", ("noun",), registry=REGISTRY)
CONFLICTS = Counter(
    "provider_command_conflicts",
    "Attempts at a command during which somebody else changed the same thing.",
    ("command",),
    registry=REGISTRY,
)
RETRIES = Counter("provider_command_retries", "Attempts at a command after the first.", ("command",), registry=REGISTRY)
BUSY = Counter(
    "provider_command_busy",
    "Commands given up because somebody else was first each time (503).",
    ("command",),
    registry=REGISTRY,
)
STALE = Counter(
    "provider_command_stale",
    "Commands refused because the caller had seen another version (412).",
    ("command",),
    registry=REGISTRY,
)


_of_noun: dict[str, Counter] = {}


def recorded(noun: str, number: int) -> None:
    """Count events that a command has recorded."""
    if number:
        # To find a counter by its label takes as long as to count.
        if (found := _of_noun.get(noun)) is None:
            found = _of_noun[noun] = EVENTS.labels(noun)
        found.inc(number)


def collected() -> Iterable[Metric]:
    """Return all figures: those of all processes where a server has told where they count, or else of this one."""
    folder = os.environ.get(FOLDER)
    return REGISTRY.collect() if folder is None else MultiProcessCollector(None, folder).collect()


__all__ = ["BUSY", "CONFLICTS", "FOLDER", "REGISTRY", "RETRIES", "STALE", "collected", "recorded"]
