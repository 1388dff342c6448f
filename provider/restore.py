"""The way back from a backup, into files or a database, with the proof that all of it arrived."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select
from sqlalchemy.exc import DBAPIError, OperationalError

from projections.projection import Projection
from provider.aside import held, tidy
from provider.backup import DATA, KEYS, BadBackup, Manifest, Showing, in_silence, institution_in
from provider.beforehand import ASIDE, is_founded, reach
from provider.contents import (
    FILLED,
    PAGE,
    Tally,
    copy,
    copy_file,
    is_empty,
    make,
    only_read,
    reading,
    sync_directory,
    tally,
)
from provider.durable import NewerTables, make_private_directory, must_be_known, newest, open_engine, writing
from provider.keys import Keys
from provider.log import EventLog
from provider.replay import Replayed, replay
from provider.schema import Place, Schema, is_set_of_views
from provider.settings import Settings
from provider.vault import VAULT_TABLES, Vault
from provider.views import Views


class CannotRestore(Exception):
    """What is in the place already, or what does not belong together, forbids it. Nothing was written."""


class RestoredBadly(Exception):
    """What arrived is not what the backup holds. Nothing of it was kept."""


class RestoredWithoutViews(Exception):
    """All is restored, but the views could not be made or verified; the cause says why."""


@dataclass(frozen=True)
class Restored:
    """What was restored: as of when, how much of everything, and what came of the check where one was made.

    `keys` is None where those in place were gone on with. Where the replay found something wrong, nothing was written.
    With `already` all of it was there.
    """

    made: datetime
    events: int
    last: int
    values: int
    keys: int | None
    replayed: Replayed | None = None
    already: bool = False


def restore(
    settings: Settings,
    data: Path,
    keys: Path | None,
    *,
    check: bool = False,
    older_keys: bool = False,
    showing: Showing = in_silence,
) -> Restored:
    """Put a backup into the place that the settings name, in which nothing may be, and compare what arrived.

    Without `keys` those in place are gone on with. With `check` all aggregates are loaded and all values opened before
    anything is written. Until all that is written has been compared nobody sees any of it, so whoever is interrupted
    begins again; where all of it is there already, nothing is written.

    :raises CannotRestore: when something else is there, or the keys are not those of the data.
    :raises BadBackup: when a backup is not whole, or not as it was.
    :raises RestoredBadly: when something else arrived.
    """
    in_the_way = _in_the_way(settings)
    if in_the_way is not None and not in_the_way.may_be_the_same:
        raise CannotRestore(in_the_way.sentence)
    manifest = _looked_through(data, DATA, showing)
    if in_the_way is not None and not _holds(settings, manifest):
        raise CannotRestore(in_the_way.sentence)
    of_keys = None if keys is None else _looked_through(keys, KEYS, in_silence)
    if keys is not None and of_keys is not None:
        _must_belong_together(data, manifest, keys, of_keys, older_keys=older_keys)
    are_there = _keys_are_there(settings, of_keys)
    replayed = _replayed(settings, data, keys, showing, fully=check)
    holds = {store: copied.holds for store, copied in manifest.stores.items()}
    restored = Restored(
        made=manifest.made,
        events=holds["events"].tables["events"].rows,
        last=holds["events"].last or 0,
        values=holds["vault"].tables["private_values"].rows,
        keys=None if of_keys is None else of_keys.stores["keys"].holds.tables["keys"].rows,
        replayed=replayed,
        already=in_the_way is not None and are_there,
    )
    if replayed is not None and replayed.wrong:
        return restored
    # The keys are there first, and the log is the last: without one nobody takes what is there for an institution.
    with ExitStack() as stack:
        if in_the_way is None:
            stack.enter_context(_into(settings.place("events"), DATA, manifest, data, showing))
        if keys is not None and of_keys is not None and not are_there:
            stack.enter_context(_into(settings.place("keys"), KEYS, of_keys, keys, in_silence))
        else:
            # Whoever was killed when the keys were there, but not all, may have left them there under another name.
            tidy(settings.keys_dir / ASIDE)
    return restored


@dataclass(frozen=True)
class _InTheWay:
    """Something is in the place, perhaps just what is to be restored."""

    sentence: str
    may_be_the_same: bool


def _in_the_way(settings: Settings) -> _InTheWay | None:
    """Return what is in a place but what a restore left there that was ended.

    :raises Unusable: when it can't be reached or written, or is another program's.
    """
    if settings.database_url is None:
        reach(settings)
        if found := _others(settings.data, DATA):
            return _InTheWay(
                f"{settings.data} is not empty, there is {found[0]} in it. Name another directory in PROVIDER_DATA, "
                "or put aside what is there.",
                all(settings.store(store).exists() for store in DATA),
            )
        return None
    if is_founded(settings):
        return _InTheWay("There is an institution in the database already. Restore into one of its own.", True)
    if found := _rows_there(settings.database_url, [f"{store}.{FILLED[store]}" for store in DATA]):
        return _InTheWay(
            f"The database is not empty, there is something in {found[0]}. Name another in PROVIDER_DATABASE_URL, "
            "or drop its schemas.",
            False,
        )
    return None


def _holds(settings: Settings, manifest: Manifest) -> bool:
    """Say whether in a place there is just what a backup holds; whatever can't be read is something else."""
    try:
        for store, copied in manifest.stores.items():
            with reading(settings.place(store)) as connection:
                if not _is_current(connection, store) or tally(connection, store) != copied.holds:
                    return False
    except (DBAPIError, NewerTables):
        return False
    return True


def _others(directory: Path, stores: Sequence[str]) -> list[str]:
    """Return the databases in a directory that nobody may touch; of keys there are only those themselves.

    What a restore has put there that was killed before its end is none: it has its other name in the directory aside.
    """
    found = [each for each in directory.glob("keys.sqlite*" if stores == KEYS else "*.sqlite*") if _is_content(each)]
    if not (directory / f"{stores[0]}.sqlite").exists():
        found = [each for each in found if not _is_put(each)]
    return sorted(each.name for each in found)


def _is_put(file: Path) -> bool:
    try:
        return file.samefile(file.parent / ASIDE / file.name)
    except FileNotFoundError:
        return False


def _is_content(file: Path) -> bool:
    # A journal that was left behind would be taken for that of the new file.
    return file.suffix in (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")


def _rows_there(url: str, tables: Sequence[str]) -> list[str]:
    """Return those tables, and places of views, in which there is something; nothing is made for it."""
    from psycopg import connect
    from psycopg.sql import SQL, Identifier

    with connect(url) as connection:
        # A schema may be named like views, and have a table of that name, and be somebody else's all the same.
        views = connection.execute(
            "SELECT nspname::text FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid "
            "JOIN pg_attribute ON attrelid = pg_class.oid WHERE relname = 'places' AND attname = 'position' "
            "AND atttypid IN ('int4'::regtype, 'int8'::regtype) AND has_schema_privilege(pg_namespace.oid, 'USAGE') "
            "AND has_table_privilege(pg_class.oid, 'SELECT')"
        ).fetchall()
        # Views of a log in which nothing is can be gone on with.
        asked = dict.fromkeys(tables, "") | {
            f"{schema}.places": "WHERE position > 0" for (schema,) in views if is_set_of_views(schema)
        }
        return [
            name
            for name, which in asked.items()
            if connection.execute("SELECT to_regclass(%s)", (name,)).fetchall() != [(None,)]
            and connection.execute(
                SQL("SELECT 1 FROM {} {} LIMIT 1").format(Identifier(*name.split(".")), SQL(which))
            ).fetchall()
        ]


def _looked_through(directory: Path, stores: Sequence[str], showing: Showing) -> Manifest:
    """Return what a backup says of itself, which is true of what it holds.

    :raises BadBackup: when it is not.
    :raises NewerTables: when tables in it were made by a newer version of the program.
    """
    manifest = Manifest.read(directory, stores)
    for store, copied in manifest.stores.items():
        file = directory / f"{store}.sqlite"
        shown = showing if store == "events" else in_silence
        try:
            with shown("Reading the backup") as progress, reading(file) as connection:
                if store == "events" and institution_in(connection) != manifest.institution:
                    raise BadBackup(f"{file} is of another institution than the manifest says. Use another backup.")
                if _is_current(connection, store) and (
                    differing := copied.holds.differences(tally(connection, store, progress))
                ):
                    raise BadBackup(f"{file} holds {'; '.join(differing)}. It was changed: use another backup.")
        except DBAPIError as error:
            raise BadBackup(f"{file} can't be read ({error.orig}). Use another backup.") from error
    return manifest


def _is_current(connection: Connection, store: str) -> bool:
    """Say whether a store's tables have the form in which this version of the program can read all of them."""
    if store == "events":
        return True
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    must_be_known(store, version)
    return version == newest(store)


def _must_belong_together(data: Path, manifest: Manifest, keys: Path, of_keys: Manifest, *, older_keys: bool) -> None:
    if manifest.institution != of_keys.institution:
        raise CannotRestore(f"{keys} holds the keys of another institution than {data}. Give those of this one.")
    if of_keys.made < manifest.made and not older_keys:
        raise CannotRestore(
            f"The keys in {keys} are older than the data in {data}: names of who came in between would be lost, and "
            "whoever was erased in between would be back. Give newer keys, or older data; or say --older-keys if there "
            "are no others."
        )


def _keys_are_there(settings: Settings, of_keys: Manifest | None) -> bool:
    """Say whether just these keys are in their place; others must not be, for they may be newer.

    :raises CannotRestore: when others are there, or when none are to be restored and none are there.
    """
    place = settings.place("keys")
    if isinstance(place, Schema):
        where, any_there = "the database for the keys", bool(_rows_there(place.url, ["keys.keys"]))
        can_be_read = any_there
    else:
        where, any_there = str(place.parent), any(_is_content(each) for each in place.parent.glob("keys.sqlite*"))
        can_be_read = place.exists()
    if of_keys is None and not can_be_read:
        raise CannotRestore(f"There are no keys in {where}. Say in --keys where their copy is.")
    if not any_there:
        return False
    if can_be_read:
        there = _tally_of_keys(place, restoring=of_keys is not None)
        if of_keys is None or there == of_keys.stores["keys"].holds:
            return True
    raise CannotRestore(
        f"There are keys in {where} already. If they are newer than the copy, leave --keys out: who was erased since "
        "would be back. Otherwise put them aside."
    )


def _tally_of_keys(place: Place, *, restoring: bool) -> Tally | None:
    """Return what there is of keys in their place; None if it is of an older version.

    :raises CannotRestore: when it is nothing, or can't be read.
    """
    at = "the schema “keys” in the database for the keys" if isinstance(place, Schema) else place
    why = "is empty"
    try:
        with reading(place) as connection:
            if connection.dialect.name != "sqlite" or inspect(connection).get_table_names():
                is_empty(connection, "keys")
                if not _is_current(connection, "keys"):
                    return None
                if not is_empty(connection, "keys") or _erased(connection):
                    return tally(connection, "keys")
                why = "holds no keys"
    except DBAPIError as error:
        cause = str(error.orig).partition("\n")[0]
        why = f"is damaged, or holds something else ({cause})"
    advice = "call this again" if restoring else "say in --keys where its copy is"
    raise CannotRestore(f"{at} {why}. Put it aside, and {advice}.")


def _erased(keys: Connection) -> bool:
    """Say whether anybody was ever erased among keys: then that there are none (any more) may be right."""
    return bool(keys.exec_driver_sql("SELECT max(count) FROM erasures").scalar())


def _replayed(settings: Settings, data: Path, keys: Path | None, showing: Showing, *, fully: bool) -> Replayed | None:
    """Replay the backup, if it is to be, and in any case see that the keys are those of its values.

    :raises CannotRestore: when they open none of them, or when they or the values can't be replayed.
    """
    sealed = only_read(data / "vault.sqlite")
    under = open_engine(settings.place("keys")) if keys is None else only_read(keys / "keys.sqlite")
    try:
        with closing(Keys(under)) as known:
            _must_open_something(sealed, under, known, settings.place("keys") if keys is None else keys)
            if not fully:
                return None
            for engine, store in ((sealed, "vault"), (under, "keys")):
                with engine.connect() as connection:
                    if not _is_current(connection, store):
                        raise CannotRestore(
                            f"The tables of the {store} are of an older version of the program, and are brought to the "
                            "newest when a server starts. Restore without --check."
                        )
            with showing("Replaying the events") as progress:
                return replay(data / "events.sqlite", Vault(sealed, known), progress)
    finally:
        sealed.dispose()
        under.dispose()


def _must_open_something(sealed: Engine, under: Engine, known: Keys, where: Place) -> None:
    wanted = VAULT_TABLES.tables["private_values"].c.key
    none = True
    with sealed.connect() as connection:
        for page in connection.execute(select(wanted).distinct()).scalars().partitions(PAGE):
            none = False
            if known.by_id(page):
                return
    with under.connect() as connection:
        none = none or (is_empty(connection, "keys") and _erased(connection))
    if not none:
        at = "the database for the keys" if isinstance(where, Schema) else where
        raise CannotRestore(f"The keys in {at} open nothing in this backup: they are those of another institution.")


def _into(
    place: Place, stores: Sequence[str], manifest: Manifest, source: Path, showing: Showing
) -> AbstractContextManager[None]:
    """Put what a directory of a backup holds into a place: it is there from the end of the `with` on, or not at all."""
    if isinstance(place, Schema):
        return _into_database(place.url, stores, manifest, source, showing)
    return _into_files(place.parent, stores, manifest, source, showing)


@contextmanager
def _into_database(
    url: str, stores: Sequence[str], manifest: Manifest, source: Path, showing: Showing
) -> Iterator[None]:
    for store in stores:
        make(Schema(url, store), store)
    engine = open_engine(Schema(url, stores[0]), threads=1)
    try:
        with writing(engine) as target:
            _take(target, stores[0])
            if any(not is_empty(target, store) for store in stores):
                raise CannotRestore("Somebody has begun to use the database meanwhile. Restore into another one.")
            for store in stores:
                shown = showing if store == "events" else in_silence
                with shown("Restoring the events") as progress, reading(source / f"{store}.sqlite") as copied:
                    if not _is_current(copied, store):
                        raise CannotRestore(
                            f"The tables of the {store} in {source} are of an older version of the program. Restore "
                            "into files, without PROVIDER_DATABASE_URL and PROVIDER_KEYS_URL; then `provider move`."
                        )
                    copy(copied, target, store, progress)
                with shown("Comparing what was restored") as progress:
                    _must_be(manifest, store, tally(target, store, progress))
            yield
    finally:
        engine.dispose()


def _take(target: Connection, store: str) -> None:
    """Let nobody write to a store until the end of the transaction, such as who would begin a history there."""
    try:
        target.exec_driver_sql(f"LOCK TABLE {store}.{FILLED[store]} IN EXCLUSIVE MODE NOWAIT")
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        raise CannotRestore(
            f"Somebody writes to the {store} in the database, perhaps another restore. Wait for its end."
        ) from error


@contextmanager
def _into_files(
    directory: Path, stores: Sequence[str], manifest: Manifest, source: Path, showing: Showing
) -> Iterator[None]:
    with _aside(directory, stores) as aside:
        for store in stores:
            file = aside / f"{store}.sqlite"
            shown = showing if store == "events" else in_silence
            copy_file(source / file.name, file)
            with shown("Comparing what was restored") as progress, reading(file) as connection:
                if _is_current(connection, store):
                    _must_be(manifest, store, tally(connection, store, progress))
        yield
        _put([aside / f"{store}.sqlite" for store in stores], directory)


def _put(files: Sequence[Path], directory: Path) -> None:
    """Give files another name in a directory, all or none, and where there is none of that name; the first comes last.

    That is the log: where there is none, there is no institution either. Until the directory aside is deleted their
    first names tell whose they are.
    """
    there: list[Path] = []
    try:
        for file in reversed(files):
            if file == files[0]:
                sync_directory(directory)
            (directory / file.name).hardlink_to(file)
            there.append(directory / file.name)
        sync_directory(directory)
    except BaseException as error:
        for file in reversed(there):
            file.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise _used_meanwhile(directory) from error
        raise


def _used_meanwhile(directory: Path) -> CannotRestore:
    return CannotRestore(f"Somebody has begun to use {directory} meanwhile. What is there was left as it is.")


@contextmanager
def _aside(directory: Path, stores: Sequence[str]) -> Iterator[Path]:
    """Give an empty directory for files that are not complete. Whoever is killed leaves it behind for the next one.

    As long as it is there, nobody else restores into the directory, or opens an office in it. Whoever came first has
    left something to be seen, and nobody comes in between: they hold the directory while they make their files.
    """
    aside = directory / ASIDE
    make_private_directory(directory)
    with ExitStack() as stack:
        with held(directory) as alone:
            if not alone:
                raise CannotRestore(f"Somebody begins to use {directory} just now. Wait for its end, and look again.")
            make_private_directory(aside)
            if not stack.enter_context(held(aside)):
                raise CannotRestore(f"Another restore into {directory} is under way. Wait for its end.")
            if _others(directory, stores):
                # What is in it says whose the files beside it are.
                with suppress(OSError):
                    aside.rmdir()
                raise _used_meanwhile(directory)
            stack.callback(shutil.rmtree, aside, ignore_errors=True)
            for store in stores:
                (directory / f"{store}.sqlite").unlink(missing_ok=True)
            for each in aside.iterdir():
                each.unlink()
        yield aside


def _must_be(manifest: Manifest, store: str, found: Tally) -> None:
    if differing := manifest.stores[store].holds.differences(found):
        raise RestoredBadly(f"What arrived of the {store} has {'; '.join(differing)}. Nothing was restored. Try again.")


def views_differ(settings: Settings, projections: Sequence[Projection], showing: Showing = in_silence) -> list[str]:
    """Make the views of what was restored where there are none, make them once more, and return how they differ.

    :raises RestoredWithoutViews: when they can't be made.
    """
    try:
        with (
            closing(EventLog(settings.place("events"))) as log,
            closing(Views(settings.place("views"), log, projections)) as views,
        ):
            with showing("Making the views") as progress:
                views.open(progress)
            views.catch_up(patient=True)
            with showing("Verifying the views") as progress:
                return views.verify(progress)
    except Exception as error:
        raise RestoredWithoutViews(
            "All data are restored, but the views could not be made and compared. `provider views prepare` makes them, "
            "or goes on with it, and `provider views verify` compares them; or call this again as before"
        ) from error
