"""What anybody is told is on the disk: those who record at once wait for it together, outside of their turn."""

from __future__ import annotations

import errno
import gc
import os
import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from eventsourcing.persistence import InterfaceError

from provider import sqlite
from provider.commands import courses
from provider.log import EventLog
from provider.office import Office
from provider.outage import DiskFailed
from provider.sqlite import Datastore
from provider.views import Views
from provider.work import Stale
from tests.academy import Acting
from tests.classroom import Classroom, seated
from tests.conftest import Clock
from tests.idempotency import key_of
from tests.provider.things import SOMEBODY, Thing, counting
from tests.stage import Stage

pytestmark = pytest.mark.sqlite

KEY = key_of(SOMEBODY, "a key of mine", b"POST", b"/v1/things", b"{}")


class Disk:
    """The disk, which remembers how far the log was that it was asked to keep, and fails when it is told to."""

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.asked: list[int] = []
        """The descriptors by which it was asked."""
        self.fails = False
        self.slow: threading.Event | None = None
        self.reached = threading.Event()

    def __call__(self, file: int) -> None:
        self.asked.append(file)
        journal = Path(f"/proc/self/fd/{file}").readlink()
        with closing(sqlite3.connect(journal.with_name(journal.name.removesuffix("-wal")))) as beside:
            (last,) = beside.execute("SELECT max(rowid) FROM stored_events").fetchone()
        if (slow := self.slow) is not None:
            self.slow = None
            self.reached.set()
            assert slow.wait(10)
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        os.fdatasync(file)
        self.kept.append(last or 0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(sqlite, "to_disk", disk)
    return disk


@pytest.fixture
def views(log: EventLog, tmp_path: Path) -> Iterator[Views]:
    views = Views(tmp_path / "views.sqlite", log, [counting])
    views.open()
    yield views
    views.close()


def recorded(log: EventLog) -> int:
    position = log.record(Thing.make(), asked={}).position
    assert position is not None
    return position


def test_an_event_is_on_the_disk_before_it_is_acknowledged(log: EventLog, disk: Disk) -> None:
    for _ in range(3):
        assert recorded(log) == disk.kept[-1]
    with log.factory.datastore.transaction(commit=False) as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone()[0] == "wal"
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == 1, "a checkpoint waits for the disk, so that the file is never damaged"


def test_each_connection_keeps_the_journal_open_until_it_is_closed(log: EventLog, disk: Disk) -> None:
    other = threading.Thread(target=lambda: [recorded(log), recorded(log)])
    other.start()
    other.join()
    gc.collect()
    recorded(log)
    recorded(log)
    assert disk.asked[0] == disk.asked[1]
    assert disk.asked[2] == disk.asked[3]
    place = cast(Path, log.place)
    assert journals(place) == {disk.asked[2]}, "that of a thread that has ended is closed"
    log.close()
    assert journals(place) == set()


def journals(log: Path) -> set[int]:
    """Return the descriptors by which this process has the journal open for nothing but reading."""
    found = set()
    for file in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            reads = int(Path(f"/proc/self/fdinfo/{file.name}").read_text().split("flags:")[1].split()[0], 8) & 3 == 0
            if reads and str(file.readlink()) == f"{log}-wal":
                found.add(int(file.name))
    return found


def test_a_journal_that_cannot_be_opened_for_a_moment_is_no_disk_that_failed(log: EventLog, disk: Disk) -> None:
    recorded(log)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept = [os.open(os.devnull, os.O_RDONLY)]

    def connect(spare: int) -> None:
        # Enough for a database, and at last not for its journal.
        for _ in range(spare):
            os.close(kept.pop())
        try:
            with suppress(InterfaceError, sqlite3.Error, OSError):
                recorded(log)
        finally:
            with suppress(OSError):
                while True:
                    kept.append(os.dup(kept[0]))

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (kept[0] + 20, hard))
        with suppress(OSError):
            while True:
                kept.append(os.dup(kept[0]))
        for spare in range(6):
            other = threading.Thread(target=connect, args=(spare,))
            other.start()
            other.join()
            gc.collect()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for file in kept:
            os.close(file)
    assert recorded(log) > 1


@pytest.mark.parametrize("link", ["events.sqlite", "."])
def test_a_log_behind_a_link_is_waited_for_where_it_is(tmp_path: Path, disk: Disk, link: str) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    EventLog(there / "events.sqlite").close()
    if link == ".":
        here.symlink_to(there)
    else:
        here.mkdir()
        (here / link).symlink_to(there / link)
    log = EventLog(here / "events.sqlite")
    recorded(log)
    assert journals(there / "events.sqlite") == {disk.asked[-1]}
    log.close()


def test_nobody_waits_until_the_disk_has_what_somebody_else_recorded(log: EventLog, disk: Disk) -> None:
    disk.slow = threading.Event()
    first = threading.Thread(target=recorded, args=(log,))
    slow = disk.slow
    first.start()
    assert disk.reached.wait(10)
    assert recorded(log) == 2
    assert first.is_alive()
    slow.set()
    first.join()
    assert disk.kept == [2, 1]


def test_the_views_say_nothing_that_could_be_lost_in_the_log(log: EventLog, views: Views, disk: Disk) -> None:
    other = EventLog(log.place)
    end = recorded(other)
    assert disk.kept == [end]
    assert views.catch_up(end) == end
    assert disk.kept == [end, end], "another process may have been about to wait for it"
    log.entries.settle(end)
    assert disk.kept == [end, end], "it is known to be there"
    recorded(other)
    disk.fails = True
    with pytest.raises(DiskFailed):
        views.catch_up()
    assert views.position() == end
    with pytest.raises(DiskFailed):
        views.rebuild()
    assert views.position() == end
    other.close()


def test_the_views_wait_for_nothing_that_this_process_knows_on_the_disk(
    log: EventLog, views: Views, disk: Disk
) -> None:
    end = recorded(log)
    assert views.catch_up(end) == end
    assert disk.kept == [end]


def test_what_the_disk_did_not_take_is_told_to_nobody_until_the_program_is_started_again(
    log: EventLog, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fails = True
    with pytest.raises(DiskFailed):
        log.record(Thing.make(), asked={}, key=KEY)
    disk.fails = False
    for again in (lambda: log.answered(KEY), lambda: recorded(log)):
        with pytest.raises(DiskFailed):
            again()
    assert [each.levelname for each in caplog.records] == ["CRITICAL"]

    started_again = EventLog(log.place)
    # What the disk did not take is in the memory of the system, which would not write it again: it is in the database.
    with closing(sqlite3.connect(f"file:{log.place}?mode=ro&immutable=1", uri=True)) as home:
        assert home.execute("SELECT count(*) FROM stored_events").fetchone() == (1,)
    receipt = started_again.answered(KEY)
    assert receipt is not None
    assert receipt.position == 1
    started_again.close()


def test_who_was_connected_when_the_disk_failed_is_told_of_it(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    other = EventLog(log.place)
    other.position()
    told: set[int] = set()
    had_it_open = {*journals(cast(Path, log.place))}

    def fail(file: int) -> None:
        # As the system does: each that had the file open is told once, and nobody who opens it later.
        if file in had_it_open - told:
            told.add(file)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert len(had_it_open) == 2
    monkeypatch.setattr(sqlite, "to_disk", fail)
    for each in (log, other):
        with pytest.raises(DiskFailed):
            recorded(each)
    other.close()


def test_a_used_key_is_answered_when_its_answer_is_on_the_disk(log: EventLog, disk: Disk) -> None:
    other = EventLog(log.place)
    other.record(Thing.make(), asked={}, key=KEY)
    assert log.answered(KEY) is not None
    assert disk.kept == [1, 1]
    other.close()


def test_what_is_beside_the_views_could_not_be_lost_in_the_log(log: EventLog, views: Views, disk: Disk) -> None:
    other = EventLog(log.place)
    end = recorded(other)
    views.maker.make()
    assert disk.kept == [end, end]
    other.close()


class TestACommand:
    @pytest.fixture
    def stage(self) -> Stage[Classroom]:
        return seated("Ada")

    @pytest.fixture
    def room(self, office: Office, act: Acting, clock: Clock, stage: Stage[Classroom]) -> Classroom:
        return stage.played.at(office, act, clock)

    def test_that_finds_it_done_waits_until_that_is_on_the_disk(self, room: Classroom, disk: Disk) -> None:
        mark = room.said("Ada")
        position = room.mark(mark).position
        assert disk.kept == [position]
        assert room.mark(mark).position is None
        assert disk.kept == [position, position]

    def test_that_is_refused_waits_until_what_it_was_refused_by_is_on_the_disk(
        self, office: Office, act: Acting, room: Classroom, disk: Disk
    ) -> None:
        end = office.log.position()
        with pytest.raises(Stale):
            courses.cancel(office, replace(act(), version=1), course=room.course, reason="ill")
        assert disk.kept == [end]


def test_where_there_can_be_no_journal_a_commit_is_on_the_disk_by_itself(tmp_path: Path, disk: Disk) -> None:
    # By the name of the file alone, SQLite is told to do without shared memory, as some file systems have none.
    store = Datastore(f"file:{tmp_path}/events.sqlite?vfs=unix-dotfile")
    with store.transaction(commit=False) as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone()[0] == "delete"
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == 2
    store.settle()
    assert disk.kept == []
    store.close()
