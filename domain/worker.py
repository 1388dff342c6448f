"""Named workers: who did something, where it was no person."""

from __future__ import annotations

from uuid import UUID, uuid5

WORKERS = UUID("0d1c8c43-6f0c-4f5c-8f0b-5a1f4a0c1f57")

COMMAND_LINE = uuid5(WORKERS, "command line")
"""Whoever may open a shell on the machine, where they don't say as whom they act."""

NAMES = {COMMAND_LINE: "the command line"}
"""What each worker is called in a sentence."""
