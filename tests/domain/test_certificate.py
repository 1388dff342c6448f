"""What an attendance certificate allows, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.basis import Aspect, Basis, DiscrepancyUnfounded
from domain.certificate import (
    AlreadyCertified,
    BasisMissing,
    Certificate,
    CertificateNotLive,
    CodeGuessable,
    Facts,
    FactsImpossible,
    NotCompleted,
    NotTheReplacement,
    NumberImpossible,
    RegisterNotSealed,
    RevocationAlreadyRequested,
    RevocationNeedsAnother,
    RevocationNotRequested,
    certificate_number,
)
from domain.private import Private
from domain.reason import ReasonMissing
from domain.refusal import Forbidden, Refused
from tests.scenario import given

INSTITUTION = UUID(int=1)
COURSE = UUID(int=2)
ADA_ON_COURSE = UUID(int=3)
ADA = UUID(int=4)
LEAD = UUID(int=5)
CLERK = UUID(int=6)
BOSS = UUID(int=7)
REGISTER = UUID(int=8)
AT = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
NOTE = Private("n" * 43)
CODE = "Zr6k0Jk1v0aXq2pP9s4w7Q"

FACTS = Facts(
    course=COURSE,
    enrolment=ADA_ON_COURSE,
    person=ADA,
    certificate_name=Private("a" * 43),
    course_title="Certified Scrum Product Owner",
    body="SA",
    code="CSPO",
    first_day=date(2026, 3, 17),
    last_day=date(2026, 3, 18),
    contact_minutes=840,
    trainer=LEAD,
    trainer_name=Private("l" * 43),
    institution_name="Example Training",
    place=None,
)
RESTS_ON = (Basis(ADA_ON_COURSE, 5, Aspect.DECISION), Basis(REGISTER, 9, Aspect.REGISTER), Basis(ADA, 2, Aspect.NAMES))


def issue(**otherwise: Any) -> Certificate:
    said: dict[str, Any] = {
        "institution": INSTITUTION,
        "prefix": "EX",
        "year": 2026,
        "serial": 1,
        "facts": FACTS,
        "rests_on": RESTS_ON,
        "verification_code": CODE,
        "template_version": "attendance-1",
        "completed": True,
        "unsealed": (),
        "live_number": None,
        "by": CLERK,
        "at": AT,
    }
    return Certificate.issue(**(said | otherwise))


def replacement(**otherwise: Any) -> Certificate:
    return issue(**({"serial": 2, "live_number": "EX-2026-000001", "replaces": "EX-2026-000001"} | otherwise))


def request(certificate: Certificate) -> None:
    certificate.request_revocation(reason="misconduct", note=NOTE, by=CLERK, at=AT)


def revoke(certificate: Certificate) -> None:
    certificate.revoke(reason="misconduct", solo_allowed=True, by=CLERK, at=AT)


def supersede(certificate: Certificate) -> None:
    certificate.supersede(replacement=replacement(), reason="name", by=CLERK, at=AT)


def refused(kind: type[Refused], match: str, **otherwise: Any) -> Refused:
    with pytest.raises(kind, match=match) as refusal:
        issue(**otherwise)
    assert type(refusal.value) is kind
    return refusal.value


# Issuing


def test_a_certificate_is_issued_with_its_number_and_frozen_facts():
    certificate = issue()
    (event,) = certificate.pending_events
    assert isinstance(event, Certificate.Issued)
    assert (event.number, event.year, event.serial) == ("EX-2026-000001", 2026, 1)
    assert event.facts == FACTS
    assert event.rests_on == RESTS_ON
    assert event.verification_code == CODE
    assert event.template_version == "attendance-1"
    assert event.replaces is None
    assert (event.by, event.at) == (CLERK, AT)
    assert given(certificate).after().live


def test_it_may_be_issued_on_behalf_of_somebody():
    (event,) = issue(on_behalf_of=LEAD).pending_events
    assert event.on_behalf_of == LEAD


@pytest.mark.parametrize(
    ("prefix", "number"), [("", "2026-000012"), ("EX", "EX-2026-000012"), ("EX-", "EX-2026-000012")]
)
def test_the_prefix_stands_before_the_year(prefix, number):
    assert certificate_number(prefix=prefix, year=2026, serial=12) == number


def test_the_number_decides_the_id():
    assert issue().id == Certificate.create_id(INSTITUTION, "EX-2026-000001")
    assert issue().id != issue(serial=2).id
    assert issue().id != issue(institution=UUID(int=99)).id


def test_a_changed_prefix_does_not_give_a_serial_out_twice():
    assert issue(prefix="NEW").id == issue(prefix="EX").id == issue(prefix="").id
    assert issue(prefix="TWO-WORDS").id == issue().id


def test_nobody_is_certified_without_a_decision():
    refused(NotCompleted, "lead trainer decides", completed=False)


def test_nobody_is_certified_on_open_registers():
    refused(RegisterNotSealed, "session 2, 4", unsealed=(4, 2))


def test_nobody_gets_a_second_live_certificate():
    refused(AlreadyCertified, "EX-2026-000001", serial=2, live_number="EX-2026-000001")


def test_nobody_gets_a_second_live_certificate_by_replacing_an_older_one():
    refused(AlreadyCertified, "EX-2026-000002", serial=3, live_number="EX-2026-000002", replaces="EX-2026-000001")


def test_the_live_certificate_may_be_replaced():
    (event,) = replacement().pending_events
    assert event.replaces == "EX-2026-000001"


def test_a_revoked_certificate_may_be_followed_by_a_new_one():
    (event,) = issue(serial=2, live_number=None, replaces="EX-2026-000001").pending_events
    assert event.replaces == "EX-2026-000001"


def test_no_certificate_replaces_itself():
    refused(NumberImpossible, "itself", live_number="EX-2026-000001", replaces="EX-2026-000001")


@pytest.mark.parametrize("year", [2025, 2027])
def test_the_number_is_of_the_year_of_issue(year):
    assert refused(NumberImpossible, str(year), year=year).field == "year"


@pytest.mark.parametrize("year", [2026, 2027])
def test_on_new_years_eve_it_may_be_next_year_already(year):
    issue(year=year, at=datetime(2026, 12, 31, 15, 0, tzinfo=UTC))


@pytest.mark.parametrize("serial", [0, -1])
def test_serials_begin_with_one(serial):
    assert refused(NumberImpossible, "begin with 1", serial=serial).field == "serial"


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("last_day", date(2026, 3, 16)),
        ("contact_minutes", 0),
        ("course_title", " "),
        ("body", ""),
        ("code", ""),
        ("institution_name", ""),
    ],
)
def test_impossible_facts_are_not_certified(fact, value):
    refusal = refused(FactsImpossible, "certificate|course", facts=replace(FACTS, **{fact: value}))
    assert refusal.field == f"facts/{fact}"


def test_a_course_of_one_day_is_fine():
    issue(facts=replace(FACTS, last_day=FACTS.first_day))


@pytest.mark.parametrize("aspect", [Aspect.DECISION, Aspect.REGISTER, Aspect.NAMES])
def test_the_versions_it_rests_on_must_be_named(aspect):
    rests_on = tuple(basis for basis in RESTS_ON if basis.aspect is not aspect)
    refused(BasisMissing, aspect.value, rests_on=rests_on)


def test_a_verification_code_can_not_be_guessed():
    refused(CodeGuessable, "16 random", verification_code="a" * 15)
    issue(verification_code="a" * 16)


# Superseding


def test_a_certificate_gives_way_to_its_replacement():
    scenario = given(issue).when(
        Certificate.supersede, replacement=replacement(), reason="name", note=NOTE, by=CLERK, at=AT
    )
    scenario.then(Certificate.Superseded, by_number="EX-2026-000002", reason="name", note=NOTE, by=CLERK)
    assert not scenario.after().live


@pytest.mark.parametrize(
    "other",
    [
        lambda: issue(serial=2),
        lambda: replacement(live_number="EX-2026-000009", replaces="EX-2026-000009"),
        lambda: replacement(facts=replace(FACTS, enrolment=UUID(int=77))),
    ],
    ids=["replaces nothing", "replaces another", "another enrolment"],
)
def test_only_its_own_replacement_supersedes_it(other: Callable[[], Certificate]):
    given(issue).when(Certificate.supersede, replacement=other(), reason="name", by=CLERK, at=AT).then_refused(
        NotTheReplacement
    )


# Revoking


def test_one_asks_for_the_revocation_and_another_agrees():
    scenario = given(issue, request).when(Certificate.revoke, solo_allowed=False, by=BOSS, at=AT)
    scenario.then(Certificate.Revoked, reason="misconduct", note=NOTE, requested_by=CLERK, solo=False, by=BOSS)
    assert not scenario.after().live


def test_a_request_alone_leaves_the_certificate_in_force():
    scenario = given(issue).when(Certificate.request_revocation, reason="misconduct", note=NOTE, by=CLERK, at=AT)
    scenario.then(Certificate.RevocationRequested, reason="misconduct", note=NOTE)
    assert scenario.after().live


def test_nobody_agrees_with_themselves():
    given(issue, request).when(Certificate.revoke, solo_allowed=False, by=CLERK, at=AT).then_refused(
        RevocationNeedsAnother, "Somebody else"
    )
    assert issubclass(RevocationNeedsAnother, Forbidden)


def test_four_eyes_begin_with_a_request():
    given(issue).when(Certificate.revoke, reason="misconduct", solo_allowed=False, by=BOSS, at=AT).then_refused(
        RevocationNotRequested
    )


def test_a_solo_institution_may_agree_with_itself_and_the_event_says_so():
    given(issue, request).when(Certificate.revoke, solo_allowed=True, by=CLERK, at=AT).then(
        Certificate.Revoked, solo=True, requested_by=CLERK
    )


def test_a_solo_institution_may_revoke_at_once_and_the_event_says_so():
    given(issue).when(Certificate.revoke, reason="issued_in_error", solo_allowed=True, by=CLERK, at=AT).then(
        Certificate.Revoked, solo=True, requested_by=CLERK, reason="issued_in_error", note=None
    )


def test_where_two_agreed_it_is_not_solo_though_it_might_have_been():
    given(issue, request).when(Certificate.revoke, solo_allowed=True, by=BOSS, at=AT).then(
        Certificate.Revoked, solo=False
    )


def test_who_agrees_may_state_a_better_reason():
    given(issue, request).when(
        Certificate.revoke, reason="completion_corrected", solo_allowed=False, by=BOSS, at=AT
    ).then(Certificate.Revoked, reason="completion_corrected", note=NOTE)


def test_a_revocation_at_once_needs_a_reason():
    given(issue).when(Certificate.revoke, solo_allowed=True, by=CLERK, at=AT).then_refused(ReasonMissing)


def test_a_revocation_is_requested_once():
    given(issue, request).when(Certificate.request_revocation, reason="misconduct", by=BOSS, at=AT).then_refused(
        RevocationAlreadyRequested
    )


def test_a_rejected_request_can_be_made_again():
    scenario = given(issue, request).when(Certificate.reject_revocation, reason="unfounded", by=BOSS, at=AT)
    scenario.then(Certificate.RevocationRejected, reason="unfounded")
    scenario.when(Certificate.revoke, solo_allowed=False, by=BOSS, at=AT)
    assert type(scenario.refusal) is RevocationNotRequested
    request(scenario.after())


def test_only_a_request_can_be_rejected():
    given(issue).when(Certificate.reject_revocation, reason="unfounded", by=BOSS, at=AT).then_refused(
        RevocationNotRequested
    )


# What is over is over


@pytest.mark.parametrize("end", [supersede, revoke])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Certificate.supersede, {"replacement": replacement(), "reason": "name"}),
        (Certificate.request_revocation, {"reason": "misconduct"}),
        (Certificate.revoke, {"reason": "misconduct", "solo_allowed": True}),
        (Certificate.reject_revocation, {"reason": "unfounded"}),
        (
            Certificate.resolve_discrepancy,
            {"stream": ADA, "version": 3, "aspect": Aspect.NAMES, "resolution": "stands", "reason": "spelling"},
        ),
    ],
)
def test_nothing_more_happens_to_a_certificate_that_is_not_live(end, command, said):
    given(issue, end).when(command, **said, by=BOSS, at=AT).then_refused(CertificateNotLive, "final")


# Discrepancies


def resolve(version: int, **otherwise: Any) -> dict[str, Any]:
    return {
        "stream": ADA,
        "version": version,
        "aspect": Aspect.NAMES,
        "resolution": "stands",
        "reason": "spelling_only",
        "by": CLERK,
        "at": AT,
    } | otherwise


def test_a_certificate_may_stay_though_its_basis_moved():
    given(issue).when(Certificate.resolve_discrepancy, **resolve(3, note=NOTE)).then(
        Certificate.DiscrepancyResolved,
        stream=ADA,
        version=3,
        aspect=Aspect.NAMES,
        resolution="stands",
        reason="spelling_only",
        note=NOTE,
    )


@pytest.mark.parametrize("version", [1, 2])
def test_what_it_rests_on_already_is_no_discrepancy(version):
    given(issue).when(Certificate.resolve_discrepancy, **resolve(version)).then_refused(
        DiscrepancyUnfounded, "version 2"
    )


@pytest.mark.parametrize("otherwise", [{"stream": COURSE}, {"aspect": Aspect.BODY_EMAIL}], ids=["stream", "aspect"])
def test_what_it_never_rested_on_is_no_discrepancy(otherwise):
    given(issue).when(Certificate.resolve_discrepancy, **resolve(3, **otherwise)).then_refused(
        DiscrepancyUnfounded, "doesn't rest on"
    )


def test_a_resolved_discrepancy_is_not_resolved_twice_but_a_later_one_is():
    def settled(certificate: Certificate) -> None:
        certificate.resolve_discrepancy(**resolve(3))

    given(issue, settled).when(Certificate.resolve_discrepancy, **resolve(3)).then_refused(DiscrepancyUnfounded)
    given(issue, settled).when(Certificate.resolve_discrepancy, **resolve(4)).then(
        Certificate.DiscrepancyResolved, version=4
    )


# Reasons


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Certificate.supersede, {"replacement": replacement()}),
        (Certificate.request_revocation, {}),
        (Certificate.revoke, {"solo_allowed": True}),
        (Certificate.resolve_discrepancy, resolve(3)),
    ],
)
def test_nothing_is_done_to_a_certificate_without_a_reason(command, said):
    for reason in ("", "  ", "other"):
        given(issue).when(command, **(said | {"reason": reason, "by": BOSS, "at": AT})).then_refused(ReasonMissing)
    given(issue).when(command, **(said | {"reason": "other", "note": NOTE, "by": BOSS, "at": AT})).then_answers(None)


def test_a_resolution_says_something():
    given(issue).when(Certificate.resolve_discrepancy, **resolve(3, resolution="")).then_refused(
        ReasonMissing, "resolution"
    )


def test_a_request_is_not_rejected_without_a_reason():
    given(issue, request).when(Certificate.reject_revocation, reason="", by=BOSS, at=AT).then_refused(ReasonMissing)
