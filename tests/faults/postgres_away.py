"""PostgreSQL is restarted, crashes, and cuts its connections, while two servers and a worker are at work on it."""

from __future__ import annotations

import time

import psycopg

from tests.faults.load import Load
from tests.faults.office import Office, Server, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove
from tests.postgres import Cluster

CUT = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
SIGINT, SIGQUIT = 2, 3
AWAY = 2.0
"""Seconds that the server stays away."""


def postgres_away(office: Office, plan: Plan) -> Report:
    """Restart PostgreSQL, let it crash, and cut its connections, while two servers and a worker use it."""
    report = Report("postgres_away")
    folder = office.data.parent / "cluster"
    folder.mkdir()
    # Whoever runs the server, if it is not us, must be able to reach its folder.
    for each in (folder.parent, folder.parent.parent):
        each.chmod(0o755)
    cluster = Cluster(folder, durable=True)
    cluster.initialise()
    cluster.start()
    try:
        office = office.moved(cluster.url)
        before = held_by(office)
        servers = [Server(office.data, PROVIDER_DATABASE_URL=cluster.url) for _ in range(2)]
        load = Load(office, servers)
        worker = office.program("worker")
        assert worker.stderr is not None
        # Its first line: one that starts while the database is away says so and ends, for others to start it again.
        begun = worker.stderr.readline()
        report.expect("following the log" in begun, f"the worker did not begin: {begun}")
        try:
            with serving(*servers):
                _trouble(cluster, load, plan, report)
                load.finish()
        finally:
            worker.terminate()
            worker.communicate(timeout=30)
        report.expect(worker.returncode == 0, f"the worker ended with {worker.returncode}")
        prove(office, load, report, before)
    finally:
        cluster.stop()
    return report


def _trouble(cluster: Cluster, load: Load, plan: Plan, report: Report) -> None:
    cut = 0
    with load:
        for sign, word in ((SIGINT, "restarted"), (SIGQUIT, "crashed")):
            plan.say(f"postgres_away: it is used, then {word}")
            load.await_more(20)
            cluster.stop(sign)
            time.sleep(AWAY)
            cluster.start()
            load.await_more(20)
            report.did.append(f"PostgreSQL {word} and stayed away for {AWAY:g} s under load")
        plan.say("postgres_away: its connections are cut")
        until = time.monotonic() + plan.seconds
        while time.monotonic() < until:
            with psycopg.connect(cluster.url, autocommit=True) as administrator:
                cut += administrator.execute(CUT).fetchall()[0][0]
            time.sleep(0.5)
        load.await_more(20)
    report.did.append(f"{cut} connections were cut")
