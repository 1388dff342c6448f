"""The roster: who is on a course, who waits, and how each learner attended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha1
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    BindParameter,
    Column,
    Label,
    Text,
    and_,
    bindparam,
    cast,
    or_,
    select,
)

from domain.course import Course
from domain.enrolment import ENROLMENTS, Enrolment, Stage
from domain.register import AttendanceRegister
from projections.directory import people_rows
from projections.projection import (
    THEN,
    JsonText,
    Lookup,
    Prepared,
    Projection,
    Reading,
    Row,
    Rows,
    expected,
    flag,
    holds,
    json,
    number,
    plain,
    text,
    uid,
    view_table,
)

enrolments = view_table(
    "roster_enrolments",
    uid("enrolment"),
    uid("course"),
    uid("person"),
    number("requested"),
    text("requested_at"),
    text("standing"),
    text("source"),
    text("order_reference"),
    number("ticket"),
    flag("seat_held"),
    text("skipped"),
    text("override"),
    number("walk_in"),
    flag("walk_in_confirmed"),
    uid("substitutes"),
    uid("substituted_by"),
    flag("participation"),
    flag("completed"),
    json("marks"),
    number("version"),
    key=("enrolment",),
    indexes=[("course",)],
)
"""One row per enrolment. `requested` is the position at which it began, `ticket` the one in the queue, `skipped` why
somebody was passed over, `override` why they have a seat beyond the capacity, `walk_in` the session to which they came.

`marks` are the standing ones by the session's number, each with `status`, `late` and `left` in minutes, `in` and `out`
(signed, ISO text), `mark` (its id), `conflict`, and `by` (its author).
"""

particulars = view_table(
    "roster_particulars",
    uid("enrolment"),
    text("reason"),
    text("note"),
    json("body_emails_asked"),
    json("prerequisites"),
    json("make_ups"),
    key=("enrolment",),
)
"""What is known of an enrolment beside its row; `reason` and `note` (a handle) say why it ended, or is a no-show."""

registers = view_table(
    "roster_registers", uid("register"), uid("course"), number("session"), key=("register",), now_only=True
)

other_marks = view_table(
    "roster_other_marks", uid("register"), uid("mark"), json("said"), key=("register", "mark"), now_only=True
)
"""The marks that could stand some day: of those marked more than once, set aside, or asked for after the seal.

A learner's only mark, which is nearly all of them, is in their row alone.
"""

roster = Projection("roster", version=2, tables=(enrolments, particulars, registers, other_marks), half=1)

ON_COURSE = (Stage.CONFIRMED.value, Stage.NO_SHOW.value)
"""The standings of those who have a seat."""


VARIANT = dict(zip("0123456789abcdef", 4 * "89ab", strict=True))
"""The digit that says the variant (RFC 9562, 4.1), by the digit of the hash that was in its place."""


@lru_cache(maxsize=16_384)
def enrolment_of(course: str, person: str) -> str:
    """Return the id of a person's enrolment in a course, as `Enrolment.create_id` does, from text to text.

    The same ones come again and again in a log; of those that are new, the library's way makes three ids and takes
    five times as long.
    """
    # A UUID of version 5 (RFC 9562, 5.5): 122 bits of a hash, four of the version and two of the variant.
    said = sha1(ENROLMENTS.bytes + f"{course}/{person}".encode(), usedforsecurity=False).hexdigest()
    return f"{said[:8]}-{said[8:12]}-5{said[13:16]}-{VARIANT[said[16]]}{said[17:20]}-{said[20:32]}"


@roster.on(Enrolment.Requested)
def _requested(rows: Rows, event: Enrolment.Requested) -> None:
    # A course's event about the seat may come first: all were recorded together.
    seat = rows.get(enrolments, event.originator_id) or {}
    rows.put(
        enrolments,
        enrolment=event.originator_id,
        course=event.course,
        person=event.person,
        requested=rows.position,
        requested_at=event.at,
        standing=event.standing,
        source=event.source,
        order_reference=event.order_reference,
        ticket=seat.get("ticket"),
        seat_held=seat.get("seat_held", False),
        override=seat.get("override"),
        substitutes=event.substitutes,
        marks={},
        version=event.originator_version,
    )
    rows.add(particulars, enrolment=event.originator_id, body_emails_asked={}, prerequisites=[], make_ups=[])


@roster.on(Enrolment.RequestedAgain)
def _requested_again(rows: Rows, event: Enrolment.RequestedAgain) -> None:
    rows.change(
        enrolments,
        event.originator_id,
        standing=event.standing,
        source=event.source,
        order_reference=event.order_reference,
        walk_in=None,
        walk_in_confirmed=None,
        substitutes=event.substitutes,
        substituted_by=None,
        version=event.originator_version,
    )
    rows.change(particulars, event.originator_id, reason=None, note=None)


@roster.on(Enrolment.Confirmed)
def _confirmed(rows: Rows, event: Enrolment.Confirmed) -> None:
    rows.change(enrolments, event.originator_id, standing=Stage.CONFIRMED, version=event.originator_version)


@roster.on(Enrolment.Withdrawn)
def _withdrawn(rows: Rows, event: Enrolment.Withdrawn) -> None:
    _stands(rows, event, Stage.WITHDRAWN)


@roster.on(Enrolment.Cancelled)
def _cancelled(rows: Rows, event: Enrolment.Cancelled) -> None:
    _stands(rows, event, Stage.CANCELLED)


@roster.on(Enrolment.SubstitutedBy)
def _substituted(rows: Rows, event: Enrolment.SubstitutedBy) -> None:
    _stands(rows, event, Stage.SUBSTITUTED)
    rows.change(enrolments, event.originator_id, substituted_by=event.enrolment)
    # Who waited before is confirmed rather than requested, and that event doesn't say whose seat it was.
    rows.change(enrolments, event.enrolment, substitutes=event.originator_id)


@roster.on(Enrolment.NoShowDeclared)
def _no_show(rows: Rows, event: Enrolment.NoShowDeclared) -> None:
    _stands(rows, event, Stage.NO_SHOW)


@roster.on(Enrolment.NoShowLifted)
def _no_show_lifted(rows: Rows, event: Enrolment.NoShowLifted) -> None:
    rows.change(enrolments, event.originator_id, standing=Stage.CONFIRMED, version=event.originator_version)
    rows.change(particulars, event.originator_id, reason=None, note=None)


def _stands(rows: Rows, event: Any, standing: Stage) -> None:
    rows.change(enrolments, event.originator_id, standing=standing, version=event.originator_version)
    rows.change(particulars, event.originator_id, reason=event.reason, note=event.note)


@roster.on(Enrolment.WalkInAdmitted)
def _walk_in_admitted(rows: Rows, event: Enrolment.WalkInAdmitted) -> None:
    rows.change(
        enrolments,
        event.originator_id,
        standing=Stage.CONFIRMED,
        walk_in=event.session,
        walk_in_confirmed=False,
        version=event.originator_version,
    )


@roster.on(Enrolment.WalkInConfirmed)
def _walk_in_confirmed(rows: Rows, event: Enrolment.WalkInConfirmed) -> None:
    rows.change(enrolments, event.originator_id, walk_in_confirmed=True, version=event.originator_version)


@roster.on(Enrolment.BodyEmailAsked)
def _body_email_asked(rows: Rows, event: Enrolment.BodyEmailAsked) -> None:
    known = expected(rows, particulars, event.originator_id)["body_emails_asked"]
    rows.change(particulars, event.originator_id, body_emails_asked={**known, event.body: event.answered})
    rows.change(enrolments, event.originator_id, version=event.originator_version)


@roster.on(Enrolment.PrerequisiteDeclared)
def _prerequisite_declared(rows: Rows, event: Enrolment.PrerequisiteDeclared) -> None:
    known = expected(rows, particulars, event.originator_id)["prerequisites"]
    said = plain({"evidence": event.evidence, "at": event.at, "recorded_by": event.by})
    rows.change(particulars, event.originator_id, prerequisites=[*known, said])
    rows.change(enrolments, event.originator_id, version=event.originator_version)


@roster.on(Enrolment.MakeUpCredited)
def _make_up_credited(rows: Rows, event: Enrolment.MakeUpCredited) -> None:
    known = expected(rows, particulars, event.originator_id)["make_ups"]
    said = {
        "number": event.number,
        "session": event.session,
        "minutes": event.minutes,
        "elsewhere": event.elsewhere,
        "trainer": event.trainer,
        "evidence": event.evidence,
        "withdrawn": None,
    }
    rows.change(particulars, event.originator_id, make_ups=[*known, plain(said)])
    rows.change(enrolments, event.originator_id, version=event.originator_version)


@roster.on(Enrolment.MakeUpWithdrawn)
def _make_up_withdrawn(rows: Rows, event: Enrolment.MakeUpWithdrawn) -> None:
    known = expected(rows, particulars, event.originator_id)["make_ups"]
    rows.change(
        particulars,
        event.originator_id,
        make_ups=[{**each, "withdrawn": event.reason} if each["number"] == event.number else each for each in known],
    )
    rows.change(enrolments, event.originator_id, version=event.originator_version)


@roster.on(Enrolment.ParticipationAttested)
def _participation_attested(rows: Rows, event: Enrolment.ParticipationAttested) -> None:
    rows.change(enrolments, event.originator_id, participation=event.attested, version=event.originator_version)


@roster.on(Enrolment.CompletionDecided)
def _completion_decided(rows: Rows, event: Enrolment.CompletionDecided) -> None:
    rows.change(enrolments, event.originator_id, completed=event.completed, version=event.originator_version)


# The course's seats and queue.


@roster.on(Course.SeatTaken)
def _seat_taken(rows: Rows, event: Course.SeatTaken) -> None:
    _seated(rows, event, event.enrolment, ticket=None, seat_held=False, skipped=None, override=event.override)


@roster.on(Course.Queued)
def _queued(rows: Rows, event: Course.Queued) -> None:
    _seated(rows, event, event.enrolment, ticket=event.ticket, seat_held=False, skipped=None, override=None)


def _seated(rows: Rows, event: Course.SeatTaken | Course.Queued, enrolment: UUID, **values: object) -> None:
    if rows.get(enrolments, enrolment) is None:
        rows.add(enrolments, enrolment=enrolment, course=event.originator_id, person=event.person, **values)
    else:
        rows.change(enrolments, enrolment, **values)


@roster.on(Course.SeatHeld)
def _seat_held(rows: Rows, event: Course.SeatHeld) -> None:
    rows.change(enrolments, enrolment_of(str(event.originator_id), str(event.person)), seat_held=True, skipped=None)


@roster.on(Course.SkippedInQueue)
def _skipped(rows: Rows, event: Course.SkippedInQueue) -> None:
    rows.change(
        enrolments, enrolment_of(str(event.originator_id), str(event.person)), seat_held=False, skipped=event.reason
    )


@roster.on(Course.QueueLeft, Course.SeatFreed)
def _left(rows: Rows, event: Course.QueueLeft | Course.SeatFreed) -> None:
    rows.change(
        enrolments,
        enrolment_of(str(event.originator_id), str(event.person)),
        ticket=None,
        seat_held=False,
        skipped=None,
        override=None,
    )


# The registers' marks.


@roster.on(AttendanceRegister.Opened)
def _register_opened(rows: Rows, event: AttendanceRegister.Opened) -> None:
    rows.add(registers, register=event.originator_id, course=event.course, session=event.session)


@roster.on(AttendanceRegister.Marked)
def _marked(rows: Rows, event: AttendanceRegister.Marked) -> None:
    enrolment, session, row = _marked_in(rows, event, event.person)
    said = _said(event, conflict=event.conflict)
    standing = row["marks"].get(session)
    if standing is not None:
        _keep(rows, event, standing)
        _keep(rows, event, said)
        said = _standing(rows, event, event.stands, standing, conflict=event.conflict)
    rows.change(enrolments, enrolment, marks={**row["marks"], session: said})


@roster.on(AttendanceRegister.MarkSetAside, AttendanceRegister.AmendmentRequested)
def _mark_aside(rows: Rows, event: AttendanceRegister.MarkSetAside | AttendanceRegister.AmendmentRequested) -> None:
    _keep(rows, event, _said(event, conflict=False))


@roster.on(AttendanceRegister.MarkAdmitted)
def _mark_admitted(rows: Rows, event: AttendanceRegister.MarkAdmitted) -> None:
    _restand(rows, event, event.stands, conflict=event.conflict)


@roster.on(AttendanceRegister.ConflictResolved, AttendanceRegister.AmendmentApproved)
def _mark_chosen(rows: Rows, event: AttendanceRegister.ConflictResolved | AttendanceRegister.AmendmentApproved) -> None:
    _restand(rows, event, event.mark, conflict=False)


def _restand(rows: Rows, event: Any, mark: UUID, *, conflict: bool) -> None:
    """Let a mark on record stand for a person."""
    enrolment, session, row = _marked_in(rows, event, event.person)
    standing = row["marks"].get(session)
    if standing is not None:
        _keep(rows, event, standing)
    said = _standing(rows, event, mark, standing, conflict=conflict)
    rows.change(enrolments, enrolment, marks={**row["marks"], session: said})


def _marked_in(rows: Rows, event: AttendanceRegister.Event, person: UUID) -> tuple[str, str, Row]:
    """Return the id of the enrolment, the session's number as a key of its marks, and its row."""
    register = expected(rows, registers, event.originator_id)
    enrolment = enrolment_of(register["course"], str(person))
    return enrolment, str(register["session"]), expected(rows, enrolments, enrolment)


def _said(event: Any, *, conflict: bool) -> dict[str, Any]:
    return {
        "status": event.status.value,
        "late": event.late_minutes,
        "left": event.left_early_minutes,
        "in": plain(event.signed_in),
        "out": plain(event.signed_out),
        "mark": str(event.mark),
        "conflict": conflict,
        "by": str(event.by),
    }


def _keep(rows: Rows, event: AttendanceRegister.Event, said: Mapping[str, Any]) -> None:
    rows.put(other_marks, register=event.originator_id, mark=said["mark"], said={**said, "conflict": False})


def _standing(
    rows: Rows, event: AttendanceRegister.Event, mark: UUID, standing: Mapping[str, Any] | None, *, conflict: bool
) -> dict[str, Any]:
    """Return what the mark says that stands: the one that stood before, or another that was kept."""
    if standing is not None and standing["mark"] == str(mark):
        return {**standing, "conflict": conflict}
    return {**expected(rows, other_marks, event.originator_id, mark)["said"], "conflict": conflict}


# The queries.


def _read_as(column: Column[Any]) -> Column[Any] | Label[str]:
    """Return the column as it is read; JSON as text, because orjson is several times quicker than the driver's way."""
    return cast(column, Text).label(column.name) if isinstance(column.type, JsonText) else column


_COLUMNS = [column for column in enrolments.columns if column.name not in ("since", "until")]
_SEATED = or_(*(enrolments.c.standing == standing for standing in ON_COURSE))

_LEARNERS = Lookup(enrolments, "course", order=("requested",), only=_SEATED)
_ENROLMENT = Lookup(enrolments, "enrolment")
_BESIDE = Lookup(particulars, "enrolment")
_COURSE_OF = Prepared(select(enrolments.c.course).where(enrolments.c.enrolment == bindparam("enrolment")).limit(1))


ROSTER_LINE = (
    "enrolment",
    "since",
    "person_since",
    "person",
    "standing",
    "source",
    "order_reference",
    "walk_in",
    "walk_in_confirmed",
    "override",
    "substitutes",
    "participation",
    "completed",
    "marks",
    "given",
    "family",
    "certificate_name",
)
"""The members of a line: first its version, at last the handles of the learner's names; `marks` is JSON text."""

LineVersion = tuple[str, int, int | None]
"""What a line of the roster is made of: the enrolment, and since when its row and its person's are as they are."""


def _lines(members: Sequence[str]) -> tuple[Prepared, Prepared]:
    """Return the statements for lines as of now, and as of a position."""
    of_person = {"person_since": people_rows.c.since} | {
        name: people_rows.c[name] for name in ("given", "family", "certificate_name")
    }
    columns = [of_person[name].label(name) if name in of_person else _read_as(enrolments.c[name]) for name in members]
    return _joined(columns, None), _joined(columns, THEN)


def _joined(columns: Sequence[Any], at: BindParameter[int] | None) -> Prepared:
    theirs = and_(people_rows.c.person == enrolments.c.person, holds(people_rows, at))
    return Prepared(
        select(*columns)
        .outerjoin_from(enrolments, people_rows, theirs)
        .where(enrolments.c.course == bindparam("course"), _SEATED, holds(enrolments, at))
    )


_LINES = _lines(ROSTER_LINE)
_VERSIONS = _lines(ROSTER_LINE[:3])


def lines(read: Reading, course: UUID | str, at: int | None = None) -> list[tuple[Any, ...]]:
    """Return what the roster shows of each learner with a seat, in no order: the members of `ROSTER_LINE`.

    It is asked for so often that dicts would be felt.
    """
    return _asked(_LINES, read, course, at)


def line_versions(read: Reading, course: UUID | str, at: int | None = None) -> list[LineVersion]:
    """Return the version of each line of the roster, in no order."""
    return _asked(_VERSIONS, read, course, at)


def _asked(
    statements: tuple[Prepared, Prepared], read: Reading, course: UUID | str, at: int | None
) -> list[tuple[Any, ...]]:
    now, then = statements
    return now.all(read, course=str(course)) if at is None else then.all(read, course=str(course), at=at)


def course_of(read: Reading, enrolment: UUID | str) -> str | None:
    """Return the course that an enrolment is for, None where there is no such enrolment."""
    found = _COURSE_OF.first(read, enrolment=str(enrolment))
    return None if found is None else str(found[0])


def learners(read: Reading, course: UUID | str, at: int | None = None) -> list[dict[str, Any]]:
    """Return the enrolments of those who have a seat, in the order of their requests.

    That includes walk-ins, confirmed or not, and no-shows. Each has the columns of `enrolments`.
    """
    return _LEARNERS.all(read, at, course=str(course))


def enrolment(read: Reading, enrolment: UUID | str, at: int | None = None) -> dict[str, Any] | None:
    """Return one enrolment, None where there is none.

    It has the columns of `enrolments` and of `particulars`, and its `rank` in the queue, None outside.
    """
    found = _ENROLMENT.first(read, at, enrolment=str(enrolment))
    if found is None:
        return None
    (beside,) = _BESIDE.all(read, at, enrolment=found["enrolment"])
    waiting = ranks(read, found["course"], at=at) if found["standing"] == Stage.QUEUED else {}
    return {
        **found,
        **{name: beside[name] for name in _PARTICULARS},
        "rank": waiting.get(found["enrolment"]),
    }


_PARTICULARS = ("reason", "note", "body_emails_asked", "prerequisites", "make_ups")


def enrolments_of(
    read: Reading,
    course: UUID | str,
    *,
    standing: str | None = None,
    task: str | None = None,
    after: int | None = None,
    limit: int = 200,
    at: int | None = None,
) -> list[dict[str, Any]]:
    """Return all enrolments of a course in the order of their requests, up to `limit + 1` after a `requested` position.

    Each has the columns of `enrolments`, `reason`, its `rank` in the queue, None outside, and its `tasks`. With `task`,
    only those on which a registrar has to do that.
    """
    found = (
        select(*map(_read_as, _COLUMNS), particulars.c.reason)
        .join(particulars, and_(particulars.c.enrolment == enrolments.c.enrolment, holds(particulars, at)))
        .where(enrolments.c.course == str(course), holds(enrolments, at))
        .order_by(enrolments.c.requested)
        .limit(limit + 1)
    )
    if after is not None:
        found = found.where(enrolments.c.requested > after)
    if standing is not None:
        found = found.where(enrolments.c.standing == standing)
    if task is not None:
        found = found.where(_WITH_TASK[task])
    rows = [dict(row._mapping) for row in read.execute(found)]
    waiting = ranks(read, course, at=at) if any(row["standing"] == Stage.QUEUED for row in rows) else {}
    for row in rows:
        row["marks"] = orjson.loads(row["marks"])
        row["rank"] = waiting.get(row["enrolment"])
        row["tasks"] = tasks(row)
    return rows


CONFIRM_SEAT = "confirm_seat"
CONFIRM_WALK_IN = "confirm_walk_in"
TASKS = (CONFIRM_SEAT, CONFIRM_WALK_IN)
"""What an enrolment can ask a registrar to do: a seat is held for the learner, or they came as a walk-in."""

_WITH_TASK = {
    CONFIRM_SEAT: enrolments.c.seat_held,
    CONFIRM_WALK_IN: and_(enrolments.c.walk_in_confirmed.is_(False), _SEATED),
}


def tasks(row: Mapping[str, Any]) -> list[str]:
    """Return what an enrolment asks a registrar to do."""
    waits = row["walk_in_confirmed"] is False and row["standing"] in ON_COURSE
    return [*([CONFIRM_SEAT] if row["seat_held"] else []), *([CONFIRM_WALK_IN] if waits else [])]


def ranks(read: Reading, course: UUID | str, *, at: int | None = None) -> dict[str, int]:
    """Return the ranks of those who wait, from 1, by enrolment."""
    waiting = (
        select(enrolments.c.enrolment)
        .where(enrolments.c.course == str(course), enrolments.c.standing == Stage.QUEUED.value, holds(enrolments, at))
        .order_by(enrolments.c.ticket)
    )
    return {each: rank for rank, each in enumerate(read.execute(waiting).scalars(), start=1)}


def enrolled(read: Reading, course: UUID | str) -> list[str]:
    """Return the persons whose seats are confirmed, walk-ins among them: those whom a register is about."""
    return _people(read, course, enrolments.c.standing == Stage.CONFIRMED.value)


def withdrawn(read: Reading, course: UUID | str) -> list[str]:
    """Return the persons who were on the course or in its queue and left, by whatever way, and the no-shows."""
    return _people(read, course, enrolments.c.standing.not_in((Stage.CONFIRMED.value, Stage.QUEUED.value)))


def _people(read: Reading, course: UUID | str, condition: Any) -> list[str]:
    found = select(enrolments.c.person).where(enrolments.c.course == str(course), holds(enrolments, None), condition)
    return list(read.execute(found.order_by(enrolments.c.requested)).scalars())
