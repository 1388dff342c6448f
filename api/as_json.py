"""How an answer is written as JSON."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson


def json_of(said: Any) -> bytes:
    """Return an answer as JSON; ids that come from events are of a class that the encoder doesn't know as text."""
    return orjson.dumps(said, default=_as_text)


def _as_text(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


__all__ = ["json_of"]
