"""The drill: back up an office under load, kill it, lose its data, restore the copies elsewhere, and compare.

`make drill` runs it with the `provider` of .venv, in temporary directories, on a free port. It prints what it compared,
and exits with 0 only if the restored office says what the lost one said.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

HERE = Path(__file__).parent
ENOUGH = 60
"""People registered before the copies are made, and after it again."""


class Failed(Exception):
    """The drill found something that is not as it should be."""


class Office:
    """A real `provider` on directories of its own."""

    def __init__(self, programs: Path, root: Path) -> None:
        self.provider = programs / "provider"
        self.data, self.keys = root / "data", root / "keys"
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("PROVIDER_")} | {
            "PROVIDER_DATA": str(self.data),
            "PROVIDER_KEYS_DIR": str(self.keys),
            "PROVIDER_PORT": str(self.port),
            "PROVIDER_LOG_LEVEL": "WARNING",
        }
        self.server: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.provider, *arguments], env=self.environ, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Failed(f"`provider {' '.join(arguments)}` ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def serve(self) -> None:
        self.server = subprocess.Popen(
            [self.provider, "serve"], env=self.environ, stderr=subprocess.DEVNULL, start_new_session=True
        )
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.server.poll() is not None:
                    break
                time.sleep(0.1)
            else:
                return
        raise Failed("The server did not start.")

    def kill(self) -> None:
        """Kill the server and its workers, as a power cut would."""
        if self.server is not None:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
            self.server = None

    def ask(self, method: str, path: str, token: str, body: Any = None) -> Any:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            headers = {"Authorization": f"Bearer {token}"}
            if method == "POST":
                headers |= {"Content-Type": "application/json", "If-Match": "*", "Idempotency-Key": uuid4().hex}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status >= 300:
                raise Failed(f"{method} {path} was answered with {answer.status}: {said}")
            return said

    def events(self, upto: int) -> tuple[int, str]:
        """Return how many events there are up to a position, and the SHA-256 over all of them."""
        digest, count = hashlib.sha256(), 0
        with closing(sqlite3.connect(self.data / "events.sqlite")) as log:
            for row in log.execute(
                "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events "
                "WHERE rowid <= ? ORDER BY rowid",
                (upto,),
            ):
                for part in row:
                    plain = part if isinstance(part, bytes) else str(part).encode()
                    digest.update(len(plain).to_bytes(4, "big") + plain)
                count += 1
        return count, digest.hexdigest()

    def end(self) -> int:
        with closing(sqlite3.connect(self.data / "events.sqlite")) as log:
            return int(log.execute("SELECT max(rowid) FROM stored_events").fetchone()[0])


class Load:
    """Somebody who registers people as fast as the office answers, and remembers what was acknowledged."""

    def __init__(self, office: Office, token: str) -> None:
        self.office, self.token = office, token
        self.acknowledged: dict[str, tuple[int, str]] = {}
        self.wrong: Exception | None = None
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self._register, daemon=True)

    def _register(self) -> None:
        try:
            while not self.enough.is_set():
                name = f"Żofia-{len(self.acknowledged)}"
                said = self.office.ask("POST", "/v1/people", self.token, {"given": name})
                self.acknowledged[said["id"]] = (said["position"], name)
        except Exception as error:
            self.wrong = error

    def wait_for(self, many: int) -> None:
        until = time.monotonic() + 120
        while len(self.acknowledged) < many:
            if self.wrong is not None or time.monotonic() > until:
                raise Failed(f"Nobody could be registered: {self.wrong or 'too slow'}")
            time.sleep(0.01)


def main() -> None:
    programs = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        root = Path(name)
        lost = Office(programs, root / "lost")
        found = Office(programs, root / "found")
        try:
            drill(lost, found, root)
        finally:
            lost.kill()
            found.kill()


def drill(lost: Office, found: Office, root: Path) -> None:
    """Lose one office, and find the other to be the same.

    :raises Failed: where it is not.
    """
    token = lost.run(
        *("init", "--name", "Drill", "--zone", "Europe/Zurich", "--given", "Ada", "--email", "ada@drill.example")
    ).strip()
    lost.serve()
    administrator = lost.ask("GET", "/v1/access", token)[0]["person"]
    lost.ask("POST", f"/v1/access/{administrator}/grant", token, {"role": "registrar"})
    token = lost.run("token", "issue", administrator, "--role", "registrar").strip()

    load = Load(lost, token)
    load.thread.start()
    load.wait_for(ENOUGH)
    began = time.monotonic()
    said = subprocess.run(
        [sys.executable, HERE / "backup.py", lost.data, lost.keys, root / "copies", root / "copies-of-keys"],
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - began
    if said.returncode != 0:
        raise Failed(said.stderr)
    copies, copies_of_keys = map(Path, said.stdout.split())
    load.wait_for(len(load.acknowledged) + ENOUGH)
    lost.kill()
    load.enough.set()
    load.thread.join()
    print(f"Copied in {took:.2f} s while people were registered; then the server was killed (-9) and its data deleted.")

    acknowledged = max(position for position, _ in load.acknowledged.values())
    if lost.end() < acknowledged:
        raise Failed(
            f"Position {acknowledged} was acknowledged, but the log of the killed server ends at {lost.end()}."
        )
    restore(copies, found.data)
    restore(copies_of_keys, found.keys)
    end = found.end()
    before, after = lost.events(end), found.events(end)
    if before != after:
        raise Failed(f"The events up to {end} differ: {before} were lost, {after} restored.")
    shutil.rmtree(lost.data.parent)
    print(f"{after[0]} events up to position {end}, before and after: SHA-256 {after[1]}")

    print(found.run("views", "verify").strip())
    found.serve()
    copied = {person: said for person, (position, said) in load.acknowledged.items() if position <= end}
    for person, name in copied.items():
        shown = found.ask("GET", f"/v1/people/{person}", token)["given"]
        if shown != name:
            raise Failed(f"The person {person} was {name}, and is {shown} after the restore.")
    if len(copied) < ENOUGH:
        raise Failed(f"Only {len(copied)} people were in the copies.")
    found.ask("POST", "/v1/people", token, {"given": "Nele"})
    print(
        f"{len(copied)} names open, a token from before still signs in, and the history goes on. The drill succeeded."
    )


def restore(copies: Path, directory: Path) -> None:
    """Lay copies where an office looks for them."""
    directory.mkdir(parents=True, mode=0o700)
    for copy in copies.iterdir():
        shutil.copy(copy, directory)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"The drill failed. {error}")
