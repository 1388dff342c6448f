"""The stored form of an event: plain JSON that a person can read, rebuilt from the event's own annotations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID, SafeUUID

import orjson
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent
from eventsourcing.utils import TopicError, get_topic, resolve_topic

from domain.private import Private
from projections.projection import PLAIN

Read = Callable[[Any], Any]

REQUEST: ContextVar[Mapping[str, str] | None] = ContextVar("REQUEST", default=None)
"""Correlation id and channel of the request under way; stored with each event, proven with it, unseen by the domain."""

ENTRY_LIMIT = 65_535
"""Bytes of a stored state; an entry of the verifiable log (C2SP tlog-tiles) can't be longer."""


@contextmanager
def request(said: Mapping[str, str]) -> Iterator[None]:
    """Let the events recorded inside carry this correlation id and channel."""
    token = REQUEST.set(said)
    try:
        yield
    finally:
        REQUEST.reset(token)


class UnknownEvent(Exception):
    """The log holds an event that this program does not know: it was written by a newer one, or is foreign."""


class EntryTooLarge(Exception):
    """An event is longer than an entry of the verifiable log may be."""


class EventMapper(Mapper[UUID]):
    """Turns events into stored events and back.

    UUID, date, datetime and Decimal are strings; absent values are left out; the event's annotations say how to read
    them. `_request` is added on the way in and taken out on the way back.
    """

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Return the event as it is stored.

        :raises EntryTooLarge: when its state is longer than 65,535 bytes.
        """
        kind = type(domain_event)
        said: dict[str, Any] = {k: v for k, v in vars(domain_event).items() if v is not None}
        stream = said.pop("originator_id")
        version = said.pop("originator_version")
        class_version = getattr(kind, "class_version", 1)
        if (stored_as := getattr(kind, "stored_as", class_version)) < class_version:
            said = downcast(kind, said, class_version, stored_as)
        if stored_as > 1:
            said["class_version"] = stored_as
        if (asked := REQUEST.get()) is not None:
            said["_request"] = asked
        state = orjson.dumps(said, default=str, option=orjson.OPT_UTC_Z)
        if len(state) > ENTRY_LIMIT:
            raise EntryTooLarge(f"{get_topic(kind)} is {len(state)} bytes long, over {ENTRY_LIMIT}.")
        return StoredEvent(originator_id=stream, originator_version=version, topic=get_topic(kind), state=state)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the event as it was.

        :raises UnknownEvent: when its topic is not one of ours, or its shape is newer than ours.
        """
        stream = stored_event.originator_id
        return self.read(str(stream), stored_event.originator_version, stored_event.topic, stored_event.state)[0]

    def read(self, stream: str, version: int, topic: str, state: bytes) -> tuple[Any, Mapping[str, str] | None]:
        """Return the event, and the request it came with.

        :raises UnknownEvent: when its topic is not one of ours, or its shape is newer than ours.
        """
        said, asked = self.stored(topic, state)
        return self.made(stream, version, topic, said), asked

    def stored(self, topic: str, state: bytes) -> tuple[dict[str, Any], Mapping[str, str] | None]:
        """Return what an event says as the JSON values of its current version, and the request it came with.

        :raises UnknownEvent: when its topic is not one of ours, or its shape is newer than ours.
        """
        kind, _, _, current = shape(topic)
        stored: dict[str, Any] = orjson.loads(state)
        asked = stored.pop("_request", None)
        if (past := stored.pop("class_version", 1)) != current:
            upcast(kind, stored, past, current)
        return stored, asked

    def made(self, stream: str, version: int, topic: str, stored: dict[str, Any]) -> Any:
        """Return the event that says what is stored, which is of no use to anybody else any more."""
        kind, readers, defaults, _ = shape(topic)
        said = {**defaults, **stored}
        for name, read in readers:
            if (value := said[name]) is not None:
                said[name] = read(value)
        said["originator_id"] = uuid(stream)
        said["originator_version"] = version
        event = object.__new__(kind)
        object.__setattr__(event, "__dict__", said)
        return event


def upcast(kind: type[Any], stored: dict[str, Any], past: int, current: int) -> None:
    """Bring what was stored in a past version of an event's class to the current one, step by step, in place.

    :raises UnknownEvent: when it was stored in a version that is still to come.
    """
    if past > current:
        raise UnknownEvent(
            f"The log holds an event “{get_topic(kind)}” in version {past}, and this version of the program knows it "
            f"up to version {current}. It was written by a newer version: install that one."
        )
    for version in range(past, current):
        getattr(kind, f"upcast_v{version}_v{version + 1}")(stored)


def downcast(kind: type[Any], said: dict[str, Any], current: int, stored_as: int) -> dict[str, Any]:
    """Return what an event says as a past version of its class has stored it: plain JSON values.

    Programs that know no later version read it then, for as long as they run beside this one.
    """
    stored: dict[str, Any] = orjson.loads(orjson.dumps(said, default=str, option=orjson.OPT_UTC_Z))
    for version in range(current, stored_as, -1):
        getattr(kind, f"downcast_v{version}_v{version - 1}")(stored)
    return stored


@lru_cache(maxsize=1024)
def shape(topic: str) -> tuple[type[Any], tuple[tuple[str, Read], ...], dict[str, Any], int]:
    """Return an event's class, how to read those fields that JSON does not know, the absent ones, and its version."""
    try:
        kind = resolve_topic(topic)
    except TopicError:
        raise UnknownEvent(
            f"The log holds an event “{topic}”, which this version of the program does not know. "
            "It was probably written by a newer version: install that one."
        ) from None
    hints = get_type_hints(kind)
    readers = []
    defaults: dict[str, Any] = {}
    for each in fields(kind):
        if each.name in ("originator_id", "originator_version"):
            continue
        defaults[each.name] = None if each.default is MISSING else each.default
        if (read := reader(hints[each.name])) is not None:
            readers.append((each.name, read))
    return kind, tuple(readers), defaults, getattr(kind, "class_version", 1)


def reader(hint: Any) -> Read | None:
    """Return the function that reads a JSON value as `hint`, or None where it is right as it is."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        inner = reader(next(arg for arg in get_args(hint) if arg is not type(None)))
        return None if inner is None else lambda value: None if value is None else inner(value)
    if origin is tuple:
        each = reader(get_args(hint)[0])
        return tuple if each is None else lambda values: tuple(map(each, values))
    if hint in (str, int, bool):
        return None
    if hint is UUID:
        return uuid
    if hint is datetime:
        return datetime.fromisoformat
    if hint is date:
        return date.fromisoformat
    if hint in (Decimal, Private):
        return hint  # type: ignore[no-any-return]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Members(hint).__getitem__
    if is_dataclass(hint) and isinstance(hint, type):
        return value_reader(hint)
    raise TypeError(f"An event can't hold {hint!r}.")


def value_reader(kind: type[Any]) -> Read:
    """Return the function that reads a value object, without running its checks again: what is recorded is recorded."""
    hints = get_type_hints(kind)
    readers = [(f.name, r) for f in fields(kind) if (r := reader(hints[f.name])) is not None]
    defaults = {f.name: None if f.default is MISSING else f.default for f in fields(kind)}

    def read(said: dict[str, Any]) -> Any:
        values = said if len(said) == len(defaults) else {**defaults, **said}
        for name, convert in readers:
            if (value := values[name]) is not None:
                values[name] = convert(value)
        result = object.__new__(kind)
        object.__setattr__(result, "__dict__", values)
        return result

    return read


class Members(dict[Any, Enum]):
    """The members of an enumeration by their values; to ask the enumeration itself takes ten times as long."""

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__({member.value: member for member in kind})
        self._kind = kind

    def __missing__(self, value: object) -> Enum:
        return self._kind(value)


class StoredUUID(UUID):
    """A UUID that was stored as text: it is text again for nothing, and a number only when it is asked for."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        _set_text(self, text)

    def __getattr__(self, name: str) -> Any:
        # Only what was never set comes here: the number that `UUID` makes everything else of.
        if name == "int":
            object.__setattr__(self, "int", int(self.text.replace("-", ""), 16))
            return self.int
        if name == "is_safe":
            return SafeUUID.unknown
        raise AttributeError(name)

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return UUID, (self.text,)


PLAIN[StoredUUID] = attrgetter("text")
# What `object.__setattr__` comes to, without the look for it: ids are frozen.
_set_text = StoredUUID.__dict__["text"].__set__


@lru_cache(maxsize=16_384)
def uuid(text: str) -> UUID:
    """Return the UUID of a stored text, with hyphens or without; the same ids come again and again in a log."""
    if len(text) == 32:
        text = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return StoredUUID(text)
