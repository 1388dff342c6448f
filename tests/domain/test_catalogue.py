"""The catalogue as it is shipped."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise

import pytest

from domain.catalogue import CATALOGUE
from domain.credential import BODIES, RULES, CredentialPolicy, check_policy, policy_on

TODAY = date(2026, 11, 22)

each_policy = pytest.mark.parametrize("policy", CATALOGUE, ids=lambda p: f"{p.credential}@{p.version}")


def on(credential: str, day: date = TODAY) -> CredentialPolicy:
    body, code = credential.split("/")
    return policy_on(CATALOGUE, body=body, code=code, on=day)


def test_every_row_of_the_paper_is_there() -> None:
    assert {policy.credential for policy in CATALOGUE} == {
        "SA/CSM",
        "SA/CSPO",
        "SA/CSD",
        "SA/A-CSM",
        "SA/A-CSPO",
        "SA/CSP-SM",
        "SA/CSP-PO",
        "SCRUMORG/PSPO-I",
        "PMI/PMI-ACP",
        "SAFE/POPM",
        "SCRUMSTUDY/SPOC",
        "SCRUMINC/RPO",
        "OTHER/CPO",
    }
    assert {policy.body for policy in CATALOGUE} == set(BODIES)


@each_policy
def test_a_shipped_policy_makes_sense(policy: CredentialPolicy) -> None:
    check_policy(policy)


@each_policy
def test_every_value_has_a_source_or_is_marked_unconfirmed(policy: CredentialPolicy) -> None:
    assert [name for name in RULES if not policy.references(name) and policy.confirmed(name)] == []


@each_policy
def test_what_only_others_say_is_marked_unconfirmed(policy: CredentialPolicy) -> None:
    hearsay = [
        name
        for name in RULES
        if policy.references(name) and all("not the body's own" in text for text in policy.references(name))
    ]
    assert [name for name in hearsay if policy.confirmed(name)] == []


@each_policy
def test_nothing_is_named_twice(policy: CredentialPolicy) -> None:
    assert len(set(policy.unconfirmed)) == len(policy.unconfirmed)
    assert len(set(policy.sources)) == len(policy.sources)


@each_policy
def test_a_source_names_a_page_that_can_be_looked_up(policy: CredentialPolicy) -> None:
    page = re.compile(r"\b[a-z0-9-]+\.[a-z]{2,4}\b")
    assert [source for source in policy.sources if not page.search(source.reference)] == []


def test_the_versions_of_a_credential_follow_each_other_without_gap_or_overlap() -> None:
    versions = defaultdict(list)
    for policy in CATALOGUE:
        versions[policy.credential].append(policy)
    for known in versions.values():
        assert len({policy.version for policy in known}) == len(known)
        assert known[-1].valid_until is None
        for earlier, later in pairwise(known):
            assert earlier.valid_until == later.valid_from - timedelta(days=1)


@pytest.mark.parametrize("credential", ["SA/CSPO", "SA/CSM"])
@pytest.mark.parametrize(
    ("day", "version"),
    [
        (date(2020, 5, 15), "2020-05"),
        (date(2024, 10, 9), "2020-05"),
        (date(2024, 10, 10), "2024-10"),
        (date(2025, 1, 1), "2025-01"),
        (TODAY, "2026-01"),
    ],
)
def test_the_rules_for_a_foundational_course_are_those_of_its_day(credential: str, day: date, version: str) -> None:
    assert on(credential, day).version == version


@pytest.mark.parametrize("credential", ["SA/CSPO", "SA/CSM"])
def test_a_foundational_course_takes_two_days_of_which_fourteen_hours_are_contact(credential: str) -> None:
    policy = on(credential)
    assert (policy.contact_minutes, policy.scheduled_minutes) == (840, 960)
    assert not policy.confirmed("contact_minutes")
    assert not policy.confirmed("scheduled_minutes")
    assert policy.formats == ("in_person", "live_online")
    assert policy.max_span_months == 3
    assert policy.attendance_rule == "all_sessions"
    assert policy.participation_required
    assert policy.licence_required
    assert policy.submission_profile == "sa_load"
    assert (policy.validity_months, policy.renewal_units, policy.renewal_unit) == (24, 20, "SEU")
    assert (policy.renewal_add_on_units, policy.renewal_fee) == (10, "USD 100")


def test_a_cspo_has_no_exam_and_that_is_official() -> None:
    policy = on("SA/CSPO")
    assert policy.exam is None
    assert policy.confirmed("exam")
    assert policy.references("exam") != ()


def test_a_csm_has_the_test_of_fifty_questions() -> None:
    policy = on("SA/CSM")
    assert policy.exam is not None
    assert policy.exam.startswith("50 questions in 60 minutes, 37 right")
    assert policy.confirmed("exam")
    assert not on("SA/CSM", date(2021, 1, 1)).confirmed("exam")


def test_the_span_of_three_months_is_not_known_before_the_requirements_of_2024() -> None:
    before = on("SA/CSPO", date(2024, 10, 9))
    assert before.max_span_months is None
    assert not before.confirmed("max_span_months")
    assert on("SA/CSPO", date(2024, 10, 10)).confirmed("max_span_months")


def test_the_fee_per_student_is_not_known() -> None:
    for policy in CATALOGUE:
        assert policy.student_fee is None
        assert not policy.confirmed("student_fee")


def test_the_table_of_renewals_is_confirmed_until_the_terms_of_2026() -> None:
    assert on("SA/CSPO", date(2025, 12, 31)).confirmed("renewal_fee")
    assert not on("SA/CSPO", date(2026, 1, 1)).confirmed("renewal_fee")


@pytest.mark.parametrize(
    ("credential", "units", "add_on", "fee"),
    [
        ("SA/CSD", 20, 10, "USD 100"),
        ("SA/A-CSM", 30, 15, "USD 175"),
        ("SA/A-CSPO", 30, 15, "USD 175"),
        ("SA/CSP-SM", 40, 20, "USD 250"),
        ("SA/CSP-PO", 40, 20, "USD 250"),
    ],
)
def test_renewal_rises_with_the_level(credential: str, units: int, add_on: int, fee: str) -> None:
    policy = on(credential)
    assert (policy.renewal_units, policy.renewal_add_on_units, policy.renewal_fee) == (units, add_on, fee)


def test_only_advanced_and_professional_courses_may_be_partly_self_paced() -> None:
    mixed = {p.code for p in CATALOGUE if p.body == "SA" and "live_online_self_paced" in p.formats}
    assert mixed == {"A-CSM", "A-CSPO", "CSP-SM", "CSP-PO"}


def test_what_the_paper_leaves_unknown_is_none_and_unconfirmed() -> None:
    for credential, name in [
        ("SA/CSD", "contact_minutes"),
        ("SA/CSP-SM", "contact_minutes"),
        ("SA/CSP-PO", "scheduled_minutes"),
        ("SCRUMSTUDY/SPOC", "contact_minutes"),
        ("SCRUMSTUDY/SPOC", "renewal_fee"),
        ("SCRUMINC/RPO", "renewal_fee"),
        ("OTHER/CPO", "validity_months"),
    ]:
        assert getattr(on(credential), name) is None
        assert not on(credential).confirmed(name)


def test_pmi_asked_for_21_hours_before_november_2024_and_for_28_since() -> None:
    assert on("PMI/PMI-ACP", date(2024, 10, 31)).contact_minutes == 21 * 60
    assert on("PMI/PMI-ACP", date(2024, 11, 1)).contact_minutes == 28 * 60
    assert on("PMI/PMI-ACP").submission_profile == "none"


def test_a_safe_roster_goes_by_the_trainers_click_and_the_pass_mark_has_risen() -> None:
    assert on("SAFE/POPM").attendance_rule == "marked_by_trainer"
    assert "73 %" in str(on("SAFE/POPM", date(2022, 1, 1)).exam)
    assert "77 %" in str(on("SAFE/POPM").exam)
    assert not on("SAFE/POPM").confirmed("exam")


def test_pspo_does_not_expire_as_far_as_anybody_says() -> None:
    policy = on("SCRUMORG/PSPO-I")
    assert policy.validity_months is None
    assert policy.references("validity_months") != ()
    assert not policy.confirmed("validity_months")


def test_the_hours_are_open_again_since_the_contact_time_of_2025() -> None:
    assert on("SA/A-CSM", date(2024, 12, 31)).confirmed("scheduled_minutes")
    assert not on("SA/A-CSM", date(2025, 1, 1)).confirmed("scheduled_minutes")
