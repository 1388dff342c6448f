"""Two servers are started on one data directory, and both are used."""

from __future__ import annotations

import time

from tests.faults.load import Load
from tests.faults.office import Office, Server, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove


def two_servers(office: Office, plan: Plan) -> Report:
    """Start two servers on one data directory, and use both."""
    report = Report("two_servers")
    before = held_by(office)
    servers = Server(office.data), Server(office.data)
    load = Load(office, servers)
    with serving(*servers):
        with load:
            plan.say("two_servers: both are used")
            time.sleep(plan.seconds)
        load.finish()
        seen = 0
        for sent in [each for each in load.acknowledged if each.marks][-20:]:
            for server in servers:
                shown = load.look(server, sent.path.removesuffix("/marks"))
                seen += shown is not None and all(mark.encode() in shown.body for mark in sent.marks)
        report.expect(seen == 40, f"of the last 20 batches only {seen} of 40 could be read at both servers")
    prove(office, load, report, before)
    report.did.insert(0, "two servers with two workers each worked on one directory; each showed what both recorded")
    return report
