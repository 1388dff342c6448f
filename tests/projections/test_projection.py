"""Statements that are prepared: what they are asked has to have their names."""

from __future__ import annotations

import pytest

from projections.projection import Lookup
from projections.registers import learners
from provider.office import Office


@pytest.mark.parametrize("at", [None, 1])
@pytest.mark.parametrize("said", [{}, {"enrolmet": "x"}, {"enrolment": "x", "course": "y"}])
def test_a_lookup_by_other_names_is_an_error_and_not_nothing(
    office: Office, at: int | None, said: dict[str, object]
) -> None:
    lookup = Lookup(learners, "enrolment")
    with office.views.reading() as read:
        assert lookup.all(read, at, enrolment="x") == []
        with pytest.raises((TypeError, KeyError)):
            lookup.all(read, at, **said)
