"""The two servers that are measured side by side: the back office with a history in it, and the floor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from domain.access import Role as AccessRole
from provider import sample_history
from provider.bootstrap import bootstrap
from provider.settings import Settings

ROOT = Path(__file__).parents[2]
LEARNERS = 30
MOST = 1_150
"""Courses, two days each, for which the catalogue has rules: they begin in May 2020."""
WORKERS, THREADS = 4, 4


@dataclass(frozen=True)
class Class:
    """One course whose sessions have begun, and who is on it."""

    course: UUID
    learners: list[UUID]


@dataclass(frozen=True)
class Seeded:
    """What the load generator needs to know of the back office."""

    data: Path
    trainer: UUID
    token: str
    classes: list[Class]


def seed(data: Path, courses: int, staff: sample_history.Staff | None = None) -> Seeded:
    """Record so many courses of thirty that nobody has marked yet, with a lead of their own who has a token.

    Unless the `staff` of an institution is given, one is founded for it.
    """
    if courses > MOST:
        raise SystemExit(
            f"So long a bench needs {courses} courses, and there are {MOST}. Say fewer --seconds or --rounds."
        )
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}))
    try:
        if staff is None:
            staff, _ = sample_history.found(office)
        (trainer,) = sample_history.hire(office, staff, 1)
        token = sample_history.issue_token(office, staff.admin, trainer, AccessRole.TRAINER)
        # Another seed than that of the history draws other ids.
        sample = sample_history.Sample(office, staff, seed=0)
        first = (datetime.now(UTC) - timedelta(days=2 * courses + 3)).date()
        classes = [_class(sample, first + timedelta(days=2 * number), trainer) for number in range(courses)]
        sample.flush()
        office.views.catch_up()
    finally:
        office.close()
    return Seeded(data, trainer, token, classes)


def _class(sample: sample_history.Sample, day: date, trainer: UUID) -> Class:
    """Return a course that takes place, with all seats taken and nobody marked yet."""
    delivery = sample_history.Delivery(sample, day, trainer, capacity=LEARNERS)
    at = sample_history.local(day - timedelta(days=sample_history.AHEAD), 9)
    delivery.draft(at)
    delivery.schedule(at)
    delivery.open(at)
    delivery.enrol(LEARNERS, at, returning=False)
    return Class(delivery.course.id, list(delivery.enrolments))


@dataclass(frozen=True)
class Server:
    """A server that answers: where, and the process that its workers are children of."""

    port: int
    process: int


@contextmanager
def served(target: str, environment: dict[str, str], folder: Path) -> Iterator[Server]:
    """Serve an application with gunicorn as the product does."""
    port = free_port()
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--config", "python:provider.server"),
                *("--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--threads", str(THREADS), target),
            ],
            cwd=ROOT,
            env=clean(environment),
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_live(port, server)
            yield Server(port, server.pid)
        finally:
            server.terminate()
            server.wait(30)


def fetched(port: int, seeded: Seeded) -> bytes:
    """Return the bytes of a roster, for the floor to return too."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/courses/{seeded.classes[0].course}/roster",
        headers={"Authorization": f"Bearer {seeded.token}"},
    )
    with urllib.request.urlopen(asked) as answer:
        return answer.read()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def clean(environment: dict[str, str]) -> dict[str, str]:
    """Return this process' environment with these settings in place of its own."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PROVIDER_")} | environment


def _wait_until_live(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise RuntimeError("the server did not start")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=60):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("the server does not answer")


__all__ = ["Class", "Seeded", "Server", "clean", "fetched", "free_port", "seed", "served"]
