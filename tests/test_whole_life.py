"""The whole life of a course, in any order that anybody can think of: what must always hold, holds after each step."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from domain.basis import Aspect
from domain.certificate import Certificate
from domain.course import Capacity, Course, Stage
from domain.course import Role as OnCourse
from domain.enrolment import Enrolment, MakeUpKind
from domain.enrolment import Stage as EnrolmentStage
from domain.institution import Act as Signed
from domain.institution import Settings, SignOff, SignOffMode
from domain.person import Witness
from domain.refusal import Refused
from domain.register import AttendanceRegister, MarkRequest, Status
from domain.submission import Outcome, Rejection, Sighting, Submission
from domain.trainer import Authority
from projections import certificates as certificates_view
from projections import completion as completion_view
from projections import courses as courses_view
from projections import discrepancies as discrepancies_view
from projections import registers as registers_view
from projections import roster as roster_view
from projections import submission as submission_view
from provider.bootstrap import bootstrap
from provider.commands import (
    certificates,
    completion,
    courses,
    enrolments,
    institution,
    people,
    registers,
    submissions,
)
from provider.commands.completion import Lacking
from provider.commands.courses import LocalSession
from provider.commands.submissions import SaidOutcome
from provider.log import NotFound
from provider.office import Office
from provider.settings import Settings as Environment
from provider.work import Act
from tests.academy import FIRST, SECOND, Academy, half_days
from tests.conftest import Clock
from tests.graduates import Graduates

NAMES = ("Ada", "Bob", "Cy", "Di", "Ed", "Flo", "Gus", "Hal")
LEARNERS = [
    ("Ada", "Lovelace", "ada@example.org"),
    ("Bob", None, "bob@example.org"),
    ("Cy", "Twombly", "cy@example.org"),
]

some = st.integers(0, 7)
"""Which of several things; counted round where there are fewer."""
seldom = st.sampled_from([False, False, False, True])


class WholeLife(RuleBasedStateMachine):
    """A registrar, two trainers and a class do what they like with one course, and are refused what can't be.

    It begins with a course in one of five stages, so that the late ones are met as often as the early ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="whole-life-"))
        self.clock = Clock()
        self.sealed: dict[tuple[int, int], Any] = {}
        self.position = -1
        self.remembered: dict[tuple[Any, ...], Any] = {}
        self.office: Office

    # Beginning and end.

    @initialize(stage=st.sampled_from(["decided", "sent", "open", "taught", "sent", "draft", "open"]))
    def begin(self, stage: str) -> None:
        data, known = started(stage)
        shutil.copytree(data, self.folder / "data", symlinks=True)
        self.office = bootstrap(Environment.read({"PROVIDER_DATA": str(self.folder / "data")}), self.clock)
        self.clock.set(known["now"])
        self.admin, self.lead, self.other, self.spare = (known[who] for who in ("admin", "lead", "other", "spare"))
        self.course: UUID = known["course"]
        self.people: list[UUID] = list(known["people"])
        self.submission = Submission.create_id(self.course, "SA")

    def teardown(self) -> None:
        try:
            if hasattr(self, "office"):
                assert self.office.views.verify() == []
                self.office.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def act(self, by: UUID | None = None) -> Act:
        now = self.clock()
        return Act(by=by or self.admin, now=now, at=now, channel="test", request=uuid4().hex)

    def do(self, command: Callable[..., Any], by: UUID | None = None, **said: Any) -> Any:
        """Carry out a command; a refusal is an answer like any other, and changes nothing."""
        before = self.office.log.position()
        try:
            return command(self.office, self.act(by), **said)
        except (Refused, NotFound):
            assert self.office.log.position() == before
            return None

    def on_course(self, command: Callable[..., Any], by: UUID | None = None, **said: Any) -> Any:
        return self.do(command, by, course=self.course, **said)

    def person(self, which: int) -> UUID:
        return self.people[which % len(self.people)] if self.people else uuid4()

    def enrolment(self, which: int) -> UUID:
        return Enrolment.create_id(self.course, self.person(which))

    def is_drafted(self) -> bool:
        found = self.known(("submission",), lambda: self.office.log.find(Submission, self.submission))
        return found is not None

    def is_certified(self) -> bool:
        return self.certificates() != {}

    def certificates(self) -> dict[str, str]:
        """Return the numbers of the certificates by their streams."""
        return self.known(("certificates",), self._certificates)

    def _certificates(self) -> dict[str, str]:
        with self.office.views.reading() as read:
            rows = certificates_view.listing(read, limit=100)
        return {str(Certificate.create_id(self.office.institution, row["number"])): row["number"] for row in rows}

    def session(self, which: int) -> int:
        numbers = sorted(self.loaded().planned) or [1]
        return numbers[which % len(numbers)]

    def loaded(self) -> Course:
        return self.known(("course",), lambda: self.office.log.get(Course, self.course))

    def known(self, what: tuple[Any, ...], look: Callable[[], Any]) -> Any:
        """Return what was looked up, looked up again only after something was recorded."""
        if (position := self.office.log.position()) != self.position:
            self.position = position
            self.remembered.clear()
        if what not in self.remembered:
            self.remembered[what] = look()
        return self.remembered[what]

    @rule(which=some)
    def go_on(self, which: int) -> None:
        """Do the next thing that would be done of a course that goes well: the first that is not refused."""
        way: tuple[Callable[[], Any], ...] = (
            lambda: self.schedule("agreed", 2),
            lambda: self.assign(0, OnCourse.LEAD),
            lambda: self.loaded().stage is Stage.SCHEDULED and self.open(3),
            lambda: len(self.people) < 4 and self.request(which, known=False, override=False),
            lambda: self.is_taught() or self.teach(),
            lambda: self.attest(which, attested=True, all_=True),
            self.decide_all,
            lambda: self.certify(which, named=False),
            lambda: self.is_drafted() or self.draft(some_only=False, which=which),
            lambda: self.bring(1, 4),
            lambda: self.hear(1, 1 + which % 3, Outcome.REJECTED if which % 2 else Outcome.ACCEPTED, all_=True),
            lambda: self.at_the_body(1 + which % 3, 4, None),
            lambda: self.correct_person(which, 0),
            lambda: self.change_line(1 + which % 3, 2),
            lambda: self.draft(some_only=False, which=which),
            lambda: self.bring(2, 4),
            lambda: self.run(3),
            lambda: self.close_course(waived=bool(which % 2)),
        )
        before = self.office.log.position()
        for step in way[which if which % 2 else 0 :]:
            step()
            if self.office.log.position() > before:
                return

    def is_taught(self) -> bool:
        registers_ = [self.register(number) for number in self.loaded().planned]
        return all(register is not None and register.sealed_version for register in registers_)

    # Planning.

    @precondition(lambda self: self.loaded().stage is Stage.DRAFT)
    @rule(reason=st.sampled_from([None, "agreed"]), days=st.integers(1, 2))
    def schedule(self, reason: str | None, days: int) -> None:
        planned = half_days(*(FIRST, SECOND)[:days])
        self.on_course(courses.schedule, sessions=planned, reason=reason)

    @rule(later=st.integers(0, 3))
    def reschedule(self, later: int) -> None:
        wanted = half_days(*(day + timedelta(days=later) for day in (FIRST, SECOND)))
        numbered = [
            LocalSession(**{**vars(plan), "number": number})
            for plan, number in zip(wanted, sorted(self.loaded().planned), strict=False)
        ]
        self.on_course(courses.reschedule, sessions=numbered or wanted, reason="moved")

    @rule(who=some, role=st.sampled_from(list(OnCourse)))
    def assign(self, who: int, role: OnCourse) -> None:
        self.on_course(courses.assign_trainer, person=(self.lead, self.other, self.spare)[who % 3], role=role)

    @rule(who=some, replace=seldom)
    def release(self, who: int, replace: bool) -> None:
        person = (self.other, self.lead, self.spare)[who % 3]
        if replace:
            self.on_course(courses.replace_trainer, person=person, new=self.spare, reason="ill")
        else:
            self.on_course(courses.release_trainer, person=person, reason="ill")

    @rule(seats=st.sampled_from([2, 3, 4, None]))
    def open(self, seats: int | None) -> None:
        capacity = Capacity.without_limit() if seats is None else Capacity.of(seats)
        if self.on_course(courses.open, capacity=capacity, minimum=1) is None:
            self.on_course(courses.change_capacity, capacity=capacity, reason="room")

    @rule(what=some)
    def run(self, what: int) -> None:
        verbs = (
            *(courses.close_enrolment, courses.reopen_enrolment, courses.confirm),
            *(courses.deliver, courses.deliver, courses.confirm),
        )
        self.on_course(verbs[what % len(verbs)])

    @precondition(lambda self: self.loaded().stage is Stage.DELIVERED)
    @rule(waived=st.booleans())
    def close_course(self, waived: bool) -> None:
        left: tuple[str, ...] = ()
        if waived:
            with self.office.views.reading() as read:
                left = (
                    *completion_view.outstanding(read, self.course),
                    *submission_view.outstanding(read, self.course),
                    *discrepancies_view.outstanding(read, self.course),
                )
        self.on_course(courses.close, waived=tuple(dict.fromkeys(left)), reason="agreed" if left else None)

    @precondition(lambda self: self.loaded().stage is Stage.CLOSED)
    @rule()
    def reopen_course(self) -> None:
        self.on_course(courses.reopen, reason="forgotten")

    @rule(sure=st.sampled_from([False] * 15 + [True]))
    def cancel_course(self, sure: bool) -> None:
        if sure:
            self.on_course(courses.cancel, reason="too_few")

    # Who comes.

    @rule(which=some, known=seldom, override=seldom)
    def request(self, which: int, known: bool, override: bool) -> None:
        because = "guest_of_the_house" if override else None
        if known and self.people:
            self.on_course(enrolments.request, person=self.person(which), override=because)
            return
        names = {"given": NAMES[which % len(NAMES)], "family": f"Learner {len(self.people)}"}
        email = f"learner.{len(self.people)}@example.org"
        done = self.on_course(enrolments.request, override=because, email=email, **names)
        if done is not None:
            self.people.append(UUID(done.ids[0]))

    @precondition(lambda self: self.people)
    @rule(which=some, what=st.integers(0, 11), override=seldom)
    def change_enrolment(self, which: int, what: int, override: bool) -> None:
        enrolment = self.enrolment(which)
        why = {"reason": "illness", "note": "It is in writing."}
        because = {"override": "guest_of_the_house"} if override else {}
        asked: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
            *((enrolments.withdraw, why), (enrolments.cancel, why), (enrolments.confirm, because)),
            *((enrolments.confirm, {}), (enrolments.skip, why), (enrolments.request_again, because)),
            *((enrolments.declare_no_show, why), (enrolments.lift_no_show, why), (enrolments.confirm_walk_in, {})),
            *((enrolments.withdraw, why), (enrolments.declare_prerequisite, {"evidence": "form 7"})),
            (enrolments.ask_body_email, {"body": "SA", "answered": True, "email": f"b{which}@example.net"}),
        )
        command, said = asked[what % len(asked)]
        self.do(command, enrolment=enrolment, **said)

    @precondition(lambda self: self.people)
    @rule(which=some, other=some, known=st.booleans())
    def substitute(self, which: int, other: int, known: bool) -> None:
        said: dict[str, Any] = (
            {"person": self.person(other)} if known else {"given": "Sub", "family": f"Stitute {len(self.people)}"}
        )
        done = self.do(enrolments.substitute, enrolment=self.enrolment(which), reason="illness", **said)
        if done is not None and not known:
            self.people.append(UUID(done.ids[1]))

    @rule(which=some, session=some, known=seldom, override=st.booleans())
    def walk_in(self, which: int, session: int, known: bool, override: bool) -> None:
        person = self.person(which) if known else uuid4()
        names = {} if known else {"given": "Walker", "family": f"In {len(self.people)}"}
        because = "stood_there" if override else None
        done = self.on_course(
            enrolments.admit_walk_in, person=person, session=self.session(session), override=because, **names
        )
        if done is not None and not known:
            self.people.append(person)
            self.on_course(
                enrolments.admit_walk_in, person=person, session=self.session(session), override=because, **names
            )

    @precondition(lambda self: self.people)
    @rule(which=some, session=some, minutes=st.integers(1, 210), credit=st.booleans())
    def make_up(self, which: int, session: int, minutes: int, credit: bool) -> None:
        if credit:
            self.do(
                enrolments.credit_make_up,
                enrolment=self.enrolment(which),
                session=self.session(session),
                minutes=minutes,
                kind=MakeUpKind.TUTORIAL,
                trainer=self.lead,
                evidence="notes",
            )
        else:
            self.do(enrolments.withdraw_make_up, enrolment=self.enrolment(which), number=1, reason="mistaken")

    # What happens in the sessions.

    @rule(hours=st.sampled_from([1, 4, 24, 24 * 7]))
    def time_passes(self, hours: int) -> None:
        self.clock.move(hours=hours)

    @rule(session=some)
    def go_to(self, session: int) -> None:
        planned = self.loaded().planned.get(self.session(session))
        if planned is not None:
            self.clock.set(max(self.clock(), planned.starts + timedelta(minutes=10)))

    @precondition(lambda self: self.people)
    @rule(session=some, marks=st.lists(st.tuples(some, some, st.integers(0, 3), some), min_size=1, max_size=4))
    def mark(self, session: int, marks: list[tuple[int, int, int, int]]) -> None:
        number = self.session(session)
        for by in (self.lead, self.other):
            said = [self.request_of(number, which, status, seq) for which, status, seq, _ in marks]
            self.send(number, said, by)
            self.send(number, said, by)
            if marks[0][3] < 6:
                break

    def send(self, session: int, said: list[MarkRequest], by: UUID) -> None:
        self.on_course(registers.mark, by, session=session, marks=said, sent_at=self.clock(), registrar=True)

    def request_of(self, session: int, which: int, status: int, seq: int) -> MarkRequest:
        kind = list(Status)[status % len(Status)]
        planned = self.loaded().planned.get(session)
        starts = self.clock() if planned is None else planned.starts
        known = self.standing(session, self.person(which))
        return MarkRequest(
            mark=uuid4(),
            person=self.person(which),
            status=kind,
            late_minutes=20 if kind is Status.LATE else 0,
            left_early_minutes=20 if kind is Status.LEFT_EARLY else 0,
            marked_at=min(self.clock(), starts + timedelta(minutes=seq)),
            corrects=known if seq == 2 else None,
        )

    def register(self, session: int) -> AttendanceRegister | None:
        stream = AttendanceRegister.create_id(self.course, session)
        return self.known((stream,), lambda: self.office.log.find(AttendanceRegister, stream))

    def standing(self, session: int, person: UUID) -> UUID | None:
        register = self.register(session)
        mark = None if register is None else register.mark_of(person)
        return None if mark is None else mark.mark

    @precondition(lambda self: self.people)
    @rule(session=some, by_other=seldom, absent=seldom, which=some)
    def mark_all_present(self, session: int, by_other: bool, absent: bool, which: int) -> None:
        number = self.session(session)
        except_ = [self.request_of(number, which, 3, 1)] if absent else []
        by = self.other if by_other else self.lead
        self.on_course(registers.mark_all_present, by, session=number, except_=except_)

    @precondition(lambda self: self.people)
    @rule(session=some, which=some)
    def resolve(self, session: int, which: int) -> None:
        number = self.session(session)
        with self.office.views.reading() as read:
            found = registers_view.register(read, self.course, number)
        for learner in found["learners"] if found else ():
            if learner["conflict"]:
                mark = learner["marks"][which % len(learner["marks"])]["mark"]
                self.on_course(
                    registers.resolve_conflict,
                    found["lead"] and UUID(found["lead"]),
                    session=number,
                    person=UUID(learner["person"]),
                    mark=UUID(mark),
                    reason="asked_them",
                )

    @precondition(lambda self: self.people)
    @rule(session=some, admit=st.booleans())
    def set_aside(self, session: int, admit: bool) -> None:
        number = self.session(session)
        with self.office.views.reading() as read:
            found = registers_view.register(read, self.course, number)
        for each in found["set_aside"] if found else ():
            verb = registers.admit_set_aside if admit else registers.dismiss_set_aside
            self.on_course(verb, session=number, mark=UUID(each["mark"]), reason="checked")

    @rule(session=some)
    def seal(self, session: int) -> None:
        for by in (self.lead, self.spare):
            self.on_course(registers.seal, by, session=self.session(session), attestation="I was there.")

    @rule(session=some, version=st.integers(1, 3))
    def countersign(self, session: int, version: int) -> None:
        self.on_course(registers.countersign, self.other, session=self.session(session), sealed_version=version)

    @precondition(lambda self: self.people)
    @rule(session=some, which=some, status=some, approve=st.booleans(), number=st.integers(1, 3))
    def amend(self, session: int, which: int, status: int, approve: bool, number: int) -> None:
        here = self.session(session)
        if (mark := self.standing(here, self.person(which))) is not None:
            asked = self.request_of(here, which, status, 2)
            assert asked.corrects == mark
            self.on_course(
                registers.request_amendment, self.other, session=here, mark=asked, reason="mistaken", registrar=True
            )
        if approve:
            self.on_course(registers.approve_amendment, self.lead, session=here, number=number)
        else:
            self.on_course(registers.reject_amendment, session=here, number=number, reason="checked")

    @rule(session=some, what=st.integers(0, 5))
    def hold(self, session: int, what: int) -> None:
        number = self.session(session)
        if what < 3:
            self.on_course(courses.hold_session, session=number, reason="as_it_was")
        elif what == 3:
            self.on_course(courses.curtail_session, session=number, contact_minutes=120, reason="fire_alarm")
        elif what == 4:
            self.on_course(courses.cancel_session, session=number, reason="illness")
        else:
            days = self.loaded().days
            day = (days[-1] if days else SECOND) + timedelta(days=1)
            added = LocalSession(day=day, start="09:00", end="12:30", contact_minutes=210)
            self.on_course(courses.add_session, session=added, reason="make_up")

    @precondition(lambda self: not self.is_taught())
    @rule()
    def teach(self) -> None:
        """Let all sessions that are left take place, as if everybody behaved."""
        for number, session in sorted(self.loaded().planned.items()):
            if (register := self.register(number)) is not None and register.sealed_version:
                continue
            self.clock.set(max(self.clock(), session.starts + timedelta(minutes=10)))
            self.on_course(registers.mark_all_present, self.lead, session=number)
            self.clock.set(max(self.clock(), session.ends))
            self.on_course(registers.seal, self.lead, session=number, attestation="I was there.")
            self.on_course(courses.hold_session, session=number)

    # Completion, certificates.

    @precondition(lambda self: self.people)
    @rule(which=some, attested=st.booleans(), all_=st.booleans())
    def attest(self, which: int, attested: bool, all_: bool) -> None:
        if all_:
            lacking = [] if attested else [Lacking(self.enrolment(which), "asleep")]
            self.on_course(completion.attest_participation_of_class, self.lead, except_=lacking)
        else:
            said = {"attested": attested, "reason": "asleep"}
            self.do(completion.attest_participation, self.lead, enrolment=self.enrolment(which), **said)

    @precondition(lambda self: self.people)
    @rule(which=some, completed=st.booleans(), approved=st.booleans(), why=st.booleans())
    def decide(self, which: int, completed: bool, approved: bool, why: bool) -> None:
        self.do(
            completion.decide,
            self.lead,
            enrolment=self.enrolment(which),
            completed=completed,
            reason="special_case" if why else None,
            approved_by=self.admin if approved else None,
        )

    def decide_all(self) -> None:
        self.on_course(completion.decide_as_proposed, self.lead)

    @precondition(lambda self: self.people)
    @rule(which=some, named=seldom)
    def certify(self, which: int, named: bool) -> None:
        self.decide_all()
        self.on_course(certificates.issue, enrolments=[self.enrolment(which)] if named else None)

    @precondition(lambda self: self.is_certified())
    @rule(which=some, what=st.integers(0, 4), by_other=st.booleans())
    def change_certificate(self, which: int, what: int, by_other: bool) -> None:
        number = f"2026-{1 + which:06}"
        why = {"reason": "wrong_name"}
        by = self.other if by_other else None
        verbs: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
            *((certificates.supersede, why), (certificates.request_revocation, why), (certificates.revoke, {})),
            *((certificates.revoke, why), (certificates.reject_revocation, why)),
        )
        command, said = verbs[what]
        self.do(command, by, number=number, **said)

    # What the body is told.

    @precondition(lambda self: self.people)
    @rule(some_only=seldom, which=some)
    def draft(self, some_only: bool, which: int) -> None:
        chosen = {"enrolments": [self.enrolment(which)]} if some_only else {}
        if self.on_course(submissions.draft, **chosen) is None:
            self.do(submissions.draft_part, submission=self.submission, **chosen)

    @precondition(lambda self: self.is_drafted())
    @rule(line=st.integers(1, 5), what=st.integers(0, 4))
    def change_line(self, line: int, what: int) -> None:
        why = {"reason": "no_contact"}
        verbs: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
            *((submissions.exclude_line, why), (submissions.include_line, {}), (submissions.remake_line, {})),
            *((submissions.remake_line, {}), (submissions.withdraw_line, why)),
        )
        command, said = verbs[what]
        self.do(command, submission=self.submission, line=line, **said)

    @precondition(lambda self: self.is_drafted())
    @rule(part=st.integers(1, 3), steps=st.integers(1, 4))
    def bring(self, part: int, steps: int) -> None:
        """Bring a part some steps on its way to the body."""
        way = (submissions.validate, submissions.approve, submissions.export, submissions.record_sent)
        for command in way[:steps]:
            by = self.lead if command is submissions.approve else None
            self.do(command, by, submission=self.submission, part=part)

    @precondition(lambda self: self.is_drafted())
    @rule(part=st.integers(1, 3), line=st.integers(1, 5), outcome=st.sampled_from(list(Outcome)), all_=st.booleans())
    def hear(self, part: int, line: int, outcome: Outcome, all_: bool) -> None:
        code = Rejection.NAME_INVALID_CHARS if outcome is Outcome.REJECTED else None
        said = [SaidOutcome(line, outcome, code, "They wrote.")]
        if all_:
            except_ = said if outcome is Outcome.REJECTED else []
            asked = {"part": part, "exceptions": except_, "source": "body_page"}
            self.do(submissions.record_accepted_except, submission=self.submission, **asked)
        else:
            self.do(submissions.record_outcomes, submission=self.submission, outcomes=said, source="mail")

    @precondition(lambda self: self.is_drafted())
    @rule(line=st.integers(1, 5), steps=st.integers(1, 4), what=st.sampled_from([None, *Sighting]))
    def at_the_body(self, line: int, steps: int, what: Sighting | None) -> None:
        if what is not None:
            more: dict[Sighting, dict[str, Any]] = {
                Sighting.LICENCE_ACCEPTED: {"agreement_version": "2026"},
                Sighting.CREDENTIAL_DATES: {"valid_from": SECOND, "valid_until": date(2028, 6, 2)},
                Sighting.MEMBER_ID: {"member_id": "4711"},
            }
            said = {"what": what, "on": self.clock().date(), "source": "body_page", **more.get(what, {})}
            self.do(submissions.observe, submission=self.submission, line=line, **said)
            return
        paid = {"amount": Decimal("50.00"), "currency": "USD"}
        way: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
            *((submissions.record_loaded, {}), (submissions.record_selected, {})),
            *((submissions.record_paid, paid), (submissions.record_activated, {})),
        )
        for command, said in way[:steps]:
            self.do(command, submission=self.submission, lines=[line], **said)

    @precondition(lambda self: self.is_drafted())
    @rule(abandon=seldom)
    def end_submission(self, abandon: bool) -> None:
        if abandon:
            self.do(submissions.abandon, submission=self.submission, reason="course_void")
        else:
            self.do(submissions.complete, submission=self.submission)

    # Corrections from elsewhere, and what follows from them.

    @precondition(lambda self: self.people)
    @rule(which=some, what=st.integers(0, 4))
    def correct_person(self, which: int, what: int) -> None:
        person = self.person(which)
        said = {"given": f"Corrected {what}", "family": f"Learner {which}"}
        if what < 2:
            self.do(people.correct_names, person=person, reason="typing_error", **said)
        elif what == 2:
            self.do(people.change_names, person=person, reason="marriage", evidence="passport", **said)
        elif what == 3:
            self.do(people.state_body_email, person=person, body="SA", email="new@example.org", source=Witness.PERSON)
        else:
            self.do(people.confirm_names, person=person, confirmed_by=Witness.REGISTRAR, names_version=1)

    @precondition(lambda self: self.is_certified() or self.is_drafted())
    @rule(which=some, resolution=st.sampled_from(["stands", "corrected", "harmless"]))
    def resolve_discrepancy(self, which: int, resolution: str) -> None:
        with self.office.views.reading() as read:
            found = discrepancies_view.listing(read, course=self.course, after=None, limit=10)
        if not found:
            return
        row = found[which % len(found)]
        said = {
            "stream": UUID(row["stream"]),
            "aspect": Aspect(row["aspect"]),
            "version": row["version"],
            "resolution": resolution,
            "reason": "checked",
        }
        if row["line"]:
            self.do(submissions.resolve_discrepancy, submission=UUID(row["document"]), line=row["line"], **said)
        else:
            self.do(certificates.resolve_discrepancy, number=self.certificates()[row["document"]], **said)

    @rule(solo=st.booleans())
    def change_settings(self, solo: bool) -> None:
        usual = Settings.usual(zone="Europe/Zurich")
        mode = SignOffMode.SOLO if solo else SignOffMode.FOUR_EYES
        changed = Settings(**{**vars(usual), "sign_off": tuple(SignOff(act, mode) for act in Signed)})
        self.do(institution.change_settings, settings=changed, reason="agreed")

    # What must always hold.

    @invariant()
    def holds(self) -> None:
        """See that all of it does, where anything was recorded since it last did."""
        self.known(("checked",), self.check)

    def check(self) -> None:
        self.seats_are_kept_within_the_capacity()
        self.everybody_is_on_the_course_once_and_ranks_have_no_gaps()
        self.certificates_are_numbered_without_gaps()
        self.what_was_accepted_is_never_exported_again()
        self.sealed_versions_stay_as_they_were()
        self.decisions_are_shown_as_they_were_taken()

    def seats_are_kept_within_the_capacity(self) -> None:
        course = self.loaded()
        limit = None if course.capacity is None else course.capacity.limit
        if limit is not None:
            taken = course.seats | course.held_seats
            overrides = sum(each.override is not None for each in self.events(Course.SeatTaken, self.course))
            assert len(taken) <= limit + overrides
        assert not course.seats & course.queue.keys()
        assert course.held_seats <= course.queue.keys()

    def everybody_is_on_the_course_once_and_ranks_have_no_gaps(self) -> None:
        course = self.loaded()
        with self.office.views.reading() as read:
            rows = roster_view.enrolments_of(read, self.course, limit=200)
            ranks = roster_view.ranks(read, self.course)
            shown = courses_view.course(read, self.course)
        assert len({row["person"] for row in rows}) == len(rows)
        assert sorted(ranks.values()) == list(range(1, len(ranks) + 1))
        on_course = set()
        for row in rows:
            learner = self.office.log.get(Enrolment, UUID(row["enrolment"]))
            assert row["standing"] == learner.stage.value
            assert ranks.get(row["enrolment"]) == course.rank_of(learner.person)
            assert row["completed"] == learner.completed
            if learner.stage in (EnrolmentStage.CONFIRMED, EnrolmentStage.NO_SHOW):
                on_course.add(learner.person)
            assert (learner.stage is EnrolmentStage.QUEUED) == (learner.person in course.queue)
        if course.stage is not Stage.CANCELLED:
            assert on_course == course.seats
        assert shown is not None
        assert shown["stage"] == course.stage.value

    def certificates_are_numbered_without_gaps(self) -> None:
        with self.office.views.reading() as read:
            years = certificates_view.numbering(read)
            rows = certificates_view.listing(read, limit=200)
        assert all(year["gaps"] == [] for year in years)
        live = [row["enrolment"] for row in rows if row["state"] == "issued"]
        assert len(set(live)) == len(live)
        for row in rows[-3:]:
            issued = self.office.log.get(Certificate, Certificate.create_id(self.office.institution, row["number"]))
            assert (row["state"], row["enrolment"]) == (issued.stage.value, str(issued.enrolment))

    def what_was_accepted_is_never_exported_again(self) -> None:
        accepted: set[UUID] = set()
        lines: dict[int, UUID] = {}
        submission: Any = None
        for event in self.office.log.events.get(self.submission):
            if isinstance(event, Submission.Exported):
                sent = {line.enrolment for line in submission.lines_of(event.part)}
                assert not sent & accepted
            submission = event.mutate(submission)
            lines = {number: known.line.enrolment for number, known in submission.lines.items()}
            if isinstance(event, Submission.OutcomeRecorded) and event.outcome is Outcome.ACCEPTED:
                accepted.add(lines[event.line])
        if submission is None:
            return
        with self.office.views.reading() as read:
            shown = submission_view.view(read, self.submission, today=self.clock().date())
        assert shown is not None
        assert {row["line"]: row["state"] for row in shown["items"]} == {
            number: submission.state_of(number).value for number in lines
        }

    def sealed_versions_stay_as_they_were(self) -> None:
        for number in self.loaded().planned:
            with self.office.views.reading() as read:
                shown = registers_view.register(read, self.course, number)
            register = self.register(number)
            if shown is None or register is None:
                continue
            assert shown["sealed_version"] == register.sealed_version == len(shown["sealed_versions"])
            for version in shown["sealed_versions"]:
                content = (version["sealed_by"], version["sealed_at"], version["marks"])
                assert self.sealed.setdefault((number, version["sealed_version"]), content) == content
            for learner in shown["learners"]:
                mark = register.mark_of(UUID(learner["person"]))
                assert learner["status"] == ("unmarked" if mark is None else mark.status.value)
        kept = {number for number, _ in self.sealed}
        assert kept <= set(self.loaded().planned) | self.dropped()

    def decisions_are_shown_as_they_were_taken(self) -> None:
        with self.office.views.reading() as read:
            found = completion_view.class_of(read, self.course)
        for shown in found.learners if found else ():
            learner = self.office.log.get(Enrolment, UUID(shown.enrolment))
            assert (shown.decision is None) == (learner.decision is None)

    def dropped(self) -> set[int]:
        return {event.session for event in self.events(Course.SessionCancelled, self.course)}

    def events(self, kind: type[Any], stream: UUID) -> Iterator[Any]:
        return (event for event in self.office.log.events.get(stream) if isinstance(event, kind))


STARTS: dict[str, tuple[Path, dict[str, Any]]] = {}


def started(stage: str) -> tuple[Path, dict[str, Any]]:
    """Return the files of an office whose course has come so far, made once in a run, and the ids in it."""
    if stage not in STARTS:
        STARTS[stage] = _make(stage, Path(tempfile.mkdtemp(prefix="whole-life-start-")))
    return STARTS[stage]


def _make(stage: str, data: Path) -> tuple[Path, dict[str, Any]]:
    clock = Clock()
    office = bootstrap(Environment.read({"PROVIDER_DATA": str(data)}), clock)
    founded, _ = institution.found(
        office, name="Academy", zone="Europe/Zurich", given="Ada", family="Admin", email="ada@academy.example"
    )
    admin = UUID(founded.ids[0])

    def act(**said: Any) -> Act:
        return Act(**{"by": admin, "now": clock(), "at": clock(), "channel": "test", "request": uuid4().hex, **said})

    if stage in ("draft", "open"):
        academy, learners = Academy(office, act), {}
        lead = academy.trainer("Lea")
        course = academy.draft() if stage == "draft" else academy.open(lead, seats=3)
    else:
        class_ = Graduates(office, act, clock, *LEARNERS, decided=stage != "taught")
        academy, lead, course, learners = class_.room.academy, class_.lead, class_.course, class_.room.people
    other, spare = academy.trainer("Otto", Authority.CANDIDATE), academy.trainer("Sam")
    academy.assign(course, other, OnCourse.CO_TRAINER)
    if stage == "open":
        for name in NAMES[:5]:
            done = enrolments.request(office, act(), course=course, given=name, family="Learner")
            learners[name] = UUID(done.ids[0])
    if stage == "sent":
        certificates.issue(office, act(), course=course)
        class_.draft()
        class_.do("exclude_line", line=2, reason="no_family_name")
        class_.send(lead)
    said = {"admin": admin, "lead": lead, "other": other, "spare": spare, "people": list(learners.values())}
    office.close()
    return data, {**said, "course": course, "now": clock()}


@pytest.fixture(scope="module", autouse=True)
def _starts() -> Iterator[None]:
    yield
    for data, _ in STARTS.values():
        shutil.rmtree(data, ignore_errors=True)
    STARTS.clear()


@pytest.mark.parametrize("number", range(24))
def test_what_must_always_hold_does_whatever_is_done_to_a_course(number: int) -> None:
    # Many small runs: in a longer one most examples are variations of a few.
    run_state_machine_as_test(
        seed(number)(WholeLife),
        settings=settings(
            # The first is always the simplest one.
            max_examples=2,
            stateful_step_count=40,
            deadline=None,
            database=None,
            # To shrink a failure takes minutes; the steps are printed without.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
