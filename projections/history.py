"""The history: every event, by subject, actor, kind and time."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from projections.projection import FOREVER, Projection, Rows, instant, number, text, uid, view_table

entries = view_table(
    "history_entries",
    number("position"),
    uid("stream"),
    number("version"),
    text("topic"),
    uid("actor"),
    text("at"),
    text("recorded_at"),
    text("request"),
    key=("position",),
    indexes=[("stream", "version"), ("recorded_at",), ("actor",), ("topic",)],
)
subjects = view_table("history_subjects", uid("subject"), number("position"), key=("subject", "position"))

history = Projection("history", version=1, tables=(entries, subjects))


_NAMED: dict[type[Any], tuple[str, ...]] = {}


def _ids_in(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields of a class of events that name a thing or a person, other than who did it."""
    if kind not in _NAMED:
        _NAMED[kind] = tuple(
            field.name
            for field in fields(kind)
            if field.type in ("UUID", "UUID | None") and field.name not in ("originator_id", "by")
        )
    return _NAMED[kind]


@history.on_every
def entered(rows: Rows, event: Any) -> None:
    """Note where the event stands, and every thing and person that it names."""
    stream = str(event.originator_id)
    rows.add(
        entries,
        position=rows.position,
        stream=stream,
        version=event.originator_version,
        topic=event.TOPIC,
        actor=event.by,
        at=event.at,
        recorded_at=event.timestamp,
        request=rows.request["id"] if rows.request else None,
    )
    said = {stream}
    said.update(str(value) for name in _ids_in(type(event)) if (value := getattr(event, name)) is not None)
    for subject in said:
        rows.add(subjects, subject=subject, position=rows.position)


def position_at(read: Connection, moment: datetime) -> int:
    """Return the last position before the first event that was recorded later than this moment.

    Stamps come from several processes, so they need not rise with the position; before the first later one, all are
    earlier.
    """
    first_later = read.execute(
        select(func.min(entries.c.position)).where(entries.c.recorded_at > instant(moment))
    ).scalar()
    if first_later is not None:
        return int(first_later) - 1
    return int(read.execute(select(func.max(entries.c.position))).scalar() or 0)


def version_of(read: Connection, stream: UUID | str, *, at: int | None = None) -> int | None:
    """Return the version that a stream had as of a position, None before its first event."""
    version = read.execute(
        select(func.max(entries.c.version)).where(
            entries.c.stream == str(stream), entries.c.position <= (FOREVER if at is None else at)
        )
    ).scalar()
    return None if version is None else int(version)
