"""Editions of views in files: a link leads to the live one, and a swap leads it to another."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DatabaseError

from projections.projection import Reading, holds
from provider import views_in_files
from provider.log import EventLog
from provider.outage import damaged
from provider.views import Views
from provider.views_database import Writing
from provider.views_in_files import Connection, SqliteEdition, SqliteViews
from tests.provider.conftest import done_to
from tests.provider.things import Thing, counting, listed, listing, things

pytestmark = pytest.mark.sqlite


@pytest.fixture
def views(log: EventLog, tmp_path: Path) -> Iterator[Views]:
    views = opened(tmp_path, log)
    views.open()
    yield views
    views.close()


def opened(folder: Path, log: EventLog) -> Views:
    return Views(folder / "views.sqlite", log, [counting, listing])


def made(log: EventLog, steps: int = 0) -> Thing:
    thing = Thing.make()
    for _ in range(steps):
        thing.go()
    log.record(thing, asked={})
    return thing


def link(views: Views) -> Path:
    return cast(Path, views.place)


def in_the_folder(views: Views) -> list[str]:
    """Return the names of the files in which there are views."""
    return sorted(each.name for each in link(views).parent.glob("views*") if ".sqlite." not in each.name)


NOW = select(things.c.count).where(holds(things, None)).order_by(things.c.count)


def counted(views: Views) -> list[int]:
    return list(views.lend().execute(NOW).scalars())


def in_a_thread(do: Callable[[], object]) -> None:
    thread = Thread(target=do)
    thread.start()
    thread.join()


def test_a_rebuild_leads_the_link_to_another_file_and_leaves_no_other(log: EventLog, views: Views) -> None:
    made(log, steps=2)
    before = link(views).readlink()
    views.rebuild()

    after = link(views).readlink()
    assert after != before
    # Whoever copies the directory has a link to the copy.
    assert not after.is_absolute()
    assert [name for name in in_the_folder(views) if not name.endswith(("-wal", "-shm"))] == [
        after.name,
        link(views).name,
    ]
    assert (link(views).stat().st_mode & 0o777, after.suffix) == (0o600, ".sqlite")


def test_whoever_has_the_old_file_open_reads_the_new_one_next_and_writes_to_it(
    log: EventLog, views: Views, tmp_path: Path
) -> None:
    other = opened(tmp_path, log)
    made(log, steps=2)
    views.catch_up()
    with other.reading() as kept:
        assert counted(other) == [2]
        views.rebuild()
        made(log, steps=1)

        # One state from the first query to the end, though its file is gone.
        assert list(kept.execute(NOW).scalars()) == [2]
        other.catch_up()
    assert counted(other) == counted(views) == [1, 2]
    with other.reading() as read:
        assert list(read.execute(NOW).scalars()) == [1, 2]
    assert views.verify() == []
    other.close()


def test_a_state_that_was_borrowed_a_moment_ago_goes_on_through_a_swap(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a rebuild takes longer than a moment.
    monkeypatch.setattr("provider.views.A_MOMENT", 60)
    made(log)
    views.catch_up()
    lent = views.lend()
    assert views.position(lent) == 1
    in_a_thread(views.rebuild)

    assert views.lend(as_it_is=True) is lent
    assert views.lend() is not lent


def rebuild_again_and_again(folder: Path, times: int) -> None:
    log = EventLog(folder / "events.sqlite")
    views = opened(folder, log)
    for _ in range(times):
        views.rebuild()
    views.close()
    log.close()


@pytest.mark.slow
def test_nobody_sees_less_than_was_there_while_others_rebuild(log: EventLog, views: Views, tmp_path: Path) -> None:
    made(log)
    views.catch_up()
    rebuilding = [get_context("spawn").Process(target=rebuild_again_and_again, args=(tmp_path, 12)) for _ in range(2)]
    recorded, wrong, looks, done = [1], list[str](), [0, 0], Event()

    def look(which: int, reading: Callable[[], AbstractContextManager[Reading]]) -> None:
        while not done.is_set():
            least = recorded[0]
            views.catch_up(least)
            with reading() as read:
                # Each thing is one event, and one row in either table.
                found = [
                    read.execute(select(func.count()).select_from(table)).scalar_one() for table in (things, listed)
                ]
            if found[0] != found[1] or found[0] < least:
                wrong.append(f"{found} of {least}")
            looks[which] += 1

    @contextmanager
    def lent() -> Iterator[Reading]:
        read = views.lend()
        yield read
        read.end()

    @contextmanager
    def anew() -> Iterator[Reading]:
        # On a connection that nobody has had: it is opened while the link moves.
        other = opened(tmp_path, log)
        with closing(other), other.reading() as read:
            yield read

    lookers = [Thread(target=look, args=each) for each in ((0, lent), (1, anew))]
    for each in (*rebuilding, *lookers):
        each.start()
    while any(each.is_alive() for each in rebuilding):
        made(log)
        recorded[0] += 1
        views.catch_up()
    done.set()
    for looker in lookers:
        looker.join()

    assert [each.exitcode for each in rebuilding] == [0, 0]
    assert wrong == []
    assert min(looks) > 10
    assert views.verify() == []


@dataclass(frozen=True)
class Moving(SqliteViews):
    """Views whose link moves when they are opened, before or after their journal is."""

    moves: list[Callable[[], object]]
    after: bool = False

    def _set_up(self, connection: Connection) -> None:
        if self.after:
            super()._set_up(connection)
        if self.moves:
            self.moves.pop()()
        if not self.after:
            super()._set_up(connection)


@pytest.mark.parametrize("after", [False, True])
def test_a_file_that_a_swap_takes_away_while_it_is_opened_is_not_read(log: EventLog, views: Views, after: bool) -> None:
    made(log)
    views.catch_up()
    moving = Moving(link(views), [views.rebuild, views.rebuild], after)

    with closing(moving._connect()) as connection:
        assert connection.identity == (link(views).stat().st_dev, link(views).stat().st_ino)
        assert connection.execute("SELECT count(*) FROM test_things").fetchone() == (1,)
    assert moving.moves == []


def test_a_link_that_moves_whenever_it_is_followed_is_an_error_in_the_end(views: Views) -> None:
    moving = Moving(link(views), [views.rebuild] * views_in_files.ATTEMPTS)

    with pytest.raises(sqlite3.OperationalError, match="leads to another file"):
        moving._connect()


def test_views_whose_file_is_gone_are_made_again(log: EventLog, views: Views, tmp_path: Path) -> None:
    made(log, steps=1)
    views.catch_up()
    views.close()
    link(views).resolve().unlink()

    again = opened(tmp_path, log)
    assert again.open()
    assert counted(again) == [1]
    again.close()


def test_a_file_where_the_link_should_be_is_as_good_until_it_is_replaced_by_one(
    log: EventLog, views: Views, tmp_path: Path
) -> None:
    made(log, steps=1)
    views.catch_up()
    views.close()
    # As versions before there were links had it, and as it is where a copy followed the link.
    link(views).resolve().replace(link(views))

    again = opened(tmp_path, log)
    assert not again.open()
    made(log, steps=2)
    again.catch_up()
    assert counted(again) == [1, 2]
    assert not link(views).is_symlink()
    again.rebuild()
    assert counted(again) == [1, 2]
    assert link(views).is_symlink()
    again.close()
    assert in_the_folder(views) == [link(views).readlink().name, link(views).name]


def test_views_that_were_taken_away_under_a_server_are_read_until_there_are_others(
    log: EventLog, views: Views, tmp_path: Path
) -> None:
    made(log, steps=1)
    views.catch_up()
    link(views).unlink()
    assert counted(views) == [1]

    again = opened(tmp_path, log)
    again.open()
    made(log, steps=2)
    again.catch_up()
    assert counted(views) == counted(again) == [1, 2]
    again.close()


def test_an_empty_edition_is_not_gone_on_with_in_place_of_one_that_was_made(
    log: EventLog, views: Views, tmp_path: Path
) -> None:
    made(log, steps=1)
    views.catch_up()
    link(views).resolve().unlink()
    with closing(SqliteViews(link(views))._connect()) as other:
        assert other.execute("SELECT * FROM sqlite_master").fetchall() == []

    made(log, steps=2)
    assert views.catch_up() == 5
    assert counted(views) == [1, 2]
    again = opened(tmp_path, log)
    assert again.open()
    again.close()
    made(log, steps=3)
    views.catch_up()
    assert counted(views) == [1, 2, 3]
    assert views.verify() == []
    assert not [name for name in in_the_folder(views) if "empty" in name]


def test_who_waited_for_a_swap_with_the_right_to_write_writes_to_what_is_live(log: EventLog, views: Views) -> None:
    made(log)
    views.catch_up()
    live = link(views).resolve()
    done_to(live, "PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(sqlite3.connect(live, isolation_level=None)) as swapping:
        swapping.execute("BEGIN IMMEDIATE")
        made(log)
        waiting = Thread(target=views.catch_up)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        new = live.with_name(f"{link(views).stem}.12345678.sqlite")
        new.write_bytes(live.read_bytes())
        SqliteViews(link(views)).lead_to(new)
    waiting.join(10)

    assert done_to(new, "SELECT position FROM places") == [(2,)]
    assert done_to(live, "SELECT position FROM places") == [(1,)]


def test_to_look_at_views_makes_no_file(views: Views) -> None:
    views.close()
    link(views).resolve().unlink()
    before = in_the_folder(views)
    SqliteViews(link(views)).engine().dispose()

    assert in_the_folder(views) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="Only an administrator makes views for others.")
def test_what_an_administrator_makes_belongs_to_whoever_owns_the_directory(
    log: EventLog, views: Views, tmp_path: Path
) -> None:
    os.chown(tmp_path, 12_345, 12_346)
    views.rebuild()

    found = link(views).stat()
    assert (found.st_uid, found.st_gid) == (12_345, 12_346)


class Cut(Exception):
    """Ends a rebuild in the middle."""


def cut_short(views: Views) -> Path:
    """Let a rebuild end after its first page, and return what it leaves."""

    def end(*_: int) -> None:
        raise Cut

    views.maker.page = 4
    with pytest.raises(Cut):
        views.rebuild(end)
    left = cast(SqliteEdition, views.maker.edition).path
    assert done_to(left, "SELECT max(position) FROM places") == [(4,)]
    # Whoever goes on with it is found out.
    done_to(left, "UPDATE test_things SET count = 77")
    return left


def how_far(views: Views) -> list[int]:
    told: list[int] = []
    views.rebuild(lambda done, _: told.append(done))
    return told


def test_what_was_made_before_a_power_cut_is_not_gone_on_with(
    log: EventLog, views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(log, steps=9)
    left = cut_short(views)
    views.close()
    (tmp_path / "boot_id").write_text("another")
    monkeypatch.setattr(views_in_files, "_BOOT", tmp_path / "boot_id")

    again = opened(tmp_path, log)
    again.maker.page = 4
    # Nothing of it waited for the disk.
    assert how_far(again) == [4, 8, 10]
    assert again.verify() == []
    assert not left.exists()
    again.close()


def test_what_was_copied_while_it_was_made_is_not_gone_on_with(log: EventLog, views: Views, tmp_path: Path) -> None:
    made(log, steps=9)
    cut_short(views)
    views.close()
    there = tmp_path / "there"
    there.mkdir()
    for file in in_the_folder(views):
        (there / file).write_bytes((tmp_path / file).read_bytes())

    copy = opened(there, log)
    copy.maker.page = 4
    assert how_far(copy) == [4, 8, 10]
    assert copy.verify() == []
    copy.close()
    assert len(in_the_folder(copy)) == 2


def test_only_files_that_are_damaged_are_deleted(log: EventLog, views: Views) -> None:
    made(log, steps=9)
    views.catch_up()
    left = cut_short(views)
    assert not SqliteViews(link(views)).delete_damaged()
    with left.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)

    with pytest.raises(DatabaseError, match="malformed") as told:
        views.rebuild()
    assert damaged(told.value)
    assert SqliteViews(link(views)).delete_damaged()
    assert counted(views) == [9]
    assert how_far(views) == [4, 8, 10]
    assert views.verify() == []


def test_an_empty_file_never_takes_the_place_of_views_that_were_made_meanwhile(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(log)
    views.rebuild()
    live, link_of = link(views).resolve(), link(views)
    away = link_of.with_name("away")
    link_of.rename(away)

    def made_meanwhile(file: Path) -> None:
        make_private(file)
        away.rename(link_of)

    make_private = views_in_files.make_private
    monkeypatch.setattr(views_in_files, "make_private", made_meanwhile)
    SqliteViews(link_of)._make_sure()

    assert link_of.resolve() == live
    assert [file.stem for file in link_of.parent.glob("views*.sqlite")] == sorted([live.stem, link_of.stem])


def test_who_was_cut_short_leads_nowhere_when_another_has_brought_it_to_its_end(
    log: EventLog, views: Views, tmp_path: Path
) -> None:
    made(log, steps=9)
    left = cut_short(views)
    done_to(left, "UPDATE test_things SET count = 3")
    other = opened(tmp_path, log)
    other.rebuild()
    live = link(views).resolve()

    # What it had open is the live file by now, and it makes one of its own.
    assert how_far(views) == [4, 8, 10]
    assert link(views).resolve() != live
    assert counted(other) == counted(views) == [9]
    assert views.verify() == []
    other.close()


def test_where_no_boot_is_known_nothing_is_gone_on_with_by_another_process(
    views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_in_files, "_BOOT", tmp_path / "nothing")
    mine = views._database.edition()
    monkeypatch.setattr(os, "getpid", lambda: 1)

    assert views._database.edition() != mine


def test_an_edition_that_goes_live_has_reached_the_disk_before_anybody_waits_for_it(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(log)
    with views.maker.alone():
        views.maker.make()
        connection = views.maker.connection.driver
        written = cast(SqliteEdition, views.maker.edition).path.read_bytes()[24:28]
        views.maker.edition.settle(views.maker.connection)

        # Each transaction that changed anything has counted, and waited for all that was written before.
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert cast(SqliteEdition, views.maker.edition).path.read_bytes()[24:28] > written


def test_no_edition_goes_live_that_may_not_have_reached_the_disk(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = list[SqliteEdition]()
    settle, go_live = SqliteEdition.settle, SqliteEdition.go_live

    def noted(edition: SqliteEdition, connection: Writing) -> None:
        settle(edition, connection)
        settled.append(edition)

    def looked(edition: SqliteEdition, live: Writing, connection: Writing, *rest: Any) -> bool:
        assert settled == [edition]
        assert connection.driver.execute("PRAGMA synchronous").fetchone() == (2,)
        return go_live(edition, live, connection, *rest)

    monkeypatch.setattr(SqliteEdition, "settle", noted)
    monkeypatch.setattr(SqliteEdition, "go_live", looked)
    made(log)
    views.rebuild()
    assert counted(views) == [0]


def test_nobody_else_may_look_into_a_file_in_which_nothing_is_yet(tmp_path: Path) -> None:
    fresh = SqliteViews(tmp_path / "views-12345678.sqlite")
    with closing(fresh._connect()):
        assert fresh.path.stat().st_mode & 0o777 == 0o600


def test_two_halves_are_one_edition_with_all_indexes(log: EventLog, views: Views) -> None:
    for steps in range(5):
        made(log, steps=steps)
    views.catch_up()
    views.maker.worth_two = 0
    views.rebuild()

    assert views.verify() == []
    assert counted(views) == [0, 1, 2, 3, 4]
    indexes = done_to(link(views), "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    assert indexes == [(1,)]
    assert len(done_to(link(views), "SELECT * FROM places")) == 1


def test_two_halves_that_were_brought_together_are_gone_on_with_as_one(
    log: EventLog, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    for steps in range(5):
        made(log, steps=steps)
    views.maker.worth_two = 0

    def end(*_: Any) -> bool:
        raise Cut

    with monkeypatch.context() as ended:
        ended.setattr(views, "_swap_in", end)
        with pytest.raises(Cut):
            views.rebuild()
    made(log)

    # From where it had come, and in this process.
    assert how_far(views) == [15, 16]
    assert views.verify() == []


def test_nothing_is_left_of_views_that_are_dropped_not_even_what_was_never_finished(
    log: EventLog, views: Views, tmp_path: Path
) -> None:
    made(log, steps=9)
    cut_short(views)
    views.close()
    mine = {f"{link(views).stem}.notes.sqlite", f"{link(views).stem}.12345678.sqlite.bak"}
    for name in mine:
        (tmp_path / name).write_text("mine")

    assert SqliteViews(link(views)).drop()
    assert {file.name for file in tmp_path.glob("views*")} == mine


def test_a_link_to_nothing_is_dropped_like_other_views_that_nobody_uses(log: EventLog, views: Views) -> None:
    (link(views).parent / "views-00000000.sqlite").symlink_to("views-00000000.00000000.sqlite")

    assert views.drop_others() == 1
    assert not (link(views).parent / "views-00000000.sqlite").is_symlink()
