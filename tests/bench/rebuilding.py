"""Rebuilds all views of a data directory in a process of its own, and says how long and how much memory that took."""

from __future__ import annotations

import os
import resource
import sys
import time

import orjson

from projections.all import PROJECTIONS
from provider.log import EventLog
from provider.settings import Settings
from provider.views import Views
from tests.bench.memory import MEGABYTE, peak


def main() -> None:
    settings = Settings.read({"PROVIDER_DATA": sys.argv[1]})
    log = EventLog(settings.place("events"))
    views = Views(settings.place("views"), log, PROJECTIONS)
    views.open()
    began = time.perf_counter()
    reached = views.rebuild()
    seconds = time.perf_counter() - began
    views.close()
    log.close()
    # The one other process that took part has ended, so its peak is known without looking at it all the time.
    other = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MEGABYTE
    print(orjson.dumps({"events": reached, "seconds": seconds, "megabytes": peak(os.getpid()) + other}).decode())


if __name__ == "__main__":
    main()
