"""Processes that tests and drills do something to; Linux tells of them."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def children_of(process: int) -> list[int]:
    """Return the processes that a process has begun; none where it is gone."""
    # It may end between any two looks.
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def limit_files(process: int, size: int) -> None:
    """Let no file of a process and of those that it has begun grow beyond a size, as on a full disk."""
    for pid in (process, *children_of(process)):
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
