"""What a schedule of half-days may be, and what clocks do to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.credential import policy_on
from domain.schedule import (
    AmbiguousTime,
    BadTime,
    Caution,
    ContactExceedsLength,
    DayOutOfRange,
    NonexistentTime,
    NoSessions,
    SessionLength,
    SessionPlan,
    SessionsOverlap,
    TimeWithoutZone,
    UnknownZone,
    add_business_days,
    add_months,
    check,
    contact_minutes,
    first_date,
    from_local,
    last_date,
    moved,
    numbered,
    scheduled_minutes,
    warnings,
    zone_named,
)

BERLIN = "Europe/Berlin"
SPRING = date(2026, 3, 29)
AUTUMN = date(2026, 10, 25)
CSPO = replace(
    policy_on(CATALOGUE, body="SA", code="CSPO", on=date(2026, 6, 1)),
    contact_minutes=840,
    scheduled_minutes=960,
    max_span_months=3,
    formats=("in_person", "live_online"),
)


def half_day(day: date, start: str = "09:00", end: str = "12:30", contact: int | None = None) -> SessionPlan:
    return from_local(day=day, start=start, end=end, zone=BERLIN, contact_minutes=contact)


def two_days(first: date = date(2026, 6, 1)) -> list[SessionPlan]:
    """Two days from 9 to 17, with an hour of lunch: 840 contact and 960 scheduled minutes."""
    days = [first, first + timedelta(days=1)]
    return [half_day(day, *hours) for day in days for hours in (("09:00", "12:30"), ("13:30", "17:00"))]


def test_a_session_is_built_from_what_the_clock_on_the_wall_shows():
    plan = from_local(
        day=date(2026, 6, 1), start="09:00", end="12:30", zone=BERLIN, contact_minutes=195, place="Room 1"
    )
    assert plan == SessionPlan(
        datetime(2026, 6, 1, 7, tzinfo=UTC), datetime(2026, 6, 1, 10, 30, tzinfo=UTC), BERLIN, 195, "Room 1"
    )
    assert plan.scheduled_minutes == 210
    assert plan.day == date(2026, 6, 1)


def test_without_contact_minutes_all_of_the_session_is_instruction():
    assert half_day(date(2026, 6, 1)).contact_minutes == 210


def test_the_date_of_a_session_is_the_one_where_it_takes_place():
    plan = from_local(day=date(2026, 6, 1), start="08:00", end="12:00", zone="Pacific/Auckland")
    assert plan.starts.date() == date(2026, 5, 31)
    assert plan.day == date(2026, 6, 1)


def test_a_time_that_the_clocks_skip_is_refused():
    with pytest.raises(NonexistentTime, match="02:30 on 2026-03-29 doesn't exist in Europe/Berlin") as refused:
        half_day(SPRING, "02:30", "05:00")
    assert refused.value.field == "start"
    with pytest.raises(NonexistentTime) as refused:
        half_day(SPRING, "01:00", "02:00", contact=0)
    assert refused.value.field == "end"


def test_a_day_that_a_zone_skipped_is_refused():
    with pytest.raises(NonexistentTime):
        from_local(day=date(2011, 12, 30), start="09:00", end="12:00", zone="Pacific/Apia")


def test_a_time_that_the_clocks_show_twice_asks_which():
    with pytest.raises(AmbiguousTime, match=r"fold 0 .*UTC\+0200.* or 1 .*UTC\+0100") as refused:
        half_day(AUTUMN, "02:30", "05:00")
    assert refused.value.field == "start"


@pytest.mark.parametrize(("fold", "hour"), [(0, 0), (1, 1)])
def test_the_fold_says_which_of_two_equal_times(fold: int, hour: int):
    plan = from_local(day=AUTUMN, start="02:30", end="05:00", zone=BERLIN, fold=fold)
    assert plan.starts == datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
    assert plan.ends == datetime(2026, 10, 25, 4, tzinfo=UTC)


def test_start_and_end_can_be_the_first_and_the_second_of_the_same_hour():
    plan = from_local(day=AUTUMN, start="02:50", end="02:10", zone=BERLIN, fold=0, end_fold=1)
    assert plan.scheduled_minutes == 20


def test_a_fold_changes_nothing_where_a_time_comes_once():
    assert from_local(day=SPRING, start="09:00", end="12:30", zone=BERLIN, fold=1) == half_day(SPRING)


def test_a_fold_is_0_or_1():
    with pytest.raises(BadTime):
        from_local(day=AUTUMN, start="02:30", end="05:00", zone=BERLIN, fold=2)


def test_a_night_in_which_the_clocks_change_has_the_minutes_that_really_pass():
    assert half_day(SPRING, "01:00", "05:00").scheduled_minutes == 180
    assert half_day(AUTUMN, "01:00", "05:00").scheduled_minutes == 300


@pytest.mark.parametrize("text", ["", "9:00", "24:00", "09:60", "09:00:00", "nine", "٠٩:٠٠", "09:00\n", "\ud800"])
def test_a_time_of_day_is_written_as_hours_and_minutes(text: str):
    with pytest.raises(BadTime):
        half_day(date(2026, 6, 1), text, "12:30")


def test_a_session_ends_after_it_starts():
    with pytest.raises(SessionLength, match="ends at 09:00"):
        half_day(date(2026, 6, 1), "09:00", "09:00")


@pytest.mark.parametrize("day", [date.min, date.max, date(1989, 12, 31), date(2200, 1, 1)])
def test_a_day_outside_of_any_memory_or_plan_is_refused(day: date):
    with pytest.raises(DayOutOfRange):
        half_day(day)


@pytest.mark.parametrize(
    "zone",
    ["", "Berlin", "America", "../../etc/passwd", "/etc/passwd", "localtime", "a" * 5000, "Europe/Ber\0lin", "\ud800"],
)
def test_a_zone_has_a_name_of_the_iana_database(zone: str):
    with pytest.raises(UnknownZone):
        zone_named(zone)


def test_a_sound_schedule_is_let_through():
    check(two_days())


def test_one_session_may_start_when_another_ends():
    day = date(2026, 6, 1)
    check([half_day(day, "13:00", "16:00"), half_day(day, "09:00", "13:00")])


def test_sessions_that_overlap_are_refused_whatever_their_order():
    day = date(2026, 6, 1)
    with pytest.raises(SessionsOverlap, match=r"09:00 to 12:30 .* and 2026-06-01 12:29 to 15:00"):
        check([half_day(day, "12:29", "15:00"), half_day(day)])


def test_sessions_of_two_zones_are_compared_as_moments():
    london = from_local(day=date(2026, 6, 1), start="11:00", end="12:00", zone="Europe/London")
    with pytest.raises(SessionsOverlap):
        check([half_day(date(2026, 6, 1)), london])


def test_a_schedule_has_a_session():
    with pytest.raises(NoSessions):
        check([])


PLAN = half_day(date(2026, 6, 1))


@pytest.mark.parametrize(
    ("wrong", "kind", "field"),
    [
        (replace(PLAN, ends=PLAN.starts), SessionLength, "sessions/1/end"),
        (replace(PLAN, ends=PLAN.starts + timedelta(seconds=59)), SessionLength, "sessions/1/end"),
        (replace(PLAN, ends=PLAN.starts + timedelta(hours=12, seconds=1)), SessionLength, "sessions/1/end"),
        (replace(PLAN, contact_minutes=211), ContactExceedsLength, "sessions/1/contact_minutes"),
        (replace(PLAN, contact_minutes=-1), ContactExceedsLength, "sessions/1/contact_minutes"),
        (replace(PLAN, zone="Mars/Olympus"), UnknownZone, "sessions/1/zone"),
        (replace(PLAN, starts=PLAN.starts.replace(tzinfo=None)), TimeWithoutZone, "sessions/1/start"),
        (replace(PLAN, ends=PLAN.ends.replace(year=2200)), DayOutOfRange, "sessions/1/end"),
    ],
)
def test_a_session_that_makes_no_sense_is_refused_at_its_place(wrong: SessionPlan, kind: type, field: str):
    with pytest.raises(kind) as refused:
        check([half_day(date(2026, 6, 2)), wrong])
    assert type(refused.value) is kind
    assert refused.value.field == field


def test_a_session_of_twelve_hours_and_one_without_instruction_are_allowed():
    check([replace(PLAN, ends=PLAN.starts + timedelta(hours=12)), half_day(date(2026, 6, 2), contact=0)])


def test_the_scheduled_minutes_of_a_day_run_from_its_first_start_to_its_last_end():
    assert scheduled_minutes(two_days()) == 960
    assert contact_minutes(two_days()) == 840


def test_nothing_is_held_against_a_schedule_that_the_policy_asks_for():
    assert warnings(two_days(), CSPO, format="in_person") == ()


def test_too_little_contact_and_too_short_days_are_told():
    short = [*two_days()[:3], half_day(date(2026, 6, 2), "13:30", "16:59")]
    assert warnings(short, CSPO) == (Caution.CONTACT_BELOW_POLICY, Caution.SCHEDULED_BELOW_POLICY)


def test_a_course_may_end_on_the_same_day_three_months_later_and_no_later():
    start, *rest = two_days()
    assert warnings([start, *moved(rest, first_day=date(2026, 8, 31))], CSPO) == (Caution.SCHEDULED_BELOW_POLICY,)
    assert Caution.SPAN_ABOVE_POLICY in warnings([start, *moved(rest, first_day=date(2026, 9, 1))], CSPO)


def test_a_format_that_the_policy_lacks_is_told():
    assert warnings(two_days(), CSPO, format="live_online_self_paced") == (Caution.FORMAT_NOT_IN_POLICY,)


def test_a_policy_that_prescribes_nothing_holds_nothing_against_a_schedule():
    silent = replace(CSPO, contact_minutes=None, scheduled_minutes=None, max_span_months=None, formats=())
    assert warnings([PLAN, half_day(date(2028, 1, 1))], silent, format="in_person") == ()


def test_sessions_move_across_a_change_of_clocks_at_the_same_local_times():
    winter = two_days(date(2026, 3, 23))
    summer = moved(winter, first_day=date(2026, 3, 30))
    assert [str(plan) for plan in summer] == [
        "2026-03-30 09:00 to 12:30 (Europe/Berlin)",
        "2026-03-30 13:30 to 17:00 (Europe/Berlin)",
        "2026-03-31 09:00 to 12:30 (Europe/Berlin)",
        "2026-03-31 13:30 to 17:00 (Europe/Berlin)",
    ]
    assert winter[0].starts.hour == 8
    assert summer[0].starts.hour == 7


def test_sessions_move_into_a_gap_only_at_another_time():
    early = [half_day(date(2026, 3, 1), "02:30", "05:00")]
    with pytest.raises(NonexistentTime):
        moved(early, first_day=SPRING)


def test_sessions_move_to_a_time_that_comes_twice_only_with_a_fold():
    early = [half_day(date(2026, 3, 1), "02:30", "05:00")]
    with pytest.raises(AmbiguousTime):
        moved(early, first_day=AUTUMN)
    assert moved(early, first_day=AUTUMN, fold=1)[0].starts == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_session_over_midnight_keeps_its_length_in_days():
    plan = SessionPlan(PLAN.starts.replace(hour=20), PLAN.starts.replace(hour=23), BERLIN, 180)
    [later] = moved([plan], first_day=date(2026, 7, 1))
    assert (later.local_start.date(), later.local_end.date()) == (date(2026, 7, 1), date(2026, 7, 2))
    assert last_date([later]) == date(2026, 7, 2)


def test_sessions_cannot_move_out_of_the_calendar():
    with pytest.raises(DayOutOfRange):
        moved(two_days(), first_day=date.max)
    with pytest.raises(DayOutOfRange):
        moved(two_days(), first_day=date.min)


def test_no_sessions_move_to_no_sessions():
    assert moved([], first_day=SPRING) == ()


def test_a_number_is_all_that_a_plan_lacks():
    session = numbered(replace(PLAN, starts=PLAN.starts.astimezone(ZoneInfo(BERLIN))), 7)
    assert (session.number, session.plan) == (7, PLAN)
    assert session.starts.tzinfo is UTC


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2026, 12, 15), 12, date(2027, 12, 15)),
    ],
)
def test_months_are_added_by_the_calendar(day: date, months: int, expected: date):
    assert add_months(day, months) == expected


@pytest.mark.parametrize(
    ("day", "n", "expected"),
    [
        (date(2026, 6, 2), 2, date(2026, 6, 4)),  # From Tuesday to Thursday.
        (date(2026, 6, 5), 2, date(2026, 6, 9)),  # From Friday over the weekend.
        (date(2026, 6, 6), 2, date(2026, 6, 9)),  # From Saturday.
        (date(2026, 6, 6), 0, date(2026, 6, 6)),
        (date(2026, 12, 23), 2, date(2026, 12, 28)),  # Over Christmas Day, a holiday.
    ],
)
def test_business_days_leave_out_weekends_and_holidays(day: date, n: int, expected: date):
    assert add_business_days(day, n, {date(2026, 12, 25)}) == expected


def test_business_days_are_not_counted_backward():
    with pytest.raises(ValueError, match="forward"):
        add_business_days(date(2026, 6, 6), -1)


ZONES = st.sampled_from(
    [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC", "Africa/Casablanca"]
)
HOURS = st.integers(0, 23)
DAYS = st.dates(date(1991, 1, 1), date(2198, 1, 1))


@given(zone=ZONES, first=DAYS, other=DAYS, hours=st.tuples(HOURS, HOURS), fold=st.sampled_from([0, 1]))
def test_there_and_back_again_is_the_same_wall_time(
    zone: str, first: date, other: date, hours: tuple[int, int], fold: int
):
    start, end = sorted(hours)
    try:
        plan = from_local(day=first, start=f"{start:02}:15", end=f"{end:02}:45", zone=zone, fold=fold)
        there = moved([plan], first_day=other, fold=fold)
        back = moved(there, first_day=first, fold=fold)
    except NonexistentTime:
        reject()
    assert back == (plan,)
    assert first_date(there) == other
    assert there[0].local_start.time() == plan.local_start.time()
    assert there[0].local_end.time() == plan.local_end.time()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8)), min_size=1, max_size=6))
def test_a_schedule_is_let_through_exactly_if_no_two_sessions_share_a_moment(hours: list[tuple[int, int]]):
    base = datetime(2026, 6, 1, tzinfo=UTC)
    plans = [
        SessionPlan(base + timedelta(hours=start), base + timedelta(hours=start + length), "UTC", 0)
        for start, length in hours
    ]
    shared = any(
        one.starts < other.ends and other.starts < one.ends
        for index, one in enumerate(plans)
        for other in plans[index + 1 :]
    )
    if shared:
        with pytest.raises(SessionsOverlap):
            check(plans)
    else:
        check(plans)
        ordered = sorted(plans, key=lambda plan: plan.starts)
        assert all(one.ends <= other.starts for one, other in pairwise(ordered))
