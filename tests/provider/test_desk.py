"""Staged imports: kept for a day, encrypted, and destroyed with their key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from provider.desk import Desk
from provider.durable import open_engine, upgrade
from provider.keys import Damaged, Keys
from provider.schema import Place
from tests.provider.conftest import Places, done_to

COURSE = uuid4()
FILE = b"Order #,First Name,Email\r\n1,Quillfeather,ada@example.org\r\n" * 50
DAY = 24 * 60 * 60


@dataclass
class Room:
    """A desk in a real database, and the time there."""

    place: Place
    desk: Desk
    keys: Keys
    now: float

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return done_to(self.place, statement, *values)


@pytest.fixture
def room(place: Places) -> Iterator[Room]:
    engines = {name: open_engine(place(name)) for name in ("keys", "desk")}
    for name, engine in engines.items():
        upgrade({name: engine})
    keys = Keys(engines["keys"])
    room = Room(place("desk"), Desk(engines["desk"], keys, clock=lambda: room.now), keys, 1_800_000_000)
    yield room
    keys.close()
    for engine in engines.values():
        engine.dispose()


def test_a_staged_file_is_there_as_it_was_given(room):
    staged = room.desk.stage(course=COURSE, content=FILE)

    assert room.desk.staged(staged.id) == staged
    assert (staged.course, staged.content) == (COURSE, FILE)
    assert staged.expires_at - staged.created_at == DAY
    assert "Quillfeather" not in repr(staged)


def test_an_unknown_file_is_none(room):
    assert room.desk.staged(uuid4()) is None


def test_after_a_day_it_is_gone_though_nobody_has_swept(room):
    staged = room.desk.stage(course=COURSE, content=FILE)
    room.now += DAY - 1
    assert room.desk.staged(staged.id) == staged
    room.now += 1
    assert room.desk.staged(staged.id) is None


def test_a_sweep_destroys_what_is_over_with_its_key_and_spares_the_rest(room):
    old = room.desk.stage(course=COURSE, content=FILE)
    room.now += DAY
    young = room.desk.stage(course=COURSE, content=FILE)

    assert room.desk.sweep() == 1

    assert room.keys.of(old.id) is None
    assert room.desk.staged(young.id) == young
    assert room.sql("SELECT count(*) FROM staged_imports") == [(1,)]
    assert room.desk.sweep() == 0


def test_a_discarded_file_is_gone_and_may_be_discarded_again(room):
    staged = room.desk.stage(course=COURSE, content=FILE)
    room.desk.discard(staged.id)
    room.desk.discard(staged.id, uuid4())
    room.desk.discard()
    assert room.desk.staged(staged.id) is None


def test_a_file_in_a_backup_is_noise_once_it_was_discarded(room):
    staged = room.desk.stage(course=COURSE, content=FILE)
    [row] = room.sql("SELECT * FROM staged_imports")
    room.desk.discard(staged.id)

    room.sql("INSERT INTO staged_imports VALUES (?, ?, ?, ?, ?)", *row)

    assert room.desk.staged(staged.id) is None


@pytest.mark.sqlite
def test_no_line_of_a_file_lies_readable_on_the_desk(room, tmp_path: Path):
    staged = room.desk.stage(course=COURSE, content=FILE)
    there = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert staged.id.hex.encode() in there
    assert b"Quillfeather" not in there
    assert b"ada@example.org" not in there


@pytest.mark.parametrize("column", ["course", "sealed"])
def test_a_changed_row_is_refused(room, column):
    staged = room.desk.stage(course=COURSE, content=FILE)
    other = uuid4().hex if column == "course" else b"x" * 100
    room.sql(f"UPDATE staged_imports SET {column} = ?", other)
    with pytest.raises(Damaged):
        room.desk.staged(staged.id)
