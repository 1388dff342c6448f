"""Another program holds the write lock of one of the databases, for longer than anybody waits."""

from __future__ import annotations

import time

from tests.faults.load import Load
from tests.faults.office import Office, Server, outsider, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove

BUSY_TIMEOUT = 10
LONGEST_ANSWER = 30
"""Seconds after which a client or a proxy may have given up; by then the truth must be told."""


def locked_file(office: Office, plan: Plan) -> Report:
    """Lock each database in turn, from another program, for longer than anybody waits."""
    report = Report("locked_file")
    before = held_by(office)
    server = Server(office.data)
    load = Load(office, [server])
    held = max(plan.seconds, BUSY_TIMEOUT + 5)
    roster = f"/v1/courses/{office.seeded.classes[0].course}/roster"
    with serving(server):
        with load:
            for store in ("events", "vault", "keys", "views"):
                load.await_more(30)
                plan.say(f"locked_file: {store} is locked for {held:g} s")
                with outsider(office.store(store), "BEGIN IMMEDIATE"):
                    until, told = time.monotonic() + held, dict(load.told)
                    while time.monotonic() < until:
                        load.look(server, roster)
                        time.sleep(0.2)
                    now = {what: n - told.get(what, 0) for what, n in load.told.items() if n != told.get(what, 0)}
                    report.did.append(f"{store} was locked by another program for {held:g} s; told meanwhile: {now}")
                load.await_more(20)
        load.finish()
    report.expect(
        load.slowest < LONGEST_ANSWER,
        f"an answer took {load.slowest:.1f} s: waiting for the lock adds up from one request to the next",
    )
    prove(office, load, report, before)
    return report
