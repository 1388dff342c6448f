"""How long after it is recorded an event is in the views, while marks come in at a steady rate."""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from projections.all import PROJECTIONS
from provider.log import EventLog
from provider.settings import Settings
from provider.views import Views
from tests.bench.figure import Figure
from tests.bench.marks import Marks, courses_for
from tests.bench.on_postgres import moved
from tests.bench.servers import ROOT, clean, seed, served

MARKS = 500
"""How many marks arrive in a second."""
LOOK = 0.002
"""Seconds between two looks at the views; each figure may be too large by that."""
PAGE = 1_000


def views_lag(folder: Path, asked: argparse.Namespace) -> Figure:
    """Measure it with files, and marks that come one by one."""
    data = folder / "lag"
    seeded = seed(data, courses_for(MARKS, asked.seconds, asked.rounds))
    environment = {"PROVIDER_DATA": str(data)}
    with served("wsgi:app", environment, data) as server:
        marks = Marks(seeded, seeded.classes, 1)
        return _figure("views_lag", environment, asked, lambda: _arrive(server.port, marks, 1, asked))


def views_lag_postgres(folder: Path, asked: argparse.Namespace) -> Figure:
    """Measure it with PostgreSQL, two servers, a `provider worker`, and marks in batches of ten."""
    with (
        moved(folder / "lag-postgres", 2 * courses_for(MARKS, asked.seconds, asked.rounds)) as (seeded, environment),
        served("wsgi:app", environment, seeded.data) as one,
        served("wsgi:app", environment, seeded.data) as other,
        _worker(environment),
    ):
        marks = Marks(seeded, seeded.classes, 10)

        def arrive() -> None:
            halves = [
                threading.Thread(target=_arrive, args=(each.port, marks, 10, asked, MARKS / 2)) for each in (one, other)
            ]
            for half in halves:
                half.start()
            for half in halves:
                half.join()

        return _figure("views_lag_postgres", environment, asked, arrive)


def _arrive(port: int, marks: Marks, batch: int, asked: argparse.Namespace, rate: float = MARKS) -> None:
    marks.run(port, connections=4, seconds=asked.seconds, rate=rate / batch)


def _figure(name: str, environment: dict[str, str], asked: argparse.Namespace, arrive: Callable[[], None]) -> Figure:
    settings = Settings.read(environment)
    log = EventLog(settings.place("events"))
    views = Views(settings.place("views"), log, PROJECTIONS)
    try:
        arrive()
        seconds: list[float] = []
        for _ in range(asked.rounds):
            began = log.position()
            with _watched(views) as seen:
                arrive()
            seconds += _lags(log, began, seen)
    finally:
        views.close()
        log.close()
    value = sorted(seconds)[int(len(seconds) * 0.99)] * 1000
    return Figure(name, round(value, 2), "ms p99", None, None, "< 50 ms", value < 50)


@contextmanager
def _watched(views: Views) -> Iterator[list[tuple[int, float]]]:
    """Look again and again how far the views are; gives each position when it was first seen, as time goes by."""
    seen: list[tuple[int, float]] = []
    over = threading.Event()

    def watch() -> None:
        with views.engine.connect() as connection:
            statement = "SELECT position FROM places WHERE name = 'all'"
            while not over.wait(LOOK):
                (position,) = connection.exec_driver_sql(statement).one()
                if not seen or position > seen[-1][0]:
                    seen.append((position, time.time()))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
        time.sleep(0.5)
    finally:
        over.set()
        watching.join()


def _lags(log: EventLog, after: int, seen: list[tuple[int, float]]) -> list[float]:
    """Return for each event how many seconds after its stamp it was seen; that it still had to be recorded counts."""
    found = []
    positions = [position for position, _ in seen]
    while page := log.entries.page(after, PAGE):
        for position, *entry in page:
            event, _ = log.reads(*entry)
            found.append(seen[bisect_left(positions, position)][1] - event.timestamp.timestamp())
        after = page[-1][0]
    return found


@contextmanager
def _worker(environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-m", "provider", "worker"], cwd=ROOT, env=clean(environment)) as worker:
        try:
            yield
        finally:
            worker.terminate()


__all__ = ["views_lag", "views_lag_postgres"]
