"""Whatever a client sends, each route answers as the OpenAPI document says, and never with a fault of ours.

Requests are made of the document, sound and unsound ones, against an office in which a course was taught. Where an id
or a date is asked for, it is mostly one that makes sense there, so that a good part of the requests is carried out.
Deterministic: the same routes get the same requests each time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.document import document
from domain.access import Role
from provider.bootstrap import bootstrap
from provider.commands import access, certificates, enrolments, institution
from provider.settings import Settings
from provider.work import Act
from tests.academy import half_days
from tests.conftest import Clock, app_of
from tests.graduates import ADA, BOB, CY, Graduates

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 8
"""Requests for each operation; a third of them unsound."""

MOSTLY = st.sampled_from([True, True, True, False])

SENSIBLE: dict[str, list[Any]] = {
    "after": [1],
    "as_of": ["1", "30", "2026-05-04T09:00:00Z"],
    "at": ["2026-06-02T12:00:00Z"],
    "authorisation": [1],
    "amendment": [1],
    "body": ["SA"],
    "capacity": [{"limit": 12}, {"unlimited": True}],
    "certificate_name": ["Grace Hopper"],
    "code": ["CSPO"],
    "contact_minutes": [195],
    "credit": [1],
    "currency": ["USD"],
    "day": ["2026-06-08", "2026-06-09"],
    "email": ["grace@example.org", "alan@example.org"],
    "end": ["12:30"],
    "end_fold": [None],
    "ended": ["2026-06-01T10:30:00Z"],
    "family": ["Hopper"],
    "first_day": ["2026-06-15"],
    "fold": [None],
    "format": ["in_person"],
    "given": ["Grace"],
    "kind": ["enrolment", "person.registered"],
    "late_minutes": [0, 10],
    "left_early_minutes": [0],
    "line": [1, 2],
    "lines": [[1], [1, 2]],
    "marked_at": ["2026-06-01T07:05:00Z"],
    "minutes": [30],
    "names_version": [1],
    "number": [1],
    "on": ["2026-06-02"],
    "part": [1],
    "reason": ["other", "illness"],
    "sent_at": ["2026-06-01T07:06:00Z"],
    "session": [1, 2, 3, 4],
    "signed_in": ["2026-06-01T07:00:00Z"],
    "signed_out": ["2026-06-01T10:30:00Z"],
    "slug": ["stale"],
    "source": ["body_page", "registrar"],
    "start": ["09:00"],
    "started": ["2026-06-01T07:00:00Z"],
    "valid_from": ["2026-01-01"],
    "valid_until": ["2026-12-31", None],
    "zone": ["Europe/Zurich"],
}
"""What is mostly said where a member or an argument has this name."""


def labels() -> list[str]:
    """Return all operations of the document, without an office behind it."""
    schema = schemathesis.openapi.from_dict(document(app_of(None)))
    return [found.ok().label for found in schema.get_all_operations()]


@dataclass
class Lab:
    """An office as it lies on the disk, an app, a token that may do anything, and ids that are there.

    `addresses` are those that mean something else in an address than in a body.
    """

    data: Path
    clock: Clock
    app: Flask
    extensions: dict[str, Any]
    token: str
    known: dict[str, list[Any]]
    addresses: dict[str, list[Any]]
    operations: dict[str, Any]

    @contextmanager
    def opened(self, copy: Path) -> Iterator[None]:
        """Serve a copy of the office, so that no operation meets what another one left."""
        shutil.copytree(self.data, copy, symlinks=True)
        office = bootstrap(Settings.read({"PROVIDER_DATA": str(copy)}), self.clock)
        # Whatever the app keeps beside the office is of that office.
        self.app.extensions = {**self.extensions, "office": office}
        try:
            yield
        finally:
            office.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    clock = Clock()
    data = tmp_path_factory.mktemp("lab")
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}), clock)
    founded, _ = institution.found(
        office, name="Academy", zone="Europe/Zurich", given="Ada", family="Admin", email="ada@academy.example"
    )
    admin = UUID(founded.ids[0])

    def act(**said: Any) -> Act:
        said = {"by": admin, "now": clock(), "at": clock(), **said}
        return Act(channel="test", request=uuid4().hex, **said)

    class_ = Graduates(office, act, clock, ADA, BOB, CY)
    room, academy = class_.room, class_.room.academy
    everything = (Role.REGISTRAR, Role.TRAINER, Role.ADMIN)
    for role in everything:
        access.grant(office, act(), person=room.lead, role=role)
    _, token = access.issue_token(office, act(), person=room.lead, roles=everything, label="everything")
    tina = academy.trainer("Tina")
    access.grant(office, act(), person=tina, role=Role.TRAINER)
    other, _ = access.issue_token(office, act(), person=tina, roles=(Role.TRAINER,), label="hers")
    upcoming = academy.open(tina, seats=2, sessions=half_days(date(2026, 6, 15), date(2026, 6, 16)))
    scheduled = academy.scheduled(half_days(date(2026, 6, 22), date(2026, 6, 23)))
    enrolled = [
        enrolments.request(office, act(), course=upcoming, given=name, family="Learner").id
        for name in ("Di", "Ed", "Flo")
    ]
    certificates.issue(office, act(), course=room.course)
    certificates.request_revocation(office, act(), number="2026-000002", reason="wrong_person")
    class_.draft()
    class_.send(room.lead)
    class_.rename("Ada", "Ada", "King")
    clock.move(hours=1)
    app = app_of(office)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    extensions = dict(app.extensions)
    discrepancy = app.test_client().get("/v1/discrepancies", headers={"Authorization": f"Bearer {token}"}).json[0]
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    known: dict[str, list[Any]] = {
        **SENSIBLE,
        "course": [str(each) for each in (room.course, upcoming, scheduled, academy.draft())],
        "discrepancy": [discrepancy["discrepancy"]],
        "enrolment": [str(each) for each in (*enrolled, *map(room.enrolment, room.people))],
        "new": [str(academy.trainer("Barbara"))],
        "person": [str(each) for each in (*room.people.values(), academy.trainer("Niklaus"), tina)],
        "position": [1, office.log.position()],
        "submission": [str(class_.submission)],
        "token": [other.ids[-1] if other.ids else str(other.id)],
        "trainer": [str(room.lead), str(tina)],
    }
    office.close()
    addresses = {"number": ["2026-000001", "2026-000002"]}
    operations = {found.ok().label: found.ok() for found in schema.get_all_operations()}
    return Lab(data, clock, app, extensions, token, known, addresses, operations)


def sensible(said: Any, known: dict[str, list[Any]], data: st.DataObject) -> Any:
    """Return what is sent with what makes sense where that is known, and without signs that nobody types."""
    if isinstance(said, dict):
        return {
            name: data.draw(st.sampled_from(known[name])) if name in known else sensible(inner, known, data)
            for name, inner in said.items()
        }
    if isinstance(said, list):
        return [sensible(inner, known, data) for inner in said]
    if isinstance(said, str) and not said.isprintable():
        return "".join(sign for sign in said if sign.isprintable()) or "x"
    return said


@pytest.mark.parametrize("label", labels())
def test_every_operation_answers_as_the_document_says(lab: Lab, label: str, tmp_path: Path) -> None:
    operation = lab.operations[label]
    sound = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    cases = st.one_of(sound, sound, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=cases, data=st.data())
    def check(case: Case, data: st.DataObject) -> None:
        headers = {"Authorization": f"Bearer {lab.token}"}
        if data.draw(MOSTLY):
            case.path_parameters = sensible(case.path_parameters, lab.known | lab.addresses, data)
            case.query = sensible(case.query, lab.known, data)
            case.body = sensible(case.body, lab.known, data)
            headers |= {"If-Match": "*", "Idempotency-Key": uuid4().hex}
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS, headers=headers)

    with lab.opened(tmp_path / "data"):
        check()
