"""kill -9 of any process at any moment under load: a worker, the master, all of them, or a command beside them."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.faults.load import Load
from tests.faults.office import Office, Server, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove

ROUND = 25
"""Kills after which the office is stopped and looked into."""
COMMANDS = (("views", "rebuild"), ("views", "verify"), ("sweep",))


def kills(office: Office, plan: Plan) -> Report:
    """Kill -9 of any process at any moment: workers, the master, all at once, while starting, a command beside them."""
    report = Report("kills")
    chance = Random(plan.seed)
    killed: Counter[str] = Counter()
    while (done := killed.total()) < plan.kills:
        before = held_by(office)
        server = Server(office.data)
        load = Load(office, [server])
        with serving(server):
            with load:
                for _ in range(min(ROUND, plan.kills - done)):
                    victim = chance.choice(("worker", "worker", "all", "all while starting", "master", "command"))
                    _kill(victim, office, server, load, chance)
                    killed[victim] += 1
                    plan.say(f"kills: {killed.total()} of {plan.kills} ({victim})")
                _revive(server)
                load.await_more(20)
            load.finish()
        report.expect(load.told["no answer"] > 0, "no request was under way at any kill; more load is needed")
        prove(office, load, report, before)
    victims = ", ".join(f"{count} × {victim}" for victim, count in killed.most_common())
    report.did.insert(0, f"{killed.total()} kills with SIGKILL under load: {victims}")
    return report


def _kill(victim: str, office: Office, server: Server, load: Load, chance: Random) -> None:
    if victim == "all while starting":
        _revive(server)
        server.kill()
        server.start()
        time.sleep(chance.uniform(0, 1.5))
        server.kill()
        return
    _revive(server)
    load.await_more(3)
    if victim == "command":
        program = office.program(*chance.choice(COMMANDS))
        time.sleep(chance.uniform(0.3, 2))
        program.kill()
        program.communicate()
        return
    time.sleep(chance.uniform(0, 0.4))
    if victim == "all":
        server.kill()
    elif victim == "master":
        workers = server.workers()
        os.kill(server.pid, signal.SIGKILL)
        server.reap()
        # Its workers notice, finish and end; one that does not in that time is taken for hung.
        until = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
            time.sleep(0.05)
        server.signal_all(signal.SIGKILL)
    elif workers := server.workers():
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)


def _revive(server: Server) -> None:
    """Start the server again where it has ended, as the system's service manager does."""
    if not server.running:
        server.start()
    server.wait_until_live()
