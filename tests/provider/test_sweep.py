"""What was only to be kept for a day, and goes; and what must stay."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

from domain.private import Private
from projections import directory
from provider.commands import people
from provider.log import IdempotencyKey
from provider.office import Office, Swept
from provider.settings import Settings
from tests.academy import Acting
from tests.conftest import Clock
from tests.graduates import graduated
from tests.idempotency import key_of
from tests.postgres import looked_up


def handles_in(said: Any) -> Iterator[Private]:
    """Yield the handles in an event, or in a value of one."""
    if isinstance(said, Private):
        yield said
    elif isinstance(said, (tuple, list)):
        for each in said:
            yield from handles_in(each)
    elif dataclasses.is_dataclass(said) or hasattr(said, "originator_id"):
        for each in vars(said).values():
            yield from handles_in(each)


def test_every_handle_in_the_life_of_a_course_is_found(settings: Settings, clock: Clock) -> None:
    office = graduated().copied(settings, clock)
    named: set[Private] = set()
    for stream in {UUID(entry[1]) for entry in office.log.entries.page(0, 10_000)}:
        for event in office.log.events.get(stream):
            named.update(handles_in(event))
    assert len(named) > 10
    told: list[tuple[int, int]] = []
    found = set(office.log.handles(lambda done, of: told.append((done, of))))
    assert named <= found
    end = office.log.position()
    assert told[-1] == (end, end)
    office.close()


def test_what_is_older_than_a_day_goes_and_what_is_in_use_stays(
    office: Office, act: Acting, clock: Clock, admin: UUID
) -> None:
    key: IdempotencyKey = key_of(admin, "the-key-of-ada", b"{}")
    ada = people.register(office, act(key=key), given="Ada", family=None, email="ada@example.org").id
    orphan = office.vault.seal(uuid4(), "a name that a rule refused")
    file = office.desk.stage(course=uuid4(), content=b"First Name,Last Name")
    then = f"{clock():%Y-%m-%dT%H:%M:%S}.000Z"
    looked_up(office.settings, "events", f"UPDATE idempotency SET recorded_at = '{then}'")
    clock.move(hours=23, minutes=59)
    young = office.vault.seal(uuid4(), "a name of a command under way")
    assert office.sweep() == Swept(files=0, answers=0, values=0, views=0)
    assert office.log.answered(key) is not None

    clock.move(minutes=2)
    assert office.sweep() == Swept(files=1, answers=1, values=1, views=0)

    assert (office.vault.open_one(orphan), office.desk.staged(file.id)) == (None, None)
    assert office.vault.open_one(young) == "a name of a command under way"
    assert office.log.answered(key) is None
    with office.views.reading() as read:
        row = directory.person(read, ada)
    assert row is not None
    assert (office.vault.open_one(row["given"]), office.vault.open_one(row["email"])) == ("Ada", "ada@example.org")
    assert office.sweep() == Swept(files=0, answers=0, values=0, views=0)
