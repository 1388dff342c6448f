"""The worker of gunicorn that has the connections: whom it takes, and for how long a thread stays with one."""

from __future__ import annotations

import select
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LINGER = 0.005
"""Seconds for which a thread waits for the next request of a connection."""
NAP = 0.002
"""Seconds that a worker leaves a new connection to others, for each that it has."""
FEW = 4
"""Connections from which on a worker has its share, and takes whoever comes."""
CLOSERS = 16
"""Connections that a worker lets go of at the same time; each waits for its client for two seconds at most."""
SPENT = 0.01
"""The share of its time that a worker naps at most: where each request has a connection of its own, all have few."""


class HttpWorker(ThreadWorker):
    """A worker of threads that lets one with fewer connections take the next, and stays with those it has.

    Otherwise whoever looks first takes it: often the one that has just taken another, so that some of few clients share
    one processor while another has nothing to do. And a connection would go through the hands of the main thread
    between any two requests, which takes as long as to read one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._credit = FEW * FEW * NAP
        self._credited = time.monotonic()

    def accept(self, listener: Any) -> None:
        if 0 < self.nr_conns < FEW and self.cfg.workers > 1:
            self._leave_it(self.nr_conns * NAP)
        super().accept(listener)

    def _leave_it(self, seconds: float) -> None:
        """Wait, unless that would be too much of late."""
        now = time.monotonic()
        self._credit = min(FEW * FEW * NAP, self._credit + (now - self._credited) * SPENT)
        self._credited = now
        if self._credit >= seconds:
            self._credit -= seconds
            time.sleep(seconds)

    def init_process(self) -> None:
        self._closing = ThreadPoolExecutor(max_workers=CLOSERS, thread_name_prefix="closing")
        self._closers = Semaphore(CLOSERS)
        super().init_process()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End when told to, also before the program is there: it may be waiting for a database or a disk, for hours."""
        super().handle_exit(sig, frame)
        if not self.booted:
            raise SystemExit(0)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep a connection for its next request, or let it go: beside the main thread, since that waits for the client
        to close it too, for two seconds, and all other connections would wait with it. Where too many are waited for,
        somebody does not mean to close them, and they are cut off."""
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
        else:
            self.nr_conns -= 1
            if self._closers.acquire(blocking=False):
                self._closing.submit(self._let_go, conn)
            else:
                conn.close()

    def _let_go(self, conn: Any) -> None:
        try:
            conn.close(graceful=True)
        finally:
            self._closers.release()

    def handle(self, conn: Any) -> Any:
        """Answer a request, and those that come right after it while no other connection can need this thread."""
        again = super().handle(conn)
        while again is True and self.alive and self.nr_conns <= self.cfg.threads and _comes(conn):
            again = super().handle(conn)
        return again


def _comes(conn: Any) -> bool:
    """Say whether another request comes in a moment."""
    if conn.parser.unreader.buf.getvalue():
        return True
    waiting = select.poll()
    waiting.register(conn.sock, select.POLLIN)
    return bool(waiting.poll(LINGER * 1000))


__all__ = ["HttpWorker"]
