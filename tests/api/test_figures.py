"""What Prometheus is told: figures that add up over all workers of a server, with nothing in them that was sent."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

import domain
import provider.commands
from api.figures import METHODS, NONE, OTHER, template
from domain.aggregate import Aggregate
from domain.institution import Institution
from provider.bootstrap import bootstrap
from provider.commands import institution
from provider.office import Office
from provider.settings import Settings
from provider.work import ATTEMPTS, Act, Busy, Receipt, Work, command
from tests.conftest import Caller
from tests.golden import sample

ROOT = Path(__file__).parents[2]

Series = tuple[str, frozenset[tuple[str, str]]]


def parsed(text: str) -> dict[Series, float]:
    """Return what Prometheus makes of the figures."""
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


class Watch:
    """Prometheus: reads the figures, and knows what has changed since."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.before = self.read()

    def read(self) -> dict[Series, float]:
        return parsed(self.client.get("/metrics").text)

    def since(self, name: str, **labels: str) -> float:
        key = name, frozenset(labels.items())
        return self.read().get(key, 0.0) - self.before.get(key, 0.0)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def watch(client: FlaskClient) -> Watch:
    return Watch(client)


def test_requests_are_counted_by_route_method_and_status(registrar_caller: Caller, watch: Watch) -> None:
    for _ in range(3):
        assert registrar_caller.get(f"/v1/people/{uuid4()}").status_code == 404
    assert registrar_caller.get("/v1/people").status_code == 200
    assert registrar_caller.client.get("/v1/people").status_code == 401

    def requests(route: str, status: int) -> float:
        return watch.since("provider_http_requests_total", route=route, method="GET", status=str(status))

    assert requests("/v1/people/{person}", 404) == 3
    assert (requests("/v1/people", 200), requests("/v1/people", 401)) == (1, 1)
    seconds = "provider_http_request_duration_seconds"
    assert watch.since(f"{seconds}_count", route="/v1/people") == 2
    assert watch.since(f"{seconds}_bucket", route="/v1/people", le="+Inf") == 2
    assert 0 < watch.since(f"{seconds}_sum", route="/v1/people") < 60


def test_made_up_addresses_methods_and_queries_make_no_labels(client: FlaskClient, registrar_caller: Caller) -> None:
    def made_up() -> None:
        for path in ("/{}", "/v1/{}", "/v1/people/{}", "/v1/courses/{}/roster", "/problems/{}", "/static/{}", "/%00{}"):
            client.get(path.format(uuid4().hex), query_string={uuid4().hex: uuid4().hex})
            client.open(path.format(uuid4()), method=f"X{uuid4().hex[:8].upper()}")
            registrar_caller.get(path.format(uuid4()), headers={"X-Request-Id": uuid4().hex, uuid4().hex: "x"})
            registrar_caller.post(
                path.format(uuid4()), {uuid4().hex: 1}, headers={"X-HTTP-Method-Override": uuid4().hex}
            )

    made_up()
    # The scrape itself is a request too.
    client.get("/metrics")
    before = parsed(client.get("/metrics").text).keys()
    for _ in range(20):
        made_up()

    assert parsed(client.get("/metrics").text).keys() == before


def test_every_label_is_one_that_the_code_names(app: Flask, client: FlaskClient, registrar_caller: Caller) -> None:
    said = {"given": "Wilhelmina", "family": "Quackenbush", "email": "wilhelmina@privacy.example"}
    assert registrar_caller.post("/v1/people", said).status_code == 201
    client.open("/wilhelmina@privacy.example", method="QUACKENBUSH")

    text = client.get("/metrics").text

    found: dict[str, set[str]] = {}
    for _, labels in parsed(text):
        for name, value in labels:
            found.setdefault(name, set()).add(value)
    assert found.keys() == {"route", "method", "status", "le", "noun", "command", "projection"}
    assert found["route"] <= {NONE, *(template(rule.rule) for rule in app.url_map.iter_rules())}
    assert not [route for route in found["route"] if "<" in route]
    assert found["method"] <= METHODS | {OTHER}
    assert all(status.isdigit() and len(status) == 3 for status in found["status"])
    # Other tests of this process record things of their own.
    assert {noun for noun in found["noun"] if not noun.startswith("test_")} <= nouns()
    modules = {each.name for each in iter_modules(provider.commands.__path__)}
    assert {c for c in found["command"] if c.partition(".")[0] not in modules and not c.startswith("test_")} == set()
    assert "quackenbush" not in text.lower()
    assert "privacy" not in text


def nouns() -> set[str]:
    modules = [import_module(f"domain.{each.name}") for each in iter_modules(domain.__path__)]
    return {
        kind.TOPIC
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Aggregate) and hasattr(kind, "TOPIC")
    }


def test_every_figure_is_explained_to_the_operator(client: FlaskClient) -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = {line.split()[2] for line in client.get("/metrics").text.splitlines() if line.startswith("# TYPE ")}
    assert len(told) == 9
    assert sorted(name for name in told if f"`{name}`" not in operations) == []


def test_events_are_counted_by_noun_once_they_are_recorded(registrar_caller: Caller, watch: Watch) -> None:
    answer = registrar_caller.post("/v1/people", {"given": "Grace", "family": "Hopper"})
    assert answer.status_code == 201
    refused = registrar_caller.post("/v1/people", {"given": "", "family": "", "email": "no address"})
    assert refused.status_code == 422
    again = registrar_caller.post("/v1/people", {"given": "Ida", "family": "Rhodes"}, key="the very same")
    assert (
        registrar_caller.post("/v1/people", {"given": "Ida", "family": "Rhodes"}, key="the very same").json
        == again.json
    )

    assert watch.since("provider_events_recorded_total", noun="person") == 2


def test_the_lag_is_told_for_each_view_and_goes_when_they_catch_up(client: FlaskClient, office: Office) -> None:
    assert lags(client) == dict.fromkeys(names(office), 0)
    renamed = sample(Institution.Renamed, full=False)
    first = office.log.get(Institution, office.institution).version + 1
    events = [replace(renamed, originator_id=office.institution, originator_version=first + n) for n in range(7)]
    office.log.recorder.insert_events([office.log.mapper.to_stored_event(event) for event in events])

    figures = parsed(client.get("/metrics").text)

    assert figures["provider_log_position", frozenset()] == office.log.position()
    assert lags(client) == dict.fromkeys(names(office), office.log.position() - office.views.position())
    assert set(lags(client).values()) != {0}
    assert client.get("/readyz").status_code == 200
    assert set(lags(client).values()) == {0}


def names(office: Office) -> list[str]:
    return [projection.name for projection in office.views.projections]


def lags(client: FlaskClient) -> dict[str, float]:
    told = parsed(client.get("/metrics").text)
    return {
        dict(labels)["projection"]: value for (name, labels), value in told.items() if name.startswith("provider_views")
    }


@command
def rename_late(work: Work, *, meanwhile: Callable[[], object]) -> Receipt:
    """Rename the institution, while somebody else does so too."""
    found = work.addressed(Institution, work.office.institution)
    meanwhile()
    found.rename(name=f"Academy {uuid4().hex}", **work.by)
    return work.record(found)


def changes(office: Office, act: Callable[..., Act], times: int) -> Callable[[], object]:
    """Return what changes the institution so many times, and then no more."""
    left = iter(range(times))

    def change() -> None:
        if next(left, None) is not None:
            rename_late(office, act(), meanwhile=lambda: None)

    return change


def test_conflicts_retries_and_commands_given_up_are_counted(
    watch: Watch, office: Office, act: Callable[..., Act]
) -> None:
    def counted() -> list[float]:
        return [
            watch.since(f"provider_command_{what}_total", command="test_figures.rename_late")
            for what in ("conflicts", "retries", "busy")
        ]

    rename_late(office, act(), meanwhile=changes(office, act, 2))
    assert counted() == [2, 2, 0]
    with pytest.raises(Busy):
        rename_late(office, act(), meanwhile=changes(office, act, ATTEMPTS))
    assert counted() == [2 + ATTEMPTS, 2 + ATTEMPTS - 1, 1]


def test_a_caller_who_had_seen_another_version_is_counted(admin_caller: Caller, watch: Watch) -> None:
    assert admin_caller.post("/v1/institution/rename", {"name": "B"}, version=999).status_code == 412

    assert watch.since("provider_command_stale_total", command="institution.rename") == 1
    assert watch.since("provider_command_conflicts_total", command="institution.rename") == 0


@contextmanager
def serving(data: Path, log: Path) -> Iterator[int]:
    """Serve with two workers as the product does, and give the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--config", "python:provider.server"),
                *("--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "2", "wsgi:app"),
            ],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("PROVIDER_")} | {"PROVIDER_DATA": str(data)},
            stdout=out,
            stderr=out,
        )
    try:
        yield port
    finally:
        server.terminate()
        server.wait(30)


def asked(port: int, path: str, method: str = "GET", body: Any = None, **headers: str) -> str:
    """Return the answer to a request on a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        said = json.dumps(body) if body is not None else None
        connection.request(method, path, said, {"Content-Type": "application/json", **headers} if said else headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def eventually(met: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 30
    while True:
        try:
            if met():
                return
        except (OSError, HTTPException):
            pass
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def lines(log: Path, event: str) -> list[dict[str, Any]]:
    """Return what the server logged, which is nothing but lines of JSON."""
    said = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [each for each in said if each["event"] == event]


def test_the_figures_of_all_workers_add_up_and_outlive_a_worker(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "server.log"
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}))
    _, token = institution.found(
        office, name="Academy", zone="Etc/UTC", given="Ada", family="Admin", email="ada@academy.example"
    )
    with serving(data, log) as port:

        def told() -> float:
            figures = parsed(asked(port, "/metrics"))
            key = frozenset({"route": "/livez", "method": "GET", "status": "200"}.items())
            return figures.get(("provider_http_requests_total", key), 0.0)

        def served() -> list[int]:
            return [line["process"] for line in lines(log, "request") if line["path"] == "/livez"]

        def by_workers(number: int) -> bool:
            asked(port, "/livez")
            return len(set(served())) == number

        eventually(lambda: by_workers(2))
        eventually(lambda: told() == len(served()))
        os.kill(served()[0], signal.SIGKILL)
        eventually(lambda: by_workers(3))
        eventually(lambda: told() == len(served()))

        # The line that is logged for a request, and the events that it recorded, have one id.
        said = {"Authorization": f"Bearer {token}", "X-Request-Id": f"r-{uuid4().hex}", "If-Match": "*"}
        assert "version" in json.loads(asked(port, "/v1/institution/rename", "POST", {"name": "Another"}, **said))
        eventually(lambda: said["X-Request-Id"] in [line["request_id"] for line in lines(log, "request")])
        last = office.log.entries.page(office.log.position() - 1, 1)[0]
        assert json.loads(last[4])["_request"]["id"] == said["X-Request-Id"]
    office.close()


BEGIN = """
import os, sys
from types import SimpleNamespace
from provider import server
master = SimpleNamespace(app=SimpleNamespace(app_uri="nothing:app"))
server.on_starting(master)
print(os.environ[server.FIGURES], flush=True)
sys.stdin.read()
server.on_exit(master)
"""


def begun() -> tuple[subprocess.Popen[str], Path]:
    """Begin a server without workers, and give its folder as if it had been made an hour ago."""
    server = subprocess.Popen(
        [sys.executable, "-c", BEGIN], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    folder = Path(server.stdout.readline().strip())
    hour_ago = time.time() - 3600
    os.utime(folder, (hour_ago, hour_ago))
    return server, folder


def test_a_server_removes_its_folder_and_that_of_one_that_was_killed() -> None:
    (first, of_the_first), (second, of_the_second) = begun(), begun()
    assert of_the_first.exists()
    first.kill()
    first.communicate()
    third, of_the_third = begun()
    assert [of_the_first.exists(), of_the_second.exists(), of_the_third.exists()] == [False, True, True]
    for server in (second, third):
        server.communicate()
    assert [of_the_second.exists(), of_the_third.exists()] == [False, False]
