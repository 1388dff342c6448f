"""What the back office says of itself, to anybody."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import domain
from api import problems
from api.rest import meta
from domain.institution import Institution
from provider.office import Office
from tests.golden import sample
from tests.postgres import looked_up

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Reads a page, and refuses one whose tags don't fit."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.feed(said)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.seen.add(tag)
        if "href" in said:
            self.links.add(str(said["href"]))
        if "id" in said:
            self.ids.append(str(said["id"]))
        assert not [name for name in said if name == "style" or name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/docs", "/problems", "/problems/stale"])
def test_a_page_is_sound_has_no_script_and_loads_only_what_is_ours(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=HTML)

    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    (policy,) = answer.headers.getlist("Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    page = Page(answer.text)
    assert not page.seen & {"script", "style", "iframe", "img"}
    assert len(page.ids) == len(set(page.ids))
    assert "/static/page.css" in page.links
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert client.get(link).status_code == 200, link


def test_the_style_sheet_is_css_and_nothing_outside_its_folder_is_given(client: FlaskClient) -> None:
    answer = client.get("/static/page.css")
    assert (answer.status_code, answer.mimetype) == (200, "text/css")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert client.get(path).status_code in (308, 404), path


def test_the_reference_has_every_route_of_the_document(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    page = client.get("/docs").text

    for path, item in document["paths"].items():
        assert f"<code>{path}</code>" in page
        for operation in item.values():
            if isinstance(operation, dict) and "summary" in operation:
                assert re.sub(r"[`].*", "", operation["summary"]).replace("'", "&#39;") in page


def test_the_reference_is_known_again(client: FlaskClient) -> None:
    for path in ("/docs", "/openapi.json"):
        first = client.get(path)
        assert client.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
        assert client.get(path).data == first.data


def test_every_problem_has_its_page_and_its_json(client: FlaskClient) -> None:
    items = client.get("/problems").json["items"]

    assert len(items) > 100
    for each in items:
        said = client.get(each["type"], headers={"Accept": "application/json"})
        assert said.json == each
        assert each["meaning"].endswith("."), each
        assert 400 <= each["status"] < 600
    page = client.get("/problems/stale", headers=HTML).text
    assert "The thing has another version than the one the caller had seen." in page


def test_the_type_of_a_problem_leads_to_its_page(client: FlaskClient) -> None:
    for refused in (
        client.get("/v1/people"),
        client.get("/nowhere"),
        client.post("/problems"),
        client.get("/problems/x"),
    ):
        assert client.get(refused.json["type"]).json["status"] == refused.status_code


def test_no_two_rules_share_the_name_of_their_problem(app: Flask) -> None:
    for module in iter_modules(domain.__path__):
        import_module(f"domain.{module.name}")
    named: dict[str, set[str]] = defaultdict(set)

    def walk(kind: type[Exception]) -> None:
        named[problems.slug(kind)].add(f"{kind.__module__}.{kind.__name__}")
        for inner in kind.__subclasses__():
            walk(inner)

    for kind in problems.STATUS:
        walk(kind)

    assert {name: kinds for name, kinds in named.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "text/html"),
        (HTML["Accept"], "text/html"),
    ],
)
def test_a_program_gets_json_and_a_browser_a_page(client: FlaskClient, accept: str | None, mimetype: str) -> None:
    answer = client.get("/problems", headers={"Accept": accept} if accept else {})
    assert answer.mimetype == mimetype
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_problem_in_no_known_form_is_refused(client: FlaskClient) -> None:
    answer = client.get("/problems", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.json["code"]) == (406, "not_acceptable")


def test_an_unknown_problem_is_not_found_and_what_was_asked_is_no_page(client: FlaskClient) -> None:
    answer = client.get("/problems/<script>", headers=HTML)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_it_is_alive_and_ready(client: FlaskClient, office: Office) -> None:
    assert client.get("/livez").json == {"status": "alive"}
    end = office.log.position()
    assert client.get("/readyz").json == {"status": "ready", "log": end, "views": end}


def test_metrics_tell_how_far_log_and_views_are(client: FlaskClient, office: Office) -> None:
    answer = client.get("/metrics")
    assert answer.mimetype == "text/plain"
    assert f"provider_log_position {float(office.log.position())}\n" in answer.text
    assert 'provider_views_lag_events{projection="history"} 0.0\n' in answer.text


def test_views_that_stand_further_than_the_log_are_not_ready(
    client: FlaskClient, office: Office, settings: object
) -> None:
    looked_up(office.settings, "events", "DELETE FROM stored_events WHERE topic <> 'institution.founded'")

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert "older copy" in answer.json["detail"]
    assert client.get("/livez").status_code == 200


def test_views_that_are_far_behind_catch_up_before_it_is_ready(client: FlaskClient, office: Office) -> None:
    renamed = sample(Institution.Renamed, full=False)
    first = office.log.get(Institution, office.institution).version + 1
    events = [
        replace(renamed, originator_id=office.institution, originator_version=first + n)
        for n in range(meta.FURTHEST_BEHIND + 1)
    ]
    office.log.recorder.insert_events([office.log.mapper.to_stored_event(event) for event in events])
    end = office.log.position()
    assert office.views.position() < end - meta.FURTHEST_BEHIND

    assert client.get("/readyz").json == {"status": "ready", "log": end, "views": end}


def test_views_that_cannot_follow_the_log_are_not_ready(client: FlaskClient, office: Office) -> None:
    renamed = sample(Institution.Renamed, full=False)
    version = office.log.get(Institution, office.institution).version + 1
    known = office.log.mapper.to_stored_event(
        replace(renamed, originator_id=office.institution, originator_version=version)
    )
    office.log.recorder.insert_events([replace(known, topic="institution.abolished")])

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert answer.json["detail"] == (
        "The views can't catch up with the log (UnknownEvent); the log of the server says more."
    )
    assert 'provider_views_lag_events{projection="history"} 1.0\n' in client.get("/metrics").text


def test_a_log_that_cannot_be_read_is_not_ready_and_what_was_counted_is_told_all_the_same(
    client: FlaskClient, office: Office
) -> None:
    recorder: Any = office.log.recorder
    with recorder.datastore.transaction(commit=True) as cursor:
        schema = getattr(recorder.datastore, "schema", "main")
        cursor.execute(f"DROP TABLE {schema}.{recorder.events_table_name}")

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert answer.json["detail"].startswith("The log can't be read (")
    metrics = client.get("/metrics")
    assert metrics.status_code == 200
    assert 'provider_http_requests_total{method="GET",route="/readyz",status="503"}' in metrics.text
    assert "\nprovider_log_position" not in metrics.text


@pytest.mark.sqlite
def test_views_that_cannot_be_read_are_not_ready(client: FlaskClient, office: Office) -> None:
    views = sqlite3.connect(office.views.place)
    views.execute("DROP TABLE places")
    views.commit()
    views.close()

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert str(office.settings.data) not in answer.json["detail"]


def test_all_of_it_is_public(client: FlaskClient) -> None:
    for path in ("/", "/docs", "/openapi.json", "/problems", "/problems/stale", "/livez", "/readyz"):
        assert client.get(path).status_code == 200, path


def test_what_a_page_needs_is_in_the_package() -> None:
    here = Path(problems.__file__).parent
    packaged = (here.parent / "pyproject.toml").read_text(encoding="utf-8")
    for folder in ("static", "templates"):
        for file in (here / folder).iterdir():
            assert f'"{folder}/*{file.suffix}"' in packaged, file
