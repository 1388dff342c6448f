"""The institution over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from provider.office import Office
from tests.conftest import Caller, Clock

SETTINGS: dict[str, Any] = {
    "zone": "Europe/Berlin",
    "tolerance_minutes": 10,
    "sign_off": [{"act": "amendment", "mode": "solo"}],
    "certificate_prefix": "B-",
    "submission_due_days": 3,
    "holidays": ["2026-12-25"],
    "reason": "moved",
}
REGISTRATION = {"body": "SA", "external_id": "1234", "valid_from": "2026-01-01"}
OVERRIDE: dict[str, Any] = {
    "body": "SA",
    "code": "CSPO",
    "name": "Certified Scrum Product Owner",
    "version": "own-1",
    "valid_from": "2026-01-01",
    "contact_minutes": 900,
    "scheduled_minutes": 960,
    "formats": ["in_person"],
    "attendance_rule": "all_sessions",
    "participation_required": True,
    "licence_required": True,
    "submission_profile": "sa_load",
    "sources": [{"field": "contact_minutes", "reference": "Our own rule of January 2026"}],
    "reason": "stricter",
    "note": "Agreed with all trainers.",
}


def test_it_shows_itself(admin_caller: Caller, office: Office) -> None:
    answer = admin_caller.get("/v1/institution")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["X-Position"] == str(office.log.position())
    assert answer.json["institution"] == str(office.institution)
    assert answer.json["name"] == "Agile Academy Zürich"
    assert answer.json["settings"]["zone"] == "Europe/Zurich"
    assert {each["mode"] for each in answer.json["settings"]["sign_off"]} == {"four_eyes"}
    assert "overrides" not in answer.json


def test_settings_are_replaced_and_the_earlier_ones_stay_readable(admin_caller: Caller, clock: Clock) -> None:
    before = admin_caller.get("/v1/institution").headers["X-Position"]
    answer = admin_caller.post("/v1/institution/settings", SETTINGS, version=1)
    assert (answer.status_code, answer.json["version"], answer.headers["ETag"]) == (200, 2, '"2"')
    now = admin_caller.get("/v1/institution").json
    assert now["settings"] == {name: value for name, value in SETTINGS.items() if name != "reason"}
    then = admin_caller.get(f"/v1/institution?as_of={before}")
    assert (then.json["settings"]["zone"], then.headers["ETag"], then.headers["X-Position"]) == (
        "Europe/Zurich",
        '"1"',
        before,
    )


def test_before_its_founding_it_was_not_there(admin_caller: Caller) -> None:
    assert admin_caller.get("/v1/institution?as_of=0").status_code == 404


def test_a_stale_version_and_a_missing_one_are_refused(admin_caller: Caller) -> None:
    assert admin_caller.post("/v1/institution/rename", {"name": "B"}, version=1).status_code == 200
    stale = admin_caller.post("/v1/institution/rename", {"name": "C"}, version=1)
    assert (stale.status_code, stale.headers["ETag"], stale.json["code"]) == (412, '"2"', "stale")
    missing = admin_caller.post("/v1/institution/rename", {"name": "C"}, version=None)
    assert (missing.status_code, missing.json["code"]) == (428, "precondition_required")
    for said in ("1", 'W/"1"', '"x"', '"1", "2"', '"99999999999999999999"', '"²"'):
        answer = admin_caller.post(
            "/v1/institution/rename", {"name": "C"}, version=None, headers={"If-Match": said.encode().decode("latin-1")}
        )
        assert answer.status_code == 400, said
    assert admin_caller.get("/v1/institution").json["name"] == "B"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"zone": "Europe/Atlantis"}, "#/zone"),
        ({"zone": "localtime"}, "#/zone"),
        ({"zone": "../../etc/passwd"}, "#/zone"),
        ({"zone": "\u0000"}, "#/zone"),
        ({"tolerance_minutes": 241}, "#/tolerance_minutes"),
        ({"tolerance_minutes": "10"}, "#/tolerance_minutes"),
        ({"tolerance_minutes": True}, "#/tolerance_minutes"),
        ({"tolerance_minutes": 1.5}, "#/tolerance_minutes"),
        ({"sign_off": [{"act": "amendment", "mode": "solo"}] * 2}, "#/sign_off"),
        ({"sign_off": [{"act": "theft", "mode": "solo"}]}, "#/sign_off/0/act"),
        ({"sign_off": [{"act": "amendment", "mode": "solo", "at": "2026-05-01T00:00:00Z"}]}, "#/sign_off/0/at"),
        ({"certificate_prefix": "A B"}, "#/certificate_prefix"),
        ({"submission_due_days": -1}, "#/submission_due_days"),
        ({"holidays": ["2026-12-25", "2026-12-25"]}, "#/holidays"),
        ({"holidays": ["2026-02-30"]}, "#/holidays/0"),
        ({"reason": "for no good reason"}, "#/reason"),
        ({"unknown": 1}, "#/unknown"),
    ],
)
def test_wrong_settings_are_refused_with_a_pointer(
    admin_caller: Caller, office: Office, change: dict[str, Any], pointer: str
) -> None:
    before = office.log.position()
    answer = admin_caller.post("/v1/institution/settings", {**SETTINGS, **change})
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json["errors"]] == [pointer]
    assert office.log.position() == before


def test_a_registration_is_recorded_and_ended(admin_caller: Caller) -> None:
    answer = admin_caller.post("/v1/institution/registrations", REGISTRATION, version=1)
    assert (answer.status_code, answer.json["ids"]) == (200, ["1"])
    again = admin_caller.post("/v1/institution/registrations", REGISTRATION)
    assert (again.status_code, again.json["code"]) == (409, "registrations_overlap")
    end = {"body": "SA", "on": "2026-06-01", "reason": "left"}
    assert admin_caller.post("/v1/institution/registrations/end", end, version=2).status_code == 200
    (shown,) = admin_caller.get("/v1/institution").json["registrations"]
    assert shown == {**REGISTRATION, "number": 1, "valid_until": None, "ended": "2026-06-01"}


def test_a_registration_with_nobody_or_without_end_is_refused(admin_caller: Caller) -> None:
    for change, pointer in (
        ({"body": "ACME"}, "#/body"),
        ({"external_id": "  "}, "#/external_id"),
        ({"valid_from": "yesterday"}, "#/valid_from"),
        ({"valid_from": "1926-01-01"}, "#/valid_from"),
        ({"valid_until": "2025-01-01"}, "#/valid_until"),
    ):
        answer = admin_caller.post("/v1/institution/registrations", {**REGISTRATION, **change})
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_its_own_rules_go_before_the_catalogue(admin_caller: Caller) -> None:
    answer = admin_caller.post("/v1/institution/overrides", OVERRIDE, version=1)
    assert answer.status_code == 200
    shown = admin_caller.get("/v1/credentials/SA/CSPO").json
    assert shown["version_in_force"] == "own-1"
    (own,) = [each for each in shown["versions"] if each["origin"] == "institution"]
    assert (own["contact_minutes"], own["in_force"], own["exam"]) == (900, True, None)
    assert own["sources"] == OVERRIDE["sources"]
    assert [each["version"] for each in shown["versions"] if each["in_force"]] == ["own-1"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"version": "2026-01"}, "#/version"),
        ({"code": "not a code"}, "#/code"),
        ({"code": "small"}, "#/code"),
        ({"formats": []}, "#/formats"),
        ({"formats": ["by_pigeon"]}, "#/formats"),
        ({"contact_minutes": 10_000}, "#/contact_minutes"),
        ({"participation_required": 1}, "#/participation_required"),
        ({"sources": [{"field": "colour", "reference": "x"}]}, "#/sources"),
        ({"sources": [{"field": "exam", "reference": "x", "at": None}]}, "#/sources/0/at"),
        ({"attendance_rule": "none"}, "#/attendance_rule"),
        ({"submission_profile": "fax"}, "#/submission_profile"),
        ({"valid_until": "2025-12-31"}, "#/valid_until"),
        ({"unconfirmed": ["colour"]}, "#/unconfirmed"),
    ],
)
def test_wrong_rules_are_refused_with_a_pointer(admin_caller: Caller, change: dict[str, Any], pointer: str) -> None:
    answer = admin_caller.post("/v1/institution/overrides", {**OVERRIDE, **change})
    assert answer.status_code in (409, 422)
    assert [each["pointer"] for each in answer.json["errors"]] == [pointer]


def test_what_happened_may_be_said_later_but_not_ahead(admin_caller: Caller, clock: Clock) -> None:
    assert (
        admin_caller.post("/v1/institution/rename", {"name": "B", "at": "2026-05-01T08:00:00+02:00"}).status_code == 200
    )
    ahead = admin_caller.post("/v1/institution/rename", {"name": "C", "at": "2026-05-05T08:00:00Z"})
    assert (ahead.status_code, ahead.json["code"]) == (422, "future_time")
