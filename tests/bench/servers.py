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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from domain.access import Role as AccessRole
from domain.trainer import Authority
from provider.bootstrap import bootstrap
from provider.commands import access, institution, people, trainers
from provider.office import Office
from provider.settings import Settings
from provider.work import Act
from tests.bench.sample import LEARNERS, Sample

ROOT = Path(__file__).parents[2]
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
    """Found an institution with a trainer and so many courses of thirty that nobody has marked yet.

    The names of the first course are in the vault; the others were made in bulk.
    """
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}))
    now = datetime.now(UTC)
    receipt, _ = institution.found(
        office, name="Bench", zone="Etc/UTC", given="Ada", family="Admin", email="ada@bench.example"
    )
    admin = UUID(receipt.ids[0])

    def act() -> Act:
        return Act(by=admin, now=now, at=now, channel="bench", request=uuid4().hex)

    trainer = people.register(office, act(), given="Tina", family="Trainer", email="tina@bench.example").id
    trainers.register(office, act(), person=trainer)
    trainers.authorise(
        office,
        act(),
        person=trainer,
        body="SA",
        code="CSPO",
        role=Authority.LEAD,
        valid_from=(now - timedelta(days=3650)).date(),
        evidence="bench",
    )
    access.grant(office, act(), person=trainer, role=AccessRole.TRAINER)
    _, token = access.issue_token(office, act(), person=trainer, roles=(AccessRole.TRAINER,), label="bench")
    assert token is not None
    first = (now - timedelta(days=courses + 3)).date()
    sample = Sample(office.institution, trainer, admin, first)
    classes = [_class(office, act, sample, named=number == 0) for number in range(courses)]
    office.views.catch_up()
    office.close()
    return Seeded(data, trainer, token, classes)


def _class(office: Office, act: object, sample: Sample, *, named: bool) -> Class:
    known = []
    if named:
        known = [
            people.register(
                office,
                act(),  # type: ignore[operator]
                given=f"Learner {number}",
                family=f"Of the class {number}",
                certificate_name=f"Learner {number} Of the class {number}",
                email=f"learner.{number}@example.org",
            ).id
            for number in range(LEARNERS)
        ]
    course, made, learners = sample.planned(known)
    office.log.record(*made, asked={"id": "bench", "channel": "bench"})
    return Class(course.id, learners)


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
