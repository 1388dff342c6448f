"""A log lived again: whether aggregates load from their events, and values that these name open or were erased."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, is_dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from domain.private import Private
from provider.contents import PAGE, STREAMED, reading
from provider.log import Progress
from provider.mapper import EventMapper, UnknownEvent
from provider.vault import Fate, Vault

MOST = 10
"""How many things that are not right are told one by one."""


@dataclass(frozen=True)
class Replayed:
    """How many aggregates load, how many values that events name open or are erased, and what is not right."""

    aggregates: int
    opened: int
    erased: int
    wrong: Sequence[str]


def replay(log: Path, vault: Vault, progress: Progress) -> Replayed:
    """Load every aggregate of a log that lies in a file, and try to open every value that its events name.

    :raises UnknownEvent: when an event was written by a newer version of the program.
    """
    # Apart on the disk, for there may be more handles than there is memory.
    with closing(sqlite3.connect("", isolation_level=None)) as apart:
        apart.execute("CREATE TABLE named (handle TEXT PRIMARY KEY) WITHOUT ROWID")
        aggregates, wrong = _load_all(log, apart, progress)
        fates: Counter[Fate] = Counter()
        found = apart.execute("SELECT handle FROM named")
        while page := [Private(handle) for (handle,) in found.fetchmany(PAGE)]:
            for handle, fate in vault.fates(page).items():
                fates[fate] += 1
                if fate in (Fate.MISSING, Fate.DAMAGED):
                    wrong.append(f"a private value that events name is {fate.value} in the vault: {handle}")
    told = wrong[:MOST]
    if len(wrong) > MOST:
        told.append(f"and {len(wrong) - MOST:,} more")
    return Replayed(aggregates, fates[Fate.OPENS], fates[Fate.ERASED], told)


def _load_all(log: Path, apart: sqlite3.Connection, progress: Progress) -> tuple[int, list[str]]:
    """Load all aggregates, lay the handles in their events apart, and return how many load, and why others do not."""
    wrong: list[str] = []
    aggregates = done = 0
    read = EventMapper().read
    with reading(log) as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM stored_events").scalar_one()
        rows = connection.exec_driver_sql(
            "SELECT originator_id, originator_version, topic, state FROM stored_events "
            "ORDER BY originator_id, originator_version",
            execution_options=STREAMED,
        )
        for stream, entries in groupby(rows, key=itemgetter(0)):
            handles: set[Private] = set()
            number, why = _load(entries, read, handles)
            apart.executemany("INSERT OR IGNORE INTO named VALUES (?)", [(handle,) for handle in handles])
            if why is None:
                aggregates += 1
            else:
                wrong.append(f"the aggregate {stream} does not load: {why}")
            done += number
            progress(done, count)
    return aggregates, wrong


def _load(entries: Iterable[Any], read: Callable[..., Any], handles: set[Private]) -> tuple[int, str | None]:
    """Evolve one aggregate; return how many events it has, and why it can't be loaded, if so."""
    aggregate: Any = None
    why: str | None = None
    number = 0
    for number, (stream, version, topic, state) in enumerate(entries, 1):
        if why is not None:
            continue
        if version != number:
            why = f"its event {number} is missing"
            continue
        try:
            event = read(stream, version, topic, state)[0]
            handles.update(handles_in(event))
            aggregate = event.mutate(aggregate)
        except UnknownEvent:
            raise
        except Exception as error:
            # Whatever is wrong with one, the others are looked at too.
            why = f"its event {version} ({topic}) can't be applied ({type(error).__name__}: {error})"
    return number, why


def handles_in(said: Any) -> Iterator[Private]:
    """Yield the handles of private values in an event, or in a value of one."""
    if isinstance(said, Private):
        yield said
    elif isinstance(said, (tuple, list)):
        for each in said:
            yield from handles_in(each)
    elif is_dataclass(said) or hasattr(said, "originator_id"):
        for each in vars(said).values():
            yield from handles_in(each)
