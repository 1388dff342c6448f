"""The views' database is deleted, corrupted, or rolled back to an old copy: with the server running and without."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from random import Random

from tests.faults.load import Load
from tests.faults.office import Office, Server, by_another, files_of, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove, prove_views


def lost_views(office: Office, plan: Plan) -> Report:
    """Delete, corrupt and roll back the views, served or not, and mend them where they don't mend themselves."""
    report = Report("lost_views")
    before = held_by(office)
    old = office.data.parent / "old-views.sqlite"
    shutil.copy(office.store("views"), old)
    server = Server(office.data)
    load = Load(office, [server])
    faults = (
        ("deleted while the server runs", delete, True),
        ("deleted after a kill", delete, False),
        ("overwritten with noise while the server runs", corrupt, True),
        ("overwritten with noise after a kill", corrupt, False),
        ("made a file that is no database", replace_by_noise, False),
        ("rolled back to an old copy while the server runs", roll_back, True),
        ("rolled back to an old file after a kill, its journal kept", lay_old_file, False),
        ("rolled back to an old file after a kill, without its journal", lay_old_file_alone, False),
    )
    for what, make, running in faults:
        plan.say(f"lost_views: {what}")
        with serving(server), load:
            load.await_more(30)
            if running:
                make(office.store("views"), old)
                time.sleep(plan.seconds / 4)
            server.kill()
        if not running:
            make(office.store("views"), old)
        status, said = office.run("views", "verify")
        mended = "agreed with the log at once"
        if status != 0:
            report.expect("mistake in the program" not in said, f"{what}: verify calls it a mistake of its own: {said}")
            status, mended = office.run("views", "rebuild")
            report.expect(status == 0, f"{what}: `provider views rebuild` ended with {status}: {mended}")
            mended = "needed `provider views rebuild`"
            if status != 0:
                delete(office.store("views"), old)
                mended = "could only be deleted by hand"
        prove_views(office, report)
        report.did.append(f"{what}: {mended}")
    with serving(server):
        load.finish()
    prove(office, load, report, before)
    return report


def delete(views: Path, _: Path) -> None:
    for file in files_of(views):
        file.unlink()


def corrupt(views: Path, _: Path) -> None:
    """Overwrite a tenth of the database, but not its first page."""
    chance = Random(1)
    size = views.stat().st_size
    with views.open("r+b") as file:
        for _ in range(max(4, size // 40960)):
            file.seek(chance.randrange(4096, max(8192, size - 4096)))
            file.write(chance.randbytes(4096))


def replace_by_noise(views: Path, _: Path) -> None:
    delete(views, views)
    views.write_bytes(b"This was a database once. " * 1000)


def roll_back(views: Path, old: Path) -> None:
    """Restore an old copy as SQLite's own shell does, into the open database."""
    by_another(views, f"ATTACH '{old}' AS old", *_copied_tables(old))


def _copied_tables(old: Path) -> list[str]:
    with closing(sqlite3.connect(old)) as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    copied = [
        s for name in names for s in (f"DELETE FROM main.{name}", f"INSERT INTO main.{name} SELECT * FROM old.{name}")
    ]
    return ["BEGIN IMMEDIATE", *copied, "COMMIT"]


def lay_old_file(views: Path, old: Path) -> None:
    shutil.copy(old, views)


def lay_old_file_alone(views: Path, old: Path) -> None:
    delete(views, old)
    shutil.copy(old, views)
