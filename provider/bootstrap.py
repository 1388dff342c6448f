"""How the back office is opened, with all its views."""

from __future__ import annotations

import logging
from time import monotonic, sleep

from projections.all import PROJECTIONS
from provider.durable import JournalInUse
from provider.log import Progress
from provider.office import Clock, Office, utc_now
from provider.outage import outage, passing
from provider.settings import Settings

LOGGER = logging.getLogger(__name__)
A_MINUTE = 60.0


def bootstrap_when_it_can(settings: Settings, *, pause: float = 1.0) -> Office:
    """Open the back office for a server's process, and wait for a database that is away or locked, or a full disk.

    A worker that does not start ends the whole server, and all the others with it, which may have what they need. The
    log is told why it waits, and each minute that it still does: it may lie on the same disk.
    """
    told, at = None, 0.0
    while True:
        try:
            return bootstrap(settings, serving=True)
        except Exception as error:
            if not passing(error):
                raise
            why = str(outage(error))
            if why != told or monotonic() - at >= A_MINUTE:
                LOGGER.error("this process begins when it can. %s", why, exc_info=why != told)
                told, at = why, monotonic()
        sleep(pause)


def destroy_what_expired(office: Office) -> None:
    """Destroy the attendee files that expired while no server was there; what can't be now, the next sweep destroys."""
    try:
        office.desk.sweep()
    except JournalInUse:
        LOGGER.info("somebody reads for long; what has expired is wiped by the next sweep")
    except Exception as error:
        # Nor is this a reason for a worker not to start.
        if not passing(error):
            raise
        LOGGER.exception("files that have expired could not be destroyed; the next sweep does it")


def bootstrap(
    settings: Settings, clock: Clock = utc_now, progress: Progress | None = None, *, serving: bool = False
) -> Office:
    """Open the back office of one institution, as the settings say; `serving` is for a server's process."""
    return Office(settings, PROJECTIONS, clock, progress, serving=serving)
