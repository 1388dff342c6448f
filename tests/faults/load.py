"""Clients that mark and enrol over HTTP, send again what they got no answer to, and remember what they were told."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson

from tests.faults.office import Office, Server

PROBLEM = "application/problem+json"


@dataclass
class Sent:
    """A command, under which key, and its answer: None while it was not acknowledged."""

    path: str
    body: dict[str, Any]
    key: str | None = None
    marks: tuple[str, ...] = ()
    answer: dict[str, Any] | None = None
    times: int = 0


@dataclass(frozen=True)
class Answer:
    """A status, with what matters of the rest."""

    status: int
    media: str
    retry_after: str | None
    body: bytes


@dataclass
class Load:
    """Some clients; each sends one thing after the other, and the same again until it is acknowledged."""

    office: Office
    servers: Sequence[Server]
    clients: int = 4
    acknowledged: list[Sent] = field(default_factory=list)
    waiting: list[Sent] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    lies: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self._enough = threading.Event()
        self._threads: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._random = random.Random(7)

    def __enter__(self) -> Load:
        self._enough.clear()
        self._threads = [threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(90)
            if thread.is_alive():
                self.lies.append("a client got no answer at all for more than 90 seconds")

    def await_more(self, count: int, seconds: float = 60) -> None:
        """Wait until so many more are acknowledged."""
        until, wanted = time.monotonic() + seconds, len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            if time.monotonic() > until:
                self.lies.append(f"fewer than {count} commands were acknowledged in {seconds:.0f} seconds")
                return
            time.sleep(0.02)

    def finish(self, seconds: float = 60) -> None:
        """Send again whatever was not acknowledged, until it is."""
        until = time.monotonic() + seconds
        for sent in list(self.waiting):
            while not self._attempt(sent, self.servers[0], None):
                if time.monotonic() > until:
                    self.lies.append(f"{sent.path} was not acknowledged in {seconds:.0f} seconds after the fault")
                    return
                time.sleep(0.1)

    def look(self, server: Server, path: str, expected: Sequence[int] = (200,)) -> Answer | None:
        """Ask for something, and see that the answer is the thing itself, or an honest refusal."""
        answer = self._ask(server, None, "GET", path)
        if answer is not None and answer.status not in expected:
            self._must_be_honest("GET " + path, answer)
        return answer

    def _client(self, number: int) -> None:
        server = self.servers[number % len(self.servers)]
        wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=80)
        while not self._enough.is_set():
            sent = self._marks() if number % 2 else self._enrolment()
            with self._guard:
                self.waiting.append(sent)
            while not self._attempt(sent, server, wire) and not self._enough.is_set():
                time.sleep(0.05)
        wire.close()

    def _attempt(self, sent: Sent, server: Server, wire: http.client.HTTPConnection | None) -> bool:
        """Send a command, and say whether it was acknowledged."""
        sent.times += 1
        began = time.monotonic()
        answer = self._ask(server, wire, "POST", sent.path, sent.body, sent.key)
        with self._guard:
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer is None:
                return False
            if answer.status not in (200, 201):
                self._must_be_honest("POST " + sent.path, answer)
                return False
            sent.answer = orjson.loads(answer.body)
            outcomes = [each["outcome"] for each in sent.answer.get("results", ())]
            # With PostgreSQL the server itself asks again what it got no answer to, and may find it recorded.
            once = sent.times == 1 and self.office.database is None
            if "rejected" in outcomes or ("duplicate" in outcomes and once):
                self.lies.append(f"a good mark was answered with {outcomes}")
            self.waiting.remove(sent)
            self.acknowledged.append(sent)
            self.told["acknowledged"] += 1
        return True

    def _ask(
        self,
        server: Server,
        wire: http.client.HTTPConnection | None,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> Answer | None:
        """Return the answer, or None where none came."""
        headers = {"Authorization": f"Bearer {self.office.token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        kept = wire or http.client.HTTPConnection("127.0.0.1", server.port, timeout=80)
        try:
            kept.request(method, path, None if body is None else orjson.dumps(body), headers)
            said = kept.getresponse()
            media = (said.headers.get("Content-Type") or "").partition(";")[0]
            return Answer(said.status, media, said.headers.get("Retry-After"), said.read())
        except (OSError, http.client.HTTPException):
            self.told["no answer"] += 1
            kept.close()
            return None
        finally:
            if wire is None:
                kept.close()

    def _must_be_honest(self, what: str, answer: Answer) -> None:
        """Note it where the answer is not the truth in due form: not now, and when to ask again."""
        self.told[str(answer.status)] += 1
        honest = answer.status == 503 and answer.media == PROBLEM and (answer.retry_after or "").isdigit()
        if not honest:
            # A number more of the same says nothing; the first says it all.
            again = f"Retry-After {answer.retry_after}" if answer.retry_after else "no Retry-After"
            kind = f"{what.split(' ')[0]} …/{what.split('/')[-1]} was answered with {answer.status} and {again}"
            if not any(lie.startswith(kind) for lie in self.lies):
                self.lies.append(f"{kind}: {answer.body[:300].decode(errors='replace')}")

    def _marks(self) -> Sent:
        """Return a batch of marks of some learners of a class."""
        with self._guard:
            number = next(self._numbers)
            chosen = self._random.choice(self.office.seeded.classes)
            learners = self._random.sample(chosen.learners, 3)
            session = self._random.randint(1, 4)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        ids = tuple(str(uuid4()) for _ in learners)
        said = [
            {
                "mark": mark,
                "person": str(learner),
                "status": "late" if number % 3 else "present",
                "late_minutes": number % 3,
                "marked_at": now,
            }
            for mark, learner in zip(ids, learners, strict=True)
        ]
        path = f"/v1/courses/{chosen.course}/sessions/{session}/register/marks"
        return Sent(path, {"sent_at": now, "marks": said}, marks=ids)

    def _enrolment(self) -> Sent:
        """Return an enrolment of somebody new."""
        with self._guard:
            number = next(self._numbers)
            chosen = self._random.choice(self.office.seeded.classes)
        body = {"given": f"New {number}", "family": "Learner", "email": f"new.{number}@example.org"}
        return Sent(f"/v1/courses/{chosen.course}/enrolments", body, key=uuid4().hex)
