"""How much memory processes take, as the kernel says."""

from __future__ import annotations

from pathlib import Path

MEGABYTE = 1_000_000


def family(process: int) -> list[int]:
    """Return a process, its children and theirs."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name may hold spaces and parentheses; what follows the last one does not.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found = [process]
    for each in found:
        found += parents.get(each, [])
    return found


def proportional(process: int) -> float:
    """Return the megabytes that are a process' own, with its share of those that it shares with others (PSS)."""
    return _kilobytes(Path(f"/proc/{process}/smaps_rollup"), "Pss:") * 1024 / MEGABYTE


def peak(process: int) -> float:
    """Return the most megabytes that a process has had at once, shared ones as well; 0 once it is gone."""
    return _kilobytes(Path(f"/proc/{process}/status"), "VmHWM:") * 1024 / MEGABYTE


def _kilobytes(file: Path, name: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


__all__ = ["family", "peak", "proportional"]
