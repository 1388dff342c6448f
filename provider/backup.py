"""A backup: all that an institution's stores hold, in directories of one form, whatever the databases are.

The keys are in a directory of their own, apart from what they open, and not for long: whoever was erased must be gone
from the last copy of the keys too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection

from provider.aside import held, tidy
from provider.contents import Sum, Tally, copy, copy_file, make, reading, settle, sync_directory, tally
from provider.durable import make_private_directory, open_engine, writing
from provider.log import Progress
from provider.settings import Settings

# Whoever carries out a command writes to the keys first, then seals values under them, and at last records the events
# that name the values (`Work`, `Vault.seal_many`); a file that waits lies on the desk before any event comes of it, and
# its key before it. So in this order, the other way round, each copy holds all that the copy before it needs, though
# everybody works on meanwhile. An erasure in between is one in the copies too.
DATA = ("events", "vault", "desk")
KEYS = ("keys",)

COUNTED = {"events": "events", "vault": "private_values", "desk": "staged_imports", "keys": "keys"}
"""What there is of in each store once it is used, by the name that it has in a manifest."""

FORMAT = 1
MANIFEST = "manifest.json"
STAMP = "%Y-%m-%dT%H%M%SZ"
PART = ".part"
Showing = Callable[[str], AbstractContextManager[Progress]]
"""Shows how far something is that has a title."""


class CannotBackUp(Exception):
    """There is nothing to copy, or no room for it under that name. No backup was made."""


class BadBackup(Exception):
    """What should be a backup is none, is not whole, or is not as it was when it was made."""


def in_silence(_title: str) -> AbstractContextManager[Progress]:
    """Show nothing."""
    return nullcontext(lambda _done, _of: None)


@dataclass(frozen=True)
class Copied:
    """The file of one store in a backup: its length, its digest, and what it holds."""

    bytes: int
    digest: str
    holds: Tally


@dataclass(frozen=True)
class BackedUp:
    """The two new directories, and the old ones that should have been deleted and could not be, each with the why."""

    data: Path
    keys: Path
    left: Sequence[str]


@dataclass(frozen=True)
class Manifest:
    """What a directory of a backup says of itself. `made` is when the copying began; all recorded before is in it."""

    format: int
    program: str
    made: datetime
    institution: UUID
    stores: Mapping[str, Copied]

    def write(self, directory: Path) -> None:
        """Lay it into the directory of which it speaks."""
        file = directory / MANIFEST
        number = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(number, "wb") as written:
            written.write(orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            written.flush()
            os.fsync(number)

    @classmethod
    def read(cls, directory: Path, stores: Sequence[str]) -> Manifest:
        """Return what a directory says of itself, in which there must be copies of these stores, as they were made.

        :raises BadBackup: when it says nothing, or something that is not true of its files.
        """
        said = _said(directory)
        try:
            if (form := _whole(said["format"])) > FORMAT:
                raise BadBackup(
                    f"{directory} was made by a newer version of the program ({said['program']}), in a form that this "
                    "one does not know. Install that version."
                )
            copies = {name: _copied(name, each) for name, each in said["stores"].items()}
            made = datetime.fromisoformat(said["made"])
            if form == 0 or made.tzinfo is None:
                raise ValueError("there never was such a form")
            manifest = cls(form, _text(said["program"]), made.astimezone(UTC), UUID(said["institution"]), copies)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BadBackup(f"{directory / MANIFEST} is damaged. Use another backup.") from error
        if set(copies) != set(stores):
            raise BadBackup(
                f"{directory} holds the {_listed(copies)}, and not the {_listed(stores)}. The copies of the keys are "
                "in directories of their own."
            )
        for store, copied in copies.items():
            _must_be_as_it_was(directory / f"{store}.sqlite", copied)
        return manifest


def _said(directory: Path) -> dict[str, Any]:
    if directory.name.endswith(PART):
        raise BadBackup(f"{directory} is a backup that was never finished. Use another one.")
    with _readable():
        if not directory.is_dir():
            raise BadBackup(f"There is no backup at {directory}.")
        try:
            said = orjson.loads((directory / MANIFEST).read_bytes())
        except FileNotFoundError:
            finished = sorted(each.parent for each in directory.glob(f"*/{MANIFEST}"))
            advice = f"Name one of those in it, such as {finished[-1]}." if finished else "Use another backup."
            raise BadBackup(f"{directory} has no {MANIFEST}, so it is no whole backup. {advice}") from None
        except orjson.JSONDecodeError as error:
            raise BadBackup(f"{directory / MANIFEST} is damaged. Use another backup.") from error
    return said if isinstance(said, dict) else {}


@contextmanager
def _readable() -> Iterator[None]:
    """Tell of a file in a `with` that can't be read.

    :raises BadBackup: which says which file, and why.
    """
    try:
        yield
    except OSError as error:
        raise BadBackup(
            f"{error.filename} can't be read ({error.strerror}). Let the user who runs this read it, or use another "
            "backup."
        ) from error


def _copied(store: str, said: Mapping[str, Any]) -> Copied:
    holds = said["holds"]
    sums = {name: Sum(_whole(each["rows"]), _text(each["digest"])) for name, each in holds["tables"].items()}
    # What is told of it at the end.
    _ = sums[COUNTED[store]]
    last, drawn = (None if holds[name] is None else _whole(holds[name]) for name in ("last", "drawn"))
    return Copied(_whole(said["bytes"]), _text(said["digest"]), Tally(sums, last, drawn))


def _whole(said: object) -> int:
    if type(said) is not int or said < 0:
        raise TypeError(f"{said!r} is no number of things")
    return said


def _text(said: object) -> str:
    if not isinstance(said, str):
        raise TypeError(f"{said!r} is no text")
    return said


def _must_be_as_it_was(file: Path, copied: Copied) -> None:
    with _readable():
        if not file.exists():
            raise BadBackup(f"{file} is missing. Use another backup.")
        if (length := file.stat().st_size) != copied.bytes:
            raise BadBackup(f"{file} has {length:,} bytes in place of {copied.bytes:,}. Use another backup.")
        if _digest(file) != copied.digest:
            raise BadBackup(f"{file} is not as it was when it was copied. Use another backup.")


def _digest(file: Path) -> str:
    # Nobody has a copy open, so closing it here lets go of no lock of SQLite's.
    with file.open("rb") as read:
        return file_digest(read, "blake2b").hexdigest()


def _listed(stores: Sequence[str] | Mapping[str, Any]) -> str:
    *first, last = stores or ["copy of nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def back_up(
    settings: Settings,
    copies: Path,
    copies_of_keys: Path,
    *,
    now: datetime,
    days: int,
    days_of_keys: int,
    showing: Showing = in_silence,
) -> BackedUp:
    """Copy all that the institution has, while it is at work, and let copies go that are older than so many days.

    Each of the two new directories is there completely or not at all. As long as no new copy can be made, the old ones
    stay.

    :raises CannotBackUp: when there is no institution, or a backup of this very second.
    """
    name = now.astimezone(UTC).strftime(STAMP)
    with _begun(copies / name) as data, _begun(copies_of_keys / name) as keys:
        parts = ((data, DATA), (keys, KEYS))
        sent = {store: held for part, stores in parts for store, held in _copy(settings, stores, part, showing).items()}
        with reading(data / "events.sqlite") as log:
            institution = institution_in(log)
        if institution is None:
            raise CannotBackUp("There is no institution here yet, so there is nothing to copy.")
        for part, stores in parts:
            _finish(part, {store: sent.get(store) for store in stores}, now, institution, showing)
        # The keys first: where there is a copy of the data, there is one of its keys.
        for part in (keys, data):
            part.rename(part.with_suffix(""))
            sync_directory(part.parent)
    # An old copy of the keys undoes erasures, so nothing that is wrong with other copies may keep it.
    left = _let_go(copies_of_keys, now - timedelta(days=days_of_keys)) + _let_go(copies, now - timedelta(days=days))
    return BackedUp(copies / name, copies_of_keys / name, left)


@contextmanager
def _begun(directory: Path) -> Iterator[Path]:
    """Make the directory of a backup that is not finished; what has that name still at the end of the `with` goes.

    Those that were killed go at the beginning of the next: whoever lives holds theirs.
    """
    part = directory.with_name(directory.name + PART)
    make_private_directory(part.parent)
    with ExitStack() as stack:
        # One at a time, or what was made and is not held yet would be taken for what was left behind.
        with held(part.parent, wait=True):
            for each in part.parent.glob(f"*{PART}"):
                if _made(each) is not None:
                    tidy(each)
            try:
                if directory.exists():
                    raise FileExistsError
                part.mkdir(mode=0o700)
            except FileExistsError:
                raise CannotBackUp(f"There is a backup of this second in {part.parent} already. Try again.") from None
            stack.enter_context(held(part))
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        yield part


def _copy(settings: Settings, stores: Sequence[str], to: Path, showing: Showing) -> dict[str, Tally]:
    """Copy stores into files of a directory; return what each holds where it came out of a database row by row."""
    place = settings.place(stores[0])
    if isinstance(place, Path):
        for store in stores:
            copy_file(settings.store(store), to / f"{store}.sqlite")
        return {}
    # One look at the database serves all of its schemas: what events name is in the vault of the same moment.
    with reading(place) as source:
        return {store: _fill(to / f"{store}.sqlite", source, store, showing) for store in stores}


def _fill(file: Path, source: Connection, store: str, showing: Showing) -> Tally:
    """Make a file of what a store in a database holds, and return what that is."""
    make(file, store)
    # A journal would become as long as the log.
    settle(file)
    engine = open_engine(file, threads=1)
    try:
        shown = showing if store == "events" else in_silence
        with shown("Copying the events") as progress, writing(engine) as target:
            sent = copy(source, target, store, progress)
    finally:
        engine.dispose()
    settle(file)
    return sent


def institution_in(log: Connection) -> UUID | None:
    """Return whose log it is that lies in a file: the first event is the founding. None if there is no event."""
    found = log.exec_driver_sql("SELECT originator_id FROM stored_events ORDER BY rowid LIMIT 1").scalar()
    return None if found is None else UUID(found)


def _finish(part: Path, sent: Mapping[str, Tally | None], now: datetime, institution: UUID, showing: Showing) -> None:
    """Write down what the copies hold, which must be what was sent, and bring all of it to the disk."""
    copied = {}
    for store, expected in sent.items():
        file = part / f"{store}.sqlite"
        shown = showing if store == "events" else in_silence
        with shown("Reading the copy") as progress, reading(file) as made:
            holds = tally(made, store, progress)
        if expected is not None and (differing := expected.differences(holds)):
            raise CannotBackUp(f"The copy of the {store} has {'; '.join(differing)}. Look at the disk.")
        copied[store] = Copied(file.stat().st_size, _digest(file), holds)
    for each in part.iterdir():
        # Whoever makes tables leaves the files of its locks behind.
        if each.stem not in copied or each.suffix != ".sqlite":
            each.unlink()
    Manifest(FORMAT, version("training-provider"), now, institution, copied).write(part)
    sync_directory(part)


def _let_go(copies: Path, before: datetime) -> list[str]:
    """Delete the copies made before a time, each for itself, and return which could not be, and why.

    Whatever is not named like one stays.
    """
    left = []
    for each in sorted(copies.iterdir()):
        made = _made(each)
        if made is not None and made < before and (why := _deleted(each)) is not None:
            left.append(f"{each} ({why})")
    return left


def _made(copy: Path) -> datetime | None:
    """Return when a copy was made, by its name; None where it is not named like one."""
    try:
        return datetime.strptime(copy.name.removesuffix(PART), STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _deleted(directory: Path) -> str | None:
    """Delete a directory; return why not, if so."""
    try:
        # What a link leads to would stay, and not be looked for any more.
        if directory.is_symlink():
            return f"it is a link to {directory.readlink()}"
        shutil.rmtree(directory)
    except OSError as error:
        # Somebody else may have deleted it.
        return (error.strerror or str(error)) if os.path.lexists(directory) else None
    return None
