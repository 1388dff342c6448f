"""Backups for tests: of a class that has completed its course, one from each database, made once for all of a run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import uuid4

import orjson

from domain.institution import Institution
from provider.backup import DATA, KEYS, MANIFEST, Manifest, _digest, back_up
from provider.commands import people
from provider.contents import reading, tally
from provider.desk import StagedImport
from provider.log import IdempotencyKey
from provider.settings import Settings
from provider.work import Act, Receipt
from tests.conftest import Clock
from tests.graduates import graduated
from tests.idempotency import key_of
from tests.postgres import RUNNING, moved
from tests.provider.conftest import done_to

NOW = datetime(2026, 6, 5, 2, 30, 7, tzinfo=UTC)


@dataclass(frozen=True)
class Backup:
    """Its two directories."""

    data: Path
    keys: Path

    def copied(self, folder: Path) -> Backup:
        """Return the same in another place, where it may be spoilt."""
        made = Backup(folder / "data" / self.data.name, folder / "keys" / self.keys.name)
        shutil.copytree(self.data, made.data, symlinks=True)
        shutil.copytree(self.keys, made.keys)
        return made

    def says(self, *, keys: bool = False) -> Manifest:
        return Manifest.read(*((self.keys, KEYS) if keys else (self.data, DATA)))

    def forged(self, *stores: str) -> None:
        """Let it say of these files what they are now, but not of what is in them, as whoever forges one might."""
        for store in stores:
            self._say(store, bytes=self._file(store).stat().st_size, digest=_digest(self._file(store)))

    def forged_well(self, *stores: str) -> None:
        """Let it say what these files are now, and all that is in them."""
        self.forged(*stores)
        for store in stores:
            with reading(self._file(store)) as connection:
                self._say(store, holds=tally(connection, store))

    def _file(self, store: str) -> Path:
        return (self.data if store in DATA else self.keys) / f"{store}.sqlite"

    def _say(self, store: str, **said: object) -> None:
        directory = self._file(store).parent
        known = orjson.loads((directory / MANIFEST).read_bytes())["stores"]
        rewritten(directory, stores={**known, store: {**known[store], **said}})


def rewritten(directory: Path, **said: object) -> None:
    """Change what a backup says of itself, whether that is true or not."""
    file = directory / MANIFEST
    file.write_bytes(orjson.dumps({**orjson.loads(file.read_bytes()), **said}))


def back_up_now(settings: Settings, folder: Path, now: datetime = NOW) -> Backup:
    """Back up what the settings name."""
    made = back_up(settings, folder / "copies", folder / "copies-of-keys", now=now, days=90, days_of_keys=30)
    assert made.left == []
    return Backup(made.data, made.keys)


@dataclass(frozen=True)
class Source:
    """A back office with something in each of its stores: the class, and what came after.

    Cy was erased. There is a gap in the positions, and some were drawn last and given up. `key` was answered with the
    receipt `answered`, and `nothing` without an event.
    """

    settings: Settings
    key: IdempotencyKey
    answered: Receipt
    nothing: IdempotencyKey
    staged: StagedImport

    def on(self, kind: str) -> Settings:
        """Return the settings of it in files (`sqlite`), or in a database that it was moved to."""
        if kind == "sqlite":
            return self.settings
        server = RUNNING[-1]
        return replace(self.settings, database_url=server.at(moved(server, self.settings.data)))


DRAWN = 5_000


@cache
def source() -> Source:
    """Make the back office that is backed up, once."""
    folder = Path(tempfile.mkdtemp(prefix="backed-up-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = Settings.read({"PROVIDER_DATA": str(folder / "data")})
    ready = graduated()
    key = key_of(ready.admin, "the key of a clerk", b"{}")
    nothing = key_of(ready.admin, "the key of nothing", b"{}")
    with closing(ready.copied(settings, Clock())) as office:
        office.keys.forget(ready.played.person("Cy"))
        staged = office.desk.stage(course=ready.played.course, content=b"First Name,Last Name")
        now = office.clock()
        act = Act(by=ready.admin, now=now, at=now, channel="test", request=uuid4().hex, key=key)
        receipt = people.register(office, act, given="Dot", family=None, email="dot@example.org")
        institution = office.log.get(Institution, office.institution)
        office.log.record(institution, asked={}, key=nothing, outcome="nothing_to_do")
    done_to(settings.place("events"), "UPDATE stored_events SET rowid = rowid + 1000 WHERE rowid > 20")
    done_to(settings.place("events"), "UPDATE idempotency SET position = position + 1000")
    done_to(settings.place("events"), f"UPDATE sqlite_sequence SET seq = {DRAWN} WHERE name = 'stored_events'")
    for file in settings.data.glob("views*"):
        file.unlink()
    answered = replace(receipt, position=(receipt.position or 0) + 1000, replayed=True)
    return Source(settings, key, answered, nothing, staged)


@cache
def kept(kind: str) -> Backup:
    """Return a backup of it, made from files or from a database."""
    folder = Path(tempfile.mkdtemp(prefix="backup-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return back_up_now(source().on(kind), folder)
