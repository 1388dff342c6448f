"""The way back from a backup: what was copied arrives on either database, or nothing does, and why is said."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import orjson
import psycopg
import pytest

from projections import directory
from projections.all import PROJECTIONS
from provider.backup import DATA, MANIFEST, BadBackup, Showing
from provider.beforehand import ASIDE, Unusable, look, opening
from provider.bootstrap import bootstrap
from provider.commands import institution, people
from provider.contents import copy, make, reading, tally
from provider.durable import NewerTables, open_engine, writing
from provider.log import EventLog, Progress
from provider.mapper import UnknownEvent
from provider.office import Office
from provider.restore import CannotRestore, Restored, restore, views_differ
from provider.settings import Settings
from provider.views import place_of_views
from provider.work import Act, Receipt
from tests.backups import DRAWN, NOW, Backup, back_up_now, kept, rewritten, source
from tests.conftest import Clock, Templates
from tests.graduates import graduated
from tests.postgres import Server
from tests.provider.conftest import Call, done_to

NAMES = {"Ada": "Ada", "Bob": "Bob", "Cy": None}


@pytest.fixture
def there(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Settings of a place in which nothing is, on either database."""
    if settings.database_url is not None:
        server: Server = request.getfixturevalue("postgres_server")
        server.make(name=urlsplit(settings.database_url).path[1:])
    return settings


@pytest.fixture
def files(tmp_path: Path) -> Settings:
    """Settings of a place in files."""
    return Settings.read({"PROVIDER_DATA": str(tmp_path / "files")})


@pytest.fixture
def backup(tmp_path: Path) -> Backup:
    """A backup that may be spoilt."""
    return kept("sqlite").copied(tmp_path / "backup")


def put(settings: Settings, backup: Backup, **said: Any) -> Restored:
    return restore(settings, backup.data, backup.keys, **said)


@contextmanager
def opened(settings: Settings) -> Iterator[Office]:
    """Open the back office at the time that it was left at."""
    with closing(bootstrap(settings, Clock(graduated().now))) as office:
        yield office


def names(office: Office) -> dict[str, str | None]:
    """Return the given names of those who took part, out of the vault."""
    with office.views.reading() as read:
        found = {name: directory.person(read, person) for name, person in graduated().played.room.people.items()}
    return {name: office.vault.open_one(row["given"]) for name, row in found.items() if row is not None}


def names_in(settings: Settings) -> dict[str, str | None]:
    with opened(settings) as office:
        return names(office)


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'").fetchall()
    return {row[0] for row in rows} - {"public", "information_schema"}


def register(office: Office, **said: Any) -> Receipt:
    """Register somebody new."""
    now = office.clock()
    act = Act(channel="test", request=uuid4().hex, by=graduated().admin, now=now, at=now, **said)
    return people.register(office, act, given="New", family=None, email="new@example.org")


def entries(settings: Settings) -> list[tuple[Any, ...]]:
    with closing(EventLog(settings.place("events"))) as log:
        return [
            (position, stream.replace("-", ""), version, topic, bytes(state))
            for position, stream, version, topic, state in log.entries.page(0, 10_000)
        ]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_backed_up_on_either_database_is_restored_on_either(
    there: Settings, kind: str, postgres_server: Server
):
    before = entries(source().settings)

    restored = put(there, kept(kind), check=True)

    assert entries(there) == before
    assert (restored.events, restored.last) == (len(before), before[-1][0])
    assert restored.replayed is not None
    assert restored.replayed.wrong == views_differ(there, PROJECTIONS) == []
    assert restored.replayed.aggregates == len({entry[1] for entry in before})
    assert restored.replayed.opened > restored.replayed.erased > 0
    with opened(there) as office:
        assert names(office) == NAMES
        assert office.log.answered(source().key) == source().answered
        kept_answer = office.log.answered(source().nothing)
        assert kept_answer is not None
        assert (kept_answer.position, kept_answer.outcome) == (None, "nothing_to_do")
        assert office.log.entries.forget_keys("2000-01-01T00:00:00.000Z") == 0
        assert office.desk.staged(source().staged.id) == source().staged
        assert register(office).position == DRAWN + 1


def test_keys_are_restored_into_a_database_of_their_own_and_with_files_beside_it(
    files: Settings, keys_url: str, backup: Backup
):
    there = replace(files, keys_url=keys_url)

    assert put(there, backup).keys == backup.says(keys=True).stores["keys"].holds.tables["keys"].rows

    assert not there.keys_dir.exists()
    with opened(there) as office:
        assert names(office) == NAMES


def test_where_the_keys_were_not_lost_those_in_place_are_gone_on_with(there: Settings, backup: Backup):
    shutil.copytree(backup.keys, there.keys_dir)
    (there.keys_dir / "manifest.json").unlink()
    done_to(there.place("keys"), "DELETE FROM keys WHERE owner = ?", graduated().played.person("Bob").hex)

    restored = restore(there, backup.data, None)

    assert restored.keys is None
    # Whoever was erased since the backup stays erased.
    with opened(there) as office:
        assert names(office) == {**NAMES, "Bob": None}


def test_without_a_copy_there_must_be_keys_in_place(files: Settings, backup: Backup):
    with pytest.raises(CannotRestore, match="There are no keys in "):
        restore(files, backup.data, None)

    assert not files.data.exists()


def test_keys_that_are_in_place_are_not_replaced_by_others(there: Settings, backup: Backup):
    shutil.copytree(backup.keys, there.keys_dir)
    done_to(there.place("keys"), "DELETE FROM keys WHERE owner = ?", graduated().played.person("Bob").hex)
    before = done_to(there.place("keys"), "SELECT * FROM keys ORDER BY id")

    with pytest.raises(CannotRestore, match="leave --keys out"):
        put(there, backup)

    assert done_to(there.place("keys"), "SELECT * FROM keys ORDER BY id") == before
    assert [each.name for each in there.data.glob("*.sqlite")] == []


# What is in the place already.


def test_where_there_is_an_institution_none_is_restored(office: Office, backup: Backup):
    settings = office.settings
    before = entries(settings)

    with pytest.raises(CannotRestore, match=r"institution in the database already|not empty, there is desk\.sqlite"):
        put(settings, backup)

    assert entries(settings) == before


@pytest.mark.parametrize("left", ["vault.sqlite", "views-12345678.sqlite", "events.sqlite-wal"])
def test_a_directory_with_databases_in_it_is_left_as_it_is(files: Settings, backup: Backup, left: str):
    files.data.mkdir()
    (files.data / left).write_bytes(b"of somebody")

    with pytest.raises(CannotRestore, match=left):
        put(files, backup)

    assert {each.name: each.read_bytes() for each in files.data.iterdir()} == {left: b"of somebody"}


@pytest.mark.parametrize(
    ("schema", "table", "row"),
    [
        ("vault", "private_values (commitment text)", "('of somebody')"),
        ("views_12345678", "places (name text, position int)", "('all', 7)"),
    ],
)
def test_a_database_with_something_in_it_is_left_as_it_is(
    files: Settings, url: str, backup: Backup, schema: str, table: str, row: str
):
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.{table}")
        connection.execute(f"INSERT INTO {schema}.{table.split()[0]} VALUES {row}")

    with pytest.raises(CannotRestore, match=f"something in {schema}"):
        put(replace(files, database_url=url), backup)

    assert schemas(url) == {schema}
    assert not files.keys_dir.exists()


def test_what_is_only_named_like_views_is_somebody_elses(files: Settings, url: str, backup: Backup):
    role = f"u_{uuid4().hex}"
    schemas_of_others = ("views_sales", "views_12345678", "views_87654321", "views_abcdef01")
    with psycopg.connect(url) as connection:
        for schema in schemas_of_others:
            connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.places (name text, position int)")
            connection.execute(f"INSERT INTO {schema}.places VALUES ('Bern', 7)")
        connection.execute("ALTER TABLE views_12345678.places RENAME position TO altitude")
        connection.execute("ALTER TABLE views_87654321.places ALTER position TYPE text")
        connection.execute(
            f'CREATE ROLE "{role}" LOGIN; GRANT CREATE ON DATABASE "{urlsplit(url).path[1:]}" TO "{role}"'
        )
    parts = urlsplit(url)
    as_role = parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}")
    there = replace(files, database_url=urlunsplit(as_role))
    try:
        assert put(there, backup).events == len(entries(there))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')

    assert schemas(url) >= set(schemas_of_others)


def test_tables_in_which_nothing_is_are_filled(files: Settings, url: str, backup: Backup):
    there = replace(files, database_url=url)
    for store in DATA:
        make(there.place(store), store)

    assert put(there, backup).events == len(entries(there))


def test_nobody_may_record_while_a_database_is_filled(files: Settings, url: str, backup: Backup):
    there = replace(files, database_url=url)
    make(there.place("events"), "events")
    with psycopg.connect(url) as other:
        other.execute("INSERT INTO events.stored_events VALUES (gen_random_uuid(), 1, 't', '{}')")

        with pytest.raises(CannotRestore, match="Somebody writes to the events"):
            put(there, backup)

    assert not files.keys_dir.exists()


def test_a_database_in_which_a_server_was_started_is_filled(files: Settings, url: str, backup: Backup):
    there = replace(files, database_url=url)
    bootstrap(there).close()
    shutil.rmtree(there.keys_dir)

    put(there, backup)

    assert views_differ(there, PROJECTIONS) == []


def test_a_journal_of_keys_that_was_left_behind_is_not_taken_for_that_of_others(files: Settings, backup: Backup):
    files.keys_dir.mkdir(parents=True)
    (files.keys_dir / "keys.sqlite-wal").write_bytes(b"of somebody")

    with pytest.raises(CannotRestore, match="There are keys in"):
        put(files, backup)

    assert [each.name for each in files.data.rglob("*sqlite*")] == ["keys.sqlite-wal"]


def without_tables(file: Path) -> None:
    done_to(file, "PRAGMA user_version = 1")


def without_erasures(file: Path) -> None:
    shutil.copy(kept("sqlite").keys / "keys.sqlite", file)
    done_to(file, "DROP TABLE erasures")


def without_keys(file: Path) -> None:
    shutil.copy(kept("sqlite").keys / "keys.sqlite", file)
    done_to(file, "DELETE FROM keys")
    done_to(file, "UPDATE erasures SET count = 0")


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (lambda file: file.write_bytes(b""), "is empty"),
        (without_tables, "is empty"),
        (without_keys, "holds no keys"),
        (without_erasures, r"is damaged, or holds something else \(no such table: erasures\)"),
        (lambda file: file.write_bytes(b"of somebody" * 1000), r"is damaged, .* \(file is not a database\)"),
    ],
    ids=["nothing", "no tables", "no keys", "no erasures", "noise"],
)
def test_a_file_of_keys_that_is_none_is_named_with_what_to_do(
    files: Settings, backup: Backup, left: Callable[[Path], object], words: str
):
    files.keys_dir.mkdir(parents=True)
    left(files.store("keys"))
    before = files.store("keys").read_bytes()

    for keys, advice in ((None, "say in --keys where its copy is"), (backup.keys, "call this again")):
        with pytest.raises(CannotRestore, match=f"{files.store('keys')} {words}. Put it aside, and {advice}"):
            restore(files, backup.data, keys)

    assert files.store("keys").read_bytes() == before
    assert list(files.data.glob("*.sqlite")) == []


def test_an_office_in_which_everybody_was_erased_can_be_restored(files: Settings, backup: Backup):
    done_to(backup.keys / "keys.sqlite", "DELETE FROM keys")
    backup.forged_well("keys")

    assert put(files, backup).keys == 0
    assert put(files, backup).already
    assert restore(files, backup.data, None).already


def test_a_schema_of_keys_that_is_none_is_told_too(files: Settings, keys_url: str, backup: Backup):
    there = replace(files, keys_url=keys_url)
    make(there.place("keys"), "keys")
    done_to(there.place("keys"), "INSERT INTO keys VALUES (gen_random_uuid(), gen_random_uuid(), '', 0)")
    done_to(there.place("keys"), "DROP TABLE erasures")

    with pytest.raises(CannotRestore, match=r"schema “keys” .* something else \(relation .* does not exist"):
        restore(there, backup.data, None)


# What ended in the middle.


def killed(settings: Settings, backup: Backup) -> None:
    """Leave what a restore leaves that is killed while it lays its files where they belong."""
    (settings.data / ASIDE).mkdir(parents=True)
    settings.keys_dir.mkdir()
    shutil.copy(backup.keys / "keys.sqlite", settings.keys_dir)
    shutil.copy(backup.data / "vault.sqlite", settings.data / ASIDE)
    (settings.data / "vault.sqlite").hardlink_to(settings.data / ASIDE / "vault.sqlite")
    (settings.data / ASIDE / "events.sqlite").write_bytes((backup.data / "events.sqlite").read_bytes()[:5_000])


def test_a_restore_that_was_killed_is_done_again(files: Settings, backup: Backup):
    killed(files, backup)

    put(files, backup)

    assert not (files.data / ASIDE).exists()
    assert entries(files) == entries(source().settings)
    with opened(files) as office:
        assert names(office) == NAMES


def test_nobody_works_with_what_was_half_restored(files: Settings, backup: Backup, provider: Call):
    killed(files, backup)
    found = ("init", "--name", "Other", "--zone", "Europe/Zurich", "--given", "Eve")

    for command in (("course", "list"), ("serve",), found):
        status, out, err = provider(*command, PROVIDER_DATA=files.data)
        assert (status, out) == (4, "")
        assert "is not finished. Call it again" in err


def test_what_was_killed_after_its_end_is_whole_and_a_start_deletes_the_other_names(files: Settings, backup: Backup):
    put(files, backup)
    for file in (files.store("events"), files.store("keys")):
        (file.parent / ASIDE).mkdir()
        (file.parent / ASIDE / file.name).hardlink_to(file)

    assert look(files)
    assert names_in(files) == NAMES

    assert list(files.data.rglob(ASIDE)) == []


# What somebody else does meanwhile.


@contextmanager
def just_before(done: Callable[[], object], title: str) -> Iterator[Showing]:
    """Do something once in the middle of a restore, when it comes to what has this title."""
    left = [done]

    @contextmanager
    def showing(shown: str) -> Iterator[Progress]:
        if shown == title and left:
            left.pop()()
        yield lambda _done, _of: None

    yield showing
    assert left == []


def test_a_restore_that_was_outrun_by_another_leaves_what_that_one_restored_and_what_came_since(
    there: Settings, backup: Backup
):
    told: list[int | None] = []

    def outrun() -> None:
        put(there, backup)
        with opened(there) as office:
            told.append(register(office).position)

    with (
        just_before(outrun, "Reading the backup") as showing,
        pytest.raises(CannotRestore, match=r"begun to use|There are keys"),
    ):
        put(there, backup, showing=showing)

    assert entries(there)[-1][0] == told[0]
    assert list(there.data.rglob(ASIDE)) == []


def test_an_institution_that_is_founded_meanwhile_stays(there: Settings, backup: Backup):
    def found() -> None:
        with closing(bootstrap(there, Clock())) as office:
            institution.found(office, name="Other", zone="Europe/Zurich", given="Eve", family=None, email=None)

    with just_before(found, "Reading the backup") as showing, pytest.raises(CannotRestore):
        restore(there, backup.data, backup.keys, showing=showing)

    with opened(there) as office:
        assert office.log.position() == len(entries(there)) < 10


@pytest.mark.sqlite
def test_nobody_opens_an_office_where_files_are_just_put(there: Settings, backup: Backup):
    def open_one() -> None:
        with pytest.raises(Unusable, match="is not finished"):
            bootstrap(there)

    with just_before(open_one, "Comparing what was restored") as showing:
        put(there, backup, showing=showing)

    assert entries(there) == entries(source().settings)


def test_a_restore_does_not_begin_while_an_office_is_opened_there(files: Settings, backup: Backup):
    with opening(files), pytest.raises(CannotRestore, match="begins to use"):
        put(files, backup)

    assert list(files.data.iterdir()) == []
    assert put(files, backup).events


def test_a_file_that_lies_there_all_the_same_is_not_replaced(files: Settings, backup: Backup):
    with (
        just_before(lambda: files.store("vault").write_bytes(b"of somebody"), "Comparing what was restored") as showing,
        pytest.raises(CannotRestore, match="begun to use"),
    ):
        put(files, backup, showing=showing)

    assert {each.name for each in files.data.iterdir()} == {"vault.sqlite", "keys"}
    assert files.store("vault").read_bytes() == b"of somebody"


def test_two_do_not_restore_into_one_place_at_once(files: Settings, backup: Backup):
    half = files.data / ASIDE / "vault.sqlite"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half of it")
    other = os.open(half.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)

    with pytest.raises(CannotRestore, match="under way"):
        put(files, backup)

    assert half.read_bytes() == b"half of it"
    os.close(other)
    assert put(files, backup).events


def test_keys_that_arrived_before_it_was_killed_are_taken_for_what_they_are(
    files: Settings, url: str, keys_url: str, backup: Backup
):
    there = replace(files, database_url=url, keys_url=keys_url)
    make(there.place("keys"), "keys")
    with reading(backup.keys / "keys.sqlite") as keys, writing(open_engine(there.place("keys"))) as target:
        copied = copy(keys, target, "keys")

    put(there, backup)

    assert entries(there) == entries(source().settings)
    with reading(there.place("keys")) as keys:
        assert tally(keys, "keys") == copied


# What is no backup, or a spoilt one.


def spoil(file: Path, position: int = -1) -> None:
    """Change one bit."""
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def an_event(backup: Backup) -> None:
    file = backup.data / "events.sqlite"
    spoil(file, file.read_bytes().index(b"Europe/Zurich"))


def an_event_with_the_digest_of_the_file(backup: Backup) -> None:
    an_event(backup)
    backup.forged("events")


def one_event_less(backup: Backup) -> None:
    done_to(backup.data / "events.sqlite", "DELETE FROM stored_events WHERE rowid = 7")
    backup.forged("events")


def events_that_changed_places(backup: Backup) -> None:
    done_to(backup.data / "events.sqlite", "UPDATE stored_events SET rowid = 30 WHERE rowid = 7")
    backup.forged("events")


def the_file_to_its_middle(backup: Backup) -> None:
    os.truncate(backup.data / "events.sqlite", 40_960)
    backup.forged("events")


def a_value(backup: Backup) -> None:
    done_to(backup.data / "vault.sqlite", "UPDATE private_values SET owner = key")
    backup.forged("vault")


def manifest(content: bytes) -> Callable[[Backup], object]:
    return lambda backup: (backup.data / MANIFEST).write_bytes(content)


def unreadable(name: str) -> Callable[[Backup], object]:
    """Put a directory in the place of a file: not even root can read one."""

    def spoiling(backup: Backup) -> None:
        (backup.data / name).unlink()
        (backup.data / name).mkdir()
        if name != MANIFEST:
            of_the_events(bytes=(backup.data / name).stat().st_size)(backup)

    return spoiling


def of_the_events(**said: object) -> Callable[[Backup], object]:
    """Let a manifest say something of the events."""

    def spoiling(backup: Backup) -> None:
        stores = orjson.loads((backup.data / MANIFEST).read_bytes())["stores"]
        stores["events"].update(said)
        rewritten(backup.data, stores=stores)

    return spoiling


def said(**what: object) -> Callable[[Backup], object]:
    return lambda backup: rewritten(backup.data, **what)


def holding(tables: object, **more: object) -> Callable[[Backup], object]:
    return of_the_events(holds={"tables": tables, "last": 1, "drawn": 1, **more})


SPOILT: dict[str, tuple[Callable[[Backup], object], str]] = {
    "an event": (an_event, "events.sqlite is not as it was"),
    "an event with the digest of the file": (an_event_with_the_digest_of_the_file, "other events, though as many"),
    "one event less": (one_event_less, r"\d+ events in place of \d+"),
    "events that changed places": (events_that_changed_places, "other events, though as many"),
    "the file to its middle": (the_file_to_its_middle, "events.sqlite can't be read .*malformed"),
    "a value": (a_value, "other private values, though as many"),
    "a key": (lambda backup: spoil(backup.keys / "keys.sqlite"), "keys.sqlite is not as it was"),
    "cut off": (lambda backup: os.truncate(backup.data / "vault.sqlite", 4096), "has 4,096 bytes in place of"),
    "a file missing": (lambda backup: (backup.data / "desk.sqlite").unlink(), "desk.sqlite is missing"),
    "no manifest": (lambda backup: (backup.data / MANIFEST).unlink(), "has no manifest.json"),
    "noise for a manifest": (manifest(b"\0"), "manifest.json is damaged"),
    "an empty manifest": (manifest(b"{}"), "manifest.json is damaged"),
    "a list for a manifest": (manifest(b"[]"), "manifest.json is damaged"),
    "a newer form": (said(format=2, program="7.0"), r"newer version .*\(7.0\)"),
    **{f"form {form!r}": (said(format=form), "manifest.json is damaged") for form in (0.5, -1, 0, True, "1", None)},
    "made before there were years": (said(made="0001-01-01T00:00:00+14:00"), "manifest.json is damaged"),
    "made at no time": (said(made="2026-06-05T02:30:07"), "manifest.json is damaged"),
    "of no stores": (said(stores={}), "holds the copy of nothing, and not the"),
    "bytes in words": (of_the_events(bytes="many"), "manifest.json is damaged"),
    "rows in words": (holding({"events": {"rows": "x", "digest": ""}}), "manifest.json is damaged"),
    "a digest in figures": (holding({"events": {"rows": 1, "digest": 1}}), "manifest.json is damaged"),
    "no tables": (holding({}), "manifest.json is damaged"),
    "a position in words": (holding({"events": {"rows": 1, "digest": ""}}, last="x"), "manifest.json is damaged"),
    "a manifest that can't be read": (unreadable(MANIFEST), r"manifest\.json can't be read \(Is a directory\)"),
    "events that can't be read": (unreadable("events.sqlite"), r"events\.sqlite can't be read \(Is a directory\)"),
    "of somebody else": (lambda backup: rewritten(backup.data, institution=str(uuid4())), "of another institution"),
}


@pytest.mark.parametrize(("spoiling", "words"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_backup_is_told_in_a_sentence_and_nothing_is_restored(
    files: Settings, backup: Backup, spoiling: Callable[[Backup], object], words: str
):
    spoiling(backup)

    with pytest.raises(BadBackup, match=words) as told:
        put(files, backup)

    assert str(told.value).endswith(".")
    assert not files.data.exists()


def test_a_database_is_left_empty_by_a_spoilt_backup(files: Settings, url: str, backup: Backup):
    an_event_with_the_digest_of_the_file(backup)

    with pytest.raises(BadBackup):
        put(replace(files, database_url=url), backup)

    assert schemas(url) == set()


def test_what_is_no_backup_is_told(files: Settings, backup: Backup):
    unfinished = backup.data.rename(f"{backup.data}.part")
    for given, words in (
        (unfinished, "was never finished"),
        (backup.data, "no backup at"),
        (backup.keys, "holds the keys, and not the events, vault and desk"),
        (backup.keys.parent, f"Name one of those in it, such as {backup.keys}"),
    ):
        with pytest.raises(BadBackup, match=words):
            restore(files, given, backup.keys)
    with pytest.raises(BadBackup, match="holds the events, vault and desk, and not the keys"):
        restore(files, kept("sqlite").data, kept("sqlite").data)


def test_tables_of_a_newer_version_are_left_for_it(files: Settings, backup: Backup):
    done_to(backup.data / "vault.sqlite", "UPDATE alembic_version SET version_num = 'v9999_more'")
    backup.forged("vault")

    with pytest.raises(NewerTables, match="v9999_more"):
        put(files, backup)

    assert not files.data.exists()


def test_tables_of_an_older_version_are_restored_into_files_only(files: Settings, url: str, backup: Backup):
    done_to(backup.data / "vault.sqlite", "DELETE FROM alembic_version")
    backup.forged("vault")

    with pytest.raises(CannotRestore, match="without PROVIDER_DATABASE_URL"):
        put(replace(files, database_url=url), backup)
    with pytest.raises(CannotRestore, match="without --check"):
        put(files, backup, check=True)

    assert not files.data.exists()
    assert put(files, backup).events == len(entries(files))


# Which keys.


@pytest.fixture
def others(tmp_path: Path, sqlite_templates: Templates) -> Backup:
    """The backup of another institution."""
    return back_up_now(Settings.read({"PROVIDER_DATA": str(sqlite_templates.founded)}), tmp_path / "others")


def test_keys_of_another_institution_are_refused(files: Settings, backup: Backup, others: Backup):
    with pytest.raises(CannotRestore, match="keys of another institution"):
        restore(files, backup.data, others.keys)

    # Though it says it were those of this one, or they are in place.
    rewritten(others.keys, institution=str(backup.says().institution))
    with pytest.raises(CannotRestore, match="open nothing in this backup"):
        restore(files, backup.data, others.keys)
    assert not files.data.exists()
    shutil.copytree(others.keys, files.keys_dir)
    with pytest.raises(CannotRestore, match="open nothing in this backup"):
        restore(files, backup.data, None)


def test_keys_older_than_the_data_are_taken_only_by_those_who_say_so(files: Settings, backup: Backup):
    rewritten(backup.keys, made=(NOW - timedelta(days=1)).isoformat())

    with pytest.raises(CannotRestore, match="older than the data"):
        put(files, backup)

    assert not files.data.exists()
    assert put(files, backup, older_keys=True).events


# What only a replay finds.


def a_value_gone(backup: Backup) -> None:
    done_to(
        backup.data / "vault.sqlite", "DELETE FROM private_values WHERE owner = ?", graduated().played.person("Ada").hex
    )


def a_value_of_somebody_else(backup: Backup) -> None:
    done_to(
        backup.data / "vault.sqlite",
        "UPDATE private_values SET owner = ? WHERE owner = ?",
        graduated().played.person("Bob").hex,
        graduated().played.person("Ada").hex,
    )


def an_event_that_is_not_there(backup: Backup) -> None:
    done_to(
        backup.data / "events.sqlite",
        "UPDATE stored_events SET originator_version = originator_version + 100 "
        "WHERE originator_version > 1 AND originator_id = ?",
        graduated().played.course.hex,
    )


def an_event_that_does_not_apply(backup: Backup) -> None:
    done_to(
        backup.data / "events.sqlite",
        "UPDATE stored_events SET state = CAST(replace(state, '\"number\"', '\"digit\"') AS BLOB) "
        "WHERE originator_id = ?",
        graduated().played.course.hex,
    )


WRONG: dict[str, tuple[Callable[[Backup], None], str]] = {
    "a value gone": (a_value_gone, "a private value that events name is missing in the vault: "),
    "a value of somebody else": (
        a_value_of_somebody_else,
        "a private value that events name is damaged in the vault: ",
    ),
    "an event that never was": (an_event_that_is_not_there, "{course} does not load: its event 2 is missing"),
    "an event that does not apply": (
        an_event_that_does_not_apply,
        "{course} does not load: its event .* can't be applied",
    ),
}


@pytest.mark.parametrize(("spoiling", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_with_a_whole_backup_is_found_and_nothing_is_restored(
    files: Settings, backup: Backup, spoiling: Callable[[Backup], None], words: str
):
    spoiling(backup)
    backup.forged_well("events", "vault")

    replayed = put(files, backup, check=True).replayed

    assert replayed is not None
    assert any(re.search(words.format(course=graduated().played.course.hex), line) for line in replayed.wrong)
    assert not files.data.exists()


def test_an_event_of_a_newer_version_is_told_as_what_it_is(files: Settings, backup: Backup):
    done_to(backup.data / "events.sqlite", "UPDATE stored_events SET topic = 'person.adopted' WHERE rowid = 3")
    backup.forged_well("events")

    with pytest.raises(UnknownEvent, match=r"person\.adopted"):
        put(files, backup, check=True)

    assert not files.data.exists()


# The command.


def test_the_command_says_what_it_compared_and_no_name(files: Settings, backup: Backup, provider: Call):
    command = ("restore", str(backup.data), "--keys", str(backup.keys), "--check")

    status, out, err = provider(*command, PROVIDER_DATA=files.data)

    assert status == 0
    assert re.fullmatch(
        r"Restored as of 2026-06-05T02:30:07Z: \d+ events up to position 1\d{3}, \d+ private values, \d+ keys\. "
        r"What arrived is what was copied\.\n"
        r"Replayed: \d+ aggregates load; of the private values that events name \d+ open and [1-9]\d* are erased\.\n"
        r"All views agree with the log\.\n",
        out,
    )
    assert "Replaying the events: 100 %" in err
    assert not any(name in out + err for name in ("Ada", "Bob", "Dot", "example.org"))


def test_where_all_is_there_already_the_command_says_so_and_writes_nothing(
    there: Settings, backup: Backup, provider: Call
):
    said = {"PROVIDER_DATA": there.data, "PROVIDER_DATABASE_URL": there.database_url}
    command = ("restore", str(backup.data), "--keys", str(backup.keys))
    put(there, backup)
    before = entries(there)

    status, out, err = provider(*command, **said)
    assert status == 0
    assert re.fullmatch(r"What is there is what this backup holds, as of .*\. Nothing was written\.\n", out)
    assert err.endswith(
        "Nothing is to be done. `provider views verify` makes the views if they are missing, and compares them.\n"
    )

    assert entries(there) == before

    done_to(there.place("desk"), "DELETE FROM staged_imports")
    status, out, err = provider(*command, **said)
    assert (status, out) == (1, "")
    assert "is not empty" in err or "institution in the database already" in err


def test_that_all_is_there_but_the_views_is_said(files: Settings, backup: Backup, provider: Call):
    # Nothing can be made under this name.
    mine = place_of_views(files)
    assert isinstance(mine, Path)
    Path(f"{mine}.turn").mkdir(parents=True)
    command = ("restore", str(backup.data), "--keys", str(backup.keys), "--check")

    status, out, err = provider(*command, PROVIDER_DATA=files.data)

    assert status == 4
    assert out.startswith("Restored as of ")
    said = err.splitlines()[-1]
    assert said.startswith("Error: All data are restored, but the views could not be made and compared. ")
    assert "`provider views prepare`" in said
    assert said.endswith("can't be used: Is a directory.")
    Path(f"{mine}.turn").rmdir()
    status, out, _ = provider(*command, PROVIDER_DATA=files.data)
    assert status == 0
    assert out.startswith("What is there is what this backup holds")
    assert out.endswith("All views agree with the log.\n")


def test_the_command_lists_what_is_wrong(files: Settings, backup: Backup, provider: Call):
    a_value_gone(backup)
    backup.forged_well("vault")

    status, out, err = provider(
        "restore", str(backup.data), "--keys", str(backup.keys), "--check", PROVIDER_DATA=files.data
    )

    assert status == 1
    assert all(line.startswith("a private value that events name is missing") for line in out.splitlines())
    assert "Nothing was restored" in err
    assert not files.data.exists()
