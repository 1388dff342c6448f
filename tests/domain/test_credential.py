"""What a body asks for, found by day and by version."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from domain.credential import (
    CredentialPolicy,
    NoPolicyInForce,
    Source,
    UnknownBody,
    UnknownCredential,
    UnknownPolicyVersion,
    UnsoundPolicy,
    check_policy,
    policy_named,
    policy_on,
)
from domain.refusal import Invalid

OLD = CredentialPolicy(
    body="SAFE",
    code="RTE",
    name="SAFe Release Train Engineer",
    version="2025",
    valid_from=date(2025, 1, 1),
    valid_until=date(2025, 12, 31),
    contact_minutes=1200,
    scheduled_minutes=1440,
    formats=("in_person",),
    max_span_months=None,
    exam="60 questions",
    attendance_rule="marked_by_trainer",
    participation_required=False,
    prerequisite=None,
    validity_months=12,
    renewal_units=10,
    renewal_unit="hour",
    renewal_fee=None,
    student_fee=None,
    licence_required=False,
    submission_profile="safe_roster",
    sources=(
        Source("exam", "The study guide"),
        Source("exam", "A trainer's page"),
        Source("valid_until", "The study guide of 2026"),
    ),
    unconfirmed=("renewal_fee",),
)
NEW = replace(OLD, version="2026", valid_from=date(2026, 1, 1), valid_until=None)
BOTH = (OLD, NEW)


@pytest.mark.parametrize(
    ("day", "version"),
    [
        (date(2025, 1, 1), "2025"),
        (date(2025, 12, 31), "2025"),
        (date(2026, 1, 1), "2026"),
        (date(2040, 2, 29), "2026"),
    ],
)
def test_both_ends_of_a_policys_time_belong_to_it(day: date, version: str) -> None:
    assert policy_on(BOTH, body="SAFE", code="RTE", on=day).version == version


def test_where_two_policies_are_in_force_the_first_one_decides() -> None:
    own = replace(NEW, version="own", valid_from=date(2025, 6, 1), valid_until=date(2026, 1, 31))

    def version(on: date) -> str:
        return policy_on((own, *BOTH), body="SAFE", code="RTE", on=on).version

    assert [version(date(2025, 5, 31)), version(date(2026, 1, 31)), version(date(2026, 2, 1))] == [
        "2025",
        "own",
        "2026",
    ]


def test_a_day_before_all_policies_is_refused_with_what_is_known() -> None:
    with pytest.raises(NoPolicyInForce, match=r"2024-12-31; known are 2025 \(from 2025-01-01 to 2025-12-31\), 2026"):
        policy_on(BOTH, body="SAFE", code="RTE", on=date(2024, 12, 31))


def test_a_credential_is_known_by_body_and_code_together() -> None:
    with pytest.raises(UnknownCredential, match="SA/RTE"):
        policy_on(BOTH, body="SA", code="RTE", on=date(2026, 1, 1))


def test_an_unknown_code_is_answered_with_the_bodys_known_ones() -> None:
    with pytest.raises(UnknownCredential, match="Known of SAFE: RTE") as refused:
        policy_on(BOTH, body="SAFE", code="rte", on=date(2026, 1, 1))
    assert refused.value.field == "code"
    assert isinstance(refused.value, Invalid)


def test_a_generator_of_policies_does_as_well_as_a_list() -> None:
    assert policy_on((each for each in BOTH), body="SAFE", code="RTE", on=date(2026, 1, 1)) == NEW


def test_a_version_that_a_decision_named_is_found_after_it_has_ended() -> None:
    assert policy_named(BOTH, body="SAFE", code="RTE", version="2025") == OLD


def test_a_version_that_never_was_is_refused() -> None:
    with pytest.raises(UnknownPolicyVersion, match="known are 2025, 2026"):
        policy_named(BOTH, body="SAFE", code="RTE", version="2024")


def test_a_policy_tells_what_stands_behind_a_value() -> None:
    assert OLD.references("exam") == ("The study guide", "A trainer's page")
    assert OLD.references("renewal_fee") == ()
    assert OLD.confirmed("exam")
    assert not OLD.confirmed("renewal_fee")
    assert OLD.credential == "SAFE/RTE"


def test_a_sound_policy_passes() -> None:
    check_policy(OLD)
    check_policy(replace(OLD, valid_until=OLD.valid_from, contact_minutes=1440, renewal_units=0))


def test_a_body_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownBody, match="SAFE") as refused:
        check_policy(replace(OLD, body="SAFe"))
    assert refused.value.field == "body"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("code", {"code": ""}),
        ("code", {"code": "rte"}),
        ("code", {"code": "A/B"}),
        ("code", {"code": "A" * 33}),
        ("name", {"name": " "}),
        ("version", {"version": ""}),
        ("version", {"version": "2026 or so"}),
        ("valid_until", {"valid_until": date(2024, 12, 31)}),
        ("contact_minutes", {"contact_minutes": 0}),
        ("contact_minutes", {"contact_minutes": 1441}),
        ("scheduled_minutes", {"scheduled_minutes": -1}),
        ("max_span_months", {"max_span_months": 0}),
        ("validity_months", {"validity_months": 0}),
        ("renewal_units", {"renewal_units": -1}),
        ("renewal_add_on_units", {"renewal_add_on_units": -1}),
        ("renewal_unit", {"renewal_unit": None}),
        ("formats", {"formats": ()}),
        ("formats", {"formats": ("by_post",)}),
        ("formats", {"formats": ("in_person", "in_person")}),
        ("attendance_rule", {"attendance_rule": "most_sessions"}),
        ("submission_profile", {"submission_profile": "fax"}),
        ("sources", {"sources": (Source("colour", "A page"),)}),
        ("sources", {"sources": (Source("exam", " "),)}),
        ("unconfirmed", {"unconfirmed": ("colour",)}),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_at_the_field_to_blame(field: str, change: dict[str, object]) -> None:
    with pytest.raises(UnsoundPolicy) as refused:
        check_policy(replace(OLD, **change))
    assert refused.value.field == field
