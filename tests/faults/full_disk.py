"""The disk is full, and later it is not; a worker of the server dies meanwhile.

No file of the server may grow any more, by the limit that the system sets on the size of files (RLIMIT_FSIZE), which
needs no privileges: a write beyond it fails with EFBIG, which SQLite takes for a failed write as it takes ENOSPC.
"""

from __future__ import annotations

import os
import resource
import signal
import time

from tests.faults.load import Load
from tests.faults.office import Office, Server, files_of, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove
from tests.processes import limit_files


def full_disk(office: Office, plan: Plan) -> Report:
    """Fill the disk, three times, each time for a while."""
    report = Report("full_disk")
    before = held_by(office)
    server = Server(office.data)
    load = Load(office, [server])
    roster = f"/v1/courses/{office.seeded.classes[0].course}/roster"
    refused = 0
    with serving(server):
        with load:
            for turn, store in enumerate(("events", "vault", "views")):
                load.await_more(50)
                plan.say(f"full_disk: full for {store}")
                journal = files_of(office.store(store))[1]
                limit_files(server.pid, journal.stat().st_size)
                if turn == 0:
                    # Another takes its place, and finds the disk full from the first.
                    os.kill(server.workers()[0], signal.SIGKILL)
                until, told = time.monotonic() + plan.seconds, load.told["503"]
                while time.monotonic() < until:
                    load.look(server, roster)
                    time.sleep(0.1)
                refused += load.told["503"] - told
                if turn == 0:
                    report.expect(load.told["503"] > 0, "a full disk refused nothing; the fault was not there")
                limit_files(server.pid, resource.RLIM_INFINITY)
                load.await_more(20)
        load.finish()
    prove(office, load, report, before)
    report.did.insert(0, f"the disk was full 3 times for {plan.seconds:g} s; {refused} requests were told so (503)")
    return report
