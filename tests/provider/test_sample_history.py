"""A history made of samples is one that the office itself could have recorded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.course import Stage
from projections import access, courses, directory, roster
from provider import __main__, sample_history
from provider.bootstrap import bootstrap
from provider.commands.institution import AlreadyFounded
from provider.log import Progress
from provider.office import Office
from provider.sample_history import Made
from provider.settings import Settings
from provider.token import digest

EVENTS = 4_000
TODAY = date(2026, 6, 3)


def settings(folder: Path) -> Settings:
    return Settings.read({"PROVIDER_DATA": str(folder)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    folder = tmp_path_factory.mktemp("sample")
    return folder, sample_history.make(settings(folder), events=EVENTS, today=TODAY)


@pytest.fixture
def office(made: tuple[Path, Made]) -> Iterator[Office]:
    office = bootstrap(settings(made[0]))
    yield office
    office.close()


def recorded(office: Office) -> list[Any]:
    return [office.log.reads(*entry[1:])[0] for entry in office.log.entries.page(0, 10 * EVENTS)]


def test_it_has_as_many_events_as_it_says_and_hardly_more_than_were_asked_for(office: Office, made: tuple[Path, Made]):
    _, said = made

    assert said.events == office.log.position() == len(recorded(office))
    assert EVENTS <= said.events < EVENTS + 200


def test_its_views_agree_with_its_log(office: Office):
    assert office.views.position() == office.log.position()
    assert office.views.verify() == []


def test_its_courses_are_in_every_stage(office: Office, made: tuple[Path, Made]):
    with office.views.reading() as read:
        stages = Counter(course["stage"] for course in courses.listing(read, limit=EVENTS))

    assert set(stages) == {stage.value for stage in Stage}
    assert stages.total() == made[1].courses


def test_its_events_are_of_many_kinds(office: Office):
    topics = {event.TOPIC for event in recorded(office)}

    assert len(topics) >= 50
    assert {
        "course.queued",
        "course.seat_held",
        "enrolment.withdrawn",
        "enrolment.completion_decided",
        "register.sealed",
        "certificate.superseded",
        "submission.outcome_recorded",
    } <= topics
    assert any(event.TOPIC == "register.marked" and event.corrects is not None for event in recorded(office))


def test_nothing_in_it_is_still_to_come(office: Office):
    today = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)

    assert max(event.at for event in recorded(office)) < today


def test_its_learners_have_names(office: Office):
    with office.views.reading() as read:
        enrolled = [row["person"] for row in courses.listing(read) for row in roster.learners(read, row["course"])]
        names = office.vault.open(row["family"] for row in directory.people_by_ids(read, enrolled).values())

    assert names
    assert set(names.values()) <= set(sample_history.FAMILY)


def test_the_same_seed_makes_the_same_history(tmp_path: Path):
    told = []
    for number, seed in enumerate((7, 7, 8)):
        folder = tmp_path / str(number)
        sample_history.make(settings(folder), events=600, seed=seed, today=TODAY)
        office = bootstrap(settings(folder))
        told.append([(event.TOPIC, event.at) for event in recorded(office)])
        office.close()

    assert told[0] == told[1]
    assert told[0] != told[2]


def test_it_is_the_first_of_a_data_directory(office: Office, made: tuple[Path, Made]):
    with pytest.raises(AlreadyFounded):
        sample_history.make(settings(made[0]), events=10)


def test_it_shows_how_far_it_is(tmp_path: Path):
    told: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def showing(title: str) -> Iterator[Progress]:
        steps = told[title] = []
        yield lambda done, of: steps.append((done, of))

    made = sample_history.make(settings(tmp_path), events=300, today=TODAY, showing=showing)

    assert list(told) == ["Recording", "Making the views"]
    assert told["Recording"][-1] == (300, 300)
    assert told["Making the views"][-1] == (made.events, made.events)


def demo(*said: str) -> int:
    with pytest.raises(SystemExit) as left:
        __main__.main(["demo", *said])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize("said", [(), ("--data", "there")], ids=["a directory of its own", "a directory that is said"])
def test_the_command_says_where_it_lies_and_how_to_look_at_it(
    said: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)

    status = demo("--events", "200", *said)
    out, err = capsys.readouterr()

    found = re.search(r"PROVIDER_DATA=(\S+) provider serve$", out, re.MULTILINE)
    tokens = re.findall(r"^  (\w+) +(prv_\S+)$", out, re.MULTILINE)
    assert status == 0
    assert "Recording: 100 % (200 of 200 events)" in err
    assert found is not None
    assert [who for who, _ in tokens] == ["admin", "registrar", "auditor"]
    assert Path(found[1]).is_relative_to(tmp_path / (said[1] if said else ".demo"))
    office = bootstrap(settings(Path(found[1])))
    with office.views.reading() as read:
        for who, token in tokens:
            holder = access.holder(read, digest(token))
            assert holder is not None
            assert who in holder.roles
    assert out.startswith(f"{office.log.position()} events of ")
    office.close()


@pytest.mark.parametrize(
    "said", [("--events", "9", "--once"), ("--events", "9", "--port", "8000"), ("--data", "x"), ("--seed", "2")]
)
def test_options_that_contradict_each_other_are_wrong_usage(
    said: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    assert demo(*said) == 2
    assert list(tmp_path.iterdir()) == []
