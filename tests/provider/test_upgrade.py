"""Old and new versions of the program side by side on one log, without a pause and without harm to each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from projections.projection import Projection, Rows, holds, number, uid, view_table
from provider.log import EventLog
from provider.office import Office
from provider.schema import Place, Schema
from provider.views import Views, place_of
from tests.provider.conftest import Places, done_to
from tests.provider.releases import Told, run, shapes
from tests.provider.things import Thing

upgraded = view_table("upgraded_things", uid("thing"), number("steps"), key=("thing",))


def projection(version: int) -> Projection:
    """Return a view that says of each thing by which version it was written down."""
    made = Projection("upgraded", version=version, tables=(upgraded,))

    @made.on(Thing.Made)
    def _made(rows: Rows, event: Any) -> None:
        rows.add(upgraded, thing=event.originator_id, steps=version)

    return made


def seen(views: Views) -> list[int]:
    with views.reading() as read:
        return [row.steps for row in read.execute(select(upgraded).where(holds(upgraded, None)))]


def is_there(place: Place, others: Views) -> bool:
    """Say whether there are views at a place, as others see it who lie beside them."""
    return place in [getattr(each, "path", None) or each.place for each in others._database.others()]


@pytest.fixture
def old(log: EventLog, place: Places) -> Iterator[Views]:
    views = Views(place("views"), log, [projection(1)])
    views.open()
    yield views
    views.close()


@pytest.fixture
def new(log: EventLog, place: Places) -> Iterator[Views]:
    views = Views(place("views"), log, [projection(2)])
    yield views
    views.close()


def test_the_old_version_serves_while_the_new_one_makes_its_views_and_afterwards(
    log: EventLog, old: Views, new: Views
) -> None:
    log.record(Thing.make(), asked={})
    served: list[list[int]] = []

    def serve(_done: int, _of: int) -> None:
        old.catch_up(log.record(Thing.make(), asked={}).position)
        served.append(seen(old))

    assert new.open(serve)

    # What was recorded meanwhile came into both.
    assert served == [[1, 1]]
    new.catch_up(log.record(Thing.make(), asked={}).position)
    old.catch_up()
    assert (seen(old), seen(new)) == ([1, 1, 1], [2, 2, 2])
    assert (old.verify(), new.verify()) == ([], [])


def test_whoever_goes_back_to_the_old_version_finds_its_views_as_they_were(
    log: EventLog, old: Views, new: Views, place: Places
) -> None:
    log.record(Thing.make(), asked={})
    old.catch_up()
    old.close()
    new.open()
    log.record(Thing.make(), asked={})

    again = Views(place("views"), log, [projection(1)])

    assert not again.open()
    again.catch_up()
    assert seen(again) == [1, 1]
    again.close()


def test_views_that_somebody_uses_are_not_dropped_and_those_that_nobody_uses_are(
    log: EventLog, old: Views, new: Views, place: Places
) -> None:
    log.record(Thing.make(), asked={})
    old.catch_up()
    new.open()

    assert new.drop_others() == 0
    assert seen(old) == [1]
    old.close()
    assert is_there(old.place, new)
    assert new.drop_others() == 1

    assert not is_there(old.place, new)
    assert seen(new) == [2]
    again = Views(place("views"), log, [projection(1)])
    assert again.open()
    assert seen(again) == [1]
    again.close()


@pytest.mark.sqlite
def test_nothing_is_left_of_views_that_were_dropped_and_no_other_file_is_touched(
    old: Views, new: Views, tmp_path: Path
) -> None:
    new.open()
    mine = {file.name for file in tmp_path.iterdir() if file.name.startswith(new.place.stem)}
    beside = {"viewsonic.txt", "views_of_the_board.sqlite", "views-before-i-tried.sqlite", "views-0badcafe.sqlite.bak"}
    for name in beside:
        (tmp_path / name).write_text("a note")
    (tmp_path / "views-0badcafe.sqlite").mkdir()
    old.close()

    new.drop_others()

    left = {file.name for file in tmp_path.iterdir() if not file.name.startswith("events")}
    assert left == {*mine, *beside, "views-0badcafe.sqlite"}


@pytest.mark.postgresql
def test_schemas_of_others_are_left_alone_whatever_they_are_called(old: Views, new: Views) -> None:
    new.open()
    assert isinstance(old.place, Schema)
    done_to(
        old.place,
        "CREATE SCHEMA views_reporting; CREATE TABLE views_reporting.places (a int);"
        "CREATE SCHEMA views_0badcafe; CREATE TABLE views_0badcafe.notes (a int)",
    )
    old.close()

    assert new.drop_others() == 1

    left = done_to(new.place, "SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, 'views')")
    assert {name for (name,) in left} == {new.place.name, "views_reporting", "views_0badcafe"}


def test_the_sweep_drops_the_views_of_another_version(office: Office) -> None:
    before = Views(office.settings.place("views"), office.log, [projection(1)])
    before.open()

    assert office.sweep().views == 0
    before.close()
    assert office.sweep().views == 1
    assert office.views.verify() == []


def test_a_view_more_makes_another_set(tmp_path: Path) -> None:
    place = tmp_path / "views.sqlite"
    one, two = projection(1), Projection("other", version=1, tables=())

    assert len({place_of(place, each) for each in ([one], [two], [one, two], [projection(2), two])}) == 4
    assert place_of(place, [one, two]) == place_of(place, [two, one])


def test_a_new_view_and_a_new_event_come_into_use_without_a_pause(place: Places) -> None:
    """As releases.py tells: first all programs learn to read the new event, then they are let to store it."""
    events, views = place("events"), place("views")

    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:

        def side_by_side(older: int, newer: int, seats: int, upto: int) -> tuple[Told, Told]:
            both = [processes.submit(run, release, events, views, seats, upto) for release in (older, newer)]
            # Whoever fails first says why; the other only waits for it.
            for done in as_completed(both):
                done.result()
            return both[0].result(), both[1].result()

        first, second = side_by_side(1, 2, 10, 40)
        assert set(shapes(events)) == {1}
        again, third = side_by_side(2, 3, 10, 80)

    assert sorted(set(shapes(events))) == [1, 2]
    assert [told.differences for told in (first, second, again, third)] == [[], [], [], []]
    assert (set(first.prices.values()), len(first.prices)) == ({"590.00"}, 20)
    assert (set(second.prices.values()), len(second.prices)) == ({"590.00 EUR"}, 20)
    assert again.prices == third.prices
    assert (set(third.prices.values()), len(third.prices)) == ({"590.00 EUR"}, 40)
    # The second has views of its own beside those of the first; the third goes on with those of the second.
    assert first.place != second.place == again.place == third.place
    assert (first.made_anew, second.made_anew, again.made_anew, third.made_anew) == (True, True, False, False)
