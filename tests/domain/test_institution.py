"""The institution: with whom it is registered, how it works, where it knows rules better."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.catalogue import CATALOGUE
from domain.credential import UnknownBody, UnsoundPolicy, policy_named, policy_on
from domain.institution import (
    Act,
    Institution,
    NameMissing,
    NotRegistered,
    PolicyVersionTaken,
    RegistrationDates,
    RegistrationsOverlap,
    RegistrationUnproven,
    Settings,
    SignOff,
    SignOffMode,
    UnsoundSettings,
)
from domain.private import Private
from domain.reason import ReasonMissing
from domain.schedule import UnknownZone
from tests.scenario import given

INSTITUTION = UUID("11111111-1111-4111-8111-111111111111")
ADA = UUID("22222222-2222-4222-8222-222222222222")
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
SAID: dict[str, Any] = {"by": ADA, "at": AT}
USUAL = Settings.usual(zone="Europe/Berlin")
NOTE = Private("n" * 43)


def founded(name: str = "Scrum School", settings: Settings = USUAL) -> Institution:
    return Institution.found(institution=INSTITUTION, name=name, settings=settings, **SAID)


def registered(
    valid_from: date = date(2026, 1, 1), valid_until: date | None = date(2026, 12, 31), body: str = "SA"
) -> Any:
    return lambda institution: institution.register_with_body(
        body=body, external_id="REP-7", valid_from=valid_from, valid_until=valid_until, **SAID
    )


def own(version: str = "school-1", **changes: Any) -> Any:
    """Return the institution's own rules for the CSPO, from 2026 on."""
    now = policy_on(CATALOGUE, body="SA", code="CSPO", on=date(2026, 6, 1))
    return replace(now, version=version, sources=(), unconfirmed=(), **changes)


def test_an_institution_begins_with_a_name_and_settings() -> None:
    institution = given(founded).after()

    assert institution.id == INSTITUTION
    assert institution.name == "Scrum School"
    assert institution.settings == USUAL
    assert institution.registrations == {}
    assert institution.policies() == CATALOGUE


def test_the_name_loses_its_blank_edges() -> None:
    assert founded(name="  Scrum School ").name == "Scrum School"


def test_an_institution_without_a_name_is_refused() -> None:
    with pytest.raises(NameMissing):
        founded(name="  ")


@pytest.mark.parametrize("zone", ["", "Europe/Berlim", "CET+1", "Europe", "../etc/passwd", "/etc/localtime"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(UnknownZone, match="Europe/Berlin") as refused:
        founded(settings=replace(USUAL, zone=zone))
    assert refused.value.field == "zone"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tolerance_minutes", -1),
        ("tolerance_minutes", 241),
        ("submission_due_days", -1),
        ("submission_due_days", 61),
        ("certificate_prefix", "-A"),
        ("certificate_prefix", "A/B"),
        ("certificate_prefix", "A" * 13),
        ("sign_off", (SignOff("lunch", SignOffMode.SOLO),)),  # type: ignore[arg-type]
        ("sign_off", (SignOff(Act.AMENDMENT, "alone"),)),  # type: ignore[arg-type]
        ("sign_off", (SignOff(Act.AMENDMENT, SignOffMode.SOLO), SignOff(Act.AMENDMENT, SignOffMode.FOUR_EYES))),
        ("holidays", (date(2026, 12, 25), date(2026, 12, 25))),
    ],
)
def test_a_setting_out_of_its_range_is_refused_when_founding_and_later(field: str, value: object) -> None:
    settings = replace(USUAL, **{field: value})  # type: ignore[arg-type]

    with pytest.raises(UnsoundSettings) as refused:
        founded(settings=settings)
    assert refused.value.field == field
    given(founded).when(Institution.change_settings, settings=settings, reason="policy", **SAID).then_refused(
        UnsoundSettings
    )


@pytest.mark.parametrize(
    "change",
    [
        {"tolerance_minutes": 0, "submission_due_days": 0},
        {"tolerance_minutes": 240, "submission_due_days": 60},
        {"certificate_prefix": "SCHOOL-2-", "sign_off": ()},
    ],
)
def test_settings_at_the_edge_of_their_range_are_accepted(change: dict[str, Any]) -> None:
    settings = replace(USUAL, **change)

    assert founded(settings=settings).settings == settings


def test_an_act_needs_four_eyes_unless_the_settings_say_solo() -> None:
    settings = replace(USUAL, sign_off=(SignOff(Act.REVOCATION, SignOffMode.SOLO),))

    assert settings.solo(Act.REVOCATION)
    assert settings.solo("revocation")
    assert not settings.solo(Act.AMENDMENT)
    assert not any(USUAL.solo(act) for act in Act)


def test_asking_about_an_act_that_is_none_fails_loudly() -> None:
    with pytest.raises(ValueError, match="amendement"):
        USUAL.solo("amendement")


def test_changed_settings_hold_from_then_on() -> None:
    solo = replace(USUAL, sign_off=(SignOff(Act.AMENDMENT, SignOffMode.SOLO),))

    scenario = given(founded).when(Institution.change_settings, settings=solo, reason="one_person", note=NOTE, **SAID)

    scenario.then(Institution.SettingsChanged, settings=solo, reason="one_person", note=NOTE, by=ADA, at=AT)
    assert scenario.after().settings.solo(Act.AMENDMENT)


def test_the_same_settings_again_record_nothing() -> None:
    given(founded).when(Institution.change_settings, settings=USUAL, reason="policy", **SAID).then()


def test_settings_change_only_with_a_reason() -> None:
    settings = replace(USUAL, tolerance_minutes=5)

    given(founded).when(Institution.change_settings, settings=settings, reason=" ", **SAID).then_refused(ReasonMissing)


def test_an_institution_may_change_its_name() -> None:
    scenario = given(founded).when(Institution.rename, name="Scrum Academy", **SAID)

    scenario.then(Institution.Renamed, name="Scrum Academy")
    assert scenario.after().name == "Scrum Academy"


def test_the_same_name_again_records_nothing() -> None:
    given(founded).when(Institution.rename, name="Scrum School ", **SAID).then()


def test_a_name_can_not_become_empty() -> None:
    given(founded).when(Institution.rename, name="", **SAID).then_refused(NameMissing)


def test_a_registration_holds_from_its_first_to_its_last_day() -> None:
    institution = given(founded, registered()).after()

    held = [
        institution.registered_with("SA", day)
        for day in (date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1))
    ]
    assert held == [False, True, True, False]
    assert not institution.registered_with("PMI", date(2026, 6, 1))


def test_a_registration_is_recorded_as_the_body_gave_it() -> None:
    given(founded).when(
        Institution.register_with_body,
        body="SA",
        external_id=" REP-7 ",
        valid_from=date(2026, 1, 1),
        valid_until=None,
        **SAID,
    ).then(
        Institution.RegisteredWithBody,
        number=1,
        body="SA",
        external_id="REP-7",
        valid_from=date(2026, 1, 1),
        valid_until=None,
    ).then_answers(1)


def test_a_day_without_registration_is_refused_by_name() -> None:
    given(founded, registered()).when(Institution.must_be_registered_with, body="SA", on=date(2027, 1, 1)).then_refused(
        NotRegistered, "not registered with Scrum Alliance on 2027-01-01"
    )
    given(founded, registered()).when(Institution.must_be_registered_with, body="SA", on=date(2026, 1, 1)).then()


@pytest.mark.parametrize(
    ("valid_from", "valid_until"),
    [
        (date(2026, 12, 31), date(2027, 12, 31)),
        (date(2025, 1, 1), date(2026, 1, 1)),
        (date(2026, 6, 1), date(2026, 6, 1)),
        (date(2025, 1, 1), None),
        (date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_registrations_with_one_body_never_overlap(valid_from: date, valid_until: date | None) -> None:
    given(founded, registered()).when(
        Institution.register_with_body,
        body="SA",
        external_id="REP-8",
        valid_from=valid_from,
        valid_until=valid_until,
        **SAID,
    ).then_refused(RegistrationsOverlap, "Registration 1 with Scrum Alliance, from 2026-01-01 to 2026-12-31")


@pytest.mark.parametrize(
    ("body", "valid_from", "valid_until"),
    [
        ("SA", date(2027, 1, 1), None),
        ("SA", date(2025, 1, 1), date(2025, 12, 31)),
        ("PMI", date(2026, 6, 1), None),
    ],
)
def test_registrations_may_follow_each_other_or_be_with_several_bodies(
    body: str, valid_from: date, valid_until: date | None
) -> None:
    given(founded, registered()).when(
        Institution.register_with_body,
        body=body,
        external_id="REP-8",
        valid_from=valid_from,
        valid_until=valid_until,
        **SAID,
    ).then(Institution.RegisteredWithBody, number=2, body=body)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"body": "SAA"}, UnknownBody),
        ({"external_id": " "}, RegistrationUnproven),
        ({"valid_until": date(2025, 12, 31)}, RegistrationDates),
    ],
)
def test_a_registration_that_can_not_be_right_is_refused(change: dict[str, Any], refusal: Any) -> None:
    said = {"body": "SA", "external_id": "REP-7", "valid_from": date(2026, 1, 1), "valid_until": None}

    given(founded).when(Institution.register_with_body, **{**said, **change}, **SAID).then_refused(refusal)


def test_an_ended_registration_no_longer_holds_on_the_day_of_its_end() -> None:
    scenario = given(founded, registered()).when(
        Institution.end_registration, body="SA", on=date(2026, 6, 1), reason="fee_unpaid", note=NOTE, **SAID
    )

    scenario.then(
        Institution.RegistrationEnded, number=1, body="SA", on=date(2026, 6, 1), reason="fee_unpaid", note=NOTE
    )
    assert scenario.after().registered_with("SA", date(2026, 5, 31))
    assert not scenario.after().registered_with("SA", date(2026, 6, 1))


def end(on: date, body: str = "SA") -> Any:
    return lambda institution: institution.end_registration(body=body, on=on, reason="moved", **SAID)


def test_the_end_that_is_meant_is_that_of_the_registration_in_force_on_the_day() -> None:
    institution = given(founded, registered(), registered(date(2027, 1, 1), None), end(date(2027, 3, 1))).after()

    assert institution.registered_with("SA", date(2026, 12, 31))
    assert institution.registered_with("SA", date(2027, 2, 28))
    assert not institution.registered_with("SA", date(2027, 3, 1))


def test_after_an_end_the_institution_can_register_again() -> None:
    given(founded, registered(), end(date(2026, 6, 1))).when(
        Institution.register_with_body,
        body="SA",
        external_id="REP-9",
        valid_from=date(2026, 6, 1),
        valid_until=None,
        **SAID,
    ).then(Institution.RegisteredWithBody, number=2)


def test_a_registration_recorded_in_error_makes_room_when_it_ends_on_its_first_day() -> None:
    institution = given(
        founded, registered(date(2026, 1, 1), None), end(date(2026, 1, 1)), registered(date(2025, 1, 1), None)
    ).after()

    assert institution.registered_with("SA", date(2025, 1, 1))
    assert institution.registered_with("SA", date(2026, 1, 1))


def test_an_end_may_move_to_an_earlier_day_and_never_to_a_later_one() -> None:
    ended = given(founded, registered(), end(date(2026, 6, 1)), end(date(2026, 5, 1))).after()
    assert not ended.registered_with("SA", date(2026, 5, 1))

    for on in (date(2026, 6, 1), date(2026, 7, 1)):
        given(founded, registered(), end(date(2026, 6, 1))).when(
            Institution.end_registration, body="SA", on=on, reason="moved", **SAID
        ).then_refused(NotRegistered)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"body": "PMI"}, NotRegistered),
        ({"body": "SAA"}, UnknownBody),
        ({"on": date(2025, 12, 31)}, NotRegistered),
        ({"on": date(2027, 1, 1)}, NotRegistered),
        ({"reason": ""}, ReasonMissing),
    ],
)
def test_an_end_without_registration_or_reason_is_refused(change: dict[str, Any], refusal: Any) -> None:
    said = {"body": "SA", "on": date(2026, 6, 1), "reason": "moved"}

    given(founded, registered()).when(Institution.end_registration, **{**said, **change}, **SAID).then_refused(refusal)


def override(policy: Any) -> Any:
    return lambda institution: institution.override_credential(policy=policy, reason="body_told_us", **SAID)


def test_the_institutions_own_rules_come_before_the_catalogue() -> None:
    policy = own(contact_minutes=900)
    scenario = given(founded).when(
        Institution.override_credential, policy=policy, reason="body_told_us", note=NOTE, **SAID
    )

    scenario.then(Institution.CredentialOverridden, policy=policy, reason="body_told_us", note=NOTE)
    policies = scenario.after().policies()
    assert policies == (policy, *CATALOGUE)
    assert policy_on(policies, body="SA", code="CSPO", on=date(2026, 6, 1)).contact_minutes == 900
    assert policy_on(policies, body="SA", code="CSM", on=date(2026, 6, 1)).contact_minutes == 840
    assert policy_on(policies, body="SA", code="CSPO", on=date(2025, 6, 1)).version == "2025-01"


def test_later_rules_come_before_earlier_ones_and_both_stay_readable() -> None:
    first = own("school-1", contact_minutes=900)
    second = own("school-2", contact_minutes=870, valid_from=date(2026, 9, 1))
    policies = given(founded, override(first), override(second)).after().policies()

    assert policy_on(policies, body="SA", code="CSPO", on=date(2026, 8, 31)) == first
    assert policy_on(policies, body="SA", code="CSPO", on=date(2026, 9, 1)) == second
    assert policy_named(policies, body="SA", code="CSPO", version="school-1") == first


def test_a_version_of_the_catalogue_can_not_be_replaced_under_its_own_name() -> None:
    given(founded).when(
        Institution.override_credential, policy=own("2026-01"), reason="body_told_us", **SAID
    ).then_refused(PolicyVersionTaken, "SA/CSPO has rules called 2026-01 already")


def test_a_version_of_its_own_can_not_be_replaced_either() -> None:
    given(founded, override(own("school-1"))).when(
        Institution.override_credential, policy=own("school-1", contact_minutes=870), reason="body_told_us", **SAID
    ).then_refused(PolicyVersionTaken)


def test_a_version_may_have_the_same_name_for_another_credential() -> None:
    given(founded, override(own("school-1"))).when(
        Institution.override_credential, policy=own("school-1", code="CSM"), reason="body_told_us", **SAID
    ).then(Institution.CredentialOverridden)


def test_the_same_rules_again_record_nothing() -> None:
    given(founded, override(own())).when(
        Institution.override_credential, policy=own(), reason="body_told_us", **SAID
    ).then()


def test_an_institution_may_define_a_credential_of_its_own() -> None:
    policy = own(body="OTHER", code="AGILE-PO")
    policies = given(founded, override(policy)).after().policies()

    assert policy_on(policies, body="OTHER", code="AGILE-PO", on=date(2026, 6, 1)) == policy


@pytest.mark.parametrize(
    ("policy", "reason", "refusal"),
    [
        (own(body="SAA"), "body_told_us", UnknownBody),
        (own(contact_minutes=961), "body_told_us", UnsoundPolicy),
        (own(valid_until=date(2025, 12, 31)), "body_told_us", UnsoundPolicy),
        (own(), " ", ReasonMissing),
    ],
)
def test_rules_that_can_not_be_right_are_refused(policy: Any, reason: str, refusal: Any) -> None:
    given(founded).when(Institution.override_credential, policy=policy, reason=reason, **SAID).then_refused(refusal)
