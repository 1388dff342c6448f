"""Attendee files: a dry run that asks, and a confirmation that does it all at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from domain.aggregate import Aggregate
from domain.course import Course, Stage, Standing
from domain.enrolment import Enrolment, Source
from domain.enrolment import Stage as EnrolmentStage
from domain.person import Names, Person, Witness
from domain.private import Private
from domain.refusal import Invalid, Refused
from provider import attendee_file
from provider.attendee_file import AttendeeFile, Problem, fold_email
from provider.attendee_plan import About, Plan, RowPlan, Step, plan
from provider.commands.people import newcomer
from provider.desk import StagedImport
from provider.log import NotFound
from provider.office import Office
from provider.work import Act, Receipt, Work, command

LOGGER = logging.getLogger(__name__)
Kind = TypeVar("Kind", bound=Aggregate)
MOST_ROWS = 1_000
"""Rows that one confirmation may act on: they are recorded together, or not at all."""
BEYOND = "import_over_capacity"
"""The reason for a seat beyond the capacity that somebody gave when they confirmed a file."""
WORDS = {
    "unanswered": "This question has no answer yet.",
    "no_option": "This is none of the options of this question.",
    "unknown_question": "The dry run asks no such question.",
}


class CourseNotOpen(Refused):
    """Attendees can be imported only while the course is open."""


class PlanMoved(Refused):
    """The record has changed since the file was looked at; what would be done now is something else."""


class Unanswered(Invalid):
    """Questions of the dry run have no answer, or not one of their options; `errors` names them."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        named = ", ".join(each for each, _ in faults[:10]) + (", …" if len(faults) > 10 else "")
        super().__init__(
            "Answer each question of the dry run with one of its options. "
            f"{len(faults)} answer{' is' if len(faults) == 1 else 's are'} missing or wrong: {named}."
        )
        self.errors = [
            {"pointer": f"#/answers/{each}", "detail": WORDS[code], "code": code} for each, code in faults[:100]
        ]


class PersonTwice(Invalid):
    """Two rows were answered to be the same person, who can have one seat only."""

    def __init__(self, *rows: RowPlan) -> None:
        first, second = (row.row.row for row in rows)
        super().__init__(
            f"Rows {first} and {second} can't both be the same person, who has one seat. Say of one of them that it is "
            "somebody else, or leave it out."
        )
        asked = [question for row in rows for question in row.questions if question.about in (About.PERSON, About.NAME)]
        self.errors = [
            {"pointer": f"#/answers/{each.id}", "detail": str(self), "code": "person_twice"} for each in asked
        ]


class TooManyRows(Invalid):
    """The file would change more enrolments at once than any course has."""


@dataclass(frozen=True)
class Preview:
    """A file that waits for its confirmation: what it says, and what it would come to."""

    staged: StagedImport
    file: AttendeeFile
    plan: Plan

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that a person should look at, whether the file or only the record shows it."""
        return tuple(sorted((*self.file.problems, *self.plan.problems), key=lambda problem: problem.row))


def stage(office: Office, *, course: UUID, content: bytes) -> Preview:
    """Read a file for a course, keep it for 24 hours, and say what it would come to. Nothing is recorded.

    :raises NotFound: there is no such course.
    :raises CourseNotOpen: it takes nobody.
    :raises UnreadableFile: not one row can be read.
    """
    _must_be_open(office.log.get(Course, course))
    file = attendee_file.read(content)
    planned = _plan(office, course, file)
    office.desk.sweep()
    return Preview(office.desk.stage(course=course, content=content), file, planned)


def preview(office: Office, *, course: UUID, staged: UUID) -> Preview:
    """Say again what a staged file would come to, by the record as it is now.

    :raises NotFound: it was never there, was confirmed, or its 24 hours are over.
    """
    held = _staged(office, course, staged)
    file = attendee_file.read(held.content)
    return Preview(held, file, _plan(office, course, file))


def confirm(office: Office, act: Act, *, course: UUID, staged: UUID, plan: str, answers: Mapping[str, str]) -> Receipt:
    """Do what the dry run said, by the answers, all of it or nothing; then destroy the file.

    `plan` is the digest of the dry run that was looked at. The other ids are the enrolments that were made or changed;
    the outcome is `imported`, or `unchanged` where there are none.

    :raises PlanMoved: it would come to something else by now.
    :raises Unanswered: a question has no answer, or none of its options.
    :raises PersonTwice: two rows would be the same person.
    """
    receipt = _carry_out(office, act, course=course, staged=staged, seen=plan, answers=answers)
    try:
        office.desk.discard(staged)
    except Exception:
        # It is recorded, so it has succeeded; the next file's sweep destroys this one when its day is over.
        LOGGER.exception("a confirmed file could not be destroyed; it will be after 24 hours")
    return receipt


@command
def _carry_out(work: Work, *, course: UUID, staged: UUID, seen: str, answers: Mapping[str, str]) -> Receipt:
    file = attendee_file.read(_staged(work.office, course, staged).content)
    with work.alone(f"course/{course}"):
        # Who held the lock before may have let go of it before the views caught up.
        work.office.views.catch_up()
        seats = work.get(Course, course)
        _must_be_open(seats)
        planned = plan(file, seats, work.read, work.office.vault.open)
        if planned.digest != seen:
            raise PlanMoved("The record has changed since you looked at this file. Look at the dry run again.")
        if faults := planned.faults(answers):
            raise Unanswered(faults)
        if len(planned.acting) > MOST_ROWS:
            raise TooManyRows(
                f"At most {MOST_ROWS:,} rows can be confirmed at once, and this file has {len(planned.acting):,}. "
                "Export the report of this course alone, or in parts."
            )
        hand = _Hand(work, seats, answers)
        hand.carry_out(planned.acting)
        outcome = "imported" if hand.touched else "unchanged"
        return work.record(seats, *hand.others(), outcome=outcome, ids=list(dict.fromkeys(hand.touched)))


class _Hand:
    """Carries out the rows of a plan on one course; everything is kept until it is recorded together."""

    def __init__(self, work: Work, seats: Course, answers: Mapping[str, str]) -> None:
        self.work = work
        self.seats = seats
        self.answers = answers
        self.touched: list[UUID] = []
        self._held: dict[UUID, Aggregate] = {}
        self._new: dict[int, UUID] = {}
        self._placed: dict[UUID, RowPlan] = {}
        self._body_emails: set[str] = set()

    def others(self) -> list[Aggregate]:
        """Return all but the course that something happened to."""
        return [each for each in self._held.values() if each.pending_events]

    def carry_out(self, rows: Iterable[RowPlan]) -> None:
        """Do what the rows come to by their answers.

        Seats that become free come first, then whoever has one without asking, then those above the capacity: the same
        row of them gets the last seat as in the dry run, or one of those that the answers leave over.
        """
        ordered = sorted(rows, key=_turn)
        self._seal(ordered)
        for row in ordered:
            if row.step is Step.REFUNDED:
                self._refund(row)
            elif row.step is Step.CHANGED:
                self._change(row)
            elif row.step is Step.WAITING:
                self._seat_at_once(row)
            else:
                self._enrol(row)

    def _seal(self, rows: Sequence[RowPlan]) -> None:
        """Draw the ids of new people, and put all that is said of them into the vault in one go."""
        values: list[tuple[UUID, str]] = []
        for row in rows:
            if self._brings_somebody_new(row):
                person = self._new[row.row.row] = self.work.new_id()
                said = (row.row.given, row.row.family, row.row.email, row.body_email)
                values += [(person, value) for value in said if value]
        self.work.seal_many(values)

    def _brings_somebody_new(self, row: RowPlan) -> bool:
        if self._answer(row, About.NAME) == "substitution":
            return row.substitute is None
        if row.step is not Step.ENROL_NEW or self._is_over(row):
            return False
        return self._answer(row, About.PERSON) in (None, "new")

    # Rows that the course has not seen yet, or sees again.

    def _enrol(self, row: RowPlan) -> None:
        if self._is_over(row):
            return
        person = self._person(row)
        self._place(person, row)
        stream = Enrolment.create_id(self.seats.id, person.id)
        standing = self._seat(person, stream, self._answer(row, About.SEAT))
        self._request(person, stream, standing, Source.IMPORT, row)
        self._state_body_email(row, person)

    def _seat_at_once(self, row: RowPlan) -> None:
        enrolment = self._enrolment(row)
        if self._answer(row, About.SEAT) == "override":
            self.seats.confirm_held(person=enrolment.person, override=BEYOND, **self.work.by)
            enrolment.confirm(**self.work.by)
        self._state_body_email(row, self._person(row))
        self._note_touched(row, enrolment)

    def _place(self, person: Person, row: RowPlan) -> None:
        if person.id in self._placed:
            raise PersonTwice(self._placed[person.id], row)
        self._placed[person.id] = row

    def _seat(self, person: Person, enrolment: UUID, answer: str | None) -> Standing:
        """Take a seat; the queue only for whom somebody chose it."""
        override = BEYOND if answer == "override" else None
        standing = self.seats.request_seat(person=person.id, enrolment=enrolment, override=override, **self.work.by)
        if standing is Standing.QUEUED and answer != "queue":
            raise PlanMoved("There are fewer seats than when you looked at this file. Look at the dry run again.")
        return standing

    def _request(
        self,
        person: Person,
        stream: UUID,
        standing: Standing,
        source: Source,
        row: RowPlan,
        substitutes: UUID | None = None,
    ) -> None:
        known = self.work.find(Enrolment, stream)
        if known is None:
            known = Enrolment.request(
                course=self.seats.id,
                person=person.id,
                standing=standing,
                source=source,
                order_reference=row.reference,
                substitutes=substitutes,
                **self.work.by,
            )
        else:
            known.request_again(
                standing=standing,
                source=source,
                order_reference=row.reference,
                substitutes=substitutes,
                **self.work.by,
            )
        self._held[stream] = known
        self.touched.append(stream)

    # Rows that the course knows from an earlier export.

    def _refund(self, row: RowPlan) -> None:
        if self._answer(row, About.REFUND) == "withdraw":
            self._withdraw(self._enrolment(row), "refunded_in_shop")

    def _withdraw(self, enrolment: Enrolment, reason: str) -> None:
        enrolment.withdraw(reason=reason, **self.work.by)
        self.seats.free_seat(person=enrolment.person, reason=reason, **self.work.by)
        self.touched.append(enrolment.id)

    def _change(self, row: RowPlan) -> None:
        name = self._answer(row, About.NAME) or "leave"
        if name.startswith("substitution"):
            self._substitute(row)
            return
        person = self._person(row)
        if name == "correction":
            person.correct_name(names=self._names(person, row), reason="corrected_in_shop", **self.work.by)
        elif name == "change":
            person.change_name(
                names=self._names(person, row), reason="changed_in_shop", evidence=row.reference, **self.work.by
            )
        if self._answer(row, About.EMAIL) == "change":
            person.change_contact(email=self.work.seal(person.id, row.row.email), phone=person.phone, **self.work.by)
        self._state_body_email(row, person)
        self._note_touched(row, person)

    def _names(self, person: Person, row: RowPlan) -> Names:
        """Return the names by the row. What the person gave beside them stays, and so do the handles of the same."""
        held = person.names
        return replace(
            held,
            given=self._same(person.id, held.given, row.row.given),
            family=self._same(person.id, held.family, row.row.family),
        )

    def _same(self, owner: UUID, held: Private | None, said: str) -> Private | None:
        if held is not None and self.work.office.vault.open_one(held) == said:
            return held
        return self.work.seal(owner, said or None)

    def _substitute(self, row: RowPlan) -> None:
        enrolment = self._enrolment(row)
        person = self._person(row)
        self._place(person, row)
        if enrolment.stage is EnrolmentStage.QUEUED:
            # Nobody's rank is inherited: the one goes, the other joins the end.
            self._withdraw(enrolment, "replaced_in_shop")
            theirs = Enrolment.create_id(self.seats.id, person.id)
            self._request(person, theirs, self._seat(person, theirs, "queue"), Source.IMPORT, row)
        else:
            theirs = enrolment.substitute(person=person.id, reason="replaced_in_shop", **self.work.by)
            self.seats.substitute(old=enrolment.person, new=person.id, new_enrolment=theirs, **self.work.by)
            self.touched.append(enrolment.id)
            self._request(person, theirs, Standing.CONFIRMED, Source.SUBSTITUTION, row, enrolment.id)
        self._state_body_email(row, person)

    # Who somebody is.

    def _person(self, row: RowPlan) -> Person:
        """Return who the row is by its answers: somebody on record, or somebody new."""
        if row.row.row in self._new:
            return self._newcomer(row)
        said = self._answer(row, About.PERSON) or self._answer(row, About.NAME) or ""
        kind, _, named = said.partition(":")
        known = named if named else row.substitute if kind == "substitution" else row.person
        return self._get(Person, UUID(known or ""))

    def _newcomer(self, row: RowPlan) -> Person:
        person = newcomer(
            self.work,
            person=self._new[row.row.row],
            given=row.row.given or None,
            family=row.row.family or None,
            email=row.row.email or None,
            source="import",
        )
        self._held[person.id] = person
        return person

    def _state_body_email(self, row: RowPlan, person: Person) -> None:
        """Record what the row says of the e-mail used with the body, unless it is somebody else's too."""
        if row.body_email is None or row.used_by - {str(person.id)}:
            return
        body = self.seats.body
        held = person.body_email(body)
        if held is not None and self._answer(row, About.BODY_EMAIL) != "change":
            return
        if fold_email(row.body_email) in self._body_emails:
            return
        self._body_emails.add(fold_email(row.body_email))
        person.state_body_email(
            body=body, email=self.work.seal(person.id, row.body_email), source=Witness.PERSON, **self.work.by
        )

    # The answers, and what is held.

    def _answer(self, row: RowPlan, about: About) -> str | None:
        option = row.answer(about, self.answers)
        return None if option is None else option.value

    def _is_over(self, row: RowPlan) -> bool:
        """Tell whether the answers leave nothing to be done with a row that would enrol somebody."""
        return any(
            option is not None and option.final
            for option in (row.answer(about, self.answers) for about in (About.PERSON, About.RETURN, About.SEAT))
        )

    def _note_touched(self, row: RowPlan, changed: Aggregate) -> None:
        if changed.pending_events or self._person(row).pending_events:
            self.touched.append(UUID(row.enrolment or ""))

    def _enrolment(self, row: RowPlan) -> Enrolment:
        return self._get(Enrolment, UUID(row.enrolment or ""))

    def _get(self, kind: type[Kind], stream: UUID) -> Kind:
        if stream not in self._held:
            self._held[stream] = self.work.get(kind, stream)
        return self._held[stream]  # type: ignore[return-value]


def _turn(row: RowPlan) -> int:
    """Return when a row has its turn: those that free seats before those that take them."""
    if row.step is Step.REFUNDED:
        return 0
    if row.step is Step.CHANGED:
        return 1
    return 2 if row.question(About.SEAT) is None else 3


def _must_be_open(course: Course) -> None:
    if course.stage is not Stage.OPEN:
        raise CourseNotOpen(
            f"Attendees can be imported while the course is open, and it is {course.stage.value}. Open it first."
        )


def _plan(office: Office, course: UUID, file: AttendeeFile) -> Plan:
    office.views.catch_up()
    with office.views.reading() as read:
        return plan(file, office.log.get(Course, course), read, office.vault.open)


def _staged(office: Office, course: UUID, staged: UUID) -> StagedImport:
    held = office.desk.staged(staged)
    if held is None or held.course != course:
        raise NotFound("There is no such import here: it was confirmed, or its 24 hours are over. Send the file again.")
    return held
