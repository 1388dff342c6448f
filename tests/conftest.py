"""A real back office on real files for each test, with a clock that the test moves."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient

from domain.access import Role
from provider.follower import Follower
from provider.office import Office
from provider.settings import Settings
from provider.work import Act
from tests.postgres import Server, running

if TYPE_CHECKING:
    from projections.projection import Projection
    from tests.classroom import Classroom
    from tests.stage import Stage

# A busy machine is no fault of the code: how long an example takes says nothing here.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")

START = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
MEMORY = Path("/dev/shm")
ENOUGH = 1024**3
"""Bytes that must be free in memory for the files of the tests to go there; a run takes less than a tenth of it."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep temporary files in memory where that can be, for whoever records waits for the disk.

    Whoever says where they shall go, by --basetemp or TMPDIR, has them there.
    """
    if config.option.basetemp or os.environ.get("TMPDIR"):
        return
    if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        # Also for the programs that the tests start.
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, or at the end one process would wait for the other that has it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Look for garbage only among what does not live as long as the run: it took a tenth of the time."""
    gc.collect()
    gc.freeze()


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)

    def set(self, to: datetime) -> None:
        self.now = to


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of a back office on both databases, unless it is marked to be about one of them."""
    if "database" in metafunc.fixturenames:
        both = ["sqlite", "postgresql"]
        only = [name for name in both if metafunc.definition.get_closest_marker(name) is not None]
        metafunc.parametrize("database", only or both, indirect=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server."""
    with running() as server, server.warm.handing_on():
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The address of a PostgreSQL database that is made when a template is copied to it; None for SQLite's files.

    A test of an office is handed the one that the last such test had.
    """
    if request.param == "sqlite":
        yield None
        return
    server: Server = request.getfixturevalue("postgres_server")
    if not {"founded", "empty_office", "showing"}.isdisjoint(request.fixturenames):
        yield server.at(server.warm.name)
        return
    name = f"test_{uuid4().hex}"
    yield server.at(name)
    server.drop(name)


@pytest.fixture
def settings(tmp_path: Path, database: str | None) -> Settings:
    said = {"PROVIDER_DATA": str(tmp_path / "data")}
    return Settings.read(said if database is None else {**said, "PROVIDER_DATABASE_URL": database})


@dataclass(frozen=True)
class Templates:
    """Data directories to be copied for a test: to make their tables takes ten times as long.

    In one nothing has happened; in the other an institution was founded at START, by `admin`, who has `token`. On
    PostgreSQL there are a database and the directory of the keys for each.
    """

    empty: Path
    founded: Path
    admin: UUID
    token: str
    server: Server | None = None

    def copy(self, template: Path, settings: Settings) -> None:
        """Make what the settings name as a copy of a template."""
        shutil.copytree(template, settings.data, symlinks=True)
        if self.server is not None and settings.database_url is not None:
            name = settings.database_url.partition("?")[0].rpartition("/")[2]
            self.server.make(template.name, name)

    def at(self, template: Path) -> Settings:
        """Return the settings of a template itself."""
        said = {"PROVIDER_DATA": str(template)}
        url = {"PROVIDER_DATABASE_URL": self.server.at(template.name)} if self.server is not None else {}
        return Settings.read(said | url)


@cache
def _showing(templates: Templates, projections: tuple[Projection, ...]) -> Path:
    """Return a template in which nothing has happened, with these views only."""
    from provider.office import Office

    template = templates.empty.with_name(f"showing_{uuid4().hex}")
    if templates.server is not None:
        templates.server.make(name=template.name)
    Office(templates.at(template), projections).close()
    return template


def founded_in(office: Office) -> tuple[UUID, str]:
    """Found the institution of the fixtures, and return its first administrator and their token."""
    from provider.commands import institution

    receipt, token = institution.found(
        office,
        name="Agile Academy Zürich",
        zone="Europe/Zurich",
        given="Ada",
        family="Admin",
        email="ada@academy.example",
    )
    return UUID(receipt.ids[0]), token


@pytest.fixture(scope="session")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return _templates(tmp_path_factory.mktemp("templates"), None)


@pytest.fixture(scope="session")
def postgres_templates(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server) -> Templates:
    return _templates(tmp_path_factory.mktemp("templates"), postgres_server)


def _templates(root: Path, server: Server | None) -> Templates:
    from provider.bootstrap import bootstrap

    # In a server that serves other runs too, their names are their own.
    empty, founded = root / f"empty_{uuid4().hex}", root / f"founded_{uuid4().hex}"
    made = Templates(empty, founded, uuid4(), "", server)
    if server is not None:
        server.make(name=empty.name)
    bootstrap(made.at(empty), Clock()).close()
    made.copy(empty, made.at(founded))
    office = bootstrap(made.at(founded), Clock())
    admin, token = founded_in(office)
    office.close()
    return replace(made, admin=admin, token=token)


@pytest.fixture
def templates(request: pytest.FixtureRequest, database: str | None) -> Templates:
    """The templates of this test's database."""
    found: Templates = request.getfixturevalue("sqlite_templates" if database is None else "postgres_templates")
    return found


@pytest.fixture
def showing(templates: Templates, settings: Settings, clock: Clock) -> Callable[..., Office]:
    """Open a back office in which nothing has happened and that has these views only: `showing(roster)`."""
    from provider.office import Office

    def opened(*projections: Projection) -> Office:
        templates.copy(_showing(templates, projections), settings)
        return Office(settings, projections, clock)

    return opened


@pytest.fixture
def empty_office(templates: Templates, settings: Settings, clock: Clock) -> Iterator[Office]:
    """A back office in which nothing has happened."""
    from provider.bootstrap import bootstrap

    templates.copy(templates.empty, settings)
    office = bootstrap(settings, clock)
    yield office
    office.close()


@pytest.fixture
def stage() -> Stage[Any] | None:
    """What has happened before a test beside the founding; a module whose tests begin later has its own."""
    return None


@pytest.fixture
def founded(
    request: pytest.FixtureRequest, settings: Settings, clock: Clock, stage: Stage[Any] | None
) -> Iterator[tuple[Office, UUID, str]]:
    """A back office with an institution and its first administrator: the office, that person, their token."""
    from provider.bootstrap import bootstrap

    if stage is not None:
        office = stage.copied(settings, clock)
        yield office, stage.admin, stage.token
        office.close()
        return
    templates: Templates = request.getfixturevalue("templates")
    # A test that moved the clock before the founding wants it founded then.
    ready = clock() == START
    templates.copy(templates.founded if ready else templates.empty, settings)
    office = bootstrap(settings, clock)
    yield office, *((templates.admin, templates.token) if ready else founded_in(office))
    office.close()


@pytest.fixture
def office(founded: tuple[Office, UUID, str]) -> Office:
    """A back office with an institution in Zurich and its first administrator."""
    # Its follower would come late: whoever needs to see a mark brings the views to it by themselves.
    founded[0].follower = Follower(founded[0].views, pause=3_600)
    return founded[0]


@pytest.fixture
def admin(founded: tuple[Office, UUID, str]) -> UUID:
    """The first administrator's person id."""
    return founded[1]


@pytest.fixture
def act(office: Office, admin: UUID, clock: Clock) -> Callable[..., Act]:
    """Make an act: `act()` by the administrator now, `act(by=..., at=..., version=..., key=...)` otherwise."""

    def make(**said: Any) -> Act:
        said.setdefault("by", admin)
        said.setdefault("now", clock())
        said.setdefault("at", said["now"])
        return Act(channel="test", request=uuid4().hex, **said)

    return make


@pytest.fixture
def person(office: Office, act: Callable[..., Act]) -> Callable[..., UUID]:
    """Register somebody: `person("Grace", "Hopper", "grace@example.org")` returns their id."""
    from provider.commands import people

    def register(given: str | None, family: str | None, email: str | None = None, **said: Any) -> UUID:
        return people.register(office, act(), given=given, family=family, email=email, **said).id

    return register


@pytest.fixture
def token_of(office: Office, act: Callable[..., Act]) -> Callable[..., str]:
    """Grant somebody roles and return a token for them: `token_of(person, Role.REGISTRAR)`."""
    from provider.commands import access

    def issue(holder: UUID, *roles: Role) -> str:
        for role in roles:
            access.grant(office, act(), person=holder, role=role)
        return access.issue_token(office, act(), person=holder, roles=roles, label="test")[1]

    return issue


def app_of(office: Office | None) -> Flask:
    """Return an app that serves an office; without one it only has its document."""
    from api.app import create_app

    app = create_app(cast(Office, office))
    app.testing = True
    return app


@pytest.fixture
def app(office: Office) -> Flask:
    return app_of(office)


class Caller:
    """A client of the API with a token: sends JSON, an Idempotency-Key where one is needed, and If-Match."""

    def __init__(self, client: FlaskClient, token: str | None) -> None:
        self.client = client
        self.token = token

    def get(self, path: str, **said: Any) -> Any:
        return self.client.get(path, headers=self._headers(said.pop("headers", {})), **said)

    def post(self, path: str, body: Any = None, *, version: int | str | None = "*", **said: Any) -> Any:
        """Send a command; `version` is a number, "*", or None to leave If-Match out; `key=None` leaves the key out."""
        headers = self._headers(said.pop("headers", {}))
        if version is not None:
            headers.setdefault("If-Match", version if version == "*" else f'"{version}"')
        if (key := said.pop("key", uuid4().hex)) is not None:
            headers.setdefault("Idempotency-Key", key)
        return self.client.post(path, json={} if body is None else body, headers=headers, **said)

    def _headers(self, said: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **said} if self.token else dict(said)


@pytest.fixture
def caller(app: Flask) -> Callable[[str | None], Caller]:
    """Make a caller with a token: `caller(token).get("/v1/courses")`."""

    def make(token: str | None) -> Caller:
        return Caller(app.test_client(), token)

    return make


@pytest.fixture
def admin_caller(caller: Callable[[str | None], Caller], founded: tuple[Office, UUID, str]) -> Caller:
    return caller(founded[2])


@pytest.fixture
def room(office: Office, act: Callable[..., Act], clock: Clock, stage: Stage[Classroom]) -> Classroom:
    """The class that the stage of a file of tests has played, in the office of this test."""
    return stage.played.at(office, act, clock)


@pytest.fixture
def registrar(stage: Stage[Any] | None, person: Callable[..., UUID]) -> UUID:
    return person("Rita", "Registrar", "rita@academy.example") if stage is None else stage.registrar


@pytest.fixture
def registrar_caller(
    stage: Stage[Any] | None,
    caller: Callable[[str | None], Caller],
    registrar: UUID,
    token_of: Callable[..., str],
) -> Caller:
    return caller(token_of(registrar, Role.REGISTRAR) if stage is None else stage.registrar_token)


@pytest.fixture
def auditor_caller(
    stage: Stage[Any] | None,
    caller: Callable[[str | None], Caller],
    person: Callable[..., UUID],
    token_of: Callable[..., str],
) -> Caller:
    return caller(token_of(person("Otto", "Auditor"), Role.AUDITOR) if stage is None else stage.auditor_token)
