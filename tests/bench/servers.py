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
from provider.commands import access
from provider.settings import Settings
from provider.work import Act

ROOT = Path(__file__).parents[2]
LEARNERS = 30
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


def seed(data: Path, courses: int) -> Seeded:
    """Found an institution with a trainer and so many courses of thirty that nobody has marked yet."""
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}))
    now = datetime.now(UTC)
    staff, _ = sample_history.found(office)
    (trainer,) = sample_history.hire(office, staff, 1)
    act = Act(by=staff.admin, now=now, at=now, channel="bench", request="bench")
    _, token = access.issue_token(office, act, person=trainer, roles=(AccessRole.TRAINER,), label="bench")
    assert token is not None
    sample = sample_history.Sample(office, staff)
    first = (now - timedelta(days=2 * courses + 3)).date()
    classes = [_class(sample, first + timedelta(days=2 * number), trainer) for number in range(courses)]
    sample.flush()
    office.views.catch_up()
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


@contextmanager
def served(target: str, environment: dict[str, str], folder: Path) -> Iterator[int]:
    """Serve an application with gunicorn as the product does, and give the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--config", "python:provider.server"),
                *("--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS), "--threads", str(THREADS), target),
            ],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if not k.startswith("PROVIDER_")} | environment,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_live(port, server)
            yield port
        finally:
            server.terminate()
            server.wait(30)


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


__all__ = ["Class", "Seeded", "seed", "served"]
