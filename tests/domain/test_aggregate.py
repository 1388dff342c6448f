"""What every aggregate's methods and events have in common."""

from __future__ import annotations

import ast
from inspect import getmembers, getsource, isfunction, ismethod, signature
from textwrap import dedent
from typing import Any

import pytest

from domain.access import Access
from domain.aggregate import Aggregate
from domain.certificate import Certificate
from domain.course import Course
from domain.enrolment import Enrolment
from domain.institution import Institution
from domain.person import Person
from domain.register import AttendanceRegister
from domain.submission import Submission
from domain.trainer import Trainer

KINDS = (
    Access, AttendanceRegister, Certificate, Course, Enrolment, Institution, Person, Submission, Trainer,
)  # fmt: skip


def commands_of(kind: type[Aggregate]) -> list[Any]:
    """Return the methods by which somebody does something."""
    methods = getmembers(kind, lambda each: isfunction(each) or ismethod(each))
    return [
        method
        for name, method in methods
        if not name.startswith("_") and {"by", "at"} <= {*signature(method).parameters}
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_somebody_does_may_be_on_behalf_of_another(kind: type[Aggregate]) -> None:
    commands = commands_of(kind)
    assert commands
    for command in commands:
        behalf = signature(command).parameters.get("on_behalf_of")
        assert behalf is not None, command.__qualname__
        assert (behalf.kind, behalf.default) == (behalf.KEYWORD_ONLY, None), command.__qualname__


@pytest.mark.parametrize("kind", KINDS)
def test_no_event_forgets_on_whose_behalf_it_was(kind: type[Aggregate]) -> None:
    """Whatever is told by whom is told for whom too, down to the event."""
    told = 0
    for call in ast.walk(ast.parse(dedent(getsource(kind)))):
        if isinstance(call, ast.Call):
            said = {keyword.arg for keyword in call.keywords}
            # Where the rest comes as a mapping, that has it.
            if "by" in said and None not in said:
                told += 1
                assert "on_behalf_of" in said, f"{kind.__name__}, line {call.lineno}"
    assert told
