"""Rebuilds all views of a data directory in a process of its own, whose memory can be watched, and says how long."""

from __future__ import annotations

import sys
import time

import orjson

from projections.all import PROJECTIONS
from provider.log import EventLog
from provider.settings import Settings
from provider.views import Views


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
    print(orjson.dumps({"events": reached, "seconds": seconds}).decode())


if __name__ == "__main__":
    main()
