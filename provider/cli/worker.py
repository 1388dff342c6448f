"""A process that follows the log."""

from __future__ import annotations

import click

from provider.cli import console


@click.command("worker")
def command() -> None:
    """Keep the views at the end of the log, until interrupted.

    Servers do so by themselves after each command, or a moment after a mark. A worker takes over what a server that
    died left behind, and is woken by PostgreSQL as soon as anything is recorded. Let one run on each host, or none on
    a single machine.
    """
    import logging
    import signal
    import sys
    import threading

    from provider.log_lines import JsonLines
    from provider.worker import follow

    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[lines], force=True)
    stop = threading.Event()
    with console.opened() as office:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: stop.set())
        logging.getLogger(__name__).info("following the log")
        follow(office, stop)
