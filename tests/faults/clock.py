"""The back office with a clock that jumps: a file holds by how many seconds it is off; and the drill with it."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask

from tests.faults.load import Load
from tests.faults.office import Office, Server, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove

OFF = "FAULTS_CLOCK_OFF"
JUMPS = {
    "a minute back": timedelta(minutes=-1),
    "an hour ahead": timedelta(hours=1),
    "a day back": timedelta(days=-1),
    "three days ahead": timedelta(days=3),
    "right again": timedelta(),
}


def app() -> Flask:
    """Return the application, for gunicorn: `tests.faults.clock:app()`."""
    from api.app import create_app
    from provider.bootstrap import bootstrap
    from provider.office import utc_now
    from provider.settings import Settings

    file = Path(os.environ[OFF])

    def jumping() -> datetime:
        return utc_now() + timedelta(seconds=float(file.read_text() or 0))

    return create_app(bootstrap(Settings.read(os.environ), jumping))


def clock(office: Office, plan: Plan) -> Report:
    """Let the server's clock jump back and ahead."""
    report = Report("clock")
    before = held_by(office)
    file = office.data.parent / "off"
    file.write_text("0")
    server = Server(office.data, target="tests.faults.clock:app()", **{OFF: str(file)})
    load = Load(office, [server])
    with serving(server):
        with load:
            for jump, off in JUMPS.items():
                load.await_more(20)
                plan.say(f"clock: {jump}")
                aside = file.with_suffix(".new")
                aside.write_text(str(off.total_seconds()))
                aside.replace(file)
                time.sleep(plan.seconds / len(JUMPS))
                load.await_more(20)
        load.finish()
    prove(office, load, report, before)
    report.did.insert(0, f"the server's clock jumped under load: {', '.join(JUMPS)}")
    return report
