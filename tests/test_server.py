"""The worker of gunicorn: who stays with a connection keeps nobody waiting, and nothing is lost on it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from provider.bootstrap import bootstrap
from provider.commands import people
from provider.settings import Settings
from provider.work import Act
from tests.bench import servers
from tests.bench.load import Wire, http
from tests.bench.servers import Server, served
from tests.conftest import START, Clock, founded_in
from tests.processes import children_of, limit_files
from tests.provider.test_worker import until

ASK = http("GET", "/livez")


@contextmanager
def small(folder: Path) -> Iterator[Server]:
    """Serve with one process and one thread, which answers at once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(servers, "WORKERS", 1)
        patched.setattr(servers, "THREADS", 1)
        with served("tests.bench.floor:app", {"BENCH_FOLDER": str(folder)}, folder) as server:
            yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with small(folder) as server:
        yield server


def test_one_thread_answers_many_connections_in_turns(server: Server) -> None:
    wires = [Wire(server.port) for _ in range(5)]
    assert [wire.ask(ASK) for _ in range(20) for wire in wires] == [200] * 100
    for wire in wires:
        wire.close()


def test_a_connection_that_says_nothing_more_keeps_nobody_waiting(server: Server) -> None:
    quiet, other = Wire(server.port), Wire(server.port)
    assert quiet.ask(ASK) == 200
    assert other.ask(ASK) == 200
    assert quiet.ask(ASK) == 200
    quiet.close()
    other.close()


def test_requests_that_come_together_are_all_answered(server: Server) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as wire:
        wire.sendall(ASK * 20)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 20:
            more = wire.recv(65536)
            assert more, "the server let go before all was answered"
            answers += more


def test_who_goes_away_in_between_is_let_go(server: Server) -> None:
    for _ in range(20):
        wire = Wire(server.port)
        assert wire.ask(ASK) == 200
        wire.close()


def test_a_client_that_does_not_close_holds_up_nobody(server: Server) -> None:
    ask = http("GET", "/livez", extra="Connection: close\r\n")
    stubborn = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(40)]
    began = time.monotonic()
    for wire in stubborn:
        wire.sendall(ask)
        while wire.recv(65536):
            pass
    other = Wire(server.port)
    assert other.ask(ASK) == 200
    # Each of them would have been waited for, two seconds long, or the last would have been.
    assert time.monotonic() - began < 8
    for each in (*stubborn, other):
        each.close()


def test_a_server_whose_stderr_is_closed_answers_all_the_same(tmp_path: Path) -> None:
    port = servers.free_port()
    serve = f"{sys.executable} -m gunicorn --config python:provider.server --workers 1 --threads 1"
    closed = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {serve} --bind 127.0.0.1:{port} tests.bench.floor:app 2>&-"],
        cwd=servers.ROOT,
        env=servers.clean({"BENCH_FOLDER": str(tmp_path)}),
        stdout=subprocess.DEVNULL,
    )
    try:
        give_up = time.monotonic() + 20
        while True:
            with suppress(ConnectionError):
                wire = Wire(port)
                break
            assert time.monotonic() < give_up
            time.sleep(0.05)
        opened = wire.socket
        assert [wire.ask(ASK) for _ in range(5)] == [200] * 5
        assert wire.socket is opened, "the server let go of the connection in between"
        wire.close()
    finally:
        closed.terminate()
        closed.wait(20)


@pytest.mark.slow
def test_a_server_that_is_told_to_end_ends_though_connections_are_kept(tmp_path: Path) -> None:
    with small(tmp_path) as server:
        wire = Wire(server.port)
        assert wire.ask(ASK) == 200
        began = time.monotonic()
        os.kill(server.process, signal.SIGTERM)
        while wire.socket.recv(1):
            pass
        assert time.monotonic() - began < 10
        wire.close()


def test_each_answer_has_one_line_in_the_log(server: Server, folder: Path) -> None:
    wire = Wire(server.port)
    asked = [http("GET", "/livez"), http("GET", "/nowhere/ada@example.org?name=Ada"), http("GET", "/prv_0Secret")]
    assert [wire.ask(each) for each in asked] == [200, 404, 404]
    wire.close()
    said = _requests(folder / "server.log")
    # Who is answered need not wait for the line.
    give_up = time.monotonic() + 10
    while said[-1]["path"] != "/…" and time.monotonic() < give_up:
        time.sleep(0.01)
        said = _requests(folder / "server.log")
    assert [(line["method"], line["path"], line["status"]) for line in said[-3:]] == [
        ("GET", "/livez", 200),
        ("GET", "/nowhere/…", 404),
        ("GET", "/…", 404),
    ]
    assert all(line["logger"] == "gunicorn.access" and line["ms"] >= 0 for line in said)


def _requests(log: Path) -> list[dict[str, Any]]:
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    return [line for line in lines if line["event"] == "request"]


@contextmanager
def beginning_on_a_full_disk(folder: Path, workers: int) -> Iterator[tuple[Server, int]]:
    """Serve an office whose disk is full, and give the process of a worker that was killed: its successor waits."""
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(folder / "data")}), Clock())
    admin, _ = founded_in(office)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(servers, "WORKERS", workers)
        with served("wsgi:app", {"PROVIDER_DATA": str(folder / "data")}, folder) as server:
            # What the worker brings home when it begins makes the log's file longer.
            for number in range(100):
                act = Act(by=admin, now=START, at=START, request=str(number))
                people.register(office, act, given="Ada", family=f"Number {number}", email=None)
            first, *_ = children_of(server.process)
            limit_files(server.process, (folder / "data" / "events.sqlite").stat().st_size)
            os.kill(first, signal.SIGKILL)
            until(lambda: "this process begins when it can" in (folder / "server.log").read_text())
            yield server, first
    office.close()


@pytest.mark.slow
def test_a_worker_that_begins_on_a_full_disk_waits_until_it_is_not(tmp_path: Path) -> None:
    with beginning_on_a_full_disk(tmp_path, workers=1) as (server, first):
        limit_files(server.process, resource.RLIM_INFINITY)
        # As soon as it listens again.
        wire = Wire(server.port)
        assert wire.ask(ASK) == 200
        assert first not in children_of(server.process)
        wire.close()


@pytest.mark.slow
def test_a_server_with_a_worker_that_waits_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with beginning_on_a_full_disk(tmp_path, workers=2) as (server, _):
        began = time.monotonic()
        os.kill(server.process, signal.SIGTERM)
        until(lambda: not children_of(server.process))
        assert time.monotonic() - began < 10
