"""Says how quick each processor is just now, and how much that changes: `python -m tests.bench.pace [SECONDS]`.

Where others share a machine's processors, the same work may take twice as long from one second to the next, though
nobody is seen on it. So figures are compared side by side, and a goal in numbers is met or not by the hour.
"""

from __future__ import annotations

import os
import sys
import time


def loop() -> float:
    """Return the milliseconds of processor time that a loop takes which is always the same."""
    began = time.thread_time()
    kept = {}
    for number in range(20_000):
        kept[number & 255] = str(number)
    return (time.thread_time() - began) * 1000


def main(seconds: float) -> None:
    """Print the quickest, middle and slowest loop of each processor."""
    taken: dict[int, list[float]] = {processor: [] for processor in sorted(os.sched_getaffinity(0))}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for processor, times in taken.items():
            os.sched_setaffinity(0, {processor})
            times += [loop() for _ in range(5)]
        time.sleep(0.1)
    for processor, times in taken.items():
        times.sort()
        print(f"processor {processor}: {times[0]:.2f}, {times[len(times) // 2]:.2f}, {times[-1]:.2f} ms")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
