"""What is logged, as lines of JSON in which nothing says who somebody is."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

_SECRET = re.compile(r"prv_[0-9A-Za-z]+|[^\s/@\"'=]+@[^\s/@\"'=]+")
"""Tokens and e-mail addresses, should somebody put one where it does not belong, such as into a path."""
_OF_A_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = ("domain.", "projections.", "provider.", "api.")


def line(level: str, logger: str, event: str, more: Mapping[str, Any], *, at: datetime | None = None) -> bytes:
    """Return a line without its end; `at` is when it happened, now if not said."""
    said = {
        "time": (at or datetime.now(UTC)).isoformat(timespec="milliseconds"),
        "level": level,
        "logger": logger,
        "process": os.getpid(),
        "event": event,
        **more,
    }
    return orjson.dumps({n: _without_secrets(v) if isinstance(v, str) else v for n, v in said.items()}, default=repr)


class JsonLines(logging.Formatter):
    """One line of JSON for each record, with what was given as `extra`.

    The message of an exception may quote what somebody sent, so it is left out, unless it is our own or the system's.
    """

    def format(self, record: logging.LogRecord) -> str:
        more = {name: value for name, value in vars(record).items() if name not in _OF_A_RECORD}
        if record.exc_info and record.exc_info[1] is not None:
            more["error"] = _told(record.exc_info[1])
        at = datetime.fromtimestamp(record.created, UTC)
        return line(record.levelname.lower(), record.name, record.getMessage(), more, at=at).decode()


def _without_secrets(text: str) -> str:
    return _SECRET.sub("…", text) if "@" in text or "prv_" in text else text


def _told(error: BaseException) -> list[dict[str, Any]]:
    """Return an error and what led to it, the first cause first: each its kind and the places in the code."""
    chain = [error]
    while (earlier := chain[-1].__cause__ or chain[-1].__context__) is not None and earlier not in chain:
        chain.append(earlier)
    told = []
    for each in reversed(chain):
        kind = type(each)
        quotes_nobody = isinstance(each, (OSError, sqlite3.Error)) or kind.__module__.startswith(_OURS)
        told.append(
            {
                "kind": f"{kind.__module__}.{kind.__qualname__}",
                **({"message": _SECRET.sub("…", str(each))} if quotes_nobody else {}),
                "at": [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(each.__traceback__)],
            }
        )
    return told


__all__ = ["JsonLines", "line"]
