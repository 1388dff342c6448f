"""Every event class in each version ever stored, and how samples of them are made.

`events.json` has one line per stored form: the topic, the class version, and the state as it lies in the log. Lines are
only ever added: what was once written to somebody's log stays readable. `python -m tests.golden` adds lines for new
classes, new versions and new members.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID, uuid5

import orjson
from eventsourcing.utils import get_topic

import domain
from domain.aggregate import Aggregate
from domain.course import Capacity
from domain.private import Private
from domain.schedule import Session
from provider.mapper import EventMapper

EVENTS = Path(__file__).parent / "events.json"

SAMPLES = UUID("1f0e4b7e-58a7-4a7b-9d13-64a5a2f6f6a1")
STREAM = UUID("5b7cf2b0-7f43-4f0e-9f5e-0d4f1f0c6a11")
NOON = datetime(2026, 5, 4, 12, 0, 30, 250000, tzinfo=UTC)

TEXTS = {
    "address": "https://www.scrumalliance.org/courses/123456",
    "by_number": "AAZ-2026-000124",
    "body": "SA",
    "code": "CSPO",
    "currency": "USD",
    "digest": hashlib.sha256(b"a token").hexdigest(),
    "encoding": "utf-8",
    "evidence": "file 2026/17",
    "format": "in_person",
    "name": "Agile Academy Zürich",
    "number": "AAZ-2026-000123",
    "policy_version": "2026-01",
    "replaces": "AAZ-2026-000122",
    "reason": "illness",
    "title": "CSPO in Zürich “spring”",
    "zone": "Europe/Zurich",
}
"""What members that hold text say; others say their own name."""

VALUES: dict[Any, Any] = {
    (Capacity, True): Capacity.of(12),
    (Capacity, False): Capacity.without_limit(),
    (Session, True): Session(
        2, NOON, NOON + timedelta(hours=3, minutes=30), "Europe/Zurich", 195, "Limmatquai 1, 8001 Zürich"
    ),
    (Session, False): Session(1, NOON, NOON + timedelta(hours=3, minutes=30), "Europe/Zurich", 195),
}
"""Values whose members depend on each other."""


def event_classes() -> list[type[Any]]:
    """Return every class of events in the domain, by topic."""
    for module in pkgutil.iter_modules(domain.__path__):
        import_module(f"domain.{module.name}")
    # Other tests make events of their own.
    ours = (kind for kind in _below(Aggregate.Event) if kind.__module__.startswith("domain."))
    return sorted((kind for kind in ours if "TOPIC" in vars(kind)), key=get_topic)


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _below(inner)


def sample(kind: type[Any], *, full: bool) -> Any:
    """Return an event of that class with all members that may be absent, or without them; always the same one."""
    hints = get_type_hints(kind)
    members = {
        each.name: value(hints[each.name], f"{get_topic(kind)}.{each.name}", full=full)
        for each in fields(kind)
        if each.name not in ("originator_id", "originator_version", "timestamp", "originator_topic")
    }
    if "originator_topic" in hints:
        members["originator_topic"] = get_topic(kind).partition(".")[0]
    return kind(originator_id=STREAM, originator_version=7, timestamp=NOON + timedelta(seconds=1), **members)


def value(hint: Any, path: str, *, full: bool) -> Any:
    """Return a value of that type, made of the path to it."""
    name = path.rpartition(".")[2]
    origin = get_origin(hint)
    if (hint, full) in VALUES:
        return VALUES[hint, full]
    if origin in (Union, UnionType):
        inner = next(arg for arg in get_args(hint) if arg is not type(None))
        return value(inner, path, full=True) if full else None
    if origin is tuple:
        inner = get_args(hint)[0]
        first = value(inner, path, full=full)
        return (first, value(inner, f"{path}.second.{name}", full=False)) if full else (first,)
    if is_dataclass(hint) and isinstance(hint, type):
        return _value_object(hint, path, full=full)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)[-1 if full else 0]
    if hint is bool:
        return full
    if hint is int:
        return 2026 if name == "year" else 2 + len(path) % 7
    if hint is UUID:
        return uuid5(SAMPLES, path)
    if hint is Private:
        return Private(urlsafe_b64encode(hashlib.sha256(path.encode()).digest()).rstrip(b"=").decode())
    if hint is str:
        return TEXTS.get(name, name.replace("_", "-"))
    plain = {datetime: NOON, date: NOON.date(), Decimal: Decimal("600.00")}
    return plain[hint]


def _value_object(kind: type[Any], path: str, *, full: bool) -> Any:
    hints = get_type_hints(kind)
    made = object.__new__(kind)
    for each in fields(kind):
        said = value(hints[each.name], f"{path}.{each.name}", full=full)
        object.__setattr__(made, each.name, said)
    return made


def stored(event: Any) -> dict[str, Any]:
    """Return the golden line of an event, as the mapper stores it now."""
    kind = type(event)
    state = orjson.loads(EventMapper().to_stored_event(event).state)
    return {"topic": get_topic(kind), "class_version": state.pop("class_version", 1), "state": state}


def golden() -> list[dict[str, Any]]:
    """Return all golden lines."""
    lines: list[dict[str, Any]] = json.loads(EVENTS.read_text(encoding="utf-8")) if EVENTS.exists() else []
    return lines


def members(state: Any, path: str = "") -> set[str]:
    """Return the paths of all members of a stored state, whatever their values."""
    if isinstance(state, dict):
        return {p for name, inner in state.items() for p in {f"{path}/{name}", *members(inner, f"{path}/{name}")}}
    if isinstance(state, list):
        return {p for inner in state for p in members(inner, f"{path}/*")}
    return set()


def missing() -> list[dict[str, Any]]:
    """Return the lines that the golden file lacks: for new classes, versions and members."""
    known: dict[tuple[str, int], list[set[str]]] = {}
    for line in golden():
        known.setdefault((line["topic"], line["class_version"]), []).append(members(line["state"]))
    lines = []
    for kind in event_classes():
        for full in (True, False):
            line = stored(sample(kind, full=full))
            shapes = known.setdefault((line["topic"], line["class_version"]), [])
            if (shape := members(line["state"])) not in shapes:
                shapes.append(shape)
                lines.append(line)
    return lines


def write(lines: list[dict[str, Any]]) -> None:
    """Write the golden file: one line of text for each stored form."""
    said = ",\n".join(orjson.dumps(line).decode() for line in lines)
    EVENTS.write_text(f"[\n{said}\n]\n", encoding="utf-8")


__all__ = ["event_classes", "golden", "members", "missing", "sample", "stored", "write"]
