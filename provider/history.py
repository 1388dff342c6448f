"""The history as people read it: entries of the log with their sentences, and the names in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from domain import worker
from domain.private import Private
from projections import directory, history
from projections.projection import Reading
from projections.sentences import body, sentence
from provider.office import Office

ERASED = "(erased)"
UNKNOWN = "(unknown)"


class Told(NamedTuple):
    """One event, as it lies in the log and as people read it.

    `state` is the stored JSON; `actor` and `on_behalf_of` are names; `note` is what the event's note says, None where
    it has none, “(erased)” where its owner's key is gone.
    """

    position: int
    event: Any
    request: Mapping[str, str] | None
    state: bytes
    sentence: str
    actor: str
    on_behalf_of: str | None
    note: str | None


def tell(office: Office, read: Reading, positions: Sequence[int], *, at: int | None = None) -> dict[int, Told]:
    """Return the events at these positions by position, with the names as of `at`, or as of now.

    However many they are, the log, the views and the vault are asked once each (the views by kind of thing).
    """
    mapper: Any = office.log.mapper
    found = [
        (position, *mapper.read(stream, version, topic, state), state)
        for position, stream, version, topic, state in office.log.entries.at(positions)
    ]
    wanted: set[str] = set()

    def want(each: str) -> str:
        wanted.add(each)
        return ""

    for _, event, _, _ in found:
        sentence(event, want)
    notes = [note for _, event, _, _ in found if (note := getattr(event, "note", None)) is not None]
    names, opened = _names(office, read, wanted, notes, at)

    def name(each: object) -> str:
        return names.get(str(each), UNKNOWN)

    return {
        position: Told(
            position,
            event,
            request,
            state,
            sentence(event, name),
            name(event.by),
            None if event.on_behalf_of is None else name(event.on_behalf_of),
            _said(opened, getattr(event, "note", None)),
        )
        for position, event, request, state in found
    }


def _names(
    office: Office, read: Reading, ids: Iterable[str], notes: Iterable[Private], at: int | None
) -> tuple[dict[str, str], Mapping[Private, str | None]]:
    """Return what the ids are called within a sentence, and all private values that were opened on the way."""
    things = history.things_by_ids(read, ids, at=at)
    courses = {row["course"] for row in things.values() if row["course"] is not None} - things.keys()
    titles = {**things, **(history.things_by_ids(read, courses, at=at) if courses else {})}
    people = directory.names_by_ids(read, {row["person"] for row in things.values() if row["person"]}, at=at)
    handles = [Private(row[part]) for row in people.values() for part in _PARTS if row[part]]
    opened = office.vault.open([*handles, *notes])
    persons = {person: _person(row, opened) for person, row in people.items()}
    named = {each: _thing(row, titles, persons) for each, row in things.items()}
    return {**named, **{str(each): called for each, called in worker.NAMES.items()}}, opened


_PARTS = ("given", "family", "certificate_name")


def _person(row: Mapping[str, Any], opened: Mapping[Private, str | None]) -> str:
    """Return a person's name: given and family name, or else the name for certificates."""
    said = [_said(opened, row[part]) for part in _PARTS]
    parts = [part for part in said[:2] if part is not None] or [part for part in said[2:] if part is not None]
    return ERASED if ERASED in parts else " ".join(parts)


def _said(opened: Mapping[Private, str | None], handle: str | None) -> str | None:
    if handle is None:
        return None
    value = opened.get(Private(handle))
    return ERASED if value is None else value


def _thing(row: Mapping[str, Any], titles: Mapping[str, Mapping[str, Any]], persons: Mapping[str, str]) -> str:
    course = f"“{titles[row['course']]['label']}”" if row["course"] in titles else UNKNOWN
    person = persons.get(row["person"], UNKNOWN)
    match row["kind"]:
        case "institution" | "authorisation":
            return str(row["label"])
        case "course":
            return course
        case "enrolment":
            return f"{person}'s enrolment in {course}"
        case "register":
            return f"session {row['number']} of {course}"
        case "certificate":
            return f"{row['label']} of {person}"
        case "submission":
            return f"{body(row['label'])} for {course}"
        case _:
            return person
