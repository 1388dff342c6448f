"""Half-day sessions: when they are, how long they are, and what speaks against them."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.credential import CredentialPolicy
from domain.refusal import Invalid

LONGEST = timedelta(hours=12)
FIRST_YEAR, LAST_YEAR = 1990, 2199


class UnknownZone(Invalid):
    """The time zone is not one that the IANA database names."""


class BadTime(Invalid):
    """A time of day was not written as HH:MM."""


class NonexistentTime(Invalid):
    """The clocks skip this local time on that day."""


class AmbiguousTime(Invalid):
    """The clocks show this local time twice on that day."""


class TimeWithoutZone(Invalid):
    """A moment was given without its offset from UTC."""


class DayOutOfRange(Invalid):
    """No course takes place on such a day."""


class NoSessions(Invalid):
    """A schedule has at least one session."""


class SessionLength(Invalid):
    """A session ends before it starts, or is longer than any half-day."""


class ContactExceedsLength(Invalid):
    """More minutes of instruction than the session has."""


class SessionsOverlap(Invalid):
    """Two sessions of a course take place at the same time."""


class Caution(StrEnum):
    """What the credential's policy holds against a schedule, without forbidding it."""

    CONTACT_BELOW_POLICY = "contact_minutes_below_policy"
    SCHEDULED_BELOW_POLICY = "scheduled_minutes_below_policy"
    SPAN_ABOVE_POLICY = "span_above_policy"
    FORMAT_NOT_IN_POLICY = "format_not_in_policy"


NEEDS_REASON = frozenset({Caution.CONTACT_BELOW_POLICY, Caution.SPAN_ABOVE_POLICY, Caution.FORMAT_NOT_IN_POLICY})


class _Block:
    """What a planned and a numbered session can both tell."""

    starts: datetime
    ends: datetime
    zone: str

    @property
    def scheduled_minutes(self) -> int:
        """Minutes from start to end, breaks included."""
        return (self.ends - self.starts) // timedelta(minutes=1)

    @property
    def local_start(self) -> datetime:
        """The start as the clock on the wall of the session shows it."""
        return self.starts.astimezone(zone_named(self.zone))

    @property
    def local_end(self) -> datetime:
        """The end as the clock on the wall of the session shows it."""
        return self.ends.astimezone(zone_named(self.zone))

    @property
    def day(self) -> date:
        """The local date on which the session starts."""
        return self.local_start.date()

    def __str__(self) -> str:
        return f"{self.local_start:%Y-%m-%d %H:%M} to {self.local_end:%H:%M} ({self.zone})"


@dataclass(frozen=True)
class SessionPlan(_Block):
    """A session that is proposed, before the course gives it a number; `starts` and `ends` in UTC.

    `contact_minutes` is the time of instruction: lunch and listed breaks are not in it.
    """

    starts: datetime
    ends: datetime
    zone: str
    contact_minutes: int
    place: str | None = None


@dataclass(frozen=True)
class Session(_Block):
    """A half-day of a course; its number is never used again. `starts` and `ends` in UTC."""

    number: int
    starts: datetime
    ends: datetime
    zone: str
    contact_minutes: int
    place: str | None = None

    @property
    def plan(self) -> SessionPlan:
        """The session without its number."""
        return SessionPlan(self.starts, self.ends, self.zone, self.contact_minutes, self.place)


Block = TypeVar("Block", SessionPlan, Session, SessionPlan | Session)


def numbered(plan: SessionPlan, number: int) -> Session:
    """Give a planned session its number, and its times in UTC."""
    return Session(
        number,
        plan.starts.astimezone(UTC),
        plan.ends.astimezone(UTC),
        plan.zone,
        plan.contact_minutes,
        plan.place,
    )


def zone_named(name: str, *, field: str | None = "zone") -> ZoneInfo:
    """Return the IANA zone of that name, or raise `UnknownZone`."""
    try:
        if name == "localtime":  # It means whatever the machine is set to.
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A folder of the database ("America") is an OSError, a path or a NUL a ValueError.
        raise UnknownZone(f"{name[:60]!a} is not a time zone. Use a name such as Europe/Berlin.", field=field) from None


def from_local(
    *,
    day: date,
    start: str,
    end: str,
    zone: str,
    contact_minutes: int | None = None,
    place: str | None = None,
    fold: int | None = None,
    end_fold: int | None = None,
) -> SessionPlan:
    """Plan a session from what the clock on the wall shows, `start` and `end` as "HH:MM".

    Where the clocks go back, a local time happens twice: `fold` 0 is the first, 1 the second
    (`end_fold` where the end is another than the start). Without `contact_minutes` all of the
    session is instruction. Raises `NonexistentTime`, `AmbiguousTime`, `UnknownZone`, `BadTime`,
    `DayOutOfRange` or `SessionLength`.
    """
    starts = instant(day, _time_of(start, "start"), zone=zone, fold=fold, field="start")
    ends = instant(
        day,
        _time_of(end, "end"),
        zone=zone,
        fold=fold if end_fold is None else end_fold,
        field="end",
    )
    if ends <= starts:
        raise SessionLength(
            f"The session on {day} ends at {end}, which is not after its start at {start}.",
            field="end",
        )
    plan = SessionPlan(starts, ends, zone, 0, place)
    return replace(
        plan,
        contact_minutes=plan.scheduled_minutes if contact_minutes is None else contact_minutes,
    )


def instant(day: date, wall: time, *, zone: str, fold: int | None = None, field: str | None = None) -> datetime:
    """Return the moment, in UTC, at which the clocks of the zone show that day and time."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise DayOutOfRange(f"{day} is not between the years {FIRST_YEAR} and {LAST_YEAR}.", field="day")
    if fold not in (None, 0, 1):
        raise BadTime("The fold is 0 for the first and 1 for the second of two equal times.", field="fold")
    clock = zone_named(zone)
    shown = datetime.combine(day, wall.replace(tzinfo=None, fold=0))
    first, second = shown.replace(tzinfo=clock), shown.replace(tzinfo=clock, fold=1)
    if first.astimezone(UTC).astimezone(clock).replace(tzinfo=None) != shown:
        raise NonexistentTime(
            f"{wall:%H:%M} on {day} doesn't exist in {zone}: the clocks skip it. Choose another time.",
            field=field,
        )
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    if fold is None:
        raise AmbiguousTime(
            f"{wall:%H:%M} on {day} happens twice in {zone}, because the clocks go back. Say fold "
            f"0 for the first (UTC{first:%z}) or 1 for the second (UTC{second:%z}).",
            field=field,
        )
    return (second if fold else first).astimezone(UTC)


def _time_of(text: str, field: str) -> time:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise BadTime(f"{text[:20]!a} is not a time of day. Write it as 09:00.", field=field)
    return time.fromisoformat(text)


def moved(
    sessions: Iterable[SessionPlan | Session], *, first_day: date, fold: int | None = None
) -> tuple[SessionPlan, ...]:
    """Move sessions by whole days so that the first is on `first_day`, at the same local times.

    A local time that the new day lacks, or has twice, is refused as in `from_local`.
    """
    sessions = in_order(sessions)
    days = first_day - first_date(sessions) if sessions else timedelta()

    def same_time(then: datetime, zone: str) -> datetime:
        try:
            day = then.date() + days
        except OverflowError:
            raise DayOutOfRange(f"The course can't be moved to {first_day}.", field="first_day") from None
        return instant(day, then.time(), zone=zone, fold=fold, field="first_day")

    return tuple(
        SessionPlan(
            same_time(session.local_start, session.zone),
            same_time(session.local_end, session.zone),
            session.zone,
            session.contact_minutes,
            session.place,
        )
        for session in sessions
    )


def check(sessions: Sequence[SessionPlan | Session]) -> None:
    """Refuse sessions that can't take place: no zone, no length, too much contact, overlaps.

    A refusal points to the members that sessions are asked for by: day, start, end, zone, contact_minutes.
    """
    if not sessions:
        raise NoSessions("A schedule needs at least one session.", field="sessions")
    for index, session in enumerate(sessions):
        _check_one(session, f"sessions/{index}")
    ordered = in_order(sessions)
    for earlier, later in pairwise(ordered):
        if later.starts < earlier.ends:
            raise SessionsOverlap(f"Two sessions overlap: {earlier} and {later}. Move one of them.", field="sessions")


def _check_one(session: SessionPlan | Session, field: str) -> None:
    for name, moment in (("start", session.starts), ("end", session.ends)):
        if moment.utcoffset() is None:
            raise TimeWithoutZone(f"{moment.isoformat()} has no offset from UTC.", field=f"{field}/{name}")
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise DayOutOfRange(
                f"{moment:%Y-%m-%d} is not between the years {FIRST_YEAR} and {LAST_YEAR}.",
                field=f"{field}/{name}",
            )
    zone_named(session.zone, field=f"{field}/zone")
    if session.scheduled_minutes < 1:
        raise SessionLength(f"The session {session} doesn't last a minute.", field=f"{field}/end")
    if session.ends - session.starts > LONGEST:
        raise SessionLength(
            f"The session {session} is longer than 12 hours. A session is a half-day: split it.",
            field=f"{field}/end",
        )
    if not 0 <= session.contact_minutes <= session.scheduled_minutes:
        raise ContactExceedsLength(
            f"The session {session} lasts {session.scheduled_minutes} minutes; "
            f"{session.contact_minutes} contact minutes can't be right.",
            field=f"{field}/contact_minutes",
        )


def warnings(
    sessions: Sequence[SessionPlan | Session],
    policy: CredentialPolicy,
    *,
    format: str | None = None,  # noqa: A002 (the word that everybody uses for it)
) -> tuple[Caution, ...]:
    """Return what the policy holds against the schedule, in the order of `Caution`."""
    contact, scheduled = policy.contact_minutes, policy.scheduled_minutes
    found = {
        Caution.CONTACT_BELOW_POLICY: contact is not None and contact_minutes(sessions) < contact,
        Caution.SCHEDULED_BELOW_POLICY: scheduled is not None and scheduled_minutes(sessions) < scheduled,
        Caution.SPAN_ABOVE_POLICY: policy.max_span_months is not None
        and last_date(sessions) > add_months(first_date(sessions), policy.max_span_months),
        Caution.FORMAT_NOT_IN_POLICY: format is not None and bool(policy.formats) and format not in policy.formats,
    }
    return tuple(caution for caution in Caution if found[caution])


def in_order(sessions: Iterable[Block]) -> tuple[Block, ...]:
    """Return the sessions in the order in which they take place."""
    return tuple(sorted(sessions, key=lambda session: session.starts))


def contact_minutes(sessions: Iterable[SessionPlan | Session]) -> int:
    """Return the minutes of instruction."""
    return sum(session.contact_minutes for session in sessions)


def scheduled_minutes(sessions: Iterable[SessionPlan | Session]) -> int:
    """Return the minutes from each day's first start to its last end, breaks included."""
    days: dict[date, tuple[datetime, datetime]] = {}
    for session in sessions:
        starts, ends = days.get(session.day, (session.starts, session.ends))
        days[session.day] = min(starts, session.starts), max(ends, session.ends)
    return sum((ends - starts) // timedelta(minutes=1) for starts, ends in days.values())


def first_date(sessions: Iterable[SessionPlan | Session]) -> date:
    """Return the local date of the first session."""
    return min(sessions, key=lambda session: session.starts).day


def last_date(sessions: Iterable[SessionPlan | Session]) -> date:
    """Return the local date on which the last session ends."""
    return max(sessions, key=lambda session: session.ends).local_end.date()


def add_months(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def add_business_days(day: date, n: int, holidays: Collection[date] = ()) -> date:
    """Return the n-th day after `day` that is neither Saturday, Sunday nor a holiday."""
    if n < 0:
        raise ValueError("Business days are counted forward.")
    while n:
        day += timedelta(days=1)
        if day.weekday() < 5 and day not in holidays:
            n -= 1
    return day
