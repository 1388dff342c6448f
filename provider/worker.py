"""A process that follows the log and keeps the views at its end, whoever records."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import TYPE_CHECKING, cast

from provider.schema import Schema

if TYPE_CHECKING:
    import psycopg

    from provider.office import Office

LOGGER = logging.getLogger(__name__)
LOOK_AGAIN = 1.0
"""Seconds after which it looks at the log though nobody has told it to; a notice can be lost with its connection."""


def follow(office: Office, stop: threading.Event, *, look_again: float = LOOK_AGAIN) -> None:
    """Bring the views to the end of the log, again and again, until told to stop.

    What fails is logged and tried again: the database may be away for a while. Any number of these may run, on any
    number of hosts, beside any number of servers, which catch up by themselves.
    """
    while not stop.is_set():
        try:
            with _notices(office, look_again) as notices:
                office.views.catch_up(patient=True)
                for _ in notices:
                    if stop.is_set():
                        return
                    office.views.catch_up(patient=True)
        except Exception:
            LOGGER.exception("the views could not follow the log; it is tried again")
            stop.wait(look_again)


@contextmanager
def _notices(office: Office, look_again: float) -> Iterator[Iterator[None]]:
    """Give an iterator that goes on when something was recorded, and now and then without that."""
    place = office.log.place
    if not isinstance(place, Schema):
        yield _now_and_then(look_again)
        return
    from psycopg import connect

    from provider.postgres import PostgresRecorder

    channel = cast(PostgresRecorder, office.log.recorder).channel_name
    with connect(place.url, autocommit=True) as connection:
        # Whoever listens before the first look misses nothing.
        connection.execute(f'LISTEN "{channel}"')
        yield _told(connection, look_again)


def _told(connection: psycopg.Connection[tuple[object, ...]], look_again: float) -> Iterator[None]:
    while True:
        for _ in connection.notifies(timeout=look_again, stop_after=1):
            pass
        yield


def _now_and_then(look_again: float) -> Iterator[None]:
    # Files tell nobody. Servers catch up by themselves, so this is only for what a crash left.
    while True:
        sleep(look_again)
        yield
