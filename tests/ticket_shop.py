"""A ticket shop that exports attendee reports, and a registrar who imports them into a course."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import cache
from typing import Any
from uuid import UUID

from domain.course import Course
from projections import directory, roster
from provider.attendee_plan import About, Plan, Question, RowPlan
from provider.commands import imports
from provider.commands.imports import Preview
from provider.log import Receipt
from provider.office import Office
from tests.academy import Academy, Acting
from tests.stage import Stage

HEADER = (
    *("Order #", "Order Date", "First Name", "Last Name", "Email", "Quantity", "Price Tier", "Ticket Type"),
    *("Attendee #", "Group", "Order Type", "Currency", "Total Paid", "Fees Paid", "Eventbrite Fees"),
    *("Eventbrite Payment Processing", "Attendee Status", "Job Title", "Company"),
    "E-mail used with Scrum Alliance before",
)
WITH_THE_BODY = HEADER[-1]

Row = dict[str, str]


def ticket(number: int, given: str, family: str = "Quantum", email: str | None = None, **said: str) -> Row:
    """Return one attendee's row; its keys follow from the number, the e-mail from the given name."""
    address = f"{given.casefold()}@example.org" if email is None else email
    columns = {"status": "Attending", "company": "Beispiel, Nordby & Co.", "body_email": ""} | said
    return {
        "Order #": f"4711{number:03}",
        "Order Date": "2026-01-13 09:00:00",
        "First Name": given,
        "Last Name": family,
        "Email": address,
        "Quantity": "1",
        "Ticket Type": "CSPO",
        "Attendee #": f"9000{number:03}",
        "Currency": "EUR",
        "Total Paid": "1190.00",
        "Attendee Status": columns["status"],
        "Company": columns["company"],
        WITH_THE_BODY: columns["body_email"],
    }


def report(*rows: Row, delimiter: str = ",", encoding: str = "utf-8", end: str = "\r\n") -> bytes:
    """Return the rows as the shop's CSV file; the first of them is row 2."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, HEADER, delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


class Counter:
    """The registrar at work on one course: looks at files, answers, confirms, and sees who is on the course."""

    def __init__(self, office: Office, act: Acting, course: UUID) -> None:
        self.office = office
        self.act = act
        self.course = course

    def at(self, office: Office, act: Acting, _: object = None) -> Counter:
        """Return the same in a copy of its office."""
        return Counter(office, act, self.course)

    def look(self, *rows: Row) -> Preview:
        return imports.stage(self.office, course=self.course, content=report(*rows))

    def plan(self, *rows: Row) -> Plan:
        return self.look(*rows).plan

    def confirm(self, preview: Preview, answers: Mapping[str, str] | None = None, **said: Any) -> Receipt:
        return imports.confirm(
            self.office,
            self.act(**said),
            course=self.course,
            staged=preview.staged.id,
            plan=preview.plan.digest,
            answers=answers or {},
        )

    def bring(self, *rows: Row, answers: Mapping[str, str] | None = None) -> Receipt:
        """Look at a file and confirm it at once."""
        return self.confirm(self.look(*rows), answers)

    def adds_nothing(self, *rows: Row) -> None:
        """Assert that a file comes to nothing new, asks nothing, and records nothing when it is confirmed."""
        before = self.office.log.position()
        looked = self.look(*rows)
        assert {row.step.value for row in looked.plan.rows} <= {"unchanged", "left_out", "blocked"}
        assert looked.plan.questions == ()
        receipt = self.confirm(looked)
        assert (receipt.position, receipt.outcome, receipt.ids) == (None, "unchanged", ())
        assert self.office.log.position() == before

    def seats(self) -> Course:
        return self.office.log.get(Course, self.course)

    def enrolments(self) -> list[dict[str, Any]]:
        """Return all enrolments of the course, each with the person's names and e-mails opened."""
        with self.office.views.reading() as read:
            rows = roster.enrolments_of(read, self.course, limit=2_000)
            people = directory.people_by_ids(read, [row["person"] for row in rows])
        return [{**row, **self._opened(people[row["person"]])} for row in rows]

    def everybody(self) -> list[dict[str, Any]]:
        with self.office.views.reading() as read:
            return [{"person": each["person"], **self._opened(each)} for each in directory.people(read, limit=5_000)]

    def of(self, given: str) -> dict[str, Any]:
        """Return the last enrolment of somebody by their given name."""
        return next(row for row in reversed(self.enrolments()) if row["given"] == given)

    def standings(self) -> dict[str, str]:
        return {f"{row['given'] or ''} {row['family'] or ''}".strip(): row["standing"] for row in self.enrolments()}

    def _opened(self, person: Mapping[str, Any]) -> dict[str, Any]:
        names = (*directory.NAMES, "email", "phone")
        handles = [*(person[name] for name in names), *person["body_emails"].values()]
        values: dict[Any, str | None] = {None: None, **self.office.vault.open(handles)}
        used = {body: values[each] for body, each in person["body_emails"].items()}
        return {**{name: values[person[name]] for name in names}, "body_emails": used}


def steps(plan: Plan) -> list[str]:
    return [row.step.value for row in plan.rows]


def asked(plan: Plan) -> list[str]:
    return [question.id for question in plan.questions]


def offers(question: Question | None) -> list[str]:
    assert question is not None
    return [option.value for option in question.options]


def row_of(plan: Plan, number: int) -> RowPlan:
    return next(row for row in plan.rows if row.row.row == number)


def about(plan: Plan, number: int, what: About) -> Question:
    question = row_of(plan, number).question(what)
    assert question is not None
    return question


@cache
def opened() -> Stage[Counter]:
    """Let a course with twelve seats be open."""

    def play(office: Office, act: Acting, _: object) -> Counter:
        academy = Academy(office, act)
        return Counter(office, act, academy.open(academy.trainer("Lea")))

    return Stage.of(play)
