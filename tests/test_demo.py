"""The demonstration does what it promises, on a real server."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock

from provider import demo
from provider.demo import Api, Unexpected
from provider.settings import Settings

pytestmark = pytest.mark.slow

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PROVIDER_")}
PATIENCE = 120
PRIVATE = ("First Name", "Last Name", "Email", "E-mail used with Scrum Alliance before")
SHORTEST = 5
"""Letters of a private value that is searched for; shorter ones come up by chance."""


@dataclass(frozen=True)
class Run:
    """A demonstration that is over."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def section(self, title: str) -> list[str]:
        """Return the lines under a title, without empty ones."""
        lines = self.out.splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith(title))
        found: list[str] = []
        for line in lines[start + 2 :]:
            if not line.strip():
                if len(found) > 0:
                    break
                continue
            found.append(line.strip())
        return found


def command(*said: str) -> list[str]:
    return [sys.executable, "-m", "provider", "demo", *said]


def play(where: Path, *said: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*said), cwd=where, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE
    )


def runs(where: Path) -> list[Path]:
    return sorted((where / ".demo").glob("run-*"))


def processes_of(folder: Path) -> list[int]:
    """Return the processes whose environment names the folder."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder / "data").encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demonstration as it was played once, for all processes that run these tests together."""
    root = tmp_path_factory.getbasetemp()
    where = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "demonstration"
    where.mkdir(exist_ok=True)
    result = where / "result.json"
    with FileLock(where / "lock"):
        if not result.exists():
            (where / ".demo" / "run-of-yesterday" / "data").mkdir(parents=True)
            done = play(where, "--once")
            said = {"status": done.returncode, "out": done.stdout.decode(), "err": done.stderr.decode()}
            result.write_text(json.dumps(said))
    (folder,) = runs(where)
    return Run(**json.loads(result.read_text()), folder=folder)


@pytest.fixture
def data(once: Run, tmp_path: Path) -> Path:
    """A copy of its data, which may be opened while others look at the files."""
    return Path(shutil.copytree(once.data, tmp_path / "data", symlinks=True))


def test_all_of_it_works(once: Run) -> None:
    assert once.status == 0, once.err
    assert "17/17" in once.err
    assert "events in" in once.out


def test_without_a_terminal_there_is_nothing_but_text(once: Run) -> None:
    assert "\x1b" not in once.out + once.err


def test_the_views_are_printed_as_tables(once: Run) -> None:
    roster = once.section("Roster")
    assert len(roster) == 2 + 12
    assert roster[0].split()[:3] == ["family", "given", "source"]
    assert any("佐藤" in line and line.count("present") == 4 for line in roster)
    assert any("Delamontagne" in line and "walk_in" in line for line in roster)
    assert not any("Tredinnick" in line or "Delacourt-Fictif" in line for line in roster)

    completion = once.section("Completion")
    assert len(completion) == 2 + 12
    assert sum("made_up_in_breaks" in line for line in completion) == 1
    assert sum("half_day_4" in line for line in completion) == 1

    submission = once.section("Submission to SA: completed")
    assert len(submission) == 2 + 13
    assert sum("activated" in line for line in submission) == 11
    assert [line.split()[:2] for line in submission if "EMAIL_INVALID" in line] == [["1", "2"]]
    assert sum("licence_accepted" in line for line in submission) == 1
    assert "don't activate it" in once.section("Do not activate")[0]


def test_the_dry_runs_are_printed(once: Run) -> None:
    assert "12 enrol new" in once.section("Dry run of the attendee file")[0]
    asked = [line for line in once.section("Dry run of the newer export") if " asks: " in line]
    assert [line.rpartition(" (")[2] for line in asked] == [
        "correction / change / substitution / leave)",
        "withdraw / keep)",
    ]


@pytest.mark.parametrize(("part", "rows"), [(1, 10), (2, 2)])
def test_the_sha_256_is_that_of_the_file(once: Run, part: int, rows: int) -> None:
    *lines, last = once.section(f"The submission file, part {part}")
    content = "".join(f"{line}\r\n" for line in lines).encode()
    assert last == f"SHA-256 {hashlib.sha256(content).hexdigest()}"
    assert lines[0] == "First Name,Last Name,Email"
    assert len(lines) == rows + 1


def test_a_stretch_of_the_history_is_told_in_sentences(once: Run) -> None:
    told = once.section("A stretch of the history")
    positions = [int(line.split()[0]) for line in told]
    assert positions == sorted(positions)
    assert len(told) > 10
    assert any("against what the record proposed" in line for line in told)


def test_no_server_is_left(once: Run) -> None:
    assert processes_of(once.folder) == []


def test_what_an_earlier_run_left_is_removed(once: Run) -> None:
    assert once.folder.name != "run-of-yesterday"
    assert runs(once.folder.parent.parent) == [once.folder]


def test_every_request_was_answered_without_a_fault_of_the_server(once: Run) -> None:
    lines = [json.loads(line) for line in (once.folder / "server.log").read_text().splitlines() if line[:1] == "{"]
    answers = [line["status"] for line in lines if line.get("event") == "request"]
    assert len(answers) > 150
    assert max(answers) < 500
    assert not [line for line in lines if line["level"] in ("error", "critical")]


def test_the_views_agree_with_the_log_afterwards(data: Path) -> None:
    verified = subprocess.run(
        [sys.executable, "-m", "provider", "views", "verify"],
        env=ENVIRONMENT | {"PROVIDER_DATA": str(data)},
        capture_output=True,
        timeout=PATIENCE,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert b"All views agree" in verified.stdout


# Private values


def private_values() -> set[str]:
    """Return every name and e-mail that the demonstration deals with, and their words."""
    said: set[str] = set()
    for content in (demo.sample(), demo.newer_export(demo.sample())):
        for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")):
            said |= {
                row[name] for name in ("First Name", "Last Name", "Email", "E-mail used with Scrum Alliance before")
            }
    for person in (demo.FOUNDER, *demo.TEAM.values(), demo.WALK_IN, *demo.LATIN.values()):
        said |= set(person)
    said |= {*demo.LATIN_LATER, *demo.AT_BODY, demo.LATE_SPELT, demo.NEW_EMAIL, "000451870", "coffee machine"}
    said |= {word for value in said for word in re.split(r"[\s-]+", value)}
    return {value for value in said if len(value) >= SHORTEST or (len(value) >= 2 and ord(value[0]) > 0x2E7F)}


def written(value: str) -> Iterator[bytes]:
    """Yield the ways in which a value may stand in a file, in lower case as far as that is ASCII."""
    for text in {value, value.lower(), value.upper(), unicodedata.normalize("NFD", value)}:
        plain = text.encode()
        forms = [plain, text.encode("utf-16-le"), text.encode("utf-16-be")]
        forms += [json.dumps(text)[1:-1].encode(), urllib.parse.quote(text).encode(), plain.hex().encode()]
        for encoding in ("cp1252", "latin-1", "cp1254", "cp1251", "cp1253", "cp1256", "shift-jis"):
            try:
                forms.append(text.encode(encoding))
            except UnicodeEncodeError:
                continue
        digest = hashlib.sha256(plain)
        forms += [digest.digest(), digest.hexdigest().encode()]
        # The letters of Base64 depend on where in three bytes a value begins; its first and last ones on what is near.
        for shift in range(3):
            letters = base64.b64encode(b"\0" * shift + plain)
            forms.append(letters[(8 * shift + 5) // 6 : (8 * (shift + len(plain))) // 6])
        yield from (form.lower() for form in forms if len(form) >= SHORTEST)


def found_in(folder: Path, values: set[str]) -> set[tuple[str, str]]:
    """Return which values stand in which files."""
    contents = {path.name: path.read_bytes().lower() for path in folder.rglob("*") if path.is_file()}
    return {
        (name, value)
        for value in values
        for form in set(written(value))
        for name, content in contents.items()
        if form in content
    }


def test_no_private_value_is_in_clear_in_any_file(once: Run) -> None:
    values = private_values()
    assert {"Brandstätter", "佐藤", "المنصوري", "piotr.lewandowicz@example.com", "Suryani"} <= values
    stores = {path.stem.partition("-")[0] for path in once.data.rglob("*.sqlite")}
    assert stores == {"events", "views", "vault", "keys", "desk"}
    assert found_in(once.folder, values) == set()


def test_a_value_in_clear_would_be_found(once: Run, tmp_path: Path) -> None:
    """The search above must find what is there: what is no secret in the log, and whatever form a value takes."""
    assert ("events.sqlite", "Certified Scrum Product Owner, Zürich") in found_in(
        once.data, {"Certified Scrum Product Owner, Zürich"}
    )
    name = "Yıldırımoğlu"
    for number, form in enumerate(
        [
            json.dumps({"family": name}).encode(),
            base64.b64encode(f"x{name}y".encode()),
            base64.b64encode(f"xy{name}z".encode()),
            name.encode("cp1254"),
            hashlib.sha256(name.encode()).hexdigest().upper().encode(),
            b"\0\1" + name.encode("utf-16-be"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "leak").write_bytes(form)
        assert found_in(folder, {name}) == {("leak", name)}


def test_the_vault_can_open_what_the_files_keep_to_themselves(data: Path) -> None:
    from projections import directory
    from provider.bootstrap import bootstrap

    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}))
    try:
        with office.views.reading() as read:
            families = {office.vault.open_one(row["family"]) for row in directory.people(read, after=None, limit=100)}
    finally:
        office.close()
    assert {"Brandstetter", "佐藤", "Тимченко", "Delamontagne"} <= families


# The server that goes on running


@contextmanager
def playing(where: Path, **streams: int) -> Iterator[subprocess.Popen[str]]:
    """Start a demonstration that goes on serving; it and its server are gone in the end, whatever happens."""
    with subprocess.Popen(
        command(), cwd=where, env=ENVIRONMENT, stdin=subprocess.DEVNULL, text=True, **streams
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def until_it_serves(process: subprocess.Popen[str]) -> str:
    """Return what it prints until it only waits."""
    assert process.stdout is not None
    out = ""
    for line in process.stdout:
        out += line
        if line.startswith("Ctrl-C"):
            return out
    raise AssertionError(f"it ended before it served:\n{out}")


def signed_in(out: str, who: str) -> Api:
    """Return the API as one of the people whose tokens were printed."""
    address = re.search(r"goes on running on http://127\.0\.0\.1:(\d+);", out)
    token = re.search(rf"^ +{who} +(prv_\S+)$", out, re.MULTILINE)
    assert address is not None
    assert token is not None
    return Api(int(address[1]), token[1])


def test_it_goes_on_serving_until_ctrl_c(tmp_path: Path) -> None:
    with playing(tmp_path, stdout=subprocess.PIPE) as process:
        said = until_it_serves(process)
        (folder,) = runs(tmp_path)
        assert processes_of(folder)
        auditor, registrar = signed_in(said, "auditor"), signed_in(said, "registrar")

        # While it runs, another demonstration leaves its data alone, and says that the port is taken.
        port = auditor.address.rpartition(":")[2]
        other = play(tmp_path, "--once", "--port", port)
        assert (other.returncode, other.stdout) == (4, b"")
        assert b"choose another port" in other.stderr
        assert len(runs(tmp_path)) == 2
        assert (folder / "data" / "events.sqlite").exists()

        (course,) = auditor.get("/v1/courses")
        path = f"/v1/courses/{course['course']}"
        submission = auditor.get(f"{path}/submission")
        for part in submission["parts"]:
            file = auditor.file(f"/v1/submissions/{submission['submission']}/parts/{part['part']}/file")
            assert f"SHA-256 {hashlib.sha256(file.content).hexdigest()}" in said

        # What the story didn't expect would be told by the request and the problem that answered it.
        with pytest.raises(Unexpected, match=r"POST /v1/people was to be answered by 200 or 201, .* 403 not_perm"):
            auditor.post("/v1/people", {"given": "Nobody"})
        with pytest.raises(Unexpected, match=r"GET /v1/courses was to be answered by 200, .* 401 "):
            Api(int(port), "prv_nobody").get("/v1/courses")
        with pytest.raises(Unexpected, match=rf"POST {path}/open .* 409 course_stage: "):
            registrar.post(f"{path}/open", {"capacity": {"unlimited": True}})
        with pytest.raises(Unexpected, match=r"POST .*/open .* 422 .*\n.*capacity"):
            registrar.post(f"{path}/open", {})
        with pytest.raises(Unexpected, match=r"POST /v1/people was to be answered by 409, and was by 201"):
            registrar.refused(409, "/v1/people", {"given": "Somebody"})

        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert processes_of(folder) == []
        with pytest.raises(Unexpected, match="was not answered"):
            auditor.get("/readyz")


def test_ctrl_c_in_the_middle_of_the_course_ends_the_server_too(tmp_path: Path) -> None:
    with playing(tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(" 1/17")
        (folder,) = runs(tmp_path)
        assert processes_of(folder)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert processes_of(folder) == []


@pytest.mark.parametrize(
    ("today", "second"),
    [
        (date(2026, 6, 1), date(2026, 5, 29)),  # Monday: the Friday before
        (date(2026, 6, 2), date(2026, 5, 29)),  # Tuesday: Monday alone is no course
        (date(2026, 6, 3), date(2026, 6, 2)),
        (date(2026, 6, 6), date(2026, 6, 5)),
        (date(2026, 6, 7), date(2026, 6, 5)),
    ],
)
def test_a_course_was_taught_on_the_last_two_weekdays_in_a_row(today: date, second: date) -> None:
    first, last = demo.taught_on(today)
    assert (last, (last - first).days) == (second, 1)
