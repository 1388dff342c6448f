"""What goes through HTTP where all but the keys is in PostgreSQL, against a route with one durable insert there."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from projections.all import PROJECTIONS
from provider.move import move
from provider.settings import Settings
from tests.bench.against import against, checked, turns
from tests.bench.figure import Figure
from tests.bench.load import http, run
from tests.bench.marks import QUICK, Marks, courses_for, same
from tests.bench.servers import Seeded, seed, served
from tests.postgres import Cluster


def mark_http_postgres(folder: Path, asked: argparse.Namespace) -> Figure:
    """Measure single marks over four connections, on a server that writes through to the disk."""
    with moved(folder / "moved", courses_for(QUICK, asked.seconds, asked.rounds)) as (seeded, there):
        with psycopg.connect(there["PROVIDER_DATABASE_URL"], autocommit=True) as connection:
            connection.execute("CREATE TABLE floor (id bigserial PRIMARY KEY, body bytea)")
        insert = same(http("POST", "/mark-postgres", body=b'{"mark":"one of thirty"}'))
        marks = Marks(seeded, seeded.classes, 1)
        bare = {"BENCH_FOLDER": str(folder / "floor"), "BENCH_POSTGRES": there["PROVIDER_DATABASE_URL"]}
        with (
            served("wsgi:app", there, seeded.data) as server,
            served("tests.bench.floor:app", bare, seeded.data) as floor,
        ):
            mine, floors = turns(
                lambda: marks.run(server.port, connections=4, seconds=asked.seconds),
                lambda: checked(run(floor.port, insert, connections=4, seconds=asked.seconds)),
                asked.rounds,
            )
        return against("mark_http_postgres", mine, floors, "requests/s", 0.5)


@contextmanager
def moved(data: Path, courses: int) -> Iterator[tuple[Seeded, dict[str, str]]]:
    """Give an institution with courses to mark that was moved to PostgreSQL, and the environment that leads there."""
    seeded = seed(data, courses)
    cluster_folder = data.with_name(f"{data.name}-cluster")
    cluster_folder.mkdir()
    with suppress(PermissionError):
        data.parent.chmod(0o755)
    cluster = Cluster(cluster_folder, durable=True)
    cluster.initialise()
    cluster.start()
    try:
        there = {"PROVIDER_DATA": str(data), "PROVIDER_DATABASE_URL": cluster.url}
        move(Settings.read(there), PROJECTIONS)
        yield seeded, there
    finally:
        cluster.stop()
