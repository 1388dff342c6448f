"""SQLite's traps, each with another program at the files of an office that is open: `python -m tests.faults` does it
under load."""

from __future__ import annotations

import math
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from provider.bootstrap import bootstrap
from provider.locks import Turn
from provider.office import Office
from provider.outage import damaged, outage
from provider.settings import Settings
from provider.views import Broken
from provider.views_in_files import JOURNAL, LONGER, TOO_LONG
from tests.academy import Acting
from tests.classroom import Classroom
from tests.conftest import Clock
from tests.faults.lost_views import corrupt, lay_old_file, lay_old_file_alone, replace_by_noise, roll_back
from tests.faults.office import ROOT, by_another, environment, files_of, outsider
from tests.stores import file_of

pytestmark = pytest.mark.sqlite

Register = Callable[..., UUID]


def provider(settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run the command `provider`, as another program."""
    done = subprocess.run(
        [sys.executable, "-m", "provider", *arguments],
        cwd=ROOT,
        env=environment(settings.data),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def journal(office: Office, store: str) -> Path:
    return Path(f"{file_of(office.settings, store)}-wal")


@pytest.mark.parametrize("store", ["events", "views", "vault", "keys"])
def test_a_vacuum_by_another_program_moves_nothing(office: Office, person: Register, store: str) -> None:
    people = [person(f"Grace {n}", "Hopper") for n in range(3)]
    before = office.log.entries.page(0, 1_000)
    by_another(file_of(office.settings, store), "VACUUM")
    person("Ada", "Lovelace")

    after = office.log.entries.page(0, 1_000)
    assert after[: len(before)] == before
    assert after[-1][0] == before[-1][0] + 1
    assert office.views.verify() == []
    assert people[0] in {UUID(entry[1]) for entry in after}


def test_a_log_that_lost_its_end_is_an_alarm_and_no_position_is_given_twice(
    office: Office, person: Register, settings: Settings
) -> None:
    person("Grace", "Hopper")
    end = office.log.position()
    by_another(settings.store("events"), f"DELETE FROM stored_events WHERE rowid = {end}")

    with pytest.raises(Broken, match="older copy"):
        office.views.catch_up()
    office.views.rebuild()
    person("Ada", "Lovelace")
    assert office.log.position() == end + 1
    assert office.views.verify() == []


@pytest.mark.parametrize("store", ["events", "vault", "keys", "views"])
def test_who_finds_a_database_locked_waits_a_moment(office: Office, person: Register, store: str) -> None:
    before = office.log.position()
    made: list[UUID] = []
    with outsider(file_of(office.settings, store), "BEGIN IMMEDIATE"):
        waiting = threading.Thread(target=lambda: made.append(person("Grace", "Hopper")))
        waiting.start()
        time.sleep(0.2)
        assert made == []
    waiting.join(10)

    assert len(made) == 1
    assert office.log.position() == before + 1
    assert office.views.verify() == []


def test_a_journal_grows_while_somebody_reads_and_begins_anew_after_it(office: Office, person: Register) -> None:
    events = office.settings.store("events")
    with outsider(events, "BEGIN", "SELECT count(*) FROM stored_events"):
        sizes = []
        for _ in range(2):
            person("Grace", "Hopper")
            by_another(events, "PRAGMA wal_checkpoint(PASSIVE)")
            sizes.append(journal(office, "events").stat().st_size)
        assert sizes[0] < sizes[1]
    by_another(events, "PRAGMA wal_checkpoint(PASSIVE)")
    person("Grace", "Hopper")

    assert journal(office, "events").stat().st_size == sizes[1]
    office.close()
    assert not journal(office, "events").exists()


def test_no_reader_of_ours_keeps_a_journal_from_beginning_anew(office: Office, person: Register) -> None:
    for store in ("events", "views", "vault", "keys"):
        person("Grace", "Hopper")
        with closing(sqlite3.connect(file_of(office.settings, store))) as raw:
            busy, written, home = raw.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        assert (busy, written) == (0, home), store


def lengthen(office: Office, size: int) -> None:
    """Let another program write so many bytes into the journal of the views, which leaves nothing behind in them."""
    by_another(
        file_of(office.settings, "views"),
        "CREATE TABLE extra (bytes)",
        f"INSERT INTO extra VALUES (zeroblob({size}))",
        "DROP TABLE extra",
    )


@contextmanager
def relay(file: Path) -> Iterator[None]:
    """Let there be somebody at any moment who reads, though nobody for long."""
    over = threading.Event()

    def read() -> None:
        with closing(sqlite3.connect(file)) as one, closing(sqlite3.connect(file)) as other:
            while not over.is_set():
                for begins, ends in ((one, other), (other, one)):
                    begins.execute("BEGIN")
                    begins.execute("SELECT count(*) FROM places").fetchone()
                    ends.rollback()
                    time.sleep(0.002)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield
    finally:
        over.set()
        reading.join()


def test_the_journal_of_the_views_begins_anew_though_readers_follow_each_other_closely(
    office: Office, person: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine one try may be too short.
    monkeypatch.setattr("provider.views_in_files.LONGER", 0)
    with relay(file_of(office.settings, "views")):
        lengthen(office, TOO_LONG)
        assert journal(office, "views").stat().st_size > TOO_LONG
        for _ in range(50):
            person("Grace", "Hopper")
            if journal(office, "views").stat().st_size <= JOURNAL:
                break
        else:
            pytest.fail("the journal goes on growing")
    assert office.views.verify() == []


def test_who_reads_the_views_for_long_is_not_waited_for_again_and_again(office: Office, person: Register) -> None:
    tries: list[str] = []

    def register() -> None:
        office.views.lend().driver.set_trace_callback(lambda said: tries.append(said) if "RESTART" in said else None)
        person("Grace", "Hopper")

    views = file_of(office.settings, "views")
    with outsider(views, "BEGIN", "SELECT count(*) FROM places"):
        lengthen(office, TOO_LONG)
        register()
        for _ in range(3):
            # Each thread has a connection of its own.
            another = threading.Thread(target=register)
            another.start()
            another.join()
        assert len(tries) == 1
        lengthen(office, LONGER)
        person("Grace", "Hopper")
        assert len(tries) == 2
    for _ in range(2):
        person("Grace", "Hopper")
    assert journal(office, "views").stat().st_size <= JOURNAL
    assert office.views.verify() == []


def damage(office: Office, make: Callable[[Path, Path], None]) -> None:
    """Close an office, and do something to its views that an old copy may be needed for."""
    views = file_of(office.settings, "views")
    old = views.with_name("old-views")
    office.views.catch_up()
    by_another(views, f"VACUUM INTO '{old}'")
    office.close()
    make(views, old)


@pytest.mark.parametrize("make", [corrupt, replace_by_noise])
def test_views_that_are_damaged_are_said_to_be_and_can_be_made_anew(
    office: Office, person: Register, settings: Settings, make: Callable[[Path, Path], None]
) -> None:
    person("Grace", "Hopper")
    end = office.log.position()
    damage(office, make)

    status, said = provider(settings, "views", "verify")
    assert status == 4
    assert said.startswith("Error: A database is damaged: ")
    assert "`provider views rebuild`" in said
    status, said = provider(settings, "views", "rebuild")
    assert status == 0
    assert f"All views rebuilt up to position {end}." in said
    again = bootstrap(settings, office.clock)
    assert again.views.verify() == []
    again.close()


def test_an_office_that_is_open_goes_on_with_the_views_that_were_made_in_place_of_damaged_ones(
    office: Office, person: Register, settings: Settings
) -> None:
    person("Grace", "Hopper")
    office.views.catch_up()
    by_another(file_of(settings, "views"), "PRAGMA wal_checkpoint(TRUNCATE)")
    # After its first page, from which on an open connection may find anything.
    with file_of(settings, "views").open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))

    assert provider(settings, "views", "rebuild")[0] == 0
    person("Ada", "Lovelace")
    assert office.views.position(office.views.lend()) == office.log.position()
    assert office.views.verify() == []


def test_views_are_never_deleted_for_damage_to_the_log(office: Office, person: Register, settings: Settings) -> None:
    person("Grace", "Hopper")
    office.close()
    replace_by_noise(settings.store("events"), settings.store("events"))
    before = file_of(settings, "views").read_bytes()

    status, said = provider(settings, "views", "rebuild")
    assert status == 4
    assert "damaged" in said
    assert file_of(settings, "views").read_bytes()[100:] == before[100:]


@pytest.mark.parametrize("make", [lay_old_file, lay_old_file_alone, roll_back])
def test_views_that_were_rolled_back_catch_up(
    office: Office, person: Register, settings: Settings, make: Callable[[Path, Path], None]
) -> None:
    views = file_of(settings, "views")
    old = views.with_name("old-views")
    by_another(views, f"VACUUM INTO '{old}'")
    person("Grace", "Hopper")
    office.close()
    make(views, old)

    again = bootstrap(settings, office.clock)
    assert again.views.position() == again.log.position()
    assert again.views.verify() == []
    again.close()


@contextmanager
def rolled_back(settings: Settings) -> Iterator[None]:
    """Put the views back at the end of the `with` to what they were at its beginning."""
    views = file_of(settings, "views")
    old = views.with_name("old-views")
    by_another(views, f"VACUUM INTO '{old}'")
    yield
    roll_back(views, old)


def test_views_rolled_back_under_an_open_office_catch_up_with_the_next_command(
    office: Office, person: Register, settings: Settings
) -> None:
    with rolled_back(settings):
        person("Grace", "Hopper")
    assert office.views.position() < office.log.position()
    person("Ada", "Lovelace")

    assert office.views.position() == office.log.position()
    assert office.views.verify() == []


def test_who_reads_views_that_were_rolled_back_sees_the_end_of_the_log(
    office: Office, person: Register, settings: Settings
) -> None:
    with rolled_back(settings):
        person("Grace", "Hopper")
    assert office.views.position() < office.log.position()

    read = office.views.lend()
    assert office.views.position(read) == office.log.position()
    read.end()


def test_a_good_mark_is_taken_though_the_views_were_rolled_back(
    office: Office, act: Acting, clock: Clock, settings: Settings
) -> None:
    room = Classroom(office, act, clock, "Ada")
    with rolled_back(settings):
        room.people["Bob"] = room.enrol("Bob")
    assert room.outcomes(room.said("Bob")) == ["applied"]


def test_what_sqlite_says_is_told_as_what_it_means(tmp_path: Path) -> None:
    file = tmp_path / "some.sqlite"
    with closing(sqlite3.connect(file, timeout=0)) as one, closing(sqlite3.connect(file, timeout=0)) as other:
        one.execute("CREATE TABLE things (name)")
        one.execute("BEGIN IMMEDIATE")
        locked = error_of(other, "BEGIN IMMEDIATE")
        one.rollback()
        one.execute("PRAGMA max_page_count = 3")
        full = error_of(one, "INSERT INTO things VALUES (zeroblob(100000))")
        missing = error_of(one, "SELECT * FROM others")
        mistaken = error_of(one, "SELECT nothing FROM things")
    shutil.copy(__file__, tmp_path / "text.sqlite")
    with closing(sqlite3.connect(tmp_path / "text.sqlite")) as text:
        noise = error_of(text, "SELECT 1 FROM sqlite_master")

    assert "locked by another program" in str(outage(locked))
    assert "disk is full" in str(outage(full))
    assert "taken away" in str(outage(missing))
    assert "is damaged" in str(outage(noise))
    assert outage(mistaken) is None
    assert [damaged(each) for each in (locked, full, missing, mistaken, noise)] == [False] * 4 + [True]


def test_what_postgresql_says_is_told_as_what_it_means() -> None:
    assert "disk is full" in str(outage(psycopg.errors.DiskFull()))
    assert "taken away" in str(outage(psycopg.errors.UndefinedTable()))
    assert "locked" in str(outage(psycopg.errors.LockNotAvailable()))
    assert "does not answer" in str(outage(psycopg.OperationalError("connection refused")))
    assert outage(psycopg.errors.UndefinedColumn()) is None


def error_of(raw: sqlite3.Connection, statement: str) -> sqlite3.Error:
    with pytest.raises(sqlite3.Error) as raised:
        raw.execute(statement).fetchall()
    return raised.value


def test_the_files_of_a_database_are_all_found(office: Office) -> None:
    events = office.settings.store("events")
    assert [file.name for file in files_of(events)] == ["events.sqlite", "events.sqlite-wal", "events.sqlite-shm"]


def test_who_waited_for_long_does_not_begin_to_wait_for_the_database_too(tmp_path: Path) -> None:
    turn, other = Turn(tmp_path / "turn"), Turn(tmp_path / "turn", patience=0.05)
    told = []

    def wait() -> None:
        try:
            with other.soon():
                told.append("had it")
        except TimeoutError:
            told.append("gave up")

    with turn:
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.2)
    waiting.join()
    assert told == ["gave up"]
    with other.soon():
        told.append("it is free again")
    turn.close()
    other.close()


def test_who_does_not_wait_for_a_turn_has_it_when_it_is_free(tmp_path: Path) -> None:
    turn, other = Turn(tmp_path / "turn"), Turn(tmp_path / "turn")
    for held in (turn, other):
        with held, turn.at_once() as alone:
            assert not alone
        with turn.at_once() as alone:
            assert alone
            with other.at_once() as also:
                assert not also
    with pytest.raises(RuntimeError), turn.at_once():
        raise RuntimeError
    with other.soon(), turn.at_once() as alone:
        assert not alone
    turn.close()
    other.close()


def test_no_change_is_taken_for_another_whatever_somebody_does_to_the_file(tmp_path: Path) -> None:
    turn, seen = Turn(tmp_path / "turn"), set[int]()
    for _ in range(3):
        with turn, turn.changing():
            assert turn.last_change() % 2 == 1
        assert turn.last_change() % 2 == 0
        seen.add(turn.last_change())
        (tmp_path / "turn").write_bytes(b"")
    assert len(seen) == 3
    turn.close()


def test_those_who_wait_for_a_turn_have_it_one_after_the_other_though_its_file_is_taken_away(tmp_path: Path) -> None:
    turns = [Turn(tmp_path / "turn") for _ in range(3)]
    inside: list[int] = []
    most: list[int] = []

    def take(turn: Turn) -> None:
        with turn:
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    waiting = [threading.Thread(target=take, args=(turn,)) for turn in turns]
    with closing(Turn(tmp_path / "turn")) as held, held:
        for each in waiting:
            each.start()
        time.sleep(0.1)
        (tmp_path / "turn").unlink()
        with turns[0].at_once() as alone:
            assert not alone
    for each in waiting:
        each.join(10)
    assert most == [1, 1, 1]
    for turn in turns:
        turn.close()


def test_a_request_does_not_wait_for_long_while_others_bring_the_views_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(**said: bool) -> bool:
        try:
            office.views.catch_up(**said)
        except TimeoutError:
            return False
        return True

    monkeypatch.setattr(office.views._turn, "_patience", 0.05)
    told: list[bool] = []
    waiting = [
        threading.Thread(target=lambda said=said: told.append(ended(**said))) for said in ({}, {"patient": True})
    ]
    with office.views._turn:
        for each in waiting:
            each.start()
        time.sleep(0.2)
    for each in waiting:
        each.join()
    assert sorted(told) == [False, True]


def test_how_long_nobody_left_word_is_known_unless_the_machine_was_started_anew(tmp_path: Path) -> None:
    turn, other = Turn(tmp_path / "turn"), Turn(tmp_path / "turn")
    assert (turn.noted(), turn.idle()) == (0, math.inf)
    before = time.monotonic()
    turn.note(7)
    assert other.noted() == 7
    assert 0 <= other.idle() <= time.monotonic() - before
    for said in ((7).to_bytes(8, "little"), struct.pack("<Qd", 7, time.monotonic() + 1_000)):
        # By a version that did not say when, or by a clock that has begun anew since.
        (tmp_path / "turn").write_bytes(said)
        assert (other.noted(), other.idle()) == (7, math.inf)
    turn.close()
    other.close()


def test_what_views_delete_is_not_written_over(office: Office) -> None:
    with office.views.reading() as read:
        assert read.driver.execute("PRAGMA secure_delete").fetchone() == (0,)
