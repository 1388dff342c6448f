"""A store that fails: who asked is told the truth, and when to ask again, and nothing is recorded twice."""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from domain.person import Person
from provider import sqlite
from provider.bootstrap import bootstrap
from provider.office import Office
from tests.conftest import Caller, Clock
from tests.faults.lost_views import roll_back
from tests.faults.office import by_another
from tests.stores import file_of

pytestmark = pytest.mark.sqlite


@contextmanager
def full_disk(store: Path) -> Iterator[None]:
    """Let no file of this process grow beyond what a journal has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{store}-wal").stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def must_be_told(answer: Any, what: str) -> None:
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert what in answer.json["detail"]
    assert answer.json["type"] == "/problems/store-unavailable"


def people(office: Office) -> int:
    return sum(entry[3] == Person.Registered.TOPIC for entry in office.log.entries.page(0, 10_000))


@pytest.mark.parametrize("store", ["vault", "events"])
def test_on_a_full_disk_nothing_is_acknowledged_and_the_same_can_be_sent_again(
    office: Office, registrar_caller: Caller, store: str
) -> None:
    registrar_caller.post("/v1/people", {"given": "Grace"})
    before, key = people(office), uuid4().hex
    with full_disk(file_of(office.settings, store)):
        must_be_told(registrar_caller.post("/v1/people", {"given": "Ada"}, key=key), "disk is full")
        assert people(office) == before

    assert registrar_caller.post("/v1/people", {"given": "Ada"}, key=key).status_code == 201
    assert registrar_caller.post("/v1/people", {"given": "Ada"}, key=key).headers["Idempotent-Replayed"] == "true"
    assert people(office) == before + 1
    assert office.views.verify() == []


def test_a_disk_that_fails_is_told_until_the_server_is_started_again(
    office: Office, registrar_caller: Caller, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, key = people(office), uuid4().hex

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(sqlite, "to_disk", fail)
        must_be_told(registrar_caller.post("/v1/people", {"given": "Ada"}, key=key), "has to be started again")
    # What was written before it failed may be lost, and nobody says so a second time.
    must_be_told(registrar_caller.post("/v1/people", {"given": "Ada"}, key=key), "has to be started again")
    must_be_told(registrar_caller.get("/v1/people"), "has to be started again")

    again = bootstrap(office.settings, clock)
    assert people(again) == before + 1
    assert again.views.verify() == []
    again.close()
    # Log and views can be read, and are at one place; but nothing can be recorded here.
    ready = registrar_caller.get("/readyz")
    assert (ready.status_code, ready.json["code"]) == (503, "not_ready")


def test_what_is_recorded_is_acknowledged_though_the_views_cannot_follow(
    office: Office, registrar_caller: Caller
) -> None:
    made = registrar_caller.post("/v1/people", {"given": "Grace"}).json["id"]
    version = office.log.get(Person, UUID(made)).version
    by_another(office.views.place, "ALTER TABLE history_entries RENAME TO elsewhere")
    done = registrar_caller.post(f"/v1/people/{made}/contact", {"email": "grace@example.org", "phone": None})
    shown = registrar_caller.get(f"/v1/people/{made}")
    by_another(office.views.place, "ALTER TABLE elsewhere RENAME TO history_entries")

    assert done.status_code == 200
    assert office.log.get(Person, UUID(made)).version == version + 1
    must_be_told(shown, "taken away")
    assert registrar_caller.get(f"/v1/people/{made}").status_code == 200
    assert office.views.verify() == []


def test_views_that_were_taken_away_are_no_answer(office: Office, admin_caller: Caller) -> None:
    views = office.views.place
    for file in views.parent.glob("views-*"):
        file.rename(file.with_name("away-" + file.name))
    answers: list[Any] = []

    # A thread that was not there before opens what is there now.
    asking = threading.Thread(target=lambda: answers.append(admin_caller.get("/v1/access")))
    asking.start()
    asking.join()

    must_be_told(answers[0], "taken away")


@pytest.mark.parametrize("stage", [None], ids=["unstaffed"])
def test_views_rolled_back_under_a_server_are_brought_to_the_end_again_by_whoever_reads(
    office: Office, admin_caller: Caller, registrar: UUID, token_of: Callable[..., str], caller: Callable[..., Caller]
) -> None:
    views = office.views.place
    old = views.with_name("old-views")
    by_another(views, f"VACUUM INTO '{old}'")
    token = token_of(registrar, Role.REGISTRAR)
    end = office.log.position()

    roll_back(views, old)
    # The old copy does not know this token, which is no reason to deny it.
    assert caller(token).get("/v1/courses").status_code == 200
    roll_back(views, old)
    assert admin_caller.get(f"/v1/access?after={end}").headers["X-Position"] == str(end)
    assert office.views.verify() == []


def test_a_log_that_is_shorter_than_the_views_is_told(
    office: Office, admin_caller: Caller, person: Callable[..., UUID]
) -> None:
    person("Grace", "Hopper")
    by_another(office.settings.store("events"), "DELETE FROM stored_events WHERE rowid > 2")
    answer = admin_caller.get("/readyz")

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "older copy" in answer.json["detail"]
