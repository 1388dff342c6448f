"""Measures each figure beside its floor, in turns, and writes `bench.json` and the table in the README."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

import orjson

from provider import sample_history
from provider.bootstrap import PROJECTIONS
from provider.log import EventLog
from provider.settings import Settings
from provider.views import Views
from tests.bench.floor import prepare
from tests.bench.load import Requests, Result, http, run
from tests.bench.servers import ROOT, Class, Seeded, seed, served

SESSIONS = (1, 2, 3, 4)
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


@dataclass(frozen=True)
class Figure:
    """One figure: its value, its floor in the same run, their ratio, the goal, and whether it is met."""

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    goal: str
    met: bool


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


def same(request: bytes) -> Requests:
    """Give the same request again and again."""
    return lambda _: itertools.repeat(request)


def checked(result: Result) -> Result:
    """Return the result, if every answer was a good one."""
    if result.failures:
        raise RuntimeError(f"{len(result.failures)} requests failed, the first with {result.failures[0]}")
    return result


def main() -> int:
    """Run the benches that were asked for, or all."""
    known = ("mark_http", "marks_batch", "roster", "rebuild")
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which figures, of {', '.join(known)}; all if none")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one round of load")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each side, in turns")
    parser.add_argument("--events", type=int, default=100_000, help="size of the history that is rebuilt")
    parser.add_argument("--courses", type=int, default=320, help="courses of thirty that are there to be marked")
    asked = parser.parse_args()
    names = asked.names or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no {unknown[0]}; choose of {', '.join(known)}")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if "rebuild" in names:
            figures.append(rebuild(Path(folder), asked.events))
        if set(names) - {"rebuild"}:
            figures += over_http(Path(folder), names, asked)
    for figure in figures:
        print(
            f"{figure.name:12} {figure.value:>12,.1f} {figure.unit:14}"
            f" floor {figure.floor or 0:>10,.1f}  ratio {figure.ratio or 0:>5.2f}"
            f"  goal {figure.goal:24} {'met' if figure.met else 'NOT MET'}"
        )
    if not asked.names:
        (ROOT / "bench.json").write_bytes(
            orjson.dumps([asdict(f) for f in figures], option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
        into_readme(figures)
    return 0 if all(figure.met for figure in figures) else 1


def over_http(folder: Path, names: list[str], asked: argparse.Namespace) -> list[Figure]:
    """Measure what goes through HTTP, against the floor on the same kind of server."""
    say("founding an institution with courses to mark …")
    data, floor_folder = folder / "office", folder / "floor"
    floor_folder.mkdir()
    prepare(floor_folder)
    seeded = seed(data, asked.courses)
    roster = http("GET", f"/v1/courses/{seeded.classes[0].course}/roster", token=seeded.token)
    figures = []
    with served("wsgi:app", {"PROVIDER_DATA": str(data)}, data) as port:
        (floor_folder / "roster.json").write_bytes(fetched(port, seeded))
        with served("tests.bench.floor:app", {"BENCH_FOLDER": str(floor_folder)}, floor_folder) as floor_port:
            insert = same(http("POST", "/mark", body=b'{"mark":"one of thirty"}'))
            single = seeded.classes[1 : 1 + asked.courses // 2]
            batches = seeded.classes[1 + asked.courses // 2 :]
            if "roster" in names:
                mine, floors = turns(
                    lambda: checked(run(port, same(roster), connections=4, seconds=asked.seconds)),
                    lambda: checked(
                        run(floor_port, same(http("GET", "/roster")), connections=4, seconds=asked.seconds)
                    ),
                    asked.rounds,
                )
                figures.append(against("roster", mine, floors, "requests/s", 0.5))
            if "mark_http" in names:
                marks = Marks(seeded, single, 1)
                mine, floors = turns(
                    lambda: checked(run(port, marks, connections=4, seconds=asked.seconds)),
                    lambda: checked(run(floor_port, insert, connections=4, seconds=asked.seconds)),
                    asked.rounds,
                )
                figures.append(against("mark_http", mine, floors, "requests/s", 0.4))
                rate = median(each.rate for each in floors) / 2
                figures.append(steady(port, floor_port, marks, insert, rate, asked))
            if "marks_batch" in names:
                marks = Marks(seeded, batches, 30)
                results = [
                    checked(run(port, marks, connections=2, seconds=min(asked.seconds, 3.0)))
                    for _ in range(asked.rounds)
                ]
                value = median(each.rate for each in results) * 30
                figures.append(Figure("marks_batch", round(value, 1), "marks/s", None, None, ">= 4000", value >= 4000))
    return figures


def steady(
    port: int, floor_port: int, marks: Requests, insert: Requests, rate: float, asked: argparse.Namespace
) -> Figure:
    """Compare the slowest hundredth at half the floor's rate."""
    mine, floors = turns(
        lambda: checked(run(port, marks, connections=4, seconds=asked.seconds, rate=rate)),
        lambda: checked(run(floor_port, insert, connections=4, seconds=asked.seconds, rate=rate)),
        asked.rounds,
    )
    value = median(each.quantile(0.99) for each in mine) * 1000
    floor = median(each.quantile(0.99) for each in floors) * 1000
    ratio = median(m.quantile(0.99) / f.quantile(0.99) for m, f in zip(mine, floors, strict=True))
    return Figure("mark_http_p99", round(value, 2), "ms", round(floor, 2), round(ratio, 3), "<= 3 x floor", ratio <= 3)


def rebuild(folder: Path, events: int) -> Figure:
    """Rebuild all views from a history of this size."""
    say(f"making a history of {events:,} events …")
    settings = Settings.read({"PROVIDER_DATA": str(folder / "history")})
    sample_history.make(settings, events=events)
    log = EventLog(settings.place("events"))
    views = Views(settings.place("views"), log, PROJECTIONS)
    views.open()
    began = time.perf_counter()
    reached = views.rebuild()
    rate = reached / (time.perf_counter() - began)
    views.close()
    log.close()
    return Figure("rebuild", round(rate, 1), "events/s", None, None, ">= 25000", rate >= 25_000)


def turns(mine: object, floor: object, rounds: int) -> tuple[list[Result], list[Result]]:
    """Run both sides in turns, after one that does not count, so that a noisy machine is noisy for both."""
    mine(), floor()  # type: ignore[operator]
    pairs = [(mine(), floor()) for _ in range(rounds)]  # type: ignore[operator]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def against(name: str, mine: list[Result], floors: list[Result], unit: str, goal: float) -> Figure:
    """Return the figure of a throughput against its floor, pair by pair."""
    ratio = median(m.rate / f.rate for m, f in zip(mine, floors, strict=True))
    value, floor = median(m.rate for m in mine), median(f.rate for f in floors)
    return Figure(
        name, round(value, 1), unit, round(floor, 1), round(ratio, 3), f">= {goal} of the floor", ratio >= goal
    )


def fetched(port: int, seeded: Seeded) -> bytes:
    """Return the bytes of the roster, for the floor to return too."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/courses/{seeded.classes[0].course}/roster",
        headers={"Authorization": f"Bearer {seeded.token}"},
    )
    with urllib.request.urlopen(asked) as answer:
        return answer.read()  # type: ignore[no-any-return]


def into_readme(figures: list[Figure]) -> None:
    """Put the table between its marks in the README."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    if BEGIN not in text:
        return
    lines = ["| figure | value | floor | ratio | goal | |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{f.name}` | {f.value:,.1f} {f.unit} | {'' if f.floor is None else f'{f.floor:,.1f}'} |"
        f" {'' if f.ratio is None else f'{f.ratio:.2f}'} | {f.goal} | {'met' if f.met else 'not met'} |"
        for f in figures
    ]
    head, rest = text.split(BEGIN, 1)
    readme.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END, 1)[1])


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
