"""The requests of a bench: marks that nobody has sent before, or the same one again and again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import orjson

from tests.bench.against import checked
from tests.bench.load import Requests, Result, http, run
from tests.bench.servers import Class, Seeded, fetched

SESSIONS = (1, 2, 3, 4)


class Marks:
    """Gives every connection marks that nobody has sent before, register by register."""

    def __init__(self, seeded: Seeded, classes: list[Class], batch: int) -> None:
        self.seeded = seeded
        self.batch = batch
        self.registers = iter([(each, session) for session in SESSIONS for each in classes])

    def __call__(self, _: int) -> Iterator[bytes]:
        while (register := next(self.registers, None)) is not None:
            klass, session = register
            path = f"/v1/courses/{klass.course}/sessions/{session}/register/marks"
            for start in range(0, len(klass.learners), self.batch):
                now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                marks = [
                    {"mark": str(uuid4()), "person": str(learner), "status": "present", "marked_at": now}
                    for learner in klass.learners[start : start + self.batch]
                ]
                yield http("POST", path, token=self.seeded.token, body=orjson.dumps({"sent_at": now, "marks": marks}))
        raise RuntimeError("there are no more marks to send; seed more courses")

    def run(self, port: int, *, connections: int, seconds: float, rate: float | None = None) -> Result:
        """Send them for some seconds, which last until the views have the last: whoever looks at a roster sees all."""
        result = checked(run(port, self, connections=connections, seconds=seconds, rate=rate))
        began = time.perf_counter()
        fetched(port, self.seeded)
        result.seconds += time.perf_counter() - began
        return result


def same(request: bytes) -> Requests:
    """Give the same request again and again."""
    return lambda _: itertools.repeat(request)
