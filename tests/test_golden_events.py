"""Whatever was once stored can still be read, and is stored today as it was then."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from uuid import UUID

import orjson
import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.utils import get_topic

from provider.mapper import EventMapper
from tests import golden
from tests.golden import event_classes, members, missing, sample, stored

LINES = golden.golden()
CURRENT = {get_topic(kind): getattr(kind, "class_version", 1) for kind in event_classes()}


def name(line: dict[str, Any]) -> str:
    return f"{line['topic']}-v{line['class_version']}"


def loaded(line: dict[str, Any]) -> Any:
    state = dict(line["state"])
    if line["class_version"] > 1:
        state["class_version"] = line["class_version"]
    return EventMapper().to_domain_event(StoredEvent(golden.STREAM, 7, line["topic"], orjson.dumps(state)))


@pytest.mark.parametrize("line", LINES, ids=name)
def test_every_event_ever_stored_can_still_be_read(line: dict[str, Any]) -> None:
    event = loaded(line)

    assert get_topic(type(event)) == line["topic"]
    assert set(vars(event)) == {each.name for each in fields(event)}, "An upcast has left something over."
    assert (event.originator_id, event.originator_version) == (golden.STREAM, 7)


@pytest.mark.parametrize("line", [e for e in LINES if e["class_version"] == CURRENT.get(e["topic"])], ids=name)
def test_an_event_of_today_is_stored_as_the_golden_line_says(line: dict[str, Any]) -> None:
    again = EventMapper().to_stored_event(loaded(line)).state

    said = dict(line["state"])
    if line["class_version"] > 1:
        said["class_version"] = line["class_version"]
    assert again == orjson.dumps(said), "The shape of this event has changed: raise its class_version and upcast."


@pytest.mark.parametrize("kind", event_classes(), ids=lambda kind: kind.TOPIC)
def test_no_event_has_a_member_that_the_golden_file_lacks_or_lost_one_that_it_has(kind: type[Any]) -> None:
    version = getattr(kind, "class_version", 1)
    known = {
        path
        for line in LINES
        if (line["topic"], line["class_version"]) == (kind.TOPIC, version)
        for path in members(line["state"])
    }

    now = members(stored(sample(kind, full=True))["state"])

    assert now - known == set(), "New members: add their lines with `python -m tests.golden`."
    assert known - now == set(), "Members were lost or renamed: raise the class_version, and upcast what is stored."


def test_the_golden_file_lacks_nothing_that_the_command_would_add() -> None:
    assert [name(line) for line in missing()] == [], "Add the lines with `python -m tests.golden`."


def test_the_golden_file_names_no_event_that_is_gone() -> None:
    assert {line["topic"] for line in LINES} <= set(CURRENT)


@pytest.mark.parametrize("kind", event_classes(), ids=lambda kind: kind.TOPIC)
@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
def test_an_event_comes_back_from_its_stored_form_as_it_was(kind: type[Any], full: bool) -> None:
    event = sample(kind, full=full)

    assert EventMapper().to_domain_event(EventMapper().to_stored_event(event)) == event


def test_the_members_of_a_state_are_found_however_deep() -> None:
    assert members({"a": [{"b": 1}, {"c": None}], "d": "x"}) == {"/a", "/a/*/b", "/a/*/c", "/d"}


def test_samples_are_the_same_each_time() -> None:
    kind = event_classes()[0]

    assert sample(kind, full=True) == sample(kind, full=True)
    assert isinstance(sample(kind, full=True).by, UUID)
