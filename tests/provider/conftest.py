"""Where the stores of a test are, on whichever database it runs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest

from provider import __main__
from provider.log import EventLog
from provider.schema import Place, Schema
from tests.postgres import Server

Places = Callable[[str], Place]


class Said(NamedTuple):
    """What a command left behind: its exit status, and what it said on either stream."""

    status: int
    out: str
    err: str


Call = Callable[..., Said]
"""Runs a command: `provider("course", "list", PROVIDER_DATA=…)`."""


@pytest.fixture
def place(database: str | None, tmp_path: Path, request: pytest.FixtureRequest) -> Places:
    """Say where a store is, by its name: in a file of its own, or in a schema of a database made for the test."""
    if database is None:
        return lambda name: tmp_path / f"{name}.sqlite"
    server: Server = request.getfixturevalue("postgres_server")
    server.make(name=urlsplit(database).path[1:])
    return partial(Schema, database)


@pytest.fixture
def log(place: Places) -> Iterator[EventLog]:
    """An event log in which nothing is."""
    log = EventLog(place("events"))
    yield log
    log.close()


@pytest.fixture
def url(postgres_server: Server) -> Iterator[str]:
    """The address of a PostgreSQL database in which nothing is."""
    name = postgres_server.make()
    yield postgres_server.at(name)
    postgres_server.drop(name)


@pytest.fixture
def keys_url(postgres_server: Server) -> Iterator[str]:
    """The address of a database for the keys."""
    name = postgres_server.make()
    yield postgres_server.at(name)
    postgres_server.drop(name)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run `provider` with these variables, and those that the test has set."""
    for name in [name for name in os.environ if name.startswith("PROVIDER_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str, **variables: str | Path | None) -> Said:
        capsys.readouterr()
        mask = os.umask(0o022)
        try:
            with monkeypatch.context() as here, pytest.raises(SystemExit) as left:
                for name, value in variables.items():
                    if value is not None:
                        here.setenv(name, str(value))
                __main__.main(arguments)
        finally:
            os.umask(mask)
        assert isinstance(left.value.code, int)
        return Said(left.value.code, *capsys.readouterr())

    return call


def done_to(place: Place, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Do something to a store behind everybody's back; `?` stands for a value, and an id is given as 32 digits."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as file, file:
            return file.execute(statement, values).fetchall()
    with psycopg.connect(place.url, options=f"-csearch_path={place.name}") as connection:
        cursor = connection.execute(statement.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description else []
