"""A realistic history of any size: whole courses of thirty, decided by the real aggregates."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.aggregate import Aggregate
from domain.basis import Aspect, Basis
from domain.catalogue import CATALOGUE
from domain.certificate import Certificate, Facts
from domain.completion import propose
from domain.course import Capacity, Course
from domain.credential import CredentialPolicy, policy_on
from domain.enrolment import Enrolment
from domain.person import Names, Person
from domain.private import Private
from domain.register import AttendanceRegister, Marker, MarkRequest, Status
from domain.schedule import SessionPlan, add_business_days
from domain.submission import Completer, Submission
from domain.trainer import Role

LEARNERS = 30


def handle() -> Private:
    """Return the handle of a value that nobody will open."""
    return Private(secrets.token_urlsafe(32)[:43].ljust(43, "A"))


@dataclass
class Sample:
    """Makes courses one after the other. All that is needed of a course is in the events of those before it."""

    institution: UUID
    lead: UUID
    by: UUID
    first_day: date
    serial: int = 0
    courses: list[UUID] = field(default_factory=list)

    def planned(self, people: list[UUID] | None = None) -> tuple[Course, list[Aggregate], list[UUID]]:
        """Return an open course of two days with thirty learners, and all that comes into being with it."""
        day = self.first_day + timedelta(days=len(self.courses))
        at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=40)
        said: dict[str, Any] = {"by": self.by, "at": at}
        policy = self.policy(day)
        course = Course.draft(
            course=uuid4(), title="Certified Scrum Product Owner", policy=policy, format="in_person", **said
        )
        self.courses.append(course.id)
        course.schedule(sessions=half_days(day), policy=policy, reason="agreed", **said)
        course.assign_trainer(trainer_person=self.lead, role=Role.LEAD, **said)
        course.open(capacity=Capacity.of(LEARNERS), **said)
        made: list[Aggregate] = [course]
        learners = people or []
        for _ in range(LEARNERS - len(learners)):
            names = Names(given=handle(), family=handle(), certificate_name=handle())
            person = Person.register(person=uuid4(), names=names, email=handle(), source="import", **said)
            learners.append(person.id)
            made.append(person)
        for learner in learners:
            standing = course.request_seat(person=learner, enrolment=Enrolment.create_id(course.id, learner), **said)
            made.append(Enrolment.request(course=course.id, person=learner, standing=standing, **said))
        return course, made, learners

    def policy(self, day: date) -> CredentialPolicy:
        """Return what the Scrum Alliance asks for a CSPO on that day."""
        return policy_on(CATALOGUE, body="SA", code="CSPO", on=day)

    def marked(self, course: Course, learners: list[UUID]) -> list[AttendanceRegister]:
        """Return the registers of all half-days: everybody marked, and sealed."""
        registers = []
        for session in course.sessions:
            at = session.starts + timedelta(minutes=10)
            register = AttendanceRegister.open(course=course.id, session=session.number, by=self.lead, at=at)
            batch = [
                MarkRequest(
                    mark=uuid4(),
                    person=learner,
                    status=Status.LATE if number == 0 else Status.PRESENT,
                    late_minutes=10 if number == 0 else 0,
                    marked_at=at,
                    device=None,
                    seq=None,
                )
                for number, learner in enumerate(learners)
            ]
            register.mark(
                batch=batch,
                sent_at=at,
                starts=session.starts,
                ends=session.ends,
                authority=lambda _: Marker.LEAD,
                enrolled=learners,
                by=self.lead,
                at=at,
            )
            register.seal(
                enrolled=learners,
                lead_on_date=self.lead,
                over_at=session.ends,
                attestation="as marked",
                by=self.lead,
                at=session.ends,
            )
            registers.append(register)
        return registers

    def whole(self) -> Iterator[list[Aggregate]]:
        """Give a whole course from its draft to the outcomes at the body, in steps that are saved one by one."""
        course, made, learners = self.planned()
        enrolments = {a.person: a for a in made if isinstance(a, Enrolment)}
        yield made
        registers = self.marked(course, learners)
        yield list(registers)
        end = course.sessions[-1].ends
        said: dict[str, Any] = {"by": self.lead, "at": end}
        policy = self.policy(course.days[0])
        schedule = course.basis()
        assert schedule is not None
        completers = []
        for learner, enrolment in enrolments.items():
            enrolment.attest_participation(attested=True, lead=self.lead, **said)
            rests_on = [schedule]
            for register in registers:
                basis = register.basis_of(learner)
                assert basis is not None
                rests_on.append(basis)
            because = propose(
                sessions=course.sessions,
                marks={s.number: r.mark_of(learner) for s, r in zip(course.sessions, registers, strict=True)},
                sealed={s.number: 1 for s in course.sessions},
                make_ups={},
                participation=True,
                tolerance_minutes=15,
                policy=policy,
                rests_on=rests_on,
                shortfall_accepted=True,
            )
            enrolment.decide_completion(
                completed=True, because=because, lead=self.lead, solo=True, reason="sample", **said
            )
            decision = Basis(enrolment.id, enrolment.version, Aspect.DECISION)
            completers.append(
                Completer(
                    enrolment=enrolment.id,
                    person=learner,
                    given=handle(),
                    family=handle(),
                    email=handle(),
                    rests_on=(decision, Basis(learner, 1, Aspect.NAMES)),
                )
            )
        yield list(enrolments.values())
        yield [self._certificate(course, c, registers, end) for c in completers]
        submission = Submission.draft(
            course=course.id,
            body="SA",
            profile="sa_load",
            due_on=add_business_days(course.days[-1], 2, ()),
            completers=completers,
            by=self.by,
            at=end,
        )
        yield [submission]

    def _certificate(
        self, course: Course, completer: Completer, registers: list[AttendanceRegister], at: datetime
    ) -> Certificate:
        self.serial += 1
        register = registers[0].basis_of(completer.person)
        assert register is not None
        return Certificate.issue(
            institution=self.institution,
            prefix="",
            year=at.year,
            serial=self.serial,
            facts=Facts(
                course=course.id,
                enrolment=completer.enrolment,
                person=completer.person,
                certificate_name=handle(),
                course_title=course.title,
                body=course.body,
                code=course.code,
                first_day=course.days[0],
                last_day=course.days[-1],
                contact_minutes=course.contact_minutes,
                trainer=self.lead,
                trainer_name=None,
                institution_name="Sample",
                place=None,
            ),
            rests_on=(*completer.rests_on, register),
            verification_code=secrets.token_urlsafe(16),
            template_version="1",
            completed=True,
            unsealed=(),
            live_number=None,
            by=self.by,
            at=at,
        )


def half_days(day: date) -> list[SessionPlan]:
    """Return the four half-days of two days in a row, nine to five with lunch."""
    plans = []
    for offset in (0, 1):
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=offset)
        for hour in (9, 13):
            starts = midnight + timedelta(hours=hour)
            plans.append(SessionPlan(starts, starts + timedelta(hours=4), "Etc/UTC", 210, "Room 1"))
    return plans


__all__ = ["LEARNERS", "Sample", "half_days", "handle"]
