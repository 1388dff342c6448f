"""The submission view: what it answers after which events, now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.aggregate import Aggregate
from domain.basis import Aspect, Basis
from domain.catalogue import CATALOGUE
from domain.completion import Because
from domain.course import Capacity, Course, Role, Standing
from domain.enrolment import Enrolment
from domain.institution import Institution, Settings
from domain.person import Names, Person, Witness
from domain.private import Private
from domain.schedule import from_local
from domain.submission import Completer, LineOutcome, Outcome, Rejection, Sighting, Submission
from domain.submission_file import SA_LOAD, LineProblem, ProblemCode
from projections import submission as view
from projections.courses import courses
from projections.directory import directory
from projections.discrepancies import discrepancies
from projections.history import history
from projections.roster import roster
from projections.submission import submission as projection
from provider.office import Office
from tests.conftest import START

ADMIN, LEAD, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
COURSE, SUBMISSION = UUID(int=10), Submission.create_id(UUID(int=10), "SA")
BY: dict[str, Any] = {"by": ADMIN, "at": START}
DUE = date(2026, 5, 6)
CSPO = next(each for each in CATALOGUE if each.credential == "SA/CSPO")
BECAUSE = Because(True, (), (), (), CSPO.version, 15)

Saved = Callable[..., int]


@pytest.fixture
def shelf(showing: Callable[..., Office]) -> Iterator[Office]:
    office = showing(directory, courses, roster, projection, discrepancies, history)
    yield office
    office.close()


@pytest.fixture
def record(shelf: Office) -> Saved:
    def save(*things: Aggregate) -> int:
        position = shelf.log.record(*things, asked={"id": "test", "channel": "test"}).position
        shelf.views.catch_up(position)
        assert position is not None
        return position

    return save


@pytest.fixture
def show(shelf: Office) -> Callable[..., dict[str, Any]]:
    def shown(at: int | None = None, today: date = DUE) -> dict[str, Any]:
        with shelf.views.reading() as read:
            found = view.view(read, SUBMISSION, today=today, at=at)
        assert found is not None
        return found

    return shown


def somebody(number: int) -> Person:
    return Person.register(
        person=UUID(int=100 + number),
        names=Names(given=Private(f"given {number}"), family=Private(f"family {number}")),
        email=Private(f"mail {number}"),
        source="test",
        **BY,
    )


def enrolled(number: int, completed: bool | None = True) -> Enrolment:
    enrolment = Enrolment.request(course=COURSE, person=UUID(int=100 + number), standing=Standing.CONFIRMED, **BY)
    if completed is not None:
        decide(enrolment, completed)
    return enrolment


def decide(enrolment: Enrolment, completed: bool, **said: Any) -> None:
    enrolment.decide_completion(
        completed=completed,
        because=replace(BECAUSE, proposed=completed, tolerance_minutes=15 + enrolment.version),
        lead=LEAD,
        solo=True,
        by=LEAD,
        at=START,
        **said,
    )


def completer(number: int, decision: int = 2) -> Completer:
    person = UUID(int=100 + number)
    enrolment = Enrolment.create_id(COURSE, person)
    return Completer(
        enrolment=enrolment,
        person=person,
        given=Private(f"given {number}"),
        family=Private(f"family {number}"),
        email=Private(f"mail {number}"),
        rests_on=(
            Basis(enrolment, decision, Aspect.DECISION),
            Basis(person, 1, Aspect.NAMES),
            Basis(person, 1, Aspect.BODY_EMAIL),
        ),
    )


def drafted(*numbers: int) -> Submission:
    return Submission.draft(
        course=COURSE,
        body="SA",
        profile="sa_load",
        due_on=DUE,
        completers=[completer(number) for number in numbers],
        **BY,
    )


def export(submission: Submission, part: int = 1) -> None:
    submission.validate(part=part, template=SA_LOAD, problems=(), **BY)
    submission.approve(part=part, solo_allowed=False, by=OTHER, at=START)
    rows = len(submission.lines_of(part))
    submission.export(part=part, template=SA_LOAD, digest=Private(f"digest {part}"), rows=rows, **BY)


def send(submission: Submission, part: int = 1) -> None:
    export(submission, part)
    submission.record_sent(part=part, **BY)


def founded() -> Institution:
    return Institution.found(
        institution=UUID(int=4), name="Academy", settings=Settings.usual(zone="Europe/Zurich"), **BY
    )


def scheduled(code: str = "CSPO", zone: str = "Europe/Zurich") -> Course:
    policy = next(each for each in CATALOGUE if each.code == code)
    course = Course.draft(
        course=COURSE, title="A course", policy=policy, format=policy.formats[0], lo_edition=None, language=None, **BY
    )
    plans = [
        from_local(day=date(2026, 5, day), start=start, end=end, zone=zone, contact_minutes=210)
        for day in (4, 5)
        for start, end in (("09:00", "12:30"), ("13:30", "18:00"))
    ]
    course.schedule(sessions=plans, policy=policy, reason="as_usual", **BY)
    return course


def opened() -> Course:
    course = scheduled()
    course.assign_trainer(trainer_person=LEAD, role=Role.LEAD, **BY)
    course.open(capacity=Capacity.of(12), minimum=None, **BY)
    return course


@pytest.fixture
def graduated(record: Saved) -> None:
    """Three people have completed the course, and one hasn't."""
    record(founded(), opened(), *map(somebody, (1, 2, 3, 4)))
    record(enrolled(1), enrolled(2), enrolled(3), enrolled(4, completed=False))


def test_there_is_nothing_before_the_draft(shelf: Office) -> None:
    with shelf.views.reading() as read:
        assert view.course_of(read, SUBMISSION) is None
        assert view.of_course(read, COURSE) is None
        assert view.view(read, SUBMISSION, today=DUE) is None
        assert view.view_of_course(read, COURSE, today=DUE) is None
        assert view.completers(read, COURSE) == []
        assert view.outstanding(read, COURSE) == ()
        assert view.file_of(read, SUBMISSION, 1) is None


def test_completers_are_those_of_the_latest_decision(shelf: Office, record: Saved) -> None:
    first, second = enrolled(1), enrolled(2, completed=False)
    before = record(first, second)
    decide(first, completed=False, reason="left_early")
    decide(second, completed=True, reason="made_up")
    record(first, second)
    with shelf.views.reading() as read:
        assert [(each["enrolment"], each["decision"]) for each in view.completers(read, COURSE)] == [
            (str(second.id), 3)
        ]
        assert [each["enrolment"] for each in view.completers(read, COURSE, at=before)] == [str(first.id)]


@pytest.mark.usefixtures("graduated")
def test_a_draft_shows_its_lines_in_one_part(show: Callable[..., dict[str, Any]], shelf: Office, record: Saved) -> None:
    record(drafted(1, 2))
    shown = show()
    assert {name: shown[name] for name in ("course", "body", "profile", "stage", "due_on", "version")} == {
        "course": str(COURSE),
        "body": "SA",
        "profile": "sa_load",
        "stage": "open",
        "due_on": "2026-05-06",
        "version": 1,
    }
    assert [(line["line"], line["part"], line["state"]) for line in shown["items"]] == [
        (1, 1, "pending"),
        (2, 1, "pending"),
    ]
    assert (shown["items"][0]["given"], shown["items"][0]["email"]) == ("given 1", "mail 1")
    assert [part["stage"] for part in shown["parts"]] == ["drafted"]
    assert shown["summary"] == {
        **dict.fromkeys(
            (
                "excluded", "sent", "loaded", "selected", "paid", "activated", "accepted", "rejected", "unknown",
                "withdrawn",
            ),
            0,
        ),
        "all": 2,
        "pending": 2,
    }  # fmt: skip
    assert shown["unsubmitted"] == [str(completer(3).enrolment)]
    with shelf.views.reading() as read:
        assert view.course_of(read, SUBMISSION) == str(COURSE)
        assert view.of_course(read, COURSE) == str(SUBMISSION)


@pytest.mark.usefixtures("graduated")
def test_problems_stand_at_their_lines_until_the_part_changes(
    show: Callable[..., dict[str, Any]], record: Saved
) -> None:
    submission = drafted(1, 2)
    problem = LineProblem(2, ProblemCode.SURROUNDING_SPACE, "given", blocking=True)
    submission.validate(part=1, template=SA_LOAD, problems=(problem,), by=OTHER, at=START)
    validated = record(submission)
    submission.exclude_line(line=2, reason="email_doubtful", **BY)
    record(submission)
    said = {"code": "surrounding_space", "field": "given", "blocking": True}
    assert [line["problems"] for line in show(validated)["items"]] == [[], [said]]
    assert [line["problems"] for line in show()["items"]] == [[], []]
    part = show(validated)["parts"][0]
    assert (part["changed_by"], part["validated_by"], part["stage"]) == (str(ADMIN), str(OTHER), "validated")


@pytest.mark.usefixtures("graduated")
def test_a_part_is_shown_as_it_was_at_each_moment(show: Callable[..., dict[str, Any]], record: Saved) -> None:
    submission = drafted(1, 2)
    places = [record(submission)]
    submission.validate(part=1, template=SA_LOAD, problems=(), **BY)
    places.append(record(submission))
    submission.approve(part=1, solo_allowed=False, by=OTHER, at=START)
    places.append(record(submission))
    submission.export(part=1, template=SA_LOAD, digest=Private("digest"), rows=2, **BY)
    places.append(record(submission))
    submission.record_sent(part=1, reference="SA-1", **BY)
    places.append(record(submission))
    submission.record_accepted_except(part=1, source="body_page", **BY)
    places.append(record(submission))
    assert [show(at)["parts"][0]["stage"] for at in places] == [
        "drafted", "validated", "approved", "exported", "sent", "acknowledged",
    ]  # fmt: skip
    assert [show(at)["items"][0]["state"] for at in places] == [*["pending"] * 4, "sent", "accepted"]
    assert [show(at)["version"] for at in places] == [1, 2, 3, 4, 5, 7]
    assert show(places[2])["parts"][0]["digest"] is None


@pytest.mark.usefixtures("graduated")
def test_it_is_overdue_from_the_day_after_until_its_first_part_is_sent(
    show: Callable[..., dict[str, Any]], record: Saved
) -> None:
    submission = drafted(1, 2)
    before = record(submission)
    assert [show(today=date(2026, 5, day))["overdue"] for day in (5, 6, 7)] == [False, False, True]
    send(submission)
    record(submission)
    later = date(2026, 5, 7)
    assert show(today=later)["overdue"] is False
    assert show(before, today=later)["overdue"] is True
    submission.draft_part(completers=[completer(3)], **BY)
    record(submission)
    assert show(today=later)["overdue"] is False


@pytest.mark.usefixtures("graduated")
def test_nothing_is_overdue_where_all_lines_are_left_out_or_all_is_given_up(
    show: Callable[..., dict[str, Any]], record: Saved
) -> None:
    submission = drafted(1)
    submission.exclude_line(line=1, reason="unpaid", **BY)
    record(submission)
    assert show(today=date(2026, 6, 1))["overdue"] is False
    submission.include_line(line=1, **BY)
    record(submission)
    assert show(today=date(2026, 6, 1))["overdue"] is True
    submission.abandon(reason="course_unlisted", **BY)
    record(submission)
    assert show(today=date(2026, 6, 1))["overdue"] is False


@pytest.mark.usefixtures("graduated")
def test_the_course_shows_what_is_due_before_there_is_a_draft(shelf: Office, record: Saved) -> None:
    def of_course(today: date) -> dict[str, Any]:
        with shelf.views.reading() as read:
            found = view.view_of_course(read, COURSE, today=today)
        assert found is not None
        return found

    shown = of_course(date(2026, 5, 7))
    # The fifth of May is the last day; two business days later it is the seventh.
    assert (shown["submission"], shown["stage"], shown["due_on"]) == (None, "not_drafted", "2026-05-07")
    assert shown["unsubmitted"] == [str(completer(number).enrolment) for number in (1, 2, 3)]
    assert (shown["overdue"], of_course(date(2026, 5, 8))["overdue"]) == (False, True)
    assert (shown["items"], shown["parts"], shown["summary"]["all"], shown["version"]) == ([], [], 0, None)
    submission = drafted(1)
    record(submission)
    assert of_course(DUE)["submission"] == str(SUBMISSION)
    assert of_course(DUE).keys() == shown.keys()


def test_nothing_is_overdue_where_nobody_is_to_be_sent(shelf: Office, record: Saved) -> None:
    record(founded(), opened())
    withdrawn = enrolled(1, completed=None)
    record(withdrawn, enrolled(2, completed=False))

    def overdue() -> bool:
        with shelf.views.reading() as read:
            found = view.view_of_course(read, COURSE, today=date(2026, 6, 1))
        assert found is not None
        return bool(found["overdue"])

    assert overdue() is True  # Somebody is still to be decided on.
    withdrawn.withdraw(reason="illness", **BY)
    record(withdrawn)
    assert overdue() is False


def test_a_body_that_takes_none_has_nothing_due(shelf: Office, record: Saved) -> None:
    code = next(each.code for each in CATALOGUE if each.submission_profile == "none")
    record(founded(), scheduled(code))
    record(enrolled(1))
    with shelf.views.reading() as read:
        shown = view.view_of_course(read, COURSE, today=date(2026, 6, 1))
        assert shown is not None
        assert (shown["profile"], shown["due_on"], shown["overdue"]) == ("none", None, False)
        assert view.outstanding(read, COURSE) == ()


@pytest.mark.parametrize(
    ("zone", "due"), [("Europe/Zurich", date(2026, 5, 7)), ("Asia/Tokyo", date(2026, 5, 8)), ("UTC", date(2026, 5, 7))]
)
def test_the_last_day_is_the_institutions(zone: str, due: date) -> None:
    settings = Settings.usual(zone=zone)
    sessions: list[dict[str, Any]] = [
        {"ends": "2026-05-05T16:00:00.000000Z", "held": None, "cancelled": False},
        {"ends": "2026-05-20T16:00:00.000000Z", "held": None, "cancelled": True},
    ]
    assert view.due_on(sessions, settings) == due
    assert view.due_on([], settings) is None
    held = {"ends": "2026-05-05T16:00:00.000000Z", "held": {"ended": "2026-05-06T10:00:00.000000Z"}, "cancelled": False}
    assert view.due_on([held], Settings.usual(zone="UTC")) == date(2026, 5, 8)


@pytest.mark.usefixtures("graduated")
def test_steps_payments_outcomes_and_observations_are_kept_apart(
    show: Callable[..., dict[str, Any]], shelf: Office, record: Saved
) -> None:
    submission = drafted(1, 2, 3)
    send(submission)
    hours = [START.replace(hour=hour) for hour in (7, 8, 9, 10, 11)]
    submission.record_loaded(lines=[1, 2], by=ADMIN, at=hours[0])
    submission.record_selected(lines=[1], by=ADMIN, at=hours[1])
    submission.record_paid(lines=[1], amount=Decimal("50.00"), currency="USD", receipt="R-1", by=ADMIN, at=hours[2])
    submission.record_activated(lines=[1], by=ADMIN, at=hours[3])
    submission.record_outcomes(
        outcomes=[
            LineOutcome(2, Outcome.ACCEPTED),
            LineOutcome(3, Outcome.REJECTED, Rejection.NAME_INVALID_CHARS, Private("note")),
        ],
        source="body_mail",
        by=ADMIN,
        at=hours[4],
    )
    submission.observe(
        line=1,
        what=Sighting.LICENCE_ACCEPTED,
        on=date(2026, 5, 4),
        source="learner",
        agreement_version="2026",
        by=OTHER,
        at=START,
    )
    record(submission)
    shown = show()
    assert [line["state"] for line in shown["items"]] == ["activated", "loaded", "rejected"]
    first, second, third = shown["items"]
    assert [first[f"{step}_at"] for step in ("loaded", "selected", "paid", "activated")] == [
        f"2026-05-04T{hour:02}:00:00.000000Z" for hour in (7, 8, 9, 10)
    ]
    assert (second["outcome"], second["selected_at"], second["outcome_at"]) == (
        "accepted", None, "2026-05-04T11:00:00.000000Z",
    )  # fmt: skip
    assert (third["code"], third["outcome_note"], third["outcome_source"]) == (
        "NAME_INVALID_CHARS",
        "note",
        "body_mail",
    )
    assert shown["payments"] == [
        {
            "lines": [1],
            "amount": "50.00",
            "currency": "USD",
            "receipt": "R-1",
            "paid_at": "2026-05-04T09:00:00.000000Z",
        }
    ]
    [seen] = first["observations"]
    assert (seen["what"], seen["on"], seen["source"], seen["agreement_version"], seen["recorded_by"]) == (
        "licence_accepted", "2026-05-04", "learner", "2026", str(OTHER),
    )  # fmt: skip
    assert shelf.views.verify() == []


@pytest.mark.usefixtures("graduated")
def test_a_line_that_waits_is_outdated_once_the_record_says_otherwise(
    show: Callable[..., dict[str, Any]], shelf: Office, record: Saved
) -> None:
    submission = drafted(1, 2, 3)
    before = record(submission)
    renamed = shelf.log.get(Person, UUID(int=101))
    renamed.correct_name(names=Names(given=Private("other")), reason="typo", **BY)
    mailed = shelf.log.get(Person, UUID(int=102))
    mailed.state_body_email(body="SA", email=Private("known"), source=Witness.PERSON, **BY)
    undone = shelf.log.get(Enrolment, Enrolment.create_id(COURSE, UUID(int=103)))
    decide(undone, completed=False, reason="left_early")
    record(renamed, mailed, undone)
    assert [line["outdated"] for line in show()["items"]] == [True, True, True]
    assert [line["outdated"] for line in show(before)["items"]] == [False, False, False]


@pytest.mark.usefixtures("graduated")
def test_what_else_changes_about_a_person_leaves_their_line_alone(
    show: Callable[..., dict[str, Any]], shelf: Office, record: Saved
) -> None:
    record(drafted(1))
    person = shelf.log.get(Person, UUID(int=101))
    person.confirm_names(confirmed_by=Witness.PERSON, names_version=1, **BY)
    person.change_contact(email=person.email, phone=Private("phone"), **BY)
    person.state_body_email(body="PMI", email=Private("elsewhere"), source=Witness.PERSON, **BY)
    record(person)
    assert show()["items"][0]["outdated"] is False


@pytest.mark.usefixtures("graduated")
def test_a_line_that_was_sent_or_left_out_is_not_called_outdated(
    show: Callable[..., dict[str, Any]], shelf: Office, record: Saved
) -> None:
    submission = drafted(1, 2)
    submission.exclude_line(line=2, reason="unpaid", **BY)
    send(submission)
    record(submission)
    people = [shelf.log.get(Person, UUID(int=number)) for number in (101, 102)]
    for person in people:
        person.correct_name(names=Names(given=Private("other")), reason="typo", **BY)
    record(*people)
    assert [line["outdated"] for line in show()["items"]] == [False, False]


@pytest.mark.usefixtures("graduated")
def test_a_line_must_not_be_activated_while_what_it_rests_on_has_moved(
    show: Callable[..., dict[str, Any]], shelf: Office, record: Saved
) -> None:
    submission = drafted(1, 2)
    send(submission)
    before = record(submission)
    person = shelf.log.get(Person, UUID(int=102))
    person.correct_name(names=Names(given=Private("other")), reason="typo", **BY)
    record(person)
    shown = show()
    assert [line["do_not_activate"] for line in shown["items"]] == [False, True]
    assert (shown["do_not_activate"], show(before)["do_not_activate"]) == (True, False)
    [why] = shown["items"][1]["why"]
    assert shown["why"] == [f"Line 2: {why}"]
    assert "name" in why
    submission.resolve_discrepancy(
        line=2,
        stream=person.id,
        version=2,
        aspect=Aspect.NAMES,
        resolution="corrected_at_body",
        reason="typo",
        note=None,
        **BY,
    )
    record(submission)
    assert (show()["do_not_activate"], show()["why"]) == (False, [])


@pytest.mark.usefixtures("graduated")
def test_after_the_activation_it_is_too_late_to_say_so(
    show: Callable[..., dict[str, Any]], shelf: Office, record: Saved
) -> None:
    submission = drafted(1)
    send(submission)
    for step in (
        submission.record_loaded,
        submission.record_selected,
        submission.record_paid,
        submission.record_activated,
    ):
        step(lines=[1], **BY)
    person = shelf.log.get(Person, UUID(int=101))
    person.correct_name(names=Names(given=Private("other")), reason="typo", **BY)
    record(submission, person)
    assert (show()["do_not_activate"], show()["items"][0]["why"]) == (False, [])


@pytest.mark.usefixtures("graduated")
def test_what_is_left_to_do_before_the_course_is_closed(shelf: Office, record: Saved) -> None:
    def left(at: int | None = None) -> tuple[str, ...]:
        with shelf.views.reading() as read:
            return view.outstanding(read, COURSE, at=at)

    assert left() == ("submission_missing",)
    submission = drafted(1, 2)
    before = record(submission)
    assert left() == ("submission_open", "completers_unsubmitted")
    send(submission)
    submission.draft_part(completers=[completer(3)], **BY)
    send(submission, 2)
    for part in (1, 2):
        submission.record_accepted_except(part=part, source="body_page", **BY)
    record(submission)
    assert left() == ("submission_open",)
    submission.complete(**BY)
    record(submission)
    assert left() == ()
    assert left(before) == ("submission_open", "completers_unsubmitted")


@pytest.mark.usefixtures("graduated")
def test_a_submission_that_was_abandoned_is_missing(
    show: Callable[..., dict[str, Any]], shelf: Office, record: Saved
) -> None:
    submission = drafted(1, 2)
    export(submission)
    submission.abandon(reason="course_unlisted", **BY)
    abandoned = record(submission)
    with shelf.views.reading() as read:
        assert view.outstanding(read, COURSE) == ("submission_missing",)
    assert (show()["stage"], show()["abandoned_reason"]) == ("abandoned", "course_unlisted")
    assert [line["state"] for line in show()["items"]] == ["withdrawn", "withdrawn"]
    assert show()["parts"][0]["digest"] is None
    submission.draft_part(completers=[completer(1)], **BY)
    record(submission)
    assert (show()["stage"], show()["ended_at"], show(abandoned)["stage"]) == ("open", None, "abandoned")
    assert shelf.views.verify() == []


@pytest.mark.usefixtures("graduated")
def test_the_file_is_of_the_lines_that_were_exported(shelf: Office, record: Saved) -> None:
    submission = drafted(1, 2, 3)
    submission.exclude_line(line=2, reason="unpaid", **BY)
    before = record(submission)
    export(submission)
    exported = record(submission)
    submission.remake_line(
        line=1,
        given=Private("new"),
        family=Private("new"),
        email=Private("new"),
        rests_on=completer(1, decision=3).rests_on,
        **BY,
    )
    record(submission)

    def file(at: int | None = None) -> tuple[str | None, list[str]]:
        with shelf.views.reading() as read:
            found = view.file_of(read, SUBMISSION, 1, at=at)
        assert found is not None
        return found[0]["digest"], [line["given"] for line in found[1]]

    assert file() == (None, [])
    assert file(exported) == ("digest 1", ["given 1", "given 3"])
    assert file(before) == (None, [])
    with shelf.views.reading() as read:
        assert [view.file_of(read, SUBMISSION, part) for part in (0, -1, 2, 2**40)] == [None] * 4


@pytest.mark.usefixtures("graduated")
def test_a_rebuild_gives_the_same(show: Callable[..., dict[str, Any]], shelf: Office, record: Saved) -> None:
    submission = drafted(1, 2, 3)
    send(submission)
    submission.withdraw_line(line=1, reason="wrong_person", note=Private("note"), case="C-1", **BY)
    submission.resolve_discrepancy(
        line=2,
        stream=UUID(int=102),
        version=4,
        aspect=Aspect.NAMES,
        resolution="stands",
        reason="same_person",
        note=None,
        **BY,
    )
    record(submission)
    live = show()
    assert (live["items"][0]["case"], live["items"][1]["resolutions"][0]["version"]) == ("C-1", 4)
    assert shelf.views.verify() == []
    shelf.views.rebuild()
    assert show() == live
