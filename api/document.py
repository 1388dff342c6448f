"""The OpenAPI document: `python -m api.document` writes it to docs/openapi.json, which is committed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import orjson
from flask import Flask

from api.app import create_app
from provider.office import Office

PATH = Path(__file__).parent.parent / "docs" / "openapi.json"


def document(app: Flask) -> dict[str, Any]:
    """Return the document of an app's API."""
    api = app.extensions["flask-smorest"]["apis"][""]["ext_obj"]
    said: dict[str, Any] = api.spec.to_dict()
    return said


def text(app: Flask) -> bytes:
    """Return the document as it is committed: indented JSON, the same bytes for the same routes."""
    return orjson.dumps(document(app), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def main() -> None:
    """Write the document."""
    # To describe the routes, none of them is asked anything: there is no need for an office.
    app = create_app(cast(Office, None))
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_bytes(text(app))
    sys.stdout.write(f"{PATH.name}: {len(document(app)['paths'])} paths\n")


if __name__ == "__main__":
    main()
