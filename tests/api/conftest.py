"""What the tests of the API begin with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stage import Stage, staffed


@pytest.fixture
def stage() -> Stage[Any] | None:
    """There is a registrar and an auditor."""
    return staffed()
