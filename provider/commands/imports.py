"""Attendee files: a dry run that asks, and a confirmation that does it all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from domain.aggregate import Aggregate
from domain.course import Course, Stage, Standing
from domain.enrolment import Enrolment, Source
from domain.person import Names, Person, Witness
from domain.refusal import Invalid, Refused
from provider import attendee_file
from provider.attendee_file import AttendeeFile
from provider.attendee_plan import About, Plan, RowPlan, Step, plan, unanswered
from provider.commands.people import newcomer
from provider.desk import StagedImport
from provider.log import NotFound
from provider.office import Office
from provider.work import Act, Receipt, Work, command

Kind = TypeVar("Kind", bound=Aggregate)
MOST_ROWS = 250
"""Rows that one confirmation may act on: they are recorded together, or not at all."""


class CourseNotOpen(Refused):
    """Attendees can be imported only while the course takes enrolments."""


class PlanMoved(Refused):
    """The record has changed since the file was looked at; what would be done now is something else."""


class Unanswered(Refused):
    """Some questions of the dry run have no answer yet; `errors` names them."""

    def __init__(self, questions: Sequence[str]) -> None:
        super().__init__(f"Answer these questions of the dry run first, each with one of its options: {questions}.")
        self.errors = [
            {"pointer": f"#/answers/{each}", "detail": "This question has no answer yet.", "code": "unanswered"}
            for each in questions
        ]


class TooManyRows(Invalid):
    """The file would change more enrolments at once than any course has."""


@dataclass(frozen=True)
class Preview:
    """A file that waits for its confirmation: what it says, and what it would come to."""

    staged: StagedImport
    file: AttendeeFile
    plan: Plan


def stage(office: Office, *, course: UUID, content: bytes) -> Preview:
    """Read a file for a course, keep it for 24 hours, and say what it would come to. Nothing is recorded.

    :raises NotFound: there is no such course.
    :raises UnreadableFile: not one row can be read.
    """
    _open_course(office, course)
    file = attendee_file.read(content)
    office.desk.sweep()
    staged = office.desk.stage(course=course, content=content)
    return Preview(staged, file, _plan(office, course, file))


def preview(office: Office, *, course: UUID, staged: UUID) -> Preview:
    """Say again what a staged file would come to, by the record as it is now.

    :raises NotFound: it was never there, was confirmed, or its 24 hours are over.
    """
    held = _staged(office, course, staged)
    file = attendee_file.read(held.content)
    return Preview(held, file, _plan(office, course, file))


def confirm(office: Office, act: Act, *, course: UUID, staged: UUID, plan: str, answers: Mapping[str, str]) -> Receipt:
    """Do what the dry run said, by the answers, all of it or nothing; then destroy the file.

    `plan` is the digest of the dry run that was looked at. The other ids are the enrolments that were made or changed.

    :raises PlanMoved: it would come to something else by now.
    :raises Unanswered: a question has no answer, or none of its options.
    """
    receipt = _carry_out(office, act, course=course, staged=staged, seen=plan, answers=answers)
    office.desk.discard(staged)
    return receipt


@command
def _carry_out(work: Work, *, course: UUID, staged: UUID, seen: str, answers: Mapping[str, str]) -> Receipt:
    file = attendee_file.read(_staged(work.office, course, staged).content)
    with work.alone(f"course/{course}"):
        # Who held the lock before may have let go of it before the views caught up.
        work.office.views.catch_up()
        seats = work.get(Course, course)
        planned = plan(file, seats, work.read, work.office.vault.open)
        if planned.digest != seen:
            raise PlanMoved("The record has changed since you looked at this file. Look at the dry run again.")
        if missing := unanswered(planned.questions, answers):
            raise Unanswered(missing)
        acting = [row for row in planned.rows if row.step not in (Step.UNCHANGED, Step.LEFT_OUT, Step.BLOCKED)]
        if len(acting) > MOST_ROWS:
            raise TooManyRows(f"At most {MOST_ROWS} rows can be confirmed at once; this file has {len(acting)}.")
        hand = _Hand(work, seats, answers)
        for row in acting:
            hand.carry_out(row)
        return work.record(seats, *hand.others(), outcome="imported", ids=hand.touched)


class _Hand:
    """Carries out the rows of a plan on one course; everything is kept until it is recorded together."""

    def __init__(self, work: Work, seats: Course, answers: Mapping[str, str]) -> None:
        self.work = work
        self.seats = seats
        self.answers = answers
        self.touched: list[UUID] = []
        self._held: dict[UUID, Aggregate] = {}

    def others(self) -> list[Aggregate]:
        """Return all but the course that something happened to."""
        return [each for each in self._held.values() if each.pending_events]

    def carry_out(self, row: RowPlan) -> None:
        """Do what a row comes to by its answers."""
        if row.step in (Step.ENROL_NEW, Step.ENROL_KNOWN):
            self._enrol(row)
        elif row.step is Step.REFUNDED:
            if self._answer(row, About.REFUND) == "withdraw":
                self._withdraw(row)
        elif self._answer(row, About.RETURN) == "enrol":
            enrolment = self._enrolment(row)
            standing = self._seat(self._person_of(row), enrolment.id, self._answer(row, About.SEAT))
            enrolment.request_again(
                standing=standing, source=Source.IMPORT, order_reference=row.reference, **self.work.by
            )
            self.touched.append(enrolment.id)
        else:
            self._change(row)

    def _enrol(self, row: RowPlan) -> None:
        said = self._answer(row, About.PERSON)
        seat = self._answer(row, About.SEAT)
        if "leave" in (said, seat):
            return
        if said is not None and said.startswith("is:"):
            person = self._get(Person, UUID(said.removeprefix("is:")))
        elif row.person is not None:
            person = self._get(Person, UUID(row.person))
        else:
            person = self._newcomer(row)
        enrolment = Enrolment.create_id(self.seats.id, person.id)
        if self.seats.has_seat(person.id) or self.seats.rank_of(person.id) is not None:
            return
        standing = self._seat(person, enrolment, seat)
        known = self.work.find(Enrolment, enrolment)
        if known is None:
            known = Enrolment.request(
                course=self.seats.id,
                person=person.id,
                standing=standing,
                source=Source.IMPORT,
                order_reference=row.reference,
                **self.work.by,
            )
        else:
            known.request_again(standing=standing, source=Source.IMPORT, order_reference=row.reference, **self.work.by)
        self._held[known.id] = known
        self._state_body_email(row, person)
        self.touched.append(known.id)

    def _seat(self, person: Person, enrolment: UUID, answer: str | None) -> Standing:
        """Take a seat; the queue only for whom somebody chose it."""
        override = "import_over_capacity" if answer == "override" else None
        standing = self.seats.request_seat(person=person.id, enrolment=enrolment, override=override, **self.work.by)
        if standing is Standing.QUEUED and answer != "queue":
            raise PlanMoved("There are fewer seats than when you looked at this file. Look at the dry run again.")
        return standing

    def _withdraw(self, row: RowPlan) -> None:
        enrolment = self._enrolment(row)
        enrolment.withdraw(reason="refunded_in_shop", **self.work.by)
        self.seats.free_seat(person=enrolment.person, reason="refunded_in_shop", **self.work.by)
        self.touched.append(enrolment.id)

    def _change(self, row: RowPlan) -> None:
        name = self._answer(row, About.NAME)
        if name == "substitution":
            self._substitute(row)
            return
        person = self._person_of(row)
        if name in ("correction", "change"):
            given, family = self.work.seal_all(person.id, row.row.given or None, row.row.family or None)
            names = Names(
                given=given,
                family=family,
                certificate_name=None,
                latin_given=None,
                latin_family=None,
            )
            if name == "correction":
                person.correct_name(names=names, reason="corrected_in_shop", **self.work.by)
            else:
                person.change_name(names=names, reason="changed_in_shop", evidence=row.reference, **self.work.by)
        if self._answer(row, About.EMAIL) == "change":
            person.change_contact(email=self.work.seal(person.id, row.row.email), phone=person.phone, **self.work.by)
        if person.pending_events and row.enrolment is not None:
            self.touched.append(UUID(row.enrolment))

    def _substitute(self, row: RowPlan) -> None:
        enrolment = self._enrolment(row)
        person = self._newcomer(row)
        theirs = enrolment.substitute(person=person.id, reason="replaced_in_shop", **self.work.by)
        self.seats.substitute(old=enrolment.person, new=person.id, new_enrolment=theirs, **self.work.by)
        self._held[theirs] = Enrolment.request(
            course=self.seats.id,
            person=person.id,
            standing=Standing.CONFIRMED,
            source=Source.SUBSTITUTION,
            order_reference=row.reference,
            substitutes=enrolment.id,
            **self.work.by,
        )
        self._state_body_email(row, person)
        self.touched += [enrolment.id, theirs]

    def _newcomer(self, row: RowPlan) -> Person:
        person = newcomer(
            self.work,
            person=self.work.new_id(),
            given=row.row.given or None,
            family=row.row.family or None,
            email=row.row.email or None,
            source="import",
        )
        self._held[person.id] = person
        return person

    def _state_body_email(self, row: RowPlan, person: Person) -> None:
        body = self.seats.body
        if row.body_email is None:
            return
        held = person.body_email(body)
        if held is None or self.work.office.vault.open_one(held) != row.body_email:
            person.state_body_email(
                body=body, email=self.work.seal(person.id, row.body_email), source=Witness.PERSON, **self.work.by
            )

    def _answer(self, row: RowPlan, about: About) -> str | None:
        return next((self.answers[q.id] for q in row.questions if q.about is about), None)

    def _enrolment(self, row: RowPlan) -> Enrolment:
        return self._get(Enrolment, UUID(row.enrolment or ""))

    def _person_of(self, row: RowPlan) -> Person:
        return self._get(Person, UUID(row.person or ""))

    def _get(self, kind: type[Kind], stream: UUID) -> Kind:
        if stream not in self._held:
            self._held[stream] = self.work.get(kind, stream)
        return self._held[stream]  # type: ignore[return-value]


def _open_course(office: Office, course: UUID) -> Course:
    found = office.log.get(Course, course)
    if found.stage is not Stage.OPEN:
        raise CourseNotOpen(
            f"Attendees can be imported while the course is open, and it is {found.stage.value}. Open it first."
        )
    return found


def _plan(office: Office, course: UUID, file: AttendeeFile) -> Plan:
    office.views.catch_up()
    with office.views.reading() as read:
        return plan(file, _open_course(office, course), read, office.vault.open)


def _staged(office: Office, course: UUID, staged: UUID) -> StagedImport:
    held = office.desk.staged(staged)
    if held is None or held.course != course:
        raise NotFound("There is no such import here: it was confirmed, or its 24 hours are over. Send the file again.")
    return held
