"""What all routes have in common: how answers are written, and what is said of them in the document."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from api.answers import cell, json_answer, receipt
from api.app import App
from api.document import document
from provider.bootstrap import bootstrap
from provider.log import IdempotencyKey, Receipt
from provider.mapper import StoredUUID
from provider.office import Office
from provider.settings import Settings
from tests.conftest import Caller
from tests.idempotency import key_of
from tests.postgres import looked_up

ID = "2f1f5a0e-6d1c-4a3e-9c57-0f7d1b0c9a11"


def test_an_id_that_comes_from_an_event_is_answered_like_any_other(app: Flask) -> None:
    # The encoder knows UUIDs, and refuses those of a class derived from theirs.
    stored = StoredUUID(ID)
    with app.test_request_context():
        assert json_answer({"person": stored, "ids": [stored]}).json == {"person": ID, "ids": [ID]}
        done = Receipt(UUID(ID), 1, None)
        assert receipt(done, beside={"person": stored}).json["person"] == ID
    assert (cell(stored), cell([stored])) == (ID, f'["{ID}"]')


def test_what_is_no_value_of_an_answer_is_an_error_and_no_text(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(TypeError):
        json_answer({"person": object()})


def test_an_answer_that_is_tagged_with_a_version_never_says_that_nothing_changed(
    app: Flask, registrar_caller: Caller, registrar: UUID
) -> None:
    one, all_ = f"/v1/people/{registrar}", "/v1/people"
    paths: dict[str, Any] = document(app)["paths"]
    for path, described, status in ((one, "/v1/people/{person}", 200), (all_, all_, 304)):
        tag = registrar_caller.get(path).headers["ETag"]
        assert registrar_caller.get(path, headers={"If-None-Match": tag}).status_code == status
        assert ("304" in paths[described]["get"]["responses"]) == (status == 304)


def test_what_a_keyed_request_said_can_be_told_from_its_fingerprint_by_nobody_else(
    registrar_caller: Caller, office: Office, settings: Settings
) -> None:
    registrar_caller.client.post(
        "/v1/people",
        data=b'{"given":"Grete"}',
        headers={"Authorization": f"Bearer {registrar_caller.token}", "Idempotency-Key": "key-of-grete"},
        content_type="application/json",
    )
    asked = "SELECT fingerprint FROM idempotency WHERE key = 'key-of-grete'"
    ((fingerprint,),) = looked_up(office.settings, "events", asked)
    request = (b"POST", b"/v1/people", b'{"given":"Grete"}')
    guess = b"".join(len(part).to_bytes(8, "big") + part for part in request)
    for digest in (sha256(guess), sha256(b"".join(request)), sha256(request[2])):
        assert fingerprint != digest.hexdigest()
    assert fingerprint != key_of(UUID(ID), "key-of-grete", *request).fingerprint
    again = bootstrap(settings)
    mine = again.keys.of(again.institution)
    assert mine is not None
    assert fingerprint == IdempotencyKey.of(UUID(ID), "key-of-grete", *request, secret=mine).fingerprint
    again.close()


def test_addresses_are_found_again_and_not_remembered_without_end(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(app, App)
    monkeypatch.setattr("api.app.ADDRESSES", 3)
    client = app.test_client()
    addresses = [f"/v1/courses/{uuid4()}/roster" for _ in range(5)]
    for _ in range(2):
        assert {client.get(address).status_code for address in addresses} == {401}
        assert {client.post(address).status_code for address in addresses} == {405}
        assert 0 < len(app.routes) <= 3
    long = f"/static/{'a' * 300}"
    assert client.get(long).status_code == 404
    assert long not in {address for address, _ in app.routes}
