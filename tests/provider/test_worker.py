"""The worker: it follows the log, is woken by whoever records, and comes back after an outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from provider.bootstrap import bootstrap
from provider.office import Office
from provider.worker import follow
from tests.conftest import Clock
from tests.provider.things import Thing

LONG = 600.0
"""Seconds after which the worker would look without being told, in tests that are over long before."""


@contextmanager
def following(office: Office, clock: Clock, look_again: float) -> Iterator[None]:
    """Let a worker with stores of its own follow the log of an office."""
    own, stop = bootstrap(office.settings, clock), threading.Event()
    worker = threading.Thread(target=follow, args=(own, stop), kwargs={"look_again": look_again})
    worker.start()
    try:
        yield
    finally:
        stop.set()
        # It looks whether to stop when it is told something.
        office.log.record(Thing.make(), asked={})
        worker.join(20)
        own.close()
    assert not worker.is_alive()


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def caught_up(office: Office) -> bool:
    return office.views.position() == office.log.position()


def test_what_others_record_comes_into_the_views(office: Office, clock: Clock) -> None:
    with following(office, clock, 0.05):
        for _ in range(3):
            office.log.record(Thing.make(), asked={})
            assert office.log.position() > 0
            until(lambda: caught_up(office))


@pytest.mark.postgresql
def test_it_is_woken_by_whoever_records(office: Office, clock: Clock) -> None:
    with following(office, clock, LONG):
        office.log.record(Thing.make(), asked={})
        until(lambda: caught_up(office))


@pytest.mark.postgresql
def test_it_comes_back_when_its_connections_were_cut(office: Office, clock: Clock) -> None:
    with following(office, clock, 0.2):
        office.log.record(Thing.make(), asked={})
        until(lambda: caught_up(office))
        with psycopg.connect(office.settings.database_url, autocommit=True) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        office.log.record(Thing.make(), asked={})
        until(lambda: caught_up(office))
