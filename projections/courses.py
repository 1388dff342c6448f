"""The courses: when they take place, who teaches them, how far they have come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from domain import schedule
from domain.course import Course, Role, Stage
from domain.schedule import Session
from projections.projection import (
    Lookup,
    Projection,
    Reading,
    Row,
    Rows,
    contents,
    expected,
    flag,
    holds,
    json,
    number,
    portions,
    text,
    uid,
    view_table,
)

course_rows = view_table(
    "courses_courses",
    uid("course"),
    number("drafted"),
    text("drafted_at"),
    text("title"),
    text("body"),
    text("code"),
    text("policy_version"),
    text("format"),
    text("lo_edition"),
    text("language"),
    uid("copied_from"),
    text("stage"),
    flag("enrolment_open"),
    json("capacity"),
    number("minimum"),
    flag("confirmed"),
    json("listings"),
    json("warnings"),
    text("warnings_reason"),
    json("numbers"),
    text("first_day"),
    text("last_day"),
    number("schedule_version"),
    text("cancelled_reason"),
    json("waived"),
    key=("course",),
    indexes=[("drafted",)],
)
"""One row per course; `drafted` is the position at which it began.

`numbers` are the sessions that were not cancelled, `listings` the body's id and address of the course by body.
`schedule_version` is the version of the course's last event that changed its sessions.
"""

session_rows = view_table(
    "course_sessions",
    uid("course"),
    number("number"),
    text("starts"),
    text("ends"),
    text("zone"),
    text("local_day"),
    number("scheduled_minutes"),
    number("planned_minutes"),
    number("contact_minutes"),
    text("place"),
    json("held"),
    json("curtailed"),
    flag("cancelled"),
    text("cancelled_reason"),
    key=("course", "number"),
)
"""One row per session, cancelled or not. `contact_minutes` are as held or curtailed, `planned_minutes` as planned."""

trainer_rows = view_table(
    "courses_trainers", uid("course"), uid("person"), text("role"), key=("course", "person"), indexes=[("person",)]
)

courses = Projection("courses", version=2, tables=(course_rows, session_rows, trainer_rows))


@courses.on(Course.Drafted)
def _drafted(rows: Rows, event: Course.Drafted) -> None:
    rows.add(
        course_rows,
        course=event.originator_id,
        drafted=rows.position,
        drafted_at=event.at,
        title=event.title,
        body=event.body,
        code=event.code,
        policy_version=event.policy_version,
        format=event.format,
        lo_edition=event.lo_edition,
        language=event.language,
        copied_from=event.copied_from,
        stage=Stage.DRAFT,
        enrolment_open=False,
        confirmed=False,
        listings={},
        warnings=[],
        numbers=[],
        waived=[],
    )


@courses.on(Course.Scheduled)
def _scheduled(rows: Rows, event: Course.Scheduled) -> None:
    rows.change(course_rows, event.originator_id, stage=Stage.SCHEDULED)
    _plan(rows, event)


@courses.on(Course.Rescheduled)
def _rescheduled(rows: Rows, event: Course.Rescheduled) -> None:
    _plan(rows, event)


def _plan(rows: Rows, event: Course.Scheduled | Course.Rescheduled) -> None:
    """Put the sessions as planned; those that were held stay, those that are no longer named are cancelled."""
    course = str(event.originator_id)
    dropped = {*expected(rows, course_rows, course)["numbers"]} - {session.number for session in event.sessions}
    for dropped_number in dropped:
        rows.change(session_rows, course, dropped_number, cancelled=True, cancelled_reason=event.reason)
    for session in event.sessions:
        known = rows.get(session_rows, course, session.number)
        if known is None or known["held"] is None:
            _put_session(rows, course, session, known)
    rows.change(
        course_rows,
        course,
        policy_version=event.policy_version,
        warnings=event.warnings,
        warnings_reason=event.reason if event.warnings else None,
    )
    _put_numbers(rows, event, [session.number for session in event.sessions])


def _put_session(rows: Rows, course: str, session: Session, known: Row | None) -> None:
    write = rows.add if known is None else rows.put
    write(
        session_rows,
        course=course,
        number=session.number,
        starts=session.starts,
        ends=session.ends,
        zone=session.zone,
        local_day=session.day,
        scheduled_minutes=session.scheduled_minutes,
        planned_minutes=session.contact_minutes,
        contact_minutes=session.contact_minutes,
        place=session.place,
        cancelled=False,
    )


def _put_numbers(rows: Rows, event: Course.Event, numbers: Iterable[int]) -> None:
    """Say which sessions the course has now, and what follows from their dates."""
    course = str(event.originator_id)
    numbers = sorted(numbers)
    sessions = [_session(row) for each in numbers if (row := rows.get(session_rows, course, each)) is not None]
    rows.change(
        course_rows,
        course,
        numbers=numbers,
        first_day=schedule.first_date(sessions),
        last_day=schedule.last_date(sessions),
        schedule_version=event.originator_version,
    )


@courses.on(Course.SessionAdded)
def _session_added(rows: Rows, event: Course.SessionAdded) -> None:
    course = str(event.originator_id)
    _put_session(rows, course, event.session, None)
    rows.change(
        course_rows,
        course,
        stage=Stage.OPEN,
        warnings=event.warnings,
        warnings_reason=event.reason if event.warnings else None,
    )
    _put_numbers(rows, event, [*expected(rows, course_rows, course)["numbers"], event.session.number])


@courses.on(Course.SessionCancelled)
def _session_cancelled(rows: Rows, event: Course.SessionCancelled) -> None:
    course = str(event.originator_id)
    rows.change(session_rows, course, event.session, cancelled=True, cancelled_reason=event.reason)
    _put_numbers(
        rows, event, [each for each in expected(rows, course_rows, course)["numbers"] if each != event.session]
    )


@courses.on(Course.SessionHeld)
def _session_held(rows: Rows, event: Course.SessionHeld) -> None:
    known = rows.get(session_rows, event.originator_id, event.session)
    enough = known is not None and event.contact_minutes >= known["planned_minutes"]
    rows.change(
        session_rows,
        event.originator_id,
        event.session,
        contact_minutes=event.contact_minutes,
        held={"started": event.started, "ended": event.ended, "trainers": event.trainers, "lead": event.lead},
        curtailed=None if known is None or enough else known["curtailed"],
    )
    rows.change(course_rows, event.originator_id, schedule_version=event.originator_version)


@courses.on(Course.SessionCurtailed)
def _session_curtailed(rows: Rows, event: Course.SessionCurtailed) -> None:
    rows.change(
        session_rows,
        event.originator_id,
        event.session,
        contact_minutes=event.contact_minutes,
        curtailed={"contact_minutes": event.contact_minutes, "reason": event.reason},
    )
    rows.change(course_rows, event.originator_id, schedule_version=event.originator_version)


@courses.on(Course.TrainerAssigned)
def _trainer_assigned(rows: Rows, event: Course.TrainerAssigned) -> None:
    rows.put(trainer_rows, course=event.originator_id, person=event.trainer_person, role=event.role)


@courses.on(Course.TrainerReleased)
def _trainer_released(rows: Rows, event: Course.TrainerReleased) -> None:
    rows.delete(trainer_rows, event.originator_id, event.trainer_person)


@courses.on(Course.Opened)
def _opened(rows: Rows, event: Course.Opened) -> None:
    rows.change(
        course_rows,
        event.originator_id,
        stage=Stage.OPEN,
        enrolment_open=True,
        capacity=event.capacity,
        minimum=event.minimum,
    )


@courses.on(Course.CapacityChanged)
def _capacity_changed(rows: Rows, event: Course.CapacityChanged) -> None:
    rows.change(course_rows, event.originator_id, capacity=event.capacity)


@courses.on(Course.EnrolmentClosed)
def _enrolment_closed(rows: Rows, event: Course.EnrolmentClosed) -> None:
    rows.change(course_rows, event.originator_id, enrolment_open=False)


@courses.on(Course.EnrolmentReopened)
def _enrolment_reopened(rows: Rows, event: Course.EnrolmentReopened) -> None:
    rows.change(course_rows, event.originator_id, enrolment_open=True)


@courses.on(Course.Confirmed)
def _confirmed(rows: Rows, event: Course.Confirmed) -> None:
    rows.change(course_rows, event.originator_id, confirmed=True)


@courses.on(Course.ListedWithBody)
def _listed(rows: Rows, event: Course.ListedWithBody) -> None:
    known = expected(rows, course_rows, str(event.originator_id))["listings"]
    listing = {"external_id": event.external_id, "address": event.address}
    rows.change(course_rows, event.originator_id, listings={**known, event.body: listing})


@courses.on(Course.Cancelled)
def _cancelled(rows: Rows, event: Course.Cancelled) -> None:
    rows.change(
        course_rows,
        event.originator_id,
        stage=Stage.CANCELLED,
        enrolment_open=False,
        cancelled_reason=event.reason,
    )


@courses.on(Course.Delivered)
def _delivered(rows: Rows, event: Course.Delivered) -> None:
    rows.change(course_rows, event.originator_id, stage=Stage.DELIVERED, enrolment_open=False)


@courses.on(Course.Closed)
def _closed(rows: Rows, event: Course.Closed) -> None:
    rows.change(course_rows, event.originator_id, stage=Stage.CLOSED, waived=event.waived)


@courses.on(Course.Reopened)
def _reopened(rows: Rows, event: Course.Reopened) -> None:
    rows.change(course_rows, event.originator_id, stage=Stage.DELIVERED, waived=[])


_ONE = Lookup(course_rows, "course")
_TRAINERS = Lookup(trainer_rows, "course", order=("person",))
_SESSIONS = Lookup(session_rows, "course", order=("starts", "number"))
_SESSION = Lookup(session_rows, "course", "number")


def course(read: Reading, course: UUID | str, at: int | None = None) -> dict[str, Any] | None:
    """Return one course, None where there is none.

    Beside the columns of its row it has `sessions` (those of `sessions()`), `lead` (a person's id or None),
    `co_trainers`, and `contact_minutes` and `scheduled_minutes` in all, as held and else as planned.
    """
    said = _ONE.first(read, at, course=str(course))
    if said is None:
        return None
    trainers = {row["person"]: row["role"] for row in _TRAINERS.all(read, at, course=said["course"])}
    return _course(said, sessions(read, said["course"], at), trainers)


def listing(
    read: Reading,
    *,
    after: int | None = None,
    limit: int = 50,
    at: int | None = None,
    person: UUID | str | None = None,
    stage: str | None = None,
) -> list[dict[str, Any]]:
    """Return courses as `course` does, in the order in which they were drafted: up to `limit + 1`.

    `after` is the `drafted` position of the last one known; with `person`, only those whose trainer they are now.
    """
    found = select(course_rows).where(holds(course_rows, at)).order_by(course_rows.c.drafted).limit(limit + 1)
    if after is not None:
        found = found.where(course_rows.c.drafted > after)
    if stage is not None:
        found = found.where(course_rows.c.stage == stage)
    if person is not None:
        # Who may look is judged now, whatever the moment that is looked at.
        own = select(trainer_rows.c.course).where(trainer_rows.c.person == str(person), holds(trainer_rows, None))
        found = found.where(course_rows.c.course.in_(own))
    return _whole(read, read.execute(found).all(), at)


def sessions(read: Reading, course: UUID | str, at: int | None = None) -> list[dict[str, Any]]:
    """Return a course's sessions in order of time, cancelled ones too; none where there is no such course.

    Each has `number`, `starts`, `ends` (UTC), `zone`, `local_day`, `scheduled_minutes`, `planned_minutes`,
    `contact_minutes` (as held, curtailed, or planned), `place`, `held` (None or `started`, `ended`, `trainers`,
    `lead`), `curtailed` (None or `contact_minutes`, `reason`), `cancelled` and `cancelled_reason`.
    """
    return _SESSIONS.all(read, at, course=str(course))


def session(read: Reading, course: UUID | str, number: int, at: int | None = None) -> dict[str, Any] | None:
    """Return one session as `sessions` does, cancelled or not; None where the course has none of that number."""
    if not 0 < number < 2**31:
        return None
    return _SESSION.first(read, at, course=str(course), number=number)


def _whole(read: Reading, found: Sequence[Any], at: int | None) -> list[dict[str, Any]]:
    """Return the courses of these rows, with what is in other tables read in a few statements for all."""
    ids = [row.course for row in found]
    sessions: dict[str, list[dict[str, Any]]] = {each: [] for each in ids}
    trainers: dict[str, dict[str, str]] = {each: {} for each in ids}
    for some in portions(ids):
        for row in read.execute(_of(session_rows, some, at).order_by(session_rows.c.starts, session_rows.c.number)):
            sessions[row.course].append(contents(row))
        for row in read.execute(_of(trainer_rows, some, at).order_by(trainer_rows.c.person)):
            trainers[row.course][row.person] = row.role
    return [_course(contents(row), sessions[row.course], trainers[row.course]) for row in found]


def _of(table: Any, ids: Sequence[str], at: int | None) -> Select[Any]:
    return select(table).where(table.c.course.in_(ids), holds(table, at))


def _course(said: dict[str, Any], sessions: list[dict[str, Any]], trainers: dict[str, str]) -> dict[str, Any]:
    taking_place = [_session(each) for each in sessions if not each["cancelled"]]
    return {
        **said,
        "lead": next((person for person, role in trainers.items() if role == Role.LEAD.value), None),
        "co_trainers": [person for person, role in trainers.items() if role == Role.CO_TRAINER.value],
        "sessions": sessions,
        "contact_minutes": schedule.contact_minutes(taking_place),
        "scheduled_minutes": schedule.scheduled_minutes(taking_place),
    }


def _session(row: Any) -> Session:
    """Return the session of a row, for the domain's functions; its minutes are those offered."""
    return Session(
        number=row["number"],
        starts=datetime.fromisoformat(row["starts"]),
        ends=datetime.fromisoformat(row["ends"]),
        zone=row["zone"],
        contact_minutes=row["contact_minutes"],
        place=row["place"],
    )
