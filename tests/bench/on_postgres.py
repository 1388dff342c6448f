"""What goes through HTTP where all but the keys is in PostgreSQL, against a route with one durable insert there."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

import psycopg

from provider.bootstrap import PROJECTIONS
from provider.move import move
from provider.settings import Settings
from tests.bench.against import against, checked, turns
from tests.bench.figure import Figure
from tests.bench.load import http, run
from tests.bench.marks import Marks, same
from tests.bench.servers import seed, served
from tests.postgres import Cluster


def mark_http_postgres(folder: Path, asked: argparse.Namespace) -> Figure:
    """Measure single marks over four connections, on a server that writes through to the disk."""
    data, cluster_folder = folder / "moved", folder / "cluster"
    seeded = seed(data, max(asked.courses // 2, 12))
    cluster_folder.mkdir()
    with suppress(PermissionError):
        folder.chmod(0o755)
    cluster = Cluster(cluster_folder, durable=True)
    cluster.initialise()
    cluster.start()
    try:
        there = {"PROVIDER_DATA": str(data), "PROVIDER_DATABASE_URL": cluster.url}
        move(Settings.read(there), PROJECTIONS)
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE floor (id bigserial PRIMARY KEY, body bytea)")
        insert = same(http("POST", "/mark-postgres", body=b'{"mark":"one of thirty"}'))
        marks = Marks(seeded, seeded.classes, 1)
        floor_folder = folder / "floor"
        with (
            served("wsgi:app", there, data) as server,
            served(
                "tests.bench.floor:app", {"BENCH_FOLDER": str(floor_folder), "BENCH_POSTGRES": cluster.url}, data
            ) as floor,
        ):
            mine, floors = turns(
                lambda: checked(run(server.port, marks, connections=4, seconds=asked.seconds)),
                lambda: checked(run(floor.port, insert, connections=4, seconds=asked.seconds)),
                asked.rounds,
            )
        return against("mark_http_postgres", mine, floors, "requests/s", 0.5)
    finally:
        cluster.stop()
