"""Which views there are, and how the back office is opened."""

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
from provider.log import Progress
from provider.office import Clock, Office, utc_now
from provider.schema import Place
from provider.settings import Settings
from provider.views import place_of

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


def place_of_views(settings: Settings) -> Place:
    """Return where the views of this very version of the program are."""
    return place_of(settings.place("views"), PROJECTIONS)


def bootstrap(
    settings: Settings, clock: Clock = utc_now, progress: Progress | None = None, *, serving: bool = False
) -> Office:
    """Open the back office of one institution, as the settings say; `serving` is for a server's process."""
    return Office(settings, PROJECTIONS, clock, progress, serving=serving)
