"""An office with courses to mark on a disk, the servers that run on it, and the command line beside them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path

from domain.access import Role
from provider.bootstrap import bootstrap
from provider.commands import access
from provider.settings import Settings
from provider.work import Act
from tests.bench.servers import Seeded, seed
from tests.processes import children_of
from tests.stores import file_of

ROOT = Path(__file__).parents[2]
COURSES = 24
WORKERS, THREADS = 2, 8


@dataclass(frozen=True)
class Office:
    """A data directory of its own, and who may mark and enrol in it."""

    data: Path
    seeded: Seeded
    token: str
    database: str | None = None
    """The address of a PostgreSQL database that all is in but the keys; None: all is in files."""

    @property
    def settings(self) -> Settings:
        return Settings.read({name: text for name, text in self.environment().items() if name.startswith("PROVIDER_")})

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a program that works on this office."""
        url = {} if self.database is None else {"PROVIDER_DATABASE_URL": self.database}
        return environment(self.data, **url, **more)

    @classmethod
    def founded(cls, data: Path) -> Office:
        """Found an institution with courses, and a trainer who is a registrar too."""
        seeded = seed(data, COURSES)
        office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}))
        now = office.clock()
        act = Act(by=seeded.trainer, now=now, at=now, channel="faults", request="faults")
        access.grant(office, act, person=seeded.trainer, role=Role.REGISTRAR)
        roles = (Role.TRAINER, Role.REGISTRAR)
        _, token = access.issue_token(office, act, person=seeded.trainer, roles=roles, label="faults")
        office.close()
        assert token is not None
        return cls(data, seeded, token)

    def copied(self, data: Path) -> Office:
        """Return the same office in another directory. Nobody may be writing to this one."""
        shutil.copytree(self.data, data, symlinks=True)
        return replace(self, data=data)

    def moved(self, database: str) -> Office:
        """Move the office into a PostgreSQL database."""
        there = replace(self, database=database)
        status, said = there.run("move")
        if status != 0:
            raise RuntimeError(said)
        return there

    def store(self, name: str) -> Path:
        return file_of(Settings.read({"PROVIDER_DATA": str(self.data)}), name)

    def program(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command `provider` on this office."""
        return subprocess.Popen(
            [sys.executable, "-m", "provider", *arguments],
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run the command `provider` on this office, and return its exit status and all it said."""
        program = self.program(*arguments)
        out, err = program.communicate(timeout=300)
        return program.returncode, (out + err).strip()


def environment(data: Path, **more: str) -> dict[str, str]:
    """Return the environment of a program that works on a data directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROVIDER_")}
    return {**kept, "PROVIDER_DATA": str(data), **more}


class Server:
    """gunicorn as the product runs it, in a process group of its own, always on the same port."""

    def __init__(self, data: Path, *, target: str = "wsgi:app", **more: str) -> None:
        self.data = data
        self.target = target
        self.environment = environment(data, **more)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.log = data.parent / f"server-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--config", "python:provider.server"),
                *("--bind", f"127.0.0.1:{self.port}", "--workers", str(WORKERS), "--threads", str(THREADS)),
                self.target,
            ],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # The file is this process's, so that what is done to the server's files spares its log.
        threading.Thread(target=self._keep_log, args=(self.process,), daemon=True).start()

    def _keep_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with self.log.open("ab") as log, process.stdout as said:
            for line in said:
                log.write(line)
                log.flush()

    def wait_until_live(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.running:
                raise RuntimeError(f"the server did not start; {self.log} says why")
            with suppress(urllib.error.URLError, ConnectionError, HTTPException, TimeoutError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=5).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"the server does not answer; {self.log} says why")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def workers(self) -> list[int]:
        """Return the processes that the server has begun."""
        return children_of(self.pid)

    def signal_all(self, what: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, what)

    def kill(self) -> None:
        """End the server and all of its workers at once."""
        if self.process is not None:
            self.signal_all(signal.SIGKILL)
            self.reap()

    def reap(self) -> None:
        """Wait until the master is gone."""
        assert self.process is not None
        self.process.wait(30)

    def stop(self) -> None:
        """Let the server end as an operator does."""
        if self.process is None or not self.running:
            return
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def serving(*servers: Server) -> Iterator[None]:
    """Run these servers until the end, however that comes."""
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_until_live()
        yield
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.kill()


OUTSIDER = """
import sqlite3, sys, time
raw = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
for statement in sys.argv[3:]:
    raw.execute(statement).fetchall()
print("done", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextmanager
def outsider(file: Path, *statements: str, seconds: float = 3600) -> Iterator[None]:
    """Let another program run statements on a database, and keep it open with whatever it holds."""
    # Never from this process: who closes a file lets go of all locks that the process has on it.
    other = subprocess.Popen(
        [sys.executable, "-c", OUTSIDER, str(file), str(seconds), *statements], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    try:
        if other.stdout.readline() != "done\n":
            raise RuntimeError(f"another program could not open {file.name}")
        yield
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def by_another(file: Path, *statements: str) -> None:
    """Let another program run statements on a database, and end."""
    with outsider(file, *statements):
        pass


def files_of(store: Path) -> Sequence[Path]:
    """Return the files of a database: itself, its journal and the index of that, as far as they are there."""
    return [file for file in (store, Path(f"{store}-wal"), Path(f"{store}-shm")) if file.exists()]
