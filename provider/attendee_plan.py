"""What an attendee file means for a course as it stands: what would be done, and what a person has to be asked."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from domain.course import Course
from domain.enrolment import Stage
from domain.private import Private
from domain.submission_file import check_row
from projections import directory, roster
from provider.attendee_file import AttendeeFile, AttendeeRow, fold_email, fold_name

Opened = Callable[[Iterable[Private | None]], Mapping[Private, str | None]]

PAGE = 1_000
LIVE = (Stage.CONFIRMED.value, Stage.QUEUED.value, Stage.NO_SHOW.value)
SPOKEN_OF = {
    "SA": "scrum alliance",
    "SCRUMORG": "scrum.org",
    "PMI": "pmi",
    "SAFE": "scaled agile",
    "SCRUMSTUDY": "scrumstudy",
    "SCRUMINC": "scrum inc",
}
"""How an organiser's question names a body, in lower case; the question for the e-mail used with it says "mail" too."""


class Step(StrEnum):
    """What a row comes to when nothing is asked, or before it is."""

    ENROL_NEW = "enrol_new"
    ENROL_KNOWN = "enrol_known"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REFUNDED = "refunded"
    LEFT_OUT = "left_out"
    BLOCKED = "blocked"


class About(StrEnum):
    """What a question is about."""

    PERSON = "person"
    NAME = "name"
    EMAIL = "email"
    REFUND = "refund"
    RETURN = "return"
    SEAT = "seat"


@dataclass(frozen=True)
class Option:
    """An answer that may be given: its value, and what it does in words."""

    value: str
    label: str


@dataclass(frozen=True)
class Question:
    """What a person has to decide about a row. `text` may hold names; it is shown, and never kept."""

    row: int
    about: About
    text: str = field(repr=False)
    options: tuple[Option, ...] = field(repr=False)

    @property
    def id(self) -> str:
        """The question's name in an answer, such as `5-name`."""
        return f"{self.row}-{self.about.value}"


@dataclass(frozen=True)
class RowPlan:
    """What one row comes to. `person` and `enrolment` are those on record, None for new ones."""

    row: AttendeeRow = field(repr=False)
    step: Step
    person: str | None = None
    enrolment: str | None = None
    questions: tuple[Question, ...] = ()
    body_email: str | None = field(default=None, repr=False)

    @property
    def reference(self) -> str:
        """The shop's key of the row, as the enrolment keeps it: two numbers, nothing personal."""
        return "/".join(self.row.key)


@dataclass(frozen=True)
class Plan:
    """What a file means for a course, row by row."""

    rows: tuple[RowPlan, ...]

    @property
    def digest(self) -> str:
        """What an answer must name, so that nobody confirms what they have not seen."""
        said = [
            (row.row.row, row.reference, row.step.value, row.person, row.enrolment, _offered(row)) for row in self.rows
        ]
        return hashlib.sha256(repr(said).encode()).hexdigest()[:32]

    @property
    def questions(self) -> tuple[Question, ...]:
        """All that has to be asked."""
        return tuple(question for row in self.rows for question in row.questions)

    def count(self) -> dict[str, int]:
        """Return how many rows come to each step, and how many have a question."""
        counts = {step.value: sum(row.step is step for row in self.rows) for step in Step}
        return counts | {"rows": len(self.rows), "asked": sum(bool(row.questions) for row in self.rows)}


def _offered(row: RowPlan) -> list[tuple[str, list[str]]]:
    return [(question.id, [option.value for option in question.options]) for question in row.questions]


@dataclass(frozen=True)
class Known:
    """Somebody on record, with their values opened."""

    person: str
    given: str | None = field(repr=False)
    family: str | None = field(repr=False)
    email: str | None = field(repr=False)

    @property
    def name(self) -> str:
        """The name as it is shown to whoever is asked."""
        return " ".join(part for part in (self.given, self.family) if part) or "(no name)"


class People:
    """Everybody on record, by name and by e-mail. Values are compared here, and nowhere in the domain."""

    def __init__(self, read: Connection, opened: Opened) -> None:
        self.by_id: dict[str, Known] = {}
        self.by_name: defaultdict[str, list[Known]] = defaultdict(list)
        self.by_email: defaultdict[str, list[Known]] = defaultdict(list)
        after: int | None = None
        while page := directory.people(read, after=after, limit=PAGE):
            page, more = page[:PAGE], len(page) > PAGE
            values = opened(handle(row[name]) for row in page for name in ("given", "family", "email"))
            for row in page:
                self._add(row, lambda text: values.get(Private(text)) if text else None)  # noqa: B023
            if not more:
                break
            after = page[-1]["registered"]

    def _add(self, row: Mapping[str, Any], value: Callable[[str | None], str | None]) -> None:
        known = Known(row["person"], value(row["given"]), value(row["family"]), value(row["email"]))
        self.by_id[known.person] = known
        if row["linked_to"] is not None:
            return
        if name := fold_name(known.given or "", known.family or ""):
            self.by_name[name].append(known)
        if known.email:
            self.by_email[fold_email(known.email)].append(known)

    def same(self, row: AttendeeRow) -> Known | None:
        """Return who has both this name and this e-mail, if there is exactly one."""
        found = [known for known in self.by_email.get(row.folded_email, ()) if known in self._called(row)]
        return found[0] if row.folded_email and len(found) == 1 else None

    def like(self, row: AttendeeRow) -> list[Known]:
        """Return who has this name or this e-mail, each once."""
        with_email = self.by_email.get(row.folded_email, []) if row.folded_email else []
        return list({known.person: known for known in (*with_email, *self._called(row))}.values())

    def _called(self, row: AttendeeRow) -> list[Known]:
        return self.by_name.get(row.folded_name, []) if row.folded_name else []


def handle(text: str | None) -> Private | None:
    """Return the text of a row as the handle that it is."""
    return None if text is None else Private(text)


def plan(file: AttendeeFile, course: Course, read: Connection, opened: Opened) -> Plan:
    """Return what the file means for the course as the views and its seats stand now."""
    people = People(read, opened)
    enrolments = all_enrolments(read, str(course.id))
    by_reference: dict[str, Mapping[str, Any]] = {}
    for each in enrolments:
        reference = each["order_reference"]
        if reference and (reference not in by_reference or each["standing"] in LIVE):
            by_reference[reference] = each
    on_course = {each["person"]: each for each in enrolments if each["standing"] in LIVE}
    planned = []
    free = course.seats_free
    blocked = file.blocked
    emails = _body_emails(file, course.body)
    for row in file.rows:
        reference = "/".join(row.key)
        if row.row in blocked:
            step = RowPlan(row, Step.BLOCKED)
        elif (held := by_reference.get(reference)) is not None:
            step = _again(row, held, people)
        elif not row.attends:
            step = RowPlan(row, Step.LEFT_OUT)
        else:
            step = _first(row, people, on_course)
            if step.step in (Step.ENROL_NEW, Step.ENROL_KNOWN) and free is not None:
                free -= 1
                if free < 0:
                    step = _ask_for_a_seat(step)
        planned.append(RowPlan(**{**vars(step), "body_email": emails.get(row.row)}))
    return Plan(tuple(planned))


def all_enrolments(read: Connection, course: str) -> list[dict[str, Any]]:
    """Return every enrolment of the course, ended ones too."""
    found: list[dict[str, Any]] = []
    after: int | None = None
    while page := roster.enrolments_of(read, course, after=after, limit=PAGE):
        found += page[:PAGE]
        if len(page) <= PAGE:
            break
        after = found[-1]["requested"]
    return found


def _first(row: AttendeeRow, people: People, on_course: Mapping[str, Any]) -> RowPlan:
    """Plan a row that the course has not seen yet."""
    if (known := people.same(row)) is not None:
        if (held := on_course.get(known.person)) is not None:
            return RowPlan(row, Step.UNCHANGED, known.person, held["enrolment"])
        return RowPlan(row, Step.ENROL_KNOWN, known.person)
    alike = people.like(row)
    if not alike:
        return RowPlan(row, Step.ENROL_NEW)
    options = [
        Option(f"is:{known.person}", f"It is {known.name} ({known.email or 'no e-mail'}), who is on record.")
        for known in alike
        if known.person not in on_course
    ]
    options += [
        Option(f"is:{known.person}", f"It is {known.name}, who is on the course already; nothing is done.")
        for known in alike
        if known.person in on_course
    ]
    question = Question(
        row.row,
        About.PERSON,
        f"{row.given} {row.family} <{row.email}> is like somebody on record, but name and e-mail don't both agree.",
        (*options, Option("new", "It is somebody else: make a new person."), Option("leave", "Leave the row out.")),
    )
    return RowPlan(row, Step.ENROL_NEW, questions=(question,))


def _again(row: AttendeeRow, held: Mapping[str, Any], people: People) -> RowPlan:
    """Plan a row that the course knows from an earlier export."""
    person, enrolment = held["person"], held["enrolment"]
    live = held["standing"] in LIVE
    known = people.by_id[person]
    if not row.attends:
        if not live:
            return RowPlan(row, Step.UNCHANGED, person, enrolment)
        question = Question(
            row.row,
            About.REFUND,
            f"{known.name} is {row.status.value} in the ticket shop.",
            (Option("withdraw", "Withdraw the enrolment."), Option("keep", "Keep the enrolment as it is.")),
        )
        return RowPlan(row, Step.REFUNDED, person, enrolment, (question,))
    if not live:
        question = Question(
            row.row,
            About.RETURN,
            f"{known.name} had left the course ({held['standing']}), but attends by this file.",
            (Option("enrol", "Enrol them again."), Option("leave", "Leave it as it is.")),
        )
        return RowPlan(row, Step.CHANGED, person, enrolment, (question,))
    questions = []
    if fold_name(known.given or "", known.family or "") != row.folded_name:
        questions.append(
            Question(
                row.row,
                About.NAME,
                f"{known.name} is called {row.given} {row.family} now.",
                (
                    Option("correction", "The same person: the name was written wrongly."),
                    Option("change", "The same person, who is called otherwise from now on."),
                    Option("substitution", "Another person, who takes the seat."),
                    Option("leave", "Leave it as it is."),
                ),
            )
        )
    if row.folded_email and fold_email(known.email or "") != row.folded_email:
        questions.append(
            Question(
                row.row,
                About.EMAIL,
                f"The e-mail of {known.name} is {row.email} now; on record is {known.email or 'none'}.",
                (Option("change", "Take the new e-mail as contact."), Option("leave", "Leave it as it is.")),
            )
        )
    return RowPlan(row, Step.CHANGED if questions else Step.UNCHANGED, person, enrolment, tuple(questions))


def _ask_for_a_seat(planned: RowPlan) -> RowPlan:
    row = planned.row
    question = Question(
        row.row,
        About.SEAT,
        f"{row.given} {row.family} has paid, but there is no seat left for this row.",
        (
            Option("override", "Give them a seat beyond the capacity."),
            Option("queue", "Put them into the queue."),
            Option("leave", "Leave the row out."),
        ),
    )
    return RowPlan(row, planned.step, planned.person, planned.enrolment, (*planned.questions, question))


def _body_emails(file: AttendeeFile, body: str) -> dict[int, str]:
    """Return by row the e-mail that the learner says they use with the body; one that two of them share is nobody's."""
    word = SPOKEN_OF.get(body)
    if word is None:
        return {}
    said: dict[int, str] = {}
    for row in file.accepted:
        for question, answer in row.answers:
            asked = question.casefold()
            if word in asked and "mail" in asked and _is_email(answer.strip()):
                said[row.row] = answer.strip()
    uses: defaultdict[str, set[str]] = defaultdict(set)
    for row in file.accepted:
        if row.row in said:
            uses[fold_email(said[row.row])].add(row.folded_name)
    return {
        number: email
        for number, email in said.items()
        if len(uses[fold_email(email)]) == 1 and fold_email(email) not in file.shared_emails
    }


def _is_email(text: str) -> bool:
    return bool(text) and not any(p.field == "email" for p in check_row(given="A", family="B", email=text))


def unanswered(questions: Sequence[Question], answers: Mapping[str, str]) -> list[str]:
    """Return the ids of questions without an answer, or with one that is none of their options."""
    return [q.id for q in questions if answers.get(q.id) not in {option.value for option in q.options}]
