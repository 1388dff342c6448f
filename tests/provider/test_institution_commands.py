"""Founding the institution, and saying how it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from domain.catalogue import CATALOGUE
from domain.institution import Act as SignedOff
from domain.institution import PolicyVersionTaken, Settings, SignOff, SignOffMode
from domain.schedule import UnknownZone
from projections import access as access_view
from projections import directory
from provider.commands import institution
from provider.commands.institution import AlreadyFounded
from provider.office import Office
from provider.token import digest, looks_like_a_token
from provider.work import Act, Stale

Acting = Callable[..., Act]


def test_founding_makes_an_institution_an_administrator_and_a_token_in_one_go(
    founded: tuple[Office, UUID, str],
) -> None:
    office, admin, token = founded
    assert looks_like_a_token(token)
    with office.views.reading() as read:
        known = directory.institution(read)
        assert known is not None
        assert known["institution"] == str(office.institution)
        assert known["name"] == "Agile Academy Zürich"
        assert directory.settings(read) == Settings.usual(zone="Europe/Zurich")
        person = directory.person(read, admin)
        assert person is not None
        assert office.vault.open_one(person["given"]) == "Ada"
        assert office.vault.open_one(person["email"]) == "ada@academy.example"
        holder = access_view.holder(read, digest(token))
        assert holder is not None
        assert (holder.person, holder.roles) == (str(admin), {"admin"})
    assert office.views.verify() == []


def test_the_first_event_is_the_institutions(founded: tuple[Office, UUID, str]) -> None:
    office, _, _ = founded
    assert office.log.entries.page(0, 1)[0][3] == "institution.founded"


def test_no_office_is_founded_twice(office: Office) -> None:
    before = office.log.position()
    with pytest.raises(AlreadyFounded):
        institution.found(office, name="Other", zone="Europe/Berlin", given="Eve", family=None, email=None)
    assert office.log.position() == before


def test_a_founding_that_is_refused_leaves_nothing(empty_office: Office) -> None:
    with pytest.raises(UnknownZone):
        institution.found(empty_office, name="A", zone="Europe/Atlantis", given="Ada", family=None, email=None)
    assert not empty_office.founded
    institution.found(empty_office, name="A", zone="Europe/Berlin", given="Ada", family=None, email=None)
    assert empty_office.founded


def test_neither_name_nor_token_is_in_the_log(founded: tuple[Office, UUID, str], settings: object) -> None:
    office, _, token = founded
    stored = b"".join(each[4] for each in office.log.entries.page(0, 100))
    # Three letters may well be within a handle, which is random; as a whole value they can't be.
    for secret in (b'"Ada"', b"Ada ", b"ada@academy", token.encode(), b"first token"):
        assert secret not in stored


def test_no_file_but_the_vault_could_show_a_name(founded: tuple[Office, UUID, str], tmp_path: Path) -> None:
    _, _, token = founded
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            stored = file.read_bytes()
            assert b"ada@academy.example" not in stored, file
            assert token.encode() not in stored, file


def test_settings_are_replaced(office: Office, act: Acting) -> None:
    said = replace(Settings.usual(zone="Europe/Berlin"), sign_off=(SignOff(SignedOff.AMENDMENT, SignOffMode.SOLO),))
    receipt = institution.change_settings(office, act(version=1), settings=said, reason="moved", note="To Berlin.")
    assert receipt.version == 2
    with office.views.reading() as read:
        assert directory.settings(read) == said


def test_who_has_seen_an_older_version_is_told(office: Office, act: Acting) -> None:
    institution.rename(office, act(version=1), name="B")
    with pytest.raises(Stale) as stale:
        institution.rename(office, act(version=1), name="C")
    assert stale.value.version == 2


def test_registrations_are_numbered_and_ended(office: Office, act: Acting) -> None:
    receipt = institution.register_with_body(office, act(), body="SA", external_id="1234", valid_from=date(2026, 1, 1))
    assert receipt.ids == ("1",)
    institution.end_registration(office, act(), body="SA", on=date(2026, 7, 1), reason="left", note="Enough.")
    with office.views.reading() as read:
        known = directory.institution(read)
    assert known is not None
    assert [(each["number"], each["ended"]) for each in known["registrations"]] == [(1, "2026-07-01")]


def test_the_institution_knows_better_and_says_so_once_per_version(office: Office, act: Acting) -> None:
    policy = replace(next(each for each in CATALOGUE if each.credential == "SA/CSPO"), version="own-1")
    institution.override_credential(office, act(), policy=policy, reason="stricter")
    with office.views.reading() as read:
        assert directory.policies(read)[0] == policy
    position = institution.override_credential(office, act(), policy=policy, reason="stricter").position
    assert position is None
    with pytest.raises(PolicyVersionTaken):
        institution.override_credential(office, act(), policy=replace(policy, exam="none"), reason="stricter")
