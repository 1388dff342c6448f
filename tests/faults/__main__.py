"""Makes faults on purpose, and proves that no promise was broken.

Each fault is made on an office of its own, in a temporary directory, served by gunicorn as in production, while clients
mark attendance and enrol people over HTTP and send again whatever got no answer. Afterwards it is proven that every
acknowledged command is in the log, that none is there twice, that `provider views verify` is content, and that every
answer was the truth: the thing itself, or 503 with Retry-After.

examples:
  python -m tests.faults                      all of them, with 100 kills: a quarter of an hour
  python -m tests.faults kills --kills 1000   processes killed a thousand times
  python -m tests.faults full_disk clock --seconds 2

The report is on stdout, how far it is on stderr. Exit status 1: a promise was broken.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.faults.clock import clock
from tests.faults.full_disk import full_disk
from tests.faults.kills import kills
from tests.faults.locked_file import locked_file
from tests.faults.lost_office import lost_database, lost_files
from tests.faults.lost_views import lost_views
from tests.faults.office import Office
from tests.faults.plan import Plan
from tests.faults.postgres_away import postgres_away
from tests.faults.power_cut import power_cut
from tests.faults.proof import Report
from tests.faults.sqlite_traps import sqlite_traps
from tests.faults.two_servers import two_servers

FAULTS: tuple[Callable[[Office, Plan], Report], ...] = (
    lost_files,
    lost_database,
    lost_views,
    sqlite_traps,
    two_servers,
    clock,
    full_disk,
    locked_file,
    power_cut,
    postgres_away,
    kills,
)


def main() -> int:
    """Make the faults that were asked for, or all."""
    known = {fault.__name__: fault for fault in FAULTS}
    said = "\n".join(f"  {name:14}{(fault.__doc__ or '').splitlines()[0]}" for name, fault in known.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=f"{__doc__}\nfaults:\n{said}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="FAULT", help="which faults; all if none")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="processes to be killed; power cuts: N/10")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S", help="how long each other fault lasts")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is left to chance; it is reported")
    parser.add_argument("--keep", action="store_true", help="keep the offices of faults that broke a promise")
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"there is no {unknown[0]}; choose of {', '.join(known)}")
    plan = Plan(asked.kills, asked.seconds, asked.seed)
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    kept = False
    try:
        plan.say("founding an institution with courses to mark …")
        founded = Office.founded(folder / "founded" / "data")
        reports = []
        for name in asked.names or known:
            report = _made(known[name], founded.copied(folder / name / "data"), plan)
            reports.append(report)
            tell(report)
            kept = kept or (asked.keep and bool(report.broken))
    finally:
        if kept:
            print(f"The offices are kept in {folder}.", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    broken = [report for report in reports if report.broken]
    if broken:
        print(f"Promises were broken in {', '.join(report.name for report in broken)} (--seed {plan.seed}).")
        return 1
    print(f"No promise was broken in {len(reports)} faults (--seed {plan.seed}).")
    return 0


def _made(fault: Callable[[Office, Plan], Report], office: Office, plan: Plan) -> Report:
    began = time.monotonic()
    try:
        report = fault(office, plan)
    except Exception as error:
        traceback.print_exc()
        report = Report(fault.__name__, broken=[f"the drill itself failed: {type(error).__name__}: {error}"])
    report.did.append(f"took {time.monotonic() - began:.0f} s")
    return report


def tell(report: Report) -> None:
    """Print what a drill did and found."""
    print(f"{'✗' if report.broken else '✓'} {report.name}")
    for line in report.did:
        print(f"    {line}")
    for line in dict.fromkeys(report.broken):
        print(f"    BROKEN: {line}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
