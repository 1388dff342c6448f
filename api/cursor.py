"""The place where the next page of a list begins, sealed: nobody can make one up."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from flask import request

from api.as_json import json_of
from api.here import own_key
from api.problems import BadRequest
from provider.keys import Damaged


def opened(cursor: str) -> tuple[int | None, tuple[Any, ...]]:
    """Return the position that a list is read as of, and the key after which its next page begins.

    :raises BadRequest: when it was not made here, or for another address.
    """
    try:
        sealed = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        pinned, after = orjson.loads(own_key().open(sealed, request.path.encode()))
    except (Damaged, ValueError):
        raise BadRequest("This cursor is not one of this list's; begin again without it.", field="cursor") from None
    return pinned, tuple(after)


def closed(pinned: int | None, after: tuple[Any, ...]) -> str:
    """Return the cursor for the next page of the list at this request's address."""
    sealed = own_key().seal(json_of([pinned, list(after)]), request.path.encode())
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


__all__ = ["closed", "opened"]
