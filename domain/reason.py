"""Why something is done: a code in clear, and a note for what no code says."""

from __future__ import annotations

from domain.private import Private
from domain.refusal import Invalid


class ReasonMissing(Invalid):
    """What corrects, ends or deviates must say why."""


def must_say_why(reason: str, *, field: str = "reason") -> None:
    """Refuse a blank reason."""
    if not reason.strip():
        raise ReasonMissing(f"Say why: the {field} is empty.", field=field)


def must_explain(reason: str, note: Private | None, *, field: str = "reason") -> None:
    """Refuse a blank reason, and one that says nothing by itself without a note."""
    must_say_why(reason, field=field)
    if reason == "other" and note is None:
        raise ReasonMissing(f'The {field} "other" says nothing by itself; explain it in the note.', field="note")
