"""What is looked at before a command opens anything: whether the places that the settings name can be used.

Nothing is written for it, so that a mistyped address, a read-only disk or a log of somebody else is said in a sentence
and left as it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from provider.aside import shared, tidy
from provider.at_rest import to_be_read
from provider.durable import make_private_directory, must_be_known
from provider.postgres_server import fault, risks
from provider.schema import Schema

if TYPE_CHECKING:
    import psycopg

    from provider.settings import Settings

DURABLE = ("vault", "keys", "desk")
FOUNDING = "institution.founded"
OF_AN_EVENT = {"originator_id", "originator_version", "topic", "state"}
LOOKED_AT = 200
"""How many values of the vault are looked at first for their keys; mostly the first of them has its own."""

ASIDE = "restoring"
"""The directory in that of the data in which a restore has its files until all of them are complete."""


class Unusable(Exception):
    """A place that the settings name can't be used as it is; the sentence says why, and what to do."""


class Opened(Protocol):
    """A store, open to be read."""

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns; there are none where there is no such table."""

    def tables(self) -> list[str]:
        """Return the names of all its tables."""

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what a statement finds that both databases understand."""


def look(settings: Settings, *, to_write: bool = True) -> bool:
    """Say whether the places that the settings name hold an institution, which may be only read if not `to_write`.

    :raises Unusable: when one of them can't be reached or written, or holds what it should not, or lacks the keys, or
        was only half restored.
    :raises NewerTables: when one was written by a newer version of the program.
    :raises UnknownEvent: when the last event was.
    """
    must_not_be_half_restored(settings)
    if founded := is_founded(settings, to_write=to_write):
        _look_for_keys(settings)
    return founded


def must_not_be_half_restored(settings: Settings) -> None:
    """Refuse files of which some may be those of a backup. A database has all of one, or nothing.

    :raises Unusable: when a restore is under way, or was ended before it was done.
    """
    # The log comes last: where it is, all is.
    if settings.database_url is None and (settings.data / ASIDE).exists() and not settings.store("events").exists():
        raise Unusable(
            f"A restore into {settings.data} is not finished. Call it again as before, unless it still goes on; "
            f"to give it up, delete {ASIDE}, vault.sqlite and desk.sqlite there."
        )


@contextmanager
def opening(settings: Settings) -> Iterator[None]:
    """Keep restores out in a `with`, in which stores are opened that may not be there yet.

    What a restore left behind that was killed after its end goes: it may have another name of a file in it.

    :raises Unusable: as `must_not_be_half_restored` does; a restore may have begun since that was looked at.
    """
    with ExitStack() as stack:
        if settings.database_url is None:
            make_private_directory(settings.data)
            stack.enter_context(shared(settings.data))
            must_not_be_half_restored(settings)
        for directory in (settings.data, settings.keys_dir):
            tidy(directory / ASIDE)
        yield


def is_founded(settings: Settings, *, to_write: bool = True) -> bool:
    """Say whether there is an institution, as `look` does, but whatever else there is or is not."""
    reach(settings, to_write=to_write)
    for name in DURABLE:
        with _opened(settings, name) as store:
            if store is not None and store.columns("alembic_version"):
                for (version,) in store.rows("SELECT version_num FROM alembic_version"):
                    must_be_known(name, version)
    with _opened(settings, "events") as log:
        return log is not None and _is_ours(settings, log)


def reach(settings: Settings, *, to_write: bool = True) -> None:
    """Look whether files and servers are there, and can be written if that is wanted.

    :raises Unusable: when they can't.
    """
    from provider.views import place_of_views

    places = {name: settings.place(name) for name in ("events", *DURABLE)} | {"views": place_of_views(settings)}
    for variable, url, names in (
        ("PROVIDER_DATABASE_URL", settings.database_url, ("events", "vault", "desk", "views")),
        ("PROVIDER_KEYS_URL", settings.keys_url, ("keys",)),
    ):
        if url is not None:
            with _server(variable, url) as connection:
                if to_write:
                    _must_take_writes(connection, [places[name].name for name in names])
                if (said := fault(connection, url)) is not None:
                    raise Unusable(said)
        elif to_write:
            for name in names:
                if isinstance(place := places[name], Path):
                    _must_be_writable(place)


def risky(settings: Settings) -> list[str]:
    """Return what whoever set up the servers took upon themselves, a sentence each; none for files."""
    said: list[str] = []
    for variable, url in (("PROVIDER_DATABASE_URL", settings.database_url), ("PROVIDER_KEYS_URL", settings.keys_url)):
        if url is not None:
            with _server(variable, url) as connection:
                said += risks(connection)
    return sorted(set(said))


def _must_be_writable(file: Path) -> None:
    found = file
    while not found.exists() and found != found.parent:
        found = found.parent
    for each in {found, found.parent} if found == file else {found}:
        if not os.access(each, os.W_OK):
            raise Unusable(
                f"{each} can't be written. Mount its disk for writing, or give it to the user who runs this, "
                "or name another directory in PROVIDER_DATA and PROVIDER_KEYS_DIR."
            )


@contextmanager
def _server(variable: str, url: str) -> Iterator[psycopg.Connection[Any]]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    said = conninfo_to_dict(url)
    at = f"{said.get('host') or 'this machine'}:{said.get('port') or 5432}"
    patience = int(said.get("connect_timeout") or 10)
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=patience)
    except psycopg.Error as error:
        # Of all that it says, the last part of the first line says why; that never holds the password.
        why = str(error).split("\n")[0].rpartition(" failed: ")[2].removeprefix("FATAL:").strip(" .")
        raise Unusable(
            f"The database “{said.get('dbname', '')}” at {at} can't be reached ({why}). "
            f"Start the server, or mend the address in {variable}."
        ) from error
    with closing(connection):
        yield connection


def _must_take_writes(connection: psycopg.Connection[Any], schemas: Sequence[str]) -> None:
    name = connection.info.dbname
    ((read_only, encoding, may_create, user),) = connection.execute(
        "SELECT current_setting('transaction_read_only') = 'on', current_setting('server_encoding'), "
        "has_database_privilege(current_database(), 'CREATE') OR NOT EXISTS "
        "(SELECT name FROM unnest(%s::text[]) AS name EXCEPT SELECT nspname::text FROM pg_namespace), current_user",
        (list(schemas),),
    ).fetchall()
    if read_only:
        raise Unusable(
            f"The database “{name}” can only be read: its server is a replica, or was told so. "
            "Name the server that takes writes."
        )
    if encoding != "UTF8":
        raise Unusable(f"The database “{name}” is in {encoding}, which can't hold all names. Make one in UTF8.")
    closed = connection.execute(
        "SELECT nspname::text FROM pg_namespace WHERE nspname = ANY(%s) AND NOT has_schema_privilege(oid, 'USAGE')",
        (list(schemas),),
    ).fetchone()
    if closed is not None:
        raise Unusable(
            f"The user “{user}” may not use the schema “{closed[0]}” of the database “{name}”. Let its owner say: "
            f'GRANT USAGE, CREATE ON SCHEMA "{closed[0]}" TO "{user}", and give it the rights to its tables; '
            "or let the user own the schema."
        )
    if not may_create:
        raise Unusable(
            f"The user “{user}” may not make schemas in the database “{name}”. "
            f'Let its owner say: GRANT CREATE ON DATABASE "{name}" TO "{user}".'
        )


class _File:
    def __init__(self, address: str) -> None:
        self._connection = sqlite3.connect(address, uri=True, timeout=10)
        self._connection.execute("PRAGMA query_only=ON")

    def columns(self, table: str) -> list[str]:
        return [column for _, column, *_ in self.rows(f"PRAGMA table_info({table})")]

    def tables(self) -> list[str]:
        return [
            name
            for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        ]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement).fetchall()

    def close(self) -> None:
        self._connection.close()


class _InSchema:
    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        connection.execute("SELECT set_config('search_path', %s, false)", (f'"{schema}"',))

    def columns(self, table: str) -> list[str]:
        found = self._connection.execute(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            (self._schema, table),
        )
        return [name for (name,) in found]

    def tables(self) -> list[str]:
        found = self._connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (self._schema,))
        return [name for (name,) in found]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement).fetchall()


@contextmanager
def _opened(settings: Settings, name: str) -> Iterator[Opened | None]:
    """Give a store to be read, or None where there is no file of it."""
    place = settings.place(name)
    if isinstance(place, Schema):
        with _server("PROVIDER_KEYS_URL" if name == "keys" else "PROVIDER_DATABASE_URL", place.url) as connection:
            yield _InSchema(connection, place.name)
    elif not place.exists():
        yield None
    else:
        # Whoever only reads does so where nothing can be written; to all others that was said before.
        writable = os.access(place, os.W_OK) and os.access(place.parent, os.W_OK)
        at = nullcontext(f"file:{quote(str(place))}?mode=rw") if writable else to_be_read(place)
        try:
            with at as address, closing(_File(address)) as file:
                yield file
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise Unusable(f"{place} is damaged, or no database ({error}). Stop the server, and restore it.") from error


def _is_ours(settings: Settings, log: Opened) -> bool:
    """Say whether there are events in a log, which must be ours."""
    from projections.all import PROJECTIONS  # noqa: F401  (with the views come all events that there are)
    from provider.mapper import EventMapper

    if not OF_AN_EVENT.issubset(log.columns("stored_events")):
        if tables := sorted(log.tables()):
            raise _foreign(settings, f"the tables of another program, such as “{tables[0]}”")
        return False
    postgres = settings.database_url is not None
    number, stream = ("notification_id", "originator_id::text") if postgres else ("rowid", "originator_id")
    read = f"SELECT {stream}, originator_version, topic, state FROM stored_events ORDER BY {number} "
    first, last = log.rows(f"{read} LIMIT 1"), log.rows(f"{read} DESC LIMIT 1")
    if not first:
        return False
    if first[0][2] != FOUNDING:
        raise _foreign(settings, f"events of another program: the first is “{first[0][2]}”")
    EventMapper().read(*last[0])
    return True


def _foreign(settings: Settings, what: str) -> Unusable:
    if settings.database_url is not None:
        return Unusable(f"The schema “events” has {what}. Name a database of its own in PROVIDER_DATABASE_URL.")
    return Unusable(f"{settings.store('events')} holds {what}. Name another directory in PROVIDER_DATA.")


def _look_for_keys(settings: Settings) -> None:
    """Refuse keys that open nothing in the vault, unless that is right because everybody was erased.

    :raises Unusable: when they are those of another institution, or not there.
    """
    first = _ids(settings, "vault", "private_values", "key", f"LIMIT {LOOKED_AT}")
    if not first:
        return
    listed = ", ".join(f"'{key}'" for key in first)
    if _ids(settings, "keys", "keys", "id", f"WHERE id IN ({listed}) LIMIT 1"):
        return
    # All that were looked at may be of people who were erased. To read the whole vault takes longer.
    there = _ids(settings, "keys", "keys", "id")
    if there and not there.isdisjoint(_ids(settings, "vault", "private_values", "DISTINCT key")):
        return
    if _are_what_is_left(settings):
        return
    held = "other keys, none of which opens them" if there else "no keys that open them"
    at, variable = (
        ("the database", "PROVIDER_KEYS_URL") if settings.keys_url else (settings.keys_dir, "PROVIDER_KEYS_DIR")
    )
    raise Unusable(
        f"The vault holds private values, but {at} holds {held}. "
        f"Say in {variable} where they are, or restore their newest backup."
    )


def _are_what_is_left(settings: Settings) -> bool:
    """Say whether keys that open nothing are those of this vault all the same: somebody was erased among them.

    What keys there are must be of owners that are known here, though not for what is in the vault.
    """
    with _opened(settings, "keys") as keys:
        if keys is None or not keys.columns("erasures"):
            return False
        if not any(count for (count,) in keys.rows("SELECT count FROM erasures")):
            return False
    owners = _ids(settings, "keys", "keys", "owner")
    known = _ids(settings, "desk", "staged_imports", "id") | _ids(settings, "vault", "private_values", "DISTINCT owner")
    return not owners or not owners.isdisjoint(known)


def _ids(settings: Settings, name: str, table: str, what: str, which: str = "") -> set[str]:
    """Return ids in a table of a store as their digits; none where there is no such table."""
    with _opened(settings, name) as store:
        if store is None or not store.columns(table):
            return set()
        return {str(found).replace("-", "") for (found,) in store.rows(f"SELECT {what} FROM {table} {which}")}
