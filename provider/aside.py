"""Directories that somebody holds for as long as they live: the system lets go of them when their holder is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(directory: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold a directory alone in a `with`; False where somebody else does, or it is not there, or can't be held."""
    try:
        number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have deleted it meanwhile, and a link is not the directory.
            alone = os.path.samestat(os.fstat(number), directory.lstat())
        except OSError:
            # Also on a disk of the network that has no locks for directories.
            alone = False
        yield alone
    finally:
        os.close(number)


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Keep out, in a `with`, whoever wants to hold a directory alone; wait for somebody who does."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_SH)
        yield
    finally:
        os.close(number)


def tidy(directory: Path) -> None:
    """Delete a directory that whoever made it has left behind, unless somebody holds it."""
    with held(directory) as alone:
        if alone:
            shutil.rmtree(directory, ignore_errors=True)
