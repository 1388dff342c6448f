"""Where the stores of a test are, on whichever database it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from provider.schema import Place, Schema
from tests.postgres import Server

Places = Callable[[str], Place]


@pytest.fixture
def place(database: str | None, tmp_path: Path, request: pytest.FixtureRequest) -> Places:
    """Say where a store is, by its name: in a file of its own, or in a schema of a database made for the test."""
    if database is None:
        return lambda name: tmp_path / f"{name}.sqlite"
    server: Server = request.getfixturevalue("postgres_server")
    server.make(name=urlsplit(database).path[1:])
    return partial(Schema, database)


@pytest.fixture
def url(postgres_server: Server) -> Iterator[str]:
    """The address of a PostgreSQL database in which nothing is."""
    name = postgres_server.make()
    yield postgres_server.at(name)
    postgres_server.drop(name)
