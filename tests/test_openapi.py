"""The committed OpenAPI document is the one that the app makes, and a sound one."""

from __future__ import annotations

import orjson
from flask import Flask
from openapi_spec_validator import validate

from api.document import PATH, document, text


def test_the_committed_document_is_that_of_the_routes(app: Flask) -> None:
    assert PATH.read_bytes() == text(app), "Write it anew with `python -m api.document`, and look at what changed."


def test_the_document_is_valid(app: Flask) -> None:
    validate(document(app))


def test_what_is_served_is_the_same_document(app: Flask) -> None:
    assert app.test_client().get("/openapi.json").json == orjson.loads(PATH.read_bytes())


def test_every_operation_says_what_it_does_and_how_it_may_end(app: Flask) -> None:
    for path, item in document(app)["paths"].items():
        for method in item.keys() & {"get", "post"}:
            operation = item[method]
            assert operation["summary"].endswith("."), (method, path)
            assert "default" not in operation["responses"], (method, path)
            assert any(status.startswith("2") for status in operation["responses"]), (method, path)
            assert "security" in operation, (method, path)
