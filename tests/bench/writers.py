"""How many transactions a second writers can record on PostgreSQL, with our recorder and with the library's own."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder

from provider.postgres import Datastore, PostgresRecorder
from provider.schema import Schema
from tests.postgres import Cluster

CROWD, PROCESSES = 16, 2
STATE = b'{"' + b"x" * 300 + b'"}'
WARMING = 1.0
"""Seconds that are not counted, in which connections are made and statements prepared."""


class TellsInside(PostgresRecorder):
    """Ours, but with the notice in the transaction, as the library has it."""

    def insert_events(self, stored_events: Any, **_: Any) -> list[int]:
        values = (
            [e.originator_id for e in stored_events],
            [e.originator_version for e in stored_events],
            [e.topic for e in stored_events],
            [e.state for e in stored_events],
        )
        with self.datastore.get_connection() as connection, connection.transaction():
            found = connection.execute(self._insert, values).fetchall()
            connection.execute(self._tell)
        return [row["notification_id"] for row in found]


KINDS: dict[str, type[PostgresApplicationRecorder]] = {
    "ours": PostgresRecorder,
    "ours, told inside": TellsInside,
    "library": PostgresApplicationRecorder,
}


@dataclass(frozen=True)
class Job:
    """What one process does: so many threads that record, one event a transaction, each into a stream of its own."""

    place: Schema
    kind: str
    threads: int
    seconds: float


def opened(place: Schema, kind: str, threads: int = 1) -> PostgresApplicationRecorder:
    """Return a recorder; its tables are made by one process alone, as the library's own can't make them at once."""
    return KINDS[kind](Datastore(place, threads=threads), events_table_name="stored_events")


def record(job: Job, ready: Barrier, counts: Queue[int]) -> None:
    """Record until the time is over, and tell how many transactions were committed in it."""
    recorder = opened(job.place, job.kind, job.threads)
    done = [0] * job.threads
    ready.wait()
    begin = time.monotonic() + WARMING
    end = begin + job.seconds

    def one(number: int) -> None:
        stream, version = uuid4(), 0
        while (now := time.monotonic()) < end:
            version += 1
            recorder.insert_events([StoredEvent(stream, version, "register.marked", STATE)])
            done[number] += now >= begin

    threads = [threading.Thread(target=one, args=(number,)) for number in range(job.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts.put(sum(done))
    recorder.datastore.close()


def measured(url: str, kind: str, writers: int, seconds: float) -> float:
    """Return the transactions a second of so many writers, in two processes unless it is one."""
    place = Schema(url, f"bench_{uuid4().hex[:8]}")
    with closing(Datastore(place)) as datastore, datastore.transaction(commit=True) as cursor:
        cursor.execute(f'CREATE SCHEMA "{place.name}"')
    maker = opened(place, kind)
    maker.create_table()
    maker.datastore.close()
    processes = min(writers, PROCESSES)
    context = get_context("spawn")
    ready, counts = context.Barrier(processes), context.Queue()
    job = Job(place, kind, writers // processes, seconds)
    working = [context.Process(target=record, args=(job, ready, counts), daemon=True) for _ in range(processes)]
    for each in working:
        each.start()
    total = sum(counts.get(timeout=seconds + 15) for _ in working)
    for each in working:
        each.join(10)
    return total / seconds


def main() -> None:
    """Measure all kinds in turns, and print the median of the rounds."""
    said = argparse.ArgumentParser(prog="python -m tests.bench.writers", description=__doc__)
    said.add_argument("--seconds", type=float, default=4)
    said.add_argument("--rounds", type=int, default=3)
    said.add_argument("--folder", type=Path, help="where the server's data go; on the disk that is to be measured")
    given = said.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="writers-", dir=given.folder))
    cluster = Cluster(folder, durable=True)
    found: dict[tuple[str, int], list[float]] = {}
    try:
        cluster.initialise()
        cluster.start()
        for _ in range(given.rounds):
            for writers in (1, CROWD):
                for kind in KINDS:
                    rate = measured(cluster.url, kind, writers, given.seconds)
                    found.setdefault((kind, writers), []).append(rate)
                    print(f"{kind}, {writers} writers: {rate:,.0f}/s", file=sys.stderr)
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"| transactions a second | 1 writer | {CROWD} writers | times |\n|---|---|---|---|")
    for kind in KINDS:
        one, many = median(found[kind, 1]), median(found[kind, CROWD])
        print(f"| {kind} | {one:,.0f} | {many:,.0f} | {many / one:.1f} |")


if __name__ == "__main__":
    main()
