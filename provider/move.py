"""The way of a whole institution from SQLite's files to PostgreSQL, with the proof that nothing changed on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, cast

import orjson
from sqlalchemy import Table, select

from projections.projection import Projection
from provider.contents import Tally, copy, make, reading, tally
from provider.durable import open_engine, writing
from provider.keys import KEYS_TABLES
from provider.log import EventLog, Progress
from provider.settings import Settings
from provider.sqlite import SqliteRecorder
from provider.views import Views


class CannotMove(Exception):
    """What is there, or is not, forbids it. Nothing was written."""


class MovedBadly(Exception):
    """What arrived is not what was sent. The files that it came from are as they were; use them."""


@dataclass(frozen=True)
class Moved:
    """How much was moved: events, private values, keys, and rows of views that were compared."""

    events: int
    values: int
    keys: int
    rows: int


def move(settings: Settings, projections: Sequence[Projection], progress: Progress | None = None) -> Moved:
    """Copy the institution in the data directory into the database that the settings name; positions are kept.

    The keys go along where the settings name a database for them, and stay in their file otherwise. Nobody can record
    anything meanwhile; whoever serves the files must be stopped before, or goes on with them afterwards. What is in the
    files stays as it is.

    :raises CannotMove: when there is no institution in the files, or one in the database already, or keys of others.
    :raises MovedBadly: when the views there differ from those here.
    """
    if settings.database_url is None:
        raise CannotMove("Name the database that it should move to in PROVIDER_DATABASE_URL.")
    here = replace(settings, database_url=None, keys_url=None)
    if not here.store("events").exists():
        raise CannotMove(f"There is no institution in {here.data}. Name its directory in PROVIDER_DATA.")
    source, target = EventLog(here.place("events")), EventLog(settings.place("events"))
    try:
        if not source.position():
            raise CannotMove(f"There is no institution in {here.data}. Name its directory in PROVIDER_DATA.")
        if target.position():
            raise CannotMove("There is an institution in that database already. Give it a database of its own.")
        if settings.keys_url is not None:
            _must_keep_no_others(here, settings)
        with cast(SqliteRecorder, source.recorder).alone():
            # The keys first: without the log nobody takes what is there for an institution.
            sent = _copied(here, settings, ["keys"], None) if settings.keys_url is not None else {}
            sent |= _copied(here, settings, ["vault", "desk", "events"], progress)
            rows = _prove(here, settings, source, target, projections)
    finally:
        source.close()
        target.close()
    keys = sent["keys"].tables["keys"].rows if "keys" in sent else 0
    return Moved(sent["events"].tables["events"].rows, sent["vault"].tables["private_values"].rows, keys, rows)


def _must_keep_no_others(here: Settings, there: Settings) -> None:
    """Refuse a database of keys with any that are not here: to replace them would erase what others sealed."""
    table = KEYS_TABLES.tables["keys"]
    for settings in (here, there):
        make(settings.place("keys"), "keys")
    with reading(here.place("keys")) as ours, reading(there.place("keys")) as theirs:
        if set(theirs.scalars(select(table.c.id))) - set(ours.scalars(select(table.c.id))):
            raise CannotMove("There are keys of others in the database for the keys. Give it a database of its own.")


def _copied(here: Settings, there: Settings, stores: Sequence[str], progress: Progress | None) -> dict[str, Tally]:
    """Copy stores of one database, all or nothing, and return what they hold.

    :raises MovedBadly: when what arrived is something else.
    """
    for store in stores:
        if store != "events":  # Both logs are open.
            # It may be of an older version here, or not yet made there.
            make(here.place(store), store)
            make(there.place(store), store)
    engine = open_engine(there.place(stores[0]), threads=1)
    sent: dict[str, Tally] = {}
    try:
        with writing(engine) as target:
            for store in stores:
                with reading(here.place(store)) as source:
                    sent[store] = copy(source, target, store, progress)
                if differing := sent[store].differences(tally(target, store)):
                    raise MovedBadly(_said(here, [f"{store}: {each}" for each in differing]))
    finally:
        engine.dispose()
    return sent


def _said(here: Settings, differing: Sequence[str]) -> str:
    return f"What arrived differs: {'; '.join(differing[:10])}. Keep working with {here.data}."


def _prove(
    here: Settings, there: Settings, source: EventLog, target: EventLog, projections: Sequence[Projection]
) -> int:
    """Build the views there, compare them with those here, and return how many rows there are."""
    old, new = Views(here.place("views"), source, projections), Views(there.place("views"), target, projections)
    try:
        old.open()
        old.catch_up(patient=True)
        new.open()
        new.rebuild()
        differing = new.verify()
        rows = 0
        with old.reading() as before, new.reading() as after:
            for table in old.tables:
                known, found = _rows(before, table), _rows(after, table)
                rows += len(known)
                if sorted(known) != sorted(found):
                    differing.append(f"the view {table.name}")
    finally:
        old.close()
        new.close()
    if differing:
        raise MovedBadly(_said(here, differing))
    return rows


def _rows(reading: Any, table: Table) -> list[bytes]:
    """Return a digest of each row; the databases sort text each in its own way."""
    found = reading.execute(select(table))
    return [blake2b(orjson.dumps(list(row)), digest_size=16).digest() for row in found]
