"""An academy in Zurich that may teach a CSPO course on 1 and 2 June 2026, for tests that need one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from datetime import date
from typing import Any
from uuid import UUID

from domain.course import Capacity, Role
from domain.institution import Institution
from domain.trainer import Authority
from projections import courses as view
from provider.commands import courses, institution, people, trainers
from provider.commands.courses import LocalSession
from provider.office import Office
from provider.work import Act

Acting = Callable[..., Act]

FIRST, SECOND = date(2026, 6, 1), date(2026, 6, 2)


def half_days(*days: date, minutes: int = 210, **said: Any) -> list[LocalSession]:
    """Return a morning and an afternoon for each day; two days are the 840 minutes that a CSPO asks for."""
    return [
        LocalSession(day=day, start=start, end=end, contact_minutes=minutes, place="Zürich", **said)
        for day in days
        for start, end in (("09:00", "12:30"), ("13:30", "17:30"))
    ]


class Academy:
    """What a registrar does in one line."""

    def __init__(self, office: Office, act: Acting) -> None:
        self.office = office
        self.act = act
        if not office.log.get(Institution, office.institution).registered_with("SA", FIRST):
            since, until = date(2020, 1, 1), date(2026, 12, 31)
            institution.register_with_body(
                office, act(), body="SA", external_id="REA-1", valid_from=since, valid_until=until
            )

    def at(self, office: Office, act: Acting, _: object = None) -> Academy:
        """Return the same in a copy of its office."""
        there = copy(self)
        there.office, there.act = office, act
        return there

    def trainer(
        self, given: str, authority: Authority | None = Authority.LEAD, until: date | None = None, **said: Any
    ) -> UUID:
        """Register a trainer, and authorise them for CSPO."""
        person = people.register(self.office, self.act(), given=given, family="Trainer").id
        trainers.register(self.office, self.act(), person=person)
        if authority is not None:
            self.authorise(person, authority, until, **said)
        return person

    def authorise(self, person: UUID, authority: Authority, until: date | None = None, code: str = "CSPO") -> None:
        trainers.authorise(
            self.office,
            self.act(),
            person=person,
            body="SA",
            code=code,
            role=authority,
            valid_from=date(2026, 1, 1),
            valid_until=until,
            evidence="letter of 2025",
        )

    def draft(self, title: str = "CSPO in Zürich", code: str = "CSPO") -> UUID:
        return courses.draft(self.office, self.act(), title=title, body="SA", code=code, format="in_person").id

    def scheduled(self, sessions: Sequence[LocalSession] | None = None, **said: Any) -> UUID:
        """Draft a course and schedule it: two days, or these sessions."""
        course = self.draft()
        planned = half_days(FIRST, SECOND) if sessions is None else sessions
        courses.schedule(self.office, self.act(), course=course, sessions=planned, **said)
        return course

    def open(self, lead: UUID, *co_trainers: UUID, seats: int | None = 12, **said: Any) -> UUID:
        """Schedule a course, and open it with its trainers."""
        course = self.scheduled(**said)
        self.assign(course, lead)
        for each in co_trainers:
            self.assign(course, each, Role.CO_TRAINER)
        capacity = Capacity.without_limit() if seats is None else Capacity.of(seats)
        courses.open(self.office, self.act(), course=course, capacity=capacity)
        return course

    def assign(self, course: UUID, person: UUID, role: Role = Role.LEAD) -> None:
        courses.assign_trainer(self.office, self.act(), course=course, person=person, role=role)

    def shown(self, course: UUID, at: int | None = None) -> dict[str, Any]:
        with self.office.views.reading() as read:
            found = view.course(read, course, at)
        assert found is not None
        return found
