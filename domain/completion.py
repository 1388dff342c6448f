"""Why somebody has, or has not, completed a course: what the record proposes to the lead trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from domain.basis import Basis

if TYPE_CHECKING:
    from domain.credential import CredentialPolicy

UNMARKED = "unmarked"


@dataclass(frozen=True)
class Clause:
    """One condition of completion: met or not, with what it was judged on in words."""

    name: str
    met: bool
    detail: str


@dataclass(frozen=True)
class HalfDay:
    """One session in one learner's record, in minutes of contact time.

    `missed_minutes` is None while the learner is unmarked, which is neither absent nor present;
    `status` is the mark's, or "unmarked".
    """

    session: int
    planned_minutes: int
    missed_minutes: int | None
    made_up_minutes: int
    status: str


@dataclass(frozen=True)
class Because:
    """What the record proposes for one learner, clause by clause, and the events it rests on."""

    proposed: bool
    clauses: tuple[Clause, ...]
    half_days: tuple[HalfDay, ...]
    rests_on: tuple[Basis, ...]
    policy_version: str
    tolerance_minutes: int

    @property
    def unmet(self) -> tuple[Clause, ...]:
        """The clauses that speak against completion."""
        return tuple(clause for clause in self.clauses if not clause.met)


class Planned(Protocol):
    """What completion needs to know of a session (domain.schedule.Session, or a row of a view)."""

    @property
    def number(self) -> int: ...

    @property
    def contact_minutes(self) -> int: ...


class Attended(Protocol):
    """What completion needs to know of a mark (domain.register.Mark, or a row of a view)."""

    @property
    def status(self) -> str: ...

    @property
    def late_minutes(self) -> int: ...

    @property
    def left_early_minutes(self) -> int: ...


def propose(
    *,
    sessions: Sequence[Planned],
    marks: Mapping[int, Attended | None],
    sealed: Mapping[int, int | None],
    make_ups: Mapping[int, int],
    participation: bool | None,
    tolerance_minutes: int,
    policy: CredentialPolicy,
    rests_on: Iterable[Basis],
    shortfall_accepted: bool = False,
) -> Because:
    """Return what the record says about one learner; the lead trainer decides.

    `sessions` are those that were not cancelled, with their contact minutes as held. By session
    number: `marks` the standing mark (none: unmarked), `sealed` the sealed version of the register
    (none: not sealed), `make_ups` the minutes credited. `participation` is None until attested.
    `shortfall_accepted` says that the institution gave its reason for a course with less contact
    time than the policy asks. Missed minutes are compared with the tolerance half-day by half-day;
    attended minutes are never compared with the course's total.
    """
    half_days = tuple(
        _half_day(session, marks.get(session.number), make_ups.get(session.number, 0)) for session in sessions
    )
    clauses = (
        _registers(sessions, sealed),
        *(_attendance(half_day, tolerance_minutes) for half_day in half_days),
        _participation(participation, required=policy.participation_required),
        _contact_time(sessions, policy.contact_minutes, accepted=shortfall_accepted),
    )
    return Because(
        proposed=all(clause.met for clause in clauses),
        clauses=clauses,
        half_days=half_days,
        rests_on=tuple(rests_on),
        policy_version=policy.version,
        tolerance_minutes=tolerance_minutes,
    )


def _half_day(session: Planned, mark: Attended | None, made_up: int) -> HalfDay:
    planned = session.contact_minutes
    if mark is None:
        return HalfDay(session.number, planned, None, made_up, UNMARKED)
    if mark.status in ("absent", "excused"):
        missed = planned
    else:
        # Minutes are noted on the clock, breaks included: nobody misses more than was taught.
        missed = min(planned, mark.late_minutes + mark.left_early_minutes)
    return HalfDay(session.number, planned, missed, made_up, str(mark.status))


def _registers(sessions: Sequence[Planned], sealed: Mapping[int, int | None]) -> Clause:
    name = "all_registers_sealed"
    if not sessions:
        return Clause(name, False, "The course has no sessions.")
    if unsealed := [s.number for s in sessions if sealed.get(s.number) is None]:
        return Clause(name, False, f"Not sealed: session {_listed(unsealed)}.")
    versions = ", ".join(f"session {s.number} in version {sealed[s.number]}" for s in sessions)
    return Clause(name, True, f"Sealed: {versions}.")


def _attendance(half_day: HalfDay, tolerance: int) -> Clause:
    name = f"half_day_{half_day.session}"
    if half_day.missed_minutes is None:
        return Clause(name, False, "Unmarked: neither present nor absent.")
    left = max(0, half_day.missed_minutes - half_day.made_up_minutes)
    made_up = f", {half_day.made_up_minutes} made up" if half_day.made_up_minutes else ""
    return Clause(
        name,
        left <= tolerance,
        f"Missed {half_day.missed_minutes} of {half_day.planned_minutes} minutes{made_up}; "
        f"up to {tolerance} are tolerated.",
    )


def _participation(attested: bool | None, *, required: bool) -> Clause:
    said = {True: "Attested.", False: "Attested that it was lacking.", None: "Not yet attested."}
    if not required:
        return Clause("participation", True, f"Not required by the credential. {said[attested]}")
    return Clause("participation", attested is True, said[attested])


def _contact_time(sessions: Sequence[Planned], required: int | None, *, accepted: bool) -> Clause:
    name = "contact_minutes_offered"
    offered = sum(session.contact_minutes for session in sessions)
    if required is None:
        return Clause(name, True, f"The course offered {offered} minutes; none are prescribed.")
    detail = f"The course offered {offered} of {required} minutes"
    if offered >= required:
        return Clause(name, True, f"{detail}.")
    if accepted:
        return Clause(name, True, f"{detail}; the institution accepted that, with its reason.")
    return Clause(name, False, f"{detail}, and no reason for that is on record.")


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)
