"""Every event reads as a sentence, and says nothing that only a program understands."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import timedelta
from enum import Enum
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.register import AttendanceRegister, Marker, Status
from projections.sentences import SENTENCES, sentence
from tests.golden import NOON, STREAM, event_classes, sample

LEAKS = re.compile(
    r"None|True|False"
    r"|[0-9a-f]{8}-[0-9a-f]{4}"  # an id
    r"|[A-Za-z0-9_-]{43}"  # a handle, or a digest
    r"|[<>{}\[\]\\]|\('|datetime|UUID|Decimal|Private|_"  # how Python writes a value
    r"|  | [,.;:]|\(\)|,,"  # a gap where something is missing
)
KINDS = event_classes()


def title(kind: type[Any]) -> str:
    return str(kind.TOPIC)


def told(event: Any) -> str:
    return sentence(event, lambda _: "Grace Hopper")


def check(event: Any) -> None:
    said = told(event)
    assert LEAKS.search(said) is None, said
    assert re.fullmatch(r"[A-Z0-9].*[^.]\.", said), said


def test_there_is_a_sentence_for_every_event_and_for_nothing_else() -> None:
    assert set(SENTENCES) == {kind.TOPIC for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=title)
@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
def test_a_sentence_leaks_nothing_that_a_person_does_not_understand(kind: type[Any], full: bool) -> None:
    check(sample(kind, full=full))


@pytest.mark.parametrize("kind", KINDS, ids=title)
def test_every_code_that_an_event_can_hold_can_be_told(kind: type[Any]) -> None:
    event = sample(kind, full=True)
    for name, hint in get_type_hints(kind).items():
        if isinstance(hint, type) and issubclass(hint, Enum):
            for code in hint:
                check(replace(event, **{name: code}))


@given(st.sampled_from(KINDS), st.data())
def test_any_member_that_may_be_absent_can_be_absent(kind: type[Any], data: st.DataObject) -> None:
    full, bare = sample(kind, full=True), sample(kind, full=False)
    members = [each.name for each in fields(kind) if each.init and not each.name.startswith("originator")]
    mixed = {name: getattr(full if data.draw(st.booleans(), label=name) else bare, name) for name in members}

    check(replace(full, **mixed))


@pytest.mark.parametrize("kind", KINDS, ids=title)
def test_a_sentence_says_who_did_it_and_for_whom(kind: type[Any]) -> None:
    event = sample(kind, full=True)
    names = {str(event.by): "Rita Registrar", str(event.on_behalf_of): "Otto"}
    said = sentence(event, lambda each: names.get(each, "X"))

    assert "by Rita Registrar, on behalf of Otto" in said


@pytest.mark.parametrize("kind", [k for k in KINDS if "reason" in get_type_hints(k)], ids=title)
def test_a_sentence_says_why(kind: type[Any]) -> None:
    assert "(reason: body mail lost)" in told(replace(sample(kind, full=True), reason="body_mail_lost"))


NAMES = {"grace": "Grace Hopper", "tina": "Tina Trainer", str(STREAM): "session 2 of “CSPO in Zürich”"}


def mark(**said: Any) -> str:
    event = replace(
        sample(AttendanceRegister.Marked, full=False),
        **{"by": "tina", "person": "grace", "mark": "m", "stands": "m", "authority": Marker.LEAD, **said},
    )
    return sentence(event, NAMES.__getitem__)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"status": Status.PRESENT}, "present"),
        ({"status": Status.ABSENT}, "absent"),
        ({"status": Status.LATE, "late_minutes": 10}, "late by 10 minutes"),
        ({"status": Status.LATE, "late_minutes": 1}, "late by 1 minute"),
        ({"status": Status.LEFT_EARLY, "left_early_minutes": 20}, "as leaving 20 minutes early"),
        (
            {"status": Status.LATE, "late_minutes": 10, "left_early_minutes": 20},
            "late by 10 minutes and as leaving 20 minutes early",
        ),
    ],
)
def test_a_mark_is_told_as_people_say_it(said: dict[str, Any], expected: str) -> None:
    said = {"late_minutes": 0, "left_early_minutes": 0, **said}
    assert mark(**said) == f"Grace Hopper was marked {expected} in session 2 of “CSPO in Zürich” by Tina Trainer."


def test_a_mark_that_does_not_stand_says_so() -> None:
    assert mark(stands="other").endswith("by Tina Trainer, while another mark stands.")
    assert mark(conflict=True).endswith("by Tina Trainer, which contradicts another mark.")
    assert mark(corrects="m0").endswith("by Tina Trainer, in place of an earlier mark.")


def test_a_long_list_of_learners_is_counted() -> None:
    kind = next(kind for kind in KINDS if kind.TOPIC == "submission.activated")
    event = sample(kind, full=True)

    assert told(replace(event, lines=tuple(range(1, 31)))).startswith("30 learners were recorded as activated")
    assert told(replace(event, lines=(4,))).startswith("Grace Hopper was recorded as activated")


def test_times_are_told_in_utc() -> None:
    kind = next(kind for kind in KINDS if kind.TOPIC == "course.session_held")
    event = replace(sample(kind, full=False), started=NOON, ended=NOON + timedelta(hours=3, minutes=30))

    assert "from 4 May 2026 at 12:00 UTC to 15:30" in told(event)
