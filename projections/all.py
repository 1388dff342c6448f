"""All views that there are."""

from __future__ import annotations

from projections.access import access
from projections.certificates import certificates
from projections.completion import completion
from projections.courses import courses
from projections.directory import directory
from projections.discrepancies import discrepancies
from projections.history import history
from projections.registers import registers
from projections.roster import roster
from projections.submission import submission

PROJECTIONS = (
    access,
    directory,
    courses,
    roster,
    registers,
    completion,
    certificates,
    submission,
    discrepancies,
    history,
)
