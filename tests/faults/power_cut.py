"""The power is cut: the files are copied while all processes stand still in the middle of what they do.

What a disk may not have had yet is taken away from the copies. Vault, keys and desk write through at each commit, so
there it is what lies behind the last commit. Of the log it is whatever was committed since it was last brought to the
disk, which the server is made to note (`disk/sitecustomize.py`). Of the views it is any number of the last commits.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import orjson

from tests.faults.load import Load, Sent
from tests.faults.office import Office, Server, serving
from tests.faults.plan import Plan
from tests.faults.proof import Report, held_by, prove, prove_acknowledged, prove_views

HEADER, FRAME = 32, 24
"""Bytes of the header of a journal, and of each of its frames before its page."""
NOTING = Path(__file__).with_name("disk")
"""What makes a server note how far its log is on the disk, in the path of its modules."""


def power_cut(office: Office, plan: Plan) -> Report:
    """Cut the power, by copies of the files made mid-write, and open each of the copies."""
    report = Report("power_cut")
    chance = Random(plan.seed)
    cuts = max(3, plan.kills // 10)
    before = held_by(office)
    server = Server(office.data, PYTHONPATH=str(NOTING))
    load = Load(office, [server])
    lost = {"events": 0, "views": 0}
    with serving(server):
        with load:
            for cut in range(cuts):
                load.await_more(10)
                time.sleep(chance.uniform(0, 0.3))
                plan.say(f"power_cut: {cut + 1} of {cuts}")
                copy = replace(office, data=office.data.parent / f"cut-{cut}")
                with standing_still(server):
                    # Whatever was acknowledged by now was so before the cut.
                    acknowledged = list(load.acknowledged)
                    ignored = shutil.ignore_patterns("*.turn", "*.making")
                    shutil.copytree(office.data, copy.data, symlinks=True, ignore=ignored)
                for store in ("vault", "keys", "desk"):
                    spoil_the_rest(copy.store(store), chance)
                for store in lost:
                    lost[store] += lose_some(copy.store(store), chance)
                prove_acknowledged(held_by(copy), acknowledged, report)
                prove_views(copy, report)
                if cut == 0:
                    _serve_again(copy, acknowledged, report)
                shutil.rmtree(copy.data)
        load.finish()
    prove(office, load, report, before)
    pages = f"{lost['events']:,} pages of the log's journals and {lost['views']:,} of the views'"
    report.did.insert(0, f"{cuts} power cuts; {pages} had not reached the disk")
    return report


def _serve_again(copy: Office, acknowledged: Sequence[Sent], report: Report) -> None:
    """See that a copy can be served, that the names of those who were enrolled open, and that its history goes on."""
    server = Server(copy.data)
    load = Load(copy, [server])
    enrolled = [each for each in acknowledged if each.key is not None][-20:]
    with serving(server):
        with load:
            load.await_more(10)
        load.finish()
        for sent in enrolled:
            assert sent.answer is not None
            shown = load.look(server, f"/v1/people/{sent.answer['ids'][0]}")
            name = None if shown is None else orjson.loads(shown.body).get("given")
            report.expect(name == sent.body["given"], f"{sent.body['given']} is called {name} after a power cut")
    report.expect(bool(enrolled), "nobody was enrolled before the first power cut")
    report.broken += load.lies


@contextmanager
def standing_still(server: Server) -> Iterator[None]:
    """Let all processes of a server stand still, wherever they are."""
    server.signal_all(signal.SIGSTOP)
    try:
        for pid in (server.pid, *server.workers()):
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.001)
        yield
    finally:
        server.signal_all(signal.SIGCONT)


def spoil_the_rest(store: Path, chance: Random) -> None:
    """Make noise of what lies behind the last commit in a journal: it may be cut off or torn."""
    journal, index = Path(f"{store}-wal"), Path(f"{store}-shm")
    if not journal.exists() or journal.stat().st_size <= HEADER:
        return
    committed, _ = _frames(index)
    end = HEADER + committed * (FRAME + _page_size(journal))
    rest = journal.stat().st_size - end
    index.unlink()
    if rest > 0:
        with journal.open("r+b") as file:
            file.seek(end)
            file.write(chance.randbytes(min(rest, 10_000)))
            if chance.random() < 0.5:
                file.truncate(end)


def lose_some(store: Path, chance: Random) -> int:
    """Take the last frames away that nobody is known to have written through, and return how many."""
    journal, index = Path(f"{store}-wal"), Path(f"{store}-shm")
    if not journal.exists() or journal.stat().st_size <= HEADER:
        return 0
    committed, home = _frames(index)
    kept = chance.randint(max(home, _noted(journal)), committed)
    os.truncate(journal, HEADER + kept * (FRAME + _page_size(journal)))
    index.unlink()
    return committed - kept


def _noted(journal: Path) -> int:
    """Return how many frames of a journal its server has noted to be on the disk."""
    noted = Path(f"{journal}.kept")
    if not noted.exists():
        return 0
    with journal.open("rb") as file:
        salt = file.read(24)[16:]
    of_this = [frames for said, frames in struct.iter_unpack("=8sI", noted.read_bytes()) if said == salt]
    return max(of_this, default=0)


def _page_size(journal: Path) -> int:
    with journal.open("rb") as file:
        size: int = struct.unpack(">I", file.read(12)[8:12])[0]
    return size


def _frames(index: Path) -> tuple[int, int]:
    """Return how many frames of a journal are committed, and how many of them a checkpoint may have brought home.

    Those have been written through before. Both are in the index, which is shared memory and so in the machine's own
    order of bytes.
    """
    said = index.read_bytes()[:136]
    committed, home, attempted = (struct.unpack_from("=I", said, at)[0] for at in (16, 96, 128))
    return committed, min(committed, max(home, attempted))
