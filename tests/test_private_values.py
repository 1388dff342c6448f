"""Nothing that says who somebody is lies anywhere but in the vault, where it is sealed."""

from __future__ import annotations

import dataclasses
import json
import logging
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

import domain
from domain.access import Role
from domain.aggregate import Aggregate
from domain.private import Private
from domain.submission import Outcome, Rejection
from provider.commands import access
from provider.commands.submissions import SaidOutcome
from provider.log_lines import JsonLines
from provider.office import Office
from provider.settings import Settings
from provider.views import place_of_views
from provider.work import Act
from tests.academy import half_days
from tests.backups import back_up_now
from tests.conftest import Caller, Clock, app_of
from tests.graduates import Graduates
from tests.postgres import looked_up
from tests.stores import file_of

LEARNERS = [
    ("Wilhelmina", "Quackenbush", "wilhelmina.quackenbush@privacy.example"),
    ("Zbigniew", "Przybyszewski", "zbigniew.p@privacy.example"),
    ("Þórbjörg", "Æðalsteinsdóttir", "thorbjorg@privacy.example"),
    ("Перпетуя", "Заморская", "perpetua@privacy.example"),
]
SHOP = [("Ludmilla", "Vandersnoot", "ludmilla.v@privacy.example"), ("Xanthippe", "Grumbledore", "xan@privacy.example")]
OTHERS = [
    *("+41 79 555 01 23", "Wilhelmina von Quackenbush-Löwenzahn", "WILHELMINA-LATIN", "QUACKENBUSH-LATIN"),
    *("body.mail@privacy.example", "She fell off her bicycle on the Limmatquai", "His grandmother was unwell"),
    *("Quackenbush told us by telephone", "Sneezed through the whole afternoon", "Member-4711-Quackenbush"),
    *("Spelt with two n, says Przybyszewski", "Ursula's old laptop", "Grumpf & Söhne Fensterbau"),
    *("Wrong-Typed-Name", "not.an.address.of.quackenbush", "Quackenbushova"),
]
VALUES = [*(value for learner in (*LEARNERS, *SHOP) for value in learner), *OTHERS]

Said = list[tuple[str, bytes]]
"""What was answered to each refused request."""


def written(value: str) -> set[bytes]:
    """Return how a value would lie in a file: as text of any usual encoding, or in JSON with its signs escaped."""
    forms = {value, value.casefold(), value.upper(), json.dumps(value)[1:-1]}
    encodings = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
    return {form.encode(encoding) for form in forms for encoding in encodings}


def found_in(content: bytes) -> list[str]:
    return [value for value in VALUES if any(form in content for form in written(value))]


class Busy:
    """An office in which everything that takes a private value was told one, over HTTP where there is a route."""

    def __init__(self, office: Office, act: Callable[..., Act], clock: Clock) -> None:
        self.office = office
        self.act = act
        self.clock = clock
        self.refused: Said = []
        self.class_ = Graduates(office, act, clock, *LEARNERS, decided=False)
        lead = self.class_.lead
        everything = (Role.REGISTRAR, Role.TRAINER, Role.ADMIN)
        for role in everything:
            access.grant(office, act(), person=lead, role=role)
        issued, token = access.issue_token(office, act(), person=lead, roles=everything, label="Ursula's old laptop")
        app = app_of(office)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        self.token = issued.ids[0]
        self.caller = Caller(app.test_client(), token)
        self.imported()
        self.told()
        self.submitted()
        self.mistaken()

    def post(self, path: str, body: Any, **said: Any) -> Any:
        answer = self.caller.post(path, body, **said)
        assert answer.status_code < 300, (path, answer.json)
        return answer.json

    def imported(self) -> None:
        """Stage two attendee files, of which one is confirmed."""
        header = "Order #,Order Date,First Name,Last Name,Email,Quantity,Ticket Type,Attendee #,Attendee Status,Company"
        course = self.class_.room.academy.open(self.class_.room.academy.trainer("Tina"), sessions=_later())
        for learner in SHOP:
            number = 900 + SHOP.index(learner)
            row = f"4711,2026-01-13 09:00:00,{','.join(learner)},1,CSPO,{number},Attending,{OTHERS[12]}"
            answer = self.caller.client.post(
                f"/v1/courses/{course}/imports",
                data=f"{header}\r\n{row}\r\n".encode(),
                headers={"Authorization": f"Bearer {self.caller.token}", "Content-Type": "text/csv"},
            )
            assert answer.status_code == 201, answer.json
            assert answer.json["rows"] or answer.json["counts"]
            if learner is SHOP[0]:
                self.post(f"{answer.headers['Location']}/confirm", {"plan": answer.json["plan"]})

    def told(self) -> None:
        """Tell what there is to tell of people, with notes wherever there may be one."""
        first, second = (self.class_.person(learner[0]) for learner in LEARNERS[:2])
        names = {"given": LEARNERS[0][0], "family": LEARNERS[0][1], "certificate_name": OTHERS[1]}
        latin = {"latin_given": OTHERS[2], "latin_family": OTHERS[3]}
        why = {"reason": "typing_error", "note": OTHERS[10]}
        self.post(f"/v1/people/{first}/name-corrections", {**names, **latin, **why})
        self.post(f"/v1/people/{first}/contact", {"email": LEARNERS[0][2], "phone": OTHERS[0]})
        said = {"body": "SA", "email": OTHERS[4], "source": "person"}
        self.post(f"/v1/people/{first}/body-email", said)
        enrolment = self.class_.enrolment(LEARNERS[3][0])
        said = {"attested": False, "reason": "absent_minded", "note": OTHERS[8]}
        self.post(f"/v1/enrolments/{enrolment}/participation", said)
        self.post(f"/v1/enrolments/{enrolment}/completion", {"completed": False, "reason": "lead", "note": OTHERS[8]})
        self.post(f"/v1/courses/{self.class_.course}/completion/decide-as-proposed", {})
        self.post(f"/v1/courses/{self.class_.course}/certificates/issue", {})
        said = {"reason": "illness", "note": OTHERS[6]}
        self.post("/v1/certificates/2026-000001/request-revocation", {"reason": "wrong_person", "note": OTHERS[7]})
        self.post("/v1/certificates/2026-000001/reject-revocation", said)
        mark = {
            "mark": str(uuid4()),
            "person": str(second),
            "status": "absent",
            "marked_at": "2026-06-01T07:05:00Z",
        }
        path = f"/v1/courses/{self.class_.course}/sessions/1/register/amendments"
        self.post(path, {"mark": mark, "reason": "mistaken", "note": OTHERS[5]})
        self.post(f"{path}/1/reject", said)

    def submitted(self) -> None:
        """Bring the learners' names to the body, and hear of them again."""
        self.class_.draft()
        self.class_.do("exclude_line", line=2, reason="no_contact", note=OTHERS[6])
        self.class_.send(self.class_.lead)
        outcome = SaidOutcome(1, Outcome.REJECTED, Rejection.OTHER, OTHERS[7])
        self.class_.do("record_outcomes", outcomes=[outcome], source="body_page")

    def mistaken(self) -> None:
        """Say private things where they are refused, or where nobody asked for them."""
        person = self.class_.person(LEARNERS[0][0])
        wrong = {"given": OTHERS[13], "family": "Quackenbushova\u0000", "email": OTHERS[14], "nickname": OTHERS[13]}
        whole = {"given": LEARNERS[0][0], "family": LEARNERS[0][1]}
        asked: list[tuple[str, str, Any]] = [
            ("POST", "/v1/people", wrong),
            ("POST", f"/v1/people/{person}/name-corrections", {**whole, "reason": OTHERS[5], "note": OTHERS[5]}),
            ("POST", f"/v1/people/{person}/contact", {"email": OTHERS[14], "phone": "\u202e" + OTHERS[0]}),
            ("POST", f"/v1/enrolments/{uuid4()}/withdraw", {"reason": "illness", "note": OTHERS[6]}),
            ("POST", f"/v1/courses/{self.class_.course}/cancel", {"reason": OTHERS[6]}),
            ("POST", f"/v1/courses/{self.class_.course}/enrolments", {**whole, "person": str(person)}),
            ("POST", "/v1/people", OTHERS[13]),
            ("POST", "/v1/people", [*OTHERS]),
            ("GET", f"/v1/people?q={OTHERS[14]}", None),
            ("GET", f"/v1/courses?cursor={OTHERS[13]}", None),
            ("GET", f"/v1/courses?as_of={OTHERS[13]}", None),
            ("GET", f"/v1/people/{OTHERS[13]}", None),
            ("PUT", f"/v1/people/{OTHERS[13]}", None),
        ]
        for method, path, body in asked:
            headers = {
                "Authorization": f"Bearer {self.caller.token}",
                "If-Match": "*",
                "Idempotency-Key": uuid4().hex,
            }
            answer = self.caller.client.open(path, method=method, json=body, headers=headers)
            assert answer.status_code >= 400, (path, answer.json)
            self.refused.append((path, answer.get_data()))
        broken = json.dumps({"given": OTHERS[13]}).encode()[:-3]
        answer = self.caller.client.post(
            "/v1/people", data=broken, headers={**headers, "Content-Type": "application/json"}
        )
        assert answer.status_code == 400
        self.refused.append(("broken", answer.get_data()))


def _later() -> Any:
    return half_days(date(2026, 6, 15), date(2026, 6, 16))


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def busy(records: pytest.LogCaptureFixture, office: Office, act: Callable[..., Act], clock: Clock) -> Busy:
    return Busy(office, act, clock)


def stored(office: Office) -> dict[Path, bytes]:
    """Return what lies in all files of the office; it is closed, for a reader would disturb its locks."""
    office.close()
    places = {office.settings.data, office.settings.keys_dir}
    found = {file: file.read_bytes() for place in places for file in place.rglob("*") if file.is_file()}
    if (url := office.settings.database_url) is not None:
        with psycopg.connect(url) as connection:
            tables = connection.execute(
                "SELECT table_schema, table_name FROM information_schema.tables "
                "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for schema, table in tables:
                with connection.cursor().copy(f'COPY "{schema}"."{table}" TO STDOUT (FORMAT binary)') as rows:
                    found[Path("postgresql", schema, table)] = b"".join(map(bytes, rows))
    return found


def test_no_private_value_lies_in_any_file(busy: Busy, settings: Settings, tmp_path: Path) -> None:
    vault = busy.office.vault
    person = busy.class_.person(LEARNERS[0][0])
    # All of it is there to be read by whom it concerns, ...
    shown = busy.caller.get(f"/v1/people/{person}").json
    assert (shown["given"], shown["family"], shown["phone"]) == (*LEARNERS[0][:2], OTHERS[0])
    held = set(vault.open(handles(busy.office)).values())
    assert {value for learner in LEARNERS for value in learner} <= held
    assert set(SHOP[0]) <= held
    assert {*OTHERS[:12]} - {OTHERS[9]} <= held
    # ... and in no file as it is.
    backup = back_up_now(settings, tmp_path)
    copies = {each: each.read_bytes() for directory in (backup.data, backup.keys) for each in directory.iterdir()}
    files = {**stored(busy.office), **copies}
    stores = ("events", "views", "vault", "desk") if settings.database_url is None else ()
    assert {file.name for file in files} >= {file_of(settings, name).name for name in ("keys", *stores)}
    if settings.database_url is not None:
        assert {file.parts[1] for file in files if file.parts[0] == "postgresql"} == {
            "events",
            place_of_views(settings).name,
            "vault",
            "desk",
        }
    assert {str(file): found for file, content in files.items() if (found := found_in(content))} == {}
    # Were one of them in clear, this test would see it.
    beside = tmp_path / "data" / "stray"
    beside.write_bytes(b"\0" + LEARNERS[0][1].encode("utf-16-le"))
    assert found_in(beside.read_bytes()) == [LEARNERS[0][1]]


def handles(office: Office) -> Iterator[Private]:
    """Give every handle that the log holds."""

    def inside(said: Any) -> Iterator[Private]:
        if isinstance(said, Private):
            yield said
        elif isinstance(said, tuple):
            for each in said:
                yield from inside(each)
        elif dataclasses.is_dataclass(said):
            yield from inside(tuple(vars(said).values()))

    for _, stream, version, topic, state in office.log.entries.page(0, 100_000):
        event, _ = office.log.mapper.read(stream, version, topic, state)
        yield from inside(event)


def test_no_answer_that_refuses_repeats_what_was_said(busy: Busy) -> None:
    assert len(busy.refused) > 10
    assert {path: found for path, answer in busy.refused if (found := found_in(answer))} == {}


def test_no_private_value_is_logged_nor_a_token(busy: Busy, records: pytest.LogCaptureFixture) -> None:
    lines = JsonLines()
    logged = "\n".join(lines.format(record) for record in records.records) + records.text
    assert found_in(logged.encode()) == []
    assert busy.caller.token is not None
    assert busy.caller.token not in logged
    assert busy.token not in logged


def test_a_store_that_fails_is_told_without_what_was_sent(
    busy: Busy, records: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    # The vault is gone in the middle of the day.
    looked_up(busy.office.settings, "vault", "ALTER TABLE private_values RENAME TO elsewhere")
    answer = busy.caller.post("/v1/people", {"given": OTHERS[13], "family": "Quackenbush", "email": LEARNERS[0][2]})
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert found_in(answer.get_data()) == []
    lines = JsonLines()
    logged = [lines.format(record) for record in records.records]
    assert any(answer.json["request_id"] in line for line in logged)
    assert found_in("\n".join(logged).encode()) == []
    # Where it happened stands there all the same.
    assert "provider/commands/people.py" in "".join(logged)


# What may stand in an event in clear.

CODES = {"reason", "resolution", "override", "source", "body", "code", "profile", "currency", "format", "warnings"}
NOT_ABOUT_ANYBODY: dict[str, set[str]] = {
    "access.token_issued": {"digest"},
    "certificate.issued": {
        *("number", "facts.course_title", "facts.body", "facts.code", "facts.institution_name", "facts.place"),
        *("verification_code", "template_version", "replaces"),
    },
    "certificate.superseded": {"by_number"},
    "course.closed": {"waived"},
    "course.drafted": {"title", "policy_version", "lo_edition", "language"},
    "course.listed_with_body": {"external_id", "address"},
    "course.rescheduled": {"sessions.zone", "sessions.place", "policy_version"},
    "course.scheduled": {"sessions.zone", "sessions.place", "policy_version"},
    "course.session_added": {"session.zone", "session.place"},
    "enrolment.completion_decided": {
        *("because.clauses.name", "because.clauses.detail", "because.half_days.status", "because.policy_version"),
    },
    # References to evidence, which are asked for without names.
    "enrolment.make_up_credited": {"evidence"},
    "enrolment.prerequisite_declared": {"evidence"},
    "person.name_changed": {"evidence"},
    "register.amendment_requested": {"evidence"},
    "register.mark_set_aside": {"evidence"},
    "register.marked": {"evidence"},
    "trainer.authorised": {"evidence"},
    # The shop's keys of an order, which are numbers.
    "enrolment.requested": {"order_reference"},
    "enrolment.requested_again": {"order_reference"},
    "institution.credential_overridden": {
        *("policy.body", "policy.code", "policy.name", "policy.version", "policy.formats", "policy.exam"),
        *("policy.attendance_rule", "policy.prerequisite", "policy.renewal_unit", "policy.renewal_fee"),
        *("policy.student_fee", "policy.submission_profile", "policy.sources.field", "policy.sources.reference"),
        "policy.unconfirmed",
    },
    "institution.founded": {"name", "settings.zone", "settings.certificate_prefix"},
    "institution.registered_with_body": {"external_id"},
    "institution.renamed": {"name"},
    "institution.settings_changed": {"settings.zone", "settings.certificate_prefix"},
    # The sentence that the lead signs; the form says that it is not private.
    "register.sealed": {"attestation"},
    "submission.exported": {"template", "encoding"},
    "submission.line_withdrawn": {"case"},
    "submission.observed": {"agreement_version"},
    "submission.paid": {"receipt"},
    "submission.sent": {"reference"},
    "submission.validated": {"template", "problems.field"},
    "trainer.booked": {"zone"},
}
"""Every text in an event that is neither a handle, nor one of a closed set of codes, nor named in `CODES`.

Who adds one decides here whether it can ever hold a name, an e-mail, or what somebody says about somebody.
"""


def event_classes() -> list[Any]:
    for module in pkgutil.iter_modules(domain.__path__):
        import_module(f"domain.{module.name}")
    found: list[Any] = []

    def walk(kind: Any) -> None:
        for inner in kind.__subclasses__():
            if inner.__module__.startswith("domain.") and "TOPIC" in vars(inner):
                found.append(inner)
            walk(inner)

    walk(Aggregate.Event)
    return list(dict.fromkeys(found))


def texts(hint: Any, path: str) -> Iterator[str]:
    """Give the paths under which there is text within a field of this type."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType, tuple):
        for inner in typing.get_args(hint):
            yield from texts(inner, path)
    elif hint is str:
        yield path
    elif isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, tuple)):
        for name, inner in typing.get_type_hints(hint).items():
            yield from texts(inner, f"{path}.{name}")
    else:
        closed = (Enum, Private, UUID, date, Decimal, int, type(None))
        assert hint is Ellipsis or (isinstance(hint, type) and issubclass(hint, closed)), (path, hint)


def test_every_text_in_an_event_was_decided_to_stand_there_in_clear() -> None:
    said: dict[str, set[str]] = {}
    for event in event_classes():
        hints = typing.get_type_hints(event)
        fields = {name for name in hints if name != "TOPIC" and not name.startswith("originator_")}
        found = {path for name in fields for path in texts(hints[name], name)} - CODES
        if found:
            said[event.TOPIC] = found
    assert said == NOT_ABOUT_ANYBODY


def test_every_note_name_and_address_in_an_event_is_a_handle() -> None:
    handles = 0
    for event in event_classes():
        for name, hint in typing.get_type_hints(event).items():
            if name in (
                "note",
                "email",
                "phone",
                "given",
                "family",
                "label",
                "member_id",
                "attested_note",
                "digest_of",
            ):
                assert hint in (Private, Private | None), (event, name)
                handles += 1
    assert handles > 20
