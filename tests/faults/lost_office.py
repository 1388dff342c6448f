"""A whole office is lost: it was backed up under load, and is restored elsewhere, compared, and gone on with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from tests.faults.load import Load, Sent
from tests.faults.office import Office, Server, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove, prove_acknowledged
from tests.postgres import Cluster, looked_up

ENOUGH = 60
"""Commands acknowledged before the backup begins, and again after it, which are lost."""


def lost_files(office: Office, plan: Plan) -> Report:
    """Back an office in files up under load, kill it, delete its data, restore it elsewhere, and compare."""
    report = Report("lost_files")
    elsewhere = replace(office, data=office.data.parent / "elsewhere" / "data")
    _lose_and_find(office, lambda: elsewhere, plan, report)
    return report


def lost_database(office: Office, plan: Plan) -> Report:
    """Do the same with an office in PostgreSQL: the server that it was on is gone too, and there is another."""
    report = Report("lost_database")
    # Whoever runs the servers, if it is not us, must be able to reach their folders.
    for each in (office.data.parent, office.data.parent.parent):
        each.chmod(0o755)
    clusters = [_cluster(office.data.parent / name) for name in ("cluster", "another-cluster")]
    lost, another = clusters
    lost.start()

    def elsewhere() -> Office:
        lost.stop()
        shutil.rmtree(lost.folder)
        another.start()
        return replace(office, data=office.data.parent / "elsewhere" / "data", database=another.url)

    try:
        _lose_and_find(office.moved(lost.url), elsewhere, plan, report)
    finally:
        for cluster in clusters:
            cluster.stop()
    return report


def _cluster(folder: Path) -> Cluster:
    folder.mkdir()
    cluster = Cluster(folder, durable=True)
    cluster.initialise()
    return cluster


def _lose_and_find(office: Office, elsewhere: Callable[[], Office], plan: Plan, report: Report) -> None:
    copies = office.data.parent / "copies"
    server = _server(office)
    load = Load(office, [server])
    with serving(server), load:
        plan.say(f"{report.name}: it is backed up while it is used")
        load.await_more(ENOUGH)
        before = list(load.acknowledged)
        began = time.monotonic()
        status, said = office.run("backup", str(copies / "data"), "--keys", str(copies / "keys"))
        took, meanwhile = time.monotonic() - began, len(load.acknowledged) - len(before)
        load.await_more(ENOUGH)
        server.kill()
    report.broken += load.lies
    report.expect(status == 0, f"`provider backup` ended with {status}: {said[-400:]}")
    report.expect(meanwhile > 0, "nothing was acknowledged while it was backed up; more load is needed")
    if report.broken:
        return
    report.did.append(f"backed up in {took:.1f} s, in which {meanwhile} commands were acknowledged, then killed (-9)")
    logged = _events(office)
    prove_acknowledged(held_by(office), load.acknowledged, report)

    plan.say(f"{report.name}: its data are deleted, and it is restored elsewhere")
    found = elsewhere()
    shutil.rmtree(office.data)
    data, keys = (next((copies / name).iterdir()) for name in ("data", "keys"))
    restore = ("restore", str(data), "--keys", str(keys), "--check")
    _kill_one(found, restore, report)
    began = time.monotonic()
    status, said = found.run(*restore)
    report.expect(status == 0, f"`provider restore` ended with {status}: {said[-400:]}")
    if report.broken:
        return
    report.did += [f"restored in {time.monotonic() - began:.1f} s", *(line for line in _results(said))]
    _compare(logged, found, before, report)
    _go_on(found, before, report)


def _kill_one(found: Office, restore: Sequence[str], report: Report) -> None:
    """Kill a restore while it writes, and see that nobody takes what it left for an institution."""
    program = found.program(*restore)
    assert program.stderr is not None
    for line in program.stderr:
        if line.startswith(("Restoring the events", "Comparing what was restored")):
            program.kill()
            break
    program.communicate()
    report.expect(program.returncode < 0, f"a restore ended with {program.returncode} before it could be killed")
    status, said = found.run("course", "list")
    report.expect(status in (1, 4), f"`provider course list` was content with what a killed restore left: {said}")
    report.did.append(f"a restore was killed (-9) while it wrote, and begun again; meanwhile: {said.splitlines()[-1]}")


def _server(office: Office) -> Server:
    more = {} if office.database is None else {"PROVIDER_DATABASE_URL": office.database}
    return Server(office.data, **more)


def _results(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith(("Restored", "Replayed", "All views"))]


def _events(office: Office) -> dict[int, tuple[Any, ...]]:
    """Return all events of an office by their positions, past all of our code."""
    position, stream = (
        ("rowid", "originator_id")
        if office.database is None
        else ("notification_id", "replace(originator_id::text, '-', '')")
    )
    rows = looked_up(
        office.settings, "events", f"SELECT {position}, {stream}, originator_version, topic, state FROM stored_events"
    )
    return {row[0]: (*row[1:4], bytes(row[4])) for row in rows}


def _compare(logged: dict[int, tuple[Any, ...]], found: Office, before: list[Sent], report: Report) -> None:
    """See that what was restored was there, and that of what was acknowledged before the backup nothing is missing."""
    restored = _events(found)
    other = [position for position, event in restored.items() if logged.get(position) != event]
    report.expect(not other, f"{len(other)} restored events were never in the log that was lost, such as {other[:1]}")
    report.expect(len(restored) < len(logged), "nothing was lost; the backup was not made under load")
    prove_acknowledged(held_by(found), before, report)
    report.did.append(f"of {len(logged):,} events {len(restored):,} were restored, as they were, at their positions")


def _go_on(found: Office, before: list[Sent], report: Report) -> None:
    """See that a token from before still signs in, that names open, and that work goes on."""
    end = held_by(found)
    server = _server(found)
    load = Load(found, [server])
    shown = 0
    with serving(server):
        enrolled = [sent for sent in before if sent.key is not None and sent.answer is not None]
        for sent in enrolled:
            answer = load.look(server, f"/v1/people/{sent.answer['ids'][0] if sent.answer else ''}")
            shown += answer is not None and orjson.loads(answer.body).get("given") == sent.body["given"]
        with load:
            load.await_more(20)
        load.finish()
    report.expect(shown == len(enrolled) > 0, f"of {len(enrolled)} names only {shown} open after the restore")
    prove(found, load, report, end)
    report.did.append(f"{shown} names open, the token from before signs in, and the history goes on")
