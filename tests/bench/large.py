"""What a long history costs: past rosters, growth, memory, and how long it takes to start and to rebuild."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import UUID, uuid4

import orjson

from projections import courses
from provider import sample_history
from provider.bootstrap import bootstrap
from provider.settings import Settings
from tests.bench.figure import Figure
from tests.bench.load import Request, Wire, http, run
from tests.bench.memory import family, proportional
from tests.bench.servers import ROOT, Class, Seeded, Server, clean, fetched, free_port, seed, served

SMALL = 10_000
CLASSES = 8
LOOKS = 400
PAIRS = 240
SESSIONS = (1, 2, 3, 4)


@dataclass(frozen=True)
class History:
    """A history that lies in a data directory, and what one has to know to ask for it."""

    data: Path
    events: int
    auditor: str
    seeded: Seeded


def history(folder: Path, events: int) -> History:
    """Return a history of that size with some courses to be marked; made, unless it lies in the folder already."""
    made = folder / f"history-{events}"
    told = made / "made.json"
    if not told.exists():
        shutil.rmtree(made, ignore_errors=True)
        say(f"making a history of {events:,} events …")
        data = made / "data"
        done = sample_history.make(Settings.read({"PROVIDER_DATA": str(data)}), events=events)
        seeded = seed(data, CLASSES, done.staff)
        said = {"auditor": done.tokens["auditor"], "seeded": asdict(seeded), "events": done.events}
        told.write_bytes(orjson.dumps(said, default=str))
    said = orjson.loads(told.read_bytes())
    classes = [Class(UUID(each["course"]), list(map(UUID, each["learners"]))) for each in said["seeded"]["classes"]]
    seeded = Seeded(made / "data", UUID(said["seeded"]["trainer"]), said["seeded"]["token"], classes)
    return History(made / "data", said["events"], said["auditor"], seeded)


# A server with a long history beside one with a short one, and the floor.


def as_of(large: History, server: Server, floor: Server) -> Figure:
    """Look at a course's roster as of any moment since it was drafted, by position and by time, in turns."""
    chosen = random.Random(1)
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(large.data)}))
    try:
        with office.views.reading() as read:
            known = [(row["course"], row["drafted"]) for row in courses.listing(read, limit=large.events)]
        end = office.log.position()
        asked: list[Request] = []
        for number in range(LOOKS):
            course, drafted = chosen.choice(known)
            place = chosen.randint(drafted, end)
            moment: object = place
            if number % 2:
                (entry,) = office.log.entries.at([place])
                stamp = office.log.reads(*entry[1:])[0].timestamp
                moment = stamp.astimezone(UTC).isoformat().replace("+00:00", "Z")
            asked.append(http("GET", f"/v1/courses/{course}/roster?as_of={moment}", token=large.auditor))
    finally:
        office.close()
    mine, bare = timed(server, asked, floor, itertools.repeat(http("GET", "/roster")))
    value, base = (quantile(each, 0.99) * 1000 for each in (mine, bare))
    return Figure("as_of", round(value, 2), "ms", round(base, 2), round(value / base, 2), "< 10 ms", value < 10)


def growth(large: History, server: Server, small: History, other: Server) -> Figure:
    """Mark and look with a long history and with a short one, request by request in turns, and return the worse."""
    worst: Figure | None = None
    for what, requests in (("mark", marks), ("roster", rosters)):
        mine, theirs = timed(server, itertools.islice(requests(large), PAIRS), other, requests(small))
        # The first requests of a server open its files.
        value, base = (median(each[20:]) * 1000 for each in (mine, theirs))
        ratio = value / base
        goal = f"<= 1.2 x at {SMALL:,} events"
        found = Figure("growth", round(value, 2), f"ms/{what}", round(base, 2), round(ratio, 3), goal, ratio <= 1.2)
        say(f"growth of a {what}: {ratio:.3f}")
        worst = found if worst is None or ratio > (worst.ratio or 0) else worst
    assert worst is not None
    return worst


def memory_web(large: History, server: Server, floor: Server) -> Figure:
    """Ask for many things, and return how much memory the largest worker takes then."""
    paths = ("courses?limit=200", "history?limit=200", "people?limit=200", "discrepancies?limit=200")
    lists = [http("GET", f"/v1/{path}", token=large.auditor) for path in paths]
    seen = itertools.islice(rosters(large), 4 * len(large.seeded.classes))
    both = [*lists, *seen]
    result = run(server.port, lambda _: itertools.cycle(both), connections=8, seconds=5.0)
    if result.failures:
        raise RuntimeError(f"{len(result.failures)} requests failed, the first with {result.failures[0]}")
    run(floor.port, lambda _: itertools.repeat(http("GET", "/roster")), connections=8, seconds=1.0)
    value, base = (max(map(proportional, family(each.process)[1:])) for each in (server, floor))
    ratio, met = round(value / base, 2), value <= 150
    return Figure("memory_web", round(value, 1), "MB PSS a worker", round(base, 1), ratio, "<= 150 MB", met)


def marks(known: History) -> Iterator[Request]:
    """Give marks, one by one, class by class and session by session."""
    for session in itertools.cycle(SESSIONS):
        for klass in known.seeded.classes:
            for learner in klass.learners:
                now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                mark = {"mark": str(uuid4()), "person": str(learner), "status": "present", "marked_at": now}
                path = f"/v1/courses/{klass.course}/sessions/{session}/register/marks"
                yield http("POST", path, token=known.seeded.token, body=orjson.dumps({"sent_at": now, "marks": [mark]}))


def rosters(known: History) -> Iterator[Request]:
    """Give looks at the rosters of the classes that are there to be marked, all of thirty."""
    for klass in itertools.cycle(known.seeded.classes):
        yield http("GET", f"/v1/courses/{klass.course}/roster", token=known.seeded.token)


def read_through(folder: Path) -> None:
    """Have the system keep in memory what is in the files, as it does for a server that is used.

    Some virtual machines give such memory back within minutes. The first look at files that are not there took four
    times as long.
    """
    for file in folder.glob("*.sqlite"):
        with file.open("rb") as open_file:
            while open_file.read(1 << 20):
                """Only the reading counts."""


def timed(
    server: Server, requests: Sequence[Request] | Iterator[Request], other: Server, theirs: Iterator[Request]
) -> tuple[list[float], list[float]]:
    """Ask two servers in turns, so that a noisy machine is noisy for both, and return how long each answer took."""
    found: tuple[list[float], list[float]] = ([], [])
    wires = Wire(server.port), Wire(other.port)
    for pair in zip(requests, theirs, strict=False):
        for wire, request, seconds in zip(wires, pair, found, strict=True):
            began = time.perf_counter()
            status = wire.ask(request)
            seconds.append(time.perf_counter() - began)
            if not 200 <= status < 300:
                raise RuntimeError(f"a request was answered by {status}: {request[:200]!r}")
    for wire in wires:
        wire.close()
    return found


def quantile(seconds: list[float], share: float) -> float:
    """Return what this share of the values stayed below."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def side_by_side(large: History, small: History, folder: Path, names: Sequence[str]) -> list[Figure]:
    """Serve a long history, a short one and the floor, and measure what was asked for."""
    found = []
    for history in (large, small):
        read_through(history.data)
    with (
        served("wsgi:app", {"PROVIDER_DATA": str(large.data)}, large.data) as server,
        served("wsgi:app", {"PROVIDER_DATA": str(small.data)}, small.data) as other,
    ):
        (folder / "roster.json").write_bytes(fetched(server.port, large.seeded))
        with served("tests.bench.floor:app", {"BENCH_FOLDER": str(folder)}, folder) as floor:
            if "as_of" in names:
                found.append(as_of(large, server, floor))
            if "growth" in names:
                found.append(growth(large, server, small, other))
            if "memory_web" in names:
                found.append(memory_web(large, server, floor))
    return found


# Starting and rebuilding, in processes of their own.


def start_cli(rounds: int) -> Figure:
    """Ask for help, beside an interpreter that does nothing."""
    mine, bare = [], []
    for _ in range(rounds + 1):
        mine.append(_until_over([sys.executable, "-m", "provider", "--help"]))
        bare.append(_until_over([sys.executable, "-c", "pass"]))
    value, base = median(mine[1:]), median(bare[1:])
    return Figure("start_cli", round(value, 3), "s", round(base, 3), round(value / base, 2), "< 0.3 s", value < 0.3)


def start_server(large: History, floor_folder: Path, rounds: int) -> Figure:
    """Serve a long history until it says that it is ready, beside the floor until it answers."""
    mine, bare = [], []
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:provider.server", "tests.bench.floor:app"]
    for _ in range(rounds + 1):
        port = free_port()
        serve = [sys.executable, "-m", "provider", "serve", "--port", str(port)]
        mine.append(_until_ready(serve, port, "readyz", {"PROVIDER_DATA": str(large.data)}))
        port = free_port()
        bound = [*gunicorn, "--bind", f"127.0.0.1:{port}", "--workers", "4", "--threads", "4"]
        bare.append(_until_ready(bound, port, "roster", {"BENCH_FOLDER": str(floor_folder)}))
    value, base = median(mine[1:]), median(bare[1:])
    return Figure("start_server", round(value, 2), "s", round(base, 2), round(value / base, 2), "< 2 s", value < 2)


def rebuild(large: History) -> list[Figure]:
    """Rebuild all views, and tell how much memory its processes took together at most."""
    command = [sys.executable, "-m", "tests.bench.rebuilding", str(large.data)]
    done = subprocess.run(command, cwd=ROOT, env=clean({}), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError(f"the rebuild ended with {done.returncode}")
    said = orjson.loads(done.stdout)
    rate, megabytes = said["events"] / said["seconds"], said["megabytes"]
    return [
        Figure("rebuild", round(rate, 1), "events/s", None, None, ">= 25000", rate >= 25_000),
        Figure("rebuild_memory", round(megabytes, 1), "MB at most", None, None, "<= 300 MB", megabytes <= 300),
    ]


def _until_over(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=clean({}), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _until_ready(command: list[str], port: int, path: str, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    server = subprocess.Popen(
        command, cwd=ROOT, env=clean(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60).status == 200, server)
        return time.perf_counter() - began
    finally:
        server.terminate()
        server.wait(30)


def _wait(ready: Callable[[], bool], server: subprocess.Popen[bytes]) -> None:
    give_up = time.perf_counter() + 60
    while time.perf_counter() < give_up:
        if server.poll() is not None:
            raise RuntimeError("the server did not start")
        try:
            if ready():
                return
        except OSError:  # Nobody listens yet, or it is not ready.
            pass
        time.sleep(0.01)
    raise RuntimeError("the server does not answer")


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


__all__ = ["SMALL", "History", "history", "rebuild", "side_by_side", "start_cli", "start_server"]
