"""A class that has completed its CSPO course, for tests of what the body is told about it."""

from __future__ import annotations

from copy import copy
from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

from domain.submission import Submission
from projections import submission as view
from provider.commands import enrolments, people, submissions
from provider.office import Office
from provider.work import Receipt
from tests.academy import Academy, Acting
from tests.classroom import Classroom
from tests.conftest import Clock
from tests.stage import Stage

DUE = date(2026, 6, 4)
"""Two business days after 2 June 2026, a Tuesday."""

ADA = ("Ada", "Lovelace", "ada@example.org")
BOB = ("Bob", "Ross", "bob@example.org")
CY = ("Cy", "Twombly", "cy@example.org")


class Graduates:
    """Learners whose course was taught and sealed, and on whose completion the lead has decided.

    Each is given by given name, family name and e-mail. `absent` are given names of those who missed the first
    session, and did not complete. Commands are by the administrator, unless `by` says otherwise.
    """

    def __init__(
        self,
        office: Office,
        act: Acting,
        clock: Clock,
        *learners: tuple[str, str | None, str | None],
        absent: tuple[str, ...] = (),
        taught: bool = True,
        decided: bool = True,
    ) -> None:
        self.office, self.act = office, act
        academy = Academy(office, act)
        self.lead = academy.trainer("Lea")
        self.course = academy.open(self.lead, seats=None)
        self.submission = Submission.create_id(self.course, "SA")
        self.room = room = Classroom.__new__(Classroom)
        room.office, room.act, room.clock = office, act, clock
        room.academy, room.lead, room.course, room.people = academy, self.lead, self.course, {}
        for learner in learners:
            self.enrol(*learner)
        if not taught:
            return
        self.room.teach(*((name, "absent", 1) for name in absent))
        self.room.attest()
        if decided:
            self.room.decide_all()

    def at(self, office: Office, act: Acting, clock: Clock) -> Graduates:
        """Return the same in a copy of their office."""
        there = copy(self)
        there.office, there.act, there.room = office, act, self.room.at(office, act, clock)
        return there

    def enrol(self, given: str, family: str | None, email: str | None) -> None:
        done = enrolments.request(self.office, self.act(), course=self.course, given=given, family=family, email=email)
        self.room.people[given] = UUID(done.ids[0])

    def person(self, name: str) -> UUID:
        return self.room.people[name]

    def enrolment(self, name: str) -> UUID:
        return self.room.enrolment(name)

    def rename(self, name: str, given: str | None, family: str | None, **said: Any) -> None:
        """Correct somebody's names."""
        people.correct_names(
            self.office,
            self.act(),
            person=self.person(name),
            given=given,
            family=family,
            reason="typing_error",
            **said,
        )

    def draft(self, **said: Any) -> Receipt:
        return submissions.draft(self.office, self.act(**said.pop("act", {})), course=self.course, **said)

    def do(self, verb: str, by: UUID | None = None, **said: Any) -> Receipt:
        """Carry out one of the commands of `provider.commands.submissions` on the submission."""
        act = self.act() if by is None else self.act(by=by)
        done: Receipt = getattr(submissions, verb)(self.office, act, submission=self.submission, **said)
        return done

    def export(self, approver: UUID, part: int = 1) -> None:
        """Validate, approve and export a part."""
        self.do("validate", part=part)
        self.do("approve", part=part, by=approver)
        self.do("export", part=part)

    def send(self, approver: UUID, part: int = 1) -> None:
        """Bring a part from its draft to the body."""
        self.export(approver, part)
        self.do("record_sent", part=part)

    def shown(self, at: int | None = None, today: date = DUE) -> dict[str, Any]:
        """Return the view of the course's submission."""
        with self.office.views.reading() as read:
            found = view.view_of_course(read, self.course, today=today, at=at)
        assert found is not None
        return found

    def line(self, number: int, at: int | None = None) -> dict[str, Any]:
        return next(each for each in self.shown(at)["items"] if each["line"] == number)

    def file(self, part: int = 1, at: int | None = None) -> bytes:
        with self.office.views.reading() as read:
            return submissions.remade(self.office, read, submission=self.submission, part=part, at=at).content

    def opened(self, number: int) -> tuple[str | None, ...]:
        """Return a line's names and e-mail."""
        line = self.line(number)
        return tuple(self.office.vault.open_one(line[name]) for name in ("given", "family", "email"))


@cache
def graduated(*learners: tuple[str, str | None, str | None], **said: Any) -> Stage[Graduates]:
    """Let a class complete its course: Ada, Bob and Cy, unless others are named."""
    return Stage.of(lambda office, act, clock: Graduates(office, act, clock, *(learners or (ADA, BOB, CY)), **said))


__all__ = ["ADA", "BOB", "CY", "DUE", "Graduates", "graduated"]
