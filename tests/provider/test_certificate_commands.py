"""Certificates from a class that completed its course to a number that was revoked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.basis import Aspect, DiscrepancyUnfounded
from domain.certificate import (
    AlreadyCertified,
    Certificate,
    CertificateNotLive,
    NotCompleted,
    RegisterNotSealed,
    RevocationNeedsAnother,
    RevocationNotRequested,
)
from domain.institution import Act as Signed
from domain.institution import Settings
from domain.person import Person
from domain.reason import ReasonMissing
from projections import certificates as view
from projections import discrepancies
from provider.bootstrap import bootstrap
from provider.commands import certificates, completion, courses, enrolments, institution, people, registers
from provider.commands.certificates import (
    InNoRegister,
    NamedTwice,
    NameErased,
    NobodyToCertify,
    NotOfThisCourse,
)
from provider.commands.discrepancies import MovedFurther
from provider.log import KeyReused, NotFound
from provider.office import Office
from provider.settings import Settings as OfficeSettings
from provider.work import Act, Stale
from tests.academy import FIRST, Academy, half_days
from tests.classroom import Classroom
from tests.conftest import Clock
from tests.graduates import ADA, BOB, CY, Graduates, graduated
from tests.idempotency import key_of
from tests.stage import Stage

Acting = Callable[..., Act]


@pytest.fixture
def stage() -> Stage[Graduates]:
    """Ada and Bob completed their course; Cy missed its first session, and did not."""
    return graduated(ADA, BOB, CY, absent=("Cy",))


@pytest.fixture
def graduates(office: Office, act: Acting, clock: Clock, stage: Stage[Graduates]) -> Graduates:
    """Ada and Bob, who completed their course; Cy missed its first session, and did not."""
    return stage.played.at(office, act, clock)


def issue(graduates: Graduates, **said: Any) -> tuple[str, ...]:
    return certificates.issue(graduates.office, graduates.act(), course=graduates.course, **said).ids


def row(office: Office, number: str) -> dict[str, Any]:
    with office.views.reading() as read:
        found = view.certificate(read, number)
    assert found is not None
    return found


def name_on(office: Office, number: str) -> str | None:
    return office.vault.open_one(row(office, number)["certificate_name"])


# Issued


def test_all_who_completed_get_a_certificate_in_one_record(
    office: Office, act: Acting, graduates: Graduates, admin: UUID
) -> None:
    before = office.log.position()
    receipt = certificates.issue(office, act(), course=graduates.course)
    assert receipt.ids == ("2026-000001", "2026-000002")
    assert (receipt.position, receipt.version) == (before + 2, 1)
    assert receipt.id == Certificate.create_id(office.institution, "2026-000001")
    ada, bob = (row(office, number) for number in receipt.ids)
    assert [ada["enrolment"], bob["enrolment"]] == [str(graduates.enrolment("Ada")), str(graduates.enrolment("Bob"))]
    assert ada["issued_by"] == str(admin)
    assert ada["verification_code"] != bob["verification_code"]
    assert {len(each["verification_code"]) for each in (ada, bob)} == {24}


def test_issuing_again_doubles_nothing(office: Office, graduates: Graduates) -> None:
    issue(graduates)
    before = office.log.position()
    with pytest.raises(NobodyToCertify, match="has a certificate"):
        issue(graduates)
    with pytest.raises(AlreadyCertified, match="2026-000001"):
        issue(graduates, enrolments=[graduates.enrolment("Ada")])
    assert office.log.position() == before


def test_who_completes_later_gets_the_next_number(office: Office, graduates: Graduates, person: Any) -> None:
    issue(graduates)
    graduates.room.solo(Signed.COMPLETION_CORRECTION)
    graduates.room.decide("Cy", reason="made_up_elsewhere")
    assert issue(graduates) == ("2026-000003",)
    assert row(office, "2026-000003")["enrolment"] == str(graduates.enrolment("Cy"))


def test_only_those_who_are_named_get_one(office: Office, graduates: Graduates) -> None:
    assert issue(graduates, enrolments=[graduates.enrolment("Bob")]) == ("2026-000001",)
    assert row(office, "2026-000001")["enrolment"] == str(graduates.enrolment("Bob"))
    assert issue(graduates) == ("2026-000002",)


def test_who_did_not_complete_gets_none_and_then_nobody_does(office: Office, graduates: Graduates) -> None:
    before = office.log.position()
    with pytest.raises(NotCompleted):
        issue(graduates, enrolments=[graduates.enrolment("Ada"), graduates.enrolment("Cy")])
    assert office.log.position() == before


def test_an_enrolment_of_another_course_or_named_twice_is_refused(graduates: Graduates) -> None:
    with pytest.raises(NotOfThisCourse) as stranger:
        issue(graduates, enrolments=[uuid4()])
    assert stranger.value.field == "enrolments"
    with pytest.raises(NamedTwice):
        issue(graduates, enrolments=[graduates.enrolment("Ada")] * 2)
    with pytest.raises(NotFound):
        certificates.issue(graduates.office, graduates.act(), course=uuid4())


def test_before_anybody_completed_there_is_nobody_to_certify(office: Office, act: Acting, clock: Clock) -> None:
    undecided = Graduates(office, act, clock, ADA, decided=False)
    with pytest.raises(NobodyToCertify, match="decides on completion first"):
        issue(undecided)
    with pytest.raises(NotCompleted):
        issue(undecided, enrolments=[undecided.enrolment("Ada")])


def test_a_session_added_since_has_to_be_sealed_first(office: Office, act: Acting, graduates: Graduates) -> None:
    later = half_days(FIRST + timedelta(days=3))[0]
    courses.add_session(office, act(), course=graduates.course, session=later, reason="fire_alarm")
    with pytest.raises(RegisterNotSealed, match="session 5"):
        issue(graduates)


def test_a_learner_in_no_register_is_named_and_the_others_can_be_issued(
    office: Office, act: Acting, clock: Clock
) -> None:
    class_ = Graduates(office, act, clock, ADA, decided=False)
    late = enrolments.request(office, act(), course=class_.course, given="Dan", family="Late", override="came_late")
    class_.room.people["Dan"] = UUID(late.ids[0])
    class_.room.attest()
    class_.room.decide_all(except_=[class_.enrolment("Dan")])
    class_.room.decide("Dan", reason="saw_them_myself")
    with pytest.raises(InNoRegister, match=str(class_.enrolment("Dan"))):
        issue(class_)
    assert issue(class_, enrolments=[class_.enrolment("Ada")]) == ("2026-000001",)


def test_the_same_key_answers_the_same_and_another_request_under_it_is_refused(
    office: Office, act: Acting, graduates: Graduates, admin: UUID
) -> None:
    key = key_of(admin, "issue-all-1", b"POST", b"/issue", b"{}")
    first = certificates.issue(office, act(key=key), course=graduates.course)
    after = office.log.position()
    again = certificates.issue(office, act(key=key), course=graduates.course)
    assert (again.ids, again.position, again.replayed) == (first.ids, first.position, True)
    assert office.log.position() == after
    with pytest.raises(KeyReused):
        other = key_of(admin, "issue-all-1", b"POST", b"/issue", b'{"enrolments":[]}')
        certificates.issue(office, act(key=other), course=graduates.course)


# The name on it


def test_the_certificate_name_is_printed_as_given(office: Office, graduates: Graduates) -> None:
    graduates.rename("Ada", "Ada", "Lovelace", certificate_name="Augusta Ada King, Countess of Lovelace")
    issue(graduates)
    assert name_on(office, "2026-000001") == "Augusta Ada King, Countess of Lovelace"
    ada = office.log.get(Person, graduates.person("Ada"))
    assert row(office, "2026-000001")["certificate_name"] == ada.names.certificate_name


def test_without_one_given_and_family_name_are_joined_in_this_order(office: Office, graduates: Graduates) -> None:
    issue(graduates)
    assert name_on(office, "2026-000001") == "Ada Lovelace"
    assert office.vault.open_one(row(office, "2026-000001")["trainer_name"]) == "Lea Trainer"


def test_a_single_name_is_printed_alone_and_its_handle_copied(office: Office, graduates: Graduates) -> None:
    graduates.rename("Ada", None, "Sukarno")
    issue(graduates)
    assert name_on(office, "2026-000001") == "Sukarno"
    ada = office.log.get(Person, graduates.person("Ada"))
    assert row(office, "2026-000001")["certificate_name"] == ada.names.family


def test_a_joined_name_is_under_the_person_s_own_key(office: Office, graduates: Graduates) -> None:
    issue(graduates)
    office.keys.forget(graduates.person("Ada"))
    assert name_on(office, "2026-000001") is None
    assert name_on(office, "2026-000002") == "Bob Ross"


def test_who_was_erased_gets_no_certificate(office: Office, graduates: Graduates) -> None:
    office.keys.forget(graduates.person("Ada"))
    with pytest.raises(NameErased, match=str(graduates.enrolment("Ada"))):
        issue(graduates)
    assert issue(graduates, enrolments=[graduates.enrolment("Bob")]) == ("2026-000001",)


# Numbers


def test_the_year_is_the_institution_s_own(office: Office, graduates: Graduates, clock: Clock) -> None:
    clock.set(datetime(2026, 12, 31, 22, 59, tzinfo=UTC))
    assert issue(graduates, enrolments=[graduates.enrolment("Ada")]) == ("2026-000001",)
    clock.set(datetime(2026, 12, 31, 23, 1, tzinfo=UTC))
    assert issue(graduates) == ("2027-000001",)


def test_a_new_prefix_begins_no_new_numbers(office: Office, act: Acting, graduates: Graduates) -> None:
    issue(graduates, enrolments=[graduates.enrolment("Ada")])
    settings = Settings(**{**vars(Settings.usual(zone="Europe/Zurich")), "certificate_prefix": "AAZ"})
    institution.change_settings(office, act(), settings=settings, reason="branding")
    assert issue(graduates) == ("AAZ-2026-000002",)
    with pytest.raises(NotFound):
        certificates.request_revocation(office, act(), number="2026-000002", reason="misconduct")


class AnotherRoom(Classroom):
    """A class of the same academy, on a course of one session."""

    def __init__(self, academy: Academy, clock: Clock, *names: str) -> None:
        self.office, self.act, self.clock, self.academy = academy.office, academy.act, clock, academy
        self.lead = academy.trainer("Lea")
        self.course = academy.open(self.lead, sessions=half_days(FIRST)[:1], reason="pilot")
        self.people = {name: self.enrol(name) for name in names}
        self.all_present()
        self.seal()
        self.attest()
        self.decide_all()


def test_eight_who_issue_at_once_leave_no_gap_and_double_no_number(
    settings: OfficeSettings, office: Office, act: Acting, clock: Clock
) -> None:
    academy = Academy(office, act)
    rooms = []
    for _ in range(8):
        clock.set(datetime(2026, 5, 4, 6, 0, tzinfo=UTC))
        rooms.append(AnotherRoom(academy, clock, "Ada", "Bob", "Cy"))
    second = bootstrap(settings, clock)  # As another process would have it.
    try:
        with ThreadPoolExecutor(8) as pool:
            issued = list(
                pool.map(
                    lambda n: certificates.issue(second if n % 2 else office, act(), course=rooms[n].course),
                    range(8),
                )
            )
    finally:
        second.close()
    numbers = [number for receipt in issued for number in receipt.ids]
    assert sorted(numbers) == [f"2026-{serial:06}" for serial in range(1, 25)]
    with office.views.reading() as read:
        assert [year["gaps"] for year in view.numbering(read)] == [[]]
    assert office.views.verify() == []


def test_eight_who_issue_for_one_class_at_once_issue_once(office: Office, act: Acting, graduates: Graduates) -> None:
    def ask(_: int) -> tuple[str, ...]:
        try:
            return certificates.issue(office, act(), course=graduates.course).ids
        except NobodyToCertify:
            return ()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert sorted(each for each in answers if each) == [("2026-000001", "2026-000002")]


# Superseded


def test_a_replacement_says_what_is_on_record_now_and_both_change_in_one_record(
    office: Office, act: Acting, graduates: Graduates
) -> None:
    issue(graduates)
    graduates.rename("Ada", "Augusta", "Lovelace")
    before = office.log.position()
    receipt = certificates.supersede(office, act(version=1), number="2026-000001", reason="name", note="By letter.")
    assert (receipt.ids, receipt.version, receipt.position) == (("2026-000003",), 2, before + 2)
    assert (name_on(office, "2026-000001"), name_on(office, "2026-000003")) == ("Ada Lovelace", "Augusta Lovelace")
    old = row(office, "2026-000001")
    assert (old["state"], old["ended_reason"], old["replaced_by"]) == ("superseded", "name", "2026-000003")
    assert office.vault.open_one(old["ended_note"]) == "By letter."


def test_what_was_superseded_or_revoked_is_final(office: Office, act: Acting, graduates: Graduates) -> None:
    issue(graduates)
    certificates.supersede(office, act(), number="2026-000001", reason="layout")
    before = office.log.position()
    with pytest.raises(AlreadyCertified, match="2026-000003"):
        certificates.supersede(office, act(), number="2026-000001", reason="layout")
    with pytest.raises(CertificateNotLive):
        certificates.request_revocation(office, act(), number="2026-000001", reason="misconduct")
    graduates.room.solo(Signed.REVOCATION)
    certificates.revoke(office, act(), number="2026-000002", reason="misconduct")
    with pytest.raises(CertificateNotLive):
        certificates.supersede(office, act(), number="2026-000002", reason="layout")
    assert office.log.position() == before + 2


def test_nothing_is_replaced_by_a_version_that_somebody_else_has_changed(
    office: Office, act: Acting, graduates: Graduates
) -> None:
    issue(graduates)
    certificates.request_revocation(office, act(), number="2026-000001", reason="misconduct")
    with pytest.raises(Stale):
        certificates.supersede(office, act(version=1), number="2026-000001", reason="layout")
    with pytest.raises(ReasonMissing):
        certificates.supersede(office, act(version=2), number="2026-000001", reason="other")
    with pytest.raises(NotFound):
        certificates.supersede(office, act(), number="2026-000009", reason="layout")


def test_who_no_longer_completed_gets_no_replacement(office: Office, act: Acting, graduates: Graduates) -> None:
    issue(graduates)
    graduates.room.solo(Signed.COMPLETION_CORRECTION)
    graduates.room.decide("Ada", completed=False, reason="was_somebody_else")
    with pytest.raises(NotCompleted):
        certificates.supersede(office, act(), number="2026-000001", reason="facts")


# Revoked


def test_it_takes_two_to_revoke(office: Office, act: Acting, graduates: Graduates, person: Any) -> None:
    issue(graduates)
    with pytest.raises(RevocationNotRequested):
        certificates.revoke(office, act(), number="2026-000001", reason="misconduct")
    certificates.request_revocation(office, act(), number="2026-000001", reason="misconduct")
    with pytest.raises(RevocationNeedsAnother):
        certificates.revoke(office, act(), number="2026-000001")
    assert row(office, "2026-000001")["state"] == "issued"
    certificates.revoke(office, act(by=person("Bea", "Boss")), number="2026-000001")
    assert row(office, "2026-000001")["state"] == "revoked"


def test_solo_one_is_enough_and_the_event_says_so(office: Office, act: Acting, graduates: Graduates) -> None:
    issue(graduates)
    graduates.room.solo(Signed.REVOCATION)
    certificates.revoke(office, act(), number="2026-000001", reason="other", note="Ada asked for it.")
    found = row(office, "2026-000001")
    assert (found["state"], found["solo"]) == ("revoked", True)
    assert office.vault.open_one(found["ended_note"]) == "Ada asked for it."


def test_who_was_revoked_gets_another_only_by_name_and_it_says_what_it_replaces(
    office: Office, act: Acting, graduates: Graduates
) -> None:
    issue(graduates)
    graduates.room.solo(Signed.REVOCATION)
    certificates.revoke(office, act(), number="2026-000001", reason="issued_in_error")
    with pytest.raises(NobodyToCertify):
        issue(graduates)
    assert issue(graduates, enrolments=[graduates.enrolment("Ada")]) == ("2026-000003",)
    assert row(office, "2026-000003")["replaces"] == "2026-000001"
    assert row(office, "2026-000001")["replaced_by"] == "2026-000003"


# Discrepancies


def corrected(graduates: Graduates) -> dict[str, Any]:
    """Correct Ada's name, and return the discrepancy of her certificate."""
    graduates.rename("Ada", "Augusta", "Lovelace")
    with graduates.office.views.reading() as read:
        (found,) = discrepancies.open_of(read, Certificate.create_id(graduates.office.institution, "2026-000001"))
    return found


def resolve(graduates: Graduates, found: dict[str, Any], **said: Any) -> Any:
    return certificates.resolve_discrepancy(
        graduates.office,
        graduates.act(),
        number="2026-000001",
        **{
            "stream": UUID(found["stream"]),
            "aspect": Aspect(found["aspect"]),
            "version": found["version"],
            "resolution": "stands",
            "reason": "same_person",
            **said,
        },
    )


def test_a_certificate_may_stand_for_a_reason(office: Office, graduates: Graduates) -> None:
    issue(graduates)
    found = corrected(graduates)
    receipt = resolve(graduates, found, note="She keeps the old one.")
    assert (receipt.version, receipt.outcome) == (2, "stands")
    with office.views.reading() as read:
        settled = discrepancies.discrepancy(read, found["discrepancy"])
        assert discrepancies.open_of(read, found["document"]) == []
    assert settled is not None
    assert (settled["state"], settled["resolution"], settled["ended_reason"]) == ("resolved", "stands", "same_person")
    assert office.vault.open_one(settled["ended_note"]) == "She keeps the old one."


def test_only_what_was_looked_at_is_resolved(office: Office, act: Acting, graduates: Graduates) -> None:
    issue(graduates)
    found = corrected(graduates)
    before = office.log.position()
    for version in (found["version"] + 1, 1, 2**31 - 1):
        with pytest.raises(MovedFurther):
            resolve(graduates, found, version=version)
    for otherwise in ({"stream": uuid4()}, {"aspect": Aspect.REGISTER}, {"aspect": Aspect.BODY_EMAIL}):
        with pytest.raises(DiscrepancyUnfounded):
            resolve(graduates, found, **otherwise)
    assert office.log.position() == before
    people.change_names(office, act(), person=graduates.person("Ada"), given="A.", family="King", reason="marriage")
    with pytest.raises(MovedFurther, match="version 3"):
        resolve(graduates, found)


def test_what_is_over_has_nothing_to_resolve(office: Office, act: Acting, graduates: Graduates) -> None:
    issue(graduates)
    found = corrected(graduates)
    certificates.supersede(office, act(), number="2026-000001", reason="name")
    with pytest.raises(CertificateNotLive):
        resolve(graduates, found)


def test_a_replacement_rests_on_the_record_of_today(office: Office, act: Acting, graduates: Graduates) -> None:
    issue(graduates)
    corrected(graduates)
    certificates.supersede(office, act(), number="2026-000001", reason="name")
    with office.views.reading() as read:
        assert discrepancies.outstanding(read, graduates.course) == []


def test_after_an_amendment_the_lead_decides_anew_and_only_then_a_replacement_is_in_line(
    office: Office, act: Acting, graduates: Graduates
) -> None:
    issue(graduates)
    graduates.room.solo(Signed.AMENDMENT, Signed.COMPLETION_CORRECTION)
    mark = graduates.room.said("Ada", "late", 2, late_minutes=5)
    lead = act(by=graduates.lead)
    registers.request_amendment(office, lead, course=graduates.course, session=2, mark=mark, reason="sign_in_sheet")
    registers.approve_amendment(office, lead, course=graduates.course, session=2, number=1)
    certificates.supersede(office, act(), number="2026-000001", reason="facts")
    with office.views.reading() as read:
        assert discrepancies.outstanding(read, graduates.course) == ["discrepancies_open"]
    completion.decide(
        office,
        act(by=graduates.lead),
        enrolment=graduates.enrolment("Ada"),
        completed=True,
        reason="register_amended",
    )
    certificates.supersede(office, act(), number="2026-000003", reason="facts")
    with office.views.reading() as read:
        assert discrepancies.outstanding(read, graduates.course) == []
