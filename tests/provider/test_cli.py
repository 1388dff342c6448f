"""The command line: what it prints where, how it says no, and with which status it leaves."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import pytest

from domain.access import Role
from domain.worker import COMMAND_LINE
from provider import __main__, attendee_file
from provider.bootstrap import bootstrap
from provider.cli import console
from provider.cli.console import progress
from provider.office import Office
from provider.settings import Settings
from provider.token import looks_like_a_token
from tests.academy import Academy
from tests.conftest import Clock
from tests.provider.conftest import Call, Said
from tests.stores import file_of

NOBODY = "00000000-0000-4000-8000-000000000000"
SAMPLE = Path(attendee_file.__file__).parent / "samples" / "eventbrite-cspo.csv"
TWO = """\
Order #,Order Date,First Name,Last Name,Email,Quantity,Ticket Type,Attendee #,Currency,Total Paid,Attendee Status
101,2026-01-12 09:14:00,Nele,Brandstätter,nele@example.org,1,CSPO,1,EUR,1190.00,Attending
102,2026-01-12 11:52:00,Piotr,Lewandowicz,piotr@example.com,1,CSPO,2,EUR,1190.00,Attending
"""
FOUNDING = ("--name", "Agile Academy Zürich", "--zone", "Europe/Zurich", "--given", "Ada", "--family", "Admin")


Run = Callable[..., Said]


pytestmark = pytest.mark.sqlite


@pytest.fixture
def run(settings: Settings, provider: Call) -> Run:
    """Run `provider` on the test's data directory: `run("token", "list")`."""
    return partial(provider, PROVIDER_DATA=settings.data)


@pytest.fixture
def with_institution(run: Run, office: Office) -> Run:
    """Run `provider` where there is an institution."""
    return run


def test_the_first_token_is_all_that_init_prints_on_stdout(run: Run) -> None:
    said = run("init", *FOUNDING)

    assert said.status == 0
    assert looks_like_a_token(said.out.removesuffix("\n"))
    assert "Agile Academy Zürich" in said.err
    assert "prv_" not in said.err


def test_an_institution_is_founded_once(run: Run) -> None:
    run("init", *FOUNDING)
    said = run("init", *FOUNDING)

    assert said == Said(1, "", said.err)
    assert said.err.startswith("Error: There is an institution here already.")
    assert said.err.count("\n") == 1


def test_an_administrator_needs_a_name(run: Run, settings: Settings) -> None:
    said = run("init", "--name", "Academy", "--zone", "Europe/Zurich", "--email", "ada@academy.example")

    assert said.status == 2
    assert "--given" in said.err
    assert not settings.data.exists()


def test_a_zone_that_does_not_exist_is_refused(run: Run) -> None:
    said = run("init", "--name", "Academy", "--zone", "Mars/Olympus", "--given", "Ada")

    assert (said.status, said.out) == (1, "")
    assert "Mars/Olympus" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "list"),
        ("views", "verify"),
        ("views", "rebuild"),
        ("course", "list"),
        ("course", "show", NOBODY),
    ],
)
def test_a_mistyped_data_directory_is_refused_and_left_unmade(
    run: Run, settings: Settings, arguments: tuple[str, ...]
) -> None:
    said = run(*arguments)

    assert (said.status, said.out) == (1, "")
    assert str(settings.data) in said.err
    assert not settings.data.exists()


def test_a_wrong_setting_is_said_in_a_line_each(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_PRT", "1")
    monkeypatch.setenv("PROVIDER_WORKERS", "many")
    said = run("config")

    assert said.status == 2
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("Error: PROVIDER_") for line in lines)


def test_config_shows_what_is_set_and_where(run: Run, settings: Settings) -> None:
    shown = {row["variable"]: row for row in json.loads(run("config", "--json").out)}

    assert shown["PROVIDER_DATA"] == {
        "variable": "PROVIDER_DATA",
        "value": str(settings.data),
        "source": "environment",
    }
    assert shown["PROVIDER_PORT"]["source"] == "default"


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    assert run("frobnicate").status == 2


def test_help_names_every_command_and_the_exit_statuses(run: Run) -> None:
    said = run("--help")

    assert said.status == 0
    for name in __main__.COMMANDS:
        assert f"\n  {name.rstrip('_')} " in said.out
    assert "3 somebody else was faster" in said.out


def test_help_imports_nothing_heavy() -> None:
    heavy = (
        "sqlalchemy",
        "eventsourcing",
        "cryptography",
        "rich",
        "flask",
        "orjson",
        "gunicorn",
        "domain",
        "projections",
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom provider.__main__ import main\n"
            "try: main(['--help'])\n"
            f"except SystemExit: print('HEAVY', [name for name in {heavy!r} if name in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "provider init" in done.stdout
    assert done.stdout.endswith("HEAVY []\n")


def test_every_command_explains_itself(run: Run) -> None:
    for path, found in commands():
        assert found.help, path
        assert run(*path, "-h").status == 0
        for parameter in found.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""

    def within(group: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        if not isinstance(group, click.Group):
            return
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            yield (*path, name), found
            yield from within(found, (*path, name))

    yield from within(__main__.provider, ())


def test_tokens_are_listed_with_their_owners_and_without_their_secrets(with_institution: Run, admin: UUID) -> None:
    said = with_institution("token", "list", "--json")
    rows = json.loads(said.out)

    assert [(row["person"], row["name"], row["token_roles"]) for row in rows] == [(str(admin), "Ada Admin", ["admin"])]
    assert "prv_" not in said.out
    assert "Ada Admin" in with_institution("token", "list").out


def test_a_token_is_issued_and_opens_the_api(
    with_institution: Run, admin: UUID, office: Office, caller: Callable[..., Any]
) -> None:
    said = with_institution("token", "issue", str(admin), "--role", "admin", "--label", "script")
    token = said.out.strip()

    assert said.status == 0
    assert looks_like_a_token(token)
    assert caller(token).get("/v1/access").status_code == 200
    assert office.log.entries.page(0, 99)[-1][3] == "access.token_issued"
    assert json.loads(office.log.entries.page(0, 99)[-1][4])["by"] == str(COMMAND_LINE)


def test_a_token_for_a_role_that_its_owner_has_not_got_is_refused(with_institution: Run, admin: UUID) -> None:
    said = with_institution("token", "issue", str(admin), "--role", "auditor")

    assert (said.status, said.out) == (1, "")
    assert "auditor" in said.err


def test_a_token_that_would_have_expired_is_refused(with_institution: Run, admin: UUID) -> None:
    assert with_institution("token", "issue", str(admin), "--role", "admin", "--expires", "2020-01-01").status == 1


def test_an_act_is_of_the_person_named(with_institution: Run, admin: UUID, office: Office) -> None:
    with_institution("token", "issue", str(admin), "--role", "admin", "--as", str(admin))

    assert json.loads(office.log.entries.page(0, 99)[-1][4])["by"] == str(admin)


def test_nobody_can_act_as_somebody_unknown(with_institution: Run, admin: UUID, office: Office) -> None:
    before = office.log.position()
    said = with_institution("token", "issue", str(admin), "--role", "admin", "--as", NOBODY)

    assert (said.status, said.out) == (1, "")
    assert office.log.position() == before


def test_a_revoked_token_opens_nothing(
    with_institution: Run, founded: tuple[Office, UUID, str], caller: Callable[..., Any]
) -> None:
    token = json.loads(with_institution("token", "list", "--json").out)[0]["token"]
    said = with_institution("token", "revoke", token, "--reason", "stolen", "--yes")

    assert said.status == 0
    assert caller(founded[2]).get("/v1/access").status_code == 401
    assert with_institution("token", "revoke", token, "--reason", "stolen", "--yes").status == 1


def test_revoking_asks_first(with_institution: Run, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    token = json.loads(with_institution("token", "list", "--json").out)[0]["token"]
    before = office.log.position()
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert with_institution("token", "revoke", token, "--reason", "stolen").status == 130
    assert office.log.position() == before


def test_a_reason_in_clear_is_no_sentence(with_institution: Run, office: Office) -> None:
    before = office.log.position()
    said = with_institution("token", "revoke", NOBODY, "--reason", "Ada left us", "--yes")

    assert said.status == 2
    assert office.log.position() == before


def test_an_unknown_token_can_not_be_revoked(with_institution: Run) -> None:
    assert with_institution("token", "revoke", NOBODY, "--reason", "stolen", "--yes").status == 1


def test_views_that_agree_are_said_to(with_institution: Run, office: Office) -> None:
    said = with_institution("views", "verify")

    assert said.status == 0
    assert f"position {office.log.position()}" in said.out
    assert "100 %" in said.err


def test_views_that_differ_are_listed_and_mended(with_institution: Run, office: Office) -> None:
    with sqlite3.connect(office.views.place) as views:
        views.execute("UPDATE access_tokens SET revoked = 1")
    views.close()
    said = with_institution("views", "verify")

    assert said.status == 1
    assert all(line.startswith("access_tokens: ") for line in said.out.splitlines())
    assert said.out
    assert with_institution("views", "rebuild").status == 0
    assert with_institution("views", "verify").status == 0


def test_views_are_prepared_once_and_those_of_another_version_dropped_by_the_sweep(
    with_institution: Run, office: Office
) -> None:
    office.close()
    mine = file_of(office.settings, "views")
    theirs = mine.with_name("views-00000000.sqlite")
    mine.rename(theirs)

    assert "are made, up to position" in with_institution("views", "prepare").out
    assert "were there, up to position" in with_institution("views", "prepare").out
    assert theirs.exists()
    assert "views of another version" in with_institution("sweep").out

    assert not theirs.exists()
    assert "another version" not in with_institution("sweep").out
    assert with_institution("views", "verify").status == 0


def test_whoever_opens_an_office_whose_views_are_missing_sees_how_far_they_are(
    with_institution: Run, office: Office
) -> None:
    office.close()
    file_of(office.settings, "views").unlink()

    said = with_institution("course", "list")

    assert (said.status, said.err.split(":")[0]) == (0, "Making the views")
    assert with_institution("course", "list").err == ""


def test_a_log_replaced_by_an_older_copy_is_noticed_and_the_views_can_follow_it(
    with_institution: Run, office: Office, admin: UUID
) -> None:
    older = sqlite3.connect(":memory:")
    with sqlite3.connect(office.settings.store("events")) as log:
        log.backup(older)
    log.close()
    with_institution("token", "issue", str(admin), "--role", "admin")
    office.close()
    with sqlite3.connect(office.settings.store("events")) as log:
        older.backup(log)
    log.close()
    older.close()

    said = with_institution("token", "list")
    assert (said.status, said.out) == (4, "")
    assert "older copy" in said.err
    assert with_institution("views", "rebuild").status == 0
    assert with_institution("views", "verify").status == 0
    assert len(json.loads(with_institution("token", "list", "--json").out)) == 1


def test_a_database_that_is_none_is_one_sentence(with_institution: Run, office: Office) -> None:
    office.close()
    office.settings.store("vault").write_bytes(b"not a database at all, but long enough to be looked at" * 20)
    said = with_institution("token", "list")

    assert said.status == 4
    assert said.err.startswith("Error: ")
    assert "Traceback" not in said.err


def test_a_row_in_a_pipe_is_a_line_of_cells_whatever_the_name_holds(
    with_institution: Run, person: Callable[..., UUID], token_of: Callable[..., str]
) -> None:
    token_of(person("Ev\u200bil", "Tab"), Role.AUDITOR)
    lines = with_institution("token", "list").out.splitlines()

    assert len({line.count("\t") for line in lines}) == 1
    assert "Ev il Tab" in lines[-1]


def test_no_courses_are_an_empty_list(with_institution: Run) -> None:
    assert json.loads(with_institution("course", "list", "--json").out) == []


def test_an_unknown_course_is_refused(with_institution: Run) -> None:
    assert with_institution("course", "show", NOBODY).status == 1


@pytest.fixture
def academy(office: Office, act: Callable[..., Any]) -> Academy:
    return Academy(office, act)


@pytest.fixture
def course(academy: Academy) -> UUID:
    """A course of twelve seats, with nobody on it."""
    return academy.open(academy.trainer("Tilda"))


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    with_institution: Run, office: Office, course: UUID
) -> None:
    before = office.log.position()
    said = with_institution("import", str(course), str(SAMPLE))

    assert said.status == 0
    assert " enrolled, as new people" in said.out
    assert office.log.position() == before
    with sqlite3.connect(office.settings.store("desk")) as desk:
        assert desk.execute("SELECT count(*) FROM staged_imports").fetchone() == (0,)
    desk.close()


def test_a_confirmed_import_enrols_and_the_same_file_again_adds_nothing(
    with_institution: Run, office: Office, course: UUID, tmp_path: Path
) -> None:
    (tmp_path / "two.csv").write_text(TWO)
    said = with_institution("import", str(course), str(tmp_path / "two.csv"), "--confirm", "--json")
    assert said.status == 0, said.err
    assert len(json.loads(said.out)["enrolments"]) == 2
    listed = json.loads(with_institution("course", "list", "--json").out)
    assert [row["seats"] for row in listed] == ["2 of 12"]
    shown = with_institution("course", "show", str(course)).out
    assert "Nele Brandstätter" in shown
    assert "840 with a trainer" in shown

    before = office.log.position()
    again = with_institution("import", str(course), str(tmp_path / "two.csv"), "--confirm")
    assert again.status == 0
    assert office.log.position() == before


def test_what_has_to_be_decided_is_asked_and_the_answer_is_taken(
    with_institution: Run, office: Office, course: UUID, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two.csv").write_text(TWO)
    (tmp_path / "refund.csv").write_text(TWO.replace("EUR,1190.00,Attending", "EUR,1190.00,Refunded", 1))
    with_institution("import", str(course), str(tmp_path / "two.csv"), "--confirm")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    refund = ("import", str(course), str(tmp_path / "refund.csv"))

    question = json.loads(with_institution(*refund, "--json").out)["questions"][0]
    assert question["about"] == "refund"
    assert f"--answer {question['id']}=withdraw" in with_institution(*refund).out
    before = office.log.position()
    assert with_institution(*refund, "--confirm").status == 1
    assert with_institution(*refund, "--confirm", "--answer", question["id"]).status == 2
    assert office.log.position() == before
    assert with_institution(*refund, "--confirm", "--answer", f"{question['id']}=withdraw").status == 0
    assert "was withdrawn" in with_institution("history", "--kind", "enrolment.withdrawn").out


def test_another_file_than_the_one_that_was_looked_at_is_a_conflict(
    with_institution: Run, office: Office, course: UUID, tmp_path: Path
) -> None:
    (tmp_path / "two.csv").write_text(TWO)
    seen = json.loads(with_institution("import", str(course), str(tmp_path / "two.csv"), "--json").out)["plan"]
    before = office.log.position()

    assert with_institution("import", str(course), str(SAMPLE), "--confirm", "--plan", seen).status == 3
    assert office.log.position() == before
    assert with_institution("import", str(course), str(tmp_path / "two.csv"), "--confirm", "--plan", seen).status == 0


def test_nor_is_a_file_in_which_a_name_was_changed_the_one_that_was_looked_at(
    with_institution: Run, course: UUID, tmp_path: Path
) -> None:
    (tmp_path / "two.csv").write_text(TWO)
    seen = json.loads(with_institution("import", str(course), str(tmp_path / "two.csv"), "--json").out)["plan"]
    (tmp_path / "two.csv").write_text(TWO.replace("Nele", "Nela"))
    assert with_institution("import", str(course), str(tmp_path / "two.csv"), "--confirm", "--plan", seen).status == 3


def test_an_answer_that_is_none_of_the_options_is_refused(
    with_institution: Run, office: Office, course: UUID, tmp_path: Path
) -> None:
    (tmp_path / "two.csv").write_text(TWO)
    before = office.log.position()
    said = with_institution("import", str(course), str(tmp_path / "two.csv"), "--confirm", "--answer", "9-name=change")
    assert said.status == 1
    assert "1 answer is missing or wrong: 9-name" in said.err
    assert office.log.position() == before


def test_a_file_that_is_none_is_refused(with_institution: Run, course: UUID, tmp_path: Path) -> None:
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04" + bytes(200))

    assert with_institution("import", str(course), str(tmp_path / "book.xlsx")).status == 1
    assert with_institution("import", str(course), str(tmp_path / "missing.csv")).status == 2


def test_the_history_is_a_sentence_a_line_in_order(
    with_institution: Run, office: Office, person: Callable[..., UUID]
) -> None:
    person("Grace", "Hopper")
    lines = with_institution("history").out.splitlines()

    assert [int(line.split()[0]) for line in lines] == list(range(1, office.log.position() + 1))
    assert all(line.endswith(".") for line in lines)
    assert "Agile Academy Zürich" in lines[0]
    assert "Grace Hopper" in lines[-1]


def test_the_history_of_one_subject_from_a_position_on(
    with_institution: Run, office: Office, person: Callable[..., UUID], admin: UUID
) -> None:
    grace = person("Grace", "Hopper")
    said = json.loads(with_institution("history", "--subject", str(grace), "--json").out)

    assert [(row["topic"], row["position"]) for row in said] == [("person.registered", office.log.position())]
    assert said[0]["actor"] == str(admin)
    assert with_institution("history", "--from", str(office.log.position() + 1)).out == ""
    assert len(with_institution("history", "--limit", "2").out.splitlines()) == 2
    assert with_institution("history", "--kind", "access.token_issued", "--limit", "1").out.count("\n") == 1


def test_the_history_goes_on_over_many_pages(
    with_institution: Run, office: Office, person: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        person(f"Person {number}", None)
    monkeypatch.setattr("provider.cli.history.PAGE", 2)

    assert len(with_institution("history").out.splitlines()) == office.log.position()
    assert len(with_institution("history", "--limit", "5").out.splitlines()) == 5


def test_what_the_command_line_did_is_told_as_its_own(with_institution: Run, admin: UUID) -> None:
    with_institution("token", "issue", str(admin), "--role", "admin")

    assert "by the command line" in with_institution("history").out.splitlines()[-1]


def test_progress_in_a_pipe_is_a_line_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Working") as tell:
        for done in range(0, 1001, 10):
            tell(done, 1000)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "Working: 10 % (100 of 1,000 events)"
    assert lines[-1] == "Working: 100 % (1,000 of 1,000 events)"


def test_an_option_goes_over_a_file_that_says_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("8001\n")
    monkeypatch.setenv("PROVIDER_PORT_FILE", str(tmp_path / "port"))

    assert console.settings().port == 8001
    assert console.settings(port=8002).port == 8002


class Server:
    """A real `provider serve`, and what it logs."""

    def __init__(self, data: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = log
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("PROVIDER_")} | {
            "PROVIDER_DATA": str(data)
        }
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "provider", "serve", "--port", str(self.port), "--workers", "1"],
                env=self.environ,
                stderr=file,
            )

    def wait(self) -> None:
        for _ in range(300):
            assert self.process.poll() is None, self.log.read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"The server did not start: {self.log.read_text()}")

    def get(self, path: str, token: str | None = None, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        said = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return said

    def post(self, path: str, token: str, chunks: Iterable[bytes], **headers: str) -> tuple[int, dict[str, Any]]:
        """Send a body in chunks, so that nothing says how long it is."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): v for name, v in headers.items()}}
        connection.request("POST", path, body=iter(chunks), headers=headers, encode_chunked=True)
        answer = connection.getresponse()
        said = answer.status, json.loads(answer.read())
        connection.close()
        return said

    def raw(self, said: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(said)
            return connection.recv(65_536)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[Server]:
    running = Server(settings.data, tmp_path / "server.log")
    running.wait()
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def test_a_server_without_an_institution_tells_how_to_found_one_and_then_needs_no_restart(
    server: Server, run: Run
) -> None:
    assert server.get("/v1/access")[0] == 401
    token = run("init", *FOUNDING).out.strip()
    status, _, body = server.get("/v1/access", token)

    assert status == 200
    assert json.loads(body)[0]["roles"] == ["admin"]
    assert "provider init" in server.log.read_text()


def test_the_log_of_the_server_says_nothing_about_anybody(server: Server, run: Run, settings: Settings) -> None:
    token = run("init", *FOUNDING).out.strip()
    _, headers, _ = server.get("/v1/people?name=Grete", token)
    server.get(f"/v1/{token}/hans@example.org", token)
    server.raw(b"GET /x?name=Grete NONSENSE\r\n\r\n")
    server.raw(b"GET / HTTP/1.1\r\nBad Header: Grete\r\n\r\n")
    assert server.stop() == 0

    said = server.log.read_text()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request"]
    assert any(line["request_id"] == headers["X-Request-Id"] and line["path"] == "/v1/people" for line in requests)
    assert any(line["path"] == "/v1/…/…" for line in requests)
    assert any(line["event"] == "a request that is not HTTP was refused" for line in lines)
    for secret in (token, "Grete", "hans@", "127.0.0.1 "):
        assert secret not in said
    # Whoever closes a database last brings its journal home.
    assert not list(settings.data.glob("*-wal"))


def test_a_body_in_chunks_is_held_to_its_type_and_its_length(server: Server, run: Run) -> None:
    token = run("init", *FOUNDING).out.strip()
    rename = json.dumps({"name": "Agile Academy Bern"}).encode()
    of_json = {"If_Match": "*", "Content_Type": "application/json"}

    def send(chunks: Iterable[bytes], **headers: str) -> tuple[int, str | None]:
        status, said = server.post("/v1/institution/rename", token, chunks, **headers)
        return status, said.get("code")

    # Cut off after the spaces, this would be a sound request.
    spaces = [b" " * 65_536] * 16
    assert send([rename, *spaces, b"and more"], **of_json) == (413, "request_entity_too_large")
    assert send([rename], If_Match="*", Content_Type="text/plain") == (415, "unsupported_media_type")
    assert send([rename], If_Match="*") == (415, "unsupported_media_type")
    assert json.loads(server.get("/v1/institution", token)[2])["name"] == "Agile Academy Zürich"
    assert send([rename[:5], rename[5:]], **of_json) == (200, None)
    assert json.loads(server.get("/v1/institution", token)[2])["name"] == "Agile Academy Bern"


def test_a_sweep_says_what_it_has_destroyed(run: Run, settings: Settings) -> None:
    run("init", *FOUNDING)
    long_ago = bootstrap(settings, Clock(datetime(2020, 1, 1, tzinfo=UTC)))
    long_ago.desk.stage(course=UUID(NOBODY), content=b"First Name,Last Name")
    orphan = long_ago.vault.seal(UUID(NOBODY), "a name that a rule refused")
    long_ago.close()
    said = run("sweep")

    assert said.status == 0
    assert said.out == (
        "Destroyed 1 attendee files that nobody confirmed, 0 answers to idempotency keys, and 1 values that no event "
        "names.\n"
    )
    assert "Looking for values in use: 100 %" in said.err
    now = bootstrap(settings)
    assert now.vault.open_one(orphan) is None
    now.close()


def test_a_sweep_by_the_wrong_log_destroys_no_value(run: Run, settings: Settings) -> None:
    run("init", *FOUNDING)
    long_ago = bootstrap(settings, Clock(datetime(2020, 1, 1, tzinfo=UTC)))
    value = long_ago.vault.seal(UUID(NOBODY), "a name")
    with long_ago.log.entries.datastore.transaction(commit=True) as written:
        written.execute("DELETE FROM stored_events WHERE rowid > 1")
    long_ago.close()
    file_of(settings, "views").unlink()
    said = run("sweep")

    assert (said.status, said.out) == (4, "")
    assert "is it the right log?" in said.err
    now = bootstrap(settings)
    assert now.vault.open_one(value) == "a name"
    now.close()


def test_a_server_that_starts_destroys_the_files_that_have_expired(settings: Settings, tmp_path: Path) -> None:
    long_ago = bootstrap(settings, Clock(datetime(2020, 1, 1, tzinfo=UTC)))
    file = long_ago.desk.stage(course=UUID(NOBODY), content=b"First Name,Last Name")
    assert long_ago.desk.staged(file.id) is not None
    server = Server(settings.data, tmp_path / "server.log")
    try:
        server.wait()
        assert server.get("/livez")[0] == 200
    finally:
        server.stop()
    assert long_ago.desk.staged(file.id) is None
    long_ago.close()


def test_a_port_in_use_is_one_sentence(server: Server, run: Run) -> None:
    said = run("serve", "--port", str(server.port))

    assert (said.status, said.out) == (4, "")
    assert said.err.startswith(f"Error: 127.0.0.1:{server.port} ")
    assert "--port" in said.err
