"""A class on a CSPO course, for tests of what happens in its sessions and after them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from copy import copy
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from domain.course import Course
from domain.enrolment import Enrolment
from domain.institution import Act as Signed
from domain.institution import Settings, SignOff, SignOffMode
from domain.register import MarkRequest, Status
from projections import completion as completion_view
from projections import registers as register_view
from projections.projection import Reading
from provider.commands import completion, courses, enrolments, institution, registers
from provider.commands.registers import Marked
from provider.office import Office
from provider.work import Receipt
from tests.academy import Academy, Acting
from tests.conftest import Clock
from tests.stage import Stage

SESSIONS = (1, 2, 3, 4)


class Classroom:
    """A course with four sessions on 1 and 2 June 2026, its lead, and learners with a seat.

    `people` are the learners' persons by their given names. The clock stands five minutes into the first session.
    """

    def __init__(self, office: Office, act: Acting, clock: Clock, *names: str, **said: Any) -> None:
        self.office = office
        self.act = act
        self.clock = clock
        self.academy = Academy(office, act)
        self.lead = self.academy.trainer("Lea")
        self.course = self.academy.open(self.lead, **said)
        self.people = {name: self.enrol(name) for name in names}
        self.clock.set(self.starts(1) + timedelta(minutes=5))

    def at(self, office: Office, act: Acting, clock: Clock) -> Classroom:
        """Return the same in a copy of its office."""
        there = copy(self)
        there.office, there.act, there.clock = office, act, clock
        there.academy, there.people = self.academy.at(office, act), dict(self.people)
        return there

    def starts(self, session: int) -> datetime:
        return self.office.log.get(Course, self.course).planned[session].starts

    def enrol(self, name: str) -> UUID:
        """Enrol somebody new, and return the person."""
        done = enrolments.request(self.office, self.act(), course=self.course, given=name, family="Learner")
        return UUID(done.ids[0])

    def enrolment(self, name: str) -> UUID:
        return Enrolment.create_id(self.course, self.people[name])

    def said(self, name: str, status: str = "present", session: int = 1, **more: Any) -> MarkRequest:
        """Return a mark, made five minutes into the session."""
        more.setdefault("mark", uuid4())
        more.setdefault("marked_at", self.starts(session) + timedelta(minutes=5))
        return MarkRequest(person=self.people[name], status=Status(status), **more)

    def mark(self, *marks: MarkRequest, session: int = 1, by: UUID | None = None, **said: Any) -> Marked:
        """Send marks, by the lead, now."""
        act = self.act(by=by or self.lead)
        return registers.mark(
            self.office,
            act,
            course=self.course,
            session=session,
            marks=marks,
            sent_at=said.pop("sent_at", act.now),
            **said,
        )

    def outcomes(self, *marks: MarkRequest, **said: Any) -> list[str]:
        return [each.outcome.value for each in self.mark(*marks, **said).results]

    def all_present(self, *except_: MarkRequest, session: int = 1) -> Marked:
        self.clock.set(max(self.clock(), self.starts(session) + timedelta(minutes=10)))
        return registers.mark_all_present(
            self.office, self.act(by=self.lead), course=self.course, session=session, except_=except_
        )

    def seal(self, session: int = 1, by: UUID | None = None, **said: Any) -> Receipt:
        """Seal a register, when the session is over."""
        self.clock.set(max(self.clock(), self.office.log.get(Course, self.course).planned[session].ends))
        return registers.seal(
            self.office,
            self.act(by=by or self.lead, **said),
            course=self.course,
            session=session,
            attestation="I was there.",
        )

    def teach(self, *except_: tuple[str, str, int]) -> None:
        """Let the course take place: all were there, except some, as (name, status, session); all is sealed."""
        for session in SESSIONS:
            self.clock.set(self.starts(session) + timedelta(minutes=10))
            minutes = {"late": {"late_minutes": 60}, "left_early": {"left_early_minutes": 60}}
            marks = [
                self.said(name, status, session, **minutes.get(status, {}))
                for name, status, when in except_
                if when == session
            ]
            self.all_present(*marks, session=session)
            self.seal(session)

    def attest(self, **said: Any) -> Receipt:
        """Attest that all took part."""
        return completion.attest_participation_of_class(self.office, self.act(by=self.lead), course=self.course, **said)

    def attest_again(self, name: str, *, attested: bool) -> Receipt:
        """Let the lead say something else of a learner."""
        return completion.attest_participation(
            self.office,
            self.act(by=self.lead),
            enrolment=self.enrolment(name),
            attested=attested,
            reason="mistaken",
        )

    def decide(self, name: str, completed: bool = True, by: UUID | None = None, **said: Any) -> Receipt:
        return completion.decide(
            self.office, self.act(by=by or self.lead), enrolment=self.enrolment(name), completed=completed, **said
        )

    def decide_all(self, by: UUID | None = None, **said: Any) -> Receipt:
        return completion.decide_as_proposed(self.office, self.act(by=by or self.lead), course=self.course, **said)

    def reading(self) -> AbstractContextManager[Reading]:
        """Look at the views as whoever asks through the API does: at the end of the log."""
        self.office.views.catch_up()
        return self.office.views.reading()

    def register(self, session: int = 1, at: int | None = None) -> dict[str, Any]:
        with self.reading() as read:
            found = register_view.register(read, self.course, session, at=at)
        assert found is not None
        return found

    def attendance(self, session: int = 1, at: int | None = None) -> dict[str, str]:
        """Return by name what the register says of each learner."""
        said = {row["person"]: row["status"] for row in self.register(session, at)["learners"]}
        return {name: said[str(person)] for name, person in self.people.items() if str(person) in said}

    def completion(self, at: int | None = None) -> completion_view.Class:
        with self.reading() as read:
            found = completion_view.class_of(read, self.course, at=at)
        assert found is not None
        return found

    def learner(self, name: str, at: int | None = None) -> completion_view.Learner:
        return next(each for each in self.completion(at).learners if each.person == str(self.people[name]))

    def solo(self, *acts: Signed) -> None:
        """Let the institution work solo for these acts."""
        settings = Settings.usual(zone="Europe/Zurich")
        sign_off = tuple(
            SignOff(each.act, SignOffMode.SOLO if each.act in acts else SignOffMode.FOUR_EYES)
            for each in settings.sign_off
        )
        institution.change_settings(
            self.office,
            self.act(),
            settings=Settings(**{**vars(settings), "sign_off": sign_off}),
            reason="solo_trainer",
        )

    def replace_lead(self, name: str) -> UUID:
        """Let another trainer lead from now on."""
        other = self.academy.trainer(name)
        courses.replace_trainer(self.office, self.act(), course=self.course, person=self.lead, new=other, reason="ill")
        return other


__all__ = ["SESSIONS", "Classroom"]


@cache
def seated(*names: str) -> Stage[Classroom]:
    """Let these have a seat in a class that is about to begin."""
    return Stage.of(lambda office, act, clock: Classroom(office, act, clock, *names))
