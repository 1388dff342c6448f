"""SQLite's traps under load: VACUUM, a journal that can't begin anew, a lock held for a moment, a tail delete."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from tests.faults.load import Load
from tests.faults.office import Office, Server, by_another, files_of, outsider, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove, prove_views


def sqlite_traps(office: Office, plan: Plan) -> Report:
    """VACUUM, moments of a lock, a reader that keeps journals growing, and a log that loses its end."""
    report = Report("sqlite_traps")
    before = held_by(office)
    server = Server(office.data)
    load = Load(office, [server])
    with serving(server):
        with load:
            for store in ("events", "views", "vault", "keys"):
                load.await_more(20)
                plan.say(f"sqlite_traps: VACUUM of {store}")
                by_another(office.store(store), "VACUUM")
            report.did.append("another program did a VACUUM of events, views, vault and keys while they were written")
            report.did.append(_moments(office, load, plan))
            report.did.append(_growth(office, load, plan, report))
        load.finish()
    prove(office, load, report, before)
    rest = [file.name for name in ("events", "views") for file in files_of(office.store(name))[1:]]
    report.expect(not rest, f"after the server ended there are still {rest}")
    _tail(office, load, plan, report)
    return report


def _moments(office: Office, load: Load, plan: Plan) -> str:
    """Hold the lock of the log again and again, each time for less than anybody waits."""
    plan.say("sqlite_traps: locks for a moment")
    refused = load.told["503"]
    for _ in range(10):
        with outsider(office.store("events"), "BEGIN IMMEDIATE"):
            time.sleep(0.2)
        time.sleep(0.05)
    told = load.told["503"] - refused
    if told:
        load.lies.append(f"{told} requests were refused though the lock was held for a moment only")
    return "another program held the log's lock ten times for a moment: everybody waited, and nobody was refused"


def _growth(office: Office, load: Load, plan: Plan, report: Report) -> str:
    """Let another program read for long, so that no journal begins anew, and then let go."""
    plan.say("sqlite_traps: somebody reads for long")
    sizes = {}
    held = {}
    for store, table in (("events", "stored_events"), ("views", "places")):
        journal = files_of(office.store(store))[1]
        with outsider(office.store(store), "BEGIN", f"SELECT count(*) FROM {table}"):
            before = journal.stat().st_size
            load.await_more(int(plan.seconds * 100), seconds=plan.seconds * 4)
            held[store] = journal.stat().st_size
            report.expect(held[store] >= before, f"the journal of {store} shrank under a reader")
        load.await_more(int(plan.seconds * 100), seconds=plan.seconds * 4)
        sizes[store] = journal.stat().st_size
        report.expect(
            sizes[store] < held[store] + 8_000_000,
            f"the journal of {store} goes on growing after the reader left: {held[store]:,} to {sizes[store]:,} bytes",
        )
    return f"somebody read for long: the journals grew to {held} bytes, and after that to {sizes} and no more"


def _tail(office: Office, load: Load, plan: Plan, report: Report) -> None:
    """Delete the end of the log from outside: that is an alarm, and no position is ever given twice."""
    plan.say("sqlite_traps: the end of the log is deleted")
    with closing(sqlite3.connect(office.store("events"), isolation_level=None)) as raw:
        end = raw.execute("SELECT max(rowid) FROM stored_events").fetchone()[0]
        raw.execute("DELETE FROM stored_events WHERE rowid > ?", (end - 5,))
        raw.execute("DELETE FROM idempotency WHERE position > ?", (end - 5,))
    status, said = office.run("sweep")
    report.expect(status == 4 and "older copy" in said, f"a log that lost its end raised no alarm: {status}, {said}")
    status, said = office.run("views", "rebuild")
    report.expect(status == 0, f"the views of a shorter log could not be rebuilt: {status}, {said}")
    server = Server(office.data)
    more = Load(office, [server])
    with serving(server):
        with more:
            more.await_more(10)
        more.finish()
    report.broken += more.lies
    first = min(each.answer["position"] for each in more.acknowledged if each.answer)
    report.expect(first > end, f"position {first} was given again after the end of the log was deleted")
    prove_views(office, report)
    report.did.append(f"the last 5 events were deleted from outside: an alarm, and the history went on at {first}")
