"""What all routes have in common: how answers are written, and what is said of them in the document."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from api.document import document
from api.kit import cell, json_answer, receipt
from provider.log import Receipt
from provider.mapper import StoredUUID
from tests.conftest import Caller

ID = "2f1f5a0e-6d1c-4a3e-9c57-0f7d1b0c9a11"


def test_an_id_that_comes_from_an_event_is_answered_like_any_other(app: Flask) -> None:
    # The encoder knows UUIDs, and refuses those of a class derived from theirs.
    stored = StoredUUID(ID)
    with app.test_request_context():
        assert json_answer({"person": stored, "ids": [stored]}).json == {"person": ID, "ids": [ID]}
        done = Receipt(UUID(ID), 1, None)
        assert receipt(done, beside={"person": stored}).json["person"] == ID  # type: ignore[index]
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
