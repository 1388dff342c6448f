"""What an attendee file means for a course as it stands: what would be done, and what a person has to be asked."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select

from domain.course import Course
from domain.enrolment import LIVE, Stage
from domain.private import Private
from domain.submission_file import check_row
from projections import directory, roster
from projections.projection import Reading
from provider.attendee_file import AttendeeFile, AttendeeRow, Problem, fold_email, fold_name

Opened = Callable[[Iterable[Private | None]], Mapping[Private, str | None]]

PAGE = 1_000
MOST_ALIKE = 20
"""People on record whom a question offers at the most; an office's mailbox may be that of hundreds."""
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
    RETURNED = "returned"
    WAITING = "waiting"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    REFUNDED = "refunded"
    LEFT_OUT = "left_out"
    BLOCKED = "blocked"


IDLE = (Step.UNCHANGED, Step.LEFT_OUT, Step.BLOCKED)
"""The steps with which nothing is done, whatever is answered."""


class About(StrEnum):
    """What a question is about."""

    PERSON = "person"
    RETURN = "return"
    NAME = "name"
    EMAIL = "email"
    BODY_EMAIL = "body_email"
    REFUND = "refund"
    SEAT = "seat"


@dataclass(frozen=True)
class Option:
    """An answer that may be given: its value, and what it does in words. After a `final` one the row asks no more."""

    value: str
    label: str = field(repr=False)
    final: bool = False


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

    def chosen(self, answers: Mapping[str, str]) -> Option | None:
        """Return the option that was chosen, None where none of them was."""
        return next((option for option in self.options if option.value == answers.get(self.id)), None)


@dataclass(frozen=True)
class RowPlan:
    """What one row comes to. `person` and `enrolment` are those on record, None for new ones.

    `substitute` is who on record would take the seat, where it is given to another person. `body_email` is what the
    learner says they use with the body, `used_by` whoever on record uses it: it is nobody's if that is somebody else.
    `seen` are the versions of the people on record that the plan rests on.
    """

    row: AttendeeRow = field(repr=False)
    step: Step
    person: str | None = None
    enrolment: str | None = None
    questions: tuple[Question, ...] = ()
    substitute: str | None = None
    body_email: str | None = field(default=None, repr=False)
    used_by: frozenset[str] = frozenset()
    seen: tuple[tuple[str, int], ...] = ()

    @property
    def reference(self) -> str:
        """The shop's key of the row, as the enrolment keeps it: two numbers, nothing personal."""
        return reference_of(self.row)

    def question(self, about: About) -> Question | None:
        """Return the question about this, None where it isn't asked."""
        return next((question for question in self.questions if question.about is about), None)

    def answer(self, about: About, answers: Mapping[str, str]) -> Option | None:
        """Return what was chosen about this, None where it isn't asked."""
        question = self.question(about)
        return None if question is None else question.chosen(answers)

    def open_questions(self, answers: Mapping[str, str]) -> list[Question]:
        """Return the questions that still need an answer, given these; after a final one there are no more."""
        needed = []
        for question in self.questions:
            option = question.chosen(answers)
            if option is None:
                needed.append(question)
            elif option.final:
                return needed
        return needed


@dataclass(frozen=True)
class Plan:
    """What a file means for a course, row by row; `problems` are those that only the record shows."""

    rows: tuple[RowPlan, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def digest(self) -> str:
        """What a confirmation must name, so that nobody confirms what they have not seen.

        It covers the file's rows by their keys and the record by versions; no personal value goes into it, for it could
        be guessed from it.
        """
        said = [
            (
                (row.row.row, row.reference, row.step.value, row.person, row.enrolment, row.substitute, row.seen),
                (row.body_email is not None, sorted(row.used_by), _offered(row)),
            )
            for row in self.rows
        ]
        return hashlib.sha256(repr(said).encode()).hexdigest()[:32]

    @property
    def questions(self) -> tuple[Question, ...]:
        """All that has to be asked."""
        return tuple(question for row in self.rows for question in row.questions)

    @property
    def acting(self) -> tuple[RowPlan, ...]:
        """The rows with which something may be done."""
        return tuple(row for row in self.rows if row.step not in IDLE)

    def count(self) -> dict[str, int]:
        """Return how many rows come to each step, and how many have a question."""
        counts = {step.value: sum(row.step is step for row in self.rows) for step in Step}
        return counts | {"rows": len(self.rows), "asked": sum(bool(row.questions) for row in self.rows)}

    def faults(self, answers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return what is wrong with these answers: the id of each question, and a code.

        The codes are `unanswered`, `no_option` for what is none of its options, and `unknown_question`.
        """
        asked = {question.id: question for question in self.questions}
        wrong = [(each, "unknown_question") for each in answers if each not in asked]
        wrong += [(each, "no_option") for each in answers if each in asked and asked[each].chosen(answers) is None]
        for row in self.rows:
            wrong += [(each.id, "unanswered") for each in row.open_questions(answers) if each.id not in answers]
        return wrong


def _offered(row: RowPlan) -> list[tuple[str, list[str]]]:
    return [(question.id, [option.value for option in question.options]) for question in row.questions]


def reference_of(row: AttendeeRow) -> str:
    """Return the shop's key of a row as one text."""
    return "/".join(row.key)


@dataclass(frozen=True)
class Known:
    """Somebody on record, with their values opened. `body_email` is what they use with the course's body."""

    person: str
    given: str | None = field(repr=False)
    family: str | None = field(repr=False)
    certificate_name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    body_email: str | None = field(repr=False)
    beside: bool
    erased: bool
    source: str
    registered_at: str
    linked_to: str | None
    version: int

    @property
    def name(self) -> str:
        """The name as it is shown to whoever is asked."""
        both = " ".join(part for part in (self.given, self.family) if part)
        return both or self.certificate_name or ("(erased)" if self.erased else "(no name)")


@dataclass(frozen=True)
class Once:
    """What was ever on record of somebody: pairs of names, and folded e-mails."""

    names: frozenset[tuple[str, str]] = field(repr=False)
    emails: frozenset[str] = field(repr=False)
    body_emails: frozenset[str] = field(repr=False)


class People:
    """Everybody on record, by name and by e-mail. Values are compared here, and nowhere in the domain.

    A record that counts as another one's is found under its own values, and stands for the other.
    """

    def __init__(self, read: Reading, opened: Opened, body: str) -> None:
        self._read = read
        self._opened = opened
        self._body = body
        self._once: dict[str, Once] = {}
        self.by_id: dict[str, Known] = {}
        users: list[tuple[str, str]] = []
        after: int | None = None
        while True:
            page = directory.people(read, after=after, limit=PAGE)
            users += self._add(page[:PAGE])
            if len(page) <= PAGE:
                break
            after = page[PAGE - 1]["registered"]
        self._by_name: defaultdict[str, dict[str, Known]] = defaultdict(dict)
        self._by_email: defaultdict[str, dict[str, Known]] = defaultdict(dict)
        self._records: defaultdict[str, list[str]] = defaultdict(list)
        for known in self.by_id.values():
            survivor = self.survivor(known.person)
            self._records[survivor.person].append(known.person)
            if name := fold_name(known.given or "", known.family or ""):
                self._by_name[name][survivor.person] = survivor
            if known.email:
                self._by_email[fold_email(known.email)][survivor.person] = survivor
        self._users: defaultdict[str, set[str]] = defaultdict(set)
        for email, person in users:
            self._users[email].add(self.survivor(person).person)

    def _add(self, rows: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
        """Add a page of people, and return who uses which e-mail."""
        page = list(rows)
        columns = ("given", "family", "certificate_name", "email")
        values = self._opened(
            handle(each) for row in page for each in (*(row[name] for name in columns), *row["body_emails"].values())
        )

        def value(text: str | None) -> str | None:
            return None if text is None else values[Private(text)]

        users = []
        for row in page:
            held = {name: value(row[name]) for name in columns}
            used = {body: value(text) for body, text in row["body_emails"].items()}
            self.by_id[row["person"]] = Known(
                person=row["person"],
                **held,
                body_email=used.get(self._body),
                beside=any(row[name] is not None for name in ("certificate_name", "latin_given", "latin_family")),
                erased=any(row[name] is not None and held[name] is None for name in columns),
                source=row["source"],
                registered_at=row["registered_at"],
                linked_to=row["linked_to"],
                version=row["version"],
            )
            users += [(fold_email(email), row["person"]) for email in (held["email"], *used.values()) if email]
        return users

    def survivor(self, person: str) -> Known:
        """Return the record that this one counts as: mostly itself."""
        known = self.by_id[person]
        while known.linked_to is not None:
            known = self.by_id[known.linked_to]
        return known

    def same(self, row: AttendeeRow) -> Known | None:
        """Return who has both this name and this e-mail, if there is exactly one."""
        called = self._called(row)
        found = [known for person, known in self._mailed(row).items() if person in called]
        return found[0] if len(found) == 1 else None

    def like(self, row: AttendeeRow) -> list[Known]:
        """Return who has this name or this e-mail, each once; those of this name first."""
        return list((self._called(row) | self._mailed(row)).values())

    def users(self, email: str) -> frozenset[str]:
        """Return everybody on record who has this e-mail as contact, or uses it with any body."""
        return frozenset(self._users.get(fold_email(email), ()))

    def once(self, person: str) -> Once:
        """Return all that was ever on record of somebody; what an older export repeats is no news."""
        if person not in self._once:
            rows = directory.people_rows
            columns = (rows.c.given, rows.c.family, rows.c.email, rows.c.body_emails)
            held = [
                (*map(handle, (given, family, email)), handle((body_emails or {}).get(self._body)))
                for given, family, email, body_emails in self._read.execute(
                    select(*columns).where(rows.c.person.in_(self._records[person]))
                )
            ]
            values = self._opened(each for handles in held for each in handles)
            texts = [tuple("" if each is None else values[each] or "" for each in handles) for handles in held]
            self._once[person] = Once(
                names=frozenset((given, family) for given, family, _, _ in texts),
                emails=frozenset(fold_email(email) for _, _, email, _ in texts if email),
                body_emails=frozenset(fold_email(email) for _, _, _, email in texts if email),
            )
        return self._once[person]

    def _called(self, row: AttendeeRow) -> dict[str, Known]:
        return self._by_name.get(row.folded_name, {}) if row.folded_name else {}

    def _mailed(self, row: AttendeeRow) -> dict[str, Known]:
        return self._by_email.get(row.folded_email, {}) if row.folded_email else {}


def handle(text: str | None) -> Private | None:
    """Return the text of a row as the handle that it is."""
    return None if text is None else Private(text)


def plan(file: AttendeeFile, course: Course, read: Reading, opened: Opened) -> Plan:
    """Return what the file means for the course as the views and its seats stand now."""
    return _Planning(file, course, read, opened).result()


def all_enrolments(read: Reading, course: str) -> list[dict[str, Any]]:
    """Return every enrolment of the course, ended ones too, in the order of their requests."""
    found: list[dict[str, Any]] = []
    after: int | None = None
    while True:
        page = roster.enrolments_of(read, course, after=after, limit=PAGE)
        found += page[:PAGE]
        if len(page) <= PAGE:
            return found
        after = found[-1]["requested"]


class _Planning:
    """One file on its way to a plan."""

    def __init__(self, file: AttendeeFile, course: Course, read: Reading, opened: Opened) -> None:
        self.file = file
        self.course = course
        self.people = People(read, opened, course.body)
        self.problems: list[Problem] = []
        self.body_emails = self._said_body_emails()
        self.by_reference: dict[str, Mapping[str, Any]] = {}
        self.on_course: dict[str, Mapping[str, Any]] = {}
        self.left: dict[str, Mapping[str, Any]] = {}
        for each in all_enrolments(read, str(course.id)):
            live = each["standing"] in LIVE
            (self.on_course if live else self.left)[self.people.survivor(each["person"]).person] = each
            earlier = self.by_reference.get(each["order_reference"] or "")
            if each["order_reference"] and (live or earlier is None or earlier["standing"] not in LIVE):
                self.by_reference[each["order_reference"]] = each
        self.free = course.seats_free if course.enrolment_open else 0
        self.attending: dict[str, int] = {}
        for row in file.accepted:
            if row.attends and (known := self._known(row)) is not None:
                self.attending.setdefault(known.person, row.row)
        self.enrolled: dict[str, int] = {}
        self.newly_named: dict[str, int] = {}

    def result(self) -> Plan:
        blocked = self.file.blocked
        planned = [RowPlan(row, Step.BLOCKED) if row.row in blocked else self._row(row) for row in self.file.rows]
        return Plan(tuple(planned), tuple(self.problems))

    def _known(self, row: AttendeeRow) -> Known | None:
        """Return who a row stands for beyond doubt: by its key, or by name and e-mail."""
        held = self.by_reference.get(reference_of(row))
        return self.people.same(row) if held is None else self.people.survivor(held["person"])

    def _row(self, row: AttendeeRow) -> RowPlan:
        held = self.by_reference.get(reference_of(row))
        if held is not None:
            known = self.people.survivor(held["person"])
            if not row.attends:
                return self._refunded(row, known, held)
            return self._again(row, known, held) if held["standing"] in LIVE else self._back(row, known)
        if row.attends:
            return self._first(row)
        # Somebody whom the registrar enrolled by hand has no key of the shop, and may be refunded all the same.
        same = self.people.same(row)
        by_hand = None if same is None else self.on_course.get(same.person)
        if same is None or by_hand is None or by_hand["order_reference"] is not None:
            return RowPlan(row, Step.LEFT_OUT)
        return self._refunded(row, same, by_hand)

    # Rows that the course has not seen yet.

    def _first(self, row: AttendeeRow) -> RowPlan:
        known = self.people.same(row)
        if known is None or known.person in self.enrolled:
            return self._ask_who(row)
        if (held := self.on_course.get(known.person)) is not None:
            if held["standing"] == Stage.QUEUED:
                return self._ask_who_waits(row, known, held)
            return self._with_body_email(self._of(Step.UNCHANGED, row, known, held), known)
        if known.person in self.left:
            return self._back(row, known)
        self.enrolled[known.person] = row.row
        return self._seated(self._with_body_email(self._of(Step.ENROL_KNOWN, row, known), known))

    def _ask_who(self, row: AttendeeRow, *first: Known) -> RowPlan:
        """Plan a row of somebody new, and ask where there is somebody like that."""
        alike = list({known.person: known for known in (*first, *self.people.like(row))}.values())
        twin = self.newly_named.setdefault(row.folded_name, row.row) if row.folded_name else row.row
        planned = RowPlan(row, Step.ENROL_NEW)
        if alike or twin != row.row:
            planned = replace(
                planned,
                questions=(self._who(row, alike, twin),),
                seen=tuple((known.person, known.version) for known in alike[:MOST_ALIKE]),
            )
        return self._seated(self._with_body_email(planned, *alike[:MOST_ALIKE]))

    def _who(self, row: AttendeeRow, alike: list[Known], twin: int) -> Question:
        options, reasons = [], []
        for known in alike[:MOST_ALIKE]:
            who = f"It is {known.name} ({known.email or 'no e-mail'})"
            value = f"is:{known.person}"
            if known.person in self.on_course:
                waits = self.on_course[known.person]["standing"] == Stage.QUEUED
                where = "waits in the queue" if waits else "is on the course"
                options.append(Option(value, f"{who}, who {where} already; nothing is done.", final=True))
            elif known.person in self.enrolled:
                reasons.append(f"row {self.enrolled[known.person]} enrols {known.name} already")
            elif known.person in self.left:
                options.append(Option(value, f"{who}, who had left the course; enrol them again."))
            else:
                options.append(Option(value, f"{who}, who is on record."))
        if options:
            reasons.insert(0, "is like somebody on record, but name and e-mail don't both agree")
        if len(alike) > MOST_ALIKE:
            reasons.append(f"{len(alike) - MOST_ALIKE} more are like that, and not shown")
        if twin != row.row:
            reasons.append(f"row {twin} has the same name")
        return Question(
            row.row,
            About.PERSON,
            f"{_as_written(row)}: {'; '.join(reasons)}. Who is it?",
            (
                *options,
                Option("new", "It is somebody else: make a new person."),
                Option("leave", "Leave the row out.", final=True),
            ),
        )

    def _ask_who_waits(self, row: AttendeeRow, known: Known, held: Mapping[str, Any]) -> RowPlan:
        """Plan a row of somebody who waits in the queue and has bought a ticket by now."""
        theirs = self.course.seat_held_for(UUID(held["person"]))
        give = "Give them the seat that is held for them." if theirs else "Give them a seat before the others who wait."
        question = Question(
            row.row,
            About.SEAT,
            f"{known.name} waits in the queue as number {held['rank']}, and has a ticket.",
            (Option("override", give), Option("queue", "Leave them in the queue.")),
        )
        return self._with_body_email(self._of(Step.WAITING, row, known, held, question), known)

    def _back(self, row: AttendeeRow, known: Known) -> RowPlan:
        """Plan a row of somebody who had left the course, and attends by this file."""
        if (held := self.on_course.get(known.person)) is not None:
            return self._of(Step.UNCHANGED, row, known, held)
        if not known.erased and not self._is_called(row, known):
            return self._ask_who(row, known)
        if known.person in self.enrolled:
            return self._ask_who(row)
        held = self.left[known.person]
        question = Question(
            row.row,
            About.RETURN,
            f"{known.name} had left the course ({held['standing']}), but attends by this file.",
            (Option("enrol", "Enrol them again."), Option("leave", "Leave it as it is.", final=True)),
        )
        self.enrolled[known.person] = row.row
        return self._seated(self._with_body_email(self._of(Step.RETURNED, row, known, held, question), known))

    def _seated(self, planned: RowPlan) -> RowPlan:
        """Count a seat for a row, and ask where there is none left: nobody who has paid is queued in silence."""
        if self.free is None:
            return planned
        self.free -= 1
        if self.free >= 0:
            return planned
        row = planned.row
        if not self.course.enrolment_open:
            why, give = "the course takes no more enrolments", "Enrol them all the same."
        else:
            why = f"the {self.course.capacity} seats are all taken, held, or for rows above"
            if waiting := len(self.course.queue):
                why += f", and {waiting} {'waits' if waiting == 1 else 'wait'} in the queue"
            give = "Give them a seat, beyond the capacity if there is none by then."
        queue = (Option("queue", "Put them into the queue."),) if self.course.enrolment_open else ()
        question = Question(
            row.row,
            About.SEAT,
            f"{_as_written(row)} has a ticket, but {why}.",
            (Option("override", give), *queue, Option("leave", "Leave the row out.", final=True)),
        )
        return replace(planned, questions=(*planned.questions, question))

    # Rows that the course knows from an earlier export.

    def _refunded(self, row: AttendeeRow, known: Known, held: Mapping[str, Any]) -> RowPlan:
        if held["standing"] not in LIVE or known.person in self.attending:
            # Whoever bought again and was refunded the first ticket attends by the other row.
            return self._of(Step.UNCHANGED, row, known, held)
        if held["standing"] == Stage.NO_SHOW or held["completed"]:
            return self._of(Step.REFUNDED, row, known, held)
        question = Question(
            row.row,
            About.REFUND,
            f"{known.name} is {row.status.value} in the ticket shop.",
            (Option("withdraw", "Withdraw the enrolment."), Option("keep", "Keep the enrolment as it is.")),
        )
        return self._of(Step.REFUNDED, row, known, held, question)

    def _again(self, row: AttendeeRow, known: Known, held: Mapping[str, Any]) -> RowPlan:
        if known.erased:
            # To compare the row with nothing would propose to bring back what was erased.
            return self._of(Step.UNCHANGED, row, known, held)
        planned = self._of(Step.UNCHANGED, row, known, held)
        if not self._is_called(row, known, held["requested_at"]):
            planned = self._ask_about_name(planned, known, held)
        if not self._is_reached(row, known):
            question = Question(
                row.row,
                About.EMAIL,
                f"The e-mail of {known.name} is {row.email} now; on record is {known.email or 'none'}.",
                (Option("change", "Take the new e-mail as contact."), Option("leave", "Leave it as it is.")),
            )
            planned = replace(planned, step=Step.CHANGED, questions=(*planned.questions, question))
        return self._with_body_email(planned, known)

    def _is_called(self, row: AttendeeRow, known: Known, since: str | None = None) -> bool:
        """Tell whether a row's name is, or once was, on record of somebody.

        Who was made from this very row (at that moment) is called exactly as it says. Who was linked to it need only be
        called alike, as they were then.
        """
        said = (row.given, row.family)
        if known.source == "import" and known.registered_at == since:
            if _composed(said) == _composed((known.given or "", known.family or "")):
                return True
            return _composed(said) in {_composed(pair) for pair in self.people.once(known.person).names}
        if row.folded_name == fold_name(known.given or "", known.family or ""):
            return True
        return row.folded_name in {fold_name(*pair) for pair in self.people.once(known.person).names}

    def _is_reached(self, row: AttendeeRow, known: Known) -> bool:
        """Tell whether a row's e-mail is, or once was, on record of somebody; a row without one says nothing."""
        if not row.email or row.folded_email == fold_email(known.email or ""):
            return True
        return row.folded_email in self.people.once(known.person).emails

    def _ask_about_name(self, planned: RowPlan, known: Known, held: Mapping[str, Any]) -> RowPlan:
        row = planned.row
        beside = " Their name on certificates and in Latin letters stays; please check it." if known.beside else ""
        options = [
            Option("correction", f"The same person: the name was written wrongly.{beside}"),
            Option("change", f"The same person, who is called otherwise from now on.{beside}"),
        ]
        same = self.people.same(row)
        others = [
            each
            for each in ([same] if same is not None else self.people.like(row)[:MOST_ALIKE])
            if each.person != known.person
        ]
        free = [each for each in others if each.person not in self.on_course]
        substitute = None
        if held["standing"] in (Stage.CONFIRMED, Stage.QUEUED) and held["completed"] is None:
            takes = "takes the seat" if held["standing"] == Stage.CONFIRMED else "joins the end of the queue instead"
            if same is None or same.person == known.person:
                options.append(Option("substitution", f"Another person, new on record, who {takes}.", final=True))
                options += [
                    Option(
                        f"substitution:{each.person}",
                        f"Another person, {each.name} ({each.email or 'no e-mail'}), who is on record, {takes}.",
                        final=True,
                    )
                    for each in free
                ]
            elif free:
                substitute = same.person
                options.append(
                    Option("substitution", f"Another person, {same.name}, who is on record, {takes}.", final=True)
                )
        options.append(Option("leave", "Leave it as it is."))
        question = Question(
            row.row, About.NAME, f"{known.name} is called {_named(row)} by this file now.", tuple(options)
        )
        return replace(
            planned,
            step=Step.CHANGED,
            questions=(question,),
            substitute=substitute,
            seen=(*planned.seen, *((each.person, each.version) for each in others)),
        )

    def _of(
        self, step: Step, row: AttendeeRow, known: Known, held: Mapping[str, Any] | None = None, *questions: Question
    ) -> RowPlan:
        return RowPlan(
            row,
            step,
            person=known.person,
            enrolment=None if held is None else held["enrolment"],
            questions=questions,
            seen=((known.person, known.version),),
        )

    # The e-mail that somebody uses with the body.

    def _with_body_email(self, planned: RowPlan, *candidates: Known) -> RowPlan:
        """Let a row say the e-mail used with the body; ask where another one is on record.

        `candidates` are who the row may stand for: nobody else may use that e-mail.
        """
        email = self.body_emails.get(planned.row.row)
        if email is None:
            return planned
        users = self.people.users(email)
        if users - {known.person for known in candidates}:
            self._note_shared(planned.row.row)
            return planned
        if planned.person is not None and candidates[0].body_email is not None:
            known = candidates[0]
            if fold_email(email) in self.people.once(known.person).body_emails:
                return planned
            question = Question(
                planned.row.row,
                About.BODY_EMAIL,
                f"{known.name} says that {self.course.body} knows them by {email}; on record is {known.body_email}.",
                (Option("change", "Take the one of this file."), Option("leave", "Leave it as it is.")),
            )
            planned = replace(planned, questions=(*planned.questions, question))
        step = Step.CHANGED if planned.step is Step.UNCHANGED else planned.step
        return replace(planned, step=step, body_email=email, used_by=users)

    def _said_body_emails(self) -> dict[int, str]:
        """Return by row what learners say they use with the body; what two people use is nobody's."""
        word = SPOKEN_OF.get(self.course.body)
        said: dict[int, str] = {}
        for row in self.file.accepted if word is not None else ():
            for question, answer in row.answers:
                asked = question.casefold()
                if row.attends and str(word) in asked and "mail" in asked and _is_email(answer.strip()):
                    said[row.row] = answer.strip()
        users: defaultdict[str, set[str]] = defaultdict(set)
        for row in self.file.rows:
            for email in (row.email, said.get(row.row, "")):
                if email:
                    users[fold_email(email)].add(row.folded_name)
        shared = {number for number, email in said.items() if len(users[fold_email(email)]) > 1}
        for number in shared:
            self._note_shared(number, said[number])
        return {number: email for number, email in said.items() if number not in shared}

    def _note_shared(self, row: int, email: str = "") -> None:
        self.problems.append(
            Problem(
                row=row,
                column=next((name for name in self.file.columns if self._asks_body_email(name)), ""),
                value=email or self.body_emails[row],
                code="body_email_shared",
                message="Somebody else uses this e-mail too, so it isn't taken as the one that the body knows. Please "
                "ask the learner for one of their own.",
                blocking=False,
            )
        )

    def _asks_body_email(self, column: str) -> bool:
        asked = column.casefold()
        return SPOKEN_OF[self.course.body] in asked and "mail" in asked


def _composed(names: tuple[str, str]) -> tuple[str, str]:
    """Return names so that the same letters in another composition are the same."""
    given, family = (unicodedata.normalize("NFC", name).strip() for name in names)
    return given, family


def _named(row: AttendeeRow) -> str:
    return " ".join(part for part in (row.given, row.family) if part)


def _as_written(row: AttendeeRow) -> str:
    return f"{_named(row)} ({row.email or 'no e-mail'})"


def _is_email(text: str) -> bool:
    return bool(text) and not any(problem.field == "email" for problem in check_row("A", "B", text))
