"""A realistic history of any size: courses over years, decided by the real aggregates, straight into the log.

Each course is a story that says when it goes on, and of all courses the one that is due first goes on first: so they
overlap, and on the last day there are some in every stage. What happened says when it did; all of it was recorded now,
and says that too.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from heapq import heapify, heappop, heapreplace
from math import ceil, sqrt
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from eventsourcing.persistence import StoredEvent

from domain.access import Role as AccessRole
from domain.aggregate import Aggregate
from domain.basis import Aspect, Basis
from domain.catalogue import CATALOGUE
from domain.certificate import Certificate, Facts
from domain.completion import Because, propose
from domain.course import Capacity, Course
from domain.credential import policy_on
from domain.enrolment import Enrolment, MakeUp, MakeUpKind, Source, Stage, Standing
from domain.person import Names, Person, Witness
from domain.private import Private
from domain.register import AttendanceRegister, Marker, MarkRequest, Status
from domain.schedule import Session, SessionPlan, add_business_days
from domain.submission import STEPS, Completer, LineOutcome, Outcome, Rejection, Sighting, Step, Submission
from domain.submission_file import TEMPLATES
from domain.trainer import Authority, Role, Trainer
from provider.bootstrap import bootstrap
from provider.commands import access, institution, people, trainers
from provider.commands.certificates import TEMPLATE_VERSION
from provider.log import Progress
from provider.mapper import request
from provider.office import Office
from provider.settings import Settings
from provider.work import Act, By

INSTITUTION = "Sample Academy"
ZONE = ZoneInfo("Europe/Zurich")
CHANNEL = "sample"
EARLIEST = date(2020, 1, 1)
"""From when the bodies list the institution, and the trainers may teach."""
CREDENTIALS = (
    ("SA", "CSPO", "Certified Scrum Product Owner"),
    ("SA", "CSM", "Certified ScrumMaster"),
    ("SCRUMORG", "PSPO-I", "Professional Scrum Product Owner"),
)
PLACES = ("Zürich, Limmatquai 1", "Bern, Aarestrasse 7", "Basel, Rheinweg 12")
GIVEN = (
    *("Anna", "Björn", "Chidi", "Dolores", "Elif", "Fatima", "Giulia", "Hiroshi", "Inès", "João"),
    *("Katarzyna", "Lars", "Mehmet", "Ngozi", "Oksana", "Pilar", "Quentin", "Ravi", "Siobhán", "Thuy"),
)
FAMILY = (
    *("Achermann", "Bianchi", "Çelik", "Dubois", "Eriksson", "Ferreira", "García", "Horváth", "Ivanova", "Jankowski"),
    *("Keller", "Lindqvist", "Müller", "Nakamura", "O'Brien", "Petrov", "Quispe", "Rossi", "Suter", "Tanaka"),
)

AHEAD = 35
"""Days for which a course is known before it begins."""
COURSES_OF_A_LEAD = 400
"""Courses that one lead teaches before the institution takes another: two a week for four years."""
EVENTS_OF_A_COURSE = 190
"""Events of a course from draft to close, on average."""
FEW = 15
"""One course in so many is called off."""
AT_ONCE = 500
"""Events in one transaction: each waits for the disk."""
SEALED_AT_ONCE = 100
"""People whose names are sealed in one transaction, and digests of files; at the end, some are left over."""
REMEMBERED = 300
"""Learners who may come back."""

Showing = Callable[[str], AbstractContextManager[Progress]]
"""Given a title, shows how far long work is."""
Story = Iterator[datetime]
"""Gives the time at which it goes on, each time before it does."""


@dataclass(frozen=True)
class Made:
    """A history as it lies in a data directory: how many events and courses, who acted, and the tokens by role."""

    events: int
    courses: int
    staff: Staff
    tokens: dict[str, str]


@dataclass(frozen=True)
class Staff:
    """Those who act, by their person ids; the second registrar approves what the first drafts."""

    admin: UUID
    registrar: UUID
    second: UUID


def make(
    settings: Settings, *, events: int, seed: int = 1, today: date | None = None, showing: Showing | None = None
) -> Made:
    """Found an institution where there is none, record a history of at least so many events, and make its views.

    The same seed makes the same courses of the same people up to the same day, but for the ids of the staff.

    :raises AlreadyFounded: the data directory holds an institution.
    """
    show = showing or (lambda _: nullcontext(lambda _done, _of: None))
    today = today or datetime.now(ZONE).date()
    courses = ceil(events / EVENTS_OF_A_COURSE)
    leads = ceil(courses / COURSES_OF_A_LEAD)
    # How many events a course has is luck, so there is time for some more courses than the average asks for.
    weeks = ceil((courses + sqrt(courses)) / (2 * leads)) + 1
    monday = today - timedelta(days=today.weekday(), weeks=weeks)
    began = local(monday - timedelta(days=AHEAD + 10), 8)
    office = bootstrap(settings, clock=lambda: began)
    try:
        staff, tokens = found(office)
        sample = Sample(office, staff, seed)
        with show("Recording") as progress:
            while sample.recorded < events:
                # Once is nearly always enough; otherwise somebody else teaches in the same years.
                sample.live(
                    hire(office, staff, leads), first=monday, until=local(today, 0), enough=events, told=progress
                )
                leads = 1
        with show("Making the views") as progress:
            office.views.rebuild(progress=progress)
        return Made(office.log.position(), sample.courses, staff, tokens)
    finally:
        office.close()


def found(office: Office) -> tuple[Staff, dict[str, str]]:
    """Found an institution with two registrars and an auditor, and return its staff and a token for each role."""
    receipt, token = institution.found(
        office, name=INSTITUTION, zone=ZONE.key, given="Ada", family="Admin", email="ada@academy.example"
    )
    admin = UUID(receipt.ids[0])
    for number, body in enumerate(sorted({body for body, _, _ in CREDENTIALS}), start=1):
        institution.register_with_body(
            office, _act(office, admin), body=body, external_id=f"REP-{number}", valid_from=EARLIEST
        )
    first, second = (_joined(office, admin, given, "Registrar", AccessRole.REGISTRAR) for given in ("Regula", "Matteo"))
    auditor = _joined(office, admin, "Agnes", "Auditor", AccessRole.AUDITOR)
    tokens = {
        "admin": token,
        "registrar": issue_token(office, admin, first, AccessRole.REGISTRAR),
        "auditor": issue_token(office, admin, auditor, AccessRole.AUDITOR),
    }
    return Staff(admin, first, second), tokens


def issue_token(office: Office, admin: UUID, person: UUID, role: AccessRole) -> str:
    """Let somebody use the API in a role that they have, and return the token."""
    _, token = access.issue_token(office, _act(office, admin), person=person, roles=(role,), label=CHANNEL)
    if token is None:
        raise AssertionError("A token is shown where no idempotency key was answered before.")
    return token


def hire(office: Office, staff: Staff, leads: int) -> list[UUID]:
    """Let so many people more be trainers who may lead all courses, and return their person ids."""
    hired = [
        _joined(office, staff.admin, "Tina", f"Trainer {number + 1}", AccessRole.TRAINER) for number in range(leads)
    ]
    for person in hired:
        trainers.register(office, _act(office, staff.admin), person=person)
        for body, code, _ in CREDENTIALS:
            trainers.authorise(
                office,
                _act(office, staff.admin),
                person=person,
                body=body,
                code=code,
                role=Authority.LEAD,
                valid_from=EARLIEST,
                evidence="contract",
            )
    return hired


def _joined(office: Office, admin: UUID, given: str, family: str, role: AccessRole) -> UUID:
    email = f"{given}.{family}@academy.example".lower().replace(" ", "")
    person = people.register(
        office, _act(office, admin), given=given, family=family, certificate_name=f"{given} {family}", email=email
    ).id
    access.grant(office, _act(office, admin), person=person, role=role)
    return person


def _act(office: Office, admin: UUID) -> Act:
    now = office.clock()
    return Act(by=admin, now=now, at=now, channel=CHANNEL, request="founding")


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """Return the time in UTC when the clocks on the institution's walls show this."""
    return datetime.combine(day, time(hour, minute), ZONE).astimezone(UTC)


class Sample:
    """Makes courses, and remembers what they share: who came before, the trainers' bookings, the last serials."""

    def __init__(self, office: Office, staff: Staff, seed: int = 1) -> None:
        self.office = office
        self.staff = staff
        self.random = Random(seed)  # noqa: S311 (it draws samples, and no secrets)
        self.trainers: dict[UUID, Trainer] = {}
        self.names: dict[UUID, Names] = {}
        self.serials: Counter[int] = Counter()
        self.alumni: deque[Person] = deque(maxlen=REMEMBERED)
        self.courses = 0
        self.learners = 0
        self.recorded = office.log.position()
        self._stored: list[StoredEvent] = []
        self._named: list[tuple[UUID, Names, Private]] = []
        self._digests: list[Private] = []

    def live(self, leads: Sequence[UUID], *, first: date, until: datetime, enough: int, told: Progress) -> None:
        """Let courses happen from a Monday on, until there are so many events or a day has come.

        Each lead begins one course on every Monday and one on every Wednesday.
        """
        days = [first + timedelta(days=offset) for offset in range((until.date() - first).days + AHEAD)]
        starting = [(day, lead) for day in days if day.weekday() in (0, 2) for lead in leads]
        # The number only decides which of two that are due at once comes first.
        stories = [
            (local(day - timedelta(days=AHEAD), 8), number, Delivery(self, day, lead).life())
            for number, (day, lead) in enumerate(starting)
        ]
        heapify(stories)
        while stories and self.recorded < enough:
            at, number, story = stories[0]
            if at >= until:
                break
            if (following := next(story, None)) is None:
                heappop(stories)
            else:
                heapreplace(stories, (following, number, story))
            told(min(self.recorded, enough), enough)
        self.flush()

    def record(self, *aggregates: Aggregate) -> None:
        """Record what happened to all of these, soon: many requests share one transaction."""
        store = self.office.log.mapper.to_stored_event
        with request({"id": self.uuid().hex, "channel": CHANNEL}):
            stored = [store(event) for aggregate in aggregates for event in aggregate.collect_events()]
        self._stored += stored
        self.recorded += len(stored)
        if len(self._stored) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Record what is still to be."""
        if self._stored:
            self.office.log.recorder.insert_events(self._stored)
            self._stored = []

    def uuid(self) -> UUID:
        """Draw an id that is random, though the same for the same seed."""
        return UUID(int=self.random.getrandbits(128), version=4)

    def chance(self, one_in: int) -> bool:
        """Say yes once in so many times."""
        return self.random.randrange(one_in) == 0

    def trainer(self, lead: UUID) -> Trainer:
        """Return a trainer with all bookings so far; nobody else books them."""
        if lead not in self.trainers:
            self.trainers[lead] = self.office.log.get(Trainer, Trainer.create_id(lead))
            self.names[lead] = self.office.log.get(Person, lead).names
        return self.trainers[lead]

    def newcomers(self, number: int, *, source: Source, at: datetime) -> list[Person]:
        """Return people who were never here before."""
        coming = []
        for _ in range(number):
            person, names, email = self._newly_named()
            said: By = {"by": self.staff.registrar, "at": at, "on_behalf_of": None}
            coming.append(Person.register(person=person, names=names, email=email, source=source.value, **said))
        return coming

    def _newly_named(self) -> tuple[UUID, Names, Private]:
        if not self._named:
            drawn = [self.uuid() for _ in range(SEALED_AT_ONCE)]
            values: list[tuple[UUID, str]] = []
            for person in drawn:
                self.learners += 1
                given, family = self.random.choice(GIVEN), self.random.choice(FAMILY)
                email = f"learner.{self.learners}@example.org"
                values += [(person, each) for each in (given, family, f"{given} {family}", email)]
            handles = self.office.vault.seal_many(values)
            self._named = [
                (person, Names(*handles[at : at + 3]), handles[at + 3])
                for person, at in zip(drawn, range(0, len(handles), 4), strict=True)
            ]
        return self._named.pop()

    def digest(self) -> Private:
        """Return the handle of a file's digest."""
        if not self._digests:
            owner = self.office.institution
            said = [(owner, f"{self.random.getrandbits(256):064x}") for _ in range(SEALED_AT_ONCE)]
            self._digests = self.office.vault.seal_many(said)
        return self._digests.pop()

    def serial(self, year: int) -> int:
        """Return the next serial of a certificate."""
        self.serials[year] += 1
        return self.serials[year]


class Delivery:
    """One course from its draft to its close, or as far as it comes."""

    def __init__(self, sample: Sample, first_day: date, lead: UUID, capacity: int | None = None) -> None:
        self.sample = sample
        self.staff = sample.staff
        self.first_day = first_day
        self.lead = lead
        self.capacity = capacity
        self.enrolments: dict[UUID, Enrolment] = {}
        self.people: dict[UUID, Person] = {}
        self.registers: dict[int, AttendanceRegister] = {}
        self.certificates: dict[UUID, Certificate] = {}
        self.no_show: UUID | None = None
        self.device = sample.uuid()
        self.seq = 0

    def life(self) -> Story:
        """Tell it all."""
        chance, random = self.sample.chance, self.sample.random
        yield (at := self._on(-AHEAD, 9))
        self.draft(at)
        yield (at := self._on(-AHEAD + 5, 10))
        self.schedule(at)
        yield (at := self._on(-AHEAD + 10, 11))
        self.open(at)
        asking = self.seats + random.choice((-4, -2, 0, 1, 2, 3))
        for days in (-24, -20, -16, -12, -8):
            yield (at := self._on(days, 12))
            self.enrol(ceil(asking / 5) if days < -8 else asking - len(self.enrolments), at)
            if chance(4 if days < -8 else 2):
                yield (at := self._on(days + 1, 9))
                self.withdraw(at)
                yield (at := self._on(days + 1, 15))
                self.move_up(at)
        if self.number % FEW == 0:
            yield (at := self._on(-6, 9))
            self.cancel(at)
            return
        if chance(6):
            yield (at := self._on(-6, 15))
            self.substitute(at)
        if chance(12):
            yield (at := self._on(-6, 16))
            self.move(at)
        yield (at := self._on(-5, 9))
        self.confirm(at)
        yield from self._taught()
        yield (at := self._on(2, 9))
        self.decide(at)
        yield (at := self._on(2, 10))
        self.certify(at)
        yield from self._submitted()
        if chance(5):
            yield (at := self._on(12, 9))
            self.rename(at)
        if chance(30):
            yield (at := self._on(13, 9))
            self.revoke(at)
        yield (at := self._on(15, 9))
        self.course.close(outstanding=(), by=self.staff.registrar, at=at)
        self.sample.record(self.course)

    # Before it begins.

    def draft(self, at: datetime) -> None:
        """Begin it, for the credential of the day."""
        sample = self.sample
        sample.courses += 1
        self.number = sample.courses
        body, code, title = sample.random.choice(CREDENTIALS)
        self.seats = self.capacity or sample.random.choice((8, 10, 12, 14, 16, 18, 20))
        self.policy = policy_on(CATALOGUE, body=body, code=code, on=self.first_day)
        self.course = Course.draft(
            course=sample.uuid(), title=title, policy=self.policy, format="in_person", by=self.staff.registrar, at=at
        )
        sample.record(self.course)

    def schedule(self, at: datetime) -> None:
        """Plan four half-days on two days in a row, and book the lead for them."""
        said = self._registrar(at)
        place = self.sample.random.choice(PLACES)
        plans = [
            SessionPlan(local(day, hour), local(day, hour + 4), ZONE.key, 210, place)
            for day in (self.first_day, self.first_day + timedelta(days=1))
            for hour in (9, 14)
        ]
        self.course.schedule(sessions=plans, policy=self.policy, reason="agreed", **said)
        self.course.assign_trainer(trainer_person=self.lead, role=Role.LEAD, **said)
        trainer = self.sample.trainer(self.lead)
        trainer.book(
            course=self.course.id,
            body=self.course.body,
            code=self.course.code,
            role=Role.LEAD,
            slots=self.course.slots,
            zone=ZONE.key,
            **said,
        )
        self.sample.record(self.course, trainer)

    def open(self, at: datetime) -> None:
        """Take enrolments, and list it with the body."""
        said = self._registrar(at)
        self.course.open(capacity=Capacity.of(self.seats), minimum=4, **said)
        self.course.list_with_body(body=self.course.body, external_id=f"{self.number:06}", address=None, **said)
        self.sample.record(self.course)

    def enrol(self, number: int, at: datetime, *, returning: bool = True) -> None:
        """Enrol so many people, as long as there are seats; then they queue. One in eight has been here before."""
        if number < 1:
            return
        sample, said = self.sample, self._registrar(at)
        old: dict[UUID, Person] = {}
        for _ in range(number if returning and sample.alumni else 0):
            if sample.chance(8) and (known := sample.random.choice(sample.alumni)).id not in self.enrolments:
                old[known.id] = known
        coming = [*old.values(), *sample.newcomers(number - len(old), source=Source.IMPORT, at=at)]
        made: list[Aggregate] = []
        for person in coming:
            standing = self.course.request_seat(
                person=person.id, enrolment=Enrolment.create_id(self.course.id, person.id), **said
            )
            enrolment = Enrolment.request(
                course=self.course.id, person=person.id, standing=standing, source=Source.IMPORT, **said
            )
            if sample.chance(2):
                enrolment.ask_body_email(body=self.course.body, answered=False, **said)
            self.people[person.id], self.enrolments[person.id] = person, enrolment
            made += [person, enrolment]
        sample.record(self.course, *made)

    def withdraw(self, at: datetime) -> None:
        """Let somebody change their mind."""
        said = self._registrar(at)
        if len(seated := self.seated) > 4:
            leaving = self.sample.random.choice(seated)
            leaving.withdraw(reason=self.sample.random.choice(("illness", "work", "moved")), **said)
            self.course.free_seat(person=leaving.person, reason="withdrawn", **said)
            self.sample.record(leaving, self.course)

    def move_up(self, at: datetime) -> None:
        """Give the seats that are held to those who waited, or pass somebody over who doesn't answer."""
        said = self._registrar(at)
        for person, enrolment in self.enrolments.items():
            if not self.course.seat_held_for(person):
                continue
            if self.sample.chance(5):
                self.course.skip(person=person, reason="no_answer", **said)
            else:
                self.course.confirm_held(person=person, **said)
                enrolment.confirm(**said)
            self.sample.record(enrolment, self.course)

    def cancel(self, at: datetime) -> None:
        """Call it off, with all that belongs to it."""
        said = self._registrar(at)
        self.course.cancel(reason="too_few", **said)
        gone = [enrolment for enrolment in self.enrolments.values() if enrolment.live]
        for enrolment in gone:
            enrolment.cancel(reason="course_cancelled", **said)
            self.course.free_seat(person=enrolment.person, reason="course_cancelled", **said)
        trainer = self.sample.trainer(self.lead)
        trainer.release(course=self.course.id, reason="course_cancelled", **said)
        self.sample.record(self.course, *gone, trainer)

    def substitute(self, at: datetime) -> None:
        """Let a colleague come in somebody's place."""
        if not self.seated:
            return
        said = self._registrar(at)
        going = self.sample.random.choice(self.seated)
        (colleague,) = self.sample.newcomers(1, source=Source.SUBSTITUTION, at=at)
        theirs = going.substitute(person=colleague.id, reason="colleague", **said)
        self.course.substitute(old=going.person, new=colleague.id, new_enrolment=theirs, **said)
        coming = Enrolment.request(
            course=self.course.id,
            person=colleague.id,
            standing=Standing.CONFIRMED,
            source=Source.SUBSTITUTION,
            substitutes=going.id,
            **said,
        )
        self.people[colleague.id], self.enrolments[colleague.id] = colleague, coming
        self.sample.record(going, coming, self.course, colleague)

    def move(self, at: datetime) -> None:
        """Take another room."""
        elsewhere = [replace(session, place="Zürich, Seefeldstrasse 3") for session in self.course.sessions]
        self.course.reschedule(sessions=elsewhere, policy=self.policy, reason="room", **self._registrar(at))
        self.sample.record(self.course)

    def confirm(self, at: datetime) -> None:
        """Say that it will run, and take nobody else."""
        said = self._registrar(at)
        self.course.confirm(reason="promised" if len(self.seated) < 4 else None, **said)
        self.course.close_enrolment(**said)
        self.sample.record(self.course)

    # While it is taught.

    def _taught(self) -> Story:
        absent = self.sample.chance(4)
        for session in self.course.sessions:
            if session.number == 1:
                self.no_show = self.sample.random.choice(self.seated).person if absent and self.seated else None
                if self.sample.chance(8):
                    yield (at := session.starts + timedelta(minutes=5))
                    self.admit(session, at)
            yield (at := session.starts + timedelta(minutes=10))
            self.mark(session, at)
            yield (at := session.starts + timedelta(minutes=40))
            self.correct(session, at)
            yield (at := session.ends + timedelta(minutes=10))
            self.seal(session, at)
        if self.sample.chance(6):
            yield (at := self._on(1, 19))
            self.amend(self.course.sessions[1], at)
        yield (at := self._on(1, 20))
        self.course.deliver(**self._lead(at))
        self.sample.record(self.course)

    def admit(self, session: Session, at: datetime) -> None:
        """Let somebody in who came without a seat, if one is free."""
        if self.course.seats_free == 0:
            return
        (coming,) = self.sample.newcomers(1, source=Source.WALK_IN, at=at)
        said = self._lead(at)
        stream = Enrolment.create_id(self.course.id, coming.id)
        self.course.admit_walk_in(person=coming.id, enrolment=stream, **said)
        enrolment = Enrolment.request(
            course=self.course.id, person=coming.id, standing=Standing.CONFIRMED, source=Source.WALK_IN, **said
        )
        enrolment.admit_walk_in(session=session.number, **said)
        enrolment.confirm_walk_in(**self._registrar(at))
        self.people[coming.id], self.enrolments[coming.id] = coming, enrolment
        self.sample.record(enrolment, self.course, coming)

    def mark(self, session: Session, at: datetime) -> None:
        """Mark everybody, nine in ten of them present."""
        register = AttendanceRegister.open(course=self.course.id, session=session.number, **self._lead(at))
        self.registers[session.number] = register
        marks = []
        for enrolment in self.seated:
            luck = self.sample.random.randrange(100)
            if enrolment.person == self.no_show or luck < 3:
                marks.append(self._mark(enrolment.person, Status.ABSENT, at))
            elif luck < 4:
                marks.append(self._mark(enrolment.person, Status.EXCUSED, at))
            elif luck < 9:
                marks.append(self._mark(enrolment.person, Status.LATE, at, late=self.sample.random.randrange(5, 21, 5)))
            else:
                marks.append(self._mark(enrolment.person, Status.PRESENT, at))
        self._send(register, session, marks, at)

    def correct(self, session: Session, at: datetime) -> None:
        """Mark those otherwise who came after all, or who left."""
        register, marks = self.registers[session.number], []
        for enrolment in self.seated:
            before = register.mark_of(enrolment.person)
            if before is None or enrolment.person == self.no_show:
                continue
            if before.status is Status.ABSENT and self.sample.chance(2):
                marks.append(self._mark(enrolment.person, Status.LATE, at, late=30, corrects=before.mark))
            elif before.status is Status.PRESENT and self.sample.chance(50):
                marks.append(self._mark(enrolment.person, Status.LEFT_EARLY, at, early=45, corrects=before.mark))
        if marks:
            self._send(register, session, marks, at)

    def seal(self, session: Session, at: datetime) -> None:
        """Record that the session was held, and seal its register."""
        said = self._lead(at)
        self.course.hold_session(
            session=session.number,
            started=session.starts,
            ended=session.ends,
            trainers=[self.lead],
            contact_minutes=session.contact_minutes,
            **said,
        )
        register = self.registers[session.number]
        register.seal(
            enrolled=[enrolment.person for enrolment in self.seated],
            lead_on_date=self.lead,
            over_at=session.ends,
            attestation="Everybody is marked as they attended.",
            **said,
        )
        self.sample.record(register, self.course)

    def amend(self, session: Session, at: datetime) -> None:
        """Put right a sealed mark: the lead asks for it, the registrar agrees."""
        register = self.registers[session.number]
        for enrolment in self.seated:
            before = register.mark_of(enrolment.person)
            if before is not None and before.status is Status.LATE:
                number = register.request_amendment(
                    mark=self._mark(enrolment.person, Status.PRESENT, at, corrects=before.mark),
                    starts=session.starts,
                    ends=session.ends,
                    authority=lambda _: Marker.LEAD,
                    enrolled=[each.person for each in self.seated],
                    reason="clock_was_wrong",
                    **self._lead(at),
                )
                register.approve_amendment(number=number, **self._registrar(at))
                self.sample.record(register)
                return

    def _mark(
        self, person: UUID, status: Status, at: datetime, *, late: int = 0, early: int = 0, corrects: UUID | None = None
    ) -> MarkRequest:
        self.seq += 1
        return MarkRequest(
            mark=self.sample.uuid(),
            person=person,
            status=status,
            late_minutes=late,
            left_early_minutes=early,
            marked_at=at,
            device=self.device,
            seq=self.seq,
            corrects=corrects,
        )

    def _send(self, register: AttendanceRegister, session: Session, marks: Sequence[MarkRequest], at: datetime) -> None:
        register.mark(
            batch=marks,
            sent_at=at,
            starts=session.starts,
            ends=session.ends,
            authority=lambda _: Marker.LEAD,
            enrolled=[enrolment.person for enrolment in self.seated],
            **self._lead(at),
        )
        self.sample.record(register)

    # After it.

    def decide(self, at: datetime) -> None:
        """Attest and decide on everybody, as the record proposes; some have made up for what they missed."""
        said = self._lead(at)
        decided = []
        for enrolment in self.seated:
            if enrolment.person == self.no_show:
                enrolment.declare_no_show(attended=False, reason="never_came", **said)
            else:
                enrolment.attest_participation(attested=True, lead=self.lead, **said)
                if (because := self._proposal(enrolment)).unmet and self.sample.chance(2):
                    self._make_up(enrolment, because, at)
                    because = self._proposal(enrolment)
                enrolment.decide_completion(
                    completed=because.proposed, because=because, lead=self.lead, solo=False, **said
                )
            decided.append(enrolment)
        if decided:
            self.sample.record(*decided)
        self.sample.alumni += [self.people[enrolment.person] for enrolment in self.completers]

    def _make_up(self, enrolment: Enrolment, because: Because, at: datetime) -> None:
        for half_day in because.half_days:
            if half_day.missed_minutes is not None and half_day.missed_minutes > because.tolerance_minutes:
                enrolment.credit_make_up(
                    session=half_day.session,
                    minutes=half_day.missed_minutes,
                    elsewhere=MakeUp(MakeUpKind.TUTORIAL),
                    trainer=self.lead,
                    evidence="tutorial notes",
                    **self._lead(at),
                )

    def _proposal(self, enrolment: Enrolment) -> Because:
        sessions, registers = self.course.sessions, self.registers
        aspects = (Aspect.PARTICIPATION, Aspect.MAKE_UP)
        rests_on = [
            self.course.basis(),
            *(register.basis_of(enrolment.person) for register in registers.values()),
            *(enrolment.basis(aspect) for aspect in aspects),
        ]
        return propose(
            sessions=sessions,
            marks={number: register.mark_of(enrolment.person) for number, register in registers.items()},
            sealed={number: register.sealed_version for number, register in registers.items()},
            make_ups=enrolment.make_ups,
            participation=enrolment.participation,
            tolerance_minutes=15,
            policy=self.policy,
            rests_on=[basis for basis in rests_on if basis is not None],
            shortfall_accepted=self.course.shortfall_accepted,
        )

    def certify(self, at: datetime) -> None:
        """Issue a certificate to everybody who completed it."""
        for enrolment in self.completers:
            self.certificates[enrolment.person] = self._certificate(enrolment, at)
        if self.certificates:
            self.sample.record(*self.certificates.values())

    def rename(self, at: datetime) -> None:
        """Put somebody's name right, and replace the certificate that bears the wrong one."""
        if not self.completers:
            return
        enrolment = self.sample.random.choice(self.completers)
        person, before = self.people[enrolment.person], self.certificates[enrolment.person]
        said = self._registrar(at)
        given, family = (self.sample.random.choice(names) for names in (GIVEN, FAMILY))
        names = Names(
            *self.sample.office.vault.seal_many([(person.id, n) for n in (given, family, f"{given} {family}")])
        )
        person.correct_name(names=names, reason="misspelt", **said)
        self.sample.record(person)
        after = self._certificate(enrolment, at, replaces=before.number)
        before.supersede(replacement=after, reason="name", **said)
        self.certificates[enrolment.person] = after
        self.sample.record(before, after)

    def revoke(self, at: datetime) -> None:
        """Take a certificate back: one registrar asks for it, the other agrees."""
        if not self.certificates:
            return
        certificate = self.sample.random.choice(list(self.certificates.values()))
        certificate.request_revocation(reason="issued_in_error", **self._registrar(at))
        certificate.revoke(solo_allowed=False, **self._second(at))
        self.sample.record(certificate)

    def _certificate(self, enrolment: Enrolment, at: datetime, replaces: str | None = None) -> Certificate:
        person, year = self.people[enrolment.person], at.astimezone(ZONE).year
        decision = enrolment.basis(Aspect.DECISION)
        judged = enrolment.decision.because.rests_on if enrolment.decision else ()
        certificate_name = person.names.certificate_name
        if certificate_name is None or decision is None:
            raise AssertionError("Everybody here gave a name for certificates, and was decided on before.")
        return Certificate.issue(
            institution=self.sample.office.institution,
            prefix="",
            year=year,
            serial=self.sample.serial(year),
            facts=Facts(
                course=self.course.id,
                enrolment=enrolment.id,
                person=person.id,
                certificate_name=certificate_name,
                course_title=self.course.title,
                body=self.course.body,
                code=self.course.code,
                first_day=self.course.days[0],
                last_day=self.course.days[-1],
                contact_minutes=self.course.contact_minutes,
                trainer=self.lead,
                trainer_name=self.sample.names[self.lead].certificate_name,
                institution_name=INSTITUTION,
                place=self.course.sessions[0].place,
            ),
            rests_on=(decision, Basis(person.id, person.names_version, Aspect.NAMES), *judged),
            verification_code=f"{self.sample.random.getrandbits(120):030x}",
            template_version=TEMPLATE_VERSION,
            completed=enrolment.completed is True,
            unsealed=(),
            live_number=replaces,
            replaces=replaces,
            **self._registrar(at),
        )

    # At the body.

    def _submitted(self) -> Story:
        if not self.completers:
            return
        yield (at := self._on(2, 15))
        submission = Submission.draft(
            course=self.course.id,
            body=self.course.body,
            profile=self.policy.submission_profile,
            due_on=add_business_days(self.course.days[-1], 2, ()),
            completers=[self._completer(enrolment) for enrolment in self.completers],
            **self._registrar(at),
        )
        self.sample.record(submission)
        yield (at := self._on(3, 9))
        self.send(submission, 1, at)
        rejected = self.sample.random.choice(list(submission.lines)) if self.sample.chance(3) else None
        yield (at := self._on(5, 9))
        self.answer(submission, 1, rejected, at)
        if rejected is not None:
            yield (at := self._on(6, 9))
            enrolment = self._restated(submission.lines[rejected].line.person, at)
            part = submission.draft_part(completers=[self._completer(enrolment)], **self._registrar(at))
            self.sample.record(submission)
            yield (at := self._on(6, 14))
            self.send(submission, part, at)
            yield (at := self._on(8, 9))
            self.answer(submission, part, None, at)
        yield (at := self._on(11, 9))
        for line, standing in submission.lines.items():
            if standing.succeeded and self.sample.chance(2):
                submission.observe(
                    line=line, what=Sighting.ACCOUNT_ACTIVATED, on=at.date(), source="body_page", **self._registrar(at)
                )
        submission.complete(**self._registrar(at))
        self.sample.record(submission)

    def send(self, submission: Submission, part: int, at: datetime) -> None:
        """Check a part, let the other registrar approve it, and give its file to the body."""
        said, template = self._registrar(at), TEMPLATES[submission.profile]
        submission.validate(part=part, template=template, problems=(), **said)
        submission.approve(part=part, solo_allowed=False, **self._second(at))
        rows = len(submission.lines_of(part))
        submission.export(part=part, template=template, digest=self.sample.digest(), rows=rows, **said)
        submission.record_sent(part=part, **said)
        self.sample.record(submission)

    def answer(self, submission: Submission, part: int, rejected: int | None, at: datetime) -> None:
        """Record what the body said to each line, and the steps that followed for those that it took."""
        said = self._registrar(at)
        exceptions = [] if rejected is None else [LineOutcome(rejected, Outcome.REJECTED, Rejection.EMAIL_INVALID)]
        submission.record_accepted_except(part=part, exceptions=exceptions, source="body_page", **said)
        lines = [line.line for line in submission.lines_of(part) if line.line != rejected]
        for step in STEPS[submission.profile] if lines else ():
            if step is Step.LOADED:
                submission.record_loaded(lines=lines, **said)
            elif step is Step.SELECTED:
                submission.record_selected(lines=lines, **said)
            elif step is Step.PAID:
                submission.record_paid(lines=lines, amount=Decimal(25 * len(lines)), currency="USD", **said)
            else:
                submission.record_activated(lines=lines, **said)
        self.sample.record(submission)

    def _restated(self, person: UUID, at: datetime) -> Enrolment:
        """Record the e-mail that somebody really uses with the body."""
        self.sample.learners += 1
        email = self.sample.office.vault.seal(person, f"learner.{self.sample.learners}@example.com")
        known = self.people[person]
        known.state_body_email(body=self.course.body, email=email, source=Witness.PERSON, **self._registrar(at))
        self.sample.record(known)
        return self.enrolments[person]

    def _completer(self, enrolment: Enrolment) -> Completer:
        person, body = self.people[enrolment.person], self.course.body
        decision = enrolment.basis(Aspect.DECISION)
        if decision is None:
            raise AssertionError("Who is submitted was decided on before.")
        judged = enrolment.decision.because.rests_on if enrolment.decision else ()
        stated = person.body_email_version(body) or person.email_version
        return Completer(
            enrolment=enrolment.id,
            person=person.id,
            given=person.names.given,
            family=person.names.family,
            email=person.body_email(body) or person.email,
            rests_on=(
                decision,
                Basis(person.id, person.names_version, Aspect.NAMES),
                Basis(person.id, stated, Aspect.BODY_EMAIL),
                *judged,
            ),
        )

    # Who is on it, and who says what when.

    @property
    def seated(self) -> list[Enrolment]:
        """The enrolments of those who have a seat."""
        return [enrolment for enrolment in self.enrolments.values() if enrolment.stage is Stage.CONFIRMED]

    @property
    def completers(self) -> list[Enrolment]:
        """The enrolments of those who completed it."""
        return [enrolment for enrolment in self.seated if enrolment.completed]

    def _on(self, days: int, hour: int) -> datetime:
        """Return a time so many days after the first, at some minute of that hour."""
        return local(self.first_day + timedelta(days=days), hour, self.sample.random.randrange(60))

    def _registrar(self, at: datetime) -> By:
        return {"by": self.staff.registrar, "at": at, "on_behalf_of": None}

    def _second(self, at: datetime) -> By:
        return {"by": self.staff.second, "at": at, "on_behalf_of": None}

    def _lead(self, at: datetime) -> By:
        return {"by": self.lead, "at": at, "on_behalf_of": None}


__all__ = ["Delivery", "Made", "Sample", "Staff", "found", "hire", "issue_token", "local", "make"]
