"""Old and new programs side by side on one log: neither spoils the views of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projections.projection import Projection, Rows, number, uid, view_table
from provider.log import EventLog
from provider.views import Outdated, Views
from tests.provider.things import Thing

old_things = view_table("upgraded_things", uid("thing"), number("steps"), key=("thing",))


def projection(version: int) -> Projection:
    made = Projection("upgraded", version=version, tables=(old_things,))

    @made.on(Thing.Made)
    def _made(rows: Rows, event: Any) -> None:
        rows.add(old_things, thing=event.originator_id, steps=version)

    return made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog(tmp_path / "events.sqlite")
    yield log
    log.close()


def test_an_old_program_leaves_the_views_of_a_newer_one_alone(log: EventLog, tmp_path: Path) -> None:
    place = tmp_path / "views.sqlite"
    old, new = Views(place, log, [projection(1)]), Views(place, log, [projection(2)])
    old.open()
    log.record(Thing.make(), asked={})
    old.catch_up()

    new.open()
    log.record(Thing.make(), asked={})

    with pytest.raises(Outdated, match="Restart"):
        old.catch_up()
    with pytest.raises(Outdated), old.reading() as reading:
        old.position(reading)
    restarted = Views(place, log, [projection(1)])
    with pytest.raises(Outdated):
        restarted.open()
    new.catch_up()
    assert new.verify() == []
    for views in (old, new, restarted):
        views.close()


def test_a_program_with_one_view_more_is_a_newer_one(log: EventLog, tmp_path: Path) -> None:
    place = tmp_path / "views.sqlite"
    more_things = view_table("upgraded_more", uid("thing"), key=("thing",))
    old = Views(place, log, [projection(1)])
    new = Views(place, log, [projection(1), Projection("more", version=1, tables=(more_things,))])
    old.open()
    new.open()
    with pytest.raises(Outdated):
        old.catch_up()
    for views in (old, new):
        views.close()
