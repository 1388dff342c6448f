"""A demonstration: a real server with an institution of its own, and a whole course played through its API."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from provider.cli import console
from provider.cli.serve import must_be_free

if TYPE_CHECKING:
    from provider.demo import Section, Story

FOLDER = ".demo"
START_SECONDS = 60
STOP_SECONDS = 30
WIDTH = 300
"""Columns of a table where there is no terminal that has a width."""


class DemoFailed(click.ClickException):
    """Not all of it worked; says what did not. The exit status is 1."""


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the course, in place of serving until Ctrl-C.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where to listen; any free port if not said.")
@click.option("--events", type=click.IntRange(min=1), metavar="N", help="Record years of courses instead: N events.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Where --events puts its data, to stay.")
@click.option("--seed", type=int, metavar="N", help="With --events: which courses; 1 if not said.")
def command(once: bool, port: int | None, events: int | None, data: Path | None, seed: int | None) -> None:
    """Play a whole course through the API of a real server, which then goes on running until Ctrl-C.

    The data lie in a directory made for this run, under ./.demo, where those of earlier runs are removed. With --once
    the exit status is 0 only if all of it worked.

    With --events no server is started: an institution with years of courses is recorded straight into the log, at
    least that many events, and its views are made. The same seed makes the same courses.
    """
    if events is None and (data is not None or seed is not None):
        raise click.UsageError("--data and --seed belong to --events.")
    if events is not None and (once or port is not None):
        raise click.UsageError("With --events no server is started: leave --once and --port out.")
    if events is not None:
        _record(events, data, seed)
        return
    for stream in (sys.stdout, sys.stderr):
        # Names come in many scripts, and this terminal may not know them all.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    began = time.monotonic()
    with _folder() as (run, lock):
        chosen = port or _free_port()
        must_be_free("127.0.0.1", chosen)
        token = _found(run)
        known = console.environment()
        environment = {name: value for name, value in known.items() if not name.startswith("PROVIDER_")}
        environment["PROVIDER_DATA"] = str(run / "data")
        with _served(run, chosen, environment, lock) as server:
            _wait_until_ready(server, run, chosen, token)
            story = _played(chosen, token)
            for section in story.sections:
                _print(section)
            _print_figures(story, time.monotonic() - began, run)
            if not once:
                _print_sign_in(story)
                sys.stdout.flush()
                _wait(server, run)


def _record(events: int, data: Path | None, seed: int | None) -> None:
    """Record a history of that size, and say where it lies and how to look at it."""
    from provider import sample_history
    from provider.settings import Settings

    began = time.monotonic()
    with _folder() if data is None else nullcontext((data, None)) as (run, lock):
        where = (run if lock is None else run / "data").absolute()
        settings = Settings.read({"PROVIDER_DATA": str(where)})
        history = sample_history.make(
            settings, events=events, seed=1 if seed is None else seed, showing=console.progress
        )
    seconds = time.monotonic() - began
    click.echo(f"{history.events:,} events of {history.courses:,} courses in {seconds:.1f} seconds, with their views.")
    click.echo(f"The data are in {where}" + ("." if lock is None else "; the next demonstration removes them."))
    click.echo("Sign in with one of these tokens. They are printed because nothing here is real:\n")
    for who, token in history.tokens.items():
        click.echo(f"  {who:<10} {token}")
    click.echo("\nTo look at it:\n")
    for more in ("course list", "views verify", "serve"):
        click.echo(f"  PROVIDER_DATA={shlex.quote(str(where))} provider {more}")


@contextmanager
def _folder() -> Iterator[tuple[Path, int]]:
    """Make a directory for this run and lock it, and remove those that nobody has locked any more.

    The server inherits the lock, so that the data of a demonstration that still runs are never removed.
    """
    parent = Path.cwd() / FOLDER
    parent.mkdir(exist_ok=True)
    turn = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for old in parent.iterdir():
            if old.is_dir() and not old.is_symlink():
                _remove_unless_locked(old)
        run = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
        lock = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(turn)
    try:
        yield run, lock
    finally:
        os.close(lock)


def _remove_unless_locked(old: Path) -> None:
    lock = os.open(old / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(old)
    finally:
        os.close(lock)


def _found(run: Path) -> str:
    """Found the institution, and return its administrator's token."""
    from provider.bootstrap import bootstrap
    from provider.commands import institution
    from provider.demo import FOUNDER, INSTITUTION, ZONE
    from provider.settings import Settings

    office = bootstrap(Settings.read({"PROVIDER_DATA": str(run / "data")}))
    try:
        given, family, email = FOUNDER
        _, token = institution.found(
            office, name=INSTITUTION, zone=ZONE, given=given, family=family, email=email, label="demonstration"
        )
    finally:
        office.close()
    return token


@contextmanager
def _served(run: Path, port: int, environment: dict[str, str], lock: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve as `provider serve` does, in a process of its own, until the end."""
    with (run / "server.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "provider", "serve", "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=[lock],
            # Ctrl-C is for this process alone, which then ends the server in good order.
            start_new_session=True,
        )
    try:
        yield server
    finally:
        _stop(server)


def _wait_until_ready(server: subprocess.Popen[bytes], run: Path, port: int, token: str) -> None:
    from provider.demo import Api, Unexpected

    # Only our own server knows the token, should another have taken the port in the meantime.
    api, patience = Api(port, token, timeout=2), time.monotonic() + START_SECONDS
    while time.monotonic() < patience:
        if server.poll() is not None:
            raise DemoFailed(f"The server did not start. The end of {run / 'server.log'}:\n{_tail(run)}")
        try:
            api.get("/v1/institution")
        except Unexpected:
            time.sleep(0.05)
        else:
            return
    raise DemoFailed(f"The server did not answer within {START_SECONDS} seconds; see {run / 'server.log'}.")


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and all of its processes."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _played(port: int, token: str) -> Story:
    """Play all chapters, telling on stderr how far it is.

    :raises DemoFailed: one of them didn't go as it should.
    """
    from provider.demo import Story, Unexpected

    story = Story(port, token, datetime.now(UTC))
    chapters = story.chapters
    with _told(len(chapters)) as tell:
        for number, chapter in enumerate(chapters, 1):
            title = (chapter.__doc__ or "").strip().split("\n")[0]
            try:
                came_of_it = chapter()
            except Unexpected as error:
                raise DemoFailed(f"Chapter {number}, “{title}”, did not work. {error}") from error
            tell(f"{number:>2}/{len(chapters)}  {title} {came_of_it}")
    return story


@contextmanager
def _told(chapters: int) -> Iterator[Callable[[str], None]]:
    """Give what tells that a chapter is over: a line each, and on a terminal a bar below."""
    if not sys.stderr.isatty():
        yield console.note
        return
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("The course", total=chapters)

        def tell(line: str) -> None:
            bar.console.print(Text(line))
            bar.advance(task)

        yield tell


def _print(section: Section) -> None:
    """Print a section: its table, or its lines. Without a terminal nothing but text is printed, cut nowhere."""
    click.echo(f"\n{section.title}\n")
    for line in section.lines:
        click.echo(console.cell(line))
    if section.columns:
        _print_table(section.columns, [[console.cell(row[name]) for name in section.columns] for row in section.rows])


def _print_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(name.replace("_", " ") for name in columns), box=box.SIMPLE_HEAD, pad_edge=False)
    for line in cells:
        table.add_row(*map(Text, line))
    terminal = sys.stdout.isatty()
    Console(width=None if terminal else WIDTH, color_system="auto" if terminal else None).print(table)


def _print_figures(story: Story, seconds: float, run: Path) -> None:
    events = story.admin.get("/readyz")["log"]
    click.echo(f"\n{events} events in {seconds:.1f} seconds, from an empty directory to a closed course.")
    click.echo(f"The data are in {run / 'data'}, the server's log in {run / 'server.log'}.")


def _print_sign_in(story: Story) -> None:
    """Say where the server goes on running, and by which tokens it lets somebody in."""
    address = story.admin.address
    tokens = {"admin": story.admin} | {who: story.team[who] for who in ("registrar", "lead", "auditor")}
    click.echo(f"\nThe server goes on running on {address}; its API is described at {address}/docs")
    click.echo("Sign in with one of these tokens. They are printed because nothing here is real:\n")
    for who, api in tokens.items():
        click.echo(f"  {who:<10} {api.token}")
    click.echo(f'\n  curl -H "Authorization: Bearer {story.team["auditor"].token}" {address}/v1/courses\n')
    click.echo("Ctrl-C ends it.")


def _wait(server: subprocess.Popen[bytes], run: Path) -> None:
    """Wait for Ctrl-C.

    :raises DemoFailed: the server ended by itself.
    """
    try:
        server.wait()
    except KeyboardInterrupt:
        console.note("\nEnding the server.")
        return
    raise DemoFailed(f"The server ended by itself. The end of {run / 'server.log'}:\n{_tail(run)}")


def _tail(run: Path) -> str:
    return "\n".join((run / "server.log").read_text(errors="replace").splitlines()[-10:])


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
