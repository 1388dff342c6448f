"""The attendance register of one session: what was marked, which mark stands, and what was sealed.

Marks come from phones that were offline, sent again, in any order. Which mark stands for somebody
depends only on the set of their marks (`standing`), by these rules in this order:

1. A trainer's or the registrar's mark beats the learner's own: while there is one, the learner's
   own marks stay recorded and count for nothing, not even as corrections.
2. Each author has one word, their latest. A mark gives way to one of the same author that corrects
   it, and on one device to the next higher `seq`, whatever the clocks say. Between what is then
   left of one author (several devices, or none), the latest `marked_at` counts, then the greatest
   mark id; a mark counts as at least as late as those it replaced.
3. A word is answered where another author's mark corrects it, or follows it on the same device:
   the other has seen it. This holds when the corrected mark arrives after its correction. Words
   that nobody has answered stand side by side; those that answer each other in a circle too.
4. Of words side by side, the earliest `marked_at` stands, then the smallest mark id. Where they
   differ in status, they are in conflict; minutes alone are no conflict.
5. The lead resolves a conflict by choosing one of its words. Whatever was known then gives way to
   the chosen one; a mark that arrives later and has not seen it can open the conflict again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from uuid import UUID, uuid5

from domain.aggregate import Aggregate, AggregateCreated
from domain.basis import Aspect, Basis
from domain.private import Private
from domain.refusal import Forbidden, Invalid, Refused

REGISTERS = UUID("6d2f4b0e-9c1a-4f7e-8a53-1b7c0e5d9f24")

BATCH_LIMIT = 200
"""Marks in one batch."""

MINUTE = timedelta(minutes=1)

EARLIEST = timedelta(minutes=30)
"""How long before its start a session can be marked."""

SKEW_TOLERATED = timedelta(minutes=5)
"""How far a device's clock may be off before its marks are flagged."""


class BatchTooLarge(Invalid):
    """A batch holds more marks than are taken at once."""


class NotAuthorisedThen(Forbidden):
    """The person had no authority over this register at the time of the act."""


class NotTheLead(Forbidden):
    """The act belongs to the trainer who led on that date."""


class MarkRefused(Invalid):
    """A mark among those that are made together can't be taken, so none was."""


class AlreadySealed(Refused):
    """The register is sealed; what is to be different is an amendment."""


class NotSealed(Refused):
    """The register is not sealed yet."""


class SessionNotOver(Refused):
    """The register would be closed while somebody may still leave early."""


class Unmarked(Refused):
    """Enrolled learners have no mark; `people` are their ids."""

    def __init__(self, people: Iterable[UUID]) -> None:
        self.people = tuple(people)
        super().__init__(
            f"{_count(len(self.people), 'enrolled learner has', 'enrolled learners have')} no mark. "
            f"Mark everybody, absent ones too, then seal: {_listed(self.people)}."
        )


class OpenConflict(Refused):
    """Authors disagree on somebody's status; `people` are the learners' ids."""

    def __init__(self, people: Iterable[UUID]) -> None:
        self.people = tuple(people)
        super().__init__(
            f"Marks disagree for {_count(len(self.people), 'learner', 'learners')}. "
            f"Choose the right mark for each, then seal: {_listed(self.people)}."
        )


class NoConflict(Refused):
    """Nobody disagrees on this learner's status."""


class NotInConflict(Invalid):
    """The chosen mark is not one of those that disagree."""


class NoSuchVersion(Invalid):
    """The register was never sealed in that version."""


class AlreadyCountersigned(Refused):
    """This version has its second signature."""


class OwnCountersignature(Forbidden):
    """Whoever made a version can't be its second pair of eyes."""


class MarkIdReused(Refused):
    """A mark of this id is known, and says something else."""


class NoSuchAmendment(Invalid):
    """No amendment of that number was ever requested."""


class AmendmentDecided(Refused):
    """The amendment was approved or rejected before."""


class OwnAmendment(Forbidden):
    """Whoever requests an amendment doesn't approve it, unless the institution works solo."""


class LeadMustAttest(Forbidden):
    """An amendment makes somebody present without the word of the lead who sealed the register."""


class NotSetAside(Refused):
    """The mark is not waiting for the registrar."""


class Status(StrEnum):
    """How somebody attended a half-day. Late and left early can both hold: then both minutes say so."""

    PRESENT = "present"
    LATE = "late"
    LEFT_EARLY = "left_early"
    ABSENT = "absent"
    EXCUSED = "excused"

    @property
    def attended(self) -> bool:
        return self in (Status.PRESENT, Status.LATE, Status.LEFT_EARLY)


class Marker(StrEnum):
    """As what somebody marks. A candidate is a co-trainer on the way to leading: marks, never seals."""

    LEAD = "lead"
    CO_TRAINER = "co_trainer"
    CANDIDATE = "candidate"
    REGISTRAR = "registrar"
    LEARNER = "learner"


Authority = Callable[[datetime], Marker | None]
"""As what the sender could mark at a time, or None where they could not."""


@dataclass(frozen=True, kw_only=True)
class MarkRequest:
    """What a device says of one learner: the content of a mark, in UTC by the device's clock.

    `mark` is the client's random id. `seq` counts the marks of one device and means nothing
    without `device`. `corrects` names the mark that the author has seen and replaces.
    """

    mark: UUID
    person: UUID
    status: Status
    late_minutes: int = 0
    left_early_minutes: int = 0
    signed_in: datetime | None = None
    signed_out: datetime | None = None
    evidence: str | None = None
    marked_at: datetime
    device: UUID | None = None
    seq: int | None = None
    corrects: UUID | None = None


_CONTENT = tuple(field.name for field in fields(MarkRequest))
_content = attrgetter(*_CONTENT)


@dataclass(frozen=True, kw_only=True)
class Mark(MarkRequest):
    """A mark as recorded: its content, whose it is, as what they marked, and if their clock was off."""

    author: UUID
    authority: Marker
    skewed: bool

    def repeats(self, request: MarkRequest, author: UUID) -> bool:
        """Tell whether a request is this mark once more."""
        return self.author == author and _content(self) == _content(request)


@dataclass(frozen=True)
class Resolution:
    """The lead's choice in a conflict, and the marks that were known to it."""

    chosen: UUID
    known: frozenset[UUID]


@dataclass(frozen=True)
class Standing:
    """What somebody's marks come to: the words that stand side by side, the one that counts first."""

    words: tuple[Mark, ...]

    @property
    def mark(self) -> Mark | None:
        """The mark that stands, or None: unmarked."""
        return self.words[0] if self.words else None

    @property
    def conflict(self) -> bool:
        """Whether authors disagree on the status, blind to each other."""
        return len({word.status for word in self.words}) > 1


class Outcome(StrEnum):
    """What became of a mark that was sent. All but a rejected one are on record."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    AMENDMENT_REQUESTED = "amendment_requested"
    TASK = "task"


@dataclass(frozen=True)
class MarkResult:
    """The answer to one mark of a batch; `code` and `message` say why it was rejected."""

    mark: UUID
    outcome: Outcome
    code: str | None = None
    message: str | None = None


def standing(marks: Iterable[Mark], resolution: Resolution | None = None) -> Standing:
    """Return which of one person's marks stands, by the rules at the top of this file.

    The order of `marks` means nothing.
    """
    heard = tuple(marks)
    if len(heard) < 2:
        return Standing(heard)
    counted = [mark for mark in heard if mark.authority is not Marker.LEARNER] or list(heard)
    by_author: dict[UUID, list[Mark]] = {}
    for mark in counted:
        by_author.setdefault(mark.author, []).append(mark)
    words = _unanswered({author: _word(said) for author, said in by_author.items()}, counted)
    if resolution is not None:
        new = [word for word in words if word.mark == resolution.chosen or word.mark not in resolution.known]
        # Where all that is left was known to the lead and not chosen, the choice still holds.
        words = new or [mark for mark in counted if mark.mark == resolution.chosen] or words
    return Standing(tuple(sorted(words, key=_earliest)))


_earliest = attrgetter("marked_at", "mark")
_on_device = attrgetter("seq", "marked_at", "mark")


def _sequenced(mark: Mark) -> bool:
    return mark.device is not None and mark.seq is not None


def _word(said: Sequence[Mark]) -> Mark:
    """Return the latest of one author's marks of one person."""
    if len(said) == 1:
        return said[0]
    ids = {mark.mark: mark for mark in said}
    replaces: dict[UUID, list[Mark]] = {}
    for mark in said:
        if mark.corrects in ids:
            replaces.setdefault(mark.mark, []).append(ids[mark.corrects])
    by_device: dict[UUID | None, list[Mark]] = {}
    for mark in filter(_sequenced, said):
        by_device.setdefault(mark.device, []).append(mark)
    for made in by_device.values():
        made.sort(key=_on_device)
        for before, after in pairwise(made):
            replaces.setdefault(after.mark, []).append(before)
    replaced = {mark.mark for marks in replaces.values() for mark in marks}
    # Only forged ids can go in a circle; then all are left, and the latest counts.
    left = [mark for mark in said if mark.mark not in replaced] or said

    def latest(mark: Mark) -> tuple[datetime, datetime, UUID]:
        reach, seen = [mark], {mark.mark}
        for each in reach:
            new = [before for before in replaces.get(each.mark, ()) if before.mark not in seen]
            seen.update(before.mark for before in new)
            reach.extend(new)
        return max(each.marked_at for each in reach), mark.marked_at, mark.mark

    return max(left, key=latest)


def _unanswered(words: Mapping[UUID, Mark], marks: Sequence[Mark]) -> list[Mark]:
    """Return the words of those authors whom nobody has answered, except in a circle."""
    answers: dict[UUID, set[UUID]] = {author: set() for author in words}
    if len(words) == 1:
        return list(words.values())
    for author, word in words.items():
        for mark in marks:
            if mark.author != author and (
                mark.corrects == word.mark
                or (
                    mark.device == word.device
                    and _sequenced(mark)
                    and _sequenced(word)
                    and _on_device(mark) > _on_device(word)
                )
            ):
                answers[author].add(mark.author)

    def reach(author: UUID) -> set[UUID]:
        found, new = {author}, [author]
        for each in new:
            new.extend(answers[each] - found)
            found |= answers[each]
        return found

    reached = {author: reach(author) for author in words}
    return [word for author, word in words.items() if all(author in reached[other] for other in reached[author])]


REFUSALS = {
    "mark_id_reused": "A mark of this id is on record and says something else. Give each mark an id of its own.",
    "corrects_itself": "A mark can't correct itself. Name the mark that it replaces.",
    "minutes_out_of_range": "Minutes are missed within the session: none below 0, together at most its length.",
    "late_needs_minutes": "Say how many minutes late: at least 1.",
    "left_early_needs_minutes": "Say how many minutes early: at least 1.",
    "minutes_need_status": "Only who came late or left early has minutes. Choose that status, or leave them 0.",
    "signed_out_before_in": "The sign-out is before the sign-in. Check both times.",
    "too_early": "The mark was made more than 30 minutes before the session. Check the session and the clock.",
    "in_future": "The mark was made after it was sent. Check the device's clock.",
    "not_authorised_then": "You had no authority over this register when the mark was made.",
    "not_enrolled": "This person is not enrolled on the course. Enrol them or admit a walk-in, then send it again.",
}
"""Why a mark is rejected: a code for the device, and what is wrong and what to do, for its user."""


@dataclass(frozen=True)
class _Arrival:
    """How marks came in: from whom and when, and what held for their session."""

    starts: datetime
    ends: datetime
    sent_at: datetime
    received_at: datetime
    authority: Authority
    enrolled: Collection[UUID]
    withdrawn: Collection[UUID]
    by: UUID

    @property
    def skew(self) -> timedelta:
        return self.received_at - self.sent_at

    @property
    def skewed(self) -> bool:
        return abs(self.skew) > SKEW_TOLERATED

    def recorded(self, request: MarkRequest) -> Mark:
        """Return a request without fault as the mark it becomes."""
        authority = self.authority(request.marked_at)
        if authority is None:
            raise NotAuthorisedThen(REFUSALS["not_authorised_then"])
        return Mark(**vars(request), author=self.by, authority=authority, skewed=self.skewed)

    def fault(self, request: MarkRequest) -> str | None:
        """Return the code of the first thing that is wrong with a new mark, or None."""
        return (
            self._contradiction(request)
            or self._mistiming(request)
            or self._presumption(request)
            or (None if request.person in self.enrolled or request.person in self.withdrawn else "not_enrolled")
        )

    def _contradiction(self, request: MarkRequest) -> str | None:
        late, early = request.late_minutes, request.left_early_minutes
        if request.corrects == request.mark:
            return "corrects_itself"
        if late < 0 or early < 0 or late + early > (self.ends - self.starts) // MINUTE:
            return "minutes_out_of_range"
        if request.status is Status.LATE and not late:
            return "late_needs_minutes"
        if request.status is Status.LEFT_EARLY and not early:
            return "left_early_needs_minutes"
        if request.status not in (Status.LATE, Status.LEFT_EARLY) and (late or early):
            return "minutes_need_status"
        if request.signed_in and request.signed_out and request.signed_out < request.signed_in:
            return "signed_out_before_in"
        return None

    def _mistiming(self, request: MarkRequest) -> str | None:
        # A clock that was off is judged by what it showed or by what it should have shown, whichever
        # is kinder. Differences are compared, for a device may say any year.
        before_start = self.starts - request.marked_at
        meant_before_start = before_start - self.skew if self.skewed else before_start
        if min(before_start, meant_before_start) > EARLIEST:
            return "too_early"
        if request.marked_at - max(self.sent_at, self.received_at) > SKEW_TOLERATED:
            return "in_future"
        return None

    def _presumption(self, request: MarkRequest) -> str | None:
        authority = self.authority(request.marked_at)
        if authority is None or (authority is Marker.LEARNER and request.person != self.by):
            return "not_authorised_then"
        return None


@dataclass(frozen=True, kw_only=True)
class _OfMark(MarkRequest):
    """What an event about one mark holds; its author is `by`."""

    authority: Marker
    skewed: bool

    def as_mark(self, author: UUID) -> Mark:
        return Mark(author=author, **{name: getattr(self, name) for name in _RECORDED})


_RECORDED = tuple(field.name for field in fields(_OfMark))


class AttendanceRegister(Aggregate):
    """The marks of one half-day: taken from anywhere, sealed by the lead, then only amended.

    An unmarked learner is neither absent nor present.
    """

    TOPIC = "register"

    @staticmethod
    @lru_cache(maxsize=4_096)  # asked again and again for those who are just being marked
    def create_id(course: UUID, session: int) -> UUID:
        return uuid5(REGISTERS, f"{course}/{session}")

    def __init__(self) -> None:
        self._known: dict[UUID, Mark] = {}
        self._live: dict[UUID, list[Mark]] = {}
        self._resolutions: dict[UUID, Resolution] = {}
        self._aside: set[UUID] = set()
        self._sealed: list[dict[UUID, UUID]] = []
        self._makers: list[UUID] = []
        self._countersigned: set[int] = set()
        self._set_by: dict[UUID, int] = {}
        self._requests: list[tuple[UUID, UUID]] = []
        self._pending: set[int] = set()
        self._lead: UUID | None = None

    @classmethod
    def open(
        cls,
        *,
        course: UUID,
        session: int,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> AttendanceRegister:
        """Open the register of a session, which its first use does."""
        return cls._create(cls.Opened, course=course, session=session, by=by, at=at, on_behalf_of=on_behalf_of)

    @property
    def sealed_version(self) -> int:
        """The latest sealed version, from 1; 0 before the seal."""
        return len(self._sealed)

    @property
    def conflicts(self) -> tuple[UUID, ...]:
        """The people whose marks disagree on a status."""
        return tuple(person for person in self._live if self.standing_of(person).conflict)

    @property
    def pending_amendments(self) -> tuple[int, ...]:
        """The numbers of the amendments that wait for a decision."""
        return tuple(sorted(self._pending))

    def person_of_amendment(self, number: int) -> UUID:
        """Return whose mark an amendment is about, decided or not.

        :raises NoSuchAmendment: there is none of that number.
        """
        mark, _ = self._requested(number)
        return self._known[mark].person

    @property
    def set_aside(self) -> tuple[Mark, ...]:
        """The marks that wait for the registrar."""
        return tuple(self._known[mark] for mark in sorted(self._aside))

    def knows(self, mark: UUID) -> bool:
        """Tell whether a mark of this id is on record, whatever became of it."""
        return mark in self._known

    def standing_of(self, person: UUID) -> Standing:
        """Return what the live marks say of somebody; amendments are not among them."""
        return standing(self._live.get(person, ()), self._resolutions.get(person))

    def mark_of(self, person: UUID) -> Mark | None:
        """Return the mark that holds for somebody now, as sealed and amended, or None."""
        if not self._sealed:
            return self.standing_of(person).mark
        mark = self._sealed[-1].get(person)
        return None if mark is None else self._known[mark]

    def standing_at(self, sealed_version: int) -> Mapping[UUID, Mark]:
        """Return the marks by person, as they were sealed in a version.

        :raises NoSuchVersion: unless 1 <= sealed_version <= self.sealed_version.
        """
        self._must_have(sealed_version)
        sealed = self._sealed[sealed_version - 1]
        return {person: self._known[mark] for person, mark in sealed.items()}

    def basis_of(self, person: UUID) -> Basis | None:
        """Return the seal or the amendment that last set somebody's sealed mark, or None."""
        version = self._set_by.get(person)
        return None if version is None else Basis(self.id, version, Aspect.REGISTER)

    def unmarked(self, enrolled: Iterable[UUID]) -> tuple[UUID, ...]:
        """Return those of the enrolled who have no mark."""
        return tuple(sorted(person for person in set(enrolled) if person not in self._live))

    def mark(
        self,
        *,
        batch: Sequence[MarkRequest],
        sent_at: datetime,
        starts: datetime,
        ends: datetime,
        authority: Authority,
        enrolled: Collection[UUID],
        withdrawn: Collection[UUID] = (),
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> list[MarkResult]:
        """Take a batch of marks, and say of each what became of it.

        `sent_at` is the device's clock when it sent them and `at` ours when they came, `starts` and
        `ends` the session's. `authority` is asked for each mark at its `marked_at`. Of each mark is
        asked in this order: is it known; can it be right; was it made in time; with authority; of
        somebody enrolled. A mark is recorded once or rejected for good reason, never lost: after
        the seal it becomes an amendment request, for a withdrawn learner a task.

        :raises BatchTooLarge: over 200 marks.
        """
        if len(batch) > BATCH_LIMIT:
            raise BatchTooLarge(
                f"A batch holds at most {BATCH_LIMIT} marks, this one has {len(batch)}. Send them in several batches.",
                field="marks",
            )
        arrival = _Arrival(starts, ends, sent_at, at, authority, enrolled, withdrawn, by)
        return [self._take(request, arrival, on_behalf_of) for request in batch]

    def mark_all_present(
        self,
        *,
        people: Collection[UUID],
        except_: Sequence[MarkRequest] = (),
        starts: datetime,
        ends: datetime,
        authority: Authority,
        withdrawn: Collection[UUID] = (),
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> list[MarkResult]:
        """Mark all enrolled `people` present who have no mark yet, except some, who get theirs.

        All or nothing; saying it again changes nothing.

        :raises AlreadySealed: after the seal.
        :raises MarkRefused: when an exception can't be taken.
        """
        self._must_be_open()
        excepted = {request.person for request in except_}
        present = [
            MarkRequest(
                mark=uuid5(self.id, f"all-present/{person}"),
                person=person,
                status=Status.PRESENT,
                marked_at=at,
            )
            for person in self.unmarked(people)
            if person not in excepted
        ]
        if len(except_) > BATCH_LIMIT:
            raise BatchTooLarge(f"Name at most {BATCH_LIMIT} exceptions.", field="except")
        arrival = _Arrival(starts, ends, at, at, authority, people, withdrawn, by)
        heard: dict[UUID, MarkRequest] = {}
        for number, request in enumerate((*except_, *present)):
            field = f"except/{number}" if number < len(except_) else None
            if heard.setdefault(request.mark, request) != request:
                raise MarkRefused(REFUSALS["mark_id_reused"], field=field)
            if (code := self._refusal(request, arrival)) == "not_authorised_then":
                raise NotAuthorisedThen(REFUSALS[code])
            if code is not None:
                raise MarkRefused(REFUSALS[code], field=field)
        return [self._take(request, arrival, on_behalf_of) for request in (*except_, *present)]

    def resolve_conflict(
        self,
        *,
        person: UUID,
        mark: UUID,
        lead_on_date: UUID,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Choose one of the marks that disagree on somebody's status, as the lead.

        :raises NotTheLead, NoConflict, NotInConflict: as their names say.
        """
        self._must_be_open()
        self._must_be_lead(by, lead_on_date, "decides which mark stands")
        now = self.standing_of(person)
        if not now.conflict:
            raise NoConflict("The marks of this learner don't disagree: there is nothing to choose.")
        if mark not in {word.mark for word in now.words}:
            raise NotInConflict(
                f"Choose one of the marks that disagree: {_listed(w.mark for w in now.words)}.",
                field="mark",
            )
        self.trigger_event(
            self.ConflictResolved,
            person=person,
            mark=mark,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def admit_set_aside(
        self,
        *,
        mark: UUID,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Let a mark that was set aside count after all; the registrar may, until the seal.

        :raises NotSetAside, AlreadySealed: as their names say.
        """
        self._must_be_open()
        waiting = self._waiting(mark)
        then = self._with(waiting)
        self.trigger_event(
            self.MarkAdmitted,
            mark=mark,
            person=waiting.person,
            reason=reason,
            note=note,
            conflict=then.conflict,
            stands=then.words[0].mark,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def dismiss_set_aside(
        self,
        *,
        mark: UUID,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Leave a mark that was set aside out of the register, for a reason; it stays on record.

        :raises NotSetAside: unless the mark waits for the registrar.
        """
        person = self._waiting(mark).person
        self.trigger_event(
            self.MarkDismissed,
            mark=mark,
            person=person,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def seal(
        self,
        *,
        enrolled: Collection[UUID],
        lead_on_date: UUID,
        over_at: datetime,
        attestation: str,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Close the first version of the register, as the lead on that date.

        `over_at` is when the session ended: as it was held, or as planned. `attestation` is the sentence that the lead
        signs.

        :raises NotTheLead, AlreadySealed, SessionNotOver, Unmarked, OpenConflict: as their names say.
        """
        self._must_be_open()
        self._must_be_lead(by, lead_on_date, "seals the register")
        if at < over_at:
            raise SessionNotOver(
                f"The session lasts until {over_at:%Y-%m-%d %H:%M} UTC. Seal its register then; if it ended before, "
                "record first how it was held."
            )
        if missing := self.unmarked(enrolled):
            raise Unmarked(missing)
        if disputed := self.conflicts:
            raise OpenConflict(sorted(disputed))
        marks = (self.standing_of(person).words[0].mark for person in sorted(self._live))
        self.trigger_event(
            self.Sealed,
            sealed_version=1,
            standing=tuple(marks),
            lead=lead_on_date,
            attestation=attestation,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def countersign(self, *, sealed_version: int, by: UUID, at: datetime, on_behalf_of: UUID | None = None) -> None:
        """Sign a sealed version as the second pair of eyes, never solo.

        :raises NoSuchVersion, AlreadyCountersigned, OwnCountersignature: as their names say.
        """
        self._must_have(sealed_version)
        if sealed_version in self._countersigned:
            raise AlreadyCountersigned(f"Version {sealed_version} is countersigned already.")
        if by == self._makers[sealed_version - 1]:
            raise OwnCountersignature(
                "Whoever sealed the register or approved its amendment can't countersign that "
                "version. Ask somebody else."
            )
        self.trigger_event(self.Countersigned, sealed_version=sealed_version, by=by, at=at, on_behalf_of=on_behalf_of)

    def request_amendment(
        self,
        *,
        mark: MarkRequest,
        starts: datetime,
        ends: datetime,
        authority: Authority,
        enrolled: Collection[UUID],
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> int:
        """Ask for another mark in the sealed register, and return the amendment's number.

        Whoever is in the sealed register can be amended, enrolled or not. The same request again
        returns the same number.

        :raises NotSealed, MarkIdReused, MarkRefused, NotAuthorisedThen: as their names say.
        """
        if not self._sealed:
            raise NotSealed("The register is not sealed: simply mark the learner again.")
        listed = {*enrolled, *self._sealed[-1]}
        arrival = _Arrival(starts, ends, at, at, authority, listed, (), by)
        for number, (known, _) in enumerate(self._requests, start=1):
            if known == mark.mark and self._known[known].repeats(mark, by):
                return number
        if mark.mark in self._known:
            raise MarkIdReused(REFUSALS["mark_id_reused"], field="mark")
        if (code := self._refusal(mark, arrival)) == "not_authorised_then":
            raise NotAuthorisedThen(REFUSALS[code])
        if code is not None:
            raise MarkRefused(REFUSALS[code], field="mark")
        self._request(arrival.recorded(mark), reason=reason, note=note, late=False, at=at, on_behalf_of=on_behalf_of)
        return len(self._requests)

    def approve_amendment(
        self, *, number: int, solo: bool = False, by: UUID, at: datetime, on_behalf_of: UUID | None = None
    ) -> None:
        """Make a new sealed version in which the requested mark stands.

        `solo` says that the institution lets one person request and approve; the event says so
        where it was used. That somebody becomes present takes the lead who sealed, as one of the
        two.

        :raises NoSuchAmendment, AmendmentDecided, OwnAmendment, LeadMustAttest: as their names say.
        """
        mark, requester = self._undecided(number)
        if by == requester and not solo:
            raise OwnAmendment("Somebody other than the requester approves an amendment. Ask a colleague.")
        before = self.mark_of(mark.person)
        rises = mark.status.attended and not (before is not None and before.status.attended)
        if rises and self._lead not in (by, requester):
            raise LeadMustAttest(
                "This amendment makes a learner present who was not. The lead trainer who sealed "
                "the register has to request or approve it."
            )
        self.trigger_event(
            self.AmendmentApproved,
            number=number,
            person=mark.person,
            mark=mark.mark,
            sealed_version=self.sealed_version + 1,
            solo=by == requester,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def reject_amendment(
        self,
        *,
        number: int,
        reason: str,
        note: Private | None = None,
        by: UUID,
        at: datetime,
        on_behalf_of: UUID | None = None,
    ) -> None:
        """Leave the sealed register as it is; the requester may withdraw a request this way.

        :raises NoSuchAmendment, AmendmentDecided: as their names say.
        """
        mark, _ = self._undecided(number)
        self.trigger_event(
            self.AmendmentRejected,
            number=number,
            person=mark.person,
            reason=reason,
            note=note,
            by=by,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def _take(self, request: MarkRequest, arrival: _Arrival, on_behalf_of: UUID | None) -> MarkResult:
        code = self._refusal(request, arrival)
        if code is not None:
            return MarkResult(request.mark, Outcome.REJECTED, code, REFUSALS[code])
        if request.mark in self._known:
            return MarkResult(request.mark, Outcome.DUPLICATE)
        mark = arrival.recorded(request)
        if mark.person not in arrival.enrolled:
            self._record(self.MarkSetAside, mark, at=mark.marked_at, on_behalf_of=on_behalf_of, reason="no_seat")
            return MarkResult(mark.mark, Outcome.TASK)
        if self._sealed:
            self._request(mark, at=arrival.received_at, on_behalf_of=on_behalf_of, reason="late_mark", late=True)
            return MarkResult(mark.mark, Outcome.AMENDMENT_REQUESTED)
        then = self._with(mark)
        self._record(
            self.Marked,
            mark,
            # A mark happened when it was made; when it reached us is the event's stamp.
            at=mark.marked_at,
            on_behalf_of=on_behalf_of,
            conflict=then.conflict,
            stands=then.words[0].mark,
        )
        if mark not in then.words:
            return MarkResult(mark.mark, Outcome.SUPERSEDED)
        return MarkResult(mark.mark, Outcome.CONFLICT if then.conflict else Outcome.APPLIED)

    def _refusal(self, request: MarkRequest, arrival: _Arrival) -> str | None:
        """Return the code of what speaks against a mark, or None; a known one is taken as it is."""
        if (known := self._known.get(request.mark)) is not None:
            return None if known.repeats(request, arrival.by) else "mark_id_reused"
        return arrival.fault(request)

    def _with(self, mark: Mark) -> Standing:
        heard = self._live.get(mark.person, ())
        return standing((*heard, mark), self._resolutions.get(mark.person))

    def _record(self, event: type[AttendanceRegister.Event], mark: Mark, **said: object) -> None:
        content = {name: getattr(mark, name) for name in _RECORDED}
        self.trigger_event(event, **content, by=mark.author, **said)

    def _request(
        self,
        mark: Mark,
        *,
        reason: str,
        late: bool,
        at: datetime,
        note: Private | None = None,
        on_behalf_of: UUID | None = None,
    ) -> None:
        number = len(self._requests) + 1
        self._record(
            self.AmendmentRequested,
            mark,
            number=number,
            reason=reason,
            note=note,
            late=late,
            at=at,
            on_behalf_of=on_behalf_of,
        )

    def _waiting(self, mark: UUID) -> Mark:
        if mark not in self._aside:
            raise NotSetAside("This mark is not set aside, or the registrar has dealt with it.")
        return self._known[mark]

    def _requested(self, number: int) -> tuple[UUID, UUID]:
        if not 1 <= number <= len(self._requests):
            raise NoSuchAmendment(f"This register has no amendment {number}.", field="number")
        return self._requests[number - 1]

    def _undecided(self, number: int) -> tuple[Mark, UUID]:
        mark, requester = self._requested(number)
        if number not in self._pending:
            raise AmendmentDecided(f"Amendment {number} was decided before. Request a new one.")
        return self._known[mark], requester

    def _must_be_open(self) -> None:
        if self._sealed:
            raise AlreadySealed("The register is sealed. Request an amendment instead.")

    def _must_be_lead(self, by: UUID, lead_on_date: UUID, act: str) -> None:
        if by != lead_on_date:
            raise NotTheLead(f"Only the trainer who led on that date {act}.")

    def _must_have(self, sealed_version: int) -> None:
        if not self._sealed:
            raise NotSealed("The register is not sealed yet.")
        if not 1 <= sealed_version <= len(self._sealed):
            raise NoSuchVersion(
                f"The register is sealed in versions 1 to {len(self._sealed)}.",
                field="sealed_version",
            )

    class Event(Aggregate.Event):
        """Something happened to a register."""

    class Opened(Event, AggregateCreated):
        TOPIC = "register.opened"
        course: UUID
        session: int

    class Marked(_OfMark, Event):
        """A mark was made; `stands` is the one that stands for the person since then, often this one."""

        TOPIC = "register.marked"
        conflict: bool
        stands: UUID

        def apply(self, register: AttendanceRegister) -> None:
            mark = self.as_mark(self.by)
            register._known[mark.mark] = mark
            register._live.setdefault(mark.person, []).append(mark)

    class MarkSetAside(_OfMark, Event):
        """A mark of somebody with an enrolment but no seat now, such as one who withdrew, waits for the registrar."""

        TOPIC = "register.mark_set_aside"
        reason: str

        def apply(self, register: AttendanceRegister) -> None:
            register._known[self.mark] = self.as_mark(self.by)
            register._aside.add(self.mark)

    class MarkAdmitted(Event):
        """A mark that was set aside counts; `stands` is the one that stands for the person since then."""

        TOPIC = "register.mark_admitted"
        mark: UUID
        person: UUID
        reason: str
        note: Private | None
        conflict: bool
        stands: UUID

        def apply(self, register: AttendanceRegister) -> None:
            register._aside.remove(self.mark)
            register._live.setdefault(self.person, []).append(register._known[self.mark])

    class MarkDismissed(Event):
        TOPIC = "register.mark_dismissed"
        mark: UUID
        person: UUID
        reason: str
        note: Private | None

        def apply(self, register: AttendanceRegister) -> None:
            register._aside.remove(self.mark)

    class ConflictResolved(Event):
        """The lead chose the mark that stands."""

        TOPIC = "register.conflict_resolved"
        person: UUID
        mark: UUID
        reason: str
        note: Private | None

        def apply(self, register: AttendanceRegister) -> None:
            known = frozenset(mark.mark for mark in register._live[self.person])
            register._resolutions[self.person] = Resolution(self.mark, known)

    class Sealed(Event):
        """The first version: `standing` are the ids of the marks, one for each person."""

        TOPIC = "register.sealed"
        sealed_version: int
        standing: tuple[UUID, ...]
        lead: UUID
        attestation: str

        def apply(self, register: AttendanceRegister) -> None:
            marks = {register._known[mark].person: mark for mark in self.standing}
            register._sealed.append(marks)
            register._makers.append(self.by)
            register._set_by = dict.fromkeys(marks, self.originator_version)
            register._lead = self.lead

    class Countersigned(Event):
        TOPIC = "register.countersigned"
        sealed_version: int

        def apply(self, register: AttendanceRegister) -> None:
            register._countersigned.add(self.sealed_version)

    class AmendmentRequested(_OfMark, Event):
        """Another mark is to stand in the sealed register; `late` if it is one that came after the seal."""

        TOPIC = "register.amendment_requested"
        number: int
        reason: str
        note: Private | None
        late: bool

        def apply(self, register: AttendanceRegister) -> None:
            register._known[self.mark] = self.as_mark(self.by)
            register._requests.append((self.mark, self.by))
            register._pending.add(self.number)

    class AmendmentApproved(Event):
        """A new sealed version, in which `mark` stands for `person`; `solo` if requested by the same hand."""

        TOPIC = "register.amendment_approved"
        number: int
        person: UUID
        mark: UUID
        sealed_version: int
        solo: bool

        def apply(self, register: AttendanceRegister) -> None:
            register._pending.remove(self.number)
            register._sealed.append({**register._sealed[-1], self.person: self.mark})
            register._makers.append(self.by)
            register._set_by[self.person] = self.originator_version

    class AmendmentRejected(Event):
        TOPIC = "register.amendment_rejected"
        number: int
        person: UUID
        reason: str
        note: Private | None

        def apply(self, register: AttendanceRegister) -> None:
            register._pending.remove(self.number)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _listed(ids: Iterable[UUID]) -> str:
    return ", ".join(str(each) for each in ids)
