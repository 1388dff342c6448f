"""A class that has completed its CSPO course, for tests of what the body is told about it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from domain.institution import Institution
from domain.submission import Submission
from projections import submission as view
from provider.bootstrap import bootstrap
from provider.commands import enrolments, institution, people, submissions
from provider.office import Office
from provider.settings import Settings
from provider.work import Act, Receipt
from tests.academy import FIRST, Academy, Acting
from tests.classroom import Classroom
from tests.conftest import Clock
from tests.postgres import copied

DUE = date(2026, 6, 4)
"""Two business days after 2 June 2026, a Tuesday."""

ADA = ("Ada", "Lovelace", "ada@example.org")
BOB = ("Bob", "Ross", "bob@example.org")
CY = ("Cy", "Twombly", "cy@example.org")


@dataclass(frozen=True)
class Prepared:
    """A back office on the disk in which Ada, Bob and Cy have completed their course, to be copied for each test.

    `token` is the administrator's, `now` what the clock shows.
    """

    data: Path
    admin: UUID
    token: str
    lead: UUID
    course: UUID
    people: dict[str, UUID]
    now: datetime

    def copied(self, settings: Settings, clock: Clock) -> Office:
        """Return a copy of the back office, at the time that it was left at."""
        copied(self.data, settings)
        clock.set(self.now)
        return bootstrap(settings, clock)


@lru_cache(maxsize=1)
def prepared() -> Prepared:
    """Let a class complete its course, once for all tests of a run."""
    data = Path(tempfile.mkdtemp(prefix="graduates-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    clock = Clock()
    office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}), clock)
    receipt, token = institution.found(
        office, name="Academy", zone="Europe/Zurich", given="Ada", family="Admin", email="admin@academy.example"
    )
    admin = UUID(receipt.ids[0])

    def act(**said: Any) -> Act:
        said.setdefault("by", admin)
        return Act(channel="test", request=uuid4().hex, now=clock(), at=clock(), **said)

    made = Graduates(office, act, clock, ADA, BOB, CY)
    office.close()
    return Prepared(data, admin, token, made.lead, made.course, dict(made.room.people), clock())


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
        academy = _academy(office, act)
        lead = academy.trainer("Lea")
        self._take(office, act, clock, academy, lead, academy.open(lead, seats=None))
        for learner in learners:
            self.enrol(*learner)
        if not taught:
            return
        self.room.teach(*((name, "absent", 1) for name in absent))
        self.room.attest()
        if decided:
            self.room.decide_all()

    @classmethod
    def of(cls, prepared: Prepared, office: Office, act: Acting, clock: Clock) -> Graduates:
        """Return the class that a copy of the prepared back office has."""
        academy = _academy(office, act)
        graduates = cls.__new__(cls)
        graduates._take(office, act, clock, academy, prepared.lead, prepared.course)
        graduates.room.people.update(prepared.people)
        return graduates

    def _take(self, office: Office, act: Acting, clock: Clock, academy: Academy, lead: UUID, course: UUID) -> None:
        self.office, self.act = office, act
        self.room = Classroom.__new__(Classroom)
        self.room.office, self.room.act, self.room.clock = office, act, clock
        self.room.academy, self.room.lead, self.room.course, self.room.people = academy, lead, course, {}
        self.lead, self.course = lead, course
        self.submission = Submission.create_id(course, "SA")

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


def _academy(office: Office, act: Acting) -> Academy:
    """Return the academy; it is registered with the body only once."""
    if not office.log.get(Institution, office.institution).registered_with("SA", FIRST):
        return Academy(office, act)
    academy = Academy.__new__(Academy)
    academy.office, academy.act = office, act
    return academy


__all__ = ["ADA", "BOB", "CY", "DUE", "Graduates", "Prepared", "prepared"]
