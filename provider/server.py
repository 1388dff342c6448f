"""How gunicorn serves the API: threads in a few processes, each with stores of its own."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger
from prometheus_client import values

from provider import USUAL
from provider.http_worker import HttpWorker
from provider.log_lines import JsonLines, line


class Logger(GunicornLogger):
    """gunicorn's logger, with every line as JSON on stderr, and nothing in it that says who somebody is.

    There are no addresses, no query strings, no headers and no bodies in it; the request id leads from a line to the
    events of the request.
    """

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(JsonLines())
        for log in (self.error_log, logging.getLogger()):
            log.handlers = [lines]
        logging.getLogger().setLevel(max(self.loglevel, logging.INFO))

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Log one request that was answered.

        Past the library, which would look for who calls, for handlers, filters and levels, for each line.
        """
        headers = {name.lower(): value for name, value in resp.headers}
        said = line(
            "info",
            self.access_log.name,
            "request",
            {
                "method": environ.get("REQUEST_METHOD"),
                "path": str(environ.get("PATH_INFO", ""))[:300],
                "status": int(str(resp.status).split(None, 1)[0]),
                "bytes": getattr(resp, "sent", None),
                "ms": round(request_time.total_seconds() * 1000, 1),
                "request_id": headers.get("x-request-id"),
            },
        )
        # An answer is not spoilt because nobody can write down that it was given.
        with suppress(OSError):
            # Where it was closed, its number may be that of a database by now.
            if sys.stderr is not None:
                os.write(sys.stderr.fileno(), said + b"\n")

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a warning; one about a request that can't be read quotes it, so only that it came is told."""
        if msg.startswith("Invalid request from"):
            msg, args = "a request that is not HTTP was refused", ()
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an error; the address of the request that it came from loses its query."""
        super().exception(msg, *(str(each).partition("?")[0] for each in args), **kwargs)


worker_class = HttpWorker
logger_class = Logger
accesslog = "-"
# Every store is opened after the fork: an SQLite connection must not be carried into another process.
preload_app = False
umask = 0o077
timeout = 30
graceful_timeout = 25
keepalive = 5
# A worker is replaced now and then, in case something grows in it; seldom, as each new one has cold caches.
max_requests = 100_000
max_requests_jitter = 20_000
# Heartbeats are files; on a disk a slow write would look like a worker that hangs.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# It would be a socket in the home directory, which a service has not got.
control_socket_disable = True
# Which proxies are trusted is PROVIDER_PROXIES, and wsgi.py's to apply.
forwarded_allow_ips = ""

FIGURES = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which the library finds the folder."""
OUR_APP = "wsgi:app"
"""What is loaded before the fork; what else is served with this configuration, such as a bench's floor, is not."""
_place: int | str = "server"
HELD = "held"
"""The file in it that the server locks."""


def on_starting(server: Any) -> None:
    """Make a folder in which the workers count, so that any of them can tell the figures of all.

    Its lock goes with the last process of the server, so that the folder of one that was killed is removed here.
    """
    for folder in Path(worker_tmp_dir or tempfile.gettempdir()).glob("provider-figures-*"):
        if _left_behind(folder):
            shutil.rmtree(folder, ignore_errors=True)
    os.environ[FIGURES] = tempfile.mkdtemp(prefix="provider-figures-", dir=worker_tmp_dir)
    server.held = (Path(os.environ[FIGURES]) / HELD).open("w")
    flock(server.held, LOCK_EX)
    if server.app.app_uri == OUR_APP:
        _load()


def _load() -> None:
    """Load the program before the workers are forked, which then start at once and share the memory of its code.

    Stores are opened by each for itself. What is counted is counted in the file of the process that counts.
    """
    values.ValueClass = values.MultiProcessValue(lambda: _place)
    import_module("provider.bootstrap")
    import_module("api.app").routed()
    gc.collect()
    gc.freeze()
    # From here on there is what requests leave behind, and not to look for it for long takes memory.
    gc.set_threshold(*USUAL)


def _left_behind(folder: Path) -> bool:
    try:
        # One made just now may not be locked yet.
        if folder.stat().st_mtime > time.time() - 60:
            return False
        with (folder / HELD).open("a") as held:
            flock(held, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    return True


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker the first place that is free, and with it the figures of whoever had it before.

    The library names a worker's files for its process unless told otherwise. They must outlive it, as a total may not
    fall, so there would be more of them for each scrape to read whenever a worker is replaced.
    """
    taken = {each.place for each in server.WORKERS.values()}
    worker.place = next(place for place in count() if place not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Let a worker count in the files of its place."""
    global _place
    _place = worker.place
    values.ValueClass = values.MultiProcessValue(lambda: _place)


def on_exit(server: Any) -> None:
    """Leave no folder behind."""
    shutil.rmtree(os.environ[FIGURES], ignore_errors=True)
