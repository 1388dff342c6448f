"""A thread that brings the views to the end of the log for commands that were answered before."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provider.views import Views

LOGGER = logging.getLogger(__name__)
PAUSE = 0.01
"""Seconds in which events gather, whoever records them. To fold ten together takes hardly longer than to fold one."""
AGAIN = 5.0
"""Seconds after which it is tried again, where the views could not be written."""


class Follower:
    """Brings the views of a server to what was recorded a moment ago, in as few steps as there are moments.

    Nobody has to wait for it: whoever reads brings them to the end of the log by themselves.
    """

    def __init__(self, views: Views, pause: float = PAUSE, again: float = AGAIN) -> None:
        self._views = views
        self._pause = pause
        self._again = again
        self._to = 0
        self._told = threading.Event()
        self._ended = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(self, position: int) -> None:
        """Let the views be brought to a position soon."""
        with self._guard:
            self._to = max(self._to, position)
            if self._thread is None:
                # Here and not before: a thread is gone after a fork.
                thread = threading.Thread(target=self._follow, name="follower", daemon=True)
                thread.start()
                self._thread = thread
        self._told.set()

    def _follow(self) -> None:
        while not self._ended.is_set():
            self._told.wait()
            self._ended.wait(self._pause)
            # Whoever tells from here on is heard the next time.
            self._told.clear()
            try:
                there = self._views.keep_up(self._to, self._pause)
            except Exception:
                LOGGER.exception("the views could not catch up; it is tried again")
                self._ended.wait(self._again)
                there = False
            if not there:
                # Perhaps nobody reads or records for a long time, who would do it.
                self._told.set()
        try:
            # What was told while it kept up for the last time.
            self._views.catch_up(self._to)
        except Exception:
            LOGGER.exception("the views could not catch up; the next request will try again")

    def close(self) -> None:
        """End, with the views where they should be."""
        if self._thread is not None:
            self._ended.set()
            self._told.set()
            self._thread.join()
            self._thread = None
