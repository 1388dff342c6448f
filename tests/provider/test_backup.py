"""A backup: whole or not at all, complete in itself while everybody works on, and nothing in it that should not be."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from provider.aside import held
from provider.backup import DATA, MANIFEST, CannotBackUp, in_silence
from provider.cli import console
from provider.commands import people
from provider.contents import PAGE, make, only_read, reading, tally
from provider.keys import Keys
from provider.log import Progress
from provider.office import Office
from provider.replay import Replayed, replay
from provider.vault import Vault
from tests.academy import Acting
from tests.backups import DRAWN, NOW, Backup, back_up_now, kept, source
from tests.provider.conftest import Call, Places, done_to

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


def replayed(backup: Backup) -> Replayed:
    """Replay a backup where it lies."""
    sealed, under = only_read(backup.data / "vault.sqlite"), only_read(backup.keys / "keys.sqlite")
    try:
        with closing(Keys(under)) as keys:
            return replay(backup.data / "events.sqlite", Vault(sealed, keys), lambda _done, _of: None)
    finally:
        sealed.dispose()
        under.dispose()


def wait_for(told: list[int], many: int) -> None:
    """Wait until so many were told, a few seconds at most."""
    until = monotonic() + 20
    while len(told) < many:
        assert monotonic() < until
        sleep(0.001)


def positions(backup: Backup) -> list[int]:
    rows = done_to(backup.data / "events.sqlite", "SELECT rowid FROM stored_events ORDER BY rowid")
    return [position for (position,) in rows]


def test_what_was_acknowledged_before_is_in_a_backup_that_is_made_while_everybody_works(
    office: Office, act: Acting, tmp_path: Path
):
    told: list[int] = []
    numbers = count()
    enough = False

    def register() -> None:
        while not enough:
            number = next(numbers)
            done = people.register(office, act(), given=f"Žofia {number}", family="Q", email=f"{number}@example.org")
            told.append(done.position or 0)

    threads = [Thread(target=register) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_for(told, 12)
        before = list(told)
        backup = back_up_now(office.settings, tmp_path)
        wait_for(told, len(before) + 1)
    finally:
        enough = True
        for thread in threads:
            thread.join()

    assert set(before) <= set(positions(backup))
    # Each event that was copied has its values, and each value has its key.
    found = replayed(backup)
    assert (found.wrong, found.erased) == ([], 0)
    assert found.opened >= 3 * len(before)
    assert len(positions(backup)) <= len(office.log.entries.page(0, 10_000))


@pytest.mark.postgresql
def test_what_was_recorded_together_is_in_it_together_or_not_at_all(office: Office, tmp_path: Path):
    recorder: Any = office.log.recorder
    end = office.log.position()
    event = StoredEvent(originator_id=uuid4(), originator_version=1, topic="t", state=b"{}")
    columns = [[getattr(event, name)] for name in ("originator_id", "originator_version", "topic", "state")]
    with psycopg.connect(office.log.place.url) as slow:
        # It draws two positions, and between them another draws one, and commits.
        slow.execute(recorder._insert, columns)
        assert recorder.insert_events([replace(event, originator_id=uuid4())]) == [end + 2]
        slow.execute(recorder._insert, [[uuid4()], *columns[1:]])

        first = back_up_now(office.settings, tmp_path)

    second = back_up_now(office.settings, tmp_path, NOW + timedelta(seconds=1))
    assert positions(first) == [*range(1, end + 1), end + 2]
    assert positions(second) == [*range(1, end + 4)]
    assert first.says().stores["events"].holds.drawn == end + 3


def test_however_long_a_log_is_it_is_read_page_by_page(place: Places, tmp_path: Path):
    make(place("events"), "events")
    many = "WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < ?)"
    made = "md5(n::text)::uuid" if tmp_path / "events.sqlite" != place("events") else "n"
    done_to(
        place("events"),
        f"{many} INSERT INTO stored_events (originator_id, originator_version, topic, state) "
        f"SELECT {made}, 1, 't', '{{}}' FROM each",
        2 * PAGE + 1,
    )
    told: list[int] = []

    with reading(place("events")) as log:
        held = tally(log, "events", lambda done, _of: told.append(done))

    assert told == [PAGE, 2 * PAGE, 2 * PAGE + 1]
    assert held.tables["events"].rows == 2 * PAGE + 1


@BOTH
def test_it_says_of_itself_what_it_holds_and_no_private_value(kind: str, postgres_server: object):
    backup = kept(kind)
    said, of_keys = backup.says(), backup.says(keys=True)

    with reading(source().settings.place("events")) as log:
        assert said.stores["events"].holds == tally(log, "events")
    assert said.stores["events"].holds.drawn == DRAWN
    with reading(source().settings.place("vault")) as vault:
        assert said.stores["vault"].holds == tally(vault, "vault")
    assert said.stores["desk"].holds.tables["staged_imports"].rows == 1
    assert said.institution == of_keys.institution
    assert (said.format, said.program, said.made) == (1, "0.1.0", NOW)
    for directory in (backup.data, backup.keys):
        text = (directory / MANIFEST).read_text()
        assert not any(name in text for name in ("Ada", "Bob", "Cy", "Dot", "example.org"))


def test_it_says_the_same_of_the_same_on_either_database(postgres_server: object):
    both = [kept(kind) for kind in ("sqlite", "postgresql")]

    for store in DATA:
        one, other = [backup.says().stores[store].holds for backup in both]
        assert one == other


@BOTH
def test_the_keys_are_nowhere_in_the_copies_of_the_data(kind: str, postgres_server: object):
    backup = kept(kind)
    secrets = [row[0] for row in done_to(source().settings.place("keys"), "SELECT secret FROM keys")]

    assert {each.name for each in backup.data.iterdir()} == {*(f"{store}.sqlite" for store in DATA), MANIFEST}
    assert {each.name for each in backup.keys.iterdir()} == {"keys.sqlite", MANIFEST}
    assert secrets
    for copy in backup.data.iterdir():
        assert not any(secret in copy.read_bytes() for secret in secrets)


@BOTH
def test_nobody_else_can_read_it(kind: str, postgres_server: object):
    backup = kept(kind)

    for made in (backup.data, backup.keys):
        for each in (made.parent, made, *made.iterdir()):
            assert each.stat().st_mode & 0o077 == 0


def test_it_has_no_journal_and_can_be_read_where_nothing_can_be_written(postgres_server: object):
    for kind in ("sqlite", "postgresql"):
        for file in (kept(kind).data / f"{store}.sqlite" for store in DATA):
            assert done_to(file, "PRAGMA journal_mode") == [("delete",)]


@pytest.mark.sqlite
def test_old_copies_go_those_of_keys_after_thirty_days_and_strangers_stay(office: Office, tmp_path: Path):
    for name, days in (("copies", 89), ("copies", 91), ("copies-of-keys", 29), ("copies-of-keys", 31)):
        made = NOW - timedelta(days=days)
        (tmp_path / name / made.strftime("%Y-%m-%dT%H%M%SZ")).mkdir(parents=True)
    (tmp_path / "copies" / (NOW - timedelta(days=92)).strftime("%Y-%m-%dT%H%M%SZ.part")).mkdir()
    (tmp_path / "copies" / "readme").mkdir()

    back_up_now(office.settings, tmp_path)

    assert len(list((tmp_path / "copies").iterdir())) == 3
    assert (tmp_path / "copies" / "readme").is_dir()
    assert len(list((tmp_path / "copies-of-keys").iterdir())) == 2


@pytest.mark.sqlite
def test_what_a_killed_backup_left_goes_with_the_next_and_not_what_another_makes_just_now(
    office: Office, tmp_path: Path
):
    yesterday = (NOW - timedelta(days=1)).strftime("%Y-%m-%dT%H%M%SZ.part")
    for parent in (tmp_path / "copies", tmp_path / "copies-of-keys"):
        for name in (yesterday, "2026-06-05T023000Z.part", "of-somebody.part"):
            (parent / name).mkdir(parents=True)
            (parent / name / "events.sqlite").write_bytes(b"half of it")

    with held(tmp_path / "copies" / "2026-06-05T023000Z.part"):
        backup = back_up_now(office.settings, tmp_path)

    left = {each.name for each in backup.data.parent.iterdir()}
    assert left == {backup.data.name, "2026-06-05T023000Z.part", "of-somebody.part"}
    assert {each.name for each in backup.keys.parent.iterdir()} == {backup.keys.name, "of-somebody.part"}


@pytest.mark.sqlite
def test_a_backup_that_is_told_to_end_leaves_nothing(
    office: Office, tmp_path: Path, provider: Call, monkeypatch: pytest.MonkeyPatch
):
    def told(title: str) -> AbstractContextManager[Progress]:
        assert len(list(tmp_path.rglob("*.part"))) == 2
        os.kill(os.getpid(), signal.SIGTERM)
        return in_silence(title)

    monkeypatch.setattr(console, "progress", told)
    before = signal.getsignal(signal.SIGTERM)

    status, out, _ = provider(
        *("backup", str(tmp_path / "copies"), "--keys", str(tmp_path / "keys")), PROVIDER_DATA=office.settings.data
    )

    assert (status, out) == (143, "")
    assert [*(tmp_path / "copies").iterdir(), *(tmp_path / "keys").iterdir()] == []
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.sqlite
def test_what_can_not_be_deleted_is_named_and_keeps_no_old_key(office: Office, tmp_path: Path, provider: Call):
    copies, copies_of_keys = tmp_path / "copies", tmp_path / "copies-of-keys"
    for each in (copies, copies_of_keys):
        for name in ("2020-01-01T000000Z", "2020-01-04T000000Z", "of-somebody"):
            (each / name).mkdir(parents=True)
        (each / "2020-01-02T000000Z").symlink_to(each / "of-somebody")
        (each / "2020-01-03T000000Z").write_text("of somebody")

    status, out, err = provider(
        "backup", str(copies), "--keys", str(copies_of_keys), PROVIDER_DATA=office.settings.data
    )

    assert status == 1
    assert [Path(line).parent for line in out.split()] == [copies, copies_of_keys]
    for each in (copies, copies_of_keys):
        names = {left.name for left in each.iterdir()}
        assert names == {"2020-01-02T000000Z", "2020-01-03T000000Z", "of-somebody", Path(out.split()[0]).name}
        assert f"  {each / '2020-01-02T000000Z'} (it is a link to {each / 'of-somebody'})\n" in err
        assert f"  {each / '2020-01-03T000000Z'} (Not a directory)\n" in err
    assert "The backup is made." in err


@pytest.mark.sqlite
@pytest.mark.parametrize("where", ["data", "data/copies", "data/keys", "link/copies", "keys-dir/copies"])
def test_copies_do_not_lie_where_the_data_or_the_keys_are(office: Office, tmp_path: Path, provider: Call, where: str):
    (tmp_path / "link").symlink_to(office.settings.data)
    said = {"PROVIDER_DATA": office.settings.data, "PROVIDER_KEYS_DIR": tmp_path / "keys-dir"}
    for given in ((where, "copies-of-keys"), ("copies", where)):
        copies, copies_of_keys = (tmp_path / each for each in given)

        status, out, err = provider("backup", str(copies), "--keys", str(copies_of_keys), **said)

        assert (status, out) == (2, "")
        assert "would be lost with it" in err
    assert list(tmp_path.rglob("copies*")) == []


@pytest.mark.sqlite
def test_days_have_an_end(office: Office, tmp_path: Path, provider: Call):
    where = ("backup", str(tmp_path / "copies"), "--keys", str(tmp_path / "keys"))

    status, out, err = provider(*where, "--days", "36501", PROVIDER_DATA=office.settings.data)
    assert (status, out) == (2, "")
    assert "36500" in err
    assert not (tmp_path / "copies").exists()

    assert provider(*where, "--days", "36500", PROVIDER_DATA=office.settings.data)[0] == 0


@pytest.mark.sqlite
def test_a_backup_that_fails_leaves_nothing(office: Office, tmp_path: Path):
    office.close()
    office.settings.store("vault").write_bytes(b"damaged" * 1000)

    with pytest.raises(sqlite3.DatabaseError):
        back_up_now(office.settings, tmp_path)

    assert [*(tmp_path / "copies").iterdir(), *(tmp_path / "copies-of-keys").iterdir()] == []


@pytest.mark.sqlite
def test_two_backups_of_one_second_are_one(office: Office, tmp_path: Path):
    first = back_up_now(office.settings, tmp_path)

    with pytest.raises(CannotBackUp, match="of this second"):
        back_up_now(office.settings, tmp_path)

    assert first.says().made == NOW


def test_where_nothing_was_founded_there_is_nothing_to_back_up(empty_office: Office, tmp_path: Path):
    with pytest.raises(CannotBackUp, match="no institution"):
        back_up_now(empty_office.settings, tmp_path)

    assert list((tmp_path / "copies").iterdir()) == []


def test_the_command_prints_the_two_directories(office: Office, tmp_path: Path, provider: Call):
    said = {"PROVIDER_DATA": office.settings.data, "PROVIDER_DATABASE_URL": office.settings.database_url}
    copies, copies_of_keys = tmp_path / "copies", tmp_path / "copies-of-keys"

    status, out, err = provider("backup", str(copies), "--keys", str(copies_of_keys), **said)

    assert status == 0
    data, keys = map(Path, out.split())
    assert (data.parent, keys.parent, data.name) == (copies, copies_of_keys, keys.name)
    made = datetime.strptime(data.name, "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)
    assert datetime.now(UTC) - made < timedelta(minutes=1)
    assert "Reading the copy: 100 %" in err
    assert replayed(Backup(data, keys)).wrong == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("keys", "days", "words"),
    [
        ("keys", "31", "an erased person must stay erased"),
        ("keys", "0", "an erased person must stay erased"),
        ("copies", "30", "a directory of their own"),
        ("copies/keys", "30", "a directory of their own"),
        (".", "30", "a directory of their own"),
    ],
)
def test_keys_are_kept_apart_and_not_for_longer_than_erasure_allows(
    office: Office, tmp_path: Path, provider: Call, keys: str, days: str, words: str
):
    where = ("backup", str(tmp_path / "copies"), "--keys", str(tmp_path / keys))

    status, out, err = provider(*where, "--days-of-keys", days, PROVIDER_DATA=office.settings.data)

    assert (status, out) == (2, "")
    assert words in err
    assert not (tmp_path / "copies").exists()


def test_the_command_refuses_a_place_without_an_institution(tmp_path: Path, provider: Call):
    where = ("backup", str(tmp_path / "copies"), "--keys", str(tmp_path / "keys"))

    status, out, err = provider(*where, PROVIDER_DATA=tmp_path / "nothing")

    assert (status, out) == (1, "")
    assert "There is no institution in" in err
    assert list(tmp_path.iterdir()) == []
