"""The registers of a course: who may mark, who is on the course, what was marked, and what was sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Select, Table, Text, and_, bindparam, select, type_coerce

from domain.completion import UNMARKED
from domain.course import Course
from domain.enrolment import Enrolment
from domain.register import AttendanceRegister, Marker
from domain.schedule import Caution, Session
from domain.trainer import Authorisation, Authority, Trainer
from projections import history
from projections.projection import (
    FOREVER,
    Lookup,
    Prepared,
    Projection,
    Reading,
    Rows,
    contents,
    expected,
    flag,
    holds,
    instant,
    json,
    number,
    plain,
    text,
    uid,
    view_table,
)

courses = view_table(
    "register_courses",
    uid("course"),
    text("body"),
    text("code"),
    text("policy_version"),
    json("numbers"),
    json("appointments"),
    number("accepted_minutes"),
    number("schedule_version"),
    key=("course",),
    rarely=True,
)
"""One row per course. `numbers` are its sessions; `appointments` are lists of since when (None: from the beginning),
which person, and the role (None: none)."""

sessions = view_table(
    "register_sessions",
    uid("course"),
    number("session"),
    text("starts"),
    text("ends"),
    text("zone"),
    text("place"),
    number("planned_minutes"),
    number("contact_minutes"),
    text("started"),
    text("ended"),
    uid("lead"),
    flag("cancelled"),
    key=("course", "session"),
    rarely=True,
)
"""One row per session ever planned. `contact_minutes` are as held, and as planned until then; `lead` held it."""

trainers = view_table(
    "register_trainers", uid("trainer"), uid("person"), json("authorisations"), key=("trainer",), rarely=True
)

learners = view_table(
    "register_learners",
    uid("enrolment"),
    uid("course"),
    uid("person"),
    number("requested"),
    text("standing"),
    flag("walk_in_open"),
    key=("enrolment",),
    indexes=[("course",)],
    rarely=True,
)
"""One row per enrolment. `requested` is its first position, `standing` its stage."""

marks = view_table(
    "register_marks",
    uid("register"),
    uid("mark"),
    uid("person"),
    number("version"),
    number("said"),
    text("state"),
    text("status"),
    number("late_minutes"),
    number("left_early_minutes"),
    text("signed_in"),
    text("signed_out"),
    text("evidence"),
    text("marked_at"),
    text("recorded_at"),
    uid("author"),
    uid("on_behalf_of"),
    text("authority"),
    uid("device"),
    number("seq"),
    uid("corrects"),
    flag("skewed"),
    uid("stands"),
    flag("conflict"),
    text("reason"),
    text("note"),
    key=("register", "mark"),
)
"""One row per mark on record. `state` is live, set_aside, dismissed, or requested (an amendment).

Of a person's live marks the one with the greatest `said`, an event's version, says which mark `stands` and whether
there is a `conflict`: so a mark that comes in adds a row and needs to look at no other.
"""

seals = view_table(
    "register_seals",
    uid("register"),
    number("sealed_version"),
    number("version"),
    json("marks"),
    json("set_by"),
    uid("sealed_by"),
    text("sealed_at"),
    uid("lead"),
    text("attestation"),
    number("amendment"),
    flag("solo"),
    uid("countersigned_by"),
    text("countersigned_at"),
    key=("register", "sealed_version"),
)
"""One row per sealed version. `marks` are the mark's id by person, `set_by` the version of the event that set it."""

amendments = view_table(
    "register_amendments",
    uid("register"),
    number("number"),
    uid("mark"),
    uid("person"),
    text("state"),
    text("reason"),
    text("note"),
    flag("late"),
    uid("requested_by"),
    text("requested_at"),
    uid("decided_by"),
    text("decided_at"),
    text("decision_reason"),
    text("decision_note"),
    number("sealed_version"),
    key=("register", "number"),
)

registers = Projection(
    "registers",
    version=3,
    tables=(courses, sessions, trainers, learners, marks, seals, amendments),
    half=1,
)


# The course: when, by whom.


@registers.on(Course.Drafted)
def _drafted(rows: Rows, event: Course.Drafted) -> None:
    rows.add(
        courses,
        course=event.originator_id,
        body=event.body,
        code=event.code,
        policy_version=event.policy_version,
        numbers=[],
        appointments=[],
    )


@registers.on(Course.Scheduled, Course.Rescheduled)
def _planned(rows: Rows, event: Course.Scheduled | Course.Rescheduled) -> None:
    course = expected(rows, courses, event.originator_id)
    kept = {session.number for session in event.sessions}
    for dropped in set(course["numbers"]) - kept:
        rows.change(sessions, event.originator_id, dropped, cancelled=True)
    offered = sum(_put_session(rows, event.originator_id, session) for session in event.sessions)
    rows.change(
        courses,
        event.originator_id,
        policy_version=event.policy_version,
        numbers=sorted(kept | set(course["numbers"])),
        accepted_minutes=offered if Caution.CONTACT_BELOW_POLICY in event.warnings else None,
        schedule_version=event.originator_version,
    )


@registers.on(Course.SessionAdded)
def _session_added(rows: Rows, event: Course.SessionAdded) -> None:
    course = expected(rows, courses, event.originator_id)
    _put_session(rows, event.originator_id, event.session)
    rows.change(
        courses,
        event.originator_id,
        numbers=sorted({*course["numbers"], event.session.number}),
        schedule_version=event.originator_version,
    )


def _put_session(rows: Rows, course: UUID, session: Session) -> int:
    """Write a session as planned, and return its contact minutes: those held where it has been."""
    known = rows.get(sessions, course, session.number)
    held = known is not None and known["started"] is not None
    minutes: int = known["contact_minutes"] if known is not None and held else session.contact_minutes
    rows.put(
        sessions,
        course=course,
        session=session.number,
        starts=session.starts,
        ends=session.ends,
        zone=session.zone,
        place=session.place,
        planned_minutes=session.contact_minutes,
        contact_minutes=minutes,
        started=known["started"] if known else None,
        ended=known["ended"] if known else None,
        lead=known["lead"] if known else None,
        cancelled=False,
    )
    return minutes


@registers.on(Course.SessionHeld)
def _session_held(rows: Rows, event: Course.SessionHeld) -> None:
    rows.change(
        sessions,
        event.originator_id,
        event.session,
        started=event.started,
        ended=event.ended,
        contact_minutes=event.contact_minutes,
        lead=event.lead,
    )
    rows.change(courses, event.originator_id, schedule_version=event.originator_version)


@registers.on(Course.SessionCurtailed)
def _session_curtailed(rows: Rows, event: Course.SessionCurtailed) -> None:
    rows.change(sessions, event.originator_id, event.session, contact_minutes=event.contact_minutes)
    rows.change(courses, event.originator_id, schedule_version=event.originator_version)


@registers.on(Course.SessionCancelled)
def _session_cancelled(rows: Rows, event: Course.SessionCancelled) -> None:
    rows.change(sessions, event.originator_id, event.session, cancelled=True)
    rows.change(courses, event.originator_id, schedule_version=event.originator_version)


@registers.on(Course.TrainerAssigned)
def _trainer_assigned(rows: Rows, event: Course.TrainerAssigned) -> None:
    known = expected(rows, courses, event.originator_id)["appointments"]
    said = [event.since, event.trainer_person, event.role]
    rows.change(courses, event.originator_id, appointments=[*known, said])


@registers.on(Course.TrainerReleased)
def _trainer_released(rows: Rows, event: Course.TrainerReleased) -> None:
    known = expected(rows, courses, event.originator_id)["appointments"]
    said = [event.since, event.trainer_person, None]
    rows.change(courses, event.originator_id, appointments=[*known, said])


def roles_on(appointments: Iterable[Sequence[str | None]], moment: str) -> dict[str | None, str]:
    """Return who was what on a course at a moment (ISO text in UTC), person → lead or co_trainer.

    What was said later of the same time stands, and there is one lead at a time.
    """
    roles: dict[str | None, str] = {}
    for since, person, role in appointments:
        if since is not None and since > moment:
            continue
        if role == "lead":
            roles = {other: theirs for other, theirs in roles.items() if theirs != "lead"}
        if role is None:
            roles.pop(person, None)
        else:
            roles[person] = role
    return roles


@registers.on(Trainer.Registered)
def _trainer_registered(rows: Rows, event: Trainer.Registered) -> None:
    rows.add(trainers, trainer=event.originator_id, person=event.person, authorisations=[])


@registers.on(Trainer.Authorised)
def _authorised(rows: Rows, event: Trainer.Authorised) -> None:
    known = expected(rows, trainers, event.originator_id)["authorisations"]
    said = [event.number, event.body, event.code, event.role, event.valid_from, event.valid_until, None]
    rows.change(trainers, event.originator_id, authorisations=[*known, said])


@registers.on(Trainer.AuthorisationEnded)
def _authorisation_ended(rows: Rows, event: Trainer.AuthorisationEnded) -> None:
    known = expected(rows, trainers, event.originator_id)["authorisations"]
    ended = plain(event.on)
    rows.change(
        trainers,
        event.originator_id,
        authorisations=[[*each[:6], ended] if each[0] == event.number else each for each in known],
    )


# The learners: who is on the course.


@registers.on(Enrolment.Requested)
def _requested(rows: Rows, event: Enrolment.Requested) -> None:
    rows.add(
        learners,
        enrolment=event.originator_id,
        course=event.course,
        person=event.person,
        requested=rows.position,
        standing=event.standing,
        walk_in_open=False,
    )


@registers.on(Enrolment.RequestedAgain)
def _requested_again(rows: Rows, event: Enrolment.RequestedAgain) -> None:
    _learner(rows, event, standing=event.standing, walk_in_open=False)


@registers.on(Enrolment.Confirmed, Enrolment.NoShowLifted)
def _confirmed(rows: Rows, event: Enrolment.Confirmed | Enrolment.NoShowLifted) -> None:
    _learner(rows, event, standing="confirmed")


@registers.on(Enrolment.Withdrawn)
def _withdrawn(rows: Rows, event: Enrolment.Withdrawn) -> None:
    _learner(rows, event, standing="withdrawn")


@registers.on(Enrolment.Cancelled)
def _cancelled(rows: Rows, event: Enrolment.Cancelled) -> None:
    _learner(rows, event, standing="cancelled")


@registers.on(Enrolment.SubstitutedBy)
def _substituted(rows: Rows, event: Enrolment.SubstitutedBy) -> None:
    _learner(rows, event, standing="substituted")


@registers.on(Enrolment.WalkInAdmitted)
def _walk_in_admitted(rows: Rows, event: Enrolment.WalkInAdmitted) -> None:
    _learner(rows, event, standing="confirmed", walk_in_open=True)


@registers.on(Enrolment.WalkInConfirmed)
def _walk_in_confirmed(rows: Rows, event: Enrolment.WalkInConfirmed) -> None:
    _learner(rows, event, walk_in_open=False)


@registers.on(Enrolment.NoShowDeclared)
def _no_show(rows: Rows, event: Enrolment.NoShowDeclared) -> None:
    _learner(rows, event, standing="no_show")


def _learner(rows: Rows, event: Enrolment.Event, **said: object) -> None:
    rows.change(learners, event.originator_id, **said)


# The marks and the seals.


@registers.on(AttendanceRegister.Marked)
def _marked(rows: Rows, event: AttendanceRegister.Marked) -> None:
    _mark(rows, event, state="live", said=event.originator_version, stands=event.stands, conflict=event.conflict)


@registers.on(AttendanceRegister.MarkSetAside)
def _mark_set_aside(rows: Rows, event: AttendanceRegister.MarkSetAside) -> None:
    _mark(rows, event, state="set_aside", reason=event.reason)


@registers.on(AttendanceRegister.MarkAdmitted)
def _mark_admitted(rows: Rows, event: AttendanceRegister.MarkAdmitted) -> None:
    rows.change(
        marks,
        event.originator_id,
        event.mark,
        state="live",
        said=event.originator_version,
        stands=event.stands,
        conflict=event.conflict,
        reason=event.reason,
        note=event.note,
    )


@registers.on(AttendanceRegister.MarkDismissed)
def _mark_dismissed(rows: Rows, event: AttendanceRegister.MarkDismissed) -> None:
    rows.change(marks, event.originator_id, event.mark, state="dismissed", reason=event.reason, note=event.note)


@registers.on(AttendanceRegister.ConflictResolved)
def _conflict_resolved(rows: Rows, event: AttendanceRegister.ConflictResolved) -> None:
    rows.change(
        marks,
        event.originator_id,
        event.mark,
        said=event.originator_version,
        stands=event.mark,
        conflict=False,
        reason=event.reason,
        note=event.note,
    )


@registers.on(AttendanceRegister.Sealed)
def _sealed(rows: Rows, event: AttendanceRegister.Sealed) -> None:
    standing = {expected(rows, marks, event.originator_id, mark)["person"]: str(mark) for mark in event.standing}
    rows.add(
        seals,
        register=event.originator_id,
        sealed_version=event.sealed_version,
        version=event.originator_version,
        marks=standing,
        set_by=dict.fromkeys(standing, event.originator_version),
        sealed_by=event.by,
        sealed_at=event.at,
        lead=event.lead,
        attestation=event.attestation,
    )


@registers.on(AttendanceRegister.Countersigned)
def _countersigned(rows: Rows, event: AttendanceRegister.Countersigned) -> None:
    rows.change(
        seals,
        event.originator_id,
        event.sealed_version,
        countersigned_by=event.by,
        countersigned_at=event.at,
    )


@registers.on(AttendanceRegister.AmendmentRequested)
def _amendment_requested(rows: Rows, event: AttendanceRegister.AmendmentRequested) -> None:
    _mark(rows, event, state="requested")
    rows.add(
        amendments,
        register=event.originator_id,
        number=event.number,
        mark=event.mark,
        person=event.person,
        state="pending",
        reason=event.reason,
        note=event.note,
        late=event.late,
        requested_by=event.by,
        requested_at=event.at,
    )


@registers.on(AttendanceRegister.AmendmentApproved)
def _amendment_approved(rows: Rows, event: AttendanceRegister.AmendmentApproved) -> None:
    before = expected(rows, seals, event.originator_id, event.sealed_version - 1)
    person = str(event.person)
    rows.add(
        seals,
        register=event.originator_id,
        sealed_version=event.sealed_version,
        version=event.originator_version,
        marks={**before["marks"], person: event.mark},
        set_by={**before["set_by"], person: event.originator_version},
        sealed_by=event.by,
        sealed_at=event.at,
        lead=before["lead"],
        attestation=before["attestation"],
        amendment=event.number,
        solo=event.solo,
    )
    _amended(rows, event, state="approved", sealed_version=event.sealed_version)


@registers.on(AttendanceRegister.AmendmentRejected)
def _amendment_rejected(rows: Rows, event: AttendanceRegister.AmendmentRejected) -> None:
    _amended(rows, event, state="rejected", decision_reason=event.reason, decision_note=event.note)


def _amended(
    rows: Rows, event: AttendanceRegister.AmendmentApproved | AttendanceRegister.AmendmentRejected, **said: object
) -> None:
    rows.change(amendments, event.originator_id, event.number, decided_by=event.by, decided_at=event.at, **said)


def _mark(
    rows: Rows,
    event: AttendanceRegister.Marked | AttendanceRegister.MarkSetAside | AttendanceRegister.AmendmentRequested,
    **said: object,
) -> None:
    rows.add(
        marks,
        register=event.originator_id,
        mark=event.mark,
        person=event.person,
        version=event.originator_version,
        status=event.status,
        late_minutes=event.late_minutes,
        left_early_minutes=event.left_early_minutes,
        signed_in=event.signed_in,
        signed_out=event.signed_out,
        evidence=event.evidence,
        marked_at=event.marked_at,
        recorded_at=event.timestamp,
        author=event.by,
        on_behalf_of=event.on_behalf_of,
        authority=event.authority,
        device=event.device,
        seq=event.seq,
        corrects=event.corrects,
        skewed=event.skewed,
        **said,
    )


# What a command asks before it takes a mark. Made once: these are on the hot path.

_SESSION = Prepared(
    select(
        sessions.c.starts,
        sessions.c.ends,
        sessions.c.started,
        sessions.c.ended,
        sessions.c.zone,
        sessions.c.cancelled,
        courses.c.body,
        courses.c.code,
        # As text, so that `_half_of` can remember rows by them.
        type_coerce(courses.c.appointments, Text),
        type_coerce(trainers.c.authorisations, Text),
    )
    .select_from(
        sessions.join(courses, and_(courses.c.course == sessions.c.course, courses.c.until == FOREVER)).outerjoin(
            trainers, and_(trainers.c.trainer == bindparam("trainer"), trainers.c.until == FOREVER)
        )
    )
    .where(
        sessions.c.course == bindparam("course"),
        sessions.c.session == bindparam("session"),
        sessions.c.until == FOREVER,
    )
)
_CLASS = Prepared(
    select(learners.c.person, learners.c.standing).where(
        learners.c.course == bindparam("course"), learners.c.until == FOREVER
    )
)


DAYS_REMEMBERED = 20
"""Of how many days a session knows as what somebody could mark."""


@dataclass(frozen=True)
class Half:
    """A session, and what one person is to it: all that decides whether they may mark.

    `starts` and `ends` are the planned times, or the actual ones where these reach further. `over_at` is when it ended:
    as it was held, or as planned where nothing was said yet.
    """

    starts: datetime
    ends: datetime
    over_at: datetime
    zone: str
    cancelled: bool
    body: str
    code: str
    person: str
    appointments: tuple[tuple[str | None, str, str | None], ...]
    authorisations: tuple[Authorisation, ...] | None
    """What they may teach; None where they are not known as a trainer."""

    def marker_at(self, moment: datetime) -> Marker | None:
        """Return as what the person could mark as a trainer at a moment, or None."""
        role = roles_on(self.appointments, instant(moment)).get(self.person)
        if role is None:
            return None
        authority = self._authority_on(moment.astimezone(ZoneInfo(self.zone)).date())
        if authority is Authority.LEAD:
            return Marker.LEAD if role == "lead" else Marker.CO_TRAINER
        return None if authority is None else Marker.CANDIDATE

    @cached_property
    def _authorities(self) -> dict[date, Authority | None]:
        """As what the person could teach, by the days that were asked for of late."""
        return {}

    def _authority_on(self, day: date) -> Authority | None:
        try:
            return self._authorities[day]
        except KeyError:
            found = self._looked_up(day)
        # A device may say anything of when it marked.
        if len(self._authorities) >= DAYS_REMEMBERED:
            self._authorities.clear()
        self._authorities[day] = found
        return found

    def _looked_up(self, day: date) -> Authority | None:
        held = {
            each.role
            for each in self.authorisations or ()
            if (each.body, each.code) == (self.body, self.code) and each.holds_on(day)
        }
        return next((authority for authority in Authority if authority in held), None)


def half(read: Reading, course: UUID, session: int, person: UUID) -> Half | None:
    """Return a session as somebody stands to it; None where the course has no such session."""
    row = _SESSION.first(read, course=str(course), session=session, trainer=str(Trainer.create_id(person)))
    return None if row is None else _half_of(str(person), *row)


@lru_cache(maxsize=1_024)  # A class is marked learner by learner, and its rows say the same each time.
def _half_of(
    person: str,
    starts: str,
    ends: str,
    started: str | None,
    ended: str | None,
    zone: str,
    cancelled: bool,
    body: str,
    code: str,
    appointments: str,
    authorisations: str | None,
) -> Half:
    over_at = ends
    if started is not None and ended is not None:
        over_at = ended
        starts, ends = min(starts, started), max(ends, ended)
    return Half(
        starts=datetime.fromisoformat(starts),
        ends=datetime.fromisoformat(ends),
        over_at=datetime.fromisoformat(over_at),
        zone=zone,
        cancelled=cancelled,
        body=body,
        code=code,
        person=person,
        appointments=tuple(tuple(each) for each in orjson.loads(appointments)),
        authorisations=None
        if authorisations is None
        else tuple(_authorisation(each) for each in orjson.loads(authorisations)),
    )


def _authorisation(said: Sequence[Any]) -> Authorisation:
    number, body, code, role, valid_from, valid_until, ended = said
    return Authorisation(
        number=number,
        body=body,
        code=code,
        role=Authority(role),
        valid_from=date.fromisoformat(valid_from),
        valid_until=None if valid_until is None else date.fromisoformat(valid_until),
        evidence="",
        ended=None if ended is None else date.fromisoformat(ended),
    )


def class_of(read: Reading, course: UUID) -> tuple[frozenset[UUID], frozenset[UUID]]:
    """Return the people with a seat on a course, and those with an enrolment but no seat now."""
    found = [(UUID(person), standing) for person, standing in _CLASS.all(read, course=str(course))]
    seated = frozenset(person for person, standing in found if standing == "confirmed")
    return seated, frozenset(person for person, _ in found) - seated


def _lead(roles: Mapping[str | None, str]) -> str | None:
    return next((person for person, role in roles.items() if role == "lead"), None)


# The register of a session.

_TAUGHT = Lookup(courses, "course")
_PLANNED = Lookup(sessions, "course", "session")
_TAKING_PLACE = Lookup(sessions, "course", order=("starts", "session"), only=sessions.c.cancelled.is_(False))
_ENROLLED = Lookup(learners, "course", order=("requested",))
_LEARNER = Lookup(learners, "enrolment")
_AMENDMENTS = Lookup(amendments, "register")

SHOWN = (
    "mark", "status", "late_minutes", "left_early_minutes", "signed_in", "signed_out", "evidence", "marked_at",
    "recorded_at", "author", "on_behalf_of", "authority", "device", "seq", "corrects", "skewed", "version",
)  # fmt: skip
"""What is shown of a mark."""


def register(read: Reading, course: UUID | str, session: int, *, at: int | None = None) -> dict[str, Any] | None:
    """Return the register of a session, opened or not; None where the course has no such session.

    `lead` is who held it, else who leads by the plan: they seal it. `learners` are those with a seat and whoever else
    has a mark, in the order of their requests: `enrolment`, `person`, `standing`, `status` (of the mark that holds, or
    "unmarked"), `mark` (that mark, or None), `conflict`, and `marks` (all that count, in the order in which they came).
    `set_aside`, `amendments` and `sealed_versions` are lists too.
    """
    found = _PLANNED.first(read, at, course=str(course), session=session)
    if found is None:
        return None
    appointed = _TAUGHT.all(read, at, course=str(course))[0]["appointments"]
    stream = str(AttendanceRegister.create_id(UUID(str(course)), session))
    book = books(read, [stream], at=at)[stream]
    said: dict[str, list[dict[str, Any]]] = {}
    for mark in book.marks.values():
        if mark["state"] == "live":
            said.setdefault(mark["person"], []).append(_shown(mark))
    return {
        "course": str(course),
        "session": session,
        "register": stream,
        **{name: found[name] for name in ("starts", "ends", "zone", "place", "started", "ended", "cancelled")},
        "lead": found["lead"] or _lead(roles_on(appointed, found["starts"])),
        "sealed_version": len(book.seals),
        "learners": [
            {**_without(row, "course", "requested"), **_attendance(book, row["person"], said)}
            for row in _enrolled(read, course, at)
            if row["standing"] == "confirmed" or row["person"] in book.holding
        ],
        "set_aside": [
            {"person": mark["person"], "reason": mark["reason"], **_shown(mark)}
            for mark in book.marks.values()
            if mark["state"] == "set_aside"
        ],
        "amendments": [
            {**_without(row, "register"), "mark": _shown(book.marks[row["mark"]])}
            for row in _AMENDMENTS.all(read, at, register=stream)
        ],
        "sealed_versions": [
            {
                **_without(row, "register", "set_by"),
                "solo": bool(row["solo"]),
                "marks": [{"person": person, **_shown(book.marks[mark])} for person, mark in row["marks"].items()],
            }
            for row in book.seals
        ],
    }


@dataclass(frozen=True)
class Book:
    """The marks of one register by id, in the order in which they came, and its sealed versions, the first one first.

    `holding` says by person which mark holds, as sealed or else as it stands; `disputed` whose marks are in conflict.
    """

    marks: Mapping[str, Mapping[str, Any]]
    seals: Sequence[Mapping[str, Any]]
    holding: Mapping[str, str]
    disputed: frozenset[str]

    @classmethod
    def of(cls, said: Mapping[str, Mapping[str, Any]], versions: Sequence[Mapping[str, Any]]) -> Book:
        if versions:
            return cls(said, versions, versions[-1]["marks"], frozenset())
        live = sorted((mark for mark in said.values() if mark["state"] == "live"), key=lambda mark: mark["said"])
        last = {mark["person"]: mark for mark in live}
        return cls(
            said,
            versions,
            {person: mark["stands"] for person, mark in last.items()},
            frozenset(person for person, mark in last.items() if mark["conflict"]),
        )

    def mark_of(self, person: str) -> Mapping[str, Any] | None:
        """Return the mark that holds for somebody, or None: unmarked."""
        return self.marks[self.holding[person]] if person in self.holding else None

    def basis_of(self, person: str) -> int | None:
        """Return the version of the seal or the amendment that last set somebody's sealed mark."""
        return self.seals[-1]["set_by"].get(person) if self.seals else None


def books(read: Reading, streams: Collection[str], *, at: int | None = None) -> dict[str, Book]:
    """Return registers by their ids; one that was never opened is empty."""
    said: dict[str, dict[str, Mapping[str, Any]]] = {stream: {} for stream in streams}
    for row in _rows(
        read, select(marks).where(marks.c.register.in_(streams)).order_by(marks.c.register, marks.c.version), marks, at
    ):
        said[row["register"]][row["mark"]] = row
    versions: dict[str, list[Mapping[str, Any]]] = {stream: [] for stream in streams}
    for row in _rows(
        read,
        select(seals).where(seals.c.register.in_(streams)).order_by(seals.c.register, seals.c.sealed_version),
        seals,
        at,
    ):
        versions[row["register"]].append(row)
    return {stream: Book.of(said[stream], versions[stream]) for stream in said}


def enrolled(read: Reading, course: UUID | str, *, at: int | None = None) -> list[dict[str, Any]]:
    """Return everybody who was ever enrolled on a course, in the order of their requests.

    Each has the columns of `learners`, and the `version` of the enrolment.
    """
    return _with_versions(read, _enrolled(read, course, at), at)


def _enrolled(read: Reading, course: UUID | str, at: int | None) -> list[dict[str, Any]]:
    return _ENROLLED.all(read, at, course=str(course))


def _with_versions(read: Reading, found: list[dict[str, Any]], at: int | None) -> list[dict[str, Any]]:
    versions = history.versions_of(read, [row["enrolment"] for row in found], at=at)
    return [{**row, "version": versions[row["enrolment"]]} for row in found]


def learner(read: Reading, enrolment: UUID | str, *, at: int | None = None) -> dict[str, Any] | None:
    """Return one enrolment, as `enrolled` does; None where there is none."""
    found = _LEARNER.all(read, at, enrolment=str(enrolment))
    return _with_versions(read, found, at)[0] if found else None


def taught(read: Reading, course: UUID | str, *, at: int | None = None) -> dict[str, Any] | None:
    """Return what is taught, under which policy, and the `sessions` that were not cancelled; None for no such course.

    The dict has `course`, `body`, `code`, `policy_version`, `schedule_version` and `accepted_minutes`: the contact
    minutes that the institution accepted, with its reason, though the policy asks for more. A session has `session`,
    `register`, `starts`, `ends`, `zone` and `contact_minutes` as held, among others.
    """
    found = _TAUGHT.first(read, at, course=str(course))
    if found is None:
        return None
    planned = _TAKING_PLACE.all(read, at, course=str(course))
    streams = [str(AttendanceRegister.create_id(UUID(str(course)), row["session"])) for row in planned]
    return {
        **_without(found, "numbers", "appointments"),
        "sessions": [{**row, "register": stream} for row, stream in zip(planned, streams, strict=True)],
    }


def undecided_amendments(read: Reading, streams: Collection[str], *, at: int | None = None) -> dict[str, int]:
    """Return how many amendments of these registers wait for a decision, where there are any."""
    query = select(amendments).where(amendments.c.register.in_(streams), amendments.c.state == "pending")
    return Counter(row["register"] for row in _rows(read, query, amendments, at))


def _attendance(book: Book, person: str, said: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    mark = book.mark_of(person)
    return {
        "status": UNMARKED if mark is None else mark["status"],
        "conflict": person in book.disputed,
        "mark": None if mark is None else _shown(mark),
        "marks": said.get(person, []),
    }


def _shown(mark: Mapping[str, Any]) -> dict[str, Any]:
    return {name: mark[name] for name in SHOWN}


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _rows(read: Reading, query: Select[Any], table: Table, at: int | None) -> list[dict[str, Any]]:
    found = read.execute(query.where(holds(table, at)))
    return [contents(row) for row in found]
