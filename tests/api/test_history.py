"""The history over HTTP: what is found, how it reads, and who may read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.access import Role
from domain.private import Private
from provider.commands import people
from provider.office import Office
from provider.work import Act
from tests.academy import Academy
from tests.conftest import Caller, Clock


@pytest.fixture(autouse=True)
def _now(clock: Clock) -> None:
    """Let the clock of the office show about the time of the machine's, which stamps what is recorded."""
    clock.set(datetime.now(UTC))


@pytest.fixture
def grace(person: Callable[..., UUID]) -> UUID:
    return person("Grace", "Hopper", "grace@example.org")


def sentences(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json
    return [entry["sentence"] for entry in answer.json]


def test_the_history_reads_as_sentences_newest_first(registrar_caller: Caller, grace: UUID) -> None:
    answer = registrar_caller.get("/v1/history?limit=4")

    assert sentences(answer)[0].startswith("Grace Hopper was registered by Ada Admin")
    positions = [entry["position"] for entry in answer.json]
    assert positions == sorted(positions, reverse=True)


@pytest.mark.parametrize("stage", [None], ids=["unstaffed"])
def test_an_entry_says_who_and_when_and_why(
    registrar_caller: Caller, registrar: UUID, grace: UUID, office: Office, clock: Clock
) -> None:
    said = {"given": "Grace", "family": "Hopper-Murray", "reason": "misspelt", "note": "She called on Monday."}
    done = registrar_caller.post(f"/v1/people/{grace}/name-corrections", said, headers={"X-Request-Id": "request-17"})
    assert done.status_code == 200, done.json

    entry = registrar_caller.get(f"/v1/history?subject={grace}&limit=1").json[0]

    assert entry.pop("recorded_at") >= entry.pop("at")
    assert entry == {
        "position": done.json["position"],
        "stream": str(grace),
        "version": 2,
        "kind": "person.name_corrected",
        "sentence": "The names of Grace Hopper-Murray were corrected by Rita Registrar (reason: misspelt).",
        "actor": {"id": str(registrar), "name": "Rita Registrar"},
        "on_behalf_of": None,
        "course": None,
        "person": str(grace),
        "late": False,
        "reason": "misspelt",
        "note": "She called on Monday.",
        "policy_version": None,
        "request": "request-17",
        "channel": "api",
    }


def test_names_are_those_of_the_moment_that_is_asked_for(registrar_caller: Caller, grace: UUID) -> None:
    before = int(registrar_caller.get("/v1/history?limit=1").headers["X-Position"])
    registrar_caller.post(
        f"/v1/people/{grace}/name-changes", {"given": "Grace", "family": "Murray", "reason": "marriage"}
    )

    now = registrar_caller.get(f"/v1/history?subject={grace}&order=oldest")
    then = registrar_caller.get(f"/v1/history?subject={grace}&as_of={before}")

    assert sentences(now)[0].startswith("Grace Murray was registered")
    assert len(sentences(then)) == 1
    assert sentences(then)[0].startswith("Grace Hopper was registered")


def test_what_is_erased_is_named_no_more(
    registrar_caller: Caller, grace: UUID, office: Office, act: Callable[..., Act]
) -> None:
    people.correct_names(office, act(), person=grace, given="Grace", family="H.", reason="other", note="As she asked")
    office.keys.forget(grace)

    entry = registrar_caller.get(f"/v1/history?subject={grace}").json[0]

    assert entry["sentence"].startswith("The names of (erased) were corrected by Ada Admin")
    assert entry["note"] == "(erased)"


def test_a_course_is_found_with_all_that_belongs_to_it(
    registrar_caller: Caller, office: Office, act: Callable[..., Act], grace: UUID
) -> None:
    academy = Academy(office, act)
    lead = academy.trainer("Tina")
    course = academy.open(lead, seats=1)
    enrolled = registrar_caller.post(f"/v1/courses/{course}/enrolments", {"person": str(grace)})
    assert enrolled.status_code == 201, enrolled.json

    answer = registrar_caller.get(f"/v1/history?course={course}&order=oldest&limit=200")

    said = sentences(answer)
    assert said[0].startswith("“CSPO in Zürich”, a course for SA/CSPO (in person), was drafted by Ada Admin")
    assert any(
        line.startswith("“CSPO in Zürich” was scheduled by Ada Admin: session 1 on 2026-06-01 09:00") for line in said
    )
    assert "Tina Trainer was assigned to “CSPO in Zürich” as lead trainer by Ada Admin." in said
    assert "Tina Trainer was booked for “CSPO in Zürich” as lead trainer by Ada Admin, for 4 sessions." in said
    assert "A seat in “CSPO in Zürich” was given to Grace Hopper by Rita Registrar." in said
    assert (
        "Grace Hopper's enrolment in “CSPO in Zürich” was requested and confirmed by Rita Registrar, "
        "through the API." in said
    )
    assert {entry["policy_version"] for entry in answer.json if entry["kind"] == "course.drafted"} == {"2026-01"}


def test_pages_follow_each_other_and_what_comes_in_between_does_not_disturb(
    registrar_caller: Caller, person: Callable[..., UUID]
) -> None:
    for n in range(5):
        person(f"P{n}", None)
    first = registrar_caller.get("/v1/history?kind=person&limit=3&recorded_from=2020-01-01T00:00:00%2B01:00")
    assert [entry["sentence"][:2] for entry in first.json] == ["P4", "P3", "P2"]
    person("Late", "Comer")

    link = first.headers["Link"]
    second = registrar_caller.get(link[1 : link.index(">")])

    assert [entry["sentence"][:2] for entry in second.json][:2] == ["P1", "P0"]


def test_kinds_actors_positions_and_times_are_filters(
    registrar_caller: Caller, admin: UUID, registrar: UUID, grace: UUID
) -> None:
    get = registrar_caller.get
    assert {entry["kind"] for entry in get("/v1/history?kind=access.token_issued").json} == {"access.token_issued"}
    assert get(f"/v1/history?actor={registrar}").json == []
    assert len(get(f"/v1/history?actor={admin}&position_from=2&position_to=4").json) == 3
    assert get("/v1/history?recorded_to=2020-01-01T00:00:00Z").json == []
    assert len(get("/v1/history?recorded_from=2020-01-01T00:00:00Z").json) > 3


@pytest.mark.parametrize("stage", [None], ids=["unstaffed"])
def test_late_entries_stand_out(registrar_caller: Caller, office: Office, act: Callable[..., Act], grace: UUID) -> None:
    assert registrar_caller.get("/v1/history?late=true").json == []
    happened = datetime.now(UTC) - timedelta(days=3)
    people.change_contact(office, act(at=happened), person=grace, email=None, phone="1")

    (entry,) = registrar_caller.get("/v1/history?late=true").json

    assert (entry["kind"], entry["late"]) == ("person.contact_changed", True)


def test_an_event_is_shown_as_it_is_stored(registrar_caller: Caller, grace: UUID, office: Office) -> None:
    position = office.log.position()

    answer = registrar_caller.get(f"/v1/history/{position}")

    stored = answer.json["stored"]
    assert (stored["topic"], stored["stream"], stored["version"]) == ("person.registered", str(grace), 1)
    assert stored["state"]["source"] == "registrar"
    assert office.vault.open_one(Private(stored["state"]["names"]["given"])) == "Grace"
    ((_, _, _, _, state),) = office.log.entries.at([position])
    assert state in answer.data
    assert b"Hopper" not in state
    assert answer.json["sentence"].startswith("Grace Hopper was registered")


def test_the_history_can_be_had_as_a_table(registrar_caller: Caller, grace: UUID) -> None:
    answer = registrar_caller.get("/v1/history?limit=2", headers={"Accept": "text/csv"})

    lines = answer.data.decode("utf-8-sig").splitlines()
    assert answer.mimetype == "text/csv"
    assert lines[0].startswith("position,stream,version,kind,sentence,")
    assert len(lines) == 3


def test_what_is_not_there_is_not_found(registrar_caller: Caller, office: Office) -> None:
    end = office.log.position()
    for position in (0, end + 1, 10**18, 2**63, 10**40):
        answer = registrar_caller.get(f"/v1/history/{position}")
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), position
    assert registrar_caller.get(f"/v1/history/{end}?as_of={end - 1}").status_code == 404
    assert registrar_caller.get(f"/v1/history?subject={uuid4()}").json == []


@pytest.mark.parametrize(
    "query",
    [
        "subject=x",
        "actor=1",
        "kind=Person",
        "kind=person.registered%0A",
        "kind=a.b.c",
        "late=maybe",
        "order=up",
        "recorded_from=yesterday",
        "recorded_from=2026-05-04T09:00:00",
        "position_from=-1",
        "position_to=99999999999999999999",
        "limit=201",
        "nonsense=1",
    ],
)
def test_nonsense_is_refused(registrar_caller: Caller, query: str) -> None:
    answer = registrar_caller.get(f"/v1/history?{query}")
    assert answer.status_code == 422, answer.json
    assert answer.json["errors"][0]["pointer"] == f"#/{query.split('=')[0]}"


def test_who_may_read_it(
    auditor_caller: Caller,
    admin_caller: Caller,
    caller: Callable[[str | None], Caller],
    person: Callable[..., UUID],
    token_of: Callable[..., str],
    grace: UUID,
    office: Office,
    act: Callable[..., Act],
) -> None:
    people.correct_names(office, act(), person=grace, given="Grace", reason="other", note="As she asked")
    entry = auditor_caller.get(f"/v1/history?subject={grace}&limit=1").json[0]
    assert entry["note"] == "As she asked"
    trainer_caller = caller(token_of(person("Tina", "Trainer"), Role.TRAINER))
    for other in (trainer_caller, admin_caller):
        assert other.get("/v1/history").status_code == 403
        assert other.get("/v1/history/1").status_code == 403
    assert caller(None).get("/v1/history").status_code == 401


def test_a_page_asks_each_store_once_however_long_it_is(
    registrar_caller: Caller, office: Office, act: Callable[..., Act], person: Callable[..., UUID]
) -> None:
    from sqlalchemy import event

    academy = Academy(office, act)
    course = academy.open(academy.trainer("Tina"), seats=None)
    for n in range(30):
        registrar_caller.post(f"/v1/courses/{course}/enrolments", {"person": str(person(f"P{n}", "Q"))})
    registrar_caller.get("/v1/history?limit=1")
    asked: list[str] = []
    event.listen(office.views.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))

    def statements(limit: int) -> int:
        asked.clear()
        assert len(registrar_caller.get(f"/v1/history?limit={limit}").json) == limit
        return len(asked)

    assert statements(60) == statements(5) <= 12


def test_dates_of_a_registration_read_as_people_write_them(
    registrar_caller: Caller, office: Office, act: Callable[..., Act]
) -> None:
    Academy(office, act)
    assert sentences(registrar_caller.get("/v1/history?kind=institution.registered_with_body")) == [
        "The institution was noted to be registered with Scrum Alliance as REA-1 by Ada Admin, "
        "from 1 January 2020 to 31 December 2026."
    ]
