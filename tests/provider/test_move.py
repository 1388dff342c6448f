"""The way of an institution to PostgreSQL: what arrives is what was sent, and nothing is lost where it may not go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from domain.institution import Institution
from projections import directory
from projections.all import PROJECTIONS
from projections.projection import Projection, Rows, number, uid, view_table
from provider.bootstrap import bootstrap
from provider.commands import people
from provider.contents import copy, make, reading
from provider.durable import open_engine, writing
from provider.log import EventLog, IdempotencyKey
from provider.move import CannotMove, MovedBadly, move
from provider.office import Office
from provider.settings import Settings
from provider.work import Act, Receipt
from tests.conftest import Clock
from tests.graduates import graduated
from tests.idempotency import key_of
from tests.provider.conftest import done_to
from tests.stores import file_of


@pytest.fixture
def files(tmp_path: Path) -> Settings:
    """Settings of a back office in files, in which a course was completed."""
    shutil.copytree(graduated().data, tmp_path / "data", symlinks=True)
    return Settings.read({"PROVIDER_DATA": str(tmp_path / "data")})


@pytest.fixture
def there(files: Settings, url: str) -> Settings:
    """Settings of the same back office once it has moved; the keys stay."""
    return replace(files, database_url=url)


@contextmanager
def opened(settings: Settings) -> Iterator[Office]:
    """Open the back office at the time that it was left at."""
    with closing(bootstrap(settings, Clock(graduated().now))) as office:
        yield office


def register(office: Office, **said: Any) -> Receipt:
    """Register somebody new."""
    now = office.clock()
    act = Act(channel="test", request=uuid4().hex, by=graduated().admin, now=now, at=now, **said)
    return people.register(office, act, given="New", family=None, email="new@example.org")


def names(office: Office) -> dict[str, str | None]:
    """Return the given names of those who took part, out of the vault."""
    with office.views.reading() as read:
        found = {name: directory.person(read, person) for name, person in graduated().played.room.people.items()}
    return {name: office.vault.open_one(row["given"]) for name, row in found.items() if row is not None}


def contents(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Return what is in the stores of a data directory."""
    statements = {
        "events": "SELECT * FROM stored_events ORDER BY rowid",
        "vault": "SELECT * FROM private_values ORDER BY commitment",
        "keys": "SELECT * FROM keys ORDER BY id",
    }
    return {store: done_to(file_of(settings, store), statement) for store, statement in statements.items()}


def schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'").fetchall()
    return {row[0] for row in rows} - {"public", "information_schema"}


def entries(settings: Settings) -> list[tuple[Any, ...]]:
    log = EventLog(settings.place("events"))
    with closing(log):
        return [
            (position, stream.replace("-", ""), version, topic, bytes(state))
            for position, stream, version, topic, state in log.entries.page(0, 10_000)
        ]


def test_all_events_keep_their_positions_and_all_they_say(files: Settings, there: Settings):
    before = entries(files)
    told: list[tuple[int, int]] = []

    moved = move(there, PROJECTIONS, lambda done, of: told.append((done, of)))

    assert entries(there) == before
    assert moved.events == len(before) > 40
    assert moved.keys == 0
    assert moved.values > 5
    assert moved.rows > 50
    assert told[-1] == (before[-1][0], before[-1][0])


def test_a_gap_in_the_positions_stays_and_no_position_is_given_twice(files: Settings, there: Settings):
    place = files.place("events")
    done_to(place, "UPDATE stored_events SET rowid = rowid + 1000 WHERE rowid > 20")
    done_to(place, "UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'stored_events'")
    for file in files.data.glob("views-*"):
        file.unlink()
    before = [entry[0] for entry in entries(files)]

    move(there, PROJECTIONS)

    assert [entry[0] for entry in entries(there)] == before
    with opened(there) as office:
        receipt = register(office)
    assert receipt.position is not None
    assert receipt.position > 5000


def test_names_open_where_they_were_moved_to(files: Settings, there: Settings):
    move(there, PROJECTIONS)

    with opened(there) as office:
        assert names(office) == {"Ada": "Ada", "Bob": "Bob", "Cy": "Cy"}
        assert office.log.get(Institution, office.institution).id == office.institution
        assert office.views.verify() == []


def test_keys_go_along_where_they_have_a_database(files: Settings, there: Settings, keys_url: str):
    there = replace(there, keys_url=keys_url)
    known = contents(files)["keys"]

    moved = move(there, PROJECTIONS)

    assert moved.keys == len(known)
    shutil.rmtree(files.data)
    with opened(there) as office:
        assert names(office) == {"Ada": "Ada", "Bob": "Bob", "Cy": "Cy"}


def test_a_name_that_was_erased_before_stays_erased(files: Settings, there: Settings):
    with opened(files) as office:
        office.keys.forget(graduated().played.person("Bob"))

    move(there, PROJECTIONS)

    with opened(there) as office:
        assert names(office) == {"Ada": "Ada", "Bob": None, "Cy": "Cy"}


def test_a_key_that_was_answered_before_is_answered_the_same_afterwards(files: Settings, there: Settings):
    key: IdempotencyKey = key_of(graduated().admin, "the key of a clerk", b"{}")
    nothing: IdempotencyKey = key_of(graduated().admin, "the key of nothing", b"{}")
    with opened(files) as office:
        first = register(office, key=key)
        institution = office.log.get(Institution, office.institution)
        office.log.record(institution, asked={}, key=nothing, outcome="nothing_to_do")

    move(there, PROJECTIONS)

    with opened(there) as office:
        end = office.log.position()
        again = register(office, key=key)
        assert again == replace(first, replayed=True)
        assert office.log.position() == end
        kept = office.log.answered(nothing)
        assert kept is not None
        assert (kept.position, kept.outcome) == (None, "nothing_to_do")
        assert office.log.entries.forget_keys("2000-01-01T00:00:00.000Z") == 0


def test_what_was_staged_can_be_confirmed_there(files: Settings, there: Settings):
    with opened(files) as office:
        staged = office.desk.stage(course=graduated().played.course, content=b"First Name,Last Name")

    move(there, PROJECTIONS)

    with opened(there) as office:
        assert office.desk.staged(staged.id) == staged


def test_the_files_stay_as_they_are_and_can_be_gone_on_with(files: Settings, there: Settings):
    before = contents(files)

    move(there, PROJECTIONS)

    assert contents(files) == before
    with opened(files) as office:
        assert register(office).position


def test_work_goes_on_there(files: Settings, there: Settings):
    end = move(there, PROJECTIONS).events

    with opened(there) as office:
        receipt = register(office)
        assert receipt.position == end + 1
        assert office.views.verify() == []


def test_where_there_is_an_institution_none_is_moved_to(files: Settings, there: Settings):
    move(there, PROJECTIONS)
    with opened(there) as office:
        register(office)
    before = entries(there)

    with pytest.raises(CannotMove, match="database already"):
        move(there, PROJECTIONS)

    assert entries(there) == before
    with opened(there) as office:
        assert names(office) == {"Ada": "Ada", "Bob": "Bob", "Cy": "Cy"}


def test_an_empty_directory_is_not_moved_and_nothing_is_made(tmp_path: Path, url: str):
    settings = Settings.read({"PROVIDER_DATA": str(tmp_path / "nothing"), "PROVIDER_DATABASE_URL": url})

    with pytest.raises(CannotMove, match="no institution"):
        move(settings, PROJECTIONS)

    assert not settings.data.exists()
    assert schemas(url) == set()


def test_a_log_without_an_event_is_not_moved(tmp_path: Path, url: str):
    settings = Settings.read({"PROVIDER_DATA": str(tmp_path / "data"), "PROVIDER_DATABASE_URL": url})
    bootstrap(replace(settings, database_url=None)).close()

    with pytest.raises(CannotMove, match="no institution"):
        move(settings, PROJECTIONS)

    assert "vault" not in schemas(url)


def test_without_an_address_nothing_is_moved(files: Settings):
    before = contents(files)

    with pytest.raises(CannotMove, match="PROVIDER_DATABASE_URL"):
        move(files, PROJECTIONS)

    assert contents(files) == before


def test_a_database_that_keeps_the_keys_of_others_is_left_as_it_is(
    files: Settings, there: Settings, keys_url: str, tmp_path: Path
):
    others = Settings.read({"PROVIDER_DATA": str(tmp_path / "others"), "PROVIDER_KEYS_URL": keys_url})
    with opened(others) as office:
        owner = uuid4()
        handle = office.vault.seal(owner, "Somebody else's")

    with pytest.raises(CannotMove, match="keys"):
        move(replace(there, keys_url=keys_url), PROJECTIONS)

    with opened(others) as office:
        assert office.vault.open_one(handle) == "Somebody else's"
    assert entries(there) == []


def test_a_move_that_was_interrupted_can_be_done_again(files: Settings, there: Settings):
    # It had made the tables, and somebody had copied what comes before the events.
    for store in ("vault", "desk"):
        make(there.place(store), store)
    with reading(files.place("vault")) as source, writing(open_engine(there.place("vault"))) as target:
        copy(source, target, "vault")

    moved = move(there, PROJECTIONS)

    with opened(there) as office:
        assert names(office) == {"Ada": "Ada", "Bob": "Bob", "Cy": "Cy"}
    assert moved.values == len(contents(files)["vault"])


def test_views_that_come_out_otherwise_are_told(files: Settings, there: Settings):
    drawn = count()
    table = view_table("test_restless", uid("id"), number("drawn"), key=("id",))
    restless = Projection("test_restless", version=1, tables=(table,))

    @restless.on(Institution.Founded)
    def founded(rows: Rows, event: Any) -> None:
        rows.add(table, id=event.originator_id, drawn=next(drawn))

    for file in files.data.glob("views-*"):
        file.unlink()

    with pytest.raises(MovedBadly, match="test_restless") as told:
        move(there, [restless])

    assert str(files.data) in str(told.value)


def test_the_command_says_how_much_it_moved_and_refuses_to_do_so_again(files: Settings, url: str, provider):
    said = {"PROVIDER_DATA": str(files.data), "PROVIDER_DATABASE_URL": url}

    status, out, err = provider("move", **said)

    assert status == 0
    assert out.startswith(f"Moved {len(contents(files)['events']):,} events and ")
    assert "the keys stay in their file" in out
    assert "Serve with the same PROVIDER_DATABASE_URL" in err
    status, out, err = provider("move", **said)
    assert (status, out) == (1, "")
    assert "There is an institution in that database already." in err


def test_the_command_refuses_to_move_to_nowhere(files: Settings, provider):
    status, out, err = provider("move", PROVIDER_DATA=str(files.data))

    assert (status, out) == (1, "")
    assert "PROVIDER_DATABASE_URL" in err
