"""The certificate register: what it answers, now, at any moment before, and made anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.basis import Aspect, Basis
from domain.certificate import Certificate, Facts
from domain.institution import Act as Signed
from domain.private import Private
from projections import certificates as view
from provider.commands import certificates
from provider.office import Office
from provider.work import Act
from tests.academy import FIRST, SECOND
from tests.conftest import Clock
from tests.graduates import ADA, BOB, Graduates, graduated
from tests.stage import Stage

Acting = Callable[..., Act]


@pytest.fixture
def stage() -> Stage[Graduates]:
    """Ada and Bob have completed their course."""
    return graduated(ADA, BOB)


@pytest.fixture
def both(office: Office, act: Acting, clock: Clock, stage: Stage[Graduates]) -> Graduates:
    """Ada and Bob, who have certificates 1 and 2."""
    found = stage.played.at(office, act, clock)
    certificates.issue(office, act(), course=found.course)
    return found


def listed(office: Office, **said: Any) -> list[tuple[str, str]]:
    with office.views.reading() as read:
        return [(row["number"], row["state"]) for row in view.listing(read, **said)]


def shown(office: Office, number: str, at: int | None = None) -> dict[str, Any]:
    with office.views.reading() as read:
        found = view.certificate(read, number, at=at)
    assert found is not None
    return found


def test_a_certificate_has_its_frozen_facts_and_what_it_rests_on(office: Office, both: Graduates) -> None:
    row = shown(office, "2026-000001")
    assert row["course"] == str(both.course)
    assert (row["enrolment"], row["person"]) == (str(both.enrolment("Ada")), str(both.person("Ada")))
    assert (row["course_title"], row["body"], row["code"]) == ("CSPO in Zürich", "SA", "CSPO")
    assert (row["first_day"], row["last_day"], row["contact_minutes"]) == ("2026-06-01", "2026-06-02", 840)
    assert (row["trainer"], row["institution_name"], row["place"]) == (str(both.lead), "Agile Academy Zürich", "Zürich")
    assert (row["state"], row["replaces"], row["replaced_by"], row["version"]) == ("issued", None, None, 1)
    by_aspect = [each["aspect"] for each in row["rests_on"]]
    assert by_aspect.count("register") == 4
    assert {"decision", "names", "schedule", "participation"} < set(by_aspect)


def test_the_register_is_listed_by_number_and_filtered(office: Office, both: Graduates) -> None:
    certificates.supersede(office, both.act(), number="2026-000001", reason="layout")
    assert listed(office) == [
        ("2026-000001", "superseded"),
        ("2026-000002", "issued"),
        ("2026-000003", "issued"),
    ]
    assert listed(office, state="superseded") == [("2026-000001", "superseded")]
    assert listed(office, year=2026, after=(2026, 2)) == [("2026-000003", "issued")]
    assert listed(office, year=2025) == listed(office, course=uuid4()) == []
    assert len(listed(office, course=both.course, limit=1)) == 2
    assert listed(office, person=both.lead) == listed(office)
    assert listed(office, person=both.person("Ada")) == []
    assert shown(office, "2026-000001")["replaced_by"] == "2026-000003"
    assert shown(office, "2026-000003")["replaces"] == "2026-000001"


def test_an_earlier_position_shows_the_register_as_it_was(office: Office, both: Graduates) -> None:
    then = office.log.position()
    certificates.supersede(office, both.act(), number="2026-000001", reason="name")
    assert listed(office, at=then) == [("2026-000001", "issued"), ("2026-000002", "issued")]
    before = shown(office, "2026-000001", then)
    assert (before["state"], before["replaced_by"], before["ended_at"]) == ("issued", None, None)


def test_a_revocation_leaves_who_asked_and_who_decided(office: Office, both: Graduates, person: Any) -> None:
    boss = person("Bea", "Boss")
    asked = certificates.request_revocation(
        office, both.act(), number="2026-000002", reason="issued_in_error", note="Bob was at another course."
    )
    waiting = shown(office, "2026-000002")
    assert (waiting["state"], waiting["revocation_reason"]) == ("issued", "issued_in_error")
    certificates.reject_revocation(office, both.act(by=boss), number="2026-000002", reason="no_error")
    assert shown(office, "2026-000002")["revocation_requested_by"] is None
    assert shown(office, "2026-000002", asked.position) == waiting
    certificates.request_revocation(office, both.act(), number="2026-000002", reason="issued_in_error")
    certificates.revoke(office, both.act(by=boss), number="2026-000002")
    row = shown(office, "2026-000002")
    assert (row["state"], row["ended_reason"], row["ended_by"]) == ("revoked", "issued_in_error", str(boss))
    assert (row["solo"], row["version"]) == (False, 5)
    assert row["revocation_requested_by"] is not None


def test_a_request_that_nobody_answered_comes_to_nothing_by_a_replacement(office: Office, both: Graduates) -> None:
    certificates.request_revocation(office, both.act(), number="2026-000001", reason="issued_in_error")
    certificates.supersede(office, both.act(), number="2026-000001", reason="name")
    assert shown(office, "2026-000001")["revocation_requested_by"] is None


def test_numbers_count_by_year_and_a_gap_would_be_seen(office: Office, both: Graduates) -> None:
    both.room.solo(Signed.REVOCATION)
    certificates.revoke(office, both.act(), number="2026-000002", reason="misconduct")
    with office.views.reading() as read:
        assert view.numbering(read) == [
            {"year": 2026, "last_serial": 2, "issued": 1, "superseded": 0, "revoked": 1, "gaps": []}
        ]
        assert (view.last_serial(read, 2026), view.last_serial(read, 2027)) == (2, 0)
    _forge(office, both, serial=5)
    with office.views.reading() as read:
        assert [year["gaps"] for year in view.numbering(read)] == [[3, 4]]
        assert view.last_serial(read, 2026) == 5


def test_the_course_of_a_number_is_found_and_of_no_other(office: Office, both: Graduates) -> None:
    with office.views.reading() as read:
        assert view.course_of(read, "2026-000001") == str(both.course)
        for unknown in ("2026-000009", "1", "AAZ-2026-000001", ""):
            assert view.course_of(read, unknown) is None
            assert view.certificate(read, unknown) is None


def test_the_last_certificate_of_each_enrolment_is_known(office: Office, both: Graduates) -> None:
    certificates.supersede(office, both.act(), number="2026-000001", reason="layout")
    with office.views.reading() as read:
        assert view.of_enrolments(read, both.course) == {
            str(both.enrolment("Ada")): {"number": "2026-000003", "state": "issued"},
            str(both.enrolment("Bob")): {"number": "2026-000002", "state": "issued"},
        }


def test_made_anew_the_register_is_the_same(office: Office, both: Graduates) -> None:
    both.room.solo(Signed.REVOCATION)
    certificates.supersede(office, both.act(), number="2026-000001", reason="layout")
    certificates.revoke(office, both.act(), number="2026-000002", reason="misconduct")
    assert office.views.verify() == []


def _forge(office: Office, both: Graduates, *, serial: int) -> None:
    """Record a certificate under a number that no command would have taken."""
    basis = Basis(UUID(int=7), 1, Aspect.NAMES)
    forged = Certificate.issue(
        institution=office.institution,
        prefix="",
        year=2026,
        serial=serial,
        facts=Facts(
            course=both.course,
            enrolment=UUID(int=8),
            person=both.person("Ada"),
            certificate_name=Private("n" * 43),
            course_title="CSPO",
            body="SA",
            code="CSPO",
            first_day=FIRST,
            last_day=SECOND,
            contact_minutes=840,
            trainer=both.lead,
            trainer_name=None,
            institution_name="Agile Academy Zürich",
            place=None,
        ),
        rests_on=(basis, Basis(UUID(int=8), 1, Aspect.DECISION), Basis(UUID(int=9), 1, Aspect.REGISTER)),
        verification_code="A" * 24,
        template_version="attendance-1",
        completed=True,
        unsealed=(),
        live_number=None,
        by=both.lead,
        at=datetime(2026, 6, 3, tzinfo=UTC),
    )
    office.log.record(forged, asked={"id": "test", "channel": "test"})
    office.views.catch_up()
