"""The completion view: who has completed a course, as decided and as the record proposes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.basis import Aspect, Basis
from domain.completion import Because, propose
from domain.credential import CredentialPolicy, policy_named
from domain.enrolment import Enrolment
from projections import directory, registers
from projections.projection import (
    Lookup,
    Projection,
    Reading,
    Rows,
    expected,
    flag,
    json,
    number,
    text,
    uid,
    view_table,
)

learners = view_table(
    "completion_learners",
    uid("enrolment"),
    uid("course"),
    flag("participation"),
    text("participation_reason"),
    text("participation_note"),
    uid("participation_by"),
    text("participation_at"),
    number("participation_version"),
    number("made_up_version"),
    key=("enrolment",),
    indexes=[("course",)],
)
"""One row per enrolment. `made_up_version` is the version of the event that last changed the make-ups."""

make_ups = view_table(
    "completion_make_ups",
    uid("enrolment"),
    number("number"),
    uid("course"),
    number("session"),
    number("minutes"),
    json("elsewhere"),
    uid("trainer"),
    text("evidence"),
    text("withdrawn"),
    key=("enrolment", "number"),
    indexes=[("course",)],
)

decisions = view_table(
    "completion_decisions",
    uid("enrolment"),
    number("version"),
    uid("course"),
    flag("completed"),
    flag("deviates"),
    json("because"),
    text("reason"),
    text("note"),
    number("supersedes"),
    uid("approved_by"),
    flag("solo"),
    uid("decided_by"),
    text("decided_at"),
    key=("enrolment", "version"),
    indexes=[("course",)],
)

completion = Projection("completion", version=3, tables=(learners, make_ups, decisions), half=1)


@completion.on(Enrolment.Requested)
def _requested(rows: Rows, event: Enrolment.Requested) -> None:
    rows.add(learners, enrolment=event.originator_id, course=event.course)


@completion.on(Enrolment.ParticipationAttested)
def _attested(rows: Rows, event: Enrolment.ParticipationAttested) -> None:
    rows.change(
        learners,
        event.originator_id,
        participation=event.attested,
        participation_reason=event.reason,
        participation_note=event.note,
        participation_by=event.by,
        participation_at=event.at,
        participation_version=event.originator_version,
    )


@completion.on(Enrolment.MakeUpCredited)
def _make_up_credited(rows: Rows, event: Enrolment.MakeUpCredited) -> None:
    rows.add(
        make_ups,
        enrolment=event.originator_id,
        number=event.number,
        course=_course_of(rows, event),
        session=event.session,
        minutes=event.minutes,
        elsewhere=event.elsewhere,
        trainer=event.trainer,
        evidence=event.evidence,
    )
    rows.change(learners, event.originator_id, made_up_version=event.originator_version)


@completion.on(Enrolment.MakeUpWithdrawn)
def _make_up_withdrawn(rows: Rows, event: Enrolment.MakeUpWithdrawn) -> None:
    rows.change(make_ups, event.originator_id, event.number, withdrawn=event.reason)
    rows.change(learners, event.originator_id, made_up_version=event.originator_version)


@completion.on(Enrolment.CompletionDecided)
def _decided(rows: Rows, event: Enrolment.CompletionDecided) -> None:
    rows.add(
        decisions,
        enrolment=event.originator_id,
        version=event.originator_version,
        course=_course_of(rows, event),
        completed=event.completed,
        deviates=event.deviates,
        because=event.because,
        reason=event.reason,
        note=event.note,
        supersedes=event.supersedes,
        approved_by=event.approved_by,
        solo=event.solo,
        decided_by=event.by,
        decided_at=event.at,
    )


def _course_of(rows: Rows, event: Enrolment.Event) -> str:
    course: str = expected(rows, learners, event.originator_id)["course"]
    return course


@dataclass(frozen=True)
class Learner:
    """One learner's way to completion: what the record proposes as of then, and what was decided.

    `of` is who they are and their standing, as in `registers.enrolled`. `participation` has `attested` (None: not yet),
    `reason`, `note`, `by`, `at` and `version`.
    """

    enrolment: str
    person: str
    of: Mapping[str, Any]
    because: Because
    participation: Mapping[str, Any]
    make_ups: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]

    @property
    def decision(self) -> Mapping[str, Any] | None:
        """The decision that stands, or None."""
        return self.decisions[-1] if self.decisions else None

    @property
    def moved(self) -> bool:
        """Whether the record proposes otherwise now than when this was decided."""
        return self.decision is not None and self.decision["because"]["proposed"] != self.because.proposed


@dataclass(frozen=True)
class Class:
    """The learners of a course on their way to completion, in the order of their requests.

    `registers` says of each session how far its register is: `session`, `register`, `sealed_version`,
    `countersigned`, `unmarked`, `conflicts`, `set_aside` and `amendments`, the last four as numbers.
    """

    course: Mapping[str, Any]
    policy: CredentialPolicy
    tolerance_minutes: int
    registers: Sequence[Mapping[str, Any]]
    learners: Sequence[Learner]


_LEARNERS = Lookup(learners, "course")
_MAKE_UPS = Lookup(make_ups, "course")
_DECISIONS = Lookup(decisions, "course")
_DECISIONS_ON = Lookup(decisions, "enrolment", order=("version",))


def class_of(read: Reading, course: UUID | str, *, at: int | None = None) -> Class | None:
    """Return the learners with a seat, or who were no-shows, or have a decision; None where there is no such course.

    What is proposed follows from the rows as of then: half-days, participation, make-ups and the rules in force.
    """
    taught = registers.taught(read, course, at=at)
    if taught is None:
        return None
    everybody = registers.enrolled(read, course, at=at)
    said = {row["enrolment"]: row for row in _LEARNERS.all(read, at, course=str(course))}
    credited = _by_enrolment(_MAKE_UPS.all(read, at, course=str(course)))
    decided = _by_enrolment(_DECISIONS.all(read, at, course=str(course)))
    streams = [row["register"] for row in taught["sessions"]]
    elsewhere = _elsewhere(each for rows in credited.values() for each in rows)
    books = registers.books(read, {*streams, *elsewhere}, at=at)
    judge = _Judge(
        course=taught,
        books=books,
        policy=policy_named(
            directory.policies(read, at=at), body=taught["body"], code=taught["code"], version=taught["policy_version"]
        ),
        tolerance_minutes=directory.settings(read, at=at).tolerance_minutes,
    )
    pending = registers.undecided_amendments(read, streams, at=at)
    seated = [row["person"] for row in everybody if row["standing"] == "confirmed"]
    return Class(
        course=taught,
        policy=judge.policy,
        tolerance_minutes=judge.tolerance_minutes,
        registers=[
            _progress(row, books[row["register"]], seated, pending.get(row["register"], 0))
            for row in taught["sessions"]
        ],
        learners=[
            judge.learner(
                row, said[row["enrolment"]], credited.get(row["enrolment"], []), decided.get(row["enrolment"], [])
            )
            for row in everybody
            if row["standing"] in ("confirmed", "no_show") or row["enrolment"] in decided
        ],
    )


def _progress(session: Mapping[str, Any], book: registers.Book, seated: Iterable[str], pending: int) -> dict[str, Any]:
    return {
        "session": session["session"],
        "register": session["register"],
        "sealed_version": len(book.seals),
        "countersigned": bool(book.seals) and book.seals[-1]["countersigned_by"] is not None,
        "unmarked": sum(person not in book.holding for person in seated),
        "conflicts": len(book.disputed),
        "set_aside": sum(mark["state"] == "set_aside" for mark in book.marks.values()),
        "amendments": pending,
    }


@dataclass(frozen=True)
class _Planned:
    number: int
    contact_minutes: int


@dataclass(frozen=True)
class _Attended:
    status: str
    late_minutes: int
    left_early_minutes: int


@dataclass(frozen=True)
class _Judge:
    """What holds for all learners of a course: its sessions, registers, rules and tolerance."""

    course: Mapping[str, Any]
    books: Mapping[str, registers.Book]
    policy: CredentialPolicy
    tolerance_minutes: int

    def learner(
        self,
        row: Mapping[str, Any],
        said: Mapping[str, Any],
        credited: Sequence[Mapping[str, Any]],
        decided: Sequence[Mapping[str, Any]],
    ) -> Learner:
        """Return one learner, with what is proposed for them."""
        return Learner(
            enrolment=row["enrolment"],
            person=row["person"],
            of=row,
            because=self._propose(row, said, [each for each in credited if each["withdrawn"] is None]),
            participation={
                "attested": said["participation"],
                **{name: said[f"participation_{name}"] for name in ("reason", "note", "by", "at", "version")},
            },
            make_ups=credited,
            decisions=decided,
        )

    def _propose(
        self, row: Mapping[str, Any], said: Mapping[str, Any], credited: Sequence[Mapping[str, Any]]
    ) -> Because:
        sessions = [_Planned(each["session"], each["contact_minutes"]) for each in self.course["sessions"]]
        streams = {each["session"]: each["register"] for each in self.course["sessions"]}
        minutes: Counter[int] = Counter()
        for each in credited:
            minutes[each["session"]] += each["minutes"]
        accepted = self.course["accepted_minutes"]
        return propose(
            sessions=sessions,
            marks={session: _attended(self.books[stream], row["person"]) for session, stream in streams.items()},
            sealed={session: len(self.books[stream].seals) or None for session, stream in streams.items()},
            make_ups=minutes,
            participation=said["participation"],
            tolerance_minutes=self.tolerance_minutes,
            policy=self.policy,
            rests_on=self._rests_on(row, said, [*streams.values(), *_elsewhere(credited)]),
            shortfall_accepted=accepted is not None and sum(each.contact_minutes for each in sessions) >= accepted,
        )

    def _rests_on(self, row: Mapping[str, Any], said: Mapping[str, Any], streams: Iterable[str]) -> Iterator[Basis]:
        """Give what a decision on this learner rests on, as far as it is on record."""
        enrolment = UUID(row["enrolment"])
        if self.course["schedule_version"] is not None:
            yield Basis(UUID(self.course["course"]), self.course["schedule_version"], Aspect.SCHEDULE)
        for stream in streams:
            if (version := self.books[stream].basis_of(row["person"])) is not None:
                yield Basis(UUID(stream), version, Aspect.REGISTER)
        if said["participation_version"] is not None:
            yield Basis(enrolment, said["participation_version"], Aspect.PARTICIPATION)
        if said["made_up_version"] is not None:
            yield Basis(enrolment, said["made_up_version"], Aspect.MAKE_UP)


def _attended(book: registers.Book, person: str) -> _Attended | None:
    mark = book.mark_of(person)
    if mark is None:
        return None
    return _Attended(mark["status"], mark["late_minutes"], mark["left_early_minutes"])


def _elsewhere(credited: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the registers of other courses in which time was made up."""
    named = (each["elsewhere"]["register"] for each in credited)
    return list({stream: None for stream in named if stream is not None})


def decisions_of(read: Reading, enrolment: UUID | str, *, at: int | None = None) -> list[dict[str, Any]]:
    """Return all decisions on one learner's completion, the first one first, each with its `because`."""
    return _DECISIONS_ON.all(read, at, enrolment=str(enrolment))


def outstanding(read: Reading, course: UUID | str, *, at: int | None = None) -> tuple[str, ...]:
    """Return, as codes, what is left to do on a course's registers and completion before it can be closed."""
    found = class_of(read, course, at=at)
    if found is None:
        return ()
    seated = [learner for learner in found.learners if learner.of["standing"] == "confirmed"]
    left = {
        "registers_unsealed": any(not each["sealed_version"] for each in found.registers),
        "marks_set_aside": any(each["set_aside"] for each in found.registers),
        "amendments_undecided": any(each["amendments"] for each in found.registers),
        "walk_ins_unconfirmed": any(learner.of["walk_in_open"] for learner in seated),
        "completion_undecided": any(learner.decision is None for learner in seated),
    }
    return tuple(code for code, true in left.items() if true)


def _by_enrolment(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["enrolment"], []).append(row)
    return found
