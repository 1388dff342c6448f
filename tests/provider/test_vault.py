"""Private values: kept under their owner's key, gone with it, and never readable without it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from domain.private import Private
from domain.refusal import Invalid
from provider.durable import open_engine, upgrade, writing
from provider.keys import KEYS_TABLES, Damaged, Key, Keys, Remembered
from provider.schema import Place
from provider.vault import NothingInUse, NotText, Vault
from tests.provider.conftest import Places, done_to

ADA = UUID("00000000-0000-4000-8000-00000000000a")
BOB = UUID("00000000-0000-4000-8000-00000000000b")
EVE = UUID("00000000-0000-4000-8000-00000000000e")
DAY = 24 * 60 * 60


class Clock:
    """Seconds since 1970, as a test says."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """A vault with its keys, in real databases."""

    places: dict[str, Place]
    clock: Clock
    engines: dict[str, Engine]
    keys: Keys
    vault: Vault

    def another_vault(self) -> Vault:
        """A vault that remembers nothing, as after a restart."""
        return Vault(self.engines["vault"], Keys(self.engines["keys"], clock=self.clock))

    def sql(self, name: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Do something to the database behind everybody's back."""
        return done_to(self.places[name], statement, *values)


def build(places: dict[str, Place]) -> House:
    clock = Clock()
    engines = {name: open_engine(place) for name, place in places.items()}
    for name, engine in engines.items():
        upgrade({name: engine})
    keys = Keys(engines["keys"], clock=clock)
    return House(places, clock, engines, keys, Vault(engines["vault"], keys, clock=clock))


@pytest.fixture
def house(place: Places) -> Iterator[House]:
    house = build({name: place(name) for name in ("vault", "keys")})
    yield house
    for engine in house.engines.values():
        engine.dispose()


def bytes_in(directory: Path) -> bytes:
    """Everything that lies in any file."""
    return b"".join(file.read_bytes() for file in directory.rglob("*") if file.is_file())


def in_another_process(function, house: House, *rest):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(function, house.places, *rest).result()


def forget(places: dict[str, Place], owner: UUID) -> None:
    build(places).keys.forget(owner)


def read(places: dict[str, Place], handle: str) -> str | None:
    return build(places).vault.open_one(Private(handle))


def seal(places: dict[str, Place], owner: UUID, value: str) -> str:
    return build(places).vault.seal(owner, value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(value=st.text(), owner=st.uuids())
def test_what_is_sealed_opens_again(house, value, owner):
    handle = house.vault.seal(owner, value)

    assert house.vault.open_one(handle) == value
    assert house.another_vault().open_one(handle) == value


def test_many_are_sealed_and_opened_in_their_order(house):
    items = [(owner, f"{owner} {n}") for n in range(401) for owner in (ADA, BOB, EVE)]

    handles = house.vault.seal_many(items)

    assert len(set(handles)) == 1203
    for vault in (house.vault, house.another_vault()):
        opened = vault.open([*handles, None, handles[0]])
        assert list(opened.items()) == [(handle, value) for handle, (_, value) in zip(handles, items, strict=True)]


def test_a_long_text_and_an_empty_one_open_too(house):
    for value in ("", "x" * 100_000):
        handle = house.vault.seal(ADA, value)
        assert house.vault.open_one(handle) == value
        assert house.another_vault().open_one(handle) == value


def test_nothing_is_sealed_and_nothing_opened_where_nothing_is_given(house):
    assert house.vault.seal_many([]) == []
    assert house.vault.open([None]) == {}
    assert house.vault.open_one(None) is None


def test_a_handle_that_was_never_sealed_opens_to_none(house):
    assert house.vault.open_one(Private("A" * 43)) is None
    assert house.vault.opening(Private("A" * 43)) is None


def test_a_handle_is_the_salted_commitment_that_an_auditor_computes(house):
    handle = house.vault.seal(ADA, "Zoë")
    salt, json = house.vault.opening(handle)

    digest = hashlib.sha256(b"sealed/v1\0" + salt + json).digest()

    assert (len(salt), json) == (32, '"Zoë"'.encode())
    assert handle == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert isinstance(handle, Private)
    assert house.vault.verify(handle, (salt, json))
    assert not house.vault.verify(handle, (salt, b'"Zoe"'))
    assert not house.vault.verify(handle, (bytes(32), json))


def test_the_same_value_twice_has_two_handles(house):
    assert house.vault.seal(ADA, "Ada") != house.vault.seal(ADA, "Ada")


@pytest.mark.parametrize("value", ["\ud800", "Ada \udfff", "\udcff\ud83d"])
def test_half_of_a_surrogate_pair_is_refused_and_nothing_is_kept(house, value):
    with pytest.raises(NotText) as raised:
        house.vault.seal_many([(ADA, "Ada"), (BOB, value)])
    assert isinstance(raised.value, Invalid)
    assert house.sql("vault", "SELECT count(*) FROM private_values") == [(0,)]
    assert house.sql("keys", "SELECT count(*) FROM keys") == [(0,)]


def test_a_value_is_erased_with_its_owners_key_and_others_stay(house):
    ada, bob = house.vault.seal_many([(ADA, "Ada"), (BOB, "Bob")])

    house.keys.forget(ADA)

    for vault in (house.vault, house.another_vault()):
        assert vault.open([ada, bob]) == {ada: None, bob: "Bob"}
        assert vault.opening(ada) is None
    assert house.keys.of(ADA) is None


def test_an_owner_may_have_a_new_key_after_an_erasure_and_the_old_values_stay_erased(house):
    old = house.vault.seal(ADA, "Ada")
    house.keys.forget(ADA)

    new = house.vault.seal(ADA, "Ada again")

    for vault in (house.vault, house.another_vault()):
        assert vault.open([old, new]) == {old: None, new: "Ada again"}


def test_lost_keys_are_as_erasing_everybody_and_work_goes_on(house):
    old = house.vault.seal(ADA, "Ada")
    house.sql("keys", "DELETE FROM keys")
    after_the_loss = house.another_vault()

    new = after_the_loss.seal(ADA, "Ada again")

    assert after_the_loss.open([old, new]) == {old: None, new: "Ada again"}


def test_forgetting_somebody_unknown_or_twice_is_harmless(house):
    house.vault.seal(ADA, "Ada")
    house.keys.forget(ADA)
    house.keys.forget(ADA, BOB)
    house.keys.forget()
    assert house.keys.of_many([ADA, BOB]) == {}


def test_an_erasure_in_another_process_is_seen_at_once(house):
    ada, bob = house.vault.seal_many([(ADA, "Ada"), (BOB, "Bob")])
    assert house.vault.open([ada, bob]) == {ada: "Ada", bob: "Bob"}

    in_another_process(forget, house, ADA)

    assert house.vault.open([ada, bob]) == {ada: None, bob: "Bob"}


def test_an_erasure_is_seen_by_every_thread(house):
    handle = house.vault.seal(ADA, "Ada")
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(house.vault.open_one, [handle] * 200)) == {"Ada"}
        house.keys.forget(ADA)
        assert set(threads.map(house.vault.open_one, [handle] * 200)) == {None}


def test_what_another_process_sealed_opens_here_and_drops_nothing(house):
    mine = house.vault.seal(ADA, "Ada")
    erasures = house.keys.erasures()

    theirs = Private(in_another_process(seal, house, BOB, "Bob"))

    assert house.vault.open([mine, theirs]) == {mine: "Ada", theirs: "Bob"}
    assert in_another_process(read, house, str(mine)) == "Ada"
    assert house.keys.erasures() == erasures


def test_an_owner_has_one_key_though_many_ask_for_it_at_once(house):
    everybody = [Keys(house.engines["keys"]) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda keys: keys.of(ADA, create=True), everybody * 4))
    assert len({key.id for key in made}) == 1
    assert house.sql("keys", "SELECT count(*) FROM keys") == [(1,)]


def test_who_asks_for_a_key_that_another_is_just_making_has_that_one(house):
    made: list[Key | None] = []
    theirs = uuid4()
    with writing(house.engines["keys"]) as connection:
        connection.execute(
            KEYS_TABLES.tables["keys"].insert().values(id=theirs, owner=ADA, secret=b"s" * 32, created_at=1)
        )
        asking = Thread(target=lambda: made.append(house.keys.of(ADA, create=True)), daemon=True)
        asking.start()
        asking.join(0.1)
        assert made == []
    asking.join(10)

    assert [key.id for key in made] == [theirs]
    assert house.keys.of(ADA) == made[0]


def test_owners_have_one_key_each_though_many_ask_for_several_in_any_order(house):
    owners = [uuid4() for _ in range(40)]
    everybody = [Keys(house.engines["keys"]) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: everybody[n].of_many(owners[n:] + owners[:n], create=True), range(8)))
    assert all(found.keys() == set(owners) for found in made)
    assert all({key.id for key in found.values()} == {key.id for key in made[0].values()} for found in made)
    assert house.sql("keys", "SELECT count(*) FROM keys") == [(40,)]


def test_a_key_is_only_made_when_asked_for(house):
    assert house.keys.of(ADA) is None
    made = house.keys.of(ADA, create=True)
    assert house.keys.of(ADA) == made
    assert house.sql("keys", "SELECT length(secret), created_at FROM keys") == [(32, int(house.clock.now))]
    assert "cipher" not in repr(made)


def test_a_changed_ciphertext_is_refused(house):
    handle = house.vault.seal(ADA, "Ada")
    [(sealed,)] = house.sql("vault", "SELECT sealed FROM private_values")
    for changed in (
        sealed[:-1] + bytes([sealed[-1] ^ 1]),
        bytes([sealed[0] ^ 1]) + sealed[1:],
        sealed[:20],
        b"",
    ):
        house.sql("vault", "UPDATE private_values SET sealed = ?", changed)
        with pytest.raises(Damaged):
            house.another_vault().open_one(handle)


def test_a_value_that_is_said_to_be_anothers_is_refused(house):
    ada = house.vault.seal(ADA, "Ada")
    house.vault.seal(BOB, "Bob")
    house.sql("vault", "UPDATE private_values SET owner = ?", BOB.hex)
    with pytest.raises(Damaged):
        house.another_vault().open_one(ada)


def test_a_value_moved_to_another_owner_with_the_key_is_refused(house):
    ada, bob = house.vault.seal_many([(ADA, "Ada"), (BOB, "Bob")])
    house.sql(
        "vault",
        "UPDATE private_values SET (owner, key, sealed) ="
        " (SELECT owner, key, sealed FROM private_values WHERE commitment = ?)"
        " WHERE commitment = ?",
        bob,
        ada,
    )
    with pytest.raises(Damaged):
        house.another_vault().open_one(ada)


def test_another_key_under_the_same_name_is_refused(house):
    handle = house.vault.seal(ADA, "Ada")
    house.sql("keys", "UPDATE keys SET secret = ?", bytes(32))
    with pytest.raises(Damaged):
        house.another_vault().open_one(handle)


def test_who_has_the_key_still_cannot_put_another_value_behind_a_handle(house):
    handle = house.vault.seal(ADA, "Ada")
    context = b"sealed/v1" + ADA.bytes + handle.encode()
    forged = house.keys.of(ADA).seal(bytes(32) + b'"Eve"', context)
    house.sql("vault", "UPDATE private_values SET sealed = ?", forged)
    with pytest.raises(Damaged, match="not the one"):
        house.another_vault().open_one(handle)


@pytest.mark.sqlite
def test_no_value_lies_readable_in_any_file(house, tmp_path):
    name = "Żanetta Quillfeather-Ōkubo"
    handle = house.vault.seal(ADA, name)
    house.vault.open_one(handle)

    there = bytes_in(tmp_path)

    assert handle.encode() in there
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        assert name.encode(encoding) not in there
    assert b"Quillfeather" not in there
    assert base64.b64encode(name.encode())[:16] not in there


@pytest.mark.sqlite
def test_a_forgotten_key_leaves_no_byte_in_any_file(house, tmp_path):
    house.vault.seal_many([(ADA, "Ada"), (BOB, "Bob")])
    [(secret,)] = house.sql("keys", "SELECT secret FROM keys WHERE owner = ?", ADA.hex)
    assert secret in bytes_in(tmp_path)

    house.keys.forget(ADA)

    assert secret not in bytes_in(tmp_path)
    assert house.vault.seal(BOB, "Bob") is not None


def test_a_sweep_deletes_what_no_event_names_and_spares_the_young(house):
    used, orphan = house.vault.seal_many([(ADA, "used"), (ADA, "orphan")])
    house.clock.now += DAY
    young = house.vault.seal(ADA, "young")
    assert house.vault.sweep([used]) == 0

    house.clock.now += 1
    assert house.vault.sweep(iter([used])) == 1

    for vault in (house.vault, house.another_vault()):
        assert vault.open([used, orphan, young]) == {used: "used", orphan: None, young: "young"}
    assert house.vault.sweep([used]) == 0


def test_a_sweep_of_more_than_fits_one_statement_deletes_them_all(house):
    used = house.vault.seal(ADA, "used")
    [(sealed,)] = house.sql("vault", "SELECT sealed FROM private_values")
    house.vault.seal_many([(ADA, str(n)) for n in range(1200)])
    house.clock.now += 2 * DAY

    assert house.vault.sweep([used]) == 1200

    assert house.sql("vault", "SELECT sealed FROM private_values") == [(sealed,)]
    if isinstance(file := house.places["vault"], Path):
        assert file.with_name("vault.sqlite-wal").stat().st_size == 0


def test_a_sweep_by_an_empty_log_deletes_nothing(house):
    handle = house.vault.seal(ADA, "Ada")
    house.clock.now += 2 * DAY
    with pytest.raises(NothingInUse):
        house.vault.sweep([])
    assert house.another_vault().open_one(handle) == "Ada"


def test_a_sweep_that_cannot_read_the_log_to_its_end_deletes_nothing(house):
    handles = house.vault.seal_many([(ADA, "Ada"), (BOB, "Bob")])
    house.clock.now += 2 * DAY

    def broken_log() -> Iterator[Private]:
        yield handles[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        house.vault.sweep(broken_log())
    assert set(house.another_vault().open(handles).values()) == {"Ada", "Bob"}


def test_what_is_remembered_is_bounded_and_keeps_what_is_used():
    remembered: Remembered[int, str] = Remembered(size=100)
    remembered.put(0, "often")
    for number in range(1, 10_000):
        remembered.put(number, "once")
        assert remembered.get(0) == "often"
    assert sum(remembered.get(number) is not None for number in range(10_000)) <= 100
    assert remembered.get(1) is None


def test_what_is_remembered_is_dropped_with_a_newer_count_only():
    remembered: Remembered[int, str] = Remembered(size=100, erasures=5)
    remembered.put(0, "kept")
    assert remembered.as_of(4) is remembered
    assert remembered.as_of(5) is remembered
    assert remembered.as_of(6).get(0) is None
