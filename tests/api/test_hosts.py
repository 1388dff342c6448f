"""Two hosts that share nothing but the servers of their databases: whatever one was told, the other says at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from provider.bootstrap import bootstrap
from provider.commands import access, institution
from provider.office import Office
from provider.settings import Settings
from provider.work import Act
from tests.conftest import Caller, app_of
from tests.postgres import Server

TIMES = 25


@pytest.fixture
def hosts(postgres_server: Server, tmp_path: Path) -> Iterator[list[Office]]:
    """Two offices of one institution, each with a directory of its own, in which it keeps nothing."""
    database, keys = postgres_server.make(), postgres_server.make()
    said = {
        "PROVIDER_DATABASE_URL": postgres_server.at(database),
        "PROVIDER_KEYS_URL": postgres_server.at(keys),
    }
    offices = [bootstrap(Settings.read({**said, "PROVIDER_DATA": str(tmp_path / name)})) for name in ("one", "two")]
    yield offices
    for office in offices:
        office.close()
    for name in (database, keys):
        postgres_server.drop(name)


@pytest.fixture
def callers(hosts: list[Office]) -> list[Caller]:
    """Somebody who may ask either host."""
    office = hosts[0]
    founded, _ = institution.found(
        office, name="Agile Academy", zone="Europe/Zurich", given="Ada", family="Admin", email="ada@academy.example"
    )
    admin = UUID(founded.ids[0])

    def act() -> Act:
        return Act(by=admin, now=office.clock(), at=office.clock(), channel="test", request=uuid4().hex)

    access.grant(office, act(), person=admin, role=Role.REGISTRAR)
    _, token = access.issue_token(office, act(), person=admin, roles=[Role.REGISTRAR], label="test")
    return [Caller(app_of(host).test_client(), token) for host in hosts]


def registered(one: Caller, other: Caller, family: str) -> None:
    """Register somebody on one host, and read and rename them on the other, at once."""
    said = {"given": "Grace", "family": family, "email": f"{family}@example.org"}
    made = one.post("/v1/people", said)
    assert made.status_code == 201
    person, position = made.json["id"], made.headers["X-Position"]

    read = other.get(f"/v1/people/{person}?after={position}")

    assert (read.status_code, read.json["family"]) == (200, family)
    assert int(read.headers["X-Position"]) >= int(position)


def test_what_one_host_was_told_the_other_says_at_once(hosts: list[Office], callers: list[Caller]) -> None:
    def work(one: int) -> None:
        for number in range(TIMES):
            registered(callers[one], callers[1 - one], f"Hopper-{one}-{number}")

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, (0, 1)))

    assert hosts[0].log.position() == hosts[1].log.position() > 2 * TIMES
    assert [host.views.verify() for host in hosts] == [[], []]
    # Neither keeps anything where the other can't find it.
    assert not [file for host in hosts for file in host.settings.data.rglob("*") if file.is_file()]


def test_a_repeated_request_is_answered_by_the_other_host_as_by_the_first(
    callers: list[Caller], hosts: list[Office]
) -> None:
    key, said = uuid4().hex, {"given": "Grace", "family": "Hopper", "email": "grace@example.org"}
    first = callers[0].post("/v1/people", said, key=key)
    end = hosts[0].log.position()

    again = callers[1].post("/v1/people", said, key=key)

    assert (again.status_code, again.json["id"]) == (first.status_code, first.json["id"])
    assert hosts[1].log.position() == end


def test_of_two_hosts_that_change_the_same_at_once_one_is_told_to_look_again(callers: list[Caller]) -> None:
    made = callers[0].post("/v1/people", {"given": "Grace", "family": "Hopper", "email": "grace@example.org"})
    person, version = made.json["id"], made.json["version"]

    def rename(caller: Caller) -> int:
        body = {"given": "Grace", "family": "Murray", "reason": "typo"}
        status: int = caller.post(f"/v1/people/{person}/name-corrections", body, version=version).status_code
        return status

    with ThreadPoolExecutor(2) as threads:
        answers = sorted(threads.map(rename, callers))

    assert answers == [200, 412]
