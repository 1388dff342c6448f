"""Discrepancies: documents that rest on something which has moved since, and what came of it.

A certificate counts while it is in force, a line of a submission from the export of its part, unless the body rejects
it or it is withdrawn. Nothing here is an event of its own: a discrepancy follows from what a document rests on, and
from the later events that set the same aspect.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Select, func, select, tuple_

from domain.basis import Aspect, Basis
from domain.certificate import Certificate
from domain.course import Course
from domain.enrolment import Enrolment
from domain.person import Person
from domain.register import AttendanceRegister
from domain.submission import Outcome, Submission
from projections import history
from projections.projection import (
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
    portions,
    text,
    uid,
    view_table,
)
from projections.roster import enrolment_of

DISCREPANCIES = UUID("5b0a1a52-6f0e-4f35-9d0c-0c7b6f9f6b0e")
OUTSTANDING = "discrepancies_open"
"""What stands against closing a course, as a code."""


class Kind(StrEnum):
    """What is at odds with the record."""

    CERTIFICATE = "certificate"
    LINE = "line"


class State(StrEnum):
    """What became of a discrepancy; closed where nobody relies on the document any more."""

    OPEN = "open"
    RESOLVED = "resolved"
    CLOSED = "closed"


found_rows = view_table(
    "discrepancies_found",
    uid("document"),
    number("line"),
    uid("stream"),
    text("aspect"),
    number("rests_on"),
    uid("discrepancy"),
    text("kind"),
    text("number"),
    uid("course"),
    uid("enrolment"),
    uid("person"),
    text("state"),
    number("opened"),
    text("opened_at"),
    number("version"),
    number("moved"),
    text("moved_at"),
    text("moved_by"),
    text("ended_at"),
    uid("ended_by"),
    text("ended_reason"),
    text("ended_note"),
    text("resolution"),
    key=("document", "line", "stream", "aspect", "rests_on"),
    indexes=[("course",), ("discrepancy",), ("opened", "discrepancy")],
)
"""One row per discrepancy: `document` is the certificate's stream, or the submission's with a `line` (else 0).

It rests on the aspect of the stream as of version `rests_on`, and the record stands at `version` now, by the event at
position `moved`, of the kind `moved_by`, which happened at `moved_at`. `opened` is the position since when the two are
at odds, recorded at `opened_at`. `ended_note` is a handle.
"""

documents = view_table(
    "discrepancies_documents",
    uid("document"),
    number("line"),
    text("kind"),
    text("number"),
    uid("course"),
    uid("enrolment"),
    uid("person"),
    text("body"),
    text("email"),
    number("part"),
    flag("over"),
    json("rests_on"),
    key=("document", "line"),
    now_only=True,
)
"""One row per certificate or line. `rests_on` are lists of stream, aspect, place and version.

The place is the row of `places` in which a later event about that aspect is noted. `over` says that nobody relies on it
any more: superseded, revoked, withdrawn or rejected.
"""

places = view_table(
    "discrepancies_places", uid("place"), json("documents"), json("moves"), key=("place",), now_only=True
)
"""One row per stream that documents rest on. `documents` are lists of a document and a line, 0 for all of its lines.

`moves` are the last events that set an aspect again, by its name: lists of version, position, time, topic and, of an
e-mail, its handle. An e-mail used with a body is noted by `body_email/SA`, a contact e-mail by `body_email`.

What a register says of a person has its place at their enrolment on the register's course, by `register/` and the
register's id: nothing is written for those of whom it says the same as before.
"""

submissions = view_table(
    "discrepancies_submissions",
    uid("submission"),
    uid("course"),
    text("body"),
    number("parts"),
    number("lines"),
    key=("submission",),
    now_only=True,
)
"""One row per submission; `parts` and `lines` are how many there are, numbered from 1 without gaps."""

parts = view_table(
    "discrepancies_parts",
    uid("submission"),
    number("part"),
    json("exported"),
    key=("submission", "part"),
    now_only=True,
)
"""One row per part; `exported` are the lines of its file, none while it has none that is in force."""

registers = view_table("discrepancies_registers", uid("register"), uid("course"), key=("register",), now_only=True)

discrepancies = Projection(
    "discrepancies",
    version=2,
    tables=(found_rows, documents, places, submissions, parts, registers),
)

Move = Sequence[Any]
"""Version, position, time, topic and, of an e-mail, its handle."""


# What documents rest on.


@discrepancies.on(AttendanceRegister.Opened)
def _register_opened(rows: Rows, event: AttendanceRegister.Opened) -> None:
    rows.add(registers, register=event.originator_id, course=event.course)


@discrepancies.on(Certificate.Issued)
def _issued(rows: Rows, event: Certificate.Issued) -> None:
    facts = event.facts
    rests_on = _rests_on(rows, event.rests_on, facts.person)
    document: dict[str, Any] = {
        "document": str(event.originator_id),
        "line": 0,
        "kind": Kind.CERTIFICATE,
        "number": event.number,
        "course": str(facts.course),
        "enrolment": str(facts.enrolment),
        "person": str(facts.person),
        "body": facts.body,
        "over": False,
        "rests_on": rests_on,
    }
    rows.add(documents, **document)
    _compare(rows, event, document)
    for place in {place for _, _, place, _ in rests_on}:
        _index(rows, place, [document["document"], 0])


@discrepancies.on(Submission.Drafted)
def _drafted(rows: Rows, event: Submission.Drafted) -> None:
    rows.add(submissions, submission=event.originator_id, course=event.course, body=event.body, parts=0, lines=0)
    _add_part(rows, event)


@discrepancies.on(Submission.PartDrafted)
def _part_drafted(rows: Rows, event: Submission.PartDrafted) -> None:
    _add_part(rows, event)


def _add_part(rows: Rows, event: Submission.Drafted | Submission.PartDrafted) -> None:
    document = str(event.originator_id)
    known = expected(rows, submissions, document)
    rows.change(submissions, document, parts=event.part, lines=known["lines"] + len(event.lines))
    rows.add(parts, submission=document, part=event.part, exported=[])
    for line in event.lines:
        rests_on = _rests_on(rows, line.rests_on, line.person)
        rows.add(
            documents,
            document=document,
            line=line.line,
            kind=Kind.LINE,
            course=known["course"],
            enrolment=line.enrolment,
            person=line.person,
            body=known["body"],
            email=line.email,
            part=event.part,
            over=False,
            rests_on=rests_on,
        )
        _index_line(rows, document, line.line, known["course"], rests_on)


@discrepancies.on(Submission.LineRemade)
def _line_remade(rows: Rows, event: Submission.LineRemade) -> None:
    document = str(event.originator_id)
    _unexport(rows, event, event.part)
    known = expected(rows, documents, document, event.line)
    rests_on = _rests_on(rows, event.rests_on, known["person"])
    rows.change(documents, document, event.line, email=event.email, rests_on=rests_on)
    _index_line(rows, document, event.line, known["course"], rests_on)


def _rests_on(rows: Rows, bases: Iterable[Basis], person: UUID | str) -> list[list[Any]]:
    return [
        [str(basis.stream), basis.aspect, _place(rows, basis.stream, basis.aspect, person), basis.version]
        for basis in bases
    ]


def _place(rows: Rows, stream: UUID, aspect: Aspect, person: UUID | str) -> str:
    """Return the row of `places` in which it is noted when this aspect of the stream is set again for the person."""
    if aspect is not Aspect.REGISTER or (register := rows.get(registers, stream)) is None:
        return str(stream)
    return enrolment_of(register["course"], str(person))


def _index_line(rows: Rows, document: str, line: int, course: str, rests_on: Sequence[Sequence[Any]]) -> None:
    for place in {place for _, _, place, _ in rests_on}:
        # All lines rest on the course, whose row would grow with each of them.
        _index(rows, place, [document, 0 if place == course else line])


def _index(rows: Rows, place: str, entry: list[Any]) -> None:
    known = rows.get(places, place)
    if known is None:
        rows.add(places, place=place, documents=[entry], moves={})
    elif entry not in known["documents"]:
        rows.change(places, place, documents=[*known["documents"], entry])


# What moves.


@discrepancies.on(Person.NameCorrected, Person.NameChanged)
def _names_set(rows: Rows, event: Person.NameCorrected | Person.NameChanged) -> None:
    _move(rows, event, str(event.originator_id), Aspect.NAMES)


@discrepancies.on(Person.ContactChanged)
def _contact_changed(rows: Rows, event: Person.ContactChanged) -> None:
    _move(rows, event, str(event.originator_id), Aspect.BODY_EMAIL, email=event.email)


@discrepancies.on(Person.BodyEmailStated)
def _body_email_stated(rows: Rows, event: Person.BodyEmailStated) -> None:
    _move(rows, event, str(event.originator_id), Aspect.BODY_EMAIL, of=event.body, email=event.email)


@discrepancies.on(
    Course.Rescheduled, Course.SessionAdded, Course.SessionCancelled, Course.SessionCurtailed, Course.SessionHeld
)
def _schedule_set(rows: Rows, event: Course.Event) -> None:
    _move(rows, event, str(event.originator_id), Aspect.SCHEDULE)


@discrepancies.on(AttendanceRegister.AmendmentApproved)
def _amended(rows: Rows, event: AttendanceRegister.AmendmentApproved) -> None:
    register = str(event.originator_id)
    _move(rows, event, _place(rows, event.originator_id, Aspect.REGISTER, event.person), Aspect.REGISTER, of=register)


@discrepancies.on(Enrolment.CompletionDecided)
def _decided(rows: Rows, event: Enrolment.CompletionDecided) -> None:
    # Nothing can rest on a decision before the first; of a class, that saves a row for each learner.
    if event.supersedes is not None:
        _move(rows, event, str(event.originator_id), Aspect.DECISION)


@discrepancies.on(Enrolment.ParticipationAttested)
def _attested(rows: Rows, event: Enrolment.ParticipationAttested) -> None:
    # The domain asks a reason of whoever says otherwise than before, so that without one it is the first word.
    if event.reason is not None:
        _move(rows, event, str(event.originator_id), Aspect.PARTICIPATION)


@discrepancies.on(Enrolment.MakeUpCredited, Enrolment.MakeUpWithdrawn)
def _made_up(rows: Rows, event: Enrolment.MakeUpCredited | Enrolment.MakeUpWithdrawn) -> None:
    _move(rows, event, str(event.originator_id), Aspect.MAKE_UP)


@discrepancies.on(Enrolment.RequestedAgain, Enrolment.Withdrawn, Enrolment.Cancelled, Enrolment.SubstitutedBy)
def _learner_moved(rows: Rows, event: Enrolment.Event) -> None:
    _move(rows, event, str(event.originator_id), Aspect.LEARNER)


def _move(
    rows: Rows, event: Any, place: str, aspect: Aspect, *, of: str | None = None, email: str | None = None
) -> None:
    """Note that an aspect was set again, and what is at odds with that."""
    name = aspect.value if of is None else f"{aspect.value}/{of}"
    move = [event.originator_version, rows.position, plain(event.at), event.TOPIC, email]
    known = rows.get(places, place)
    if known is None:
        rows.add(places, place=place, documents=[], moves={name: move})
        return
    rows.change(places, place, moves={**known["moves"], name: move})
    for document, line in list(known["documents"]):
        for each in _lines(rows, document, line):
            _compare(rows, event, expected(rows, documents, document, each), place=place)


def _lines(rows: Rows, document: str, line: int) -> Iterable[int]:
    """Return the lines that an entry of the index stands for; a certificate has the one that is 0."""
    if line == 0 and (known := rows.get(submissions, document)) is not None:
        return range(1, known["lines"] + 1)
    return (line,)


def _compare(rows: Rows, event: Any, known: Row, *, place: str | None = None) -> None:
    """Find what has moved of all that a document rests on, or of what is noted in one place."""
    if not _counts(rows, known):
        return
    noted: dict[str, Mapping[str, Move]] = {}
    for stream, aspect, where, version in known["rests_on"]:
        if place is None or where == place:
            if where not in noted:
                row = rows.get(places, where)
                noted[where] = {} if row is None else row["moves"]
            # Nothing at all has moved in most places.
            if (moves := noted[where]) and (move := _moved(moves, known, stream, aspect)) and move[0] > version:
                _find(rows, event, known, stream, aspect, version, move)


def _counts(rows: Rows, known: Row) -> bool:
    """Tell whether somebody relies on the document."""
    if known["over"]:
        return False
    if known["kind"] == Kind.CERTIFICATE:
        return True
    return known["line"] in expected(rows, parts, known["document"], known["part"])["exported"]


def _moved(moves: Mapping[str, Move], known: Row, stream: str, aspect: str) -> Move | None:
    """Return the last event that set the aspect again, of those noted in its place; None where none did."""
    if aspect == Aspect.REGISTER:
        return moves.get(f"{aspect}/{stream}")
    if aspect == Aspect.BODY_EMAIL:
        # What is known of the body goes before the contact, and the same e-mail said again is no other.
        move = moves.get(f"{aspect}/{known['body']}") or moves.get(aspect)
        return None if move is None or move[4] == known["email"] else move
    return moves.get(aspect)


def _find(rows: Rows, event: Any, known: Row, stream: str, aspect: str, rests_on: int, move: Move) -> None:
    version, position, at, topic, _ = move
    key = (known["document"], known["line"], stream, aspect, rests_on)
    now = {"version": version, "moved": position, "moved_at": at, "moved_by": topic}
    row = rows.get(found_rows, *key)
    if row is not None and row["state"] == State.OPEN:
        rows.change(found_rows, *key, **now)
        return
    rows.put(
        found_rows,
        document=known["document"],
        line=known["line"],
        stream=stream,
        aspect=aspect,
        rests_on=rests_on,
        discrepancy=uuid5(DISCREPANCIES, "/".join(map(str, key))),
        kind=known["kind"],
        number=known["number"],
        course=known["course"],
        enrolment=known["enrolment"],
        person=known["person"],
        state=State.OPEN,
        opened=rows.position,
        opened_at=event.timestamp,
        **now,
    )


# On what somebody relies, and no longer.


@discrepancies.on(Certificate.Superseded)
def _superseded(rows: Rows, event: Certificate.Superseded) -> None:
    _over(rows, event, 0, "superseded")


@discrepancies.on(Certificate.Revoked)
def _revoked(rows: Rows, event: Certificate.Revoked) -> None:
    _over(rows, event, 0, "revoked")


@discrepancies.on(Submission.Exported)
def _exported(rows: Rows, event: Submission.Exported) -> None:
    rows.change(parts, event.originator_id, event.part, exported=plain(event.lines))
    for line in event.lines:
        _compare(rows, event, expected(rows, documents, event.originator_id, line))


@discrepancies.on(Submission.LineExcluded, Submission.LineIncluded, Submission.Validated)
def _drafted_anew(rows: Rows, event: Submission.LineExcluded | Submission.LineIncluded | Submission.Validated) -> None:
    _unexport(rows, event, event.part)


@discrepancies.on(Submission.OutcomeRecorded)
def _outcome_recorded(rows: Rows, event: Submission.OutcomeRecorded) -> None:
    if event.outcome is Outcome.REJECTED:
        _over(rows, event, event.line, "rejected")
    elif expected(rows, documents, event.originator_id, event.line)["over"]:
        # The body took the person after all.
        rows.change(documents, event.originator_id, event.line, over=False)
        _compare(rows, event, expected(rows, documents, event.originator_id, event.line))


@discrepancies.on(Submission.LineWithdrawn)
def _line_withdrawn(rows: Rows, event: Submission.LineWithdrawn) -> None:
    _over(rows, event, event.line, "withdrawn")


@discrepancies.on(Submission.Abandoned)
def _abandoned(rows: Rows, event: Submission.Abandoned) -> None:
    known = expected(rows, submissions, event.originator_id)
    for part in range(1, known["parts"] + 1):
        _unexport(rows, event, part, "abandoned")
    for line in range(1, known["lines"] + 1):
        rows.change(documents, event.originator_id, line, over=True)


def _over(rows: Rows, event: Any, line: int, reason: str) -> None:
    rows.change(documents, event.originator_id, line, over=True)
    _close(rows, event, line, reason)


def _unexport(rows: Rows, event: Any, part: int, reason: str = "drafted_anew") -> None:
    """Let a part be without a file, because one of its lines was changed."""
    exported = expected(rows, parts, event.originator_id, part)["exported"]
    if not exported:
        return
    rows.change(parts, event.originator_id, part, exported=[])
    for line in exported:
        _close(rows, event, line, reason)


def _close(rows: Rows, event: Any, line: int, reason: str) -> None:
    document = str(event.originator_id)
    for stream, aspect, _, rests_on in expected(rows, documents, document, line)["rests_on"]:
        key = (document, line, stream, aspect, rests_on)
        row = rows.get(found_rows, *key)
        if row is not None and row["state"] == State.OPEN:
            rows.change(found_rows, *key, state=State.CLOSED, ended_at=event.at, ended_by=event.by, ended_reason=reason)


@discrepancies.on(Certificate.DiscrepancyResolved)
def _certificate_resolved(rows: Rows, event: Certificate.DiscrepancyResolved) -> None:
    _resolve(rows, event, 0)


@discrepancies.on(Submission.DiscrepancyResolved)
def _line_resolved(rows: Rows, event: Submission.DiscrepancyResolved) -> None:
    _resolve(rows, event, event.line)


def _resolve(rows: Rows, event: Certificate.DiscrepancyResolved | Submission.DiscrepancyResolved, line: int) -> None:
    """Let the document rest on the version that was looked at; what has moved beyond it is found anew."""
    document, stream = str(event.originator_id), str(event.stream)
    rests_on = []
    for each in expected(rows, documents, document, line)["rests_on"]:
        if each[:2] == [stream, event.aspect.value]:
            rows.change(
                found_rows,
                document,
                line,
                stream,
                event.aspect,
                each[3],
                state=State.RESOLVED,
                ended_at=event.at,
                ended_by=event.by,
                ended_reason=event.reason,
                ended_note=event.note,
                resolution=event.resolution,
            )
            rests_on.append([*each[:3], event.version])
        else:
            rests_on.append(each)
    rows.change(documents, document, line, rests_on=rests_on)
    _compare(rows, event, expected(rows, documents, document, line))


# The queries.


def open_of(read: Reading, document: UUID | str, at: int | None = None) -> list[dict[str, Any]]:
    """Return what is at odds with the record of one document (a certificate's or a submission's id), as `listing` does.

    A `line` says which line of a submission it is; None for a certificate.
    """
    found = select(found_rows).where(
        found_rows.c.document == str(document), found_rows.c.state == State.OPEN.value, holds(found_rows, at)
    )
    return _shown(read, found.order_by(found_rows.c.line, found_rows.c.opened, found_rows.c.discrepancy), at)


def open_one(
    read: Reading, document: UUID | str, stream: UUID | str, aspect: str, *, line: int = 0
) -> dict[str, Any] | None:
    """Return the open discrepancy of a document in one aspect of a stream, now; None where there is none.

    `line` is that of a submission, 0 for a certificate. At most one can be open.
    """
    column = found_rows.c
    found = select(found_rows).where(
        column.document == str(document),
        column.line == line,
        column.stream == str(stream),
        column.aspect == str(aspect),
        column.state == State.OPEN.value,
        holds(found_rows, None),
    )
    return next(iter(_shown(read, found, None)), None)


def open_counts(read: Reading, ids: Collection[str], *, at: int | None = None) -> dict[str, int]:
    """Return how many discrepancies are open by document, for those of these ids that have any."""
    found: dict[str, int] = {}
    for wanted in portions(ids):
        chunk = (
            select(found_rows.c.document, func.count())
            .where(
                found_rows.c.document.in_(wanted),
                found_rows.c.state == State.OPEN.value,
                holds(found_rows, at),
            )
            .group_by(found_rows.c.document)
        )
        found.update((row[0], row[1]) for row in read.execute(chunk))
    return found


def outstanding(read: Reading, course: UUID | str, *, at: int | None = None) -> list[str]:
    """Return, as codes, what stands against closing a course: discrepancies_open, or nothing."""
    found = select(found_rows.c.discrepancy).where(
        found_rows.c.course == str(course), found_rows.c.state == State.OPEN.value, holds(found_rows, at)
    )
    return [OUTSTANDING] if read.execute(found.limit(1)).first() is not None else []


def discrepancy(read: Reading, discrepancy: UUID | str, *, at: int | None = None) -> dict[str, Any] | None:
    """Return one discrepancy as `listing` does, whatever became of it; None where there is none."""
    found = select(found_rows).where(found_rows.c.discrepancy == str(discrepancy), holds(found_rows, at))
    return next(iter(_shown(read, found, at)), None)


def listing(
    read: Reading,
    *,
    course: UUID | str | None = None,
    state: str | None = None,
    after: tuple[int, str] | None = None,
    limit: int = 50,
    at: int | None = None,
) -> list[dict[str, Any]]:
    """Return discrepancies in the order in which they came up: up to `limit + 1`.

    Each has the columns of `found_rows` (its `line` is None for a certificate), and a `sentence` that says what has
    moved and what can be done. `after` are `opened` and `discrepancy` of the last one known.
    """
    column = found_rows.c
    found = select(found_rows).where(holds(found_rows, at)).order_by(column.opened, column.discrepancy)
    if course is not None:
        found = found.where(column.course == str(course))
    if state is not None:
        found = found.where(column.state == state)
    if after is not None:
        found = found.where(tuple_(column.opened, column.discrepancy) > tuple_(*after))
    return _shown(read, found.limit(limit + 1), at)


def _shown(read: Reading, query: Select[Any], at: int | None) -> list[dict[str, Any]]:
    """Return the rows without the positions between which they hold, each with its sentence."""
    found = [dict(row._mapping) for row in read.execute(query)]
    streams = {row["stream"] for row in found if row["aspect"] == Aspect.REGISTER}
    things = history.things_by_ids(read, streams, at=at) if streams else {}
    for row in found:
        del row["since"], row["until"]
        row["line"] = row["line"] or None
        row["sentence"] = _sentence(row, things.get(row["stream"]))
    return found


_SAID = {
    Person.NameCorrected.TOPIC: "The person's name was corrected",
    Person.NameChanged.TOPIC: "The person's name has changed",
    Person.ContactChanged.TOPIC: "The person's e-mail has changed",
    Person.BodyEmailStated.TOPIC: "The e-mail that the body knows the person by was said to be another",
    Course.Rescheduled.TOPIC: "The course's sessions were planned anew",
    Course.SessionAdded.TOPIC: "A session was added to the course",
    Course.SessionCancelled.TOPIC: "A session of the course was cancelled",
    Course.SessionCurtailed.TOPIC: "A session of the course was recorded as shorter",
    Course.SessionHeld.TOPIC: "How a session of the course was held was recorded anew",
    Enrolment.CompletionDecided.TOPIC: "The decision on completion was corrected",
    Enrolment.ParticipationAttested.TOPIC: "The lead trainer's word on participation has changed",
    Enrolment.MakeUpCredited.TOPIC: "Time made up was credited",
    Enrolment.MakeUpWithdrawn.TOPIC: "A credit for time made up was withdrawn",
    Enrolment.RequestedAgain.TOPIC: "The enrolment was requested again",
    Enrolment.Withdrawn.TOPIC: "The enrolment was withdrawn",
    Enrolment.Cancelled.TOPIC: "The enrolment was cancelled",
    Enrolment.SubstitutedBy.TOPIC: "Somebody else took the seat",
}
"""What moved, by the topic of the event."""

_TO_DO = {
    Kind.CERTIFICATE: "Supersede the certificate or revoke it, or say why it stands.",
    Kind.LINE: (
        "Remake the line if it was not sent yet. If it was, don't activate it before this is settled: correct it with "
        "the body, or say why it stands."
    ),
}

_LOOK_AGAIN = (Aspect.REGISTER, Aspect.PARTICIPATION, Aspect.MAKE_UP, Aspect.SCHEDULE)
"""What a decision on completion rests on in its turn."""


def _sentence(row: Mapping[str, Any], register: Mapping[str, Any] | None) -> str:
    """Say what has moved since a document was made, and what a registrar does about it."""
    said = _SAID.get(row["moved_by"])
    if said is None:
        which = f"of session {register['number']} " if register is not None else ""
        said = f"The register {which}was amended for this learner"
    what = f"certificate {row['number']}" if row["kind"] == Kind.CERTIFICATE else f"line {row['line']}"
    look = " The lead trainer looks whether the decision on completion still holds."
    return (
        f"{said}, and {what} rests on what was on record before.{look if row['aspect'] in _LOOK_AGAIN else ''} "
        f"{_TO_DO[Kind(row['kind'])]}"
    )
