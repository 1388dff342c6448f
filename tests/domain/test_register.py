"""The register takes every mark once, in any order, and says which one stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from domain.register import (
    AlreadyCountersigned,
    AlreadySealed,
    AmendmentDecided,
    AttendanceRegister,
    BatchTooLarge,
    LeadMustAttest,
    Mark,
    Marker,
    MarkIdReused,
    MarkRefused,
    MarkRequest,
    NoConflict,
    NoSuchAmendment,
    NoSuchVersion,
    NotAuthorisedThen,
    NotInConflict,
    NotSealed,
    NotSetAside,
    NotTheLead,
    OpenConflict,
    Outcome,
    OwnAmendment,
    OwnCountersignature,
    Resolution,
    SessionNotOver,
    Status,
    Unmarked,
    standing,
)
from tests.scenario import Scenario, given, replay

COURSE = UUID(int=1)
LEAD, CO_TRAINER, REGISTRAR, STRANGER = (UUID(int=10 + n) for n in range(4))
ADA, BOB, CYD, EVA = (UUID(int=20 + n) for n in range(4))
PHONE, TABLET, LAPTOP = (UUID(int=30 + n) for n in range(3))

STARTS = datetime(2026, 5, 4, 7, 0, tzinfo=UTC)
ENDS = STARTS + timedelta(minutes=210)
EVENING = STARTS + timedelta(hours=10)

MARKERS = {
    LEAD: Marker.LEAD,
    CO_TRAINER: Marker.CO_TRAINER,
    REGISTRAR: Marker.REGISTRAR,
    ADA: Marker.LEARNER,
    BOB: Marker.LEARNER,
    CYD: Marker.LEARNER,
}


def minute(number: int) -> datetime:
    return STARTS + timedelta(minutes=number)


def said(number: int, person: UUID = ADA, status: str = "present", after: int = 5, **more) -> MarkRequest:
    """A mark with the id `number`, made `after` minutes into the session."""
    return MarkRequest(
        mark=UUID(int=1000 + number), person=person, status=Status(status), marked_at=minute(after), **more
    )


def as_recorded(request: MarkRequest, author: UUID) -> Mark:
    return Mark(**vars(request), author=author, authority=MARKERS[author], skewed=False)


def opened() -> AttendanceRegister:
    return AttendanceRegister.open(course=COURSE, session=1, by=LEAD, at=STARTS)


def send(register: AttendanceRegister, *batch: MarkRequest, by: UUID = LEAD, **other):
    return register.mark(**sending(*batch, by=by, **other))


def sending(*batch: MarkRequest, by: UUID = LEAD, **other):
    """Everything `mark` is told, for a batch that came without delay in the evening."""
    told = {
        "batch": batch,
        "sent_at": EVENING,
        "starts": STARTS,
        "ends": ENDS,
        "authority": lambda _: MARKERS.get(by),
        "enrolled": {ADA, BOB},
        "withdrawn": {CYD},
        "by": by,
        "at": EVENING,
    }
    return {**told, **other}


def marked(*batch: MarkRequest, by: UUID = LEAD, **other):
    return lambda register: send(register, *batch, by=by, **other)


def sealed(register: AttendanceRegister) -> None:
    register.seal(enrolled={ADA, BOB}, lead_on_date=LEAD, over_at=ENDS, attestation="I was there.", by=LEAD, at=EVENING)


def amending(request: MarkRequest, by: UUID = REGISTRAR, **other):
    told = {
        "mark": request,
        "starts": STARTS,
        "ends": ENDS,
        "authority": lambda _: MARKERS.get(by),
        "enrolled": {ADA, BOB},
        "reason": "sheet_misread",
        "by": by,
        "at": EVENING,
    }
    return {**told, **other}


def amended(request: MarkRequest, by: UUID = REGISTRAR):
    return lambda register: register.request_amendment(**amending(request, by))


BOTH = marked(said(1, ADA), said(2, BOB, "absent"))


def outcomes(scenario: Scenario) -> list[str]:
    assert scenario.refusal is None, scenario.refusal
    return [result.code or str(result.outcome) for result in scenario.answer]


def stands(*marks: Mark, resolution: Resolution | None = None) -> UUID | None:
    """The id of the mark that stands, which must not depend on the order of the marks."""
    forward = standing(marks, resolution)
    assert standing(marks[::-1], resolution) == forward
    assert forward.mark is not None
    return forward.mark.mark


def recorded(number: int, by: UUID = LEAD, **more) -> Mark:
    return as_recorded(said(number, **more), by)


# Which mark stands


def test_nobody_is_absent_or_present_without_a_mark():
    assert standing([]).mark is None
    assert not standing([]).conflict
    assert opened().mark_of(ADA) is None


def test_on_one_device_the_highest_seq_stands_even_if_its_clock_was_set_back():
    first = recorded(1, device=PHONE, seq=1, after=60)
    second = recorded(2, device=PHONE, seq=2, after=5, status="absent")
    assert stands(first, second) == second.mark
    assert not standing([first, second]).conflict


def test_on_a_shared_device_the_highest_seq_stands_whoever_made_it():
    first = recorded(1, device=TABLET, seq=4)
    second = recorded(2, by=CO_TRAINER, device=TABLET, seq=5, status="absent")
    assert stands(first, second) == second.mark
    assert not standing([first, second]).conflict


def test_of_one_author_with_several_devices_the_latest_stands():
    phone = recorded(1, device=PHONE, seq=9, after=5)
    laptop = recorded(2, device=LAPTOP, seq=1, after=6, status="absent")
    paper = recorded(3, after=7, status="excused")
    assert stands(phone, laptop) == laptop.mark
    assert stands(phone, laptop, paper) == paper.mark
    assert not standing([phone, laptop, paper]).conflict


def test_of_one_author_at_one_moment_the_greatest_id_stands():
    assert stands(recorded(1), recorded(2, status="absent")) == recorded(2).mark


def test_a_seq_without_a_device_means_nothing():
    early = recorded(1, seq=7, after=5)
    late = recorded(2, seq=1, after=6, status="absent")
    assert stands(early, late) == late.mark


def test_a_correction_replaces_what_it_has_seen_whatever_the_clocks_say():
    first = recorded(1, after=60)
    correction = recorded(2, by=CO_TRAINER, after=5, status="absent", corrects=first.mark)
    assert stands(first, correction) == correction.mark
    assert not standing([first, correction]).conflict


def test_a_correction_by_the_same_author_counts_as_late_as_what_it_corrects():
    forgotten = recorded(1, after=30, status="excused")
    wrong = recorded(2, after=60)
    right = recorded(3, after=5, device=TABLET, seq=1, status="absent", corrects=wrong.mark)
    later = recorded(4, after=6, device=TABLET, seq=2, status="late", late_minutes=5)
    assert stands(forgotten, wrong, right) == right.mark
    assert stands(forgotten, wrong, right, later) == later.mark


def test_a_corrected_mark_does_not_bring_back_an_older_one():
    oldest = recorded(1, device=PHONE, seq=1, status="absent")
    old = recorded(2, device=PHONE, seq=2)
    correction = recorded(3, by=CO_TRAINER, status="late", late_minutes=10, corrects=old.mark)
    assert stands(oldest, old, correction) == correction.mark
    assert not standing([oldest, old, correction]).conflict


def test_an_authors_newer_mark_is_blind_to_the_correction_of_an_older_one():
    old = recorded(1, device=PHONE, seq=1)
    correction = recorded(2, by=CO_TRAINER, after=8, status="absent", corrects=old.mark)
    newer = recorded(3, device=PHONE, seq=2, after=9, status="late", late_minutes=9)
    assert standing([old, correction, newer]).conflict
    assert stands(old, correction, newer) == correction.mark


def test_a_correction_of_somebody_elses_mark_changes_nothing_but_speaks_for_itself():
    assert stands(recorded(1, corrects=UUID(int=99999))) == recorded(1).mark


def test_two_authors_who_agree_are_no_conflict_and_the_earliest_stands():
    lead = recorded(1, after=9, status="late", late_minutes=5)
    co_trainer = recorded(2, by=CO_TRAINER, after=8, status="late", late_minutes=7)
    assert stands(lead, co_trainer) == co_trainer.mark
    assert not standing([lead, co_trainer]).conflict


def test_two_authors_who_disagree_blindly_are_in_conflict_and_the_earliest_stands():
    lead = recorded(1, after=9)
    co_trainer = recorded(2, by=CO_TRAINER, after=8, status="absent")
    assert standing([lead, co_trainer]).conflict
    assert stands(lead, co_trainer) == co_trainer.mark


def test_in_a_conflict_at_one_moment_the_smallest_id_stands():
    assert stands(recorded(2), recorded(1, by=CO_TRAINER, status="absent")) == recorded(1).mark


def test_a_trainers_mark_beats_a_learners_own():
    own = recorded(1, by=ADA, after=1)
    lead = recorded(2, after=50, status="absent")
    assert stands(own, lead) == lead.mark
    assert not standing([own, lead]).conflict


def test_a_learner_cannot_correct_a_trainer():
    lead = recorded(1, status="absent")
    own = recorded(2, by=ADA, after=60, corrects=lead.mark)
    assert stands(lead, own) == lead.mark
    assert not standing([lead, own]).conflict


def test_a_learners_own_mark_stands_while_there_is_no_other():
    assert stands(recorded(1, by=ADA), recorded(2, by=ADA, after=7, status="left_early")) == recorded(2).mark


def test_the_leads_choice_holds_against_what_was_known():
    lead, co_trainer = recorded(1), recorded(2, by=CO_TRAINER, after=9, status="absent")
    choice = Resolution(co_trainer.mark, frozenset({lead.mark, co_trainer.mark}))
    assert stands(lead, co_trainer, resolution=choice) == co_trainer.mark
    assert not standing([lead, co_trainer], choice).conflict


def test_a_blind_mark_after_the_leads_choice_is_a_new_conflict():
    lead, co_trainer = recorded(1), recorded(2, by=CO_TRAINER, after=9, status="absent")
    choice = Resolution(co_trainer.mark, frozenset({lead.mark, co_trainer.mark}))
    blind = recorded(3, by=REGISTRAR, after=10, status="excused")
    assert standing([lead, co_trainer, blind], choice).conflict
    seen = replace(blind, corrects=co_trainer.mark)
    assert stands(lead, co_trainer, seen, resolution=choice) == seen.mark
    assert not standing([lead, co_trainer, seen], choice).conflict


def test_an_older_mark_that_comes_after_the_leads_choice_changes_nothing():
    lead = recorded(1, device=PHONE, seq=5)
    co_trainer = recorded(2, by=CO_TRAINER, after=9, status="absent")
    choice = Resolution(co_trainer.mark, frozenset({lead.mark, co_trainer.mark}))
    older = recorded(3, device=PHONE, seq=4, status="excused")
    assert stands(lead, co_trainer, older, resolution=choice) == co_trainer.mark
    assert not standing([lead, co_trainer, older], choice).conflict


def test_the_leads_choice_holds_where_everything_newer_was_already_answered():
    chosen = recorded(1, device=PHONE, seq=1)
    loser = recorded(2, by=CO_TRAINER, status="absent", corrects=UUID(int=1003))
    choice = Resolution(chosen.mark, frozenset({chosen.mark, loser.mark}))
    straggler = recorded(3, device=PHONE, seq=2, status="excused")
    assert stands(chosen, loser, straggler, resolution=choice) == chosen.mark


def test_corrections_in_a_circle_still_leave_one_mark_standing():
    first = recorded(1, corrects=UUID(int=1002), after=6)
    second = recorded(2, by=CO_TRAINER, corrects=UUID(int=1001), status="absent", after=7)
    assert stands(first, second) == first.mark
    assert standing([first, second]).conflict
    own = recorded(3, corrects=UUID(int=1004)), recorded(4, corrects=UUID(int=1003))
    assert stands(*own) == UUID(int=1004)


AUTHORS = (LEAD, CO_TRAINER, REGISTRAR, ADA)


@st.composite
def utterances(draw, people: Sequence[UUID] = (ADA, BOB)) -> list[tuple[UUID, MarkRequest]]:
    """Distinct marks with their authors, from few devices, close in time, correcting each other at will."""
    numbers = draw(st.lists(st.integers(1, 60), unique=True, max_size=9))
    made = []
    for number in numbers:
        author = draw(st.sampled_from(AUTHORS))
        corrects = draw(st.none() | st.sampled_from(numbers))
        made.append(
            (
                author,
                said(
                    number,
                    ADA if author == ADA else draw(st.sampled_from(people)),
                    draw(st.sampled_from(("present", "absent", "excused"))),
                    draw(st.integers(0, 4)),
                    device=draw(st.sampled_from((None, PHONE, TABLET))),
                    seq=draw(st.none() | st.integers(1, 4)),
                    corrects=None if corrects in (None, number) else UUID(int=1000 + corrects),
                ),
            )
        )
    return made


def sent_in(order: Sequence[tuple[UUID, MarkRequest]], cuts: Sequence[bool]) -> AttendanceRegister:
    """A register that heard the marks in this order, in batches of one author that end where `cuts` say."""
    register = opened()
    batch: list[MarkRequest] = []
    for number, (author, request) in enumerate(order):
        batch.append(request)
        following = order[number + 1][0] if number + 1 < len(order) else None
        if following != author or cuts[number % len(cuts)]:
            assert all(result.outcome is not Outcome.REJECTED for result in send(register, *batch, by=author))
            batch = []
    return register


def says(register: AttendanceRegister) -> dict[UUID, tuple[UUID | None, bool]]:
    found = {}
    for person in (ADA, BOB):
        now = register.standing_of(person)
        found[person] = (now.mark and now.mark.mark, now.conflict)
    return found


@settings(deadline=None)
@for_any(utterances(), st.data())
def test_any_order_any_split_and_any_repetition_give_the_same_register(made, data):
    again = data.draw(st.lists(st.sampled_from(made), max_size=6)) if made else []
    shuffled = data.draw(st.permutations([*made, *again]))
    cuts = data.draw(st.lists(st.booleans(), min_size=1, max_size=5))
    assert says(replay(sent_in(shuffled, cuts))) == says(replay(sent_in(made, [False])))


@settings(deadline=None)
@for_any(utterances(), st.data())
def test_after_the_leads_choice_too_any_order_gives_the_same_register(made, data):
    known = data.draw(st.integers(0, len(made)))
    before, after = made[:known], made[known:]

    def chosen(order: Sequence[tuple[UUID, MarkRequest]]) -> AttendanceRegister:
        register = sent_in(before, [True])
        for person in sorted(register.conflicts):
            mark = register.standing_of(person).words[-1].mark
            register.resolve_conflict(
                person=person, mark=mark, lead_on_date=LEAD, reason="i_saw_it", by=LEAD, at=EVENING
            )
            assert says(register)[person] == (mark, False)
        for author, request in order:
            send(register, request, by=author)
        return replay(register)

    assert says(chosen(data.draw(st.permutations(after)))) == says(chosen(after))


@settings(deadline=None)
@for_any(utterances())
def test_nothing_that_was_acknowledged_is_lost(made):
    register = opened()
    acknowledged = {}
    for author, request in made:
        (result,) = send(register, request, by=author)
        assert result.outcome in (Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.CONFLICT)
        acknowledged[request.mark] = (author, request)
    events = {event.mark: event for event in register.pending_events[1:]}
    assert events.keys() == acknowledged.keys()
    for mark, (author, request) in acknowledged.items():
        assert events[mark].by == author
        assert {name: getattr(events[mark], name) for name in vars(request)} == vars(request)
    for author, request in made:
        (result,) = send(register, request, by=author)
        assert result.outcome is Outcome.DUPLICATE
    assert len(register.pending_events) == 1 + len(made)


@settings(deadline=None)
@for_any(utterances(people=(ADA,)))
def test_somebody_who_was_marked_has_a_mark_and_never_a_wrong_one(made):
    marks = [as_recorded(request, author) for author, request in made]
    found = standing(marks)
    assert (found.mark is None) == (not marks)
    assert set(found.words) <= set(marks)
    assert len({word.author for word in found.words}) == len(found.words)
    if any(mark.authority is not Marker.LEARNER for mark in marks):
        assert all(word.authority is not Marker.LEARNER for word in found.words)


@settings(deadline=None)
@for_any(utterances(people=(ADA,)))
def test_without_corrections_only_a_devices_highest_seq_can_stand(made):
    marks = [replace(as_recorded(request, author), corrects=None) for author, request in made if author != ADA]
    one_device_each = [replace(mark, device=mark.author) for mark in marks]
    for word in standing(one_device_each).words:
        others = [mark for mark in one_device_each if mark.author == word.author and None not in (mark.seq, word.seq)]
        assert all(mark.seq <= word.seq for mark in others)


@settings(deadline=None)
@for_any(utterances(), st.integers(0, 8))
def test_each_mark_event_names_the_mark_that_stands_since_then(made, upto):
    register = opened()
    for author, request in made[: upto + 1]:
        send(register, request, by=author)
        event = register.pending_events[-1]
        now = register.standing_of(event.person)
        assert (event.stands, event.conflict) == (now.mark.mark, now.conflict)


# What a mark becomes


def test_a_mark_is_recorded_with_all_that_was_said():
    request = said(
        1,
        status="late",
        late_minutes=20,
        left_early_minutes=5,
        signed_in=minute(20),
        signed_out=minute(205),
        evidence="sheet-7",
        after=21,
        device=PHONE,
        seq=3,
    )
    scenario = given(opened).when(AttendanceRegister.mark, **sending(request))
    scenario.then(
        AttendanceRegister.Marked,
        **vars(request),
        by=LEAD,
        at=minute(21),
        authority=Marker.LEAD,
        skewed=False,
        conflict=False,
        stands=request.mark,
    )
    assert outcomes(scenario) == ["applied"]


def test_the_same_mark_again_is_a_duplicate_and_no_event():
    scenario = given(opened, marked(said(1))).when(AttendanceRegister.mark, **sending(said(1)))
    assert outcomes(scenario.then()) == ["duplicate"]


def test_the_same_mark_twice_in_one_batch_is_recorded_once():
    scenario = given(opened).when(AttendanceRegister.mark, **sending(said(1), said(1)))
    assert outcomes(scenario.then(AttendanceRegister.Marked)) == ["applied", "duplicate"]


def test_a_known_mark_is_a_duplicate_even_if_its_learner_has_withdrawn_or_its_author_lost_authority():
    scenario = given(opened, marked(said(1)))
    scenario.when(AttendanceRegister.mark, **sending(said(1), enrolled=(), authority=lambda _: None))
    assert outcomes(scenario.then()) == ["duplicate"]


@pytest.mark.parametrize(
    "other",
    [
        {"request": said(1, status="absent")},
        {"request": said(1, BOB)},
        {"request": said(1, after=6)},
        {"request": said(1, evidence="sheet-9")},
        {"request": said(1, device=PHONE, seq=1)},
        {"request": said(1), "by": CO_TRAINER},
    ],
)
def test_a_known_mark_id_with_other_content_is_rejected(other):
    scenario = given(opened, marked(said(1)))
    scenario.when(AttendanceRegister.mark, **sending(other["request"], by=other.get("by", LEAD)))
    assert outcomes(scenario.then()) == ["mark_id_reused"]


def test_each_mark_of_a_batch_is_answered_by_itself():
    scenario = given(opened, marked(said(1, status="absent"), by=CO_TRAINER)).when(
        AttendanceRegister.mark,
        **sending(
            said(2, after=6),
            said(3, BOB, device=PHONE, seq=2),
            said(4, BOB, device=PHONE, seq=1, status="absent"),
            said(5, EVA),
            said(6, CYD),
        ),
    )
    kinds = [AttendanceRegister.Marked] * 3 + [AttendanceRegister.MarkSetAside]
    assert outcomes(scenario.then(*kinds)) == ["conflict", "applied", "superseded", "not_enrolled", "task"]
    assert scenario.answer[3].message.startswith("This person is not enrolled on the course.")


def test_a_mark_that_agrees_is_applied_though_an_earlier_one_stands():
    scenario = given(opened, marked(said(1))).when(AttendanceRegister.mark, **sending(said(2, after=6), by=CO_TRAINER))
    scenario.then(AttendanceRegister.Marked, stands=said(1).mark, conflict=False)
    assert outcomes(scenario) == ["applied"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (said(1, corrects=said(1).mark), "corrects_itself"),
        (said(1, status="late"), "late_needs_minutes"),
        (said(1, status="late", left_early_minutes=10), "late_needs_minutes"),
        (said(1, status="left_early"), "left_early_needs_minutes"),
        (said(1, status="late", late_minutes=-1), "minutes_out_of_range"),
        (said(1, status="late", late_minutes=5, left_early_minutes=-5), "minutes_out_of_range"),
        (said(1, status="late", late_minutes=200, left_early_minutes=11), "minutes_out_of_range"),
        (said(1, status="late", late_minutes=10**30), "minutes_out_of_range"),
        (said(1, status="present", late_minutes=1), "minutes_need_status"),
        (said(1, status="absent", left_early_minutes=1), "minutes_need_status"),
        (said(1, signed_in=minute(10), signed_out=minute(9)), "signed_out_before_in"),
        (said(1, after=-31), "too_early"),
        (said(1, after=606), "in_future"),
        (said(1, EVA), "not_enrolled"),
    ],
)
def test_a_mark_that_cannot_be_right_is_rejected_and_leaves_no_trace(request_, code):
    scenario = given(opened).when(AttendanceRegister.mark, **sending(request_))
    assert outcomes(scenario.then()) == [code]
    assert not scenario.aggregate.knows(request_.mark)


@pytest.mark.parametrize(
    "request_",
    [
        said(1, status="late", late_minutes=200, left_early_minutes=10),
        said(1, status="left_early", left_early_minutes=1),
        said(1, signed_in=minute(9), signed_out=minute(9)),
        said(1, after=-30),
        said(1, after=605),
    ],
)
def test_a_mark_at_the_edge_of_what_can_be_right_is_taken(request_):
    assert outcomes(given(opened).when(AttendanceRegister.mark, **sending(request_))) == ["applied"]


def test_authority_is_judged_at_the_time_of_each_mark():
    until_noon = sending(
        said(1, after=60), said(2, BOB, after=300), authority=lambda at: Marker.CO_TRAINER if at < ENDS else None
    )
    scenario = given(opened).when(AttendanceRegister.mark, **until_noon)
    scenario.then(AttendanceRegister.Marked, authority=Marker.CO_TRAINER)
    assert outcomes(scenario) == ["applied", "not_authorised_then"]


def test_a_learner_marks_nobody_else():
    scenario = given(opened).when(AttendanceRegister.mark, **sending(said(1, BOB), said(2, ADA), by=ADA))
    assert outcomes(scenario.then(AttendanceRegister.Marked, person=ADA)) == ["not_authorised_then", "applied"]


@pytest.mark.parametrize(("behind", "skewed"), [(5, False), (6, True), (-5, False), (-6, True)])
def test_a_clock_that_is_off_by_more_than_five_minutes_is_flagged(behind, skewed):
    late = sending(said(1), sent_at=EVENING - timedelta(minutes=behind))
    given(opened).when(AttendanceRegister.mark, **late).then(AttendanceRegister.Marked, skewed=skewed)


def test_a_clock_that_is_behind_makes_no_mark_too_early():
    hours_behind = sending(said(1, after=-175), sent_at=EVENING - timedelta(hours=3))
    assert outcomes(given(opened).when(AttendanceRegister.mark, **hours_behind)) == ["applied"]


def test_a_clock_that_is_ahead_puts_no_mark_in_the_future():
    hours_ahead = sending(said(1, after=700), sent_at=EVENING + timedelta(hours=3))
    assert outcomes(given(opened).when(AttendanceRegister.mark, **hours_ahead)) == ["applied"]


@pytest.mark.parametrize("year", [1, 9999])
def test_a_clock_may_show_any_year(year):
    absurd = datetime(year, 12, 31, 23, 59, tzinfo=UTC)
    scenario = given(opened).when(
        AttendanceRegister.mark, **sending(replace(said(1), marked_at=absurd), said(2, BOB), sent_at=absurd)
    )
    assert outcomes(scenario)[1] == "applied"


def test_two_hundred_marks_are_taken_at_once_and_no_more():
    batch = [said(n, UUID(int=5000 + n)) for n in range(201)]
    everybody = {request.person for request in batch}
    given(opened).when(AttendanceRegister.mark, **sending(*batch, enrolled=everybody)).then_refused(BatchTooLarge)
    scenario = given(opened).when(AttendanceRegister.mark, **sending(*batch[:200], enrolled=everybody))
    assert outcomes(scenario) == ["applied"] * 200


def test_a_batch_of_nothing_is_answered_with_nothing():
    given(opened).when(AttendanceRegister.mark, **sending()).then().then_answers([])


# Withdrawn learners


def test_a_withdrawn_learners_mark_waits_for_the_registrar():
    scenario = given(opened).when(AttendanceRegister.mark, **sending(said(1, CYD)))
    scenario.then(AttendanceRegister.MarkSetAside, person=CYD, mark=said(1).mark, by=LEAD, reason="no_seat")
    assert [mark.mark for mark in scenario.aggregate.set_aside] == [said(1).mark]
    assert scenario.aggregate.mark_of(CYD) is None
    assert outcomes(scenario) == ["task"]


def test_a_mark_that_was_set_aside_is_known():
    scenario = given(opened, marked(said(1, CYD))).when(AttendanceRegister.mark, **sending(said(1, CYD)))
    assert outcomes(scenario.then()) == ["duplicate"]


def test_the_registrar_admits_a_mark_that_was_set_aside():
    scenario = given(opened, marked(said(1, CYD))).when(
        AttendanceRegister.admit_set_aside, mark=said(1).mark, reason="came_after_all", by=REGISTRAR, at=EVENING
    )
    scenario.then(AttendanceRegister.MarkAdmitted, person=CYD, stands=said(1).mark, conflict=False)
    assert scenario.aggregate.mark_of(CYD).author == LEAD
    assert scenario.aggregate.set_aside == ()


def test_an_admitted_mark_obeys_the_same_rules():
    given(
        opened,
        marked(said(1, CYD, "absent", after=6)),
        marked(said(2, CYD), by=CO_TRAINER, enrolled={CYD}),
    ).when(
        AttendanceRegister.admit_set_aside, mark=said(1).mark, reason="came_after_all", by=REGISTRAR, at=EVENING
    ).then(AttendanceRegister.MarkAdmitted, stands=said(2).mark, conflict=True)


def test_the_registrar_dismisses_a_mark_that_was_set_aside():
    scenario = given(opened, marked(said(1, CYD))).when(
        AttendanceRegister.dismiss_set_aside, mark=said(1).mark, reason="other_person", by=REGISTRAR, at=EVENING
    )
    scenario.then(AttendanceRegister.MarkDismissed, person=CYD, reason="other_person")
    assert scenario.aggregate.set_aside == ()
    assert scenario.aggregate.knows(said(1).mark)


@pytest.mark.parametrize("verb", [AttendanceRegister.admit_set_aside, AttendanceRegister.dismiss_set_aside])
def test_only_a_mark_that_waits_is_admitted_or_dismissed(verb):
    given(opened, marked(said(1))).when(
        verb, mark=said(1).mark, reason="came_after_all", by=REGISTRAR, at=EVENING
    ).then_refused(NotSetAside)


# Mark all present except


def all_present(*except_: MarkRequest, by: UUID = LEAD, people=(ADA, BOB)):
    return {
        "people": people,
        "except_": except_,
        "starts": STARTS,
        "ends": ENDS,
        "authority": lambda _: MARKERS.get(by),
        "by": by,
        "at": ENDS,
    }


def test_all_are_marked_present_except_some():
    scenario = given(opened).when(
        AttendanceRegister.mark_all_present, **all_present(said(1, BOB, "late", late_minutes=12))
    )
    scenario.then(AttendanceRegister.Marked, AttendanceRegister.Marked, person=ADA, status=Status.PRESENT, at=ENDS)
    assert scenario.aggregate.mark_of(BOB).late_minutes == 12
    assert outcomes(scenario) == ["applied", "applied"]


def test_whoever_has_a_mark_is_not_marked_present():
    given(opened, marked(said(1, BOB, "absent"))).when(AttendanceRegister.mark_all_present, **all_present()).then(
        AttendanceRegister.Marked, person=ADA
    )


def test_all_present_said_again_changes_nothing():
    exception = said(1, BOB, "absent")
    scenario = given(opened, lambda r: r.mark_all_present(**all_present(exception))).when(
        AttendanceRegister.mark_all_present, **all_present(exception)
    )
    assert outcomes(scenario.then()) == ["duplicate"]


def test_all_present_is_refused_as_a_whole_when_an_exception_cannot_be_right():
    scenario = given(opened).when(
        AttendanceRegister.mark_all_present, **all_present(said(1, ADA, "absent"), said(2, BOB, "late"))
    )
    scenario.then_refused(MarkRefused, "how many minutes late")
    assert scenario.refusal.field == "except/1"


def test_all_present_is_refused_when_two_exceptions_share_an_id():
    given(opened).when(
        AttendanceRegister.mark_all_present, **all_present(said(1, ADA, "absent"), said(1, BOB, "absent"))
    ).then_refused(MarkRefused)


def test_all_present_with_too_many_exceptions_is_refused():
    many = [said(n, UUID(int=5000 + n), "absent") for n in range(201)]
    given(opened).when(
        AttendanceRegister.mark_all_present, **all_present(*many, people=[mark.person for mark in many])
    ).then_refused(BatchTooLarge)


@pytest.mark.parametrize("by", [STRANGER, ADA])
def test_only_who_has_authority_marks_all_present(by):
    given(opened).when(AttendanceRegister.mark_all_present, **all_present(by=by)).then_refused(NotAuthorisedThen)


def test_nobody_is_marked_present_after_the_seal():
    given(opened, BOTH, sealed).when(AttendanceRegister.mark_all_present, **all_present()).then_refused(AlreadySealed)


# Conflicts


DISPUTE = (marked(said(1)), marked(said(2, status="absent", after=6), by=CO_TRAINER), marked(said(3, BOB)))


def choosing(mark: int, person: UUID = ADA, by: UUID = LEAD):
    return {
        "person": person,
        "mark": UUID(int=1000 + mark),
        "lead_on_date": LEAD,
        "reason": "i_saw_it",
        "by": by,
        "at": EVENING,
    }


def test_the_lead_chooses_the_mark_that_stands():
    scenario = given(opened, *DISPUTE).when(AttendanceRegister.resolve_conflict, **choosing(2))
    scenario.then(AttendanceRegister.ConflictResolved, person=ADA, mark=said(2).mark, reason="i_saw_it")
    assert scenario.aggregate.mark_of(ADA).status is Status.ABSENT
    assert scenario.aggregate.conflicts == ()


def test_the_leads_choice_survives_a_reload_and_a_newer_mark_of_the_loser_disputes_it():
    choice = lambda register: register.resolve_conflict(**choosing(2))  # noqa: E731
    scenario = given(opened, *DISPUTE, choice).when(AttendanceRegister.mark, **sending(said(4, after=9)))
    assert outcomes(scenario.then(AttendanceRegister.Marked, conflict=True, stands=said(2).mark)) == ["conflict"]


def test_nobody_but_the_lead_chooses():
    given(opened, *DISPUTE).when(AttendanceRegister.resolve_conflict, **choosing(2, by=CO_TRAINER)).then_refused(
        NotTheLead
    )


def test_there_is_nothing_to_choose_without_a_conflict():
    given(opened, *DISPUTE).when(AttendanceRegister.resolve_conflict, **choosing(3, BOB)).then_refused(NoConflict)


def test_only_a_mark_of_the_conflict_is_chosen():
    given(opened, *DISPUTE).when(AttendanceRegister.resolve_conflict, **choosing(3)).then_refused(NotInConflict)


# The seal


def sealing(by: UUID = LEAD, enrolled=(ADA, BOB)):
    return {
        "enrolled": enrolled,
        "lead_on_date": LEAD,
        "over_at": ENDS,
        "attestation": "I was there.",
        "by": by,
        "at": EVENING,
    }


def test_nobody_seals_while_somebody_may_still_leave_early():
    said = {**sealing(), "at": ENDS - timedelta(seconds=1)}
    given(opened, BOTH).when(AttendanceRegister.seal, **said).then_refused(SessionNotOver, "10:30")
    given(opened, BOTH).when(AttendanceRegister.seal, **{**said, "at": ENDS}).then(AttendanceRegister.Sealed)


def test_the_lead_seals_the_register_with_the_marks_that_stand():
    scenario = given(opened, BOTH, marked(said(3, ADA, "late", after=9, late_minutes=9))).when(
        AttendanceRegister.seal, **sealing()
    )
    scenario.then(
        AttendanceRegister.Sealed,
        sealed_version=1,
        standing=(said(3).mark, said(2).mark),
        lead=LEAD,
        attestation="I was there.",
    )
    assert scenario.aggregate.sealed_version == 1


@pytest.mark.parametrize("by", [CO_TRAINER, REGISTRAR])
def test_nobody_but_the_lead_seals(by):
    given(opened, BOTH).when(AttendanceRegister.seal, **sealing(by)).then_refused(NotTheLead)


def test_a_register_is_not_sealed_while_somebody_is_unmarked():
    scenario = given(opened, marked(said(1))).when(AttendanceRegister.seal, **sealing(enrolled=(EVA, ADA, BOB)))
    scenario.then_refused(
        Unmarked, f"2 enrolled learners have no mark. Mark everybody, absent ones too, then seal: {BOB}"
    )
    assert scenario.refusal.people == (BOB, EVA)


def test_a_mark_that_is_set_aside_marks_nobody():
    given(opened, BOTH, marked(said(3, CYD))).when(
        AttendanceRegister.seal, **sealing(enrolled=(ADA, BOB, CYD))
    ).then_refused(Unmarked, "1 enrolled learner has no mark.")


def test_a_register_is_not_sealed_while_marks_disagree():
    scenario = given(opened, *DISPUTE).when(AttendanceRegister.seal, **sealing())
    scenario.then_refused(OpenConflict, "Marks disagree for 1 learner.")
    assert scenario.refusal.people == (ADA,)


def test_whoever_withdrew_after_being_marked_stays_in_the_sealed_register():
    given(opened, BOTH).when(AttendanceRegister.seal, **sealing(enrolled=(ADA,))).then(
        AttendanceRegister.Sealed, standing=(said(1).mark, said(2).mark)
    )


def test_a_register_is_sealed_once():
    given(opened, BOTH, sealed).when(AttendanceRegister.seal, **sealing()).then_refused(AlreadySealed)


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        (AttendanceRegister.resolve_conflict, choosing(1)),
        (AttendanceRegister.admit_set_aside, {"mark": said(3).mark, "reason": "came", "by": REGISTRAR, "at": EVENING}),
    ],
)
def test_no_conflict_is_resolved_and_no_mark_admitted_after_the_seal(verb, told):
    given(opened, BOTH, marked(said(3, CYD)), sealed).when(verb, **told).then_refused(AlreadySealed)


def countersigning(by: UUID = REGISTRAR, version: int = 1):
    return {"sealed_version": version, "by": by, "at": EVENING}


def test_somebody_else_countersigns_the_seal():
    given(opened, BOTH, sealed).when(AttendanceRegister.countersign, **countersigning()).then(
        AttendanceRegister.Countersigned, sealed_version=1, by=REGISTRAR
    )


def test_the_sealer_does_not_countersign():
    given(opened, BOTH, sealed).when(AttendanceRegister.countersign, **countersigning(LEAD)).then_refused(
        OwnCountersignature
    )


def test_a_version_is_countersigned_once():
    given(opened, BOTH, sealed, lambda r: r.countersign(**countersigning())).when(
        AttendanceRegister.countersign, **countersigning(CO_TRAINER)
    ).then_refused(AlreadyCountersigned)


def test_only_a_version_that_exists_is_countersigned():
    given(opened, BOTH).when(AttendanceRegister.countersign, **countersigning()).then_refused(NotSealed)
    for version in (0, 2, -1):
        given(opened, BOTH, sealed).when(
            AttendanceRegister.countersign, **countersigning(version=version)
        ).then_refused(NoSuchVersion)


# After the seal


def test_a_mark_that_comes_after_the_seal_asks_for_an_amendment():
    scenario = given(opened, BOTH, sealed).when(
        AttendanceRegister.mark, **sending(said(3, BOB, "late", late_minutes=30), by=CO_TRAINER)
    )
    scenario.then(
        AttendanceRegister.AmendmentRequested,
        number=1,
        mark=said(3).mark,
        person=BOB,
        late_minutes=30,
        by=CO_TRAINER,
        at=EVENING,
        marked_at=minute(5),
        late=True,
        reason="late_mark",
    )
    assert outcomes(scenario) == ["amendment_requested"]
    assert scenario.aggregate.mark_of(BOB).status is Status.ABSENT


def test_a_late_mark_sent_again_is_a_duplicate():
    scenario = given(opened, BOTH, sealed, marked(said(3))).when(AttendanceRegister.mark, **sending(said(3)))
    assert outcomes(scenario.then()) == ["duplicate"]


def test_a_withdrawn_learners_mark_after_the_seal_is_a_task_too():
    scenario = given(opened, BOTH, sealed).when(AttendanceRegister.mark, **sending(said(3, CYD)))
    assert outcomes(scenario.then(AttendanceRegister.MarkSetAside)) == ["task"]


def test_an_amendment_is_requested_with_a_reason():
    given(opened, BOTH, sealed).when(AttendanceRegister.request_amendment, **amending(said(3, status="absent"))).then(
        AttendanceRegister.AmendmentRequested, number=1, late=False, reason="sheet_misread", authority=Marker.REGISTRAR
    ).then_answers(1)


def test_the_same_amendment_again_is_the_same_number():
    given(opened, BOTH, sealed, amended(said(3)), amended(said(4))).when(
        AttendanceRegister.request_amendment, **amending(said(3))
    ).then().then_answers(1)


@pytest.mark.parametrize(
    ("steps", "request_", "by", "refusal"),
    [
        ((BOTH,), said(3), REGISTRAR, NotSealed),
        ((BOTH, sealed), said(1), LEAD, MarkIdReused),
        ((BOTH, sealed, amended(said(3))), said(3, status="excused"), REGISTRAR, MarkIdReused),
        ((BOTH, sealed), said(3, status="late"), REGISTRAR, MarkRefused),
        ((BOTH, sealed), said(3, EVA), REGISTRAR, MarkRefused),
        ((BOTH, sealed), said(3), STRANGER, NotAuthorisedThen),
    ],
)
def test_an_amendment_that_cannot_be_is_refused(steps, request_, by, refusal):
    given(opened, *steps).when(AttendanceRegister.request_amendment, **amending(request_, by)).then_refused(refusal)


def test_whoever_is_in_the_sealed_register_can_be_amended_after_withdrawing():
    given(opened, BOTH, sealed).when(
        AttendanceRegister.request_amendment, **amending(said(3, BOB, "excused"), enrolled={ADA})
    ).then(AttendanceRegister.AmendmentRequested)


def test_an_approved_amendment_makes_a_new_version_and_the_old_one_stays_readable():
    scenario = given(opened, BOTH, sealed, amended(said(3, ADA, "absent"))).when(
        AttendanceRegister.approve_amendment, number=1, by=LEAD, at=EVENING
    )
    scenario.then(
        AttendanceRegister.AmendmentApproved, number=1, person=ADA, mark=said(3).mark, sealed_version=2, solo=False
    )
    register = scenario.aggregate
    assert {p: m.mark for p, m in register.standing_at(1).items()} == {ADA: said(1).mark, BOB: said(2).mark}
    assert {p: m.mark for p, m in register.standing_at(2).items()} == {ADA: said(3).mark, BOB: said(2).mark}
    assert register.mark_of(ADA).status is Status.ABSENT
    assert register.pending_amendments == ()


def test_the_basis_of_somebodys_attendance_moves_only_with_their_own_amendment():
    register = given(opened, BOTH, sealed).after()
    assert {register.basis_of(person).version for person in (ADA, BOB)} == {register.version}
    before = register.basis_of(BOB)
    register.request_amendment(**amending(said(3, ADA, "absent")))
    register.approve_amendment(number=1, by=LEAD, at=EVENING)
    assert register.basis_of(ADA).version == register.version
    assert register.basis_of(BOB) == before
    assert register.basis_of(EVA) is None


@pytest.mark.parametrize("version", [0, 2, -1])
def test_a_version_that_was_never_sealed_cannot_be_read(version):
    with pytest.raises(NoSuchVersion):
        given(opened, BOTH, sealed).after().standing_at(version)


def test_nobody_approves_their_own_amendment():
    given(opened, BOTH, sealed, amended(said(3))).when(
        AttendanceRegister.approve_amendment, number=1, by=REGISTRAR, at=EVENING
    ).then_refused(OwnAmendment)


def test_the_author_of_a_late_mark_does_not_approve_it():
    given(opened, BOTH, sealed, marked(said(3))).when(
        AttendanceRegister.approve_amendment, number=1, by=LEAD, at=EVENING
    ).then_refused(OwnAmendment)


def test_an_institution_that_works_solo_approves_its_own_amendment_and_the_event_says_so():
    given(opened, BOTH, sealed, amended(said(3, ADA, "absent"))).when(
        AttendanceRegister.approve_amendment, number=1, solo=True, by=REGISTRAR, at=EVENING
    ).then(AttendanceRegister.AmendmentApproved, solo=True)


def test_an_event_is_not_solo_where_four_eyes_saw_it():
    given(opened, BOTH, sealed, amended(said(3, ADA, "absent"))).when(
        AttendanceRegister.approve_amendment, number=1, solo=True, by=LEAD, at=EVENING
    ).then(AttendanceRegister.AmendmentApproved, solo=False)


def test_nobody_becomes_present_by_amendment_without_the_lead():
    rise = said(3, BOB, "late", late_minutes=10)
    requested = given(opened, BOTH, sealed, amended(rise))
    requested.when(AttendanceRegister.approve_amendment, number=1, by=CO_TRAINER, at=EVENING)
    requested.then_refused(LeadMustAttest)
    given(opened, BOTH, sealed, amended(rise)).when(
        AttendanceRegister.approve_amendment, number=1, by=LEAD, at=EVENING
    ).then(AttendanceRegister.AmendmentApproved)
    given(opened, BOTH, sealed, amended(rise, LEAD)).when(
        AttendanceRegister.approve_amendment, number=1, by=REGISTRAR, at=EVENING
    ).then(AttendanceRegister.AmendmentApproved)


def test_somebody_who_was_missing_from_the_sealed_register_is_added_by_amendment():
    scenario = given(
        opened, BOTH, sealed, lambda r: r.request_amendment(**amending(said(3, EVA), enrolled={ADA, BOB, EVA}))
    ).when(AttendanceRegister.approve_amendment, number=1, by=LEAD, at=EVENING)
    scenario.then(AttendanceRegister.AmendmentApproved)
    assert EVA not in scenario.aggregate.standing_at(1)
    assert EVA in scenario.aggregate.standing_at(2)


def test_a_rejected_amendment_leaves_the_register_as_it_is():
    scenario = given(opened, BOTH, sealed, amended(said(3, ADA, "absent"))).when(
        AttendanceRegister.reject_amendment, number=1, reason="sheet_was_right", by=LEAD, at=EVENING
    )
    scenario.then(AttendanceRegister.AmendmentRejected, number=1, person=ADA, reason="sheet_was_right")
    assert scenario.aggregate.sealed_version == 1
    assert scenario.aggregate.mark_of(ADA).mark == said(1).mark


@pytest.mark.parametrize("number", [0, 2, -1])
def test_only_a_requested_amendment_is_decided(number):
    given(opened, BOTH, sealed, amended(said(3))).when(
        AttendanceRegister.approve_amendment, number=number, by=LEAD, at=EVENING
    ).then_refused(NoSuchAmendment)


def test_an_amendment_is_decided_once():
    decided = given(
        opened,
        BOTH,
        sealed,
        amended(said(3, ADA, "absent")),
        lambda r: r.approve_amendment(number=1, by=LEAD, at=EVENING),
    )
    decided.when(AttendanceRegister.reject_amendment, number=1, reason="sheet_was_right", by=LEAD, at=EVENING)
    decided.then_refused(AmendmentDecided)


def test_an_amended_version_is_countersigned_by_somebody_other_than_its_approver():
    steps = (
        BOTH,
        sealed,
        amended(said(3, ADA, "absent"), CO_TRAINER),
        lambda r: r.approve_amendment(number=1, by=REGISTRAR, at=EVENING),
    )
    given(opened, *steps).when(AttendanceRegister.countersign, **countersigning(REGISTRAR, version=2)).then_refused(
        OwnCountersignature
    )
    given(opened, *steps).when(AttendanceRegister.countersign, **countersigning(LEAD, version=2)).then(
        AttendanceRegister.Countersigned, sealed_version=2
    )
