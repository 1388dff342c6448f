"""The requests of a bench: marks that nobody has sent before, or the same one again and again."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import orjson

from tests.bench.against import checked
from tests.bench.load import Requests, Result, http, run
from tests.bench.servers import LEARNERS, Class, Seeded, fetched

SESSIONS = (1, 2, 3, 4)
QUICK = 1_800
"""Single marks that no server is expected to take in a second over four connections."""
QUICK_IN_BATCHES = 8_000
"""Marks in batches of thirty that no server is expected to take in a second over two connections."""


def courses_for(a_second: float, seconds: float, rounds: int) -> int:
    """Return how many courses have marks enough for so many rounds, and for one before them that does not count."""
    # Each round leaves registers behind that its connections had begun, or had made ready.
    return int(a_second * seconds * (rounds + 1)) // (LEARNERS * len(SESSIONS)) + 2 * (rounds + 1) + 4


class Marks:
    """Gives every connection marks that nobody has sent before, register by register."""

    def __init__(self, seeded: Seeded, classes: list[Class], batch: int) -> None:
        self.seeded = seeded
        self.batch = batch
        self.registers = iter([(each, session) for session in SESSIONS for each in classes])
        self.made: dict[int, deque[bytes]] = defaultdict(deque)

    def __call__(self, connection: int) -> Iterator[bytes]:
        made = self.made[connection]
        while made or self._make(connection):
            yield made.popleft()
        raise RuntimeError("there are no more marks to send: the server is quicker than was thought possible")

    def _make(self, connection: int) -> bool:
        """Make the marks of another register for a connection, and say whether there was one."""
        register = next(self.registers, None)
        if register is None:
            return False
        klass, session = register
        path = f"/v1/courses/{klass.course}/sessions/{session}/register/marks"
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for start in range(0, len(klass.learners), self.batch):
            marks = [
                {"mark": str(uuid4()), "person": str(learner), "status": "present", "marked_at": now}
                for learner in klass.learners[start : start + self.batch]
            ]
            body = orjson.dumps({"sent_at": now, "marks": marks})
            self.made[connection].append(http("POST", path, token=self.seeded.token, body=body))
        return True

    def run(self, port: int, *, connections: int, seconds: float, rate: float | None = None) -> Result:
        """Send them for some seconds, which last until the views have the last: whoever looks at a roster sees all."""
        # Made before: it would take a twentieth of the time of the processors that the server runs on.
        wanted = (rate or (QUICK if self.batch == 1 else QUICK_IN_BATCHES / self.batch)) * seconds / connections
        for connection in range(connections):
            while len(self.made[connection]) < wanted and self._make(connection):
                pass
        result = checked(run(port, self, connections=connections, seconds=seconds, rate=rate))
        began = time.perf_counter()
        fetched(port, self.seeded)
        result.seconds += time.perf_counter() - began
        return result


def same(request: bytes) -> Requests:
    """Give the same request again and again."""
    return lambda _: itertools.repeat(request)
