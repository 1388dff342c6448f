"""The credentials over HTTP."""

from __future__ import annotations

import csv
import io
from urllib.parse import urlsplit

from domain.catalogue import CATALOGUE
from tests.conftest import Caller, Clock


def next_page(answer: object) -> str | None:
    link = answer.headers.get("Link")  # type: ignore[attr-defined]
    return None if link is None else link[1 : link.index(">")]


def test_all_rules_are_listed_page_by_page(registrar_caller: Caller) -> None:
    path: str | None = "/v1/credentials?limit=7"
    rows = []
    while path is not None:
        answer = registrar_caller.get(path)
        assert answer.status_code == 200
        assert len(answer.json) <= 7
        rows += answer.json
        path = next_page(answer)
    keys = [(each["body"], each["code"], each["valid_from"], each["version"]) for each in rows]
    assert keys == sorted((p.body, p.code, p.valid_from.isoformat(), p.version) for p in CATALOGUE)


def test_those_of_one_body_stay_of_one_body_from_page_to_page(registrar_caller: Caller) -> None:
    first = registrar_caller.get("/v1/credentials?limit=1&body=SA")
    second = registrar_caller.get(next_page(first) or "")
    assert {each["body"] for each in first.json + second.json} == {"SA"}
    assert first.json != second.json


def test_one_credential_says_which_rules_are_in_force_on_a_day(registrar_caller: Caller) -> None:
    today = registrar_caller.get("/v1/credentials/SA/CSPO").json
    assert (today["version_in_force"], today["body_name"]) == ("2026-01", "Scrum Alliance")
    acp = [registrar_caller.get(f"/v1/credentials/PMI/PMI-ACP?on={day}").json for day in ("2024-01-15", "2025-01-15")]
    minutes = [next(each["contact_minutes"] for each in said["versions"] if each["in_force"]) for said in acp]
    assert minutes == [21 * 60, 28 * 60]


def test_today_is_where_the_institution_is(registrar_caller: Caller, clock: Clock) -> None:
    # In Zurich the year has begun, in UTC it hasn't.
    clock.set(clock.now.replace(year=2025, month=12, day=31, hour=23, minute=30))
    assert registrar_caller.get("/v1/credentials/SA/CSPO").json["version_in_force"] == "2026-01"
    clock.set(clock.now.replace(hour=22, minute=30))
    assert registrar_caller.get("/v1/credentials/SA/CSPO").json["version_in_force"] != "2026-01"


def test_what_is_not_confirmed_is_shown_as_such(registrar_caller: Caller) -> None:
    rows = registrar_caller.get("/v1/credentials?limit=200").json
    assert any(each["unconfirmed"] for each in rows)


def test_unknown_credentials_and_arguments_are_refused(registrar_caller: Caller) -> None:
    assert registrar_caller.get("/v1/credentials/SA/NOPE").status_code == 404
    assert registrar_caller.get("/v1/credentials/ACME/CSPO").status_code == 404
    for query in ("body=ACME", "on=today", "limit=0", "limit=201", "limit=x", "unknown=1", "as_of=tomorrow", "after=x"):
        answer = registrar_caller.get(f"/v1/credentials?{query}")
        assert answer.status_code in (400, 422), query


def test_a_cursor_is_of_this_list_and_of_nobodys_making(registrar_caller: Caller) -> None:
    link = next_page(registrar_caller.get("/v1/credentials?limit=1"))
    assert link is not None
    cursor = urlsplit(link).query.split("cursor=")[1]
    assert registrar_caller.get(f"/v1/credentials?cursor={cursor}").status_code == 200
    forged = ["WzEsWzFdXQ", "x", "é", "%00", cursor[:-4], cursor[:-2] + "AA", "A" * 999]
    for said in forged:
        answer = registrar_caller.get(f"/v1/credentials?cursor={said}")
        assert (answer.status_code, answer.json["code"]) == (400, "bad_request"), said
    assert registrar_caller.get(f"/v1/people?cursor={cursor}").status_code == 400


def test_the_link_to_the_next_page_is_one_whatever_the_arguments_look_like(registrar_caller: Caller) -> None:
    for limit in ("1%0A", "%EF%BC%91"):  # a line break, and the digit one as wide as a letter
        answer = registrar_caller.get(f"/v1/credentials?limit={limit}")
        assert answer.status_code in (200, 422)
        assert registrar_caller.get(next_page(answer) or "/v1/credentials").status_code == answer.status_code == 200


def test_the_list_can_be_had_as_a_table(registrar_caller: Caller) -> None:
    answer = registrar_caller.get("/v1/credentials?limit=3", headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    header, *rows = csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig")))
    assert header[:4] == ["body", "code", "name", "version"]
    assert len(rows) == 3
    assert registrar_caller.get("/v1/credentials", headers={"Accept": "image/png"}).status_code == 406
