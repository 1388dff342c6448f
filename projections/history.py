"""The history: every event, by whom and what it is about, by kind, time and position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from eventsourcing.utils import get_topic
from sqlalchemy import BindParameter, ColumnElement, bindparam, func, or_, select

from domain.access import Access
from domain.certificate import Certificate
from domain.course import Course
from domain.enrolment import Enrolment
from domain.institution import Institution
from domain.person import Person
from domain.register import AttendanceRegister
from domain.submission import Submission
from domain.trainer import Trainer
from projections.projection import (
    FOREVER,
    Prepared,
    Projection,
    Reading,
    Row,
    Rows,
    Stored,
    contents,
    flag,
    holds,
    instant,
    number,
    portions,
    text,
    uid,
    view_table,
)

LATE = timedelta(hours=24)
"""What is recorded later than this after it happened is a late entry, which auditors look at."""

entries = view_table(
    "history_entries",
    number("position"),
    uid("stream"),
    number("version"),
    text("topic"),
    uid("actor"),
    uid("course"),
    uid("person"),
    text("at"),
    text("recorded_at"),
    flag("late"),
    text("request"),
    key=("position",),
    indexes=[
        ("stream", "version"),
        ("actor", "position"),
        ("course", "position"),
        ("person", "position"),
        ("topic", "position"),
    ],
    only_added=True,
)
"""One row per event. `course` and `person` are the ones it is about first of all, also where only its stream knows."""

subjects = view_table(
    "history_subjects", uid("subject"), number("position"), key=("subject", "position"), only_added=True
)
"""Whatever else an event names: both people of a substitution, all trainers of a session, everybody on a submission."""

clock = view_table("history_clock", number("clock"), text("latest"), number("noted"), key=("clock",), now_only=True)
"""One row: the end of the hundredth of a second in which the latest stamp lies, and the last position in `times`."""

times = view_table("history_times", text("latest"), number("position"), key=("latest", "position"), only_added=True)
"""Every so often, how far the log is: up to this position, nothing was recorded later than this.

Both rise from row to row, also where stamps fall, so that what was recorded before a moment, or after it, is found
without an index of all stamps.
"""

behind = view_table("history_behind", number("position"), text("recorded_at"), key=("position",), only_added=True)
"""The events that were recorded long before one that stands earlier: somebody's clock is wrong, or was."""

A_MOMENT = timedelta(microseconds=1)

EVERY = 250
"""After how many positions the next row of `times` comes."""

APART = timedelta(seconds=5)
"""How far stamps may fall, since processes record at the same time, without their event being `behind`."""

things = view_table(
    "history_things",
    text("thing"),
    text("kind"),
    uid("course"),
    uid("person"),
    number("number"),
    text("label"),
    key=("thing",),
)
"""What an id stands for, so that a sentence can name it: one row per stream, by its id.

A line of a submission and an authorisation of a trainer have rows too, by the stream's id, a slash and their number.
"""

history = Projection("history", version=4, tables=(entries, subjects, clock, times, behind, things))

Made = Callable[[str, Mapping[str, Any]], Row]

MADE: dict[str, Made] = {
    get_topic(kind): made
    for kind, made in {
        Institution.Founded: lambda _, said: {"kind": "institution", "label": said["name"]},
        Person.Registered: lambda stream, _: {"kind": "person", "person": stream},
        Trainer.Registered: lambda _, said: {"kind": "trainer", "person": said["person"]},
        Access.Opened: lambda _, said: {"kind": "access", "person": said["person"]},
        Course.Drafted: lambda stream, said: {"kind": "course", "course": stream, "label": said["title"]},
        Enrolment.Requested: lambda _, said: {"kind": "enrolment", "course": said["course"], "person": said["person"]},
        AttendanceRegister.Opened: lambda _, said: {
            "kind": "register",
            "course": said["course"],
            "number": said["session"],
        },
        Certificate.Issued: lambda _, said: {
            "kind": "certificate",
            "course": said["facts"]["course"],
            "person": said["facts"]["person"],
            "label": said["number"],
        },
        Submission.Drafted: lambda _, said: {"kind": "submission", "course": said["course"], "label": said["body"]},
    }.items()
}
"""What a stream is, by its id and what its first event says."""

_NAMING = frozenset(
    {
        "approved_by",
        "copied_from",
        "elsewhere",
        "enrolment",
        "facts",
        "lead",
        "line",
        "lines",
        "on_behalf_of",
        "register",
        "requested_by",
        "stream",
        "substitutes",
        "survivor",
        "trainer",
        "trainer_person",
        "trainers",
    }
)
"""Members by which an event names a person or a thing, beside its course and person: ids, lists of them, what holds
them further in, or numbers that stand for somebody. Marks, devices and tokens are neither person nor thing.
"""


@history.on_every
def entered(rows: Rows, event: Stored) -> None:
    """Note where the event stands, and everybody and everything that it is about."""
    stream, version, topic, said = event
    if (made := MADE.get(topic)) is not None:
        rows.add(things, thing=stream, **made(stream, said))
    thing = rows.get(things, stream) or {}
    course = said.get("course") or thing.get("course")
    person = said.get("person") or thing.get("person")
    recorded = said["timestamp"]
    at = said["at"]
    stamp = _instant(recorded)
    rows.add(
        entries,
        position=rows.position,
        stream=stream,
        version=version,
        topic=topic,
        actor=said.get("by"),
        course=course,
        person=person,
        at=_instant(at),
        recorded_at=stamp,
        # On the same day, nobody has to look closer.
        late=recorded[:10] != at[:10] and datetime.fromisoformat(recorded) - datetime.fromisoformat(at) > LATE,
        request=rows.request["id"] if rows.request else None,
    )
    _time_went_on(rows, stamp)
    named = {thing.get("person")}
    for name in _NAMING.intersection(said):
        if isinstance(value := said[name], str):
            named.add(value)
        else:
            named.update(_held(rows, stream, course, value))
    named -= {None, stream, course, person}
    for subject in named:
        rows.add(subjects, subject=subject, position=rows.position)


def _instant(stored: str) -> str:
    """Return a stored time as `instant` does; where the seconds were whole, their zeros were left out."""
    if len(stored) == len("2026-05-04T07:00:00.000000Z"):
        return stored
    if len(stored) == len("2026-05-04T07:00:00Z"):
        return f"{stored[:-1]}.000000Z"
    return instant(datetime.fromisoformat(stored))


def _time_went_on(rows: Rows, stamp: str) -> None:
    known = rows.get(clock, 0) or {"latest": "", "noted": 0}
    latest, noted = known["latest"], known["noted"]
    if stamp > latest:
        # To the end of its hundredth of a second: in a busy one the row stays as it is.
        latest = f"{stamp[:-5]}9999Z"
    elif stamp[:19] != latest[:19] and datetime.fromisoformat(latest) - datetime.fromisoformat(stamp) > APART:
        rows.add(behind, position=rows.position, recorded_at=stamp)
    if rows.position >= noted + EVERY:
        noted = rows.position
        rows.add(times, latest=latest, position=noted)
    if (latest, noted) != (known["latest"], known["noted"]):
        rows.put(clock, clock=0, latest=latest, noted=noted)


def _held(rows: Rows, stream: str, course: str | None, value: Any) -> Iterator[str]:
    """Give the ids in a member that holds them; a whole number is a line of the submission that the event is of."""
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, str):
            yield each
        elif isinstance(each, int):
            if (line := rows.get(things, f"{stream}/{each}")) is not None:
                yield line["person"]
        elif each is not None:
            for name in ("course", "enrolment", "person", "register", "trainer"):
                if (named := each.get(name)) is not None:
                    yield named
            if "line" in each:
                line_key = f"{stream}/{each['line']}"
                rows.add(things, thing=line_key, kind="line", course=course, person=each["person"], number=each["line"])


def position_at(read: Reading, moment: datetime) -> int:
    """Return the last position before the first event that was recorded later than this moment.

    Stamps come from several processes, so they need not rise with the position; before the first later one, all are
    earlier.
    """
    said = instant(moment)
    first_later = _LATER.first(read, moment=said, after=_noted_by(read, said))
    if first_later is not None:
        return int(first_later[0]) - 1
    return int(read.execute(select(func.max(entries.c.position))).scalar() or 0)


_MOMENT: BindParameter[str] = bindparam("moment")
_BY_THEN = Prepared(
    select(times.c.position)
    .where(times.c.latest <= _MOMENT)
    .order_by(times.c.latest.desc(), times.c.position.desc())
    .limit(1)
)
_FROM_THEN = Prepared(
    select(times.c.position).where(times.c.latest >= _MOMENT).order_by(times.c.latest, times.c.position).limit(1)
)
_LATER = Prepared(
    select(entries.c.position)
    .where(entries.c.position > bindparam("after"), entries.c.recorded_at > _MOMENT)
    .order_by(entries.c.position)
    .limit(1)
)


def _noted_by(read: Reading, moment: str) -> int:
    """Return a position up to which nothing was recorded later than this moment, at most a few hundred too early."""
    found = _BY_THEN.first(read, moment=moment)
    return 0 if found is None else int(found[0])


def _none_before(read: Reading, moment: datetime) -> int | None:
    """Return a position after which nothing was recorded before this moment, None where all may have been."""
    found = _FROM_THEN.first(read, moment=instant(moment + APART))
    if found is None:
        return None
    stray = read.execute(select(func.max(behind.c.position)).where(behind.c.recorded_at < instant(moment))).scalar()
    return max(int(found[0]), int(stray or 0))


def version_of(read: Reading, stream: UUID | str, *, at: int | None = None) -> int | None:
    """Return the version that a stream had as of a position, None before its first event."""
    version = read.execute(
        select(func.max(entries.c.version)).where(
            entries.c.stream == str(stream), entries.c.position <= (FOREVER if at is None else at)
        )
    ).scalar()
    return None if version is None else int(version)


def versions_of(read: Reading, streams: Iterable[str], *, at: int | None = None) -> dict[str, int]:
    """Return the versions that streams had as of a position; those that had not begun are left out.

    So no view has to write a row anew only because its stream went on.
    """
    wanted = sorted(set(streams))
    found: dict[str, int] = {}
    for some in portions(wanted):
        chunk = (
            select(entries.c.stream, func.max(entries.c.version))
            .where(entries.c.stream.in_(some), entries.c.position <= (FOREVER if at is None else at))
            .group_by(entries.c.stream)
        )
        found.update((row[0], int(row[1])) for row in read.execute(chunk))
    return found


def listing(
    read: Reading,
    *,
    subject: UUID | str | None = None,
    course: UUID | str | None = None,
    actor: UUID | str | None = None,
    kind: str | None = None,
    recorded_from: datetime | None = None,
    recorded_to: datetime | None = None,
    position_from: int | None = None,
    position_to: int | None = None,
    late: bool | None = None,
    newest_first: bool = False,
    after: int | None = None,
    limit: int = 50,
    at: int | None = None,
) -> list[dict[str, Any]]:
    """Return up to `limit + 1` entries that fit all that is asked, in the order of their positions.

    `subject` is anything or anybody the event is about or names; `course` everything that belongs to it; `actor` who
    did it; `kind` a whole topic (`enrolment.withdrawn`) or its first part (`enrolment`). Times and positions are
    aware datetimes and numbers; `recorded_to` is the first moment that no longer counts, `position_to` the last
    position that does. `after` is the position of the last entry of the page before.

    Each is a dict of `position`, `stream`, `version`, `topic`, `actor`, `course`, `person`, `at`, `recorded_at`,
    `late` and `request`.
    """
    position = entries.c.position
    wanted: list[ColumnElement[bool]] = []
    if subject is not None:
        wanted.append(_about(str(subject)))
    if course is not None:
        wanted.append(entries.c.course == str(course))
    if actor is not None:
        wanted.append(entries.c.actor == str(actor))
    if kind is not None:
        # Of a whole noun there are too many to be sorted, and of a kind there are more than of a course or a subject.
        # The beginning is compared so that no index is used for it.
        whole = "." in kind
        if whole and course is None and subject is None:
            wanted.append(entries.c.topic == kind)
        else:
            wanted.append(func.substr(entries.c.topic, 1, len(kind) + 1) == (kind if whole else f"{kind}."))
    if recorded_from is not None:
        wanted.append(entries.c.recorded_at >= instant(recorded_from))
        wanted.append(position > _noted_by(read, instant(recorded_from - A_MOMENT)))
    if recorded_to is not None:
        wanted.append(entries.c.recorded_at < instant(recorded_to))
        if (last := _none_before(read, recorded_to)) is not None:
            wanted.append(position <= last)
    if position_from is not None:
        wanted.append(position >= position_from)
    if position_to is not None:
        wanted.append(position <= position_to)
    if late is not None:
        wanted.append(entries.c.late == late)
    if at is not None:
        wanted.append(position <= at)
    if after is not None:
        wanted.append(position < after if newest_first else position > after)
    found = select(entries).where(*wanted).order_by(position.desc() if newest_first else position).limit(limit + 1)
    return [contents(row) for row in read.execute(found)]


def entry(read: Reading, position: int, *, at: int | None = None) -> dict[str, Any] | None:
    """Return one entry, as `listing` does; None where there is none as of then."""
    if position > (FOREVER if at is None else at):
        return None
    row = read.execute(select(entries).where(entries.c.position == position)).first()
    return None if row is None else contents(row)


def things_by_ids(read: Reading, ids: Iterable[str], *, at: int | None = None) -> dict[str, dict[str, Any]]:
    """Return what ids stand for; those unknown are left out.

    Each is a dict of `thing`, `kind` (institution, person, trainer, access, course, enrolment, register, certificate,
    submission, line or authorisation), and of what is known of it: `course`, `person`, `number` and `label`.
    """
    wanted = sorted(set(ids))
    found: dict[str, dict[str, Any]] = {}
    for some in portions(wanted):
        chunk = select(things).where(things.c.thing.in_(some), holds(things, at))
        found.update((row.thing, contents(row)) for row in read.execute(chunk))
    return found


@history.on(Institution.Renamed)
def _renamed(rows: Rows, event: Institution.Renamed) -> None:
    rows.change(things, event.originator_id, label=event.name)


@history.on(Trainer.Authorised)
def _authorised(rows: Rows, event: Trainer.Authorised) -> None:
    rows.add(
        things,
        thing=f"{event.originator_id}/{event.number}",
        kind="authorisation",
        number=event.number,
        label=f"{event.body}/{event.code}",
    )


def _about(subject: str) -> ColumnElement[bool]:
    named = select(subjects.c.position).where(subjects.c.subject == subject)
    return or_(
        entries.c.stream == subject,
        entries.c.course == subject,
        entries.c.person == subject,
        entries.c.position.in_(named),
    )
