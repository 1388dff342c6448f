"""What all routes have in common: how answers are written, and what is said of them in the document."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Flask

from api.document import document
from tests.conftest import Caller


def test_an_answer_that_is_tagged_with_a_version_never_says_that_nothing_changed(
    app: Flask, registrar_caller: Caller, registrar: UUID
) -> None:
    one, all_ = f"/v1/people/{registrar}", "/v1/people"
    paths: dict[str, Any] = document(app)["paths"]
    for path, described, status in ((one, "/v1/people/{person}", 200), (all_, all_, 304)):
        tag = registrar_caller.get(path).headers["ETag"]
        assert registrar_caller.get(path, headers={"If-None-Match": tag}).status_code == status
        assert ("304" in paths[described]["get"]["responses"]) == (status == 304)
